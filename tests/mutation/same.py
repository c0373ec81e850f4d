"""Mutants that change nothing anybody can see, each with the reason, from ``same/TARGET.txt``.

A file has paragraphs: lines of ``#`` with a reason, then one line for each mutant. It names a mutant by
what stands in the line that is changed, and not by its number, so that it outlives changes elsewhere; a ``*``
is for any change of that line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.mutation.mutants import Mutant
from tests.mutation.targets import ROOT

__all__ = ["SAME", "Reasons", "named"]

SAME = Path(__file__).with_name("same")


def named(mutant: Mutant) -> str:
    """A mutant as the file names it: file, line of source, change."""
    line = mutant.path.read_text("utf-8").splitlines()[mutant.line - 1].strip()
    place = mutant.path.relative_to(ROOT / "flowstorm_channel").as_posix()
    return f"{place} | {line} | {mutant.before} -> {mutant.after}"


class Reasons:
    """Why mutants of a target are the same.

    Raises:
        ValueError: a mutant without a reason, or one that is named twice.
    """

    def __init__(self, target: str) -> None:
        self._reasons: dict[str, str] = {}
        for paragraph in (SAME / f"{target}.txt").read_text("utf-8").split("\n\n"):
            lines = paragraph.strip().splitlines()
            reason = " ".join(line[1:].strip() for line in lines if line.startswith("#"))
            for name in (line for line in lines if not line.startswith("#")):
                if not reason or name in self._reasons:
                    raise ValueError(f"named twice, or without a reason: {name}")
                self._reasons[name] = reason

    def __contains__(self, mutant: Mutant) -> bool:
        name = named(mutant)
        return name in self._reasons or _any_of_its_line(name) in self._reasons

    def stale(self, mutants: Iterable[Mutant]) -> list[str]:
        """What is named in the files of these mutants and is none of them."""
        names = {named(each) for each in mutants}
        known = names | {_any_of_its_line(name) for name in names}
        files = {_file(name) for name in names}
        return [name for name in self._reasons if _file(name) in files and name not in known]


def _any_of_its_line(name: str) -> str:
    place, line, _ = name.split(" | ", 2)
    return f"{place} | {line} | *"


def _file(name: str) -> str:
    return name.partition(" | ")[0]

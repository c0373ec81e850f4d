"""The command: ``python -m tests.mutation TARGET|all [--processes N] [--sample N] [--only PLACE …]``."""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutation.targets import ROOT, TARGETS

if TYPE_CHECKING:
    from tests.mutation.mutants import Mutant

INSTALL = "mutmut is not installed: pip install mutmut"
ENOUGH = 95.0
"""Of a hundred mutants so many are to be found."""


def main(arguments: list[str] | None = None) -> int:
    """Judge the mutants of a target, or of all, and tell the survivors.

    Returns:
        0: enough are killed; 1: too many survive; 2: mutmut is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    names = (*TARGETS, "all")
    parser.add_argument("target", choices=names, metavar="TARGET", help=", ".join(names))
    parser.add_argument("--processes", type=int, metavar="N", default=2, help="at a time; 2")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of each file, the same in every run")
    parser.add_argument(
        "--only", metavar="PLACE", nargs="+", default=("",), help="as in codecs/json.py:12, or its beginning"
    )
    parser.add_argument(
        "--same", action="store_true", help="also those that are named as the same to everybody"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="those that survived in this output")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("mutmut") is None:
        print(INSTALL, file=sys.stderr)
        return 2
    chosen = list(TARGETS) if options.target == "all" else [options.target]
    lacking = [name for name in chosen if not _judge(name, options)]
    return int(bool(lacking))


def _judge(name: str, options: argparse.Namespace) -> bool:
    """Judge the mutants of one target; whether enough are found, and every reason is of a mutant."""
    from tests.mutation.judge import Verdict, judged, measured
    from tests.mutation.mutants import mutants
    from tests.mutation.same import Reasons
    from tests.mutation.types import TypeChecker

    target, reasons = TARGETS[name], Reasons(name)
    baseline = measured(target)
    counts: Counter[Verdict] = Counter()
    chosen = _chosen(name, options)
    asked = [each for each in chosen if options.same or each not in reasons]
    counts[Verdict.SAME] = len(chosen) - len(asked)
    with TypeChecker() as types:
        for mutant, found in judged(asked, target, baseline, options.processes):
            verdict = found
            if found is not Verdict.SURVIVED and mutant in reasons:
                print(f"it is {found.value} after all: {_said(mutant)}", flush=True)
            elif found is Verdict.SURVIVED and mutant in reasons:
                verdict = Verdict.SAME
            elif found is Verdict.SURVIVED and types.refuses(mutant):
                verdict = Verdict.REFUSED
            counts[verdict] += 1
            if not counts.total() % 100:
                print(f"{name}: {counts.total()} of {len(chosen)}", file=sys.stderr, flush=True)
            if verdict in (Verdict.SURVIVED, Verdict.TIMED_OUT):
                print(f"{verdict.value} {_said(mutant)}", flush=True)
    stale = reasons.stale(mutant for path in target.files for mutant in mutants(path))
    for each in stale:
        print(f"there is no such mutant: {each}")
    different = counts.total() - counts[Verdict.SAME]
    score = 100 * (different - counts[Verdict.SURVIVED]) / (different or 1)
    told = ", ".join(f"{each.value} {counts[each]}" for each in Verdict)
    print(f"{name}: mutants {counts.total()}, {told}: {score:.1f} %", flush=True)
    return score >= ENOUGH and not stale


def _chosen(name: str, options: argparse.Namespace) -> list[Mutant]:
    from tests.mutation.mutants import mutants

    survived = None if options.again is None else set(options.again.read_text("utf-8").splitlines())
    chosen: list[Mutant] = []
    for path in TARGETS[name].files:
        found = [each for each in mutants(path) if _said(each).startswith(tuple(options.only))]
        if options.sample is not None and options.sample < len(found):
            found = random.Random(name).sample(found, options.sample)
        chosen += found
    return [each for each in chosen if survived is None or f"survived {_said(each)}" in survived]


def _said(mutant: Mutant) -> str:
    place = mutant.path.relative_to(ROOT / "flowstorm_channel").as_posix()
    return f"{place}:{mutant.line}: {mutant.before}  ->  {mutant.after}"


if __name__ == "__main__":
    sys.exit(main())

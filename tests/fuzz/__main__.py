"""The command: ``python -m tests.fuzz TARGET|all [--runs N | --seconds N] [--corpus DIR]``."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.corpus import CORPUS, added, minimised
from tests.fuzz.targets import TARGETS
from tests.fuzz.words import dictionary

NAMES = ", ".join((*TARGETS, "all"))
INSTALL = "atheris is not installed: pip install atheris"
SMALLEST = ".minimised"
"""How the name of a finding ends that was made as small as it goes wrong."""
TIMEOUT = 20
"""Seconds for which one input may run."""
MOST_KEPT = 48
"""Inputs of a target."""
MEGABYTES = 2000
"""Of memory, for one process."""


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, or run inputs once more.

    Returns:
        0: nothing was found; 1: something was; 2: atheris is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "target", choices=(*TARGETS, "all"), metavar="TARGET", help=", ".join((*TARGETS, "all"))
    )
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--runs", type=int, metavar="N", help="end after so many executions")
    effort.add_argument("--seconds", type=int, metavar="N", default=60, help="end after that time; 60")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="inputs to begin with, and to add to")
    parser.add_argument(
        "--findings", type=Path, metavar="DIR", default=Path(), help="where crashes are written"
    )
    parser.add_argument(
        "--merge", action="store_true", help="add to the kept corpus what --corpus covers more"
    )
    parser.add_argument("--reproduce", type=Path, metavar="FILE", help="run one input, without atheris")
    options = parser.parse_args(arguments)
    names = list(TARGETS) if options.target == "all" else [options.target]
    if options.reproduce is not None:
        for name in names:
            TARGETS[name].run(options.reproduce.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        print(INSTALL, file=sys.stderr)
        return 2
    found = [_fuzz(name, options) for name in names]
    return int(any(found))


def _fuzz(name: str, options: argparse.Namespace) -> bool:
    """Fuzz one target; whether something was found."""
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words.dict")
        words.write_text(dictionary(), encoding="ascii")
        if options.merge:
            return _merge(name, kept, options.corpus, Path(folder))
        grown = options.corpus / name if options.corpus is not None else Path(folder, "corpus")
        grown.mkdir(parents=True, exist_ok=True)
        options.findings.mkdir(parents=True, exist_ok=True)
        before = _findings(name, options.findings)
        ends = [f"-runs={options.runs}"] if options.runs else [f"-max_total_time={options.seconds}"]
        bounds = (f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={TARGETS[name].length}")
        files = (f"-dict={words}", f"-artifact_prefix={options.findings}/{name}-", str(grown), str(kept))
        _engine(name, Path(folder), *ends, *bounds, "-len_control=10", "-print_final_stats=1", *files)
        crashes = sorted(_findings(name, options.findings) - before)
        for crash in crashes:
            _tell(name, crash)
        return bool(crashes)


def _findings(name: str, folder: Path) -> set[Path]:
    """What the engine has written about a target; other targets may write there at the same time."""
    return {each for each in folder.glob(f"{name}-*") if each.suffix != SMALLEST}


def _engine(name: str, folder: Path, *arguments: str) -> None:
    """Run the engine, by a program that it can run again by itself."""
    program = folder / "engine"
    own = (sys.executable, "-m", "tests.fuzz.engine", name, ",".join(TARGETS[name].doors), str(program))
    program.write_text(f'#!/bin/sh\nexec {shlex.join(own)} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    subprocess.run([program, *arguments], check=False)


def _merge(name: str, kept: Path, grown: Path, folder: Path) -> bool:
    """Make the kept corpus anew: few small inputs that reach every branch that all of them reach."""
    merged = folder / "merged"
    merged.mkdir()
    few = ("-set_cover_merge=1", "-use_counters=0")
    _engine(name, folder, *few, f"-max_len={TARGETS[name].length}", str(merged), str(kept), str(grown / name))
    found = sorted((each.read_bytes() for each in merged.iterdir()), key=lambda data: (-len(data), data))
    found = found[:MOST_KEPT]  # the longest programs reach the most
    for each in kept.iterdir() if found else ():
        each.unlink()
    for data in found:
        added(kept, data)
    print(f"{name}: {len(found)} inputs, {sum(map(len, found))} bytes")
    return False


def _tell(name: str, crash: Path) -> None:
    """Write the smallest input that goes wrong in the same way beside the one that was found."""
    data, problem = minimised(TARGETS[name].run, crash.read_bytes())
    small = crash.with_name(crash.name + SMALLEST)
    small.write_bytes(data)
    print(f"{name}: {problem}\n  {data!r}\n  python -m tests.fuzz {name} --reproduce {small}")


if __name__ == "__main__":
    sys.exit(main())

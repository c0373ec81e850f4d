"""The command: ``python -m tests.load [--turns N] [--quick] [--seed N] [--faults NAME,…|none] …``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tests.bench.report import machine
from tests.load.broken import APPLICATIONS
from tests.load.faults import FAULTS
from tests.load.latency import Latency, measure
from tests.load.report import to_json, to_markdown
from tests.load.run import Plan, run

TURNS, QUICK_TURNS = 200_000, 2_500
_A_ROUND = 8_000
"""Turns in which each fault strikes once."""


def main(arguments: list[str] | None = None) -> int:
    """Run it, and print the table.

    Returns:
        0; 1: something was lost, doubled or joined wrongly, memory is not back, or others were hurt.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--turns", type=int, metavar="N", help=f"to be acknowledged; {TURNS}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TURNS} turns, each fault once or twice")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the order of faults; 1")
    parser.add_argument("--faults", default=",".join(FAULTS), metavar="NAMES", help="with commas; or none")
    parser.add_argument("--application", choices=APPLICATIONS, default="sound", help="one with a defect")
    parser.add_argument("--no-latency", action="store_true", help="only turns, faults and memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and findings")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    parser.add_argument("--list", action="store_true", help="print what the faults do")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(f"{name}: {fault.__doc__}" for name, fault in FAULTS.items()))
        return 0
    names = [] if options.faults == "none" else options.faults.split(",")
    if unknown := set(names) - set(FAULTS):
        parser.error(f"there is no fault {min(unknown)}; --list shows them")
    turns = options.turns or (QUICK_TURNS if options.quick else TURNS)
    plan = Plan(turns, max(1, turns // (2 * _A_ROUND)), names, options.seed, options.application)
    result = asyncio.run(run(plan))
    latencies: dict[str, Latency] = {}
    if not options.no_latency:
        latencies = asyncio.run(measure(2, 50) if options.quick else measure(10, 250))
    about = machine()
    print(to_markdown(result, latencies, about), end="")
    for path, form in ((options.markdown, to_markdown), (options.json, to_json)):
        if path is not None:
            path.write_text(form(result, latencies, about), encoding="utf-8")
    return 0 if result.passed else 1


if __name__ == "__main__":
    # As for Ctrl+C: the server and its Redis are not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())

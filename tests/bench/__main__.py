"""The command: ``python -m tests.bench [--quick] [--json FILE] [--markdown FILE] [ROW ...]``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.bench import codec, footprint, transport, turns
from tests.bench.report import figures, machine, to_json, to_markdown
from tests.bench.rows import Row
from tests.bench.timing import Effort

ROWS = {row.name: row for row in (*codec.ROWS, *transport.ROWS, *footprint.ROWS, *turns.ROWS)}
EFFORTS = {"quick": Effort(rounds=5, seconds=0.004, processes=1), "full": Effort(15, 0.02, processes=3)}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print the table.

    Returns:
        0; whether goals are met says the table, machines are too noisy to fail for it.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names or patterns; all without one")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--quick", action="store_true", help="less exact, in less than a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    parser.add_argument("--measure", choices=EFFORTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    chosen = [
        row
        for name, row in ROWS.items()
        if not options.rows or any(fnmatch(name, each) for each in options.rows)
    ]
    if not chosen:
        parser.error("no row has such a name; --list shows them")
    if options.list:
        print("\n".join(row.name for row in chosen))
    elif options.measure:
        (row,) = chosen
        row.tier.enter()
        print(json.dumps(row.measure(EFFORTS[options.measure])))
    else:
        effort = "quick" if options.quick else "full"
        lines = [line for row in chosen for line in figures(row, _measured(row, effort))]
        about = machine()
        print(to_markdown(lines, about), end="")
        for path, form in ((options.markdown, to_markdown), (options.json, to_json)):
            if path is not None:
                path.write_text(form(lines, about), encoding="utf-8")
    return 0


def _measured(row: Row, effort: str) -> dict[str, list[float]]:
    """The ratios of a row out of fresh processes."""
    all_of_them: dict[str, list[float]] = {}
    command = [sys.executable, "-m", "tests.bench", "--measure", effort, row.name]
    for _ in range(EFFORTS[effort].processes):
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        measured: dict[str, Any] = json.loads(done.stdout)
        for case, ratios in measured.items():
            all_of_them.setdefault(case, []).extend(ratios)
    print(f"{row.name}: done", file=sys.stderr)
    return all_of_them


if __name__ == "__main__":
    sys.exit(main())

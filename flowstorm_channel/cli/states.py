"""``flowstorm-channel states``: the transition tables, drawn from the data that the machines run on."""

from __future__ import annotations

import argparse
from typing import Any

from flowstorm_channel import diagrams

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "states",
        help="print the transition tables as Mermaid, DOT or JSON",
        description="Print the transition tables that clients and servers run on.",
    )
    parser.add_argument(
        "which",
        nargs="?",
        default="all",
        choices=diagrams.WHICH,
        help="whose table (default: all)",
    )
    parser.add_argument("-f", "--format", default="mermaid", choices=diagrams.FORMS, help="default: mermaid")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    print(diagrams.render(chosen.which, chosen.format))
    return 0

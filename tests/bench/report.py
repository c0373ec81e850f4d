"""The table, and the machine that it was made on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sysconfig
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import attrs

from tests.bench.rows import Goal, Ratios, Row
from tests.bench.timing import Spread

__all__ = ["Figure", "figures", "machine", "to_json", "to_markdown"]

_LIBRARIES = (
    *("attrs", "cattrs", "msgpack", "pydantic", "msgspec", "orjson", "pybase64"),
    *("websockets", "wsproto", "uvicorn"),
)


@attrs.frozen
class Figure:
    """One line of the table."""

    row: Row
    goal: Goal
    spread: Spread
    ratios: Ratios

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.goal.is_met(self.spread)


def figures(row: Row, ratios: Ratios) -> list[Figure]:
    """The lines of one row: one for each of its goals."""
    return [Figure(row, goal, goal.figure(ratios), ratios) for goal in row.goals]


def machine() -> dict[str, str]:
    """What the figures depend on."""
    configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = "--enable-optimizations" in configured
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}, "
        f"{'optimised' if optimised else 'plain'} build",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "libraries": ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def to_markdown(lines: Iterable[Figure], about: dict[str, str]) -> str:
    """The table for people."""
    table = [
        "| work | beside | ratio | quartiles | goal | |",
        "|---|---|--:|--:|--:|---|",
    ]
    for each in lines:
        goal = each.goal
        sign = "≥" if goal.least else "≤"
        unit = f" {each.row.unit}" if each.row.unit else ""
        which = ", worst" if goal.each and len(each.ratios) > 1 else ""
        table.append(
            f"| {each.row.work}{which} | {each.row.peer} | **{_number(each.spread.median)}**{unit} "
            f"| {_number(each.spread.low)} – {_number(each.spread.high)} "
            f"| {sign} {goal.bound:g}{unit} | {'met' if each.met else 'not met'} |"
        )
    told = [f"- {name}: {value}" for name, value in about.items()]
    return "\n".join([*table, "", *told, ""])


def to_json(lines: Iterable[Figure], about: dict[str, str]) -> str:
    """The same for programs, with the median of each case."""
    rows: list[dict[str, Any]] = [
        {
            "name": each.row.name,
            "work": each.row.work,
            "peer": each.row.peer,
            "tier": each.row.tier.name.lower(),
            "figure": attrs.asdict(each.spread),
            "goal": attrs.asdict(each.goal),
            "met": each.met,
            "cases": {name: Spread.of(values).median for name, values in each.ratios.items()},
        }
        for each in lines
    ]
    return json.dumps({"machine": about, "rows": rows}, indent=2, ensure_ascii=False) + "\n"

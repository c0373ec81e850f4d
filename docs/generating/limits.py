"""The page of limits and timeouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.limits import Limits
from generating.markdown import arguments, code, seconds, summary, table


def limits_page() -> list[str]:
    return [
        "# Limits and timeouts",
        "",
        "How much a peer may send, and how long a machine waits: two frozen objects that every channel",
        "takes. What is not given keeps its default.",
        "",
        "## Limits",
        "",
        summary(Limits),
        "",
        *settings(Limits, number),
        "## Timeouts",
        "",
        summary(Timeouts),
        "",
        *settings(Timeouts, seconds),
    ]


def settings(cls: Any, text: Callable[[Any], str]) -> list[str]:
    docs = arguments(cls)
    return table(
        ("field", "default", "unit", "meaning"),
        (
            [code(each.name), text(each.default), unit(each.name, cls), docs[each.name]]
            for each in attrs.fields(cls)
        ),
    )


def unit(name: str, cls: type) -> str:
    if cls is Timeouts:
        return "seconds"
    if name.endswith("bytes"):
        return "bytes"
    return "levels" if name == "nesting" else "count"


def number(value: int) -> str:
    for size, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if value % size == 0:
            return f"{value} ({value // size} {name})"
    return str(value)

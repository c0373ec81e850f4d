"""The page of the values."""

from __future__ import annotations

from enum import Enum
from typing import get_args

from flowstorm_channel import values
from flowstorm_channel.schema import Value
from generating.markdown import arguments, code, enum_docs, link, summary, table
from generating.members import member_table


def values_page() -> list[str]:
    classes = [getattr(values, name) for name in values.__all__]
    wire = [each for each in classes if isinstance(each, type) and issubclass(each, Value)]
    enums = [each for each in classes if isinstance(each, type) and issubclass(each, Enum)]
    lines = [
        "# Values",
        "",
        "What the events carry. A member with a default may be absent or `null`.",
        "",
        "## Objects",
        "",
    ]
    for cls in wire:
        lines += [f"### {cls.__name__}", "", summary(cls), ""]
        if (name := getattr(cls, "TYPE", None)) is not None:
            lines += [f"Its `type` on the wire is {code(name)}.", ""]
        lines += member_table(cls)
    lines += [
        "### Token",
        "",
        f"{' or '.join(link(each) for each in get_args(values.Token))}, told apart by the member `type`.",
        "",
        "### Command",
        "",
        summary(values.Command),
        "",
        *table(("Python", "meaning"), ([code(k), v] for k, v in arguments(values.Command).items())),
        "## Enumerations",
        "",
        "A name must be spelled exactly so. Anything else is refused, and the error lists the names.",
        "",
    ]
    for enum in enums:
        docs = enum_docs(enum)
        rows = ([code(each.value), code(each.name), docs.get(each.name, "")] for each in enum)
        head: tuple[str, ...] = ("wire", "Python", "meaning")
        if not docs:
            head, rows = head[:2], (row[:2] for row in rows)
        lines += [f"### {enum.__name__}", "", summary(enum), "", *table(head, rows)]
    return lines

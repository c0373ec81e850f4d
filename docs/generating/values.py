"""The page of the values."""

from __future__ import annotations

from enum import Enum
from typing import get_args

from flowstorm_channel import values
from flowstorm_channel.schema import Kind, Value
from generating.markdown import arguments, code, enum_docs, link, summary, table
from generating.members import member_table

TYPES = {
    Kind.STRING: ("a text without lone surrogates", "–"),
    Kind.INTEGER: ("a number without fraction and exponent, `5` and not `5.0`, that fits into 64 bits", "–"),
    Kind.NUMBER: ("a number; NaN and infinity are none", "an integer"),
    Kind.BOOLEAN: ("`true` or `false`", "–"),
    Kind.BYTES: (
        "base64, padded; in msgpack bin, and nothing else",
        "base64 without padding, or with the alphabet of URLs; an array of numbers from -128 to 255",
    ),
    Kind.LOCALE: (
        "a language tag with underscores, such as `en` or `en_US` (D-08)",
        "with hyphens; whatever is no tag, such as an empty text, is the default (D-81)",
    ),
    Kind.ZONE: ("a name of the IANA time zone database, or an offset such as `+02:00`", "–"),
    Kind.TIME: (
        "ISO 8601 in UTC without zone, such as `2026-03-14T15:09:26` or `2026-03-14T15:09:26.500` (D-10)",
        "up to nine digits of a fraction, `Z`, an offset; `[2026, 3, 14, 15, 9, 26, 0]`; seconds since 1970",
    ),
    Kind.MAP: ("an object with any names and values", "–"),
}
"""How values are written that are no objects of their own, and in which other forms they are understood."""
NESTED = frozenset((Kind.ENUM, Kind.OBJECT, Kind.LIST, Kind.UNION))
"""What has a section of its own, or is made of the others."""


def values_page() -> list[str]:
    classes = [getattr(values, name) for name in values.__all__]
    wire = [each for each in classes if isinstance(each, type) and issubclass(each, Value)]
    enums = [each for each in classes if isinstance(each, type) and issubclass(each, Enum)]
    lines = [
        "# Values",
        "",
        "What the events carry. A member with a default may be absent or `null`.",
        "",
        "## Types",
        "",
        "How a type is written in JSON, and what else is understood. Anything else is refused.",
        "",
        *table(
            ("type", "is written as", "also accepted"),
            ([code(each.value), *TYPES[each]] for each in Kind if each not in NESTED),
        ),
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

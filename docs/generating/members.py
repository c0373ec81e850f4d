"""The members of the wire classes as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any

import attrs

from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import Kind, Member, Shape, Value, members
from flowstorm_channel.values import LogEntry
from generating.markdown import code, link, listed, table


def kind(shape: Shape, folder: str = "") -> str:
    match shape.kind:
        case Kind.ENUM | Kind.OBJECT:
            text = link(shape.of, folder)
        case Kind.UNION:
            text = " or ".join(link(each, folder) for each in shape.of)
        case Kind.LIST:
            text = f"list of {kind(shape.of, folder)}"
        case _:
            text = f"[{shape.kind.value}]({folder}values.md#types)"
    if shape.choices:
        text += f" ({' or '.join(map(str, shape.choices))})"
    return text


def shown(value: Any) -> str:
    """A default as the wire spells it; None, an absent member, as a dash."""
    match value:
        case None:
            return "–"
        case Enum():
            return code(value.value)
        case Value():
            given = ", ".join(
                f"{each.wire}: {json.dumps(getattr(value, each.name))}"
                for each in members(type(value))
                if each.required
            )
            return code("{" + given + "}")
        case tuple():
            return code(json.dumps(list(value)))
    return code(json.dumps(value, ensure_ascii=False))


def member_rows(cls: type, folder: str) -> Iterator[list[str]]:
    for each in members(cls):
        yield [
            code(each.wire),
            code(each.name),
            kind(each.shape, folder),
            "required" if each.required else shown(each.default),
            listed(also(each)),
            each.doc,
        ]


def also(each: Member) -> Iterator[str]:
    yield from map(code, each.aliases)
    if each.inside is not None:
        yield code(".".join(each.inside))


def member_table(cls: type, folder: str = "") -> list[str]:
    if not members(cls):
        return ["No members.", ""]
    return table(("wire", "Python", "type", "default", "also accepted", "meaning"), member_rows(cls, folder))


def limits_of(cls: type) -> list[str]:
    """The fields of `Limits` that bound what an event or value holds, inside of it, too."""
    found = {"message_bytes", "nesting", "items"}
    for each in every_member(cls):
        found.update(BOUNDS.get(each.shape.kind, ()))
        if each.shape.kind is Kind.LIST and each.shape.of.of is LogEntry:
            found.add("log_entries")
    return [each.name for each in attrs.fields(Limits) if each.name in found]


BOUNDS = {
    Kind.STRING: ("string_bytes",),
    Kind.MAP: ("string_bytes",),
    Kind.BYTES: ("audio_bytes",),
}


def every_member(cls: type) -> Iterator[Member]:
    """The members of a class, and of the classes inside it."""
    if not attrs.has(cls) or not issubclass(cls, Value):
        return
    for each in members(cls):
        yield each
        shape = each.shape.of if each.shape.kind is Kind.LIST else each.shape
        match shape.kind:
            case Kind.OBJECT:
                yield from every_member(shape.of)
            case Kind.UNION:
                for part in shape.of:
                    yield from every_member(part)

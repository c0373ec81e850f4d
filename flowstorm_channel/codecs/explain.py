"""Reading once more, slowly, to say where a message is wrong.

An interpreter of the declarations that knows at every moment where it is. It is written independently of the
compiled functions, and the tests hold the two against each other: they accept the same, make equal objects
of it, and refuse the same.
"""

from __future__ import annotations

from typing import Any

from flowstorm_channel.codecs.compile import last
from flowstorm_channel.codecs.faults import Fault, form, shown
from flowstorm_channel.codecs.scalars import read_bytes, read_time
from flowstorm_channel.codecs.settings import DEFAULTS_OF_THE_CODEC, Settings
from flowstorm_channel.events import SPELLINGS, Event, UnknownEvent
from flowstorm_channel.locales import check_zone, locale_from_wire
from flowstorm_channel.schema import Kind, Member, Shape, members
from flowstorm_channel.values import LogEntry

__all__ = ["read_event", "read_object"]


def read_event(tree: Any, settings: Settings) -> Event:
    """Make the event of a parsed and inspected object.

    Raises:
        Fault: with the place.
    """
    if type(tree) is not dict:
        raise Fault(f"an event must be an object, not {form(tree)}")
    kind = _type(tree)
    if kind not in SPELLINGS:
        return UnknownEvent(data=tree)
    event: Event = read_object(SPELLINGS[kind], tree, settings)
    return event


def _type(tree: dict[str, Any]) -> str:
    kind = tree.get("type")
    if type(kind) is not str:
        problem = f"must be a string, not {form(kind)}" if "type" in tree else "is missing"
        raise Fault(problem).inside("type")
    return kind


def read_object(cls: type, value: Any, settings: Settings) -> Any:
    """Make the object of a class.

    Raises:
        Fault: with the place.
    """
    if type(value) is not dict:
        raise Fault(f"must be an object, not {form(value)}")
    arguments: dict[str, Any] = {}
    for each in members(cls):
        name, given = last(value, (each.wire, *each.aliases), each.inside)
        try:
            if given is not None and not (
                given == "" and each.shape.kind is Kind.LOCALE and not each.required
            ):
                arguments[each.name] = _read(each.shape, given, settings)
            elif each.required:
                raise Fault("must not be null" if name in value else "is missing")
            elif (cls, each.name) in DEFAULTS_OF_THE_CODEC:
                arguments[each.name] = getattr(settings, DEFAULTS_OF_THE_CODEC[cls, each.name])
        except Fault as fault:
            raise _inside(fault, each, name) from None
    return cls(**arguments)


def _inside(fault: Fault, member: Member, name: str) -> Fault:
    if member.inside is not None and name == member.inside[0]:
        fault = fault.inside(member.inside[1])
    return fault.inside(name)


_EXPECTED: dict[Kind, tuple[tuple[type, ...], str]] = {
    Kind.STRING: ((str,), "a string"),
    Kind.LOCALE: ((str,), "a string"),
    Kind.ZONE: ((str,), "a string"),
    Kind.ENUM: ((str,), "a string"),
    Kind.INTEGER: ((int,), "an integer"),
    Kind.NUMBER: ((int, float), "a number"),
    Kind.BOOLEAN: ((bool,), "a boolean"),
    Kind.MAP: ((dict,), "an object"),
    Kind.LIST: ((list,), "an array"),
    Kind.UNION: ((dict,), "an object"),
}


def _read(shape: Shape, value: Any, settings: Settings) -> Any:
    kind = shape.kind
    if kind is Kind.OBJECT:
        return read_object(shape.of, value, settings)
    if kind is Kind.BYTES:
        return read_bytes(value, settings)
    if kind is Kind.TIME:
        return read_time(value)
    types, called = _EXPECTED[kind]
    if type(value) not in types:
        raise Fault(f"must be {called}, not {form(value)}")
    if shape.choices and value not in shape.choices:
        raise Fault(f"{shown(value)} is not one of {', '.join(map(str, shape.choices))}")
    if kind is Kind.LOCALE:
        return locale_from_wire(value)
    if kind is Kind.ZONE:
        return _read_zone(value)
    if kind is Kind.ENUM:
        return _read_enum(shape, value)
    if kind is Kind.LIST:
        return _read_list(shape.of, value, settings)
    if kind is Kind.UNION:
        return _read_union(shape, value, settings)
    return value


def _read_zone(value: str) -> str:
    try:
        return check_zone(value)
    except ValueError:
        raise Fault(f"{shown(value)} is not a known time zone") from None


def _read_enum(shape: Shape, value: str) -> Any:
    try:
        return shape.of(value)
    except ValueError:
        legal = ", ".join(each.value for each in shape.of)
        raise Fault(f"{shown(value)} is not one of {legal}") from None


def _read_list(shape: Shape, value: list[Any], settings: Settings) -> tuple[Any, ...]:
    if shape.of is LogEntry and len(value) > settings.limits.log_entries:
        raise Fault(f"more than {settings.limits.log_entries} log entries", limit=True)
    found: list[Any] = []
    try:
        for each in value:
            found.append(_read(shape, each, settings))  # noqa: PERF401 (its length is the index)
    except Fault as fault:
        raise fault.inside(len(found)) from None
    return tuple(found)


def _read_union(shape: Shape, value: dict[str, Any], settings: Settings) -> Any:
    classes = {cls.TYPE: cls for cls in shape.of}
    kind = _type(value)
    if kind not in classes:
        raise Fault(f"{shown(kind)} is not one of {', '.join(classes)}").inside("type")
    return read_object(classes[kind], value, settings)

"""The fast road out: functions make structs of events, and msgspec writes these.

For `Transcript`::

    def struct(o):
        '''Transcript'''
        v1 = o.confidence
        if not 1e-4 <= v1 < 1e16 and v1:
            raise Doubtful
        return Struct(o.text, v1)

The text is, letter by letter, the one that the ordinary functions write. What msgspec spells in another way
(very great and very small numbers) or does not know (a text of a class derived from str) ends in an
exception, and the event is written in the ordinary way, which says what is wrong when anything is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Any

from flowstorm_channel.codecs import extras
from flowstorm_channel.codecs.compile import GENERATORS, Direction, function, indented
from flowstorm_channel.codecs.structs import Doubtful
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.events import EVENTS, BinaryEvent, Event
from flowstorm_channel.locales import locale_to_wire
from flowstorm_channel.schema import Kind, Member, Shape, members

__all__ = ["FastText", "fast_text"]

FastText = Callable[[Event], str | None]
"""The JSON text of an event, or None when it has to be written in the ordinary way."""

Maker = Callable[[Any], Any]


@cache
def _encoder(msgspec: ModuleType) -> Callable[[Any], bytes]:
    encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
    return encode


@cache
def fast_text(msgspec: ModuleType) -> FastText:
    """What writes an event that is plainly in order."""
    encode = _encoder(msgspec)
    makers: dict[type, Maker] = {}

    def write(event: Event) -> str | None:
        make = makers.get(type(event))
        try:
            if make is None:
                make = makers[type(event)] = _maker(type(event))
            text: str = encode(make(event)).decode()
        except Exception:
            return None
        return text

    return write


def _maker(cls: type) -> Maker:
    if cls is BinaryEvent or EVENTS.get(getattr(cls, "TYPE", "")) is not cls:
        raise Doubtful
    made: Maker = function(cls, Direction.STRUCT)
    return made


def _struct(cls: type, names: dict[str, Any]) -> list[str]:
    names["Doubtful"] = Doubtful
    lines, values = [], []
    for number, each in enumerate(_in_order(cls)):
        value = f"o.{each.name}"
        made = _value(each.shape, f"v{number}", names)
        if made != f"v{number}" or each.shape.kind is Kind.NUMBER:
            lines.append(f"v{number} = {value}")
            value = f"v{number}"
            if each.shape.kind is Kind.NUMBER:
                change = [f"if not 1e-4 <= {value} < 1e16 and {value}:", "    raise Doubtful"]
            else:
                change = [f"{value} = {made}"]
            lines += [f"if {value} is not None:", *indented(change)] if each.shape.optional else change
        values.append(value)
    if (msgspec := extras.msgspec()) is not None:
        names |= {"Struct": _declared(msgspec, cls), "Raw": msgspec.Raw, "encode": _encoder(msgspec)}
    lines.append(f"return Struct({', '.join(values)})")
    return ["def struct(o):", f"    '''{cls.__name__}'''", *indented(lines)]


def _in_order(cls: type) -> list[Member]:
    """The members in the order in which they are written: without a type, what is always there goes first."""
    found = members(cls)
    if hasattr(cls, "TYPE"):
        return [*found]
    first = next((index for index, each in enumerate(found) if not each.shape.optional), 0)
    return [*found[first : first + 1], *found[:first], *found[first + 1 :]]


@cache
def _declared(msgspec: ModuleType, cls: type) -> Any:
    """The struct that is written for a class: None is left out, and nothing else."""
    return msgspec.defstruct(
        cls.__name__,
        [(each.name, Any, msgspec.field(name=each.wire, default=None)) for each in _in_order(cls)],
        tag=getattr(cls, "TYPE", None),  # under the name of "type"
        omit_defaults=True,
        gc=False,
    )


def _value(shape: Shape, value: str, names: dict[str, Any]) -> str:
    """What msgspec is given for a value that is not None."""
    match shape.kind:
        case Kind.LOCALE:
            names["locale_to_wire"] = locale_to_wire
            return f"locale_to_wire({value})"
        case Kind.TIME:
            names["time"] = _time
            return f"time({value}, Raw, encode)"
        case Kind.MAP:
            names["free"] = _free
            return f"free({value}, Raw) if {value} else {{}}"
        case Kind.LIST:
            return f"[{_maker_of(shape.of, names)}(each) for each in {value}] if {value} else ()"
        case Kind.OBJECT | Kind.UNION:
            return f"{_maker_of(shape, names)}({value})"
    return value


_PLAIN = frozenset({str, bool, type(None)})


def _free(tree: Any, raw: Callable[[bytes], Any]) -> Any:
    """A free object as msgspec may write it, or as it is to be written."""
    for name, value in tree.items():
        kind = type(value)
        if type(name) is not str or not (
            kind in _PLAIN
            or (kind is float and 1e-4 <= value < 1e16)
            or (kind is int and -_SAFE < value < _SAFE)
        ):
            return raw(text_of(tree).encode())
    return tree


_SAFE = 2**63


def _time(time: datetime, raw: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Any:
    """A time without zeros at its end: formatting it in Python takes five times as long."""
    text = encode(time)
    return raw(text[:-4] + b'"') if text.endswith(b'000"') else time


def _maker_of(shape: Shape, names: dict[str, Any]) -> str:
    classes = (shape.of,) if shape.kind is Kind.OBJECT else shape.of
    name = "struct_" + "_or_".join(cls.__name__ for cls in classes)
    makers = {cls: function(cls, Direction.STRUCT) for cls in classes}
    names[name] = makers[shape.of] if shape.kind is Kind.OBJECT else _union_maker(makers)
    return name


def _union_maker(makers: dict[type, Maker]) -> Maker:
    def make(value: Any) -> Any:
        return makers[type(value)](value)

    return make


GENERATORS[Direction.STRUCT] = _struct

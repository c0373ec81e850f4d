"""The fast road in: msgspec reads a message into structs, and functions make events of structs.

What msgspec may accept is declared to it once more, out of `schema`: one struct for each wire class, one
decoder for all events. A compiled function per class does what types cannot say, and fills the object; for
`Transcript`::

    def fill(s, settings):
        '''Transcript'''
        new = Twin()
        new.text = s.text
        new.confidence = s.confidence
        new.__class__ = Transcript
        return new

This road is for what is plainly in order. All else (an unknown member, a null in the place of a default, two
names of a member that disagree, a number at the end of its range, and whatever is refused) ends in an
exception, and the codec reads the message anew in the ordinary way. So its verdict, its event and its error
are always those of a codec without msgspec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, reduce
from operator import or_
from types import ModuleType
from typing import Annotated, Any

from flowstorm_channel.codecs.compile import (
    GENERATORS,
    Direction,
    construction,
    default_of,
    function,
    indented,
    target,
)
from flowstorm_channel.codecs.scalars import PLAIN, read_bytes, read_time, usual_time
from flowstorm_channel.codecs.settings import DEFAULTS_OF_THE_CODEC, Settings
from flowstorm_channel.codecs.trees import settle
from flowstorm_channel.codecs.unpack import unpack
from flowstorm_channel.events import SPELLINGS, BinaryEvent, Event
from flowstorm_channel.limits import DEFAULT_LIMITS
from flowstorm_channel.locales import check_zone, locale_from_wire
from flowstorm_channel.schema import Kind, Member, Shape, members
from flowstorm_channel.values import LogEntry
from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = ["ELEMENTS", "FREE_NAME", "Doubtful", "Structs", "structs"]

Filler = Callable[[Any, Settings], Any]


class Doubtful(ValueError):
    """Not for this road."""


class Structs:
    """The structs of one form of the wire, and what makes events of them.

    Args:
        msgspec: the module.
        binary: the form is msgpack, in which bytes are bytes; else JSON.
    """

    def __init__(self, msgspec: ModuleType, *, binary: bool) -> None:
        self._msgspec = msgspec
        self._binary = binary
        self._made: dict[type, type] = {}
        self._events: dict[type, type[Event]] = {}
        for spelling, cls in SPELLINGS.items():
            # Another name of an event is another tag, and that needs another struct.
            base = self._struct(cls)
            made = msgspec.defstruct(
                cls.__name__,
                [],
                bases=(base,),
                namespace={"fill": _compiling(cls)},
                tag=spelling,  # under the name of "type"
                gc=False,
            )
            self._events[made] = cls
        form = msgspec.msgpack if binary else msgspec.json
        self.decode: Callable[[Any], Any] = form.Decoder(reduce(or_, self._events)).decode
        """Makes a struct of a whole message; its method `fill` makes an event of it and `Settings`."""
        self.free: Mapping[type, Callable[[Any], int]] = {
            made: _counter(paths) for made, cls in self._events.items() if (paths := _free_objects(cls))
        }
        """What counts the free objects in a struct, by its class; for those that can hold any."""
        self.blocks = frozenset(made for made, cls in self._events.items() if cls is BinaryEvent)
        """The structs of `BinaryEvent`."""

    def _struct(self, cls: type) -> type:
        made = self._made.get(cls)
        if made is None:
            made = self._made[cls] = self._msgspec.defstruct(
                cls.__name__,
                [field for each in members(cls) for field in self._fields(cls, each)],
                tag=getattr(cls, "TYPE", None),  # under the name of "type"
                forbid_unknown_fields=True,
                kw_only=True,
                gc=False,  # nothing inside leads back to it
            )
        return made

    def _fields(self, cls: type, each: Member) -> list[tuple[str, Any, Any]]:
        declared, field = self._type(each.shape), self._msgspec.field
        if each.aliases:
            names = (each.wire, *each.aliases)
            return [(_field(each, wire), declared | None, field(name=wire, default=None)) for wire in names]
        if each.required:
            return [(each.name, declared, field(name=each.wire))]
        if _struct_brings_default(cls, each):
            return [(each.name, declared, field(name=each.wire, default=each.default))]
        # What is packed may also be a null, and is in no union.
        nullable = declared if declared is self._msgspec.Raw else declared | None
        return [(each.name, nullable, field(name=each.wire, default=None))]

    def _type(self, shape: Shape) -> Any:
        kind, meta = shape.kind, self._msgspec.Meta
        match kind:
            case Kind.INTEGER:
                return Annotated[int, meta(ge=-(2**63), le=2**63 - 1)]
            case Kind.NUMBER:
                # Integers come as floats too. Those that may not have fitted into 64 bits are not for here.
                return Annotated[float, meta(ge=-PLAIN, le=PLAIN)]
            case Kind.BOOLEAN:
                return bool
            case Kind.BYTES:
                return bytes if self._binary else str
            case Kind.MAP:
                # msgspec would not look at what a doubled name hides: an extension, the name of a member.
                return self._msgspec.Raw if self._binary else dict[str, Any]
            case Kind.ENUM:
                return shape.of
            case Kind.OBJECT:
                return self._struct(shape.of)
            case Kind.LIST:
                return Annotated[list[self._type(shape.of)], meta(max_length=ELEMENTS)]  # type: ignore[misc]
            case Kind.UNION:
                return reduce(or_, map(self._struct, shape.of))
        return str


@cache
def structs(msgspec: ModuleType, *, binary: bool) -> Structs:
    """The structs of msgpack or of JSON, made at first use."""
    return Structs(msgspec, binary=binary)


def _compiling(cls: type) -> Filler:
    """A method that puts the compiled function in its place."""

    def fill(s: Any, settings: Settings) -> Any:
        type(s).fill = made = function(cls, Direction.FILL)
        return made(s, settings)

    return fill


def _field(each: Member, wire: str) -> str:
    return each.name if wire == each.wire else f"{each.name}_as_{wire}"


def _struct_brings_default(cls: type, each: Member) -> bool:
    """Whether an absent member needs nothing more. Then null is not for this road."""
    return (
        each.shape.kind in (Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.ENUM)
        and each.default is not None
        and (cls, each.name) not in DEFAULTS_OF_THE_CODEC
    )


# ------------------------------------------------------------ what the declarations imply

ELEMENTS = DEFAULT_LIMITS.items
"""How long an array may be on this road, of whatever limits."""


def _free_objects(cls: type) -> list[str]:
    """Where a struct holds free objects, as paths of attributes."""
    paths = []
    for each in members(cls):
        if each.shape.kind is Kind.MAP:
            if each.wire != FREE_NAME or each.aliases:
                raise TypeError(f"{cls.__name__}.{each.name} is not called {FREE_NAME!r}, and nothing else")
            paths.append(each.name)
        elif each.shape.kind is Kind.OBJECT:
            paths += [f"{each.name}.{path}" for path in _free_objects(each.shape.of)]
    return paths


FREE_NAME = "attributes"
"""What all free objects are called on the wire."""


def _counter(paths: list[str]) -> Callable[[Any], int]:
    expression = " + ".join(f"(s.{path} is not None)" for path in paths)
    count: Callable[[Any], int] = eval(f"lambda s: {expression}")
    return count


# ------------------------------------------------------------ filling


def _fill(cls: type, names: dict[str, Any]) -> list[str]:
    names["Doubtful"] = Doubtful
    filled = [line for each in members(cls) for line in _fill_member(cls, each, names)]
    lines = construction(cls, filled, names)
    return ["def fill(s, settings):", f"    '''{cls.__name__}'''", *indented(lines)]


def _fill_member(cls: type, each: Member, names: dict[str, Any]) -> list[str]:
    place, value = target(each), _value(each.shape, names)
    checks = _checks(each.shape)
    as_it_is = each.required or each.default is None or _struct_brings_default(cls, each)
    if as_it_is and value == "v" and not checks and not each.aliases:
        return [f"{place} = s.{each.name}"]
    lines = [f"v = s.{each.name}"]
    for wire in each.aliases:
        lines += [
            f"w = s.{_field(each, wire)}",
            "if v is None:",
            "    v = w",
            "elif w is not None and w != v:",
            "    raise Doubtful",
        ]
    assignment = [*checks, f"{place} = {value}"]
    if each.required and each.aliases:
        lines += ["if v is None:", "    raise Doubtful"]
    if each.required or (_struct_brings_default(cls, each) and not each.aliases):
        return [*lines, *assignment]
    absent = "not v" if each.shape.kind is Kind.LOCALE else "v is None"
    default = default_of(cls, each, names)
    return [*lines, f"if {absent}:", f"    {place} = {default}", "else:", *indented(assignment)]


def _checks(shape: Shape) -> list[str]:
    checks = []
    if shape.choices:
        checks.append(f"if v not in {shape.choices!r}:")
    elif shape.kind is Kind.LIST and shape.of.of is LogEntry:
        checks.append("if len(v) > settings.limits.log_entries:")
    return [line for check in checks for line in (check, "    raise Doubtful")]


def _value(shape: Shape, names: dict[str, Any]) -> str:
    """What becomes of `v`."""
    match shape.kind:
        case Kind.LOCALE:
            names["locale_from_wire"] = locale_from_wire
            return "locale_from_wire(v)"
        case Kind.ZONE:
            names |= {"ZONE_NAMES": ZONE_NAMES, "check_zone": check_zone}
            return "v if v in ZONE_NAMES else check_zone(v)"
        case Kind.TIME:
            names |= {"read_time": read_time, "usual_time": usual_time}
            return "usual_time(v) or read_time(v)"
        case Kind.BYTES:
            names["read_bytes"] = read_bytes
            return "read_bytes(v, settings)"
        case Kind.MAP:
            names["free_object"] = _free_object
            return "free_object(v, settings)"
        case Kind.LIST:
            filler = _filler_of(shape.of, names)
            return f"tuple([{filler}(each, settings) for each in v])"
        case Kind.OBJECT | Kind.UNION:
            return f"{_filler_of(shape, names)}(v, settings)"
    return "v"


def _free_object(value: Any, settings: Settings) -> dict[str, Any]:
    """Return what JSON, or msgpack that is still packed, holds.

    Raises:
        ValueError: it is for another road.
    """
    return settle(value if type(value) is dict else unpack(value), settings)


def _filler_of(shape: Shape, names: dict[str, Any]) -> str:
    classes = (shape.of,) if shape.kind is Kind.OBJECT else shape.of
    name = "fill_" + "_or_".join(cls.__name__ for cls in classes)
    fillers = {cls.__name__: function(cls, Direction.FILL) for cls in classes}
    names[name] = function(shape.of, Direction.FILL) if shape.kind is Kind.OBJECT else _union_filler(fillers)
    return name


def _union_filler(fillers: dict[str, Filler]) -> Filler:
    def fill(s: Any, settings: Settings) -> Any:
        return fillers[type(s).__name__](s, settings)  # structs are called as their classes are

    return fill


GENERATORS[Direction.FILL] = _fill

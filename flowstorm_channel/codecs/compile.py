"""Functions compiled from the declarations in `schema`: one per class and direction.

The declarations are read once, at first use, and turned into plain Python source: checks inline, no dispatch,
no look at an annotation while a message is in flight. `source()` shows what was made; for `Transcript`::

    def read(o, settings):
        '''Transcript'''
        if type(o) is not dict:
            raise Fault("must be an object")
        new = Twin()
        n = 1
        v = o["text"]
        if type(v) is not str:
            raise Fault("text must be a string")
        new.text = v
        if "confidence" in o and (v := o["confidence"]) is not None:
            n += 1
            new.confidence = v if type(v) is float and lowest <= v <= highest else number(v, settings)
        else:
            new.confidence = default_confidence
        if n != len(o) and settings.exact and not known(o):
            raise Fault("there is more in it")
        new.__class__ = Transcript
        return new

Three things make these functions short and fast:

* What they read has been parsed, and all text in it is real: there are no lone surrogates. Where nothing else
  is known of it (`Settings.exact`), they accept only what they look at themselves: members are counted, so
  that one that is declared nowhere is noticed.
* They know no places. Any KeyError, TypeError or ValueError out of them means that the message is refused,
  and `explain` reads it again, slowly, to tell where and why.
* An object is filled as a *twin*: an instance of a subclass without slots of its own that may be written to,
  and that becomes an instance of the frozen class at the end. The constructor of a frozen class costs three
  to five times as much. It goes around converters and validators, so classes that have other ones than
  `schema.wire_class` gives them are refused. Where threads run freely, assigning `__class__` stops all of
  them: there the ordinary constructor is used.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from json.encoder import encode_basestring
from typing import Any, TypeVar

import attrs

from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.scalars import PLAIN, number, read_bytes, read_time, to_base64, write_time
from flowstorm_channel.codecs.settings import DEFAULTS_OF_THE_CODEC, Settings
from flowstorm_channel.codecs.trees import plain_of, settle, text_of
from flowstorm_channel.locales import check_zone, locale_from_wire, locale_to_wire
from flowstorm_channel.schema import INTEGERS, Kind, Member, Shape, members
from flowstorm_channel.values import LogEntry
from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = ["Direction", "last", "maker", "plain_writer", "reader", "source", "text_writer"]

TWINS: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether objects are built as twins."""

Reader = Callable[[Any, Settings], Any]
TextWriter = Callable[[Any], str]
PlainWriter = Callable[[Any], dict[str, Any]]
T = TypeVar("T")


class Direction(Enum):
    """What a compiled function does."""

    READ = "read"
    """Parsed JSON or msgpack, and `Settings`, to an object."""
    TEXT = "text"
    """An object to JSON text."""
    PLAIN = "plain"
    """An object to what msgpack packs: dict, list, str, bytes …"""
    MAKE = "make"
    """Values that need no check, as keywords, to an object."""
    FILL = "fill"
    """A struct that msgspec made, and `Settings`, to an object."""
    STRUCT = "struct"
    """An object to a struct that msgspec writes."""


def reader(cls: type) -> Reader:
    """The function that makes an object of a class, or of one of the classes of a union, of a parsed one."""
    made: Reader = function(cls, Direction.READ)
    return made


def text_writer(cls: type) -> TextWriter:
    """The function that makes JSON text of an object of a class."""
    made: TextWriter = function(cls, Direction.TEXT)
    return made


def plain_writer(cls: type) -> PlainWriter:
    """The function that makes plain Python of an object of a class."""
    made: PlainWriter = function(cls, Direction.PLAIN)
    return made


def maker(cls: type[T]) -> Callable[..., T]:
    """The constructor of a class without its checks: for values that have been checked, by keyword."""
    made: Callable[..., T] = function(cls, Direction.MAKE)
    return made


_FUNCTIONS: dict[tuple[type, Direction, bool], Any] = {}


def function(cls: type, direction: Direction) -> Any:
    """The compiled function of a class for a direction."""
    key = cls, direction, TWINS
    found = _FUNCTIONS.get(key)
    if found is None:
        text, names = _generate(cls, direction)
        # Known to linecache, it is shown in tracebacks and debuggers like any other source.
        file = f"<flowstorm_channel.codecs {direction.value} {cls.__name__}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), names)
        found = _FUNCTIONS[key] = names[direction.value]
    return found


def source(cls: type, direction: Direction = Direction.READ) -> str:
    """The source of a compiled function, for documentation and debugging."""
    return _generate(cls, direction)[0]


def _generate(cls: type, direction: Direction) -> tuple[str, dict[str, Any]]:
    _check(cls)
    names: dict[str, Any] = {cls.__name__: cls, "Fault": Fault}
    lines = GENERATORS[direction](cls, names)
    return "\n".join(lines) + "\n", names


_PLAIN_TEXT = re.compile(r"[\w-]+", re.ASCII)


def _check(cls: type) -> None:
    """Refuse a class that does more on construction than a generated function does in its place."""
    fields = attrs.fields(cls)
    if hasattr(cls, "__attrs_post_init__") or any(field.validator is not None for field in fields):
        raise TypeError(f"{cls.__name__} has validators: declare it with wire_class")
    for each in members(cls):
        # They are put between quotes as they are.
        if not _PLAIN_TEXT.fullmatch(each.wire):
            raise TypeError(f"{cls.__name__}: {each.wire!r} is no name for a member")
        if each.shape.kind is Kind.LIST and each.shape.of.kind not in (Kind.OBJECT, Kind.UNION):
            raise TypeError(f"{cls.__name__}.{each.name}: lists are of objects")


def indented(lines: list[str], by: int = 1) -> Iterator[str]:
    """Lines of a block."""
    return ("    " * by + line for line in lines)


# ------------------------------------------------------------ reading


def _read(cls: type, names: dict[str, Any]) -> list[str]:
    lines = ["if type(o) is not dict:", '    raise Fault("must be an object")']
    sure = [each.wire for each in members(cls) if each.required and not each.aliases]
    spelled = {name for each in members(cls) for name in (each.wire, *each.aliases)}
    if hasattr(cls, "TYPE"):  # whoever calls has looked at it
        sure.append("type")
        spelled.add("type")
    names["known"] = spelled.issuperset
    filled = [
        f"n = {len(sure)}",
        *(line for each in members(cls) for line in _read_member(cls, each, names)),
        "if n != len(o) and settings.exact and not known(o):",
        '    raise Fault("there is more in it")',
    ]
    lines += construction(cls, filled, names)
    return ["def read(o, settings):", f"    '''{cls.__name__}'''", *indented(lines)]


def construction(cls: type, filled: list[str], names: dict[str, Any]) -> list[str]:
    """Lines that return an object, around those that assign its members: see `target`."""
    if TWINS:
        names["Twin"] = _twin(cls)
        return ["new = Twin()", *filled, f"new.__class__ = {cls.__name__}", "return new"]
    arguments = ", ".join(f"{each.name}={target(each)}" for each in members(cls))
    return [*filled, f"return {cls.__name__}({arguments})"]


def target(each: Member) -> str:
    """What the value of a member is assigned to."""
    return f"new.{each.name}" if TWINS else f"new_{each.name}"


def _twin(cls: type) -> type:
    # Setting and deleting share one slot of a type: only when both are the plain ones does it stay fast.
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(cls)(f"{cls.__name__}Twin", (cls,), {"__slots__": (), **plain})


def _read_member(cls: type, each: Member, names: dict[str, Any]) -> list[str]:
    place = target(each)
    get, is_given = _winner(each, names)
    lines = _read_value(each.shape, each.wire, place, names)
    if each.required:
        # Absent, it is a KeyError; null, it is of a wrong type.
        return [*get, *lines] if get else [f'v = o["{each.wire}"]', *lines]
    default = default_of(cls, each, names)
    if each.shape.kind is Kind.LOCALE:
        is_given += ' and v != ""'
    return [*get, f"if {is_given}:", *indented(["n += 1", *lines]), "else:", f"    {place} = {default}"]


def default_of(cls: type, each: Member, names: dict[str, Any]) -> str:
    """An expression for the default of a member."""
    if (cls, each.name) in DEFAULTS_OF_THE_CODEC:
        return f"settings.{DEFAULTS_OF_THE_CODEC[cls, each.name]}"
    if each.shape.kind is Kind.MAP:
        return "{}"  # a fresh one: a map can be changed
    if each.default is None or each.default is True or each.default is False:
        return repr(each.default)
    # Once through the checks of the class, which make a Locale of a str.
    names[f"default_{each.name}"] = _checked_default(cls, each)
    return f"default_{each.name}"


def _checked_default(cls: type, each: Member) -> Any:
    convert = getattr(attrs.fields_dict(cls)[each.name], "converter", None)
    return convert(each.default) if callable(convert) else each.default


def _winner(each: Member, names: dict[str, Any]) -> tuple[list[str], str]:
    """How to get at a member that has one name, or several (D-03).

    Returns: lines that set `v`, and the condition for its being given.
    """
    if not each.aliases and each.inside is None:
        return [], f'"{each.wire}" in o and (v := o["{each.wire}"]) is not None'
    names |= {
        "last": last,
        f"names_of_{each.name}": (each.wire, *each.aliases),
        f"inside_{each.name}": each.inside,
    }
    others = [*each.aliases, *(each.inside or ())[:1]]
    look = f"v = last(o, names_of_{each.name}, inside_{each.name})[1]"
    lines = [f'v = o.get("{each.wire}")']
    if each.inside is None and len(others) == 1:
        # Clients that send both names send the same value twice; then there is nothing to decide.
        lines += [
            f'if "{others[0]}" in o:',
            f'    w = o["{others[0]}"]',
            "    if w != v or type(w) is not type(v):",
            f"        {look}",
        ]
    else:
        lines += ["if " + " or ".join(f'"{name}" in o' for name in others) + ":", f"    {look}"]
    return lines, "v is not None"


def last(o: dict[str, Any], names: tuple[str, ...], inside: tuple[str, str] | None) -> tuple[str, Any]:
    """Of all names of a member the last one in the object with a value other than null, and the value (D-03).

    Args:
        inside: see `Member`.
    """
    found: tuple[str, Any] = names[0], None
    for key, value in o.items():
        if key in names:
            if value is not None:
                found = key, value
        elif inside is not None and key == inside[0] and type(value) is dict:
            inner = value.get(inside[1])
            if inner is not None:
                found = key, inner
    return found


_SCALARS = {
    Kind.STRING: ("type(v) is not str", "a string"),
    Kind.INTEGER: (
        f"type(v) is not int or not {INTEGERS.start} <= v < {INTEGERS.stop}",
        "an integer of 64 bits",
    ),
    Kind.BOOLEAN: ("type(v) is not bool", "a boolean"),
}


def _read_value(shape: Shape, wire: str, place: str, names: dict[str, Any]) -> list[str]:
    """Lines that check `v` and assign it to `place`."""
    kind = shape.kind
    if kind in _SCALARS:
        is_other, called = _SCALARS[kind]
        lines = [f"if {is_other}:", f'    raise Fault("{wire} must be {called}")']
        if shape.choices:
            lines += [f"if v not in {shape.choices!r}:", f'    raise Fault("{wire} has no legal value")']
        return [*lines, f"{place} = v"]
    if kind is Kind.NUMBER:
        names |= {"lowest": -PLAIN, "highest": PLAIN, "number": number}
        return [f"{place} = v if type(v) is float and lowest <= v <= highest else number(v, settings)"]
    if kind is Kind.MAP:
        names["settle"] = settle
        return [f"{place} = settle(v, settings)"]
    if kind is Kind.ENUM:
        names[shape.of.__name__] = {each.value: each for each in shape.of}
        return [f"{place} = {shape.of.__name__}[v]"]
    if kind is Kind.LOCALE:
        names["locale_from_wire"] = locale_from_wire
        return [
            "if type(v) is not str:",
            f'    raise Fault("{wire} must be a string")',
            f"{place} = locale_from_wire(v)",
        ]
    if kind is Kind.ZONE:
        names |= {"ZONE_NAMES": ZONE_NAMES, "check_zone": check_zone}
        return [f"{place} = v if v in ZONE_NAMES else check_zone(v)"]
    if kind is Kind.TIME:
        names["read_time"] = read_time
        return [f"{place} = read_time(v)"]
    if kind is Kind.BYTES:
        names["read_bytes"] = read_bytes
        return [f"{place} = read_bytes(v, settings)"]
    if kind is Kind.LIST:
        return _read_list(shape.of, wire, place, names)
    return [f"{place} = {_reader_of(shape, names)}(v, settings)"]


def _read_list(element: Shape, wire: str, place: str, names: dict[str, Any]) -> list[str]:
    lines = ["if type(v) is not list:", f'    raise Fault("{wire} must be an array")']
    if element.of is LogEntry:
        lines += [
            "if len(v) > settings.limits.log_entries:",
            f'    raise Fault("more {wire} than allowed")',
        ]
    read = _reader_of(element, names)
    return [*lines, f"{place} = tuple([{read}(each, settings) for each in v])"]


def _reader_of(shape: Shape, names: dict[str, Any]) -> str:
    if shape.kind is Kind.OBJECT:
        name = f"read_{shape.of.__name__}"
        names[name] = reader(shape.of)
        return name
    name = "read_" + "_or_".join(cls.__name__ for cls in shape.of)
    names[name] = _union_reader({cls.TYPE: reader(cls) for cls in shape.of})
    return name


def _union_reader(readers: dict[str, Reader]) -> Reader:
    def read(o: Any, settings: Settings) -> Any:
        return readers[o["type"]](o, settings)

    return read


# ------------------------------------------------------------ making


def _make(cls: type, names: dict[str, Any]) -> list[str]:
    parameters, filled = [], []
    for each in members(cls):
        if each.required:
            parameters.append(each.name)
        elif each.shape.kind is Kind.MAP:
            parameters.append(f"{each.name}=None")
            filled.append(f"if {each.name} is None: {each.name} = {{}}")
        else:
            names[f"default_{each.name}"] = _checked_default(cls, each)
            parameters.append(f"{each.name}=default_{each.name}")
        filled.append(f"{target(each)} = {each.name}")
    head = f"def make(*, {', '.join(parameters)}):" if parameters else "def make():"
    return [head, f"    '''{cls.__name__}'''", *indented(construction(cls, filled, names))]


# ------------------------------------------------------------ writing JSON text


def _text(cls: type, names: dict[str, Any]) -> list[str]:
    """One f-string per class. Optional members become variables first: empty, or with their comma."""
    lines = []
    pieces: list[tuple[str, bool]] = []
    kind = getattr(cls, "TYPE", None)
    if kind is not None:
        pieces.append((f'"type":"{kind}"', False))
    for each in members(cls):
        value = f"o.{each.name}"
        if each.shape.optional:
            lines.append(f"{each.name}_ = {value}")
            value = f"{each.name}_"
        piece = f'"{each.wire}":' + _text_of_value(each.shape, value, names)
        if each.shape.optional:
            lines.append(f"{value} = \"\" if {value} is None else f',{piece}'")
            piece = f"{{{value}}}"
        pieces.append((piece, each.shape.optional))
    start = next((index for index, (_, optional) in enumerate(pieces) if not optional), None)
    if start is None:
        # Nothing is sure to come first: whatever does has a comma too many.
        inner = "".join(piece for piece, _ in pieces)
        lines.append(f"return '{{' + f'{inner}'[1:] + '}}'")
    else:
        # What is sure to be there goes first, so that every optional member has something before its comma.
        ordered = [pieces[start], *pieces[:start], *pieces[start + 1 :]]
        inner = "".join(piece if optional else f",{piece}" for piece, optional in ordered)[1:]
        lines.append(f"return f'{{{{{inner}}}}}'")
    return ["def text(o):", f"    '''{cls.__name__}'''", *indented(lines)]


def _text_of_value(shape: Shape, value: str, names: dict[str, Any]) -> str:
    """A piece of an f-string in single quotes that writes the value."""
    kind = shape.kind
    if kind is Kind.STRING:
        names["quote"] = encode_basestring
        return f"{{quote({value})}}"
    if kind is Kind.INTEGER:
        names["digits"] = int.__repr__  # not of a subclass: an enumeration's shows its name
        return f"{{digits({value})}}"
    if kind is Kind.NUMBER:
        return f"{{{value}!r}}"
    if kind is Kind.BOOLEAN:
        return f'{{"true" if {value} else "false"}}'
    if kind is Kind.LOCALE:
        names["locale_to_wire"] = locale_to_wire
        return f'"{{locale_to_wire({value})}}"'
    if kind is Kind.ZONE:
        return f'"{{{value}}}"'
    if kind is Kind.ENUM:
        _check_enum(shape.of)
        return f'"{{{value}._value_}}"'  # `.value` is a descriptor written in Python before 3.12
    if kind is Kind.TIME:
        names["write_time"] = write_time
        return f'"{{write_time({value})}}"'
    if kind is Kind.BYTES:
        names["to_base64"] = to_base64
        return f'"{{to_base64({value})}}"'
    if kind is Kind.MAP:
        names["text_of"] = text_of
        return f'{{text_of({value}) if {value} else "{{}}"}}'
    if kind is Kind.LIST:
        write = _writer_of(shape.of, Direction.TEXT, names)
        return f'[{{",".join([{write}(each) for each in {value}]) if {value} else ""}}]'
    return f"{{{_writer_of(shape, Direction.TEXT, names)}({value})}}"


def _check_enum(cls: type[Enum]) -> None:
    if not all(isinstance(each.value, str) and _PLAIN_TEXT.fullmatch(each.value) for each in cls):
        raise TypeError(f"{cls.__name__}: its values are put between quotes as they are")


def _writer_of(shape: Shape, direction: Direction, names: dict[str, Any]) -> str:
    if shape.kind is Kind.OBJECT:
        name = f"{direction.value}_{shape.of.__name__}"
        names[name] = function(shape.of, direction)
        return name
    name = f"{direction.value}_" + "_or_".join(cls.__name__ for cls in shape.of)
    names[name] = _union_writer({cls: function(cls, direction) for cls in shape.of})
    return name


def _union_writer(writers: dict[type, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def write(value: Any) -> Any:
        return writers[type(value)](value)

    return write


# ------------------------------------------------------------ writing plain Python


def _plain(cls: type, names: dict[str, Any]) -> list[str]:
    """One dict display per class with what is always there; optional members after it."""
    kind = getattr(cls, "TYPE", None)
    pieces = [] if kind is None else [f'"type": "{kind}",']
    lines = []
    for each in members(cls):
        value = _plain_value(each.shape, f"o.{each.name}", names)
        if each.shape.optional:
            lines += [f"if o.{each.name} is not None:", f'    p["{each.wire}"] = {value}']
        else:
            pieces.append(f'"{each.wire}": {value},')
    body = ["p = {", *indented(pieces), "}", *lines, "return p"]
    return ["def plain(o):", f"    '''{cls.__name__}'''", *indented(body)]


def _plain_value(shape: Shape, value: str, names: dict[str, Any]) -> str:
    kind = shape.kind
    if kind in (Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.ZONE, Kind.BYTES):
        return value
    if kind is Kind.LOCALE:
        names["locale_to_wire"] = locale_to_wire
        return f"locale_to_wire({value})"
    if kind is Kind.ENUM:
        return f"{value}._value_"
    if kind is Kind.TIME:
        names["write_time"] = write_time
        return f"write_time({value})"
    if kind is Kind.MAP:
        names["plain_of"] = plain_of
        return f"plain_of({value})"
    if kind is Kind.LIST:
        write = _writer_of(shape.of, Direction.PLAIN, names)
        return f"[{write}(each) for each in {value}]"
    return f"{_writer_of(shape, Direction.PLAIN, names)}({value})"


GENERATORS: dict[Direction, Callable[[type, dict[str, Any]], list[str]]] = {
    Direction.READ: _read,
    Direction.TEXT: _text,
    Direction.PLAIN: _plain,
    Direction.MAKE: _make,
}
"""What writes the source for a class, and gathers the names in it. `structs` and `encode` add more,
once they are imported: when msgspec is first used."""

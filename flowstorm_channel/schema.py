"""How a class of the wire is declared, once, for validation, codecs, documentation and schemas.

A wire class is a frozen, slotted, keyword-only attrs class whose annotations say everything::

    @wire_class
    class Transcript(Value):
        text: str
        confidence: float = member(default=1.0)

The name on the wire is the camelCase of the Python name unless `member` says another. `members()` reads
the declaration back as `Member` and `Shape` objects; nothing else in the package looks at annotations.
"""

import enum
import math
import sys
import types
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    Union,
    get_args,
    get_origin,
    overload,
)

import attrs

from flowstorm_channel.locales import Locale, check_zone, locale_from_wire

if TYPE_CHECKING or sys.version_info < (3, 11):
    from typing_extensions import dataclass_transform
else:
    from typing import dataclass_transform

__all__ = [
    "JsonMap",
    "Kind",
    "LocaleTag",
    "Member",
    "Moment",
    "Shape",
    "Value",
    "ZoneName",
    "member",
    "members",
    "wire_class",
]

T = TypeVar("T")
V = TypeVar("V", bound="Value")

INTEGERS = range(-(2**63), 2**64)
"""What a whole number may be: what msgpack and the integers of other languages can carry."""


class Kind(enum.Enum):
    """What a member holds."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and tables are looked up all the time

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    LOCALE = "locale"
    ZONE = "zone"
    TIME = "time"
    MAP = "map"
    ENUM = "enum"
    OBJECT = "object"
    LIST = "list"
    UNION = "union"


LocaleTag = Annotated[str, Kind.LOCALE]
"""A BCP 47 language tag (``en-US``); a `Locale` once it is in an object."""
ZoneName = Annotated[str, Kind.ZONE]
"""An IANA time zone name (``Europe/Prague``) or an offset (``+02:00``)."""
Moment = Annotated[datetime, Kind.TIME]
"""A time without zone, to be read as UTC."""
JsonMap = Annotated[Mapping[str, Any], Kind.MAP]
"""An object of JSON values (bytes too, on msgpack) that is kept as it is."""


@attrs.frozen
class Shape:
    """What one annotation says.

    Args:
        kind: what the value is.
        of: the class of an ENUM or OBJECT, the element's shape of a LIST, the classes of a UNION.
        optional: None is a value.
        choices: the only legal values, when not all of the kind are.
    """

    kind: Kind
    of: Any = None
    optional: bool = False
    choices: tuple[Any, ...] = ()


@attrs.frozen(kw_only=True)
class Member:
    """One member of a wire class.

    Args:
        name: in Python.
        wire: on the wire.
        shape: what it holds.
        required: a decoder refuses an object without it.
        default: the value when it is absent or null (a fresh one for a map); None for a required member.
        aliases: other names that a decoder accepts; of all names the last one in the object wins (D-03).
        inside: a member of the object ``inside[0]`` that counts too, as its ``inside[1]``.
        secret: it is not shown, so that it does not get into logs.
        doc: one line for the reference, with units.
    """

    name: str
    wire: str
    shape: Shape
    required: bool
    default: Any = None
    aliases: tuple[str, ...] = ()
    inside: tuple[str, str] | None = None
    secret: bool = False
    doc: str = ""


@overload
def member(
    *,
    wire: str | None = ...,
    aliases: tuple[str, ...] = ...,
    inside: tuple[str, str] | None = ...,
    choices: tuple[Any, ...] = ...,
    secret: bool = ...,
    doc: str = ...,
) -> Any: ...
@overload
def member(
    *,
    default: T,
    wire: str | None = ...,
    aliases: tuple[str, ...] = ...,
    inside: tuple[str, str] | None = ...,
    choices: tuple[Any, ...] = ...,
    secret: bool = ...,
    doc: str = ...,
) -> T: ...
@overload
def member(
    *,
    factory: Callable[[], T],
    wire: str | None = ...,
    aliases: tuple[str, ...] = ...,
    inside: tuple[str, str] | None = ...,
    choices: tuple[Any, ...] = ...,
    secret: bool = ...,
    doc: str = ...,
) -> T: ...
def member(
    *,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    wire: str | None = None,
    aliases: tuple[str, ...] = (),
    inside: tuple[str, str] | None = None,
    choices: tuple[Any, ...] = (),
    secret: bool = False,
    doc: str = "",
) -> Any:
    """Declare a member; see `Member` for the arguments. Without `default` and `factory` it is required."""
    metadata = {"wire": wire, "aliases": aliases, "inside": inside, "choices": choices, "doc": doc}
    return attrs.field(
        default=attrs.Factory(factory) if factory is not None else default,
        metadata={**metadata, "secret": secret},
    )


class Value:
    """Base of all wire classes: compared by value, printed without what is default."""

    __slots__ = ()

    def replace(self: V, **changes: Any) -> V:
        """A copy with some members changed, checked like any new object.

        Raises:
            TypeError: a member is of the wrong type, or there is none of that name.
            ValueError: a member has no legal value.
        """
        cls = type(self)
        copier = _COPIERS.get(cls)
        if copier is None:  # a subclass of the host's own
            return attrs.evolve(self, **changes)  # type: ignore[misc]
        # What stays was checked before: copying it costs a fifth of constructing the whole anew.
        shared, maps, converters = copier
        new = cls.__new__(cls)
        for name in shared:
            _put(new, name, getattr(self, name))
        for name in maps:
            _put(new, name, converters[name](getattr(self, name)))
        for name, value in changes.items():
            if name not in converters:
                raise TypeError(f"{cls.__name__} has no member {name!r}")
            _put(new, name, converters[name](value))
        return new

    __replace__ = replace

    def __repr__(self) -> str:
        parts = []
        for each in members(type(self)):
            value = getattr(self, each.name)
            if each.required or value != each.default:
                parts.append(f"{each.name}={'<hidden>' if each.secret and value else _shown(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


_put = object.__setattr__
_COPIERS: dict[type, tuple[tuple[str, ...], tuple[str, ...], dict[str, Callable[[Any], Any]]]] = {}
"""Of each wire class the members that a copy shares, the maps, which can be changed and are copied, and what
the class does with a value for any."""


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value) if isinstance(value, enum.Enum) else repr(value)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(member, attrs.field))
def wire_class(cls: type[T]) -> type[T]:
    """Make a wire class of an annotated class: frozen, slotted, keyword-only, checked on construction.

    Construction raises TypeError or ValueError for a member of the wrong type or value.
    """
    made = attrs.frozen(cls, kw_only=True, slots=True, repr=False, field_transformer=_checked)
    fields: Any = attrs.fields(made)  # type: ignore[arg-type]
    maps = tuple(field.name for field in fields if field.hash is False)
    shared = tuple(field.name for field in fields if field.hash is not False)
    _COPIERS[made] = shared, maps, {field.name: field.converter for field in fields}
    return made


def members(cls: type) -> tuple[Member, ...]:
    """The members of a wire class, in the order of their declaration."""
    found = _MEMBERS.get(cls)
    if found is None:
        found = _MEMBERS[cls] = tuple(_member(each) for each in attrs.fields(cls))
    return found


_MEMBERS: dict[type, tuple[Member, ...]] = {}


def _member(field: "attrs.Attribute[Any]") -> Member:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory()
    required = field.default is attrs.NOTHING
    return Member(
        name=field.name,
        wire=field.metadata.get("wire") or _camel(field.name),
        shape=_shape(field.type, field.metadata.get("choices", ())),
        required=required,
        default=None if required else default,
        aliases=field.metadata.get("aliases", ()),
        inside=field.metadata.get("inside"),
        secret=field.metadata.get("secret", False),
        doc=field.metadata.get("doc", ""),
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_PLAIN = {str: Kind.STRING, int: Kind.INTEGER, float: Kind.NUMBER, bool: Kind.BOOLEAN, bytes: Kind.BYTES}


def _shape(annotation: Any, choices: tuple[Any, ...] = ()) -> Shape:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [each for each in get_args(annotation) if each is not type(None)]
        optional = len(rest) < len(get_args(annotation))
        if len(rest) > 1:
            return Shape(Kind.UNION, tuple(rest), optional)
        return attrs.evolve(_shape(rest[0], choices), optional=optional)
    if get_origin(annotation) is Annotated:
        return Shape(get_args(annotation)[1])
    if get_origin(annotation) is tuple:
        return Shape(Kind.LIST, _shape(get_args(annotation)[0]))
    if annotation in _PLAIN:
        return Shape(_PLAIN[annotation], choices=choices)
    return Shape(Kind.ENUM if issubclass(annotation, enum.Enum) else Kind.OBJECT, annotation)


# ------------------------------------------------------------ checks on construction


def _checked(cls: type, fields: "list[attrs.Attribute[Any]]") -> "list[attrs.Attribute[Any]]":
    done = []
    for field in fields:
        if field.type is None or get_origin(field.type) is ClassVar:  # pragma: no cover
            raise TypeError(f"{cls.__name__}.{field.name} has no annotation")
        shape = _shape(field.type, field.metadata.get("choices", ()))
        default = field.default
        if default is None and not shape.optional:  # pragma: no cover
            raise TypeError(f"{cls.__name__}.{field.name}: the default None is not of its type")
        convert = _converter(field.name, shape)
        if shape.kind is Kind.LOCALE and default is not attrs.NOTHING:
            default = convert(default)  # once, not for each object
        done.append(
            field.evolve(
                default=default,
                converter=convert,
                # A map has no hash; leaving it out keeps the objects that hold one hashable.
                hash=False if shape.kind is Kind.MAP else None,
            )
        )
    return done


def _converter(name: str, shape: Shape) -> Callable[[Any], Any]:
    """What a class does with a value for one of its members.

    Hosts make objects all the time, so that what is plainly right is told without another call.
    """
    accept = check if shape.choices else _CHECKS[shape.kind]
    exact = shape.of if shape.kind in (Kind.ENUM, Kind.OBJECT) else _EXACT.get(shape.kind)

    def careful(value: Any) -> Any:
        return None if value is None and shape.optional else accept(name, shape, value)

    if shape.choices:
        return careful
    absent = None if shape.optional else _NEVER
    if exact is not None:
        return lambda value: value if type(value) is exact or value is absent else careful(value)
    match shape.kind:
        case Kind.STRING:
            return lambda value: (
                value if value is absent or (type(value) is str and value.isascii()) else careful(value)
            )
        case Kind.INTEGER:
            return lambda value: value if type(value) is int and 0 <= value < _LARGE else careful(value)
        case Kind.NUMBER:
            return lambda value: value if type(value) is float and 0 <= value < _LARGE else careful(value)
        case Kind.LIST:
            return lambda value: value if type(value) is tuple and not value else careful(value)
        case Kind.MAP:
            return lambda value: {} if type(value) is dict and not value else careful(value)
        case _:
            return careful


_NEVER = object()
_LARGE = 2**53
_EXACT = {Kind.BOOLEAN: bool, Kind.BYTES: bytes, Kind.LOCALE: Locale}
"""Kinds of which any value of a class is a legal one."""


def check(name: str, shape: Shape, value: Any) -> Any:
    """Return the value as an object of this shape holds it.

    Args:
        name: of the member, for the error.

    Raises:
        TypeError: it is of another type.
        ValueError: it is of the right type, but no legal value.
    """
    result = _CHECKS[shape.kind](name, shape, value)
    if shape.choices and result not in shape.choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, shape.choices))}, not {value!r}")
    return result


def _wrong(name: str, expected: str, value: Any) -> TypeError:
    return TypeError(f"{name} must be {expected}, not {type(value).__name__}")


def _string(name: str, _: Shape, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a str", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} holds a lone surrogate and cannot be sent as UTF-8") from None
    return value


def _integer(name: str, _: Shape, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "an int", value)
    if not INTEGERS.start <= value < INTEGERS.stop:  # `in` would count up to an instance of a subclass
        raise ValueError(f"{name} does not fit into 64 bits")
    return value


def _number(name: str, _: Shape, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(name, "a number", value)
    result = float(value)
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, not {value!r}")
    return result


def _boolean(name: str, _: Shape, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "a bool", value)
    return value


def _bytes(name: str, _: Shape, value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise _wrong(name, "bytes", value)
    return bytes(value)


def _locale(name: str, shape: Shape, value: Any) -> Locale:
    return locale_from_wire(_string(name, shape, value))


def _zone(name: str, shape: Shape, value: Any) -> str:
    return check_zone(_string(name, shape, value))


def _time(name: str, _: Shape, value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise _wrong(name, "a datetime", value)
    # On the wire a time has no zone (D-10); UTC is what all sides can agree on.
    return value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)


def _map(name: str, _: Shape, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping", value)
    return {
        _string(f"a key of {name}", _, key): _json(f"{name}[{key!r}]", each, 1) for key, each in value.items()
    }


_SCALAR = Shape(Kind.STRING)
DEEPEST = 200
"""How deep a free value may be nested; checking it is a recursion."""


def _json(name: str, value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"{name} is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, str):
        return _string(name, _SCALAR, value)
    if isinstance(value, int):
        return _integer(name, _SCALAR, value)
    if isinstance(value, float):
        return _number(name, _SCALAR, value)
    if isinstance(value, Mapping):
        return {
            _string(f"a key of {name}", _SCALAR, key): _json(f"{name}[{key!r}]", each, depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_json(f"{name}[{index}]", each, depth + 1) for index, each in enumerate(value)]
    raise _wrong(name, "a JSON value", value)


def _instance(name: str, shape: Shape, value: Any) -> Any:
    if not isinstance(value, shape.of):
        classes = shape.of if isinstance(shape.of, tuple) else (shape.of,)
        raise _wrong(name, "a " + " or ".join(each.__name__ for each in classes), value)
    return value


def _list(name: str, shape: Shape, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(name, "a tuple or a list", value)
    return tuple(check(f"{name}[{index}]", shape.of, each) for index, each in enumerate(value))


_CHECKS: dict[Kind, Callable[[str, Shape, Any], Any]] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.BYTES: _bytes,
    Kind.LOCALE: _locale,
    Kind.ZONE: _zone,
    Kind.TIME: _time,
    Kind.MAP: _map,
    Kind.ENUM: _instance,
    Kind.OBJECT: _instance,
    Kind.LIST: _list,
    Kind.UNION: _instance,
}

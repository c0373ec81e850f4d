"""Free JSON values: what maps and unknown events hold, and every message before it becomes an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring as quote
from typing import Any

from flowstorm_channel.codecs.faults import Fault, TooDeep, form, shown
from flowstorm_channel.codecs.scalars import PLAIN, to_base64
from flowstorm_channel.codecs.settings import AROUND, Settings
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import INTEGERS

__all__ = ["Marked", "inspect", "plain_of", "settle", "text_of"]

_GREATEST = 1.7976931348623157e308


class Marked:
    """Stands in a parsed tree for a number that is refused, so that the place of it can be told.

    Args:
        problem: for people.
    """

    __slots__ = ("problem",)

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def __repr__(self) -> str:
        return self.problem


def inspect(
    tree: Any, limits: Limits, *, free: str | None = None, depth: int = 1, greatest: float = _GREATEST
) -> None:
    """Check what no type says: bounds, finite numbers, integers of 64 bits, real text.

    Args:
        free: a member of the outermost object for which neither the bound on strings nor that on arrays
            holds, because another one does: the data of Binary.
        depth: of `tree`; the event is 1.
        greatest: that a float may be.

    Raises:
        Fault: with the place.
    """
    kind = type(tree)
    if kind is str:
        _inspect_string(tree, limits)
    elif kind is dict:
        _inspect_size(tree, limits, depth)
        for key, value in tree.items():
            if type(key) is not str:
                raise Fault(f"the name of a member must be a string, not {form(key)}")
            try:
                _inspect_string(key, limits)
                if key != free or type(value) is Marked:
                    inspect(value, limits, depth=depth + 1, greatest=greatest)
            except Fault as fault:
                raise fault.inside(key) from None
    elif kind is list:
        _inspect_size(tree, limits, depth)
        index = -1
        try:
            for index, value in enumerate(tree):  # noqa: B007
                inspect(value, limits, depth=depth + 1, greatest=greatest)
        except Fault as fault:
            raise fault.inside(index) from None
    elif kind is int:
        if tree not in INTEGERS:
            raise Fault("the integer does not fit into 64 bits")
    elif kind is float:
        if not -greatest <= tree <= greatest:
            raise Fault(f"{tree!r} is not a finite number")
    elif kind is Marked:
        raise Fault(tree.problem)
    elif tree is not None and kind is not bool and kind is not bytes:
        raise Fault(f"{kind.__name__} is not a JSON value")


def _inspect_size(tree: dict[Any, Any] | list[Any], limits: Limits, depth: int) -> None:
    if depth > limits.nesting:
        raise TooDeep(limits.nesting)
    if len(tree) > limits.items:
        what = "members" if type(tree) is dict else "elements"
        raise Fault(f"more than {limits.items} {what}", limit=True)


def _inspect_string(text: str, limits: Limits) -> None:
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise Fault(f"{shown(text)} holds a lone surrogate") from None
    if size > limits.string_bytes:
        raise Fault(f"a string of more than {limits.string_bytes} bytes", limit=True)


_SETTLED = frozenset({str, bool, type(None)})


def settle(tree: Any, settings: Settings) -> dict[str, Any]:
    """Return a parsed free object inside an event whose texts are real and no longer than they may be.

    Raises:
        Fault: it is none, or something in it is not within the bounds; or perhaps not, where they are exact.
    """
    if type(tree) is not dict:
        raise Fault("must be an object")
    if settings.exact:
        for name, value in tree.items():
            if type(name) is not str:  # msgpack also has names of bytes
                raise Fault("the name of a member must be a string")
            if type(value) not in _SETTLED:
                # How deep it stands is not known here: as deep as any may be.
                inspect(value, settings.limits, depth=AROUND + 1, greatest=PLAIN)
    return tree


# ------------------------------------------------------------ on the way out
#
# Maps stay open to change after their object was checked, so they are checked again where they are sent.


def _integer(value: int) -> int:
    if not INTEGERS.start <= value < INTEGERS.stop:  # `in` would count up to an instance of a subclass
        raise ValueError("an integer that does not fit into 64 bits cannot be sent")
    return int(value)


def _number(value: float) -> float:
    if not -_GREATEST <= value <= _GREATEST:
        raise ValueError(f"{value!r} cannot be sent")
    return float(value)


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the name of a member must be a str, not {type(key).__name__}")
    return key


def text_of(tree: Any) -> str:
    """The JSON text of a free value; bytes become base64.

    Raises:
        TypeError: it holds something that JSON has no form for.
        ValueError: it holds a number that JSON has no form for.
    """
    write = _WRITERS.get(type(tree))
    if write is None:
        write = next((write for cls, write in _WRITERS_BY_BASE.items() if isinstance(tree, cls)), None)
        if write is None:
            raise TypeError(f"{type(tree).__name__} is not a JSON value")
    return write(tree)


def _text_of_object(tree: Mapping[str, Any]) -> str:
    # `quote` takes nothing but text, so a name that is none is refused too.
    return "{" + ",".join([f"{quote(key)}:{text_of(value)}" for key, value in tree.items()]) + "}"


def _text_of_array(tree: Sequence[Any]) -> str:
    return "[" + ",".join([text_of(each) for each in tree]) + "]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: quote,
    bool: lambda tree: "true" if tree else "false",
    float: lambda tree: repr(_number(tree)),
    int: lambda tree: repr(_integer(tree)),
    type(None): lambda _: "null",
    dict: _text_of_object,
    list: _text_of_array,
    tuple: _text_of_array,
    bytes: lambda tree: f'"{to_base64(tree)}"',
}
_WRITERS_BY_BASE = {Mapping: _text_of_object, **_WRITERS}


def plain_of(tree: Any) -> Any:
    """The same for msgpack: a checked copy out of plain types only.

    Raises:
        TypeError: it holds something that JSON has no form for.
        ValueError: it holds a number that JSON has no form for.
    """
    kind = type(tree)
    if kind in _PLAIN or isinstance(tree, (str, bytes)):
        return tree
    if kind is float or isinstance(tree, float):
        return _number(tree)
    if kind is int or isinstance(tree, int):
        return _integer(tree)
    if kind is dict or isinstance(tree, Mapping):
        return {_name(key): plain_of(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain_of(each) for each in tree]
    raise TypeError(f"{kind.__name__} is not a JSON value")


_PLAIN = frozenset({str, bool, bytes, type(None)})

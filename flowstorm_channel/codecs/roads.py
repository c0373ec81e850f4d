"""The fast roads from a message to its event: for what is plainly in order, by far the most.

A road gives the event of a message, or None for whatever is not plainly in order: something that is declared
nowhere, a number at the end of its range, what may exceed a limit, and all that is refused. The codec tries
its roads one after the other, and then reads the message in the ordinary way, whose verdict and words count.

Nothing is parsed that takes more than the limits allow. What a doubled name hides is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from json import JSONDecoder
from types import ModuleType
from typing import Any

from flowstorm_channel.codecs.compile import maker
from flowstorm_channel.codecs.dispatch import READERS
from flowstorm_channel.codecs.scalars import from_base64
from flowstorm_channel.codecs.settings import AROUND, Settings
from flowstorm_channel.codecs.unpack import bounds_of, harmless, unpack
from flowstorm_channel.events import SPELLINGS, BinaryEvent, Event
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import Kind, members

__all__ = [
    "FastRoad",
    "leave_room",
    "no_road",
    "packed_structs_road",
    "packed_trees_road",
    "structs_road",
    "trees_road",
]

FastRoad = Callable[[Any], "Event | None"]
"""The event of a message, or None when it has to be read in another way."""


def no_road(data: Any) -> None:
    """For limits that leave no room."""


# ------------------------------------------------------------ JSON

LONG = 1024
"""Characters from which a block is better decoded without parsing JSON."""
_BINARY_START, _BINARY_END = '{"type":"Binary","data":"', '"}'
_START, _END = len(_BINARY_START), -len(_BINARY_END)


def _block_of(text: str) -> bytes | None:
    """The block of a Binary that is spelled as we spell it, without parsing JSON; None for all else.

    Raises:
        ValueError: it is not base64.
    """
    if text.startswith(_BINARY_START) and text.endswith(_BINARY_END):
        return from_base64(text[_START:_END])
    return None


@lru_cache(maxsize=64)
def structs_road(settings: Settings, msgspec: ModuleType) -> FastRoad:
    """JSON, by msgspec. The limits leave room."""
    from flowstorm_channel.codecs.structs import ELEMENTS, structs

    made = structs(msgspec, binary=False)
    decode, free = made.decode, made.free
    limits = settings.limits
    longest, items, audio = limits.message_bytes, limits.items, limits.audio_bytes
    few = items < ELEMENTS
    most = min(longest, limits.string_bytes)
    short = min(most // 4, 2 * items, LONG)
    make = maker(BinaryEvent)

    def read(data: Any) -> Any:
        try:
            text = data if type(data) is str else _text(data, longest)
            if len(text) <= short:
                return decode(text).fill(settings)
            if len(text) > longest:
                return None
            if text.startswith(_BINARY_START) and text.endswith(_BINARY_END):  # see `_block_of`
                block = from_base64(text[_START:_END])
                return make(data=block) if len(block) <= audio else None
            if len(text) > most // 4 and len(text.encode()) > most:
                return None
            struct = decode(text)
            if len(text) > 2 * items and (few or type(struct) in free) and _may_hold_more(text, items):
                return None
            return struct.fill(settings)
        except Exception:
            return None

    return read


@lru_cache(maxsize=64)
def trees_road(settings: Settings, orjson: ModuleType | None) -> FastRoad:
    """JSON, by the parser of the standard library or by orjson. The limits leave room."""
    limits = settings.limits
    longest, items, audio = limits.message_bytes, limits.items, limits.audio_bytes
    most = min(longest, limits.string_bytes)
    short = min(most // 4, 2 * items, LONG)
    # Of integers that are too long for it orjson makes floats, and such floats are not plainly in order.
    make, parse = maker(BinaryEvent), _parse if orjson is None else orjson.loads

    def read(data: Any) -> Any:
        try:
            text = data if type(data) is str else _text(data, longest)
            if len(text) > short:
                if len(text) > longest:
                    return None
                block = _block_of(text)
                if block is not None:
                    return make(data=block) if len(block) <= audio else None
                if len(text) > most // 4 and len(text.encode()) > most:
                    return None
                if len(text) > 2 * items and _may_hold_more(text, items):
                    return None
            tree = parse(text)
            return READERS[tree["type"]](tree, settings)
        except Exception:
            return None

    return read


def _text(data: bytes, longest: int) -> str:
    if len(data) > longest:
        raise ValueError("before time is spent on it")
    return str(data, "utf-8")


def _may_hold_more(text: str, items: int) -> bool:
    """Whether more may be beside each other than is allowed; how deep it is, `settle` finds out."""
    return text.count(",") >= items


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


# The scanner of the standard library itself, written in C: `json.loads` is three Python functions around it.
_scan: Callable[[str, int], tuple[Any, int]] = JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]


def _parse(text: str) -> Any:
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        raise ValueError("it may hold a lone surrogate")
    if not text.isascii():
        text.encode()
    tree, end = _scan(text, 0)
    if end != len(text) and text[end:].strip(" \t\n\r"):
        raise ValueError("something follows it")
    return tree


# ------------------------------------------------------------ msgpack


@lru_cache(maxsize=64)
def packed_structs_road(settings: Settings, msgspec: ModuleType) -> FastRoad:
    """Msgpack, by msgspec. The limits leave room."""
    from flowstorm_channel.codecs.structs import FREE_NAME, structs

    made = structs(msgspec, binary=True)
    decode, free, blocks, free_name = made.decode, made.free, made.blocks, FREE_NAME.encode()
    limits = settings.limits
    most = min(limits.message_bytes, limits.string_bytes, limits.audio_bytes)
    short = min(most, limits.items)

    def read(data: Any) -> Any:
        try:
            if len(data) > most or type(data) is not bytes:
                return None
            struct = decode(data)
            kind = type(struct)
            if kind in free and data.count(free_name) != free[kind](struct):
                return None  # one may be hidden behind a doubled name, with extensions in it
            if len(data) > short and kind not in blocks and _may_exceed(data):
                return None
            return struct.fill(settings)
        except Exception:
            return None

    return read


def _may_exceed(data: bytes) -> bool:
    """Whether an array or object of sixteen or more may begin in it, perhaps behind a doubled name."""
    return 0xDC in data or 0xDD in data or 0xDE in data or 0xDF in data


@lru_cache(maxsize=64)
def packed_trees_road(settings: Settings) -> FastRoad:
    """Msgpack, by the package msgpack. The limits leave room."""
    bounds = bounds_of(settings.limits)
    most, short = settings.limits.message_bytes, harmless(settings.limits)

    def read(data: Any) -> Any:
        try:
            if len(data) <= short:
                tree = unpack(data)
            elif len(data) <= most:
                tree = unpack(data, **bounds)
            else:
                return None
            return READERS[tree["type"]](tree, settings)
        except Exception:
            return None

    return read


# ------------------------------------------------------------ what the declarations imply


def leave_room(limits: Limits) -> bool:
    """Whether what is declared keeps limits in any case; else there is no fast road."""
    depth, width = _room()
    return limits.nesting > max(depth, AROUND) and limits.items >= width


@cache
def _room() -> tuple[int, int]:
    """How deep an event may be nested, and how many items it may have in one place, by declaration."""
    return max(map(_depth, SPELLINGS.values())), max(map(_width, SPELLINGS.values()))


def _inside(cls: type) -> list[tuple[int, type]]:
    """The classes of the members of a class, each with the number of arrays around it."""
    found = []
    for each in members(cls):
        shape, arrays = each.shape, 0
        if shape.kind is Kind.LIST:
            shape, arrays = shape.of, 1
        if shape.kind is Kind.OBJECT:
            found.append((arrays, shape.of))
        elif shape.kind is Kind.UNION:
            found += [(arrays, of) for of in shape.of]
    return found


def _depth(cls: type) -> int:
    # A free object, or an empty array, is at least one more.
    return 1 + max([1, *(arrays + _depth(of) for arrays, of in _inside(cls))])


def _width(cls: type) -> int:
    own = 1 + sum(1 + len(each.aliases) for each in members(cls))
    return max([own, *(_width(of) for _, of in _inside(cls))])

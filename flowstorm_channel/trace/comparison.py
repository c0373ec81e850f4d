"""What was recorded and what is done now, compared: the first place where they differ, for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.trace.entries import Act, Entry, Idle, Record, Told
from flowstorm_channel.trace.trees import tree_of_entry

__all__ = ["first_difference"]

_SHOWN = 120
_PLACE = re.compile(r"(?<=\bcharacter )\d+|(?<=\bbyte )\d+")
"""Where in a message something is wrong."""


def first_difference(
    recorded: Entry,
    replayed: Entry,
    asked: Iterable[str] = (),
    unasked: Iterable[str] = (),
    *,
    is_redacted: bool = False,
) -> tuple[str, str] | None:
    """Where two entries differ: what the one has there, and what the other.

    Args:
        recorded: then.
        replayed: now.
        asked: what the machine has asked for now, and did not ask for then.
        unasked: what it asked for then, and has not now.
        is_redacted: something was taken out of the recording: the places that errors name have moved.
    """
    doing = _doing(recorded)
    if replayed != recorded:
        if type(recorded) is not type(replayed) or _name(recorded) != _name(replayed):
            return doing, _doing(replayed)
        found = _differing("", *_comparable(recorded, replayed), is_redacted=is_redacted)
        if found is not None:
            path, then, now = found
            what = f"{doing}, {path.lstrip('.')}: " if path else ""
            return what + _shown(then, now), what + _shown(now, then)
    more, less = ", ".join(asked), ", ".join(unasked)
    if more or less:
        return (
            f"{doing}, asking for {less}" if less else doing,
            f"{doing}, asking for more: {more}" if more else doing,
        )
    return None


def _doing(entry: Entry) -> str:
    """What a machine does, in a few words."""
    match entry:
        case Idle():
            return "tells nothing" if entry.of == "events" else "sends nothing"
        case Told():
            return f"tells {_name(entry)}"
        case Record():
            return f"sends {_name(entry)}"
    return _name(entry)


def _name(entry: Entry) -> str:
    match entry:
        case Told():
            return str(entry.event["type"])
        case Record(message=str() | bytes() as message):
            tree = _parsed(message)
            kind = tree.get("type") or tree.get("event") if isinstance(tree, dict) else None
            return (
                str(kind)
                if kind
                else f"{len(message)} {'bytes' if isinstance(message, bytes) else 'characters'}"
            )
        case Record():
            return type(entry.message).__name__
    return str(getattr(entry, "name", type(entry).__name__))


def _parsed(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        pass
    try:
        tree = msgpack.unpackb(message) if isinstance(message, bytes) else None
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    return tree if isinstance(tree, dict) else None


def _comparable(then: Entry, now: Entry) -> tuple[Any, Any]:
    """Both, with messages taken apart, unless these say the same in another form."""
    match then, now:
        case Record(message=str() | bytes() as one), Record(message=str() | bytes() as other):
            trees = _parsed(one), _parsed(other)
            return (one, other) if None in trees or trees[0] == trees[1] else trees
    return _tree(then), _tree(now)


def _tree(entry: Entry) -> dict[str, Any]:
    tree = tree_of_entry(entry)
    return {"raised": entry.raised, **tree} if isinstance(entry, Act) else tree


def _differing(path: str, then: Any, now: Any, *, is_redacted: bool) -> tuple[str, Any, Any] | None:
    """The first place at which they differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        pairs = ((f".{name}", then.get(name, _NOTHING), now.get(name, _NOTHING)) for name in {**then, **now})
    elif isinstance(then, list) and isinstance(now, list):
        both = enumerate(zip_longest(then, now, fillvalue=_NOTHING))
        pairs = ((f"[{index}]", one, other) for index, (one, other) in both)
    else:
        return None if _are_same(then, now, is_redacted=is_redacted) else (path, then, now)
    inside = (_differing(path + step, one, other, is_redacted=is_redacted) for step, one, other in pairs)
    return next((found for found in inside if found is not None), None)


def _are_same(then: Any, now: Any, *, is_redacted: bool) -> bool:
    if is_redacted and isinstance(then, str) and isinstance(now, str):
        return _PLACE.sub("", then) == _PLACE.sub("", now)
    return bool(then == now) or (then != then and now != now)  # NaN is not even equal to itself


class _Nothing:
    """Stands where there is nothing."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _shown(value: Any, other: Any) -> str:
    """A value in few words, from shortly before the place where it differs from the other."""
    text, another = repr(value), repr(other)
    same = next((at for at, pair in enumerate(zip(text, another, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, same - 20)
    shown = text[start : start + _SHOWN]
    return ("…" if start else "") + shown + ("…" if start + _SHOWN < len(text) else "")

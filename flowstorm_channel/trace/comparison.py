"""What was recorded and what is done now, compared: the first place where they differ, for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from flowstorm_channel.trace.entries import Act, Entry, Idle, Record, Told
from flowstorm_channel.trace.trees import tree_of_entry

__all__ = ["first_difference"]

_SHOWN = 120


def first_difference(recorded: Entry, replayed: Entry, asked: Iterable[str] = ()) -> tuple[str, str] | None:
    """Where two entries differ: what the one has there, and what the other.

    Args:
        recorded: then.
        replayed: now.
        asked: what the machine has asked for now, and did not ask for then.
    """
    if replayed != recorded:
        if type(recorded) is not type(replayed) or _name(recorded) != _name(replayed):
            return _doing(recorded), _doing(replayed)
        path, then, now = _differing("", _comparable(recorded), _comparable(replayed))
        what = _doing(recorded) + f", {path.lstrip('.')}: " if path else ""
        return what + _shown(then, now), what + _shown(now, then)
    more = ", ".join(asked)
    return (_doing(recorded), f"{_doing(recorded)}, asking for more: {more}") if more else None


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
        return None


def _comparable(entry: Entry) -> Any:
    """With texts that are JSON taken apart."""
    if isinstance(entry, Record) and isinstance(entry.message, (str, bytes)):
        parsed = _parsed(entry.message)
        return entry.message if parsed is None else parsed
    tree = tree_of_entry(entry)
    return {"raised": entry.raised, **tree} if isinstance(entry, Act) else tree


def _differing(path: str, then: Any, now: Any) -> tuple[str, Any, Any]:
    """The first place at which they differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        pairs = ((f".{name}", then.get(name, _NOTHING), now.get(name, _NOTHING)) for name in {**then, **now})
    elif isinstance(then, list) and isinstance(now, list):
        both = enumerate(zip_longest(then, now, fillvalue=_NOTHING))
        pairs = ((f"[{index}]", one, other) for index, (one, other) in both)
    else:
        return path, then, now
    step, one, other = next(pair for pair in pairs if pair[1] != pair[2])
    return _differing(path + step, one, other)


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

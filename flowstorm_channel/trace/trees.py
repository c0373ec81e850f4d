"""Entries as plain values, and back: what the two forms of a file have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace.entries import Act, Cut, Entry, Head, Idle, Lost, Opened, Record, Setting, Told
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead

__all__ = ["VERSION", "entry_of_tree", "head_of_tree", "tree_of_entry", "tree_of_head"]

VERSION = 2
"""Of the form that is written. The first had heads and records only, in the same form."""

_MARK = "flowstorm-trace"
_SHOWN = 40
_GREATEST = 2**63

_FORMS: Mapping[type[Entry], tuple[str, str]] = {
    Opened: ("opened", "kind"),
    Told: ("told", "event"),
    Act: ("act", "name"),
    Setting: ("setting", "name"),
    Idle: ("idle", "of"),
    Lost: ("lost", "wire"),
    Cut: ("cut", "reason"),
}
"""By which member each is known, and what of the entry stands there; the rest stands under its own name."""
_CLASSES: Mapping[str, type[Entry]] = {mark: cls for cls, (mark, _) in _FORMS.items()}


def tree_of_head(head: Head) -> dict[str, Any]:
    """The first thing in a file."""
    tree = {_MARK: VERSION, "channel": head.channel, "seenBy": head.seen_by}
    return {**tree, "redacted": list(head.redacted)} if head.redacted else tree


def head_of_tree(tree: object) -> Head:
    """The head of a file.

    Raises:
        RemoteProtocolError: it is none, or one of a newer version.
    """
    match tree:
        case {"flowstorm-trace": int() as version, **members} if (
            version in (1, VERSION) and version is not True
        ):
            match members:
                case {"channel": str(channel), "seenBy": "client" | "server" as seen_by}:
                    redacted = members.get("redacted", [])
                    if isinstance(redacted, list) and all(isinstance(each, str) for each in redacted):
                        return Head(channel=channel, seen_by=seen_by, redacted=tuple(redacted))
        case {"flowstorm-trace": version}:
            shown = ascii(version)[:_SHOWN]
            raise RemoteProtocolError(f"a recording of version {shown}; this library reads {VERSION}")
    raise RemoteProtocolError("not a recording: it does not begin with a version, a channel and an end")


def tree_of_entry(entry: Entry) -> dict[str, Any]:
    """An entry as plain values; bytes are left as they are."""
    if isinstance(entry, Record):
        tree = {"at": entry.at, "wire": entry.wire, "by": entry.by, **_tree_of_message(entry.message)}
        return {**tree, "channel": entry.channel} if entry.channel else tree
    mark, main = _FORMS[type(entry)]
    tree = {"at": entry.at, "channel": entry.channel, mark: getattr(entry, main)}
    for field in attrs.fields(type(entry)):
        value = getattr(entry, field.name)
        optional = field.default is not attrs.NOTHING
        if field.name not in ("at", "channel", main) and not (optional and value in (None, (), {})):
            tree[field.name] = value
    return tree


def entry_of_tree(tree: object) -> Entry:
    """The entry.

    Raises:
        RemoteProtocolError: it is none.
    """
    if not isinstance(tree, dict):
        raise RemoteProtocolError("not an object")
    for mark in tree:
        if mark in _CLASSES:
            cls = _CLASSES[mark]
            return _entry_of_members(cls, {**tree, _FORMS[cls][1]: tree[mark]})
    match tree:
        case {"at": int() | float() as at, "wire": int() as wire, "by": "client" | "server" as by, **rest}:
            channel = rest.get("channel", 0)
            if _is_number(at) and _is_count(wire) and _is_count(channel):
                message = _message_of_tree(rest)
                return Record(at=float(at), wire=wire, by=by, message=message, channel=channel)
    raise RemoteProtocolError("it has no time, no transport or no end that sent it")


# ------------------------------------------------------------ members


def _entry_of_members(cls: type[Entry], members: Mapping[str, Any]) -> Entry:
    found: dict[str, Any] = {}
    for field in attrs.fields(cls):
        value = members.get(field.name)
        if value is None and field.default is not attrs.NOTHING:
            continue
        if not _CHECKS[field.name](value):
            raise RemoteProtocolError(f"no {field.name} that can be")
        found[field.name] = _as_it_was(field.name, value)
    return cls(**found)


def _as_it_was(name: str, value: Any) -> Any:
    """A member in the form in which the entry has it."""
    if name == "given":
        return tuple((question, answer) for question, answer in value)
    return float(value) if name == "at" else value


def _is_number(value: object) -> bool:
    """Whether it is a number, and not too great to be one of these; to Python true is one, and 1e999."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _GREATEST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and _is_map(value) and isinstance(value.get("type"), str)


def _is_given(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(each, (list, tuple)) and len(each) == 2 and isinstance(each[0], str) for each in value
    )


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "at": _is_number,
    "channel": _is_count,
    "sessions": _is_count,
    "wire": _is_count,
    **dict.fromkeys(("kind", "name", "reason", "raised", "state", "audio"), _is_text),
    "settings": _is_map,
    "arguments": _is_map,
    "event": _is_event,
    "given": _is_given,
    "of": lambda value: value in ("events", "output"),
    "value": lambda _: True,
}


# ------------------------------------------------------------ messages


def _tree_of_message(message: Message) -> dict[str, Any]:
    match message:
        case str():
            return {"text": message}
        case bytes():
            return {"bytes": message}
        case RequestHead():
            return {"request": [message.method, message.url, [list(each) for each in message.headers]]}
        case ResponseHead():
            return {"response": [message.status, [list(each) for each in message.headers]]}
        case Close():
            return {"close": [int(message.code), message.reason]}
    return {"end": True}


def _message_of_tree(tree: Mapping[str, Any]) -> Message:
    match tree:
        case {"text": str(text)}:
            return text
        case {"bytes": bytes(data)}:
            return data
        case {"request": [str(method), str(url), list(pairs)]}:
            return RequestHead(method=method, url=url, headers=_headers(pairs))
        case {"response": [int(status), list(pairs)]} if _is_number(status):
            return ResponseHead(status=status, headers=_headers(pairs))
        case {"close": [int(code), str(reason)]} if _is_number(code):
            return Close(code, reason)
        case {"end": True}:
            return END
    raise RemoteProtocolError("no message that is known")


def _headers(pairs: list[Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for each in pairs:
        match each:
            case [str(name), str(value)]:
                found.append((name, value))
            case _:
                raise RemoteProtocolError("a header is no pair of strings")
    return tuple(found)

"""What stands in an entry of HAR, as the trees that records are made of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace.entries import End, Record
from flowstorm_channel.trace.trees import entry_of_tree

__all__ = [
    "BINARY",
    "TEXT",
    "Tree",
    "Wire",
    "got_body",
    "list_of",
    "message_of",
    "record_of",
    "request_of",
    "response_of",
    "sent_body",
]

Tree = dict[str, Any]
TEXT, BINARY = 1, 2
"""Opcodes of WebSocket messages."""


@attrs.frozen(kw_only=True)
class Wire:
    """What an entry became.

    Args:
        channel: None: of no channel.
        seen_by: the end at which it was recorded.
        number: that it had in a recording; None: it comes from elsewhere.
        records: each with its number among those of that recording.
    """

    channel: str | None
    seen_by: End
    number: int | None = None
    records: tuple[tuple[int, Record], ...]


def record_of(tree: Tree) -> Record:
    """The record that a tree is.

    Raises:
        RemoteProtocolError: it is none.
    """
    entry = entry_of_tree(tree)
    if not isinstance(entry, Record):
        raise RemoteProtocolError("it is no message")
    return entry


def request_of(entry: Tree, without: Callable[[str], bool] = lambda _: False) -> Tree:
    """The head of the request, without some of its headers."""
    match entry.get("request"):
        case {"method": str(method), "url": str(url), **more}:
            return {"request": [method, url, _headers(more.get("headers"), without)]}
    raise RemoteProtocolError("it has no request with a method and an address")


def response_of(entry: Tree, without: Callable[[str], bool] = lambda _: False) -> Tree:
    """The head of the response, without some of its headers; the status is 0 when there was none."""
    response = entry.get("response")
    if not isinstance(response, dict):
        return {"response": [0, []]}
    return {"response": [response.get("status") or 0, _headers(response.get("headers"), without)]}


def _headers(headers: object, without: Callable[[str], bool]) -> list[list[str]]:
    found = []
    for each in _array(headers, "headers"):
        match each:
            case {"name": str(name), "value": str(value)}:
                if not without(name):
                    found.append([name, value])
            case _:
                raise RemoteProtocolError("a header has no name or no value")
    return found


def list_of(tree: Mapping[str, Any], name: str) -> list[Any]:
    """The array of that name; empty when it is not there."""
    return _array(tree.get(name), name)


def _array(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RemoteProtocolError(f"{name} is no array")
    return value


def sent_body(entry: Tree) -> bytes:
    """The body of the request."""
    match entry.get("request"):
        case {"postData": {"text": str(text), **more}}:
            return _bytes(text, more.get("_encoding", more.get("encoding")))
    return b""


def got_body(entry: Tree) -> bytes | None:
    """The body of the response; None: there was one, and it is not in the archive, or is cut off there."""
    match entry.get("response"):
        case {"content": {"text": str(text), **more}}:
            try:
                return _bytes(text, more.get("encoding"))
            except RemoteProtocolError:
                return None
        case {"content": {"size": int(size)}} if size > 0:
            return None
    return b""


def message_of(tree: object) -> tuple[End, Tree]:
    """Who sent a WebSocket message, and what it is."""
    match tree:
        case {"type": "send" | "receive" as kind, "data": str(data), **more}:
            binary = more.get("opcode") == BINARY
            return (
                "client" if kind == "send" else "server",
                {"bytes": _bytes(data, "base64")} if binary else {"text": data},
            )
    raise RemoteProtocolError("a WebSocket message has no direction or no data")


def _bytes(text: str, encoding: object) -> bytes:
    if encoding != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise RemoteProtocolError(f"its data is no base64: {error}") from None

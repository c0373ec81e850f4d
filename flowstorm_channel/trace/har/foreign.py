"""Entries of HAR that browsers and proxies have made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowstorm_channel.trace.har.members import (
    BINARY,
    TEXT,
    Tree,
    Wire,
    got_body,
    list_of,
    message_of,
    record_of,
    request_of,
    response_of,
    sent_body,
)
from flowstorm_channel.trace.har.recognition import channel_of, is_socket_address
from flowstorm_channel.trace.har.times import times_of
from flowstorm_channel.wire import CloseCode, RequestHead

__all__ = ["foreign_wire"]

_HANDSHAKE = frozenset(
    (
        *("connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions"),
        *("sec-websocket-key", "sec-websocket-version"),
    )
)
"""Headers that every WebSocket has; the record of one has only those beyond them."""


def foreign_wire(entry: Tree) -> Wire:
    """What an entry tells: bodies are whole, and only some times are known.

    Raises:
        RemoteProtocolError: it is no entry.
    """
    trees = _conversation(entry) if _is_socket(entry) else _exchange(entry)
    records, at = [], float("-inf")
    for place, tree in enumerate(trees):
        at = max(at, tree["at"])
        records.append((place, record_of({**tree, "at": at, "wire": 0})))
    head = records[0][1].message
    assert isinstance(head, RequestHead)
    name = channel_of(head, [record for _, record in records])
    return Wire(channel=name, seen_by="client", records=tuple(records))


def _is_socket(entry: Tree) -> bool:
    _, url, _ = request_of(entry)["request"]
    status, _ = response_of(entry)["response"]
    has_messages = entry.get("_webSocketMessages") is not None
    return is_socket_address(url) or has_messages or status == 101


def _exchange(entry: Tree) -> Iterator[Tree]:
    times = times_of(entry)
    yield {"at": times.began, "by": "client", **request_of(entry, without=_is_pseudo)}
    if body := sent_body(entry):
        yield {"at": times.began, "by": "client", "bytes": body}
    yield {"at": times.sent, "by": "client", "end": True}
    response = response_of(entry, without=_is_pseudo)
    status, _ = response["response"]
    if status:
        yield {"at": times.answered, "by": "server", **response}
        got = got_body(entry)
        if got:
            yield {"at": times.ended, "by": "server", "bytes": got}
        if got is None:
            return
    yield _last(entry, times.ended, given_up=not status)


def _last(entry: Tree, at: float, *, given_up: bool) -> Tree:
    """How an exchange ended: it was complete, or the page, or the network, gave it up."""
    response = entry.get("response")
    error = response.get("_error") if isinstance(response, dict) else None
    if not given_up and not error:
        return {"at": at, "by": "server", "end": True}
    reason = error if isinstance(error, str) else ""
    by = "client" if not reason or "ABORTED" in reason else "server"
    return {"at": at, "by": by, "close": [int(CloseCode.ABNORMAL), reason]}


def _conversation(entry: Tree) -> Iterator[Tree]:
    times = times_of(entry)
    yield {"at": times.began, "by": "client", **_asked_for_socket(entry)}
    response = _answered_with_socket(entry)
    if not response["response"][0]:
        yield _last(entry, times.ended, given_up=True)
        return
    said = [
        each
        for each in list_of(entry, "_webSocketMessages")
        if not isinstance(each, dict) or each.get("opcode", TEXT) in (TEXT, BINARY)
    ]
    messages = [(_time_of(each), *message_of(each)) for each in said]
    at = min([times.answered, *(time for time, _, _ in messages[:1] if time is not None)])
    yield {"at": at, "by": "server", **response}
    for time, by, message in messages:
        at = at if time is None else time
        yield {"at": at, "by": by, **message}


def _asked_for_socket(entry: Tree) -> Tree:
    """The head of a request for a WebSocket; over HTTP/2 its method is CONNECT (RFC 8441)."""
    method, url, headers = request_of(entry, without=_is_of_handshake)["request"]
    return {"request": ["GET" if method == "CONNECT" else method, url, headers]}


def _answered_with_socket(entry: Tree) -> Tree:
    """The head of the response to it; over HTTP/2 any success accepts."""
    status, headers = response_of(entry, without=_is_of_handshake)["response"]
    accepted = isinstance(status, int) and 200 <= status < 300
    return {"response": [101 if accepted else status, headers]}


def _time_of(message: Any) -> float | None:
    """When a message was sent; None: nobody knows."""
    time = message.get("time") if isinstance(message, dict) else None
    return time if isinstance(time, (int, float)) and not isinstance(time, bool) else None


def _is_of_handshake(name: str) -> bool:
    return name.lower() in _HANDSHAKE or _is_pseudo(name)


def _is_pseudo(name: str) -> bool:
    """Whether it is one of those that stand for the first line in HTTP/2."""
    return name[:1] == ":"

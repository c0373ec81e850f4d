"""Of which channel a wire is, by what went over it. The archive of a browser has all that its pages load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import SPELLINGS
from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.socket_v2.settings import Settings
from flowstorm_channel.trace.entries import Record
from flowstorm_channel.wire import RequestHead, ResponseHead

__all__ = ["SOCKETS", "channel_of", "is_socket", "is_socket_address"]

SOCKETS = ("socket-v1", "twilio")
"""The channels on WebSockets."""

_SOCKET_PATHS = {"socket": "socket-v1", "call": "twilio"}
_HTTP_PATHS = {"client": "socket-v2", "alexa": "alexa", "google": "google"}
_CALL_EVENTS = frozenset(("connected", "start", "media", "mark", "dtmf", "stop", "clear"))


def is_socket(records: Sequence[Record]) -> bool:
    """Whether a wire is a WebSocket, or was to become one."""
    for each in records:
        match each.message:
            case RequestHead(url=url) if is_socket_address(url):
                return True
            case ResponseHead(status=101):
                return True
    return False


def is_socket_address(url: str) -> bool:
    """Whether an address is that of a WebSocket."""
    return url.partition(":")[0].lower() in ("ws", "wss")


def channel_of(head: RequestHead, records: Sequence[Record]) -> str | None:
    """The name of the channel; None: it is of none.

    What is said counts more than the address, which is each application's own choice.

    Args:
        head: of the request.
        records: of the wire, in order.
    """
    socket = is_socket(records)
    said = _of_socket(head, records) if socket else _of_exchange(head, records)
    if said is not None or head.method.upper() == "OPTIONS":
        return said
    return (_SOCKET_PATHS if socket else _HTTP_PATHS).get(_last_of_path(head.url))


def _of_socket(head: RequestHead, records: Sequence[Record]) -> str | None:
    if offers_msgpack(head):
        return "socket-v1"
    for each in records:
        match _object(each.message) if isinstance(each.message, str) else None:
            case {"type": str(kind)} if kind in SPELLINGS:
                return "socket-v1"
            case {"event": str(kind)} if kind in _CALL_EVENTS:
                return "twilio"
    return None


def _of_exchange(head: RequestHead, records: Sequence[Record]) -> str | None:
    body = b"".join(
        each.message for each in records if each.by == "client" and isinstance(each.message, bytes)
    )
    match _object(body):
        case {"version": str(), "request": {"type": str()}}:
            return "alexa"
        case {"handler": dict(), "session": dict()} | {"inputs": list(), "conversation": dict()}:
            return "google"
    return "socket-v2" if _is_named(head) else None


def _is_named(head: RequestHead) -> bool:
    """Whether a request says what every one of Socket V2 has to: key and device."""
    try:
        Settings.read(head)
    except RemoteProtocolError:
        return False
    return head.method.upper() != "OPTIONS"


def _object(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _last_of_path(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return path.rstrip("/").rpartition("/")[2]

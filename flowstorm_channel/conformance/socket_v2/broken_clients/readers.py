"""Broken in what they read."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from flowstorm_channel.conformance.socket_v2.broken_clients.base import fault
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    Event,
    UnknownEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.wire import ResponseHead

__all__: list[str] = []


class _Strict(SocketV2Client):
    def _on_body(self, request: Request, data: bytes) -> None:
        if all(map(self._understands, _events_in(data))):
            super()._on_body(request, data)
        else:
            self._on_fault(request, RemoteProtocolError("that is not understood"))

    @abstractmethod
    def _understands(self, frame: dict[str, Any]) -> bool:
        """Whether an event is as this client wants it."""


def _events_in(data: bytes) -> Iterator[dict[str, Any]]:
    """The events that stand whole in a piece of a body."""
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _held(frame: dict[str, Any]) -> dict[str, Any]:
    return frame.get("response") or frame.get("responseItem") or {}


@fault("fails-at-unknown-events")
class _FailsAtUnknownEvents(SocketV2Client):
    """Gives up a response in which an event of an unknown type stands."""

    def _take(self, event: Event) -> None:
        if isinstance(event, UnknownEvent):
            assert self._source is not None
            self._on_fault(self._source, RemoteProtocolError(f"unknown type {event.type}"))
        else:
            super()._take(event)


@fault("fails-at-unknown-members")
class _FailsAtUnknownMembers(_Strict):
    """Gives up a response in which a member stands that its classes do not have."""

    def _understands(self, frame: dict[str, Any]) -> bool:
        return not {"novelty", "hints", "mood"} & set(_held(frame))


@fault("fails-at-null")
class _FailsAtNull(_Strict):
    """Gives up a response in which a member is null."""

    def _understands(self, frame: dict[str, Any]) -> bool:
        return None not in _held(frame).values()


@fault("wants-every-member")
class _WantsEveryMember(_Strict):
    """Gives up a Response that lacks a member."""

    def _understands(self, frame: dict[str, Any]) -> bool:
        return "response" not in frame or {"items", "logs", "sessionEnded"} <= set(frame["response"])


@fault("knows-short-names-only")
class _KnowsShortNamesOnly(_Strict):
    """Does not know ResponseItemEvent for a ResponseItem."""

    def _understands(self, frame: dict[str, Any]) -> bool:
        return not str(frame.get("type")).endswith("Event")


@fault("takes-a-piece-for-an-event")
class _TakesAPieceForAnEvent(SocketV2Client):
    """Takes each piece that its HTTP library reads for whole events, and drops what is none."""

    def _on_body(self, request: Request, data: bytes) -> None:
        if not data or list(_events_in(data)):
            super()._on_body(request, data)


@fault("decodes-each-piece")
class _DecodesEachPiece(SocketV2Client):
    """Makes text of each piece that its HTTP library reads, though a letter may be cut in two."""

    def _on_body(self, request: Request, data: bytes) -> None:
        super()._on_body(request, data.decode(errors="replace").encode())


@fault("reads-lines")
class _ReadsLines(SocketV2Client):
    """Takes each line for an event."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._lines: dict[Request, bytes] = {}

    def _on_body(self, request: Request, data: bytes) -> None:
        *lines, self._lines[request] = (self._lines.get(request, b"") + data).split(b"\n")
        for line in [each for each in lines if list(_events_in(each))]:
            super()._on_body(request, line + b"\n")
        if not data:
            super()._on_body(request, data)


@fault("compares-content-types")
class _ComparesContentTypes(SocketV2Client):
    """Takes a body only when its Content-Type is application/json, letter by letter."""

    def _on_head(self, request: Request, head: ResponseHead) -> None:
        if head.header("Content-Type") not in ("application/json", None):
            head = ResponseHead(status=head.status, headers=(("Content-Type", "unknown/unknown"),))
        super()._on_head(request, head)


@fault("reads-into-a-small-buffer", limits=Limits(string_bytes=64 * 1024))
class _ReadsIntoASmallBuffer(SocketV2Client):
    """Cannot take an event of more than 64 KiB, as a reader of lines with the usual buffer."""

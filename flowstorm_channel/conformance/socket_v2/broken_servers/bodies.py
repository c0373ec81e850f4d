"""V2 servers that misread the body of a request, of the kinds that real ones have been."""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import suppress

from flowstorm_channel.conformance.socket_v2.broken_servers.faults import (
    Faulty,
    fault,
    refuse_malformed,
)
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import Event, UnknownEvent, Version
from flowstorm_channel.wire import CloseCode

__all__: list[str] = []


class _ReadsJson(Faulty):
    """What looks at the pieces of a body of JSON before they are read."""

    def _read_body(self, piece: bytes) -> None:
        if piece and not self._answered and self._media_type == "application/json":
            why = self._complaint(piece)
            if why:
                refuse_malformed(self, why)
        if not self._answered:
            super()._read_body(piece)

    @abstractmethod
    def _complaint(self, piece: bytes) -> str:
        """Why it refuses the piece; empty when it does not."""


@fault("takes-each-piece-for-an-event")
class _EachPiece(_ReadsJson):
    """Believes that an event comes in one piece, and each piece is one event."""

    def _complaint(self, piece: bytes) -> str:
        try:
            json.loads(piece)
        except (ValueError, RecursionError):
            return "this is no event"
        return ""


@fault("falls-over-deep-nesting")
class _FallsOver(_ReadsJson):
    """Reads what is nested by calling itself, and fails with 500 when the stack is full."""

    def _complaint(self, piece: bytes) -> str:
        try:
            with suppress(ValueError):  # it is cut
                json.loads(piece)
        except RecursionError:
            self._refuse(500, "something went wrong")
        return ""


@fault("decodes-each-piece-of-a-text")
class _DecodesPieces(Faulty):
    """Decodes a text piece by piece, and fails at a letter that was cut in two."""

    def _read_body(self, piece: bytes) -> None:
        try:
            if self._media_type == "text/plain":
                piece.decode()
        except ValueError:
            refuse_malformed(self, "this is not UTF-8")
        else:
            super()._read_body(piece)


@fault("knows-no-array")
class _NoArray(_ReadsJson):
    """Does not take an array of events."""

    def _complaint(self, piece: bytes) -> str:
        return "this is no event" if piece.startswith(b"[") else ""


@fault("refuses-unknown-members")
class _StrictMembers(_ReadsJson):
    """Reads with a strict schema: a member that it does not know is an error."""

    def _complaint(self, piece: bytes) -> str:
        known = {"type", "input", "entries", "data"}
        for line in piece.splitlines():
            with suppress(ValueError, RecursionError):  # it is cut
                if line.startswith(b'{"type": "Input"') and json.loads(line).keys() - known:
                    return "unknown member"
        return ""


@fault("chokes-on-null")
class _NoNull(_ReadsJson):
    """Refuses null, where a member may be left out as well."""

    def _complaint(self, piece: bytes) -> str:
        return "null is not allowed" if b": null" in piece else ""


@fault("knows-no-audio-in-events")
class _NoBinary(_ReadsJson):
    """Reads audio only in bodies of audio, not in Binary events."""

    def _complaint(self, piece: bytes) -> str:
        return "Binary is not known" if b'"Binary"' in piece else ""


@fault("knows-only-short-names")
class _OnlyShort(Faulty):
    """Does not know the long names of the documentation, such as InputEvent."""

    def _taken_for(self, piece: bytes) -> bytes:
        return piece.replace(b'"InputEvent"', b'"SomethingElse"')


@fault("refuses-unknown-events")
class _RefusesUnknown(Faulty):
    """Takes an event that it does not know for an error."""

    def _take(self, event: Event) -> None:
        if isinstance(event, UnknownEvent):
            refuse_malformed(self, f"there is no {event.type}")
        else:
            super()._take(event)


@fault("passes-over-events-of-v1")
class _PassesOverV1(Faulty):
    """Drops events of V1 without a word, though their sender waits for an answer."""

    def _take(self, event: Event) -> None:
        if Version.V1 not in event.VERSIONS or Version.V2 in event.VERSIONS:
            super()._take(event)


@fault("ignores-what-it-cannot-read")
class _IgnoresFaults(Faulty):
    """Logs what is wrong with a body, and goes on as if it had not been sent."""

    def _fault(self, error: RemoteProtocolError) -> None:
        """Nobody is told."""


@fault("reads-only-the-first-event")
class _OnlyFirst(Faulty):
    """Reads no further than the first Input of a body."""

    def _read_body(self, piece: bytes) -> None:
        if not self._typed:
            super()._read_body(piece)


@fault("hangs-up-on-garbage")
class _HangsUp(Faulty):
    """Breaks the connection off when something is wrong while its answer is on its way."""

    def _fault(self, error: RemoteProtocolError) -> None:
        if self._head_sent:
            self._shut(CloseCode.HOST_FAILED, "", "error")
        else:
            super()._fault(error)


@fault("takes-an-empty-text-for-silence")
class _EmptyIsSilence(Faulty):
    """Begins a turn when somebody has sent an empty line."""

    def _taken_for(self, piece: bytes) -> bytes:
        return b"#silence" if piece == b"\n" else piece

"""Clients that break on what they do not expect, and do not come back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowstorm_channel.client import ClientTurn
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.broken_clients.base import BrokenClient, fault
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import EVENTS, ErrorEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.wire import Close, Message

__all__: list[str] = []

_OF_CLIENTS = ("Input", "Request", "Init", "Log", "Vote", "InputStreamClose")


@fault("fails-on-unknown-events")
class _FailsOnUnknownEvents(BrokenClient):
    """Gives up the connection on an event of a type that it does not know, as the Kotlin client does."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame.get("type") not in EVENTS and not str(frame.get("type")).endswith("Event"):
            self.receive_eof()
            return ()
        return (frame,)


@fault("fails-on-unknown-members")
class _FailsOnUnknownMembers(BrokenClient):
    """Drops events with members that it does not know."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        return () if "more" in frame else (frame,)


@fault("needs-all-members")
class _NeedsAllMembers(BrokenClient):
    """Drops a Response without items, logs and attributes: its reader has no defaults."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        held = frame.get("response")
        if isinstance(held, dict) and not {"items", "logs", "attributes"} <= set(held):
            return ()
        return (frame,)


@fault("fails-on-null")
class _FailsOnNull(BrokenClient):
    """Drops events with null in them."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        held = frame.get("response") or frame.get("responseItem")
        return () if isinstance(held, dict) and None in held.values() else (frame,)


@fault("knows-short-names-only")
class _KnowsShortNames(BrokenClient):
    """Does not know that ResponseEvent is Response."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        return () if str(frame.get("type")).endswith("Event") else (frame,)


@fault("takes-an-empty-frame-for-the-end")
class _EmptyIsTheEnd(BrokenClient):
    """Takes an empty binary frame for the end of the stream."""

    def receive_data(self, message: Message) -> None:
        if message == b"":
            self.receive_eof()
        else:
            super().receive_data(message)


@fault("reads-ascii")
class _ReadsAscii(BrokenClient):
    """Loses the letters beyond ASCII."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        for item in (frame.get("response") or {}).get("items") or ():
            item["text"] = str(item.get("text")).encode("ascii", "replace").decode()
        return (frame,)


@fault("takes-little-at-a-time")
class _TakesLittle(BrokenClient):
    """Takes no message of more than 64 KiB."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, limits=Limits(message_bytes=65_536), **more)


@fault("answers-faults-with-error")
class _AnswersFaults(BrokenClient):
    """Tells the server with an Error that it cannot read something."""

    def _fault(self, error: RemoteProtocolError) -> None:
        super()._fault(error)
        self._write(ErrorEvent(text=str(error)))


@fault("fails-on-events-of-clients")
class _FailsOnEventsOfClients(BrokenClient):
    """Gives up the connection when it gets an event that only clients send."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame.get("type") in _OF_CLIENTS:
            self.receive_eof()
            return ()
        return (frame,)


@fault("is-done-after-an-error")
class _DoneAfterAnError(BrokenClient):
    """Takes nothing from its user after an Error."""

    _failed = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        self._failed = self._failed or frame.get("type") == "Error"
        return (frame,)

    def say(self, text: str, **more: Any) -> ClientTurn:
        if self._failed:
            raise LocalProtocolError("something went wrong")
        return super().say(text, **more)


@fault("waits-on-after-an-error")
class _WaitsOnAfterAnError(BrokenClient):
    """Still waits for the answers to its inputs after an Error, and so drops the next ones."""

    _awaited = 0
    _skipped = 0

    def said(self, frame: Frame) -> Iterable[Frame]:
        self._awaited += frame["type"] in ("Input", "Request")
        return (frame,)

    def heard(self, frame: Frame) -> Iterable[Frame]:
        match frame.get("type"):
            case "Error":
                self._skipped, self._awaited = max(0, self._awaited - 1), 0
            case "Response":
                self._awaited = max(0, self._awaited - 1)
                self._skipped = max(0, self._skipped - 1)
            case "ResponseItem" if self._skipped:
                return ()
        return (frame,)


@fault("hangs-after-a-loss")
class _HangsAfterALoss(BrokenClient):
    """Still waits, after a reconnect, for the answer that the loss cut off."""

    _awaited = 0
    _hangs = False

    def said(self, frame: Frame) -> Iterable[Frame]:
        self._awaited += frame["type"] in ("Input", "Request")
        return (frame,)

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame.get("type") in ("Response", "Error"):
            self._awaited = max(0, self._awaited - 1)
        return (frame,)

    def _lost(self, code: int, reason: str) -> None:
        self._hangs = self._awaited > 0
        super()._lost(code, reason)

    def say(self, text: str, **more: Any) -> ClientTurn:
        if self._hangs:
            raise LocalProtocolError("the answer has not come yet")
        return super().say(text, **more)


@fault("never-comes-back")
class _NeverComesBack(BrokenClient):
    """Does not connect again after a loss."""

    def _limit(self, name: str) -> float | None:
        return None if name == "reconnect" else super()._limit(name)


@fault("comes-back-at-once")
class _ComesBackAtOnce(BrokenClient):
    """Connects again every half second."""

    def _limit(self, name: str) -> float | None:
        return 0.5 if name == "reconnect" else super()._limit(name)


@fault("takes-a-clean-close-for-the-end")
class _CleanCloseIsTheEnd(BrokenClient):
    """Is done when the server closes the WebSocket with 1000."""

    def receive_data(self, message: Message) -> None:
        super().receive_data(message)
        if isinstance(message, Close):
            self.close()


@fault("takes-a-refusal-for-the-end")
class _RefusalIsTheEnd(BrokenClient):
    """Is done when its Init is refused."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame.get("type") == "Error" and self.session_id is None and not self._open:
            self.close()
        return (frame,)


@fault("never-closes")
class _NeverCloses(BrokenClient):
    """Leaves the WebSocket open when it is closed."""

    def close(self) -> None:
        """Do nothing."""

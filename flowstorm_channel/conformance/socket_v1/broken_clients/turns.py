"""Clients that show too little, too late, or too much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flowstorm_channel.client import ClientTurn
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.memory import MemoryClientDriver
from flowstorm_channel.conformance.socket_v1.broken_clients.base import BrokenClient, fault
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import ErrorEvent, Event, ResponseEvent, ResponseItemEvent
from flowstorm_channel.socket_v1 import SocketV1Client
from flowstorm_channel.wire import Message

__all__: list[str] = []


class _ShowsSingleItems(MemoryClientDriver):
    def _play(self, event: Event) -> None:
        if not isinstance(event, ResponseEvent):
            super()._play(event)


@fault("shows-single-items-only", _ShowsSingleItems)
class _SingleItems(SocketV1Client):
    """Does not look into the Response for items."""


class _Collects(MemoryClientDriver):
    _held: tuple[Event, ...] = ()

    def _play(self, event: Event) -> None:
        self._held = (*self._held, event)
        if not isinstance(event, ResponseItemEvent):
            for each in self._held:
                super()._play(each)
            self._held = ()


@fault("waits-for-the-response", _Collects)
class _WaitsForTheResponse(SocketV1Client):
    """Collects the items, and shows them when the Response has come."""


class _StopsAtTheEnd(MemoryClientDriver):
    def _play(self, event: Event) -> None:
        if not (isinstance(event, ResponseEvent) and event.response.session_ended):
            super()._play(event)


@fault("ends-without-the-last-words", _StopsAtTheEnd)
class _EndsWithoutTheLastWords(SocketV1Client):
    """Stops when a Response ends the session, and does not play what is in it."""


class _HidesErrors(MemoryClientDriver):
    def _play(self, event: Event) -> None:
        if not isinstance(event, ErrorEvent):
            super()._play(event)


@fault("hides-errors", _HidesErrors)
class _NoErrors(SocketV1Client):
    """Tells an Error to nobody."""


@fault("waits-for-playback-of-nothing")
class _WaitsForPlayback(BrokenClient):
    """Waits for the end of a playback that never began, when an answer holds no words."""

    _stuck = False
    _words = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        held = frame.get("responseItem")
        if isinstance(held, dict):
            self._words = self._words or not str(held.get("text")).startswith("#")
        if frame["type"] == "Response":
            items = (frame.get("response") or {}).get("items")
            self._stuck = not (self._words or items)
            self._words = False
        return (frame,)

    def say(self, text: str, **more: Any) -> ClientTurn:
        if self._stuck:
            raise LocalProtocolError("the answer is still played")
        return super().say(text, **more)


@fault("hears-only-what-it-asked-for")
class _OnlyAnswers(BrokenClient):
    """Drops what the server says of its own accord."""

    _asked = 0

    def said(self, frame: Frame) -> Iterable[Frame]:
        self._asked += frame["type"] in ("Input", "Request")
        return (frame,)

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "ResponseItem" and self._asked == 0:
            return ()
        if frame["type"] == "Response":
            self._asked = max(0, self._asked - 1)
        return (frame,)


@fault("waits-for-ever")
class _WaitsForEver(BrokenClient):
    """Waits for the answer to an interrupted input, even if it never comes."""

    def _limit(self, name: str) -> float | None:
        return None if name == "answer" else super()._limit(name)


@fault("keeps-its-language")
class _KeepsItsLanguage(BrokenClient):
    """Does not notice that the dialogue has changed its language."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if isinstance(frame.get("response"), dict):
            frame["response"].pop("locale", None)
        return (frame,)


class _PlaysWhatComes(MemoryClientDriver):
    def shown(self) -> Sequence[str | bytes]:
        self.settle()
        assert isinstance(self._client, _PlaysEverything)
        return self._client.came


@fault("plays-everything", _PlaysWhatComes)
class _PlaysEverything(BrokenClient):
    """Plays whatever comes, of interrupted turns, too."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.came: list[str | bytes] = []

    def receive_data(self, message: Message) -> None:
        if isinstance(message, str | bytes):
            self.came.append(message)
        super().receive_data(message)


@fault("drops-one-answer-too-many")
class _DropsTooMuch(BrokenClient):
    """Expects two Responses for an interrupted turn, and drops the next answer."""

    _awaited = 0
    _skipped = 0

    def said(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] in ("Input", "Request"):
            self._skipped += 2 if self._awaited else 0
            self._awaited += 1
        return (frame,)

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "ResponseItem" and self._skipped:
            return ()
        if frame["type"] == "Response":
            self._awaited = max(0, self._awaited - 1)
            self._skipped = max(0, self._skipped - 1)
        return (frame,)


@fault("throws-the-end-away-with-the-answer")
class _ThrowsTheEndAway(BrokenClient):
    """Drops the Response of an interrupted turn whole, and with it the end of the session."""

    _awaited = 0
    _thrown = False

    def said(self, frame: Frame) -> Iterable[Frame]:
        self._awaited += frame["type"] in ("Input", "Request")
        return (frame,)

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Response":
            self._thrown = self._awaited > 1
            self._awaited = max(0, self._awaited - 1)
            if self._thrown:
                frame["response"]["sessionEnded"] = False
        return () if frame["type"] == "SessionEnded" and self._thrown else (frame,)


@fault("is-not-to-be-stopped")
class _NotToBeStopped(BrokenClient):
    """Goes on playing when the user interrupts without a word."""

    def interrupt(self) -> None:
        """Do nothing."""


@fault("forgets-its-turn-with-ready")
class _ForgetsWithReady(BrokenClient):
    """Takes every Ready for a beginning, and forgets what it waits for."""

    _ready = 0
    _deaf = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        self._ready += frame["type"] == "Ready"
        self._deaf = self._deaf or (frame["type"] == "Ready" and self._ready > 1)
        if self._deaf and frame["type"] == "ResponseItem":
            return ()
        if frame["type"] == "Response":
            self._deaf = False
        return (frame,)

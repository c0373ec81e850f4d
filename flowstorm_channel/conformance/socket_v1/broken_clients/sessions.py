"""Clients that lose their session, or cannot let go of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowstorm_channel.client import ClientTurn
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.broken_clients.base import BrokenClient, fault
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import ErrorEvent, ReadyEvent
from flowstorm_channel.states import State
from flowstorm_channel.values import INTRO

__all__: list[str] = []


@fault("begins-again-after-a-loss")
class _BeginsAgain(BrokenClient):
    """Says #intro after every Ready, though it still has its session; the Kotlin client did."""

    def _on_ready(self, event: ReadyEvent, what: str) -> None:
        first = self._state is State.OPEN
        super()._on_ready(event, what)
        if first and self.session_id is not None:
            self._say(self._spoken(INTRO))


@fault("forgets-the-session-on-a-loss")
class _ForgetsOnALoss(BrokenClient):
    """Forgets its session when the connection is lost."""

    def _lost(self, code: int, reason: str) -> None:
        self._drop_session()
        super()._lost(code, reason)


@fault("names-no-session")
class _NamesNoSession(BrokenClient):
    """Goes on after a reconnect with an Input, from which no server can tell the session."""

    def said(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Request":
            return ({"type": "Input", "input": frame["request"]["input"]},)
        return (frame,)


@fault("keeps-the-first-session")
class _KeepsTheFirst(BrokenClient):
    """Takes the first SessionStarted only."""

    _known: str | None = None

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "SessionStarted":
            self._known = self._known or str(frame.get("sessionId"))
            return ({**frame, "sessionId": self._known},)
        return (frame,)


@fault("hears-no-end")
class _HearsNoEnd(BrokenClient):
    """Goes on with a session that the server has ended."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if isinstance(frame.get("response"), dict):
            frame["response"].pop("sessionEnded", None)
        return () if frame["type"] == "SessionEnded" else (frame,)


@fault("ignores-session-ended")
class _IgnoresSessionEnded(BrokenClient):
    """Relies on the Response to tell the end, and passes SessionEnded over."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        return () if frame["type"] == "SessionEnded" else (frame,)


@fault("relies-on-session-ended")
class _ReliesOnSessionEnded(BrokenClient):
    """Does not look at sessionEnded, and waits for SessionEnded."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if isinstance(frame.get("response"), dict):
            frame["response"].pop("sessionEnded", None)
        return (frame,)


@fault("takes-the-end-for-the-end")
class _EndBeforeSleep(BrokenClient):
    """Looks at sessionEnded first, and drops a session that is to sleep when both are said."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        held = frame.get("response")
        if isinstance(held, dict) and held.get("sessionEnded"):
            held["sleepTimeout"] = 0
        return (frame,)


@fault("starts-over-with-ready")
class _StartsOver(BrokenClient):
    """Drops its session with every Ready on a connection but the first."""

    _ready = 0

    def heard(self, frame: Frame) -> Iterable[Frame]:
        self._ready += frame["type"] == "Ready"
        if frame["type"] == "Ready" and self._ready > 1:
            self._drop_session()
        return (frame,)


@fault("keeps-the-session-through-an-error")
class _KeepsThroughAnError(BrokenClient):
    """Goes on with its session after an Error."""

    def _on_error(self, event: ErrorEvent, what: str) -> None:
        kept = self.session_id
        super()._on_error(event, what)
        self.session_id = kept


@fault("has-one-session-only")
class _HasOneSession(BrokenClient):
    """Is done when the session is over: whatever the user says then goes nowhere."""

    _over = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        self._over = self._over or frame["type"] == "SessionEnded"
        return (frame,)

    def say(self, text: str, **more: Any) -> ClientTurn:
        if self._over:
            raise LocalProtocolError("the conversation is over")
        return super().say(text, **more)


@fault("takes-sleep-for-the-end")
class _TakesSleepForTheEnd(BrokenClient):
    """Drops its session when it is to sleep."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        held = frame.get("response")
        if isinstance(held, dict) and held.pop("sleepTimeout", 0):
            held["sessionEnded"] = True
        return (frame,)


@fault("sleeps-for-ever")
class _SleepsForEver(BrokenClient):
    """Keeps a sleeping session, however long it sleeps."""

    def _limit(self, name: str) -> float | None:
        return None if name == "sleep" else super()._limit(name)


@fault("cannot-be-woken")
class _CannotBeWoken(BrokenClient):
    """Takes nothing from its user while the session sleeps."""

    def say(self, text: str, **more: Any) -> ClientTurn:
        if self._sleeps:
            raise LocalProtocolError("the session sleeps")
        return super().say(text, **more)

"""Servers that go wrong when the caller interrupts them, or mix up their calls."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.twilio.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame, audio_of
from flowstorm_channel.events import Event, InputEvent
from flowstorm_channel.server import EMPTY, ServerChannel
from flowstorm_channel.testing.twilio import RATE
from flowstorm_channel.values import INTRO, Response
from flowstorm_channel.wire import Close, Message

__all__: list[str] = []


class _WaitingHost(ReferenceHost):
    """Says nothing before the caller does."""

    def take(self, channel: ServerChannel, event: Event) -> None:
        if isinstance(event, InputEvent) and event.input.transcript.text == INTRO:
            channel.turn.finish()
        else:
            super().take(channel, event)


@fault("waits-for-the-caller", make_host=_WaitingHost)
class _WaitsForTheCaller(BrokenServer):
    """Begins no turn when the call comes, so that both sides wait for the other to speak."""


@fault("hears-nothing")
class _HearsNothing(BrokenServer):
    """Takes the caller's audio for PCM, of which nothing is recognised."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("event") == "media" else frame


@fault("never-clears")
class _NeverClears(BrokenServer):
    """Does not clear what is still to be played: the answer comes when the rest has been heard."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] != "clear":
            yield frame


@fault("clears-too-late")
class _ClearsTooLate(BrokenServer):
    """Clears when the answer has been sent already, which is cleared with the rest."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._clear: list[Frame] = []

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "clear":
            self._clear = [frame]
        elif frame["event"] == "mark":
            yield from self._clear
            self._clear = []
            yield frame
        else:
            yield frame


@fault("empties-only-the-buffer-of-twilio")
class _EmptiesOnlyTheBufferOfTwilio(BrokenServer):
    """Sends audio as fast as it is played; a clear leaves untouched what waits in its own queue."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._waits: deque[Frame] = deque()
        self._free = 0.0

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "clear":
            yield frame
        else:
            self._waits.append(frame)

    def data_to_send(self) -> Iterator[Message]:
        yield from super().data_to_send()
        while self._waits and self._free <= self._clock():
            frame = self._waits.popleft()
            self._free = max(self._free, self._clock()) + len(audio_of(frame) or b"") / RATE
            yield json.dumps(frame)

    def next_deadline(self) -> float | None:
        due = super().next_deadline()
        return due if not self._waits else min(self._free, due or self._free)


@fault("clears-on-keys")
class _ClearsOnKeys(BrokenServer):
    """Stops talking at each key that is pressed, also where keys mean nothing."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "dtmf":
            self.put({"event": "clear", "streamSid": self._stream_sid})
        return frame


@fault("dies-of-keys")
class _DiesOfKeys(BrokenServer):
    """Fails when a key is pressed that its author did not think of."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "dtmf":
            int(frame["dtmf"]["digit"])
        return frame


@fault("takes-any-mark")
class _TakesAnyMark(BrokenServer):
    """Takes each mark that comes back for the one it waits for, those of cleared audio too."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "mark":
            frame["mark"]["name"] = self._awaited or ""
        return frame


@fault("expects-its-own-marks")
class _ExpectsItsOwnMarks(BrokenServer):
    """Fails when a mark comes back that it has forgotten."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "mark" and not frame["mark"]["name"].startswith(("turn-", "Sleeping")):
            raise KeyError(frame["mark"]["name"])
        return frame


@fault("clears-all-calls")
class _ClearsAllCalls(BrokenServer):
    """Keeps one state for all callers: when one of them interrupts, all are interrupted."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start":
            self.shared.setdefault("calls", []).append(self)
        return frame

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:
        for each in self.shared["calls"]:
            if each is not self:
                each.put({"event": "clear", "streamSid": each._stream_sid})
        return super()._cut(reason, response)

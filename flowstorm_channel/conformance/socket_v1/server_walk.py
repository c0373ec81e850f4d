"""Walks with a V1 server: what a client may do at every moment, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.profile import PHRASES
from flowstorm_channel.conformance.socket_v1.peer import Conversation, V1Caller, name
from flowstorm_channel.conformance.socket_v1.server import SUITE
from flowstorm_channel.conformance.walk import Broken, Step, Walk
from flowstorm_channel.states import SERVER, State

__all__ = ["V1ServerWalk"]

_NEVER = ("< fault", "< Binary")
"""What is no step: a fault ends the session, and blocks of audio make one step, ``speak``."""
_TRIGGERS = tuple(
    sorted({each for row in SERVER.values() for each in row if each.startswith("<")} - set(_NEVER))
)
"""What a client can do, by the tables."""
_SAID = ("echo", "nothing", "image", "long", "sleep", "end", "later")
_QUIET = b"\0" * 3200
_CONFIG: dict[str, Any] = {"sttInterimResults": True, "silenceTimeout": 2000}


class V1ServerWalk(Walk[V1Caller]):
    """A client that does anything that the tables let it do."""

    SUITE = SUITE
    STEPS: ClassVar[Mapping[str, Sequence[str | int]]] = {
        **dict.fromkeys(_TRIGGERS, ("",)),
        **dict.fromkeys(("< Input", "< Request"), _SAID),
        "speak": ("", "words"),
        "time": (100, 700, 2500),
    }

    def __init__(self, stage: V1Caller) -> None:
        super().__init__(stage)
        self.state = State.CLOSED
        """Of the server, as far as a client can tell."""
        self._open = 0
        self._session = "walk"
        self._talk: Conversation

    def begin(self) -> None:
        self._talk = self.stage.ready(**_CONFIG)
        self.state = State.SLEEPING

    def kinds(self) -> Iterable[str]:
        row = SERVER[self.state]
        return [*(each for each in _TRIGGERS if each in row), "speak", "time"]

    def _do(self, step: Step) -> None:
        match step.kind:
            case "time":
                self._see(self._talk.during(float(step.value)))
            case "speak":
                self._talk.speak(self.stage.profile.speech if step.value else _QUIET)
            case "< Binary empty":
                self._talk.send(b"")
            case trigger:
                self._talk.send(self._frame(trigger, str(step.value)))
                self.state = SERVER[self.state].get(trigger, self.state)
                self._open += trigger in ("< Input", "< Request")
                if trigger == "< Init":
                    self._see(self._talk.until("Ready", "Error"))
        self._see(self._talk.during(0))

    def _frame(self, trigger: str, value: str) -> Frame:
        profile, talk = self.stage.profile, self._talk
        text = profile.phrase(value) if value in PHRASES else value
        match trigger:
            case "< Input":
                return frames.said(text)
            case "< Request":
                return frames.request(text, self._session, key=profile.key, device_id=talk.device_id)
            case "< Init":
                config = {"sendResponseItems": True, **_CONFIG}
                return frames.init(key=profile.key, device_id=talk.device_id, **config)
            case "< Log":
                return frames.log("walking")
        return _PLAIN[trigger]

    def _see(self, came: Iterable[Frame]) -> None:
        for frame in came:
            self.state = SERVER[self.state].get(_trigger(frame), self.state)
            match frame["type"]:
                case "Recognized" if frame.get("isFinal") is not False:
                    self._open += 1
                case "Response":
                    self._open = max(0, self._open - 1)
                case "Error" | "SessionEnded":
                    self._open = 0
                case "SessionStarted":
                    self._session = str(frame.get("sessionId"))

    def _conclude(self) -> Broken | None:
        self._talk.send(frames.said(self.stage.profile.phrase("echo")))
        self._open += 1
        last: Frame | None = None
        while self._open:
            last = self._talk.receive(2 * self.stage.patience)
            if last is None or last["type"] == "(closed)":
                return Broken(
                    rule="every_input_is_answered_once",
                    text=f"an input was never answered; at last came {name(last)}",
                )
            self._see([last])
        return None


_PLAIN: Mapping[str, Frame] = {
    "< InputAudioStreamOpen": frames.OPEN,
    "< InputAudioStreamClose": frames.CLOSE,
    "< InputAudioStreamCancel": frames.CANCEL,
    "< SessionEnded": frames.ENDED,
    "< Vote": {"type": "Vote", "vote": 1},
    "< Unknown": {"type": "Novelty", "x": 1},
}


def _trigger(frame: Frame) -> str:
    held = frame.get("response")
    if isinstance(held, dict) and (held.get("sessionEnded") or held.get("sleepTimeout")):
        return "> Response end"
    if frame["type"] == "Recognized":
        return f"> Recognized {'interim' if frame.get('isFinal') is False else 'final'}"
    return f"> {frame['type']}"

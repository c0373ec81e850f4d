"""Walks with a V1 client: what a server may send at every moment, and what a user may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import attrs

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.drivers import ACTIONS
from flowstorm_channel.conformance.socket_v1.client import SUITE
from flowstorm_channel.conformance.socket_v1.listener import Accepted, Listener
from flowstorm_channel.conformance.socket_v1.peer import name
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.walk import Broken, Step, Walk
from flowstorm_channel.states import SERVER, Audio, State

__all__ = ["V1ClientWalk"]

_NEVER = ("> Ready", "> Binary empty")
"""What is no step: Ready answers an Init, and a keep-alive is nothing that a server needs to send."""
_TRIGGERS = tuple(
    sorted({each for row in SERVER.values() for each in row if each.startswith(">")} - set(_NEVER))
)
"""What a server can send, by the tables."""
_HEARD = ("> Recognized interim", "> Recognized final")
_ACTS = tuple(each for each in ACTIONS if each not in ("say", "close"))
_GIVEN_UP = 14_000
"""Milliseconds after which a client may forget the turns that it waits for (D-36)."""


@attrs.define
class _Turn:
    """An input, and what has been sent for it."""

    stale: bool = False
    """The client has said something since, or the user wants no more of it."""
    begun: bool = False


class V1ClientWalk(Walk[Listener]):
    """A server that sends anything that the tables let it send, and a user who does anything.

    The server notices late that the user has said something more: parts of the turn before still come.
    """

    SUITE = SUITE
    STEPS: ClassVar[Mapping[str, Sequence[str | int]]] = {
        **dict.fromkeys(_TRIGGERS, ("",)),
        "> Response end": ("ends", "sleeps"),
        "say": ("",),
        **dict.fromkeys(_ACTS, ("",)),
        "lost": ("",),
        "time": (100, 1000),
    }

    def __init__(self, stage: Listener) -> None:
        super().__init__(stage)
        self._talk: Accepted
        self._turns: list[_Turn] = []
        self._quiet = State.SLEEPING
        self._stream = Audio.CLOSED
        self._session = False
        self._numbers = 0
        self._late: list[str] = []
        self._impossible: set[str] = set()
        self._moved = 0.0

    @property
    def state(self) -> State:
        """Of the server that the kit is."""
        if not self._turns:
            return self._quiet
        return State.RESPONDING if self._turns[0].begun else State.PROCESSING

    def begin(self) -> None:
        self._talk = self.stage.introduced()
        self._notice()

    def kinds(self) -> Iterable[str]:
        row = SERVER[self.state]
        sent = [each for each in _TRIGGERS if each in row and self._possible(each)]
        acts = [each for each in ("say", *_ACTS) if each not in self._impossible]
        return [*sent, *acts, "lost", "time"]

    def _possible(self, trigger: str) -> bool:
        match trigger:
            case "> InputAudioStreamOpen":
                return self._stream is Audio.ASKED
            case "> Recognized interim" | "> Recognized final":
                return self._stream is Audio.OPEN
            case "> SessionEnded":
                return self._session
        return True

    # -------------------------------------------------------- steps

    def _do(self, step: Step) -> None:
        match step.kind:
            case "time":
                self.stage.pass_time(float(step.value))
                if self.stage.now - self._moved > _GIVEN_UP:
                    self._turns = [_Turn(begun=turn.begun) for turn in self._turns]
            case "lost":
                self._lose()
            case kind if kind.startswith(">"):
                self._send(kind, str(step.value))
            case action:
                self._act(action)
        self._notice()

    def _act(self, action: str) -> None:
        value: str | bytes = self._text("words") if action == "say" else action
        try:
            self.stage.driver.act(action, bytes(320) if action == "speak" else value)
        except NotDeclared:
            self._impossible.add(action)
        else:
            if action == "interrupt":
                self._outdate()

    def _send(self, trigger: str, value: str) -> None:
        if trigger in ("> ResponseItem", "> Binary", "> Response", "> Response end"):
            self._announce()
        match trigger:
            case "> ResponseItem":
                self._talk.send(frames.item(self._part()))
            case "> Binary":
                self._talk.send(self._part().encode())
            case "> Response":
                self._talk.send(frames.response())
                self._answered()
                self._quiet = State.LISTENING
            case "> Response end":
                asleep = value == "sleeps"
                self._talk.send(frames.response(sessionEnded=not asleep, sleepTimeout=60 if asleep else 0))
                self._answered()
                self._quiet, self._stream = State.SLEEPING, Audio.CLOSED
                if not asleep:
                    self._talk.send(frames.ENDED)
                    self._session = False
            case "> InputAudioStreamOpen":
                self._talk.send(frames.OPEN)
                self._stream = Audio.OPEN
            case "> Recognized interim":
                self._talk.send(frames.recognized("…", final=False))
            case "> Recognized final":
                self._announce()
                self._talk.send(frames.recognized(self._text("heard"), final=True))
                self._stream = Audio.CLOSED
                self._said()
            case "> SessionEnded":
                self._end_session()
            case "> Error":
                self._talk.send({"type": "Error", "text": "something went wrong"})
                self._turns.clear()
                self._quiet, self._stream, self._session = State.SLEEPING, Audio.CLOSED, False
            case "> Unknown":
                self._talk.send({"type": "Novelty", "x": 1})

    def _lose(self) -> None:
        self._talk.lose()
        self._turns.clear()
        self._quiet, self._stream = State.SLEEPING, Audio.CLOSED
        self._talk = self.stage.introduced(12_000)

    # -------------------------------------------------------- what a server keeps in mind

    def _text(self, what: str) -> str:
        self._numbers += 1
        return f"{what} {self._numbers} of the walk"

    def _announce(self) -> None:
        if not self._session:
            self._numbers += 1
            self._talk.send(frames.started(f"walk-{self._numbers}"))
            self._session = True

    def _part(self) -> str:
        """The text of a part of the oldest turn; without one the server begins one by itself."""
        if not self._turns:
            self._turns.append(_Turn())
        self._turns[0].begun = True
        text = self._text("part")
        if self._turns[0].stale:
            self._late.append(text)
        self._moved = self.stage.now
        return text

    def _answered(self) -> None:
        if self._turns:
            self._turns.pop(0)
        self._moved = self.stage.now

    def _said(self) -> None:
        self._outdate()
        self._turns.append(_Turn())
        self._moved = self.stage.now

    def _outdate(self) -> None:
        for turn in self._turns:
            turn.stale = True

    def _end_session(self) -> None:
        self._talk.send(frames.ENDED)
        self._session = False
        self._quiet, self._stream = State.SLEEPING, Audio.CLOSED

    def _notice(self) -> None:
        for frame in self._talk.during(0):
            match frame["type"]:
                case "Input" | "Request":
                    self._stream = Audio.CLOSED
                    self._said()
                case "InputAudioStreamOpen":
                    self._stream = Audio.ASKED if self._stream is Audio.CLOSED else self._stream
                case "InputAudioStreamClose" | "InputAudioStreamCancel":
                    self._stream = Audio.CLOSED
                case "SessionEnded":
                    self._close_for_client()

    def _close_for_client(self) -> None:
        """The client has ended the session (D-53)."""
        for _ in self._turns:
            self._talk.send(frames.response(sessionEnded=True))
        self._turns.clear()
        self._end_session()

    # -------------------------------------------------------- the end

    def _conclude(self) -> Broken | None:
        while self._turns:
            self._send("> Response", "")
            self._notice()
        if "say" not in self._impossible and (broken := self._say_something()):
            return broken
        return self._look_for_late_parts()

    def _say_something(self) -> Broken | None:
        text = self._text("last words")
        self.stage.driver.act("say", text)
        try:
            found = self._talk.until("Input", "Request")
        except Violation as error:
            return Broken(rule="what_the_user_says_is_sent", text=f"{text!r} was not sent: {error}")
        if frames.text_of(found[-1]) != text:
            return Broken(rule="what_the_user_says_is_sent", text=f"said {text!r}, got {name(found[-1])}")
        return None

    def _look_for_late_parts(self) -> Broken | None:
        shown = self.stage.driver.shown() or ()
        texts = [each if isinstance(each, str) else each.decode(errors="replace") for each in shown]
        for late in self._late:
            if any(late in each for each in texts):
                text = f"{late!r} was shown, though its turn had been interrupted before it came"
                return Broken(rule="nothing_of_an_interrupted_turn_is_shown", text=text)
        return None

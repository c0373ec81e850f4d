"""Client machines, with an app that says any of its words at any time."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.client import ClientChannel, ClientTurn
from flowstorm_channel.events import (
    Event,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    RequestEvent,
    SessionEndEvent,
    TurnInterruptedEvent,
    UnknownEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.states import Audio
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import (
    ClientConfig,
    Input,
    LogEntry,
    Request,
    SttMode,
    Transcript,
)
from tests.fuzz.machines import Driven
from tests.fuzz.program import Failure, Program

__all__ = ["App", "client_options"]

_INPUT = Input(transcript=Transcript(text="sent"))
_CONFIG = ClientConfig(stt_mode=SttMode.DUPLEX, locale="cs", send_response_items=True)
_EVENTS: tuple[Event, ...] = (
    InitEvent(key="K", device_id="D", config=_CONFIG),
    InitEvent(key="K", device_id="D"),
    SessionEndEvent(),
    InputEvent(input=_INPUT),
    RequestEvent(request=Request(app_key="K", device_id="D", session_id="R", input=_INPUT)),
    InputAudioStreamCancelEvent(),
    UnknownEvent(data={"type": "Mine", "x": [1]}),
    LogEvent(entries=()),
    ReadyEvent(),
)
_TEXTS = ("hello", "#intro", "", "x" * 300, "é\u2028")


def client_options(program: Program) -> dict[str, Any]:
    """What the app wants."""
    bits = program.byte()
    return {
        "auto_start": bool(bits & 1),
        "auto_microphone": bool(bits & 2),
        "pause_on_interrupt": bool(bits & 4),
        "session_id": "S" if bits & 8 else None,
        "attributes": {"clientType": "app"} if bits & 16 else None,
        "token": "T" if bits & 32 else None,
    }


class App(Driven):
    """A client machine and its app."""

    channel: ClientChannel

    def __init__(self, clock: ManualClock, limits: Limits, program: Program) -> None:
        super().__init__(clock, limits, program)
        self.turns: list[ClientTurn] = []
        self.plays = not program.byte() & 1

    def take(self, event: Event) -> None:
        channel = self.channel
        if channel._turn is not None and (not self.turns or self.turns[-1] is not channel.turn):
            self.turns.append(channel.turn)
        if isinstance(event, TurnInterruptedEvent):
            for turn in self.turns:
                if not (turn.over or turn.number != event.number):
                    raise Failure(f"{turn} is interrupted, and not over")
        if self.plays:
            self.word(channel.finish_playback)

    def check(self) -> None:
        super().check()
        channel = self.channel
        fed = self.given + self.fed
        if len(channel._open) > self.said // 64 + fed + 2:
            raise Failure(f"{len(channel._open)} turns are open")
        if len(channel._unplayed) > self.said // 64 + fed + 2:
            raise Failure(f"{len(channel._unplayed)} turns play")
        if not all(not turn.over for turn in channel._unplayed):
            raise Failure("what is over plays")

    def say(self) -> None:
        """The next word of the app."""
        program, channel = self.program, self.channel
        match program.below(18):
            case 0:
                self.word(channel.open, 500)
            case 1 | 2:
                text = program.choose(_TEXTS)
                attributes = {"a": 1} if program.flag() else None
                self.word(lambda: self.turns.append(channel.say(text, attributes=attributes)), 3000)
            case 3 | 4:
                self.word(channel.open_microphone, 1000)
            case 5 | 6:
                block = program.taken(100) * program.times()
                listened = channel.audio is Audio.OPEN
                sent = []
                if not self.word(lambda: sent.append(channel.send_audio(block)), 4 * len(block) + 300):
                    raise Failure("a block raises")
                if not (listened or not sent[0]):
                    raise Failure("audio goes to nobody")
            case 7:
                self.word(channel.close_microphone)
            case 8:
                entries = tuple(LogEntry(text=program.clean_text(10)) for _ in range(program.below(3)))
                self.word(lambda: channel.log(*entries), 1500)
            case 9:
                if self.turns:
                    self.word(lambda: channel.vote(self.turns[-1], 1), 600)
            case 10:
                if not self.word(channel.interrupt, 500):
                    raise Failure("interrupt() raises")
            case 11:
                if not self.word(channel.pause):
                    raise Failure("pause() raises")
            case 12:
                if not self.word(channel.resume, 500):
                    raise Failure("resume() raises")
            case 13:
                if not self.word(channel.finish_playback, 500):
                    raise Failure("finish_playback() raises")
            case 14:
                if self.turns:
                    turn = self.turns[-1 - program.below(min(len(self.turns), 4))]
                    act = turn.interrupt if program.flag() else turn.finish_playback
                    if not self.word(act, 500):
                        raise Failure("a turn's word raises")
            case 15 | 16:
                event = program.choose(_EVENTS)
                self.word(lambda: channel.send(event), 3000)
            case _:
                if program.below(4) == 3:
                    self.word(channel.close, 300)

    def close(self) -> None:
        self.word(self.channel.close, 300)

    def check_end(self) -> None:
        """All is over."""
        if not self.closed:
            raise Failure(f"{self.channel} does not end")
        if self.channel._open:
            raise Failure("turns are open at the end")
        for turn in self.turns:
            if not turn.over:
                raise Failure(f"{turn} is not over at the end")

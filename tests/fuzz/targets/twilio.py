"""Twilio: the server of one phone call, told anything by a stream."""

from __future__ import annotations

import base64
from typing import Any

from flowstorm_channel.testing import ManualClock
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio.frames import Frames
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead
from tests.fuzz.limits import chosen_limits
from tests.fuzz.messages import mutated, text_message
from tests.fuzz.program import Failure, Program
from tests.fuzz.servers import Served

__all__ = ["server"]

_SECONDS = (None, None, 0.02, 0.5, 5.0, 60.0, 700.0)
_SILENCE = base64.b64encode(b"\xff" * 160).decode()


def _start(**parameters: Any) -> dict[str, Any]:
    start = {
        "streamSid": "MZ1",
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    return {"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start}


def _media(payload: str, **members: Any) -> dict[str, Any]:
    media = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload, **members}
    return {"event": "media", "sequenceNumber": "3", "streamSid": "MZ1", "media": media}


def _mark(name: str) -> dict[str, Any]:
    return {"event": "mark", "sequenceNumber": "4", "streamSid": "MZ1", "mark": {"name": name}}


_FRAMES: tuple[dict[str, Any], ...] = (
    _media(_SILENCE),
    _mark("turn-1"),
    _mark("turn-2"),
    _mark("Sleeping"),
    {
        "event": "dtmf",
        "streamSid": "MZ1",
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    },
    {"event": "connected", "protocol": "Call", "version": "1.0.0"},
    _start(sender="+420", appKey="K", initiationId="I", locale="cs", token="T"),
    _start(),
    _media(_SILENCE, track="outbound"),
    _mark("turn-3"),
    {
        "event": "stop",
        "streamSid": "MZ1",
        "sequenceNumber": "9",
        "stop": {"accountSid": "AC1", "callSid": "CA1"},
    },
    {"event": "novelty", "streamSid": "MZ1", "type": "own"},
    {**_media(_SILENCE), "streamSid": "MZ2"},
)
_ERROR_AUDIO = b"\x7f" * 4000
_READ = Frames()


class _Call(Served):
    """One call."""

    channel: TwilioServer

    def __init__(self, program: Program) -> None:
        bits = program.byte()
        super().__init__(
            lambda **kw: TwilioServer(
                auth_token=None,
                public_url=None,
                error_audio=_ERROR_AUDIO if bits & 1 else None,
                silence_timeout=(5000, 0, 1, 600)[bits >> 1 & 3],
                **kw,
            ),
            ManualClock(),
            chosen_limits(program),
            program,
        )
        self.codec = None  # frames of Twilio's own come as unknown events with names of ours
        self.lazy = bool(bits & 8)
        self.heads = self.closes = 0
        self.marks: list[str] = []

    def sent(self, message: Message) -> None:
        if self.closes:
            raise Failure(f"{message!r} behind the Close")
        if isinstance(message, Close):
            self.closes = 1
            return
        if isinstance(message, ResponseHead) is not (self.heads == 0):
            raise Failure(f"{message!r} where a head belongs")
        self.heads = 1
        if isinstance(message, str):
            frame = _READ._codec.decode_tree(message)
            if frame["streamSid"] != self.channel._stream_sid:
                raise Failure(f"a frame of another stream: {message}")
            if frame["event"] == "mark":
                self.marks.append(frame["mark"]["name"])
            elif frame["event"] == "media":
                payload = base64.b64decode(frame["media"]["payload"], validate=True)
                if not 0 < len(payload) <= 8000:
                    raise Failure(f"{len(payload)} bytes in a frame")

    def hear(self) -> None:
        """The next frame."""
        program = self.program
        match program.below(16):
            case 0:
                message: Message = program.text(120)
            case 1:
                message = program.taken(60)
            case 2 | 3 | 4 if self.marks:
                message = text_message(_mark(self.marks.pop(0)))
            case _:
                message = text_message(mutated(program.choose(_FRAMES), program))
        for _ in range(program.times()):
            self.feed(message)

    def _check_memory(self) -> None:
        self.said += 400_000 * len(self.turns)  # a second of audio is 8000 bytes, and what is said is whole
        super()._check_memory()
        playback = self.channel._playback
        waiting = sum(playback._waiting)
        if waiting != playback._waiting_bytes:
            raise Failure(f"{playback._waiting_bytes} bytes to be played, which are {waiting}")
        if not 0 <= playback.left <= 601:
            raise Failure(f"{playback.left} seconds to be played")

    def check_end(self) -> None:
        super().check_end()
        for turn in self.turns:
            if turn.session_id and not turn.session.ended:
                raise Failure("a session outlives its call")


def server(data: bytes) -> None:
    """A stream that says anything, and a host that does anything."""
    program = Program(data)
    call = _Call(program)
    call.feed(RequestHead(url="/call"))
    if program.below(8) != 7:
        call.feed(text_message(_FRAMES[5]))
        call.feed(text_message(mutated(_FRAMES[6], program)))
    call.visit()
    while not program.done:
        match program.below(8):
            case 0 | 1 | 2:
                call.hear()
            case 3 | 4 | 5:
                call.say()
            case 6:
                call.let_time_pass(program.choose(_SECONDS))
            case _:
                _more(call, program)
        if call.due and program.below(16) != 15:
            call.visit(flush=not call.lazy)
    if not call.closed:
        call.end(lost=program.flag())
    call.visit()
    call.check_end()


def _more(call: _Call, program: Program) -> None:
    match program.below(8):
        case 0:
            call.lose()
        case 1:
            call.feed(Close(1000 + program.below(12), program.text(20)))
        case 2:
            call.lazy = not call.lazy
        case _:
            call.visit()

"""Twilio's side of a phone call, for tests: a caller at the telephone, and the line (external.md, 3).

Like the machines it does no I/O: messages in, messages out, a clock, the next deadline. So it talks to a
`TwilioServer` in memory (`PhoneCall`), or over a WebSocket to whatever serves calls. It shares no code with
the server that it tests: its frames are made and read by hand.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from flowstorm_channel.channel import Channel
from flowstorm_channel.events import Event
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.twilio.signature import SIGNATURE_HEADER, sign
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead

__all__ = ["PhoneCall", "Sound", "TwilioPeer"]

RATE = 8000
"""Samples in a second, bytes of μ-law."""
FRAME = 160
"""Bytes in the frames of the caller's audio: 20 ms."""
FRAME_SECONDS = 0.02
BUFFER = 600 * RATE
"""Bytes that Twilio keeps to be played."""
TOO_MUCH = 31931
"""The warning about more."""
QUIET = b"\xff"
KEYS = "0123456789*#ABCD"
_ROUNDING = 1e-6  # seconds: a hundredth of a sample


class Sound(NamedTuple):
    """What the caller heard without a gap.

    Args:
        at: when it began, in seconds of the clock.
        data: raw μ-law.
    """

    at: float
    data: bytes

    @property
    def until(self) -> float:
        """When it ended."""
        return self.at + len(self.data) / RATE


class TwilioPeer:
    """Twilio and a caller.

    The first message it sends is the `RequestHead` of the handshake; when that is answered with 101, the
    stream begins. Audio that it gets is played in real time; a mark comes back when all before it has been
    played; a clear stops what is played, and the marks that waited come back at once.

    Whatever Twilio would not understand raises AssertionError with the rule.

    Args:
        clock: gives the time in seconds.
        url: of the stream, absolute; it is what is signed.
        auth_token: that the handshake is signed with; it is not signed without one.
        parameters: of the stream, as `<Parameter>` has them.
        stream_sid: of the stream.
        call_sid: of the call.
        account_sid: of the account.
        hums: while the caller says nothing, frames of silence come, as they do from Twilio; else none.
        returns_cleared_marks: marks that a clear has reached come back at once (unconfirmed); else never.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        url: str = "wss://localhost/call",
        auth_token: str | None = None,
        parameters: Mapping[str, str] | None = None,
        stream_sid: str = "MZ" + "1" * 32,
        call_sid: str = "CA" + "2" * 32,
        account_sid: str = "AC" + "3" * 32,
        hums: bool = False,
        returns_cleared_marks: bool = True,
    ) -> None:
        self.stream_sid, self.call_sid, self.account_sid = stream_sid, call_sid, account_sid
        self.refused: int | None = None
        """The status with which the handshake was refused."""
        self.closed: Close | None = None
        """How the server closed the WebSocket."""
        self.warnings: list[int] = []
        """Codes of Twilio's debugger, such as 31931: too much audio."""
        self.clears: list[float] = []
        """When something was cleared."""
        self._clock = clock
        self._parameters = dict(parameters or {})
        self._hums = hums
        self._returns_cleared_marks = returns_cleared_marks
        self._out: deque[Message] = deque([RequestHead(url=url, headers=_signed(auth_token, url))])
        self._began: float | None = None  # the stream
        self._over = False
        self._sequence = self._chunk = 0
        self._player = _Player()
        self._ticks = 0  # pieces of 20 ms of the caller's audio since the stream began
        self._speech = bytearray()

    # -------------------------------------------------------- what a test may look at

    @property
    def up(self) -> bool:
        """Whether the stream has begun and not ended."""
        return self._began is not None and not self._over

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """What the caller has heard so far, and when."""
        self._catch_up()
        return tuple(Sound(at, bytes(data)) for at, data in self._player.played)

    @property
    def heard(self) -> bytes:
        """The same without the times."""
        return b"".join(each.data for each in self.sounds)

    @property
    def playing(self) -> bool:
        """Whether there is more to be played."""
        self._catch_up()
        return self._player.waiting > 0

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks that have not come back."""
        self._catch_up()
        return tuple(self._player.marks())

    @property
    def speaking(self) -> bool:
        """Whether not all that the caller says has been said."""
        self._catch_up()
        return bool(self._speech)

    # -------------------------------------------------------- what the caller does

    def speak(self, mulaw: bytes) -> None:
        """Say something: it goes out in frames of 20 ms, each when it has been said.

        Args:
            mulaw: raw μ-law; the last frame is filled up with silence.
        """
        self._catch_up()
        self._check_up()
        self._speech += mulaw

    def press(self, digit: str) -> None:
        """Press a key.

        Raises:
            ValueError: there is no such key.
        """
        if len(digit) != 1 or digit not in KEYS:
            raise ValueError(f"{digit!r} is not one of {KEYS}")
        self._catch_up()
        self._check_up()
        self._send("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def hang_up(self) -> None:
        """End the call. A second time it does nothing."""
        self._catch_up()
        if self.up:
            self._send("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})
            self._out.append(Close(1000, ""))
            self._end()

    def _check_up(self) -> None:
        if not self.up:
            raise RuntimeError("there is no call")

    # -------------------------------------------------------- messages and time

    def data_to_send(self) -> Iterator[Message]:
        """What is to go to the server by now."""
        self._catch_up()
        while self._out:
            yield self._out.popleft()

    def next_deadline(self) -> float | None:
        """When there will be something to send, if the server sends nothing: a time of the clock."""
        times = [each for each in (self._next_mark(), self._next_frame()) if each is not None]
        return min(times, default=None)

    def receive_data(self, message: Message) -> None:
        """Take what the server sends.

        Raises:
            AssertionError: Twilio would not understand it.
        """
        self._catch_up()
        if self._over:
            return  # it was on its way
        if isinstance(message, Close):
            self.closed = message
            self._end()
        elif self._began is None:
            self._answered(message)
        else:
            self._take(message)

    def receive_eof(self) -> None:
        """The server is gone."""
        self._catch_up()
        self._end()

    def _end(self) -> None:
        self._over = True
        self._speech.clear()
        self._player.clear()

    def _answered(self, message: Message) -> None:
        if not isinstance(message, ResponseHead):
            raise AssertionError(f"the handshake is answered before anything else is sent: {message!r:.80}")
        if message.status != 101:
            self.refused = message.status
            self._over = True
            return
        self._began = self._clock()
        self._out.append(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        self._send(
            "start",
            start={
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self._parameters,
            },
        )

    def _send(self, event: str, **members: Any) -> None:
        self._sequence += 1
        number = str(self._sequence)
        frame = {"event": event, "sequenceNumber": number, **members, "streamSid": self.stream_sid}
        self._out.append(json.dumps(frame))

    # -------------------------------------------------------- what the server sends

    def _take(self, message: Message) -> None:
        if not isinstance(message, str):
            raise AssertionError(f"frames are text messages: {message!r:.80}")
        frame = _object(message)
        event = frame.get("event")
        rule(event in ("media", "mark", "clear"), f"the events of a server are media, mark, clear: {event!r}")
        rule(frame.get("streamSid") == self.stream_sid, f"a frame names the stream: {message[:80]}")
        now = self._clock()
        if event == "clear":
            self.clears.append(now)
            marks = self._player.clear()
            if self._returns_cleared_marks:
                self._return(marks)
        elif event == "mark":
            self._player.add_mark(_inside(frame, "mark", "name"))
            self._return(self._player.play(now))
        else:
            audio = _audio(_inside(frame, "media", "payload"))
            room = BUFFER - self._player.waiting
            if len(audio) > room:
                self.warnings.append(TOO_MUCH)
            self._player.add(audio[:room], now)

    def _return(self, marks: list[str]) -> None:
        for name in marks:
            self._send("mark", mark={"name": name})

    # -------------------------------------------------------- time

    def _next_mark(self) -> float | None:
        return self._player.next_mark() if self.up else None

    def _next_frame(self) -> float | None:
        if self._began is None or self._over or not (self._speech or self._hums):
            return None
        return self._began + (self._ticks + 1) * FRAME_SECONDS

    def _catch_up(self) -> None:
        """Do what was due until now, in its order."""
        now = self._clock()
        while (due := self.next_deadline()) is not None and due <= now + _ROUNDING:
            frame = self._next_frame()
            self._return(self._player.play(due))
            if frame is not None and frame <= due:
                self._send_frame()
        if self.up:
            self._return(self._player.play(now))
        if self._began is not None and not self._speech:
            # What is said next begins with the next tick.
            self._ticks = max(self._ticks, int((now - self._began + _ROUNDING) / FRAME_SECONDS))

    def _send_frame(self) -> None:
        began = round(self._ticks * FRAME_SECONDS * 1000)
        self._ticks += 1
        self._chunk += 1
        said = bytes(self._speech[:FRAME])
        del self._speech[:FRAME]
        self._send(
            "media",
            media={
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(began),
                "payload": base64.b64encode(said.ljust(FRAME, QUIET)).decode(),
            },
        )


class _Player:
    """What Twilio has still to play: audio with marks in it."""

    def __init__(self) -> None:
        self.played: list[tuple[float, bytearray]] = []
        """Stretches without a gap, and when they began."""
        self.waiting = 0
        """Bytes that are still to be played."""
        self._queue: deque[bytes | str] = deque()
        self._taken = 0  # bytes of the first piece that have been played
        self._since = 0.0  # when the buffer was filled
        self._count = 0  # bytes played since then

    def marks(self) -> list[str]:
        return [each for each in self._queue if isinstance(each, str)]

    def add(self, audio: bytes, now: float) -> None:
        """Play it after all that is there."""
        if not self._queue:
            self._since, self._count = now, 0
        self._queue.append(audio)
        self.waiting += len(audio)

    def add_mark(self, name: str) -> None:
        self._queue.append(name)

    def clear(self) -> list[str]:
        """Forget it all; the marks that were in it."""
        marks = self.marks()
        self._queue.clear()
        self.waiting = self._taken = 0
        return marks

    def next_mark(self) -> float | None:
        """When the next mark has been reached, None without one."""
        before = -self._taken
        for each in self._queue:
            if isinstance(each, str):
                return self._since + (self._count + before) / RATE
            before += len(each)
        return None

    def play(self, until: float) -> list[str]:
        """Play until then; the marks that have been reached."""
        budget = int((until - self._since + _ROUNDING) * RATE) - self._count
        reached: list[str] = []
        while self._queue:
            first = self._queue[0]
            if isinstance(first, str):
                reached.append(first)
                self._queue.popleft()
                continue
            if budget <= 0:
                break
            piece = first[self._taken : self._taken + budget]
            self._record(piece)
            budget -= len(piece)
            self._taken += len(piece)
            if self._taken == len(first):
                self._queue.popleft()
                self._taken = 0
        return reached

    def _record(self, piece: bytes) -> None:
        at = self._since + self._count / RATE
        self._count += len(piece)
        self.waiting -= len(piece)
        if self.played:
            begun, data = self.played[-1]
            if abs(begun + len(data) / RATE - at) < _ROUNDING:
                data += piece
                return
        self.played.append((at, bytearray(piece)))


class PhoneCall:
    """A call between a caller and the server that answers, in memory, on a clock moved by hand.

    Args:
        server: a new channel, with that clock.
        peer: who calls, with that clock.
        clock: of both.
        on_event: the host: what it does with an event.
    """

    def __init__(
        self,
        server: Channel,
        peer: TwilioPeer,
        clock: ManualClock,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.server, self.peer, self.clock, self.on_event = server, peer, clock, on_event
        self.events: list[Event] = []
        """All that the host was told."""
        self.sent: list[Message] = []
        """All that the server sent."""

    def settle(self) -> None:
        """Carry messages and tell events until nothing is left to do at this time."""
        while self._step():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline on the way."""
        until = self.clock.now + seconds
        self.settle()
        while (due := self._next_deadline()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.now))
            self.settle()
        self.clock.advance(max(0.0, until - self.clock.now))
        self.settle()

    def _next_deadline(self) -> float | None:
        both = (self.server.next_deadline(), self.peer.next_deadline())
        return min((due for due in both if due is not None), default=None)

    def _step(self) -> bool:
        moved = False
        for message in self.peer.data_to_send():
            self.server.receive_data(message)
            moved = True
        for event in self.server.events():
            self.events.append(event)
            self.on_event(event)
            moved = True
        for message in self.server.data_to_send():
            self.sent.append(message)
            self.peer.receive_data(message)
            moved = True
        return moved


def rule(kept: bool, text: str) -> None:
    """Complain when a rule of Twilio's is not kept."""
    if not kept:
        raise AssertionError(text)


def _signed(auth_token: str | None, url: str) -> tuple[tuple[str, str], ...]:
    return () if auth_token is None else ((SIGNATURE_HEADER, sign(auth_token, url)),)


def _object(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise AssertionError(f"a frame is a JSON object: {text[:80]}")
    return tree


def _inside(frame: dict[str, Any], event: str, name: str) -> str:
    inside = frame.get(event)
    value = inside.get(name) if isinstance(inside, dict) else None
    if not isinstance(value, str) or not value:
        raise AssertionError(f"{event}.{name} is a text that is not empty")
    return value


def _audio(payload: str) -> bytes:
    try:
        audio = base64.b64decode(payload, validate=True)
    except binascii.Error:
        raise AssertionError("media.payload is base64") from None
    rule(not audio.startswith((b"RIFF", b"ID3", b"OggS", b"fLaC")), "audio has no file header")
    return audio

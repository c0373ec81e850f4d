"""The kit's end of a phone call: Twilio and the caller.

What a caller hears, and when marks come back, is known by `TwilioPeer`, which plays what it gets in real
time; what is wrong with a frame is for the linter to say, so what Twilio would not understand is passed over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.profile import KEYS, Profile
from flowstorm_channel.conformance.stage import Line, ServerStage
from flowstorm_channel.conformance.twilio.frames import Frame, audio_of, mulaw_of, name, object_of, read_frame
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.testing.twilio import RATE, TwilioPeer
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = ["OTHER", "Call", "Came", "Interruption", "Phone"]

T = TypeVar("T")

OTHER = "MZ" + "f" * 32
"""The streamSid of a stream that is not there."""
SIGNATURE = "X-Twilio-Signature"
QUIET = 800.0
"""Milliseconds in which nothing comes and nothing is played: the answer is over."""
_SLICE = 50.0
_LEAST = 0.1
_LONGEST = 60_000.0
"""Milliseconds that the kit listens to one answer."""
_GAP = 1000.0
"""Milliseconds of silence in mid-answer, where it is made while it is said."""
_ROOM = 2000.0
"""Milliseconds for a recogniser, and for what it says to come."""
_CUT = RATE // 4
"""Bytes at the end of the last words that may be lost: a quarter of a second, as clocks differ."""
_SILENCE, _ABOUT, _LATER = 5000.0, 500.0, 1200.0
"""Milliseconds: when silence is told, how exactly, and how much later the caller speaks to find that out."""
_NOVEL = {"novelty": {"since": "2031", "list": [1, None]}}


@attrs.frozen(kw_only=True)
class Came:
    """What the server sent.

    Args:
        at: when, in milliseconds.
        frame: see `read_frame`.
    """

    at: float
    frame: Frame

    @property
    def event(self) -> str:
        """Of the frame."""
        return str(self.frame["event"])


class Call:
    """A phone call: the frames of Twilio, and a caller who can speak and press keys.

    Args:
        stage: of the check.
        line: the WebSocket.
        peer: plays what comes.
        early: what is sent between connected and start.
        novel: members are added to all frames that nobody knows yet.
        loses_marks: no mark comes back.
    """

    def __init__(
        self,
        stage: Phone,
        line: Line,
        peer: TwilioPeer,
        *,
        early: Sequence[Frame] = (),
        novel: bool = False,
        loses_marks: bool = False,
    ) -> None:
        self.stage = stage
        self.line = line
        self.peer = peer
        self.came: list[Came] = []
        """All that the server has sent since the handshake."""
        self.cut_off = False
        """Whether there was still something to be heard when the server closed the call."""
        self._queued = self._cleared = 0  # bytes that came since the last clear; those heard before it
        self._early = early
        self._novel = novel
        self._loses_marks = loses_marks
        self._start: Frame = {}
        self._numbers = itertools.count(1)

    # -------------------------------------------------------- messages

    def step(self) -> bool:
        """Carry what waits, both ways; whether there was anything."""
        moved = False
        while (message := self.line.poll()) is not None:
            self._take(message)
            moved = True
        for message in self.peer.data_to_send():
            self._pass_on(message)
            moved = True
        return moved

    def _take(self, message: Message) -> None:
        frame = read_frame(message)
        self.came.append(Came(at=self.stage.now, frame=frame))
        match frame["event"]:
            case "media":
                self._queued += len(audio_of(frame) or b"")
            case "clear":
                self._queued, self._cleared = 0, len(self.peer.heard)
            case "(closed)":
                left = self._queued - (len(self.peer.heard) - self._cleared)
                self.cut_off = self.peer.playing and left > _CUT
        with suppress(AssertionError):
            self.peer.receive_data(message)

    def _pass_on(self, message: Message) -> None:
        frame = object_of(message)
        if frame is None:
            self.line.send(message)
            return
        if frame["event"] == "start":
            self._start = frame
            for each in self._early:
                self.line.send(json.dumps({"streamSid": self.peer.stream_sid, "sequenceNumber": "1", **each}))
        if frame["event"] != "mark" or not self._loses_marks:
            self.send(frame)

    def send(self, frame: Frame | str | bytes) -> None:
        """Send a frame, numbered as the next one, or a message as it is."""
        if isinstance(frame, dict):
            if frame["event"] != "connected":
                number = str(next(self._numbers))
                frame = {"streamSid": self.peer.stream_sid, **frame, "sequenceNumber": number}
            frame = json.dumps(_with_novelties(frame) if self._novel else frame)
        self.line.send(frame)

    # -------------------------------------------------------- what came

    def all(self, event: str, since: int = 0) -> list[Came]:
        """What came of one kind, from a place in `came` on."""
        return [each for each in self.came[since:] if each.event == event]

    def audio(self, since: int = 0) -> bytes:
        """All audio that came from there on, whether it was heard or not."""
        return b"".join(audio_of(each.frame) or b"" for each in self.all("media", since))

    @property
    def ended(self) -> Came | None:
        """The close of the WebSocket, when it has come."""
        return next(iter(self.all("(closed)")), None)

    @property
    def end(self) -> str:
        """How the server has ended the call, in few words."""
        return name(None if self.ended is None else self.ended.frame)

    @property
    def heard_until(self) -> float:
        """When the caller last heard something, in milliseconds."""
        sounds = self.peer.sounds
        return sounds[-1].until * 1000 if sounds else 0.0

    def wait(self, event: str, since: int = 0, ms: float | None = None) -> Came | None:
        """Wait for something of that kind; None: it did not come, and may never, since the call has ended."""

        def look() -> Came | None:
            found = self.all(event, since)
            return found[0] if found else self.ended

        found = self.stage.wait_for(look, ms)
        return found if found is not None and found.event == event else None

    def listen(self, since: int = 0) -> bytes:
        """Wait until nothing more comes and all has been played: the audio that came from there on."""

        def look() -> bool | None:
            last = max([each.at for each in self.came], default=0.0)
            quiet = not self.peer.playing and self.stage.now - max(last, self.heard_until) >= QUIET
            return True if quiet or self.ended else None

        self.stage.wait_for(look, _LONGEST)
        return self.audio(since)

    # -------------------------------------------------------- the caller

    def speak(self, pcm: bytes | None = None) -> None:
        """Say something, as fast as one speaks.

        Args:
            pcm: 16 kHz; the profile's speech without it.

        Raises:
            Untestable: the call has ended.
        """
        self._check_up()
        self.peer.speak(mulaw_of(self.stage.profile.speech if pcm is None else pcm))

    def press(self, key: str) -> None:
        """Press a key.

        Raises:
            Untestable: the call has ended.
        """
        self._check_up()
        self.peer.press(key)

    def ask_for(self, capability: str) -> int:
        """Make the dialogue do something, by a key or by words; the place in `came` behind which it shows."""
        self.stage.pass_time(0)
        since = len(self.came)
        profile = self.stage.profile
        if capability in profile.recordings:
            self.speak(profile.recordings[capability])
        else:
            self.press(profile.keys.get(capability) or KEYS[capability])
        return since

    def hang_up(self) -> None:
        """End the call."""
        self.peer.hang_up()
        self.stage.pass_time(0)

    def lose(self) -> None:
        """The transport breaks."""
        self.line.send(Close(CloseCode.ABNORMAL))
        self.peer.receive_eof()

    def _check_up(self) -> None:
        self.stage.pass_time(0)
        if not self.peer.up:
            raise Untestable("the server has ended the call")

    # -------------------------------------------------------- conversations

    def begin_again(self) -> None:
        """Say connected and start once more, now with another streamSid."""
        self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.send({**self._start, "streamSid": OTHER, "start": {**self._start["start"], "streamSid": OTHER}})

    def converse(self) -> None:
        """Say something and listen to the answer.

        Raises:
            NotDeclared: there is none; or Untestable, when the server claims to recognise speech.
        """
        self.stage.assume("speech", self.is_answered(), "the caller's speech was not answered")
        self.listen()

    def goes_on(self, after: str) -> None:
        """Say something: the call has to be as good as ever.

        Args:
            after: what has come before, for the text of the violation.

        Raises:
            Violation: there is no answer.
        """
        self.stage.pass_time(0)
        if self.ended is not None:
            raise Violation(f"after {after} came {self.end}")
        if not self.is_answered():
            came = "the call was closed" if self.ended else "the caller's speech was not answered any more"
            raise Violation(f"after {after} {came}")

    def is_answered(self) -> bool:
        """Say something: whether there is an answer.

        Where something comes just when silence would be told, the same is said again a while later: only an
        answer to it comes later, too.
        """
        for later in (0, _LATER):
            last = self.heard_until
            self.stage.pass_time(later)
            since = len(self.came)
            self.speak()
            found = self.wait("media", since, self.stage.speech_ms + self.stage.patience)
            if found is None:
                return False
            if abs(found.at - last - _SILENCE) > _ABOUT:
                return True
            self.listen()
        return False


def _with_novelties(frame: Frame) -> Frame:
    """The frame with members that nobody knows, beside the others and inside."""
    event = frame["event"]
    found: dict[str, Any] = {**frame, **_NOVEL}
    if isinstance(frame.get(event), dict):
        found[event] = {**frame[event], **_NOVEL}
    if event == "start":
        found[event]["mediaFormat"] = {**frame[event]["mediaFormat"], **_NOVEL}
        found[event]["customParameters"] = {**frame[event]["customParameters"], "novelty": "yes"}
    return found


@attrs.frozen
class Talk:
    """A long answer.

    Args:
        call: in which it is given.
        since: where among what came it begins.
    """

    call: Call
    since: int


@attrs.frozen(kw_only=True)
class Interruption:
    """A call that was interrupted, and what there is to compare it with.

    Args:
        talk: what was interrupted.
        at: where the clear stands among what came.
        whole: the same in another call, not interrupted.
        answer: the audio of an answer to the caller's speech.
    """

    talk: Talk
    at: int
    whole: Talk
    answer: bytes

    @property
    def call(self) -> Call:
        """That was interrupted."""
        return self.talk.call

    @property
    def before(self) -> bytes:
        """The audio that was interrupted, as far as it had come."""
        audio = self.call.audio(self.talk.since)
        return audio[: len(audio) - len(self.after)]

    @property
    def after(self) -> bytes:
        """The audio that came behind the clear."""
        return self.call.audio(self.at)

    @property
    def uncut(self) -> bytes:
        """What was interrupted, as it came where it was not."""
        return self.whole.call.audio(self.whole.since)


class Phone(ServerStage):
    """What checks of servers of phone calls are given: callers, and Twilio between."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self._calls: list[Call] = []
        self._sids = itertools.count(1)
        self._greeting = 0  # bytes

    # -------------------------------------------------------- time

    def wait_for(self, look: Callable[[], T | None], ms: float | None = None) -> T | None:
        """The same as everywhere, while the calls go on."""
        until = self.now + (self.patience if ms is None else ms)
        while True:
            while sum(call.step() for call in self._calls):
                pass
            found = look()
            left = until - self.now
            if found is not None or left <= 0.001:
                return found
            self.driver.advance(min(left, self._slice()))

    def _slice(self) -> float:
        """Milliseconds until a call has something to do."""
        times = [
            due * 1000 - self.now for call in self._calls if (due := call.peer.next_deadline()) is not None
        ]
        return max(_LEAST, min([_SLICE, *times]))

    @property
    def speech_ms(self) -> float:
        """Milliseconds that the profile's speech takes."""
        return len(self.profile.speech) / 32

    def demand(self, capability: str, works: bool, text: str) -> None:
        """The check is about that capability itself.

        Raises:
            Violation: it is declared, and does not work.
            NotDeclared: it does not work, and nobody said that it would.
        """
        if not works:
            raise (Violation if capability in self.profile.declared else NotDeclared)(text)

    # -------------------------------------------------------- handshakes

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What Twilio signs a handshake with; nothing when the kit has no token."""
        token = self.profile.twilio_token
        return () if token is None else self.signed(token)

    def signed(self, token: str, url: str | None = None) -> tuple[tuple[str, str], ...]:
        """The header with a signature.

        Args:
            token: the secret.
            url: what is signed; the stream's address without it.
        """
        url = self.profile.twilio_url if url is None else url
        digest = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
        return ((SIGNATURE, base64.b64encode(digest).decode()),)

    def handshake(self, headers: Iterable[tuple[str, str]]) -> tuple[Line, int | None]:
        """Ask for a WebSocket.

        Args:
            headers: of the request.

        Returns:
            The wire, and the status of the answer; None: there is none.
        """
        path = urlsplit(self.profile.twilio_url).path
        line = self.open(RequestHead(url=path, headers=tuple(headers)))
        head = line.receive()
        return line, head.status if isinstance(head, ResponseHead) else None

    # -------------------------------------------------------- calls

    def dial(
        self,
        *,
        hums: bool = False,
        early: Sequence[Frame] = (),
        novel: bool = False,
        loses_marks: bool = False,
        parameters: dict[str, str] | None = None,
    ) -> Call:
        """Call the server.

        Args:
            hums: silence comes from the caller who says nothing, as it does from Twilio. Where time is real
                it always does.
            early: what is sent between connected and start.
            novel: all frames have members that nobody knows yet.
            loses_marks: no mark comes back.
            parameters: of the stream, where they are not the usual ones.

        Raises:
            Untestable: the handshake is not accepted.
        """
        line, status = self.handshake(self.headers)
        if status != 101:
            raise Untestable(f"the handshake was answered with {status or 'nothing'}")
        number = next(self._sids)
        usual = {"sender": f"+42060000{number:04}", "deviceId": f"phone-{number}", "locale": "en"}
        peer = TwilioPeer(
            self.driver.clock,
            parameters={"appKey": self.profile.key, **usual} if parameters is None else parameters,
            stream_sid=f"MZ{number:032x}",
            call_sid=f"CA{number:032x}",
            hums=hums or not self.driver.exact,
        )
        list(peer.data_to_send())  # the handshake
        peer.receive_data(ResponseHead(status=101))
        call = Call(self, line, peer, early=early, novel=novel, loses_marks=loses_marks)
        self._calls.append(call)
        return call

    def greeted(self, **options: Any) -> Call:
        """The same, and the greeting has been heard.

        Raises:
            NotDeclared: there is none; or Untestable, when the server claims to speak.
        """
        call = self.answered(**options)
        call.listen()
        if not call.peer.heard:
            raise Untestable("nothing of the greeting could be played")
        return call

    def answered(self, **options: Any) -> Call:
        """The same, and the greeting has begun.

        Raises:
            NotDeclared: there is none; or Untestable, when the server claims to speak.
        """
        call = self.dial(**options)
        self.assume("audio", call.wait("media") is not None, "the caller heard no greeting")
        return call

    def conversation(self) -> bytes:
        """Have a call in which the caller says something after the greeting: the audio of the answer.

        Raises:
            NotDeclared: there is no answer; or Untestable, when the server claims to recognise speech.
        """
        call = self.greeted()
        self._greeting, since = len(call.audio()), len(call.came)
        call.converse()
        call.hang_up()
        return call.audio(since)

    def talking(self) -> tuple[Talk, Talk]:
        """Two calls in which the server talks for longer than it takes to interrupt it, after `conversation`.

        Raises:
            NotDeclared: it does not talk so long; or Untestable, when the server claims to.
        """
        call, whole = self.answered(), self.answered()
        if self._greeting * 1000 / RATE > self.speech_ms + _ROOM:
            return Talk(call, 0), Talk(whole, 0)
        call.listen()
        whole.listen()
        talks = Talk(call, call.ask_for("long")), Talk(whole, whole.ask_for("long"))
        for each in talks:
            found = each.call.wait("media", each.since)
            self.assume("long", found is not None, "nothing was said to the long phrase")
        return talks

    def speaks_anyway(self, after: float) -> bool:
        """Whether something comes at that time to a caller who says nothing, too.

        Args:
            after: the greeting has been heard, in milliseconds.
        """
        call = self.greeted()
        since, last = len(call.came), call.heard_until
        self.wait_for(lambda: True if len(call.came) > since else None, last + after + _ABOUT - self.now)
        return len(call.came) > since and abs(call.came[since].at - last - after) < _ABOUT

    def interrupted(self) -> Interruption:
        """A call in which the caller has spoken into what the server says.

        Raises:
            NotDeclared: the answer was over before; or Untestable, when the server claims to talk longer.
            Violation: there was no clear.
        """
        answer = self.conversation()
        talk, whole = self.talking()
        call = talk.call
        self.pass_time(300)
        spoken = len(call.came)
        call.speak()
        clear = call.wait("clear", spoken, self.speech_ms + _ROOM / 2)
        talks = call.peer.playing if clear is None else call.heard_until >= clear.at - _GAP
        self.assume("long", talks, "the long answer was over before it was interrupted")
        if clear is None and call.wait("clear", spoken) is None:
            raise Violation("the caller spoke into what the server says, and no clear came")
        at = next(at for at, each in enumerate(call.came) if at >= spoken and each.event == "clear")
        return Interruption(talk=talk, at=at, whole=whole, answer=answer)

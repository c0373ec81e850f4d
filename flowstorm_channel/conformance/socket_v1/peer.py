"""The kit's end of Socket V1 for servers under test: a client, and the connection that both ends share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

import attrs
import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.stage import Line, ServerStage
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.values import INTRO
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = [
    "Answer",
    "Connection",
    "Conversation",
    "V1Caller",
    "final",
    "payloads_of",
    "read_frame",
]

MSGPACK = "flowstorm.v1+msgpack"
BLOCK = 3200
"""Bytes in a block of audio: 100 ms."""
PARTS = ("ResponseItem", "Binary")
_MOMENT = 200
"""Milliseconds after its first part in which a long answer is not over."""
_CROSSING = 400
"""Milliseconds in which a part can come that was sent before the server had read what the kit sent."""


def read_frame(message: Message, *, packed: bool = False) -> Frame:
    """What a message is, as an object with a `type`.

    Binary messages are ``{"type": "Binary", "data": …}``, a close is ``{"type": "(closed)", "code": …}``, and
    what is no event ``{"type": "(broken)"}``.
    """
    match message:
        case Close():
            return {"type": "(closed)", "code": int(message.code), "reason": message.reason}
        case bytes() if not packed or not message:
            return {"type": "Binary", "data": message}
        case str() | bytes():
            try:
                found = msgpack.unpackb(message) if isinstance(message, bytes) else json.loads(message)
            except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
                return {"type": "(broken)", "why": str(error)}
            if isinstance(found, dict) and isinstance(found.get("type"), str):
                return found
            return {"type": "(broken)", "why": "no object with a type"}
    return {"type": "(broken)", "why": f"{type(message).__name__} on a WebSocket"}


@attrs.frozen(kw_only=True)
class Answer:
    """What came for an input.

    Args:
        frames: all of it, the Response or Error last.
    """

    frames: tuple[Frame, ...]

    @property
    def last(self) -> Frame:
        """The Response or Error."""
        return self.frames[-1]

    @property
    def response(self) -> dict[str, Any]:
        """What is in the Response; nothing when it was an Error."""
        held = self.last.get("response")
        return held if isinstance(held, dict) else {}

    @property
    def items(self) -> list[dict[str, Any]]:
        """All items, those that came singly first."""
        singly = [each["responseItem"] for each in self.frames if isinstance(each.get("responseItem"), dict)]
        return singly + [each for each in self.response.get("items") or () if isinstance(each, dict)]

    @property
    def kinds(self) -> list[str]:
        """The types of what came, in order."""
        return [each["type"] for each in self.frames]

    @property
    def ends(self) -> bool:
        """Whether the Response ends the session."""
        return self.response.get("sessionEnded") is True and not self.response.get("sleepTimeout")

    @property
    def payloads(self) -> set[str | bytes]:
        """What there is to see and hear: the words and addresses of items, blocks of audio."""
        return payloads_of(self.frames)


class Connection:
    """A WebSocket between the kit and the implementation.

    Args:
        line: the wire.
        packed: msgpack is spoken.
    """

    def __init__(self, line: Line, *, packed: bool = False) -> None:
        self.line = line
        self.packed = packed

    def send(self, frame: Frame | str | bytes) -> None:
        """Send an event, or a message as it is."""
        if isinstance(frame, dict):
            self.line.send(cast("bytes", msgpack.packb(frame)) if self.packed else json.dumps(frame))
        else:
            self.line.send(frame)

    def poll(self) -> Frame | None:
        """What has come; keep-alives are passed over."""
        while (message := self.line.poll()) is not None:
            if message != b"":
                return read_frame(message, packed=self.packed)
        return None

    def receive(self, ms: float | None = None) -> Frame | None:
        """Wait for the next event.

        Args:
            ms: at most; the profile's patience without it.
        """
        return self.line.stage.wait_for(self.poll, ms)

    def expect(self, *kinds: str, ms: float | None = None) -> Frame:
        """The next event, which has to be of these types.

        Raises:
            Violation: another one came, or none.
        """
        found = self.receive(ms)
        if found is None or found["type"] not in kinds:
            raise Violation(f"expected {' or '.join(kinds)}, got {name(found)}")
        return found

    def until(self, *kinds: str, ms: float | None = None) -> list[Frame]:
        """All events up to the first of these types.

        Raises:
            Violation: it did not come.
        """
        found: list[Frame] = []

        def look() -> Frame | None:
            while (frame := self.poll()) is not None:
                found.append(frame)
                if frame["type"] in (*kinds, "(closed)"):
                    return frame
            return None

        last = self.line.stage.wait_for(look, ms)
        if last is None or last["type"] not in kinds:
            came = ", ".join(name(each) for each in found) or "nothing"
            raise Violation(f"expected {' or '.join(kinds)}, got {came}")
        return found

    def during(self, ms: float) -> list[Frame]:
        """All that comes in so much time."""
        found: list[Frame] = []

        def look() -> None:
            while (frame := self.poll()) is not None:
                found.append(frame)

        self.line.stage.wait_for(look, ms)
        return found

    def lose(self) -> None:
        """The transport breaks."""
        self.line.send(Close(CloseCode.ABNORMAL))


def name(frame: Frame | None) -> str:
    """What an event is, in few words."""
    match frame:
        case None:
            return "nothing"
        case {"type": "(closed)", "code": code, "reason": reason}:
            return f"a close with {code} {reason}".rstrip()
        case {"type": "Error", "text": text}:
            return f"Error {text!r:.80}"
        case {"type": "Recognized", "text": text}:
            return f"Recognized {text!r:.40} {'interim' if frame.get('isFinal') is False else 'final'}"
    return str(frame["type"])


# ------------------------------------------------------------ a client, for servers


def payloads_of(came: Iterable[Frame]) -> set[str | bytes]:
    """What there is to see and hear in events of a server."""
    found: set[str | bytes] = set()
    for frame in came:
        held = frame.get("response")
        items = [frame.get("responseItem"), *((held.get("items") or ()) if isinstance(held, dict) else ())]
        for each in items:
            if isinstance(each, dict):
                found.update(each[name] for name in ("text", "audio") if isinstance(each.get(name), str))
        if isinstance(frame.get("data"), bytes):
            found.add(frame["data"])
    return found - {""}


class Conversation(Connection):
    """A connection to a server, with the words of a client."""

    def __init__(self, line: Line, stage: V1Caller, device_id: str, *, packed: bool = False) -> None:
        super().__init__(line, packed=packed)
        self.stage = stage
        self.device_id = device_id
        self.session_id: str | None = None
        """That the server told last."""

    def poll(self) -> Frame | None:
        frame = super().poll()
        if frame is not None and frame["type"] == "SessionStarted":
            self.session_id = str(frame.get("sessionId"))
        return frame

    def introduce(self, **config: Any) -> None:
        """Send Init.

        Args:
            config: with the names of the wire; one that differs from the defaults of the protocol: items
                come singly, so that an answer can be seen as it grows.
        """
        config = {"sendResponseItems": True, **config}
        self.send(frames.init(key=self.stage.profile.key, device_id=self.device_id, **config))

    def say(self, text: str) -> None:
        """Send an Input."""
        self.send(frames.said(text))

    def answer(self, ms: float | None = None) -> Answer:
        """All up to the Response or Error.

        Raises:
            Violation: there is none.
        """
        return Answer(frames=tuple(self.until("Response", "Error", ms=ms)))

    def answered(self, what: str) -> Answer:
        """The answer to what the kit has sent.

        Args:
            what: that was, for the text of the violation.

        Raises:
            Violation: there is none, or it is an Error.
        """
        answer = self.answer()
        if answer.last["type"] == "Error":
            raise Violation(f"{what} was answered with {name(answer.last)}")
        return answer

    def ask(self, text: str) -> Answer:
        """Say something and take the answer."""
        self.say(text)
        return self.answer()

    def say_to(self, session_id: str, text: str) -> None:
        """Send a Request, the older form of Input."""
        key = self.stage.profile.key
        self.send(frames.request(text, session_id, key=key, device_id=self.device_id))

    def request(self, text: str, session_id: str) -> Answer:
        """Say something in a Request and take the answer."""
        self.say_to(session_id, text)
        return self.answer()

    def reaction(self) -> list[Frame]:
        """What comes for an input, up to a Response, an Error or a close, and a little more."""
        found: list[Frame] = []
        while (frame := self.receive()) is not None:
            found.append(frame)
            if frame["type"] in ("Response", "Error", "(closed)"):
                return found + self.during(500)
        return found

    def next_turn(self) -> Frame | None:
        """What comes behind the parts of a running turn that were under way when the kit sent something."""
        until = self.stage.now + (0 if self.stage.driver.exact else _CROSSING)
        while (frame := self.receive()) is not None and frame["type"] in PARTS and self.stage.now < until:
            pass
        return frame

    def goes_on(self, after: str) -> Answer:
        """Say something: the connection has to be as good as ever.

        Args:
            after: what has come before, for the text of the violation.

        Raises:
            Violation: it is not answered with a Response.
        """
        self.say(self.stage.profile.phrase("echo"))
        try:
            return self.answered("an Input")
        except Violation as error:
            raise Violation(f"after {after}: {error}") from None

    def stays_quiet(self, after: str, ms: float = 500.0) -> None:
        """Nothing has to come for a while.

        Raises:
            Violation: something did.
        """
        came = self.during(ms)
        if came:
            raise Violation(f"after {after} came {name(came[0])}; nothing was to come")

    def speak(self, pcm: bytes | None = None) -> None:
        """Send audio in blocks of 100 ms, as fast as the server takes it.

        Args:
            pcm: the profile's speech without it.
        """
        pcm = self.stage.profile.speech if pcm is None else pcm
        for start in range(0, len(pcm), BLOCK):
            block = pcm[start : start + BLOCK]
            self.send({"type": "Binary", "data": block} if self.packed else block)

    def up_to_result(self) -> list[Frame]:
        """All that comes up to a final result, or until nothing comes any more."""
        found: list[Frame] = []
        while (frame := self.receive()) is not None:
            found.append(frame)
            if final(found) is not None or frame["type"] == "(closed)":
                break
        return found


def final(came: Sequence[Frame]) -> Frame | None:
    """The last event, when it is a final result."""
    last = came[-1] if came else None
    is_final = last is not None and last["type"] == "Recognized" and last.get("isFinal") is not False
    return last if is_final else None


class V1Caller(ServerStage):
    """What checks of V1 servers are given: a client that can do everything wrong, too."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self._devices = itertools.count(1)

    def handshake(self, *, path: str = "/socket", offer: str | None = None) -> tuple[Line, Message | None]:
        """Ask for a WebSocket.

        Args:
            path: where.
            offer: the subprotocol to offer.

        Returns:
            The wire, and what the server answered.
        """
        headers = () if offer is None else (("Sec-WebSocket-Protocol", offer),)
        line = self.open(RequestHead(url=path, headers=headers))
        return line, line.receive()

    def connect(
        self, *, device_id: str | None = None, packed: bool = False, path: str = "/socket"
    ) -> Conversation:
        """Open a WebSocket.

        Args:
            device_id: to introduce oneself with.
            packed: offer msgpack.
            path: where.

        Raises:
            Untestable: the server does not take it.
        """
        line, head = self.handshake(path=path, offer=MSGPACK if packed else None)
        head = self.arranged(head, "the handshake was not answered")
        if not isinstance(head, ResponseHead) or head.status != 101:
            raise Untestable(f"the handshake was answered with {head!r:.120}")
        agreed = head.header("Sec-WebSocket-Protocol") == MSGPACK
        return Conversation(line, self, device_id or f"device-{next(self._devices)}", packed=agreed)

    def ready(self, *, device_id: str | None = None, packed: bool = False, **config: Any) -> Conversation:
        """The same, with Init accepted.

        Raises:
            Untestable: it is not.
        """
        talk = self.connect(device_id=device_id, packed=packed)
        talk.introduce(**config)
        found = talk.receive()
        if found != frames.READY:
            raise Untestable(f"Init was answered with {name(found)}")
        return talk

    def started(self, **options: Any) -> Conversation:
        """The same, with the first turn done.

        Raises:
            Untestable: there was no answer.
        """
        talk = self.ready(**options)
        talk.say(INTRO)
        self.arrange(lambda: talk.answered("the first Input"))
        return talk

    def begun(self, **options: Any) -> tuple[Conversation, str]:
        """The same, and the id of the session.

        Raises:
            Untestable: there was no answer, or no SessionStarted.
        """
        talk = self.started(**options)
        return talk, self.arranged(talk.session_id, "the session was not announced")

    def listening(self, **options: Any) -> Conversation:
        """A conversation with the microphone open.

        Raises:
            NotDeclared: the server does not answer; or Untestable, when it claims to recognise speech.
        """
        talk = self.started(**{"silenceTimeout": 0, "sttInterimResults": True, **options})
        talk.send(frames.OPEN)
        found = talk.receive()
        acknowledged = found is not None and found["type"] == "InputAudioStreamOpen"
        self.assume("speech", acknowledged, f"InputAudioStreamOpen was answered with {name(found)}")
        return talk

    def recognised(self, talk: Conversation) -> list[Frame]:
        """Speak until there is a final result: all that came up to it.

        Raises:
            NotDeclared: there is none; or Untestable, when the server claims to recognise speech.
        """
        talk.speak()
        found = talk.up_to_result()
        self.assume("speech", final(found) is not None, "nothing was recognised in the profile's speech")
        return found

    def demand(self, capability: str, works: bool, text: str) -> None:
        """The check is about that capability itself.

        Raises:
            Violation: it is declared, and does not work.
            NotDeclared: it does not work, and nobody said that it would.
        """
        if not works:
            raise (Violation if capability in self.profile.declared else NotDeclared)(text)

    def long_payloads(self) -> set[str | bytes]:
        """What the server says in two seconds of a long answer, on a connection of its own.

        Raises:
            NotDeclared: the answer is over as soon as it begins; or Untestable, when the server claims more.
        """
        talk = self.started()
        greeted = self.arrange(lambda: talk.goes_on("the first turn")).payloads
        found = payloads_of([*self.long_answer(talk), *talk.during(2000)]) - greeted
        talk.lose()
        return found

    def long_answer(self, talk: Conversation) -> list[Frame]:
        """Make the server talk for a while: what comes of the answer in its first moments.

        Raises:
            NotDeclared: the answer is over as soon as it begins; or Untestable, when the server claims more.
        """
        talk.say(self.profile.phrase("long"))
        came = self.arrange(lambda: talk.until(*PARTS, "Response", "Error")) + talk.during(_MOMENT)
        over = any(each["type"] in ("Response", "Error") for each in came)
        self.assume("long", not over, "the answer to the long phrase was over at once")
        return came

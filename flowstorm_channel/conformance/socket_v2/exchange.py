"""One HTTP request of Socket V2 and its response, as the kit sends and reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.stage import Line, ServerStage
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.wire import END, Close, CloseCode, Message, ResponseHead

__all__ = ["COOKIE", "QUIET", "Answer", "Exchange", "cookie_in", "name"]

COOKIE = "flowstorm-session-id"
BLOCK = 3200
"""Bytes in a block of audio: 100 ms."""
QUIET = bytes(2 * BLOCK)


def cookie_in(head: ResponseHead) -> tuple[str, tuple[str, ...]] | None:
    """The session id that a response sets and the cookie's attributes; None when it sets none."""
    for header, value in head.headers:
        pair, *attributes = (each.strip() for each in value.split(";"))
        given, _, text = pair.partition("=")
        if header.lower() == "set-cookie" and given == COOKIE:
            return text.strip('"'), tuple(attributes)
    return None


def name(frame: Frame) -> str:
    """What an event is, in few words."""
    match frame:
        case {"type": "Error", "text": text}:
            return f"Error {text!r:.80}"
        case {"type": "RecognizedInput"}:
            return f"RecognizedInput {'final' if frame.get('isFinal') is True else 'interim'}"
        case {"type": "(line)", "mark": mark, "text": text}:
            return f"the line {f'{mark} {text}':.80}"
        case {"type": "(broken)", "why": why}:
            return f"something broken ({why:.120})"
    return str(frame["type"])


def _shown(head: ResponseHead | None, events: Sequence[Frame]) -> str:
    if head is None:
        return "no response"
    came = ", ".join(name(each) for each in events) or "an empty body"
    return f"{head.status} with {came}"


@attrs.frozen(kw_only=True)
class Answer:
    """A response, from its head to its end.

    Args:
        head: of it.
        frames: what its body holds.
        body: the bytes of that.
    """

    head: ResponseHead
    frames: tuple[Frame, ...]
    body: bytes = attrs.field(repr=False)

    @property
    def kinds(self) -> list[str]:
        """The types of what came, in order."""
        return [each["type"] for each in self.frames]

    @property
    def last(self) -> Frame | None:
        """The last event; None: there is none."""
        return self.frames[-1] if self.frames else None

    @property
    def response(self) -> dict[str, Any]:
        """What is in the Response; nothing when there is none."""
        held = next((each.get("response") for each in self.frames if each["type"] == "Response"), None)
        return held if isinstance(held, dict) else {}

    @property
    def single_items(self) -> list[dict[str, Any]]:
        """The items that came one by one."""
        return [each["responseItem"] for each in self.frames if isinstance(each.get("responseItem"), dict)]

    @property
    def items(self) -> list[dict[str, Any]]:
        """All items, those that came one by one first."""
        held = self.response.get("items") or ()
        return self.single_items + [each for each in held if isinstance(each, dict)]

    @property
    def ends(self) -> bool:
        """Whether the Response ends the session."""
        return self.response.get("sessionEnded") is True and not self.sleeps

    @property
    def sleeps(self) -> bool:
        """Whether the Response lets the session sleep."""
        return any(self.response.get(each) for each in ("sleepTimeout", "sessionTimeout"))

    def lines(self, mark: str) -> list[str]:
        """The texts of the lines of one kind, of an answer in text."""
        return [each["text"] for each in self.frames if each["type"] == "(line)" and each["mark"] == mark]

    def __str__(self) -> str:
        return _shown(self.head, self.frames)


class Exchange:
    """One request and its response.

    Args:
        line: the wire.
        stage: it is on.
        remember: takes the session id that a cookie in the response sets.
        packed: events are written as msgpack.
    """

    def __init__(
        self, line: Line, stage: ServerStage, remember: Callable[[str], None], *, packed: bool = False
    ) -> None:
        self.line = line
        self.stage = stage
        self.packed = packed
        self.head: ResponseHead | None = None
        """Of the response, as soon as it has come."""
        self.frames: list[Frame] = []
        """What the response has brought so far."""
        self.over = False
        """The response has come to its end."""
        self.lost = False
        """It was broken off."""
        self._remember = remember
        self._body = bytearray()
        self._reader = bodies.read_response(bodies.JSON)
        self._looked_at = 0

    # -------------------------------------------------------- the request

    def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self.line.send(data)

    def write(self, *events: Frame) -> None:
        """Send events, in one piece."""
        self.send(bodies.write(*events, packed=self.packed))

    def end(self) -> None:
        """The body is complete."""
        self.line.send(END)

    def lose(self) -> None:
        """The transport breaks."""
        self.line.send(Close(CloseCode.ABNORMAL))

    def speak(self, pcm: bytes | None = None) -> None:
        """Send audio in blocks of 100 ms, as fast as the server takes it, and as the body says it.

        Args:
            pcm: the profile's speech without it.
        """
        pcm = self.stage.profile.speech if pcm is None else pcm
        for start in range(0, len(pcm), BLOCK):
            self.send(pcm[start : start + BLOCK])

    # -------------------------------------------------------- the response

    def poll(self) -> None:
        """Take what has come."""
        while (message := self.line.poll()) is not None:
            self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case ResponseHead():
                self.head = message
                self._reader = bodies.read_response(message.header("Content-Type"))
                found = cookie_in(message)
                if found is not None:
                    self._remember(found[0])
            case bytes():
                self._body += message
                self.frames += self._reader.feed(message)
            case Close():
                self.lost = not self.over
                self.over = True
            case _:
                self.frames += self._reader.close()
                self.over = True

    def next(self, *kinds: str, ms: float | None = None) -> Frame:
        """The next event of these types, those before it are passed over.

        Raises:
            Violation: it does not come.
        """

        def look() -> Frame | bool | None:
            self.poll()
            while self._looked_at < len(self.frames):
                self._looked_at += 1
                if self.frames[self._looked_at - 1]["type"] in kinds:
                    return self.frames[self._looked_at - 1]
            return False if self.over else None

        found = self.stage.wait_for(look, ms)
        if not isinstance(found, dict):
            raise Violation(f"expected {' or '.join(kinds)}, got {self}")
        return found

    def ended(self, ms: float | None = None) -> bool:
        """Whether the response comes to its end in time.

        Args:
            ms: to wait for it; the profile's patience without it.
        """

        def look() -> bool | None:
            self.poll()
            return self.over or None

        return self.stage.wait_for(look, ms) is True and not self.lost

    def answer(self, status: int | None = None, ms: float | None = None) -> Answer:
        """The whole response.

        Args:
            status: what it has to be; any without it.
            ms: to wait for its end; the profile's patience without it.

        Raises:
            Violation: it does not come to its end, or has another status.
        """
        ended = self.ended(ms)
        if self.head is None or not ended:
            what = "was broken off" if self.lost else "did not come to its end"
            raise Violation(f"the response {what}: {self}")
        found = Answer(head=self.head, frames=tuple(self.frames), body=bytes(self._body))
        if status is not None and found.head.status != status:
            raise Violation(f"expected status {status}, got {found}")
        return found

    def turn(self, ms: float | None = None) -> Answer:
        """The whole response: a turn in JSON or msgpack, with its Response at the end.

        Raises:
            Violation: it is not.
        """
        found = self.answer(200, ms)
        if "(broken)" in found.kinds or found.kinds.count("Response") != 1 or found.kinds[-1] != "Response":
            raise Violation(f"expected one Response, at the end, got {found}")
        return found

    def refused(self, *statuses: int, ms: float | None = None) -> Answer:
        """The whole response: one of these statuses.

        Raises:
            Violation: it is not.
        """
        found = self.answer(ms=ms)
        if found.head.status not in statuses:
            raise Violation(f"expected status {' or '.join(map(str, statuses))}, got {found}")
        return found

    def fault(self) -> Answer:
        """The whole response: a refusal, or an Error at the end of the body.

        Raises:
            Violation: it is neither.
        """
        found = self.answer()
        refused = 400 <= found.head.status < 500
        if not (refused or (found.head.status == 200 and found.kinds[-1:] == ["Error"])):
            raise Violation(f"expected 400, or an Error at the end, got {found}")
        return found

    @property
    def failed(self) -> bool:
        """Whether the status says that there is no turn."""
        return self.head is not None and self.head.status >= 400

    def __str__(self) -> str:
        return _shown(self.head, self.frames)

"""A request of a V2 client's, and the kit's response to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.stage import Line
from flowstorm_channel.wire import END, Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = ["COOKIE", "Incoming", "answer_of", "recognized_input"]

COOKIE = "flowstorm-session-id"


def answer_of(*texts: str, **members: Any) -> Frame:
    """A Response as V2 servers send it: the timeout stands there under both names."""
    seconds = members.get("sleepTimeout", 0)
    return frames.response(*texts, **{"sessionTimeout": seconds, **members})


def recognized_input(text: str, *, final: bool) -> Frame:
    """What was recognised."""
    said = {"locale": "en", "zoneId": "Europe/Prague", "transcript": {"text": text, "confidence": 1.0}}
    return {"type": "RecognizedInput", "input": said, "isFinal": final}


class Incoming:
    """A request of the client's, as far as it has come, and the kit's response to it.

    Args:
        head: of the request.
        line: the wire.
        session: tells the session id that the client is given.
    """

    def __init__(self, head: RequestHead, line: Line, session: Callable[[], str]) -> None:
        self.head = head
        self.came_at = line.stage.now
        self.frames: list[Frame] = []
        """The events in its body, so far."""
        self.ended = False
        """Its body has come to its end."""
        self.gone = False
        """The client has broken it off."""
        self.closed = False
        """It has no transport any more."""
        self.answered = False
        """The response has come to its end, or was broken off by the kit."""
        self._session = session
        self._line = line
        self._reader = bodies.read_request(head.header("Content-Type"))

    def __str__(self) -> str:
        return f"{self.head.method} with {', '.join(each['type'] for each in self.frames) or 'nothing'}"

    @property
    def is_put(self) -> bool:
        """Whether it writes; POST is accepted as PUT (D-22)."""
        return self.head.method.upper() in ("PUT", "POST")

    @property
    def is_open(self) -> bool:
        """Whether there is somebody to answer."""
        return not self.gone and not self.answered

    @property
    def cookie(self) -> str | None:
        """The session id that it names."""
        for pair in (self.head.header("Cookie") or "").replace(",", ";").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and value:
                return value.strip('"')
        return None

    def setting(self, header: str, parameter: str) -> str | None:
        """What it says of the client; the query wins over the headers."""
        query = dict(parse_qsl(urlsplit(self.head.url).query))
        return query.get(parameter) or self.head.header(header)

    @property
    def texts(self) -> list[str]:
        """The words of the inputs in it."""
        return [frames.text_of(each) for each in self.frames if each["type"] in ("Input", "InputEvent")]

    @property
    def audio(self) -> bytes:
        """All audio in it."""
        found = (bodies.audio_of(each) for each in self.frames if each["type"] in ("Binary", "BinaryEvent"))
        return b"".join(each for each in found if each is not None)

    @property
    def is_log(self) -> bool:
        """Whether it carries logs only."""
        kinds = {each["type"] for each in self.frames}
        return self.is_put and self.ended and kinds <= {"Log", "LogEvent"}

    def poll(self) -> None:
        """Take what has come of it."""
        while (message := self._line.poll()) is not None:
            if isinstance(message, Close):
                self.closed = True
                self.gone = not self.answered
            elif message is END:
                self.ended = True
                self.frames += self._reader.close()
            else:
                assert isinstance(message, bytes)
                self.frames += self._reader.feed(message)

    # -------------------------------------------------------- the response

    @property
    def form(self) -> str:
        """The media type that the client expects."""
        if self.is_put:
            wanted = [bodies.media_type_of(self.head.header("Content-Type"))]
        else:
            wanted = [bodies.media_type_of(each) for each in (self.head.header("Accept") or "").split(",")]
        if bodies.JSON not in wanted:
            if bodies.MSGPACK in wanted:
                return bodies.MSGPACK
            if bodies.TEXT in wanted or "plain/text" in wanted:
                return bodies.TEXT
        return bodies.JSON

    def begin(
        self, status: int = 200, *, media_type: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Send the head of the response.

        Args:
            status: of it.
            media_type: of the body, if not the one that is expected.
            headers: more of them.
        """
        sent = [("Cache-Control", "no-store")]
        if status != 204:
            charset = "; charset=utf-8" if self.form == bodies.TEXT else ""
            sent.append(("Content-Type", media_type or f"{self.form}{charset}"))
        if self.is_put and status < 400 and self.cookie != self._session():
            cookie = f"{COOKIE}={self._session()}; Path=/; HttpOnly; SameSite=Lax"
            sent.append(("Set-Cookie", cookie))
        self._send(ResponseHead(status=status, headers=(*headers, *sent)))

    def write(self, *events: Frame | bytes) -> None:
        """Send events, or bytes as they are: each one piece of the body."""
        for each in events:
            self._send(each if isinstance(each, bytes) else self.encode(each))

    def encode(self, *events: Frame) -> bytes:
        """Events as they stand in the body."""
        if self.form == bodies.TEXT:
            return "".join(f"{line}\n" for each in events for line in _lines(each)).encode()
        return bodies.write(*events, packed=self.form == bodies.MSGPACK)

    def finish(self) -> None:
        """Send the end of the response."""
        self._send(END)
        self.answered = True

    def answer(self, *events: Frame | bytes, status: int = 200) -> None:
        """All in one."""
        self.begin(status)
        self.write(*events)
        self.finish()

    def lose(self) -> None:
        """The transport breaks."""
        self._send(Close(CloseCode.ABNORMAL))
        self.answered = True

    def _send(self, message: Message) -> None:
        if self.is_open and message != b"":
            self._line.send(message)


def _lines(frame: Frame) -> Iterator[str]:
    """An event in plain text."""
    match frame:
        case {"type": "ResponseItem", "responseItem": item}:
            if item.get("code"):
                yield f"# (code={item['code']})"
            yield f"< {item['text']}"
        case {"type": "Response", "response": held}:
            yield from (f"< {item['text']}" for item in held.get("items") or ())
            if held.get("sessionEnded") and not held.get("sleepTimeout"):
                yield "."
        case {"type": "RecognizedInput", "isFinal": False}:
            yield f"~ {frames.text_of(frame)}"
        case {"type": "Error", "text": text}:
            yield f"! conformance: {text}"

"""What stands in the bodies of Socket V2: which media type means what, and events as lines of text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any, Protocol
from urllib.parse import quote

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder, StreamEncoder
from flowstorm_channel.codecs.dispatch import plain_of_event
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    InputEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.values import Input, ResponseItem, Transcript

__all__ = [
    "MEDIA_TYPES",
    "Audio",
    "Form",
    "Nothing",
    "Reader",
    "Text",
    "Writer",
    "accepted",
    "body_form",
    "decoder",
    "is_audio",
    "media_type_of",
]


class Form(Enum):
    """How events stand in a body. The value is the media type."""

    TEXT = "text/plain; charset=utf-8"
    JSON = "application/json"
    MSGPACK = "application/msgpack"


_FORMS = {
    "text/plain": Form.TEXT,
    "plain/text": Form.TEXT,  # D-21
    "application/json": Form.JSON,
    "application/msgpack": Form.MSGPACK,
}
_AUDIO = ("audio/basic", "audio/wav", "audio/mpeg")
MEDIA_TYPES = ("text/plain", "application/json", "application/msgpack", *_AUDIO)
"""Of what a client may send."""


def media_type_of(header: str | None) -> str:
    """The media type of a Content-Type or of one element of an Accept, without its parameters."""
    return (header or "").partition(";")[0].strip().lower()


def is_audio(media_type: str) -> bool:
    """Whether a body of that type is the user's audio."""
    return media_type in _AUDIO


def body_form(media_type: str) -> Form | None:
    """The form of the events in a body of that type; None when it holds none."""
    return _FORMS.get(media_type)


def accepted(header: str | None) -> Form:
    """The form that an Accept asks for: JSON, unless it names another one and not JSON."""
    named = [_FORMS.get(media_type_of(each)) for each in (header or "").split(",")]
    found = [each for each in named if each is not None]
    return Form.JSON if Form.JSON in found or not found else found[0]


def decoder(form: Form, limits: Limits, *, locale: str, zone_id: str) -> StreamDecoder:
    """What takes a body of events apart; not for `Form.TEXT`.

    Args:
        form: of the body.
        limits: of the peer.
        locale: what an Input without one gets (D-71).
        zone_id: what an Input without one gets (D-71).
    """
    codec = MsgpackCodec if form is Form.MSGPACK else JsonCodec
    return StreamDecoder(codec(limits, locale=locale, zone_id=zone_id))


class Reader(Protocol):
    """What takes a body apart; a `StreamDecoder` is one."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def next_event(self) -> Event | None:
        """The next event; None when more bytes, or the end, are needed."""

    def close(self) -> None:
        """The body is at its end; events may be left."""


class Nothing:
    """A body that nobody looks at."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def next_event(self) -> Event | None:
        """There is none."""
        return None

    def close(self) -> None:
        """The body is at its end."""


class Text:
    """A body that is one text of the user's (D-72).

    Args:
        limits: of the peer.
        locale: of the input.
        zone_id: of the input.
    """

    def __init__(self, limits: Limits, *, locale: str, zone_id: str) -> None:
        self._most = limits.string_bytes
        self._locale, self._zone_id = locale, zone_id
        self._buffer = bytearray()
        self._event: Event | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            LimitExceeded: they are too many.
        """
        self._buffer += data
        if len(self._buffer) > self._most:
            raise LimitExceeded(f"a text of more than {self._most} bytes")

    def next_event(self) -> Event | None:
        """The input, once, after `close`."""
        event, self._event = self._event, None
        return event

    def close(self) -> None:
        """The body is at its end.

        Raises:
            RemoteProtocolError: it is empty, or not UTF-8.
        """
        try:
            text = self._buffer.decode()
        except UnicodeDecodeError as error:
            raise RemoteProtocolError(f"the text is not UTF-8: {error.reason}") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise RemoteProtocolError("the text is empty")
        said = Input(locale=self._locale, zone_id=self._zone_id, transcript=Transcript(text=text))
        self._event = InputEvent(input=said)


class Audio:
    """A body that is the user's audio: each piece is a block."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if data:
            self._blocks.append(data)

    def next_event(self) -> Event | None:
        """The next block."""
        return BinaryEvent(data=self._blocks.popleft()) if self._blocks else None

    def close(self) -> None:
        """The body is at its end."""


class Writer:
    """Events to a body.

    Args:
        form: of the body.
    """

    def __init__(self, form: Form) -> None:
        self._form = form
        self._stream = StreamEncoder(MsgpackCodec() if form is Form.MSGPACK else JsonCodec())

    def encode(self, event: Event) -> bytes:
        """The next bytes of the body.

        Raises:
            LocalProtocolError: the event cannot be sent.
        """
        if self._form is Form.TEXT:
            return "".join(f"{line}\n" for line in _lines(event)).encode(errors="replace")
        if isinstance(event, ResponseEvent):
            return self._response(event)
        return self._stream.encode(event)

    def _response(self, event: ResponseEvent) -> bytes:
        """A Response says its timeout under both names (D-18)."""
        try:
            tree: dict[str, Any] = plain_of_event(event)
            tree["response"]["sessionTimeout"] = event.response.sleep_timeout
            if self._form is Form.MSGPACK:
                packed: Any = msgpack.packb(tree)
                return bytes(packed)
            return text_of(tree).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise LocalProtocolError(f"ResponseEvent cannot be sent: {error}") from error


# ------------------------------------------------------------ lines of text

# Beside what has to be escaped, all that anybody takes for a line break.
_ESCAPED = str.maketrans({each: quote(each, safe="") for each in "%,()\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"})
_PROPERTIES = ("audio", "video", "image", "code", "background")


def _lines(event: Event) -> Iterator[str]:
    match event:
        case ResponseItemEvent():
            yield from _item(event.response_item)
        case ResponseEvent():
            for item in event.response.items:
                yield from _item(item)
            if event.response.session_ended and not event.response.sleep_timeout:  # D-51
                yield "."
        case RecognizedInputEvent():
            yield from _prefixed("~", event.text)
        case ErrorEvent():
            source = f"{event.source}: " if event.source else ""
            yield from _prefixed("!", f"{source}{event.text}")


def _item(item: ResponseItem) -> Iterator[str]:
    named = ((name, getattr(item, name)) for name in _PROPERTIES)
    properties = [f"{name}={value.translate(_ESCAPED)}" for name, value in named if value]
    if properties:
        yield f"# ({', '.join(properties)})"
    if item.text:
        # No line break may make a line of the voice's name either.
        voice = " ".join(item.tts_config.name.split()) if item.tts_config is not None else ""
        yield from _prefixed("<", f"[{voice}] {item.text}" if voice else item.text)


def _prefixed(mark: str, text: str) -> Iterator[str]:
    """One line for each line of the text, so that no text can pass for another kind of line."""
    for line in text.splitlines() or [""]:
        yield f"{mark} {line}"

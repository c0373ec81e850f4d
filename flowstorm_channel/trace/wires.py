"""Taking out of messages what is not to be kept, transport by transport."""

from __future__ import annotations

import codecs
from typing import Any, Protocol

import attrs

from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.socket_v2.bodies import Form, body_form, media_type_of
from flowstorm_channel.trace.crossing import LETTER, cross_out
from flowstorm_channel.trace.entries import End
from flowstorm_channel.trace.scanning import JsonScanner, MsgpackScanner, Path, Rule, Scanner
from flowstorm_channel.wire import Message, RequestHead, ResponseHead

__all__ = ["Wire"]


class Redactor(Protocol):
    """Says what is not to be kept; see `redaction`."""

    audio: bool
    texts: bool

    def concerns(self, path: Path, protocol: str) -> bool: ...
    def leaf(self, path: Path, value: Any, protocol: str) -> Any: ...
    def broken(self, path: Path | None, raw: bytes, protocol: str, *, escaped: bool) -> bytes: ...
    def header(self, name: str, text: str) -> str: ...
    def address(self, url: str) -> str: ...
    def silence(self, audio: bytes, protocol: str) -> bytes: ...


class Wire:
    """What goes over one transport, each way on its own."""

    def __init__(self, redactor: Redactor, protocol: str, channel: int) -> None:
        self.channel = channel
        self._redactor = redactor
        self._protocol = protocol
        self._packed = False
        self._bodies: dict[End, _Body] = {}
        self._ended: set[End] = set()

    @property
    def over(self) -> bool:
        """Whether both ends have ended it."""
        return len(self._ended) == 2

    def redacted(self, by: End, message: Message) -> Message:
        """The message as it is to be kept."""
        match message:
            case RequestHead() | ResponseHead():
                return self._head(by, message)
            case str():
                whole = _all_of(JsonScanner(self), message.encode("utf-8", "surrogatepass"))
                return whole.decode("utf-8", "surrogatepass")
            case bytes() if by in self._bodies:
                return self._bodies[by].feed(message)
            case bytes() if self._redactor.audio and not self._packed:
                return self._redactor.silence(message, self._protocol)
            case bytes():
                return _all_of(_Guessing(self, packed=self._packed), message)
        self._ended.add(by)
        return message

    def rests(self) -> list[tuple[End, bytes]]:
        """What has been held back of bodies."""
        return [(by, body.rest()) for by, body in self._bodies.items()]

    def _head(self, by: End, head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
        if self._protocol in ("socket-v1", "twilio"):
            self._packed = offers_msgpack(head)
        else:
            self._bodies[by] = self._body(head)
        headers = tuple((name, self._redactor.header(name, text)) for name, text in head.headers)
        if isinstance(head, RequestHead):
            return attrs.evolve(head, url=self._redactor.address(head.url), headers=headers)
        return attrs.evolve(head, headers=headers)

    def _body(self, head: RequestHead | ResponseHead) -> _Body:
        media_type = media_type_of(head.header("Content-Type"))
        if media_type.startswith("audio/"):
            return _Silenced(self._redactor)
        if body_form(media_type) is Form.TEXT:
            is_request = isinstance(head, RequestHead)
            return _CrossedOut(self._redactor) if is_request else _CrossedOutLines(self._redactor)
        return _Guessing(self, packed="msgpack" in media_type)

    def concerns(self, path: Path) -> bool:
        return self._redactor.concerns(path, self._protocol)

    def replace(self, path: Path, value: Any) -> Any:
        return self._redactor.leaf(path, value, self._protocol)

    def broken(self, path: Path | None, raw: bytes, *, escaped: bool) -> bytes:
        return self._redactor.broken(path, raw, self._protocol, escaped=escaped)


def _all_of(body: _Body, message: bytes) -> bytes:
    return body.feed(message) + body.rest()


class _Body(Protocol):
    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        ...

    def rest(self) -> bytes:
        """What has been held back."""
        ...


class _Guessing:
    """JSON or msgpack. A client that is wrong about it has secrets all the same.

    Args:
        rule: says what is replaced.
        packed: whether it is to be msgpack, when it does not look like something.
    """

    def __init__(self, rule: Rule, *, packed: bool) -> None:
        self._rule = rule
        self._packed = packed
        self._scanner: Scanner | None = None

    def feed(self, piece: bytes) -> bytes:
        if self._scanner is None and piece:
            packed = _LOOKS_PACKED.get(piece[0], self._packed)
            self._scanner = MsgpackScanner(self._rule) if packed else JsonScanner(self._rule)
        return b"" if self._scanner is None else self._scanner.feed(piece)

    def rest(self) -> bytes:
        return b"" if self._scanner is None else self._scanner.rest()


_LOOKS_PACKED = {
    **dict.fromkeys(b'{["', False),
    **dict.fromkeys((each for each in range(0x80, 0x100) if each != codecs.BOM_UTF8[0]), True),
}


class _Silenced:
    """A body of audio."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def feed(self, piece: bytes) -> bytes:
        return bytes(len(piece)) if self._redactor.audio else piece

    def rest(self) -> bytes:
        return b""


class _CrossedOut:
    """A body that is one text, which is held back until it is whole."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = bytearray()

    def feed(self, piece: bytes) -> bytes:
        if not self._redactor.texts:
            return piece
        self._held += piece
        return b""

    def rest(self) -> bytes:
        text = self._held.decode("utf-8", "surrogateescape")
        self._held.clear()
        return cross_out(text).encode("utf-8", "surrogateescape")


class _CrossedOutLines:
    """A body of lines, whose letters may be cut in two."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")

    def feed(self, piece: bytes) -> bytes:
        if not self._redactor.texts:
            return piece
        return LETTER.sub("x", self._decoder.decode(piece)).encode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        return self._decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")

"""The bodies of Socket V2 as the kit writes and reads them: JSON, msgpack, lines of text, audio.

A `Reader` takes a body in pieces, however it was cut, and gives objects with a `type`. What is no event is
``{"type": "(broken)", "why": …}``; nothing follows it. A line of text is ``{"type": "(line)", "mark": "<",
"text": …}``, its mark one of `MARKS`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.conformance.frames import Frame, said

__all__ = [
    *("AUDIO", "JSON", "MARKS", "MSGPACK", "TEXT", "Reader", "audio_of", "binary", "media_type_of"),
    *("properties_of", "read_request", "read_response", "write"),
]

JSON = "application/json"
MSGPACK = "application/msgpack"
TEXT = "text/plain"
AUDIO = ("audio/basic", "audio/wav", "audio/mpeg")
"""The media types of bodies that are the user's voice."""
MARKS = ("<", "#", "!", ".", "~")
"""What a line of text may begin with: speech, an item's properties, an error, the end, an interim result."""
_PACKED_SIZE = 64 * 1024 * 1024


def media_type_of(header: str | None) -> str:
    """The media type of a Content-Type, without its parameters; empty when there is none."""
    return (header or "").partition(";")[0].strip().lower()


# ------------------------------------------------------------ writing


def write(*frames: Frame, packed: bool = False) -> bytes:
    """Events as they stand in a body."""
    if packed:
        return b"".join(map(_packed, frames))
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in frames)


def _packed(frame: Frame) -> bytes:
    data: Any = msgpack.packb(frame)
    return bytes(data)


def binary(data: bytes, *, packed: bool = False) -> Frame:
    """A block of audio as an event."""
    return {"type": "Binary", "data": data if packed else base64.b64encode(data).decode()}


# ------------------------------------------------------------ reading


class Reader(Protocol):
    """Takes a body in pieces."""

    def feed(self, data: bytes) -> list[Frame]:
        """What is complete with this piece."""
        ...

    def close(self) -> list[Frame]:
        """What is complete, or broken, with the end of the body."""
        ...


def read_request(content_type: str | None) -> Reader:
    """What reads the body of a client's request; a text is an Input, a piece of audio a Binary."""
    found = media_type_of(content_type)
    if found in AUDIO:
        return _Audio()
    return _Text() if found in (TEXT, "plain/text") else _events(found)


def read_response(content_type: str | None) -> Reader:
    """What reads the body of a server's response."""
    found = media_type_of(content_type)
    return _Lines() if found == TEXT else _events(found)


def _events(media_type: str) -> Reader:
    return _Packed() if media_type == MSGPACK else _Objects()


def audio_of(frame: Frame) -> bytes | None:
    """The audio in a Binary, from JSON or msgpack; None when it holds none."""
    data = frame.get("data")
    if isinstance(data, str):
        try:
            return base64.b64decode(data, validate=True)
        except ValueError:
            return None
    return data if isinstance(data, bytes) else None


def _broken(why: object) -> Frame:
    return {"type": "(broken)", "why": str(why)}


def _event(found: Any) -> Frame:
    if isinstance(found, dict) and isinstance(found.get("type"), str):
        return found
    return _broken(f"no object with a type: {found!r:.80}")


class _Stopping:
    """A reader that reads nothing after what is broken."""

    def __init__(self) -> None:
        self._stopped = False

    def _up_to_broken(self, frames: Iterable[Frame]) -> list[Frame]:
        found: list[Frame] = []
        for each in frames:
            found.append(each)
            if each["type"] == "(broken)":
                self._stopped = True
                break
        return found


_STRUCTURE = re.compile(rb'["{}\[\]\\]')
_BETWEEN = re.compile(rb"[ \t\r\n]*")


class _Objects(_Stopping):
    """JSON objects with white space or nothing between them, or in one array."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()
        self._at = 0  # up to where it was looked at
        self._depth = 0
        self._in_string = False
        self._array = ""  # what an array, if there is one, expects: an element, a comma, or nothing more
        self._began = False

    def feed(self, data: bytes) -> list[Frame]:
        if self._stopped:
            return []
        self._held += data
        return self._up_to_broken(self._scan())

    def close(self) -> list[Frame]:
        if self._stopped:
            return []
        if self._held or self._array not in ("", "over"):
            return [_broken(f"the body ends inside an event: {bytes(self._held[:80])!r}")]
        return []

    def _scan(self) -> Iterator[Frame]:
        while True:
            if not self._depth:
                gap = _BETWEEN.match(self._held)
                assert gap is not None
                del self._held[: gap.end()]
                self._at = 0
                if not self._held:
                    return
                if not self._enter(self._held[0]):
                    yield _broken(f"no event begins with {bytes(self._held[:80])!r}")  # nobody asks for more
                continue
            if not self._to_the_end():
                return
            whole = bytes(self._held[: self._at])
            del self._held[: self._at]
            try:
                yield _event(json.loads(whole))
            except (ValueError, RecursionError) as error:
                yield _broken(error)

    def _enter(self, first: int) -> bool:
        """Begin an object, or pass over what belongs to an array; whether it may stand there."""
        if first == ord("{") and self._array in ("", "[", ","):
            self._depth = self._at = 1
            self._began = True
            self._array = "]" if self._array else ""
            return True
        may = {"[": not self._began, ",": self._array == "]", "]": self._array in ("[", "]")}
        if not may.get(chr(first), False):
            return False
        self._began = True
        self._array = "over" if first == ord("]") else chr(first)
        del self._held[0]
        return True

    def _to_the_end(self) -> bool:
        """Look for the end of the object; whether it is there."""
        while self._depth and (found := _STRUCTURE.search(self._held, self._at)) is not None:
            mark = found.group()
            self._at = found.end()
            if mark == b"\\":
                if self._at == len(self._held):
                    self._at -= 1  # what it stands before has not come yet
                    return False
                self._at += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if mark in b"{[" else -1
        if self._depth:
            self._at = len(self._held)
        return not self._depth


class _Packed(_Stopping):
    """msgpack maps."""

    def __init__(self) -> None:
        super().__init__()
        self._unpacker = msgpack.Unpacker(max_buffer_size=_PACKED_SIZE)
        self._fed = self._told = 0

    def feed(self, data: bytes) -> list[Frame]:
        if self._stopped:
            return []
        self._fed += len(data)
        return self._up_to_broken(self._take(data))

    def _take(self, data: bytes) -> Iterator[Frame]:
        try:
            self._unpacker.feed(data)
            for each in self._unpacker:
                self._told = self._unpacker.tell()
                yield _event(each)
        except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
            yield _broken(error)

    def close(self) -> list[Frame]:
        if self._stopped or self._told == self._fed:
            return []
        return [_broken("the body ends inside an event")]


class _Lines:
    """Lines of text, as a server answers."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        *lines, self._held = (self._held + data).split(b"\n")
        return [_line(each) for each in lines]

    def close(self) -> list[Frame]:
        return [_broken(f"the last line has no end: {self._held[:80]!r}")] if self._held else []


def _line(data: bytes) -> Frame:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _broken(error)
    mark, _, rest = text.partition(" ")
    if mark not in MARKS or (mark == "." and text != "."):
        return _broken(f"no line begins like {text[:80]!r}")
    return {"type": "(line)", "mark": mark, "text": rest}


_PROPERTY = re.compile(r"([a-z]+)=([^,()]*)")


def properties_of(line: Frame) -> dict[str, str] | None:
    """What a ``#`` line says of an item, escapes undone; None when it is malformed."""
    inside = re.fullmatch(r"\((.*)\)", line["text"])
    if inside is None:
        return None
    found: dict[str, str] = {}
    for each in inside.group(1).split(","):
        pair = _PROPERTY.fullmatch(each.strip())
        if pair is None:
            return None
        found[pair.group(1)] = _unescaped(pair.group(2))
    return found


def _unescaped(value: str) -> str:
    return re.sub(
        r"%(25|2C|28|29|0D|0A)", lambda each: chr(int(each.group(1), 16)), value, flags=re.IGNORECASE
    )


class _Text:
    """A line of the user's."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        self._held += data
        return []

    def close(self) -> list[Frame]:
        try:
            text = self._held.decode()
        except UnicodeDecodeError as error:
            return [_broken(error)]
        return [said(text.removesuffix("\n").removesuffix("\r"))]


class _Audio:
    """The user's voice."""

    def feed(self, data: bytes) -> list[Frame]:
        return [{"type": "Binary", "data": data}]

    def close(self) -> list[Frame]:
        return []

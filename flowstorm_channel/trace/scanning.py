"""JSON and msgpack as they go by, piece by piece, with single values replaced and all else left as it was.

A value that is cut by the end of a piece is held back until it is whole. What is no JSON, or no msgpack, goes
by untouched.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import msgpack  # type: ignore[import-untyped]

__all__ = ["JsonScanner", "MsgpackScanner", "Rule", "Scanner"]

Path = tuple[str, ...]
"""The names of the members that a value stands in, from the outside in."""


class Rule(Protocol):
    """Says what is to be replaced."""

    def concerns(self, path: Path) -> bool:
        """Whether a value there may be replaced. What is not is not held back."""
        ...

    def replace(self, path: Path, value: Any) -> Any:
        """What is to stand there, for a text or binary data."""
        ...


class Scanner(Protocol):
    """Lets data go by."""

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        ...

    def rest(self) -> bytes:
        """What has been held back, as it was."""
        ...


_STRUCTURE = re.compile(rb'["{}\[\]:,]')
_IN_STRING = re.compile(rb'["\\]')


class JsonScanner:
    """Replaces texts in JSON, or in a stream of JSON values.

    Args:
        rule: says which texts are replaced.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._path: list[str | None] = []
        """The name of the member in each object that is open; None in an array."""
        self._named = False
        """Whether the value of a member comes next, and not a name."""
        self._text: bytearray | None = None
        self._holds = False
        """Whether it is held back until it is whole."""
        self._escaped = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        done = bytearray()
        at = 0
        while at < len(piece):
            read = self._read_structure if self._text is None else self._read_text
            at = read(piece, at, done)
        return bytes(done)

    def rest(self) -> bytes:
        """What has been held back, as it was."""
        return bytes(self._text or b"")

    @property
    def _is_name(self) -> bool:
        """Whether a text that comes now is the name of a member."""
        return bool(self._path) and self._path[-1] is not None and not self._named

    @property
    def _names(self) -> Path:
        return tuple(name for name in self._path if name is not None)

    def _read_structure(self, piece: bytes, at: int, done: bytearray) -> int:
        """Go on between texts; where it leads."""
        found = _STRUCTURE.search(piece, at)
        if found is None:
            done += piece[at:]
            return len(piece)
        if found[0] == b'"':
            done += piece[at : found.start()]
            self._text = bytearray(b'"')
            self._holds = self._is_name or self._rule.concerns(self._names)
        else:
            done += piece[at : found.end()]
            self._move(found[0])
        return found.end()

    def _move(self, sign: bytes) -> None:
        if sign == b"{":
            self._path.append("")
            self._named = False
        elif sign == b"[":
            self._path.append(None)
        elif sign in b"]}":
            if self._path:
                self._path.pop()
            self._named = bool(self._path)
        elif sign == b":":
            self._named = True
        elif self._path and self._path[-1] is not None:
            self._named = False  # a comma in an object

    def _read_text(self, piece: bytes, at: int, done: bytearray) -> int:
        """Go on in a text; where it leads."""
        assert self._text is not None
        end, ended = at + 1, False
        if self._escaped:
            self._escaped = False
        else:
            found = _IN_STRING.search(piece, at)
            end = len(piece) if found is None else found.end()
            ended = found is not None and found[0] == b'"'
            self._escaped = found is not None and not ended
        self._text += piece[at:end]
        if not self._holds or ended:
            done += self._replaced(bytes(self._text)) if self._holds else self._text
            self._text = None if ended else bytearray()
        return end

    def _replaced(self, raw: bytes) -> bytes:
        try:
            text = json.loads(raw.decode("utf-8", "surrogatepass"), strict=False)
        except ValueError:
            return raw
        if self._is_name:
            self._path[-1] = text
            return raw
        value = self._rule.replace(self._names, text)
        if value == text:
            return raw
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


class _Open:
    """A container that is open."""

    __slots__ = ("is_map", "left", "name")

    def __init__(self, count: int, *, is_map: bool) -> None:
        self.left = 2 * count if is_map else count
        self.is_map = is_map
        self.name: str | None = None


class MsgpackScanner:
    """Replaces texts and binary data in msgpack, or in a stream of msgpack values.

    Args:
        rule: says which texts and which binary data are replaced.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._open: list[_Open] = []
        self._held = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        data = self._held
        data += piece
        done = bytearray()
        at = 0
        while at < len(data):
            end = self._read(data, at, done)
            if end is None:
                break
            at = end
        del data[:at]
        return bytes(done)

    def rest(self) -> bytes:
        """What has been held back, as it was."""
        return bytes(self._held)

    def _read(self, data: bytearray, at: int, done: bytearray) -> int | None:
        """Take one thing; where it ends, or None when it is not whole yet."""
        kind, head, size = _thing(data, at)
        end = at + head + (size if kind in ("text", "bytes", "other") else 0)
        if end > len(data) or head == 0:
            return None
        raw = bytes(data[at:end])
        if kind in ("map", "array"):
            done += raw
            self._open.append(_Open(size, is_map=kind == "map"))
            self._close()
            return end
        inside = self._open[-1] if self._open else None
        is_name = inside is not None and inside.is_map and inside.left % 2 == 0
        if kind == "other" or is_name:
            done += raw
            if inside is not None and is_name:
                inside.name = raw[head:].decode(errors="replace") if kind == "text" else None
        else:
            done += self._replaced(kind, raw, head)
        if inside is not None:
            inside.left -= 1
        self._close()
        return end

    def _close(self) -> None:
        """Leave the containers that are complete; each is a value of the one around it."""
        while self._open and self._open[-1].left == 0:
            self._open.pop()
            if self._open:
                self._open[-1].left -= 1

    def _replaced(self, kind: str, raw: bytes, head: int) -> bytes:
        try:
            value: Any = raw[head:].decode() if kind == "text" else raw[head:]
        except UnicodeDecodeError:
            return raw
        path = tuple(each.name for each in self._open if each.is_map and each.name is not None)
        replaced = self._rule.replace(path, value)
        if replaced == value:
            return raw
        packed: Any = msgpack.packb(replaced)
        return bytes(packed)


_SIZED = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xD9: ("text", 1),
    0xDA: ("text", 2),
    0xDB: ("text", 4),
    0xDC: ("array", 2),
    0xDD: ("array", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}
_WIDTHS = bytes((4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17))
_FIXED = {0xCA + index: width for index, width in enumerate(_WIDTHS)}
"""How much is behind numbers and small extensions."""


def _thing(data: bytearray, at: int) -> tuple[str, int, int]:
    """What stands there: its kind, the bytes of its head (0: it is not whole), and how much is behind it."""
    first = data[at]
    if 0x80 <= first < 0x90:
        return "map", 1, first & 0x0F
    if 0x90 <= first < 0xA0:
        return "array", 1, first & 0x0F
    if 0xA0 <= first < 0xC0:
        return "text", 1, first & 0x1F
    if first in _SIZED:
        kind, width = _SIZED[first]
        size = data[at + 1 : at + 1 + width]
        return (kind, 1 + width, int.from_bytes(size, "big")) if len(size) == width else (kind, 0, 0)
    return "other", 1, _FIXED.get(first, 0)

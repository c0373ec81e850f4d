"""JSON and msgpack as they go by, piece by piece, with single values replaced and all else left as it was.

A value that is cut by the end of a piece is held back until it is whole. What is no JSON, or no msgpack, goes
by as it is, but for what stands where something is to be replaced.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import msgpack  # type: ignore[import-untyped]

__all__ = ["JsonScanner", "MsgpackScanner", "Path", "Rule", "Scanner"]

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

    def broken(self, path: Path | None, raw: bytes, *, escaped: bool) -> bytes:
        """What is to stand there for what cannot be read: it is cut off, or no text.

        Args:
            path: where it stands; None: nobody knows.
            raw: the bytes.
            escaped: whether backslashes have the meaning that they have in JSON.
        """
        ...


class Scanner(Protocol):
    """Lets data go by."""

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        ...

    def rest(self) -> bytes:
        """What has been held back. What comes afterwards is taken for the rest of something broken."""
        ...


_LONGEST_NAME = 1000
"""Bytes of a text that are looked at when it turns out to be a name."""
_DEEPEST = 80
"""More names around a value are not looked at: the time that a message takes would grow with its square."""


def _within(names: list[str]) -> Path:
    """The names around a value, the outermost and the innermost when they are too many."""
    return tuple(names) if len(names) <= _DEEPEST else (names[0], *names[-_DEEPEST:])


_STRUCTURE = re.compile(rb'["{}\[\]:,]')
_IN_STRING = re.compile(rb'["\\]')


class JsonScanner:
    """Replaces texts in JSON, or in a stream of JSON values.

    Args:
        rule: says which texts are replaced.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._names: list[str] = []
        """Of the members that are open, from the outside in."""
        self._open: list[bool] = []
        """What is open, from the outside in: whether it has a name among these."""
        self._named = False
        """Whether the value of a member comes next, and not a name."""
        self._inside = False
        """Whether it goes on within a text."""
        self._last = bytearray()
        """The beginning of the last text: it is a name when a colon follows."""
        self._held: bytearray | None = None
        """A text that is held back until it is whole."""
        self._escaped = False
        self._broken = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        if self._broken:
            return self._rule.broken(None, piece, escaped=True)
        done = bytearray()
        at = 0
        while at < len(piece):
            read = self._read_text if self._inside else self._read_structure
            at = read(piece, at, done)
        return bytes(done)

    def rest(self) -> bytes:
        """What has been held back. What comes afterwards is taken for the rest of something broken."""
        if self._held is None:
            return b""
        held, self._held, self._broken = bytes(self._held), None, True
        return self._rule.broken(_within(self._names), held, escaped=True)

    def _read_structure(self, piece: bytes, at: int, done: bytearray) -> int:
        """Go on between texts; where it leads."""
        found = _STRUCTURE.search(piece, at)
        if found is None:
            done += piece[at:]
            return len(piece)
        if found[0] == b'"':
            done += piece[at : found.start()]
            self._begin_text(done)
        else:
            done += piece[at : found.end()]
            self._move(found[0])
        return found.end()

    def _begin_text(self, done: bytearray) -> None:
        self._inside = True
        self._last = bytearray(b'"')
        is_name = bool(self._open) and self._open[-1] and not self._named
        if not is_name and self._rule.concerns(_within(self._names)):
            self._held = bytearray(b'"')
        else:
            done += b'"'

    def _move(self, sign: bytes) -> None:
        if sign in b"{[":
            self._open.append(sign == b"{")
            if sign == b"{":
                self._names.append("")
                self._named = False
        elif sign in b"]}":
            if self._open and self._open.pop():
                self._names.pop()
            self._named = bool(self._open)
        elif sign == b":":
            self._name()
        elif self._open and self._open[-1]:
            self._named = False  # a comma in an object

    def _name(self) -> None:
        """The last text was a name, also where none should be: then a value follows all the same."""
        try:
            name = json.loads(self._last.decode(errors="replace"), strict=False)
        except ValueError:
            name = ""
        if not self._open or not self._open[-1]:
            self._open.append(True)
            self._names.append("")
        self._names[-1] = name
        self._named = True

    def _read_text(self, piece: bytes, at: int, done: bytearray) -> int:
        """Go on in a text; where it leads."""
        end, ended = at + 1, False
        if self._escaped:
            self._escaped = False
        else:
            found = _IN_STRING.search(piece, at)
            end = len(piece) if found is None else found.end()
            ended = found is not None and found[0] == b'"'
            self._escaped = found is not None and not ended
        if len(self._last) < _LONGEST_NAME:
            self._last += piece[at:end]
        if self._held is None:
            done += piece[at:end]
        else:
            self._held += piece[at:end]
        if ended:
            self._inside = False
            if self._held is not None:
                done += self._replaced(bytes(self._held))
                self._held = None
        return end

    def _replaced(self, raw: bytes) -> bytes:
        path = _within(self._names)
        try:
            text = json.loads(raw.decode())
            text.encode()  # lone surrogates can be written, and are refused
        except ValueError:
            return self._rule.broken(path, raw, escaped=True)
        value = self._rule.replace(path, text)
        if value == text:
            return raw
        return json.dumps(value, ensure_ascii=False).encode()


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
        self._broken = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        if self._broken:
            return self._rule.broken(None, piece, escaped=False)
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
        """What has been held back. What comes afterwards is taken for the rest of something broken."""
        if not self._held:
            return b""
        held, self._held, self._broken = bytes(self._held), bytearray(), True
        kind, head, _ = _thing(held, 0)
        if head == 0 or kind not in _VALUES or self._is_name:
            return held
        return held[:head] + self._rule.broken(self._path, held[head:], escaped=False)

    @property
    def _path(self) -> Path:
        inner = self._open[-_DEEPEST:] if len(self._open) > _DEEPEST else self._open
        names = [each.name for each in inner if each.is_map and each.name is not None]
        if inner is not self._open and self._open[0].name is not None:
            names.insert(0, self._open[0].name)
        return tuple(names)

    @property
    def _is_name(self) -> bool:
        """Whether what comes now is the name of a member."""
        return bool(self._open) and self._open[-1].is_map and self._open[-1].left % 2 == 0

    def _read(self, data: bytearray, at: int, done: bytearray) -> int | None:
        """Take one thing; where it ends, or None when it is not whole yet."""
        kind, head, size = _thing(data, at)
        end = at + head + (size if kind not in ("map", "array") else 0)
        if end > len(data) or head == 0:
            return None
        raw = bytes(data[at:end])
        if kind in ("map", "array"):
            done += raw
            self._open.append(_Open(size, is_map=kind == "map"))
            self._close()
            return end
        if self._is_name:
            done += raw
            name = raw[head : head + _LONGEST_NAME].decode(errors="replace")
            self._open[-1].name = name if kind in ("text", "bytes") else None
        else:
            done += self._replaced(kind, raw, head) if kind in _VALUES else raw
        if self._open:
            self._open[-1].left -= 1
        self._close()
        return end

    def _close(self) -> None:
        """Leave the containers that are complete; each is a value of the one around it."""
        while self._open and self._open[-1].left == 0:
            self._open.pop()
            if self._open:
                self._open[-1].left -= 1

    def _replaced(self, kind: str, raw: bytes, head: int) -> bytes:
        path, inside = self._path, raw[head:]
        if kind == "text" and not self._rule.concerns(path):
            return raw
        value: Any = inside
        try:
            if kind == "text":
                value = inside.decode()
        except UnicodeDecodeError:
            kind = "broken"
        if kind in ("broken", "extension"):
            return raw[:head] + self._rule.broken(path, inside, escaped=False)
        replaced = self._rule.replace(path, value)
        if replaced == value:
            return raw
        packed: Any = msgpack.packb(replaced)
        return bytes(packed)


_VALUES = ("text", "bytes", "extension")
"""What may have to be replaced."""
_SIZED = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xC7: ("extension", 1),
    0xC8: ("extension", 2),
    0xC9: ("extension", 4),
    0xD9: ("text", 1),
    0xDA: ("text", 2),
    0xDB: ("text", 4),
    0xDC: ("array", 2),
    0xDD: ("array", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}
_FIXED = {0xCA + index: width for index, width in enumerate((4, 8, 1, 2, 4, 8, 1, 2, 4, 8))}
"""How much is behind numbers."""
_SMALL = {0xD4 + index: width for index, width in enumerate((1, 2, 4, 8, 16))}
"""How much is behind the type of small extensions."""


def _thing(data: bytes | bytearray, at: int) -> tuple[str, int, int]:
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
        head = 2 + width if kind == "extension" else 1 + width
        return (kind, head, int.from_bytes(size, "big")) if len(data) >= at + head else (kind, 0, 0)
    if first in _SMALL:
        return ("extension", 2, _SMALL[first]) if len(data) >= at + 2 else ("extension", 0, 0)
    return "other", 1, _FIXED.get(first, 0)

"""Finding the end of a JSON object without parsing it, in whatever pieces it comes."""

from __future__ import annotations

import re
from typing import cast

from flowstorm_channel.codecs.faults import TooDeep
from flowstorm_channel.limits import Limits

__all__ = ["Brackets"]

# Up to the next bracket over whole strings without escapes, which most are: so there is one match a bracket.
# It matches always. The bound on repetitions bounds the memory that the matching takes.
_OUTSIDE = re.compile(rb'[^"{}\[\]]*(?:"[^"\\]*"[^"{}\[\]]*){0,100}')
_INSIDE = re.compile(rb'["\\]')
_QUOTE = ord('"')
_OPENING = frozenset(b"{[")


class Brackets:
    """Counts brackets outside of strings. It goes on where it stopped, so that every byte is looked at once.

    Args:
        limits: `nesting` is the deepest that is followed.
    """

    __slots__ = ("_depth", "_inside", "_nesting", "_position", "scanned")

    scanned: int
    """All bytes looked at so far."""

    def __init__(self, limits: Limits) -> None:
        self._nesting = limits.nesting
        self.scanned = 0
        self.restart()

    def restart(self) -> None:
        """Begin with a new object."""
        self._depth = 0
        self._position = 0
        self._inside = False

    def find_end(self, data: bytes | bytearray, stop: int) -> int | None:
        """Where the object ends that begins at the first byte; None when that is not before `stop`.

        Whether it is JSON does not matter.

        Args:
            data: what was given before, and more.

        Raises:
            TooDeep: it is.
        """
        before, end = self._position, None
        while end is None and self._position < stop:
            if self._inside:
                self._find_quote(data, stop)
            else:
                end = self._find_bracket(data, stop)
        self.scanned += self._position - before
        return end

    def _find_quote(self, data: bytes | bytearray, stop: int) -> None:
        """Go on to the end of a string."""
        found = _INSIDE.search(data, self._position, stop)
        if found is None:
            self._position = stop
        elif data[found.start()] == _QUOTE:
            self._position = found.end()
            self._inside = False
        else:
            # Whatever the backslash escapes does not count, even when it is not here yet.
            self._position = found.end() + 1

    def _find_bracket(self, data: bytes | bytearray, stop: int) -> int | None:
        """Go on to the end of the object, or into a string that is not a single match."""
        while True:
            start = self._position
            at = self._position = cast("re.Match[bytes]", _OUTSIDE.match(data, start, stop)).end()
            if at == stop:
                return None
            byte = data[at]
            if byte == _QUOTE:
                if at > start:
                    continue
                self._position += 1
                self._inside = True
                return None
            self._position += 1
            if byte in _OPENING:
                self._depth += 1
                if self._depth > self._nesting:
                    raise TooDeep(self._nesting)
            else:
                self._depth -= 1
                if self._depth <= 0:
                    return self._position

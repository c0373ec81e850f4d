"""An input of a fuzzer read as a program: a byte decides each step, and what is missing is zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["Failure", "Program"]

T = TypeVar("T")


class Failure(AssertionError):
    """The library did what it must not."""


class Program:
    """Reads bytes from the front; at the end everything is zero, the first choice, empty.

    Args:
        data: the input.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether all was read."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """The next byte."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, bound: int) -> int:
        """A number from 0 to less than a bound of at most 256."""
        return self.byte() % bound

    def flag(self) -> bool:
        """Yes or no."""
        return bool(self.byte() & 1)

    def choose(self, among: Sequence[T]) -> T:
        """One of up to 256 things."""
        return among[self.byte() % len(among)]

    def taken(self, most: int = 255) -> bytes:
        """The next bytes, as many as a byte says, at most so many."""
        count = min(self.byte(), most)
        start = self._at
        self._at = min(len(self._data), start + count)
        return self._data[start : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        start, self._at = self._at, len(self._data)
        return self._data[start:]

    def text(self, most: int = 255) -> str:
        """A text: of the next bytes, which may hold lone surrogates and anything else."""
        return self.taken(most).decode("utf-8", "surrogateescape")

    def clean_text(self, most: int = 255) -> str:
        """A text that can be encoded."""
        return self.taken(most).decode("utf-8", "replace")

    def times(self) -> int:
        """How often something is repeated: mostly once, now and then very often."""
        return _TIMES[self.byte() % len(_TIMES)]

    def cuts(self, data: bytes) -> Iterator[bytes]:
        """Those bytes in pieces of lengths that the program says; what is left at its end in one."""
        start = 0
        while start < len(data):
            length = self.byte() or len(data)
            yield data[start : start + length]
            start += length


_TIMES = (*(1,) * 58, 2, 2, 3, 3, 20, 20)

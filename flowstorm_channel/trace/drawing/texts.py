"""How texts, sizes and times are written in pictures."""

from __future__ import annotations

import unicodedata
from itertools import accumulate

__all__ = ["clean", "cut", "seconds", "size", "width_of"]


def clean(text: str) -> str:
    """A peer's text on one line: what would steer a terminal, or turn the line around, becomes an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def width_of(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """As much of a text as fits, with an ellipsis where something is left out.

    Args:
        text: on one line.
        width: in cells.
    """
    if width_of(text) <= width:
        return text
    if width < 1:
        return ""
    ends = accumulate(map(_cells, text))
    kept = sum(1 for end in ends if end < width)
    return f"{text[:kept]}…"


def seconds(time: float) -> str:
    """A time between events, as short as it can be said."""
    amount = abs(time)
    if amount < 1:
        return f"{time * 1000:.0f} ms"
    if amount < 100:
        return f"{time:.2f} s"
    return f"{time:.0f} s" if amount < 1e7 else f"{time:.1e} s"


def size(count: int) -> str:
    """A number of bytes."""
    if count < 10_000:
        return "1 byte" if count == 1 else f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 10_000_000 else f"{count / 1_000_000:.0f} MB"

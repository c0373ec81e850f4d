"""Crossing out texts: what is left of them is their form."""

from __future__ import annotations

import re

__all__ = ["LETTER", "cross_out", "cross_out_broken"]

_TAGS = re.compile(r"(<[^<>]*>)")
LETTER = re.compile(r"[^\W_]")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\.|[^\W_]", re.DOTALL)


def cross_out(text: str) -> str:
    """A text without its letters and digits. Commands stay: machines and dialogues go by them."""
    if text.startswith("#"):
        return text
    parts = _TAGS.split(text)
    return "".join(part if index % 2 else LETTER.sub("x", part) for index, part in enumerate(parts))


def cross_out_broken(raw: bytes, *, escaped: bool) -> bytes:
    """The same for what cannot be read: it stays broken as it was, and is of the same length.

    Args:
        raw: in UTF-8, as far as it goes.
        escaped: whether backslashes have the meaning that they have in JSON.
    """
    text = raw.decode("utf-8", "surrogateescape")
    text = _ESCAPED.sub(_crossed, text) if escaped else LETTER.sub("x", text)
    return text.encode("utf-8", "surrogateescape")


def _crossed(found: re.Match[str]) -> str:
    """A letter or a digit of a text in JSON, crossed out. What is escaped for a reason stays."""
    if found[1] is not None:
        return "\\u0078" if LETTER.match(chr(int(found[1], 16))) else found[0]
    return found[0] if found[0][0] == "\\" else "x"

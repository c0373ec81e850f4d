"""Speech as SSML: escaping, taking apart, joining and cutting (external.md).

A body is what stands inside ``<speak>``: text and elements, without an outermost element of its own.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

__all__ = ["escape", "inner", "plain", "shorten", "shorten_text", "speak", "with_sounds"]


# ------------------------------------------------------------ putting together

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


def escape(text: str) -> str:
    """Text as the content of an element, or as an attribute's value in double quotes.

    What XML 1.0 has no place for, such as most control characters, is dropped.
    """
    return _NO_XML.sub("", text).translate(_ESCAPES)


def speak(body: str) -> str:
    """A body as a whole document."""
    return f"<speak>{body}</speak>"


# ------------------------------------------------------------ taking apart


class _Kind(Enum):
    OPEN = "open"
    CLOSE = "close"
    TEXT = "text"
    NOTE = "note"  # nothing that is spoken


_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class _Part(NamedTuple):
    """A tag, a piece of text, a reference, a comment …"""

    kind: _Kind
    text: str  # the name of a tag; the text as it is meant; nothing of a note
    source: str  # as it stands in the document
    attributes: Mapping[str, str] = _NO_ATTRIBUTES

    @property
    def is_tag(self) -> bool:
        return self.kind in (_Kind.OPEN, _Kind.CLOSE)


_ROOT = "speak"
_CDATA = "![CDATA["
_DECLARATION = re.compile(r"\A\s*<\?xml\s[^?<>]*\?>")


def _parts(ssml: str) -> list[_Part] | None:
    """What a document or a body is made of; None when it is not well-formed.

    It is parsed inside an element, where no document type can stand: so there are no entities but the five
    of XML, and what is parsed can never grow. Namespaces are not looked at: ``amazon:effect`` is a name.
    """
    try:
        data = f"<_>{ssml}</_>".encode()
    except UnicodeEncodeError:
        return None
    parser = ParserCreate("utf-8")
    found: list[tuple[int, _Kind, str, Mapping[str, str]]] = []

    def note(kind: _Kind, text: str, attributes: Mapping[str, str] = _NO_ATTRIBUTES) -> None:
        found.append((parser.CurrentByteIndex, kind, text, attributes))

    parser.StartElementHandler = lambda name, attributes: note(_Kind.OPEN, name, attributes)
    parser.EndElementHandler = lambda name: note(_Kind.CLOSE, name)
    parser.CharacterDataHandler = lambda text: note(_Kind.TEXT, text)
    parser.CommentHandler = lambda _: note(_Kind.NOTE, "")
    parser.ProcessingInstructionHandler = lambda *_: note(_Kind.NOTE, "")
    parser.StartCdataSectionHandler = lambda: note(_Kind.OPEN, _CDATA)
    parser.EndCdataSectionHandler = lambda: note(_Kind.CLOSE, _CDATA)
    try:
        parser.Parse(data, True)
    except ExpatError:
        return None
    found, ends = found[1:-1], [start for start, *_ in found[2:]]
    return [
        _Part(kind, text, data[start:end].decode(), attributes)
        for (start, kind, text, attributes), end in zip(found, ends, strict=True)
    ]


def _known_parts(ssml: str) -> list[_Part]:
    parts = _parts(ssml)
    if parts is None:
        raise ValueError(f"not well-formed: {ssml[:80]!r}")
    return parts


def inner(ssml: str) -> str | None:
    """The body of a document, with or without its ``<speak>``; None when it is not well-formed.

    A ``<speak>`` may stand outermost only. Its attributes are dropped.
    """
    parts = _parts(_DECLARATION.sub("", ssml))
    if parts is None:
        return None
    roots = [index for index, each in enumerate(parts) if each.is_tag and each.text == _ROOT]
    if roots:
        start, end = roots[0], roots[-1]
        around = parts[:start] + parts[end + 1 :]
        if len(roots) > 2 or any(each.is_tag or each.text.strip() for each in around):
            return None
        parts = parts[start + 1 : end]
    return "".join(each.source for each in parts)


_PAUSING = {"audio", "break"}
_DIVIDING = {"p", "s"}
_SEPARATING = _PAUSING | _DIVIDING


def plain(ssml: str) -> str:
    """The text of a document or a body: without tags, references resolved.

    A space stands where only a paragraph, a sentence, a pause or a sound kept two words apart.

    Raises:
        ValueError: it is not well-formed.
    """
    pieces: list[str] = []
    apart = False
    for kind, text, *_ in _known_parts(_DECLARATION.sub("", ssml)):
        if kind is _Kind.TEXT:
            if apart and pieces and not pieces[-1][-1].isspace() and not text[0].isspace():
                pieces.append(" ")
            pieces.append(text)
            apart = False
        elif text in _SEPARATING:
            apart = True
    return "".join(pieces)


def with_sounds(body: str, fetch: Callable[[str], str | None]) -> str:
    """A body with other addresses of its sounds.

    Args:
        body: well-formed.
        fetch: gives the address that stands for that of an ``<audio>``, which is empty when it has none.
            None: the sound is left out; what is said in its place stays.

    Raises:
        ValueError: it is not well-formed.
    """
    pieces: list[str] = []
    kept: list[bool] = []
    for part in _known_parts(body):
        source = part.source
        if part.is_tag and part.text == "audio":
            if part.kind is _Kind.OPEN:
                address = fetch(part.attributes.get("src", ""))
                kept.append(address is not None)
                source = "" if address is None else _tag(part, {**part.attributes, "src": address})
            elif not kept.pop():
                source = ""
        pieces.append(source)
    return "".join(pieces)


def _tag(part: _Part, attributes: Mapping[str, str]) -> str:
    """A start tag, with other attributes."""
    inside = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{part.text}{inside}{'/' if part.source.endswith('/>') else ''}>"


# ------------------------------------------------------------ cutting

_OBJECT = "\ufffc"
_DIVIDER = "\u2029"
_SENTENCE_END = re.compile(
    # A run of marks is looked at once, from its beginning; else a thousand dots would take a million steps.
    rf"(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=[\s{_OBJECT}]|\Z)"
    r"|[。！？।؟]+[」』”’）]*"
    rf"|(?=[{_DIVIDER}{_OBJECT}])|(?<={_OBJECT})"
)
_JOINER = "\u200d"
_JOINED = {_JOINER, *map(chr, range(0x1F3FB, 0x1F400))}


def shorten_text(text: str, most: int) -> str:
    """As much of a text as fits: to the end of a sentence, else of a word, if one ends in the second half.

    Args:
        text: plain text.
        most: characters; nothing fits into less than one.
    """
    if len(text) <= most:
        return text
    return text[: _cut(text, most // 2, most)] if most > 0 else ""


def shorten(body: str, most: int) -> str:
    """As much of a body as fits, cut as `shorten_text` cuts, and well-formed: what is open is closed.

    Args:
        body: well-formed.
        most: characters in total, tags included.

    Raises:
        ValueError: it is not well-formed.
    """
    parts = _known_parts(body)
    shown = _Shown(parts)
    fitting, size = _fitting(parts, shown, most)
    if size == shown.size:
        return body
    return _prefix(parts, shown, _cut(shown.text, shown.at_source(size // 2), fitting))


class _Shown:
    """The parts as what they are for the listener; where each begins there, and in the source."""

    def __init__(self, parts: list[_Part]) -> None:
        pieces = [_shown(each) for each in parts]
        self.text = "".join(pieces)
        self.starts = _starts(pieces)
        self._sources = _starts([each.source for each in parts])
        self.size = self._sources[-1]

    def at_source(self, place: int) -> int:
        """The place in the text, for a place in the source."""
        index = bisect_right(self._sources, place) - 1
        return min(self.starts[index] + place - self._sources[index], self.starts[index + 1])


def _starts(pieces: list[str]) -> list[int]:
    starts = [0]
    for each in pieces:
        starts.append(starts[-1] + len(each))
    return starts


def _shown(part: _Part) -> str:
    if part.kind is _Kind.TEXT:
        return part.text
    if part.kind is _Kind.OPEN and part.text in _PAUSING:
        return _OBJECT
    return _DIVIDER if part.source and part.text in _SEPARATING else ""


def _closing(part: _Part) -> str:
    """What ends a part that was opened."""
    if part.text == _CDATA:
        return "]]>"
    return "" if part.source.endswith("/>") else f"</{part.text}>"


def _fitting(parts: list[_Part], shown: _Shown, most: int) -> tuple[int, int]:
    """How much fits when everything open is closed after it: of the text, and of the source."""
    size = closing = 0
    closings: list[int] = []
    for index, part in enumerate(parts):
        room = most - size - closing
        needed = len(part.source)
        if part.kind is _Kind.OPEN:
            closings.append(len(_closing(part)))
            needed += closings[-1]
        elif part.kind is _Kind.CLOSE:
            room += closings[-1]
        if needed > room:
            rest = max(room, 0) if part.source == part.text else 0
            return shown.starts[index] + rest, size + rest
        size += len(part.source)
        if part.kind is _Kind.OPEN:
            closing += closings[-1]
        elif part.kind is _Kind.CLOSE:
            closing -= closings.pop()
    return len(shown.text), size


def _cut(text: str, least: int, most: int) -> int:
    """Where to cut: the last end of a sentence between two places, else of a word, else the last place."""
    least = max(least, 1)
    found = 0
    for match in _SENTENCE_END.finditer(text, least - 1):
        if match.end() > most:
            break
        found = match.end()
    if found >= least:
        return _without_space(text, found)
    for place in range(most, least - 1, -1):
        if place == len(text) or _apart(text[place - 1]) or _apart(text[place]):
            return _without_space(text, place)
    place = most
    while least <= place < len(text) and _joined(text[place - 1], text[place]):
        place -= 1
    return _without_space(text, place if place >= least else most)


def _apart(character: str) -> bool:
    return character.isspace() or character == _OBJECT


def _without_space(text: str, place: int) -> int:
    while place > 0 and text[place - 1].isspace():
        place -= 1
    return place


def _joined(before: str, after: str) -> bool:
    """Whether two characters make one letter or sign for the reader."""
    return before == _JOINER or after in _JOINED or unicodedata.category(after)[0] == "M"


def _prefix(parts: list[_Part], shown: _Shown, place: int) -> str:
    """The parts up to a place in the text, and the ends of those that are open there."""
    end = bisect_left(shown.starts, place)
    pieces = [each.source for each in parts[:end]]
    if place < shown.starts[end]:  # inside of a text, where each character stands for itself
        pieces[-1] = pieces[-1][: place - shown.starts[end - 1]]
    closings: list[str] = []
    for part in parts[:end]:
        if part.kind is _Kind.OPEN:
            closings.append(_closing(part))
        elif part.kind is _Kind.CLOSE:
            closings.pop()
    return "".join(pieces + closings[::-1])

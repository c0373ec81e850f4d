"""A recording as lines of text: both ends, what goes to and fro, the states of the end that was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs

from flowstorm_channel.trace.drawing.model import PAUSE, Note, Picture, Row, height_of
from flowstorm_channel.trace.drawing.texts import clean, cut, seconds, width_of

__all__ = ["Line", "Part", "to_lines"]

Part = Literal["head", "client", "server", "told", "act", "mark", "note", "pause"]
"""What a line shows: a message of the client or the server, what a host was told or did, a mark across,
what is wrong, a time in which nothing happened."""


@attrs.frozen
class Line:
    """A line of the picture.

    Args:
        text: without a line break.
        part: what it shows.
    """

    text: str
    part: Part

    def __str__(self) -> str:
        return self.text


_TIME = 10
_LANE = 14
_NARROW = 48
"""No picture is narrower, in cells."""
_POINTS = 16
_BARS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {**dict(zip("│─═▶◀▷◁┄·…×−μ┃▌→", "|-=><><.~~x-u|:>", strict=True)), **dict.fromkeys(_BARS, "#")}
)


def to_lines(picture: Picture, *, width: int = 80, ascii_only: bool = False) -> Iterator[Line]:
    """The picture, line by line.

    Args:
        picture: what is drawn.
        width: of the terminal, in cells.
        ascii_only: draw with the characters of ASCII, also where an end has said one of those that are drawn
            with; what else it has said stays as it is.
    """
    pen = _Pen(picture, max(width, _NARROW))
    for line in pen.lines():
        text = line.text.rstrip()
        yield Line(text.translate(_ASCII) if ascii_only else text, line.part)


class _Pen:
    def __init__(self, picture: Picture, width: int) -> None:
        self._picture = picture
        self._width = width
        self._many = len(picture.channels) > 1
        self._wires = len(picture.wires) > 1
        self._seen_by = picture.head.seen_by
        self._has_states = any(row.state is not None for row in picture.rows)
        margin = _TIME + (5 if self._many else 0)
        self._margin = margin
        self._inside = width - margin - 4 - (_LANE if self._has_states else 0)
        """Cells between the lifelines."""
        self._shown: dict[int, tuple[str | None, str | None]] = {}

    def lines(self) -> Iterator[Line]:
        yield from self._heading()
        for number, row in enumerate(self._picture.rows):
            if number and row.since >= PAUSE:
                yield self._pause(row.since)
            yield self._row(row)
            for note in row.notes:
                yield from self._note(note)

    def _heading(self) -> Iterator[Line]:
        picture = self._picture
        said = [f"{clean(picture.title)}, seen by the {self._seen_by}", _count(len(picture.rows), "row")]
        said.append(seconds(picture.duration))
        if picture.head.redacted:
            said.append(f"without {clean(', '.join(picture.head.redacted))}")
        yield Line(cut(" · ".join(said), self._width), "head")
        columns = " " * (self._inside + 4 - 12)
        channel = "  ch " if self._many else ""
        lane = f"  {self._seen_by}" if self._has_states else ""
        yield Line(f"{'time':>{_TIME - 1}} {channel}client{columns}server{lane}", "head")

    # -------------------------------------------------------- a row

    def _row(self, row: Row) -> Line:
        channel = f"{row.channel:>4} " if self._many else ""
        time = f"{row.at:>{_TIME - 1}.3f}"
        if len(time) >= _TIME:
            time = f"{row.at:>{_TIME - 1}.2e}"
        before = f"{time} {channel}"
        part: Part
        match row.kind:
            case "message" | "audio":
                part = row.by or "client"
                inside = self._arrow(row)
            case "told" | "act" | "setting":
                part = "told" if row.kind == "told" else "act"
                inside = self._host(row)
            case _:
                part = "note" if row.notes else "mark"
                inside = self._across(row)
        return Line(f"{before}{inside}{self._lane(row)}", part)

    def _arrow(self, row: Row) -> str:
        said = row.words
        line = "─"
        if row.band is not None:
            said = f"{said} {''.join(map(_bar, row.band.curve(_POINTS)))}".rstrip()
            line = "═"
        if self._wires and row.wire is not None:
            said = f"{row.wire} {said}"
        text = cut(said, self._inside - 6)
        rest = line * (self._inside - width_of(text) - 5)
        if row.by == "server":
            return f"│◀{rest} {text} {line}{line}│"
        return f"│{line}{line} {text} {rest}▶│"

    def _host(self, row: Row) -> str:
        text = cut(row.words, self._inside - 4)
        rest = " " * (self._inside - width_of(text) - 2)
        told = row.kind == "told"
        if self._seen_by == "server":
            return f"│{rest} {text} {'▷' if told else '◁'}│"
        return f"│{'◁' if told else '▷'} {text} {rest}│"

    def _across(self, row: Row) -> str:
        text = cut(row.words, self._inside - 4)
        rest = self._inside - width_of(text) - 2
        return f"│{'┄' * (rest // 2)} {text} {'┄' * (rest - rest // 2)}│"

    def _lane(self, row: Row) -> str:
        if not self._has_states or row.state is None:
            return ""
        now = (row.state, row.audio)
        before = self._shown.get(row.channel)
        self._shown[row.channel] = now
        mark = {"asked": "▌", "open": "┃"}.get(row.audio or "", " ")
        if now == before:
            return f" {mark}"
        if before is not None and before[0] == row.state:
            return f" {mark} {cut(f'audio {row.audio}', _LANE - 3)}"
        return f" {mark} {cut(row.state, _LANE - 3)}"

    # -------------------------------------------------------- between rows

    def _pause(self, length: float) -> Line:
        text = f"{seconds(length)}"
        rest = self._inside - width_of(text) - 2
        left = rest // 2
        return Line(f"{' ' * self._margin}┄{' ' * left} {text} {' ' * (rest - left)}┄", "pause")

    def _note(self, note: Note) -> Iterator[Line]:
        words = clean(str(note)).split()
        room = self._width - _TIME - 2
        line = ""
        for word in words:
            if line and width_of(line) + 1 + width_of(word) > room:
                yield Line(f"{' ' * _TIME}! {line}", "note")
                line = ""
            line = f"{line} {word}".lstrip()
        yield Line(f"{' ' * _TIME}! {cut(line, room)}", "note")


def _bar(level: float) -> str:
    return _BARS[min(len(_BARS) - 1, int(height_of(level) * len(_BARS)))]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

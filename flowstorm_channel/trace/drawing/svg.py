"""A recording as one SVG, light or dark as its reader wants it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib import resources

from flowstorm_channel.states import State
from flowstorm_channel.trace.drawing.model import PAUSE, Band, Picture, Row, Span, height_of
from flowstorm_channel.trace.drawing.texts import clean, cut, seconds

__all__ = ["colours", "to_svg"]

_WIDTH = 960
_TIME, _LEFT, _RIGHT, _LANES = 84, 110, 690, 708
_SLOT, _MOST_SLOTS = 20, 5
_ROW, _SOUND, _PAUSE, _NOTE, _TOP, _END = 28, 56, 26, 19, 74, 24
_LETTER = 6.6
"""Pixels that a letter takes, about."""
_POINTS = 120
_STATES = frozenset(each.value for each in State)

_STYLE = """
.trace { font: 12px/1 system-ui, sans-serif; background: var(--ground); }
.trace text { fill: var(--ink); }
.trace .quiet { fill: var(--quiet); }
.trace .title { font-size: 16px; font-weight: 600; }
.trace .life { stroke: var(--rule); stroke-width: 2; }
.trace .client { stroke: var(--client); fill: none; stroke-width: 1.5; }
.trace .server { stroke: var(--server); fill: none; stroke-width: 1.5; }
.trace text.client, .trace path.head.client { fill: var(--client); stroke: none; }
.trace text.server, .trace path.head.server { fill: var(--server); stroke: none; }
.trace .name { font-weight: 600; }
.trace .back { fill: var(--ground); }
.trace .host { fill: var(--host); }
.trace .sound { fill: var(--soft); stroke: var(--sound); }
.trace .pause { stroke: var(--rule); stroke-dasharray: 2 4; }
.trace .gap { stroke: var(--ground); stroke-width: 3; stroke-dasharray: 3 3; }
.trace .bad { fill: var(--bad); }
.trace .audio { fill: var(--sound); }
"""


def colours() -> str:
    """The colours of pictures, as a style sheet; they hold for what is of the class ``trace``."""
    return resources.files("flowstorm_channel.trace.drawing").joinpath("colours.css").read_text("utf-8")


def to_svg(picture: Picture) -> str:
    """The picture as the text of a file.

    Args:
        picture: what is drawn.
    """
    return "\n".join(_Canvas(picture).lines()) + "\n"


class _Canvas:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._tops: list[float] = []
        """Where each row begins."""
        top = float(_TOP)
        for number, row in enumerate(picture.rows):
            top += _PAUSE if number and row.since >= PAUSE else 0
            self._tops.append(top)
            top += _height(row)
        self._height = top + _END
        self._many = len(picture.channels) > 1
        self._spans = picture.spans
        lanes = min(_MOST_SLOTS, 1 + max((each.slot for each in self._spans), default=0))
        self._names = _LANES + lanes * _SLOT + 2
        """Where the names of the states stand."""

    def lines(self) -> Iterator[str]:
        """The elements."""
        picture = self._picture
        title = f"{clean(picture.title)}, seen by the {picture.head.seen_by}"
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="trace" role="img" aria-label="{escape(title)}" '
            f'width="{_WIDTH}" height="{self._height:g}" viewBox="0 0 {_WIDTH} {self._height:g}">'
        )
        yield f"<title>{escape(title)}</title>"
        yield f"<style>{colours()}{_STYLE}</style>"
        yield f'<rect width="{_WIDTH}" height="{self._height:g}" class="back"/>'
        yield _text(24, 30, title, "title")
        said = f"{len(picture.rows)} rows, {seconds(picture.duration)}"
        yield _text(_WIDTH - 24, 30, said, "quiet", anchor="end")
        for x, name in ((_LEFT, "client"), (_RIGHT, "server")):
            yield _text(x, _TOP - 14, name, f"{name} name", anchor="middle")
            yield f'<line class="life" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{self._height - _END / 2:g}"/>'
        for span in self._spans:
            yield from self._span(span)
        for number, row in enumerate(picture.rows):
            yield from self._row(number, row)
        yield "</svg>"

    def _span(self, span: Span) -> Iterator[str]:
        if span.slot >= _MOST_SLOTS:
            return
        x = _LANES + span.slot * _SLOT
        top = self._tops[span.first]
        last = self._picture.rows[span.last]
        height = self._tops[span.last] + _height(last) - top
        name = escape(clean(span.name))
        if span.region == "audio":
            if span.name in ("asked", "open"):
                faint = ' fill-opacity="0.4"' if span.name == "asked" else ""
                yield (
                    f'<rect class="audio" x="{x + 12}" y="{top:g}" width="4" height="{height:g}"{faint}>'
                    f"<title>audio {name}</title></rect>"
                )
            return
        colour = span.name if span.name in _STATES else "other"
        yield (
            f'<rect x="{x}" y="{top:g}" width="10" height="{height:g}" rx="3" style="fill:var(--{colour})">'
            f"<title>{name}</title></rect>"
        )
        yield _text(self._names, top + 18, cut(clean(span.name), 20), "quiet")

    def _row(self, number: int, row: Row) -> Iterator[str]:
        top = self._tops[number]
        if number and row.since >= PAUSE:
            yield from _pause(top - _PAUSE, row.since)
        yield f'<g id="entry-{row.entry}">'
        yield _text(_TIME, top + 18, f"{row.at:.3f}", "quiet", anchor="end")
        if self._many:
            yield _text(24, top + 18, f"#{row.channel}", "quiet")
        if row.kind in ("message", "audio"):
            yield from _message(row, top)
        elif row.kind in ("told", "act", "setting"):
            yield from self._aside(row, top)
        else:
            yield from _across(row, top)
        for index, note in enumerate(row.notes):
            y = top + _height(row, notes=False) + 13 + index * _NOTE
            yield _text(_LEFT + 14, y, _fitting(clean(f"! {note}"), _RIGHT - _LEFT - 24), "bad")
        yield "</g>"

    def _aside(self, row: Row, top: float) -> Iterator[str]:
        """What the host of the recorded end was told, or did."""
        told = row.kind == "told"
        text = _fitting(clean(row.words), _RIGHT - _LEFT - 40)
        if self._picture.head.seen_by == "server":
            yield _text(_RIGHT - 18, top + 18, text, "host", anchor="end")
            yield _head(_RIGHT - 4 if told else _RIGHT - 13, top + 14, "host", right=told)
        else:
            yield _text(_LEFT + 18, top + 18, text, "host")
            yield _head(_LEFT + 4 if told else _LEFT + 13, top + 14, "host", right=not told)


def _message(row: Row, top: float) -> Iterator[str]:
    by = row.by or "client"
    right = by == "client"
    y = top + _height(row, notes=False) - 9
    begin, end = (_LEFT + 2, _RIGHT - 2) if right else (_RIGHT - 2, _LEFT + 2)
    if row.band is not None:
        yield from _curve(row.band, y)
    yield f'<line class="{by}" x1="{begin}" x2="{end + (-8 if right else 8)}" y1="{y:g}" y2="{y:g}"/>'
    yield _head(end, y, by, right=right)
    text = row.text if row.band is None else row.band.text
    wire = "" if row.wire is None else f"<title>transport {row.wire}</title>"
    shown = cut(clean(row.name), 60)
    rest = _fitting(clean(text), (_RIGHT - _LEFT - 40) - len(shown) * _LETTER * 1.1)
    baseline = y - 6 if row.band is None or not row.band.levels else top + 20
    yield (
        f'<text x="{_LEFT + 14 if right else _RIGHT - 14}" y="{baseline:g}" '
        f'text-anchor="{"start" if right else "end"}">{wire}'
        f'<tspan class="name">{escape(shown)}</tspan> <tspan class="quiet">{escape(rest)}</tspan></text>'
    )


def _across(row: Row, top: float) -> Iterator[str]:
    text = _fitting(clean(row.words), _RIGHT - _LEFT - 40)
    yield f'<line class="pause" x1="{_LEFT}" x2="{_RIGHT}" y1="{top + 14:g}" y2="{top + 14:g}"/>'
    wide = len(text) * _LETTER + 16
    middle = (_LEFT + _RIGHT) / 2
    yield f'<rect class="back" x="{middle - wide / 2:g}" y="{top + 4:g}" width="{wide:g}" height="20"/>'
    yield _text(middle, top + 18, text, "bad" if row.notes else "quiet", anchor="middle")


def _pause(top: float, length: float) -> Iterator[str]:
    y = top + 17
    yield _text((_LEFT + _RIGHT) / 2, y, seconds(length), "quiet", anchor="middle")
    for x in (_LEFT, _RIGHT):
        yield f'<line class="gap" x1="{x}" x2="{x}" y1="{top:g}" y2="{top + _PAUSE:g}"/>'


def _curve(band: Band, y: float) -> Iterator[str]:
    """The level of audio along its arrow."""
    levels = band.curve(_POINTS)
    if not levels:
        return
    width = (_RIGHT - _LEFT - 40) / max(1, len(levels))
    points = [f"M{_LEFT + 20} {y:g}"]
    for index, level in enumerate(levels):
        x = _LEFT + 20 + index * width
        points.append(f"L{x:.1f} {y - 1 - height_of(level) * 24:.1f}H{x + width:.1f}")
    points.append(f"L{_LEFT + 20 + len(levels) * width:.1f} {y:g}Z")
    yield f'<path class="sound" d="{"".join(points)}"/>'


def _height(row: Row, *, notes: bool = True) -> float:
    own = _SOUND if row.kind == "audio" and row.band is not None and row.band.levels else _ROW
    return own + (_NOTE * len(row.notes) if notes else 0)


def _head(x: float, y: float, kind: str, *, right: bool) -> str:
    back = -9 if right else 9
    return f'<path class="head {kind}" d="M{x:g} {y:g}l{back} -4.5v9z"/>'


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _fitting(text: str, width: float) -> str:
    return cut(text, max(1, int(width / _LETTER)))

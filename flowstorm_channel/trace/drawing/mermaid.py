"""A recording as a Mermaid sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator

from flowstorm_channel.trace.drawing.model import PAUSE, Picture, Row
from flowstorm_channel.trace.drawing.texts import clean, cut, seconds

__all__ = ["to_mermaid"]

_LONGEST = 80
_LETTERS = frozenset(" ,.()/×·-…")
"""What means nothing to Mermaid, beside letters and digits."""


def to_mermaid(picture: Picture) -> str:
    """The picture as the text of a diagram, with a newline at its end.

    Mermaid draws nothing of more than 50 000 characters, some 500 rows, unless its ``maxTextSize`` says
    otherwise; see `Picture.chosen`.

    Args:
        picture: what is drawn.
    """
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "sequenceDiagram"
    yield "    participant client"
    yield "    participant server"
    yield f"    Note over client,server: {_escaped(picture.title)}, seen by the {picture.head.seen_by}"
    end = picture.head.seen_by
    aside = f"{'right' if end == 'server' else 'left'} of {end}"
    states: dict[int, str | None] = {}
    for number, row in enumerate(picture.rows):
        if number and row.since >= PAUSE:
            yield f"    Note over client,server: {_escaped(seconds(row.since))}"
        yield f"    {_row(row, aside)}"
        for note in row.notes:
            yield f"    Note over client,server: ! {_escaped(str(note))}"
        if row.state != states.get(row.channel):
            states[row.channel] = row.state
            yield f"    Note {aside}: {_escaped(row.state or '?')}"


def _row(row: Row, aside: str) -> str:
    said = _escaped(row.words)
    if row.by is not None:
        return f"{row.by}->>{'server' if row.by == 'client' else 'client'}: {said}"
    if row.kind in ("told", "act", "setting"):
        return f"Note {aside}: {said}"
    return f"Note over client,server: {said}"


def _escaped(text: str) -> str:
    """A text in which nothing means anything to Mermaid."""
    return "".join(
        char if char.isalnum() or char in _LETTERS else f"#{ord(char)};"
        for char in cut(clean(text), _LONGEST)
    )

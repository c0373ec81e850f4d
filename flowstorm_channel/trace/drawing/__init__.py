"""Pictures of recordings: for a terminal, as Mermaid, as SVG, and as a page in which to look for things.

`picture_of` makes a `Picture` of a recording, and each form draws that::

    picture = picture_of(read(data))
    page = to_html(picture)

Nothing is read or written, and nothing that the ends have said is taken for more than text.
"""

from flowstorm_channel.trace.drawing.html import to_html
from flowstorm_channel.trace.drawing.mermaid import to_mermaid
from flowstorm_channel.trace.drawing.model import Band, Block, Note, Picture, Row, Span
from flowstorm_channel.trace.drawing.rows import picture_of
from flowstorm_channel.trace.drawing.svg import to_svg
from flowstorm_channel.trace.drawing.terminal import Line, to_lines

__all__ = [
    "Band",
    "Block",
    "Line",
    "Note",
    "Picture",
    "Row",
    "Span",
    "picture_of",
    "to_html",
    "to_lines",
    "to_mermaid",
    "to_svg",
]

"""A recording as one page of HTML that needs nothing else: no network, no other file.

What the ends have said reaches the page as data, and its script writes it as text: nothing of it is markup.
The policy of the page allows the one script and the one style sheet that are in it, by their hashes, and no
address of any kind.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources

from flowstorm_channel.trace.drawing.content import AUDIO_BYTES, content_of
from flowstorm_channel.trace.drawing.model import Picture
from flowstorm_channel.trace.drawing.svg import colours
from flowstorm_channel.trace.drawing.texts import clean

__all__ = ["to_html"]

_SCRIPTS = ("data.js", "rows.js", "details.js", "time.js", "main.js")


def to_html(picture: Picture, *, audio_bytes: int = AUDIO_BYTES) -> str:
    """The picture as a page in which one can look for things.

    Args:
        picture: what is drawn.
        audio_bytes: how much of its audio can be listened to; what comes later is only drawn.
    """
    style = colours() + _file("page.css")
    script = "\n".join(map(_file, _SCRIPTS))
    parts = {
        "policy": _policy(script, style),
        "title": escape(f"{clean(picture.title)}: a recording"),
        "style": style,
        "script": script,
        "data": content_of(picture, audio_bytes=audio_bytes),
    }
    before, *pieces = _file("page.html").split("{{")
    page = [before]
    for piece in pieces:  # what was put in is not looked through for more
        name, _, rest = piece.partition("}}")
        page += [parts[name], rest]
    return "".join(page)


def _file(name: str) -> str:
    return resources.files("flowstorm_channel.trace.drawing").joinpath("page", name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "media-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

"""How the commands write: colours only for people, errors in one line."""

from __future__ import annotations

import os
import sys
from typing import Final

from flowstorm_channel.events import Event, UnknownEvent
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead

__all__ = ["BLUE", "BOLD", "DIM", "GREEN", "RED", "YELLOW", "complain", "name_of", "paint", "printable"]

BOLD: Final = "1"
DIM: Final = "2"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
BLUE: Final = "36"


def paint(text: str, style: str) -> str:
    """The text in a style, when standard output is a terminal that wants colours; see ``NO_COLOR``."""
    wanted = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return f"\x1b[{style}m{text}\x1b[0m" if wanted else text


def printable(text: str) -> str:
    """What a peer said, without what would steer the terminal: control characters become escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def complain(text: str) -> None:
    """Say on standard error what is wrong, in one line."""
    print(f"flowstorm-channel: {text}", file=sys.stderr)


def name_of(what: Event | Message) -> str:
    """A short name for an event or a message."""
    match what:
        case UnknownEvent():
            return what.type
        case Event():
            return type(what).__name__.removesuffix("Event")
        case RequestHead():
            return "connect"
        case ResponseHead():
            return "accepted" if what.status == 101 else f"status {what.status}"
        case Close():
            return f"close {what.code}"
        case bytes():
            return "audio" if what else "keep-alive"
    return "text"

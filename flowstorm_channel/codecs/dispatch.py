"""From the `type` of the wire to the compiled function, and from the class of an event to its writers."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.codecs.compile import (
    PlainWriter,
    Reader,
    TextWriter,
    plain_writer,
    reader,
    text_writer,
)
from flowstorm_channel.codecs.settings import Settings
from flowstorm_channel.codecs.trees import plain_of, text_of
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import EVENTS, SPELLINGS, Event, UnknownEvent

__all__ = ["READERS", "event_of", "plain_of_event", "text_of_event"]

# Filled at first use: a server needs half of them, and compiling takes longer than importing.
READERS: dict[Any, Reader] = {}
"""By the `type` on the wire: of those events that `event_of` has met."""
_TEXT_WRITERS: dict[type, TextWriter] = {}
_PLAIN_WRITERS: dict[type, PlainWriter] = {}


def event_of(tree: Any, settings: Settings) -> Event:
    """The event of a parsed and inspected object, fast.

    Raises:
        KeyError, TypeError, ValueError: it is refused; `explain.read_event` tells why.
    """
    kind = tree["type"]  # a TypeError where it is no object
    read = READERS.get(kind)
    if read is None:
        if kind not in SPELLINGS:
            return UnknownEvent(data=tree)  # refuses a type that is no text
        read = READERS[kind] = reader(SPELLINGS[kind])
    event: Event = read(tree, settings)
    return event


def text_of_event(event: Event) -> str:
    """The JSON text of an event.

    Raises:
        LocalProtocolError: it never goes over a wire.
        TypeError, ValueError: one of its maps holds something that JSON has no form for.
    """
    write = _TEXT_WRITERS.get(type(event))
    if write is None:
        if isinstance(event, UnknownEvent):
            return text_of(event.data)
        write = _TEXT_WRITERS[type(event)] = text_writer(_sendable(event))
    return write(event)


def plain_of_event(event: Event) -> dict[str, Any]:
    """The same as plain Python, for msgpack.

    Raises:
        LocalProtocolError: it never goes over a wire.
        TypeError, ValueError: one of its maps holds something that JSON has no form for.
    """
    write = _PLAIN_WRITERS.get(type(event))
    if write is None:
        if isinstance(event, UnknownEvent):
            plain: dict[str, Any] = plain_of(event.data)
            return plain
        write = _PLAIN_WRITERS[type(event)] = plain_writer(_sendable(event))
    return write(event)


def _sendable(event: Event) -> type:
    if EVENTS.get(getattr(event, "TYPE", "")) is not type(event):
        raise LocalProtocolError(f"{type(event).__name__} never goes over a wire")
    return type(event)

"""JSON Schema of the events and of everything that they are made of."""

from __future__ import annotations

from collections.abc import Iterable

from flowstorm_channel.events import EVENTS, SPELLINGS, BinaryEvent, Event, UnknownEvent
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import Value
from flowstorm_channel.schemas import scalars
from flowstorm_channel.schemas.classes import DIALECT, Definitions
from flowstorm_channel.schemas.scalars import JsonSchema

__all__ = ["UNKNOWN", "class_schema", "event_schema", "packed_binary", "union_of"]

UNKNOWN = UnknownEvent.__name__


def event_schema(
    name: str | None = None, *, accepted: bool = False, limits: Limits = DEFAULT_LIMITS
) -> JsonSchema:
    """The schema of an event, or of all: a union that is told apart by `type`.

    Types that are not known are part of the union, since they are delivered, and members that are not known
    are allowed.

    Args:
        name: the event's `type`, in any spelling; None: all events.
        accepted: the schema of what decoders take; else of what encoders write.
        limits: of what decoders take.

    Raises:
        ValueError: there is no such event.
    """
    if name is not None and name not in SPELLINGS:
        raise ValueError(f"{name!r} is no event; {', '.join(EVENTS)} are")
    definitions = Definitions(accepted=accepted, limits=limits)
    if name is not None:
        cls = SPELLINGS[name]
        return _document(f"{cls.TYPE}, as it is {_form(accepted)}", definitions.of(cls), definitions)
    union = union_of(EVENTS.values(), definitions)
    return _document(f"Channel events, as they are {_form(accepted)}", union, definitions)


def class_schema(cls: type[Value], *, accepted: bool = False, limits: Limits = DEFAULT_LIMITS) -> JsonSchema:
    """The schema of any wire class: `ClientConfig`, `AlexaRequest` …

    Args:
        cls: of `flowstorm_channel.values`, or of a platform's messages.
        accepted: the schema of what decoders take; else of what encoders write.
        limits: of what decoders take.
    """
    definitions = Definitions(accepted=accepted, limits=limits)
    return _document(f"{cls.__name__}, as it is {_form(accepted)}", definitions.of(cls), definitions)


def union_of(classes: Iterable[type[Event]], definitions: Definitions) -> JsonSchema:
    """Some events, and those of types that are not known."""
    union = definitions.one_of(classes)
    union["oneOf"].append(definitions.unknown(UNKNOWN, "type", SPELLINGS))
    return union


def packed_binary() -> JsonSchema:
    """The schema of Binary in msgpack, the only event that differs there."""
    schema = Definitions().inline(BinaryEvent)
    return {**schema, "properties": {**schema["properties"], "data": scalars.PACKED_BYTES}}


def _form(accepted: bool) -> str:
    return "accepted" if accepted else "sent"


def _document(title: str, schema: JsonSchema, definitions: Definitions) -> JsonSchema:
    return {"$schema": DIALECT, "title": title, **schema, "$defs": definitions.schemas}

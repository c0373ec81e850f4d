"""The transition tables and deadlines of all machines as one JSON document, with a schema of its own.

The tables are those of `flowstorm_channel.diagrams.to_json`; here it is told which of them make a machine.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

import attrs

from flowstorm_channel import diagrams
from flowstorm_channel.channel import DEFAULT_TIMEOUTS
from flowstorm_channel.schemas.classes import DIALECT
from flowstorm_channel.schemas.scalars import JsonSchema
from flowstorm_channel.states import Audio, State

__all__ = ["STATES_CHANNELS", "StatesChannel", "states_document", "states_schema"]

StatesChannel = Literal["socket-v1", "socket-v2", "alexa", "google", "twilio"]
"""Whose machines there are."""
STATES_CHANNELS: tuple[StatesChannel, ...] = get_args(StatesChannel)

Tree = dict[str, Any]


@attrs.frozen(kw_only=True)
class _Machine:
    """What makes a machine, by the names of its tables.

    Args:
        channels: that it serves.
        table: of its states.
        audio: of its stream of input audio; None: there is none.
        deadlines: that it keeps.
    """

    channels: tuple[str, ...]
    table: str
    audio: str | None
    deadlines: str


def _machine(channels: str, table: str, audio: str | None, deadlines: str) -> _Machine:
    return _Machine(channels=tuple(channels.split()), table=table, audio=audio, deadlines=deadlines)


_MACHINES = {
    "v1-client": _machine("socket-v1", "client", "client-audio", "client"),
    "v1-client-duplex": _machine("socket-v1", "client-duplex", "client-audio", "client"),
    "v1-server": _machine("socket-v1", "server", "server-audio", "server"),
    "v1-server-duplex": _machine("socket-v1", "server", "server-duplex-audio", "server"),
    "v2-client": _machine("socket-v2", "v2-client", "v2-client-audio", "v2-client"),
    "v2-put": _machine("socket-v2", "v2-put", "v2-put-audio", "v2-put"),
    "v2-get": _machine("socket-v2", "v2-get", "v2-put-audio", "v2-get"),
    "webhook": _machine("alexa google", "webhook", None, "webhook"),
    "call": _machine("twilio", "call", "call-audio", "call"),
}


def states_document(channel: StatesChannel | None = None) -> Tree:
    """The machines, their tables, their deadlines, and the defaults of the times; see `states_schema`.

    Args:
        channel: leave out what does not belong to it.

    Raises:
        ValueError: there is no such channel.
    """
    if channel is not None and channel not in STATES_CHANNELS:
        raise ValueError(f"{channel!r} is no channel; {', '.join(STATES_CHANNELS)} are")
    machines = {name: each for name, each in _MACHINES.items() if channel is None or channel in each.channels}
    everything = json.loads(diagrams.to_json())
    used: dict[str, set[str | None]] = {
        "tables": {each.table for each in machines.values()},
        "audio_tables": {each.audio for each in machines.values()},
        "deadlines": {each.deadlines for each in machines.values()},
    }
    return {
        "version": everything["version"],
        "states": everything["states"],
        "audio": everything["audio"],
        "machines": {
            name: {**attrs.asdict(each), "channels": list(each.channels)} for name, each in machines.items()
        },
        **{
            part: {name: table for name, table in everything[part].items() if name in names}
            for part, names in used.items()
        },
        "timeouts": attrs.asdict(DEFAULT_TIMEOUTS),
    }


# ------------------------------------------------------------ its schema

_TRIGGER = "^(?:[<>] )?[A-Za-z]+(?: [A-Za-z]+)*$"


def states_schema() -> JsonSchema:
    """The schema of `states_document`."""
    return {
        "$schema": DIALECT,
        "title": "Transition tables of the channels' machines",
        **_object(
            "All machines, or those of a channel.",
            version={
                "description": "It grows with every change that a reader would misunderstand.",
                "const": 1,
            },
            states={**_list({"type": "string"}), "description": "In use; a table begins in its first row."},
            audio={**_list({"type": "string"}), "description": "In use, of the stream of input audio."},
            machines=_map(_ref("Machine"), "By name."),
            tables=_map(_table(State), "By name, then state, then trigger: the next state."),
            audio_tables=_map(
                _table(Audio),
                "By name, then place, then trigger: the next place. What is not there changes nothing.",
            ),
            deadlines=_map(
                _list(_ref("Deadline")), "By name, in the order in which they fire when due at once."
            ),
            timeouts=_map(
                {"type": ["number", "null"]},
                "Seconds, by the name of the deadline; null: it is off. A "
                "deadline that is not here lasts as long as the peer has said.",
            ),
        ),
        "$defs": {
            "Machine": _object(
                "One end of a channel.",
                channels={**_list({"enum": list(STATES_CHANNELS)}), "description": "That it serves."},
                table={"description": "Of its states, in `tables`.", "type": "string"},
                audio={
                    "description": "Of its stream of input audio, in `audio_tables`; null: no audio comes.",
                    "type": ["string", "null"],
                },
                deadlines={"description": "That it keeps, in `deadlines`.", "type": "string"},
            ),
            "Trigger": {
                "description": "`<` an event is received, `>` one is sent, with what qualifies it; else what "
                "the transport, the clock or the host does.",
                "type": "string",
                "pattern": _TRIGGER,
            },
            "Deadline": _object(
                "When something happens because nothing else does.",
                name={"description": "Of the deadline.", "type": "string"},
                states={
                    **_list(_names(State)),
                    "description": "In which it can run; leaving them disarms it.",
                },
                audio={**_list(_names(Audio)), "description": "With which it can run; all when empty."},
                entering={"description": "Getting to where it can run arms it.", "type": "boolean"},
                starts={**_list(_ref("Trigger")), "description": "What arms it, or begins it anew."},
                once={"description": "What starts it does not begin it anew.", "type": "boolean"},
                stops={**_list(_ref("Trigger")), "description": "What disarms it."},
                then={"description": "What happens when it is due.", "type": "string"},
            ),
        },
    }


def _object(text: str, **properties: JsonSchema) -> JsonSchema:
    return {
        "description": text,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _map(values: JsonSchema, text: str) -> JsonSchema:
    return {"description": text, "type": "object", "additionalProperties": values}


def _list(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/$defs/{name}"}


def _names(states: type[State] | type[Audio]) -> JsonSchema:
    return {"enum": [each.value for each in states]}


def _table(states: type[State] | type[Audio]) -> JsonSchema:
    row = {"type": "object", "propertyNames": _ref("Trigger"), "additionalProperties": _names(states)}
    return {"type": "object", "propertyNames": _names(states), "additionalProperties": row}

"""When an event is legal, and what it does, as the tables of the machines have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from flowstorm_channel.events import Version
from flowstorm_channel.socket_v2.states import CLIENT_V2, CLIENT_V2_AUDIO, GET, PUT, PUT_AUDIO
from flowstorm_channel.states import (
    CLIENT,
    CLIENT_AUDIO,
    CLIENT_DUPLEX,
    SERVER,
    SERVER_AUDIO,
    SERVER_DUPLEX_AUDIO,
    State,
)
from generating.markdown import table

QUALIFIERS = {
    "interim": "an interim result",
    "final": "a final result",
    "empty": "empty: a keep-alive",
    "stale": "of a turn that was interrupted",
    "idle": "with nothing left to play or to wait for",
    "end": "when the session has ended, ends or sleeps",
    "known": "of an end that has been told before",
    "echoed": "that echoes this end's own",
    "pausing": "at a client that pauses when it is interrupted",
    "asleep": "of a turn that a sleeping client has not heard of",
}
"""What stands behind the event in a trigger, in words."""


@attrs.frozen(kw_only=True)
class End:
    """One end of a channel.

    Args:
        name: for people.
        version: of the transport.
        table: of its states.
        audio: the table of its stream of audio, if it has one.
        beside: the end that it is shown beside, as far as it differs.
    """

    name: str
    version: Version
    table: Mapping[State, Mapping[str, State]]
    audio: Mapping[Any, Mapping[str, Any]] = attrs.field(factory=dict)
    beside: str = ""


ENDS = (
    End(name="client", version=Version.V1, table=CLIENT, audio=CLIENT_AUDIO),
    End(
        name="client in Duplex", version=Version.V1, table=CLIENT_DUPLEX, audio=CLIENT_AUDIO, beside="client"
    ),
    End(name="server", version=Version.V1, table=SERVER, audio=SERVER_AUDIO),
    End(
        name="server in Duplex", version=Version.V1, table=SERVER, audio=SERVER_DUPLEX_AUDIO, beside="server"
    ),
    End(name="client", version=Version.V2, table=CLIENT_V2, audio=CLIENT_V2_AUDIO),
    End(name="server (PUT)", version=Version.V2, table=PUT, audio=PUT_AUDIO),
    End(name="server (GET)", version=Version.V2, table=GET),
)

WAYS = {">": "sends", "<": "receives"}

ALIASES = {"RecognizedInput": "Recognized"}
"""What the tables of V2 call an event."""


def legality(name: str, versions: Iterable[Version]) -> Iterator[str]:
    """The tables of one event: where it may be sent and received, and what comes of it.

    Args:
        name: its `type`.
        versions: the transports that it belongs to.
    """
    for version in Version:
        rows = list(version_rows(name, version)) if version in versions else []
        if rows:
            yield from [f"### Socket {version.value}", ""]
            yield from table(("end", "event", "state", "input audio"), rows)


def version_rows(name: str, version: Version) -> Iterator[list[str]]:
    word = ALIASES.get(name, name) if version is Version.V2 else name
    shown: dict[tuple[str, str], list[list[str]]] = {}
    for end in ENDS:
        for way, verb in WAYS.items():
            if end.version is version:
                rows = list(end_rows(end, way, name, word))
                shown[end.name, way] = rows
                beside = shown.get((end.beside, way), [])
                yield from ([f"{end.name} {verb}", *row] for row in rows if row not in beside)


def end_rows(end: End, way: str, name: str, word: str) -> Iterator[list[str]]:
    """What becomes of the event at one end: in words, the states, the stream of audio."""
    states, audio = moves(end.table, way, word), moves(end.audio, way, word)
    for qualifiers, found in sorted(states.items(), key=lambda item: len(item[0])):
        what = ", ".join([name, *(QUALIFIERS[each] for each in qualifiers)])
        yield [what, changes(found, stays=True), changes(audio.get(qualifiers, {}), stays=False)]


Moves = dict[tuple[str, ...], dict[tuple[str, str], list[str]]]


def moves(rules: Mapping[Any, Mapping[str, Any]], way: str, word: str) -> Moves:
    """From where to where a table goes at an event, by what qualifies it."""
    found: Moves = {}
    for before, row in rules.items():
        for trigger, after in row.items():
            first, *rest = trigger.split()
            if first == way and rest[0] == word:
                kind = ("stays", "") if after is before else ("goes", after.value)
                found.setdefault(tuple(rest[1:]), {}).setdefault(kind, []).append(before.value)
    return found


def changes(found: Mapping[tuple[str, str], list[str]], *, stays: bool) -> str:
    """Such as `Sleeping, Listening → Processing; stays Processing`."""
    parts = [f"{', '.join(before)} → {after}" for (kind, after), before in found.items() if kind == "goes"]
    if stays and ("stays", "") in found:
        parts.append(f"stays {', '.join(found['stays', ''])}")
    return "; ".join(parts)

"""Which event is legal when, and what it does to the state: data, read by everything else.

A table maps a state to its row, and a row maps a *trigger* to the next state; what is not in the row is not
legal there. Machines, error texts, diagrams and property tests all read these tables, and nothing
else in the package knows which order of events is right.

A trigger is a text:

- ``< Input``: this end receives an event; ``> Response``: this end sends one (by itself or for its host);
- a word alone: ``opened`` and ``lost`` come from the transport, ``close``, ``begin``, ``interrupt``,
  ``pause``, ``resume`` and ``played`` from the host, ``< fault`` stands for whatever no row allows;
- a qualifier behind it tells apart what the event alone does not (socket-v1.md):
  ``interim``, ``final`` of a Recognized; ``empty`` of a binary frame, which is a keep-alive;
  ``stale``: it belongs to a turn that was interrupted (D-35);
  ``idle``: nothing is left to play, so that the client leaves Responding at once (D-25, D-40);
  ``end``: the session has ended or sleeps; ``known``: its end is no news (D-52); ``echoed``: the end was
  this end's own wish, and no news;
  ``pausing``: the client was told to pause when it is interrupted; ``asleep``: a turn that the server began
  is taken back before the client, whose session sleeps, has heard of it.

Audio is a second, small region beside the state: `Audio`, with tables of its own that see the same triggers.
What happens beyond the change of state, such as the [Close] of socket-v1.md, is the machines' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Literal

import attrs

from flowstorm_channel.events import EVENTS, BinaryEvent, Event, RecognizedEvent, UnknownEvent

__all__ = [
    "CLIENT",
    "CLIENT_AUDIO",
    "CLIENT_DEADLINES",
    "CLIENT_DUPLEX",
    "CLIENT_DUPLEX_AUDIO",
    "SERVER",
    "SERVER_AUDIO",
    "SERVER_DEADLINES",
    "SERVER_DUPLEX_AUDIO",
    "Audio",
    "AudioTable",
    "Deadline",
    "State",
    "Table",
    "legal",
    "trigger",
]


class State(Enum):
    """Where a conversation is."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and the tables are looked up all the time

    CLOSED = "Closed"
    """There is no transport; for a server, and for a client that was closed, the end."""
    OPEN = "Open"
    """The transport is there, Ready has not come."""
    SLEEPING = "Sleeping"
    """Nothing goes on; input begins or wakes a session."""
    LISTENING = "Listening"
    """The user's next input is awaited."""
    PROCESSING = "Processing"
    """The answer is awaited."""
    RESPONDING = "Responding"
    """The answer is coming, or (clients) playing."""
    PAUSED = "Paused"
    """Responding with playback held (clients only, D-30)."""
    FAILED = "Failed"
    """The transport is gone and will be sought again (clients only)."""


class Audio(Enum):
    """Where the stream of input audio is."""

    __hash__ = object.__hash__

    CLOSED = "closed"
    """Audio goes nowhere."""
    ASKED = "asked"
    """The client wants to speak, the server's recogniser is not ready yet."""
    OPEN = "open"
    """Audio flows."""


Row = Mapping[str, State]
Table = Mapping[State, Row]
AudioTable = Mapping[Audio, Mapping[str, Audio]]


def trigger(way: Literal["<", ">"], event: Event) -> str:
    """The trigger of an event that is received (``<``) or sent (``>``), without what only a machine knows."""
    found = _TRIGGERS[way].get(type(event))
    if found is not None:
        return found
    match event:
        case RecognizedEvent():
            return _RECOGNIZED[way][event.is_final]
        case BinaryEvent():
            return f"{way} Binary" if event.data else f"{way} Binary empty"
    return f"{way} {type(event).__name__}"


_TRIGGERS: dict[str, dict[type[Event], str]] = {
    way: {
        UnknownEvent: f"{way} Unknown",
        **{cls: f"{way} {name}" for name, cls in EVENTS.items() if cls not in (RecognizedEvent, BinaryEvent)},
    }
    for way in "<>"
}
_RECOGNIZED = {way: (f"{way} Recognized interim", f"{way} Recognized final") for way in "<>"}


def legal(row: Mapping[str, object], way: str = "") -> list[str]:
    """What a row allows, for the text of an error: each trigger once, without qualifiers.

    Args:
        way: only what is received (``<``) or sent (``>``); everything without it.
    """
    allowed = (each for each in row if each.startswith(way) and each != "< fault")
    names = (" ".join(part for part in each.split() if part not in _MACHINE_ONLY) for each in allowed)
    return list(dict.fromkeys(name.removeprefix(way).strip() for name in names))


_MACHINE_ONLY = frozenset({"stale", "idle", "end", "known", "echoed", "pausing", "asleep"})


def _to(state: State, *triggers: str) -> dict[str, State]:
    return dict.fromkeys(triggers, state)


_stay = _to  # where the state is that of the row


def _leave(cause: str) -> dict[str, State]:
    """*leave* of socket-v1.md, by what brings it about."""
    return {f"{cause} idle": State.LISTENING, f"{cause} idle end": State.SLEEPING}


_RESPONSE = ("< Response", "< Response end")
"""A Response with something left to play; the second one ends the session or lets it sleep."""


_INPUT = ("Input", "Request")
_RECEIVED_INPUT = tuple(f"< {name}" for name in _INPUT)
_SENT_INPUT = tuple(f"> {name}" for name in _INPUT)
_RECEIVED_PARTS = ("< ResponseItem", "< Binary")
_SENT_PARTS = ("> ResponseItem", "> Binary")
_STALE = ("< ResponseItem stale", "< Binary stale", "< Response stale", "< Response stale end")
_MICROPHONE = ("> InputAudioStreamOpen", "> InputAudioStreamClose", "> InputAudioStreamCancel", "> Binary")


# ------------------------------------------------------------ the client of V1


def _client(state: State, row: Mapping[str, State]) -> dict[str, State]:
    """What every state from Ready on has in common."""
    return {
        **_stay(state, "> Log", "> Vote", "> SessionEnded", "> Init", "> Unknown", "> Binary empty"),
        **_stay(state, "< Ready", "< SessionStarted", "< Unknown", "< Binary empty"),
        **_stay(state, "< SessionEnded known", "< SessionEnded echoed"),
        **_stay(state, "< InputAudioStreamOpen", "< Recognized interim", "< Recognized final stale"),
        **_stay(state, *_STALE),
        **row,
        "< Error": State.SLEEPING,
        "lost": State.FAILED,
        "close": State.CLOSED,
    }


_CLIENT_PLAYING: dict[str, State] = {
    # What Responding and Paused share.
    **_to(State.PROCESSING, *_SENT_INPUT, "< Recognized final"),
    "interrupt": State.LISTENING,
    **_leave("interrupt"),
}

CLIENT: Table = {
    State.CLOSED: {"opened": State.OPEN, "lost": State.FAILED, "close": State.CLOSED},
    State.FAILED: {"opened": State.OPEN, "lost": State.FAILED, "close": State.CLOSED},
    State.OPEN: {
        "< Ready": State.SLEEPING,
        "< Error": State.FAILED,
        **_stay(State.OPEN, "< Binary", "< Binary empty", "< Unknown", "> Binary empty"),
        "lost": State.FAILED,
        "close": State.CLOSED,
    },
    State.SLEEPING: _client(
        State.SLEEPING,
        {
            **_to(State.PROCESSING, *_SENT_INPUT, "< Recognized final"),
            **_to(State.RESPONDING, *_RECEIVED_PARTS, *_RESPONSE),
            **_leave("< Response"),
            "< SessionEnded": State.SLEEPING,
        },
    ),
    State.LISTENING: _client(
        State.LISTENING,
        {
            **_to(State.PROCESSING, *_SENT_INPUT, "< Recognized final"),
            **_stay(State.LISTENING, *_MICROPHONE),
            **_to(State.RESPONDING, *_RECEIVED_PARTS, *_RESPONSE),
            **_leave("< Response"),
            "< Response stale end": State.SLEEPING,
            "< SessionEnded": State.SLEEPING,
        },
    ),
    State.PROCESSING: _client(
        State.PROCESSING,
        {
            **_stay(State.PROCESSING, *_SENT_INPUT, "< Recognized final"),
            "interrupt": State.LISTENING,
            **_to(State.RESPONDING, *_RECEIVED_PARTS, *_RESPONSE),
            **_leave("< Response"),
            "< SessionEnded": State.SLEEPING,
        },
    ),
    State.RESPONDING: _client(
        State.RESPONDING,
        {
            **_CLIENT_PLAYING,
            **_to(State.PAUSED, "pause", "interrupt pausing"),
            **_stay(State.RESPONDING, "played", *_RECEIVED_PARTS, *_RESPONSE, "< SessionEnded"),
            **_leave("played"),
            **_leave("< Response"),
            "< SessionEnded idle": State.SLEEPING,
        },
    ),
    State.PAUSED: _client(
        State.PAUSED,
        {
            **_CLIENT_PLAYING,
            "resume": State.RESPONDING,
            **_leave("resume"),
            **_stay(State.PAUSED, "played", *_RECEIVED_PARTS, *_RESPONSE, "< SessionEnded"),
        },
    ),
}
"""What a V1 client may do and what it may be told, by its state."""

CLIENT_DUPLEX: Table = {
    state: {**row, **_stay(state, *_MICROPHONE)}
    if state in (State.PROCESSING, State.RESPONDING, State.PAUSED)
    else row
    for state, row in CLIENT.items()
}
"""The same in Duplex, where the microphone is open while the answer plays (D-45)."""

_STREAM_ENDS = dict.fromkeys(
    (
        *("> InputAudioStreamClose", "> InputAudioStreamCancel"),
        *("< Response end", "< Response stale end", "< SessionEnded", "< SessionEnded echoed"),
        *("asleep", "< Error", "lost", "close"),
    ),
    Audio.CLOSED,
)

CLIENT_AUDIO: AudioTable = {
    Audio.CLOSED: {
        "> InputAudioStreamOpen": Audio.ASKED,
        **dict.fromkeys(
            ("> InputAudioStreamClose", "> InputAudioStreamCancel", "< InputAudioStreamOpen"), Audio.CLOSED
        ),
    },
    Audio.ASKED: {"< InputAudioStreamOpen": Audio.OPEN, **_STREAM_ENDS},
    Audio.OPEN: {**dict.fromkeys(("> Binary", "< InputAudioStreamOpen"), Audio.OPEN), **_STREAM_ENDS},
}
"""The client's stream. ``asleep`` is the entry into Sleeping. What ends the session or lets it sleep closes
the server's stream, and so the client's, whatever its state."""

CLIENT_DUPLEX_AUDIO: AudioTable = CLIENT_AUDIO
"""The same in Duplex: a client's stream is closed by what it sends, whatever the mode."""


# ------------------------------------------------------------ the server of V1


def _server(state: State, row: Mapping[str, State]) -> dict[str, State]:
    """What every state from Ready on has in common."""
    return {
        **_stay(state, "< Init", "< Log", "< Vote", "< Unknown", "< Binary", "< Binary empty"),
        **_stay(state, "< InputAudioStreamOpen", "< InputAudioStreamClose", "< InputAudioStreamCancel"),
        **_to(State.PROCESSING, *_RECEIVED_INPUT),
        **_stay(
            state, "> Ready", "> InputAudioStreamOpen", "> Recognized interim", "> Unknown", "> Binary empty"
        ),
        "> Recognized final": State.PROCESSING,
        **_to(State.RESPONDING, *_SENT_PARTS),
        "> Response": State.LISTENING,
        "> Response end": State.SLEEPING,
        **row,
        **_to(State.SLEEPING, "< SessionEnded", "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    }


SERVER: Table = {
    State.CLOSED: {"opened": State.OPEN, **_stay(State.CLOSED, "lost", "close")},
    State.OPEN: {
        **_stay(State.OPEN, "< Init", "< Binary", "< Binary empty", "< fault"),
        "> Ready": State.SLEEPING,
        **_stay(State.OPEN, "> Error", "> Binary empty"),
        **_to(State.CLOSED, "lost", "close"),
    },
    State.SLEEPING: _server(
        State.SLEEPING, _stay(State.SLEEPING, "begin", "interrupt", "interrupt asleep", "> SessionEnded")
    ),
    State.LISTENING: _server(
        State.LISTENING,
        {**_stay(State.LISTENING, "begin", "interrupt"), "> SessionEnded": State.SLEEPING},
    ),
    State.PROCESSING: _server(State.PROCESSING, {"interrupt": State.LISTENING}),
    State.RESPONDING: _server(
        State.RESPONDING, {"interrupt": State.LISTENING, "interrupt asleep": State.SLEEPING}
    ),
}
"""What a V1 server may do and what it may be told, by its state."""


def _server_audio(*, duplex: bool) -> AudioTable:
    ends: dict[str, Audio] = dict.fromkeys(
        (
            *("< InputAudioStreamClose", "< InputAudioStreamCancel", "< SessionEnded", "< fault"),
            *("> Response end", "> SessionEnded", "> Error", "lost", "close"),
        ),
        Audio.CLOSED,
    )
    for each in (*_RECEIVED_INPUT, "> Recognized final"):
        if not duplex:
            ends[each] = Audio.CLOSED
    listening = ("< InputAudioStreamOpen", "< Binary", "> Recognized interim", "> Recognized final")
    return {
        Audio.CLOSED: {"< InputAudioStreamOpen": Audio.ASKED},
        Audio.ASKED: {"< InputAudioStreamOpen": Audio.ASKED, "> InputAudioStreamOpen": Audio.OPEN, **ends},
        Audio.OPEN: {**dict.fromkeys(listening, Audio.OPEN), **ends},
    }


SERVER_AUDIO: AudioTable = _server_audio(duplex=False)
"""The server's stream: what it hears closes it, and so does input by other means (D-14)."""

SERVER_DUPLEX_AUDIO: AudioTable = _server_audio(duplex=True)
"""The same in Duplex: neither input nor a final result closes the stream (D-19, D-45)."""


# ------------------------------------------------------------ deadlines


def _set(values: Iterable[str] = ()) -> frozenset[str]:
    return frozenset(values)


@attrs.frozen(kw_only=True)
class Deadline:
    """When something happens because nothing else does.

    It can run only in its `states` and, when given, with its `audio`; leaving them disarms it. The order of
    the deadlines in their table is the order in which they fire when several are due at once (D-49).

    Args:
        name: of the deadline.
        states: in which it can run.
        audio: with which it can run; all when empty.
        entering: whether getting into where it can run arms it.
        starts: triggers that arm it, or begin it anew.
        once: a trigger that `starts` it does not begin it anew while it runs.
        stops: triggers that disarm it.
        then: what happens when it is due; for the docs.
    """

    name: str
    states: frozenset[State]
    audio: frozenset[Audio] = frozenset()
    entering: bool = False
    starts: frozenset[str] = attrs.field(default=_set(), converter=_set)
    once: bool = False
    stops: frozenset[str] = attrs.field(default=_set(), converter=_set)
    then: str


_WITH_TRANSPORT = frozenset(State) - {State.CLOSED, State.FAILED}
_CONVERSING = _WITH_TRANSPORT - {State.OPEN}
_QUIET = frozenset({State.SLEEPING, State.LISTENING})

SERVER_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="init",
        states=frozenset({State.OPEN}),
        starts=("opened", "> Error"),
        stops=("< Init",),
        then="Error is sent, and the transport closed with 1008",
    ),
    Deadline(
        name="idle",
        states=_WITH_TRANSPORT,
        starts=("opened", "received"),
        then="the peer is taken for dead: closed with 1001; off unless the host sets it (D-67)",
    ),
    Deadline(
        name="sleep",
        states=_CONVERSING,
        starts=("sleeps",),
        stops=(
            *(*_RECEIVED_INPUT, "> Recognized final", "> Response", "> Response end", "interrupt"),
            *("< SessionEnded", "> SessionEnded", "< fault", "> Error"),
        ),
        then="the session is over, the host is told, nothing is sent (D-50)",
    ),
    Deadline(
        name="end_of_utterance",
        states=_QUIET,
        audio=frozenset({Audio.OPEN}),
        starts=("utterance ended",),
        stops=("begin",),
        then="as silence (D-48)",
    ),
    Deadline(
        name="silence",
        states=_QUIET,
        audio=frozenset({Audio.OPEN}),
        entering=True,
        starts=(
            *("> Recognized interim", "< InputAudioStreamOpen"),
            *("> Response", "interrupt", "interrupt asleep"),
        ),
        stops=("begin",),
        then="Recognized `#silence` is sent, and the host told of the input `#silence` (D-47)",
    ),
)
"""The deadlines of a V1 server."""

CLIENT_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="reconnect",
        states=frozenset({State.FAILED}),
        starts=("lost", "< Error"),
        then="the host is asked to connect (D-16)",
    ),
    Deadline(
        name="lost",
        states=frozenset({State.FAILED, State.OPEN}),
        starts=("lost", "< Error"),
        once=True,
        then="the host is told that the connection is lost, once an outage (D-16)",
    ),
    Deadline(
        name="idle",
        states=_WITH_TRANSPORT,
        starts=("opened", "received"),
        then="the peer is taken for dead: Failed; off unless the host sets it",
    ),
    Deadline(
        name="sleep",
        states=frozenset(State) - {State.CLOSED},
        starts=("sleeps",),
        stops=(
            *_SENT_INPUT,
            *(f"< Response{each}" for each in ("", " end", " idle", " idle end", " stale", " stale end")),
            *("< Error", "< SessionStarted", "< SessionEnded", "< SessionEnded idle"),
        ),
        then="the session id is dropped, the state stays (D-50)",
    ),
    Deadline(
        name="answer",
        states=frozenset({State.PROCESSING}),
        entering=True,
        starts=(*_SENT_INPUT, "< Recognized final", *_STALE),
        then="all turns are forgotten, the host is told, the state stays (D-36)",
    ),
    Deadline(
        name="keep_alive",
        states=_WITH_TRANSPORT,
        starts=("opened", "kept alive"),
        then="an empty binary frame is sent; off unless the host sets it (D-15)",
    ),
)
"""The deadlines of a V1 client."""

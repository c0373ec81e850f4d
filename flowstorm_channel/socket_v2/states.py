"""Which event is legal when on Socket V2 (socket-v2.md): data, in the form and with the words of `states`.

What is V2's own among the triggers: ``joined``: a PUT has found a session that goes on, a GET the PUT that it
reads for; ``recognised``: the GET has come to its end, so that recognition is finished; ``> Recording``:
a whole recording is sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowstorm_channel.states import Audio, AudioTable, Deadline, State, Table

__all__ = [
    "CLIENT_V2",
    "CLIENT_V2_AUDIO",
    "CLIENT_V2_DEADLINES",
    "GET",
    "GET_DEADLINES",
    "PUT",
    "PUT_AUDIO",
    "PUT_DEADLINES",
]


def _to(state: State, *triggers: str) -> dict[str, State]:
    return dict.fromkeys(triggers, state)


_stay = _to  # where the state is that of the row

# ------------------------------------------------------------ the server: one PUT


def _put(state: State, row: Mapping[str, State]) -> dict[str, State]:
    """What every state from Ready on has in common."""
    return {
        **_stay(state, "< Log", "< Unknown", "< Binary", "< InputStreamClose", "< InputAudioStreamClose"),
        **row,
        **_to(State.SLEEPING, "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    }


_ANSWERING: dict[str, State] = {
    **_to(State.RESPONDING, "> ResponseItem"),
    **_to(State.LISTENING, "> Response", "interrupt"),
    "> Response end": State.SLEEPING,
}

PUT: Table = {
    State.CLOSED: {"opened": State.OPEN, **_stay(State.CLOSED, "lost", "close")},
    State.OPEN: {
        "> Ready": State.SLEEPING,
        **_stay(State.OPEN, "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    },
    State.SLEEPING: _put(
        State.SLEEPING,
        {"< Input": State.PROCESSING, **_to(State.LISTENING, "joined", "< InputAudioStreamOpen")},
    ),
    State.LISTENING: _put(
        State.LISTENING,
        {
            "< Input": State.PROCESSING,
            **_stay(State.LISTENING, "< InputAudioStreamOpen", "> Recognized interim"),
            "> Recognized final": State.PROCESSING,
        },
    ),
    State.PROCESSING: _put(State.PROCESSING, _ANSWERING),
    State.RESPONDING: _put(State.RESPONDING, _ANSWERING),
}
"""What a PUT may bring and what the server may answer it with, by the state of the session."""

PUT_AUDIO: AudioTable = {
    Audio.CLOSED: {"< InputAudioStreamOpen": Audio.OPEN},
    Audio.ASKED: {},
    Audio.OPEN: {
        **dict.fromkeys(("< Binary", "< InputAudioStreamClose", "> Recognized interim"), Audio.OPEN),
        **dict.fromkeys(("< InputStreamClose", "< Input", "> Recognized final"), Audio.CLOSED),
        **dict.fromkeys(("< fault", "> Error", "lost", "close"), Audio.CLOSED),
    },
}
"""The user's audio in a PUT: open from the first block on, without being asked for. The end of the body is no
end of recognition; what was said is still to be recognised."""

_RECOGNISING = frozenset({State.LISTENING})
_OPEN = frozenset({Audio.OPEN})

PUT_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="body",
        states=frozenset({State.SLEEPING, State.LISTENING}),
        starts=("> Ready", "received"),
        stops=("< InputAudioStreamClose",),
        then="408: the client neither sends nor ends its body",
    ),
    Deadline(
        name="second_put",
        states=frozenset({State.SLEEPING, State.LISTENING}),
        starts=("waits",),
        then="409: the audio of the PUT before it is still coming in (D-68)",
    ),
    Deadline(
        name="end_of_utterance",
        states=_RECOGNISING,
        audio=_OPEN,
        starts=("utterance ended",),
        then="as silence (D-48)",
    ),
    Deadline(
        name="silence",
        states=_RECOGNISING,
        audio=_OPEN,
        starts=("speaks", "> Recognized interim"),
        then="the turn is the input `#silence`; not for a recording (socket-v2.md)",
    ),
    Deadline(
        name="recording",
        states=_RECOGNISING,
        audio=_OPEN,
        starts=("recorded",),
        then="as silence: nothing was recognised in a recording whose end has come",
    ),
    Deadline(
        name="drain",
        states=frozenset({State.CLOSED}),
        starts=("answered",),
        then="the response ends, or the connection is broken off, although the body of the request goes on",
    ),
)
"""The deadlines of a PUT."""

# ------------------------------------------------------------ the server: one GET

GET: Table = {
    State.CLOSED: {"opened": State.OPEN, **_stay(State.CLOSED, "lost", "close")},
    State.OPEN: PUT[State.OPEN],
    State.SLEEPING: {
        "joined": State.LISTENING,
        **_to(State.SLEEPING, "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    },
    State.LISTENING: {
        "joined": State.LISTENING,
        "> Recognized interim": State.LISTENING,
        **_to(State.SLEEPING, "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    },
}
"""What a GET goes through: it waits in Sleeping for its PUT, and reads in Listening what is recognised."""

GET_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="get",
        states=frozenset({State.SLEEPING}),
        starts=("> Ready",),
        then="204: no PUT with audio has come (D-69)",
    ),
    Deadline(
        name="late",
        states=frozenset({State.SLEEPING}),
        starts=("late",),
        then="200, empty: what the running PUT said was recognised before, and no other PUT has come",
    ),
)
"""The deadlines of a GET."""

# ------------------------------------------------------------ the client


def _leave(cause: str) -> dict[str, State]:
    return {f"{cause} idle": State.LISTENING, f"{cause} idle end": State.SLEEPING}


_RESPONSE = ("< Response", "< Response end")
_INPUT = ("> Input", "> Recording")
_MICROPHONE = "> InputAudioStreamOpen"
_ANSWER: dict[str, State] = {
    **_to(State.RESPONDING, "< ResponseItem", *_RESPONSE),
    **_leave("< Response"),
}


def _client(state: State, row: Mapping[str, State]) -> dict[str, State]:
    """What every state but Closed has in common."""
    return {
        **_stay(state, "> Log", "< Ready", "< SessionStarted", "< Unknown", "< InputAudioStreamOpen"),
        **_to(State.PROCESSING, *_INPUT),
        **row,
        "< Error": State.SLEEPING,
        "lost": State.FAILED,
        "close": State.CLOSED,
    }


_PLAYING: dict[str, State] = {
    # What Responding and Paused share. The microphone interrupts first.
    "interrupt": State.LISTENING,
    **_leave("interrupt"),
}

CLIENT_V2: Table = {
    State.CLOSED: {"opened": State.SLEEPING, "close": State.CLOSED},
    State.FAILED: _client(State.FAILED, {_MICROPHONE: State.LISTENING}),
    State.SLEEPING: _client(State.SLEEPING, {_MICROPHONE: State.LISTENING}),
    State.LISTENING: _client(
        State.LISTENING,
        {
            **_stay(State.LISTENING, _MICROPHONE, "> Binary", "interrupt", "< Recognized interim"),
            **_to(State.PROCESSING, "> InputAudioStreamClose", "< Recognized final", "recognised"),
            **_ANSWER,
        },
    ),
    State.PROCESSING: _client(
        State.PROCESSING,
        {
            **_stay(State.PROCESSING, "< Recognized interim", "< Recognized final", "recognised"),
            "interrupt": State.LISTENING,
            **_ANSWER,
        },
    ),
    State.RESPONDING: _client(
        State.RESPONDING,
        {
            **_PLAYING,
            **_to(State.PAUSED, "pause", "interrupt pausing"),
            **_stay(State.RESPONDING, "played", "< ResponseItem", *_RESPONSE),
            **_leave("played"),
            **_leave("< Response"),
        },
    ),
    State.PAUSED: _client(
        State.PAUSED,
        {
            **_PLAYING,
            "resume": State.RESPONDING,
            **_leave("resume"),
            **_stay(State.PAUSED, "played", "< ResponseItem", *_RESPONSE),
        },
    ),
}
"""What a V2 client may do and what it may be told, by its state. There is no handshake, and so no Open."""

CLIENT_V2_AUDIO: AudioTable = {
    Audio.CLOSED: {_MICROPHONE: Audio.OPEN},
    Audio.ASKED: {},
    Audio.OPEN: {
        "> Binary": Audio.OPEN,
        **dict.fromkeys(
            (
                *("> Input", "> Recording", "> InputAudioStreamClose", "interrupt"),
                *("< Recognized final", "recognised", "< ResponseItem", *_RESPONSE),
                *("< Response idle", "< Response idle end", "asleep", "< Error", "lost", "close"),
            ),
            Audio.CLOSED,
        ),
    },
}
"""The client's stream: open at once, until anything else than audio is said or heard."""

CLIENT_V2_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="get_again",
        states=frozenset({State.LISTENING}),
        audio=_OPEN,
        starts=("unread",),
        then="the interim results are asked for again, at most once a second",
    ),
    Deadline(
        name="sleep",
        states=frozenset(State) - {State.CLOSED},
        starts=("sleeps",),
        stops=(
            *_INPUT,
            _MICROPHONE,
            *(f"< Response{each}" for each in ("", " end", " idle", " idle end")),
            *("< Error", "< SessionStarted"),
        ),
        then="the session id is dropped, the state stays (D-50)",
    ),
)
"""The deadlines of a V2 client."""

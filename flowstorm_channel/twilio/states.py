"""Which event is legal when in a phone call (external.md, "Twilio's states"): data, in the form and with the
words of `states`.

``<`` names what Twilio sends, by the `event` of its frames: ``< media``, ``< dtmf`` …; ``>`` names
what the host does, by the events of the protocol. Of the marks that come back

- ``< mark`` is that of the turn that was said last: all of it has been played;
- ``< mark asleep`` is the same when the turn let the session sleep;
- ``< mark Sleeping`` is that of the end of the session;
- ``< mark stale`` is any other: sent before something else was said, or before a clear.

The call ends, and nothing but its last words is awaited, once the stream of input audio is closed.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowstorm_channel.states import Audio, AudioTable, Deadline, State, Table

__all__ = ["TWILIO", "TWILIO_AUDIO", "TWILIO_DEADLINES"]


def _to(state: State, *triggers: str) -> dict[str, State]:
    return dict.fromkeys(triggers, state)


_stay = _to  # where the state is that of the row

_OVER = _to(State.CLOSED, "< stop", "lost", "close")


def _call(state: State, row: Mapping[str, State]) -> dict[str, State]:
    """What every state from Ready on has in common."""
    return {
        **_stay(state, "< media", "< dtmf", "< mark stale", "< Unknown", "< fault"),
        **row,
        **_stay(state, "> ResponseItem", "> Recognized interim"),
        "> Recognized final": State.PROCESSING,
        **_to(State.RESPONDING, "> Binary", "> Response", "> Response end", "> SessionEnded", "> Error"),
        **_OVER,
    }


TWILIO: Table = {
    State.CLOSED: {"opened": State.OPEN, **_stay(State.CLOSED, "lost", "close")},
    State.OPEN: {
        **_stay(State.OPEN, "< connected", "< start"),
        **_stay(State.OPEN, "< media", "< dtmf", "< mark stale", "< Unknown", "< fault"),
        "> Ready": State.PROCESSING,
        "> Error": State.CLOSED,
        **_OVER,
    },
    State.SLEEPING: _call(State.SLEEPING, _stay(State.SLEEPING, "begin", "interrupt asleep")),
    State.LISTENING: _call(State.LISTENING, _stay(State.LISTENING, "begin", "interrupt")),
    State.PROCESSING: _call(State.PROCESSING, {"interrupt": State.LISTENING}),
    State.RESPONDING: _call(
        State.RESPONDING,
        {
            "< mark": State.LISTENING,
            "< mark asleep": State.SLEEPING,
            "< mark Sleeping": State.CLOSED,
            "begin": State.RESPONDING,
            "interrupt": State.LISTENING,
            "interrupt asleep": State.SLEEPING,
        },
    ),
}
"""What Twilio may send and what the host may do, by the state of the call."""

TWILIO_AUDIO: AudioTable = {
    Audio.CLOSED: {"> Ready": Audio.OPEN},
    Audio.ASKED: {},
    Audio.OPEN: {
        **dict.fromkeys(("< media", "> Recognized interim", "> Recognized final"), Audio.OPEN),
        **dict.fromkeys(("> SessionEnded", "> Error", "< stop", "lost", "close"), Audio.CLOSED),
    },
}
"""The caller's audio: it flows from Ready to the end of the session, whatever is said meanwhile."""

_CALLING = frozenset(State) - {State.CLOSED, State.PAUSED, State.FAILED}
_LISTENING = frozenset({State.LISTENING})
_OPEN = frozenset({Audio.OPEN})

TWILIO_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="init",
        states=frozenset({State.OPEN}),
        starts=("opened",),
        stops=("< start",),
        then="no start has come: closed with 1008",
    ),
    Deadline(
        name="idle",
        states=_CALLING,
        starts=("opened", "received"),
        then="Twilio is taken for gone: closed with 1001; off unless the host sets it (D-67)",
    ),
    Deadline(
        name="sleep",
        states=frozenset({State.SLEEPING}),
        entering=True,
        starts=("interrupt asleep",),
        stops=("begin",),
        then="the session is over, the host is told, closed with 1000 (D-73)",
    ),
    Deadline(
        name="playback",
        states=frozenset({State.RESPONDING}),
        audio=frozenset({Audio.CLOSED}),
        starts=("> SessionEnded", "> Error"),
        then="all that was said could have been played, 5 seconds ago: closed with 1000 (D-74)",
    ),
    Deadline(
        name="end_of_utterance",
        states=_LISTENING,
        audio=_OPEN,
        starts=("utterance ended",),
        stops=("begin",),
        then="as silence (D-48)",
    ),
    Deadline(
        name="silence",
        states=_LISTENING,
        audio=_OPEN,
        entering=True,
        starts=("> Recognized interim", "interrupt"),
        stops=("begin",),
        then="the host is told of the input `#silence` (D-73)",
    ),
)
"""The deadlines of a call."""

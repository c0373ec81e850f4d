"""Replaying a recording: the machines of today are given what was recorded, and must do what was recorded.

Every door is opened again in the same order, at the same time of the clock, and with the same answers of the
world. What a machine tells, sends or raises otherwise is a `Difference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from flowstorm_channel.channel import Channel
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.trace.comparison import first_difference
from flowstorm_channel.trace.entries import Entry, Opened, Recording
from flowstorm_channel.trace.player import Player
from flowstorm_channel.trace.redaction import Redactor
from flowstorm_channel.trace.settings import KINDS, options_of, sessions_of
from flowstorm_channel.trace.sources import Answers, ask_recorded

__all__ = ["Difference", "Replay", "replay"]


@attrs.frozen(kw_only=True)
class Difference:
    """Where a machine of today does something else than the recorded one.

    Args:
        index: of the entry in the recording.
        channel: the machine's number.
        recorded: what it did then.
        replayed: what it does now.
    """

    index: int
    channel: int
    recorded: str
    replayed: str


@attrs.frozen(kw_only=True)
class Replay:
    """What came of replaying a recording.

    Args:
        differences: the first one of each machine: what comes after it follows from it.
        entries: how many were replayed.
        channels: how many machines there were.
    """

    differences: tuple[Difference, ...]
    entries: int
    channels: int


_TOLD = 1000
"""Characters of an error."""


def replay(recording: Recording, machines: Mapping[str, type[Channel]] | None = None) -> Replay:
    """Do again what was recorded.

    Args:
        recording: with all that a `Recorder` writes.
        machines: classes to take instead of the library's own, by the names of these.

    Raises:
        RemoteProtocolError: it cannot be replayed: it is of the wires only, or it was made by a library
            whose settings are not understood.
    """
    stage = _Stage(recording, machines or {})
    index = 0
    try:
        for index, entry in enumerate(recording.entries, 1):
            stage.play(index - 1, entry)
    except RemoteProtocolError as error:
        # A recording of anybody's making may hold what UTF-8 has no form for, of any length.
        told = str(error)[:_TOLD].encode("utf-8", "backslashreplace").decode()
        raise RemoteProtocolError(f"entry {index} cannot be replayed: {told}") from None
    return Replay(
        differences=tuple(stage.differences),
        entries=stage.played,
        channels=len(stage.players),
    )


class _Stage:
    """What the machines of a recording share, again."""

    def __init__(self, recording: Recording, machines: Mapping[str, type[Channel]]) -> None:
        self.differences: list[Difference] = []
        self.players: dict[int, Player | None] = {}
        self.played = 0
        self.now = 0.0
        self.answers = Answers()
        redacted = recording.head.redacted
        self.redactor = Redactor(
            tokens="tokens" in redacted, texts="texts" in redacted, audio="audio" in redacted
        )
        self._machines = machines
        self._sessions: dict[int, Sessions] = {}

    def clock(self) -> float:
        """The time of the entry that is replayed now."""
        return self.now

    def play(self, index: int, entry: Entry) -> None:
        """Do again what an entry says, and compare what comes of it."""
        self.now = entry.at
        if isinstance(entry, Opened):
            self.redactor.entry(entry)  # which channel it is
            self.players[entry.channel] = self._open(entry)
        elif entry.channel not in self.players:
            raise RemoteProtocolError("the machines were not recorded from their beginning")
        elif (player := self.players[entry.channel]) is not None:
            found = self._compare(player, entry)
            if found is not None:
                self.players[entry.channel] = None
                self.answers.missing.clear()
                recorded, replayed = found
                self.differences.append(
                    Difference(index=index, channel=entry.channel, recorded=recorded, replayed=replayed)
                )
        else:
            return
        self.played += 1

    def _compare(self, player: Player, entry: Entry) -> tuple[str, str] | None:
        """Do it again: what was done then and now, where it differs."""
        self.answers.refill(getattr(entry, "given", ()))
        try:
            done = player.play(entry)
        except RemoteProtocolError:
            raise
        except Exception as error:
            return "raises nothing", f"raises {type(error).__name__}: {error}"
        *_, now = self.redactor.entries(done)
        if done is entry:
            now = entry  # it is what came, and was written down as it is
        return first_difference(
            entry,
            now,
            self.answers.missing,
            self.answers.left,
            is_redacted=bool(self.redactor.redacted),
        )

    def _open(self, entry: Opened) -> Player:
        if entry.kind not in KINDS:
            raise RemoteProtocolError(f"{entry.kind!r:.40} is no machine of this library")
        kind = KINDS[entry.kind]
        cls: Any = self._machines.get(entry.kind, kind.cls)
        asked = entry.settings.get("asks")
        sources = ask_recorded(kind.asks, asked if isinstance(asked, list) else [], self.answers)
        check = sources.pop("check", None)
        shared = [self._shared(entry)] if kind.shares else []
        options = {**options_of(kind, entry.settings), **sources, **kind.fixed}
        self.answers.replaying = False
        try:
            channel = cls(*shared, clock=self.clock, **options)
        except Exception as error:
            raise RemoteProtocolError(f"a {entry.kind} cannot be made of its settings: {error}") from None
        self.answers.replaying = True
        if check is not None:
            channel._check = check
        return Player(channel, kind, self.answers)

    def _shared(self, entry: Opened) -> Sessions | None:
        if entry.sessions is None:
            return None
        tree = entry.settings.get("sessions")
        if tree is not None:
            self._sessions[entry.sessions] = sessions_of(tree, self.clock)
        if entry.sessions not in self._sessions:
            raise RemoteProtocolError("what the machines share was not recorded from its beginning")
        return self._sessions[entry.sessions]

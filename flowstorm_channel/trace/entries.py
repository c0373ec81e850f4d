"""What a recording consists of: what the machines were given, what they told and sent, and when.

A recording is a `Head` and entries in the order in which things happened. With `Record` alone it shows the
wires; the others show what only an end knows of itself, which is what it takes to replay it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs

from flowstorm_channel.wire import Message

__all__ = [
    "Act",
    "Cut",
    "End",
    "Entry",
    "Given",
    "Head",
    "Idle",
    "Lost",
    "Opened",
    "Record",
    "Recording",
    "Setting",
    "Told",
]

End = Literal["client", "server"]
Given = tuple[tuple[str, Any], ...]
"""What a machine asked the world for while it worked, and was given: names and plain values, in order."""


@attrs.frozen(kw_only=True)
class Head:
    """What a recording is of.

    Args:
        channel: ``socket-v1``, ``socket-v2``, ``alexa``, ``google`` or ``twilio``; ``mixed`` when several
            are in it.
        seen_by: the end at which it was recorded: what that end sent stands where it was sent, what it got
            where it arrived.
        redacted: what was taken out of it: ``tokens``, ``texts``, ``audio``.
    """

    channel: str
    seen_by: End
    redacted: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Record:
    """One message on a transport.

    Args:
        at: when, in seconds from any origin.
        wire: which transport, a WebSocket or an HTTP exchange: numbered from 0 in the order of opening.
        by: the end that sent it.
        message: what it sent.
        channel: the machine that got or sent it, numbered from 0.
    """

    at: float
    wire: int
    by: End
    message: Message
    channel: int = 0


@attrs.frozen(kw_only=True)
class Opened:
    """A machine is recorded from here on.

    Args:
        at: when.
        channel: its number.
        kind: the name of its class.
        settings: what it was made with, as plain values.
        sessions: which `Sessions` it shares with others, numbered from 0; None: it has none, or its own.
        given: see `Given`.
    """

    at: float
    channel: int
    kind: str
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    sessions: int | None = None
    given: Given = ()


@attrs.frozen(kw_only=True)
class Told:
    """A machine told its host an event.

    Args:
        at: when.
        channel: the machine's number.
        event: as plain values, with its ``type``.
        state: where the conversation is then.
        audio: where the stream of input audio is then.
        given: see `Given`.
    """

    at: float
    channel: int
    event: Mapping[str, Any]
    state: str
    audio: str
    given: Given = ()


@attrs.frozen(kw_only=True)
class Act:
    """A host did something.

    Args:
        at: when.
        channel: the machine's number.
        name: of the method.
        arguments: as plain values, by name.
        raised: the error that came of it, by the name of its class.
        state: where the conversation is then.
        audio: where the stream of input audio is then.
        given: see `Given`.
    """

    at: float
    channel: int
    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    raised: str | None = None
    state: str
    audio: str
    given: Given = ()


@attrs.frozen(kw_only=True)
class Setting:
    """A host has changed something that a machine reads when it needs it.

    Args:
        at: when it was noticed: before the next thing that happens.
        channel: the machine's number.
        name: ``session.data``, or an attribute of the machine.
        value: as plain values.
    """

    at: float
    channel: int
    name: str
    value: Any


@attrs.frozen(kw_only=True)
class Idle:
    """A machine had nothing more to tell, or to send.

    Args:
        at: when.
        channel: the machine's number.
        of: ``events`` or ``output``.
        wire: of the output.
        state: where the conversation is then.
        audio: where the stream of input audio is then.
        given: see `Given`.
    """

    at: float
    channel: int
    of: Literal["events", "output"]
    wire: int | None = None
    state: str
    audio: str
    given: Given = ()


@attrs.frozen(kw_only=True)
class Lost:
    """A transport is gone.

    Args:
        at: when.
        channel: the machine's number.
        wire: of the transport; None: all that the machine has.
    """

    at: float
    channel: int
    wire: int | None = None


@attrs.frozen(kw_only=True)
class Cut:
    """A machine went on, and was not recorded any more.

    Args:
        at: when.
        channel: the machine's number.
        reason: for people.
    """

    at: float
    channel: int
    reason: str


Entry = Record | Opened | Told | Act | Setting | Idle | Lost | Cut


@attrs.frozen
class Recording:
    """A recording as a whole.

    Args:
        head: what it is of.
        entries: in the order in which things happened.
    """

    head: Head
    entries: tuple[Entry, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """What went over the wires."""
        return tuple(entry for entry in self.entries if isinstance(entry, Record))

    def of(self, channels: Iterable[int]) -> Recording:
        """What is in it of some of its machines.

        Args:
            channels: their numbers.
        """
        chosen = frozenset(channels)
        return attrs.evolve(self, entries=tuple(each for each in self.entries if each.channel in chosen))

"""What every picture of a recording is made of: rows in order, and the lanes of states beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, Literal

import attrs

from flowstorm_channel.trace.drawing.texts import seconds, size
from flowstorm_channel.trace.entries import End, Head

__all__ = [
    "PAUSE",
    "SILENT",
    "Band",
    "Block",
    "Kind",
    "Note",
    "Picture",
    "Region",
    "Row",
    "Span",
    "height_of",
]

Kind = Literal["message", "audio", "told", "act", "opened", "setting", "state", "lost", "cut"]
"""What a row is: ``state`` is a change that nothing else in the recording goes with, made by time alone."""
Region = Literal["state", "audio"]
"""Of a lane: where the conversation is, or the stream of input audio."""

SILENT = -96.0
"""The lowest level, in dB: what 16 bits cannot tell from silence."""
PAUSE = 1.0
"""Seconds: so long a time in which nothing happens is drawn."""
_QUIETEST = -60.0
"""The level, in dB, at which a curve is at its bottom."""


def height_of(level: float) -> float:
    """How high the curve of a level is, from 0 to 1."""
    return (max(level, _QUIETEST) - _QUIETEST) / -_QUIETEST


@attrs.frozen
class Note:
    """Something to be said about an entry.

    Args:
        id: of the requirement that is not met; empty for what the recording says of itself.
        level: ``MUST``, ``SHOULD`` …; else ``fault``, ``raised``, ``lost``, ``cut`` or ``unreadable``.
        text: what is wrong there.
    """

    id: str
    level: str
    text: str

    def __str__(self) -> str:
        return " ".join(each for each in (self.id, f"{self.level}:", self.text) if each)


@attrs.frozen(kw_only=True)
class Block:
    """A piece of audio.

    Args:
        entry: its index in the recording.
        at: when, in seconds since the recording began.
        data: as it was sent.
        level: root mean square in dB of full scale; None: the encoding is not known.
    """

    entry: int
    at: float
    data: bytes
    level: float | None


@attrs.frozen(kw_only=True)
class Band:
    """Audio that goes on.

    Args:
        blocks: of it, in order.
        encoding: ``LINEAR16``, ``MULAW``, ``WAV``; empty when it is not known.
        rate: samples in a second; None when it is not known.
    """

    blocks: tuple[Block, ...]
    encoding: str = ""
    rate: int | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(each.data) for each in self.blocks)

    @property
    def length(self) -> float | None:
        """How long it sounds, in seconds; None when that cannot be told from the bytes."""
        width = {"LINEAR16": 2, "MULAW": 1}.get(self.encoding)
        return None if width is None or not self.rate else self.size / width / self.rate

    @property
    def until(self) -> float:
        """When the last block came."""
        return self.blocks[-1].at

    @property
    def levels(self) -> tuple[float, ...]:
        """Of the blocks whose level is known."""
        return tuple(each.level for each in self.blocks if each.level is not None)

    @property
    def text(self) -> str:
        """How much, how long, how loud it is."""
        said = [f"×{len(self.blocks)}", size(self.size)]
        if self.length is not None:
            said.append(seconds(self.length))
        if self.levels:
            loudest = max(self.levels)
            said.append("silence" if loudest <= SILENT else f"{loudest:.0f} dB")
        return ", ".join(said)

    def curve(self, points: int) -> tuple[float, ...]:
        """The levels as so many points at most, each the loudest of those that it stands for."""
        levels = self.levels
        if len(levels) <= points:
            return levels
        ends = [len(levels) * each // points for each in range(points + 1)]
        return tuple(max(levels[start:end]) for start, end in pairwise(ends))


@attrs.frozen(kw_only=True)
class Row:
    """A line of a picture.

    Args:
        entry: index of the entry in the recording; of the first when there are several.
        more: indexes of the others that it stands for.
        at: when, in seconds since the recording began.
        since: seconds since what is drawn before.
        kind: what it is.
        channel: number of the machine.
        wire: number of the transport.
        by: the end that sent it.
        name: type of the event, kind of the message, name of what the host did.
        text: what is in it, in few words.
        fields: what is in it, as plain values.
        raw: what went over the wire.
        state: where the conversation is then; None: not recorded.
        audio: where the stream of input audio is then; None: not recorded.
        band: the audio.
        notes: what is to be said about it.
    """

    entry: int
    more: tuple[int, ...] = ()
    at: float
    since: float = 0.0
    kind: Kind
    channel: int
    wire: int | None = None
    by: End | None = None
    name: str
    text: str = ""
    fields: Any = None
    raw: str | bytes | None = None
    state: str | None = None
    audio: str | None = None
    band: Band | None = None
    notes: tuple[Note, ...] = ()

    @property
    def until(self) -> float:
        """When the last of it happened."""
        return self.at if self.band is None else self.band.until

    @property
    def label(self) -> str:
        """Its name, and what is in it in few words."""
        return f"{self.name} {self.text if self.band is None else self.band.text}".rstrip()

    @property
    def words(self) -> str:
        """What happened, in words; of a message it is what was said."""
        match self.kind:
            case "told":
                return f"told {self.label}"
            case "act":
                return self.label if self.text or self.band else f"{self.name}()"
            case "setting":
                return f"sets {self.label}"
            case "opened":
                return f"{self.name} is recorded from here"
            case "state":
                return f"time passes: {self.name}"
            case "lost" | "cut":
                return f"{self.name}: {self.text}"
        return self.label

    def has(self, text: str) -> bool:
        """Whether a text stands anywhere in it, in capitals or not."""
        raw = self.raw if isinstance(self.raw, str) else (self.raw or b"").decode(errors="replace")
        where = "\n".join((self.words, self.state or "", raw, repr(self.fields), *map(str, self.notes)))
        return text.casefold() in where.casefold()


@attrs.frozen(kw_only=True)
class Span:
    """A stretch of a lane: a machine is in one state.

    Args:
        channel: number of the machine.
        region: of what the state is.
        name: of the state.
        first: index of the first row that stands beside it.
        last: index of the last.
        slot: which of the lanes beside each other it stands in, from 0.
    """

    channel: int
    region: Region
    name: str
    first: int
    last: int
    slot: int


@attrs.frozen(kw_only=True)
class Picture:
    """A recording, ready to be drawn.

    Args:
        head: what it is of.
        rows: in order.
        kinds: the classes of its machines, by their numbers; of those that are known.
    """

    head: Head
    rows: tuple[Row, ...]
    kinds: dict[int, str] = attrs.field(factory=dict)

    @property
    def title(self) -> str:
        """What it is of: the classes of its machines, or the channel when nothing else is known."""
        return ", ".join(sorted(set(self.kinds.values()))) or self.head.channel

    @property
    def channels(self) -> tuple[int, ...]:
        """The numbers of the machines in it."""
        return tuple(sorted({row.channel for row in self.rows}))

    @property
    def wires(self) -> tuple[int, ...]:
        """The numbers of the transports in it."""
        return tuple(sorted({row.wire for row in self.rows if row.wire is not None}))

    @property
    def duration(self) -> float:
        """Seconds from its first row to the end of what is in it."""
        return max((row.until for row in self.rows), default=0.0) - (self.rows[0].at if self.rows else 0.0)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The lanes. Machines that live one after the other share a slot."""
        slots = _slots(self.rows)
        rows: dict[int, list[tuple[int, Row]]] = {each: [] for each in self.channels}
        for index, row in enumerate(self.rows):
            rows[row.channel].append((index, row))
        return tuple(
            span
            for channel, own in rows.items()
            for region in _REGIONS
            for span in _spans_of(own, region, slots[channel])
        )

    def chosen(
        self,
        *,
        channels: Iterable[int] = (),
        find: str = "",
        since: float | None = None,
        until: float | None = None,
    ) -> Picture:
        """Some of its rows; what they say stays as it is.

        Args:
            channels: of these machines; of all of them without.
            find: in which this text stands.
            since: that are not over before that second.
            until: that do not begin after that second.
        """
        wanted = frozenset(channels)
        rows = tuple(
            row
            for row in self.rows
            if (not wanted or row.channel in wanted)
            and (since is None or row.until >= since)
            and (until is None or row.at <= until)
            and (not find or row.has(find))
        )
        return attrs.evolve(self, rows=rows)


_REGIONS: tuple[Region, ...] = ("state", "audio")


def _slots(rows: tuple[Row, ...]) -> dict[int, int]:
    """A slot for each machine, so that no two that live at the same time have the same."""
    last = {row.channel: index for index, row in enumerate(rows)}
    slots: dict[int, int] = {}
    busy: list[tuple[int, int]] = []
    """Up to which row, and the slot."""
    free: list[int] = []
    for index, row in enumerate(rows):
        if row.channel not in slots:
            while busy and busy[0][0] < index:
                heappush(free, heappop(busy)[1])
            slots[row.channel] = heappop(free) if free else len(busy)
            heappush(busy, (last[row.channel], slots[row.channel]))
    return slots


def _spans_of(rows: Sequence[tuple[int, Row]], region: Region, slot: int) -> Iterator[Span]:
    """The stretches of a machine.

    Args:
        rows: all that are its own, with their indexes.
        region: of what.
        slot: its own.
    """

    def span(first: int, last: int, name: str) -> Span:
        channel = rows[0][1].channel
        return Span(channel=channel, region=region, name=name, first=first, last=last, slot=slot)

    first, last, name = 0, 0, None
    for index, row in rows:
        now: str | None = getattr(row, region)
        if now != name:
            if name is not None:
                yield span(first, index - 1, name)
            first, name = index, now
        last = index
    if name is not None:
        yield span(first, last, name)

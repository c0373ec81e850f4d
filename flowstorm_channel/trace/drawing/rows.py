"""From a recording to the rows of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from flowstorm_channel.states import State
from flowstorm_channel.trace.drawing.levels import Sound, level_of
from flowstorm_channel.trace.drawing.model import Band, Block, Kind, Note, Picture, Row
from flowstorm_channel.trace.drawing.names import of_arguments, of_event
from flowstorm_channel.trace.drawing.texts import clean
from flowstorm_channel.trace.drawing.wires import Wire
from flowstorm_channel.trace.entries import Act, Cut, Idle, Lost, Opened, Record, Recording, Setting, Told
from flowstorm_channel.wire import RequestHead

__all__ = ["picture_of"]

Notes = Mapping[int, Sequence[Note]]
_AT_ONCE = 0.05
"""Seconds: a change that is noticed by then was made by what happened before."""


def picture_of(recording: Recording, notes: Notes | None = None) -> Picture:
    """Make a recording ready to be drawn.

    Args:
        recording: whole, or cut off.
        notes: what is to be said about its entries, by their indexes.
    """
    drawing = _Drawing(recording, notes or {})
    for index, entry in enumerate(recording.entries):
        drawing.take(index, entry)
    return Picture(head=recording.head, rows=tuple(drawing.finished()), kinds=drawing.kinds)


@attrs.define
class _Open:
    """A band that goes on."""

    row: Row
    blocks: list[Block]
    sound: Sound
    notes: list[Note] = attrs.field(factory=list)

    def add(self, block: Block, notes: Iterable[Note]) -> None:
        """Another block."""
        self.blocks.append(block)
        self.notes += notes

    def closed(self) -> Row:
        """The row, with all that belongs to it."""
        band = Band(blocks=tuple(self.blocks), encoding=self.sound.encoding, rate=self.sound.rate)
        more = tuple(each.entry for each in self.blocks[1:])
        return attrs.evolve(self.row, band=band, more=more, notes=tuple(self.notes))


class _Drawing:
    """Takes the entries, one after the other."""

    def __init__(self, recording: Recording, notes: Notes) -> None:
        self._seen_by = recording.head.seen_by
        self._notes = notes
        self._start = self._last = recording.entries[0].at if recording.entries else 0.0
        self._rows: list[Row | _Open] = []
        self._wires: dict[int, Wire] = {}
        self._bands: dict[int, dict[tuple[object, ...], _Open]] = {}
        """Those that go on, by machine, then by where they go."""
        self._states: dict[int, tuple[str | None, str | None]] = {}
        self.kinds: dict[int, str] = {}

    def take(self, index: int, entry: Any) -> None:
        """Draw the next entry."""
        match entry:
            case Record():
                self._take_record(index, entry)
            case Told():
                self._take_told(index, entry)
            case Act():
                self._take_act(index, entry)
            case Idle():
                self._take_idle(index, entry)
            case _:
                self._take_other(index, entry)

    def finished(self) -> list[Row]:
        """The rows."""
        return [each.closed() if isinstance(each, _Open) else each for each in self._rows]

    # -------------------------------------------------------- entries

    def _take_record(self, index: int, record: Record) -> None:
        if isinstance(record.message, RequestHead) or record.wire not in self._wires:
            self._wires[record.wire] = Wire()
        reading = self._wires[record.wire].read(record)
        said: dict[str, Any] = {"wire": record.wire, "by": record.by, "name": reading.name}
        if reading.sound is not None:
            self._add_block(index, record, "audio", reading.sound, said)
            return
        problem = (Note("", "unreadable", reading.problem),) if reading.problem else ()
        said.update(text=reading.text, fields=reading.fields, raw=reading.raw)
        self._add(index, record, "message", said, problem)

    def _take_told(self, index: int, told: Told) -> None:
        self._note_state(told)
        data = told.event.get("data")
        if told.event.get("type") == "Binary" and isinstance(data, bytes) and data:
            self._add_block(index, told, "told", Sound(data), {"name": "Binary"})
            return
        words = of_event(told.event)
        fault = (Note("", "fault", clean(words.text)),) if words.name == "Fault" else ()
        said = {"name": clean(words.name), "text": clean(words.text), "fields": told.event}
        self._add(index, told, "told", said, fault)

    def _take_act(self, index: int, act: Act) -> None:
        self._note_state(act)
        data = act.arguments.get("block")
        if act.name == "send_audio" and isinstance(data, bytes) and act.raised is None:
            self._add_block(index, act, "act", Sound(data), {"name": act.name})
            return
        words = of_arguments(act.name, act.arguments)
        raised = () if act.raised is None else (Note("", "raised", clean(act.raised)),)
        said = {"name": clean(words.name), "text": clean(words.text), "fields": act.arguments}
        self._add(index, act, "act", said, raised)

    def _take_idle(self, index: int, idle: Idle) -> None:
        before = self._states.get(idle.channel)
        state, audio = self._note_state(idle)
        if (state, audio) == before:
            return
        last = self._rows[-1] if self._rows else None
        if isinstance(last, Row) and last.channel == idle.channel and self._at(idle) - last.at <= _AT_ONCE:
            self._rows[-1] = attrs.evolve(last, state=state, audio=audio)
            return
        name = state if before is None or before[0] != state else f"audio {audio}"
        self._add(index, idle, "state", {"name": name})

    def _note_state(self, entry: Told | Act | Idle) -> tuple[str, str]:
        """Where a machine is from now on."""
        now = self._states[entry.channel] = clean(entry.state), clean(entry.audio)
        return now

    def _take_other(self, index: int, entry: Opened | Setting | Lost | Cut) -> None:
        match entry:
            case Opened():
                self.kinds[entry.channel] = clean(entry.kind)
                self._states[entry.channel] = None, None
                self._add(index, entry, "opened", {"name": clean(entry.kind), "fields": entry.settings})
            case Setting():
                said = {"name": clean(entry.name), "fields": entry.value}
                self._add(index, entry, "setting", said)
            case Lost():
                text = "all transports" if entry.wire is None else "the transport"
                state, _ = self._states.get(entry.channel, (None, None))
                goes_on = state not in (None, State.CLOSED.value)
                notes = (Note("", "lost", f"{text}, while the conversation went on"),) if goes_on else ()
                self._add(index, entry, "lost", {"name": "gone", "text": text, "wire": entry.wire}, notes)
            case _:
                note = Note("", "cut", clean(entry.reason))
                self._add(index, entry, "cut", {"name": "cut", "text": clean(entry.reason)}, (note,))

    # -------------------------------------------------------- rows

    def _row(
        self, index: int, entry: Any, kind: Kind, members: Mapping[str, Any], own: Sequence[Note]
    ) -> Row:
        state, audio = self._states.get(entry.channel, (None, None))
        since, self._last = entry.at - self._last, entry.at
        return Row(
            entry=index,
            at=self._at(entry),
            since=since,
            kind=kind,
            channel=entry.channel,
            state=state,
            audio=audio,
            notes=(*own, *self._notes.get(index, ())),
            **members,
        )

    def _add(
        self, index: int, entry: Any, kind: Kind, members: Mapping[str, Any], own: Sequence[Note] = ()
    ) -> None:
        self._bands[entry.channel] = {}
        self._rows.append(self._row(index, entry, kind, members, own))

    def _add_block(
        self, index: int, entry: Any, kind: Kind, sound: Sound, members: Mapping[str, Any]
    ) -> None:
        block = Block(entry=index, at=self._at(entry), data=sound.data, level=level_of(sound))
        row = self._row(index, entry, kind, members, ())
        bands = self._bands.setdefault(entry.channel, {})
        key = (kind, row.wire, row.by, row.state, row.audio, sound.encoding, sound.rate)
        if key not in bands:
            bands[key] = _Open(row, [], sound)
            self._rows.append(bands[key])
        bands[key].add(block, row.notes)

    def _at(self, entry: Any) -> float:
        """When, in seconds since the recording began."""
        at: float = entry.at - self._start
        return at

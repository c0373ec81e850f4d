"""A machine with the host that drives it, and what must hold of any machine whatever a peer and a host do."""

from __future__ import annotations

import math
from collections.abc import Callable

from flowstorm_channel.channel import Channel, Control
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import ClosedEvent, Event, FaultEvent, LocalEvent
from flowstorm_channel.http import head_size
from flowstorm_channel.limits import Limits
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.wire import Message, RequestHead, ResponseHead
from tests.fuzz.feedback import notice
from tests.fuzz.program import Failure, Program

__all__ = ["JSON", "MSGPACK", "Driven", "size_of"]

JSON, MSGPACK = JsonCodec(), MsgpackCodec()
_AMPLIFIED = 40
"""Bytes that may come of a byte that was fed: the shortest event makes an Error that lists what is legal."""
_FOR_A_MESSAGE = 4000
"""The same for a message, whatever it is."""


def size_of(message: Message) -> int:
    """How much a peer has fed with a message, in bytes."""
    if isinstance(message, str):
        return len(message.encode("utf-8", "surrogatepass"))
    if isinstance(message, bytes):
        return len(message)
    return head_size(message)[0] if isinstance(message, (RequestHead, ResponseHead)) else 0


class Driven:
    """A machine, and a host that comes when there is something to do: data, a wake, a deadline.

    Args:
        make: makes the machine, given its clock, its `wake` and its limits.
        clock: of everything in the run.
        limits: of the machine.
        program: says what the host does.
    """

    channel: Channel

    def __init__(self, clock: ManualClock, limits: Limits, program: Program) -> None:
        self.clock = clock
        self.limits = limits
        self.program = program
        self.woken = False
        self.lazy = False
        """The host does not take what there is to send at once."""
        self.codec: JsonCodec | MsgpackCodec | None = JSON
        """That what is told must be sayable in; None: its events are not those of the wire."""
        self.fed = self.given = self.said = self.told = 0
        self.left = 0
        self.closed = False
        self.armed: float | None = None
        self._visiting = False

    def wake(self) -> None:
        """The machine wants the host to come."""
        self.woken = True

    # -------------------------------------------------------- what the transport brings

    def feed(self, message: Message) -> None:
        """Bring a message that is legal for the transport: it raises nothing."""
        self.fed += size_of(message)
        self.given += 1
        self.channel.receive_data(message)
        self.woken = True

    def lose(self) -> None:
        """The transport is gone."""
        self.channel.receive_eof()
        self.woken = True

    # -------------------------------------------------------- the host

    def word(self, act: Callable[[], object], size: int = 64) -> bool:
        """Say a word of the host's; whether it was legal. What is illegal changes nothing.

        Args:
            act: the word.
            size: what it may put out, in bytes.
        """
        before = self._look()
        try:
            act()
        except LocalProtocolError as error:
            str(error).encode()
            if self._look() != before:
                raise Failure(f"{type(error).__name__} {error}, and yet: {before} {self._look()}") from error
            return False
        self.said += size + 500
        self._check_wake()
        return True

    def _look(self) -> tuple[object, ...]:
        channel = self.channel
        due = tuple(channel._due.items())
        return (channel.state, channel.audio, channel._outbox_bytes, len(channel._told), due, channel.closed)

    def _check_wake(self) -> None:
        """Who is not woken does not come."""
        if not (self._visiting or self.woken):
            channel = self.channel
            if channel._told:
                raise Failure(f"{channel} has something to tell, and wakes nobody")
            if self._waits_to_be_sent():
                raise Failure(f"{channel} has something to send, and wakes nobody")
            if self.due_sooner():
                raise Failure(f"{channel} is due sooner, and wakes nobody")

    def due_sooner(self) -> bool:
        """Whether the host would come too late. When it comes too early, nothing is lost."""
        due = self.channel.next_deadline()
        return due is not None and (self.armed is None or due < self.armed)

    def _waits_to_be_sent(self) -> bool:
        return len(self.channel._outbox) > self.left

    # -------------------------------------------------------- the loop of the host

    @property
    def due(self) -> bool:
        """Whether the host has a reason to come."""
        return self.woken or (self.armed is not None and self.armed <= self.clock.now)

    def visit(self, *, flush: bool = True) -> None:
        """Take what there is to tell and to send: it comes to rest, and all is well."""
        channel = self.channel
        self.woken = False
        self._visiting = True
        for _ in range(60 + 12 * (self.given + self.told) + self.fed):
            event = channel.next_event()
            if isinstance(event, Control):
                break
            self._take(event)
        else:
            raise Failure(f"{channel} does not come to rest")
        if channel.next_event() is not event:
            raise Failure(f"{channel} has more to tell")
        if flush:
            for message in channel.data_to_send():
                self.sent(message)
        self._visiting = False
        self.left = len(channel._outbox)
        self.armed = channel.next_deadline()
        self.check()

    def _take(self, event: Event) -> None:
        if self.closed:
            raise Failure(f"{event!r} after the end")
        self.told += 1
        channel = self.channel
        notice(type(channel), channel.state, channel.audio, type(event))
        repr(event)
        if isinstance(event, ClosedEvent):
            self.closed = True
            if not channel.closed:
                raise Failure("closed is not told last")
        elif isinstance(event, FaultEvent):
            str(event.error).encode()
        elif self.codec is not None and not isinstance(event, LocalEvent):
            message = self.codec.encode(event)
            again = self.codec.decode(message)  # type: ignore[arg-type]
            if again != event:
                raise Failure(f"{event!r} comes back as {again!r}")
        self.take(event)

    def take(self, event: Event) -> None:
        """What the host does with an event."""

    def sent(self, message: Message) -> None:
        """What the transport does with a message."""

    # -------------------------------------------------------- what always holds

    def check(self) -> None:
        """Raise `Failure` unless the machine is well."""
        channel = self.channel
        state, audio = channel.state, channel.audio
        if not (state in channel._rules.table and audio in Audio):
            raise Failure(f"{state} {audio} is in no table")
        due = channel.next_deadline()
        if set(channel._due) > set(channel._rules.deadlines):
            raise Failure(f"{channel._due} are not of the tables")
        if not (due is None or (math.isfinite(due) and due > self.clock.now)):
            raise Failure(f"due at {due}, and not done")
        timeout = channel.timeout()
        if not (timeout is None or timeout > 0):
            raise Failure(f"{timeout} seconds")
        if channel.closed != self.closed:
            raise Failure("closed, and not told")
        if self.closed:
            if due is not None:
                raise Failure("a deadline after the end")
            if not (state is State.CLOSED and audio is Audio.CLOSED):
                raise Failure(f"the end in {state} {audio}")
        self._check_memory()
        notice(type(channel), state, audio)

    def _check_memory(self) -> None:
        channel, limits = self.channel, self.limits
        largest = max(limits.message_bytes, limits.audio_bytes, limits.body_bytes + 1) + 64
        if channel._inbox_bytes > limits.queued_bytes + 2 * largest:
            raise Failure(f"{channel._inbox_bytes} in the inbox")
        if channel._inbox_bytes != sum(cost for _, cost in channel._inbox):
            raise Failure("the inbox is miscounted")
        if len(channel._decoded) > 2:
            raise Failure(f"{len(channel._decoded)} events wait")
        if channel._told:
            raise Failure("something is left to tell")
        out = sum(entry.cost for entry in channel._outbox)
        if channel._outbox_bytes != out:
            raise Failure(f"{channel._outbox_bytes} in the outbox, which are {out}")
        most = self.said + _AMPLIFIED * self.fed + _FOR_A_MESSAGE * (1 + self.given + self.told)
        if out > most:
            raise Failure(f"{out} bytes in the outbox, of {self.fed} fed and {self.said} said")

    # -------------------------------------------------------- the end

    def end(self, *, lost: bool) -> None:
        """End it in one of the ways, whatever state it is in: `ClosedEvent` is told, once and last."""
        self.visit()
        if lost:
            self.lose()
        else:
            self.close()
        self.visit()

    def close(self) -> None:
        """What the host says for the end."""

    def let_time_pass(self, seconds: float | None) -> None:
        """Let time pass: so many seconds, or until the next deadline."""
        if seconds is None:
            seconds = 0.0 if self.armed is None else max(0.0, self.armed - self.clock.now)
        self.clock.advance(seconds)

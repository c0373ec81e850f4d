"""Recording machines while they work: all that goes through their doors, in order, each with its time.

While a door is open time stands still for the machine, and what it asks the world for is noted with the
answer. So what it does depends on nothing but what stands in the recording, and can be done again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

from flowstorm_channel.channel import Channel
from flowstorm_channel.states import State
from flowstorm_channel.trace.entries import Cut, Head
from flowstorm_channel.trace.redaction import Redactor
from flowstorm_channel.trace.settings import kind_of
from flowstorm_channel.trace.tape import Tape
from flowstorm_channel.trace.watch import Watch

__all__ = ["Recorder", "Watcher"]

C = TypeVar("C", bound=Channel)


class Watcher(Protocol):
    """What hosts give their machines to: a `Recorder`, or something that chooses one."""

    def watch(self, channel: C) -> C:
        """Record a machine that was just made. Returns it."""
        ...


class Recorder:
    """Records machines: all that a host has to do is to `watch` each one that it makes.

    A recorder never harms a conversation: when it cannot write it stops, and `failure` says why.

    Args:
        write: takes the pieces of a msgpack file, whole entries; each is to be kept at once.
        texts: what people and dialogues say is kept; without, letters and digits are crossed out.
        audio: audio is kept; without, it is silence of the same length.
        tokens: keys, tokens and signatures are kept; without, they are replaced.
        lock: held while a machine is worked with: an `RLock`, for hosts that use machines in several threads.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        texts: bool = True,
        audio: bool = True,
        tokens: bool = False,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._redactor = Redactor(texts=not texts, audio=not audio, tokens=not tokens)
        self._tape = Tape(write, self._redactor, lock)
        self._clock: Callable[[], float] | None = None

    @property
    def failure(self) -> Exception | None:
        """Why nothing is recorded any more; None: nothing went wrong."""
        return self._tape.failure

    @property
    def size(self) -> int:
        """How many bytes have been written."""
        return self._tape.size

    @property
    def open(self) -> int:
        """How many of the machines are not closed yet."""
        return len(self._tape.open)

    def watch(self, channel: C) -> C:
        """Record a machine from here on.

        Args:
            channel: that was just made.

        Returns:
            The same.

        Raises:
            TypeError: it is no channel of this library.
            ValueError: it has been used already.
        """
        kind = kind_of(channel)
        if channel.state is not State.CLOSED or channel.closed or channel._inbox or channel._outbox:
            raise ValueError("a recording begins with a machine that was just made")
        with self._tape.lock:
            if self._tape.running:
                self._tape.begin(Head(channel="mixed", seen_by=kind.end, redacted=self._redactor.redacted))
                with self._tape.harmless():
                    self._clock = Watch(self._tape, channel, kind).clock
        return channel

    def stop(self, reason: str = "the recording was ended") -> None:
        """Record nothing any more. Machines that are not closed go on without.

        Args:
            reason: for those who read the recording.
        """
        with self._tape.lock:
            for number in sorted(self._tape.open):
                self._tape.put(partial(self._cut, number, reason))
            self._tape.running = False

    def _cut(self, number: int, reason: str) -> Cut:
        return Cut(at=0.0 if self._clock is None else self._clock(), channel=number, reason=reason)

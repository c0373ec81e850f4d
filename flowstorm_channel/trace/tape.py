"""What the machines of one recording share: where it is written, numbers, and the time that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from flowstorm_channel.sessions import Sessions
from flowstorm_channel.trace.entries import Entry, Given, Head
from flowstorm_channel.trace.packed import pack_entry, pack_head
from flowstorm_channel.trace.redaction import Redactor

__all__ = ["Tape"]


class Tape:
    """Takes the entries of a recording.

    Args:
        write: takes the pieces of the file.
        redactor: takes out of entries what is not to be kept.
        lock: held while a machine is worked with.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        redactor: Redactor,
        lock: AbstractContextManager[Any] | None,
    ) -> None:
        self.lock: AbstractContextManager[Any] = nullcontext() if lock is None else lock
        self.failure: Exception | None = None
        self.size = 0
        self.running = True
        self.wires = 0
        """How many transports there have been."""
        self.channels = 0
        """How many machines there have been."""
        self.open: set[int] = set()
        """Those that are not closed yet."""
        self.inside: object = None
        """Whose door is open."""
        self._write = write
        self._redactor = redactor
        self._sessions: WeakKeyDictionary[Sessions, int] = WeakKeyDictionary()
        self._shared = 0
        """How many `Sessions` there have been."""
        self.now: float | None = None
        """The time that stands still while a door is open."""
        self._given: list[tuple[str, Any]] = []

    # -------------------------------------------------------- entries

    def begin(self, head: Head) -> None:
        """Write how the file begins, unless it has begun."""
        if self.size == 0:
            self._keep(lambda: pack_head(head))

    def put(self, make: Callable[[], Entry]) -> None:
        """Write an entry.

        Args:
            make: it; what goes wrong there harms nobody either.
        """
        self._keep(lambda: b"".join(pack_entry(each) for each in self._redactor.entries(make())))

    def _keep(self, pack: Callable[[], bytes]) -> None:
        if self.running:
            with self.harmless():
                data = pack()
                self._write(data)
                self.size += len(data)

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Whatever goes wrong here ends the recording, and not the conversation: a full disk, an entry that
        cannot be written, an object of the host that cannot be looked at."""
        try:
            yield
        except Exception as error:
            self.failure, self.running = error, False

    # -------------------------------------------------------- doors

    @property
    def watching(self) -> bool:
        """Whether what is done now is to be noted: it is not, while it is done by a machine itself."""
        return self.running and self.now is None

    def enter(self, whose: object, now: float) -> None:
        """A door opens: time stands still until it is closed."""
        self.inside, self.now, self._given = whose, now, []

    def leave(self) -> Given:
        """It is closed; what the machine has asked for meanwhile."""
        self.inside = self.now = None
        return tuple(self._given)

    def note(self, name: str, answer: Any) -> None:
        """A machine asks for something, and is answered."""
        if self.now is not None:
            self._given.append((name, answer))

    def still(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The clock, standing still while a door is open."""
        if not isinstance(clock, _StillClock):
            return _StillClock(clock, [self])
        clock.tapes = [each for each in clock.tapes if each.running and each.open and each is not self]
        clock.tapes.append(self)
        return clock

    # -------------------------------------------------------- numbers

    def number_of(self, sessions: Sessions) -> tuple[int, bool]:
        """The number of what machines share, and whether it is new here."""
        new = sessions not in self._sessions
        if new:
            self._sessions[sessions] = self._shared
            self._shared += 1
        return self._sessions[sessions], new

    def next_wire(self) -> int:
        """The number of a new transport."""
        self.wires += 1
        return self.wires - 1

    def next_channel(self) -> int:
        """The number of a new machine."""
        self.open.add(self.channels)
        self.channels += 1
        return self.channels - 1


class _StillClock:
    """A clock that stands still while a door is open in any of some recordings.

    Machines of several recordings may share what has a clock: each time one is begun the clock is made still
    for it too, and not wrapped once more.
    """

    def __init__(self, real: Callable[[], float], tapes: list[Tape]) -> None:
        self.tapes = tapes
        self._real = real

    def __call__(self) -> float:
        for tape in self.tapes:
            if tape.now is not None:
                return tape.now
        return self._real()

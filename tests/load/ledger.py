"""The books: what clients said and heard, what the server did, and whether the two agree. No sockets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs

__all__ = ["Answer", "Book", "Conversation", "Entry", "Verdict", "audit", "read_entries"]

NOTHING = "-"
"""Stands in an answer where the session has had no turn before."""


@attrs.frozen
class Answer:
    """What the dialogue says: what it was told, by whom, and what the session knew before.

    Args:
        number: of the turn.
        device: who has asked, as the server sees it.
        previous: the last turn that the session remembers.
        owner: the device that the session remembers from its first turn.
        session_id: of the session.
    """

    number: int
    device: str
    previous: int | None
    owner: str
    session_id: str

    def __str__(self) -> str:
        previous = NOTHING if self.previous is None else self.previous
        return f"{self.number} {self.device} {previous} {self.owner} {self.session_id}"

    @classmethod
    def read(cls, text: str) -> Answer:
        """Raises ValueError: it is none."""
        number, device, previous, owner, session_id = text.split()[:5]
        return cls(int(number), device, None if previous == NOTHING else int(previous), owner, session_id)


@attrs.frozen
class Entry:
    """A line of the server's ledger: a turn that the dialogue has been given."""

    number: int
    device: str

    def __str__(self) -> str:
        return f"{self.number} {self.device}\n"


def read_entries(path: Path) -> list[Entry]:
    """The whole lines of the ledger."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [Entry(int(number), device) for number, device in (line.split() for line in lines)]


@attrs.define
class Verdict:
    """What went wrong, in words."""

    lost: list[str] = attrs.field(factory=list)
    doubled: list[str] = attrs.field(factory=list)
    joined: list[str] = attrs.field(factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing did."""
        return not (self.lost or self.doubled or self.joined)


@attrs.define
class Book:
    """What all clients said and heard.

    Args:
        patience: seconds after which a turn is lost on a connection that stands.
    """

    patience: float = 60.0
    speakers: list[str] = attrs.field(factory=list)
    """Who said the turn of each number."""
    acknowledged: set[int] = attrs.field(factory=set)
    refused: int = 0
    """Turns that were answered with an Error or a status of 400 and above."""
    timed_out: int = 0
    """Turns instead of which a documented time-out was told."""
    broken: int = 0
    """Turns whose connection ended before the Response had come."""
    verdict: Verdict = attrs.field(factory=Verdict)
    """What clients noticed."""

    def enter(self, device: str) -> int:
        """The number of a new turn."""
        self.speakers.append(device)
        return len(self.speakers) - 1


class Conversation:
    """One client's view: what it said last, and what its session has to remember.

    A number is said once and never again. So what a session may remember is the last turn that was
    acknowledged, or one said after it whose fate the client does not know.
    """

    def __init__(self, book: Book, device: str) -> None:
        self.device = device
        self._book = book
        self._open: int | None = None
        self._possible: set[int | None] = {None}

    def say(self) -> int:
        """Begin a turn."""
        self._open = self._book.enter(self.device)
        return self._open

    def begin(self) -> None:
        """The session is a new one, and remembers nothing."""
        self._possible = {None}

    def hear(self, text: str, session_id: str | None) -> None:
        """The whole Response has come.

        Args:
            text: of the answer.
            session_id: that the client holds.
        """
        verdict, number = self._book.verdict, self._open
        self._open = None
        try:
            answer = Answer.read(text)
        except ValueError:
            verdict.lost.append(f"{number} of {self.device} was answered with {text[:80]!r}")
            return
        if answer.number != number:
            kind = verdict.doubled if answer.number in self._book.acknowledged else verdict.joined
            kind.append(f"{number} of {self.device} was answered with {answer}")
        elif {answer.device, answer.owner} != {self.device} or session_id not in (None, answer.session_id):
            verdict.joined.append(f"{self.device} in {session_id} heard {answer}")
        elif answer.previous not in self._possible:
            foreign = answer.previous is not None and self._book.speakers[answer.previous] != self.device
            kind = verdict.joined if foreign else verdict.lost
            known = sorted(self._possible, key=str)
            kind.append(f"the session of {self.device} should remember one of {known}: {answer}")
        self._book.acknowledged.add(answer.number)
        self._possible = {answer.number}

    def refuse(self) -> None:
        """The turn was refused; what it did before that is not known."""
        self._book.refused += 1
        self._give_up()

    def time_out(self) -> None:
        """The server has told that a time-out is over, in place of an answer."""
        self._book.timed_out += 1
        self._give_up()

    def break_off(self) -> None:
        """The connection is gone; what the turn did is not known."""
        self._book.broken += 1
        self._give_up()

    @property
    def patience(self) -> float:
        """Seconds that it waits for an answer."""
        return self._book.patience

    def miss(self) -> None:
        """The connection stands, and no answer has come."""
        what = "the connection" if self._open is None else self._open
        self._book.verdict.lost.append(f"{what} of {self.device} was not answered in {self.patience:g} s")
        self._give_up()

    def _give_up(self) -> None:
        if self._open is not None:
            self._possible.add(self._open)
            self._open = None


def audit(book: Book, entries: Iterable[Entry]) -> Verdict:
    """Compare the clients' book with the server's ledger.

    Returns:
        What clients noticed, and what only the two together show.
    """
    verdict = attrs.evolve(
        book.verdict,
        lost=list(book.verdict.lost),
        doubled=list(book.verdict.doubled),
        joined=list(book.verdict.joined),
    )
    entries = list(entries)
    times = Counter(entry.number for entry in entries)
    missing = sorted(number for number in book.acknowledged if number not in times)
    verdict.lost += [f"{number} was acknowledged, and is not in the ledger" for number in missing]
    verdict.doubled += [f"{number} was done {count} times" for number, count in times.items() if count > 1]
    for entry in entries:
        said_by = book.speakers[entry.number] if entry.number < len(book.speakers) else "nobody"
        if said_by != entry.device:
            verdict.joined.append(f"{entry.number} of {said_by} was done for {entry.device}")
    return verdict

"""What the HTTP requests of a server share: sessions between turns, and who is under way for them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from flowstorm_channel.sessions import Session, well_formed

__all__ = ["Rendezvous", "Sessions", "Who"]

R = TypeVar("R")
Who = tuple[str, str, str]
"""What a request says of itself: a session id, a key, a device id."""


class Rendezvous(Generic[R]):
    """Where the requests of one session that are under way find each other."""

    __slots__ = ("get", "known_as", "put", "session_id", "waiting")

    def __init__(self) -> None:
        self.put: R | None = None
        """The PUT whose turn it is."""
        self.waiting: R | None = None
        """The PUT that waits for it to end (D-68)."""
        self.get: R | None = None
        """The GET that reads, or waits for something to read."""
        self.known_as: set[Who] = set()
        self.session_id: str | None = None
        """Of the session that its last PUT went on with, whatever id the requests name."""


class Sessions:
    """Made once by a server, and handed to the machine of every request.

    Sessions are remembered here between their turns; with ``stored`` the host keeps them instead, where other
    processes find them, and is asked by `SessionNeed` and `StoreNeed`.

    Args:
        stored: the host keeps the sessions.
        clock: gives the time in seconds, as that of the machines.
        keep_for: seconds for which a session is kept that does not sleep, after its last turn.
        most: sessions that are remembered; the one longest unused makes room.
        most_waiting: GETs that may wait for their PUT; others are refused with 503.
    """

    def __init__(
        self,
        *,
        stored: bool = False,
        clock: Callable[[], float] = time.monotonic,
        keep_for: float = 3600.0,
        most: int = 10_000,
        most_waiting: int = 1_000,
    ) -> None:
        self.stored = stored
        self.keep_for = keep_for
        self.most = most
        self.most_waiting = most_waiting
        self.waiting = 0
        """GETs that wait for their PUT."""
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._under_way: dict[Who, Rendezvous[Any]] = {}
        self._owners: dict[str, tuple[str, str]] = {}  # of the sessions that are under way

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._kept)

    # -------------------------------------------------------- between turns

    def join(self, proposed: str | None, key: str, device_id: str, make_id: Callable[[], str]) -> Session:
        """The session of that id when it is theirs, else a new one; never somebody else's (socket-v2.md).

        Args:
            proposed: the id that the client names; taken when it is well-formed and new.
            key: of the application that asks.
            device_id: of the device that asks.
            make_id: makes an id when the proposed one cannot be taken.
        """
        session_id = proposed
        if session_id is not None and well_formed(session_id):
            kept = self._find(session_id)
            owner = self._owners.get(session_id, (key, device_id))
            if kept is None and owner == (key, device_id):
                return Session(session_id=session_id, key=key, device_id=device_id)
            if kept is not None and kept.belongs_to(key, device_id) and not kept.ended:
                return kept
        return Session(session_id=make_id(), key=key, device_id=device_id)

    def find(self, session_id: str, key: str, device_id: str) -> Session | None:
        """The session of that id when it is theirs and goes on."""
        kept = self._find(session_id)
        return kept if kept is not None and kept.belongs_to(key, device_id) and not kept.ended else None

    def knows(self, session_id: str) -> bool:
        """Whether the id is taken, by whomever."""
        return self._find(session_id) is not None or session_id in self._owners

    def keep(self, session: Session, seconds: float) -> None:
        """Remember a session, or that it has ended.

        Args:
            session: between two turns.
            seconds: how long.
        """
        self._kept[session.session_id] = (session, self._clock() + seconds)
        self._kept.move_to_end(session.session_id)
        now = self._clock()
        while self._kept:
            session_id, (_, until) = next(iter(self._kept.items()))
            if until > now and len(self._kept) <= self.most:
                break
            del self._kept[session_id]

    def _find(self, session_id: str) -> Session | None:
        session, until = self._kept.get(session_id, (None, 0.0))
        if session is not None and until <= self._clock():
            del self._kept[session_id]
            return None
        return session

    # -------------------------------------------------------- under way

    def meet(self, who: Who) -> Rendezvous[Any]:
        """Where the requests that say the same of themselves meet."""
        found = self._under_way.get(who)
        if found is None:
            found = Rendezvous[Any]()
            self.introduce(found, who)
        return found

    def introduce(self, rendezvous: Rendezvous[Any], who: Who) -> None:
        """Make it known under another name, too: its first request did not name the session's id."""
        rendezvous.known_as.add(who)
        self._under_way[who] = rendezvous

    def own(self, session: Session) -> None:
        """Nobody else may have the id while it is under way."""
        self._owners[session.session_id] = (session.key, session.device_id)

    def disown(self, session: Session) -> None:
        """It is not under way any more."""
        self._owners.pop(session.session_id, None)

    def leave(self, rendezvous: Rendezvous[Any]) -> None:
        """Forget it when nobody is there any more."""
        if rendezvous.put is rendezvous.waiting is rendezvous.get is None:
            for who in rendezvous.known_as:
                if self._under_way.get(who) is rendezvous:
                    del self._under_way[who]

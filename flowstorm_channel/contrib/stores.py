"""Where sessions are kept between turns, when two turns of one conversation may meet different processes.

A turn takes its session, and lets go of it by storing it::

    hold = await store.take(session_id, owner, patience=1.0, wanted=turn_is_to_end)
    if hold is None:
        ...  # another turn of this session would not end in time
    else:
        try:
            ...  # go on from hold.snapshot
            await hold.save(snapshot, keep_for=600.0)
        finally:
            await hold.release()

`MemoryStore` serves one process; `contrib.redis` has the one for a farm.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["ForeignHold", "Hold", "MemoryStore", "Notice", "Store", "StoreError", "owner_digest"]

log = logging.getLogger("flowstorm_channel")

_AGAIN = 0.1
"""Seconds until a holder is told again that its session is wanted."""


class StoreError(Exception):
    """The store cannot be reached, or failed."""


class Hold(Protocol):
    """One process's hold on a session, from the beginning of a turn to its end."""

    snapshot: bytes | None
    """Of the session as it was stored last; None: there is none."""

    async def save(self, snapshot: bytes, keep_for: float) -> bool:
        """Store the session and let go of it, in one step. It ends the hold, even where it fails.

        Args:
            snapshot: of the session as it is now.
            keep_for: the seconds after which the store may forget it.

        Returns:
            Whether it was stored. It was not when somebody else has taken the session meanwhile, and when
            the hold had ended before.

        Raises:
            StoreError: nobody knows whether it was stored.
        """
        ...

    async def release(self) -> None:
        """Let go without storing anything. Does nothing once the hold has ended, and never raises."""


class Store(Protocol):
    """Keeps sessions between turns, and sees to it that one turn at a time goes on with each.

    Use one store from one event loop. Sessions are named by 1 to 64 letters, digits, ``_`` and ``-``.
    """

    async def take(
        self, session_id: str, owner: str, *, patience: float, wanted: Callable[[], None]
    ) -> Hold | None:
        """Begin a turn of a session.

        While somebody else holds it, that holder is told that it is wanted, and gets time to let go. Under
        another owner's name there is nothing to hold: what is stored is shown in a hold that cannot save.

        Args:
            session_id: the session; there need not be one of that name yet.
            owner: whose session it is, any text; the store keeps a digest of it.
            patience: the seconds to wait for another holder.
            wanted: called in this event loop when somebody else wants the session, and again while they wait;
                must not block.

        Returns:
            The hold. None when the other holder did not let go in time, when somebody else waits for it
            already, and when another owner holds it and has not stored it yet.

        Raises:
            StoreError: nothing is held.
        """

    async def peek(self, session_id: str) -> bytes | None:
        """What is stored of a session, whoever owns or holds it; None when nothing is.

        Raises:
            StoreError: the store did not answer.
        """

    async def close(self) -> None:
        """Let go of what the store has opened itself. Holds that are out end when their leases do."""


def owner_digest(owner: str) -> str:
    """What is stored of an owner: enough to compare, and not the key that it is made from."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()


class Notice:
    """Calls a function as often as it is rung, and logs what that raises, once."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._failed = False

    def ring(self) -> None:
        """Call it."""
        try:
            self._function()
        except Exception:
            if not self._failed:
                log.exception("a holder failed to hear that its session is wanted")
            self._failed = True


class ForeignHold:
    """Shows a session that is somebody else's, and holds nothing."""

    def __init__(self, snapshot: bytes) -> None:
        self.snapshot: bytes | None = snapshot

    async def save(self, snapshot: bytes, keep_for: float) -> bool:  # noqa: ARG002
        return False

    async def release(self) -> None:
        pass


class _Kept(NamedTuple):
    owner: str
    snapshot: bytes
    until: float


class MemoryStore:
    """Keeps sessions in the memory of one process, for one event loop.

    Args:
        clock: tells the seconds by which sessions expire.
        most: the sessions that are kept; beyond that the one that was stored longest ago is forgotten.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._holds: dict[str, _MemoryHold] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._until_sweep = 0

    async def take(
        self, session_id: str, owner: str, *, patience: float, wanted: Callable[[], None]
    ) -> Hold | None:
        """See `Store.take`."""
        digest = owner_digest(owner)
        kept = self._find(session_id)
        if kept is not None and kept.owner != digest:
            return ForeignHold(kept.snapshot)
        if session_id in self._waiting:
            return None
        holder = self._holds.get(session_id)
        if holder is not None:
            if holder.owner != digest:
                return None
            # It stays for as long as we wait, and keeps everybody else out when the holder lets go.
            free = self._waiting[session_id] = asyncio.get_running_loop().create_future()
            try:
                left = patience
                while not free.done() and left > 0:
                    # More than once: what the holder cannot end now it may have to end before we give up.
                    holder.notice.ring()
                    await asyncio.wait({free}, timeout=min(left, _AGAIN))
                    left -= _AGAIN
            finally:
                del self._waiting[session_id]
            if session_id in self._holds:
                return None
            kept = self._find(session_id)
        hold = _MemoryHold(self, session_id, digest, kept.snapshot if kept else None, wanted)
        self._holds[session_id] = hold
        return hold

    async def peek(self, session_id: str) -> bytes | None:
        """See `Store.peek`."""
        kept = self._find(session_id)
        return kept.snapshot if kept else None

    async def close(self) -> None:
        """There is nothing to let go of; what is stored stays."""

    def _find(self, session_id: str) -> _Kept | None:
        kept = self._kept.get(session_id)
        if kept is not None and kept.until <= self._clock():
            del self._kept[session_id]
            return None
        return kept

    def _put(self, session_id: str, kept: _Kept) -> None:
        self._kept[session_id] = kept
        self._kept.move_to_end(session_id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            # As many sessions are looked at as were stored since the last time: each save pays for one.
            now = self._clock()
            for each in [name for name, kept in self._kept.items() if kept.until <= now]:
                del self._kept[each]
            self._until_sweep = len(self._kept)

    def _let_go(self, hold: _MemoryHold, snapshot: bytes | None = None, keep_for: float = 0.0) -> bool:
        if self._holds.get(hold.session_id) is not hold:
            return False
        del self._holds[hold.session_id]
        if snapshot is not None:
            self._put(hold.session_id, _Kept(hold.owner, snapshot, self._clock() + keep_for))
        waiter = self._waiting.get(hold.session_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return True


class _MemoryHold:
    def __init__(
        self,
        store: MemoryStore,
        session_id: str,
        owner: str,
        snapshot: bytes | None,
        wanted: Callable[[], None],
    ) -> None:
        self.snapshot = snapshot
        self.session_id = session_id
        self.owner = owner
        self.notice = Notice(wanted)
        self._store = store

    async def save(self, snapshot: bytes, keep_for: float) -> bool:
        return self._store._let_go(self, snapshot, keep_for)

    async def release(self) -> None:
        self._store._let_go(self)

"""Keeps sessions in Redis, for a farm of servers in which each turn may meet another process.

Needs the extra: ``pip install flowstorm-channel[redis]``. See `contrib.stores` for what a store does.

A hold is a lease: its process renews it, and one that dies loses the session in less than a second. A random
token tells holders apart, so that one whose lease ran out unnoticed cannot store over what came after it. All
time is Redis's own, in the expiry of its keys.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from flowstorm_channel.contrib.stores import ForeignHold, Hold, Notice, StoreError, owner_digest

__all__ = ["RedisStore"]

log = logging.getLogger("flowstorm_channel")

# On Python 3.10 the time-out of asyncio is no OSError.
_FAILURES = (RedisError, OSError, asyncio.TimeoutError)

_POLL = (0.025, 0.05)
"""Seconds between two looks of a waiter: any number between these, so that waiters do not march in step."""
_REMEMBERED = 600_000
"""Milliseconds for which a holder is remembered after its lease. While it is, nobody has taken the session
since, and the holder may have it back."""
_LONGEST = 10**9
"""Seconds, some thirty years: the most that a session is kept. Redis can count that in milliseconds."""

# Every script gets three keys: the session itself (a hash: owner, snapshot, and the token that saved it), its
# holder (a hash: token, owner) and its waiter (a token, which lives for a lease from the waiter's last look).
# The holder's key outlives the lease by _REMEMBERED: the lease runs while the key has more than that to live.
# All scripts may be run twice, since there are clients that try again.

_TAKE = """
local token, owner, lease, remembered = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local stored = redis.call('HMGET', KEYS[1], 'owner', 'snapshot')
local holder = redis.call('HMGET', KEYS[2], 'token', 'owner')
local waiter = redis.call('GET', KEYS[3])
if waiter == token then
    redis.call('DEL', KEYS[3])
    waiter = false
end
if stored[1] and stored[1] ~= owner then
    return {'foreign', stored[2]}
end
if holder[1] ~= token then
    local held = redis.call('PTTL', KEYS[2]) > tonumber(remembered)
    if waiter or (held and holder[2] ~= owner) then
        return {'busy', false}
    end
    if held then
        redis.call('SET', KEYS[3], token, 'PX', lease)
        return {'wait', false}
    end
end
redis.call('HSET', KEYS[2], 'token', token, 'owner', owner)
redis.call('PEXPIRE', KEYS[2], lease + remembered)
return {'held', stored[2]}
"""

_RENEW = """
local token, lease, remembered = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HGET', KEYS[2], 'token') ~= token then
    return 0
end
redis.call('PEXPIRE', KEYS[2], lease + remembered)
return 1 + redis.call('EXISTS', KEYS[3])
"""
_LOST, _WANTED = 0, 2

_SAVE = """
local token, owner, snapshot, keep_for = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', KEYS[2], 'token') ~= token then
    return redis.call('HGET', KEYS[1], 'saved') == token and 1 or 0
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'owner', owner, 'snapshot', snapshot, 'saved', token)
redis.call('PEXPIRE', KEYS[1], keep_for)
return 1
"""

_LET_GO = """
local token = ARGV[1]
if redis.call('HGET', KEYS[2], 'token') == token then
    redis.call('DEL', KEYS[2])
end
if redis.call('GET', KEYS[3]) == token then
    redis.call('DEL', KEYS[3])
end
return 1
"""

_PEEK = "return redis.call('HGET', KEYS[1], 'snapshot')"


class RedisStore:
    """Keeps sessions in Redis: a `contrib.stores.Store` for any number of processes.

    When Redis itself forgets who holds a session, restarted without its data, that turn is not stored.

    Args:
        redis: a client, which stays open and gives bytes; or an address such as
            ``redis://127.0.0.1:6379/0`` for one of the store's own, which gives up within seconds.
        prefix: what all keys begin with.
        lease: the seconds after which a holder that has died loses its session. Holders renew it three times
            as often. All stores of a farm want the same.

    Raises:
        ValueError: no such address, or the client decodes what it reads.
    """

    def __init__(
        self, redis: Redis | str, *, prefix: str = "flowstorm:session:", lease: float = 0.75
    ) -> None:
        self.lease = lease
        self._prefix = prefix
        self._pool: BlockingConnectionPool | None = None
        if isinstance(redis, str):
            # A server that hung up on an idle connection gets a second try. One that is silent does not: a
            # user waits.
            self._pool = BlockingConnectionPool.from_url(
                redis,
                max_connections=50,
                timeout=2,
                socket_connect_timeout=2,
                socket_timeout=2,
                retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
                retry_on_error=[RedisConnectionError],  # redis-py 5 asks for both
            )
            redis = Redis(connection_pool=self._pool)
        client: Any = redis  # typed in parts only, and differently from version to version
        if client.get_encoder().decode_responses:
            raise ValueError("the store needs a client without decode_responses: snapshots are bytes")
        self._take: AsyncScript = client.register_script(_TAKE)
        self._renew: AsyncScript = client.register_script(_RENEW)
        self._save: AsyncScript = client.register_script(_SAVE)
        self._let_go: AsyncScript = client.register_script(_LET_GO)
        self._peek: AsyncScript = client.register_script(_PEEK)
        self._times = (max(1, round(lease * 1000)), _REMEMBERED)
        self._holds: dict[str, _RedisHold] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def take(
        self, session_id: str, owner: str, *, patience: float, wanted: Callable[[], None]
    ) -> Hold | None:
        """See `Store.take`. Cancelled, it still waits for Redis, to leave nothing behind there."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        token = secrets.token_hex(16)
        digest = owner_digest(owner)
        command: asyncio.Task[Any] | None = None
        try:
            while True:
                command = self._spawn(self._run(self._take, session_id, token, digest, *self._times))
                state, snapshot = await self._result(command)
                if state == b"held":
                    return _RedisHold(self, session_id, token, digest, snapshot, wanted)
                if state == b"foreign":
                    return ForeignHold(snapshot)
                if state == b"busy":
                    return None
                holder = self._holds.get(session_id)
                if holder is not None:
                    holder.notice.ring()  # the others are told when they renew
                left = until - loop.time()
                if left <= 0:
                    await self._result(self._spawn(self._withdraw(command, session_id, token)))
                    return None
                await asyncio.sleep(min(left, random.uniform(*_POLL)))
        except asyncio.CancelledError:
            if command is not None:
                await asyncio.wait({self._spawn(self._withdraw(command, session_id, token))})
            raise

    async def peek(self, session_id: str) -> bytes | None:
        """See `Store.peek`."""
        snapshot: bytes | None = await self._ask(self._peek, session_id)
        return snapshot

    async def close(self) -> None:
        """Stop renewing, and let go of the connections that the store has opened. It is of no use then."""
        self._closed = True
        for hold in list(self._holds.values()):
            hold.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            with suppress(*_FAILURES):
                await self._pool.disconnect()

    async def _withdraw(self, command: asyncio.Task[Any], session_id: str, token: str) -> None:
        """Take back whatever a take has left in Redis."""
        await asyncio.wait({command})  # it must not overtake us
        with suppress(StoreError):
            await self._run(self._let_go, session_id, token)

    # -------------------------------------------------------- commands

    async def _ask(self, script: AsyncScript, session_id: str, *args: str | bytes | int) -> Any:
        return await self._result(self._spawn(self._run(script, session_id, *args)))

    async def _run(self, script: AsyncScript, session_id: str, *args: str | bytes | int) -> Any:
        if self._closed:
            raise StoreError("the store is closed")
        key = f"{self._prefix}{{{session_id}}}"  # in braces: a cluster keeps the three together
        try:
            return await script(keys=(key, f"{key}:holder", f"{key}:waiting"), args=args)
        except _FAILURES as error:
            raise StoreError(f"Redis failed: {type(error).__name__}: {error}") from error

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a command in a task of its own.

        It is carried out even when the one who asked is cancelled: to cancel it costs a connection, and
        leaves everybody in doubt about what became of it.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # else asyncio complains when nobody waits for it any more

    async def _result(self, task: asyncio.Task[Any]) -> Any:
        await asyncio.wait({task})
        if task.cancelled():
            raise StoreError("the store was closed")
        return task.result()


class _RedisHold:
    def __init__(
        self,
        store: RedisStore,
        session_id: str,
        token: str,
        owner: str,
        snapshot: bytes | None,
        wanted: Callable[[], None],
    ) -> None:
        self.snapshot = snapshot
        self.notice = Notice(wanted)
        self._store = store
        self._session_id = session_id
        self._token = token
        self._owner = owner
        self._over = False
        self._failing = False
        self._timer = self._arm()
        store._holds[session_id] = self

    async def save(self, snapshot: bytes, keep_for: float) -> bool:
        if self._over:
            return False
        self._end()
        milliseconds = round(min(keep_for, _LONGEST) * 1000)
        save = self._store._save
        return bool(
            await self._store._ask(save, self._session_id, self._token, self._owner, snapshot, milliseconds)
        )

    async def release(self) -> None:
        if self._over:
            return
        self._end()
        with suppress(StoreError):
            await self._store._ask(self._store._let_go, self._session_id, self._token)

    def stop(self) -> None:
        """Renew no more."""
        self._timer.cancel()
        if self._store._holds.get(self._session_id) is self:
            del self._store._holds[self._session_id]

    def _end(self) -> None:
        self._over = True
        self.stop()

    # A renewal that is under way while the hold ends does no harm: it finds the token gone, in whatever order
    # the two arrive.

    def _arm(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._store.lease / 3, self._due)

    def _due(self) -> None:
        if not self._store._closed:
            self._store._spawn(self._renew())

    async def _renew(self) -> None:
        store = self._store
        try:
            answer = await store._run(store._renew, self._session_id, self._token, *store._times)
        except StoreError as error:
            answer = None
            if not self._failing:
                log.warning("a lease cannot be renewed: %s", error)
        self._failing = answer is None
        if self._over or store._closed:
            return
        if answer == _LOST:
            # Too late for a save; but whoever works on the turn may stop.
            self._end()
            self.notice.ring()
            return
        if answer == _WANTED:
            self.notice.ring()
        self._timer = self._arm()

"""The stores of sessions: one contract, in memory and in Redis; leases, fencing and failures in Redis."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from flowstorm_channel.contrib.redis import RedisStore
from flowstorm_channel.contrib.stores import Hold, MemoryStore, Store, StoreError
from tests.redis_server import RedisServer, redis_server
from tests.serving import run

LEASE = 0.12
"""Seconds, for the leases that are to run out. The others are to last, on slow machines too."""


def unheard() -> None:
    """For holders that do not mind."""


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async def look() -> None:
        while not await condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(look(), 5)


class Farm:
    """Stores that see the same sessions: as many as there are processes, where there can be several."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.prefix = f"test:{uuid.uuid4()}:"
        self.now = 0.0
        self._memory = MemoryStore(clock=lambda: self.now)
        self._opened: list[Store] = []

    def store(self, *, lease: float = 0.45) -> Store:
        """Another process's store."""
        if self.url is None:
            return self._memory
        store = RedisStore(self.url, prefix=self.prefix, lease=lease)
        self._opened.append(store)
        return store

    async def passes(self, seconds: float) -> None:
        if self.url is None:
            self.now += seconds
        else:
            await asyncio.sleep(seconds)

    async def someone_waits(self) -> None:
        """Until it is known that somebody waits for the session ``s``."""
        if self.url is None:
            await asyncio.sleep(0)
        else:
            async with Redis.from_url(self.url) as client:
                await until(lambda: client.exists(f"{self.prefix}{{s}}:waiting"))

    async def keys(self) -> list[str]:
        """What Redis knows, without the prefix."""
        assert self.url is not None
        async with Redis.from_url(self.url) as client:
            found = [key async for key in client.scan_iter(match=f"{self.prefix}*")]
        return sorted(key.decode().removeprefix(self.prefix) for key in found)

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@asynccontextmanager
async def farm_at(url: str | None) -> AsyncIterator[Farm]:
    farm = Farm(url)
    try:
        yield farm
    finally:
        await farm.close()


Scenario = Callable[[Farm], Awaitable[None]]
Play = Callable[[Scenario], None]


def play_at(url: str | None) -> Play:
    def play(scenario: Scenario) -> None:
        async def main() -> None:
            async with farm_at(url) as farm:
                await scenario(farm)

        run(main)

    return play


@pytest.fixture(params=["memory", "redis"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scenario, with each kind of store."""
    return play_at(None if request.param == "memory" else request.getfixturevalue("server").url)


@pytest.fixture
def play_redis(server: RedisServer) -> Play:
    return play_at(server.url)


async def take(
    store: Store,
    session_id: str = "s",
    owner: str = "me",
    *,
    patience: float = 0.0,
    wanted: Callable[[], None] = unheard,
) -> Hold | None:
    return await store.take(session_id, owner, patience=patience, wanted=wanted)


async def held(
    store: Store,
    session_id: str = "s",
    owner: str = "me",
    *,
    patience: float = 0.0,
    wanted: Callable[[], None] = unheard,
) -> Hold:
    hold = await take(store, session_id, owner, patience=patience, wanted=wanted)
    assert hold is not None
    return hold


# ------------------------------------------------------------ one turn after the other


@pytest.mark.parametrize("snapshot", [b"one", b"", bytes(range(256)) * 1000])
def test_what_one_turn_stores_the_next_one_gets(play: Play, snapshot: bytes) -> None:
    async def scenario(farm: Farm) -> None:
        first = await held(farm.store())
        assert first.snapshot is None
        assert await first.save(snapshot, 60.0)
        second = await held(farm.store())
        assert second.snapshot == snapshot
        await second.release()

    play(scenario)


def test_release_lets_go_and_stores_nothing(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        hold = await held(store)
        await hold.release()
        await hold.release()
        assert not await hold.save(b"late", 60.0)
        again = await held(store)
        assert again.snapshot is None
        assert await again.save(b"one", 60.0)

    play(scenario)


def test_a_hold_saves_once(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        hold = await held(store)
        assert await hold.save(b"one", 60.0)
        assert not await hold.save(b"two", 60.0)
        following = await held(store)
        await hold.release()  # does nothing to the hold of another
        assert await take(store) is None
        assert not await hold.save(b"three", 60.0)
        assert following.snapshot == b"one"
        assert await following.save(b"four", 60.0)
        assert await store.peek("s") == b"four"

    play(scenario)


def test_peek_shows_what_is_stored_and_takes_nothing(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        assert await store.peek("s") is None
        hold = await held(store)
        assert await store.peek("s") is None
        await hold.save(b"one", 60.0)
        assert await store.peek("s") == b"one"
        hold = await held(store)
        assert await farm.store().peek("s") == b"one"
        assert await hold.save(b"two", 60.0)
        assert await store.peek("s") == b"two"

    play(scenario)


def test_sessions_do_not_mind_each_other(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        holds = {name: await held(store, name) for name in ("a", "A", "a-b_c", "x" * 64)}
        for name, hold in holds.items():
            assert await hold.save(name.encode(), 60.0)
        for name in holds:
            assert await store.peek(name) == name.encode()

    play(scenario)


def test_a_stored_session_expires(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        await (await held(store)).save(b"one", 0.05)
        assert await store.peek("s") == b"one"
        await farm.passes(0.06)
        assert await store.peek("s") is None
        # It is anybody's then.
        hold = await held(store, owner="somebody else")
        assert hold.snapshot is None
        assert await hold.save(b"two", 60.0)

    play(scenario)


def test_each_save_sets_the_time_anew(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        await (await held(store)).save(b"one", 0.05)
        await (await held(store)).save(b"two", math.inf)
        await farm.passes(0.06)
        assert await store.peek("s") == b"two"

    play(scenario)


def test_a_session_that_expires_while_it_is_held_comes_back(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        await (await held(store)).save(b"one", 0.05)
        hold = await held(store)
        await farm.passes(0.06)
        assert await store.peek("s") is None
        assert await hold.save(b"two", 60.0)
        assert await store.peek("s") == b"two"

    play(scenario)


# ------------------------------------------------------------ owners


def test_a_foreign_session_is_shown_and_cannot_be_stored(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        await (await held(store)).save(b"mine", 60.0)
        foreign = await held(farm.store(), owner="you")
        assert foreign.snapshot == b"mine"
        mine = await held(store)  # nobody holds it
        foreign_too = await held(store, owner="you", patience=5.0, wanted=unheard)
        assert foreign_too.snapshot == b"mine"
        for hold in (foreign, foreign_too):
            assert not await hold.save(b"yours", 60.0)
            await hold.release()
        assert await mine.save(b"still mine", 60.0)
        assert await store.peek("s") == b"still mine"

    play(scenario)


def test_a_session_that_another_owner_has_just_begun_is_refused_at_once(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        heard: list[str] = []
        mine = await held(farm.store(), wanted=lambda: heard.append("mine"))
        began = time.monotonic()
        assert await take(farm.store(), owner="you", patience=5.0) is None
        assert time.monotonic() - began < 1
        await mine.release()
        assert heard == []
        assert await held(farm.store(), owner="you")

    play(scenario)


@pytest.mark.parametrize("owner", ["", "a\0b", "ключ\n{}:*", "x" * 10_000, "\ud800"])
def test_an_owner_is_any_text(play: Play, owner: str) -> None:
    async def scenario(farm: Farm) -> None:
        await (await held(farm.store(), owner=owner)).save(b"one", 60.0)
        hold = await held(farm.store(), owner=owner)
        assert await hold.save(b"two", 60.0)
        assert not await (await held(farm.store(), owner=f"{owner}.")).save(b"three", 60.0)

    play(scenario)


# ------------------------------------------------------------ two turns at a time


def test_the_holder_is_told_and_the_waiter_gets_what_it_stores(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        heard = asyncio.Event()
        times: list[float] = []

        def wanted() -> None:
            times.append(time.monotonic())
            heard.set()

        hold = await held(farm.store(), wanted=wanted)
        waiter = asyncio.create_task(held(farm.store(), patience=5.0))
        await asyncio.wait_for(heard.wait(), 2)
        assert await hold.save(b"the end of the first", 60.0)
        following = await waiter
        assert following.snapshot == b"the end of the first"
        assert times[0] <= times[-1]
        assert await following.save(b"two", 60.0)

    play(scenario)


def test_a_waiter_gets_it_after_a_release_too(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        heard = asyncio.Event()
        await (await held(farm.store())).save(b"before", 60.0)
        hold = await held(farm.store(), wanted=heard.set)
        waiter = asyncio.create_task(held(farm.store(), patience=5.0))
        await asyncio.wait_for(heard.wait(), 2)
        await hold.release()
        assert (await waiter).snapshot == b"before"

    play(scenario)


def test_a_holder_is_told_while_somebody_waits_and_may_fail_to_hear(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(farm: Farm) -> None:
        count = 0
        heard = asyncio.Event()

        def wanted() -> None:
            nonlocal count
            count += 1
            heard.set()
            raise RuntimeError("deaf")

        hold = await held(farm.store(), wanted=wanted)
        first = asyncio.create_task(take(farm.store(), patience=5.0))
        await asyncio.wait_for(heard.wait(), 2)
        first.cancel()
        await asyncio.wait({first})
        before = count
        assert await take(farm.store(), patience=0.6) is None
        assert count > before
        assert await hold.save(b"one", 60.0)

    with caplog.at_level(logging.ERROR, "flowstorm_channel"):
        play(scenario)
    assert len(caplog.records) == 1
    assert "deaf" in caplog.text


def test_a_third_one_is_turned_away_at_once(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        hold = await held(farm.store())
        waiter = asyncio.create_task(take(farm.store(), patience=5.0))
        await farm.someone_waits()
        began = time.monotonic()
        assert await take(farm.store(), patience=5.0) is None
        assert time.monotonic() - began < 1
        await hold.release()
        # The one who waited comes first, however long it takes to notice.
        assert await take(farm.store()) is None
        assert await waiter is not None

    play(scenario)


def test_who_lets_not_go_in_time_keeps_it(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        hold = await held(farm.store(lease=0.25))
        began = time.monotonic()
        assert await take(farm.store(), patience=0.35) is None
        assert 0.34 <= time.monotonic() - began < 1.5
        assert await hold.save(b"one", 60.0)
        assert (await held(farm.store())).snapshot == b"one"

    play(scenario)


def test_a_cancelled_waiter_leaves_nothing_behind(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        hold = await held(farm.store())
        first = asyncio.create_task(take(farm.store(), patience=5.0))
        await farm.someone_waits()
        first.cancel()
        await asyncio.wait({first})
        assert first.cancelled()
        second = asyncio.create_task(held(farm.store(), patience=5.0))
        await farm.someone_waits()
        assert not second.done()
        await hold.save(b"one", 60.0)
        assert (await second).snapshot == b"one"

    play(scenario)


def test_a_waiter_that_is_cancelled_at_any_moment_leaves_nothing_behind(play: Play) -> None:
    async def scenario(farm: Farm) -> None:
        stores = (farm.store(lease=5.0), farm.store(lease=5.0))
        for moment in range(40):
            hold = await held(stores[0])
            waiter = asyncio.create_task(take(stores[1], patience=5.0))
            leaving = asyncio.create_task(hold.release())
            for _ in range(moment):
                await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.wait({waiter, leaving})
            if not waiter.cancelled():
                late = waiter.result()
                assert late is not None
                await late.release()
            # Were anything left, it would stay for a whole lease.
            await (await held(stores[0])).release()

    play(scenario)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.integers(1, 3), min_size=2, max_size=5), count=st.integers(1, 3), seed=st.integers())
def test_no_two_hold_it_and_no_turn_is_lost(play: Play, turns: list[int], count: int, seed: int) -> None:
    dice = random.Random(seed)

    async def scenario(farm: Farm) -> None:
        stores = [farm.store() for _ in range(count)]
        inside = saved = 0

        async def user(store: Store, turns: int) -> None:
            nonlocal inside, saved
            while turns:
                hold = await take(store, patience=dice.choice([0.0, 0.02, 5.0]))
                if hold is None:
                    await asyncio.sleep(dice.uniform(0, 0.02))
                    continue
                inside += 1
                assert inside == 1
                turns -= 1
                value = int(hold.snapshot or b"0")
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                inside -= 1
                if dice.random() < 0.2:
                    await hold.release()
                else:
                    assert await hold.save(b"%d" % (value + 1), 60.0)
                    saved += 1

        await asyncio.gather(*(user(dice.choice(stores), each) for each in turns))
        assert int(await stores[0].peek("s") or b"0") == saved

    play(scenario)


# ------------------------------------------------------------ in memory


def test_memory_forgets_what_was_stored_longest_ago() -> None:
    async def main() -> None:
        store = MemoryStore(most=3)
        for name in ("a", "b", "c", "a", "d"):
            assert await (await held(store, name)).save(name.encode(), 60.0)
        assert await store.peek("b") is None
        assert [await store.peek(name) for name in "acd"] == [b"a", b"c", b"d"]

    run(main)


def test_memory_gets_rid_of_what_has_expired() -> None:
    async def main() -> None:
        now = 0.0
        store = MemoryStore(clock=lambda: now)
        for number in range(1000):
            await (await held(store, f"s{number}")).save(b"x", 10.0 if number % 2 else 1000.0)
            now += 0.01
        now += 100.0
        for number in range(1001):
            await (await held(store, f"t{number % 10}")).save(b"x", 1000.0)
        assert len(store._kept) == 510
        assert not store._holds
        assert not store._waiting
        await store.close()

    run(main)


# ------------------------------------------------------------ in Redis


def test_redis_keeps_a_digest_of_the_owner_and_no_more_keys_than_needed(server: RedisServer) -> None:
    async def main() -> None:
        async with farm_at(server.url) as farm, Redis.from_url(server.url) as client:
            store = farm.store()
            hold = await held(store, owner="key/device")
            waiter = asyncio.create_task(take(farm.store(), owner="key/device", patience=0.2))
            await farm.someone_waits()
            assert await farm.keys() == ["{s}:holder", "{s}:waiting"]
            stored = await client.hgetall(f"{farm.prefix}{{s}}:holder")
            assert "key" not in repr(stored)
            assert await waiter is None
            assert await hold.save(b"one", 60.0)
            assert await farm.keys() == ["{s}"]
            stored = await client.hgetall(f"{farm.prefix}{{s}}")
            assert "key" not in repr(stored)
            assert 55_000 < await client.pttl(f"{farm.prefix}{{s}}") <= 60_000
            await (await held(store, owner="key/device")).release()
            assert await farm.keys() == ["{s}"]

    run(main)


def test_a_holder_in_the_same_process_is_told_at_once(play_redis: Play) -> None:
    async def scenario(farm: Farm) -> None:
        heard = asyncio.Event()
        store = farm.store(lease=30.0)  # it would not renew before the end of the test
        hold = await held(store, wanted=heard.set)
        waiter = asyncio.create_task(held(store, patience=5.0))
        await asyncio.wait_for(heard.wait(), 2)
        await hold.save(b"one", 60.0)
        assert (await waiter).snapshot == b"one"

    play_redis(scenario)


def test_the_hold_of_a_killed_process_ends(server: RedisServer) -> None:
    program = """
import asyncio, sys
from flowstorm_channel.contrib.redis import RedisStore

async def main():
    store = RedisStore(sys.argv[1], prefix=sys.argv[2])
    hold = await store.take("s", "me", patience=0.0, wanted=lambda: None)
    print("held" if hold else "refused", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""

    async def scenario(farm: Farm) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", program, server.url, farm.prefix],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        try:
            assert process.stdout is not None
            said = await asyncio.to_thread(process.stdout.readline)
            assert said.strip() == b"held"
            store = farm.store()
            assert await take(store) is None
        finally:
            process.kill()
            process.communicate()
        hold = await held(store, patience=1.0)
        assert await hold.save(b"one", 60.0)

    play_at(server.url)(scenario)


class Frozen:
    """A holder in a thread of its own, whose event loop stands still until it is to save."""

    def __init__(self, farm: Farm) -> None:
        self.told = 0
        self._farm = farm
        self._held = threading.Event()
        self._thaw = threading.Event()
        self._work = asyncio.create_task(asyncio.to_thread(self._run))

    async def frozen(self) -> None:
        assert await asyncio.to_thread(self._held.wait, 5)

    async def save(self, *, renew: bool = False) -> bool:
        self._renew = renew
        self._thaw.set()
        return await self._work

    def _run(self) -> bool:
        return asyncio.run(self._main())

    async def _main(self) -> bool:
        assert self._farm.url is not None
        store = RedisStore(self._farm.url, prefix=self._farm.prefix, lease=LEASE)
        try:
            hold = await held(store, wanted=self._hear)
            self._held.set()
            self._thaw.wait(10)
            if self._renew:
                await asyncio.sleep(LEASE)
            return await hold.save(b"from the frozen one", 60.0)
        finally:
            await store.close()

    def _hear(self) -> None:
        self.told += 1


@pytest.mark.parametrize(
    ("then", "renew"),
    [
        ("held", True),
        ("saved", False),
        ("released", False),
        ("released", True),
        ("expired", False),
    ],
)
def test_a_holder_that_was_away_too_long_stores_nothing(play_redis: Play, then: str, renew: bool) -> None:
    async def scenario(farm: Farm) -> None:
        store = farm.store()
        first = Frozen(farm)
        await first.frozen()
        second = await held(store, patience=5.0)
        if then == "saved":
            assert await second.save(b"two", 60.0)
        elif then == "released":
            await second.release()
        elif then == "expired":
            assert await second.save(b"two", 0.0)
        assert not await first.save(renew=renew)
        assert await store.peek("s") == (b"two" if then == "saved" else None)
        assert first.told == renew
        if then == "held":
            assert await second.save(b"two", 60.0)

    play_redis(scenario)


@pytest.mark.parametrize("renew", [False, True])
def test_a_holder_that_was_away_and_not_missed_goes_on(play_redis: Play, renew: bool) -> None:
    async def scenario(farm: Farm) -> None:
        first = Frozen(farm)
        await first.frozen()
        await asyncio.sleep(1.5 * LEASE)
        assert await first.save(renew=renew)
        assert await farm.store().peek("s") == b"from the frozen one"

    play_redis(scenario)


def test_a_lease_that_came_back_is_one(play_redis: Play) -> None:
    async def scenario(farm: Farm) -> None:
        assert farm.url is not None
        async with Redis.from_url(farm.url) as client:

            async def leased() -> bool:
                return int(await client.pttl(f"{farm.prefix}{{s}}:holder")) > 600_000

            hold = await held(farm.store(lease=0.3))
            assert await leased()
            time.sleep(0.35)  # nobody renews
            assert not await leased()
            await until(leased)
            assert await take(farm.store()) is None
            assert await hold.save(b"one", 60.0)

    play_redis(scenario)


def test_frozen_processes_lose_turns_and_no_counts(play_redis: Play) -> None:
    dice = random.Random(1)

    async def scenario(farm: Farm) -> None:
        saved = lost = 0

        async def user(store: Store) -> None:
            nonlocal saved, lost
            for _ in range(6):
                hold = await take(store, patience=5.0)
                if hold is None:
                    await asyncio.sleep(0.01)
                    continue
                value = int(hold.snapshot or b"0")
                if dice.random() < 0.5:
                    hold.stop()  # type: ignore[attr-defined]
                    await asyncio.sleep(dice.uniform(0, 0.1))
                if await hold.save(b"%d" % (value + 1), 60.0):
                    saved += 1
                else:
                    lost += 1

        await asyncio.gather(*(user(farm.store(lease=0.03)) for _ in range(4)))
        assert int(await farm.store().peek("s") or b"0") == saved
        assert saved
        assert lost

    play_redis(scenario)


def test_a_client_that_was_handed_over_stays_open(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis.from_url(server.url) as client:
            prefix = f"test:{uuid.uuid4()}:"
            store = RedisStore(client, prefix=prefix, lease=LEASE)
            await (await held(store)).save(b"one", 60.0)
            await store.close()
            assert await client.ping()
            assert await client.exists(f"{prefix}{{s}}")
            text = Redis.from_url(server.url, decode_responses=True)
            with pytest.raises(ValueError, match="decode_responses"):
                RedisStore(text)

    run(main)


def test_an_address_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="redis://"):
        RedisStore("http://127.0.0.1/")


def test_a_store_may_be_made_before_there_is_a_loop(server: RedisServer) -> None:
    store = RedisStore(server.url, prefix=f"test:{uuid.uuid4()}:")

    async def main() -> None:
        await (await held(store)).save(b"one", 60.0)
        holds = await asyncio.gather(*(take(store, f"s{number}") for number in range(200)))
        assert all(holds)
        await store.close()

    run(main)


def test_a_closed_store_says_so(play_redis: Play) -> None:
    async def scenario(farm: Farm) -> None:
        store, other = farm.store(lease=LEASE), farm.store()
        hold = await held(store)
        waiter = asyncio.create_task(take(store, patience=5.0))
        await farm.someone_waits()
        await store.close()
        await store.close()
        with pytest.raises(StoreError):
            await waiter
        with pytest.raises(StoreError):
            await hold.save(b"one", 60.0)
        with pytest.raises(StoreError):
            await take(store)
        await hold.release()
        # Nobody renews the lease any more, nor waits.
        await until(lambda: take(other))

    play_redis(scenario)


async def check_failures(store: Store, holds: list[Hold]) -> None:
    """Everything fails, within a few seconds, and with our own exception."""
    began = time.monotonic()
    saving, leaving = holds

    async def fails(work: Awaitable[object]) -> None:
        with pytest.raises(StoreError) as caught:
            await work
        assert caught.value.__cause__ is not None

    await asyncio.gather(
        fails(take(store, patience=5.0)),
        fails(store.peek("s")),
        fails(saving.save(b"lost", 60.0)),
        leaving.release(),
    )
    assert not await saving.save(b"lost", 60.0)
    await saving.release()
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_a_store_that_is_down_fails_soon_and_works_again(how: str) -> None:
    async def main() -> None:
        with redis_server() as server:
            async with farm_at(f"{server.url}?socket_timeout=0.25") as farm:
                store = farm.store()
                holds = [await held(store, name) for name in "ab"]
                if how == "stopped":
                    server.stop()
                    await check_failures(store, holds)
                    server.start()
                else:
                    server.pause()
                    await check_failures(store, holds)
                    server.resume()
                assert await (await held(store, "c")).save(b"one", 60.0)
                assert await store.peek("c") == b"one"

    run(main)


def test_a_server_that_was_started_anew_is_found_without_a_failure() -> None:
    async def main() -> None:
        with redis_server() as server:
            async with farm_at(server.url) as farm:
                store = farm.store()
                await (await held(store)).save(b"one", 60.0)
                hold = await held(store)
                server.stop()
                server.start()
                assert await store.peek("s") is None
                # It has forgotten who held the session, so that nobody can say who took it since.
                assert not await hold.save(b"two", 60.0)
                assert await (await held(store)).save(b"three", 60.0)

    run(main)


def test_a_holder_lives_through_a_short_silence(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with redis_server() as server:
            async with (
                farm_at(server.url) as farm,
                Redis.from_url(server.url, socket_timeout=0.1, retry=None) as client,
            ):
                store = RedisStore(client, prefix=farm.prefix, lease=0.45)
                hold = await held(store)
                server.pause()
                await until(lambda: logged("a lease cannot be renewed"))
                server.resume()
                # By then the lease would have run out, were it not renewed after all.
                assert await take(farm.store(), patience=0.45) is None
                assert await hold.save(b"one", 60.0)
                await store.close()

    async def logged(text: str) -> bool:
        return text in caplog.text

    run(main)

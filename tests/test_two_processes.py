"""Two server processes and one Redis: a session's turns may meet either, and one of them may die."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress

import httpx
import pytest
from redis import Redis

from flowstorm_channel import ConnectionFailedEvent, ReadyEvent, ResponseEvent, ResponseItemEvent
from flowstorm_channel.contrib.httpx import async_events
from flowstorm_channel.events import ErrorEvent
from flowstorm_channel.socket_v2 import SocketV2Client
from tests.farm import PREFIX, Farm, Process, summary
from tests.redis_server import redis_server
from tests.serving import run

COOKIE = "flowstorm-session-id"
AS_JSON = {"headers": {"Content-Type": "application/json"}}
SOON = 10.0
USERS, TURNS = 5, 40


@pytest.fixture(scope="module")
def shared() -> Iterator[Farm]:
    with redis_server() as redis:
        running = Farm(redis)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture
def farm(shared: Farm) -> Iterator[Farm]:
    """Two processes that have nothing to complain of, unless the test hears it."""
    shared.complete()
    yield shared
    assert shared.complaints() == ""


@pytest.fixture
def redis(shared: Farm) -> Iterator[Redis]:
    with Redis.from_url(shared.redis.url) as client:
        yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait for what has no event of its own."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(poll(), SOON)


def keys_of(redis: Redis, session_id: str | None) -> list[str]:
    """What Redis knows of a session."""
    assert session_id
    found = [key.decode() for key in redis.keys(f"{PREFIX}{{{session_id}}}*")]
    return sorted(key.removeprefix(f"{PREFIX}{{{session_id}}}") for key in found)


# ------------------------------------------------------------ users


class Broken(Exception):
    """There was no answer, or not all of one."""


class Answer:
    """What came back, as far as it came."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.events: list[dict] = []

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def texts(self) -> list[str]:
        return [each["responseItem"]["text"] for each in self.events if each["type"] == "ResponseItem"]

    @property
    def error(self) -> str:
        (text,) = [event["text"] for event in self.events if event["type"] == "Error"]
        return text


def said(text: str) -> bytes:
    return json.dumps({"type": "Input", "input": {"transcript": {"text": text}}}).encode() + b"\n"


class User:
    """Sends each turn as a PUT by hand, to wherever it is told, with the cookie that was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.http = httpx.AsyncClient(
            verify=False,
            trust_env=False,
            timeout=2 * SOON,
            headers={"X-Key": f"key of {name}", "X-DeviceId": f"device of {name}"},
        )

    @property
    def session_id(self) -> str | None:
        return self.http.cookies.get(COOKIE)

    async def put(
        self, where: str, text: str | None = None, *, part: Callable[[Answer], None] = lambda _: None, **kw
    ) -> Answer:
        """One turn; `part` sees the answer grow."""
        if text is not None:
            kw = {"content": said(text), **AS_JSON}
        answer = Answer()
        try:
            async with self.http.stream("PUT", f"http://{where}/client", **kw) as response:
                answer.status = response.status_code
                async for line in response.aiter_lines():
                    answer.events.append(json.loads(line))
                    part(answer)
        except httpx.HTTPError as error:
            raise Broken(type(error).__name__) from error
        return answer

    async def say(self, where: str, text: str) -> str:
        """What a turn is answered with."""
        answer = await self.put(where, text)
        assert (answer.status, answer.types) == (200, ["ResponseItem", "Response"]), answer.events
        return answer.texts[0]

    @asynccontextmanager
    async def waiting(self, where: str, text: str):
        """While a turn runs that waits; gives the task that will have its answer."""
        begun = asyncio.Event()
        task = asyncio.create_task(self.put(where, text, part=lambda _: begun.set()))
        try:
            await asyncio.wait_for(begun.wait(), SOON)
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        await self.http.aclose()


class Talker:
    """The same with a V2 client, whose address changes from turn to turn."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = SocketV2Client("", key=f"key of {name}", device_id=f"device of {name}")
        self._ready = asyncio.Event()
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._talk())

    @property
    def session_id(self) -> str | None:
        return self.client.session_id

    async def _talk(self) -> None:
        text = ""
        async with aclosing(async_events(self.client, verify=False, trust_env=False)) as told:
            async for event in told:
                match event:
                    case ReadyEvent():
                        self._ready.set()
                    case ResponseItemEvent():
                        text = event.response_item.text
                    case ResponseEvent():
                        self.client.finish_playback()
                        self._answers.put_nowait(text)
                    case ConnectionFailedEvent():
                        self._answers.put_nowait(None)
                    case ErrorEvent():
                        raise AssertionError(event)

    async def say(self, where: str, text: str) -> str:
        await self._ready.wait()
        self.client.url = f"http://{where}/client"
        self.client.say(text)
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, self._task}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            self._task.cancel()
            await self._task
        if answer.result() is None:
            raise Broken("the client says so")
        return answer.result()

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def a_user(name: str = "somebody"):
    user = User(name)
    try:
        yield user
    finally:
        await user.close()


@asynccontextmanager
async def all_users():
    users = [User("one"), User("two"), User("three"), User("four"), Talker("five")]
    assert len(users) == USERS
    try:
        yield users
    finally:
        for user in users:
            await user.close()


async def everything_is_there(redis: Redis, users: list[User | Talker], addresses: list[str]) -> None:
    """Every number once and in order, in sessions of their own, and nobody holds one any more."""
    for user in users:
        numbers = json.loads(await user.say(addresses[-1], "numbers"))
        assert numbers == list(range(TURNS)), user.name
        assert keys_of(redis, user.session_id) == [""]
    assert len({user.session_id for user in users}) == USERS


async def ask(address: str, path: str) -> dict[str, list[str]]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        return (await http.get(f"http://{address}{path}")).json()


async def someone_waits(address: str) -> None:
    """Until a turn is in the middle there."""

    async def look() -> None:
        while not (await ask(address, "/turns"))["waiting"]:
            await asyncio.sleep(0.005)

    await asyncio.wait_for(look(), SOON)


async def go_on_at(address: str) -> None:
    """What waits there may go on."""
    await ask(address, "/go-on")


async def was_cut(address: str, session_id: str | None) -> bool:
    """Whether a dialogue of that session was cancelled there."""
    return session_id in (await ask(address, "/turns"))["cut"]


def empty(answer: Answer) -> bool:
    """Whether the answer ends with an empty Response: the turn was cut."""
    return answer.types[-1:] == ["Response"] and answer.events[-1]["response"]["items"] == []


# ------------------------------------------------------------ no turn is lost, none is doubled


def test_two_hundred_turns_alternate_between_two_processes(redis, farm):
    async def tell(user, first):
        for number in range(TURNS):
            where = farm.addresses[(first + number) % 2]
            assert await user.say(where, f"add {number}") == summary(range(number + 1))

    async def main():
        async with all_users() as users:
            await asyncio.gather(*(tell(user, first) for first, user in enumerate(users)))
            await everything_is_there(redis, users, farm.addresses)

    run(main)


def test_a_process_is_killed_in_mid_turn(redis, farm):
    """Who gets no answer asks what the session knows, and says again only what is missing."""

    async def main():
        addresses = farm.addresses
        dying = addresses[0]
        broken: list[str] = []

        async def tell(user, first):
            known, turn = 0, first
            while known < TURNS:
                where = addresses[turn % len(addresses)]
                turn += 1
                middle = known == TURNS // 2 and where == dying
                try:
                    answer = await user.say(where, f"add {known} and wait" if middle else f"add {known}")
                except Broken:
                    assert where == dying
                    broken.append(user.name)
                    numbers = json.loads(await user.say(addresses[-1], "numbers"))
                    assert numbers in (list(range(known)), list(range(known + 1)))
                    known = len(numbers)
                else:
                    known += 1
                    assert answer == summary(range(known))

        async def murder():
            await someone_waits(dying)
            addresses.remove(dying)
            farm.processes[0].kill()
            assert farm.processes[0].complaints() == ""
            new = Process(farm.redis.url)
            farm.processes.append(new)
            await asyncio.to_thread(new.started)
            addresses.append(new.address)

        async with all_users() as users:
            await asyncio.gather(murder(), *(tell(user, first) for first, user in enumerate(users)))
            assert broken
            await everything_is_there(redis, users, addresses)

    run(main)


@pytest.mark.parametrize("when", ["and die", "and die later"])
def test_who_gets_no_answer_can_find_out_whether_the_turn_counts(farm, when):
    async def main():
        dying, living = farm.addresses
        async with a_user() as user:
            await user.say(living, "add 0")
            await user.say(dying, "add 1")
            with pytest.raises(Broken):
                await user.say(dying, f"add 2 {when}")
            numbers = json.loads(await user.say(living, "numbers"))
            assert numbers == ([0, 1] if when == "and die" else [0, 1, 2])
            assert await user.say(living, "add 3") == summary([*numbers, 3])
            assert [each.alive for each in farm.processes] == [False, True]

    run(main)


# ------------------------------------------------------------ two turns of one session


def test_a_turn_interrupts_one_in_the_other_process(redis, farm):
    async def main():
        async with a_user() as user:
            await user.say(farm.addresses[0], "add 0")
            for number, (one, other) in enumerate((farm.addresses, farm.addresses[::-1]), 1):
                async with user.waiting(one, f"add {number} and wait") as first:
                    # What the turn that is cut has put into the session stays, as within one process.
                    assert await user.say(other, "numbers") == json.dumps(list(range(number + 1)))
                    answer = await first
                assert answer.status == 200
                assert answer.texts == ["waiting"]
                assert empty(answer)
                assert await was_cut(one, user.session_id)
            assert keys_of(redis, user.session_id) == [""]

    run(main)


def test_of_a_chain_of_turns_only_the_last_is_answered(farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user:
            await user.say(one, "add 0")
            async with (
                user.waiting(one, "add 1 and wait") as first,
                user.waiting(other, "add 2 and wait") as second,
                user.waiting(one, "add 3 and wait") as third,
            ):
                assert empty(await first)
                assert empty(await second)
                await go_on_at(one)
                assert (await third).texts == ["waiting", summary([0, 1, 2, 3])]

    run(main)


def test_a_client_that_barges_in_at_the_other_process(farm):
    """It gives up the request that waits."""

    async def main():
        talker = Talker("somebody")
        try:
            await talker.say(farm.addresses[0], "add 0")
            for one, other in (farm.addresses, farm.addresses[::-1]):
                talker.client.url = f"http://{one}/client"
                talker.client.say("add 1 and wait")
                await someone_waits(one)
                assert json.loads(await talker.say(other, "numbers"))[0] == 0
                assert await was_cut(one, talker.session_id)
        finally:
            await talker.close()

    run(main)


def test_a_turn_waits_for_audio_that_comes_in_elsewhere(redis, farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user:
            await user.say(one, "add 0")
            async with speaking(user, one, redis) as audio:
                begun = time.monotonic()
                answer = await user.put(other, "add 1")
                assert answer.status == 409
                assert "not over" in answer.error
                assert 0.9 < time.monotonic() - begun < SOON
                # The audio goes on, and whoever waits when it ends gets the turn.
                second = asyncio.create_task(user.put(other, "add 2"))
                await until(lambda: ":waiting" in keys_of(redis, user.session_id))
                audio.say_last(b"add 3.")
                assert (await second).status == 200
                await audio.answer
                numbers = json.loads(await user.say(other, "numbers"))
                assert numbers in ([0, 2], [0, 3, 2])

    run(main)


def test_a_turn_that_waited_for_audio_interrupts_what_was_said(redis, farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user:
            await user.say(one, "add 0")
            async with speaking(user, one, redis) as audio:
                second = asyncio.create_task(user.put(other, "add 1"))
                await until(lambda: ":waiting" in keys_of(redis, user.session_id))
                # The process that holds the session has heard of it when it has renewed its lease.
                holder = f"{PREFIX}{{{user.session_id}}}:holder"
                before = redis.pttl(holder)
                await until(lambda: redis.pttl(holder) > before)
                audio.say_last(b"add 2 and wait.")
                answer = await second
                assert answer.status == 200
                assert answer.texts[0] in (summary([0, 1]), summary([0, 2, 1]))
                assert empty(await audio.answer)

    run(main)


class Audio:
    """What a user says into a PUT whose body goes on, and its answer."""

    def __init__(self, user: User, where: str) -> None:
        self._blocks: asyncio.Queue[bytes] = asyncio.Queue()
        self._blocks.put_nowait(b" ")
        how = {"headers": {"Content-Type": "audio/basic"}, "params": {"realtime": "1"}}
        self.answer = asyncio.create_task(user.put(where, content=self._body(), **how))

    async def _body(self) -> AsyncIterator[bytes]:
        while block := await self._blocks.get():
            yield block

    def say_last(self, block: bytes) -> None:
        self._blocks.put_nowait(block)
        self._blocks.put_nowait(b"")


@asynccontextmanager
async def speaking(user: User, where: str, redis: Redis) -> AsyncIterator[Audio]:
    """While audio comes in."""
    audio = Audio(user, where)
    try:
        await until(lambda: ":holder" in keys_of(redis, user.session_id))
        yield audio
    finally:
        audio.answer.cancel()
        await asyncio.gather(audio.answer, return_exceptions=True)


def test_a_process_that_stood_still_does_not_overwrite_what_came_after(redis, farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user:
            await user.say(one, "add 0")
            async with user.waiting(one, "add 1 and stand still") as first:
                # Nobody renews the lease: it runs out.
                assert await user.say(other, "add 2") == summary([0, 2])
                redis.lpush(f"go on {user.session_id}", "now")
                answer = await first
            assert answer.status == 200
            assert answer.texts[0] == "standing still"
            assert empty(answer)
            for where in farm.addresses:
                assert await user.say(where, "numbers") == "[0, 2]"

    run(main)


def test_a_process_that_wakes_up_does_not_begin_what_was_given_up(farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user, a_user("neighbour") as neighbour:
            await user.say(one, "add 0")
            farm.processes[0].freeze()
            try:
                sent = asyncio.Event()
                turn = asyncio.create_task(user.put(one, content=_noted(said("add 1"), sent), **AS_JSON))
                await asyncio.wait_for(sent.wait(), SOON)
                turn.cancel()
                await asyncio.gather(turn, return_exceptions=True)
                assert await user.say(other, "numbers") == "[0]"
                assert await user.say(other, "add 1") == summary([0, 1])
            finally:
                farm.processes[0].thaw()
            assert await neighbour.say(one, "numbers") == "[]"
            for where in farm.addresses:
                assert await user.say(where, "numbers") == "[0, 1]"

    run(main)


async def _noted(body: bytes, sent: asyncio.Event) -> AsyncIterator[bytes]:
    yield body
    sent.set()


# ------------------------------------------------------------ the end of sessions, and other people's


def test_a_session_sleeps_wakes_elsewhere_and_expires(redis, farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user:
            await user.say(one, "add 0")
            key = f"{PREFIX}{{{user.session_id}}}"
            for seconds in (60, 1):
                answer = await user.put(one, f"sleep {seconds}")
                assert answer.events[0]["response"]["sleepTimeout"] == seconds
                assert redis.pttl(key) <= seconds * 1000
                if seconds == 60:
                    assert await user.say(other, "numbers") == "[0]"
                    assert redis.pttl(key) > 60_000
            await until(lambda: not redis.exists(key))
            assert keys_of(redis, user.session_id) == []
            assert await user.say(other, "numbers") == "[]"

    run(main)


def test_the_cookie_of_an_ended_session_is_replaced_everywhere(redis, farm):
    async def main():
        async with a_user() as user:
            await user.say(farm.addresses[0], "add 0")
            ended = user.session_id
            answer = await user.put(farm.addresses[0], "stop")
            assert answer.events[-1]["response"]["sessionEnded"] is True
            for where in farm.addresses[::-1]:
                user.http.cookies.set(COOKIE, ended, domain="127.0.0.1")
                assert await user.say(where, "numbers") == "[]"
                assert user.session_id != ended
            assert keys_of(redis, ended) == [""]

    run(main)


@pytest.mark.parametrize("header", ["X-Key", "X-DeviceId"])
def test_a_stolen_cookie_opens_nothing(farm, header):
    async def main():
        one = farm.addresses[0]
        async with a_user("owner") as owner, a_user("owner") as thief:
            thief.http.headers[header] = "another"
            await owner.say(one, "add 0")
            async with owner.waiting(one, "add 1 and wait") as turn:
                for where in farm.addresses:
                    thief.http.cookies.set(COOKIE, owner.session_id, domain="127.0.0.1")
                    assert await thief.say(where, "numbers") == "[]"
                    assert thief.session_id != owner.session_id
                    assert await thief.say(where, "add 7") == summary([7])
                await go_on_at(one)
                assert (await turn).texts == ["waiting", summary([0, 1])]
            assert not await was_cut(one, owner.session_id)
            for where in farm.addresses:
                assert await owner.say(where, "numbers") == "[0, 1]"

    run(main)


def test_an_id_is_not_free_while_its_first_turn_runs(farm):
    async def main():
        one, other = farm.addresses
        async with a_user("owner") as owner, a_user("thief") as thief:
            owner.http.cookies.set(COOKIE, "proposed", domain="127.0.0.1")
            async with owner.waiting(one, "add 0 and wait") as turn:
                for where in farm.addresses:
                    thief.http.cookies.set(COOKIE, "proposed", domain="127.0.0.1")
                    answer = await thief.put(where, "add 7")
                    assert answer.status == 409 or thief.session_id != "proposed"
                await go_on_at(one)
                assert (await turn).texts == ["waiting", summary([0])]
            assert await owner.say(other, "numbers") == "[0]"

    run(main)


# ------------------------------------------------------------ Redis fails


def test_redis_goes_down_and_comes_back(farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user, a_user("next") as neighbour:
            await user.say(one, "add 0")
            # In mid-turn: what was said has come, and then an Error; nothing hangs.
            async with user.waiting(one, "add 1 and wait") as turn:
                farm.redis.stop()
                await go_on_at(one)
                answer = await asyncio.wait_for(turn, SOON)
            assert answer.status == 200
            assert answer.types == ["ResponseItem", "ResponseItem", "Error"]
            assert answer.error == "Something went wrong."
            # While it is down.
            for where in farm.addresses:
                answers = await asyncio.gather(user.put(where, "numbers"), neighbour.put(where, "add 0"))
                for answer in answers:
                    assert (answer.status, answer.types) == (503, ["Error"])
                    assert answer.error == "Something went wrong."
            farm.redis.start()
            for number, where in enumerate(farm.addresses):
                assert await neighbour.say(where, f"add {number}") == summary(range(number + 1))
            # What it knew is lost, for it kept nothing on disk; the user can go on.
            assert await user.say(other, "numbers") == "[]"
        complaints = farm.complaints()
        assert "cannot be stored" in complaints
        assert "cannot be loaded" in complaints
        assert "never retrieved" not in complaints

    run(main)


def test_redis_falls_silent(farm):
    async def main():
        one, other = farm.addresses
        async with a_user() as user, a_user("next") as neighbour:
            await user.say(one, "add 0")
            async with user.waiting(one, "add 1 and wait") as turn:
                farm.redis.pause()
                try:
                    await go_on_at(one)
                    refused = asyncio.create_task(neighbour.put(other, "add 0"))
                    answer = await asyncio.wait_for(turn, SOON)
                    assert answer.types == ["ResponseItem", "ResponseItem", "Error"]
                    answer = await asyncio.wait_for(refused, SOON)
                    assert (answer.status, answer.types) == (503, ["Error"])
                finally:
                    farm.redis.resume()
            assert await neighbour.say(other, "add 0") == summary([0])
            # Nobody could say whether the turn was stored. It was, all of it, or it was not.
            assert await user.say(other, "numbers") in ("[0]", "[0, 1]")
        complaints = farm.complaints()
        assert "cannot be stored" in complaints
        assert "cannot be loaded" in complaints

    run(main)

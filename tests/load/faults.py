"""What goes wrong while all talk. Each fault is a function of the world; its first line says what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.load.application import LIMITS
from tests.load.calls import Call, post
from tests.load.ledger import Conversation
from tests.load.peers import FreezingProxy, Trickle, V2Trickle
from tests.load.talkers import BROKEN, V1, V2, Talker, V1Spoken, sound
from tests.load.traffic import MIX, World, converse, say_one

__all__ = ["FAULTS", "MORTAL", "Fault"]

Fault = Callable[[World], Awaitable[None]]
_RAMP = 5, 12
"""Waves, and the clients of each."""
_SOON = 30.0
_KEPT = 8 * 1024 * 1024
"""Bytes by which the server may grow in a flood of twice as many."""
_HALF_A_BODY = (
    b"PUT /client?key=load&deviceId=half HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


async def ramp(world: World) -> None:
    """Clients arrive in waves, all at once, talk shortly and go."""
    waves, clients = _RAMP
    for _ in range(waves):
        kinds = world.chance.choices(
            [share.talker for share in MIX], [share.share for share in MIX], k=clients
        )
        names = [world.name(f"wave {kind.kind}") for kind in kinds]
        await asyncio.gather(
            *(
                converse(kind(world.server.port, name), Conversation(world.book, name), 3)
                for kind, name in zip(kinds, names, strict=True)
            )
        )


async def flood(world: World) -> None:
    """Clients send more than the limits allow, on every door; each has to be refused."""
    for each in (_flood_v1, _flood_v1_unread, _flood_v2, _flood_webhook):
        try:
            refused = await asyncio.wait_for(each(world), _SOON)
        except asyncio.TimeoutError:
            refused = False
        except BROKEN:
            refused = True  # hung up on
        if not refused:
            world.hurt.append(f"{each.__name__.strip('_')}: not refused")


async def _flood_v1(world: World) -> bool:
    talker = V1(world.server.port, world.name("flood"))
    try:
        await talker.open()
        await talker.send(
            {"type": "Input", "input": {"transcript": {"text": "x" * 2 * LIMITS.message_bytes}}}
        )
        answer = await talker.receive()
        return bool(answer["type"] == "Error")
    finally:
        await talker.close()


async def _flood_v1_unread(world: World) -> bool:
    """Megabytes of logs at once: whether the server reads on or stops reading, it keeps few of them."""
    talker = V1(world.server.port, world.name("flood"))
    before = (await world.server.ask("/memory"))["bytes"]
    try:
        await talker.open()
        with suppress(asyncio.TimeoutError):
            for _ in range(2000):
                await asyncio.wait_for(talker.send({"type": "Log", "entries": [{"text": "x" * 8000}]}), 1.0)
        return (await world.server.ask("/memory"))["bytes"] < before + _KEPT
    finally:
        await talker.close()


async def _flood_v2(world: World) -> bool:
    talker = V2(world.server.port, world.name("flood"))
    try:
        await talker.open()
        head = (
            f"PUT /client?key=load&deviceId={talker.device} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {4 * LIMITS.body_bytes}\r\n\r\n"
        )
        await talker.write(head.encode() + b'{"type":"Log","entries":[]}\n' * 100)
        assert talker.streams is not None
        line = await talker.streams[0].readline()
        return not line or int(line.split(b" ")[1]) >= 400
    finally:
        await talker.close()


async def _flood_webhook(world: World) -> bool:
    status, _ = await post(world.server.port, "/call", {}, b"x" * 2 * LIMITS.webhook_bytes)
    return status >= 400


async def slow_reader(world: World) -> None:
    """Clients ask for long answers and take them a byte at a time, or not at all for a while."""
    await asyncio.gather(*(_trickle(world, Trickle(reads_slowly=True)) for _ in range(4)))


async def slow_writer(world: World) -> None:
    """Clients send a frame, a head and a body in dribbles."""
    await asyncio.gather(*(_trickle(world, Trickle(writes_slowly=True)) for _ in range(3)))
    await asyncio.gather(*(_dribble(world) for _ in range(3)))


async def _trickle(world: World, way: Trickle) -> None:
    device = world.name("trickle")
    conversation = Conversation(world.book, device)
    number = conversation.say()
    try:
        text, session_id = await asyncio.wait_for(
            way.ask(world.server.port, device, f"{number} long"), conversation.patience
        )
    except asyncio.TimeoutError:
        conversation.miss()
    except BROKEN:
        conversation.break_off()
    else:
        conversation.hear(text, session_id)


async def _dribble(world: World) -> None:
    device = world.name("dribble")
    await converse(V2Trickle(world.server.port, device), Conversation(world.book, device), 2)


async def half_open(world: World) -> None:
    """Connections that say nothing, or stop in the middle, and peers that are gone without a FIN."""
    silent = [await _connect(world, said) for said in (b"", b"GET /sock") * 3]
    halves = [await _connect(world, _HALF_A_BODY) for _ in range(3)]
    async with FreezingProxy(world.server.port) as proxy:
        for kind in (V1, V1Spoken, V2, Call):
            await converse_once(kind(proxy.port, world.name("frozen")), world)
        proxy.freeze()
        for reader, _ in halves:
            if not await _is_given_up(reader):
                world.hurt.append("half-open: a request whose body does not go on is not given up")
    for _, writer in (*silent, *halves):
        writer.transport.abort()


async def _is_given_up(reader: asyncio.StreamReader) -> bool:
    try:
        line = await asyncio.wait_for(reader.readline(), _SOON)
    except asyncio.TimeoutError:
        return False
    except OSError:
        return True
    return not line or int(line.split(b" ")[1]) >= 400


async def _connect(world: World, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(said)
    return reader, writer


async def converse_once(talker: Talker, world: World) -> Conversation:
    """Open it and say one turn; it stays open."""
    conversation = Conversation(world.book, talker.device)
    try:
        await asyncio.wait_for(talker.open(), _SOON)
        await say_one(talker, conversation)
    except BROKEN:
        pass
    return conversation


async def vanish(world: World) -> None:
    """Clients and callers reset their connection in mid-audio, and in the middle of an answer."""

    async def speaker() -> None:
        talker = V1Spoken(world.server.port, world.name("vanish"))
        await converse_once(talker, world)
        if talker.socket is not None:
            await talker.send({"type": "InputAudioStreamOpen"})
            for block in sound("0", 3200, 4)[:3]:
                await talker.socket.send(block)
        talker.vanish()

    async def listener() -> None:
        talker = V1(world.server.port, world.name("vanish"))
        conversation = await converse_once(talker, world)
        number = conversation.say()
        await talker.send({"type": "Input", "input": {"transcript": {"text": f"{number} long"}}})
        await talker.receive()
        conversation.break_off()
        talker.vanish()

    async def caller() -> None:
        call = Call(world.server.port, world.name("vanish"))
        await converse_once(call, world)
        for block in sound("0", 160, 4)[:3]:
            await call.speak(block)
        call.vanish()

    await asyncio.gather(*(each() for each in (speaker, listener, caller) * 4), return_exceptions=True)


async def store_down(world: World) -> None:
    """Redis stands still, with its connections open, and goes on."""
    world.redis.pause()
    try:
        await asyncio.sleep(world.chance.uniform(0.5, 3.0))
    finally:
        world.redis.resume()


async def clock_jump(world: World) -> None:
    """The server's monotonic clock jumps forward, its wall clock forward and backward."""
    for seconds in (2, 7, 40):
        wall = world.chance.choice((-86_400, -60, 60, 86_400))
        await world.server.ask(f"/clock?monotonic={seconds}&wall={wall}")
        await asyncio.sleep(0.3)


async def kill(world: World) -> None:
    """The server is killed, and started again at its port after a moment."""
    world.server.kill()
    await asyncio.sleep(world.chance.uniform(0.0, 0.5))
    await world.server.start()


FAULTS: dict[str, Fault] = {
    each.__name__.replace("_", "-"): each
    for each in (ramp, flood, slow_reader, slow_writer, half_open, vanish, store_down, clock_jump, kill)
}
MORTAL = ("kill",)
"""After these, what the process held before says nothing about its memory."""

"""The client drivers over real sockets, asynchronous and blocking, against our servers and hand-made ones."""

import asyncio
import json
import threading
from contextlib import aclosing, contextmanager

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidURI

from flowstorm_channel import (
    ClosedEvent,
    ConnectionFailedEvent,
    ConnectionLostEvent,
    Limits,
    ReadyEvent,
    RecognizedEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SocketV1Client,
    State,
    Timeouts,
)
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.websockets import async_events, events
from flowstorm_channel.events import InputAudioStreamOpenEvent
from tests.serving import run, serving


def make(address, **settings):
    settings = {"auto_start": True, **settings}
    return SocketV1Client(f"ws://{address}/socket", key="K", device_id="D", **settings)


class Person:
    """Says one thing after another, listens to the answers, and leaves."""

    def __init__(self, client, *words):
        self.client = client
        self.words = list(words)
        self.heard = []
        self.kinds = []

    def act(self, event):
        self.kinds.append(type(event))
        match event:
            case ResponseItemEvent():
                self.heard.append(event.response_item.text)
            case ResponseEvent():
                self.client.turn.finish_playback()
                if self.words:
                    self.client.say(self.words.pop(0))
            case SessionEndEvent():
                self.client.close()


@contextmanager
def in_a_thread(app):
    """A server in another thread, for clients that block."""
    ready, stop = threading.Event(), []
    address = []

    async def main():
        stopping = asyncio.Event()
        stop.append((asyncio.get_running_loop(), stopping))
        async with serving(app) as where:
            address.append(where)
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield address[0]
    finally:
        loop, stopping = stop[0]
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_under_asyncio(msgpack):
    async def main():
        async with serving(ChannelApp(example.dialogue)) as address:
            person = Person(make(address, msgpack=msgpack), "hello", "stop")
            async for event in async_events(person.client):
                person.act(event)
            assert person.heard[2:] == ["You said: hello", "Goodbye."]
            assert person.kinds[-1] is ClosedEvent
            assert person.client.closed

    run(main)


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_with_a_blocking_client(msgpack):
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        person = Person(make(address, msgpack=msgpack), "hello", "stop")
        for event in events(person.client):
            person.act(event)
    assert person.heard[2:] == ["You said: hello", "Goodbye."]
    assert person.kinds[-1] is ClosedEvent


def test_the_words_may_come_from_another_task():
    async def recogniser(sound):
        async for block in sound:
            yield f"{len(block)} bytes", True

    async def main():
        async with serving(ChannelApp(example.dialogue, recogniser=recogniser)) as address:
            client = make(address, auto_start=False)
            listening, spoken = asyncio.Event(), []

            async def microphone():
                client.start()
                await listening.wait()
                client.send_audio(bytes(320))

            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent():
                            task = asyncio.create_task(microphone())
                        case ResponseEvent():
                            client.turn.finish_playback()
                            if spoken:
                                break
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            listening.set()
                        case RecognizedEvent():
                            spoken.append(event.text)
            await task
            assert spoken == ["320 bytes"]

    run(main)


def test_it_connects_again_and_keeps_the_session():
    seen = []

    async def handler(socket):
        await socket.recv()
        await socket.send('{"type":"Ready"}')
        frame = json.loads(await socket.recv())
        seen.append(frame)
        if len(seen) == 1:
            await socket.send('{"type":"SessionStarted","sessionId":"kept"}')
            await socket.send('{"type":"Response","response":{"items":[]}}')
            await socket.close(1012)
        else:
            await socket.send('{"type":"SessionStarted","sessionId":"kept"}')
            await socket.send('{"type":"Response","response":{"items":[{"text":"welcome back"}]}}')
            await socket.wait_closed()

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            client = make(address, timeouts=Timeouts(reconnect=0.01))
            kinds = []
            async for event in async_events(client):
                kinds.append(type(event))
                match event:
                    case ReadyEvent() if ConnectionFailedEvent in kinds:
                        assert client.session_id == "kept"
                        client.say("again")
                    case ResponseEvent() if event.response.items:
                        client.close()
            assert [frame["type"] for frame in seen] == ["Input", "Request"]
            assert seen[1]["request"]["sessionId"] == "kept"

    run(main)


def refuse(events_of):
    """What a client is told when nobody answers; it gives up after the outage is announced."""
    client = SocketV1Client(
        "ws://127.0.0.1:1/socket", key="K", device_id="D", timeouts=Timeouts(reconnect=0.01, lost=0.03)
    )
    return client, events_of(client)


def test_nobody_there_is_told_and_tried_again_blocking():
    client, told = refuse(events)
    kinds = []
    for event in told:
        kinds.append(type(event))
        assert client.state is State.FAILED or isinstance(event, ClosedEvent)
        if isinstance(event, ConnectionLostEvent):
            client.close()
    assert kinds.count(ConnectionFailedEvent) >= 2
    assert kinds[-2:] == [ConnectionLostEvent, ClosedEvent]


def test_nobody_there_is_told_and_tried_again_under_asyncio():
    async def main():
        client, told = refuse(async_events)
        kinds = []
        async for event in told:
            kinds.append(type(event))
            if isinstance(event, ConnectionLostEvent):
                client.close()
        assert kinds.count(ConnectionFailedEvent) >= 2
        assert kinds[-2:] == [ConnectionLostEvent, ClosedEvent]

    run(main)


def test_a_refusal_over_http_gives_its_status():
    async def app(_, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    async def main():
        async with serving(app, lifespan="off") as address:
            client = make(address, timeouts=Timeouts(reconnect=None, lost=None))
            told = [event async for event in async_events(client)]
            assert told == [ConnectionFailedEvent(code=403, reason="HTTP 403")]

    run(main)
    with in_a_thread(app) as address:
        told = list(events(make(address, timeouts=Timeouts(reconnect=None, lost=None))))
    assert told == [ConnectionFailedEvent(code=403, reason="HTTP 403")]


def test_an_address_that_is_none_is_the_callers_mistake():
    async def main():
        async for _ in async_events(make("[")):
            pass

    with pytest.raises((InvalidURI, ValueError)):
        run(main)
    with pytest.raises((InvalidURI, ValueError)):
        list(events(make("[")))


def test_leaving_early_closes_the_connection():
    closed = []

    async def handler(socket):
        await socket.send('{"type":"Ready"}')
        await socket.wait_closed()
        closed.append(socket.close_code)

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            async with aclosing(async_events(make(address, auto_start=False))) as told:
                async for event in told:
                    assert event == ReadyEvent()
                    break
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, leave, address)

    def leave(address):
        told = events(make(address, auto_start=False))
        assert next(told) == ReadyEvent()
        told.close()

    run(main)
    assert closed == [1001, 1001]


def test_a_flood_is_read_no_faster_than_it_is_taken():
    async def handler(socket):
        await socket.recv()
        await socket.send('{"type":"Ready"}')
        for number in range(200):
            await socket.send(
                json.dumps({"type": "Recognized", "text": f"{number} " + "x" * 900, "isFinal": False})
            )
        await socket.send('{"type":"Error","text":"done"}')
        await socket.wait_closed()

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            client = make(
                address,
                auto_start=False,
                limits=Limits(queued_bytes=4000, message_bytes=2000, audio_bytes=2000),
            )
            texts = []
            async for event in async_events(client):
                if isinstance(event, RecognizedEvent):
                    texts.append(event.text.split()[0])
                elif len(texts) == 200:
                    client.close()
            assert texts == [str(number) for number in range(200)]

    run(main)


def test_a_consumer_can_be_cancelled_at_any_moment():
    async def main():
        async with serving(ChannelApp(example.dialogue)) as address:
            for _ in range(10):
                client = make(address, auto_start=False)
                ready = asyncio.Event()

                async def consume(client=client, ready=ready):
                    async with aclosing(async_events(client)) as told:
                        async for _ in told:
                            ready.set()

                task = asyncio.create_task(consume())
                await ready.wait()
                client.wake()  # in the very moment in which it is cancelled
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(main)


async def closes(_, writer):
    writer.close()


async def talks_nonsense(_, writer):
    writer.write(b"nonsense\r\n\r\n")
    writer.close()


async def hangs(reader, writer):
    await reader.read()
    writer.close()


@pytest.mark.parametrize("behaviour", [closes, talks_nonsense, hangs])
def test_a_handshake_that_fails_is_told_and_tried_again(behaviour):
    times = Timeouts(reconnect=0.01, lost=0.02)

    def blocking(address):
        client = make(address, timeouts=times)
        kinds = []
        for event in events(client, open_timeout=0.05):
            kinds.append(type(event))
            if isinstance(event, ConnectionLostEvent):
                client.close()
        return kinds

    async def main():
        async with await asyncio.start_server(behaviour, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            client = make(address, timeouts=times)
            kinds = []
            async for event in async_events(client, open_timeout=0.05):
                kinds.append(type(event))
                if isinstance(event, ConnectionLostEvent):
                    client.close()
            assert kinds[-2:] == [ConnectionLostEvent, ClosedEvent]
            assert ConnectionFailedEvent in kinds
            kinds = await asyncio.get_running_loop().run_in_executor(None, blocking, address)
            assert kinds[-2:] == [ConnectionLostEvent, ClosedEvent]

    run(main)


def test_headers_of_the_host_go_with_those_of_the_client():
    seen = []

    async def handler(socket):
        seen.append((socket.request.headers["Authorization"], socket.request.headers["X-Mine"]))
        await socket.close(1008)

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            client = make(address, headers=(("X-Mine", "1"),), timeouts=Timeouts(reconnect=None, lost=None))
            async with aclosing(async_events(client, additional_headers={"Authorization": "me"})) as told:
                assert [type(event) async for event in told] == [ConnectionFailedEvent]

    run(main)
    assert seen == [("me", "1")]

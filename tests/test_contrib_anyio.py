"""The anyio driver under trio and asyncio: over a transport in memory, and as an application of Hypercorn."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import SimpleNamespace

import anyio
import httpx
import hypercorn.asyncio
import hypercorn.trio
import pytest
import trio
from anyio.lowlevel import checkpoint
from hypercorn.config import Config

from flowstorm_channel import (
    Close,
    ClosedEvent,
    ConnectionFailedEvent,
    ConnectionLostEvent,
    Limits,
    ReadyEvent,
    RequestHead,
    ResponseEvent,
    ResponseItem,
    ResponseItemEvent,
    SocketV1Client,
    SocketV1Server,
    SocketV2Client,
    Timeouts,
)
from flowstorm_channel.contrib import fetch as fetching
from flowstorm_channel.contrib.anyio import ChannelApp, Driver, Fetcher, Service, fetch
from flowstorm_channel.contrib.host import Host
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.contrib.trio import open_events
from flowstorm_channel.events import TurnInterruptedEvent

BACKENDS = ("asyncio", "trio")
SOCKETS = sys.version_info >= (3, 11)
"""Whether the websockets library speaks trio: it does on the Pythons that it still supports."""

INIT = {
    "type": "Init",
    "key": "K",
    "deviceId": "D",
    "config": {"sendResponseItems": True, "sttInterimResults": True},
}
OPEN = {"type": "InputAudioStreamOpen"}

both = pytest.mark.parametrize("backend", BACKENDS)


def run(main, backend):
    """Run a coroutine function, with a bound on how long it may take."""

    async def bounded():
        with anyio.fail_after(20):
            await main()

    anyio.run(bounded, backend=backend)


def said(text):
    return {"type": "Input", "input": {"transcript": {"text": text}}}


class Memory:
    """A transport whose other end is the test."""

    def __init__(self):
        self.put_to_server, self.to_server = anyio.create_memory_object_stream(100)
        self.put_to_client, self.to_client = anyio.create_memory_object_stream(1000)
        self.slow = None

    async def receive(self):
        message = await self.to_server.receive()
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message):
        if self.slow is not None:
            await self.slow.wait()
        await self.put_to_client.send(message)

    def put(self, *messages):
        for message in messages:
            self.put_to_server.send_nowait(json.dumps(message) if isinstance(message, dict) else message)

    async def get(self):
        message = await self.to_client.receive()
        return json.loads(message) if isinstance(message, str) else message

    async def until(self, kind):
        found = []
        while not found or found[-1]["type"] != kind:
            found.append(await self.get())
        return found

    def close(self):
        for stream in (self.put_to_server, self.to_server, self.put_to_client, self.to_client):
            stream.close()


async def silent(_):
    return None


@asynccontextmanager
async def conversation(dialogue=silent, *, init=INIT, settings=None, kind=SocketV1Server, **functions):
    """A driver at work, Ready."""
    events = []
    wire = Memory()
    server = kind(**(settings or {}))
    driver = Driver(server, wire, Host(dialogue=dialogue, observe=events.append, **functions))
    talk = SimpleNamespace(
        wire=wire, server=server, driver=driver, events=events, over=driver.over, error=None
    )

    async def running():
        with anyio.CancelScope() as talk.scope:
            try:
                await driver.run()
            except Exception as error:
                talk.error = error

    async with anyio.create_task_group() as group:
        group.start_soon(running)
        wire.put(RequestHead(url="/socket"))
        assert (await wire.get()).status == 101
        if init is not None:
            wire.put(init)
            assert (await wire.get())["type"] == "Ready"
        yield talk
        with suppress(anyio.ClosedResourceError):
            wire.put(None)
        await driver.over.wait()
    assert server.closed
    wire.close()


def kinds(talk):
    return [type(event).__name__ for event in talk.events]


# ------------------------------------------------------------ what hosts do


@both
def test_a_conversation_with_a_deadline_in_it(backend):
    async def dialogue(turn):
        await anyio.sleep(0)
        yield f"You said {turn.text}."

    async def main():
        init = {**INIT, "config": {**INIT["config"], "silenceTimeout": 20}}
        async with conversation(dialogue, init=init, recogniser=hears) as talk:
            talk.wire.put(said("hello"))
            frames = await talk.wire.until("Response")
            assert [each["type"] for each in frames] == ["SessionStarted", "ResponseItem", "Response"]
            assert frames[1]["responseItem"]["text"] == "You said hello."
            talk.wire.put(OPEN)  # nothing is said, and the time for that runs out
            silence = await talk.wire.until("Response")
            assert silence[-2]["responseItem"]["text"] == "You said #silence."

    async def hears(sound):
        async for _ in sound:
            yield "", False  # pragma: no cover

    run(main, backend)


@both
def test_an_interruption_cancels_the_dialogue_and_withdraws_what_it_said(backend):
    ended = []

    async def dialogue(turn):
        yield f"{turn.number}"
        if turn.number == 1:
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(turn.number)

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.put(said("one"))
            await talk.wire.until("ResponseItem")
            talk.wire.put(said("two"))
            cut, item, done = [await talk.wire.get() for _ in range(3)]
            assert [cut["type"], item["responseItem"]["text"], done["type"]] == ["Response", "2", "Response"]
            assert ended == [1]
            assert any(isinstance(each, TurnInterruptedEvent) for each in talk.events)

    run(main, backend)


@both
def test_a_dialogue_that_is_interrupted_before_it_has_begun(backend):
    begun = []

    async def dialogue(turn):
        begun.append(turn.text)
        yield turn.text

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.put(said("one"), said("two"))
            while "Response" not in [each["type"] for each in await talk.wire.until("Response")][:-1]:
                if begun and begun[-1] == "two":
                    break
            assert begun[-1] == "two"

    run(main, backend)


@both
def test_speech_is_recognised_and_answered(backend):
    async def recogniser(sound):
        assert sound.config.stt_sample_rate
        async for block in sound:
            yield f"{len(block)} bytes", len(block) > 10

    async def dialogue(turn):
        return [f"I heard {turn.text}.", ResponseItem(text="Good.")]

    async def main():
        async with conversation(dialogue, recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10), bytes(20))
            frames = await talk.wire.until("Response")
            heard = [(each["text"], each["isFinal"]) for each in frames if each["type"] == "Recognized"]
            assert heard == [("10 bytes", False), ("20 bytes", True)]
            texts = [each["responseItem"]["text"] for each in frames if each["type"] == "ResponseItem"]
            assert texts == ["I heard 20 bytes.", "Good."]

    run(main, backend)


@both
def test_a_cancelled_stream_cancels_its_recogniser(backend):
    ended = []

    async def recogniser(sound):
        try:
            async for _ in sound:
                yield "…", False
            await anyio.sleep_forever()
        finally:
            ended.append(sound)

    async def main():
        async with conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10))
            await talk.wire.until("Recognized")
            talk.wire.put({"type": "InputAudioStreamCancel"}, said("text"))
            await talk.wire.until("Response")
            assert len(ended) == 1

    run(main, backend)


@both
def test_a_slow_client_slows_the_dialogue_down(backend):
    progress = []

    async def dialogue(_):
        for number in range(3):
            progress.append(number)
            yield str(number)

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.slow = anyio.Event()
            talk.wire.put(said("text"))
            for _ in range(50):
                await checkpoint()
            assert progress == [0]
            talk.wire.slow.set()
            await talk.wire.until("Response")
        assert progress == [0, 1, 2]

    run(main, backend)


@both
def test_reading_stops_while_too_much_waits_for_the_host(backend):
    async def main():
        answer = anyio.Event()

        async def authorise(_):
            await answer.wait()

        limits = Limits(queued_bytes=2000, message_bytes=1000, audio_bytes=1000)
        async with conversation(authorise=authorise, init=None, settings={"limits": limits}) as talk:
            talk.wire.put(INIT, *[said(f"{number} " + "x" * 200) for number in range(20)])
            for _ in range(100):
                await checkpoint()
            assert talk.server.full
            assert talk.wire.to_server.statistics().current_buffer_used
            answer.set()
            while kinds(talk).count("InputEvent") < 20:
                await talk.wire.get()

    run(main, backend)


@both
def test_whoever_floods_does_not_keep_the_others_waiting(backend):
    async def main():
        others = []

        async def other():
            while True:
                others.append(len(talk.events))
                await checkpoint()

        async with conversation() as talk, anyio.create_task_group() as group:
            group.start_soon(other)
            talk.wire.put(*[b""] * 90)
            while talk.wire.to_server.statistics().current_buffer_used:
                await checkpoint()
            group.cancel_scope.cancel()
        assert len(others) > 3

    run(main, backend)


# ------------------------------------------------------------ what goes wrong with them


@both
def test_a_dialogue_that_fails_apologises(backend, caplog):
    async def dialogue(_):
        raise ValueError("no plan")

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            frames = await talk.wire.until("SessionEnded")
            assert frames[1]["responseItem"]["text"] == "Something went wrong."

    run(main, backend)
    assert "no plan" in caplog.text


class Impatient(SocketV1Server):
    """Its clients do not wait for long, as those of webhooks."""

    patience = 0.02


@both
@pytest.mark.parametrize("refusal", ["Who are you?", None, "slow"])
def test_authorisation(backend, refusal, caplog):
    async def authorise(init):
        assert init.key == "K"
        if refusal == "slow":
            await anyio.sleep_forever()
        return refusal

    async def main():
        async with conversation(authorise=authorise, init=None, kind=Impatient) as talk:
            talk.wire.put(INIT)
            answer = await talk.wire.get()
            if refusal is None:
                assert answer["type"] == "Ready"
            else:
                told = {"slow": "Something went wrong."}.get(refusal, refusal)
                assert (answer["type"], answer["text"]) == ("Error", told)

    run(main, backend)
    assert ("longer than the client waits" in caplog.text) == (refusal == "slow")


@both
@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(), RuntimeError("disconnected"), anyio.EndOfStream(), trio.BrokenResourceError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("end", ["receive", "send"])
def test_a_transport_that_breaks_is_an_end(backend, error, end):
    ended = []

    async def dialogue(_):
        try:
            yield "begin"
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            await talk.wire.until("ResponseItem")

            async def broken(_):
                raise error

            if end == "send":
                talk.wire.send = broken
                talk.wire.put(said("again"))
            else:
                talk.wire.put(error)
            await talk.over.wait()
            assert talk.error is None
            assert kinds(talk)[-1] == "ClosedEvent"
        assert ended == [True] * len(ended)
        assert ended

    run(main, backend)


@both
def test_an_error_of_the_transport_itself_is_raised(backend):
    async def main():
        async with conversation() as talk:
            talk.wire.put(KeyError("a bug in the transport"))
            await talk.over.wait()
            await checkpoint()
            assert isinstance(talk.error, KeyError)

    run(main, backend)


@both
def test_the_host_closes(backend):
    async def main():
        async with conversation() as talk:
            talk.driver.close(1001, "restart")
            assert await talk.wire.get() == Close(1001, "restart")
            await talk.over.wait()
        assert kinds(talk)[-1] == "ClosedEvent"

    run(main, backend)


@both
@pytest.mark.parametrize("reads", [True, False])
def test_a_driver_that_is_cancelled_tells_the_client(backend, reads, monkeypatch):
    monkeypatch.setattr("flowstorm_channel.contrib.anyio.driver._LAST_WORDS", 0.05)
    ended = []

    async def dialogue(_):
        try:
            yield "begin"
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def main():
        async with conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            await talk.wire.until("ResponseItem")
            if not reads:
                talk.wire.slow = anyio.Event()
            talk.scope.cancel()
            await talk.over.wait()
            if reads:
                frames = [await talk.wire.get()]
                while not isinstance(frames[-1], Close):
                    frames.append(await talk.wire.get())
                assert frames[-1].code == 1001
        assert ended == [True]

    run(main, backend)


@both
def test_a_task_that_fails_is_logged_and_takes_nothing_along(backend, caplog, monkeypatch):
    async def fails(*_):
        raise RuntimeError("a bug of the driver")

    async def main():
        monkeypatch.setattr(Driver, "_answer", fails)
        async with conversation() as talk:
            talk.wire.put(said("text"))
            assert (await talk.wire.get())["type"] == "SessionStarted"
            talk.wire.put(said("text"))
            await talk.wire.until("Response")

    run(main, backend)
    assert "a bug of the driver" in caplog.text


# ------------------------------------------------------------ fetching


@both
def test_one_fetch_serves_all_who_ask(backend):
    asked = []

    async def slowly(url):
        asked.append(url)
        await anyio.sleep(0.01)
        return url.encode()

    async def main():
        found = []
        fetcher = Fetcher(slowly)

        async def ask():
            found.append(await fetcher("https://a/"))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
        assert found == [b"https://a/"] * 3
        assert asked == ["https://a/"]

    run(main, backend)


@both
def test_who_has_gone_still_fetches_for_the_others(backend):
    async def main():
        begun, go_on, found = anyio.Event(), anyio.Event(), []

        async def slowly(_):
            begun.set()
            await go_on.wait()
            return b"key"

        fetcher = Fetcher(slowly)

        async def ask():
            found.append(await fetcher("https://a/"))

        async with anyio.create_task_group() as group, anyio.create_task_group() as gone:
            gone.start_soon(fetcher, "https://a/")
            await begun.wait()
            group.start_soon(ask)
            await checkpoint()
            gone.cancel_scope.cancel()
            go_on.set()
        assert found == [b"key"]

    run(main, backend)


@both
def test_what_cannot_be_fetched_is_nothing(backend, monkeypatch):
    monkeypatch.setattr(fetching, "SECONDS", 0.01)

    async def never(_):
        await anyio.sleep_forever()

    async def main():
        assert await Fetcher(never)("https://a/") is None
        assert await Fetcher(fetch)("http://plain/") is None

    run(main, backend)


# ------------------------------------------------------------ an application of Hypercorn


@asynccontextmanager
async def serving(app, backend):
    """Run an ASGI application; gives ``127.0.0.1:port``."""
    serve = hypercorn.trio.serve if backend == "trio" else hypercorn.asyncio.serve
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.errorlog = None
        config.graceful_timeout = 0.5
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(serve, app, config, shutdown_trigger=stop.wait))
            yield "{}:{}".format(*_address(config))
            stop.set()


def _address(config):
    fd = int(config.bind[0].removeprefix("fd://"))
    with socket.socket(fileno=fd) as listener:
        address = listener.getsockname()
        listener.detach()
    return address


async def echo(turn):
    await anyio.sleep(0)
    yield f"You said {turn.text}."
    if turn.text == "stop":
        turn.finish(session_ended=True)


def make(channel, address, **settings):
    settings = {"auto_start": True, "key": "K", "device_id": "D", **settings}
    if channel == "V1":
        return SocketV1Client(f"ws://{address}/socket", **settings)
    return SocketV2Client(f"http://{address}/client", **settings)


def options_of(client):
    """Nothing is encrypted here, and the certificates of the world take longer to load than most tests."""
    return {"verify": False, "trust_env": False} if isinstance(client, SocketV2Client) else {"proxy": None}


async def talk(client, *words, events=None):
    """Say one thing after another; what was answered."""
    heard, left = [], list(words)
    async with open_events(client, **options_of(client)) as told:
        async for event in told:
            if events is not None:
                events.append(event)
            if isinstance(event, ResponseItemEvent):
                heard.append(event.response_item.text)
            elif isinstance(event, ResponseEvent):
                client.finish_playback()
                if left:
                    client.say(left.pop(0))
                else:
                    client.close()
    return heard


CLIENTS = [*([("trio", "V1")] if SOCKETS else []), ("trio", "V2"), ("asyncio", "V2")]


@pytest.mark.parametrize(("backend", "channel"), CLIENTS, ids=[" ".join(each) for each in CLIENTS])
@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_over_sockets(backend, channel, msgpack):
    async def main():
        async with serving(ChannelApp(echo), backend) as address:
            client = make(channel, address, msgpack=msgpack)
            events = []
            heard = await talk(client, "hello", "stop", events=events)
            assert heard == ["You said #intro.", "You said hello.", "You said stop."]
            assert type(events[-1]) is ClosedEvent
            assert client.closed
            assert client.wake is None

    run(main, backend)


def test_what_is_not_served_is_refused_under_trio():
    async def main():
        async with serving(ChannelApp(echo), "trio") as address:
            host, port = address.split(":")
            for path, status in (("/elsewhere", 404), ("/socket", 426), ("/alexa", 503)):
                stream = await trio.open_tcp_stream(host, int(port))
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
                assert (await stream.receive_some()).startswith(f"HTTP/1.1 {status} ".encode())
                await stream.aclose()

    run(main, "trio")


def test_a_store_is_closed_with_the_application():
    closed = []

    class Store(MemoryStore):
        async def close(self):
            closed.append(True)

    async def main():
        async with serving(ChannelApp(echo, store=Store()), "asyncio") as address:
            assert await talk(make("V2", address), "hello") == ["You said #intro.", "You said hello."]

    run(main, "asyncio")
    assert closed == [True]


@both
def test_a_service_that_closes_waits_until_all_have_been_told(backend):
    async def main():
        service = Service(silent)
        wires = [Memory(), Memory()]
        async with anyio.create_task_group() as group:
            for wire in wires:
                wire.put(RequestHead(url="/socket"))
                group.start_soon(service.serve_socket, "/socket", wire)
                assert (await wire.get()).status == 101
            await service.aclose()
            for wire in wires:
                assert (wire.to_client.receive_nowait()).code == 1001
                wire.close()

    run(main, backend)


# ------------------------------------------------------------ clients


def test_leaving_early_ends_all_that_the_client_has_begun():
    async def main():
        async with serving(ChannelApp(echo), "trio") as address:
            client = make("V2", address)
            async with open_events(client, **options_of(client)) as told:
                assert type(await told.__anext__()) is ReadyEvent
                assert client.exchanges

    run(main, "trio")


@both
def test_what_goes_wrong_while_events_are_held_is_raised_as_it_is(backend):
    async def main():
        async with serving(ChannelApp(echo), backend) as address:
            client = make("V2", address)
            try:
                async with open_events(client, **options_of(client)) as told:
                    async for _ in told:
                        raise ZeroDivisionError
            except ZeroDivisionError:  # and no group of one
                caught.append(True)

    caught = []
    run(main, backend)
    assert caught


@both
def test_an_address_that_is_none_is_the_callers_mistake(backend):
    async def main():
        client = SocketV2Client("ftp://nowhere/", key="K", device_id="D", auto_start=True)
        async with open_events(client, **options_of(client)) as told:
            async for _ in told:
                pass

    with pytest.raises(httpx.UnsupportedProtocol):
        run(main, backend)


def failing(behaviour):
    """A server that treats each connection in its own way; for ``with``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                if behaviour == "hangs":
                    connection.recv(65536)
                    connection.recv(65536)
                elif behaviour == "talks nonsense":
                    connection.recv(65536)
                    connection.sendall(b"nonsense\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    return listener


if SOCKETS:
    from websockets.trio.server import serve as serve_websockets

    from flowstorm_channel.contrib.websockets import handler, select_subprotocol

    @pytest.mark.parametrize("behaviour", ["closes", "talks nonsense", "hangs"])
    def test_a_handshake_that_fails_is_told_and_tried_again(behaviour):
        async def main():
            client = make("V1", address, timeouts=Timeouts(reconnect=0.01, lost=0.05))
            told = []
            async with open_events(client, open_timeout=0.05, proxy=None) as events:
                async for event in events:
                    told.append(type(event))
                    if isinstance(event, ConnectionLostEvent):
                        client.close()
            assert told[-2:] == [ConnectionLostEvent, ClosedEvent]
            assert ConnectionFailedEvent in told

        with failing(behaviour) as listener:
            address = "{}:{}".format(*listener.getsockname())
            run(main, "trio")

    @asynccontextmanager
    async def on_websockets(service):
        """Serve V1 over the `websockets` library; gives ``127.0.0.1:port``."""
        quiet = logging.getLogger("quiet")
        settings = {"host": "127.0.0.1", "select_subprotocol": select_subprotocol, "logger": quiet}
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websockets, handler(service), 0, **settings))
            yield "{}:{}".format(*server.listeners[0].socket.getsockname())
            await server.aclose()

    @pytest.mark.parametrize("msgpack", [False, True])
    def test_a_server_on_websockets_under_trio(msgpack):
        async def main():
            async with on_websockets(Service(echo)) as address:
                heard = await talk(make("V1", address, msgpack=msgpack), "hello")
                assert heard == ["You said #intro.", "You said hello."]

        run(main, "trio")

    def test_leaving_early_closes_the_connection():
        seen = []

        async def main():
            async with on_websockets(Service(echo, observe=seen.append)) as address:
                async with open_events(make("V1", address), proxy=None) as told:
                    assert type(await told.__anext__()) is ReadyEvent
                while not (seen and isinstance(seen[-1], ClosedEvent)):
                    await anyio.sleep(0.002)
            assert seen[-1].code == 1001

        run(main, "trio")

    def test_a_client_on_websockets_that_vanishes():
        seen = []

        async def main():
            async with on_websockets(Service(silent, observe=seen.append)) as address:
                host, port = address.split(":")
                stream = await trio.open_tcp_stream(host, int(port))
                key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"
                head = (
                    f"GET /socket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}"
                )
                await stream.send_all(f"{head}\r\n\r\n".encode())
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
                await stream.aclose()
                while not (seen and isinstance(seen[-1], ClosedEvent)):
                    await anyio.sleep(0.002)
            assert seen[-1].code == 1006

        run(main, "trio")

    def test_a_path_on_websockets_that_is_not_served():
        async def main():
            async with on_websockets(Service(silent)) as address:
                client = SocketV1Client(
                    f"ws://{address}/elsewhere",
                    key="K",
                    device_id="D",
                    timeouts=Timeouts(reconnect=None, lost=None),
                )
                async with open_events(client, proxy=None) as told:
                    failed = [event async for event in told if isinstance(event, ConnectionFailedEvent)]
                assert (failed[0].code, failed[0].reason) == (1008, "HTTP 403")

        run(main, "trio")

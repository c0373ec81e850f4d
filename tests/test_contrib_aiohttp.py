"""Servers and clients of aiohttp over real sockets: with each other, and with those who know no channels."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

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
    SocketV2Client,
    Timeouts,
)
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.aiohttp import Channels, async_events
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.events import ErrorEvent, InputAudioStreamOpenEvent, TurnInterruptedEvent
from tests.serving import run

SOON = 5.0
PUT = "PUT /client?key=K&deviceId=D HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n"
INIT = '{"type":"Init","key":"K","deviceId":"D","config":{"sendResponseItems":true}}'

channels_of_both = pytest.mark.parametrize("channel", ["V1", "V2"])


def said(text):
    return json.dumps({"type": "Input", "input": {"transcript": {"text": text}}})


@asynccontextmanager
async def serving(channels, prefix=""):
    """An application of aiohttp with these channels; gives ``127.0.0.1:port``."""
    app = web.Application()
    channels.setup(app, prefix)
    async with running(app) as address:
        yield address


@asynccontextmanager
async def running(app):
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


def make(channel, address, prefix="", **settings):
    settings = {"auto_start": True, "key": "K", "device_id": "D", **settings}
    if channel == "V1":
        return SocketV1Client(f"ws://{address}{prefix}/socket", **settings)
    return SocketV2Client(f"http://{address}{prefix}/client", **settings)


class Person:
    """Says one thing after another, listens to the answers, and leaves."""

    def __init__(self, client, *words):
        self.client = client
        self.words = list(words)
        self.heard = []
        self.told = []

    def act(self, event):
        self.told.append(event)
        match event:
            case ResponseItemEvent():
                self.heard.append(event.response_item.text)
            case ResponseEvent():
                self.client.finish_playback()
                if self.words:
                    self.client.say(self.words.pop(0))
                else:
                    self.client.close()
            case ConnectionFailedEvent() | ErrorEvent():
                self.client.close()

    async def talk(self):
        async with aclosing(async_events(self.client)) as told:
            async for event in told:
                self.act(event)
        return self


async def until(condition):
    """Wait for what has no event of its own."""

    async def poll():
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(poll(), SOON)


@asynccontextmanager
async def raw(address, request):
    """A connection with something sent on it."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    try:
        writer.write(request)
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


class Dialogue:
    """Begins to say something, and goes on when it is let, or for ever; notes what becomes of it."""

    def __init__(self):
        self.cancelled = []

    async def __call__(self, turn):
        try:
            if turn.text == "chatter":
                while True:
                    yield "and on " * 1000
            yield f"{turn.number}: {turn.text}"
            if turn.text == "long":
                await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(turn.text)
            raise


# ------------------------------------------------------------ conversations


@channels_of_both
@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation(channel, msgpack):
    async def main():
        async with serving(Channels(example.dialogue), "/voice") as address:
            client = make(channel, address, "/voice", msgpack=msgpack)
            person = await Person(client, "hello", "stop").talk()
            assert person.heard[2:] == ["You said: hello", "Goodbye."]
            assert type(person.told[-1]) is ClosedEvent
            assert client.wake is None

    run(main)


@channels_of_both
def test_speech(channel):
    async def recogniser(sound):
        heard = 0
        async for block in sound:
            heard += len(block)
            yield f"{heard} bytes", heard >= 640
            if heard >= 640:
                return

    async def main():
        async with serving(Channels(example.dialogue, recogniser=recogniser)) as address:
            client = make(channel, address)
            heard = []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ResponseEvent() if len(heard) == 2:  # it has been greeted
                            client.finish_playback()
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            client.send_audio(bytes(320))
                            client.send_audio(bytes(320))
                        case ResponseItemEvent():
                            heard.append(event.response_item.text)
                        case ResponseEvent():
                            client.close()
                        case RecognizedEvent():
                            heard.append(event.is_final)
            assert heard[-1] == "You said: 640 bytes"

    run(main)


@channels_of_both
def test_an_interruption_cancels_the_dialogue(channel):
    dialogue = Dialogue()

    async def main():
        async with serving(Channels(dialogue)) as address:
            client = make(channel, address, auto_start=False)
            heard = []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent():
                            client.say("long")
                        case ResponseItemEvent():
                            heard.append(event.response_item.text)
                            if len(heard) == 1:
                                client.say("enough")
                        case TurnInterruptedEvent():
                            heard.append("interrupted")
                        case ResponseEvent() if len(heard) >= 3:
                            client.close()
            assert heard[1] == "interrupted"
            assert heard[2].endswith(": enough")
            await until(lambda: dialogue.cancelled == ["long"])

    run(main)


@channels_of_both
def test_authorisation_refuses(channel):
    async def authorise(init):
        return f"{init.key} is not known"

    async def main():
        async with serving(Channels(Dialogue(), authorise=authorise)) as address:
            person = await Person(make(channel, address)).talk()
            texts = [each.text for each in person.told if isinstance(each, ErrorEvent)]
            failed = [each.code for each in person.told if isinstance(each, ConnectionFailedEvent)]
            assert texts == ["K is not known"] or failed == [403]

    run(main)


@channels_of_both
def test_a_dialogue_that_raises_apologises(channel, caplog):
    async def dialogue(_):
        raise ValueError("no plan")

    async def main():
        async with serving(Channels(dialogue)) as address:
            person = await Person(make(channel, address)).talk()
            assert "Something went wrong." in [*person.heard, *_errors(person.told)]

    run(main)
    assert "no plan" in caplog.text


def _errors(told):
    return [each.text for each in told if isinstance(each, ErrorEvent)]


# ------------------------------------------------------------ what else a server does


def test_platforms_answer():
    async def main():
        channels = Channels(
            Dialogue(),
            alexa=Alexa(allow_unsigned=True),
            google=GoogleAssistant(allow_unsigned=True),
            twilio=Twilio(allow_unsigned=True, public_url="https://here.example"),
        )
        async with serving(channels) as address, aiohttp.ClientSession(f"http://{address}") as http:
            call = await http.post(
                "/call", data={"CallSid": "CA1", "AccountSid": "AC1", "From": "+1", "To": "+2"}
            )
            assert call.status == 200
            assert "wss://here.example/call" in await call.text()
            for path in ("/alexa", "/google/"):
                answer = await http.post(path, data=b"{}")
                assert answer.status == 400
            async with http.ws_connect("/call") as socket:
                await socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')

    run(main)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/socket", 426), ("/socket/", 426), ("/alexa", 503), ("/call", 503), ("/other", 404)],
)
def test_what_is_not_served(path, status):
    async def main():
        async with serving(Channels(Dialogue())) as address, aiohttp.ClientSession() as http:
            answer = await http.get(f"http://{address}{path}")
            assert answer.status == status
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"http://{address}{'/alexa' if status == 426 else path}")
            assert refused.value.status == (404 if status == 404 else 403)

    run(main)


def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent():
    async def main():
        async with serving(Channels(Dialogue())) as address:
            head = "PUT /client HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n"
            refused = f"{head}Expect: 100-continue\r\n\r\n".encode()
            async with raw(address, refused) as (reader, _):
                assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")  # who speaks is missing
            head = head.replace("/client", "/client?key=K&deviceId=D")
            async with raw(address, f"{head}Expect: 100-continue\r\n\r\n".encode()) as (reader, writer):
                assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
                writer.write(b"text")
                await reader.readline()
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            async with raw(address, f"{head}Expect: miracles\r\n\r\n".encode()) as (reader, _):
                assert (await reader.readline()).startswith(b"HTTP/1.1 417 ")

    run(main)


def test_a_message_that_is_too_long_ends_the_connection():
    async def main():
        channels = Channels(Dialogue(), limits=Limits(message_bytes=1000, audio_bytes=1000))
        async with (
            serving(channels) as address,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"http://{address}/socket") as socket,
        ):
            await socket.send_str("x" * 2000)
            assert (await socket.receive()).data == 1009

    run(main)


def test_a_socket_that_vanishes_cancels_its_dialogue():
    dialogue, events = Dialogue(), []

    async def main():
        async with serving(Channels(dialogue, observe=events.append)) as address:
            async with aiohttp.ClientSession() as http:
                socket = await http.ws_connect(f"http://{address}/socket")
                await socket.send_str(INIT)
                await socket.send_str(said("long"))
                while "ResponseItem" not in (await socket.receive()).data:
                    pass
                socket._response.connection.transport.abort()
            await until(lambda: dialogue.cancelled == ["long"])
            await until(lambda: isinstance(events[-1], ClosedEvent))

    run(main)


def test_a_request_that_vanishes_cancels_its_dialogue():
    dialogue = Dialogue()
    head = f"{PUT}Content-Length: 4\r\n"

    async def main():
        async with serving(Channels(dialogue)) as address:
            async with raw(address, f"{head}\r\nlong".encode()) as (reader, writer):
                await reader.readuntil(b": long")
                writer.transport.abort()
            await until(lambda: dialogue.cancelled == ["long"])

    run(main)


def test_a_request_that_breaks_off_in_its_body():
    channels = Channels(Dialogue())
    head = f"{PUT}Content-Length: 9\r\n"

    async def main():
        async with serving(channels) as address:
            async with raw(address, f"{head}\r\nlong".encode()):
                await until(lambda: channels._drivers)
            await until(lambda: not channels._drivers)

    run(main)


@channels_of_both
def test_a_client_that_does_not_read_slows_the_dialogue_down(channel):
    said_so_far = []

    async def dialogue(turn):
        for number in range(10_000):
            said_so_far.append(number)
            yield f"{turn.text} " * 2000

    async def main():
        async with serving(Channels(dialogue)) as address:
            if channel == "V1":
                key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"
                head = "GET /socket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                begin = f"{head}{key}\r\n\r\n".encode() + b"".join(
                    masked(each) for each in (INIT, said("more"))
                )
            else:
                begin = f"{PUT}Content-Length: 4\r\n\r\nmore".encode()
            async with raw(address, begin) as (reader, writer):
                writer.transport.pause_reading()
                await until(lambda: len(said_so_far) > 10)
                before = -1
                while before != len(said_so_far):
                    before = len(said_so_far)
                    await asyncio.sleep(0.05)
                assert before < 5_000
                writer.transport.resume_reading()
                while len(said_so_far) == before:
                    assert await reader.read(1_000_000)

    run(main)


def masked(text):
    """A text message of a client."""
    data = text.encode()
    assert 125 < len(data) < 65536 or len(data) < 126
    length = bytes((0x80 | len(data),)) if len(data) < 126 else bytes((0xFE,)) + len(data).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + data


def test_a_server_that_shuts_down_tells_its_clients():
    dialogue = Dialogue()
    closed = []

    class Store(MemoryStore):
        async def close(self):
            closed.append(True)

    async def main():
        async with aiohttp.ClientSession() as http:
            async with serving(Channels(dialogue, store=Store())) as address:
                socket = await http.ws_connect(f"http://{address}/socket")
                await socket.send_str(INIT)
                await socket.send_str(said("long"))
                while "ResponseItem" not in (await socket.receive()).data:
                    pass
            frames = [await socket.receive()]
            while frames[-1].type is aiohttp.WSMsgType.TEXT:
                frames.append(await socket.receive())
            assert frames[-1].data == 1001
            assert dialogue.cancelled == ["long"]
            assert closed == [True]

    run(main)


# ------------------------------------------------------------ clients


@channels_of_both
def test_nobody_there(channel):
    async def main():
        client = make(channel, "127.0.0.1:1", timeouts=Timeouts(reconnect=0.01, lost=0.03))
        kinds = []
        async with aclosing(async_events(client)) as told:
            async for event in told:
                kinds.append(type(event))
                if isinstance(event, ConnectionLostEvent) or (
                    channel == "V2" and isinstance(event, ConnectionFailedEvent)
                ):
                    client.close()
        assert ConnectionFailedEvent in kinds
        assert kinds[-1] is ClosedEvent

    run(main)


def test_a_refusal_over_http_gives_its_status():
    async def main():
        async with serving(Channels(Dialogue())) as address:
            client = SocketV1Client(
                f"ws://{address}/call", key="K", device_id="D", timeouts=Timeouts(reconnect=None, lost=None)
            )
            told = [event async for event in async_events(client)]
            assert told == [ConnectionFailedEvent(code=403, reason="HTTP 403")]

    run(main)


@pytest.mark.parametrize("url", ["ws://[/socket", "ftp://here/client"])
def test_an_address_that_is_none_is_the_callers_mistake(url):
    async def main():
        kind = SocketV1Client if url.startswith("ws") else SocketV2Client
        async for _ in async_events(kind(url, key="K", device_id="D", auto_start=True)):
            pass

    with pytest.raises((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        run(main)


@channels_of_both
def test_leaving_early_lets_the_server_know(channel):
    dialogue = Dialogue()

    async def main():
        async with serving(Channels(dialogue)) as address:
            client = make(channel, address, auto_start=False)
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    if isinstance(event, ReadyEvent):
                        client.say("long")
                    elif isinstance(event, ResponseItemEvent):
                        break
            await until(lambda: dialogue.cancelled == ["long"])

    run(main)


def test_it_connects_again_and_keeps_the_session():
    seen = []

    async def handler(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str('{"type":"Ready"}')
        frame = json.loads((await socket.receive()).data)
        seen.append(frame["type"])
        await socket.send_str('{"type":"SessionStarted","sessionId":"kept"}')
        await socket.send_str('{"type":"Response","response":{"items":[]}}')
        if len(seen) == 1:
            await socket.close(code=1012)
        else:
            await socket.receive()
        return socket

    async def main():
        app = web.Application()
        app.router.add_get("/socket", handler)
        async with running(app) as address:
            client = make("V1", address, timeouts=Timeouts(reconnect=0.01))
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent() if seen:
                            assert client.session_id == "kept"
                            client.say("again")
                        case ResponseEvent() if len(seen) == 2:
                            client.close()
        assert seen == ["Input", "Request"]

    run(main)


@channels_of_both
def test_a_flood_is_read_no_faster_than_it_is_taken(channel):
    async def dialogue(turn):
        for number in range(200):
            yield f"{number} " + "x" * 900
        turn.finish(session_ended=True)

    async def main():
        limits = Limits(queued_bytes=4000, message_bytes=2000, audio_bytes=2000)
        async with serving(Channels(dialogue)) as address:
            client = make(channel, address, limits=limits)
            texts = []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    if isinstance(event, ResponseItemEvent):
                        texts.append(event.response_item.text.split()[0])
                    elif isinstance(event, (SessionEndEvent, ResponseEvent)):
                        client.close()
            assert texts == [str(number) for number in range(200)]

    run(main)

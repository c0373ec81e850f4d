"""The client drivers over HTTP, asynchronous and blocking, against our servers and hand-made ones."""

import asyncio
import gc
import json
import logging
import socket
import threading
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial

import httpx
import pytest

from flowstorm_channel import (
    ClosedEvent,
    ConnectionFailedEvent,
    Limits,
    ReadyEvent,
    ResponseEvent,
    ResponseItemEvent,
    State,
    Timeouts,
    TooLateError,
)
from flowstorm_channel.cli import example
from flowstorm_channel.contrib import httpx as driver
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.events import (
    ErrorEvent,
    FaultEvent,
    InputAudioStreamOpenEvent,
    RecognizedInputEvent,
    SessionStartEvent,
    TurnInterruptedEvent,
)
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.values import LogEntry
from tests.serving import run, serving

# Nothing is encrypted here, and the certificates of the world take longer to load than most tests.
events = partial(driver.events, verify=False)
async_events = partial(driver.async_events, verify=False)

SOON = 5.0
COOKIE = "flowstorm-session-id"


@pytest.fixture(autouse=True)
def complaints(monkeypatch):
    """What servers, loops and tasks log as errors; a test takes out what it expects."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    handler = Handler(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "asyncio", "flowstorm_channel")]
    for each in loggers:
        each.addHandler(handler)
    yield found
    for each in loggers:
        each.removeHandler(handler)
    assert found == []


def make(address, **settings):
    return SocketV2Client(f"http://{address}/client", key="K", device_id="D", **settings)


async def until(condition):
    """Wait for what has no event of its own."""

    async def poll():
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(poll(), SOON)


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
            case ReadyEvent() if not self.client.auto_start:
                self.go_on()
            case ResponseItemEvent():
                self.heard.append(event.response_item.text)
            case ResponseEvent():
                self.heard += [item.text for item in event.response.items]
                self.client.finish_playback()
                self.go_on()
            case ConnectionFailedEvent():
                self.client.close()

    def go_on(self):
        if self.words:
            self.client.say(self.words.pop(0))
        else:
            self.client.close()

    async def talk(self, **options):
        async with aclosing(async_events(self.client, **options)) as told:
            async for event in told:
                self.act(event)
        return self

    def talk_blocking(self, **options):
        for event in events(self.client, **options):
            self.act(event)
        return self


async def heard_from(client, **options):
    """All that is told until the first answer, or failure, with the client closed then."""
    return (await Person(client, "hello").talk(**options)).told


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


# ------------------------------------------------------------ a server by hand


class Asked:
    """A request that came to a server by hand, and the connection it came over."""

    def __init__(self, head, reader, writer):
        first, *lines = head.decode().rstrip().split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._reader, self._writer = reader, writer
        self._left = int(self.headers.get("content-length", 0))
        self._chunked = self.headers.get("transfer-encoding") == "chunked"

    async def piece(self):
        """The next piece of the body, empty at its end."""
        if not self._chunked:
            piece = await self._reader.read(self._left)
            self._left -= len(piece)
            return piece
        size = int(await self._reader.readline(), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def body(self):
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, *parts, status="200 OK", headers=(), kind="application/json"):
        """A whole response, the length of its body told; parts are events, or bytes."""
        body = b"".join(part if isinstance(part, bytes) else line(part) for part in parts)
        lines = [f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
        await self.send(head_of(status, *lines) + body)

    async def gone(self):
        """Wait until the client has given the connection up."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def reset(self):
        self._writer.transport.abort()


def head_of(status, *lines):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def line(event):
    return json.dumps(event).encode() + b"\n"


def item(text):
    return {"type": "ResponseItem", "responseItem": {"text": text}}


def response(**members):
    return {"type": "Response", "response": {"items": [], **members}}


CLOSE = "Connection: close"
JSON = "Content-Type: application/json"


class Server:
    """Counts what comes in and what goes on."""

    def __init__(self, handler):
        self.handler = handler
        self.seen = []
        self.tasks = set()
        self.most = 0
        self.address = ""

    @property
    def connections(self):
        return len(self.tasks)

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.most = max(self.most, len(self.tasks))
        try:
            while True:
                asked = Asked(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                self.seen.append(asked)
                if await self.handler(asked) is CLOSE:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def by_hand(handler, at=None):
    """A server whose answers a handler writes; in the end no connection to it may be left."""
    server = Server(handler)
    where = {"host": "127.0.0.1", "port": 0} if at is None else {"sock": at}
    async with await asyncio.start_server(server.serve, **where) as listener:
        server.address = "{}:{}".format(*listener.sockets[0].getsockname())
        yield server
        await until(lambda: not server.tasks)


@asynccontextmanager
async def running(app):
    """A real server that has begun already, and of which nothing may be left of what was asked of it."""
    async with serving(app) as address:
        async with httpx.AsyncClient(verify=False) as http:
            await http.get(f"http://{address}/elsewhere", headers={"Connection": "close"})
        async with nothing_left():
            yield address


@asynccontextmanager
async def nothing_left():
    """No task may be left of what goes on inside."""
    before = asyncio.all_tasks()
    yield
    loop = asyncio.get_running_loop()
    late = loop.time() + SOON
    while asyncio.all_tasks() - before and loop.time() < late:
        await asyncio.sleep(0.002)
    assert asyncio.all_tasks() - before == set()


# ------------------------------------------------------------ conversations


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_under_asyncio(msgpack):
    async def main():
        async with running(ChannelApp(example.dialogue)) as address:
            client = make(address, msgpack=msgpack, auto_start=True)
            person = await Person(client, "hello", "stop").talk()
            assert person.heard[2:] == ["You said: hello", "Goodbye."]
            assert type(person.told[-1]) is ClosedEvent
            assert client.closed
            assert client.wake is None

    run(main)


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_with_a_blocking_client(msgpack):
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        client = make(address, msgpack=msgpack, auto_start=True)
        person = Person(client, "hello", "stop").talk_blocking()
    assert person.heard[2:] == ["You said: hello", "Goodbye."]
    assert type(person.told[-1]) is ClosedEvent
    assert client.closed
    assert client.wake is None


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_conversation_byte_by_byte(msgpack):
    """As a proxy may do it."""

    async def main():
        async with running(ChannelApp(example.dialogue)) as behind:

            async def proxy(reader, writer):
                inner, outer = await asyncio.open_connection(*behind.split(":"))

                async def back():
                    while data := await inner.read(65536):
                        for number in range(len(data)):
                            writer.write(data[number : number + 1])
                            await writer.drain()
                    writer.close()

                task = asyncio.create_task(back())
                with suppress(ConnectionError):
                    while data := await reader.read(65536):
                        outer.write(data)
                outer.close()
                await task

            async with await asyncio.start_server(proxy, "127.0.0.1", 0) as listener:
                address = "{}:{}".format(*listener.sockets[0].getsockname())
                client = make(address, msgpack=msgpack, auto_start=True)
                person = await Person(client, "čau", "image", "stop").talk()
                assert person.heard[2:] == ["You said: čau", "A wave.", "Goodbye."]
                assert client.closed

    run(main)


def watched(app, seen):
    """Notes of every request with a body when its end has come, and of every response when it ends."""

    async def watching(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)

        async def noting_receive():
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                seen.append(f"{scope['method']} read")
            return message

        async def noting_send(message):
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                seen.append(f"{scope['method']} answered")

        return await app(scope, noting_receive, noting_send)

    return watching


async def counts(sound):
    """Hears three blocks, and numbers them."""
    number = 0
    async for _ in sound:
        number += 1
        yield f"block {number}", number == 3
        if number == 3:
            return


@pytest.mark.parametrize("msgpack", [False, True])
def test_interim_results_come_while_audio_is_sent(msgpack):
    seen = []

    async def main():
        async def recogniser(sound):
            enough.clear()
            async for _ in sound:
                yield "and on", False
                if enough.is_set():
                    break
            yield "and on", True

        async def microphone():
            while client.send_audio(bytes(320)):
                await asyncio.sleep(0.002)

        enough = asyncio.Event()
        async with running(watched(ChannelApp(example.dialogue, recogniser=recogniser), seen)) as address:
            client = make(address, msgpack=msgpack, auto_microphone=True)
            tasks, answers = [], []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent():
                            seen.clear()
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            seen.append("open")
                            tasks.append(asyncio.create_task(microphone()))
                        case RecognizedInputEvent(is_final=False):
                            seen.append("interim")
                            enough.set()
                        case RecognizedInputEvent():
                            seen.append("final")
                        case ResponseItemEvent():
                            answers.append(event.response_item.text)
                        case ResponseEvent():
                            seen.append("response")
                            if len(answers) == 2:
                                client.close()
                            else:
                                client.finish_playback()  # the microphone opens by itself
            await asyncio.gather(*tasks)
            assert answers == ["You said: and on"] * 2

    run(main)
    assert seen.count("open") == seen.count("response") == 2
    second = seen.index("response") + 1
    for turn in (seen[:second], seen[second:]):
        when = turn.index
        assert when("open") < when("interim") < when("PUT read") < when("PUT answered")
        # It is the end of the GET that makes the client end the body of the PUT.
        assert when("GET answered") < when("PUT read")
        assert when("interim") < when("final") < when("response")
        assert turn.count("PUT read") == 1


def test_the_writer_stops_when_the_get_ends():
    """Even when the PUT says nothing until its body has come to its end."""

    async def main():
        stopped = []

        async def handler(asked):
            if asked.method == "GET":
                await listening.wait()
                await asked.answer({"type": "RecognizedInput", "input": {"transcript": {"text": "half"}}})
            else:
                assert await asked.piece()
                listening.set()
                while await asked.piece():
                    pass
                stopped.append(True)
                await asked.answer(item("I heard you"), response())

        listening = asyncio.Event()
        async with by_hand(handler) as server:
            client = make(server.address)

            async def microphone():
                while client.send_audio(bytes(320)):
                    await asyncio.sleep(0.001)

            task = None
            kinds = []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    kinds.append(type(event))
                    match event:
                        case ReadyEvent():
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            task = asyncio.create_task(microphone())
                        case ResponseEvent():
                            client.close()
            await task
            assert stopped == [True]
            assert kinds[2:5] == [RecognizedInputEvent, ResponseItemEvent, ResponseEvent]

    run(main)


def test_a_get_that_brings_nothing_is_sent_again():
    async def main():
        async def handler(asked):
            if asked.method == "GET":
                gets.append(asked.headers["cookie"])
                if len(gets) == 1:
                    await asked.send(head_of("204 No Content"))
                elif len(gets) == 2:
                    return CLOSE
                else:
                    await asked.answer()
            else:
                puts.append(asked.headers["cookie"])
                await asked.body()
                await asked.answer(response())
            return None

        gets, puts = [], []
        async with by_hand(handler) as server:
            client = make(server.address, timeouts=Timeouts(get_again=0.01))
            told = []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(event)
                    match event:
                        case ReadyEvent():
                            client.open_microphone()
                        case ResponseEvent():
                            client.close()
            assert len(gets) == 3
            assert set(gets) == set(puts)
            assert [type(event) for event in told] == [
                *(ReadyEvent, InputAudioStreamOpenEvent, ResponseEvent, ClosedEvent)
            ]

    run(main)


def test_a_recording_goes_out_with_its_length():
    async def main():
        async def handler(asked):
            body = await asked.body()
            seen.append((asked.headers["content-type"], asked.headers["content-length"], len(body)))
            await asked.answer(response())

        seen = []
        async with by_hand(handler) as server:
            client = make(server.address)
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent():
                            client.send_recording(bytes(200_000), "audio/mpeg")
                        case ResponseEvent():
                            client.close()
            assert seen == [("audio/mpeg", "200000", 200_000)]

    run(main)


# ------------------------------------------------------------ interrupting


class Long:
    """A dialogue that says one thing and then waits for ever, unless it is told to stop."""

    def __init__(self):
        self.cancelled = []

    async def __call__(self, turn):
        yield f"{turn.text}: one moment"
        if turn.text.startswith("long"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(turn.text)
                raise


@pytest.mark.parametrize("how", ["say", "interrupt", "microphone", "close"])
def test_who_interrupts_an_answer_cancels_it_at_the_server(how):
    async def main():
        dialogue = Long()
        app = ChannelApp(dialogue, recogniser=counts)
        async with running(app) as address:
            client = make(address)
            told = []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(event)
                    match event:
                        case ReadyEvent():
                            client.say("long")
                        case ResponseItemEvent() if "long" in event.response_item.text:
                            assert client.state is State.RESPONDING
                            match how:
                                case "say":
                                    client.say("short")
                                case "interrupt":
                                    client.interrupt()
                                    assert client.state is State.LISTENING
                                    client.say("short")
                                case "microphone":
                                    client.open_microphone()
                                    client.say("short")
                                case _:
                                    client.close()
                        case ResponseEvent():
                            client.close()
            await until(lambda: dialogue.cancelled == ["long"])
            kinds = [type(event) for event in told]
            assert TurnInterruptedEvent in kinds
            assert ErrorEvent not in kinds
            assert ConnectionFailedEvent not in kinds
            texts = [event.response_item.text for event in told if isinstance(event, ResponseItemEvent)]
            assert texts == ["long: one moment", "short: one moment"][: 1 if how == "close" else 2]

    run(main)


def test_many_barge_ins_one_after_another():
    async def main():
        dialogue = Long()
        async with running(ChannelApp(dialogue)) as address:
            client = make(address)
            said, told = 0, []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(type(event))
                    match event:
                        case ReadyEvent() | ResponseItemEvent() if said < 20:
                            said += 1
                            client.say(f"long {said}")
                        case ResponseItemEvent() if event.response_item.text.startswith("long"):
                            client.say("short")
                        case ResponseEvent():
                            client.close()
            assert told.count(ResponseItemEvent) == 21
            assert ErrorEvent not in told
            assert ConnectionFailedEvent not in told
            await until(lambda: dialogue.cancelled == [f"long {number + 1}" for number in range(20)])

    run(main)


def test_what_plays_can_be_paused_while_more_comes():
    async def main():
        resumed = asyncio.Event()

        async def dialogue(_):
            yield "one"
            await resumed.wait()
            yield "two"

        async with running(ChannelApp(dialogue)) as address:
            client = make(address, pause_on_interrupt=True)
            states = []
            async with aclosing(async_events(client)) as told:
                async for event in told:
                    match event:
                        case ReadyEvent():
                            client.say("hello")
                        case ResponseItemEvent() if client.state is State.RESPONDING:
                            client.interrupt()
                            resumed.set()
                        case ResponseEvent():
                            states.append(client.state)
                            client.resume()
                            states.append(client.state)
                            client.finish_playback()
                            states.append(client.state)
                            client.close()
            assert states == [State.PAUSED, State.RESPONDING, State.LISTENING]

    run(main)


# ------------------------------------------------------------ failures


def test_nobody_there_is_told_and_the_next_input_tries_again():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.answer(item("back"), response())

        with socket.socket() as place:
            place.bind(("127.0.0.1", 0))  # and nobody listens there
            client = make("{}:{}".format(*place.getsockname()), session_id="kept")
            told = []
            async with nothing_left(), aclosing(async_events(client)) as stream:
                stack = None
                async for event in stream:
                    told.append(event)
                    match event:
                        case ReadyEvent():
                            client.say("anybody?")
                        case ConnectionFailedEvent():
                            assert client.state is State.FAILED
                            stack = by_hand(handler, at=place)
                            server = await stack.__aenter__()
                            client.say("anybody?")
                        case ResponseEvent():
                            client.finish_playback()
                            client.close()
                await stack.__aexit__(None, None, None)
            assert [type(event) for event in told] == [
                *(ReadyEvent, TurnInterruptedEvent, ConnectionFailedEvent, ResponseItemEvent),
                *(ResponseEvent, ClosedEvent),
            ]
            failed = told[2]
            assert failed.code == 1006
            assert "connect" in failed.reason.lower()
            assert [asked.headers["cookie"] for asked in server.seen] == [f"{COOKIE}=kept"]

    run(main)


def test_nobody_there_ends_a_blocking_client():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        client = make("{}:{}".format(*place.getsockname()), auto_start=True)
        told = list(events(client))
    assert [type(event) for event in told] == [ReadyEvent, TurnInterruptedEvent, ConnectionFailedEvent]
    assert client.state is State.FAILED


CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "first",
    [
        None,
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 20",
        head_of("200 OK", JSON, "Content-Length: 1000"),
        head_of("200 OK", JSON, "Content-Length: 1000") + line(item("half")),
        head_of("200 OK", JSON, CHUNKED) + b"2a\r\n{",
        head_of("200 OK", JSON, CHUNKED) + b"no number\r\n",
        head_of("200 OK", JSON, CLOSE) + line(item("half")),
        head_of("200 OK", JSON, CLOSE) + line(item("half")) + b'{"type":"Respon',
        head_of("200 OK", JSON, CLOSE, "Content-Encoding: gzip") + line(response()),
    ],
)
def test_a_response_that_breaks_off_is_a_failure_and_the_next_input_tries_again(first):
    async def main():
        async def handler(asked):
            await asked.body()
            if len(server.seen) > 1:
                await asked.answer(response())
            elif first is None:
                asked.reset()
            else:
                await asked.send(first)
                return CLOSE
            return None

        async with by_hand(handler) as server, nothing_left():
            client = make(server.address, session_id="kept")
            told = []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(type(event))
                    match event:
                        case ReadyEvent():
                            client.say("hello")
                        case ConnectionFailedEvent():
                            assert client.state is State.FAILED
                            client.say("hello")
                        case ResponseEvent():
                            client.close()
            assert told.count(ConnectionFailedEvent) == told.count(ResponseEvent) == 1
            assert [asked.headers["cookie"] for asked in server.seen] == [f"{COOKIE}=kept"] * 2

    run(main)


def test_a_response_may_end_with_the_connection():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.send(head_of("200 OK", JSON, CLOSE) + line(item("whole")) + line(response()))
            return CLOSE

        async with by_hand(handler) as server:
            person = await Person(make(server.address), "one", "two").talk()
            assert person.heard == ["whole", "whole"]

    run(main)


PAGE = b"<html><head><title>No</title></head>\n<body>Not here.</body></html>\n"


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "409 No", "413 No", "500 No", "503 No"])
@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", line({"type": "Error", "text": "because"}), "because"),
        ("text/plain; charset=utf-8", b"! because\n", "because"),
        ("text/html", PAGE, PAGE.decode().replace("\n", " ").strip()),
        ("application/json", b"", None),
    ],
)
def test_a_refusal_can_be_read(status, kind, body, text):
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.answer(body, status=status, kind=kind, headers=[f"Set-Cookie: {COOKIE}=theirs"])

        code = int(status[:3])
        async with by_hand(handler) as server, nothing_left():
            client = make(server.address, session_id="kept")
            told, ids = [], []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(event)
                    match event:
                        case ReadyEvent():
                            client.say("hello")
                        case ConnectionFailedEvent():
                            ids.append(client.session_id)
                            client.close()
            name = f"HTTP {code}"
            assert told == [
                ReadyEvent(),
                ErrorEvent(text=name if text is None else text, source=name),
                TurnInterruptedEvent(number=1, reason="lost"),
                ConnectionFailedEvent(code=code, reason=name),
                ClosedEvent(code=1000, reason="CLIENT_CLOSE"),
            ]
            assert ids == [None if code in (401, 403) else "kept"]

    run(main)


def test_our_server_refuses_a_client_and_its_microphone():
    async def authorise(_):
        return "not you"

    async def main():
        app = ChannelApp(example.dialogue, authorise=authorise, timeouts=Timeouts(drain=0.05))
        async with running(app) as address:
            told = await heard_from(make(address))
            assert told[1] == ErrorEvent(text="not you", source="HTTP 403")
            assert told[3] == ConnectionFailedEvent(code=403, reason="HTTP 403")

            client = make(address)

            async def microphone():
                while client.send_audio(bytes(320)):
                    await asyncio.sleep(0.001)

            task, told = None, []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    told.append(event)
                    match event:
                        case ReadyEvent():
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            task = asyncio.create_task(microphone())
                        case ConnectionFailedEvent():
                            client.close()
            await task
            assert told[2] == ErrorEvent(text="not you", source="HTTP 403")
            assert ConnectionFailedEvent(code=403, reason="HTTP 403") in told

    run(main)


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect"])
def test_a_redirect_is_followed_only_on_demand(status):
    async def main():
        async def handler(asked):
            body = await asked.body()
            if asked.target == "/client":
                await asked.answer(status=status, headers=["Location: /there"], kind="text/html")
            else:
                there.append((asked.method, bool(body), asked.headers.get("cookie")))
                await asked.answer(response())

        there = []
        async with by_hand(handler) as server, nothing_left():
            told = await heard_from(make(server.address))
            assert told[2].code == int(status[:3])
            assert there == []
            told = await heard_from(make(server.address, session_id="kept"), follow_redirects=True)
            assert [type(event) for event in told] == [ReadyEvent, ResponseEvent, ClosedEvent]
            if status[:3] == "307":
                assert there == [("PUT", True, f"{COOKIE}=kept")]

    run(main)


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        ("http://here/client", "http://here/there", True),
        ("http://here/client", "https://here/there", True),
        ("https://here/client", "https://here/there", True),
        ("https://here/client", "http://here/there", False),
        ("http://here/client", "http://elsewhere/there", False),
        ("http://here/client", "http://not.here/there", False),
    ],
)
def test_a_redirect_carries_the_session_to_nobody_else(first, then, kept):
    def app(request):
        seen.append(request.headers.get("cookie"))
        if len(seen) == 1:
            return httpx.Response(307, headers={"Location": then})
        return httpx.Response(200, json=response())

    seen = []
    client = SocketV2Client(first, key="K", device_id="D", session_id="mine")
    mock = httpx.MockTransport(app)
    person = Person(client, "hello").talk_blocking(transport=mock, follow_redirects=True)
    assert type(person.told[-1]) is ClosedEvent
    assert seen == [f"{COOKIE}=mine", f"{COOKIE}=mine" if kept else None]


def test_audio_cannot_follow_a_redirect():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.answer(status="307 There", headers=["Location: /there"], kind="text/html")

        async with by_hand(handler) as server, nothing_left():
            client = make(server.address)
            told = []
            async with aclosing(async_events(client, follow_redirects=True)) as stream:
                async for event in stream:
                    told.append(type(event))
                    match event:
                        case ReadyEvent():
                            client.open_microphone()
                        case InputAudioStreamOpenEvent():
                            client.send_audio(bytes(320))
                            client.close_microphone()
                        case ConnectionFailedEvent():
                            client.close()
            assert ConnectionFailedEvent in told

    run(main)


def test_logs_that_are_refused_or_lost_are_told():
    async def main():
        async def handler(asked):
            if len(server.seen) == 1:
                await asked.body()
                await asked.answer(b"! full\n", status="507 Full", kind="text/plain")
            elif len(server.seen) == 2:
                return CLOSE
            else:
                await asked.body()
                await asked.send(head_of("204 No Content"))
            return None

        async with by_hand(handler) as server, nothing_left():
            client = make(server.address)
            faults = []
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    if isinstance(event, FaultEvent):
                        faults.append(str(event.error))
                    if len(faults) < 2:
                        client.log(LogEntry(text="now"))
                    else:
                        break
            assert "HTTP 507 full" in faults[0]
            assert "lost" in faults[1]

    run(main)


def test_logs_that_were_said_before_the_end_go_out():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.send(head_of("204 No Content"))

        async with by_hand(handler) as server, nothing_left():
            for talk in (taciturn, blocking):
                await talk(make(server.address))
            assert [asked.method for asked in server.seen] == ["PUT", "PUT"]

    async def taciturn(client):
        async for event in async_events(client):
            last_words(client, event)

    async def blocking(client):
        def talk():
            for event in events(client):
                last_words(client, event)

        await asyncio.to_thread(talk)

    def last_words(client, event):
        if isinstance(event, ReadyEvent):
            client.log(LogEntry(text="bye"))
            client.close()

    run(main)


def test_nobody_waits_long_for_logs_after_the_end(monkeypatch):
    monkeypatch.setattr(driver, "_LAST_WORDS", 0.05)

    async def main():
        async def handler(asked):
            await asked.gone()

        async with by_hand(handler) as server, nothing_left():
            client = make(server.address)
            async for event in async_events(client):
                if isinstance(event, ReadyEvent):
                    client.log(LogEntry(text="bye"))
                    client.close()
            assert len(server.seen) == 1

    run(main)


def test_the_end_does_not_wait_for_a_response_that_was_answered_but_does_not_end():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.send(head_of("200 OK", JSON, CLOSE) + line(response()))
            await asked.gone()

        loop = asyncio.get_running_loop()
        async with by_hand(handler) as server, nothing_left():
            begun = loop.time()
            told = await heard_from(make(server.address))
            assert [type(event) for event in told] == [ReadyEvent, ResponseEvent, ClosedEvent]
            assert loop.time() - begun < 1

    run(main)


# ------------------------------------------------------------ cookies


def test_no_cookie_is_kept_beside_the_clients_own():
    async def main():
        async def handler(asked):
            text = json.loads(await asked.body())["input"]["transcript"]["text"]
            count = len(server.seen)
            cookies = [f"Set-Cookie: {COOKIE}=id{count}; Path=/", "Set-Cookie: other=tracks; Path=/"]
            if text == "stop":
                await asked.answer(response(sessionEnded=True), headers=cookies)
            elif text == "error":
                await asked.answer({"type": "Error", "text": "no"}, headers=cookies)
            elif text == "refuse":
                await asked.answer(status="403 No", headers=cookies)
            else:
                await asked.answer(response(), headers=cookies)

        async with by_hand(handler) as server:
            ids = iter(["proposed1", "proposed2", "proposed3"])
            client = make(server.address, session_id="mine", make_id=ids.__next__)
            words = ["stay", "stay", "stop", "stay", "error", "stay", "refuse", "stay"]
            async with aclosing(async_events(client)) as stream:
                async for event in stream:
                    match event:
                        case ReadyEvent() | ResponseEvent() | ErrorEvent():
                            if words:
                                client.say(words.pop(0))
                            else:
                                client.close()
            # An id that was dropped never comes again: not from the client, and not from a jar.
            sent = [asked.headers["cookie"] for asked in server.seen]
            names = ["mine", "id1", "id2", "proposed1", "id4", "proposed2", "id6", "proposed3"]
            assert sent == [f"{COOKIE}={name}" for name in names]

    run(main)


def test_headers_of_the_host_go_with_those_of_the_client():
    async def main():
        async def handler(asked):
            await asked.body()
            await asked.answer(response(), headers=[f"Set-Cookie: {COOKIE}=theirs; Path=/"])

        async with by_hand(handler) as server:
            client = make(server.address, headers=[("X-Yours", "2")])
            await Person(client, "one", "two").talk(headers={"X-Mine": "1"})
            assert [asked.headers["x-mine"] for asked in server.seen] == ["1", "1"]
            assert [asked.headers["x-yours"] for asked in server.seen] == ["2", "2"]
            assert server.seen[1].headers["cookie"] == f"{COOKIE}=theirs"

    run(main)


# ------------------------------------------------------------ leaving


@pytest.mark.parametrize(
    ("how", "where"),
    [
        *(("leave", "body"), ("leave", "room")),
        *(("cancel", "head"), ("cancel", "body"), ("cancel", "room"), ("cancel", "streaming")),
        *(("close", "head"), ("close", "body"), ("close", "room"), ("close", "streaming")),
    ],
)
def test_who_leaves_leaves_nothing_behind(how, where):
    async def main():
        reached, hold = asyncio.Event(), asyncio.Event()

        async def handler(asked):
            if where in ("head", "streaming"):
                reached.set()
            elif where == "body":
                await asked.send(head_of("200 OK", JSON, "Content-Length: 1000") + line(item("half")))
            else:
                await asked.send(head_of("200 OK", JSON, "Content-Length: 1000000"))
                await asked.send(line(item("x" * 900)) * 100)
            await asked.gone()

        limits = Limits(queued_bytes=4000, message_bytes=2000, audio_bytes=2000)
        async with by_hand(handler) as server, nothing_left():
            client = make(server.address, limits=limits)

            async def consume():
                async with aclosing(async_events(client)) as stream:
                    async for event in stream:
                        match event:
                            case ReadyEvent() if where == "streaming":
                                client.open_microphone()
                            case ReadyEvent():
                                client.say("hello")
                            case InputAudioStreamOpenEvent():
                                client.send_audio(bytes(320))
                            case ResponseItemEvent():
                                reached.set()  # with room: more has come than is taken, and the reader waits
                                if how == "leave":
                                    return
                                if where == "room":
                                    await hold.wait()

            task = asyncio.create_task(consume())
            await asyncio.wait_for(reached.wait(), SOON)
            if how == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how == "close":
                client.close()
                hold.set()
                await task
                assert client.closed
            else:
                await task
            await until(lambda: not server.tasks)
            assert client.wake is None

    run(main)


def test_a_consumer_can_be_cancelled_at_any_moment():
    async def main():
        async with running(ChannelApp(example.dialogue)) as address:
            for steps in range(60):
                client = make(address, auto_start=True)

                async def consume(client=client):
                    async with aclosing(async_events(client)) as told:
                        async for _ in told:
                            pass

                task = asyncio.create_task(consume())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(main)


def test_leaving_a_blocking_client_early_closes_its_connections():
    dialogue = Long()
    with in_a_thread(ChannelApp(dialogue)) as address:
        told = events(make(address, auto_start=True))
        assert next(told) == ReadyEvent()
        told.close()
        client = make(address)
        told = events(client)
        assert next(told) == ReadyEvent()
        client.say("long")
        while not isinstance(next(told), ResponseItemEvent):
            pass
        told.close()
        with suppress(asyncio.TimeoutError):
            asyncio.run(until(lambda: dialogue.cancelled))
        assert dialogue.cancelled == ["long"]


def test_control_c_ends_a_blocking_client_that_waits():
    def interrupt():
        raise KeyboardInterrupt

    async def answered(_):
        asyncio.get_running_loop().call_soon(interrupt)  # as a signal does: outside of all tasks

    dialogue = Long()
    with in_a_thread(ChannelApp(dialogue)) as address:
        client = make(address)
        told = events(client, event_hooks={"response": [answered]})
        assert next(told) == ReadyEvent()
        client.say("long")
        with pytest.raises(KeyboardInterrupt):
            list(told)
        with pytest.raises(StopIteration):
            next(told)
        with suppress(asyncio.TimeoutError):
            asyncio.run(until(lambda: dialogue.cancelled))
        assert dialogue.cancelled == ["long"]


def test_an_error_of_the_host_closes_its_connections():
    async def main():
        async def handler(asked):
            await asked.gone()

        async with by_hand(handler) as server, nothing_left():
            client = make(server.address, auto_start=True)
            async with aclosing(async_events(client)) as stream:
                assert await anext(stream) == ReadyEvent()
                task = asyncio.create_task(anext(stream))
                await until(lambda: server.seen)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            assert client.wake is None

    run(main)


# ------------------------------------------------------------ the end by itself


def test_a_blocking_client_ends_when_nothing_more_can_happen():
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        assert list(events(make(address))) == [ReadyEvent()]
        client = make(address, auto_start=True)
        kinds = [type(event) for event in events(client)]
        assert kinds == [
            *(ReadyEvent, SessionStartEvent, ResponseItemEvent, ResponseItemEvent, ResponseEvent)
        ]
        assert client.state is State.RESPONDING


def test_a_client_under_asyncio_waits_for_words():
    async def main():
        async with running(ChannelApp(example.dialogue)) as address:
            client = make(address)
            ready, said = asyncio.Event(), []

            async def speaker():
                await ready.wait()
                for word in ("one", "two", "stop"):
                    answered.clear()
                    client.say(word)
                    await asyncio.wait_for(answered.wait(), SOON)
                client.close()

            answered = asyncio.Event()
            task = asyncio.create_task(speaker())
            async for event in async_events(client):
                match event:
                    case ReadyEvent():
                        ready.set()
                    case ResponseItemEvent():
                        said.append(event.response_item.text)
                    case ResponseEvent():
                        answered.set()
            await task
            assert said == ["You said: one", "You said: two", "Goodbye."]

    run(main)


def test_what_is_said_while_a_response_comes_does_not_wait_for_its_end():
    async def main():
        async def handler(asked):
            if b"Log" in await asked.body():
                logged.set()
                await asked.send(head_of("204 No Content"))
                return
            await asked.send(head_of("200 OK", JSON, CLOSE))
            while True:
                await asked.send(line(item("and on")) * 50)

        logged = asyncio.Event()
        async with by_hand(handler) as server, nothing_left():
            client = make(server.address, auto_start=True)
            count = 0
            async with aclosing(async_events(client)) as stream:
                async for _ in stream:
                    count += 1
                    await asyncio.sleep(0)
                    if count == 10:
                        client.log(LogEntry(text="now"))
                    if logged.is_set():
                        break
                    assert count < 5000

    run(main)


def test_words_after_the_end():
    async def main():
        async with running(ChannelApp(example.dialogue)) as address:
            client = make(address)
            told = [event async for event in closing(client)]
            assert [type(event) for event in told] == [ReadyEvent, TurnInterruptedEvent, ClosedEvent]
            with pytest.raises(TooLateError):
                client.say("hello?")
            assert not client.send_audio(b"hello?")
            client.interrupt()
            client.finish_playback()
            client.close()
            with pytest.raises(TooLateError):
                await anext(async_events(client))
            assert client.wake is None

    async def closing(client):
        async for event in async_events(client):
            yield event
            if isinstance(event, ReadyEvent):
                client.say("in vain")
                client.close()

    run(main)


# ------------------------------------------------------------ mistakes, and options


@pytest.mark.parametrize("url", ["", "/client", "[", "ftp://127.0.0.1/client", "http://127.0.0.1/\0"])
def test_an_address_that_is_none_is_the_callers_mistake(url):
    def client():
        return SocketV2Client(url, key="K", device_id="D", auto_start=True)

    async def main():
        async with nothing_left():
            async for _ in async_events(client()):
                pass

    with pytest.raises((httpx.InvalidURL, httpx.UnsupportedProtocol)):
        run(main)
    with pytest.raises((httpx.InvalidURL, httpx.UnsupportedProtocol)):
        list(events(client()))


def test_a_blocking_client_has_no_place_in_an_event_loop():
    async def main():
        with pytest.raises(RuntimeError):
            next(events(make("127.0.0.1:1")))
        gc.collect()  # an event loop that was left open complains

    run(main)


def test_a_blocking_client_may_run_beside_an_event_loop():
    async def main():
        async with serving(ChannelApp(example.dialogue)) as address:
            person = Person(make(address, auto_start=True), "stop")
            await asyncio.to_thread(person.talk_blocking)
            assert person.heard[-1] == "Goodbye."

    run(main)


def test_no_server_at_all():
    async def app(request):
        seen.append((request.method, await request.aread(), request.headers["accept-encoding"]))
        return httpx.Response(200, json=response(sessionEnded=True))

    seen = []
    told = list(events(make("nowhere", auto_start=True), transport=httpx.MockTransport(app)))
    assert type(told[-1]) is ResponseEvent
    ((method, body, encoding),) = seen
    assert method == "PUT"
    assert json.loads(body)["input"]["transcript"]["text"] == "#intro"
    assert encoding == "identity"


def test_a_host_may_authenticate_and_look_at_requests():
    class Token(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request):
            token = (yield httpx.Request("POST", "http://tokens/fresh")).text
            request.headers["Authorization"] = token
            yield request

    def app(request):
        if request.url.host == "tokens":
            return httpx.Response(200, text="Bearer fresh")
        seen.append((request.headers["authorization"], request.headers["cookie"]))
        return httpx.Response(200, json=response())

    async def look(what):
        looked.append(type(what))

    seen, looked = [], []
    person = Person(make("nowhere", session_id="mine"), "hello").talk_blocking(
        transport=httpx.MockTransport(app),
        auth=Token(),
        event_hooks={"request": [look], "response": [look]},
    )
    assert type(person.told[-1]) is ClosedEvent
    assert seen == [("Bearer fresh", f"{COOKIE}=mine")]
    assert looked == [httpx.Request, httpx.Response] * 2


def test_an_application_without_a_server():
    async def main():
        app = ChannelApp(example.dialogue)
        async with nothing_left():
            person = Person(make("nowhere", auto_start=True), "hello", "stop")
            await person.talk(transport=httpx.ASGITransport(app))
            assert person.heard[2:] == ["You said: hello", "Goodbye."]

    run(main)


def test_what_nobody_expects_of_a_transport_is_raised():
    async def app(_):
        raise ZeroDivisionError("in the transport")

    async def main():
        async with nothing_left(), aclosing(async_events(make("nowhere", auto_start=True), **mock)) as told:
            async for _ in told:
                pass

    mock = {"transport": httpx.MockTransport(app)}
    with pytest.raises(ZeroDivisionError):
        run(main)
    with pytest.raises(ZeroDivisionError):
        list(events(make("nowhere", auto_start=True), **mock))


@pytest.mark.parametrize(
    "error",
    [httpx.ReadError("gone"), httpx.ConnectTimeout("late"), httpx.TooManyRedirects("round"), OSError("away")],
)
def test_the_reason_of_a_failure_is_told(error):
    def app(_):
        raise error

    async def main():
        told = await heard_from(make("nowhere"), transport=httpx.MockTransport(app))
        assert told[2] == ConnectionFailedEvent(code=1006, reason=str(error))

    run(main)


class Flood(httpx.AsyncByteStream):
    """A body that notes how much of it was asked for."""

    def __init__(self, most):
        self.taken, self.closed = 0, False
        self._most = most

    async def __aiter__(self):
        for number in range(self._most):
            self.taken += 1
            yield line(item(f"{number} " + "x" * 900))
        yield line(response())

    async def aclose(self):
        self.closed = True


def test_a_flood_is_read_no_faster_than_it_is_taken():
    async def main():
        flood = Flood(200)
        mock = httpx.MockTransport(lambda _: httpx.Response(200, headers=[JSON.split(": ")], stream=flood))
        limits = Limits(queued_bytes=4000, message_bytes=2000, audio_bytes=2000)
        client = make("nowhere", auto_start=True, limits=limits)
        texts = []
        async with nothing_left(), aclosing(async_events(client, transport=mock)) as told:
            async for event in told:
                match event:
                    case ResponseItemEvent():
                        texts.append(event.response_item.text.split()[0])
                        for _ in range(5):
                            await asyncio.sleep(0)  # all the time that a reader could want
                        assert flood.taken <= len(texts) + 4
                    case ResponseEvent():
                        client.close()
        assert texts == [str(number) for number in range(200)]
        assert flood.closed

    run(main)

"""Whole phone calls: the ASGI application under uvicorn, a WebSocket on loopback, and a caller who is a machine.

Nothing waits for real: the event loop has a clock of its own, which goes on only while nothing is to be done and
no message is on its way. It is the clock of the server, of its deadlines, and of the caller; so half a minute of
audio in frames of 20 ms takes less than a second, and every time in here is exact.
"""

import asyncio
import logging
import selectors
import time
from contextlib import asynccontextmanager
from itertools import groupby
from xml.etree import ElementTree

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from flowstorm_channel import Limits, ResponseItem, Timeouts
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.platforms import Twilio
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    FaultEvent,
    InputEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    TurnInterruptedEvent,
    UnsentEvent,
)
from flowstorm_channel.testing.twilio import TwilioPeer
from flowstorm_channel.values import AudioFileType, SttEncoding, SttMode
from flowstorm_channel.wire import Close, ResponseHead
from tests.serving import serving

TOKEN = "12345"
PUBLIC = "https://voice.example.com"
FRAME = 160
SECOND = 8000
TOO_LATE = 10.0
"""Seconds of real time for one test."""


# ------------------------------------------------------------ a clock that skips what nobody waits for


class Skipping(selectors.DefaultSelector):
    """A selector that has waited as soon as there is nothing else to do."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.under_way = 0
        """Messages that were sent and have not been taken; until then it waits for real."""
        self._until = time.monotonic() + TOO_LATE

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if time.monotonic() > self._until:
            raise TimeoutError(f"{self.under_way} messages are under way")
        if timeout is None or self.under_way:
            return super().select(0.1)
        self.now += timeout
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop with that clock."""

    def __init__(self):
        self.skipping = Skipping()
        super().__init__(self.skipping)

    def time(self):
        return self.skipping.now


@pytest.fixture
def loop():
    it = Loop()
    yield it
    it.run_until_complete(it.shutdown_asyncgens())
    it.close()


@pytest.fixture(autouse=True)
def complaints():
    """What is logged as an error; a test takes out what it expects."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    handler = Handler(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "asyncio", "flowstorm_channel")]
    for each in loggers:
        each.addHandler(handler)
    yield found
    for each in loggers:
        each.removeHandler(handler)
    assert found == []


class Phones(Twilio):
    """Whose calls live by the clock of the loop."""

    def channel(self, **settings):
        return super().channel(clock=asyncio.get_running_loop().time, **settings)


# ------------------------------------------------------------ the line


class Line:
    """The WebSocket between server and caller, and what is on its way in it."""

    def __init__(self, app):
        self.app = app
        self.skipping = asyncio.get_running_loop().skipping
        self.to_server = self.to_caller = 0
        self.served = False

    def _count(self):
        self.skipping.under_way = self.to_server + self.to_caller

    def sent(self):
        if not self.served:
            self.to_server += 1
            self._count()

    def received(self):
        self.to_caller -= 1
        self._count()

    def hung_up(self):
        self.to_caller = 0
        self._count()

    async def __call__(self, scope, receive, send):
        """As an ASGI application around the one that is served."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return

        async def received():
            message = await receive()
            if message["type"] == "websocket.receive":
                self.to_server -= 1
                self._count()
            return message

        async def sent(message):
            if message["type"] == "websocket.send" or (accepted and message["type"] == "websocket.close"):
                self.to_caller += 1
            accepted.append(message)
            self._count()
            await send(message)

        accepted = []
        try:
            await self.app(scope, received, sent)
        finally:
            self.served = True
            self.to_server = 0
            self._count()


class Call:
    """A caller at the end of a real WebSocket."""

    def __init__(self, app, peer, line, socket):
        self.app, self.peer = app, peer
        self._line, self._socket = line, socket
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(each) for each in (self._read(), self._write())]

    async def _read(self):
        try:
            async for message in self._socket:
                self._line.received()
                self.peer.receive_data(message)
                self._changed.set()
        except ConnectionClosed:
            pass
        closing = self._socket.protocol
        self.peer.receive_data(Close(closing.close_code, closing.close_reason))
        self._line.hung_up()
        self._changed.set()

    async def _write(self):
        try:
            while True:
                for message in self.peer.data_to_send():
                    self._line.sent()
                    if isinstance(message, Close):
                        await self._socket.close()
                        return
                    await self._socket.send(message)
                due = self.peer.next_deadline()
                timer = due and self._loop.call_at(due, self._changed.set)
                await self._changed.wait()
                self._changed.clear()
                if timer:
                    timer.cancel()
        except ConnectionClosed:
            pass

    def speak(self, mulaw):
        """Begin to say something."""
        self.peer.speak(mulaw)
        self._changed.set()

    def press(self, key):
        """Press a key."""
        self.peer.press(key)
        self._changed.set()

    def hang_up(self):
        """Put the receiver down."""
        self.peer.hang_up()
        self._changed.set()

    def vanish(self):
        """Drop the line, without a word."""
        self._line.sent()
        self._socket.transport.abort()

    async def end(self):
        """Wait until the WebSocket is closed; gives the code."""
        await self._tasks[0]
        return self.peer.closed and self.peer.closed.code

    async def close(self):
        if self.peer.up:
            self.hang_up()
        await asyncio.wait(self._tasks[:1])
        self._tasks[1].cancel()
        await asyncio.wait(self._tasks)
        for each in self._tasks:
            if not each.cancelled():
                each.result()


@asynccontextmanager
async def calling(dialogue, *, settings=None, before=None, **functions):
    """A call that has just begun, and in the end a server in which nothing is left of it.

    Args:
        dialogue: of the server.
        settings: of its `Twilio`.
        before: makes the address and the parameters of the stream; by default they are told, not asked for.
        functions: other arguments of `ChannelApp`.
    """
    phones = Phones(**{"auth_token": TOKEN, "public_url": PUBLIC, **(settings or {})})
    app = ChannelApp(dialogue, twilio=phones, **functions)
    line = Line(app)
    loop = asyncio.get_running_loop()
    async with serving(line, ws_ping_interval=None) as address:
        loop.skipping.under_way = 1
        url, parameters = await before(address) if before else (f"wss://{PUBLIC[8:]}/call", {})
        peer = TwilioPeer(loop.time, url=url, auth_token=TOKEN, parameters=parameters, hums=True)
        (head,) = peer.data_to_send()
        others = asyncio.all_tasks()
        socket = await connect(
            f"ws://{address}{url.removeprefix(f'wss://{PUBLIC[8:]}')}",
            additional_headers=head.headers,
            ping_interval=None,
            compression=None,
            proxy=None,
        )
        loop.skipping.under_way = 0
        peer.receive_data(ResponseHead(status=101))
        call = Call(app, peer, line, socket)
        try:
            yield call
        finally:
            await call.close()
        await socket.wait_closed()
        while app._drivers or asyncio.all_tasks() - others:
            await asyncio.sleep(0.01)


def run(loop, main):
    loop.run_until_complete(main())


# ------------------------------------------------------------ a host


async def voice(item, config):
    """Says its first letter, for as many seconds as the last word says: ``hello 2.5``."""
    assert config.tts_file_type is AudioFileType.MULAW
    letter, seconds = item.text[:1], float(item.text.split()[-1])
    return letter.encode() * round(seconds * SECOND)


def heard(call):
    """What the caller has heard: letters, and from when to when."""
    found = []
    for at, data in call.peer.sounds:
        begun = 0
        for letter, run_of in groupby(data):
            size = len(list(run_of))
            found.append((chr(letter), round(at + begun / SECOND, 3), round(at + (begun + size) / SECOND, 3)))
            begun += size
    return found


def speech(number, seconds):
    """The caller's: a byte that is loud, as often as it takes."""
    return bytes([number]) * round(seconds * SECOND)


class Ear:
    """A recogniser that knows what each byte means, and is sure after a while.

    Args:
        words: what is said, by the byte that the audio consists of.
        after: the frames of speech that it takes to be sure.
        interrupts: stop what is being said with the first frame that is speech.
    """

    def __init__(self, words, *, after=25, interrupts=False):
        self.words, self.after, self.interrupts = words, after, interrupts
        self.frames = 0
        self.sounds = []
        self.ended = 0

    async def __call__(self, sound):
        self.sounds.append(sound)
        loud = 0
        try:
            async for block in sound:
                assert len(block) == FRAME
                self.frames += 1
                text = self.words.get(block[0])
                loud = 0 if text is None else loud + 1
                if loud == 1 and self.interrupts:
                    sound.interrupt()
                if loud == self.after:
                    yield text, True
        finally:
            self.ended += 1


class Told:
    """What the host is told, and when."""

    def __init__(self, loop):
        self._loop = loop
        self.events = []

    def __call__(self, event):
        self.events.append((round(self._loop.time(), 3), event))

    def of(self, kind):
        return [event for _, event in self.events if isinstance(event, kind)]

    def inputs(self):
        return [(at, event.input.transcript.text) for at, event in self.events if isinstance(event, InputEvent)]


# ------------------------------------------------------------ the call


def test_a_call_of_half_a_minute_from_its_ringing_to_its_end(loop):
    """The caller is greeted, barges in, presses a key, falls silent, and says goodbye."""
    ear, told = Ear({1: "stop that", 2: "goodbye"}), Told(loop)
    keys = []

    async def dialogue(turn):
        match turn.text:
            case "#intro":
                yield "hello 10"
                yield "listen 10"
            case "stop that":
                yield "all right 2"
            case "#key":
                yield "key 1"
            case "#silence":
                yield "Are you there? 1"
            case "goodbye":
                yield "bye 1.5"
                turn.finish(session_ended=True)

    def keypad(digit, stream):
        keys.append(digit)
        stream.recognized("#key", final=True)

    async def ring(address):
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
            form = {"CallSid": "CA" + "2" * 32, "From": "+420123456789", "Direction": "inbound"}
            answer = await client.post("/call?locale=cs-CZ", data=form)
        stream = ElementTree.fromstring(answer.text).find("Connect/Stream")
        return stream.get("url"), {each.get("name"): each.get("value") for each in stream}

    async def main():
        # What signs webhooks is tested elsewhere; here they are not signed, but the handshake is.
        settings = {"greet": lambda call: {**call.parameters, "token": "of the greeting"}}
        functions = {"recogniser": ear, "voice": voice, "keypad": keypad, "observe": told}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flowstorm_channel.twilio.webhook.check_request", lambda *_, **__: None)
            async with calling(dialogue, settings=settings, before=ring, **functions) as call:
                await asyncio.sleep(4.0 - loop.time())
                call.speak(speech(1, 1.0))  # barges in when half of it is said
                await asyncio.sleep(8.0 - loop.time())
                call.press("7")
                await asyncio.sleep(28.0 - loop.time())
                call.speak(speech(2, 0.6))
                assert await call.end() == 1000
                return call

    begun = time.monotonic()
    call = loop.run_until_complete(main())
    assert time.monotonic() - begun < TOO_LATE
    # The first frame is said from 0 to 20 ms: what is recognised by the 25th comes half a second after.
    assert told.inputs() == [
        (0.0, "#intro"),
        (4.5, "stop that"),
        (8.0, "#key"),
        (14.0, "#silence"),
        (20.0, "#silence"),
        (26.0, "#silence"),
        (28.5, "goodbye"),
    ]
    assert heard(call) == [
        ("h", 0.0, 4.5),
        ("a", 4.5, 6.5),
        ("k", 8.0, 9.0),
        ("A", 14.0, 15.0),
        ("A", 20.0, 21.0),
        ("A", 26.0, 27.0),
        ("b", 28.5, 30.0),
    ]
    assert [round(each, 3) for each in call.peer.clears] == [4.5, 8.0, 14.0, 20.0, 26.0, 28.5]
    assert loop.time() == pytest.approx(30.0, abs=0.05)
    assert keys == ["7"]
    assert call.peer.warnings == []
    first = told.of(InputEvent)[0].input
    assert first.locale == "cs-CZ"
    assert first.attributes["clientType"] == "call:1.0.0"
    init = told.events[0][1]
    assert (init.key, init.device_id, init.token) == ("flowstorm", "+420123456789", "of the greeting")
    # All that was said until the session ended was heard, frame by frame; nothing got lost.
    assert ear.frames == sum(len(each.data) for each in told.of(BinaryEvent)) // FRAME == 1425
    (sound,) = ear.sounds
    assert (sound.dropped, sound.encoding, sound.config.stt_mode) == (0, SttEncoding.MULAW, SttMode.DUPLEX)
    assert sound.config.stt_sample_rate == SECOND
    assert [each.reason for each in told.of(TurnInterruptedEvent)] == ["recognized"]
    assert ear.ended == 1

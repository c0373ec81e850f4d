"""Whole phone calls: the ASGI application under uvicorn, a WebSocket on loopback, a machine as the caller.

Nothing waits for real: the event loop has a clock of its own, which goes on only while nothing is to be done
and no message is on its way. It is the clock of the server, of its deadlines, and of the caller; so half a
minute of audio in frames of 20 ms takes about a second, and every time in here is exact.
"""

import asyncio
import selectors
import time
from contextlib import asynccontextmanager
from itertools import groupby
from xml.etree import ElementTree

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from flowstorm_channel import Limits, ResponseItem, Timeouts
from flowstorm_channel.channel import cost_of
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.platforms import Twilio
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    DtmfEvent,
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
from tests.complaints import errors_of
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
        self.now += 1e-9  # nothing takes no time at all
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
    with errors_of("uvicorn.error", "asyncio", "flowstorm_channel") as found:
        yield found
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
        self.ended_at = None
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
        self.ended_at = round(self._loop.time(), 3)
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

    async def send(self, message):
        """Send what no peer would."""
        self._line.sent()
        await self._socket.send(message)

    async def until(self, when):
        """Let the call go on until that second of it."""
        await asyncio.sleep(when - self._loop.time())

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
async def calling(dialogue, *, settings=None, ring=None, **functions):
    """A call that has just begun, and in the end a server in which nothing is left of it.

    Args:
        dialogue: of the server.
        settings: of its `Twilio`.
        ring: asks a server at an address for the address and the parameters of the stream.
        functions: other arguments of `ChannelApp`.
    """
    phones = Phones(**{"auth_token": TOKEN, "public_url": PUBLIC, **(settings or {})})
    app = ChannelApp(dialogue, twilio=phones, **functions)
    line = Line(app)
    loop = asyncio.get_running_loop()
    async with serving(line, ws_ping_interval=None, lifespan="off") as address:
        loop.skipping.under_way = 1
        url, parameters = await ring(address) if ring else (f"wss://{PUBLIC[8:]}/call", {})
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
        return [
            (at, event.input.transcript.text) for at, event in self.events if isinstance(event, InputEvent)
        ]


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
        """As Twilio does when the number is called: ask what to do, and do it."""
        form = {"CallSid": "CA" + "2" * 32, "From": "+420123456789", "Direction": "inbound"}
        signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/call?locale=cs-CZ", form)
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
            signed = {"X-Twilio-Signature": signature}
            answer = await client.post("/call?locale=cs-CZ", data=form, headers=signed)
        assert answer.status_code == 200
        stream = ElementTree.fromstring(answer.text).find("Connect/Stream")
        return stream.get("url"), {each.get("name"): each.get("value") for each in stream}

    async def main():
        settings = {"greet": lambda call: {**call.parameters, "token": "of the greeting"}}
        functions = {"recogniser": ear, "voice": voice, "keypad": keypad, "observe": told}
        async with calling(dialogue, settings=settings, ring=ring, **functions) as call:
            await call.until(4.0)
            call.speak(speech(1, 1.0))  # barges in when half of it is said
            await call.until(8.0)
            call.press("7")
            await call.until(28.0)
            call.speak(speech(2, 0.6))
            assert await call.end() == 1000
        return call

    call = loop.run_until_complete(main())
    # The first frame is said from 0 to 20 ms: what is recognised by the 25th comes half a second later.
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
    assert call.ended_at == 30.0
    assert keys == ["7"]
    assert call.peer.warnings == []
    init = told.events[0][1]
    assert (init.key, init.device_id, init.token) == ("flowstorm", "+420123456789", "of the greeting")
    first = told.of(InputEvent)[0].input
    assert first.locale == "cs-CZ"
    assert first.attributes["clientType"] == "call:1.0.0"
    # Until the session ended every frame was heard, and none got lost.
    assert ear.frames == len(told.of(BinaryEvent)) == 28.5 / 0.02
    (sound,) = ear.sounds
    assert (sound.dropped, sound.encoding, sound.config.stt_mode) == (0, SttEncoding.MULAW, SttMode.DUPLEX)
    assert sound.config.stt_sample_rate == SECOND
    # All that was said had been said when it was cut: the turns were over, only their sound was not.
    assert told.of(TurnInterruptedEvent) == []
    assert ear.ended == 1


async def talkative(turn):
    """Says what it heard, for ten seconds; what it said when it was cut is not much."""
    for number in range(10):
        yield f"{'abcdefghij'[number]} of {turn.text} 1"
        await asyncio.sleep(1.0)


class Patient:
    """A dialogue that waits in the midst of its answer, and knows when it was cancelled."""

    def __init__(self):
        self.begun, self.cancelled = [], []

    async def __call__(self, turn):
        self.begun.append(turn.text)
        yield f"{turn.text.strip('#')[:1]} 1"
        if turn.text == "#intro":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(round(asyncio.get_running_loop().time(), 3))
                raise


def test_the_first_frame_of_speech_stops_the_answer(loop):
    """A recogniser that hears somebody speak need not wait until it knows what is said."""
    ear, told, patient = Ear({1: "hello"}, interrupts=True), Told(loop), Patient()

    async def main():
        async with calling(patient, recogniser=ear, voice=voice, observe=told) as call:
            await call.until(0.4)
            call.speak(speech(1, 0.6))
            await call.until(5.0)
        return call

    call = loop.run_until_complete(main())
    assert heard(call) == [("i", 0.0, 0.42), ("h", 0.9, 1.9)]
    assert [round(each, 3) for each in call.peer.clears] == [0.42, 0.9]
    assert patient.cancelled == [0.42]
    assert [each.reason for each in told.of(TurnInterruptedEvent)] == ["host"]
    assert told.inputs() == [(0.0, "#intro"), (0.9, "hello")]


def test_a_final_result_cancels_the_dialogue_that_still_speaks(loop):
    told = Told(loop)

    async def main():
        functions = {"recogniser": Ear({1: "no"}), "voice": voice, "observe": told}
        async with calling(talkative, **functions) as call:
            await call.until(2.3)
            call.speak(speech(1, 0.5))
            await call.until(6.0)
        return call

    call = loop.run_until_complete(main())
    first = [each for each in heard(call) if each[2] <= 2.8]
    assert first == [("a", 0.0, 1.0), ("b", 1.0, 2.0), ("c", 2.0, 2.8)]
    assert heard(call)[3:5] == [("a", 2.8, 3.8), ("b", 3.8, 4.8)]
    assert [(each.number, each.reason) for each in told.of(TurnInterruptedEvent)] == [
        (1, "recognized"),
        (2, "session ended"),
    ]


@pytest.mark.parametrize("way", ["hang_up", "vanish"])
def test_a_caller_who_leaves_in_the_midst_of_an_answer(loop, way):
    ear, told, patient = Ear({}), Told(loop), Patient()

    async def main():
        async with calling(patient, recogniser=ear, voice=voice, observe=told) as call:
            await call.until(0.5)
            getattr(call, way)()
            await call.end()
        return call

    loop.run_until_complete(main())
    assert patient.begun == ["#intro"]
    assert patient.cancelled == [0.5]
    assert ear.ended == 1
    reason = {"hang_up": "session ended", "vanish": "lost"}[way]
    assert [each.reason for each in told.of(TurnInterruptedEvent)] == [reason]
    assert len(told.of(SessionEndEvent)) == 1


@pytest.mark.parametrize("waits", [False, True], ids=["close", "aclose"])
def test_a_server_that_goes_away_closes_its_calls(loop, waits):
    told, patient = Told(loop), Patient()

    async def main():
        async with calling(patient, recogniser=Ear({}), voice=voice, observe=told) as call:
            await call.until(0.5)
            if waits:
                await call.app.aclose()
            else:
                call.app.close()
            assert await call.end() == 1001
        return call

    call = loop.run_until_complete(main())
    assert call.peer.closed.reason == "the server is going away"
    assert patient.cancelled == [0.5]
    assert len(told.of(SessionEndEvent)) == 1


def test_keys_only_interrupt_when_the_host_wants_it(loop):
    told, code = Told(loop), []

    def keypad(digit, stream):
        code.append(digit)
        if digit == "#":
            stream.recognized("".join(code), final=True)

    async def dialogue(turn):
        yield f"{'h' if turn.text == '#intro' else 'c'} 3"

    async def main():
        async with calling(dialogue, voice=voice, observe=told, keypad=keypad) as call:
            for at, key in enumerate("12*#", 1):
                await call.until(at / 2)
                call.press(key)
            await call.until(4.0)
        return call

    call = loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), (2.0, "12*#")]
    assert heard(call)[:2] == [("h", 0.0, 2.0), ("c", 2.0, 4.0)]


@pytest.mark.parametrize("keypad", ["none", "failing"])
def test_a_key_that_nobody_wants_does_no_harm(loop, keypad, complaints):
    def failing(digit, _):
        raise RuntimeError(digit)

    async def main():
        told = Told(loop)
        functions = {"keypad": failing} if keypad == "failing" else {}
        async with calling(talkative, voice=voice, observe=told, **functions) as call:
            await call.until(0.5)
            call.press("5")
            await call.until(1.5)
        return call

    call = loop.run_until_complete(main())
    assert heard(call)[:2] == [("a", 0.0, 1.0), ("b", 1.0, 1.5)]
    assert complaints == (["the keypad's function failed"] if keypad == "failing" else [])
    complaints.clear()


def test_a_call_without_a_recogniser(loop):
    """What the caller says is heard by nobody; silence is heard."""
    told = Told(loop)

    async def dialogue(turn):
        yield f"{'h' if turn.text == '#intro' else 's'} 1"
        if turn.text == "#silence":
            turn.finish(session_ended=True)

    async def main():
        async with calling(dialogue, voice=voice, observe=told) as call:
            await call.until(2.0)
            call.speak(speech(1, 2.0))
            assert await call.end() == 1000
        return call

    call = loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), (6.0, "#silence")]
    assert heard(call) == [("h", 0.0, 1.0), ("s", 6.0, 7.0)]
    assert call.ended_at == 7.0


@pytest.mark.parametrize(("timeout", "heard_at"), [(2000, [3.0, 6.0]), (0, [])], ids=["short", "never"])
def test_how_long_silence_is(loop, timeout, heard_at):
    told = Told(loop)

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"

    async def main():
        settings = {"silence_timeout": timeout}
        async with calling(dialogue, settings=settings, voice=voice, observe=told) as call:
            await call.until(8.0)

    loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), *((at, "#silence") for at in heard_at)]


def test_a_recogniser_that_is_too_slow_misses_what_is_oldest(loop):
    sounds, blocks = [], []

    async def recogniser(sound):
        sounds.append(sound)
        await asyncio.sleep(3.0)
        async for block in sound:
            blocks.append(block)
            if block[0] == 2:
                yield "the end", True
                return

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"

    async def main():
        told = Told(loop)
        functions = {"recogniser": recogniser, "voice": voice, "observe": told}
        async with calling(
            dialogue, limits=Limits(queued_bytes=10 * cost_of(bytes(FRAME))), **functions
        ) as call:
            call.speak(speech(1, 2.9) + speech(2, 1.0))
            await call.until(4.0)
        return told

    told = loop.run_until_complete(main())
    # In three seconds came 150 frames, the last five of the second kind; ten of them were kept.
    assert [block[0] for block in blocks] == [1] * 5 + [2]
    assert told.inputs() == [(0.0, "#intro"), (3.0, "the end")]
    assert len(told.of(BinaryEvent)) == 200
    assert sounds[0].dropped >= 140 * FRAME


def test_a_recogniser_may_end_with_the_utterance(loop):
    """Then the next one is begun with what comes next, and none of it is lost."""
    told, begun = Told(loop), []

    async def recogniser(sound):
        begun.append(round(loop.time(), 3))
        loud = 0
        async for block in sound:
            loud += block[0] == 1
            if loud == 25:
                yield "one", True
                return

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"

    async def main():
        async with calling(dialogue, recogniser=recogniser, voice=voice, observe=told) as call:
            await call.until(1.0)
            call.speak(speech(1, 1.5))
            await call.until(5.0)

    loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), (1.5, "one"), (2.0, "one"), (2.5, "one")]
    assert len(begun) == 4


@pytest.mark.parametrize("final", [True, False], ids=["sure", "unsure"])
def test_a_recogniser_that_does_not_listen(loop, final):
    """It says something at once, whatever it would hear. Everybody else is served nevertheless."""
    told, begun = Told(loop), []

    async def recogniser(_):
        begun.append(loop.time())
        assert len(begun) < 1000  # else this would never end
        yield "x", final

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"

    async def main():
        async with calling(dialogue, recogniser=recogniser, voice=voice, observe=told) as call:
            await call.until(1.0)
            call.press("1")
            await call.until(2.0)

    loop.run_until_complete(main())
    assert len(told.of(DtmfEvent)) == 1
    # At most one for each frame.
    assert len(begun) <= 101 if final else len(begun) == 1


def test_a_dialogue_may_ask_for_one_utterance_at_a_time(loop):
    """Then there is a stream for each, and none while the answer plays: nobody can barge in."""
    ear, told = Ear({1: "one", 2: "two"}), Told(loop)

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 2"
        turn.finish(stt_mode=SttMode.SINGLE_UTTERANCE)

    async def main():
        async with calling(dialogue, recogniser=ear, voice=voice, observe=told) as call:
            await call.until(0.5)
            call.speak(speech(1, 1.0))  # too early
            await call.until(3.0)
            call.speak(speech(1, 1.0))
            await call.until(4.0)
            call.speak(speech(2, 1.0))  # too early
            await call.until(7.0)
            call.speak(speech(2, 1.0))
            await call.until(8.0)
        return call

    call = loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), (3.5, "one"), (7.5, "two")]
    assert heard(call)[:2] == [("i", 0.0, 2.0), ("o", 3.5, 5.5)]
    # The first stream was of the call's beginning, when no other mode had been asked for.
    assert [each.config.stt_mode for each in ear.sounds[1:]] == [SttMode.SINGLE_UTTERANCE] * len(
        ear.sounds[1:]
    )
    assert ear.ended == len(ear.sounds) == 3


def test_what_is_no_frame_of_twilio_does_not_end_the_call(loop):
    told = Told(loop)

    async def main():
        async with calling(talkative, voice=voice, observe=told) as call:
            await call.until(0.5)
            for message in (
                "{",
                "[]",
                b"\x00",
                "{}",
                '{"event":"media","media":{"payload":"?"}}',
                "x" * 2_000_000,
            ):
                await call.send(message)
            await call.until(1.5)
        return call

    call = loop.run_until_complete(main())
    assert len(told.of(FaultEvent)) == 6
    assert heard(call)[:2] == [("a", 0.0, 1.0), ("b", 1.0, 1.5)]


def test_a_recogniser_that_fails_is_told_as_silence(loop, complaints):
    told = Told(loop)

    async def recogniser(sound):
        async for _ in sound:
            raise RuntimeError("deaf")
            yield

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"

    async def main():
        async with calling(dialogue, recogniser=recogniser, voice=voice, observe=told) as call:
            await call.until(3.0)
        return call

    call = loop.run_until_complete(main())
    assert told.inputs() == [(0.0, "#intro"), (0.02, "#silence")]
    assert heard(call) == [("i", 0.0, 0.02), ("s", 0.02, 1.02)]
    assert complaints == ["the recogniser failed"]
    complaints.clear()


@pytest.mark.parametrize("apology", [False, True], ids=["in words", "in sound"])
@pytest.mark.parametrize("what", ["dialogue", "voice"])
def test_a_host_that_fails_ends_the_call(loop, what, apology, complaints):
    told = Told(loop)

    async def dialogue(_):
        yield "a 1"
        if what == "dialogue":
            raise RuntimeError
        yield "b 1"

    async def failing(item, config):
        if what == "voice" and item.text == "b 1":
            raise RuntimeError
        return await voice(item, config)

    async def main():
        settings = {"error_audio": b"!" * SECOND} if apology else {}
        async with calling(dialogue, settings=settings, voice=failing, observe=told) as call:
            assert await call.end() == 1000
        return call

    call = loop.run_until_complete(main())
    said = [("a", 0.0, 1.0), ("!", 1.0, 2.0)] if apology else [("a", 0.0, 1.0)]
    assert heard(call) == said
    assert call.ended_at == said[-1][2]
    # What nobody has heard: the item whose audio was not made, and an apology that there is only in words.
    assert len(told.of(UnsentEvent)) == (what == "voice") + (not apology)
    assert complaints == ["the dialogue failed in turn 1"]
    complaints.clear()


def test_a_caller_whom_the_host_does_not_want(loop):
    told = Told(loop)

    async def authorise(init):
        return f"{init.device_id} is not welcome"

    async def main():
        async with calling(talkative, voice=voice, observe=told, authorise=authorise) as call:
            assert await call.end() == 1000
        return call

    call = loop.run_until_complete(main())
    assert call.peer.closed.reason == "anonymous is not welcome"
    assert told.inputs() == []
    assert heard(call) == []


def test_a_session_that_sleeps_keeps_the_line_and_wakes(loop):
    told = Told(loop)

    async def dialogue(turn):
        yield f"{turn.text.strip('#')[:1]} 1"
        turn.finish(sleep_timeout=10)

    async def main():
        async with calling(dialogue, recogniser=Ear({1: "wake up"}), voice=voice, observe=told) as call:
            await call.until(9.5)
            call.speak(speech(1, 0.5))
            assert await call.end() == 1000
        return call

    call = loop.run_until_complete(main())
    assert heard(call) == [("i", 0.0, 1.0), ("w", 10.0, 11.0)]
    assert call.ended_at == 21.0
    assert told.inputs() == [(0.0, "#intro"), (10.0, "wake up")]
    assert [each.session_id for each in told.of(SessionExpiredEvent)] == [call.peer.call_sid]


def test_a_voice_that_makes_wav_files_and_a_dialogue_that_makes_audio(loop):
    async def speaker(item, config):
        config = config.replace(tts_file_type=AudioFileType.WAV)
        return await example.voice(item, config)

    async def dialogue(turn):
        if turn.text == "#intro":
            yield ResponseItem(text="one two")  # beeps, each with a pause
            yield ResponseItem(text="#volume", code="up")
            yield b"x" * SECOND
            turn.finish(session_ended=True)

    async def main():
        async with calling(dialogue, voice=speaker) as call:
            await call.end()
        return call

    call = loop.run_until_complete(main())
    beeps = round(2 * 0.15 * SECOND)
    assert call.peer.heard[beeps:] == b"x" * SECOND
    assert len(call.peer.heard) == beeps + SECOND
    assert set(call.peer.heard[beeps - 400 : beeps]) == {0xFF}


def test_the_example_is_a_conversation(loop):
    """What `flowstorm-channel serve --allow-unsigned twilio` serves hears one utterance after another."""
    told = Told(loop)

    async def main():
        functions = {"recogniser": example.recogniser, "voice": example.voice, "observe": told}
        async with calling(example.dialogue, **functions) as call:
            await call.until(4.0)
            call.speak(speech(1, 0.5))
            await call.until(8.0)
            call.speak(speech(1, 1.0))
            await call.until(10.0)
        return call

    call = loop.run_until_complete(main())
    assert [text for _, text in told.inputs()] == ["#intro", "0.5 seconds of speech", "1.0 seconds of speech"]
    assert call.peer.clears


# ------------------------------------------------------------ handshakes


def test_a_handshake_that_is_not_signed_is_refused(loop):
    told = Told(loop)

    async def main():
        phones = Phones(auth_token=TOKEN, public_url=PUBLIC)
        async with serving(ChannelApp(talkative, twilio=phones, observe=told)) as address:
            loop.skipping.under_way = 1
            for token, url in [(None, f"wss://{PUBLIC[8:]}/call"), ("other", f"wss://{PUBLIC[8:]}/call")]:
                peer = TwilioPeer(loop.time, url=url, auth_token=token)
                (head,) = peer.data_to_send()
                with pytest.raises(InvalidStatus) as refused:
                    await connect(f"ws://{address}/call", additional_headers=head.headers, proxy=None)
                assert refused.value.response.status_code == 403
            loop.skipping.under_way = 0

    loop.run_until_complete(main())
    assert len(told.of(FaultEvent)) == 2
    assert all(isinstance(each.error, RemoteProtocolError) for each in told.of(FaultEvent))
    assert told.inputs() == []


def test_who_opens_a_line_and_says_nothing_is_sent_away(loop):
    async def main():
        phones = Phones(allow_unsigned=True, public_url=PUBLIC)
        app = ChannelApp(talkative, twilio=phones, timeouts=Timeouts(init=3.0))
        async with serving(app, ws_ping_interval=None) as address:
            loop.skipping.under_way = 1
            async with connect(f"ws://{address}/call", ping_interval=None, proxy=None) as socket:
                loop.skipping.under_way = 0
                begun = loop.time()
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd.code == 1008
                assert loop.time() - begun == pytest.approx(3.0, abs=0.1)

    loop.run_until_complete(main())

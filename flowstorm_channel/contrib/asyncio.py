"""Drives any server channel under asyncio: one dialogue function, one recogniser, any transport.

`contrib.asgi` is this with ASGI as the transport; another transport is two coroutines.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Protocol, TypedDict

import attrs

from flowstorm_channel.channel import cost_of
from flowstorm_channel.contrib.fetch import Fetch, fetch
from flowstorm_channel.contrib.stores import Hold, Store
from flowstorm_channel.errors import LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    CertificateNeed,
    DtmfEvent,
    Event,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    KeysNeed,
    SessionNeed,
    StoreNeed,
    TurnInterruptedEvent,
)
from flowstorm_channel.server import AudioStream, ServerChannel, Turn
from flowstorm_channel.values import SILENCE, ClientConfig, Input, ResponseItem, SttEncoding, TtsType
from flowstorm_channel.wire import Close, CloseCode, End, Message, RequestHead

__all__ = ["Driver", "Host", "HostFunctions", "Part", "Sound", "Transport"]

log = logging.getLogger("flowstorm_channel")

_BURST = 16
_LAST_WORDS = 1.0
"""Seconds for what a cancelled driver has to say."""
_PATIENCE = 1.0
"""Seconds to wait for another process to end its turn of the session (D-68)."""
_BROKEN = (OSError, RuntimeError)
"""What transports raise when the peer is gone: servers differ in that."""

Part = str | ResponseItem | bytes
"""What a dialogue says: a text, an item, or audio."""
Answer = AsyncIterator[Part] | Awaitable[Part | Iterable[Part] | None]
"""What a dialogue gives back: it is an async generator, or a coroutine function."""


class Transport(Protocol):
    """What carries the messages of one channel."""

    async def receive(self) -> Message | None:
        """The next message from the peer; None, or an exception, once there will be none."""

    async def send(self, message: Message) -> None:
        """Put a message on the transport."""


class Sound:
    """The user's audio for a recogniser: ``async for block in sound``.

    Of live audio, what the recogniser does not take in time is dropped, the oldest first: late speech is
    worth less than the speech of now. Other audio is made to wait.

    Args:
        stream: the stream it comes from.
        most: the bytes that are kept for the recogniser.
        live: whether the audio cannot wait.
        taken: called when the recogniser has taken a block.
    """

    def __init__(
        self,
        stream: AudioStream,
        most: int,
        *,
        live: bool = True,
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        self.stream = stream
        self.dropped = 0
        """Bytes that the recogniser was too slow for."""
        self.heard = 0
        """Blocks that the recogniser has taken."""
        self._most = most
        self._live = live
        self._taken = taken
        self._blocks: deque[bytes] = deque()
        self._held = 0
        self._more = asyncio.Event()
        self.ended = False
        """Whether no more will come."""

    @property
    def config(self) -> ClientConfig:
        """Sample rate, language and mode of the audio."""
        return self.stream.config

    @property
    def encoding(self) -> SttEncoding:
        """Of its samples."""
        return self.stream.encoding

    @property
    def full(self) -> bool:
        """Whether no more audio should be read before the recogniser takes some; never when it is live."""
        return not self._live and self._held >= self._most

    def interrupt(self) -> None:
        """The user has begun to speak: see `AudioStream.interrupt`. Never raises."""
        self.stream.interrupt()

    def end_of_utterance(self) -> None:
        """The recogniser heard the end of speech: see `AudioStream.end_of_utterance`. Never raises."""
        if not self.stream.over:
            self.stream.end_of_utterance()

    def feed(self, block: bytes) -> None:
        """Add a block; the driver does."""
        self._blocks.append(block)
        self._held += cost_of(block)
        while self._live and self._held > self._most and len(self._blocks) > 1:
            oldest = self._blocks.popleft()
            self._held -= cost_of(oldest)
            self.dropped += len(oldest)
        self._more.set()

    def end(self) -> None:
        """No more will come; the driver says so."""
        self.ended = True
        self._more.set()

    def __aiter__(self) -> Sound:
        return self

    async def __anext__(self) -> bytes:
        while not self._blocks:
            if self.ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        block = self._blocks.popleft()
        self._held -= cost_of(block)
        self.heard += 1
        self._taken()
        return block


Recogniser = Callable[[Sound], AsyncIterator[tuple[str | Input, bool]]]
Voice = Callable[[ResponseItem, ClientConfig], Awaitable[bytes]]
Authorise = Callable[[InitEvent], Awaitable[str | None]]
Keypad = Callable[[str, AudioStream], object]


class HostFunctions(TypedDict, total=False):
    """The functions of a `Host` beside its dialogue."""

    recogniser: Recogniser | None
    voice: Voice | None
    authorise: Authorise | None
    observe: Callable[[Event], None] | None
    apology: str
    store: Store | None
    keypad: Keypad | None
    fetch: Fetch


def _plain(_: object, attribute: attrs.Attribute[Any], function: object) -> None:
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{attribute.name} is called, not awaited: write it as `def`, not `async def`")


@attrs.define(kw_only=True, eq=False)
class Host:
    """What a server does with its channels: plain async functions, the same for all transports.

    Args:
        dialogue: takes one turn and says its answer: an async generator of parts, or a coroutine that returns
            one part, several, or None. What it leaves open is finished for it. It is cancelled when the turn
            is interrupted.
        recogniser: takes a `Sound` and yields what it hears: pairs of a text (or an Input) and whether it is
            final. It may end after a final result; for a stream that goes on it is called again. The client
            is told to send audio as soon as it is called; what comes before it listens is kept. Without one,
            requests for audio are not acknowledged.
        voice: makes the audio of an item, a whole file of ``config.tts_file_type``, for clients that require
            speech as a stream (`TtsType.REQUIRED_STREAMING`).
        authorise: takes the Init and returns None to accept it, or the text of the refusal.
        observe: is shown every event before it is acted on; for logs.
        apology: what the user is told when the dialogue raises.
        store: where sessions are kept between turns, for several processes; see `contrib.stores`.
        keypad: is shown each key that is pressed in a phone call, ``0`` to ``9``, ``*``, ``#``, and its
            stream: ``stream.recognized("1", final=True)`` makes an input of it.
        fetch: gets the certificates and keys that requests of Alexa and Google Assistant are verified with;
            applications put a `Fetcher` around it.
    """

    dialogue: Callable[[Turn], Answer]
    recogniser: Recogniser | None = None
    voice: Voice | None = None
    authorise: Authorise | None = None
    observe: Callable[[Event], None] | None = None
    apology: str = "Something went wrong."
    store: Store | None = None
    keypad: Keypad | None = attrs.field(default=None, validator=_plain)
    fetch: Fetch = fetch


class Driver:
    """Runs one server channel over one transport.

    Args:
        channel: a new one; its clock is to be that of the running loop or `time.monotonic`.
        transport: what carries its messages.
        host: what is done with it.
    """

    def __init__(self, channel: ServerChannel, transport: Transport, host: Host) -> None:
        self.channel = channel
        self.channel.wake = self._wake
        self._transport = transport
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._output = asyncio.Event()
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._sound: Sound | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._hold: Hold | None = None

    async def run(self) -> None:
        """Carry messages until one end closes. Cancelled, it closes the channel and tells the client."""
        ends = (self._spawn(self._read()), self._spawn(self._write()))
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            self.channel.close(CloseCode.GOING_AWAY, "the server is going away")
            self._step()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(ends[1:], timeout=_LAST_WORDS)
            raise
        finally:
            self.channel.receive_eof()
            self._step()
            self._arm()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._let_go()

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Close the channel, after what is queued has gone out."""
        self.channel.close(code, reason)

    # -------------------------------------------------------- the two ends

    async def _read(self) -> None:
        burst = 0
        while (message := await self._receive()) is not None:
            self.channel.receive_data(message)
            self._step()
            if isinstance(message, Close):
                return
            if isinstance(message, RequestHead):
                # What the head alone decides comes first: a client may wait with its body (RFC 9110, 10.1.1).
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            burst += 1
            if burst == _BURST:
                # A transport that has more at hand need not suspend; the other connections want to live too.
                burst = 0
                await asyncio.sleep(0)
            while self.channel.full or (self._sound is not None and self._sound.full):
                self._room.clear()
                await self._room.wait()

    async def _receive(self) -> Message | None:
        try:
            return await self._transport.receive()
        except _BROKEN:
            return None

    async def _write(self) -> None:
        while True:
            await self._output.wait()
            self._output.clear()
            for message in self.channel.data_to_send():
                try:
                    await self._transport.send(message)
                except _BROKEN:
                    return
                if isinstance(message, (Close, End)):
                    return
            self._flushed.set()

    # -------------------------------------------------------- the loop

    def _wake(self) -> None:
        self._flushed.clear()
        self._loop.call_soon(self._step)

    def _step(self) -> None:
        """Not a coroutine: between a message and what it brings about nothing else can happen."""
        for event in self.channel.events():
            if self._host.observe is not None:
                self._observe(self._host.observe, event)
            self._take(event)
        if self._sound is not None and self._sound.stream.over:
            self._end_sound()
        self._arm()
        self._output.set()
        self._room.set()

    def _arm(self) -> None:
        due = self.channel.next_deadline()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        seconds = self.channel.timeout()
        self._due = due
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._time_up)

    def _time_up(self) -> None:
        self._timer = self._due = None
        self._step()

    def _take(self, event: Event) -> None:
        match event:
            case InitEvent():
                if self._host.authorise is None:
                    self.channel.ready()
                else:
                    self._spawn(self._authorise(self._host.authorise, event))
            case InputEvent():
                turn = self.channel.turn
                if not turn.over:
                    task = self._answering[turn.number] = self._spawn(self._answer(turn))
                    task.add_done_callback(partial(self._answered, turn.number))
            case TurnInterruptedEvent():
                if event.number in self._answering:
                    self._answering[event.number].cancel()
            case InputAudioStreamOpenEvent():
                self._end_sound()
                if self._host.recogniser is not None:
                    self._sound = Sound(
                        self.channel.stream,
                        self.channel.limits.queued_bytes,
                        live=self.channel.LIVE,
                        taken=self._room.set,
                    )
                    self._hearing = self._spawn(self._hear(self._host.recogniser, self._sound))
            case InputAudioStreamCloseEvent():
                self._end_sound()
                if self._host.recogniser is None and not self.channel.stream.over:
                    self.channel.stream.recognized(SILENCE, final=True)
            case BinaryEvent():
                if self._sound is not None:
                    self._sound.feed(event.data)
            case InputAudioStreamCancelEvent():
                if self._hearing is not None:
                    self._hearing.cancel()
            case DtmfEvent():
                if self._host.keypad is not None:
                    self._press(self._host.keypad, event)
            case CertificateNeed() | KeysNeed():
                self._spawn(self._fetch(event))
            case SessionNeed():
                self._spawn(self._load(event))
            case StoreNeed():
                self._spawn(self._keep(event))

    def _answered(self, number: int, _: asyncio.Task[None]) -> None:
        del self._answering[number]

    def _end_sound(self) -> None:
        if self._sound is not None:
            self._sound.end()
            self._sound = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -------------------------------------------------------- the host's functions

    def _observe(self, observe: Callable[[Event], None], event: Event) -> None:
        try:
            observe(event)
        except Exception:
            log.exception("an observer failed")

    def _press(self, keypad: Keypad, event: DtmfEvent) -> None:
        try:
            keypad(event.digit, self.channel.stream)
        except TooLateError:
            pass
        except Exception:
            log.exception("the keypad's function failed")

    async def _fetch(self, need: CertificateNeed | KeysNeed) -> None:
        try:
            found = await self._host.fetch(need.url)
        except Exception as error:
            log.warning("%s cannot be fetched: %s", need.url, error)
            found = None
        try:
            self.channel.provide(need, found)
        except TooLateError:
            pass
        except LocalProtocolError:
            log.exception("what was fetched from %s is of no use", need.url)
            self._refuse(self._host.apology, 503)

    async def _authorise(self, authorise: Authorise, init: InitEvent) -> None:
        try:
            refusal = await asyncio.wait_for(authorise(init), self.channel.patience)
        except asyncio.TimeoutError:
            log.warning("authorisation takes longer than the client waits")
            self._refuse(self._host.apology, 503)
            return
        except Exception:
            log.exception("authorisation failed")
            refusal = self._host.apology
        with suppress(TooLateError):  # the client has gone meanwhile
            if refusal is None:
                self.channel.ready()
            else:
                self.channel.fail(refusal)

    async def _answer(self, turn: Turn) -> None:
        try:
            answer = self._host.dialogue(turn)
            if isinstance(answer, Awaitable):
                said = await answer
                for part in (said,) if isinstance(said, (str, bytes, ResponseItem)) else said or ():
                    await self._say(turn, part)
            else:
                async with aclosing(_closable(answer)) as parts:
                    async for part in parts:
                        await self._say(turn, part)
            if not turn.over:
                turn.finish()
        except Exception as error:
            if not (turn.over and isinstance(error, TooLateError)):
                log.exception("the dialogue failed in turn %s", turn.number)
            # Else it was interrupted, before its cancellation came through.
            if not turn.over:
                try:
                    turn.fail(self._host.apology)
                except LocalProtocolError:  # even the session cannot be stored as the dialogue left it
                    self.channel.fail(self._host.apology)

    async def _say(self, turn: Turn, part: Part) -> None:
        turn.say(part)
        await self._flushed.wait()  # a slow client slows the dialogue down
        config = turn.init.config
        if (
            self._host.voice is None
            or config.tts is not TtsType.REQUIRED_STREAMING
            or isinstance(part, bytes)
        ):
            return
        item = ResponseItem(text=part) if isinstance(part, str) else part
        if item.command is None and not item.audio and (item.text or item.ssml):
            turn.say(await self._host.voice(item, config))
            await self._flushed.wait()

    async def _hear(self, recogniser: Recogniser, sound: Sound) -> None:
        try:
            while await self._recognise(recogniser, sound):
                pass
            if not self.channel.LIVE and not sound.stream.over:
                # It has heard all, or enough, and nobody else will say that it was nothing.
                sound.stream.recognized(SILENCE, final=True)
        except Exception as error:
            if not (sound.stream.over and isinstance(error, TooLateError)):
                log.exception("the recogniser failed")
                if not sound.stream.over:
                    # For the user it is as if nothing had been heard; so the dialogue gets to say something.
                    with suppress(LocalProtocolError):  # too much waits to be sent already
                        sound.stream.ready()
                        sound.stream.recognized(SILENCE, final=True)

    async def _recognise(self, recogniser: Recogniser, sound: Sound) -> bool:
        """Have an utterance recognised; whether there may be another one, on a stream that stays open."""
        complete, before = False, sound.heard
        async with aclosing(_closable(recogniser(sound))) as heard:
            sound.stream.ready()
            async for what, complete in heard:
                sound.stream.recognized(what, final=complete)
        listened = sound.heard > before  # else it would say the same again, and again
        return complete and listened and self.channel.LIVE and not sound.ended and not sound.stream.over

    # -------------------------------------------------------- sessions that are stored

    async def _load(self, need: SessionNeed) -> None:
        store = self._host.store
        snapshot = None
        try:
            if store is None:
                pass
            elif need.begins:
                await self._let_go()
                owner = f"{need.key}\n{need.device_id}"
                self._hold = await store.take(
                    self.channel.KIND + need.session_id,
                    owner,
                    patience=_PATIENCE,
                    wanted=self.channel.give_way,
                )
                if self._hold is None:
                    raise _Busy
                snapshot = self._hold.snapshot
            else:
                snapshot = await store.peek(self.channel.KIND + need.session_id)
        except _Busy:
            self._refuse("another request of this session is not over", 409)
        except Exception:
            log.exception("session %s cannot be loaded", need.session_id)
            self._refuse(self._host.apology, 503)
        else:
            with suppress(TooLateError):
                self.channel.provide(need, snapshot)

    async def _keep(self, need: StoreNeed) -> None:
        hold, self._hold = self._hold, None
        try:
            kept = hold is None or await hold.save(need.snapshot, need.keep_for)
        except Exception:
            log.exception("session %s cannot be stored", need.session_id)
            self._refuse(self._host.apology, 503)
        else:
            with suppress(TooLateError):
                self.channel.provide(need, need.snapshot if kept else None)

    def _refuse(self, text: str, status: int) -> None:
        with suppress(TooLateError):  # the client has gone meanwhile
            self.channel.fail(text, status=status)

    async def _let_go(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            await hold.release()


class _Busy(Exception):
    """Another turn of the session goes on."""


async def _closable(items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """An async generator around any async iterator, so that `aclosing` fits both."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()

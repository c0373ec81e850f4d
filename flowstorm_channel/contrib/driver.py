"""What all drivers of server channels have in common, whichever async library they run under.

`contrib.asyncio` and `contrib.anyio` have the drivers to use. What they add is what the libraries differ in:
how tasks are started and cancelled, and how the time is kept.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar

from flowstorm_channel.contrib.host import Authorise, Flag, Host, Keypad, Part, Recogniser, Sound
from flowstorm_channel.contrib.stores import Hold
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
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.values import SILENCE, ResponseItem, TtsType
from flowstorm_channel.wire import Close, CloseCode, End, Message, RequestHead

__all__ = ["BaseDriver", "Task", "Transport"]

log = logging.getLogger("flowstorm_channel")

T = TypeVar("T")

_BURST = 16
_PATIENCE = 1.0
"""Seconds to wait for another process to end its turn of the session (D-68)."""


class Transport(Protocol):
    """What carries the messages of one channel."""

    async def receive(self) -> Message | None:
        """The next message from the peer; None, or an exception, once there will be none."""

    async def send(self, message: Message) -> None:
        """Put a message on the transport."""


class Task(Protocol):
    """What has been started, and may be cancelled."""

    def cancel(self) -> object:
        """Cancel it. Does nothing once it is over."""


class BaseDriver(ABC):
    """Runs one server channel over one transport; see `contrib.asyncio.Driver`.

    Args:
        channel: a new one; its clock is to be that of the running loop or `time.monotonic`.
        transport: what carries its messages.
        host: what is done with it.
    """

    BROKEN: ClassVar[tuple[type[Exception], ...]] = (OSError, RuntimeError)
    """What transports raise when the peer is gone: servers differ in that."""

    def __init__(self, channel: ServerChannel, transport: Transport, host: Host) -> None:
        self.channel = channel if host.recorder is None else host.recorder.watch(channel)
        self.channel.wake = self._wake
        self.over = self.make_flag()
        """Put up when all is over."""
        self._transport = transport
        self._host = host
        self._output = self.make_flag()
        self._flushed = self.make_flag()
        self._flushed.set()
        self._answering: dict[int, Task] = {}
        self._sound: Sound | None = None
        self._hearing: Task | None = None
        self._room = self.make_flag()
        self._hold: Hold | None = None

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Close the channel, after what is queued has gone out."""
        self.channel.close(code, reason)

    # -------------------------------------------------------- what the libraries differ in

    @abstractmethod
    async def run(self) -> None:
        """Carry messages until one end closes. Cancelled, it closes the channel and tells the client."""

    @staticmethod
    @abstractmethod
    def make_flag() -> Flag:
        """A new flag, down."""

    @staticmethod
    @abstractmethod
    async def within(seconds: float | None, work: Awaitable[T]) -> T:
        """Wait for something.

        Raises:
            TimeoutError: it takes longer than that, and was cancelled.
        """

    @abstractmethod
    async def _pause(self) -> None:
        """Let the others run."""

    @abstractmethod
    def _spawn(self, work: Coroutine[Any, Any, None], done: Callable[[], object] = lambda: None) -> Task:
        """Start a task, and call a function when it is over."""

    @abstractmethod
    def _step_soon(self) -> None:
        """Have `_step` called, but not from here."""

    @abstractmethod
    def _arm(self) -> None:
        """Have `_step` called at the channel's next deadline, and at no other one."""

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
                await self._pause()
                await self._pause()
            burst += 1
            if burst == _BURST:
                # A transport that has more at hand need not suspend; the other connections want to live too.
                burst = 0
                await self._pause()
            while self.channel.full or (self._sound is not None and self._sound.full):
                self._room.clear()
                await self._room.wait()

    async def _receive(self) -> Message | None:
        try:
            return await self._transport.receive()
        except self.BROKEN as error:
            log.debug("the transport is gone: %r", error)
            return None

    async def _write(self) -> None:
        while True:
            await self._output.wait()
            self._output.clear()
            for message in self.channel.data_to_send():
                try:
                    await self._transport.send(message)
                except self.BROKEN as error:
                    log.debug("the transport is gone: %r", error)
                    return
                if isinstance(message, (Close, End)):
                    return
            self._flushed.set()

    # -------------------------------------------------------- the loop

    def _wake(self) -> None:
        self._flushed.clear()
        self._output.set()  # at once: what is to go out needs no look at what is to be told
        self._step_soon()

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
                    answered = partial(self._answering.pop, turn.number, None)
                    self._answering[turn.number] = self._spawn(self._answer(turn), answered)
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
                        more=self.make_flag(),
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

    def _end_sound(self) -> None:
        if self._sound is not None:
            self._sound.end()
            self._sound = None

    # -------------------------------------------------------- the host's functions

    async def _for_host(self, work: Awaitable[T], over: Callable[[], bool]) -> T:
        """Wait for a function of the host.

        Args:
            work: what it has to do.
            over: whether nobody waits for what it does; only then it is cancelled from here.
        """
        try:
            async with self._host.around():
                return await work
        except asyncio.CancelledError as error:
            if over() or self.channel.closed:
                raise
            raise RuntimeError("something that it waited for was cancelled") from error

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
            asked = self.within(self.channel.patience, _permission(authorise, init))
            refusal = await self._for_host(asked, lambda: False)
        except TimeoutError:
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
            await self._for_host(self._converse(turn), lambda: turn.over)
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

    async def _converse(self, turn: Turn) -> None:
        answer = self._host.dialogue(turn)
        if isinstance(answer, Awaitable):
            said = await answer
            for part in (said,) if isinstance(said, (str, bytes, ResponseItem)) else said or ():
                await self._say(turn, part)
        else:
            async with aclosing(_closable(answer)) as parts:
                async for part in parts:
                    await self._say(turn, part)

    async def _say(self, turn: Turn, part: Part) -> None:
        turn.say(part)
        await self._flush()
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
            await self._flush()

    async def _flush(self) -> None:
        """A slow client slows the dialogue down."""
        await self._pause()  # often enough; to be woken takes as long again
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
        before = sound.heard
        complete = await self._for_host(self._listen(recogniser, sound), lambda: sound.stream.over)
        listened = sound.heard > before  # else it would say the same again, and again
        return complete and listened and self.channel.LIVE and not sound.ended and not sound.stream.over

    @staticmethod
    async def _listen(recogniser: Recogniser, sound: Sound) -> bool:
        complete = False
        async with aclosing(_closable(recogniser(sound))) as heard:
            sound.stream.ready()
            async for what, complete in heard:
                sound.stream.recognized(what, final=complete)
        return complete

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
        hold = self._hold
        try:
            kept = hold is None or await hold.save(need.snapshot, need.keep_for)
            self._hold = None  # else it is let go of in the end
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


async def _permission(authorise: Authorise, init: InitEvent) -> str | None:
    """What `authorise` says; its own TimeoutError is not that of whoever waits for it."""
    try:
        refusal = await authorise(init)
    except (TimeoutError, asyncio.TimeoutError) as error:  # on Python 3.10 they are two
        raise RuntimeError("something that it waited for took too long") from error
    if refusal is not None and not isinstance(refusal, str):
        raise TypeError(f"authorise returns None or the text of a refusal, not {refusal!r}")
    return refusal


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

"""What a server does with its channels, whatever drives them: a dialogue, a recogniser, functions beside."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypedDict

import attrs

from flowstorm_channel.channel import cost_of
from flowstorm_channel.contrib.fetch import Fetch, fetch
from flowstorm_channel.contrib.stores import Store
from flowstorm_channel.events import Event, InitEvent
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.trace import Watcher
from flowstorm_channel.values import ClientConfig, Input, ResponseItem, SttEncoding

__all__ = ["Answer", "Flag", "Host", "HostFunctions", "Part", "Sound"]

Part = str | ResponseItem | bytes
"""What a dialogue says: a text, an item, or audio."""
Answer = AsyncIterator[Part] | Awaitable[Part | Iterable[Part] | None]
"""What a dialogue gives back: it is an async generator, or a coroutine function."""


class Flag(Protocol):
    """What tasks wait for, again and again: an `asyncio.Event`, or the like of another library."""

    def is_set(self) -> bool:
        """Whether it is up."""
        ...

    def set(self) -> None:
        """Put it up, and let those go on who wait for it."""

    def clear(self) -> None:
        """Take it down."""

    async def wait(self) -> object:
        """Wait until it is up."""


class Sound:
    """The user's audio for a recogniser: ``async for block in sound``.

    Of live audio, what the recogniser does not take in time is dropped, the oldest first: late speech is
    worth less than the speech of now. Other audio is made to wait.

    Args:
        stream: the stream it comes from.
        most: the bytes that are kept for the recogniser.
        live: whether the audio cannot wait.
        taken: called when the recogniser has taken a block.
        more: what the recogniser waits with; an `asyncio.Event` unless it runs under another library.
    """

    def __init__(
        self,
        stream: AudioStream,
        most: int,
        *,
        live: bool = True,
        taken: Callable[[], None] = lambda: None,
        more: Flag | None = None,
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
        self._more: Flag = asyncio.Event() if more is None else more
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
Around = Callable[[], AbstractAsyncContextManager[object]]


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
    around: Around
    recorder: Watcher | None


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
        around: gives an async context manager, within which the dialogue, the recogniser and `authorise` run,
            one for each call: what a framework sets up for each of its requests, or a span of a tracer.
        recorder: is given every channel to `watch`: a `Recorder`, or the `Recordings` of
            `contrib.recordings`.
    """

    dialogue: Callable[[Turn], Answer]
    recogniser: Recogniser | None = None
    voice: Voice | None = None
    authorise: Authorise | None = None
    observe: Callable[[Event], None] | None = attrs.field(default=None, validator=_plain)
    apology: str = "Something went wrong."
    store: Store | None = None
    keypad: Keypad | None = attrs.field(default=None, validator=_plain)
    fetch: Fetch = fetch
    around: Around = nullcontext
    recorder: Watcher | None = None

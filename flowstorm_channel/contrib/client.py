"""What all drivers of clients have in common, whichever libraries they use.

A `Line` carries one exchange over its transport: a WebSocket of V1, an HTTP request of V2;
`contrib.websockets`, `contrib.httpx` and `contrib.aiohttp` have theirs. A `BaseClientDriver` opens lines when
the client wants them, and tells what they bring; `contrib.asyncio` and `contrib.trio` have one each.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

from flowstorm_channel.channel import Exchange
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.contrib.driver import Task
from flowstorm_channel.contrib.host import Flag
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.wire import Close, CloseCode, End, Message, RequestHead

__all__ = ["BaseClientDriver", "Body", "Line", "OpenLine"]

LAST_WORDS = 2.0
"""Seconds for logs to go out after the client was closed."""


class Line(ABC):
    """One exchange of a client, over a transport of its own.

    Args:
        driver: whose line it is.
        exchange: what it carries.
        head: opens it.
    """

    def __init__(self, driver: BaseClientDriver, exchange: Exchange, head: RequestHead) -> None:
        self.driver = driver
        self.client = driver.client
        self.head = head
        self.logs = isinstance(exchange, Request) and exchange.logs
        """Whether it goes out even when the client is closed."""
        self.over = False
        """Whether it has ended, or was given up."""
        self.error: Exception | None = None
        """What it has failed with, and any other attempt would."""
        self.task: Task | None = None
        self._exchange = exchange
        self._room = driver.make_flag()

    @abstractmethod
    async def carry(self) -> None:
        """Open the transport, and hand over what it brings until its end. It is cancelled to give it up.

        Raises:
            Exception: no other attempt could mend that.
        """

    @abstractmethod
    async def send(self, message: Message) -> None:
        """Put a message on the transport. Does nothing when that is gone: `carry` says so."""

    @abstractmethod
    async def close(self, close: Close) -> None:
        """Say goodbye, where the transport has a word for it; then it is given up."""

    async def hand_over(self, message: Message) -> None:
        """Tell the client what has come, and wait until it takes more."""
        if self.over:
            return
        self._exchange.receive_data(message)
        self.driver.changed.set()
        while self.client.full and not self.over:
            self._room.clear()
            await self._room.wait()

    def go_on(self) -> None:
        """Events were taken: there is room for more."""
        self._room.set()


class Body:
    """The body of a request: what was given of it, and what is to come.

    Args:
        more: what its reader waits with.
    """

    def __init__(self, more: Flag) -> None:
        self.complete = False
        """Whether its end has been given."""
        self._given: deque[bytes] = deque()
        self._more = more

    def put(self, message: Message) -> None:
        """Add a piece, or the end."""
        if isinstance(message, bytes):
            self._given.append(message)
        elif isinstance(message, End):
            self.complete = True
        self._more.set()

    def whole(self) -> bytes | None:
        """All of it, when it is complete: it can go out with its length. None: there is nothing in it."""
        return b"".join(self._given) or None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece, as it comes."""
        while True:
            while self._given:
                yield self._given.popleft()
            if self.complete:
                return
            self._more.clear()
            await self._more.wait()


OpenLine = Callable[["BaseClientDriver", Exchange, RequestHead], Line]
"""Makes the line of an exchange; it is opened when it is carried."""


class BaseClientDriver(ABC):
    """Runs a client.

    Args:
        client: a new one.
        open_line: makes a line for each exchange that the client begins.
        forever: goes on when nothing can happen any more unless the host, from another task, says something.
        last_words: seconds for logs to go out after the client was closed.
    """

    def __init__(
        self,
        client: ClientChannel,
        open_line: OpenLine,
        *,
        forever: bool = False,
        last_words: float = LAST_WORDS,
    ) -> None:
        self.client = client
        self.changed = self.make_flag()
        """Put up when there is something to do."""
        self._open_line = open_line
        self._forever = forever
        self._last_words = last_words
        self._lines: dict[Exchange, Line] = {}

    # -------------------------------------------------------- what the libraries differ in

    @staticmethod
    @abstractmethod
    def make_flag() -> Flag:
        """A new flag, down."""

    @abstractmethod
    def _spawn(self, work: Coroutine[Any, Any, None]) -> Task:
        """Start a task."""

    @abstractmethod
    async def _wait(self, seconds: float | None) -> None:
        """Until something has changed, but no longer than that."""

    @abstractmethod
    async def _finish(self) -> None:
        """Call `_say_goodbye`, and see to the end of all tasks, even when this one is cancelled."""

    # -------------------------------------------------------- the loop

    async def events(self) -> AsyncGenerator[Event, None]:
        """What the client is told, until it is closed, or nothing more can happen.

        Raises:
            Exception: a line has failed, and any other would.
        """
        client = self.client
        before, client.wake = client.wake, self.changed.set
        try:
            client.open()
            while True:
                self.changed.clear()
                for event in client.events():
                    yield event
                    if self.changed.is_set():  # what was said meanwhile does not wait until all has been told
                        self.changed.clear()
                        await self._flush()
                await self._flush()
                if client.closed:
                    break
                self._look_after_lines()
                seconds = client.timeout()
                nothing_goes_on = seconds is None and not self._lines and not self._forever
                if nothing_goes_on and not self.changed.is_set():
                    break
                await self._wait(seconds)
            await self._let_logs_out()
        finally:
            client.wake = before
            await self._finish()

    async def _flush(self) -> None:
        for exchange in self.client.exchanges:
            for message in exchange.data_to_send():
                line = self._lines.get(exchange)
                if isinstance(message, RequestHead):
                    if line is not None:
                        line.over = True
                    self._lines[exchange] = line = self._open_line(self, exchange, message)
                    line.task = self._spawn(self._carry(line))
                elif line is None:
                    pass
                elif isinstance(message, Close):
                    del self._lines[exchange]
                    await self._give_up(line, message)
                elif isinstance(message, (str, bytes, End)):
                    await line.send(message)

    async def _carry(self, line: Line) -> None:
        try:
            await line.carry()
        except Exception as error:
            line.error = error
        finally:
            line.over = True
            self.changed.set()

    def _look_after_lines(self) -> None:
        for exchange, line in tuple(self._lines.items()):
            line.go_on()
            if line.over:
                del self._lines[exchange]
            if line.error is not None:
                raise line.error

    async def _let_logs_out(self) -> None:
        until = time.monotonic() + self._last_words
        while any(line.logs and not line.over for line in self._lines.values()):
            left = until - time.monotonic()
            if left <= 0:
                return
            self.changed.clear()
            await self._wait(left)

    async def _say_goodbye(self) -> None:
        for line in self._lines.values():
            await self._give_up(line, Close(CloseCode.GOING_AWAY))

    async def _give_up(self, line: Line, close: Close) -> None:
        line.over = True
        try:
            await line.close(close)
        finally:
            if line.task is not None:
                line.task.cancel()

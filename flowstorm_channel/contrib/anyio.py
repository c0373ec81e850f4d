"""Drives channels under trio, or under asyncio, by way of anyio. For clients see `contrib.trio`.

Needs the extra: ``pip install 'flowstorm-channel[anyio]'``.

::

    async def dialogue(turn):
        await trio.sleep(0.5)
        yield f"You said {turn.text}."

    app = ChannelApp(dialogue)            # hypercorn --worker-class trio hello:app
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from flowstorm_channel.contrib import asgi, service
from flowstorm_channel.contrib import fetch as fetching
from flowstorm_channel.contrib.driver import BaseDriver, Task, Transport
from flowstorm_channel.contrib.fetch import Fetch
from flowstorm_channel.contrib.host import Answer, Host
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.wire import CloseCode

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstorm_channel.contrib.service import Options

__all__ = ["ChannelApp", "Driver", "Fetcher", "Flag", "Service", "Tasks", "fetch"]

log = logging.getLogger("flowstorm_channel")

T = TypeVar("T")

_GONE: tuple[type[Exception], ...] = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
try:
    import trio
except ImportError:
    pass
else:
    _GONE += (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel)

_LAST_WORDS = 1.0
"""Seconds for what a cancelled driver has to say."""


class Flag:
    """An `anyio.Event` that can be taken down again."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        """Whether it is up."""
        return self._event.is_set()

    def set(self) -> None:
        """Put it up, and let those go on who wait for it."""
        self._event.set()

    def clear(self) -> None:
        """Take it down."""
        if self._event.is_set():
            self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait until it is up."""
        await self._event.wait()


class Tasks:
    """Tasks that nothing cancels but who has started them, and who has to see to their end.

    Args:
        group: what they run in.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()

    def start(self, work: Coroutine[Any, Any, None], done: Callable[[], object] = lambda: None) -> Task:
        """Start a task, and call a function when it is over."""
        scope = anyio.CancelScope(shield=True)
        self._scopes.add(scope)
        self._group.start_soon(self._run, scope, work, done)
        return scope

    async def _run(
        self, scope: anyio.CancelScope, work: Coroutine[Any, Any, None], done: Callable[[], object]
    ) -> None:
        try:
            with scope:
                if scope.cancel_called:
                    work.close()
                else:
                    await work
        except Exception:
            log.exception("a task has failed")
        finally:
            self._scopes.discard(scope)
            done()

    def cancel(self) -> None:
        """Cancel all."""
        for scope in tuple(self._scopes):
            scope.cancel()


class Driver(BaseDriver):
    """Runs one server channel over one transport, under trio or asyncio.

    Args:
        channel: a new one; its clock is to be that of the running loop or `time.monotonic`.
        transport: what carries its messages.
        host: what is done with it.
    """

    BROKEN = (*BaseDriver.BROKEN, *_GONE)

    def __init__(self, channel: ServerChannel, transport: Transport, host: Host) -> None:
        super().__init__(channel, transport, host)
        self._group = anyio.create_task_group()
        self._tasks = Tasks(self._group)
        self._alarm = anyio.CancelScope()
        self._due = self.make_flag()
        self._ended = self.make_flag()
        self._written = self.make_flag()
        self._error: Exception | None = None

    async def run(self) -> None:
        try:
            async with self._group:
                await self._run()
        finally:
            with anyio.CancelScope(shield=True):
                await self._let_go()
            self.over.set()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        self._spawn(self._carry(self._read()))
        self._spawn(self._carry(self._write()), self._written.set)
        self._spawn(self._keep_time())
        try:
            await self._ended.wait()
        except anyio.get_cancelled_exc_class():
            self.channel.close(CloseCode.GOING_AWAY, "the server is going away")
            self._step()
            with anyio.move_on_after(_LAST_WORDS, shield=True):
                await self._written.wait()
            raise
        finally:
            self.channel.receive_eof()
            self._step()
            self._tasks.cancel()

    async def _carry(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._error = error
        finally:
            self._ended.set()

    async def _keep_time(self) -> None:
        while True:
            with anyio.CancelScope() as self._alarm:
                self._arm()
                await self._due.wait()
            self._due.clear()
            self._step()

    @staticmethod
    def make_flag() -> Flag:
        return Flag()

    @staticmethod
    async def within(seconds: float | None, work: Awaitable[T]) -> T:
        with anyio.fail_after(seconds):
            return await work

    async def _pause(self) -> None:
        await checkpoint()

    def _spawn(self, work: Coroutine[Any, Any, None], done: Callable[[], object] = lambda: None) -> Task:
        return self._tasks.start(work, done)

    def _step_soon(self) -> None:
        self._due.set()

    def _arm(self) -> None:
        seconds = self.channel.timeout()
        self._alarm.deadline = float("inf") if seconds is None else anyio.current_time() + seconds


async def fetch(url: str) -> bytes | None:
    """As `contrib.fetch.fetch`."""
    # Threads of its own: what waits for a stranger's address is not to keep others from theirs.
    alone = anyio.CapacityLimiter(1)
    return await anyio.to_thread.run_sync(fetching.get, url, limiter=alone, abandon_on_cancel=True)


class _Fetching:
    def __init__(self) -> None:
        self.over = anyio.Event()
        self.found: bytes | None = None


class Fetcher(fetching.Fetcher):
    """As `contrib.fetch.Fetcher`. Who asks first fetches for all, and cannot be cancelled meanwhile."""

    def __init__(self, fetch: Fetch = fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(fetch, clock=clock)
        self._room = anyio.Semaphore(fetching.AT_ONCE)

    async def _share(self, url: str) -> bytes | None:
        fetch = self._under_way.get(url)
        if fetch is None:
            fetch = self._under_way[url] = _Fetching()
            with anyio.CancelScope(shield=True):
                fetch.found = await self._get(url)
            fetch.over.set()
        await fetch.over.wait()
        found: bytes | None = fetch.found
        return found

    async def _ask(self, url: str) -> bytes | None:
        return await Driver.within(2 * fetching.SECONDS, self._fetch(url))


class Service(service.Service):
    """The channels of a server, under trio or asyncio. It takes what
    `~flowstorm_channel.contrib.service.Service` takes.

    What is given to it has to run under the same library. The stores of this package need asyncio.
    """

    DRIVER = Driver
    FETCHER = Fetcher

    def __init__(self, dialogue: Callable[[Turn], Answer], **options: Unpack[Options]) -> None:
        options.setdefault("fetch", fetch)
        super().__init__(dialogue, **options)


class ChannelApp(Service, asgi.ChannelApp):
    """The channels of a server as an ASGI application, under trio or asyncio.

    It takes what `~flowstorm_channel.contrib.anyio.Service` takes.
    """

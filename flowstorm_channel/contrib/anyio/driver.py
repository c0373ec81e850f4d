"""Runs one server channel over one transport, under trio or asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from flowstorm_channel.contrib.anyio.tasks import Flag, Tasks
from flowstorm_channel.contrib.driver import BaseDriver, Task, Transport
from flowstorm_channel.contrib.host import Host
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.wire import CloseCode

__all__ = ["Driver"]

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

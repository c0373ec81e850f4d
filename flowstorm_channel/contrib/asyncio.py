"""Drives any channel under asyncio: a server with one dialogue and one recogniser, over any transport.

`contrib.asgi` is this with ASGI as the transport; another transport is two coroutines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from flowstorm_channel.contrib.client import BaseClientDriver
from flowstorm_channel.contrib.driver import BaseDriver, Transport
from flowstorm_channel.contrib.host import Answer, Host, HostFunctions, Part, Sound
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.wire import CloseCode

__all__ = ["Answer", "ClientDriver", "Driver", "Host", "HostFunctions", "Part", "Sound", "Transport"]

log = logging.getLogger("flowstorm_channel")

T = TypeVar("T")

_LAST_WORDS = 1.0
"""Seconds for what a cancelled driver has to say."""
_TIDYING = 5.0
"""Seconds in which a dialogue that was interrupted before the end has to come to its own end."""


class _Work:
    """A task that is cancelled once: a second time would break off what it does in its `finally`."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.cancelled = False

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self.task.cancel()


class Driver(BaseDriver):
    """Runs one server channel over one transport, under asyncio.

    Args:
        channel: a new one; its clock is to be that of the running loop or `time.monotonic`.
        transport: what carries its messages.
        host: what is done with it.
    """

    def __init__(self, channel: ServerChannel, transport: Transport, host: Host) -> None:
        super().__init__(channel, transport, host)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._works: set[_Work] = set()

    async def run(self) -> None:
        """Carry messages until one end closes. Cancelled, it closes the channel and tells the client."""
        ends = [self._spawn(each).task for each in (self._read(), self._write())]
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
            try:
                await self._end_works()
            finally:
                self._stop_timer()
                await self._let_go()
                self.over.set()

    async def _end_works(self) -> None:
        tidying = [each.task for each in self._works if each.cancelled]
        for each in self._works:
            each.cancel()
        tasks = [each.task for each in self._works]
        try:
            if tidying:
                await asyncio.wait(tidying, timeout=_TIDYING)
        finally:
            for task in tidying:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("a task has failed", exc_info=result)

    @staticmethod
    def make_flag() -> asyncio.Event:
        """A new flag, down."""
        return asyncio.Event()

    @staticmethod
    async def within(seconds: float | None, work: Awaitable[T]) -> T:
        """Wait for something.

        Raises:
            TimeoutError: it takes longer than that, and was cancelled.
        """
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError as error:  # on Python 3.10 it is another one
            raise TimeoutError from error

    async def _pause(self) -> None:
        await asyncio.sleep(0)

    def _spawn(self, work: Coroutine[Any, Any, None], done: Callable[[], object] = lambda: None) -> _Work:
        spawned = _Work(self._loop.create_task(work))
        self._works.add(spawned)

        def ended(_: asyncio.Task[None]) -> None:
            self._works.discard(spawned)
            done()

        spawned.task.add_done_callback(ended)
        return spawned

    def _step_soon(self) -> None:
        self._loop.call_soon(self._step)

    def _arm(self) -> None:
        due = self.channel.next_deadline()
        # A timer that is too early costs a look now and then; setting it anew costs at every step.
        if due is None or (self._due is not None and self._due <= due):
            return
        self._stop_timer()
        self._due = due
        self._timer = self._loop.call_later(self.channel.timeout() or 0.0, self._time_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None

    def _time_up(self) -> None:
        self._timer = self._due = None
        self._step()


class ClientDriver(BaseClientDriver):
    """Runs a client under asyncio; see `contrib.client.BaseClientDriver`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def make_flag() -> asyncio.Event:
        """A new flag, down."""
        return asyncio.Event()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _wait(self, seconds: float | None) -> None:
        # Before Python 3.12 asyncio.wait_for can lose a cancellation that comes with the event.
        alarm = None
        if seconds is not None:
            alarm = asyncio.get_running_loop().call_later(seconds, self.changed.set)
        try:
            await self.changed.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _finish(self) -> None:
        try:
            await self._say_goodbye()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

"""Runs a client under trio: V1 over the `websockets` library, V2 over `httpx`.

Needs the extra, and for V1 Python 3.11: ``pip install 'flowstorm-channel[trio]'``. Servers are in
`contrib.anyio`.

::

    client = SocketV1Client("ws://127.0.0.1:8000/socket", key="K", device_id="D", auto_start=True)
    async with open_events(client) as events:
        async for event in events:
            if isinstance(event, ResponseEvent):
                client.finish_playback()
                client.say("and on")
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.contrib.anyio import Flag, Tasks
from flowstorm_channel.contrib.client import BaseClientDriver, OpenLine
from flowstorm_channel.contrib.driver import Task
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v2 import SocketV2Client

__all__ = ["ClientDriver", "open_events"]

_LAST_WORDS = 1.0
"""Seconds to say goodbye in, when a client is left."""


@asynccontextmanager
async def open_events(client: ClientChannel, **options: Any) -> AsyncIterator[AsyncGenerator[Event, None]]:
    """Run a client for as long as the context lasts: gives what it is told, until it is closed.

    The words of the client may be used at any time, from any task. While an event is held nothing is sent and
    no deadline is kept, so what takes long belongs into a task of its own.

    Args:
        client: a new one.
        options: for ``websockets.trio.client.connect``, or for V2 those for ``httpx.AsyncClient``.

    Raises:
        ImportError: what the client needs is not installed.
        Exception: the client's address is none.
    """
    forever = isinstance(client, SocketV2Client)
    failure: Exception | None = None
    async with _lines(client, options) as open_line, anyio.create_task_group() as group:
        driver = ClientDriver(group, client, open_line, forever=forever)
        try:
            async with aclosing(driver.events()) as told:
                yield told
        except Exception as error:
            failure = error  # a task group would wrap it
    if failure is not None:
        raise failure


def _lines(client: ClientChannel, options: dict[str, Any]) -> AbstractAsyncContextManager[OpenLine]:
    return _requests(options) if isinstance(client, SocketV2Client) else nullcontext(_socket(options))


@asynccontextmanager
async def _requests(options: dict[str, Any]) -> AsyncIterator[OpenLine]:
    try:
        import httpx

        from flowstorm_channel.contrib.httpx import HttpLine, settings
    except ImportError as error:
        raise ImportError("V2 needs httpx: pip install 'flowstorm-channel[trio]'") from error
    async with httpx.AsyncClient(**settings(options)) as http:
        yield partial(HttpLine, http)


def _socket(options: dict[str, Any]) -> OpenLine:
    try:
        from websockets.trio.client import connect

        from flowstorm_channel.contrib.websockets import SocketLine
    except ImportError as error:
        raise ImportError(
            "V1 needs websockets 17 and Python 3.11: pip install 'flowstorm-channel[trio]'"
        ) from error
    return partial(SocketLine, connect, options)


class ClientDriver(BaseClientDriver):
    """Runs a client under trio or asyncio.

    Args:
        group: what its tasks are started in; it is not to be left before the events have ended.
        args: those of `contrib.client.BaseClientDriver`.
        options: the same.
    """

    def __init__(self, group: TaskGroup, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tasks = Tasks(group)

    @staticmethod
    def make_flag() -> Flag:
        return Flag()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Task:
        return self._tasks.start(work)

    async def _wait(self, seconds: float | None) -> None:
        with anyio.move_on_after(seconds):
            await self.changed.wait()

    async def _finish(self) -> None:
        with anyio.move_on_after(_LAST_WORDS, shield=True):
            await self._say_goodbye()
        self._tasks.cancel()

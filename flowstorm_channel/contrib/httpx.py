"""Drives a V2 client over the `httpx` library: asynchronously, or blocking.

As with `contrib.websockets`, the loop is a generator of the events, and the host acts while it holds one::

    client = SocketV2Client("http://127.0.0.1:8000/client", key="K", device_id="D", auto_start=True)
    for event in events(client):
        if isinstance(event, ResponseEvent):
            client.finish_playback()
            client.say(input("> "))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.contrib.asyncio import ClientDriver
from flowstorm_channel.contrib.client import LAST_WORDS, Body, Line
from flowstorm_channel.events import Event
from flowstorm_channel.wire import END, Close, CloseCode, Message, ResponseHead

__all__ = ["async_events", "events"]

_TIMEOUT = httpx.Timeout(None, connect=10.0)
"""An answer may take its time; what a client waits for, and how long, is its own business."""

_LAST_WORDS = LAST_WORDS


def events(client: ClientChannel, **options: Any) -> Generator[Event, None, None]:
    """Run a client, blocking, and yield what it is told until it is closed, or nothing more can happen.

    The words of the client are to be used while an event is held. A client that sends audio while it waits
    for events wants `async_events`.

    Args:
        client: a new one.
        options: for ``httpx.AsyncClient``, such as ``verify`` or ``proxy``.

    Raises:
        RuntimeError: an event loop runs in this thread: it would stand still.
        httpx.InvalidURL, httpx.UnsupportedProtocol: the client's address is none.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("an event loop runs here, and would stand still: use async_events")
    loop = asyncio.new_event_loop()
    told = _run(client, options, forever=False)
    waiting: asyncio.Task[Event | None] | None = None
    try:
        while True:
            waiting = loop.create_task(_next(told))
            event = loop.run_until_complete(waiting)
            if event is None:
                return
            yield event
    finally:
        try:
            loop.run_until_complete(_leave(told, waiting))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _next(told: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(told, None)


async def _leave(told: AsyncGenerator[Event, None], waiting: asyncio.Task[Event | None] | None) -> None:
    if waiting is not None:
        waiting.cancel()  # Control-C interrupts the loop, and not who waits in it
        await asyncio.wait({waiting})
    await told.aclose()


async def async_events(client: ClientChannel, **options: Any) -> AsyncGenerator[Event, None]:
    """Run a client under asyncio and yield what it is told until it is closed.

    The words of the client may be used at any time, from any task of the loop. While an event is held nothing
    is sent and no deadline is kept, so what takes long belongs into a task of its own. Use
    `contextlib.aclosing` when you leave the iteration early.

    Args:
        client: a new one.
        options: for ``httpx.AsyncClient``, such as ``verify`` or ``proxy``.

    Raises:
        httpx.InvalidURL, httpx.UnsupportedProtocol: the client's address is none.
    """
    told = _run(client, options, forever=True)
    try:
        async for event in told:
            yield event
    finally:
        await told.aclose()


async def _run(
    client: ClientChannel, options: dict[str, Any], *, forever: bool
) -> AsyncGenerator[Event, None]:
    async with httpx.AsyncClient(**settings(options)) as http:
        open_line = partial(HttpLine, http)
        driver = ClientDriver(client, open_line, forever=forever, last_words=_LAST_WORDS)
        async with aclosing(driver.events()) as told:
            async for event in told:
                yield event


def settings(options: dict[str, Any]) -> dict[str, Any]:
    """What ``httpx.AsyncClient`` is to be made with.

    Args:
        options: those of the host.
    """
    # The session's cookie is the client's own affair: a jar beside it would send what was dropped.
    nothing_kept = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    chosen = {"timeout": _TIMEOUT, **options, "cookies": nothing_kept}
    hooks = dict(chosen.get("event_hooks") or {})
    chosen["event_hooks"] = {**hooks, "request": [*hooks.get("request", ()), _keep_session]}
    return chosen


_SENT = "flowstorm_channel.sent"


async def _keep_session(request: httpx.Request) -> None:
    """Put the session's cookie back: httpx takes it from a request that follows a redirect."""
    sent: tuple[httpx.URL, str | None] | None = request.extensions.get(_SENT)
    if sent is not None:  # else it is the host's own
        before, cookie = sent
        secure = request.url.scheme == before.scheme or request.url.scheme == "https"
        if cookie is not None and secure and request.url.host == before.host:
            request.headers["Cookie"] = cookie


class HttpLine(Line):
    """One request: sends its body, and hands over what the response brings.

    Args:
        http: made with `settings`.
        args: those of `Line`.
    """

    def __init__(self, http: httpx.AsyncClient, *args: Any) -> None:
        super().__init__(*args)
        self._http = http
        self._body = Body(self.driver.make_flag())

    async def send(self, message: Message) -> None:
        self._body.put(message)

    async def close(self, close: Close) -> None:
        """A request has no goodbye."""

    async def carry(self) -> None:
        head = self.head
        try:
            async with self._http.stream(
                head.method,
                head.url,
                headers=[*head.headers, ("Accept-Encoding", "identity")],
                content=self._body.whole() if self._body.complete else self._body.pieces(),
                extensions={_SENT: (httpx.URL(head.url), head.header("Cookie"))},
            ) as response:
                pairs = response.headers.multi_items()
                await self.hand_over(ResponseHead(status=response.status_code, headers=pairs))
                async for data in response.aiter_bytes():
                    await self.hand_over(data)
            await self.hand_over(END)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            await self.hand_over(Close(CloseCode.ABNORMAL, str(error) or type(error).__name__))

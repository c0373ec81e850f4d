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
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from flowstorm_channel.channel import Exchange
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead

__all__ = ["async_events", "events"]

_TIMEOUT = httpx.Timeout(None, connect=10.0)
"""An answer may take its time; what a client waits for, and how long, is its own business."""

_LAST_WORDS = 2.0
"""Seconds for logs to go out after the client was closed."""


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
    try:
        while True:
            try:
                event = loop.run_until_complete(told.__anext__())
            except StopAsyncIteration:
                return
            yield event
    finally:
        try:
            loop.run_until_complete(told.aclose())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


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
    woken = asyncio.Event()
    loop = asyncio.get_running_loop()
    before, client.wake = client.wake, woken.set
    lines: dict[Exchange, _Line] = {}
    # The session's cookie is the client's own affair: a jar beside it would send what was dropped.
    nothing_kept = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    settings = {"timeout": _TIMEOUT, **options, "cookies": nothing_kept}
    hooks = dict(settings.get("event_hooks") or {})
    settings["event_hooks"] = {**hooks, "request": [*hooks.get("request", ()), _keep_session]}
    try:
        async with httpx.AsyncClient(**settings) as http:
            client.open()
            try:
                while True:
                    woken.clear()
                    for event in client.events():
                        yield event
                        if woken.is_set():  # what was said meanwhile does not wait until all has been told
                            woken.clear()
                            _flush(client, lines, http, woken)
                    _flush(client, lines, http, woken)
                    if client.closed:
                        break
                    for exchange, line in tuple(lines.items()):
                        if not line.proceed():
                            del lines[exchange]
                    wait = client.timeout()
                    if not forever and not lines and wait is None and not woken.is_set():
                        break
                    alarm = None if wait is None else loop.call_later(wait, woken.set)
                    try:
                        await woken.wait()
                    finally:
                        if alarm is not None:
                            alarm.cancel()
                logs = [line.task for line in lines.values() if line.logs]
                if logs:  # that were said before the end, and are to go out
                    await asyncio.wait(logs, timeout=_LAST_WORDS)
            finally:
                # While the pool is there: a connection that comes up without one stays open.
                for line in lines.values():
                    line.give_up()
                await asyncio.gather(*(line.task for line in lines.values()), return_exceptions=True)
    finally:
        client.wake = before


def _flush(
    client: ClientChannel, lines: dict[Exchange, _Line], http: httpx.AsyncClient, woken: asyncio.Event
) -> None:
    for exchange in client.exchanges:
        for message in exchange.data_to_send():
            if isinstance(message, RequestHead):
                lines[exchange] = _Line(client, exchange, message, http, woken)
            elif exchange in lines:
                lines[exchange].send(message)


_SENT = "flowstorm_channel.sent"


async def _keep_session(request: httpx.Request) -> None:
    """Put the session's cookie back: httpx takes it from a request that follows a redirect."""
    sent: tuple[httpx.URL, str | None] | None = request.extensions.get(_SENT)
    if sent is not None:  # else it is the host's own
        before, cookie = sent
        secure = request.url.scheme == before.scheme or request.url.scheme == "https"
        if cookie is not None and secure and request.url.host == before.host:
            request.headers["Cookie"] = cookie


class _Line:
    """One request: sends its body, and hands over what the response brings."""

    def __init__(
        self,
        client: ClientChannel,
        exchange: Exchange,
        head: RequestHead,
        http: httpx.AsyncClient,
        woken: asyncio.Event,
    ) -> None:
        self._client = client
        self._exchange = exchange
        self.logs = isinstance(exchange, Request) and exchange.logs
        self._head = head
        self._http = http
        self._woken = woken
        self._body: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._whole = False
        self._room = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run())
        self.task.add_done_callback(lambda _: woken.set())

    def send(self, message: Message) -> None:
        if isinstance(message, bytes):
            self._body.put_nowait(message)
        elif isinstance(message, End):
            self._whole = True
            self._body.put_nowait(None)
        elif isinstance(message, Close):
            self.give_up()

    def give_up(self) -> None:
        self.task.cancel()

    def proceed(self) -> bool:
        """Events were taken: there is room for more. Whether the request is under way.

        Raises what no other attempt could mend.
        """
        self._room.set()
        if not self.task.done():
            return True
        with suppress(asyncio.CancelledError):
            self.task.result()
        return False

    async def _run(self) -> None:
        head = self._head
        headers = [*head.headers, ("Accept-Encoding", "identity")]
        try:
            async with self._http.stream(
                head.method,
                head.url,
                headers=headers,
                content=self._content(),
                extensions={_SENT: (httpx.URL(head.url), head.header("Cookie"))},
            ) as response:
                pairs = response.headers.multi_items()
                self._hand_over(ResponseHead(status=response.status_code, headers=pairs))
                async for data in response.aiter_bytes():
                    self._hand_over(data)
                    while self._client.full:
                        self._room.clear()
                        await self._room.wait()
            self._hand_over(END)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            self._hand_over(Close(CloseCode.ABNORMAL, str(error) or type(error).__name__))

    def _content(self) -> bytes | AsyncIterator[bytes] | None:
        """A body that is known whole goes out with its length; else it is sent as it comes."""
        if not self._whole:
            return self._pieces()
        pieces = []
        while (piece := self._body.get_nowait()) is not None:
            pieces.append(piece)
        return b"".join(pieces) or None

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._body.get()) is not None:
            yield piece

    def _hand_over(self, message: Message) -> None:
        self._exchange.receive_data(message)
        self._woken.set()

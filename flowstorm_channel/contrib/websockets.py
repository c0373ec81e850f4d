"""Drives channels over the `websockets` library: clients, asynchronous or blocking, and servers without ASGI.

The loop of a client is a generator of the events; the host acts while it holds one, by the client's words::

    client = SocketV1Client("ws://127.0.0.1:8000/socket", key="K", device_id="D", auto_start=True)
    for event in events(client):
        if isinstance(event, ResponseEvent):
            client.finish_playback()
            client.say(input("> "))

A server is a `Service`, and its handler is what `serve` takes, that of asyncio or, with the `Service` of
`contrib.anyio`, that of trio::

    service = Service(dialogue)
    async with serve(handler(service), "127.0.0.1", 8000, select_subprotocol=select_subprotocol):
        ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, aclosing, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as connect_sync
from websockets.typing import Subprotocol

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.contrib.asyncio import ClientDriver
from flowstorm_channel.contrib.client import Line
from flowstorm_channel.contrib.service import Service
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL, SUBPROTOCOL_HEADER
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = ["SocketLine", "async_events", "events", "handler", "select_subprotocol"]

_OFFERED = SUBPROTOCOL_HEADER.lower()
_POLICY = 1008
"""The close code for what is not allowed (RFC 6455, 7.4.1): of a refusal that comes too late to be HTTP."""

# A server may accept and close at once; on Python 3.10 the time-out of asyncio is no OSError; and the
# blocking connection can trip over an assertion of its own when a server talks nonsense and hangs up.
_FAILURES = (OSError, InvalidHandshake, ConnectionClosed, asyncio.TimeoutError, AssertionError)


def events(client: ClientChannel, **options: Any) -> Generator[Event, None, None]:
    """Run a client, blocking, and yield what it is told until it is closed.

    The words of the client are to be used while an event is held, in this thread. A client that sends audio
    while it waits for events wants `async_events`.

    Args:
        client: a new one.
        options: for ``websockets.sync.client.connect``, such as ``ssl`` or ``additional_headers``.

    Raises:
        websockets.exceptions.InvalidURI: the client's address is none.
    """
    socket: SyncConnection | None = None
    client.open()
    with ExitStack() as line:
        try:
            while not client.closed:
                yield from client.events()
                connected = False
                for message in client.data_to_send():
                    if isinstance(message, RequestHead):
                        connected = True
                        socket = _dial(client, message, options, line)
                    elif socket is not None:
                        with suppress(ConnectionClosed):  # the next receipt says so
                            if isinstance(message, Close):
                                socket.close(message.code, message.reason)
                                line.close()
                                socket = None
                            elif isinstance(message, (str, bytes)):
                                socket.send(message)
                if connected:
                    continue
                wait = client.timeout()
                if socket is not None:
                    try:
                        client.receive_data(socket.recv(timeout=wait))
                    except TimeoutError:
                        pass
                    except ConnectionClosed as closed:
                        client.receive_data(_closed(closed))
                        line.close()
                        socket = None
                elif wait is not None:
                    time.sleep(wait)
                elif not client.closed:
                    return  # reconnecting is switched off, and nothing else can happen
        finally:
            if socket is not None:
                socket.close(CloseCode.GOING_AWAY)


def _dial(
    client: ClientChannel, head: RequestHead, options: dict[str, Any], line: ExitStack
) -> SyncConnection | None:
    """Open a blocking connection, which the stack will close, and tell the client how that went."""
    try:
        socket: SyncConnection = line.enter_context(connect_sync(head.url, **_options(client, head, options)))
    except _FAILURES as error:
        client.receive_data(_refusal(error))
        return None
    client.receive_data(_accepted(socket.subprotocol))
    return socket


async def async_events(client: ClientChannel, **options: Any) -> AsyncGenerator[Event, None]:
    """Run a client under asyncio and yield what it is told until it is closed.

    The words of the client may be used at any time, from any task of the loop. While an event is held nothing
    is sent and no deadline is kept, so what takes long belongs into a task of its own. Use
    `contextlib.aclosing` when you leave the iteration early.

    Args:
        client: a new one.
        options: for ``websockets.asyncio.client.connect``, such as ``ssl`` or ``additional_headers``.

    Raises:
        websockets.exceptions.InvalidURI: the client's address is none.
    """
    driver = ClientDriver(client, partial(SocketLine, connect, options))
    async with aclosing(driver.events()) as told:
        async for event in told:
            yield event


class SocketLine(Line):
    """One connection.

    Args:
        connect: of ``websockets.asyncio.client`` or ``websockets.trio.client``.
        options: for it.
        args: those of `Line`.
    """

    def __init__(self, connect: Callable[..., Any], options: dict[str, Any], *args: Any) -> None:
        super().__init__(*args)
        self._connect = connect
        self._options = options
        self._socket: Any = None

    async def carry(self) -> None:
        options = _options(self.client, self.head, self._options)
        try:
            async with self._connect(self.head.url, **options) as self._socket:
                await self.hand_over(_accepted(self._socket.subprotocol))
                while True:
                    await self.hand_over(await self._socket.recv())
        except ConnectionClosed as closed:
            await self.hand_over(_closed(closed))
        except _FAILURES as error:
            await self.hand_over(_refusal(error))

    async def send(self, message: Message) -> None:
        if self._socket is not None and isinstance(message, (str, bytes)):
            with suppress(ConnectionClosed):  # the reader says so
                await self._socket.send(message)

    async def close(self, close: Close) -> None:
        if self._socket is not None:
            await _close(self._socket, close)


def _options(client: ClientChannel, head: RequestHead, options: dict[str, Any]) -> dict[str, Any]:
    offered = head.header(SUBPROTOCOL_HEADER)
    headers = [pair for pair in head.headers if pair[0] != SUBPROTOCOL_HEADER]
    return {
        "subprotocols": [Subprotocol(offered)] if offered else None,
        "max_size": max(client.limits.message_bytes, client.limits.audio_bytes),
        **options,
        "additional_headers": [*headers, *Headers(options.get("additional_headers") or ()).raw_items()],
    }


def _accepted(subprotocol: str | None) -> ResponseHead:
    return ResponseHead(status=101, headers=((SUBPROTOCOL_HEADER, subprotocol),) if subprotocol else ())


def _refusal(error: Exception) -> Message:
    if isinstance(error, InvalidStatus):
        return ResponseHead(status=error.response.status_code)
    return Close(CloseCode.ABNORMAL, str(error))


def _closed(closed: ConnectionClosed) -> Close:
    received = closed.rcvd
    return Close(received.code, received.reason) if received else Close(CloseCode.ABNORMAL, str(closed))


# ------------------------------------------------------------ servers


def select_subprotocol(_: Any, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """What ``serve`` chooses the encoding with: msgpack for those who offer it."""
    return next((each for each in offered if each == SUBPROTOCOL), None)


def handler(service: Service) -> Callable[[Any], Awaitable[None]]:
    """What ``serve`` of ``websockets.asyncio.server`` or ``websockets.trio.server`` calls for a connection.

    Args:
        service: what is served, over WebSockets only. That of `contrib.anyio` under trio.
    """

    async def serve_connection(connection: Any) -> None:
        await service.serve_socket(urlsplit(connection.request.path).path, _Connection(connection))

    return serve_connection


class _Connection:
    """A connection of a server as a `Transport`. Its handshake is over when it comes here."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._begun = False

    async def receive(self) -> Message | None:
        if not self._begun:
            self._begun = True
            request, chosen = self._connection.request, self._connection.subprotocol
            headers = [pair for pair in request.headers.raw_items() if pair[0].lower() != _OFFERED]
            return RequestHead(url=request.path, headers=[*headers, (SUBPROTOCOL_HEADER, chosen or "")])
        try:
            message: Message = await self._connection.recv()
        except ConnectionClosed as closed:
            return _closed(closed)
        return message

    async def send(self, message: Message) -> None:
        if isinstance(message, ResponseHead):
            if message.status != 101:
                await _close(self._connection, Close(_POLICY, f"HTTP {message.status}"))
                raise ConnectionAbortedError("the WebSocket is refused")
        elif isinstance(message, Close):
            await _close(self._connection, message)
        else:
            try:
                await self._connection.send(message)
            except ConnectionClosed as closed:
                raise ConnectionResetError(str(closed)) from closed


async def _close(connection: Any, close: Close) -> None:
    # The word for it is that of the library below.
    say = connection.close if hasattr(connection, "close") else connection.aclose
    await say(close.code, close.reason)

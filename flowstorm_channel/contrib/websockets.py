"""Drives a client channel over the `websockets` library: asynchronously, or blocking.

The loop is a generator of the events; the host acts while it holds one, by the words of the client::

    client = SocketV1Client("ws://127.0.0.1:8000/socket", key="K", device_id="D", auto_start=True)
    for event in events(client):
        if isinstance(event, ResponseEvent):
            client.finish_playback()
            client.say(input("> "))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as connect_sync
from websockets.typing import Subprotocol

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = ["async_events", "events"]

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
    woken = asyncio.Event()
    loop = asyncio.get_running_loop()
    before, client.wake = client.wake, woken.set
    client.open()
    line: _Line | None = None
    try:
        while not client.closed:
            woken.clear()
            for event in client.events():
                yield event
            for message in client.data_to_send():
                if isinstance(message, RequestHead):
                    line = _Line(client, message, woken, options)
                elif line is not None:
                    await line.send(message)
                    if isinstance(message, Close):
                        line = None
            if line is not None and not line.proceed():
                line = None
            wait = client.timeout()
            if line is None and wait is None:
                if woken.is_set():
                    continue
                return  # closed, or reconnecting is switched off: nothing else can happen
            # Before Python 3.12 asyncio.wait_for can lose a cancellation that comes with the event.
            alarm = None if wait is None else loop.call_later(wait, woken.set)
            try:
                await woken.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()
    finally:
        client.wake = before
        if line is not None:
            await line.send(Close(CloseCode.GOING_AWAY))


class _Line:
    """One connection: opens it, and hands over what it brings."""

    def __init__(
        self, client: ClientChannel, head: RequestHead, woken: asyncio.Event, options: dict[str, Any]
    ) -> None:
        self._room = asyncio.Event()
        self._client = client
        self._woken = woken
        self._socket: ClientConnection | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read(head, options))
        self._reading.add_done_callback(lambda _: woken.set())

    def proceed(self) -> bool:
        """Events were taken: there is room for more. Whether the connection is up, or coming up.

        Raises what no other attempt could mend.
        """
        self._room.set()
        if self._reading.done():
            self._reading.result()
            return False
        return True

    async def send(self, message: Message) -> None:
        if isinstance(message, Close):
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            if self._socket is not None:
                await self._socket.close(message.code, message.reason)
        elif self._socket is not None and isinstance(message, (str, bytes)):
            with suppress(ConnectionClosed):  # the reader says so
                await self._socket.send(message)

    async def _read(self, head: RequestHead, options: dict[str, Any]) -> None:
        try:
            self._socket = await connect(head.url, **_options(self._client, head, options))
            self._hand_over(_accepted(self._socket.subprotocol))
            while True:
                self._hand_over(await self._socket.recv())
                while self._client.full:
                    self._room.clear()
                    await self._room.wait()
        except ConnectionClosed as closed:
            self._hand_over(_closed(closed))
        except _FAILURES as error:
            self._hand_over(_refusal(error))

    def _hand_over(self, message: Message) -> None:
        self._client.receive_data(message)
        self._woken.set()


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

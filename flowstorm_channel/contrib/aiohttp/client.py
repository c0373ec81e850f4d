"""Runs clients of V1 and V2 over the client of aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import aiohttp
from aiohttp import ClientSession
from yarl import URL

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.contrib.aiohttp.websocket import received, send
from flowstorm_channel.contrib.asyncio import ClientDriver
from flowstorm_channel.contrib.client import Body, Line
from flowstorm_channel.events import Event
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.wire import END, Close, CloseCode, Message, ResponseHead

__all__ = ["async_events"]


async def async_events(client: ClientChannel, **options: Any) -> AsyncGenerator[Event, None]:
    """Run a client of V1 or V2 under asyncio and yield what it is told until it is closed.

    The words of the client may be used at any time, from any task of the loop. While an event is held nothing
    is sent and no deadline is kept, so what takes long belongs into a task of its own. Use
    `contextlib.aclosing` when you leave the iteration early.

    Args:
        client: a new one.
        options: for ``aiohttp.ClientSession``, such as ``connector`` or ``trust_env``.

    Raises:
        aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError: the client's address is none.
    """
    requests = isinstance(client, SocketV2Client)
    settings = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=10.0), **options}
    # The session's cookie is the client's own affair: a jar beside it would send what was dropped.
    async with ClientSession(**{**settings, "cookie_jar": aiohttp.DummyCookieJar()}) as http:
        open_line = partial(_RequestLine if requests else _SocketLine, http)
        driver = ClientDriver(client, open_line, forever=requests)
        async with aclosing(driver.events()) as told:
            async for event in told:
                yield event


class _AiohttpLine(Line):
    def __init__(self, http: ClientSession, *args: Any) -> None:
        super().__init__(*args)
        self._http = http

    async def carry(self) -> None:
        try:
            await self._carry()
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise
        except aiohttp.WSServerHandshakeError as refusal:
            await self.hand_over(ResponseHead(status=refusal.status))
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            await self.hand_over(Close(CloseCode.ABNORMAL, str(error) or type(error).__name__))

    async def _carry(self) -> None:
        raise NotImplementedError


class _SocketLine(_AiohttpLine):
    """A connection of V1."""

    _socket: aiohttp.ClientWebSocketResponse | None = None

    async def _carry(self) -> None:
        limits = self.client.limits
        offered = self.head.header(SUBPROTOCOL_HEADER)
        connecting = self._http.ws_connect(
            self.head.url,
            protocols=(offered,) if offered else (),
            headers=[pair for pair in self.head.headers if pair[0] != SUBPROTOCOL_HEADER],
            max_msg_size=max(limits.message_bytes, limits.audio_bytes),
        )
        async with connecting as self._socket:
            chosen = self._socket.protocol
            headers = ((SUBPROTOCOL_HEADER, chosen),) if chosen else ()
            await self.hand_over(ResponseHead(status=101, headers=headers))
            while not self.over:
                message = received(await self._socket.receive())
                await self.hand_over(message)
                if isinstance(message, Close):
                    return

    async def send(self, message: Message) -> None:
        if self._socket is not None:
            with suppress(ConnectionError):  # the reader says so
                await send(self._socket, message)

    async def close(self, close: Close) -> None:
        await self.send(close)


class _RequestLine(_AiohttpLine):
    """A request of V2."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._body = Body(self.driver.make_flag())

    async def _carry(self) -> None:
        asking = self._http.request(
            self.head.method,
            URL(self.head.url, encoded=True),
            headers=[*self.head.headers, ("Accept-Encoding", "identity")],
            data=self._body.whole() if self._body.complete else self._body.pieces(),
        )
        async with asking as response:
            pairs = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in response.raw_headers]
            await self.hand_over(ResponseHead(status=response.status, headers=pairs))
            async for data in response.content.iter_any():
                await self.hand_over(data)
        await self.hand_over(END)

    async def send(self, message: Message) -> None:
        self._body.put(message)

    async def close(self, close: Close) -> None:
        """A request has no goodbye."""

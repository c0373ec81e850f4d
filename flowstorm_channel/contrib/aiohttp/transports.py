"""What aiohttp brings and takes, as the transports that a driver runs a server channel over."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from flowstorm_channel.contrib.aiohttp.websocket import received, send
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.wire import END, Close, End, Message, RequestHead, ResponseHead

__all__ = ["RequestTransport", "WebSocketTransport"]

_LOOK = 0.1
"""Seconds between two looks whether a client that is answered is still there: aiohttp has no word for it."""
_HEARTBEAT = 20.0
"""Seconds between two pings."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _head(request: web.Request) -> RequestHead:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
    # Absolute, since the scheme matters; the host does not, and is the client's to choose.
    url = f"{request.scheme}://localhost{request.raw_path}"
    return RequestHead(method=request.method, url=url, headers=pairs)


class WebSocketTransport:
    """A WebSocket of a server as a `Transport`."""

    def __init__(self, request: web.Request, limits: Limits) -> None:
        self.response: web.StreamResponse | None = None
        self._request = request
        self._limits = limits
        self._begun = False
        self._accepted = asyncio.Event()
        self._socket = web.WebSocketResponse()

    async def receive(self) -> Message | None:
        if not self._begun:
            self._begun = True
            return _head(self._request)
        await self._accepted.wait()
        return received(await self._socket.receive())

    async def send(self, message: Message) -> None:
        if isinstance(message, ResponseHead):
            await self._answer(message)
        else:
            await send(self._socket, message)

    async def _answer(self, head: ResponseHead) -> None:
        if head.status != 101:
            self.response = web.Response(status=head.status)
            raise ConnectionAbortedError("the WebSocket is refused")
        chosen = head.header(SUBPROTOCOL_HEADER)
        self.response = self._socket = web.WebSocketResponse(
            protocols=(chosen,) if chosen else (),
            max_msg_size=max(self._limits.message_bytes, self._limits.audio_bytes),
            heartbeat=_HEARTBEAT,
        )
        await self._socket.prepare(self._request)
        self._accepted.set()


class RequestTransport:
    """A request to a server as a `Transport`."""

    def __init__(self, request: web.Request) -> None:
        self.response: web.StreamResponse | None = None
        self._request = request
        self._begun = self._ended = False
        self._awaited = hdrs.EXPECT in request.headers

    async def receive(self) -> Message | None:
        if not self._begun:
            self._begun = True
            return _head(self._request)
        if self._ended:
            while self._request.transport is not None:
                await asyncio.sleep(_LOOK)
            return None
        if self._awaited and self.response is None:
            self._awaited = False
            await self._request.writer.write(_CONTINUE)
            self._request.writer.output_size = 0
        piece = await self._request.content.readany()
        if piece:
            return piece
        self._ended = True
        return END

    async def send(self, message: Message) -> None:
        match message:
            case ResponseHead():
                self.response = web.StreamResponse(status=message.status)
                self.response.headers.extend(message.headers)
                if not self._ended and self._request.can_read_body and message.status >= 400:
                    self.response.force_close()  # what is left of the body is not worth reading
                await self.response.prepare(self._request)
            case bytes() if self.response is not None:
                await self.response.write(message)
            case End() if self.response is not None:
                await self.response.write_eof()
            case Close():
                # There is no word for breaking off: a response that has begun and does not end says so.
                if self._request.transport is not None:
                    self._request.transport.close()
                raise ConnectionAbortedError("the request is given up")

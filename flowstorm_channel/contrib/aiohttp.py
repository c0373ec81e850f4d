"""All channels in an application of aiohttp, and clients of V1 and V2 over aiohttp.

Needs the extra: ``pip install 'flowstorm-channel[aiohttp]'``.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    app = web.Application()
    Channels(dialogue).setup(app)         # or setup(app, prefix="/voice")
    web.run_app(app)

    client = SocketV2Client("http://127.0.0.1:8080/client", key="K", device_id="D")
    async for event in async_events(client):
        ...
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from aiohttp import hdrs, web

from flowstorm_channel.contrib.aiohttp_client import async_events, received, send
from flowstorm_channel.contrib.service import PATHS, Service
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.wire import END, Close, End, Message, RequestHead, ResponseHead

__all__ = ["Channels", "async_events"]

_LOOK = 0.1
"""Seconds between two looks whether a client that is answered is still there: aiohttp has no word for it."""
_HEARTBEAT = 20.0
"""Seconds between two pings."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Channels(Service):
    """The channels of a server as routes of an application of aiohttp.

    It takes what `~flowstorm_channel.contrib.service.Service` takes.
    """

    def setup(self, app: web.Application, prefix: str = "") -> None:
        """Add the routes, and close what is open when the application shuts down.

        Args:
            app: which is not running yet.
            prefix: what the paths begin with.
        """
        for path in PATHS:
            for end in ("", "/"):
                app.router.add_route(
                    "*", prefix + path + end, partial(self._serve, path), expect_handler=_expect
                )
        app.on_shutdown.append(self._shut_down)

    async def _serve(self, path: str, request: web.Request) -> web.StreamResponse:
        transport: _WebSocket | _Request
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            transport = _WebSocket(request, self._settings["limits"])
            await self.serve_socket(path, transport)
        else:
            transport = _Request(request)
            with suppress(ConnectionError):  # who asked has gone
                await self.serve_request(path, transport)
        if transport.response is None and request.transport is not None:
            request.transport.close()
        return transport.response or web.Response(status=503)

    async def _shut_down(self, _: web.Application) -> None:
        await self.aclose()
        if self.host.store is not None:
            await self.host.store.close()


async def _expect(request: web.Request) -> None:
    """Have who waits with a body wait until it is wanted: it may be refused before (RFC 9110, 10.1.1)."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="only 100-continue is known")


def _head(request: web.Request) -> RequestHead:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
    # Absolute, since the scheme matters; the host does not, and is the client's to choose.
    url = f"{request.scheme}://localhost{request.raw_path}"
    return RequestHead(method=request.method, url=url, headers=pairs)


class _WebSocket:
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


class _Request:
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

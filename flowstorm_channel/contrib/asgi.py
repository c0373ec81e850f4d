"""An ASGI application for dialogues: mount it anywhere, or run it as it is.

It serves Socket V1 at ``/socket``, and at ``/client`` both Socket V2 and, by `Upgrade`, Socket V1 (D-20).
When it is told how (see `contrib.platforms`), it answers Alexa at ``/alexa``, Google Assistant at
``/google``, and at ``/call`` phone calls of Twilio: the webhook by HTTP, the audio by WebSocket.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    app = ChannelApp(dialogue)            # uvicorn hello:app
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from flowstorm_channel.contrib.service import Options, Service
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead

__all__ = ["ChannelApp", "Options"]

log = logging.getLogger("flowstorm_channel")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ChannelApp(Service):
    """The channels of a server as an ASGI application, under asyncio.

    It takes what `~flowstorm_channel.contrib.service.Service` takes.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entrance."""
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await self.serve_socket(_path(scope), _WebSocket(scope, receive, send))
            case "http":
                await self.serve_request(_path(scope), _Request(scope, receive, send))
            case other:
                raise ValueError(f"{other} is not served here")

    async def _live(self, receive: Receive, send: Send) -> None:
        while (kind := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{kind}.complete"})
        # The server may end everything as soon as it has its answer.
        await self.aclose()
        try:
            if self.host.store is not None:
                await self.host.store.close()
        except Exception as error:
            log.exception("the store cannot be closed")
            await send({"type": "lifespan.shutdown.failed", "message": f"the store: {error}"})
        else:
            await send({"type": "lifespan.shutdown.complete"})


class _WebSocket:
    """An ASGI WebSocket connection as a `Transport`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send

    async def receive(self) -> Message | None:
        message = await self._receive()
        match message["type"]:
            case "websocket.connect":
                offered = ", ".join(self._scope.get("subprotocols", ()))
                headers = [pair for pair in _headers(self._scope) if pair[0] != SUBPROTOCOL_HEADER.lower()]
                headers.append((SUBPROTOCOL_HEADER, offered))
                return RequestHead(url=_target(self._scope), headers=headers)
            case "websocket.receive":
                text, data = message.get("text"), message.get("bytes")
                received: Message = text if text is not None else data or b""
                return received
            case _:
                return Close(message.get("code") or 1005, message.get("reason") or "")

    async def send(self, message: Message) -> None:
        match message:
            case str():
                await self._send({"type": "websocket.send", "text": message})
            case bytes():
                await self._send({"type": "websocket.send", "bytes": message})
            case ResponseHead() if message.status != 101:
                # Before it is accepted; the server makes 403 of it, whatever the status is.
                await self._send({"type": "websocket.close", "code": CloseCode.NORMAL, "reason": ""})
                raise ConnectionAbortedError("the WebSocket is refused")
            case ResponseHead():
                chosen = message.header(SUBPROTOCOL_HEADER)
                await self._send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
            case Close():
                await self._send({"type": "websocket.close", "code": message.code, "reason": message.reason})


class _Request:
    """An ASGI HTTP request as a `Transport`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._begun = self._ended = False
        self._announced = any(
            name == "transfer-encoding" or (name == "content-length" and value != "0")
            for name, value in _headers(scope)
        )
        self._rest: Message | None = None
        self._head: ResponseHead | None = None

    async def receive(self) -> Message | None:
        if not self._begun:
            self._begun = True
            return self._request_head()
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        message = await self._receive()
        if message["type"] != "http.request":
            return None
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            return body
        self._ended = True
        if not body:
            return END
        self._rest = END
        return body

    def _request_head(self) -> RequestHead:
        scope = self._scope
        # Absolute, since the scheme matters; the host does not, and is the client's to choose.
        url = f"{scope.get('scheme', 'http')}://localhost{_target(scope)}"
        return RequestHead(method=scope["method"], url=url, headers=_headers(scope))

    async def send(self, message: Message) -> None:
        match message:
            case ResponseHead():
                self._head = message
            case bytes():
                await self._start()
                await self._send({"type": "http.response.body", "body": message, "more_body": True})
            case End():
                await self._start()
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            case Close():
                # There is no word for breaking off: a response that has begun and does not end says so.
                raise ConnectionAbortedError("the request is given up")

    async def _start(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in head.headers]
            unread = self._announced and not self._ended
            early = unread and (head.status >= 400 or self._scope["method"] == "GET")
            if early and self._scope.get("http_version", "1.1") < "2":
                headers.append((b"connection", b"close"))  # what is left of the body is not worth reading
            await self._send({"type": "http.response.start", "status": head.status, "headers": headers})


def _headers(scope: Scope) -> tuple[tuple[str, str], ...]:
    pairs = scope.get("headers", ())
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs)


def _target(scope: Scope) -> str:
    """Path and query as they were asked for, as far as the server tells."""
    raw = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def _path(scope: Scope) -> str:
    """The path below the mount point, without a trailing slash (D-20)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/")

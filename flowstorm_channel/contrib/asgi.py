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

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowstorm_channel.channel import DEFAULT_TIMEOUTS, Timeouts
from flowstorm_channel.contrib.asyncio import Answer, Driver, Host, HostFunctions, Transport
from flowstorm_channel.contrib.fetch import Fetcher
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.http import declared_length
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ChannelApp", "Options"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SOCKET_PATH = "/socket"
CLIENT_PATH = "/client"
ALEXA_PATH = "/alexa"
GOOGLE_PATH = "/google"
CALL_PATH = "/call"

_HOW = {
    ALEXA_PATH: "alexa=Alexa(skill_ids=[...])",
    GOOGLE_PATH: "google=GoogleAssistant(project_ids=[...])",
    CALL_PATH: "twilio=Twilio(auth_token=..., public_url=...)",
}
"""What the application has to be told to answer there."""


class Options(HostFunctions, total=False):
    """What an application takes beside its dialogue; see `ChannelApp`."""

    limits: Limits
    timeouts: Timeouts
    queue_inputs: bool
    keep_sessions_for: float
    alexa: Alexa | None
    google: GoogleAssistant | None
    twilio: Twilio | None


class ChannelApp:
    """The channels of a server as an ASGI application.

    Args:
        dialogue: what is said; this and the other functions are those of `Host`.
        limits: what is taken from clients.
        timeouts: how long is waited for what.
        queue_inputs: see `ServerChannel`.
        keep_sessions_for: seconds for which a session is kept after its last turn, when it does not sleep:
            of V2, Alexa and Google Assistant.
        alexa: how Alexa is answered; without it ``/alexa`` is answered with 503.
        google: how Google Assistant is.
        twilio: how phone calls are.
        functions: see `Host`.
    """

    def __init__(
        self,
        dialogue: Callable[[Turn], Answer],
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        queue_inputs: bool = False,
        keep_sessions_for: float = 3600.0,
        alexa: Alexa | None = None,
        google: GoogleAssistant | None = None,
        twilio: Twilio | None = None,
        **functions: Unpack[HostFunctions],
    ) -> None:
        self.host = Host(dialogue=dialogue, **functions)
        self.host.fetch = Fetcher(self.host.fetch)
        self._settings: dict[str, Any] = {
            "limits": limits,
            "timeouts": timeouts,
            "queue_inputs": queue_inputs,
        }
        make_sessions = partial(Sessions, stored=self.host.store is not None, keep_for=keep_sessions_for)
        self.sessions = make_sessions()
        """Those of V2, when no store keeps them, and the requests that are under way."""
        self._webhooks = {ALEXA_PATH: (alexa, make_sessions()), GOOGLE_PATH: (google, make_sessions())}
        self._twilio = twilio
        self._drivers: dict[Driver, asyncio.Task[Any] | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entrance."""
        match scope["type"]:
            case "lifespan":
                await _live(receive, send)
                if self.host.store is not None:
                    await self.host.store.close()
            case "websocket" if _path(scope) in (SOCKET_PATH, CLIENT_PATH):
                channel = SocketV1Server(**self._settings)
                await self._drive(channel, _WebSocket(scope, receive, send))
            case "websocket" if _path(scope) == CALL_PATH and self._twilio is not None:
                call = self._twilio.channel(**self._settings)
                await self._drive(call, _WebSocket(scope, receive, send))
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000, "reason": ""})  # before accept: 403
            case "http" if _path(scope) == CLIENT_PATH:
                request = SocketV2Server(self.sessions, **self._settings)
                await self._drive(request, _Request(scope, receive, send))
            case "http" if _path(scope) in _HOW:
                await self._serve_platform(scope, receive, send)
            case "http":
                known = _path(scope) == SOCKET_PATH
                text = "a WebSocket is expected" if known else "not found"
                await _answer(send, 426 if known else 404, text)
            case other:
                raise ValueError(f"{other} is not served here")

    async def _serve_platform(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        transport = _Request(scope, receive, send)
        webhook, sessions = self._webhooks.get(path, (None, self.sessions))
        if webhook is not None:
            await self._drive(webhook.channel(sessions, **self._settings), transport)
        elif path == CALL_PATH and self._twilio is not None:
            reading = _read_whole(transport, self._settings["limits"])
            try:
                request = await asyncio.wait_for(reading, self._settings["timeouts"].body)
            except asyncio.TimeoutError:
                http1 = scope.get("http_version", "1.1") < "2"
                await _answer(send, 408, "the body of the request does not go on", close=http1)
            else:
                if request is not None:
                    head, text = self._twilio.answer(*request, self._settings["limits"])
                    for message in (head, text, END):
                        await transport.send(message)
        else:
            await _answer(send, 503, f"not configured: ChannelApp(dialogue, {_HOW[path]})")

    def close(self) -> None:
        """Close all channels that are open, and tell their clients that the server is going away.

        To be called in the loop that serves, before the server gives up what still runs.
        """
        for driver in tuple(self._drivers):
            driver.close(CloseCode.GOING_AWAY, "the server is going away")

    async def aclose(self, seconds: float = 1.0) -> None:
        """Close all as `close` does, and wait until the clients have been told.

        Args:
            seconds: to wait at most.
        """
        self.close()
        open_ = [task for task in self._drivers.values() if task is not None]
        if open_:
            await asyncio.wait(open_, timeout=seconds)

    async def _drive(self, channel: ServerChannel, transport: Transport) -> None:
        driver = Driver(channel, transport, self.host)
        self._drivers[driver] = asyncio.current_task()
        try:
            await driver.run()
        finally:
            del self._drivers[driver]


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


async def _read_whole(transport: Transport, limits: Limits) -> tuple[RequestHead, bytes] | None:
    """A request with its body, or as much of it as shows that it is too long; None: the client has gone."""
    head = await transport.receive()
    body = bytearray()
    if not isinstance(head, RequestHead):
        return None
    if declared_length(head) > limits.webhook_bytes:
        return head, bytes(limits.webhook_bytes + 1)
    while isinstance(piece := await transport.receive(), bytes) and len(body) <= limits.webhook_bytes:
        body += piece
    return None if piece is None else (head, bytes(body))


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, text: str, *, close: bool = False) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if close:
        headers.append((b"connection", b"close"))
    if status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})

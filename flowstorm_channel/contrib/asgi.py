"""An ASGI application for dialogues: mount it anywhere, or run it as it is.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    app = ChannelApp(dialogue)            # uvicorn hello:app
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from flowstorm_channel.channel import DEFAULT_TIMEOUTS, Timeouts
from flowstorm_channel.contrib.asyncio import Answer, Driver, Host, HostFunctions
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.server import Turn
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL_HEADER
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ChannelApp"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SOCKET_PATH = "/socket"


class ChannelApp:
    """The channels of a server as an ASGI application: Socket V1 at ``/socket``.

    Args:
        dialogue: what is said; this and the other functions are those of `Host`.
        limits: what is taken from clients.
        timeouts: how long is waited for what.
        queue_inputs: see `ServerChannel`.
        functions: see `Host`.
    """

    def __init__(
        self,
        dialogue: Callable[[Turn], Answer],
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        queue_inputs: bool = False,
        **functions: Unpack[HostFunctions],
    ) -> None:
        self.host = Host(dialogue=dialogue, **functions)
        self._settings: dict[str, Any] = {
            "limits": limits,
            "timeouts": timeouts,
            "queue_inputs": queue_inputs,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entrance."""
        match scope["type"]:
            case "lifespan":
                await _live(receive, send)
            case "websocket" if _path(scope) == SOCKET_PATH:
                channel = SocketV1Server(**self._settings)
                await Driver(channel, _WebSocket(scope, receive, send), self.host).run()
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000, "reason": ""})  # before accept: 403
            case "http":
                known = _path(scope) == SOCKET_PATH
                text = "a WebSocket is expected" if known else "not found"
                await _answer(send, 426 if known else 404, text)
            case other:
                raise ValueError(f"{other} is not served here")


class _WebSocket:
    """An ASGI WebSocket connection as a `Transport`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send

    async def receive(self) -> Message | None:
        message = await self._receive()
        match message["type"]:
            case "websocket.connect":
                offered = ", ".join(self._scope.get("subprotocols", ()))
                headers = [
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers()
                ]
                return RequestHead(url=_path(self._scope), headers=(*headers, (SUBPROTOCOL_HEADER, offered)))
            case "websocket.receive":
                text, data = message.get("text"), message.get("bytes")
                received: Message = text if text is not None else data or b""
                return received
            case _:
                return Close(message.get("code") or 1005, message.get("reason") or "")

    def _headers(self) -> list[tuple[bytes, bytes]]:
        name = SUBPROTOCOL_HEADER.lower().encode()
        return [pair for pair in self._scope.get("headers", ()) if pair[0] != name]

    async def send(self, message: Message) -> None:
        match message:
            case str():
                await self._send({"type": "websocket.send", "text": message})
            case bytes():
                await self._send({"type": "websocket.send", "bytes": message})
            case ResponseHead():
                chosen = message.header(SUBPROTOCOL_HEADER)
                await self._send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
            case Close():
                await self._send({"type": "websocket.close", "code": message.code, "reason": message.reason})


def _path(scope: Scope) -> str:
    """The path below the mount point, without a trailing slash (D-20)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/")


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})

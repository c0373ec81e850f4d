"""What a WebSocket of aiohttp brings and takes, at either end."""

from __future__ import annotations

from typing import TypeAlias

from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType
from aiohttp.web import WebSocketResponse

from flowstorm_channel.wire import Close, CloseCode, Message

__all__ = ["WebSocket", "received", "send"]

WebSocket: TypeAlias = ClientWebSocketResponse | WebSocketResponse

_NO_STATUS = 1005
"""The close code that stands for none (RFC 6455, 7.4.1)."""


def received(message: WSMessage) -> Message:
    """What has come over a WebSocket of aiohttp."""
    match message.type:
        case WSMsgType.TEXT | WSMsgType.BINARY:
            data: Message = message.data
            return data
        case WSMsgType.CLOSE:
            return Close(message.data or _NO_STATUS, message.extra or "")
        case _:
            return Close(CloseCode.ABNORMAL, str(message.data or ""))


async def send(socket: WebSocket, message: Message) -> None:
    """Put a message on a WebSocket of aiohttp."""
    match message:
        case str():
            await socket.send_str(message)
        case bytes():
            await socket.send_bytes(message)
        case Close():
            await socket.close(code=message.code, message=message.reason.encode())

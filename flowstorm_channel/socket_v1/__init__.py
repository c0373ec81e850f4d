"""Socket V1: one WebSocket, one JSON event a text frame, audio in binary frames (socket-v1.md)."""

from flowstorm_channel.socket_v1.client import SocketV1Client
from flowstorm_channel.socket_v1.server import SocketV1Server

__all__ = ["SocketV1Client", "SocketV1Server"]

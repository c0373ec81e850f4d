"""Socket V2: HTTP long polling, a PUT for each turn and a GET for interim results (socket-v2.md)."""

from flowstorm_channel.socket_v2.client import SocketV2Client
from flowstorm_channel.socket_v2.server import SocketV2Server

__all__ = ["SocketV2Client", "SocketV2Server"]

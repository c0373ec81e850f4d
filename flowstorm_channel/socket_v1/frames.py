"""How an event is a WebSocket message, the same for both ends (socket-v1.md, events.md "Codecs").

With JSON, the default, one text message is one event and a binary message is a block of audio. With msgpack,
which both ends must ask for by subprotocol, every event is a binary message. An empty binary message is
a keep-alive in both (D-15).
"""

from __future__ import annotations

from typing import cast

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.events import BinaryEvent, Event
from flowstorm_channel.limits import Limits
from flowstorm_channel.wire import Message, RequestHead, ResponseHead

__all__ = ["SUBPROTOCOL", "SUBPROTOCOL_HEADER", "Frames", "offers_msgpack"]

SUBPROTOCOL_HEADER = "Sec-WebSocket-Protocol"
SUBPROTOCOL = "flowstorm.v1+msgpack"


class Frames:
    """Events to WebSocket messages and back.

    Args:
        limits: for what the peer sends.
        msgpack: whether both ends asked for msgpack.
    """

    def __init__(self, limits: Limits, *, msgpack: bool = False) -> None:
        self.raw = not msgpack
        """Whether a binary message is a block of audio as it is."""
        self._json = JsonCodec(limits)
        self._msgpack = MsgpackCodec(limits) if msgpack else None

    def read(self, message: Message) -> Event:
        """The event in a text or binary message.

        Raises:
            RemoteProtocolError: there is none.
        """
        if type(message) is str:
            return self._json.decode(message)
        block = cast("bytes", message)
        if self._msgpack is None or not block:
            return BinaryEvent(data=block)
        return self._msgpack.decode(block)

    def write(self, event: Event) -> str | bytes:
        """The message for an event.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        if isinstance(event, BinaryEvent) and (self._msgpack is None or not event.data):
            return event.data
        return self._json.encode(event) if self._msgpack is None else self._msgpack.encode(event)


def offers_msgpack(head: RequestHead | ResponseHead) -> bool:
    """Whether the head of a handshake names the subprotocol for msgpack."""
    offered = head.header(SUBPROTOCOL_HEADER) or ""
    return SUBPROTOCOL in (each.strip() for each in offered.split(","))

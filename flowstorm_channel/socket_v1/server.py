"""The server end of one WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstorm_channel.events import Event, RecognizedEvent, RecognizedInputEvent
from flowstorm_channel.server import ServerChannel, ServerOptions
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL, SUBPROTOCOL_HEADER, Frames, offers_msgpack
from flowstorm_channel.wire import Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SocketV1Server"]


class SocketV1Server(ServerChannel):
    """The server end of Socket V1, for one WebSocket connection.

    The first thing it receives is the `RequestHead` of the handshake; its answer, a `ResponseHead` with
    status 101, is the first thing it sends.

    Args:
        kw: see `ServerChannel`.
    """

    def __init__(self, **kw: Unpack[ServerOptions]) -> None:
        super().__init__(**kw)
        self._frames = Frames(self.limits)

    def _read(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            msgpack = offers_msgpack(message)
            self._frames = Frames(self.limits, msgpack=msgpack)
            self._flowing = self._end is None
            self._raw_audio = self.TELLS_AUDIO and self._frames.raw
            self._advance("opened")
            self._put(
                ResponseHead(status=101, headers=((SUBPROTOCOL_HEADER, SUBPROTOCOL),) if msgpack else ())
            )
        else:
            self._decode(self._frames.read, message)

    def _encode(self, event: Event) -> Message:
        if isinstance(event, RecognizedInputEvent):
            event = RecognizedEvent(text=event.input.transcript.text, is_final=event.is_final)
        return self._frames.write(event)

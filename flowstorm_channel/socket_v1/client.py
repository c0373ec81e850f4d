"""The client end of Socket V1: one WebSocket after the other, one conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flowstorm_channel.client import ClientChannel, ClientOptions
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import Event, InputEvent, RequestEvent
from flowstorm_channel.sessions import uuid4_text
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL, SUBPROTOCOL_HEADER, Frames, offers_msgpack
from flowstorm_channel.values import Request
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SocketV1Client"]


class SocketV1Client(ClientChannel):
    """The client end of Socket V1.

    A `RequestHead` in its output asks the host to open a WebSocket there; the host answers with a
    `ResponseHead`, status 101, or with `receive_eof()` when it could not. After a loss it asks again.

    Args:
        url: ``ws://`` or ``wss://``, usually with the path ``/socket``.
        msgpack: offer msgpack to the server; without its consent JSON is spoken.
        requests: say every input as a Request, for servers that know no Input.
        headers: for the handshake.
        make_id: makes the session ids that such Requests propose.
        kw: see `ClientChannel`.
    """

    _may_wait = False

    def __init__(
        self,
        url: str,
        *,
        msgpack: bool = False,
        requests: bool = False,
        headers: Iterable[tuple[str, str]] = (),
        make_id: Callable[[], str] = uuid4_text,
        **kw: Unpack[ClientOptions],
    ) -> None:
        super().__init__(url, **kw)
        self._requests = requests
        self._make_id = make_id
        offer = ((SUBPROTOCOL_HEADER, SUBPROTOCOL),) if msgpack else ()
        self._head = RequestHead(url=url, headers=(*headers, *offer))
        self._frames = Frames(self.limits)
        self._connecting = False
        self._connected = False

    def open(self) -> None:
        self._check_not_closed()
        if not self._has_transport():
            self._connecting = True
            self._due.pop("reconnect", None)
            self._put(self._head)
            self._notify()

    def close(self) -> None:
        if self._finished:
            return
        self._forget_session()
        self._forget_turns("closed")
        self._advance("close")
        code, reason = CloseCode.NORMAL, "CLIENT_CLOSE"
        if self._has_transport():
            self._disconnect(code, reason)
        self._finish(code, reason)
        self._notify()

    # -------------------------------------------------------- the transport

    def _has_transport(self) -> bool:
        return self._connecting or self._connected

    def _check_message(self, message: Message) -> None:
        answered = self._connected or bool(self._inbox)
        if not isinstance(message, (str, bytes, Close) if answered else (ResponseHead, Close)):
            raise LocalProtocolError(
                f"a WebSocket cannot bring {type(message).__name__} to a client in {self._state.value}",
                legal=("str", "bytes", "Close") if answered else ("ResponseHead", "Close"),
            )

    def _read(self, message: Message) -> None:
        if isinstance(message, ResponseHead):
            self._connecting = False
            if message.status != 101:
                self._lost(message.status, f"HTTP {message.status}")
                return
            self._connected = True
            self._flowing = self._end is None
            self._confirmed = False
            self._frames = Frames(self.limits, msgpack=offers_msgpack(message))
            self._advance("opened")
            self._write(self._introduction())
        else:
            self._decode(self._frames.read, message)

    def _encode(self, event: Event) -> Message:
        if not isinstance(event, InputEvent) or not (
            self._requests or self._unconfirmed_session() is not None
        ):
            return self._frames.write(event)
        session_id = self.session_id or self._make_id()
        request = Request(
            app_key=self.init.key,
            device_id=self.init.device_id,
            token=self.init.token,
            session_id=session_id,
            input=event.input,
        )
        message = self._frames.write(RequestEvent(request=request))
        self.session_id = session_id
        return message

    def _transmit_audio(self, block: bytes) -> None:
        if self._frames.raw and type(block) is bytes:
            self._put(block)
        else:
            super()._transmit_audio(block)

    def _transport_gone(self, end: Close) -> None:
        self._connecting = self._connected = self._flowing = False
        self._discard_output()
        self._lost(end.code, end.reason)

    def _give_up_transport(self, code: int, reason: str) -> None:
        self._discard_output()
        self._disconnect(code, reason)

    def _disconnect(self, code: int, reason: str) -> None:
        self._connecting = self._connected = self._flowing = False
        self._discard_input()
        self._end = None
        self._put(Close(int(code), reason))

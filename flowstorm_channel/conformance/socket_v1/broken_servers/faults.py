"""How broken V1 servers are made: from one without a fault."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.channel import Entry
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.lint import object_of
from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import REFUSED_KEY, ReferenceHost
from flowstorm_channel.conformance.socket_v1.server import SUITE
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.wire import Message, RequestHead

__all__ = ["BrokenServer", "fault", "in_json", "inside", "reference", "refuse"]


class BrokenServer(SocketV1Server):
    """A server whose messages can be looked at and changed on their way."""

    shared: dict[Any, Any]
    """What all connections of one server know."""
    packs = False
    """Whether msgpack was agreed on."""

    def heard(self, frame: Frame) -> Frame | None:
        """What the server makes of an event in JSON before it is read; None: nothing."""
        return frame

    def said(self, frame: Frame) -> Iterator[Frame | str | bytes]:
        """What goes out in the place of an event; what is no object goes out as it is, in JSON only."""
        yield frame

    def spoken(self, audio: bytes) -> Iterator[Frame | str | bytes]:
        """What goes out in the place of a binary frame of audio."""
        yield audio

    def _read(self, message: Message) -> None:
        if not isinstance(message, str):
            super()._read(message)
            self.packs = self.packs or (isinstance(message, RequestHead) and offers_msgpack(message))
            return
        try:
            frame = json.loads(message)
            if isinstance(frame, dict):
                frame = self.heard(frame)
        except RemoteProtocolError as error:
            self._fault(error)
        except (ValueError, RecursionError):
            super()._read(message)
        else:
            if frame is not None:
                super()._read(json.dumps(frame))

    def _put(self, message: Message, turn: object = None) -> Entry:
        out: Iterable[Frame | str | bytes]
        if isinstance(message, str):
            out = self.said(json.loads(message))
        elif isinstance(message, bytes) and self.packs:
            out = map(pack, self.said(msgpack.unpackb(message)))
        elif isinstance(message, bytes):
            out = self.spoken(message)
        else:
            return super()._put(message, turn)
        entry = Entry(message, turn)
        for each in out:
            entry = super()._put(json.dumps(each) if isinstance(each, dict) else each, turn)
        return entry


def pack(frame: Frame | str | bytes) -> bytes:
    """An event in msgpack."""
    return cast("bytes", msgpack.packb(frame))


def refuse(text: str) -> None:
    """Find fault with what a client has sent.

    Raises:
        RemoteProtocolError: always.
    """
    raise RemoteProtocolError(text)


def inside(frame: Frame, name: str) -> Frame:
    """The object under a name; an empty one when there is none."""
    return object_of(frame.get(name))


def in_json(audio: bytes) -> Frame:
    """A block of audio in the form that it has in bodies of Socket V2."""
    return {"type": "Binary", "data": base64.b64encode(audio).decode()}


def reference(
    clock: ManualClock,
    make_channel: Callable[..., SocketV1Server] = SocketV1Server,
    make_host: Callable[[ManualClock], ReferenceHost] = ReferenceHost,
) -> MemoryServerDriver:
    """A server without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_channel: makes its channels.
        make_host: makes what answers.
    """
    shared: dict[Any, Any] = {}

    def make() -> SocketV1Server:
        channel = make_channel(clock=clock)
        if isinstance(channel, BrokenServer):
            channel.shared = shared
        return channel

    return MemoryServerDriver(clock, make, make_host(clock))


SUITE.proved_by(
    reference,
    Profile(
        declared={"echo", "end", "sleep", "long", "nothing", "fail", "later", "image", "command", "czech"}
        | {"count", "speech", "audio", "duplex", "refuse", "msgpack"},
        refused_key=REFUSED_KEY,
    ),
)


def fault(
    name: str, make_host: Callable[[ManualClock], ReferenceHost] = ReferenceHost
) -> Callable[[type[SocketV1Server]], type[SocketV1Server]]:
    """Decorates a server with a fault; its docstring says what it does wrong.

    Args:
        name: of the fault.
        make_host: makes what answers at it.
    """

    def take(cls: type[SocketV1Server]) -> type[SocketV1Server]:
        text = " ".join((cls.__doc__ or "").split())
        SUITE.breaks(
            BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, cls, make_host))
        )
        return cls

    return take

"""How broken V1 clients are made: from one without a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from flowstorm_channel.conformance.drivers import ACTIONS
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.memory import MemoryClientDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v1.client import SUITE
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.socket_v1 import SocketV1Client
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.wire import Message

__all__ = ["BrokenClient", "fault", "reference"]


class BrokenClient(SocketV1Client):
    """A client whose messages can be looked at and changed on their way."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        """What the client reads in the place of an event of the server."""
        return (frame,)

    def said(self, frame: Frame) -> Iterable[Frame | str | bytes]:
        """What goes out in the place of an event."""
        return (frame,)

    def spoken(self, audio: bytes) -> Iterable[Frame | bytes]:
        """What goes out in the place of a block of audio."""
        return (audio,)

    def receive_data(self, message: Message) -> None:
        if isinstance(message, str):
            try:
                frame = json.loads(message)
            except ValueError:
                frame = None
            if isinstance(frame, dict) and isinstance(frame.get("type"), str):
                for each in self.heard(frame):
                    super().receive_data(json.dumps(each))
                return
        super().receive_data(message)

    def data_to_send(self) -> Iterator[Message]:
        for message in super().data_to_send():
            out: Iterable[Any] = (message,)
            if isinstance(message, str):
                out = self.said(json.loads(message))
            elif isinstance(message, bytes):
                out = self.spoken(message)
            for each in out:
                yield json.dumps(each) if isinstance(each, dict) else each


C = TypeVar("C", bound=SocketV1Client)
Make = Callable[..., SocketV1Client]


def reference(
    clock: ManualClock,
    make_client: Make = SocketV1Client,
    make_driver: Callable[..., MemoryClientDriver] = MemoryClientDriver,
) -> MemoryClientDriver:
    """A client without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_client: makes it.
        make_driver: makes what plays and acts for its user.
    """
    client = make_client(
        "ws://localhost/socket",
        key="conformance",
        device_id="device",
        config=ClientConfig(send_response_items=True, stt_interim_results=True, locale="en_US"),
        auto_start=True,
        clock=clock,
    )
    return make_driver(clock, client)


SUITE.proved_by(reference, Profile(declared=ACTIONS))


def fault(
    name: str, make_driver: Callable[..., MemoryClientDriver] = MemoryClientDriver
) -> Callable[[type[C]], type[C]]:
    """Decorates a client with a fault; its docstring says what it does wrong.

    Args:
        name: of the fault.
        make_driver: makes what plays and acts for its user.
    """

    def take(cls: type[C]) -> type[C]:
        text = (cls.__doc__ or "").strip()
        SUITE.breaks(
            BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, cls, make_driver))
        )
        return cls

    return take

"""What all broken V2 clients are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowstorm_channel.conformance.drivers import ACTIONS
from flowstorm_channel.conformance.memory import MemoryClientDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v2.client import SUITE
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.testing.clock import ManualClock

__all__ = ["fault", "reference"]


def reference(
    clock: ManualClock, make_client: Callable[..., SocketV2Client] = SocketV2Client, **options: Any
) -> MemoryClientDriver:
    """A client without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_client: makes it.
        options: of the client.
    """
    client = make_client(
        "http://server.example/client",
        key="conformance",
        device_id="device-1",
        clock=clock,
        auto_start=True,
        **options,
    )
    return MemoryClientDriver(clock, client)


SUITE.proved_by(reference, Profile(declared=set(ACTIONS) - {"vote", "end_session"}))


def fault(name: str, **options: Any) -> Callable[[type[SocketV2Client]], type[SocketV2Client]]:
    """Decorates a client with a fault; its docstring says what it does wrong.

    Args:
        name: of the fault.
        options: of the client.
    """

    def take(cls: type[SocketV2Client]) -> type[SocketV2Client]:
        SUITE.breaks(
            BrokenPeer(
                name=name,
                text=(cls.__doc__ or "").strip(),
                make_driver=lambda clock: reference(clock, cls, **options),
            )
        )
        return cls

    return take

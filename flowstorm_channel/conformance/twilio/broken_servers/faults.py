"""How broken servers of phone calls are made: from one without a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import REFUSED_KEY, ReferenceHost
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.conformance.twilio.frames import Frame
from flowstorm_channel.conformance.twilio.server import SUITE
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.wire import Close, CloseCode, Message

__all__ = ["TOKEN", "BrokenServer", "fault", "reference"]

TOKEN = "the auth token of the account"


class BrokenServer(TwilioServer):
    """A server whose frames can be looked at and changed on their way."""

    shared: dict[Any, Any]
    """What all calls of one server know."""

    def heard(self, frame: Frame) -> Frame | None:
        """What the server makes of a frame of Twilio's; None: nothing. What is raised here ends the call."""
        return frame

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        """What goes out in the place of a frame."""
        yield frame

    def put(self, frame: Frame) -> None:
        """Say something more."""
        self._put(json.dumps(frame))

    def die(self) -> None:
        """The server has thrown an exception, and the framework closes the call."""
        self._shut(CloseCode.HOST_FAILED, "internal server error", "error")

    def _read(self, message: Message) -> None:
        frame = _object(message)
        if frame is None:
            super()._read(message)
            return
        try:
            changed = self.heard(frame)
        except (LookupError, TypeError, ValueError):
            self.die()
        else:
            if changed is not None:
                super()._read(json.dumps(changed))

    def data_to_send(self) -> Iterator[Message]:
        for message in super().data_to_send():
            frame = _object(message)
            if frame is None:
                yield message
            else:
                for each in self.said(frame):
                    yield each if isinstance(each, Close) else json.dumps(each)


def _object(message: Message) -> Frame | None:
    try:
        found = json.loads(message) if isinstance(message, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def reference(
    clock: ManualClock,
    make_channel: Callable[..., TwilioServer] = TwilioServer,
    make_host: Callable[[ManualClock], ReferenceHost] = ReferenceHost,
    **options: Any,
) -> MemoryServerDriver:
    """A server without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_channel: makes its channels.
        make_host: makes what answers.
        options: of the channels, where they are others.
    """
    shared: dict[Any, Any] = {}
    usual: dict[str, Any] = {"auth_token": TOKEN, "public_url": "https://localhost", "clock": clock}

    def make() -> TwilioServer:
        channel = make_channel(**{**usual, **options})
        if isinstance(channel, BrokenServer):
            channel.shared = shared
        return channel

    return MemoryServerDriver(clock, make, make_host(clock))


SUITE.proved_by(
    reference,
    Profile(
        declared={"echo", "end", "sleep", "long", "fail", "much", "speech", "audio", "silence"}
        | {"refuse", "signatures"},
        refused_key=REFUSED_KEY,
        twilio_token=TOKEN,
    ),
)


def fault(
    name: str, make_host: Callable[[ManualClock], ReferenceHost] = ReferenceHost, **options: Any
) -> Callable[[type[TwilioServer]], type[TwilioServer]]:
    """Decorates a server with a fault; its docstring says what it does wrong.

    Args:
        name: of the fault.
        make_host: makes what answers at it.
        options: of its channels.
    """

    def take(cls: type[TwilioServer]) -> type[TwilioServer]:
        text = " ".join((cls.__doc__ or "").split())
        SUITE.breaks(
            BrokenPeer(
                name=name, text=text, make_driver=lambda clock: reference(clock, cls, make_host, **options)
            )
        )
        return cls

    return take

"""Servers of one dialogue of which one does it otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.conformance.alexa import broken_servers as alexa
from flowstorm_channel.conformance.alexa.server import SUITE as ALEXA
from flowstorm_channel.conformance.equivalence.server import SUITE, Together
from flowstorm_channel.conformance.google import broken_servers as google
from flowstorm_channel.conformance.google.server import SUITE as GOOGLE
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v1 import broken_servers as socket_v1
from flowstorm_channel.conformance.socket_v2 import broken_servers as socket_v2
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.events import BinaryEvent, ResponseEvent, ResponseItemEvent
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.values import Response

__all__ = ["reference"]


def reference(clock: ManualClock, **channels: Callable[..., Any]) -> Together:
    """The servers of one dialogue, without a fault, or one of them with one.

    Args:
        clock: moved by the kit.
        channels: what makes the channels of a server with a fault.
    """
    makers = {"socket-v1": socket_v1, "socket-v2": socket_v2, "alexa": alexa, "google": google}
    found = {}
    for channel, module in makers.items():
        name = channel.replace("-", "_")
        found[channel] = (
            module.reference(clock, channels[name]) if name in channels else module.reference(clock)
        )
    return Together(found)


SUITE.proved_by(
    reference,
    Profile(
        declared={"long", "image", "end"},
        key=ALEXA.reference_profile.key,
        alexa_signer=ALEXA.reference_profile.alexa_signer,
        google_signer=GOOGLE.reference_profile.google_signer,
    ),
)


class _SaysTheFirstPart(AlexaServer):
    """The Alexa skill says the first part of an answer only, and loses the others."""

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if not isinstance(event, ResponseItemEvent) or not turn._items:
            super()._respond(turn, event)


class _ShowsNothing(GoogleAssistantServer):
    """The Google Assistant webhook forgets the pictures."""

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if isinstance(event, ResponseItemEvent):
            event = ResponseItemEvent(response_item=event.response_item.replace(image=None))
        super()._respond(turn, event)


class _NeverEnds(SocketV2Server):
    """The V2 server does not tell that a session has ended."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response.replace(session_ended=False))


def _fault(name: str, **channels: type[ServerChannel]) -> None:
    ((_, cls),) = channels.items()
    text = (cls.__doc__ or "").strip()
    SUITE.breaks(BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, **channels)))


_fault("alexa-says-the-first-part-only", alexa=_SaysTheFirstPart)
_fault("google-shows-no-pictures", google=_ShowsNothing)
_fault("v2-does-not-tell-the-end", socket_v2=_NeverEnds)

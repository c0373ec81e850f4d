"""How faults are made, and what has none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from flowstorm_channel.alexa import AlexaCertificates, AlexaServer
from flowstorm_channel.conformance.alexa.server import SUITE
from flowstorm_channel.conformance.broken_webhooks import WebhookHost
from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.conformance.webhook import START
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.testing.signing import AlexaSigner

__all__ = ["fault", "reference"]

SKILL = "amzn1.ask.skill.conformance"

signer = cache(AlexaSigner)


def reference(
    clock: ManualClock, make_channel: Callable[..., AlexaServer] = AlexaServer, **options: Any
) -> MemoryServerDriver:
    """A skill without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_channel: makes its channels.
        options: of these, where they are others.
    """
    certificates = AlexaCertificates(signer().roots, clock=clock)
    usual: dict[str, Any] = {
        "sessions": Sessions(),
        "skill_ids": {SKILL},
        "certificates": certificates,
        "now": lambda: START + timedelta(seconds=clock()),
        "clock": clock,
    }
    host = WebhookHost(clock, signer().chain)
    return MemoryServerDriver(clock, lambda: make_channel(**{**usual, **options}), host)


SUITE.proved_by(
    reference,
    Profile(
        declared={"echo", "end", "sleep", "long", "nothing", "fail", "image", "video", "command", "card"}
        | {"much", "slow", "count", "refuse", "signatures"},
        key=SKILL,
        alexa_signer=signer,
    ),
)


def fault(name: str, **options: Any) -> Callable[[type[AlexaServer]], type[AlexaServer]]:
    """Decorates a skill with a fault; its docstring says what it does wrong."""

    def take(cls: type[AlexaServer]) -> type[AlexaServer]:
        text = (cls.__doc__ or "").strip()
        SUITE.breaks(
            BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, cls, **options))
        )
        return cls

    return take

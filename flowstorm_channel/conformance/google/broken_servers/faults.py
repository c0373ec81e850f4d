"""How faults are made, and what has none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from flowstorm_channel.conformance.broken_webhooks import WebhookHost
from flowstorm_channel.conformance.google.server import SUITE
from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import REFUSED_KEY
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.conformance.webhook import START, Tree, at, objects
from flowstorm_channel.google import GoogleAssistantServer, GoogleKeys
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.testing.signing import GoogleSigner

__all__ = ["fault", "intent_of", "reference", "rich_of", "simples_of"]

PROJECT = "conformance"

signer = cache(lambda: GoogleSigner(PROJECT))


def reference(
    clock: ManualClock,
    make_channel: Callable[..., GoogleAssistantServer] = GoogleAssistantServer,
    **options: Any,
) -> MemoryServerDriver:
    """A webhook without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_channel: makes its channels.
        options: of these, where they are others.
    """
    usual: dict[str, Any] = {
        "sessions": Sessions(),
        "project_ids": {PROJECT},
        "keys": GoogleKeys(clock=clock),
        "now": lambda: START + timedelta(seconds=clock()),
        "clock": clock,
    }
    host = WebhookHost(clock, signer().document)
    return MemoryServerDriver(clock, lambda: make_channel(**{**usual, **options}), host)


SUITE.proved_by(
    reference,
    Profile(
        declared={"echo", "end", "sleep", "long", "nothing", "fail", "image", "command", "card"}
        | {"suggestions", "much", "slow", "count", "refuse", "signatures", "google_v2", "google_v3"},
        refused_key=REFUSED_KEY,
        google_signer=signer,
    ),
)


def fault(name: str, **options: Any) -> Callable[[type[GoogleAssistantServer]], type[GoogleAssistantServer]]:
    """Decorates a webhook with a fault; its docstring says what it does wrong."""

    def take(cls: type[GoogleAssistantServer]) -> type[GoogleAssistantServer]:
        text = (cls.__doc__ or "").strip()
        SUITE.breaks(
            BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, cls, **options))
        )
        return cls

    return take


def intent_of(tree: Tree) -> str:
    """The intent of a request."""
    return str(at(tree, "intent", "name") or at(tree, "inputs", 0, "intent"))


def rich_of(answer: Tree) -> Tree:
    """What an answer of version 2 says and shows; what is put into it elsewhere has no effect."""
    prompt = at(answer, "expectedInputs", 0, "inputPrompt", "richInitialPrompt")
    return prompt or at(answer, "finalResponse", "richResponse") or {}


def simples_of(answer: Tree) -> list[Tree]:
    """The bubbles of an answer."""
    found = [each.get("simpleResponse") for each in objects(rich_of(answer), "items")]
    found += [at(answer, "prompt", each) for each in ("firstSimple", "lastSimple")]
    return [each for each in found if each is not None]

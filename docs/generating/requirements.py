"""What the conformance kit says of an event: by the words of its rows, not by a list beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from flowstorm_channel.conformance import SUITES, Requirement, Suite, proof
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.events import Event, Version
from generating.conformance import PROOF, found_for
from generating.mistakes import FAULTS

assert proof  # Its import registers the broken implementations.

CHANNELS = {"socket-v1": Version.V1, "socket-v2": Version.V2}


def suites(cls: type[Event]) -> Iterator[Suite[Any]]:
    """The suites whose channel has the event."""
    for suite in SUITES.values():
        if CHANNELS.get(suite.channel) in cls.VERSIONS:
            yield suite


def requirements(name: str, cls: type[Event]) -> Iterator[tuple[Suite[Any], Requirement]]:
    """The rows that name the event, in their text or as their source."""
    for suite in suites(cls):
        for row in suite.requirements.values():
            if names(name, row.text) or names_source(name, row.source):
                yield suite, row


def names(name: str, text: str) -> bool:
    """Whether a text names an event: its `type` as a word, or what every reader calls it."""
    words = r"[Ee]vents? .*unknown|unknown (?:types?|events?)" if name == "Unknown" else name
    return bool(re.search(rf"\b(?:{words})\b", text))


def names_source(name: str, source: str) -> bool:
    """Whether a source is the description of the event, such as `events.md, Ready`."""
    described = re.findall(r"events\.md, ([^;]*)", source)
    return any(re.search(rf"\b{name}(?:Event)?\b", text) for text in described)


def faults(name: str, cls: type[Event]) -> Iterator[tuple[Suite[Any], BrokenPeer, list[str]]]:
    """The implementations of the kit's proof that get the event wrong, with what they break."""
    hyphenated = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    for suite in suites(cls):
        chosen = FAULTS.get(name, {}).get(suite.name, ())
        for peer in suite.broken.values():
            named = re.search(rf"(?:^|-){hyphenated}(?:-|$)", peer.name) or names(name, peer.text)
            if peer.name in chosen or (named and name != "Unknown"):
                yield suite, peer, found_for(suite, recorded()[suite.name], peer.name)


@cache
def recorded() -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = json.loads(PROOF.read_text(encoding="utf-8"))
    return found

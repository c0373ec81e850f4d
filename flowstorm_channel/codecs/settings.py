"""What a codec was told, in the form in which compiled functions take it along."""

from __future__ import annotations

from typing import Any

import attrs

from flowstorm_channel.limits import Limits
from flowstorm_channel.locales import Locale
from flowstorm_channel.schema import DEEPEST
from flowstorm_channel.values import Input

__all__ = ["DEFAULTS_OF_THE_CODEC", "Settings", "within"]


@attrs.frozen
class Settings:
    """Handed through every decoding function.

    Args:
        limits: of the peer.
        locale: what an `Input` without one gets (D-71).
        zone_id: what an `Input` without one gets (D-09, D-71).
        binary: bytes come as bytes, as in msgpack; else as base64, as in JSON.
        exact: refuse what is declared nowhere, because nothing has looked into it yet.
    """

    limits: Limits
    locale: Locale
    zone_id: str
    binary: bool
    exact: bool = False


AROUND = 8
"""How deep a free object inside an event stands at most, and how deep events are without any."""

DEFAULTS_OF_THE_CODEC: dict[tuple[type[Any], str], str] = {
    (Input, "locale"): "locale",
    (Input, "zone_id"): "zone_id",
}
"""Members whose default is an attribute of `Settings` and not the one of the declaration."""


def within(limits: Limits) -> Limits:
    """Limits that everything behind the codec can keep: values check themselves by recursion."""
    return limits if limits.nesting <= DEEPEST else attrs.evolve(limits, nesting=DEEPEST)

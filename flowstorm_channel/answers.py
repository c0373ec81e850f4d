"""What the answers to all platforms have in common (external.md): what they are made of, what of a response
they cannot say, and the addresses that a platform fetches from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from flowstorm_channel.codecs.trees import plain_of
from flowstorm_channel.schema import Value, members

__all__ = ["Part", "Unsent", "fetched_from"]


class Unsent(NamedTuple):
    """What could not be sent whole to a platform; see `UnsentEvent`."""

    part: str
    """``speech``, ``text``, ``card``, ``image`` …"""
    reason: str
    """For people, with the figures."""

    @classmethod
    def too_long(cls, part: str, length: int, most: int, unit: str = "characters") -> Unsent:
        """It was cut, or left out, since the platform takes only so much of it.

        Args:
            part: see `part`.
            length: what there was.
            most: what the platform takes.
            unit: of both.
        """
        return cls(part, f"{length} {unit} of at most {most}")


_HTTPS = re.compile(r"https://[^\s/?#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*", re.IGNORECASE)


def fetched_from(address: str, base_url: str | None) -> str:
    """The address that a platform fetches something from: absolute, and HTTPS.

    Args:
        address: of an item.
        base_url: of addresses that begin with ``/``.

    Raises:
        ValueError: there is none, and why.
    """
    if address.startswith("/"):
        if base_url is None:
            raise ValueError("a relative address without base_url")
        address = base_url.rstrip("/") + address
    if not _HTTPS.fullmatch(address):
        raise ValueError(f"no address of HTTPS: {address[:80]}")
    return address


class Part(Value):
    """Base of what an answer is made of.

    Other than an event, it may hold lists of texts and of free JSON, and what says nothing is left out.
    """

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """What is sent: members that say nothing are left out.

        Raises:
            TypeError, ValueError: something was put into one of its maps that JSON has no form for.
        """
        return dict(self._pairs())

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        kind = getattr(self, "TYPE", None)
        if kind is not None:
            yield "type", kind
        for each in members(type(self)):
            value = getattr(self, each.name)
            if value is not None and value != ():
                yield each.wire, _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return value.value if isinstance(value, Enum) else plain_of(value)

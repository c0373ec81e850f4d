"""What answers to platforms are made of: values that are only ever written (external.md)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from flowstorm_channel.codecs.trees import plain_of
from flowstorm_channel.schema import Value, members

__all__ = ["Part"]


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

"""Unpacking msgpack, within limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.limits import Limits

__all__ = ["bounds_of", "harmless", "suspicious", "unpack"]

_NO_CONTAINERS = bytes(byte for byte in range(256) if not (0x80 <= byte < 0xA0 or 0xDC <= byte < 0xE0))


def bounds_of(limits: Limits) -> dict[str, int]:
    """The limits as the unpacker takes them."""
    return {
        "max_str_len": limits.string_bytes,
        "max_bin_len": limits.audio_bytes,
        "max_array_len": limits.items,
        "max_map_len": limits.items,
    }


def harmless(limits: Limits) -> int:
    """How many bytes exceed none of the limits, whatever they hold, but perhaps that on nesting."""
    return min(limits.message_bytes, limits.string_bytes, limits.audio_bytes, limits.items)


def suspicious(data: bytes, nesting: int) -> bool:
    """Whether there may be something in it that the unpacker lets through and we do not.

    Args:
        nesting: how many containers may be inside each other.
    """
    # Any of these bytes may stand in a text too: then the message is looked at once more for nothing.
    return (
        # binary data: perhaps as the name of a member
        0xC4 in data
        or 0xC5 in data
        or 0xC6 in data
        # NaN and the infinities, of 32 and 64 bits
        or 0xCA in data
        or (
            0xCB in data
            and ((0x7F in data and b"\xcb\x7f" in data) or (0xFF in data and b"\xcb\xff" in data))
        )
        # more containers than may be inside each other
        or (len(data) > nesting and len(data.translate(None, _NO_CONTAINERS)) > nesting)
    )


def _refuse_extension(code: int, data: bytes) -> Any:
    raise Fault(f"not msgpack that is used here: an extension of type {code}, {len(data)} bytes")


unpack: Callable[..., Any] = partial(msgpack.unpackb, ext_hook=_refuse_extension, max_ext_len=0)
"""Unpacks dicts, lists and scalars, or raises ValueError. `bounds_of` gives keywords for it: they take as
long as unpacking a short message."""

"""Events as msgpack maps: the same members under the same names, bytes as bin."""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs.codec import Codec
from flowstorm_channel.codecs.compile import plain_writer
from flowstorm_channel.codecs.dispatch import plain_of_event
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.headers import Headers
from flowstorm_channel.codecs.trees import inspect
from flowstorm_channel.events import Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import Value

__all__ = ["MsgpackCodec"]

V = TypeVar("V", bound=Value)

_NO_CONTAINERS = bytes(byte for byte in range(256) if not (0x80 <= byte < 0xA0 or 0xDC <= byte < 0xE0))


def _suspicious(data: bytes, limits: Limits) -> bool:
    """Whether there may be something in it that the unpacker lets through and we do not."""
    # Any of these bytes may stand in a text too: then the message is looked at once more for nothing.
    return (
        # binary data: perhaps as the name of a member
        b"\xc4" in data
        or b"\xc5" in data
        or b"\xc6" in data
        # NaN and the infinities, of 32 and 64 bits
        or b"\xca" in data
        or (b"\xcb" in data and (b"\xcb\x7f" in data or b"\xcb\xff" in data))
        # more containers than may be inside each other
        or (len(data) > limits.nesting and len(data.translate(None, _NO_CONTAINERS)) > limits.nesting)
    )


def _extension(code: int, data: bytes) -> Any:
    raise Fault(f"not msgpack that is used here: an extension of type {code}, {len(data)} bytes")


class MsgpackCodec(Codec[bytes, bytes]):
    """Events to msgpack maps and back. The arguments are those of `Codec`."""

    BINARY = True
    REFUSALS = (*Codec.REFUSALS, msgpack.UnpackException)

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, locale: str = "en", zone_id: str = "Europe/Paris"
    ) -> None:
        super().__init__(limits, locale=locale, zone_id=zone_id)
        limits = self.limits
        self._bounds = {
            "max_str_len": limits.string_bytes,
            "max_bin_len": limits.audio_bytes,
            "max_array_len": limits.items,
            "max_map_len": limits.items,
            "max_ext_len": 0,
        }

    def _parse(self, data: bytes) -> Any:
        limits = self.limits
        if len(data) > limits.message_bytes:
            raise Fault("too long", limit=True)
        tree = msgpack.unpackb(data, ext_hook=_extension, **self._bounds)
        if _suspicious(data, limits):
            inspect(tree, limits)
        return tree

    def _parse_with_care(self, data: bytes) -> Any:
        if len(data) > self.limits.message_bytes:
            raise Fault(f"a message of more than {self.limits.message_bytes} bytes", limit=True)
        end = Headers(self.limits).find_end(data, len(data))
        if end is None:
            raise Fault("ends inside the map" if data else "empty")
        if end != len(data):
            raise Fault(f"something follows the map at byte {end}")
        try:
            tree = msgpack.unpackb(data, strict_map_key=False, **self._bounds)
        except UnicodeDecodeError as error:
            raise Fault(f"a string is not UTF-8: {error.reason}") from None
        except TypeError:
            # The name of a member is an array or an object, which cannot be a key of a dict.
            raise Fault("the name of a member must be a string") from None
        inspect(tree, self.limits)
        return tree

    def _write_event(self, event: Event) -> bytes:
        return _pack(plain_of_event(event))

    def _write_value(self, value: Value) -> bytes:
        return _pack(plain_writer(type(value))(value))


def _pack(plain: dict[str, Any]) -> bytes:
    packed: Any = msgpack.packb(plain)
    return bytes(packed)

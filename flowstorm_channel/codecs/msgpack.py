"""Events as msgpack maps: the same members under the same names, bytes as bin."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs import extras
from flowstorm_channel.codecs.codec import Codec, FastRoad
from flowstorm_channel.codecs.compile import plain_writer
from flowstorm_channel.codecs.dispatch import plain_of_event
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.headers import Headers
from flowstorm_channel.codecs.settings import Settings
from flowstorm_channel.codecs.trees import inspect
from flowstorm_channel.codecs.unpack import refuse_extension, suspicious
from flowstorm_channel.events import Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import Value

__all__ = ["MsgpackCodec"]

V = TypeVar("V", bound=Value)

_LAST_SMALL_MAP = 0x8F


@lru_cache(maxsize=64)
def _fast_road(settings: Settings) -> FastRoad | None:
    from flowstorm_channel.codecs.structs import ELEMENTS, FREE_NAME, leave_room, structs

    limits, msgspec = settings.limits, extras.msgspec()
    if msgspec is None or not leave_room(limits):
        return None
    made = structs(msgspec, binary=True)
    decode, free = made.decode, made.free
    most = min(limits.message_bytes, limits.string_bytes, limits.audio_bytes)
    items, few = limits.items, limits.items < ELEMENTS
    blocks, free_name = made.blocks, FREE_NAME.encode()

    def read(data: Any) -> Any:
        try:
            if type(data) is not bytes or len(data) > most or data[0] > _LAST_SMALL_MAP:
                return None
            struct = decode(data)
            kind = type(struct)
            count = free.get(kind)
            if count is not None and data.count(free_name) != count(struct):
                return None  # one may be hidden behind a doubled name: nothing has looked into it
            if (
                len(data) > items
                and (0xDE in data or 0xDF in data or (few and (0xDC in data or 0xDD in data)))
                and kind not in blocks
            ):
                return None  # it may have an object of too many members, names doubled, or such an array
            return struct.fill(settings)
        except Exception:
            return None

    return read


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

    def _fast_road(self) -> FastRoad | None:
        return _fast_road(self._settings)

    def _parse(self, data: bytes) -> Any:
        limits = self.limits
        if len(data) > limits.message_bytes:
            raise Fault("too long", limit=True)
        if len(data) <= self._settings.harmless:
            # To hand over all bounds takes as long as unpacking a short message.
            tree = msgpack.unpackb(data, ext_hook=refuse_extension, max_ext_len=0)
        else:
            tree = msgpack.unpackb(data, ext_hook=refuse_extension, **self._bounds)
        if suspicious(data, limits.nesting):
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

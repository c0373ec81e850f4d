"""Events as msgpack maps: the same members under the same names, bytes as bin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs import extras
from flowstorm_channel.codecs.codec import Codec
from flowstorm_channel.codecs.compile import plain_writer
from flowstorm_channel.codecs.dispatch import plain_of_event
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.headers import Headers
from flowstorm_channel.codecs.roads import FastRoad, packed_structs_road, packed_trees_road
from flowstorm_channel.codecs.settings import Settings
from flowstorm_channel.codecs.trees import inspect
from flowstorm_channel.codecs.unpack import bounds_of, harmless, suspicious, unpack
from flowstorm_channel.events import Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import Value

__all__ = ["MsgpackCodec"]


class MsgpackCodec(Codec[bytes, bytes]):
    """Events to msgpack maps and back. The arguments are those of `Codec`."""

    BINARY = True
    REFUSALS = (*Codec.REFUSALS, msgpack.UnpackException)

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, locale: str = "en", zone_id: str = "Europe/Paris"
    ) -> None:
        super().__init__(limits, locale=locale, zone_id=zone_id)
        self._bounds = bounds_of(self.limits)
        self._harmless = harmless(self.limits)

    def _fast_roads(self, settings: Settings) -> Iterator[FastRoad]:
        if (msgspec := extras.msgspec()) is not None:
            yield packed_structs_road(settings, msgspec)
        yield packed_trees_road(settings)

    def _parse(self, data: bytes) -> Any:
        limits = self.limits
        if len(data) > limits.message_bytes:
            raise Fault("too long", limit=True)
        if len(data) <= self._harmless:
            tree = unpack(data)
        else:
            tree = unpack(data, **self._bounds)
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
            tree = unpack(data, strict_map_key=False)  # the limits were looked at in its headers
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

"""Events as msgpack maps: the same members under the same names, bytes as bin."""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs.compile import plain_writer, reader
from flowstorm_channel.codecs.dispatch import event_of, plain_of_event
from flowstorm_channel.codecs.explain import read_event, read_object
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.headers import Headers
from flowstorm_channel.codecs.json import of_class
from flowstorm_channel.codecs.settings import Settings, within
from flowstorm_channel.codecs.trees import inspect
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.locales import Locale, check_zone
from flowstorm_channel.schema import Value

__all__ = ["MsgpackCodec"]

V = TypeVar("V", bound=Value)

_REFUSALS = (ValueError, TypeError, LookupError, OverflowError, RecursionError, msgpack.UnpackException)
"""What the unpacker and compiled functions raise for a message that is refused."""

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


class MsgpackCodec:
    """Events to msgpack and back (events.md, "Codecs"). The arguments are those of `JsonCodec`."""

    subprotocol: str | None = "flowstorm.v1+msgpack"

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, locale: str = "en", zone_id: str = "Europe/Paris"
    ) -> None:
        self.limits = limits = within(limits)
        self._settings = Settings(limits, Locale(locale), check_zone(zone_id), binary=True)
        self._bounds = {
            "max_str_len": limits.string_bytes,
            "max_bin_len": limits.audio_bytes,
            "max_array_len": limits.items,
            "max_map_len": limits.items,
            "max_ext_len": 0,
        }

    def decode(self, data: bytes) -> Event:
        """The event of one whole map.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no event.
        """
        try:
            return event_of(self._parse(data), self._settings)
        except _REFUSALS as error:
            refusal = self._explain(data, None, error)
        raise refusal

    def decode_value(self, cls: type[V], data: bytes) -> V:
        """The value of one whole map: a `Response`, a `ClientConfig` …

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no such value.
        """
        if issubclass(cls, Event):
            return of_class(cls, self.decode(data))
        read = reader(cls)
        try:
            value: V = read(self._parse(data), self._settings)
        except _REFUSALS as error:
            refusal = self._explain(data, cls, error)
        else:
            return value
        raise refusal

    def _parse(self, data: bytes) -> Any:
        limits = self.limits
        if len(data) > limits.message_bytes:
            raise Fault("too long", limit=True)
        tree = msgpack.unpackb(data, ext_hook=_extension, **self._bounds)
        if _suspicious(data, limits):
            inspect(tree, limits)
        return tree

    def _explain(self, data: bytes, cls: type | None, error: Exception) -> RemoteProtocolError:
        """Find out what is wrong, and where."""
        try:
            if len(data) > self.limits.message_bytes:
                raise Fault(f"a message of more than {self.limits.message_bytes} bytes", limit=True)
            tree = self._parse_with_care(data)
            if cls is None:
                read_event(tree, self._settings)
            else:
                read_object(cls, tree, self._settings)
        except Fault as fault:
            return fault.error()
        except RecursionError:
            # The host itself has gone deep before it called.
            return LimitExceeded("nested too deep for this Python")
        return RemoteProtocolError(str(error) or "not a legal event")

    def _parse_with_care(self, data: bytes) -> Any:
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

    def encode(self, event: Event) -> bytes:
        """The map of an event.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        try:
            return _pack(plain_of_event(event))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise LocalProtocolError(f"{type(event).__name__} cannot be sent: {error}") from error

    def encode_value(self, value: Value) -> bytes:
        """The map of a value.

        Raises:
            LocalProtocolError: msgpack has no form for it.
        """
        if isinstance(value, Event):
            return self.encode(value)
        try:
            return _pack(plain_writer(type(value))(value))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise LocalProtocolError(f"{type(value).__name__} cannot be sent: {error}") from error


def _pack(plain: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(plain)
    return packed

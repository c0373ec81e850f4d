"""Events as JSON text: the interoperable form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import TYPE_CHECKING, Any, TypeVar

from flowstorm_channel.codecs import extras
from flowstorm_channel.codecs.brackets import Brackets
from flowstorm_channel.codecs.codec import Codec, of_class
from flowstorm_channel.codecs.compile import reader, text_writer
from flowstorm_channel.codecs.dispatch import text_of_event
from flowstorm_channel.codecs.explain import read_event, read_object
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.roads import FastRoad, structs_road, trees_road
from flowstorm_channel.codecs.scalars import to_base64
from flowstorm_channel.codecs.settings import Settings
from flowstorm_channel.codecs.trees import Marked, inspect
from flowstorm_channel.errors import LimitExceeded
from flowstorm_channel.events import SPELLINGS, BinaryEvent, Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import INTEGERS, Value

__all__ = ["JsonCodec", "from_json", "to_json"]

if TYPE_CHECKING:
    from flowstorm_channel.codecs.encode import FastText

V = TypeVar("V", bound=Value)

Scan = Callable[[str, int], tuple[Any, int]]

_BLACK = re.compile(r"[^ \t\n\r]")
_DIGITS = 19
"""What is spelled with so many characters fits into 64 bits."""
_LONGEST = 20
"""What is spelled with more does not."""


def _refused(text: str) -> Any:
    raise Fault(f"{text} is not a finite number")


def _fits(text: str) -> bool:
    # int() would take quadratic time over a megabyte of digits.
    return len(text) <= _LONGEST and int(text) in INTEGERS


def _integer(text: str) -> int:
    if len(text) > _DIGITS and not _fits(text):
        raise Fault("an integer that does not fit into 64 bits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value - value:  # infinity less itself is not zero
        raise Fault("not a finite number")
    return value


# The scanner of the standard library itself, written in C: `json.loads` is three Python functions around it.
_scan: Scan = JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refused).scan_once  # type: ignore[attr-defined]


def _marked_constant(text: str) -> Marked:
    return Marked(f"{text} is not a finite number")


def _marked_integer(text: str) -> int | Marked:
    return int(text) if _fits(text) else Marked("the integer does not fit into 64 bits")


def _marked_number(text: str) -> float | Marked:
    value = float(text)
    return Marked(f"{text[:40]} is too great a number") if value - value else value


_scan_marking: Scan = JSONDecoder(
    parse_int=_marked_integer, parse_float=_marked_number, parse_constant=_marked_constant
).scan_once  # type: ignore[attr-defined]


class JsonCodec(Codec[str | bytes, str]):
    """Events to JSON text and back.

    Of doubled names in one object the last value counts, where the first stood. What is written is compact,
    and not escaped more than needed. The arguments are those of `Codec`.
    """

    BINARY = False

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, locale: str = "en", zone_id: str = "Europe/Paris"
    ) -> None:
        super().__init__(limits, locale=locale, zone_id=zone_id)
        limits = self.limits
        self._most = limits.message_bytes
        self._fast_text: FastText | None = None
        # A text of so few characters of ASCII cannot exceed any limit.
        self._harmless = min(limits.string_bytes, limits.items, limits.nesting)

    def _fast_roads(self, settings: Settings) -> Iterator[FastRoad]:
        if (msgspec := extras.msgspec()) is not None:
            yield structs_road(settings, msgspec)
        yield trees_road(settings, extras.orjson())

    def _decide(self) -> FastRoad:
        if (msgspec := extras.msgspec()) is not None:
            from flowstorm_channel.codecs.encode import fast_text

            self._fast_text = fast_text(msgspec)
        return super()._decide()

    def decode_tree(self, data: str | bytes) -> Any:
        """What a JSON parser makes of a message that is no event: dict, list, str … within the limits.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is not JSON.
        """
        try:
            return self._parse(data)
        except self.REFUSALS:
            pass
        try:
            return self._parse_with_care(data)
        except Fault as fault:
            raise fault.error() from None
        except RecursionError:
            raise LimitExceeded("nested too deep for this Python") from None

    def value_of(self, cls: type[V], tree: Any) -> V:
        """A value out of what `decode_tree` gave.

        Raises:
            RemoteProtocolError: it is no such value.
        """
        value: V
        try:
            value = reader(cls)(tree, self._settings)
        except self.REFUSALS:
            try:
                value = read_object(cls, tree, self._settings)
            except Fault as fault:
                raise fault.error() from None
        return value

    def _parse(self, data: str | bytes) -> Any:
        """Parse what is plainly within the limits at once, everything else with care."""
        text = data if type(data) is str else self._decoded(data)
        length = len(text)
        if length > self._most:
            raise Fault("too long", limit=True)
        if ("\\" in text and ("\\ud" in text or "\\uD" in text)) or (
            (length > self._harmless or not text.isascii()) and self._may_exceed(text)
        ):
            return self._parse_with_care(data)
        try:
            tree, end = _scan(text, 0 if text[0] == "{" else _white(text, 0))
        except Fault:
            # A number is refused, unless a doubled name hides it.
            return self._parse_with_care(data)
        if end != length and _white(text, end) != length:
            raise Fault("something follows it")
        return tree

    def _decoded(self, data: str | bytes) -> str:
        if isinstance(data, str):
            return data
        if len(data) > self._most:  # before time is spent on it
            raise Fault("too long", limit=True)
        return str(data, "utf-8")

    def _may_exceed(self, text: str) -> bool:
        """Whether a text may hold more than the limits allow; it may also turn out that it does not."""
        limits = self.limits
        # A container of n elements takes n - 1 commas, a string no more bytes than the text that spells it.
        return (
            len(text.encode()) > min(limits.message_bytes, limits.string_bytes)
            or text.count("{") + text.count("[") > limits.nesting
            or text.count(",") >= limits.items
        )

    def _parse_with_care(self, data: str | bytes) -> Any:
        """Parse, and check all that is no matter of types.

        Raises:
            Fault: with the place.
        """
        text = self._text(data)
        start = _white(text, 0)
        try:
            tree, end = _scan_marking(text, start)
        except (JSONDecodeError, StopIteration) as error:
            raise Fault(_not_json(text, error)) from None
        except RecursionError:
            # Because of what is in the message; or because the host itself has gone deep before it called.
            encoded = text.encode()
            Brackets(self.limits).find_end(encoded, len(encoded))
            raise
        if _white(text, end) != len(text):
            raise Fault(f"something follows the JSON text at character {end}")
        inspect(tree, self.limits, free="data" if _is_binary(tree) else None)
        return tree

    def _text(self, data: str | bytes) -> str:
        most = self.limits.message_bytes
        too_long = Fault(f"a message of more than {most} bytes", limit=True)
        if len(data) > most:
            raise too_long
        if isinstance(data, str):
            try:
                encoded = data.encode()
            except UnicodeEncodeError:
                raise Fault("the text holds a lone surrogate") from None
            if len(encoded) > most:
                raise too_long
            return data
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as error:
            raise Fault(f"not UTF-8: {error.reason} at byte {error.start}") from None

    def _write_event(self, event: Event) -> str:
        if type(event) is BinaryEvent:
            return f'{{"type":"Binary","data":"{to_base64(event.data)}"}}'
        if self._road is None:
            self._decide()
        fast = self._fast_text
        if fast is not None and (text := fast(event)) is not None:
            return text
        return _sendable(text_of_event(event))

    def _write_value(self, value: Value) -> str:
        return _sendable(text_writer(type(value))(value))


def _white(text: str, start: int) -> int:
    """Where the white space that begins there ends."""
    found = _BLACK.search(text, start)
    return len(text) if found is None else found.start()


def _not_json(text: str, error: JSONDecodeError | StopIteration) -> str:
    if not text or text.isspace():
        return "empty"
    if text[0] == "\ufeff":
        return "begins with a byte order mark"
    if isinstance(error, StopIteration):
        return f"not JSON: a value was expected at character {error.value}"
    return f"not JSON: {error.msg} at character {error.pos}"


def _is_binary(tree: Any) -> bool:
    kind = tree.get("type") if type(tree) is dict else None
    return type(kind) is str and SPELLINGS.get(kind) is BinaryEvent


def _sendable(text: str) -> str:
    if not text.isascii():
        text.encode()  # refuses lone surrogates that came into a map after it was checked
    return text


_CODEC = JsonCodec()


def to_json(value: Value) -> Any:
    """What a JSON parser makes of the text of a value: dict, list, str …

    Raises:
        LocalProtocolError: JSON has no form for it.
    """
    tree, _ = _scan(_CODEC.encode_value(value), 0)
    return tree


def from_json(cls: type[V], tree: Any) -> V:
    """A value out of what a JSON parser made.

    Raises:
        LimitExceeded: it is more than the default limits allow.
        RemoteProtocolError: it is no such value.
    """
    try:
        inspect(tree, DEFAULT_LIMITS, free="data" if _is_binary(tree) else None)
        if issubclass(cls, Event):
            return of_class(cls, read_event(tree, _CODEC._settings))
        value: V = read_object(cls, tree, _CODEC._settings)
    except Fault as fault:
        raise fault.error() from None
    return value

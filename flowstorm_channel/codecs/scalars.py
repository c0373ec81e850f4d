"""Single values whose form on the wire needs care (events.md, "Field types that need care").

Readers raise ValueError for what they refuse, with a text that fits behind the name of the member.
"""

from __future__ import annotations

import re
import sys
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from datetime import datetime, timedelta
from typing import Any

from flowstorm_channel.codecs import extras
from flowstorm_channel.codecs.faults import Fault, form, shown
from flowstorm_channel.codecs.settings import Settings
from flowstorm_channel.schema import INTEGERS

__all__ = ["from_base64", "number", "read_bytes", "read_time", "to_base64", "usual_time", "write_time"]

# ------------------------------------------------------------ bytes

if sys.version_info >= (3, 11):  # pragma: no branch

    def _strict(text: str | bytes) -> bytes:
        return a2b_base64(text, strict_mode=True)

else:  # pragma: no cover (run on 3.10)
    _ALPHABET = re.compile(r"[A-Za-z0-9+/]*={0,2}"), re.compile(rb"[A-Za-z0-9+/]*={0,2}")

    def _strict(text: str | bytes) -> bytes:
        if not (_ALPHABET[0].fullmatch(text) if isinstance(text, str) else _ALPHABET[1].fullmatch(text)):
            raise Base64Error("a character that is not of the alphabet")
        return a2b_base64(text)


def from_base64(text: str | bytes) -> bytes:
    """Decode padded, standard base64 and nothing else.

    Raises:
        ValueError: it is something else.
    """
    if len(text) % 4:
        raise Base64Error("its length is no multiple of 4")
    if (swift := extras.pybase64()) is not None:
        try:
            decoded: bytes = swift.b64decode(text, None, True)
        except ValueError:
            pass  # how much padding may follow is for the standard library to decide
        else:
            return decoded
    return _strict(text)


_STANDARD = str.maketrans("-_", "+/")


def _liberal(text: str) -> bytes:
    if "=" not in text:
        text += "=" * (-len(text) % 4)
    if text.endswith("==="):
        raise Base64Error("a length that base64 cannot have")
    return from_base64(text.translate(_STANDARD))


def to_base64(data: bytes) -> str:
    """Standard base64, padded, without line breaks."""
    if (swift := extras.pybase64()) is not None:
        encoded: str = swift.b64encode_as_string(data)
        return encoded
    return b2a_base64(data, newline=False).decode("ascii")


def read_bytes(value: Any, settings: Settings) -> bytes:
    """Bytes out of what JSON or msgpack gave.

    Raises:
        Fault: they are none, or too many.
    """
    if type(value) is bytes:
        data: bytes = value  # from msgpack, or from the short path for blocks in JSON
    elif settings.binary:
        raise Fault(f"must be binary data, not {form(value)}")
    elif type(value) is str:
        try:
            data = _liberal(value)
        except ValueError as error:
            raise Fault(f"{shown(value)} is not base64: {error}") from None
    elif type(value) is list:
        for index, each in enumerate(value):
            if type(each) is not int or not -128 <= each <= 255:
                raise Fault(f"{shown(each)} is not a byte: -128 to 255").inside(index)
        data = bytes([each & 255 for each in value])
    else:
        raise Fault(f"must be base64 in a string or an array of bytes, not {form(value)}")
    if len(data) > settings.limits.audio_bytes:
        raise Fault(f"more than {settings.limits.audio_bytes} bytes", limit=True)
    return data


# ------------------------------------------------------------ numbers


PLAIN = 2.0**63 - 1024
"""The greatest float below it: some parsers make a greater one of an integer of more than 64 bits."""


def number(value: Any, settings: Settings) -> float:
    """A number as a float, for all that is not plainly one.

    Raises:
        Fault: it is none, is infinite, or is an integer of more than 64 bits; or perhaps is one, where this
            must be known exactly.
    """
    if type(value) is int and value in INTEGERS:
        return float(value)
    if type(value) is float and not settings.exact and not value - value:  # infinity less itself is not zero
        return value
    raise Fault("must be a finite number")


# ------------------------------------------------------------ times

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)
_MARKS = slice(4, 17, 3)
_USUAL_LENGTHS = frozenset({19, 23, 26})


def read_time(value: Any) -> datetime:
    """A time in UTC, without zone, of any usual form (D-10): ISO 8601, an array, seconds since 1970.

    Raises:
        Fault: it is none.
    """
    kind = type(value)
    try:
        if kind is str:
            return usual_time(value) or _iso(value)
        if kind is list:
            return _parts(value)
        if kind is int or kind is float:
            return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        raise Fault(f"{shown(value)} is not a time") from None
    raise Fault(f"must be a time, not {form(value)}")


def usual_time(text: str) -> datetime | None:
    """A time in the form that is written, and most sent, read in C; None for all others."""
    # `fromisoformat` reads many forms, other ones in each Python: only what has these marks is given to it.
    if text[_MARKS] != "--T::":
        return None
    text = text.removesuffix("Z")  # as browsers write it
    if len(text) not in _USUAL_LENGTHS:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is None else None


def _iso(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not ISO 8601")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    # Nanoseconds are cut off, not rounded: a log must not name a time that had not come yet.
    micro = int((fraction or "").ljust(6, "0")[:6])
    time = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micro)
    if sign is None:
        return time
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return time - offset if sign == "+" else time + offset


def _parts(parts: list[Any]) -> datetime:
    """What Jackson makes of a LocalDateTime; it leaves out trailing zeros."""
    if not 5 <= len(parts) <= 7 or any(type(part) is not int for part in parts):
        raise ValueError("not [year, month, day, hour, minute, second, nanosecond]")
    year, month, day, hour, minute, second, nanos = (*parts, 0, 0)[:7]
    return datetime(year, month, day, hour, minute, second, nanos // 1000)


def write_time(time: datetime) -> str:
    """ISO 8601 without zone, the fraction only as needed: none, three digits or six (D-10)."""
    return time.isoformat().removesuffix("000")  # whole seconds end with a colon and two digits

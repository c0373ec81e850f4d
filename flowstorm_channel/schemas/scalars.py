"""Single values whose form on the wire needs care, as JSON Schema (events.md, "Field types that need care").

Patterns keep to what the regular expressions of all languages share, so that a validator without lookaround
can use them.
"""

from __future__ import annotations

from typing import Any

from flowstorm_channel.limits import Limits
from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = [
    "LOCALE",
    "PACKED_BYTES",
    "PARAMETER",
    "SENT_BYTES",
    "SENT_TIME",
    "ZONE",
    "accepted_bytes",
    "accepted_time",
]

JsonSchema = dict[str, Any]

# ------------------------------------------------------------ languages and zones

LOCALE: JsonSchema = {"type": "string", "pattern": "^[a-z]{2,8}(?:_[A-Za-z0-9]{1,8})*$"}
"""As it is sent (D-08). Any string is accepted: what is no language tag counts as the default (D-81)."""

_OFFSET = "^(?:Z|(?:UTC|GMT|UT)?[+-](?:0?[0-9]|1[0-8])(?::?[0-5][0-9])?(?::?[0-5][0-9])?|UTC|GMT|UT)$"
ZONE: JsonSchema = {
    "description": "A name of the IANA time zone database, or an offset from UTC.",
    "anyOf": [{"type": "string", "pattern": _OFFSET}, {"enum": sorted(ZONE_NAMES)}],
}

PARAMETER: JsonSchema = {"type": "string", "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$"}
"""A text in the head of a request: no control characters but tabs."""

# ------------------------------------------------------------ bytes

SENT_BYTES: JsonSchema = {
    "description": "Bytes as base64, padded.",
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
PACKED_BYTES: JsonSchema = {
    "description": "Bytes, as bin.",
    "type": "string",
    "contentMediaType": "application/octet-stream",
}
"""As msgpack has them; JSON Schema has no type for that."""

_LIBERAL = "^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?$"


def accepted_bytes(limits: Limits) -> JsonSchema:
    """Base64 of either alphabet, padded or not; or an array of bytes."""
    return {
        "description": "Bytes as base64, standard or URL-safe, padded or not; or one number a byte.",
        "anyOf": [
            {
                "type": "string",
                "contentEncoding": "base64",
                "pattern": _LIBERAL,
                "maxLength": -(-limits.audio_bytes // 3) * 4,
            },
            {
                "type": "array",
                "items": {"type": "integer", "minimum": -128, "maximum": 255},
                "maxItems": limits.audio_bytes,
            },
        ],
    }


# ------------------------------------------------------------ times

_CENTURIES = "(?:0[48]|[2468][048]|[13579][26])"
"""Two digits that four divides, but 00."""


def _date(year: str, leap: str) -> str:
    """A date that there is.

    Args:
        year: any.
        leap: one with a 29th of February.
    """
    every = "(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    most = "(?:0[13-9]|1[0-2])-(?:29|30)"
    long = "(?:0[13578]|1[02])-31"
    return f"(?:{year}-(?:{every}|{most}|{long})|{leap}-02-29)"


_DATE = _date(
    "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])",
    f"(?:[0-9]{{2}}{_CENTURIES}|{_CENTURIES}00)",
)
# At the ends of the calendar an offset would lead beyond them.
_DATE_WITH_OFFSET = _date(
    "[1-8][0-9]{3}", f"(?:[1-8][0-9]{_CENTURIES}|(?:[2468][048]|1[26]|3[26]|5[26]|7[26])00)"
)
_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OF_DAY = f"{_MINUTE}(?::[0-5][0-9](?:[.,][0-9]{{1,9}})?)?"

SENT_TIME: JsonSchema = {
    "description": "A time in UTC: ISO 8601 without zone.",
    "type": "string",
    "pattern": f"^{_DATE}T{_MINUTE}:[0-5][0-9](?:\\.[0-9]{{3}}|\\.[0-9]{{6}})?$",
}

_LEAP_YEAR: JsonSchema = {
    "multipleOf": 4,
    "anyOf": [{"not": {"multipleOf": 100}}, {"multipleOf": 400}],
}
_FIRST_SECOND, _END = -62135596800, 253402300800
"""Of the year 1, and of the year 9999: seconds since 1970."""


def _integer(least: int, most: int) -> JsonSchema:
    return {"type": "integer", "minimum": least, "maximum": most}


def accepted_time() -> JsonSchema:
    """Any usual form (D-10), of a day that there is."""
    parts = [(1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 59), (0, 999_999_999)]
    return {
        "description": "A time, in UTC unless it says otherwise: ISO 8601; an array of year, month, day, "
        "hour, minute, second and nanosecond, the last two of which may be left out; or seconds since 1970.",
        "anyOf": [
            {"type": "string", "pattern": f"^{_DATE}[Tt ]{_OF_DAY}[Zz]?$"},
            {
                "type": "string",
                "pattern": f"^{_DATE_WITH_OFFSET}[Tt ]{_OF_DAY}[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?$",
            },
            {
                "type": "array",
                "prefixItems": [_integer(*each) for each in parts],
                "minItems": 5,
                "maxItems": 7,
                "anyOf": [
                    {"prefixItems": [{}, {}, {"maximum": 28}]},
                    {"prefixItems": [{}, {"not": {"const": 2}}, {"maximum": 30}]},
                    {"prefixItems": [{}, {"not": {"enum": [2, 4, 6, 9, 11]}}]},
                    {"prefixItems": [_LEAP_YEAR, {"const": 2}, {"const": 29}]},
                ],
            },
            {"type": "number", "minimum": _FIRST_SECOND, "exclusiveMaximum": _END},
        ],
    }

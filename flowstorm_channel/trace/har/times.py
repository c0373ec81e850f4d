"""The times in an entry of HAR: dates with a time zone, and spans in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from flowstorm_channel.errors import RemoteProtocolError

__all__ = ["Times", "times_of"]

_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,12})?\s*(?:([Zz])|([+-]\d\d):?(\d\d))", re.ASCII
)
_GREATEST = 2**53
_BEFORE_SENT = ("blocked", "dns", "connect", "send")
"""What goes by until a request is sent; the time of TLS is within that of connecting."""


class Times(NamedTuple):
    """When something happened, in seconds since 1970."""

    began: float
    sent: float
    """The request."""
    answered: float
    """The head of the response."""
    ended: float


def times_of(entry: Mapping[str, Any]) -> Times:
    """The times of an exchange. Spans that are not known count as none.

    Raises:
        RemoteProtocolError: it has no date.
    """
    began = _seconds_of_date(entry.get("startedDateTime"))
    timings = entry.get("timings")
    spans = timings if isinstance(timings, dict) else {}
    sent = began + sum(_span(spans.get(name)) for name in _BEFORE_SENT)
    answered = sent + _span(spans.get("wait"))
    ended = max(answered + _span(spans.get("receive")), began + _span(entry.get("time")))
    return Times(began, sent, answered, ended)


def _span(value: object) -> float:
    """A span, in seconds. Minus one stands for one that does not apply."""
    known = isinstance(value, (int, float)) and 0 < value < _GREATEST
    return float(value) / 1000 if known else 0.0  # type: ignore[arg-type]


def _seconds_of_date(text: object) -> float:
    found = _DATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise RemoteProtocolError("startedDateTime is no date with a time zone")
    day, time, fraction, zulu, hours, minutes = found.groups()
    offset = "+00:00" if zulu else f"{hours}:{minutes}"
    try:
        whole = datetime.fromisoformat(f"{day}T{time}{offset}").timestamp()
    except (ValueError, OverflowError) as error:
        raise RemoteProtocolError(f"startedDateTime is no date: {error}") from None
    return whole + float(fraction or 0)

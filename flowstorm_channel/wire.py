"""What transports bring and take: the same five kinds of message for every channel.

A WebSocket is a `ResponseHead` with status 101 (the handshake's answer), then `str` and `bytes`, one for each
text and binary message, then a `Close`. An HTTP exchange is a head, `bytes`, and `END`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Final, Literal

import attrs

__all__ = ["END", "Close", "CloseCode", "End", "Message", "RequestHead", "ResponseHead", "unsafe"]

Headers = tuple[tuple[str, str], ...]


_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def unsafe(text: str) -> bool:
    """Whether a text would be something else in the head of a request, or in a log: a line break is in it, or
    the like."""
    return _CONTROL.search(text) is not None


_SECRET_HEADERS = frozenset(
    (
        *("authorization", "cookie", "set-cookie", "google-assistant-signature"),
        *("signature", "signature-256", "x-twilio-signature"),
    )
)
_SECRET_PARAMETER = re.compile(r"(?<=[?&]token=)[^&#]+", re.IGNORECASE)


def _without_secrets(headers: Headers) -> str:
    """Headers as they may stand in a log."""
    shown = [
        (name, "<hidden>") if name.lower() in _SECRET_HEADERS else (name, value) for name, value in headers
    ]
    return repr(tuple(shown))


def _shown_address(url: str) -> str:
    return repr(_SECRET_PARAMETER.sub("<hidden>", url))


def _headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    return tuple((str(name), str(value)) for name, value in pairs)


class _Head:
    __slots__ = ()

    headers: Headers

    def header(self, name: str) -> str | None:
        """The value of a header, None when it is absent; repeated ones are joined by commas.

        Args:
            name: in any case.
        """
        name = name.lower()
        found = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(found) if found else None


@attrs.frozen(kw_only=True)
class RequestHead(_Head):
    """Opens an exchange: what a server gets first. In the output of a client it means: open a transport.

    Args:
        method: ``GET`` for a WebSocket.
        url: absolute in the output of a client; a server takes a path too.
        headers: pairs of name and value; for a WebSocket only those beyond the handshake.
    """

    method: str = "GET"
    url: str = attrs.field(repr=_shown_address)
    headers: Headers = attrs.field(default=(), converter=_headers, repr=_without_secrets)


@attrs.frozen(kw_only=True)
class ResponseHead(_Head):
    """Answers a `RequestHead`.

    Args:
        status: 101: the WebSocket is accepted.
        headers: pairs of name and value; for a WebSocket only those beyond the handshake.
    """

    status: int
    headers: Headers = attrs.field(default=(), converter=_headers, repr=_without_secrets)


class End(Enum):
    """The end of an HTTP body."""

    END = "end"


END: Final = End.END


class CloseCode(IntEnum):
    """Why a WebSocket is closed (D-67)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    ABNORMAL = 1006
    """Never sent: the transport went away without a close."""
    NO_INIT = 1008
    TOO_BIG = 1009
    HOST_FAILED = 1011


def _short(reason: str) -> str:
    return reason.encode(errors="replace")[:123].decode(errors="ignore")


@attrs.frozen
class Close:
    """A close frame; on HTTP: the exchange is given up.

    Args:
        code: of the WebSocket close.
        reason: for people; cut to the 123 bytes of UTF-8 that a close frame holds.
    """

    code: int = 1000
    reason: str = attrs.field(default="", converter=_short)


Message = RequestHead | ResponseHead | str | bytes | Literal[End.END] | Close
"""What goes over a transport."""

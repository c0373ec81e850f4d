"""The statuses that requests are refused with, the same on all channels of HTTP."""

from __future__ import annotations

from typing import Any

__all__ = ["NO_STORE", "refusals"]

NO_STORE = {
    "Cache-Control": {"description": "Nothing is to be kept.", "schema": {"const": "no-store"}},
}
"""The header of every answer."""

_MEANINGS = {
    400: "The request says nothing that can be understood.",
    401: "The host refuses the client, or the user.",
    403: "The host refuses the client, or it is not who it says.",
    408: "The body of the request did not go on.",
    409: "Another request of the session is not over (D-68).",
    413: "The request is over a limit.",
    415: "The type of the body is none of these.",
    431: "The headers are over a limit.",
    500: "The host has failed.",
    503: "The server cannot take the request now.",
}


def refusals(statuses: tuple[int, ...], content: dict[str, Any]) -> dict[str, Any]:
    """The responses of these statuses.

    Args:
        statuses: of them.
        content: of each.
    """
    return {
        str(status): {"description": _MEANINGS[status], "headers": NO_STORE, "content": content}
        for status in statuses
    }

"""Fetches what a platform's requests are verified with: certificates and keys, from addresses that are known.

The standard library does it, in a thread: it happens once an hour.
"""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any
from urllib.error import HTTPError

__all__ = ["fetch"]

SECONDS = 3.0
"""How long a server may take to send something."""
MOST = 256 * 1024
"""Bytes that are taken."""


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None  # what was checked is the address, not where it leads


_opener = urllib.request.build_opener(_NoRedirections)


async def fetch(url: str) -> bytes | None:
    """What an HTTPS address gives; None when there is nothing.

    Args:
        url: of the certificates of Alexa, or of the keys of Google.

    Raises:
        OSError: the server cannot be asked, is too slow, or gives too much.
        ValueError: it is not an HTTPS address.
    """
    if not url.lower().startswith("https://"):
        raise ValueError(f"{url!r} is not fetched: its scheme is not https")
    return await asyncio.wait_for(asyncio.to_thread(_get, url), 2 * SECONDS)


def _get(url: str) -> bytes | None:
    try:
        with _opener.open(url, timeout=SECONDS) as response:
            data: bytes = response.read(MOST + 1)
    except HTTPError as error:
        if error.code < 500:
            return None  # a redirection is none either
        raise
    if len(data) > MOST:
        raise OSError(f"{url} gives more than {MOST} bytes")
    return data

"""Fetches what a platform's requests are verified with: certificates and keys, from addresses that are known.

Who sends a request decides which certificates are asked for, before anybody knows who it is. So `Fetcher` has
things fetched once for all who wait for it, a few things at a time, and remembers what cannot be had.
"""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

__all__ = ["Fetch", "Fetcher", "fetch"]

log = logging.getLogger("flowstorm_channel")

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Gets what an address gives; None: it gives nothing."""

SECONDS = 3.0
"""How long a server may take to send something."""
MOST = 256 * 1024
"""Bytes that are taken."""
AT_ONCE = 4
"""Addresses that are fetched from at a time."""
WAITING = 32
"""Addresses that may wait for that; those of strangers that come then are not fetched from."""
FAILED_FOR = 60.0
"""Seconds for which an address that gave nothing is not tried again."""
UNSURE_FOR = 5.0
"""The same when it could not be asked, or has given something before."""
_REMEMBERED = 1000


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
    # Threads of its own: what waits for a stranger's address is not to keep others from theirs.
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetch")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, get, url)
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def get(url: str) -> bytes | None:
    """The same as `fetch`, blocking."""
    if not url.lower().startswith("https://"):
        raise ValueError(f"{url!r} is not fetched: its scheme is not https")
    until = time.monotonic() + SECONDS
    try:
        with _opener.open(url, timeout=SECONDS) as response:
            data = b""
            while len(data) <= MOST and (piece := response.read1()):
                data += piece
                if time.monotonic() > until:
                    raise TimeoutError(f"{url} takes more than {SECONDS} seconds")
    except HTTPError as error:
        with error:
            if error.code < 500:
                return None  # a redirection is nothing either
        raise
    except HTTPException as error:
        raise OSError(f"{url} answers with nonsense: {error!r}") from error
    if len(data) > MOST:
        raise OSError(f"{url} gives more than {MOST} bytes")
    return data


class Fetcher:
    """Fetches for all the requests of a server.

    Args:
        fetch: does it.
        clock: gives seconds; it may not go backwards.
    """

    def __init__(self, fetch: Fetch = fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: dict[str, Any] = {}
        self._room: AbstractAsyncContextManager[Any] = asyncio.Semaphore(AT_ONCE)
        self._failed: OrderedDict[str, float] = OrderedDict()
        self._proven: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, url: str) -> bytes | None:
        """What the address gives; None: nothing, or nothing now. Raises nothing."""
        if self._clock() < self._failed.get(url, 0.0):
            return None
        full = len(self._under_way) >= WAITING
        if full and url not in self._under_way and url not in self._proven:
            log.warning("%s is not fetched: too much is, already", url)
            return None
        return await self._share(url)

    async def _share(self, url: str) -> bytes | None:
        """What is being fetched for others from there, or else is now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What an earlier loop has begun nobody will finish.
            self._loop, self._under_way, self._room = loop, {}, asyncio.Semaphore(AT_ONCE)
        task = self._under_way.get(url)
        if task is None:
            task = self._under_way[url] = loop.create_task(self._get(url))
        return await asyncio.shield(task)  # others wait for it, too

    async def _get(self, url: str) -> bytes | None:
        under_way, proven = self._under_way, url in self._proven
        found, seconds = None, UNSURE_FOR if proven else FAILED_FOR
        try:
            async with nullcontext() if proven else self._room:
                found = await self._ask(url)
        except Exception as error:
            log.warning("%s cannot be fetched: %s", url, error)
            seconds = UNSURE_FOR
        finally:
            del under_way[url]
        if found is None:
            _remember(self._failed, url, self._clock() + seconds)
        else:
            _remember(self._proven, url, None)
        return found

    async def _ask(self, url: str) -> bytes | None:
        return await asyncio.wait_for(self._fetch(url), 2 * SECONDS)


def _remember(found: OrderedDict[str, Any], url: str, value: Any) -> None:
    found[url] = value
    found.move_to_end(url)
    if len(found) > _REMEMBERED:
        found.popitem(last=False)

"""Gets certificates and keys under trio or asyncio."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from flowstorm_channel.contrib import fetch as blocking
from flowstorm_channel.contrib.anyio.driver import Driver
from flowstorm_channel.contrib.fetch import Fetch

__all__ = ["Fetcher", "fetch"]


async def fetch(url: str) -> bytes | None:
    """As `contrib.fetch.fetch`."""
    # Threads of its own: what waits for a stranger's address is not to keep others from theirs.
    alone = anyio.CapacityLimiter(1)
    return await anyio.to_thread.run_sync(blocking.get, url, limiter=alone, abandon_on_cancel=True)


class _Fetching:
    def __init__(self) -> None:
        self.over = anyio.Event()
        self.found: bytes | None = None


class Fetcher(blocking.Fetcher):
    """As `contrib.fetch.Fetcher`. Who asks first fetches for all, and cannot be cancelled meanwhile."""

    def __init__(self, fetch: Fetch = fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(fetch, clock=clock)
        self._room = anyio.Semaphore(blocking.AT_ONCE)

    async def _share(self, url: str) -> bytes | None:
        fetch = self._under_way.get(url)
        if fetch is None:
            fetch = self._under_way[url] = _Fetching()
            with anyio.CancelScope(shield=True):
                fetch.found = await self._get(url)
            fetch.over.set()
        await fetch.over.wait()
        found: bytes | None = fetch.found
        return found

    async def _ask(self, url: str) -> bytes | None:
        return await Driver.within(2 * blocking.SECONDS, self._fetch(url))

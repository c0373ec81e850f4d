"""A real server on loopback, for tests: uvicorn on a port that the system chooses."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    async def main_loop(self) -> None:
        """As uvicorn's, but it looks ten times as often whether it is to stop."""
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(app: Any, **settings: Any) -> AsyncIterator[str]:
    """Run an ASGI application; gives ``127.0.0.1:port``."""
    # Named, since asyncio switches Nagle's algorithm off only where it knows that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", **settings)
        server = _Server(config)
        task = asyncio.create_task(server._serve([listener]))
        try:
            # The socket listens already: who connects now waits until the server accepts.
            yield "{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            await task


def run(main: Any) -> Any:
    """Run a coroutine function, with a bound on how long it may take."""
    return asyncio.run(asyncio.wait_for(main(), 20))

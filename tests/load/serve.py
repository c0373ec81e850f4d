"""The server process: ``python -m tests.load.serve PORT REDIS LEDGER COMPLAINTS APPLICATION``."""

from __future__ import annotations

import logging
import os
import socket
import sys

from tests.load.clock import install

PING = 5.0
"""Seconds between two pings of a WebSocket, and for its answer."""


class OneLine(logging.Formatter):
    """An error as one line: what it is about, and of which kind it is."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        text = f"{record.name}: {record.getMessage()}{f' ({kind.__name__})' if kind else ''}"
        return " ".join(text.split())


def main(port: str, redis: str, ledger: str, complaints: str, name: str) -> None:
    """Serve until killed."""
    clocks = install()
    handler = logging.FileHandler(complaints)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])

    # Behind the clocks: these modules take them as they are when they are imported.
    import uvicorn

    from tests.load.broken import APPLICATIONS

    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    # Named, since asyncio switches Nagle's algorithm off only where it knows that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(512)
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            APPLICATIONS[name](redis, file, clocks),
            log_config=None,
            log_level="error",
            ws="websockets-sansio",
            loop="asyncio",
            http="h11",
            ws_ping_interval=PING,
            ws_ping_timeout=PING,
        )
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])

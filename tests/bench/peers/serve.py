"""Serves an application: ``python -m tests.bench.peers.serve NAME FILE``; the file is a listening socket."""

from __future__ import annotations

import importlib
import socket
import sys

import uvicorn

if __name__ == "__main__":
    app = importlib.import_module(f"tests.bench.peers.{sys.argv[1]}").app
    # Not `--fd`: uvicorn takes such a socket for a Unix one, and then nobody switches Nagle's algorithm off.
    listening = socket.socket(fileno=int(sys.argv[2]))
    config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", loop="asyncio")
    uvicorn.Server(config).run(sockets=[listening])

"""A real Redis on loopback, for tests: on a port that the system chooses, and with nothing kept on disk."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.programs import program

_SOON = 10.0


class RedisServer:
    """One server process; all it knows is lost when it stops."""

    def __init__(self, folder: str) -> None:
        self.port = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers; again at the same port, if it ran before."""
        redis = program("redis-server")
        for _ in range(5):
            port = self.port or _free_port()
            command = [redis, "--port", str(port), "--bind", "127.0.0.1", "--dir", self._folder]
            command += ["--save", "", "--appendonly", "no"]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if _answers(process, port):
                self.port, self._process = port, process
                return
            # Somebody else was given that port meanwhile.
            process.kill()
            process.wait()
        raise AssertionError("redis-server does not start")

    def stop(self) -> None:
        """Kill it: connections break, and nobody listens any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it be silent, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis; its ``url`` is ``redis://127.0.0.1:port/0``."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether that very process comes to answer there."""
    until = time.monotonic() + _SOON
    with Redis(port=port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as client:
        while process.poll() is None and time.monotonic() < until:
            with suppress(RedisError):
                client.ping()
                told: Any = client.info("server")
                return bool(told["process_id"] == process.pid)
            time.sleep(0.01)
    return False

"""The server process as the driver sees it: it is started, killed, started again, and asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import attrs
import httpx

__all__ = ["ROOT", "Memory", "Server"]

ROOT = Path(__file__).parent.parent.parent
_SETTLED = 20.0
"""Seconds for the last channels to end: those of peers that are silent end by timeouts and pings."""


@attrs.frozen
class Memory:
    """What the process holds: bytes, objects that the collector knows, tasks, channels, sessions."""

    bytes: int
    objects: int
    tasks: int
    channels: int
    sessions: int


class Server:
    """One address, and the process that serves it at the time.

    Args:
        redis: where sessions are kept.
        ledger: the file of what was done.
        complaints: the file of its errors.
        application: its name in `tests.load.broken`.
    """

    def __init__(self, redis: str, ledger: Path, complaints: Path, application: str) -> None:
        self.port = 0
        self.lifetimes = 0
        self._arguments = (redis, str(ledger), str(complaints), application)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, at the port that it had before, if any, and wait until it serves."""
        command = [sys.executable, "-m", "tests.load.serve", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        output = self._process.stdout
        assert output is not None
        line = await asyncio.get_running_loop().run_in_executor(None, output.readline)
        if not line:
            raise RuntimeError(f"the server does not start at port {self.port}")
        self.port = int(line)
        self.lifetimes += 1
        await self.ask("/clock")

    def kill(self) -> None:
        """No last words."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    async def ask(self, path: str) -> dict[str, int]:
        """Ask one of the addresses that are there for the driver."""
        async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}{path}")
            told: dict[str, int] = answer.json()
            return told

    async def memory(self) -> Memory:
        """What it holds when all who have gone are forgotten, or after some time."""
        until = asyncio.get_running_loop().time() + _SETTLED
        while True:
            found = Memory(**await self.ask("/memory"))
            if not found.channels or asyncio.get_running_loop().time() > until:
                break
            await asyncio.sleep(0.2)
        return Memory(**await self.ask("/memory"))

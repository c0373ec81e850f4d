"""Server processes that share one Redis, for tests, and the program that each of them runs.

The program, ``python -m tests.farm redis://…``, says on which port it listens, and ends when its standard
input does. Its dialogue does what the texts of the user say; see `dialogue`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from redis import Redis

from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.asyncio import Sound
from flowstorm_channel.contrib.redis import RedisStore
from flowstorm_channel.contrib.stores import Hold
from flowstorm_channel.server import Turn
from tests.redis_server import RedisServer

PREFIX = "flowstorm:session:"


def summary(numbers: Sequence[int]) -> str:
    """What the dialogue says of the numbers that it was told."""
    digest = hashlib.sha256(json.dumps(list(numbers)).encode()).hexdigest()
    return f"{len(numbers)} {digest[:16]}"


# ------------------------------------------------------------ in the test's process


class Process:
    """One server process."""

    def __init__(self, redis: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.farm", redis],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=Path(__file__).parent.parent,
        )
        self._read = 0
        self.address = ""

    def started(self) -> Process:
        """Wait until it can be asked."""
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        assert self.address, self.complaints()
        return self

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """No last words: connections break, and what it held is left behind."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it stand still; connections to it can still be opened."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def complaints(self) -> str:
        """What it wrote as errors since it was asked last."""
        self._errors.seek(self._read)
        found = self._errors.read()
        self._read += len(found)
        return found.decode()

    def close(self) -> None:
        self.kill()
        self._process.communicate()
        self._errors.close()


class Farm:
    """Two server processes, and the Redis that they share."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.processes: list[Process] = []

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in self.processes]

    def complete(self) -> None:
        """Start what is missing: two processes in the beginning, and any that has died since."""
        living = [each for each in self.processes if each.alive]
        for each in self.processes:
            if each not in living:
                each.close()
        new = [Process(self.redis.url) for _ in range(2 - len(living))]
        self.processes = [*living, *new]
        for each in new:
            each.started()

    def complaints(self) -> str:
        return "".join(each.complaints() for each in self.processes)

    def close(self) -> None:
        for each in self.processes:
            each.close()


# ------------------------------------------------------------ in the server's process


class Farmhand:
    """What one server process does."""

    def __init__(self, redis: str) -> None:
        self.redis = redis
        self.store = MortalStore(redis, prefix=PREFIX)
        self.channels = ChannelApp(self.dialogue, recogniser=recogniser, store=self.store)
        self.waiting: list[str] = []
        self.cut: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The channels, and two addresses for tests: ``/turns`` and ``/go-on``."""
        if scope["type"] != "http" or scope["path"] not in ("/turns", "/go-on"):
            await self.channels(scope, receive, send)
            return
        if scope["path"] == "/go-on":
            self.go_on.set()
            self.go_on = asyncio.Event()
        body = json.dumps({"waiting": self.waiting, "cut": self.cut}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def dialogue(self, turn: Turn) -> AsyncIterator[str]:
        """Does as it is told.

        - ``add 7``: puts the number to the others, and tells the `summary`.
        - ``add 7 and die``: the process ends, killed, before the turn does.
        - ``add 7 and die later``: it ends when the session is stored, before the client hears of it.
        - ``add 7 and wait``: the turn does not end before ``/go-on`` is asked for, unless it is cut.
        - ``add 7 and stand still``: nothing moves in the process before Redis is told to go on.
        - ``numbers``: tells them all.
        - ``sleep 60``, ``stop``.
        """
        match turn.text.split():
            case ["add", number, *how]:
                numbers = turn.session.data.setdefault("numbers", [])
                numbers.append(int(number))
                match how:
                    case ["and", "die"]:
                        os.kill(os.getpid(), signal.SIGKILL)
                    case ["and", "die", "later"]:
                        self.store.last_session = turn.session_id
                    case ["and", "wait"]:
                        yield "waiting"
                        await self._wait(turn)
                    case ["and", "stand", "still"]:
                        yield "standing still"
                        with Redis.from_url(self.redis) as redis:
                            redis.blpop([f"go on {turn.session_id}"], timeout=10)
                yield summary(numbers)
            case ["numbers"]:
                yield json.dumps(turn.session.data.get("numbers", []))
            case ["sleep", seconds]:
                turn.finish(sleep_timeout=int(seconds))
            case ["stop"]:
                turn.finish(session_ended=True)

    async def _wait(self, turn: Turn) -> None:
        self.waiting.append(turn.session_id)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cut.append(turn.session_id)
            raise
        finally:
            self.waiting.remove(turn.session_id)


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    """The sound is the text; a full stop ends it."""
    text = ""
    async for block in sound:
        text += block.decode()
        if text.endswith("."):
            yield text.removesuffix("."), True


class MortalStore(RedisStore):
    """Its process may die as soon as a session is stored, before anybody hears of it."""

    last_session = ""

    async def take(self, session_id: str, *args: Any, **kw: Any) -> Hold | None:
        hold = await super().take(session_id, *args, **kw)
        return None if hold is None else _MortalHold(hold, self, session_id)


class _MortalHold:
    def __init__(self, hold: Hold, store: MortalStore, session_id: str) -> None:
        self.snapshot = hold.snapshot
        self._hold, self._store, self._session_id = hold, store, session_id

    async def save(self, snapshot: bytes, keep_for: float) -> bool:
        saved = await self._hold.save(snapshot, keep_for)
        if self._session_id == self._store.last_session:
            os.kill(os.getpid(), signal.SIGKILL)
        return saved

    async def release(self) -> None:
        await self._hold.release()


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main(redis: str) -> None:
    # Named, since asyncio switches Nagle's algorithm off only where it knows that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print("{}:{}".format(*listener.getsockname()), flush=True)
        threading.Thread(target=_end_with_standard_input, daemon=True).start()
        config = uvicorn.Config(lambda: Farmhand(redis), factory=True, log_level="error", lifespan="off")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])

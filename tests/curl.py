"""The real curl as a client of HTTP: what a user types, and what is printed."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.programs import program

_ALWAYS = ("-q", "-sS", "-i", "--no-buffer", "--noproxy", "*", "--max-time", "20")
_COOKIE = re.compile(r"flowstorm-session-id=([^;]*)")


@dataclass
class Answer:
    """A response, from whatever client."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    continued: bool = field(default=False)
    """Whether there was a ``100 Continue`` before it."""

    def header(self, name: str) -> str | None:
        """The value of a header; repeated ones are joined by commas."""
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def session(self) -> str | None:
        """The session id that it gives the client."""
        found = _COOKIE.match(self.header("Set-Cookie") or "")
        return found[1] if found else None

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def lines(self) -> list[str]:
        """Those of a body of text."""
        return self.text.splitlines()

    @property
    def events(self) -> list[Any]:
        """Those of a body of JSON."""
        return [json.loads(line) for line in self.lines]

    @property
    def types(self) -> list[str]:
        """What kinds of events they are."""
        return [event["type"] for event in self.events]


def head_of(data: bytes) -> Answer:
    """The head of a response, without its blank line, taken apart."""
    first, *lines = data.decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines if line]
    return Answer(int(first.split()[1]), headers)  # type: ignore[arg-type]


class Curl:
    """One run of curl.

    It prints the head of the response, too; for the rest it does what its arguments say.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdout is not None
        self._output = process.stdout

    @classmethod
    async def start(cls, *arguments: str) -> Curl:
        """Start it; its standard input is a pipe."""
        command = (program("curl"), *_ALWAYS, *arguments)
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe))

    async def write(self, data: bytes) -> None:
        """What it reads from its standard input; nothing happens when it has stopped to read."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def close(self) -> None:
        """End its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def head(self) -> Answer:
        """The head of the response, as soon as it is printed."""
        continued = False
        while True:
            data = await self._output.readuntil(b"\r\n\r\n")
            answer = head_of(data[:-4])
            if answer.status >= 200:
                answer.continued = continued
                return answer
            continued = True

    async def line(self) -> str:
        """The next line of the body, as soon as it is printed; empty at the end."""
        return (await self._output.readline()).decode().rstrip("\n")

    async def end(self) -> bytes:
        """What is left of the output, after the end of its input.

        Raises:
            AssertionError: curl reports a failure.
        """
        rest, complaints = await self._process.communicate()
        assert self._process.returncode == 0, complaints.decode()
        return rest

    async def __aenter__(self) -> Curl:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whatever happens, it does not stay."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


async def curl(*arguments: str, stdin: bytes | None = None) -> Answer:
    """Run it to its end."""
    async with await Curl.start(*arguments) as run:
        if stdin is not None:
            await run.write(stdin)
            run.close()
        answer = await run.head()
        answer.body = await run.end()
        return answer

"""The client of docs/examples, in JavaScript, as a program against real servers."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import struct
import subprocess
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from flowstorm_channel.cli import main as command_line
from flowstorm_channel.contrib.asgi import ChannelApp
from tests.programs import program
from tests.serving import run, serving

CLIENT = Path(__file__).parent.parent / "docs" / "examples" / "client.mjs"
ADDRESSES = pytest.mark.parametrize("form", ["ws://{}/socket", "http://{}/client"], ids=["v1", "v2"])


@functools.cache
def node() -> list[str]:
    """The command that runs the client, with the WebSocket that Node 20 has behind a flag."""
    found = program("node")
    flags = ["--experimental-websocket", "--no-warnings"]
    asked = subprocess.run(
        [found, *flags, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False
    )
    assert asked.stdout.strip() == "function", "this Node has no WebSocket: 20.10 is the first that has"
    return [found, *flags, str(CLIENT)]


class Talk:
    """A client that runs: what is typed into it, and what it shows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    def type(self, *lines: str) -> None:
        self.stdin.write("".join(f"{line}\n" for line in lines).encode())

    async def shown(self) -> str:
        """The next line."""
        return (await self.stdout.readline()).decode().rstrip("\n")

    async def rest(self) -> tuple[list[str], int]:
        """All lines to its end, and what it exits with."""
        lines = (await self.stdout.read()).decode().splitlines()
        return lines, await self.process.wait()


@asynccontextmanager
async def talking(address: str, *options: str) -> AsyncIterator[Talk]:
    process = await asyncio.create_subprocess_exec(
        *node(), address, *options, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Talk(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def whole(address: str, *lines: str) -> tuple[list[str], int]:
    """A conversation from a pipe: what it shows, and what it exits with."""
    async with talking(address) as talk:
        talk.type(*lines)
        talk.stdin.close()
        return await talk.rest()


async def dialogue(turn: Any) -> AsyncIterator[str]:
    match turn.text:
        case "#intro":
            yield "Hello!"
        case "long":
            yield "part one"
            await asyncio.Event().wait()
            yield "part two"
        case "fail":
            turn.channel.fail("This went wrong.")  # as Error; what a turn fails with is an item
        case "stop":
            yield "Goodbye."
            turn.finish(session_ended=True)
        case text:
            yield f"You said {text}."


# ------------------------------------------------------------- the example


def test_it_has_fewer_than_a_hundred_lines() -> None:
    assert len(CLIENT.read_text(encoding="utf-8").splitlines()) < 100


# ----------------------------------------------------------- conversations


@ADDRESSES
def test_lines_of_a_pipe_are_answered_one_after_the_other_until_the_session_ends(form: str) -> None:
    async def main() -> None:
        async with serving(ChannelApp(dialogue)) as address:
            shown, code = await whole(form.format(address), "hello", "stop", "never said")
        assert shown == ["Hello!", "You said hello.", "Goodbye."]
        assert code == 0

    run(main)


@ADDRESSES
def test_a_new_line_interrupts_the_answer(form: str) -> None:
    async def main() -> None:
        async with (
            serving(ChannelApp(dialogue)) as address,
            talking(form.format(address), "--interactive") as talk,
        ):
            assert await talk.shown() == "Hello!"
            talk.type("long")
            assert await talk.shown() == "part one"
            talk.type("enough")
            assert await talk.shown() == "You said enough."
            talk.type("stop")
            assert await talk.shown() == "Goodbye."
            talk.type("again")  # begins another session
            assert await talk.shown() == "You said again."
            talk.type("/quit")
            assert await talk.rest() == ([], 0)

    run(main)


@ADDRESSES
def test_audio_is_recognised_and_it_ends_with_its_input_once_all_is_answered(
    form: str, tmp_path: Path
) -> None:
    tone = b"".join(struct.pack("<h", int(9000 * math.sin(number / 6))) for number in range(4000))
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(tone)
    heard = bytearray()

    async def recogniser(sound: Any) -> AsyncIterator[tuple[str, bool]]:
        async for block in sound:
            heard.extend(block)
            if tone in heard:  # on V2 the whole file comes, its head too
                yield "a tone", True
                return

    async def main() -> None:
        async with serving(ChannelApp(dialogue, recogniser=recogniser)) as address:
            shown, code = await whole(form.format(address), f"/audio {tmp_path / 'tone.wav'}", "two")
        assert shown == ["Hello!", "~ a tone", "You said a tone.", "You said two."]
        assert code == 0

    run(main)


# ------------------------------------------------------------ what fails


@ADDRESSES
def test_a_refusal_is_shown_and_ends_it(form: str) -> None:
    async def nobody(_: Any) -> str:
        return "Who are you?"

    async def main() -> None:
        async with serving(ChannelApp(dialogue, authorise=nobody)) as address:
            assert await whole(form.format(address), "hello") == (["! Who are you?"], 1)

    run(main)


@ADDRESSES
def test_an_error_is_shown_and_another_session_begins(form: str) -> None:
    async def main() -> None:
        async with (
            serving(ChannelApp(dialogue)) as address,
            talking(form.format(address), "--interactive") as talk,
        ):
            assert await talk.shown() == "Hello!"
            talk.type("fail")
            assert await talk.shown() == "! This went wrong."
            talk.type("hello")
            assert await talk.shown() == "You said hello."

    run(main)


@ADDRESSES
def test_a_server_that_goes_away_ends_it(form: str) -> None:
    async def main() -> None:
        async with serving(ChannelApp(dialogue)) as address:
            manager = talking(form.format(address))
            talk = await manager.__aenter__()
            assert await talk.shown() == "Hello!"
        try:
            talk.type("hello")
            (shown,), code = await talk.rest()
            assert shown.startswith("! ")
            assert code == 1
        finally:
            await manager.__aexit__(None, None, None)

    run(main)


# ------------------------------------------------- counting, to the letter


def test_what_comes_late_of_an_interrupted_turn_is_not_shown() -> None:
    """A server that withdraws nothing: all of the first answer comes when the second input is there."""

    async def stubborn(socket: ServerConnection) -> None:
        async def take() -> dict[str, Any]:
            event: dict[str, Any] = json.loads(await socket.recv())
            return event

        async def give(kind: str, **members: Any) -> None:
            await socket.send(json.dumps({"type": kind, **members}))

        assert (await take())["type"] == "Init"
        await give("Ready")
        assert (await take())["input"]["transcript"]["text"] == "#intro"
        await give("SessionStarted", sessionId="s")
        await give("Response", response={"items": [{"text": "Hello!"}]})
        await take()
        await give("ResponseItem", responseItem={"text": "in time"})
        await take()
        await give("ResponseItem", responseItem={"text": "too late"})
        await give("Response", response={"items": [{"text": "too late as well"}]})
        await give("ResponseItem", responseItem={"text": "the second answer"})
        await give("Response", response={})
        await give("ResponseItem", responseItem={"text": "something of my own"})
        await give("Response", response={})
        await socket.wait_closed()

    async def main() -> None:
        async with serve(stubborn, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with talking(f"ws://127.0.0.1:{port}/socket", "--interactive") as talk:
                assert await talk.shown() == "Hello!"
                talk.type("first")
                assert await talk.shown() == "in time"
                talk.type("second")
                assert await talk.shown() == "the second answer"
                assert await talk.shown() == "something of my own"

    run(main)


# ------------------------------------------------------------ conformance


@pytest.mark.parametrize("channel", ["socket-v1", "socket-v2"], ids=["v1", "v2"])
def test_it_conforms_where_answers_are_interrupted(channel: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = " ".join([*node(), "{url}", "--interactive"])
    version = channel[-2:].upper()
    wanted = [f"FSC-{version}-BARGE-{number}" for number in (101, 102)]
    arguments = [
        "--channel",
        channel,
        "--command",
        command,
        "--action",
        "interrupt=/stop",
        "--strict",
        "--verbose",
    ]
    code = command_line(["conformance", "client", *arguments, "--only", *wanted])
    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    assert all(f"PASS         {identity}" in told.out for identity in wanted), told.out

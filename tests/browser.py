"""A browser for tests: Debian's Chromium, driven by Playwright, with a microphone that hears a file."""

from __future__ import annotations

import array
import math
import os
import sys
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, expect, sync_playwright

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.host import Sound
from flowstorm_channel.contrib.page import Page
from flowstorm_channel.server import AudioStream
from flowstorm_channel.values import ResponseItem
from tests.programs import chromium
from tests.test_contrib_websockets import in_a_thread

RATE = 48000
PATIENCE = 15_000
"""Milliseconds until a condition has to hold; it holds at once on a machine with nothing else to do."""
PHONE = {"width": 360, "height": 720}
WIDE = {"width": 1280, "height": 800}
STORED = "flowstorm-channel"
"""Where the browser keeps what was chosen."""
_HOOK = """
const {play} = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () {
  const ended = () => playback(["ended", this.src.slice(0, 5), this.duration]);
  this.addEventListener("ended", ended, {once: true});
  playback(["play", this.src.slice(0, 5), 0]);
  return play.call(this);
};
addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) => {
  violation(`${violatedDirective} ${blockedURI}`);
});
"""


def write_speech(path: Path) -> Path:
    """A WAV file of 0.2 seconds of silence, 0.6 seconds of a tone, and 1.1 seconds of silence."""
    loud = [int(12000 * math.sin(2 * math.pi * 440 * each / RATE)) for each in range(RATE * 6 // 10)]
    samples = array.array("h", [*([0] * (RATE * 2 // 10)), *loud, *([0] * (RATE * 11 // 10))])
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@contextmanager
def browser_with(speech: Path) -> Iterator[Browser]:
    """A browser whose microphone hears a file over and over again."""
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield browser
        browser.close()


class Overheard(Sound):
    """Somebody's audio, which another one hears, too."""

    def __init__(self, stream: AudioStream, heard: bytearray, sound: Sound) -> None:
        super().__init__(stream, 0)
        self.everything, self.sound = heard, sound

    async def __anext__(self) -> bytes:
        block = await self.sound.__anext__()
        self.everything += block
        return block


class Server:
    """The page before the example, and what that has heard."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.events: list[str] = []
        self.channel: Any = None
        app = ChannelApp(self.dialogue, recogniser=self.recogniser, voice=example.voice, observe=self.observe)
        self.app = Page(app, timeouts=Timeouts(reconnect=0.5, keep_alive=10.0))

    async def dialogue(self, turn: Any) -> AsyncIterator[Any]:
        self.channel = turn.channel
        match turn.text:
            case "hang up":
                yield "I hang up."
                turn.finish()
                turn.channel.close()
            case "nap":
                yield "For a second."
                turn.finish(sleep_timeout=1)
            case "elsewhere":
                yield ResponseItem(text="A picture.", image="http://198.51.100.1/picture.png")
            case "harm":
                yield ResponseItem(text="Harm.", image="javascript:alert(1)", audio="javascript:alert(2)")
                yield ResponseItem(ssml="<speak>Speech.<audio src='javascript:alert(3)'/></speak>")
                yield ResponseItem(
                    text="#card", code='{"title": "<i>T</i>", "text": "<script>alert(4)</script>"}'
                )
                yield ResponseItem(text="#suggestions", code='{"suggestions": ["<u>one</u>"]}')
            case "<b>bold</b>":
                yield "<img src=x onerror=alert(1)>"
            case _:
                async for part in example.dialogue(turn):
                    yield part

    async def recogniser(self, sound: Sound) -> AsyncIterator[tuple[str, bool]]:
        async for what in example.recogniser(Overheard(sound.stream, self.heard, sound)):
            yield what

    def observe(self, event: Any) -> None:
        self.events.append(type(event).__name__)


class Visitor:
    """Somebody who has opened the page, with what they see and hear."""

    def __init__(self, browser: Browser, address: str, *, stored: str = "{}", **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **settings})
        self.page = self.context.new_page()
        self.played: list[tuple[str, str, float]] = []
        self.complaints: list[str] = []
        self.context.expose_function("playback", lambda what: self.played.append(tuple(what)))
        self.context.expose_function("violation", lambda what: self.complaints.append(what))
        self.context.add_init_script(_HOOK)
        self.context.add_init_script(
            f"localStorage.getItem('{STORED}') ?? localStorage.setItem('{STORED}', '{stored}')"
        )
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(f"http://{address}/")
        expect(self.page.locator("#states li")).to_have_count(8)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []

    # -------------------------------------------------------- what they do

    def start(self) -> None:
        self.page.get_by_role("button", name="Start the conversation").click()

    def type(self, text: str) -> None:
        self.page.get_by_label("What you say").fill(text)
        self.page.keyboard.press("Enter")

    def ask(self, text: str, answer: str) -> None:
        """Type something, and wait until it has been answered."""
        self.type(text)
        self.sees(answer)
        self.is_in("Listening")

    # -------------------------------------------------------- what they see

    def is_in(self, state: str) -> None:
        expect(self.page.locator("#state")).to_have_attribute("data-state", state, timeout=PATIENCE)

    def sees(self, text: str) -> None:
        expect(self.page.get_by_role("log", name="Transcript")).to_contain_text(text, timeout=PATIENCE)

    def hears(self, how: str) -> None:
        """What the microphone is said to do."""
        expect(self.page.locator("#audio")).to_have_text(how, timeout=PATIENCE)

    @property
    def transcript(self) -> list[str]:
        return self.page.locator("#transcript p").all_inner_texts()

    @property
    def events(self) -> list[str]:
        """The log of events: ``→ Input``."""
        heads = self.page.locator("#log .head").all()
        return [f"{each.locator('.way').inner_text()} {each.locator('b').inner_text()}" for each in heads]

    def screenshot(self, folder: Path, name: str) -> None:
        picture = self.page.screenshot(path=str(folder / f"{name}.png"), animations="disabled")
        kept = os.environ.get("FLOWSTORM_SCREENSHOTS")
        if kept:
            Path(kept).mkdir(parents=True, exist_ok=True)
            (Path(kept) / f"{name}.png").write_bytes(picture)


@contextmanager
def visitors(browser: Browser, server: Server) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors of a server's page; they leave in the end."""
    with ExitStack() as stack:
        address = stack.enter_context(in_a_thread(server.app))

        def come(**settings: Any) -> Visitor:
            visitor = Visitor(browser, address, **settings)
            stack.callback(visitor.close)
            return visitor

        yield come

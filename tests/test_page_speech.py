"""The page to talk to, heard: the microphone, the playback, and whoever interrupts it, in a real browser."""

from __future__ import annotations

import array
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PATIENCE, Server, Visitor, browser_with, visitors, write_speech


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser_with(write_speech(tmp_path_factory.mktemp("speech") / "speech.wav")) as found:
        yield found


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., Visitor]]:
    with visitors(browser, server) as come:
        yield come


@pytest.mark.parametrize("channel", ["v1", "v2"])
def test_a_spoken_conversation(visit: Callable[..., Visitor], server: Server, channel: str) -> None:
    visitor = visit(stored=f'{{"voice": true, "channel": "{channel}"}}')
    visitor.page.get_by_role("button", name="Microphone").click()
    if channel == "v1":
        visitor.sees("Hello! I repeat what you say.")
        visitor.page.keyboard.press("Escape")
        visitor.hears("open")
    else:
        visitor.sees("Hello! I repeat what you say.")
        visitor.hears("recording")
    expect(visitor.page.locator("#transcript .user")).to_have_text(
        re.compile(r"0\.\d seconds of speech"), timeout=PATIENCE
    )
    visitor.sees("You said: 0.")
    visitor.is_in("Listening")
    visitor.hears("closed")
    samples = array.array("h", bytes(server.heard[44 if channel == "v2" else 0 :]))
    assert len(samples) > 16000
    assert max(map(abs, samples)) > 8000
    if channel == "v1":
        spoken = [each for each in visitor.played if each[:2] == ("ended", "blob:")]
        assert spoken[-1][2] == pytest.approx(6 * 0.15, abs=0.1)


def test_audio_of_an_item_is_played(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored='{"voice": false}')
    visitor.ask("audio", "A tune.")
    assert visitor.played == [("play", "data:", 0), ("ended", "data:", pytest.approx(0.8))]


def test_typing_interrupts_what_is_said(visit: Callable[..., Visitor], server: Server) -> None:
    visitor = visit()
    visitor.type("long")
    visitor.sees("This is sentence 1 of twelve")
    visitor.type("hello")
    visitor.sees("You said: hello")
    visitor.is_in("Listening")
    assert "TurnInterruptedEvent" in server.events
    assert not any("sentence 3" in text for text in visitor.transcript)
    expect(visitor.page.locator(".interrupted")).to_contain_text("sentence 1")
    ended = [each for each in visitor.played if each[0] == "ended"]
    assert len(ended) == 1  # the answer to hello; the sentence was cut short


def test_an_answer_is_paused_resumed_and_stopped(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.type("long")
    visitor.is_in("Responding")
    visitor.page.get_by_role("button", name="Pause").click()
    visitor.is_in("Paused")
    visitor.page.get_by_role("button", name="Resume").click()
    visitor.is_in("Responding")
    visitor.sees("This is sentence 2 of twelve")
    visitor.page.keyboard.press("Escape")
    visitor.is_in("Listening")
    assert not any("sentence 3" in text for text in visitor.transcript)


def test_speaking_interrupts_in_duplex(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored='{"voice": true, "microphone": "duplex"}')
    visitor.page.get_by_role("button", name="Microphone").click()
    visitor.hears("open")
    expect(visitor.page.locator(".interrupted")).to_contain_text("Hello!", timeout=PATIENCE)
    visitor.sees("You said: 0.")
    visitor.hears("open")


def test_hands_free_listens_again_after_the_answer(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored='{"voice": false, "microphone": "again"}')
    visitor.page.get_by_role("button", name="Microphone").click()
    expect(visitor.page.locator("#transcript .user")).to_have_count(2, timeout=PATIENCE)
    visitor.page.get_by_role("button", name="Microphone").click()
    visitor.hears("closed")
    expect(visitor.page.get_by_role("button", name="Microphone")).to_have_attribute("aria-pressed", "false")

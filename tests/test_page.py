"""The page to talk to, in a real browser against a real server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PATIENCE, PHONE, Server, Visitor, browser_with, visitors, write_speech

QUIET = '{"voice": false}'
"""Settings of somebody who does not want to be spoken to, which takes its time."""


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
def test_a_typed_conversation(visit: Callable[..., Visitor], channel: str) -> None:
    visitor = visit(stored=f'{{"voice": false, "channel": "{channel}"}}')
    visitor.is_in("Closed")
    visitor.start()
    visitor.sees("Hello! I repeat what you say.")
    visitor.is_in("Listening")
    visitor.ask("hello", "You said: hello")
    visitor.ask("count", "You have said that 1 times in this session.")
    visitor.ask("count", "You have said that 2 times in this session.")
    visitor.ask("image", "A wave.")
    image = visitor.page.locator("#transcript img")
    expect(image).to_be_visible()
    assert (image.get_attribute("src") or "").startswith("data:image/svg+xml")
    visitor.ask("command", "Choose one of these.")
    visitor.page.get_by_role("group", name="Suggestions").get_by_role("button", name="image").click()
    expect(image).to_have_count(2)
    visitor.ask("choice", "Yes or no?")
    visitor.page.get_by_role("button", name="no", exact=True).click()
    visitor.sees("You said: no")
    expect(visitor.page.get_by_role("group", name="Suggestions")).to_be_hidden()
    visitor.ask("card", "A few words.")
    visitor.type("stop")
    visitor.sees("Goodbye.")
    visitor.is_in("Sleeping")
    visitor.sees("The conversation has ended.")
    visitor.ask("count", "You have said that 1 times in this session.")
    visitor.page.get_by_role("button", name="End", exact=True).click()
    visitor.is_in("Closed")
    assert visitor.events[:2] == (["→ Init", "← Ready"] if channel == "v1" else ["→ Input", "← ResponseItem"])


def test_a_session_sleeps_and_is_forgotten(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.type("nap")
    visitor.sees("For a second.")
    visitor.is_in("Sleeping")
    expect(visitor.page.locator("#session")).not_to_have_text("none")
    expect(visitor.page.locator("#session")).to_have_text("none", timeout=PATIENCE)


def test_after_a_loss_the_session_goes_on(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.ask("hello", "You said: hello")
    session = visitor.page.locator("#session").inner_text()
    visitor.type("hang up")
    visitor.sees("I hang up.")
    visitor.sees("No connection")
    visitor.is_in("Sleeping")
    assert visitor.page.locator("#session").inner_text() == session
    visitor.ask("here again", "You said: here again")
    assert "→ Request" in visitor.events
    assert visitor.page.locator("#session").inner_text() == session


def test_what_is_said_can_do_no_harm(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.ask("<b>bold</b>", "<img src=x onerror=alert(1)>")
    assert visitor.page.locator("#transcript :is(b, img)").count() == 0
    visitor.ask("elsewhere", "The image cannot be shown: http://198.51.100.1/picture.png")
    blocked, visitor.complaints[:] = visitor.complaints[:], []
    assert any(each.startswith("img-src http://198.51.100.1/") for each in blocked)


def test_the_keyboard_is_enough(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    press, focused = visitor.page.keyboard.press, visitor.page.locator(":focus")
    names = []
    for _ in range(7):
        press("Tab")
        names.append(focused.get_attribute("id") or focused.get_attribute("value"))
    assert names == ["v1", "inspect", "configure", "scroll", "start", "microphone", "text"]
    press("Shift+Tab")
    press("Shift+Tab")
    press("Enter")
    visitor.sees("Hello! I repeat what you say.")
    expect(visitor.page.get_by_label("What you say")).to_be_focused()
    visitor.page.keyboard.type("command")
    press("Enter")
    visitor.sees("Choose one of these.")
    visitor.is_in("Listening")  # where there is no longer anything to stop or to pause on the way
    for _ in range(5):
        press("Shift+Tab")
    expect(visitor.page.get_by_role("button", name="image")).to_be_focused()
    press("Enter")
    visitor.sees("A wave.")
    expect(visitor.page.get_by_label("What you say")).to_be_focused()
    visitor.page.keyboard.type("long")
    press("Enter")
    visitor.is_in("Responding")
    press("Escape")
    visitor.is_in("Listening")
    for _ in range(20):
        press("Shift+Tab")
        if focused.get_attribute("value") == "v1":
            break
    press("ArrowRight")
    visitor.is_in("Closed")
    press("Tab")
    press("Tab")
    press("Enter")
    expect(visitor.page.get_by_role("dialog", name="Settings")).to_be_visible()
    expect(visitor.page.get_by_label("Key of the application")).to_be_focused()
    press("Control+A")
    visitor.page.keyboard.type("mine")
    press("Enter")
    expect(visitor.page.get_by_role("dialog")).to_be_hidden()
    visitor.page.reload()
    assert visitor.page.evaluate("localStorage.getItem('flowstorm-channel')").count('"key":"mine"') == 1


def test_a_screen_reader_finds_its_way(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.start()
    visitor.is_in("Listening")
    visitor.ask("image", "A wave.")
    seen = visitor.page.locator("body").aria_snapshot()
    for line in (
        '- heading "Flowstorm" [level=1]',
        '- group "Channel":',
        '- radio "V1" [checked]',
        '- button "Events" [expanded]',
        '- button "Settings"',
        '- region "Conversation":',
        '- region "What was said":',
        '- log "Transcript":',
        "- status: Your turn",
        '- button "End"',
        '- button "Microphone"',
        '- textbox "What you say"',
        '- button "Send"',
        '- complementary "Events and states":',
        '- list "States":',
        '- meter "Microphone level"',
    ):
        assert line in seen, f"{line}\n{seen}"
    log = visitor.page.get_by_role("log", name="Transcript")
    assert log.get_attribute("aria-live") == "polite"
    expect(visitor.page.locator("#states [aria-current=true]")).to_have_text("Listening")


@pytest.mark.parametrize("size", ["wide", "phone"])
def test_it_looks_well_everywhere(visit: Callable[..., Visitor], tmp_path: Path, size: str) -> None:
    visitor = visit(stored=QUIET, **({"viewport": PHONE} if size == "phone" else {}))
    page = visitor.page

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            visitor.screenshot(tmp_path, f"{name}-{size}-{scheme}")
        right = page.locator("body > *, body > * > *, aside > *, #composer > *").evaluate_all(
            "all => Math.max(...all.map(each => each.getBoundingClientRect().right))"
        )
        assert right <= page.evaluate("innerWidth"), f"{name}: something sticks out"

    look("welcome")
    visitor.start()
    visitor.sees("Anything else I say after you.")
    visitor.is_in("Listening")
    visitor.ask("What is the weather like on the coast today?", "You said: What is")
    visitor.ask("image", "A wave.")
    visitor.ask("command", "Choose one of these.")
    page.get_by_role("button", name="Microphone").click()
    visitor.hears("open")
    look("conversation")
    if size == "phone":
        page.get_by_role("button", name="Events").click()
        look("events")
        page.get_by_role("button", name="Events").click()
    page.get_by_role("button", name="Settings").click()
    look("settings")

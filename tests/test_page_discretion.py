"""The page in a browser: what it shows to nobody, what harms it not, and when it lets one read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PATIENCE, Server, Visitor, browser_with, visitors, write_speech

QUIET = '{"voice": false}'


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


def test_the_token_is_sent_and_shown_nowhere(visit: Callable[..., Visitor], server: Server) -> None:
    visitor = visit(stored=QUIET)
    page = visitor.page
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Token of the user").fill("secret-of-mine")
    page.get_by_role("button", name="Save").click()
    visitor.ask("hello", "You said: hello")
    assert server.channel.init.token == "secret-of-mine"
    visitor.type("hang up")
    visitor.sees("No connection")
    visitor.ask("here again", "You said: here again")  # as a Request, which has the token in it, too
    assert "→ Request" in visitor.events
    log = page.locator("#log")
    assert '"token": "…"' in (log.text_content() or "")
    assert "secret-of-mine" not in page.content()
    assert "secret-of-mine" not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_what_was_kept_by_another_version_does_not_break_the_page(visit: Callable[..., Visitor]) -> None:
    stored = '{"channel": "v9", "key": "", "locale": null, "microphone": 3, "voice": false, "novelty": {}}'
    visitor = visit(stored=stored)
    visitor.ask("hello", "You said: hello")
    expect(visitor.page.get_by_role("radio", name="V1")).to_be_checked()


def test_addresses_and_commands_run_nothing(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.page.on("dialog", lambda dialog: visitor.complaints.append(dialog.message))
    visitor.ask("harm", "Speech.")
    for text in (
        *("The image cannot be shown: javascript:alert(1)", "The audio cannot be shown: javascript:alert(2)"),
        *("The audio cannot be shown: javascript:alert(3)", "<i>T</i>", "<script>alert(4)</script>"),
    ):
        visitor.sees(text)
    expect(visitor.page.get_by_role("button", name="<u>one</u>")).to_be_visible()
    assert visitor.page.locator("#conversation :is(script, i, u, audio, img:not([alt='']))").count() == 0


def test_who_reads_what_was_said_before_is_left_there(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET, viewport={"width": 360, "height": 400})
    visitor.ask("hello", "You said: hello")
    visitor.ask("image", "A wave.")
    visitor.type("long")
    visitor.sees("This is sentence 4 of twelve")
    scroll = visitor.page.locator("#scroll")
    scroll.hover()
    visitor.page.mouse.wheel(0, -5000)
    expect(scroll).to_have_js_property("scrollTop", 0)
    visitor.sees("This is sentence 8 of twelve")
    assert scroll.evaluate("each => each.scrollTop") == 0
    visitor.type("hello")
    visitor.is_in("Listening")
    at_the_end = "each => each.scrollHeight - each.scrollTop - each.clientHeight < 2"
    assert scroll.evaluate(at_the_end)


def test_what_was_typed_before_the_end_is_not_said_after_it(visit: Callable[..., Visitor]) -> None:
    visitor = visit(stored=QUIET)
    visitor.context.set_offline(True)
    visitor.type("forgotten")
    visitor.sees("No connection")
    visitor.page.get_by_role("button", name="End", exact=True).click()
    visitor.is_in("Closed")
    visitor.context.set_offline(False)
    visitor.start()
    visitor.sees("Hello! I repeat what you say.")
    visitor.is_in("Listening")
    assert "→ Input" in visitor.events
    expect(visitor.page.locator("#log")).not_to_contain_text("forgotten", timeout=PATIENCE)
    offline, visitor.complaints[:] = visitor.complaints[:], []
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in offline)

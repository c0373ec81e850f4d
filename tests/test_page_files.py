"""What the page is served as: types, policy, freshness; what is not its own goes to the one behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.contrib import page
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.page import FILES, Page
from flowstorm_channel.events import EVENTS, SPELLINGS
from flowstorm_channel.states import CLIENT, State
from tests.serving import run, serving

ROOT = Path(__file__).parent.parent
FOLDER = Path(page.__file__).parent
TYPES = {
    "/": "text/html; charset=utf-8",
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/recorder-worklet.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
    "/rules.json": "application/json; charset=utf-8",
}


async def dialogue(turn: Any) -> str:
    return f"You said {turn.text}."


def answers_of(app: Any, *requests: tuple[str, str], **headers: str) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, headers=headers) for method, path in requests]

    return run(main)


@pytest.fixture
def app() -> Page:
    return Page(ChannelApp(dialogue))


@pytest.mark.parametrize("path", TYPES)
def test_every_file_says_what_it_is(app: Page, path: str) -> None:
    whole, head = answers_of(app, ("GET", path), ("HEAD", path))
    assert whole.status_code == head.status_code == 200
    assert whole.headers == head.headers
    assert whole.headers["Content-Type"] == TYPES[path]
    assert int(whole.headers["Content-Length"]) == len(whole.content) > 0
    assert head.content == b""
    assert whole.headers["Cache-Control"] == "no-cache"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Referrer-Policy"] == "no-referrer"
    assert "microphone=(self)" in whole.headers["Permissions-Policy"]


def test_a_file_that_is_known_is_not_sent_again(app: Page) -> None:
    (first,) = answers_of(app, ("GET", "/page.js"))
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        (again,) = answers_of(app, ("GET", "/page.js"), **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    (changed,) = answers_of(app, ("GET", "/page.js"), **{"If-None-Match": '"other"'})
    assert changed.status_code == 200


def test_the_policy_allows_the_page_nothing_but_itself(app: Page) -> None:
    (answer,) = answers_of(app, ("GET", "/"))
    policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: https:"
    assert policy["media-src"] == "'self' blob: data: https:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search(r"\bstyle=|\son\w+=|<script>|<style", answer.text)


@pytest.mark.parametrize(
    ("media", "sources"), [((), "data:"), (("https://cdn.example.com",), "data: https://cdn.example.com")]
)
def test_media_come_from_where_they_may(media: tuple[str, ...], sources: str) -> None:
    (answer,) = answers_of(Page(ChannelApp(dialogue), media=media), ("GET", "/"))
    assert f"img-src 'self' {sources};" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("source", ["", "a b", "a;b", "a,b", "a\r\nb", "klíč"], ids=ascii)
def test_a_source_that_would_break_the_policy_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="Content-Security-Policy"):
        Page(ChannelApp(dialogue), media=(source,))


def test_everything_else_goes_to_the_application(app: Page) -> None:
    found = answers_of(app, ("POST", "/"), ("GET", "/nothing"), ("GET", "/socket"), ("PUT", "/page.js"))
    assert [answer.status_code for answer in found] == [404, 404, 426, 404]
    assert all("Content-Security-Policy" not in answer.headers for answer in found)
    (answer,) = answers_of(app, ("GET", "/../page/__init__.py"))
    assert answer.status_code == 404


def test_the_page_stands_where_it_is_mounted() -> None:
    outer = Starlette(routes=[Mount("/voice", app=Page(ChannelApp(dialogue)))])

    async def main() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        async with serving(outer) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            query = {"key": "K", "deviceId": "D"}
            headers = {"Content-Type": "text/plain"}
            said = await client.put("/voice/client", params=query, headers=headers, content="hello")
            return await client.get("/voice/"), await client.get("/voice/page.js"), said

    index, script, said = run(main)
    assert index.headers["Content-Type"].startswith("text/html")
    assert script.status_code == 200
    assert "You said hello." in said.text
    assert not re.search(r'(?:src|href)="/', index.text), "addresses are relative"


def test_the_lifespan_is_that_of_the_application() -> None:
    seen = []

    async def behind(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:  # noqa: ARG001
        seen.append(scope["type"])

    async def main() -> None:
        for kind in ("lifespan", "websocket"):
            await Page(behind)({"type": kind, "path": "/"}, None, None)  # type: ignore[arg-type]

    run(main)
    assert seen == ["lifespan", "websocket"]


def test_the_rules_are_those_of_the_package() -> None:
    rules = json.loads(page.rules(Timeouts(reconnect=3)))
    assert set(rules["tables"]) == {"client", "client-duplex", "v2-client"}
    assert set(rules["audio_tables"]) == {"client-audio", "v2-client-audio"}
    assert set(rules["deadlines"]) == {"client", "v2-client"}
    assert rules["states"] == [state.value for state in State]
    assert rules["tables"]["client"]["Sleeping"] == {
        trigger: state.value for trigger, state in CLIENT[State.SLEEPING].items()
    }
    assert rules["spellings"].keys() == SPELLINGS.keys()
    assert set(rules["spellings"].values()) == EVENTS.keys()
    assert rules["timeouts"]["reconnect"] == 3


def test_every_file_of_the_folder_is_served_and_asks_for_what_is_there() -> None:
    assert sorted(FILES) == sorted(
        each.name for each in FOLDER.iterdir() if each.suffix in (".html", ".css", ".js", ".svg")
    )
    for name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        asked = re.findall(r'(?:from|import) "\./([^"]+)"|(?:src|href)="([\w./-]+)"', text)
        assert {first or second for first, second in asked} <= set(FILES), name


def test_the_files_are_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {f"flowstorm_channel/contrib/page/{name}" for name in FILES} <= packed


# ------------------------------------------------------------ colours


def luminance(colour: str) -> float:
    """Of a colour such as ``#1c2427``, as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(scheme: str) -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{(.*?)\}", (FOLDER / "page.css").read_text(), re.DOTALL)
    )
    colours = light if scheme == "light" else {**light, **dark}
    for text, ground in (
        *[("ink", "paper"), ("ink", "surface"), ("ink", "tint"), ("muted", "paper"), ("muted", "surface")],
        *[("on-accent", "accent"), ("accent", "surface"), ("alarm", "paper"), ("surface", "Listening")],
        *[("Responding", "surface"), ("Listening", "surface")],
    ):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for state in State:
        assert contrast(colours[state.value], colours["surface"]) >= 3, state

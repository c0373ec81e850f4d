"""The channels in a project of Django: beside it under ASGI, and among its views under WSGI."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import clear_url_caches, include, path, reverse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from flowstorm_channel import ResponseEvent, ResponseItemEvent, SocketV2Client
from flowstorm_channel.contrib import django as contrib
from flowstorm_channel.contrib.django import ChannelApp, ChannelViews, mount
from flowstorm_channel.contrib.httpx import async_events
from flowstorm_channel.contrib.platforms import Alexa, Twilio
from tests.serving import run, serving

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        ROOT_URLCONF="tests_django_urls",
        SECRET_KEY="of a test",
    )
    django.setup()

SPEAKER = "?key=K&deviceId=D"
INIT = '{"type":"Init","key":"K","deviceId":"D","config":{"sendResponseItems":true}}'
SAID = '{"type":"Input","input":{"transcript":{"text":"hello"}}}'


async def dialogue(turn: Any) -> Any:
    yield f"You said {turn.text}."


def index(_: Any) -> HttpResponse:
    return HttpResponse("Django")


@pytest.fixture(autouse=True)
def urls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The URLs of the project; to be added to."""
    module: Any = ModuleType("tests_django_urls")
    module.urlpatterns = [path("", index)]
    monkeypatch.setitem(sys.modules, "tests_django_urls", module)
    clear_url_caches()
    yield module.urlpatterns
    clear_url_caches()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to the databases, and when."""
    seen: list[str] = []
    monkeypatch.setattr(contrib, "close_old_connections", lambda: seen.append("connections"))
    return seen


@pytest.fixture
def views() -> Iterator[Callable[..., list[Any]]]:
    """Makes the URLs of channels, and closes these in the end."""
    made: list[ChannelViews] = []

    def make(*args: Any, **options: Any) -> list[Any]:
        made.append(ChannelViews(*args, **options))
        return made[-1].urls

    yield make
    for each in made:
        each.wsgi.close()


# ------------------------------------------------------------ ASGI


@pytest.mark.parametrize("place", ["/voice", "voice/", "/a/b"])
def test_under_asgi_the_channels_stand_beside_django(place: str, connections: list[str]) -> None:
    async def noting(turn: Any) -> Any:
        connections.append(turn.text)
        yield f"You said {turn.text}."

    async def main() -> None:
        below = "/" + place.strip("/")
        app = mount(get_asgi_application(), ChannelApp(noting), place)
        async with serving(app) as address:
            async with connect(f"ws://{address}{below}/socket", proxy=None) as socket:
                await socket.send(INIT)
                await socket.send(SAID)
                frames = [json.loads(await socket.recv()) for _ in range(4)]
                assert frames[2]["responseItem"]["text"] == "You said hello."
            client = SocketV2Client(
                f"http://{address}{below}/client", key="K", device_id="D", auto_start=True
            )
            heard = []
            async for event in async_events(client, verify=False, trust_env=False):
                if isinstance(event, ResponseItemEvent):
                    heard.append(event.response_item.text)
                elif isinstance(event, ResponseEvent):
                    client.close()
            assert heard == ["You said #intro."]
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"Django")
            writer.close()
            await writer.wait_closed()

    run(main)
    assert connections == ["connections", "hello", "connections", "connections", "#intro", "connections"]


@pytest.mark.parametrize("where", ["/elsewhere", "/voiceless/socket", "/socket", "/voice/other"])
def test_a_websocket_that_is_not_for_the_channels_is_refused(where: str) -> None:
    async def main() -> None:
        app = mount(get_asgi_application(), ChannelApp(dialogue), "/voice")
        async with serving(app) as address:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}{where}", proxy=None)
            assert refused.value.response.status_code == 403

    run(main)


def test_below_another_root() -> None:
    async def main() -> None:
        app = mount(get_asgi_application(), ChannelApp(dialogue), "/voice")
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "PUT",
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "/site",
            "path": "/site/voice/client",
            "query_string": b"key=K&deviceId=D",
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
        }
        left = [{"type": "http.request", "body": b"hello"}]

        async def receive() -> Any:
            return left.pop() if left else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        assert b"".join(each.get("body", b"") for each in sent) == b"< You said hello.\n"

    run(main)


# ------------------------------------------------------------ WSGI


def say(client: Client, text: str, where: str = "/voice/client") -> Any:
    return client.put(where + SPEAKER, data=text, content_type="text/plain")


@pytest.mark.parametrize("end", ["", "/"])
def test_under_wsgi_the_channels_are_views(
    urls: list[Any], views: Callable[..., list[Any]], connections: list[str], end: str
) -> None:
    urls.append(path("voice/", include(views(dialogue))))
    client = Client(enforce_csrf_checks=True)
    for text in ("hello", "again"):
        answer = say(client, text, f"/voice/client{end}")
        assert answer.status_code == 200
        assert answer.getvalue() == f"< You said {text}.\n".encode()
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "flowstorm-session-id" in answer["Set-Cookie"]
    assert connections == ["connections"] * 4
    assert client.get("/").content == b"Django"


def test_views_deeper_down(urls: list[Any], views: Callable[..., list[Any]]) -> None:
    urls.append(path("a/<str:name>/", include([path("b/", include((views(dialogue), "voice")))])))
    assert say(Client(), "hello", "/a/some/b/client").getvalue() == b"< You said hello.\n"
    assert reverse("voice:channel-client", args=["some"]) == "/a/some/b/client"


def test_platforms_answer_and_what_is_not_served_does_not(
    urls: list[Any], views: Callable[..., list[Any]]
) -> None:
    twilio = Twilio(
        allow_unsigned=True, public_url="https://here.example", stream_url="wss://here.example/call"
    )
    urls.append(path("voice/", include(views(dialogue, alexa=Alexa(allow_unsigned=True), twilio=twilio))))
    client = Client(enforce_csrf_checks=True)
    form = "CallSid=CA1&AccountSid=AC1&From=%2B1&To=%2B2"
    call = client.post("/voice/call", form, content_type="application/x-www-form-urlencoded")
    assert b"wss://here.example/call" in call.getvalue()
    assert client.post("/voice/alexa", b"{}", content_type="application/json").status_code == 400
    assert client.post("/voice/google", b"{}", content_type="application/json").status_code == 503
    assert client.get("/voice/socket").status_code == 404
    assert client.put("/voice/client", b"hello", content_type="text/plain").status_code == 400


def test_a_client_that_vanishes_cancels_its_dialogue(
    urls: list[Any], views: Callable[..., list[Any]]
) -> None:
    begun, ended = [], asyncio.Event()

    async def endless(_: Any) -> Any:
        begun.append(asyncio.get_running_loop())
        try:
            while True:
                yield "and on " * 1000
        finally:
            ended.set()

    urls.append(path("voice/", include(views(endless))))
    answer = say(Client(), "go")
    assert next(iter(answer)).startswith(b"< and on")
    answer.close()
    waiting = asyncio.run_coroutine_threadsafe(ended.wait(), begun[0])
    assert waiting.result(5)


def test_a_request_that_is_malformed_is_refused(urls: list[Any], views: Callable[..., list[Any]]) -> None:
    urls.append(path("voice/", include(views(dialogue))))
    answer = Client().put("/voice/client", b"", headers={}, CONTENT_LENGTH="many")
    assert answer.status_code == 400
    answer.close()


def test_under_asgi_the_views_say_what_to_use_instead(
    urls: list[Any], views: Callable[..., list[Any]]
) -> None:
    urls.append(path("voice/", include(views(dialogue))))

    async def main() -> None:
        with pytest.raises(ImproperlyConfigured, match="mount"):
            await AsyncClient().put("/voice/client", b"hello", content_type="text/plain")

    run(main)


@pytest.mark.parametrize("path", ["", "/"])
def test_the_channels_cannot_stand_where_django_does(path: str) -> None:
    with pytest.raises(ValueError, match="a path of their own"):
        mount(None, ChannelApp(dialogue), path)

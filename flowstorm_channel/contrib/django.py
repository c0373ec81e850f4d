"""All channels beside an application of Django under ASGI; those without WebSockets as its views under WSGI.

Needs the extra: ``pip install 'flowstorm-channel[django]'``.

::

    # asgi.py: with WebSockets
    application = mount(get_asgi_application(), ChannelApp(dialogue), "/voice")

    # urls.py: under WSGI
    urlpatterns = [path("voice/", include(ChannelViews(dialogue).urls))]

Around each call of the dialogue, and of the functions beside it, happens to the connections of the databases
what Django does around a request: those that are too old, or broken, are closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, URLResolver, re_path
from django.views.decorators.csrf import csrf_exempt

from flowstorm_channel.contrib import asgi
from flowstorm_channel.contrib.asgi import Receive, Scope, Send
from flowstorm_channel.contrib.service import PATHS, SOCKET_PATH
from flowstorm_channel.contrib.wsgi import WsgiApp, below

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstorm_channel.contrib.host import Answer
    from flowstorm_channel.contrib.service import Options
    from flowstorm_channel.server import Turn

__all__ = ["ChannelApp", "ChannelViews", "mount"]


@asynccontextmanager
async def _connections() -> AsyncIterator[None]:
    await sync_to_async(close_old_connections)()
    try:
        yield
    finally:
        await sync_to_async(close_old_connections)()


class ChannelApp(asgi.ChannelApp):
    """As `contrib.asgi.ChannelApp`, with Django's databases looked after."""

    def __init__(self, dialogue: Callable[[Turn], Answer], **options: Unpack[Options]) -> None:
        options.setdefault("around", _connections)
        super().__init__(dialogue, **options)


def mount(django: Any, channels: asgi.ChannelApp, path: str) -> Callable[[Scope, Receive, Send], Any]:
    """An ASGI application that has the channels answer below a path, and Django everywhere else.

    Args:
        django: what ``get_asgi_application()`` gives.
        channels: what is served beside it.
        path: where it stands, such as ``/voice``. Django never sees what is asked for below it.

    Raises:
        ValueError: the path is empty: nothing would be left for Django.
    """
    root = "/" + path.strip("/")
    if root == "/":
        raise ValueError("the channels need a path of their own, such as /voice")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asked, above = scope.get("path", ""), scope.get("root_path", "").rstrip("/")
        here = above + root
        if scope["type"] == "lifespan":  # Django knows no such thing
            await channels(scope, receive, send)
        elif asked.startswith(f"{here}/"):
            await channels({**scope, "root_path": here}, receive, send)
        elif scope["type"] == "websocket":  # nor this: to be refused by the channels
            await channels({**scope, "root_path": here, "path": here}, receive, send)
        else:
            await django(scope, receive, send)

    return application


class ChannelViews:
    """Views for the channels that need no WebSocket, under WSGI.

    What WSGI makes of it, and how many threads to give to the server: see `contrib.wsgi`.

    Args:
        dialogue: what is said.
        options: those of `WsgiApp`.
    """

    def __init__(self, dialogue: Callable[[Turn], Answer], **options: Unpack[Options]) -> None:
        options.setdefault("around", _connections)
        self.wsgi = WsgiApp(dialogue, **options)
        """What answers; `WsgiApp.close` ends it."""

    @property
    def urls(self) -> list[URLPattern | URLResolver]:
        """For ``include`` in ``urlpatterns``."""
        view = csrf_exempt(self._view)  # who asks has no page of ours to take a token from
        names = [path.lstrip("/") for path in PATHS if path != SOCKET_PATH]
        return [re_path(f"^{name}/?$", view, name=f"channel-{name}") for name in names]

    def _view(self, request: HttpRequest, **_: Any) -> HttpResponseBase:
        environ = getattr(request, "environ", None)
        if environ is None:
            raise ImproperlyConfigured("these views are for WSGI; under ASGI use contrib.django.mount")
        response = StreamingHttpResponse()

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            code, _, response.reason_phrase = status.partition(" ")
            response.status_code = int(code)
            del response["Content-Type"]
            for name, value in headers:
                response[name] = value

        response.streaming_content = _Pieces(self.wsgi(below(environ, depth=1), start_response))
        return response


class _Pieces:
    """The body of a response, begun: by the time of its first piece a WSGI application has told its head."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._rest = iter(body)
        self._first = next(self._rest, b"")

    def __iter__(self) -> Iterator[bytes]:
        return chain((self._first,), self._rest)

    def close(self) -> None:
        """The client has gone, or has got all of it."""
        if isinstance(self._rest, Generator):
            self._rest.close()

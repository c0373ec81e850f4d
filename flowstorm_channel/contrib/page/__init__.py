"""A page to talk to a dialogue: a client of Socket V1 and V2 for browsers, before an ASGI application.

::

    app = Page(ChannelApp(dialogue))            # uvicorn hello:app, then open http://127.0.0.1:8000/

The page is plain HTML, CSS and JavaScript modules, in this folder. It loads nothing from elsewhere. What is
legal when is not written in it a second time: it runs on the tables of `states`, which it gets as
``rules.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from importlib.resources import files
from typing import Any

import attrs

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.diagrams import to_json
from flowstorm_channel.events import EVENTS, SPELLINGS

__all__ = ["FILES", "Page", "rules"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

FILES = (
    "index.html",
    "page.css",
    "conversation.css",
    "inspector.css",
    "settings.css",
    "icon.svg",
    "page.js",
    "composer.js",
    "conversation.js",
    "events.js",
    "hearing.js",
    "inspector.js",
    "json-stream.js",
    "machine.js",
    "microphone.js",
    "player.js",
    "recorder-worklet.js",
    "resampler.js",
    "settings.js",
    "socket-v1.js",
    "socket-v2.js",
    "transcript.js",
    "turn.js",
    "utterance.js",
)
"""What the page is made of, beside ``rules.json``."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PATIENCE = Timeouts(keep_alive=10.0)


class Page:
    """An ASGI application that answers GET and HEAD of ``/`` and of the page's files, and hands on the rest.

    Args:
        app: answers everything else; the page looks for ``socket`` and ``client`` beside itself.
        timeouts: how long the page waits for what. It sends a keep-alive every ten seconds, as the clients of
            the field do (D-15).
        media: where images, audio and video may come from beside this server and the items themselves, as
            sources of a Content-Security-Policy. ``()`` allows none.

    Raises:
        ValueError: a source could not stand in the header.
    """

    def __init__(
        self,
        app: Application,
        *,
        timeouts: Timeouts = _PATIENCE,
        media: Iterable[str] = ("https:",),
    ) -> None:
        self.app = app
        policy = _policy(tuple(media))
        folder = files(__name__)
        self._answers = {f"/{name}": _Answer.of(name, (folder / name).read_bytes(), policy) for name in FILES}
        self._answers["/"] = self._answers.pop("/index.html")
        self._answers["/rules.json"] = _Answer.of("rules.json", rules(timeouts), policy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entrance."""
        answer = None
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            answer = self._answers.get(_path(scope))
        if answer is None:
            await self.app(scope, receive, send)
        else:
            await answer.send(scope, send)


@attrs.frozen
class _Answer:
    """One file, and what is said of it."""

    body: bytes
    tag: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, name: str, body: bytes, policy: str) -> _Answer:
        kind = _TYPES.get(name.rpartition(".")[2], "application/json")
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        headers = {
            "content-type": kind if kind.startswith("image/") else f"{kind}; charset=utf-8",
            "cache-control": "no-cache",
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "microphone=(self), camera=(), geolocation=()",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
        return cls(body, tag, (*pairs, (b"etag", tag)))

    async def send(self, scope: Scope, send: Send) -> None:
        known = dict(scope.get("headers", ())).get(b"if-none-match", b"")
        fresh = self.tag in (each.strip().removeprefix(b"W/") for each in known.split(b","))
        length = () if fresh else ((b"content-length", str(len(self.body)).encode()),)
        await send(
            {
                "type": "http.response.start",
                "status": 304 if fresh else 200,
                "headers": [*self.headers, *length],
            }
        )
        empty = fresh or scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if empty else self.body})


def _policy(media: tuple[str, ...]) -> str:
    """What the page may load: nothing but what is named here."""
    for source in media:
        if (
            not source
            or not source.isascii()
            or not source.isprintable()
            or any(each in source for each in " ;,")
        ):
            raise ValueError(f"{source!r} is not a source of a Content-Security-Policy")
    others = " ".join(("data:", *media))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            f"img-src 'self' {others}",
            f"media-src 'self' blob: {others}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def rules(timeouts: Timeouts) -> bytes:
    """What the page has to know of the protocol, as JSON: no rule is written a second time.

    Args:
        timeouts: how long the page waits for what.
    """
    states = json.loads(to_json())
    names = {cls: name for name, cls in EVENTS.items()}
    known = {
        **{
            part: {name: each for name, each in states[part].items() if _is_of_a_client(name)}
            for part in ("tables", "audio_tables", "deadlines")
        },
        "states": states["states"],
        "spellings": {spelling: names[cls] for spelling, cls in SPELLINGS.items()},
        "timeouts": attrs.asdict(timeouts),
    }
    return json.dumps(known, separators=(",", ":")).encode()


def _is_of_a_client(table: str) -> bool:
    return table.removeprefix("v2-").startswith("client")


def _path(scope: Mapping[str, Any]) -> str:
    """The path below the mount point."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path

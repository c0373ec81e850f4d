"""A WSGI application for dialogues, for hosts without ASGI: Flask, Django under WSGI.

It serves Socket V2 at ``/client``, Alexa at ``/alexa``, Google Assistant at ``/google``, and the webhook of
phone calls at ``/call``. A WebSocket cannot be had over WSGI, so there is no Socket V1, and the audio
of calls is for another server.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    app = WsgiApp(dialogue)     # gunicorn --worker-class gthread --threads 64 hello:app

    # or below any other application; for Flask and Django see `contrib.flask` and `contrib.django`
    site = DispatcherMiddleware(site, {"/voice": app})

Each request occupies a thread of the server from its beginning to its end, and a GET waits up to 30 seconds
for its PUT. So count two threads for each user who speaks and one for each other turn that goes on, and use
threads, not greenlets. A GET finds its PUT only in the same process, which makes one worker with many threads
the right number. A thread that reads a body does nothing else: what is said before the body ends goes out
between two reads, and a client that falls silent in its body holds the thread until the server, or a proxy in
front of it, gives it up. That a client has gone is noticed only when something is read from it or sent to it.

Live audio needs a server that hands chunked bodies on as they come, as gunicorn does. The adapter of a2wsgi
(1.10) was no help: it takes a body without CONTENT_LENGTH for empty, waits for 64 KiB of any other before it
hands them on, and sends nothing while it waits.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from wsgiref.util import is_hop_by_hop

from flowstorm_channel.contrib.asgi import ChannelApp, Options
from flowstorm_channel.contrib.asyncio import Answer
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import Sessions

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["WsgiApp", "below"]

log = logging.getLogger("flowstorm_channel")

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Message = dict[str, Any]

_READ_ON: Message = {"type": "read"}
_OVER: Message = {"type": "over"}

_MOST = 64 * 1024
"""Bytes that may wait between the two threads, each way, before the one that makes them has to wait, too."""
_READ = 16 * 1024
"""The most bytes to read at once."""
_READ_LIVE = 256
"""The least, of a body of unknown length: servers wait until they have it, and it may be live audio."""
_PAUSE = 0.01
"""Seconds for which a read has to wait when nothing has come yet."""

_LENGTH = re.compile("[0-9]{1,18}")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class WsgiApp:
    """The channels over HTTP as a WSGI application, below wherever it is mounted.

    The dialogue and the other functions run in the event loop of a background thread, which each process
    starts with its first request; so servers may load the application and fork afterwards.

    Args:
        dialogue: what is said.
        options: those of `ChannelApp`.
    """

    def __init__(
        self,
        dialogue: Callable[[Turn], Answer],
        **options: Unpack[Options],
    ) -> None:
        self._make_app = partial(ChannelApp, dialogue, **options)
        # After a fork neither the thread nor a lock that somebody held is of use, nor the requests that were
        # under way: what is in here belongs to one process each.
        self._processes = {os.getpid(): _Background(self._make_app())}

    @property
    def sessions(self) -> Sessions:
        """Those of this process, when no store keeps them, and the requests that are under way."""
        return self._background().app.sessions

    def close(self) -> None:
        """Give up what is under way in this process, close the store and end the thread; no error if it has.

        Requests that come later are answered with 503.
        """
        self._background().close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI entrance."""
        length = environ.get("CONTENT_LENGTH")
        if length and not _LENGTH.fullmatch(length):
            return _refuse(start_response, 400, "the Content-Length is no number")
        return self._answer(environ, start_response)

    def _background(self) -> _Background:
        found = self._processes.get(os.getpid())
        # Several threads may get here at once: the first one's stays.
        return found or self._processes.setdefault(os.getpid(), _Background(self._make_app()))

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        call = _Call()
        if not self._background().begin(call, _scope(environ)):
            yield from _refuse(start_response, 503, "the server is going away")
            return
        body = _pieces(environ)
        begun = complete = False
        try:
            while not complete:
                message = call.next_message()
                match message["type"]:
                    case "read":
                        call.feed(next(body, b""))
                    case "http.response.start":
                        start_response(_status(message["status"]), _headers(message["headers"]))
                        begun = True
                    case "http.response.body":
                        complete = not message.get("more_body", False)
                        if message["body"] and environ["REQUEST_METHOD"] != "HEAD":
                            yield message["body"]
                    case "over" if begun:
                        # The server is not to end the response as if it were whole.
                        raise _broken("the response is given up")
                    case "over":
                        complete = True
                        status = 500 if call.failed else 503
                        yield from _refuse(start_response, status, "the request is given up")
        finally:
            # Also when the server closes this generator, since the client has gone.
            if not complete:
                call.give_up()


class _Background:
    """The event loop of a process, in a thread of its own."""

    def __init__(self, app: ChannelApp) -> None:
        self.app = app
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()

    def begin(self, call: _Call, scope: Message) -> bool:
        """Have a request served; False when it is too late for that."""
        with self._lock:
            if self._closed:
                return False
            if self._loop is None:
                self._started.clear()
                self._thread = threading.Thread(target=self._run, name="flowstorm_channel", daemon=True)
                self._thread.start()
                self._started.wait()
            if self._loop is None:
                raise RuntimeError("there is no event loop to be had")
            self._loop.call_soon_threadsafe(self._begin, self._loop, call, scope)
            return True

    def close(self) -> None:
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.call_soon_threadsafe(self._end.set)
            self._closed = True
        # The dialogue may be the one who closes: it cannot wait for itself.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _begin(self, loop: asyncio.AbstractEventLoop, call: _Call, scope: Message) -> None:
        task = loop.create_task(self.app(scope, call.receive, call.send))
        call.begin(task)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        finally:
            self._started.set()  # nobody is to wait for a loop that cannot be made

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._end.wait()
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self.app.host.store is not None:
            try:
                await self.app.host.store.close()
            except Exception:
                log.exception("the store cannot be closed")


class _Call:
    """One request: its WSGI thread on one side, its ASGI call in the loop on the other.

    The thread reads the body ahead of the call, and the call writes its response ahead of the thread, both
    within bounds.
    """

    def __init__(self) -> None:
        self.failed = False
        """The ASGI call has ended with an exception, which was logged."""
        self._changed = threading.Condition()
        # All of this belongs to whoever holds the lock; nobody keeps it for long.
        self._task: asyncio.Task[None] | None = None
        self._receiving = self._given_up = self._over = False
        self._pieces: list[bytes] = []
        self._piece_bytes = 0
        self._wanted = self._whole = self._told_whole = False
        self._messages: deque[Message] = deque()
        self._message_bytes = 0
        self._waiting: list[asyncio.Future[None]] = []

    # -------------------------------------------------------- for the WSGI thread

    def next_message(self) -> Message:
        """What is to be done next: send this of the response, or ``read``; ``over``: there is no more."""
        with self._changed:
            self._changed.wait_for(self._there_is_something_to_do)
            if not self._messages:
                return _OVER if self._over else _READ_ON
            message = self._messages.popleft()
            before = self._message_bytes
            self._message_bytes -= len(message.get("body", b""))
            if before >= _MOST > self._message_bytes:
                self._resume()
            return message

    def feed(self, piece: bytes) -> None:
        """Hand over the next piece of the body; an empty one is its end."""
        with self._changed:
            self._pieces.append(piece)
            self._piece_bytes += len(piece)
            self._whole = not piece
            self._resume()

    def give_up(self) -> None:
        """The client has gone, or the server does not want the response any more."""
        with self._changed:
            self._given_up = True
            if self._task is not None and not self._over:
                self._task.get_loop().call_soon_threadsafe(self._break_off, self._task)

    def _there_is_something_to_do(self) -> bool:
        may_read = self._wanted and not self._whole and self._piece_bytes < _MOST
        return may_read or self._over or bool(self._messages)

    def _resume(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not self._over:  # after that the loop may be closed
                each.get_loop().call_soon_threadsafe(_release, each)

    # -------------------------------------------------------- for the loop

    def begin(self, task: asyncio.Task[None]) -> None:
        """The ASGI call has been started."""
        with self._changed:
            self._task = task
            task.add_done_callback(self._ended)
            if self._given_up:
                task.cancel()

    def _break_off(self, task: asyncio.Task[None]) -> None:
        with self._changed:
            if self._receiving:
                self._resume()  # it is told
            else:
                task.cancel()  # it would not notice

    async def receive(self) -> Message:
        """The ASGI call reads: all that there is of the body."""
        while True:
            with self._changed:
                self._receiving = False
                if self._given_up:
                    return {"type": "http.disconnect"}
                if self._pieces and not self._told_whole:
                    body = b"".join(self._pieces)
                    self._pieces.clear()
                    self._piece_bytes = 0
                    self._told_whole = self._whole
                    self._changed.notify()
                    return {"type": "http.request", "body": body, "more_body": not self._whole}
                if not self._wanted:
                    # A refusal by the head alone has been said by now. It goes out before anything is read,
                    # since the client may be waiting for it before it sends its body.
                    self._wanted = True
                    self._changed.notify()
                self._receiving = True
                resumed = self._wait()
            await resumed

    async def send(self, message: Any) -> None:
        """The ASGI call writes. It waits while the client is slower than that."""
        with self._changed:
            self._messages.append(message)
            self._message_bytes += len(message.get("body", b""))
            self._changed.notify()
        while True:
            with self._changed:
                if self._given_up:
                    raise _broken("the client has gone")
                if self._message_bytes < _MOST:
                    return
                resumed = self._wait()
            await resumed

    def _wait(self) -> asyncio.Future[None]:
        resumed = asyncio.get_running_loop().create_future()
        self._waiting.append(resumed)
        return resumed

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a request failed", exc_info=error)
        with self._changed:
            self._over = True
            self.failed = error is not None
            self._changed.notify()


def _release(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


# ------------------------------------------------------------ the request


def below(environ: Environ, depth: int) -> Environ:
    """The environ as it is for an application that stands where the rest of the path begins.

    Args:
        environ: of the request.
        depth: how many parts at the end of the path are the application's own.
    """
    root, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "").rstrip("/")
    parts = path.split("/")
    rest = parts[len(parts) - depth :]
    above = parts[: len(parts) - depth]
    return {**environ, "SCRIPT_NAME": root + "/".join(above), "PATH_INFO": "/" + "/".join(rest)}


def _scope(environ: Environ) -> Message:
    root = _utf8(environ.get("SCRIPT_NAME", ""))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "root_path": root,
        "path": root + _utf8(environ.get("PATH_INFO", "")),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": list(_fields(environ)),
    }


def _utf8(text: str) -> str:
    """In an environ each character of a text stands for a byte."""
    return text.encode("latin-1").decode(errors="replace")


def _fields(environ: Environ) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        # Servers leave out these two, or leave them empty.
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = key
        elif key.startswith("HTTP_") and key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            name = key[len("HTTP_") :]
        else:
            continue
        yield name.lower().replace("_", "-").encode("latin-1"), value.encode("latin-1")


def _pieces(environ: Environ) -> Iterator[bytes]:
    """The body. Each piece is read when it is asked for."""
    stream = environ["wsgi.input"]
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if environ.get("CONTENT_LENGTH"):
        left = int(environ["CONTENT_LENGTH"])
        while left > 0:
            piece = stream.read(min(left, _READ))
            if not piece:
                raise _broken("the client broke off its request")
            left -= len(piece)
            yield piece
    elif chunked or environ.get("wsgi.input_terminated"):
        at_once = 0
        while True:
            began = time.monotonic()
            # Not `read`: however little that is asked for, gunicorn waits for 1 KiB. A line, moreover, most
            # servers hand over as soon as it is there; that the audio has none does no harm.
            piece = stream.readline(min(max(_READ_LIVE, at_once // 16), _READ))
            if not piece:
                return
            # What comes without a pause is not being spoken, and small reads are dear: at each of them
            # gunicorn copies what is left of the chunk.
            at_once = at_once + len(piece) if time.monotonic() - began < _PAUSE else 0
            yield piece


# ------------------------------------------------------------ the response


def _status(status: int) -> str:
    return f"{status} {_PHRASES.get(status, 'Unknown')}"


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    named = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)
    return [pair for pair in named if not is_hop_by_hop(pair[0])]  # those are the server's business


def _refuse(start_response: StartResponse, status: int, text: str) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
    start_response(_status(status), headers)
    return [f"{text}\n".encode()]


def _broken(text: str) -> OSError:
    # Servers know by the number that there is nothing to report, nor to answer.
    return ConnectionResetError(errno.ECONNRESET, text)

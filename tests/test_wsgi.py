"""The WSGI application: by hand, under wsgiref, in Flask, and under the real gunicorn."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from http import HTTPStatus
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from socketserver import ThreadingMixIn
from urllib.parse import urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator
from xml.etree import ElementTree

import httpx
import pytest
from flask import Flask
from twilio.request_validator import RequestValidator
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from flowstorm_channel import Limits, Timeouts
from flowstorm_channel.contrib import wsgi
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.contrib.wsgi import WsgiApp
from flowstorm_channel.events import TurnInterruptedEvent
from flowstorm_channel.testing.alexa import AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.signing import AlexaSigner, GoogleSigner
from tests.complaints import errors_of

ROOT = Path(__file__).parent.parent
QUERY = "key=K&deviceId=D"
AT = f"/client?{QUERY}"
COOKIE = "flowstorm-session-id"
SOON = 5.0
CUT_OFF = (asyncio.CancelledError, GeneratorExit)
"""What a dialogue gets that is cancelled, where it awaits something or where it says something."""


async def echo(turn):
    count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
    yield f"{count}: {turn.text}"


@pytest.fixture
def serve():
    """Makes applications, and closes them."""
    made = []

    def make(dialogue=echo, **settings):
        made.append(WsgiApp(dialogue, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert [thread for thread in threading.enumerate() if thread.name == "flowstorm_channel"] == []


@pytest.fixture(autouse=True)
def complaints():
    """What is logged as an error; a test takes out what it expects."""
    with errors_of("asyncio", "flowstorm_channel", "werkzeug") as found:
        yield found
    assert found == []


def until(condition):
    """Wait for what has no event of its own."""
    late = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.002)


def settled(app):
    until(lambda: not app.sessions._under_way)
    assert app.sessions.waiting == 0


def spoken(word, size):
    """Audio in which the program's recogniser hears a word."""
    return word.encode().ljust(size, b"\0")


def as_event(block):
    return json.dumps({"type": "Binary", "data": base64.b64encode(block).decode()}).encode() + b"\n"


# ------------------------------------------------------------ by hand


class Answer:
    """What an application answers, while it does."""

    def __init__(self, app, environ):
        self.status, self.headers = None, {}
        self.pieces = app(environ, self._start)

    def _start(self, status, headers, _=None):
        assert self.status is None
        self.status, self.headers = status, dict(headers)

    def rest(self):
        try:
            return b"".join(self.pieces).decode()
        finally:
            if hasattr(self.pieces, "close"):
                self.pieces.close()


def environ_of(body=b"", content_type="text/plain", **more):
    environ = {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/client",
        "QUERY_STRING": QUERY,
        "CONTENT_TYPE": content_type,
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
    }
    if isinstance(body, bytes):
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        environ["wsgi.input_terminated"] = True
    environ.update(more)
    setup_testing_defaults(environ)
    return environ


def ask(app, text, **more):
    return Answer(app, environ_of(text.encode(), **more)).rest()


class Stream:
    """A body that comes as a program decides."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self.read_bytes = 0

    def read(self, _):
        return self.readline(_)

    def readline(self, _):
        piece = next(self._pieces, b"")
        self.read_bytes += len(piece)
        return piece


@contextmanager
def in_thread(work):
    """Runs it beside the block; gives a list that its result is put into."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    try:
        yield results
    finally:
        thread.join(SOON)
        assert not thread.is_alive()


def test_a_turn(serve):
    app = serve()
    before = threading.active_count()
    first = Answer(app, environ_of(b"hello"))
    assert threading.active_count() == before  # nothing has been asked for yet
    assert first.rest() == "< 1: hello\n"
    assert first.status == "200 OK"
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    session = first.headers["set-cookie"].partition(";")[0]
    assert ask(app, "again", HTTP_COOKIE=session) == "< 2: again\n"
    assert threading.active_count() == before + 1
    settled(app)
    assert len(app.sessions) == 1


def test_below_a_mount_point_and_with_other_letters(serve):
    app = serve()
    mounted = {"SCRIPT_NAME": "/übersicht".encode().decode("latin-1")}
    assert ask(app, "hello", **mounted) == "< 1: hello\n"
    assert ask(app, "hello", PATH_INFO="/client/", **mounted) == "< 1: hello\n"
    for path in ("/", "/übersicht".encode().decode("latin-1"), "/\xff\xfe", "/übersicht/client"):
        answer = Answer(app, environ_of(b"hello", PATH_INFO=path))
        assert answer.rest() == "not found\n"
        assert answer.status == "404 Not Found"


def test_what_the_environ_says_of_the_request(serve):
    seen = []
    app = serve(observe=seen.append)
    more = {"HTTP_ACCEPT_LANGUAGE": "cs-CZ", "HTTP_X_TIMEZONE": "Europe/Oslo", "wsgi.url_scheme": "https"}
    query = "key=%C3%A9t%C3%A9&deviceId=caf\xc3\xa9"  # a client that does not quote
    answer = Answer(app, environ_of(b"hello", QUERY_STRING=query, **more))
    assert answer.rest() == "< 1: hello\n"
    assert answer.headers["set-cookie"].endswith("; Secure")
    init = seen[0]
    assert init.key == "été"
    assert (init.config.locale, init.config.zone_id) == ("cs-CZ", "Europe/Oslo")


def test_the_scope():
    letters = "/übersicht".encode().decode("latin-1")
    environ = environ_of(b"hello", SCRIPT_NAME=letters, HTTP_X_KEY="K\xe9", HTTP_HOST="here")
    environ |= {"HTTP_CONTENT_TYPE": "no", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.0"}
    scope = wsgi._scope(environ)
    assert (scope["root_path"], scope["path"]) == ("/übersicht", "/übersicht/client")
    assert (scope["method"], scope["scheme"], scope["http_version"]) == ("PUT", "http", "1.0")
    assert scope["query_string"] == QUERY.encode()
    assert sorted(scope["headers"]) == [
        (b"content-length", b"5"),
        (b"content-type", b"text/plain"),
        (b"host", b"here"),
        (b"x-key", b"K\xe9"),
    ]
    assert wsgi._scope(environ | {"CONTENT_LENGTH": "", "PATH_INFO": "/\xff"})["path"] == "/übersicht/\ufffd"


def test_headers_of_the_connection_are_the_servers_business(serve):
    app = serve()
    answer = Answer(app, environ_of(b"", REQUEST_METHOD="GET", PATH_INFO="/socket"))
    assert answer.rest() == "a WebSocket is expected\n"
    assert answer.status == "426 Upgrade Required"
    assert set(answer.headers) == {"content-type", "cache-control"}
    # Its body unread, a request that is refused would have the server close the connection.
    answer = Answer(app, environ_of(Stream([b"x"]), REQUEST_METHOD="DELETE"))
    assert answer.rest().startswith("! ")
    assert answer.status == "405 Method Not Allowed"
    assert answer.headers["allow"] == "GET, POST, PUT"
    assert "connection" not in answer.headers


def test_a_head_has_no_body(serve):
    answer = Answer(serve(), environ_of(b"", REQUEST_METHOD="HEAD"))
    assert answer.rest() == ""
    assert answer.status == "405 Method Not Allowed"


@pytest.mark.parametrize("length", ["-1", "abc", "1_0", "9" * 5000])
def test_a_length_that_is_no_number(serve, length):
    answer = Answer(serve(), environ_of(b"hello", CONTENT_LENGTH=length))
    assert answer.rest() == "the Content-Length is no number\n"
    assert answer.status == "400 Bad Request"


@pytest.mark.parametrize("more", [{"wsgi.input_terminated": True}, {"HTTP_TRANSFER_ENCODING": "Chunked"}])
def test_a_body_whose_length_is_not_known(serve, more):
    app = serve()
    assert ask(app, "x" * 1000, CONTENT_LENGTH="", **more) == f"< 1: {'x' * 1000}\n"
    # Without either there is no body, however long the stream may be.
    answer = Answer(app, environ_of(b"hello", CONTENT_LENGTH=""))
    assert "! " in answer.rest()
    assert answer.status == "400 Bad Request"


class Fast:
    """A body that is there already."""

    def __init__(self, size):
        self._left = size
        self.asked = []

    def readline(self, most):
        self.asked.append(most)
        size = min(most, self._left)
        self._left -= size
        return bytes(size)


def test_little_is_read_at_once_of_what_may_be_spoken(monkeypatch):
    body = Fast(10_000_000)
    assert sum(map(len, wsgi._pieces(environ_of(body)))) == 10_000_000
    assert body.asked[:16] == [256] * 16
    assert len(body.asked) < 2000
    monkeypatch.setattr(wsgi, "_PAUSE", 0.0)  # every piece is one that had to be waited for
    body = Fast(100_000)
    assert sum(map(len, wsgi._pieces(environ_of(body)))) == 100_000
    assert set(body.asked) == {256}


def test_a_refusal_by_the_head_comes_before_the_body_is_read(serve):
    app = serve()
    body = Stream([b"x"])
    answer = Answer(app, environ_of(body, content_type="image/png"))
    assert b"image/png" in next(answer.pieces)
    assert body.read_bytes == 0
    assert answer.rest() == ""
    assert answer.status == "415 Unsupported Media Type"


def test_what_comes_before_the_end_of_the_body_goes_out_before_it(serve):
    async def recogniser(sound):
        async for _ in sound:
            yield "yes", True

    app = serve(recogniser=recogniser)
    said = []

    def body():
        while len(said) < 3:  # RecognizedInput, ResponseItem, Response
            yield b"sound"

    answer = Answer(app, environ_of(Stream(body()), "audio/basic", QUERY_STRING=f"{QUERY}&realtime=1"))
    with closing(answer.pieces):
        said.extend(json.loads(piece)["type"] for piece in itertools.islice(answer.pieces, 3))
        assert said == ["RecognizedInput", "ResponseItem", "Response"]
        assert list(answer.pieces) == []


def test_a_response_that_is_complete_ends_the_reading(serve):
    app = serve(limits=Limits(body_bytes=1000), timeouts=Timeouts(drain=0.05))
    answer = Answer(app, environ_of(Stream(itertools.repeat(b"x" * 100))))
    assert "1000 bytes" in answer.rest()
    assert answer.status == f"413 {HTTPStatus(413).phrase}"
    assert ask(app, "hello") == "< 1: hello\n"


# ------------------------------------------------------------ bounds


def test_the_body_is_read_no_faster_than_it_is_taken(serve):
    gate = asyncio.Event()

    async def recogniser(sound):
        await gate.wait()
        size = 0
        async for block in sound:
            size += len(block)
        yield f"{size} bytes", True

    async def dialogue(turn):
        if turn.text == "open":
            gate.set()
        return turn.text

    app = serve(dialogue, recogniser=recogniser, limits=Limits(queued_bytes=10_000))
    body = Stream(itertools.repeat(b"x" * 1000, 1000))
    answer = Answer(app, environ_of(body, "audio/wav", HTTP_ACCEPT="text/plain"))
    with in_thread(answer.rest) as result:
        until(lambda: body.read_bytes > wsgi._MOST)
        for _ in range(3):
            assert ask(app, "hello") == "< hello\n"
        assert body.read_bytes < 200_000
        assert ask(app, "open") == "< open\n"
    assert result[0].endswith("< 1000000 bytes\n")


def test_the_dialogue_is_no_faster_than_the_client(serve):
    said = []

    async def dialogue(turn):
        if turn.text == "pause":
            for _ in range(1000):
                await asyncio.sleep(0)
            return
        for number in range(100):
            said.append(number)
            yield "x" * 10_000

    app = serve(dialogue)
    answer = Answer(app, environ_of(b"all"))
    with closing(answer.pieces):
        next(answer.pieces)
        ask(app, "pause")
        assert 5 < len(said) < 20
        assert sum(map(len, answer.pieces)) == 99 * 10_003
    assert len(said) == 100


# ------------------------------------------------------------ ends


class Stuck:
    """A dialogue that never ends, and knows that it was cancelled."""

    def __init__(self):
        self.cancelled = threading.Event()

    async def __call__(self, turn):
        yield "So far."
        if turn.text != "hello":
            try:
                await asyncio.Event().wait()
            except CUT_OFF:
                self.cancelled.set()
                raise


def test_closing_the_iterable_cancels_the_dialogue(serve):
    stuck, seen = Stuck(), []
    app = serve(stuck, observe=seen.append)
    answer = Answer(app, environ_of(b"wait", HTTP_COOKIE=f"{COOKIE}=mine"))
    assert next(answer.pieces) == b"< So far.\n"
    assert app.sessions._under_way
    answer.pieces.close()
    assert stuck.cancelled.wait(SOON)
    settled(app)
    assert [event.reason for event in seen if isinstance(event, TurnInterruptedEvent)] == ["lost"]
    assert ask(app, "hello", HTTP_COOKIE=f"{COOKIE}=mine") == "< So far.\n"


def test_closing_the_iterable_that_was_never_used(serve):
    app = serve()
    Answer(app, environ_of(b"hello")).pieces.close()
    assert app.sessions._under_way == {}


class Unreadable(Exception):
    pass


@pytest.mark.parametrize("error", [Unreadable, ConnectionResetError])
def test_a_body_that_breaks_off_frees_the_session(serve, error):
    heard, cancelled = threading.Event(), threading.Event()

    async def recogniser(sound):
        try:
            async for _ in sound:
                heard.set()
                yield "some", False
        except CUT_OFF:
            cancelled.set()
            raise

    def body():
        yield b"some"
        assert heard.wait(SOON)
        if error is Unreadable:
            raise Unreadable

    app = serve(recogniser=recogniser)
    mine = {"HTTP_COOKIE": f"{COOKIE}=mine"}
    with pytest.raises(error):
        Answer(app, environ_of(Stream(body()), "audio/wav", CONTENT_LENGTH="100", **mine)).rest()
    settled(app)
    assert cancelled.wait(SOON)
    assert ask(app, "hello", **mine) == "< 1: hello\n"


def test_a_body_that_breaks_off_while_nobody_takes_it(serve, monkeypatch):
    calls, begin = [], wsgi._Call.begin
    monkeypatch.setattr(wsgi._Call, "begin", lambda call, task: (calls.append(call), begin(call, task)))
    started, cancelled = threading.Event(), threading.Event()

    async def recogniser(_):
        try:
            started.set()
            await asyncio.Event().wait()
            yield "", True
        except CUT_OFF:
            cancelled.set()
            raise

    def body():
        yield b"x" * 2000
        assert started.wait(SOON)
        yield from itertools.repeat(b"x" * 1000, 50)
        assert len(calls[0]._pieces) == 50
        raise Unreadable

    # The client has gone: nobody is to wait until it has been told that the server goes away.
    monkeypatch.setattr("flowstorm_channel.contrib.asyncio._LAST_WORDS", 60.0)
    app = serve(recogniser=recogniser, limits=Limits(queued_bytes=1000))
    with pytest.raises(Unreadable):
        Answer(app, environ_of(Stream(body()), "audio/wav")).rest()
    assert cancelled.wait(SOON)
    until(lambda: not app._background()._calls)
    settled(app)


def test_a_response_that_is_given_up_does_not_end_as_if_it_were_whole(serve):
    app = serve(timeouts=Timeouts(drain=0.05))

    def body():
        yield b'{"type": "Input", "input": {"transcript": {"text": "hello"}}}\n'
        yield from itertools.repeat(b" ")

    answer = Answer(app, environ_of(Stream(body()), "application/json"))
    assert b"1: hello" in next(answer.pieces)
    with pytest.raises(ConnectionResetError):
        answer.rest()


@pytest.mark.parametrize("begun", [False, True])
def test_an_application_that_fails(serve, complaints, monkeypatch, begun):
    async def failing(*arguments):
        if begun:
            await arguments[-1]({"type": "http.response.start", "status": 299, "headers": []})
        raise RuntimeError("no idea")

    monkeypatch.setattr(wsgi.ChannelApp, "__call__", failing)
    answer = Answer(serve(), environ_of(b"hello"))
    if begun:
        with pytest.raises(ConnectionResetError):
            answer.rest()
        assert answer.status == "299 Unknown"
    else:
        assert answer.rest() == "the request is given up\n"
        assert answer.status == "500 Internal Server Error"
    assert complaints == ["a request failed"]
    complaints.clear()


def test_close(serve, complaints):
    class Store(MemoryStore):
        closed = 0

        async def close(self):
            self.closed += 1
            raise RuntimeError("it does not close")

    stuck, store = Stuck(), Store()
    app = serve(stuck, store=store)
    begun = Answer(app, environ_of(b"wait"))
    assert next(begun.pieces) == b"< So far.\n"
    waiting = Answer(app, environ_of(b"", REQUEST_METHOD="GET", HTTP_COOKIE=f"{COOKIE}=mine"))
    with in_thread(waiting.rest) as result:
        until(lambda: app.sessions.waiting)
        app.close()
        assert stuck.cancelled.is_set()
    assert (result, waiting.status) == ([""], "204 No Content")
    with pytest.raises(ConnectionResetError):
        begun.rest()
    app.close()
    assert store.closed == 1
    assert complaints.pop() == "the store cannot be closed"
    late = Answer(app, environ_of(b"hello"))
    assert late.rest() == "the server is going away\n"
    assert late.status == "503 Service Unavailable"


def test_close_before_anything_else(serve):
    app = serve()
    app.close()
    assert Answer(app, environ_of(b"hello")).rest() == "the server is going away\n"


def test_close_while_a_body_comes_in(serve):
    def body():
        yield b"hel"
        app.close()
        yield from [b"l", b"o"]

    app = serve()
    answer = Answer(app, environ_of(Stream(body())))
    assert answer.rest() == "! the server is going away\n"
    assert answer.status == "503 Service Unavailable"


def test_close_from_the_dialogue(serve):
    async def dialogue(_):
        app.close()
        return "Goodbye."

    app = serve(dialogue)
    with suppress(ConnectionResetError):
        ask(app, "hello")
    late = Answer(app, environ_of(b"hello"))
    assert late.rest() == "the server is going away\n"


def test_a_loop_that_cannot_be_had_is_tried_again(serve, monkeypatch):
    app = serve()

    def run(main):
        main.close()

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "run", run)
        with pytest.raises(RuntimeError, match="event loop"):
            ask(app, "hello")
    assert ask(app, "hello") == "< 1: hello\n"


def test_many_threads_at_once(serve):
    app = serve()
    results = []

    def work(number):
        session = {"HTTP_COOKIE": f"{COOKIE}=s{number}"}
        results.append([ask(app, f"turn {turn}", **session) for turn in range(5)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert results == [[f"< {turn + 1}: turn {turn}\n" for turn in range(5)]] * 16
    settled(app)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_each_process_has_its_own_thread():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.wsgi_program"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "child: 0 ['< 1: hello', '']",
        "parent: 0 ['< 1: go on', '']",
        "['< I wait.', '< 1: wait', '']",
    ]


# ------------------------------------------------------------ wsgiref


@pytest.fixture
def wsgiref_at(capfd):
    """Serves an application with the standard library's server, which nothing may displease."""
    servers = []

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    def start(app):
        server = Server(("127.0.0.1", 0), Handler)
        server.set_app(app)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
    assert capfd.readouterr().err == ""


def test_it_does_what_wsgi_demands(serve, wsgiref_at):
    app = serve(timeouts=Timeouts(get=0.05))
    log = {"type": "Log", "entries": [{"text": "seen", "level": "INFO"}]}
    said = {"type": "Input", "input": {"transcript": {"text": "hello"}}}
    plain = {"Content-Type": "text/plain"}
    mine = {"Cookie": f"{COOKIE}=mine"}
    with httpx.Client(base_url=wsgiref_at(validator(app)), trust_env=False) as client:
        for expected, method, target, more in [
            (200, "PUT", AT, {"content": "hello", "headers": plain}),
            (200, "POST", AT, {"content": "hello", "headers": plain}),
            (200, "PUT", AT, {"json": said}),
            (204, "PUT", AT, {"json": log}),
            (204, "GET", AT, {"headers": mine}),
            (400, "GET", AT, {}),
            (400, "PUT", "/client", {"content": "hello", "headers": plain}),
            (404, "PUT", "/", {"content": "hello"}),
            (405, "DELETE", AT, {}),
            (405, "HEAD", AT, {}),
            (415, "PUT", AT, {"content": "hello", "headers": {"Content-Type": "image/png"}}),
            (426, "GET", "/socket", {}),
        ]:
            answer = client.request(method, target, **more)
            assert answer.status_code == expected
            assert answer.reason_phrase == HTTPStatus(expected).phrase
            assert bool(answer.content) == (expected != 204 and method != "HEAD")
            client.cookies.clear()
    settled(app)


def test_a_client_that_goes_is_noticed_when_something_is_sent(serve, wsgiref_at):
    cancelled = threading.Event()

    async def dialogue(_):
        try:
            while True:
                yield "and on"
                await asyncio.sleep(0.002)
        except CUT_OFF:
            cancelled.set()
            raise

    app = serve(dialogue)
    url = wsgiref_at(validator(app))
    with httpx.Client(trust_env=False) as client:
        plain = {"Content-Type": "text/plain"}
        with client.stream("PUT", f"{url}{AT}", content="hello", headers=plain) as answer:
            assert next(answer.iter_lines()) == "< and on"
    assert cancelled.wait(SOON)
    settled(app)


# ------------------------------------------------------------ Flask


def test_in_a_flask_application(serve, caplog):
    caplog.set_level(logging.ERROR, "werkzeug")
    app = serve()
    site = Flask(__name__)
    site.add_url_rule("/", "home", lambda: "the site")
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/voice": app})
    server = make_server("127.0.0.1", 0, site, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False) as client:
            plain = {"Content-Type": "text/plain"}
            assert client.get("/").text == "the site"
            for count, body in enumerate([b"whole", iter([b"in ", b"pieces"])], 1):
                answer = client.put(f"/voice{AT}", content=body, headers=plain)
                assert answer.text.startswith(f"< {count}: ")
            assert answer.text == "< 2: in pieces\n"
            assert client.put(AT, content="hello", headers=plain).status_code == 404
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with site.test_client() as client:
        answer = client.put(f"/voice{AT}", data=b"hello", content_type="text/plain")
        assert answer.text == "< 1: hello\n"


# ------------------------------------------------------------ gunicorn


class Gunicorn:
    """The real server in a child process, with `wsgi_program` as its application."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def connection(self):
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=SOON)) as it:
            yield it

    @property
    def state(self):
        with self.connection() as it:
            it.request("GET", "/state")
            with it.getresponse() as answer:
                return json.loads(answer.read())

    def settled(self):
        def idle():
            state = self.state
            return not state["under_way"] and not state["waiting"]

        until(idle)

    def say(self, text, session="somebody"):
        with self.connection() as it:
            headers = {"Content-Type": "text/plain", "Cookie": f"{COOKIE}={session}"}
            it.request("PUT", AT, text.encode(), headers)
            with it.getresponse() as answer:
                return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def process():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket listens already: who connects now waits until the server accepts.
        line = [sys.executable, "-m", "gunicorn", "tests.wsgi_program:application", "--preload"]
        line += ["--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread", "--threads", "16"]
        line += ["--no-control-socket", "--log-level", "error"]
        server = subprocess.Popen(line, pass_fds=[listener.fileno()], cwd=ROOT, stderr=subprocess.PIPE)
        try:
            yield Gunicorn(listener.getsockname()[1])
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                _, printed = server.communicate(timeout=SOON)
            finally:
                server.kill()
                server.wait()
    assert printed == b""
    assert server.returncode == 0


@pytest.fixture
def gunicorn(process):
    yield process
    process.settled()
    assert process.say("still there?", str(time.monotonic_ns())) == (200, "< 1: still there?\n")


class Upload:
    """A PUT whose body goes out in chunks."""

    def __init__(self, connection, target, content_type, session):
        self._connection = connection
        connection.putrequest("PUT", target)
        for name, value in [
            ("Content-Type", content_type),
            ("Cookie", f"{COOKIE}={session}"),
            ("Accept", "application/json"),
            ("Transfer-Encoding", "chunked"),
        ]:
            connection.putheader(name, value)
        connection.endheaders()

    def chunk(self, data):
        self._connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self._connection.send(b"0\r\n\r\n")

    def hang_up(self):
        vanish(self._connection)


def vanish(connection):
    """Close it without a word of farewell."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_gunicorn_turns_of_a_session(gunicorn):
    with httpx.Client(base_url=gunicorn.url, trust_env=False) as client:
        for count, text in enumerate(("one", "Grüße", "three"), 1):
            answer = client.put(AT, content=text, headers={"Content-Type": "text/plain"})
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.text == f"< {count}: {text}\n"
        said = {"type": "Input", "input": {"transcript": {"text": "hello"}}}
        events = [json.loads(line) for line in client.put(AT, json=said).text.splitlines()]
        assert [event["type"] for event in events] == ["ResponseItem", "Response"]
        assert client.get("/socket").status_code == 426
    assert gunicorn.state["forked"]


@pytest.mark.parametrize(
    ("content_type", "pack"), [("audio/basic", bytes), ("application/json", as_event)], ids=["audio", "json"]
)
def test_gunicorn_interim_results_come_while_the_user_speaks(gunicorn, content_type, pack):
    session = f"speaker-{content_type[-4:]}"
    with gunicorn.connection() as reading, gunicorn.connection() as writing:
        reading.request("GET", AT, headers={"Cookie": f"{COOKIE}={session}"})
        until(lambda: gunicorn.state["waiting"])
        speaker = Upload(writing, f"{AT}&realtime=1", content_type, session)
        speaker.chunk(pack(spoken("one", 300)))
        if pack is as_event:
            # gunicorn keeps the end of a block until there is more, and an event is nothing without its end.
            speaker.chunk(pack(spoken("", 300)))
        with reading.getresponse() as interim:
            assert interim.status == 200
            event = json.loads(interim.readline())
            assert (event["type"], event["input"]["transcript"]["text"]) == ("RecognizedInput", "one")
            speaker.chunk(pack(spoken("over", 300)))
            speaker.chunk(pack(spoken("", 300)))
            while line := interim.readline():
                assert json.loads(line)["input"]["transcript"]["text"] in ("one", "one over")
        # Recognition is finished: the client stops writing, and reads its answer.
        speaker.end()
        with writing.getresponse() as answer:
            events = [json.loads(line) for line in answer.read().splitlines()]
        assert [event["type"] for event in events] == ["RecognizedInput", "ResponseItem", "Response"]
        assert events[1]["responseItem"]["text"] == "1: one over"


def test_gunicorn_pieces_come_as_they_are_said(gunicorn):
    with gunicorn.connection() as it:
        it.request("PUT", AT, b"wait", {"Content-Type": "text/plain"})
        with it.getresponse() as answer:
            assert answer.readline() == b"< I wait.\n"
            assert gunicorn.say("go on") == (200, "< 1: go on\n")
            assert answer.read() == b"< 1: wait\n"


def test_gunicorn_a_client_that_hangs_up(gunicorn):
    with gunicorn.connection() as it:
        it.request("PUT", AT, b"chatter", {"Content-Type": "text/plain"})
        answer = it.getresponse()
        assert answer.readline() == b"< and on\n"
        vanish(it)
        answer.close()
    until(lambda: "chatter" in gunicorn.state["cancelled"])


@pytest.mark.parametrize("content_type", ["audio/basic", "text/plain"])
def test_gunicorn_a_client_that_hangs_up_while_it_writes(gunicorn, content_type):
    with gunicorn.connection() as it:
        speaker = Upload(it, f"{AT}&realtime=1", content_type, "breaks-off")
        speaker.chunk(spoken("one", 800))
        if content_type == "audio/basic":
            until(lambda: gunicorn.state["under_way"])
        speaker.hang_up()
    if content_type == "audio/basic":
        until(lambda: "recogniser" in gunicorn.state["cancelled"])


def test_gunicorn_a_body_without_end(gunicorn):
    with gunicorn.connection() as it:
        upload = Upload(it, f"{AT}&realtime=1", "audio/basic", "endless")

        def write():
            with suppress(OSError):
                while True:
                    upload.chunk(bytes(4096))

        with in_thread(write):
            with it.getresponse() as answer:
                assert answer.status == 413
                events = [json.loads(line) for line in answer.read().splitlines()]
                assert [event["type"] for event in events] == ["Error"]
            # Some of it is read in vain, so that the client gets to read this.
            vanish(it)


def test_gunicorn_many_at_once(gunicorn):
    with gunicorn.connection() as one, gunicorn.connection() as two, gunicorn.connection() as three:
        for number, it in enumerate((one, two, three)):
            it.request("GET", AT, headers={"Cookie": f"{COOKIE}=many{number}"})
        until(lambda: gunicorn.state["waiting"] == 3)
        for number, it in enumerate((one, two, three)):
            assert gunicorn.say("hello", f"many{number}") == (200, "< 1: hello\n")
            with it.getresponse() as answer:  # what is typed ends the GET
                assert (answer.status, answer.read()) == (200, b"")


def test_gunicorn_a_broken_chunk(gunicorn):
    with gunicorn.connection() as it:
        upload = Upload(it, AT, "text/plain", "broken")
        upload.chunk(b"hello")
        it.send(b"this is no chunk\r\n")
        with suppress(ConnectionError, IncompleteRead), it.getresponse() as answer:
            assert answer.status == 400


# ------------------------------------------------------------ platforms

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
TOKEN = "12345"
PUBLIC = "https://voice.example.com"


def platforms():
    """What answers signed requests of all of them, and where the certificates come from."""
    alexa, google = AlexaSigner(), GoogleSigner()
    urls = []

    async def fetch(url):
        urls.append(url)
        return alexa.chain if url == alexa.url else google.document

    settings = {
        "fetch": fetch,
        "alexa": Alexa(skill_ids=["amzn1.ask.skill.test"], roots=alexa.roots, now=lambda: NOW),
        "google": GoogleAssistant(project_ids=[google.project], now=lambda: NOW),
        "twilio": Twilio(auth_token=TOKEN, public_url=PUBLIC),
    }
    return settings, urls


def peers():
    alexa = AlexaPeer(lambda: NOW, signer=AlexaSigner(), url="/alexa")
    yield alexa
    for version in "23":
        yield GooglePeer(version, key="app", signer=GoogleSigner(), now=lambda: NOW)


def twiml(client, path="/call", **more):
    """What a call is answered with, which Twilio's own library signs."""
    form = {"CallSid": "CA1", "From": "+420123456789", "Direction": "inbound"}
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}{path}", form)
    return client.post(path, data=form, headers={"X-Twilio-Signature": signature, **more})


def test_platforms_are_answered(serve, wsgiref_at):
    settings, urls = platforms()
    app = serve(**settings)
    with httpx.Client(base_url=wsgiref_at(validator(app)), trust_env=False) as client:
        for peer in peers():
            for count, text in enumerate(("#intro", "hello", "Grüße"), 1):
                head, body = peer.launch() if count == 1 else peer.say(text)
                answer = client.request(head.method, head.url, headers=list(head.headers), content=body)
                assert answer.headers["content-type"].startswith("application/json")
                assert peer.take(answer.status_code, answer.content).speech == f"{count}: {text}"
        assert len(urls) == 2
        answer = twiml(client, "/call?key=my-app")
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"
        (stream,) = ElementTree.fromstring(answer.content)[0]
        assert stream.get("url") == f"wss://{PUBLIC[8:]}/call"
        found = {each.get("name"): each.get("value") for each in stream}
        assert found == {"appKey": "my-app", "sender": "+420123456789"}
    settled(app)


def test_platforms_refuse_over_wsgi_as_they_do_elsewhere(serve, wsgiref_at):
    settings, urls = platforms()
    app = serve(**settings)
    with httpx.Client(base_url=wsgiref_at(validator(app)), trust_env=False) as client:
        for peer in peers():
            peer.signer = peer._signer = None
            head, body = peer.launch()
            answer = client.request(head.method, head.url, headers=list(head.headers), content=body)
            assert answer.status_code == (400 if head.url == "/alexa" else 403)
            assert answer.json() == {"error": "the request could not be verified"}
        assert client.post("/call", data={"CallSid": "CA1"}).status_code == 403
        assert twiml(client, **{"X-Twilio-Signature": "?"}).status_code == 403
        for path in ("/alexa", "/google", "/call"):
            assert client.delete(path).status_code == 405
    assert urls == []
    settled(app)


def test_platforms_below_a_mount_point(serve):
    settings, _ = platforms()
    app = serve(**settings)
    form = {"CallSid": "CA1", "From": "+420123456789"}
    url = f"{PUBLIC}/voice/call?key=%C3%A9"
    environ = environ_of(
        urlencode(form).encode(),
        "application/x-www-form-urlencoded",
        REQUEST_METHOD="POST",
        SCRIPT_NAME="/voice",
        PATH_INFO="/call",
        QUERY_STRING="key=%C3%A9",
        HTTP_X_TWILIO_SIGNATURE=RequestValidator(TOKEN).compute_signature(url, form),
    )
    answer = Answer(app, environ)
    (stream,) = ElementTree.fromstring(answer.rest())[0]
    assert answer.status == "200 OK"
    assert stream.get("url") == f"wss://{PUBLIC[8:]}/voice/call"
    assert stream[0].get("value") == "é"


@pytest.fixture
def unsigned(serve):
    """What answers everybody."""
    settings = {"alexa": Alexa(allow_unsigned=True), "google": GoogleAssistant(allow_unsigned=True)}
    return serve(**settings, twilio=Twilio(allow_unsigned=True, public_url=PUBLIC))


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_a_request_of_a_platform_that_is_too_long(unsigned, path):
    """It is refused before anything of it is read."""
    body = Stream(itertools.repeat(b"x" * 1000))
    more = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_LENGTH": "10000000"}
    answer = Answer(unsigned, environ_of(body, **more))
    with closing(answer.pieces):
        assert f"{Limits().webhook_bytes} bytes".encode() in next(answer.pieces)
    assert answer.status == f"413 {HTTPStatus(413).phrase}"
    assert body.read_bytes == 0


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_a_request_of_a_platform_that_breaks_off(unsigned, path):
    def body():
        yield b"{"
        raise ConnectionResetError

    app = unsigned
    environ = environ_of(Stream(body()), REQUEST_METHOD="POST", PATH_INFO=path, CONTENT_LENGTH="100")
    with pytest.raises(ConnectionResetError):
        Answer(app, environ).rest()
    until(lambda: not app._background()._calls)
    assert app._background().app._webhooks["/alexa"][1]._under_way == {}


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_gunicorn_says_how_platforms_are_configured(gunicorn, path):
    with gunicorn.connection() as it:
        it.request("POST", path, b"{}", {"Content-Type": "application/json"})
        with it.getresponse() as answer:
            assert answer.status == 503
            assert b"not configured: ChannelApp(dialogue, " in answer.read()

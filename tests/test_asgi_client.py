"""Socket V2 at `/client` under a real server, spoken to by curl, by httpx, and by hand."""

import asyncio
import base64
import json
import re
import signal
import sys
import time
import tracemalloc
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import msgpack
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from flowstorm_channel import Limits, ResponseItem, Timeouts
from flowstorm_channel.cli import example
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.events import InitEvent, LogEvent
from tests.complaints import errors_of
from tests.curl import Answer, Curl, curl, head_of
from tests.serving import serving

AT = "/client?key=K&deviceId=D"
TEXT = "Content-Type: text/plain"
JSON = "Content-Type: application/json"
AUDIO = "Content-Type: audio/basic"
MSGPACK = "Content-Type: application/msgpack"
SOON = 5.0


@pytest.fixture(autouse=True)
def complaints():
    """What the server and the loop log as errors; a test takes out what it expects."""
    with errors_of("uvicorn.error", "asyncio", "flowstorm_channel") as found:
        yield found
    assert found == []


# ------------------------------------------------------------ the server


class House:
    """One server for all these tests, since to stop one takes its time: what it serves changes."""

    def __init__(self):
        self.app = None
        self.loop = asyncio.new_event_loop()

    async def __call__(self, scope, receive, send):
        await (self.app or ChannelApp(example.dialogue))(scope, receive, send)

    async def open(self):
        self._serving = serving(self)
        self.address = await self._serving.__aenter__()
        await request(self.address, "GET", "/elsewhere")  # now it runs

    async def close(self):
        await self._serving.__aexit__(None, None, None)


@pytest.fixture(scope="module", autouse=True)
def house():
    global HOUSE
    HOUSE = House()
    HOUSE.loop.run_until_complete(HOUSE.open())
    yield
    HOUSE.loop.run_until_complete(HOUSE.close())
    HOUSE.loop.run_until_complete(HOUSE.loop.shutdown_asyncgens())
    HOUSE.loop.close()


HOUSE: House


def run(main):
    HOUSE.loop.run_until_complete(asyncio.wait_for(main(), 20))


class Stage:
    """A server, and what is under way in it."""

    def __init__(self, app, address):
        self.app, self.address = app, address
        self.url = f"http://{address}"
        self._before = asyncio.all_tasks()

    def leftovers(self):
        tasks = asyncio.all_tasks() - self._before - {asyncio.current_task()}
        sessions = self.app.sessions
        return [*(str(task.get_coro()) for task in tasks), *sessions._under_way, *sessions._owners]

    async def settled(self):
        """Wait until nothing is left of any request."""
        with suppress(asyncio.TimeoutError):
            await until(lambda: not self.leftovers())
        assert self.leftovers() == []
        assert self.app.sessions.waiting == 0

    async def next_request_works(self):
        answer = await put(self.address, "/client?key=somebody&deviceId=else", TEXT, body=b"still there?")
        assert (answer.status, answer.text) == (200, "< Still there.\n")


@asynccontextmanager
async def stage(dialogue=example.dialogue, **settings):
    """A server that in the end must be as good as new: no task left, and the next request works."""

    def checked(turn):
        return _still_there() if turn.text == "still there?" else dialogue(turn)

    app = ChannelApp(checked, **settings)
    async with _serving(app) as address:
        it = Stage(app, address)
        yield it
        await it.settled()
        await it.next_request_works()
        await it.settled()


@asynccontextmanager
async def _serving(app):
    if HOUSE.app is not None:
        async with serving(app) as address:
            await request(address, "GET", "/elsewhere")  # now it runs
            yield address
        return
    HOUSE.app = app
    try:
        yield HOUSE.address
    finally:
        HOUSE.app = None


async def _still_there():
    return "Still there."


async def until(condition):
    """Wait for what has no event of its own."""

    async def poll():
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(poll(), SOON)


async def counting(turn):
    """Counts its turns where the session remembers."""
    count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
    yield f"{count}: {turn.text}"
    if turn.text == "stop":
        turn.finish(session_ended=True)


class Stuck:
    """A dialogue that goes on only when it is let, and knows which turns were cancelled."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.begun, self.cancelled = [], []
        self.go_on = asyncio.Event()

    async def __call__(self, turn):
        self.begun.append(turn.text)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(turn.text)
            raise
        return f"You said {turn.text}."


def hearing(size):
    """A recogniser that hears one word in each block of that many bytes; after "over" it has heard all."""

    async def recogniser(sound):
        words, rest = [], b""
        async for piece in sound:
            rest += piece
            while len(rest) >= size:
                words.append(rest[:size].rstrip(b"\0").decode())
                rest = rest[size:]
                if words[-1] == "over":
                    yield " ".join(words), True
                    return
                yield " ".join(words), False

    return recogniser


BLOCK = 3200
"""Bytes of 100 ms."""


def spoken(word, size=BLOCK):
    return word.encode().ljust(size, b"\0")


def as_event(block):
    return json.dumps({"type": "Binary", "data": base64.b64encode(block).decode()}).encode() + b"\n"


def as_map(block):
    return msgpack.packb({"type": "Binary", "data": block})


FORMS = [(AUDIO, f"{AT}&realtime=1", bytes), (JSON, AT, as_event), (MSGPACK, AT, as_map)]
"""How audio stands in a body."""


def unpacked(body):
    unpacker = msgpack.Unpacker()
    unpacker.feed(body)
    return list(unpacker)


def said(text):
    return json.dumps({"type": "Input", "input": {"transcript": {"text": text}}}).encode() + b"\n"


def interim(text):
    return ("RecognizedInput", text, False)


def final(text):
    return ("RecognizedInput", text, True)


def heard(event):
    return event["type"], event["input"]["transcript"]["text"], event.get("isFinal", False)


# ------------------------------------------------------------ HTTP by hand


class Wire:
    """A connection on which HTTP/1.1 is spoken by hand."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._buffer = b""
        self._chunked = self._over = False

    # what goes out

    def send(self, method, target, *headers, body=None):
        """The head, and with a body all of it; with True a body in chunks may follow."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *headers]
        if body is True:
            lines.append("Transfer-Encoding: chunked")
        elif body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        self.writer.write(head + (body if isinstance(body, bytes) else b""))

    async def chunk(self, data):
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    def end(self):
        self.writer.write(b"0\r\n\r\n")

    # what comes in

    async def head(self):
        answer = head_of((await self.reader.readuntil(b"\r\n\r\n"))[:-4])
        if answer.status == 100:
            answer = await self.head()
            answer.continued = True
        self._chunked = answer.header("Transfer-Encoding") == "chunked"
        self._over = answer.status == 204
        return answer

    async def piece(self):
        """The next chunk of the body, empty at the end."""
        if self._over:
            return b""
        if not self._chunked:
            self._over = True
            return await self.reader.read()
        size = int((await self.reader.readline()).strip(), 16)
        data = await self.reader.readexactly(size + 2)
        self._over = not size
        return data[:-2]

    async def line(self):
        """The next line of the body, empty at the end."""
        while b"\n" not in self._buffer:
            piece = await self.piece()
            if not piece:
                break
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    async def event(self):
        return json.loads(await self.line())

    async def rest(self):
        data, self._buffer = self._buffer, b""
        while piece := await self.piece():
            data += piece
        return data

    async def answer(self):
        answer = await self.head()
        answer.body = await self.rest()
        return answer

    async def closed(self):
        """Wait until the server gives the connection up."""
        with suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), SOON):
                pass

    def hang_up(self, how="abort"):
        if how == "abort":
            self.writer.transport.abort()
        else:
            self.writer.close()


@asynccontextmanager
async def wire(address):
    reader, writer = await asyncio.open_connection(*address.split(":"))
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def request(address, method, target, *headers, body=None):
    async with wire(address) as it:
        it.send(method, target, *headers, body=body)
        return await it.answer()


async def put(address, target, *headers, body):
    return await request(address, "PUT", target, *headers, body=body)


def named(*headers):
    return dict(header.split(": ", 1) for header in headers)


def cookie(session_id):
    return f"Cookie: flowstorm-session-id={session_id}"


def new_id():
    return str(uuid.uuid4())


# ------------------------------------------------------------ a user with curl


def test_the_first_line_a_user_types_against_the_command(tmp_path):
    jar = str(tmp_path / "jar")

    async def main():
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flowstorm_channel", "serve", "--port", "0"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            line = (await server.stdout.readline()).decode()
            url = re.search(r"http://127\.0\.0\.1:\d+/client", line)[0]

            async def say(text):
                return await curl(
                    *("-X", "PUT", f"{url}?key=K&deviceId=D", "-H", TEXT, "--data", text),
                    *("-b", jar, "-c", jar),
                )

            hello, stop, again = await say("hello"), await say("stop"), await say("hello")
            assert hello.lines == ["< You said: hello"]
            assert stop.lines == ["< Goodbye.", "."]
            assert again.lines == ["< You said: hello"]
            assert hello.session == stop.session != again.session
            image = await say("image")
            assert image.lines[0].startswith("# (image=data:image/svg+xml%2C%253Csvg")
            assert image.lines[1] == "< A wave."
        finally:
            server.send_signal(signal.SIGINT)
            _, complaints = await server.communicate()
        assert complaints == b""

    run(main)


def test_a_cookie_jar_makes_a_session(tmp_path):
    jar = str(tmp_path / "jar")

    async def main():
        async with stage(counting) as it:

            async def say(text, *more):
                line = ("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", text, "-b", jar, "-c", jar)
                return await curl(*line, *more)

            answers = [await say(text) for text in ("one", "two", "stop", "three")]
            assert [answer.lines for answer in answers] == [
                ["< 1: one"],
                ["< 2: two"],
                ["< 3: stop", "."],
                ["< 1: three"],
            ]
            first, second, third, fourth = (answer.session for answer in answers)
            assert first == second == third != fourth
            for answer in answers:
                assert answer.status == 200
                assert answer.header("Content-Type") == "text/plain; charset=utf-8"
                assert answer.header("Cache-Control") == "no-store"
            posted = await curl(f"{it.url}{AT}", "-H", TEXT, "--data", "posted", "-b", jar)
            slashed = await curl(
                *("-X", "PUT", f"{it.url}/client/?key=K&deviceId=D", "--data", "slashed", "-b", jar),
                *("-H", "Content-Type: plain/text; charset=UTF-8"),
            )
            old = await say("old", "--http1.0")
            in_headers = await curl(
                *("-X", "PUT", f"{it.url}/client", "-H", "X-Key: K", "-H", "X-DeviceId: D", "-H", TEXT),
                *("--data", "headers", "-b", jar),
            )
            answers = [posted.lines, slashed.lines, old.lines, in_headers.lines]
            assert answers == [["< 2: posted"], ["< 3: slashed"], ["< 4: old"], ["< 5: headers"]]

    run(main)


def test_refusals_can_be_read():
    async def main():
        async with stage(timeouts=Timeouts(drain=0.05)) as it:

            async def refused(*arguments):
                answer = await curl(*arguments)
                assert answer.header("Cache-Control") == "no-store"
                assert answer.header("Content-Type") == "text/plain; charset=utf-8"
                assert answer.session is None
                return answer.status, answer.text

            for method in ("DELETE", "PATCH", "OPTIONS"):
                answer = await curl("-X", method, f"{it.url}{AT}")
                assert (answer.status, answer.header("Allow")) == (405, "GET, POST, PUT")
                assert re.fullmatch(rf"! .*{method}.*\n", answer.text)
            assert (await curl("-I", f"{it.url}{AT}")).status == 405
            for query, missing in (("deviceId=D", "key"), ("key=K", "deviceId"), ("", "key")):
                status, text = await refused(
                    "-X", "PUT", f"{it.url}/client?{query}", "-H", TEXT, "--data", "hello"
                )
                assert status == 400
                assert re.fullmatch(rf"! .*{missing}.*\n", text)
            # What curl sends when it is not told otherwise.
            status, text = await refused("-X", "PUT", f"{it.url}{AT}", "--data", "hello")
            assert status == 415
            assert re.fullmatch(r"! .*application/x-www-form-urlencoded.*\n", text)
            answer = await curl("-X", "PUT", f"{it.url}/client?key=K", "-H", JSON, "--data", "{}")
            assert (answer.status, answer.header("Content-Type")) == (400, "application/json")
            assert answer.types == ["Error"]
            assert "deviceId" in answer.events[0]["text"]
            for path in ("/", "/clients", "/client/x", "/socket/client"):
                assert (await curl("-X", "PUT", f"{it.url}{path}?key=K&deviceId=D")).status == 404

    run(main)


def test_the_host_decides_who_may_speak():
    async def authorise(init):
        return None if init.key == "secret" else "Who are you?"

    async def main():
        async with stage(authorise=authorise, timeouts=Timeouts(drain=0.05)) as it:
            it.next_request_works = it.settled
            query = f"{it.url}/client?deviceId=D&key="
            answer = await curl("-X", "PUT", f"{query}K", "-H", TEXT, "--data", "hello")
            assert (answer.status, answer.text) == (403, "! Who are you?\n")
            answer = await curl("-X", "PUT", f"{query}K", "-H", JSON, "--data", said("hello").decode())
            assert (answer.status, answer.events) == (403, [{"type": "Error", "text": "Who are you?"}])
            answer = await curl("-X", "PUT", f"{query}secret", "-H", TEXT, "--data", "hello")
            assert (answer.status, answer.text) == (200, "< You said: hello\n")

    run(main)


def test_what_a_request_says_of_its_client():
    seen = []

    async def main():
        async with stage(observe=seen.append) as it:
            await curl("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", "hello")
            config = next(event for event in seen if isinstance(event, InitEvent)).config
            assert (config.locale, config.zone_id) == ("en-US", "Europe/Prague")
            seen.clear()
            await curl(
                *("-X", "PUT", f"{it.url}{AT}&timeZone=Europe/Oslo&ttsFileType=wav", "-H", TEXT),
                *("-H", "Accept-Language: cs-CZ,cs;q=0.9", "-H", "X-TimeZone: UTC", "-H", "X-Key: other"),
                *("-H", "X-SttSampleRate: 8000", "--data", "hello"),
            )
            init = next(event for event in seen if isinstance(event, InitEvent))
            assert (init.key, init.device_id) == ("K", "D")
            assert (init.config.locale, init.config.zone_id) == ("cs-CZ", "Europe/Oslo")
            assert (init.config.tts_file_type.value, init.config.stt_sample_rate) == ("wav", 8000)

    run(main)


def test_lines_of_text_say_all_there_is(complaints):
    async def dialogue(turn):
        if turn.text == "fail":
            yield "So far so good."
            raise RuntimeError("out of ideas")
        if turn.text == "nothing":
            return
        yield "one\ntwo\r\n. three"
        yield ResponseItem(text="#card", code='{"a": "(1, 2)"}')
        yield ResponseItem(text="with a picture", image="/a.png", audio="https://x/y.mp3")
        turn.finish(session_ended=True, sleep_timeout=60)

    async def main():
        async with stage(dialogue) as it:
            answer = await curl("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", "Grüße")
            assert answer.lines == [
                *("< one", "< two", "< . three"),
                '# (code={"a": "%281%2C 2%29"})',
                "< #card",
                "# (audio=https://x/y.mp3, image=/a.png)",
                "< with a picture",
            ]
            answer = await curl("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", "nothing")
            assert (answer.status, answer.text) == (200, "")
            answer = await curl("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", "fail")
            assert answer.lines == ["< So far so good.", "< Something went wrong.", "."]
        assert complaints.pop().startswith("the dialogue failed")

    run(main)


def test_the_answer_in_json():
    async def dialogue(turn):
        yield "one"
        turn.finish(sleep_timeout=7)

    async def main():
        async with stage(dialogue) as it:
            line = ("-X", "PUT", "-H", JSON, "--data", said("hello").decode())
            answer = await curl(f"{it.url}{AT}", *line)
            assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
            assert answer.types == ["ResponseItem", "Response"]
            response = answer.events[1]["response"]
            assert response["items"] == []
            assert response["sleepTimeout"] == response["sessionTimeout"] == 7
            answer = await curl(f"{it.url}{AT}&sendResponseItems=false", *line)
            assert answer.types == ["Response"]
            assert [item["text"] for item in answer.events[0]["response"]["items"]] == ["one"]

    run(main)


@pytest.mark.parametrize("how", ["uvicorn", "starlette"])
def test_below_a_mount_point(how):
    async def main():
        app = ChannelApp(counting)
        mounted = Starlette(routes=[Mount("/voice", app=app)]) if how == "starlette" else app
        settings = {"root_path": "/voice"} if how == "uvicorn" else {}
        async with serving(mounted, **settings) as address:
            prefix = "/voice" if how == "starlette" else ""
            for path in ("/client", "/client/"):
                answer = await put(address, f"{prefix}{path}?key=K&deviceId=D", TEXT, body=b"hello")
                assert answer.text == "< 1: hello\n"
                assert "Path=/;" in answer.header("Set-Cookie")

    run(main)


def test_a_websocket_at_the_same_address_speaks_v1():
    async def main():
        async with stage() as it:
            for path in ("/client", "/client/"):
                async with connect(f"ws://{it.address}{path}") as socket:
                    await socket.send('{"type":"Init","key":"K","deviceId":"D"}')
                    assert json.loads(await socket.recv()) == {"type": "Ready"}

    run(main)


def test_curl_asks_before_it_sends():
    async def main():
        async with stage(timeouts=Timeouts(drain=0.1)) as it:
            # Nothing has come through the pipe yet, and the user is told already.
            for refused in (("-H", "Content-Type: image/png"), ("-X", "DELETE"), ("-H", "Cookie: \x01")):
                async with await Curl.start("-T", "-", f"{it.url}{AT}", *refused) as user:
                    answer = await asyncio.wait_for(user.head(), SOON)
                    assert answer.status in (400, 405, 415)
                    assert not answer.continued
            async with await Curl.start("-T", "-", f"{it.url}{AT}", "-H", TEXT) as user:
                await user.write(b"hello")
                user.close()
                answer = await user.head()
                assert (answer.status, answer.continued) == (200, True)
                assert await user.end() == b"< You said: hello\n"

    run(main)


def test_requests_of_one_connection():
    async def main():
        async with stage(counting) as it, wire(it.address) as user:
            for number in range(5):
                user.send("PUT", AT, TEXT, cookie("a"), body=b"x")
                if number == 2:
                    user.send("DELETE", AT)
            statuses = [(answer.status, answer.text) for answer in [await user.answer() for _ in range(6)]]
            assert [status for status, _ in statuses] == [200, 200, 200, 405, 200, 200]
            assert [text for _, text in statuses if "x" in text] == [f"< {n}: x\n" for n in range(1, 6)]

    run(main)


# ------------------------------------------------------------ cookies


def test_a_session_id_may_be_proposed_and_must_be_well_formed():
    async def main():
        async with stage(counting) as it:
            proposed = new_id()
            for count in ("1", "2"):
                answer = await put(it.address, AT, TEXT, cookie(proposed), body=b"x")
                assert (answer.session, answer.text) == (proposed, f"< {count}: x\n")
            for bad in ("a" * 65, "a.b", "a b", "%0d%0aX-Evil:1", "ä", "../..", '"'):
                answer = await put(it.address, AT, TEXT, cookie(bad), body=b"x")
                assert answer.status == 200
                assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", answer.session)
                assert answer.session != bad
                assert answer.text == "< 1: x\n"

    run(main)


def test_other_cookies_do_not_disturb():
    async def main():
        async with stage(counting) as it:
            mine = "flowstorm-session-id=mine"
            for count, text in enumerate((f"a=b; {mine}; c", f"lang=čeština; {mine}", f"x=\xa0;{mine}"), 1):
                answer = await put(it.address, AT, TEXT, f"Cookie: {text}", body=b"x")
                assert (answer.status, answer.session, answer.text) == (200, "mine", f"< {count}: x\n")

    run(main)


def test_a_cookie_has_its_attributes():
    async def main():
        async with stage(counting) as it:
            answer = await put(it.address, AT, TEXT, cookie("mine"), body=b"x")
            expected = "flowstorm-session-id=mine; Path=/; HttpOnly; SameSite=Lax"
            assert answer.header("Set-Cookie") == expected
            # A proxy on this host may say so.
            proxied = await put(it.address, AT, TEXT, "X-Forwarded-Proto: https", cookie("mine"), body=b"x")
            assert proxied.header("Set-Cookie") == f"{expected}; Secure"

    run(main)


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False), (None, False)])
def test_a_cookie_is_secure_when_the_scheme_is(scheme, secure):
    async def main():
        sent, bodies = [], [b"hello"]

        async def receive():
            if not bodies:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "PUT",
            "path": "/client",
            "query_string": b"key=K&deviceId=D",
            "headers": [(b"content-type", b"text/plain"), (b"host", b"https:")],
        }
        if scheme is not None:
            scope["scheme"] = scheme
        await ChannelApp(counting)(scope, receive, send)
        headers = dict(sent[0]["headers"])
        assert headers[b"set-cookie"].endswith(b"SameSite=Lax; Secure" if secure else b"SameSite=Lax")

    run(main)


def test_a_foreign_session_is_never_joined():
    async def main():
        stuck = Stuck()
        secrets = []

        async def dialogue(turn):
            secrets.append(turn.session.data.get("secret"))
            turn.session.data["secret"] = turn.text
            return await stuck(turn) if turn.text == "wait" else "fine"

        async with stage(dialogue) as it:
            mine = (await put(it.address, AT, TEXT, body=b"mine")).session
            for query in ("key=K&deviceId=E", "key=L&deviceId=D", "key=D&deviceId=K"):
                answer = await put(it.address, f"/client?{query}", TEXT, cookie(mine), body=b"theirs")
                assert answer.status == 200
                assert answer.session != mine
            # Nor while its first turn runs, when nothing has been kept of it yet.
            async with wire(it.address) as first:
                first.send("PUT", AT, TEXT, cookie("shared"), body=b"wait")
                await until(lambda: stuck.begun)
                answer = await put(
                    it.address, "/client?key=L&deviceId=D", TEXT, cookie("shared"), body=b"theirs"
                )
                assert answer.session != "shared"
                stuck.go_on.set()
                assert (await first.answer()).session == "shared"
            assert secrets == [None] * 6
            assert (await put(it.address, AT, TEXT, cookie(mine), body=b"me")).session == mine
            assert (await put(it.address, AT, TEXT, cookie("shared"), body=b"me")).session == "shared"
            assert secrets[6:] == ["mine", "wait"]

    run(main)


# ------------------------------------------------------------ audio while it is spoken


class ByHand:
    """PUT and GET over connections of one's own."""

    @asynccontextmanager
    async def put(self, it, target, *headers):
        async with wire(it.address) as self._put:
            self._put.send("PUT", target, *headers, body=True)
            self.write = self._put.chunk
            yield self

    async def end(self):
        self._put.end()
        return await self._put.answer()

    @asynccontextmanager
    async def get(self, it, target, *headers):
        async with wire(it.address) as get:
            get.send("GET", target, *headers)
            yield get


class WithHttpx:
    """PUT and GET with httpx: the body of the PUT is an async generator."""

    @asynccontextmanager
    async def put(self, it, target, *headers):
        self._blocks = asyncio.Queue()

        async def body():
            while (block := await self._blocks.get()) is not None:
                yield block

        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"{it.url}{target}"
            self._done = asyncio.create_task(client.put(url, content=body(), headers=named(*headers)))
            yield self
            await self._done

    async def write(self, block):
        self._blocks.put_nowait(block)

    async def end(self):
        self._blocks.put_nowait(None)
        answer = await self._done
        return Answer(answer.status_code, list(answer.headers.items()), answer.content)

    @asynccontextmanager
    async def get(self, it, target, *headers):
        async with httpx.AsyncClient(trust_env=False) as client:
            yield HttpxStream(client.stream("GET", f"{it.url}{target}", headers=named(*headers)))


class HttpxStream:
    def __init__(self, stream):
        self._stream = stream
        self._begun = asyncio.create_task(stream.__aenter__())

    async def head(self):
        answer = await self._begun
        self._lines = answer.aiter_lines()
        return Answer(answer.status_code, list(answer.headers.items()))

    async def line(self):
        try:
            return await self._lines.__anext__()
        except StopAsyncIteration:
            await self._stream.__aexit__(None, None, None)
            return ""


class WithCurl:
    """PUT and GET with curl: the body of the PUT comes through a pipe."""

    @asynccontextmanager
    async def put(self, it, target, *headers):
        headers = [part for header in headers for part in ("-H", header)]
        async with await Curl.start("-T", "-", f"{it.url}{target}", *headers) as self._put:
            self.write = self._put.write
            yield self

    async def end(self):
        self._put.close()
        answer = await self._put.head()
        answer.body = await self._put.end()
        return answer

    @asynccontextmanager
    async def get(self, it, target, *headers):
        headers = [part for header in headers for part in ("-H", header)]
        async with await Curl.start(f"{it.url}{target}", *headers) as get:
            yield get


@pytest.mark.parametrize("client", [ByHand, WithHttpx, WithCurl])
def test_interim_results_come_while_the_user_speaks(client):
    async def main():
        async with stage(recogniser=hearing(BLOCK)) as it:
            for head, target, pack in FORMS:
                await speak(it, head, target, pack)

    async def speak(it, head, target, pack):
        session = cookie(new_id())
        async with client().get(it, AT, session) as get:
            await until(lambda: it.app.sessions.waiting)
            async with client().put(it, target, head, session, "Accept: application/json") as speaker:
                await speaker.write(pack(spoken("one")))
                answer = await get.head()
                assert answer.status == 200
                assert answer.header("Content-Type") == "application/json"
                assert heard(json.loads(await get.line())) == interim("one")
                await speaker.write(pack(spoken("two")))
                assert heard(json.loads(await get.line())) == interim("one two")
                await speaker.write(pack(spoken("over")))
                assert await get.line() == ""
                # Recognition is finished: the client stops writing, and reads its answer.
                answer = await speaker.end()
        assert answer.status == 200
        assert answer.session in session
        events = unpacked(answer.body) if head is MSGPACK else answer.events
        assert [event["type"] for event in events] == ["RecognizedInput", "ResponseItem", "Response"]
        assert heard(events[0]) == final("one two over")
        assert events[1]["responseItem"]["text"] == "You said: one two over"

    run(main)


def test_a_body_in_single_bytes():
    size = 64

    async def main():
        async with stage(recogniser=hearing(size)) as it:
            for head, target, pack in FORMS:
                await speak(it, head, target, pack)

    async def speak(it, head, target, pack):
        session = cookie(new_id())
        async with wire(it.address) as get, wire(it.address) as speaker:

            async def say(word):
                for byte in pack(spoken(word, size)):
                    await speaker.chunk(bytes([byte]))
                    await asyncio.sleep(0)

            get.send("GET", AT, session)
            await until(lambda: it.app.sessions.waiting)
            speaker.send("PUT", target, head, session, body=True)
            await say("one")
            await get.head()
            assert heard(await get.event()) == interim("one")
            await say("two")
            assert heard(await get.event()) == interim("one two")
            await say("over")
            assert await get.line() == ""
            speaker.end()
            answer = await speaker.answer()
            events = unpacked(answer.body) if head is MSGPACK else answer.events
            assert [event["type"] for event in events] == ["RecognizedInput", "ResponseItem", "Response"]
            assert heard(events[0]) == final("one two over")

    run(main)


def test_a_get_may_come_when_the_user_speaks_already():
    words = []

    async def recogniser(sound):
        async for block in sound:
            words.append(block.rstrip(b"\0").decode())
            yield words[-1], words[-1] == "over"

    async def main():
        async with stage(recogniser=recogniser) as it, wire(it.address) as speaker:
            session = cookie(new_id())
            speaker.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
            await speaker.chunk(spoken("one"))
            await until(lambda: words == ["one"])
            async with wire(it.address) as first, wire(it.address) as second:
                first.send("GET", AT, session)
                await until(lambda: it.app.sessions._under_way[_who(session)].get is not None)
                await speaker.chunk(spoken("two"))
                await first.head()
                assert heard(await first.event()) == interim("two")
                second.send("GET", AT, session)
                assert await first.line() == ""  # a second GET ends the first
                await speaker.chunk(spoken("three"))
                await second.head()
                assert heard(await second.event()) == interim("three")
                await speaker.chunk(spoken("over"))
                assert await second.line() == ""
            # The response begins before the body ends, and what still comes is dropped.
            assert (await speaker.head()).status == 200
            assert heard(await speaker.event()) == final("over")
            assert (await speaker.event())["responseItem"]["text"] == "You said: over"
            assert (await speaker.event())["type"] == "Response"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(speaker.piece(), 0.02)
            for _ in range(3):
                await speaker.chunk(spoken("nobody listens"))
            speaker.end()
            assert await speaker.line() == ""
            assert words == ["one", "two", "three", "over"]
            # The connection is as good as before.
            speaker.send("PUT", AT, TEXT, body=b"hello")
            assert (await speaker.answer()).text == "< You said: hello\n"

    run(main)


def _who(session):
    return session.partition("=")[2], "K", "D"


def test_a_recording_is_recognised_to_its_end():
    async def main():
        async with stage(recogniser=hearing(BLOCK)) as it:
            recording = b"".join(map(spoken, ("how", "are", "you", "over")))
            answer = await curl(
                *("-X", "PUT", f"{it.url}{AT}", "-H", AUDIO, "-H", "Accept: text/plain"),
                *("--data-binary", "@-"),
                stdin=recording,
            )
            assert answer.lines == ["~ how are you over", "< You said: how are you over"]
            for kind in ("audio/wav", "audio/mpeg"):
                answer = await put(it.address, AT, f"Content-Type: {kind}", body=recording)
                assert answer.types == ["RecognizedInput", "ResponseItem", "Response"]
            # Nothing is recognised in it: that is silence, and nobody has to wait for it.
            answer = await put(it.address, AT, AUDIO, body=b"")
            assert answer.status == 204
            answer = await put(it.address, AT, AUDIO, body=bytes(100))
            assert heard(answer.events[0]) == final("#silence")
            assert answer.events[1]["responseItem"]["text"].startswith("I heard nothing.")

    run(main)


def test_the_user_may_go_on_in_writing():
    async def main():
        async with (
            stage(recogniser=hearing(BLOCK)) as it,
            wire(it.address) as get,
            wire(it.address) as speaker,
        ):
            session = cookie(new_id())
            get.send("GET", AT, session)
            await until(lambda: it.app.sessions.waiting)
            speaker.send("PUT", AT, JSON, session, body=True)
            await speaker.chunk(as_event(spoken("one")))
            await get.head()
            assert heard(await get.event()) == interim("one")
            await speaker.chunk(b'{"type":"InputStreamClose"}')
            assert await get.line() == ""
            await speaker.chunk(as_event(spoken("nobody listens")) + said("typed"))
            speaker.end()
            answer = await speaker.answer()
            assert answer.types == ["ResponseItem", "Response"]
            assert answer.events[0]["responseItem"]["text"] == "You said: typed"
            # The user has nothing to say after all.
            body = as_event(spoken("one")) + b'{"type":"InputStreamClose"}'
            assert (await put(it.address, AT, JSON, session, body=body)).status == 204

    run(main)


def test_silence_is_an_input(complaints):
    async def deaf(sound):
        async for _ in sound:
            yield "…", False
            raise RuntimeError("out of order")

    async def main():
        # Nobody recognises anything here, or somebody fails: with the end of the audio, that is silence.
        for recogniser in (None, deaf):
            async with stage(recogniser=recogniser) as it, wire(it.address) as speaker:
                speaker.send("PUT", f"{AT}&realtime=1", AUDIO, "Accept: text/plain", body=True)
                await speaker.chunk(spoken("one"))
                speaker.end()
                answer = await speaker.answer()
                assert answer.lines == ["~ #silence", "< I heard nothing. Are you still there?"]
        assert complaints.pop().startswith("the recogniser failed")

    run(main)


# ------------------------------------------------------------ the GET


def test_what_a_get_may_find():
    async def main():
        stuck = Stuck()
        timeouts = Timeouts(get=0.1, second_put=0.05)
        async with stage(stuck, recogniser=hearing(BLOCK), timeouts=timeouts) as it:
            answer = await request(it.address, "GET", AT)
            assert (answer.status, answer.types) == (400, ["Error"])
            answer = await request(it.address, "GET", "/client?key=K", cookie("a"))
            assert answer.status == 400
            # No PUT comes.
            answer = await request(it.address, "GET", AT, cookie("a"))
            assert (answer.status, answer.body) == (204, b"")
            assert answer.header("Cache-Control") == "no-store"
            # Recognition is over, the turn is not, and nobody speaks again.
            async with wire(it.address) as first:
                first.send("PUT", AT, TEXT, cookie("b"), body=b"hello")
                await until(lambda: stuck.begun)
                answer = await request(it.address, "GET", AT, cookie("b"))
                assert (answer.status, answer.body) == (200, b"")
                # Somebody else's cookie joins nothing.
                answer = await request(it.address, "GET", "/client?key=K&deviceId=E", cookie("b"))
                assert (answer.status, answer.body) == (204, b"")
                stuck.go_on.set()
                assert (await first.answer()).text == "< You said hello.\n"

    run(main)


def test_a_put_with_text_ends_the_get_that_waits_for_it():
    async def main():
        async with stage() as it, wire(it.address) as get:
            get.send("GET", AT, cookie("a"))
            await until(lambda: it.app.sessions.waiting)
            answer = await put(it.address, AT, TEXT, cookie("a"), body=b"hello")
            assert answer.text == "< You said: hello\n"
            answer = await get.answer()
            assert (answer.status, answer.body) == (200, b"")

    run(main)


def test_a_get_in_the_form_that_it_asks_for():
    async def main():
        async with stage(recogniser=hearing(BLOCK)) as it:

            async def listen(*accept):
                session = cookie(new_id())
                async with wire(it.address) as get, wire(it.address) as speaker:
                    get.send("GET", AT, session, *accept)
                    await until(lambda: it.app.sessions.waiting)
                    speaker.send("PUT", f"{AT}&realtime=1", AUDIO, session, *accept, body=True)
                    for word in ("one", "two", "over"):
                        await speaker.chunk(spoken(word))
                    speaker.end()
                    read, answer = await get.answer(), await speaker.answer()
                    assert read.status == answer.status == 200
                    assert read.header("Content-Type") == answer.header("Content-Type")
                    return read, answer

            read, answer = await listen("Accept: text/plain")
            assert read.header("Content-Type") == "text/plain; charset=utf-8"
            assert read.lines == ["~ one", "~ one two"]
            assert answer.lines == ["~ one two over", "< You said: one two over"]
            results = [interim("one"), interim("one two")]
            for accept in ("application/json, text/plain", "text/plain;q=0.9, application/json", "*/*"):
                read, answer = await listen(f"Accept: {accept}")
                assert read.header("Content-Type") == "application/json"
                assert [heard(event) for event in read.events] == results
            read, answer = await listen("Accept: application/msgpack")
            assert read.header("Content-Type") == "application/msgpack"
            assert [heard(event) for event in unpacked(read.body)] == results
            assert unpacked(answer.body)[1]["responseItem"]["text"] == "You said: one two over"

    run(main)


# ------------------------------------------------------------ as it is produced


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_said_is_heard_at_once(form):
    async def main():
        gates = {"hand": asyncio.Event(), "httpx": asyncio.Event(), "curl": asyncio.Event()}

        async def dialogue(turn):
            yield "one"
            await gates[turn.text].wait()
            yield "two"

        head, pack = (TEXT, str.encode) if form == "text" else (JSON, said)

        async def check(client, line):
            first = await line()
            assert (first if form == "text" else json.loads(first)["responseItem"]["text"]).endswith("one")
            assert not gates[client].is_set()
            gates[client].set()
            assert "two" in await line()
            if form == "json":
                assert json.loads(await line())["type"] == "Response"
            assert await line() == ""

        async with stage(dialogue) as it:
            async with wire(it.address) as user:
                user.send("PUT", AT, head, body=pack("hand"))
                await user.head()
                await check("hand", user.line)
            async with httpx.AsyncClient(trust_env=False) as user:
                stream = user.stream("PUT", f"{it.url}{AT}", content=pack("httpx"), headers=named(head))
                answer = HttpxStream(stream)
                await answer.head()
                await check("httpx", answer.line)
            line = ("-X", "PUT", f"{it.url}{AT}", "-H", head, "--data", pack("curl").decode())
            async with await Curl.start(*line) as user:
                await user.head()
                await check("curl", user.line)

    run(main)


# ------------------------------------------------------------ barge-in


@pytest.mark.parametrize("stored", [False, True])
def test_sixty_times_the_user_cannot_wait(stored):
    async def main():
        stuck = Stuck()
        async with stage(stuck, store=MemoryStore() if stored else None) as it:
            for given_up in ("not at all", "not even ended", "close", "abort"):
                stuck.forget()
                async with AsyncExitStack() as stack:
                    users = [await stack.enter_async_context(wire(it.address)) for _ in range(60)]
                    await interrupt(stuck, users, given_up)

    async def interrupt(stuck, users, given_up):
        session = cookie(new_id())
        texts = [f"{number}" for number in range(len(users))]
        for number, text in enumerate(texts):
            if number and given_up in ("close", "abort"):
                users[number - 1].hang_up(given_up)
            if given_up == "not even ended":
                users[number].send("PUT", AT, JSON, session, body=True)
                await users[number].chunk(said(text))
            else:
                users[number].send("PUT", AT, JSON, session, body=said(text))
            await until(lambda: len(stuck.begun) == number + 1)  # noqa: B023
        assert stuck.begun == texts
        await until(lambda: stuck.cancelled == texts[:-1])
        stuck.go_on.set()
        if given_up == "not even ended":
            for user in users:
                user.end()
        last = await users[-1].answer()
        assert (last.status, last.types) == (200, ["ResponseItem", "Response"])
        assert last.events[0]["responseItem"]["text"] == "You said 59."
        for user in users[:-1] if given_up.startswith("not") else ():
            answer = await user.answer()
            assert (answer.status, answer.types) == (200, ["Response"])
            assert answer.events[0]["response"]["items"] == []

    run(main)


def test_sixty_times_the_user_begins_anew():
    """Each time while the audio before is coming in, from a client that has just gone."""

    async def main():
        hearings = []

        async def recogniser(sound):
            hearings.append("begun")
            try:
                async for _ in sound:
                    yield "…", False
            finally:
                hearings.append("ended")

        async with stage(recogniser=recogniser) as it:
            session = cookie(new_id())
            for number in range(1, 61):
                async with wire(it.address) as user:
                    user.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
                    await user.chunk(spoken("one"))
                    await until(lambda: hearings.count("begun") == number)  # noqa: B023
                    user.hang_up("close" if number % 2 else "abort")
            answer = await put(it.address, AT, TEXT, session, body=b"hello")
            assert (answer.status, answer.text) == (200, "< You said: hello\n")
            await it.settled()
            assert hearings.count("ended") == 60

    run(main)


def test_sixty_times_the_user_speaks_into_the_answer():
    """The GET of what is said next may come before the server has heard that the last PUT was given up."""

    async def main():
        stuck = Stuck()
        async with stage(stuck, recogniser=hearing(BLOCK)) as it, AsyncExitStack() as stack:
            session = cookie(new_id())
            users = [await stack.enter_async_context(wire(it.address)) for _ in range(120)]
            for number in range(60):
                get, speaker = users[2 * number :][:2]
                if number and number % 3:
                    users[2 * number - 1].hang_up("close" if number % 3 == 1 else "abort")
                get.send("GET", AT, session)
                speaker.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
                for word in ("one", "two"):
                    await speaker.chunk(spoken(word))
                    if word == "one":
                        assert (await get.head()).status == 200
                    assert heard(await get.event())[1].endswith(word), number
                await speaker.chunk(spoken("over"))
                assert await get.line() == ""
                speaker.end()
                await until(lambda: len(stuck.begun) == number + 1)  # noqa: B023
            await until(lambda: len(stuck.cancelled) == 59)
            stuck.go_on.set()
            assert (await users[-1].answer()).types == ["RecognizedInput", "ResponseItem", "Response"]

    run(main)


def test_two_cannot_speak_at_once():
    async def main():
        timeouts = Timeouts(second_put=0.4, drain=0.1)
        async with stage(recogniser=hearing(BLOCK), timeouts=timeouts) as it, wire(it.address) as first:
            session = cookie(new_id())
            first.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
            await first.chunk(spoken("one"))
            await until(lambda: _speaks(it, session))
            begun = time.monotonic()
            async with wire(it.address) as second:
                second.send("PUT", AT, TEXT, session, body=b"me too")
                await until(lambda: it.app.sessions._under_way[_who(session)].waiting is not None)
                third = await put(it.address, AT, TEXT, session, body=b"me three")
                assert third.status == 409  # at once, while the second still waits
                assert it.app.sessions._under_way[_who(session)].waiting is not None
                # What has only logs collides with nobody.
                log = await put(it.address, AT, JSON, session, body=b'{"type":"Log","entries":[]}')
                assert log.status == 204
                answer = await second.answer()
                assert answer.status == 409
                assert re.fullmatch("! .*another request.*\n", answer.text)
                assert 0.4 <= time.monotonic() - begun < 2
            # The first goes on as if nothing had been.
            await first.chunk(spoken("over"))
            first.end()
            answer = await first.answer()
            assert heard(answer.events[0]) == final("one over")

    run(main)


def _speaks(it, session):
    meeting = it.app.sessions._under_way.get(_who(session))
    return meeting is not None and meeting.put is not None


def test_who_waits_for_the_end_of_the_audio_gets_the_turn():
    async def main():
        async with stage(recogniser=hearing(BLOCK)) as it:
            session = cookie(new_id())
            async with wire(it.address) as first, wire(it.address) as second:
                first.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
                await first.chunk(spoken("one"))
                await until(lambda: _speaks(it, session))
                second.send("PUT", AT, TEXT, session, body=b"me too")
                await until(lambda: it.app.sessions._under_way[_who(session)].waiting is not None)
                await first.chunk(spoken("over"))
                first.end()
                assert (await second.answer()).text == "< You said: me too\n"
                answer = await first.answer()
                assert heard(answer.events[0]) == final("one over")
                assert answer.types[-1] == "Response"

    run(main)


def test_inputs_may_be_queued():
    async def main():
        stuck = Stuck()
        async with stage(stuck, queue_inputs=True) as it:
            session = cookie(new_id())
            async with wire(it.address) as first, wire(it.address) as second:
                first.send("PUT", AT, TEXT, session, body=b"one")
                await until(lambda: stuck.begun)
                second.send("PUT", AT, TEXT, session, body=b"two")
                await until(lambda: it.app.sessions._under_way[_who(session)].waiting is not None)
                stuck.go_on.set()
                assert (await first.answer()).text == "< You said one.\n"
                assert (await second.answer()).text == "< You said two.\n"
            assert stuck.cancelled == []

    run(main)


def test_two_servers_with_one_store():
    async def main():
        stuck = Stuck()
        store = MemoryStore()

        async def dialogue(turn):
            if turn.text == "wait":
                turn.session.data["waited"] = True
                return await stuck(turn)
            count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
            return f"{count}: {turn.text}"

        async with stage(dialogue, store=store) as one, stage(dialogue, store=store) as two:
            session = cookie(new_id())
            texts = [(await put(each.address, AT, TEXT, session, body=b"x")).text for each in (one, two, one)]
            assert texts == ["< 1: x\n", "< 2: x\n", "< 3: x\n"]
            async with wire(one.address) as first:
                first.send("PUT", AT, JSON, session, body=said("wait"))
                await until(lambda: stuck.begun)
                answer = await put(two.address, AT, TEXT, session, body=b"barge in")
                assert (answer.status, answer.text) == (200, "< 4: barge in\n")
                assert (await first.answer()).types == ["Response"]
            assert stuck.cancelled == ["wait"]
            answer = await put(two.address, "/client?key=L&deviceId=D", TEXT, session, body=b"x")
            assert (answer.status, answer.text) == (200, "< 1: x\n")
            assert answer.session not in session

    run(main)


# ------------------------------------------------------------ broken requests


@pytest.mark.parametrize("how", ["close", "abort"])
def test_the_client_hangs_up(how):
    async def main():
        stuck = Stuck()
        hearings = []

        async def recogniser(sound):
            try:
                async for _ in sound:
                    hearings.append("block")
                    yield "…", False
            finally:
                hearings.append("ended")

        async with stage(stuck, recogniser=recogniser) as it:

            async def check():
                await it.settled()
                await it.next_request_works()

            session = cookie(new_id())
            # In the head, and in the middle of a body of text.
            async with wire(it.address) as user:
                user.writer.write(b"PUT /client HTTP/1.1\r\nHost:")
                user.hang_up(how)
            async with wire(it.address) as user:
                user.send("PUT", AT, TEXT, session, body=True)
                await user.chunk(b"hel")
                await until(it.leftovers)
                user.hang_up(how)
            await check()
            assert stuck.begun == []
            # In the middle of an event.
            async with wire(it.address) as user:
                user.send("PUT", AT, JSON, session, body=True)
                await user.chunk(said("hello")[:-5])
                await until(it.leftovers)
                user.hang_up(how)
            await check()
            assert stuck.begun == []
            # After the event, before the end of the body.
            async with wire(it.address) as user:
                user.send("PUT", AT, JSON, session, body=True)
                await user.chunk(said("events"))
                await until(lambda: stuck.begun)
                user.hang_up(how)
            await check()
            # While the dialogue runs.
            async with wire(it.address) as user:
                user.send("PUT", AT, TEXT, session, body=b"text")
                await until(lambda: len(stuck.begun) == 2)
                user.hang_up(how)
            await check()
            assert stuck.cancelled == ["events", "text"]
            # While the user speaks, and somebody reads.
            async with wire(it.address) as user, wire(it.address) as reader:
                reader.send("GET", AT, session)
                await until(lambda: it.app.sessions.waiting)
                user.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
                await user.chunk(spoken("one"))
                await reader.head()
                assert heard(await reader.event()) == interim("…")
                user.hang_up(how)
                assert await reader.line() == ""
            await check()
            assert hearings == ["block", "ended"]
            # The reader goes: the speaker does not care.
            async with wire(it.address) as user:
                async with wire(it.address) as reader:
                    reader.send("GET", AT, session)
                    await until(lambda: it.app.sessions.waiting)
                    user.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
                    await user.chunk(spoken("one"))
                    await reader.head()
                    await reader.event()
                    reader.hang_up(how)
                await until(lambda: it.app.sessions._under_way[_who(session)].get is None)
                await user.chunk(spoken("two"))
                await until(lambda: hearings.count("block") == 3)
                stuck.go_on.set()
                user.end()
                assert heard(json.loads(await _second_line(user))) == final("#silence")
                await user.rest()
            # A reader that waits for nobody.
            async with wire(it.address) as reader:
                reader.send("GET", AT, session)
                await until(lambda: it.app.sessions.waiting)
                reader.hang_up(how)
            await check()

    run(main)


async def _second_line(user):
    await user.head()
    return await user.line()


def test_curl_is_stopped_in_the_middle():
    async def main():
        stuck = Stuck()
        async with stage(stuck) as it:
            async with await Curl.start("-X", "PUT", f"{it.url}{AT}", "-H", TEXT, "--data", "hello"):
                await until(lambda: stuck.begun)
            await until(lambda: stuck.cancelled)

    run(main)


def test_a_body_that_does_not_go_on_is_refused():
    async def main():
        timeouts = Timeouts(body=0.1, drain=0.1)
        async with stage(recogniser=hearing(BLOCK), timeouts=timeouts) as it:

            async def stop(head, data):
                async with wire(it.address) as user:
                    user.send("PUT", f"{AT}&realtime=1", head, body=True)
                    if data is not None:
                        await user.chunk(data)
                    assert (await user.answer()).status == 408
                    await user.closed()

            await asyncio.gather(
                stop(TEXT, b"hel"),
                stop(JSON, b'{"type":'),
                stop(JSON, b" "),
                stop(MSGPACK, b"\x81"),
                stop(AUDIO, spoken("one")),
                stop(AUDIO, None),
            )

    run(main)


def test_an_answer_does_not_wait_for_ever_for_the_end_of_the_body(complaints):
    async def main():
        async with (
            stage(recogniser=hearing(BLOCK), timeouts=Timeouts(drain=0.1)) as it,
            wire(it.address) as user,
        ):
            user.send("PUT", f"{AT}&realtime=1", AUDIO, body=True)
            await user.chunk(spoken("over"))
            assert (await user.head()).status == 200
            events = [await user.event() for _ in range(3)]
            assert [event["type"] for event in events] == ["RecognizedInput", "ResponseItem", "Response"]
            # Who speaks on for ever is not listened to for ever.
            async with _speaking(user, spoken("and on")):
                await user.closed()
        # So does the server call it when a response is broken off, which is all that is left to do here.
        complaints[:] = [each for each in complaints if "without completing response" not in each]

    run(main)


@asynccontextmanager
async def _speaking(user, block):
    """Writes chunks without end."""

    async def write():
        with suppress(ConnectionError):
            while True:
                await user.chunk(block)
                await asyncio.sleep(0)

    task = asyncio.create_task(write())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_the_server_goes_away(complaints):
    stuck = Stuck()

    async def dialogue(turn):
        if turn.text == "talk":
            turn.say("one")
        return await stuck(turn)

    async def main():
        settings = {"recogniser": hearing(BLOCK), "timeouts": Timeouts(drain=0.1)}
        async with stage(dialogue, **settings) as it, AsyncExitStack() as stack:
            users = [await stack.enter_async_context(wire(it.address)) for _ in range(4)]
            reading, thinking, talking, speaking = users
            reading.send("GET", AT, cookie("a"))
            thinking.send("PUT", AT, JSON, body=said("think"))
            talking.send("PUT", AT, TEXT, body=b"talk")
            speaking.send("PUT", f"{AT}&realtime=1", AUDIO, cookie("b"), body=True)
            await speaking.chunk(spoken("one"))
            await talking.head()
            assert await talking.line() == "< one"
            await until(
                lambda: it.app.sessions.waiting and len(stuck.begun) == 2 and _speaks(it, cookie("b"))
            )
            async with connect(f"ws://{it.address}/client") as socket:
                await socket.send('{"type":"Init","key":"K","deviceId":"D"}')
                assert json.loads(await socket.recv()) == {"type": "Ready"}
                it.app.close()
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd.code == 1001
            assert (await reading.answer()).status == 204
            for user in (thinking, speaking):
                answer = await user.answer()
                assert (answer.status, answer.types) == (503, ["Error"])
            # What has begun can only be broken off.
            await talking.closed()
            await until(lambda: sorted(stuck.cancelled) == ["talk", "think"])
        complaints[:] = [each for each in complaints if "without completing response" not in each]

    run(main)


# ------------------------------------------------------------ hostile ones


SMUGGLED = [
    b"Cookie: flowstorm-session-id=a\rSet-Cookie: x=y\r\n",
    b"Cookie: flowstorm-session-id=a\x00b\r\n",
    b"Cookie: flowstorm-session-id=a\x0bb\r\n",
    b"X-TimeZone: UTC\rX-Evil: 1\r\n",
    b"X-DeviceId : D\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"\x00: a\r\n",
]


def test_a_head_that_smuggles_is_refused():
    async def main():
        async with stage(timeouts=Timeouts(drain=0.05)) as it:
            for smuggled in SMUGGLED:
                async with wire(it.address) as user:
                    user.writer.write(
                        f"PUT {AT} HTTP/1.1\r\nHost: test\r\n{TEXT}\r\nConnection: close\r\n".encode()
                        + smuggled
                        + b"\r\nhello"
                    )
                    got = await user.reader.read()
                    assert re.match(rb"HTTP/1.1 (400|501) ", got), smuggled
                    assert b"evil" not in got.lower()
                    assert b"set-cookie" not in got.lower()

    run(main)


def test_nothing_in_a_request_comes_back_as_a_header():
    async def main():
        seen = []
        async with stage(counting, observe=seen.append, timeouts=Timeouts(drain=0.05)) as it:
            evil = "a%0d%0aX-Evil:%201"
            for query in (
                f"key={evil}&deviceId=D",
                f"key=K&deviceId={evil}",
                f"key=K&deviceId=D&sttModel={evil}",
                f"key=K&deviceId=D&timeZone={evil}",
            ):
                answer = await put(it.address, f"/client?{query}", TEXT, body=b"x")
                assert (answer.status, answer.header("X-Evil")) == (400, None)
                assert answer.lines[0].startswith("! ")
                assert len(answer.lines) == 1
            # Lines that are folded are one line, or nothing that the server takes.
            answer = await put(it.address, AT, TEXT, cookie("a") + ";\r\n X-Evil: 1", body=b"x")
            assert (answer.status, answer.session) in ((200, "a"), (400, None))
            assert answer.header("X-Evil") is None
            # A type that is none cannot write lines of its own.
            answer = await put(it.address, AT, "Content-Type: <x>\t. y", body=b"x")
            assert (answer.status, len(answer.lines)) == (415, 1)
            # The address counts, whatever stands in Host.
            async with wire(it.address) as user:
                user.writer.write(
                    b"PUT /client?key=K&deviceId=D HTTP/1.1\r\nHost: x?key=L&deviceId=E#\r\n"
                    b"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"
                )
                seen.clear()
                answer = await user.answer()
                told = [(each.key, each.device_id) for each in seen if isinstance(each, InitEvent)]
                assert told in ([], [("K", "D")])

    run(main)


def test_heads_that_are_too_long():
    async def main():
        async with stage(timeouts=Timeouts(drain=0.05)) as it:
            answer = await put(it.address, AT, TEXT, f"X-Long: {'x' * 5000}", body=b"x")
            assert answer.status == 431
            assert re.fullmatch("! .*4096.*\n", answer.text)
            answer = await put(it.address, f"{AT}&x={'x' * 5000}", TEXT, body=b"x")
            assert answer.status == 431
            many = [f"X-{number}: {'x' * 1000}" for number in range(20)]
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                answer = await put(it.address, AT, TEXT, *many, body=b"x")
                assert answer.status in (400, 431)
            # Here the server itself loses patience; what it has said may be lost with the connection.
            async with wire(it.address) as user:
                with suppress(ConnectionError):
                    user.send("PUT", AT, TEXT, "Connection: close", f"X-Long: {'x' * 1_000_000}", body=b"x")
                    await user.writer.drain()
                    got = await user.reader.read()
                    assert re.match(rb"HTTP/1.1 (400|431) ", got) or not got

    run(main)


SMALL = Limits(
    body_bytes=100_000, message_bytes=20_000, string_bytes=10_000, audio_bytes=20_000, queued_bytes=50_000
)


ENDLESS = [
    (TEXT, b"x" * 4000),
    (JSON, b" \n" * 2000),
    (JSON, b'{"type":"Log","entries":[]}' * 5),
    (JSON, as_event(bytes(3000))),
    (MSGPACK, as_map(bytes(3000))),
    (AUDIO, bytes(4000)),
    ("Content-Type: image/png", bytes(4000)),
]


def test_a_body_without_end():
    async def recogniser(sound):
        async for _ in sound:
            yield "…", False

    async def main():
        settings = {"limits": SMALL, "timeouts": Timeouts(drain=0.05), "recogniser": recogniser}
        async with stage(**settings) as it:
            for head, block in ENDLESS:
                await refused(it, head, block)

    async def refused(it, head, block):
        tracemalloc.start()
        try:
            async with wire(it.address) as user:
                user.send("PUT", AT, head, body=True)
                async with _speaking(user, block):
                    answer = await user.head()
                    assert answer.status == (415 if "image" in head else 413), head
                    assert re.search(rb"more than \d+ bytes|image/png", await user.piece())
                    await user.closed()
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()

    run(main)


def test_a_get_with_a_body():
    async def main():
        async with stage(limits=SMALL, timeouts=Timeouts(get=0.1, drain=0.1)) as it:
            async with wire(it.address) as user:
                user.send("GET", AT, cookie("a"), body=b"xyz")
                assert (await user.answer()).status == 204
                user.send("PUT", AT, TEXT, body=b"hello")
                assert (await user.answer()).text == "< You said: hello\n"
            async with wire(it.address) as user:
                user.send("GET", AT, cookie("a"), body=True)
                await user.chunk(b"it stops here")
                assert (await user.head()).status in (204, 408)
                await it.settled()
            async with wire(it.address) as user:
                user.send("GET", AT, cookie("a"), body=True)
                async with _speaking(user, bytes(4000)):
                    assert (await user.head()).status in (204, 413)
                    await user.closed()

    run(main)


def test_who_reads_for_a_put_that_is_refused():
    async def main():
        settings = {"limits": SMALL, "timeouts": Timeouts(drain=0.1), "recogniser": hearing(BLOCK)}
        async with stage(**settings) as it, wire(it.address) as get, wire(it.address) as user:
            session = cookie(new_id())
            get.send("GET", AT, session)
            await until(lambda: it.app.sessions.waiting)
            user.send("PUT", f"{AT}&realtime=1", AUDIO, session, body=True)
            await user.chunk(spoken("one"))
            await get.head()
            assert heard(await get.event()) == interim("one")
            async with _speaking(user, bytes(4000)):
                assert (await user.head()).status == 413
                await get.rest()

    run(main)


def test_curl_sends_zeros_without_end():
    async def main():
        settings = {"limits": SMALL, "timeouts": Timeouts(drain=0.1), "recogniser": hearing(BLOCK)}
        async with stage(**settings) as it:
            for head, status in ((TEXT, 413), (AUDIO, 413), ("Content-Type: image/png", 415)):
                async with await Curl.start("-T", "/dev/zero", f"{it.url}{AT}", "-H", head) as user:
                    assert (await user.head()).status == status
                    assert await user.line()

    run(main)


def test_a_recogniser_that_does_not_listen_fills_no_memory():
    async def main():
        hearings = []

        async def recogniser(sound):
            hearings.append(sound)
            await asyncio.Event().wait()
            yield "never", True

        limits = Limits(queued_bytes=50_000)
        async with stage(recogniser=recogniser, limits=limits, timeouts=Timeouts(body=0.2, drain=0.1)) as it:
            async with wire(it.address) as user:
                user.send("PUT", f"{AT}&realtime=1", AUDIO, body=True)
                async with _speaking(user, bytes(4000)):
                    await until(lambda: hearings and hearings[0].full)
                    assert (await user.head()).status == 408
            async with wire(it.address) as user:
                user.send("PUT", f"{AT}&realtime=1", AUDIO, body=True)
                async with _speaking(user, bytes(4000)):
                    await until(lambda: len(hearings) == 2 and hearings[1].full)
                user.hang_up()
            await it.settled()
            # What the server reads at once may come on top.
            assert max(sound._held for sound in hearings) < 800_000

    run(main)


GARBAGE = [
    (TEXT, b""),
    (TEXT, b"\n"),
    (TEXT, b"\xff\xfe"),
    (JSON, b"hello"),
    (JSON, b"{"),
    (JSON, b"[]]"),
    (JSON, b"\x00"),
    (JSON, b'{"type":"Input"}'),
    (JSON, b'{"type":"Ready"}'),
    (JSON, b'{"type":"Init","key":"K","deviceId":"D"}'),
    (JSON, b'{"type":"Binary","data":"?"}'),
    (JSON, b"[" * 1000),
    (JSON, b'{"a":' * 1000),
    (MSGPACK, b"\xc1"),
    (MSGPACK, b"\x93\x01\x02\x03"),
    (MSGPACK, b"\xdf\xff\xff\xff\xff"),
    (MSGPACK, b"\x81\xa4type\xdb\xff\xff\xff\xff"),
]


def test_garbage_is_refused():
    async def main():
        async with stage(counting) as it:
            for head, body in GARBAGE:
                async with wire(it.address) as user:
                    user.send("PUT", AT, head, body=body)
                    answer = await user.answer()
                    assert answer.status in (400, 413), body
                    assert answer.session is None
                    # The body has come whole: the connection can be used again.
                    user.send("PUT", AT, TEXT, body=b"x")
                    assert (await user.answer()).text == "< 1: x\n"

    run(main)


def test_garbage_behind_a_good_event():
    async def main():
        stuck = Stuck()

        async def dialogue(turn):
            if turn.text == "at once":
                turn.say("begun")
            return await stuck(turn)

        async with stage(dialogue, timeouts=Timeouts(drain=0.1)) as it:
            # Nothing has been said yet: it was no request.
            answer = await put(it.address, AT, JSON, body=said("hello") + b"}")
            assert (answer.status, answer.types) == (400, ["Error"])
            # Too late for a status.
            async with wire(it.address) as user:
                user.send("PUT", AT, JSON, body=True)
                await user.chunk(said("at once"))
                assert (await user.head()).status == 200
                assert (await user.event())["type"] == "ResponseItem"
                await user.chunk(b"}")
                assert (await user.event())["type"] == "Error"
                user.end()
                assert await user.line() == ""
            # So is a second input.
            async with wire(it.address) as user:
                user.send("PUT", AT, JSON, body=True)
                await user.chunk(said("at once"))
                await user.head()
                await user.event()
                await user.chunk(said("and again"))
                assert (await user.event())["type"] == "Error"
                user.end()
                assert await user.line() == ""
            assert "and again" not in stuck.begun
            await it.settled()
            assert len(stuck.cancelled) == len(stuck.begun)

    run(main)


def test_only_so_many_may_wait():
    async def main():
        async with stage() as it:
            it.app.sessions.most_waiting = 5
            wires = [wire(it.address) for _ in range(5)]
            users = [await each.__aenter__() for each in wires]
            for number, user in enumerate(users):
                user.send("GET", AT, cookie(f"session-{number}"))
            await until(lambda: it.app.sessions.waiting == 5)
            answer = await request(it.address, "GET", AT, cookie("one-too-many"))
            assert answer.status == 503
            assert answer.types == ["Error"]
            await it.next_request_works()
            users[0].hang_up()
            await until(lambda: it.app.sessions.waiting == 4)
            async with wire(it.address) as user:
                user.send("GET", AT, cookie("one-too-many"))
                await until(lambda: it.app.sessions.waiting == 5)
            for each in wires:
                await each.__aexit__(None, None, None)

    run(main)


def test_a_client_that_stops_reading():
    async def main():
        parts = []

        async def dialogue(turn):
            if turn.text != "talk":
                yield "at last"
                return
            for number in range(10_000):
                parts.append(number)
                yield "x" * 10_000

        async with stage(dialogue) as it:
            session = cookie(new_id())
            async with wire(it.address) as user:
                user.send("PUT", AT, TEXT, session, body=b"talk")
                await user.head()
                before = -1
                while before != len(parts):  # until nothing more goes out
                    before = len(parts)
                    for _ in range(100):
                        await asyncio.sleep(0.001)
                assert len(parts) < 9_000
                # Others are served, and the same user in another request, too.
                await it.next_request_works()
                answer = await put(it.address, AT, TEXT, session, body=b"hello")
                assert answer.text == "< at last\n"
                assert len(parts) == before
            await it.settled()

    run(main)


# ------------------------------------------------------------ msgpack and logs


def test_msgpack_both_ways():
    async def main():
        async with stage(counting) as it:
            body = msgpack.packb({"type": "Log", "entries": []}) + msgpack.packb(
                {"type": "Input", "input": {"transcript": {"text": "hello"}}}
            )
            answer = await put(it.address, AT, MSGPACK, body=body)
            assert (answer.status, answer.header("Content-Type")) == (200, "application/msgpack")
            item, response = unpacked(answer.body)
            assert item["responseItem"]["text"] == "1: hello"
            assert response["type"] == "Response"
            answer = await put(it.address, AT, MSGPACK, body=b"\xc1")
            assert (answer.status, answer.header("Content-Type")) == (400, "application/msgpack")
            assert msgpack.unpackb(answer.body)["type"] == "Error"

    run(main)


def test_logs_are_no_turn():
    async def main():
        seen = []
        async with stage(counting, observe=seen.append) as it:
            entry = {"time": "2022-05-27T14:19:04.123", "relativeTime": 1.5, "level": "INFO", "text": "went"}
            log = json.dumps({"type": "Log", "entries": [entry]})
            for session in ("", "a", "b"):
                answer = await curl(
                    *("-X", "PUT", f"{it.url}{AT}", "-H", JSON, "--data", log, "-H", cookie(session))
                )
                assert (answer.status, answer.body, answer.session) == (204, b"", None)
            told = [event for event in seen if isinstance(event, LogEvent)]
            assert [event.entries[0].text for event in told] == ["went"] * 3
            answer = await put(it.address, AT, JSON, body=b"")
            assert answer.status == 204
            # With an input behind it, it is.
            answer = await put(it.address, AT, JSON, body=log.encode() + said("hello"))
            assert answer.types == ["ResponseItem", "Response"]

    run(main)

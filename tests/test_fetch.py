"""What requests are verified with is fetched over real HTTPS on loopback, once for all who wait for it."""

import asyncio
import logging
import ssl
import threading
import urllib.request
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from flowstorm_channel.contrib import fetch as fetching
from flowstorm_channel.contrib.fetch import Fetcher, fetch
from flowstorm_channel.testing import ManualClock, signing
from tests.serving import run

# ------------------------------------------------------------ from a server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for localhost, as a server and as a client of it take it."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    root = signing._certificate("Test root", "Test root")
    leaf = signing._certificate("Test leaf", "Test root", hosts=["localhost"])
    key = signing._key("Test leaf").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + leaf.public_bytes(Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    return serving, ssl.create_default_context(cadata=root.public_bytes(Encoding.PEM).decode())


HEAD = "HTTP/1.1 {}\r\nConnection: close\r\n"


class Documents:
    """A server of documents, some of which cannot be had."""

    def __init__(self, context):
        self._context = context
        self.asked = []

    async def __aenter__(self):
        self._connections = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        port = self._server.sockets[0].getsockname()[1]
        return f"https://localhost:{port}"

    async def __aexit__(self, *_):
        self._server.close()
        for writer, _ in self._connections:
            writer.transport.abort()
        await asyncio.gather(*(serving for _, serving in self._connections))
        for _ in range(500):
            # Before Python 3.12 nobody waits for those whose handshake is not over.
            if not getattr(self._server, "_active_count", 0):
                break
            await asyncio.sleep(0.01)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._connections.append((writer, asyncio.current_task()))
        with suppress(OSError, asyncio.IncompleteReadError):  # the client has had enough
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            self.asked.append(path)
            await getattr(self, path.strip("/"))(reader, writer)
            writer.close()
            await writer.wait_closed()

    def _say(self, writer, status, *headers, body=b""):
        lines = (*headers, f"Content-Length: {len(body)}", "", "")
        writer.write(HEAD.format(status).encode() + "\r\n".join(lines).encode() + body)

    async def good(self, _, writer):
        self._say(writer, "200 OK", body=b"the document")

    async def pieces(self, _, writer):
        writer.write(HEAD.format("200 OK").encode() + b"\r\n")
        for piece in (b"the ", b"document"):
            writer.write(piece)
            await writer.drain()

    async def missing(self, _, writer):
        self._say(writer, "404 Not Found", body=b"no such document")

    async def moved(self, _, writer):
        self._say(writer, "302 Found", "Location: /good")

    async def broken(self, _, writer):
        self._say(writer, "500 Internal Server Error")

    async def longest(self, _, writer):
        self._say(writer, "200 OK", body=bytes(fetching.MOST))

    async def long(self, _, writer):
        self._say(writer, "200 OK", body=bytes(fetching.MOST + 1))
        await writer.drain()

    async def nonsense(self, _, writer):
        writer.write(b"good morning\r\n\r\n")

    async def silent(self, reader, _):
        await reader.read()

    async def endless(self, _, writer):
        writer.write(HEAD.format("200 OK").encode() + b"\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)


@pytest.fixture
def documents(authority, monkeypatch):
    """The server, which `fetch` trusts."""
    serving, trusting = authority
    monkeypatch.setenv("no_proxy", "*")
    handlers = (fetching._NoRedirections, urllib.request.HTTPSHandler(context=trusting))
    monkeypatch.setattr(fetching, "_opener", urllib.request.build_opener(*handlers))
    return Documents(serving)


def fetched(documents, path):
    async def main():
        async with documents as address:
            return await fetch(f"{address}{path}")

    return run(main)


@pytest.mark.parametrize("path", ["/good", "/pieces"])
def test_a_document(documents, path):
    assert fetched(documents, path) == b"the document"


def test_the_longest_document(documents):
    assert len(fetched(documents, "/longest")) == fetching.MOST


def test_an_address_in_capitals(documents):
    async def main():
        async with documents as address:
            return await fetch(f"HTTPS{address[5:]}/good")

    assert run(main) == b"the document"


@pytest.mark.parametrize("path", ["/missing", "/moved"])
def test_a_document_that_is_not_there(documents, path):
    """Redirections are not followed: what was checked is the address, not where it leads."""
    assert fetched(documents, path) is None
    assert documents.asked == [path]


@pytest.mark.parametrize("path", ["/broken", "/long", "/silent", "/endless", "/nonsense"])
def test_a_document_that_cannot_be_had(documents, monkeypatch, path):
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    with pytest.raises(OSError, match=r"\w"):
        fetched(documents, path)
    assert documents.asked == [path]


def test_a_server_that_is_not_trusted(documents, monkeypatch):
    monkeypatch.setattr(fetching, "_opener", urllib.request.build_opener(fetching._NoRedirections))
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        fetched(documents, "/good")
    assert documents.asked == []


def test_nobody_is_there():
    with pytest.raises(OSError, match=r"\w"):
        run(lambda: fetch("https://localhost:1/x"))


@pytest.mark.parametrize("url", ["http://localhost/x", "file:///etc/hostname", "ftp://localhost/x", "", "x"])
def test_only_https_is_fetched(url):
    with pytest.raises(ValueError, match="https"):
        run(lambda: fetch(url))


def test_who_does_not_want_to_wait_does_not(documents, monkeypatch):
    """The thread that waits is nobody's but its own."""
    monkeypatch.setattr(fetching, "SECONDS", 3.0)

    async def main():
        async with documents as address:
            slow = [asyncio.create_task(fetch(f"{address}/silent")) for _ in range(10)]
            assert await fetch(f"{address}/good") == b"the document"
            for each in slow:
                each.cancel()
            await asyncio.wait(slow)
            assert all(each.cancelled() for each in slow)

    run(main)
    for each in threading.enumerate():
        if each.name.startswith("fetch"):
            each.join(5)
            assert not each.is_alive()


# ------------------------------------------------------------ for all who wait


class Source:
    """Gives what a test decides, when it decides."""

    def __init__(self):
        self.asked = []
        self.waiting = {}

    async def __call__(self, url):
        self.asked.append(url)
        self.waiting[url] = asyncio.get_running_loop().create_future()
        return await self.waiting[url]

    def give(self, url, found):
        future = self.waiting.pop(url)
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


class At:
    """A fetcher, its source and its clock."""

    def __init__(self):
        self.clock, self.source = ManualClock(), Source()
        self.fetcher = Fetcher(self.source, clock=self.clock)
        self.tasks = []

    async def ask(self, url="a"):
        """Begin to ask; the task is what comes of it."""
        task = asyncio.create_task(self.fetcher(url))
        await self.settle()
        return task

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def fetch(self, found, url="a"):
        """Ask, and have that found."""
        task = await self.ask(url)
        self.source.give(url, found)
        return await task


def under_asyncio(test):
    """Run a test that is a coroutine function."""

    def wrapped():
        async def main():
            await test(At())

        run(main)

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


@under_asyncio
async def test_what_many_want_is_fetched_once(at):
    asking = [await at.ask() for _ in range(5)]
    assert at.source.asked == ["a"]
    at.source.give("a", b"x")
    assert await asyncio.gather(*asking) == [b"x"] * 5
    assert await at.fetch(b"y") == b"y"  # it is not for the fetcher to remember what it found
    assert at.source.asked == ["a", "a"]


@under_asyncio
async def test_who_goes_away_does_not_spoil_it_for_the_others(at):
    first, second = await at.ask(), await at.ask()
    first.cancel()
    await at.settle()
    assert first.cancelled()
    at.source.give("a", b"x")
    assert await second == b"x"
    third = await at.ask("b")
    third.cancel()
    await at.settle()
    at.source.give("b", b"x")
    await at.settle()
    assert at.fetcher._under_way == {}


@under_asyncio
async def test_a_few_at_a_time(at):
    asking = [await at.ask(str(number)) for number in range(6)]
    assert at.source.asked == ["0", "1", "2", "3"]
    at.source.give("2", b"x")
    await at.settle()
    assert at.source.asked == ["0", "1", "2", "3", "4"]
    for number in "0", "1", "3", "4", "5":
        at.source.give(number, b"x")
        await at.settle()
    assert await asyncio.gather(*asking) == [b"x"] * 6


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (None, fetching.FAILED_FOR),
        (OSError("no route"), fetching.UNSURE_FOR),
        (RuntimeError("?"), fetching.UNSURE_FOR),
    ],
    ids=["nothing", "error", "fault"],
)
def test_what_cannot_be_had_is_not_tried_again_at_once(found, seconds, caplog):
    """That there is nothing holds for longer than that nobody could be asked."""

    @under_asyncio
    async def test(at):
        assert await at.fetch(found) is None
        for _ in range(2):
            assert await at.fetcher("a") is None
            at.clock.advance(0.49 * seconds)
        assert at.source.asked == ["a"]
        at.clock.advance(0.03 * seconds)
        assert await at.fetch(b"x") == b"x"
        assert await at.fetch(b"y") == b"y"

    test()
    logged = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(logged) == isinstance(found, Exception)


@under_asyncio
async def test_what_could_be_had_before_is_tried_again_soon(at):
    await at.fetch(b"x")
    for nothing in (OSError("a hiccup"), None):
        assert await at.fetch(nothing) is None
        assert await at.fetcher("a") is None
        at.clock.advance(fetching.UNSURE_FOR + 0.1)
    assert await at.fetch(b"y") == b"y"


def test_nothing_is_waited_for_without_end(monkeypatch, caplog):
    monkeypatch.setattr(fetching, "SECONDS", 0.02)

    async def forever(_):
        await asyncio.Event().wait()

    assert run(lambda: Fetcher(forever)("a")) is None
    assert "a cannot be fetched" in caplog.text


def test_strangers_do_not_keep_others_from_what_they_need(caplog):
    """What is known to be there is fetched at once, however much is waited for."""

    @under_asyncio
    async def test(at):
        await at.fetch(b"x", "known")
        strange = [await at.ask(f"stranger {number}") for number in range(40)]
        assert len(at.source.asked) == 1 + fetching.AT_ONCE
        assert [each.done() for each in strange] == [False] * fetching.WAITING + [True] * 8
        assert {each.result() for each in strange[fetching.WAITING :]} == {None}
        assert await at.fetch(b"y", "known") == b"y"
        # Nobody has found out anything of those: they may be asked for again.
        assert "stranger 35" not in at.fetcher._failed
        while at.source.waiting:
            for url in tuple(at.source.waiting):
                at.source.give(url, None)
            await at.settle()
        assert await asyncio.gather(*strange) == [None] * 40

    test()
    assert sum("too much is" in each.getMessage() for each in caplog.records) == 8


@under_asyncio
async def test_what_is_remembered_is_bounded(at):
    for number in range(1100):
        await at.fetch(b"x" if number % 2 else None, str(number))
    assert len(at.fetcher._failed) <= 1000
    assert len(at.fetcher._proven) <= 1000
    assert at.fetcher._under_way == {}


def test_a_loop_that_ends_while_something_is_fetched():
    ended = []

    async def forever(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main():
        asking = asyncio.create_task(Fetcher(forever)("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not asking.done()

    run(main)
    assert ended == [True]


def test_a_second_loop_fetches_as_the_first_one_did(caplog):
    async def slow(url):
        await asyncio.sleep(0)
        return url.encode()

    fetcher = Fetcher(slow)
    for loop in ("a", "b"):
        urls = [f"{loop}{number}" for number in range(8)]

        async def main(urls=urls):
            assert await asyncio.gather(*map(fetcher, urls)) == [each.encode() for each in urls]

        run(main)
    assert caplog.text == ""


def test_what_a_loop_has_left_undone_another_one_fetches():
    async def forever(_):
        await asyncio.Event().wait()

    async def found(url):
        return url.encode()

    fetcher = Fetcher(forever)
    abandoned = asyncio.new_event_loop()
    asking = abandoned.create_task(fetcher("a"))
    abandoned.run_until_complete(asyncio.sleep(0))
    abandoned.run_until_complete(asyncio.sleep(0))
    fetcher._fetch = found

    async def main():
        assert await fetcher("a") == b"a"

    run(main)
    for task in asyncio.all_tasks(abandoned):
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        abandoned.run_until_complete(asking)
    abandoned.run_until_complete(abandoned.shutdown_asyncgens())
    abandoned.close()
    assert fetcher._under_way == {}

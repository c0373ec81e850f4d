"""Alexa, Google Assistant and Twilio's webhook as the ASGI application answers them.

Where a rule holds for several of them, the test is of all of them. Most requests are made in memory: that
says the same, and faster. Whole conversations, and what depends on the transport, go through a real server.
"""

import asyncio
import copy
import io
import json
import sys
import time
import wave
from datetime import datetime, timedelta, timezone
from functools import cache
from xml.etree import ElementTree

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from flowstorm_channel import Limits, ResponseItem, Timeouts
from flowstorm_channel.alexa import Intents
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.errors import LocalProtocolError, SignatureError
from flowstorm_channel.events import FaultEvent, InitEvent, InputEvent, TurnInterruptedEvent
from flowstorm_channel.testing.alexa import AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.signing import AlexaSigner, GoogleSigner
from flowstorm_channel.testing.strategies import json_values
from tests.complaints import errors_of
from tests.curl import curl
from tests.depth import examples
from tests.serving import run, serving

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
SKILL = "amzn1.ask.skill.test"
PROJECT = "test-project"
TOKEN = "12345"
PUBLIC = "https://voice.example.com"
MEGABYTE = 1024 * 1024


def now():
    return NOW


@pytest.fixture(autouse=True)
def complaints():
    """What is logged as an error; a test takes out what it expects."""
    with errors_of("uvicorn.error", "asyncio", "flowstorm_channel") as found:
        yield found
    assert found == []


# ------------------------------------------------------------ the platforms

alexa_signer, google_signer = cache(AlexaSigner), cache(GoogleSigner)  # certificates are dear


class OfAlexa:
    """Alexa at ``/alexa``."""

    path, member, setting = "/alexa", "alexa", Alexa
    unverified = 400
    document_url = "https://s3.amazonaws.com/echo.api/echo-api-cert-test.pem"
    deadline = "alexa"

    def signer(self, name="Test"):
        return alexa_signer(name)

    def answered(self, **kw):
        return Alexa(**{"skill_ids": [SKILL], "roots": self.signer().roots, "now": now, **kw})

    def unsigned(self, **kw):
        return Alexa(allow_unsigned=True, now=now, **kw)

    def document(self):
        return self.signer().chain

    def peer(self, *, signer=None, at=now, url=None):
        return AlexaPeer(at, signer=signer, url=url or self.path)

    def leave(self, peer):
        return peer.stop()


class OfGoogle:
    """Google Assistant at ``/google``, in one of its versions."""

    path, member, setting = "/google", "google", GoogleAssistant
    unverified = 403
    document_url = "https://www.googleapis.com/oauth2/v1/certs"

    def __init__(self, version):
        self.version = version
        self.deadline = f"google_v{version}"

    def signer(self, name="test-key"):
        return google_signer(PROJECT, kid=name)

    def answered(self, **kw):
        return GoogleAssistant(**{"project_ids": [PROJECT], "now": now, **kw})

    def unsigned(self, **kw):
        return GoogleAssistant(allow_unsigned=True, now=now, **kw)

    def document(self):
        return self.signer().document

    def peer(self, *, signer=None, at=now, url=None, key=None):
        return GooglePeer(self.version, url=url or self.path, key=key, signer=signer, now=at)

    def leave(self, peer):
        return peer.cancel()


PLATFORMS = {"alexa": OfAlexa(), "google-2": OfGoogle("2"), "google-3": OfGoogle("3")}
GOOGLES = [each for name, each in PLATFORMS.items() if name.startswith("google")]
each_platform = pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
each_google = pytest.mark.parametrize("platform", GOOGLES, ids=["2", "3"])


class Source:
    """Where certificates and keys come from; counts what is asked for.

    Args:
        documents: what it gives, one after another, the last one for ever; an exception is raised.
    """

    def __init__(self, *documents):
        self.documents = list(documents)
        self.urls = []

    async def __call__(self, url):
        self.urls.append(url)
        document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
        if isinstance(document, Exception):
            raise document
        return document


async def counting(turn):
    """Counts its turns where the session remembers."""
    count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
    yield f"{count}: {turn.text}"


class Heard:
    """A dialogue that knows what it was asked."""

    def __init__(self):
        self.texts = []

    async def __call__(self, turn):
        self.texts.append(turn.text)
        return "Yes?"


def verified(platform, dialogue=counting, *, source=None, **kw):
    """An application that answers a platform, and whose certificates come from a source."""
    source = source or Source(platform.document())
    return ChannelApp(dialogue, fetch=source, **{platform.member: platform.answered(), **kw})


def unsigned(platform, dialogue=counting, **kw):
    return ChannelApp(dialogue, **{platform.member: platform.unsigned(), **kw})


def in_memory(app):
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://here")


def over_http(address):
    return httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, verify=False)


async def ask(client, sent):
    head, body = sent
    return await client.request(head.method, head.url, headers=list(head.headers), content=body)


async def said(client, peer, sent):
    """What the user hears of the answer."""
    answer = await ask(client, sent)
    return peer.take(answer.status_code, answer.content)


def under_way(app):
    """What goes on in any of the sessions."""
    everywhere = (app.sessions, *(sessions for _, sessions in app._webhooks.values()))
    return [each for sessions in everywhere for each in (*sessions._under_way, *sessions._owners)]


# ------------------------------------------------------------ conversations


@each_platform
def test_a_conversation_of_signed_requests(platform):
    """The certificates are fetched once for all of it."""
    source = Source(platform.document())
    peer = platform.peer(signer=platform.signer())

    async def main():
        app = verified(platform, source=source)
        async with (
            serving(app) as address,
            over_http(address) as client,
        ):
            for count, text in enumerate(("#intro", "hello", "Grüße & <br>"), 1):
                heard = await said(client, peer, peer.launch() if count == 1 else peer.say(text))
                assert heard.speech == f"{count}: {text}"
                assert not heard.ended
            answer = await ask(client, platform.leave(peer))
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.headers["cache-control"] == "no-store"
            assert peer.take(answer.status_code, answer.content).speech == "4: stop"

    run(main)
    assert source.urls == [platform.document_url]


@each_platform
def test_curl_gets_the_same(platform):
    peer = platform.peer(signer=platform.signer())

    async def main():
        async with serving(verified(platform)) as address:
            head, body = peer.launch()
            headers = [part for pair in head.headers for part in ("-H", ": ".join(pair))]
            answer = await curl("--data-binary", "@-", *headers, f"http://{address}{head.url}", stdin=body)
            assert peer.take(answer.status, answer.body).speech == "1: #intro"
            assert answer.header("content-type").startswith("application/json")

    run(main)


@each_platform
def test_below_a_mount_point_and_with_a_slash(platform):
    async def main():
        app = Starlette(routes=[Mount("/voice", app=verified(platform))])
        async with in_memory(app) as client:
            for path in (platform.path, f"{platform.path}/"):
                peer = platform.peer(signer=platform.signer(), url=f"/voice{path}")
                assert (await said(client, peer, peer.launch())).speech.endswith(": #intro")

    run(main)


@each_platform
def test_sessions_go_on_from_request_to_request(platform):
    async def main():
        async with in_memory(unsigned(platform)) as client:
            first, other = platform.peer(), platform.peer()
            if platform.member == "alexa":
                other.device_id = "another"
                other.launch()  # so that its session has another name
                other.session_id = "another"
            assert (await said(client, first, first.launch())).speech == "1: #intro"
            assert (await said(client, other, other.launch())).speech == "1: #intro"
            assert (await said(client, first, first.say("a"))).speech == "2: a"
            assert (await said(client, other, other.say("b"))).speech == "2: b"

    run(main)


@each_platform
def test_sessions_are_in_the_store(platform):
    """So that two applications answer the requests of one conversation in turn."""
    peer, store = platform.peer(), MemoryStore()

    async def main():
        async with (
            in_memory(unsigned(platform, store=store)) as one,
            in_memory(unsigned(platform, store=store)) as two,
        ):
            assert (await said(one, peer, peer.launch())).speech == "1: #intro"
            assert (await said(two, peer, peer.say("a"))).speech == "2: a"
            assert (await said(one, peer, peer.say("b"))).speech == "3: b"
            assert (await said(two, peer, peer.say("c"))).speech == "4: c"

    run(main)


@each_platform
@pytest.mark.parametrize("stored", [False, True], ids=["kept", "stored"])
def test_an_ended_session_begins_anew(platform, stored):
    async def dialogue(turn):
        async for part in counting(turn):
            yield part
        if turn.text == "over":
            turn.finish(session_ended=True)

    peer = platform.peer()

    async def main():
        app = unsigned(platform, dialogue, **({"store": MemoryStore()} if stored else {}))
        async with in_memory(app) as client:
            assert (await said(client, peer, peer.launch())).speech == "1: #intro"
            heard = await said(client, peer, peer.say("over"))
            assert (heard.speech, heard.ended) == ("2: over", True)
            assert (await said(client, peer, peer.launch())).speech == "1: #intro"

    run(main)


def test_alexa_and_google_have_sessions_of_their_own():
    """Also when both name theirs the same."""

    async def main():
        everything = {"alexa": Alexa(allow_unsigned=True), "google": GoogleAssistant(allow_unsigned=True)}
        async with in_memory(ChannelApp(counting, **everything)) as client:
            alexa = AlexaPeer(now)
            google = GooglePeer(make_id=lambda: "test-session-1")
            for count in range(1, 4):
                sent = alexa.launch() if count == 1 else alexa.say("x")
                assert (await said(client, alexa, sent)).speech.startswith(f"{count}: ")
                assert alexa.session_id == "test-session-1"
                if count == 1:
                    assert (await said(client, google, google.launch())).speech == "1: #intro"
            assert (await said(client, google, google.say("x"))).speech == "2: x"

    run(main)


# ------------------------------------------------------------ who it is


@each_platform
def test_who_speaks(platform):
    seen = []

    async def main():
        app = unsigned(platform, observe=seen.append)
        async with in_memory(app) as client:
            peer = platform.peer()
            await said(client, peer, peer.launch())

    run(main)
    init = seen[0]
    assert isinstance(init, InitEvent)
    assert init.config.locale == "en-US"
    if platform.member == "alexa":
        assert (init.key, init.device_id, init.token) == (f"alexa:{SKILL}", "test-device", "alexa:test-token")
    else:
        assert (init.key, init.token) == ("default", None)
    kind = {"alexa": "amazon-alexa:1.0"}.get(platform.member) or f"google-assistant:{platform.version}"
    said_first = next(each for each in seen if isinstance(each, InputEvent))
    assert said_first.input.attributes["clientType"] == kind


@each_google
def test_the_key_of_google_stands_in_the_address(platform):
    seen = []

    async def main():
        async with in_memory(verified(platform, observe=seen.append)) as client:
            peer = platform.peer(signer=platform.signer(), key="my app & more")
            await said(client, peer, peer.launch())

    run(main)
    assert [each.key for each in seen if isinstance(each, InitEvent)] == ["my app & more"]


@each_platform
def test_whom_the_host_refuses(platform):
    """Alexa's user is told; Google's has to link the account first, which 401 asks for."""

    async def authorise(init):
        return f"{init.key} may not"

    heard = Heard()

    async def main():
        async with in_memory(unsigned(platform, heard, authorise=authorise)) as client:
            peer = platform.peer()
            answer = await ask(client, peer.launch())
            if platform.member == "alexa":
                spoken = peer.take(answer.status_code, answer.content)
                assert (spoken.speech, spoken.ended) == (f"alexa:{SKILL} may not", True)
            else:
                assert (answer.status_code, answer.json()) == (401, {"error": "default may not"})

    run(main)
    assert heard.texts == []


@each_platform
def test_an_authorisation_that_fails(platform, complaints):
    async def authorise(init):
        raise RuntimeError(init.key)

    async def main():
        async with in_memory(unsigned(platform, authorise=authorise, apology="Sorry.")) as client:
            peer = platform.peer()
            answer = await ask(client, peer.launch())
            if platform.member == "alexa":
                assert peer.take(answer.status_code, answer.content).speech == "Sorry."
            else:
                assert answer.status_code >= 400
                assert answer.json() == {"error": "Sorry."}

    run(main)
    assert complaints == ["authorisation failed"]
    complaints.clear()


@each_platform
def test_an_authorisation_that_takes_too_long(platform):
    """The platform would not wait for it."""
    cancelled = []

    async def authorise(_):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    heard = Heard()

    async def main():
        timeouts = Timeouts(**{platform.deadline: 0.1})
        app = unsigned(platform, heard, authorise=authorise, timeouts=timeouts, apology="Sorry.")
        async with in_memory(app) as client:
            answer = await ask(client, platform.peer().launch())
            assert (answer.status_code, answer.json()) == (503, {"error": "Sorry."})

    run(main)
    assert cancelled == [True]
    assert heard.texts == []


# ------------------------------------------------------------ signatures


def request(platform, *, headers=None, more=b"", instead=None, **kw):
    """A signed request, changed after that.

    Args:
        headers: other values, by name; None leaves one out.
        more: at the end of the body.
        instead: of the skill in the body.
        kw: of the peer.
    """
    head, body = platform.peer(**{"signer": platform.signer(), **kw}).launch()
    body = body.replace(SKILL.encode(), instead or SKILL.encode()) + more
    changes = {"content-length": str(len(body)), **(headers or {})}
    pairs = [(name, changes.get(name.lower(), value)) for name, value in head.headers]
    return attrs.evolve(head, headers=tuple(pair for pair in pairs if pair[1] is not None)), body


def token(platform, make):
    """A request with another token."""
    signer = platform.signer()
    (name, _), *_ = signer.headers(int(platform.version), NOW)
    return request(platform, headers={name: make(signer)})


def of_the_other_version(platform):
    """A request with the token of the other version."""
    other = PLATFORMS["google-3" if platform.version == "2" else "google-2"]
    head, _ = request(other)
    _, body = request(platform)
    kept = [pair for pair in head.headers if pair[0] != "content-length"]
    return attrs.evolve(head, headers=(*kept, ("content-length", str(len(body))))), body


FORGED = {
    "not signed": lambda each: request(each, signer=None),
    "signed by somebody else": lambda each: request(each, signer=each.signer("Somebody else")),
    "of a day ago": lambda each: request(each, at=lambda: NOW - timedelta(days=1)),
    "of tomorrow": lambda each: request(each, at=lambda: NOW + timedelta(days=1)),
}
FORGED_ALEXA = {
    "another body": lambda each: request(each, more=b" "),
    "another skill in the body": lambda each: request(each, instead=b"amzn1.ask.skill.best"),
    "another skill": lambda each: AlexaPeer(now, signer=each.signer(), application_id="another").launch(),
    "no certificate named": lambda each: request(each, headers={"signaturecertchainurl": None}),
    "no signature": lambda each: request(each, headers={"signature-256": None}),
    "a signature that is none": lambda each: request(each, headers={"signature-256": "?"}),
    "a certificate from elsewhere": lambda each: request(
        each, headers={"signaturecertchainurl": "https://s3.amazonaws.com.example.com/echo.api/x.pem"}
    ),
}
FORGED_GOOGLE = {
    "for another project": lambda each: request(each, signer=GoogleSigner("another")),
    "of another issuer": lambda each: token(each, lambda by: by.token(NOW, iss="https://example.com")),
    "without a signature": lambda each: token(each, lambda by: by.token(NOW).rpartition(".")[0] + "."),
    "another signature": lambda each: token(each, lambda by: by.token(NOW)[:-8] + "AAAAAAAA"),
    "no token": lambda each: token(each, lambda _: "nonsense"),
    "of the other version": of_the_other_version,
}
FORGERIES = {
    f"{name}: {how}": (platform, forge)
    for name, platform in PLATFORMS.items()
    for how, forge in {**FORGED, **(FORGED_ALEXA if name == "alexa" else FORGED_GOOGLE)}.items()
}


@pytest.mark.parametrize(("platform", "forge"), FORGERIES.values(), ids=FORGERIES)
def test_what_the_platform_has_not_sent_is_refused(platform, forge):
    """Before the dialogue hears of it, and without a word of what was wrong; the host is told."""
    heard, seen = Heard(), []
    source = Source(platform.document())

    async def main():
        async with in_memory(verified(platform, heard, source=source, observe=seen.append)) as client:
            peer = platform.peer(signer=platform.signer())
            await said(client, peer, peer.launch())
            seen.clear()
            answer = await ask(client, forge(platform))
            assert answer.status_code == platform.unverified
            assert answer.json() == {"error": "the request could not be verified"}
            again = platform.peer(signer=platform.signer())
            await said(client, again, again.launch())

    run(main)
    assert heard.texts == ["#intro", "#intro"]
    assert isinstance(seen[0], FaultEvent)
    assert isinstance(seen[0].error, SignatureError)
    assert str(seen[0].error)
    assert set(source.urls) == {platform.document_url}


class Times:
    """A setting of a platform, and an application, for which an hour is over when that is said."""

    def __init__(self, platform, dialogue, source):
        setting = platform.answered()
        self.now = 0.0
        self.app = ChannelApp(dialogue, fetch=source, **{platform.member: setting})
        keys = setting._certificates if platform.member == "alexa" else setting._keys
        keys._clock = self.app.host.fetch._clock = lambda: self.now


@each_platform
@pytest.mark.parametrize(
    "document",
    [OSError("no route"), RuntimeError("?"), None, b"", b"nonsense"],
    ids=["no route", "fails", "nothing", "empty", "nonsense"],
)
def test_certificates_that_cannot_be_had(platform, document, caplog):
    """Then nothing is verified, and the dialogue hears of nothing. It is tried again, but not at once."""
    heard = Heard()
    source = Source(document, platform.document())

    async def main():
        times = Times(platform, heard, source)
        async with in_memory(times.app) as client:
            for _ in range(2):
                answer = await ask(client, request(platform))
                assert answer.status_code == platform.unverified
                assert answer.json() == {"error": "the request could not be verified"}
                if document in (b"", b"nonsense"):
                    break  # what has been fetched is fetched again: it may have been a mishap
            assert heard.texts == []
            assert source.urls == [platform.document_url]
            times.now += 3600
            peer = platform.peer(signer=platform.signer())
            await said(client, peer, peer.launch())

    run(main)
    assert heard.texts == ["#intro"]
    assert source.urls == [platform.document_url] * 2
    logged = [each.getMessage() for each in caplog.records]
    expected = isinstance(document, Exception)
    assert [platform.document_url in each for each in logged] == [True] * expected


@each_platform
def test_what_is_fetched_has_to_be_bytes(platform, complaints):
    """Else it is the host's mistake, and told as such."""

    async def main():
        app = verified(platform, source=Source("a text"), apology="Sorry.")
        async with in_memory(app) as client:
            answer = await ask(client, request(platform))
            assert (answer.status_code, answer.json()) == (503, {"error": "Sorry."})

    run(main)
    assert len(complaints) == 1
    complaints.clear()


@each_platform
def test_certificates_are_fetched_again_after_their_time(platform):
    source = Source(platform.document())

    async def main():
        times = Times(platform, counting, source)
        async with in_memory(times.app) as client:
            for _ in range(3):
                for _ in range(2):
                    peer = platform.peer(signer=platform.signer())
                    await said(client, peer, peer.launch())
                times.now += 24 * 3600

    run(main)
    assert source.urls == [platform.document_url] * 3


@each_platform
def test_requests_that_come_at_once_have_the_certificates_fetched_once(platform):
    heard, urls = Heard(), []

    async def main():
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(url):
            urls.append(url)
            asked.set()
            await go_on.wait()
            return platform.document()

        async with in_memory(verified(platform, heard, source=slowly)) as client:
            peers = [platform.peer(signer=platform.signer()) for _ in range(5)]
            for number, peer in enumerate(peers):
                if platform.member == "alexa":
                    peer.session_id = f"session-{number}"
            asking = [asyncio.create_task(ask(client, peer.launch())) for peer in peers]
            await asked.wait()
            assert heard.texts == []
            go_on.set()
            for peer, each in zip(peers, asking, strict=True):
                answer = await each
                peer.take(answer.status_code, answer.content)

    run(main)
    assert urls == [platform.document_url]
    assert len(heard.texts) == 5


@each_platform
def test_a_client_that_goes_while_certificates_are_fetched(platform):
    heard = Heard()

    async def main():
        fetched, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(_):
            fetched.set()
            await go_on.wait()
            return platform.document()

        async with serving(verified(platform, heard, source=slowly)) as address:
            peer = platform.peer(signer=platform.signer())
            async with over_http(address) as client:
                asking = asyncio.create_task(ask(client, peer.launch()))
                await fetched.wait()
                asking.cancel()
                await asyncio.wait([asking])
            go_on.set()
            async with over_http(address) as client:
                again = platform.peer(signer=platform.signer())
                await said(client, again, again.launch())

    run(main)
    assert "#intro" in heard.texts


@each_platform
def test_requests_that_nobody_has_signed_are_taken_when_that_was_said(platform):
    source = Source(OSError("nobody is to fetch anything"))

    async def main():
        app = ChannelApp(counting, fetch=source, **{platform.member: platform.unsigned()})
        async with in_memory(app) as client:
            peer = platform.peer()
            assert (await said(client, peer, peer.launch())).speech == "1: #intro"

    run(main)
    assert source.urls == []


def test_of_unsigned_requests_only_the_skill_may_be_checked():
    async def main():
        app = ChannelApp(counting, alexa=Alexa(skill_ids=[SKILL], allow_unsigned=True))
        async with in_memory(app) as client:
            peer = AlexaPeer(lambda: NOW - timedelta(days=365))
            assert (await said(client, peer, peer.launch())).speech == "1: #intro"
            stranger = AlexaPeer(now, application_id="another")
            assert (await ask(client, stranger.launch())).status_code == 400

    run(main)


# ------------------------------------------------------------ what is no turn


def test_health_checks_are_answered_without_the_dialogue():
    heard = Heard()

    async def main():
        app = ChannelApp(
            heard,
            fetch=Source(PLATFORMS["google-3"].document()),
            google=PLATFORMS["google-3"].answered(),
            authorise=refusing,
        )
        async with in_memory(app) as client:
            for platform in GOOGLES:
                peer = platform.peer(signer=platform.signer())
                await said(client, peer, peer.health_check())

    async def refusing(_):
        return "No."

    run(main)
    assert heard.texts == []


def test_what_alexa_tells_outside_of_a_session():
    heard = Heard()

    async def main():
        async with in_memory(unsigned(PLATFORMS["alexa"], heard)) as client:
            peer = AlexaPeer(now)
            await said(client, peer, peer.request("AudioPlayer.PlaybackStopped", in_session=False))
            can = await said(client, peer, peer.can_fulfill("Weather", city="Prague"))
            assert can.body["response"]["canFulfillIntent"]["canFulfill"] == "NO"

    run(main)
    assert heard.texts == []


def test_options_of_the_platforms_reach_their_machines():
    async def dialogue(turn):
        yield ResponseItem(text=turn.text, image="/wave.png")

    async def main():
        app = ChannelApp(
            dialogue,
            alexa=Alexa(
                allow_unsigned=True,
                base_url="https://example.com",
                title="The sea",
                reprompt="Well?",
                intents=Intents(message="TalkIntent", slot="words"),
            ),
            google=GoogleAssistant(allow_unsigned=True, base_url="https://example.com", reprompt="Hm?"),
        )
        async with in_memory(app) as client:
            alexa = AlexaPeer(now, message="TalkIntent", slot="words")
            heard = await said(client, alexa, alexa.say("look"))
            assert (heard.speech, heard.reprompt) == ("look", "Well?")
            assert heard.card["title"] == "The sea"
            assert heard.image == "https://example.com/wave.png"
            google = GooglePeer("2")
            heard = await said(client, google, google.launch())
            assert (heard.image, heard.reprompt) == ("https://example.com/wave.png", "Hm?")

    run(main)


@each_platform
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_only_post_is_answered(platform, method):
    async def main():
        async with in_memory(verified(platform)) as client:
            answer = await client.request(method, platform.path)
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"

    run(main)


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/alexa", "alexa=Alexa(skill_ids="),
        ("/google", "google=GoogleAssistant(project_ids="),
        ("/call", "twilio=Twilio(auth_token="),
    ],
)
def test_what_is_not_configured_says_how_it_is(path, how):
    async def main():
        async with serving(ChannelApp(counting)) as address:
            async with over_http(address) as client:
                for method in ("POST", "GET"):
                    answer = await client.request(method, path, content=b"{}")
                    assert answer.status_code == 503
                    assert how in answer.text
                    assert answer.headers["cache-control"] == "no-store"
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}{path}", proxy=None)
            assert refused.value.response.status_code == 403

    run(main)


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_a_body_that_is_too_long(path):
    """Announced, it is refused before it is sent; else as soon as it is too long. curl gets to read that."""
    heard = Heard()
    reason = f"{Limits().webhook_bytes} bytes"

    async def main():
        async with serving(everything(heard)) as address:
            reader, writer = await asyncio.open_connection(*address.split(":"))
            head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 10000000\r\n"
            writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
            assert reason.encode() in await reader.readuntil(reason.encode())
            writer.close()
            await writer.wait_closed()
            arguments = ["-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-"]
            answer = await curl(*arguments, f"http://{address}{path}", stdin=bytes(10_000_000))
            assert answer.status == 413
            assert reason in answer.text

    run(main)
    assert heard.texts == []


def everything(dialogue=counting, **kw):
    """An application that answers whoever says that he is a platform."""
    return ChannelApp(
        dialogue,
        alexa=Alexa(allow_unsigned=True),
        google=GoogleAssistant(allow_unsigned=True),
        twilio=Twilio(allow_unsigned=True, public_url=PUBLIC),
        **kw,
    )


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_a_body_that_does_not_go_on(path):
    async def main():
        app = everything(timeouts=Timeouts(body=0.1, alexa=0.1, google_v2=0.1, google_v3=0.1, drain=0.1))
        async with serving(app) as address:
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n{{".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
            writer.close()
            await writer.wait_closed()

    run(main)


@pytest.mark.parametrize("path", ["/alexa", "/google", "/call"])
def test_a_client_that_goes_before_its_body_is_complete(path):
    async def main():
        app, over = everything(), asyncio.Event()

        async def watched(scope, receive, send):
            try:
                await app(scope, receive, send)
            finally:
                if scope["path"] == path:
                    over.set()

        async with serving(watched) as address:
            _, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n{{".encode())
            await writer.drain()
            writer.transport.abort()
            await asyncio.wait_for(over.wait(), 5)
        assert under_way(app) == []

    run(main)


# ------------------------------------------------------------ dialogues


@each_platform
def test_a_dialogue_that_takes_too_long(platform):
    """What it has said so far goes out in time, and the session goes on."""
    cancelled, seen = [], []

    async def dialogue(turn):
        count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
        yield f"{count} so far."
        if turn.text == "wait":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(turn.text)
                raise

    async def main():
        app = unsigned(platform, dialogue, timeouts=Timeouts(**{platform.deadline: 0.1}), observe=seen.append)
        async with in_memory(app) as client:
            peer = platform.peer()
            await said(client, peer, peer.launch())
            begun = time.monotonic()
            assert (await said(client, peer, peer.say("wait"))).speech == "2 so far."
            assert 0.05 < time.monotonic() - begun < 2.0
            assert (await said(client, peer, peer.say("go on"))).speech == "3 so far."

    run(main)
    assert cancelled == ["wait"]
    assert [each.reason for each in seen if isinstance(each, TurnInterruptedEvent)] == ["unanswered"]


@each_platform
@pytest.mark.parametrize("stored", [False, True], ids=["kept", "stored"])
def test_two_requests_of_a_session_at_once(platform, stored):
    """The second interrupts the first, as a user does who does not want to wait (D-68)."""
    cancelled = []

    async def main():
        started = asyncio.Event()

        async def dialogue(turn):
            yield f"You said {turn.text}."
            if turn.text == "one":
                started.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(turn.text)
                    raise

        app = unsigned(platform, dialogue, **({"store": MemoryStore()} if stored else {}))
        async with in_memory(app) as client:
            peer = platform.peer()
            await said(client, peer, peer.launch())
            first = asyncio.create_task(ask(client, peer.say("one")))
            await started.wait()
            second = await said(client, peer, peer.say("two"))
            assert second.speech == "You said two."
            assert (await first).status_code == 200

    run(main)
    assert cancelled == ["one"]


@each_platform
def test_a_dialogue_that_fails(platform, complaints):
    """The user is told, and nobody gets a 500."""

    async def dialogue(turn):
        yield "Well."
        if turn.text != "#intro":
            raise RuntimeError("out of ideas")

    async def main():
        async with in_memory(unsigned(platform, dialogue, apology="Sorry.")) as client:
            peer = platform.peer()
            await said(client, peer, peer.launch())
            heard = await said(client, peer, peer.say("hello"))
            assert (heard.speech, heard.ended) == ("Well. Sorry.", True)

    run(main)
    assert complaints == ["the dialogue failed in turn 2"]
    complaints.clear()


@each_platform
@pytest.mark.parametrize("what", ["audio", "data"])
def test_a_dialogue_that_does_what_cannot_be_done(platform, what, complaints):
    """It says bytes where none can be heard; it remembers what cannot be stored."""

    async def dialogue(turn):
        if what == "audio":
            yield b"sound"
        else:
            turn.session.data["x"] = object()
            yield "Hello."

    async def main():
        async with in_memory(unsigned(platform, dialogue, store=MemoryStore(), apology="Sorry.")) as client:
            peer = platform.peer()
            heard = await said(client, peer, peer.launch())
            assert heard.speech.endswith("Sorry.")
            assert heard.ended

    run(main)
    assert len(complaints) == 1
    complaints.clear()


@each_platform
def test_a_store_that_fails(platform, complaints):
    class Broken(MemoryStore):
        async def take(self, *_, **__):
            raise RuntimeError("no store")

    heard = Heard()

    async def main():
        async with in_memory(unsigned(platform, heard, store=Broken(), apology="Sorry.")) as client:
            answer = await ask(client, platform.peer().launch())
            assert (answer.status_code, answer.json()) == (503, {"error": "Sorry."})

    run(main)
    assert heard.texts == []
    assert len(complaints) == 1
    complaints.clear()


@each_platform
def test_a_server_that_goes_away(platform):
    async def main():
        started = asyncio.Event()

        async def dialogue(_):
            yield "So far."
            started.set()
            await asyncio.Event().wait()

        app = unsigned(platform, dialogue)
        async with in_memory(app) as client:
            asking = asyncio.create_task(ask(client, platform.peer().launch()))
            await started.wait()
            app.close()
            answer = await asking
            assert answer.status_code == 503
            assert answer.json() == {"error": "the server is going away"}

    run(main)


@each_platform
def test_the_name_of_the_device_may_be_the_hosts(platform):
    """What a dialogue knows of its platform only, it finds behind the turn."""
    kinds = []

    async def dialogue(turn):
        kinds.append(type(turn.channel.request).__name__)
        yield "Yes."

    async def main():
        async with in_memory(unsigned(platform, dialogue)) as client:
            peer = platform.peer()
            await said(client, peer, peer.launch())

    run(main)
    expected = "AlexaRequest" if platform.member == "alexa" else f"V{platform.version}Request"
    assert kinds == [expected]


# ------------------------------------------------------------ anything


LOOP = None


@pytest.fixture(scope="module")
def house():
    """One application for all examples, in a loop that stays."""
    global LOOP
    LOOP = asyncio.new_event_loop()
    yield everything(timeouts=Timeouts(alexa=1.0, google_v2=1.0, google_v3=1.0))
    LOOP.run_until_complete(LOOP.shutdown_asyncgens())
    LOOP.close()


def call(app, path, body, headers=(), method="POST"):
    """One request in memory; gives status and body."""
    sent, pieces = [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return pieces.pop() if pieces else await asyncio.get_running_loop().create_future()

    async def send(message):
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"content-length", str(len(body)).encode()), *headers],
    }
    LOOP.run_until_complete(asyncio.wait_for(app(scope, receive, send), 10))
    assert [each["type"] for each in sent] == [
        "http.response.start",
        *["http.response.body"] * (len(sent) - 1),
    ]
    assert not sent[-1].get("more_body")
    return sent[0]["status"], b"".join(each["body"] for each in sent[1:])


REQUESTS = {
    "alexa": [
        AlexaPeer(now).launch(),
        AlexaPeer(now).say("hello"),
        AlexaPeer(now).can_fulfill("X", a="b"),
        AlexaPeer(now).touch("a"),
        AlexaPeer(now).request("SessionEndedRequest", reason="ERROR", error={"type": "X", "message": "m"}),
    ],
    "google": [each.peer().launch() for each in GOOGLES] + [each.peer().health_check() for each in GOOGLES],
}
TREES = {name: [json.loads(body) for _, body in sent] for name, sent in REQUESTS.items()}


def places(tree, path=()):
    """The ways to every value in a tree."""
    yield path
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inside:
        yield from places(value, (*path, name))


@st.composite
def bodies(draw, platform):
    """Anything, and requests in which a few things are something else."""
    if draw(st.booleans()):
        tree = copy.deepcopy(draw(st.sampled_from(TREES[platform])))
        for _ in range(draw(st.integers(1, 3))):
            path = draw(st.sampled_from(list(places(tree))))
            if not path:
                tree = draw(json_values())
                continue
            inside = tree
            for name in path[:-1]:
                inside = inside[name]
            if draw(st.booleans()):
                inside[path[-1]] = draw(
                    json_values() | st.sampled_from([None, "", [], {}, 0, -1, 1e300, "\ud800"])
                )
            else:
                del inside[path[-1]]
        return json.dumps(tree).encode()
    return draw(st.binary(max_size=60) | json_values().map(lambda tree: json.dumps(tree).encode()))


@pytest.mark.parametrize("platform", ["alexa", "google"])
@settings(max_examples=examples(70), deadline=None, database=None)
@given(data=st.data())
def test_no_body_is_a_failure_of_ours(house, platform, data):
    body = data.draw(bodies(platform))
    status, answer = call(house, f"/{platform}", body)
    assert status in (200, 400, 413)
    tree = json.loads(answer)
    assert isinstance(tree, dict)
    assert (status == 200) or list(tree) == ["error"]


HEADERS = st.dictionaries(
    st.sampled_from(
        ["signaturecertchainurl", "signature-256", "signature", "authorization", "google-assistant-signature"]
    ),
    st.text("\x00\r\n\xff%:/.-_=abAB0", max_size=30)
    | st.sampled_from(
        ["https://s3.amazonaws.com/echo.api/x", "https://s3.amazonaws.com:x/echo.api/", "Bearer x", "a.b.c"]
    ),
)


@each_platform
@pytest.mark.usefixtures("house")
@settings(max_examples=examples(50), deadline=None, database=None)
@given(headers=HEADERS)
def test_no_header_is_a_failure_of_ours(platform, headers):
    app = verified(platform, source=Source(None))
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    status, answer = call(app, platform.path, platform.peer().launch()[1], pairs)
    assert status in (400, platform.unverified)
    assert list(json.loads(answer)) == ["error"]


def test_after_all_that_a_request_is_answered(house):
    for platform in ("alexa", "google"):
        peer = PLATFORMS[{"google": "google-3"}.get(platform, platform)].peer()
        if platform == "alexa":
            peer.session_id = "of nobody yet"
        _, body = peer.launch()
        assert peer.take(*call(house, f"/{platform}", body)).speech == "1: #intro"
    assert under_way(house) == []


FORM = st.dictionaries(
    st.sampled_from(["CallSid", "From", "To", "Direction", "CallStatus"]) | st.text(max_size=5),
    st.text(max_size=20) | st.sampled_from(["CA1", "+420123", "outbound-api", "x" * 600]),
    max_size=8,
)


@settings(max_examples=examples(70), deadline=None, database=None)
@given(form=FORM, query=FORM, junk=st.binary(max_size=30), form_comes=st.booleans(), post=st.booleans())
def test_no_webhook_of_a_call_is_a_failure_of_ours(house, form, query, junk, form_comes, post):
    body = httpx.QueryParams(surrogates_replaced(form)).__str__().encode() if form_comes else junk
    path = f"/call?{httpx.QueryParams(surrogates_replaced(query))}"
    status, answer = call(house, path, body, method="POST" if post else "GET")
    assert status in (200, 400, 413)
    if status == 200:
        verb = ElementTree.fromstring(answer)[0]
        assert verb.find("Stream").get("url") == f"wss://{PUBLIC[8:]}/call"


def surrogates_replaced(pairs):
    return {name.encode(errors="replace"): value.encode(errors="replace") for name, value in pairs.items()}


# ------------------------------------------------------------ calls


FORM_OF_A_CALL = {
    "CallSid": "CA" + "2" * 32,
    "AccountSid": "AC" + "3" * 32,
    "From": "+420123456789",
    "To": "+420987654321",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "CallerName": "",
}


def phones(**kw):
    return Twilio(**{"auth_token": TOKEN, "public_url": PUBLIC, **kw})


def signature(url, form=None, token=TOKEN):
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, form or {})}


async def ring(client, path="/call", form=None, **kw):
    """The webhook of a call, signed by Twilio's own library; gives the response."""
    form = FORM_OF_A_CALL if form is None else form
    headers = signature(f"{PUBLIC}{path}", form, **kw)
    return await client.post(path, data=form, headers=headers)


def stream_of(answer):
    """The address and the parameters of the stream in a TwiML."""
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    (connecting,) = ElementTree.fromstring(answer.content)
    assert connecting.tag == "Connect"
    (stream,) = connecting
    parameters = {}
    for each in stream:
        assert each.tag == "Parameter"
        parameters[each.get("name")] = each.get("value")
    return stream.get("url"), parameters


def frames_of(parameters):
    """What Twilio sends first over the stream."""
    start = {
        "accountSid": FORM_OF_A_CALL["AccountSid"],
        "callSid": FORM_OF_A_CALL["CallSid"],
        "streamSid": "MZ1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    yield json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    yield json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start})


async def mulaw(turn):
    yield turn.init.key.encode()


@pytest.mark.parametrize(
    ("mount", "query", "expected"),
    [
        ("", "", {"sender": "+420123456789"}),
        (
            "/voice",
            "?key=a%26b&locale=cs-CZ&deviceId=d%C3%A9&token=t&initiationId=7&other=x",
            {
                "sender": "+420123456789",
                "appKey": "a&b",
                "locale": "cs-CZ",
                "deviceId": "dé",
                "token": "t",
                "initiationId": "7",
            },
        ),
    ],
    ids=["plain", "below a mount point"],
)
def test_a_call_comes_in(mount, query, expected):
    """The webhook is answered with a stream, whose handshake is taken; what was asked for comes through."""
    seen = []

    async def main():
        app = ChannelApp(mulaw, twilio=phones(), observe=seen.append)
        site = Starlette(routes=[Mount(mount, app=app)]) if mount else app
        async with serving(site) as address:
            async with over_http(address) as client:
                url, parameters = stream_of(await ring(client, f"{mount}/call{query}"))
            assert url == f"wss://{PUBLIC[8:]}{mount}/call"
            assert parameters == expected
            headers = signature(url)
            where = f"ws://{address}{mount}/call"
            async with connect(where, additional_headers=headers, proxy=None) as socket:
                for frame in frames_of(parameters):
                    await socket.send(frame)
                assert json.loads(await socket.recv())["event"] == "media"
                assert json.loads(await socket.recv())["mark"] == {"name": "turn-1"}

    run(main)
    init, said_first = (next(x for x in seen if isinstance(x, kind)) for kind in (InitEvent, InputEvent))
    assert init.key == expected.get("appKey", "flowstorm")
    assert init.device_id == expected.get("deviceId", "+420123456789")
    assert init.token == expected.get("token")
    assert said_first.input.locale == expected.get("locale", "en")
    assert said_first.input.attributes.get("initiationId") == expected.get("initiationId")


@pytest.mark.parametrize(
    "how", ["not signed", "another token", "another address", "another form", "http", "without the query"]
)
def test_a_webhook_that_twilio_has_not_sent(how, caplog):
    greeted = []

    async def main():
        app = ChannelApp(mulaw, twilio=phones(greet=greeted.append))
        url = f"{PUBLIC}/call?token=k-7"
        async with in_memory(app) as client:
            headers = {
                "not signed": {},
                "another token": signature(url, FORM_OF_A_CALL, token="other"),
                "another address": signature("https://other.example.com/call?token=k-7", FORM_OF_A_CALL),
                "another form": signature(url, {**FORM_OF_A_CALL, "From": "+1"}),
                "http": signature(url.replace("https:", "http:"), FORM_OF_A_CALL),
                "without the query": signature(f"{PUBLIC}/call", FORM_OF_A_CALL),
            }[how]
            answer = await client.post("/call?token=k-7", data=FORM_OF_A_CALL, headers=headers)
            assert answer.status_code == 403
            assert "Response" not in answer.text
            assert "k-7" not in answer.text

    run(main)
    assert greeted == []
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "k-7" not in record.getMessage()


@pytest.mark.parametrize("how", ["not signed", "another token", "https", "with a query"])
def test_a_handshake_that_twilio_has_not_sent(how):
    seen = []

    async def main():
        app = ChannelApp(mulaw, twilio=phones(), observe=seen.append)
        url = f"wss://{PUBLIC[8:]}/call"
        headers = {
            "not signed": {},
            "another token": signature(url, token="other"),
            "https": signature(f"{PUBLIC}/call"),
            "with a query": signature(f"{url}?x=1"),
        }[how]
        async with serving(app) as address:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/call", additional_headers=headers, proxy=None)
            assert refused.value.response.status_code == 403

    run(main)
    assert [type(each) for each in seen[:-1]] == [FaultEvent]
    assert isinstance(seen[0].error, SignatureError)


def test_a_webhook_by_get():
    async def main():
        async with in_memory(ChannelApp(mulaw, twilio=phones())) as client:
            path = "/call?" + str(httpx.QueryParams({**FORM_OF_A_CALL, "key": "app"}))
            answer = await client.get(path, headers=signature(f"{PUBLIC}{path}"))
            url, parameters = stream_of(answer)
            assert url == f"wss://{PUBLIC[8:]}/call"
            assert parameters == {"sender": "+420123456789", "appKey": "app"}
            assert (await client.put("/call")).status_code == 405

    run(main)


def test_the_host_greets_calls():
    """It may give parameters, or not take the call."""

    def greet(call):
        if call.from_ == "+1":
            return None
        return {**call.parameters, "locale": "de", "who": f"{call.to} <{call.fields['CallStatus']}>"}

    async def main():
        async with in_memory(ChannelApp(mulaw, twilio=phones(greet=greet))) as client:
            url, parameters = stream_of(await ring(client))
            assert url == f"wss://{PUBLIC[8:]}/call"
            assert parameters == {
                "sender": "+420123456789",
                "locale": "de",
                "who": "+420987654321 <ringing>",
            }
            for direction, verb in [("inbound", "Reject"), ("outbound-api", "Hangup")]:
                form = {**FORM_OF_A_CALL, "From": "+1", "Direction": direction}
                answer = await ring(client, form=form)
                assert answer.status_code == 200
                assert [each.tag for each in ElementTree.fromstring(answer.content)] == [verb]

    run(main)


@pytest.mark.parametrize(
    "greet",
    [lambda _: 1 / 0, lambda _: 5, lambda _: {"x": "y" * 500}, lambda _: {"x": 5}],
    ids=["raises", "no parameters", "too long", "no text"],
)
def test_a_greeting_that_fails(greet, complaints):
    """Twilio is told by a status that there is no answer, and goes on to its fallback."""

    async def main():
        async with in_memory(ChannelApp(mulaw, twilio=phones(greet=greet))) as client:
            answer = await ring(client)
            assert answer.status_code == 503
            assert "Response" not in answer.text

    run(main)
    assert complaints == ["a call cannot be answered"]
    complaints.clear()


def test_another_server_may_take_the_audio():
    async def main():
        app = ChannelApp(mulaw, twilio=phones(stream_url="wss://audio.example.com/calls"))
        async with in_memory(app) as client:
            url, _ = stream_of(await ring(client))
            assert url == "wss://audio.example.com/calls"

    run(main)


def test_shared_keys_sign_too():
    key, secret = "KS1", "of the key"

    async def main():
        app = ChannelApp(mulaw, twilio=phones(shared_keys={key: secret}))
        async with serving(app) as address:
            where = f"ws://{address}/call"
            name = "X-Twilio-Webhooks-Signature-Settings"
            url = f"wss://{PUBLIC[8:]}/call"
            good = signature(url, token=secret)
            async with connect(
                where, additional_headers={**good, name: f"key={key},algorithm=HMAC_SHA1"}, proxy=None
            ):
                pass
            with pytest.raises(InvalidStatus):
                await connect(
                    where, additional_headers={**good, name: "key=other,algorithm=HMAC_SHA1"}, proxy=None
                )

    run(main)


# ------------------------------------------------------------ settings


@pytest.mark.parametrize(
    "make",
    [
        lambda: Alexa(),
        lambda: Alexa(skill_ids=[]),
        lambda: Alexa(skill_ids=SKILL),
        lambda: Alexa(skill_ids="", allow_unsigned=True),
        lambda: Alexa(skill_ids=[SKILL], roots=b"nonsense"),
        lambda: GoogleAssistant(),
        lambda: GoogleAssistant(project_ids=PROJECT),
        lambda: GoogleAssistant(project_ids=PROJECT, allow_unsigned=True),
        lambda: Twilio(),
        lambda: Twilio(auth_token=TOKEN),
        lambda: Twilio(public_url=PUBLIC),
        lambda: Twilio(allow_unsigned=True),
        lambda: phones(auth_token=""),
        lambda: phones(shared_keys={"KS1": ""}),
        lambda: phones(silence_timeout=-1),
        lambda: phones(public_url="voice.example.com"),
        lambda: phones(public_url=f"{PUBLIC}?x=1"),
        lambda: phones(public_url="http://voice.example.com"),
        lambda: phones(stream_url="nonsense"),
        lambda: phones(stream_url="https://voice.example.com/call"),
        lambda: phones(stream_url="wss://voice.example.com/call?x=1"),
    ],
    ids=[
        *("Alexa: nothing", "Alexa: no skills", "Alexa: one skill", "Alexa: no skill", "Alexa: no roots"),
        *("Google: nothing", "Google: one project", "Google: one project, unsigned"),
        *("Twilio: nothing", "Twilio: no address", "Twilio: no token", "Twilio: unsigned without address"),
        *("Twilio: an empty token", "Twilio: an empty key", "Twilio: silence before the end"),
        *("Twilio: a host", "Twilio: a query", "Twilio: no TLS"),
        *("Twilio: no stream", "Twilio: another stream", "Twilio: a stream with a query"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_at_once(make):
    with pytest.raises(ValueError, match=r"\w"):
        make()


@pytest.mark.parametrize("rate", [44100, 8001])
def test_error_audio_that_cannot_be_played_is_refused_at_once(rate):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(100))
    with pytest.raises(LocalProtocolError, match=str(rate)):
        phones(error_audio=file.getvalue())


def without(monkeypatch, package):
    """As if it were not installed."""
    for name in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("cryptography", lambda: Alexa(skill_ids=[SKILL])),
        ("certifi", lambda: Alexa(skill_ids=[SKILL])),
        ("cryptography", lambda: GoogleAssistant(project_ids=[PROJECT])),
    ],
    ids=["Alexa: cryptography", "Alexa: certifi", "Google: cryptography"],
)
def test_what_is_not_installed_is_named(package, make, monkeypatch):
    without(monkeypatch, package)
    with pytest.raises(ImportError, match=r"pip install 'flowstorm-channel\[verify\]'"):
        make()


@pytest.mark.parametrize("package", ["cryptography", "certifi"])
def test_unsigned_requests_need_nothing_else(package, monkeypatch):
    without(monkeypatch, package)

    async def main():
        async with in_memory(everything()) as client:
            for platform in PLATFORMS.values():
                peer = platform.peer(at=lambda: datetime.now(timezone.utc))
                assert (await said(client, peer, peer.launch())).speech == "1: #intro"

    run(main)


def test_the_roots_are_those_of_certifi():
    async def main():
        app = ChannelApp(counting, fetch=Source(AlexaSigner().chain), alexa=Alexa(skill_ids=[SKILL], now=now))
        async with in_memory(app) as client:
            peer = AlexaPeer(now, signer=AlexaSigner())
            assert (await ask(client, peer.launch())).status_code == 400

    run(main)

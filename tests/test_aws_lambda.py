"""An Alexa skill as an AWS Lambda function: events in, answers out, nothing remembered in between."""

import asyncio
import json
import logging
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel import ResponseItem, Timeouts
from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.contrib.aws_lambda import AlexaHandler
from flowstorm_channel.contrib.stores import MemoryStore
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import FaultEvent, InputEvent, TurnInterruptedEvent
from flowstorm_channel.testing.alexa import AlexaPeer
from flowstorm_channel.testing.strategies import json_values
from tests.depth import examples

SKILL = "amzn1.ask.skill.test"


def now():
    return datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def complaints():
    """What is logged as an error; a test takes out what it expects."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    handler = Handler(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("asyncio", "flowstorm_channel")]
    for each in loggers:
        each.addHandler(handler)
    yield found
    for each in loggers:
        each.removeHandler(handler)
    assert found == []


@pytest.fixture
def make():
    """Makes functions, and takes down the loops that they leave to the end of the process."""
    made = []

    def make(dialogue, **settings):
        made.append(AlexaHandler(dialogue, **{"skill_ids": [SKILL], **settings}))
        return made[-1]

    yield make
    for each in made:
        if each._loop is not None:
            assert asyncio.all_tasks(each._loop) == set()
            each._loop.close()


def event_of(sent):
    """What AWS makes of a request."""
    return json.loads(sent[1])


def ask(handler, peer, sent):
    """What the user hears of the answer, which is to be what JSON can say."""
    return peer.take(200, json.dumps(handler(event_of(sent), object())).encode())


async def counting(turn):
    """Counts its turns where the session remembers."""
    count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
    yield f"{count}: {turn.text}"
    if turn.text == "over":
        turn.finish(session_ended=True)


# ------------------------------------------------------------ conversations


def test_a_session_travels_from_instance_to_instance(make):
    """AWS runs as many as it likes, and each turn may meet another one."""
    peer = AlexaPeer(now)
    sent = [peer.launch, lambda: peer.say("hello"), lambda: peer.say("Grüße"), peer.help]
    for count, (request, text) in enumerate(zip(sent, ["#intro", "hello", "Grüße", "help"], strict=True), 1):
        heard = ask(make(counting), peer, request())
        assert heard.speech == f"{count}: {text}"
        assert not heard.ended
    assert ask(make(counting), peer, peer.stop()).speech == "5: stop"


def test_a_session_that_has_ended_does_not_travel_on(make):
    handler, peer = make(counting), AlexaPeer(now)
    assert ask(handler, peer, peer.launch()).speech == "1: #intro"
    assert peer.attributes
    heard = ask(handler, peer, peer.say("over"))
    assert (heard.speech, heard.ended) == ("2: over", True)
    assert heard.body["sessionAttributes"] == {}
    assert ask(handler, peer, peer.launch()).speech == "1: #intro"


def test_attributes_of_the_host_travel_beside_the_session(make):
    async def dialogue(turn):
        assert isinstance(turn.channel, AlexaServer)
        turn.channel.attributes["visits"] = turn.channel.attributes.get("visits", 0) + 1
        yield f"visit {turn.channel.attributes['visits']}"

    peer = AlexaPeer(now)
    for visit in range(1, 4):
        sent = peer.launch() if visit == 1 else peer.say("x")
        assert ask(make(dialogue), peer, sent).speech == f"visit {visit}"
        assert peer.attributes["visits"] == visit


def test_what_came_back_is_not_believed(make):
    """Attributes are the sender's. A session that is none, or somebody else's, is not gone on with."""
    seen = []
    handler, peer, other = make(counting, observe=seen.append), AlexaPeer(now), AlexaPeer(now)
    ask(handler, peer, peer.launch())
    ask(handler, peer, peer.say("x"))
    taken = peer.attributes
    for attributes in ({"flowstorm": "nonsense"}, {"flowstorm": 5}, {"flowstorm": "AAAA"}):
        other.session_id, other.attributes = "another", attributes
        assert ask(handler, other, other.say("x")).speech == "1: x"
    assert len([each for each in seen if isinstance(each, FaultEvent)]) == 2
    other.device_id, other.session_id, other.attributes = "stranger", "test-session-1", taken
    assert ask(handler, other, other.say("x")).speech == "1: x"


def test_more_than_can_travel_is_an_apology(make, complaints):
    async def dialogue(turn):
        turn.session.data["x"] = "x" * 20_000
        yield "Hello."

    handler, peer = make(dialogue, apology="Sorry."), AlexaPeer(now)
    heard = ask(handler, peer, peer.launch())
    assert heard.speech.endswith("Sorry.")
    assert heard.ended
    assert len(complaints) == 1
    complaints.clear()


def test_a_store_keeps_what_does_not_travel(make):
    store, peer = MemoryStore(), AlexaPeer(now)

    async def dialogue(turn):
        turn.session.data["x"] = "x" * 100_000
        async for part in counting(turn):
            yield part

    handler = make(dialogue, store=store)
    for count in range(1, 4):
        sent = peer.launch() if count == 1 else peer.say("x")
        assert ask(handler, peer, sent).speech.startswith(f"{count}: ")
        assert peer.attributes == {}


def test_options_of_the_skill(make):
    async def dialogue(turn):
        yield ResponseItem(text=f"{turn.text} of {turn.init.device_id}", image="/wave.png")

    options = {"base_url": "https://example.com", "reprompt": "Well?", "device_id": lambda _: "mine"}
    handler, peer = make(dialogue, options=options), AlexaPeer(now)
    heard = ask(handler, peer, peer.launch())
    assert heard.speech == "#intro of mine"
    assert (heard.reprompt, heard.image) == ("Well?", "https://example.com/wave.png")


def test_a_request_of_any_time_is_answered(make):
    """AWS has verified it; the clock of a function may be anything."""
    peer = AlexaPeer(lambda: now() - timedelta(days=365))
    assert ask(make(counting), peer, peer.launch()).speech == "1: #intro"


def test_what_no_dialogue_hears(make):
    heard = []

    async def dialogue(turn):
        heard.append(turn.text)

    handler, peer = make(dialogue), AlexaPeer(now)
    ask(handler, peer, peer.request("AudioPlayer.PlaybackStopped", in_session=False))
    ask(handler, peer, peer.can_fulfill("Weather", city="Prague"))
    assert heard == []
    peer.launch()
    ask(handler, peer, peer.end())
    assert heard == ["stop"]


# ------------------------------------------------------------ what goes wrong


def test_a_dialogue_that_fails(make, complaints):
    async def dialogue(turn):
        yield "Well."
        raise RuntimeError(turn.text)

    handler, peer = make(dialogue, apology="Sorry."), AlexaPeer(now)
    for _ in range(2):
        heard = ask(handler, peer, peer.launch())
        assert (heard.speech, heard.ended) == ("Well. Sorry.", True)
    assert len(complaints) == 2
    complaints.clear()


def test_a_dialogue_that_takes_too_long(make):
    seen, cancelled = [], []

    async def dialogue(_):
        yield "So far."
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    handler, peer = make(dialogue, timeouts=Timeouts(alexa=0.05), observe=seen.append), AlexaPeer(now)
    begun = time.monotonic()
    assert ask(handler, peer, peer.launch()).speech == "So far."
    assert time.monotonic() - begun < 2.0
    assert cancelled == [True]
    assert [each.reason for each in seen if isinstance(each, TurnInterruptedEvent)] == ["unanswered"]


def test_whom_the_host_refuses(make):
    async def authorise(init):
        return f"{init.key} may not"

    handler, peer = make(counting, authorise=authorise), AlexaPeer(now)
    heard = ask(handler, peer, peer.launch())
    assert (heard.speech, heard.ended) == (f"alexa:{SKILL} may not", True)


def test_a_request_for_another_skill_is_not_answered(make):
    seen = []
    handler = make(counting, observe=seen.append)
    stranger = AlexaPeer(now, application_id="another")
    with pytest.raises(RemoteProtocolError):
        handler(event_of(stranger.launch()))
    assert not [each for each in seen if isinstance(each, InputEvent)]
    assert "another" in str(next(each.error for each in seen if isinstance(each, FaultEvent)))
    peer = AlexaPeer(now)
    assert ask(handler, peer, peer.launch()).speech == "1: #intro"


def test_a_request_of_an_api_gateway_is_not_answered(make):
    """There anybody may be the sender, and nobody has verified anything: that is for another adapter."""
    body = AlexaPeer(now).launch()[1].decode()
    for event in (
        {"version": "2.0", "rawPath": "/alexa", "headers": {}, "body": body, "isBase64Encoded": False},
        {"httpMethod": "POST", "path": "/alexa", "headers": {}, "body": body, "requestContext": {}},
    ):
        with pytest.raises(RemoteProtocolError):
            make(counting)(event)


class Broken(MemoryStore):
    async def take(self, *_, **__):
        raise RuntimeError("no store")


def test_a_store_that_fails(make, complaints):
    """It is nobody's request that is to blame."""
    handler, peer = make(counting, store=Broken()), AlexaPeer(now)
    with pytest.raises(Exception, match=r"503|went wrong"):
        handler(event_of(peer.launch()))
    assert len(complaints) == 1
    complaints.clear()


def nested(levels):
    tree = {}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


JUNK = {
    "nothing": None,
    "a number": 5,
    "a text": "x",
    "an array": [1],
    "empty": {},
    "no number": {"a": float("nan")},
    "infinite": {"a": float("inf")},
    "half a character": {"a": "\ud800"},
    "deep": nested(100),
    "deeper": nested(500),
    "deepest": nested(5000),
    "long": {"a": "x" * 2_000_000},
    "bytes": {"a": b"x"},
    "an object": {"a": object()},
    "a key that is none": {(1, 2): 3},
}


@pytest.mark.parametrize("event", JUNK.values(), ids=JUNK)
def test_what_is_no_request(make, event):
    handler = make(counting)
    with pytest.raises(RemoteProtocolError):
        handler(event)
    peer = AlexaPeer(now)
    assert ask(handler, peer, peer.launch()).speech == "1: #intro"


HANDLER = AlexaHandler(counting, skill_ids=[SKILL], timeouts=Timeouts(alexa=1.0))
SENT = AlexaPeer(now).say("hello")


@pytest.fixture(scope="module")
def _close():
    yield
    HANDLER._loop.close()


@settings(max_examples=examples(100), deadline=None, database=None)
@given(event=json_values(), place=st.sampled_from(["session", "context", "request", "version", None]))
@pytest.mark.usefixtures("_close")
def test_any_event_is_answered_or_refused(event, place):
    """Nothing else is raised. A request in which something is something else may well be answered."""
    if place is not None:
        event = {**event_of(SENT), place: event}
    try:
        answer = HANDLER(event)
    except RemoteProtocolError:
        return
    assert answer["version"] == "1.0"
    json.dumps(answer)


@pytest.mark.parametrize("skill_ids", [[], (), SKILL, ""], ids=["none", "none at all", "one", "empty"])
def test_skills_are_named(skill_ids):
    with pytest.raises(ValueError, match="skill_ids"):
        AlexaHandler(counting, skill_ids=skill_ids)


def test_nothing_is_needed_to_verify_requests(monkeypatch):
    import sys

    for package in ("cryptography", "certifi"):
        for name in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
            monkeypatch.setitem(sys.modules, name, None)
    handler, peer = AlexaHandler(counting, skill_ids=[SKILL]), AlexaPeer(now)
    assert ask(handler, peer, peer.launch()).speech == "1: #intro"
    handler._loop.close()


# ------------------------------------------------------------ one call after another


def test_all_calls_share_a_loop(make):
    """A store keeps its connections, and what a dialogue began may go on while the next call is answered."""
    loops, finished = [], []

    async def afterwards():
        await asyncio.sleep(0)
        finished.append(True)

    tasks = []

    async def dialogue(turn):
        loops.append(asyncio.get_running_loop())
        tasks.append(asyncio.create_task(afterwards()))
        yield turn.text

    handler, peer = make(dialogue), AlexaPeer(now)
    assert handler._loop is None  # what is loaded is not run: AWS may freeze it first
    for number in range(3):
        ask(handler, peer, peer.launch() if number == 0 else peer.say("x"))
    assert len(set(loops)) == 1
    assert len(finished) >= 2
    handler._loop.run_until_complete(asyncio.gather(*tasks))


def test_a_second_call_is_fast(make):
    handler, peer = make(counting), AlexaPeer(now)
    ask(handler, peer, peer.launch())
    times = []
    for _ in range(20):
        event = event_of(peer.say("x"))
        begun = time.perf_counter()
        answer = handler(event)
        times.append(time.perf_counter() - begun)
        peer.take(200, json.dumps(answer).encode())
    assert min(times) < 0.02

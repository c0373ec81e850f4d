"""The server end of an action of Google Assistant, in both versions: rule by rule, then anything.

What is expected is written down here by hand; every answer is judged by the peer that has asked. What every
webhook does alike is tested with Alexa's.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.channel import Control, Timeouts
from flowstorm_channel.errors import (
    LocalProtocolError,
    SignatureError,
    TooLateError,
)
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputEvent,
    KeysNeed,
    Need,
    SessionNeed,
    StoreNeed,
    TurnInterruptedEvent,
    UnsentEvent,
)
from flowstorm_channel.google import GoogleAssistantServer, GoogleKeys
from flowstorm_channel.google.requests import V3Request
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.states import State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.google import GooglePeer, Heard
from flowstorm_channel.testing.signing import GoogleSigner
from flowstorm_channel.testing.strategies import json_values
from flowstorm_channel.values import (
    ClientAttributes,
    ClientConfig,
    ExpectedPhrase,
    Input,
    Location,
    Response,
    ResponseItem,
    SttMode,
)
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests import exchanges
from tests.depth import examples

NOON = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
PROJECT = "test-project"
ID = "c1"
"""Of the first conversation of the first peer."""
JSON = "application/json;charset=utf-8"
V2: Literal["2"] = "2"
V3: Literal["3"] = "3"
both = pytest.mark.parametrize("version", [V2, V3], ids=["v2", "v3"])
PATIENCE = {V2: 9, V3: 4}
"""Seconds that may pass between request and answer."""

Version = Literal["2", "3"]
Sent = tuple[RequestHead, bytes]


# ------------------------------------------------------------ a host


def line(what: Event | Message) -> str:
    """What an event or a piece of an answer is."""
    match what:
        case InitEvent():
            return "Init"
        case KeysNeed():
            return "KeysNeed"
        case UnsentEvent():
            return f"Unsent {what.number} {what.part}"
        case FaultEvent():
            return f"Fault {type(what.error).__name__}"
        case bytes():
            return "JSON"
    return exchanges.line(what)


class Asked:
    """One request at the server: what it is told and what it answers pile up until they are taken.

    The loop runs once when something was received, when the machine asked to be woken, and when the deadline
    that was armed last is due. Whoever is not woken stands still.
    """

    def __init__(self, server: Server, peer: GooglePeer | None, *, accept: bool = True, **kw: Any) -> None:
        self.server = server
        self.peer = copy.copy(peer)  # as it was when it asked; None: nobody whose taste is known
        self.accept = accept
        common = {"clock": server.clock, "make_id": server.make_id, "wake": self.wake, "now": server.now}
        settings: dict[str, Any] = {**common, "project_ids": {PROJECT}, "keys": server.keys, **kw}
        self.machine: GoogleAssistantServer = GoogleAssistantServer(server.sessions, **settings)
        self.history: list[Event] = []
        self.output: list[Message] = []
        self.turns: list[Turn] = []
        self.woken = False
        self.armed: float | None = None
        self._told = self._sent = 0

    def wake(self) -> None:
        self.woken = True

    # -------------------------------------------------------- the loop

    def step(self) -> None:
        """Take events first, then flush, then arm the timer: once, as every host does."""
        self.woken = False
        for event in self.machine.events():
            self.history.append(event)
            if isinstance(event, InputEvent):
                self.turns.append(self.machine.turn)
            elif isinstance(event, InitEvent) and self.accept:
                self.machine.ready()
            elif isinstance(event, KeysNeed) and self.server.fetches is not None:
                self.machine.provide(event, self.server.fetches)
            elif isinstance(event, SessionNeed) and self.server.store is not None:
                self.machine.provide(event, self.server.store.get(event.session_id))
            elif isinstance(event, StoreNeed) and self.server.store is not None:
                self.server.store[event.session_id] = event.snapshot
                self.machine.provide(event, event.snapshot)
        self.output += self.machine.data_to_send()
        self.armed = self.machine.next_deadline()

    def receive(self, *pieces: Message) -> Asked:
        """Hand over pieces, running the loop after each."""
        for piece in pieces:
            self.machine.receive_data(piece)
            self.step()
        self.server.settle()
        return self

    def lost(self) -> Asked:
        self.machine.receive_eof()
        self.step()
        self.server.settle()
        return self

    def provide(self, value: bytes | None) -> Asked:
        self.machine.provide(self.need, value)
        self.server.settle()
        return self

    def answer(self, *items: str | ResponseItem, **members: Any) -> Asked:
        """Say something, and finish the turn."""
        for item in items:
            self.turn.say(item)
        self.turn.finish(**members)
        self.server.settle()
        return self

    # -------------------------------------------------------- what there is to look at

    @property
    def turn(self) -> Turn:
        self.server.settle()
        return self.turns[-1]

    @property
    def session(self) -> Session:
        return self.turn.session

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def init(self) -> InitEvent:
        found = next(each for each in self.history if isinstance(each, InitEvent))
        assert self.machine.init in (None, found)
        return found

    @property
    def input(self) -> Input:
        said = self.turn.input
        assert said is not None
        return said

    @property
    def need(self) -> Any:
        """The need that was told last."""
        self.server.settle()
        return next(each for each in reversed(self.history) if isinstance(each, Need))

    @property
    def fault(self) -> Any:
        """What the client was told to have done wrong, last."""
        self.server.settle()
        return next(each.error for each in reversed(self.history) if isinstance(each, FaultEvent))

    @property
    def unsent(self) -> list[str]:
        self.server.settle()
        return [each.part for each in self.history if isinstance(each, UnsentEvent)]

    def due_in(self) -> float | None:
        self.server.settle()
        return None if self.armed is None else round(self.armed - self.server.clock.now, 6)

    def told(self) -> list[str]:
        """What was told since the last time."""
        self.server.settle()
        taken = self.history[self._told :]
        self._told = len(self.history)
        return [line(each) for each in taken]

    def sent(self) -> list[str]:
        """What was sent since the last time: status, ``JSON``, ``END``."""
        self.server.settle()
        taken = self.output[self._sent :]
        self._sent = len(self.output)
        return [line(each) for each in taken]

    def forget(self) -> Asked:
        self.told()
        self.sent()
        return self

    @property
    def closed(self) -> bool:
        self.server.settle()
        return bool(self.history) and isinstance(self.history[-1], ClosedEvent)

    @property
    def head(self) -> ResponseHead:
        self.server.settle()
        found = self.output[0]
        assert isinstance(found, ResponseHead)
        return found

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def headers(self) -> dict[str, str]:
        """Of the response, by lower-case name; none may come twice."""
        found = {name.lower(): value for name, value in self.head.headers}
        assert len(found) == len(self.head.headers)
        return found

    @property
    def body(self) -> bytes:
        self.server.settle()
        return b"".join(each for each in self.output if isinstance(each, bytes))

    @property
    def tree(self) -> dict[str, Any]:
        """The JSON of the response."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def heard(self) -> Heard:
        """What the user gets of it: it must be legal."""
        assert self.peer is not None
        return copy.copy(self.peer).take(self.status, self.body)

    def everything(self) -> tuple[object, ...]:
        """All that a refused call must leave alone."""
        end = self.machine
        return (
            *(end.state, end.audio, end.session_id, end.next_deadline(), end.init, end.dropped, end.full),
            *(end._question, end._answered, end._status, end._running, len(self.history), len(self.output)),
            *(repr(end.session), dict(self.server.sessions._kept), end._last, end.request),
        )


class Server:
    """An action: its sessions, its clock, the requests under way, and an Assistant that talks to it.

    Args:
        version: of the Assistant's protocol.
        stored: the host keeps the sessions.
        keeping: other arguments of `Sessions`.
        signer: requests are verified, and signed by it.
        peer: other arguments of the `GooglePeer`.
        kw: of every request's machine.
    """

    def __init__(
        self,
        version: Version = V3,
        *,
        stored: bool = False,
        keeping: Mapping[str, Any] = MappingProxyType({}),
        signer: GoogleSigner | None = None,
        peer: Mapping[str, Any] = MappingProxyType({}),
        **kw: Any,
    ) -> None:
        SERVERS.append(self)
        self.clock = ManualClock()
        self.sessions = Sessions(stored=stored, clock=self.clock, **keeping)
        self.signer = signer
        self.keys = None if signer is None else GoogleKeys(clock=self.clock)
        self.fetches: bytes | None = None
        """What a `KeysNeed` is answered with at once; None: it is not."""
        self.store: dict[str, bytes] | None = None
        """Where sessions are kept; None: their needs are not answered at once."""
        self.offset = timedelta()
        self.make_id: Callable[[], str] = (f"s{number}" for number in itertools.count(1)).__next__
        self.conversations: Callable[[], str] = (f"c{number}" for number in itertools.count(1)).__next__
        self.peer = self.assistant(version, **peer)
        self.kw = kw
        self.requests: list[Asked] = []

    def now(self) -> datetime:
        return NOON + self.offset + timedelta(seconds=self.clock.now)

    def assistant(self, version: Version = V3, **kw: Any) -> GooglePeer:
        """One that talks to this server."""
        usual = {"signer": self.signer, "now": self.now, "make_id": self.conversations}
        return GooglePeer(version, **{**usual, **kw})

    def open(self, *pieces: Message, by: GooglePeer | None = None, **kw: Any) -> Asked:
        """A request with what has come of it so far."""
        asked = Asked(self, by, **{**self.kw, **kw})
        self.requests.append(asked)
        return asked.receive(*pieces)

    def ask(self, sent: Sent, *, by: GooglePeer | None = None, **kw: Any) -> Asked:
        """A whole request of a peer."""
        return self.open(*sent, END, by=by or self.peer, **kw)

    def post(self, tree: object, *headers: tuple[str, str], url: str = "/google", **kw: Any) -> Asked:
        """A whole request of any JSON, or of any bytes."""
        body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
        return self.open(RequestHead(method="POST", url=url, headers=headers), body, END, **kw)

    def launch(self, **kw: Any) -> Asked:
        return self.ask(self.peer.launch(), **kw)

    def say(self, text: str = "hello", **kw: Any) -> Asked:
        if self.peer.conversation_id is None:
            self.begin()
        return self.ask(self.peer.say(text), **kw)

    def begin(self) -> None:
        """Let a conversation go on, of which the server knows nothing."""
        self.peer.launch()

    def hear(self, asked: Asked, peer: GooglePeer | None = None) -> Heard:
        """The Assistant takes the answer to its last request, and the conversation goes on with it."""
        return (peer or self.peer).take(asked.status, asked.body)

    def converse(self, *items: str | ResponseItem, **members: Any) -> Session:
        """Have a turn, from its input to the answer."""
        asked = self.say()
        session = asked.session
        self.hear(asked.answer(*(items or ("fine",)), **members))
        assert asked.closed
        return session

    def settle(self) -> None:
        """Run the loops of those that were woken."""
        while woken := [each for each in self.requests if each.woken]:
            for each in woken:
                each.step()

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline that was armed."""
        until = self.clock.now + seconds
        self.settle()
        while due := [each for each in self.requests if each.armed is not None and each.armed <= until]:
            first = min(due, key=lambda each: each.armed or 0.0)
            before = first.armed
            self.clock.now = max(self.clock.now, before or 0.0)
            first.step()
            self.settle()
            assert first.armed != before, "a deadline that is due does not happen"
        self.clock.now = until
        self.settle()

    def finish(self) -> None:
        """Have all be over, and check what must hold of every request."""
        for each in self.requests:
            if not each.closed:
                each.lost()
        self.settle()
        for each in self.requests:
            check(each)
        assert self.sessions._under_way == {}
        assert self.sessions._owners == {}


def check(asked: Asked) -> None:
    """What must hold of every request that is over."""
    closings = [each for each in asked.history if isinstance(each, ClosedEvent)]
    assert asked.history[-1:] == closings
    assert asked.machine.closed
    assert asked.state is State.CLOSED
    assert asked.machine.next_deadline() is None
    assert asked.machine.next_event() is Control.NEED_DATA
    assert list(asked.machine.data_to_send()) == []
    assert all(turn.over for turn in asked.turns)
    kinds = [type(each) for each in asked.history if isinstance(each, (InitEvent, InputEvent))]
    assert kinds in ([], [InitEvent], [InitEvent, InputEvent])
    cuts = [each.number for each in asked.history if isinstance(each, TurnInterruptedEvent)]
    assert cuts in ([], [turn.number for turn in asked.turns])
    pieces = [type(each) for each in asked.output]
    if pieces not in ([], [Close]):
        assert pieces[:2] == [ResponseHead, bytes]
        assert [line(each) for each in asked.output[2:]] in (["END"], ["Close 1000"], [])
        check_answer(asked)


def check_answer(asked: Asked) -> None:
    """What must hold of every answer, whatever was asked."""
    assert asked.status == 200 or 400 <= asked.status <= 599
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["content-type"] == JSON
    if asked.status != 200:
        assert list(asked.tree) == ["error"]
        assert isinstance(asked.tree["error"], str)
    elif asked.peer is not None:
        assert isinstance(asked.heard, Heard)


SERVERS: list[Server] = []


@pytest.fixture(autouse=True)
def _all_requests_end_and_leave_nothing() -> Iterator[None]:
    SERVERS.clear()
    yield
    while SERVERS:
        SERVERS.pop().finish()


def refused(asked: Asked, call: Callable[[], object], error: type = LocalProtocolError) -> None:
    """The call raises, says what is legal instead, and changes nothing."""
    asked.forget()
    before = asked.everything()
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    if isinstance(caught.value, LocalProtocolError) and error is LocalProtocolError:
        assert caught.value.legal
    assert asked.everything() == before
    assert (asked.told(), asked.sent()) == ([], [])


@cache
def google(kid: str = "test-key", project: str = PROJECT) -> GoogleSigner:
    return GoogleSigner(project, kid=kid)


# ------------------------------------------------------------ a request, from end to end


@both
def test_a_turn(version: Version) -> None:
    server = Server(version)
    asked = server.open(by=server.peer)
    assert (asked.state, asked.due_in()) == (State.CLOSED, None)
    head, body = server.peer.launch()
    asked.receive(head, body)
    assert (asked.told(), asked.state, asked.machine.request) == ([], State.OPEN, None)
    asked.peer = copy.copy(server.peer)
    asked.receive(END)
    assert (asked.told(), asked.sent(), asked.state) == (["Init", "Input #intro"], [], State.PROCESSING)
    asked.turn.say("Hello!")
    assert (asked.sent(), asked.state) == ([], State.RESPONDING)
    asked.answer("What is your name?")
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.told() == ["Closed 1000"]
    assert asked.headers == {"cache-control": "no-store", "content-type": JSON}
    heard = server.hear(asked)
    assert (heard.speech, heard.text) == ("Hello! What is your name?", "Hello! What is your name?")
    assert not heard.ended


@both
def test_the_next_turn_goes_on_with_the_session(version: Version) -> None:
    server = Server(version)
    first = server.launch()
    first.session.data["name"] = "Ann"
    server.hear(first.answer("Hello!"))
    second = server.say("How are you?")
    assert second.told() == ["Init", "Input How are you?"]
    assert (second.turn.session_id, second.turn.number) == (ID, 2)
    assert second.session is first.turns[0].session
    assert second.session.data == {"name": "Ann"}


@both
def test_a_conversation_of_its_own(version: Version) -> None:
    server = Server(version)
    server.hear(server.launch().answer("Hello!"))
    heard = server.hear(
        server.say("What is there?").answer(
            "Red and green.",
            ResponseItem(text="#card", code='{"title":"Colours","text":"red, green"}'),
            ResponseItem(text="#suggestions", code='["red","green"]'),
            expected_phrases=[ExpectedPhrase(text="red"), ExpectedPhrase(text="green")],
        )
    )
    assert (heard.speech, heard.suggestions, heard.hints) == ("Red and green.", ("red", "green"), heard.hints)
    assert heard.hints == ("red", "green")
    assert heard.card is not None
    assert heard.card.title == "Colours"
    heard = server.hear(server.say("red").answer("Bye!", session_ended=True))
    assert (heard.speech, heard.ended, server.peer.conversation_id) == ("Bye!", True, None)
    again = server.launch()
    assert (again.turn.session_id, again.turn.number, again.session.data) == ("c2", 1, {})


@both
@pytest.mark.parametrize("signed", [False, True], ids=["plain", "signed"])
def test_it_does_not_matter_how_the_body_is_cut(version: Version, signed: bool) -> None:
    server = Server(version, signer=google() if signed else None)
    server.fetches = google().document
    server.begin()
    head, body = server.peer.say("žluťoučký kůň")
    asked = server.open(head, *(bytes([each]) for each in body), END, by=server.peer)
    assert asked.told() == [*(["KeysNeed"] if signed else []), "Init", "Input žluťoučký kůň"]
    assert asked.answer("fine").heard.speech == "fine"


@both
def test_nothing_happens_before_the_host_has_accepted(version: Version) -> None:
    server = Server(version, accept=False)
    asked = server.launch()
    assert asked.told() == ["Init"]
    assert asked.machine.next_event() is Control.NEED_ANSWER
    server.advance(3)
    assert (asked.told(), asked.sent(), asked.due_in()) == ([], [], None)
    asked.machine.ready()
    assert (asked.told(), asked.due_in()) == (["Input #intro"], PATIENCE[version] - 3)


@both
def test_a_dialogue_reaches_what_only_google_has(version: Version) -> None:
    asked = Server(version).launch()
    machine = asked.turn.channel
    assert isinstance(machine, GoogleAssistantServer)
    assert machine.request is not None
    assert (machine.request.version, machine.request.session_id) == (version, ID)
    assert machine.request.begins
    assert asked.input.attributes["clientType"] == f"google-assistant:{version}"


# ------------------------------------------------------------ the two versions


def v2_tree(**members: Any) -> dict[str, Any]:
    return {
        "user": {"locale": "en-GB", "userStorage": "{}", "userVerificationStatus": "VERIFIED"},
        "conversation": {"conversationId": ID, "type": "ACTIVE", "conversationToken": "[]"},
        "inputs": [
            {
                "intent": "actions.intent.TEXT",
                "rawInputs": [{"inputType": "VOICE", "query": "yo"}],
                "arguments": [
                    {
                        "name": "text",
                        "rawText": "yo",
                        "textValue": "yo",
                        "boolValue": True,
                        "intValue": "1",
                    }
                ],
            }
        ],
        "surface": {"capabilities": [{"name": "actions.capability.SCREEN_OUTPUT"}]},
        "device": {
            "location": {
                "coordinates": {"latitude": 50.0, "longitude": 14.5},
                "formattedAddress": "a",
                "zipCode": "z",
                "city": "c",
            }
        },
        "availableSurfaces": [{"capabilities": [{"name": "actions.capability.AUDIO_OUTPUT"}]}],
        "isInSandbox": True,
        **members,
    }


def v3_tree(**members: Any) -> dict[str, Any]:
    return {
        "handler": {"name": "main"},
        "intent": {"name": "ask", "params": {"p": {"original": "o", "resolved": "r"}}, "query": "yo"},
        "scene": {
            "name": "S",
            "slotFillingStatus": "COLLECTING",
            "slots": {"size": {"mode": "REQUIRED", "value": [1]}},
            "next": {"name": "N"},
        },
        "session": {"id": ID, "params": {"k": 1}, "typeOverrides": [{"name": "t"}], "languageCode": "en-GB"},
        "user": {
            "locale": "en-US",
            "params": {"n": 1},
            "verificationStatus": "VERIFIED",
            "accountLinkingStatus": "NOT_LINKED",
            "lastSeenTime": "2026-06-14T12:00:00Z",
        },
        "home": {"params": {"h": 1}},
        "device": {
            "capabilities": ["SPEECH", "RICH_RESPONSE"],
            "currentLocation": {"coordinates": {"latitude": 50.0, "longitude": 14.5}},
            "timeZone": {"id": "Europe/Prague", "version": "x"},
        },
        "context": {"media": {"progress": "1s"}},
        **members,
    }


TREES: dict[str, Callable[..., dict[str, Any]]] = {V2: v2_tree, V3: v3_tree}


@both
def test_a_request_is_of_the_version_that_it_has_the_shape_of(version: Version) -> None:
    asked = Server().post(TREES[version]())
    assert asked.machine.request is not None
    assert asked.machine.request.version == version
    assert asked.told() == ["Init", "Input yo"]
    assert ("prompt" in asked.answer("fine").tree) == (version == V3)


@pytest.mark.parametrize("name", ["handler", "session"])
def test_what_has_the_shape_of_both_versions_is_of_the_third(name: str) -> None:
    """Nothing that version 2 is made of makes a request of version 3 one of version 2."""
    asked = Server().post(v2_tree(**v3_tree()))
    assert asked.machine.request is not None
    assert asked.machine.request.version == V3
    asked = Server().post(v2_tree(**{name: v3_tree()[name]}))
    assert asked.sent() == ["400", "JSON", "END"]


@pytest.mark.parametrize(
    "tree",
    [*(None, True, 0, 1.5, "text", [], [{}], {}, {"x": 1}, {"request": {"type": "LaunchRequest"}}), v2_tree],
    ids=range(11),
)
def test_json_that_is_no_request(tree: object) -> None:
    asked = Server().post([v2_tree()] if tree is v2_tree else tree)
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
    assert asked.tree == {"error": str(asked.fault)}
    assert asked.machine.request is None


def test_what_is_of_neither_version_is_told() -> None:
    asked = Server().post({"user": {}, "device": {}})
    assert asked.fault.path == "inputs"
    assert "neither version" in str(asked.fault)
    for tree, path in (
        ({"inputs": []}, "conversation"),
        ({"conversation": {"conversationId": ID}}, "inputs"),
    ):
        assert Server().post(tree).fault.path == path
    assert Server().post({"handler": {}}).fault.path == "intent"


# ------------------------------------------------------------ health checks


@both
@pytest.mark.parametrize("stored", [False, True], ids=["kept", "stored"])
def test_a_health_check_is_no_business_of_the_dialogue(version: Version, stored: bool) -> None:
    server = Server(version, stored=stored)
    asked = server.ask(server.peer.health_check())
    assert (asked.told(), asked.sent()) == (["Closed 1000"], ["200", "JSON", "END"])
    assert (asked.heard.speech, asked.machine.init, asked.machine.session) == ("ok", None, None)
    assert (asked.machine.request is not None) is True
    assert len(server.sessions) == 0


@both
def test_a_health_check_is_verified_too(version: Version) -> None:
    server = Server(version, signer=google())
    server.fetches = google().document
    asked = server.ask(server.peer.health_check())
    assert asked.told() == ["KeysNeed", "Closed 1000"]
    assert asked.heard.speech == "ok"
    head, body = server.peer.health_check()
    asked = server.open(RequestHead(method="POST", url=head.url), body, END)
    assert asked.told() == ["Fault SignatureError", "Closed 1000"]
    assert asked.sent() == ["403", "JSON", "END"]


@both
def test_a_health_check_disturbs_nobody(version: Version) -> None:
    server = Server(version)
    server.converse()
    running = server.say()
    other = server.assistant(version)
    checking = server.ask(other.health_check(), by=other)
    assert checking.sent() == ["200", "JSON", "END"]
    assert running.told() == ["Init", "Input hello"]
    assert running.answer("fine").heard.speech == "fine"
    assert len(server.sessions) == 1


@both
def test_a_health_check_in_the_middle_of_a_conversation_stores_nothing(version: Version) -> None:
    server = Server(version)
    server.launch().answer("fine")
    if version == V2:
        check = {"name": "is_health_check", "boolValue": True, "textValue": "1"}
        tree = v2_tree(inputs=[{"intent": "actions.intent.MAIN", "arguments": [check]}])
    else:
        tree = v3_tree(intent={"name": "actions.intent.HEALTH_CHECK"})
    asked = server.post(tree)
    assert (asked.told(), asked.status) == (["Closed 1000"], 200)
    assert "userStorage" not in asked.tree
    assert "user" not in asked.tree
    assert not server.say().session.ended


# ------------------------------------------------------------ the application


@pytest.mark.parametrize(
    ("url", "key"),
    [
        *(
            ("/google", "default"),
            ("/google?key=demo", "demo"),
            ("https://bot.example/google?key=demo", "demo"),
        ),
        *(("/google?a=b&key=demo&c=d", "demo"), ("/google?key=two%20words+more", "two words more")),
        *(
            ("/google?key=", "default"),
            ("/google?key", "default"),
            ("/google?KEY=x", "default"),
            ("", "default"),
        ),
        *(("/google?k%65y=demo", "demo"), ("/google?key=a%26b%3Dc", "a&b=c"), ("/google?key=a;b=c", "a;b=c")),
        *(("/google?key=demo#key=x", "demo"), ("/google?key=%c5%be%ff", "ž\ufffd"), ("?key=demo", "demo")),
        ("/google?key=" + "x" * 4000, "x" * 4000),
        ("/google?" + "a=b&" * 99 + "key=demo", "demo"),
    ],
    ids=range(17),
)
def test_the_application_is_named_in_the_address(url: str, key: str) -> None:
    asked = Server().post(v3_tree(), url=url)
    assert asked.told() == ["Init", "Input yo"]
    assert asked.init.key == key


@both
@pytest.mark.parametrize("key", ["alexa:x", "ALEXA:", "alexa%3Ax"])
def test_nobody_can_pretend_to_be_a_skill_of_alexa(version: Version, key: str) -> None:
    asked = Server().post(TREES[version](), url=f"/google?key={key}")
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
    assert asked.fault.path == "key"


@both
@pytest.mark.parametrize("key", ["a%0d%0ab", "%00", "%7f", "a%1b[0m"], ids=range(4))
def test_a_key_of_control_characters_is_none(version: Version, key: str) -> None:
    asked = Server().post(TREES[version](), url=f"/google?key={key}")
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]


@pytest.mark.parametrize(
    "url", ["//[", "https://a℀b/?key=demo", "/google?" + "a=b&" * 100 + "key=demo"], ids=range(3)
)
def test_an_address_that_is_none(url: str) -> None:
    asked = Server().post(v3_tree(), url=url)
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]


def test_an_address_is_looked_at_only_when_it_is_known_who_asks() -> None:
    asked = Server(signer=google()).post(v3_tree(), url="//[")
    assert asked.told() == ["Fault SignatureError", "Closed 1000"]


@both
def test_the_peer_names_the_application(version: Version) -> None:
    assert Server(version, peer={"key": "a b&c"}).launch().init.key == "a b&c"


# ------------------------------------------------------------ who speaks


@both
@pytest.mark.parametrize("stored", [False, True], ids=["kept", "stored"])
def test_a_user_whom_google_knows_is_the_same_in_all_conversations(version: Version, stored: bool) -> None:
    server = Server(version, stored=stored)
    server.store = {} if stored else None
    devices = set()
    for _ in range(3):
        for members in ({}, {}, {"session_ended": True}):
            asked = server.say()
            devices.add(asked.init.device_id)
            server.hear(asked.answer("fine", **members))
    assert len(devices) == 1


@both
def test_a_user_whom_google_does_not_know_is_the_same_in_one_conversation(version: Version) -> None:
    server = Server(version, peer={"verified": False})
    devices = []
    for _ in range(3):
        turns = []
        for members in ({}, {}, {"session_ended": True}):
            asked = server.say()
            turns.append(asked.init.device_id)
            server.hear(asked.answer("fine", **members))
        assert len(set(turns)) == 1
        devices.append(turns[0])
    assert len(set(devices)) == 3


def test_there_is_never_one_device_for_everybody() -> None:
    server = Server()
    versions: tuple[Version, ...] = (V2, V3)
    peers = [
        server.assistant(version, verified=verified, screen=screen, locale=locale)
        for version in versions
        for verified in (True, False)
        for screen in (True, False)
        for locale in ("en-US", "")
    ]
    devices = []
    for peer in peers:
        asked = server.ask(peer.launch(), by=peer)
        devices.append(asked.init.device_id)
        assert asked.init.token is None
        assert devices[-1] not in ("", peer.conversation_id)
    assert len(set(devices)) == len(peers)


@both
@pytest.mark.parametrize("storage", ["full", "no object", "no id of ours"])
def test_when_nothing_can_be_stored_a_conversation_has_one_device(version: Version, storage: str) -> None:
    server = Server(version)
    match storage:
        case "full":
            server.peer.storage = json.dumps({"x": "y" * 9_980})
            server.peer.user_params = {"x": "y" * 9_980}
        case "no object":
            server.peer.storage = "[1]"
            server.peer.user_params = {"flowstormDeviceId": ["x"]}
        case _:
            server.peer.storage = '{"flowstormDeviceId":"not an id"}'
            server.peer.user_params = {"flowstormDeviceId": "not an id"}
    before = server.peer.storage, server.peer.user_params
    sessions = [server.converse() for _ in range(3)]
    assert sessions[0] is sessions[1] is sessions[2]
    assert (server.peer.storage, server.peer.user_params) == before  # what an author keeps there stays


@both
def test_the_id_that_a_user_brings_counts_only_when_google_knows_him(version: Version) -> None:
    for verified in (True, False):
        server = Server(version, peer={"verified": verified})
        server.peer.storage = '{"flowstormDeviceId":"stolen"}'
        server.peer.user_params = {"flowstormDeviceId": "stolen"}
        # A new conversation of a guest has no storage; who makes requests himself may say so all the same.
        server.peer.conversation_id = ID
        assert (server.ask(server.peer.say("hello")).init.device_id == "stolen") is verified


@both
@pytest.mark.parametrize(
    ("locale", "found"),
    [("cs-CZ", "cs-CZ"), ("en_gb", "en-GB"), ("", "en"), ("no language!", "en"), ("x" * 100_000, "en")],
    ids=range(5),
)
def test_the_language_of_the_user(version: Version, locale: str, found: str) -> None:
    asked = Server(version, peer={"locale": locale}).launch()
    assert asked.init.config.locale == found
    assert asked.input.locale == found


def test_what_the_device_tells_of_itself() -> None:
    place = Location(lat=50.0, lng=14.5)
    server = Server(V3, peer={"location": place, "zone_id": "Asia/Tokyo"})
    asked = server.launch()
    assert asked.init.config == ClientConfig(locale="en-US", zone_id="Asia/Tokyo", silence_timeout=0)
    assert asked.input.zone_id == "Asia/Tokyo"
    assert ClientAttributes.of(asked.input.attributes).client_location == place
    assert asked.input.attributes["clientScreen"] is True


@pytest.mark.parametrize(
    "zone",
    [None, "", "Middle/Earth", 5, [], {}, {"id": {}}, {"id": ["Asia/Tokyo"]}, {"id": "x" * 100_000}],
    ids=range(9),
)
def test_a_time_zone_that_is_none(zone: object) -> None:
    tree = v3_tree(device={"timeZone": zone if isinstance(zone, (dict, list)) else {"id": zone}})
    asked = Server().post(tree)
    assert asked.init.config.zone_id == ClientConfig().zone_id
    assert asked.input.zone_id == Input().zone_id


def test_version_2_tells_no_time_zone() -> None:
    asked = Server(V2).launch()
    assert asked.init.config == ClientConfig(locale="en-US", silence_timeout=0)


# ------------------------------------------------------------ the end of a conversation, and silence

ENDS: dict[str, Callable[[Asked], object]] = {
    "finish": lambda asked: asked.answer("Bye!"),
    "say nothing": lambda asked: asked.answer(),
    "say much": lambda asked: asked.answer(
        *["Do not leave me alone. "] * 9, expected_phrases=[ExpectedPhrase(text="x")]
    ),
    "show much": lambda asked: asked.answer(
        ResponseItem(text="Bye!", image="https://h/i.png", audio="https://h/a.mp3"),
        ResponseItem(text="#card", code='{"title":"t","text":"x"}'),
        ResponseItem(text="#suggestions", code='["stay"]'),
    ),
    "go on": lambda asked: asked.answer("Stay!", session_ended=False, locale="cs-CZ"),
    "sleep": lambda asked: asked.answer("Zzz", sleep_timeout=60),
    "sleep and end": lambda asked: asked.answer("Zzz", sleep_timeout=60, session_ended=True),
    "turn.fail": lambda asked: asked.turn.fail("something is wrong " * 9),
    "fail": lambda asked: asked.machine.fail("something is wrong " * 9),
    "interrupt": lambda asked: asked.turn.interrupt(),
    "give way": lambda asked: asked.machine.give_way(),
    "deadline": lambda asked: asked.server.advance(9),
    "close": lambda asked: asked.machine.close(),
    "lost": lambda asked: asked.lost(),
}


@both
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("how", list(ENDS))
def test_whoever_says_goodbye_has_left_whatever_the_dialogue_says(
    version: Version, how: str, known: bool
) -> None:
    server = Server(version)
    if known:
        server.converse().data["x"] = 1
    else:
        server.begin()
    asked = server.ask(server.peer.cancel())
    assert asked.told() == ["Init", "Input stop"]
    session = asked.session
    assert session.turns == 1 + known
    session.data["y"] = 1
    ENDS[how](asked)
    assert (session.ended, session.data, session.asleep) == (True, {}, False)
    if how in ("close", "lost"):
        assert asked.sent() == (["503", "JSON", "END"] if how == "close" else [])
    else:
        assert asked.sent() == ["200", "JSON", "END"]
        assert server.hear(asked).ended
    server.peer.conversation_id = ID
    again = server.ask(server.peer.say("hello"))
    assert (again.turn.session_id, again.turn.number, again.session.data) == (ID, 1, {})


@both
def test_the_end_of_a_conversation_is_stored(version: Version) -> None:
    for how in ("finish", "sleep", "deadline", "turn.fail", "fail"):
        server = Server(version, stored=True)
        server.begin()
        asked = server.ask(server.peer.cancel()).provide(None)
        asked.session.data["x"] = object()  # which could not be stored, but is forgotten
        ENDS[how](asked)
        kept = Session.restore(asked.need.snapshot)
        assert (kept.session_id, kept.ended, kept.data) == (ID, True, {})
        asked.provide(b"")
        assert server.hear(asked).ended


@both
def test_what_is_too_long_for_a_goodbye_is_told(version: Version) -> None:
    server = Server(version)
    server.begin()
    asked = server.ask(server.peer.cancel()).answer("That was very nice. " * 9)
    assert asked.unsent == ([] if version == V3 else ["speech", "text"])


@both
def test_silence_is_an_input(version: Version) -> None:
    server = Server(version)
    server.converse()
    for number in range(2, 5):
        asked = server.ask(server.peer.silence())
        assert asked.told() == ["Init", "Input #silence"]
        assert asked.turn.number == number
        assert not server.hear(asked.answer("Are you there?")).ended


def test_a_reprompt_spares_the_dialogue_a_silence() -> None:
    texts: dict[Version, str | None] = {V2: "Hello?", V3: None}
    for version, text in texts.items():
        server = Server(version, reprompt="Hello?")
        assert server.hear(server.launch().answer("Hello!")).reprompt == text
        assert server.say().answer("Bye!", session_ended=True).heard.reprompt is None


@pytest.mark.parametrize("reprompt", ["", " \n", None], ids=repr)
@both
def test_a_reprompt_that_says_nothing_is_none(version: Version, reprompt: str | None) -> None:
    assert Server(version, reprompt=reprompt).launch().answer("Hello!").heard.reprompt is None


@pytest.mark.parametrize(
    "options",
    [{"reprompt": "\ud800"}, {"base_url": "https://h\ud800"}],
    ids=["reprompt", "address"],
)
def test_what_could_never_be_sent_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Server().open(**options)


@both
def test_addresses_of_the_host(version: Version) -> None:
    server = Server(version, base_url="https://bot.example/")
    heard = server.launch().answer(ResponseItem(text="Look!", image="/cat.png", audio="/purr.mp3")).heard
    assert heard.image == "https://bot.example/cat.png"
    assert 'src="https://bot.example/purr.mp3"' in heard.ssml[0]
    asked = Server(version).launch().answer(ResponseItem(text="Look!", image="/cat.png", audio="/purr.mp3"))
    assert (asked.heard.image, asked.unsent) == (None, ["audio", "image"])


# ------------------------------------------------------------ sessions


@both
def test_what_a_response_set_is_remembered(version: Version) -> None:
    server = Server(version)
    session = server.converse(
        locale="cs-CZ", stt_mode=SttMode.DUPLEX, expected_phrases=[ExpectedPhrase(text="x")]
    )
    assert (session.locale, session.stt_mode) == ("cs-CZ", SttMode.DUPLEX)
    assert session.expected_phrases == (ExpectedPhrase(text="x"),)
    asked = server.say().answer("dobře")
    if version == V3:
        assert asked.tree["expected"]["languageCode"] == "cs-CZ"


@both
def test_a_session_sleeps_and_wakes(version: Version) -> None:
    server = Server(version)
    session = server.converse(sleep_timeout=60)
    assert session.asleep
    server.advance(59)
    asked = server.say()
    assert asked.session is session
    assert not session.asleep
    server.hear(asked.answer("fine", sleep_timeout=60))
    server.advance(60)
    asked = server.say()
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)


@both
def test_a_session_is_forgotten_after_a_while(version: Version) -> None:
    server = Server(version, keeping={"keep_for": 100.0})
    session = server.converse()
    server.advance(99)
    assert server.converse() is session
    server.advance(100)
    assert server.converse() is not session


@both
def test_an_ended_session_begins_anew_under_the_same_id(version: Version) -> None:
    server = Server(version)
    session = server.converse(session_ended=True)
    for number in (1, 2):
        server.peer.conversation_id = ID
        asked = server.ask(server.peer.say("hello"))
        assert (asked.turn.session_id, asked.turn.number) == (ID, number)
        assert asked.session is not session
        server.hear(asked.answer("fine"))


@pytest.mark.parametrize("foreign", ["key", "device", "ended", "later"])
@both
def test_nobody_joins_the_session_of_another(version: Version, foreign: str) -> None:
    server = Server(version)
    secret = server.converse(session_ended=foreign == "ended")
    secret.data["secret"] = 1
    other = server.assistant(version, key="other" if foreign == "key" else None)
    if foreign == "key":
        other.storage, other.user_params = server.peer.storage, server.peer.user_params
    else:
        other.storage = '{"flowstormDeviceId":"another"}'
        other.user_params = {"flowstormDeviceId": "another"}
    if foreign == "later":
        server.advance(3599)
    other.conversation_id = ID
    asked = server.ask(other.say("hello"), by=other)
    assert asked.session is not secret
    assert (asked.turn.number, asked.session.data) == (1, {})
    assert asked.turn.session_id != ID
    server.hear(asked.answer("fine"), other)
    if foreign != "ended":
        assert server.converse() is secret


@both
def test_nobody_interrupts_the_turn_of_another(version: Version) -> None:
    server = Server(version)
    server.launch()
    mine = server.requests[0]
    for key, device in (("other", ""), (None, "another")):
        other = server.assistant(version, key=key)
        other.conversation_id = ID
        if device:
            other.storage, other.user_params = (
                '{"flowstormDeviceId":"another"}',
                {"flowstormDeviceId": "another"},
            )
        asked = server.ask(other.say("hello"), by=other)
        assert asked.told() == ["Init", "Input hello"]
        assert asked.turn.session_id != mine.turn.session_id == ID
        server.hear(asked.answer("fine"), other)
    assert mine.answer("Hello!").heard.speech == "Hello!"


@both
def test_a_second_request_interrupts_the_first(version: Version) -> None:
    server = Server(version)
    server.converse()
    first = server.say("What is there?").forget()
    first.turn.say("Red …")
    second = server.say("No, stop that.")
    assert first.told() == ["TurnInterrupted 2 input", "Closed 1000"]
    assert first.sent() == ["200", "JSON", "END"]
    assert first.heard.speech == ""
    assert second.told() == ["Init", "Input No, stop that."]
    assert (second.turn.number, second.session) == (3, first.turns[0].session)


@both
def test_a_goodbye_that_is_interrupted_is_one(version: Version) -> None:
    server = Server(version)
    server.converse()
    first = server.ask(server.peer.cancel())
    server.peer.conversation_id = ID
    second = server.ask(server.peer.say("wait"))
    assert first.told()[-2:] == ["TurnInterrupted 2 input", "Closed 1000"]
    assert first.heard.ended
    assert first.turns[0].session.ended
    assert (second.turn.session_id, second.turn.number, second.session.ended) == (ID, 1, False)


NAMES = {
    "65": "c" * 65,
    "256": "c" * 256,
    "257": "c" * 257,
    "100000": "c" * 100_000,
    "odd": "!\"#$%&'()*+,-./:;<=>?@[]^`{|}~",
    "blanks": "  two words ",
    "line break": "a\r\nb: c",
    "control": "a\x00\x7f\x1b[0m",
    "letters": "žluťoučký",
    "emoji": "👩‍👩‍👧",
    "surrogates": "\U0001f600" * 200,
    "blank": " ",
    "path": "../../etc/passwd",
    "digest": "0" * 64,
}


@both
@pytest.mark.parametrize("stored", [False, True], ids=["kept", "stored"])
@pytest.mark.parametrize("name", list(NAMES))
def test_google_names_its_conversations_as_it_likes(version: Version, name: str, stored: bool) -> None:
    server = Server(version, stored=stored, peer={"make_id": iter((NAMES[name], ID)).__next__})
    server.store = {} if stored else None
    ids = set()
    for number in range(1, 4):
        asked = server.say()
        assert asked.turn.number == number
        ids.add(asked.turn.session_id)
        server.hear(asked.answer("fine"))
    (session_id,) = ids
    assert session_id.isascii()
    assert session_id.isprintable()
    assert " " not in session_id
    assert 1 <= len(session_id) <= 256
    assert (session_id == NAMES[name]) is (name in ("65", "256", "odd", "path", "digest"))
    assert server.launch().turn.session_id == ID


@both
def test_conversations_of_similar_names_are_different_ones(version: Version) -> None:
    names = [*NAMES.values(), "c" * 258, "c" * 99_999, " " * 2, "a\nb: c", "žluťoučky", "👩‍👧"]
    server = Server(version, peer={"verified": False, "make_id": iter(names).__next__})
    found = []
    for _ in names:
        asked = server.launch()
        found.append((asked.turn.session_id, asked.init.device_id, asked.turn.number))
        server.hear(asked.answer("fine"))
    assert len({session for session, *_ in found}) == len({device for _, device, _ in found}) == len(names)
    assert {number for *_, number in found} == {1}


@both
@pytest.mark.parametrize("name", ["", None, 5, ["c"]], ids=str)
def test_a_conversation_must_have_a_name(version: Version, name: object) -> None:
    tree = TREES[version](
        **{"conversation": {"conversationId": name}} if version == V2 else {"session": {"id": name}}
    )
    asked = Server().post(tree)
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.fault.path == {V2: "conversation.conversationId", V3: "session.id"}[version]


@both
def test_the_host_cannot_name_a_session(version: Version) -> None:
    asked = Server(version).launch()
    refused(asked, lambda: asked.machine.rename_session("other"))


@both
def test_somebody_whose_device_is_another_one_in_the_middle_is_somebody_new(version: Version) -> None:
    """He may have cleared what was stored with him; from then on he is remembered again."""
    server = Server(version)
    secret = server.converse()
    server.peer.storage, server.peer.user_params = '{"flowstormDeviceId":"b"}', {"flowstormDeviceId": "b"}
    sessions = [server.converse() for _ in range(3)]
    assert secret not in sessions
    assert [each.turns for each in sessions[-1:]] == [3]


def test_sessions_of_another_platform_are_not_joined() -> None:
    sessions = Sessions()
    sessions.serve("AlexaServer")
    with pytest.raises(ValueError, match="AlexaServer"):
        GoogleAssistantServer(sessions, project_ids=(), keys=None, now=lambda: NOON)


# ------------------------------------------------------------ sessions that the host stores


def owner(asked: Asked) -> dict[str, Any]:
    return {"key": "default", "device_id": asked.init.device_id}


@both
def test_a_stored_session_from_its_beginning(version: Version) -> None:
    server = Server(version, stored=True)
    asked = server.launch()
    assert asked.told() == ["Init", f"SessionNeed {ID}"]
    assert asked.need == SessionNeed(session_id=ID, **owner(asked))
    assert (asked.machine.next_event(), asked.due_in()) == (Control.NEED_ANSWER, None)
    asked.provide(None)
    assert (asked.told(), asked.turn.number) == (["Input #intro"], 1)
    asked.session.data["name"] = "Ann"
    asked.answer("Hello!", locale="cs-CZ")
    assert (asked.told(), asked.sent()) == ([f"StoreNeed {ID} 3600"], [])
    kept = Session.restore(asked.need.snapshot)
    assert (kept.session_id, kept.turns, kept.data, kept.locale) == (ID, 1, {"name": "Ann"}, "cs-CZ")
    assert {"key": kept.key, "device_id": kept.device_id} == owner(asked)
    asked.provide(asked.need.snapshot)
    assert (asked.sent(), asked.told()) == (["200", "JSON", "END"], ["Closed 1000"])
    server.hear(asked)
    assert len(server.sessions) == 0
    asked = server.say().provide(kept.snapshot())
    assert (asked.turn.number, asked.session.data) == (2, {"name": "Ann"})
    asked.answer("fine", sleep_timeout=60)
    assert asked.told()[-1] == f"StoreNeed {ID} 60"


FOREIGN: dict[str, dict[str, Any]] = {
    "key": {"key": "other"},
    "device": {"device_id": "other"},
    "id": {"session_id": "other"},
    "ended elsewhere": {"device_id": "other", "ended": True},
}


@both
@pytest.mark.parametrize("what", [*FOREIGN, "garbage"])
def test_what_is_stored_is_not_theirs(version: Version, what: str) -> None:
    server = Server(version, stored=True)
    asked = server.launch().forget()
    members = {"session_id": ID, **owner(asked), "turns": 5, "data": {"secret": 1}}
    garbage = what == "garbage"
    asked.provide(b"garbage" if garbage else Session(**{**members, **FOREIGN[what]}).snapshot())
    substitute = asked.need.session_id
    assert asked.told() == [*(["Fault RemoteProtocolError"] if garbage else []), f"SessionNeed {substitute}"]
    assert substitute != ID
    asked.provide(None)
    assert (asked.turn.session_id, asked.turn.number, asked.session.data) == (substitute, 1, {})
    asked.answer("fine")
    assert asked.told()[-1] == f"StoreNeed {substitute} 3600"
    kept = asked.need.snapshot
    asked.provide(b"")
    server.hear(asked)
    asked = server.say().provide(b"garbage").provide(kept)
    assert (asked.turn.session_id, asked.turn.number) == (substitute, 2)


@both
def test_what_is_stored_in_its_stead_is_not_theirs_either(version: Version) -> None:
    asked = Server(version, stored=True).launch().provide(b"garbage").provide(b"garbage")
    assert asked.told()[-1] == "Input #intro"
    assert (asked.turn.number, asked.session.data) == (1, {})


@both
def test_a_stored_session_that_has_ended_begins_anew(version: Version) -> None:
    asked = Server(version, stored=True).launch()
    asked.provide(Session(session_id=ID, **owner(asked), ended=True, turns=5).snapshot())
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)


@both
@pytest.mark.parametrize("where", ["loading", "storing"])
def test_a_session_cannot_be_moved(version: Version, where: str) -> None:
    for status in (None, 500):
        asked = Server(version, stored=True).launch()
        if where == "storing":
            asked.provide(None).answer("fine")
        asked.machine.fail("the store is down", status=status)
        assert asked.sent() == [str(status or 503), "JSON", "END"]
        assert asked.tree == {"error": "the store is down"}
        asked = Server(version, stored=True).launch()
        if where == "storing":
            asked.provide(None).answer("fine")
        asked.lost()
        assert (asked.told()[-1], asked.sent()) == ("Closed 1006", [])


@both
def test_somebody_else_has_taken_the_session(version: Version) -> None:
    asked = Server(version, stored=True).launch().provide(None).answer("fine").provide(None)
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.heard.speech == ""


# ------------------------------------------------------------ who has sent it

AUTHORIZATION, SIGNATURE = "authorization", "google-assistant-signature"
HEADERS = {V2: AUTHORIZATION, V3: SIGNATURE}
OTHER = {V2: SIGNATURE, V3: AUTHORIZATION}
UNVERIFIED = {"error": "the request could not be verified"}

Headers = tuple[tuple[str, str], ...]


def signed(version: Version = V3, **kw: Any) -> Server:
    """A server that has the keys."""
    server = Server(version, signer=google(), **kw)
    assert server.keys is not None
    server.keys.add(google().document)
    return server


def token(signer: GoogleSigner | None = None, *, at: float = 0, **claims: Any) -> str:
    """One that was issued so many seconds after noon."""
    return (signer or google()).token(NOON + timedelta(seconds=at), **claims)


def mistrusted(asked: Asked, reason: str, *before: str) -> None:
    """The host is told why; who has asked is told nothing, and nothing else has happened."""
    assert asked.told() == [*before, "Fault SignatureError", "Closed 1000"]
    assert asked.sent() == ["403", "JSON", "END"]
    assert asked.headers["content-type"] == JSON
    assert asked.tree == UNVERIFIED
    assert type(asked.fault) is SignatureError
    assert reason in str(asked.fault)
    machine = asked.machine
    assert (machine.init, machine.request, machine.session, asked.turns) == (None, None, None, [])
    assert len(asked.server.sessions) == 0


@both
def test_what_google_has_signed_is_taken(version: Version) -> None:
    server = signed(version)
    asked = server.launch()
    assert asked.told() == ["Init", "Input #intro"]
    server.hear(asked.answer("Hello!"))
    assert server.say().told() == ["Init", "Input hello"]
    tree = TREES[version]()
    for name in (HEADERS[version].upper(), HEADERS[version].title()):
        assert signed().post(tree, (name, token())).told() == ["Init", "Input yo"]


def test_version_2_may_have_a_bearer() -> None:
    for text in ("Bearer ", "bearer  ", "BEARER "):
        assert signed().post(v2_tree(), (AUTHORIZATION, text + token())).told() == ["Init", "Input yo"]
    mistrusted(signed().post(v3_tree(), (SIGNATURE, "Bearer " + token())), "header of the token")


@pytest.mark.parametrize(
    "user", ["junk", "Bearer x.y.z", "good", ""], ids=["junk", "bearer", "good", "empty"]
)
def test_version_3_has_another_token_for_its_user(user: str) -> None:
    text = token(aud="somebody else") if user == "good" else user
    for headers in ([(AUTHORIZATION, text)], [(AUTHORIZATION, text)] * 2):
        asked = signed().post(v3_tree(), *headers, (SIGNATURE, token()))
        assert asked.told() == ["Init", "Input yo"]


def swapped() -> str:
    """A good token, that says something else."""
    head, _, signature = token().split(".")
    return f"{head}.{token(aud=PROJECT, jti='x').split('.')[1]}.{signature}"


def encoded(part: object) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def by_hand(alg: object, signature: str) -> str:
    """A token with another way to sign it."""
    return f"{encoded({'alg': alg, 'kid': 'test-key'})}.{token().split('.')[1]}.{signature}"


def by_secret() -> str:
    """A token whose secret is the public key."""
    import hashlib
    import hmac

    signed = by_hand("HS256", "").rpartition(".")[0]
    secret = json.loads(google().document)["test-key"].encode()
    made = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(made).decode().rstrip('=')}"


TOKENS: dict[str, tuple[Callable[[], str], str]] = {
    "empty": (lambda: "", "missing"),
    "blank": (lambda: " ", "not a signed token"),
    "junk": (lambda: "junk", "not a signed token"),
    "two parts": (lambda: token().rpartition(".")[0], "2 parts"),
    "four parts": (lambda: token() + ".x", "4 parts"),
    "letters": (lambda: "ž.ž.ž", "base64url"),
    "cut": (lambda: token()[:-1], "token is not"),
    "no signature": (lambda: token().rpartition(".")[0] + ".", "base64url"),
    "signature of another": (
        lambda: token().rpartition(".")[0] + "." + token(jti="x").split(".")[2],
        "not by the key",
    ),
    "claims of another": (swapped, "not by the key"),
    "alg none": (lambda: by_hand("none", ""), "RS256"),
    "alg none, signed": (lambda: by_hand("none", token().split(".")[2]), "RS256"),
    "alg HS256": (by_secret, "RS256"),
    "alg rs256": (lambda: google().sign({}, alg="rs256"), "RS256"),
    "alg ES256": (lambda: google().sign({}, alg="ES256"), "RS256"),
    "alg null": (lambda: google().sign({}, alg=None), "RS256"),
    "alg list": (lambda: google().sign({}, alg=["RS256"]), "RS256"),
    "crit": (lambda: google().sign({}, crit=["exp"]), "extensions"),
    "no kid": (lambda: google().sign({}, kid=None), "name a key"),
    "unknown kid": (lambda: token(google("other")), "'other'"),
    "kid of another": (lambda: google("other").sign({"aud": PROJECT}, kid="test-key"), "not by the key"),
    "long kid": (lambda: google().sign({}, kid="x" * 2000), "no key"),
    "another audience": (lambda: token(aud="other"), "somebody else"),
    "no audience": (lambda: token(aud=None), "somebody else"),
    "audience of a part": (lambda: token(aud=PROJECT[:4]), "somebody else"),
    "audience as an object": (lambda: token(aud={PROJECT: 1}), "somebody else"),
    "another issuer": (lambda: token(iss="https://accounts.google.com.evil"), "accounts.google.com"),
    "expired": (lambda: token(at=-3600 - 301), "expired"),
    "long expired": (lambda: token(at=-10 * 86400), "expired"),
    "of tomorrow": (lambda: token(at=301), "future"),
    "not yet": (lambda: token(nbf=NOON.timestamp() + 301), "not valid yet"),
    "good for days": (lambda: token(exp=NOON.timestamp() + 86401), "86400"),
    "good for ever": (lambda: token(exp=None), "exp"),
    "exp of 1e308": (lambda: token(exp=1e308), "86400"),
    "exp as text": (lambda: token(exp="4102444800"), "exp"),
    "exp true": (lambda: token(exp=True), "exp"),
    "of a user": (lambda: token(sub="1", email="ann@example.com"), "who somebody is"),
    "of a program": (lambda: token(azp="1"), "who somebody is"),
    "no jti": (lambda: token(jti=None), "jti"),
    "empty jti": (lambda: token(jti=""), "jti"),
    "no nbf": (lambda: token(nbf=None), "nbf"),
    "claims as a list": (lambda: google().sign([]), "object"),  # type: ignore[arg-type]
}


@both
@pytest.mark.parametrize("how", list(TOKENS))
def test_what_google_has_not_signed_now_for_this_action(version: Version, how: str) -> None:
    make, reason = TOKENS[how]
    server = signed(version)
    server.fetches = google().document
    asked = server.post(TREES[version](), (HEADERS[version], make()))
    mistrusted(asked, reason, *(["KeysNeed"] if how in ("unknown kid", "long kid") else []))


@both
@pytest.mark.parametrize("seconds", [-3600 - 300, -3600, -60, 0, 300])
def test_what_is_almost_of_now_is_taken(version: Version, seconds: float) -> None:
    asked = signed().post(TREES[version](), (HEADERS[version], token(at=seconds)))
    assert asked.told() == ["Init", "Input yo"]


HEADS: dict[str, tuple[Callable[[Version], Headers], dict[str, str]]] = {
    "none": (lambda _: (), dict.fromkeys((V2, V3), "missing")),
    "the other one": (
        lambda version: ((OTHER[version], token()),),
        {V2: "version 2 is signed as 3", V3: "version 3 is signed as 2"},
    ),
    "the other one, as a bearer": (
        lambda version: ((OTHER[version], f"Bearer {token()}"),),
        {V2: "header of the token", V3: "version 3 is signed as 2"},
    ),
    "twice": (lambda version: ((HEADERS[version], token()),) * 2, dict.fromkeys((V2, V3), "more than once")),
    "twice, in other letters": (
        lambda version: ((HEADERS[version], token()), (HEADERS[version].upper(), "junk")),
        dict.fromkeys((V2, V3), "more than once"),
    ),
    "the good one in authorization, junk in the other": (
        lambda _: ((AUTHORIZATION, token()), (SIGNATURE, "junk")),
        dict.fromkeys((V2, V3), "not a signed token"),
    ),
    "the good one in authorization, nothing in the other": (
        lambda _: ((AUTHORIZATION, token()), (SIGNATURE, "")),
        dict.fromkeys((V2, V3), "missing"),
    ),
    "in a header of another name": (
        lambda _: (("x-authorization", token()), ("google-assistant", token()), ("cookie", f"a={token()}")),
        dict.fromkeys((V2, V3), "missing"),
    ),
}


@both
@pytest.mark.parametrize("how", list(HEADS))
def test_each_version_is_signed_in_its_own_header(version: Version, how: str) -> None:
    make, reasons = HEADS[how]
    mistrusted(signed(version).post(TREES[version](), *make(version)), reasons[version])


def test_the_token_of_one_version_is_none_of_the_other() -> None:
    asked = signed().post(v2_tree(), (AUTHORIZATION, token()), (SIGNATURE, token()))
    mistrusted(asked, "version 2 is signed as 3")


@both
def test_the_keys_are_asked_for_once(version: Version) -> None:
    server = Server(version, signer=google())
    asked = server.launch()
    assert asked.told() == ["KeysNeed"]
    assert asked.need == KeysNeed(url="https://www.googleapis.com/oauth2/v1/certs")
    assert asked.machine.next_event() is Control.NEED_ANSWER
    asked.provide(google().document)
    assert asked.told() == ["Init", "Input #intro"]
    server.hear(asked.answer("Hello!"))
    server.advance(3599)
    assert server.say().told() == ["Init", "Input hello"]
    server.advance(1)
    asked = server.say()
    assert asked.told() == ["KeysNeed"]
    asked.provide(google().document)
    assert asked.told() == ["Init", "Input hello"]


@both
def test_each_request_asks_until_the_keys_are_here(version: Version) -> None:
    server = Server(version, signer=google())
    first, second = server.launch(), server.launch()
    assert first.told() == second.told() == ["KeysNeed"]
    first.provide(google().document)
    assert (first.told(), second.told()) == (["Init", "Input #intro"], [])
    assert server.launch().told() == ["Init", "Input #intro"]
    second.provide(google().document)
    assert second.told() == ["Init", "Input #intro"]


@both
def test_google_changes_its_keys(version: Version) -> None:
    server = signed(version)
    server.fetches = google("new").document
    asked = server.post(TREES[version](), (HEADERS[version], token(google("new"))))
    assert asked.told() == ["KeysNeed", "Init", "Input yo"]
    asked = server.post(TREES[version](), (HEADERS[version], token()))
    mistrusted_later(asked, "'test-key'")


def mistrusted_later(asked: Asked, reason: str, *before: str) -> None:
    """The same where there were other requests, with sessions of their own."""
    assert asked.told() == [*before, "Fault SignatureError", "Closed 1000"]
    assert (asked.sent(), asked.tree) == (["403", "JSON", "END"], UNVERIFIED)
    assert reason in str(asked.fault)


def test_nobody_makes_the_host_fetch_all_the_time() -> None:
    server = signed()
    server.fetches = google().document
    found = []
    for number in range(13):
        head = (SIGNATURE, token(google("other"), jti=str(number)))
        found += server.post(v3_tree(), head).told()
        server.advance(10)
    assert found.count("KeysNeed") == 3
    assert found.count("Fault SignatureError") == 13


@pytest.mark.parametrize("seconds", [1, 61, 4000])
def test_one_request_has_the_keys_fetched_once_however_long_it_takes(seconds: float) -> None:
    asked = signed().post(v3_tree(), (SIGNATURE, token(google("other"))))
    asked.server.advance(seconds)
    asked.provide(google().document)
    mistrusted(asked, "'other'", "KeysNeed")


@pytest.mark.parametrize(
    "document",
    [
        None,
        b"",
        b"junk",
        b"{}",
        b"[]",
        b'{"test-key": "junk"}',
        b'{"test-key": 5}',
        b'{"keys": []}',
        b"{" * 70_000,
    ],
    ids=range(9),
)
@both
def test_what_is_fetched_is_of_no_use(version: Version, document: bytes | None) -> None:
    server = Server(version, signer=google())
    asked = server.launch().provide(document)
    mistrusted(asked, "no key" if document is None else "", "KeysNeed")
    asked = server.launch()
    assert asked.told() == ["KeysNeed"]
    asked.provide(google().document)
    assert asked.told() == ["Init", "Input #intro"]


@both
def test_old_keys_serve_while_there_are_no_new_ones(version: Version) -> None:
    server = signed(version)
    server.advance(3600)
    asked = server.launch()
    assert asked.told() == ["KeysNeed"]
    asked.provide(None)
    assert asked.told() == ["Init", "Input #intro"]
    asked = server.launch().provide(b"")
    assert asked.told() == ["KeysNeed", "Fault SignatureError", "Closed 1000"]
    asked = server.launch().provide(None)
    assert asked.told() == ["KeysNeed", "Init", "Input #intro"]


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(max_size=80) | json_values().map(lambda tree: json.dumps(tree).encode()))
def test_anything_may_be_fetched(document: bytes) -> None:
    server = Server(signer=google())
    asked = server.launch().provide(document)
    mistrusted(asked, "", "KeysNeed")
    SERVERS.remove(server)
    server.finish()


@both
@pytest.mark.parametrize("status", [None, 500, 401])
def test_the_host_cannot_fetch_the_keys(version: Version, status: int | None) -> None:
    asked = Server(version, signer=google()).launch()
    asked.machine.fail("google is down", status=status)
    assert asked.sent() == [str(status or 503), "JSON", "END"]
    assert asked.told() == ["KeysNeed", "Closed 1000"]
    assert asked.tree == {"error": "google is down"}


@both
@pytest.mark.parametrize("how", ["eof", "close frame", "eof before the answer", "closed by the host"])
def test_the_request_ends_while_keys_are_fetched(version: Version, how: str) -> None:
    server = Server(version, signer=google())
    asked = server.launch()
    match how:
        case "eof":
            asked.lost()
        case "close frame":
            asked.receive(Close(1001, "gone"))
        case "eof before the answer":
            asked.machine.receive_eof()
            asked.provide(google().document)
            asked.step()
            assert asked.told() == [
                "KeysNeed",
                "Init",
                "Input #intro",
                "TurnInterrupted 1 lost",
                "Closed 1006",
            ]
            assert asked.sent() == []
            return
        case _:
            asked.machine.close()
            assert asked.sent() == ["503", "JSON", "END"]
    assert asked.told()[:-1] == ["KeysNeed"]
    assert asked.closed
    need = asked.need
    refused(asked, lambda: asked.machine.provide(need, google().document), TooLateError)


def test_a_need_is_answered_once_and_with_bytes() -> None:
    asked = Server(signer=google()).launch()
    need = asked.need
    for value in ("text", 5, bytearray(b"x"), ["x"]):
        refused(asked, lambda value=value: asked.machine.provide(need, value))  # type: ignore[misc]
    for other in (KeysNeed(url="x"), SessionNeed(session_id=ID, key="default", device_id="d")):
        refused(asked, lambda other=other: asked.machine.provide(other, None))  # type: ignore[misc]
    refused(asked, asked.machine.ready)
    asked.provide(google().document)
    refused(asked, lambda: asked.machine.provide(need, google().document))


@both
def test_time_stands_still_while_keys_are_fetched_but_google_waits_no_longer(version: Version) -> None:
    server = Server(version, signer=google())
    asked = server.launch()
    assert asked.due_in() is None
    server.advance(3)
    asked.provide(google().document)
    assert asked.due_in() == PATIENCE[version] - 3


def test_a_token_that_expires_while_keys_are_fetched() -> None:
    asked = Server(signer=google()).launch()
    asked.server.offset = timedelta(hours=2)
    asked.provide(google().document)
    mistrusted(asked, "expired", "KeysNeed")


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b"\xff",
    "no request": b"{}",
    "deep": b"[" * 100_000,
    "many": b"[" + b"1," * 2000 + b"1]",
    "v2": json.dumps(v2_tree()).encode(),
    "v3": json.dumps(v3_tree()).encode(),
}


@both
def test_a_stranger_is_turned_away_before_his_body_comes(version: Version) -> None:
    server = signed(version)
    asked = server.open(
        RequestHead(method="POST", url="/google", headers=((HEADERS[version], token(aud="x")),))
    )
    assert (asked.told(), asked.sent()) == (["Fault SignatureError"], ["403", "JSON"])
    for _ in range(100):
        asked.receive(b"x" * 100_000)
    assert (asked.told(), asked.sent(), asked.machine._pieces) == ([], [], [])
    asked.receive(END)
    assert (asked.told(), asked.sent()) == (["Closed 1000"], ["END"])


@both
def test_a_body_waits_for_the_keys(version: Version) -> None:
    server = Server(version, signer=google())
    head, body = server.peer.launch()
    asked = server.open(head, by=server.peer)
    assert asked.told() == ["KeysNeed"]
    asked.receive(body[:10], body[10:])
    assert asked.machine._pieces == []
    asked.provide(google().document)
    assert asked.told() == []
    asked.receive(END)
    assert asked.told() == ["Init", "Input #intro"]


def test_too_much_waits_for_the_keys() -> None:
    asked = Server(signer=google(), limits=Limits(queued_bytes=2000, body_bytes=2000)).open()
    asked.receive(RequestHead(method="POST", url="/google", headers=((SIGNATURE, token()),)))
    for _ in range(4):
        asked.machine.receive_data(b"x" * 1500)
    assert asked.machine.full
    asked.step()
    assert asked.told()[:2] == ["KeysNeed", "Fault LimitExceeded"]
    assert asked.sent()[:2] == ["413", "JSON"]
    assert asked.turns == []


@pytest.mark.parametrize("body", list(BODIES))
def test_nothing_is_read_of_what_nobody_has_signed(body: str) -> None:
    for headers in ((), ((AUTHORIZATION, "junk"),), ((SIGNATURE, token(at=-9000)),)):
        server = signed()
        mistrusted(server.post(BODIES[body], *headers), "")


@pytest.mark.parametrize("body", ["nothing", "no JSON", "no UTF-8", "no request", "deep", "many"])
def test_that_it_is_no_request_is_told_only_when_it_is_signed(body: str) -> None:
    asked = signed().post(BODIES[body], (SIGNATURE, token()))
    assert asked.sent() == ["413" if body in ("deep", "many") else "400", "JSON", "END"]
    assert asked.tree == {"error": str(asked.fault)}


def test_requests_may_be_verified_by_somebody_else() -> None:
    for headers in ((), ((AUTHORIZATION, "junk"),), ((SIGNATURE, "junk"),) * 2):
        for tree in (v2_tree(), v3_tree()):
            assert Server().post(tree, *headers).told() == ["Init", "Input yo"]


@pytest.mark.parametrize("make", [set, list, tuple, frozenset, dict.fromkeys], ids=lambda make: make.__name__)
def test_the_projects_that_are_answered(make: Callable[[Iterable[str]], Any]) -> None:
    projects = make([PROJECT, "b"])
    for project, known in ((PROJECT, True), ("b", True), ("c", False)):
        asked = signed(project_ids=projects).post(v3_tree(), (SIGNATURE, token(aud=project)))
        assert asked.told()[0] == ("Init" if known else "Fault SignatureError")


def test_the_host_is_told_which_project_asks() -> None:
    projects = {PROJECT, "b"}
    for version, name in HEADERS.items():
        for aud, project in (("b", "b"), (PROJECT, PROJECT), (["x", 5, {}, None, "b"], "b")):
            asked = signed(project_ids=projects).post(TREES[version](), (name, token(aud=aud)))
            assert asked.told() == ["Init", "Input yo"]
            assert asked.machine.project_id == project
        asked = signed(project_ids=projects).post(TREES[version](), (name, token(aud="c")))
        assert asked.machine.project_id is None
        asked = signed(project_ids=projects).post(TREES[version](), (OTHER[version], token(aud="b")))
        mistrusted(asked, "signed as")
        assert asked.machine.project_id is None
    assert Server().launch().machine.project_id is None


def test_one_project_is_no_list_of_them() -> None:
    with pytest.raises(TypeError, match="project_ids"):
        Server().open(project_ids=PROJECT)


def test_no_project_is_answered() -> None:
    with pytest.raises(ValueError, match="project_ids"):
        signed().open(project_ids=())
    assert Server(project_ids=()).launch().told() == ["Init", "Input #intro"]


def test_a_time_without_a_zone_is_a_mistake_of_the_host() -> None:
    server = signed()
    with pytest.raises(ValueError, match="zone"):
        server.open(now=lambda: NOON.replace(tzinfo=None))


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from([V2, V3]),
    st.text(max_size=40) | st.lists(st.text(max_size=9), min_size=3, max_size=3).map(".".join),
)
def test_any_text_for_a_token(version: Version, text: str) -> None:
    server = signed(version)
    asked = server.post(TREES[version](), (HEADERS[version], text))
    assert asked.status in (400, 403)  # 400: of a control character in the head
    assert asked.told()[-2:] == [
        f"Fault {'SignatureError' if asked.status == 403 else 'RemoteProtocolError'}",
        "Closed 1000",
    ]
    assert asked.turns == []
    SERVERS.remove(server)
    server.finish()


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from([V2, V3]), st.data())
def test_one_letter_of_a_token_decides(version: Version, data: st.DataObject) -> None:
    good = good_token()
    at = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.sampled_from("AQgw.=-_ é"))
    server = signed(version)
    server.fetches = google().document
    asked = server.post(TREES[version](), (HEADERS[version], good[:at] + letter + good[at + 1 :]))
    if good[at] == letter:
        assert asked.told() == ["Init", "Input yo"]
    else:
        assert asked.told()[-2:] == ["Fault SignatureError", "Closed 1000"]
        assert (asked.status, asked.turns) == (403, [])
    SERVERS.remove(server)
    server.finish()


@cache
def good_token() -> str:
    return token()


# ------------------------------------------------------------ the host refuses


@both
def test_the_host_turns_somebody_away(version: Version) -> None:
    asked = Server(version, accept=False).launch()
    asked.machine.fail("Who are you?", source="door")
    assert asked.sent() == ["401", "JSON", "END"]
    assert asked.told() == ["Init", "Closed 1000"]
    assert asked.tree == {"error": "Who are you?"}
    assert asked.machine.init is None
    refused(asked, asked.machine.ready, TooLateError)
    refused(asked, lambda: asked.machine.fail("again"), TooLateError)


@both
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503, 599])
def test_the_host_refuses_somebody_with_a_status(version: Version, status: int) -> None:
    asked = Server(version, accept=False).launch()
    for wrong in (200, 302, 399, 600, 0, -1):
        refused(asked, lambda wrong=wrong: asked.machine.fail("no", status=wrong))  # type: ignore[misc]
    asked.machine.fail("no", status=status)
    assert asked.sent() == [str(status), "JSON", "END"]
    assert len(asked.server.sessions) == 0


@both
def test_a_turn_fails(version: Version) -> None:
    server = Server(version)
    session = server.converse()
    asked = server.say()
    asked.turn.say("Well …")
    asked.turn.fail("I am lost. <&>")
    heard = server.hear(asked)
    assert (heard.speech, heard.ended, session.ended) == ("Well … I am lost. <&>", True, True)


@both
@pytest.mark.parametrize("status", [None, 500])
def test_a_channel_fails_in_a_turn(version: Version, status: int | None) -> None:
    server = Server(version)
    asked = server.say().forget()
    asked.turn.say("Well …")
    asked.machine.fail("I am lost.", status=status)
    assert asked.told() == ["TurnInterrupted 1 error", "Closed 1000"]
    assert asked.sent() == ["200", "JSON", "END"]
    heard = server.hear(asked)
    assert (heard.speech, heard.ended) == ("I am lost.", True)
    server.peer.conversation_id = ID
    assert server.ask(server.peer.say("hello")).turn.number == 1


@both
def test_a_turn_is_interrupted_by_its_host(version: Version) -> None:
    server = Server(version)
    session = server.converse()
    asked = server.say().forget()
    asked.turn.say("Well …")
    asked.turn.interrupt()
    assert asked.told() == ["TurnInterrupted 2 host", "Closed 1000"]
    heard = server.hear(asked)
    assert (heard.speech, heard.ended) == ("", False)
    assert server.say().session is session


CLOSINGS: dict[str, Callable[..., Asked]] = {
    "keys": lambda version: Server(version, signer=google()).launch(),
    "init": lambda version: Server(version, accept=False).launch(),
    "loading": lambda version: Server(version, stored=True).launch(),
    "turn": lambda version: Server(version).launch(),
}


@both
@pytest.mark.parametrize("where", list(CLOSINGS))
def test_the_host_closes(version: Version, where: str) -> None:
    asked = CLOSINGS[where](version).forget()
    asked.machine.close(1001, "restarting")
    cut = ["TurnInterrupted 1 closed"] if where == "turn" else []
    assert (asked.told(), asked.sent()) == ([*cut, "Closed 1000"], ["503", "JSON", "END"])
    assert asked.tree == {"error": "restarting"}
    asked.machine.close()
    assert (asked.told(), asked.sent()) == ([], [])


@both
@pytest.mark.parametrize("where", list(CLOSINGS))
def test_the_transport_goes(version: Version, where: str) -> None:
    asked = CLOSINGS[where](version).forget()
    asked.lost().lost()
    cut = ["TurnInterrupted 1 lost"] if where == "turn" else []
    assert (asked.told(), asked.sent()) == ([*cut, "Closed 1006"], [])


@both
def test_words_out_of_place_change_nothing(version: Version) -> None:
    asked = Server(version).launch()
    machine, turn = asked.machine, asked.turn
    for call in (
        machine.ready,
        machine.begin,
        lambda: machine.provide(KeysNeed(url="x"), b"x"),
        lambda: machine.send(BinaryEvent(data=b"x")),
        lambda: machine.receive_data(b"x"),
        lambda: turn.say(b"audio"),
        lambda: turn.send(InputEvent(input=Input())),  # type: ignore[arg-type]
    ):
        refused(asked, call)
    turn.finish()
    asked.server.settle()
    for call in (
        turn.finish,
        lambda: turn.say("x"),
        lambda: turn.fail("x"),
        machine.ready,
        lambda: machine.fail("x"),
    ):
        refused(asked, call, TooLateError)
    turn.interrupt()
    assert asked.sent() == []


# ------------------------------------------------------------ what is said


@both
def test_a_dialogue_that_says_nothing(version: Version) -> None:
    for items in (
        (),
        ("",),
        (" ",),
        (ResponseItem(text="#unknown"),),
        (ResponseItem(ssml="<speak/>"),),
        (ResponseItem(video="v"),),
    ):
        for ended in (False, True):
            asked = Server(version).launch().answer(*items, session_ended=ended)
            assert (asked.heard.speech, asked.heard.ended) == ("", ended)


@both
def test_what_cannot_be_sent_is_told(version: Version) -> None:
    server = Server(version)
    server.converse()
    asked = server.say().answer(
        ResponseItem(text="Look!", image="http://h/i.png", video="https://h/v.mp4", background="b"),
        ResponseItem(text="#card", code='{"title":"a","text":"b"}'),
        ResponseItem(text="#card", code='{"title":"c","text":"d"}'),
        ResponseItem(text="#suggestions", code=json.dumps(["x" * 26, *"abcdefghi"])),
        ResponseItem(text="word " * 300),
        expected_phrases=[ExpectedPhrase(text=f"p{number}") for number in range(1100)],
    )
    told = asked.told()
    assert {"video", "background", "image", "card", "suggestions", "hints", "text"} == set(asked.unsent)
    assert {each for each in told if each.startswith("Unsent")} == {
        f"Unsent 2 {part}" for part in asked.unsent
    }
    assert told[-1] == "Closed 1000"
    assert len(asked.heard.hints) == 1000
    assert asked.heard.suggestions == tuple("abcdefgh")


@both
def test_without_a_screen_nothing_is_shown(version: Version) -> None:
    asked = Server(version, peer={"screen": False}).launch()
    assert "clientScreen" not in asked.input.attributes
    asked.answer(
        ResponseItem(text="Look!", image="https://h/i.png"),
        ResponseItem(text="#card", code='{"title":"a","text":"b"}'),
        ResponseItem(text="#suggestions", code='["a"]'),
    )
    assert set(asked.unsent) == {"image", "card", "suggestions"}
    assert (asked.heard.speech, asked.heard.card, asked.heard.suggestions) == ("Look!", None, ())


@both
def test_an_answer_may_be_given_whole(version: Version) -> None:
    asked = Server(version).launch()
    asked.turn.finish(Response(items=(ResponseItem(text="a"), ResponseItem(text="b"))))
    assert asked.heard.speech == "a b"


# ------------------------------------------------------------ time


@both
def test_google_waits_from_its_request_on(version: Version) -> None:
    patience = PATIENCE[version]
    server = Server(version, signer=google())
    head, body = server.peer.launch()
    asked = server.open(head, by=server.peer)
    assert (asked.told(), asked.due_in()) == (["KeysNeed"], None)
    server.advance(1)
    asked.provide(google().document)
    assert asked.due_in() == 8
    asked.receive(body[:100])
    server.advance(1.5)
    asked.receive(body[100:], END)
    assert (asked.told(), asked.due_in()) == (["Init", "Input #intro"], patience - 2.5)
    asked.turn.say("Once upon a time.")
    server.advance(patience - 3)
    asked.turn.say("There was a dragon.")
    assert (asked.told(), asked.due_in()) == ([], 0.5)
    server.advance(0.5)
    assert asked.told() == ["TurnInterrupted 1 unanswered", "Closed 1000"]
    heard = server.hear(asked)
    assert (heard.speech, heard.ended) == ("Once upon a time. There was a dragon.", False)
    refused(asked, asked.turn.finish, TooLateError)
    assert server.say().turn.number == 2


@both
def test_nothing_was_said_in_time(version: Version) -> None:
    server = Server(version)
    asked = server.launch()
    server.advance(PATIENCE[version])
    assert asked.told()[2:] == ["TurnInterrupted 1 unanswered", "Closed 1000"]
    assert (asked.heard.speech, asked.heard.ended) == ("", False)


@both
def test_what_cannot_be_said_in_time_is_told(version: Version) -> None:
    server = Server(version)
    asked = server.launch()
    asked.turn.say(ResponseItem(text="fine", video="v"))
    server.advance(PATIENCE[version])
    assert asked.told()[2:] == ["TurnInterrupted 1 unanswered", "Unsent 1 video", "Closed 1000"]


@both
def test_what_was_said_in_time_is_stored(version: Version) -> None:
    server = Server(version, stored=True)
    asked = server.launch().provide(None)
    asked.turn.say("fine")
    asked.session.data["x"] = 1
    server.advance(PATIENCE[version])
    assert asked.told()[-2:] == ["TurnInterrupted 1 unanswered", f"StoreNeed {ID} 3600"]
    assert Session.restore(asked.need.snapshot).data == {"x": 1}
    server.advance(60)
    asked.provide(b"")
    assert asked.heard.speech == "fine"


@both
def test_a_turn_that_begins_too_late_has_no_time(version: Version) -> None:
    server = Server(version, stored=True)
    asked = server.launch()
    server.advance(60)
    asked.provide(None)
    assert (asked.told()[-1], asked.due_in()) == ("Input #intro", 0.001)
    server.advance(0.001)
    assert asked.told() == ["TurnInterrupted 1 unanswered", f"StoreNeed {ID} 3600"]


@both
def test_a_body_that_does_not_come_in_time(version: Version) -> None:
    server = Server(version)
    head, body = server.peer.launch()
    asked = server.open(head)
    for piece in (body[:10], b"", body[10:20]):
        server.advance(2)
        asked.receive(piece)
    assert asked.due_in() == 3
    server.advance(3)
    assert asked.told() == ["Fault RemoteProtocolError"]
    assert asked.sent() == ["408", "JSON"]
    asked.receive(body[20:], END)
    assert (asked.told(), asked.sent()) == (["Closed 1000"], ["END"])


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [
        ({}, 9),
        ({"google_v3": 1.0}, 9),
        ({"google_v2": 5.0}, 5),
        ({"google_v2": 50.0}, 30),
        ({"google_v2": None}, 30),
        ({"body": 3.0}, 3),
        ({"body": None}, 9),
        ({"body": None, "google_v2": None}, None),
    ],
    ids=str,
)
def test_how_long_a_body_is_waited_for(timeouts: dict[str, float | None], seconds: float | None) -> None:
    asked = Server(timeouts=Timeouts(**timeouts)).open(HEAD)
    assert asked.due_in() == seconds


@both
@pytest.mark.parametrize("seconds", [None, 1.0, 60.0], ids=str)
def test_how_long_google_waits_is_the_hosts(version: Version, seconds: float | None) -> None:
    mine = {"google_v2": seconds} if version == V2 else {"google_v3": seconds}
    assert Server(version, timeouts=Timeouts(**mine)).launch().due_in() == seconds
    other: Version = V3 if version == V2 else V2
    assert Server(other, timeouts=Timeouts(**mine)).launch().due_in() == PATIENCE[other]


# ------------------------------------------------------------ any request

HEAD = RequestHead(method="POST", url="/google")


@pytest.mark.parametrize(
    ("tree", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        ("{}".encode("utf-16"), 400),
        (b'{"session":{"id":"\\ud800"}}', 400),
        (b'{"session":{"id":NaN}}', 400),
        (b'{"session":' * 70 + b"{}" + b"}" * 70, 413),
        (b"[" * 100_000, 413),
        (b'{"inputs":[' + b"{}," * 1000 + b"{}]}", 413),
        (b'{"inputs":[],"x":"' + b"x" * 300_000 + b'"}', 413),
        (b'{"inputs":[' + b"x" * (1 << 20), 413),
        (b'{"inputs":[' + b"x" * (10 << 20), 413),
    ],
    ids=range(12),
)
def test_json_that_is_none_or_too_much(tree: bytes, status: int) -> None:
    asked = Server().post(tree)
    assert asked.sent() == [str(status), "JSON", "END"]
    assert asked.told() == [
        f"Fault {'LimitExceeded' if status == 413 else 'RemoteProtocolError'}",
        "Closed 1000",
    ]
    assert asked.tree == {"error": str(asked.fault)}


@both
def test_a_request_that_just_fits(version: Version) -> None:
    body = json.dumps(TREES[version]()).encode()
    limits = Limits(message_bytes=len(body) + 10)
    assert Server(limits=limits).post(body.ljust(len(body) + 10)).told() == ["Init", "Input yo"]
    asked = Server(limits=limits).post(body.ljust(len(body) + 11))
    assert asked.sent() == ["413", "JSON", "END"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_another_method(method: str) -> None:
    asked = Server().open(RequestHead(method=method, url="/google"), END)
    assert asked.sent() == ["405", "JSON", "END"]
    assert asked.headers["allow"] == "POST"


def _places(tree: object, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        inside = tree.items()
    elif isinstance(tree, list):
        inside = enumerate(tree)
    for name, value in inside:
        yield from _places(value, *path, name)


PLACES = [(version, path) for version, make in TREES.items() for path in _places(make())]
NAMED = [f"v{version} {'.'.join(map(str, path))}" for version, path in PLACES]
"""The places, for people."""

REQUIRED = {
    *("v2 conversation", "v2 conversation.conversationId", "v2 inputs"),
    *("v3 handler", "v3 intent", "v3 session", "v3 session.id", "v3 user", "v3 device"),
}
SAID_WITHOUT = {
    "v2 inputs.0.intent": "yo",
    "v3 intent.name": "yo",
    "v3 intent.query": "#ask",
}
"""What is said when something is missing there; else: yo."""
FREE: tuple[str, ...] = (
    *("v3 intent.params.", "v3 scene.slots.", "v3 session.params.", "v3 session.typeOverrides"),
    *("v3 user.params.", "v3 home.params.", "v3 device.", "v3 context."),
)
"""What stands there is anything."""


Path = tuple[str | int, ...]


def changed(tree: Any, path: Path, value: object) -> Any:
    """A tree with something else at a place; `...`: with nothing. Where there is no such place it stays."""
    here, last = at(tree, path[:-1]), path[-1]
    if isinstance(here, dict) and value is not ...:
        here[last] = value
    elif has(here, last) and value is ...:
        del here[last]
    elif has(here, last):
        here[last] = value
    return tree


def at(tree: Any, path: Path) -> Any:
    for name in path:
        tree = tree[name] if has(tree, name) else None
    return tree


def has(tree: Any, name: str | int) -> bool:
    if isinstance(tree, list):
        return isinstance(name, int) and name < len(tree)
    return isinstance(tree, dict) and name in tree


@pytest.mark.parametrize(("version", "path"), PLACES, ids=NAMED)
def test_what_is_missing_or_null_is_no_fault(version: Version, path: Path) -> None:
    """But for the few things that make a request one."""
    place = NAMED[PLACES.index((version, path))]
    for value in (..., None):
        if isinstance(path[-1], int) and (value is None or path == ("inputs", 0)):
            continue  # of an element nothing is not null
        asked = Server().post(changed(TREES[version](), path, value))
        if place in REQUIRED:
            assert asked.sent() == ["400", "JSON", "END"]
            assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
        else:
            assert asked.told() == ["Init", f"Input {SAID_WITHOUT.get(place, 'yo')}"]
            judged(asked.answer("fine"))


@pytest.mark.parametrize(("version", "path"), PLACES, ids=NAMED)
def test_what_is_of_a_wrong_type_is_a_fault_where_anybody_looks(version: Version, path: Path) -> None:
    place = NAMED[PLACES.index((version, path))]
    values: tuple[object, ...] = (True, 5, 1.5, "text", [], [1], [[{}]], {}, {"x": []})
    for value in values:
        was = at(TREES[version](), path)
        if type(value) is type(was) or {type(value), type(was)} <= {int, float}:
            continue
        asked = Server().post(changed(TREES[version](), path, value))
        if place.startswith(FREE):
            assert asked.told() == ["Init", "Input yo"]
            judged(asked.answer("fine"))
        else:
            assert asked.sent() == ["400", "JSON", "END"]
            assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
            assert str(path[0]) in asked.fault.path


RICH = (
    ResponseItem(text="Well …"),
    ResponseItem(text="Look!", image="https://h/i.png"),
    ResponseItem(text="#card", code='{"title":"a","text":"b"}'),
    ResponseItem(text="#suggestions", code='["a","b"]'),
    ResponseItem(text="So it goes on. " * 60),
)


def judged(asked: Asked) -> None:
    """The answer to a request that no peer has made is one that a peer would take."""
    request = asked.machine.request
    assert asked.closed
    assert request is not None
    if isinstance(request, V3Request) and request.health_check:
        assert asked.tree["session"]["id"] == request.session_id  # a peer takes its own only
        assert asked.tree["prompt"]["firstSimple"] == {"speech": "<speak>ok</speak>", "text": "ok"}
        return
    version = V3 if isinstance(request, V3Request) else V2
    peer = GooglePeer(version, screen=request.has_screen, make_id=lambda: request.session_id)
    peer.launch()
    if request.ends:
        peer.cancel()
    if isinstance(request, V3Request) and request.scene is not None:
        peer._scene, peer.slots = request.scene.name, dict(request.scene.slots)
    peer.take(asked.status, asked.body)


def tried(server: Server, tree: object, *headers: tuple[str, str]) -> Asked:
    """A request of anything: it is answered as it should be, whatever it is."""
    asked = server.post(tree, *headers)
    if asked.turns:
        asked.answer(*RICH, expected_phrases=[ExpectedPhrase(text="x")])
    assert asked.closed
    if asked.status == 200:
        judged(asked)
    else:
        assert asked.status in (400, 403, 413)
        assert asked.turns == []
        assert asked.machine.init is None
    SERVERS.remove(server)
    server.finish()
    return asked


@settings(max_examples=examples(60), deadline=None)
@given(json_values())
def test_any_json(tree: object) -> None:
    assert tried(Server(), tree).told()[0].startswith("Fault")


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    assert tried(Server(), body).told()[0].startswith("Fault")


ODD = [
    [],
    {},
    "",
    " ",
    "#",
    0,
    -1,
    2**63,
    1e300,
    True,
    "VERIFIED",
    "GUEST",
    "actions.intent.CANCEL",
    "\x00",
    "\u2028",
]
ODD += [
    "actions.intent.HEALTH_CHECK",
    "actions.intent.OPTION",
    "is_health_check",
    "{}",
    '{"a":1}',
    "[1]",
    "null",
    "{",
]
ODD += [
    '{"flowstormDeviceId":"b"}',
    "actions.capability.SCREEN_OUTPUT",
    "RICH_RESPONSE",
    "actions.handler.HEALTH_CHECK",
]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from([path for _, path in PLACES]), st.just(...) | json_values() | st.sampled_from(ODD)
    ),
    min_size=1,
    max_size=5,
)


def mutated(version: str, changes: Iterable[tuple[Path, object]]) -> Any:
    tree = TREES[version]()
    for path, value in changes:
        tree = changed(tree, path, copy.deepcopy(value))
    return tree


@settings(max_examples=examples(100), deadline=None)
@given(st.sampled_from([V2, V3]), CHANGES, st.sampled_from([None, "Hello?"]))
def test_any_change_of_a_good_request(version: str, changes: Any, reprompt: str | None) -> None:
    asked = tried(Server(reprompt=reprompt), mutated(version, changes))
    assert asked.told()[-1] == "Closed 1000"


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from([V2, V3]), CHANGES, st.sampled_from(sorted(TOKENS)))
def test_no_change_of_a_request_gets_in_unverified(version: str, changes: Any, how: str) -> None:
    server = signed()
    server.fetches = google().document
    header = AUTHORIZATION if version == V2 else SIGNATURE
    asked = tried(server, mutated(version, changes), (header, TOKENS[how][0]()))
    assert asked.told()[-2:] == ["Fault SignatureError", "Closed 1000"]
    assert asked.status == 403


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from([V2, V3]), CHANGES)
def test_any_change_of_a_signed_request(version: str, changes: Any) -> None:
    header = AUTHORIZATION if version == V2 else SIGNATURE
    asked = tried(signed(), mutated(version, changes), (header, good_token()))
    assert asked.told()[-1] == "Closed 1000"


# ------------------------------------------------------------ large requests


def _much(unit: str, size: int) -> str:
    """An array of arrays of something, as large as that."""
    inner = f"[{','.join([unit] * 900)}]"
    return f"[{','.join([inner] * (size // len(inner)))}]"


SIZE = 60_000
"""Half of what a request may have."""
SECONDS = 3.0
"""What no such request may take, even under a tracer; one that took its time squared would."""
LARGE: dict[str, Callable[[], dict[str, Any] | bytes]] = {
    "session.params": lambda: v3_tree(session={"id": ID, "params": {"a": json.loads(_much("[]", SIZE))}}),
    "session.params of numbers": lambda: v3_tree(
        session={"id": ID, "params": {"a": json.loads(_much("1.5", SIZE))}}
    ),
    "user.params": lambda: v3_tree(
        user={"verificationStatus": "VERIFIED", "params": {"a": json.loads(_much("[]", SIZE))}}
    ),
    "scene.slots": lambda: v3_tree(scene={"name": "S", "slots": {"a": json.loads(_much("{}", SIZE))}}),
    "device": lambda: v3_tree(device={"capabilities": json.loads(_much("[]", SIZE))}),
    "availableSurfaces": lambda: v2_tree(availableSurfaces=[{"capabilities": [{}] * 900}] * 22),
    "inputs": lambda: v2_tree(inputs=[*v2_tree()["inputs"], *[{"arguments": [{}] * 900}] * 22]),
    "userStorage": lambda: v2_tree(
        user={"userVerificationStatus": "VERIFIED", "userStorage": '{"a":' + _much("[]", SIZE) + "}"}
    ),
    "userStorage of brackets": lambda: v2_tree(
        user={"userVerificationStatus": "VERIFIED", "userStorage": "[" * SIZE}
    ),
    "locale": lambda: v2_tree(user={"locale": "en" + "-aa" * (SIZE // 3)}),
    "zone": lambda: v3_tree(device={"timeZone": {"id": "+" * SIZE}}),
    "name": lambda: v3_tree(session={"id": "č" * (SIZE // 2)}),
    "words": lambda: v3_tree(intent={"name": "x" * (SIZE // 2), "query": " y" * (SIZE // 4)}),
    "digits": lambda: b'{"inputs":[],"x":' + b"1" * SIZE + b"}",
    "escapes": lambda: b'{"inputs":[],"x":"' + rb"\ud83d\ude00" * (SIZE // 12) + b'"}',
}


@pytest.mark.parametrize("what", list(LARGE))
def test_a_large_request_takes_no_long_time(what: str) -> None:
    """None that is taken keeps a server busy."""
    made = LARGE[what]()
    body = made if isinstance(made, bytes) else json.dumps(made, ensure_ascii=False).encode()
    assert len(body) > SIZE / 2
    server = Server()
    began = time.process_time()
    asked = server.post(body)
    if asked.turns:
        asked.answer("fine")
    assert time.process_time() - began < SECONDS
    assert asked.status == (400 if isinstance(made, bytes) else 200)


def test_what_nobody_has_signed_takes_no_time_at_all() -> None:
    server = signed()
    body = b'{"x":' + _much("[]", 1_000_000).encode() + b"}"
    began = time.process_time()
    mistrusted(server.post(body, (SIGNATURE, "junk")), "")
    assert time.process_time() - began < 0.5


# ------------------------------------------------------------ conversations walked at random


SHORTEST = 5
"""Seconds that a session is kept at least, in these walks."""


class Walk:
    """Several Assistants talk to one server as they like, and it answers as it likes.

    What each dialogue puts down in its session is only ever read by the same conversation, in the same order.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.stored = rng.random() < 0.5
        signer = google() if rng.random() < 0.3 else None
        self.server = Server(stored=self.stored, signer=signer, queue_inputs=rng.random() < 0.2)
        self.server.store = {} if self.stored and rng.random() < 0.8 else None
        self.server.fetches = google().document if rng.random() < 0.8 else None
        versions: tuple[Version, ...] = (V2, V3)
        self.peers = [
            self.server.assistant(
                rng.choice(versions),
                key=rng.choice([None, "demo"]),
                verified=rng.random() < 0.5,
                screen=rng.random() < 0.5,
                make_id=self.name,
            )
            for _ in range(4)
        ]
        self.names = 0
        self.latest: dict[int, Asked] = {}
        self.speakers: dict[int, int] = {}  # by request
        self.before: dict[str, tuple[Session, float]] = {}  # of conversations, and when it was seen
        self.story: list[str] = []

    def name(self) -> str:
        """Some names can be those of sessions as they are, some are too long or too odd for that."""
        self.names += 1
        return self.rng.choice(["{}", "conversation {}", "c" * 300 + "{}", "ž{}"]).format(self.names)

    # -------------------------------------------------------- moves

    def speak(self, who: int) -> None:
        peer = self.peers[who]
        if who in self.latest and not self.latest[who].closed and self.rng.random() < 0.7:
            return  # most wait for an answer
        if self.rng.random() < 0.1:
            self.steal(peer)
        moves = [peer.launch, peer.cancel, peer.silence, *[lambda: peer.say(f"words of {who}")] * 4]
        move = peer.launch if peer.conversation_id is None else self.rng.choice(moves)
        sent = move()
        self.story.append(f"{who} in {peer.conversation_id!r:.20}: {peer._asked}")
        asked = self.latest[who] = self.server.ask(sent, by=peer)
        self.speakers[id(asked)] = who

    def steal(self, peer: GooglePeer) -> None:
        """Take part in the conversation of another, as another device."""
        if peer.verified and (peer.storage or peer.user_params):
            peer.conversation_id = self.rng.choice(self.peers).conversation_id

    def check(self, who: int) -> None:
        peer = self.server.assistant(V2 if self.peers[who].version == V2 else V3)
        asked = self.server.ask(peer.health_check(), by=peer)
        assert [each for each in asked.told() if each not in ("KeysNeed", "Closed 1000")] == []
        assert not asked.closed or asked.heard.speech == "ok"

    def answer(self, who: int) -> None:
        asked = self.latest.get(who)
        if asked is None or asked.closed:
            return
        self.server.settle()
        need = asked.machine._question
        if isinstance(need, Need):
            self.meet(asked, need)
            return
        if not asked.turns or asked.turn.over:
            return
        turn = asked.turn
        self.remember(who, asked)
        moves: list[Callable[[], object]] = [
            *[lambda: turn.say(self.rng.choice(RICH))] * 4,
            *[lambda: turn.finish(items=self.rng.sample(RICH[1:], 2))] * 6,
            lambda: turn.finish(session_ended=True),
            lambda: turn.finish(sleep_timeout=self.rng.choice([SHORTEST, 500])),
            lambda: turn.fail("no"),
            lambda: asked.machine.fail("no"),
            asked.machine.give_way,
            asked.machine.close,
            asked.lost,
        ]
        move = self.rng.randrange(len(moves))
        self.story.append(f"{who} is answered: {move}")
        moves[move]()

    def remember(self, who: int, asked: Asked) -> None:
        """What the session holds was put down by this conversation, turn by turn."""
        session = asked.session
        peer = asked.peer
        assert peer is not None
        mine = f"{who} {peer.conversation_id}"
        diary = session.data.setdefault("diary", [])
        numbers = [number for _, number in diary]
        assert {each for each, _ in diary} <= {mine}
        assert numbers == sorted(numbers)
        assert session.turns == asked.turn.number >= max(numbers, default=1)
        assert (session.key, session.device_id) == (asked.init.key, asked.init.device_id)
        assert not session.ended
        if numbers[-1:] != [session.turns]:
            diary.append([mine, session.turns])
        before, when = self.before.get(mine, (session, 0.0))
        if before.ended:
            assert before is not session
        elif not self.stored and self.server.clock.now - when < SHORTEST:
            assert before is session
        self.before[mine] = session, self.server.clock.now

    def meet(self, asked: Asked, need: Need) -> None:
        how = self.rng.choice(["meet", "meet", "nothing", "junk", "fail"])
        self.story.append(f"{type(need).__name__}: {how}")
        if how == "fail":
            asked.machine.fail("it cannot be had")
        elif how == "junk" and not isinstance(need, StoreNeed):
            asked.provide(b"junk")
        elif isinstance(need, KeysNeed):
            asked.provide(google().document if how == "meet" else None)
        elif isinstance(need, SessionNeed):
            asked.provide(None)
        else:
            asked.provide(None if how == "nothing" else b"")

    def hear(self, who: int) -> None:
        """The Assistant takes the answer, when there is one, and goes on."""
        asked = self.latest.get(who)
        if asked is None or not asked.closed:
            return
        del self.latest[who]
        peer = self.peers[who]
        if not asked.output or not isinstance(asked.output[0], ResponseHead) or asked.status != 200:
            return
        heard = self.server.hear(asked, peer)
        assert heard.ended is (peer.conversation_id is None)
        assert asked.turns
        assert heard.ended or asked.input.transcript.text != "stop"

    def wait(self, _: int) -> None:
        seconds = self.rng.choice([0.1, 1, 3, 5, 9, 100, 4000])
        self.story.append(f"{seconds} s pass")
        self.server.advance(seconds)

    def step(self) -> None:
        moves = [*[self.speak] * 4, *[self.answer] * 6, *[self.hear] * 4, *[self.wait] * 2, self.check]
        self.rng.choice(moves)(self.rng.randrange(len(self.peers)))
        for asked in self.server.requests:
            self.look(asked)

    def look(self, asked: Asked) -> None:
        """What must hold of every request at any time."""
        running = asked.machine._running
        assert running is None or running is asked.turns[-1]
        if asked.turns:
            mine = f"words of {self.speakers[id(asked)]}"
            assert asked.input.transcript.text in ("#intro", "#silence", "stop", mine)
            assert self.server.keys is None or asked.machine.project_id == PROJECT


@pytest.mark.parametrize("seed", range(16))
def test_any_conversations(seed: int) -> None:
    walk = Walk(random.Random(seed))
    try:
        for _ in range(60):
            walk.step()
    except Exception as error:
        raise AssertionError(f"seed {seed}:\n" + "\n".join(walk.story)) from error

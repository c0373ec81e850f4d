"""The server end of an Alexa skill, and the webhook it is: rule by rule, then anything in any order.

What is expected is written down here by hand; nothing is derived from the machine's own tables.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import string
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from ask_sdk_core.serialize import DefaultSerializer
from ask_sdk_model.response_envelope import ResponseEnvelope
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.alexa import (
    INTENTS,
    AlexaCertificates,
    AlexaRequest,
    AlexaServer,
    Intents,
)
from flowstorm_channel.alexa.answers import AlexaLimits
from flowstorm_channel.answers import Unsent
from flowstorm_channel.channel import Control, Timeouts
from flowstorm_channel.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    SignatureError,
    TooLateError,
)
from flowstorm_channel.events import (
    BinaryEvent,
    CertificateNeed,
    ClosedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    KeysNeed,
    LogEvent,
    Need,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionNeed,
    StoreNeed,
    TurnInterruptedEvent,
    UnknownEvent,
    UnsentEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.alexa import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaPeer, Heard, Sent
from flowstorm_channel.testing.signing import AlexaSigner
from flowstorm_channel.testing.strategies import json_values
from flowstorm_channel.values import (
    ExpectedPhrase,
    Input,
    Location,
    Response,
    ResponseItem,
    SttMode,
    Transcript,
)
from flowstorm_channel.webhook import WebhookServer
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests import exchanges
from tests.depth import examples

NOON = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
SKILL = "amzn1.ask.skill.test"
KEY = f"alexa:{SKILL}"
DEVICE = "test-device"
ID = "test-session-1"
"""Of the first session of a peer."""
STORED = f"StoreNeed {ID} 3600"
JSON = "application/json"
SAY = "IntentRequest"


# ------------------------------------------------------------ a host


def line(what: Event | Message) -> str:
    """What an event or a piece of an answer is."""
    match what:
        case InitEvent():
            return "Init"
        case CertificateNeed() | KeysNeed():
            return type(what).__name__
        case UnsentEvent():
            return f"Unsent {what.number} {what.part}"
        case ErrorEvent():
            return f"Error {what.text}"
        case UnknownEvent():
            return f"Unknown {what.type}"
        case FaultEvent():
            return f"Fault {type(what.error).__name__}"
    return exchanges.line(what)


class Asked:
    """One request at the server: what it is told and what it answers pile up until they are taken.

    The loop runs once when something was received, when the machine asked to be woken, and when the deadline
    that was armed last is due. Whoever is not woken stands still.
    """

    def __init__(self, server: Server, *, accept: bool = True, **kw: Any) -> None:
        self.server = server
        self.accept = accept
        options = {"clock": server.clock, "make_id": server.make_id, "wake": self.wake, "now": server.now}
        options |= {"certificates": server.certificates, "skill_ids": {SKILL}}
        self.machine: AlexaServer = AlexaServer(server.sessions, **{**options, **kw})
        self.peer = copy.copy(server.peer)  # as it was when it asked
        self.history: list[Event] = []
        self.output: list[Message] = []
        self.turns: list[Turn] = []
        self.woken = False
        self.armed: float | None = None
        self.on_event: Callable[[Event], None] | None = None
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
            elif isinstance(event, CertificateNeed) and self.server.fetches:
                self.machine.provide(event, self.server.chain)
            if self.on_event is not None:
                self.on_event(event)
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

    # -------------------------------------------------------- what there is to look at

    @property
    def turn(self) -> Turn:
        self.server.settle()
        return self.turns[-1]

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
    def unsent(self) -> list[UnsentEvent]:
        self.server.settle()
        return [each for each in self.history if isinstance(each, UnsentEvent)]

    def provide(self, value: bytes | None) -> Asked:
        self.machine.provide(self.need, value)
        self.server.settle()
        return self

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
        return ["JSON" if isinstance(each, bytes) else line(each) for each in taken]

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
    def answer(self) -> dict[str, Any]:
        """What Alexa is to say and do."""
        assert self.status == 200
        found: dict[str, Any] = self.tree["response"]
        return found

    @property
    def heard(self) -> Heard:
        """What the user gets of it: it must be legal."""
        return copy.copy(self.peer).take(self.status, self.body)

    def everything(self) -> tuple[object, ...]:
        """All that a refused call must leave alone."""
        end = self.machine
        kept = {} if self.server.sessions is None else dict(self.server.sessions._kept)
        return (
            *(end.state, end.audio, end.session_id, end.next_deadline(), end.init, end.dropped, end.full),
            *(end._question, end._answered, end._status, end._running, len(self.history), len(self.output)),
            *(repr(end.session), kept, end._last, len(end._running._items) if end._running else 0),
        )


class Server:
    """A skill: its sessions, its clock, the requests under way, and a device that talks to it.

    Args:
        stored: the host keeps the sessions.
        travelling: they travel.
        keeping: other arguments of `Sessions`.
        signer: requests are verified, and signed by it.
        interfaces: what the device can do.
        kw: of every request's machine.
    """

    def __init__(
        self,
        *,
        stored: bool = False,
        travelling: bool = False,
        keeping: Mapping[str, Any] = MappingProxyType({}),
        signer: AlexaSigner | None = None,
        interfaces: Any = ECHO,
        **kw: Any,
    ) -> None:
        SERVERS.append(self)
        self.clock = ManualClock()
        self.sessions = None if travelling else Sessions(stored=stored, clock=self.clock, **keeping)
        self.certificates = None if signer is None else AlexaCertificates(signer.roots, clock=self.clock)
        self.chain = None if signer is None else signer.chain
        self.fetches = False
        """Whether a `CertificateNeed` is answered at once."""
        self.offset = timedelta()
        self.peer = AlexaPeer(self.now, signer=signer, interfaces=interfaces)
        self.make_id: Callable[[], str] = (f"s{number}" for number in itertools.count(1)).__next__
        self.kw = kw
        self.requests: list[Asked] = []

    def now(self) -> datetime:
        return NOON + self.offset + timedelta(seconds=self.clock.now)

    def open(self, *pieces: Message, **kw: Any) -> Asked:
        """A request with what has come of it so far."""
        asked = Asked(self, **{**self.kw, **kw})
        self.requests.append(asked)
        return asked.receive(*pieces)

    def ask(self, sent: Sent, **kw: Any) -> Asked:
        """A whole request."""
        return self.open(*sent, END, **kw)

    def post(self, tree: object, **kw: Any) -> Asked:
        """A whole request of any JSON."""
        return self.open(RequestHead(method="POST", url="/alexa"), json.dumps(tree).encode(), END, **kw)

    def launch(self, **kw: Any) -> Asked:
        return self.ask(self.peer.launch(), **kw)

    def say(self, text: str | None = "hello", **kw: Any) -> Asked:
        return self.ask(self.peer.say(text), **kw)

    def hear(self, asked: Asked) -> Heard:
        """The device takes the answer to its last request, and its session goes on with it."""
        return self.peer.take(asked.status, asked.body)

    def converse(self, *items: str | ResponseItem, **members: Any) -> Session:
        """Have a turn, from its input to the answer."""
        asked = self.say()
        session = asked.turn.session
        for item in items or ("fine",):
            asked.turn.say(item)
        asked.turn.finish(**members)
        self.hear(asked)
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
        if self.sessions is not None:
            assert self.sessions._under_way == {}
            assert self.sessions._owners == {}


STATUSES = {200, 400, 401, 403, 405, 408, 409, 413, 431, 500, 503}


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
    inits = [index for index, each in enumerate(asked.history) if isinstance(each, InitEvent)]
    inputs = [index for index, each in enumerate(asked.history) if isinstance(each, InputEvent)]
    assert len(inputs) <= len(inits) <= 1
    assert inits <= inputs or not inputs
    cuts = [each.number for each in asked.history if isinstance(each, TurnInterruptedEvent)]
    assert cuts in ([], [turn.number for turn in asked.turns])
    kinds = [type(each).__name__ for each in asked.output]
    if kinds not in ([], ["Close"]):
        assert kinds[:2] == ["ResponseHead", "bytes"]
        assert kinds[2:] in (["End"], ["Close"], [])
        check_answer(asked)


def check_answer(asked: Asked) -> None:
    """What must hold of every answer, whatever was asked."""
    assert asked.status in STATUSES
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["content-type"] == JSON
    assert ("allow" in asked.headers) is (asked.status == 405)
    if asked.status == 200:
        assert asked.tree.keys() == {"version", "sessionAttributes", "response"}
    else:
        assert list(asked.tree) == ["error"]
        assert isinstance(asked.tree["error"], str)


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
    if error is LocalProtocolError:
        assert isinstance(caught.value, LocalProtocolError)
        assert caught.value.legal
    assert asked.everything() == before
    assert (asked.told(), asked.sent()) == ([], [])


def snapshot(**members: Any) -> bytes:
    """Of the first session of a peer."""
    return Session(**{"session_id": ID, "key": KEY, "device_id": DEVICE, **members}).snapshot()


NEWER: Any = msgpack.packb({"version": 9, "sessionId": ID, "key": KEY, "deviceId": DEVICE})
"""The same of a later release."""


@cache
def amazon(authority: str = "Amazon") -> AlexaSigner:
    return AlexaSigner(authority)


# ------------------------------------------------------------ a request, from end to end


def test_a_turn() -> None:
    server = Server()
    asked = server.open()
    assert (asked.state, asked.due_in()) == (State.CLOSED, None)
    head, body = server.peer.launch()
    asked.receive(head, body)
    assert (asked.told(), asked.state) == ([], State.OPEN)
    asked.receive(END)
    assert (asked.told(), asked.sent(), asked.state) == (["Init", "Input #intro"], [], State.PROCESSING)
    asked.turn.say("Hello!")
    assert (asked.sent(), asked.state) == ([], State.RESPONDING)
    asked.turn.say("What is your name?")
    asked.turn.finish()
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.told() == ["Closed 1000"]
    assert (asked.state, asked.machine.audio) == (State.CLOSED, Audio.CLOSED)
    assert asked.headers == {"cache-control": "no-store", "content-type": JSON}
    assert asked.tree == {
        "version": "1.0",
        "sessionAttributes": {},
        "response": {
            "outputSpeech": {"type": "SSML", "ssml": "<speak>Hello! What is your name?</speak>"},
            "reprompt": {"outputSpeech": {"type": "SSML", "ssml": "<speak>What is your name?</speak>"}},
            "shouldEndSession": False,
        },
    }


def test_the_next_turn_goes_on_with_the_session() -> None:
    server = Server()
    first = server.launch()
    first.turn.session.data["name"] = "Ann"
    first.turn.say("Hello!")
    first.turn.finish()
    assert server.hear(first).listening
    second = server.say("How are you?")
    assert second.told() == ["Init", "Input How are you?"]
    assert (second.turn.session_id, second.turn.number) == (ID, 2)
    assert second.turn.session is first.turn.session
    assert second.turn.session.data == {"name": "Ann"}


def test_states_on_the_way() -> None:
    ways: list[tuple[dict[str, Any], State]] = [
        ({}, State.LISTENING),
        ({"session_ended": True}, State.SLEEPING),
    ]
    for members, state in ways:
        server = Server(stored=True, accept=False)
        asked = server.launch()
        states = [asked.state]
        asked.machine.ready()
        assert asked.told()[-1] == f"SessionNeed {ID}"
        states.append(asked.state)
        asked.provide(snapshot(turns=1))
        assert asked.told() == ["Input #intro"]
        states.append(asked.state)
        asked.turn.say("a")
        states.append(asked.state)
        asked.turn.finish(**members)
        assert asked.state is state
        asked.provide(b"")
        assert asked.state is State.CLOSED
        assert states == [State.OPEN, State.SLEEPING, State.PROCESSING, State.RESPONDING]


def _inside_of_a_letter(body: bytes) -> list[bytes]:
    at = body.index("ů".encode()) + 1
    return [body[:at], body[at:]]


CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda body: [body],
    "bytes": lambda body: [bytes([each]) for each in body],
    "odd pieces": lambda body: [body[at : at + 37] for at in range(0, len(body), 37)],
    "empty pieces": lambda body: [b"", body[:1], b"", b"", body[1:], b""],
    "the last byte": lambda body: [body[:-1], body[-1:]],
    "inside of a letter": _inside_of_a_letter,
}


@pytest.mark.parametrize("cut", list(CUTS))
@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "lazy"])
@pytest.mark.parametrize("signed", [False, True], ids=["plain", "signed"])
def test_it_does_not_matter_how_the_body_is_cut(cut: str, prompt: bool, signed: bool) -> None:
    server = Server(signer=amazon() if signed else None)
    server.fetches = True
    head, body = server.peer.say("žluťoučký kůň")
    asked = server.open()
    pieces: list[Message] = [head, *CUTS[cut](body)]
    needed = ["CertificateNeed"] if signed else []
    if prompt:
        asked.receive(*pieces)
        assert asked.told() == needed
    else:
        for each in pieces:
            asked.machine.receive_data(each)
    asked.receive(END)
    assert asked.told() == [*([] if prompt else needed), "Init", "Input žluťoučký kůň"]
    asked.turn.say("fine")
    asked.turn.finish()
    assert asked.heard.speech == "fine"


def test_empty_pieces_are_not_heaped_up() -> None:
    server = Server()
    head, body = server.peer.launch()
    asked = server.open(head)
    for _ in range(1000):
        asked.machine.receive_data(b"")
        assert asked.machine.next_event() is Control.NEED_DATA
    assert len(asked.machine._pieces) == 0
    asked.receive(body, END)
    assert asked.told() == ["Init", "Input #intro"]


def test_a_body_that_was_read_is_let_go() -> None:
    assert Server().launch().machine._pieces == []


def test_nothing_happens_before_the_host_has_accepted() -> None:
    server = Server(accept=False)
    asked = server.launch()
    assert asked.told() == ["Init"]
    assert asked.machine.next_event() is Control.NEED_ANSWER
    server.advance(6)
    assert (asked.told(), asked.sent(), asked.due_in()) == ([], [], None)
    asked.machine.ready()
    assert asked.told() == ["Input #intro"]
    assert asked.due_in() == 1


def test_what_comes_after_the_end_is_a_mistake_of_the_host() -> None:
    server = Server()
    head, body = server.peer.launch()
    asked = server.open()
    bodies: tuple[Message, ...] = (b"x", END, "text", ResponseHead(status=200))
    for piece in bodies:
        refused(asked, partial(asked.machine.receive_data, piece))
    asked.receive(head)
    for piece in (head, "text", ResponseHead(status=200)):
        refused(asked, partial(asked.machine.receive_data, piece))
    asked.receive(body, END)
    for piece in (head, *bodies):
        refused(asked, partial(asked.machine.receive_data, piece))
    asked.turn.finish()
    asked.forget()
    asked.receive(*bodies, head, Close()).lost()
    assert (asked.told(), asked.sent()) == ([], [])


# ------------------------------------------------------------ what is no request of Alexa

HEAD = RequestHead(method="POST", url="/alexa")
SMALL = {
    "webhook": Limits(webhook_bytes=700),
    "message": Limits(message_bytes=700),
    "body": Limits(body_bytes=700),
}


def with_headers(*headers: tuple[str, str]) -> RequestHead:
    return RequestHead(method="POST", url="/alexa", headers=headers)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "post it", "Ž", ""])
def test_another_method(method: str) -> None:
    asked = Server().open(RequestHead(method=method, url="/alexa"))
    assert asked.told() == ["Fault RemoteProtocolError"]
    assert asked.sent() == ["405", "JSON"]
    assert asked.headers["allow"] == "POST"
    asked.receive(b"{}", END)
    assert (asked.sent(), asked.told()) == (["END"], ["Closed 1000"])


def test_a_method_in_any_case() -> None:
    server = Server()
    _, body = server.peer.launch()
    asked = server.open(RequestHead(method="post", url="https://skill.example/alexa?x=y"), body, END)
    assert asked.told() == ["Init", "Input #intro"]


@pytest.mark.parametrize("limits", list(SMALL))
@pytest.mark.parametrize("declared", ["701", "00701", "1" + "0" * 20, "9" * 400, "٧٠١"], ids=range(5))
def test_a_body_that_is_declared_too_long_is_refused_before_it_comes(declared: str, limits: str) -> None:
    asked = Server(limits=SMALL[limits]).open(with_headers(("content-length", declared)))
    assert asked.told() == ["Fault LimitExceeded"]
    assert asked.sent() == ["413", "JSON"]
    asked.receive(b"x" * 701, END)
    assert (asked.sent(), asked.told()) == (["END"], ["Closed 1000"])


def test_nothing_is_fetched_for_what_is_refused_anyway() -> None:
    head, _ = signed().peer.launch()
    long = with_headers(("Content-Length", "1000000"), *head.headers[2:])
    many = with_headers(*head.headers, *((f"x-{number}", "y" * 4000) for number in range(5)))
    get = RequestHead(method="GET", url="/alexa", headers=head.headers)
    for refused_head, status in ((long, 413), (many, 431), (get, 405)):
        asked = signed().open(refused_head)
        assert asked.sent() == [str(status), "JSON"]
        assert "CertificateNeed" not in asked.told()


@pytest.mark.parametrize(
    "declared", ["700", "0", "-1", "", "many", "1e9", "701.0", "0x2BD", "800, 800", "²"], ids=ascii
)
def test_what_declares_nothing_is_not_believed(declared: str) -> None:
    server = Server(limits=SMALL["message"])
    _, body = server.peer.launch()
    asked = server.open(with_headers(("Content-Length", declared)), body, END)
    assert asked.told() == ["Init", "Input #intro"]


@pytest.mark.parametrize("limits", list(SMALL))
@pytest.mark.parametrize("size", [1, 13, 350, 700, 701, 5000])
def test_a_body_that_is_too_long(size: int, limits: str) -> None:
    server = Server(limits=SMALL[limits])
    _, body = server.peer.launch()
    long = body.ljust(700) + b"x" * 300
    asked = server.open(HEAD)
    taken = 0
    while not asked.output:
        asked.receive(long[taken : taken + size])
        taken += size
    assert taken - size <= 700 < taken
    assert asked.told() == ["Fault LimitExceeded"]
    assert asked.sent() == ["413", "JSON"]
    asked.receive(long[taken:], END)
    assert (asked.sent(), asked.told()) == (["END"], ["Closed 1000"])


@pytest.mark.parametrize("limits", list(SMALL))
def test_a_body_that_just_fits(limits: str) -> None:
    server = Server(limits=SMALL[limits])
    _, body = server.peer.launch()
    asked = server.open(with_headers(("Content-Length", "700")), body.ljust(700), END)
    assert asked.told() == ["Init", "Input #intro"]


@pytest.mark.parametrize("size", [1 << 16, 10 << 20], ids=["in pieces", "at once"])
def test_ten_megabytes(size: int) -> None:
    data = b'{"request":{"type":"LaunchRequest"},"x":"' + b"x" * (10 << 20)
    asked = Server().open(HEAD, *(data[at : at + size] for at in range(0, len(data), size)), END)
    assert asked.sent() == ["413", "JSON", "END"]
    assert asked.told() == ["Fault LimitExceeded", "Closed 1000"]
    assert asked.machine._pieces == []


def test_too_much_waits_to_be_read() -> None:
    asked = Server(limits=Limits(queued_bytes=2000, body_bytes=2000, message_bytes=1000)).open(HEAD)
    for _ in range(5):
        asked.machine.receive_data(b"x" * 1500)
    assert asked.machine.full
    asked.step()
    assert asked.sent() == ["413", "JSON", "Close 1009"]
    assert asked.told() == ["Fault LimitExceeded", "Fault LimitExceeded", "Closed 1009"]


def test_empty_pieces_are_not_for_nothing() -> None:
    asked = Server(limits=Limits(queued_bytes=2000, body_bytes=1000)).open(HEAD)
    for _ in range(100):
        asked.machine.receive_data(b"")
    asked.step()
    assert (asked.sent(), asked.told()) == (["413", "JSON"], ["Fault LimitExceeded"])
    asked.receive(b"", END)
    assert (asked.sent(), asked.told()) == (["END"], ["Closed 1000"])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (with_headers(*((f"x-{number}", "y" * 4000) for number in range(5))), 431),
        (with_headers(("x", "y" * 5000)), 431),
        (RequestHead(method="POST", url="/" + "a" * 5000), 431),
        (with_headers(("x", "y\r\nz: 1")), 400),
        (with_headers(("x\n", "y")), 400),
        (RequestHead(method="POST", url="/alexa\x00"), 400),
        (RequestHead(method="PO\nST", url="/alexa"), 400),
        (RequestHead(method="POST", url="/\ud800"), 400),
    ],
    ids=["headers", "header", "address", "line break", "name", "zero", "method", "surrogate"],
)
def test_a_head_that_is_too_much_or_none(head: RequestHead, status: int) -> None:
    asked = Server().open(head, b"{}", END)
    assert asked.sent() == [str(status), "JSON", "END"]
    kind = "LimitExceeded" if status == 431 else "RemoteProtocolError"
    assert asked.told() == [f"Fault {kind}", "Closed 1000"]


NOT_JSON = [
    *(b"", b" \n", b"{", b"{}x", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{'a':1}", b'{"a":NaN}', b'{"a":1e999}'),
    *(b'{"a":"\\ud800"}', b'{"a":123456789012345678901234567890}', b"\x00", "{}".encode("utf-16"), b"[1,]"),
    b'{"request":{"type":"LaunchRequest"},"x":"\xed\xa0\x80"}',
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_no_json(body: bytes) -> None:
    asked = Server().open(HEAD, body, END)
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
    assert asked.tree == {"error": str(asked.fault)}


@pytest.mark.parametrize(
    "body",
    [
        b'{"request":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"request":' * 70 + b"{}" + b"}" * 70,
        b"[" * 100_000,
        json.dumps({"request": {str(number): number for number in range(1001)}}).encode(),
        json.dumps({"request": {"type": "x" * 300_000}}).encode(),
    ],
    ids=["deep array", "deep object", "only brackets", "many members", "long text"],
)
def test_json_that_is_too_much(body: bytes) -> None:
    asked = Server().open(HEAD, body, END)
    assert asked.sent() == ["413", "JSON", "END"]
    assert asked.told() == ["Fault LimitExceeded", "Closed 1000"]


@pytest.mark.parametrize("tree", [None, True, 0, 1.5, "text", [], [{}], {}, {"request": []}], ids=str)
def test_json_that_is_no_request(tree: object) -> None:
    asked = Server().post(tree)
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]


def whole_request() -> dict[str, Any]:
    """One with all that is looked at."""
    return {
        "version": "1.0",
        "session": {
            "new": True,
            "sessionId": ID,
            "application": {"applicationId": SKILL},
            "attributes": {"a": 1},
            "user": {"userId": "u", "accessToken": "t"},
        },
        "context": {
            "System": {
                "application": {"applicationId": SKILL},
                "user": {"userId": "u"},
                "device": {"deviceId": "d", "supportedInterfaces": {"VideoApp": {"a": {}}}},
                "person": {"personId": "p"},
                "apiEndpoint": "https://api.amazonalexa.com",
                "apiAccessToken": "t",
            },
            "Geolocation": {
                "timestamp": "2026-01-01T00:00:00Z",
                "coordinate": {
                    "latitudeInDegrees": 1.5,
                    "longitudeInDegrees": 2.5,
                    "accuracyInMeters": 3.0,
                },
                "altitude": {"altitudeInMeters": 1.0, "accuracyInMeters": 1.0},
                "heading": {"directionInDegrees": 1.0, "accuracyInDegrees": 1.0},
                "speed": {"speedInMetersPerSecond": 1.0, "accuracyInMetersPerSecond": 1.0},
            },
        },
        "request": {
            "type": SAY,
            "requestId": "r",
            "timestamp": "2026-06-15T12:00:00Z",
            "locale": "en-US",
            "intent": {
                "name": "BookTable",
                "confirmationStatus": "NONE",
                "slots": {
                    "day": {
                        "name": "day",
                        "value": "on Friday",
                        "confirmationStatus": "NONE",
                        "resolutions": {
                            "resolutionsPerAuthority": [
                                {
                                    "status": {"code": "ER_SUCCESS_MATCH"},
                                    "values": [{"value": {"name": "Friday", "id": "5"}}],
                                }
                            ]
                        },
                    }
                },
            },
        },
    }


def _places(tree: object, *path: str) -> Iterator[str]:
    if path:
        yield ".".join(path)
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _places(value, *path, name)


PLACES = list(_places(whole_request()))
FREE = ("session.attributes.", "context.System.device.supportedInterfaces.", "request.")
"""What stands there is anything."""
SAID = {
    "request.intent": "#silence",
    "request.intent.name": "on Friday",
    **dict.fromkeys(("request.intent.slots", "request.intent.slots.day"), "#BookTable"),
    "request.intent.slots.day.value": "#BookTable",
}
"""What is said when something is missing there; else: on Friday."""


def changed(place: str, value: object) -> dict[str, Any]:
    """A request with something else at a place; `...`: with nothing."""
    tree = here = whole_request()
    *path, last = place.split(".")
    for name in path:
        here = here[name]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return tree


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_what_is_missing_is_no_fault(place: str, value: object) -> None:
    """But for the request and its type."""
    asked = Server(skill_ids=None).post(changed(place, value))
    if place in ("request", "request.type"):
        assert asked.sent() == ["400", "JSON", "END"]
        assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
        assert asked.fault.path == place
    elif place == "session":
        assert asked.sent() == ["200", "JSON", "END"]
        assert asked.told() == ["Unknown IntentRequest", "Closed 1000"]
    else:
        assert asked.told() == ["Init", f"Input {SAID.get(place, 'on Friday')}"]
        asked.turn.finish()
        assert asked.sent() == ["200", "JSON", "END"]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_of_a_wrong_type_is_a_fault_or_as_if_it_were_missing(place: str) -> None:
    wrong: list[Any] = [[], [1], True, -1, 1.5, "text", {"x": []}, [[{}]]]
    for value in wrong:
        if type(value) is type(_at(place)):
            continue
        asked = Server(skill_ids=None).post(changed(place, value))
        if place == "request.type" or (not place.startswith(FREE) and not _is_number(place, value)):
            assert asked.sent() == ["400", "JSON", "END"]
            assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
            assert asked.fault.path == place
        else:
            assert asked.told()[0] == "Init"
            asked.turn.finish()
            assert asked.sent() == ["200", "JSON", "END"]


def _at(place: str) -> object:
    found: Any = whole_request()
    for name in place.split("."):
        found = found[name]
    return found


def _is_number(place: str, value: object) -> bool:
    return type(value) is int and type(_at(place)) is float


# ------------------------------------------------------------ anything as a body


def tried(server: Server, *pieces: Message) -> list[str]:
    """Have a request answered somehow; what was told."""
    asked = server.open(*pieces)
    if asked.turns and not asked.turns[-1].over:
        asked.turns[-1].say("fine")
        asked.turns[-1].finish()
    assert asked.closed
    assert asked.status in (200, 400, 413)
    if asked.status == 200:
        assert isinstance(asked.answer, dict)
    else:
        assert asked.turns == []
        assert asked.machine.init is None
    found = asked.told()
    SERVERS.remove(server)
    server.finish()
    return found


@settings(max_examples=examples(60), deadline=None)
@given(json_values())
def test_any_json(tree: object) -> None:
    assert tried(Server(), HEAD, json.dumps(tree).encode(), END)[0].startswith("Fault")


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    assert tried(Server(), HEAD, body, END)[0].startswith("Fault")


CHANGES = st.lists(
    st.tuples(st.sampled_from(PLACES), st.just(...) | json_values() | st.sampled_from([[], {}, "", "#", 0])),
    min_size=1,
    max_size=4,
)
KINDS = (
    *(
        "LaunchRequest",
        SAY,
        SAY,
        SAY,
        "SessionEndedRequest",
        "CanFulfillIntentRequest",
        "Novelty",
        "Input",
        5,
    ),
    *("Display.ElementSelected", "Alexa.Presentation.APL.UserEvent", "System.ExceptionEncountered"),
)


def mutated(kind: object, changes: Iterable[tuple[str, object]]) -> dict[str, Any]:
    tree = whole_request()
    tree["request"]["type"] = kind
    for place, value in changes:
        here: Any = tree
        *path, last = place.split(".")
        for name in path:
            here = here.get(name) if isinstance(here, dict) else None
        if isinstance(here, dict):
            if value is ...:
                here.pop(last, None)
            else:
                here[last] = copy.deepcopy(value)
    return tree


@settings(max_examples=examples(80), deadline=None)
@given(st.sampled_from(KINDS), CHANGES, st.booleans())
def test_any_change_of_a_good_request(kind: object, changes: list[tuple[str, object]], travels: bool) -> None:
    body = json.dumps(mutated(kind, changes)).encode()
    told = tried(Server(skill_ids=None, travelling=travels), HEAD, body, END)
    assert told[-1] == "Closed 1000"


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(KINDS), CHANGES)
def test_no_change_of_a_signed_request_gets_in(kind: object, changes: list[tuple[str, object]]) -> None:
    server = Server(signer=amazon())
    server.fetches = True
    good = json.dumps(mutated(kind, ())).encode()
    body = json.dumps(mutated(kind, [*changes, ("version", "2.0")])).encode()
    head = with_headers(*amazon().headers(good))
    assert tried(server, head, body, END) == ["CertificateNeed", "Fault SignatureError", "Closed 1000"]


# ------------------------------------------------------------ who has sent it

UNVERIFIED = {"error": "the request could not be verified"}


def signed(signer: AlexaSigner | None = None, **kw: Any) -> Server:
    return Server(signer=signer or amazon(), **kw)


def mistrusted(asked: Asked, reason: str, *before: str) -> None:
    """The request is refused without a word why, and nobody has heard of it but in a fault."""
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.tree == UNVERIFIED
    assert asked.told() == [*before, "Fault SignatureError", "Closed 1000"]
    assert type(asked.fault) is SignatureError
    assert reason in str(asked.fault)
    machine = asked.machine
    assert (machine.init, machine.request, machine.session, machine.attributes) == (None, None, None, {})
    assert asked.server.sessions is not None
    assert len(asked.server.sessions) == 0


def test_the_certificates_are_asked_for_once() -> None:
    server = signed()
    asked = server.launch()
    assert asked.told() == ["CertificateNeed"]
    assert asked.need == CertificateNeed(url=amazon().url)
    assert asked.machine.next_event() is Control.NEED_ANSWER
    assert (asked.state, asked.machine.request, asked.sent()) == (State.OPEN, None, [])
    asked.provide(amazon().chain)
    assert asked.told() == ["Init", "Input #intro"]
    asked.turn.say("Hello!")
    asked.turn.finish()
    server.hear(asked)
    assert server.say().told() == ["Init", "Input hello"]


def test_each_request_asks_until_they_are_here() -> None:
    server = signed()
    one = server.launch()
    server.peer = AlexaPeer(server.now, signer=amazon(), device_id="other", user_id="other")
    server.peer.session_id = "other"
    two = server.say()
    assert (one.told(), two.told()) == (["CertificateNeed"], ["CertificateNeed"])
    one.provide(amazon().chain)
    assert (one.told(), two.told()) == (["Init", "Input #intro"], [])
    two.provide(amazon().chain)
    assert two.told() == ["Init", "Input hello"]


def test_the_certificates_of_another_address_are_asked_for_too() -> None:
    server = signed()
    server.launch().provide(amazon().chain)
    server.peer.signer = AlexaSigner(
        "Amazon", url="https://S3.amazonaws.com:443/echo.api/../echo.api/new.pem"
    )
    asked = server.launch()
    assert asked.need == CertificateNeed(url="https://s3.amazonaws.com/echo.api/new.pem")


def test_the_certificates_are_forgotten_after_a_while() -> None:
    server = signed()
    server.launch().provide(amazon().chain).turn.finish()
    server.advance(3599)
    assert server.launch().told() == ["Init", "Input #intro"]
    server.advance(1)
    assert server.launch().told() == ["CertificateNeed"]


def test_old_certificates_do_when_there_are_no_new_ones() -> None:
    server = signed()
    server.launch().provide(amazon().chain).turn.finish()
    server.advance(3600)
    asked = server.launch()
    assert asked.told() == ["CertificateNeed"]
    asked.provide(None)
    assert asked.told() == ["Init", "Input #intro"]
    server.peer.signer = amazon("Somebody")
    asked = server.launch().provide(None)
    assert asked.told() == ["CertificateNeed", "Fault SignatureError", "Closed 1000"]
    assert asked.tree == UNVERIFIED


def test_certificates_that_are_not_valid_any_more() -> None:
    signer = AlexaSigner("Amazon", valid_to=NOON + timedelta(seconds=60))
    server = signed(signer)
    server.launch().provide(signer.chain).turn.finish()
    server.advance(61)
    for asked, reason in ((server.launch(), "not now"), (server.launch().provide(signer.chain), "expired")):
        assert asked.told()[-2:] == ["Fault SignatureError", "Closed 1000"]
        assert asked.tree == UNVERIFIED
        assert reason in str(asked.fault)


def test_time_stands_still_while_certificates_are_fetched() -> None:
    """But not that of Alexa."""
    server = signed()
    asked = server.launch()
    assert asked.due_in() is None
    server.advance(5)
    assert (asked.told(), asked.sent()) == (["CertificateNeed"], [])
    asked.provide(amazon().chain)
    assert (asked.told(), asked.due_in()) == (["Init", "Input #intro"], 2)


CHAINS: dict[str, Callable[[], bytes | None]] = {
    "none": lambda: None,
    "nothing": lambda: b"",
    "a page": lambda: b"<!DOCTYPE html><p>404",
    "no certificate": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "half of it": lambda: amazon().chain[: len(amazon().chain) // 2],
    "too much": lambda: amazon().chain * 50,
    "the leaf alone": lambda: (
        amazon().chain.split(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n"
    ),
    "the roots": lambda: amazon().roots,
    "of another authority": lambda: amazon("Somebody").chain,
    "for another host": lambda: AlexaSigner("Amazon", hosts=("example.com",)).chain,
    "not yet valid": lambda: AlexaSigner("Amazon", valid_from=NOON + timedelta(days=1)).chain,
}


@pytest.mark.parametrize("chain", list(CHAINS))
def test_what_is_fetched_is_of_no_use(chain: str) -> None:
    server = signed()
    asked = server.launch()
    asked.provide(CHAINS[chain]())
    mistrusted(asked, "", "CertificateNeed")
    server.peer.session_id = None
    if chain != "none":
        server.advance(59)
        mistrusted(server.launch(), "have been refused")
        server.advance(1)
    assert server.launch().told() == ["CertificateNeed"]


def test_new_certificates_that_are_of_no_use_do_not_spoil_the_old_ones() -> None:
    server = signed()
    server.launch().provide(amazon().chain).turn.finish()
    server.advance(3600)
    assert server.launch().provide(b"junk").told()[1:] == ["Fault SignatureError", "Closed 1000"]
    assert server.launch().told() == ["Init", "Input #intro"]
    server.advance(60)
    assert server.launch().told() == ["CertificateNeed"]


def test_a_body_is_not_read_before_the_certificates_are_here() -> None:
    asked = signed().open(signed().peer.launch()[0])
    assert asked.machine.full
    asked.provide(amazon().chain)
    assert not asked.machine.full


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_anything_may_be_fetched(data: bytes, armoured: bool) -> None:
    server = signed()
    if armoured:
        data = b"-----BEGIN CERTIFICATE-----\n" + b64encode(data) + b"\n-----END CERTIFICATE-----\n"
    mistrusted(server.launch().provide(data), "", "CertificateNeed")
    SERVERS.remove(server)


@pytest.mark.parametrize("status", [None, 500, 503])
def test_the_host_cannot_fetch_the_certificates(status: int | None) -> None:
    server = signed()
    asked = server.launch()
    asked.machine.fail("no network", status=status)
    assert asked.sent() == [str(status or 503), "JSON", "END"]
    assert asked.told() == ["CertificateNeed", "Closed 1000"]
    assert asked.tree == {"error": "no network"}


@pytest.mark.parametrize("how", ["eof", "close"])
def test_the_transport_goes_while_certificates_are_fetched(how: str) -> None:
    asked = signed().launch()
    if how == "eof":
        asked.lost()
    else:
        asked.receive(Close(1006))
    assert asked.told() == ["CertificateNeed", "Closed 1006"]
    assert asked.sent() == []
    refused(asked, lambda: asked.machine.provide(asked.need, amazon().chain), TooLateError)
    assert asked.machine.request is None


def test_a_need_is_answered_once_and_with_bytes() -> None:
    asked = signed(accept=False).launch()
    need = asked.need
    provide: Any = asked.machine.provide
    for value in ("text", 5, [b"x"], bytearray(b"x"), False):
        refused(asked, partial(provide, need, value))
    refused(asked, lambda: asked.machine.provide(CertificateNeed(url=need.url), amazon().chain))
    refused(asked, asked.machine.ready)
    asked.provide(amazon().chain)
    assert asked.told() == ["Init"]
    refused(asked, lambda: asked.machine.provide(need, amazon().chain))


def _unsigned(sent: Sent, *headers: tuple[str, str]) -> Sent:
    return with_headers(*headers), sent[1]


def _replaced(sent: Sent, name: str, value: str) -> Sent:
    head, body = sent
    return with_headers(*((key, value if key == name else old) for key, old in head.headers)), body


_URL, _SIGNATURE = "SignatureCertChainUrl", "Signature-256"

PRETENDERS: dict[str, tuple[Callable[[Sent], Sent], str]] = {
    "no headers": (lambda sent: _unsigned(sent), _URL),
    "no signature": (lambda sent: _unsigned(sent, sent[0].headers[2]), _SIGNATURE),
    "no address": (lambda sent: _unsigned(sent, sent[0].headers[3]), _URL),
    "only the old one": (
        lambda sent: _unsigned(sent, sent[0].headers[2], ("Signature", sent[0].headers[3][1])),
        "legacy",
    ),
    "two addresses": (
        lambda sent: (with_headers(*sent[0].headers, (_URL, "https://example.com/")), sent[1]),
        "more than once",
    ),
    "another host": (lambda sent: _replaced(sent, _URL, "https://example.com/echo.api/x.pem"), "host"),
    "another path": (lambda sent: _replaced(sent, _URL, "https://s3.amazonaws.com/evil/x.pem"), "path"),
    "without TLS": (lambda sent: _replaced(sent, _URL, amazon().url.replace("https", "http")), "https"),
    "no base64": (lambda sent: _replaced(sent, _SIGNATURE, "%%%"), "base64"),
}


@pytest.mark.parametrize("kind", ["LaunchRequest", "Novelty", "System.ExceptionEncountered", "Input"])
@pytest.mark.parametrize("how", list(PRETENDERS))
def test_headers_that_amazon_does_not_send(how: str, kind: str) -> None:
    """Nothing is fetched then, and nothing of the request is told."""
    server = signed()
    change, reason = PRETENDERS[how]
    sent = server.peer.request(kind, error={"type": "INVALID_RESPONSE", "message": "x"})
    mistrusted(server.ask(change(sent)), reason)


def _of_another_body(server: Server, kind: str) -> Sent:
    head, body = server.peer.request(kind)
    return head, body.replace(b"test-user", b"test-mine")


def _with_more_behind(server: Server, kind: str) -> Sent:
    head, body = server.peer.request(kind)
    return head, body + b" "


def _of_another_key(server: Server, kind: str) -> Sent:
    server.peer.signer = amazon("Somebody")
    return server.peer.request(kind)


def _of_nothing(server: Server, kind: str) -> Sent:
    head, body = server.peer.request(kind)
    return _replaced((head, body), _SIGNATURE, "")


def _at_another_time(seconds: float) -> Callable[[Server, str], Sent]:
    def request(server: Server, kind: str) -> Sent:
        server.offset = timedelta(seconds=seconds)
        sent = server.peer.request(kind)
        server.offset = timedelta()
        return sent

    return request


def _without_a_time(server: Server, kind: str) -> Sent:
    return server.peer.request(kind, timestamp=None)


def _for_another_skill(server: Server, kind: str) -> Sent:
    server.peer.application_id = "amzn1.ask.skill.mine"
    return server.peer.request(kind)


def _for_no_skill(server: Server, kind: str) -> Sent:
    server.peer.application_id = ""
    return server.peer.request(kind)


FORGERIES: dict[str, tuple[Callable[[Server, str], Sent], str]] = {
    "another body": (_of_another_body, "not that of the body"),
    "more behind it": (_with_more_behind, "not that of the body"),
    "another key": (_of_another_key, "not that of the body"),
    "151 seconds old": (_at_another_time(-151), "151 seconds old"),
    "151 seconds ahead": (_at_another_time(151), "151 seconds ahead"),
    "years old": (_at_another_time(-1e9), "old"),
    "no time": (_without_a_time, "request.timestamp"),
    "another skill": (_for_another_skill, "another skill"),
    "no skill": (_for_no_skill, "another skill"),
}
EVERY_KIND = (
    "LaunchRequest",
    "SessionEndedRequest",
    "CanFulfillIntentRequest",
    "Novelty",
    "Input",
    "AudioPlayer.X",
)


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("how", list(FORGERIES))
def test_what_amazon_has_not_sent_now_to_this_skill(how: str, kind: str) -> None:
    server = signed()
    forge, reason = FORGERIES[how]
    asked = server.ask(forge(server, kind))
    assert asked.machine.next_event() is Control.NEED_ANSWER
    asked.provide(amazon().chain)
    mistrusted(asked, reason, "CertificateNeed")


@pytest.mark.parametrize("seconds", [-150, -1, 0, 149, 150])
def test_what_is_almost_of_now_is_taken(seconds: float) -> None:
    server = signed()
    server.fetches = True
    assert server.ask(_at_another_time(seconds)(server, "LaunchRequest")).told()[-1] == "Input #intro"


def test_events_of_the_skill_may_be_an_hour_old() -> None:
    server = signed()
    server.fetches = True
    for seconds, told in ((-3600, "Unknown AlexaSkillEvent.SkillEnabled"), (-3601, "Fault SignatureError")):
        asked = server.ask(_at_another_time(seconds)(server, "AlexaSkillEvent.SkillEnabled"))
        assert asked.told()[-2] == told


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 1000, b'{"request":5}'], ids=range(4))
def test_that_it_is_no_request_is_told_only_when_it_is_signed(body: bytes) -> None:
    server = signed()
    server.fetches = True
    asked = server.ask((with_headers(*amazon().headers(body)), body))
    assert asked.told()[1].startswith("Fault")
    assert type(asked.fault) is not SignatureError
    assert asked.tree == {"error": str(asked.fault)}
    asked = server.ask((with_headers(*amazon().headers(b"x")), body))
    mistrusted(asked, "not that of the body")


def test_requests_may_be_verified_by_somebody_else() -> None:
    """Then neither signature nor time are looked at; whose skill it is, is."""
    server = Server()
    assert server.ask(_unsigned(_at_another_time(-1e6)(server, "LaunchRequest"))).told()[0] == "Init"
    mistrusted(Server().ask(_for_another_skill(server, "LaunchRequest")), "another skill")
    mistrusted(Server().ask(_for_no_skill(server, "Novelty")), "another skill")


@pytest.mark.parametrize(
    "ids", [None, {SKILL}, [SKILL, "other"], ("other", SKILL), frozenset({SKILL})], ids=str
)
def test_the_skills_that_are_answered(ids: Any) -> None:
    assert Server(skill_ids=ids).launch().told()[0] == "Init"


def test_one_skill_is_no_list_of_them() -> None:
    with pytest.raises(TypeError, match="several"):
        AlexaServer(Sessions(), skill_ids=SKILL, certificates=None, now=lambda: NOON)


@pytest.mark.parametrize("signer", [None, amazon], ids=["plain", "signed"])
def test_a_time_without_a_zone_is_none(signer: Any) -> None:
    certificates = AlexaCertificates(amazon().roots) if signer else None
    with pytest.raises(ValueError, match="zone"):
        AlexaServer(
            Sessions(), skill_ids=None, certificates=certificates, now=lambda: NOON.replace(tzinfo=None)
        )


@pytest.mark.parametrize("name", ["base_url", "title", "reprompt"])
def test_what_could_never_be_sent(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        _titled(name, "\ud800").open()
    _titled(name, "čí").launch()


def _titled(name: str, text: str) -> Server:
    options: dict[str, Any] = {name: text}
    return Server(**options)


def test_sessions_are_of_one_kind_of_requests() -> None:
    sessions = Sessions()
    AlexaServer(sessions, skill_ids=None, certificates=None, now=lambda: NOON)
    AlexaServer(sessions, skill_ids=None, certificates=None, now=lambda: NOON)
    with pytest.raises(ValueError, match="AlexaServer"):
        SocketV2Server(sessions)
    with pytest.raises(ValueError, match="AlexaServer"):
        Plain(sessions, lambda: NOON)


def test_no_skill_is_answered() -> None:
    mistrusted(Server(skill_ids=()).launch(), "another skill")


# ------------------------------------------------------------ every type of request


def intent(name: str, **slots: object) -> dict[str, Any]:
    return {"intent": {"name": name, "slots": {each: {"name": each, "value": slots[each]} for each in slots}}}


OF_AMAZON = {
    "Help": "help",
    "Fallback": "help",
    "Stop": "stop",
    "Cancel": "stop",
    "NavigateHome": "stop",
    "Yes": "yes",
    "No": "no",
    "Repeat": "repeat",
    "StartOver": "start over",
    "More": "more",
    "Next": "next",
    "Previous": "previous",
    "Pause": "pause",
    "Resume": "resume",
    "LoopOn": "loop on",
    "LoopOff": "loop off",
    "ShuffleOn": "shuffle on",
    "ShuffleOff": "shuffle off",
    "ScrollUp": "scroll up",
    "ScrollDown": "scroll down",
    "ScrollLeft": "scroll left",
    "ScrollRight": "scroll right",
    "PageUp": "page up",
    "PageDown": "page down",
    "NavigateSettings": "settings",
}
INPUTS: list[tuple[str, dict[str, Any], str]] = [
    ("LaunchRequest", {}, "#intro"),
    (SAY, intent("MessageIntent", text="What's up?"), "What's up?"),
    (SAY, intent("MessageIntent", text="  hi  "), "hi"),
    (SAY, intent("MessageIntent", text=""), "#silence"),
    (SAY, intent("MessageIntent"), "#silence"),
    (SAY, {"intent": {"name": "MessageIntent", "slots": {"text": {"name": "text"}}}}, "#silence"),
    (SAY, {}, "#silence"),
    (SAY, intent("BookTable"), "#BookTable"),
    (SAY, intent("Book.Table 2"), "#Book-Table-2"),
    (SAY, intent("BookTable", people="two", day="on Friday", room=None), "two on Friday"),
    (SAY, intent("BookTable", text="a table", day="on Friday"), "a table"),
    *[(SAY, intent(f"AMAZON.{name}Intent"), text) for name, text in OF_AMAZON.items()],
    ("Display.ElementSelected", {"token": "red"}, "red"),
    ("Display.ElementSelected", {}, "#touch"),
    ("Alexa.Presentation.APL.UserEvent", {"arguments": [1, None, "red", "blue"], "token": "t"}, "red"),
    ("Alexa.Presentation.APL.UserEvent", {"arguments": [], "token": "t"}, "t"),
    ("Alexa.Presentation.APL.UserEvent", {"arguments": {}}, "#touch"),
]


@pytest.mark.parametrize(("kind", "members", "text"), INPUTS, ids=range(len(INPUTS)))
def test_what_the_dialogue_hears(kind: str, members: dict[str, Any], text: str) -> None:
    server = Server()
    asked = server.ask(server.peer.request(kind, **members))
    assert asked.told() == ["Init", f"Input {text}"]
    name = members.get("intent", {}).get("name")
    assert [each.name for each in asked.input.classes] == ([name] if name else [])
    asked.turn.say("fine")
    asked.turn.finish()
    heard = server.hear(asked)
    assert (heard.speech, heard.listening) == ("fine", True)


def test_the_intents_are_the_hosts() -> None:
    intents = Intents(
        message="Anything",
        slot="all",
        texts={**INTENTS, "AMAZON.YesIntent": "ano", "Order": "objednat"},
        fulfils={"Order"},
    )
    server = Server(intents=intents)
    for sent, text in (
        (server.peer.intent("Anything", all="so"), "so"),
        (server.peer.intent("AMAZON.YesIntent"), "ano"),
        (server.peer.intent("Order", text="x"), "objednat"),
        (server.peer.intent("MessageIntent", text="x"), "x"),
        (server.peer.intent("MessageIntent"), "#MessageIntent"),
    ):
        assert server.ask(sent).told()[-1] == f"Input {text}"


NOTHING = [
    *("AudioPlayer.PlaybackStarted", "AudioPlayer.PlaybackFinished", "PlaybackController.NextCommandIssued"),
    *("AlexaSkillEvent.SkillEnabled", "Connections.Response", "SessionResumedRequest", "Dialog.API.Invoked"),
    *("GameEngine.InputHandlerEvent", "Alexa.Presentation.HTML.Message", "Novelty", "launchrequest", " "),
]


@pytest.mark.parametrize("in_session", [True, False], ids=["in a session", "outside"])
@pytest.mark.parametrize("kind", NOTHING)
def test_what_no_dialogue_hears(kind: str, in_session: bool) -> None:
    server = Server()
    server.peer.session_id, server.peer.attributes = ID, {"a": [1, {"b": None}]}
    asked = server.ask(server.peer.request(kind, in_session=in_session, token="t"))
    assert asked.told() == [f"Unknown {kind}", "Closed 1000"]
    (event, _) = asked.history
    assert isinstance(event, UnknownEvent)
    assert event.data["token"] == "t"
    kept = {"a": [1, {"b": None}]} if in_session else {}
    assert asked.tree == {"version": "1.0", "sessionAttributes": kept, "response": {}}
    assert not server.hear(asked).ended
    assert asked.machine.request is not None
    assert asked.machine.init is None
    assert asked.machine.session is None


@pytest.mark.parametrize(
    "kind",
    [
        *("LaunchRequest", SAY, "SessionEndedRequest", "Display.ElementSelected"),
        "Alexa.Presentation.APL.UserEvent",
    ],
)
def test_outside_of_a_session_nobody_speaks(kind: str) -> None:
    server = Server()
    asked = server.ask(server.peer.request(kind, in_session=False))
    assert asked.told() == [f"Unknown {kind}", "Closed 1000"]
    server.hear(asked)


@pytest.mark.parametrize("in_session", [True, False], ids=["in a session", "outside"])
def test_what_alexa_did_not_like(in_session: bool) -> None:
    server = Server()
    error = {"type": "INVALID_RESPONSE", "message": "no such card"}
    asked = server.ask(
        server.peer.request("System.ExceptionEncountered", in_session=in_session, error=error, cause={})
    )
    assert asked.told() == ["Error INVALID_RESPONSE: no such card", "Closed 1000"]
    assert asked.history[0] == ErrorEvent(text="INVALID_RESPONSE: no such card", source="Alexa")
    server.hear(asked)


@pytest.mark.parametrize(
    "kind", [None, "", 5, ["LaunchRequest"], "Input", "Init", "InitEvent", "Error", "Log"]
)
def test_a_type_that_no_request_has(kind: object) -> None:
    server = Server()
    asked = server.ask(server.peer.request("x", type=kind))
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]
    assert asked.fault.path == "request.type"


@pytest.mark.parametrize("in_session", [True, False], ids=["in a session", "outside"])
def test_whether_the_skill_could_do_something(in_session: bool) -> None:
    server = Server(intents=Intents(fulfils={"BookTable"}))
    for name, verdict in (("BookTable", "YES"), ("MessageIntent", "NO"), ("AMAZON.HelpIntent", "NO")):
        sent = server.peer.request(
            "CanFulfillIntentRequest", in_session=in_session, **intent(name, day="Friday", people=None)
        )
        asked = server.ask(sent)
        assert asked.told() == ["Closed 1000"]
        each = {"canUnderstand": verdict, "canFulfill": verdict}
        assert asked.answer == {
            "canFulfillIntent": {"canFulfill": verdict, "slots": {"day": each, "people": each}}
        }
        server.hear(asked)


# ------------------------------------------------------------ the end of a session

ERROR = {"type": "INVALID_RESPONSE", "message": "too long"}


@pytest.mark.parametrize("reason", ["USER_INITIATED", "ERROR", "EXCEEDED_MAX_REPROMPTS"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_end_of_a_session(reason: str, known: bool) -> None:
    server = Server()
    session = server.converse() if known else None
    server.peer.session_id = ID
    error = ERROR if reason == "ERROR" else None
    asked = server.ask(server.peer.end(reason, error))
    before = ["Error INVALID_RESPONSE: too long"] if error else []
    assert asked.told() == [*before, "Init", "Input stop"]
    assert asked.machine.request is not None
    assert asked.machine.request.reason == reason
    assert asked.turn.session_id == ID
    assert session in (None, asked.turn.session)
    session = asked.turn.session
    asked.turn.say("Bye!")
    asked.turn.finish(items=(ResponseItem(image="https://h/i.png"),), sleep_timeout=60)
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.tree == {"version": "1.0", "sessionAttributes": {}, "response": {}}
    assert asked.told() == [f"Unsent {2 if known else 1} response", "Closed 1000"]
    assert server.hear(asked).ended
    assert (session.ended, session.asleep, session.data) == (True, False, {})


def test_at_the_end_of_a_session_silence_is_no_loss() -> None:
    server = Server()
    server.converse()
    asked = server.ask(server.peer.end())
    asked.turn.say("#card")
    asked.turn.finish()
    assert asked.told() == ["Init", "Input stop", "Closed 1000"]


ENDS: dict[str, tuple[Callable[[Asked], object], str]] = {
    "interrupt": (lambda asked: asked.turn.interrupt(), "TurnInterrupted 2 host"),
    "give way": (lambda asked: asked.machine.give_way(), "TurnInterrupted 2 input"),
    "deadline": (lambda asked: asked.server.advance(7), "TurnInterrupted 2 unanswered"),
    "lost": (lambda asked: asked.lost(), "TurnInterrupted 2 lost"),
    "close": (lambda asked: asked.machine.close(), "TurnInterrupted 2 closed"),
    "fail": (lambda asked: asked.machine.fail("no"), "TurnInterrupted 2 error"),
    "turn.fail": (lambda asked: asked.turn.fail("no"), "Unsent 2 response"),
}


@pytest.mark.parametrize("how", list(ENDS))
def test_a_session_that_was_left_is_over_however_its_last_turn_ends(how: str) -> None:
    server = Server()
    session = server.converse()
    asked = server.ask(server.peer.end())
    asked.turn.session.data["x"] = 1
    asked.turn.say("Bye!")
    end, told = ENDS[how]
    end(asked)
    assert asked.told()[:3] == ["Init", "Input stop", told]
    assert (session.ended, session.data) == (True, {})
    if how not in ("lost", "close"):
        assert asked.answer == {}


# ------------------------------------------------------------ who speaks


@pytest.mark.parametrize(
    ("locale", "found", "original"),
    [
        ("cs-CZ", "cs-CZ", "cs-CZ"),
        ("es-419", "es-419", "es-419"),
        ("de_at", "de-AT", "de_at"),
        (None, "en-US", None),
        ("", "en-US", None),
        (5, "en-US", None),
        ([], "en-US", None),
        ("no language!", "en", "no language!"),  # D-81
    ],
    ids=str,
)
def test_the_language_of_the_user(locale: object, found: str, original: str | None) -> None:
    server = Server()
    asked = server.ask(server.peer.request("LaunchRequest", locale=locale))
    assert (asked.init.config.locale, asked.input.locale) == (found, found)
    assert getattr(asked.input.locale, "original", None) in (original, "en-US")
    assert asked.init.config.silence_timeout == 0


def test_who_speaks() -> None:
    server = Server()
    assert server.launch().init == InitEvent(
        key=KEY,
        device_id=DEVICE,
        token="alexa:test-token",
        config=server.requests[0].init.config,
    )


def test_the_token_is_new_with_each_request() -> None:
    server = Server()
    for token in ("one", None, "two"):
        server.peer.access_token = token
        asked = server.say()
        assert asked.init.token == (None if token is None else f"alexa:{token}")
        asked.turn.say("fine")
        asked.turn.finish()
        server.hear(asked)


def test_a_device_that_is_not_named() -> None:
    server = Server()
    server.peer.device_id = None
    assert server.launch().init.device_id == "test-user"
    server.peer.user_id = ""
    assert server.say().init.device_id == "anonymous"


def test_the_host_names_the_device() -> None:
    seen: list[AlexaRequest] = []

    def device_id(request: AlexaRequest) -> str:
        seen.append(request)
        return "" if request.user_id == "nobody" else f"of {request.user_id}"

    server = Server(device_id=device_id)
    asked = server.launch()
    assert asked.init.device_id == "of test-user"
    assert seen == [asked.machine.request]
    assert asked.turn.session.device_id == "of test-user"
    server.peer.user_id = "nobody"
    assert server.say().init.device_id == "nobody"


def test_the_skill_is_named_in_the_context_or_else_in_the_session() -> None:
    server = Server(skill_ids=None)
    tree = whole_request()
    del tree["session"]["application"]
    assert server.post(tree).init.key == KEY
    tree["session"]["application"] = {"applicationId": "of the session"}
    mistrusted(Server(skill_ids=None).post(tree), "two skills")
    mistrusted(Server(skill_ids={SKILL, "of the session"}).post(tree), "two skills")
    del tree["context"]
    assert server.post(tree).init.key == "alexa:of the session"
    del tree["session"]["application"]
    assert server.post(tree).init.key == "alexa:"


@pytest.mark.parametrize("name", ["a\nb", "\x00", "\x1b[0m", "\x7f"], ids=ascii)
@pytest.mark.parametrize("member", ["application_id", "device_id"])
def test_a_name_that_would_be_something_else_in_a_log(member: str, name: str) -> None:
    server = Server(skill_ids=None)
    setattr(server.peer, member, name)
    asked = server.launch()
    assert asked.sent() == ["400", "JSON", "END"]
    assert asked.told() == ["Fault RemoteProtocolError", "Closed 1000"]


def test_what_the_device_tells_of_itself() -> None:
    server = Server(interfaces=ECHO_SHOW)
    server.peer.location = Location(lat=50.1, lng=14.4, acc=8.0)
    attributes = server.launch().input.attributes
    assert attributes == {
        "clientType": "amazon-alexa:1.0",
        "clientScreen": True,
        "clientLocation": "lat=50.1,lng=14.4,acc=8.0",
    }
    server.peer.location = Location(lat=1.0, lng=2.0)
    assert server.say().input.attributes["clientLocation"] == "lat=1.0,lng=2.0"
    assert Server().launch().input.attributes == {"clientType": "amazon-alexa:1.0"}


def test_the_host_turns_somebody_away() -> None:
    """In words: a status would only say that the skill has a problem."""
    server = Server(accept=False)
    asked = server.launch()
    asked.machine.fail("Please log in & <try> again.")
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.told() == ["Init", "Closed 1000"]
    heard = server.hear(asked)
    assert (heard.speech, heard.ended) == ("Please log in & <try> again.", True)
    assert (asked.machine.init, asked.machine.session) == (None, None)
    assert server.sessions is not None
    assert len(server.sessions) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_the_host_refuses_somebody_with_a_status(status: int) -> None:
    asked = Server(accept=False).launch()
    asked.machine.fail("no", status=status)
    assert asked.sent() == [str(status), "JSON", "END"]
    assert asked.told() == ["Init", "Closed 1000"]
    assert asked.tree == {"error": "no"}


def test_nothing_is_said_to_somebody_who_has_left() -> None:
    server = Server()
    server.converse()
    asked = server.ask(server.peer.end(), accept=False)
    asked.machine.fail("no")
    assert asked.answer == {}
    server.hear(asked)


def test_what_is_fit_for_alexa_is_for_the_host_to_say() -> None:
    server = Server(
        interfaces=ECHO_SHOW,
        base_url="https://cdn.example/",
        title="Tales",
        reprompt="Are you there?",
        answer_limits=AlexaLimits(speech=60),
    )
    asked = server.launch()
    asked.turn.finish(items=(ResponseItem(text="Once upon a time. There was a dragon.", image="/i.png"),))
    heard = server.hear(asked)
    assert (heard.image, heard.reprompt) == ("https://cdn.example/i.png", "Are you there?")
    assert heard.speech == "Once upon a time. There was a dragon."
    asked = server.say()
    asked.turn.say("Once upon a time. There was a dragon. It had three heads.")
    asked.turn.finish(items=(ResponseItem(video="/v.mp4"), ResponseItem(text="#card", code='{"text":"x"}')))
    heard = server.hear(asked)
    assert heard.speech == "Once upon a time. There was a dragon."
    assert heard.video == "https://cdn.example/v.mp4"
    assert heard.card == {"type": "Simple", "title": "Tales", "content": "x"}
    assert [(each.number, each.part) for each in asked.unsent] == [(2, "speech")]
    assert "60" in asked.unsent[0].reason
    assert asked.told()[-2:] == ["Unsent 2 speech", "Closed 1000"]


# ------------------------------------------------------------ session attributes, directives


def test_session_attributes_come_back() -> None:
    server = Server()
    asked = server.launch()
    assert asked.machine.attributes == {}
    asked.machine.attributes["game"] = {"level": 1, "names": ["Ann"]}
    asked.turn.say("Hello!")
    asked.turn.finish()
    server.hear(asked)
    asked = server.say()
    assert asked.machine.attributes == {"game": {"level": 1, "names": ["Ann"]}}
    asked.machine.attributes = {"other": None}
    asked.turn.interrupt()
    assert asked.tree["sessionAttributes"] == {"other": None}
    server.hear(asked)
    asked = server.say()
    asked.machine.fail("no")
    assert asked.tree["sessionAttributes"] == {}  # the device has ended the session


def test_the_dialogue_reaches_them_by_its_turn() -> None:
    asked = Server().launch()
    channel = asked.turn.channel
    assert isinstance(channel, AlexaServer)
    assert channel is asked.machine


def test_directives_of_the_host() -> None:
    server = Server(interfaces=ECHO_SHOW)
    asked = server.launch()
    play = {"type": "AudioPlayer.Play", "audioItem": {"stream": {"url": "https://h/a.mp3", "token": "t"}}}
    asked.machine.directives += [play, MappingProxyType({"type": "Novelty", "list": (1, 2)})]
    asked.turn.finish(items=(ResponseItem(text="Listen!", image="https://h/i.png"),), session_ended=True)
    assert asked.answer["directives"] == [play, {"type": "Novelty", "list": [1, 2]}]
    assert server.hear(asked).ended


def _deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"x": tree}
    return tree


def _endless() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    tree["x"] = tree
    return tree


UNSENDABLE: dict[str, tuple[object, object]] = {
    "an object": ({"x": object()}, []),
    "a set": ({"x": {1}}, []),
    "a time": ({"x": NOON}, []),
    "a number as a name": ({1: 2}, []),
    "infinity": ({"x": float("inf")}, []),
    "a great number": ({"x": 2**64}, []),
    "half a letter": ({"x": "\ud800"}, []),
    "half a letter in a name": ({"\ud800": 1}, []),
    "deep": (_deep(400), []),
    "deeper": (_deep(5000), []),
    "endless": (_endless(), []),
    "no attributes": (5, []),
    "none": (None, []),
    "directives that are none": ({}, 5),
    "a directive that is a text": ({}, ["x"]),
    "a directive that is a list": ({}, [[1]]),
    "a directive with an object": ({}, [{"type": "X", "x": object()}]),
    "a directive with half a letter": ({}, [{"type": "\udfff"}]),
    "deep directives": ({}, [_deep(400)]),
}


@pytest.mark.parametrize("what", list(UNSENDABLE))
@pytest.mark.parametrize("travels", [False, True], ids=["here", "travelling"])
def test_what_cannot_be_sent_is_left_out_and_told(what: str, travels: bool) -> None:
    attributes, directives = UNSENDABLE[what]
    for how in ("finish", "fail", "deadline", "interrupt", "fail in words", "second request"):
        server = Server(travelling=travels)
        asked = server.launch()
        asked.turn.say("fine")
        asked.machine.attributes, asked.machine.directives = attributes, directives  # type: ignore[assignment]
        match how:
            case "finish":
                asked.turn.finish()
            case "fail":
                asked.turn.fail("sorry")
            case "deadline":
                server.advance(7)
            case "interrupt":
                asked.turn.interrupt()
            case "second request" if not travels:
                server.say()
            case _:
                asked.machine.fail("sorry")
        assert asked.sent() == ["200", "JSON", "END"]
        assert asked.tree["sessionAttributes"].keys() <= {"flowstorm"}
        assert "directives" not in asked.answer
        if how in ("finish", "fail", "deadline"):
            assert "fine" in asked.heard.speech
            assert "Unsent 1 session attributes and directives" in asked.told()


def test_attributes_that_are_too_much_are_told() -> None:
    server = Server()
    asked = server.launch()
    asked.machine.attributes["x"] = "x" * 30_000
    asked.turn.say("fine")
    asked.turn.finish()
    assert "Unsent 1 response" in asked.told()


# ------------------------------------------------------------ sessions in memory


def test_what_a_response_set_is_remembered() -> None:
    server = Server()
    phrases = (ExpectedPhrase(text="yes"),)
    server.converse(locale="cs-CZ", expected_phrases=phrases, stt_mode=SttMode.DUPLEX)
    session = server.say().turn.session
    assert (session.locale, session.expected_phrases, session.stt_mode) == ("cs-CZ", phrases, SttMode.DUPLEX)


def test_a_session_sleeps_and_wakes() -> None:
    server = Server()
    session = server.converse(session_ended=True, sleep_timeout=60)
    assert (session.asleep, session.ended, server.peer.session_id) == (True, False, ID)
    server.advance(59)
    asked = server.say()
    assert (asked.turn.session, asked.turn.number, session.asleep) == (session, 2, False)
    asked.turn.finish(items=(ResponseItem(text="x"),), sleep_timeout=60)
    server.advance(60)
    asked = server.say()
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)
    assert asked.turn.session is not session


def test_a_session_is_forgotten_after_a_while() -> None:
    server = Server(keeping={"keep_for": 100.0})
    session = server.converse()
    server.advance(99)
    assert server.converse() is session
    server.advance(100)
    assert server.converse() is not session


def test_a_session_ends() -> None:
    server = Server()
    asked = server.launch()
    session = asked.turn.session
    asked.turn.finish(items=(ResponseItem(text="Bye!"),), session_ended=True)
    assert server.hear(asked).ended
    assert (session.ended, asked.machine.session_id) == (True, None)
    assert server.launch().turn.session_id == "test-session-2"


@pytest.mark.parametrize("sent", ["say", "end"])
def test_an_ended_session_that_alexa_goes_on_with_begins_anew(sent: str) -> None:
    """The device decides when a video plays; and an answer that Alexa does not like ends it once more."""
    server = Server(interfaces=ECHO_SHOW)
    asked = server.launch()
    before = asked.turn.session
    asked.turn.finish(items=(ResponseItem(video="https://h/v.mp4"),), session_ended=True)
    heard = server.hear(asked)
    assert (heard.ended, heard.video, before.ended) == (False, "https://h/v.mp4", True)
    asked = server.ask(server.peer.end("ERROR", ERROR)) if sent == "end" else server.say()
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)
    assert asked.turn.session is not before
    if sent == "say":
        asked.turn.say("fine")
        asked.turn.finish()
        server.hear(asked)
        assert server.say().turn.session is asked.turn.session


def substitute(device_id: str) -> str:
    """Where the conversation of a device goes on that names the session of another one."""
    return hashlib.sha256(f"{ID}\n{KEY}\n{device_id}".encode()).hexdigest()


def test_nobody_joins_the_session_of_another() -> None:
    server = Server()
    mine = server.converse()
    server.peer.device_id = "other"
    theirs = server.converse()
    assert (theirs.session_id, theirs.device_id, theirs.turns) == (substitute("other"), "other", 1)
    assert server.converse() is theirs
    server.peer.device_id = DEVICE
    assert server.say().turn.session is mine
    server.peer.device_id = "other"
    server.converse(session_ended=True)
    server.peer.session_id = ID
    again = server.converse()
    assert (again.session_id, again.turns) == (theirs.session_id, 1)
    assert again is not theirs


def test_nobody_takes_the_id_of_a_session_that_is_just_beginning() -> None:
    server = Server()
    mine = server.launch()
    server.peer.device_id = "other"
    asked = server.say()
    assert (asked.turn.session_id, mine.turn.over) == (substitute("other"), False)
    server.say("more")
    assert (asked.turn.over, mine.turn.over) == (True, False)


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("amzn1.echo-api.session.0000-11aa", "amzn1.echo-api.session.0000-11aa"),
        ("x" * 256, "x" * 256),
        *[(strange, None) for strange in ("x" * 257, "a b", "č", "\n", "\x7f")],
    ],
    ids=range(7),
)
def test_alexa_names_the_session(named: str, kept: str | None) -> None:
    server = Server()
    server.peer.session_id = named
    session = server.converse()
    assert session.session_id == kept or (kept is None and set(session.session_id) <= set(string.hexdigits))
    assert server.converse() is session
    assert Session.restore(session.snapshot()).session_id == session.session_id


def test_a_session_without_a_name_is_of_one_turn() -> None:
    server = Server()
    server.peer.session_id = ""
    assert server.converse().session_id == "s1"
    assert server.converse().session_id == "s2"


@pytest.mark.parametrize("name", ["other", ID, "a b"])
def test_the_host_cannot_name_a_session(name: str) -> None:
    asked = Server().launch()
    refused(asked, lambda: asked.machine.rename_session(name))


# ------------------------------------------------------------ sessions that the host stores


def stored(**kw: Any) -> Server:
    return Server(stored=True, **kw)


def begun(server: Server, *, sent: Sent | None = None) -> Asked:
    """A request whose turn runs; its session is new."""
    return server.ask(sent or server.peer.say("hello")).provide(None).forget()


def test_a_stored_session_from_its_beginning() -> None:
    server = stored()
    asked = server.launch()
    assert asked.told() == ["Init", f"SessionNeed {ID}"]
    assert asked.need == SessionNeed(session_id=ID, key=KEY, device_id=DEVICE)
    assert asked.machine.next_event() is Control.NEED_ANSWER
    assert (asked.machine.session_id, asked.due_in()) == (None, None)
    asked.provide(None)
    assert asked.told() == ["Input #intro"]
    asked.turn.session.data["name"] = "Ann"
    asked.turn.say("Hello!")
    asked.turn.finish(locale="cs-CZ")
    assert (asked.told(), asked.sent()) == ([STORED], [])
    kept = Session.restore(asked.need.snapshot)
    assert (kept.session_id, kept.key, kept.device_id) == (ID, KEY, DEVICE)
    assert (kept.turns, kept.data, kept.locale) == (1, {"name": "Ann"}, "cs-CZ")
    asked.provide(asked.need.snapshot)
    assert (asked.sent(), asked.told()) == (["200", "JSON", "END"], ["Closed 1000"])
    assert server.hear(asked).speech == "Hello!"
    assert server.sessions is not None
    assert len(server.sessions) == 0
    asked = server.say()
    asked.provide(kept.snapshot())
    assert asked.told()[-1] == "Input hello"
    assert (asked.turn.number, asked.turn.session.data) == (2, {"name": "Ann"})
    asked.turn.finish(sleep_timeout=60)
    assert asked.told() == [f"StoreNeed {ID} 60"]
    assert Session.restore(asked.need.snapshot).asleep


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (snapshot(key="alexa:other"), []),
        (snapshot(device_id="other"), []),
        (snapshot(session_id="other"), []),
        (snapshot(session_id="other", ended=True), []),
        *[(garbage, ["Fault RemoteProtocolError"]) for garbage in (b"", b"garbage", snapshot()[:-1])],
        (NEWER, None),
        (snapshot(turns=-1), None),
        (snapshot(turns=2**64 - 1), None),
    ],
    ids=[
        "key",
        "device",
        "id",
        "other end",
        "empty",
        "garbage",
        "cut",
        "newer",
        "less than nothing",
        "too many",
    ],
)
def test_what_is_stored_is_not_theirs(found: bytes, fault: list[str] | None) -> None:
    faults = ["Fault RemoteProtocolError"] if fault is None else fault
    asked = stored().launch().forget()
    asked.provide(found)
    assert asked.told() == [*faults, f"SessionNeed {substitute(DEVICE)}"]
    asked.provide(None)
    assert asked.told() == ["Input #intro"]
    assert (asked.turn.session_id, asked.turn.number) == (substitute(DEVICE), 1)
    again = stored().launch().provide(found).forget()
    again.provide(snapshot(session_id=substitute(DEVICE), turns=1, data={"a": 1}))
    assert (again.turn.session.data, again.turn.number) == ({"a": 1}, 2)
    again = stored().launch().provide(found).forget()
    again.provide(found)
    assert again.told() == [*faults, "Input #intro"]
    assert (again.turn.session_id, again.turn.number) == (substitute(DEVICE), 1)


def test_a_stored_session_that_has_ended_begins_anew() -> None:
    asked = stored().launch().forget()
    asked.provide(snapshot(ended=True, turns=5))
    assert asked.told() == ["Input #intro"]
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)
    asked.turn.finish()
    assert asked.told() == [STORED]
    assert not Session.restore(asked.need.snapshot).ended


def test_a_session_without_a_name_is_stored_under_a_new_one() -> None:
    server = stored()
    server.peer.session_id = ""
    assert server.say().told() == ["Init", "SessionNeed s1"]


def test_a_session_cannot_be_loaded() -> None:
    for status in (None, 500):
        asked = stored().launch()
        asked.machine.fail("the store is down", status=status)
        assert asked.sent() == [str(status or 503), "JSON", "END"]
        assert asked.tree == {"error": "the store is down"}


def test_a_session_cannot_be_stored() -> None:
    for status in (None, 500):
        asked = begun(stored())
        asked.turn.say("fine")
        asked.turn.finish()
        asked.machine.fail("the store is down", status=status)
        assert asked.sent() == [str(status or 503), "JSON", "END"]
        assert asked.told() == [STORED, "Closed 1000"]
        assert asked.tree == {"error": "the store is down"}


def test_somebody_else_has_taken_the_session() -> None:
    asked = begun(stored())
    asked.turn.say("fine")
    asked.turn.finish()
    asked.provide(None)
    assert asked.sent() == ["200", "JSON", "END"]
    assert asked.heard.speech == ""


@pytest.mark.parametrize("how", ["finish", "turn.fail", "fail", "end"])
def test_the_end_of_a_session_is_stored(how: str) -> None:
    server = stored()
    if how == "end":
        server.peer.session_id = ID
        asked = begun(server, sent=server.peer.end())
    else:
        asked = begun(server)
    asked.turn.session.data["x"] = object()  # which could not be stored, but is forgotten
    match how:
        case "finish":
            asked.turn.finish(session_ended=True)
        case "turn.fail":
            asked.turn.fail("no")
        case "fail":
            asked.machine.fail("no")
        case _:
            asked.turn.finish()
    kept = Session.restore(asked.need.snapshot)
    assert (kept.ended, kept.data) == (True, {})
    asked.provide(b"")
    assert asked.sent() == ["200", "JSON", "END"]


@pytest.mark.parametrize("how", ["finish", "interrupt", "give way", "deadline"])
def test_a_dialogue_leaves_what_cannot_be_stored(how: str) -> None:
    server = stored()
    asked = begun(server)
    asked.turn.session.data["x"] = object()
    match how:
        case "finish":
            refused_as(asked, asked.turn.finish, "cannot be stored")
            asked.turn.session.data.clear()
            asked.turn.finish()
            assert asked.told() == [STORED]
            return
        case "interrupt":
            asked.turn.interrupt()
        case "give way":
            asked.machine.give_way()
        case _:
            server.advance(7)
    assert asked.sent() == ["503", "JSON", "END"]
    assert asked.told()[-1] == "Closed 1000"
    assert "cannot be stored" in asked.tree["error"]


def refused_as(asked: Asked, call: Callable[[], object], text: str) -> None:
    """The call raises, and changes nothing."""
    before = asked.everything()
    with pytest.raises(LocalProtocolError, match=text):
        call()
    assert asked.everything() == before


@pytest.mark.parametrize("where", ["loading", "loading, and nobody there", "storing"])
def test_the_transport_goes_while_a_session_is_moved(where: str) -> None:
    server = stored(accept=where == "loading")
    asked = server.launch(accept=where != "loading, and nobody there")
    if where == "storing":
        asked.provide(None).turn.finish()
    if where == "loading, and nobody there":
        asked.machine.receive_eof()
        asked.machine.ready()
        asked.step()
        assert asked.told() == ["Init", "Closed 1006"]
        return
    need = asked.need
    asked.lost()
    assert asked.told()[-1] == "Closed 1006"
    refused(asked, lambda: asked.machine.provide(need, None), TooLateError)


# ------------------------------------------------------------ sessions that travel


def travelling(**kw: Any) -> Server:
    return Server(travelling=True, **kw)


def packed(server: Server) -> Session:
    """The session as it is on its way."""
    return Session.restore(b64decode(server.peer.attributes["flowstorm"]))


def test_a_session_travels() -> None:
    server = travelling()
    asked = server.launch()
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)
    asked.turn.session.data["name"] = "Ann"
    asked.machine.attributes["mine"] = 1
    asked.turn.say("Hello!")
    asked.turn.finish(locale="cs-CZ", stt_mode=SttMode.DUPLEX)
    server.hear(asked)
    assert server.peer.attributes.keys() == {"flowstorm", "mine"}
    found = packed(server)
    assert (found.session_id, found.key, found.device_id) == (ID, KEY, DEVICE)
    assert (found.turns, found.data) == (1, {"name": "Ann"})
    assert (found.locale, found.stt_mode) == ("cs-CZ", SttMode.DUPLEX)
    for number in range(2, 6):
        asked = server.say()
        assert asked.machine.attributes == {"mine": 1}
        assert (asked.turn.session_id, asked.turn.number) == (ID, number)
        assert asked.turn.session.data == {"name": "Ann"} | ({"n": number - 1} if number > 2 else {})
        asked.turn.session.data["n"] = number
        asked.turn.say("fine")
        asked.turn.finish()
        server.hear(asked)
    asked = server.say()
    asked.turn.finish(items=(ResponseItem(text="Bye!"),), session_ended=True)
    assert asked.tree["sessionAttributes"] == {"mine": 1}
    assert server.hear(asked).ended


def test_a_session_travels_under_its_own_name() -> None:
    server = travelling()
    asked = server.launch()
    asked.machine.attributes["flowstorm"] = "mine"
    asked.turn.say("fine")
    asked.turn.finish()
    server.hear(asked)
    assert packed(server).turns == 1


def test_a_travelling_session_sleeps() -> None:
    server = travelling()
    server.converse(sleep_timeout=60)
    assert packed(server).asleep
    asked = server.say()
    assert (asked.turn.number, asked.turn.session.asleep) == (2, False)


@pytest.mark.parametrize("how", ["unknown", "can fulfill", "error"])
def test_a_session_travels_past_what_no_dialogue_hears(how: str) -> None:
    server = travelling()
    server.converse()
    before = server.peer.attributes
    if how == "unknown":
        server.hear(server.ask(server.peer.request("Novelty")))
        assert server.peer.attributes == before
    elif how == "can fulfill":
        server.ask(server.peer.can_fulfill("X"))
    else:
        asked = server.say()
        asked.machine.fail("no")
        assert asked.tree["sessionAttributes"] == {}


@pytest.mark.parametrize("how", ["interrupt", "deadline"])
def test_a_session_travels_on_when_its_turn_is_cut(how: str) -> None:
    server = travelling()
    server.converse()
    asked = server.say()
    asked.turn.session.data["x"] = 1
    asked.turn.say("fine")
    if how == "interrupt":
        asked.turn.interrupt()
    else:
        server.advance(7)
    server.peer.attributes = asked.tree["sessionAttributes"]
    assert (packed(server).turns, packed(server).data) == (2, {"x": 1})


TOO_MUCH: dict[str, Callable[[dict[str, Any]], object]] = {
    "too large": lambda data: data.update(x="x" * 20_000),
    "huge": lambda data: data.update(x="x" * 200_000),
    "no JSON": lambda data: data.update(x=object()),
    "endless": lambda data: data.update(x=data),
}


@pytest.mark.parametrize("what", list(TOO_MUCH))
def test_a_session_that_cannot_travel(what: str) -> None:
    server = travelling()
    server.converse()
    before = server.peer.attributes
    for how in ("interrupt", "deadline", "give way", "turn.fail", "end", "fail", "finish"):
        server.peer.session_id, server.peer.attributes = ID, before
        asked = server.say()
        TOO_MUCH[what](asked.turn.session.data)
        asked.turn.say("fine")
        match how:
            case "finish":
                refused_as(asked, asked.turn.finish, "cannot")
                asked.turn.session.data.clear()
                asked.turn.finish()
                server.hear(asked)
                assert packed(server).turns == 2
                continue
            case "interrupt":
                asked.turn.interrupt()
            case "give way":
                asked.machine.give_way()
            case "deadline":
                server.advance(7)
            case "turn.fail":
                asked.turn.fail("sorry")
            case "fail":
                asked.machine.fail("sorry")
            case _:
                asked.turn.finish(session_ended=True)
        heard = server.hear(asked)
        spoken = {"turn.fail": "fine sorry", "deadline": "fine", "end": "fine", "fail": "sorry"}
        assert heard.speech == spoken.get(how, "")
        if how in ("interrupt", "deadline", "give way"):
            assert asked.tree["sessionAttributes"] == before  # as it was before
        else:
            assert asked.tree["sessionAttributes"] == {}


def fill(session: Session, size: int) -> None:
    """Let a session's data be as large as its snapshot may be."""
    session.data["x"] = "x" * 1000
    session.data["x"] = "x" * (1000 + size - len(session.snapshot()))
    assert len(session.snapshot()) == size


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"locale": "cs-CZ"},
        {"stt_mode": SttMode.DUPLEX},
        {"expected_phrases": (ExpectedPhrase(text="yes"),)},
        {"sleep_timeout": 5},
    ],
    ids=lambda members: "".join(members),
)
def test_a_session_that_just_fits(members: dict[str, Any]) -> None:
    """It travels as the Response leaves it, or the host hears of it."""
    most = 12 * 1024
    for size in (*range(most - 64, most, 7), most, most + 1):
        server = travelling()
        asked = server.launch()
        fill(asked.turn.session, size)
        asked.turn.say("fine")
        try:
            asked.turn.finish(**members)
        except LocalProtocolError:
            assert size > most - 64
            assert asked.sent() == []
            asked.turn.interrupt()
        else:
            assert size <= most
            server.hear(asked)
            assert packed(server).turns == 1
            assert len(packed(server).snapshot()) <= most
        SERVERS.remove(server)
        server.finish()


def test_the_answer_leaves_room_for_the_session() -> None:
    card = ResponseItem(text="#card", code=json.dumps({"title": "t", "text": "y" * 7000}))
    ways: list[dict[str, Any]] = [
        {"expected_phrases": [ExpectedPhrase(text="x" * 100)] * 85},
        {"session_ended": True},
        {},
    ]
    for members in ways:
        server = travelling()
        asked = server.launch()
        if "expected_phrases" not in members:
            fill(asked.turn.session, 12 * 1024)
        asked.turn.say("So it goes on. " * 500)
        asked.turn.say(card)
        asked.turn.finish(**members)
        heard = server.hear(asked)
        assert len(heard.speech) > 7000
        ends = "session_ended" in members
        assert [each.part for each in asked.unsent] == ([] if ends else ["card"])
        assert ends or packed(server).turns == 1


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "%%%%", "AAAA", "č" * 4, "\ud7ff", "A" * 40_000),
        b64encode(b"garbage!").decode(),
        b64encode(snapshot()[:-1]).decode(),
        b64encode(snapshot(turns=-1)).decode(),
        b64encode(NEWER).decode(),
    ],
    ids=range(11),
)
def test_a_session_that_was_tampered_with_on_its_way(value: str) -> None:
    server = travelling()
    server.peer.session_id, server.peer.attributes = ID, {"flowstorm": value, "mine": 1}
    asked = server.say()
    assert asked.told() == ["Fault RemoteProtocolError", "Init", "Input hello"]
    assert asked.fault.path == "session.attributes.flowstorm"
    assert (asked.turn.session_id, asked.turn.number) == (ID, 1)
    assert asked.machine.attributes == {"mine": 1}
    asked.turn.say("fine")
    asked.turn.finish()
    server.hear(asked)
    assert packed(server).turns == 1


@settings(max_examples=examples(40), deadline=None)
@given(json_values() | st.binary(max_size=60).map(lambda data: b64encode(data).decode()))
def test_anything_may_have_travelled(value: object) -> None:
    server = travelling()
    server.peer.session_id, server.peer.attributes = ID, {"flowstorm": value}
    asked = server.say()
    assert asked.told()[-1] == "Input hello"
    assert asked.turn.session_id == ID
    SERVERS.remove(server)


@pytest.mark.parametrize("value", [None, 5, [], {"x": 1}, True], ids=str)
def test_what_is_no_text_has_not_travelled(value: object) -> None:
    server = travelling()
    server.peer.session_id, server.peer.attributes = ID, {"flowstorm": value}
    assert server.say().told() == ["Init", "Input hello"]


@pytest.mark.parametrize("members", [{"device_id": "other"}, {"key": "other"}], ids=["device", "key"])
def test_the_session_of_another_has_travelled(members: dict[str, Any]) -> None:
    server = travelling()
    found = snapshot(turns=7, data={"secret": 1}, **members)
    server.peer.session_id, server.peer.attributes = ID, {"flowstorm": b64encode(found).decode()}
    asked = server.say()
    assert (asked.turn.number, asked.turn.session.data) == (1, {})


@pytest.mark.parametrize("members", [{"session_id": "other"}, {"ended": True}], ids=["id", "ended"])
def test_another_session_of_theirs_has_travelled(members: dict[str, Any]) -> None:
    server = travelling()
    found = snapshot(turns=7, data={"secret": 1}, **members)
    server.peer.session_id, server.peer.attributes = ID, {"flowstorm": b64encode(found).decode()}
    asked = server.say()
    assert (asked.turn.session_id, asked.turn.number, asked.turn.session.data) == (ID, 1, {})


@pytest.mark.parametrize("how", ["finish", "interrupt", "deadline", "fail"])
def test_the_end_of_a_travelling_session(how: str) -> None:
    server = travelling()
    server.converse()
    asked = server.ask(server.peer.end())
    assert asked.turn.number == 2
    match how:
        case "finish":
            asked.turn.finish()
        case "interrupt":
            asked.turn.interrupt()
        case "deadline":
            server.advance(7)
        case _:
            asked.machine.fail("no")
    assert asked.tree == {"version": "1.0", "sessionAttributes": {}, "response": {}}


# ------------------------------------------------------------ a second request of a session (D-68)


@pytest.mark.parametrize("said", [True, False], ids=["said", "silent"])
@pytest.mark.parametrize("how", ["say", "end"])
def test_a_second_request_interrupts_the_first(how: str, said: bool) -> None:
    server = Server()
    first = server.launch()
    if said:
        first.turn.say("Once upon a time …")
    session = first.turn.session
    second = server.ask(server.peer.end()) if how == "end" else server.say("stop it")
    assert first.told() == ["Init", "Input #intro", "TurnInterrupted 1 input", "Closed 1000"]
    assert first.sent() == ["200", "JSON", "END"]
    assert first.heard.speech == ""
    refused(first, lambda: first.turn.say("there was"), TooLateError)
    assert second.told() == ["Init", f"Input {'stop' if how == 'end' else 'stop it'}"]
    assert (second.turn.session, second.turn.number) == (session, 2)


def test_a_second_request_while_the_host_has_not_accepted_the_first() -> None:
    server = Server(accept=False)
    first = server.launch()
    second = server.say(accept=True)
    assert second.told() == ["Init", "Input hello"]
    first.machine.ready()
    assert first.told() == ["Init", "Input #intro"]
    assert second.told() == ["TurnInterrupted 1 input", "Closed 1000"]
    assert first.turn.number == 2


def test_a_second_request_that_is_not_heard_interrupts_nobody() -> None:
    server = Server()
    first = server.launch()
    for sent in (server.peer.request("Novelty"), server.peer.can_fulfill("X"), (HEAD, b"{")):
        assert server.ask(sent).closed
    refusing = server.say(accept=False)
    refusing.machine.fail("no", status=401)
    assert (first.turn.over, first.told()) == (False, ["Init", "Input #intro"])


def test_requests_of_others_do_not_collide() -> None:
    server = Server(skill_ids=None)
    first = server.launch()
    for member, value in (("session_id", "other"), ("device_id", "other"), ("application_id", "other")):
        before = getattr(server.peer, member)
        setattr(server.peer, member, value)
        assert server.say().told()[-1] == "Input hello"
        setattr(server.peer, member, before)
    assert not first.turn.over
    server.peer.session_id = ""
    nameless = [server.say(), server.say()]
    assert [each.turn.over for each in nameless] == [False, False]


def test_a_second_request_waits_while_the_session_of_the_first_is_loaded() -> None:
    server = stored()
    first = server.launch()
    second = server.say()
    assert (first.told(), second.told()) == (["Init", f"SessionNeed {ID}"], ["Init"])
    assert second.due_in() == 1
    server.advance(0.9)
    first.provide(None)
    assert first.told() == ["Input #intro", "TurnInterrupted 1 input", STORED]
    assert second.told() == [f"SessionNeed {ID}"]
    kept = first.need.snapshot
    first.provide(kept)
    second.provide(kept)
    assert second.told() == ["Input hello"]
    assert second.turn.number == 2


def test_a_second_request_does_not_wait_for_ever() -> None:
    server = stored()
    first = server.launch()
    second = server.say()
    server.advance(1)
    assert second.told() == ["Init", "Fault RemoteProtocolError", "Closed 1000"]
    assert second.sent() == ["409", "JSON", "END"]
    first.provide(None)
    assert first.told()[-1] == "Input #intro"


def test_a_third_request_is_refused_at_once() -> None:
    server = stored()
    first, second, third = server.launch(), server.say(), server.say()
    assert third.sent() == ["409", "JSON", "END"]
    assert third.told() == ["Init", "Fault RemoteProtocolError", "Closed 1000"]
    second.lost()
    fourth = server.say()
    first.provide(None)
    assert first.told()[-2:] == ["TurnInterrupted 1 input", STORED]
    assert fourth.told() == ["Init", f"SessionNeed {ID}"]


@pytest.mark.parametrize("how", ["lost", "fail", "close"])
def test_a_second_request_gets_the_place_when_the_first_goes(how: str) -> None:
    server = stored()
    first, second = server.launch(), server.say()
    if how == "lost":
        first.lost()
    elif how == "fail":
        first.machine.fail("the store is down")
    else:
        first.machine.close()
    assert second.told() == ["Init", f"SessionNeed {ID}"]


@pytest.mark.parametrize("how", ["lost", "fail", "close"])
def test_a_request_that_waits_goes(how: str) -> None:
    server = stored()
    first, second = server.launch(), server.say()
    if how == "lost":
        second.lost()
    elif how == "fail":
        second.machine.fail("no")
        assert second.heard.speech == "no"
    else:
        second.machine.close()
        assert second.status == 503
    assert second.closed
    first.provide(None)
    assert first.told()[-1] == "Input #intro"


def test_requests_may_queue_up() -> None:
    server = Server(queue_inputs=True)
    first = server.launch()
    server.advance(1)
    second = server.say()
    assert (second.told(), second.state, second.due_in()) == (["Init"], State.SLEEPING, None)
    server.advance(5)
    first.machine.give_way()
    assert not first.turn.over
    first.turn.say("Hello!")
    first.turn.finish()
    assert first.heard.speech == "Hello!"
    assert second.told() == ["Input hello"]
    assert (second.turn.number, second.due_in()) == (2, 2)


def test_a_queue_ends_when_alexa_waits_no_longer() -> None:
    server = Server(queue_inputs=True)
    first, second = server.launch(), server.say()
    first.turn.say("Hello!")
    server.advance(7)
    assert first.heard.speech == "Hello!"
    assert second.told()[-3:] == ["Input hello", "TurnInterrupted 2 unanswered", "Closed 1000"] or (
        second.due_in() == 0.001
    )
    server.advance(0.001)
    assert second.sent() == ["200", "JSON", "END"]


def test_travelling_sessions_know_nothing_of_each_other() -> None:
    server = travelling()
    first, second = server.launch(), server.say()
    assert (first.turn.over, second.turn.over) == (False, False)
    assert (first.turn.session_id, second.turn.session_id) == (ID, ID)


def test_a_host_gives_way_to_another_process() -> None:
    server = stored()
    asked = begun(server)
    asked.turn.say("fine")
    asked.machine.give_way()
    asked.machine.give_way()
    assert asked.told() == ["TurnInterrupted 1 input", STORED]
    asked.provide(b"")
    assert asked.heard.speech == ""


# ------------------------------------------------------------ a turn


def test_all_that_was_said_goes_out_at_once() -> None:
    server = Server()
    asked = server.launch()
    asked.turn.say("One.")
    asked.turn.say(ResponseItem(ssml="<speak>Two<break/></speak>"))
    asked.turn.say(ResponseItem(text="#unknown"))
    asked.turn.say("")
    assert asked.sent() == []
    asked.turn.finish(items=(ResponseItem(text="Three."),))
    assert asked.answer["outputSpeech"]["ssml"] == "<speak>One. Two<break/> Three.</speak>"
    assert asked.told()[-2:] == ["Unsent 1 unknown", "Closed 1000"]


def test_a_response_may_be_given_whole() -> None:
    asked = Server().launch()
    asked.turn.send(ResponseEvent(response=Response(items=(ResponseItem(text="fine"),), session_ended=True)))
    assert (asked.heard.speech, asked.heard.ended) == ("fine", True)


def test_an_answer_of_nothing_ends_the_session() -> None:
    """Alexa would not take it otherwise; the dialogue's session may go on."""
    asked = Server().launch()
    asked.turn.finish()
    assert asked.answer == {"shouldEndSession": True}
    assert not asked.turn.session.ended


@pytest.mark.parametrize("data", [b"audio", b""], ids=["audio", "nothing"])
def test_audio_is_no_part_of_an_answer(data: bytes) -> None:
    asked = Server().launch()
    refused(asked, lambda: asked.turn.say(data))
    refused(asked, lambda: asked.turn.send(BinaryEvent(data=data)))
    asked.turn.say(ResponseItem(audio="https://h/a.mp3"))
    asked.turn.finish()
    assert asked.answer["outputSpeech"]["ssml"] == '<speak><audio src="https://h/a.mp3"/></speak>'


def test_what_does_not_belong_to_a_turn() -> None:
    asked = Server().launch()
    turn: Any = asked.turn
    for event in (ReadyEvent(), ErrorEvent(text="x"), InputEvent(input=Input()), SessionEndEvent()):
        refused(asked, partial(turn.send, event))
    for call in (partial(turn.say, 5), partial(turn.finish, nonsense=1), partial(turn.finish, turn_id=5)):
        with pytest.raises((TypeError, ValueError)):
            call()
    asked.turn.say("fine")
    asked.turn.finish()
    assert asked.heard.speech == "fine"


def test_a_turn_fails() -> None:
    asked = Server().launch()
    asked.turn.say("Well …")
    asked.turn.fail("Something went wrong.")
    assert (asked.heard.speech, asked.heard.ended) == ("Well … Something went wrong.", True)
    assert asked.turn.session.ended
    assert asked.told() == ["Init", "Input #intro", "Closed 1000"]


@pytest.mark.parametrize("status", [None, 500])
def test_a_channel_fails_in_a_turn(status: int | None) -> None:
    asked = Server().launch()
    asked.turn.say("Well …")
    asked.machine.fail("Something went wrong.", status=status)
    assert asked.told()[2:] == ["TurnInterrupted 1 error", "Closed 1000"]
    assert (asked.heard.speech, asked.heard.ended) == ("Something went wrong.", True)
    assert asked.turn.session.ended


def test_a_channel_fails_while_it_waits_for_another_request() -> None:
    server = Server(queue_inputs=True)
    first, second = server.launch(), server.say()
    second.machine.fail("Too much.")
    assert (second.heard.speech, second.turns) == ("Too much.", [])
    assert not first.turn.over


def test_a_turn_is_interrupted_by_its_host() -> None:
    asked = Server().launch()
    asked.turn.say("Well …")
    asked.turn.interrupt("a reason")
    asked.turn.interrupt()
    assert asked.told()[2:] == ["TurnInterrupted 1 a reason", "Closed 1000"]
    assert asked.heard.speech == ""
    assert not asked.turn.session.ended


OVER: dict[str, Callable[[Asked], object]] = {
    "finish": lambda asked: asked.turn.finish(),
    "fail": lambda asked: asked.turn.fail("no"),
    "interrupt": lambda asked: asked.turn.interrupt(),
    "channel": lambda asked: asked.machine.fail("no"),
    "close": lambda asked: asked.machine.close(),
    "deadline": lambda asked: asked.server.advance(7),
    "lost": lambda asked: asked.lost(),
    "second": lambda asked: asked.server.say(),
}


@pytest.mark.parametrize("how", list(OVER))
def test_nothing_can_be_said_once_a_turn_is_over(how: str) -> None:
    asked = Server().launch()
    turn = asked.turn
    OVER[how](asked)
    assert turn.over
    for call in (
        lambda: turn.say("x"),
        lambda: turn.say(b"x"),
        lambda: turn.fail("x"),
        turn.finish,
        asked.machine.ready,
        lambda: asked.machine.fail("x"),
        asked.machine.begin,
        lambda: asked.machine.send(ReadyEvent()),
    ):
        refused(asked, call, TooLateError)
    turn.interrupt()
    asked.machine.give_way()
    asked.machine.close()
    assert (asked.told(), asked.sent()) == ([], [])


# ------------------------------------------------------------ time


def test_alexa_waits_from_its_request_on() -> None:
    server = signed()
    head, body = server.peer.launch()
    asked = server.open(head)
    assert (asked.told(), asked.due_in()) == (["CertificateNeed"], None)
    server.advance(1)
    asked.receive(body[:100])
    asked.provide(amazon().chain)
    server.advance(2)
    asked.receive(body[100:])
    server.advance(1)
    asked.receive(END)
    assert (asked.told(), asked.due_in()) == (["Init", "Input #intro"], 3)
    asked.turn.say("Once upon a time.")
    server.advance(2.5)
    asked.turn.say("There was a dragon.")
    assert (asked.told(), asked.due_in()) == ([], 0.5)
    server.advance(0.5)
    assert asked.told() == ["TurnInterrupted 1 unanswered", "Closed 1000"]
    assert asked.sent() == ["200", "JSON", "END"]
    heard = server.hear(asked)
    assert (heard.speech, heard.listening) == ("Once upon a time. There was a dragon.", True)
    refused(asked, asked.turn.finish, TooLateError)
    assert server.say().turn.number == 2


def test_nothing_was_said_in_time() -> None:
    server = Server()
    asked = server.launch()
    server.advance(7)
    assert asked.told()[2:] == ["TurnInterrupted 1 unanswered", "Closed 1000"]
    assert asked.heard.speech == ""


def test_what_cannot_be_said_in_time_is_told() -> None:
    server = Server(answer_limits=AlexaLimits(speech=40))
    asked = server.launch()
    asked.turn.say("Once upon a time. There was a dragon.")
    server.advance(7)
    assert asked.told()[2:] == ["TurnInterrupted 1 unanswered", "Unsent 1 speech", "Closed 1000"]
    assert asked.heard.speech == "Once upon a time."


def test_what_was_said_in_time_is_stored() -> None:
    server = stored()
    asked = begun(server)
    asked.turn.say("fine")
    asked.turn.session.data["x"] = 1
    server.advance(7)
    assert asked.told() == ["TurnInterrupted 1 unanswered", STORED]
    assert asked.state is State.LISTENING
    assert Session.restore(asked.need.snapshot).data == {"x": 1}
    asked.provide(b"")
    assert asked.heard.speech == "fine"


def test_a_turn_that_begins_too_late_has_no_time() -> None:
    server = stored()
    asked = server.launch()
    server.advance(60)
    asked.provide(None)
    assert (asked.told()[-1], asked.due_in()) == ("Input #intro", 0.001)
    server.advance(0.001)
    assert asked.told() == ["TurnInterrupted 1 unanswered", STORED]


def test_what_has_come_is_told_before_a_deadline() -> None:
    server = Server()
    asked = server.launch()
    asked.turn.say("fine")
    server.clock.advance(7)
    asked.turn.finish()
    assert asked.told()[2:] == ["Closed 1000"]
    asked = server.launch()
    server.clock.advance(7)
    asked.lost()
    assert asked.told()[2:] == ["TurnInterrupted 2 lost", "Closed 1006"]


@pytest.mark.parametrize("seconds", [None, 1.0, 60.0], ids=str)
def test_how_long_alexa_waits_is_the_hosts(seconds: float | None) -> None:
    assert Server(timeouts=Timeouts(alexa=seconds)).launch().due_in() == seconds


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_body_that_does_not_come_whole(pieces: int) -> None:
    server = Server()
    head, body = server.peer.launch()
    asked = server.open(head)
    for number in range(pieces):
        server.advance(2)
        asked.receive(body[number : number + 1])
        assert (asked.told(), asked.due_in()) == ([], 5 - 2 * number)
    server.advance(7 - 2 * pieces)
    assert asked.told() == ["Fault RemoteProtocolError"]
    assert asked.sent() == ["408", "JSON"]
    assert asked.due_in() == 5
    server.advance(5)
    assert (asked.sent(), asked.told()) == (["END"], ["Closed 1000"])


@pytest.mark.parametrize(
    ("body", "alexa", "seconds"),
    [(30.0, 7.0, 7.0), (3.0, 7.0, 3.0), (None, 7.0, 7.0), (30.0, None, 30.0), (None, None, None)],
)
def test_how_long_a_body_may_take(body: float | None, alexa: float | None, seconds: float | None) -> None:
    server = Server(timeouts=Timeouts(body=body, alexa=alexa))
    asked = server.open(HEAD)
    assert asked.due_in() == seconds
    if seconds is not None:
        server.advance(seconds)
        assert asked.sent() == ["408", "JSON"]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "half"])
def test_a_body_may_come_while_certificates_are_fetched(whole: bool) -> None:
    """What is there when they come is read before it is too late for the rest."""
    server = signed()
    head, body = server.peer.launch()
    asked = server.open(head, body[:100])
    if whole:
        asked.receive(body[100:], END)
    server.advance(20)
    assert (asked.told(), asked.sent(), asked.due_in()) == (["CertificateNeed"], [], None)
    asked.provide(amazon().chain)
    if whole:
        assert asked.told() == ["Init", "Input #intro"]
    else:
        assert (asked.told(), asked.sent()) == (["Fault RemoteProtocolError"], ["408", "JSON"])


def test_too_much_comes_while_certificates_are_fetched() -> None:
    server = signed(limits=Limits(queued_bytes=2000, body_bytes=2000))
    asked = server.open(server.peer.launch()[0])
    need = asked.need
    for _ in range(5):
        asked.machine.receive_data(b"x" * 1500)
    asked.step()
    assert asked.told() == ["CertificateNeed", "Fault LimitExceeded"]
    assert asked.sent() == ["413", "JSON"]
    refused(asked, lambda: asked.machine.provide(need, amazon().chain), TooLateError)


def test_a_refused_request_that_goes_on_and_on() -> None:
    server = Server(timeouts=Timeouts(drain=3.0))
    asked = server.open(RequestHead(method="GET", url="/alexa"))
    assert asked.due_in() == 3
    asked.receive(b"x" * 100)
    server.advance(3)
    assert (asked.sent(), asked.told()[-1]) == (["405", "JSON", "END"], "Closed 1000")
    asked.receive(b"x", END)
    assert (asked.sent(), asked.told()) == ([], [])


# ------------------------------------------------------------ words of the host, out of place


def _nothing(**kw: Any) -> Asked:
    return Server(**kw).open()


def _head(**kw: Any) -> Asked:
    return Server(**kw).open(HEAD)


def _half(**kw: Any) -> Asked:
    server = Server(**kw)
    head, body = server.peer.launch()
    return server.open(head, body[:50])


def _waiting(**kw: Any) -> Asked:
    server = Server(queue_inputs=True, **kw)
    server.launch()
    return server.say()


def _said(**kw: Any) -> Asked:
    asked = Server(**kw).launch()
    asked.turn.say("Well …")
    return asked


def _storing(**kw: Any) -> Asked:
    asked = stored(**kw).launch().provide(None)
    asked.turn.say("fine")
    asked.turn.finish()
    return asked


def _finished(**kw: Any) -> Asked:
    asked = Server(**kw).launch()
    asked.turn.finish()
    return asked


PLACES_OF_REQUESTS: dict[str, Callable[..., Asked]] = {
    "nothing": _nothing,
    "head": _head,
    "half": _half,
    "certificate": lambda **kw: signed(**kw).launch(),
    "init": lambda **kw: Server(accept=False, **kw).launch(),
    "loading": lambda **kw: stored(**kw).launch(),
    "waiting": _waiting,
    "turn": lambda **kw: Server(**kw).launch(),
    "said": _said,
    "storing": _storing,
    "refused": lambda **kw: Server(**kw).open(RequestHead(method="GET", url="/")),
    "over": _finished,
}
IN_TURN = ("turn", "said")
FAILING = {"fail", "send Error"}
LEGAL_WORDS = {
    **{where: set[str]() for where in ("nothing", "head", "half")},
    **dict.fromkeys(("certificate", "loading", "waiting", "storing", *IN_TURN), FAILING),
    "init": {*FAILING, "ready", "send Ready"},
}


def _words(asked: Asked) -> dict[str, Callable[[], object]]:
    machine = asked.machine
    return {
        "ready": machine.ready,
        "begin": machine.begin,
        "fail": lambda: machine.fail("no"),
        "refuse with a status that is none": lambda: machine.fail("no", status=200),
        "send Ready": lambda: machine.send(ReadyEvent()),
        "send Error": lambda: machine.send(ErrorEvent(text="no")),
        **{
            f"send {type(event).__name__}": partial(machine.send, event)
            for event in (
                *(SessionEndEvent(), UnknownEvent(data={"type": "x"}), BinaryEvent(data=b""), LogEvent()),
                *(BinaryEvent(data=b"x"), InputEvent(input=Input()), ResponseEvent(response=Response())),
                *(ResponseItemEvent(response_item=ResponseItem()), RecognizedInputEvent(input=Input())),
                *(InputAudioStreamOpenEvent(), ClosedEvent()),
            )
        },
        "provide": lambda: machine.provide(SessionNeed(session_id=ID, key=KEY, device_id=DEVICE), None),
        "rename": lambda: machine.rename_session("b"),
    }


@pytest.mark.parametrize("where", list(LEGAL_WORDS))
def test_a_word_that_is_out_of_place_changes_nothing(where: str) -> None:
    asked = PLACES_OF_REQUESTS[where]()
    for word, call in _words(asked).items():
        if word not in LEGAL_WORDS[where]:
            refused(asked, call)


@pytest.mark.parametrize("where", ["refused", "over"])
def test_a_word_that_comes_too_late(where: str) -> None:
    asked = PLACES_OF_REQUESTS[where]()
    for word, call in _words(asked).items():
        refused(asked, call, LocalProtocolError if word == "rename" else TooLateError)


@pytest.mark.parametrize("where", list(LEGAL_WORDS))
def test_a_word_that_is_in_place_is_heard(where: str) -> None:
    for word in LEGAL_WORDS[where]:
        asked = PLACES_OF_REQUESTS[where]()
        _words(asked)[word]()
        if "eady" in word:
            assert asked.told()[-1] == "Input #intro"
        else:
            status = {"certificate": 503, "loading": 503, "storing": 503}.get(where, 200)
            assert asked.status == status
            assert asked.closed


@pytest.mark.parametrize("how", ["eof", "close frame", "eof twice"])
@pytest.mark.parametrize("where", list(PLACES_OF_REQUESTS))
def test_the_transport_goes(where: str, how: str) -> None:
    asked = PLACES_OF_REQUESTS[where]().forget()
    if how == "close frame":
        asked.receive(Close(1001, "gone"))
    else:
        asked.lost()
    if how == "eof twice":
        asked.lost()
    code = 1001 if how == "close frame" else 1006
    cut = ["TurnInterrupted 1 lost"] if where in IN_TURN else []
    assert asked.told() == ([] if where == "over" else [*cut, f"Closed {code}"])
    assert asked.sent() == []
    assert asked.closed


@pytest.mark.parametrize("where", list(PLACES_OF_REQUESTS))
def test_the_host_closes(where: str) -> None:
    asked = PLACES_OF_REQUESTS[where]().forget()
    asked.machine.close(1001, "restarting")
    cut = ["TurnInterrupted 1 closed"] if where in IN_TURN else []
    match where:
        case "over":
            assert (asked.told(), asked.sent()) == ([], [])
        case "refused":
            assert (asked.told(), asked.sent()) == (["Closed 1000"], ["END"])
        case "nothing" | "storing":
            assert (asked.told(), asked.sent()) == (["Closed 1001"], ["Close 1001"])
        case _:
            assert (asked.told(), asked.sent()) == ([*cut, "Closed 1000"], ["503", "JSON", "END"])
            assert asked.tree == {"error": "restarting"}
    asked.machine.close()
    asked.machine.close()
    assert (asked.told(), asked.sent()) == ([], [])


AT_ONCE: dict[str, tuple[Callable[[Asked], object], list[str], list[str]]] = {
    "close": (lambda asked: asked.machine.close(), ["Closed 1000"], ["503", "JSON", "END"]),
    "fail": (lambda asked: asked.machine.fail("no"), ["Closed 1000"], ["200", "JSON", "END"]),
    "eof": (
        lambda asked: asked.machine.receive_eof(),
        ["Input #intro", "TurnInterrupted 1 lost", "Closed 1006"],
        [],
    ),
}


@pytest.mark.parametrize("how", list(AT_ONCE))
def test_what_happens_before_the_input_was_told(how: str) -> None:
    asked = Server(accept=False).launch().forget()
    asked.machine.ready()
    call, told, sent = AT_ONCE[how]
    call(asked)
    assert (asked.told(), asked.sent()) == (told, sent)


def test_a_close_without_a_word() -> None:
    asked = Server().launch()
    asked.machine.close()
    assert asked.tree["error"]


@pytest.mark.parametrize("how", ["close", "lost", "interrupt", "deadline"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_turn_that_comes_to_nothing_leaves_the_session(how: str, first: bool) -> None:
    server = Server()
    if not first:
        server.converse(sleep_timeout=60)
    asked = server.say()
    session = asked.turn.session
    session.data["x"] = 1
    OVER[how](asked)
    server.advance(61)  # it does not sleep any more
    asked = server.say()
    assert (asked.turn.session, asked.turn.number) == (session, 2 if first else 3)
    assert asked.turn.session.data == {"x": 1}


def test_an_error_says_what_would_be_legal() -> None:
    with pytest.raises(LocalProtocolError, match=r"Ready .* \(legal: receive_data\(RequestHead\)\)"):
        _nothing().machine.ready()
    with pytest.raises(LocalProtocolError, match="SessionEnded is not legal in Processing"):
        PLACES_OF_REQUESTS["turn"]().machine.send(SessionEndEvent())


def test_the_host_is_woken_for_what_it_does() -> None:
    server = Server(stored=True, signer=amazon(), accept=False)
    asked = server.launch()
    words: list[Callable[[], object]] = [
        lambda: asked.machine.provide(asked.need, amazon().chain),
        asked.machine.ready,
        lambda: asked.machine.provide(asked.need, None),
        lambda: asked.turns[-1].finish(),
        lambda: asked.machine.provide(asked.need, b""),
    ]
    for word in words:
        assert not asked.woken
        word()
        assert asked.woken
        server.settle()
    assert asked.closed


# ------------------------------------------------------------ any platform


class Plain(WebhookServer):
    """As little as a platform can be: a text is said, everything else is answered at once."""

    def _lacks(self) -> Need | None:
        assert self.head is not None
        named = self.head.header("X-Keys")
        return None if named is None else KeysNeed(url=named)

    def _learn(self, need: Need, value: bytes) -> None:
        if (need, value) != (KeysNeed(url="u"), b"good"):
            raise SignatureError("no keys")

    def _verify_head(self) -> None:
        assert self.head is not None
        if self.head.header("X-Stranger"):
            raise SignatureError("a stranger")

    def _verify(self, body: bytes) -> None:
        if b"stranger" in body:
            raise SignatureError("a stranger")

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        if not isinstance(tree, str):
            return b"{}"
        return InitEvent(key="k", device_id="d"), Input(transcript=Transcript(text=tree))

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], tuple[Unsent, ...]]:
        said = [each.text for each in response.items]
        return {"said": said, "ends": response.ends}, (Unsent("x", "y"),) if "x" in said else ()

    def _patience(self) -> float | None:
        return None

    @property
    def _proposed_session(self) -> str | None:
        return None


def plain_request(body: bytes, head: RequestHead = HEAD) -> tuple[Plain, list[str]]:
    machine = Plain(Sessions(), lambda: NOON)
    for piece in (head, body, END):
        machine.receive_data(piece)
    return machine, plain_events(machine)


def plain_events(machine: Plain) -> list[str]:
    told = []
    for event in machine.events():
        told.append(line(event))
        if isinstance(event, InitEvent):
            machine.ready()
    return told


@pytest.mark.parametrize(
    ("body", "told", "status", "answer"),
    [
        (b"[]", ["Closed 1000"], 200, b"{}"),
        (b'"stranger', ["Fault SignatureError", "Closed 1000"], 403, None),
        (b'"', ["Fault RemoteProtocolError", "Closed 1000"], 400, None),
    ],
    ids=["no turn", "stranger", "no JSON"],
)
def test_any_platform(body: bytes, told: list[str], status: int, answer: bytes | None) -> None:
    machine, events = plain_request(body)
    assert events == told
    head, data, end = machine.data_to_send()
    assert isinstance(head, ResponseHead)
    assert (head.status, head.header("Content-Type"), end) == (status, JSON, END)
    assert answer is None or data == answer


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (b"good", ["Init", "Input hello"]),
        (b"bad", ["Fault SignatureError", "Closed 1000"]),
        (None, ["Init", "Input hello"]),  # it can be verified without
    ],
)
def test_what_any_platform_needs(found: bytes | None, told: list[str]) -> None:
    machine, events = plain_request(b'"hello"', with_headers(("X-Keys", "u")))
    assert events == ["KeysNeed"]
    need = machine._question
    assert need == KeysNeed(url="u")
    assert isinstance(need, KeysNeed)
    machine.provide(need, found)
    assert plain_events(machine) == told


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without"])
def test_a_head_that_any_platform_does_not_trust(keys: bool) -> None:
    """The body is not waited for."""
    machine = Plain(Sessions(), lambda: NOON)
    machine.receive_data(with_headers(("X-Stranger", "yes"), *([("X-Keys", "u")] if keys else [])))
    if keys:
        need = machine.next_event()
        assert isinstance(need, KeysNeed)
        machine.provide(need, b"good")
    assert plain_events(machine) == ["Fault SignatureError"]
    head, _ = machine.data_to_send()
    assert isinstance(head, ResponseHead)
    assert head.status == 403


@pytest.mark.parametrize("how", ["finish", "fail", "interrupt", "channel"])
def test_a_turn_of_any_platform(how: str) -> None:
    machine, events = plain_request(b'"hello"')
    assert events == ["Init", "Input hello"]
    assert machine.next_deadline() is None
    turn = machine.turn
    turn.say("x")
    match how:
        case "finish":
            turn.finish()
            events, answer = ["Unsent 1 x", "Closed 1000"], {"said": ["x"], "ends": False}
        case "fail":
            turn.fail("sorry")
            events, answer = ["Unsent 1 x", "Closed 1000"], {"said": ["x", "sorry"], "ends": True}
        case "interrupt":
            turn.interrupt()
            events, answer = ["TurnInterrupted 1 host", "Closed 1000"], {"said": [], "ends": False}
        case _:
            machine.fail("sorry")
            events, answer = ["TurnInterrupted 1 error", "Closed 1000"], {"said": ["sorry"], "ends": True}
    assert [line(each) for each in machine.events()] == events
    _, data, _ = machine.data_to_send()
    assert isinstance(data, bytes)
    assert json.loads(data) == answer


# ------------------------------------------------------------ a conversation


def _tale(turn: Turn) -> None:
    """A dialogue that remembers."""
    data = turn.session.data
    match turn.text:
        case "#intro":
            turn.say("Welcome! What is your name?")
        case "stop":
            turn.finish(items=(ResponseItem(text=f"Bye, {data.get('name')}."),), session_ended=True)
            return
        case "#silence":
            turn.say("Are you there?")
        case "picture":
            turn.say(ResponseItem(text="Look!", image="https://h/i.png"))
        case "sound":
            turn.say(ResponseItem(text="Listen!", audio="https://h/a.mp3"))
        case "card":
            turn.say(ResponseItem(text="#card", code='{"title":"Tale","text":"of a dragon"}'))
        case "break":
            turn.fail("Something went wrong.")
            return
        case name if "name" not in data:
            data["name"] = name
            turn.say(f"Nice to meet you, {name}.")
        case other:
            data.setdefault("heard", []).append(other)
            turn.say(f"{data['name']} said: {' & '.join(data['heard'])}")
    turn.finish()


@pytest.mark.parametrize(
    ("where", "interfaces"),
    [("memory", ECHO), ("stored", FIRST_ECHO_SHOW), ("travelling", ECHO_SHOW)],
    ids=["memory", "stored", "travelling"],
)
def test_a_conversation(where: str, interfaces: Any) -> None:
    """Each answer is one that Alexa takes, and that Amazon's own library reads."""
    server = Server(
        stored=where == "stored",
        travelling=where == "travelling",
        signer=amazon(),
        interfaces=interfaces,
        title="Tales",
    )
    server.fetches = True
    store: dict[str, bytes] = {}
    peer = server.peer
    serializer: Any = DefaultSerializer()

    def hear(sent: Sent) -> Heard:
        asked = server.open()

        def act(event: Event) -> None:
            match event:
                case InputEvent():
                    _tale(asked.machine.turn)
                case SessionNeed():
                    asked.machine.provide(event, store.get(event.session_id))
                case StoreNeed():
                    store[event.session_id] = event.snapshot
                    asked.machine.provide(event, event.snapshot)

        asked.on_event = act
        asked.receive(*sent, END)
        assert asked.closed
        envelope = serializer.deserialize(asked.body.decode(), ResponseEnvelope)
        read: Any = serializer.serialize(envelope)
        assert read["response"] == asked.answer
        server.advance(1)
        return peer.take(asked.status, asked.body)

    for session in (1, 2):
        heard = hear(peer.launch())
        assert (heard.speech, heard.reprompt) == ("Welcome! What is your name?", "What is your name?")
        assert hear(peer.say("Žofie & <Bob>")).speech == "Nice to meet you, Žofie & <Bob>."
        assert hear(peer.say("one")).speech == "Žofie & <Bob> said: one"
        assert hear(peer.intent("Count", number="two")).speech == "Žofie & <Bob> said: one & two"
        assert hear(peer.say(None)).speech == "Are you there?"
        heard = hear(peer.say("picture"))
        assert (heard.speech, heard.image) == ("Look!", "https://h/i.png")
        assert (heard.card is None) is (interfaces is not ECHO)
        assert hear(peer.say("sound")).ssml == '<speak>Listen! <audio src="https://h/a.mp3"/></speak>'
        heard = hear(peer.say("card"))
        assert heard.card == {"type": "Simple", "title": "Tale", "content": "of a dragon"}
        assert hear(peer.request("Novelty")).speech == ""
        assert not hear(peer.request("AudioPlayer.PlaybackStarted", in_session=False)).ended
        assert hear(peer.help()).speech == "Žofie & <Bob> said: one & two & help"
        assert peer.session_id == f"test-session-{session}"
        if session == 1:
            heard = hear(peer.stop())
            assert (heard.speech, heard.ended) == ("Bye, Žofie & <Bob>.", True)
        else:
            assert hear(peer.end()) == Heard(body=_NOTHING, ended=True)
    heard = hear(peer.say("break"))
    assert (heard.speech, heard.ended) == ("Something went wrong.", True)


_NOTHING = {"version": "1.0", "sessionAttributes": {}, "response": {}}


# ------------------------------------------------------------ anything, in any order


class Anything:
    """A skill, a host that does what it is told, and two devices that do what they like.

    Whatever is said is a word of its own, so that it is known whose it is when it comes out.
    """

    def __init__(self, *, kept: str, queue: bool, prompt: bool, verifies: bool) -> None:
        self.server = Server(
            stored=kept == "stored",
            travelling=kept == "travelling",
            keeping={} if kept == "travelling" else {"most": 3, "keep_for": 40.0},
            signer=amazon() if verifies else None,
            queue_inputs=queue,
            accept=prompt,
            limits=Limits(message_bytes=3000, queued_bytes=4000),
        )
        self.peers = [
            self.server.peer,
            AlexaPeer(self.server.now, device_id="B", signer=self.server.peer.signer),
        ]
        self.names = itertools.count(1)
        self.words = (f"w{number}" for number in itertools.count(1))
        self.store: dict[str, bytes] = {}
        self.rest: dict[Asked, list[Message]] = {}
        self.named: dict[Asked, str | None] = {}
        self.said: dict[Turn, list[str]] = {}
        self.finished: set[Turn] = set()
        self.numbers: dict[int, list[int]] = {}
        self.sessions: list[Session] = []  # so that none of them is found again under the id of another

    # -------------------------------------------------------- the devices

    def ask(self, number: int) -> None:
        peer = self.peers[number % 7 == 0]
        if peer.session_id is None:
            peer.session_id = f"session-{next(self.names)}"
        head, body = (
            *(peer.launch, peer.stop, peer.end, lambda: peer.end("ERROR", ERROR)),
            *(lambda: peer.say("hello"),) * 7,
            *(lambda: peer.request("Novelty"), lambda: peer.request("Novelty", in_session=False)),
            *(lambda: peer.can_fulfill("X"), lambda: (with_headers(), b"{")),
            lambda: (with_headers(("X", "y" * 9000)), b"x" * 4000),
            lambda: (RequestHead(method="GET", url="/"), b""),
        )[number % 17]()
        self.server.peer = peer
        asked = self.server.open()
        self.named[asked] = peer.session_id
        asked.on_event = lambda event: self.observe(asked, event)
        at = number * 31 % (len(body) + 1)
        self.rest[asked] = [head, body[:at], body[at:], END]
        if number % 3:
            self.bring(asked, 3)

    def bring(self, asked: Asked, number: int) -> None:
        """What comes next of a request, or all of it."""
        rest = self.rest[asked]
        pieces = rest[:] if number % 2 else rest[:1]
        del rest[: len(pieces)]
        asked.receive(*pieces)

    def lost(self, asked: Asked, number: int) -> None:
        self.rest[asked].clear()
        if number % 3:
            asked.lost()
        else:
            asked.machine.receive_data(Close())
            asked.step()

    def take(self, number: int) -> None:
        """A device takes the answer to its last request."""
        peer = self.peers[number % 2]
        mine = [each for each in self.server.requests if each.peer.device_id == peer.device_id]
        if mine and mine[-1].closed and mine[-1].body and mine[-1].status == 200:
            session_id = peer.session_id
            peer.take(200, mine[-1].body)
            if session_id != self.named[mine[-1]]:
                peer.session_id = session_id

    # -------------------------------------------------------- the host

    def observe(self, asked: Asked, event: Event) -> None:
        if isinstance(event, InputEvent):
            turn = asked.machine.turn
            self.said[turn] = []
            self.sessions.append(turn.session)
            self.numbers.setdefault(id(turn.session), []).append(turn.number)
            assert turn.session.belongs_to(turn.init.key, turn.init.device_id)
            assert turn.session_id == self.named[asked]
        elif isinstance(event, FaultEvent):
            assert isinstance(event.error, RemoteProtocolError)

    def answer(self, asked: Asked, number: int) -> None:
        """What the machine stands still for; or a word that nobody waits for."""
        self.server.settle()
        need = asked.machine._question
        match need:
            case CertificateNeed():
                found = amazon("Somebody").chain if number % 11 == 10 else amazon().chain
                asked.machine.provide(need, found if number % 5 else None)
            case SessionNeed():
                known = self.store.get(need.session_id)
                asked.machine.provide(need, known if number % 4 else None)
            case StoreNeed():
                if number % 4:
                    self.store[need.session_id] = need.snapshot
                asked.machine.provide(need, need.snapshot if number % 4 else None)
            case _ if number % 5:
                asked.machine.ready()
            case _:
                asked.machine.fail("no", status=401 if number % 2 else None)

    def speak(self, asked: Asked, number: int) -> None:
        turn = asked.turns[-1] if asked.turns else None
        if turn is None:
            asked.machine.fail("failed")
            return
        data, machine = turn.session.data, asked.machine
        match number % 14:
            case 0 | 1 | 2:
                self.say(turn)
            case 3 | 4 | 5:
                self.finish_turn(turn)
            case 6:
                self.finish_turn(turn, session_ended=True)
            case 7:
                self.finish_turn(turn, sleep_timeout=20)
            case 8:
                turn.interrupt()
            case 9:
                word = next(self.words)
                turn.fail(word)
                self.said[turn].append(word)
                self.finished.add(turn)
            case 10:
                data["x"] = (object(), "x" * 20_000, 1)[number % 3]
            case 11:
                data.clear()
            case 12:
                machine.attributes["a"] = (object(), "\ud800", 1)[number % 3]
            case _:
                machine.directives = [({"type": "Novelty"}, 5)[number % 2]]  # type: ignore[list-item]

    def say(self, turn: Turn) -> None:
        word = next(self.words)
        turn.say(word)
        self.said[turn].append(word)

    def finish_turn(self, turn: Turn, **members: Any) -> None:
        word = next(self.words)
        turn.finish(items=(ResponseItem(text=word),), **members)
        self.said[turn].append(word)
        self.finished.add(turn)

    def decide(self, asked: Asked, number: int) -> None:
        machine = asked.machine
        (
            machine.give_way,
            machine.close,
            lambda: machine.fail("failed"),
            lambda: machine.rename_session("n"),
            lambda: machine.fail("failed", status=503),
            lambda: machine.close(1001, "restarting"),
            machine.begin,
        )[number % 7]()

    def time(self, number: int) -> None:
        self.server.advance((0.3, 1.0, 3.5, 7.0, 20.0, 31.0)[number % 6])

    def settle(self, number: int) -> None:  # noqa: ARG002
        self.server.settle()
        for each in self.server.requests:
            before = len(each.history), len(each.output)
            due = each.machine.next_deadline()
            assert due is None or (each.armed is not None and each.armed <= due)
            if due is None or due > self.server.clock.now:
                each.step()
                assert (len(each.history), len(each.output), each.woken) == (*before, False)

    # -------------------------------------------------------- doing it

    def do(self, what: str, which: int, number: int) -> None:
        if what in ("ask", "take", "time", "settle"):
            getattr(self, what)(number)
        elif self.server.requests:
            asked = self.server.requests[-1 - which % len(self.server.requests)]
            # What is too late or out of place is refused; nothing else may be raised.
            with suppress(LocalProtocolError):
                getattr(self, what)(asked, number)

    def check(self) -> None:
        """What holds at any time, between any two calls."""
        running = [each.machine for each in self.server.requests if each.machine._running is not None]
        if self.server.sessions is not None:
            assert all(each._meeting is not None and each._meeting.put is each for each in running)
            names = [each.session_id for each in running]
            assert len(names) == len(set(names)), "two turns of a session at once"
        for asked in self.server.requests:
            assert sum(isinstance(each, (bytes, ResponseHead)) for each in asked.output) in (0, 2)

    def finish(self) -> None:
        """Everybody does what is due, and time passes: nothing may hang."""
        for _ in range(4 + 4 * len(self.server.requests)):
            for asked in self.server.requests:
                if self.rest[asked] and not asked.closed:
                    self.bring(asked, 1)
                if asked.machine._question is not None:
                    with suppress(LocalProtocolError):
                        self.answer(asked, 1)
                if asked.turns and len(self.said[asked.turns[-1]]) % 2:
                    with suppress(LocalProtocolError):
                        self.finish_turn(asked.turns[-1])
            self.server.settle()
            self.check()
            if all(each.closed for each in self.server.requests):
                break
            self.server.advance(8)
            self.server.advance(31)
        assert [each for each in self.server.requests if not each.closed] == []
        for asked in self.server.requests:
            self.check_what_went_out(asked)
        for numbers in self.numbers.values():
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        SERVERS.remove(self.server)
        self.server.finish()

    def check_what_went_out(self, asked: Asked) -> None:
        """Nobody hears what was not said to him, or what was taken back."""
        if not asked.output or isinstance(asked.output[0], Close) or asked.status != 200:
            return
        heard = asked.heard  # it is one that Alexa takes
        words = heard.speech.split()
        turn = asked.turns[-1] if asked.turns else None
        left = asked.machine.request is not None and asked.machine.request.kind == "SessionEndedRequest"
        cut = next((each.reason for each in asked.history if isinstance(each, TurnInterruptedEvent)), None)
        lost = asked.machine._sessions.stored and not words  # somebody else had taken the session
        if left or turn is None:
            assert words in ([], ["no"], ["failed"])
        elif cut == "unanswered" or turn in self.finished:
            assert words == self.said[turn] or lost
        else:
            assert words in ([], ["failed"], ["no"])


ACTS = (
    *("ask", "ask", "ask", "ask", "bring", "bring", "lost", "take", "take", "time", "settle"),
    *("answer", "answer", "answer", "answer", *("speak",) * 8, "decide"),
)


@settings(max_examples=examples(40), deadline=None)
@given(
    kept=st.sampled_from(["memory", "memory", "stored", "travelling"]),
    queue=st.sampled_from([False, False, True]),
    prompt=st.sampled_from([True, True, False]),
    verifies=st.sampled_from([False, False, True]),
    acts=st.lists(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 3), st.integers(0, 300)), min_size=20, max_size=60
    ),
)
def test_anything_in_any_order(
    kept: str, queue: bool, prompt: bool, verifies: bool, acts: list[tuple[str, int, int]]
) -> None:
    world = Anything(kept=kept, queue=queue, prompt=prompt, verifies=verifies)
    for act in acts:
        world.do(*act)
        world.check()
    world.finish()

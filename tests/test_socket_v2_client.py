"""The client end of Socket V2, row by row of the specification's table, then rule by rule.

What is expected is written down here by hand; nothing is derived from the machine's own tables. The host is
as good as it must be and no better: its loop runs when something was received, when the machine asked to be
woken, and when the deadline that was armed last is due.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from flowstorm_channel.channel import Control, Exchange, Timeouts
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ConnectionFailedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    LogEvent,
    ReadyEvent,
    RecognizedEvent,
    RecognizedInputEvent,
    RequestEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    UnknownEvent,
    VoteEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.settings import Settings
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import (
    AudioFileType,
    ClientConfig,
    ExpectedPhrase,
    Input,
    LogEntry,
    Request,
    Response,
    SttEncoding,
    SttMode,
    Transcript,
)
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests import conversation
from tests.conversation import Frame, item, response, said

CLOSED, FAILED = State.CLOSED, State.FAILED
SLEEPING, LISTENING = State.SLEEPING, State.LISTENING
PROCESSING, RESPONDING, PAUSED = State.PROCESSING, State.RESPONDING, State.PAUSED
QUIET = (SLEEPING, LISTENING, FAILED)
PLAYING = (RESPONDING, PAUSED)
IN_A_TURN = (PROCESSING, *PLAYING)
STREAMING = "streaming"
"""Listening, with the microphone open."""
ASKING = (STREAMING, *IN_A_TURN)
"""Where a PUT runs."""
OPENED = (*QUIET, STREAMING, *IN_A_TURN)
Place = State | str

COOKIE = "flowstorm-session-id"
JSON, MSGPACK = "application/json", "application/msgpack"
ERROR: Frame = {"type": "Error", "text": "no"}
NEW: Frame = {"type": "Novelty", "x": 1}


def recognized(text: str = "yes", *, final: bool) -> Frame:
    return {"type": "RecognizedInput", "input": {"transcript": {"text": text}}, "isFinal": final}


INTERIM, FINAL = recognized("ye", final=False), recognized(final=True)
FAULTS: tuple[Frame | bytes, ...] = (
    *(said(), {"type": "Log", "entries": []}, {"type": "InputStreamClose"}),  # of a client
    *({"type": "Ready"}, {"type": "SessionStarted", "sessionId": "T"}, {"type": "SessionEnded"}),  # of V1
    *({"type": "Recognized", "text": "x"}, {"type": "InputAudioStreamOpen"}, {"type": "Vote", "vote": 1}),
    *({"type": "Binary", "data": "AAAA"}, {"type": "Binary", "data": ""}),
)
"""Events that no V2 server sends."""
GARBAGE: tuple[bytes, ...] = (
    *(b"oops", b"null\n", b"}", b'{"type": 3}', b"{}", b'{"type":"Response"}'),
    *(b'{"type":"Error","text":"\xff"}', b"<html>"),
)


# ------------------------------------------------------------ what a server answers


def cookie(value: str, attributes: str = "; Path=/; HttpOnly; SameSite=Lax") -> tuple[str, str]:
    return "Set-Cookie", f"{COOKIE}={value}{attributes}"


def head(status: int = 200, *headers: tuple[str, str], content_type: str | None = JSON) -> ResponseHead:
    kind = () if content_type is None else (("Content-Type", content_type),)
    return ResponseHead(status=status, headers=(*kind, *headers))


# ------------------------------------------------------------ lines


def line(what: Event | Message | Frame) -> str:
    """As `tests.conversation.line`, with the words of V2."""
    if isinstance(what, RecognizedInputEvent):
        return f"RecognizedInput {'final' if what.is_final else 'interim'} {what.text}"
    if isinstance(what, ErrorEvent) and what.source is not None:
        return f"Error {what.text} ({what.source})"
    if isinstance(what, dict) and what["type"] == "Binary":
        return f"audio {len(what['data']) if isinstance(what['data'], bytes) else what['data']}"
    return "END" if what is END else conversation.line(what)


# ------------------------------------------------------------ a host


class Wire:
    """One request in the hands of a transport."""

    def __init__(self, host: Host, exchange: Exchange) -> None:
        self.host = host
        self.exchange = exchange
        self.name = "?"
        self.output: list[Message] = []
        self.answered = False

    # -------------------------------------------------------- what the client sends

    @property
    def head(self) -> RequestHead:
        found = self.output[0]
        assert isinstance(found, RequestHead)
        return found

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; none may come twice."""
        names = [name.lower() for name, _ in self.head.headers]
        assert len(names) == len(set(names))
        return dict(zip(names, (value for _, value in self.head.headers), strict=True))

    @property
    def cookie(self) -> str | None:
        found = self.headers.get("cookie")
        return None if found is None else found.removeprefix(f"{COOKIE}=")

    @property
    def body(self) -> bytes:
        return b"".join(each for each in self.output if isinstance(each, bytes))

    @property
    def frames(self) -> list[Frame]:
        """The events in the body, as dicts."""
        return _frames(self.headers["content-type"], self.body)

    @property
    def ended(self) -> bool:
        return END in self.output

    @property
    def given_up(self) -> bool:
        return any(isinstance(each, Close) for each in self.output)

    def lines_of(self, message: Message) -> list[str]:
        match message:
            case RequestHead():
                return [self.name if self.cookie is None else f"{self.name} of {self.cookie}"]
            case bytes() if self.headers["content-type"] in (JSON, MSGPACK):
                frames = _frames(self.headers["content-type"], message)
                return [f"{self.name}: {line(each)}" for each in frames]
            case bytes():
                return [f"{self.name}: {len(message)} bytes"]
            case Close():
                return [f"{self.name}: Close"]
        return [f"{self.name}: {line(message)}"]

    # -------------------------------------------------------- what the transport brings

    def feed(self, *pieces: Message | Frame) -> Wire:
        """Hand pieces to the machine, and nothing more."""
        for piece in pieces:
            self.answered = self.answered or isinstance(piece, ResponseHead)
            self.exchange.receive_data(self.encoded(piece))
        return self

    def encoded(self, piece: Message | Frame) -> Message:
        if isinstance(piece, dict):
            packed = self.headers["accept"] == MSGPACK
            data: bytes = msgpack.packb(piece) if packed else json.dumps(piece).encode() + b"\n"
            return data
        return piece

    def receive(self, *pieces: Message | Frame) -> Wire:
        """Hand over pieces, and run the loop once behind them."""
        self.feed(*pieces)
        self.host.step()
        return self

    def answer(self, *pieces: Message | Frame) -> Wire:
        """The same, behind a head that gives the session S to a PUT."""
        if not self.answered:
            given = (cookie("S"),) if self.head.method == "PUT" else ()
            self.feed(head(200, *given, content_type=self.headers["accept"]))
        return self.receive(*pieces)

    def lost(self) -> None:
        self.exchange.receive_eof()
        self.host.step()


def _frames(content_type: str, body: bytes) -> list[Frame]:
    if content_type == MSGPACK:
        unpacker = msgpack.Unpacker()
        unpacker.feed(body)
        return list(unpacker)
    assert content_type == JSON
    assert not body or body.endswith(b"\n")
    frames = [json.loads(each) for each in body.splitlines()]
    for each in frames:
        if each["type"] == "Binary":
            each["data"] = len(each["data"]) * 3 // 4 - each["data"].count("=")
    return frames


class Host:
    """Drives one client; what it is told and what it sends pile up until they are taken."""

    def __init__(self, *, opened: bool = True, **kw: Any) -> None:
        self.clock = ManualClock()
        self.woken = False
        self.armed: float | None = None
        self.wires: list[Wire] = []
        self.events: list[Event] = []
        self.output: list[str] = []
        self.on_event: Callable[[Event], object] | None = None
        self.numbers: dict[str, int] = {}
        ids = (f"p{number}" for number in itertools.count(1))
        settings: dict[str, Any] = {"key": "K", "device_id": "D", "make_id": ids.__next__, **kw}
        url = settings.pop("url", "http://host/client")
        self.client = SocketV2Client(url, clock=self.clock, wake=self.wake, **settings)
        if opened:
            self.client.open()
            self.forget()

    def wake(self) -> None:
        self.woken = True

    # -------------------------------------------------------- the loop

    def step(self) -> None:
        """Take events first, then flush, then arm the timer: once, as every host does."""
        self.woken = False
        self.tell()
        self.flush()
        self.armed = self.client.next_deadline()
        self.settle()

    def settle(self) -> None:
        while self.woken:
            self.step()

    def tell(self) -> None:
        for event in self.client.events():
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)

    def flush(self) -> None:
        for exchange in self.client.exchanges:
            self.flush_one(exchange)

    def flush_one(self, exchange: Exchange) -> None:
        wire = next((each for each in self.wires if each.exchange is exchange), None)
        for message in exchange.data_to_send():
            if isinstance(message, RequestHead):
                assert wire is None, "a head comes once, and first"
                wire = Wire(self, exchange)
                number = self.numbers[message.method] = self.numbers.get(message.method, 0) + 1
                wire.name = f"{message.method} {number}"
                self.wires.append(wire)
            assert wire is not None, f"{message!r} without a head"
            assert not wire.given_up, "nothing follows a Close"
            assert not wire.ended or isinstance(message, Close), "only a Close may follow the end"
            wire.output.append(message)
            self.output += wire.lines_of(message)

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline that was armed."""
        until = self.clock.now + seconds
        self.settle()
        while self.armed is not None and self.armed <= until:
            due = self.armed
            self.clock.advance(max(0.0, due - self.clock.now))
            self.step()
            assert self.armed != due, "a deadline that is due does not happen"
        self.clock.advance(until - self.clock.now)
        self.settle()

    # -------------------------------------------------------- what there is to look at

    @property
    def state(self) -> State:
        return self.client.state

    @property
    def audio(self) -> Audio:
        return self.client.audio

    @property
    def place(self) -> Place:
        """The state, and whether audio flows."""
        if self.audio is Audio.CLOSED:
            return self.state
        assert (self.state, self.audio) == (LISTENING, Audio.OPEN)
        return STREAMING

    @property
    def put(self) -> Wire:
        self.settle()
        return next(each for each in reversed(self.wires) if each.head.method == "PUT")

    @property
    def get(self) -> Wire:
        self.settle()
        return next(each for each in reversed(self.wires) if each.head.method == "GET")

    def told(self) -> list[str]:
        """What was told since the last time."""
        self.settle()
        taken, self.events = self.events, []
        return [line(each) for each in taken]

    def told_error(self) -> FaultEvent | ErrorEvent:
        self.settle()
        return next(each for each in self.events if isinstance(each, (FaultEvent, ErrorEvent)))

    def sent(self) -> list[str]:
        """What was sent since the last time."""
        self.settle()
        taken, self.output = self.output, []
        return taken

    def forget(self) -> None:
        """Take all so far; requests that run are number 0 from now on."""
        self.told()
        self.sent()
        self.numbers.clear()
        for wire in self.wires:
            wire.name = f"{wire.head.method} 0"

    def everything(self) -> tuple[object, ...]:
        """All that a refused call, or a word without effect, must leave alone."""
        end = self.client
        return (
            *(end.state, end.audio, end.session_id, end.next_deadline(), end._turn, end.dropped, end.full),
            *(end.exchanges, end._outbox_bytes, tuple(end._open), frozenset(end._unplayed)),
        )

    def due_in(self) -> float | None:
        self.settle()
        return None if self.armed is None else self.armed - self.clock.now

    def at_rest(self) -> bool:
        """Nothing waits to be sent, nothing to be read."""
        return self.client._outbox_bytes == 0 == self.client._inbox_bytes


def client_in(place: Place, **kw: Any) -> Host:
    """A client that was brought somewhere; nothing of the way there is left to take.

    Session ``S`` is held everywhere but in Closed and Sleeping. From Processing on turn 2 is open; in
    Responding and Paused one part of it, playable, has come; the PUT runs. In Failed turn 2 was lost.
    """
    host = Host(opened=place is not CLOSED, **kw)
    if place in (CLOSED, SLEEPING):
        return host
    host.client.say("first")
    host.put.answer(response(), END)
    if host.audio is Audio.OPEN and place is not STREAMING:  # opened by itself
        host.client.interrupt()
    if place is STREAMING:
        host.client.open_microphone()
    elif place is not LISTENING:
        host.client.say("second")
    if place is FAILED:
        host.put.lost()
    if place in PLAYING:
        host.put.answer(item())
    if place is PAUSED:
        host.client.pause()
    host.forget()
    assert host.place == place
    assert host.client.session_id == "S"
    return host


def complete(place: State, *frames: Frame, **kw: Any) -> Host:
    """A client in Responding or Paused whose Response has come, with something still playing."""
    host = client_in(place, **kw)
    host.put.answer(*(frames or (response(),)), END)
    host.forget()
    assert host.state is place
    return host


def sleeping(seconds: int = 60, **kw: Any) -> Host:
    """A client whose session S sleeps."""
    host = client_in(PROCESSING, **kw)
    host.put.answer(response(sleepTimeout=seconds), END)
    host.forget()
    assert (host.state, host.client.session_id) == (SLEEPING, "S")
    return host


def refused(
    host: Host, call: Callable[[], object], error: type[LocalProtocolError] = LocalProtocolError
) -> None:
    """The call raises, says what is legal instead, and changes nothing."""
    before = host.everything()
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    if error is LocalProtocolError:
        assert caught.value.legal
    assert host.everything() == before
    assert (host.told(), host.sent()) == ([], [])


def ignored(host: Host, call: Callable[[], object]) -> None:
    """The call does nothing, and says nothing."""
    before = host.everything()
    call()
    assert host.everything() == before
    assert (host.told(), host.sent()) == ([], [])


def interrupted(place: Place, reason: str) -> list[str]:
    return [f"TurnInterrupted 2 {reason}"] if place in IN_A_TURN else []


def aborted(place: Place) -> list[str]:
    """What is put out when the requests that run there are given up."""
    if place is STREAMING:
        return ["PUT 0: Close", "GET 0: Close"]
    return ["PUT 0: Close"] if place in IN_A_TURN else []


# ------------------------------------------------------------ what a request says of its client


def test_a_text_is_a_request_of_its_own() -> None:
    host = Host()
    turn = host.client.say("hello")
    assert host.sent() == ["PUT 1 of p1", "PUT 1: Input hello", "PUT 1: END"]
    assert (host.state, host.client.turn, turn.number) == (PROCESSING, turn, 1)
    assert (host.put.head.method, host.put.head.url) == ("PUT", "http://host/client")
    assert host.put.headers == {
        "x-key": "K",
        "x-deviceid": "D",
        "accept-language": "en",
        "x-timezone": "Europe/Paris",
        "x-sttmode": "SingleUtterance",
        "x-sttmodel": "General",
        "x-sttsamplerate": "16000",
        "x-sttencoding": "LINEAR16",
        "x-ttsfiletype": "mp3",
        "x-videofile": "false",
        "x-sendresponseitems": "true",
        "accept": JSON,
        "content-type": JSON,
        "cookie": f"{COOKIE}=p1",
    }


def test_all_that_can_be_wanted_is_said() -> None:
    host = Host(
        config=ClientConfig(
            locale="cs_CZ", zone_id="Europe/Prague", stt_sample_rate=8000, tts_file_type=AudioFileType.WAV
        ),
        stt_model="Phone",
        stt_encoding=SttEncoding.MULAW,
        video_file=True,
        headers=[("X-Trace", "1")],
        token="T",
        session_id="S",
    )
    host.client.open_microphone()
    said_of_it = {
        "x-key": "K",
        "x-deviceid": "D",
        "accept-language": "cs-CZ",
        "x-timezone": "Europe/Prague",
        "x-sttmode": "SingleUtterance",
        "x-sttmodel": "Phone",
        "x-sttsamplerate": "8000",
        "x-sttencoding": "MULAW",
        "x-ttsfiletype": "wav",
        "x-videofile": "true",
        "x-sendresponseitems": "false",
        "accept": JSON,
        "cookie": f"{COOKIE}=S",
        "x-trace": "1",
        "authorization": "Bearer T",
    }
    assert host.put.headers == {**said_of_it, "content-type": JSON}
    assert host.get.headers == said_of_it


def test_headers_may_come_from_anywhere() -> None:
    host = Host(headers=(pair for pair in [("X-A", "1"), ("X-B", "2")]))
    for _ in range(2):
        host.client.say("x")
        assert host.put.headers["x-a"] + host.put.headers["x-b"] == "12"


def test_the_mode_is_the_only_one_there_is() -> None:
    host = Host(config=ClientConfig(stt_mode=SttMode.DEFAULT))
    host.client.say("x")
    assert host.put.headers["x-sttmode"] == "SingleUtterance"


@pytest.mark.parametrize(
    "config", [ClientConfig(stt_mode=SttMode.DUPLEX), ClientConfig(tts_file_type=AudioFileType.MULAW)]
)
def test_what_v2_cannot_do_cannot_be_wanted(config: ClientConfig) -> None:
    with pytest.raises(ValueError, match=r"^V2 knows neither SttMode\.DUPLEX nor AudioFileType\.MULAW$"):
        SocketV2Client("http://host/client", key="K", device_id="D", config=config)


@pytest.mark.parametrize(
    "settings",
    [
        {"key": "K\r\nX-DeviceId: other"},
        {"device_id": "D\n"},
        {"token": "T\r\nCookie: a=b"},
        {"stt_model": "General\x00"},
        {"headers": [("X-A", "b\r\nc: d")]},
        {"headers": [("X-A\n", "b")]},
        {"session_id": "S\r\nX-A: b"},
    ],
    ids=str,
)
def test_what_would_be_another_header_is_refused(settings: dict[str, Any]) -> None:
    problem = "a control character stands in what is to be a header|'S.*' cannot be a cookie"
    with pytest.raises(ValueError, match=f"^(?:{problem})$"):
        SocketV2Client("http://host/client", **{"key": "K", "device_id": "D", **settings})


@pytest.mark.parametrize(
    ("url", "before"),
    [("http://host/client", "http://host/client?"), ("http://host/client?a=b", "http://host/client?a=b&")],
)
def test_what_is_not_ascii_stands_in_the_address(url: str, before: str) -> None:
    host = Host(url=url, key="klíč & co", device_id="D", stt_model="č")
    host.client.open_microphone()
    for wire in (host.put, host.get):
        assert wire.head.url == f"{before}key=kl%C3%AD%C4%8D+%26+co&sttModel=%C4%8D"
        assert "x-key" not in wire.headers
        assert "x-sttmodel" not in wire.headers
        assert all(f"{name}{value}".isascii() for name, value in wire.head.headers)
        settings = Settings.read(wire.head)
        assert (settings.key, settings.device_id, settings.stt_model) == ("klíč & co", "D", "č")


def test_an_input_says_who_and_where() -> None:
    config = ClientConfig(locale="cs_CZ", zone_id="Europe/Prague")
    host = Host(config=config, attributes={"clientType": "web:1.0", "a": 1})
    host.client.say("x", attributes={"a": 2})
    (frame,) = host.put.frames
    assert frame["input"]["locale"] == "cs_CZ"
    assert frame["input"]["zoneId"] == "Europe/Prague"
    assert frame["input"]["attributes"] == {"clientType": "web:1.0", "a": 2}


def test_the_language_of_a_response_holds_for_the_requests_behind_it() -> None:
    """D-62."""
    host = client_in(PROCESSING)
    host.put.answer(response(locale="cs_CZ", expectedPhrases=[{"text": "ano"}]), END)
    assert host.client.expected_phrases == (ExpectedPhrase(text="ano"),)
    host.client.say("x")
    assert host.put.headers["accept-language"] == "cs-CZ"
    assert host.put.frames[0]["input"]["locale"] == "cs_CZ"
    host.put.answer(response(sessionEnded=True), END)
    host.client.open_microphone()
    assert host.put.headers["accept-language"] == host.get.headers["accept-language"] == "en"
    assert not host.client.expected_phrases


@pytest.mark.parametrize("locale", ["no such language", "x\r\nCookie: a=b", "č"])
def test_a_malformed_language_is_not_spoken(locale: str) -> None:
    host = client_in(PROCESSING)
    host.put.answer(response(locale=locale), END)
    host.client.say("x")
    assert host.put.headers["accept-language"] == "en"


def test_what_was_recognised_is_in_the_language_of_the_client() -> None:
    """D-71."""
    host = client_in(STREAMING, config=ClientConfig(locale="cs_CZ", zone_id="Europe/Prague"))
    host.put.answer(FINAL)
    (event,) = (each for each in host.events if isinstance(each, RecognizedInputEvent))
    assert (event.input.locale, event.input.zone_id) == ("cs-CZ", "Europe/Prague")


def test_a_response_cannot_set_a_mode_that_v2_has_not() -> None:
    host = client_in(PROCESSING)
    host.put.answer(response(sttMode="Duplex"), END)
    host.client.open_microphone()
    assert host.put.headers["x-sttmode"] == "SingleUtterance"
    host.put.answer(item())
    assert (host.place, host.put.ended) == (RESPONDING, True)


def test_msgpack() -> None:
    host = Host(msgpack=True)
    host.client.open_microphone()
    assert host.put.headers["content-type"] == host.put.headers["accept"] == MSGPACK
    assert host.get.headers["accept"] == MSGPACK
    host.client.send_audio(b"\x00\xff")
    assert host.put.frames == [{"type": "Binary", "data": b"\x00\xff"}]
    host.forget()
    host.get.receive(head(content_type=MSGPACK), INTERIM)
    host.client.say("x")
    packed = msgpack.packb(item()) + msgpack.packb(response())
    host.put.answer(packed[:10], packed[10:], END)
    assert host.sent() == ["PUT 0: InputStreamClose", "PUT 0: Input x", "PUT 0: END"]
    assert host.told() == [
        *("RecognizedInput interim ye", "SessionStarted S", "ResponseItem 'part'", "Response")
    ]


def test_a_server_may_answer_in_another_form() -> None:
    host = Host(msgpack=True)
    host.client.say("x")
    host.put.receive(head(), json.dumps(response("a")).encode(), END)
    assert (host.state, host.told()) == (RESPONDING, ["Response 'a'"])


# ------------------------------------------------------------ opening


def test_opening_asks_for_nothing() -> None:
    host = Host(opened=False)
    assert (host.state, host.sent()) == (CLOSED, [])
    host.client.open()
    assert (host.state, host.told(), host.sent()) == (SLEEPING, ["Ready"], [])
    ignored(host, host.client.open)


def test_opening_may_start_the_conversation() -> None:
    host = Host(opened=False, auto_start=True)
    host.client.open()
    assert host.sent() == ["PUT 1 of p1", "PUT 1: Input #intro", "PUT 1: END"]
    assert (host.state, host.told()) == (PROCESSING, ["Ready"])


def test_opening_does_not_start_while_a_session_goes_on() -> None:
    host = Host(opened=False, auto_start=True, session_id="S")
    host.client.open()
    assert (host.state, host.told(), host.sent()) == (SLEEPING, ["Ready"], [])
    host.client.say("x")
    assert host.sent()[0] == "PUT 1 of S"


@pytest.mark.parametrize("place", OPENED)
def test_opening_again_does_nothing(place: Place) -> None:
    host = client_in(place, auto_start=True)
    ignored(host, host.client.open)


def test_the_start_of_a_conversation() -> None:
    host = Host()
    host.client.start()
    assert host.sent() == ["PUT 1 of p1", "PUT 1: Input #intro", "PUT 1: END"]


def test_before_it_is_opened_nothing_else_is_legal() -> None:
    host = client_in(CLOSED)
    for call in (
        host.client.start,
        lambda: host.client.say("x"),
        lambda: host.client.send_recording(b"x"),
        host.client.open_microphone,
        host.client.log,
        lambda: host.client.send(LogEvent()),
        lambda: host.client.send(BinaryEvent(data=b"")),
    ):
        refused(host, call)
    for word in (
        *(host.client.pause, host.client.resume, host.client.close_microphone),
        *(host.client.interrupt, host.client.finish_playback, host.client.receive_eof),
    ):
        ignored(host, word)
    assert host.client.send_audio(b"1") is False
    assert host.client.dropped == 1


def test_a_host_that_runs_its_loop_after_all_it_does_need_not_be_woken() -> None:
    host = Host(opened=False)
    host.client.wake = None
    host.client.open()
    host.client.say("x")
    host.step()
    assert (host.told(), host.sent()) == (["Ready"], ["PUT 1 of p1", "PUT 1: Input x", "PUT 1: END"])


def test_one_loop_is_asked_for_once() -> None:
    host = Host(opened=False)
    wakes: list[int] = []
    host.client.wake = lambda: wakes.append(1)
    host.client.open()
    host.client.say("x")
    host.client.say("y")
    assert len(wakes) == 1
    host.step()
    host.client.interrupt()
    host.client.interrupt()
    assert len(wakes) == 2


# ------------------------------------------------------------ closing


@pytest.mark.parametrize("place", [CLOSED, *OPENED])
def test_the_host_closes(place: Place) -> None:
    host = client_in(place)
    turn = host.client._turn
    wires = tuple(host.wires)
    host.client.close()
    assert not host.client.closed
    host.tell()
    assert host.events[-1] == ClosedEvent(code=1000, reason="CLIENT_CLOSE")
    assert host.told() == [*interrupted(place, "closed"), "Closed 1000"]
    assert host.client.closed
    assert host.sent() == aborted(place)
    assert (host.place, host.client.session_id, host.due_in()) == (CLOSED, None, None)
    assert (host.client.exchanges, host.at_rest()) == ((), True)
    host.client.close()
    for wire in wires:
        wire.feed(head(), item(), END)
        wire.lost()
    host.client.receive_eof()
    host.advance(1000)
    assert (host.told(), host.sent()) == ([], [])
    for call in (
        *(host.client.open, host.client.start, host.client.open_microphone, host.client.log),
        lambda: host.client.send(LogEvent()),
        lambda: host.client.send_recording(b"x"),
    ):
        refused(host, call, TooLateError)
    for word in (
        *(host.client.pause, host.client.resume, host.client.close_microphone),
        *(host.client.interrupt, host.client.finish_playback),
    ):
        ignored(host, word)
    assert host.client.send_audio(b"1") is False
    if turn is not None:
        ignored(host, turn.finish_playback)
        ignored(host, turn.interrupt)


def test_what_had_arrived_is_not_told_after_the_close() -> None:
    host = client_in(PROCESSING)
    host.put.feed(head(), item(), response(), END)
    host.client.close()
    assert host.told() == ["TurnInterrupted 2 closed", "Closed 1000"]


def test_closing_before_anything_was_taken_asks_for_nothing() -> None:
    host = Host()
    host.client.say("x")
    host.client.close()
    assert (host.sent(), host.client.exchanges) == ([], ())


def test_a_log_before_the_close_goes_out() -> None:
    host = client_in(LISTENING)
    host.client.log(LogEntry(text="good-bye"))
    host.client.close()
    assert host.sent() == ["PUT 1 of S", "PUT 1: Log", "PUT 1: END"]
    host.put.receive(head(503), END)
    assert (host.told(), host.client.exchanges) == (["Closed 1000"], ())


# ------------------------------------------------------------ what the host does, cell by cell


def ways_to_speak() -> list[tuple[str, Callable[[SocketV2Client], object], list[str]]]:
    spoken = InputEvent(input=Input(transcript=Transcript(text="x")))
    return [
        ("say", lambda client: client.say("x"), ["Input x"]),
        ("send", lambda client: client.send(spoken), ["Input x"]),
        ("recording", lambda client: client.send_recording(b"12345"), ["5 bytes"]),
    ]


@pytest.mark.parametrize("place", [*QUIET, *IN_A_TURN])
@pytest.mark.parametrize(("way", "word", "body"), ways_to_speak(), ids=lambda each: str(each)[:9])
def test_saying_something(
    place: State, way: str, word: Callable[[SocketV2Client], object], body: list[str]
) -> None:
    host = client_in(place)
    word(host.client)
    whose = "PUT 1 of p1" if place is SLEEPING else "PUT 1 of S"
    assert host.sent() == [*aborted(place), whose, *(f"PUT 1: {each}" for each in body), "PUT 1: END"]
    assert host.told() == interrupted(place, "input")
    assert (host.state, host.client.turn.number) == (PROCESSING, {SLEEPING: 1, LISTENING: 2}.get(place, 3))
    assert way == "recording" or host.put.headers["content-type"] == JSON


def test_switching_to_text_in_mid_stream() -> None:
    host = client_in(STREAMING)
    host.client.say("x")
    assert host.sent() == ["PUT 0: InputStreamClose", "PUT 0: Input x", "PUT 0: END"]
    assert (host.place, host.told(), host.client.turn.number) == (PROCESSING, [], 2)
    host.put.answer(item("for x"), response(), END)
    host.get.receive(head(), END)
    assert (host.state, host.told()) == (RESPONDING, ["ResponseItem 'for x'", "Response"])


def test_a_recording_in_mid_stream_takes_the_place_of_the_stream() -> None:
    host = client_in(STREAMING)
    host.client.send_recording(b"123")
    assert host.sent() == [*aborted(STREAMING), "PUT 1 of S", "PUT 1: 3 bytes", "PUT 1: END"]
    assert (host.place, host.told()) == (PROCESSING, [])


@pytest.mark.parametrize("media_type", ["audio/wav", "audio/mpeg", "audio/basic"])
def test_a_recording_is_sent_as_it_is(media_type: str) -> None:
    host = Host()
    recording = bytes(range(256)) * 600
    host.client.send_recording(recording, media_type)
    assert (host.put.headers["content-type"], host.put.headers["accept"]) == (media_type, JSON)
    assert (host.put.body, host.put.ended) == (recording, True)
    assert [len(each) for each in host.put.output if isinstance(each, bytes)] == [65_536, 65_536, 22_528]
    assert host.told() == []  # neither a GET nor a stream
    assert len(host.wires) == 1
    assert host.at_rest()


def test_a_recording_is_answered() -> None:
    host = Host()
    turn = host.client.send_recording(b"x")
    assert host.put.headers["content-type"] == "audio/wav"
    assert host.client.turn is turn
    host.put.answer(FINAL, item(), response(), END)
    assert host.told() == [
        *("SessionStarted S", "RecognizedInput final yes", "ResponseItem 'part'", "Response")
    ]
    assert host.client.turn is turn
    turn.finish_playback()
    assert (host.state, turn.over) == (LISTENING, True)


@pytest.mark.parametrize(
    ("recording", "media_type"), [(b"", "audio/wav"), (b"x", "audio/ogg"), (b"x", JSON), (b"x", "")]
)
@pytest.mark.parametrize("place", OPENED)
def test_what_is_no_recording(place: Place, recording: bytes, media_type: str) -> None:
    host = client_in(place)
    refused(host, lambda: host.client.send_recording(recording, media_type))


@pytest.mark.parametrize(
    ("place", "word", "text"),
    [
        (
            CLOSED,
            lambda end: end.send_recording(b"x"),
            "a recording is not legal in Closed (legal: open(), close())",
        ),
        (
            *(SLEEPING, lambda end: end.send_recording(b"x", "audio/ogg")),
            "1 bytes of audio/ogg are no recording (legal: audio/wav, audio/mpeg, audio/basic)",
        ),
        (
            *(PAUSED, lambda end: end.send(InputAudioStreamCloseEvent())),
            "InputAudioStreamClose without a stream is not legal in Paused (legal: Log, Input, Recording)",
        ),
        (
            *(PROCESSING, lambda end: end.send(VoteEvent(vote=1))),
            "Vote is not legal in Processing (legal: Log, Input, Recording)",
        ),
        (
            *(PROCESSING, lambda end: end.open_microphone()),
            "InputAudioStreamOpen is not legal in Processing (legal: Log, Input, Recording)",
        ),
        (
            *(PROCESSING, lambda end: end.receive_data(END)),
            "every request has a transport of its own (legal: exchanges)",
        ),
    ],
    ids=range(6),
)
def test_a_mistake_is_told_with_what_is_legal(
    place: Place, word: Callable[[SocketV2Client], object], text: str
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        word(client_in(place).client)
    assert str(caught.value) == text


@pytest.mark.parametrize("place", QUIET)
def test_opening_the_microphone(place: State) -> None:
    host = client_in(place)
    host.client.open_microphone()
    session_id = "p1" if place is SLEEPING else "S"
    assert host.sent() == [f"PUT 1 of {session_id}", f"GET 1 of {session_id}", "GET 1: END"]
    assert (host.place, host.told()) == (STREAMING, ["InputAudioStreamOpen"])
    ignored(host, host.client.open_microphone)
    assert host.client.send_audio(b"12") is True
    assert host.client.send_audio(b"") is False
    host.client.send(BinaryEvent(data=b"3"))
    assert host.sent() == ["PUT 1: audio 2", "PUT 1: audio 1"]
    assert (host.client.dropped, host.due_in()) == (0, None)


def test_a_microphone_that_was_closed_before_the_host_came_was_never_open() -> None:
    host = client_in(LISTENING)
    host.woken = True  # the host does not come yet
    host.client.open_microphone()
    host.client.send_audio(b"1")
    host.client.interrupt()
    assert (host.told(), host.sent(), host.place) == ([], [], LISTENING)
    host.woken = True
    for _ in range(3):
        host.client.open_microphone()
        host.client.interrupt()
    host.client.open_microphone()
    assert (host.told(), host.place) == (["InputAudioStreamOpen"], STREAMING)
    assert (host.sent(), host.client.dropped) == (["PUT 1 of S", "GET 1 of S", "GET 1: END"], 0)


@pytest.mark.parametrize("way", ["opened by hand", "opened by itself"])
def test_the_close_is_told_last_and_the_microphone_not_at_all(way: str) -> None:
    host = client_in(PROCESSING, auto_microphone=way == "opened by itself")
    host.woken = True
    if way == "opened by itself":
        host.client.interrupt()
    else:
        host.put.answer(response(), END)
        host.woken = True
        host.client.open_microphone()
    host.client.close()
    told = host.told()
    assert told[-1] == "Closed 1000"
    assert "InputAudioStreamOpen" not in told


@pytest.mark.parametrize("place", PLAYING)
@pytest.mark.parametrize("pausing", [False, True])
@pytest.mark.parametrize("automatic", [False, True])
def test_opening_the_microphone_interrupts_what_plays(place: State, pausing: bool, automatic: bool) -> None:
    host = client_in(place, pause_on_interrupt=pausing, auto_microphone=automatic)
    host.client.open_microphone()
    assert host.sent() == ["PUT 0: Close", "PUT 1 of S", "GET 1 of S", "GET 1: END"]
    assert (host.place, host.told()) == (STREAMING, ["TurnInterrupted 2 host", "InputAudioStreamOpen"])


@pytest.mark.parametrize("place", PLAYING)
@pytest.mark.parametrize("members", [{}, {"sessionEnded": True}, {"sleepTimeout": 60}], ids=str)
def test_opening_the_microphone_interrupts_the_rest_of_what_is_complete(place: State, members: Frame) -> None:
    host = complete(place, response(**members))
    host.client.open_microphone()
    session_id = "p2" if "sessionEnded" in members else "S"
    assert host.sent() == [f"PUT 1 of {session_id}", f"GET 1 of {session_id}", "GET 1: END"]
    assert (host.place, host.told()) == (STREAMING, ["TurnInterrupted 2 host", "InputAudioStreamOpen"])


def test_while_an_answer_is_awaited_the_microphone_stays_closed() -> None:
    host = client_in(PROCESSING)
    refused(host, host.client.open_microphone)
    refused(host, lambda: host.client.send(InputAudioStreamOpenEvent()))


def test_closing_the_microphone() -> None:
    host = client_in(STREAMING)
    host.client.send_audio(b"12")
    host.client.close_microphone()
    assert host.sent() == ["PUT 0: audio 2", "PUT 0: END"]
    assert (host.place, host.told()) == (PROCESSING, [])
    assert host.client.send_audio(b"3") is False
    host.get.receive(head(), INTERIM, END)
    host.put.answer(FINAL)
    assert (host.state, host.told()) == (
        PROCESSING,
        ["RecognizedInput interim ye", "RecognizedInput final yes"],
    )


@pytest.mark.parametrize("place", [*QUIET, *IN_A_TURN])
def test_closing_a_microphone_that_is_not_open(place: State) -> None:
    host = client_in(place)
    ignored(host, host.client.close_microphone)
    refused(host, lambda: host.client.send(InputAudioStreamCloseEvent()))


@pytest.mark.parametrize("place", [*QUIET, *IN_A_TURN])
def test_audio_that_nobody_waits_for_is_dropped_and_counted(place: State) -> None:
    host = client_in(place)
    assert host.client.send_audio(b"12") is False
    assert host.client.send_audio(b"") is False
    host.client.send(BinaryEvent(data=b"3"))
    assert (host.client.dropped, host.sent(), host.state) == (2, [], place)


@pytest.mark.parametrize("place", OPENED)
def test_logs_are_requests_of_their_own(place: Place) -> None:
    host = client_in(place)
    before = host.everything()[:7]
    host.client.log(LogEntry(text="a"))
    whose = "PUT 1" if place is SLEEPING else "PUT 1 of S"
    assert host.sent() == [whose, "PUT 1: Log", "PUT 1: END"]
    host.put.receive(head(204, content_type=None), END)
    assert (host.everything()[:7], host.told()) == (before, [])
    assert host.put.exchange not in host.client.exchanges


@pytest.mark.parametrize("place", OPENED)
def test_interrupting(place: Place) -> None:
    host = client_in(place)
    if place in QUIET:
        ignored(host, host.client.interrupt)
        return
    host.client.interrupt()
    assert (host.sent(), host.told()) == (aborted(place), interrupted(place, "host"))
    assert (host.place, host.client.session_id) == (LISTENING, "S")
    ignored(host, host.client.interrupt)


@pytest.mark.parametrize("place", PLAYING)
@pytest.mark.parametrize(
    ("members", "after"),
    [({}, LISTENING), ({"sessionEnded": True}, SLEEPING), ({"sleepTimeout": 60}, SLEEPING)],
)
@pytest.mark.parametrize("way", ["played", "interrupted", "resumed"])
def test_leaving(place: State, members: Frame, after: State, way: str) -> None:
    host = complete(place, response(**members))
    if way == "interrupted":
        host.client.interrupt()
    else:
        host.client.finish_playback()
        host.client.resume()
    assert (host.state, host.sent()) == (after, [])
    assert host.told() == (["TurnInterrupted 2 host"] if way == "interrupted" else [])
    assert host.client.turn.over


def test_interrupting_may_pause() -> None:
    host = client_in(RESPONDING, pause_on_interrupt=True)
    host.client.interrupt()
    assert (host.state, host.told(), host.sent()) == (PAUSED, [], [])
    host.put.answer(item("more"))
    assert (host.state, host.told()) == (PAUSED, ["ResponseItem 'more'"])
    host.client.interrupt()
    assert (host.state, host.told(), host.sent()) == (LISTENING, ["TurnInterrupted 2 host"], ["PUT 0: Close"])
    for place in (STREAMING, PROCESSING):
        host = client_in(place, pause_on_interrupt=True)
        host.client.interrupt()
        assert (host.place, host.sent()) == (LISTENING, aborted(place))


def test_pause_and_resume() -> None:
    host = client_in(RESPONDING)
    host.client.pause()
    assert host.state is PAUSED
    ignored(host, host.client.pause)
    host.client.resume()
    assert host.state is RESPONDING
    ignored(host, host.client.resume)
    assert (host.told(), host.sent()) == ([], [])


@pytest.mark.parametrize("place", [SLEEPING, LISTENING, FAILED, STREAMING, PROCESSING])
def test_there_is_nothing_to_pause(place: Place) -> None:
    host = client_in(place)
    for word in (host.client.pause, host.client.resume):
        ignored(host, word)


@pytest.mark.parametrize("place", OPENED)
def test_what_cannot_be_sent(place: Place) -> None:
    host = client_in(place)
    spoken = Input(transcript=Transcript(text="x"))
    events: list[Event] = [
        *(ReadyEvent(), ErrorEvent(text="x"), ResponseEvent(response=Response()), ClosedEvent()),
        *(RecognizedEvent(text="x"), RecognizedInputEvent(input=spoken), VoteEvent(vote=1)),
        *(SessionEndEvent(), InitEvent(key="K", device_id="D"), UnknownEvent(data=NEW)),
        RequestEvent(request=Request(app_key="K", device_id="D", session_id="R", input=spoken)),
        *(InputStreamCloseEvent(), InputAudioStreamCancelEvent(), BinaryEvent(data=b"")),
    ]
    if place in (STREAMING, *IN_A_TURN):
        events.append(InputAudioStreamOpenEvent())
    for event in events:
        refused(host, partial(host.client.send, event))


@pytest.mark.parametrize("place", PLAYING)
def test_a_vote_has_nowhere_to_go(place: State) -> None:
    host = complete(place)
    refused(host, lambda: host.client.vote(host.client.turn, 1))


@pytest.mark.parametrize("place", OPENED)
def test_words_that_race_with_the_server_never_raise(place: Place) -> None:
    host = client_in(place)
    turn = host.client._turn
    for _ in range(2):
        host.client.pause()
        host.client.resume()
        host.client.finish_playback()
        host.client.send_audio(b"1")
        if turn is not None:
            turn.finish_playback()
            turn.interrupt()
        host.client.interrupt()
    assert host.place == (place if place in QUIET else LISTENING)


@pytest.mark.parametrize("place", [STREAMING, LISTENING, PROCESSING, *PLAYING])
def test_words_of_an_older_turn_do_nothing(place: Place) -> None:
    host = client_in(LISTENING)
    old = host.client.turn
    assert old.over
    host = client_in(place)
    if place is not STREAMING:
        old = host.client.turn
        host.client.say("next")
        host.put.answer(item("next"))
    else:
        old = host.client.turn
    host.forget()
    ignored(host, old.interrupt)
    ignored(host, old.finish_playback)


def test_before_the_first_turn_there_is_none_to_look_at() -> None:
    with pytest.raises(LocalProtocolError, match="no turn yet"):
        _ = Host().client.turn


# ------------------------------------------------------------ what the PUT brings, cell by cell

Cell = tuple[Place, "Frame | bytes", Place, list[str]]


def _from_the_put() -> list[Cell]:
    cells: list[Cell] = [
        (STREAMING, FINAL, PROCESSING, ["RecognizedInput final yes"]),
        (PROCESSING, FINAL, PROCESSING, ["RecognizedInput final yes"]),
        (PROCESSING, INTERIM, PROCESSING, ["RecognizedInput interim ye"]),
        (RESPONDING, FINAL, RESPONDING, ["Fault"]),
        (PAUSED, FINAL, PAUSED, ["Fault"]),
        (RESPONDING, INTERIM, RESPONDING, ["Fault"]),
        (PAUSED, INTERIM, PAUSED, ["Fault"]),
    ]
    for place in ASKING:
        cells += [
            (place, ERROR, SLEEPING, [*interrupted(place, "error"), "Error"]),
            (place, NEW, place, ["Novelty"]),
            (place, b"\n", place, []),
            (place, b"", place, []),
        ]
        cells += [(place, fault, place, ["Fault"]) for fault in FAULTS]
    for place in (STREAMING, PROCESSING):
        cells += [
            (place, item(), RESPONDING, ["ResponseItem 'part'"]),
            (place, item("#card"), RESPONDING, ["ResponseItem '#card'"]),
            (place, response("a"), RESPONDING, ["Response 'a'"]),
            (place, response("a", sessionEnded=True), RESPONDING, ["Response 'a' ended"]),
            (place, response("a", sessionTimeout=9), RESPONDING, ["Response 'a' sleeps 9"]),
            # nothing to play: it must not be stranded (D-25, D-40)
            (place, response(), LISTENING, ["Response"]),
            (place, response("", "#card"), LISTENING, ["Response '' '#card'"]),
            (place, response(sessionEnded=True), SLEEPING, ["Response ended"]),
            (place, response(sleepTimeout=60), SLEEPING, ["Response sleeps 60"]),
            (place, response(sleepTimeout=60, sessionEnded=True), SLEEPING, ["Response ended sleeps 60"]),
        ]
    for place in PLAYING:
        cells += [
            (place, item(), place, ["ResponseItem 'part'"]),
            (place, response("a"), place, ["Response 'a'"]),
            (place, response(), place, ["Response"]),
            (place, response(sessionEnded=True), place, ["Response ended"]),
        ]
    return cells


@pytest.mark.parametrize("cell", _from_the_put(), ids=lambda cell: f"{cell[0]} < {str(cell[1])[:60]}")
def test_the_put_brings(cell: Cell) -> None:
    before, piece, after, told = cell
    host = client_in(before)
    put = host.put
    put.answer(piece)
    assert (host.place, host.told()) == (after, told)
    ends = before is STREAMING and after is not STREAMING
    given_up = ["GET 0: Close"] if ends and piece is ERROR else []
    assert sorted(host.sent()) == sorted([*(["PUT 0: END"] if ends else []), *given_up])
    assert put.exchange in host.client.exchanges


@pytest.mark.parametrize("frame", [response(), response("")], ids=str)
def test_a_response_after_all_was_played_leaves_at_once(frame: Frame) -> None:
    """D-40."""
    host = client_in(RESPONDING)
    host.client.finish_playback()
    assert (host.state, host.client.turn.over) == (RESPONDING, False)
    host.put.answer(item("#volume", code="up"), frame)
    assert (host.state, host.client.turn.over) == (LISTENING, True)


def test_playback_that_is_finished_while_paused() -> None:
    host = client_in(PAUSED)
    host.client.finish_playback()
    host.put.answer(response(), END)
    assert host.state is PAUSED
    host.client.resume()
    assert host.state is LISTENING


@pytest.mark.parametrize("place", ASKING)
def test_an_error_drops_the_session(place: Place) -> None:
    host = client_in(place)
    host.put.answer(ERROR, END)
    assert (host.place, host.client.session_id) == (SLEEPING, None)
    host.forget()
    host.client.say("again")
    assert host.sent() == ["PUT 1 of p2", "PUT 1: Input again", "PUT 1: END"]


def test_an_error_says_where_it_comes_from() -> None:
    host = client_in(PROCESSING)
    host.put.answer({"type": "Error", "text": "no", "source": "dialogue"}, END)
    assert host.told() == ["TurnInterrupted 2 error", "Error no (dialogue)"]


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("last", [response(), ERROR], ids=str)
@pytest.mark.parametrize(
    "behind", [item("late"), response("late", sessionEnded=True), FINAL, INTERIM, ERROR, NEW], ids=str
)
def test_nothing_counts_behind_the_end_of_an_answer(place: Place, last: Frame, behind: Frame) -> None:
    host = client_in(place)
    host.put.answer(last)
    host.told()
    before = host.everything()[:6]
    host.put.answer(behind)
    assert (host.told(), host.everything()[:6]) == (["Fault"], before)
    host.put.answer(END)
    assert (host.told(), host.everything()[:6]) == ([], before)


def test_one_piece_may_bring_all() -> None:
    host = client_in(STREAMING)
    frames = (FINAL, item("a"), item("b"), response())
    whole = b"".join(json.dumps(each).encode() for each in frames)
    host.put.answer(whole)
    assert host.told() == ["RecognizedInput final yes", "ResponseItem 'a'", "ResponseItem 'b'", "Response"]
    assert host.sent() == ["PUT 0: END"]


@pytest.mark.parametrize("size", [1, 7])
def test_an_answer_may_come_in_pieces(size: int) -> None:
    host = client_in(PROCESSING)
    whole = json.dumps([item("a"), response("b")], indent=1).encode()
    host.put.answer(*(whole[start : start + size] for start in range(0, len(whole), size)), END)
    assert (host.state, host.told()) == (RESPONDING, ["ResponseItem 'a'", "Response 'b'"])
    assert host.client.exchanges == ()


def test_an_event_takes_effect_when_it_is_told() -> None:
    host = client_in(PROCESSING)
    host.put.feed(head(), item(), response())
    assert host.state is PROCESSING
    assert isinstance(host.client.next_event(), Event)
    assert host.state is RESPONDING
    assert isinstance(host.client.next_event(), ResponseEvent)
    assert host.client.next_event() is Control.NEED_DATA


# ------------------------------------------------------------ what the GET brings, cell by cell


def with_get(place: Place) -> Host:
    """A client whose GET still runs."""
    host = client_in(STREAMING)
    if place is STREAMING:
        return host
    host.client.close_microphone()
    if place in PLAYING:
        host.put.answer(FINAL, item())
    if place is PAUSED:
        host.client.pause()
    host.forget()
    assert host.place == place
    return host


def _from_the_get() -> list[Cell]:
    cells: list[Cell] = [
        (STREAMING, INTERIM, STREAMING, ["RecognizedInput interim ye"]),
        (PROCESSING, INTERIM, PROCESSING, ["RecognizedInput interim ye"]),
        (RESPONDING, INTERIM, RESPONDING, []),
        (PAUSED, INTERIM, PAUSED, []),
    ]
    for place in ASKING:
        stopped = ["TurnInterrupted 2 error"] if place in PLAYING else []  # no turn before a result
        cells += [
            (place, ERROR, SLEEPING, [*stopped, "Error"]),
            (place, b"\n", place, []),
            (place, b"", place, []),
            *((place, fault, place, ["Fault"]) for fault in (*FAULTS, item(), response(), NEW)),
        ]
    cells += [(place, FINAL, place, ["Fault"]) for place in (STREAMING, PROCESSING)]
    return cells


@pytest.mark.parametrize("cell", _from_the_get(), ids=lambda cell: f"{cell[0]} < {str(cell[1])[:60]}")
def test_the_get_brings(cell: Cell) -> None:
    before, piece, after, told = cell
    host = with_get(before)
    host.get.answer(piece)
    assert (host.place, host.told()) == (after, told)
    assert host.sent() == (["PUT 0: Close"] if piece is ERROR else [])
    if piece is ERROR:
        assert host.client.session_id is None
        host.get.answer(END)
        assert (host.place, host.told(), host.client.exchanges) == (SLEEPING, [], ())


@pytest.mark.parametrize("place", ASKING)
def test_the_end_of_a_get_says_that_all_is_recognised(place: Place) -> None:
    host = with_get(place)
    host.get.answer(INTERIM, END)
    assert host.place == (PROCESSING if place is STREAMING else place)
    assert host.sent() == (["PUT 0: END"] if place is STREAMING else [])
    assert (host.due_in(), host.get.exchange in host.client.exchanges) == (None, False)


def _ends_of_a_get() -> dict[str, Callable[[Wire], object]]:
    return {
        "204": lambda get: get.receive(head(204, content_type=None), END),
        "408": lambda get: get.receive(head(408), ERROR, END),
        "429": lambda get: get.receive(head(429, content_type="text/html"), b"<p>later</p>", END),
        "500": lambda get: get.receive(head(500), ERROR, END),
        "503": lambda get: get.receive(head(503), ERROR, END),
        "302": lambda get: get.receive(head(302, content_type=None), END),
        "broken at once": lambda get: get.lost(),
        "broken later": lambda get: get.answer(INTERIM).lost(),
        "broken by a close": lambda get: get.receive(Close(1001)),
        "garbage": lambda get: get.answer(b"oops"),
        "endless": lambda get: get.answer(*[b" " * 500] * 3),
    }


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("end", _ends_of_a_get())
def test_a_get_that_came_to_nothing_is_repeated_while_audio_flows(place: Place, end: str) -> None:
    host = client_in(STREAMING, limits=Limits(body_bytes=1000)) if place is STREAMING else with_get(place)
    if end == "endless" and place is not STREAMING:
        return
    _ends_of_a_get()[end](host.get)
    told = [each for each in host.told() if not each.startswith("RecognizedInput")]
    assert told == (["Fault"] if end in ("garbage", "endless") else [])
    assert host.place == place
    host.sent()
    host.numbers.clear()
    assert host.due_in() == (1.0 if place is STREAMING else None)
    host.advance(0.99)
    assert host.sent() == []
    host.advance(0.01)
    if place is not STREAMING:
        assert host.sent() == []
        return
    assert host.sent() == ["GET 1 of S", "GET 1: END"]
    host.get.answer(INTERIM, END)
    assert (host.place, host.told(), host.sent()) == (
        *(PROCESSING, ["RecognizedInput interim ye"], ["PUT 0: END"]),
    )


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 499])
def test_a_get_that_is_refused_ends_the_stream(place: Place, status: int) -> None:
    """The PUT is refused too, but its response may be read only after its body."""
    host = with_get(place)
    host.get.receive(head(status), ERROR, END)
    assert host.place == (PROCESSING if place is STREAMING else place)
    assert host.sent() == (["PUT 0: END"] if place is STREAMING else [])
    assert (host.told(), host.client.session_id, host.due_in()) == ([], "S", None)


@pytest.mark.parametrize("status", [400, 401, 409, 503])
def test_nobody_speaks_into_a_stream_that_is_refused(status: int) -> None:
    """The end of the response may wait for that of the request (D-72)."""
    host = client_in(STREAMING)
    host.put.receive(head(status))
    assert host.client.send_audio(b"1") is False
    host.put.receive(ERROR)
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["PUT 0: END"])
    host.put.receive(END)
    assert host.told() == [f"Error no (HTTP {status})", f"ConnectionFailed {status}"]
    assert host.state is FAILED


def test_a_get_is_repeated_once_a_second_and_no_more() -> None:
    host = client_in(STREAMING)
    for number in range(1, 6):
        host.get.lost()
        host.advance(1)
        assert host.sent() == [f"GET {number} of S", f"GET {number}: END"]
    host.advance(100)
    assert host.sent() == []


def _ways_to_stop_listening() -> dict[str, Callable[[Host], object]]:
    return {
        "text": lambda host: host.client.say("x"),
        "recording": lambda host: host.client.send_recording(b"x"),
        "microphone": lambda host: host.client.close_microphone(),
        "interrupt": lambda host: host.client.interrupt(),
        "final": lambda host: host.put.answer(FINAL),
        "item": lambda host: host.put.answer(item()),
        "response": lambda host: host.put.answer(response()),
        "error": lambda host: host.put.answer(ERROR),
        "broken": lambda host: host.put.lost(),
        "close": lambda host: host.client.close(),
    }


@pytest.mark.parametrize("way", _ways_to_stop_listening())
def test_a_get_is_not_repeated_when_nothing_streams_any_more(way: str) -> None:
    host = client_in(STREAMING)
    host.get.lost()
    _ways_to_stop_listening()[way](host)
    host.forget()
    host.advance(10)
    assert ([each for each in host.sent() if each.startswith("GET")], host.audio) == ([], Audio.CLOSED)


def test_a_get_need_not_be_repeated() -> None:
    host = client_in(STREAMING, timeouts=Timeouts(get_again=None))
    host.get.lost()
    assert (host.due_in(), host.place) == (None, STREAMING)


@pytest.mark.parametrize("end", [(), (END,)], ids=["answered", "ended"])
def test_an_interim_result_that_is_late_is_not_taken_for_speech(end: tuple[Message, ...]) -> None:
    host = with_get(PROCESSING)
    host.put.answer(FINAL, response(), *end)
    host.forget()
    assert host.place is LISTENING
    host.get.answer(INTERIM)
    assert host.place is LISTENING
    assert "RecognizedInput interim ye" not in host.told()


# ------------------------------------------------------------ how a PUT can end


def lost(place: Place) -> list[str]:
    return ["TurnInterrupted 2 lost"] if place is PROCESSING else []  # what plays may finish (D-56)


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("way", ["at once", "later", "by a close", "inside an event", "all at once"])
def test_a_put_that_breaks_off(place: Place, way: str) -> None:
    host = client_in(place)
    put = host.put
    match way:
        case "by a close":
            put.receive(Close(1011, "no more"))
        case "later":
            put.answer(b"\n").lost()
        case "inside an event":
            put.answer(b'{"type":').lost()
        case "all at once":
            host.client.receive_eof()
            host.step()
        case _:
            put.lost()
    code = 1011 if way == "by a close" else 1006
    assert host.told() == [*lost(place), f"ConnectionFailed {code}"]
    assert (host.place, host.client.session_id, host.due_in()) == (FAILED, "S", None)
    assert host.sent() == (["GET 0: Close"] if place is STREAMING else [])
    assert (host.client.exchanges, host.at_rest()) == ((), True)
    host.client.say("again")
    assert host.sent() == ["PUT 1 of S", "PUT 1: Input again", "PUT 1: END"]


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize(
    ("status", "content_type", "pieces", "told"),
    [
        (200, JSON, (), []),
        (200, JSON, (b'{"type":"Res',), ["Fault"]),
        (200, JSON, (b"[",), ["Fault"]),
        (302, None, (), []),
        (200, "text/html", (b"<p>log in</p>",), []),
        (200, "text/plain", (b"< hello\n",), []),
        (200, None, (json.dumps(response()).encode(),), []),
    ],
)
def test_a_put_that_ends_without_an_answer(
    place: Place, status: int, content_type: str | None, pieces: tuple[bytes, ...], told: list[str]
) -> None:
    host = client_in(place)
    put = host.put
    if place in PLAYING and status != 200:
        return  # its head has come already
    if not put.answered:
        put.feed(head(status, content_type=content_type))
    elif content_type != JSON or pieces == (b"[",):
        return  # nor may an array begin behind an event
    put.receive(*pieces, END)
    assert host.told() == [*told, *lost(place), f"ConnectionFailed {status}"]
    assert (host.place, host.client.session_id) == (FAILED, "S")
    assert sorted(host.sent()) == (["GET 0: Close", "PUT 0: Close"] if place is STREAMING else [])
    assert (host.client.exchanges, host.at_rest()) == ((), True)


@pytest.mark.parametrize("place", [STREAMING, PROCESSING])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 415, 431, 500, 502, 503])
def test_a_status_that_refuses(place: Place, status: int) -> None:
    """D-70."""
    host = client_in(place)
    host.put.receive(head(status), ERROR, END)
    assert host.told() == [f"Error no (HTTP {status})", *lost(place), f"ConnectionFailed {status}"]
    assert (host.place, host.due_in()) == (FAILED, None)
    assert host.client.session_id == (None if status in (401, 403) else "S")
    assert sorted(host.sent()) == (["GET 0: Close", "PUT 0: Close"] if place is STREAMING else [])
    assert host.client.exchanges == ()


@pytest.mark.parametrize(
    ("content_type", "pieces", "text"),
    [
        (JSON, (ERROR,), "no"),
        (JSON, (b'{"type":"Er', b'ror","text":"cut"}'), "cut"),
        (JSON, (NEW,), "HTTP 500"),
        (JSON, (b"oops",), "HTTP 500"),
        (JSON, (), "HTTP 500"),
        (JSON, (response("an answer it is not"),), "HTTP 500"),
        (JSON, (ERROR, {"type": "Error", "text": "second"}), "no"),
        (MSGPACK, (msgpack.packb(ERROR),), "no"),
        ("text/plain; charset=utf-8", (b"! dialogue: it\n", b"! broke\n\n"), "dialogue: it broke"),
        ("text/plain", (b"\xff!\n",), "\ufffd!"),
        ("text/html", (b"<html>\n <p>Bad\n</html>",), "<html> <p>Bad </html>"),
        (None, (), "HTTP 500"),
        (None, (b"plain",), "plain"),
    ],
    ids=str,
)
def test_what_a_refusal_says(content_type: str | None, pieces: tuple[Any, ...], text: str) -> None:
    host = client_in(PROCESSING)
    host.put.receive(head(500, content_type=content_type), *pieces, END)
    error, _, failed = host.events
    assert error == ErrorEvent(text=text, source="HTTP 500")
    assert failed == ConnectionFailedEvent(code=500, reason="HTTP 500")


def test_a_long_refusal_is_cut() -> None:
    host = client_in(PROCESSING)
    host.put.receive(head(502, content_type="text/html"), *[b"x" * 600] * 100, END)
    assert 600 <= len(str(host.told_error().text)) <= 2000  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [401, 403, 409, 413, 500])
@pytest.mark.parametrize("way", ["eof", "close", "endless"])
@pytest.mark.parametrize("place", [STREAMING, PROCESSING])
def test_a_refusal_counts_although_its_body_breaks_off(place: Place, status: int, way: str) -> None:
    """Usual when a server refuses a body that is still being written, and closes."""
    host = client_in(place, limits=Limits(body_bytes=1000))
    put = host.put.receive(head(status, content_type="text/plain"), b"! too much\n")
    match way:
        case "eof":
            put.lost()
        case "close":
            put.receive(Close(1006))
        case _:
            put.receive(b" " * 1000)
    told = [each for each in host.told() if each != "Fault"]
    assert told == [f"Error too much (HTTP {status})", *lost(place), f"ConnectionFailed {status}"]
    assert host.client.session_id == (None if status in (401, 403) else "S")
    assert host.client.exchanges == ()


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
def test_garbage_breaks_a_request_off(place: Place, garbage: bytes) -> None:
    host = client_in(place)
    put = host.put.answer(garbage)
    if not put.given_up:
        put.answer(END)  # it was no whole event
    assert host.told() == ["Fault", *lost(place), host_failed(put)]
    assert (host.place, host.client.session_id, host.client.exchanges) == (FAILED, "S", ())
    put.feed(response("late"), END)
    assert host.told() == []


def host_failed(put: Wire) -> str:
    return "ConnectionFailed 1006" if put.output[-1] != END else "ConnectionFailed 200"


@pytest.mark.parametrize(
    ("request_of", "pieces", "text"),
    [
        ("input", (head(), said()), "InputEvent is nothing that a V2 server says"),
        ("input", (head(), {"type": "Vote", "vote": 1}), "VoteEvent is nothing that a V2 server says"),
        ("input", (head(), response("a"), item()), "ResponseItemEvent behind the end of the answer"),
        ("input", (head(), b'{"type":"Response"}'), "response: is missing"),
        ("input", (head(), b'{"type":', END), "the body ends inside an event"),
        ("input", (head(200, ("A", "x" * 5000)),), "a header of more than 4096 bytes"),
        ("input", (head(200, *[("A", "x" * 4000)] * 5),), "more than 16384 bytes of headers"),
        ("stream", (head(), item()), "ResponseItemEvent is not for a GET"),
        ("stream", (head(), FINAL), "RecognizedInputEvent is not for a GET"),
        ("log", (head(), NEW), "UnknownEvent in the answer to logs"),
        ("log", (head(), ERROR), "ErrorEvent in the answer to logs: no"),
        ("log", (head(413), ERROR, END), "logs were refused: HTTP 413 no"),
        ("log", (head(302, content_type=None), END), "logs were refused: HTTP 302"),
        ("log", (Close(1006, "gone"),), "logs were lost: gone"),
        ("log", (Close(1006),), "logs were lost: 1006"),
    ],
    ids=str,
)
def test_a_fault_says_what_is_wrong(request_of: str, pieces: tuple[Any, ...], text: str) -> None:
    host = client_in(STREAMING if request_of == "stream" else PROCESSING)
    if request_of == "log":
        host.client.log()
    wire = host.get if request_of == "stream" else host.put
    wire.receive(*pieces)
    (fault,) = (each for each in host.events if isinstance(each, FaultEvent))
    assert str(fault.error) == text


@pytest.mark.parametrize(
    ("pieces", "code", "reason"),
    [
        ((Close(1006, "gone"),), 1006, "gone"),
        ((head(), Close(1002, "reset")), 1002, "reset"),
        ((head(), END), 200, "the response ended without an answer"),
        ((head(302), END), 302, "the response ended without an answer"),
        ((head(399), END), 399, "the response ended without an answer"),
        ((head(400), END), 400, "HTTP 400"),
        ((head(399), Close(1006, "gone")), 1006, "gone"),
        ((head(400), Close(1006, "gone")), 400, "HTTP 400"),
        ((head(503), Close(1006, "gone")), 503, "HTTP 503"),
        ((head(), b'{"type":"Response"}'), 1006, "response: is missing"),
        ((head(200, ("A", "x" * 5000)),), 1006, "a header of more than 4096 bytes"),
    ],
    ids=str,
)
def test_a_failure_says_what_has_failed(pieces: tuple[Any, ...], code: int, reason: str) -> None:
    host = client_in(PROCESSING)
    host.put.receive(*pieces)
    assert host.events[-1] == ConnectionFailedEvent(code=code, reason=reason)


def test_nothing_was_said() -> None:
    """The microphone was closed before there was anything to hear: nothing has failed."""
    host = client_in(STREAMING)
    host.client.close_microphone()
    host.put.receive(head(204, content_type=None), END)
    host.get.receive(head(200), END)
    assert (host.place, host.told(), host.client.exchanges) == (LISTENING, [], ())
    host = client_in(STREAMING)
    host.client.close_microphone()
    host.forget()
    host.put.receive(head(204, content_type=None), END)
    assert (host.place, host.sent(), host.client.exchanges) == (LISTENING, ["GET 0: Close"], ())
    host = client_in(PROCESSING)
    host.put.receive(head(204, content_type=None), END)
    assert (host.place, host.told()) == (LISTENING, ["TurnInterrupted 2 unanswered"])
    host = client_in(STREAMING)
    host.put.receive(head(204, content_type=None), END)
    assert (host.place, host.told()) == (FAILED, ["ConnectionFailed 204"])


def test_garbage_behind_the_answer_breaks_the_request_off() -> None:
    host = client_in(RESPONDING)
    host.put.answer(response(), b"oops")
    assert (host.state, host.told(), host.sent()) == (RESPONDING, ["Response", "Fault"], ["PUT 0: Close"])
    assert host.client.exchanges == ()


def test_a_loss_behind_the_answer_is_none() -> None:
    host = client_in(RESPONDING)
    host.put.answer(response()).lost()
    assert (host.state, host.told(), host.sent()) == (RESPONDING, ["Response"], [])
    assert host.client.exchanges == ()


def test_an_end_behind_the_answer_and_half_an_event_is_none() -> None:
    host = client_in(RESPONDING)
    host.put.answer(response(), b'{"type', END)
    assert (host.state, host.told(), host.client.exchanges) == (RESPONDING, ["Response"], ())


@pytest.mark.parametrize("place", PLAYING)
def test_what_plays_may_finish_after_a_loss(place: State) -> None:
    host = client_in(place)
    turn = host.client.turn
    host.put.lost()
    assert not turn.over
    turn.finish_playback()
    assert (host.state, turn.over, host.told()) == (FAILED, True, ["ConnectionFailed 1006"])


@pytest.mark.parametrize("way", ["say", "recording", "speech"])
def test_what_plays_after_a_loss_is_interrupted(way: str) -> None:
    host = client_in(RESPONDING)
    turn = host.client.turn
    host.put.lost()
    host.told()
    match way:
        case "say":
            host.client.say("x")
        case "recording":
            host.client.send_recording(b"x")
        case _:
            host.client.open_microphone()
            host.put.answer(FINAL)
    assert turn.over
    reason = "host" if way == "speech" else "input"
    assert [each for each in host.told() if "Interrupted" in each] == [f"TurnInterrupted 2 {reason}"]


def test_an_input_that_is_lost_before_it_was_taken_goes_nowhere() -> None:
    """D-70: nothing is resent by itself."""
    host = client_in(LISTENING)
    host.woken = True  # the host does not come yet
    host.client.say("x")
    host.client.receive_eof()
    host.step()
    assert (host.told(), host.sent()) == (["TurnInterrupted 2 lost", "ConnectionFailed 1006"], [])
    assert (host.state, host.client.exchanges, host.at_rest()) == (FAILED, (), True)


def test_what_waits_in_a_broken_request_goes_nowhere() -> None:
    host = client_in(STREAMING)
    host.client.send_audio(b"x" * 100)
    host.client.wake = None
    host.put.lost()
    assert (host.sent()[1:], host.client.exchanges, host.at_rest()) == (["GET 0: Close"], (), True)
    host = client_in(STREAMING)
    host.client.send_audio(b"x" * 100)
    put = host.wires[-2]
    put.feed(Close(1006))
    host.tell()
    assert host.state is FAILED
    host.flush()
    assert (host.sent(), host.at_rest()) == (["GET 0: Close"], True)


# ------------------------------------------------------------ logs


@pytest.mark.parametrize("place", OPENED)
@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((head(204, content_type=None), END), []),
        ((head(200), END), []),
        ((head(200, content_type="text/plain"), b"thanks", END), []),
        ((head(403), ERROR, END), ["Fault"]),
        ((head(503, content_type=None), END), ["Fault"]),
        ((head(302, content_type=None), END), ["Fault"]),
        ((Close(1006),), ["Fault"]),
        ((head(200), b"oops"), ["Fault"]),
        ((head(200), ERROR, END), ["Fault"]),
        ((head(200), INTERIM, END), ["Fault"]),
        ((head(200), FINAL, item(), response(sessionEnded=True), END), ["Fault"] * 3),
        ((head(200), NEW, END), ["Fault"]),
    ],
    ids=str,
)
def test_what_becomes_of_logs_changes_nothing(place: Place, pieces: tuple[Any, ...], told: list[str]) -> None:
    host = client_in(place)
    others = host.client.exchanges
    before = host.everything()[:6]
    host.client.log(LogEntry(text="a"))
    logs = host.put
    host.forget()
    logs.receive(*pieces)
    faults = host.told()
    assert bool(faults) is bool(told)
    assert set(faults) <= {"Fault"}
    assert host.everything()[:6] == before
    assert host.client.exchanges == others
    assert "PUT 0: Close" not in host.sent() or pieces[-1] is not END


def test_logs_go_out_beside_everything_else() -> None:
    host = client_in(STREAMING)
    host.client.log(LogEntry(text="a"))
    host.client.log(LogEntry(text="b"))
    host.client.send_audio(b"1")
    assert sorted(host.sent()) == [
        *("PUT 0: audio 1", "PUT 1 of S", "PUT 1: END", "PUT 1: Log"),
        *("PUT 2 of S", "PUT 2: END", "PUT 2: Log"),
    ]
    host.client.interrupt()  # which does not give them up
    host.forget()
    assert len(host.client.exchanges) == 2


def test_a_refused_log_says_why() -> None:
    host = client_in(LISTENING)
    host.client.log()
    host.put.receive(head(413), {"type": "Error", "text": "too long"}, END)
    error = host.told_error()
    assert isinstance(error, FaultEvent)
    assert "413" in str(error.error)
    assert "too long" in str(error.error)


# ------------------------------------------------------------ the session's cookie


def test_the_id_is_the_cookie_that_the_server_gave() -> None:
    host = Host()
    host.client.say("one")
    assert (host.put.cookie, host.client.session_id) == ("p1", None)
    host.put.receive(head(200, cookie("S-1_x")))
    assert (host.client.session_id, host.told(), host.state) == (
        "S-1_x",
        ["SessionStarted S-1_x"],
        PROCESSING,
    )
    host.put.receive(response(), END)
    host.client.open_microphone()
    assert host.put.cookie == host.get.cookie == "S-1_x"
    host.forget()
    host.put.receive(head(200, cookie("S-1_x")), response(), END)
    assert host.told() == ["Response"]  # the same id is no news
    host.client.log()
    assert host.put.cookie == "S-1_x"


def test_the_server_may_replace_the_id() -> None:
    host = client_in(PROCESSING)
    host.put.receive(head(200, cookie("T")), response(), END)
    assert (host.client.session_id, host.told()) == ("T", ["SessionStarted T", "Response"])
    host.client.say("x")
    assert host.put.cookie == "T"


@pytest.mark.parametrize("way", ["say", "recording", "stream"])
def test_a_request_proposes_an_id_while_none_is_held(way: str) -> None:
    host = Host()
    ways: dict[str, Callable[[], object]] = {
        "say": lambda: host.client.say("x"),
        "recording": lambda: host.client.send_recording(b"x"),
        "stream": host.client.open_microphone,
    }
    ways[way]()
    assert (host.put.cookie, host.client.session_id) == ("p1", None)
    # As long as the server has not named another one, it is the same session that is meant.
    for again in ("recording", "say", "stream"):
        host.put.lost()
        ways[again]()
        assert (host.put.cookie, host.client.session_id) == ("p1", None)
    assert host.get.cookie == "p1"
    host.get.lost()
    host.advance(1)
    assert host.get.cookie == "p1"
    host.told()
    host.put.receive(head(200, cookie("p1")), FINAL)
    assert (host.client.session_id, host.told()) == ("p1", ["SessionStarted p1", "RecognizedInput final yes"])


def test_a_proposed_id_that_was_taken_is_not_proposed_again() -> None:
    host = Host()
    host.client.say("x")
    host.put.receive(head(200, cookie("p1")), response(sessionEnded=True), END)
    host.client.say("x")
    assert host.put.cookie == "p2"
    host.put.receive(head(200, cookie("T")), response(sessionEnded=True), END)
    host.client.say("x")
    assert host.put.cookie == "p3"


def test_two_texts_at_the_start_belong_to_one_session() -> None:
    host = Host()
    host.client.start()
    host.client.say("hello")
    host.settle()
    assert [wire.cookie for wire in host.wires] == ["p1"] * len(host.wires)


def test_logs_propose_nothing() -> None:
    host = Host()
    host.client.log()
    assert host.put.cookie is None


def test_a_get_is_repeated_under_the_id_of_its_put() -> None:
    """D-76: the pair is matched by the cookie that both sent, before any replacement."""
    host = client_in(STREAMING)
    host.put.receive(head(200, cookie("T")))
    host.get.lost()
    host.advance(1)
    assert (host.client.session_id, host.put.cookie, host.get.cookie) == ("T", "S", "S")


@pytest.mark.parametrize(
    ("headers", "held"),
    [
        ([], "S"),
        ([cookie("T")], "T"),
        ([cookie('"T"')], "T"),
        ([cookie("T", "")], "T"),
        ([("set-cookie", f" {COOKIE} = T ; Path=/")], "T"),
        ([cookie("T", "; Max-Age=60; Secure")], "T"),
        ([("Set-Cookie", "other=1"), cookie("T"), ("Set-Cookie", "more=2; Path=/")], "T"),
        ([cookie("T"), cookie("U")], "U"),
        ([cookie("T", "; Max-Age=0"), cookie("U")], "U"),
        ([("Set-Cookie", "other=1")], "S"),
        ([("Set-Cookie", "")], "S"),
        ([("Set-Cookie", COOKIE.upper() + "=T")], "S"),
        ([("Cookie", f"{COOKIE}=T")], "S"),
        # taken away
        ([cookie("", "; Path=/")], None),
        ([cookie("S", "; Max-Age=0")], None),
        ([cookie("S", "; path=/;max-age=0")], None),
        ([cookie("S", "; Max-Age = 0")], None),
        ([cookie("S", "; Max-Age=-1")], None),
        ([cookie("S", "; Max-Age=-5")], None),
        ([cookie("T"), cookie("T", "; Max-Age=0")], None),
        # what could not be sent back as it is counts as nothing
        ([cookie("a b")], "S"),
        ([cookie("a,b")], "S"),
        ([cookie('a"b')], "S"),
        ([cookie("a\\b")], "S"),
        ([cookie("a\r\nX-Key: other")], "S"),
        ([cookie("a\nb")], "S"),
        ([cookie("a\x00b")], "S"),
        ([cookie("a\tb")], "S"),
        ([cookie("a\x7fb")], "S"),
        ([cookie("č")], "S"),
        ([cookie("x" * 5000)], "S"),
        ([cookie("T"), cookie("a b")], "T"),
    ],
    ids=str,
)
def test_what_a_set_cookie_does(headers: list[tuple[str, str]], held: str | None) -> None:
    host = client_in(PROCESSING, limits=Limits(header_value_bytes=10_000))
    host.put.receive(head(200, *headers))
    assert host.client.session_id == held
    assert host.told() == ([f"SessionStarted {held}"] if held not in (None, "S") else [])
    host.put.receive(response(), END)
    host.client.say("x")
    assert host.put.cookie == (held or "p2")


@pytest.mark.parametrize("place", ASKING)
def test_an_id_is_kept_when_a_request_fails(place: Place) -> None:
    host = client_in(place)
    host.put.lost()
    assert host.client.session_id == "S"
    host.client.open_microphone()
    assert host.put.cookie == host.get.cookie == "S"


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_a_refusal_gives_no_id(status: int) -> None:
    host = client_in(PROCESSING)
    host.put.receive(head(status, cookie("T")), ERROR, END)
    assert host.client.session_id == "S"


def test_a_session_that_ends_drops_its_id() -> None:
    host = client_in(PROCESSING)
    host.put.answer(item(), response(sessionEnded=True), END)
    assert (host.state, host.client.session_id) == (RESPONDING, None)
    host.client.finish_playback()
    assert (host.state, host.due_in()) == (SLEEPING, None)
    host.client.say("x")
    assert host.put.cookie == "p2"


def test_the_answer_to_a_get_may_name_the_session_too() -> None:
    host = Host()
    host.client.open_microphone()
    host.get.receive(head(200, cookie("p1")), INTERIM)
    assert host.client.session_id == "p1"
    host.put.receive(head(200, cookie("p1")), response(), END)
    assert host.told() == [
        *("InputAudioStreamOpen", "SessionStarted p1", "RecognizedInput interim ye", "Response")
    ]


# ------------------------------------------------------------ sleep


def test_a_session_sleeps_as_long_as_the_response_says() -> None:
    host = sleeping(60)
    assert host.due_in() == 60
    host.advance(59.9)
    assert (host.client.session_id, host.told()) == ("S", [])
    host.advance(0.1)
    assert (host.state, host.client.session_id, host.told()) == (SLEEPING, None, ["SessionExpired S"])
    host.client.say("x")
    assert host.put.cookie == "p2"


def test_the_time_runs_while_the_last_answer_plays() -> None:
    """D-50."""
    host = client_in(PROCESSING)
    host.put.answer(response("good night", sleepTimeout=5), END)
    assert (host.state, host.due_in()) == (RESPONDING, 5)
    host.advance(5)
    assert (host.state, host.client.session_id) == (RESPONDING, None)
    host.client.finish_playback()
    assert host.state is SLEEPING


@pytest.mark.parametrize("way", ["say", "recording", "microphone"])
def test_an_input_wakes_a_session_that_sleeps(way: str) -> None:
    host = sleeping()
    match way:
        case "say":
            host.client.say("x")
        case "recording":
            host.client.send_recording(b"x")
        case _:
            host.client.open_microphone()
    assert (host.put.cookie, host.due_in()) == ("S", None)
    host.advance(100)
    assert host.client.session_id == "S"
    host.put.answer(item())
    host.client.interrupt()
    assert host.state is LISTENING


def test_logs_wake_nobody() -> None:
    """D-66."""
    host = sleeping()
    host.client.log()
    host.put.receive(head(204, content_type=None), END)
    assert host.due_in() == 60


@pytest.mark.parametrize("place", PLAYING)
def test_a_session_woken_by_voice_goes_on_listening(place: State) -> None:
    host = sleeping()
    host.client.open_microphone()
    host.put.answer(FINAL, item())
    if place is PAUSED:
        host.client.pause()
    host.client.interrupt()
    assert host.place is LISTENING


def test_a_session_replaced_while_it_sleeps_does_not_expire() -> None:
    host = sleeping()
    host.client.open_microphone()
    host.put.receive(head(200, cookie("T")))
    host.advance(100)
    assert (host.client.session_id, host.due_in()) == ("T", None)


# ------------------------------------------------------------ interruption and what was under way


@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("word", ["say", "recording", "interrupt", "microphone"])
def test_nothing_that_an_aborted_request_brings_has_any_effect(place: Place, word: str) -> None:
    """Not even what had arrived, and had not been told."""
    if word == "microphone" and place not in PLAYING:
        return
    host = client_in(place)
    put, get = host.put, host.wires[-1]
    if not put.answered:
        put.feed(head(200, cookie("T")))
    put.feed(FINAL, item("late"), response("late", sessionEnded=True), ERROR, END)
    if place is STREAMING:
        get.feed(head(200, cookie("T")), INTERIM, ERROR, END)
    match word:
        case "say":
            host.client.say("x")
        case "recording":
            host.client.send_recording(b"x")
        case "interrupt":
            host.client.interrupt()
        case _:
            host.client.open_microphone()
    after = host.place
    if place is STREAMING and word == "say":
        return  # it is the same request that the text goes into
    put.feed(b"oops", END)
    put.lost()
    host.step()
    told = [each for each in host.told() if each != "InputAudioStreamOpen"]
    assert told == interrupted(place, "host" if word in ("interrupt", "microphone") else "input")
    assert (host.place, host.client.session_id, host.client._inbox_bytes) == (after, "S", 0)
    assert put.exchange not in host.client.exchanges


@pytest.mark.parametrize("word", ["say", "recording", "interrupt", "microphone"])
def test_a_request_that_was_answered_is_left_to_end(word: str) -> None:
    """It brings nothing more that counts; its connection may serve again."""
    host = client_in(PROCESSING)
    put = host.put.answer(item(), response())
    host.forget()
    words: dict[str, Callable[[], object]] = {
        "say": lambda: host.client.say("x"),
        "recording": lambda: host.client.send_recording(b"x"),
        "interrupt": host.client.interrupt,
        "microphone": host.client.open_microphone,
    }
    words[word]()
    told = host.told()
    assert told[0] == f"TurnInterrupted 2 {'input' if word in ('say', 'recording') else 'host'}"
    put.receive(item("late"), ERROR, b"oops", END)
    assert (host.told(), host.client.session_id, put.given_up) == ([], "S", False)
    assert put.exchange not in host.client.exchanges


def test_what_is_said_next_is_answered_after_an_interruption() -> None:
    host = client_in(PROCESSING)
    first = host.put
    host.client.say("x")
    first.feed(head(), item("old"), response("old"), END)
    host.put.answer(item("new"))
    first.receive(item("old"))
    host.put.answer(response(), END)
    assert host.told() == ["TurnInterrupted 2 input", "ResponseItem 'new'", "Response"]
    host.client.finish_playback()
    assert host.state is LISTENING


def test_saying_more_while_an_event_is_told() -> None:
    host = client_in(PROCESSING)
    host.on_event = lambda event: host.client.say("more") if line(event) == "ResponseItem 'one'" else None
    host.put.answer(item("one"), item("two"), response(), END)
    assert host.told() == ["ResponseItem 'one'", "TurnInterrupted 2 input"]
    assert host.sent() == ["PUT 0: Close", "PUT 1 of S", "PUT 1: Input more", "PUT 1: END"]
    assert host.state is PROCESSING


def test_interrupting_while_an_error_is_told() -> None:
    """Two events of one cause: the host speaks between them."""
    host = client_in(PROCESSING)
    host.on_event = lambda event: host.client.say("again") if isinstance(event, ErrorEvent) else None
    host.put.receive(head(409), ERROR, END)
    assert host.told()[0] == "Error no (HTTP 409)"
    assert (host.state, host.client.session_id) == (PROCESSING, "S")
    host.on_event = None
    host.put.answer(response("at last"), END)
    assert (host.state, host.told()) == (RESPONDING, ["Response 'at last'"])


def test_what_was_not_taken_yet_never_leaves() -> None:
    host = client_in(LISTENING)
    host.woken = True  # the host does not come yet
    for text in ("one", "two", "three"):
        host.client.say(text)
    assert host.sent() == ["PUT 1 of S", "PUT 1: Input three", "PUT 1: END"]
    assert host.told() == ["TurnInterrupted 2 input", "TurnInterrupted 3 input"]
    assert host.at_rest()


def test_a_request_that_is_being_written_is_given_up_where_it_is() -> None:
    host = client_in(LISTENING)
    host.client.wake = None
    host.client.send_recording(b"x" * 200_000)
    (exchange,) = host.client.exchanges
    writing = exchange.data_to_send()
    taken = [next(writing), next(writing)]
    host.client.interrupt()
    taken += writing
    assert [type(each) for each in taken] == [RequestHead, bytes, Close]
    assert (host.client.exchanges, host.at_rest()) == ((), True)


def test_a_response_that_ends_before_the_body_does() -> None:
    """D-72: there is nobody left to write for."""
    host = client_in(STREAMING)
    host.client.wake = None
    host.client.send_audio(b"x" * 100)
    put = host.wires[-2]
    put.feed(head(), response("early"), END)
    host.tell()
    assert (host.place, host.told()) == (RESPONDING, ["Response 'early'"])
    host.flush()
    assert host.sent() == ["PUT 0: Close"]
    assert host.at_rest()


@pytest.mark.parametrize("frame", [FINAL, item(), response("a")], ids=str)
def test_an_answer_that_begins_before_the_body_ends(frame: Frame) -> None:
    """D-72."""
    host = client_in(STREAMING)
    host.put.answer(frame)
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["PUT 0: END"])
    assert host.client.send_audio(b"late") is False
    assert host.client.dropped == 1


def test_a_response_with_nothing_to_play_ends_the_stream() -> None:
    host = client_in(STREAMING)
    host.put.answer(response())
    assert (host.place, host.sent()) == (LISTENING, ["PUT 0: END"])


def test_text_that_crosses_a_final_result_is_sent_again() -> None:
    host = client_in(STREAMING)
    host.client.send_audio(b"1")
    turn = host.client.say("typed")
    assert host.sent()[1:] == ["PUT 0: InputStreamClose", "PUT 0: Input typed", "PUT 0: END"]
    put = host.put
    put.answer(FINAL, item("for speech"), response(), END)
    assert host.told() == ["RecognizedInput final yes"]
    assert host.sent() == [
        *("PUT 0: Close", "GET 0: Close", "PUT 1 of S", "PUT 1: Input typed", "PUT 1: END")
    ]
    assert (host.state, host.client.turn, turn.over) == (PROCESSING, turn, False)
    host.put.answer(item("for text"), response(), END)
    assert host.told() == ["ResponseItem 'for text'", "Response"]
    assert host.client.turn is turn


def test_an_interim_result_in_the_put_does_not_cross_anything() -> None:
    host = client_in(STREAMING)
    host.client.say("typed")
    host.forget()
    host.put.answer(INTERIM, item("for text"), response(), END)
    assert host.told() == ["RecognizedInput interim ye", "ResponseItem 'for text'", "Response"]
    assert not any("PUT 1" in each for each in host.sent())


# ------------------------------------------------------------ speech, from the opening to the answer


def test_a_spoken_turn() -> None:
    host = client_in(STREAMING)
    host.client.send_audio(b"12")
    host.get.answer(recognized("h", final=False), recognized("hel", final=False))
    host.client.send_audio(b"34")
    host.put.answer(recognized("hello", final=True))
    assert (host.place, host.client.turn.number) == (PROCESSING, 2)
    host.get.answer(END)
    host.put.answer(item("hi"), response(), END)
    assert host.told() == [
        *("RecognizedInput interim h", "RecognizedInput interim hel", "RecognizedInput final hello"),
        *("ResponseItem 'hi'", "Response"),
    ]
    assert host.sent() == ["PUT 0: audio 2", "PUT 0: audio 2", "PUT 0: END"]
    host.client.finish_playback()
    assert (host.place, host.client.exchanges, host.due_in()) == (LISTENING, (), None)


def test_the_end_of_the_get_may_come_first() -> None:
    host = client_in(STREAMING)
    host.get.answer(END)
    assert (host.place, host.sent(), host.told()) == (PROCESSING, ["PUT 0: END"], [])
    host.put.answer(FINAL, response("a"), END)
    assert host.told() == ["RecognizedInput final yes", "Response 'a'"]
    assert host.client.turn.number == 2


def test_the_wait_for_a_result_can_be_given_up() -> None:
    host = client_in(STREAMING)
    host.client.close_microphone()
    host.forget()
    host.client.interrupt()
    assert (host.place, host.told()) == (LISTENING, [])  # no turn has begun
    assert host.sent() == ["PUT 0: Close", "GET 0: Close"]


def test_the_user_says_nothing() -> None:
    host = client_in(STREAMING)
    host.put.answer(recognized("#silence", final=True), item("hello?"), response(), END)
    assert host.told() == ["RecognizedInput final #silence", "ResponseItem 'hello?'", "Response"]
    assert host.state is RESPONDING


# ------------------------------------------------------------ the automatic microphone


def _resume(host: Host) -> None:
    host.client.finish_playback()
    host.client.resume()


def _ways_into_listening() -> dict[str, tuple[Callable[[Host], object], Place]]:
    return {
        "played": (lambda host: host.client.finish_playback(), RESPONDING),
        "nothing to play": (lambda host: host.put.answer(response(), END), PROCESSING),
        "nothing to play, spoken": (lambda host: host.put.answer(response(), END), STREAMING),
        "the wait given up": (lambda host: host.client.interrupt(), PROCESSING),
        "interrupted": (lambda host: host.client.interrupt(), RESPONDING),
        "resumed": (_resume, PAUSED),
    }


@pytest.mark.parametrize("way", _ways_into_listening())
def test_the_microphone_opens_by_itself(way: str) -> None:
    act, place = _ways_into_listening()[way]
    host = client_in(place, auto_microphone=True)
    if place in PLAYING:
        host.put.answer(response(), END)
        host.forget()
    act(host)
    assert host.place is STREAMING
    assert [each for each in host.sent() if " 1" in each] == ["PUT 1 of S", "GET 1 of S", "GET 1: END"]
    assert host.told()[-1] == "InputAudioStreamOpen"
    assert host.client.send_audio(b"1") is True


def test_the_microphone_opens_again_when_nothing_was_said() -> None:
    """Nothing but the opening is to be told, and it is told at once."""
    host = client_in(STREAMING, auto_microphone=True)
    host.client.close_microphone()
    host.step()
    host.put.exchange.receive_data(head(204, content_type=None))
    host.put.exchange.receive_data(END)
    assert [line(each) for each in host.client.events()] == ["InputAudioStreamOpen"]
    assert host.place is STREAMING


@pytest.mark.parametrize("members", [{"sessionEnded": True}, {"sleepTimeout": 9}], ids=str)
def test_the_microphone_stays_closed_while_the_session_sleeps(members: Frame) -> None:
    host = client_in(PROCESSING, auto_microphone=True)
    host.put.answer(item(), response(**members), END)
    host.client.finish_playback()
    assert (host.place, host.sent()) == (SLEEPING, [])


def test_the_microphone_that_was_broken_off_stays_closed() -> None:
    host = client_in(STREAMING, auto_microphone=True)
    host.client.interrupt()
    assert (host.place, host.sent()) == (LISTENING, aborted(STREAMING))
    host.client.log()
    host.client.interrupt()
    host.put.receive(head(204, content_type=None), END)
    assert (host.place, host.told()) == (LISTENING, [])


@pytest.mark.parametrize("way", ["broken", "error"])
def test_the_microphone_stays_closed_after_a_failure(way: str) -> None:
    host = client_in(STREAMING, auto_microphone=True)
    host.put.lost() if way == "broken" else host.put.answer(ERROR, END)
    host.advance(10)
    assert host.place is (FAILED if way == "broken" else SLEEPING)
    assert not any(" 1" in each for each in host.sent())


def test_a_turn_that_was_played_does_not_break_off_the_microphone() -> None:
    """The user touches the screen just as the last word was played: a race, and nothing happens."""
    host = complete(RESPONDING, auto_microphone=True)
    turn = host.client.turn
    turn.finish_playback()
    host.forget()
    assert (host.place, turn.over) == (STREAMING, True)
    ignored(host, turn.interrupt)


def test_hands_free() -> None:
    """Turn after turn, without a word of the host's but that it has played."""
    host = Host(auto_start=True, auto_microphone=True, opened=False)
    host.client.open()
    host.put.answer(item("hello"), response(), END)
    for number in range(3):
        host.client.finish_playback()
        host.client.send_audio(b"x")
        host.get.answer(INTERIM)
        host.put.answer(FINAL)
        host.get.answer(END)
        host.put.answer(item(str(number)), response(), END)
    host.client.finish_playback()
    assert host.place is STREAMING
    heard = [each for each in host.told() if each.startswith(("ResponseItem", "RecognizedInput final"))]
    assert heard == [
        *("ResponseItem 'hello'", "RecognizedInput final yes", "ResponseItem '0'"),
        *("RecognizedInput final yes", "ResponseItem '1'", "RecognizedInput final yes", "ResponseItem '2'"),
    ]
    assert len(host.client.exchanges) == 2
    assert not any(wire.given_up for wire in host.wires)


# ------------------------------------------------------------ bounds


def test_audio_does_not_pile_up_without_bound() -> None:
    host = client_in(STREAMING, limits=Limits(queued_bytes=1000))
    host.client.wake = None
    taken = [host.client.send_audio(b"x" * 400) for _ in range(5)]
    assert taken[0]
    assert not taken[-1]
    assert host.client.dropped == taken.count(False)
    assert host.client._outbox_bytes <= 2000
    host.flush()
    assert host.sent() == ["PUT 0: audio 400"] * taken.count(True)
    assert host.at_rest()
    assert host.client.send_audio(b"x") is True


def test_logs_do_not_pile_up_without_bound() -> None:
    host = client_in(LISTENING, limits=Limits(queued_bytes=1000))
    host.client.wake = None
    entry = LogEntry(text="x" * 600)
    host.client.log(entry)
    host.client.log(entry)
    refused(host, lambda: host.client.log(entry))
    host.flush()
    host.client.log(entry)


def test_text_does_not_overtake_the_audio_that_waits_before_it() -> None:
    host = client_in(STREAMING, limits=Limits(queued_bytes=1000))
    host.client.wake = None
    while host.client.send_audio(b"x" * 100):
        pass
    with pytest.raises(LocalProtocolError, match="wait to be sent"):
        host.client.say("x")
    assert (host.place, host.told()) == (STREAMING, [])
    host.flush()
    host.client.say("x")
    host.flush()
    assert host.sent()[-3:] == ["PUT 0: InputStreamClose", "PUT 0: Input x", "PUT 0: END"]


def test_text_that_takes_the_place_of_another_still_waits_for_room() -> None:
    host = client_in(LISTENING, limits=Limits(queued_bytes=1000))
    host.client.wake = None
    host.client.log(LogEntry(text="x" * 500))
    host.client.say("short")
    host.client.log(LogEntry(text="x" * 500))
    with pytest.raises(LocalProtocolError, match="wait to be sent"):
        host.client.say("more")
    assert (host.state, host.told()) == (PROCESSING, [])


@pytest.mark.parametrize("room", [0, -1])
def test_of_what_waits_only_the_text_that_is_replaced_does_not_count(room: int) -> None:
    host = client_in(LISTENING)
    host.client.wake = None
    host.client.log(LogEntry(text="x"))
    waiting = host.client._outbox_bytes
    host.client.say("short")
    host.client.limits = Limits(queued_bytes=waiting + room)
    if room < 0:
        refused(host, lambda: host.client.say("more"))
    else:
        host.client.say("more")


def test_text_takes_the_place_of_a_recording_that_is_being_sent() -> None:
    host = client_in(LISTENING, limits=Limits(queued_bytes=1000))
    host.client.wake = None
    host.client.send_recording(b"x" * 5000)
    turn = host.client.say("never mind")
    host.step()
    assert host.sent() == ["PUT 1 of S", "PUT 1: Input never mind", "PUT 1: END"]
    assert (host.client.turn, host.at_rest()) == (turn, True)


@pytest.mark.parametrize("place", ASKING)
def test_an_endless_answer_is_given_up(place: Place) -> None:
    host = client_in(place, limits=Limits(body_bytes=3000))
    put = host.put.answer(*[item("x" * 50)] * 100)
    told = host.told()
    assert told[0] == "ResponseItem '" + "x" * 50 + "'"
    assert told[-2:] == ["Fault", "ConnectionFailed 1006"]
    assert put.given_up
    assert (host.place, host.client.session_id, host.client.exchanges) == (FAILED, "S", ())
    assert host.client._inbox_bytes == 0


@pytest.mark.parametrize("limits", [Limits(message_bytes=200), Limits(string_bytes=100), Limits(items=3)])
def test_an_event_beyond_the_limits_breaks_a_request_off(limits: Limits) -> None:
    host = client_in(PROCESSING, limits=Limits())
    host.client.limits = limits
    host.put.answer(item("x" * 300, confidence=1.0, nodeId=1, audio="/a", image="/i"))
    error = host.told_error()
    assert isinstance(error, FaultEvent)
    assert isinstance(error.error, LimitExceeded)
    assert (host.state, host.put.given_up) == (FAILED, True)


@pytest.mark.parametrize(
    "headers",
    [[("X-A", "x" * 5000)], [("X-" + "a" * 5000, "x")], [("X-A", "x" * 1000)] * 20],
    ids=["value", "name", "block"],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_flood_of_headers_breaks_a_request_off(headers: list[tuple[str, str]], method: str) -> None:
    """D-34, D-82."""
    host = client_in(STREAMING)
    wire = host.put if method == "PUT" else host.get
    wire.receive(head(200, cookie("T"), *headers), response(), END)
    error = host.told_error()
    assert isinstance(error, FaultEvent)
    assert isinstance(error.error, LimitExceeded)
    assert (host.client.session_id, wire.given_up) == ("S", True)
    assert host.place == (FAILED if method == "PUT" else STREAMING)
    assert host.due_in() == (None if method == "PUT" else 1.0)


@pytest.mark.parametrize(
    ("limits", "most", "pieces", "text"),
    [
        (
            Limits(header_value_bytes=100),
            *(100, lambda size: (head(200, ("A", "x" * size)),)),
            "a header of more than 100 bytes",
        ),
        (
            Limits(header_bytes=100),
            100 - len("Content-Type: application/json\r\nA: \r\n"),
            lambda size: (head(200, ("A", "x" * size)),),
            "more than 100 bytes of headers",
        ),
        (
            Limits(body_bytes=100),
            *(40, lambda size: (head(), b" " * 60, b" " * size)),
            "a body of more than 100 bytes",
        ),
        (
            # Each piece costs 64 bytes, the head those of its headers, too.
            Limits(queued_bytes=100, body_bytes=1000),
            1100 - 3 * 64 - len("Content-Type: application/json\r\n") - 100,
            lambda size: (head(), b" " * 100, b" " * size),
            "more than 100 bytes wait to be read",
        ),
    ],
    ids=["value", "block", "body", "waiting"],
)
def test_as_much_as_a_limit_says_may_come_and_no_more(
    limits: Limits, most: int, pieces: Callable[[int], tuple[Message, ...]], text: str
) -> None:
    for size, faults in ((most, []), (most + 1, [text])):
        host = client_in(PROCESSING)
        host.client.limits = limits
        host.put.receive(*pieces(size))
        assert [str(each.error) for each in host.events if isinstance(each, FaultEvent)] == faults
        assert [each.reason for each in host.events if isinstance(each, ConnectionFailedEvent)] == faults
        assert host.state is (FAILED if faults else PROCESSING)


def test_a_host_that_does_not_take_events_is_asked_to_stop_reading() -> None:
    host = client_in(PROCESSING, limits=Limits(queued_bytes=10_000))
    host.put.feed(head())
    assert not host.client.full
    while not host.client.full:
        host.put.feed(item("x" * 500))
    assert 4_000 < host.client._inbox_bytes < 6_000
    host.tell()
    assert not host.client.full
    assert host.client._inbox_bytes == 0


def test_a_piece_that_is_being_read_does_not_wait_any_more() -> None:
    host = client_in(PROCESSING)
    host.client.limits = Limits(queued_bytes=1)
    host.put.feed(head(), b"".join(json.dumps(each).encode() for each in (item(), response())))
    assert host.client.full
    assert isinstance(host.client.next_event(), ResponseItemEvent)
    assert not host.client.full
    assert isinstance(host.client.next_event(), ResponseEvent)


@pytest.mark.parametrize("place", ASKING)
def test_a_host_that_reads_on_and_on_loses_the_request(place: Place) -> None:
    host = client_in(place, limits=Limits(queued_bytes=5_000, body_bytes=5_000))
    put = host.put
    if not put.answered:
        put.feed(head())
    for _ in range(500):
        put.feed(b" " * 100)
        assert host.client._inbox_bytes < 12_000
    host.step()
    told = host.told()
    assert told[0] == "Fault"
    assert told[-1] == "ConnectionFailed 1009"
    assert (host.place, host.client.exchanges, put.given_up) == (FAILED, (), True)
    assert host.at_rest()


def test_what_is_said_after_too_much_was_read_counts() -> None:
    host = client_in(PROCESSING, limits=Limits(queued_bytes=5_000, body_bytes=5_000))
    host.put.feed(head(), *[b" " * 1000] * 20)
    host.client.say("x")
    assert host.sent() == ["PUT 0: Close", "PUT 1 of S", "PUT 1: Input x", "PUT 1: END"]
    host.put.answer(response("a"), END)
    assert host.state is RESPONDING
    told = host.told()
    assert (told[0], told[-1]) == ("TurnInterrupted 2 input", "Response 'a'")
    assert len(told) <= 3  # and at most one word about what was too much


@pytest.mark.parametrize("word", ["audio", "hush", "say", "recording", "interrupt", "close"])
def test_nothing_goes_into_a_stream_that_has_brought_too_much(word: str) -> None:
    """Before the host is told so."""
    host = client_in(STREAMING, limits=Limits(queued_bytes=5_000, body_bytes=5_000))
    host.put.feed(head(), *[b" " * 1000] * 20)
    words: dict[str, Callable[[], object]] = {
        "audio": lambda: host.client.send_audio(b"1"),
        "hush": host.client.close_microphone,
        "say": lambda: host.client.say("x"),
        "recording": lambda: host.client.send_recording(b"x"),
        "interrupt": host.client.interrupt,
        "close": host.client.close,
    }
    host.client.wake = None
    words[word]()
    host.flush()
    host.step()
    sent = host.sent()
    assert [each for each in sent if each.startswith("PUT 0")] == ["PUT 0: Close"]
    assert ("PUT 1 of S" in sent) is (word in ("say", "recording"))
    assert host.at_rest()
    if word in ("audio", "hush"):
        assert (host.state, host.told()[-1]) == (FAILED, "ConnectionFailed 1009")


def test_tiny_pieces_are_counted_too() -> None:
    host = client_in(PROCESSING, limits=Limits(queued_bytes=5_000, body_bytes=5_000))
    host.put.feed(head())
    for _ in range(5_000):
        host.put.feed(b" ")
    assert len(host.client._inbox) < 200


# ------------------------------------------------------------ hosts that get it wrong


@pytest.mark.parametrize("place", [CLOSED, *OPENED])
@pytest.mark.parametrize("message", [ResponseHead(status=200), b"x", END, Close()], ids=str)
def test_the_channel_itself_has_no_transport(place: Place, message: Message) -> None:
    host = client_in(place)
    refused(host, lambda: host.client.receive_data(message))


@pytest.mark.parametrize("message", ["text", RequestHead(url="/"), None, 3], ids=str)
def test_what_no_response_can_bring(message: Any) -> None:
    host = client_in(PROCESSING)
    refused(host, lambda: host.put.exchange.receive_data(message))
    host.put.answer(response("a"), END)
    assert host.state is RESPONDING


@pytest.mark.parametrize("message", [b"x", b"", END], ids=str)
def test_a_body_cannot_come_before_its_head(message: Message) -> None:
    host = client_in(PROCESSING)
    refused(host, lambda: host.put.exchange.receive_data(message))


def test_a_head_cannot_come_twice() -> None:
    host = client_in(RESPONDING)
    refused(host, lambda: host.put.exchange.receive_data(head()))


def test_nothing_can_come_behind_the_end() -> None:
    host = client_in(PROCESSING)
    put = host.put.answer(response("a"), END)
    host.forget()
    put.feed(b"x", END, Close())  # a transport that is slow to notice: no mistake
    put.lost()
    assert (host.state, host.told(), host.sent()) == (RESPONDING, [], [])


def test_a_transport_may_be_reported_gone_more_than_once() -> None:
    host = client_in(PROCESSING)
    put = host.put
    put.exchange.receive_eof()
    put.exchange.receive_eof()
    host.client.receive_eof()
    host.step()
    assert host.told() == ["TurnInterrupted 2 lost", "ConnectionFailed 1006"]


def test_all_requests_may_be_reported_gone_at_once() -> None:
    host = client_in(STREAMING)
    host.client.log()
    host.forget()
    host.client.receive_eof()
    host.step()
    failed, fault = host.events
    assert isinstance(fault, FaultEvent)
    assert str(fault.error) == "logs were lost: the transport was lost"
    assert failed == ConnectionFailedEvent(code=1006, reason="the transport was lost")
    assert host.client.exchanges == ()


def test_what_is_said_after_a_loss_is_not_lost_with_it() -> None:
    host = client_in(PROCESSING)
    host.client.receive_eof()
    host.client.say("again")
    host.step()
    host.put.answer(response("a"), END)
    assert (host.state, host.told()[-1]) == (RESPONDING, "Response 'a'")


def test_a_connection_that_was_refused() -> None:
    host = client_in(STREAMING)
    host.get.lost()
    host.put.lost()
    assert (host.told(), host.place, host.due_in()) == (["ConnectionFailed 1006"], FAILED, None)


def test_asking_for_the_transports_changes_nothing() -> None:
    host = client_in(STREAMING)
    assert host.client.exchanges == host.client.exchanges
    assert [each.exchange for each in host.wires[-2:]] == list(host.client.exchanges)


# ------------------------------------------------------------ what always holds


@pytest.mark.parametrize("place", OPENED)
@pytest.mark.parametrize("way", ["lost", "error", "answer", "interrupt", "say"])
def test_there_is_always_a_way_back(place: Place, way: str) -> None:
    """Whatever happened, the next text is sent, answered, played."""
    host = client_in(place)
    match way:
        case "lost":
            host.client.receive_eof()
            host.step()
        case "error" if place in ASKING:
            host.put.answer(ERROR, END)
        case "answer" if place in ASKING:
            host.put.answer(response("a"), END)
        case "interrupt":
            host.client.interrupt()
        case "say":
            host.client.say("a")
    host.told()
    host.client.say("b")
    assert host.state is PROCESSING
    host.put.answer(item("for b"), response(), END)
    assert host.told()[-2:] == ["ResponseItem 'for b'", "Response"]
    host.client.finish_playback()
    assert (host.place, host.due_in()) == (LISTENING, None)
    if host.client.exchanges:  # the reader of interim results may still run
        host.get.receive(head(), END) if not host.get.answered else host.get.receive(END)
    assert (host.client.exchanges, host.at_rest()) == ((), True)
    host.client.close()
    assert host.told()[-1] == "Closed 1000"
    assert not any("Closed" in each for each in host.told())


@pytest.mark.parametrize("session_id", ["a; other=1", "a\r\nX: y", "á", "x" * 257, '"'])
def test_a_session_id_that_no_cookie_can_hold(session_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be a cookie"):
        SocketV2Client("http://host/client", key="K", device_id="D", session_id=session_id)

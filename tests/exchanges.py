"""A small server of Socket V2: its requests in as pieces, everything out as short lines.

It behaves as a host should, and no better: the loop of a request runs once when something was received, when
the machine asked to be woken, and when the deadline that was armed last is due. Whoever is not woken stands
still. A line says what an event or a piece of a response is: ``Input hello``, ``200``, ``Response ended``,
``RecognizedInput final yes``, ``< text``, ``END``, ``Close 1000``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgpack  # type: ignore[import-untyped]
import pytest

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    Need,
    RecognizedInputEvent,
    SessionNeed,
    StoreNeed,
    TurnInterruptedEvent,
)
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests import conversation
from tests.conversation import Frame, said

COOKIE = "flowstorm-session-id"
TEXT, JSON, MSGPACK = "text/plain", "application/json", "application/msgpack"
AUDIO_TYPES = ("audio/basic", "audio/wav", "audio/mpeg")
WAV = "audio/wav"
LIVE = {"realtime": "1"}
OWNER = {"key": "K", "deviceId": "D"}

LOG: Frame = {"type": "Log", "entries": [{"text": "seen", "level": "INFO"}]}
NEW: Frame = {"type": "Novelty", "x": 1}
INPUT_CLOSE: Frame = {"type": "InputStreamClose"}
BLOCK: Frame = {"type": "Binary", "data": "AAAA"}
HELLO = said("hello")


def put_head(
    content_type: str | None = JSON,
    *,
    cookie: str | None = None,
    method: str = "PUT",
    query: dict[str, str] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    owner: dict[str, str] = OWNER,
    base: str = "/client",
) -> RequestHead:
    found = list(headers)
    if content_type is not None:
        found.append(("Content-Type", content_type))
    if cookie is not None:
        found.append(("Cookie", f"{COOKIE}={cookie}"))
    return RequestHead(
        method=method, url=f"{base}?{urlencode({**owner, **(query or {})})}", headers=tuple(found)
    )


def get_head(cookie: str | None, accept: str | None = None, **kw: Any) -> RequestHead:
    headers = () if accept is None else (("Accept", accept),)
    return put_head(None, cookie=cookie, method="GET", headers=headers, **kw)


# ------------------------------------------------------------ lines


def line(what: Event | Message) -> str:
    match what:
        case ResponseHead():
            return str(what.status)
        case Close():
            return f"Close {int(what.code)}"
        case RecognizedInputEvent():
            return f"RecognizedInput {'final' if what.is_final else 'interim'} {what.text}"
        case SessionNeed():
            return f"SessionNeed {what.session_id}{'' if what.begins else ' to look at'}"
        case StoreNeed():
            return f"StoreNeed {what.session_id} {what.keep_for:g}"
    return "END" if what is END else conversation.line(what)


def line_of_frame(frame: Frame) -> str:
    if frame["type"] == "RecognizedInput":
        how = "final" if frame["isFinal"] else "interim"
        return f"RecognizedInput {how} {frame['input']['transcript']['text']}"
    return conversation.line(frame)


def frames_of(body: bytes, content_type: str) -> list[Frame]:
    """The events in a body, as dicts."""
    if content_type == MSGPACK:
        unpacker = msgpack.Unpacker()
        unpacker.feed(body)
        return list(unpacker)
    assert content_type == JSON
    assert not body or body.endswith(b"\n")
    return [json.loads(each) for each in body.splitlines()]


# ------------------------------------------------------------ hosts


class Request:
    """One request at the server: what it is told and what it answers pile up until they are taken."""

    def __init__(self, server: Server, *, accept: bool = True, **kw: Any) -> None:
        self.server = server
        self.accept = accept
        self.machine = SocketV2Server(
            server.sessions, **{"clock": server.clock, "make_id": server.make_id, "wake": self.wake, **kw}
        )
        self.history: list[Event] = []
        self.output: list[Message] = []
        self.turns: list[Turn] = []
        self.streams: list[AudioStream] = []
        self.woken = False
        self.wakes = 0
        self.armed: float | None = None
        self.gone = False
        self.on_event: Callable[[Event], None] | None = None
        self._told = self._sent = 0

    def wake(self) -> None:
        self.woken = True
        self.wakes += 1

    # -------------------------------------------------------- the loop

    def step(self) -> None:
        """Take events first, then flush, then arm the timer: once, as every host does."""
        self.woken = False
        self.tell()
        self.flush()
        self.armed = self.machine.next_deadline()

    def tell(self) -> None:
        for event in self.machine.events():
            self.history.append(event)
            if isinstance(event, InputEvent):
                self.turns.append(self.machine.turn)
            elif isinstance(event, InputAudioStreamOpenEvent):
                self.streams.append(self.machine.stream)
            elif isinstance(event, InitEvent) and self.accept:
                self.machine.ready()
            if self.on_event is not None:
                self.on_event(event)

    def flush(self) -> None:
        self.output += self.machine.data_to_send()

    def feed(self, *pieces: Message | Frame) -> None:
        """Hand pieces to the machine, and nothing more."""
        for piece in pieces:
            self.machine.receive_data(self.encoded(piece))

    def encoded(self, piece: Message | Frame) -> Message:
        if isinstance(piece, dict):
            packed = self.machine._media_type == MSGPACK
            data: bytes = msgpack.packb(piece) if packed else json.dumps(piece).encode() + b"\n"
            return data
        return piece.encode() if isinstance(piece, str) else piece

    def receive(self, *pieces: Message | Frame) -> Request:
        """Hand over pieces, running the loop after each."""
        for piece in pieces:
            self.feed(piece)
            self.step()
        self.server.settle()
        return self

    def lost(self) -> None:
        self.gone = True
        self.machine.receive_eof()
        self.step()
        self.server.settle()

    # -------------------------------------------------------- what there is to look at

    @property
    def turn(self) -> Turn:
        self.server.settle()
        return self.turns[-1]

    @property
    def stream(self) -> AudioStream:
        self.server.settle()
        return self.streams[-1]

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def audio(self) -> Audio:
        return self.machine.audio

    @property
    def session_id(self) -> str | None:
        return self.machine.session_id

    @property
    def closed(self) -> bool:
        self.server.settle()
        return bool(self.history) and isinstance(self.history[-1], ClosedEvent)

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

    def provide(self, value: bytes | None) -> None:
        self.machine.provide(self.need, value)
        self.server.settle()

    def due_in(self) -> float | None:
        self.server.settle()
        return None if self.armed is None else self.armed - self.server.clock.now

    def told(self) -> list[str]:
        """What was told since the last time, Init left out."""
        self.server.settle()
        taken = self.history[self._told :]
        self._told = len(self.history)
        return [line(each) for each in taken if not isinstance(each, InitEvent)]

    def sent(self) -> list[str]:
        """What was sent since the last time."""
        self.server.settle()
        taken = self.output[self._sent :]
        self._sent = len(self.output)
        found: list[str] = []
        for each in taken:
            found += self._lines(each) if isinstance(each, bytes) else [line(each)]
        return found

    def _lines(self, body: bytes) -> list[str]:
        kind = self.headers.get("content-type", "")
        if kind.startswith(TEXT):
            assert body.endswith(b"\n")
            return body.decode().removesuffix("\n").split("\n")
        return [line_of_frame(each) for each in frames_of(body, kind)]

    def forget(self) -> Request:
        self.told()
        self.sent()
        return self

    @property
    def head(self) -> ResponseHead:
        """Of the response."""
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
        names = [name.lower() for name, _ in self.head.headers]
        assert len(names) == len(set(names))
        return dict(zip(names, (value for _, value in self.head.headers), strict=True))

    @property
    def cookie(self) -> str | None:
        """The session id that the response gives the client."""
        found = self.headers.get("set-cookie")
        return None if found is None else found.partition(";")[0].removeprefix(f"{COOKIE}=")

    @property
    def body(self) -> bytes:
        self.server.settle()
        return b"".join(each for each in self.output if isinstance(each, bytes))

    @property
    def frames(self) -> list[Frame]:
        """The events in the response, as dicts."""
        return frames_of(self.body, self.headers["content-type"])

    def everything(self) -> tuple[object, ...]:
        """All that a refused call must leave alone."""
        end = self.machine
        return (
            *(end.state, end.audio, end.session_id, end.next_deadline(), end.init, end.dropped, end.full),
            *(end._question, end._answered, end._status, end._running, len(self.history), len(self.output)),
            *(repr(end.session), dict(self.server.sessions._kept), self.server.sessions.waiting),
        )


class Server:
    """A server: its sessions, its clock, and the requests under way.

    Args:
        stored: the host keeps the sessions.
        sessions: other arguments of `Sessions`.
        kw: of every request's machine.
    """

    def __init__(self, *, stored: bool = False, sessions: dict[str, Any] | None = None, **kw: Any) -> None:
        self.clock = ManualClock()
        self.sessions = Sessions(stored=stored, clock=self.clock, **(sessions or {}))
        self.make_id: Callable[[], str] = (f"s{number}" for number in itertools.count(1)).__next__
        self.kw = kw
        self.requests: list[Request] = []

    def open(self, head: RequestHead | None, **kw: Any) -> Request:
        request = Request(self, **{**self.kw, **kw})
        self.requests.append(request)
        return request if head is None else request.receive(head)

    def put(
        self,
        *pieces: Message | Frame,
        content_type: str | None = JSON,
        cookie: str | None = None,
        query: dict[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        owner: dict[str, str] = OWNER,
        **kw: Any,
    ) -> Request:
        """A PUT with what has come of its body so far."""
        head = put_head(content_type, cookie=cookie, query=query, headers=headers, owner=owner)
        return self.open(head, **kw).receive(*pieces)

    def say(self, text: str = "hello", cookie: str | None = None, **kw: Any) -> Request:
        """A PUT of JSON with one Input, whole."""
        return self.put(said(text), END, cookie=cookie, **kw)

    def get(self, cookie: str | None, *, accept: str | None = None, owner: dict[str, str] = OWNER) -> Request:
        return self.open(get_head(cookie, accept, owner=owner)).receive(END)

    def converse(self, cookie: str = "a", owner: dict[str, str] = OWNER, **members: Any) -> Session:
        """Have a turn of a session, from its input to its Response."""
        request = self.say(cookie=cookie, owner=owner)
        request.turn.finish(**members)
        self.settle()
        assert request.closed
        return request.turn.session

    def settle(self) -> None:
        """Run the loops of those that were woken."""
        while woken := [each for each in self.requests if each.woken]:
            for each in woken:
                each.step()

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline that was armed."""
        until = self.clock.now + seconds
        self.settle()
        while True:
            due = [each for each in self.requests if each.armed is not None and each.armed <= until]
            if not due:
                break
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
        assert self.sessions.waiting == 0


# ------------------------------------------------------------ what always holds


def check(request: Request) -> None:
    """What must hold of every request that is over."""
    closings = [each for each in request.history if isinstance(each, ClosedEvent)]
    assert len(closings) == 1
    assert request.history[-1] is closings[0]
    assert request.machine.closed
    assert request.state is State.CLOSED
    assert request.machine.next_deadline() is None
    heads = [each for each in request.output if isinstance(each, ResponseHead)]
    ends = [each for each in request.output if each is END or isinstance(each, Close)]
    assert len(ends) <= 1
    assert not ends or request.output[-1] is ends[0]
    assert not request.output or heads == request.output[:1] or isinstance(request.output[0], Close)
    if heads:
        assert heads[0].header("Cache-Control") == "no-store"
        body = b"".join(each for each in request.output if isinstance(each, bytes))
        assert not (heads[0].status == 204 and body)
        assert heads[0].status != 204 or heads[0].header("Content-Type") is None
        assert heads[0].status < 400 or not ends or body
        assert heads[0].status == 200 or heads[0].header("Set-Cookie") is None
    elif not request.gone and not ends:
        raise AssertionError("the request was neither answered nor broken off")
    inputs = [each for each in request.history if isinstance(each, InputEvent)]
    cut = [each.number for each in request.history if isinstance(each, TurnInterruptedEvent)]
    assert len(cut) == len(set(cut))
    for turn in request.turns:
        assert turn.over
    for stream in request.streams:
        assert stream.over
    if inputs and not cut and ends == [END] and heads[0].header("Content-Type") == JSON:
        ways = [each["type"] for each in request.frames]
        assert sum(each in ("Response", "Error") for each in ways) == 1
        assert ways[-1] in ("Response", "Error")
    assert all(isinstance(each.data, bytes) for each in request.history if isinstance(each, BinaryEvent))


def refused(request: Request, call: Callable[[], object], error: type = LocalProtocolError) -> None:
    """The call raises, says what is legal instead, and changes nothing."""
    request.forget()
    before = request.everything()
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    if isinstance(caught.value, LocalProtocolError) and error is LocalProtocolError:
        assert caught.value.legal
    assert request.everything() == before
    assert (request.told(), request.sent()) == ([], [])

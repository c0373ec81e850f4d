"""Small hosts for the machines of Socket V1: JSON frames in as dicts, everything out as short lines.

A line says what a frame or an event is, so that whole exchanges compare as lists: ``Input hello``,
``Response 'a' 'b' ended``, ``Recognized final yes``, ``TurnInterrupted 1 input``, ``Close 1000``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowstorm_channel.channel import Channel
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ConnectionFailedEvent,
    ConnectionLostEvent,
    Event,
    FaultEvent,
    InitEvent,
    SessionExpiredEvent,
    TurnInterruptedEvent,
    UnknownEvent,
)
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead

Frame = dict[str, Any]

CODEC = JsonCodec()

# ------------------------------------------------------------ frames of a client


def init(**config: Any) -> Frame:
    return {"type": "Init", "key": "K", "deviceId": "D", "config": {"sendResponseItems": True, **config}}


def said(text: str = "hello") -> Frame:
    return {"type": "Input", "input": {"transcript": {"text": text}}}


def request(text: str = "hello", session_id: str = "R", **members: Any) -> Frame:
    inside = {"appKey": "K", "deviceId": "D", "sessionId": session_id, "attributes": {}, **members}
    return {"type": "Request", "request": {"input": {"transcript": {"text": text}}, **inside}}


OPEN: Frame = {"type": "InputAudioStreamOpen"}
CLOSE: Frame = {"type": "InputAudioStreamClose"}
CANCEL: Frame = {"type": "InputAudioStreamCancel"}
LOG: Frame = {"type": "Log", "entries": []}
VOTE: Frame = {"type": "Vote", "vote": 1}
ENDED: Frame = {"type": "SessionEnded"}
NEW: Frame = {"type": "Novelty", "x": 1}

# ------------------------------------------------------------ frames of a server

READY: Frame = {"type": "Ready"}
ERROR: Frame = {"type": "Error", "text": "no"}


def item(text: str = "part", **members: Any) -> Frame:
    return {"type": "ResponseItem", "responseItem": {"text": text, **members}}


def response(*texts: str, **members: Any) -> Frame:
    return {"type": "Response", "response": {"items": [{"text": text} for text in texts], **members}}


def recognized(text: str = "yes", *, final: bool) -> Frame:
    return {"type": "Recognized", "text": text, "isFinal": final}


def started(session_id: str = "S") -> Frame:
    return {"type": "SessionStarted", "sessionId": session_id}


# ------------------------------------------------------------ lines


def line(what: Event | Message | Frame) -> str:
    """What a frame or an event is, on one line."""
    match what:
        case RequestHead():
            return "connect"
        case ResponseHead():
            return str(what.status)
        case Close():
            return f"Close {int(what.code)}"
        case bytes():
            return f"audio {len(what)}" if what else "keep-alive"
        case str():
            return _line_of_frame(json.loads(what))
        case dict():
            return _line_of_frame(what)
        case BinaryEvent():
            return line(what.data)
        case UnknownEvent():
            return what.type
        case TurnInterruptedEvent():
            return f"TurnInterrupted {what.number} {what.reason}"
        case SessionExpiredEvent():
            return f"SessionExpired {what.session_id}"
        case FaultEvent():
            return "Fault"
        case ClosedEvent():
            return f"Closed {what.code}"
        case ConnectionFailedEvent():
            return f"ConnectionFailed {what.code}"
        case ConnectionLostEvent():
            return "ConnectionLost"
    return _line_of_frame(json.loads(CODEC.encode(what)))


def _line_of_frame(frame: Frame) -> str:
    kind = frame["type"]
    match kind:
        case "Input":
            return f"Input {frame['input']['transcript']['text']}"
        case "Request":
            inside = frame["request"]
            return f"Request {inside['input']['transcript']['text']} of {inside['sessionId']}"
        case "Recognized":
            return f"Recognized {'final' if frame['isFinal'] else 'interim'} {frame['text']}"
        case "ResponseItem":
            return f"ResponseItem {frame['responseItem']['text']!r}"
        case "SessionStarted":
            return f"SessionStarted {frame['sessionId']}"
        case "InputAudioStreamOpen" if frame.get("sessionId"):
            return f"InputAudioStreamOpen of {frame['sessionId']}"
        case "Response":
            inside = frame["response"]
            words = ["Response", *(repr(each["text"]) for each in inside.get("items", ()))]
            if inside.get("sessionEnded"):
                words.append("ended")
            if inside.get("sleepTimeout"):
                words.append(f"sleeps {inside['sleepTimeout']}")
            return " ".join(words)
    return str(kind)


def lines(whats: list[Any]) -> list[str]:
    return [line(what) for what in whats]


# ------------------------------------------------------------ hosts


class Host:
    """Drives one end; what it is told and what it sends pile up until they are taken."""

    channel: Channel

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.frames: list[Message] = []
        self.on_event: Callable[[Event], None] | None = None

    @property
    def state(self) -> State:
        return self.channel.state

    @property
    def audio(self) -> Audio:
        return self.channel.audio

    def step(self) -> None:
        """Take events first, then flush, as every host does."""
        self.tell()
        self.flush()

    def tell(self) -> None:
        for event in self.channel.events():
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)

    def flush(self) -> None:
        self.frames += self.channel.data_to_send()

    def feed(self, *messages: Message | Frame) -> None:
        """Hand messages to the machine, and nothing more."""
        for message in messages:
            self.channel.receive_data(json.dumps(message) if isinstance(message, dict) else message)

    def receive(self, *messages: Message | Frame) -> None:
        self.feed(*messages)
        self.step()

    def lost(self) -> None:
        self.channel.receive_eof()
        self.step()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.step()

    def told(self) -> list[str]:
        """What was told since the last time."""
        self.step()
        taken, self.events = self.events, []
        return lines(taken)

    def sent(self) -> list[str]:
        """What was sent since the last time."""
        self.step()
        return lines(self.sent_messages())

    def sent_messages(self) -> list[Message]:
        self.step()
        taken, self.frames = self.frames, []
        return taken

    def sent_frames(self) -> list[Frame]:
        """The same as dicts; only text frames may be among it."""
        return [json.loads(frame) for frame in self.sent_messages() if isinstance(frame, str)]

    def forget(self) -> None:
        """Take all so far."""
        self.step()
        self.events, self.frames = [], []

    def everything(self) -> tuple[object, ...]:
        """All of this end that a refused call, or a word without effect, must leave alone."""
        raise NotImplementedError

    def due_in(self) -> float | None:
        due = self.channel.next_deadline()
        return None if due is None else due - self.clock.now


def refused(host: Host, call: Callable[[], object], error: type = LocalProtocolError) -> None:
    """The call raises, says what is legal instead, and changes nothing."""
    before = host.everything()
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    if error is LocalProtocolError:
        assert caught.value.legal
    assert host.everything() == before
    assert host.told() == []
    assert host.sent() == []


class ServerHost(Host):
    """A server with a host that accepts every Init, unless told otherwise."""

    def __init__(self, *, accept: bool = True, opened: bool = True, **kw: Any) -> None:
        super().__init__()
        ids = (f"s{number}" for number in itertools.count(1))
        self.server = self.channel = SocketV1Server(clock=self.clock, make_id=ids.__next__, **kw)
        self.accept = accept
        if opened:
            self.receive(RequestHead(url="/socket"))

    def tell(self) -> None:
        for event in self.server.events():
            self.events.append(event)
            if isinstance(event, InitEvent) and self.accept:
                self.server.ready()
            if self.on_event is not None:
                self.on_event(event)

    def everything(self) -> tuple[object, ...]:
        end = self.server
        return end.state, end.audio, end.session_id, end.next_deadline(), end.init, end.dropped

    @property
    def turn(self) -> Turn:
        return self.server.turn

    @property
    def stream(self) -> AudioStream:
        return self.server.stream

    def listen(self) -> AudioStream:
        """Have the client open its stream, and acknowledge."""
        self.receive(OPEN)
        self.stream.ready()
        self.forget()
        return self.stream


def server_in(state: State, *, config: Frame | None = None, **kw: Any) -> ServerHost:
    """A server that was brought into a state; nothing of the way there is left to take.

    Session ``s1`` is in force from Listening on; none is in Sleeping. Turn 1 runs from Processing on.
    """
    host = ServerHost(**kw)
    if state is not State.OPEN:
        host.receive(init(**(config or {})))
    if state in (State.LISTENING, State.PROCESSING, State.RESPONDING):
        host.receive(said("first"))
    if state is State.LISTENING:
        host.turn.finish()
    if state is State.RESPONDING:
        host.turn.say("begun")
    host.forget()
    assert host.state is state
    return host


def sleeping_session(seconds: int = 60, **kw: Any) -> ServerHost:
    """A server in Sleeping whose session ``s1`` sleeps."""
    host = server_in(State.PROCESSING, **kw)
    host.turn.finish(sleep_timeout=seconds)
    host.forget()
    assert host.state is State.SLEEPING
    return host


class ClientHost(Host):
    """A client; its transport is opened by `connect`."""

    def __init__(
        self,
        *,
        config: ClientConfig | None = None,
        requests: bool = False,
        **kw: Any,
    ) -> None:
        super().__init__()
        ids = (f"c{number}" for number in itertools.count(1))
        settings = {} if config is None else {"config": config}
        self.client = self.channel = SocketV1Client(
            "ws://host/socket",
            key="K",
            device_id="D",
            clock=self.clock,
            make_id=ids.__next__,
            requests=requests,
            **settings,
            **kw,
        )

    def everything(self) -> tuple[object, ...]:
        end = self.client
        return end.state, end.audio, end.session_id, end.next_deadline(), end._turn, end.init

    def connect(self, *headers: tuple[str, str]) -> ClientHost:
        self.client.open()
        self.step()
        self.receive(ResponseHead(status=101, headers=headers))
        return self

    def ready(self) -> ClientHost:
        self.connect()
        self.receive(READY)
        return self

    def ack(self) -> None:
        self.receive(OPEN)


def client_in(state: State, **kw: Any) -> ClientHost:
    """A client that was brought into a state; nothing of the way there is left to take.

    Session ``S`` is held from Listening on; none is in Sleeping. From Processing on turn 2 is open; in
    Responding and Paused one part of it, playable, has come.
    """
    host = ClientHost(**kw)
    if state is State.CLOSED:
        return host
    host.connect()
    if state is State.FAILED:
        host.lost()
    elif state is not State.OPEN:
        host.receive(READY)
    if state in (State.LISTENING, State.PROCESSING, State.RESPONDING, State.PAUSED):
        host.client.say("first")
        host.receive(started(), response())
    if state in (State.PROCESSING, State.RESPONDING, State.PAUSED):
        host.client.say("second")
    if state in (State.RESPONDING, State.PAUSED):
        host.receive(item())
    if state is State.PAUSED:
        host.client.pause()
    host.forget()
    assert host.state is state
    return host


def decoded(messages: list[Message]) -> Iterator[Event]:
    """The events in messages, JSON or msgpack."""
    msgpack = MsgpackCodec()
    for message in messages:
        if isinstance(message, str):
            yield CODEC.decode(message)
        elif isinstance(message, bytes) and message:
            yield msgpack.decode(message)

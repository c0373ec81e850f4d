"""Conversations of our own machines as they are recorded at either end."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flowstorm_channel.client import ClientChannel
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    Event,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ResponseEvent,
    ResponseItemEvent,
)
from flowstorm_channel.server import AudioStream, ServerChannel, Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.trace import Record
from flowstorm_channel.values import ClientConfig, LogEntry
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead
from tests.walk import GONE, Connection, Setup, Walk

GIVEN_UP = Close(CloseCode.ABNORMAL)


class Recording:
    """What each end saw."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seen: dict[str, list[Record]] = {"client": [], "server": []}
        self._clock = clock

    def note(self, end: str, wire: int, by: str, message: Message) -> None:
        """One end has sent or got something."""
        self.seen[end].append(Record(at=self._clock(), wire=wire, by=by, message=message))  # type: ignore[arg-type]


def other(end: str) -> str:
    return "server" if end == "client" else "client"


class RecordedLink(Link):
    """A WebSocket after the other."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.recording = Recording(self.clock)
        self._number = -1

    def _record(self, end: str, what: Event | Message) -> None:
        super()._record(end, what)
        if not isinstance(what, Event):
            self._number += isinstance(what, RequestHead)
            self.recording.note(end, self._number, end, what)

    def deliver(self, end: str, count: int = 1) -> None:
        flight = self.to_client if end == "client" else self.to_server
        for _ in range(min(count, len(flight))):
            if flight:
                self.recording.note(end, self._number, other(end), flight[0])
                super().deliver(end)


class RecordedHttpLink(HttpLink):
    """Requests, some of them at the same time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.recording = Recording(self.clock)
        self._numbers: list[Any] = []

    def _note(self, end: str, wire: Any, by: str, message: Message) -> None:
        self.recording.note(end, self._numbers.index(wire), by, message)

    def _send(self, exchange: Any, message: Message) -> None:
        wires = [each for each in self._wires if each.exchange is exchange]
        super()._send(exchange, message)
        if isinstance(message, RequestHead):
            wires = [each for each in self._wires if each.exchange is exchange]
            self._numbers += wires
        for wire in wires:
            self._note("client", wire, "client", message)
            if isinstance(message, Close):
                self._note("server", wire, "client", message)

    def flush(self, end: str) -> None:
        if end == "client":
            super().flush(end)
            return
        for wire in self._wires:
            for message in wire.server.data_to_send():
                self._record(end, message)
                self._note("server", wire, "server", message)
                wire.to_client.append(message)

    def deliver(self, end: str) -> tuple[RequestHead, Message] | None:
        for wire in self._wires:
            if flight := wire.to_server if end == "server" else wire.to_client:
                self._note(end, wire, other(end), flight[0])
                break
        return super().deliver(end)

    def cut(self) -> None:
        for wire in self._wires:
            for end in ("client", "server"):
                self._note(end, wire, other(end), GIVEN_UP)
        super().cut()


class RecordedWalk(Walk):
    """A walk of the machines of V1."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.recording = Recording(self.clock)

    def _client_put(self, message: Message) -> None:
        super()._client_put(message)
        self.recording.note("client", len(self.connections) - 1, "client", message)

    def _server_put(self, there: Connection, message: Message) -> None:
        super()._server_put(there, message)
        self.recording.note("server", there.number - 1, "server", message)

    def hand_over(self, end: str, there: Connection) -> bool:
        flight = there.to_client if end == "client" else there.to_server
        message = flight[0][1] if flight else None
        # What is still in flight to a server that knows of the loss has been lost.
        lost = end == "server" and (there.server._end is not None or there.server._finished)
        done = super().hand_over(end, there)
        if done and not lost:
            self.recording.note(end, there.number - 1, other(end), GIVEN_UP if message is GONE else message)  # type: ignore[arg-type]
        return done


# ------------------------------------------------------------ a walk of the machines of V2


class V2Walk:
    """A client and its servers, whose hosts do this and that.

    Args:
        rng: decides what.
    """

    MOVES = (
        *("say", "say", "microphone", "audio", "audio", "audio", "interim", "final", "close", "interrupt"),
        *(
            "answer",
            "item",
            "log",
            "cut",
            "wait",
            "wait",
            "settle",
            "settle",
            "settle",
            "step",
            "step",
            "step",
        ),
        *("recording", "error"),
    )

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.clock = ManualClock(1000.0)
        self.ids = 0
        self.prompt = rng.random() < 0.5
        self.turns: list[Turn] = []
        self.streams: list[AudioStream] = []
        sessions = Sessions(clock=self.clock)
        self.client = SocketV2Client(
            "http://walk/client",
            key="key",
            device_id="device",
            msgpack=rng.random() < 0.3,
            config=ClientConfig(send_response_items=rng.random() < 0.7),
            auto_microphone=rng.random() < 0.4,
            auto_start=rng.random() < 0.3,
            make_id=self._make_id,
            clock=self.clock,
        )
        self.link = RecordedHttpLink(
            self.client,
            lambda: SocketV2Server(sessions, clock=self.clock, make_id=self._make_id),
            self.clock,
        )
        self.link.on_event = {"server": self._server_told, "client": self._client_told}
        self.client.open()

    def _make_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    def _server_told(self, event: Event) -> None:
        server = self.link.server
        assert isinstance(server, ServerChannel)
        match event:
            case InitEvent() if self.rng.random() < 0.05:
                server.fail("no")
            case InitEvent():
                server.ready()
            case InputEvent():
                self.turns.append(server.turn)
                if self.prompt:
                    self._answer(server.turn)
            case InputAudioStreamOpenEvent():
                self.streams.append(server.stream)
                if self.rng.random() < 0.9:
                    server.stream.ready()

    def _client_told(self, event: Event) -> None:
        if isinstance(event, (ResponseEvent, ResponseItemEvent)) and self.rng.random() < 0.8:
            self.client.finish_playback()

    def _answer(self, turn: Turn) -> None:
        for _ in range(self.rng.randrange(3)):
            turn.say("a part")
        match self.rng.randrange(20):
            case 0 | 1 | 2:
                turn.finish(session_ended=True)
            case 3 | 4 | 5:
                turn.finish(sleep_timeout=5)
            case 6:
                turn.finish(locale="cs")
            case 7:
                turn.fail("it failed")
            case _:
                turn.finish()

    def move(self) -> None:
        """Do something, legal or not."""
        with suppress(LocalProtocolError):
            self._move(self.rng.choice(self.MOVES))
        self.link.flush("client")  # the machine wakes its driver

    def _move(self, what: str) -> None:
        client, link, rng = self.client, self.link, self.rng
        turn = self.turns[-1] if self.turns else None
        stream = self.streams[-1] if self.streams else None
        match what:
            case "say":
                client.say("hello")
            case "microphone":
                client.open_microphone()
            case "audio":
                client.send_audio(bytes(320))
            case "close":
                client.close_microphone()
            case "interrupt":
                client.interrupt()
            case "log":
                client.log(LogEntry(text="entry"))
            case "recording" if rng.random() < 0.3:
                client.send_recording(b"RIFF")
            case "cut" if rng.random() < 0.3:
                link.cut()
            case "wait":
                link.advance(rng.choice((0.2, 1.0, 3.0, 6.0)))
            case "settle":
                link.settle()
            case "step":
                link.deliver(rng.choice(("client", "server")))
                for end in ("client", "server"):
                    link.take_events(end)
                    link.flush(end)
            case "interim" if stream is not None:
                stream.recognized("he", final=False)
            case "final" if stream is not None:
                stream.recognized("hello", final=True)
            case "answer" if turn is not None:
                self._answer(turn)
            case "item" if turn is not None:
                turn.say("a part")
            case "error" if turn is not None and rng.random() < 0.2:
                turn.channel.fail("it broke")


def finish_playback(client: ClientChannel) -> Callable[[Event], None]:
    """A host that plays all at once."""

    def take(event: Event) -> None:
        if isinstance(event, ResponseEvent):
            client.finish_playback()

    return take

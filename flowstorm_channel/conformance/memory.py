"""Exact drivers in memory, on a clock moved by hand, for implementations that are this library's channels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import ClassVar, Protocol

from flowstorm_channel.channel import Exchange
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.conformance.drivers import ClientDriver, Driver, ServerDriver, Wire
from flowstorm_channel.conformance.verdicts import NotDeclared
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
)
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.values import LogEntry, ResponseItem
from flowstorm_channel.wire import END, Close, CloseCode, Message, RequestHead

__all__ = ["Host", "MemoryClientDriver", "MemoryServerDriver"]


class Host(Protocol):
    """What answers at a server."""

    def take(self, channel: ServerChannel, event: Event) -> None:
        """Act on what a channel tells."""

    def next_deadline(self) -> float | None:
        """When it will do something by itself: a time of the clock."""

    def run_due(self) -> None:
        """Do what is due."""


class _MemoryWire(Wire):
    """A transport to an exchange in memory."""

    def __init__(self, driver: _MemoryDriver, exchange: Exchange) -> None:
        self.exchange = exchange
        self.came: deque[Message] = deque()
        self.over = False
        self._driver = driver

    def send(self, message: Message) -> None:
        if self.over:
            return
        if isinstance(message, Close) and message.code == CloseCode.ABNORMAL:
            self.hang_up()
        else:
            self.exchange.receive_data(message)
        self._driver.settle()

    def hang_up(self) -> None:
        """The transport is gone."""
        self.over = True
        self.exchange.receive_eof()

    def receive(self) -> Message | None:
        return self.came.popleft() if self.came else None


class _MemoryDriver(Driver):
    exact: ClassVar[bool] = True
    at_a_time: ClassVar[float] = math.inf

    clock: ManualClock

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)

    def advance(self, ms: float) -> None:
        until = self.clock.now + ms / 1000
        acted = self.settle()
        while not acted and (due := self._next_deadline()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.now))
            acted = self.settle()
        if not acted:
            self.clock.advance(max(0.0, until - self.clock.now))
            self.settle()

    def settle(self) -> bool:
        """Let all ends act until nothing is left to do at this time; whether anything happened."""
        acted = False
        while self._step():
            acted = True
        return acted

    @abstractmethod
    def _step(self) -> bool:
        """Let each end act once; whether anything happened."""

    @abstractmethod
    def _deadlines(self) -> Iterator[float | None]:
        """Those of all that have some."""

    def _next_deadline(self) -> float | None:
        return min((due for due in self._deadlines() if due is not None), default=None)

    def _arrived(self, wire: _MemoryWire, message: Message) -> None:
        wire.came.append(message)


class MemoryServerDriver(_MemoryDriver, ServerDriver):
    """A server made of this library's channels, or of what is driven like them.

    Args:
        clock: moved by the kit.
        make_channel: makes the server's end of each transport.
        host: answers what the channels tell.
    """

    def __init__(self, clock: ManualClock, make_channel: Callable[[], ServerChannel], host: Host) -> None:
        super().__init__(clock)
        self._make_channel = make_channel
        self._host = host
        self._wires: list[tuple[ServerChannel, _MemoryWire]] = []

    def connect(self, head: RequestHead) -> Wire:
        channel = self._make_channel()
        wire = _MemoryWire(self, channel)
        self._wires.append((channel, wire))
        wire.send(head)
        return wire

    def close(self) -> None:
        for _, wire in self._wires:
            wire.send(Close(CloseCode.ABNORMAL))

    def _step(self) -> bool:
        acted = False
        self._host.run_due()
        for channel, wire in tuple(self._wires):
            for event in channel.events():
                acted = True
                self._host.take(channel, event)
            for message in channel.data_to_send():
                acted = True
                if not wire.over:
                    self._arrived(wire, message)
                    if message is END or isinstance(message, Close):
                        wire.hang_up()
        return acted

    def _deadlines(self) -> Iterator[float | None]:
        yield self._host.next_deadline()
        for channel, _ in self._wires:
            yield channel.next_deadline()


class MemoryClientDriver(_MemoryDriver, ClientDriver):
    """A client that is a channel of this library, or is driven like one.

    Args:
        clock: moved by the kit.
        client: what is checked.
        plays_at_once: what comes has been played as soon as it is told; else the kit says when.
    """

    def __init__(self, clock: ManualClock, client: ClientChannel, *, plays_at_once: bool = False) -> None:
        super().__init__(clock)
        self._client = client
        self._plays_at_once = plays_at_once
        self._opened: deque[_MemoryWire] = deque()
        self._wires: list[tuple[Exchange, _MemoryWire]] = []
        self._shown: list[str | bytes] = []
        client.open()

    def accept(self) -> Wire | None:
        self.settle()
        return self._opened.popleft() if self._opened else None

    def act(self, action: str, value: str | bytes = "") -> None:
        self.settle()
        with suppress(LocalProtocolError):  # a user can press any button; a client does not let it happen
            self._act(action, value)
        self.settle()

    def shown(self) -> Sequence[str | bytes]:
        self.settle()
        return tuple(self._shown)

    def close(self) -> None:
        self._client.close()

    def _act(self, action: str, value: str | bytes) -> None:
        client = self._client
        match action, value:
            case "say", str():
                client.say(value)
            case "speak", bytes():
                client.send_audio(value)
            case "log", _:
                client.log(LogEntry(text=str(value)))
            case "vote", _:
                client.vote(client.turn, 1)
            case "end_session", _:
                client.send(SessionEndEvent())
            case (
                "interrupt"
                | "open_microphone"
                | "close_microphone"
                | "finish_playback"
                | "pause"
                | "resume"
                | "close",
                _,
            ):
                getattr(client, action)()
            case _:
                raise NotDeclared(f"this driver cannot {action}")

    def _step(self) -> bool:
        acted = False
        for event in self._client.events():
            acted = True
            self._play(event)
        for exchange in self._client.exchanges:
            for message in exchange.data_to_send():
                acted = True
                self._sent(exchange, message)
        return acted

    def _play(self, event: Event) -> None:
        match event:
            case ResponseItemEvent():
                self._show(event.response_item)
            case BinaryEvent():
                self._shown.append(event.data)
            case ErrorEvent():
                self._shown.append(event.text)
            case ResponseEvent():
                for item in event.response.items:
                    self._show(item)
                if self._plays_at_once:
                    self._client.finish_playback()

    def _show(self, item: ResponseItem) -> None:
        if item.text:
            self._shown.append(item.text)

    def _sent(self, exchange: Exchange, message: Message) -> None:
        if isinstance(message, RequestHead):
            wire = _MemoryWire(self, exchange)
            self._wires.append((exchange, wire))
            self._opened.append(wire)
        wire = next(wire for each, wire in reversed(self._wires) if each is exchange)
        if not wire.over:
            self._arrived(wire, message)
            if isinstance(message, Close):
                wire.hang_up()

    def _deadlines(self) -> Iterator[float | None]:
        yield self._client.next_deadline()

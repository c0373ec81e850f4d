"""A client and its servers joined in memory: by a WebSocket, or by HTTP requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from flowstorm_channel.channel import Channel, Exchange
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.events import Event
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.wire import END, Close, Message, RequestHead

__all__ = ["HttpLink", "Link", "Step"]


class Step(NamedTuple):
    """Something that happened on a link.

    Args:
        at: when, in seconds of the clock.
        by: the end that did it: ``client`` or ``server``.
        what: the event it was told, or the message it put on the transport.
    """

    at: float
    by: str
    what: Event | Message


class _Joint(ABC):
    """What both kinds of link share: time, and going on until all is quiet."""

    def __init__(self, client: Channel, clock: ManualClock) -> None:
        self.client = client
        self.clock = clock
        self.steps: list[Step] = []
        """Everything that was told or sent, in order."""
        self.on_event: dict[str, Callable[[Event], None]] = {}
        """The hosts: what the ``client`` and the ``server`` do with an event they are told."""

    @abstractmethod
    def take_events(self, end: str) -> list[Event]:
        """Let an end tell its host what it has to tell.

        Args:
            end: ``client`` or ``server``.
        """

    @abstractmethod
    def flush(self, end: str) -> None:
        """Put into flight what an end has to send."""

    @abstractmethod
    def _deliver_all(self, end: str) -> None:
        """Hand over all that is in flight towards an end."""

    @abstractmethod
    def _in_flight(self) -> bool:
        """Whether anything is."""

    @abstractmethod
    def _channels(self) -> Iterable[Channel]:
        """All that may have deadlines."""

    def settle(self) -> None:
        """Deliver, tell and send until nothing is left to do at this time."""
        while True:
            before = len(self.steps)
            for end in ("client", "server"):
                self._deliver_all(end)
                self.take_events(end)
                self.flush(end)
            if len(self.steps) == before and not self._in_flight():
                return

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline on the way."""
        until = self.clock.now + seconds
        self.settle()
        while (due := self.next_deadline()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.now))
            self.settle()
        self.clock.advance(max(0.0, until - self.clock.now))
        self.settle()

    def events(self, end: str) -> Iterator[Event]:
        """All events that an end was told so far."""
        return (step.what for step in self.steps if step.by == end and isinstance(step.what, Event))

    def next_deadline(self) -> float | None:
        """The earliest of all deadlines."""
        every = [channel.next_deadline() for channel in self._channels()]
        return min((due for due in every if due is not None), default=None)

    def _tell(self, end: str, channel: Channel) -> list[Event]:
        told = []
        for event in channel.events():
            self._record(end, event)
            told.append(event)
            if end in self.on_event:
                self.on_event[end](event)
        return told

    def _record(self, end: str, what: Event | Message) -> None:
        self.steps.append(Step(self.clock.now, end, what))


class Link(_Joint):
    """Carries messages between a client and the servers it connects to, on a clock moved by hand.

    Messages stay in flight until they are delivered, so that a test can let them cross. `settle` delivers
    everything and lets both ends act until nothing is left to do; `advance` does that while time passes.

    Args:
        client: the client's channel.
        make_server: makes the server's channel for each connection; returning None refuses it.
        clock: of both ends.
    """

    def __init__(
        self, client: Channel, make_server: Callable[[], Channel | None], clock: ManualClock
    ) -> None:
        super().__init__(client, clock)
        self.server: Channel | None = None
        """The server of the connection that is up, if one is."""
        self.to_server: deque[Message] = deque()
        """What is in flight towards the server."""
        self.to_client: deque[Message] = deque()
        """What is in flight towards the client."""
        self._make_server = make_server

    # -------------------------------------------------------- one step at a time

    def take_events(self, end: str) -> list[Event]:
        channel = self.client if end == "client" else self.server
        return [] if channel is None else self._tell(end, channel)

    def flush(self, end: str) -> None:
        if end == "client":
            for message in self.client.data_to_send():
                self._record(end, message)
                if isinstance(message, RequestHead):
                    self._end_connection()
                    self.server = self._make_server()
                    if self.server is None:
                        self.client.receive_eof()
                        continue
                self.to_server.append(message)
        elif self.server is not None:
            for message in self.server.data_to_send():
                self._record(end, message)
                self.to_client.append(message)

    def deliver(self, end: str, count: int = 1) -> None:
        """Hand over messages that are in flight towards an end.

        Args:
            end: ``client`` or ``server``: who gets them.
            count: how many at most.
        """
        flight, channel = (self.to_client, self.client) if end == "client" else (self.to_server, self.server)
        for _ in range(min(count, len(flight))):
            message = flight.popleft()
            if channel is not None:
                channel.receive_data(message)
                if isinstance(message, Close):
                    flight.clear()
                    self._closed_by_peer(end)
                    return

    def cut(self) -> None:
        """The transport is lost, with all that was in flight."""
        self._end_connection()
        self.client.receive_eof()

    # -------------------------------------------------------- until all is quiet

    def _deliver_all(self, end: str) -> None:
        self.deliver(end, len(self.to_client) + len(self.to_server))

    def _in_flight(self) -> bool:
        return bool(self.to_client or self.to_server)

    def _channels(self) -> Iterable[Channel]:
        return (self.client,) if self.server is None else (self.client, self.server)

    def _end_connection(self) -> None:
        """The server's side of the connection that there was is gone; its host may still be told so."""
        self.to_server.clear()
        self.to_client.clear()
        if self.server is not None:
            self.server.receive_eof()
            self.take_events("server")

    def _closed_by_peer(self, end: str) -> None:
        """A close frame was answered: the other end has no transport any more either."""
        other = self.server if end == "client" else self.client
        if other is not None:
            other.receive_eof()


class _Wire:
    """One request in the air."""

    def __init__(self, head: RequestHead, exchange: Exchange, server: Channel) -> None:
        self.head = head
        self.exchange = exchange
        self.server = server
        self.to_server: deque[Message] = deque()
        self.to_client: deque[Message] = deque()


class HttpLink(_Joint):
    """Carries HTTP requests between a client and the servers that answer them, each a new one.

    Args:
        client: the client's channel.
        make_server: makes the server's channel for each request; returning None refuses the connection.
        clock: of all of them.
    """

    def __init__(
        self, client: ClientChannel, make_server: Callable[[], Channel | None], clock: ManualClock
    ) -> None:
        super().__init__(client, clock)
        self.server: Channel | None = None
        """The server that is being told something."""
        self._client = client
        self._make_server = make_server
        self._wires: list[_Wire] = []

    @property
    def servers(self) -> tuple[Channel, ...]:
        """Those of the requests that are under way, the oldest first."""
        return tuple(wire.server for wire in self._wires)

    def take_events(self, end: str) -> list[Event]:
        if end == "client":
            return self._tell(end, self.client)
        told = []
        for wire in tuple(self._wires):
            self.server = wire.server
            told += self._tell(end, wire.server)
        return told

    def flush(self, end: str) -> None:
        if end == "client":
            for exchange in self._client.exchanges:
                for message in exchange.data_to_send():
                    self._record(end, message)
                    self._send(exchange, message)
        else:
            for wire in self._wires:
                for message in wire.server.data_to_send():
                    self._record(end, message)
                    wire.to_client.append(message)

    def cut(self) -> None:
        """All requests are lost, with all that was in flight."""
        wires, self._wires = self._wires, []
        for wire in wires:
            wire.exchange.receive_eof()
            self._hang_up(wire)

    def _send(self, exchange: Exchange, message: Message) -> None:
        if isinstance(message, RequestHead):
            server = self._make_server()
            if server is None:
                exchange.receive_eof()
                return
            self._wires.append(_Wire(message, exchange, server))
        for wire in tuple(self._wires):
            if wire.exchange is exchange:
                if isinstance(message, Close):
                    self._wires.remove(wire)
                    self._hang_up(wire)
                else:
                    wire.to_server.append(message)

    def _hang_up(self, wire: _Wire) -> None:
        """The server's side of a request that is over; its host may still be told so."""
        wire.server.receive_eof()
        self.server = wire.server
        self._tell("server", wire.server)

    def deliver(self, end: str) -> tuple[RequestHead, Message] | None:
        """Hand over one message that is in flight towards an end, that of the oldest request first.

        Args:
            end: ``client`` or ``server``: who gets it.

        Returns:
            The head of its request, and the message; None when nothing is in flight.
        """
        for wire in self._wires:
            flight = wire.to_server if end == "server" else wire.to_client
            if flight:
                message = flight.popleft()
                if end == "server":
                    wire.server.receive_data(message)
                else:
                    self._answer(wire, message)
                return wire.head, message
        return None

    def _answer(self, wire: _Wire, message: Message) -> None:
        if isinstance(message, Close):
            wire.exchange.receive_eof()
        else:
            wire.exchange.receive_data(message)
        if message is END or isinstance(message, Close):
            # A server has ended its response when its request has ended, or it does not want the rest.
            self._wires.remove(wire)
            self._hang_up(wire)

    def _deliver_all(self, end: str) -> None:
        while self.deliver(end) is not None:
            pass

    def _in_flight(self) -> bool:
        return any(wire.to_server or wire.to_client for wire in self._wires)

    def _channels(self) -> Iterable[Channel]:
        return (self.client, *self.servers)

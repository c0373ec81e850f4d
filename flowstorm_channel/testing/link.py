"""A client and a server, or any two ends of a WebSocket, joined in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from flowstorm_channel.channel import Channel
from flowstorm_channel.events import Event
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.wire import Close, Message, RequestHead

__all__ = ["Link", "Step"]


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


class Link:
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
        self.client = client
        self.clock = clock
        self.server: Channel | None = None
        """The server of the connection that is up, if one is."""
        self.to_server: deque[Message] = deque()
        """What is in flight towards the server."""
        self.to_client: deque[Message] = deque()
        """What is in flight towards the client."""
        self.steps: list[Step] = []
        """Everything that was told or sent, in order."""
        self.on_event: dict[str, Callable[[Event], None]] = {}
        """The hosts: what the ``client`` and the ``server`` do with an event they are told."""
        self._make_server = make_server

    # -------------------------------------------------------- one step at a time

    def take_events(self, end: str) -> list[Event]:
        """Let an end tell its host what it has to tell.

        Args:
            end: ``client`` or ``server``.
        """
        channel = self.client if end == "client" else self.server
        told = []
        for event in channel.events() if channel is not None else ():
            self._record(end, event)
            told.append(event)
            if end in self.on_event:
                self.on_event[end](event)
        return told

    def flush(self, end: str) -> None:
        """Put into flight what an end has to send."""
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

    def settle(self) -> None:
        """Deliver, tell and send until nothing is left to do at this time."""
        while True:
            before = len(self.steps)
            for end in ("client", "server"):
                self.deliver(end, len(self.to_client) + len(self.to_server))
                self.take_events(end)
                self.flush(end)
            if len(self.steps) == before and not self.to_client and not self.to_server:
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
        """The earlier of both ends' deadlines."""
        both = [self.client.next_deadline(), self.server.next_deadline() if self.server else None]
        return min((due for due in both if due is not None), default=None)

    def _record(self, end: str, what: Event | Message) -> None:
        self.steps.append(Step(self.clock.now, end, what))

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

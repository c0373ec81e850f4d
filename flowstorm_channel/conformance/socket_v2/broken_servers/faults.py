"""What the proof of the kit for V2 servers stands on: one without a fault, and the means to make faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import REFUSED_KEY, ReferenceHost
from flowstorm_channel.conformance.socket_v2.server.suite import SUITE
from flowstorm_channel.conformance.suite import BrokenPeer
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.wire import Message, RequestHead, ResponseHead

__all__ = [
    *("OTHER", "Faulty", "Waits", "fault", "having", "query_of", "reference", "refuse_malformed"),
    *("with_query", "without"),
]


H = TypeVar("H", RequestHead, ResponseHead)


def reference(
    clock: ManualClock, make_channel: Callable[..., SocketV2Server] = SocketV2Server
) -> MemoryServerDriver:
    """A server without a fault, or with one.

    Args:
        clock: moved by the kit.
        make_channel: makes the machine of each request.
    """
    sessions = Sessions(clock=clock)
    return MemoryServerDriver(clock, lambda: make_channel(sessions, clock=clock), ReferenceHost(clock))


SUITE.proved_by(
    reference,
    Profile(
        declared={"echo", "end", "sleep", "long", "fail", "video", "command", "count"}
        | {"speech", "interim", "refuse", "msgpack"},
        refused_key=REFUSED_KEY,
    ),
)


def fault(name: str) -> Callable[[type[Faulty]], type[Faulty]]:
    """Decorates a server with a fault; its docstring says what it does wrong."""

    def take(cls: type[Faulty]) -> type[Faulty]:
        text = (cls.__doc__ or "").strip()
        SUITE.breaks(BrokenPeer(name=name, text=text, make_driver=lambda clock: reference(clock, cls)))
        return cls

    return take


class Faulty(SocketV2Server):
    """A server that understands, or says, something else than what stands on the wire."""

    def receive_data(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            message = self._asked(message)
        elif isinstance(message, bytes):
            message = self._taken_for(message)
        super().receive_data(message)

    def data_to_send(self) -> Iterator[Message]:
        for message in super().data_to_send():
            yield from self._given(message)

    def _asked(self, head: RequestHead) -> RequestHead:
        """What it takes the head of a request for."""
        return head

    def _taken_for(self, piece: bytes) -> bytes:
        """What it takes a piece of a body for."""
        return piece

    def _given(self, message: Message) -> Iterable[Message]:
        """What it sends in the place of a message."""
        return (self._answered_with(message) if isinstance(message, ResponseHead) else message,)

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        """What it sends in the place of the head of a response."""
        return head


class Waits(Faulty):
    """What waits for another time than it should."""

    FOR: ClassVar[str]
    SECONDS: ClassVar[float | None]

    def _limit(self, name: str) -> float | None:
        return self.SECONDS if name == self.FOR else super()._limit(name)


# ------------------------------------------------------------ means


OTHER = "application/octet-stream"


def without(head: H, *names: str) -> H:
    """The head without these headers."""
    dropped = {each.lower() for each in names}
    return attrs.evolve(head, headers=[pair for pair in head.headers if pair[0].lower() not in dropped])


def having(head: H, name: str, value: str) -> H:
    """The head with another value of a header."""
    return attrs.evolve(head, headers=(*without(head, name).headers, (name, value)))


def with_query(head: RequestHead, query: Iterable[tuple[str, str]]) -> RequestHead:
    """The head with another query."""
    path, pairs = urlsplit(head.url).path, tuple(query)
    return attrs.evolve(head, url=f"{path}?{urlencode(pairs)}" if pairs else path)


def query_of(head: RequestHead) -> list[tuple[str, str]]:
    """The parameters of the address."""
    return parse_qsl(urlsplit(head.url).query)


def refuse_malformed(server: Faulty, why: str) -> None:
    """Refuse what a server without the fault takes."""
    server._fault(RemoteProtocolError(why))

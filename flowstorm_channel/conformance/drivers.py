"""What stands between the kit and the implementation under test.

To check an implementation, one writes a driver: in memory with a clock that the kit moves (exact), or over
real transports (`flowstorm_channel.contrib.conformance` has those for WebSockets, HTTP and commands).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from flowstorm_channel.wire import Message, RequestHead

__all__ = ["ACTIONS", "ClientDriver", "Driver", "ServerDriver", "Wire"]


class Wire(ABC):
    """One transport, a WebSocket or one HTTP exchange, between the kit and the implementation."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Bring the implementation a message; nothing happens when the transport is gone.

        Args:
            message: of the kinds in `wire`. ``Close(1006)`` is the loss of the transport.
        """

    @abstractmethod
    def receive(self) -> Message | None:
        """The next message that the implementation has sent; None: nothing has come (yet).

        The answer to a WebSocket's handshake is a `ResponseHead`; the end of an HTTP body is ``END``. When
        the implementation closes the transport, or the transport is lost, that is a `Close`.
        """


class Driver(ABC):
    """The implementation under test, as the kit handles it.

    Args:
        clock: gives the time in seconds.
    """

    exact: ClassVar[bool] = False
    """Whether time passes only in `advance`. Where it does not, what concerns times is at most a warning."""

    at_a_time: ClassVar[float] = 50.0
    """Milliseconds that `advance` is asked for at most, so that a check sees in time what has come; without
    end where it returns as soon as anything has happened."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    @abstractmethod
    def advance(self, ms: float) -> None:
        """Let time pass. It may return early, as soon as the implementation has sent something.

        Args:
            ms: at most, in milliseconds.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; the check is over."""


class ServerDriver(Driver):
    """A server under test. Each check gets a driver of its own."""

    @abstractmethod
    def connect(self, head: RequestHead) -> Wire:
        """Open a transport to it.

        Args:
            head: of the WebSocket's handshake, or of the HTTP request. The address is relative to the
                server's root where the driver does not know better.
        """


class ClientDriver(Driver):
    """A client under test."""

    @abstractmethod
    def accept(self) -> Wire | None:
        """The next transport that the client has opened; None: there is none (yet).

        The first message it brings is the client's `RequestHead`; the kit answers it.
        """

    @abstractmethod
    def act(self, action: str, value: str | bytes = "") -> None:
        """Do what a user or a program does at the client.

        Args:
            action: one of `ACTIONS`.
            value: the text to say, the block of audio.

        Raises:
            NotDeclared: the driver has no way to do that.
        """

    def shown(self) -> Sequence[str | bytes] | None:
        """What the user has been given so far, in order: texts of items, blocks of audio.

        Returns:
            None when that cannot be seen.
        """
        return None


ACTIONS = {
    "say": "the user types a text",
    "interrupt": "the user wants no more of the answer",
    "open_microphone": "the user wants to speak",
    "speak": "a block of audio comes from the microphone",
    "close_microphone": "the user wants to speak no more",
    "finish_playback": "all that came so far has been played",
    "pause": "playback is held",
    "resume": "playback goes on",
    "log": "an entry for the server's log",
    "vote": "the user liked the last turn",
    "end_session": "the user ends the session",
    "close": "the program ends the conversation",
}
"""What a client can be asked to do."""

"""What a check stands on: the implementation under test, time, and a log of all that goes over the wires."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from flowstorm_channel.conformance.drivers import ClientDriver, Driver, ServerDriver, Wire
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import Message, RequestHead

__all__ = ["ClientStage", "Line", "ServerStage", "Stage"]

D = TypeVar("D", bound=Driver)
T = TypeVar("T")
End = Literal["client", "server"]


class Stage(Generic[D]):
    """The base of what checks are given; each channel has more words of its own.

    Args:
        driver: of the implementation.
        profile: of the implementation.
        ours: which end the kit is.
    """

    def __init__(self, driver: D, profile: Profile, ours: End) -> None:
        self.driver = driver
        self.profile = profile
        self.ours: End = ours
        self.theirs: End = "server" if ours == "client" else "client"
        self.log: list[Record] = []
        """All that went over the wires, in order."""
        self._lines: list[Line] = []

    @property
    def now(self) -> float:
        """The time in milliseconds, from any origin."""
        return self.driver.clock() * 1000

    @property
    def patience(self) -> float:
        """How long an answer may take, in milliseconds."""
        return self.profile.patience * 1000

    def wait_for(self, look: Callable[[], T | None], ms: float | None = None) -> T | None:
        """Let time pass until something is there.

        Args:
            look: finds it; None as long as it is not there.
            ms: at most; the profile's patience without it.

        Returns:
            What was found; None: the time is over.
        """
        until = self.now + (self.patience if ms is None else ms)
        while (found := look()) is None:
            left = until - self.now
            if left <= 0.001:
                return None
            self.driver.advance(min(left, self.driver.at_a_time))
        return found

    def pass_time(self, ms: float) -> None:
        """Let so much time pass, whatever comes."""
        self.wait_for(lambda: None, ms)

    def assume(self, capability: str, works: bool, text: str) -> None:
        """Go on only when a capability is there.

        Raises:
            Untestable: it is declared, and does not work.
            NotDeclared: it does not work, and nobody said that it would.
        """
        if not works:
            if capability in self.profile.declared:
                raise Untestable(f"{text}, though {capability!r} is declared")
            raise NotDeclared(text)

    def arranged(self, found: T | None, text: str) -> T:
        """What has to be there before a check comes to its point.

        Raises:
            Untestable: it is not.
        """
        if found is None:
            raise Untestable(text)
        return found

    def arrange(self, act: Callable[[], T]) -> T:
        """Do what has to be done before a check comes to its point.

        Raises:
            Untestable: it did not work.
        """
        try:
            return act()
        except Violation as error:
            raise Untestable(str(error)) from None

    def line(self, wire: Wire) -> Line:
        """A wire whose messages stand in the log."""
        line = Line(self, wire, len(self._lines))
        self._lines.append(line)
        return line

    def take_in(self) -> None:
        """Write into the log what has come: it stands before what is sent then."""
        for line in self._lines:
            line.take_in()


class ServerStage(Stage[ServerDriver]):
    """What checks of servers are given: the kit is a client."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile, "client")

    def open(self, head: RequestHead) -> Line:
        """Open a transport to the server."""
        line = self.line(self.driver.connect(head))
        line.record("client", head)
        return line


class ClientStage(Stage[ClientDriver]):
    """What checks of clients are given: the kit is a server, and the user."""

    def __init__(self, driver: ClientDriver, profile: Profile) -> None:
        super().__init__(driver, profile, "server")
        self._opened: deque[Line] = deque()

    def take_in(self) -> None:
        while (wire := self.driver.accept()) is not None:
            self._opened.append(self.line(wire))
        super().take_in()

    def accept(self, ms: float | None = None) -> tuple[RequestHead, Line] | None:
        """The next transport that the client opens, and its head.

        Args:
            ms: to wait for it; the profile's patience without it.
        """
        line = self.wait_for(self._accepted, ms)
        if line is None:
            return None
        head = line.receive()
        if not isinstance(head, RequestHead):
            raise TypeError(f"the first message of a client's transport is its RequestHead, not {head!r:.80}")
        return head, line

    def _accepted(self) -> Line | None:
        self.take_in()
        return self._opened.popleft() if self._opened else None


class Line:
    """A wire of a stage.

    Args:
        stage: whose log is written.
        wire: what is logged.
        number: of the wire.
    """

    def __init__(self, stage: Stage[D], wire: Wire, number: int) -> None:
        self.stage = stage
        self.number = number
        self._wire = wire
        self._came: deque[Message] = deque()

    def send(self, message: Message) -> None:
        """Bring the implementation a message."""
        self.stage.take_in()
        self.record(self.stage.ours, message)
        self._wire.send(message)

    def poll(self) -> Message | None:
        """What the implementation has sent, if it has."""
        self.take_in()
        return self._came.popleft() if self._came else None

    def take_in(self) -> None:
        """Write into the log what has come."""
        while (message := self._wire.receive()) is not None:
            self.record(self.stage.theirs, message)
            self._came.append(message)

    def receive(self, ms: float | None = None) -> Message | None:
        """Wait for what the implementation sends.

        Args:
            ms: at most; the profile's patience without it.
        """
        return self.stage.wait_for(self.poll, ms)

    def record(self, by: End, message: Message) -> None:
        """Write a message into the log."""
        self.stage.log.append(Record(at=self.stage.driver.clock(), wire=self.number, by=by, message=message))

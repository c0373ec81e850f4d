"""HTTP requests of one session store, each with a machine, all in one world: what one does wakes others."""

from __future__ import annotations

from collections.abc import Callable

from flowstorm_channel.http import HttpServerChannel
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.fuzz.program import Failure, Program
from tests.fuzz.servers import Served, Store

__all__ = ["Exchanged", "Requests"]

MOST = 6
"""Requests that are under way in one run."""
_SECONDS = (None, None, None, 0.5, 1.0, 5.0, 31.0, 4000.0)


class Exchanged(Served):
    """One request, and what is answered."""

    channel: HttpServerChannel

    def __init__(
        self,
        make: Callable[..., ServerChannel],
        clock: ManualClock,
        limits: Limits,
        program: Program,
        store: Store,
    ) -> None:
        super().__init__(make, clock, limits, program, store)
        self.codec = None  # what came as msgpack need have no form in JSON
        self.opened = self.ended = self.over = self.broken = False
        self.response: ResponseHead | None = None
        self.body = bytearray()

    def begin(self, head: RequestHead) -> None:
        """The head has come."""
        self.opened = True
        self.feed(head)

    def piece(self, data: bytes) -> None:
        """A piece of the body has come."""
        if self.opened and not self.ended:
            self.feed(data)

    def finish(self) -> None:
        """The body has come to its end."""
        if self.opened and not self.ended:
            self.ended = True
            self.feed(END)

    def sent(self, message: Message) -> None:
        if self.over:
            raise Failure(f"{message!r} behind the end")
        if isinstance(message, Close):
            self.over = self.broken = True
        elif isinstance(message, ResponseHead):
            if self.response is not None:
                raise Failure("two heads")
            self.response = message
            if not (100 < message.status < 600):
                raise Failure(f"status {message.status}")
        else:
            if self.response is None:
                raise Failure(f"{message!r} without a head")
            if message is END:
                self.over = True
            else:
                if not isinstance(message, bytes):
                    raise Failure(f"{message!r} in a body")
                self.body += message  # type: ignore[arg-type]
                if self.response.status == 204:
                    raise Failure("a body with 204")


class Requests:
    """The requests of a run.

    Args:
        make: makes the machine of a request.
        program: says what happens.
        limits: of all machines.
        stored: the host keeps the sessions.
    """

    def __init__(
        self, make: Callable[..., ServerChannel], program: Program, limits: Limits, *, stored: bool
    ) -> None:
        self.program = program
        self.clock = ManualClock()
        self.store: Store = {}
        self.sessions = Sessions(stored=stored, clock=self.clock, most=3, most_waiting=2)
        self.limits = limits
        self.made = 0
        self.all: list[Exchanged] = []
        self._make = make

    def make_id(self) -> str:
        """An id that nobody has had."""
        self.made += 1
        return f"made-{self.made}"

    def new(self, head: RequestHead) -> Exchanged:
        """A request comes."""
        driven = Exchanged(
            lambda **kw: self._make(self.sessions, make_id=self.make_id, **kw),
            self.clock,
            self.limits,
            self.program,
            self.store,
        )
        self.all.append(driven)
        driven.begin(head)
        self.settle()
        return driven

    @property
    def open(self) -> list[Exchanged]:
        """Those under way."""
        return [each for each in self.all if not each.closed]

    def one(self) -> Exchanged | None:
        """One of those under way."""
        under_way = self.open
        return self.program.choose(under_way) if under_way else None

    def settle(self) -> None:
        """Have every host come that has a reason to, until none has; who does not come has nothing to do."""
        for _ in range(60 * (1 + len(self.all))):
            due = [each for each in self.all if each.due]
            if not due:
                break
            for each in due:
                each.visit()
        else:
            raise Failure("the machines keep waking each other")
        for each in self.all:
            channel = each.channel
            if not (not channel._told and not channel._outbox):
                raise Failure(f"{channel} has something to do, and wakes nobody")
            if each.due_sooner():
                raise Failure(f"{channel} is due sooner, and wakes nobody")
        if len(self.sessions) > self.sessions.most:
            raise Failure("too many sessions are remembered")
        if not (0 <= self.sessions.waiting <= self.sessions.most_waiting):
            raise Failure(f"{self.sessions.waiting} wait")

    def step(self, bring: Callable[[Exchanged], None]) -> None:
        """The next thing that happens, besides new requests.

        Args:
            bring: brings a piece of a body.
        """
        program = self.program
        driven = self.one()
        if driven is None:
            return
        match program.below(16):
            case 0 | 1 | 2:
                bring(driven)
            case 3 | 4:
                driven.finish()
            case 5 | 6 | 7 | 8 | 9 | 10 | 11:
                driven.say()
            case 12:
                driven.let_time_pass(program.choose(_SECONDS))
            case 13:
                if program.flag():
                    driven.lose()
                else:
                    driven.feed(Close(1000, "given up"))
            case _:
                driven.piece(program.taken(60) * program.times())
        if program.below(16) != 15:
            self.settle()

    def end(self) -> None:
        """All requests end in some way, and nothing is left of them."""
        self.settle()
        for each in self.all:
            if not each.closed:
                each.end(lost=self.program.flag())
                self.settle()
        for each in self.all:
            if not each.closed:  # it was closed by its host, and waits for the end of its request
                each.lose()
                self.settle()
            each.check_end()
        sessions = self.sessions
        if sessions._under_way:
            raise Failure(f"{len(sessions._under_way)} rendezvous are left")
        if sessions._owners:
            raise Failure(f"{sessions._owners} are under way still")
        if sessions.waiting != 0:
            raise Failure(f"{sessions.waiting} wait still")

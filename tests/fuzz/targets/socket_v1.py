"""Socket V1: the server, told anything by a client, and the client, told anything by a server."""

from __future__ import annotations

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.events import Side
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL, SUBPROTOCOL_HEADER
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead
from tests.fuzz.clients import App, client_options
from tests.fuzz.limits import chosen_limits
from tests.fuzz.machines import JSON, MSGPACK
from tests.fuzz.messages import FROM_CLIENT, FROM_SERVER, binary_message, text_message, tree_of
from tests.fuzz.program import Failure, Program
from tests.fuzz.servers import Served

__all__ = ["client", "server"]

_TIMEOUTS = (Timeouts(), Timeouts(idle=20.0, duplex_silence=3.0, end_of_utterance=0.5))
_SECONDS = (None, None, 0.001, 0.5, 1.0, 5.0, 60.0)


class _V1(Served):
    """One WebSocket."""

    def __init__(self, program: Program) -> None:
        timeouts = program.choose(_TIMEOUTS)
        super().__init__(
            lambda **kw: SocketV1Server(timeouts=timeouts, **kw),
            ManualClock(),
            chosen_limits(program),
            program,
        )
        self.msgpack = program.below(4) == 3
        self.codec = MSGPACK if self.msgpack else JSON
        self.heads = self.closes = 0

    def open(self) -> None:
        """The handshake."""
        headers = ((SUBPROTOCOL_HEADER, SUBPROTOCOL),) if self.msgpack else ()
        self.feed(RequestHead(url="/socket", headers=headers))

    def sent(self, message: Message) -> None:
        if self.closes != 0:
            raise Failure(f"{message!r} behind the Close")
        first = self.heads == 0 and not isinstance(message, Close)  # a handshake may be left unanswered
        if isinstance(message, ResponseHead) is not first:
            raise Failure(f"{message!r} where a head belongs")
        self.heads = 1
        if isinstance(message, Close):
            self.closes = 1
        elif isinstance(message, (str, bytes)) and (isinstance(message, str) or self.msgpack) and message:
            if isinstance(message, bytes) is not self.msgpack:
                raise Failure("the wrong form")
            event = (MSGPACK if self.msgpack else JSON).decode(message)  # type: ignore[arg-type]
            if Side.SERVER not in event.SENT_BY:
                raise Failure(f"{event!r} is not a server's to say")

    def hear(self) -> None:
        """The next message of the client."""
        program = self.program
        match program.below(8):
            case 0:
                message: Message = program.text(120)
            case 1:
                message = program.taken(200)
            case 2:
                message = b"\1\2" * (1 + program.byte())
            case _:
                tree = tree_of(FROM_CLIENT, program)
                try:
                    message = binary_message(tree) if self.msgpack else text_message(tree)
                except (OverflowError, ValueError):
                    message = b"\xc1"
        for _ in range(program.times()):
            self.feed(message)


def server(data: bytes) -> None:
    """A client that says anything, and a host that does anything."""
    program = Program(data)
    driven = _V1(program)
    if program.below(16) != 15:
        driven.open()
        while not program.done:
            match program.below(8):
                case 0 | 1 | 2:
                    driven.hear()
                case 3 | 4 | 5:
                    driven.say()
                case 6:
                    driven.let_time_pass(program.choose(_SECONDS))
                case _:
                    _more(driven, program)
            if driven.due and program.below(16) != 15:
                driven.visit(flush=not driven.lazy)
    if not driven.closed:
        driven.end(lost=program.flag())
    driven.visit()
    driven.check_end()


def _more(driven: _V1, program: Program) -> None:
    match program.below(8):
        case 0:
            driven.lose()
        case 1:
            driven.feed(Close(1000 + program.below(12), program.text(20)))
        case 2:
            driven.lazy = not driven.lazy
        case 3 | 4:
            driven.visit()
        case _:
            driven.hear()
            driven.hear()


# ------------------------------------------------------------ the client


class _App(App):
    """A client on one WebSocket after the other."""

    channel: SocketV1Client

    def __init__(self, program: Program) -> None:
        limits = chosen_limits(program)
        super().__init__(ManualClock(), limits, program)
        self.codec = None  # what comes in msgpack need have no form in JSON
        self.connecting = self.connected = self.msgpack = False
        bits = program.byte()
        self.channel = SocketV1Client(
            "ws://x/socket",
            key="K",
            device_id="D",
            clock=self.clock,
            wake=self.wake,
            limits=limits,
            timeouts=_CLIENT_TIMEOUTS[bits & 1],
            msgpack=bool(bits & 2),
            requests=bits & 12 == 12,
            make_id=lambda: "made",
            **client_options(program),
        )
        self.offers = bool(bits & 2)

    def sent(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            if self.connecting or self.connected:
                raise Failure("two transports at once")
            self.connecting = True
        elif isinstance(message, Close):
            self.connecting = self.connected = False
        else:
            if not self.connected:
                raise Failure(f"{message!r} without a transport")
            if message and (isinstance(message, str) or self.msgpack):
                if isinstance(message, bytes) is not self.msgpack:
                    raise Failure("the wrong form")
                event = (MSGPACK if self.msgpack else JSON).decode(message)  # type: ignore[arg-type]
                if not (Side.CLIENT in event.SENT_BY or event.TYPE == "Mine"):
                    raise Failure(f"{event!r} is a client's")

    def hear(self) -> None:
        """The next thing that the transport brings."""
        program = self.program
        if self.connecting:
            self._answer_handshake()
        elif self.connected:
            for message in [self._message()] * program.times():
                self.feed(message)

    def _answer_handshake(self) -> None:
        self.connecting = False
        match self.program.below(8):
            case 0:
                self.lose()
            case 1:
                self.feed(ResponseHead(status=500 + self.program.below(4)))
            case 2:
                self.feed(Close(1001))
            case _:
                self.connected = True
                self.msgpack = self.offers and self.program.below(4) != 3
                headers = ((SUBPROTOCOL_HEADER, SUBPROTOCOL),) if self.msgpack else ()
                self.feed(ResponseHead(status=101, headers=headers))

    def _message(self) -> Message:
        program = self.program
        match program.below(10):
            case 0:
                return program.text(120)
            case 1:
                return program.taken(200)
            case _:
                tree = tree_of(FROM_SERVER, program)
                try:
                    return binary_message(tree) if self.msgpack else text_message(tree)
                except (OverflowError, ValueError):
                    return b"\xc1"

    def lose(self) -> None:
        super().lose()
        self.connecting = self.connected = False


_CLIENT_TIMEOUTS = (Timeouts(), Timeouts(idle=20.0, keep_alive=7.0))


def client(data: bytes) -> None:
    """A server that says anything, and an app that does anything."""
    program = Program(data)
    app = _App(program)
    if program.below(8) != 7:
        app.word(app.channel.open, 500)
        app.visit()
        app.hear()
        app.visit()
    while not program.done:
        match program.below(8):
            case 0 | 1 | 2 | 3:
                app.hear()
            case 4 | 5:
                app.say()
            case 6:
                app.let_time_pass(program.choose(_SECONDS))
            case _:
                _more_of_client(app, program)
        if app.due and program.below(16) != 15:
            app.visit()
    app.visit()
    if not app.closed:
        app.close()
    app.visit()
    app.check_end()


def _more_of_client(app: _App, program: Program) -> None:
    match program.below(4):
        case 0:
            if app.connected or app.connecting:
                app.lose()
        case 1:
            if app.connected:
                app.feed(Close(1000 + program.below(12), program.text(20)))
                app.connected = False
        case _:
            app.visit()

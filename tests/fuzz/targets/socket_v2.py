"""Socket V2: requests of one session store to servers, and a client's requests answered by anybody."""

from __future__ import annotations

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.fuzz.clients import App, client_options
from tests.fuzz.limits import chosen_limits
from tests.fuzz.messages import FROM_CLIENT, FROM_SERVER, binary_message, text_message, tree_of
from tests.fuzz.program import Failure, Program
from tests.fuzz.requests import MOST, Exchanged, Requests

__all__ = ["client", "server"]

# ------------------------------------------------------------ the server

_TYPES = (
    *("application/json", "application/json", "application/json", "application/msgpack", "text/plain"),
    *("audio/wav", "audio/basic", "text/plain; charset=utf-8", "", "image/png"),
)
_ACCEPTS = ("", "application/msgpack", "text/plain", "*/*, application/json;q=1")
_COOKIES = ("S", "S", "S", "", "T", "no id!")
_WHOS = (("K", "D"), ("K", "D"), ("K", "D"), ("K", "E"), ("alexa:K", "D"), ("", "D"))
_QUERIES = ("", "", "", "?realtime=1", "?sendResponseItems=false", "?locale=cs&zoneId=%2B02:00")
_RIFF = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\xff\xff\xff\xff"
)


def server(data: bytes) -> None:
    """Requests of a few clients, cut anywhere, and hosts that do anything."""
    program = Program(data)
    limits = chosen_limits(program)
    world = Requests(SocketV2Server, program, limits, stored=program.below(4) == 3)
    _request(world)
    while not program.done:
        if program.below(8) == 0 and len(world.open) < MOST:
            _request(world)
        else:
            world.step(_bring)
    world.end()


def _request(world: Requests) -> None:
    program = world.program
    method = program.choose(("PUT", "PUT", "PUT", "GET", "GET", "POST", "DELETE"))
    kind = program.choose(_TYPES)
    headers = [("Content-Type", kind)] if kind else []
    cookie = program.choose(_COOKIES)
    if cookie:
        headers.append(("Cookie", f"flowstorm-session-id={cookie}"))
    key, device_id = program.choose(_WHOS)
    headers += [("X-Key", key), ("X-DeviceId", device_id)]
    accept = program.choose(_ACCEPTS)
    if accept:
        headers.append(("Accept", accept))
    url = "/client" + program.choose(_QUERIES)
    if program.below(16) == 15:
        headers.append((program.text(20), program.text(40)))
        url += program.text(40)
    driven = world.new(RequestHead(method=method, url=url, headers=tuple(headers)))
    if method == "GET" or program.below(4) == 3:
        driven.finish()
        world.settle()


def _bring(driven: Exchanged) -> None:
    """Something of the kind that the body is."""
    program = driven.program
    head = driven.channel.head
    kind = "" if head is None else head.header("Content-Type") or ""
    if kind.startswith("audio/"):
        body = (_RIFF if driven.given < 3 else b"") + b"\1\2" * (1 + program.byte())
    elif kind.startswith("text/"):
        body = program.taken(60)
    else:
        body = b""
        for _ in range(1 + program.below(2)):
            tree = tree_of(FROM_CLIENT, program)
            try:
                packed = kind == "application/msgpack"
                body += (
                    binary_message(tree) if packed else text_message(tree).encode("utf-8", "surrogatepass")
                )
            except (OverflowError, ValueError):
                body += b"\xc1"
    body *= program.times()
    if program.below(4) == 3:
        for piece in program.cuts(body):
            driven.piece(piece)
    else:
        driven.piece(body)
    if program.flag():
        driven.finish()


# ------------------------------------------------------------ the client

_CLIENT_TIMEOUTS = (Timeouts(), Timeouts(idle=20.0, get_again=0.1))
_CLIENT_SECONDS = (None, None, 0.1, 1.0, 5.0, 60.0)
_STATUSES = (200, 200, 200, 200, 204, 401, 403, 409, 429, 500, 503, 302, 100)
_COOKIES_GIVEN = ("", "flowstorm-session-id=S; Path=/", "flowstorm-session-id=; Max-Age=0", "x=y")


class _Browser(App):
    """A client, whose requests are carried by transports of their own."""

    channel: SocketV2Client

    def __init__(self, program: Program) -> None:
        limits = chosen_limits(program)
        super().__init__(ManualClock(), limits, program)
        self.codec = None
        self.phases: dict[object, int] = {}  # of the exchanges: 0 nothing came, 1 a head, 2 over
        bits = program.byte()
        self.binary = bool(bits & 2)
        self.channel = SocketV2Client(
            "https://x/client",
            key="K",
            device_id="D",
            clock=self.clock,
            wake=self.wake,
            limits=limits,
            timeouts=_CLIENT_TIMEOUTS[bits & 1],
            msgpack=self.binary,
            video_file=bool(bits & 4),
            make_id=lambda: "made",
            config=ClientConfig(send_response_items=not bits & 8),
            **client_options(program),
        )

    def visit(self, *, flush: bool = True) -> None:
        super().visit(flush=False)
        if flush:
            self._visiting = True
            for exchange in self.channel.exchanges:
                for message in exchange.data_to_send():
                    self._carried(exchange, message)
            self._visiting = False

    def _carried(self, exchange: object, message: Message) -> None:
        if exchange not in self.phases:
            if not isinstance(message, RequestHead):
                raise Failure(f"{message!r} without a transport")
            self.phases[exchange] = 0
        elif isinstance(message, Close):
            self.phases[exchange] = 2
        else:
            if not (isinstance(message, bytes) or message is END):
                raise Failure(f"{message!r} in a request")

    def _waits_to_be_sent(self) -> bool:
        return any(each.pending for each in self.channel._requests)

    def _check_memory(self) -> None:
        channel, limits = self.channel, self.limits
        largest = max(limits.message_bytes, limits.audio_bytes) + 64
        most = limits.queued_bytes + limits.body_bytes + largest
        if channel._inbox_bytes > most:
            raise Failure(f"{channel._inbox_bytes} in the inbox")
        if channel._inbox_bytes != sum(cost for _, cost in channel._inbox):
            raise Failure("the inbox is miscounted")
        if len(channel._decoded) > 1:
            raise Failure(f"{len(channel._decoded)} events wait")
        out = sum(each.waiting_bytes for each in channel._requests)
        if channel._outbox_bytes != out:
            raise Failure(f"{channel._outbox_bytes} in the outbox, which are {out}")
        if len(channel._requests) > 4 + self.said // 64 + self.given:
            raise Failure(f"{len(channel._requests)} requests")

    def bring(self) -> None:
        """The transport of a request brings something."""
        program = self.program
        carried = [each for each in self.channel.exchanges if self.phases.get(each) in (0, 1)]
        if not carried:
            return
        exchange = program.choose(carried)
        word = program.below(8)
        if word == 7:
            self._over(exchange, Close(1006, "lost") if program.flag() else None)
        elif self.phases[exchange] == 0:
            self.phases[exchange] = 1
            kind = program.choose(("", "", "application/json", "application/msgpack", "text/plain", "x"))
            kind = kind or ("application/msgpack" if self.binary else "application/json")
            headers = [("Content-Type", kind)]
            cookie = program.choose(_COOKIES_GIVEN)
            if cookie:
                headers.append(("Set-Cookie", cookie))
            if program.below(16) == 15:
                headers.append((program.text(20), program.text(60)))
            self._feed(exchange, ResponseHead(status=program.choose(_STATUSES), headers=tuple(headers)))
        elif word == 6:
            self._over(exchange, END)
        else:
            self._bring_body(exchange)

    def _bring_body(self, exchange: object) -> None:
        program = self.program
        if program.below(8) == 7:
            body = program.taken(80)
        else:
            tree = tree_of(FROM_SERVER, program)
            try:
                packed = binary_message(tree) if self.binary else b""
            except (OverflowError, ValueError):
                packed = b"\xc1"
            body = packed or text_message(tree).encode("utf-8", "surrogatepass")
        body *= program.times()
        for piece in program.cuts(body) if program.below(4) == 3 else [body]:
            self._feed(exchange, piece)

    def _feed(self, exchange: object, message: Message) -> None:
        self.given += 1
        self.fed += len(message) if isinstance(message, bytes) else 200
        exchange.receive_data(message)  # type: ignore[attr-defined]
        self.woken = True

    def _over(self, exchange: object, message: Message | None) -> None:
        """The transport is over; before a head came only by a loss."""
        if message is END and self.phases[exchange] == 0:
            message = None
        self.phases[exchange] = 2
        if message is None:
            exchange.receive_eof()  # type: ignore[attr-defined]
        else:
            self._feed(exchange, message)
        self.woken = True


def client(data: bytes) -> None:
    """Servers that say anything, and an app that does anything."""
    program = Program(data)
    app = _Browser(program)
    if program.below(8) != 7:
        app.word(app.channel.open, 500)
        app.visit()
    while not program.done:
        match program.below(8):
            case 0 | 1 | 2 | 3:
                app.bring()
            case 4 | 5:
                app.say()
            case 6:
                app.let_time_pass(program.choose(_CLIENT_SECONDS))
            case _:
                _more(app, program)
        if app.due and program.below(16) != 15:
            app.visit()
    app.visit()
    if not app.closed:
        app.close()
    app.visit()
    app.check_end()
    if not all(each.over for each in app.channel._requests):
        raise Failure("a request goes on")


def _more(app: _Browser, program: Program) -> None:
    match program.below(4):
        case 0:
            app.lose()
        case 1:
            recording = _RIFF + program.taken(40) * program.times()
            app.word(
                lambda: app.turns.append(app.channel.send_recording(recording)), 2 * len(recording) + 2000
            )
        case 2:
            app.word(lambda: app.channel.send_recording(b"", "audio/wav"))
        case _:
            app.visit()

"""A client and the servers it connects to, walked at random on one clock, and what must hold all the way.

A `Walk` is driven by *moves*: a name from `MOVES` and its arguments. A sequence of moves says all about a
walk, so it can be replayed and made shorter (`shorten`). Everything in flight is delivered one message at a
time, in order; messages of a connection that was lost are lost.

What the dialogue answers is written in the input's text, as ``i3:two``: input 3, plan ``two`` of `PLANS`.
What is said in answer names the connection, the turn and the place in it, and repeats the input's text:
``2.5.0 i3:two``.
"""

from __future__ import annotations

import random
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from flowstorm_channel.channel import Channel, Control, Timeouts
from flowstorm_channel.errors import LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ConnectionFailedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ReadyEvent,
    RecognizedEvent,
    RequestEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    SessionStartEvent,
    TurnInterruptedEvent,
    UnknownEvent,
)
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v1.frames import Frames
from flowstorm_channel.states import Audio, State, trigger
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.values import ClientConfig, Input, LogEntry, Request, ResponseItem, SttMode, Transcript
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead

Move = tuple[str, tuple[Any, ...]]
READY = (State.SLEEPING, State.LISTENING, State.PROCESSING, State.RESPONDING, State.PAUSED)
DUPLEX_TALKING = (State.PROCESSING, State.RESPONDING, State.PAUSED)
LATENCY = 2.0
"""No message stays in flight for longer, in seconds."""
ANSWER = 15.0
PATIENCE = 30.0
"""After so many seconds with honest hosts a conversation must be in order."""

LITTLE_ROOM = Limits(queued_bytes=1500, message_bytes=3000)

PLANS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "one": (("text",), {}),
    "two": (("text", "text"), {}),
    "none": ((), {}),
    "command": (("command",), {}),
    "audio": (("text", "audio"), {}),
    "late": ((), {"items": 2}),
    "mixed": (("text",), {"items": 1}),
    "end": (("text",), {"session_ended": True}),
    "mute end": ((), {"session_ended": True}),
    "sleep": (("text",), {"sleep_timeout": 5}),
    "mute sleep": ((), {"sleep_timeout": 5}),
    "sleep end": (("text",), {"sleep_timeout": 30, "session_ended": True}),
    "duplex": (("text",), {"stt_mode": SttMode.DUPLEX}),
    "single": (("text",), {"stt_mode": SttMode.SINGLE_UTTERANCE}),
    "locale": (("text",), {"locale": "cs"}),
}
"""What a dialogue says singly, and the members of its Response."""


@attrs.frozen(kw_only=True)
class Setup:
    """How the two ends are made."""

    mode: SttMode = SttMode.SINGLE_UTTERANCE
    items: bool = True
    interim: bool = True
    silence: int = 5000
    auto_start: bool = False
    auto_microphone: bool = False
    pause_on_interrupt: bool = False
    msgpack: bool = False
    queue_inputs: bool = False
    requests: bool = False
    keep_alive: float | None = None
    idle: float | None = None
    client_idle: float | None = None
    duplex_silence: float | None = None
    held: str | None = None
    prompt_server: bool = True
    prompt_player: bool = True
    slow_writers: bool = False
    little_room: bool = False


CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": tuple(SttMode),
    "items": (True, True, False),
    "interim": (True, False),
    "silence": (0, 5000),
    "auto_start": (False, True),
    "auto_microphone": (False, True),
    "pause_on_interrupt": (False, False, True),
    "msgpack": (False, False, False, True),
    "queue_inputs": (False, False, False, True),
    "requests": (False, False, False, True),
    "keep_alive": (None, None, 10.0),
    "idle": (None, None, None, 25.0),
    "client_idle": (None, None, None, None, 21.0),
    "duplex_silence": (None, None, 3.0),
    "held": (None, None, None, "held"),
    "prompt_server": (True, False),
    "prompt_player": (True, False, False),
    "slow_writers": (False, False, False, True),
    "little_room": (False, False, True),
}


class Broken(AssertionError):
    """Something that must hold did not."""


def must(holds: object, what: str) -> None:
    if not holds:
        raise Broken(what)


# ------------------------------------------------------------ the two ends, which keep a record of their rows

ROWS: Counter[tuple[str, State, str]] = Counter()
"""How often a row of the tables was used: end, state, trigger."""


class WalkedServer(SocketV1Server):
    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.openings = 0
        self.acknowledged: deque[int] = deque()

    def _take(self, event: Event) -> None:
        if isinstance(event, BinaryEvent):  # it moves nothing
            ROWS["server", self._state, trigger("<", event)] += 1
        self.openings += isinstance(event, InputAudioStreamOpenEvent)
        super()._take(event)

    def _encode(self, event: Event) -> Message:
        if isinstance(event, InputAudioStreamOpenEvent):
            self.acknowledged.append(self.openings)
        return super()._encode(event)

    def _move(self, trigger: str) -> None:
        ROWS["server", self._state, trigger] += 1
        super()._move(trigger)


class WalkedClient(SocketV1Client):
    openings = 0
    mistook = False
    """Whether the stream is OPEN because of the late acknowledgement of an earlier opening (D-43)."""
    peer: WalkedServer

    def _take(self, event: Event) -> None:
        if isinstance(event, BinaryEvent) and not event.data:  # it moves nothing
            ROWS["client", self._state, "< Binary empty"] += 1
        if isinstance(event, InputAudioStreamOpenEvent):
            opening = self.peer.acknowledged.popleft()
            self.mistook |= self._audio is Audio.ASKED and opening < self.openings
        super()._take(event)

    def _write(self, event: Event) -> None:
        self.openings += isinstance(event, InputAudioStreamOpenEvent)
        super()._write(event)

    def _advance(self, what: str) -> None:
        ROWS["client", self._state, what] += 1
        super()._advance(what)

    def _move(self, trigger: str) -> None:
        ROWS["client", self._state, trigger] += 1
        super()._move(trigger)


class _Gone:
    def __repr__(self) -> str:
        return "(transport gone)"


GONE = _Gone()
"""In flight: the end of the transport."""


@attrs.define(eq=False)
class Spoken:
    """What a host of the server did with one of its turns."""

    turn: Turn
    tag: str
    said: int = 0
    finished: bool = False
    out: bool = False


class Connection:
    """A transport, the server at its end, and the server's host."""

    def __init__(self, number: int, server: WalkedServer) -> None:
        self.number = number
        self.server = server
        self.to_server: deque[tuple[float, Any]] = deque()
        self.to_client: deque[tuple[float, Any]] = deque()
        self.question = False
        self.spoken: dict[int, Spoken] = {}
        self.pending: deque[Spoken] = deque()
        self.streams: list[AudioStream] = []
        self.told: Counter[str] = Counter()
        self.interrupted: dict[int, str] = {}
        self.last_input = 0
        self.closed = False
        self.session_on_wire: str | None = None
        self.session_ever = False
        self.must_end = False
        self.attached = True
        self.own_ends = 0
        self.responses = 0
        self.expected = 0


def _messages(channel: Channel) -> Iterable[Any]:
    yield from (entry.message for entry in channel._outbox)
    if channel._in_hand is not None:
        yield channel._in_hand
    yield from (message for message, _ in channel._inbox)


class Walk:
    """One client, its connections, one clock."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.clock = ManualClock(1000.0)
        self.moves: list[Move] = []
        self.steps: list[tuple[float, str, object]] = []
        self.connections: list[Connection] = []
        self.honest = False
        self.refusing = False
        self.ids = 0
        self.client = WalkedClient(
            "ws://walk/socket",
            key="key",
            device_id="device",
            config=ClientConfig(
                stt_mode=setup.mode,
                silence_timeout=setup.silence,
                send_response_items=setup.items,
                stt_interim_results=setup.interim,
            ),
            auto_start=setup.auto_start,
            auto_microphone=setup.auto_microphone,
            pause_on_interrupt=setup.pause_on_interrupt,
            msgpack=setup.msgpack,
            requests=setup.requests,
            make_id=self._make_id,
            clock=self.clock,
            limits=LITTLE_ROOM if setup.little_room else DEFAULT_LIMITS,
            timeouts=Timeouts(keep_alive=setup.keep_alive, idle=setup.client_idle),
            session_id=setup.held,
        )
        self.frames = Frames(DEFAULT_LIMITS, msgpack=setup.msgpack)
        self.turns: list[Any] = []
        self.numbered: dict[int, Any] = {}
        self.interrupted: dict[int, str] = {}
        self.client_closed = False
        self.said = 0
        self.wanted: str | None = None
        self.shown: dict[tuple[int, int], int] = {}
        self.answers: Counter[str] = Counter()
        self.responses_told = 0
        self.crossings: set[str] = set()
        self.expired = False
        self.last_turn = 0
        self.last_said: tuple[Connection, str] | None = None
        self.late: list[str] = []
        self.plays = 0
        self.faults_due = 0

    def _make_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    # -------------------------------------------------------- the record

    def note(self, who: str, what: object) -> None:
        self.steps.append((self.clock.now, who, what))

    def story(self) -> str:
        """The steps so far, for people."""
        defaults = Setup()
        differs = {
            name: value
            for name, value in attrs.asdict(self.setup, recurse=False).items()
            if value != getattr(defaults, name)
        }
        lines = [f"Setup({', '.join(f'{name}={value}' for name, value in differs.items())})"]
        lines += [f"{at - 1000:8.3f}  {who:<10} {_short(what)}" for at, who, what in self.steps]
        lines.append(f"moves = {self.moves!r}")
        return "\n".join(lines)

    # -------------------------------------------------------- passes: take events, flush

    @property
    def here(self) -> Connection | None:
        """The newest connection."""
        return self.connections[-1] if self.connections else None

    def _count(self, end: Channel) -> Iterable[Event]:
        for _ in range(2000):
            event = end.next_event()
            if isinstance(event, Control):
                return
            yield event
        raise Broken("a pass does not terminate")

    def run_client(self, *, flush: bool = True) -> None:
        for event in self._count(self.client):
            self.note("client <-", event)
            self._client_told(event)
        if flush:
            self.flush_client()

    def flush_client(self, count: int = -1) -> None:
        taking = self.client.data_to_send()
        while count != 0 and (message := next(taking, None)) is not None:
            count -= 1
            self._client_put(message)

    def run_server(self, there: Connection, *, flush: bool = True) -> None:
        for event in self._count(there.server):
            self.note(f"server{there.number} <-", event)
            self._server_told(there, event)
        if flush:
            self.flush_server(there)

    def flush_server(self, there: Connection, count: int = -1) -> None:
        taking = there.server.data_to_send()
        while count != 0 and (message := next(taking, None)) is not None:
            count -= 1
            self._server_put(there, message)

    def run(self, *, force: bool = False) -> None:
        """A pass at every end; slow writers put nothing out unless forced."""
        flush = force or self.honest or not self.setup.slow_writers
        self.run_client(flush=flush)
        for there in self.connections:
            if not there.closed or there.server._outbox:
                self.run_server(there, flush=flush)
        self._after_pass()

    def _after_pass(self) -> None:
        for end in (self.client, *(there.server for there in self.connections)):
            due = end.next_deadline()
            if due is not None and due <= self.clock.now:
                raise Broken(f"a deadline lies in the past after a pass: {end!r}")
            must(not end._told, "something is left to tell after a pass")
        self._agree()

    # -------------------------------------------------------- transports

    def _client_put(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            self.note("client ->", "(connects)")
            there = Connection(
                len(self.connections) + 1,
                WalkedServer(
                    make_id=self._make_id,
                    queue_inputs=self.setup.queue_inputs,
                    clock=self.clock,
                    limits=LITTLE_ROOM if self.setup.little_room else DEFAULT_LIMITS,
                    timeouts=Timeouts(idle=self.setup.idle, duplex_silence=self.setup.duplex_silence),
                ),
            )
            self.connections.append(there)
            self.client.peer, self.client.openings, self.client.mistook = there.server, 0, False
            there.to_server.append((self.clock.now, message))
            return
        there = self.connections[-1]
        if isinstance(message, Close):
            self.note("client ->", message)
            there.to_client.clear()
            there.to_server.append((self.clock.now, message))
            return
        event = self.frames.read(message)
        self.note("client ->", event)
        there.to_server.append((self.clock.now, message))

    def _server_put(self, there: Connection, message: Message) -> None:
        who = f"server{there.number} ->"
        if isinstance(message, (ResponseHead, Close)):
            self.note(who, message)
        else:
            event = self.frames.read(message)
            self.note(who, event)
            self._check_wire(there, event)
        if there.attached:
            there.to_client.append((self.clock.now, message))

    def _check_wire(self, there: Connection, event: Event) -> None:
        """What no client may ever see."""
        must(
            not there.must_end or isinstance(event, SessionEndEvent),
            "SessionEnded does not come right after the Response that ends the session (D-12)",
        )
        there.must_end = False
        match event:
            case SessionStartEvent():
                there.session_on_wire = event.session_id
                there.session_ever = True
            case SessionEndEvent() | ErrorEvent():
                there.session_on_wire = None
            case ResponseItemEvent() | BinaryEvent() | ResponseEvent():
                if isinstance(event, BinaryEvent) and not event.data:
                    return
                must(there.session_on_wire, "something is answered before SessionStarted (D-04)")
                for item in _texts(event):
                    self._check_out(there, item)
                if isinstance(event, ResponseEvent):
                    there.responses += 1
                    there.must_end = event.response.session_ended
                    must(
                        there.responses <= there.expected,
                        "there are more Responses than turns that ask for one (D-35)",
                    )
            case InitEvent() | InputEvent() | RequestEvent():
                raise Broken("a server says what only clients say")

    def _check_out(self, there: Connection, text: str) -> None:
        _, number, _, _ = _tag(text)
        spoken = there.spoken[number]
        spoken.out = True
        must(
            spoken.finished or not spoken.turn.over,
            f"{text!r} goes out although its turn was interrupted (D-37)",
        )

    def hand_over(self, end: str, there: Connection) -> bool:
        """Deliver one message; whether there was one."""
        flight = there.to_client if end == "client" else there.to_server
        if not flight or (self.client if end == "client" else there.server).full:
            return False
        message = flight.popleft()[1]
        if end == "client":
            if message is GONE:
                self.client.receive_eof()
            else:
                self.client.receive_data(message)
                if isinstance(message, Close):
                    there.to_server.clear()
                    there.server.receive_eof()
        elif message is GONE:
            there.server.receive_eof()
        else:
            there.server.receive_data(message)
            if isinstance(message, Close):
                there.to_client.clear()
        if message is GONE or isinstance(message, (Close, ResponseHead)):
            self.note("network", f"{_short(message)} reaches the {end}")
        return True

    # -------------------------------------------------------- what the hosts do when they are told

    def _client_told(self, event: Event) -> None:
        client = self.client
        must(not self.client_closed, f"{event!r} is told after ClosedEvent")
        if client._turn is not None and client._turn not in self.turns:
            self._know(client._turn)
            if isinstance(event, ReadyEvent):  # auto_start
                self.wanted = "#intro"
                self.last_said = (self.here, "#intro")
                self._crossing_input()
        match event:
            case FaultEvent():
                raise Broken(f"the client sees a fault: {event.error}")
            case ClosedEvent():
                self.client_closed = True
                if self.here is not None:
                    self.here.attached = False
                    self.here.to_client.clear()
                must(client.closed, "closed is not true when ClosedEvent is told")
            case TurnInterruptedEvent():
                must(event.number not in self.interrupted, f"turn {event.number} is interrupted twice")
                self.interrupted[event.number] = event.reason
                if event.number in self.numbered:
                    must(self.numbered[event.number].over, f"turn {event.number} is interrupted, not over")
                if event.reason == "unanswered":
                    self.crossings.add("unanswered")
            case ConnectionFailedEvent():
                if self.here is not None:
                    self.here.attached = False
                    self.here.to_client.clear()
            case SessionExpiredEvent():
                self.expired = True
                there = self.here
                if there.to_client or _busy(there.server):
                    self.crossings.add("expired")
            case SessionStartEvent():
                self.expired = False
            case SessionEndEvent():
                self.here.own_ends = max(0, self.here.own_ends - 1)
            case RecognizedEvent(is_final=True):
                # In Duplex a result is always news to the client. But when it is older than our last input at
                # the server, it is answered before it: the count is right, and it is the input's answer that
                # is to be played, unless that was interrupted.
                overtaken = self._overtaken(event.text)
                if overtaken and self.wanted is None:
                    self.crossings.add("duplex")
                if client._turn is not None and not client.turn._typed and not overtaken:
                    self.wanted = event.text
            case ResponseItemEvent() | ResponseEvent() | BinaryEvent():
                self._shown(event)
        if self.setup.prompt_player or self.honest:
            self._play_all()

    def _overtaken(self, heard: str) -> bool:
        """Whether what was heard is older, at the server, than what the client said last."""
        there = self.here
        if self.last_said is None or self.last_said[0] is not there:
            return False
        numbers = {spoken.tag: number for number, spoken in there.spoken.items()}
        return numbers.get(self.last_said[1], there.server._turns + 1) > numbers.get(heard, 0)

    def _know(self, turn: Any) -> None:
        must(turn.number not in self.numbered, "two turns with one number")
        self.turns.append(turn)
        self.numbered[turn.number] = turn

    def _shown(self, event: Event) -> None:
        turn = self.client._turn
        texts = _texts(event)
        if isinstance(event, ResponseEvent):
            self.responses_told += 1
        if not texts:
            return
        must(turn is not None, "a part is told without a turn")
        must(turn.number not in self.interrupted, f"{texts} is told after turn {turn.number} was interrupted")
        for text in texts:
            connection, number, place, tag = _tag(text)
            self.plays += 1
            if not isinstance(event, BinaryEvent):
                key = (connection, number)
                must(self.shown.get(key, -1) < place, f"{text!r} is told twice or out of order")
                self.shown[key] = place
            self.answers[tag] += 1
            if tag not in ("begun", self.wanted):
                self.late.append(text)
                self.note("client", f"LATE {text!r}, wanted is {self.wanted!r}")

    def _play_all(self) -> None:
        for turn in self.turns:
            if not turn.over:
                turn.finish_playback()
        if self.honest:
            self.client.resume()

    def _server_told(self, there: Connection, event: Event) -> None:
        must(not there.closed, f"{event!r} is told after ClosedEvent")
        server = there.server
        match event:
            case FaultEvent():
                raise Broken(f"the server sees a fault: {event.error}")
            case ClosedEvent():
                there.closed = True
                must(server.closed, "closed is not true when ClosedEvent is told")
            case InitEvent():
                there.question = True
            case InputEvent():
                turn = server._turn
                must(turn is not None and turn.input == event.input, "server._turn is not that of the input")
                must(turn.number > there.last_input, "turn numbers do not increase")
                there.last_input = turn.number
                there.spoken[turn.number] = Spoken(turn, turn.text)
                there.pending.append(there.spoken[turn.number])
                if turn.number in there.interrupted:
                    raise Broken("an input is told after its turn was interrupted")
                if not turn.over:
                    must(server.session_id == turn.session_id, "the turn is not of the session in force")
            case TurnInterruptedEvent():
                must(event.number not in there.interrupted, f"turn {event.number} is interrupted twice")
                there.interrupted[event.number] = event.reason
                spoken = there.spoken[event.number]
                must(spoken.turn.over, "a turn is interrupted and not over")
                must(not spoken.finished, "a turn is interrupted after its Response")
                if event.reason not in ("error", "lost", "closed"):
                    there.expected += spoken.turn.input is not None or spoken.turn._seen
            case InputAudioStreamOpenEvent():
                must(server.stream is not None, "a stream opens without a handle")
                there.streams.append(server.stream)
        if self.setup.prompt_server or self.honest:
            self._prompt(there)

    def _prompt(self, there: Connection) -> None:
        server = there.server
        if there.question:
            there.question = False
            if not server.closed and server._question is not None:
                server.ready()
        while there.pending:
            spoken = there.pending[0]
            try:
                if not spoken.turn.over:
                    self._answer(there, spoken)
            except LocalProtocolError:
                must(server._outbox_bytes > server.limits.queued_bytes, "an answer is refused")
                return  # as a host that waits until there is room again
            there.pending.popleft()
        if there.streams and not there.streams[-1].over:
            there.streams[-1].ready()

    def _answer(self, there: Connection, spoken: Spoken) -> None:
        plan = spoken.tag.partition(":")[2]
        parts, members = PLANS.get(plan, PLANS["one"])
        for part in parts:
            self._say(spoken, there, part)
        self._finish(spoken, there, members)

    def _say(self, spoken: Spoken, there: Connection, part: str) -> None:
        text = f"{there.number}.{spoken.turn.number}.{spoken.said} {spoken.tag}"
        match part:
            case "text":
                spoken.turn.say(text)
            case "audio":
                spoken.turn.say(text.encode())
            case _:
                spoken.turn.say(ResponseItem(text="#" + part))
        spoken.said += 1

    def _finish(self, spoken: Spoken, there: Connection, members: dict[str, Any]) -> None:
        members = dict(members)
        items = []
        for _ in range(members.pop("items", 0)):
            items.append(ResponseItem(text=f"{there.number}.{spoken.turn.number}.{spoken.said} {spoken.tag}"))
            spoken.said += 1
        spoken.turn.finish(items=tuple(items), **members)
        spoken.finished = True
        there.expected += 1
        must(spoken.turn.over, "a finished turn is not over")

    # -------------------------------------------------------- what a host tries, and what it may get for it

    def attempt(
        self, end: Channel, what: str, do: Callable[[], Any], *, legal: bool, late: bool = False
    ) -> Any:
        """Do what is legal, or see that it is refused and changes nothing.

        Args:
            end: the channel it is done to.
            what: for the record.
            do: what is done.
            legal: whether the tables allow it.
            late: whether what it is done to is over: then TooLateError is due.
        """
        before = _snapshot(end)
        try:
            done = do()
        except TooLateError:
            must(late, f"{what} is too late, but nothing is over")
        except LocalProtocolError as error:
            no_room = end._outbox_bytes > end.limits.queued_bytes
            must(not legal or late or no_room, f"{what} is refused although it is legal: {error}")
        else:
            must(
                legal and not late, f"{what} is allowed although it is {'too late' if late else 'not legal'}"
            )
            return done
        self.note("host", f"({what} was refused)")
        must(
            _snapshot(end) == before, f"{what} was refused and changed something: {before}, {_snapshot(end)}"
        )
        return None

    # -------------------------------------------------------- moves of the client's host

    def open(self) -> None:
        self.note("client", "open()")
        self.attempt(self.client, "open()", self.client.open, legal=True, late=self.client._finished)

    def say(self, plan: str) -> None:
        self.said += 1
        text = f"#intro-{self.said}" if plan == "#intro" else f"i{self.said}:{plan}"
        self.note("client", f"say({text!r})")
        self._speak(text, lambda: self.client.say(text), "say")

    def request(self, plan: str, session: str) -> None:
        """Send a Request of the host's own making."""
        self.said += 1
        text = f"i{self.said}:{plan}"
        session_id = self.client.session_id or "chosen" if session == "own" else session
        self.note("client", f"sends a Request {text!r} for session {session_id!r}")
        event = RequestEvent(
            request=Request(
                app_key="key",
                device_id="device",
                session_id=session_id,
                input=Input(transcript=Transcript(text=text)),
            )
        )
        self._speak(text, lambda: self.client.send(event), "Request")

    def _speak(self, text: str, do: Callable[[], Any], what: str) -> None:
        client = self.client
        legal = client.state in READY
        turn_before = client._turn
        if legal:
            self._crossing_input()
        self.attempt(client, what, do, legal=legal, late=client._finished)
        if legal and client._turn is not turn_before:
            self.wanted = text
            self.last_said = (self.here, text)
            must(client._turn is not None, "an input has no turn")
            self._know(client._turn)
            must(client.turn.number >= self.last_turn, "turn numbers do not increase")
            self.last_turn = client.turn.number
            must(not client.turn.over, "the turn of a new input is over")

    def interrupt(self, back: int) -> None:
        turn = _nth(self.turns, back)
        if turn is None:
            return
        before = self.client.state
        self.note("client", f"turn {turn.number}.interrupt()")
        turn.interrupt()
        if before in DUPLEX_TALKING and self.client.state in (State.LISTENING, State.SLEEPING):
            self.wanted = None

    def played(self, back: int) -> None:
        turn = _nth(self.turns, back)
        if turn is not None:
            self.note("client", f"turn {turn.number}.finish_playback()")
            turn.finish_playback()

    def pause(self) -> None:
        self.note("client", "pause()")
        self.client.pause()

    def resume(self) -> None:
        self.note("client", "resume()")
        self.client.resume()

    def _microphone_legal(self) -> bool:
        client = self.client
        duplex = client._rules is client.DUPLEX_RULES and client.state in DUPLEX_TALKING
        return client.state is State.LISTENING or duplex

    def microphone(self, what: str) -> None:
        client = self.client
        self.note("client", f"microphone: {what}")
        legal, late = self._microphone_legal(), client._finished
        match what:
            case "open" if client.audio is Audio.CLOSED:
                self.attempt(client, "open_microphone", client.open_microphone, legal=legal, late=late)
            case "open":
                client.open_microphone()
            case "close" if client.audio is not Audio.CLOSED:
                self.attempt(client, "close_microphone", client.close_microphone, legal=legal, late=late)
            case "close":
                client.close_microphone()
            case _:
                event = InputAudioStreamCancelEvent()
                self.attempt(client, "Cancel", lambda: client.send(event), legal=legal, late=late)

    def audio(self) -> None:
        sent = self.client.send_audio(b"block")
        if sent:
            ROWS["client", self.client.state, "> Binary"] += 1
        self.note("client", f"send_audio() {'' if sent else 'to nobody'}")

    def tell(self, what: str) -> None:
        """Send what is legal from Ready on."""
        client = self.client
        do: dict[str, Callable[[], Any]] = {
            "log": lambda: client.log(LogEntry(text="entry")),
            "end": lambda: client.send(SessionEndEvent()),
            "init": lambda: client.send(client.init),
            "unknown": lambda: client.send(UnknownEvent(data={"type": "Odd", "n": 1})),
        }
        self.note("client", f"sends {what}")
        echoes = client._echoes
        self.attempt(client, what, do[what], legal=client.state in READY, late=client._finished)
        if client._echoes > echoes:
            self.here.own_ends += 1

    def vote(self, back: int) -> None:
        turn = _nth(self.turns, back)
        if turn is not None:
            client = self.client
            self.note("client", f"votes on turn {turn.number}")
            self.attempt(
                client,
                "vote",
                lambda: client.vote(turn, 1),
                legal=client.state in READY,
                late=client._finished,
            )

    def ping(self) -> None:
        client = self.client
        legal = client.state in (State.OPEN, *READY)
        event = BinaryEvent(data=b"")
        self.note("client", "sends a keep-alive")
        self.attempt(client, "keep-alive", lambda: client.send(event), legal=legal, late=client._finished)

    def close(self) -> None:
        self.note("client", "close()")
        self.client.close()

    # -------------------------------------------------------- moves of the server's host

    def _spoken(self, back: int) -> tuple[Connection, Spoken] | None:
        return _nth([(there, each) for there in self.connections for each in there.spoken.values()], back)

    def _stream(self, back: int) -> tuple[Connection, AudioStream] | None:
        return _nth([(there, each) for there in self.connections for each in there.streams], back)

    def answer_init(self, accept: bool) -> None:
        there = self.here
        if there is None:
            return
        server = there.server
        asked = server._question is not None
        self.note(f"server{there.number}", "ready()" if accept else "fail('no')")
        late = server._finished
        if accept:
            self.attempt(server, "ready()", server.ready, legal=asked, late=late)
        else:
            legal = asked or server.state in READY
            if legal:
                self._crossing_end("error", there)
            self.attempt(server, "fail()", lambda: server.fail("no"), legal=legal, late=late)
        there.question = server._question is not None

    def item(self, back: int, part: str) -> None:
        found = self._spoken(back)
        if found is not None:
            there, spoken = found
            self.note(f"server{there.number}", f"turn {spoken.turn.number}.say({part})")
            over = spoken.turn.over
            self.attempt(there.server, "say()", lambda: self._say(spoken, there, part), legal=True, late=over)

    def finish(self, back: int, plan: str) -> None:
        found = self._spoken(back)
        if found is not None:
            there, spoken = found
            self.note(f"server{there.number}", f"turn {spoken.turn.number}.finish({plan})")
            if plan in ("own", "fail"):
                plan = "one" if plan == "fail" else spoken.tag.partition(":")[2]
            members = PLANS.get(plan, PLANS["one"])[1]
            over = spoken.turn.over
            self.attempt(
                there.server, "finish()", lambda: self._finish(spoken, there, members), legal=True, late=over
            )

    def fail_turn(self, back: int) -> None:
        found = self._spoken(back)
        if found is not None:
            there, spoken = found
            turn, over = spoken.turn, spoken.turn.over
            self.note(f"server{there.number}", f"turn {turn.number}.fail()")
            text = f"{there.number}.{turn.number}.{spoken.said} {spoken.tag}"
            self.attempt(there.server, "turn.fail()", lambda: turn.fail(text), legal=True, late=over)
            if turn.over and not over:
                spoken.finished = True
                spoken.said += 1
                there.expected += 1

    def cut(self, back: int) -> None:
        found = self._spoken(back)
        if found is not None:
            there, spoken = found
            self.note(f"server{there.number}", f"turn {spoken.turn.number}.interrupt()")
            spoken.turn.interrupt()
            must(spoken.turn.over, "an interrupted turn is not over")

    def begin(self) -> None:
        there = self.here
        if there is None:
            return
        server = there.server
        legal = server._running is None and server.state in (State.SLEEPING, State.LISTENING)
        self.note(f"server{there.number}", "begin()")
        if legal:
            self._crossing_begin(there)
        turn = self.attempt(server, "begin()", server.begin, legal=legal, late=server._finished)
        if turn is not None:
            there.spoken[turn.number] = Spoken(turn, "begun")
            there.pending.append(there.spoken[turn.number])

    def acknowledge(self, back: int) -> None:
        found = self._stream(back)
        if found is not None:
            there, stream = found
            self.note(f"server{there.number}", "stream.ready()")
            self.attempt(there.server, "stream.ready()", stream.ready, legal=True, late=stream.over)

    def recognise(self, back: int, final: bool, plan: str) -> None:
        found = self._stream(back)
        if found is not None:
            there, stream = found
            self.said += 1
            text = f"r{self.said}:{plan}"
            self.note(f"server{there.number}", f"stream.recognized({text!r}, final={final})")
            self.attempt(
                there.server,
                "recognized()",
                lambda: stream.recognized(text, final=final),
                legal=there.server.audio is Audio.OPEN,
                late=stream.over,
            )

    def end_of_utterance(self, back: int) -> None:
        found = self._stream(back)
        if found is not None:
            there, stream = found
            self.note(f"server{there.number}", "stream.end_of_utterance()")
            self.attempt(
                there.server, "end_of_utterance()", stream.end_of_utterance, legal=True, late=stream.over
            )

    def server_tell(self, what: str) -> None:
        there = self.here
        if there is None:
            return
        server = there.server
        self.note(f"server{there.number}", f"sends {what}")
        late = server._finished
        event: Event
        match what:
            case "end":
                event = SessionEndEvent()
                legal = (
                    server.state in (State.SLEEPING, State.LISTENING)
                    and server._running is None
                    and server.session_id is not None
                )
                if legal:
                    self._crossing_end("session ended", there)
            case "unknown":
                event = UnknownEvent(data={"type": "Odd"})
                legal = server.state in READY
            case _:
                event = BinaryEvent(data=b"")
                legal = server.state is not State.CLOSED
        self.attempt(server, what, lambda: server.send(event), legal=legal, late=late)

    def rename(self) -> None:
        """Give a session that has just begun another id (D-58)."""
        there = self.here
        if there is None:
            return
        server = there.server
        waits = any(
            isinstance(entry.message, (str, bytes))
            and isinstance(self.frames.read(entry.message), SessionStartEvent)
            for entry in server._outbox
        )
        name = self._make_id()
        self.note(f"server{there.number}", f"rename_session({name!r})")
        late = not waits or server.session_id is None
        self.attempt(server, "rename_session()", lambda: server.rename_session(name), legal=True, late=late)

    def server_close(self) -> None:
        there = self.here
        if there is not None:
            self.note(f"server{there.number}", "close()")
            there.server.close()

    # -------------------------------------------------------- moves of the network and of time

    def deliver(self, end: str, count: int, back: int = 0) -> None:
        there = _nth(self.connections, back) or self.here
        if there is None:
            return
        if not (there.to_client if end == "client" else there.to_server):
            end = "server" if end == "client" else "client"
        for _ in range(count):
            if not self.hand_over(end, there):
                return
            if count > 50:  # the other half of the deliveries is read in one pass
                continue
            self.run()

    def flush(self, end: str, count: int) -> None:
        """A slow writer takes some of what there is to send."""
        if end == "client":
            self.run_client(flush=False)
            self.flush_client(count)
        elif self.here is not None:
            self.run_server(self.here, flush=False) if not self.here.closed else None
            self.flush_server(self.here, count)

    def lose(self, first: str) -> None:
        """The transport is lost, with all that is in flight; one end may learn it later."""
        there = self.here
        if there is None or there.closed or not self.client._has_transport():
            return
        self.note("network", f"the connection is lost; at once at: {first}")
        there.to_client.clear()
        there.to_server.clear()
        if first in ("client", "both"):
            self.client.receive_eof()
        else:
            there.to_client.append((self.clock.now, GONE))
        if first in ("server", "both"):
            there.server.receive_eof()
        else:
            there.to_server.append((self.clock.now, GONE))

    def refuse(self, status: int) -> None:
        """A connection that is being made fails."""
        there = self.here
        if there is None or not self.client._connecting or there.server.state is not State.CLOSED:
            return
        if not there.to_server or there.server._inbox:
            return
        self.note("network", f"the connection is refused: {status or 'no answer'}")
        there.to_server.clear()
        there.server.receive_eof()  # there is no such server
        self.run_server(there)
        if status:
            self.client.receive_data(ResponseHead(status=status))
        else:
            self.client.receive_eof()

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline; nothing stays in flight for longer than LATENCY."""
        until = self.clock.now + seconds
        self.run(force=True)
        for _ in range(3000):
            due = min((at for at in (*self._deadlines(), *self._arrivals()) if at is not None), default=None)
            if due is None or due > until:
                break
            self.clock.now = max(self.clock.now, due)
            for there in self.connections:
                for end, flight in (("client", there.to_client), ("server", there.to_server)):
                    while flight and flight[0][0] + LATENCY <= self.clock.now:
                        if not self.hand_over(end, there):
                            break
            self.run(force=True)
        else:
            raise Broken("time does not pass")
        self.clock.now = until
        self.run(force=True)

    def wait_for_deadline(self) -> None:
        due = min((at for at in self._deadlines() if at is not None), default=None)
        if due is not None:
            self.note("time", "to the next deadline")
            self.wait(max(0.0, due - self.clock.now))

    def catch_up(self) -> None:
        """All that is in flight arrives, and what comes of it."""
        for _ in range(500):
            moved = False
            for there in self.connections:
                for end in ("client", "server"):
                    moved |= self.hand_over(end, there)
            self.run(force=True)
            if not moved and not self._arriving():
                return
        raise Broken("the two ends never stop talking")

    def _deadlines(self) -> Iterable[float | None]:
        yield self.client.next_deadline()
        for there in self.connections:
            yield there.server.next_deadline()

    def _arrivals(self) -> Iterable[float]:
        for there in self.connections:
            for end, flight in ((self.client, there.to_client), (there.server, there.to_server)):
                if flight and not end.full:
                    yield flight[0][0] + LATENCY

    # -------------------------------------------------------- what crosses what (D-35)

    def _input_in_transit(self, there: Connection) -> bool:
        """Whether the server has yet to be told of an input that the client has sent."""
        waiting = (*(message for _, message in there.to_server), *_messages(there.server))
        if there is self.here:
            waiting = (*waiting, *_messages(self.client))
        events = [*there.server._decoded]
        events += [self.frames.read(each) for each in waiting if isinstance(each, (str, bytes))]
        return any(isinstance(each, (InputEvent, RequestEvent)) for each in events)

    def _crossing_input(self) -> None:
        there = self.here
        if there is None:
            return
        events = [
            self.frames.read(each)
            for each in (
                *(message for _, message in there.to_client),
                *_messages(there.server),
                *_messages(self.client),
            )
            if isinstance(each, (str, bytes))
        ]
        events += [*self.client._decoded]
        if (there.server._running is not None and there.server._running.input is None) or any(
            _tag(text)[3] == "begun" for event in events for text in _texts(event)
        ):
            self.crossings.add("begun")
        # A Response without items has no tag: whatever is in transit may be that of a turn that was begun.
        if any(spoken.tag == "begun" for spoken in there.spoken.values()) and events:
            self.crossings.add("begun")
        if any(isinstance(event, ErrorEvent) for event in events):
            self.crossings.add("error")
        if there.own_ends or any(isinstance(event, SessionEndEvent) for event in events):
            self.crossings.add("session ended")

    def _crossing_begin(self, there: Connection) -> None:
        if self._input_in_transit(there):
            self.crossings.add("begun")

    def _crossing_end(self, what: str, there: Connection) -> None:
        if self._input_in_transit(there):
            self.crossings.add(what)

    # -------------------------------------------------------- what holds whenever all is quiet

    def quiet(self) -> bool:
        """Whether the two ends are connected and know all that the other has said."""
        there = self.here
        return (
            there is not None
            and not there.closed
            and self.client.state in READY
            and not there.to_client
            and not there.to_server
            and not _busy(self.client)
            and not _busy(there.server)
        )

    def _agree(self) -> None:
        """Never a session known at one end only.

        The server of a connection knows of no session before the first one begins there: the client may hold
        the id of an earlier connection, or one that it will propose. From the first SessionStarted on both
        know the same one, but for the time between the two ends of a sleep (D-50).
        """
        if not self.quiet():
            return
        there = self.here
        client, server = self.client, there.server
        if server._running is None and not client._open:
            must(
                there.responses == there.expected,
                f"{there.expected} turns ask for a Response, {there.responses} were sent (D-35)",
            )
        if not there.session_ever:
            must(server.session_id is None, "a session begins without SessionStarted")
        elif self.expired and self.crossings and client.session_id is None:
            pass  # a sleep that crossed an input, or a Response that crossed the end of the sleep
        elif "sleep" not in client._due and "sleep" not in server._due:
            must(
                client.session_id == server.session_id,
                f"the client believes in session {client.session_id!r}, the server in {server.session_id!r}",
            )
        if client.mistook:
            pass  # the two may be in different modes, if a Response changed it in between
        elif client.audio is Audio.OPEN:
            # A late acknowledgement is taken for that of the next opening (D-43), which is still to come.
            must(
                server.audio is Audio.OPEN or (server.audio is Audio.ASKED and not self.honest),
                f"the client speaks, the server's stream is {server.audio.value}",
            )
        elif client.audio is Audio.ASKED:
            must(server.audio is not Audio.CLOSED, "the client waits for a microphone that nobody will open")
        elif self.honest:  # else a host may yet acknowledge an opening that the client has given up
            must(
                server.audio is Audio.CLOSED,
                f"the client's microphone is closed, the server's stream {server.audio.value}",
            )
        else:
            must(server.audio is not Audio.OPEN, "the server listens to a client whose microphone is closed")
        if client._open and server._running is None:
            raise Broken(f"the client waits for {len(client._open)} answers, the server is in no turn")

    # -------------------------------------------------------- never stuck

    def come_to_rest(self) -> None:
        """From now on both hosts do all they should and begin nothing: the conversation gets in order."""
        self.note("walk", "from here on the hosts are honest")
        self.honest = True
        until = self.clock.now + PATIENCE
        if self.client.state is State.CLOSED and not self.client._has_transport():
            self.client.open() if not self.client._finished else None
        while True:
            self._settle()
            if self._rested() and self.clock.now >= until:
                break
            must(
                self.clock.now < until + PATIENCE,
                f"stuck: {self.client!r}, {self.here and self.here.server!r}, open turns {self.client._open}",
            )
            due = min((at for at in self._deadlines() if at is not None), default=until)
            self.clock.now = max(self.clock.now, min(due, until) if self.clock.now < until else due)
        must(self.client._finished or not self.client._open, "a turn is open at the client")
        for there in self.connections:
            must(there.server._running is None, "a turn is open at the server")
            must(not there.to_server, "something stays in flight")
        if not self.client._finished:
            self._converse()
        must(self.client_closed == self.client._finished, "ClosedEvent was not told")

    def _rested(self) -> bool:
        return self.client._finished or self.client.state in (State.LISTENING, State.SLEEPING)

    def _settle(self) -> None:
        """Deliver and answer until nothing is left to do at this time."""
        for _ in range(500):
            for there in self.connections:
                if not there.closed:
                    self._prompt(there)
            self._play_all()
            self.run(force=True)
            moved = False
            for there in self.connections:
                for end in ("client", "server"):
                    moved |= self.hand_over(end, there)
            if not moved:
                self.run(force=True)
                if not self._arriving():
                    return
        raise Broken("the two ends never stop talking")

    def _arriving(self) -> bool:
        return next(iter(self._arrivals()), None) is not None

    def _converse(self) -> None:
        """The client says something by text and by voice, and gets its answers."""
        self.say("two")
        self._settle()
        tag = self.wanted
        must(self.answers[tag] == 2, f"{tag!r} got {self.answers[tag]} of 2 items")
        must(self.client.state is State.LISTENING, f"after an answer the client is in {self.client!r}")
        if self.client.mistook:
            self.microphone("close")
        self.microphone("open")
        self._settle()
        must(
            self.client.audio is Audio.OPEN,
            f"the microphone does not open: {self.client!r}",
        )
        must(self.client.send_audio(b"voice"), "nobody listens to the client")
        self._settle()
        must(self.here.server.audio is Audio.OPEN, "the server does not listen")
        self.recognise(0, True, "two")
        heard = f"r{self.said}:two"
        self._settle()
        must(self.answers[heard] == 2, f"{heard!r} got {self.answers[heard]} of 2 items")
        must(
            self.client.state is State.LISTENING, f"after an answer by voice the client is in {self.client!r}"
        )

    def check_late(self) -> None:
        """What was interrupted is never played, unless something unasked for crossed an input (D-35)."""
        must(
            not self.late or self.crossings,
            f"{self.late} of interrupted turns were played although nothing crossed an input",
        )

    # -------------------------------------------------------- one move

    def move(self, name: str, *args: Any) -> None:
        """Make a move, then a pass at every end."""
        self.moves.append((name, args))
        try:
            getattr(self, name)(*args)
            self.run()
        except Broken:
            raise
        except Exception as error:  # every end must bear whatever the walk does
            raise Broken(f"{name}{args} raised {type(error).__name__}: {error}") from error


def _short(what: object) -> str:
    if isinstance(what, InitEvent):
        return "InitEvent"
    match what:
        case InputEvent():
            return f"InputEvent {what.input.text!r}"
        case RequestEvent():
            return f"RequestEvent {what.request.input.text!r} session {what.request.session_id!r}"
        case ResponseItemEvent():
            return f"ResponseItemEvent {what.response_item.text!r}"
        case ResponseEvent():
            response = what.response
            ends = f" sleep {response.sleep_timeout}" if response.sleep_timeout else ""
            ends += " ended" if response.session_ended else ""
            return f"ResponseEvent {[item.text for item in response.items]}{ends}"
    return str(what)


def _busy(end: Channel) -> bool:
    """Whether an end has something to read or to send."""
    waits = end._outbox or end._in_hand is not None or end._inbox or end._decoded
    return bool(waits or end._question or end._end)


def _texts(event: Event) -> list[str]:
    """The tagged texts in an event."""
    found: list[str] = []
    match event:
        case ResponseItemEvent():
            found = [event.response_item.text]
        case ResponseEvent():
            found = [item.text for item in event.response.items]
        case BinaryEvent() if event.data:
            found = [event.data.decode()]
    return [text for text in found if text[:1].isdigit()]


def _tag(text: str) -> tuple[int, int, int, str]:
    """Connection, turn, place, and the input it answers."""
    where, _, tag = text.partition(" ")
    connection, number, place = map(int, where.split("."))
    return connection, number, place, tag


def _nth(of: list[Any], back: int) -> Any:
    """The one so far from the newest; None when there is none."""
    return of[-1 - back] if back < len(of) else None


def _snapshot(end: Channel) -> tuple[Any, ...]:
    common = (end.state, end.audio, len(end._outbox), len(end._told), dict(end._due), end.session_id)  # type: ignore[attr-defined]
    if isinstance(end, SocketV1Client):
        return (*common, tuple(end._open), end._turns, end._turn)
    return (*common, end._running, end._turns, end._question)  # type: ignore[attr-defined]


# ------------------------------------------------------------ moves and how often

_NEW = (0, 0, 0, 0, 1, 2)
_PLAN = (*PLANS, "one", "one", "two", "two", "one")

MOVES: dict[str, tuple[int, tuple[tuple[Any, ...], ...]]] = {
    "open": (2, ()),
    "say": (14, ((*_PLAN, "#intro"),)),
    "request": (2, (("one", "two", "end", "sleep"), ("own", "own", "other", "not well-formed"))),
    "interrupt": (5, (_NEW,)),
    "played": (6, (_NEW,)),
    "pause": (7, ()),
    "resume": (3, ()),
    "microphone": (10, (("open", "open", "open", "close", "cancel"),)),
    "audio": (4, ()),
    "tell": (5, (("log", "end", "init", "unknown"),)),
    "vote": (1, (_NEW,)),
    "ping": (3, ()),
    "close": (0, ()),
    "answer_init": (6, ((True, True, True, True, False),)),
    "item": (8, (_NEW, ("text", "text", "text", "audio", "command"))),
    "finish": (10, (_NEW, ("own", "own", "own", "none", "late", "end", "sleep"))),
    "fail_turn": (1, (_NEW,)),
    "cut": (2, (_NEW,)),
    "begin": (3, ()),
    "acknowledge": (7, (_NEW,)),
    "recognise": (8, (_NEW, (True, False), _PLAN)),
    "end_of_utterance": (2, (_NEW,)),
    "server_tell": (2, (("end", "unknown", "ping"),)),
    "rename": (1, ()),
    "server_close": (0, ()),
    "deliver": (50, (("client", "server"), (1, 1, 1, 2, 3, 99), (0, 0, 0, 0, 0, 1))),
    "flush": (6, (("client", "server"), (1, 2))),
    "lose": (1, (("both", "client", "server"),)),
    "refuse": (1, ((0, 503),)),
    "catch_up": (4, ()),
    "wait": (6, ((0.1, 0.5, 1.0, 2.5, 5.0, 11.0),)),
    "wait_for_deadline": (4, ()),
}
"""How often a move is made, and what its arguments are drawn from. 0: once in some hundred moves."""


def random_setup(rng: random.Random) -> Setup:
    return Setup(**{name: rng.choice(of) for name, of in CHOICES.items()})


UNASKED = ("begin", "server_tell", "tell")
"""What begins a turn or ends a session of its own accord, while an input may be on its way."""


CONNECTED: tuple[Move, ...] = (("catch_up", ()), ("answer_init", (True,)), ("catch_up", ()))


def random_moves(rng: random.Random, count: int, *, unasked: bool = True) -> list[Move]:
    names = [name for name in MOVES if unasked or name not in UNASKED]
    # Each walk has moves of its own that it likes or shuns: it gets further into some corner.
    weights = [
        (MOVES[name][0] or 0.2) * (1 if name in ("deliver", "say") else rng.choice((0.3, 1, 1, 4)))
        for name in names
    ]
    chosen = rng.choices(names, weights, k=count)
    moves = [
        ("open", ()),
        *(CONNECTED if rng.random() < 0.8 else ()),
        *((name, tuple(rng.choice(of) for of in MOVES[name][1])) for name in chosen),
    ]
    return (
        moves
        if unasked
        else [("answer_init", (True,)) if each[0] == "answer_init" else each for each in moves]
    )


def walk(setup: Setup, moves: Iterable[Move]) -> Walk:
    """Make the moves, then see that all comes to rest.

    Raises:
        Broken: with the story of the walk.
    """
    walked = Walk(setup)
    try:
        for name, args in moves:
            walked.move(name, *args)
        walked.come_to_rest()
        walked.check_late()
    except Broken as error:
        error.args = (f"{error}\n{walked.story()}",)
        error.walk = walked  # type: ignore[attr-defined]
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}\n{walked.story()}") from error
    return walked


def kind(failure: str) -> str:
    """The first line of a failure, without what differs from walk to walk."""
    line = failure.partition("\n")[0]
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "…", re.sub(r"^\[.*?\]", "…", line)))


def shorten(setup: Setup, moves: list[Move], failure: str) -> tuple[Setup, list[Move]]:
    """Leave out moves, and what is special about the setup, as long as the same thing breaks.

    Args:
        failure: what is left must fail with one of that kind.
    """

    def breaks(setup: Setup, moves: list[Move]) -> bool:
        try:
            walk(setup, moves)
        except Broken as error:
            return kind(str(error)) == kind(failure)
        return False

    size = len(moves) // 2
    while size:
        at = 0
        while at < len(moves):
            shorter = moves[:at] + moves[at + size :]
            if breaks(setup, shorter):
                moves = shorter
            else:
                at += size
        size //= 2
    for name in CHOICES:
        simpler = attrs.evolve(setup, **{name: getattr(Setup(), name)})
        if simpler != setup and breaks(simpler, moves):
            setup = simpler
    for at in range(len(moves)):
        shorter = moves[:at] + moves[at + 1 :]
        if breaks(setup, shorter):
            return shorten(setup, shorter, failure)
    return setup, moves

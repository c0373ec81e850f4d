"""The doors of every channel: receive, take events, flush, arm a timer.

A host drives any channel, server or client, in one loop::

    channel.receive_data(message)              # or receive_eof()
    for event in channel.events():
        ...                                    # act on it
    for message in channel.data_to_send():
        ...                                    # put it on the transport
    ...                                        # and again at channel.next_deadline()

What the peer does takes effect when it is told, what the host does takes effect at once, and time passes
only inside `next_event()`, so that no deadline overtakes what has already arrived.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar, Protocol, TypedDict, cast

import attrs

from flowstorm_channel.codecs.compile import maker
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, TooLateError
from flowstorm_channel.events import BinaryEvent, ClosedEvent, Event, FaultEvent
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.states import Audio, AudioTable, Deadline, State, Table, legal
from flowstorm_channel.wire import Close, CloseCode, Message

__all__ = ["Channel", "ChannelOptions", "Control", "Exchange", "Rules", "Timeouts", "cost_of"]


_block = maker(BinaryEvent)
# To find it in its enumeration takes a sixth of the way of a block, before Python 3.12.
_AUDIO_OPEN = Audio.OPEN
# Most channels are idle most of the time, and an empty deque takes 700 bytes.
_EMPTY: deque[Any] = cast("deque[Any]", ())


class Control(Enum):
    """What `Channel.next_event()` gives when there is no event."""

    NEED_DATA = "need data"
    """Nothing more to tell before data, the end of the transport, or the next deadline."""
    NEED_ANSWER = "need answer"
    """The machine stands still until the host has answered the event told last."""


def _seconds(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be a positive number of seconds or None, not {value!r}")


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long a machine waits, in seconds; None switches a deadline off. See the deadlines in `states`.

    Args:
        init: server; for Init after the transport was opened (D-67).
        idle: for anything from the peer, keep-alives included; off by default: real clients fall silent
            for good reasons (D-67).
        end_of_utterance: server; for a final result, after the host reported the end of speech (D-48).
        duplex_silence: server; as the client's silenceTimeout, which does not hold in Duplex (D-19).
        reconnect: client; between attempts to connect (D-16).
        lost: client; until an outage is announced (D-16).
        answer: client; for a part or the Response, before turns are given up (D-36).
        keep_alive: client; between the empty binary frames it sends (D-15).
        body: servers of HTTP requests; for the next piece of a request's body; for all of it, of a platform.
        second_put: servers of HTTP requests; for another request of the session to let go of it (D-68).
        recording: V2 server; for a final result, after the end of a recording.
        drain: servers of HTTP requests; for the end of a request's body, after its response.
        get: V2 server; for the PUT that a GET is to read for (D-69).
        get_again: V2 client; between two requests for interim results.
        alexa: for an answer, of the 8 seconds that Alexa waits from its request on (external.md).
        google_v2: the same for Google Assistant, of 10 seconds, with the Actions SDK.
        google_v3: the same with Actions Builder, of 5 seconds.
    """

    init: float | None = attrs.field(default=30.0, validator=_seconds)
    idle: float | None = attrs.field(default=None, validator=_seconds)
    end_of_utterance: float | None = attrs.field(default=1.5, validator=_seconds)
    duplex_silence: float | None = attrs.field(default=None, validator=_seconds)
    reconnect: float | None = attrs.field(default=10.0, validator=_seconds)
    lost: float | None = attrs.field(default=20.0, validator=_seconds)
    answer: float | None = attrs.field(default=15.0, validator=_seconds)
    keep_alive: float | None = attrs.field(default=None, validator=_seconds)
    body: float | None = attrs.field(default=30.0, validator=_seconds)
    second_put: float | None = attrs.field(default=1.0, validator=_seconds)
    recording: float | None = attrs.field(default=30.0, validator=_seconds)
    drain: float | None = attrs.field(default=5.0, validator=_seconds)
    get: float | None = attrs.field(default=30.0, validator=_seconds)
    get_again: float | None = attrs.field(default=1.0, validator=_seconds)
    alexa: float | None = attrs.field(default=7.0, validator=_seconds)
    google_v2: float | None = attrs.field(default=9.0, validator=_seconds)
    google_v3: float | None = attrs.field(default=4.0, validator=_seconds)


DEFAULT_TIMEOUTS = Timeouts()


class ChannelOptions(TypedDict, total=False):
    """What every channel takes; see `Channel`."""

    clock: Callable[[], float]
    wake: Callable[[], None] | None
    limits: Limits
    timeouts: Timeouts


@attrs.frozen
class Plan:
    """All that a trigger does to state, audio and deadlines: one row of the tables, worked out.

    Args:
        rests: it does nothing of the kind.
    """

    state: State
    audio: Audio
    stop: tuple[str, ...]
    start: tuple[str, ...]
    start_once: tuple[str, ...]
    rests: bool


class Rules:
    """The tables of one kind of machine, worked out so that an event costs one look-up.

    Args:
        table: of states.
        audio: of the audio region.
        deadlines: in the order in which they fire when due at once.
    """

    def __init__(self, table: Table, audio: AudioTable, deadlines: tuple[Deadline, ...]) -> None:
        self.table = table
        self.deadlines = {each.name: each for each in deadlines}
        self.rank = {each.name: rank for rank, each in enumerate(deadlines)}
        self.restarted_by_receipt = [each.name for each in deadlines if "received" in each.starts]
        self._audio_table = audio
        self._plans: dict[tuple[State, Audio], Mapping[str, Plan]] = {}

    def plans(self, state: State, heard: Audio) -> Mapping[str, Plan]:
        """What every trigger does there; worked out when somebody gets there, since few get everywhere."""
        found = self._plans.get((state, heard))
        if found is None:
            row = self.table[state].items()
            found = {trigger: self._plan(state, heard, trigger, after) for trigger, after in row}
            self._plans[state, heard] = found
        return found

    def _plan(self, state: State, heard: Audio, trigger: str, after: State) -> Plan:
        audio = self._audio_table
        then = audio[heard].get(trigger, heard)
        if after is State.SLEEPING and state is not State.SLEEPING:
            then = audio[then].get("asleep", then)
        stop: list[str] = []
        start: list[str] = []
        start_once: list[str] = []
        for each in self.deadlines.values():
            if not can_run(each, after, then) or trigger in each.stops:
                stop.append(each.name)
            elif trigger in each.starts or (each.entering and not can_run(each, state, heard)):
                (start_once if each.once else start).append(each.name)
        stays = after is state and then is heard
        stops = any(trigger in each.stops for each in self.deadlines.values())
        rests = stays and not (start or start_once or stops)
        return Plan(after, then, tuple(stop), tuple(start), tuple(start_once), rests)


def can_run(deadline: Deadline, state: State, audio: Audio) -> bool:
    """Whether the deadline can run there."""
    return state in deadline.states and (not deadline.audio or audio in deadline.audio)


class Entry:
    """A message that waits to be sent, what it costs, and the turn that it belongs to."""

    __slots__ = ("cost", "message", "turn")

    def __init__(self, message: Message, turn: object | None) -> None:
        self.message = message
        self.cost = cost_of(message)
        self.turn = turn


class Exchange(Protocol):
    """What owns one transport: every server channel, a V1 client, each request of a V2 client.

    In a client's output a `RequestHead` asks for the transport, and comes first.
    """

    def receive_data(self, message: Message) -> None:
        """Take what the transport brought."""

    def receive_eof(self) -> None:
        """The transport is gone. May be called at any time and more than once."""

    def data_to_send(self) -> Iterator[Message]:
        """What is to go over the transport, taken one by one."""
        ...


class Channel(ABC):
    """One end of a channel: what servers and clients of all transports share.

    Args:
        clock: gives the time in seconds, from any origin, never backwards.
        wake: called when the host's own doing gave the machine something to tell, to send or to wait for.
            It is to schedule the host's loop, never to call back. Hosts that run the loop after all they do
            need none.
        limits: what is taken from the peer.
        timeouts: how long is waited for what.
    """

    # In slots an idle channel takes half the memory; what subclasses add and recorders replace has none.
    __slots__ = (
        *("__dict__", "__weakref__"),
        *("_audio", "_clock", "_decoded", "_due", "_end", "_finished", "_flowing", "_handy", "_heard"),
        *("_in_hand", "_inbox", "_inbox_bytes", "_outbox", "_outbox_bytes", "_plans", "_question", "_rules"),
        *("_promised", "_state", "_told", "_woken", "dropped", "limits", "timeouts", "wake"),
    )

    RULES: ClassVar[Rules]
    """The tables of this machine."""
    FIRST: ClassVar[tuple[str, ...]]
    """What is to be done while nothing can be sent; for the text of errors."""

    _raw_audio = False
    """Whether a binary message is a block of audio, and nothing but told while audio flows."""
    _may_wait = True
    """Whether `_must_wait` is to be asked."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wake: Callable[[], None] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.limits = limits
        self.timeouts = timeouts
        self.dropped = 0
        """Blocks of audio, and parts of interrupted turns, that came or were to go when nobody listened."""
        self._clock = clock
        self.wake = wake
        """Called when the host's own doing gave the machine something to do; may be set later."""
        self._woken = False
        self._promised: float | None = None  # when the host comes at the latest, as it was told
        self._rules = self.RULES
        self._state = State.CLOSED
        self._audio = Audio.CLOSED
        self._plans = self._rules.plans(State.CLOSED, Audio.CLOSED)
        self._finished = False
        self._flowing = False  # whether texts and blocks come over a WebSocket, with no end in sight
        self._in_hand: str | bytes | None = None  # the only message that waits, beside the inbox
        self._handy = min(limits.message_bytes, limits.audio_bytes, limits.queued_bytes // 2 - _OVERHEAD - 1)
        self._inbox: deque[tuple[Any, int]] = _EMPTY
        self._inbox_bytes = 0
        self._heard = False
        self._end: Close | LimitExceeded | None = None
        self._decoded: list[Event] = []
        self._told: list[tuple[Event, object]] = []
        self._question: Event | None = None
        self._outbox: deque[Entry] = _EMPTY
        self._outbox_bytes = 0
        self._due: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.value}, audio {self._audio.value}>"

    # -------------------------------------------------------- what a host may look at

    @property
    def state(self) -> State:
        """Where the conversation is, as this end knows."""
        return self._state

    @property
    def audio(self) -> Audio:
        """Where the stream of input audio is."""
        return self._audio

    @property
    def closed(self) -> bool:
        """Whether `ClosedEvent` has been told: there will be no other event."""
        return self._finished and not self._told

    @property
    def full(self) -> bool:
        """Whether the host should stop reading from the transport until it has taken events or answered."""
        return 2 * self._inbox_bytes >= self.limits.queued_bytes

    # -------------------------------------------------------- in

    def receive_data(self, message: Message) -> None:
        """Take what the transport brought. It takes effect in `next_event()`.

        Args:
            message: one WebSocket message, or a piece of an HTTP exchange; see `wire`.

        Raises:
            LocalProtocolError: the transport cannot have brought it: a mistake of the host.
        """
        if self._flowing and self._in_hand is None and not self._inbox:
            # A WebSocket under way, and nothing waits: of what is asked below the size is left.
            kind = type(message)
            if (kind is bytes or (kind is str and message.isascii())) and len(message) <= self._handy:  # type: ignore[union-attr,arg-type]
                self._heard = True
                self._in_hand = message  # type: ignore[assignment]
                return
        self._put_down()
        if self._end is not None or self._finished or not self._has_transport():
            return
        self._check_message(message)
        self._heard = True
        if isinstance(message, Close):
            self._hear_the_end(message)
            return
        bound = self._largest(message)
        kept: Message | LimitExceeded = message
        cost = cost_of(message)
        if cost > bound + _OVERHEAD:
            kept, cost = LimitExceeded(f"a message of more than {bound} bytes"), _OVERHEAD
        if self._inbox_bytes + cost > self.limits.queued_bytes + bound + _OVERHEAD:
            self._hear_the_end(LimitExceeded(f"more than {self.limits.queued_bytes} bytes wait to be read"))
        else:
            self._enqueue(kept, cost)

    def _put_down(self) -> None:
        """What is in hand has to wait like the rest."""
        if self._in_hand is not None:
            message, self._in_hand = self._in_hand, None
            self._enqueue(message, cost_of(message))

    def _enqueue(self, message: Any, cost: int, *, again: bool = False) -> None:
        """Have a message wait.

        Args:
            again: as the first, since there is more in it.
        """
        if not self._inbox:
            self._inbox = deque()
        self._inbox_bytes += cost
        if again:
            self._inbox.appendleft((message, cost))
        else:
            self._inbox.append((message, cost))

    def receive_eof(self) -> None:
        """The transport is gone. May be called at any time and more than once."""
        if self._end is None and not self._finished and self._has_transport():
            self._hear_the_end(Close(CloseCode.ABNORMAL, "the transport was lost"))

    def _hear_the_end(self, end: Close | LimitExceeded) -> None:
        self._end = end
        self._flowing = False

    # -------------------------------------------------------- events

    def next_event(self) -> Event | Control:
        """The next thing to tell; what it means for the state happens here. Raises nothing.

        Returns:
            An event, or why there is none.
        """
        block = self._in_hand
        if (
            block
            and type(block) is bytes
            and self._raw_audio
            and self._audio is _AUDIO_OPEN
            and not (self._told or self._decoded or self._question)
        ):
            # By far the most of all that comes, and it changes nothing.
            self._in_hand = None
            self._woken = False
            return _block(data=block)
        self._woken = True  # the host is here: nobody needs to be woken
        event = self._next_event()
        self._woken = False
        return event

    def _next_event(self) -> Event | Control:
        while not self._told:
            if self._question is not None and self._end is None:
                return Control.NEED_ANSWER
            if self._question is not None:
                # The end of the transport passes the gate; nobody waits for what stands behind it.
                self._discard_input()
            if self._decoded:
                if not self._must_wait(self._decoded[0]):
                    self._take(self._decoded.pop(0))
                    continue
                if self._told or self._question is not None:
                    continue  # to find out what to do with it is something to tell
            elif self._in_hand is not None:
                message, self._in_hand = self._in_hand, None
                self._read(message)
                continue
            elif self._inbox:
                message, cost = self._inbox.popleft()
                self._inbox = self._inbox or _EMPTY
                self._inbox_bytes -= cost
                if type(message) is LimitExceeded:
                    self._fault(message)
                else:
                    self._read(message)
                continue
            if self._end is not None:
                end, self._end = self._end, None
                self._discard_input()
                if isinstance(end, LimitExceeded):
                    self._tell(FaultEvent(error=end))
                    self._overrun(end)
                else:
                    self._transport_gone(end)
            elif not (self._due and self._expire()):
                return Control.NEED_DATA
        event, handle = self._told.pop(0)
        if handle is not None:
            self._telling(event, handle)
        return event

    def events(self) -> Iterator[Event]:
        """All there is to tell now. An event takes effect when it is yielded."""
        while not isinstance(event := self.next_event(), Control):
            yield event

    def send(self, event: Event) -> None:
        """Send an event of the channel's own: what belongs to a turn or a stream goes through its handle.

        Raises:
            LocalProtocolError: it is not legal now; the error lists what is. Nothing has changed.
            TooLateError: the channel is over.
        """
        self._check_not_closed()
        self._send(event)
        self._notify()

    # -------------------------------------------------------- out

    def data_to_send(self) -> Iterator[Message]:
        """What is to go over the transport, in order.

        It is taken one by one, so that an interruption can still withdraw what has not been taken.
        """
        while self._outbox:
            entry = self._outbox.popleft()
            self._outbox = self._outbox or _EMPTY
            self._outbox_bytes -= entry.cost
            if entry.turn is not None:
                self._sending(entry.turn)
            yield entry.message

    # -------------------------------------------------------- time

    def next_deadline(self) -> float | None:
        """When the host should run its loop again even if nothing has come: a time of the clock."""
        self._promised = due = self._next_due()
        return due

    def timeout(self) -> float | None:
        """The same in seconds from now, never negative: for a `select` or a blocking read."""
        due = self.next_deadline()
        return None if due is None else max(0.0, due - self._clock())

    def _next_due(self) -> float | None:
        if not self._due or (self._question is not None and self._end is None):
            return None
        return min(self._due.values())

    # -------------------------------------------------------- for servers and clients: hooks

    @abstractmethod
    def _read(self, message: Any) -> None:
        """Take apart what was received: `_decoded` gets the events in it, `_fault` what is wrong with it."""

    @abstractmethod
    def _encode(self, event: Event) -> Message:
        """The message that says an event.

        Raises:
            LocalProtocolError: it cannot be sent.
        """

    @abstractmethod
    def _take(self, event: Event) -> None:
        """Let an event of the peer take effect, and tell it."""

    @abstractmethod
    def _send(self, event: Event) -> None:
        """Let an event of the host take effect, and put it into the outbox."""

    @abstractmethod
    def _fault(self, error: RemoteProtocolError) -> None:
        """Answer a fault of the peer as the protocol requires, and tell it."""

    @abstractmethod
    def _timed_out(self, name: str) -> None:
        """A deadline is due."""

    @abstractmethod
    def _limit(self, name: str) -> float | None:
        """How long a deadline is, in seconds; None: it does not run."""

    @abstractmethod
    def _transport_gone(self, end: Close) -> None:
        """The transport is gone, and all that came before has been told."""

    def _has_transport(self) -> bool:
        """Whether there is a transport that can bring something."""
        return True

    def _largest(self, message: Message) -> int:
        """How many bytes a message may have."""
        largest = self.limits.message_bytes
        return max(largest, self.limits.audio_bytes) if isinstance(message, bytes) else largest

    @abstractmethod
    def _check_message(self, message: Message) -> None:
        """Raise LocalProtocolError when this channel's transport cannot bring such a message."""

    def _must_wait(self, event: Event) -> bool:  # noqa: ARG002
        """Whether the event has to wait for something that the host does."""
        return False

    def _telling(self, event: Event, handle: object) -> None:  # noqa: B027
        """The event is told now; not called for one without a handle."""

    def _sending(self, turn: object) -> None:  # noqa: B027
        """Something of that turn goes out now."""

    # -------------------------------------------------------- for servers and clients: tools

    def _allows(self, trigger: str) -> bool:
        return trigger in self._plans

    def _admit(self, trigger: str) -> bool:
        """Whether the peer may do that now; when not, it is a fault of the peer's."""
        if trigger in self._plans:
            return True
        row = self._rules.table[self._state]
        what, where = trigger.removeprefix("< "), self._state.value
        self._fault(
            RemoteProtocolError(f"{what} is not legal in {where} (legal: {', '.join(legal(row, '<'))})")
        )
        return False

    def _move(self, trigger: str) -> None:
        """Go where the tables say. The trigger must be in the row."""
        plan = self._plans[trigger]
        if plan.rests:
            return
        if plan.state is not self._state or plan.audio is not self._audio:
            self._state, self._audio = plan.state, plan.audio
            self._plans = self._rules.plans(plan.state, plan.audio)
        if self._due:
            for name in plan.stop:
                self._due.pop(name, None)
        for name in plan.start:
            self._arm(name)
        for name in plan.start_once:
            if name not in self._due:
                self._arm(name)

    def _follow(self, rules: Rules) -> None:
        """Go on by other tables."""
        if rules is not self._rules:
            self._rules = rules
            self._plans = rules.plans(self._state, self._audio)

    def _start(self, trigger: str) -> None:
        """Arm what a trigger starts that changes no state."""
        for name, each in self._rules.deadlines.items():
            if trigger in each.starts and can_run(each, self._state, self._audio):
                self._arm(name)

    def _arm(self, name: str) -> None:
        limit = self._limit(name)
        if limit is not None and limit > 0:
            self._due[name] = self._clock() + limit
        else:
            self._due.pop(name, None)

    def _tell(self, event: Event, handle: object = None) -> None:
        self._told.append((event, handle))

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        """Put an event into the outbox, with the turn whose interruption withdraws it."""
        return self._put(self._encode(event), turn)

    def _decode(self, read: Callable[[Message], Event], message: Message) -> None:
        """Take the one event out of a message, or tell what is wrong with it."""
        try:
            event = read(message)
        except RemoteProtocolError as error:
            self._fault(error)
        else:
            if self._decoded or self._may_wait:
                self._decoded.append(event)
            else:
                self._take(event)

    def _put(self, message: Message, turn: object = None) -> Entry:
        entry = Entry(message, turn)
        if not self._outbox:
            self._outbox = deque()
        self._outbox.append(entry)
        self._outbox_bytes += entry.cost
        return entry

    def _replace(self, entry: Entry, message: Message) -> bool:
        """Say something else in the place of what still waits to be sent; whether it does."""
        if entry not in self._outbox:
            return False
        self._outbox_bytes -= entry.cost
        entry.message, entry.cost = message, cost_of(message)
        self._outbox_bytes += entry.cost
        return True

    def _withdraw(self, turn: object) -> None:
        """Take back what is still queued for a turn."""
        kept = deque(entry for entry in self._outbox if entry.turn is not turn)
        if len(kept) < len(self._outbox):
            self._outbox = kept
            self._outbox_bytes = sum(entry.cost for entry in kept)

    def _discard_output(self) -> None:
        self._outbox = _EMPTY
        self._outbox_bytes = 0

    def _discard_input(self) -> None:
        self._question = self._in_hand = None
        self._decoded.clear()
        self._inbox = _EMPTY
        self._inbox_bytes = 0

    def _notify(self) -> None:
        """Wake the host when there is something for it that no data and no time brought."""
        if self._has_news() or self._is_due_sooner():
            self._call_host()

    def _has_news(self) -> bool:
        """Whether there is something to tell or to send."""
        return bool(self._told or self._outbox or self._decoded)

    def _is_due_sooner(self) -> bool:
        """Whether the host would come too late, if it came when it was told to."""
        due = self._next_due()
        return due is not None and (self._promised is None or due < self._promised)

    def _call_host(self) -> None:
        """Wake the host, once until it comes."""
        if self.wake is not None and not self._woken:
            self._woken = True
            self.wake()

    def _check_not_closed(self) -> None:
        if self._finished:
            raise TooLateError("the channel is closed")

    def _check_room(self) -> None:
        """Raise when the host sends on without letting anything go out."""
        if self._outbox_bytes > self.limits.queued_bytes:
            raise LocalProtocolError(
                f"{self._outbox_bytes} bytes wait to be sent already", legal=("data_to_send()",)
            )

    def _illegal(self, what: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"{what} is not legal in {self._state.value}",
            legal=legal(self._rules.table[self._state], ">") or self.FIRST,
        )

    def _finish(self, code: int, reason: str) -> None:
        """Tell the last event."""
        self._finished = True
        self._flowing = False
        self._discard_input()
        self._due.clear()
        self._end = None
        self._tell(ClosedEvent(code=int(code), reason=reason))

    # -------------------------------------------------------- inside

    @abstractmethod
    def _overrun(self, error: LimitExceeded) -> None:
        """More has come than can be kept: give the transport up."""

    def _expire(self) -> bool:
        """Let the earliest deadline that is due happen; whether there was one."""
        if self._heard:
            self._heard = False
            for name in self._rules.restarted_by_receipt:
                if name in self._due:
                    self._arm(name)
        now = self._clock()
        if min(self._due.values()) > now:
            return False
        _, _, name = min((when, self._rules.rank[name], name) for name, when in self._due.items())
        del self._due[name]
        self._timed_out(name)
        return True


_OVERHEAD = 64


def cost_of(message: Message) -> int:
    """What keeping a message costs, in bytes: an empty one is not for nothing, and a peer can send many."""
    if isinstance(message, bytes) or (isinstance(message, str) and message.isascii()):
        return len(message) + _OVERHEAD
    return _OVERHEAD + (len(message.encode(errors="replace")) if isinstance(message, str) else 0)

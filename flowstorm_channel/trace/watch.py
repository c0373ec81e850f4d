"""The doors of one machine while it is recorded.

They are replaced in the one object that is recorded: what others do is not slower, and what is not a door is
not looked at. Doors that a machine opens for itself, from within another, are not noted: a replay opens them
by the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from flowstorm_channel.channel import Channel, Control, Exchange
from flowstorm_channel.errors import ChannelError
from flowstorm_channel.events import ClosedEvent, Event
from flowstorm_channel.http import HttpServerChannel
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.trace.acts import ACTS, arguments_of, can_be_called, tree_of_event
from flowstorm_channel.trace.entries import Act, Cut, End, Idle, Lost, Opened, Record, Setting, Told
from flowstorm_channel.trace.plain import plain
from flowstorm_channel.trace.settings import Kind, settings_of, tree_of_sessions
from flowstorm_channel.trace.sources import note_answers
from flowstorm_channel.trace.tape import Tape
from flowstorm_channel.wire import Message, RequestHead

__all__ = ["Watch"]

_REFUSALS = (ChannelError, TypeError, ValueError)
"""What a machine raises when a host makes a mistake: nothing has changed then."""


class Watch:
    """Notes what goes through the doors of a machine.

    Args:
        tape: of the recording.
        channel: the machine.
        kind: of the machine.
    """

    def __init__(self, tape: Tape, channel: Channel, kind: Kind) -> None:
        self._tape = tape
        self._channel: Any = channel
        self._kind = kind
        self._number = tape.next_channel()
        self.clock = channel._clock
        """The real one."""
        self._quiet: set[int | None] = set()
        """Where there is nothing more, as has been noted: transports, and None for events."""
        self._settings: dict[str, Any] = {}
        self._wire = tape.next_wire()
        self._asked = False
        """Whether a client has asked for that transport."""
        self._over = False
        """Whether it is not recorded any more, though others are."""
        settings = settings_of(channel, kind)
        shared = self._share()
        settings["asks"] = note_answers(channel, kind.asks, tape.note)
        if shared is not None:
            settings["sessions"] = shared[1]
        at = self.clock()
        tape.put(
            lambda: Opened(
                at=at,
                channel=self._number,
                kind=kind.cls.__name__,
                settings=plain(settings),
                sessions=None if shared is None else shared[0],
            )
        )
        self._replace_doors()
        self._settings = self._host_values()

    def _share(self) -> tuple[int, dict[str, Any] | None] | None:
        """The number of the `Sessions` of this machine, and what is in them unless it is known already."""
        if not isinstance(self._channel, HttpServerChannel) or getattr(self._channel, "_travels", False):
            return None
        sessions = self._channel._sessions
        number, new = self._tape.number_of(sessions)
        tree = tree_of_sessions(sessions) if new else None
        sessions._clock = self._tape.still(sessions._clock)
        return number, tree

    def _replace_doors(self) -> None:
        channel = self._channel
        channel._clock = self._tape.still(self.clock)
        channel.next_event = self._telling(channel.next_event)
        for name, attribute in ACTS.items():
            call = getattr(channel, attribute, None)
            if call is not None:
                setattr(channel, attribute, self._acting(name, call))
        if isinstance(channel, SocketV2Client):
            vars(channel)["_begin"] = self._beginning(channel._begin)
            vars(channel)["receive_eof"] = self._losing(channel.receive_eof, lambda: None)
        else:
            self._replace_transport(channel, lambda: self._wire)

    def _replace_transport(self, exchange: Any, wire: Callable[[], int]) -> None:
        exchange.receive_data = self._receiving(exchange.receive_data, wire)
        exchange.receive_eof = self._losing(exchange.receive_eof, wire)
        exchange.data_to_send = self._sending(exchange.data_to_send, wire)

    # -------------------------------------------------------- what the host has changed

    def _host_values(self) -> dict[str, Any]:
        """What the host may have changed since it was looked at last."""
        values = {}
        for name in self._kind.host_writes:
            if name == "session.data":
                if self._stores and self._channel.session is not None:
                    values[name] = plain(self._channel.session.data)
            else:
                values[name] = plain(getattr(self._channel, name))
        return values

    @property
    def _stores(self) -> bool:
        """Whether what the host keeps in a session is read by the machine."""
        channel = self._channel
        return getattr(channel, "_travels", False) or (
            isinstance(channel, HttpServerChannel) and channel._sessions.stored
        )

    # -------------------------------------------------------- doors

    def _note_settings(self, now: float) -> None:
        """Note what the host has changed."""
        with self._tape.harmless():
            before, self._settings = self._settings, self._host_values()
            for name, value in self._settings.items():
                if name not in before or before[name] != value:
                    self._put_setting(now, name, value)

    def _put_setting(self, now: float, name: str, value: Any) -> None:
        self._tape.put(lambda: Setting(at=now, channel=self._number, name=name, value=value))

    @property
    def _watching(self) -> bool:
        return self._tape.watching and not self._over

    @contextmanager
    def _door(self, *refusals: type[Exception]) -> Iterator[dict[str, Any]]:
        """Time stands still behind it. Gives what its entry has like every other, once it is closed.

        Args:
            refusals: what may be raised there. After anything else nobody knows where the machine is: it is
                not recorded any more.
        """
        at = self.clock()
        self._note_settings(at)
        self._tape.enter(self, at)
        members: dict[str, Any] = {}
        is_lost = True
        try:
            yield members
            is_lost = False
        except refusals:
            is_lost = False
            raise
        finally:
            members.update(self._leave(at))
            if is_lost:
                self._give_up(at)

    def _give_up(self, at: float) -> None:
        self._over = True
        self._tape.open.discard(self._number)
        self._tape.put(lambda: Cut(at=at, channel=self._number, reason="the machine has failed"))

    def _leave(self, at: float) -> dict[str, Any]:
        """What every entry has of a door that was open."""
        given = self._tape.leave()
        with self._tape.harmless():
            self._settings = self._host_values()
        channel = self._channel
        return {
            "at": at,
            "channel": self._number,
            "state": channel.state.value,
            "audio": channel.audio.value,
            "given": given,
        }

    def _telling(self, call: Callable[[], Event | Control]) -> Callable[[], Event | Control]:
        def next_event() -> Event | Control:
            tape = self._tape
            with tape.lock:
                if not self._watching:
                    return call()
                before = self._fingerprint()
                with self._door() as members:
                    event = call()
                if isinstance(event, Control):
                    if None not in self._quiet or before != self._fingerprint():
                        self._put_idle(None, members)
                else:
                    self._quiet.clear()
                    tape.put(lambda: Told(event=tree_of_event(event), **members))
                    if isinstance(event, ClosedEvent):
                        tape.open.discard(self._number)
                return event

        return next_event

    def _reached(self) -> None:
        """A door within a door. When it is another machine's, what this one's host has changed counts."""
        if self._tape.running and self._tape.inside is not self:
            self._note_settings(self._channel._clock())

    def _fingerprint(self) -> object:
        """What a machine may change without telling anything."""
        channel = self._channel
        return channel.state, channel.audio, len(channel._outbox), channel._outbox_bytes, dict(channel._due)

    def _put_idle(self, wire: int | None, members: dict[str, Any]) -> None:
        self._quiet.add(wire)
        of: Literal["events", "output"] = "events" if wire is None else "output"
        self._tape.put(lambda: Idle(of=of, wire=wire, **members))

    def _acting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **more: Any) -> Any:
            tape = self._tape
            with tape.lock:
                if not self._watching:
                    self._reached()
                    return call(*arguments, **more)
                if not can_be_called(call, arguments, more):
                    return call(*arguments, **more)  # it says what is wrong, and changes nothing
                described: dict[str, Any] = {}
                with tape.harmless():
                    described = arguments_of(call, arguments, more)
                raised: str | None = None
                members: dict[str, Any] = {}
                try:
                    with self._door(Exception) as members:
                        return call(*arguments, **more)
                except Exception as error:
                    raised = type(error).__name__
                    raise
                finally:
                    self._quiet.clear()
                    if not self._over:
                        tape.put(lambda: Act(name=name, arguments=described, raised=raised, **members))

        return act

    # -------------------------------------------------------- transports

    def _receiving(
        self, call: Callable[[Message], None], wire: Callable[[], int]
    ) -> Callable[[Message], None]:
        by: End = "client" if self._kind.end == "server" else "server"

        def receive_data(message: Message) -> None:
            tape = self._tape
            with tape.lock:
                if not self._watching:
                    call(message)
                    return
                with self._door(*_REFUSALS) as members:
                    call(message)
                self._quiet.clear()
                self._put_record(members, wire(), by, message)

        return receive_data

    def _losing(self, call: Callable[[], None], wire: Callable[[], int | None]) -> Callable[[], None]:
        def receive_eof() -> None:
            tape = self._tape
            with tape.lock:
                if not self._watching:
                    call()
                    return
                with self._door() as members:
                    call()
                self._quiet.clear()
                tape.put(lambda: Lost(at=members["at"], channel=self._number, wire=wire()))

        return receive_eof

    def _sending(
        self, call: Callable[[], Iterator[Message]], wire: Callable[[], int]
    ) -> Callable[[], Iterator[Message]]:
        def data_to_send() -> Iterator[Message]:
            tape = self._tape
            messages = call()
            while True:
                with tape.lock:
                    if self._watching:
                        message = self._send(messages, wire)
                    else:
                        message = next(messages, None)
                if message is None:
                    return
                yield message

        return data_to_send

    def _send(self, messages: Iterator[Message], wire: Callable[[], int]) -> Message | None:
        with self._door() as members:
            message = next(messages, None)
        if message is None:
            if wire() not in self._quiet:
                self._put_idle(wire(), members)
            return None
        self._quiet.clear()
        if isinstance(message, RequestHead) and not isinstance(self._channel, SocketV2Client):
            if self._asked:
                self._wire = self._tape.next_wire()
            self._asked = True
        self._put_record(members, wire(), self._kind.end, message)
        return message

    def _put_record(self, members: dict[str, Any], wire: int, by: End, message: Message) -> None:
        at, number = members["at"], self._number
        self._tape.put(lambda: Record(at=at, wire=wire, by=by, message=message, channel=number))

    def _beginning(self, call: Callable[..., Exchange]) -> Callable[..., Exchange]:
        """A V2 client begins a request, from within another door."""

        def begin(*arguments: Any, **more: Any) -> Exchange:
            request = call(*arguments, **more)
            number = self._tape.next_wire()
            self._tape.note("wire", number)
            self._replace_transport(request, lambda: number)
            return request

        return begin

"""A machine that does again what was recorded of one."""

from __future__ import annotations

from typing import Any

import attrs

from flowstorm_channel.channel import Control, Exchange
from flowstorm_channel.errors import ChannelError, RemoteProtocolError
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.trace.acts import perform, tree_of_event
from flowstorm_channel.trace.entries import Act, End, Entry, Idle, Lost, Record, Setting, Told
from flowstorm_channel.trace.plain import of_plain
from flowstorm_channel.trace.settings import Kind
from flowstorm_channel.trace.sources import Answers

__all__ = ["Player"]


class Player:
    """Opens the doors of a machine as they were opened then.

    Args:
        channel: the machine, just made.
        kind: of the machine.
        answers: to what it asks the world.
    """

    def __init__(self, channel: Any, kind: Kind, answers: Answers) -> None:
        self._channel = channel
        self._end: End = kind.end
        self._settings = kind.host_writes
        self._answers = answers
        self._turns: dict[int, Any] = {}
        self._requests: dict[int, Exchange] = {}
        if isinstance(channel, SocketV2Client):
            self._number_requests(channel)

    def _number_requests(self, channel: SocketV2Client) -> None:
        begin = channel._begin

        def numbered(*arguments: Any, **more: Any) -> Exchange:
            request = begin(*arguments, **more)
            number = self._answers.take("wire")
            if number is not None:
                self._requests[number] = request
            return request

        vars(channel)["_begin"] = numbered

    def play(self, entry: Entry) -> Entry:
        """Do again what an entry tells of.

        Returns:
            What is to be noted of it now.

        Raises:
            RemoteProtocolError: it is nothing that can be done with this machine.
        """
        noted = self._play(entry)
        for name in ("_turn", "_running"):
            turn = getattr(self._channel, name, None)
            if turn is not None:
                self._turns[turn.number] = turn
        return noted

    def _play(self, entry: Entry) -> Entry:
        match entry:
            case Record() if entry.by != self._end:
                self._receive(entry)
            case Record(wire=wire) | Idle(of="output", wire=int(wire)):
                return self._next_message(entry, wire)
            case Told() | Idle():
                return self._next_event(entry)
            case Act():
                return self._act(entry)
            case Setting():
                self._set(entry)
            case Lost(wire=wire):
                self._exchange(wire).receive_eof()
        return entry

    def _exchange(self, wire: int | None) -> Exchange:
        """What owns a transport."""
        if wire is None or not isinstance(self._channel, SocketV2Client):
            found: Exchange = self._channel
            return found
        if wire not in self._requests:
            raise RemoteProtocolError(f"nothing opened transport {wire}")
        return self._requests[wire]

    def _receive(self, entry: Record) -> None:
        try:
            self._exchange(entry.wire).receive_data(entry.message)
        except ChannelError as error:
            raise RemoteProtocolError(f"the transport cannot have brought it: {error}") from None

    def _next_message(self, entry: Record | Idle, wire: int) -> Entry:
        message = next(iter(self._exchange(wire).data_to_send()), None)
        if message is None:
            return Idle(at=entry.at, channel=entry.channel, of="output", wire=wire, **self._place(entry))
        return Record(at=entry.at, wire=wire, by=self._end, message=message, channel=entry.channel)

    def _next_event(self, entry: Told | Idle) -> Entry:
        event = self._channel.next_event()
        if isinstance(event, Control):
            return Idle(at=entry.at, channel=entry.channel, of="events", **self._place(entry))
        told = tree_of_event(event)
        return Told(at=entry.at, channel=entry.channel, event=told, **self._place(entry))

    def _act(self, entry: Act) -> Entry:
        raised: str | None = None
        arguments = dict(entry.arguments)
        if entry.raised is not None and "need" in arguments:
            arguments["need"] = None  # it was another one
        try:
            perform(self._channel, self._turns, entry.name, arguments)
        except RemoteProtocolError:
            if entry.raised is None:
                raise
            raised = entry.raised  # it was refused, and is too far from anything legal to be written down
        except Exception as error:
            raised = type(error).__name__
        return attrs.evolve(entry, raised=raised, **self._place(entry))

    def _set(self, entry: Setting) -> None:
        if entry.name not in self._settings:
            raise RemoteProtocolError(f"{entry.name!r:.40} is nothing that a host sets")
        owner, name = self._channel, entry.name
        if name == "session.data":
            owner, name = self._channel.session, "data"
        if owner is None:
            raise RemoteProtocolError("there is no session yet")
        setattr(owner, name, of_plain(entry.value))

    def _place(self, entry: Entry) -> dict[str, Any]:
        """What every entry has of a door that was open; the answers were given as they stand there."""
        state, audio = self._channel.state.value, self._channel.audio.value
        return {"state": state, "audio": audio, "given": getattr(entry, "given", ())}

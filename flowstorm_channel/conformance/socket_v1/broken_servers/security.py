"""Servers that give to one client what belongs to another."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.channel import Entry
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.wire import CloseCode, Message

__all__: list[str] = []


@fault("gives-everybody-one-id")
class _GivesEverybodyOneId(SocketV1Server):
    """Calls all sessions the same."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw, make_id=lambda: "session")


@fault("takes-any-id")
class _TakesAnyId(SocketV1Server):
    """Takes a session id as it comes, whatever is in it."""

    def _adopt(self, proposed: str) -> None:
        if proposed != self.session_id:
            self._clear_session()
            self._proposed = proposed


@fault("joins-foreign-sessions")
class _JoinsForeignSessions(BrokenServer):
    """Sends what belongs to a session to whoever has named its id last."""

    _taken_by: SocketV1Server | None = None

    def _begin_session(self) -> None:
        super()._begin_session()
        self.shared.setdefault(self.session_id, self)

    def _adopt(self, proposed: str) -> None:
        super()._adopt(proposed)
        other = self.shared.get(proposed)
        if other is not None and other is not self:
            other._taken_by = self

    def _put(self, message: Message, turn: object = None) -> Entry:
        if turn is not None and self._taken_by is not None:
            return self._taken_by._put(message)
        return super()._put(message, turn)


@fault("hangs-up-on-whose-session-is-named")
class _HangsUpOnWhoseSessionIsNamed(BrokenServer):
    """Lets a session have one connection: who names its id throws out the one before."""

    def _begin_session(self) -> None:
        super()._begin_session()
        self.shared.setdefault(self.session_id, self)

    def _adopt(self, proposed: str) -> None:
        super()._adopt(proposed)
        other = self.shared.get(proposed)
        if other is not None and other is not self:
            other.close(CloseCode.GOING_AWAY, "connected elsewhere")


@fault("remembers-for-whoever-knows-the-id")
class _RemembersForWhoeverKnowsTheId(BrokenServer):
    """Finds what is remembered of a session by its id, and does not look whose it is."""

    def _begin_session(self) -> None:
        super()._begin_session()
        assert self.session is not None
        self.session.data = self.shared.setdefault(self.session.session_id, self.session.data)

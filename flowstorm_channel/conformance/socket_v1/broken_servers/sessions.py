"""Servers that go wrong with sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flowstorm_channel.conformance.frames import ENDED, Frame, response
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import BrokenServer, fault, inside
from flowstorm_channel.events import ErrorEvent, SessionEndEvent, SessionStartEvent
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import well_formed
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.values import Input, Request, Response

__all__: list[str] = []


@fault("forgets-session-started")
class _ForgetsSessionStarted(BrokenServer):
    """Never tells the id of the session."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] != "SessionStarted":
            yield frame


@fault("announces-a-session-too-late")
class _AnnouncesASessionTooLate(BrokenServer):
    """Tells the id of the session behind the first part of its first answer."""

    _held: Frame | None = None

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "SessionStarted":
            self._held = frame
            return
        yield frame
        if self._held is not None:
            yield self._held
        self._held = None


@fault("announces-every-turn")
class _AnnouncesEveryTurn(SocketV1Server):
    """Tells the id of the session with each of its answers."""

    def _new_turn(self, said: Input | None, request: Request | None) -> Turn:
        if self.session is not None and self.session.turns:
            self._write(SessionStartEvent(session_id=self.session.session_id))
        return super()._new_turn(said, request)


@fault("begins-anew-with-every-request")
class _BeginsAnewWithEveryRequest(SocketV1Server):
    """Begins a session with each Request, though it names the one in force."""

    def _adopt(self, proposed: str) -> None:
        self._clear_session()
        super()._adopt(proposed)


@fault("ignores-proposed-ids")
class _IgnoresProposedIds(SocketV1Server):
    """Names all sessions itself."""

    def _begin_session(self) -> None:
        self._proposed = None
        super()._begin_session()


@fault("ignores-another-id")
class _IgnoresAnotherId(SocketV1Server):
    """Goes on with the session in force when a Request names another one."""

    def _adopt(self, proposed: str) -> None:
        if self.session is None:
            super()._adopt(proposed)


@fault("knows-no-requests")
class _KnowsNoRequests(BrokenServer):
    """Does not know the older form of Input, and passes over it."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("type") == "Request" else frame


@fault("says-session-ended-first")
class _SaysSessionEndedFirst(BrokenServer):
    """Sends SessionEnded before the Response that ends the session."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if inside(frame, "response").get("sessionEnded"):
            yield ENDED
        if frame["type"] != "SessionEnded":
            yield frame


@fault("forgets-session-ended")
class _ForgetsSessionEnded(BrokenServer):
    """Tells the end of a session in its last Response only."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] != "SessionEnded":
            yield frame


@fault("says-session-ended-twice")
class _SaysSessionEndedTwice(BrokenServer):
    """Sends SessionEnded behind the last Response, and again when it has cleaned up."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield frame
        if frame["type"] == "SessionEnded":
            yield frame


@fault("hangs-up-after-the-session")
class _HangsUpAfterTheSession(SocketV1Server):
    """Closes the connection when the session has ended."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response)
        if response.ends:
            self.close()


@fault("goes-on-after-the-end")
class _GoesOnAfterTheEnd(SocketV1Server):
    """Takes what comes after the end of a session for a part of it."""

    def _clear_session(self) -> None:
        """The session stays."""


@fault("keeps-the-clients-end-to-itself")
class _KeepsTheClientsEndToItself(SocketV1Server):
    """Ends the session when the client says so, and does not confirm it."""

    def _on_session_end(self, what: str, event: SessionEndEvent) -> None:
        self._cut("session ended", Response(session_ended=True))
        self._clear_session()
        self._advance(what)
        self._tell(event)


@fault("leaves-the-turn-open-at-the-end")
class _LeavesTheTurnOpenAtTheEnd(SocketV1Server):
    """Confirms the client's SessionEnded, and goes on with its answer."""

    def _on_session_end(self, what: str, event: SessionEndEvent) -> None:
        self._write(event)
        self._clear_session()
        self._advance(what)


@fault("says-both-when-it-sleeps")
class _SaysBothWhenItSleeps(BrokenServer):
    """Says sessionEnded in a Response that lets the session sleep."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        held = inside(frame, "response")
        if held.get("sleepTimeout"):
            held["sessionEnded"] = True
        yield frame


@fault("ends-a-session-that-sleeps")
class _EndsASessionThatSleeps(SocketV1Server):
    """Ends the session when it is to sleep."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response)
        if response.sleep_timeout:
            self._write(SessionEndEvent())
            self._clear_session()


@fault("forgets-a-session-that-sleeps")
class _ForgetsASessionThatSleeps(SocketV1Server):
    """Begins another session when something is said to one that sleeps."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response)
        if response.sleep_timeout:
            self._clear_session()


@fault("sleeps-for-ever")
class _SleepsForEver(SocketV1Server):
    """Lets a session sleep as long as the connection is there."""

    def _limit(self, name: str) -> float | None:
        return None if name == "sleep" else super()._limit(name)


@fault("keeps-the-session-after-an-error")
class _KeepsTheSessionAfterAnError(SocketV1Server):
    """Goes on with the session after an Error, with which clients drop it."""

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:
        session = self.session
        super()._break(what, reason, error)
        self.session = session


@fault("answers-after-an-error")
class _AnswersAfterAnError(BrokenServer):
    """Sends a Response behind the Error that has closed the turn."""

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:
        running = self._running is not None
        super()._break(what, reason, error)
        if running:
            self._put(json.dumps(response()))


@fault("makes-an-id-for-each-request")
class _MakesAnIdForEachRequest(SocketV1Server):
    """Replaces a malformed id by another one each time, so that each Request begins a session."""

    def _adopt(self, proposed: str) -> None:
        super()._adopt(proposed if well_formed(proposed) else self._make_id())


@fault("announces-an-id-once")
class _AnnouncesAnIdOnce(BrokenServer):
    """Announces no session whose id it has told on an earlier connection."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        known = frame.get("sessionId")
        if frame["type"] != "SessionStarted" or known not in self.shared:
            yield frame
        self.shared[known] = True

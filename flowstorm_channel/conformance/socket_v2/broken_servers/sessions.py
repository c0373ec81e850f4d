"""V2 servers that lose, share or mix up sessions, of the kinds that real ones have been."""

from __future__ import annotations

from typing import Any, ClassVar

from flowstorm_channel.codecs import JsonCodec, StreamEncoder
from flowstorm_channel.conformance.socket_v2.broken_servers.faults import Faulty, fault, having, without
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import Event, LogEvent, ResponseEvent
from flowstorm_channel.sessions import Session
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.socket_v2.settings import cookie_of
from flowstorm_channel.wire import CloseCode, RequestHead, ResponseHead

__all__: list[str] = []


@fault("sets-no-cookie")
class _NoCookie(Faulty):
    """Never tells the id of the session."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return without(head, "Set-Cookie")


@fault("sets-a-bare-cookie")
class _BareCookie(Faulty):
    """Sets its cookie without a path and without protection."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        cookie = head.header("Set-Cookie")
        return head if cookie is None else having(head, "Set-Cookie", cookie.split(";")[0])


@fault("begins-a-session-each-time")
class _BeginsEachTime(Faulty):
    """Begins a session with every request."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return head if head.method == "GET" else without(head, "Cookie")


@fault("keeps-no-memory")
class _NoMemory(Faulty):
    """Sets the same cookie again, and has forgotten what was said."""

    def _enter(self, session: Session) -> None:
        session.data = {}
        super()._enter(session)


@fault("makes-its-own-ids")
class _OwnIds(Faulty):
    """Replaces an id that a client proposes."""

    def _acceptable(self, session_id: str | None) -> str | None:
        return session_id if session_id is not None and self._sessions.knows(session_id) else None


@fault("takes-any-id")
class _AnyId(Faulty):
    """Takes for a session id whatever stands in the cookie."""

    def _acceptable(self, session_id: str | None) -> str | None:
        return session_id


@fault("joins-foreign-sessions")
class _JoinsForeign(Faulty):
    """Lets everybody into a session who knows its id."""

    def _enter(self, session: Session) -> None:
        named = self._sessions._find(self._cookie or "")
        super()._enter(session if named is None or named.ended else named)


@fault("finds-requests-by-their-cookie-alone")
class _ByCookie(Faulty):
    """Brings the requests under way together by the session id that they name, whoever sends them."""

    def _who(self, session_id: str) -> tuple[str, str, str]:
        return session_id, "", ""


@fault("revives-ended-sessions")
class _Revives(Faulty):
    """Begins a session that has ended anew, under its old id."""

    BEGINS_ANEW: ClassVar[bool] = True


@fault("refuses-what-comes-after-the-end")
class _RefusesAfterEnd(Faulty):
    """Refuses everything with the cookie of an ended session."""

    def _open_request(self, head: RequestHead) -> None:
        named = self._sessions._find(cookie_of(head) or "")
        if named is not None and named.ended:
            self._refuse(410, "the session is over")
        else:
            super()._open_request(head)


@fault("survives-errors")
class _SurvivesErrors(Faulty):
    """Goes on with a session after an Error, of which the client has forgotten the id."""

    def _fault(self, error: RemoteProtocolError) -> None:
        if self._head_sent:
            self.session = None  # what is not known here is not ended
        super()._fault(error)


@fault("gives-the-timeout-one-name")
class _OneName(Faulty):
    """Says sleepTimeout, and not sessionTimeout."""

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, ResponseEvent) and self._form is Form.JSON:
            return StreamEncoder(JsonCodec()).encode(event)
        return super()._encode(event)


@fault("ends-what-sleeps")
class _EndsWhatSleeps(Faulty):
    """Says with the timeout of a session that sleeps that it has ended."""

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, ResponseEvent) and event.response.sleep_timeout:
            event = ResponseEvent(response=event.response.replace(session_ended=True))
        return super()._encode(event)


@fault("ends-a-text-that-sleeps")
class _DotOnSleep(Faulty):
    """Says with a dot that the session has ended when it only sleeps."""

    def _encode(self, event: Event) -> bytes:
        data = super()._encode(event)
        sleeps = isinstance(event, ResponseEvent) and event.response.sleep_timeout
        return data + b".\n" if sleeps and self._form is Form.TEXT else data


@fault("forgets-sleeping-sessions")
class _ForgetsSleeping(Faulty):
    """Throws a session away that the dialogue lets sleep."""

    def _conclude(self) -> None:
        if self._joined is not None and self._joined.asleep:
            self._joined.ended = True
        super()._conclude()


@fault("lets-logs-interrupt")
class _LogsInterrupt(Faulty):
    """Treats every PUT as one that says something."""

    def _must_wait(self, event: Event) -> bool:
        if isinstance(event, LogEvent) and self._joined is None:
            return not self._claim()
        return super()._must_wait(event)


@fault("hangs-up-on-who-is-interrupted")
class _HangsUpOnInterrupted(Faulty):
    """Breaks the connection off on which the answer comes that is interrupted."""

    def _interrupt(self, reason: str) -> None:
        self._shut(CloseCode.HOST_FAILED, "", reason)


@fault("answers-to-the-end")
class _AnswersToTheEnd(Faulty):
    """Lets the first answer come to its end, whatever the user says."""

    def _take_over(self, meeting: Any, other: Any) -> bool:
        if meeting.waiting is None:
            meeting.waiting = self
            self._start("waits")
        return other is None

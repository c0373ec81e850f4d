"""Broken in their session, and when something fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowstorm_channel.conformance.socket_v2.broken_clients.base import fault
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    ErrorEvent,
    Event,
    InputEvent,
    SessionStartEvent,
)
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.states import State
from flowstorm_channel.values import Input, Response, Transcript
from flowstorm_channel.wire import END, End, Message, ResponseHead

__all__: list[str] = []


_COOKIE = "flowstorm-session-id"


@fault("has-no-cookies")
class _HasNoCookies(SocketV2Client):
    """Uses an HTTP library without a cookie jar."""

    def _begin(
        self,
        method: str,
        content: str | None,
        cookie: str | None,  # noqa: ARG002
        body: Iterable[bytes | End] = (),
        *,
        logs: bool = False,
    ) -> Request:
        return super()._begin(method, content, None, body, logs=logs)


@fault("proposes-a-guid-in-braces", make_id=lambda: "{9f0d0b6c-5a3e-4a53-8f53-0d8c1c8f6b1e}")
class _ProposesAGuidInBraces(SocketV2Client):
    """Proposes a session id with characters that servers do not take."""


@fault("keeps-the-first-cookie")
class _KeepsTheFirstCookie(SocketV2Client):
    """Stores the session id once, and not again when the server changes it."""

    def _on_session_start(self, event: SessionStartEvent, what: str) -> None:
        if self.session_id is None:
            super()._on_session_start(event, what)


@fault("takes-any-cookie")
class _TakesAnyCookie(SocketV2Client):
    """Takes the value of the first cookie for the session id, whatever its name."""

    def _on_head(self, request: Request, head: ResponseHead) -> None:
        given = [text.partition("=")[2] for name, text in head.headers if name == "Set-Cookie"]
        rest = [pair for pair in head.headers if pair[0] != "Set-Cookie"]
        first = [("Set-Cookie", f"{_COOKIE}={text}") for text in given[:1]]
        super()._on_head(request, ResponseHead(status=head.status, headers=(*rest, *first)))


@fault("keeps-the-session-after-an-error")
class _KeepsTheSessionAfterAnError(SocketV2Client):
    """Goes on with the session after Error."""

    def _on_error(self, event: ErrorEvent, what: str) -> None:
        held = self.session_id
        super()._on_error(event, what)
        self.session_id = held


@fault("keeps-an-ended-session")
class _KeepsAnEndedSession(SocketV2Client):
    """Does not look at sessionEnded."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response.replace(session_ended=False))


@fault("drops-a-sleeping-session")
class _DropsASleepingSession(SocketV2Client):
    """Takes a sleepTimeout for the end of the session."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response)
        if response.sleep_timeout:
            self._drop_session()


@fault("looks-at-session-ended-only")
class _LooksAtSessionEndedOnly(SocketV2Client):
    """Takes sessionEnded for the end, though a sleepTimeout says that the session only sleeps."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response)
        if response.session_ended:
            self._drop_session()


@fault("sleeps-for-ever")
class _SleepsForEver(SocketV2Client):
    """Keeps the id of a sleeping session when its time is over."""

    def _timed_out(self, name: str) -> None:
        if name != "sleep":
            super()._timed_out(name)


@fault("gives-up-at-a-failure")
class _GivesUpAtAFailure(SocketV2Client):
    """Ends the conversation when a request fails."""

    def _fail(self, code: int, reason: str) -> None:
        super()._fail(code, reason)
        self.close()


@fault("drops-the-session-at-a-failure")
class _DropsTheSessionAtAFailure(SocketV2Client):
    """Begins a new session when a request has failed."""

    def _fail(self, code: int, reason: str) -> None:
        super()._fail(code, reason)
        self._drop_session()


@fault("keeps-a-refused-session")
class _KeepsARefusedSession(SocketV2Client):
    """Goes on with a session that was refused with 401 or 403."""

    def _on_failure(self, request: Request, status: int) -> None:
        held = self.session_id
        super()._on_failure(request, status)
        self.session_id = held


@fault("tries-again")
class _TriesAgain(SocketV2Client):
    """Sends a request again when its connection is lost, as HTTP libraries offer to do."""

    def _transmit(self, event: Event, message: Message) -> None:
        super()._transmit(event, message)
        self._last_said = message

    def _fail(self, code: int, reason: str) -> None:
        super()._fail(code, reason)
        assert isinstance(self._last_said, bytes)
        self._begin_put("application/json", (self._last_said, END))


@fault("waits-for-a-response")
class _WaitsForAResponse(SocketV2Client):
    """Waits for a Response, for good, when a body has ended without one."""

    def _on_failure(self, request: Request, status: int) -> None:
        pass

    def _say(self, event: Any) -> Any:
        if self.state in (State.PROCESSING, State.RESPONDING):
            raise LocalProtocolError("the answer is awaited")
        return super()._say(event)


@fault("dies-of-nonsense")
class _DiesOfNonsense(SocketV2Client):
    """Comes to an end when a body cannot be read, as a program does that catches nothing."""

    def _on_fault(self, request: Request, error: RemoteProtocolError) -> None:
        super()._on_fault(request, error)
        self.close()


@fault("closes-and-lets-run")
class _ClosesAndLetsRun(SocketV2Client):
    """Leaves its requests under way when it is closed."""

    def close(self) -> None:
        self._put_request = self._get_request = None
        super().close()


@fault("says-goodbye")
class _SaysGoodbye(SocketV2Client):
    """Says something to the dialogue when it is closed, and does not wait for the answer."""

    def close(self) -> None:
        said = InputEvent(input=Input(transcript=Transcript(text="#goodbye")))
        closed = self.closed
        super().close()
        if not closed:
            self._begin("PUT", "application/json", None, (self._encode(said), END))

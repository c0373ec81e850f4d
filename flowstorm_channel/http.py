"""The server end of one HTTP request, of whatever channel: its head, its session, its response.

The requests of a session find each other in `Sessions`: one at a time has the turn, and another one
interrupts it (D-68). A channel adds what the body means, and how an answer is written.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    FaultEvent,
    InitEvent,
    Need,
    ResponseEvent,
    ResponseItemEvent,
    SessionNeed,
    StoreNeed,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import ServerChannel, ServerOptions, Turn
from flowstorm_channel.sessions import Rendezvous, Session, Sessions
from flowstorm_channel.values import Input, Request, Response
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead, unsafe

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["HttpServerChannel", "check_head", "check_head_size", "declared_length", "head_size", "is_secure"]


# ------------------------------------------------------------ heads


def check_head(head: RequestHead, limits: Limits) -> None:
    """Refuse a head that is too much, or that no HTTP server should have let through.

    Raises:
        LimitExceeded: it is too long.
        RemoteProtocolError: there is a line break, or another control character, in it.
    """
    check_head_size(head, limits)
    for text in (head.method, head.url, *(each for pair in head.headers for each in pair)):
        # Bytes beyond ASCII are legal in values, and cookies of others do hold them.
        if unsafe(text):
            raise RemoteProtocolError("a control character stands in the head of the request")


def check_head_size(head: RequestHead | ResponseHead, limits: Limits) -> None:
    """Refuse a head that is too long, or has something in it that is.

    Raises:
        LimitExceeded: it is, or has.
    """
    size, longest = head_size(head)
    if longest > limits.header_value_bytes:
        what = "a header or address" if isinstance(head, RequestHead) else "a header"
        raise LimitExceeded(f"{what} of more than {limits.header_value_bytes} bytes")
    if size > limits.header_bytes:
        raise LimitExceeded(f"more than {limits.header_bytes} bytes of headers")


def head_size(head: RequestHead | ResponseHead) -> tuple[int, int]:
    """How long a head is, and the longest thing in it, in bytes."""
    size = longest = len(head.url) if isinstance(head, RequestHead) else 0
    for name, value in head.headers:
        size += len(name) + len(value) + 4
        longest = max(longest, len(name), len(value))
    return size, longest


def declared_length(head: RequestHead) -> int:
    """How many bytes of body a head announces; 0 when it says nothing of them that can be believed."""
    declared = head.header("Content-Length") or ""
    # So many digits say more than any limit, and `int` does not take every number of them.
    return int(declared[:18]) if declared.isdecimal() else 0


def is_secure(head: RequestHead) -> bool:
    """Whether the host says that it came over TLS: by an absolute address."""
    return head.url[:6].lower() == "https:"


# ------------------------------------------------------------ the machine


class HttpServerChannel(ServerChannel):
    """The server end of one HTTP request.

    It receives the `RequestHead`, the pieces of the body and `END`; it sends a `ResponseHead`, pieces of the
    body and `END`. `Close` in its output means: break the connection off.

    Args:
        sessions: the same for all requests of this kind.
        kw: see `ServerChannel`.
    """

    LIVE: ClassVar[bool] = False
    METHODS: ClassVar[tuple[str, ...]] = ("POST",)
    """Those that the address is for."""
    BEGINS_ANEW: ClassVar[bool] = False
    """Whether an ended session that is named again begins anew, under the same id."""

    def __init__(self, sessions: Sessions, **kw: Unpack[ServerOptions]) -> None:
        super().__init__(**kw)
        self.head: RequestHead | None = None
        """Of the request."""
        sessions.serve(type(self).__name__)
        self._sessions = sessions
        self._complete_request = False
        self._body_bytes = 0
        self._body_ended = False
        self._meeting: Rendezvous[Any] | None = None
        self._joined: Session | None = None  # stays when the session ends
        self._fresh = False  # it has begun with this request
        self._last: bytes | None = None
        self._answered = False  # nothing of the request is read any more
        self._status = 200
        self._allow = ""
        self._head_sent = False

    # -------------------------------------------------------- for the channels: hooks

    @abstractmethod
    def _open_request(self, head: RequestHead) -> None:
        """The head has come, and is one that can be read."""

    @abstractmethod
    def _read_body(self, piece: bytes) -> None:
        """A piece of the body has come; never more of it than `Limits.body_bytes`."""

    @abstractmethod
    def _read_end(self) -> None:
        """The body is complete."""

    @property
    @abstractmethod
    def _proposed_session(self) -> str | None:
        """The session id that the client names, when it may be taken."""

    @property
    def _content_type(self) -> str:
        return "application/json"

    def _refusal(self, error: ErrorEvent) -> bytes:
        """The body of a response that refuses the request."""
        data = self._encode(error)
        assert isinstance(data, bytes)
        return data

    def _more_headers(self) -> Iterator[tuple[str, str]]:
        """Headers of the response."""
        yield from ()

    def _let_go(self) -> None:
        """The session is free for other requests."""

    @property
    def _spoken(self) -> bool:
        """Whether the user has said something, so that the session goes on even when the turn fails."""
        return self._joined is not None

    # -------------------------------------------------------- the host's words

    def fail(self, text: str, *, source: str | None = None, status: int | None = None) -> None:
        """Refuse the request; else report an error that the session does not survive (D-11).

        Args:
            text: for the user.
            source: where the error comes from.
            status: of the refusal: 403 by default, 503 when a `Need` cannot be met. Once a turn runs, the
                error stands in the body, and the status is 200.

        Raises:
            LocalProtocolError: there is nothing to fail yet, or the status is no refusal.
            TooLateError: the request is over.
        """
        self._check_not_closed()
        question = self._question
        if status is not None and not 400 <= status <= 599:
            raise LocalProtocolError(f"{status} refuses nothing", legal=("400 to 599",))
        if question is None:
            super().fail(text, source=source)
        elif self._head_sent:
            # Only a session that cannot be stored comes so late.
            self._question = None
            self._put_last(self._encode(ErrorEvent(text=text, source=source)))
            self._answer()
        elif status is None and isinstance(question, InitEvent):
            self._question = None
            self._turn_away(text, source)
        else:
            self._question = None
            self._refuse(status or 503, text, source)
        self._notify()

    def _turn_away(self, text: str, source: str | None) -> None:
        """The host refuses the client, and has named no status."""
        self._refuse(403, text, source)

    def rename_session(self, session_id: str) -> None:
        """Give the session another id, before the client hears of it (D-58).

        Args:
            session_id: well-formed.

        Raises:
            TooLateError: the head of the response has gone out already.
            LocalProtocolError: the id is not well-formed, or there is no session yet.
        """
        self._check_session_id(session_id)
        if self._joined is None:
            raise LocalProtocolError("there is no session yet", legal=("InputEvent",))
        if session_id == self._joined.session_id:
            return
        if self._head_sent or self._answered or not self._fresh or self._sessions.stored:
            raise TooLateError("the session has its name already")
        if self._sessions.knows(session_id):
            raise LocalProtocolError(f"there is a session {session_id}", legal=("another id",))
        self._sessions.disown(self._joined)
        self._joined.session_id = session_id
        self._sessions.own(self._joined)
        self._introduce(self._joined)

    # -------------------------------------------------------- the request

    def _largest(self, message: Message) -> int:
        # A piece of a body may be of any size: what counts is the whole (D-34).
        return self.limits.body_bytes + 1 if isinstance(message, bytes) else super()._largest(message)

    def receive_data(self, message: Message) -> None:
        if isinstance(message, bytes):
            message = message[: self.limits.body_bytes + 1]
        super().receive_data(message)
        self._complete_request = self._complete_request or message is END

    def _check_message(self, message: Message) -> None:
        if isinstance(message, Close):
            return
        opening = self.head is None and not self._inbox
        legal = (RequestHead,) if opening else () if self._complete_request else (bytes, End)
        if not isinstance(message, legal):
            raise LocalProtocolError(
                f"a request cannot bring {type(message).__name__} now",
                legal=(*(each.__name__ for each in legal), "Close"),
            )

    def _check_not_closed(self) -> None:
        super()._check_not_closed()
        if self._answered and not isinstance(self._question, StoreNeed):
            raise TooLateError("the request has been answered")

    def _read(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            self.head = message
            self._advance("opened")
            try:
                check_head(message, self.limits)
            except RemoteProtocolError as error:
                self._reject(431 if isinstance(error, LimitExceeded) else 400, error)
            else:
                self._open_request(message)
        elif isinstance(message, End):
            self._body_ended = True
            if self._answered:
                self._end_response()
            else:
                self._read_end()
        elif isinstance(message, bytes) and not self._answered:
            most = self.limits.body_bytes
            within = message[: max(0, most - self._body_bytes)]
            self._body_bytes += len(message)
            self._read_body(within)

    def _is_method(self, head: RequestHead) -> bool:
        """Whether the address is for that method; when not, the request is refused."""
        if head.method.upper() in self.METHODS:
            return True
        self._allow = ", ".join(sorted(self.METHODS))
        self._reject(405, f"{head.method.upper()} is not for this address")
        return False

    # -------------------------------------------------------- whose turn it is

    def _claim(self) -> bool:
        """Make this the request whose turn it is, and find its session; whether that is done."""
        proposed = self._proposed_session
        if self._meeting is None:
            self._meeting = self._sessions.meet(self._who(proposed)) if proposed else Rendezvous()
        meeting = self._meeting
        if meeting.waiting not in (None, self):
            self._reject(409, "another request of this session waits already")
            return False
        if meeting.put is not None and not self._take_over(meeting, meeting.put):
            return False
        meeting.put = self
        if meeting.waiting is self:
            meeting.waiting = None
            self._due.pop("second_put", None)
            self._waited()
        self._claimed(meeting)
        proposed = self._acceptable(meeting.session_id or proposed)
        if self._sessions.stored:
            self._ask_for_session(proposed or self._make_id())
            return False
        who = self._init.key, self._init.device_id
        self._enter(self._sessions.join(proposed, *who, self._make_id, begins_anew=self.BEGINS_ANEW))
        return True

    def _acceptable(self, session_id: str | None) -> str | None:
        """The id, when it may be that of a session."""
        return session_id

    def _claimed(self, meeting: Rendezvous[Any]) -> None:
        """This is the request whose turn it is."""

    def _waited(self) -> None:
        """It had to wait for another one."""

    def _take_over(self, meeting: Rendezvous[Any], other: HttpServerChannel) -> bool:
        """Have the place of another request of the session, if it lets go (D-68)."""
        if meeting.waiting is None:
            meeting.waiting = self
            self._due.pop("body", None)
            self._start("waits")
        if other._running is not None and not self._queue_inputs:
            other._interrupt("input")
        return meeting.put is None

    def _who(self, session_id: str) -> tuple[str, str, str]:
        return session_id, self._init.key, self._init.device_id

    def _introduce(self, session: Session) -> None:
        """The other requests of the session are to find this one, whatever id they name."""
        assert self._meeting is not None
        self._meeting.session_id = session.session_id
        self._sessions.introduce(self._meeting, self._who(session.session_id))

    def _enter(self, session: Session) -> None:
        self.session = self._joined = session
        self._turns = session.turns
        self._fresh = session.turns == 0
        self._sessions.own(session)
        self._introduce(session)
        if session.turns and not session.asleep:
            self._advance("joined")

    def _ask_for_session(self, session_id: str) -> None:
        _, key, device_id = self._who(session_id)
        self._ask(SessionNeed(session_id=session_id, key=key, device_id=device_id))

    def _provided(self, need: Need, value: bytes | None) -> None:
        if isinstance(need, SessionNeed):
            self._found(need, value)
            return
        if value is None:
            # Somebody else goes on with the session: this turn is cut, as by a second request.
            self._put_last(self._encode(ResponseEvent(response=self._outgoing(Response()))))
        self._answer()

    def _found(self, need: SessionNeed, snapshot: bytes | None) -> None:
        session = None
        if snapshot is not None:
            try:
                session = Session.restore(snapshot)
            except RemoteProtocolError as error:
                self._tell(FaultEvent(error=error))
            else:
                theirs = (
                    session.belongs_to(need.key, need.device_id) and session.session_id == need.session_id
                )
                if theirs and session.ended and self.BEGINS_ANEW:
                    session, snapshot = None, None
                elif not theirs or session.ended:
                    session = None
        if not need.begins:
            self.session = session
        elif session is not None:
            self._enter(session)
        elif snapshot is None:
            self._enter(Session(session_id=need.session_id, key=need.key, device_id=need.device_id))
        elif (session_id := self._make_id()) != need.session_id:
            self._ask_for_session(session_id)  # theirs it is not: never joined, but replaced
        else:
            self._enter(Session(session_id=session_id, key=need.key, device_id=need.device_id))

    # -------------------------------------------------------- what the client does

    def _fault(self, error: RemoteProtocolError) -> None:
        if self._head_sent:
            super()._break("< fault", "error", ErrorEvent(text=str(error), source="protocol"))
            self._tell(FaultEvent(error=error))
            self._conclude()
        else:
            self._reject(413 if isinstance(error, LimitExceeded) else 400, error)  # D-77

    def _overrun(self, error: LimitExceeded) -> None:
        if self._answered:
            super()._shut(CloseCode.TOO_BIG, str(error), "error")
        elif self._head_sent:
            self._break("< fault", "error", ErrorEvent(text=str(error), source="protocol"))
        else:
            self._refuse(413, str(error))

    def _reject(self, status: int, problem: RemoteProtocolError | str) -> None:
        """Refuse the request for a mistake of the client's."""
        error = RemoteProtocolError(problem) if isinstance(problem, str) else problem
        self._refuse(status, str(error), fault=error)

    # -------------------------------------------------------- what the host does

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if isinstance(event, BinaryEvent):
            raise LocalProtocolError(
                f"{type(self).__name__} sends no audio: give the item an address as its audio",
                legal=("ResponseItemEvent", "ResponseEvent"),
            )
        if isinstance(event, ResponseEvent) and not event.response.ends:
            self._check_session(turn.session, event.response)
        super()._respond(turn, event)
        if isinstance(event, ResponseEvent):
            self._conclude()
            self._notify()

    def _check_session(self, session: Session, response: Response) -> None:  # noqa: ARG002
        """Raise LocalProtocolError while nothing has changed yet, when the session cannot be stored."""
        if self._sessions.stored:
            session.snapshot()

    def _interrupt(self, reason: str) -> None:
        super()._interrupt(reason)
        self._conclude()
        self._notify()

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:
        super()._break(what, reason, error)
        self._conclude()

    def _clear_session(self) -> None:
        if self._joined is None:
            self.session = None  # only looked at, for the sake of logs
        super()._clear_session()

    def _begin_session(self) -> None:
        """It has begun when the first event of the request was told."""

    def _new_turn(self, said: Input | None, request: Request | None) -> Turn:
        turn = super()._new_turn(said, request)
        if self._meeting is not None and self._meeting.waiting is not None:
            self._meeting.waiting._call_host()
        return turn

    # -------------------------------------------------------- the response

    def _put_last(self, message: Message) -> None:
        assert isinstance(message, bytes)
        self._last = message

    def _conclude(self) -> None:
        """The answer is complete: it goes out as soon as the session is safe."""
        self._answered = True
        self._leave()
        session = self._joined
        if session is not None and self._last is not None:
            seconds = float(self._sleep_timeout) if session.asleep else self._sessions.keep_for
            if not self._sessions.stored:
                self._sessions.keep(session, seconds)
            elif self._ask_to_store(session, seconds):
                return
        self._answer()

    def _ask_to_store(self, session: Session, seconds: float) -> bool:
        """Have the host store the session; whether that can be done."""
        try:
            snapshot = session.snapshot()
        except LocalProtocolError as error:
            # The turn was interrupted when the host had put into the session what cannot be stored.
            self._status = 503
            self._last = self._refusal(ErrorEvent(text=str(error), source="session"))
            return False
        self._ask(StoreNeed(session_id=session.session_id, snapshot=snapshot, keep_for=seconds))
        return True

    def _refuse(
        self,
        status: int,
        text: str,
        source: str | None = "protocol",
        *,
        why: str = "error",
        fault: RemoteProtocolError | None = None,
    ) -> None:
        """Answer with a status that says: there is no turn. The session stays what it was."""
        began = self._running is not None
        if self._running is not None:
            self._close_turn(self._running, why)
        if fault is not None:
            self._tell(FaultEvent(error=fault))
        self._discard_output()
        self._answered = True
        self._status = status
        self._last = self._refusal(ErrorEvent(text=text, source=source))
        self._leave()
        if began:
            self._keep()
        self._answer()

    def _answer(self) -> None:
        if self._last:
            self._put(self._last)
        self._last = self._question = None
        self._decoded.clear()
        self._advance("close")
        if self._is_read:
            self._end_response()
        else:
            # What still comes is read and dropped (D-72): a client that still writes need not read.
            self._start("answered")

    @property
    def _is_read(self) -> bool:
        """Whether the request has ended, or its end does not matter."""
        return self._body_ended

    def _end_response(self) -> None:
        if self._last is None and not self._finished:
            self._put(END)
            self._finish(CloseCode.NORMAL, "")

    def _leave(self) -> None:
        """The session is free for other requests."""
        meeting = self._meeting
        if meeting is None:
            return
        if meeting.waiting is self:
            meeting.waiting = None
        if meeting.put is self:
            self._let_go()
            meeting.put = None
            if self._joined is not None:
                self._sessions.disown(self._joined)
            if meeting.waiting is not None:
                meeting.waiting._call_host()
        self._sessions.leave(meeting)
        self._meeting = None

    def _keep(self) -> None:
        """A turn came to nothing; its session goes on."""
        if self._joined is not None and not self._sessions.stored:
            self._joined.asleep = False
            self._sessions.keep(self._joined, self._sessions.keep_for)

    def data_to_send(self) -> Iterator[Message]:
        if self._outbox and not self._head_sent and not isinstance(self._outbox[0].message, Close):
            self._head_sent = True
            yield self._response_head()
        yield from super().data_to_send()

    def _response_head(self) -> ResponseHead:
        headers = [("Cache-Control", "no-store")]
        if self._status != 204:
            headers.append(("Content-Type", self._content_type))
        if self._allow:
            headers.append(("Allow", self._allow))
        headers += self._more_headers()
        return ResponseHead(status=self._status, headers=tuple(headers))

    # -------------------------------------------------------- time and ends

    def _limit(self, name: str) -> float | None:
        match name:
            case "second_put":
                return None if self._queue_inputs else self.timeouts.second_put
            case "body":
                return self.timeouts.body
            case "drain":
                return self.timeouts.drain
        return super()._limit(name)

    def _timed_out(self, name: str) -> None:
        match name:
            case "body":
                self._reject(408, "the body of the request does not go on")
            case "second_put":
                self._reject(409, "another request of this session is not over")
            case "drain" if self._status >= 400:
                self._end_response()
            case "drain":
                # With an END the connection would be kept, and what still comes be read for ever.
                self._put(Close(CloseCode.NORMAL, "the request does not end"))
                self._finish(CloseCode.NORMAL, "the request does not end")
            case _:
                super()._timed_out(name)

    def _transport_gone(self, end: Close) -> None:
        self._leave()
        if not self._answered and self._spoken:
            self._keep()
        self._answered = True
        super()._transport_gone(end)

    def _shut(self, code: int, reason: str, why: str) -> None:
        if self._answered and self._last is None:
            self._end_response()
        elif self._head_sent or self._answered or self.head is None:
            if self._running is not None:
                self._close_turn(self._running, why)
            self._leave()
            if not self._answered:
                self._keep()
            self._answered = True
            super()._shut(code, reason, why)
        else:
            told = reason.encode(errors="replace").decode()  # as in the `Close` of a WebSocket
            self._refuse(503, told or "the server is going away", None, why=why)
            self._end_response()  # nothing of the body is worth waiting for

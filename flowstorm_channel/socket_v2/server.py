"""The server end of one HTTP request (socket-v2.md).

A PUT brings the input of a turn and takes its response; a GET reads what is recognised while a PUT streams.
The requests of a session find each other in `Sessions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from flowstorm_channel.channel import Entry, Rules
from flowstorm_channel.errors import (
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    TooLateError,
)
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    LocalEvent,
    LogEvent,
    Need,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionNeed,
    Side,
    StoreNeed,
    UnknownEvent,
    Version,
)
from flowstorm_channel.server import AudioStream, ServerChannel, ServerOptions, Turn
from flowstorm_channel.sessions import Rendezvous, Session, Sessions, well_formed
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.socket_v2.settings import COOKIE, Settings, check_head, cookie_of, is_secure, token_of
from flowstorm_channel.socket_v2.states import GET, GET_DEADLINES, PUT, PUT_AUDIO, PUT_DEADLINES
from flowstorm_channel.states import Audio, State
from flowstorm_channel.values import ClientConfig, Input, Request, Response, SttMode
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SocketV2Server"]

_CLAIMS = (InputEvent, BinaryEvent, InputStreamCloseEvent)
"""What makes a PUT the one whose turn it is; PUTs with nothing but logs never collide (D-68)."""
_IN_TURN = (State.PROCESSING, State.RESPONDING)


class _EndOfBody(LocalEvent):
    """The end of the request's body, behind the events in it."""

    __slots__ = ()


class SocketV2Server(ServerChannel):
    """The server end of Socket V2, for one HTTP request.

    It receives the `RequestHead`, the pieces of the body and `END`; it sends a `ResponseHead`, pieces of the
    body, each to be flushed as it comes, and `END`. `Close` in its output means: break the connection off.

    Args:
        sessions: the same for all requests of a server.
        kw: see `ServerChannel`.
    """

    LIVE: ClassVar[bool] = False
    RULES: ClassVar[Rules] = Rules(PUT, PUT_AUDIO, PUT_DEADLINES)
    GET_RULES: ClassVar[Rules] = Rules(GET, PUT_AUDIO, GET_DEADLINES)

    def __init__(self, sessions: Sessions, **kw: Unpack[ServerOptions]) -> None:
        super().__init__(**kw)
        self.head: RequestHead | None = None
        """Of the request."""
        self.settings: Settings | None = None
        """What the client says of itself."""
        self._sessions = sessions
        self._form = Form.TEXT
        self._writer = bodies.Writer(Form.TEXT)
        self._media_type = ""
        self._body: bodies.Reader = bodies.Nothing()
        self._body_bytes = 0
        self._body_ended = False
        self._cookie: str | None = None
        self._meeting: Rendezvous[SocketV2Server] | None = None
        self._looked_up = False
        self._joined: Session | None = None  # stays when the session ends
        self._fresh = False  # it has begun with this request
        self._complete_request = False
        self._said = False  # audio that comes now is too late
        self._typed = False  # an Input has come
        self._last: bytes | None = None
        self._answered = False  # nothing of the request is read any more
        self._status = 200
        self._allow = ""
        self._head_sent = False
        self._waits = False  # a GET without a PUT
        self._late = False  # a GET while the answer is on its way

    # -------------------------------------------------------- the host's words

    def ready(self) -> None:
        super().ready()
        if self._reads:
            self._meet_put()
        self._call_host()  # the body may be here already

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
            self._last = self._encode(ErrorEvent(text=text, source=source))
            self._answer()
        else:
            self._question = None
            self._refuse(status or (403 if isinstance(question, InitEvent) else 503), text, source)
        self._notify()

    def rename_session(self, session_id: str) -> None:
        """Give the session another id, before the client hears of it (D-58).

        Args:
            session_id: well-formed.

        Raises:
            TooLateError: the head of the response has gone out already.
            LocalProtocolError: the id is not well-formed, or there is no session yet.
        """
        if not well_formed(session_id):
            raise LocalProtocolError(
                f"{session_id!r} is no session id", legal=("1 to 64 letters, digits, _ and -",)
            )
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
            self._open_request(message)
        elif isinstance(message, End):
            self._body_ended = True
            if self._answered:
                self._end_response()
            else:
                self._decode_body(self._body.close)
                self._decoded.append(_EndOfBody())
        elif isinstance(message, bytes) and not self._answered:
            most = self.limits.body_bytes
            within = message[: max(0, most - self._body_bytes)]
            self._body_bytes += len(message)
            if self._decode_body(lambda: self._body.feed(within)):
                # There may be more in it: come back, with nothing new, when this has been told.
                self._inbox.appendleft((b"", 0))
            elif self._body_bytes > most and not self._answered:
                self._fault(LimitExceeded(f"a body of more than {most} bytes"))

    def _open_request(self, head: RequestHead) -> None:
        self.head = head
        self._advance("opened")
        try:
            check_head(head, self.limits)
            self._cookie = cookie_of(head)
        except RemoteProtocolError as error:
            self._reject(431 if isinstance(error, LimitExceeded) else 400, error)
            return
        method = head.method.upper()
        self._media_type = bodies.media_type_of(head.header("Content-Type"))
        form = bodies.body_form(self._media_type)
        audio = bodies.is_audio(self._media_type)
        if method == "GET" or audio:
            form = bodies.accepted(head.header("Accept"))
        self._form = form or Form.TEXT
        self._writer = bodies.Writer(self._form)
        if method not in ("GET", "PUT", "POST"):
            self._allow = "GET, POST, PUT"
            self._reject(405, f"{method} is not for this address")
        elif form is None:
            what = f"{self._media_type} is not understood" if self._media_type else "it is missing"
            self._reject(415, f"Content-Type: {what} (legal: {', '.join(bodies.MEDIA_TYPES)})")
        else:
            self._introduce_client(method, audio=audio)

    def _introduce_client(self, method: str, *, audio: bool) -> None:
        """Make up the Init of the request."""
        assert self.head is not None
        try:
            settings = Settings.read(self.head)
        except RemoteProtocolError as error:
            self._reject(400, error)
            return
        self.settings = settings
        if method == "GET":
            self._rules = self.GET_RULES
            if self._cookie is None:
                self._reject(400, f"a GET needs the cookie {COOKIE} of its PUT")
                return
        elif audio:
            self._body = bodies.Audio()
        elif self._form is Form.TEXT:
            self._body = bodies.Text(self.limits, locale=settings.locale, zone_id=settings.zone_id)
        else:
            self._body = bodies.decoder(
                self._form, self.limits, locale=settings.locale, zone_id=settings.zone_id
            )
        self._question = init = settings.init.replace(token=token_of(self.head))
        self._tell(init)

    @property
    def _reads(self) -> bool:
        return self._rules is self.GET_RULES

    # -------------------------------------------------------- whose turn it is

    def _must_wait(self, event: Event) -> bool:
        if self._joined is not None:
            return False
        gone = self._end is not None and self._sessions.stored  # nobody will answer
        if isinstance(event, (LogEvent, UnknownEvent)):
            return not gone and self._look_up()
        return isinstance(event, _CLAIMS) and (gone or not self._claim())

    def _look_up(self) -> bool:
        """Find out whose logs they are; whether that has to be awaited."""
        if self._looked_up or self._cookie is None or not well_formed(self._cookie):
            return False
        self._looked_up = True
        who = self._who(self._cookie)
        if self._sessions.stored:
            self._ask(SessionNeed(session_id=who[0], key=who[1], device_id=who[2], begins=False))
            return True
        self.session = self._sessions.find(*who)
        return False

    def _claim(self) -> bool:
        """Make this the PUT whose turn it is, and find its session; whether that is done."""
        if self._meeting is None:
            self._meeting = self._sessions.meet(self._who(self._cookie)) if self._cookie else Rendezvous()
        meeting = self._meeting
        if meeting.waiting not in (None, self):
            self._reject(409, "another request of this session waits already")
            return False
        if meeting.put is not None and not self._take_over(meeting, meeting.put):
            return False
        meeting.put = self
        if meeting.get is not None:
            meeting.get._late = False  # it is this one's
        if meeting.waiting is self:
            meeting.waiting = None
            self._due.pop("second_put", None)
            self._arm("body")
        proposed = meeting.session_id or self._cookie
        if proposed is not None and not well_formed(proposed):
            proposed = None
        if self._sessions.stored:
            self._ask_for_session(proposed or self._make_id())
            return False
        key, device_id = self._init.key, self._init.device_id
        self._enter(self._sessions.join(proposed, key, device_id, self._make_id))
        return True

    def _take_over(self, meeting: Rendezvous[SocketV2Server], other: SocketV2Server) -> bool:
        """Have the place of another PUT of the session, if it lets go (D-68)."""
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
        """The other requests of the session are to find this one, whatever its cookie said."""
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
            # Somebody else goes on with the session: this turn is cut, as by a second PUT.
            self._last = self._encode(ResponseEvent(response=self._outgoing(Response())))
        self._answer()

    def _found(self, need: SessionNeed, snapshot: bytes | None) -> None:
        session = None
        if snapshot is not None:
            try:
                session = Session.restore(snapshot)
            except RemoteProtocolError as error:
                self._tell(FaultEvent(error=error))
            else:
                theirs = session.belongs_to(need.key, need.device_id) and not session.ended
                session = session if theirs and session.session_id == need.session_id else None
        if not need.begins:
            self.session = session
        elif session is not None:
            self._enter(session)
        elif snapshot is None:
            self._enter(Session(session_id=need.session_id, key=need.key, device_id=need.device_id))
        else:
            self._ask_for_session(self._make_id())  # theirs it is not: never joined, but replaced

    # -------------------------------------------------------- what the client does

    def _decode_body(self, before: Callable[[], None] = lambda: None) -> bool:
        """Take the next event out of the body; whether there was one."""
        try:
            before()
            event = self._body.next_event()
        except RemoteProtocolError as error:
            self._fault(error)
            return False
        if event is not None:
            self._decoded.append(event)
        return event is not None

    def _take(self, event: Event) -> None:
        if isinstance(event, _EndOfBody):
            self._on_end_of_body()
        elif isinstance(event, InputEvent) and self._running is not None and not self._typed:
            # The user switched to text when what was said had just been recognised: that came first.
            self.dropped += 1
        elif Version.V2 in event.VERSIONS and Side.CLIENT in event.SENT_BY:
            super()._take(event)
        else:
            # D-78
            self._fault(RemoteProtocolError(f"{type(event).__name__} is nothing that a V2 client says"))

    def _on_binary(self, event: BinaryEvent) -> None:
        if event.data and self._audio is Audio.CLOSED and not self._said:
            self._said = True
            self._advance("< InputAudioStreamOpen")
            self._tell(InputAudioStreamOpenEvent(), self._new_stream())
            self._start("speaks")
            if self._meeting is not None and self._meeting.get is not None:
                self._meeting.get._join_put()
        super()._on_binary(event)

    def _new_stream(self) -> AudioStream:
        stream = super()._new_stream()
        assert self.settings is not None
        stream.encoding, stream.model = self.settings.stt_encoding, self.settings.stt_model
        stream.media_type = self._media_type if bodies.is_audio(self._media_type) else None
        return stream

    def _on_end_of_body(self) -> None:
        if self._answered:
            self._end_response()
        elif self._reads:
            pass  # it may have a body; nobody looks at it
        elif self._audio is Audio.OPEN:
            self._advance("< InputAudioStreamClose")
            self._tell(InputAudioStreamCloseEvent())
            if self._recording:
                self._start("recorded")
        elif self._running is None:
            self._status = 204
            self._conclude()

    @property
    def _recording(self) -> bool:
        """Whether the body is a recording, not what is being captured while it is sent."""
        live = self.settings is not None and self.settings.realtime
        return bodies.is_audio(self._media_type) and not live

    def _on_input(self, what: str, said: Input, request: Request | None) -> None:
        self._said = self._typed = True
        super()._on_input(what, said, request)

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
                "a V2 server sends no audio: give the item an address as its audio",
                legal=("ResponseItemEvent", "ResponseEvent"),
            )
        if isinstance(event, ResponseEvent) and self._sessions.stored:
            turn.session.snapshot()  # raises while nothing has changed
        super()._respond(turn, event)
        if isinstance(event, ResponseEvent):
            self._conclude()
            self._notify()

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
        """It has begun when the first event of the PUT was told."""

    def _new_turn(self, said: Input | None, request: Request | None) -> Turn:
        turn = super()._new_turn(said, request)
        if self._meeting is not None and self._meeting.waiting is not None:
            self._meeting.waiting._call_host()
        return turn

    # -------------------------------------------------------- the GET

    def _meet_put(self) -> None:
        assert self._cookie is not None
        self._meeting = meeting = self._sessions.meet(self._who(self._cookie))
        before, meeting.get = meeting.get, self
        if before is not None:
            before._end_get()
        put = meeting.put
        if put is None or not put._said:
            if self._sessions.waiting >= self._sessions.most_waiting:
                self._refuse(503, "too many requests wait for their PUT")
                return
            self._waits = True
            self._sessions.waiting += 1
        elif put._audio is Audio.OPEN:
            self._join_put()
        elif put._running is None:
            self._join_put()
            self._end_get()
        else:
            # It is late for this PUT; or early for the next one, with which the user interrupts the answer.
            self._late = True
            self._start("late")

    def _join_put(self) -> None:
        """The PUT has come, and audio with it."""
        self._stop_waiting()
        self._advance("joined")
        self._call_host()

    def _end_get(self) -> None:
        """Nothing more will be recognised; 204 says that there was no PUT (D-69)."""
        if self._state is not State.LISTENING:
            self._status = 204
        self._conclude()
        self._call_host()

    def _stop_waiting(self) -> None:
        if self._waits:
            self._waits = False
            self._sessions.waiting -= 1

    # -------------------------------------------------------- the response

    def _advance(self, what: str) -> None:
        before = self._audio
        super()._advance(what)
        heard_all = before is Audio.OPEN and self._audio is Audio.CLOSED
        if heard_all or what in ("< Input", "< InputStreamClose"):
            self._said = True
            self._release_get()

    def _release_get(self) -> None:
        """Nothing more will be recognised in this PUT: the GET that reads for it ends with 200."""
        get = None if self._reads or self._meeting is None else self._meeting.get
        if get is not None and not get._late:
            get._join_put()
            get._end_get()

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        match event:
            case RecognizedInputEvent(is_final=False):
                get = None if self._meeting is None else self._meeting.get
                if get is not None and get._outbox_bytes <= self.limits.queued_bytes:
                    get._advance("> Recognized interim")
                    get._put(get._encode(event))
                    get._call_host()
                return None
            case RecognizedInputEvent() | ResponseItemEvent():
                # As lines of text not everything is one.
                data = self._encode(event)
                return self._put(data, turn) if data else None
            case _:
                return None  # what a head or a cookie says on HTTP

    def _stream_config(self) -> ClientConfig:
        return super()._stream_config().replace(stt_mode=SttMode.SINGLE_UTTERANCE)

    def _encode(self, event: Event) -> bytes:
        return self._writer.encode(event)

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
            self._last = self._encode(ErrorEvent(text=str(error), source="session"))
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
        self._last = self._encode(ErrorEvent(text=text, source=source))
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
        if self._body_ended or self._reads:
            self._end_response()
        else:
            # Later audio is read and dropped (D-72): a client that still writes need not read.
            self._start("answered")

    def _end_response(self) -> None:
        if self._last is None and not self._finished:
            self._put(END)
            self._finish(CloseCode.NORMAL, "")

    def _leave(self) -> None:
        """The session is free for other requests."""
        self._stop_waiting()
        meeting = self._meeting
        if meeting is None:
            return
        if meeting.get is self:
            meeting.get = None
        if meeting.waiting is self:
            meeting.waiting = None
        if meeting.put is self:
            self._release_get()
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
            headers.append(("Content-Type", self._form.value))
        if self._allow:
            headers.append(("Allow", self._allow))
        if self._status == 200 and self._joined is not None:
            secure = "; Secure" if self.head is not None and is_secure(self.head) else ""
            cookie = f"{COOKIE}={self._joined.session_id}; Path=/; HttpOnly; SameSite=Lax{secure}"
            headers.append(("Set-Cookie", cookie))
        return ResponseHead(status=self._status, headers=tuple(headers))

    # -------------------------------------------------------- time and ends

    def _limit(self, name: str) -> float | None:
        match name:
            case "silence":
                return None if self._recording else super()._limit(name)
            case "late":
                return self.timeouts.second_put
            case "second_put":
                return None if self._queue_inputs else self.timeouts.second_put
            case "body" | "recording" | "drain" | "get":
                limit: float | None = getattr(self.timeouts, name)
                return limit
        return super()._limit(name)

    def _timed_out(self, name: str) -> None:
        match name:
            case "body":
                self._reject(408, "the body of the request does not go on")
            case "second_put":
                self._reject(409, "the audio of another request of this session is still coming in")
            case "drain" if self._status >= 400:
                self._end_response()
            case "drain":
                # With an END the connection would be kept, and what still comes be read for ever.
                self._put(Close(CloseCode.NORMAL, "the request does not end"))
                self._finish(CloseCode.NORMAL, "the request does not end")
            case "get":
                self._end_get()
            case "late":
                self._join_put()
                self._end_get()
            case _:
                super()._timed_out(name)

    def _transport_gone(self, end: Close) -> None:
        self._leave()
        if not self._answered and self._said:
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
        elif self._reads and self._state is not State.LISTENING:
            self._end_get()
        else:
            self._refuse(503, reason or "the server is going away", None, why=why)
            self._end_response()  # nothing of the body is worth waiting for

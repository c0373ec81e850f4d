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
    RemoteProtocolError,
)
from flowstorm_channel.events import (
    BinaryEvent,
    Event,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    LocalEvent,
    LogEvent,
    RecognizedInputEvent,
    ResponseItemEvent,
    SessionNeed,
    Side,
    UnknownEvent,
    Version,
)
from flowstorm_channel.http import HttpServerChannel, is_secure
from flowstorm_channel.server import AudioStream, ServerOptions, check_who
from flowstorm_channel.sessions import Rendezvous, Sessions, well_formed
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.socket_v2.settings import COOKIE, Settings, cookie_of, token_of
from flowstorm_channel.socket_v2.states import GET, GET_DEADLINES, PUT, PUT_AUDIO, PUT_DEADLINES
from flowstorm_channel.states import Audio, State
from flowstorm_channel.values import ClientConfig, Input, Request, SttMode
from flowstorm_channel.wire import RequestHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SocketV2Server"]

_CLAIMS = (InputEvent, BinaryEvent, InputStreamCloseEvent)
"""What makes a PUT the one whose turn it is; PUTs with nothing but logs never collide (D-68)."""
_IN_TURN = (State.PROCESSING, State.RESPONDING)


class _EndOfBody(LocalEvent):
    """The end of the request's body, behind the events in it."""

    __slots__ = ()


class SocketV2Server(HttpServerChannel):
    """The server end of Socket V2, for one HTTP request.

    Of the response each piece is to be flushed as it comes.

    Args:
        sessions: the same for all requests of a server.
        kw: see `ServerChannel`.
    """

    METHODS: ClassVar[tuple[str, ...]] = ("GET", "PUT", "POST")
    RULES: ClassVar[Rules] = Rules(PUT, PUT_AUDIO, PUT_DEADLINES)
    GET_RULES: ClassVar[Rules] = Rules(GET, PUT_AUDIO, GET_DEADLINES)

    def __init__(self, sessions: Sessions, **kw: Unpack[ServerOptions]) -> None:
        super().__init__(sessions, **kw)
        self.settings: Settings | None = None
        """What the client says of itself."""
        self._form = Form.TEXT
        self._writer = bodies.Writer(Form.TEXT)
        self._media_type = ""
        self._body: bodies.Reader = bodies.Nothing()
        self._cookie: str | None = None
        self._meeting: Rendezvous[SocketV2Server] | None = None
        self._looked_up = False
        self._said = False  # audio that comes now is too late
        self._typed = False  # an Input has come
        self._waits = False  # a GET without a PUT
        self._late = False  # a GET while the answer is on its way

    # -------------------------------------------------------- the host's words

    def ready(self) -> None:
        super().ready()
        if self._reads:
            self._meet_put()
        self._call_host()  # the body may be here already

    # -------------------------------------------------------- the request

    def _read_end(self) -> None:
        self._decode_body(self._body.close)
        self._decoded.append(_EndOfBody())

    def _read_body(self, piece: bytes) -> None:
        if self._decode_body(lambda: self._body.feed(piece)):
            # There may be more in it: come back, with nothing new, when this has been told.
            self._enqueue(b"", 0, again=True)
        elif self._body_bytes > self.limits.body_bytes and not self._answered:
            self._fault(LimitExceeded(f"a body of more than {self.limits.body_bytes} bytes"))

    def _open_request(self, head: RequestHead) -> None:
        self._cookie = cookie_of(head)
        method = head.method.upper()
        self._media_type = bodies.media_type_of(head.header("Content-Type"))
        form = bodies.body_form(self._media_type)
        audio = bodies.is_audio(self._media_type)
        if method == "GET" or audio:
            form = bodies.accepted(head.header("Accept"))
        self._form = form or Form.TEXT
        self._writer = bodies.Writer(self._form)
        if not self._is_method(head):
            return
        if form is None:
            what = f"{self._media_type} is not understood" if self._media_type else "it is missing"
            self._reject(415, f"Content-Type: {what} (legal: {', '.join(bodies.MEDIA_TYPES)})")
        else:
            self._introduce_client(method, audio=audio)

    def _introduce_client(self, method: str, *, audio: bool) -> None:
        """Make up the Init of the request."""
        assert self.head is not None
        try:
            settings = Settings.read(self.head)
            check_who(settings.init)
        except RemoteProtocolError as error:
            self._reject(400, error)
            return
        self.settings = settings
        if method == "GET":
            self._follow(self.GET_RULES)
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

    @property
    def _proposed_session(self) -> str | None:
        return self._cookie

    def _acceptable(self, session_id: str | None) -> str | None:
        return session_id if session_id is not None and well_formed(session_id) else None

    def _claimed(self, meeting: Rendezvous[SocketV2Server]) -> None:
        if meeting.get is not None:
            meeting.get._late = False  # it is this one's

    def _waited(self) -> None:
        self._arm("body")

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

    @property
    def _content_type(self) -> str:
        return self._form.value

    @property
    def _is_read(self) -> bool:
        return super()._is_read or self._reads

    def _leave(self) -> None:
        self._stop_waiting()
        if self._meeting is not None and self._meeting.get is self:
            self._meeting.get = None
        super()._leave()

    def _let_go(self) -> None:
        self._release_get()

    @property
    def _spoken(self) -> bool:
        return self._said

    def _more_headers(self) -> Iterator[tuple[str, str]]:
        if self._status == 200 and self._joined is not None:
            secure = "; Secure" if self.head is not None and is_secure(self.head) else ""
            cookie = f"{COOKIE}={self._joined.session_id}; Path=/; HttpOnly; SameSite=Lax{secure}"
            yield "Set-Cookie", cookie

    # -------------------------------------------------------- time and ends

    def _limit(self, name: str) -> float | None:
        match name:
            case "silence":
                return None if self._recording else super()._limit(name)
            case "late":
                return self.timeouts.second_put
            case "recording":
                return self.timeouts.recording
            case "get":
                return self.timeouts.get
        return super()._limit(name)

    def _timed_out(self, name: str) -> None:
        match name:
            case "get":
                self._end_get()
            case "late":
                self._join_put()
                self._end_get()
            case _:
                super()._timed_out(name)

    def _shut(self, code: int, reason: str, why: str) -> None:
        waits = self._reads and self._state is not State.LISTENING
        if waits and not (self._answered or self._head_sent):
            self._end_get()
        else:
            super()._shut(code, reason, why)

"""The client end of Socket V2: a PUT for what the user says, a GET beside it for what is recognised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

import attrs

from flowstorm_channel.channel import Control, Entry, Exchange, Rules, cost_of
from flowstorm_channel.client import ClientChannel, ClientOptions, ClientTurn
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    SessionStartEvent,
    Side,
    Version,
)
from flowstorm_channel.http import check_head_size, head_size
from flowstorm_channel.sessions import uuid4_text
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.socket_v2.requests import Complaint, Request
from flowstorm_channel.socket_v2.settings import (
    COOKIE,
    Settings,
    given_cookie,
    sendable,
    token_header,
)
from flowstorm_channel.socket_v2.states import CLIENT_V2, CLIENT_V2_AUDIO, CLIENT_V2_DEADLINES
from flowstorm_channel.states import Audio, State
from flowstorm_channel.values import INTRO, AudioFileType, SttEncoding, SttMode
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead, unsafe

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SocketV2Client"]

_PIECE = 64 * 1024
_REFUSED = (401, 403)
_PASSING = (408, 429)
"""What a proxy may say of a GET, and not mean for long."""


class SocketV2Client(ClientChannel):
    """The client end of Socket V2.

    Its words and states are those of V1. What differs: every input is a request of its own, so that
    `exchanges` names the transports that are needed; there is no handshake, and so no Open; the microphone
    may be opened in Sleeping and Failed too, and interrupts what plays; a failed request leaves the client
    in Failed until the next input.

    Args:
        url: ``http://`` or ``https://``, usually with the path ``/client``.
        msgpack: speak msgpack; the server must know it.
        stt_model: the recogniser wanted, by name.
        stt_encoding: of the blocks of audio.
        video_file: video is wanted.
        headers: for every request. A token goes with it as ``Authorization: Bearer``.
        make_id: makes the session ids that it proposes for its PUT and GET to share.
        kw: see `ClientChannel`.

    Raises:
        ValueError: the configuration names what V2 cannot do: Duplex, or μ-law files; or what is to be
            a header or a cookie cannot be one.
    """

    RULES: ClassVar[Rules] = Rules(CLIENT_V2, CLIENT_V2_AUDIO, CLIENT_V2_DEADLINES)
    DUPLEX_RULES: ClassVar[Rules] = RULES

    def __init__(
        self,
        url: str,
        *,
        msgpack: bool = False,
        stt_model: str = "General",
        stt_encoding: SttEncoding = SttEncoding.LINEAR16,
        video_file: bool = False,
        headers: Iterable[tuple[str, str]] = (),
        make_id: Callable[[], str] = uuid4_text,
        **kw: Unpack[ClientOptions],
    ) -> None:
        super().__init__(url, **kw)
        config = self.init.config
        if self.session_id is not None and not sendable(self.session_id):
            raise ValueError(f"{self.session_id!r} cannot be a cookie")
        headers = tuple(headers)
        spoken = (self.init.key, self.init.device_id, self.init.token or "", stt_model)
        if any(map(unsafe, (*spoken, *(text for pair in headers for text in pair)))):
            raise ValueError("a control character stands in what is to be a header")
        if config.stt_mode is SttMode.DUPLEX or config.tts_file_type is AudioFileType.MULAW:
            raise ValueError("V2 knows neither SttMode.DUPLEX nor AudioFileType.MULAW")
        self._settings = Settings(
            key=self.init.key,
            device_id=self.init.device_id,
            zone_id=config.zone_id,
            stt_model=stt_model,
            stt_sample_rate=config.stt_sample_rate,
            stt_encoding=stt_encoding,
            tts_file_type=config.tts_file_type,
            video_file=video_file,
            send_response_items=config.send_response_items,
        )
        self._form = Form.MSGPACK if msgpack else Form.JSON
        self._writer = bodies.Writer(self._form)
        token = self.init.token
        self._headers = (*headers, *((token_header(token),) if token else ()))
        self._make_id = make_id
        self._requests: list[Request] = []
        self._put_request: Request | None = None
        self._get_request: Request | None = None
        self._source: Request | None = None  # of the event in _decoded
        self._cut_off: tuple[Request, ...] = ()
        self._opened = False  # the microphone, and nobody has been told
        self._proposed: str | None = None  # a session id, while none is held

    # -------------------------------------------------------- transports

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        self._requests = [each for each in self._requests if not each.done]
        return tuple(self._requests)

    def receive_eof(self) -> None:
        """Every request that is under way is lost."""
        self._cut_off = tuple(self._requests)
        super().receive_eof()

    def _account(self, size: int) -> None:
        self._outbox_bytes += size

    def _arrive(self, request: Request, message: Message) -> None:
        cost = cost_of(message) + (head_size(message)[0] if isinstance(message, ResponseHead) else 0)
        most = self.limits.queued_bytes
        piece: Message | LimitExceeded = message
        if self._inbox_bytes + cost > most + self.limits.body_bytes:
            piece, cost = LimitExceeded(f"more than {most} bytes wait to be read"), cost_of(END)
            request.give_up()
        self._enqueue((request, piece), cost)

    def _begin(
        self,
        method: str,
        content: str | None,
        cookie: str | None,
        body: Iterable[bytes | End] = (),
        *,
        logs: bool = False,
    ) -> Request:
        """Put out a new request."""
        headers, query = [], []
        settings = attrs.evolve(self._settings, locale=self._locale)
        for name, parameter, text in settings.parameters():
            # A header holds ASCII; what is not goes into the address.
            if text.isascii() or not parameter:
                headers.append((name, text))
            else:
                query.append((parameter, text))
        headers.append(("Accept", self._form.value))
        if content is not None:
            headers.append(("Content-Type", content))
        if cookie is not None:
            headers.append(("Cookie", f"{COOKIE}={cookie}"))
        url = self.url
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query)
        head = RequestHead(method=method, url=url, headers=(*headers, *self._headers))
        request = Request(head, cookie, logs=logs, arrive=self._arrive, account=self._account)
        for each in body:
            request.put(each)
        self._requests.append(request)
        return request

    def _begin_put(self, content: str, body: Iterable[bytes | End]) -> None:
        self._give_up_turn()
        if self.session_id is None and self._proposed is None:
            # A PUT and its GET share an id from the beginning, and so does a PUT after one that was given up.
            self._proposed = self._make_id()
        self._put_request = self._begin("PUT", content, self.session_id or self._proposed, body)

    def _begin_get(self) -> None:
        assert self._put_request is not None
        self._get_request = self._begin("GET", None, self._put_request.cookie, (END,))

    def _give_up_turn(self) -> None:
        """Nothing that the PUT and the GET bring is wanted any more; what still goes on is broken off."""
        for request in (self._put_request, self._get_request):
            if request is not None and request.answered:
                request.over = True
            elif request is not None:
                request.give_up()
        self._put_request = self._get_request = None

    # -------------------------------------------------------- the words of a person

    def open(self) -> None:
        self._check_not_closed()
        if self._state is State.CLOSED:
            self._advance("opened")
            self._tell(ReadyEvent())
            if self.auto_start and self.session_id is None:
                self._say(self._spoken(INTRO))
            self._notify()

    def open_microphone(self) -> None:
        """Send audio from now on; what plays is interrupted. Already open, it does nothing.

        Raises:
            LocalProtocolError: it is not legal now: an answer is awaited.
        """
        if self._state in (State.RESPONDING, State.PAUSED):
            self._stop_turn()
        elif self._audio is Audio.CLOSED and self._allows("> InputAudioStreamOpen"):
            self._drop_turns("host")  # after a loss, what came before it may still be played
        super().open_microphone()

    def send_recording(self, recording: bytes, media_type: str = "audio/wav") -> ClientTurn:
        """Say what was recorded. What still plays, or is awaited, is interrupted by it.

        Args:
            recording: a whole file.
            media_type: audio/wav, audio/mpeg or audio/basic.

        Returns:
            The turn it begins.

        Raises:
            LocalProtocolError: the channel is not open, or the recording is empty or of another type.
            TooLateError: the channel was closed.
        """
        self._check_not_closed()
        if not self._allows("> Recording"):
            raise self._illegal("a recording")
        if not bodies.is_audio(media_type) or not recording:
            raise LocalProtocolError(
                f"{len(recording)} bytes of {media_type} are no recording",
                legal=("audio/wav", "audio/mpeg", "audio/basic"),
            )
        self._drop_turns("input")
        self._ends = self._sleeps = False
        turn = self._turn = self._open_turn(typed=True)
        self._advance("> Recording")
        pieces = (recording[start : start + _PIECE] for start in range(0, len(recording), _PIECE))
        self._begin_put(media_type, (*pieces, END))
        self._notify()
        return turn

    def interrupt(self) -> None:
        if self.pause_on_interrupt and self._allows("interrupt pausing"):
            super().interrupt()
        else:
            self._stop_turn()

    def _stop_turn(self) -> None:
        if self._allows("interrupt"):
            self._give_up_turn()
            self._drop_turns("host")
            self._advance(self._qualified("interrupt"))
            self._notify()

    def close(self) -> None:
        if self._finished:
            return
        self._give_up_turn()
        for each in self._requests:
            each.over = True  # logs that have been said may still go out
        self._forget_session()
        self._forget_turns("closed")
        self._advance("close")
        self._finish(CloseCode.NORMAL, "CLIENT_CLOSE")
        self._call_host()

    # -------------------------------------------------------- what the host does

    def _check_room(self) -> None:
        put = self._put_request
        if put is None or put.writing or self._outbox_bytes - put.waiting_bytes > self.limits.queued_bytes:
            super()._check_room()  # else what waits would be given up

    def _send(self, event: Event) -> None:
        if isinstance(event, InputAudioStreamCloseEvent) and self._audio is Audio.CLOSED:
            raise self._illegal("InputAudioStreamClose without a stream")
        super()._send(event)

    def _transmit(self, event: Event, message: Message) -> None:
        assert isinstance(message, bytes)
        put = self._put_request
        match event:
            case InputEvent():
                if put is not None and put.writing and not put.over:
                    put.input = event
                    put.put(self._encode(InputStreamCloseEvent()))
                    put.put(message)
                    put.put(END)
                else:
                    self._begin_put(self._form.value, (message, END))
            case BinaryEvent():
                assert put is not None
                put.put(message)
            case InputAudioStreamOpenEvent():
                # The two requests share an id from their beginning, be it only a proposed one.
                self._begin_put(self._form.value, ())
                self._begin_get()
                self._ends = self._sleeps = False
                self._opened = True
            case InputAudioStreamCloseEvent():
                pass  # the body ends with the stream: see _advance
            case _:
                self._begin("PUT", self._form.value, self.session_id, (message, END), logs=True)

    def _write(self, event: Event, turn: object = None) -> Entry | None:  # noqa: ARG002
        self._transmit(event, self._encode(event))
        return None

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, (InputAudioStreamOpenEvent, InputAudioStreamCloseEvent)):
            return b""  # requests begin and end instead
        return self._writer.encode(event)

    def _end_body(self) -> None:
        put = self._put_request
        if put is not None and put.writing and not put.over:
            put.put(END)

    def _has_news(self) -> bool:
        return bool(self._told) or any(each.pending for each in self._requests)

    def _next_event(self) -> Event | Control:
        if self._opened and not self._told:
            # Behind all that led to it.
            self._opened = False
            if self._audio is Audio.OPEN:
                self._tell(InputAudioStreamOpenEvent())
        event = super()._next_event()
        if self._opened and isinstance(event, Control):
            return self._next_event()  # what led to it was nothing to tell
        return event

    # -------------------------------------------------------- what the server does

    def _read(self, message: tuple[Request, Message | LimitExceeded]) -> None:
        request, piece = self._source, _ = message
        if isinstance(piece, LimitExceeded):
            self._tell(FaultEvent(error=piece))
            self._on_break(request, CloseCode.TOO_BIG, str(piece))
        elif not request.over:
            self._on_piece(request, piece)

    def _on_piece(self, request: Request, piece: Message) -> None:
        match piece:
            case ResponseHead():
                self._on_head(request, piece)
            case bytes():
                self._on_body(request, piece)
            case End.END:
                self._on_end(request)
            case _:
                assert isinstance(piece, Close)
                self._on_break(request, piece.code, piece.reason)

    def _on_head(self, request: Request, head: ResponseHead) -> None:
        try:
            check_head_size(head, self.limits)
        except LimitExceeded as error:
            self._on_fault(request, error)
            return
        request.status = head.status
        form = bodies.body_form(bodies.media_type_of(head.header("Content-Type")))
        if head.status >= 400 or form in (None, Form.TEXT):
            request.reader = Complaint(form, self.limits)
        else:
            assert form is not None
            request.reader = bodies.decoder(
                form, self.limits, locale=self._locale, zone_id=self._settings.zone_id
            )
        if head.status >= 400 and request is self._put_request and self._audio is Audio.OPEN:
            # Nobody will hear what is said now, and the response ends with the request.
            self._advance("> InputAudioStreamClose")
        given = given_cookie(head)
        if given == "":
            self._drop_session()
        elif given is not None and given != self.session_id and head.status < 400:
            self._proposed = None
            self._on_session_start(SessionStartEvent(session_id=given), "< SessionStarted")

    def _on_body(self, request: Request, data: bytes) -> None:
        request.received += len(data)
        try:
            if request.received > self.limits.body_bytes:
                raise LimitExceeded(f"a body of more than {self.limits.body_bytes} bytes")
            request.reader.feed(data)
            event = request.reader.next_event()
        except RemoteProtocolError as error:
            self._on_fault(request, error)
            return
        if event is not None:
            self._decoded.append(event)
            self._enqueue((request, b""), 0, again=True)  # there may be more in it

    def _on_fault(self, request: Request, error: RemoteProtocolError) -> None:
        """What the response brings makes no sense: it is given up."""
        self._tell(FaultEvent(error=error))
        request.give_up()
        self._on_break(request, CloseCode.ABNORMAL, str(error))

    def _on_end(self, request: Request) -> None:
        status = request.status
        assert status is not None  # a head comes first: see Request.receive_data
        try:
            if not request.answered:
                request.reader.close()
        except RemoteProtocolError as error:
            self._tell(FaultEvent(error=error))
        request.complete()
        if request is self._get_request:
            self._get_request = None
            refused = 400 <= status < 500 and status not in _PASSING
            if self._audio is Audio.OPEN and (status == 200 or refused):
                # Refused it is told before the PUT is, whose response may be read only after its body.
                self._advance("recognised")
            else:
                self._start("unread")
        elif request is self._put_request:
            self._put_request = None
            if status == 204 and self._state is State.PROCESSING:
                # The microphone was closed before anything was said.
                self._give_up_turn()
                self._drop_turns("unanswered")
                self._advance(self._qualified("interrupt"))
            elif not request.answered:
                self._on_failure(request, status)
        elif request.logs and status not in (200, 204):
            problem = f"logs were refused: HTTP {status} {request.complaint}".rstrip()
            self._tell(FaultEvent(error=RemoteProtocolError(problem)))

    def _on_break(self, request: Request, code: int, reason: str) -> None:
        if not request.over:
            request.lose()
        if request is self._get_request:
            self._get_request = None
            self._start("unread")
        elif request is self._put_request:
            self._put_request = None
            if request.answered:
                return
            if request.status is not None and request.status >= 400:
                self._on_failure(request, request.status)
            else:
                self._fail(code, reason)
        elif request.logs:
            problem = f"logs were lost: {reason or code}"
            self._tell(FaultEvent(error=RemoteProtocolError(problem)))

    def _on_failure(self, request: Request, status: int) -> None:
        """The PUT has ended without an answer."""
        reason = f"HTTP {status}"
        if status >= 400:
            self._tell(ErrorEvent(text=request.complaint or reason, source=reason))
        if status in _REFUSED:
            self._drop_session()
        self._fail(status, reason if status >= 400 else "the response ended without an answer")

    def _fail(self, code: int, reason: str) -> None:
        self._give_up_transport(code, reason)
        self._lost(code, reason)

    def _take(self, event: Event) -> None:
        request = self._source
        assert request is not None
        if Version.V2 not in event.VERSIONS or Side.SERVER not in event.SENT_BY:
            self._fault(RemoteProtocolError(f"{type(event).__name__} is nothing that a V2 server says"))
        elif request.logs:
            text = f": {event.text}" if isinstance(event, ErrorEvent) else ""
            self._fault(RemoteProtocolError(f"{type(event).__name__} in the answer to logs{text}"))
        elif request is self._put_request and request.answered:
            self._fault(RemoteProtocolError(f"{type(event).__name__} behind the end of the answer"))
        elif isinstance(event, ErrorEvent):
            request.answered = True
            self._give_up_all_but(request)
            self._on_error(event, "< Error")
        elif isinstance(event, RecognizedInputEvent) and not event.is_final:
            self._on_interim_input(event, request)
        elif isinstance(event, RecognizedInputEvent) and request is self._put_request:
            self._on_final_input(event, request)
        elif request is not self._put_request:
            self._fault(RemoteProtocolError(f"{type(event).__name__} is not for a GET"))
        else:
            request.answered = isinstance(event, ResponseEvent)
            super()._take(event)

    def _on_interim_input(self, event: RecognizedInputEvent, request: Request) -> None:
        streaming = self._put_request is not None and not self._put_request.answered
        if request is self._get_request and (not streaming or not self._allows("< Recognized interim")):
            return  # too late to be of interest
        if self._admit("< Recognized interim"):
            self._tell(event)  # wherever it is legal, it changes nothing

    def _on_final_input(self, event: RecognizedInputEvent, request: Request) -> None:
        if not self._admit("< Recognized final"):
            return
        said = request.input
        if said is not None:
            # It crossed the text that the user switched to, which that request will not answer any more.
            self._tell(event)
            self._begin_put(self._form.value, (self._encode(said), END))
            return
        turn = self._open[0] if self._open else self._open_turn(typed=False)
        self._advance("< Recognized final")
        self._tell(event, turn)

    def _give_up_all_but(self, request: Request) -> None:
        for other in (self._put_request, self._get_request):
            if other is not None and other is not request:
                other.give_up()
        if request is not self._put_request:
            self._put_request = None
        else:
            self._get_request = None

    # -------------------------------------------------------- as V1, but for

    def _drop_turns(self, reason: str) -> None:
        super()._drop_turns(reason)
        # What is given up can bring nothing more, so no turn is ever stale.
        self._open.clear()

    def _advance(self, what: str) -> None:
        before, state = self._audio, self._state
        super()._advance(what)
        if before is not Audio.OPEN or self._audio is Audio.OPEN:
            return
        if what != "> Input":
            self._end_body()
        if state is self._state is State.LISTENING and what != "interrupt":
            self._open_automatically()  # an answer without anything to play: as if Listening were entered

    def _close_stream(self) -> None:
        """The tables close it."""

    def _settle_mode(self) -> None:
        """There is one."""

    @property
    def _duplex(self) -> bool:
        return False

    def _timed_out(self, name: str) -> None:
        if name == "get_again":
            self._begin_get()
        else:
            super()._timed_out(name)

    def _check_message(self, message: Message) -> None:  # noqa: ARG002
        raise LocalProtocolError("every request has a transport of its own", legal=("exchanges",))

    def _transport_gone(self, end: Close) -> None:
        for request in self._cut_off:
            if not request.over:
                self._on_break(request, end.code, end.reason)

    def _give_up_transport(self, code: int, reason: str) -> None:  # noqa: ARG002
        self._give_up_turn()

"""One core for the servers of all channels: who speaks, turns, audio, sessions (socket-v1.md, "V1 server").

A transport adds how bytes become events and back; it overrides `_read` and `_encode`, and nothing of what
follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from flowstorm_channel.channel import Channel, ChannelOptions, Entry, Rules
from flowstorm_channel.codecs.compile import maker
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    Need,
    ReadyEvent,
    RecognizedInputEvent,
    RequestEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    SessionStartEvent,
    TurnInterruptedEvent,
    UnknownEvent,
)
from flowstorm_channel.sessions import Session, uuid4_text, well_formed
from flowstorm_channel.states import (
    SERVER,
    SERVER_AUDIO,
    SERVER_DEADLINES,
    SERVER_DUPLEX_AUDIO,
    Audio,
    State,
    trigger,
)
from flowstorm_channel.values import (
    SILENCE,
    ClientConfig,
    ExpectedPhrase,
    Input,
    LogEntry,
    Request,
    Response,
    ResponseItem,
    SttEncoding,
    SttMode,
    Transcript,
)
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, unsafe

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AudioStream", "ResponseMembers", "ServerChannel", "ServerOptions", "Turn"]

EMPTY = Response()

# What is made of checked values needs no further check.
_said = maker(ResponseItem)
_input_event = maker(InputEvent)
_response_event = maker(ResponseEvent)
_NOBODY = InitEvent(key="", device_id="")


class ServerOptions(ChannelOptions, total=False):
    """What every server takes; see `ServerChannel`."""

    make_id: Callable[[], str]
    queue_inputs: bool


class ResponseMembers(TypedDict, total=False):
    """The members of a `Response`."""

    locale: str | None
    items: Sequence[ResponseItem]
    logs: Sequence[LogEntry]
    attributes: Mapping[str, Any]
    stt_mode: SttMode | None
    expected_phrases: Sequence[ExpectedPhrase]
    session_ended: bool
    sleep_timeout: int
    turn_id: str | None


class Turn:
    """One input and its response, or a response that the server began by itself.

    What belongs to a turn is sent through it; once it is over, sending raises `TooLateError` and puts nothing
    on the wire (D-38).
    """

    __slots__ = ("_items", "_seen", "_session", "channel", "init", "input", "number", "over", "request")

    def __init__(
        self,
        channel: ServerChannel,
        number: int,
        input: Input | None,  # noqa: A002
        request: Request | None,
        session: Session | None,
        init: InitEvent,
    ) -> None:
        self.channel = channel
        """It came on; for what only one channel has."""
        self._items: list[ResponseItem] = []
        self._seen = False
        self._session = session
        self.number = number
        """Counts the turns of this channel from 1; for logs and recordings."""
        self.input = input
        """What the user said; None when the server began the turn."""
        self.request = request
        """The Request the input came in, of an old client; the host checks what is in it (D-61)."""
        self.init = init
        """Who speaks, and what the client wants."""
        self.over = False
        """Whether nothing more can be sent."""

    def __repr__(self) -> str:
        return f"<Turn {self.number} {self.text!r}{' over' if self.over else ''}>"

    @property
    def session(self) -> Session:
        """The session that the turn belongs to: what the dialogue wants to remember goes into its `data`.

        Raises:
            LocalProtocolError: there is none yet: the server began the turn, and has said nothing.
        """
        if self._session is None:
            raise LocalProtocolError("the session has not begun yet", legal=("say()", "finish()"))
        return self._session

    @property
    def session_id(self) -> str:
        """Of the session the turn belongs to; empty when it has not begun yet."""
        return "" if self._session is None else self._session.session_id

    @property
    def text(self) -> str:
        """The text of the input, empty without one."""
        return "" if self.input is None else self.input.transcript.text

    def say(self, item: str | ResponseItem | bytes) -> None:
        """Send one part of the response.

        Args:
            item: a text, an item, or audio: a whole file of `ClientConfig.tts_file_type`.
                Clients that do not understand single items get them with the Response (D-60).

        Raises:
            TooLateError: the turn is over.
            LocalProtocolError: too much waits to be sent.
        """
        if isinstance(item, bytes):
            self.send(BinaryEvent(data=item))
        else:
            if isinstance(item, str):
                item = _said(text=item) if item.isascii() and type(item) is str else ResponseItem(text=item)
            self.send(ResponseItemEvent(response_item=item))

    def finish(self, response: Response | None = None, **members: Unpack[ResponseMembers]) -> None:
        """The response is complete.

        Args:
            response: all of it; or
            members: of the `Response`, such as ``session_ended=True`` or ``sleep_timeout=60``.

        Raises:
            TooLateError: the turn is over.
            TypeError, ValueError: a member is wrong.
        """
        response = EMPTY if response is None else response
        self.send(ResponseEvent(response=response.replace(**members) if members else response))

    def fail(self, text: str) -> None:
        """Tell the user what went wrong, and end the session: the way to report a dialogue's failure.

        Raises:
            TooLateError: the turn is over.
        """
        self.channel._fail(self, text)

    def interrupt(self, reason: str = "host") -> None:
        """The user has begun to speak or wants to hear no more. Does nothing once the turn is over.

        Args:
            reason: for `TurnInterruptedEvent`.
        """
        if not self.over:
            self.channel._interrupt(reason)

    def send(self, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        """What `say` and `finish` use.

        Raises:
            TooLateError: the turn is over.
            LocalProtocolError: it is another event, or too much waits to be sent.
        """
        if self.over:
            raise TooLateError(f"turn {self.number} is over")
        self.channel._respond(self, event)


class AudioStream:
    """The user's audio, from the client's InputAudioStreamOpen on; `TooLateError` once it is over (D-44)."""

    __slots__ = ("_channel", "config", "encoding", "expected_phrases", "media_type", "model", "over")

    def __init__(
        self, channel: ServerChannel, config: ClientConfig, expected_phrases: tuple[ExpectedPhrase, ...]
    ) -> None:
        self._channel = channel
        self.encoding = SttEncoding.LINEAR16
        """Of the samples."""
        self.model: str | None = None
        """The recogniser that the client wants, by name, when it wants one."""
        self.media_type: str | None = None
        """Of the body that the audio comes in, such as ``audio/wav``; None for blocks of bare samples."""
        self.config = config
        """The client's, with the language and mode that the last Response set (D-62)."""
        self.expected_phrases = expected_phrases
        """Hints from the last Response (D-62)."""
        self.over = False
        """Whether nothing it recognises counts any more."""

    def __repr__(self) -> str:
        return f"<AudioStream {self.config.stt_mode.value}{' over' if self.over else ''}>"

    def ready(self) -> None:
        """The recogniser is ready: the client is told to send audio. A second time it does nothing (D-43).

        Raises:
            TooLateError: the stream is over.
        """
        self._check()
        self._channel._stream_ready()

    def recognized(self, what: str | Input, *, final: bool) -> None:
        """Something was recognised.

        Args:
            what: the text, or the whole input.
            final: the utterance is over. The result comes back to the host as an InputEvent (D-64).

        Raises:
            TooLateError: the stream is over.
            LocalProtocolError: the recogniser was not `ready()`, or too much waits to be sent.
        """
        self._check()
        self._channel._check_room()
        heard = what if isinstance(what, Input) else self._channel._input(what, self.config)
        self._channel._recognized(heard, final=final)

    def interrupt(self, reason: str = "host") -> None:
        """The user has begun to speak: what is being said stops, where the server can stop it (D-42).

        It interrupts the turn that runs. On a phone call it also stops what a finished turn has still to
        play; elsewhere that is the client's business. Once the stream is over it does nothing.

        Args:
            reason: for `TurnInterruptedEvent`.
        """
        if not self.over:
            self._channel._barge_in(reason)

    def end_of_utterance(self) -> None:
        """The recogniser heard the end of speech: a result or silence must follow soon (D-48).

        Counts in SingleUtterance only.

        Raises:
            TooLateError: the stream is over.
        """
        self._check()
        if self.config.stt_mode is SttMode.SINGLE_UTTERANCE:
            self._channel._utterance_ended()

    def send(self, event: InputAudioStreamOpenEvent | RecognizedInputEvent) -> None:
        """What `ready` and `recognized` do, for events.

        Raises:
            TooLateError: the stream is over.
            LocalProtocolError: it is another event, or not legal now.
        """
        match event:
            case InputAudioStreamOpenEvent():
                self.ready()
            case RecognizedInputEvent():
                self.recognized(event.input, final=event.is_final)
            case _:
                raise LocalProtocolError(
                    f"{type(event).__name__} does not belong to an audio stream",
                    legal=("InputAudioStreamOpenEvent", "RecognizedInputEvent"),
                )

    def _check(self) -> None:
        if self.over:
            raise TooLateError("the audio stream is over")


class ServerChannel(Channel):
    """The server end of a channel.

    Args:
        make_id: makes the ids of sessions for which the client has named none.
        queue_inputs: an input that comes while a turn runs waits for its end, and does not interrupt (D-37).
        kw: see `Channel`.
    """

    LIVE: ClassVar[bool] = True
    """Audio comes as it is spoken, and cannot be made to wait."""
    RULES: ClassVar[Rules] = Rules(SERVER, SERVER_AUDIO, SERVER_DEADLINES)
    KIND: ClassVar[str] = ""
    """What a store puts before the ids of its sessions; ids that clients propose have no colon in them."""
    FIRST: ClassVar[tuple[str, ...]] = ("receive_data(RequestHead)",)
    DUPLEX_RULES: ClassVar[Rules] = Rules(SERVER, SERVER_DUPLEX_AUDIO, SERVER_DEADLINES)

    TELLS_AUDIO: ClassVar[bool] = True
    """Whether nothing is done with a block of audio while it flows but to tell it."""

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        # A subclass that wants to look at blocks is to see them.
        cls.TELLS_AUDIO = cls._take is ServerChannel._take and cls._on_binary is ServerChannel._on_binary

    def __init__(
        self,
        *,
        make_id: Callable[[], str] = uuid4_text,
        queue_inputs: bool = False,
        **kw: Unpack[ChannelOptions],
    ) -> None:
        super().__init__(**kw)
        self.session: Session | None = None
        """The session in force."""
        self._turn: Turn | None = None
        self._stream: AudioStream | None = None
        self._init = _NOBODY
        self._make_id = make_id
        self._queue_inputs = self._may_wait = queue_inputs
        self._running: Turn | None = None
        self._turns = 0
        self._listening: AudioStream | None = None
        self._proposed: str | None = None
        self._announcement: Entry | None = None
        self._malformed: tuple[str, str] | None = None
        self._sleep_timeout = 0

    @property
    def session_id(self) -> str | None:
        """Of the session in force."""
        return None if self.session is None else self.session.session_id

    @property
    def init(self) -> InitEvent | None:
        """Who speaks: the Init that the host accepted last."""
        return None if self._init is _NOBODY else self._init

    @property
    def patience(self) -> float | None:
        """Seconds for which the client still waits for an answer; None: as long as it takes."""
        return None

    @property
    def turn(self) -> Turn:
        """The turn of the InputEvent told last. Take it while you hold that event.

        Raises:
            LocalProtocolError: none has been told yet.
        """
        if self._turn is None:
            raise LocalProtocolError("there has been no input yet")
        return self._turn

    @property
    def stream(self) -> AudioStream:
        """The stream of the InputAudioStreamOpenEvent told last. Take it while you hold that event.

        Raises:
            LocalProtocolError: none has been told yet.
        """
        if self._stream is None:
            raise LocalProtocolError("no stream has been asked for yet")
        return self._stream

    # -------------------------------------------------------- the host's words

    def ready(self) -> None:
        """Accept the Init that was told last: the client is Ready, and reading goes on.

        Raises:
            LocalProtocolError: no Init waits for an answer.
            TooLateError: the client is gone.
        """
        self._check_not_closed()
        if not isinstance(self._question, InitEvent):
            raise self._illegal("Ready without an Init that waits for it")
        self._init, self._question = self._question, None
        if self.session is not None:
            self.session.reset()
        self._move("> Ready")
        self._write(ReadyEvent())
        self._notify()

    def fail(self, text: str, *, source: str | None = None, status: int | None = None) -> None:  # noqa: ARG002
        """Refuse the Init that was told last; else report an error that the session does not survive (D-11).

        Args:
            text: for the user.
            source: where the error comes from.
            status: of the refusal, on HTTP; a WebSocket has none.

        Raises:
            LocalProtocolError: there is nothing to fail yet.
            TooLateError: the channel is over.
        """
        self._check_not_closed()
        if not self._allows("> Error") or (self._state is State.OPEN and self._question is None):
            raise self._illegal("Error")
        self._question = None
        self._break("> Error", "error", ErrorEvent(text=text, source=source))
        self._notify()

    def provide(self, need: Need, value: bytes | None) -> None:
        """Answer a `Need`: the machine goes on.

        Args:
            need: that was told last.
            value: what is needed; None: it cannot be had. What went wrong is reported with `fail`.

        Raises:
            LocalProtocolError: nothing of the kind waits for an answer.
            TooLateError: the client is gone.
        """
        self._check_not_closed()
        if self._question is not need:
            raise self._illegal("provide() of what is not needed")
        if value is not None and not isinstance(value, bytes):
            raise LocalProtocolError(
                f"a need is met with bytes or None, not {type(value).__name__}", legal=("bytes", "None")
            )
        self._question = None
        self._provided(need, value)
        self._call_host()

    def give_way(self) -> None:
        """Somebody else wants the session: a turn that runs is interrupted, as by another input (D-68).

        Without a turn, with queued inputs, and once it is too late, it does nothing.
        """
        if self._running is not None and not self._queue_inputs:
            self._interrupt("input")

    def _fail(self, turn: Turn, text: str) -> None:
        """A turn has come to nothing."""
        turn.finish(items=(ResponseItem(text=text),), session_ended=True)

    def _barge_in(self, reason: str) -> None:
        """The user speaks into what is being said."""
        if self._running is not None:
            self._interrupt(reason)

    def begin(self) -> Turn:
        """Begin a turn that nobody asked for (D-29). Nothing goes out before its first part.

        Raises:
            LocalProtocolError: a turn is running, or the client is not Ready.
            TooLateError: the channel is over.
        """
        self._check_not_closed()
        if self._running is not None or not self._allows("begin"):
            raise self._illegal("begin()")
        turn = self._new_turn(None, None)
        self._advance("begin")
        return turn

    def rename_session(self, session_id: str) -> None:
        """Give the session that has just begun another id, before the client hears of it (D-58).

        Args:
            session_id: well-formed.

        Raises:
            TooLateError: SessionStarted has gone out already.
            LocalProtocolError: the id is not well-formed.
        """
        self._check_session_id(session_id)
        message = self._encode(SessionStartEvent(session_id=session_id))
        if self._announcement is None or not self._replace(self._announcement, message):
            raise TooLateError("no session is about to be announced")
        if self._malformed is not None and self._malformed[1] == self.session_id:
            self._malformed = (self._malformed[0], session_id)
        assert self.session is not None
        self.session.session_id = session_id

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport, after what is queued has gone out. A second time it does nothing.

        Args:
            code: of the WebSocket close (D-67).
            reason: for people.
        """
        if not self._finished:
            self._shut(code, reason, "closed")
            self._notify()

    # -------------------------------------------------------- what the client does

    def _check_message(self, message: Message) -> None:
        opening = self._state is State.CLOSED and not self._inbox
        if not isinstance(message, (RequestHead, Close) if opening else (str, bytes, Close)):
            raise LocalProtocolError(
                f"a WebSocket cannot bring {type(message).__name__} to a server in {self._state.value}",
                legal=("RequestHead",) if opening else ("str", "bytes", "Close"),
            )

    def _take(self, event: Event) -> None:
        if isinstance(event, BinaryEvent):
            self._on_binary(event)
            return
        what = trigger("<", event)
        if not self._admit(what):
            return
        match event:
            case InputEvent():
                self._on_input(what, event.input, None)
            case RequestEvent():
                self._on_input(what, _merged(event.request), event.request)
            case InputAudioStreamOpenEvent():
                self._on_stream_open(what, event)
            case SessionEndEvent():
                self._on_session_end(what, event)
            case InitEvent():
                self._on_init(what, event)
            case _:
                self._advance(what)
                self._tell(event)

    def _on_binary(self, event: BinaryEvent) -> None:
        if not event.data:
            return
        if self._audio is Audio.OPEN:
            self._tell(event)
        else:
            self.dropped += 1

    def _on_init(self, what: str, event: InitEvent) -> None:
        try:
            check_who(event)
        except RemoteProtocolError as error:
            self._fault(error)
        else:
            self._advance(what)
            self._question = event
            self._tell(event)

    def _on_input(self, what: str, said: Input, request: Request | None) -> None:
        self._cut("input")
        self._advance(what)
        if request is not None:
            self._adopt(request.session_id)
        self._begin_session()
        turn = self._new_turn(said, request)
        self._tell(_input_event(input=said), turn)

    def _on_stream_open(self, what: str, event: InputAudioStreamOpenEvent) -> None:
        before = self._audio
        if before is Audio.CLOSED:
            self._set_mode()
        self._advance(what)
        if event.session_id is not None and well_formed(event.session_id):
            self._proposed = event.session_id
        if before is Audio.CLOSED:
            self._tell(event, self._new_stream())

    def _on_session_end(self, what: str, event: SessionEndEvent) -> None:
        self._cut("session ended", Response(session_ended=True))
        self._write(event)
        self._clear_session()
        self._advance(what)
        self._tell(event)

    def _must_wait(self, event: Event) -> bool:
        return (
            self._queue_inputs
            and self._running is not None
            and isinstance(event, (InputEvent, RequestEvent))
            and self._end is None
        )

    def _fault(self, error: RemoteProtocolError) -> None:
        self._break("< fault", "error", ErrorEvent(text=str(error), source="protocol"))
        self._tell(FaultEvent(error=error))

    def _overrun(self, error: LimitExceeded) -> None:
        self._shut(CloseCode.TOO_BIG, str(error), "error")

    # -------------------------------------------------------- what the host does

    def _send(self, event: Event) -> None:
        match event:
            case ReadyEvent():
                self.ready()
            case ErrorEvent():
                self.fail(event.text, source=event.source)
            case SessionEndEvent():
                if not self._allows("> SessionEnded") or self._running is not None or self.session_id is None:
                    raise self._illegal("SessionEnded")
                self._write(event)
                self._clear_session()
                self._advance("> SessionEnded")
            case UnknownEvent() | BinaryEvent(data=b""):
                what = trigger(">", event)
                if not self._allows(what):
                    raise self._illegal(what[2:])
                self._check_room()
                message = self._encode(event)
                self._advance(what)
                self._put(message)
            case _:
                raise LocalProtocolError(
                    f"{type(event).__name__} is not the channel's to send: what answers an input "
                    "goes through its turn, what is recognised through its stream",
                    legal=("ReadyEvent", "ErrorEvent", "SessionEndEvent", "UnknownEvent"),
                )

    def _ask(self, need: Need) -> None:
        """Stand still until the host has answered."""
        self._question = need
        self._tell(need)

    def _provided(self, need: Need, value: bytes | None) -> None:
        """The host has answered."""

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if not isinstance(event, ResponseEvent):  # there is one to a turn, and it must be possible to end it
            self._check_room()
        match event:
            case ResponseItemEvent():
                self._begin_session()
                self._advance("> ResponseItem")
                if self._config().send_response_items:
                    self._write(event, turn)
                else:
                    turn._items.append(event.response_item)
            case BinaryEvent():
                if event.data:
                    self._begin_session()
                    self._advance("> Binary")
                    self._write(event, turn)
            case ResponseEvent():
                self._complete(turn, event.response)
            case _:
                raise LocalProtocolError(
                    f"{type(event).__name__} does not belong to a turn",
                    legal=("ResponseItemEvent", "ResponseEvent", "BinaryEvent"),
                )
        self._notify()

    def _complete(self, turn: Turn, response: Response) -> None:
        sleeps = response.sleep_timeout > 0
        ends = response.ends
        changes: dict[str, Any] = {}
        singly = response.items if self._config().send_response_items else ()
        if singly:
            changes["items"] = ()
        elif turn._items:
            changes["items"] = (*turn._items, *response.items)
        if sleeps and response.session_ended:
            changes["session_ended"] = False  # D-51
        message = self._encode(_response_event(response=self._outgoing(response, **changes)))
        self._begin_session()
        for item in singly:
            self._write(ResponseItemEvent(response_item=item), turn)
        self._put_last(message)
        session = turn.session
        if response.locale is not None:
            session.locale = response.locale
        if response.stt_mode is not None:
            session.stt_mode = response.stt_mode
        session.expected_phrases = response.expected_phrases
        session.asleep = sleeps
        self._retire(turn)
        self._advance("> Response end" if ends or sleeps else "> Response")
        if ends:
            self._write(SessionEndEvent())  # D-12: right after, never before
            self._clear_session()
        elif sleeps:
            self._sleep_timeout = response.sleep_timeout
            self._start("sleeps")

    def _interrupt(self, reason: str) -> None:
        unseen = not self._cut(reason)
        if unseen and "sleep" in self._due:
            assert self.session is not None
            self.session.asleep = True  # it was woken by a turn that nobody has heard of
            self._advance("interrupt asleep")
        else:
            self._advance("interrupt")
        self._notify()

    def _stream_ready(self) -> None:
        if self._audio is Audio.ASKED:
            self._advance("> InputAudioStreamOpen")
            self._write(InputAudioStreamOpenEvent())
            self._notify()

    def _utterance_ended(self) -> None:
        self._start("utterance ended")
        self._notify()

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        if self._audio is not Audio.OPEN:
            raise LocalProtocolError(
                "nothing can be recognised before the stream is ready()", legal=("ready()",)
            )
        if final:
            self._cut(reason)
            self._begin_session()
            self._write(RecognizedInputEvent(input=heard, is_final=True))
            self._advance("> Recognized final")
            turn = self._new_turn(heard, None)
            self._tell(InputEvent(input=heard), turn)
        else:
            self._advance("> Recognized interim")
            if self._config().stt_interim_results:
                self._write(RecognizedInputEvent(input=heard, is_final=False))
        self._notify()

    # -------------------------------------------------------- time and ends

    def _limit(self, name: str) -> float | None:
        match name:
            case "init":
                return self.timeouts.init
            case "idle":
                return self.timeouts.idle
            case "sleep":
                return self._sleep_timeout
            case "end_of_utterance":
                return self.timeouts.end_of_utterance
            case _:
                if self._running is not None:
                    return None
                if self._rules is self.DUPLEX_RULES:
                    return self.timeouts.duplex_silence
                return self._config().silence_timeout / 1000

    def _timed_out(self, name: str) -> None:
        match name:
            case "init":
                self._write(ErrorEvent(text="Init did not come in time", source="protocol"))
                self._shut(CloseCode.NO_INIT, "no Init", "error")
            case "idle":
                self._shut(CloseCode.GOING_AWAY, "nothing heard for too long", "lost")
            case "sleep":
                # Whatever else ends a session stops this deadline, so there is one.
                self._tell(SessionExpiredEvent(session_id=str(self.session_id)))
                self._clear_session()
            case _:
                silence = self._input(SILENCE, self._stream_config())
                self._recognized(silence, final=True, reason="silence")

    def _transport_gone(self, end: Close) -> None:
        if self._running is not None:
            self._close_turn(self._running, "lost")
        self._discard_output()
        self._advance("lost")
        self._finish(end.code, end.reason)

    def _shut(self, code: int, reason: str, why: str) -> None:
        if self._running is not None:
            self._close_turn(self._running, why)
        self._advance("close")
        self._put(Close(int(code), reason))
        self._finish(code, reason)

    # -------------------------------------------------------- turns and sessions

    def _telling(self, event: Event, handle: object) -> None:  # noqa: ARG002
        if isinstance(handle, Turn):
            self._turn = handle
        else:
            assert isinstance(handle, AudioStream)
            self._stream = handle

    def _sending(self, turn: object) -> None:
        assert isinstance(turn, Turn)
        turn._seen = True

    def _new_turn(self, said: Input | None, request: Request | None) -> Turn:
        self._turns += 1
        turn = Turn(self, self._turns, said, request, self.session, self._init)
        if self.session is not None:
            self._wake(self.session)
        self._running = turn
        return turn

    def _wake(self, session: Session) -> None:
        """A turn of the session begins."""
        session.turns += 1
        session.asleep = False

    def _new_stream(self) -> AudioStream:
        phrases = () if self.session is None else self.session.expected_phrases
        self._listening = AudioStream(self, self._stream_config(), phrases)
        return self._listening

    def _retire(self, turn: Turn) -> None:
        turn.over = True
        turn._items.clear()
        self._running = None

    def _close_turn(self, turn: Turn, reason: str) -> None:
        """End a turn without an answer: what waits for it is withdrawn, its host is told."""
        self._withdraw(turn)
        self._retire(turn)
        self._tell(TurnInterruptedEvent(number=turn.number, reason=reason))

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:
        """*cut* of socket-v1.md (D-37); whether it put out a Response.

        A turn that the client knows nothing of gets none: the client would count it as the answer to an input
        that is on its way.
        """
        turn = self._running
        if turn is None:
            return False
        self._close_turn(turn, reason)
        known = turn.input is not None or turn._seen
        if known:
            self._put_last(self._encode(ResponseEvent(response=self._outgoing(response))))
        return known

    def _put_last(self, message: Message) -> None:
        """Put out what ends a turn."""
        self._put(message)

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:
        """An Error: it closes the turn, the session and the stream (D-11, D-54)."""
        if self._running is not None:
            self._close_turn(self._running, reason)
        self._put_last(self._encode(error))
        self._clear_session()
        self._advance(what)

    def _begin_session(self) -> None:
        """*begin* of socket-v1.md: the id in force, else the one proposed, else a new one (D-04)."""
        if self.session is not None:
            return
        session_id = self._proposed or self._make_id()
        self._proposed = None
        self.session = Session(session_id=session_id, key=self._init.key, device_id=self._init.device_id)
        self._announcement = self._write(SessionStartEvent(session_id=session_id))
        if self._running is not None:
            self._running._session = self.session
            self._wake(self.session)

    def _check_session_id(self, session_id: str) -> None:
        if not well_formed(session_id):
            raise LocalProtocolError(
                f"{session_id!r} is no session id", legal=("1 to 64 letters, digits, _ and -",)
            )

    def _adopt(self, proposed: str) -> None:
        """A Request names its session: another than the one in force begins anew (D-04, D-58, D-80)."""
        if not well_formed(proposed):
            if self._malformed is None or self._malformed[0] != proposed:
                self._malformed = (proposed, self._make_id())
            proposed = self._malformed[1]
        if proposed != self.session_id:
            if self.session is not None:
                self._clear_session()
            self._proposed = proposed

    def _clear_session(self) -> None:
        """The session is over, if there is one."""
        if self.session is not None:
            self.session.end()
        self.session = self._announcement = self._proposed = None

    def _outgoing(self, response: Response, **changes: Any) -> Response:
        """A Response as it goes out: clients go wrong without its locale (D-07, D-62)."""
        if response.locale is None:
            changes["locale"] = self._spoken_locale()
        return response.replace(**changes) if changes else response

    def _spoken_locale(self) -> str:
        named = None if self.session is None else self.session.locale
        return named or self._config().locale

    def _config(self) -> ClientConfig:
        return self._init.config

    def _stream_config(self) -> ClientConfig:
        config = self._config()
        named = None if self.session is None else self.session.stt_mode
        return config.replace(locale=self._spoken_locale(), stt_mode=named or config.stt_mode)

    def _input(self, text: str, config: ClientConfig) -> Input:
        return Input(locale=config.locale, zone_id=config.zone_id, transcript=Transcript(text=text))

    # -------------------------------------------------------- the tables

    def _advance(self, what: str) -> None:
        self._move(what)
        if self._audio is Audio.CLOSED and self._listening is not None:
            self._listening.over = True
            self._listening = None

    def _set_mode(self) -> None:
        """The mode of a stream is settled when it opens (D-62)."""
        duplex = self._stream_config().stt_mode is SttMode.DUPLEX
        self._follow(self.DUPLEX_RULES if duplex else self.RULES)


RESERVED = "alexa:"
"""How keys begin that are Alexa's: a host can rely on who has sent them."""


def check_names(key: str, device_id: str) -> None:
    """Refuse names that would be something else in a log.

    Raises:
        RemoteProtocolError: a control character stands in one.
    """
    for name, text in (("key", key), ("deviceId", device_id)):
        if unsafe(text):
            raise RemoteProtocolError("a control character stands in it", path=name)


def check_who(init: InitEvent) -> None:
    """Refuse the names of a client that is not Alexa's.

    Raises:
        RemoteProtocolError: the key is one that only Alexa may have, or a control character stands in a name.
    """
    if init.key.strip().lower().startswith(RESERVED):
        raise RemoteProtocolError(f"keys that begin with {RESERVED} are Alexa's", path="key")
    check_names(init.key, init.device_id)


def _merged(request: Request) -> Input:
    """The input of a Request, with its attributes: the Request's win (D-61)."""
    attributes = {**request.input.attributes, **request.attributes}
    if request.initiation_id is not None:
        attributes["initiationId"] = request.initiation_id
    return request.input.replace(attributes=attributes)

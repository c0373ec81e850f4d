"""The server end of one phone call: a Media Streams WebSocket (external.md, "Twilio's states")."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from flowstorm_channel.channel import Rules
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    DtmfEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    UnknownEvent,
    UnsentEvent,
)
from flowstorm_channel.server import EMPTY, AudioStream, ServerChannel, ServerOptions, Turn, check_who
from flowstorm_channel.sessions import well_formed
from flowstorm_channel.states import Audio, State
from flowstorm_channel.twilio.audio import SAMPLE_RATE, spoken
from flowstorm_channel.twilio.frames import (
    ClearFrame,
    ConnectedFrame,
    DtmfFrame,
    Frames,
    FromTwilio,
    Mark,
    MarkFrame,
    Media,
    MediaFormat,
    MediaFrame,
    Start,
    StartFrame,
)
from flowstorm_channel.twilio.signature import check_handshake, public_address, sign
from flowstorm_channel.twilio.states import TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES
from flowstorm_channel.values import (
    INTRO,
    AudioFileType,
    ClientConfig,
    Input,
    Request,
    Response,
    ResponseItem,
    SttEncoding,
    SttMode,
    TtsType,
)
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TwilioServer"]

DEFAULT_KEY = "flowstorm"
"""The application, when the stream's parameters name none."""
END_MARK = "Sleeping"
"""The mark behind the last words of a call."""
LONGEST_FRAME = SAMPLE_RATE
"""Bytes of a frame of audio: a second, so that what is said can be stopped."""
LONGEST_PLAYBACK = 600.0
"""Seconds of audio that Twilio keeps; it throws away what is more (warning 31931)."""
GRACE = 5.0
"""Seconds after the end of all audio for the last mark to come back (D-74)."""
_QUIET = (State.LISTENING, State.SLEEPING)
_TRACKS = (None, "inbound", "inbound_track")


class TwilioServer(ServerChannel):
    """The server end of a Twilio Media Streams WebSocket, begun with `<Connect><Stream>`: one phone call.

    The first thing it receives is the `RequestHead` of the handshake. Its answer is a `ResponseHead`: with
    status 101, or with 403 when Twilio has not signed the request, and then nothing follows.

    The host is told of the call by an `InitEvent`. Once it is `ready()`, the caller's audio comes as
    `BinaryEvent`, μ-law, until the session ends; the first input is ``#intro``. What the caller is to hear
    is said as bytes: text without audio is told as `UnsentEvent`.

    Args:
        auth_token: of the Twilio account, the secret of its signatures. None, and no `public_url`: nobody
            checks who calls.
        public_url: where the outside finds the root of this server, ``https://host/base``.
        shared_keys: the secrets of shared keys that requests may be signed with, by their ids.
        error_audio: what a caller hears when an error ends the call; as for `Turn.say`.
        silence_timeout: milliseconds after the end of playback until the input is ``#silence``; 0: never.
        kw: see `ServerChannel`.

    Raises:
        ValueError: the token or the address is missing or no good; the time is negative.
        LocalProtocolError: the audio is nothing that can be played.
    """

    RULES: ClassVar[Rules] = Rules(TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES)

    def __init__(
        self,
        *,
        auth_token: str | None,
        public_url: str | None,
        shared_keys: Mapping[str, str] | None = None,
        error_audio: bytes | None = None,
        silence_timeout: int = 5000,
        **kw: Unpack[ServerOptions],
    ) -> None:
        super().__init__(**kw)
        if silence_timeout < 0:
            raise ValueError(f"silence_timeout must not be negative: {silence_timeout}")
        self.start: Start | None = None
        """What Twilio says of the call, once it has begun."""
        self._check = _signature_check(auth_token, public_url, shared_keys)
        self._error_audio = b"" if error_audio is None else spoken(error_audio)
        self._silence_timeout = silence_timeout
        self._frames = Frames(self.limits)
        self._protocol_version = "1.0.0"
        self._stream_sid: str | None = None
        self._playback = Playback(lambda: self._clock())
        self._awaited: str | None = None  # the mark behind all that was said
        self._unheard: ResponseItem | None = None  # an item whose audio has not come
        self._dozing = False  # a turn that nobody has heard of yet has woken the session

    # -------------------------------------------------------- the host's words

    def ready(self) -> None:
        super().ready()
        self._begin_session()
        self._tell(InputAudioStreamOpenEvent(), self._new_stream())
        said = self._input(INTRO, self._stream_config())
        assert self.start is not None
        initiation_id = self.start.parameter("initiationId")
        if initiation_id is not None:
            said = said.replace(attributes={**said.attributes, "initiationId": initiation_id})
        self._tell(InputEvent(input=said), self._new_turn(said, None))
        self._notify()

    def begin(self) -> Turn:
        if self._ending:
            raise self._illegal("begin() after the end of the session")
        dozes = self._asleep
        turn = super().begin()
        self._dozing = dozes
        return turn

    def rename_session(self, session_id: str) -> None:
        """Give the session another id than that of the call; Twilio does not hear of it.

        Args:
            session_id: well-formed.

        Raises:
            LocalProtocolError: the id is not well-formed, or there is no session.
        """
        self._check_session_id(session_id)
        if self.session is None:
            raise LocalProtocolError("there is no session", legal=("ready()",))
        self.session.session_id = session_id

    # -------------------------------------------------------- the transport

    def _read(self, message: Message) -> None:
        if isinstance(message, RequestHead):
            self._open(message)
        elif isinstance(message, str):
            try:
                frame = self._frames.read(message)
            except RemoteProtocolError as error:
                self._fault(error)
            else:
                self._receive(frame)
        else:
            self._fault(RemoteProtocolError("a binary message; all frames of Twilio are text"))

    def _open(self, head: RequestHead) -> None:
        try:
            self._check(head)
        except RemoteProtocolError as error:
            self._put(ResponseHead(status=403))
            self._tell(FaultEvent(error=error))
            self._finish(CloseCode.NO_INIT, "the handshake was refused")
        else:
            self._advance("opened")
            self._put(ResponseHead(status=101))

    def _encode(self, event: Event) -> Message:  # noqa: ARG002
        """Only a Response is said by a message of its own: the mark of the turn that runs."""
        return self._frames.write(self._marked(self._turn_mark))

    # -------------------------------------------------------- what Twilio sends

    def _receive(self, frame: FromTwilio | UnknownEvent) -> None:
        match frame:
            case UnknownEvent():
                self._advance("< Unknown")
                self._tell(frame)
            case ConnectedFrame():
                if self._admit("< connected"):
                    self._advance("< connected")
                    self._protocol_version = frame.version or self._protocol_version
            case StartFrame():
                if self._admit("< start"):
                    self._on_start(frame)
            case _ if self._stream_sid is not None and frame.stream_sid not in (None, self._stream_sid):
                self.dropped += 1
            case MediaFrame():
                self._on_media(frame.media)
            case DtmfFrame():
                self._advance("< dtmf")
                if self._state is not State.OPEN:
                    self._tell(DtmfEvent(digit=frame.dtmf.digit, track=frame.dtmf.track or ""))
            case MarkFrame():
                self._on_mark(frame.mark.name)
            case _:
                self._advance("< stop")
                self._discard_output()
                self._shut(CloseCode.NORMAL, "the call has ended", "session ended")

    def _on_start(self, frame: StartFrame) -> None:
        start = frame.start
        stream_sid = frame.stream_sid or start.stream_sid
        if not stream_sid:
            self._fault(RemoteProtocolError("is missing", path="streamSid"))
            return
        self._stream_sid = stream_sid
        self._advance("< start")
        try:
            if not _is_mulaw(start.media_format):
                raise RemoteProtocolError("is not μ-law of 8000 Hz, mono", path="start.mediaFormat")
            init = self._introduction(start)
            check_who(init)
        except RemoteProtocolError as error:
            self._fault(error)
            self._break("> Error", "error", ErrorEvent(text=str(error)))
            return
        self.start = start
        if start.call_sid is not None and well_formed(start.call_sid):
            self._proposed = start.call_sid
        self._question = init
        self._tell(init)

    def _introduction(self, start: Start) -> InitEvent:
        """The Init of a call, as a client would have sent it."""
        return InitEvent(
            key=start.parameter("appKey") or DEFAULT_KEY,
            device_id=start.parameter("deviceId", "sender") or "anonymous",
            token=start.parameter("token"),
            config=ClientConfig(
                locale=start.parameter("locale") or "en",
                stt_mode=SttMode.DUPLEX,
                stt_sample_rate=SAMPLE_RATE,
                tts=TtsType.REQUIRED_STREAMING,
                tts_file_type=AudioFileType.MULAW,
                silence_timeout=self._silence_timeout,
                send_response_items=True,
            ),
        )

    def _on_media(self, media: Media) -> None:
        self._advance("< media")
        if media.track in _TRACKS:
            self._on_binary(BinaryEvent(data=media.payload))
        else:
            self.dropped += 1

    def _on_mark(self, name: str) -> None:
        if name != self._awaited:
            self._advance("< mark stale")
            return
        self._awaited = None
        if name == END_MARK:
            self._advance("< mark Sleeping")
            self._shut(CloseCode.NORMAL, "the conversation is over", "closed")
        else:
            self._advance("< mark asleep" if self._asleep else "< mark")

    def _fault(self, error: RemoteProtocolError) -> None:
        """A call does not die of one bad frame."""
        self._advance("< fault")
        self._tell(FaultEvent(error=error))

    # -------------------------------------------------------- what the host says

    def _check_room(self) -> None:
        """What is recognised may always be told: it empties the outbox."""

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if isinstance(event, BinaryEvent):
            super()._check_room()
            event = event.replace(data=spoken(event.data))
        super()._respond(turn, event)

    def _fail(self, turn: Turn, text: str) -> None:
        """The caller hears that something went wrong, if the host has audio for that."""
        if self._error_audio and not turn.over:
            self._tell_unheard()
            # However much waits to be sent: it must be possible to end a turn.
            super()._respond(turn, BinaryEvent(data=self._error_audio))
            turn.finish(session_ended=True)
        else:
            super()._fail(turn, text)

    def _write(self, event: Event, turn: object = None) -> None:  # noqa: ARG002
        """Put out what a caller can hear; for all the rest there are no frames."""
        match event:
            case ResponseItemEvent():
                if event.response_item.playable:
                    self._tell_unheard()
                    self._unheard = event.response_item
            case BinaryEvent():
                self._unheard = None
                self._dozing = False
                self._play(event.data)
            case SessionEndEvent():
                self._put_mark(END_MARK)

    def _play(self, data: bytes) -> None:
        room = int((LONGEST_PLAYBACK - self._playback.left) * SAMPLE_RATE)
        if len(data) > room:
            reason = f"{len(data)} bytes, and there is room for {room} in the 10 minutes that Twilio keeps"
            self._tell(UnsentEvent(number=self._turns, part="audio", reason=reason))
        self._awaited = None
        for start in range(0, min(len(data), room), LONGEST_FRAME):
            piece = data[start : min(start + LONGEST_FRAME, room)]
            frame = MediaFrame(stream_sid=self._stream_sid, media=Media(payload=piece))
            self._queue(self._frames.write(frame), len(piece))

    def _tell_unheard(self) -> None:
        """An item had no audio (D-75)."""
        item, self._unheard = self._unheard, None
        if item is not None:
            parts = {
                "text": item.text or item.ssml,
                "audio": item.audio,
                "video": item.video,
                "image": item.image,
            }
            part = next(name for name, there in parts.items() if there)
            reason = "a caller hears what is said as bytes, and none have come with the item"
            self._tell(UnsentEvent(number=self._turns, part=part, reason=reason))

    def _put_last(self, message: Message) -> None:
        self._tell_unheard()
        self._awaited = self._turn_mark
        self._queue(message)

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response)
        self._dozing = False
        if self.session is None:
            self._advance("> SessionEnded")
            return
        stream, config = self._listening, self._stream_config()
        assert stream is not None
        stream.expected_phrases = self.session.expected_phrases
        stream.over = stream.over or stream.config != config
        if stream.over and config.stt_mode is SttMode.DUPLEX:
            self._reopen()

    @property
    def _turn_mark(self) -> str:
        """The mark of the turn that runs."""
        return f"turn-{self._turns}"

    def _put_mark(self, name: str) -> None:
        self._awaited = name
        self._queue(self._frames.write(self._marked(name)))

    def _marked(self, name: str) -> MarkFrame:
        return MarkFrame(stream_sid=self._stream_sid, mark=Mark(name=name))

    def _queue(self, message: Message, size: int = 0) -> None:
        """Put out a part of what the caller hears; a clear withdraws it as long as it waits."""
        self._playback.queue(size)
        self._put(message, self._playback)

    def _sending(self, turn: object) -> None:
        if turn is self._playback:
            self._playback.taken()
            if "playback" in self._due:
                self._arm("playback")

    # -------------------------------------------------------- interruptions

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        super()._recognized(heard, final=final, reason=reason)
        if final and self._stream_config().stt_mode is not SttMode.DUPLEX and self._listening is not None:
            self._listening.over = True

    def _barge_in(self, reason: str) -> None:
        if self._running is not None or self._state is State.RESPONDING:
            self._interrupt(reason)

    def _interrupt(self, reason: str) -> None:
        asleep = self._asleep
        self._cut(reason)
        if asleep and self.session is not None:
            self.session.asleep = True
        self._advance("interrupt asleep" if asleep else "interrupt")
        self._notify()

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:  # noqa: ARG002
        """What is being said, or is still playing, stops at once: marks sent before do not count (D-74)."""
        running = self._running
        if running is not None:
            self._close_turn(running, reason)
        self._withdraw(self._playback)
        self._playback.forget()
        self._awaited = self._unheard = None
        self._queue(self._frames.write(ClearFrame(stream_sid=self._stream_sid)))
        return running is not None

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:
        """An Error: the caller hears of it, and the call ends (D-75). Before Ready it ends at once."""
        if self._state is State.OPEN:
            self._advance(what)
            self._shut(CloseCode.NORMAL, error.text, reason)
        elif not self._ending:
            self._cut(reason)
            self._play(self._error_audio)
            self._put_mark(END_MARK)
            self._clear_session()
            self._advance(what)

    def _new_turn(self, said: Input | None, request: Request | None) -> Turn:
        self._dozing = False
        return super()._new_turn(said, request)

    def _new_stream(self) -> AudioStream:
        stream = super()._new_stream()
        stream.encoding = SttEncoding.MULAW
        return stream

    def _reopen(self) -> None:
        """Have the recogniser begun anew, with what holds for the stream from now on (D-62)."""
        self._tell(InputAudioStreamOpenEvent(), self._new_stream())

    def _advance(self, what: str) -> None:
        super()._advance(what)
        # Other modes than Duplex have a stream for each utterance, and none while the answer plays.
        if self._state in _QUIET and self._listening is not None and self._listening.over:
            self._reopen()

    # -------------------------------------------------------- time and ends

    @property
    def _ending(self) -> bool:
        """Whether only last words are still to be played."""
        return self._state is State.RESPONDING and self._audio is Audio.CLOSED

    @property
    def _asleep(self) -> bool:
        return self._dozing or (self.session is not None and self.session.asleep)

    def _limit(self, name: str) -> float | None:
        match name:
            case "sleep":
                return None if self._running is not None else self._sleep_timeout
            case "playback":
                return self._playback.left + GRACE
            case _:
                return super()._limit(name)

    def _timed_out(self, name: str) -> None:
        match name:
            case "sleep":
                self._tell(SessionExpiredEvent(session_id=str(self.session_id)))
                self._clear_session()
                self._shut(CloseCode.NORMAL, "the session has slept for too long", "closed")
            case "playback":
                self._shut(CloseCode.NORMAL, "the last mark has not come back", "closed")
            case _:
                super()._timed_out(name)

    def _transport_gone(self, end: Close) -> None:
        self._end_call("lost")
        super()._transport_gone(end)

    def _shut(self, code: int, reason: str, why: str) -> None:
        self._end_call(why)
        super()._shut(code, reason, why)

    def _end_call(self, why: str) -> None:
        """The session ends with the call: its host is told."""
        if self._running is not None:
            self._close_turn(self._running, why)
        if self.session is not None:
            self._clear_session()
            self._tell(SessionEndEvent())

    def _input(self, text: str, config: ClientConfig) -> Input:
        attributes = {"clientType": f"call:{self._protocol_version}"}
        return super()._input(text, config).replace(attributes=attributes)


class Playback:
    """What the caller has still to hear, as far as a server can tell.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[int] = deque()
        self._waiting_bytes = 0
        self._until = float("-inf")

    @property
    def left(self) -> float:
        """Seconds until all of it could have been played."""
        return max(0.0, self._until - self._clock()) + self._waiting_bytes / SAMPLE_RATE

    def queue(self, size: int) -> None:
        """A frame waits to be sent.

        Args:
            size: bytes of audio in it.
        """
        self._waiting.append(size)
        self._waiting_bytes += size

    def taken(self) -> None:
        """The frame that has waited longest is on its way."""
        size = self._waiting.popleft()
        self._waiting_bytes -= size
        self._until = max(self._until, self._clock()) + size / SAMPLE_RATE

    def forget(self) -> None:
        """All of it is cleared."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._until = float("-inf")


def _is_mulaw(form: MediaFormat) -> bool:
    return form.replace(encoding=form.encoding.lower()) == MediaFormat()


def _signature_check(
    auth_token: str | None, public_url: str | None, shared_keys: Mapping[str, str] | None
) -> Callable[[RequestHead], None]:
    """What raises RemoteProtocolError for a handshake that is not Twilio's."""
    if auth_token is None and public_url is None:
        return lambda _: None
    if auth_token is None or public_url is None:
        raise ValueError("signatures are checked with auth_token and public_url: both are needed, or neither")
    token, root = auth_token, public_url

    def check(head: RequestHead) -> None:
        check_handshake(token, head, public_address(root, head, "wss"), shared_keys=shared_keys)

    # What is wrong with the host's own words is told to the host, now.
    sign(token, public_address(root, RequestHead(url="/"), "wss"))
    return check

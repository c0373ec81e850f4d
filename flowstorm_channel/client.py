"""One core for all clients: the words of a person, turns, playback (socket-v1.md, "V1 client").

Nothing on the wire tells late items of an interrupted turn from the items of the next one. So the client
counts: each input gets exactly one Response or Error, in order (D-35).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from flowstorm_channel.channel import Channel, ChannelOptions, Exchange, Rules
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ConnectionFailedEvent,
    ConnectionLostEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    RecognizedEvent,
    RequestEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    SessionStartEvent,
    TurnInterruptedEvent,
    VoteEvent,
)
from flowstorm_channel.locales import Locale
from flowstorm_channel.states import (
    CLIENT,
    CLIENT_AUDIO,
    CLIENT_DEADLINES,
    CLIENT_DUPLEX,
    CLIENT_DUPLEX_AUDIO,
    Audio,
    State,
    trigger,
)
from flowstorm_channel.values import (
    INTRO,
    ClientConfig,
    ExpectedPhrase,
    Input,
    LogEntry,
    Response,
    SttMode,
    Transcript,
)
from flowstorm_channel.wire import CloseCode, Message

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ClientChannel", "ClientOptions", "ClientTurn"]

DEFAULT_CONFIG = ClientConfig(send_response_items=True, stt_interim_results=True)
_PLAYING = (State.RESPONDING, State.PAUSED)
_AUDIO_OPEN = Audio.OPEN  # see channel


class _Names(ChannelOptions):
    key: str
    device_id: str


class ClientOptions(_Names, total=False):
    """What every client takes; see `ClientChannel`."""

    token: str | None
    config: ClientConfig
    attributes: Mapping[str, Any] | None
    session_id: str | None
    auto_start: bool
    auto_microphone: bool
    pause_on_interrupt: bool


class ClientTurn:
    """One input and its answer, or an answer that the server began by itself.

    Its words race with the server and so never raise: when they come too late they do nothing.
    """

    __slots__ = ("_channel", "_stale", "_typed", "number", "over", "turn_id")

    def __init__(self, channel: ClientChannel, number: int, *, typed: bool) -> None:
        self._channel = channel
        self._typed = typed
        self._stale = False
        self.number = number
        """Counts the turns of this channel from 1; for logs and recordings."""
        self.over = False
        """Whether nothing of it is, or will be, played any more."""
        self.turn_id: str | None = None
        """From the Response; for votes."""

    def __repr__(self) -> str:
        return f"<ClientTurn {self.number}{' over' if self.over else ''}>"

    def finish_playback(self) -> None:
        """Everything that was received of it so far has been played (D-40)."""
        self._channel._played(self)

    def interrupt(self) -> None:
        """The user touched the screen or said the wake word (D-41).

        While the answer is awaited, the wait is given up. While it plays, the rest is not played; with
        ``pause_on_interrupt`` it is paused instead. Later it does nothing.
        """
        if self is self._channel._turn and not self.over:
            self._channel.interrupt()


class ClientChannel(Channel):
    """The client end of a channel.

    Args:
        url: of the server.
        key: of the application.
        device_id: of the device.
        token: of the user, when the server wants one.
        config: what the client wants and can do.
        attributes: go with every input; see `ClientAttributes`.
        session_id: of a session to go on with, from an earlier connection.
        auto_start: say ``#intro`` as soon as the server is ready, unless a session goes on (D-56).
        auto_microphone: ask for the microphone on every entry into Listening, in Duplex into Responding too.
        pause_on_interrupt: `ClientTurn.interrupt` pauses what plays.
        kw: see `Channel`.
    """

    RULES: ClassVar[Rules] = Rules(CLIENT, CLIENT_AUDIO, CLIENT_DEADLINES)
    FIRST: ClassVar[tuple[str, ...]] = ("open()", "close()")
    DUPLEX_RULES: ClassVar[Rules] = Rules(CLIENT_DUPLEX, CLIENT_DUPLEX_AUDIO, CLIENT_DEADLINES)

    def __init__(
        self,
        url: str,
        *,
        key: str,
        device_id: str,
        token: str | None = None,
        config: ClientConfig = DEFAULT_CONFIG,
        attributes: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        auto_start: bool = False,
        auto_microphone: bool = False,
        pause_on_interrupt: bool = False,
        **kw: Unpack[ChannelOptions],
    ) -> None:
        super().__init__(**kw)
        self.url = url
        self.init = InitEvent(key=key, device_id=device_id, token=token, config=config)
        """What the server is told of this client."""
        self.attributes: Mapping[str, Any] = dict(attributes or {})
        """Go with every input that `say` sends."""
        self.session_id = session_id
        """Of the session the client believes in."""
        self._turn: ClientTurn | None = None
        self.auto_start = auto_start
        self.auto_microphone = auto_microphone
        self.pause_on_interrupt = pause_on_interrupt
        self._turns = 0
        self._open: deque[ClientTurn] = deque()
        self._unplayed: set[ClientTurn] = set()
        self._ends = False
        self._sleeps = False
        self._end_known = False
        self._confirmed = False
        self._inits = 0
        self._unanswered = 0
        self._doubtful = False
        self._closed_silently = False
        self._echoes = 0
        self._said_since = False
        self._outage_told = False
        self.expected_phrases: tuple[ExpectedPhrase, ...] = ()
        """Hints for recognition on the client, from the last Response (D-62)."""
        self._next_init: InitEvent | None = None
        self._agreed = config
        self._locale = config.locale
        self._stt_mode = config.stt_mode
        self._sleep_timeout = 0
        self._settle_mode()

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What is to be carried over transports now, each over one of its own.

        On V1 it is the channel itself, on V2 every request that is under way. What is no longer among them
        needs no transport any more.
        """
        return (self,)

    @property
    def turn(self) -> ClientTurn:
        """The turn that the last input began, or that the event told last belongs to.

        Raises:
            LocalProtocolError: there has been none yet.
        """
        if self._turn is None:
            raise LocalProtocolError("there has been no turn yet")
        return self._turn

    # -------------------------------------------------------- the words of a person

    @abstractmethod
    def open(self) -> None:
        """Connect. A `RequestHead` in the output asks the host for a transport.

        Raises:
            TooLateError: the channel was closed.
        """

    def start(self) -> ClientTurn:
        """Start the conversation: say ``#intro``. See `say`."""
        return self.say(INTRO)

    def say(self, text: str, *, attributes: Mapping[str, Any] | None = None) -> ClientTurn:
        """Send an input as text. What still plays, or is awaited, is interrupted by it.

        Args:
            text: what the user says or chooses; an action such as ``#intro``.
            attributes: of this input, beyond those of the channel.

        Returns:
            The turn it begins.

        Raises:
            LocalProtocolError: the client is not connected, or not Ready.
            TooLateError: the channel was closed.
        """
        self._check_not_closed()
        self._check_room()
        return self._say(self._spoken(text, attributes))

    def open_microphone(self) -> None:
        """Ask to send audio; `audio` is OPEN as soon as it may flow. Already asked or open, it does nothing.

        Raises:
            LocalProtocolError: it is not legal now: outside Duplex, only in Listening.
        """
        if self._audio is Audio.CLOSED:
            self.send(InputAudioStreamOpenEvent(session_id=self._unconfirmed_session()))

    def send_audio(self, block: bytes) -> bool:
        """Send a block of audio in the form that the configuration names. Never raises.

        Args:
            block: of any size; an empty one is nothing.

        Returns:
            Whether it goes out. It is dropped, and counted in `dropped`, when nobody listens (D-43) or when
            more than `Limits.queued_bytes` wait already.
        """
        listened = self._audio is _AUDIO_OPEN and self._allows("> Binary")
        if not block or not listened or self._outbox_bytes > self.limits.queued_bytes:
            self.dropped += bool(block)
            return False
        self._transmit_audio(block)
        self._notify()
        return True

    def close_microphone(self) -> None:
        """Stop sending audio: the server recognises no more of it. Closed already, it does nothing."""
        if self._audio is not Audio.CLOSED:
            self.send(InputAudioStreamCloseEvent())

    def log(self, *entries: LogEntry) -> None:
        """Have the server store log entries with the session.

        Raises:
            LocalProtocolError: the client is not Ready.
        """
        self.send(LogEvent(entries=entries))

    def vote(self, turn: ClientTurn, vote: int) -> None:
        """Tell the user's opinion of a turn.

        Args:
            turn: whose Response has come.
            vote: 1 for good, -1 for bad.

        Raises:
            LocalProtocolError: the client is not Ready.
        """
        self.send(VoteEvent(turn_id=turn.turn_id, vote=vote))

    def finish_playback(self) -> None:
        """The same as `ClientTurn.finish_playback` of the turn in question. Never raises."""
        if self._turn is not None:
            self._turn.finish_playback()

    def interrupt(self) -> None:
        """The same as `ClientTurn.interrupt` of the turn in question. Never raises."""
        if self.pause_on_interrupt and self._allows("interrupt pausing"):
            self._advance("interrupt pausing")
        elif self._allows("interrupt"):
            self._drop_turns("host")
            self._advance(self._qualified("interrupt"))
            self._notify()

    def pause(self) -> None:
        """Hold playback: Responding goes to Paused. Elsewhere it does nothing."""
        if self._allows("pause"):
            self._advance("pause")

    def resume(self) -> None:
        """Go on with playback: Paused goes to Responding. Elsewhere it does nothing."""
        if self._allows("resume"):
            self._advance(self._qualified("resume"))
            self._notify()

    @abstractmethod
    def close(self) -> None:
        """End it all: the transport is closed, `ClosedEvent` told. A second time it does nothing."""

    # -------------------------------------------------------- for transports: hooks

    @abstractmethod
    def _give_up_transport(self, code: int, reason: str) -> None:
        """Close the transport; what is queued for it is void."""

    def _overrun(self, error: LimitExceeded) -> None:
        self._give_up_transport(CloseCode.TOO_BIG, str(error))
        self._lost(CloseCode.TOO_BIG, str(error))

    # -------------------------------------------------------- what the server does

    def _take(self, event: Event) -> None:
        what = trigger("<", event)
        if not self._admit(what):
            return
        match event:
            case RecognizedEvent():
                if event.is_final:
                    self._on_final(event)
                else:
                    self._advance(what)
                    self._tell(event)
            case ResponseItemEvent():
                self._on_part(event, what, playable=event.response_item.playable)
            case BinaryEvent():
                if event.data:
                    self._on_part(event, what, playable=True)
            case ResponseEvent():
                self._on_response(event.response)
            case InputAudioStreamOpenEvent():
                self._on_acknowledgement(event, what)
            case ReadyEvent():
                self._on_ready(event, what)
            case SessionStartEvent():
                self._on_session_start(event, what)
            case SessionEndEvent():
                self._on_session_end(event)
            case ErrorEvent():
                self._on_error(event, what)
            case _:
                self._advance(what)
                self._tell(event)

    def _on_part(self, event: Event, what: str, *, playable: bool) -> None:
        if self._state is State.OPEN:
            self.dropped += 1
            return
        if self._open and self._open[0]._stale:
            self.dropped += 1
            self._advance(f"{what} stale")
            return
        turn = self._open[0] if self._open else self._open_turn(typed=False)
        if playable:
            self._unplayed.add(turn)
        self._advance(what)
        self._tell(event, turn)

    def _on_response(self, response: Response) -> None:
        turn = self._open[0] if self._open else self._open_turn(typed=False)
        self._open.popleft()
        turn.turn_id = response.turn_id
        self._sleeps = response.sleep_timeout > 0
        self._ends = response.session_ended and not self._sleeps  # D-51
        if response.locale is not None and not Locale(response.locale).malformed:
            self._locale = response.locale
        if response.stt_mode is not None:
            self._stt_mode = response.stt_mode
        self.expected_phrases = response.expected_phrases
        if self._ends:
            self._forget_session(ends=True)
        if turn._stale:
            self._advance(self._qualified("< Response stale"))
            response = response.replace(items=())
        else:
            if any(item.playable for item in response.items):
                self._unplayed.add(turn)
            turn.over = turn not in self._unplayed
            self._advance(self._qualified("< Response"))
        if any(turn._typed for turn in self._open):
            self._sleeps = False  # an input that has gone out already wakes the session (D-50)
        elif self._sleeps:
            self._sleep_timeout = response.sleep_timeout
            self._start("sleeps")
        self._open_anew()
        self._tell(ResponseEvent(response=response), turn)

    def _on_final(self, event: RecognizedEvent) -> None:
        older = self._audio is not Audio.OPEN and not self._duplex
        if older and any(turn._typed for turn in self._open):
            # It was said before our input, and is answered before it.
            turn = self._open_turn(typed=False, oldest=True)
            turn._stale = turn.over = True
            self._advance("< Recognized final stale")
            self._tell(event)
            return
        self._drop_turns("recognized")
        turn = self._open_turn(typed=False)
        self._advance("< Recognized final")
        self._tell(event, turn)

    def _on_session_end(self, event: SessionEndEvent) -> None:
        echo = self._echoes > 0
        self._echoes = max(0, self._echoes - 1)
        if echo and (self._said_since or self._end_known):
            # The echo of our own, and no news: it ends nothing but the stream. What was said after our
            # SessionEnded begins another session.
            if not self._end_known:
                self._drop_session()
                self._end_known = True
            self._advance("< SessionEnded echoed")
        elif self._end_known:
            self._advance("< SessionEnded known")
        else:
            self._forget_session(ends=True)
            if self._state in _PLAYING:
                # What has come may be played to its end; only nothing more will come.
                for turn in self._open:
                    turn.over = turn not in self._unplayed
                self._open.clear()
            else:
                self._forget_turns("session ended")
            self._advance(self._qualified("< SessionEnded"))
        self._tell(event)

    def _on_ready(self, event: ReadyEvent, what: str) -> None:
        self._outage_told = False
        first = self._state is State.OPEN
        if not first and self._inits > 0:
            # The answer to a repeated Init: the server's settings are those that it names.
            self._inits -= 1
            self.init, self._next_init = self._next_init or self.init, None
            self._agreed = self.init.config
            self._reset_settings()
            self._open_anew()
        self._advance(what)
        self._tell(event)
        if first and self.auto_start and self.session_id is None:
            self._say(self._spoken(INTRO))

    def _on_session_start(self, event: SessionStartEvent, what: str) -> None:
        self.session_id = event.session_id
        self._confirmed = True
        self._end_known = self._ends = self._sleeps = False
        self._reset_settings()
        self._open_anew()
        self._advance(what)
        self._tell(event)

    def _on_error(self, event: ErrorEvent, what: str) -> None:
        refused = self._state is State.OPEN
        if refused:
            self._give_up_transport(CloseCode.NORMAL, "refused")
        else:
            self._forget_session()
            self._forget_turns("error")
        self._advance(what)
        self._tell(event)
        if refused:
            self._tell(ConnectionFailedEvent(reason=event.text))

    def _on_acknowledgement(self, event: InputAudioStreamOpenEvent, what: str) -> None:
        before = self._audio
        # It may be that of an opening which we closed before it was acknowledged: nothing on the wire tells.
        self._doubtful = self._unanswered > 0
        self._unanswered = max(0, self._unanswered - 1)
        self._advance(what)
        if self._audio is not before:
            self._tell(event)
        elif self._audio is Audio.CLOSED and self._closed_silently:
            # Our request crossed what closed our stream, and has opened the server's after that.
            self._write(InputAudioStreamCloseEvent())

    def _fault(self, error: RemoteProtocolError) -> None:
        # A client answers nothing (D-59).
        self._tell(FaultEvent(error=error))

    # -------------------------------------------------------- what the host does

    def _send(self, event: Event) -> None:
        self._check_room()
        if isinstance(event, (InputEvent, RequestEvent)):
            self._say(event)
            return
        if isinstance(event, BinaryEvent) and event.data:
            self.send_audio(event.data)
            return
        what = trigger(">", event)
        if not self._allows(what):
            raise self._illegal(what[2:])
        if isinstance(event, InputAudioStreamOpenEvent) and self._audio is not Audio.CLOSED:
            raise self._illegal(f"InputAudioStreamOpen, with the stream {self._audio.value} already,")
        message = self._encode(event)
        if isinstance(event, InitEvent):
            self._next_init = event
            self._inits += 1
        elif isinstance(event, SessionEndEvent):
            self._echoes += 1
            self._said_since = False
        self._advance(what)
        self._transmit(event, message)

    def _transmit(self, event: Event, message: Message) -> None:  # noqa: ARG002
        """Put out an event of the host's; where it goes may depend on what it is."""
        self._put(message)

    def _transmit_audio(self, block: bytes) -> None:
        """Put out a block of the user's audio."""
        self._write(BinaryEvent(data=block))

    def _spoken(self, text: str, attributes: Mapping[str, Any] | None = None) -> InputEvent:
        said = Input(
            locale=self._locale,
            zone_id=self.init.config.zone_id,
            transcript=Transcript(text=text),
            attributes={**self.attributes, **(attributes or {})},
        )
        return InputEvent(input=said)

    def _say(self, event: InputEvent | RequestEvent) -> ClientTurn:
        what = trigger(">", event)
        if not self._allows(what):
            raise self._illegal(what[2:])
        message = self._encode(event)
        self._drop_turns("input")
        self._ends = self._sleeps = False
        self._said_since = True
        turn = self._turn = self._open_turn(typed=True)
        self._advance(what)
        self._transmit(event, message)
        self._notify()
        return turn

    def _played(self, turn: ClientTurn) -> None:
        for each in [each for each in self._unplayed if each.number <= turn.number]:
            self._unplayed.discard(each)
            each.over = each not in self._open
        if turn not in self._open:
            turn.over = True
        if self._allows("played"):
            self._advance(self._qualified("played"))
            self._notify()

    # -------------------------------------------------------- time

    def _limit(self, name: str) -> float | None:
        if name == "sleep":
            return self._sleep_timeout
        if name == "lost" and self._outage_told:
            return None
        limit: float | None = getattr(self.timeouts, name)
        return limit

    def _timed_out(self, name: str) -> None:
        match name:
            case "reconnect":
                self.open()
            case "lost":
                self._outage_told = True
                self._tell(ConnectionLostEvent())
            case "idle":
                reason = "nothing heard for too long"
                self._give_up_transport(CloseCode.GOING_AWAY, reason)
                self._lost(CloseCode.ABNORMAL, reason)
            case "sleep":
                expired = self.session_id
                self._drop_session()
                self._open_anew()
                if expired is not None:
                    self._tell(SessionExpiredEvent(session_id=expired))
            case "answer":
                self._forget_turns("unanswered")
            case _:
                self._write(BinaryEvent(data=b""))
                self._start("kept alive")

    def _lost(self, code: int, reason: str) -> None:
        """No transport, or none any more: Failed. What was playing may finish (D-56)."""
        for turn in self._open:
            if turn not in self._unplayed and not turn.over:
                turn.over = True
                self._tell(TurnInterruptedEvent(number=turn.number, reason="lost"))
        self._open.clear()
        self._advance("lost")
        self._tell(ConnectionFailedEvent(code=int(code), reason=reason))

    # -------------------------------------------------------- the session

    def _forget_session(self, *, ends: bool = False) -> None:
        """There is no session any more; whether its end is what the server said."""
        self._drop_session()
        self._ends = ends
        self._sleeps = False
        self._end_known = self._end_known or ends

    def _drop_session(self) -> None:
        self.session_id = None
        self._reset_settings()

    def _reset_settings(self) -> None:
        """What Responses set holds for their session; a new one begins as Init said, at both ends (D-62)."""
        self._locale = self._agreed.locale
        self._stt_mode = self._agreed.stt_mode
        self.expected_phrases = ()
        self._settle_mode()

    def _introduction(self) -> InitEvent:
        """The Init for a new connection.

        A session that goes on keeps the language and mode that its Responses set: the server of the new
        connection cannot know them otherwise.
        """
        self._next_init = None
        self._inits = self._echoes = self._unanswered = 0
        self._closed_silently = False
        init = self.init
        if self.session_id is not None:
            init = init.replace(config=init.config.replace(locale=self._locale, stt_mode=self._stt_mode))
        self._agreed = init.config
        return init

    # -------------------------------------------------------- turns

    def _telling(self, event: Event, handle: object) -> None:  # noqa: ARG002
        if isinstance(handle, ClientTurn) and not handle._stale:
            self._turn = handle

    def _open_turn(self, *, typed: bool, oldest: bool = False) -> ClientTurn:
        self._turns += 1
        turn = ClientTurn(self, self._turns, typed=typed)
        if oldest:
            self._open.appendleft(turn)
        else:
            self._open.append(turn)
        return turn

    def _drop_turns(self, reason: str) -> None:
        """Nothing of what was asked for or plays is wanted any more; what is open becomes stale (D-35)."""
        for turn in sorted({*self._open, *self._unplayed}, key=lambda turn: turn.number):
            if not turn.over:
                turn.over = True
                self._tell(TurnInterruptedEvent(number=turn.number, reason=reason))
        for turn in self._open:
            turn._stale = True
        self._unplayed.clear()

    def _forget_turns(self, reason: str) -> None:
        """No answer is to be expected any more."""
        self._drop_turns(reason)
        self._open.clear()

    # -------------------------------------------------------- the tables

    def _qualified(self, what: str) -> str:
        """The trigger with what this end knows: is nothing left to play, does the session go on?"""
        if not self._unplayed and not self._open:
            what = f"{what} idle" if self._allows(f"{what} idle") else what
        if (self._ends or self._sleeps) and self._allows(f"{what} end"):
            return f"{what} end"
        return what

    def _move(self, trigger: str) -> None:
        before = self._audio
        super()._move(trigger)
        if before is Audio.ASKED and self._audio is Audio.CLOSED:
            self._unanswered += 1

    def _advance(self, what: str) -> None:
        """Go where the tables say, and do what socket-v1.md puts in brackets."""
        if self._plans[what].rests:
            self._settle_mode()
            return
        before, heard = self._state, self._audio
        duplex = self._duplex
        if (
            before is State.LISTENING
            and heard is not Audio.CLOSED
            and not duplex
            and self._plans[what].state in (State.PROCESSING, State.RESPONDING)
        ):
            self._close_stream()
            heard = Audio.CLOSED
        self._move(what)
        if heard is not Audio.CLOSED and self._audio is Audio.CLOSED:
            # What the server says closes its stream too. A stream that is closed by what the host does was
            # opened after the session's end or sleep was known, and the server has to be told.
            own = what.startswith(("played", "resume", "interrupt"))
            told = own or (duplex and self._sleeps and what.startswith("< Response"))
            self._closed_silently = not told and not what.startswith(">")
            if told:
                self._write(InputAudioStreamCloseEvent())
        self._settle_mode()
        if self._state is not before and (
            self._state is State.LISTENING or (self._state is State.RESPONDING and self._duplex)
        ):
            self._open_automatically()

    def _unconfirmed_session(self) -> str | None:
        """The session id that is held, while the server of this transport has not named it itself (D-56)."""
        return None if self._confirmed else self.session_id

    def _open_automatically(self) -> None:
        ended = self._state is State.RESPONDING and (self._ends or self._sleeps)
        if self.auto_microphone and self._audio is Audio.CLOSED and not ended:
            self._ask_for_stream()

    def _close_stream(self) -> None:
        self._move("> InputAudioStreamClose")
        self._closed_silently = False
        self._write(InputAudioStreamCloseEvent())

    def _ask_for_stream(self) -> None:
        self._move("> InputAudioStreamOpen")
        self._write(InputAudioStreamOpenEvent(session_id=self._unconfirmed_session()))

    def _settle_mode(self) -> None:
        """The mode that the last Response named holds from the next opening of the stream on (D-62)."""
        if self._audio is Audio.CLOSED:
            self._follow(self.DUPLEX_RULES if self._stt_mode is SttMode.DUPLEX else self.RULES)

    def _open_anew(self) -> None:
        """Ask again for a stream that was asked for in another mode than is in force now.

        The ends cannot agree on the mode of an opening that crosses the change; of the next one they can.
        """
        crossing = self._audio is Audio.ASKED or (self._audio is Audio.OPEN and self._doubtful)
        if crossing and self._duplex is not (self._stt_mode is SttMode.DUPLEX):
            self._close_stream()
            self._settle_mode()
            if self._allows("> InputAudioStreamOpen"):
                self._ask_for_stream()

    @property
    def _duplex(self) -> bool:
        return self._rules is self.DUPLEX_RULES

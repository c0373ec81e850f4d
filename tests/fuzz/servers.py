"""Server machines, with a host that says any of its words at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowstorm_channel.errors import LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    CertificateNeed,
    ErrorEvent,
    Event,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    KeysNeed,
    Need,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionNeed,
    StoreNeed,
    TurnInterruptedEvent,
    UnknownEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import AudioStream, ServerChannel, Turn
from flowstorm_channel.sessions import Session
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import (
    ExpectedPhrase,
    Input,
    LogEntry,
    Response,
    ResponseItem,
    SttMode,
    Transcript,
)
from tests.fuzz.machines import Driven
from tests.fuzz.program import Failure, Program

__all__ = ["Served", "Store"]

Store = dict[str, bytes]
"""Where a host keeps sessions."""

_RESPONSES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"session_ended": True},
    {"sleep_timeout": 5},
    {"sleep_timeout": 5, "session_ended": True},
    {"stt_mode": SttMode.DUPLEX, "items": (ResponseItem(text="d"),)},
    {"stt_mode": SttMode.SINGLE_UTTERANCE, "expected_phrases": (ExpectedPhrase(text="yes"),)},
    {"stt_mode": SttMode.SINGLE_UTTERANCE, "locale": "cs-CZ", "turn_id": "t1"},
    {"items": (ResponseItem(text="a"), ResponseItem(audio="/a.mp3", image="i")), "attributes": {"a": [1]}},
    {"logs": (LogEntry(text="log"),), "items": (ResponseItem(ssml="<speak>s <break/></speak>"),)},
)
_SAID = (
    *(
        "part",
        "",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "x" * 400,
        "two\nlines <&>",
    ),
    *(ResponseItem(text="t", image="/i.png"), ResponseItem(ssml="<speak>a<p>b</p></speak>")),
    *(ResponseItem(audio="https://x/a.mp3", text="."), ResponseItem(video="v", background="#fff", code="c")),
)
_NAMES = ("N", "S", "made-1", "made-2", "x" * 65)
_OTHERS = tuple(
    session.snapshot()
    for session in (
        Session(session_id="S", key="K", device_id="D", ended=True),
        Session(session_id="S", key="K", device_id="X"),
        Session(session_id="T", key="K", device_id="D", turns=2, asleep=True),
        Session(session_id="S", key="K", device_id="D", turns=2, locale="cs"),
    )
)
"""Sessions that are not the one that is asked for."""
_HEARD = ("yes", "", "#silence", Input(transcript=Transcript(text="whole")), "x" * 200)


class Served(Driven):
    """A server machine and its host.

    Args:
        make: makes the machine.
        store: what the host keeps sessions in; for those that ask for them.
    """

    channel: ServerChannel

    def __init__(
        self,
        make: Callable[..., ServerChannel],
        clock: ManualClock,
        limits: Limits,
        program: Program,
        store: Store | None = None,
    ) -> None:
        super().__init__(clock, limits, program)
        self.store: Store = {} if store is None else store
        self.question: InitEvent | Need | None = None
        self.turns: list[Turn] = []
        self.streams: list[AudioStream] = []
        self.unstorable = False
        eager = program.byte()
        self.accepts, self.hears, self.answers, self.meets = (not eager & bit for bit in (1, 2, 4, 8))
        self.channel = make(clock=clock, wake=self.wake, limits=limits, queue_inputs=eager & 48 == 48)

    # -------------------------------------------------------- what is told

    def take(self, event: Event) -> None:
        match event:
            case InitEvent() | Need():
                self.question = event
                self._answer_question()
            case InputEvent():
                self.turns.append(self.channel.turn)
                if self.channel.turn.input != event.input:
                    raise Failure("the turn of another input")
                if not self.channel.turn.session.session_id:
                    raise Failure("an input without a session")
                if self.answers:
                    self.word(lambda: self.channel.turn.finish())
            case InputAudioStreamOpenEvent():
                self.streams.append(self.channel.stream)
                if self.hears:
                    self.word(lambda: self.channel.stream.ready())
            case TurnInterruptedEvent():
                for turn in self.turns:
                    if not (turn.over or turn.number != event.number):
                        raise Failure(f"{turn} is interrupted, and not over")

    def _answer_question(self) -> None:
        question = self.question
        if isinstance(question, InitEvent) and self.accepts:
            self.word(self.channel.ready)
        elif isinstance(question, Need) and self.meets:
            self.provide(question, self.right_value(question))

    def right_value(self, need: Need) -> bytes | None:
        """What a good host answers a need with."""
        match need:
            case SessionNeed():
                return self.store.get(need.session_id)
            case StoreNeed():
                session = Session.restore(need.snapshot)
                if session.session_id != need.session_id:
                    raise Failure("the snapshot of another session")
                if session.snapshot() != need.snapshot:
                    raise Failure("a snapshot that changes")
                self.store[need.session_id] = need.snapshot
                return b""
        return None

    def provide(self, need: Need, value: bytes | None) -> None:
        """Answer a need."""
        self.word(lambda: self.channel.provide(need, value))

    # -------------------------------------------------------- the words

    def say(self) -> None:
        """The next word of the host."""
        program, channel = self.program, self.channel
        word = program.below(28)
        if word < 10:
            self._say_of_turn(word)
        elif word < 16:
            self._say_of_stream(word)
        else:
            match word:
                case 16:
                    self.word(channel.ready)
                case 17:
                    self.word(lambda: channel.fail("no", source="host"))
                case 18:
                    self.word(self._begin)
                case 19:
                    self.word(lambda: channel.send(SessionEndEvent()))
                case 20:
                    self.word(lambda: channel.send(UnknownEvent(data={"type": "Mine", "x": 1})))
                case 21:
                    name = program.choose(_NAMES) if program.flag() else program.text(12)
                    self.word(lambda: channel.rename_session(name))
                case 22:
                    self.word(channel.give_way)
                case 23:
                    self.word(lambda: channel.close(reason=program.text(20)), 200)
                case 24:
                    event = program.choose((ReadyEvent(), ErrorEvent(text="x"), BinaryEvent(data=b"")))
                    self.word(lambda: channel.send(event))
                case 25:
                    status = 400 + program.below(255)
                    if isinstance(self.question, Need):
                        self.word(lambda: channel.fail("no", status=status))
                case _:
                    self._say_to_need()

    def _begin(self) -> None:
        self.turns.append(self.channel.begin())

    def _say_of_turn(self, word: int) -> None:
        program = self.program
        turn = self.turns[-1 - program.below(min(len(self.turns), 2))] if self.turns else None
        if turn is None:
            return
        over = turn.over
        legal = True
        match word:
            case 0 | 1 | 2:
                members = program.choose(_RESPONSES)
                legal = self.word(lambda: turn.finish(**members), 1000)
                if legal is over and not self.unstorable:
                    raise Failure(f"{turn} can be finished: {legal}")
                if legal and not turn.over:
                    raise Failure(f"{turn} is finished, and not over")
            case 3 | 4:
                item = program.choose(_SAID) if program.flag() else self._item()
                legal = self.word(lambda: turn.say(item), 12 * len(repr(item)) + 1000)
            case 5:
                block = program.taken(200)
                legal = self.word(lambda: turn.say(block * 3), 8 * len(block) + 500)
            case 6:
                self.word(turn.interrupt)
                if not turn.over:
                    raise Failure(f"{turn} is interrupted, and not over")
            case 7:
                legal = self.word(lambda: turn.fail("sorry"), 2000)
                if legal is over:
                    raise Failure(f"{turn} can fail: {legal}")
            case 8:
                events = (
                    ResponseItemEvent(response_item=ResponseItem(text="e")),
                    ResponseEvent(response=Response()),
                )
                event = program.choose(events)
                legal = self.word(lambda: turn.send(event), 300)
            case _:
                if not over and turn.session_id:
                    # The last two cannot be stored, or travel with Alexa.
                    turn.session.data["n"] = value = program.choose((1, 2, b"\0", [[{}]], "x" * 13_000, self))
                    self.unstorable = value is self or value == "x" * 13_000
        if not (not (over and legal) or word in (6, 9)):
            raise Failure(f"{turn} was over, and {word} was legal")

    def _item(self) -> ResponseItem:
        """An item of anything."""
        program = self.program
        text, times = program.clean_text(30), program.times()
        return ResponseItem(
            text=text * times,
            ssml=program.clean_text(40) * times or None,
            image=program.clean_text(12) or None,
            audio=program.clean_text(12) or None,
            code=program.clean_text(12) or None,
        )

    def _say_of_stream(self, word: int) -> None:
        program = self.program
        stream = self.streams[-1 - program.below(min(len(self.streams), 2))] if self.streams else None
        if stream is None:
            return
        over = stream.over
        match word:
            case 10:
                legal = self.word(stream.ready)
                if legal is over:
                    raise Failure(f"{stream} can be ready: {legal}")
            case 11 | 12:
                heard = program.choose(_HEARD)
                self.word(lambda: stream.recognized(heard, final=False), 2000)
            case 13:
                heard = program.choose(_HEARD)
                self.word(lambda: stream.recognized(heard, final=True), 2000)
            case 14:
                self.word(stream.end_of_utterance)
            case _:
                if program.flag():
                    self.word(stream.interrupt)
                else:
                    said = Input(transcript=Transcript(text="sent"))
                    event = RecognizedInputEvent(input=said, is_final=program.flag())
                    self.word(lambda: stream.send(event), 500)

    def _say_to_need(self) -> None:
        need = self.question
        if not isinstance(need, Need):
            return
        value = self.right_value(need)
        match self.program.below(4):
            case 0:
                value = None
            case 1:
                value = self.program.taken()
            case 2 if not value or self.program.flag():
                value = self.program.choose(_OTHERS)
            case 2:
                at = self.program.byte() % len(value)
                value = value[:at] + self.program.taken(4) + value[at + self.program.below(4) :]
        if isinstance(need, (CertificateNeed, KeysNeed)) and value is None:
            value = self.program.taken()
        self.provide(need, value)

    # -------------------------------------------------------- the end

    def close(self) -> None:
        self.word(self.channel.close)

    def end(self, *, lost: bool) -> None:
        self.visit()
        for turn in self.turns:
            if not turn.over and self.program.flag():
                legal = self.word(lambda turn=turn: turn.finish(), 1000)  # type: ignore[misc]
                if not (legal or self.unstorable):
                    raise Failure(f"{turn} cannot be answered")
        super().end(lost=lost)

    def check_end(self) -> None:
        """All is over: every handle says so."""
        if not self.closed:
            raise Failure(f"{self.channel} does not end")
        for each in (*self.turns, *self.streams):
            if not each.over:
                raise Failure(f"{each} is not over at the end")
        words: Sequence[Callable[[], object]] = (
            *(turn.finish for turn in self.turns[-2:]),
            *(stream.ready for stream in self.streams[-2:]),
            lambda: self.channel.begin(),
            lambda: self.channel.send(SessionEndEvent()),
        )
        for act in words:
            try:
                act()
            except TooLateError:
                continue
            except LocalProtocolError as error:
                raise Failure(f"{error} instead of TooLateError") from error
            raise Failure("a word after the end")
        if self.channel._outbox:
            raise Failure("something is left to send")

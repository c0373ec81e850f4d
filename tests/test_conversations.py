"""Both ends of Socket V1 in conversation, joined in memory, on a clock moved by hand.

Every conversation is held with a prompt host, which acts on an event while it is told, and with a lazy one,
which acts when everything in flight has arrived; and in JSON and in msgpack.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from flowstorm_channel.channel import Channel
from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.errors import TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LogEvent,
    SessionEndEvent,
    VoteEvent,
)
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import Link, ManualClock
from flowstorm_channel.values import ClientConfig, LogEntry, ResponseItem, SttMode, TtsType
from flowstorm_channel.wire import Message
from tests.conversation import CODEC, line

Dialogue = Callable[[Turn], None]

CONFIG = ClientConfig(send_response_items=True, stt_interim_results=True)
DUPLEX = CONFIG.replace(stt_mode=SttMode.DUPLEX)
MSGPACK = MsgpackCodec()


def echo(turn: Turn) -> None:
    """Repeats what it hears.

    ``bye`` ends the session, ``later`` lets it sleep, ``hold`` gets no answer yet.
    """
    if turn.text == "hold":
        return
    turn.say(turn.text.removeprefix("#"))
    turn.finish(session_ended=turn.text == "bye", sleep_timeout=60 if turn.text == "later" else 0)


class Conversation:
    """A client, the servers that it connects to, and their hosts.

    The recogniser takes each block of audio for text: with a full stop it is final.
    """

    def __init__(
        self,
        *,
        dialogue: Dialogue = echo,
        lazy: bool = False,
        msgpack: bool = False,
        config: ClientConfig = CONFIG,
        server: dict[str, Any] | None = None,
        **client: Any,
    ) -> None:
        self.clock = ManualClock()
        self.ids = (f"s{number}" for number in itertools.count(1))
        self.dialogue = dialogue
        self.lazy = lazy
        self.reachable = True
        self.pending: deque[Callable[[], None]] = deque()
        self.server_settings = server or {}
        self.client = SocketV1Client(
            *("ws://host/socket",),
            key="K",
            device_id="D",
            clock=self.clock,
            msgpack=msgpack,
            config=config,
            make_id=lambda: "made by the client".replace(" ", "-"),
            **client,
        )
        self.link = Link(self.client, self.make_server, self.clock)
        self.link.on_event["server"] = self.serve

    def make_server(self) -> Channel | None:
        if not self.reachable:
            return None
        return SocketV1Server(clock=self.clock, make_id=self.ids.__next__, **self.server_settings)

    @property
    def server(self) -> SocketV1Server:
        assert isinstance(self.link.server, SocketV1Server)
        return self.link.server

    # -------------------------------------------------------- the server's host

    def serve(self, event: Event) -> None:
        # Turn and stream are taken while the event is held.
        act = partial(self.act, event, self.server, self.server._turn, self.server._stream)
        if self.lazy:
            self.pending.append(act)
        else:
            act()

    def act(
        self, event: Event, server: SocketV1Server, turn: Turn | None, stream: AudioStream | None
    ) -> None:
        try:
            match event:
                case InitEvent():
                    server.ready()
                case InputEvent():
                    assert turn is not None
                    self.dialogue(turn)
                case InputAudioStreamOpenEvent():
                    assert stream is not None
                    stream.ready()
                case BinaryEvent():
                    assert stream is not None
                    text = event.data.decode()
                    stream.recognized(text.rstrip("."), final=text.endswith("."))
        except TooLateError:
            pass  # a race, and nothing has gone out

    # -------------------------------------------------------- both ends

    def settle(self) -> None:
        self.link.settle()
        while self.pending:
            self.pending.popleft()()
            self.link.settle()

    def advance(self, seconds: float) -> None:
        self.settle()
        self.link.advance(seconds)
        self.settle()

    def connect(self) -> Conversation:
        self.client.open()
        self.settle()
        return self

    def say(self, text: str) -> None:
        self.client.say(text)
        self.settle()

    def played(self) -> None:
        assert self.client.turn is not None
        self.client.turn.finish_playback()
        self.settle()

    def speak(self, *blocks: bytes) -> None:
        for block in blocks:
            assert self.client.send_audio(block)
        self.settle()

    @property
    def states(self) -> tuple[State, State]:
        return self.client.state, self.server.state

    def told(self, end: str) -> list[str]:
        return [line(event) for event in self.link.events(end)]

    def heard(self) -> list[str]:
        """What the user saw or heard."""
        return [each for each in self.told("client") if each.startswith(("ResponseItem", "audio"))]

    def trace(self) -> list[str]:
        """All that was told and sent, whatever the codec."""
        return [f"{step.by} {each}" for step in self.link.steps for each in _meaning(step.what)]

    def forget(self) -> None:
        self.link.steps.clear()


def _meaning(what: Event | Message) -> Iterator[str]:
    match what:
        case Event():
            yield f"is told {line(what)}"
        case bytes() if what[:1] >= b"\x80":
            yield f"sends {line(MSGPACK.decode(what))}"
        case str():
            yield f"sends {line(CODEC.decode(what))}"
        case _:
            yield f"sends {line(what)}"


@pytest.fixture(params=[False, True], ids=["prompt", "lazy"])
def lazy(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["JSON", "msgpack"])
def msgpack(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# ------------------------------------------------------------ a whole conversation


def test_a_conversation_from_hello_to_goodbye(lazy: bool, msgpack: bool) -> None:
    both = Conversation(lazy=lazy, msgpack=msgpack, auto_start=True, auto_microphone=True).connect()
    assert both.states == (State.RESPONDING, State.LISTENING)
    both.played()
    assert both.client.audio is both.server.audio is Audio.OPEN
    both.speak(b"ye", b"yes.")
    both.played()
    assert both.client.turn is not None
    both.client.vote(both.client.turn, 1)
    both.client.log(LogEntry(text="a line"))
    both.say("bye")
    both.played()
    assert both.states == (State.SLEEPING, State.SLEEPING)
    both.client.close()
    both.settle()
    assert both.states == (State.CLOSED, State.CLOSED)
    assert both.told("client") == [
        *("Ready", "SessionStarted s1", "ResponseItem 'intro'", "Response"),
        *("InputAudioStreamOpen", "Recognized interim ye", "Recognized final yes"),
        *("ResponseItem 'yes'", "Response", "InputAudioStreamOpen"),
        *("ResponseItem 'bye'", "Response ended", "SessionEnded", "Closed 1000"),
    ]
    assert both.told("server") == [
        *("Init", "Input #intro", "InputAudioStreamOpen", "audio 2", "audio 4", "Input yes"),
        *("InputAudioStreamClose", "InputAudioStreamOpen", "Vote", "Log"),
        *("InputAudioStreamClose", "Input bye", "Closed 1000"),
    ]


def scripted(**kw: Any) -> Conversation:
    """One conversation with something of everything."""
    both = Conversation(config=CONFIG.replace(tts=TtsType.REQUIRED_STREAMING), auto_microphone=True, **kw)

    def dialogue(turn: Turn) -> None:
        turn.say(ResponseItem(text="#card", code='{"title":"x"}'))
        turn.say(b"a sound")
        echo(turn)

    both.dialogue = dialogue
    both.connect()
    both.say("one")
    both.say("two")
    both.played()
    both.speak(b"thr", b"three.")
    both.played()
    both.advance(5)
    both.played()
    both.say("later")
    both.played()
    both.advance(61)
    both.say("again")
    both.link.cut()
    both.advance(10)
    both.say("and again")
    both.client.send(SessionEndEvent())
    both.settle()
    both.server.close()
    both.settle()
    both.client.close()
    both.settle()
    return both


def test_the_codec_changes_nothing_of_a_conversation(lazy: bool) -> None:
    json, msgpack = (scripted(lazy=lazy, msgpack=each) for each in (False, True))
    assert json.trace() == msgpack.trace()
    told = set(json.told("client")) | set(json.told("server"))
    assert {"SessionExpired s1", "Input #silence", "ConnectionFailed 1006", "audio 7"} <= told


def test_the_host_of_a_server_may_take_its_time() -> None:
    prompt, lazy = (scripted(lazy=each) for each in (False, True))
    assert prompt.told("client") == lazy.told("client")
    assert prompt.heard() == lazy.heard()


# ------------------------------------------------------------ barge-in


def long_answer(turn: Turn) -> None:
    for number in range(3):
        turn.say(f"{turn.text} {number}")
    if turn.text != "talk":
        turn.finish()


@pytest.mark.parametrize("delivered", range(5))
def test_typing_over_an_answer_in_flight(delivered: int, lazy: bool, msgpack: bool) -> None:
    """However much of the old answer is under way, none of it is played, and all of the new one is."""
    both = Conversation(lazy=lazy, msgpack=msgpack, dialogue=long_answer).connect()
    both.client.say("talk")
    both.link.flush("client")
    both.link.deliver("server")
    both.link.take_events("server")
    while both.pending:
        both.pending.popleft()()
    both.link.flush("server")
    both.link.deliver("client", delivered)
    both.link.take_events("client")
    both.say("stop")
    assert both.heard() == [
        *[f"ResponseItem 'talk {number}'" for number in range(max(0, delivered - 1))],
        *[f"ResponseItem 'stop {number}'" for number in range(3)],
    ]
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)


def test_an_answer_that_was_not_taken_yet_never_leaves(msgpack: bool) -> None:
    both = Conversation(msgpack=msgpack, dialogue=long_answer).connect()
    both.client.say("talk")
    both.link.flush("client")
    both.link.deliver("server")
    both.link.take_events("server")  # answered, and not flushed
    both.say("stop")
    assert not [each for each in both.trace() if "talk 0" in each]
    assert both.heard() == [f"ResponseItem 'stop {number}'" for number in range(3)]


def test_typing_twice_before_any_answer(lazy: bool) -> None:
    both = Conversation(lazy=lazy).connect()
    both.client.say("one")
    both.client.say("two")
    both.say("three")
    assert both.heard() == ["ResponseItem 'three'"]
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)


def test_touching_the_screen_while_the_answer_is_under_way(lazy: bool) -> None:
    both = Conversation(lazy=lazy, dialogue=long_answer, auto_microphone=True).connect()
    both.say("talk")
    assert both.client.turn is not None
    both.client.turn.interrupt()
    both.settle()
    assert both.client.state is State.LISTENING
    both.speak(b"go on.")
    both.played()
    assert both.heard()[-3:] == [f"ResponseItem 'go on {number}'" for number in range(3)]
    assert both.states == (State.LISTENING, State.LISTENING)


def test_speaking_over_an_answer_in_duplex(lazy: bool, msgpack: bool) -> None:
    both = Conversation(
        lazy=lazy, msgpack=msgpack, dialogue=long_answer, config=DUPLEX, auto_microphone=True
    ).connect()
    both.say("talk")
    assert (both.client.state, both.client.audio, both.server.audio) == (
        *(State.RESPONDING, Audio.OPEN, Audio.OPEN),
    )
    both.forget()
    both.speak(b"sto")
    assert both.client.state is State.RESPONDING
    both.speak(b"stop.")
    assert both.told("client") == [
        *("Recognized interim sto", "Response", "TurnInterrupted 1 recognized", "Recognized final stop"),
        *("ResponseItem 'stop 0'", "ResponseItem 'stop 1'", "ResponseItem 'stop 2'", "Response"),
    ]
    assert both.client.audio is both.server.audio is Audio.OPEN
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)


# ------------------------------------------------------------ silence, sleep, loss


def test_a_user_who_says_nothing(lazy: bool, msgpack: bool) -> None:
    both = Conversation(lazy=lazy, msgpack=msgpack, auto_microphone=True).connect()
    both.say("one")
    both.played()
    both.advance(4.9)
    assert "Input #silence" not in both.told("server")
    both.advance(0.1)
    assert both.told("server")[-2:] == ["Input #silence", "InputAudioStreamClose"]
    assert both.states == (State.RESPONDING, State.LISTENING)
    both.played()
    assert both.client.audio is both.server.audio is Audio.OPEN


def test_sleeping_and_waking(lazy: bool, msgpack: bool) -> None:
    both = Conversation(lazy=lazy, msgpack=msgpack).connect()
    both.say("later")
    both.played()
    assert both.states == (State.SLEEPING, State.SLEEPING)
    both.advance(59)
    both.say("one")
    assert both.client.session_id == both.server.session_id == "s1"
    both.played()
    both.say("later")
    both.advance(60)
    assert both.client.session_id is both.server.session_id is None
    assert both.told("client")[-1] == both.told("server")[-1] == "SessionExpired s1"
    both.say("one")
    assert both.client.session_id == both.server.session_id == "s2"


def test_a_lost_connection_goes_on_with_its_session(lazy: bool, msgpack: bool) -> None:
    both = Conversation(lazy=lazy, msgpack=msgpack, auto_start=True).connect()
    both.played()
    first = both.server
    both.link.cut()
    both.settle()
    assert (first.closed, both.client.state) == (True, State.FAILED)
    both.advance(10)
    assert both.states == (State.SLEEPING, State.SLEEPING)
    assert both.server is not first
    both.say("still there?")
    assert both.server.session_id == both.client.session_id == "s1"
    assert both.told("server").count("Input #intro") == 1
    both.played()
    assert "client sends Request still there? of s1" in both.trace()
    both.forget()
    both.say("yes")
    assert both.trace()[0] == "client sends Input yes"


def test_a_server_that_is_away_for_long() -> None:
    both = Conversation().connect()
    both.reachable = False
    both.link.cut()
    both.advance(35)
    assert both.told("client").count("ConnectionLost") == 1
    assert both.told("client").count("ConnectionFailed 1006") == 4
    both.reachable = True
    both.advance(5)
    assert both.states == (State.SLEEPING, State.SLEEPING)


def test_a_server_that_goes_away_is_sought_again() -> None:
    both = Conversation().connect()
    both.say("one")
    both.server.close(1001, "restarting")
    both.settle()
    assert both.told("client")[-1] == "ConnectionFailed 1001"
    both.advance(10)
    assert both.states == (State.SLEEPING, State.SLEEPING)


def test_a_client_that_is_refused_tries_again() -> None:
    both = Conversation()
    refuse = [True, False]

    def act(event: Event) -> None:
        if isinstance(event, InitEvent):
            both.server.fail("not now") if refuse.pop(0) else both.server.ready()

    both.link.on_event["server"] = act
    both.connect()
    assert both.client.state is State.FAILED
    assert both.told("client")[0] == "Error"
    both.advance(10)
    assert both.client.state is State.SLEEPING


# ------------------------------------------------------------ the server speaks first


def test_the_server_speaks_to_a_sleeping_client(lazy: bool, msgpack: bool) -> None:
    both = Conversation(lazy=lazy, msgpack=msgpack, auto_microphone=True).connect()
    turn = both.server.begin()
    turn.say("Good morning")
    both.settle()
    assert both.states == (State.RESPONDING, State.RESPONDING)
    turn.finish()
    both.settle()
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)
    assert both.told("client") == [
        *("Ready", "SessionStarted s1", "ResponseItem 'Good morning'", "Response"),
        "InputAudioStreamOpen",
    ]


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("finished", [False, True])
def test_the_server_speaks_while_an_input_is_under_way(flushed: bool, finished: bool, lazy: bool) -> None:
    """D-35: whatever crosses, each end counts to the same number of answers."""
    both = Conversation(lazy=lazy).connect()
    both.client.say("hello")
    both.link.flush("client")
    turn = both.server.begin()
    turn.say("Good morning")
    if finished:
        turn.finish()
    if flushed:
        both.link.flush("server")
    both.settle()
    assert both.heard()[-1] == "ResponseItem 'hello'"
    assert ("ResponseItem 'Good morning'" in both.heard()) is (flushed or finished)
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)
    both.forget()
    both.say("next")
    assert both.told("client") == ["ResponseItem 'next'", "Response"]


def test_the_server_speaks_while_the_user_does(lazy: bool) -> None:
    """D-46: the client closes its stream; what it said in the meantime is dropped."""
    both = Conversation(lazy=lazy, auto_microphone=True).connect()
    both.say("one")
    both.played()
    turn = both.server.begin()
    turn.say("By the way")
    both.settle()
    assert both.client.audio is both.server.audio is Audio.CLOSED
    turn.finish()
    both.settle()
    both.played()
    assert both.client.audio is both.server.audio is Audio.OPEN


# ------------------------------------------------------------ other clients, other ends


def test_speech_comes_as_audio_files(lazy: bool, msgpack: bool) -> None:
    def dialogue(turn: Turn) -> None:
        assert turn.init.config.tts is TtsType.REQUIRED_STREAMING
        turn.say(turn.text)
        turn.say(b"one file")
        turn.say(b"another")
        turn.finish()

    config = CONFIG.replace(tts=TtsType.REQUIRED_STREAMING)
    both = Conversation(lazy=lazy, msgpack=msgpack, dialogue=dialogue, config=config).connect()
    both.say("one")
    assert both.heard() == ["ResponseItem 'one'", "audio 8", "audio 7"]
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)


def test_an_old_client_speaks_in_requests_and_gets_whole_responses(lazy: bool) -> None:
    both = Conversation(lazy=lazy, requests=True, config=ClientConfig()).connect()
    both.say("one")
    both.played()
    both.say("bye")
    both.played()
    assert both.told("client") == [
        *("Ready", "SessionStarted made-by-the-client", "Response 'one'"),
        *("Response 'bye' ended", "SessionEnded"),
    ]


def test_inputs_may_wait_for_their_turn() -> None:
    both = Conversation(dialogue=long_answer, server={"queue_inputs": True}).connect()
    both.client.say("talk")
    both.say("next")
    assert both.told("server") == ["Init", "Input talk"]
    assert both.server.turn is not None
    both.server.turn.finish()
    both.settle()
    assert both.heard() == [f"ResponseItem 'next {number}'" for number in range(3)]


def test_the_client_ends_the_session(lazy: bool) -> None:
    both = Conversation(lazy=lazy).connect()
    both.say("hold")
    both.client.send(SessionEndEvent())
    both.settle()
    assert both.states == (State.SLEEPING, State.SLEEPING)
    assert both.client.session_id is both.server.session_id is None
    assert both.told("server")[-2:] == ["TurnInterrupted 1 session ended", "SessionEnded"]


@pytest.mark.parametrize("first", ["hold", "one"])
def test_the_client_ends_the_session_and_says_more_at_once(first: str, lazy: bool) -> None:
    both = Conversation(lazy=lazy).connect()
    both.say(first)
    both.client.send(SessionEndEvent())
    both.say("one more")
    assert both.heard()[-1] == "ResponseItem 'one more'"
    assert both.client.session_id == both.server.session_id == "s2"
    both.played()
    assert both.states == (State.LISTENING, State.LISTENING)


def test_an_error_ends_the_session_at_both_ends(lazy: bool) -> None:
    both = Conversation(lazy=lazy, auto_microphone=True).connect()
    both.say("one")
    both.played()
    both.server.send(ErrorEvent(text="broken"))
    both.settle()
    assert both.states == (State.SLEEPING, State.SLEEPING)
    assert both.client.audio is both.server.audio is Audio.CLOSED
    both.say("two")
    assert both.client.session_id == both.server.session_id == "s2"


def test_a_client_that_falls_asleep_closes_its_duplex_stream(lazy: bool) -> None:
    both = Conversation(lazy=lazy, config=DUPLEX, auto_microphone=True).connect()
    both.say("one")
    both.played()
    both.say("later")
    both.played()
    assert both.states == (State.SLEEPING, State.SLEEPING)
    assert both.client.audio is both.server.audio is Audio.CLOSED


def test_logs_and_votes_arrive() -> None:
    both = Conversation().connect()
    both.client.send(LogEvent(entries=(LogEntry(text="a"),)))
    both.client.send(VoteEvent(vote=-1, turn_id="T"))
    both.settle()
    assert list(both.link.events("server"))[1:] == [
        LogEvent(entries=(LogEntry(text="a"),)),
        VoteEvent(vote=-1, turn_id="T"),
    ]

"""Both ends of Socket V2 in conversation, joined in memory, on a clock moved by hand.

First the promise that the version of the protocol does not matter to those who talk: one script, with the
same hosts, is held over V1 and over V2, and both hosts are told the same. `meaning` says what is left out of
the comparison, and why. Then what there is on V2 only; then conversations walked at random.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from flowstorm_channel.channel import Channel
from flowstorm_channel.client import ClientChannel, ClientTurn
from flowstorm_channel.errors import LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    LogEvent,
    Need,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    SessionNeed,
    SessionStartEvent,
    StoreNeed,
    TurnInterruptedEvent,
)
from flowstorm_channel.server import AudioStream, ServerChannel, Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.values import ClientConfig, LogEntry, ResponseItem
from flowstorm_channel.wire import RequestHead, ResponseHead
from tests import conversation

Dialogue = Callable[[Turn], None]

CONFIG = ClientConfig(send_response_items=True, stt_interim_results=True)
SLEEPING, LISTENING, PROCESSING = State.SLEEPING, State.LISTENING, State.PROCESSING
RESPONDING, PAUSED, FAILED = State.RESPONDING, State.PAUSED, State.FAILED


def line(what: Event) -> str:
    if isinstance(what, RecognizedInputEvent):
        return f"Recognized {'final' if what.is_final else 'interim'} {what.text}"
    if isinstance(what, SessionNeed):
        return f"SessionNeed {what.session_id}{'' if what.begins else ' to look at'}"
    if isinstance(what, ErrorEvent) and what.source is not None:
        return f"Error {what.text} ({what.source})"
    if isinstance(what, StoreNeed):
        return f"StoreNeed {what.session_id}"
    return conversation.line(what)


def echo(turn: Turn) -> None:
    """Repeats what it hears; some words mean more than that."""
    match turn.text:
        case "hold":  # no answer yet
            return
        case "talk":  # an answer without an end
            for number in range(3):
                turn.say(f"talk {number}")
            return
        case "command":  # nothing to play
            turn.say(ResponseItem(text="#card", code='{"title":"x"}'))
        case "nothing":
            pass
        case text:
            turn.say(text.removeprefix("#"))
    turn.finish(
        session_ended=turn.text == "bye",
        sleep_timeout=60 if turn.text == "later" else 0,
        turn_id=f"turn {turn.text}",
    )


class Conversation:
    """A client, the servers that it connects to, and their hosts: the same for both versions.

    The recogniser takes each block of audio for text: with a full stop it is final, ``~`` is noise.
    """

    def __init__(
        self,
        version: str = "V2",
        *,
        dialogue: Dialogue = echo,
        lazy: bool = False,
        msgpack: bool = False,
        stored: bool = False,
        clock: ManualClock | None = None,
        sessions: Sessions | None = None,
        **client: Any,
    ) -> None:
        self.version = version
        self.clock = clock or ManualClock()
        self.ids = (f"s{number}" for number in itertools.count(1))
        proposed = (f"c{number}" for number in itertools.count(1))
        self.dialogue = dialogue
        self.lazy = lazy
        self.reachable = True
        self.pending: deque[Callable[[], None]] = deque()
        self.instead: Callable[[Event, ServerChannel], bool] | None = None
        """What the server's host does with an event that it does not do otherwise; whether it did."""
        self.turns: list[Turn] = []
        self.cut: list[str] = []
        self.states: list[tuple[str, State]] = []
        self.stored = stored
        self.store: dict[str, bytes] = {}
        self.sessions = sessions or Sessions(stored=stored, clock=self.clock)
        common: dict[str, Any] = {"key": "K", "device_id": "D", "clock": self.clock, "msgpack": msgpack}
        common |= {"config": CONFIG, "make_id": proposed.__next__, **client}
        self.client: ClientChannel
        self.link: Link | HttpLink
        if version == "V1":
            self.client = SocketV1Client("ws://host/socket", **common)
            self.link = Link(self.client, self.make_server, self.clock)
        else:
            self.client = SocketV2Client("http://host/client", **common)
            self.link = HttpLink(self.client, self.make_server, self.clock)
        self.link.on_event["server"] = self.serve
        self.link.on_event["client"] = self.watch

    def make_server(self) -> Channel | None:
        if not self.reachable:
            return None
        if self.version == "V1":
            return SocketV1Server(clock=self.clock, make_id=self.ids.__next__)
        return SocketV2Server(self.sessions, clock=self.clock, make_id=self.ids.__next__)

    # -------------------------------------------------------- the client's host

    def watch(self, event: Event) -> None:
        self.states.append((line(event), self.client.state))

    # -------------------------------------------------------- the server's host

    def serve(self, event: Event) -> None:
        # Turn and stream are taken while the event is held.
        server = self.link.server
        assert isinstance(server, ServerChannel)
        if isinstance(event, InputEvent):
            self.turns.append(server.turn)
        elif isinstance(event, TurnInterruptedEvent):
            self.cut.append(self.told_of(server, event.number))
        act = partial(self.act, event, server, server._turn, server._stream)
        if self.lazy:
            self.pending.append(act)
        else:
            act()

    def told_of(self, server: ServerChannel, number: int) -> str:
        """What the user said in a turn."""
        found = [turn for turn in self.turns if turn.channel is server and turn.number == number]
        return found[-1].text

    def act(self, event: Event, server: ServerChannel, turn: Turn | None, stream: AudioStream | None) -> None:
        try:
            if self.instead is not None and self.instead(event, server):
                return
            match event:
                case InitEvent():
                    server.ready()
                case InputEvent():
                    assert turn is not None
                    if turn.text == "fail":
                        server.fail("broken")
                    else:
                        self.dialogue(turn)
                case InputAudioStreamOpenEvent():
                    assert stream is not None
                    stream.ready()
                case BinaryEvent() if event.data != b"~":
                    assert stream is not None
                    text = event.data.decode()
                    stream.recognized(text.rstrip("."), final=text.endswith("."))
                case SessionNeed():
                    server.provide(event, self.store.get(event.session_id))
                case StoreNeed():
                    self.store[event.session_id] = event.snapshot
                    server.provide(event, event.snapshot)
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

    def open(self) -> Conversation:
        self.client.open()
        self.settle()
        return self

    def say(self, text: str) -> None:
        self.client.say(text)
        self.settle()

    def played(self) -> None:
        self.client.finish_playback()
        self.settle()

    def interrupt(self) -> None:
        self.client.interrupt()
        self.settle()

    def listen(self) -> None:
        self.client.open_microphone()
        self.settle()

    def speak(self, *blocks: bytes) -> None:
        """As the user speaks: each block arrives before the next is spoken."""
        for block in blocks:
            assert self.client.send_audio(block)
            self.settle()

    def told(self, end: str) -> list[str]:
        return [line(event) for event in self.link.events(end)]

    def heard(self) -> list[str]:
        """What the user saw."""
        return [each for each in self.told("client") if each.startswith("ResponseItem")]

    def statuses(self) -> list[int]:
        return [step.what.status for step in self.link.steps if isinstance(step.what, ResponseHead)]

    def heads(self) -> list[RequestHead]:
        return [step.what for step in self.link.steps if isinstance(step.what, RequestHead)]

    def forget(self) -> None:
        self.link.steps.clear()
        self.states.clear()

    def at_rest(self) -> None:
        """Nothing is under way, and nobody waits."""
        assert self.sessions._under_way == {}
        assert self.sessions.waiting == 0
        assert isinstance(self.link, HttpLink)
        assert self.link.servers == ()
        assert self.client.exchanges == ()
        assert self.client._outbox_bytes == self.client._inbox_bytes == 0
        assert all(turn.over for turn in self.turns)


@pytest.fixture(params=[False, True], ids=["prompt", "lazy"])
def lazy(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["JSON", "msgpack"])
def msgpack(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# ------------------------------------------------------------ one script over both versions


def meaning(told: Iterator[Event], by: str) -> Iterator[str]:
    """What is told, without that in which the protocols differ by definition.

    - *Init* (server): once for a connection on V1, for every request on V2.
    - *InputAudioStreamOpen*: on V1 the client asks and the server acknowledges; on V2 the stream is open at
      once, and the server hears of it with the first block.
    - *InputAudioStreamClose*, *InputStreamClose* (server): V1 says that audio ends by the one; on V2 the end
      of the body does, and the other only comes before text.
    - *SessionEnded*: V1 says it behind the Response that ends the session (D-12); V2 does not know it.
    - *SessionExpired* (server): the server of a V1 connection knows that its session was forgotten; on V2
      there is no request to be told in.
    - *Closed* (server): of the connection on V1, of every request on V2.
    - *Response* without a turn id (client): the empty one that ends an interrupted turn. V1's server says it,
      V2's has nobody to say it to: the request was broken off.
    - *Recognized* on V1 is *RecognizedInput* on V2: `line` writes both alike.
    - Session ids: V1's server makes them, V2's client may propose them: they are numbered as they appear.
    - *TurnInterrupted* (server): what the user gives up with a touch is said nowhere on V1, so that its
      server hears of it with the next input; on V2 the request breaks off at once. Numbers count the turns of
      a connection on V1, of a session on V2. Which turns it comes for is compared apart: `Conversation.cut`.
    """
    names: dict[str, str] = {}
    for event in told:
        match event:
            case InitEvent() | ClosedEvent() | SessionExpiredEvent() if by == "server":
                continue
            case InputAudioStreamOpenEvent() | InputAudioStreamCloseEvent() | InputStreamCloseEvent():
                continue
            case SessionEndEvent():
                continue
            case ResponseEvent() if event.response.turn_id is None:
                continue
            case TurnInterruptedEvent() if by == "server":
                continue
            case SessionStartEvent() | SessionExpiredEvent():
                name = names.setdefault(event.session_id, f"#{len(names) + 1}")
                yield f"{type(event).__name__} {name}"
            case _:
                yield line(event)


def script(both: Conversation) -> Conversation:
    """One conversation with something of everything that both versions know."""
    both.open()  # says #intro
    both.played()
    both.say("one")  # the microphone was open, nothing was said
    both.played()
    both.speak(b"th", b"thr", b"three.")
    both.say("talk")  # over what plays
    both.say("stop")  # over an answer that goes on
    both.played()
    both.say("hold")
    both.say("two")  # while an answer is awaited
    both.played()
    both.say("hold")
    both.interrupt()
    both.speak(b"go", b"on.")
    both.client.pause()
    both.settle()
    both.client.resume()
    both.played()
    both.say("talk")
    both.interrupt()
    both.speak(b"and on.")
    both.played()
    both.speak(b"~", b"~")
    both.advance(5)  # silence
    both.played()
    both.speak(b"ty")
    both.advance(4)
    both.say("typed")  # the user switches
    both.played()
    both.say("command")  # nothing to play
    both.say("nothing")
    both.client.log(LogEntry(text="a line"))
    both.settle()
    both.say("fail")
    both.say("hello again")
    both.played()
    both.say("later")
    both.played()
    both.advance(59)
    both.say("still there")
    both.played()
    both.say("later")
    both.played()
    both.advance(61)
    both.say("awake")
    both.played()
    both.speak(b"bye.")
    both.played()
    both.say("anew")
    both.played()
    both.say("talk")
    both.client.close()
    both.settle()
    return both


def scripted(version: str, **kw: Any) -> Conversation:
    return script(Conversation(version, auto_start=True, auto_microphone=True, **kw))


def states_of(both: Conversation) -> list[State]:
    """The states in which the client's host was told something, each once in a row.

    Without Open: V2 has no handshake.
    """
    found = [state for _, state in both.states if state is not State.OPEN]
    return [state for state, _ in itertools.groupby(found)]


THE_CLIENT_IS_TOLD = [
    *("Ready", "SessionStartEvent #1", "ResponseItem 'intro'", "Response"),
    *("ResponseItem 'one'", "Response"),
    *("Recognized interim th", "Recognized interim thr", "Recognized final three"),
    *("ResponseItem 'three'", "Response", "TurnInterrupted 3 input"),
    *("ResponseItem 'talk 0'", "ResponseItem 'talk 1'", "ResponseItem 'talk 2'", "TurnInterrupted 4 input"),
    *("ResponseItem 'stop'", "Response"),
    *("TurnInterrupted 6 input", "ResponseItem 'two'", "Response"),
    *(
        "TurnInterrupted 8 host",
        "Recognized interim go",
        "Recognized final on",
        "ResponseItem 'on'",
        "Response",
    ),
    *("ResponseItem 'talk 0'", "ResponseItem 'talk 1'", "ResponseItem 'talk 2'", "TurnInterrupted 10 host"),
    *("Recognized final and on", "ResponseItem 'and on'", "Response"),
    *("Recognized final #silence", "ResponseItem 'silence'", "Response"),
    *("Recognized interim ty", "ResponseItem 'typed'", "Response"),
    *("ResponseItem '#card'", "Response", "Response"),
    *("TurnInterrupted 16 error", "Error"),
    *("SessionStartEvent #2", "ResponseItem 'hello again'", "Response"),
    *("ResponseItem 'later'", "Response sleeps 60", "ResponseItem 'still there'", "Response"),
    *("ResponseItem 'later'", "Response sleeps 60", "SessionExpiredEvent #2"),
    *("SessionStartEvent #3", "ResponseItem 'awake'", "Response"),
    *("Recognized final bye", "ResponseItem 'bye'", "Response ended"),
    *("SessionStartEvent #4", "ResponseItem 'anew'", "Response"),
    *("ResponseItem 'talk 0'", "ResponseItem 'talk 1'", "ResponseItem 'talk 2'", "TurnInterrupted 24 closed"),
    "Closed 1000",
]
THE_SERVER_HEARS = [
    *("#intro", "one", "three", "talk", "stop", "hold", "two", "hold", "on", "talk", "and on", "#silence"),
    *("typed", "command", "nothing", "fail", "hello again", "later", "still there", "later", "awake", "bye"),
    *("anew", "talk"),
]
INTERRUPTED = ["talk", "hold", "hold", "talk", "fail", "talk"]


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_codec_changes_nothing_of_a_conversation(version: str, lazy: bool) -> None:
    json, msgpack = (scripted(version, lazy=lazy, msgpack=each) for each in (False, True))
    assert json.states == msgpack.states
    assert json.told("server") == msgpack.told("server")


def test_the_host_of_a_server_may_take_its_time() -> None:
    prompt, lazy = (scripted("V2", lazy=each) for each in (False, True))
    assert prompt.states == lazy.states
    assert list(meaning(prompt.link.events("server"), "server")) == list(
        meaning(lazy.link.events("server"), "server")
    )


def test_a_conversation_is_the_same_on_both_versions(lazy: bool, msgpack: bool) -> None:
    v1, v2 = (scripted(version, lazy=lazy, msgpack=msgpack) for version in ("V1", "V2"))
    for end in ("client", "server"):
        assert list(meaning(v2.link.events(end), end)) == list(meaning(v1.link.events(end), end))
    assert states_of(v2) == states_of(v1)
    assert v2.cut == v1.cut
    assert [turn.text for turn in v2.turns] == [turn.text for turn in v1.turns]


def test_what_a_scripted_conversation_comes_to(lazy: bool, msgpack: bool) -> None:
    both = scripted("V2", lazy=lazy, msgpack=msgpack)
    assert list(meaning(both.link.events("client"), "client")) == THE_CLIENT_IS_TOLD
    assert [turn.text for turn in both.turns] == THE_SERVER_HEARS
    assert both.cut == INTERRUPTED
    both.at_rest()


def test_it_does_not_matter_who_keeps_the_sessions(lazy: bool) -> None:
    kept, stored = (scripted("V2", lazy=lazy, stored=each) for each in (False, True))
    assert kept.states == stored.states
    assert kept.cut == stored.cut
    for end in ("client", "server"):
        told = (each for each in stored.link.events(end) if not isinstance(each, Need))
        assert list(meaning(told, end)) == list(meaning(kept.link.events(end), end))
    stored.at_rest()


# ------------------------------------------------------------ requests that cross


def step(both: Conversation, *path: str) -> None:
    """Let single things happen.

    ``client`` and ``server`` take their events and flush; ``>`` and ``<`` deliver all that is in flight, to
    the server and to the client.
    """
    for each in path:
        if each in ("client", "server"):
            both.link.take_events(each)
            while both.pending:
                both.pending.popleft()()
            both.link.flush(each)
        else:
            both.link._deliver_all("server" if each == ">" else "client")


def listening(**kw: Any) -> Conversation:
    """One turn is over, session c1 is held."""
    both = Conversation(**kw).open()
    both.say("one")
    both.played()
    assert (both.client.state, both.client.session_id) == (LISTENING, "c1")
    both.forget()
    return both


@pytest.mark.parametrize("when", ["read first", "sent first", "arrives first"])
def test_text_that_crosses_the_result_of_speech(when: str, lazy: bool, msgpack: bool) -> None:
    """The user types while the final result is under way: the text is what counts, and nobody has failed."""
    both = listening(lazy=lazy, msgpack=msgpack)
    both.listen()
    both.client.send_audio(b"hold.")
    step(both, "client", ">", "server")
    both.client.say("typed")
    if when != "read first":
        step(both, "client" if when == "sent first" else "server")
    if when == "arrives first":
        step(both, "client", ">", "server")
    both.settle()
    assert both.heard() == ["ResponseItem 'typed'"]
    assert both.told("client")[-2:] == ["ResponseItem 'typed'", "Response"]
    assert not {"Fault", "Error"} & {*both.told("client"), *both.told("server")}
    assert both.client.session_id == "c1"
    assert both.cut == ["hold"]
    both.played()
    assert both.client.state is LISTENING
    both.at_rest()


@pytest.mark.parametrize("result", [b"interim", b"final."])
def test_interrupting_while_a_result_is_under_way(result: bytes, lazy: bool) -> None:
    both = listening(lazy=lazy)
    both.listen()
    both.client.send_audio(result)
    step(both, "client", ">", "server")
    both.client.interrupt()
    both.settle()
    assert (both.client.state, both.client.audio) == (LISTENING, Audio.CLOSED)
    assert both.told("client") == ["InputAudioStreamOpen"]
    both.say("next")
    assert both.heard() == ["ResponseItem 'next'"]
    both.played()
    both.at_rest()


@pytest.mark.parametrize("delivered", range(6))
def test_typing_over_an_answer_in_flight(delivered: int, lazy: bool, msgpack: bool) -> None:
    """However much of the old answer is under way, none of it is played, and all of the new one is."""
    both = listening(lazy=lazy, msgpack=msgpack)
    both.client.say("talk")
    step(both, "client", ">", "server", *["server"] * lazy)
    for _ in range(delivered):
        both.link.deliver("client")
    both.link.take_events("client")
    shown = len(both.heard())
    both.say("stop")
    assert both.heard()[shown:] == ["ResponseItem 'stop'"]
    assert both.told("client").count("TurnInterrupted 2 input") == 1
    assert both.cut == ["talk"]
    both.played()
    assert both.client.state is LISTENING
    both.at_rest()


def test_typing_again_and_again_before_any_answer(lazy: bool) -> None:
    both = Conversation(lazy=lazy, auto_start=True)
    both.client.open()
    for text in ("one", "two", "three"):
        step(both, "client", ">")
        both.client.say(text)
    both.settle()
    assert both.heard() == ["ResponseItem 'three'"]
    assert both.client.session_id == "c1"
    assert {head.header("Cookie") for head in both.heads()} == {"flowstorm-session-id=c1"}
    both.played()
    both.at_rest()


@pytest.mark.parametrize("first", ["PUT", "GET"])
def test_it_does_not_matter_which_of_the_pair_arrives_first(first: str) -> None:
    both = listening()
    both.client.open_microphone()
    both.client.send_audio(b"so")
    step(both, "client")
    assert isinstance(both.link, HttpLink)
    if first == "GET":
        both.link._wires.reverse()
    both.settle()
    # What is recognised while nobody reads is not kept.
    assert both.told("client")[1:] == (["Recognized interim so"] if first == "GET" else [])
    both.speak(b"so be", b"so be it.")
    assert both.told("client")[-4:] == [
        *("Recognized interim so be", "Recognized final so be it", "ResponseItem 'so be it'", "Response")
    ]
    both.played()
    both.at_rest()


def test_results_are_read_by_the_get_that_is_there() -> None:
    both = listening()
    both.listen()
    both.speak(b"o")
    assert isinstance(both.link, HttpLink)
    get = both.link._wires[-1]
    get.exchange.receive_eof()
    get.server.receive_eof()
    both.link._wires.remove(get)
    both.settle()
    both.speak(b"on")  # nobody reads it
    both.advance(1)
    both.speak(b"once")
    both.speak(b"once more.")
    assert both.told("client") == [
        *("InputAudioStreamOpen", "Recognized interim o", "Recognized interim once"),
        *("Recognized final once more", "ResponseItem 'once more'", "Response"),
    ]
    both.played()
    both.at_rest()


# ------------------------------------------------------------ lost and refused connections

PLACES = ("sleeping", "listening", "streaming", "speaking", "processing", "responding", "complete", "paused")


def brought_to(place: str, **kw: Any) -> Conversation:
    """Session c1 is held everywhere but in ``sleeping``."""
    both = Conversation(**kw).open() if place == "sleeping" else listening(**kw)
    match place:
        case "streaming":
            both.listen()
        case "speaking":
            both.listen()
            both.speak(b"in the mid")
        case "processing":
            both.say("hold")
        case "responding" | "paused":
            both.say("talk")
        case "complete":
            both.say("two")
    if place == "paused":
        both.client.pause()
    both.forget()
    return both


@pytest.mark.parametrize("place", PLACES)
def test_a_lost_connection_loses_nothing_else(place: str, lazy: bool, msgpack: bool) -> None:
    both = brought_to(place, lazy=lazy, msgpack=msgpack)
    held = both.client.session_id
    both.link.cut()
    both.settle()
    under_way = place not in ("sleeping", "listening", "complete")
    lost = ["TurnInterrupted 2 lost"] if place == "processing" else []
    assert both.told("client") == ([*lost, "ConnectionFailed 1006"] if under_way else [])
    assert (both.client.state is FAILED) is under_way
    assert both.client.session_id == held
    assert both.sessions._under_way == {}
    both.say("after")
    assert both.heard() == ["ResponseItem 'after'"]
    assert both.client.session_id == "c1"
    both.played()
    assert both.client.state is LISTENING
    both.at_rest()


@pytest.mark.parametrize("place", PLACES)
def test_a_server_that_cannot_be_reached(place: str) -> None:
    both = brought_to(place)
    both.reachable = False
    both.link.cut()
    for _ in range(3):
        both.say("anybody there?")
        assert (both.client.state, both.told("client")[-1]) == (FAILED, "ConnectionFailed 1006")
        both.listen()
        assert both.client.state is FAILED
        both.client.log(LogEntry(text="nobody there"))
        both.settle()
        assert both.told("client")[-1] == "Fault"
        both.advance(100)
    both.reachable = True
    both.forget()
    both.listen()
    both.speak(b"hello.")
    assert both.heard() == ["ResponseItem 'hello'"]
    both.played()
    assert (both.client.state, both.client.session_id) == (LISTENING, "c1")
    both.at_rest()


def test_a_get_that_cannot_connect_is_repeated_once_a_second() -> None:
    both = listening()
    both.listen()
    assert isinstance(both.link, HttpLink)
    both.link._wires[-1].exchange.receive_eof()
    both.reachable = False
    both.advance(3.5)
    assert [head.method for head in both.heads()] == ["PUT", "GET", "GET", "GET", "GET"]
    both.reachable = True
    both.advance(1)
    both.speak(b"at", b"at last.")
    assert both.told("client")[1:4] == [
        *("Recognized interim at", "Recognized final at last", "ResponseItem 'at last'")
    ]
    both.played()


def test_a_server_that_goes_away() -> None:
    both = listening()
    both.say("hold")
    assert isinstance(both.link.server, SocketV2Server)
    both.link.server.close(1001, "restarting")
    both.settle()
    assert both.told("client") == [
        *("Error restarting (HTTP 503)", "TurnInterrupted 2 lost", "ConnectionFailed 503")
    ]
    both.say("again")
    assert both.heard() == ["ResponseItem 'again'"]
    both.played()
    both.at_rest()


# ------------------------------------------------------------ what only V2 has


@pytest.mark.parametrize("text", ["hello", "bye", "later", "hold", "fail"])
def test_a_recording_is_a_turn(text: str, lazy: bool, msgpack: bool) -> None:
    both = listening(lazy=lazy, msgpack=msgpack)
    assert isinstance(both.client, SocketV2Client)
    both.client.send_recording(f"{text}.".encode(), "audio/mpeg")
    both.settle()
    assert both.told("client")[0] == f"Recognized final {text}"
    both.say("next")
    assert both.heard()[-1] == "ResponseItem 'next'"
    both.played()
    both.at_rest()


def test_a_recording_in_which_nothing_is_said(lazy: bool) -> None:
    both = listening(lazy=lazy)
    assert isinstance(both.client, SocketV2Client)
    both.client.send_recording(b"~" * 100_000)
    both.settle()
    assert both.client.state is PROCESSING
    both.advance(30)
    assert both.told("client") == ["Recognized final #silence", "ResponseItem 'silence'", "Response"]
    both.played()
    both.at_rest()


def test_a_button_that_was_only_tapped(lazy: bool) -> None:
    both = listening(lazy=lazy)
    both.listen()
    both.client.close_microphone()
    both.settle()
    assert (both.client.state, both.told("client")) == (LISTENING, ["InputAudioStreamOpen"])
    both.at_rest()
    both.say("one")
    assert both.heard() == ["ResponseItem 'one'"]
    both.played()
    both.at_rest()


def test_a_microphone_that_is_closed_by_hand(lazy: bool) -> None:
    both = listening(lazy=lazy)
    both.listen()
    both.speak(b"so", b"so it")
    both.client.close_microphone()
    both.settle()
    assert both.client.state is PROCESSING
    both.advance(5)
    assert both.told("client")[-3:] == ["Recognized final #silence", "ResponseItem 'silence'", "Response"]
    both.played()
    both.at_rest()


def test_a_microphone_into_which_nobody_speaks(lazy: bool) -> None:
    """Blocks have to flow: a body that stands still is given up by the server in the end."""
    both = listening(lazy=lazy)
    both.listen()
    both.advance(60)
    assert both.told("client")[-1] == "ConnectionFailed 408"
    assert both.client.state is FAILED
    both.say("next")
    assert both.heard() == ["ResponseItem 'next'"]
    both.played()
    both.at_rest()


def test_no_one_is_kept_waiting_for_a_dialogue_for_ever() -> None:
    both = listening()
    both.say("hold")
    both.advance(1000)
    assert both.client.state is PROCESSING  # there is no deadline: the request is under way
    both.turns[-1].say("at last")
    both.turns[-1].finish()
    both.settle()
    assert both.heard() == ["ResponseItem 'at last'"]
    both.played()
    both.at_rest()


@pytest.mark.parametrize("status", [401, 403, 500])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_host_that_refuses(status: int, streaming: bool, lazy: bool) -> None:
    both = listening(lazy=lazy)

    def refuse(event: Event, server: ServerChannel) -> bool:
        if isinstance(event, InitEvent):
            server.fail("not you", status=status)
        return isinstance(event, InitEvent)

    both.instead = refuse
    if streaming:
        both.listen()
    else:
        both.say("hello")
    lost = [] if streaming else ["TurnInterrupted 2 lost"]
    assert both.told("client")[streaming:] == [
        *(f"Error not you (HTTP {status})", *lost, f"ConnectionFailed {status}")
    ]
    assert both.client.session_id == ("c1" if status == 500 else None)
    both.instead = None
    both.say("now?")
    assert both.heard() == ["ResponseItem 'now?'"]
    assert both.client.session_id == ("c1" if status == 500 else "c2")
    both.played()
    both.at_rest()


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_a_client_that_wants_whole_responses(version: str, lazy: bool, msgpack: bool) -> None:
    both = Conversation(version, config=ClientConfig(), lazy=lazy, msgpack=msgpack, auto_start=True).open()
    both.played()
    both.say("one")
    both.played()
    told = [each for each in both.told("client") if each.startswith("Response")]
    assert told == ["Response 'intro'", "Response 'one'"]
    assert both.client.state is LISTENING


def test_an_answer_that_the_server_sends_early() -> None:
    """D-72: the body of the request has not ended."""
    both = listening()
    both.listen()
    both.client.send_audio(b"talk.")
    both.client.send_audio(b"more")
    both.settle()
    assert both.told("client")[1] == "Recognized final talk"
    assert both.client.state is RESPONDING
    both.turns[-1].finish()
    both.settle()
    both.played()
    both.at_rest()


def test_logs_reach_the_host_of_their_session(lazy: bool, msgpack: bool) -> None:
    both = listening(lazy=lazy, msgpack=msgpack)
    both.say("hold")
    both.client.log(LogEntry(text="a"))
    both.settle()
    assert LogEvent(entries=(LogEntry(text="a"),)) in list(both.link.events("server"))
    assert both.client.state is PROCESSING
    both.say("bye")
    both.client.log(LogEntry(text="b"))
    both.settle()
    assert [each for each in both.link.events("server") if isinstance(each, LogEvent)][-1].entries[
        0
    ].text == "b"
    both.played()
    both.at_rest()


def test_the_last_log_is_not_lost() -> None:
    both = listening()
    both.client.log(LogEntry(text="good-bye"))
    both.client.close()
    both.settle()
    assert "Log" in both.told("server")
    both.at_rest()


# ------------------------------------------------------------ two clients, one session


def pair(**second: Any) -> tuple[Conversation, Conversation]:
    """Two clients that both hold session c1."""
    one = listening()
    two = Conversation(
        clock=one.clock, sessions=one.sessions, **{"session_id": one.client.session_id, **second}
    ).open()
    two.forget()
    return one, two


def together(*both: Conversation) -> None:
    for _ in range(3):
        for each in both:
            each.settle()


def pass_time(seconds: float, *both: Conversation) -> None:
    """Let time pass for all, stopping at every deadline on the way."""
    clock = both[0].clock
    until = clock.now + seconds
    together(*both)
    while True:
        due = [when for each in both if (when := each.link.next_deadline()) is not None and when <= until]
        if not due:
            break
        clock.advance(max(0.0, min(due) - clock.now))
        together(*both)
    clock.advance(until - clock.now)
    together(*both)


def test_a_text_of_the_second_client_ends_the_turn_of_the_first() -> None:
    """D-68: a barge-in; the first is told an empty Response."""
    one, two = pair()
    one.say("hold")
    two.say("hello")
    together(one, two)
    assert (one.client.state, one.told("client")) == (LISTENING, ["Response"])
    assert two.heard() == ["ResponseItem 'hello'"]
    assert one.cut == ["hold"]
    assert one.client.session_id == two.client.session_id == "c1"
    two.played()
    one.say("and I")
    assert one.heard() == ["ResponseItem 'and I'"]
    one.played()
    assert one.turns[-1].number == 4
    one.at_rest()
    two.at_rest()


def test_a_text_of_the_second_client_waits_for_the_audio_of_the_first() -> None:
    one, two = pair()
    one.listen()
    one.speak(b"I am spea")
    two.say("hello")
    together(one, two)
    assert two.client.state is PROCESSING
    pass_time(0.5, one, two)
    one.speak(b"hold.")
    together(one, two)
    assert one.told("client")[-2:] == ["Recognized final hold", "Response"]
    assert two.heard() == ["ResponseItem 'hello'"]
    two.played()
    assert one.client.state is LISTENING
    one.at_rest()
    two.at_rest()


def test_a_text_of_the_second_client_does_not_wait_for_long() -> None:
    one, two = pair()
    one.listen()
    one.speak(b"I am spea")
    two.say("hello")
    pass_time(1, one, two)
    assert two.told("client")[-2:] == ["TurnInterrupted 1 lost", "ConnectionFailed 409"]
    assert (two.client.state, two.client.session_id) == (FAILED, "c1")
    assert one.client.audio is Audio.OPEN
    one.speak(b"I am speaking.")
    assert one.heard() == ["ResponseItem 'I am speaking'"]
    two.say("hello")
    together(one, two)
    assert two.heard() == ["ResponseItem 'hello'"]
    one.played()
    two.played()
    one.at_rest()
    two.at_rest()


def test_the_second_client_that_listens_takes_the_reader_of_the_first() -> None:
    one, two = pair()
    one.listen()
    one.speak(b"I")
    two.listen()
    together(one, two)
    assert (one.client.state, two.client.state) == (PROCESSING, LISTENING)
    pass_time(5, one, two)
    assert one.told("client")[-3:] == ["Recognized final #silence", "ResponseItem 'silence'", "Response"]
    # The GET of the second has read for the PUT of the first, which was there, and is over with it.
    assert (two.client.state, two.told("client")) == (LISTENING, ["InputAudioStreamOpen"])
    one.played()
    two.listen()
    two.speak(b"my", b"my turn.")
    assert two.told("client")[2:] == [
        *("Recognized interim my", "Recognized final my turn", "ResponseItem 'my turn'", "Response")
    ]
    two.played()
    one.at_rest()
    two.at_rest()


@pytest.mark.parametrize("whose", [{"device_id": "E"}, {"key": "L"}], ids=str)
def test_somebody_else_does_not_join_the_session(whose: dict[str, str]) -> None:
    one, two = pair(**whose)
    one.say("hold")
    two.say("hello")
    two.client.log(LogEntry(text="from outside"))
    together(one, two)
    assert two.heard() == ["ResponseItem 'hello'"]
    assert two.client.session_id == "s1"
    assert (one.client.state, one.told("client")) == (PROCESSING, [])
    two.listen()
    two.speak(b"an", b"another.")
    together(one, two)
    assert "Recognized interim an" in two.told("client")
    one.turns[-1].finish()
    together(one, two)
    two.played()
    one.at_rest()
    two.at_rest()


# ------------------------------------------------------------ sessions that the host keeps


def counting(turn: Turn) -> None:
    """Remembers in the session how often it was asked."""
    turn.session.data["asked"] = turn.session.data.get("asked", 0) + 1
    if turn.text != "hold":
        turn.say(f"{turn.text}, for the {turn.session.data['asked']}. time")
        turn.finish(session_ended=turn.text == "bye", sleep_timeout=60 if turn.text == "later" else 0)


def elsewhere(both: Conversation) -> None:
    """The next request reaches another process, which has nothing but the store."""
    both.sessions = Sessions(stored=True, clock=both.clock)


def test_turns_that_reach_different_processes(lazy: bool, msgpack: bool) -> None:
    both = Conversation(stored=True, lazy=lazy, msgpack=msgpack, dialogue=counting).open()
    for number in range(1, 4):
        both.say("hello")
        assert both.heard() == [f"ResponseItem 'hello, for the {number}. time'"]
        both.played()
        both.forget()
        elsewhere(both)
    both.listen()
    both.speak(b"and", b"and now.")
    assert both.heard() == ["ResponseItem 'and now, for the 4. time'"]
    both.played()
    elsewhere(both)
    both.say("later")
    both.played()
    elsewhere(both)
    both.say("bye")
    assert both.heard()[-1] == "ResponseItem 'bye, for the 6. time'"
    both.played()
    elsewhere(both)
    both.say("hello")
    assert both.heard()[-1] == "ResponseItem 'hello, for the 1. time'"
    assert set(both.store) == {"c1", "c2"}
    both.played()
    both.at_rest()


def test_an_ended_session_is_not_gone_on_with(lazy: bool) -> None:
    both = Conversation(stored=True, lazy=lazy, dialogue=counting).open()
    both.say("bye")
    both.played()
    both.client.session_id = "c1"  # it was not told
    elsewhere(both)
    both.say("hello")
    assert both.heard()[-1] == "ResponseItem 'hello, for the 1. time'"
    assert both.client.session_id == "s1"
    both.played()
    both.at_rest()


@pytest.mark.parametrize("place", ["SessionNeed", "StoreNeed"])
@pytest.mark.parametrize("way", ["broken off", "failed"])
def test_a_store_that_is_slow_or_out_of_order(place: str, way: str) -> None:
    both = Conversation(stored=True, dialogue=counting).open()
    both.say("hello")
    both.played()
    both.forget()
    held: list[tuple[Event, ServerChannel]] = []

    def hold(event: Event, server: ServerChannel) -> bool:
        if type(event).__name__ == place:
            held.append((event, server))
        return type(event).__name__ == place

    both.instead = hold
    both.say("two")
    (need, server) = held.pop()
    assert both.client.state is (PROCESSING if place == "SessionNeed" else RESPONDING)
    if way == "failed":
        server.fail("no store today", status=503)
        both.settle()
        if place == "SessionNeed":
            assert both.told("client")[0] == "Error no store today (HTTP 503)"
            assert (both.client.state, both.client.session_id) == (FAILED, "c1")
        else:
            assert both.told("client")[-1] == "Error"
            assert (both.client.state, both.client.session_id) == (SLEEPING, None)
    else:
        both.client.say("three")
        both.settle()
        assert isinstance(need, Need)
        with pytest.raises(TooLateError):
            server.provide(need, None)
        held.pop() if place == "SessionNeed" else None
    both.instead = None
    both.say("four")
    assert both.heard()[-1].startswith("ResponseItem 'four")
    both.played()
    assert both.client.state is LISTENING
    both.at_rest()


def test_a_session_that_somebody_else_has_taken() -> None:
    """The answer to StoreNeed is None: this turn is cut."""
    both = Conversation(stored=True, dialogue=counting).open()

    def lose(event: Event, server: ServerChannel) -> bool:
        if isinstance(event, StoreNeed):
            server.provide(event, None)
        return isinstance(event, StoreNeed)

    both.instead = lose
    both.say("hello")
    assert both.told("client")[-2:] == ["ResponseItem 'hello, for the 1. time'", "Response"]
    both.played()
    assert both.client.state is LISTENING
    both.at_rest()


# ------------------------------------------------------------ conversations walked at random

PLANS: dict[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {}),
    "two": (2, {}),
    "nothing": (0, {}),
    "end": (1, {"session_ended": True}),
    "mute end": (0, {"session_ended": True}),
    "sleep": (1, {"sleep_timeout": 3}),
    "mute sleep": (0, {"sleep_timeout": 3}),
    "items": (1, {"items": (ResponseItem(text="?"),)}),
    "language": (1, {"locale": "cs"}),
}
"""What a dialogue answers, by the end of the input's text: how many parts, and its Response."""
SLOW = "slow"
"""Its answer waits until a move gives it."""


class Broken(AssertionError):
    """Something that must hold does not."""


class Walk:
    """A client, its servers, and a world in which anything may happen at any time, one thing after the other.

    What the dialogue says repeats the input and counts: ``7:two/0``, ``7:two/1``.
    """

    def __init__(self, **setup: Any) -> None:
        self.both = Conversation(lazy=True, dialogue=self.answer, **setup)
        self.client = self.both.client
        assert isinstance(self.client, SocketV2Client)
        assert isinstance(self.both.link, HttpLink)
        self.link = self.both.link
        self.link.on_event["client"] = self.watch
        self.link._make_server = self.connect
        self.refusals = 0
        self.waiting: list[Turn] = []
        self.spoken: dict[Turn, int] = {}
        self.inputs = 0
        self.turns: list[ClientTurn] = []
        self.said: dict[int, str] = {}
        self.interrupted: set[int] = set()
        self.parts: dict[int, int] = {}
        self.closed = False
        self.story: list[str] = [str(setup)]
        self.client.open()
        if self.client.auto_start:
            self.remember(self.client.turn)
            self.said[1] = "#intro"

    # -------------------------------------------------------- hosts

    def connect(self) -> Channel | None:
        if self.refusals > 0:
            self.refusals -= 1
            return None
        return self.both.make_server()

    def answer(self, turn: Turn) -> None:
        plan = turn.text.partition(":")[2]
        if plan == SLOW:
            self.waiting.append(turn)
            return
        parts, members = PLANS.get(plan, PLANS["one"])
        for number in range(parts):
            turn.say(f"{turn.text}/{number}")
        turn.finish(turn_id=turn.text, **members)

    def watch(self, event: Event) -> None:
        self.story.append(f"        told {line(event)} in {self.client.state.value}")
        if self.closed:
            raise Broken("something is told behind the end")
        match event:
            case ClosedEvent():
                self.closed = True
            case FaultEvent() if "logs" not in str(event.error):
                raise Broken(f"both ends are ours: {event.error}")
            case TurnInterruptedEvent():
                if event.number in self.interrupted:
                    raise Broken("interrupted twice")
                self.interrupted.add(event.number)
            case RecognizedInputEvent(is_final=True):
                self.remember(self.client.turn)
                self.said.setdefault(self.client.turn.number, event.text)
            case ResponseItemEvent():
                self.hear(event.response_item.text or "")
            case ResponseEvent():
                self.hear(None)
                for item in event.response.items:
                    if item.text != "?":
                        raise Broken("an item that nobody sent")

    def hear(self, text: str | None) -> None:
        """A part of an answer, or its end."""
        turn = self.client.turn
        self.remember(turn)
        if turn.number in self.interrupted:
            raise Broken(f"{text} belongs to turn {turn.number}, which was interrupted")
        if text is not None and text != "?":
            number = self.parts.get(turn.number, 0)
            self.parts[turn.number] = number + 1
            if text != f"{self.said.get(turn.number)}/{number}":
                raise Broken(f"{text} is no answer to {self.said.get(turn.number)!r}")

    def remember(self, turn: ClientTurn) -> None:
        if turn not in self.turns:
            self.turns.append(turn)

    def text(self, plan: str) -> str:
        self.inputs += 1
        return f"{self.inputs}:{plan}"

    # -------------------------------------------------------- what may happen

    def move(self, name: str, pick: int) -> None:
        self.story.append(f"{name} {pick}")
        getattr(self, name)(pick)
        self.check()

    def say(self, pick: int) -> None:
        text = self.text(_one(_EVERY_PLAN, pick))
        turn = self.client.say(text)
        self.said[turn.number] = text
        self.remember(turn)

    def record(self, pick: int) -> None:
        assert isinstance(self.client, SocketV2Client)
        text = self.text(_one(_EVERY_PLAN, pick))
        self.remember(self.client.send_recording(f"{text}.".encode() if pick % 5 else b"~"))

    def listen(self, pick: int) -> None:  # noqa: ARG002
        try:
            self.client.open_microphone()
        except LocalProtocolError:
            if self.client.state is not PROCESSING:
                raise

    def speak(self, pick: int) -> None:
        self.client.send_audio(_one((b"~", b"so", b"so it"), pick))

    def conclude(self, pick: int) -> None:
        self.client.send_audio(f"{self.text(_one(_EVERY_PLAN, pick))}.".encode())

    def hush(self, pick: int) -> None:  # noqa: ARG002
        self.client.close_microphone()

    def touch(self, pick: int) -> None:
        if pick % 3 or not self.turns:
            self.client.interrupt()
        else:
            _one(self.turns, pick).interrupt()

    def hold(self, pick: int) -> None:
        self.client.pause() if pick % 2 else self.client.resume()

    def played(self, pick: int) -> None:
        if pick % 4 or not self.turns:
            self.client.finish_playback()
        else:
            _one(self.turns, pick).finish_playback()

    def log(self, pick: int) -> None:  # noqa: ARG002
        self.client.log(LogEntry(text="a"))

    def client_loop(self, pick: int) -> None:
        if pick % 3:
            self.link.take_events("client")
        if pick % 3 != 1:
            self.link.flush("client")

    def server_loop(self, pick: int) -> None:
        if pick % 3:
            self.link.take_events("server")
        if pick % 3 != 1:
            self.link.flush("server")

    def act(self, pick: int) -> None:
        """The hosts of the servers act: each keeps its order, but they do not wait for each other."""
        if not self.both.pending:
            return
        servers = list(dict.fromkeys(each.args[1] for each in self.both.pending))  # type: ignore[attr-defined]
        server = _one(servers, pick)
        act = next(each for each in self.both.pending if each.args[1] is server)  # type: ignore[attr-defined]
        self.both.pending.remove(act)
        act()

    def reply(self, pick: int) -> None:
        """A slow dialogue goes on."""
        self.waiting = [turn for turn in self.waiting if not turn.over]
        if self.waiting:
            turn = _one(self.waiting, pick)
            if pick % 2:
                number = self.spoken[turn] = self.spoken.get(turn, -1) + 1
                turn.say(f"{turn.text}/{number}")
            else:
                turn.finish(turn_id=turn.text)

    def fail(self, pick: int) -> None:
        """A host reports an error, or its process goes away."""
        if self.link._wires:
            server = _one(self.link._wires, pick).server
            assert isinstance(server, ServerChannel)
            with suppress(LocalProtocolError):
                server.fail("broken") if pick % 2 else server.close(1001)

    def deliver(self, pick: int) -> None:
        wires = [wire for wire in self.link._wires if wire.to_server or wire.to_client]
        if not wires:
            return
        wire = wires[-1] if pick % 6 == 0 else _one(wires, pick)
        while pick % 6 == 0 and wire.to_client and wire in self.link._wires:
            self.link._answer(wire, wire.to_client.popleft())  # the GET is ahead of its PUT
        if wire.to_server and (pick % 2 or not wire.to_client):
            wire.server.receive_data(wire.to_server.popleft())
        elif wire.to_client:
            self.link._answer(wire, wire.to_client.popleft())

    def catch_up(self, pick: int) -> None:
        """Most of the time all goes as it should."""
        for _ in range(pick % 4):
            self.link.take_events("client")
            self.link.flush("client")
            self.link._deliver_all("server")
            self.link.take_events("server")
            while self.both.pending:
                self.act(0)
            self.link.flush("server")
            self.link._deliver_all("client")
        self.link.take_events("client")

    def lose(self, pick: int) -> None:
        """One connection breaks, and each end hears of it."""
        if self.link._wires:
            wire = _one(self.link._wires, pick)
            self.link._wires.remove(wire)
            wire.exchange.receive_eof()
            self.link._hang_up(wire)

    def cut(self, pick: int) -> None:  # noqa: ARG002
        self.link.cut()

    def refuse(self, pick: int) -> None:
        """The next connections are refused."""
        self.refusals = pick % 3 + 1

    def wait(self, pick: int) -> None:
        self.both.clock.advance(_one((0.1, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 31.0), pick))

    def moot(self, name: str) -> bool:
        """Whether such a move would do nothing now."""
        ends = [wire.server for wire in self.link._wires]
        match name:
            case "speak" | "conclude" | "hush":
                return self.client.audio is Audio.CLOSED
            case "client_loop":
                requests = self.client._requests  # type: ignore[attr-defined]
                return not (self.client._inbox or self.client._told or any(each.pending for each in requests))
            case "server_loop":
                return not any(each._inbox or each._told or each._outbox for each in ends)
            case "act":
                return not self.both.pending
            case "reply":
                return all(turn.over for turn in self.waiting)
            case "deliver":
                return not self.link._in_flight()
            case "lose" | "fail" | "cut":
                return not ends
        return False

    # -------------------------------------------------------- what must hold

    def check(self) -> None:
        end = self.client
        assert isinstance(end, SocketV2Client)
        put = end._put_request
        if end.state is PROCESSING and (put is None or put.over) and not end._inbox:
            raise Broken("an answer is awaited that cannot come")
        if end.audio is Audio.OPEN and (end.state is not LISTENING or put is None or not put.writing):
            raise Broken("audio flows nowhere")
        if end._outbox_bytes != sum(each.waiting_bytes for each in end._requests):
            raise Broken("what waits to be sent is counted wrong")
        if end._inbox_bytes != sum(cost for _, cost in end._inbox):
            raise Broken("what waits to be told is counted wrong")
        for turn in self.turns:
            if turn.number in self.interrupted and not turn.over:
                raise Broken("interrupted, and not over")

    def settle(self) -> None:
        for _ in range(1000):
            before = len(self.link.steps), len(self.both.pending)
            self.link.settle()
            while self.both.pending:
                self.act(0)
            for turn in self.waiting:
                if not turn.over:
                    turn.finish()
            if before == (len(self.link.steps), len(self.both.pending)):
                return
        raise Broken("it never comes to rest")

    def come_to_rest(self) -> None:
        """With a server that answers there is always a way on, and nothing is left behind."""
        self.refusals = 0
        self.settle()
        for _ in range(40):
            self.both.clock.advance(1)
            self.settle()
        self.check()
        before = len(self.story)
        self.move("say", 0)
        self.settle()
        number = self.client.turn.number
        told = "".join(self.story[before:])
        if (
            "told ResponseItem" not in told
            or self.client.state is not RESPONDING
            or number in self.interrupted
        ):
            raise Broken("what is said at last is not answered")
        self.client.finish_playback()
        self.settle()
        if self.client.state is not LISTENING:
            raise Broken("what is said at last cannot be left")
        self.client.close()
        self.settle()
        self.both.clock.advance(100)
        self.settle()
        if not self.closed:
            raise Broken("the end is not told")
        self.both.at_rest()
        for turn in self.turns:
            if not turn.over:
                raise Broken(f"{turn} never ends")


def _one(of: Any, pick: int) -> Any:
    return of[pick % len(of)]


_EVERY_PLAN = ("one", "two", SLOW, *PLANS)
MOVES: dict[str, float] = {
    # the user
    "say": 0.5,
    "record": 0.2,
    "listen": 0.8,
    "speak": 4,
    "conclude": 3,
    "hush": 0.2,
    "touch": 0.3,
    "hold": 0.6,
    "played": 1.5,
    "log": 0.4,
    # the hosts
    "client_loop": 8,
    "server_loop": 8,
    "act": 10,
    "reply": 3,
    "catch_up": 0.6,
    # the world
    "deliver": 16,
    "lose": 0.1,
    "cut": 0.06,
    "fail": 0.1,
    "refuse": 0.1,
    "wait": 0.5,
}
"""What may happen, and how often it does."""
SETUPS = dict.fromkeys(
    ("msgpack", "stored", "auto_start", "auto_microphone", "pause_on_interrupt"), (False, True)
)


def walked(seed: int, length: int = 100) -> Walk:
    rng = random.Random(seed)
    walk = Walk(**{name: rng.choice(each) for name, each in SETUPS.items()})
    try:
        for _ in range(length):
            moves = [name for name in MOVES if not walk.moot(name)]
            (name,) = rng.choices(moves, [MOVES[each] for each in moves])
            walk.move(name, rng.randrange(60))
        walk.come_to_rest()
    except Exception as error:
        raise Broken(f"seed {seed}: {error!r}\n" + "\n".join(walk.story)) from error
    return walk


def test_every_conversation_comes_to_rest() -> None:
    answered = interrupted = 0
    for seed in range(100):
        walk = walked(seed)
        answered += len(walk.parts)
        interrupted += len(walk.interrupted)
    assert answered > 200
    assert interrupted > 200


@pytest.mark.long
def test_very_many_conversations_come_to_rest() -> None:
    for seed in range(100_000, 120_000):
        walked(seed)


class Conversing(RuleBasedStateMachine):
    """Hypothesis chooses what happens."""

    @initialize(setup=st.fixed_dictionaries({name: st.sampled_from(each) for name, each in SETUPS.items()}))
    def begin(self, setup: dict[str, Any]) -> None:
        self.walk = Walk(**setup)

    @rule(name=st.sampled_from(list(MOVES)), pick=st.integers(0, 59))
    def move(self, name: str, pick: int) -> None:
        self.walk.move(name, pick)

    def teardown(self) -> None:
        if hasattr(self, "walk"):
            self.walk.come_to_rest()


@pytest.mark.parametrize(
    ("examples", "steps"), [(25, 40), pytest.param(2000, 60, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_no_conversation_that_hypothesis_finds_falls_apart(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Conversing,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

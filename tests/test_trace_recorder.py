"""The recorder: what it writes, that it harms nobody, and that it leaves all other machines alone."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import BinaryEvent, ClosedEvent, ErrorEvent, Event, InitEvent, InputEvent
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.trace import (
    Act,
    Cut,
    Head,
    Idle,
    Lost,
    Opened,
    Record,
    Recorder,
    Setting,
    Told,
    Watcher,
    replay,
    unpack,
)
from flowstorm_channel.trace.plain import of_plain, plain
from flowstorm_channel.wire import Close, RequestHead
from tests.recording import Tape, everything_recorded

INIT = '{"type": "Init", "key": "a secret", "deviceId": "D", "config": {"sendResponseItems": true}}'
HELLO = '{"type": "Input", "input": {"transcript": {"text": "hello"}}}'


def conversation(server: SocketV1Server) -> list[Any]:
    """What it tells and sends in a short one."""
    done: list[Any] = []
    for message in (RequestHead(url="/socket"), INIT, HELLO, Close(1000, "bye")):
        server.receive_data(message)
        for event in server.events():
            done.append(event)
            if isinstance(event, InitEvent):
                server.ready()
            if isinstance(event, InputEvent):
                server.turn.say("Hello!")
                server.turn.finish()
        done += server.data_to_send()
    return done


def make(**kw: Any) -> SocketV1Server:
    return SocketV1Server(clock=ManualClock(), make_id=lambda: "S", **kw)


# ------------------------------------------------------------ what is written


def test_a_recording_tells_all_that_went_through_the_doors() -> None:
    tape = Tape()
    recorded = conversation(tape.recorder.watch(make()))
    recording = tape.recording
    assert recording.head == Head(channel="mixed", seen_by="server", redacted=("tokens",))
    opened, *entries = recording.entries
    assert isinstance(opened, Opened)
    assert (opened.kind, opened.sessions) == ("SocketV1Server", None)
    told = [each for each in entries if isinstance(each, Told)]
    assert [each.event["type"] for each in told] == ["Init", "Input", "Closed"]
    assert [each.state for each in told] == ["Open", "Processing", "Closed"]
    acts = [each for each in entries if isinstance(each, Act)]
    assert [each.name for each in acts] == ["ready", "turn.send", "turn.send"]
    assert ("make_id", {"value": "S"}) in [given for each in (*told, *acts) for given in each.given]
    by_server = [each.message for each in recording.records if each.by == "server"]
    assert by_server == [each for each in recorded if not isinstance(each, Event)]
    assert len([each for each in recording.records if each.by == "client"]) == 4
    assert {each.of for each in entries if isinstance(each, Idle)} == {"events", "output"}
    assert recording.records == tuple(each for each in entries if isinstance(each, Record))


def test_a_machine_that_is_recorded_does_what_it_does_unrecorded() -> None:
    assert conversation(Tape().recorder.watch(make())) == conversation(make())


def test_a_recorder_leaves_other_machines_alone() -> None:
    server = make()
    Tape().recorder.watch(make())
    assert vars(server).keys() == vars(make()).keys()


def test_time_stands_still_within_a_door() -> None:
    class Hurrying:
        now = 0.0

        def __call__(self) -> float:
            self.now += 1
            return self.now

    tape = Tape()
    conversation(tape.recorder.watch(SocketV1Server(clock=Hurrying(), make_id=lambda: "S")))
    times = [each.at for each in tape.recording.entries]
    assert times == sorted(times)
    assert replay(tape.recording).differences == ()


def test_several_machines_of_one_recording_have_numbers() -> None:
    tape = Tape()
    servers = [tape.recorder.watch(make()) for _ in range(2)]
    assert tape.recorder.open == 2
    for server in servers:
        conversation(server)
    recording = tape.recording
    assert tape.recorder.open == 0
    assert {(each.channel, each.wire) for each in recording.records} == {(0, 0), (1, 1)}
    assert recording.of([1]).records == tuple(each for each in recording.records if each.channel == 1)


def test_every_transport_of_a_client_has_its_number() -> None:
    with everything_recorded() as tape:
        clock = ManualClock()
        client = SocketV1Client("ws://x/socket", key="k", device_id="d", clock=clock)
        link = Link(client, lambda: None, clock)
        client.open()
        link.advance(25)
    opened = [each.wire for each in tape.recording.records if isinstance(each.message, RequestHead)]
    assert opened == [0, 1, 2]
    assert [each.wire for each in tape.recording.entries if isinstance(each, Lost)] == [0, 1, 2]
    assert replay(tape.recording).differences == ()


def test_the_requests_of_a_v2_client_have_numbers() -> None:
    with everything_recorded() as tape:
        clock = ManualClock()
        client = SocketV2Client("http://x/client", key="k", device_id="d", clock=clock)
        sessions = Sessions(clock=clock)
        link = HttpLink(client, lambda: SocketV2Server(sessions, clock=clock), clock)

        def accept(event: object) -> None:
            if isinstance(event, InitEvent):
                assert isinstance(link.server, ServerChannel)
                link.server.ready()

        link.on_event["server"] = accept
        client.open()
        client.open_microphone()
        link.settle()
        link.cut()
        link.settle()
        client.receive_eof()
        link.settle()
    mine = tape.recording.of([0])
    heads = [(each.wire, each.message) for each in mine.records if isinstance(each.message, RequestHead)]
    assert len({wire for wire, _ in heads}) == 2
    assert [head.method for _, head in heads] == ["PUT", "GET"]
    lost = [each.wire for each in mine.entries if isinstance(each, Lost)]
    assert lost == [*(wire for wire, _ in heads), None]
    assert replay(tape.recording).differences == ()


def test_what_a_host_changes_by_itself_is_written() -> None:
    tape = Tape()
    client = tape.recorder.watch(SocketV1Client("ws://x/", key="k", device_id="d", clock=ManualClock()))
    client.attributes = {"clientType": "test"}
    client.auto_start = True
    client.open()
    settings = [(each.name, each.value) for each in tape.recording.entries if isinstance(each, Setting)]
    assert settings == [("attributes", {"clientType": "test"}), ("auto_start", True)]
    assert replay(tape.recording).differences == ()


def test_sessions_that_are_there_already_are_written_once() -> None:
    clock = ManualClock()
    sessions = Sessions(clock=clock)
    sessions.keep(Session(session_id="old", key="k", device_id="d", turns=3), 60)
    sessions.keep(Session(session_id="odd", key="k", device_id="d", data={"x": object()}), 60)
    tape = Tape(tokens=True)
    for _ in range(2):
        tape.recorder.watch(SocketV2Server(sessions, clock=clock))
    first, second = (each for each in tape.recording.entries if isinstance(each, Opened))
    assert (first.sessions, second.sessions, second.settings["sessions"]) == (0, 0, None)
    ((snapshot, seconds),) = first.settings["sessions"]["kept"]
    assert (Session.restore(snapshot).turns, seconds) == (3, 60.0)
    assert replay(tape.recording).channels == 2


def test_misuse_is_written_and_replayed() -> None:
    tape = Tape()
    server = tape.recorder.watch(make())
    for call in (
        server.ready,
        lambda: server.send(ErrorEvent(text="too early")),
        lambda: server.send(BinaryEvent(data=b"not here")),
        lambda: server.provide(object(), None),  # type: ignore[arg-type]
        lambda: server.receive_data(7),  # type: ignore[arg-type]
    ):
        with pytest.raises((LocalProtocolError, TypeError)):
            call()
    acts = [(each.name, each.raised) for each in tape.recording.entries if isinstance(each, Act)]
    assert [name for name, _ in acts] == ["ready", "send", "send", "provide"]
    assert None not in [raised for _, raised in acts]
    assert replay(tape.recording).differences == ()


# ------------------------------------------------------------ harming nobody


def test_a_disk_that_is_full_ends_the_recording_and_not_the_conversation() -> None:
    pieces: list[bytes] = []

    def write(data: bytes) -> None:
        if len(pieces) == 5:
            raise OSError("no space left")
        pieces.append(data)

    recorder = Recorder(write)
    server = recorder.watch(make())
    assert conversation(server) == conversation(make())
    assert str(recorder.failure) == "no space left"
    assert recorder.size == sum(map(len, pieces))
    assert len(unpack(b"".join(pieces)).entries) == 4
    recorder.watch(make())
    assert len(pieces) == 5


def test_a_recording_that_was_stopped_says_so_and_leaves_the_machines_at_work() -> None:
    tape = Tape()
    server = tape.recorder.watch(make())
    server.receive_data(RequestHead(url="/"))
    tape.recorder.stop("the disk is needed")
    size = tape.recorder.size
    server.receive_data(INIT)
    server.receive_eof()
    assert [type(each) for each in server.events()] == [InitEvent, ClosedEvent]
    assert list(server.data_to_send()) == []
    with pytest.raises(LocalProtocolError):
        server.ready()
    tape.recorder.stop()
    assert tape.recorder.size == size
    nothing = Tape()
    nothing.recorder.stop()
    assert nothing.file == b""


def test_only_new_machines_of_this_library_are_recorded() -> None:
    used = make()
    used.receive_data(RequestHead(url="/"))
    with pytest.raises(ValueError, match="just made"):
        Tape().recorder.watch(used)
    with pytest.raises(TypeError, match="no channel of this library"):
        Tape().recorder.watch(object())  # type: ignore[type-var]

    class Mine(SocketV1Server):
        pass

    tape = Tape()
    tape.recorder.watch(Mine(clock=ManualClock()))
    assert [each.kind for each in tape.recording.entries if isinstance(each, Opened)] == ["SocketV1Server"]


def test_a_lock_is_held_while_a_machine_works() -> None:
    held: list[bool] = []

    class Lock:
        def __enter__(self) -> None:
            held.append(True)

        def __exit__(self, *_: object) -> None:
            held.append(False)

    watcher: Watcher = Recorder(lambda _: None, lock=Lock())
    conversation(watcher.watch(make()))
    assert held.count(True) == held.count(False) > 10


class Angry:
    """Does not even say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Unruly(dict[str, Any]):
    """Is changed by another thread just now."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


def test_an_object_that_cannot_be_looked_at_ends_the_recording_and_not_the_conversation() -> None:
    tape = Tape()
    server = tape.recorder.watch(make())
    with pytest.raises(LocalProtocolError):
        server.provide(Angry(), None)  # type: ignore[arg-type]
    assert tape.recorder.failure is None
    client = tape.recorder.watch(SocketV1Client("ws://x/", key="k", device_id="d", clock=ManualClock()))
    client.attributes = Unruly(a=1)
    client.open()
    assert isinstance(next(client.data_to_send()), RequestHead)
    assert "changed size" in str(tape.recorder.failure)


def test_a_machine_that_cannot_be_described_is_not_recorded_and_works() -> None:
    tape = Tape()
    server = make()
    server.limits = object()  # type: ignore[assignment]
    assert tape.recorder.watch(server) is server
    assert tape.recorder.failure is not None


def test_a_wrong_call_says_what_is_wrong_with_it() -> None:
    tape = Tape()
    server = tape.recorder.watch(make())
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        server.fail()  # type: ignore[call-arg]
    assert [type(each) for each in tape.recording.entries] == [Opened]


def failing() -> str:
    raise OSError("the store of ids is away")


def test_time_goes_on_after_a_machine_has_failed_and_others_are_recorded() -> None:
    tape = Tape()
    clock = ManualClock()
    other = tape.recorder.watch(SocketV1Server(clock=clock, make_id=lambda: "S"))
    server = tape.recorder.watch(SocketV1Server(clock=clock, make_id=failing))
    for message in (RequestHead(url="/socket"), INIT):
        server.receive_data(message)
        for _ in server.events():
            server.ready()
    server.receive_data(HELLO)
    with pytest.raises(OSError, match="store of ids"):
        list(server.events())
    list(server.data_to_send())
    clock.advance(100)
    assert (server._clock(), other._clock()) == (100.0, 100.0)
    assert tape.recorder.open == 1
    conversation(other)
    recording = tape.recording
    assert [each.channel for each in recording.entries if isinstance(each, Cut)] == [1]
    assert recording.of([0]).records
    assert replay(recording).differences == ()


def test_what_a_host_does_while_the_world_fails_is_replayed() -> None:
    tape = Tape()
    server = tape.recorder.watch(SocketV1Server(clock=ManualClock(), make_id=failing))
    for message in (RequestHead(url="/socket"), INIT):
        server.receive_data(message)
        for _ in server.events():
            server.ready()
    with pytest.raises(OSError, match="store of ids"):
        server.begin().say("Hello!")
    assert [each.raised for each in tape.recording.entries if isinstance(each, Act)][-1] == "OSError"
    assert replay(tape.recording).differences == ()
    assert b"store of ids" not in tape.file


class Interrupted(BaseException):
    """Like that of the keyboard."""


def test_a_host_that_is_interrupted_within_a_door_leaves_it() -> None:
    def interrupting() -> str:
        raise Interrupted

    tape = Tape()
    clock = ManualClock()
    server = tape.recorder.watch(SocketV1Server(clock=clock, make_id=interrupting))
    for message in (RequestHead(url="/socket"), INIT):
        server.receive_data(message)
        for _ in server.events():
            server.ready()
    with pytest.raises(Interrupted):
        server.begin().say("Hello!")
    clock.advance(5)
    assert server._clock() == 5.0
    assert isinstance(tape.recording.entries[-1], Cut)


def test_sessions_have_numbers_of_their_own_after_others_are_gone() -> None:
    clock = ManualClock()
    tape = Tape()
    one, two = Sessions(clock=clock), Sessions(clock=clock)
    tape.recorder.watch(SocketV2Server(one, clock=clock))
    tape.recorder.watch(SocketV2Server(two, clock=clock))
    del one
    gc.collect()
    tape.recorder.watch(SocketV2Server(Sessions(clock=clock), clock=clock))
    assert [each.sessions for each in tape.recording.entries if isinstance(each, Opened)] == [0, 1, 2]


def test_sessions_that_outlive_many_recordings_are_not_wrapped_again_and_again() -> None:
    clock = ManualClock()
    sessions = Sessions(clock=clock)
    for _ in range(2000):
        recorder = Recorder(lambda _: None)
        recorder.watch(SocketV2Server(sessions, clock=clock))
        recorder.stop()
    clock.advance(7)
    assert sessions._clock() == 7.0
    assert len(sessions._clock.tapes) == 1  # type: ignore[attr-defined]
    last = Recorder(lambda _: None)
    last.watch(SocketV2Server(sessions, clock=clock))
    last._tape.enter(None, 3.0)
    assert sessions._clock() == 3.0


def test_what_is_asked_for_behind_no_door_is_not_collected() -> None:
    tape = Tape()
    server = tape.recorder.watch(make())
    tape.recorder.stop()
    for _ in range(5):
        server._make_id()
    assert tape.recorder._tape._given == []


# ------------------------------------------------------------ plain values

PLAIN = {
    "JSON": {"a": [1, 2.5, None, True, "x"], "b": {"$c": "d", "$$e": 1}},
    "bytes": b"\x00\xff",
    "a great number": {"n": 2**80, "m": -(2**63)},
    "other names": {1: "one", None: [2]},
    "a note's form": {"$object": ["set", "x"], "more": 1},
}


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_what_a_host_hands_over_comes_back(value: Any) -> None:
    assert of_plain(plain(value)) == value


def test_what_cannot_be_written_is_shown() -> None:
    back = of_plain(plain({"a": {1, 2}, "b": [object]}))
    assert (type(back["a"]).__name__, repr(back["a"])) == ("set", "{1, 2}")
    endless: list[Any] = []
    endless.append(endless)
    assert "nested too deep" in repr(plain(endless))
    assert plain(Angry()) == {"$object": ["Angry", "its repr raises RuntimeError"]}
    assert len(repr(of_plain(plain({"x" * 5000})))) == 1000

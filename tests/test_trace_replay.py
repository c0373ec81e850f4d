"""What was recorded is done again: without a difference by the same machines, with one by others."""

from __future__ import annotations

import contextlib
import itertools
import random
from datetime import datetime
from typing import Any

import attrs
import pytest

from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, SignatureError
from flowstorm_channel.events import Event, InputAudioStreamOpenEvent, InputEvent
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.trace import (
    Act,
    Cut,
    Head,
    Idle,
    Lost,
    Opened,
    Record,
    Recording,
    Replay,
    Setting,
    Told,
    dump,
    load,
    pack,
    replay,
    unpack,
)
from flowstorm_channel.trace.comparison import first_difference
from flowstorm_channel.trace.sources import Answers
from flowstorm_channel.trace.trees import entry_of_tree, tree_of_entry
from flowstorm_channel.values import ResponseItem
from flowstorm_channel.wire import Close, RequestHead, ResponseHead
from tests.equivalence import PARTIES, Line, SocketV1, SocketV2
from tests.recorded import V2Walk
from tests.recording import everything_recorded
from tests.test_alexa_server import Server as AlexaHost
from tests.test_alexa_server import amazon
from tests.walk import Walk, random_moves, random_setup

SCRIPT = (
    Line(act="start", answer=[ResponseItem(text="Hello! What is your name?")]),
    Line(
        text="Žofie", answer=[ResponseItem(text="Nice to meet you."), ResponseItem(text="How old are you?")]
    ),
    Line(
        act="silence",
        answer=[ResponseItem(text="Are you there?", ssml="<speak>Are <b>you</b> there?</speak>")],
    ),
    Line(act="stop", answer=[ResponseItem(text="Good bye")]),
)
REDACTIONS = {
    "whole": {"tokens": True},
    "without tokens": {},
    "without texts": {"texts": False},
    "without audio": {"audio": False},
    "without any": {"texts": False, "audio": False},
}


def same(recording: Recording) -> Replay:
    """Replay it, and find no difference."""
    done = replay(recording)
    assert done.differences == ()
    return done


# ------------------------------------------------------------ the same machines


@pytest.mark.parametrize("redaction", REDACTIONS.values(), ids=REDACTIONS)
@pytest.mark.parametrize("party", PARTIES, ids=[each.__name__ for each in PARTIES])
def test_a_conversation_on_any_channel_is_replayed(party: Any, redaction: dict[str, bool]) -> None:
    with everything_recorded(**redaction) as tape:
        one = party(SCRIPT)
        one.run()
    recording = tape.recording
    done = same(recording)
    assert done.entries == len(recording.entries) > 40
    assert done.channels >= 1
    told = [each.event["type"] for each in recording.entries if isinstance(each, Told)]
    assert told.count("Input") == len(SCRIPT)
    assert not [each for each in recording.entries if isinstance(each, Act) and each.raised]


@pytest.mark.parametrize("redaction", REDACTIONS.values(), ids=REDACTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_a_walk_of_v1_is_replayed(seed: int, redaction: dict[str, bool]) -> None:
    with everything_recorded(**redaction) as tape:
        rng = random.Random(seed)
        walk = Walk(random_setup(rng))
        for name, arguments in random_moves(rng, 60):
            walk.move(name, *arguments)
    same(tape.recording)


@pytest.mark.parametrize("redaction", REDACTIONS.values(), ids=REDACTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_a_walk_of_v2_is_replayed(seed: int, redaction: dict[str, bool]) -> None:
    with everything_recorded(**redaction) as tape:
        walk = V2Walk(random.Random(seed))
        for _ in range(80):
            walk.move()
    same(tape.recording)


@pytest.mark.parametrize("travelling", [False, True], ids=["here", "travelling"])
@pytest.mark.parametrize("redaction", REDACTIONS.values(), ids=REDACTIONS)
def test_what_a_dialogue_remembers_is_replayed(redaction: dict[str, bool], travelling: bool) -> None:
    with everything_recorded(**redaction) as tape:
        server = AlexaHost(travelling=travelling, stored=not travelling)
        snapshot = None
        for number in range(3):
            asked = server.launch() if number == 0 else server.say()
            if not travelling:
                asked.told()
                asked.provide(snapshot)
            asked.turn.session.data["secret"] = f"number {number}"
            asked.machine.attributes["n"] = number
            asked.turn.finish(items=(ResponseItem(text="so"),))
            if not travelling:
                snapshot = asked.need.snapshot
                asked.provide(snapshot)
            assert asked.sent()[0] == "200"
    recording = tape.recording
    same(recording)
    settings = [each for each in recording.entries if isinstance(each, Setting)]
    assert {each.name for each in settings} == {"session.data", "attributes"}
    assert (b"number" in tape.file) == redaction.get("texts", True)


def test_what_a_dialogue_left_counts_when_another_request_ends_its_turn() -> None:
    with everything_recorded() as tape:
        server = AlexaHost()
        first = server.launch()
        first.machine.attributes["left"] = "here"
        server.say()
        assert first.tree["sessionAttributes"] == {"left": "here"}
    same(tape.recording)


def test_a_client_that_begins_another_request_is_caught() -> None:
    with everything_recorded() as tape:
        SocketV2(SCRIPT).run()
    recording = tape.recording
    entries = tuple(
        attrs.evolve(each, given=())
        if getattr(each, "channel", 0) == 0 and getattr(each, "given", ())
        else each
        for each in recording.entries
    )
    (found,) = (
        each for each in replay(attrs.evolve(recording, entries=entries)).differences if not each.channel
    )
    assert "asking for more: make_id, wire" in found.replayed


def test_a_verdict_on_a_signature_is_replayed_without_the_keys() -> None:
    with everything_recorded() as tape:
        server = AlexaHost(signer=amazon())
        server.fetches = True
        server.launch().turn.finish()
        server.peer.signer = amazon("Somebody")
        server.launch()
    recording = tape.recording
    same(recording)
    asked = [name for each in recording.entries if isinstance(each, Told) for name, _ in each.given]
    assert {"certificates.need", "certificates.check", "now"} <= set(asked)
    told = [each.event["type"] for each in recording.entries if isinstance(each, Told)]
    assert (told.count("Input"), told.count("Fault")) == (1, 1)


def test_a_recording_that_is_written_as_text_is_replayed_too() -> None:
    with everything_recorded() as tape:
        SocketV1(SCRIPT).run()
    recording = tape.recording
    text = "".join(dump(recording.head, recording.entries))
    assert load(text.splitlines(keepends=True)) == recording
    assert unpack(b"".join(pack(recording))) == recording
    same(load(text.splitlines(keepends=True)))


def test_a_file_that_was_cut_off_anywhere_is_replayed_up_to_there() -> None:
    with everything_recorded() as tape:
        SocketV1(SCRIPT).run()
    whole = tape.recording
    file = tape.file
    ends = list(itertools.accumulate(len(piece) for piece in pack(whole)))
    for turn, length in enumerate(range(ends[0], len(file) + 1, 23)):
        kept = unpack(file[:length])
        assert kept.entries == whole.entries[: sum(end <= length for end in ends[1:])]
        if turn % 40 == 0:
            same(kept)
    with pytest.raises(RemoteProtocolError, match="not a recording"):
        unpack(file[: ends[0] - 1])


def test_the_recording_of_one_machine_of_many_is_replayed() -> None:
    with everything_recorded() as tape:
        SocketV1(SCRIPT).run()
    both = tape.recording
    for channel in (0, 1):
        assert replay(both.of([channel])).channels == 1
        same(both.of([channel]))


def test_a_machine_that_was_not_recorded_any_more_is_replayed_up_to_there() -> None:
    with everything_recorded() as tape:
        party = SocketV1(SCRIPT)
        for line in SCRIPT:
            party.act(line)
            tape.recorder.stop("enough")
    recording = tape.recording
    assert [each.reason for each in recording.entries if isinstance(each, Cut)] == ["enough", "enough"]
    same(recording)


# ------------------------------------------------------------ other machines


class Forgetful(SocketV1Server):
    """Says nothing of the session."""

    def _begin_session(self) -> None:
        super()._begin_session()
        if self._announcement in self._outbox:
            self._outbox.remove(self._announcement)  # type: ignore[arg-type]


class Talkative(SocketV1Server):
    """Tells what nobody asked for."""

    def _telling(self, event: Event, handle: object) -> None:
        super()._telling(event, handle)
        if isinstance(event, InputEvent):
            self._tell(InputAudioStreamOpenEvent())


class Polite(SocketV1Server):
    """Says it in other words."""

    def _respond(self, turn: Turn, event: Any) -> None:
        if hasattr(event, "response_item"):
            event = attrs.evolve(event, response_item=event.response_item.replace(text="Please! " * 30))
        super()._respond(turn, event)


class Strict(SocketV1Server):
    """Accepts nobody."""

    def ready(self) -> None:
        raise self._illegal("Ready")


class Curious(SocketV1Server):
    """Asks the world for more."""

    def ready(self) -> None:
        self._make_id()
        super().ready()


class Silent(SocketV1Server):
    """Says nothing at all."""

    def data_to_send(self) -> Any:
        return iter(())


class Broken(SocketV1Server):
    """Does what no machine may do."""

    def next_event(self) -> Any:
        raise KeyError("a fault of its own")


class Quarrelsome(SocketV1Server):
    """Raises what no machine may raise."""

    def ready(self) -> None:
        raise KeyError("another fault")


class Careless(SocketV1Server):
    """Does not ask who is there."""

    def _begin_session(self) -> None:
        if self.session is None:
            self._proposed = "always-the-same"
        super()._begin_session()


class Wordy(SocketV1Server):
    """Says the same in another form."""

    def data_to_send(self) -> Any:
        for message in super().data_to_send():
            yield message.replace(":", ": ", 1) if isinstance(message, str) else message


CHANGED = {
    Broken: ("raises nothing", "raises KeyError: 'a fault of its own'"),
    Quarrelsome: ("ready, raised: None", "ready, raised: 'KeyError'"),
    Careless: ("tells Input, asking for make_id", "tells Input"),
    Wordy: ("""'{"type":"Ready"}'""", """'{"type": "Ready"}'"""),
    Forgetful: ("sends SessionStarted", "sends ResponseItem"),
    Talkative: ("tells nothing", "tells InputAudioStreamOpen"),
    Polite: (
        "sends ResponseItem, responseItem.text: 'Hello! What is your name?'",
        "sends ResponseItem, responseItem.text: '" + "Please! " * 14 + "Please!…",
    ),
    Strict: ("ready, raised: None", "ready, raised: 'LocalProtocolError'"),
    Curious: ("ready", "ready, asking for more: make_id"),
    Silent: ("sends ResponseHead", "sends nothing"),
}


@pytest.mark.parametrize("cls", CHANGED, ids=[each.__name__ for each in CHANGED])
def test_a_changed_machine_is_caught(cls: type[SocketV1Server]) -> None:
    with everything_recorded() as tape:
        SocketV1(SCRIPT).run()
    done = replay(tape.recording, {"SocketV1Server": cls})
    (found,) = done.differences
    assert (found.recorded, found.replayed) == CHANGED[cls]
    assert isinstance(tape.recording.entries[found.index], Record | Told | Act | Idle)
    assert tape.recording.entries[found.index].channel == found.channel == 1
    assert done.entries < len(tape.recording.entries)


def test_every_machine_has_its_own_first_difference() -> None:
    with everything_recorded() as tape:
        for _ in range(2):
            SocketV1(SCRIPT).run()
    done = replay(tape.recording, {"SocketV1Server": Silent})
    assert [each.channel for each in done.differences] == [1, 3]


# ------------------------------------------------------------ what cannot be replayed


def begun() -> Recording:
    with everything_recorded() as tape:
        SocketV2Server(Sessions(clock=ManualClock()), clock=ManualClock())
        SocketV2Client("http://x/", key="k", device_id="d", clock=ManualClock()).open()
        SocketV1Server(clock=ManualClock())
    return tape.recording


V2, CLIENT, V1 = (each for each in begun().entries if isinstance(each, Opened))
HERE: dict[str, Any] = {"at": 0.0, "channel": 0, "state": "Closed", "audio": "closed"}
UNPLAYABLE = {
    "wires only": ([Record(at=0, wire=0, by="client", message="x")], "not recorded from their beginning"),
    "a stranger": ([attrs.evolve(V2, kind="SocketV9Server")], "is no machine of this library"),
    "bad settings": ([attrs.evolve(V2, settings={**V2.settings, "limits": {"x": 1}})], "settings"),
    "settings that are none": ([attrs.evolve(V1, settings={"timeouts": 5})], "settings"),
    "settings of another type": ([attrs.evolve(CLIENT, settings={})], "cannot be made of its settings"),
    "sessions that are none": (
        [attrs.evolve(V2, settings={**V2.settings, "sessions": {"kept": 1}})],
        "what the machines share cannot be read",
    ),
    "sessions from before": (
        [attrs.evolve(V2, settings={**V2.settings, "sessions": None})],
        "what the machines share was not recorded",
    ),
    "an act that is none": ([V1, Act(name="dance", **{**HERE, "channel": 2})], "'dance' is nothing"),
    "the act of another machine": ([V1, Act(name="say", **{**HERE, "channel": 2})], "'say' is nothing"),
    "a turn that is none": (
        [V1, Act(name="turn.fail", arguments={"turn": 9, "text": "x"}, **{**HERE, "channel": 2})],
        "the arguments of turn.fail",
    ),
    "an act without arguments": ([V1, Act(name="send", **{**HERE, "channel": 2})], "the arguments of send"),
    "a message that cannot come": (
        [CLIENT, Record(at=0, wire=0, by="server", message=RequestHead(url="/"), channel=1)],
        "nothing opened transport 0",
    ),
    "a message that cannot come to a server": (
        [V1, Record(at=0, wire=0, by="client", message="too early", channel=2)],
        "the transport cannot have brought it",
    ),
    "a setting that is none": (
        [V1, Setting(at=0, channel=2, name="__class__", value=1)],
        "__class__' is nothing that a host sets",
    ),
    "data of no session": ([V2, Setting(at=0, channel=0, name="session.data", value={})], "no session yet"),
    "a transport that nobody opened": (
        [CLIENT, Record(at=0, wire=7, by="server", message=Close(), channel=1)],
        "nothing opened transport 7",
    ),
}


@pytest.mark.parametrize(("entries", "why"), UNPLAYABLE.values(), ids=UNPLAYABLE)
def test_what_cannot_be_replayed_says_why(entries: list[Any], why: str) -> None:
    recording = Recording(Head(channel="mixed", seen_by="server"), tuple(entries))
    with pytest.raises(RemoteProtocolError, match=why):
        replay(recording)


def test_answers_that_cannot_be_are_refused() -> None:
    with everything_recorded() as tape:
        SocketV1(SCRIPT).run()
    recording = tape.recording
    for answer, why in ((["make_id", {"value": 5}], None), (["make_id", {"error": 5}], None)):
        entries = [
            attrs.evolve(each, given=(tuple(answer),)) if getattr(each, "given", ()) else each
            for each in recording.entries
        ]
        assert why is None
        assert replay(attrs.evolve(recording, entries=tuple(entries))).differences
    answers = Answers()
    refusal = {"error": ["LimitExceeded", "too long", "a.b"]}
    answers.refill((("now", {"value": "yesterday"}), ("check", refusal)))
    with pytest.raises(LimitExceeded, match=r"a\.b: too long"):
        answers.ask("check", str, None)
    with pytest.raises(RemoteProtocolError, match="no answer that now can have"):
        answers.ask("now", datetime.fromisoformat, None)
    with pytest.raises(SignatureError, match="not known"):
        answers.ask("now", str, SignatureError("not known"))
    assert answers.ask("now", str, "otherwise") == "otherwise"


def test_what_was_refused_and_cannot_be_read_stays_refused() -> None:
    act = Act(name="turn.fail", arguments={"turn": 9}, raised="TooLateError", **{**HERE, "channel": 2})
    same(Recording(Head(channel="mixed", seen_by="server"), (V1, act)))


# ------------------------------------------------------------ what is said of a difference

SENT: dict[str, Any] = {"at": 0.0, "wire": 0, "by": "server"}
SAYINGS = {
    "nothing": (Record(message="x", **SENT), Record(message="x", **SENT), None),
    "less": (
        Record(message='{"type": "A", "x": [1, 2]}', **SENT),
        Record(message='{"type": "A", "x": [1]}', **SENT),
        ("sends A, x[1]: 2", "sends A, x[1]: nothing"),
    ),
    "more": (
        Record(message=b'{"x": 1}', **SENT),
        Record(message=b'{"x": 1, "y": 2}', **SENT),
        ("sends 8 bytes", "sends 16 bytes"),
    ),
    "another member": (
        Record(message='{"event": "A"}', **SENT),
        Record(message='{"event": "A", "y": "z"}', **SENT),
        ("sends A, y: nothing", "sends A, y: 'z'"),
    ),
    "a header": (
        Record(message=ResponseHead(status=200), **SENT),
        Record(message=ResponseHead(status=204), **SENT),
        ("sends ResponseHead, response[0]: 200", "sends ResponseHead, response[0]: 204"),
    ),
    "no JSON": (
        Record(message="A" * 200 + "b", **SENT),
        Record(message="A" * 200 + "c", **SENT),
        ("…" + "A" * 20 + "b'", "…" + "A" * 20 + "c'"),
    ),
    "another form": (
        Record(message='{"type":"A"}', **SENT),
        Record(message='{"type": "A"}', **SENT),
        ("""'{"type":"A"}'""", """'{"type": "A"}'"""),
    ),
    "packed": (
        Record(message=b"\x82\xa4type\xa1A\xa1x\x01", **SENT),
        Record(message=b"\x82\xa4type\xa1A\xa1x\x02", **SENT),
        ("sends A, x: 1", "sends A, x: 2"),
    ),
    "no number": (
        Told(event={"type": "A", "x": float("nan")}, **HERE),
        Told(event={"type": "A", "x": float("nan")}, **HERE),
        None,
    ),
    "another kind": (
        Idle(at=0.0, channel=0, of="output", state="Open", audio="Closed"),
        Lost(at=0.0, channel=0),
        ("sends nothing", "Lost"),
    ),
}


@pytest.mark.parametrize(("then", "now", "said"), SAYINGS.values(), ids=SAYINGS)
def test_a_difference_is_told_by_its_place(then: Any, now: Any, said: Any) -> None:
    assert first_difference(then, now) == said


def test_places_that_errors_name_move_when_something_was_taken_out() -> None:
    one, other = (
        Record(message=f'{{"type": "Error", "text": "not JSON at character {at}"}}', **SENT) for at in (5, 60)
    )
    assert first_difference(one, other, is_redacted=True) is None
    assert first_difference(one, other) is not None


ODD = [
    {"$object": ["a\0b", "c"]},
    {"$int": "zz"},
    {"$items": [1]},
    {"$items": [[[1], 2]]},
    *(None, -1, [], {}, "\ud800", b"", float("nan"), True, 2**62),
]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_recording_holds_it_is_replayed_or_refused(seed: int) -> None:
    with everything_recorded() as tape:
        SocketV2(SCRIPT[:1]).run()
    trees = [tree_of_entry(each) for each in tape.recording.entries]
    rng = random.Random(seed)
    for _ in range(60):
        changed = [*trees]
        at = rng.randrange(len(changed))
        changed[at] = distorted(changed[at], rng)
        with contextlib.suppress(RemoteProtocolError):
            replay(Recording(tape.recording.head, tuple(entry_of_tree(each) for each in changed)))


def distorted(tree: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """With one of its members being something else."""
    name = rng.choice(list(tree))
    inside = tree[name]
    if isinstance(inside, dict) and inside and rng.random() < 0.8:
        return {**tree, name: distorted(inside, rng)}
    return {**tree, name: rng.choice(ODD)}


def test_a_refusal_can_be_printed_whatever_the_recording_holds() -> None:
    with everything_recorded() as tape:
        SocketV1Server(clock=ManualClock())
    (opened,) = (tree_of_entry(each) for each in tape.recording.entries)
    opened["settings"] = {**opened["settings"], "limits": {"\udce0" + "x" * 5000: 1}}
    with pytest.raises(RemoteProtocolError, match=r"entry 1 cannot be replayed: .*\\udce0") as refused:
        replay(Recording(tape.recording.head, (entry_of_tree(opened),)))
    assert len(str(refused.value).encode()) < 1100


def test_what_is_no_event_of_a_wire_is_noted() -> None:
    class Odd(Event):
        pass

    with everything_recorded() as tape:
        server = SocketV1Server(clock=ManualClock())
        with pytest.raises(LocalProtocolError):
            server.send(Odd())
    (said,) = (each for each in tape.recording.entries if isinstance(each, Act))
    assert said.arguments["event"]["type"] == "Odd"
    assert "unwritable" in said.arguments["event"]
    same(tape.recording)

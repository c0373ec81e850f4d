"""A session put down here and picked up elsewhere; what is picked up need not be trusted."""

from __future__ import annotations

from typing import Any

import attrs
import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.sessions import LIMITS, VERSION, Session, adopted, uuid4_text, well_formed
from flowstorm_channel.testing.strategies import json_maps, texts, values
from flowstorm_channel.values import ExpectedPhrase, SttMode
from tests.depth import examples

FULL: dict[str, Any] = {
    "session_id": "a",
    "key": "dialogue:5",
    "device_id": "žlutý kůň",
    "locale": "cs-CZ",
    "stt_mode": SttMode.SINGLE_UTTERANCE,
    "expected_phrases": (ExpectedPhrase(text="yes", boost=2.0), ExpectedPhrase(text="no")),
    "turns": 7,
    "asleep": True,
    "ended": False,
    "data": {"name": "Ann", "list": [1, None, 2.5, {"deep": True}], "sound": b"\0\xff"},
}
LEAST: dict[str, Any] = {"version": 1, "sessionId": "a", "key": "K", "deviceId": "D"}


def packed(**members: Any) -> bytes:
    data: bytes = msgpack.packb({**LEAST, **members})
    return data


def members(session: Session) -> dict[str, Any]:
    return attrs.asdict(session, recurse=False)


def session(**changes: Any) -> Session:
    return Session(**{"session_id": "a", "key": "K", "device_id": "D", **changes})


# ------------------------------------------------------------ there and back


def test_everything_survives() -> None:
    before = Session(**FULL)
    after = Session.restore(before.snapshot())
    assert members(after) == FULL
    assert after.snapshot() == before.snapshot()


@settings(max_examples=examples(50))
@given(
    session_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    key=texts,
    device_id=texts,
    locale=st.none() | st.sampled_from(["en", "cs-CZ"]),
    stt_mode=st.none() | st.sampled_from(SttMode),
    expected_phrases=st.lists(values(ExpectedPhrase), max_size=3).map(tuple),
    turns=st.integers(0, 2**53 - 1),
    asleep=st.booleans(),
    ended=st.booleans(),
    data=json_maps(binary=True),
)
def test_anything_survives(**any_members: Any) -> None:
    assert members(Session.restore(Session(**any_members).snapshot())) == any_members


def test_what_is_picked_up_is_a_session_of_its_own() -> None:
    before = session(data={"list": [1]})
    snapshot = before.snapshot()
    after = Session.restore(snapshot)
    after.data["list"].append(2)
    after.data["more"] = True
    assert before.data == {"list": [1]}
    assert Session.restore(snapshot).data == {"list": [1]}
    assert after != before


def test_a_snapshot_stays_what_it_was() -> None:
    before = session(data={"list": [1]})
    snapshot = before.snapshot()
    before.data["list"].append(2)
    assert Session.restore(snapshot).data == {"list": [1]}


def test_it_does_not_show_what_it_remembers() -> None:
    assert "secret" not in repr(session(data={"password": "secret"}))


@pytest.mark.parametrize(
    "data",
    [
        {"list": list(range(5000))},
        {"text": "x" * 1_000_000},
        {"sound": b"x" * 1_000_000},
        {f"member {number}": number for number in range(5000)},
        {"history": [{"said": "hello " * 10, "answered": ["a", "b"]} for _ in range(3000)]},
    ],
    ids=lambda data: next(iter(data)),
)
def test_what_can_be_put_down_can_be_picked_up(data: dict[str, Any]) -> None:
    """The limits on what clients send are no limits on what a dialogue remembers."""
    assert Session.restore(session(data=data).snapshot()).data == data


@pytest.mark.parametrize("depth", [10, 60, 100, 150, *range(190, 206), 5000])
def test_what_is_deep_is_put_down_and_picked_up_or_refused_at_once(depth: int) -> None:
    data: dict[str, Any] = {}
    for _ in range(depth):
        data = {"a": data}
    try:
        snapshot = session(data=data).snapshot()
    except LocalProtocolError:
        assert depth > 190
        return
    assert depth <= 200
    assert Session.restore(snapshot).data == data


def _endless() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["again"] = data
    return data


@pytest.mark.parametrize(
    "data",
    [
        *({"x": ValueError()}, {"x": {1, 2}}, {"x": 1 + 2j}, {"x": 2**64}, {"x": -(2**63) - 1}),
        *({1: 2}, {"x": {None: 1}}, {b"x": 1}, {"x": float("nan")}, {"x": float("inf")}),
        *({"x": "\ud800"}, {"\ud800": 1}, _endless(), {"x": [_endless()]}),
        *([], "text", None),
    ],
    ids=lambda data: repr(data)[:30],
)
def test_what_no_snapshot_can_hold(data: Any) -> None:
    before = session(data=data)
    with pytest.raises(LocalProtocolError, match="cannot be stored"):
        before.snapshot()
    assert before.data is data


@pytest.mark.parametrize(
    "wrong",
    [
        *({"session_id": 1}, {"key": None}, {"turns": "1"}, {"asleep": None}, {"ended": 1}),
        *({"locale": 5}, {"stt_mode": "Duplex"}, {"expected_phrases": ("yes",)}),
    ],
    ids=str,
)
def test_a_host_that_spoils_a_session_is_told_so(wrong: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be stored"):
        session(**wrong).snapshot()


# ------------------------------------------------------------ older and newer releases


def test_members_that_an_older_release_did_not_write_have_defaults() -> None:
    assert members(Session.restore(packed())) == members(session())


def test_null_is_the_default() -> None:
    optional = ("locale", "sttMode", "expectedPhrases", "turns", "asleep", "ended", "data")
    assert members(Session.restore(packed(**dict.fromkeys(optional)))) == members(session())


def test_members_that_are_not_known_are_ignored() -> None:
    assert members(Session.restore(packed(mood="fine", other={"a": [1]}))) == members(session())


def test_the_form_on_the_wire_is_what_other_processes_read() -> None:
    found = msgpack.unpackb(Session(**FULL).snapshot())
    assert found["version"] == VERSION == 1
    assert (found["sessionId"], found["key"], found["deviceId"]) == ("a", "dialogue:5", "žlutý kůň")
    assert (found["locale"], found["sttMode"], found["turns"]) == ("cs_CZ", "SingleUtterance", 7)
    assert found["expectedPhrases"][0] == {"text": "yes", "boost": 2.0}
    assert (found["asleep"], found["ended"], found["data"]) == (True, False, FULL["data"])


@pytest.mark.parametrize("version", [2, 3, 2**63, 0, -1])
def test_a_newer_release_is_refused(version: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"version {version}"):
        Session.restore(packed(version=version))


# ------------------------------------------------------------ what need not be trusted


@pytest.mark.parametrize("name", list(LEAST))
def test_what_every_snapshot_has(name: str) -> None:
    rest = {key: value for key, value in LEAST.items() if key != name}
    with pytest.raises(RemoteProtocolError) as caught:
        Session.restore(msgpack.packb(rest))
    assert caught.value.path == name
    with pytest.raises(RemoteProtocolError):
        Session.restore(packed(**{name: None}))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"version": "1"}, {"version": 1.5}, {"version": True}, {"version": [1]}, {"version": 2**64 - 1}),
        *({"sessionId": 5}, {"sessionId": b"a"}, {"key": 1}, {"key": {}}, {"deviceId": []}),
        *({"locale": 5}, {"sttMode": "Trio"}, {"sttMode": 1}, {"expectedPhrases": {}}),
        *({"expectedPhrases": ["yes"]}, {"expectedPhrases": [{"boost": "1"}]}),
        *({"turns": "1"}, {"turns": 1.5}, {"turns": True}),
        *({"asleep": 1}, {"asleep": "yes"}, {"ended": 0}, {"data": []}, {"data": "x"}),
        *({"data": {1: 2}}, {"data": {"x": float("nan")}}, {"data": {"x": {b"y": 1}}}),
    ],
    ids=str,
)
def test_a_member_of_the_wrong_kind(wrong: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Session.restore(packed(**wrong))
    if "version" not in wrong:
        assert caught.value.path.startswith(next(iter(wrong)))


@pytest.mark.parametrize("turns", [-1, 2**53, 2**64 - 1])
def test_turns_that_nobody_could_count(turns: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Session.restore(packed(turns=turns))
    assert caught.value.path == "turns"


@pytest.mark.parametrize("session_id", ["", "x" * 257, "a b", "a\n", "ě"])
def test_an_id_that_is_no_name(session_id: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Session.restore(packed(sessionId=session_id))
    assert caught.value.path == "sessionId"


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"", b"\xc1", b"\x00", b"\xc0", b"\x80", b"\x90", b"\x91\x01", b"hello", b"{}", b"\xff" * 100),
        *(packed()[:-1], packed() + b"\xc0", packed() * 2, b"\x81" * 10_000, b"\x91" * 100_000),
        *(b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
        *(b"\x81\xa4data\xc7\xff\x00", b"\x81\xa4\xff\xff\xff\xff\xc0", b"\x81\x90\xc0", b"\x81\x80\xc0"),
    ],
    ids=lambda garbage: repr(garbage[:20]),
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Session.restore(garbage)


def test_every_beginning_of_a_snapshot_is_refused() -> None:
    snapshot = Session(**FULL).snapshot()
    for end in range(len(snapshot)):
        with pytest.raises(RemoteProtocolError):
            Session.restore(snapshot[:end])


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_cleanly(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Session.restore(data)


@given(st.data())
def test_a_snapshot_that_was_damaged_is_read_or_refused(data: st.DataObject) -> None:
    snapshot = bytearray(Session(**FULL).snapshot())
    for _ in range(data.draw(st.integers(1, 3))):
        snapshot[data.draw(st.integers(0, len(snapshot) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Session.restore(bytes(snapshot))
    except RemoteProtocolError:
        return
    assert adopted(found.session_id) == found.session_id  # an id that a session may have
    found.snapshot()


def test_what_is_endless_is_refused_by_both() -> None:
    huge = b"x" * LIMITS.message_bytes
    with pytest.raises(LocalProtocolError, match="cannot be stored"):
        session(data={"x": huge}).snapshot()
    for snapshot in (packed(data={"x": huge}), packed(key="x" * len(huge)), huge * 2):
        with pytest.raises(LimitExceeded):
            Session.restore(snapshot)
    around = len(session(data={"x": huge[:100_000]}).snapshot()) - 100_000
    whole = session(data={"x": huge[around:]})
    assert len(whole.snapshot()) == LIMITS.message_bytes == 16 * 1024 * 1024
    assert Session.restore(whole.snapshot()).data == whole.data
    with pytest.raises(LocalProtocolError, match="cannot be stored"):
        session(data={"x": huge[around - 1 :]}).snapshot()


def test_what_is_too_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(LIMITS.nesting):
        deep = [deep]
    with pytest.raises(LimitExceeded):
        Session.restore(packed(data={"x": deep}))


@pytest.mark.parametrize("thing", ["text", 5, None, {}, packed().decode("latin-1")], ids=repr)
def test_what_is_not_even_bytes_is_a_mistake_of_the_host(thing: Any) -> None:
    with pytest.raises(TypeError, match="a snapshot is bytes"):
        Session.restore(thing)


# ------------------------------------------------------------ a session


def test_who_may_join() -> None:
    found = session()
    assert found.belongs_to("K", "D")
    for key, device_id in (("K", "D2"), ("K2", "D"), ("", ""), ("D", "K"), ("k", "d")):
        assert not found.belongs_to(key, device_id)


def test_two_sessions_are_never_the_same() -> None:
    assert Session(**FULL) != Session(**FULL)
    assert len({Session(**FULL), Session(**FULL)}) == 2


def test_what_responses_set_can_be_forgotten() -> None:
    found = Session(**FULL)
    found.reset()
    changed = {"locale": None, "stt_mode": None, "expected_phrases": ()}
    assert members(found) == {**FULL, **changed}


def test_what_has_ended_remembers_nothing() -> None:
    found = Session(**FULL)
    data = found.data
    found.end()
    assert (found.ended, found.asleep, found.data, found.locale) == (True, False, {}, None)
    assert data  # the dialogue that still holds it is left alone
    assert Session.restore(found.snapshot()).ended


@pytest.mark.parametrize("good", ["a", "0", "_", "-", "A-Z_a-z09", "x" * 64])
def test_an_id_that_is_well_formed(good: str) -> None:
    assert well_formed(good)


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "a\n", "\na", "ě", "٣", "a.b", "a/b", "a\0"])
def test_an_id_that_is_not_well_formed(bad: str) -> None:
    assert not well_formed(bad)


def test_ids_that_are_made_are_well_formed_and_different() -> None:
    ids = {uuid4_text() for _ in range(100)}
    assert len(ids) == 100
    assert all(map(well_formed, ids))

"""The schemas of the events say what the codecs do: nothing is sent that they forbid, and what they allow is
understood."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flowstorm_channel import ClientConfig, RemoteProtocolError
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, to_json
from flowstorm_channel.events import EVENTS, SPELLINGS, BinaryEvent, UnknownEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import Value, members
from flowstorm_channel.schemas import class_schema, event_schema
from flowstorm_channel.testing import strategies
from tests.depth import examples
from tests.schemas_instances import instances

CODEC = JsonCodec()
SENT, ACCEPTED = event_schema(), event_schema(accepted=True)
FORMS = pytest.mark.parametrize("accepted", [False, True], ids=["sent", "accepted"])
UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
EVERY_EVENT = pytest.mark.parametrize("name", [*EVENTS, "Unknown"])


@cache
def validator(name: str | None = None, *, accepted: bool) -> Any:
    return jsonschema_rs.Draft202012Validator(event_schema(name, accepted=accepted))


def is_sent(tree: Any) -> bool:
    return bool(validator(accepted=False).is_valid(tree))


def is_accepted(tree: Any) -> bool:
    return bool(validator(accepted=True).is_valid(tree))


def is_understood(tree: Any, limits: Limits | None = None) -> bool:
    codec = CODEC if limits is None else JsonCodec(limits=limits)
    try:
        codec.decode(json.dumps(tree))
    except RemoteProtocolError:
        return False
    return True


def schema_of(name: str, *, accepted: bool) -> dict[str, Any]:
    """The schema of an event, within the one of all."""
    root = ACCEPTED if accepted else SENT
    cls = EVENTS.get(name, UnknownEvent)
    return {**root["$defs"][cls.__name__], "$defs": root["$defs"]}


@cache
def valid(name: str, *, accepted: bool) -> st.SearchStrategy[Any]:
    """What the schema of an event allows."""
    schema = schema_of(name, accepted=accepted)
    return instances(schema, schema).filter(jsonschema_rs.Draft202012Validator(schema).is_valid)


# ------------------------------------------------------------ the documents


@FORMS
def test_the_schema_of_all_events_is_one(accepted: bool) -> None:
    Draft202012Validator.check_schema(event_schema(accepted=accepted))


@FORMS
@pytest.mark.parametrize("name", EVENTS)
def test_the_schema_of_an_event_stands_alone(name: str, accepted: bool) -> None:
    schema = event_schema(name, accepted=accepted)
    Draft202012Validator.check_schema(schema)
    whole = event_schema(accepted=accepted)
    assert schema["$defs"].items() <= whole["$defs"].items()
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid({"type": "Nobody"})


@pytest.mark.parametrize("spelling", ["SessionStart", "SessionStartEvent"])
def test_an_event_is_found_by_any_spelling(spelling: str) -> None:
    assert event_schema(spelling) == event_schema("SessionStarted")


def test_an_event_that_does_not_exist_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match=r"'Dance' is no event; Input, Request, .* are"):
        event_schema("Dance")


def test_schemas_are_made_anew_each_time() -> None:
    event_schema()["oneOf"].clear()
    assert event_schema() == SENT


@FORMS
@pytest.mark.parametrize("name", EVENTS)
def test_every_member_is_described_as_it_is_declared(name: str, accepted: bool) -> None:
    properties = schema_of(name, accepted=accepted)["properties"]
    for each in members(EVENTS[name]):
        assert properties[each.wire]["description"].rstrip(".").lower() == each.doc.lower()


def test_the_union_is_told_apart_by_type() -> None:
    names = [each["$ref"].rpartition("/")[2] for each in SENT["oneOf"]]
    assert names == [cls.__name__ for cls in (*EVENTS.values(), UnknownEvent)]
    assert [SENT["$defs"][name]["properties"]["type"].get("const") for name in names] == [*EVENTS, None]
    spelled = [ACCEPTED["$defs"][name]["properties"]["type"] for name in names[:-1]]
    assert sorted(each for kind in spelled for each in kind["enum"]) == sorted(SPELLINGS)


def test_defaults_are_valid() -> None:
    for name, schema in ACCEPTED["$defs"].items():
        for member, each in schema.get("properties", {}).items():
            if "default" in each:
                found = {**each, "$defs": ACCEPTED["$defs"]}
                assert jsonschema_rs.Draft202012Validator(found).is_valid(each["default"]), (name, member)


def test_what_is_accepted_is_within_the_limits() -> None:
    limits = Limits(items=3, string_bytes=8, log_entries=2, audio_bytes=4)
    check = jsonschema_rs.Draft202012Validator(event_schema(accepted=True, limits=limits)).is_valid
    assert check({"type": "Error", "text": "short"})
    assert not check({"type": "Error", "text": "much longer"})
    assert check({"type": "Log", "entries": [{}, {}]})
    assert not check({"type": "Log", "entries": [{}, {}, {}]})
    assert check({"type": "Ready", "later": [1, 2, 3]})
    assert not check({"type": "Ready", "later": [1, 2, 3, 4]})
    assert not check({"type": "Ready", "a": 1, "b": 2, "c": 3})
    assert check({"type": "Binary", "data": "AAAAAA=="})
    assert not check({"type": "Binary", "data": "A" * 12})
    for name in ("short", "much longer"):
        tree = {"type": "Ready", name: 1}
        assert check(tree) == is_understood(tree, limits) == (name == "short")
        assert check({"type": name}) == is_understood({"type": name}, limits) == (name == "short")


# ------------------------------------------------------------ what is sent


@given(strategies.events())
@settings(max_examples=examples(150), deadline=None)
def test_what_encoders_write_is_valid(event: Any) -> None:
    tree = json.loads(CODEC.encode(event))
    assert is_sent(tree)
    assert is_accepted(tree)


@given(strategies.events().filter(lambda event: not isinstance(event, BinaryEvent)))
@settings(max_examples=examples(60), deadline=None)
def test_what_is_written_as_msgpack_is_valid(event: Any) -> None:
    assert is_sent(msgpack.unpackb(MsgpackCodec().encode(event)))


@pytest.mark.parametrize("name", EVENTS)
@given(st.data())
@settings(max_examples=examples(20), deadline=None, suppress_health_check=UNHURRIED)
def test_what_is_valid_as_sent_decodes_and_is_written_the_same(name: str, data: st.DataObject) -> None:
    tree = data.draw(valid(name, accepted=False))
    assert is_accepted(tree)
    event = CODEC.decode(json.dumps(tree))
    written = json.loads(CODEC.encode(event))
    assert CODEC.decode(json.dumps(written)) == event
    known = schema_of(name, accepted=False)["properties"].keys()
    assert known & written.keys() == known & tree.keys()


# ------------------------------------------------------------ what is accepted


@EVERY_EVENT
@given(st.data())
@settings(max_examples=examples(20), deadline=None, suppress_health_check=UNHURRIED)
def test_what_is_valid_as_accepted_decodes(name: str, data: st.DataObject) -> None:
    tree = data.draw(valid(name, accepted=True))
    event = CODEC.decode(json.dumps(tree))
    assert type(event) is EVENTS.get(name, UnknownEvent)
    assert is_sent(json.loads(CODEC.encode(event)))


@pytest.mark.parametrize(
    "count", [examples(60), pytest.param(5000, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_codecs_and_schema_refuse_the_same(count: int) -> None:
    @given(strategies.hostile_objects())
    @settings(max_examples=count, deadline=None, suppress_health_check=UNHURRIED)
    def check(tree: dict[str, Any]) -> None:
        tree = with_integers(tree)
        assert is_accepted(tree) == is_understood(tree)

    check()


def with_integers(tree: Any) -> Any:
    """The same with 1 for 1.0, which no schema can tell apart."""
    if isinstance(tree, dict):
        return {name: with_integers(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [with_integers(each) for each in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() and abs(tree) < 2**63 else tree


NODE_CLIENT: dict[str, Any] = {
    "init": {
        "type": "Init",
        "key": "K",
        "appKey": "K",
        "deviceId": "sender",
        "sender": "sender",
        "config": {
            "tts": "RequiredLinks",
            "sttSampleRate": 44100,
            "ttsFileType": "mp3",
            "locale": "en",
            "zoneId": "UTC",
            "sendResponseItems": True,
            "sttInterimResults": True,
        },
    },
    "input": {
        "type": "Input",
        "input": {"zoneId": "UTC", "locale": "en", "attributes": {}, "transcript": {"text": "#intro"}},
    },
}
OTHERS = (
    {
        "type": "InputAudioStreamOpen",
        "appKey": "K",
        "message": {"appKey": "K", "sessionId": "s", "token": None},
    },
    {"type": "InputAudioStreamClose", "appKey": "K"},
    {"type": "InputAudioStreamOpen", "message": 5},
    {"type": "SessionStartEvent", "sessionId": "s"},
    {"type": "OutputStreamClose"},
    {"type": "Response", "response": {"sessionTimeout": 60, "items": None, "locale": ""}},
    {"type": "InitEvent", "key": None, "appKey": "K", "sender": "D", "config": None},
    {"type": "Log", "entries": [{"time": [2022, 5, 27, 14, 19]}, {"time": 1653661144.5}]},
    {"type": "Log", "entries": [{"time": 253402300799.5}]},
    {
        "type": "Log",
        "entries": [{"time": "2024-02-29T14:19:04.123456789+02:00"}, {"time": [2000, 2, 29, 0, 0]}],
    },
    {"type": "Binary", "data": "-_8"},
    {"type": "Binary", "data": [-128, 0, 255]},
    {
        "type": "Input",
        "input": {"locale": "no language", "zoneId": "+02:00", "tokens": [{"type": "Word", "text": ""}]},
    },
    {"type": "Weather", "degrees": [21.5, None, {"deep": {}}]},
)


@pytest.mark.parametrize("name", NODE_CLIENT)
def test_what_a_real_client_sends_first_is_accepted(name: str) -> None:
    assert is_accepted(NODE_CLIENT[name])


@pytest.mark.parametrize("tree", OTHERS, ids=lambda tree: json.dumps(tree)[:40])
def test_other_spellings_and_forms_are_accepted_and_not_sent(tree: dict[str, Any]) -> None:
    assert is_accepted(tree)
    assert is_understood(tree)
    unknown = tree["type"] not in EVENTS
    extra_only = tree["type"].startswith("InputAudioStream")
    assert is_sent(tree) == ((unknown and tree["type"] not in SPELLINGS) or extra_only)


REFUSED = (
    {},
    {"type": 5},
    [],
    {"type": "Input"},
    {"type": "Input", "input": []},
    {"type": "Input", "input": {"zoneId": "Europe/Nowhere"}},
    {"type": "Input", "input": {"tokens": [{"text": "a"}]}},
    {"type": "Input", "input": {"tokens": [{"type": "Space", "text": "a"}]}},
    {"type": "Init", "key": None, "deviceId": "D"},
    {"type": "Init", "key": "K"},
    {"type": "Init", "key": "K", "deviceId": "D", "config": {"sttMode": "duplex"}},
    {"type": "Init", "key": "K", "deviceId": "D", "config": {"silenceTimeout": 2**64}},
    {"type": "Vote", "vote": 0},
    {"type": "Vote", "vote": True},
    {"type": "Recognized", "text": "a", "isFinal": 1},
    {"type": "Binary", "data": "A"},
    {"type": "Binary", "data": "AA=A"},
    {"type": "Binary", "data": [256]},
    {"type": "Log", "entries": {"time": 0}},
    {"type": "Log", "entries": [{"time": "2023-02-29T14:19:04"}]},
    {"type": "Log", "entries": [{"time": "1900-02-29T14:19:04"}]},
    {"type": "Log", "entries": [{"time": "0000-01-01T00:00:00"}]},
    {"type": "Log", "entries": [{"time": [2023, 2, 29, 0, 0]}]},
    {"type": "Log", "entries": [{"time": [2022, 4, 31, 0, 0]}]},
    {"type": "Log", "entries": [{"time": [2022, 5, 27, 14]}]},
    {"type": "Log", "entries": [{"time": 1e300}]},
    {"type": "Log", "entries": [{"time": 253402300800}]},
    {"type": "Log", "entries": [{"level": "info"}]},
    {"type": "Ready", "later": list(range(1001))},
    {"type": "Ready", "later": "a" * (256 * 1024 + 1)},
)


@pytest.mark.parametrize("tree", REFUSED, ids=lambda tree: json.dumps(tree)[:60])
def test_what_codecs_refuse_no_schema_allows(tree: Any) -> None:
    assert not is_understood(tree)
    assert not is_accepted(tree)
    assert not is_sent(tree) or tree["type"] == "Ready"  # only the limits are not for what is sent


BEYOND_A_SCHEMA = {
    "1.0 is an integer in JSON Schema": '{"type":"Vote","vote":1.0}',
    "numbers have no size": '{"type":"Ready","later":100000000000000000000}',
    "there is no nesting in it": '{"type":"Ready","later":' + "[" * 70 + "]" * 70 + "}",
    "strings are counted in characters": '{"type":"Ready","later":"' + "ä" * 200_000 + '"}',
}


TOO_STRICT = {
    "another name that does not count": {"type": "Init", "key": 5, "appKey": "K", "deviceId": "D"},
    "another place that does not count": {
        "type": "InputAudioStreamOpen",
        "sessionId": 5,
        "message": {"sessionId": "s"},
    },
    "the ends of the calendar": {"type": "Log", "entries": [{"time": "9000-01-01T00:00:00+01:00"}]},
}


@pytest.mark.parametrize("tree", TOO_STRICT.values(), ids=TOO_STRICT)
def test_a_little_is_understood_that_a_schema_refuses(tree: dict[str, Any]) -> None:
    assert is_understood(tree)
    assert not is_accepted(tree)


@pytest.mark.parametrize("text", BEYOND_A_SCHEMA.values(), ids=BEYOND_A_SCHEMA)
def test_some_refusals_are_beyond_a_schema(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(text)
    assert is_accepted(json.loads(text))


# ------------------------------------------------------------ single classes


@FORMS
def test_a_class_has_a_schema_of_its_own(accepted: bool) -> None:
    schema = class_schema(ClientConfig, accepted=accepted)
    Draft202012Validator.check_schema(schema)
    check = jsonschema_rs.Draft202012Validator(schema).is_valid
    whole = to_json(ClientConfig())
    assert check(whole)
    assert check({}) is accepted
    assert not check({**whole, "sttSampleRate": "16000"})
    assert isinstance(ClientConfig(), Value)

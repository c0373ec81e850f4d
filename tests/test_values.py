"""Values and events as objects: what they accept, and how they look."""

import copy
import pickle
import re
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from importlib import resources

import attrs
import pytest
import tzdata

from flowstorm_channel import zone_names
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    BinaryEvent,
    ErrorEvent,
    ReadyEvent,
    RecognizedEvent,
    UnknownEvent,
    VoteEvent,
)
from flowstorm_channel.locales import _KNOWN, Locale, check_zone, locale_from_wire, locale_to_wire
from flowstorm_channel.schema import Kind, Shape, check, members
from flowstorm_channel.values import (
    Card,
    ClientAttributes,
    ClientConfig,
    Command,
    ExpectedPhrase,
    Gender,
    Input,
    InputClass,
    Location,
    LogEntry,
    Punctuation,
    Request,
    Response,
    ResponseItem,
    Transcript,
    TtsConfig,
    Word,
)
from flowstorm_channel.zone_names import ZONE_NAMES

VALUES = [Card, ClientAttributes, ClientConfig, ExpectedPhrase, Input, InputClass, Location, LogEntry]
VALUES += [Punctuation, Request, Response, ResponseItem, Transcript, TtsConfig, Word]


@pytest.mark.parametrize("cls", [*VALUES, *EVENTS.values()])
def test_every_member_is_documented_and_every_class_frozen_slotted_and_keyword_only(cls):
    assert all(each.doc for each in members(cls))
    assert members(cls) is members(cls)
    assert not hasattr(cls, "__dict__") or "__dict__" not in dir(cls)
    assert all(field.kw_only for field in attrs.fields(cls))


def test_names_on_the_wire_are_camel_case_unless_told_otherwise():
    assert [each.wire for each in members(InputClass)] == ["type", "name", "score", "model_id"]
    assert [each.wire for each in members(Word)] == ["text", "classes", "startTime", "endTime"]


def test_types_are_spelled_as_documented():
    assert SPELLINGS["SessionStart"] is SPELLINGS["SessionStartedEvent"] is EVENTS["SessionStarted"]
    assert SPELLINGS["InputStream"] is SPELLINGS["OutputStreamCloseEvent"] is EVENTS["InputStreamClose"]


def test_values_are_compared_and_hashed_by_value():
    assert Input(locale="en_US") == Input(locale="en-US")
    assert len({Input(attributes={"a": 1}), Input(attributes={"a": 1})}) == 1
    assert Input(attributes={"a": 1}) != Input(attributes={"a": 2})
    with pytest.raises(AttributeError):
        Input().action = "x"


def test_the_representation_is_short():
    assert repr(Input()) == "Input()"
    assert repr(BinaryEvent(data=b"x" * 3200)) == "BinaryEvent(data=<3200 bytes>)"
    assert repr(RecognizedEvent(text="a")) == "RecognizedEvent(text='a')"


def test_a_copy_is_checked_like_a_new_object():
    assert Transcript(text="a").replace(confidence=0) == Transcript(text="a", confidence=0.0)
    assert Transcript(text="a").__replace__(text="b") == Transcript(text="b")
    with pytest.raises(TypeError):
        Transcript(text="a").replace(text=5)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: Transcript(text=5), "text must be a str, not int"),
        (lambda: Transcript(text=None), "text must be a str, not NoneType"),
        (lambda: Transcript(text="\ud800"), "text holds a lone surrogate"),
        (lambda: Transcript(text="", confidence=True), "confidence must be a number, not bool"),
        (lambda: Transcript(text="", confidence="1"), "confidence must be a number, not str"),
        (lambda: Transcript(text="", confidence=float("nan")), "confidence must be finite, not nan"),
        (lambda: ResponseItem(node_id=1.0), "node_id must be an int, not float"),
        (lambda: ResponseItem(node_id=True), "node_id must be an int, not bool"),
        (lambda: ResponseItem(node_id=2**64), "node_id does not fit into 64 bits"),
        (lambda: ResponseItem(repeatable=1), "repeatable must be a bool, not int"),
        (lambda: BinaryEvent(data="x"), "data must be bytes, not str"),
        (lambda: Input(zone_id="Nowhere"), "'Nowhere' is not a known time zone"),
        (lambda: Input(attributes=[]), "attributes must be a mapping, not list"),
        (lambda: Input(attributes={1: 2}), "a key of attributes must be a str, not int"),
        (lambda: Input(attributes={"a": {1: 2}}), r"a key of attributes['a'] must be a str"),
        (lambda: Input(attributes={"a": [{1}]}), r"attributes['a'][0] must be a JSON value, not set"),
        (lambda: Input(attributes={"a": float("inf")}), r"attributes['a'] must be finite"),
        (lambda: Input(attributes={"a": 2**64}), r"attributes['a'] does not fit"),
        (lambda: Input(tokens=[Transcript(text="")]), "tokens[0] must be a Word or Punctuation"),
        (lambda: Input(tokens=5), "tokens must be a tuple or a list, not int"),
        (lambda: Input(transcript="x"), "transcript must be a Transcript, not str"),
        (
            lambda: TtsConfig(provider="", locale="en", name="", gender="Male"),
            "gender must be a Gender, not str",
        ),
        (lambda: LogEntry(time="now"), "time must be a datetime, not str"),
        (lambda: VoteEvent(vote=0), "vote must be one of 1, -1, not 0"),
        (lambda: UnknownEvent(data=[]), "data must be a mapping"),
        (lambda: UnknownEvent(data={}), "data must have a text as its type"),
        (lambda: UnknownEvent(data={"type": "Ready"}), "Ready is known: use ReadyEvent"),
    ],
    ids=lambda each: each[:40] if isinstance(each, str) else "",
)
def test_what_is_of_a_wrong_type_is_no_value(call, problem):
    with pytest.raises((TypeError, ValueError), match=re.escape(problem)):
        call()


def test_a_map_may_hold_any_json_value_and_is_copied():
    nested: list = []
    for _ in range(250):
        nested = [nested]
    with pytest.raises(ValueError, match="nested more than 200 deep"):
        Input(attributes={"a": nested})
    given = {"a": [1, 1.5, None, True, "x", b"y", ({"b": ()},)]}
    value = Input(attributes=given)
    given["a"].append(2)
    assert value.attributes == {"a": [1, 1.5, None, True, "x", b"y", [{"b": []}]]}


def test_an_instance_of_a_subclass_of_int_is_checked_at_once():
    class Number(IntEnum):
        HUGE = 2**62

    assert ResponseItem(node_id=Number.HUGE).node_id == 2**62


def test_what_converts_without_loss_is_converted():
    time = datetime(2022, 5, 27, 14, 19, tzinfo=timezone(timedelta(hours=2)))
    assert LogEntry(time=time).time == datetime(2022, 5, 27, 12, 19)
    assert LogEntry(time=datetime(2022, 5, 27)).time == datetime(2022, 5, 27)
    assert BinaryEvent(data=memoryview(b"ab")).data == b"ab"
    assert Response(items=[ResponseItem()]).items == (ResponseItem(),)
    assert Transcript(text="č", confidence=1).confidence == 1.0


def test_an_unknown_event_tells_its_type():
    assert UnknownEvent(data={"type": "Later"}).type == "Later"


# ------------------------------------------------------------ what values know about themselves


@pytest.mark.parametrize(("text", "action"), [("#intro", True), ("#a-b", True), ("# a", False), ("x", False)])
def test_an_input_may_be_an_action(text, action):
    value = Input(transcript=Transcript(text=text))
    assert (value.text, value.is_action) == (text, action)


@pytest.mark.parametrize(
    ("item", "command", "playable", "plain"),
    [
        (ResponseItem(), None, False, ""),
        (ResponseItem(text="hi"), None, True, "hi"),
        (ResponseItem(text="# x"), None, True, "# x"),
        (ResponseItem(text="#card", code='{"a":1}'), Command(name="card", payload={"a": 1}), False, ""),
        (ResponseItem(text="#volume", code="up"), Command(name="volume", payload="up"), False, ""),
        (
            ResponseItem(text="#deep", code="[" * 100_000),
            Command(name="deep", payload="[" * 100_000),
            False,
            "",
        ),
        (ResponseItem(text="#snow"), Command(name="snow"), False, ""),
        (ResponseItem(text="#snow", audio="/a.mp3"), Command(name="snow"), True, ""),
        (ResponseItem(text="hi #smile there"), None, True, "hi there"),
        (ResponseItem(ssml="<speak/>"), None, True, ""),
    ],
)
def test_an_item_may_be_a_command(item, command, playable, plain):
    assert (item.command, item.playable, item.plain_text) == (command, playable, plain)


def test_a_location_is_text_and_back():
    place = Location(lat=50.1, lng=14.4, alt_acc=3)
    assert str(place) == "lat=50.1,lng=14.4,alt_acc=3.0"
    assert Location.parse(str(place)) == place
    assert Location.parse(" lat=1, lng=2,,later=3 ") == Location(lat=1, lng=2)
    for text in ("", "lat=1", "lat=x,lng=2", "lat=nan,lng=2"):
        with pytest.raises(ValueError, match="is not a location"):
            Location.parse(text)


def test_client_attributes_are_read_with_patience():
    found = ClientAttributes.of(
        {
            "clientType": "web:1.0",
            "clientScreen": "yes",
            "clientLocation": "lat=1,lng=2",
            "clientSpeechAngle": 90,
        }
    )
    assert found == ClientAttributes(
        client_type="web:1.0", client_location=Location(lat=1, lng=2), client_speech_angle=90
    )
    assert found.to_map() == {
        "clientType": "web:1.0",
        "clientLocation": "lat=1.0,lng=2.0",
        "clientSpeechAngle": 90,
    }
    assert ClientAttributes.of(found.to_map()) == found
    assert ClientAttributes.of({"clientLocation": "nowhere"}) == ClientAttributes()


def test_every_kind_of_member_is_in_use():
    shapes = [each.shape for cls in (*VALUES, *EVENTS.values()) for each in members(cls)]
    elements = [shape.of for shape in shapes if shape.kind is Kind.LIST]
    assert {shape.kind for shape in shapes + elements} == set(Kind)


def test_optional_members_may_be_none():
    assert ErrorEvent(text="x", source=None).source is None
    assert TtsConfig(provider="", locale="", gender=Gender.MALE, name="").engine is None
    assert ReadyEvent() == ReadyEvent()


# ------------------------------------------------------------ locales and zones


@pytest.mark.parametrize(
    ("given", "normal", "wire"),
    [
        ("en", "en", "en"),
        ("en_us", "en-US", "en_US"),
        ("EN-US", "en-US", "en_US"),
        ("zh-hans-cn", "zh-Hans-CN", "zh_Hans_CN"),
        ("de-1996", "de-1996", "de_1996"),
        ("sr_#Latn", "sr-Latn", "sr_Latn"),
    ],
)
def test_a_locale_is_normalised(given, normal, wire):
    locale = Locale(given)
    assert (locale, locale.original, locale.malformed) == (normal, given, False)
    assert locale_to_wire(locale) == wire
    assert Locale(locale) is locale


@pytest.mark.parametrize("given", ["", "e", "en US", "-", "en-toolongpart"])
def test_a_malformed_locale_is_the_default_and_remembers(given):
    locale = Locale(given)
    assert (locale, locale.original, locale.malformed) == ("en", given, True)
    for other in (copy.copy(locale), pickle.loads(pickle.dumps(locale))):
        assert (other, other.original) == (locale, given)


def test_locales_are_remembered_within_bounds(monkeypatch):
    _KNOWN.pop("cs_CZ", None)
    assert locale_from_wire("cs_CZ") is locale_from_wire("cs_CZ")
    assert locale_from_wire("en-" + "x" * 60) is not locale_from_wire("en-" + "x" * 60)
    monkeypatch.setattr("flowstorm_channel.locales._MOST", len(_KNOWN))
    assert locale_from_wire("xx_YY") is not locale_from_wire("xx_YY")


@pytest.mark.parametrize("name", ["Europe/Prague", "UTC", "Z", "+02:00", "-0530", "GMT+1", "UTC-3"])
def test_a_zone_is_known(name):
    assert check_zone(name) == name


@pytest.mark.parametrize("name", ["", "Nowhere", "europe/prague", "+2:0", "+19:00", "+02:60"])
def test_an_unknown_zone_is_an_error(name):
    with pytest.raises(ValueError, match="is not a known time zone"):
        check_zone(name)


def test_the_list_of_zones_is_the_one_of_its_release():
    # The development requirements name the release that the list was made from.
    release = re.search(r"release (\w+)", zone_names.__doc__)[1]
    assert release == tzdata.IANA_VERSION
    names = resources.files("tzdata").joinpath("zones").read_text().split()
    assert set(names) == set(ZONE_NAMES)


def test_a_copy_has_maps_of_its_own_and_is_checked_where_it_is_changed():
    response = Response(attributes={"list": [1]})
    copied = response.replace(locale="cs_CZ", session_ended=True)
    assert copied == Response(locale="cs-CZ", attributes={"list": [1]}, session_ended=True)
    copied.attributes["list"].append(2)
    assert response.attributes == {"list": [1]}
    assert response.replace(attributes={"a": 1}).attributes == {"a": 1}
    with pytest.raises(TypeError, match="session_ended"):
        response.replace(session_ended="no")
    with pytest.raises(TypeError, match="no member 'nonsense'"):
        response.replace(nonsense=1)


def test_a_class_that_a_host_has_derived_can_be_copied():
    @attrs.frozen(kw_only=True)
    class Rated(Transcript):
        stars: int = 0

    assert Rated(text="good", stars=5).replace(stars=4) == Rated(text="good", stars=4)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.STRING, "ř"), (Kind.INTEGER, -1), (Kind.NUMBER, -0.5), (Kind.BOOLEAN, True), (Kind.BYTES, b"a")],
)
def test_what_is_right_is_kept_as_it_is(kind, value):
    assert check("member", Shape(kind), value) == value

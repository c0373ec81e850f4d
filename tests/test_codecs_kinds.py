"""Members of every kind, in functions that are compiled for the test.

What is compiled is kept, so that elsewhere only the first test that needs a class sees how it is made.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

import attrs
import msgpack
import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, dispatch, encode, extras, from_json, structs
from flowstorm_channel.codecs import compile as compiler
from flowstorm_channel.codecs.compile import Direction, function, maker, reader, source
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, InitEvent, InputEvent, UnknownEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import JsonMap, LocaleTag, Moment, Value, ZoneName, member, wire_class
from flowstorm_channel.values import Input, LogEntry, Word
from tests.test_codecs_events import ACCEPTED, SENT, packed

JSON, MSGPACK = JsonCodec(), MsgpackCodec()


class Colour(Enum):
    RED = "Red"
    DARK_BLUE = "Dark-blue"


@wire_class
class Part(Value):
    text: str
    weight: float = 1.0


@wire_class
class Cat(Value):
    TYPE: ClassVar[str] = "Cat"
    lives: int = 9


@wire_class
class Dog(Value):
    TYPE: ClassVar[str] = "Dog"
    name: str


@wire_class
class Everything(Value):
    text: str
    count: int
    share: float
    sure: bool
    block: bytes
    language: LocaleTag
    zone: ZoneName
    time: Moment
    free: JsonMap
    colour: Colour
    part: Part
    parts: tuple[Part, ...]
    pet: Cat | Dog
    pets: tuple[Cat | Dog, ...]
    sign: int = member(choices=(1, -1))


@wire_class
class Perhaps(Value):
    text: str | None = None
    count: int | None = None
    share: float | None = None
    sure: bool | None = None
    block: bytes | None = None
    language: LocaleTag | None = None
    zone: ZoneName | None = None
    time: Moment | None = None
    colour: Colour | None = None
    part: Part | None = None
    pet: Cat | Dog | None = None
    sign: int | None = member(default=None, choices=(1, -1))


@wire_class
class Usually(Value):
    text: str = "usual"
    count: int = 5
    share: float = 0.5
    sure: bool = True
    block: bytes = b"ab"
    language: LocaleTag = "cs-CZ"
    zone: ZoneName = "UTC"
    free: JsonMap = member(factory=dict)
    colour: Colour = Colour.DARK_BLUE
    parts: tuple[Part, ...] = ()
    pets: tuple[Cat | Dog, ...] = ()
    logs: tuple[LogEntry, ...] = ()


@wire_class
class Spelled(Value):
    """Names other than usual."""

    key: str = member(aliases=("appKey",))
    plain: str = member(wire="odd-name")
    wait: int = member(default=0, aliases=("pause", "sleep"))
    session: str | None = member(default=None, inside=("message", "id"))
    both: str | None = member(default=None, aliases=("twice",), inside=("message", "both"))


EVERYTHING = {
    "text": 'a"ř',
    "count": -5,
    "share": 0.25,
    "sure": False,
    "block": b"\xfb\xff",
    "language": "cs_CZ",
    "zone": "+02:00",
    "time": "2022-05-27T14:19:04.120",
    "free": {"a": [1, None]},
    "colour": "Dark-blue",
    "part": {"text": "p", "weight": 2.0},
    "parts": [{"text": "p", "weight": 1.0}, {"text": "q", "weight": 0.5}],
    "pet": {"type": "Dog", "name": "Rex"},
    "pets": [{"type": "Cat", "lives": 9}, {"type": "Dog", "name": "Rex"}],
    "sign": -1,
}
USUALLY = {
    "text": "usual",
    "count": 5,
    "share": 0.5,
    "sure": True,
    "block": b"ab",
    "language": "cs_CZ",
    "zone": "UTC",
    "free": {},
    "colour": "Dark-blue",
    "parts": [],
    "pets": [],
    "logs": [],
}
PERHAPS = {name: EVERYTHING[name] for name in attrs.fields_dict(Perhaps)}
SOME = {"language": "en", "share": 2.0, "sign": 1}
VALUES: dict[str, tuple[dict[str, Any], Value]] = {
    "everything": (
        EVERYTHING,
        Everything(
            text='a"ř',
            count=-5,
            share=0.25,
            sure=False,
            block=b"\xfb\xff",
            language="cs-CZ",
            zone="+02:00",
            time=datetime(2022, 5, 27, 14, 19, 4, 120000),
            free={"a": [1, None]},
            colour=Colour.DARK_BLUE,
            part=Part(text="p", weight=2),
            parts=(Part(text="p"), Part(text="q", weight=0.5)),
            pet=Dog(name="Rex"),
            pets=(Cat(), Dog(name="Rex")),
            sign=-1,
        ),
    ),
    "perhaps all": (
        PERHAPS,
        Perhaps(
            text='a"ř',
            count=-5,
            share=0.25,
            sure=False,
            block=b"\xfb\xff",
            language="cs-CZ",
            zone="+02:00",
            time=datetime(2022, 5, 27, 14, 19, 4, 120000),
            colour=Colour.DARK_BLUE,
            part=Part(text="p", weight=2),
            pet=Dog(name="Rex"),
            sign=-1,
        ),
    ),
    "perhaps some": ({"share": 2.0, "language": "en", "sign": 1}, Perhaps(language="en", share=2, sign=1)),
    "perhaps none": ({}, Perhaps()),
    "usually": (USUALLY, Usually()),
    "unusual": (
        {**USUALLY, "text": "", "sure": False, "logs": [{"relativeTime": 0.0, "level": "INFO", "text": ""}]},
        Usually(text="", sure=False, logs=(LogEntry(),)),
    ),
    "odd numbers": (
        {**USUALLY, "share": 1e-05, "free": {"a": 1e-05, "b": 1e16, "c": 2**64 - 1, "d": -0.0, "e": [1e-05]}},
        Usually(share=1e-05, free={"a": 1e-05, "b": 1e16, "c": 2**64 - 1, "d": -0.0, "e": [1e-05]}),
    ),
    "spelled": ({"key": "k", "odd-name": "p", "wait": 0}, Spelled(key="k", plain="p")),
    "spelled all": (
        {"key": "k", "odd-name": "p", "wait": 7, "session": "s", "both": "b"},
        Spelled(key="k", plain="p", wait=7, session="s", both="b"),
    ),
}
"""Plain trees, as they are written, with what they stand for."""


@pytest.fixture(params=["twins", "constructors"], autouse=True)
def compiled_anew(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing compiled so far; as where threads wait for each other, and as where they run freely."""
    monkeypatch.setattr(compiler, "TWINS", request.param == "twins")
    monkeypatch.setattr(compiler, "_FUNCTIONS", {})
    encode.fast_text.cache_clear()
    encode._declared.cache_clear()
    for kept in (dispatch.READERS, dispatch._TEXT_WRITERS, dispatch._PLAIN_WRITERS):
        for key in list(kept):
            monkeypatch.delitem(kept, key)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what is faster."""
    for name in extras.__all__:
        monkeypatch.setattr(extras, name, lambda: None)


def in_json(tree: Any) -> str:
    return json.dumps(
        tree,
        ensure_ascii=False,
        separators=(",", ":"),
        default=lambda block: {b"\xfb\xff": "+/8=", b"ab": "YWI="}[block],
    )


def exact(value: Any) -> Any:
    """A value with all types in it."""
    if attrs.has(type(value)):
        return type(value), [exact(getattr(value, each.name)) for each in attrs.fields(type(value))]
    return type(value), [exact(each) for each in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_is_read_and_written(name: str) -> None:
    tree, value = VALUES[name]
    assert exact(JSON.decode_value(type(value), in_json(tree))) == exact(value)
    assert exact(MSGPACK.decode_value(type(value), msgpack.packb(tree))) == exact(value)
    assert exact(from_json(type(value), json.loads(in_json(tree)))) == exact(value)
    assert json.loads(JSON.encode_value(value)) == json.loads(in_json(tree))
    assert msgpack.unpackb(MSGPACK.encode_value(value)) == tree


def test_members_are_written_in_their_order() -> None:
    for name in ("everything", "perhaps all", "usually", "unusual", "spelled all"):
        tree, value = VALUES[name]
        assert JSON.encode_value(value) == in_json(tree)
        assert [*msgpack.unpackb(MSGPACK.encode_value(value))] == [*tree]


with_msgspec = pytest.mark.skipif(extras.msgspec() is None, reason="this run does without msgspec")


@with_msgspec
@pytest.mark.parametrize("name", VALUES)
def test_msgspec_writes_every_kind_the_same(name: str) -> None:
    _, value = VALUES[name]
    try:
        struct = function(type(value), Direction.STRUCT)(value)
    except structs.Doubtful:
        assert name == "odd numbers"
    else:
        assert encode._encoder(extras.msgspec())(struct).decode() == JSON.encode_value(value)


@with_msgspec
def test_msgspec_writes_what_is_odd_in_a_map_the_same() -> None:
    _, value = VALUES["odd numbers"]
    struct = function(Usually, Direction.STRUCT)(value.replace(share=0.5))
    assert encode._encoder(extras.msgspec())(struct).decode() == JSON.encode_value(value.replace(share=0.5))


@pytest.mark.parametrize(("tree", "cls"), [(PERHAPS, Perhaps), (USUALLY, Usually)])
def test_null_and_absence_are_the_default(tree: dict[str, Any], cls: type[Value]) -> None:
    for codec, written in ((JSON, in_json), (MSGPACK, msgpack.packb)):
        for absent in ({}, dict.fromkeys(tree), {"language": ""} if cls is Usually else {}):
            assert exact(codec.decode_value(cls, written(absent))) == exact(cls())
            assert exact(from_json(cls, absent)) == exact(cls())


@pytest.mark.parametrize("name", VALUES)
def test_values_that_need_no_check_make_the_same_object(name: str) -> None:
    _, value = VALUES[name]
    given = {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
    assert exact(maker(type(value))(**given)) == exact(value)
    usual = {name: each for name, each in given.items() if name in ("key", "plain")}
    if type(value) is not Everything:
        assert exact(maker(type(value))(**usual)) == exact(type(value)(**usual))


def test_two_objects_never_share_a_map() -> None:
    made: Any
    for made in (maker(Usually), lambda: JSON.decode_value(Usually, "{}")):
        one, other = made(), made()
        one.free["x"] = 1
        assert other.free == {}


# ------------------------------------------------------------ what is refused

# The member, what it holds, what the compiled function says, what is told with care.
REFUSED: list[tuple[str, Any, str, str]] = [
    ("text", 1, "text must be a string", "text: must be a string, not an integer"),
    ("text", None, "text must be a string", "text: must not be null"),
    ("count", 1.0, "count must be an integer of 64 bits", "count: must be an integer, not a number"),
    ("count", True, "count must be an integer of 64 bits", "count: must be an integer, not a boolean"),
    ("share", "1", "must be a finite number", "share: must be a number, not a string"),
    ("share", True, "must be a finite number", "share: must be a number, not a boolean"),
    ("sure", 1, "sure must be a boolean", "sure: must be a boolean, not an integer"),
    ("language", 1, "language must be a string", "language: must be a string, not an integer"),
    ("language", None, "language must be a string", "language: must not be null"),
    ("zone", "Nowhere", "'Nowhere' is not a known time zone", "zone: 'Nowhere' is not a known time zone"),
    ("zone", 1, "", "zone: must be a string, not an integer"),
    ("time", "now", "'now' is not a time", "time: 'now' is not a time"),
    ("time", {}, "must be a time, not an object", "time: must be a time, not an object"),
    ("free", [], "must be an object", "free: must be an object, not an array"),
    ("free", 1, "must be an object", "free: must be an object, not an integer"),
    ("colour", "RED", "'RED'", "colour: 'RED' is not one of Red, Dark-blue"),
    ("colour", 5, "5", "colour: must be a string, not an integer"),
    ("colour", {}, "", "colour: must be a string, not an object"),
    ("part", [], "must be an object", "part: must be an object, not an array"),
    ("part", None, "must be an object", "part: must not be null"),
    ("part", {}, "'text'", "part.text: is missing"),
    ("part", {"text": 5}, "text must be a string", "part.text: must be a string, not an integer"),
    ("parts", {}, "parts must be an array", "parts: must be an array, not an object"),
    ("parts", [{"text": ""}, 5], "must be an object", "parts[1]: must be an object, not an integer"),
    ("pet", 5, "", "pet: must be an object, not an integer"),
    ("pet", {}, "'type'", "pet.type: is missing"),
    ("pet", {"type": None}, "None", "pet.type: must be a string, not null"),
    ("pet", {"type": "Cow"}, "'Cow'", "pet.type: 'Cow' is not one of Cat, Dog"),
    ("pet", {"type": "Dog"}, "'name'", "pet.name: is missing"),
    ("pets", "x", "pets must be an array", "pets: must be an array, not a string"),
    ("pets", [{"type": "Cow"}], "'Cow'", "pets[0].type: 'Cow' is not one of Cat, Dog"),
    ("logs", {}, "logs must be an array", "logs: must be an array, not an object"),
    ("logs", [[]], "must be an object", "logs[0]: must be an object, not an array"),
    ("sign", 0, "sign has no legal value", "sign: 0 is not one of 1, -1"),
    ("sign", "1", "sign must be an integer of 64 bits", "sign: must be an integer, not a string"),
]


@pytest.mark.parametrize(("name", "value", "brief", "careful"), REFUSED)
def test_what_is_wrong_is_refused_at_once_and_explained(
    name: str, value: Any, brief: str, careful: str
) -> None:
    classes = (Everything, Perhaps, Usually) if value is not None else (Everything,)
    for cls in (each for each in classes if name in attrs.fields_dict(each)):
        tree = {**(EVERYTHING if cls is Everything else {}), name: value}
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            reader(cls)(tree, MSGPACK._settings)
        assert str(caught.value).startswith(brief)
        assert not brief or type(caught.value) is not TypeError
        for codec, message in ((JSON, in_json(tree)), (MSGPACK, msgpack.packb(tree))):
            with pytest.raises(RemoteProtocolError) as told:
                codec.decode_value(cls, message)
            assert str(told.value) == careful


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_is_required_is_missed(name: str) -> None:
    tree = {other: value for other, value in EVERYTHING.items() if other != name}
    for codec, written in ((JSON, in_json), (MSGPACK, msgpack.packb)):
        with pytest.raises(RemoteProtocolError) as caught:
            codec.decode_value(Everything, written(tree))
        assert (str(caught.value), caught.value.path) == (f"{name}: is missing", name)
        with pytest.raises(RemoteProtocolError) as caught:
            codec.decode_value(Everything, written({**tree, name: None}))
        assert (str(caught.value), caught.value.path) == (f"{name}: must not be null", name)


@pytest.mark.parametrize("tree", [[], "x", 5, None])
def test_a_value_is_an_object(tree: Any) -> None:
    with pytest.raises(ValueError, match=r"^must be an object$"):
        reader(Part)(tree, JSON._settings)
    with pytest.raises(RemoteProtocolError, match=r"^must be an object, not "):
        JSON.decode_value(Part, json.dumps(tree))


def test_log_entries_are_counted_before_they_are_read() -> None:
    codec = JsonCodec(Limits(log_entries=2))
    codec.decode_value(Usually, '{"logs":[{},{}]}')
    with pytest.raises(ValueError, match=r"^more logs than allowed$"):
        reader(Usually)({"logs": [None] * 3}, codec._settings)
    with pytest.raises(LimitExceeded, match=r"^logs: more than 2 log entries$"):
        codec.decode_value(Usually, '{"logs":[{},{},{}]}')
    with pytest.raises(RemoteProtocolError, match=r"^logs\[1\].text: must be a string, not an integer$"):
        codec.decode_value(Usually, '{"logs":[{},{"text":5}]}')
    assert len(codec.decode_value(Usually, '{"parts":[{"text":"x"},{"text":"x"},{"text":"x"}]}').parts) == 3


# ------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("members", "read"),
    [
        ({"key": "a"}, {"key": "a"}),
        ({"appKey": "a"}, {"key": "a"}),
        ({"key": "a", "appKey": "a"}, {"key": "a"}),
        ({"key": "a", "appKey": "b"}, {"key": "b"}),
        ({"appKey": "b", "key": "a"}, {"key": "a"}),
        ({"appKey": "b", "key": None}, {"key": "b"}),
        ({"key": "k", "pause": 1}, {"wait": 1}),
        ({"key": "k", "sleep": 2}, {"wait": 2}),
        ({"key": "k", "wait": 1, "sleep": 2, "pause": 3}, {"wait": 3}),
        ({"key": "k", "wait": 1, "sleep": None, "pause": None}, {"wait": 1}),
        ({"key": "k", "message": {"id": "s"}}, {"session": "s"}),
        ({"key": "k", "message": {"id": None}}, {"session": None}),
        ({"key": "k", "message": "s"}, {"session": None}),
        ({"key": "k", "session": "a", "message": {"id": "s"}}, {"session": "s"}),
        ({"key": "k", "message": {"id": "s"}, "session": "a"}, {"session": "a"}),
        ({"key": "k", "session": {"id": "s"}, "message": {"id": "s"}}, {"session": "s"}),
        ({"key": "k", "message": {"both": "a"}}, {"both": "a"}),
        ({"key": "k", "twice": "t"}, {"both": "t"}),
        ({"key": "k", "twice": "t", "message": {"both": "a"}}, {"both": "a"}),
        ({"key": "k", "message": {"both": "a", "id": "s"}, "twice": "t"}, {"both": "t", "session": "s"}),
    ],
    ids=str,
)
def test_of_several_names_the_last_with_a_value_counts(members: dict[str, Any], read: dict[str, Any]) -> None:
    value = Spelled(**{"key": "k", "plain": "p", **read})
    tree = {**members, "odd-name": "p"}
    assert JSON.decode_value(Spelled, in_json(tree)) == value
    assert MSGPACK.decode_value(Spelled, msgpack.packb(tree)) == value
    assert from_json(Spelled, tree) == value


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"appKey": 5}, "appKey: must be a string, not an integer"),
        ({"key": 1, "appKey": True}, "appKey: must be a string, not a boolean"),
        ({"key": True, "appKey": 1}, "appKey: must be a string, not an integer"),
        ({}, "key: is missing"),
        ({"appKey": None}, "key: is missing"),
        ({"key": None}, "key: must not be null"),
        ({"key": "k", "sleep": "x"}, "sleep: must be an integer, not a string"),
        ({"key": "k", "wait": 1, "pause": 1.0}, "pause: must be an integer, not a number"),
        ({"key": "k", "wait": 1, "pause": True}, "pause: must be an integer, not a boolean"),
        ({"key": "k", "message": {"id": 5}}, "message.id: must be a string, not an integer"),
        ({"key": "k", "session": 5}, "session: must be a string, not an integer"),
        ({"key": "k", "twice": 5}, "twice: must be a string, not an integer"),
        ({"key": "k", "message": {"both": {}}}, "message.both: must be a string, not an object"),
    ],
    ids=str,
)
def test_a_fault_names_the_member_as_it_was_spelled(members: dict[str, Any], problem: str) -> None:
    for codec, written in ((JSON, in_json), (MSGPACK, msgpack.packb)):
        with pytest.raises(RemoteProtocolError) as caught:
            codec.decode_value(Spelled, written({**members, "odd-name": "p"}))
        assert str(caught.value) == problem


def shorter(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tree, and it with one member less."""
    yield tree
    for name in tree:
        if name != "type":
            yield {other: value for other, value in tree.items() if other != name}


SPELLED = {"key": "k", "appKey": "k", "odd-name": "p", "pause": 1, "sleep": 1, "session": "s", "twice": "t"}


@pytest.mark.parametrize(
    ("cls", "tree"),
    [
        (Everything, EVERYTHING),
        (Perhaps, PERHAPS),
        (Usually, USUALLY),
        (Spelled, SPELLED),
        (Part, EVERYTHING["part"]),
        (Word, {"type": "Word", "text": "w", "classes": [], "startTime": 0.5, "endTime": 1.0}),
        (InitEvent, {"type": "Init", "key": "k", "appKey": "k", "sender": "d", "token": "t"}),
    ],
)
@pytest.mark.parametrize("more", range(8))
def test_where_all_must_be_known_members_that_are_not_are_noticed(
    cls: type[Value], tree: dict[str, Any], more: int
) -> None:
    unknown = {f"more{number}": number for number in range(more)}
    exactly = attrs.evolve(MSGPACK._settings, exact=True)
    for given in shorter(tree):
        try:
            value = reader(cls)(given, MSGPACK._settings)
        except (KeyError, ValueError):  # it is required
            continue
        assert reader(cls)({**given, **unknown}, MSGPACK._settings) == value
        if more:
            with pytest.raises(ValueError, match=r"^there is more in it$"):
                reader(cls)({**given, **unknown}, exactly)
        else:
            assert reader(cls)(given, exactly) == value


# ------------------------------------------------------------ events


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize(("text", "event"), SENT + ACCEPTED, ids=lambda each: str(each)[:60])
def test_events_are_read_without_the_extra(text: str, event: Any) -> None:
    for codec, message in ((JsonCodec(), text), (JsonCodec(), text.encode()), (MsgpackCodec(), packed(text))):
        assert exact(codec.decode(message)) == exact(event)
    assert exact(from_json(type(event), json.loads(text))) == exact(event)


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize(("text", "event"), SENT, ids=lambda each: str(each)[:60])
def test_events_are_written_without_the_extra(text: str, event: Any) -> None:
    assert JsonCodec().encode(event) == text
    assert msgpack.unpackb(MsgpackCodec().encode(event)) == msgpack.unpackb(packed(text))


@with_msgspec
@pytest.mark.parametrize(("text", "event"), SENT, ids=lambda each: str(each)[:60])
def test_events_are_written_by_msgspec(text: str, event: Any) -> None:
    write: Any = encode.fast_text(extras.msgspec())
    expected = None if type(event) in (BinaryEvent, UnknownEvent) else text
    assert [write(event), write(event)] == [expected, expected]


@pytest.mark.parametrize("name", [1, None, True, b"x"])
def test_a_name_that_is_no_text_is_not_written_even_alone(name: Any) -> None:
    event = InputEvent(input=Input())
    attributes: Any = event.input.attributes
    attributes[name] = True
    for codec in (JsonCodec(), MsgpackCodec()):
        with pytest.raises(LocalProtocolError, match=r"^InputEvent cannot be sent: "):
            codec.encode(event)


def test_the_name_of_a_member_is_a_string() -> None:
    for name, called in ((5, "an integer"), (b"x", "binary data"), ((1, 2), "tuple")):
        with pytest.raises(RemoteProtocolError) as caught:
            from_json(Input, {name: 1})
        assert str(caught.value) == f"the name of a member must be a string, not {called}"


def test_an_input_gets_what_the_codec_was_told() -> None:
    codec = JsonCodec(locale="cs_CZ", zone_id="Europe/Prague")
    told = Input(locale="cs-CZ", zone_id="Europe/Prague")
    for text in ("{}", '{"locale":null,"zoneId":null}', '{"locale":""}'):
        assert exact(codec.decode_value(Input, text)) == exact(told)


# ------------------------------------------------------------ classes that cannot be compiled


@wire_class
class Blank(Value):
    first: str = member(wire="odd name")


@wire_class
class Numbers(Value):
    numbers: tuple[int, ...] = ()


class Shades(Enum):
    LIGHT = "Light"
    DARK = "Dark blue"


class Counts(Enum):
    ONE = 1


@wire_class
class Shaded(Value):
    shade: Shades


@wire_class
class Counted(Value):
    count: Counts


@attrs.frozen(kw_only=True)
class Checked(Value):
    text: str = attrs.field(validator=attrs.validators.instance_of(str))


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (Blank, "Blank: 'odd name' is no name for a member"),
        (Numbers, "Numbers.numbers: lists are of objects"),
        (Checked, "Checked has validators: declare it with wire_class"),
    ],
)
def test_a_class_that_cannot_be_compiled_is_named(cls: type, problem: str) -> None:
    for direction in (Direction.READ, Direction.TEXT, Direction.PLAIN, Direction.MAKE):
        with pytest.raises(TypeError) as caught:
            function(cls, direction)
        assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Shaded(shade=Shades.DARK), "Shades: its values are put between quotes as they are"),
        (Counted(count=Counts.ONE), "Counts: its values are put between quotes as they are"),
    ],
)
def test_an_enumeration_that_cannot_be_written_is_named(value: Value, problem: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        JSON.encode_value(value)
    assert str(caught.value) == f"{type(value).__name__} cannot be sent: {problem}"


def test_a_function_is_compiled_once() -> None:
    for direction in compiler.GENERATORS:
        assert function(Part, direction) is function(Part, direction)


@pytest.mark.parametrize("direction", [Direction.READ, Direction.TEXT, Direction.PLAIN, Direction.STRUCT])
def test_a_source_names_the_classes_of_which_it_holds_others(direction: Direction) -> None:
    made = source(Everything, direction)
    for classes in ("Part", "Cat_or_Dog"):
        assert f"{direction.value}_{classes}(" in made

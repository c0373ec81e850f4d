"""With the extra `speed` nothing changes but time: what is installed is held against what is always there."""

import itertools
import json
import math
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from random import Random
from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, encode, extras, roads, structs
from flowstorm_channel.codecs import compile as compiler
from flowstorm_channel.codecs.compile import Direction, function, reader, source
from flowstorm_channel.codecs.dispatch import READERS
from flowstorm_channel.codecs.scalars import from_base64, to_base64
from flowstorm_channel.codecs.settings import AROUND
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    BinaryEvent,
    ErrorEvent,
    InitEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    ResponseEvent,
    ResponseItemEvent,
    UnknownEvent,
    VoteEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import JsonMap, Value, member, wire_class
from flowstorm_channel.testing.strategies import events, hostile_messages
from flowstorm_channel.values import Input, LogEntry, Punctuation, Response, ResponseItem, Transcript, Word
from tests.bench.messages import AUDIO, JSON, PLAIN
from tests.depth import examples
from tests.mutants import as_json, as_msgpack, mutant
from tests.test_codecs_events import SENT

LIMITS = {
    "default": Limits(),
    "small": Limits(message_bytes=300, audio_bytes=40, nesting=10, items=16, string_bytes=50, log_entries=2),
    "long": Limits(message_bytes=600, nesting=12, items=30, string_bytes=300),
    "flat": Limits(nesting=4),
    "narrow": Limits(items=5),
    "wide": Limits(items=2000, log_entries=1500),
}
HIDDEN: dict[str, tuple[str, ...]] = {
    "plain": ("msgspec", "orjson", "pybase64"),
    "orjson": ("msgspec",),
    "speed": (),
}
"""What a codec does not find, by what it is called here."""
FORMS = {"JSON": JsonCodec, "msgpack": MsgpackCodec}


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(extras, name, lambda: None)
        yield


@cache
def codec(form: str, installed: str, limits: str = "default") -> Any:
    made = FORMS[form](LIMITS[limits], zone_id="Europe/Prague")
    with hidden(*HIDDEN[installed]):
        made._decide()
    return made


def exact(value: Any) -> Any:
    """All of a value: of what type each part is, in what order, and which zero."""
    if attrs.has(type(value)):
        return type(value), [exact(getattr(value, each.name)) for each in attrs.fields(type(value))]
    if isinstance(value, dict):
        return dict, [(exact(name), exact(each)) for name, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exact(each) for each in value]
    return type(value), repr(value), getattr(value, "original", None)


def outcome(call: Any, *arguments: Any) -> Any:
    try:
        return exact(call(*arguments))
    except (RemoteProtocolError, LocalProtocolError) as error:
        return type(error), str(error), getattr(error, "path", None)


def outcomes(form: str, method: str, messages: list[Any], limits: list[str]) -> dict[str, list[Any]]:
    found = {}
    for installed, names in HIDDEN.items():
        with hidden(*names):
            found[installed] = [
                outcome(getattr(codec(form, installed, limit), method), message)
                for message, limit in zip(messages, limits, strict=True)
            ]
    return found


def assert_same(form: str, method: str, messages: list[Any], limits: list[str]) -> None:
    found = outcomes(form, method, messages, limits)
    for installed in HIDDEN:
        if found[installed] != found["plain"]:  # else pytest would compare all of it in its report
            for message, limit, one, other in zip(
                messages, limits, found["plain"], found[installed], strict=True
            ):
                assert one == other, (installed, limit, message)


def everywhere(form: str, method: str, message: Any) -> None:
    assert_same(form, method, [message] * len(LIMITS), list(LIMITS))


# ------------------------------------------------------------ the same as without


@given(events())
@settings(max_examples=examples(100))
def test_events_are_written_and_read_the_same(event):
    for form in FORMS:
        everywhere(form, "encode", event)
        everywhere(form, "decode", codec(form, "plain").encode(event))


@given(hostile_messages())
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
def test_what_is_hostile_is_refused_the_same(message):
    data = message.encode(errors="surrogatepass") if isinstance(message, str) else message
    everywhere("JSON", "decode", message)
    everywhere("msgpack", "decode", data)


def compare_mutants(seed: int, count: int) -> None:
    random = Random(seed)
    limits = random.choices([*LIMITS, *["default"] * 4], k=count)
    trees = [mutant(random) for _ in range(count)]
    assert_same("JSON", "decode", [as_json(tree, random) for tree in trees], limits)
    assert_same("msgpack", "decode", [as_msgpack(tree, random) for tree in trees], limits)


@given(st.integers(0, 2**40))
@settings(max_examples=examples(100))
def test_mutated_messages_are_read_the_same(seed):
    compare_mutants(seed, 30)


@pytest.mark.long
@pytest.mark.parametrize("start", [Random().randrange(2**40) for _ in range(8)], ids=range(8))
def test_very_many_mutated_messages_are_read_the_same(start):
    for seed in range(start, start + 300):
        compare_mutants(seed, 50)


DEEP = "[" * 70 + "]" * 70
INPUT = '{"type":"Input","input":{"attributes":%s}}'
ODD_JSON = [
    *(f'{{"type":"Vote","vote":{each}}}' for each in ("1", "1.0", "1e0", "-1", "2", "true", "null", "01")),
    *(f'{{"type":"Vote","vote":1,"nodeId":{each}}}' for each in ("-0", "1.0", "null", '"1"', "9" * 5000)),
    *(
        f'{{"type":"Vote","vote":1,"nodeId":{each}}}'
        for each in (2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63))
    ),
    *(
        f'{{"type":"Vote","vote":1,"nodeId":{each}}}'
        for each in (-(2**63) - 1, '1,"nodeId":18446744073709551616')
    ),
    '{"type":"Vote","vote":1,"nodeId":18446744073709551616,"nodeId":1}',
    '{"type":"Vote","vote":1,"nodeId":"1","nodeId":1}',
    *(
        f'{{"type":"Log","entries":[{{"relativeTime":{each}}}]}}'
        for each in (
            *("0", "-0", "-0.0", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "1e16", "1E+5", "1.", ".5"),
            *(
                2**63,
                2**63 - 1025,
                -(2**63),
                2**64,
                10**30,
                "9" * 400,
                "9007199254740993",
                '"1"',
                "true",
                "null",
            ),
            *('1,"relativeTime":99999999999999999999', '99999999999999999999,"relativeTime":1', "1.0e30"),
        )
    ),
    *(
        f'{{"type":"Error","text":"{each}"}}'
        for each in (
            *(
                "\\ud800",
                "\\udc00",
                "\\ud83d\\ude00",
                "\\ud83dx",
                "\x01",
                "\t",
                "\x7f",
                "\\x",
                "\\/\\b\\u0000",
                "\ud800",
            ),
            *("é" * 200, "a" * 200, "\U0001f600" * 40, "\\u00e9" * 30),
        )
    ),
    *('{"type":"Ready","type":"Ready"}', '{"type":"Ready","type":"Vote"}', '{"type":"Vote","type":"Ready"}'),
    *(
        '{"type":"Ready","type":1}',
        '{"type":1,"type":"Ready"}',
        '{"ty\\u0070e":"\\u0052eady"}',
        '{"type":"Later"}',
    ),
    *(
        '\ufeff{"type":"Ready"}',
        ' \t\r\n{"type":"Ready"}\n',
        '{"type":"Ready"}\x0b',
        '{"type":"Ready"}{}',
        "",
        " ",
        "[]",
    ),
    *(
        '{"type":"Ready",}',
        '{"type":"Ready","a":1}',
        '{"type":"Ready","a":1e400}',
        '{"type":null}',
        "{}",
        "null",
    ),
    *(
        f'{{"type":"Init","deviceId":"d",{each}}}'
        for each in (
            *(
                '"key":"a"',
                '"appKey":"a"',
                '"key":"a","appKey":"a"',
                '"key":"a","appKey":"b"',
                '"appKey":"b","key":"a"',
            ),
            *(
                '"key":null,"appKey":"a"',
                '"key":"a","appKey":null',
                '"key":null',
                '"key":null,"appKey":null',
                '"key":1',
            ),
        )
    ),
    *(
        '{"type":"InputAudioStreamOpen","message":{"sessionId":"a"}}',
        '{"type":"InputAudioStreamOpen","sessionId":null}',
    ),
    *(
        f'{{"type":"Response","response":{{"sleepTimeout":{each}}}}}'
        for each in ("null", '1,"sessionTimeout":2', "true")
    ),
    *(
        f'{{"type":"Response","response":{{"locale":{each}}}}}'
        for each in ('""', "null", '"en_us"', "1", '"no tag"')
    ),
    *(
        f'{{"type":"Input","input":{{"zoneId":{each}}}}}'
        for each in ('"Mars/Olympus"', "null", '"+02:00"', '""', "1")
    ),
    *(INPUT % each for each in ("{}", "null", "[]", '{"a":{}}', '{"a":[[1,{"b":2}]]}', '{"a":' + DEEP + "}")),
    *(INPUT % each for each in (f'{{"a":{DEEP},"a":1}}', f'{{"a":{DEEP}}},"attributes":{{}}', '{"a":1e400}')),
    *(
        INPUT % f'{{"a":{each}}}'
        for each in (2**63, 2**64 - 1, 2**64, -(2**63) - 1, "[18446744073709551616]", "-0", "-0.0")
    ),
    *(
        INPUT % each
        for each in (
            *('{"a":18446744073709551616,"a":1}', '{"b":1,"a":2,"b":3}', '{"a":"\\ud800"}'),
            *(f'{{"a":{DEEP},"a":"\\ud83d\\ude00"}}', f'{{"a":"\\ud800","a":{DEEP}}}'),
        )
    ),
    *(
        INPUT % ("{" + ",".join(f'"{n}":{n}' for n in range(count)) + "}")
        for count in (16, 30, 31, 1000, 1001)
    ),
    *(
        '{"type":"Log","entries":[' + ",".join(["{}"] * count) + "]}"
        for count in (2, 3, 30, 31, 1000, 1001, 1999)
    ),
    '{"type":"Log","entries":[' + ",".join(["{}"] * 1001) + '],"entries":[]}',
    *(
        f'{{"type":"Binary","data":{each}}}'
        for each in ('"AAAA"', '"AA"', '"AA=="', "[1,-1]", "null", '"A"', '"____"')
    ),
    *('{"type":"Binary","data":"' + "AAAA" * count + '"}' for count in (300, 70_000, 300_000)),
    *('{"type":"Binary","data":"' + each * 80 + '"}' for each in ("AAAA", "AAA=", "AA é", "____")),
    '{"type":"Binary","data":"' + "AAAA" * 80 + '===="}',
    *(f'{{"type":"{each}","text":"x","vote":1,"input":{{}},"data":""}}' for each in SPELLINGS),
]


@pytest.mark.parametrize("message", ODD_JSON, ids=itertools.count())
def test_odd_json_is_read_the_same(message):
    everywhere("JSON", "decode", message)
    if "\ud800" not in message:
        everywhere("JSON", "decode", message.encode())
        everywhere("JSON", "decode", bytearray(message.encode()))
        everywhere("JSON", "decode", type("Text", (str,), {})(message))


def free(packed: bytes) -> bytes:
    return b"\x82\xa4type\xa5Input\xa5input\x81\xaaattributes" + packed


ODD_MSGPACK = [
    *(
        msgpack.packb({"type": "Vote", "vote": 1, "nodeId": each})
        for each in (2**63, 2**64 - 1, -(2**63), 1.0, None, b"1")
    ),
    *(
        msgpack.packb({"type": "Log", "entries": [{"relativeTime": each}]})
        for each in (math.nan, math.inf, -math.inf, -0.0, 2**63, 2**64 - 1, 1e300, True)
    ),
    msgpack.packb({"type": "Log", "entries": [{"relativeTime": 1.5}]}, use_single_float=True),
    *(msgpack.packb({"type": "Error", "text": each}) for each in (b"x", "é" * 30, "x" * 400, None)),
    *(msgpack.packb({"type": "Binary", "data": each}) for each in (b"", AUDIO, "AAAA", None, [1])),
    *(
        msgpack.packb({"type": "Log", "entries": [{}] * count})
        for count in (2, 3, 15, 16, 17, 31, 1000, 1001, 1999)
    ),
    b"\xa4type\xa3Log".join([b"\x83", b"\xa7entries\xdc\x07\xcf" + b"\x80" * 1999 + b"\xa7entries\x90"]),
    b"\xde\x03\xe9\xa4type\xa5Error" + b"\xa4text\xa1a" * 1000,
    b"\x82\xa4type\xa5Error\xc4\x04text\xa1a",
    b"\x82\xc4\x04type\xa5Error\xa4text\xa1a",
    b"\x82\xd9\x04type\xa5Error\xa4text\xd9\x01a",
    b"\x82\xa4type\xa5Error\xa4text\xa1\xff",
    b"\x81\xa4type\xa5Ready\x00",
    b"\x81\xa4type\xc4\x05Ready",
    *(b"", b"\x80", b"\x90", b"\xc1", b"\xa4type", b"\x81\xa4type", b"\xdf\xff\xff\xff\xff"),
    *map(
        free,
        (
            *(
                b"\x80",
                b"\xc0",
                b"\x90",
                b"\x81\xa1a\xc1",
                b"\x81\xa1a\xd6\xff\0\0\0\0",
                b"\x81\xa1a\xd4\x05x",
            ),
            *(
                b"\x81\xc4\x01a\x01",
                b"\x81\x01\x01",
                b"\x81\xa1a\xc4\x01a",
                b"\x81\xa1a\xa1\xff",
                b"\x81\xa1\xff\x01",
            ),
            *(b"\x81\xa1a" + b"\x91" * depth + b"\xc0" for depth in (1, 8, 40, 55, 60, 61, 62, 70)),
            *(
                b"\x81\xa1a\xcb" + each
                for each in (b"\x7f\xf8" + bytes(6), b"\x7f\xf0" + bytes(6), b"\x80" + bytes(7))
            ),
            *(
                b"\x81\xa1a\xdc" + n.to_bytes(2, "big") + b"\x01" * n
                for n in (15, 16, 17, 30, 31, 999, 1001, 2001)
            ),
            *(
                b"\x82\xa1a" + each + b"\xa1a\x01"
                for each in (
                    b"\xd4\x05x",
                    b"\x81\x01\x01",
                    b"\xc4\x01a",
                    b"\xdc\x03\xe9" + b"\x01" * 1001,
                    b"\xa1\xff",
                )
            ),
            b"\x81\xa1a\xd9\xf0" + b"x" * 240,
            b"\x81\xaaattributes\x01",
        ),
    ),
    *(
        b"\x82\xa4type\xa5Input\xa5input\x82\xaaattributes" + one + b"\xaaattributes" + other
        for one in (
            b"\x80",
            b"\x81\xa1a\xd4\x05x",
            b"\x81\xa1a\xa1\xff",
            b"\x81\xa1a" + b"\x91" * 70 + b"\xc0",
        )
        for other in (b"\x80", b"\x81\xa1a\x01")
    ),
    b"\x83\xa4type\xa5Input\xa5input\x81\xaaattributes\x81\xa1a\xd4\x05x\xa5input\x80",
]


@pytest.mark.parametrize("message", ODD_MSGPACK, ids=itertools.count())
def test_odd_msgpack_is_read_the_same(message):
    everywhere("msgpack", "decode", message)
    everywhere("msgpack", "decode", bytearray(message))


def compile_all() -> None:
    """As if an event of each type had been read before."""
    READERS.update({name: reader(cls) for name, cls in SPELLINGS.items()})


@pytest.mark.parametrize("installed", HIDDEN)
@pytest.mark.parametrize(("form", "messages"), [("JSON", ODD_JSON), ("msgpack", ODD_MSGPACK)])
def test_what_was_read_before_changes_nothing(form, messages, installed):
    decode = codec(form, installed).decode
    for message in messages:
        READERS.clear()
        first = outcome(decode, message)
        compile_all()
        assert outcome(decode, message) == first


class Text(str):
    pass


class Number(int):
    pass


def changed(event, **entries):
    event.input.attributes.update(entries)
    return event


ODD_EVENTS = [
    *(ErrorEvent(text=each) for each in (Text("x"), '\x00\x1f\x7f"\\/\u2028', "é", "\U0001f600", "x" * 300)),
    *(
        LogEvent(entries=(LogEntry(time=datetime(2026, 1, 2, 3, 4, second, micro)),))
        for second, micro in ((0, 0), (5, 678000), (0, 678900), (5, 1), (5, 1000), (0, 100000))
    ),
    LogEvent(
        entries=(LogEntry(time=datetime(1, 1, 1)), LogEntry(time=datetime(9999, 12, 31, 23, 59, 59, 999000)))
    ),
    *(VoteEvent(vote=each, node_id=each) for each in (1, Number(1))),
    *(
        LogEvent(entries=(LogEntry(relative_time=each),))
        for each in (0.0, -0.0, 1e-4, 9e-5, 1e16, 9999999999999998.0, -0.5, -5.0, 1e300, 5e-324, 1 / 3)
    ),
    *(
        changed(InputEvent(input=Input()), a=each)
        for each in (
            *(
                1,
                1.5,
                1e16,
                2**64,
                -(2**63) - 1,
                math.nan,
                b"ab",
                "\ud800",
                {"b": []},
                {1: 2},
                object(),
                Text("x"),
            ),
            *(None, True, "x", [True, None], (1,), {}),
        )
    ),
    changed(InputEvent(input=Input()), **{"\ud800": 1}),
    InputEvent(input=Input(tokens=(Word(text="a"), Punctuation(text=".")))),
    ResponseItemEvent(response_item=ResponseItem(text="x", node_id=2**64 - 1)),
    UnknownEvent(data={"type": "Later", "a": [1.5, {"b": b"ab"}]}),
    BinaryEvent(data=AUDIO),
    BinaryEvent(data=b""),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("event", ODD_EVENTS, ids=itertools.count())
def test_odd_events_are_written_the_same(event, form):
    everywhere(form, "encode", event)


def test_a_name_that_is_no_text_is_not_written():
    event = InputEvent(input=Input(attributes={"a": True}))
    attributes: Any = event.input.attributes
    attributes[1] = True
    everywhere("JSON", "encode", event)
    with pytest.raises(LocalProtocolError):
        codec("JSON", "speed").encode(event)


@given(st.text(st.sampled_from("AB/+z9=-_ \n.\x00é☃"), max_size=90) | st.binary(max_size=70).map(to_base64))
@settings(max_examples=examples(400))
def test_base64_is_read_the_same(text):
    def verdict():
        try:
            return from_base64(text)
        except ValueError as error:
            return type(error), str(error)

    with hidden("pybase64"):
        expected = verdict()
    assert verdict() == expected


@given(st.binary(max_size=200))
def test_base64_is_written_the_same(data):
    with hidden("pybase64"):
        expected = to_base64(data)
    assert to_base64(data) == expected


# ------------------------------------------------------------ and it is used

with_msgspec = pytest.mark.skipif(extras.msgspec() is None, reason="this run does without msgspec")


@pytest.mark.parametrize("installed", HIDDEN)
@pytest.mark.parametrize("name", PLAIN)
def test_plain_messages_take_the_fast_roads(name, installed):
    packed = msgpack.packb({"type": "Binary", "data": AUDIO} if name == "f" else PLAIN[name])
    compile_all()
    event = codec("JSON", installed).decode(JSON[name])
    for form, message in (("JSON", JSON[name]), ("JSON", JSON[name].encode()), ("msgpack", packed)):
        made = codec(form, installed)
        roads = (made._road, *made._detours)
        assert len(roads) == 1 + (installed == "speed" and extras.msgspec() is not None)
        for road in roads:
            assert exact(road(message)) == exact(event)


@pytest.mark.parametrize("installed", HIDDEN)
@pytest.mark.parametrize(("text", "event"), [each for each in SENT if type(each[1]) is not UnknownEvent])
def test_what_is_sent_takes_the_fast_roads(text, event, installed):
    compile_all()
    event = codec("JSON", "plain").decode(codec("JSON", "plain").encode(event))
    for form, message in (("JSON", text), ("msgpack", codec("msgpack", "plain").encode(event))):
        made = codec(form, installed)
        for road in (made._road, *made._detours):
            assert exact(road(message)) == exact(event)


def test_one_road_is_asked_after_the_other():
    made, asked = JsonCodec(), []
    made._road, made._detours = asked.append, [asked.append, lambda text: ErrorEvent(text=text)]
    assert made.decode('{"type":"Ready"}') == ErrorEvent(text='{"type":"Ready"}')
    assert asked == ['{"type":"Ready"}'] * 2
    made._detours = []
    assert made.decode('{"type":"Ready"}') == ReadyEvent()


@with_msgspec
@pytest.mark.parametrize("name", PLAIN)
def test_plain_events_take_the_fast_road(name):
    fast = codec("JSON", "speed")
    assert (fast._fast_text(fast.decode(JSON[name])) is None) is (name == "f")
    assert codec("JSON", "plain")._fast_text is None
    made = JsonCodec()
    made.encode(fast.decode(JSON[name]))
    assert (made._fast_text is None) is (name == "f")  # it is not asked for a Binary
    made._fast_text = lambda _: "what it gives"
    assert (made.encode(fast.decode(JSON[name])) == "what it gives") is (name != "f")


@pytest.mark.parametrize("form", FORMS)
def test_too_small_limits_leave_no_fast_road(form):
    for limits in ("flat", "narrow"):
        made = codec(form, "speed", limits)
        assert [road(b"") for road in (made._road, *made._detours)] == [None]


@pytest.mark.parametrize("name", extras.__all__)
def test_what_is_not_installed_is_done_without(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert getattr(extras, name).__wrapped__() is None


@pytest.mark.parametrize("name", extras.__all__)
def test_what_is_installed_is_found(name):
    module = pytest.importorskip(name)
    assert getattr(extras, name).__wrapped__() is module


def test_fast_roads_are_not_built_without_msgspec():
    with hidden("msgspec"):
        made = JsonCodec(Limits(items=999))
        made._decide()
        assert not made._detours
        assert len(list(MsgpackCodec(Limits(items=999))._fast_roads(made._settings))) == 1
        assert "return Struct(" in source(Transcript, Direction.STRUCT)
        assert made.decode('{"type":"Ready"}') == ReadyEvent()


def test_what_declarations_need_is_known():
    assert (roads._depth(ReadyEvent), roads._width(ReadyEvent)) == (2, 1)
    # Transcript: type, text, confidence.
    assert (roads._depth(Transcript), roads._width(Transcript)) == (2, 3)
    # Request, request, input, tokens, Word, classes, InputClass, and what is empty; Init, with its aliases.
    assert roads._room() == (8, 15)
    assert roads._width(InitEvent) == 15
    assert not roads.leave_room(Limits(nesting=AROUND))
    assert roads.leave_room(Limits(nesting=AROUND + 1, items=15))
    assert not roads.leave_room(Limits(items=14))


def test_orjson_is_asked_where_it_is():
    compile_all()
    texts = []
    fake = types.ModuleType("orjson")
    fake.loads = lambda text: texts.append(text) or {"type": "Ready"}
    with hidden("msgspec"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(extras, "orjson", lambda: fake)
        assert JsonCodec().decode('{"type":"Error"}') == ReadyEvent()
    assert texts == ['{"type":"Error"}']


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("installed", HIDDEN)
def test_a_text_that_looks_like_a_block_is_a_text_where_a_tree_is_asked_for(installed, limits):
    text = JSON["f"]
    made = codec("JSON", installed, limits)
    if len(text) > made.limits.message_bytes:
        with pytest.raises(LimitExceeded, match="a message of more than"):
            made.decode_tree(text)
    else:
        assert made.decode_tree(text) == json.loads(text)
        assert made.decode(text) == BinaryEvent(data=AUDIO)


@pytest.mark.parametrize("installed", HIDDEN)
def test_a_long_integer_is_refused_where_nobody_declares_a_member(installed):
    for number in (2**64, -(2**63) - 1, 10**19 * 9, 10**20, int("9" * 4000)):
        for text in ('{"type":"Ready","later":%d}', '{"type":"Ready","later":[{"a":%d}]}'):
            with pytest.raises(RemoteProtocolError, match=r"the integer does not fit into 64 bits$"):
                codec("JSON", installed).decode(text % number)
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999"):
        with pytest.raises(RemoteProtocolError, match=r"is not a finite number$|is too great a number$"):
            codec("JSON", installed).decode(f'{{"type":"Ready","later":{number}}}')
    for number in (2**64 - 1, -(2**63), 10**19 - 1, 10**19, 10**18, -(10**18), -(10**18) + 1):
        assert codec("JSON", installed).decode(f'{{"type":"Ready","later":{number}}}') == ReadyEvent()
        assert codec("JSON", installed).decode_tree(f"[{number}]") == [number]


@pytest.mark.parametrize("installed", HIDDEN)
@pytest.mark.parametrize("text", ["\\ud800", "\\uD800", "a\\udfff", "\\uDFFF\\uD800", "\\ud83d"])
def test_half_a_character_is_refused_however_it_is_spelled(installed, text):
    for message in (
        f'{{"type":"Error","text":"{text}"}}',
        f'{{"type":"Error","text":"č{text}"}}',
        f'{{"type":"Later","{text}":1}}',
        f'{{"type":"Input","input":{{"transcript":{{"text":""}},"attributes":{{"a":["{text}"]}}}}}}',
        f'{{"type":"Input","input":{{"transcript":{{"text":""}},"attributes":{{"{text}":1}}}}}}',
    ):
        with pytest.raises(RemoteProtocolError, match="holds a lone surrogate"):
            codec("JSON", installed).decode(message)
    whole = codec("JSON", installed).decode('{"type":"Error","text":"\\uD83d\\ude00"}')
    assert whole.text == "\U0001f600"


@pytest.mark.parametrize("installed", HIDDEN)
@pytest.mark.parametrize("more", ["X", "}", "]", "0", '"', ",", "{}", "\0", "\v", "\xa0", "\ufeff", " X"])
def test_what_follows_a_message_is_refused(installed, more):
    with pytest.raises(RemoteProtocolError, match="something follows the JSON text at character"):
        codec("JSON", installed).decode('{"type":"Ready"}' + more)


def test_importing_looks_for_nothing():
    script = "import flowstorm_channel, sys; print({'msgspec', 'orjson', 'pybase64'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_sources_in_the_documentation_are_those_that_are_made():
    for direction, module in (
        (Direction.FILL, structs),
        (Direction.STRUCT, encode),
    ):
        lines = source(Transcript, direction).splitlines()
        assert "\n".join("    " + line for line in lines) in (module.__doc__ or "")


@with_msgspec
def test_without_twins_the_same_objects_are_made(monkeypatch):
    made = structs.structs(extras.msgspec(), binary=False)
    struct = made.decode(JSON["e"])
    twin = struct.fill(codec("JSON", "speed")._settings)
    monkeypatch.setattr(compiler, "TWINS", False)
    fill = function(ResponseEvent, Direction.FILL)
    assert "Twin()" not in source(Response, Direction.FILL)
    assert exact(fill(struct, codec("JSON", "speed")._settings)) == exact(twin)


@wire_class
class WithOtherMap(Value):
    extra: JsonMap = member(factory=dict)


def test_a_free_object_of_another_name_is_not_overlooked():
    with pytest.raises(TypeError, match="extra is not called 'attributes'"):
        structs._free_objects(WithOtherMap)


@pytest.mark.parametrize("cls", EVENTS.values())
def test_the_text_of_every_event_keeps_its_order(cls):
    message = json.dumps({"type": cls.TYPE, **FULL.get(cls.TYPE, {})})
    event = codec("JSON", "plain").decode(message)
    everywhere("JSON", "encode", event)


FULL: dict[str, dict[str, Any]] = {
    **{tree["type"]: tree for tree in PLAIN.values()},
    "Request": {"request": {"key": "a", "sender": "b", "sessionId": "c", "input": {}}},
    "RecognizedInput": {"input": {}},
    "Error": {"text": "x"},
    "SessionStarted": {"sessionId": "x"},
    "Vote": {"vote": 1},
}

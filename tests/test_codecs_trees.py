"""Free values, at each edge and word by word: what maps hold, and what a caller parsed himself."""

import collections
import json
import sys
import types

import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, extras, from_json
from flowstorm_channel.codecs.trees import Marked, inspect, plain_of, text_of
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, InputEvent, UnknownEvent
from flowstorm_channel.limits import DEFAULT_LIMITS

GREATEST = sys.float_info.max
KEPT = [
    *(0, 1, -(2**63), 2**64 - 1, True, False, None, "", "č", "\U0001f600"),
    *(0.0, -0.0, 0.1, 1e16, GREATEST, -GREATEST, 5e-324),
    *([], {}, [[]], {"": {}}, {"a": [1, {"b": None}], "č": "x"}),
]


@pytest.mark.parametrize("value", KEPT, ids=ascii)
def test_what_json_has_a_form_for_is_kept(value):
    assert text_of(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert plain_of(value) == value
    assert type(plain_of(value)) is type(value)
    inspect(value, DEFAULT_LIMITS)
    data = {"type": "Later", "a": [{"b": value}]}
    for codec in (JsonCodec(), MsgpackCodec()):
        assert codec.decode(codec.encode(UnknownEvent(data=data))).data == data
    assert from_json(UnknownEvent, data).data == data


class Whole(int):
    def __repr__(self):
        return "whole"

    def __eq__(self, other):
        raise NotImplementedError

    __hash__ = int.__hash__


class Real(float):
    def __repr__(self):
        return "real"


class Text(str):
    pass


class Block(bytes):
    pass


class Row(list):
    pass


class Pair(tuple):
    pass


@pytest.mark.parametrize(
    ("value", "text", "plain"),
    [
        (Whole(-3), "-3", -3),
        (Real(1.5), "1.5", 1.5),
        (Text('a"'), '"a\\""', 'a"'),
        (b"\xfb\xff", '"+/8="', b"\xfb\xff"),
        (Block(b"a"), '"YQ=="', b"a"),
        ((1, 2), "[1,2]", [1, 2]),
        (Row([1]), "[1]", [1]),
        (Pair([1]), "[1]", [1]),
        (types.MappingProxyType({"a": (1,)}), '{"a":[1]}', {"a": [1]}),
        (collections.OrderedDict(a=1), '{"a":1}', {"a": 1}),
        (collections.ChainMap({"a": 1}), '{"a":1}', {"a": 1}),
        ({Text("a"): 1}, '{"a":1}', {"a": 1}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_much_like_it_is_made_plain(value, text, plain):
    assert text_of(value) == text
    made = plain_of(value)
    assert made == plain
    assert type(made) is type(plain) or isinstance(value, (str, bytes))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2**64, ValueError, "an integer that does not fit into 64 bits cannot be sent"),
        (-(2**63) - 1, ValueError, "an integer that does not fit into 64 bits cannot be sent"),
        (Whole(2**64), ValueError, "an integer that does not fit into 64 bits cannot be sent"),
        (float("nan"), ValueError, "nan cannot be sent"),
        (float("-inf"), ValueError, "-inf cannot be sent"),
        ({1, 2}, TypeError, "set is not a JSON value"),
        (object, TypeError, "type is not a JSON value"),
        (bytearray(b"a"), TypeError, "bytearray is not a JSON value"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: [value], lambda value: {"a": value}])
def test_what_json_has_no_form_for_is_named(value, error, text, around):
    for write in (text_of, plain_of):
        with pytest.raises(error) as caught:
            write(around(value))
        assert str(caught.value) == text


def test_a_name_is_a_text():
    for key, called in ((1, "int"), (None, "NoneType"), (b"a", "bytes"), ((), "tuple")):
        with pytest.raises(TypeError, match=f"^the name of a member must be a str, not {called}$"):
            plain_of({"a": {key: 1}})
        with pytest.raises(TypeError):
            text_of({"a": {key: 1}})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (2**64, "a: the integer does not fit into 64 bits"),
        (-(2**63) - 1, "a: the integer does not fit into 64 bits"),
        (float("inf"), "a: inf is not a finite number"),
        (float("-inf"), "a: -inf is not a finite number"),
        (Marked("a number that is refused"), "a: a number that is refused"),
        ((1,), "a: tuple is not a JSON value"),
        ({1, 2}, "a: set is not a JSON value"),
        ([0, {"b": [0, (1,)]}], "a[1].b[1]: tuple is not a JSON value"),
        ([(1,), 1], "a[0]: tuple is not a JSON value"),
        ({1: 2}, "a: the name of a member must be a string, not an integer"),
    ],
    ids=ascii,
)
def test_what_a_caller_parsed_is_looked_through(value, problem):
    with pytest.raises(RemoteProtocolError) as caught:
        from_json(UnknownEvent, {"type": "Later", "a": value})
    assert str(caught.value) == problem


def test_only_a_block_may_be_longer_than_a_text_may_be():
    block = {"type": "Binary", "data": "QUJD" * 100_000}
    assert from_json(BinaryEvent, block).data == b"ABC" * 100_000
    assert JsonCodec().decode(json.dumps(block)).data == b"ABC" * 100_000
    for tree in ({**block, "type": "Later"}, {**block, "later": block["data"]}):
        with pytest.raises(LimitExceeded, match="a string of more than 262144 bytes"):
            from_json(UnknownEvent, tree)


@pytest.mark.parametrize(
    "absent", [(), ("msgspec",), ("msgspec", "orjson")], ids=["speed", "orjson", "plain"]
)
@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"b":{}}}', '{{"b":[1,{{"c":{}}}]}}'])
def test_a_long_integer_is_not_taken_for_the_float_next_to_it(around, absent, monkeypatch):
    for name in absent:
        monkeypatch.setattr(extras, name, lambda: None)
    message = '{"type":"Input","input":{"transcript":{"text":""},"attributes":{"a":%s}}}'
    for text in (2**64, 2**70, -(2**63) - 1, -(2**64), 10**30):
        with pytest.raises(RemoteProtocolError, match="the integer does not fit into 64 bits"):
            JsonCodec().decode(message % around.format(text))
    for text, value in (
        ("1e30", 1e30),
        (f"{2**64}.0", 2.0**64),
        (f"{2**64 - 1}", 2**64 - 1),
        ("-1e19", -1e19),
    ):
        event = JsonCodec().decode(message % around.format(text))
        assert isinstance(event, InputEvent)
        assert event.input.attributes["a"] == json.loads(around.format(text))
        assert repr(value) in repr(event.input.attributes["a"])

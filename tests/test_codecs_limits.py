"""What is just as much as a limit allows is taken, and what is one more is refused, whatever is installed."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgpack
import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, extras
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import UnknownEvent
from flowstorm_channel.limits import Limits

EXTRAS = {"plain": ("msgspec", "orjson", "pybase64"), "orjson": ("msgspec",), "speed": ()}
"""What is not found."""


def in_input(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Input", "input": {"transcript": {"text": ""}, "attributes": attributes}}


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


MESSAGES: dict[str, list[Any]] = {
    "string_bytes": [
        lambda size: {"type": "Error", "text": "a" * size},
        lambda size: {"type": "Error", "text": "é" * (size // 2) + "a" * (size % 2)},
        lambda size: {"type": "Later", "text": "a" * size},
        lambda size: {"type": "Later", "data": "a" * size},
        lambda size: in_input({"a" * size: 1}),
        lambda size: in_input({"a": ["\n" * size]}),
    ],
    "items": [
        lambda size: in_input({str(index): 1 for index in range(size)}),
        lambda size: in_input({"a": [1] * size}),
        lambda size: {"type": "Later", "a": [1] * size},
        lambda size: {"type": "Log", "entries": [{}] * size},
        lambda size: {"type": "Later", **{str(index): 1 for index in range(1, size)}},
    ],
    "nesting": [
        lambda size: in_input({"a": nested(size - 3)}),
        lambda size: in_input({"a": [1, {"b": nested(size - 5)}]}),
        lambda size: {"type": "Later", "a": nested(size - 1)},
        lambda size: {"type": "Later", "a": "x" * 2000, "b": nested(size - 1)},
    ],
    "audio_bytes": [lambda size: {"type": "Binary", "data": b"a" * size}],
    "log_entries": [
        lambda size: {"type": "Log", "entries": [{}] * size},
        lambda size: {"type": "Response", "response": {"logs": [{}] * size}},
    ],
}
"""Messages that reach a limit, by what it is."""
SIZES = {"nesting": (9, 16, 40, 64)}
WORDS = {
    "string_bytes": "a string of more than {} bytes",
    "items": r"more than {} (elements|members)",
    "nesting": "nested more than {} deep",
    "audio_bytes": "more than {} bytes",
    "log_entries": "more than {} log entries",
}


def in_json(tree: Any) -> str:
    return json.dumps(
        tree,
        ensure_ascii=False,
        separators=(",", ":"),
        default=lambda data: base64.b64encode(data).decode(),
    )


FORMS: dict[str, tuple[Any, Any]] = {"JSON": (JsonCodec, in_json), "msgpack": (MsgpackCodec, msgpack.packb)}


@pytest.fixture(params=EXTRAS)
def installed(request, monkeypatch):
    for name in EXTRAS[request.param]:
        monkeypatch.setattr(extras, name, lambda: None)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "number", "size"),
    [
        (name, number, size)
        for name, made in MESSAGES.items()
        for number in range(len(made))
        for size in SIZES.get(name, (16, 40, 200, 700, 3000))
    ],
)
def test_just_as_much_is_taken_and_one_more_is_not(form, name, number, size):
    cls, written = FORMS[form]
    most = {"items": 4000, "log_entries": 4000, name: size}
    codec, message = cls(Limits(**most)), MESSAGES[name][number]
    event = codec.decode(written(message(size)))
    assert codec.decode(codec.encode(event)) == event
    with pytest.raises(LimitExceeded, match=WORDS[name].format(size)):
        codec.decode(written(message(size + 1)))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["a", "é"])
@pytest.mark.parametrize("size", [50, 1000, 1100, 5000])
def test_a_message_may_be_as_long_as_the_limit(form, text, size):
    cls, written = FORMS[form]
    message = written({"type": "Error", "text": text * size})
    length = len(message.encode()) if isinstance(message, str) else len(message)
    assert cls(Limits(message_bytes=length)).decode(message).text == text * size
    with pytest.raises(LimitExceeded, match=f"a message of more than {length - 1} bytes"):
        cls(Limits(message_bytes=length - 1)).decode(message)
    block = written({"type": "Binary", "data": b"a" * size})
    with pytest.raises(LimitExceeded, match=f"a message of more than {len(block) - 1} bytes"):
        cls(Limits(message_bytes=len(block) - 1, string_bytes=100_000)).decode(block)
    assert cls(Limits(message_bytes=len(block))).decode(block).data == b"a" * size
    wrong = written({"type": "Errox", "text": text * size, "b": float("nan")})
    length = len(wrong.encode()) if isinstance(wrong, str) else len(wrong)
    with pytest.raises(RemoteProtocolError, match=r"^b: "):
        cls(Limits(message_bytes=length)).decode(wrong)


@pytest.mark.parametrize("form", FORMS)
def test_a_place_that_is_too_deep_is_not_spelled_out(form):
    cls, written = FORMS[form]
    with pytest.raises(LimitExceeded) as caught:
        cls().decode(written(in_input({"a": nested(64)})))
    assert caught.value.path == ""


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("size", [16, 700])
def test_a_block_that_nobody_declares_has_the_limit_of_blocks(size):
    codec = MsgpackCodec(Limits(audio_bytes=size))
    message = {"type": "Later", "data": b"a" * size}
    assert codec.decode(msgpack.packb(message)) == UnknownEvent(data=message)
    with pytest.raises(LimitExceeded, match=f"^more than {size} bytes"):
        codec.decode(msgpack.packb({"type": "Later", "data": b"a" * (size + 1)}))
    with pytest.raises(LimitExceeded, match=f"more than {size} bytes"):
        codec.decode(msgpack.packb({"type": "Ready", "later": b"a" * (size + 1)}))
    assert codec.decode(msgpack.packb(in_input({"a": b"a" * size})))
    with pytest.raises(LimitExceeded, match=f"more than {size} bytes"):
        codec.decode(msgpack.packb(in_input({"a": b"a" * (size + 1)})))


@pytest.mark.usefixtures("installed")
def test_a_short_text_may_still_be_too_long_or_no_text():
    codec = JsonCodec(Limits(string_bytes=10))
    assert codec.decode_tree('["ééé"]') == ["ééé"]
    with pytest.raises(LimitExceeded, match=r"^\[0\]: a string of more than 10 bytes$"):
        codec.decode_tree('["éééééé"]')
    for text in ('["\ud800"]', '["\\ud800"]'):
        with pytest.raises(RemoteProtocolError, match="lone surrogate"):
            codec.decode_tree(text)


# The shortest header that msgpack has for a number of elements is not the only one.
ARRAYS = [lambda size: b"\xdc" + size.to_bytes(2, "big"), lambda size: b"\xdd" + size.to_bytes(4, "big")]
MAPS = [lambda size: b"\xde" + size.to_bytes(2, "big"), lambda size: b"\xdf" + size.to_bytes(4, "big")]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("header", ARRAYS, ids=["16", "32"])
@pytest.mark.parametrize("size", [40, 200, 700])
def test_a_length_may_be_spelled_in_many_ways(header, size):
    codec = MsgpackCodec(Limits(items=size))
    start = msgpack.packb({"type": "Response", "response": {"items": 0}})[:-1]
    item = msgpack.packb({"text": "a"})
    assert len(codec.decode(start + header(size) + item * size).response.items) == size
    with pytest.raises(LimitExceeded, match=f"more than {size} elements"):
        codec.decode(start + header(size + 1) + item * (size + 1))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("header", MAPS, ids=["16", "32"])
@pytest.mark.parametrize("size", [40, 200, 700])
def test_a_number_of_members_may_be_spelled_in_many_ways(header, size):
    codec = MsgpackCodec(Limits(items=size))
    start = msgpack.packb(in_input(0))[:-1]
    names = [msgpack.packb(str(index)) + b"\x01" for index in range(size + 1)]
    assert len(codec.decode(start + header(size) + b"".join(names[:-1])).input.attributes) == size
    with pytest.raises(LimitExceeded, match=f"more than {size} members"):
        codec.decode(start + header(size + 1) + b"".join(names))

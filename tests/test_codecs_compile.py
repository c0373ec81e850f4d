"""The compiled functions, and what stands around them."""

import enum
import json
import subprocess
import sys
import traceback
from datetime import datetime

import attrs
import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, converter, encode, from_json, structs, to_json
from flowstorm_channel.codecs import codec as shared
from flowstorm_channel.codecs import compile as compiler
from flowstorm_channel.codecs import json as json_module
from flowstorm_channel.codecs.compile import Direction, reader, source, text_writer
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import EVENTS, Event, InitEvent, LogEvent, ReadyEvent, UnknownEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import Value, member, wire_class
from flowstorm_channel.values import (
    ClientConfig,
    Gender,
    Input,
    LogEntry,
    Punctuation,
    Request,
    Response,
    ResponseItem,
    Token,
    Transcript,
    Word,
)

JSON = JsonCodec()


def test_the_source_in_the_documentation_is_the_one_that_is_made():
    assert "\n".join("    " + line for line in source(Transcript).splitlines()) in compiler.__doc__


@pytest.mark.parametrize("direction", compiler.GENERATORS)
@pytest.mark.parametrize("cls", [*EVENTS.values(), Input, Word, Response, ResponseItem, LogEntry])
def test_every_class_has_its_source(cls, direction):
    assert source(cls, direction).startswith(f"def {direction.value}(")


def test_every_direction_has_its_source():
    assert {*compiler.GENERATORS} == {*Direction}, (encode, structs)  # which bring theirs


def test_a_traceback_shows_the_source():
    try:
        reader(Transcript)({}, JSON._settings)
    except KeyError:
        assert 'v = o["text"]' in traceback.format_exc()


@pytest.fixture
def ordinary(monkeypatch):
    """As on a Python where threads run freely."""
    monkeypatch.setattr(compiler, "TWINS", False)


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize("cls", [Input, InitEvent, Response, LogEvent])
def test_without_twins_the_same_objects_are_made(cls):
    assert "new = Twin()" not in source(cls)
    tree = {
        "key": "k",
        "sender": "d",
        "items": [{}],
        "tokens": [{"type": "Word", "text": "x"}],
        "entries": [{}],
    }
    value = reader(cls)(tree, JSON._settings)
    assert value == from_json(cls, {**tree, "type": getattr(cls, "TYPE", "")})
    assert type(value) is cls


class Odd(enum.Enum):
    QUOTE = '"'


@wire_class
class WithOddName(Value):
    name: str = member(wire='"')


@wire_class
class WithOddValues(Value):
    odd: Odd


@wire_class
class WithTexts(Value):
    texts: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class WithCheck(Value):
    text: str

    def __attrs_post_init__(self):
        pass


@attrs.frozen(kw_only=True)
class WithValidator(Value):
    text: str = attrs.field(validator=attrs.validators.instance_of(str))


@pytest.mark.parametrize("cls", [WithOddName, WithTexts, WithCheck, WithValidator])
def test_a_class_that_needs_more_than_is_generated_is_refused(cls):
    with pytest.raises(TypeError, match=cls.__name__):
        reader(cls)
    with pytest.raises(TypeError, match="Odd"):
        text_writer(WithOddValues)


@wire_class
class AllOptional(Value):
    first: str | None = None
    second: Gender | None = None
    when: Word | Punctuation | None = None
    third: float | None = member(default=None, aliases=("c", "d"))


def test_a_class_of_optional_members_is_written_with_the_right_commas():
    for value, text in (
        (AllOptional(), "{}"),
        (AllOptional(second=Gender.MALE, third=1), '{"second":"Male","third":1.0}'),
        (
            AllOptional(first="x", when=Punctuation(text=".")),
            '{"first":"x","when":{"type":"Punctuation","text":"."}}',
        ),
    ):
        assert JSON.encode_value(value) == text
        assert JSON.decode_value(AllOptional, text) == value
        assert MsgpackCodec().decode_value(AllOptional, MsgpackCodec().encode_value(value)) == value
    assert JSON.decode_value(AllOptional, '{"third":1,"d":3,"c":2}').third == 2.0
    with pytest.raises(RemoteProtocolError, match=r"^d: must be a number, not a string"):
        JSON.decode_value(AllOptional, '{"c":1,"d":"x"}')


@pytest.mark.parametrize("codec", [JsonCodec(), MsgpackCodec()], ids=["JSON", "msgpack"])
@pytest.mark.parametrize(
    ("error", "told"), [(ValueError("only here"), "only here"), (StopIteration(), "not a legal event")]
)
def test_when_the_slow_path_finds_nothing_wrong_the_fast_one_still_refuses(codec, error, told, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr(shared, "event_of", refuse)
    with pytest.raises(RemoteProtocolError, match=f"^{told}$"):
        codec.decode(codec.encode(UnknownEvent(data={"type": "Later"})))


def test_the_converter_of_cattrs_does_what_the_codec_does():
    made = converter()
    assert made is converter()

    @attrs.define
    class Stored:
        event: Event
        config: ClientConfig
        token: Token
        at: int

    stored = Stored(ReadyEvent(), ClientConfig(), Word(text="x"), 5)
    tree = made.unstructure(stored)
    assert tree["event"] == {"type": "Ready"}
    assert json.loads(json.dumps(tree)) == tree
    assert made.structure(tree, Stored) == stored
    with pytest.raises(RemoteProtocolError, match=r"^text: is missing$"):
        made.structure({}, Transcript)
    with pytest.raises(LocalProtocolError):
        made.unstructure(LocalOne())


@attrs.frozen
class LocalOne(Event):
    pass


def test_plain_trees_are_read_and_made():
    event = LogEvent(entries=(LogEntry(time=datetime(2022, 5, 27, 14, 19)),))
    tree = to_json(event)
    assert tree["entries"][0]["time"] == "2022-05-27T14:19:00"
    assert from_json(Event, tree) == from_json(LogEvent, tree) == event
    with pytest.raises(RemoteProtocolError, match="LogEvent where InitEvent was expected"):
        from_json(InitEvent, tree)
    for spoilt in (float("nan"), 2**70, object(), {1: 2}, "\ud800"):
        with pytest.raises(RemoteProtocolError, match=r"^attributes\.x: "):
            from_json(Response, {"attributes": {"x": spoilt}})


def test_no_other_python_object_is_a_remote_message():
    request = Request(app_key="a", device_id="b", session_id="c", input=Input())
    assert JSON.decode_value(Request, JSON.encode_value(request)) == request
    with pytest.raises(RemoteProtocolError):
        JSON.decode_value(Request, "[]")


# ------------------------------------------------------------ limits


def deep(depth):
    return '{"type":"Later","a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


@pytest.mark.parametrize("codec_class", [JsonCodec, MsgpackCodec])
def test_nesting_is_counted_from_the_event(codec_class):
    import msgpack

    for limit, depth, fits in ((64, 64, True), (64, 65, False), (10_000, 200, True), (10_000, 201, False)):
        codec = codec_class(Limits(nesting=limit))
        message = deep(depth)
        if codec_class is MsgpackCodec:
            message = msgpack.packb(json.loads(message))
        if fits:
            assert isinstance(codec.decode(message), UnknownEvent)
        else:
            with pytest.raises(LimitExceeded, match=f"nested more than {min(limit, 200)} deep"):
                codec.decode(message)


def test_brackets_in_texts_are_not_nesting():
    text = '{"type":"Later","a":"' + "[{" * 500 + '\\"","b":[' + ",".join(["{}"] * 100) + "]}"
    assert isinstance(JSON.decode(text), UnknownEvent)


def test_sizes_are_bounded_everywhere():
    codec = JsonCodec(Limits(items=10, string_bytes=30, message_bytes=500, audio_bytes=60, log_entries=2))
    fine = ['{"type":"Later","a":[1,2,3,4,5,6,7,8,9,10]}', '{"type":"Later","a":"' + "é" * 15 + '"}']
    fine += [
        '{"type":"Binary","data":"' + "AAAA" * 20 + '"}',
        '{"type":"Binary","data":[' + "1," * 59 + "1]}",
    ]
    fine += ['{"type":"Log","entries":[{},{}]}']
    for text in fine:
        codec.decode(text)
    for text, problem in (
        ('{"type":"Later","a":[1,2,3,4,5,6,7,8,9,10,11]}', "a: more than 10 elements"),
        ('{"type":"Ready","a":{"b":[1,2,3,4,5,6,7,8,9,10,11]}}', "a.b: more than 10 elements"),
        (
            '{"type":"Input","input":{"attributes":{"a":"' + "é" * 16 + '"}}}',
            "input.attributes.a: a string of more than 30 bytes",
        ),
        ('{"type":"Later","' + "a" * 31 + '":1}', f"{'a' * 31}: a string of more than 30 bytes"),
        ('{"type":"Binary","data":"' + "AAAA" * 21 + '"}', "data: more than 60 bytes"),
        ('{"type":"Binary","data":"' + "AAAA" * 80 + '"}', "data: more than 60 bytes"),
        ('{"type":"Binary","data":[' + "1," * 60 + "1]}", "data: more than 60 bytes"),
        ('{"type":"Log","entries":[{},{},{}]}', "entries: more than 2 log entries"),
        ('{"type":"Response","response":{"logs":[{},{},{}]}}', "response.logs: more than 2 log entries"),
        ('{"type":"Later"' + " " * 500 + "}", "a message of more than 500 bytes"),
        ('{"type":"' + "é" * 245 + '"}', "a message of more than 500 bytes"),
        ('{"type":"Binary","data":"' + "AAAA" * 200 + '"}', "a message of more than 500 bytes"),
    ):
        for message in (text, text.encode()):
            with pytest.raises(LimitExceeded) as caught:
                codec.decode(message)
            assert str(caught.value) == problem


def test_hostile_messages_are_refused_without_a_recursion_error():
    import msgpack

    for message in (
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"type":"Later","a":' + "[" * 10_000 + "]" * 10_000 + "}",
    ):
        with pytest.raises(LimitExceeded, match="nested more than 64 deep"):
            JSON.decode(message)
    with pytest.raises(LimitExceeded, match="nested more than 64 deep"):
        MsgpackCodec().decode(b"\x81\xa1a" + b"\x91" * 10_000 + b"\xc0")
    with pytest.raises(LimitExceeded, match="a message of more than"):
        JSON.decode("x" * 100_000_000)
    with pytest.raises(LimitExceeded, match="a message of more than"):
        MsgpackCodec().decode(msgpack.packb({"type": "Binary", "data": b"x" * 2_000_000}))


@pytest.mark.parametrize("codec", [JsonCodec(), MsgpackCodec()], ids=["JSON", "msgpack"])
def test_a_host_that_is_nested_deep_itself_gets_no_recursion_error(codec, monkeypatch):
    def overflow(*_):
        raise RecursionError

    message = codec.encode(UnknownEvent(data={"type": "Later"}))
    monkeypatch.setattr(shared, "event_of", overflow)
    monkeypatch.setattr(shared, "read_event", overflow)
    with pytest.raises(LimitExceeded, match=r"^nested too deep for this Python$"):
        codec.decode(message)


def test_a_parser_that_overflows_though_the_message_is_flat_says_so(monkeypatch):
    def overflow(*_):
        raise RecursionError

    monkeypatch.setattr(JsonCodec, "_parse", overflow)
    monkeypatch.setattr(json_module, "_scan_marking", overflow)
    with pytest.raises(LimitExceeded, match=r"^nested too deep for this Python$"):
        JsonCodec().decode_tree('{"type":"Later"}')
    with pytest.raises(LimitExceeded, match=r"^nested more than 64 deep$"):
        JsonCodec().decode_tree('{"type":"Later","a":' + "[" * 64)


def test_an_event_is_an_object():
    for tree in ([], 5, "ReadyEvent", None):
        with pytest.raises(RemoteProtocolError, match="an event must be an object"):
            from_json(ReadyEvent, tree)


def test_an_event_of_a_type_that_nobody_knows_is_read_with_care_too():
    assert from_json(UnknownEvent, {"type": "Novelty", "a": 1}) == UnknownEvent(
        data={"type": "Novelty", "a": 1}
    )


def test_a_tree_is_read_without_a_recursion_error(monkeypatch):
    def overflow(*_):
        raise RecursionError

    codec = JsonCodec()
    monkeypatch.setattr(codec, "_parse", overflow)
    assert codec.decode_tree('{"a": [1]}') == {"a": [1]}
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        codec.decode_tree('{"a": [1}')
    monkeypatch.setattr(codec, "_parse_with_care", overflow)
    with pytest.raises(LimitExceeded, match=r"^nested too deep for this Python$"):
        codec.decode_tree("{}")


def test_a_value_is_read_with_care_when_it_has_to_be(monkeypatch):
    def refuse(_):
        return lambda *_: {}["it"]

    codec = JsonCodec()
    monkeypatch.setattr(json_module, "reader", refuse)
    assert codec.value_of(Transcript, {"text": "a"}) == Transcript(text="a")
    with pytest.raises(RemoteProtocolError) as caught:
        codec.value_of(Transcript, {"text": 1})
    assert caught.value.path == "text"


def test_importing_the_codecs_imports_no_cattrs_and_no_hypothesis():
    script = "import flowstorm_channel.codecs, sys; print({'cattrs', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""What holds for all messages, good and bad."""

import json

import attrs
import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder, StreamEncoder, from_json, to_json
from flowstorm_channel.codecs.dispatch import event_of
from flowstorm_channel.codecs.explain import read_event
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.trees import inspect
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import EVENTS, SPELLINGS, Event, UnknownEvent
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import members
from flowstorm_channel.testing.strategies import (
    cuts,
    events,
    hostile_objects,
    json_maps,
    texts,
    unknown_events,
    values,
)
from flowstorm_channel.values import ClientConfig, Response
from tests.depth import examples

JSON, MSGPACK = JsonCodec(), MsgpackCodec()
SMALL = Limits(
    message_bytes=160,
    audio_bytes=20,
    nesting=4,
    items=5,
    string_bytes=24,
    log_entries=2,
    queued_bytes=1000,
    header_bytes=1000,
    webhook_bytes=1000,
    header_value_bytes=100,
    body_bytes=1000,
)


def verdict(call, *arguments):
    """What comes out: the event, or class and text of the error; any other exception is a failure."""
    try:
        return call(*arguments)
    except RemoteProtocolError as error:
        return type(error), str(error)


@given(events())
@settings(max_examples=examples(100))
def test_every_event_survives_both_codecs(event):
    assert JSON.decode(JSON.encode(event)) == event
    assert MSGPACK.decode(MSGPACK.encode(event)) == event
    assert json.loads(JSON.encode(event)) == to_json(event)
    assert from_json(Event, to_json(event)) == event


@given(events(binary=True))
@settings(max_examples=examples(50))
def test_msgpack_keeps_bytes_in_maps(event):
    assert MSGPACK.decode(MSGPACK.encode(event)) == event


@given(unknown_events())
def test_an_unknown_event_is_the_same_json_value_in_both_codecs(event):
    assert JSON.decode(JSON.encode(MSGPACK.decode(MSGPACK.encode(event)))).data == event.data


@given(st.data(), st.lists(events(), max_size=3), st.sampled_from([JSON, MSGPACK]))
@settings(max_examples=examples(50))
def test_a_stream_yields_the_same_events_at_any_cuts(data, sent, codec):
    encoder, decoder = StreamEncoder(codec), StreamDecoder(codec)
    received = []
    for piece in data.draw(cuts(b"".join(map(encoder.encode, sent)))):
        decoder.feed(piece)
        received += decoder
    decoder.close()
    assert received == sent


def events_before(codec, pieces):
    """One by one: an error in a list display would swallow the events before it."""
    decoder, received = StreamDecoder(codec), []
    try:
        for piece in pieces:
            decoder.feed(piece)
            while (event := decoder.next_event()) is not None:
                received.append(event)
        decoder.close()
    except RemoteProtocolError as error:
        received.append((type(error), str(error)))
    return received


JSON_LIKE = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b'{"type":"Ready"}',
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"\\",
                b",",
                b"\n",
                b" ",
                b'"a":',
                b"1",
                b"\xc4",
                b'{"type":"Later","a":"\\"}{"}',
                b'{"type":"Error","text":"',
                b"x" * 30,
                b"[[[[",
                b"\xff",
            ]
        ),
        max_size=14,
    ).map(b"".join),
)
MSGPACK_LIKE = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"\x81\xa4type\xa5Ready",
                b"\x82\xa4type\xa5Later\xa1x",
                b"\x82\xa4type\xa6Binary\xa4data\xc4\x02ab",
                b"\xc0",
                b"\x91",
                b"\x92",
                b"\xa1a",
                b"\xd9\xff",
                b"\xdf\xff\xff\xff\xff",
                b"\xc1",
                b"\xc7\x00\x01",
                b"\x80",
                b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
                b"\xc4@",
                b"\xcf\x00",
                b"\xa1\xff",
                b"\xd9 " + b"x" * 32,
            ]
        ),
        max_size=12,
    ).map(b"".join),
)


@given(st.data())
@settings(max_examples=examples(100))
def test_the_outcome_of_a_stream_does_not_depend_on_its_cuts(data):
    codec_class, bodies = data.draw(
        st.sampled_from([(JsonCodec, JSON_LIKE), (MsgpackCodec, MSGPACK_LIKE)]), label="codec"
    )
    body = data.draw(bodies)
    codec = codec_class(SMALL)
    whole = events_before(codec, [body])
    assert events_before(codec, [body[i : i + 1] for i in range(len(body))]) == whole
    assert events_before(codec, data.draw(cuts(body))) == whole


@given(st.one_of(st.text(max_size=40), st.binary(max_size=80), JSON_LIKE))
def test_anything_is_an_event_or_a_remote_protocol_error_in_json(message):
    assert isinstance(verdict(JSON.decode, message), (Event, tuple))


@given(st.one_of(st.binary(max_size=80), MSGPACK_LIKE))
@example(b"")
def test_anything_is_an_event_or_a_remote_protocol_error_in_msgpack(message):
    assert isinstance(verdict(MSGPACK.decode, message), (Event, tuple))


@given(hostile_objects())
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
def test_the_fast_path_and_the_slow_one_agree(tree):
    for codec in (JSON, MSGPACK):
        try:
            fast = event_of(tree, codec._settings)
        except (ValueError, TypeError, LookupError, OverflowError):
            fast = None
        try:
            slow = read_event(tree, codec._settings)
        except Fault:
            slow = None
        assert fast == slow
        assert type(fast) is type(slow)


@given(hostile_objects())
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_message_is_an_event_or_a_remote_protocol_error(tree):
    in_json = verdict(JSON.decode, json.dumps(tree))
    in_stream = events_before(JSON, [json.dumps(tree).encode()])
    assert in_stream == [in_json]
    in_msgpack = verdict(MSGPACK.decode, msgpack.packb(tree))
    assert isinstance(in_msgpack, (Event, tuple))
    if isinstance(in_json, Event) and tree["type"] not in ("Binary", "BinaryEvent"):
        assert in_msgpack == in_json


@given(json_maps(), texts)
@settings(max_examples=examples(100))
def test_limits_of_a_message_do_not_depend_on_the_path(tree, kind):
    tree["type"] = kind
    text = json.dumps(tree, ensure_ascii=False)
    expected = None
    try:
        inspect(tree, SMALL)
    except Fault as fault:
        expected = type(fault.error()), str(fault.error())
    if len(text.encode()) > SMALL.message_bytes:
        expected = verdict(JsonCodec(SMALL).decode, "x" * 200)
    found = verdict(JsonCodec(SMALL).decode, text)
    if expected is None:
        assert isinstance(found, UnknownEvent) or kind in SPELLINGS
    else:
        assert isinstance(found, tuple)
        assert found[0] is expected[0]
    assert verdict(JsonCodec(SMALL).decode, text.encode()) == found
    assert events_before(JsonCodec(SMALL), [text.encode()]) == [found]


@pytest.mark.parametrize("cls", [ClientConfig, Response, *EVENTS.values()])
def test_every_default_is_the_one_of_the_declaration(cls):
    required = {each.name for each in members(cls) if each.required}
    if not required:
        assert JSON.decode_value(cls, json.dumps({"type": getattr(cls, "TYPE", "")})) == cls()
    for field in attrs.fields(cls):
        assert (field.default is attrs.NOTHING) is (field.name in required)


@given(values(Response))
@settings(max_examples=examples(40))
def test_a_value_survives_both_codecs(value):
    assert JSON.decode_value(Response, JSON.encode_value(value)) == value
    assert MSGPACK.decode_value(Response, MSGPACK.encode_value(value)) == value


def test_the_limits_of_the_small_codec_are_smaller():
    assert all(
        getattr(SMALL, each.name) < getattr(DEFAULT_LIMITS, each.name) for each in attrs.fields(Limits)
    )

"""Bodies: what may stand between events, where they may end, and how much work they are."""

import re

import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder, StreamEncoder
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, ErrorEvent, ReadyEvent, UnknownEvent, VoteEvent
from flowstorm_channel.limits import Limits

READY = '{"type":"Ready"}'
VOTE = '{"type":"Vote","vote":1}'
PAIR = [ReadyEvent(), VoteEvent(vote=1)]


def read(body, codec=None, size=None):
    """All events of a body, in pieces of a size."""
    data = body.encode() if isinstance(body, str) else body
    decoder = StreamDecoder(codec or JsonCodec())
    found = []
    for start in range(0, len(data), size or len(data) or 1):
        decoder.feed(data[start : start + (size or len(data))])
        found += decoder
    decoder.close()
    return found


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(
    ("body", "events"),
    [
        ("", []),
        (" \r\n\t", []),
        ("[]", []),
        (" [ ] ", []),
        (READY + VOTE, PAIR),
        (READY + "\n" + VOTE + "\n", PAIR),
        (READY + "\r\n" + VOTE + "\r\n", PAIR),
        (READY + " " + VOTE, PAIR),
        (READY + VOTE + "\n", PAIR),
        (READY + "\n" + VOTE, PAIR),
        ("[" + READY + "," + VOTE + "]", PAIR),
        ("[\n" + READY + "\n,\n" + VOTE + "\n]\n", PAIR),
        ('{\n  "type": "Ready"\n}\n{"type":\n"Vote",\n"vote":1}\n', PAIR),
        ('{"type":"Error","text":"}{][\\"\\\\"}' + READY, [ErrorEvent(text='}{]["\\'), ReadyEvent()]),
        ('{"type":"Error","text":"\\\\"}\n' + READY, [ErrorEvent(text="\\"), ReadyEvent()]),
        ('{"type":"Later","a":{"b":\n{}}\n}', [UnknownEvent(data={"type": "Later", "a": {"b": {}}})]),
        ('{"type":"Error","text":"ěšč😀"}\n', [ErrorEvent(text="ěšč😀")]),
    ],
)
def test_a_body_is_a_sequence_of_objects(body, events, size):
    assert read(body, size=size) == events


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(
    ("body", "told", "problem"),
    [
        ("x", 0, "not a sequence of JSON objects: 'x' where { or [ was expected"),
        ("\ufeff" + READY, 0, "not a sequence of JSON objects: '\\xef' where { or [ was expected"),
        (READY + "," + VOTE, 1, "not a sequence of JSON objects: ',' where { was expected"),
        (READY + "\n]", 1, "not a sequence of JSON objects: ']' where { was expected"),
        ("[" + READY + VOTE, 1, "not a sequence of JSON objects: '{' where , or ] was expected"),
        ("[" + READY + ",]", 1, "not a sequence of JSON objects: ']' where { was expected"),
        ("[," + READY, 0, "not a sequence of JSON objects: ',' where { or ] was expected"),
        ("[[" + READY, 0, "not a sequence of JSON objects: '[' where { or ] was expected"),
        ("[" + READY + "]" + VOTE, 1, "not a sequence of JSON objects: '{' where nothing was expected"),
        (READY + '{"type"', 1, "the body ends inside an event"),
        ("[" + READY, 1, "the body ends inside the array of events"),
        ("[", 0, "the body ends inside the array of events"),
        (
            READY + "{]" + READY,
            1,
            "not JSON: Expecting property name enclosed in double quotes at character 1",
        ),
        (READY + "{}\n" + READY, 1, "type: is missing"),
        (READY + '\n{"type":"Later","a":' + "[" * 64, 1, "nested more than 64 deep"),
        (READY + b'{"type":"\xff"}'.decode("latin-1"), 1, None),
    ],
)
def test_what_is_no_such_sequence_is_refused_after_what_came_before(body, told, problem, size):
    decoder = StreamDecoder(JsonCodec())
    data = body.encode("latin-1" if problem is None else "utf-8")
    events = []
    with pytest.raises(RemoteProtocolError) as caught:  # noqa: PT012
        for start in range(0, len(data), size or len(data)):
            decoder.feed(data[start : start + (size or len(data))])
            while (event := decoder.next_event()) is not None:
                events.append(event)
        decoder.close()
    assert len(events) == told
    # Python 3.13 words this one otherwise.
    found = re.sub(
        r"Expecting property name .* quotes",
        "Expecting property name enclosed in double quotes",
        str(caught.value),
    )
    assert found == (problem or "not UTF-8: invalid start byte at byte 9")
    # A decoder that has failed stays so, and holds nothing.
    decoder.feed(READY.encode())
    assert decoder.buffered == 0
    for again in (decoder.next_event, decoder.close):
        with pytest.raises(RemoteProtocolError) as repeated:
            again()
        assert repeated.value is caught.value


def test_an_event_in_a_body_may_be_as_deep_as_the_limit():
    for depth, fits in ((64, True), (65, False)):
        body = '{"type":"Later","a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        if fits:
            assert [type(event) for event in read(body + READY)] == [UnknownEvent, ReadyEvent]
        else:
            with pytest.raises(LimitExceeded, match=r"^nested more than 64 deep$"):
                read(body + READY)


def test_an_event_is_told_with_its_last_byte():
    for codec in (JsonCodec(), MsgpackCodec()):
        decoder = StreamDecoder(codec)
        message = StreamEncoder(codec).encode(ErrorEvent(text="a" * 300)).rstrip(b"\n")
        decoder.feed(message[:-1])
        assert decoder.next_event() is None
        assert decoder.buffered == len(message) - 1
        decoder.feed(message[-1:])
        assert decoder.next_event() == ErrorEvent(text="a" * 300)
        assert decoder.buffered == 0


def test_lines_that_come_whole_are_not_scanned():
    events = [ReadyEvent(), ErrorEvent(text="a\nb"), UnknownEvent(data={"type": "Later", "a": [{}]})]
    encoder = StreamEncoder(JsonCodec())
    lines = [encoder.encode(event) for event in events]
    decoder = StreamDecoder(JsonCodec())
    for cuts in ([b"".join(lines)], lines, [lines[0], lines[1] + lines[2]]):
        told = []
        for each in cuts:
            decoder.feed(each)
            told += decoder
        assert told == events
    assert decoder.scanned == 0
    decoder.feed(lines[0][:5])
    assert decoder.next_event() is None
    assert decoder.scanned == 5
    decoder.feed(lines[0][5:] + b"".join(lines))
    assert list(decoder) == [events[0], *events]
    assert decoder.scanned == len(lines[0]) - 1


def test_a_body_that_ends_where_a_message_may_end_says_so():
    body = b'{"type":"Later"' + b" " * 85
    decoder = StreamDecoder(JsonCodec(SMALL))
    decoder.feed(body)
    assert decoder.next_event() is None
    with pytest.raises(RemoteProtocolError, match=r"^the body ends inside an event$"):
        decoder.close()


def test_a_body_of_msgpack_must_not_end_inside_a_map():
    assert read(b"\x81\xa4type\xa5Ready" * 2, MsgpackCodec(), 5) == [ReadyEvent()] * 2
    with pytest.raises(RemoteProtocolError, match="the body ends inside an event"):
        read(b"\x81\xa4type\xa5Rea", MsgpackCodec())


SMALL = Limits(message_bytes=100, nesting=3, items=3, string_bytes=20, audio_bytes=30)


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"type":"' + "x" * 300, "a message of more than 100 bytes"),
        ('{"type":"Later","a":"' + "x" * 90 + '"}', "a message of more than 100 bytes"),
        ('{"type":"Later","a":"' + "x" * 90 + '"}\n', "a message of more than 100 bytes"),
        ('{"type":"Later"' + " " * 90 + "}\n", "a message of more than 100 bytes"),
        ('{"type":"Later","a":[[[', "nested more than 3 deep"),
        ('{"type":"Later","a":"' + "x" * 21 + '"}\n', "a: a string of more than 20 bytes"),
        ('{"type":"Later","a":1,"b":2,"c":3}', "more than 3 members"),
    ],
)
def test_limits_do_not_depend_on_cuts(body, problem, size):
    with pytest.raises(LimitExceeded) as caught:
        read(body, JsonCodec(SMALL), size)
    assert str(caught.value) == problem


def test_a_message_may_be_as_long_as_the_limit():
    exact = ('{"type":"Ready"' + " " * 84 + "}").encode()
    assert len(exact) == 100
    for size in (None, 1, 99):
        assert read(exact + exact + b"\n", JsonCodec(SMALL), size) == [ReadyEvent()] * 2


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"\xdf\xff\xff\xff\xff", "more than 3 members"),
        (b"\xde\0\x04", "more than 3 members"),
        (b"\x84", "more than 3 members"),
        (b"\x81\xa1a\xdb\xff\xff\xff\xff", "a string of more than 20 bytes"),
        (b"\x81\xa1a\xda\xff\xff", "a string of more than 20 bytes"),
        (b"\x81\xa1a\xd9\x15", "a string of more than 20 bytes"),
        (b"\x81\xb5", "a string of more than 20 bytes"),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", "more than 30 bytes"),
        (b"\x81\xa1a\xc5\xff\xff", "more than 30 bytes"),
        (b"\x81\xa1a\xc4\x1f", "more than 30 bytes"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "more than 3 elements"),
        (b"\x81\xa1a\xdc\xff\xff", "more than 3 elements"),
        (b"\x81\xa1a\x94", "more than 3 elements"),
        (b"\x81\xa1a\x91\x91\x90", "nested more than 3 deep"),
        (b"\x81\xa1a\x91\x91\x80", "nested more than 3 deep"),
        (b"\x81\xa1a\x91\x91\x91", "nested more than 3 deep"),
        (b"\x81\xa1a\x91\x91\x81", "nested more than 3 deep"),
        (
            b"\x83\xa1a\xb4" + b"a" * 20 + b"\xa1b\x93" + (b"\xc4\x1e" + b"a" * 30) * 2 + b"\xc4\x1e",
            "a message of more than 100 bytes",
        ),
    ],
)
def test_a_declared_length_is_refused_before_what_it_declares_has_come(header, problem):
    for size in (None, 1):
        decoder = StreamDecoder(MsgpackCodec(SMALL))
        with pytest.raises(LimitExceeded) as caught:  # noqa: PT012
            for start in range(0, len(header), size or len(header)):
                decoder.feed(header[start : start + (size or len(header))])
                assert decoder.next_event() is None
        assert str(caught.value) == problem
        # The verdict on a whole message is the same.
    with pytest.raises(LimitExceeded, match=re.escape(problem)):
        MsgpackCodec(SMALL).decode(header)


@pytest.mark.parametrize(
    "header",
    [
        b"\x83\xa1a",
        b"\x81\xa1a\xb4",
        b"\x81\xa1a\xd9\x14",
        b"\x81\xa1a\xc4\x1e",
        b"\x81\xa1a\x93",
        b"\x81\xa1a\xdc\0\x03",
        b"\x81\xa1a\xde\0\x03",
        b"\x81\xa1a\x91\x91",
        b"\x81\xa1a\x91\x81",
    ],
)
def test_what_is_declared_within_the_limits_is_waited_for(header):
    decoder = StreamDecoder(MsgpackCodec(SMALL))
    decoder.feed(header)
    assert decoder.next_event() is None


@pytest.mark.parametrize(("elements", "fits"), [(94, True), (95, False)])
def test_each_element_that_is_announced_takes_a_byte(elements, fits):
    header = b"\x81\xa1a\xdc" + elements.to_bytes(2, "big")
    decoder = StreamDecoder(MsgpackCodec(Limits(message_bytes=100)))
    decoder.feed(header)
    if fits:
        assert decoder.next_event() is None
    else:
        with pytest.raises(LimitExceeded, match="a message of more than 100 bytes"):
            decoder.next_event()


def test_numbers_of_every_width_are_stepped_over():
    import msgpack

    data = {
        "type": "Later",
        "n": [0, 127, -1, -32, 200, -100, 60000, -30000, 2**31, -(2**31), 2**63, -(2**63)],
    }
    data |= {
        "f": [0.5, True, False, None],
        "s": ["x" * 40, "x" * 300, "x" * 70000],
        "b": [b"x" * 300, b"x" * 70000],
    }
    data |= {"a": [list(range(40)), list(range(900))], "m": {str(i): i for i in range(40)}}
    body = msgpack.packb(data)
    for size in (None, 1000, 4093):
        assert read(body * 2, MsgpackCodec(), size) == [UnknownEvent(data=data)] * 2


def test_every_byte_is_looked_at_once_whatever_the_cuts():
    codec = JsonCodec()
    event = ErrorEvent(text='quoted "text" and \\ and {brackets}' * 20)
    line = StreamEncoder(codec).encode(event)
    for body in (line * 30, line.rstrip() * 30, b"[" + b",".join([line] * 30) + b"]"):
        for size in (1, 13, 1460, len(body)):
            decoder = StreamDecoder(codec)
            count = 0
            for start in range(0, len(body), size):
                decoder.feed(body[start : start + size])
                for _ in decoder:
                    count += 1
            assert count == 30
            assert decoder.scanned <= len(body)


def test_a_long_string_in_single_bytes_is_looked_at_once():
    decoder = StreamDecoder(JsonCodec())
    body = b'{"type":"Error","text":"' + b"a\\n" * 20_000 + b'"}'
    for position in range(0, len(body), 10):
        decoder.feed(body[position : position + 10])
        event = decoder.next_event()
    assert event == ErrorEvent(text="a\n" * 20_000)
    assert decoder.scanned <= len(body) + 1


def test_lines_that_cannot_be_read_at_once_are_not_tried_again(monkeypatch):
    codec = JsonCodec()
    tried = []
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda data: tried.append(len(data)) or decode(data))
    body = READY.encode() * 500 + b"\n"
    decoder = StreamDecoder(codec)
    decoder.feed(body)
    assert len(list(decoder)) == 500
    assert sum(tried) <= 2 * len(body)


def test_audio_in_a_body_of_msgpack_costs_a_header_each():
    codec = MsgpackCodec()
    body = StreamEncoder(codec).encode(BinaryEvent(data=b"\xdf" * 3200)) * 100
    decoder = StreamDecoder(codec)
    for start in range(0, len(body), 1460):
        decoder.feed(body[start : start + 1460])
        assert all(len(event.data) == 3200 for event in decoder)
    assert decoder.scanned == 5 * 100
    decoder.close()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_stands_between_objects_is_not_counted(size):
    decoder = StreamDecoder(JsonCodec())
    events = ['{"type":"Error","text":"a \\" b"}', '{"type":"Later","a":[{}]}', READY]
    body = ("[" + " , ".join(events) + "]").encode()
    found = 0
    for start in range(0, len(body), size):
        decoder.feed(body[start : start + size])
        found += len(list(decoder))
    assert found == 3
    assert decoder.scanned == sum(map(len, events))

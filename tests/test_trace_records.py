"""Recordings as files: what is written can be read again, and a file that is something else is refused."""

from __future__ import annotations

import io
import itertools
import json
from contextlib import suppress
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace import (
    Head,
    Idle,
    Opened,
    Record,
    Recording,
    Setting,
    Told,
    dump,
    load,
    pack,
    read,
    unpack,
)
from flowstorm_channel.wire import END, Close, CloseCode, RequestHead, ResponseHead

HEAD = Head(channel="socket-v1", seen_by="server")
FIRST = '{"flowstorm-trace": 2, "channel": "socket-v1", "seenBy": "server"}\n'
RECORDS = [
    Record(at=0.0, wire=0, by="client", message=RequestHead(url="/socket", headers=(("A", "b"), ("A", "c")))),
    Record(at=0.5, wire=0, by="server", message=ResponseHead(status=101)),
    Record(at=1.0, wire=0, by="client", message='{"type":"Ready"}'),
    Record(at=1.0, wire=0, by="server", message=b"\x00\xff"),
    Record(at=1.5, wire=1, by="server", message=END),
    Record(at=2.0, wire=0, by="client", message=Close(CloseCode.GOING_AWAY, "bye")),
]

texts = st.text(st.characters(), max_size=20)  # lone surrogates, too: a peer may have sent them in JSON
headers = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
messages = (
    texts
    | st.binary(max_size=20)
    | st.builds(RequestHead, method=texts, url=texts, headers=headers)
    | st.builds(ResponseHead, status=st.integers(-(2**40), 2**40), headers=headers)
    | st.builds(Close, st.integers(0, 65535), texts)
    | st.just(END)
)
records = st.builds(
    Record,
    at=st.floats(-1e18, 1e18),
    wire=st.integers(0, 2**32),
    by=st.sampled_from(["client", "server"]),
    message=messages,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def written(kept: list[Record] = RECORDS) -> str:
    return "".join(dump(HEAD, kept))


@given(st.lists(records, max_size=5), st.sampled_from(["client", "server"]), texts)
def test_what_was_recorded_is_read_again(kept: list[Record], end: str, channel: str) -> None:
    head = Head(channel=channel, seen_by=end)
    file = "".join(dump(head, kept)).encode()  # UTF-8 has a form for it
    assert load(io.StringIO(file.decode(), newline="")) == Recording(head, tuple(kept))
    # However the lines are found, none of them is cut in two.
    assert load(file.decode().splitlines(keepends=True)) == Recording(head, tuple(kept))


@given(st.integers(len(FIRST), len(written())))
def test_of_a_file_that_was_cut_off_all_whole_lines_are_read(length: int) -> None:
    file = written()[:length]
    found = load(file.splitlines(keepends=True))
    assert found.head == HEAD
    # A record is whole without its line break, too.
    ends = [len(written(RECORDS[:count])) - 1 for count in range(1, len(RECORDS) + 1)]
    assert list(found.entries) == RECORDS[: sum(end <= length for end in ends)]


def test_empty_lines_and_foreign_line_breaks_do_not_matter() -> None:
    assert load(written().replace("\n", "\r\n\r\n").splitlines(keepends=True)) == Recording(
        HEAD, tuple(RECORDS)
    )


def test_members_that_a_later_version_may_add_do_not_matter() -> None:
    head, *lines = (json.loads(line) for line in dump(HEAD, RECORDS))
    more = [json.dumps({**each, "added": {"n": 1}}) + "\n" for each in (head, *lines)]
    assert load(more) == Recording(HEAD, tuple(RECORDS))


@pytest.mark.parametrize("at", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_not_written(at: float) -> None:
    with pytest.raises(ValueError, match="no time"):
        list(dump(HEAD, [Record(at=at, wire=0, by="client", message="x")]))


RECORD = '{"at": 1, "wire": 0, "by": "client", "text": "x"}\n'
NO_RECORDS = {
    "no JSON": "what?",
    "half of one": RECORD[:20],
    "no object": "[1]",
    "NaN": '{"at": NaN, "wire": 0, "by": "client", "text": "x"}',
    "no time": '{"wire": 0, "by": "client", "text": "x"}',
    "true as the time": '{"at": true, "wire": 0, "by": "client", "text": "x"}',
    "an infinite time": '{"at": 1e999, "wire": 0, "by": "client", "text": "x"}',
    "a time of 400 digits": f'{{"at": 1{"0" * 400}, "wire": 0, "by": "client", "text": "x"}}',
    "a time of 9000 digits": f'{{"at": 1{"0" * 9000}, "wire": 0, "by": "client", "text": "x"}}',
    "no wire": '{"at": 1, "by": "client", "text": "x"}',
    "half a wire": '{"at": 1, "wire": 0.5, "by": "client", "text": "x"}',
    "a wire below zero": '{"at": 1, "wire": -1, "by": "client", "text": "x"}',
    "true as the wire": '{"at": 1, "wire": true, "by": "client", "text": "x"}',
    "a third end": '{"at": 1, "wire": 0, "by": "proxy", "text": "x"}',
    "no message": '{"at": 1, "wire": 0, "by": "client"}',
    "text that is none": '{"at": 1, "wire": 0, "by": "client", "text": 1}',
    "bytes that are no base64": '{"at": 1, "wire": 0, "by": "client", "bytes": "AAA"}',
    "bytes beyond ASCII": '{"at": 1, "wire": 0, "by": "client", "bytes": "AAAé"}',
    "a request without headers": '{"at": 1, "wire": 0, "by": "client", "request": ["GET", "/"]}',
    "a header that is no pair": '{"at": 1, "wire": 0, "by": "client", "request": ["GET", "/", [["A"]]]}',
    "a header of numbers": '{"at": 1, "wire": 0, "by": "client", "response": [200, [[1, 2]]]}',
    "true as the status": '{"at": 1, "wire": 0, "by": "client", "response": [true, []]}',
    "a status of 400 digits": f'{{"at": 1, "wire": 0, "by": "client", "response": [1{"0" * 400}, []]}}',
    "true as the code": '{"at": 1, "wire": 0, "by": "client", "close": [true, ""]}',
    "an end that is not true": '{"at": 1, "wire": 0, "by": "client", "end": 1}',
    "an event without a type": '{"at": 1, "channel": 0, "told": {}, "state": "Open", "audio": "Closed"}',
    "an answer that is no pair": '{"at": 1, "channel": 0, "opened": "X", "given": [1]}',
    "deep nesting": "[" * 100_000,
    "deep nesting that ends": '{"at": 1, "channel": 0, "setting": "x", "value": '
    + "[" * 900
    + "]" * 900
    + "}",
}


@pytest.mark.parametrize("line", NO_RECORDS.values(), ids=NO_RECORDS)
def test_a_line_that_is_no_record_is_refused_by_its_number(line: str) -> None:
    for more in ("", RECORD):
        with pytest.raises(RemoteProtocolError, match="line 3 is no record"):
            load([FIRST, RECORD, line + "\n", more])


def test_a_line_that_is_no_record_may_only_be_cut_off_at_the_end() -> None:
    lines = [FIRST, RECORD, RECORD[:20]]
    assert len(load(lines).entries) == 1
    with pytest.raises(RemoteProtocolError, match="line 3 is no record"):
        load([*lines, RECORD])


NO_HEADS = {
    "nothing": "",
    "no JSON": "what?\n",
    "no object": "[]\n",
    "a record": RECORD,
    "no channel": '{"flowstorm-trace": 1, "seenBy": "server"}\n',
    "no end": '{"flowstorm-trace": 1, "channel": "socket-v1"}\n',
    "a third end": '{"flowstorm-trace": 1, "channel": "socket-v1", "seenBy": "proxy"}\n',
}


@pytest.mark.parametrize("line", NO_HEADS.values(), ids=NO_HEADS)
def test_a_file_without_a_head_is_no_recording(line: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not a recording"):
        load([line, RECORD])


@pytest.mark.parametrize("version", ["3", "true", '"one"', json.dumps("x" * 10_000)])
def test_another_version_is_refused_in_few_words(version: str) -> None:
    line = FIRST.replace(": 2", f": {version}", 1)
    with pytest.raises(RemoteProtocolError, match="this library reads 2") as caught:
        load([line, RECORD])
    assert len(str(caught.value)) < 120


@given(st.lists(texts | json_values.map(json.dumps), max_size=4))
def test_whatever_the_lines_are_nothing_else_is_raised(lines: list[str]) -> None:
    for first in ("", FIRST):
        with suppress(RemoteProtocolError):
            load([first, *(f"{line}\n" for line in lines)])


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("at", "wire", "by", "text", "bytes"), json_values)))
def test_whatever_the_members_are_nothing_else_is_raised(members: dict[str, object]) -> None:
    for more in ({}, {"at": 1, "wire": 0, "by": "client"}):
        line = json.dumps({**more, **members}) + "\n"
        with suppress(RemoteProtocolError):
            load([FIRST, line])


# ------------------------------------------------------------ msgpack, and what only an end knows of itself

PLACE: Any = {"state": "Open", "audio": "Closed"}
KEPT = Recording(
    Head(channel="mixed", seen_by="server", redacted=("tokens",)),
    (
        Opened(at=0.0, channel=0, kind="SocketV1Server", settings={"a": b"\x00", "$b": [float("inf"), 1]}),
        *RECORDS,
        Told(
            at=2.0,
            channel=0,
            event={"type": "X"},
            state="Open",
            audio="Closed",
            given=(("now", {"value": 1}),),
        ),
        Idle(at=2.0, channel=0, of="output", wire=0, state="Open", audio="Closed"),
        Setting(at=2.0, channel=0, name="attributes", value={}),
    ),
)


def test_both_forms_hold_the_same() -> None:
    packed = b"".join(pack(KEPT))
    text = "".join(dump(KEPT.head, KEPT.entries))
    assert read(packed) == unpack(packed) == read(text.encode()) == KEPT


@given(st.lists(records, max_size=5), texts)
def test_what_was_packed_is_read_again(kept: list[Record], channel: str) -> None:
    recording = Recording(Head(channel=channel, seen_by="client"), tuple(kept))
    assert read(b"".join(pack(recording))) == recording


def test_a_packed_file_that_is_broken_is_refused() -> None:
    packed = b"".join(pack(KEPT))
    for junk, why in (
        (b"\xc1", "not msgpack after"),
        (b"\xd4\x01x", "an extension of type 1"),
        (b"\x01", "entry 11 is none: not an object"),
        (b"\x81\xa2at\x01", "entry 11 is none"),
        (b"\x81\xa5idle\x01", "no "),
    ):
        with pytest.raises(RemoteProtocolError, match=why):
            unpack(packed + junk + packed)
    with pytest.raises(RemoteProtocolError, match="not a recording"):
        unpack(b"")


@pytest.mark.parametrize("at", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_not_packed(at: float) -> None:
    with pytest.raises(ValueError, match="no time"):
        list(pack(Recording(HEAD, (Record(at=at, wire=0, by="client", message="x"),))))


@given(st.binary(max_size=40))
def test_any_file_is_a_recording_or_refused(data: bytes) -> None:
    for begin in (b"", b"".join(pack(KEPT))[:40], FIRST.encode()):
        with suppress(RemoteProtocolError):
            read(begin + data)


def test_a_later_head_may_have_more_members() -> None:
    first, *rest = pack(KEPT)
    many = {f"m{each}": each for each in range(13)}
    for more in ({"added": 1}, many):
        head: Any = msgpack.packb({**msgpack.unpackb(first), **more})
        assert read(head + b"".join(rest)) == KEPT


def test_a_mark_of_the_encoding_does_not_matter() -> None:
    assert read(b"\xef\xbb\xbf" + "".join(dump(KEPT.head, KEPT.entries)).encode()) == KEPT


@pytest.mark.parametrize("form", ["msgpack", "text"])
def test_a_file_that_was_cut_off_at_any_byte_is_read_up_to_its_last_whole_entry(form: str) -> None:
    pieces = (
        list(pack(KEPT)) if form == "msgpack" else [each.encode() for each in dump(KEPT.head, KEPT.entries)]
    )
    file = b"".join(pieces)
    ends = list(itertools.accumulate(len(each) for each in pieces))
    if form == "text":
        ends = [each - 1 for each in ends]  # a line is whole without its break
    for length in range(len(file) + 1):
        if length < ends[0]:
            with pytest.raises(RemoteProtocolError, match="not a recording"):
                read(file[:length])
        else:
            assert read(file[:length]).entries == KEPT.entries[: sum(end <= length for end in ends[1:])]


def test_an_entry_that_is_too_deep_for_json_is_not_written() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deep"):
        list(dump(HEAD, [Setting(at=0.0, channel=0, name="x", value=deep)]))


def test_a_file_that_claims_more_than_there_is_is_refused() -> None:
    first, *_ = pack(KEPT)
    claims = b"\xdd\x00\x00\xff\xff" * 400
    assert read(first + claims + bytes(0x10000)).entries == ()
    with pytest.raises(RemoteProtocolError, match="not msgpack after"):
        read(first + b"\xdd\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "head",
    ['"redacted": "tokens"', '"redacted": [1]'],
)
def test_a_head_that_names_no_redactions(head: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not a recording"):
        load([f'{{"flowstorm-trace": 2, "channel": "x", "seenBy": "client", {head}}}\n'])

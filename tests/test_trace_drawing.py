"""Pictures of recordings: what they show, and that nothing in a recording becomes anything but text."""

from __future__ import annotations

import io
import json
import math
import re
import struct
import time
import wave
from typing import Any
from xml.etree import ElementTree

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.trace import (
    Act,
    Cut,
    Entry,
    Head,
    Idle,
    Lost,
    Opened,
    Record,
    Recording,
    Setting,
    Told,
)
from flowstorm_channel.trace.drawing import (
    Note,
    Picture,
    Row,
    picture_of,
    to_html,
    to_lines,
    to_mermaid,
    to_svg,
)
from flowstorm_channel.trace.drawing.levels import Sound, level_of
from flowstorm_channel.trace.drawing.texts import clean, cut, seconds, size, width_of
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.depth import examples
from tests.pictured import HOSTILE, conversation, recordings, texts, tone

OPENING: tuple[tuple[str, Message], ...] = (
    ("client", RequestHead(url="/socket?token=secret")),
    ("server", ResponseHead(status=101)),
)

BOUND = 10.0
"""Seconds, for what takes less than one when it is not done again and again, and else minutes."""


def recording(*entries: Entry, seen_by: Any = "server", channel: str = "socket-v1") -> Recording:
    return Recording(Head(channel=channel, seen_by=seen_by), entries)


def messages(*said: tuple[str, Message], wire: int = 0) -> list[Record]:
    return [
        Record(at=number / 10, wire=wire, by=by, message=message)  # type: ignore[arg-type]
        for number, (by, message) in enumerate(said)
    ]


def rows_of(*said: tuple[str, Message]) -> tuple[Row, ...]:
    return picture_of(recording(*messages(*said))).rows


def shown(rows: tuple[Row, ...]) -> list[str]:
    return [row.label for row in rows]


def packed_of(tree: object) -> bytes:
    data: Any = msgpack.packb(tree)
    return bytes(data)


def event(kind: str, **members: Any) -> str:
    return json.dumps({"type": kind, **members})


# ------------------------------------------------------------ messages


def test_a_websocket_is_named_by_its_events() -> None:
    rows = rows_of(
        *OPENING,
        ("client", event("Init", key="k", config={"sttSampleRate": 8000})),
        ("client", event("Input", input={"transcript": {"text": "hello"}})),
        ("server", event("Recognized", text="hel", isFinal=False)),
        ("server", event("Recognized", text="hello", isFinal=True)),
        (
            "server",
            event("Response", response={"items": [{"text": "a"}, {"text": "b"}], "sessionEnded": True}),
        ),
        ("server", event("Response", response={"sleepTimeout": 5})),
        ("server", event("Surprise")),
        ("client", b""),
        ("client", Close(1000, "bye")),
    )
    assert shown(rows) == [
        "GET /socket",
        "101",
        "Init k",
        "Input hello",
        "Recognized hel (interim)",
        "Recognized hello (final)",
        "Response a b (the session ends)",
        "Response (sleeps for 5 s)",
        "Surprise",
        "keep-alive",
        "Close 1000 bye",
    ]
    assert [row.by for row in rows[:3]] == ["client", "server", "client"]
    assert rows[3].fields == {"type": "Input", "input": {"transcript": {"text": "hello"}}}
    assert rows[0].fields["url"] == "/socket?token=secret"


def test_msgpack_is_read_where_both_ends_have_agreed_on_it() -> None:
    packed = packed_of({"type": "Ready"})
    accepted = ResponseHead(status=101, headers=(("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),))
    audio = packed_of({"type": "Binary", "data": tone(1)})
    rows = rows_of(
        OPENING[0], ("server", accepted), ("server", packed), ("client", audio), ("server", b"\xc1")
    )
    assert shown(rows)[2:] == ["Ready", "Binary ×1, 3200 bytes, 100 ms, -20 dB", "binary 1 byte �"]
    assert [note.level for note in rows[4].notes] == ["unreadable"]
    two = rows_of(OPENING[0], ("server", accepted), ("server", packed + packed))
    assert two[2].notes[0].text == "more follows what is whole"


def test_without_msgpack_binary_messages_are_audio() -> None:
    rows = rows_of(*OPENING, ("server", packed_of({"type": "Ready"})))
    assert rows[2].kind == "audio"
    assert rows[2].label == "Binary ×1, 12 bytes"


@pytest.mark.parametrize(
    "text", ["what?", "[" * 100_000, "1" * 5000, "\u00e4\ud800"], ids=lambda text: ascii(text)[:9]
)
def test_what_is_no_json_is_shown_all_the_same(text: str) -> None:
    row = rows_of(*OPENING, ("client", text))[2]
    assert row.name == f"text {size(len(text.encode(errors='surrogatepass')))}"
    assert row.raw == text
    assert [note.level for note in row.notes] == ["unreadable"]


def test_an_address_that_is_none_is_shown_as_it_is() -> None:
    assert shown(rows_of(("client", RequestHead(url="http://[")), ("client", RequestHead(url="")))) == [
        "GET http://[",
        "GET /",
    ]


def test_json_that_is_no_event_is_a_text() -> None:
    assert shown(rows_of(*OPENING, ("client", "[1]")))[2] == "text [1]"


def request(content_type: str, *, url: str = "/client", method: str = "PUT", **headers: str) -> RequestHead:
    pairs = [
        ("Content-Type", content_type),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]
    return RequestHead(method=method, url=url, headers=tuple(pairs))


def answer(content_type: str) -> ResponseHead:
    return ResponseHead(status=200, headers=(("Content-Type", content_type),))


def test_bodies_are_read_however_they_are_cut() -> None:
    body = (
        event("Input", input={"transcript": {"text": "hi"}}) + "\n" + event("Log", entries=[{"text": "x"}])
    ).encode()
    said = [event(kind) for kind in ("Ready", "A", "B", "C", "D")]
    rows = rows_of(
        ("client", request("application/json; charset=utf-8")),
        ("client", body[:20]),
        ("client", body[20:]),
        ("client", END),
        ("server", answer("application/json")),
        ("server", f"[{','.join(said)}]".encode()),
        ("server", b'{"a":1} {"type":"Response"} nonsense'),
        ("server", b"never read"),
    )
    assert shown(rows) == [
        "PUT /client",
        "body 20 bytes",
        "Input, Log hi x",
        "end of the body",
        "200 application/json",
        "Ready, A, B, 2 more",
        "object, Response",
        "body 10 bytes",
    ]
    assert rows[6].notes == (Note("", "unreadable", "not JSON: no object begins with b'nonsense'"),)
    assert rows[7].notes == ()


def test_a_long_body_in_one_piece_takes_no_longer_than_in_many() -> None:
    """Bodies of archives are one piece; what was found is not looked at, or moved, again."""
    body = b'{"type":"Log","entries":[]}\n' * 60_000
    before = time.perf_counter()
    (_, row) = picture_of(
        recording(*messages(("client", RequestHead(method="PUT", url="/client")), ("client", body)))
    ).rows
    assert time.perf_counter() - before < BOUND
    assert row.name == "Log, Log, Log, 59997 more"


def test_bodies_of_msgpack_and_of_text() -> None:
    packed = packed_of({"type": "Ready"})
    rows = rows_of(
        ("client", request("text/plain")),
        ("client", b"good \xff morning"),
        ("server", answer("application/msgpack")),
        ("server", packed + packed[:3]),
        ("server", packed[3:] + b"\xc1"),
        ("server", packed),
    )
    assert shown(rows)[1:] == [
        "text good � morning",
        "200 application/msgpack",
        "Ready",
        "Ready",
        "body 12 bytes",
    ]
    assert [bool(row.notes) for row in rows] == [False, False, False, False, True, False]


def test_an_object_that_is_nested_too_deep_ends_the_body() -> None:
    rows = rows_of(("client", request("application/json")), ("client", b'{"a":' * 1000))
    assert "nested" in rows[1].notes[0].text


@pytest.mark.parametrize(
    ("tree", "label"),
    [
        ({"version": "1.0", "request": {"type": "LaunchRequest"}}, "LaunchRequest"),
        (
            {
                "request": {
                    "type": "IntentRequest",
                    "intent": {"name": "Say", "slots": {"text": {"value": "hi"}}},
                }
            },
            "IntentRequest Say hi",
        ),
        (
            {"version": "1.0", "response": {"outputSpeech": {"type": "PlainText", "text": "Hello"}}},
            "response Hello",
        ),
        ({"version": "1.0", "response": {"outputSpeech": {"ssml": "<speak/>"}}}, "response <speak/>"),
        ({"handler": {"name": "say"}, "intent": {"query": "hello"}}, "say hello"),
        (
            {"prompt": {"firstSimple": {"speech": "Hi"}, "lastSimple": {"speech": "there"}}},
            "response Hi there",
        ),
        (
            {"inputs": [{"intent": "actions.intent.TEXT", "rawInputs": [{"query": "hello"}]}]},
            "actions.intent.TEXT hello",
        ),
        (
            {"finalResponse": {"richResponse": {"items": [{"simpleResponse": {"textToSpeech": "Bye"}}]}}},
            "response Bye",
        ),
        ({"nothing": "known"}, "object"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_webhooks_are_named_by_what_is_asked_and_answered(tree: dict[str, Any], label: str) -> None:
    rows = rows_of(
        ("client", request("application/json", method="POST")), ("client", json.dumps(tree).encode())
    )
    assert shown(rows)[1] == label


def test_the_phone_is_named_by_its_frames() -> None:
    media = json.dumps({"event": "media", "media": {"payload": "/////w=="}})
    rows = rows_of(
        *OPENING,
        ("client", json.dumps({"event": "start"})),
        ("client", media),
        ("client", media),
        ("server", json.dumps({"event": "mark", "mark": {"name": "m1"}})),
        ("client", json.dumps({"event": "dtmf", "dtmf": {"digit": "5"}})),
        ("client", json.dumps({"event": "media", "media": {"payload": "?"}})),
    )
    assert shown(rows)[2:] == ["start", "media ×2, 8 bytes, 1 ms, silence", "mark m1", "dtmf 5", "media"]


# ------------------------------------------------------------ audio


@pytest.mark.parametrize(
    ("sound", "level"),
    [
        (Sound(struct.pack("<2h", 16384, -16384), "LINEAR16"), -6.0),
        (Sound(struct.pack("<h", -32768) + b"\0", "LINEAR16"), 0.0),
        (Sound(bytes(100), "LINEAR16"), -96.0),
        (Sound(b"", "LINEAR16"), -96.0),
        (Sound(b"\xff\x7f" * 10, "MULAW"), -96.0),
        (Sound(b"\x00\x80" * 10, "MULAW"), -0.2),
        (Sound(b"anything"), None),
        (Sound(b"RIFF....WAVE", "WAV"), None),
    ],
    ids=["half", "full", "silence", "nothing", "silent μ-law", "loud μ-law", "unknown", "broken file"],
)
def test_levels_are_those_of_the_encoding(sound: Sound, level: float | None) -> None:
    assert level_of(sound) == level


def wav(width: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(width)
        writer.setframerate(16000)
        writer.writeframes(b"\x00\x40" * 8)
    return file.getvalue()


def test_a_file_of_speech_has_a_level_when_its_samples_have_16_bits() -> None:
    rows = rows_of(*OPENING, ("server", wav(2)))
    assert rows[2].band is not None
    assert (rows[2].band.encoding, rows[2].band.levels, rows[2].band.length) == ("WAV", (-6.0,), None)
    assert level_of(Sound(wav(1), "WAV")) is None


def test_blocks_that_follow_each_other_are_one_band() -> None:
    rows = rows_of(
        *OPENING,
        ("client", tone(0)),
        ("server", b"\xff\xfb speech"),  # the other way: a band of its own, and this one goes on
        ("client", tone(1)),
        ("client", event("InputAudioStreamClose")),
        ("client", tone(2)),
    )
    assert [(row.kind, row.entry, row.more) for row in rows[2:]] == [
        ("audio", 2, (4,)),
        ("audio", 3, ()),
        ("message", 5, ()),
        ("audio", 6, ()),
    ]
    band = rows[2].band
    assert band is not None
    assert (band.size, band.length, band.encoding, band.rate, band.until) == (
        6400,
        0.2,
        "LINEAR16",
        16000,
        0.4,
    )
    assert len(band.levels) == 2
    assert rows[3].since == pytest.approx(0.1)
    assert rows[4].since == pytest.approx(0.1), "since the last block"


def test_the_rate_is_that_of_init_or_of_the_request() -> None:
    init = event("Init", config={"sttSampleRate": 8000, "ttsFileType": "mulaw"})
    rows = rows_of(*OPENING, ("client", init), ("client", tone(1)), ("server", b"\xff" * 80))
    assert [row.band.rate for row in rows if row.band] == [8000, 8000]
    assert rows[4].label == "Binary ×1, 80 bytes, 10 ms, silence"
    head = request("audio/basic", url="/client?sttSampleRate=8000", X_SttEncoding="mulaw")
    rows = rows_of(("client", head), ("client", b"\xff" * 80))
    assert rows[1].label == "Binary ×1, 80 bytes, 10 ms, silence"


@pytest.mark.parametrize("rate", [0, True, 10**9, "8000", None], ids=repr)
def test_a_rate_that_is_none_is_not_taken_for_one(rate: object) -> None:
    rows = rows_of(*OPENING, ("client", event("Init", config={"sttSampleRate": rate})), ("client", tone(1)))
    assert rows[3].band is not None
    assert rows[3].band.rate == 16000


def test_audio_in_events_is_audio() -> None:
    binary = {"type": "Binary", "data": "AAAA"}
    rows = rows_of(("client", request("application/json")), ("client", (json.dumps(binary) * 2).encode()))
    assert rows[1].kind == "audio"
    assert rows[1].band is not None
    assert rows[1].band.size == 6


def test_a_curve_keeps_the_loudest() -> None:
    rows = rows_of(*OPENING, *(("client", struct.pack("<h", 1 << each)) for each in range(15)))
    band = rows[2].band
    assert band is not None
    assert len(band.curve(100)) == 15
    assert band.curve(5) == band.levels[2::3]


# ------------------------------------------------------------ what only an end knows


def told(at: float, kind: str, state: str, audio: str = "closed", **members: Any) -> Told:
    return Told(at=at, channel=0, event={"type": kind, **members}, state=state, audio=audio)


def test_hosts_are_told_things_and_do_things() -> None:
    picture = picture_of(
        recording(
            Opened(at=5.0, channel=0, kind="SocketV1Server"),
            told(5.5, "Init", "Open", key="k"),
            Act(at=5.6, channel=0, name="ready", state="Sleeping", audio="closed"),
            Act(
                at=6.0,
                channel=0,
                name="turn.send",
                arguments={"turn": 1, "event": {"type": "ResponseItem", "responseItem": {"text": "Hi"}}},
                state="Responding",
                audio="closed",
                raised="TooLateError",
            ),
            Act(
                at=6.0,
                channel=0,
                name="stream.recognized",
                arguments={"heard": {"transcript": {"text": "hello"}}, "final": False},
                state="Responding",
                audio="closed",
            ),
            Act(
                at=6.1,
                channel=0,
                name="fail",
                arguments={"text": "no", "code": 3},
                state="Closed",
                audio="closed",
            ),
            Setting(at=6.1, channel=0, name="attributes", value={"a": 1}),
            told(6.2, "Fault", "Closed", error="bad"),
            Cut(at=6.3, channel=0, reason="enough"),
        )
    )
    assert [row.words for row in picture.rows] == [
        "SocketV1Server is recorded from here",
        "told Init k",
        "ready()",
        "turn.send ResponseItem Hi",
        "stream.recognized hello (interim)",
        "fail no code=3",
        "sets attributes",
        "told Fault bad",
        "cut: enough",
    ]
    assert [(row.entry, note.level, note.text) for row in picture.rows for note in row.notes] == [
        (3, "raised", "TooLateError"),
        (7, "fault", "bad"),
        (8, "cut", "enough"),
    ]
    assert picture.rows[1].at == 0.5
    assert picture.title == "SocketV1Server"
    assert picture.duration == pytest.approx(1.3)


def test_audio_that_a_host_is_told_or_sends_is_a_band_beside_that_of_the_wire() -> None:
    said: list[Entry] = []
    for number in range(3):
        at = number / 10
        said.append(
            Act(at=at, channel=0, name="send_audio", arguments={"block": b"ab"}, state="L", audio="open")
        )
        said.append(Record(at=at, wire=0, by="client", message=b"ab"))
        said.append(told(at, "Binary", "L", "open", data=b"ab"))
    rows = picture_of(recording(*said)).rows
    assert [row.words for row in rows] == [
        "send_audio ×3, 6 bytes",
        "Binary ×3, 6 bytes, 0 ms, -2 dB",
        "told Binary ×3, 6 bytes",
    ]


def test_a_change_that_time_makes_is_a_row_and_one_that_a_message_makes_is_not() -> None:
    picture = picture_of(
        recording(
            *messages(("client", RequestHead(url="/socket"))),
            Idle(at=0.01, channel=0, of="events", state="Open", audio="closed"),
            Idle(at=0.02, channel=0, of="output", wire=0, state="Open", audio="closed"),
            Idle(at=30.0, channel=0, of="events", state="Failed", audio="closed"),
            Idle(at=31.0, channel=0, of="events", state="Failed", audio="open"),
        )
    )
    assert [(row.words, row.state) for row in picture.rows] == [
        ("GET /socket", "Open"),
        ("time passes: Failed", "Failed"),
        ("time passes: audio open", "Failed"),
    ]


def test_a_transport_that_is_gone_when_all_is_over_is_nothing_to_speak_of() -> None:
    lost = Lost(at=1.0, channel=0, wire=0)
    assert picture_of(recording(told(0.0, "Ready", "Listening"), lost)).rows[1].notes[0].level == "lost"
    assert picture_of(recording(told(0.0, "Closed", "Closed", code=1000), lost)).rows[1].notes == ()
    everything = picture_of(recording(Lost(at=1.0, channel=0))).rows[0]
    assert everything.words == "gone: all transports"


def test_lanes_hold_the_states_and_machines_share_them_one_after_the_other() -> None:
    def state(channel: int, name: str) -> Told:
        return Told(at=0.0, channel=channel, event={"type": "Ready"}, state=name, audio="closed")

    picture = picture_of(
        recording(
            state(0, "Open"), state(1, "Open"), state(0, "Listening"), state(0, "Listening"), state(2, "Open")
        )
    )
    spans = [
        (each.channel, each.name, each.first, each.last, each.slot)
        for each in picture.spans
        if each.region == "state"
    ]
    assert spans == [
        (0, "Open", 0, 1, 0),
        (0, "Listening", 2, 3, 0),
        (1, "Open", 1, 1, 1),
        (2, "Open", 4, 4, 0),
    ]


def test_a_machine_takes_the_first_slot_that_is_free() -> None:
    def state(channel: int) -> Told:
        return Told(at=0.0, channel=channel, event={"type": "Ready"}, state="Open", audio="closed")

    picture = picture_of(recording(*map(state, (0, 1, 2, 1, 0, 3, 2, 4, 5, 3, 4, 5))))
    assert {each.channel: each.slot for each in picture.spans} == {0: 0, 1: 1, 2: 2, 3: 0, 4: 1, 5: 2}


def test_thousands_of_machines_are_drawn_at_once() -> None:
    """A server on HTTP has a machine for each request."""
    requests = [
        Told(at=float(number), channel=number, event={"type": "Ready"}, state="Open", audio="asked")
        for number in range(5000)
    ]
    at_one_time = [each for each in requests[:1000] for _ in range(2)]
    before = time.perf_counter()
    picture = picture_of(recording(*requests, *at_one_time))
    assert len(picture.spans) == 10_000
    assert to_svg(picture)
    assert to_html(picture)
    assert time.perf_counter() - before < BOUND


def test_a_state_that_is_not_known_any_more_ends_its_lane() -> None:
    again = Opened(at=1.0, channel=0, kind="SocketV1Server")
    picture = picture_of(recording(told(0.0, "Ready", "Open"), again))
    assert [(each.first, each.last) for each in picture.spans] == [(0, 0), (0, 0)]


# ------------------------------------------------------------ choosing


def test_rows_are_chosen_by_machine_text_and_time() -> None:
    picture = picture_of(conversation(), {3: [Note("FSC-X-1", "MUST", "it is wrong")]})
    everything = len(picture.rows)
    assert len(picture.chosen(channels=[0]).rows) == everything
    assert picture.chosen(channels=[7]).rows == ()
    assert [row.name for row in picture.chosen(find="TO PRAGUE").rows][:2] == ["stream.recognized", "Input"]
    assert [row.name for row in picture.chosen(find="fsc-x-1").rows] == ["101"]
    assert picture.chosen(find="deviceId").rows
    band = next(row for row in picture.rows if row.kind == "audio")
    inside = picture.chosen(since=band.at + 0.2, until=band.at + 0.25).rows
    assert [row.kind for row in inside] == ["audio", "told"], "a band that goes on then is shown"
    assert Picture(head=picture.head, rows=()).duration == 0.0


# ------------------------------------------------------------ the terminal


def lines(picture: Picture, **options: Any) -> list[str]:
    return [line.text for line in to_lines(picture, **options)]


def test_the_terminal_shows_both_ends_and_the_states() -> None:
    picture = picture_of(
        recording(
            *messages(*OPENING, ("client", event("Input", input={"transcript": {"text": "hello"}}))),
            told(0.2, "Input", "Processing", input={"transcript": {"text": "hello"}}),
            *(Record(at=2.5 + each / 10, wire=0, by="client", message=tone(each)) for each in range(4)),
            told(2.9, "InputAudioStreamOpen", "Processing", "open"),
            Lost(at=3.0, channel=0, wire=0),
        )
    )
    assert lines(picture) == [
        "socket-v1, seen by the server · 7 rows · 3.00 s",
        "     time client                                            server  server",
        "    0.000 │── GET /socket ────────────────────────────────────▶│",
        "    0.100 │◀──────────────────────────────────────────── 101 ──│",
        "    0.200 │── Input hello ────────────────────────────────────▶│",
        "    0.200 │                                   told Input hello ▷│   Processing",
        "          ┄                       2.30 s                       ┄",
        "    2.500 │══ Binary ×4, 13 kB, 400 ms, -15 dB ▅▆▆▆ ══════════▶│",
        "    2.900 │                          told InputAudioStreamOpen ▷│ ┃ audio open",
        "    3.000 │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ gone: the transport ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄│ ┃",
        "          ! lost: the transport, while the conversation went on",
    ]


def test_a_client_that_was_recorded_has_its_host_beside_it() -> None:
    act = Act(at=0.0, channel=0, name="say", arguments={"text": "hi"}, state="Processing", audio="asked")
    ready = Told(at=0.0, channel=0, event={"type": "Ready"}, state="Processing", audio="asked")
    text = lines(picture_of(recording(act, ready, seen_by="client")))
    assert text[2].startswith("    0.000 │▷ say hi  ")
    assert text[3].startswith("    0.000 │◁ told Ready  ")
    assert text[2].endswith("│ ▌ Processing")


def test_several_machines_and_transports_are_told_apart() -> None:
    one, other = messages(*OPENING), messages(*OPENING, wire=1)
    picture = picture_of(
        recording(
            *one, *(Record(at=1.5, wire=1, by=each.by, message=each.message, channel=12) for each in other)
        )
    )
    text = lines(picture)
    assert text[1].startswith("     time   ch client ")
    assert text[2].startswith("    0.000    0 │── 0 GET /socket ─")
    assert text[5].startswith("    1.500   12 │── 1 GET /socket ─")


@pytest.mark.parametrize("width", [1, 48, 60, 80, 81, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    notes = {3: [Note("FSC-1", "MUST", "日本語 " * 30), Note("", "fault", "x" * 300)]}
    for seen_by in ("client", "server"):
        picture = picture_of(conversation(seen_by, says=("日本語 🙂 e\u0301 " * 9,)), notes)
        assert max(map(width_of, lines(picture, width=width))) <= max(width, 48)


def test_a_time_that_is_too_long_for_its_column_is_shortened() -> None:
    picture = picture_of(recording(*messages(*OPENING), Cut(at=123_456_789.0, channel=0, reason="")))
    assert lines(picture)[-2].startswith(" 1.23e+08 │")


def test_ascii_is_enough_when_it_has_to_be() -> None:
    picture = picture_of(conversation(says=()))
    assert all(line.isascii() for line in lines(picture, ascii_only=True))
    assert any("|-- GET /socket ---" in line for line in lines(picture, ascii_only=True))


def test_lines_tell_what_they_show() -> None:
    parts = [line.part for line in to_lines(picture_of(conversation()))]
    assert {"head", "client", "server", "told", "act", "mark", "pause"} == set(parts)
    assert (
        str(next(iter(to_lines(picture_of(recording()))))) == "socket-v1, seen by the server · 0 rows · 0 ms"
    )


# ------------------------------------------------------------ Mermaid


def test_mermaid_shows_messages_states_and_pauses() -> None:
    picture = picture_of(
        recording(
            *messages(*OPENING, ("client", tone(1))),
            told(2.0, "Input", "Processing", input={"transcript": {"text": "#intro; <b>"}}),
            Cut(at=2.0, channel=0, reason="enough"),
        ),
        {0: [Note("FSC-1", "MUST", "no")]},
    )
    assert to_mermaid(picture) == (
        "sequenceDiagram\n"
        "    participant client\n"
        "    participant server\n"
        "    Note over client,server: socket-v1, seen by the server\n"
        "    client->>server: GET /socket\n"
        "    Note over client,server: ! FSC-1 MUST#58; no\n"
        "    server->>client: 101\n"
        "    client->>server: Binary ×1, 3200 bytes, 100 ms, -20 dB\n"
        "    Note over client,server: 1.80 s\n"
        "    Note right of server: told Input #35;intro#59; #60;b#62;\n"
        "    Note right of server: Processing\n"
        "    Note over client,server: cut#58; enough\n"
        "    Note over client,server: ! cut#58; enough\n"
    )


MERMAID = re.compile(
    r"    (participant (client|server)"
    r"|(client->>server|server->>client|Note over client,server|Note (left|right) of (client|server)): "
    r"(! )?([^\W_]|[ ,.()/×·…-]|#\d+;)*)"
)


@given(recordings)
def test_mermaid_sees_nothing_but_letters_and_entities(kept: Recording) -> None:
    first, *rest = to_mermaid(picture_of(kept)).removesuffix("\n").split("\n")
    assert first == "sequenceDiagram"
    for line in rest:
        assert MERMAID.fullmatch(line), line


# ------------------------------------------------------------ SVG


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(picture))


def names(tree: ElementTree.Element) -> set[str]:
    return {each.tag.rpartition("}")[2] for each in tree.iter()}


def test_the_svg_has_a_line_for_each_entry_that_is_drawn() -> None:
    for seen_by in ("client", "server"):
        picture = picture_of(conversation(seen_by), {3: [Note("FSC-1", "MUST", "it is wrong")]})
        tree = parsed(picture)
        ids = [each.get("id") for each in tree.iter() if each.get("id")]
        assert ids == [f"entry-{row.entry}" for row in picture.rows]
        text = "".join(tree.itertext())
        assert "! FSC-1 MUST: it is wrong" in text
        assert "Processing" in text
        assert "prefers-color-scheme: dark" in text
        assert names(tree) == {"svg", "title", "style", "rect", "text", "tspan", "line", "path", "g"}


def test_audio_of_an_unknown_encoding_has_no_curve() -> None:
    with_curve, without = (
        [
            each.get("class")
            for each in parsed(picture_of(recording(*messages(*OPENING, (by, tone(1)))))).iter()
        ]
        for by in ("client", "server")
    )
    assert "sound" in with_curve
    assert "sound" not in without


def test_no_more_lanes_are_drawn_than_there_is_room_for() -> None:
    all_at_once = [
        Told(at=0.0, channel=number, event={"type": "Ready"}, state="Open", audio="asked")
        for _ in range(2)
        for number in range(9)
    ]
    picture = picture_of(recording(*all_at_once))
    assert max(each.slot for each in picture.spans) == 8
    drawn = [float(each.get("x", "0")) for each in parsed(picture).iter() if each.tag.endswith("rect")]
    assert max(drawn) < 820


@settings(max_examples=examples(60))
@given(recordings)
def test_whatever_is_recorded_the_svg_is_well_formed_and_has_text_only(kept: Recording) -> None:
    found = parsed(picture_of(kept))
    assert names(found) <= {"svg", "title", "style", "rect", "text", "tspan", "line", "path", "g"}
    assert not any(name.startswith("on") or "href" in name for each in found.iter() for name in each.attrib)


# ------------------------------------------------------------ HTML

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def content(page: str) -> Any:
    (found,) = DATA.findall(page)
    assert found.isascii()
    assert "<" not in found
    return json.loads(found)


def test_the_page_needs_nothing_else() -> None:
    page = to_html(picture_of(conversation()))
    assert re.findall(r"https?://[^\s\"'`]+", page) == ["http://www.w3.org/2000/svg"], "the name of SVG"
    assert re.findall(r"(?:src|href)=[\"'][^\"'#]+", page) == []
    assert "default-src 'none'; script-src 'sha256-" in page
    assert page.count("<script") == 2


def test_the_page_has_the_members_and_bytes_of_every_row() -> None:
    picture = picture_of(conversation(), {3: [Note("FSC-1", "MUST", "it is wrong")]})
    data = content(to_html(picture))
    assert [row["entry"] for row in data["rows"]] == [row.entry for row in picture.rows]
    assert data["rows"][2]["notes"] == [["FSC-1", "MUST", "it is wrong"]]
    init = next(row for row in data["rows"] if row["name"] == "Init" and row["kind"] == "message")
    assert init["parsed"] is True
    assert json.loads(init["raw"])["type"] == "Init"
    assert "fields" not in init
    band = next(row for row in data["rows"] if row["kind"] == "audio")["band"]
    assert len(band["entries"]) == len(band["loud"]) == 5
    assert band["data"]
    told_band = next(row for row in data["rows"] if row["kind"] == "told" and "band" in row)["band"]
    assert told_band["data"] is None, "it stands there once"


def test_what_javascript_has_no_form_for_is_told_as_it_is() -> None:
    fields = {
        "$": 1,
        "great": 2**60,
        "nan": math.nan,
        "bytes": b"\xff" * 2000,
        "list": (1, None),
        "object": {1, 2}.__class__(),
        "deep": json.loads("[" * 200 + "]" * 200),
        "map": {3: "three"},
    }
    data = content(to_html(picture_of(recording(Setting(at=0.0, channel=0, name="x", value=fields)))))
    found = data["rows"][0]["fields"]
    assert found["$$"] == 1
    assert found["great"] == {"$": str(2**60)}
    assert found["nan"] == {"$": "nan"}
    assert found["bytes"]["size"] == 2000
    assert found["list"] == [1, None]
    assert found["object"] == {"$": "set()"}
    assert "nested too deep" in json.dumps(found["deep"])
    assert found["map"] == {"3": "three"}


def test_great_numbers_and_long_texts_are_not_read_by_the_page() -> None:
    great = '{"type":"Log","n":90071992547409931}'
    long = event("Log", text="é" * 70_000)
    rows = content(to_html(picture_of(recording(*messages(*OPENING, ("client", great), ("client", long))))))[
        "rows"
    ]
    assert rows[2]["fields"]["n"] == {"$": "90071992547409931"}
    assert rows[3]["size"] == len(long.encode())
    assert "raw" not in rows[3]


def test_audio_beyond_the_bound_is_drawn_and_not_kept() -> None:
    entries = messages(*OPENING, ("client", tone(1)), ("server", event("Ready")), ("client", tone(2)))
    rows = content(to_html(picture_of(recording(*entries)), audio_bytes=5000))["rows"]
    assert [bool(row["band"]["data"]) for row in rows if "band" in row] == [True, False]


@settings(max_examples=examples(60))
@given(
    recordings,
    st.dictionaries(
        st.integers(0, 12), st.lists(st.builds(Note, texts, texts, texts), max_size=2), max_size=3
    ),
)
def test_whatever_is_recorded_it_can_be_drawn(kept: Recording, notes: dict[int, list[Note]]) -> None:
    picture = picture_of(kept, notes)
    for line in to_lines(picture):
        assert line.text.isprintable()
        assert width_of(line.text) <= 80
    data = content(to_html(picture))
    assert len(data["rows"]) == len(picture.rows)
    drawn = sorted(entry for row in picture.rows for entry in (row.entry, *row.more))
    hidden = [number for number, entry in enumerate(kept.entries) if isinstance(entry, Idle)]
    assert sorted({*drawn, *hidden}) == list(range(len(kept.entries)))
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_peer_says_is_never_markup(text: str) -> None:
    everywhere = recording(
        Opened(at=0.0, channel=0, kind=text),
        *messages(
            ("client", RequestHead(url=f"/{text}")), ("server", ResponseHead(status=101)), ("client", text)
        ),
        told(1.0, text, text, text),
        Act(at=1.0, channel=0, name=text, arguments={text: text}, state=text, audio=text, raised=text),
        Cut(at=2.0, channel=0, reason=text),
        channel=text,
    )
    page = to_html(picture_of(everywhere, {0: [Note(text, text, text)]}))
    page.encode()
    for part in content(page)["rows"][0]["notes"][0]:
        assert part.isprintable()
    outside = DATA.sub("", page)
    assert outside.count("<script") == 1
    assert "<img" not in outside
    content(page)


# ------------------------------------------------------------ texts


def test_texts_are_put_on_one_line() -> None:
    assert clean("plain") == "plain"
    assert clean("a\nb\x1b[0m\u202e\ud800") == "a\\nb\\x1b[0m\\u202e\\ud800"


def test_texts_are_cut_by_cells() -> None:
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("abc", 0) == ""
    assert width_of("e\u0301") == 1
    assert width_of("\u0e01\u0e31") == 1, "a vowel of Thai stands above its consonant"


@pytest.mark.parametrize(
    ("time", "text"),
    [(0.0125, "12 ms"), (-0.5, "-500 ms"), (1.234, "1.23 s"), (1234.5, "1234 s"), (1e9, "1.0e+09 s")],
)
def test_times_are_short(time: float, text: str) -> None:
    assert seconds(time) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 byte"), (320, "320 bytes"), (16_000, "16 kB"), (16_000_000, "16 MB")]
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert size(count) == text

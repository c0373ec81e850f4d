"""The server end of Socket V2, rule by rule, then anything in any order.

What is expected is written down here by hand; nothing is derived from the machine's own tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.channel import Control, Timeouts
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ErrorEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionNeed,
    StoreNeed,
    UnknownEvent,
)
from flowstorm_channel.http import is_secure
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.socket_v2.bodies import Form, Writer
from flowstorm_channel.socket_v2.settings import (
    Settings,
    cookie_of,
    given_cookie,
    token_header,
    token_of,
)
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import (
    AudioFileType,
    ExpectedPhrase,
    Gender,
    Input,
    Response,
    ResponseItem,
    SttEncoding,
    SttMode,
    Transcript,
    TtsConfig,
    TtsType,
)
from flowstorm_channel.wire import END, Close, RequestHead, ResponseHead
from tests import exchanges
from tests.conversation import Frame, said
from tests.depth import examples
from tests.exchanges import (
    AUDIO_TYPES,
    BLOCK,
    HELLO,
    INPUT_CLOSE,
    JSON,
    LIVE,
    LOG,
    MSGPACK,
    NEW,
    OWNER,
    TEXT,
    WAV,
    Request,
    get_head,
    put_head,
    refused,
)

OTHER = {"key": "K2", "deviceId": "D2"}
SERVERS: list[exchanges.Server] = []


def Server(**kw: Any) -> exchanges.Server:
    """A server that is looked after when the test is over."""
    SERVERS.append(exchanges.Server(**kw))
    return SERVERS[-1]


@pytest.fixture(autouse=True)
def _all_requests_end_and_leave_nothing() -> Iterator[None]:
    yield
    while SERVERS:
        SERVERS.pop().finish()


# ------------------------------------------------------------ a turn, from end to end


def test_a_turn_of_text() -> None:
    server = Server()
    put = server.put("Hello", END, content_type=TEXT)
    assert put.told() == ["Input Hello"]
    assert (put.state, put.sent()) == (State.PROCESSING, [])
    put.turn.say("Hi")
    assert put.sent() == ["200", "< Hi"]
    assert put.state is State.RESPONDING
    put.turn.say("How are you?")
    put.turn.finish()
    assert put.sent() == ["< How are you?", "END"]
    assert put.told() == ["Closed 1000"]
    assert put.headers == {
        "cache-control": "no-store",
        "content-type": "text/plain; charset=utf-8",
        "set-cookie": "flowstorm-session-id=s1; Path=/; HttpOnly; SameSite=Lax",
    }


def test_a_turn_of_events() -> None:
    server = Server()
    put = server.put(HELLO, END)
    assert put.told() == ["Input hello"]
    put.turn.say("Hi")
    assert put.sent() == ["200", "ResponseItem 'Hi'"]
    put.turn.finish(turn_id="t")
    assert put.sent() == ["Response", "END"]
    assert put.frames[-1]["response"]["turnId"] == "t"
    assert put.headers["content-type"] == "application/json"


def test_a_turn_of_audio_and_what_is_recognised() -> None:
    server = Server()
    put = server.put(content_type="audio/basic", cookie="a", query=LIVE)
    get = server.get("a")
    assert put.told() == []
    put.receive(b"1234")
    assert put.told() == ["InputAudioStreamOpen", "audio 4"]
    assert (put.state, put.audio) == (State.LISTENING, Audio.OPEN)
    put.stream.ready()  # it is, from the first block on
    put.stream.recognized("a sto", final=False)
    assert (get.sent(), put.sent()) == (["200", "RecognizedInput interim a sto"], [])
    put.receive(b"56")
    put.stream.recognized("a story", final=True)
    assert put.stream.over
    assert (put.state, put.audio) == (State.PROCESSING, Audio.CLOSED)
    assert get.sent() == ["END"]
    assert get.told() == ["Closed 1000"]
    assert put.told() == ["audio 2", "Input a story"]
    assert put.sent() == ["200", "RecognizedInput final a story"]
    put.receive(b"789", END)
    assert (put.told(), put.machine.dropped) == ([], 1)
    put.turn.finish()
    assert put.sent() == ["Response", "END"]
    assert "set-cookie" not in get.headers


def test_the_next_turn_goes_on_with_the_session() -> None:
    server = Server()
    first = server.say()
    first.turn.session.data["name"] = "Ann"
    first.turn.finish()
    assert first.state is State.CLOSED
    assert first.cookie == "s1"
    second = server.say(cookie=first.cookie)
    assert (second.session_id, second.turn.session.data, second.turn.number) == ("s1", {"name": "Ann"}, 2)
    assert second.turn.session is first.turn.session


def test_states_are_those_of_the_session() -> None:
    server = Server()
    put = server.put()
    assert put.state is State.SLEEPING
    put.receive(LOG)
    assert put.state is State.SLEEPING
    server.converse("a")
    put = server.put(INPUT_CLOSE, cookie="a")
    assert put.state is State.LISTENING
    server.converse("b", sleep_timeout=60)
    put = server.put(INPUT_CLOSE, cookie="b")
    assert put.state is State.SLEEPING
    put.receive(HELLO)
    assert (put.state, put.turn.session.asleep) == (State.PROCESSING, False)


# ------------------------------------------------------------ what the client says of itself

PARAMETERS: list[tuple[str, str | None, str | None, Any, dict[str, Any], list[str]]] = [
    ("key", "X-Key", "key", None, {"app-1": "app-1", "dialogue:5": "dialogue:5", ":5": ":5"}, []),
    ("device_id", "X-DeviceId", "deviceId", None, {"sender": "sender", "a b": "a b"}, []),
    (
        *("locale", "Accept-Language", None, "en-US"),
        dict(
            [
                *(("cs", "cs"), ("cs-CZ,cs;q=0.9,en;q=0.8", "cs-CZ"), ("de_AT", "de-AT"), ("fr;q=0.3", "fr")),
                *(("*", "en-US"), ("no language at all", "en-US"), (", cs", "en-US")),
            ]
        ),
        [],
    ),
    (
        *("zone_id", "X-TimeZone", "timeZone", "Europe/Prague"),
        {"America/New_York": "America/New_York", "UTC": "UTC", "+02:00": "+02:00", "-05:30": "-05:30"},
        ["Mars/Base", "europe", "25:00"],
    ),
    (
        *("stt_mode", "X-SttMode", "sttMode", SttMode.SINGLE_UTTERANCE),
        {"SingleUtterance": SttMode.SINGLE_UTTERANCE, "singleutterance": SttMode.SINGLE_UTTERANCE},
        ["Duplex", "Default", "x"],
    ),
    ("stt_model", "X-SttModel", "sttModel", "General", {"Medical": "Medical"}, []),
    (
        *("stt_sample_rate", "X-SttSampleRate", "sttSampleRate", 16000),
        {"8000": 8000, "44100": 44100, "1": 1, "999999999": 999999999},
        ["0", "-1", "1.5", "x", "1e4", "1000000000", "٣", "1_000"],
    ),
    (
        *("stt_encoding", "X-SttEncoding", "sttEncoding", SttEncoding.LINEAR16),
        {"LINEAR16": SttEncoding.LINEAR16, "MULAW": SttEncoding.MULAW, "mulaw": SttEncoding.MULAW},
        ["FLAC"],
    ),
    (
        *("tts_file_type", "X-TtsFileType", "ttsFileType", AudioFileType.MP3),
        {"mp3": AudioFileType.MP3, "wav": AudioFileType.WAV, "WAV": AudioFileType.WAV},
        ["mulaw", "ogg"],
    ),
    *[
        (
            *(attribute, header, query, default),
            {"true": True, "1": True, "yes": True, "YES": True, "false": False, "0": False, "no": False},
            ["2", "on", "x" * 100],
        )
        for attribute, header, query, default in (
            ("video_file", "X-VideoFile", "videoFile", False),
            ("send_response_items", "X-SendResponseItems", "sendResponseItems", True),
            ("realtime", None, "realtime", False),
        )
    ],
]
HEADERS = [each for each in PARAMETERS if each[1]]
QUERIES = [each for each in PARAMETERS if each[2]]
BOTH = [each for each in PARAMETERS if each[1] and each[2]]


def _name(case: Any) -> str:
    return str(case[0])


def _settings(put: Request) -> Settings:
    found = put.machine.settings
    assert found is not None
    return found


def _owner_without(query: str | None) -> dict[str, str]:
    return {name: value for name, value in OWNER.items() if name != query}


@pytest.mark.parametrize("case", HEADERS, ids=_name)
def test_a_header_sets_it(case: Any) -> None:
    attribute, header, query, _, good, _ = case
    for text, value in good.items():
        put = Server().put(headers=((header.lower(), text),), owner=_owner_without(query))
        assert getattr(_settings(put), attribute) == value


@pytest.mark.parametrize("case", QUERIES, ids=_name)
def test_a_parameter_of_the_query_sets_it(case: Any) -> None:
    attribute, _, query, _, good, _ = case
    for text, value in good.items():
        put = Server().put(query={query: text})
        assert getattr(_settings(put), attribute) == value


@pytest.mark.parametrize("case", BOTH, ids=_name)
def test_the_query_wins(case: Any) -> None:
    """D-32."""
    attribute, header, query, _, good, bad = case
    text, value = next(iter(good.items()))
    for loser in [*list(good)[-1:], *bad]:
        put = Server().put(query={query: text}, headers=((header, loser),))
        assert getattr(_settings(put), attribute) == value
    for text in bad:
        put = Server().put(query={query: text}, headers=((header, next(iter(good))),))
        assert (put.status, put.fault.path) == (400, query)


@pytest.mark.parametrize("case", BOTH, ids=_name)
def test_an_empty_parameter_says_nothing(case: Any) -> None:
    attribute, header, query, default, good, _ = case
    text, value = next(iter(good.items()))
    put = Server().put(query={query: ""}, headers=((header, text),))
    assert getattr(_settings(put), attribute) == value
    if default is not None:
        put = Server().put(query={query: ""}, headers=((header, ""),))
        assert getattr(_settings(put), attribute) == default


@pytest.mark.parametrize("case", PARAMETERS, ids=_name)
def test_what_is_not_said_has_a_default_or_is_missed(case: Any) -> None:
    attribute, header, query, default, _, _ = case
    put = Server().put(owner=_owner_without(query))
    if default is None:
        assert put.status == 400
        assert put.fault.path == query
        assert header in str(put.fault)
        assert put.frames[0]["text"] == str(put.fault)
        assert put.machine.settings is None
        assert put.machine.init is None
    else:
        assert getattr(_settings(put), attribute) == default


@pytest.mark.parametrize("case", PARAMETERS, ids=_name)
def test_what_is_wrong_is_refused(case: Any) -> None:
    _, header, query, _, _, bad = case
    for text in bad:
        for put, name in (
            *([(Server().put(query={query: text}), query)] if query else []),
            *([(Server().put(headers=((header, text),)), header)] if header else []),
        ):
            assert (put.status, put.told()[:1]) == (400, ["Fault"])
            assert put.fault.path == name
            assert len(str(put.fault)) < 200
            assert put.sent() == ["400", "Error"]


OWNED = "key=A&deviceId=D"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("deviceId=D", "key: missing: give it as a parameter, or as X-Key"),
        ("key=A", "deviceId: missing: give it as a parameter, or as X-DeviceId"),
        (f"{OWNED}&sttSampleRate=8k", "sttSampleRate: '8k' is not a number of Hz"),
        (f"{OWNED}&sttSampleRate={'1' * 21}", f"sttSampleRate: '{'1' * 20}' is not a number of Hz"),
        (f"{OWNED}&videoFile=y", "videoFile: 'y' is neither true nor false"),
        (f"{OWNED}&videoFile={'y' * 21}", f"videoFile: '{'y' * 20}' is neither true nor false"),
        (f"{OWNED}&sttMode=Duplex", "sttMode: 'Duplex' is not one of SingleUtterance"),
        (f"{OWNED}&ttsFileType={'y' * 21}", f"ttsFileType: '{'y' * 20}' is not one of mp3, wav"),
        (f"{OWNED}&timeZone=Nowhere", "timeZone: 'Nowhere' is not a known time zone"),
        (f"{OWNED}&sttModel=a%00", "sttModel: a control character stands in it"),
        (OWNED + "&a=1" * 99, "the address is malformed"),
    ],
)
def test_what_is_wrong_is_named(query: str, problem: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Settings.read(RequestHead(url=f"/client?{query}"))
    assert str(caught.value) == problem


def test_a_hundred_parameters_are_read() -> None:
    found = Settings.read(RequestHead(url=f"/client?{OWNED}" + "&a=1" * 98))
    assert (found.key, found.device_id) == ("A", "D")


def test_a_parameter_without_a_name_sets_nothing() -> None:
    assert Settings.read(RequestHead(url=f"/client?{OWNED}&=cs")).locale == "en-US"


@pytest.mark.parametrize("name", ["key", "deviceId", "sttModel"])
def test_no_value_brings_a_line_break_along(name: str) -> None:
    for text in ("a\nb", "a\r\nSet-Cookie: x=y", "a\0", "a\x1bb", "\x7f"):
        put = Server().put(query={name: text})
        assert (put.status, put.fault.path) == (400, name)


def test_of_a_parameter_that_comes_twice_the_last_counts() -> None:
    head = RequestHead(method="PUT", url="/client?key=A&key=B&deviceId=D", headers=((CT, JSON),))
    put = Server().open(head)
    assert _settings(put).key == "B"


def test_a_plus_in_a_query_is_meant_as_one() -> None:
    head = RequestHead(method="PUT", url="/client?key=K&deviceId=D&timeZone=+02:00", headers=((CT, JSON),))
    assert _settings(Server().open(head)).zone_id == "+02:00"


CT = "Content-Type"


@pytest.mark.parametrize(
    "url",
    [
        "http://[/client?key=K&deviceId=D",
        "/client?key=K&deviceId=D&" + "&".join(f"p{number}=1" for number in range(100)),
    ],
)
def test_a_malformed_address_is_refused(url: str) -> None:
    put = Server().open(RequestHead(method="PUT", url=url, headers=((CT, JSON),)))
    assert (put.status, put.sent()[1:]) == (400, ["Error"])


def test_the_host_is_told_who_speaks() -> None:
    put = Server().put(
        headers=(("Accept-Language", "cs-CZ,cs"), ("X-TimeZone", "UTC"), ("X-SttSampleRate", "8000")),
        query={"ttsFileType": "wav", "sendResponseItems": "no"},
    )
    (init,) = put.history
    assert isinstance(init, InitEvent)
    assert (init.key, init.device_id, init.token) == ("K", "D", None)
    config = init.config
    assert (config.locale, config.zone_id, config.stt_sample_rate) == ("cs-CZ", "UTC", 8000)
    assert (config.tts, config.tts_file_type) == (TtsType.REQUIRED_LINKS, AudioFileType.WAV)
    assert (config.send_response_items, config.stt_mode) == (False, SttMode.SINGLE_UTTERANCE)
    assert config.silence_timeout == 5000
    assert put.machine.init == init


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Bearer abc.def", "abc.def"),
        ("bearer  abc ", "abc"),
        ("BEARER a b", "a b"),
        *[(wrong, None) for wrong in ("", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc")],
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_the_token_of_the_user(header: str | None, token: str | None, method: str) -> None:
    headers = () if header is None else (("authorization", header),)
    request = Server().open(put_head(cookie="a", method=method, headers=headers))
    assert request.machine.init is not None
    assert request.machine.init.token == token
    assert request.history == [request.machine.init]
    if token is not None:
        head = RequestHead(url="/", headers=(token_header(token),))
        assert token_of(head) == token


@pytest.mark.parametrize("content_type", [TEXT, JSON, MSGPACK])
def test_an_input_speaks_the_language_of_the_request(content_type: str) -> None:
    """D-71."""
    headers = (("Accept-Language", "cs-CZ"), ("X-TimeZone", "UTC"))
    body = b"hello" if content_type == TEXT else HELLO
    put = Server().put(body, END, content_type=content_type, headers=headers)
    assert put.turn.input is not None
    assert (put.turn.input.locale, put.turn.input.zone_id) == ("cs-CZ", "UTC")
    put = Server().put(body, END, content_type=content_type)
    assert put.turn.input is not None
    assert (put.turn.input.locale, put.turn.input.zone_id) == ("en-US", "Europe/Prague")


def test_an_input_may_speak_another_language_than_the_request() -> None:
    frame = {"type": "Input", "input": {"transcript": {"text": "x"}, "locale": "de_AT", "zoneId": "UTC"}}
    put = Server().put(frame, END, headers=(("Accept-Language", "cs-CZ"),))
    assert put.turn.input is not None
    assert (put.turn.input.locale, put.turn.input.zone_id) == ("de-AT", "UTC")


@pytest.mark.parametrize("content_type", [JSON, *AUDIO_TYPES])
def test_a_stream_knows_what_is_in_it(content_type: str) -> None:
    put = Server().put(
        BLOCK if content_type == JSON else b"123",
        content_type=f"{content_type}; rate=8000",
        query={"sttModel": "Medical", "sttEncoding": "MULAW", "sttSampleRate": "8000"},
    )
    stream = put.stream
    assert (stream.model, stream.encoding) == ("Medical", SttEncoding.MULAW)
    assert stream.config.stt_sample_rate == 8000
    assert stream.media_type == (None if content_type == JSON else content_type)
    assert repr(stream) == "<AudioStream SingleUtterance>"


def test_both_ends_read_the_same_table() -> None:
    before = Settings(
        key="K", device_id="D", locale="cs-CZ", zone_id="UTC", stt_model="M", stt_sample_rate=8000,
        stt_encoding=SttEncoding.MULAW, tts_file_type=AudioFileType.WAV, video_file=True,
        send_response_items=False,
    )  # fmt: skip
    said_of_it = list(before.parameters())
    assert ("X-VideoFile", "videoFile", "true") in said_of_it
    headers = [(header, text) for header, _, text in said_of_it]
    assert Settings.read(RequestHead(url="/client", headers=headers)) == before
    query = "&".join(f"{name}={quote(text)}" for _, name, text in said_of_it if name)
    language = [each for each in headers if each[0] == "Accept-Language"]
    assert Settings.read(RequestHead(url=f"/client?{query}", headers=language)) == before


# ------------------------------------------------------------ the head of a request


@pytest.mark.parametrize("method", ["DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "get it"])
def test_a_method_that_is_not_for_here(method: str) -> None:
    put = Server().open(put_head(method=method)).receive(END)
    assert put.told() == ["Fault", "Closed 1000"]
    assert put.sent() == ["405", "Error", "END"]
    assert put.headers["allow"] == "GET, POST, PUT"
    assert put.frames[0]["text"].startswith(method.upper())


@pytest.mark.parametrize("method", ["PUT", "POST", "put", "Post"])
def test_put_and_post_are_one(method: str) -> None:
    """D-22."""
    put = Server().open(put_head(method=method)).receive(HELLO, END)
    assert put.told() == ["Input hello"]


@pytest.mark.parametrize(
    "content_type", [None, "", "text/html", "application/x-www-form-urlencoded", "audio/ogg", "audio/*", ";"]
)
def test_a_body_of_a_type_that_nobody_understands(content_type: str | None) -> None:
    put = Server().put(b"hello", END, content_type=content_type)
    assert put.told() == ["Fault", "Closed 1000"]
    assert put.headers["content-type"] == "text/plain; charset=utf-8"
    status, line, end = put.sent()
    assert (status, end) == ("415", "END")
    assert line.startswith("! protocol: Content-Type: ")
    assert (content_type or "missing").strip(";") in line
    assert "text/plain, application/json" in line


@pytest.mark.parametrize(
    "content_type",
    [TEXT, "plain/text", "text/plain; charset=UTF-8", "TEXT/PLAIN;charset=iso-8859-2", " text/plain ;x"],
)
def test_a_body_of_text(content_type: str) -> None:
    """D-21."""
    put = Server().put("Žluťoučký kůň", END, content_type=content_type)
    assert put.told() == ["Input Žluťoučký kůň"]
    put.turn.finish()
    assert put.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("name", ["content-type", "CONTENT-TYPE", "Content-type"])
def test_names_of_headers_have_no_case(name: str) -> None:
    head = RequestHead(
        method="PUT",
        url="/client",
        headers=((name, "text/plain"), ("x-key", "K"), ("X-DEVICEID", "D"), ("COOKIE", f"{COOKIE}=a")),
    )
    put = Server().open(head).receive("hi", END)
    assert (put.told(), put.session_id) == (["Input hi"], "a")


COOKIE = "flowstorm-session-id"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (("X-Long", "x" * 4096), 200),
        (("X-Long", "x" * 4097), 431),
        (("x" * 4097, ""), 431),
        (("Cookie", f"other={'x' * 4097}"), 431),
    ],
)
def test_a_header_that_is_too_long(header: tuple[str, str], status: int) -> None:
    put = Server().put(headers=(header,))
    if status == 200:
        assert put.told() == []
        return
    assert put.told() == ["Fault"]
    assert isinstance(put.fault, LimitExceeded)
    put.receive(HELLO, END)
    assert put.told() == ["Closed 1000"]
    status_line, text, end = put.sent()
    assert (status_line, end) == ("431", "END")
    assert text.startswith("! protocol: ")


def test_headers_that_are_too_many() -> None:
    one = ("X-Header", "x" * 1000)
    assert Server().put(headers=(one,) * 15).told() == []
    put = Server().put(headers=(one,) * 17)
    assert (put.status, put.told()) == (431, ["Fault"])


def test_an_address_that_is_too_long() -> None:
    assert Server().put(query={"x": "x" * 4000}).told() == []
    assert Server().put(query={"x": "x" * 4096}).status == 431


def test_a_head_may_be_as_long_as_the_limit() -> None:
    head = put_head(cookie="a")
    size = len(head.url) + sum(len(f"{name}: {value}\r\n") for name, value in head.headers)
    assert Server(limits=Limits(header_bytes=size)).open(head).told() == []
    assert Server(limits=Limits(header_bytes=size - 1)).open(head).status == 431


def test_the_bounds_of_a_head_are_the_limits() -> None:
    limits = Limits(header_value_bytes=100, header_bytes=150)
    assert Server(limits=limits).put().told() == []
    assert Server(limits=limits).put(headers=(("X-Long", "x" * 101),)).status == 431
    assert Server(limits=limits).put(headers=(("X-Long", "x" * 99),)).status == 431


@pytest.mark.parametrize(
    "head",
    [
        put_head(headers=(("X-Key", "K\r\nX-Other: y"),)),
        put_head(headers=(("X-Other", "a\nb"),)),
        put_head(headers=(("X-Other", "a\0"),)),
        put_head(headers=(("X-Other\r\n", "a"),)),
        put_head(headers=(("X-Other", "a\x1b[2J"),)),
        put_head(headers=(("X-Other", "a\x7f"),)),
        put_head(cookie="a\r\nSet-Cookie: x=y"),
        RequestHead(method="PUT", url="/client?key=K&deviceId=D\r\n", headers=((CT, JSON),)),
    ],
    ids=str,
)
def test_a_line_break_in_the_head_is_refused(head: RequestHead) -> None:
    put = Server().open(head).receive(END)
    assert put.told() == ["Fault", "Closed 1000"]
    status, text, end = put.sent()
    assert (status, end) == ("400", "END")
    assert text.startswith("! protocol: ")
    assert all(each.isprintable() for pair in put.head.headers for each in pair)


@pytest.mark.parametrize("text", ["í", "à", "č", "žluťoučký", "a\tb"])
def test_headers_of_others_may_hold_what_http_allows(text: str) -> None:
    as_servers_decode_it = text.encode().decode("latin-1")
    put = Server().put(HELLO, headers=(("Cookie", f"other={as_servers_decode_it}"),))
    assert put.told() == ["Input hello"]


@pytest.mark.parametrize("name", ["X-Key", "X-DeviceId", "X-SttModel"])
def test_an_opaque_text_may_be_in_any_script(name: str) -> None:
    parameter = {"X-Key": "key", "X-DeviceId": "deviceId", "X-SttModel": "sttModel"}[name]
    for text in ("Jiří", "à la č", "電話"):
        owner = _owner_without(parameter)
        as_servers_decode_it = text.encode().decode("latin-1")
        put = Server().put(HELLO, headers=((name, as_servers_decode_it),), owner=owner)
        assert put.told() == ["Input hello"]
        assert Server().put(HELLO, query={parameter: text}).told() == ["Input hello"]


@pytest.mark.parametrize(
    "head",
    [
        put_head("text/\udcff"),
        put_head("\udcff"),
        put_head(method="P\udcff"),
        put_head(headers=(("X-TimeZone", "\udcff"),)),
        put_head(headers=(("X-SttModel", "\udcff"),)),
        put_head(headers=(("X-Key", "\udcff"),), owner={"deviceId": "D"}),
        put_head(headers=(("Accept-Language", "\udcff"),)),
        put_head(headers=(("\udcff", "x"),)),
        put_head(cookie="\udcff"),
        RequestHead(method="PUT", url="/client?deviceId=D&key=\udcff", headers=((CT, JSON),)),
        RequestHead(method="PUT", url="/client?deviceId=D&key=%ff%ed%a0%80", headers=((CT, JSON),)),
    ],
    ids=ascii,
)
def test_bytes_that_no_text_stands_for(head: RequestHead) -> None:
    """Some servers keep such bytes as lone surrogates."""
    put = Server().open(head).receive(HELLO, END)
    if put.output:
        assert (put.status, put.told()) in ((400, ["Fault", "Closed 1000"]), (405, ["Fault", "Closed 1000"]))
    else:
        assert put.told() == ["Input hello"]
        put.turn.finish()
        assert put.status == 200


def test_a_get_needs_a_cookie() -> None:
    get = Server().get(None)
    assert get.told() == ["Fault", "Closed 1000"]
    assert get.sent() == ["400", "Error", "END"]
    assert COOKIE in get.frames[0]["text"]
    assert Server().open(get_head("", "text/plain")).status == 400


@pytest.mark.parametrize("kind", ["PUT", "GET"])
def test_nothing_is_read_before_the_host_has_answered(kind: str) -> None:
    server = Server()
    head = put_head(cookie="a") if kind == "PUT" else get_head("a")
    request = server.open(head, accept=False).receive(HELLO, END)
    assert isinstance(request.history[-1], InitEvent)
    assert (request.told(), request.sent(), request.due_in()) == ([], [], None)
    assert request.machine.next_event() is Control.NEED_ANSWER
    assert request.state is State.OPEN
    server.advance(100)
    request.machine.ready()
    assert request.told() == (["Input hello"] if kind == "PUT" else [])
    assert request.due_in() == (None if kind == "PUT" else 30)


@pytest.mark.parametrize("kind", ["PUT", "GET"])
@pytest.mark.parametrize("pieces", [(), (HELLO,), (HELLO, END)])
@pytest.mark.parametrize("status", [None, 401, 403, 429, 503])
def test_the_host_refuses_the_client(kind: str, pieces: tuple[Any, ...], status: int | None) -> None:
    server = Server()
    head = put_head(cookie="a") if kind == "PUT" else get_head("a")
    request = server.open(head, accept=False).receive(*pieces)
    request.machine.fail("Who are you?", source="door", status=status)
    ended = ["END"] if END in pieces or kind == "GET" else []
    assert request.sent() == [str(status or 403), "Error", *ended]
    assert request.frames == [{"type": "Error", "text": "Who are you?", "source": "door"}]
    assert request.told() == (["Closed 1000"] if ended else [])
    assert request.machine.init is None
    request.receive(b"x")
    if not ended:
        request.receive(END)
        assert (request.told(), request.sent()) == (["Closed 1000"], ["END"])


def test_the_refusal_of_a_text_is_a_text() -> None:
    put = Server(accept=False).put("hi", END, content_type=TEXT)
    put.machine.send(ErrorEvent(text="Go away"))
    assert put.sent() == ["403", "! Go away", "END"]


def test_an_init_is_accepted_by_an_event_too() -> None:
    put = Server(accept=False).put("hi", END, content_type=TEXT)
    put.machine.send(ReadyEvent())
    assert put.told() == ["Input hi"]


# ------------------------------------------------------------ what comes in a body


def _json(*frames: Frame) -> bytes:
    return b"".join(json.dumps(frame).encode() for frame in frames)


def _packed(*frames: Frame) -> bytes:
    return b"".join(msgpack.packb(frame) for frame in frames)


PACKED_BLOCK: Frame = {"type": "Binary", "data": b"123"}
OPENED = "InputAudioStreamOpen"
ENDED = "InputAudioStreamClose"
CUT = "TurnInterrupted 1 error"
SMALL = Limits(message_bytes=200, string_bytes=40, body_bytes=300, nesting=6, items=8, audio_bytes=100)
DEEP: Frame = {"type": "Input", "input": {"transcript": {"text": "x"}, "attributes": {"a": [[[[]]]]}}}

V1_ONLY: list[Frame] = [
    *({"type": "Init", "key": "K", "deviceId": "D"}, {"type": "Vote", "vote": 1}),
    *({"type": "InputAudioStreamOpen"}, {"type": "InputAudioStreamClose"}),
    *({"type": "InputAudioStreamCancel"}, {"type": "SessionEnded"}, {"type": "Ready"}),
    {"type": "SessionStarted", "sessionId": "a"},
    {"type": "Recognized", "text": "x"},
    {
        "type": "Request",
        "request": {"appKey": "K", "deviceId": "D", "sessionId": "a", "input": HELLO["input"]},
    },
]
OF_THE_SERVER: list[Frame] = [
    {"type": "RecognizedInput", "input": HELLO["input"]},
    {"type": "ResponseItem", "responseItem": {"text": "x"}},
    {"type": "Response", "response": {}},
    {"type": "Error", "text": "x"},
]
BAD_JSON: list[bytes] = [
    *(b"{", b"}", b"hello", b'"text"', b"[", b"[{}", b"{}", b"[[]]", b"7", b"null", b'{"type":1}', b"\xff"),
    *(b'{"type":"Input"}', b'{"type":"Input","input":{"transcript":{"text":3}}}', b'{"type":"\xff"}'),
    *(_json(HELLO)[:-1], b'{"type":"Binary","data":"!"}', b"\xef\xbb\xbf" + _json(HELLO)),
    *(_json(frame) for frame in V1_ONLY + OF_THE_SERVER),
]
BAD_MSGPACK: list[bytes] = [
    *(b"\xc1", b"\x01", b"\x90", b"\x80", b"\x81", b"\xa1x", _packed(HELLO)[:-1]),
    *(_packed({"type": "Binary", "data": "text"}), _packed({1: 2}), b"\x82\xa4type\xa4Ping\x01\xd4\x00\x00"),
    *(_packed(frame) for frame in V1_ONLY + OF_THE_SERVER),
]

Case = tuple[str, bytes, Limits, list[str], str | None]
"""Content type, body, limits; what is told, and the status when there is one."""

BODIES: list[Case] = [
    *[
        (TEXT, text.encode(), DEFAULT_LIMITS, [f"Input {said_as}"], None)
        for text, said_as in [
            *(("hello", "hello"), ("hello\n", "hello"), ("hello\r\n", "hello"), ("hello\r", "hello")),
            *(("hello\n\n", "hello\n"), ("a\nb\n", "a\nb"), ("\n\n", "\n")),
            *(
                (text, text)
                for text in (" ", "#intro", "Žlutý 🐴", '{"type":"Log"}', "\0", "\ufeffx", "x" * 5000)
            ),
        ]
    ],
    *[(TEXT, body, DEFAULT_LIMITS, ["Fault"], "400") for body in (b"", b"\n", b"\r\n", b"\xff", b"\xc5")],
    (TEXT, b"x" * 40, SMALL, ["Input " + "x" * 40], None),
    (TEXT, b"x" * 41, SMALL, ["Fault"], "413"),
    (TEXT, b"x" * 301, SMALL, ["Fault"], "413"),
    (TEXT, b"\xff" * 41, SMALL, ["Fault"], "413"),
    *[
        (JSON, body, DEFAULT_LIMITS, told, None)
        for body, told in {
            _json(HELLO): ["Input hello"],
            b"\n " + json.dumps(HELLO, indent=2).encode() + b"\r\n\t": ["Input hello"],
            _json(LOG, LOG, HELLO): ["Log", "Log", "Input hello"],
            b"[" + _json(LOG) + b" ,\n" + _json(HELLO) + b"]": ["Log", "Input hello"],
            _json(NEW, HELLO, NEW): ["Novelty", "Input hello", "Novelty"],
            _json(BLOCK, BLOCK): [OPENED, "audio 3", "audio 3", ENDED],
            _json(BLOCK, INPUT_CLOSE, HELLO): [OPENED, "audio 3", "InputStreamClose", "Input hello"],
            _json(BLOCK, HELLO): [OPENED, "audio 3", "Input hello"],
            _json(HELLO, BLOCK, INPUT_CLOSE): ["Input hello", "InputStreamClose"],
            _json(INPUT_CLOSE, BLOCK, HELLO): ["InputStreamClose", "Input hello"],
            _json(HELLO, LOG): ["Input hello", "Log"],
            b'{"type":"InputStream"}' + _json(HELLO): ["InputStreamClose", "Input hello"],
            b'{"type":"InputEvent","input":{"transcript":{"text":"x"}}}': ["Input x"],
        }.items()
    ],
    *[
        (JSON, body, DEFAULT_LIMITS, [*told, "Closed 1000"], "204")
        for body, told in {
            b"": [],
            b" \n": [],
            b"[]": [],
            _json(LOG): ["Log"],
            _json(NEW, LOG): ["Novelty", "Log"],
            _json(INPUT_CLOSE): ["InputStreamClose"],
            _json(BLOCK, INPUT_CLOSE): [OPENED, "audio 3", "InputStreamClose"],
            b'{"type":"Binary","data":""}': [],
        }.items()
    ],
    *[(JSON, body, DEFAULT_LIMITS, ["Fault"], "400") for body in BAD_JSON],
    *[(JSON, _json(HELLO) + bad, DEFAULT_LIMITS, ["Input hello", CUT, "Fault"], "400") for bad in BAD_JSON],
    *[
        (JSON, _json(BLOCK) + bad, DEFAULT_LIMITS, [OPENED, "audio 3", "Fault"], "400")
        for bad in BAD_JSON[:3]
    ],
    (JSON, _json(LOG) + b",", DEFAULT_LIMITS, ["Log", "Fault"], "400"),
    (JSON, _json(HELLO, HELLO), DEFAULT_LIMITS, ["Input hello", CUT, "Fault"], "400"),
    *[
        (JSON, body, SMALL, ["Fault"], "413")
        for body in (_json(said("x" * 41)), _json(DEEP), b" " * 301, _json(HELLO)[:-1] + b" " * 200 + b"}")
    ],
    (JSON, _json(HELLO) + b" " * 301, SMALL, ["Input hello", CUT, "Fault"], "413"),
    (JSON, b"x" * 301, SMALL, ["Fault"], "400"),
    (JSON, _json(LOG) + b" " * 301, SMALL, ["Log", "Fault"], "413"),
    *[
        (MSGPACK, body, DEFAULT_LIMITS, told, None)
        for body, told in {
            _packed(HELLO): ["Input hello"],
            _packed(LOG, HELLO): ["Log", "Input hello"],
            _packed(PACKED_BLOCK, INPUT_CLOSE, HELLO): [
                *(OPENED, "audio 3", "InputStreamClose", "Input hello"),
            ],
            _packed(NEW, PACKED_BLOCK): ["Novelty", OPENED, "audio 3", ENDED],
        }.items()
    ],
    *[
        (MSGPACK, body, DEFAULT_LIMITS, [*told, "Closed 1000"], "204")
        for body, told in {b"": [], _packed(LOG): ["Log"]}.items()
    ],
    *[(MSGPACK, body, DEFAULT_LIMITS, ["Fault"], "400") for body in BAD_MSGPACK],
    *[
        (MSGPACK, _packed(HELLO) + bad, DEFAULT_LIMITS, ["Input hello", CUT, "Fault"], "400")
        for bad in BAD_MSGPACK
    ],
    *[
        (MSGPACK, body, SMALL, ["Fault"], "413")
        for body in (_packed(said("x" * 41)), _packed(DEEP), _packed({"type": "Binary", "data": b"x" * 101}))
    ],
    (MSGPACK, _packed(LOG) * 20, SMALL, ["Log"] * (300 // len(_packed(LOG))) + ["Fault"], "413"),
]


def _outcome(put: Request) -> tuple[list[str], bytes, list[str], State]:
    """What came of a body; how its audio was cut does not count."""
    audio = b"".join(each.data for each in put.history if isinstance(each, BinaryEvent))
    told = [each for each in put.told() if not each.startswith("audio")]
    return told, audio, [*put.sent(), put.body.decode("latin-1") if put.output else ""], put.state


@pytest.mark.parametrize("case", BODIES, ids=lambda case: f"{case[0][5:9]} {case[1][:60]!r}")
def test_a_body_comes_to_the_same_however_it_is_cut(case: Case) -> None:
    content_type, body, limits, told, status = case
    server = Server(limits=limits)
    put = server.put(body, END, content_type=content_type)
    if status in ("400", "413"):
        told = [*told, "Closed 1000"]
    assert put.told() == told
    assert put.sent()[:1] == ([status] if status else [])
    if put.output:
        assert put.sent() == []
        assert put.closed
        assert bool(put.body) is (status != "204")
    whole = Server(limits=limits).put(body, END, content_type=content_type)
    expected = _outcome(whole)
    singly = [bytes([byte]) for byte in body]
    assert _outcome(Server(limits=limits).put(*singly, END, content_type=content_type)) == expected
    at_once = Server(limits=limits).put(content_type=content_type)
    at_once.feed(*singly, END)
    at_once.step()
    assert _outcome(at_once) == expected
    before_ready = Server(limits=limits).put(accept=False, content_type=content_type)
    before_ready.feed(body[:7], b"", body[7:], END)
    before_ready.machine.ready()
    before_ready.step()
    assert _outcome(before_ready) == expected


@pytest.mark.parametrize("content_type", AUDIO_TYPES)
@pytest.mark.parametrize("query", [{}, LIVE], ids=["recording", "live"])
def test_a_body_of_audio(content_type: str, query: dict[str, str]) -> None:
    put = Server().put(b"123", b"", b"45", content_type=f"{content_type};x=y", query=query)
    assert put.told() == [OPENED, "audio 3", "audio 2"]
    put.receive(b"6", END)
    assert put.told() == ["audio 1", ENDED]
    assert (put.audio, put.stream.over, put.sent()) == (Audio.OPEN, False, [])


@pytest.mark.parametrize("query", [{}, LIVE], ids=["recording", "live"])
def test_no_audio_at_all(query: dict[str, str]) -> None:
    for pieces in ((), (b"",), (b"", b"")):
        put = Server().put(*pieces, END, content_type=WAV, query=query)
        assert (put.told(), put.sent()) == (["Closed 1000"], ["204", "END"])


def test_audio_may_be_as_long_as_a_body() -> None:
    limits = Limits(body_bytes=1000, audio_bytes=100, message_bytes=100, queued_bytes=100)
    put = Server(limits=limits).put(b"x" * 1000, content_type=WAV)
    assert put.told() == [OPENED, "audio 1000"]
    put.receive(b"y")
    assert put.told() == ["Fault"]
    assert put.sent() == ["413", "Error"]
    assert put.stream.over


def test_too_much_in_one_piece_is_audio_up_to_the_limit() -> None:
    for pieces in ([b"x" * 30], [b"x"] * 30, [b"x" * 10, b"x" * 20], [b"x" * 9, b"x" * 21]):
        put = Server(limits=Limits(body_bytes=10)).put(*pieces, END, content_type=WAV)
        told = put.told()
        assert (told[0], told[-2:]) == (OPENED, ["Fault", "Closed 1000"])
        assert sum(len(each.data) for each in put.history if isinstance(each, BinaryEvent)) == 10
        assert put.status == 413


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.sampled_from([HELLO, LOG, NEW, BLOCK, INPUT_CLOSE, {"type": "Vote", "vote": 1}]), max_size=5),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_any_events_cut_anywhere(frames: list[Frame], packed: bool, cuts: list[int]) -> None:
    if packed:
        body = _packed(*(PACKED_BLOCK if frame is BLOCK else frame for frame in frames))
    else:
        body = _json(*frames)
    content_type = MSGPACK if packed else JSON
    expected = _outcome(exchanges.Server().put(body, END, content_type=content_type))
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(places)]
    assert _outcome(exchanges.Server().put(*pieces, END, content_type=content_type)) == expected


def test_a_request_brings_nothing_but_a_head_and_a_body() -> None:
    server = Server()
    put = server.open(None)
    for message in (b"x", END, "text", ResponseHead(status=200)):
        refused(put, lambda message=message: put.machine.receive_data(message))
    put.receive(put_head())
    for message in (put_head(), "text", ResponseHead(status=200)):
        refused(put, lambda message=message: put.machine.receive_data(message))


def test_nothing_comes_after_the_end_of_a_body() -> None:
    put = Server().put(BLOCK, END)
    assert put.told() == [OPENED, "audio 3", ENDED]
    for piece in (b"", b"x", END):
        refused(put, lambda piece=piece: put.machine.receive_data(piece))
    put = Server().put()
    put.feed(BLOCK, END)
    with pytest.raises(LocalProtocolError, match="legal: Close"):
        put.feed(HELLO)


def test_a_get_may_have_a_body_that_nobody_looks_at() -> None:
    get = Server().open(get_head("a")).receive(b"garbage", HELLO, END)
    assert (get.told(), get.sent(), get.state) == ([], [], State.SLEEPING)


def test_the_whole_request_may_come_at_once() -> None:
    server = Server()
    put = server.open(None)
    put.feed(put_head(), HELLO, END)
    put.step()
    assert put.told() == ["Input hello"]


# ------------------------------------------------------------ what goes out in a body

VOICE = TtsConfig(provider="P", locale="cs-CZ", gender=Gender.FEMALE, name="Ann")

ITEMS: list[tuple[ResponseItem, list[str]]] = [
    (ResponseItem(text="Hello"), ["< Hello"]),
    (ResponseItem(text="Hello", tts_config=VOICE), ["< [Ann] Hello"]),
    (ResponseItem(text="Hello", tts_config=VOICE.replace(name="")), ["< Hello"]),
    (ResponseItem(text="Hello", tts_config=VOICE.replace(name="Ann\n. of\r\nB")), ["< [Ann . of B] Hello"]),
    (ResponseItem(text="a\nb\r\nc\rd"), ["< a", "< b", "< c", "< d"]),
    (ResponseItem(text="a\nb", tts_config=VOICE), ["< [Ann] a", "< b"]),
    (ResponseItem(text="a\u2028b\x85c"), ["< a", "< b", "< c"]),
    (ResponseItem(text="a\n\nb"), ["< a", "< ", "< b"]),
    (ResponseItem(text="\n."), ["< ", "< ."]),
    (ResponseItem(text="! x"), ["< ! x"]),
    (ResponseItem(text=""), []),
    (ResponseItem(), []),
    (ResponseItem(text="x", audio="/a.mp3"), ["# (audio=/a.mp3)", "< x"]),
    (ResponseItem(audio="/a.mp3"), ["# (audio=/a.mp3)"]),
    (
        ResponseItem(text="x", background="B", code="C", image="I", video="V", audio="A"),
        ["# (audio=A, video=V, image=I, code=C, background=B)", "< x"],
    ),
    (ResponseItem(audio="", video="V"), ["# (video=V)"]),
    (ResponseItem(audio="a%b,c(d)e\rf\ng=h"), ["# (audio=a%25b%2Cc%28d%29e%0Df%0Ag=h)"]),
    (
        ResponseItem(text="#card", code='{"title":"T, (x)"}'),
        ['# (code={"title":"T%2C %28x%29"})', "< #card"],
    ),
    (ResponseItem(text="#volume", code="up"), ["# (code=up)", "< #volume"]),
    (ResponseItem(ssml="<speak/>"), []),
]


@pytest.mark.parametrize(("item", "lines"), ITEMS, ids=lambda each: str(each)[:50])
def test_an_item_as_lines(item: ResponseItem, lines: list[str]) -> None:
    for single in (True, False):
        query = {"sendResponseItems": "true" if single else "false"}
        put = Server().put("x", END, content_type=TEXT, query=query)
        put.turn.say(item)
        assert put.sent() == (["200", *lines] if single and lines else [])
        put.turn.finish(items=(item,))
        assert put.sent() == ([*lines, "END"] if single and lines else ["200", *lines, *lines, "END"])
        assert b"" not in put.output


def test_the_end_of_a_session_as_a_line() -> None:
    for members, line in (
        ({"session_ended": True}, ["."]),
        ({"session_ended": True, "sleep_timeout": 60}, []),  # D-51
        ({"sleep_timeout": 60}, []),
        ({}, []),
    ):
        put = Server().put("x", END, content_type=TEXT)
        put.turn.say("bye")
        put.turn.finish(**members)  # type: ignore[arg-type]
        assert put.sent() == ["200", "< bye", *line, "END"]


@pytest.mark.parametrize(
    ("text", "source", "lines"),
    [
        ("no", None, ["! no"]),
        ("no", "door", ["! door: no"]),
        ("no\n.\r\n< x", "door", ["! door: no", "! .", "! < x"]),
        ("no", "a\nb", ["! a", "! b: no"]),
        ("", None, ["! "]),
    ],
)
def test_an_error_as_lines(text: str, source: str | None, lines: list[str]) -> None:
    put = Server().put("x", END, content_type=TEXT)
    put.machine.fail(text, source=source)
    assert put.sent() == ["200", *lines, "END"]
    put = Server().put("x", END, content_type=TEXT)
    put.turn.say("begun")
    put.sent()
    put.machine.fail(text, source=source)
    assert put.sent() == [*lines, "END"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/plain", "text/plain; charset=utf-8"),
        ("plain/text", "text/plain; charset=utf-8"),
        ("application/msgpack", MSGPACK),
        ("Text/Plain;q=0.5", "text/plain; charset=utf-8"),
        ("text/plain, application/json;q=0.1", JSON),
        ("image/png, application/msgpack, text/plain", MSGPACK),
        ("text/html,*/*", JSON),
    ],
)
def test_the_form_that_is_accepted(accept: str | None, content_type: str) -> None:
    headers = () if accept is None else (("Accept", accept),)
    server = Server()
    put = server.put(b"123", content_type=WAV, cookie="a", headers=headers)
    get = server.get("a", accept=accept)
    put.stream.recognized("ye", final=False)
    put.stream.recognized("yes\nno", final=True)
    assert (get.headers["content-type"], put.headers["content-type"]) == (content_type, content_type)
    put.turn.say("x")
    put.turn.finish()
    if content_type.startswith(TEXT):
        assert get.sent() == ["200", "~ ye", "END"]
        assert put.sent() == ["200", "~ yes", "~ no", "< x"]
    else:
        assert get.sent() == ["200", "RecognizedInput interim ye", "END"]
        assert put.sent() == ["200", "RecognizedInput final yes\nno", "ResponseItem 'x'", "Response"]


@pytest.mark.parametrize("content_type", [TEXT, JSON, MSGPACK])
def test_what_a_body_of_events_accepts_is_its_own_form(content_type: str) -> None:
    for accept in (TEXT, JSON, MSGPACK):
        body = b"x" if content_type == TEXT else HELLO
        put = Server().put(body, END, content_type=content_type, headers=(("Accept", accept),))
        put.turn.finish()
        assert put.headers["content-type"].startswith(content_type)


def test_accepts_in_two_headers_count_both() -> None:
    headers = (("Accept", TEXT), ("accept", JSON))
    put = Server().put(b"1", content_type=WAV, headers=headers)
    put.stream.recognized("x", final=True)
    assert put.headers["content-type"] == JSON


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
@pytest.mark.parametrize("seconds", [0, 60])
def test_a_response_says_its_timeout_under_both_names(content_type: str, seconds: int) -> None:
    """D-18, D-07."""
    put = Server().put(HELLO, END, content_type=content_type)
    put.turn.finish(sleep_timeout=seconds, attributes={"x": [1, None, "ě"]}, locale="cs-CZ")
    (frame,) = put.frames
    response = frame["response"]
    assert (response["sleepTimeout"], response["sessionTimeout"]) == (seconds, seconds)
    assert (response["items"], response["logs"], response["sessionEnded"]) == ([], [], False)
    assert (response["attributes"], response["locale"]) == ({"x": [1, None, "ě"]}, "cs_CZ")


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_a_response_always_says_its_language(content_type: str) -> None:
    server = Server()
    put = server.put(HELLO, END, content_type=content_type, cookie="a")
    put.turn.finish()
    assert put.frames[-1]["response"]["locale"] == "en_US"
    server.converse("a", locale="cs-CZ")
    put = server.put(HELLO, END, content_type=content_type, cookie="a")
    put.turn.interrupt()
    assert put.frames[-1]["response"]["locale"] == "cs_CZ"


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_items_go_out_singly_or_in_the_response(content_type: str) -> None:
    """D-60."""
    for query, lines in (
        ({}, ["ResponseItem 'a'", "ResponseItem 'b'", "Response"]),
        ({"sendResponseItems": "0"}, ["Response 'a' 'b'"]),
    ):
        put = Server().put(HELLO, END, content_type=content_type, query=query)
        put.turn.say("a")
        put.turn.finish(items=(ResponseItem(text="b"),))
        assert put.sent() == ["200", *lines, "END"]


def test_bytes_stand_in_msgpack_as_they_are() -> None:
    put = Server().put(HELLO, END, content_type=MSGPACK)
    put.turn.finish(attributes={"a": 2**64 - 1})
    assert put.frames[-1]["response"]["attributes"] == {"a": 2**64 - 1}


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_what_cannot_be_encoded_changes_nothing(content_type: str) -> None:
    put = Server().put(HELLO, END, content_type=content_type)
    endless: list[Any] = []
    endless.append(endless)
    for thing in (object(), 2**70, endless):
        response = Response(attributes={"a": []})
        response.attributes["a"].append(thing)
        refused_cleanly(put, lambda response=response: put.turn.finish(response))
    put.turn.finish()
    assert put.sent() == ["200", "Response", "END"]


def refused_cleanly(request: Request, call: Callable[[], object]) -> None:
    """As `refused`, for what can be no event at all."""
    request.forget()
    before = request.everything()
    with pytest.raises((LocalProtocolError, TypeError, ValueError)):
        call()
    assert request.everything() == before
    assert (request.told(), request.sent()) == ([], [])


@pytest.mark.parametrize("form", [Form.JSON, Form.MSGPACK])
def test_a_writer_refuses_with_one_kind_of_error(form: Form) -> None:
    for thing in (object(), 2**70):
        response = Response(attributes={"a": []})
        response.attributes["a"].append(thing)
        with pytest.raises(LocalProtocolError, match="ResponseEvent cannot be sent"):
            Writer(form).encode(ResponseEvent(response=response))


def test_events_without_a_line_are_none() -> None:
    write = Writer(Form.TEXT).encode
    assert write(LogEvent()) == b""
    assert write(ResponseEvent(response=Response())) == b""
    assert write(ResponseEvent(response=Response(session_ended=True))) == b".\n"
    assert write(ResponseEvent(response=Response(session_ended=True, sleep_timeout=60))) == b""


def test_what_a_turn_says_cannot_pass_for_something_else() -> None:
    text = "a\n.\n! error\n# (code=x)\r~ y\x0b.\x0c.\x1c.\x1d.\x1e.\u2028.\u2029.\x85."
    put = Server().put("x", END, content_type=TEXT)
    put.turn.say(text)
    assert all(each.startswith("< ") for each in put.sent()[1:])


def test_audio_is_no_part_of_a_response() -> None:
    put = Server().put(HELLO, END)
    for block in (b"123", b""):
        refused(put, lambda block=block: put.turn.say(block))
    put.turn.finish()
    assert put.sent() == ["200", "Response", "END"]


def test_a_turn_that_fails_ends_the_session_with_a_word() -> None:
    put = Server().put("x", END, content_type=TEXT)
    put.turn.fail("Something went wrong.")
    assert put.sent() == ["200", "< Something went wrong.", ".", "END"]


def test_interim_results_are_for_the_get_alone() -> None:
    put = Server().put(BLOCK)
    put.stream.recognized("x", final=False)
    assert put.sent() == []


def test_a_whole_input_may_be_recognised() -> None:
    put = Server().put(BLOCK)
    heard = Input(locale="cs-CZ", transcript=Transcript(text="ano", confidence=0.5))
    put.stream.send(InputAudioStreamOpenEvent())
    put.stream.send(RecognizedInputEvent(input=heard, is_final=True))
    assert put.told()[-1] == "Input ano"
    assert put.turn.input is heard
    (frame,) = put.frames
    assert frame["isFinal"] is True
    assert frame["input"]["transcript"] == {"text": "ano", "confidence": 0.5}
    assert frame["input"]["locale"] == "cs_CZ"


# ------------------------------------------------------------ a PUT and the GET beside it

INTERIM, FINAL = "RecognizedInput interim", "RecognizedInput final"


def test_the_get_may_come_first() -> None:
    server = Server()
    get = server.get("a")
    assert (get.state, get.due_in(), server.sessions.waiting) == (State.SLEEPING, 30, 1)
    put = server.put(cookie="a")
    assert get.state is State.SLEEPING
    put.receive(LOG)
    assert get.state is State.SLEEPING
    put.receive(BLOCK)
    assert (get.state, get.due_in(), server.sessions.waiting) == (State.LISTENING, None, 0)
    put.stream.recognized("x", final=False)
    put.stream.recognized("x y", final=False)
    assert get.sent() == ["200", f"{INTERIM} x", f"{INTERIM} x y"]
    put.stream.recognized("x y z", final=True)
    assert (get.sent(), get.told()) == (["END"], ["Closed 1000"])
    assert put.sent() == ["200", f"{FINAL} x y z"]


def test_the_get_may_come_between_the_head_and_the_audio() -> None:
    server = Server()
    put = server.put(cookie="a")
    get = server.get("a")
    assert get.state is State.SLEEPING
    put.receive(BLOCK)
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]


def test_the_get_joins_from_now_on() -> None:
    server = Server()
    put = server.put(BLOCK, cookie="a")
    put.stream.recognized("lost", final=False)
    get = server.get("a")
    assert (get.state, get.sent()) == (State.LISTENING, [])
    put.stream.recognized("seen", final=False)
    assert get.sent() == ["200", f"{INTERIM} seen"]


def test_the_get_goes_on_when_the_body_of_the_put_has_ended() -> None:
    server = Server()
    put = server.put(BLOCK, END, cookie="a")
    get = server.get("a")
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]
    server.advance(5)
    assert (get.sent(), put.told()[-1]) == (["END"], "Input #silence")


def test_a_get_without_interim_results_ends_empty_with_200() -> None:
    server = Server()
    get, put = server.get("a"), server.put(BLOCK, cookie="a")
    put.stream.recognized("x", final=True)
    assert (get.sent(), get.body) == (["200", "END"], b"")


def _utterance_ends(put: Request) -> None:
    put.stream.end_of_utterance()
    put.server.advance(1.5)


FINALS: dict[str, Callable[[Request], object]] = {
    "final": lambda put: put.stream.recognized("x", final=True),
    "silence": lambda put: put.server.advance(5),
    "end of utterance": lambda put: _utterance_ends(put),
    "stream closed": lambda put: put.receive(INPUT_CLOSE),
    "text": lambda put: put.receive(HELLO),
    "error": lambda put: put.machine.fail("no"),
    "garbage": lambda put: put.receive(b"garbage"),
    "lost": lambda put: put.lost(),
    "closed": lambda put: put.machine.close(),
}
"""What ends recognition."""


@pytest.mark.parametrize("how", list(FINALS))
@pytest.mark.parametrize("interim", [False, True])
def test_the_get_ends_when_recognition_is_over(how: str, interim: bool) -> None:
    server = Server()
    get = server.get("a")
    put = server.put(BLOCK, cookie="a")
    if interim:
        put.stream.recognized("x", final=False)
    FINALS[how](put)
    assert get.sent() == ["200", *([f"{INTERIM} x"] if interim else []), "END"]
    assert put.stream.over
    assert put.machine._meeting is None or put.machine._meeting.get is None


@pytest.mark.parametrize("how", ["final", "silence", "stream closed", "text"])
def test_a_get_after_recognition_and_before_the_end_of_the_put(how: str) -> None:
    """It may belong to the utterance with which the user interrupts the answer."""
    server = Server()
    put = server.put(BLOCK, cookie="a")
    FINALS[how](put)
    get = server.get("a")
    if how != "stream closed":  # D-69
        assert (get.sent(), get.state) == ([], State.SLEEPING)
        server.advance(0.99)
        assert get.sent() == []
        server.advance(0.01)
    assert (get.sent(), get.told()) == (["200", "END"], ["Closed 1000"])
    put.lost()
    assert server.get("a").sent() == []


@pytest.mark.parametrize("noticed", [False, True])
def test_a_get_that_comes_before_the_put_that_interrupts(noticed: bool) -> None:
    server = Server()
    first = server.put(BLOCK, cookie="a")
    first.stream.recognized("x", final=True)
    get = server.get("a")
    server.advance(0.5)
    if noticed:
        first.lost()
        assert get.sent() == []
    second = server.put(BLOCK, cookie="a")
    second.stream.recognized("y", final=False)
    assert get.sent() == ["200", f"{INTERIM} y"]
    server.advance(1)
    assert get.sent() == []
    second.stream.recognized("y", final=True)
    assert get.sent() == ["END"]


def test_a_get_that_comes_before_a_text_that_interrupts() -> None:
    server = Server()
    server.say(cookie="a")
    get = server.get("a")
    assert get.sent() == []
    server.say(cookie="a")
    assert get.sent() == ["200", "END"]


@pytest.mark.parametrize("how", ["error", "garbage", "lost", "closed"])
def test_a_get_after_the_put_waits_for_the_next(how: str) -> None:
    server = Server()
    put = server.put(BLOCK, cookie="a")
    FINALS[how](put)
    get = server.get("a")
    assert (get.state, get.sent()) == (State.SLEEPING, [])
    server.put(BLOCK, cookie="a").stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]


def test_a_put_with_text_ends_the_get() -> None:
    server = Server()
    get = server.get("a")
    put = server.put(cookie="a", content_type=TEXT)
    put.receive("hel", "lo")
    assert get.sent() == []
    put.receive(END)
    assert get.sent() == ["200", "END"]


def test_a_put_with_logs_leaves_the_get_alone() -> None:
    server = Server()
    get = server.get("a")
    server.put(LOG, END, cookie="a")
    assert (get.sent(), get.state) == ([], State.SLEEPING)
    server.put(b"garbage", END, cookie="a")
    assert (get.sent(), get.state) == ([], State.SLEEPING)


def test_a_stream_that_is_closed_before_it_begins_ends_the_get() -> None:
    server = Server()
    get = server.get("a")
    put = server.put(INPUT_CLOSE, cookie="a")
    assert get.sent() == ["200", "END"]
    put.receive(END)
    assert put.sent() == ["204", "END"]


def test_no_put_comes() -> None:
    server = Server()
    get = server.get("a")
    server.advance(29.9)
    assert get.sent() == []
    server.advance(0.1)
    assert (get.sent(), get.told()) == (["204", "END"], ["Closed 1000"])
    assert get.headers == {"cache-control": "no-store"}


def test_what_sessions_are_by_default() -> None:
    sessions = Sessions()
    assert (sessions.stored, sessions.keep_for) == (False, 3600)
    assert (sessions.most, sessions.most_waiting) == (10_000, 1_000)
    assert (len(sessions), sessions.waiting) == (0, 0)


def test_how_long_a_get_waits_is_the_hosts() -> None:
    server = Server(timeouts=Timeouts(get=2))
    get = server.get("a")
    server.advance(2)
    assert get.sent() == ["204", "END"]
    server = Server(timeouts=Timeouts(get=None))
    get = server.get("a")
    server.advance(10_000)
    assert (get.sent(), get.due_in()) == ([], None)


def test_a_get_whose_own_body_does_not_end_is_answered_all_the_same() -> None:
    server = Server()
    get = server.open(get_head("a"))
    server.advance(35)
    assert (get.sent(), get.told()) == (["204", "END"], ["Closed 1000"])
    get = server.open(get_head("a"))
    put = server.put(BLOCK, cookie="a")
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]
    put.stream.recognized("x", final=True)
    server.advance(5)
    assert (get.sent(), get.told()) == (["END"], ["Closed 1000"])


def test_a_second_get_ends_the_first() -> None:
    server = Server()
    first = server.get("a")
    second = server.get("a")
    assert (first.sent(), server.sessions.waiting) == (["204", "END"], 1)
    put = server.put(BLOCK, cookie="a")
    third = server.get("a")
    assert (second.sent(), third.sent()) == (["200", "END"], [])
    put.stream.recognized("x", final=False)
    assert third.sent() == ["200", f"{INTERIM} x"]
    fourth = server.get("a")
    assert (third.sent(), fourth.state) == (["END"], State.LISTENING)


@pytest.mark.parametrize("reads", [False, True])
def test_a_get_that_breaks_off_changes_nothing(reads: bool) -> None:
    server = Server()
    get = server.get("a")
    put = server.put(cookie="a")
    if reads:
        put.receive(BLOCK)
        put.stream.recognized("x", final=False)
    get.lost()
    assert get.told() == ["Closed 1006"]
    put.receive(BLOCK)
    put.stream.recognized("y", final=False)
    assert put.state is State.LISTENING
    again = server.get("a")
    put.stream.recognized("z", final=False)
    assert again.sent() == ["200", f"{INTERIM} z"]


@pytest.mark.parametrize("cookie", ["new", "a.b", "x" * 100, "ended", "foreign", "žluť"])
def test_a_pair_is_matched_by_the_cookie_that_both_sent(cookie: str) -> None:
    """D-76."""
    for get_first in (True, False):
        server = Server()
        server.converse("ended", session_ended=True)
        server.converse("foreign", owner=OTHER)
        get = server.get(cookie) if get_first else None
        put = server.put(BLOCK, cookie=cookie)
        get = get or server.get(cookie)
        assert put.session_id == ("new" if cookie == "new" else "s1")
        put.stream.recognized("x", final=False)
        assert get.sent() == ["200", f"{INTERIM} x"]
        by_its_new_name = server.get(put.session_id)
        assert get.sent() == ["END"]
        put.stream.recognized("y", final=False)
        assert by_its_new_name.sent() == ["200", f"{INTERIM} y"]


@pytest.mark.parametrize("cookie", ["foreign", "ended"])
def test_a_get_with_a_foreign_or_ended_cookie_joins_nothing(cookie: str) -> None:
    """D-76."""
    server = Server()
    server.converse("ended", session_ended=True)
    put = server.put(BLOCK, cookie="foreign", owner=OTHER)
    get = server.get(cookie)
    put.stream.recognized("secret", final=False)
    put.stream.recognized("secret", final=True)
    assert get.sent() == []
    server.advance(30)
    assert get.sent() == ["204", "END"]


def test_a_get_finds_a_put_that_sent_no_cookie() -> None:
    server = Server()
    put = server.put(BLOCK)
    get = server.get(put.session_id)
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]


def test_gets_that_wait_are_bounded() -> None:
    server = Server(sessions={"most_waiting": 2})
    first, second, third = server.get("a"), server.get("b"), server.get("c")
    assert (first.sent(), second.sent()) == ([], [])
    assert third.sent() == ["503", "Error", "END"]
    assert third.told() == ["Closed 1000"]
    assert server.get("b").sent() == []  # it takes the place of the other
    assert second.sent() == ["204", "END"]
    first.lost()
    assert server.get("d").sent() == []
    put = server.put(BLOCK, cookie="e")
    assert server.get("e").state is State.LISTENING  # it does not wait
    put.lost()


def test_a_get_that_is_refused_asynchronously_is_answered_all_the_same() -> None:
    server = Server(sessions={"most_waiting": 1})
    server.get("a")
    late = server.open(get_head("b"), accept=False)
    late.receive(END)
    late.machine.ready()
    assert late.sent() == ["503", "Error", "END"]


def test_interim_results_that_nobody_takes_are_dropped() -> None:
    server = Server(limits=Limits(queued_bytes=300, message_bytes=200))
    put = server.put(BLOCK, cookie="a")
    get = server.get("a")
    get.wake = lambda: None  # type: ignore[method-assign]
    get.machine.wake = None
    for number in range(100):
        put.stream.recognized(f"x{number}", final=False)
    assert 1 <= len(get.machine._outbox) <= 4
    put.stream.recognized("all", final=True)
    get.step()
    assert get.sent()[-1] == "END"
    assert put.status == 200


def test_the_host_is_woken_for_the_get() -> None:
    server = Server()
    put = server.put(BLOCK, cookie="a")
    get = server.get("a")
    stream, wakes = put.stream, get.wakes
    stream.recognized("x", final=False)
    stream.recognized("y", final=False)
    assert get.wakes == wakes + 1
    get.step()
    stream.recognized("z", final=True)
    assert get.wakes == wakes + 2


def test_the_host_closes_a_get() -> None:
    server = Server()
    waits = server.get("a")
    waits.machine.close()
    assert waits.sent() == ["204", "END"]
    put = server.put(BLOCK, cookie="a")
    empty = server.get("a")
    empty.machine.close()
    assert empty.sent() == ["503", "Error", "END"]  # and not that recognition is over
    reads = server.get("a")
    put.stream.recognized("x", final=False)
    assert reads.sent() == ["200", f"{INTERIM} x"]
    reads.machine.close()
    assert reads.sent() == ["Close 1000"]
    unseen = server.get("a")
    put.stream.recognized("x", final=False)
    unseen.machine.close()
    assert unseen.sent() == ["503", "Error", "END"]
    assert put.state is State.LISTENING


def test_an_error_at_a_get() -> None:
    server = Server()
    get = server.get("a")
    get.machine.fail("no", source="door")
    assert get.sent() == ["200", "Error", "END"]
    put = server.put(BLOCK, cookie="a")
    get = server.get("a")
    put.stream.recognized("x", final=False)
    get.machine.fail("no")
    assert get.sent() == ["200", f"{INTERIM} x", "Error", "END"]
    assert put.state is State.LISTENING


# ------------------------------------------------------------ time


def test_silence_is_an_input() -> None:
    server = Server()
    put = server.put(BLOCK, cookie="a", headers=(("Accept-Language", "cs-CZ"), ("X-TimeZone", "UTC")))
    server.advance(4.9)
    put.receive(BLOCK, LOG)  # neither speech nor a sign of it
    assert put.told()[-1] == "Log"
    server.advance(0.1)
    assert put.told() == ["Input #silence"]
    assert put.sent() == ["200", f"{FINAL} #silence"]
    assert put.turn.input is not None
    assert (put.turn.input.locale, put.turn.input.zone_id) == ("cs-CZ", "UTC")
    assert put.stream.over
    put.turn.finish()
    put.receive(END)
    assert put.sent() == ["Response", "END"]


@pytest.mark.parametrize("kind", ["events", "live"])
def test_silence_is_counted_from_the_last_interim_result(kind: str) -> None:
    server = Server()
    if kind == "events":
        put = server.put(LOG)
    else:
        put = server.put(content_type=WAV, query=LIVE)
    server.advance(20)
    put.receive(BLOCK if kind == "events" else b"x")
    server.advance(3)
    put.stream.recognized("x", final=False)
    server.advance(3)
    put.receive(END)
    server.advance(1.9)
    assert "Input #silence" not in put.told()
    put.stream.recognized("x", final=False)
    server.advance(4.9)
    assert put.told() == []
    server.advance(0.1)
    assert put.told() == ["Input #silence"]


def test_a_recording_is_not_silent_before_its_end() -> None:
    server = Server()
    put = server.put(b"x", content_type=WAV)
    server.advance(29)
    put.receive(b"y")
    server.advance(29)
    assert put.told()[-1] == "audio 1"
    put.receive(END)
    assert put.told() == [ENDED]
    server.advance(20)
    put.stream.recognized("x", final=False)
    server.advance(9.9)
    assert put.told() == []
    server.advance(0.1)
    assert put.told() == ["Input #silence"]


def test_a_recording_is_recognised_after_its_end() -> None:
    server = Server()
    put = server.put(b"x", END, content_type=WAV)
    server.advance(29)
    put.stream.recognized("yes", final=True)
    server.advance(100)
    assert put.told() == [OPENED, "audio 1", ENDED, "Input yes"]
    put.turn.finish()
    assert put.sent() == ["200", f"{FINAL} yes", "Response", "END"]


@pytest.mark.parametrize("query", [{}, LIVE], ids=["recording", "live"])
def test_the_end_of_an_utterance(query: dict[str, str]) -> None:
    server = Server()
    put = server.put(b"x", content_type=WAV, query=query)
    put.stream.end_of_utterance()
    assert put.due_in() == 1.5
    server.advance(1)
    put.stream.recognized("x", final=False)
    server.advance(0.4)
    assert put.told() == [OPENED, "audio 1"]
    server.advance(0.1)
    assert put.told() == ["Input #silence"]


def test_a_result_stops_the_clocks() -> None:
    for end in ("final", "text", "stream closed"):
        server = Server()
        put = server.put(BLOCK, cookie="a")
        put.stream.end_of_utterance()
        FINALS[end](put)
        put.told()
        assert put.due_in() == (30 if end == "stream closed" else None)
        server.advance(29)
        assert put.told() == []


def test_a_body_that_does_not_go_on() -> None:
    server = Server()
    put = server.put(content_type=TEXT)
    server.advance(29)
    put.receive("hel")
    server.advance(29)
    put.receive(b"")
    server.advance(29.9)
    assert (put.told(), put.sent()) == ([], [])
    server.advance(0.1)
    assert put.told() == ["Fault"]
    status, text = put.sent()
    assert status == "408"
    assert text.startswith("! protocol: ")
    server.advance(5)
    assert (put.sent(), put.told()) == (["END"], ["Closed 1000"])


@pytest.mark.parametrize("pieces", [(), (LOG,), (INPUT_CLOSE,), (BLOCK, INPUT_CLOSE)])
def test_a_body_of_events_that_does_not_go_on(pieces: tuple[Frame, ...]) -> None:
    server = Server()
    put = server.put(*pieces)
    server.advance(30)
    assert put.sent() == ["408", "Error"]
    assert put.told()[-1] == "Fault"


def test_a_recording_that_does_not_go_on() -> None:
    server = Server()
    put = server.put(b"x", content_type=WAV)
    server.advance(30)
    assert put.sent() == ["408", "Error"]
    assert put.stream.over


def test_nobody_waits_for_a_body_while_a_turn_runs() -> None:
    server = Server()
    put = server.put(HELLO)
    server.advance(10_000)
    assert put.sent() == []
    put.turn.finish()
    assert put.sent() == ["200", "Response"]


def test_nobody_waits_for_a_body_that_has_ended() -> None:
    server = Server()
    put = server.put(b"x", END, content_type=WAV, timeouts=Timeouts(recording=None))
    server.advance(10_000)
    assert (put.sent(), put.due_in()) == ([], None)


def test_the_end_of_the_response_waits_for_that_of_the_request() -> None:
    server = Server()
    put = server.put(HELLO)
    put.turn.finish()
    assert (put.sent(), put.due_in()) == (["200", "Response"], 5)
    assert put.state is State.CLOSED
    server.advance(4)
    put.receive(BLOCK, b"garbage", b"x" * 1000)
    assert (put.sent(), put.told()) == ([], ["Input hello"])
    server.advance(1)
    assert (put.sent(), put.told()) == (["Close 1000"], ["Closed 1000"])  # who still sends is broken off
    put.feed(b"later", END)
    put.lost()
    assert (put.sent(), put.told()) == ([], [])


def test_the_end_of_the_request_ends_the_response() -> None:
    server = Server()
    put = server.put(HELLO)
    put.turn.finish()
    put.receive(b"garbage", END)
    assert (put.sent(), put.told()) == (["200", "Response", "END"], ["Input hello", "Closed 1000"])
    assert put.due_in() is None


def test_the_times_are_the_hosts() -> None:
    times = Timeouts(body=2, recording=3, drain=4, end_of_utterance=5, second_put=6)
    server = Server(timeouts=times)
    put = server.put(content_type=WAV, cookie="a")
    assert put.due_in() == 2
    put.receive(b"x", END)
    assert put.due_in() == 3
    put.stream.recognized("x", final=True)
    second = server.put(BLOCK, cookie="b")
    third = server.put(BLOCK, cookie="b")
    assert third.due_in() == 6
    second.lost()
    assert third.due_in() == 2
    third.machine.fail("x")
    assert third.due_in() == 4
    recording = server.put(b"x", END, content_type=WAV, timeouts=Timeouts(end_of_utterance=1))
    recording.stream.end_of_utterance()
    assert recording.due_in() == 1


def test_clocks_that_are_switched_off_do_not_run() -> None:
    off = Timeouts(body=None, recording=None, drain=None, end_of_utterance=None, second_put=None, get=None)
    server = Server(timeouts=off)
    put = server.put(cookie="a", content_type=WAV)
    put.receive(b"x")
    put.stream.end_of_utterance()
    assert put.due_in() is None
    second = server.put(HELLO, cookie="a")
    assert second.due_in() is None
    put.machine.fail("no")
    assert put.due_in() is None
    server.advance(10_000)
    assert put.sent() == ["200", "Error"]


def test_what_has_come_is_told_before_a_deadline() -> None:
    """D-49."""
    server = Server()
    put = server.put(BLOCK)
    server.clock.advance(5)
    put.receive(HELLO)
    assert put.told() == [OPENED, "audio 3", "Input hello"]
    put = server.put()
    server.clock.advance(31)
    put.receive(b" ")
    assert (put.told(), put.due_in()) == ([], 30)


def test_of_two_deadlines_the_earlier_happens() -> None:
    server = Server()
    put = server.put(BLOCK, timeouts=Timeouts(body=2))
    server.clock.advance(100)
    put.step()
    assert put.status == 408
    put = server.put(BLOCK, timeouts=Timeouts(body=20))
    server.clock.advance(100)
    put.step()
    assert put.told()[-1] == "Input #silence"


def test_no_deadline_runs_while_the_host_is_asked() -> None:
    server = Server(accept=False)
    put = server.put()
    assert put.machine.next_deadline() is None
    assert put.machine.timeout() is None
    server.advance(1000)
    put.machine.ready()
    assert put.due_in() == 30
    assert put.machine.timeout() == 30


# ------------------------------------------------------------ requests that break off

Bring = Callable[[exchanges.Server], Request]
BRINGS: dict[str, Bring] = {
    "nothing": lambda server: server.open(None),
    "head": lambda server: server.open(put_head(cookie="a"), accept=False),
    "ready": lambda server: server.put(cookie="a"),
    "log": lambda server: server.put(LOG, cookie="a"),
    "piece": lambda server: server.put(b'{"type":', cookie="a"),
    "text": lambda server: server.put("hel", cookie="a", content_type=TEXT),
    "stream closed": lambda server: server.put(INPUT_CLOSE, cookie="a"),
    "recognising": lambda server: server.put(BLOCK, cookie="a"),
    "recording": lambda server: server.put(b"x", cookie="a", content_type=WAV),
    "recorded": lambda server: server.put(b"x", END, cookie="a", content_type=WAV),
    "processing": lambda server: server.put(HELLO, cookie="a"),
    "processing, body ended": lambda server: server.put(HELLO, END, cookie="a"),
    "responding": lambda server: _say(server.put(HELLO, cookie="a")),
    "answered": lambda server: _finish(server.put(HELLO, cookie="a")),
    "refused": lambda server: server.put(b"garbage", cookie="a"),
}


def _say(put: Request) -> Request:
    put.turn.say("begun")
    put.server.settle()
    return put


def _finish(put: Request, **members: Any) -> Request:
    put.turn.finish(**members)
    put.server.settle()
    return put


JOINED = ("stream closed", "recognising", "recording", "recorded", "processing", "responding")
IN_A_TURN = ("processing", "processing, body ended", "responding")


@pytest.mark.parametrize("where", list(BRINGS))
@pytest.mark.parametrize("how", ["eof", "close", "both"])
def test_a_put_breaks_off(where: str, how: str) -> None:
    server = Server()
    put = BRINGS[where](server).forget()
    if how in ("close", "both"):
        put.gone = True
        put.receive(Close(1001, "bye"))
    if how in ("eof", "both"):
        put.lost()
    interrupted = ["TurnInterrupted 1 lost"] if where in IN_A_TURN else []
    assert put.told() == [*interrupted, f"Closed {1006 if how == 'eof' else 1001}"]
    assert (put.sent(), put.state, put.due_in()) == ([], State.CLOSED, None)
    assert server.sessions._under_way == {}
    after = server.put(INPUT_CLOSE, cookie="a")
    awake = where in IN_A_TURN or where == "answered"
    assert (after.session_id, after.state) == ("a", State.LISTENING if awake else State.SLEEPING)


@pytest.mark.parametrize("where", list(BRINGS))
def test_a_put_of_a_sleeping_session_breaks_off(where: str) -> None:
    """The table: any state, PUT broken off: Listening."""
    server = Server()
    server.converse("a", sleep_timeout=60)
    BRINGS[where](server).lost()
    server.advance(59)
    session = server.sessions.find("a", "K", "D")
    assert session is not None
    server.advance(1)
    if where in ("nothing", "head", "ready", "log", "piece", "text", "refused"):
        assert session.asleep
        assert server.sessions.find("a", "K", "D") is None
    else:
        assert not session.asleep
        assert server.sessions.find("a", "K", "D") is session


@pytest.mark.parametrize("where", [each for each in BRINGS if each != "nothing"])
def test_a_get_ends_with_its_put(where: str) -> None:
    server = Server()
    get = server.get("a")
    put = BRINGS[where](server)
    before = get.closed
    put.lost()
    if where in ("head", "ready", "log", "piece", "text", "refused"):
        assert (before, get.sent()) == (False, [])
    else:
        assert get.sent() == ["200", "END"]


def test_what_was_queued_goes_nowhere_when_the_transport_is_gone() -> None:
    put = Server().put(HELLO, END)
    put.turn.say("late")
    put.machine.receive_eof()
    assert put.sent() == []
    put.gone = True


def test_what_came_before_the_end_is_told_before_it() -> None:
    put = Server().put()
    put.feed(LOG, HELLO)
    put.lost()
    assert put.told() == ["Log", "Input hello", "TurnInterrupted 1 lost", "Closed 1006"]


@pytest.mark.parametrize("where", ["head", "waiting", "reading", "answered"])
@pytest.mark.parametrize("how", ["eof", "close"])
def test_a_get_breaks_off(where: str, how: str) -> None:
    server = Server()
    put = server.put(BLOCK, cookie="a") if where == "reading" else None
    get = server.open(get_head("a"), accept=where != "head")
    if where == "answered":
        server.advance(30)
    if put is not None:
        put.stream.recognized("x", final=False)
    get.forget()
    if how == "eof":
        get.lost()
    else:
        get.gone = True
        get.receive(Close())
    answered = where == "answered"
    assert get.told() == ([] if answered else ["Closed 1006" if how == "eof" else "Closed 1000"])
    assert get.sent() == []
    assert server.sessions.waiting == 0
    if put is None:
        assert server.sessions._under_way == {}


# ------------------------------------------------------------ a second PUT (D-68)


def _recognising(server: exchanges.Server, **kw: Any) -> Request:
    return server.put(BLOCK, cookie="a", **kw).forget()


def test_a_second_put_waits_for_the_audio_of_the_first() -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(HELLO, END, cookie="a")
    assert (second.told(), second.due_in()) == ([], 1)
    server.advance(0.9)
    first.receive(BLOCK)
    assert (first.told(), second.told(), second.sent()) == (["audio 3"], [], [])
    server.advance(0.1)
    assert second.told() == ["Fault", "Closed 1000"]
    assert second.sent() == ["409", "Error", "END"]
    assert (first.state, first.audio) == (State.LISTENING, Audio.OPEN)
    first.stream.recognized("x", final=True)
    assert first.told() == ["Input x"]


@pytest.mark.parametrize("how", ["lost", "stream closed and ended", "error", "garbage", "closed"])
def test_the_place_becomes_free_while_a_second_put_waits(how: str) -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(HELLO, END, cookie="a")
    server.advance(0.5)
    if how == "stream closed and ended":
        first.receive(INPUT_CLOSE)
        assert second.told() == []
        first.receive(END)
    else:
        FINALS[how](first)
    assert second.told() == ["Input hello"]
    assert second.due_in() is None
    assert second.session_id == ("s1" if how == "error" else "a")  # an ended session is replaced
    second.turn.finish()
    assert second.sent() == ["200", "Response", "END"]


@pytest.mark.parametrize("how", ["final", "silence", "text"])
def test_the_turn_that_the_audio_becomes_is_barged_into(how: str) -> None:
    server = Server()
    first = _recognising(server)
    server.advance(4.5)
    second = server.put(said("stop"), END, cookie="a")
    server.advance(0.4)
    FINALS[how](first)
    heard = {"final": "x", "silence": "#silence", "text": "hello"}[how]
    assert first.told() == [f"Input {heard}", "TurnInterrupted 1 input"]
    result = [f"{FINAL} {heard}"] if how != "text" else []
    assert first.sent() == ["200", *result, "Response"]
    assert second.told() == ["Input stop"]
    assert (first.turn.over, second.turn.over, second.turn.number) == (True, False, 2)
    first.receive(END)
    assert (first.told(), first.sent()) == (["Closed 1000"], ["END"])


def test_a_third_put_is_refused_at_once() -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(HELLO, cookie="a")
    third = server.put(HELLO, END, cookie="a")
    assert third.told() == ["Fault", "Closed 1000"]
    assert third.sent() == ["409", "Error", "END"]
    assert (first.told(), second.told()) == ([], [])
    first.lost()
    assert second.told() == ["Input hello"]
    assert server.put(BLOCK, cookie="a").told() == [OPENED, "audio 3"]  # and that is a barge-in
    assert second.told() == ["TurnInterrupted 1 input"]


def test_a_third_put_does_not_take_the_place_of_the_second() -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(cookie="a")
    second.feed(said("second"))
    second.step()
    first.machine.receive_eof()
    first.gone = True
    first.step()
    third = server.open(None)
    third.feed(put_head(cookie="a"), said("third"), END)
    third.step()
    server.settle()
    assert (second.told(), second.sent()) == (["Input second"], [])
    assert third.sent() == ["409", "Error", "END"]


def test_a_put_that_waited_in_vain_leaves_its_place_to_another() -> None:
    for lost in (True, False):
        server = Server()
        first = _recognising(server)
        second = server.put(HELLO, cookie="a")
        if lost:
            second.lost()
        else:
            server.advance(1)
        third = server.put(HELLO, cookie="a")
        assert third.told() == []
        first.lost()
        assert third.told() == ["Input hello"]


def test_a_put_that_waits_does_not_see_anything_of_the_other() -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(BLOCK, BLOCK, BLOCK, cookie="a")
    assert second.told() == []
    get = server.get("a")
    first.stream.recognized("first", final=False)
    assert get.sent() == ["200", f"{INTERIM} first"]
    first.lost()
    assert second.told() == [OPENED, "audio 3", "audio 3", "audio 3"]
    second.stream.recognized("second", final=False)
    assert get.sent() == ["END"]
    server.advance(4.9)
    assert (second.told(), second.sent()) == ([], [])
    server.advance(0.1)
    assert second.told() == ["Input #silence"]


@pytest.mark.parametrize("where", ["processing", "processing, body ended", "responding"])
@pytest.mark.parametrize("second_says", ["text", "audio", "stream closed"])
def test_later_it_is_a_barge_in(where: str, second_says: str) -> None:
    server = Server()
    first = BRINGS[where](server).forget()
    second = server.put(cookie="a")
    first.turn.say("withdrawn")
    second.feed({"text": HELLO, "audio": BLOCK, "stream closed": INPUT_CLOSE}[second_says])
    second.step()
    assert first.turn.over
    head = [] if where == "responding" else ["200"]
    ended = where == "processing, body ended"
    assert first.sent() == [*head, "Response", *(["END"] if ended else [])]
    assert first.told() == ["TurnInterrupted 1 input", *(["Closed 1000"] if ended else [])]
    told = {"text": ["Input hello"], "audio": [OPENED, "audio 3"], "stream closed": ["InputStreamClose"]}
    assert second.told() == told[second_says]
    assert second.session_id == "a"
    assert second.machine.session is first.turn.session
    with pytest.raises(TooLateError):
        first.turn.say("late")
    refused(first, first.turn.finish, TooLateError)


def test_a_response_that_is_complete_is_not_barged_into() -> None:
    server = Server()
    first = server.put(HELLO, cookie="a").forget()
    first.turn.say("a")
    first.turn.finish(turn_id="t")
    second = server.put(HELLO, cookie="a")
    assert first.sent() == ["200", "ResponseItem 'a'", "Response"]
    assert first.frames[-1]["response"]["turnId"] == "t"
    assert (first.told(), second.told()) == ([], ["Input hello"])


@pytest.mark.parametrize("where", [each for each in BRINGS if each not in ("nothing", "head", "refused")])
def test_logs_never_collide(where: str) -> None:
    server = Server()
    server.converse("a")
    first = BRINGS[where](server).forget()
    logs = server.put(LOG, NEW, LOG, END, cookie="a")
    assert logs.told() == ["Log", "Novelty", "Log", "Closed 1000"]
    assert logs.sent() == ["204", "END"]
    assert logs.body == b""
    assert (first.told(), first.sent()) == ([], [])


def test_a_put_that_begins_with_logs_collides_with_its_first_other_event() -> None:
    server = Server()
    first = _recognising(server)
    second = server.put(LOG, cookie="a")
    server.advance(10)
    assert (second.told(), first.told()) == (["Log"], ["Input #silence"])
    second.receive(HELLO)
    assert first.told() == ["TurnInterrupted 1 input"]
    assert second.told() == ["Input hello"]


def test_logs_know_their_session() -> None:
    server = Server()
    session = server.converse("a")
    for put, found in (
        (server.put(LOG, cookie="a"), session),
        (server.put(NEW, cookie="a"), session),
        (server.put(LOG, cookie="b"), None),
        (server.put(LOG, cookie="a.b"), None),
        (server.put(LOG), None),
        (server.put(LOG, cookie="a", owner=OTHER), None),
    ):
        assert put.machine.session is found
        put.receive(LOG)
        assert put.machine.session is found
        put.receive(END)
        assert put.headers == {"cache-control": "no-store"}
    server.converse("a", session_ended=True)
    assert server.put(LOG, cookie="a").machine.session is None


def test_sessions_and_owners_do_not_collide() -> None:
    server = Server()
    first = _recognising(server)
    others = [
        server.put(HELLO, cookie="b"),
        server.put(HELLO, cookie="a", owner=OTHER),
        server.put(HELLO),
        server.put(HELLO),
    ]
    assert [each.told() for each in others] == [["Input hello"]] * 4
    assert first.told() == []
    assert len({each.session_id for each in [first, *others]}) == 5


def test_a_put_finds_the_other_by_the_id_that_it_was_given() -> None:
    server = Server()
    first = server.put(HELLO)
    second = server.put(HELLO, cookie=first.session_id)
    assert first.told() == ["Input hello", "TurnInterrupted 1 input"]
    assert second.machine.session is first.turn.session


@pytest.mark.parametrize("where", ["recognising", "processing"])
def test_a_put_with_an_older_cookie_than_the_session_got_meets_the_other(where: str) -> None:
    server = Server()
    server.converse("a", session_ended=True)
    first = BRINGS[where](server).forget()
    assert first.session_id == "s1"
    second = server.put(HELLO, cookie="a")
    if where == "recognising":
        assert second.told() == []
        first.lost()
    else:
        assert first.told() == ["TurnInterrupted 1 input"]
        first.turn.session.data["x"] = 1
    assert second.told() == ["Input hello"]
    assert second.session_id == "s1"
    second.turn.finish()
    assert second.cookie == "s1"
    assert server.say(cookie="a").session_id == "s2"


def test_inputs_may_queue_up() -> None:
    server = Server(queue_inputs=True)
    first = server.put(HELLO, END, cookie="a")
    second = server.put(said("second"), END, cookie="a")
    server.advance(1000)
    assert (first.told(), second.told(), second.sent()) == (["Input hello"], [], [])
    first.machine.give_way()
    assert first.told() == []
    assert server.put(HELLO, END, cookie="a").sent() == ["409", "Error", "END"]
    first.turn.finish()
    assert second.told() == ["Input second"]
    assert second.turn.number == 2
    second.turn.finish()
    assert second.sent() == ["200", "Response", "END"]


def test_inputs_queue_up_behind_audio_too() -> None:
    server = Server(queue_inputs=True)
    first = _recognising(server)
    second = server.put(HELLO, END, cookie="a")
    server.advance(5)
    assert (first.told(), second.told()) == (["Input #silence"], [])
    first.turn.finish()
    assert second.told() == ["Input hello"]


def test_a_body_that_waits_for_its_place_need_not_go_on() -> None:
    server = Server(queue_inputs=True)
    first = server.put(HELLO, END, cookie="a")
    second = server.put(BLOCK, cookie="a")
    server.advance(100)
    assert second.sent() == []
    first.turn.finish()
    assert second.told() == [OPENED, "audio 3"]
    assert second.due_in() == 5


def test_a_host_gives_way() -> None:
    server = Server()
    put = server.put(cookie="a")
    put.machine.give_way()
    put.receive(BLOCK)
    put.machine.give_way()
    assert (put.state, put.sent()) == (State.LISTENING, [])
    put.stream.recognized("x", final=True)
    put.told()
    put.machine.give_way()
    assert put.told() == ["TurnInterrupted 1 input"]
    assert put.sent() == ["200", f"{FINAL} x", "Response"]
    put.machine.give_way()
    put.receive(END)
    put.machine.give_way()
    assert put.told() == ["Closed 1000"]


def test_a_host_interrupts_a_turn() -> None:
    put = Server().put(HELLO, END)
    turn = put.turn
    turn.say("withdrawn")
    turn.interrupt()
    turn.interrupt()
    assert put.told() == ["Input hello", "TurnInterrupted 1 host", "Closed 1000"]
    assert put.sent() == ["200", "Response", "END"]


# ------------------------------------------------------------ what goes wrong in the middle


@pytest.mark.parametrize("bad", [b"garbage", {"type": "Vote", "vote": 1}, HELLO, b" " * 1000], ids=str)
@pytest.mark.parametrize("ended", [False, True])
def test_what_is_wrong_before_anything_was_sent_is_a_status(bad: Any, ended: bool) -> None:
    """D-77, D-78."""
    server = Server(limits=Limits(body_bytes=1000, message_bytes=500))
    put = server.put(HELLO, cookie="a")
    put.turn.session.data["kept"] = 1
    put.receive(bad, *([END] if ended else []))
    assert put.told() == ["Input hello", CUT, "Fault", *(["Closed 1000"] if ended else [])]
    status = "413" if bad == b" " * 1000 else "400"
    assert put.sent() == [status, "Error", *(["END"] if ended else [])]
    assert put.frames[0] == {"type": "Error", "text": str(put.fault), "source": "protocol"}
    assert put.turn.over
    after = server.put(HELLO, cookie="a")
    assert (after.session_id, after.turn.session.data) == ("a", {"kept": 1})


@pytest.mark.parametrize("bad", [b"garbage", {"type": "Vote", "vote": 1}, HELLO], ids=str)
@pytest.mark.parametrize("ended", [False, True])
def test_what_is_wrong_after_something_was_sent_is_an_error(bad: Any, ended: bool) -> None:
    server = Server()
    put = _say(server.put(HELLO, cookie="a")).forget()
    put.turn.say("withdrawn")
    put.feed(bad, *([END] if ended else []))
    put.step()
    assert put.sent() == ["Error", *(["END"] if ended else [])]
    assert put.told() == [CUT, "Fault", *(["Closed 1000"] if ended else [])]
    assert put.status == 200
    assert server.put(HELLO, cookie="a").session_id == "s1"  # the session is over


def test_what_is_wrong_before_anything_was_seen_withdraws_it() -> None:
    put = Server().put(HELLO)
    put.turn.say("withdrawn")
    put.feed(b"garbage")
    put.step()
    assert put.sent() == ["400", "Error"]


def test_a_refusal_withdraws_what_was_recognised_and_not_seen() -> None:
    put = Server().put(BLOCK, cookie="a")
    put.machine.stream.recognized("x", final=True)
    put.feed(b"garbage")
    put.step()
    assert put.told()[-3:] == ["Input x", CUT, "Fault"]
    assert put.sent() == ["400", "Error"]


def test_too_much_after_something_was_sent_is_an_error() -> None:
    put = _say(Server(limits=Limits(body_bytes=100)).put(HELLO)).forget()
    put.receive(b" " * 100)
    assert isinstance(put.fault, LimitExceeded)
    assert put.sent() == ["Error"]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_the_response_may_begin_before_the_body_ends(after: int) -> None:
    """D-72."""
    put = Server().put(HELLO, *([BLOCK] * after))
    put.turn.say("a")
    assert put.sent() == ["200", "ResponseItem 'a'"]
    put.receive(BLOCK, LOG, INPUT_CLOSE, NEW)
    assert put.told() == ["Input hello", "Log", "InputStreamClose", "Novelty"]
    assert put.machine.dropped == after + 1
    put.turn.finish()
    put.receive(BLOCK, LOG, HELLO, b"garbage", END)
    assert put.told() == ["Closed 1000"]
    assert put.sent() == ["Response", "END"]


def test_what_is_decoded_already_counts_as_dropped() -> None:
    put = Server().put(content_type=JSON)
    put.on_event = lambda event: put.machine.turn.finish() if isinstance(event, InputEvent) else None
    put.feed(_json(HELLO, BLOCK, BLOCK), END)
    put.step()
    assert put.told() == ["Input hello", "Closed 1000"]
    assert put.sent() == ["200", "Response", "END"]


def test_a_text_that_comes_when_something_was_just_recognised() -> None:
    """Both crossed: what was recognised came first; the client has one answer to this request."""
    server = Server()
    put = server.put(BLOCK, cookie="a")
    put.stream.recognized("x", final=True)
    put.receive(BLOCK, INPUT_CLOSE, HELLO, END)
    assert put.told() == [OPENED, "audio 3", "Input x", "InputStreamClose"]
    assert put.machine.dropped == 2
    put.turn.finish()
    assert put.sent() == ["200", f"{FINAL} x", "Response", "END"]


def test_an_answer_while_the_body_still_comes() -> None:
    server = Server()
    put = server.put(b"1234", content_type=WAV, query=LIVE, cookie="a")
    put.stream.recognized("x", final=True)
    put.turn.finish()
    assert put.state is State.CLOSED
    for _ in range(20):
        put.receive(b"1234")
    assert put.told() == [OPENED, "audio 4", "Input x"]
    put.receive(END)
    assert put.told() == ["Closed 1000"]
    assert put.sent() == ["200", f"{FINAL} x", "Response", "END"]


# ------------------------------------------------------------ sessions and cookies


def test_the_id_that_a_client_proposes() -> None:
    """D-58."""
    for cookie in ("a", "x" * 64, "A-Z_09", "0"):
        put = Server().say(cookie=cookie)
        assert put.session_id == cookie
        put.turn.finish()
        assert put.cookie == cookie
    for cookie in ("x" * 65, "a.b", "a b", "ěš", "a/b", "..", "a,b"):
        put = Server().say(cookie=cookie)
        assert put.session_id == "s1"
        put.turn.finish()
        assert put.cookie == "s1"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"{COOKIE}=a", "a"),
        (f'{COOKIE}="a"', "a"),
        (f"x=y; {COOKIE}=a; z=b", "a"),
        (f" {COOKIE}=a ", "a"),
        (f"{COOKIE}=a; {COOKIE}=b", "a"),
        (f"{COOKIE}=; {COOKIE}=b", "b"),
        (f"other-{COOKIE}=x", None),
        (f"{COOKIE}x=x", None),
        (f"{COOKIE}", None),
        (f"{COOKIE}=", None),
        ("", None),
        (";;;=;", None),
        (f"{COOKIE}=a=b", "a=b"),
    ],
)
def test_where_a_cookie_stands(header: str, found: str | None) -> None:
    assert cookie_of(RequestHead(url="/", headers=(("cookie", header),))) == found
    others = (("A", "b"), ("Cookie", "x=y"))
    assert cookie_of(RequestHead(url="/", headers=(*others, ("COOKIE", header)))) == found


def test_no_cookie_at_all() -> None:
    assert cookie_of(RequestHead(url="/")) is None


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([f"{COOKIE}=a; Path=/; HttpOnly"], "a"),
        ([f'{COOKIE}="a"'], "a"),
        ([f"{COOKIE}=a", "x=y", f"{COOKIE}=b"], "b"),
        ([f"{COOKIE}=a; Max-Age=0"], ""),
        ([f"{COOKIE}=a; max-age=-1"], ""),
        ([f'{COOKIE}=a;Path=/;MAX-AGE = "00" '], ""),
        ([f"{COOKIE}=a; Max-Age=10"], "a"),
        ([f"{COOKIE}="], ""),
        ([f"{COOKIE}=!~"], "!~"),
        ([f"{COOKIE}=" + "x" * 256], "x" * 256),
        ([f"{COOKIE}=" + "x" * 257], None),
        ([f"{COOKIE}=a b"], None),
        ([f"{COOKIE}=a,b"], None),
        ([f"{COOKIE}=ě"], None),
        (["x=y"], None),
        ([], None),
    ],
)
def test_the_cookie_that_a_response_gives(headers: list[str], found: str | None) -> None:
    cookies = [("set-cookie", each) for each in headers]
    head = ResponseHead(status=200, headers=[("Vary", f"{COOKIE}=z"), *cookies])
    assert given_cookie(head) == found


def test_a_cookie_over_tls_is_secure() -> None:
    for base, secure in (
        ("https://host/client", True),
        ("HTTPS://host/client", True),
        ("http://host/client", False),
        ("/client", False),
        ("/https:", False),
    ):
        server = Server()
        head = put_head(base=base)
        put = server.open(head).receive(HELLO, END)
        put.turn.finish()
        assert is_secure(head) is secure
        expected = f"{COOKIE}=s1; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
        assert put.headers["set-cookie"] == expected


def test_only_a_turn_gives_a_cookie() -> None:
    server = Server()
    for put in (
        server.put(LOG, END, cookie="a"),
        server.put(b"garbage", END, cookie="a"),
        server.put(BLOCK, b"garbage", END, cookie="a"),
        server.put(BLOCK, INPUT_CLOSE, END, cookie="a"),
        server.get("a"),
    ):
        server.advance(30)
        assert put.cookie is None
    put = server.put(BLOCK, cookie="a")
    put.machine.fail("no")
    assert (put.status, put.cookie) == (200, "a")


@pytest.mark.parametrize("other", [{"key": "K2"}, {"deviceId": "D2"}, OTHER], ids=str)
def test_nobody_joins_the_session_of_another(other: dict[str, str]) -> None:
    server = Server()
    session = server.converse("a")
    session.data["secret"] = 1
    thief = server.say(cookie="a", owner={**OWNER, **other})
    assert (thief.session_id, thief.turn.session.data, thief.turn.number) == ("s1", {}, 1)
    thief.turn.finish()
    assert thief.cookie == "s1"
    back = server.say(cookie="a")
    assert back.machine.session is session


def test_nobody_takes_the_id_of_a_session_that_is_just_beginning() -> None:
    for first_ends_first in (True, False):
        server = Server()
        first = server.say(cookie="a")
        second = server.say(cookie="a", owner=OTHER)
        assert (first.session_id, second.session_id) == ("a", "s1")
        for put in [first, second] if first_ends_first else [second, first]:
            put.turn.finish()
        server.settle()
        assert server.say(cookie="a").machine.session is first.turn.session
        assert server.say(cookie="s1", owner=OTHER).machine.session is second.turn.session


def test_a_session_that_has_ended_is_replaced() -> None:
    for end in ({"session_ended": True}, None):
        server = Server()
        if end is None:
            server.say(cookie="a").machine.fail("no")
            server.settle()
        else:
            ended = server.converse("a", **end)
            assert (ended.ended, ended.data) == (True, {})
        put = server.say(cookie="a")
        assert (put.session_id, put.turn.number) == ("s1", 1)
        put.turn.finish()
        assert put.cookie == "s1"


def test_a_session_that_has_ended_is_remembered_for_a_while() -> None:
    server = Server(sessions={"keep_for": 100})
    server.converse("a", session_ended=True)
    server.advance(99)
    replaced = server.say(cookie="a")
    assert replaced.session_id == "s1"
    replaced.turn.finish()
    server.advance(1)
    assert server.say(cookie="a").session_id == "a"


def test_a_session_is_kept_for_a_while() -> None:
    server = Server(sessions={"keep_for": 100})
    session = server.converse("a")
    server.advance(99)
    assert server.converse("a") is session
    server.advance(99)
    put = server.say(cookie="a")
    assert put.machine.session is session
    server.advance(1000)
    put.turn.finish()
    server.advance(100)
    assert server.say(cookie="a").turn.number == 1
    assert len(server.sessions) == 0


def test_a_sleeping_session_expires() -> None:
    server = Server()
    session = server.converse("a", sleep_timeout=60)
    assert session.asleep
    server.advance(59)
    put = server.say(cookie="a")
    assert (put.machine.session, session.asleep) == (session, False)
    server.advance(1000)
    put.turn.finish()
    server.settle()
    server.advance(3599)
    assert server.converse("a", sleep_timeout=60, session_ended=True) is session  # D-51
    server.advance(60)
    assert server.say(cookie="a").turn.number == 1


@pytest.mark.parametrize("how", ["lost", "closed", "drained", "ended"])
def test_what_comes_after_the_response_does_not_wake_a_sleeping_session(how: str) -> None:
    server = Server()
    put = server.put(HELLO, cookie="a")
    put.turn.finish(sleep_timeout=60)
    if how == "lost":
        put.lost()
    elif how == "closed":
        put.machine.close()
    elif how == "ended":
        put.receive(END)
    server.advance(59)
    assert put.closed
    session = server.sessions.find("a", "K", "D")
    assert session is not None
    assert session.asleep
    server.advance(1)
    assert server.sessions.find("a", "K", "D") is None


def test_in_memory_a_dialogue_remembers_whatever_it_likes() -> None:
    server = Server()
    put = server.say(cookie="a")
    thing = put.turn.session.data["thing"] = object()
    put.turn.finish()
    put = server.say(cookie="a")
    assert put.turn.session.data["thing"] is thing
    put.turn.interrupt()
    assert server.say(cookie="a").turn.session.data["thing"] is thing


def test_sessions_that_are_remembered_are_bounded() -> None:
    server = Server(sessions={"most": 2})
    a, b = server.converse("a"), server.converse("b")
    assert server.converse("a") is a
    c = server.converse("c")
    assert len(server.sessions) == 2
    assert server.sessions.find("b", "K", "D") is None
    assert server.sessions.find("a", "K", "D") is a
    assert server.sessions.find("c", "K", "D") is c
    assert server.converse("b") is not b


def test_sessions_whose_time_is_over_make_room() -> None:
    server = Server(sessions={"keep_for": 10})
    for name in "abc":
        server.converse(name)
    server.advance(10)
    server.converse("d")
    assert len(server.sessions) == 1


def test_a_server_may_remember_nothing() -> None:
    server = Server(sessions={"most": 0})
    session = server.converse("a")
    assert len(server.sessions) == 0
    assert server.converse("a") is not session


def test_sessions_answer_for_themselves() -> None:
    clock = ManualClock()
    sessions = Sessions(clock=clock, keep_for=10)
    session = sessions.join("a", "K", "D", lambda: "made")
    assert (session.session_id, session.key, session.device_id) == ("a", "K", "D")
    assert sessions.find("a", "K", "D") is None
    sessions.keep(session, 5)
    assert sessions.join("a", "K", "D", lambda: "made") is session
    assert sessions.find("a", "K", "D") is session
    assert sessions.find("a", "K", "D2") is None
    assert sessions.join("a", "K2", "D", lambda: "made").session_id == "made"
    assert sessions.join("b", "K", "D", lambda: "made").session_id == "b"
    assert sessions.join(None, "K", "D", lambda: "made").session_id == "made"
    clock.advance(5)
    assert sessions.find("a", "K", "D") is None
    assert sessions.join("a", "K", "D", lambda: "made") is not session


def test_ids_are_such_that_nobody_can_guess_them() -> None:
    server = Server()
    made = [server.say(make_id=SocketV2Server(server.sessions)._make_id).session_id for _ in range(2)]
    assert len({*made}) == 2
    assert all(each is not None and len(each) == 36 for each in made)


def test_what_a_response_set_holds_for_the_next_turn() -> None:
    """D-62."""
    server = Server()
    phrases = (ExpectedPhrase(text="yes"),)
    server.converse("a", locale="cs-CZ", expected_phrases=phrases, stt_mode=SttMode.DUPLEX)
    put = server.put(BLOCK, cookie="a")
    assert put.stream.expected_phrases == phrases
    assert (put.stream.config.locale, put.stream.config.stt_mode) == ("cs-CZ", SttMode.SINGLE_UTTERANCE)
    server.advance(5)
    assert put.turn.input is not None
    assert put.turn.input.locale == "cs-CZ"
    put.turn.finish()
    assert put.frames[-1]["response"]["locale"] == "cs_CZ"


def test_a_mode_that_is_not_there_does_not_keep_the_stream_open() -> None:
    server = Server()
    server.converse("a", stt_mode=SttMode.DUPLEX)
    put = server.put(BLOCK, cookie="a")
    put.stream.recognized("x", final=True)
    assert put.audio is Audio.CLOSED
    assert put.stream.over


@pytest.mark.parametrize("bad", [b"garbage", "408", "409", "413", "closed"])
def test_a_refusal_leaves_a_sleeping_session_as_it_was(bad: Any) -> None:
    server = Server(limits=Limits(body_bytes=1000), timeouts=Timeouts(body=1))
    session = server.converse("a", sleep_timeout=60)
    before = session.snapshot()
    if bad == "409":
        first = server.put(INPUT_CLOSE, cookie="a", timeouts=Timeouts(body=10))
        assert server.put(HELLO, cookie="a").due_in() == 1
        server.advance(1)
        first.receive(b"garbage")
    else:
        put = server.put(BLOCK, cookie="a")
        if bad == "408":
            put.receive(INPUT_CLOSE)
            server.advance(1)
        elif bad == "413":
            put.receive(b" " * 1000)
        elif bad == "closed":
            put.machine.close()
        else:
            put.receive(bad)
        assert put.status == {"408": 408, "413": 413, "closed": 503}.get(bad, 400)
    assert session.snapshot() == before
    server.advance(59 - server.clock.now)
    assert server.sessions.find("a", "K", "D") is session
    server.advance(1)
    assert server.sessions.find("a", "K", "D") is None


def test_a_stream_without_input_leaves_a_session_as_it_was() -> None:
    server = Server()
    session = server.converse("a", sleep_timeout=60)
    put = server.put(BLOCK, INPUT_CLOSE, END, cookie="a")
    assert put.sent() == ["204", "END"]
    assert session.asleep
    server.advance(60)
    assert server.sessions.find("a", "K", "D") is None


# ------------------------------------------------------------ another name for a session (D-58)


def test_the_host_names_a_session_that_begins() -> None:
    server = Server()
    put = server.say(cookie="a")
    put.machine.rename_session("app-1")
    assert (put.session_id, put.turn.session_id) == ("app-1", "app-1")
    get = server.get("app-1")
    server.advance(1)
    assert get.sent() == ["200", "END"]  # it found the turn
    put.turn.finish()
    assert put.cookie == "app-1"
    assert server.say(cookie="app-1").machine.session is put.turn.session
    other = server.say(cookie="a")
    assert other.machine.session is not put.turn.session


def test_the_host_names_a_session_while_it_listens() -> None:
    server = Server()
    put = server.put(BLOCK)
    put.machine.rename_session("app-1")
    get = server.get("app-1")
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]


def test_a_name_that_is_taken() -> None:
    server = Server()
    server.converse("kept")
    server.converse("ended", session_ended=True)
    server.say(cookie="running", owner=OTHER)
    put = server.say(cookie="a")
    for name in ("kept", "ended", "running"):
        refused(put, lambda name=name: put.machine.rename_session(name))
    put.machine.rename_session("a")
    put.machine.rename_session("b")
    put.machine.rename_session("a")
    put.machine.rename_session("c")
    put.turn.finish()
    assert put.cookie == "c"
    assert server.say(cookie="a").turn.number == 1


def test_a_get_that_waits_under_the_new_name_goes_its_way() -> None:
    server = Server()
    early = server.get("app-1")
    put = server.put(BLOCK)
    put.machine.rename_session("app-1")
    late = server.get("app-1")
    put.stream.recognized("x", final=False)
    assert [*early.sent(), *late.sent()] != []
    server.advance(30)
    assert early.closed


def test_a_session_that_the_client_knows_keeps_its_name() -> None:
    server = Server()
    server.converse("a")
    put = server.say(cookie="a")
    refused(put, lambda: put.machine.rename_session("b"), TooLateError)
    put = _say(server.say(cookie="new"))
    refused(put, lambda: put.machine.rename_session("b"), TooLateError)
    put = _finish(server.say(cookie="newer"))
    refused(put, lambda: put.machine.rename_session("b"), TooLateError)
    put = server.say(cookie="newest")
    put.turn.finish()
    with pytest.raises(TooLateError):  # although nothing has been taken yet
        put.machine.rename_session("b")
    assert put.cookie == "newest"


def test_a_session_that_is_not_there_or_a_name_that_is_none() -> None:
    server = Server()
    server.converse("a")
    for put in (server.put(cookie="a"), server.put(LOG, cookie="a"), server.open(None), server.get("b")):
        refused(put, lambda put=put: put.machine.rename_session("b"))
    put = server.say()
    for name in ("", "a b", "x" * 65):
        refused(put, lambda name=name: put.machine.rename_session(name))


def test_a_stored_session_keeps_its_name() -> None:
    put = Server(stored=True).say(cookie="a")
    refused(put, lambda: put.machine.rename_session("b"))
    put.provide(None)
    refused(put, lambda: put.machine.rename_session("b"), TooLateError)


# ------------------------------------------------------------ sessions that the host stores


def _snapshot(session_id: str = "a", key: str = "K", device_id: str = "D", **members: Any) -> bytes:
    return Session(session_id=session_id, key=key, device_id=device_id, **members).snapshot()


def _stored(**kw: Any) -> exchanges.Server:
    return Server(stored=True, **kw)


def _in_turn(server: exchanges.Server, cookie: str = "a", *pieces: Any, **kw: Any) -> Request:
    """A PUT whose turn runs; its session is new."""
    put = server.put(*(pieces or (HELLO, END)), cookie=cookie, **kw)
    put.provide(None)
    return put.forget()


def test_a_turn_of_a_new_session() -> None:
    server = _stored()
    put = server.say(cookie="a")
    assert put.told() == ["SessionNeed a"]
    assert put.machine.next_event() is Control.NEED_ANSWER
    need = put.need
    assert isinstance(need, SessionNeed)
    assert (need.session_id, need.key, need.device_id, need.begins) == ("a", "K", "D", True)
    assert (put.session_id, put.due_in()) == (None, None)
    put.provide(None)
    assert put.told() == ["Input hello"]
    put.turn.session.data["name"] = "Ann"
    put.turn.say("Hi")
    put.turn.finish(locale="cs-CZ")
    assert put.sent() == ["200", "ResponseItem 'Hi'"]
    assert put.told() == ["StoreNeed a 3600"]
    need = put.need
    assert isinstance(need, StoreNeed)
    assert f"{len(need.snapshot)} bytes" in repr(need)
    kept = Session.restore(need.snapshot)
    assert (kept.session_id, kept.key, kept.device_id, kept.turns) == ("a", "K", "D", 1)
    assert (kept.data, kept.locale) == ({"name": "Ann"}, "cs-CZ")
    put.provide(need.snapshot)
    assert (put.sent(), put.told()) == (["Response", "END"], ["Closed 1000"])
    assert put.cookie == "a"
    assert len(server.sessions) == 0


def test_a_turn_of_a_session_that_was_stored() -> None:
    server = _stored()
    put = server.say(cookie="a")
    put.provide(_snapshot(turns=3, data={"name": "Ann"}, locale="cs-CZ"))
    assert put.told() == ["SessionNeed a", "Input hello"]
    assert (put.turn.number, put.turn.session.data) == (4, {"name": "Ann"})
    put.turn.finish(sleep_timeout=60)
    assert put.told() == ["StoreNeed a 60"]
    assert Session.restore(put.need.snapshot).asleep
    put.provide(b"stored")
    assert put.sent() == ["200", "Response sleeps 60", "END"]
    assert put.frames[0]["response"]["locale"] == "cs_CZ"


def test_a_session_that_is_stored_listens_or_sleeps() -> None:
    for members, state in (
        ({"turns": 1}, State.LISTENING),
        ({"turns": 1, "asleep": True}, State.SLEEPING),
        ({}, State.SLEEPING),
    ):
        put = _stored().put(INPUT_CLOSE, cookie="a")
        put.provide(_snapshot(**members))  # type: ignore[arg-type]
        assert (put.told(), put.state) == (["SessionNeed a", "InputStreamClose"], state)


@pytest.mark.parametrize("cookie", [None, "a.b"])
def test_a_new_id_is_asked_for_when_the_client_names_none(cookie: str | None) -> None:
    server = _stored()
    put = server.say(cookie=cookie)
    assert put.told() == ["SessionNeed s1"]
    put.provide(None)
    assert (put.told(), put.session_id) == (["Input hello"], "s1")


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (_snapshot(key="K2"), []),
        (_snapshot(device_id="D2"), []),
        (_snapshot(ended=True), []),
        (_snapshot("b"), []),
        (b"", ["Fault"]),
        (b"garbage", ["Fault"]),
        (_snapshot()[:-1], ["Fault"]),
        (msgpack.packb({"version": 2, "sessionId": "a", "key": "K", "deviceId": "D"}), ["Fault"]),
    ],
    ids=["key", "device", "ended", "other id", "empty", "garbage", "cut", "newer"],
)
def test_what_is_stored_is_not_theirs(stored: bytes, fault: list[str]) -> None:
    server = _stored()
    put = server.say(cookie="a")
    put.forget()
    put.provide(stored)
    assert put.told() == [*fault, "SessionNeed s1"]
    assert put.state is State.SLEEPING
    put.provide(None)
    assert (put.told(), put.session_id) == (["Input hello"], "s1")
    put.turn.finish()
    put.provide(b"x")
    assert put.cookie == "s1"


def test_a_session_that_cannot_be_loaded() -> None:
    server = _stored()
    get = server.get("a")
    put = server.say(cookie="a")
    put.machine.fail("the store is down", source="store")
    assert put.sent() == ["503", "Error", "END"]
    assert put.frames == [{"type": "Error", "text": "the store is down", "source": "store"}]
    assert put.told() == ["SessionNeed a", "Closed 1000"]
    assert get.sent() == ["200", "END"]
    put = server.put(HELLO, cookie="a")
    put.machine.fail("another", status=500)
    assert put.sent() == ["500", "Error"]
    assert server.say(cookie="a").told() == ["SessionNeed a"]


def test_a_session_that_cannot_be_stored() -> None:
    server = _stored()
    put = _in_turn(server)
    put.turn.finish()
    put.machine.fail("the store is down")
    assert put.sent() == ["503", "Error", "END"]
    assert put.told() == ["StoreNeed a 3600", "Closed 1000"]
    put = _in_turn(server, "b", HELLO)
    put.turn.say("begun")
    assert put.sent() == ["200", "ResponseItem 'begun'"]
    put.turn.finish()
    put.machine.fail("the store is down", status=500)
    assert put.sent() == ["Error"]
    put.receive(END)
    assert (put.sent(), put.told()) == (["END"], ["StoreNeed b 3600", "Closed 1000"])


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("ended", [False, True])
def test_somebody_else_has_taken_the_session(begun: bool, ended: bool) -> None:
    server = _stored()
    put = _in_turn(server)
    if begun:
        put.turn.say("begun")
    put.sent()
    put.turn.finish(session_ended=ended, attributes={"a": 1}, locale="cs-CZ")
    put.provide(None)
    assert put.sent() == [*([] if begun else ["200"]), "Response", "END"]
    answer = put.frames[-1]["response"]
    assert (answer["sessionEnded"], answer["attributes"], answer["items"]) == (False, {}, [])
    assert answer["locale"] in ("en_US", "cs_CZ")
    assert put.told() == ["StoreNeed a 3600", "Closed 1000"]


def test_a_session_that_ends_is_stored_as_ended() -> None:
    server = _stored()
    put = _in_turn(server)
    put.turn.session.data["x"] = 1
    put.turn.finish(session_ended=True)
    kept = Session.restore(put.need.snapshot)
    assert (kept.ended, kept.data) == (True, {})
    put.provide(b"")
    assert put.sent() == ["200", "Response ended", "END"]
    put = _in_turn(server, "b")
    put.machine.fail("no")
    assert Session.restore(put.need.snapshot).ended
    put.provide(b"")
    assert put.sent() == ["200", "Error", "END"]


def test_a_turn_that_is_cut_is_stored_too() -> None:
    server = _stored()
    first = _in_turn(server)
    first.turn.session.data["x"] = 1
    second = server.say("stop", cookie="a")
    assert first.told() == ["TurnInterrupted 1 input", "StoreNeed a 3600"]
    assert Session.restore(first.need.snapshot).data == {"x": 1}
    assert second.told() == ["SessionNeed a"]
    assert first.sent() == []
    stored = first.need.snapshot
    first.provide(stored)
    second.provide(stored)
    assert first.sent() == ["200", "Response", "END"]
    assert second.told() == ["Input stop"]
    assert (second.turn.number, second.turn.session.data) == (2, {"x": 1})


def test_a_second_put_waits_while_the_session_of_the_first_is_loaded() -> None:
    server = _stored()
    first = server.say(cookie="a")
    second = server.say("second", cookie="a")
    assert (first.told(), second.told(), second.due_in()) == (["SessionNeed a"], [], 1)
    server.advance(0.5)
    first.provide(None)
    assert first.told() == ["Input hello", "TurnInterrupted 1 input", "StoreNeed a 3600"]
    assert second.told() == ["SessionNeed a"]
    server.advance(10)
    second.provide(first.need.snapshot)
    assert second.told() == ["Input second"]
    third = server.say(cookie="b")
    fourth = server.say(cookie="b")
    server.advance(1)
    assert (third.told(), fourth.sent()) == (["SessionNeed b"], ["409", "Error", "END"])


def test_time_stands_still_while_a_session_is_loaded() -> None:
    server = _stored()
    put = server.put(b"x", cookie="a", content_type=WAV, query=LIVE)
    assert put.told() == ["SessionNeed a"]
    put.receive(b"y")
    assert put.due_in() is None
    server.advance(100)
    put.provide(None)
    assert put.told() == [OPENED, "audio 1", "audio 1"]
    assert put.due_in() == 5


@pytest.mark.parametrize("text", [TEXT, JSON, MSGPACK])
def test_every_body_waits_for_its_session(text: str) -> None:
    put = _stored().put("hi" if text == TEXT else HELLO, END, content_type=text, cookie="a")
    assert put.told() == ["SessionNeed a"]
    put.provide(None)
    assert put.told() == ["Input hi" if text == TEXT else "Input hello"]


def test_logs_only_look_at_the_session() -> None:
    server = _stored()
    put = server.put(LOG, LOG, END, cookie="a")
    assert put.told() == ["SessionNeed a to look at"]
    put.provide(_snapshot(turns=1))
    assert (put.told(), put.session_id) == (["Log", "Log", "Closed 1000"], "a")
    assert put.sent() == ["204", "END"]
    for answer, fault in ((None, []), (_snapshot(key="K2"), []), (b"garbage", ["Fault"])):
        put = server.put(NEW, END, cookie="a")
        put.forget()
        put.provide(answer)
        assert (put.told(), put.machine.session) == ([*fault, "Novelty", "Closed 1000"], None)
    for cookie in (None, "a.b"):
        assert server.put(LOG, END, cookie=cookie).told() == ["Log", "Closed 1000"]
    put = server.put(LOG, END, cookie="a")
    put.machine.fail("the store is down")
    assert put.sent() == ["503", "Error", "END"]


def test_logs_and_then_an_input() -> None:
    server = _stored()
    put = server.put(LOG, HELLO, LOG, END, cookie="a")
    put.provide(_snapshot(turns=1, data={"x": 1}))
    assert put.told() == ["SessionNeed a to look at", "Log", "SessionNeed a"]
    put.provide(_snapshot(turns=2, data={"x": 2}))
    assert put.told() == ["Input hello", "Log"]
    assert (put.turn.number, put.turn.session.data) == (3, {"x": 2})


@pytest.mark.parametrize("pieces", [(HELLO,), (HELLO, END), (LOG, END), (BLOCK,)], ids=str)
def test_the_transport_is_lost_while_a_session_is_loaded(pieces: tuple[Any, ...]) -> None:
    for answers_late in (lambda put: put.provide(None), lambda put: put.machine.fail("x")):
        server = _stored()
        put = server.put(*pieces, cookie="a")
        assert len(put.told()) == 1
        put.lost()
        assert (put.told(), put.sent()) == (["Closed 1006"], [])
        refused(put, lambda answers_late=answers_late, put=put: answers_late(put), TooLateError)
        assert server.sessions._under_way == {}


def test_the_transport_is_lost_before_a_session_could_be_asked_for() -> None:
    for piece, told in ((HELLO, []), (LOG, ["Log"]), (BLOCK, [])):
        put = _stored().put(cookie="a")
        put.feed(piece)
        put.lost()
        assert put.told() == [*told, "Closed 1006"]


@pytest.mark.parametrize("begun", [False, True])
def test_the_transport_is_lost_while_a_session_is_stored(begun: bool) -> None:
    put = _in_turn(_stored())
    if begun:
        _say(put).forget()
    put.turn.finish()
    assert put.told() == ["StoreNeed a 3600"]
    put.lost()
    assert (put.told(), put.sent()) == (["Closed 1006"], [])
    refused(put, lambda: put.provide(b""), TooLateError)


def test_a_turn_whose_transport_is_lost_is_not_stored() -> None:
    server = _stored()
    put = _in_turn(server)
    put.lost()
    assert put.told() == ["TurnInterrupted 1 lost", "Closed 1006"]
    assert len(server.sessions) == 0
    assert server.say(cookie="a").told() == ["SessionNeed a"]


@pytest.mark.parametrize("bad", [b"garbage", HELLO], ids=str)
def test_a_turn_that_is_refused_is_not_stored(bad: Any) -> None:
    put = _in_turn(_stored(), "a", HELLO)
    put.receive(bad)
    assert put.told() == [CUT, "Fault"]
    assert put.sent() == ["400", "Error"]


def test_an_error_in_the_middle_is_stored_as_the_end() -> None:
    put = _in_turn(_stored(), "a", HELLO)
    _say(put).forget()
    put.receive(b"garbage")
    assert put.told() == [CUT, "Fault", "StoreNeed a 3600"]
    assert Session.restore(put.need.snapshot).ended
    assert put.sent() == []
    put.provide(b"")
    assert put.sent() == ["Error"]


def test_the_body_may_end_while_a_session_is_stored() -> None:
    put = _in_turn(_stored(), "a", HELLO)
    put.turn.finish()
    put.receive(BLOCK, END)
    assert (put.told(), put.sent()) == (["StoreNeed a 3600"], [])
    put.provide(b"")
    assert (put.told(), put.sent()) == (["Closed 1000"], ["200", "Response", "END"])


def test_the_host_closes_while_a_need_is_open() -> None:
    server = _stored()
    put = server.say(cookie="a")
    put.machine.close()
    assert put.sent() == ["503", "Error", "END"]
    refused(put, lambda: put.provide(_snapshot(turns=1)), TooLateError)
    put = server.put(HELLO, cookie="a")
    put.machine.close()
    refused(put, lambda: put.provide(_snapshot(turns=1)), TooLateError)
    put.receive(END)
    assert put.closed
    put = _in_turn(server, "b")
    put.turn.finish()
    put.told()
    put.machine.close()
    assert put.told() == ["Closed 1000"]
    assert put.sent()[-1:] in (["Close 1000"], ["END"])


def test_another_process_wants_the_session() -> None:
    put = _in_turn(_stored())
    put.machine.give_way()
    assert put.told() == ["TurnInterrupted 1 input", "StoreNeed a 3600"]
    put.machine.give_way()
    put.provide(b"")
    assert put.sent() == ["200", "Response", "END"]


def test_needs_are_answered_once_and_with_bytes() -> None:
    server = _stored()
    put = server.say(cookie="a")
    need = put.need
    other = SessionNeed(session_id="a", key="K", device_id="D")
    assert other == need
    for value in ("text", 5, [b"x"], bytearray(b"x"), False):
        with pytest.raises((LocalProtocolError, TypeError)):
            put.machine.provide(need, value)  # type: ignore[arg-type]
        assert put.machine._question is need
    refused(put, lambda: put.machine.provide(other, None))
    refused(put, put.machine.ready)
    put.provide(None)
    refused(put, lambda: put.machine.provide(need, None))
    refused(put, put.machine.ready)


@pytest.mark.parametrize("how", ["second", "give way", "host", "finish", "fail"])
def test_a_dialogue_leaves_something_that_cannot_be_stored(how: str) -> None:
    server = _stored()
    put = _in_turn(server)
    put.turn.session.data["x"] = object()
    if how == "finish":
        refused_cleanly(put, put.turn.finish)
        put.turn.say("a")
        put.turn.session.data.clear()
        put.turn.finish()
        put.provide(b"")
        assert put.sent() == ["200", "ResponseItem 'a'", "Response", "END"]
        return
    if how == "fail":
        put.machine.fail("no")  # the session ends, and what it remembers
        assert put.told() == ["TurnInterrupted 1 error", "StoreNeed a 3600"]
        return
    if how == "second":
        second = server.say(cookie="a")
        assert second.told() == ["SessionNeed a"]
    elif how == "give way":
        put.machine.give_way()
    else:
        put.turn.interrupt()
    assert put.told()[0].startswith("TurnInterrupted 1")
    assert put.closed
    assert put.sent()[-2:] in (["Error", "END"], ["Response", "END"])


def test_gets_need_no_session() -> None:
    server = _stored()
    get = server.get("a")
    put = server.put(BLOCK, cookie="a")
    assert (get.told(), get.state) == ([], State.SLEEPING)
    put.provide(None)
    put.stream.recognized("x", final=False)
    assert get.sent() == ["200", f"{INTERIM} x"]


# ------------------------------------------------------------ words of the host, out of place


def _words(put: Request) -> dict[str, Callable[[], object]]:
    machine = put.machine
    return {
        "ready": machine.ready,
        "begin": machine.begin,
        "fail": lambda: machine.fail("no"),
        "refuse with a status that is none": lambda: machine.fail("no", status=200),
        "send Ready": lambda: machine.send(ReadyEvent()),
        "send Error": lambda: machine.send(ErrorEvent(text="no")),
        **{
            f"send {type(event).__name__}": lambda event=event: machine.send(event)
            for event in (
                *(SessionEndEvent(), UnknownEvent(data=NEW), BinaryEvent(data=b""), BinaryEvent(data=b"x")),
                *(InputEvent(input=Input()), ResponseEvent(response=Response()), LogEvent(), ClosedEvent()),
                *(ResponseItemEvent(response_item=ResponseItem()), RecognizedInputEvent(input=Input())),
                InputAudioStreamOpenEvent(),
            )
        },
        "provide": lambda: machine.provide(SessionNeed(session_id="a", key="K", device_id="D"), None),
        "rename": lambda: machine.rename_session("b"),
    }


FAILING = {"fail", "send Error"}
LEGAL_WORDS = {
    "nothing": set[str](),
    "head": {*FAILING, "ready", "send Ready"},
    **dict.fromkeys(("ready", "log", "piece", "text"), FAILING),
    **{where: {*FAILING, "rename"} for where in (*JOINED, *IN_A_TURN)},
    "responding": FAILING,
}


@pytest.mark.parametrize("where", list(LEGAL_WORDS))
def test_a_word_that_is_out_of_place_changes_nothing(where: str) -> None:
    put = BRINGS[where](Server())
    for word, call in _words(put).items():
        if word not in LEGAL_WORDS[where]:
            late = where == "responding" and word == "rename"
            refused(put, call, TooLateError if late else LocalProtocolError)


@pytest.mark.parametrize("where", ["answered", "refused"])
def test_a_word_that_comes_too_late(where: str) -> None:
    put = BRINGS[where](Server())
    for word, call in _words(put).items():
        never = where == "refused" and word == "rename"  # there has been no session
        refused(put, call, LocalProtocolError if never else TooLateError)


@pytest.mark.parametrize("end", ["lost", "END"])
def test_nothing_can_be_done_after_the_end(end: str) -> None:
    server = Server()
    put = server.put(BLOCK, HELLO)
    turn, stream = put.turn, put.stream
    if end == "END":
        turn.finish()
        put.receive(END)
    else:
        put.lost()
    for word, call in _words(put).items():
        if word not in ("rename", "refuse with a status that is none"):
            refused(put, call, TooLateError)
    for call in (
        stream.ready,
        stream.end_of_utterance,
        lambda: stream.recognized("x", final=True),
        lambda: turn.say("x"),
        turn.finish,
    ):
        refused(put, call, TooLateError)
    put.forget()
    turn.interrupt()
    put.machine.give_way()
    put.machine.close()
    assert (put.told(), put.sent()) == ([], [])


def test_what_is_recognised_too_late() -> None:
    """D-44."""
    for end in ("final", "silence", "stream closed", "text", "error", "garbage"):
        server = Server()
        put = server.put(BLOCK, cookie="a")
        FINALS[end](put)
        refused(put, lambda put=put: put.stream.recognized("x", final=True), TooLateError)
        refused(put, lambda put=put: put.stream.recognized("x", final=False), TooLateError)
        refused(put, put.stream.end_of_utterance, TooLateError)
        refused(put, put.stream.ready, TooLateError)


def test_handles_send_only_what_is_theirs() -> None:
    put = Server().put(BLOCK)
    refused(put, lambda: put.stream.send(ErrorEvent(text="x")))  # type: ignore[arg-type]
    put.receive(HELLO)
    refused(put, lambda: put.turn.send(ErrorEvent(text="x")))  # type: ignore[arg-type]


def test_an_error_says_what_would_be_legal() -> None:
    put = Server().put()
    with pytest.raises(LocalProtocolError, match="not legal in Sleeping"):
        put.machine.begin()
    with pytest.raises(LocalProtocolError, match="400 to 599"):
        put.machine.fail("no", status=200)
    with pytest.raises(LocalProtocolError, match="RequestHead"):
        Server().open(None).machine.fail("no")


@pytest.mark.parametrize("status", [200, 204, 302, 399, 600, 0, -1])
def test_a_refusal_has_a_status_of_its_own(status: int) -> None:
    put = Server(accept=False).put()
    refused(put, lambda: put.machine.fail("no", status=status))


@pytest.mark.parametrize("where", ["ready", "log", "stream closed", "recognising", "recorded"])
def test_the_host_reports_an_error_before_a_turn(where: str) -> None:
    server = Server()
    put = BRINGS[where](server).forget()
    put.machine.fail("no", source="door", status=500)
    ended = ["END"] if where == "recorded" else []
    assert put.sent() == ["200", "Error", *ended]
    assert put.told() == (["Closed 1000"] if ended else [])


def test_an_error_after_a_log_is_no_end_of_a_session_that_was_only_looked_at() -> None:
    server = Server()
    session = server.converse("a")
    running = server.say(cookie="a")
    logs = server.put(LOG, cookie="a")
    logs.machine.fail("no")
    assert logs.sent() == ["200", "Error"]
    assert not session.ended
    running.turn.finish()
    server.settle()
    assert server.say(cookie="a").machine.session is session


@pytest.mark.parametrize("where", IN_A_TURN)
def test_the_host_reports_an_error_in_a_turn(where: str) -> None:
    server = Server()
    put = BRINGS[where](server).forget()
    put.turn.say("withdrawn")
    put.machine.fail("no", source="door")
    ended = where == "processing, body ended"
    head = [] if where == "responding" else ["200"]
    assert put.sent() == [*head, "Error", *(["END"] if ended else [])]
    assert put.told() == ["TurnInterrupted 1 error", *(["Closed 1000"] if ended else [])]
    assert put.turn.over
    assert put.turn.session.ended


# ------------------------------------------------------------ the host closes


@pytest.mark.parametrize("where", [each for each in BRINGS if each not in ("nothing", "refused")])
def test_the_host_closes_a_put(where: str) -> None:
    server = Server()
    put = BRINGS[where](server).forget()
    put.machine.close(1001, "restarting")
    interrupted = ["TurnInterrupted 1 closed"] if where in IN_A_TURN else []
    if where == "answered":
        assert (put.sent(), put.told()) == (["END"], ["Closed 1000"])
    elif where == "responding":
        assert put.sent() == ["Close 1001"]
        assert put.told() == [*interrupted, "Closed 1001"]
    else:
        status, text, end = put.sent()
        assert (status, end) == ("503", "END")
        assert text.startswith("! ") or text == "Error"
        assert "restarting" in put.body.decode()
        assert put.told() == [*interrupted, "Closed 1000"]
    assert server.sessions._under_way == {}
    put.machine.close()
    put.machine.close()
    assert (put.told(), put.sent()) == ([], [])


def test_a_second_close_does_nothing() -> None:
    put = Server().put()
    put.machine.close()
    put.machine.close()
    assert (put.told(), put.sent()) == (["Closed 1000"], ["503", "Error", "END"])
    put.machine.close()
    put.receive(b"x", END)
    assert (put.told(), put.sent()) == ([], [])


def test_a_close_before_the_request_was_read() -> None:
    for head in (put_head(), put_head(content_type="unknown/type"), get_head("a")):
        put = Server().open(None)
        put.feed(head, b"x", END)
        put.machine.close()
        assert (put.told(), put.history, put.sent()) == (["Closed 1000"], put.history[-1:], ["Close 1000"])


def test_a_close_before_there_is_a_request() -> None:
    put = Server().open(None)
    put.machine.close()
    assert (put.told(), put.sent()) == (["Closed 1000"], ["Close 1000"])


@pytest.mark.parametrize("kind", ["PUT", "GET"])
def test_an_init_that_is_answered_after_a_close(kind: str) -> None:
    for late in (lambda machine: machine.ready(), lambda machine: machine.fail("no")):
        server = Server(accept=False)
        request = server.open(put_head(cookie="a") if kind == "PUT" else get_head("a"))
        request.machine.close()
        assert request.sent()[:1] == ["503" if kind == "PUT" else "204"]
        refused(request, lambda late=late, request=request: late(request.machine), TooLateError)
        request.receive(END)
        assert request.closed


def test_what_was_answered_goes_out_before_the_close() -> None:
    put = Server().put(HELLO)
    put.turn.say("a")
    put.turn.finish()
    put.machine.close(1001, "restarting")
    assert put.sent() == ["200", "ResponseItem 'a'", "Response", "END"]


def test_a_close_after_the_answer_leaves_a_sleeping_session_asleep() -> None:
    server = Server()
    put = server.put(HELLO, cookie="a")
    put.turn.finish(sleep_timeout=60)
    put.machine.close()
    server.settle()
    session = server.sessions.find("a", "K", "D")
    assert session is not None
    assert session.asleep
    server.advance(60)
    assert server.sessions.find("a", "K", "D") is None


# ------------------------------------------------------------ limits


FEW = Limits(queued_bytes=1000, body_bytes=1000, message_bytes=500)


def _flood(put: Request) -> None:
    for _ in range(50):
        put.feed(b"")


@pytest.mark.parametrize("where", ["ready", "recognising", "processing"])
def test_a_client_that_floods_is_cut_off(where: str) -> None:
    server = Server(limits=FEW)
    put = BRINGS[where](server).forget()
    _flood(put)
    assert put.machine.full
    put.step()
    assert put.told() == ["Fault", *([CUT] if where == "processing" else [])]
    assert isinstance(put.fault, LimitExceeded)
    assert put.sent() == ["413", "Error"]
    assert not put.machine.full
    put.receive(END)
    assert (put.told(), put.sent()) == (["Closed 1000"], ["END"])


def test_a_client_that_floods_before_the_host_has_answered() -> None:
    server = Server(accept=False, limits=FEW)
    for late in (lambda put: put.machine.ready(), lambda put: put.machine.fail("no")):
        put = server.put()
        assert not put.machine.full
        put.feed(b" " * 500)
        assert put.machine.full
        for _ in range(10):
            put.feed(b" " * 500)
        put.step()
        assert put.sent() == ["413", "Error"]
        refused(put, lambda late=late, put=put: late(put), TooLateError)


def test_a_client_that_floods_after_something_was_sent() -> None:
    server = Server(limits=FEW)
    put = _say(server.put(HELLO, cookie="a")).forget()
    _flood(put)
    put.step()
    assert put.told() in ([CUT, "Fault"], ["Fault", CUT])
    assert put.sent() == ["Error"]
    put.receive(END)
    assert put.closed
    assert server.say(cookie="a").session_id == "s1"


@pytest.mark.parametrize("seen", [False, True])
def test_a_client_that_floods_after_the_answer(seen: bool) -> None:
    server = Server(limits=FEW)
    put = server.put(HELLO, cookie="a")
    put.turn.finish()
    if seen:
        assert put.sent() == ["200", "Response"]
    _flood(put)
    put.step()
    *found, last = put.sent()
    assert found == ([] if seen else ["200", "Response"])
    assert last in ("END", "Close 1009")
    assert put.closed
    assert server.say(cookie="a").turn.number == 2


def test_a_client_that_floods_while_a_session_is_loaded_or_stored() -> None:
    server = Server(stored=True, limits=FEW)
    put = server.put(HELLO, cookie="a")
    _flood(put)
    put.step()
    assert put.sent() == ["413", "Error"]
    refused(put, lambda: put.provide(None), TooLateError)
    for begun in (False, True):
        put = _in_turn(server, "b", HELLO)
        if begun:
            _say(put).forget()
        put.turn.finish()
        assert put.told() == ["StoreNeed b 3600"]
        _flood(put)
        put.step()
        assert put.told()[0] == "Fault"
        server.advance(5)
        assert put.closed
        refused(put, lambda put=put: put.provide(b""), TooLateError)


def test_empty_pieces_cannot_be_heaped_up_for_nothing() -> None:
    server = Server(accept=False, limits=Limits(queued_bytes=6400, body_bytes=100))
    put = server.put()
    count = 0
    while not put.machine.full:
        put.feed(b"")
        count += 1
    assert count == 50
    for _ in range(200):
        put.feed(b"")
    put.step()
    assert put.sent() == ["413", "Error"]


def test_a_huge_piece_is_not_kept() -> None:
    put = Server(accept=False, limits=Limits(body_bytes=100)).put()
    put.feed(b"x" * 10_000_000)
    assert put.machine._inbox_bytes < 300
    put.machine.ready()
    assert put.status in (400, 413)


def test_a_host_that_sends_on_and_on_is_stopped() -> None:
    put = Server(limits=Limits(queued_bytes=1000, message_bytes=500)).put(HELLO, END)
    put.machine.wake = None
    for _ in range(10):
        full = len(put.machine._outbox) > 2
        with pytest.raises(LocalProtocolError, match="data_to_send") if full else nullcontext():
            put.turn.say("x" * 300)
    put.turn.finish()
    put.step()
    assert put.sent()[-2:] == ["Response", "END"]


def test_a_recogniser_that_sends_on_and_on_cannot_stop_silence() -> None:
    server = Server(limits=Limits(queued_bytes=1000, message_bytes=500))
    put = server.put(BLOCK)
    for _ in range(100):
        put.stream.recognized("x" * 300, final=False)
    server.advance(5)
    assert put.told()[-1] == "Input #silence"


# ------------------------------------------------------------ anything, in any order


class Anything:
    """A server, a host that does what it is told, and clients that do what they like.

    Args:
        stored: the host stores the sessions.
        queue: inputs queue up.
        prompt: the host accepts every client at once.
    """

    def __init__(self, *, stored: bool, queue: bool, prompt: bool) -> None:
        self.server = exchanges.Server(
            stored=stored,
            sessions={"most_waiting": 3, "most": 3, "keep_for": 40.0},
            queue_inputs=queue,
            accept=prompt,
            limits=Limits(queued_bytes=4000, body_bytes=2000, message_bytes=500),
        )
        self.store: dict[str, bytes] = {}
        self.answered: set[int] = set()

    # -------------------------------------------------------- the clients

    COOKIES = (None, "a", "a", "a", "b", "a.b")
    TYPES = (JSON, JSON, JSON, TEXT, MSGPACK, WAV, "image/png")
    PIECES: tuple[Any, ...] = (
        *(HELLO, HELLO, BLOCK, BLOCK, LOG, INPUT_CLOSE, NEW, {"type": "Vote", "vote": 1}, b"{", b"", b"text"),
        *(b" " * 1500, END, END, END),
    )

    def put(self, number: int) -> None:
        cookie, content_type = self.COOKIES[number % 6], self.TYPES[number // 6 % 7]
        query = LIVE if number % 2 else None
        self.server.put(content_type=content_type, cookie=cookie, query=query, owner=self._owner(number))

    def whole(self, number: int) -> None:
        piece = (HELLO, BLOCK, LOG)[number // 6 % 3]
        self.server.put(piece, END, cookie=self.COOKIES[number % 6], owner=self._owner(number))

    def get(self, number: int) -> None:
        self.server.open(get_head(self.COOKIES[number % 6], owner=self._owner(number))).receive(END)

    def piece(self, request: Request, number: int) -> None:
        piece = self.PIECES[number % len(self.PIECES)]
        if request.machine._media_type == MSGPACK and piece is BLOCK:
            piece = PACKED_BLOCK
        request.feed(piece)
        request.step()

    def pieces(self, request: Request, number: int) -> None:
        try:
            request.feed(self.PIECES[number % len(self.PIECES)], self.PIECES[number // 7 % len(self.PIECES)])
        finally:
            request.step()

    def lost(self, request: Request, number: int) -> None:
        request.gone = True
        if number % 3:
            request.machine.receive_eof()
        else:
            request.machine.receive_data(Close())
        request.step()

    @staticmethod
    def _owner(number: int) -> dict[str, str]:
        return OTHER if number % 11 == 10 else OWNER

    # -------------------------------------------------------- the host

    def answer(self, request: Request, number: int) -> None:
        """What the machine stands still for; or a word that nobody waits for."""
        need = request.machine._question
        if isinstance(need, SessionNeed):
            known = self.store.get(need.session_id)
            request.machine.provide(need, (known, known, None, b"garbage")[number % 4])
        elif isinstance(need, StoreNeed):
            if number % 4:
                self.store[need.session_id] = need.snapshot
            request.machine.provide(need, need.snapshot if number % 4 else None)
        elif number % 5:
            request.machine.ready()
        else:
            request.machine.fail("no", status=401)

    def speak(self, request: Request, number: int) -> None:
        turn = request.turns[-1] if request.turns else None
        if turn is None:
            request.machine.fail("no turn")
            return
        (
            lambda: turn.say("part"),
            lambda: turn.say(ResponseItem(ssml="<speak/>")),
            turn.finish,
            turn.finish,
            lambda: turn.finish(session_ended=True),
            lambda: turn.finish(sleep_timeout=20),
            turn.interrupt,
            lambda: turn.fail("broken"),
            lambda: turn.session.data.update(x=object()),
            lambda: turn.session.data.clear(),
        )[number % 10]()

    def hear(self, request: Request, number: int) -> None:
        stream = request.streams[-1] if request.streams else None
        if stream is None:
            request.machine.begin()
            return
        (
            lambda: stream.recognized("x", final=False),
            lambda: stream.recognized("x y", final=True),
            stream.end_of_utterance,
            stream.ready,
        )[number % 4]()

    def decide(self, request: Request, number: int) -> None:
        machine = request.machine
        (
            machine.give_way,
            machine.close,
            lambda: machine.fail("no"),
            lambda: machine.rename_session(f"n{number}"),
            lambda: machine.fail("no", status=503),
            lambda: machine.close(1001, "restarting"),
        )[number % 6]()

    def time(self, number: int) -> None:
        self.server.advance((0.3, 1.0, 1.5, 5.0, 20.0, 31.0)[number % 6])

    def settle(self, number: int) -> None:  # noqa: ARG002
        self.server.settle()
        self.check_that_nobody_was_forgotten()

    # -------------------------------------------------------- doing it

    def do(self, what: str, which: int, number: int) -> None:
        if what in ("put", "whole", "get", "time", "settle"):
            getattr(self, what)(number)
            return
        if self.server.requests:
            request = self.server.requests[-1 - which % len(self.server.requests)]
            # What is too late or out of place is refused; nothing else may be raised.
            with suppress(LocalProtocolError):
                getattr(self, what)(request, number)

    def check(self) -> None:
        """What holds at any time, between any two calls."""
        sessions = self.server.sessions
        assert sessions.waiting == sum(each.machine._waits for each in self.server.requests)
        meetings = set(sessions._under_way.values())
        for meeting in meetings:
            there = [each for each in (meeting.put, meeting.waiting, meeting.get) if each is not None]
            assert there
            assert all(each._meeting is meeting and not each._answered for each in there)
            assert meeting.waiting is None or meeting.put is None or meeting.waiting is not meeting.put
        running = [each.machine for each in self.server.requests if each.machine._running is not None]
        assert all(each._meeting is not None and each._meeting.put is each for each in running)
        names = [(each.session_id, each.init.key) for each in running if each.init]
        assert len(names) == len(set(names)), "two turns of a session at once"
        owners = {machine.session_id: machine for machine in running}
        assert len(owners) == len(running) or sessions.stored, "two owners of one id"

    def check_that_nobody_was_forgotten(self) -> None:
        """Whoever was not woken has nothing to tell, nothing to send, and its timer is set."""
        for each in self.server.requests:
            before = len(each.history), len(each.output)
            due = each.machine.next_deadline()
            assert due is None or (each.armed is not None and each.armed <= due)
            if due is None or due > self.server.clock.now:
                each.step()
                assert (len(each.history), len(each.output)) == before
                assert each.woken is False

    def finish(self) -> None:
        """Everybody does what is due, and time passes: nothing may hang."""
        for _ in range(4 + 4 * len(self.server.requests)):
            for each in self.server.requests:
                if each.machine._question is not None:
                    self.do("answer", self.server.requests[::-1].index(each), 1)
                if each.turns and not each.turns[-1].over:
                    each.turns[-1].session.data.clear()
                    each.turns[-1].finish()
            self.server.settle()
            self.check()
            if all(each.closed for each in self.server.requests):
                break
            self.server.advance(31)
        assert [each for each in self.server.requests if not each.closed] == []
        self.server.finish()
        assert self.server.sessions._owners == {}


ACTS = (
    *("put", "whole", "whole", "get", "piece", "piece", "piece", "pieces", "lost", "time", "settle"),
    *("answer", "answer", "answer", "speak", "speak", "speak", "hear", "hear", "decide", "settle"),
)


@settings(max_examples=examples(100), deadline=None)
@given(
    stored=st.booleans(),
    queue=st.sampled_from([False, False, True]),
    prompt=st.sampled_from([True, True, False]),
    acts=st.lists(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 3), st.integers(0, 300)),
        max_size=40,
    ),
)
def test_anything_in_any_order(
    stored: bool, queue: bool, prompt: bool, acts: list[tuple[str, int, int]]
) -> None:
    world = Anything(stored=stored, queue=queue, prompt=prompt)
    for act in acts:
        world.do(*act)
        world.check()
    world.finish()

"""Recordings as HAR, and back; what browsers and proxies export is read, and what is no HAR is refused."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.cli import main
from flowstorm_channel.conformance.recordings import breaches_in
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace import Head, Opened, Record, Recording, of_har, to_har
from flowstorm_channel.trace.drawing import picture_of, to_lines
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.depth import examples
from tests.pictured import conversation
from tests.recorded import V2Walk
from tests.test_trace_records import records, texts

OFFICIAL: dict[str, Any] = json.loads(
    (Path(__file__).parent / "official/har-schema-2.0.0.json").read_text(encoding="utf-8")
)
REGISTRY: Any = referencing.Registry().with_resources(
    (f"{name}#", referencing.Resource.from_contents(each)) for name, each in OFFICIAL.items()
)
SCHEMA = jsonschema.Draft6Validator(
    OFFICIAL["har.json"], registry=REGISTRY, format_checker=jsonschema.Draft6Validator.FORMAT_CHECKER
)
ASKED = "http://voice.test/client?key=K&deviceId=D&sendResponseItems=false"
JSON = (("Content-Type", "application/json"),)
ANSWER = (
    '{"type":"Response","response":{"items":[{"text":"Ahoj"}],"logs":[],"attributes":{},"locale":"cs",'
    '"sessionEnded":false,"sleepTimeout":5,"sessionTimeout":5}}\n'
)
SET_COOKIE = "flowstorm-session-id=s-1; Path=/; HttpOnly; SameSite=Lax"


def written(recording: Recording, **options: Any) -> Any:
    """The HAR of a recording, as another program reads it; it is one."""
    tree = json.loads(json.dumps(to_har(recording, **options), allow_nan=False))
    SCHEMA.validate(tree)
    return tree


def recording(*said: tuple[float, str, Message], channel: str = "socket-v2") -> Recording:
    """What was said on one wire: when, by whom, what."""
    kept = [Record(at=at, wire=0, by=by, message=message) for at, by, message in said]  # type: ignore[arg-type]
    return Recording(Head(channel=channel, seen_by="server"), tuple(kept))


def entry_of(*said: tuple[float, str, Message], channel: str = "socket-v2", **options: Any) -> Any:
    (entry,) = written(recording(*said, channel=channel), **options)["log"]["entries"]
    return entry


def put(
    body: bytes = b'{"type":"Input"}', *, url: str = "/client?key=K&deviceId=D"
) -> list[tuple[float, str, Message]]:
    """A request of V2 and its answer, which comes in two pieces."""
    return [
        (1.0, "client", RequestHead(method="PUT", url=url, headers=(*JSON, ("Cookie", "a=1; b=2")))),
        (1.25, "client", body),
        (1.5, "client", END),
        (
            2.0,
            "server",
            ResponseHead(
                status=200, headers=(*JSON, ("Cache-Control", "no-store"), ("Set-Cookie", SET_COOKIE))
            ),
        ),
        (2.5, "server", ANSWER[:9].encode()),
        (3.0, "server", ANSWER[9:].encode()),
        (3.0, "server", END),
    ]


# ------------------------------------------------------------ there and back


@given(
    st.lists(records, max_size=8),
    st.sampled_from(["client", "server"]),
    st.sampled_from(["socket-v1", "socket-v2", "twilio"]) | texts,
    st.lists(texts, max_size=2).map(tuple),
)
def test_wires_are_read_again_as_they_were(
    kept: list[Record], end: Any, channel: str, redacted: tuple[str, ...]
) -> None:
    kept = [
        Record(at=math.fmod(each.at, 1e9), wire=each.wire % 3, by=each.by, message=each.message)
        for each in kept
    ]
    whole = Recording(
        Head(channel=channel, seen_by=end, redacted=redacted),
        tuple(sorted(kept, key=lambda each: each.at)),
    )
    assert of_har(written(whole)) == whole


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("end", ["client", "server"])
def test_walks_of_v2_are_read_again_and_linted_alike(seed: int, end: Any) -> None:
    walk = V2Walk(random.Random(seed))
    for _ in range(60):
        walk.move()
    kept = walk.link.recording.seen[end]
    assert sum(isinstance(each.message, ResponseHead) for each in kept) > 1
    whole = Recording(Head(channel="socket-v2", seen_by=end), tuple(kept))
    again = of_har(written(whole))
    assert again == whole
    assert breaches_in(again) == breaches_in(whole)


def test_a_recording_of_machines_of_one_kind_becomes_one_of_their_channel() -> None:
    whole = conversation()
    assert whole.head.channel == "mixed"
    assert any(not isinstance(each, Record) for each in whole.entries)
    again = of_har(written(whole))
    assert again.entries == whole.records
    assert again.head == Head(channel="socket-v1", seen_by="server", redacted=whole.head.redacted)


def mixed() -> Recording:
    """Two machines, each of a channel, with words in turn and at the same time."""
    asked, answered = RequestHead(url="/x"), ResponseHead(status=200)
    said: list[Any] = [
        Opened(at=0, channel=0, kind="AlexaServer"),
        Opened(at=0, channel=1, kind="SocketV2Client"),
        Opened(at=0, channel=2, kind="Unknown"),
        *(Record(at=0, wire=wire, by="client", message=asked, channel=wire) for wire in (1, 0)),
        *(Record(at=1, wire=wire, by="server", message=answered, channel=wire) for wire in (1, 0)),
    ]
    return Recording(Head(channel="mixed", seen_by="server"), tuple(said))


def test_machines_of_several_kinds_stay_apart() -> None:
    tree = written(mixed())
    assert of_har(tree) == Recording(mixed().head, mixed().records)
    alexa, client = of_har(tree, channel="alexa"), of_har(tree, channel="socket-v2")
    assert (alexa.head.channel, alexa.head.seen_by) == ("alexa", "server")
    assert (client.head.channel, client.head.seen_by) == ("socket-v2", "client")
    assert [each.channel for each in (*alexa.records, *client.records)] == [0, 0, 1, 1]
    with pytest.raises(RemoteProtocolError, match="nothing of twilio"):
        of_har(tree, channel="twilio")


@pytest.mark.parametrize("seen_by", ["client", "server"])
def test_a_recording_of_nothing_stays_one(seen_by: Any) -> None:
    nothing = Recording(Head(channel="alexa", seen_by=seen_by), ())
    assert of_har(written(nothing)) == nothing


def test_a_head_that_says_nothing_is_one_of_anything() -> None:
    tree = {"log": {"entries": [], "_flowstorm": {"channel": [], "seenBy": {}, "redacted": [1, "texts"]}}}
    assert of_har(tree).head == Head(channel="mixed", seen_by="server", redacted=("texts",))


def test_archives_put_together_have_wires_of_their_own() -> None:
    first, second = written(recording(*put())), written(recording(*put(b"{}")))
    first["log"]["entries"] += second["log"]["entries"]
    found = of_har(first)
    assert {each.wire for each in found.records} == {0, 1}
    assert len(found.records) == 2 * len(put())


# ------------------------------------------------------------ what is written


def test_an_exchange_is_an_entry() -> None:
    entry = entry_of(*put())
    assert entry["startedDateTime"] == "1970-01-01T00:00:01.000Z"
    assert entry["timings"] == {"send": 500.0, "wait": 500.0, "receive": 1000.0}
    assert entry["time"] == 2000.0
    request, response = entry["request"], entry["response"]
    assert (request["method"], request["url"]) == ("PUT", "http://localhost/client?key=K&deviceId=D")
    assert request["queryString"] == [{"name": "key", "value": "K"}, {"name": "deviceId", "value": "D"}]
    assert request["cookies"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    assert request["postData"] == {"mimeType": "application/json", "text": '{"type":"Input"}'}
    assert request["bodySize"] == len('{"type":"Input"}')
    assert response["status"] == 200
    assert response["content"] == {
        "size": len(ANSWER.encode()),
        "mimeType": "application/json",
        "text": ANSWER,
    }
    assert response["cookies"] == [
        {
            "name": "flowstorm-session-id",
            "value": "s-1",
            "path": "/",
            "sameSite": "Lax",
            "httpOnly": True,
            "secure": False,
        }
    ]
    assert response["headers"][0] == {"name": "Content-Type", "value": "application/json"}


def test_the_host_tells_what_time_zero_was() -> None:
    began = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert entry_of(*put(), began=began)["startedDateTime"] == "2026-03-01T10:30:01.000Z"
    with pytest.raises(ValueError, match="no time zone"):
        to_har(recording(*put()), began=datetime(2026, 3, 1))


@pytest.mark.parametrize("at", [math.nan, math.inf, 1e18, -1e12])
def test_a_time_that_no_calendar_has_is_not_written(at: float) -> None:
    with pytest.raises(ValueError, match="no time"):
        to_har(recording((at, "client", RequestHead(url="/"))))


def test_binary_bodies_are_base64() -> None:
    data = b"\x00\xff\x10"
    entry = entry_of(
        (0, "client", RequestHead(method="PUT", url="/client")),
        (0, "client", data),
        (0, "server", ResponseHead(status=200)),
        (0, "server", bytes(4)),
    )
    text = base64.b64encode(data).decode()
    assert entry["request"]["postData"] == {"mimeType": "x-unknown", "text": text, "_encoding": "base64"}
    assert entry["response"]["content"] == {
        "size": 4,
        "mimeType": "x-unknown",
        "text": "AAAAAA==",
        "encoding": "base64",
    }


def test_an_exchange_without_a_response_has_the_status_that_browsers_give_it() -> None:
    entry = entry_of(*put()[:3], (4.0, "client", Close(1006)))
    assert entry["response"]["status"] == 0
    assert entry["response"]["httpVersion"] == ""
    assert entry["response"]["content"] == {"size": 0, "mimeType": "x-unknown"}
    assert entry["timings"] == {"send": 500.0, "wait": 2500.0, "receive": 0.0}


def test_an_answer_before_the_end_of_the_request_does_not_make_time_run_back() -> None:
    early = [put()[0], (1.1, "server", ResponseHead(status=403)), *put()[1:3]]
    assert entry_of(*early)["timings"] == {"send": 100.0, "wait": 0.0, "receive": 400.0}


@pytest.mark.parametrize(
    ("url", "headers", "address"),
    [
        ("https://voice.test/client?a=1", (), "https://voice.test/client?a=1"),
        ("/client", (), "http://localhost/client"),
        ("client", (), "http://localhost/client"),
        ("", (), "http://localhost/"),
        ("/client", (("host", "voice.test:8000"),), "http://voice.test:8000/client"),
        ("/client", (("host", "voice test"),), "http://localhost/client"),
        ("/ahoj světe", (), "http://localhost/ahoj%20sv%C4%9Bte"),
        ("http://[", (), "http://["),
    ],
)
def test_addresses_are_absolute(url: str, headers: Any, address: str) -> None:
    request = entry_of((0, "client", RequestHead(url=url, headers=headers)))["request"]
    assert request["url"] == address


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (RequestHead(url="/socket"), ResponseHead(status=101)),
        (RequestHead(url="/socket"), None),
        (RequestHead(url="wss://voice.test/x"), None),
    ],
    ids=["accepted", "not answered", "by its address"],
)
def test_a_websocket_has_its_messages(head: RequestHead, answer: ResponseHead | None) -> None:
    channel = "socket-v2" if head.url[:1] == "w" else "socket-v1"  # the address alone says it
    answers: list[tuple[float, str, Message]] = [] if answer is None else [(0.5, "server", answer)]
    entry = entry_of(
        (0, "client", head), *answers, (1, "client", "{}"), (2.5, "server", b"\x01"), channel=channel
    )
    assert entry["_resourceType"] == "websocket"
    assert entry["request"]["url"].startswith("ws")
    assert entry["_webSocketMessages"] == [
        {"type": "send", "time": 1.0, "opcode": 1, "data": "{}"},
        {"type": "receive", "time": 2.5, "opcode": 2, "data": "AQ=="},
    ]
    assert "postData" not in entry["request"]
    assert entry["time"] == 2500.0


def test_a_refused_websocket_is_an_exchange() -> None:
    said: list[Any] = [(0, "client", RequestHead(url="/socket")), (0, "server", ResponseHead(status=403))]
    entry = entry_of(*said, (0, "server", b"no"), channel="socket-v1")
    assert entry["_resourceType"] == "fetch"
    assert entry["response"]["content"]["text"] == "no"


# ------------------------------------------------------------ what others have written


def foreign(
    method: str = "PUT",
    url: str = ASKED,
    *,
    headers: Any = JSON,
    body: str | None = '{"type":"Input","input":{"transcript":{"text":"hello"}}}',
    status: int = 200,
    answer: Any = ANSWER,
    started: str = "2026-03-01T10:00:00.250Z",
    **more: Any,
) -> dict[str, Any]:
    """An exchange as Chrome exports it."""
    pairs = [{"name": name, "value": value} for name, value in headers]
    sent = {} if body is None else {"postData": {"mimeType": "application/json", "text": body}}
    got = [("cache-control", "no-store"), ("content-type", "application/json"), ("set-cookie", SET_COOKIE)]
    content: dict[str, Any] = {"size": len(answer or ""), "mimeType": "application/json"}
    return {
        "startedDateTime": started,
        "time": 1000.0,
        "request": {
            "method": method,
            "url": url,
            "httpVersion": "h2",
            "cookies": [],
            "queryString": [],
            "headersSize": -1,
            "bodySize": -1,
            "headers": [{"name": ":method", "value": method}, *pairs],
            **sent,
        },
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "h2",
            "cookies": [],
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "headers": [{"name": name, "value": value} for name, value in (got if status else [])],
            "content": content if answer is None else {**content, "text": answer},
            "_error": None,
        },
        "cache": {},
        "timings": {
            "blocked": 10,
            "dns": -1,
            "ssl": -1,
            "connect": 40,
            "send": 50,
            "wait": 400,
            "receive": 500,
        },
        **more,
    }


def socket(
    *said: Any, url: str = "wss://voice.test/socket", status: int = 101, **more: Any
) -> dict[str, Any]:
    """A WebSocket as Chrome exports it."""
    headers = (("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x"), ("Origin", "http://voice.test"))
    entry = foreign("GET", url, headers=headers, body=None, status=status, answer="", **more)
    entry["response"]["headers"] = [{"name": "Sec-WebSocket-Accept", "value": "y"}]
    messages = [
        {"type": kind, "time": time, "opcode": opcode, "data": data} for kind, time, opcode, data in said
    ]
    return {**entry, "_resourceType": "websocket", "_webSocketMessages": messages}


def archive(*entries: object) -> dict[str, Any]:
    return {
        "log": {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": [], "entries": [*entries]}
    }


NOISE = (
    foreign("GET", "http://voice.test/", body=None, answer="<!doctype html>"),
    foreign("OPTIONS", ASKED, body=None, status=204, answer=""),
    foreign("POST", "http://other.test/collect", body="[" * 100_000),
    foreign("POST", "http://other.test/[", body=None, answer=""),
    foreign("GET", "http://[", body=None, answer=""),
    socket(("receive", 1.0, 1, '{"type":"connected"}'), ("send", 1.0, 1, "x"), url="ws://voice.test/hmr"),
)
START = 1772359200.25


def test_the_exchanges_of_a_browser_are_read() -> None:
    found = of_har(archive(*NOISE, foreign()))
    assert found.head == Head(channel="socket-v2", seen_by="client")
    said = [(each.by, each.message) for each in found.records]
    assert said[0] == ("client", RequestHead(method="PUT", url=ASKED, headers=JSON))
    assert said[1] == ("client", b'{"type":"Input","input":{"transcript":{"text":"hello"}}}')
    assert said[2] == ("client", END)
    assert isinstance(said[3][1], ResponseHead)
    assert said[3][1].header("Set-Cookie") == SET_COOKIE
    assert said[4:] == [("server", ANSWER.encode()), ("server", END)]
    assert [each.at for each in found.records] == pytest.approx(
        [START, START, START + 0.1, START + 0.5, START + 1, START + 1]
    )


def test_a_conversation_of_a_browser_is_drawn_and_linted() -> None:
    again = [("Content-Type", "application/json"), ("Cookie", "flowstorm-session-id=s-1")]
    good = foreign(headers=again, started="2026-03-01T10:00:05Z")
    assert breaches_in(of_har(archive(*NOISE, foreign(), good))) == []
    bad = foreign(started="2026-03-01T10:00:04.000Z")
    found = of_har(archive(*NOISE, foreign(), bad))
    assert [each.finding.rule for each in breaches_in(found)] == ["the_cookie_is_sent_back"]
    lines = [each.text for each in to_lines(picture_of(found))]
    assert any("PUT /client" in line for line in lines)


def test_what_was_given_up_says_by_whom() -> None:
    def last(error: Any, status: int = 0) -> Any:
        entry = foreign(status=status, answer="")
        entry["response"]["_error"] = error
        return of_har(archive(entry)).records[-1]

    assert (last(None).by, last(None).message) == ("client", Close(1006))
    assert last("net::ERR_ABORTED").by == "client"
    assert last("net::ERR_CONNECTION_RESET").by == "server"
    assert last("net::ERR_CONNECTION_RESET").message == Close(1006, "net::ERR_CONNECTION_RESET")
    assert last("net::ERR_INCOMPLETE_CHUNKED_ENCODING", status=200).message.code == 1006
    assert last("", status=200).message is END
    for response in (None, {}, {"status": None}):
        pending = foreign()
        pending["response"] = response
        assert of_har(archive(pending)).records[-1].message == Close(1006)


def test_a_body_that_the_archive_does_not_hold_is_not_judged() -> None:
    entry = foreign(answer=None)
    entry["response"]["content"]["size"] = 99
    found = of_har(archive(entry))
    assert isinstance(found.records[-1].message, ResponseHead)
    assert breaches_in(found) == []


def test_a_body_that_was_cut_off_is_as_one_that_is_not_there() -> None:
    """As browsers write what is over their limit: the others in the archive can still be read."""
    picture = foreign("GET", "http://voice.test/picture.png", body=None, answer="iVBORw0KGg")
    picture["response"]["content"] |= {"size": 5000, "encoding": "base64"}
    cut = foreign(answer="AAECA")
    cut["response"]["content"]["encoding"] = "base64"
    found = of_har(archive(picture, foreign(), cut))
    assert [type(each.message) for each in found.records if each.wire == 1][-1] is ResponseHead
    assert breaches_in(found) == []


@pytest.mark.parametrize("name", ["_encoding", "encoding"])
def test_binary_bodies_of_others_are_read(name: str) -> None:
    entry = foreign()
    entry["request"]["postData"] = {"mimeType": "audio/wav", "text": "AP8=", name: "base64"}
    entry["response"]["content"] |= {"text": "/wA=", "encoding": "base64"}
    found = of_har(archive(entry))
    assert [each.message for each in found.records if isinstance(each.message, bytes)] == [
        b"\x00\xff",
        b"\xff\x00",
    ]


def test_the_websockets_of_a_browser_are_read() -> None:
    init = '{"type":"Init","key":"k","deviceId":"d","config":{}}'
    entry = socket(
        ("send", START + 0.2, 1, init),
        ("receive", START + 0.3, 1, '{"type":"Ready"}'),
        ("send", START + 0.1, 9, ""),
        ("send", START + 0.25, 2, "AP8="),  # out of order
        ("error", START + 0.4, -1, "it broke"),
    )
    del entry["_webSocketMessages"][3]["time"]
    found = of_har(archive(*NOISE, entry))
    assert found.head == Head(channel="socket-v1", seen_by="client")
    origin = (("Origin", "http://voice.test"),)
    assert [(round(each.at - START, 3), each.by, each.message) for each in found.records] == [
        (0, "client", RequestHead(url="wss://voice.test/socket", headers=origin)),
        (0.2, "server", ResponseHead(status=101)),
        (0.2, "client", init),
        (0.3, "server", '{"type":"Ready"}'),
        (0.3, "client", b"\x00\xff"),
    ]


def test_a_websocket_that_never_opened_is_given_up() -> None:
    entry = socket(status=0)
    del entry["_webSocketMessages"]
    assert [each.message for each in of_har(archive(entry)).records][1:] == [Close(1006)]


def test_a_websocket_without_messages_has_its_handshake() -> None:
    entry = socket(url="https://voice.test/socket")  # as some proxies write it
    del entry["_webSocketMessages"]
    assert [type(each.message) for each in of_har(archive(entry)).records] == [RequestHead, ResponseHead]


def test_a_websocket_over_http_2_is_one() -> None:
    """CONNECT and 200 stand for GET and 101 there (RFC 8441)."""
    said = (
        ("send", START, 1, '{"type":"Init","key":"k","deviceId":"d"}'),
        ("receive", START, 1, '{"type":"Ready"}'),
    )
    for url in ("wss://voice.test/socket", "https://voice.test/socket"):
        entry = socket(*said, ("send", START, 2, "AP8="), url=url, status=200)
        entry["request"]["method"] = "CONNECT"
        found = of_har(archive(entry))
        assert found.head.channel == "socket-v1"
        messages = [each.message for each in found.records]
        assert messages[:2] == [RequestHead(url=url, headers=(("Origin", "http://voice.test"),)), SWITCHED]
        assert [row.kind for row in picture_of(found).rows][-1] == "audio"


SWITCHED = ResponseHead(status=101)


def test_an_exchange_without_messages_is_none_of_a_websocket() -> None:
    """Some writers give every entry the member."""
    found = of_har(archive({**foreign(), "_webSocketMessages": None}))
    assert found.records == of_har(archive(foreign())).records


def test_a_message_that_does_not_say_what_it_is_is_text() -> None:
    entry = socket(("send", START, 1, '{"type":"Ready"}'))
    del entry["_webSocketMessages"][0]["opcode"]
    assert of_har(archive(entry)).records[-1].message == '{"type":"Ready"}'


V3 = '{"handler":{"name":"h"},"intent":{},"session":{"id":"s"}}'
ALEXA = '{"version":"1.0","context":{},"request":{"type":"LaunchRequest"}}'


@pytest.mark.parametrize(
    ("entry", "channel"),
    [
        (foreign("POST", "https://x.test/skill", body=ALEXA), "alexa"),
        (foreign("POST", "https://x.test/hook", body=V3), "google"),
        (foreign("POST", "https://x.test/hook", body='{"inputs":[],"conversation":{}}'), "google"),
        (foreign("PUT", "https://x.test/talk?key=K&deviceId=D"), "socket-v2"),
        (foreign("GET", "https://x.test/t", headers=(("X-Key", "K"), ("X-DeviceId", "D"))), "socket-v2"),
        (foreign("GET", "https://x.test/a/client/", body=None), "socket-v2"),
        (foreign("POST", "https://x.test/alexa", body="?"), "alexa"),
        (foreign("POST", "https://x.test/google", body=None), "google"),
        (socket(("send", 1.0, 1, '{"type":"Ready"}'), url="wss://x.test/y"), "socket-v1"),
        (socket(("send", 1.0, 1, '{"event":"start"}'), url="wss://x.test/y"), "twilio"),
        (socket(url="wss://x.test/call"), "twilio"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["request"]["url"],
)
def test_channels_are_recognised(entry: Any, channel: str) -> None:
    assert of_har(archive(entry)).head.channel == channel


def test_msgpack_on_a_websocket_is_recognised_by_its_offer() -> None:
    entry = socket(("send", 1.0, 2, "gA=="), url="wss://x.test/y")
    offer = {"name": "Sec-WebSocket-Protocol", "value": "flowstorm.v1+msgpack"}
    entry["request"]["headers"].append(offer)
    assert of_har(archive(entry)).head.channel == "socket-v1"


def addresses(found: Recording) -> list[str]:
    """What was asked for, in order."""
    return [each.message.url for each in found.records if isinstance(each.message, RequestHead)]


def test_several_channels_are_told_apart_when_one_is_named() -> None:
    tree = archive(*NOISE, foreign(), socket(("send", 1.0, 1, '{"type":"Ready"}')))
    assert of_har(tree).head.channel == "mixed"
    assert addresses(of_har(tree, channel="socket-v1")) == ["wss://voice.test/socket"]
    assert addresses(of_har(tree, channel="socket-v2")) == [ASKED]


def test_what_nobody_recognises_is_what_it_is_said_to_be() -> None:
    tree = archive(*NOISE)
    with pytest.raises(RemoteProtocolError, match="nothing of a channel"):
        of_har(tree)
    assert addresses(of_har(tree, channel="twilio")) == ["ws://voice.test/hmr"]
    assert len(addresses(of_har(tree, channel="alexa"))) == len(NOISE) - 1
    with pytest.raises(RemoteProtocolError, match="nothing of alexa"):
        of_har(archive(NOISE[-1]), channel="alexa")


@pytest.mark.parametrize(
    "date",
    ["2026-03-01T10:00:00.250Z", "2026-03-01T12:00:00.250+02:00", "2026-03-01T09:00:00.250000-0100"],
)
def test_dates_have_any_zone(date: str) -> None:
    assert of_har(archive(foreign(started=date))).records[0].at == START


def test_times_that_are_not_known_are_none() -> None:
    entry = {**foreign(), "time": math.nan, "timings": None}
    assert {each.at for each in of_har(archive(entry)).records} == {START}
    entry = {**foreign(), "timings": {"send": "x", "wait": 10**400, "receive": -1}, "time": 2000}
    assert {each.at for each in of_har(archive(entry)).records} == {START, START + 2}


# ------------------------------------------------------------ what is no HAR


def changed(change: Callable[[Any], object], entry: Any = None) -> Any:
    entry = json.loads(json.dumps(foreign() if entry is None else entry))
    change(entry)
    return archive(entry)


def own(change: Callable[[Any], object], channel: str = "socket-v2") -> Any:
    said = (
        put()
        if channel == "socket-v2"
        else [(0.0, "client", RequestHead(url="/socket")), (0.0, "client", "{}")]
    )
    tree = written(recording(*said, channel=channel))
    change(tree["log"]["entries"][0])
    return tree


NONE: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no log": {},
    "a log of nothing": {"log": {}},
    "entries that are none": {"log": {"entries": {}}},
    "no entries, and not ours": archive(),
    "a text for our log": {"log": {"entries": [], "_flowstorm": "x"}},
    "a text for what is left out": {"log": {"entries": [], "_flowstorm": {"redacted": "x"}}},
    "an entry that is none": archive(1),
    "an entry of nothing": archive({}),
    "no method": changed(lambda entry: entry["request"].pop("method")),
    "a number for an address": changed(lambda entry: entry["request"].update(url=1)),
    "headers that are none": changed(lambda entry: entry["request"].update(headers={})),
    "a header without a value": changed(lambda entry: entry["request"].update(headers=[{"name": "A"}])),
    "a text for the status": changed(lambda entry: entry["response"].update(status="200")),
    "a status without end": changed(lambda entry: entry["response"].update(status=10**400)),
    "no date": changed(lambda entry: entry.pop("startedDateTime")),
    "a date without a zone": changed(lambda entry: entry.update(startedDateTime="2026-03-01T10:00:00")),
    "a month that is none": changed(lambda entry: entry.update(startedDateTime="2026-13-01T10:00:00Z")),
    "a body that is no base64": changed(
        lambda entry: entry["request"]["postData"].update(text="é", encoding="base64")
    ),
    "messages that are none": changed(lambda entry: entry.update(_webSocketMessages=1)),
    "a message that is none": changed(lambda entry: entry.update(_webSocketMessages=[1])),
    "a message without data": changed(
        lambda entry: entry.update(_webSocketMessages=[{"type": "send", "opcode": 1}])
    ),
    "a message at no time": changed(
        lambda entry: entry.update(
            _webSocketMessages=[{"type": "send", "opcode": 1, "data": "", "time": 10**400}]
        )
    ),
    "ours: nothing": own(lambda entry: entry.update(_flowstorm=None)),
    "ours: a third end": own(lambda entry: entry["_flowstorm"].update(seenBy="proxy")),
    "ours: a wire below zero": own(lambda entry: entry["_flowstorm"].update(wire=-1)),
    "ours: a number for an address": own(lambda entry: entry["_flowstorm"].update(url=1)),
    "ours: a record that is none": own(lambda entry: entry["_flowstorm"].update(records=[1])),
    "ours: what only a machine knows": own(
        lambda entry: entry["_flowstorm"]["records"].append({"at": 9, "channel": 0, "cut": "x"})
    ),
    "ours: a record without a number": own(lambda entry: entry["_flowstorm"]["records"][0].update(index="0")),
    "ours: a piece of less than nothing": own(
        lambda entry: entry["_flowstorm"]["records"][1].update(bytes=-1)
    ),
    "ours: a longer piece": own(lambda entry: entry["_flowstorm"]["records"][1].update(bytes=10**9)),
    "ours: a body that was changed": own(lambda entry: entry["request"]["postData"].update(text="{}")),
    "ours: a message more": own(
        lambda entry: entry["_flowstorm"]["records"].append({"message": True}), "socket-v1"
    ),
    "ours: a message less": own(lambda entry: entry["_flowstorm"]["records"].pop(), "socket-v1"),
}


@pytest.mark.parametrize("tree", NONE.values(), ids=NONE)
def test_what_is_no_har_is_refused(tree: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        of_har(tree)


def test_an_entry_that_is_none_is_named_by_its_number() -> None:
    with pytest.raises(RemoteProtocolError, match="entry 1 is none: not an object"):
        of_har(archive(foreign(), 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=examples(150))
@given(
    st.sampled_from([archive(foreign()), archive(socket(("send", 1.0, 1, "x"))), written(recording(*put()))]),
    st.randoms(use_true_random=False),
    json_values,
)
def test_whatever_stands_in_a_har_is_read_or_refused(tree: Any, rng: random.Random, value: Any) -> None:
    tree = json.loads(json.dumps(tree))
    place: Any = tree
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.1:
            break
        place = place[key]
    place[key] = value
    try:
        found = of_har(tree)
    except RemoteProtocolError:
        return
    assert of_har(json.loads(json.dumps(to_har(found)))).records == found.records


# ------------------------------------------------------------ the command line


BROWSER = archive(*NOISE, foreign(), foreign(started="2026-03-01T10:00:04Z"))
"""A client that forgets its session."""


@pytest.fixture
def browser_file(tmp_path: Path) -> Path:
    path = tmp_path / "browser.har"
    path.write_text(json.dumps(BROWSER), encoding="utf-8-sig")
    return path


def test_a_har_is_drawn_linted_and_converted(
    browser_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, again = tmp_path / "again.jsonl", tmp_path / "again.har"
    assert main(["trace", str(browser_file)]) == 0
    assert "PUT /client" in capsys.readouterr().out
    assert main(["conformance", "trace", str(browser_file)]) == 1
    assert "FSC-V2-" in capsys.readouterr().out
    assert main(["trace", str(browser_file), "--json-lines", str(lines)]) == 0
    assert main(["trace", str(lines), "--har", str(again)]) == 0
    assert capsys.readouterr().out == ""
    tree = json.loads(again.read_bytes())
    SCHEMA.validate(tree)
    assert of_har(tree) == of_har(BROWSER)


def test_a_har_comes_and_goes_over_pipes(
    browser_file: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(browser_file.read_bytes())))
    assert main(["trace", "-", "--har", "-"]) == 0
    assert of_har(json.loads(capsysbinary.readouterr().out)).head.channel == "socket-v2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(archive(NOISE[0])), "nothing of a channel is in the HAR"),
        (json.dumps(archive(foreign()))[:-9], "not a recording"),
        ("[" * 100_000, "not a recording"),
        ('{"a":' * 100_000, "not a recording"),
    ],
    ids=["of no channel", "cut off", "nested too deep", "objects nested too deep"],
)
def test_a_file_that_is_no_har_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "x.har"
    path.write_text(text)
    assert main(["trace", str(path)]) == 1
    assert said in capsys.readouterr().err


def test_a_recording_at_no_time_of_a_calendar_is_not_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "far.jsonl"
    path.write_text(
        '{"flowstorm-trace": 2, "channel": "socket-v2", "seenBy": "server"}\n'
        '{"at": 1e15, "wire": 0, "by": "client", "request": ["GET", "/", []]}\n'
    )
    assert main(["trace", str(path), "--har", str(tmp_path / "far.har")]) == 1
    assert "no time that a calendar has" in capsys.readouterr().err

"""What platforms send and are answered is valid by the documents of their channels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from flowstorm_channel.alexa.messages import AlexaRequest, AlexaResponse
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.events import Side
from flowstorm_channel.google.v2 import V2Request, V2Response
from flowstorm_channel.google.v3 import V3Request, V3Response
from flowstorm_channel.schemas import asyncapi_document, openapi_document
from flowstorm_channel.testing import ManualClock, strategies
from flowstorm_channel.testing.alexa import ECHO_SHOW, AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.twilio import PhoneCall, TwilioPeer
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio.frames import ClearFrame, MarkFrame, MediaFrame
from flowstorm_channel.values import Location
from flowstorm_channel.wire import Message
from tests.depth import examples


@cache
def of_platform(channel: Any, what: str) -> Callable[[Any], bool]:
    document = openapi_document(channel)
    (operation,) = document["paths"][f"/{channel}"].values()
    part = operation["requestBody"] if what == "request" else operation["responses"]["200"]
    schema = part["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}).is_valid


def alexa_requests() -> Iterator[bytes]:
    peer = AlexaPeer(
        lambda: datetime(2026, 1, 1, tzinfo=timezone.utc),
        interfaces=ECHO_SHOW,
        location=Location(lat=50.1, lng=14.4, acc=8.0),
    )
    yield peer.launch()[1]
    yield peer.say("hello")[1]
    yield peer.say(None)[1]
    yield peer.help()[1]
    yield peer.touch("a", 5)[1]
    yield peer.can_fulfill("BookIntent", day="Monday")[1]
    yield peer.request("AudioPlayer.PlaybackStarted", in_session=False, token="t")[1]
    yield peer.end("ERROR", {"type": "INVALID_RESPONSE", "message": "m"})[1]


def google_requests() -> Iterator[bytes]:
    for version in ("2", "3"):
        peer = GooglePeer(version, location=Location(lat=1.5, lng=2.5))  # type: ignore[arg-type]
        yield peer.health_check()[1]
        yield peer.launch()[1]


@pytest.mark.parametrize("body", [*alexa_requests()], ids=range(8))
def test_requests_of_alexa_are_valid(body: bytes) -> None:
    assert of_platform("alexa", "request")(json.loads(body))


@pytest.mark.parametrize("body", [*google_requests()], ids=["2-health", "2-main", "3-health", "3-main"])
def test_requests_of_google_are_valid(body: bytes) -> None:
    assert of_platform("google", "request")(json.loads(body))


@pytest.mark.parametrize(
    ("channel", "body"),
    [
        ("alexa", {}),
        ("alexa", {"request": {"type": ""}}),
        ("alexa", {"request": {"type": "Input"}}),
        ("alexa", {"request": {"type": "LaunchRequest"}, "session": {"new": "yes"}}),
        ("google", {"inputs": [], "conversation": {"conversationId": "c"}}),
        ("google", {"inputs": [{}], "conversation": {"conversationId": ""}}),
        ("google", {"inputs": [{}], "conversation": {"conversationId": "c"}, "session": {"id": "s"}}),
        ("google", {"handler": {}, "intent": {}, "session": {"id": ""}, "user": {}, "device": {}}),
    ],
    ids=range(8),
)
def test_what_is_no_request_is_not_valid(channel: str, body: Any) -> None:
    assert not of_platform(channel, "request")(body)


NAMED = {"alexa": (AlexaRequest,), "google": (V2Request, V3Request)}
ANSWERS = {"alexa": (AlexaResponse,), "google": (V2Response, V3Response)}


@pytest.mark.parametrize(
    ("channel", "cls"),
    [(channel, cls) for channel, classes in ANSWERS.items() for cls in classes],
    ids=lambda value: getattr(value, "__name__", value),
)
@given(st.data())
@settings(max_examples=examples(30), deadline=None)
def test_answers_to_platforms_are_valid(channel: str, cls: Any, data: st.DataObject) -> None:
    tree = json.loads(json.dumps(data.draw(strategies.values(cls)).to_json()))
    assert of_platform(channel, "answer")(tree)


@pytest.mark.parametrize(
    ("channel", "cls"),
    [(channel, cls) for channel, classes in NAMED.items() for cls in classes],
    ids=lambda value: getattr(value, "__name__", value),
)
@given(st.data())
@settings(max_examples=examples(30), deadline=None)
def test_all_that_a_request_can_be_is_valid(channel: str, cls: Any, data: st.DataObject) -> None:
    request = data.draw(strategies.values(cls))
    tree = json.loads(JsonCodec().encode_value(request))
    if channel == "alexa":
        tree["request"]["type"] = "LaunchRequest"
    else:
        # What no class says: who is named, and that there is something at all.
        if cls is V2Request:
            tree["inputs"] = [*tree["inputs"], {}]
            tree["conversation"]["conversationId"] = "c"
        else:
            tree["session"]["id"] = "s"
    assert of_platform(channel, "request")(tree)


class Listened(TwilioServer):
    """A server that keeps what Twilio has sent."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(auth_token=None, public_url=None, clock=clock)
        self.heard: list[Message] = []

    def receive_data(self, message: Message) -> None:
        self.heard.append(message)
        super().receive_data(message)


def test_frames_of_both_ends_of_a_call_are_valid() -> None:
    clock = ManualClock()
    peer = TwilioPeer(clock, parameters={"appKey": "k"}, hums=True)
    server = Listened(clock)
    call = PhoneCall(server, peer, clock, lambda event: answer(server, event))
    call.advance(0.2)
    peer.press("5")
    call.advance(0.2)
    turn = server.begin()
    turn.say(bytes(8000))
    call.advance(0.2)
    turn.interrupt()
    call.advance(0.2)
    peer.hang_up()
    call.settle()
    assert frames_of(Side.CLIENT, server.heard) == {"connected", "start", "media", "dtmf", "mark", "stop"}
    assert frames_of(Side.SERVER, call.sent) == {"media", "mark", "clear"}


def frames_of(side: Side, messages: list[Message]) -> set[str]:
    """The events of frames, all of which are valid."""
    document = asyncapi_document("twilio")
    events = set()
    for frame in (json.loads(message) for message in messages if isinstance(message, str)):
        payload = document["components"]["messages"][f"{side.value}{frame['event'].capitalize()}"]["payload"]
        assert in_draft_07(document, payload, frame), frame
        events.add(frame["event"])
    return events


def in_draft_07(document: dict[str, Any], schema: dict[str, Any], tree: Any) -> bool:
    return Draft7Validator({**schema, "components": document["components"]}).is_valid(tree)


def answer(server: TwilioServer, event: Any) -> None:
    """A host: it takes the call, and answers with a little audio."""
    match type(event).__name__:
        case "InitEvent":
            server.ready()
        case "InputEvent":
            assert server.turn is not None
            server.turn.say(bytes(400))
            server.turn.finish()


@pytest.mark.parametrize("cls", [MediaFrame, MarkFrame, ClearFrame], ids=lambda cls: cls.__name__)
@given(st.data())
@settings(max_examples=examples(20), deadline=None)
def test_frames_that_a_server_writes_are_valid(cls: Any, data: st.DataObject) -> None:
    document = asyncapi_document("twilio")
    key = f"server{cls.__name__.removesuffix('Frame')}"
    tree = json.loads(JsonCodec().encode_value(data.draw(strategies.values(cls))))
    assert in_draft_07(document, document["components"]["messages"][key]["payload"], tree)

"""Names of clients on every channel: what a host may rely on and may log, and whose sessions they find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from flowstorm_channel import (
    END,
    ClosedEvent,
    Event,
    FaultEvent,
    InitEvent,
    Input,
    Request,
    RequestHead,
    ResponseHead,
    ServerChannel,
    Sessions,
    SocketV1Server,
    SocketV2Server,
    Transcript,
)
from flowstorm_channel.alexa import AlexaCertificates, AlexaServer, Intents
from flowstorm_channel.alexa.signature import MOST_REFUSED, REFUSED_FOR
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.aws_lambda import AlexaHandler
from flowstorm_channel.contrib.platforms import Twilio
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.alexa import AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.signing import AlexaSigner
from flowstorm_channel.testing.twilio import PhoneCall, TwilioPeer
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio.frames import Frames

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def now() -> datetime:
    return NOW


def told(channel: ServerChannel, *messages: object) -> list[Event]:
    for message in messages:
        channel.receive_data(message)  # type: ignore[arg-type]
    return list(channel.events())


def v1(key: str, device_id: str) -> list[Event]:
    init = JsonCodec().encode(InitEvent(key=key, device_id=device_id))
    return told(SocketV1Server(), RequestHead(url="/socket"), init)


def v2(key: str, device_id: str) -> list[Event]:
    headers = (("X-Key", key), ("X-DeviceId", device_id), ("Content-Type", "text/plain"))
    return told(SocketV2Server(Sessions()), RequestHead(method="PUT", url="/client", headers=headers))


def google(key: str, device_id: str) -> list[Event]:  # noqa: ARG001
    peer = GooglePeer("3", now=now, url="/google", key=key)
    server = GoogleAssistantServer(Sessions(), project_ids=(), keys=None, now=now)
    return told(server, *peer.launch(), END)


def call(key: str, device_id: str) -> list[Event]:
    clock = ManualClock()
    server = TwilioServer(auth_token=None, public_url=None, clock=clock)
    peer = TwilioPeer(clock, parameters={"appKey": key, "deviceId": device_id})
    phone = PhoneCall(server, peer, clock)
    phone.settle()
    return phone.events


CHANNELS: dict[str, Callable[[str, str], list[Event]]] = {"v1": v1, "v2": v2, "google": google, "call": call}
EACH = pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)


@EACH
@pytest.mark.parametrize("key", ["alexa:amzn1.ask.skill.x", "ALEXA:x", "Alexa:", " alexa:x"])
def test_a_key_of_alexas_is_no_one_elses(channel: Callable[[str, str], list[Event]], key: str) -> None:
    events = channel(key, "device")
    assert not any(isinstance(each, InitEvent) for each in events)
    assert any(isinstance(each, FaultEvent) and each.error.path in ("key", "") for each in events)


@EACH
@pytest.mark.parametrize("key", ["alexa", "my-alexa:x", "dialogue:5f", ":x"])
def test_other_keys_are_opaque(channel: Callable[[str, str], list[Event]], key: str) -> None:
    (init,) = (each for each in channel(key, "device") if isinstance(each, InitEvent))
    assert init.key == key


@EACH
def test_a_name_is_one_line_of_a_log(channel: Callable[[str, str], list[Event]]) -> None:
    names = [("a\nb", "device")]
    if channel is not google:  # it makes its devices' names itself
        names.append(("key", "a\x1b[2Jb"))
    for key, device_id in names:
        assert not any(isinstance(each, InitEvent) for each in channel(key, device_id))


def test_a_call_with_such_a_name_ends() -> None:
    *_, fault, closed = call("alexa:x", "device")
    assert isinstance(fault, FaultEvent)
    assert isinstance(closed, ClosedEvent)


# ------------------------------------------------------------ logs


SECRET = "s3cr3t"


def test_tokens_are_not_shown() -> None:
    init = InitEvent(key="k", device_id="d", token=SECRET)
    request = Request(
        app_key="k", device_id="d", session_id="s", token=SECRET, input=Input(transcript=Transcript(text="x"))
    )
    start = '{"event":"start","start":{"streamSid":"MZ","customParameters":{"token":"s3cr3t"}}}'
    server = AlexaServer(Sessions(), skill_ids=None, certificates=None, now=now)
    told(server, *AlexaPeer(now, access_token=SECRET).launch(), END)
    for each in (init, request, Frames(server.limits).read(start), server.request):
        assert SECRET not in repr(each)
        assert "hidden" in repr(each)
    assert init.token == SECRET
    assert "token" not in repr(InitEvent(key="k", device_id="d"))


@pytest.mark.parametrize(
    "name", ["Authorization", "cookie", "X-Twilio-Signature", "google-assistant-signature", "Signature-256"]
)
def test_heads_are_shown_without_what_opens_doors(name: str) -> None:
    head = RequestHead(url="/call?token=s3cr3t&key=k", headers=((name, SECRET), ("Accept", "text/plain")))
    answer = ResponseHead(status=200, headers=(("Set-Cookie", SECRET),))
    assert SECRET not in repr(head) + repr(answer)
    assert "text/plain" in repr(head)
    assert "key=k" in repr(head)
    assert head.header(name) == SECRET


# ------------------------------------------------------------ sessions


def test_sessions_are_of_one_kind_of_channel() -> None:
    sessions = Sessions()
    SocketV2Server(sessions)
    SocketV2Server(sessions)
    with pytest.raises(ValueError, match="those of SocketV2Server: give AlexaServer its own"):
        AlexaServer(sessions, skill_ids=None, certificates=None, now=now)


# ------------------------------------------------------------ what nobody is to be made to fetch


def test_certificates_that_were_refused_are_not_asked_for_again_at_once() -> None:
    clock = ManualClock()
    certificates = AlexaCertificates(AlexaSigner().roots, clock=clock)
    url = "https://s3.amazonaws.com/echo.api/{}.pem"
    for number in range(MOST_REFUSED + 1):
        assert certificates.need(url.format(number)) is not None
        with pytest.raises(SignatureError):
            certificates.add(url.format(number), b"nonsense", NOW)
    assert certificates.need(url.format(0)) is not None  # the oldest is forgotten
    with pytest.raises(SignatureError, match="have been refused"):
        certificates.need(url.format(1))
    clock.advance(REFUSED_FOR)
    assert certificates.need(url.format(1)) is not None


def test_intents_are_listed() -> None:
    with pytest.raises(TypeError, match="must list intents"):
        Intents(fulfils="BookTable")
    assert Intents(fulfils=["BookTable"]).fulfils == {"BookTable"}


# ------------------------------------------------------------ functions that nobody awaits


async def never_awaited(*_: object) -> None:
    """What somebody writes who has seen that the others are coroutines."""


def test_functions_that_are_called_are_no_coroutines() -> None:
    with pytest.raises(TypeError, match="keypad is called, not awaited"):
        ChannelApp(never_awaited, keypad=never_awaited)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="greet is called, not awaited"):
        Twilio(public_url="https://h", auth_token="t", greet=never_awaited)  # type: ignore[arg-type]


def test_lambda_does_not_take_requests_of_anybody() -> None:
    handler = AlexaHandler(never_awaited, skill_ids={"x"})
    with pytest.raises(RemoteProtocolError, match="not verified here"):
        handler({"requestContext": {"http": {}}, "headers": {}, "body": "{}"})

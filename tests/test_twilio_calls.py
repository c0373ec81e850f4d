"""Phone calls beside their audio: TwiML, the webhook of a call, and calls that are asked for.

The peer is Twilio's own library, which never gets to the network here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]

from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError, SignatureError
from flowstorm_channel.limits import Limits
from flowstorm_channel.twilio.calls import API_URL, CallAnswer, CallRefused, CallRequest, hang_up_request
from flowstorm_channel.twilio.signature import HMAC_SHA256, SETTINGS_HEADER, SIGNATURE_HEADER, sign
from flowstorm_channel.twilio.twiml import (
    check_parameter,
    connect_stream,
    hang_up,
    reject,
    response,
    say_and_hang_up,
)
from flowstorm_channel.twilio.webhook import CallWebhook, answer_call
from flowstorm_channel.wire import RequestHead, ResponseHead
from tests.depth import examples

UNHURRIED = settings(max_examples=examples(60), deadline=None)
ACCOUNT, CALL, APPLICATION = (kind + "0123456789abcdef" * 2 for kind in ("AC", "CA", "AP"))
TOKEN = "s3cret-t0ken"
STREAM = "wss://voice.example.com/call"
THEM, US = "+420123456789", "+14155550100"

# What XML 1.0 can hold.
sayable = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r&<>\"'"),
    max_size=40,
)
named = sayable.filter(bool)


def tree(document: str) -> Any:
    """A document as a parser sees it: names, attributes, text, children."""

    def shape(element: ElementTree.Element) -> Any:
        return element.tag, dict(element.attrib), element.text or "", [shape(each) for each in element]

    assert document.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    return shape(ElementTree.fromstring(document.encode()))


# ------------------------------------------------------------ TwiML


def test_the_stream_of_the_specification() -> None:
    assert connect_stream(
        "wss://h/call/", parameters={"appKey": "a&b"}, action="https://h/after", status_callback="https://h/s"
    ) == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://h/after">'
        '<Stream url="wss://h/call/" statusCallback="https://h/s"><Parameter name="appKey" value="a&amp;b"/>'
        "</Stream></Connect></Response>"
    )


@UNHURRIED
@given(
    st.dictionaries(named, sayable, max_size=4),
    st.none() | sayable,
    st.none() | st.sampled_from(["https://h/s?a=1&b=2", "http://h"]),
    st.none() | st.sampled_from(["POST", "GET"]),
    st.none() | sayable,
    st.none() | st.sampled_from(["POST", "GET"]),
)
def test_streams_are_those_of_the_peer(
    parameters: dict[str, str],
    name: str | None,
    callback: str | None,
    callback_method: Any,
    action: str | None,
    method: Any,
) -> None:
    ours = connect_stream(
        STREAM,
        parameters=parameters,
        name=name,
        status_callback=callback,
        status_callback_method=callback_method,
        action=action,
        method=method,
    )
    theirs, connect = VoiceResponse(), Connect(action=action, method=method)
    stream: Any = connect.stream(
        url=STREAM, name=name, status_callback=callback, status_callback_method=callback_method
    )
    for key, value in parameters.items():
        stream.parameter(name=key, value=value)
    theirs.append(connect)
    assert tree(ours) == tree(str(theirs))
    [(_, _, _, [(_, _, _, [(_, _, _, found)])])] = [tree(ours)]
    assert [(each[1]["name"], each[1]["value"]) for each in found] == list(parameters.items())


@UNHURRIED
@given(sayable, st.none() | st.sampled_from(["en-US", "cs-CZ"]), st.none() | sayable)
def test_what_is_said_is_that_of_the_peer(text: str, language: str | None, voice: str | None) -> None:
    theirs = VoiceResponse()
    theirs.say(text, language=language, voice=voice)
    theirs.hangup()
    document = say_and_hang_up(text, language=language, voice=voice)
    assert tree(document) == tree(str(theirs).replace("\r", "&#13;"))
    assert tree(document)[3][0][2] == text


def test_refusals_are_those_of_the_peer() -> None:
    for ours, build in (
        (reject(), lambda theirs: theirs.reject(reason="rejected")),
        (reject("busy"), lambda theirs: theirs.reject(reason="busy")),
        (hang_up(), lambda theirs: theirs.hangup()),
    ):
        theirs = VoiceResponse()
        build(theirs)
        assert tree(ours) == tree(str(theirs))


@pytest.mark.parametrize(
    "url",
    [
        *("ws://h/call", "https://h/call", "/call", "h/call", "", "wss://", "wss:///call", "wss://:443/"),
        *(
            "wss://h/call?a=1",
            "wss://h/call?",
            "wss://h/call#a",
            "wss://h/a b",
            "wss://h/\n",
            "wss://h/\ud800",
        ),
    ],
    ids=ascii,
)
def test_a_stream_has_an_address_of_its_own_kind(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|host|begin|query|blank"):
        connect_stream(url)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status_callback": "/s"},
        {"status_callback": "wss://h/s"},
        {"status_callback_method": "PUT"},
        {"method": "get"},
        {"name": "\x00"},
        {"action": "\x1b"},
        {"parameters": {"": "value"}},
        {"parameters": {"name": "\x08"}},
        {"parameters": {"na\ufffeme": "value"}},
        {"parameters": {"name": "\ud800"}},
    ],
    ids=ascii,
)
def test_a_stream_that_could_not_be_is_a_mistake(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"address|begin|not one of|XML|no name"):
        connect_stream(STREAM, **wrong)


def test_name_and_value_of_a_parameter_have_less_than_500_characters() -> None:
    connect_stream(STREAM, parameters={"name": "x" * 495})
    with pytest.raises(ValueError, match="the parameter 'name' has more than 499 characters"):
        connect_stream(STREAM, parameters={"name": "x" * 496})
    check_parameter("n", "é" * 498)
    with pytest.raises(ValueError, match="more than 499"):
        check_parameter("n" * 500, "")


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), "\ud800", "\ufffe", "\uffff"], ids=ascii)
def test_what_xml_cannot_hold_is_not_written(character: str) -> None:
    if character in "\t\n\r":
        assert tree(say_and_hang_up(f"a{character}b"))[3][0][2] == f"a{character}b"
        return
    with pytest.raises(ValueError, match="XML has no form for the character"):
        say_and_hang_up(f"a{character}b")


def test_reasons_of_a_rejection() -> None:
    with pytest.raises(ValueError, match="'bored' is not one of rejected, busy"):
        reject("bored")  # type: ignore[arg-type]


def test_twiml_is_served_as_xml() -> None:
    head, body = response(say_and_hang_up("Žluťoučký"))
    assert (head.status, head.header("Content-Type")) == (200, "text/xml; charset=utf-8")
    assert tree(body.decode())[3][0][2] == "Žluťoučký"


# ------------------------------------------------------------ the webhook

PUBLIC = "https://voice.example.com"
FIELDS = {
    "CallSid": CALL,
    "AccountSid": ACCOUNT,
    "From": THEM,
    "To": US,
    "CallStatus": "ringing",
    "Direction": "inbound",
    "FromCity": "",
    "CallerName": "Čeněk & syn",
}


def webhook(
    fields: Mapping[str, str] = FIELDS,
    *,
    target: str = "/call",
    method: str = "POST",
    token: str | None = TOKEN,
    signed_at: str = PUBLIC,
) -> tuple[RequestHead, bytes]:
    """What Twilio sends; without a token unsigned."""
    body = urlencode(fields).encode() if method == "POST" else b""
    if method == "GET":
        target += ("&" if "?" in target else "?") + urlencode(fields)
    headers = [("Host", "10.0.0.7:8000"), ("Content-Type", "application/x-www-form-urlencoded")]
    if token is not None:
        signed = fields if method == "POST" else {}
        headers.append(
            (SIGNATURE_HEADER, RequestValidator(token).compute_signature(signed_at + target, signed))
        )
    return RequestHead(method=method, url=target, headers=headers), body


def ask(request: tuple[RequestHead, bytes], **kw: Any) -> tuple[ResponseHead, str]:
    settings = {"auth_token": TOKEN, "public_url": PUBLIC, **kw}
    head, body = answer_call(*request, **settings)
    return head, body.decode()


def stream_of(document: str) -> tuple[str, dict[str, str]]:
    """The address and the parameters of the stream that a call is connected with."""
    [(_, _, _, [(connect, _, _, [(stream, attributes, _, parameters)])])] = [tree(document)]
    assert (connect, stream) == ("Connect", "Stream")
    return attributes["url"], {each[1]["name"]: each[1]["value"] for each in parameters}


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_call_is_connected_with_the_stream(method: str) -> None:
    head, document = ask(webhook(method=method))
    assert (head.status, head.header("Content-Type")) == (200, "text/xml; charset=utf-8")
    assert stream_of(document) == ("wss://voice.example.com/call", {"sender": THEM})


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_the_address_of_the_webhook_says_becomes_parameters(method: str) -> None:
    query = {
        "key": "my&app",
        "deviceId": "d",
        "locale": "cs-CZ",
        "token": "t",
        "initiationId": "i",
        "other": "x",
        "empty": "",
    }
    _, document = ask(webhook(target=f"/call?{urlencode(query)}", method=method))
    expected = {"appKey": "my&app", "deviceId": "d", "locale": "cs-CZ", "token": "t", "initiationId": "i"}
    assert stream_of(document) == (STREAM, {**expected, "sender": THEM})


def test_parameters_of_the_address_that_are_empty_are_left_out() -> None:
    _, document = ask(webhook({**FIELDS, "From": ""}, target="/call?key=&token="))
    assert stream_of(document) == (STREAM, {})


def test_the_user_of_a_call_that_was_asked_for_is_the_one_who_is_called() -> None:
    outbound = {**FIELDS, "From": US, "To": THEM, "Direction": "outbound-api"}
    _, document = ask(webhook(outbound))
    assert stream_of(document)[1] == {"sender": THEM}


def test_the_stream_may_be_elsewhere() -> None:
    _, document = ask(webhook(), stream_url="wss://media.example.com/")
    assert stream_of(document)[0] == "wss://media.example.com/"


def test_the_stream_is_where_the_webhook_is() -> None:
    request = webhook(target="/app/call/?key=k", signed_at="https://u:p@h:8443/base")
    _, document = ask(request, public_url="https://u:p@h:8443/base/")
    assert stream_of(document)[0] == "wss://u:p@h:8443/base/app/call/"


def test_a_call_is_read() -> None:
    call = CallWebhook.read(*webhook(target="/call?key=k&empty="), auth_token=TOKEN, public_url=PUBLIC)
    assert call == CallWebhook(
        call_sid=CALL,
        account_sid=ACCOUNT,
        from_=THEM,
        to=US,
        call_status="ringing",
        direction="inbound",
        fields=FIELDS,
        query={"key": "k", "empty": ""},
    )
    assert call.inbound
    assert call.fields["CallerName"] == "Čeněk & syn"
    assert hash(call) == hash(CallWebhook.read(*webhook(), auth_token=TOKEN, public_url=PUBLIC))


def test_the_repr_of_a_call_shows_no_token() -> None:
    call = CallWebhook.read(*webhook(target="/call?token=h1dden"), auth_token=TOKEN, public_url=PUBLIC)
    assert "h1dden" not in repr(call)
    assert CALL in repr(call)


def test_only_the_number_of_the_call_has_to_be_there() -> None:
    call = CallWebhook.read(*webhook({"CallSid": CALL}), auth_token=TOKEN, public_url=PUBLIC)
    assert call == CallWebhook(call_sid=CALL, fields={"CallSid": CALL})
    assert call.inbound
    assert call.parameters == {}


def test_the_host_may_change_the_parameters() -> None:
    def greet(call: CallWebhook) -> dict[str, str]:
        return {**call.parameters, "appKey": f"for {call.to}"}

    assert stream_of(ask(webhook(), greet=greet)[1])[1] == {"sender": THEM, "appKey": f"for {US}"}


@pytest.mark.parametrize(
    ("direction", "verb"), [("inbound", ("Reject", {"reason": "rejected"})), ("outbound-api", ("Hangup", {}))]
)
def test_the_host_may_refuse_a_call(direction: str, verb: tuple[str, dict[str, str]]) -> None:
    head, document = ask(webhook({**FIELDS, "Direction": direction}), greet=lambda _: None)
    assert head.status == 200
    assert [each[:2] for each in tree(document)[3]] == [verb]


def test_a_parameter_of_the_host_that_cannot_be_is_its_mistake() -> None:
    with pytest.raises(ValueError, match="more than 499"):
        ask(webhook(), greet=lambda _: {"token": "x" * 600})


# ------------------------------------------------------------ who is not let in


def refused(request: tuple[RequestHead, bytes], **kw: Any) -> tuple[int, str, RemoteProtocolError]:
    told: list[RemoteProtocolError] = []
    head, text = ask(request, observe=told.append, **kw)
    assert head.header("Content-Type") == "text/plain; charset=utf-8"
    assert (head.status, text) == (lambda again: (again[0].status, again[1]))(ask(request, **kw))
    [error] = told
    return head.status, text, error


FORGED = {
    "unsigned": webhook(token=None),
    "signed with another token": webhook(token="guessed"),
    "signed for another host": webhook(signed_at="https://evil.example"),
    "signed for the host it names itself": webhook(signed_at="http://10.0.0.7:8000"),
    "signed for another path": (webhook()[0], urlencode({**FIELDS, "From": "+1900"}).encode()),
    "with another query": (
        RequestHead(method="POST", url="/call?key=k", headers=webhook()[0].headers),
        webhook()[1],
    ),
    "with the form in the query": (
        RequestHead(method="GET", url=f"/call?{urlencode(FIELDS)}", headers=webhook()[0].headers),
        b"",
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_request_that_twilio_did_not_send_is_refused(how: str) -> None:
    status, text, error = refused(FORGED[how])
    assert (status, text) == (403, "the signature is not right")
    assert isinstance(error, SignatureError)
    with pytest.raises(SignatureError):
        CallWebhook.read(*FORGED[how], auth_token=TOKEN, public_url=PUBLIC)


def test_without_a_token_anybody_is_let_in() -> None:
    for request in FORGED.values():
        assert ask(request, auth_token=None)[0].status == 200


def test_empty_fields_are_signed_too() -> None:
    assert FIELDS["FromCity"] == ""
    assert ask(webhook())[0].status == 200
    assert ask(webhook(target="/call?key="))[0].status == 200


def test_a_get_has_no_form_and_a_post_has_nothing_else() -> None:
    head, _ = webhook(method="GET")
    assert ask((head, b"CallSid=other"))[0].status == 200
    assert CallWebhook.read(head, b"CallSid=other", auth_token=TOKEN, public_url=PUBLIC).call_sid == CALL
    status, text, _ = refused(webhook({}, target=f"/call?{urlencode(FIELDS)}"))
    assert (status, text) == (400, "CallSid: is missing")


def test_a_repeated_field_is_signed_with_each_value() -> None:
    pairs = [*FIELDS.items(), ("Event", "b"), ("Event", "a"), ("Event", "b")]
    signature = sign(TOKEN, f"{PUBLIC}/call", pairs)
    head = RequestHead(method="POST", url="/call", headers=[(SIGNATURE_HEADER, signature)])
    assert ask((head, urlencode(pairs).encode()))[0].status == 200


def test_a_webhook_may_be_signed_with_a_shared_key() -> None:
    signature = sign("shared", f"{PUBLIC}/call", FIELDS.items(), algorithm=HMAC_SHA256)
    pairs = [(SETTINGS_HEADER, "key=k,algorithm=HMAC_SHA256"), (SIGNATURE_HEADER, signature)]
    request = RequestHead(method="POST", url="/call", headers=pairs), webhook()[1]
    assert ask(request, shared_keys={"k": "shared"})[0].status == 200
    assert refused(request)[0] == 403


@pytest.mark.parametrize("method", ["PUT", "HEAD", "post", "", "\r\n" + "x" * 1000], ids=ascii)
def test_other_methods_are_refused(method: str) -> None:
    request = RequestHead(method=method, url="/call"), b""
    status, text, _ = refused(request)
    assert (status, ask(request)[0].header("Allow")) == (405, "POST, GET")
    assert len(text) < 120
    assert text.isprintable()


@pytest.mark.parametrize(
    ("request_", "limits"),
    [
        (webhook({**FIELDS, "More": "x" * 1024 * 1024}), Limits()),
        (webhook({str(number): "" for number in range(1001)}), Limits()),
        (webhook(target="/call?" + "&".join(map(str, range(1001)))), Limits()),
        (webhook(target="/call?" + "x" * 5000), Limits()),
        (webhook(method="GET"), Limits(header_value_bytes=64)),
        (webhook(), Limits(header_bytes=64)),
        (webhook(), Limits(webhook_bytes=64)),
        (webhook(), Limits(items=4)),
    ],
    ids=["body", "fields", "fields of the query", "address", "GET", "head", "small body", "few fields"],
)
def test_too_much_is_refused(request_: tuple[RequestHead, bytes], limits: Limits) -> None:
    status, _, error = refused(request_, limits=limits)
    assert status == 413
    assert isinstance(error, LimitExceeded)


SIGNED = webhook()[0].headers
NO_ADDRESS = "what the request asks for is no address"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (webhook({}), "CallSid: is missing"),
        (webhook({"CallSid": ""}), "CallSid: is missing"),
        (
            webhook({**FIELDS, "From": "a\x00b"}),
            "the parameter 'sender': XML has no form for the character '\\x00'",
        ),
        (
            webhook({**FIELDS, "From": "sip:" + "x" * 500}),
            "the parameter 'sender' has more than 499 characters",
        ),
        (webhook(target="/call?token=" + "x" * 500), "the parameter 'token' has more than 499 characters"),
        ((RequestHead(method="POST", url="/call", headers=SIGNED), b"CallSid=\xff"), "the form is not UTF-8"),
        ((RequestHead(method="POST", url="*", headers=SIGNED), b""), NO_ADDRESS),
        ((RequestHead(method="POST", url="/call#x", headers=SIGNED), b""), NO_ADDRESS),
        (
            (RequestHead(method="POST", url="/call\n"), b""),
            "a control character stands in the head of the request",
        ),
    ],
    ids=[
        "nothing",
        "empty",
        "control",
        "long sender",
        "long token",
        "not UTF-8",
        "asterisk",
        "fragment",
        "line",
    ],
)
def test_what_is_no_webhook_is_refused(request_: tuple[RequestHead, bytes], reason: str) -> None:
    status, text, error = refused(request_)
    assert (status, text, type(error)) == (400, reason, RemoteProtocolError)


def test_bytes_that_are_no_text_are_signed_by_nobody_and_do_no_harm() -> None:
    head = RequestHead(method="POST", url="/call", headers=webhook()[0].headers)
    assert refused((head, b"CallSid=%ff%fe&From=%ed%a0%80"))[0] == 403
    document = ask((head, b"CallSid=%ff%fe&From=%ed%a0%80"), auth_token=None)[1]
    assert stream_of(document)[1] == {"sender": "\ufffd" * 3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_url": "voice.example.com"},
        {"public_url": "https://h?a=1"},
        {"auth_token": ""},
        {"stream_url": "/call"},
    ],
    ids=["no scheme", "query", "empty token", "relative stream"],
)
def test_settings_that_cannot_be_are_mistakes_of_the_host(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"address|query|empty"):
        ask(webhook(), **wrong)


@UNHURRIED
@given(st.data())
def test_any_request_is_answered(data: st.DataObject) -> None:
    text = st.text(max_size=20) | st.sampled_from(["/call", "/call?key=%00", "POST", "GET", "CallSid"])
    head = RequestHead(
        method=data.draw(st.sampled_from(["POST", "GET"]) | text),
        url=data.draw(text),
        headers=data.draw(
            st.lists(st.tuples(st.sampled_from([SIGNATURE_HEADER, SETTINGS_HEADER]) | text, text), max_size=3)
        ),
    )
    body = data.draw(
        st.binary(max_size=40) | st.builds(lambda each: b"CallSid=1&From=" + quote(each).encode(), sayable)
    )
    answer, content = answer_call(
        head, body, auth_token=data.draw(st.sampled_from([TOKEN, None])), public_url=PUBLIC
    )
    assert answer.status in (200, 400, 403, 405, 413)
    if answer.status == 200:
        assert stream_of(content.decode())[0].startswith("wss://voice.example.com/")


# ------------------------------------------------------------ calls that are asked for


class Wire:
    """Takes what Twilio's library would send, and brings an answer: in the place of its HTTP client."""

    def __init__(self, status: int = 201, text: str = "{}") -> None:
        self.sent: dict[str, Any] = {}
        self.status, self.text = status, text

    def request(self, method: str, url: str, *, data: Any, auth: Any, **_: Any) -> Any:
        self.sent = {"method": method, "url": url, "data": data, "auth": auth}
        return Response(self.status, self.text)


def peer(wire: Any) -> Any:
    return Client(ACCOUNT, TOKEN, http_client=wire)


def form_of(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)


def pairs_of(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the peer's HTTP client makes of its parameters."""
    return [
        (name, str(each))
        for name, value in data.items()
        for each in (value if isinstance(value, list) else [value])
    ]


numbers = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)
web = st.sampled_from(["https://h/s?a=1&b=2", "http://h"])
methods = st.sampled_from(["POST", "GET"])
told = st.one_of(
    st.fixed_dictionaries({"url": web}, optional={"method": methods}),
    st.fixed_dictionaries({"twiml": st.just(connect_stream(STREAM, parameters={"appKey": "a&b ž"}))}),
)
options: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.integers(1, 600),
        "time_limit": st.integers(1, 10**6),
        "send_digits": st.text("0123456789ABCD#*wW", min_size=1, max_size=32),
        "status_callback": web,
    },
)


@UNHURRIED
@given(numbers, numbers, told, options, st.data())
def test_requests_are_those_of_the_peer(
    to: str, from_: str, what: dict[str, Any], more: dict[str, Any], data: st.DataObject
) -> None:
    if "status_callback" in more:
        names = st.sampled_from(["initiated", "ringing", "answered", "completed"])
        events = data.draw(st.lists(names, unique=True))
        more |= {"status_callback_method": data.draw(methods)}
    else:
        events = []
    if "send_digits" not in more:
        more |= {"machine_detection": data.draw(st.sampled_from(["Enable", "DetectMessageEnd"]))}
    wire = Wire(text=json.dumps({"sid": CALL, "status": "queued"}))
    peer(wire).calls.create(to=to, from_=from_, status_callback_event=events or None, **what, **more)
    request = CallRequest(to=to, from_=from_, status_callback_events=events, **what, **more)
    head, body = request.request(ACCOUNT, TOKEN)
    assert (head.method, head.url) == (wire.sent["method"], wire.sent["url"])
    assert wire.sent["auth"] == (ACCOUNT, TOKEN)
    theirs = {name: value for name, value in wire.sent["data"].items() if value is not None}
    assert sorted(form_of(body)) == sorted(pairs_of(theirs))


def test_the_smallest_request() -> None:
    head, body = CallRequest(to=THEM, from_=US, url="https://h/call").request(ACCOUNT, TOKEN)
    assert (head.method, head.url) == (
        "POST",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
    )
    assert head.header("Content-Type") == "application/x-www-form-urlencoded"
    assert head.header("Accept") == "application/json"
    assert body == b"To=%2B420123456789&From=%2B14155550100&Url=https%3A%2F%2Fh%2Fcall"
    assert API_URL in head.url


def test_the_password_is_the_auth_token() -> None:
    head, _ = CallRequest(to=THEM, from_=US, url="https://h/call").request(ACCOUNT, "tøken:1")
    kind, _, credentials = (head.header("Authorization") or "").partition(" ")
    assert (kind, base64.b64decode(credentials).decode()) == ("Basic", f"{ACCOUNT}:tøken:1")


def test_no_repr_shows_the_auth_token() -> None:
    request = CallRequest(to=THEM, from_=US, url="https://h/call")
    for head, _ in (request.request(ACCOUNT, TOKEN), hang_up_request(ACCOUNT, TOKEN, CALL)):
        assert isinstance(head, RequestHead)
        assert head.header("Authorization")
        assert "Basic" not in repr(head)
        assert "<hidden>" in repr(head)
        assert head.url in repr(head)
    assert TOKEN not in repr(request)


def test_events_are_repeated_and_other_parameters_go_along() -> None:
    request = CallRequest(
        to=THEM,
        from_=US,
        url="https://h/call",
        status_callback="https://h/s",
        status_callback_events=["answered", "completed"],
        others=[
            ("AsyncAmd", "true"),
            ("RecordingStatusCallbackEvent", "a"),
            ("RecordingStatusCallbackEvent", "b"),
        ],
    )
    assert form_of(request.request(ACCOUNT, TOKEN)[1])[-5:] == [
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("AsyncAmd", "true"),
        ("RecordingStatusCallbackEvent", "a"),
        ("RecordingStatusCallbackEvent", "b"),
    ]


def test_another_region_has_another_address() -> None:
    there = "https://api.dublin.ie1.twilio.com/2010-04-01"
    head, _ = CallRequest(to=THEM, from_=US, url="https://h").request(ACCOUNT, TOKEN, api_url=there)
    assert head.url == f"{there}/Accounts/{ACCOUNT}/Calls.json"
    head, _ = hang_up_request(ACCOUNT, TOKEN, CALL, api_url=there)
    assert head.url == f"{there}/Accounts/{ACCOUNT}/Calls/{CALL}.json"


@pytest.mark.parametrize(
    "to", [THEM, "sip:jane@example.com", "sips:jane@example.com;x=1", "client:jane", "+12"]
)
def test_whom_one_can_call(to: str) -> None:
    assert CallRequest(to=to, from_=US, url="https://h").to == to


@pytest.mark.parametrize(
    ("to", "from_"), [("client:jane", "client:joe"), ("sip:jane@h", "client:joe"), ("client:a", US)]
)
def test_who_can_call(to: str, from_: str) -> None:
    assert CallRequest(to=to, from_=from_, url="https://h").from_ == from_


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a number without plus": ({"to": "420123456789"}, "to must be a number such as"),
    "a number with blanks": ({"to": "+420 123 456"}, "to must be"),
    "a number with a zero": ({"to": "+0123456789"}, "to must be"),
    "a number of 16 digits": ({"to": "+1234567890123456"}, "to must be"),
    "a number of one digit": ({"to": "+1"}, "to must be"),
    "other digits": ({"to": "+1٢٣٤"}, "to must be"),
    "a line behind a number": ({"to": "+12345\n"}, "to must be"),
    "nobody": ({"to": ""}, "to must be"),
    "sip without host": ({"to": "sip:jane"}, "to must be"),
    "sip with a blank": ({"to": "sip:jane doe@h"}, "to must be"),
    "client without name": ({"to": "client:"}, "to must be"),
    "from nobody": ({"from_": "Joe"}, "from_ must be"),
    "a client calls a number": ({"from_": "client:joe"}, "only a number can call a number"),
    "nothing to do": ({"url": None}, "exactly one of url, twiml and application_sid"),
    "two things to do": ({"twiml": "<Response/>"}, "exactly one of"),
    "two other things to do": ({"application_sid": APPLICATION}, "exactly one of"),
    "a relative address": ({"url": "/call"}, "url: '/call' is not an absolute address"),
    "an address with a blank": ({"url": "https://h/a b"}, "url: .* blank"),
    "the address of a stream": ({"url": STREAM}, "url: .* does not begin with https or http"),
    "a method": ({"method": "PUT"}, "method must be one of POST, GET, not 'PUT'"),
    "a method for nothing": ({"url": None, "twiml": "<Response/>", "method": "GET"}, "method is for the url"),
    "long TwiML": ({"url": None, "twiml": "x" * 4001}, "twiml must be at most 4000 characters"),
    "an application": ({"url": None, "application_sid": "AP1"}, "application_sid must be AP and 32"),
    "no time to ring": ({"timeout": 0}, "timeout must be a whole number of seconds, 1 to 600, not 0"),
    "too long to ring": ({"timeout": 601}, "timeout must be"),
    "half a second": ({"timeout": 1.5}, "timeout must be"),
    "true seconds": ({"timeout": True}, "timeout must be"),
    "no time to talk": ({"time_limit": 0}, "time_limit must be a whole number of seconds, 1 or more, not 0"),
    "no digits": ({"send_digits": ""}, "send_digits must be"),
    "too many digits": ({"send_digits": "1" * 33}, "send_digits must be"),
    "letters for digits": ({"send_digits": "12E"}, "send_digits must be"),
    "a detection": (
        {"machine_detection": "Maybe"},
        "machine_detection must be one of Enable, DetectMessageEnd",
    ),
    "digits and detection": (
        {"send_digits": "1", "machine_detection": "Enable"},
        "ignores machine_detection",
    ),
    "a relative callback": ({"status_callback": "/s"}, "status_callback: '/s' is not"),
    "a callback's method": (
        {"status_callback": "https://h", "status_callback_method": "PUT"},
        "must be one of",
    ),
    "an unknown event": (
        {"status_callback": "https://h", "status_callback_events": ["busy"]},
        "must be one of initiated",
    ),
    "events for nobody": ({"status_callback_events": ["ringing"]}, "there is no status_callback"),
    "a method for nobody": ({"status_callback_method": "GET"}, "there is no status_callback"),
    "a callback of an application": (
        {"url": None, "application_sid": APPLICATION, "status_callback": "https://h"},
        "with application_sid Twilio ignores status_callback",
    ),
    "a member by another name": ({"others": [("Timeout", "5")]}, "Timeout has a member of its own"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_twilio_would_refuse_or_ignore_is_refused_at_once(name: str) -> None:
    members, problem = WRONG[name]
    with pytest.raises(ValueError, match=problem):
        CallRequest(**{"to": THEM, "from_": US, "url": "https://h/call", **members})


def test_the_greatest_values() -> None:
    request = CallRequest(
        to=THEM, from_=US, twiml="x" * 4000, timeout=600, time_limit=86400, send_digits="w" * 32
    )
    assert dict(form_of(request.request(ACCOUNT, TOKEN)[1]))["Twiml"] == "x" * 4000
    application = CallRequest(to=THEM, from_=US, application_sid=APPLICATION)
    assert ("ApplicationSid", APPLICATION) in form_of(application.request(ACCOUNT, TOKEN)[1])


@pytest.mark.parametrize(
    "account", ["", "AC", CALL, ACCOUNT + "/..", ACCOUNT[:-1] + "g", ACCOUNT + "\n"], ids=ascii
)
def test_an_account_that_is_none(account: str) -> None:
    with pytest.raises(ValueError, match="an account is AC and 32"):
        CallRequest(to=THEM, from_=US, url="https://h").request(account, TOKEN)
    with pytest.raises(ValueError, match="an account is AC and 32"):
        hang_up_request(account, TOKEN, CALL)


def test_an_empty_auth_token_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="the auth token is empty"):
        hang_up_request(ACCOUNT, "", CALL)


# ------------------------------------------------------------ hanging up, and answers


def test_hanging_up_is_that_of_the_peer() -> None:
    wire = Wire(200, json.dumps({"sid": CALL, "status": "completed"}))
    peer(wire).calls(CALL).update(status="completed")
    head, body = hang_up_request(ACCOUNT, TOKEN, CALL)
    assert (head.method, head.url) == (wire.sent["method"], wire.sent["url"])
    assert form_of(body) == [("Status", "completed")]


@pytest.mark.parametrize("call", ["", "CA1", ACCOUNT, f"../{CALL}", CALL + "?a=1"])
def test_a_call_that_is_none(call: str) -> None:
    with pytest.raises(ValueError, match="a call is CA and 32"):
        hang_up_request(ACCOUNT, TOKEN, call)


ANSWER = {
    "sid": CALL,
    "account_sid": ACCOUNT,
    "to": THEM,
    "from": US,
    "status": "queued",
    "direction": "outbound-api",
    "price": None,
    "start_time": None,
    "duration": None,
    "subresource_uris": {"events": "/x"},
    "new": [1],
}


def answered(status: int, content: Any) -> CallAnswer | CallRefused:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return CallAnswer.read(ResponseHead(status=status), body)


def test_the_answer_to_a_request() -> None:
    call = answered(201, ANSWER)
    assert call == CallAnswer(
        sid=CALL, status="queued", account_sid=ACCOUNT, to=THEM, from_=US, direction="outbound-api"
    )
    wire = Wire(201, json.dumps(ANSWER))
    theirs = peer(wire).calls.create(to=THEM, from_=US, url="https://h")
    for name in ("sid", "status", "account_sid", "to", "direction"):
        assert getattr(call, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        *((each, False) for each in ("queued", "initiated", "ringing", "in-progress", "a new one")),
        *((each, True) for each in ("completed", "busy", "failed", "no-answer", "canceled")),
    ],
)
def test_whether_a_call_has_ended(status: str, ended: bool) -> None:
    call = answered(200, {"sid": CALL, "status": status})
    assert isinstance(call, CallAnswer)
    assert call.ended is ended


REFUSAL = {
    "code": 21211,
    "message": "Invalid 'To' Phone Number",
    "status": 400,
    "new": {},
    "more_info": "https://www.twilio.com/docs/errors/21211",
}


def test_a_refusal_tells_why() -> None:
    refusal = answered(400, REFUSAL)
    assert isinstance(refusal, CallRefused)
    assert refusal == CallRefused(
        status=400,
        code=21211,
        message="Invalid 'To' Phone Number",
        more_info="https://www.twilio.com/docs/errors/21211",
    )
    assert not refusal.already_ended
    with pytest.raises(TwilioRestException) as caught:
        peer(Wire(400, json.dumps(REFUSAL))).calls(CALL).update(status="completed")
    assert (caught.value.code, caught.value.status) == (refusal.code, refusal.status)


@pytest.mark.parametrize(
    ("status", "code", "ended"),
    [(404, 20404, True), (404, None, False), (400, 20404, False), (404, 20001, False)],
)
def test_a_call_that_had_ended_already(status: int, code: int | None, ended: bool) -> None:
    refusal = answered(
        status, {"code": code, "message": "The requested resource was not found", "status": status}
    )
    assert isinstance(refusal, CallRefused)
    assert refusal.already_ended is ended


def test_the_status_is_that_of_http() -> None:
    assert answered(503, {}) == CallRefused(status=503)
    assert answered(429, {"status": 400, "code": 20429}) == CallRefused(status=429, code=20429)


@pytest.mark.parametrize(
    ("status", "content", "problem"),
    [
        (502, b"<html>Bad Gateway</html>", "not JSON: .* (in an answer with status 502)"),
        (201, b"", "empty (in an answer with status 201)"),
        (201, b"\xff", "not UTF-8: .* (in an answer with status 201)"),
        (201, b"[]", "must be an object, not an array (in an answer with status 201)"),
        (201, {"status": "queued"}, "sid: is missing (in an answer with status 201)"),
        (201, {"sid": CALL}, "status: is missing (in an answer with status 201)"),
        (
            201,
            {"sid": CALL, "status": 1},
            "status: must be a string, not an integer (in an answer with status 201)",
        ),
        (404, {"code": "x"}, "code: must be an integer, not a string (in an answer with status 404)"),
        (302, {}, "an answer with status 302"),
        (101, {}, "an answer with status 101"),
        (201, b"[" * 100_000, "nested more than 64 deep (in an answer with status 201)"),
    ],
    ids=[
        "html",
        "empty",
        "bytes",
        "array",
        "no sid",
        "no status",
        "type",
        "code",
        "redirect",
        "upgrade",
        "deep",
    ],
)
def test_what_twilio_did_not_answer_is_the_peers_fault(status: int, content: Any, problem: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        answered(status, content)
    beginning, _, end = problem.partition(".*")
    assert str(caught.value).startswith(beginning)
    assert str(caught.value).endswith(end or beginning)


def test_a_long_answer_is_too_much() -> None:
    with pytest.raises(LimitExceeded, match=r"more than 64 bytes \(in an answer with status 201\)"):
        CallAnswer.read(
            ResponseHead(status=201), json.dumps(ANSWER).encode(), limits=Limits(message_bytes=64)
        )


@UNHURRIED
@given(
    st.sampled_from([200, 201, 400, 404, 500]),
    st.binary(max_size=60)
    | st.builds(
        lambda x: json.dumps(x).encode(),
        st.dictionaries(
            st.sampled_from(["sid", "status", "code", "message"]), st.none() | st.integers() | st.text()
        ),
    ),
)
def test_any_answer_is_read_or_refused(status: int, body: bytes) -> None:
    try:
        found = CallAnswer.read(ResponseHead(status=status), body)
    except RemoteProtocolError:
        return
    assert isinstance(found, CallAnswer if status < 300 else CallRefused)

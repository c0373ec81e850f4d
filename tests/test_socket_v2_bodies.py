"""The bodies of Socket V2 and the requests of its client, each alone and at its edges."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from flowstorm_channel.channel import cost_of
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    InputEvent,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
)
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form, Writer, accepted, body_form, is_audio, media_type_of
from flowstorm_channel.socket_v2.requests import Complaint, Request
from flowstorm_channel.values import Gender, Input, Response, ResponseItem, Transcript, TtsConfig
from flowstorm_channel.wire import END, Close, CloseCode, Message, RequestHead, ResponseHead

# ------------------------------------------------------------ media types


@pytest.mark.parametrize(
    ("header", "media_type", "form", "audio"),
    [
        ("text/plain; charset=utf-8", "text/plain", Form.TEXT, False),
        ("plain/text", "plain/text", Form.TEXT, False),
        (" Application/JSON ;q=1", "application/json", Form.JSON, False),
        ("application/msgpack", "application/msgpack", Form.MSGPACK, False),
        ("audio/basic", "audio/basic", None, True),
        ("AUDIO/WAV", "audio/wav", None, True),
        ("audio/mpeg;a", "audio/mpeg", None, True),
        ("audio/ogg", "audio/ogg", None, False),
        ("", "", None, False),
        (None, "", None, False),
    ],
)
def test_a_media_type_says_what_a_body_holds(
    header: str | None, media_type: str, form: Form | None, audio: bool
) -> None:
    found = media_type_of(header)
    assert found == media_type
    assert body_form(found) is form
    assert is_audio(found) is audio
    assert (found in bodies.MEDIA_TYPES) is (bool(audio) or (form is not None and found != "plain/text"))


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (None, Form.JSON),
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("image/png,text/html", Form.JSON),
        ("text/plain", Form.TEXT),
        ("text/html, text/plain;q=0.5, application/msgpack", Form.TEXT),
        ("application/msgpack, text/plain", Form.MSGPACK),
        ("text/plain, application/json;q=0.1", Form.JSON),
        ("text/plain application/json", Form.JSON),
    ],
)
def test_the_form_of_the_answer_is_asked_for(header: str | None, form: Form) -> None:
    assert accepted(header) is form


# ------------------------------------------------------------ readers


def text(**limits: int) -> bodies.Text:
    return bodies.Text(Limits(**limits), locale="cs", zone_id="UTC")


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([b"a"], "a"),
        ([b"a\n"], "a"),
        ([b"a\r\n"], "a"),
        ([b"a\r"], "a"),
        ([b"a\n\n"], "a\n"),
        ([b"a\r\r\n"], "a\r"),
        ([b" a", b"", b"b\xc4", b"\x8d "], " ab\u010d "),
    ],
)
def test_a_text_is_one_input(pieces: list[bytes], said: str) -> None:
    reader = text()
    for piece in pieces:
        reader.feed(piece)
    assert reader.next_event() is None
    reader.close()
    event = InputEvent(input=Input(locale="cs", zone_id="UTC", transcript=Transcript(text=said)))
    assert reader.next_event() == event
    assert reader.next_event() is None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the text is empty"),
        (b"\r\n", "the text is empty"),
        (b"\xff", "the text is not UTF-8: invalid start byte"),
        (b"a\xc4", "the text is not UTF-8: unexpected end of data"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, problem: str) -> None:
    reader = text()
    reader.feed(data)
    with pytest.raises(RemoteProtocolError) as caught:
        reader.close()
    assert str(caught.value) == problem


def test_a_text_is_no_longer_than_a_text_may_be() -> None:
    reader = text(string_bytes=5)
    reader.feed(b"abc")
    reader.feed(b"de")
    with pytest.raises(LimitExceeded, match=r"^a text of more than 5 bytes$"):
        reader.feed(b"f")
    with pytest.raises(LimitExceeded, match=r"^a text of more than 5 bytes$"):
        text(string_bytes=5).feed(b"abcdef")


def test_audio_comes_out_piece_by_piece() -> None:
    reader = bodies.Audio()
    for piece in (b"a", b"", b"bc"):
        reader.feed(piece)
    assert [reader.next_event() for _ in range(3)] == [BinaryEvent(data=b"a"), BinaryEvent(data=b"bc"), None]
    reader.close()
    assert reader.next_event() is None


def test_a_body_that_nobody_looks_at_brings_nothing() -> None:
    reader = bodies.Nothing()
    reader.feed(b"a")
    reader.close()
    assert reader.next_event() is None


@pytest.mark.parametrize(("form", "packed"), [(Form.JSON, json.dumps), (Form.MSGPACK, msgpack.packb)])
def test_a_decoder_knows_whose_input_it_reads(form: Form, packed: Any) -> None:
    data = packed({"type": "Input", "input": {"transcript": {"text": "x"}}})
    body = data if isinstance(data, bytes) else data.encode()
    reader = bodies.decoder(form, Limits(string_bytes=50), locale="cs", zone_id="Asia/Tokyo")
    reader.feed(body)
    event = reader.next_event()
    assert isinstance(event, InputEvent)
    assert (event.input.locale, event.input.zone_id) == ("cs", "Asia/Tokyo")
    reader.feed(body.replace(b"Input", b"Error").replace(b"input", b"text."))
    with pytest.raises(RemoteProtocolError):
        reader.next_event()


# ------------------------------------------------------------ writers


def voice(name: str) -> TtsConfig:
    return TtsConfig(provider="p", locale="en", gender=Gender.MALE, name=name)


ITEM = ResponseItem(text="a\nb", image="i,(1)%", audio="u", tts_config=voice("An\n na"))


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (ResponseItemEvent(response_item=ITEM), "# (audio=u, image=i%2C%281%29%25)\n< [An na] a\n< b\n"),
        (ResponseItemEvent(response_item=ResponseItem(text="x")), "< x\n"),
        (
            ResponseItemEvent(response_item=ResponseItem(video="v", code="c", background="b")),
            "# (video=v, code=c, background=b)\n",
        ),
        (ResponseItemEvent(response_item=ResponseItem()), ""),
        (ResponseItemEvent(response_item=ResponseItem(text="\n")), "< \n"),
        (
            ResponseItemEvent(response_item=ResponseItem(text="x", tts_config=voice(" "))),
            "< x\n",
        ),
        (
            ResponseEvent(response=Response(items=(ResponseItem(text="a"), ResponseItem(text="b")))),
            "< a\n< b\n",
        ),
        (ResponseEvent(response=Response(items=(ResponseItem(text="a"),), session_ended=True)), "< a\n.\n"),
        (ResponseEvent(response=Response(session_ended=True, sleep_timeout=5)), ""),
        (RecognizedInputEvent(input=Input(transcript=Transcript(text="hi\u2028! x"))), "~ hi\n~ ! x\n"),
        (ErrorEvent(text="no"), "! no\n"),
        (ErrorEvent(text="no", source="HTTP 404"), "! HTTP 404: no\n"),
        (ErrorEvent(text=""), "! \n"),
        (ReadyEvent(), ""),
    ],
)
def test_lines_say_what_they_are(event: Any, lines: str) -> None:
    assert Writer(Form.TEXT).encode(event).decode() == lines


@pytest.mark.parametrize("each", "%,()\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_a_property_is_one_word(each: str) -> None:
    line = Writer(Form.TEXT).encode(ResponseItemEvent(response_item=ResponseItem(image=f"a{each}b"))).decode()
    escaped = "".join(f"%{byte:02X}" for byte in each.encode())
    assert line == f"# (image=a{escaped}b)\n"


def test_half_a_character_is_replaced() -> None:
    item = ResponseItem(text="x")
    object.__setattr__(item, "text", "a\ud800")
    assert Writer(Form.TEXT).encode(ResponseItemEvent(response_item=item)) == b"< a?\n"


def test_a_response_says_its_timeout_twice() -> None:
    """D-18."""
    event = ResponseEvent(response=Response(items=(ResponseItem(text="a"),), sleep_timeout=7))
    in_json, in_msgpack = Writer(Form.JSON).encode(event), Writer(Form.MSGPACK).encode(event)
    assert in_json.endswith(b"}\n")
    assert json.loads(in_json) == msgpack.unpackb(in_msgpack)
    found = json.loads(in_json)["response"]
    assert (found["sleepTimeout"], found["sessionTimeout"]) == (7, 7)
    assert Writer(Form.JSON).encode(ReadyEvent()) == b'{"type":"Ready"}\n'
    assert Writer(Form.MSGPACK).encode(ReadyEvent()) == msgpack.packb({"type": "Ready"})


@pytest.mark.parametrize("form", [Form.JSON, Form.MSGPACK])
def test_a_response_that_was_spoilt_cannot_be_sent(form: Form) -> None:
    event = ResponseEvent(response=Response())
    event.response.attributes["x"] = {1, 2}
    with pytest.raises(
        LocalProtocolError, match=r"^ResponseEvent cannot be sent: set is not a JSON value$"
    ) as caught:
        Writer(form).encode(event)
    assert isinstance(caught.value.__cause__, TypeError)


# ------------------------------------------------------------ a refusal


def complained(form: Form | None, *pieces: bytes) -> str:
    found = Complaint(form, DEFAULT_LIMITS)
    for piece in pieces:
        found.feed(piece)
        assert found.next_event() is None
    found.close()
    return found.text


@pytest.mark.parametrize(
    ("form", "pieces", "said"),
    [
        (None, [], ""),
        (None, [b"<h1>No</h1>\n"], "<h1>No</h1>"),
        (Form.TEXT, [b"! no\n", b"! more\n\n \n"], "no more"),
        (Form.TEXT, [b"a! b"], "a! b"),
        (None, [b"\xff"], "\ufffd"),
        (None, [b"x" * 999, b"yz", b"w"], "x" * 999 + "yz"),
        (None, [b"x" * 1000, b"y"], "x" * 1000),
        (None, [b"x" * 5000], "x" * 1000),
        (Form.JSON, [b'{"type":"Error","te', b'xt":"a\\nb"}{"type":"Error","text":"c"}'], "a\nb"),
        (Form.JSON, [b'{"type":"Ready"}', b'{"type":"Error","text":"c"}'], "c"),
        (Form.JSON, [b'{"type":"Error","text":""}', b'{"type":"Error","text":"c"}'], ""),
        (Form.JSON, [b"<html>", b'{"type":"Error","text":"c"}'], ""),
        (Form.MSGPACK, [msgpack.packb({"type": "Error", "text": "m"})], "m"),
    ],
)
def test_of_a_refusal_its_error_is_told(form: Form | None, pieces: list[bytes], said: str) -> None:
    assert complained(form, *pieces) == said


# ------------------------------------------------------------ a request

HEAD = RequestHead(method="PUT", url="/client", headers=(("a", "b"),))


class Counted:
    """A request, what came to it, and what waits in it."""

    def __init__(self, cookie: str | None = "c", *, logs: bool = False) -> None:
        self.arrived: list[Message] = []
        self.waiting: list[int] = []
        self.request = Request(HEAD, cookie, logs=logs, arrive=self.arrive, account=self.waiting.append)

    def arrive(self, request: Request, message: Message) -> None:
        assert request is self.request
        self.arrived.append(message)


def test_a_request_begins_with_its_head() -> None:
    counted = Counted()
    request = counted.request
    assert (request.cookie, request.logs, request.writing, request.over) == ("c", False, True, False)
    assert (request.status, request.received, request.input) == (None, 0, None)
    assert (request.answered, request.complaint, request.done) == (False, "", False)
    assert isinstance(request.reader, bodies.Nothing)
    assert Counted(logs=True).request.logs
    assert request.pending
    assert request.waiting_bytes == cost_of(HEAD) == sum(counted.waiting)
    request.put(b"ab")
    request.put(END)
    assert not request.writing
    assert request.waiting_bytes == cost_of(HEAD) + cost_of(b"ab") + cost_of(END) == sum(counted.waiting)
    assert list(request.data_to_send()) == [HEAD, b"ab", END]
    assert (request.pending, request.waiting_bytes, sum(counted.waiting)) == (False, 0, 0)


def test_what_a_transport_cannot_have_brought_is_a_mistake_of_the_host() -> None:
    counted, response = Counted(), ResponseHead(status=200)
    for message, name in ((b"a", "bytes"), (END, "End"), (HEAD, "RequestHead"), ("a", "str")):
        with pytest.raises(LocalProtocolError) as caught:
            counted.request.receive_data(message)  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"a response cannot bring {name} now")
        assert caught.value.legal == ("ResponseHead", "Close")
    counted.request.receive_data(response)
    with pytest.raises(LocalProtocolError, match=r"^a response cannot bring ResponseHead now") as caught:
        counted.request.receive_data(response)
    assert caught.value.legal == ("bytes", "End", "Close")
    counted.request.receive_data(b"a")
    counted.request.receive_data(END)
    assert counted.arrived == [response, b"a", END]


def test_a_transport_may_be_gone_at_any_time() -> None:
    counted = Counted()
    counted.request.receive_eof()
    assert counted.arrived == [Close(CloseCode.ABNORMAL, "the connection was lost")]
    counted.request.lose()
    counted.request.receive_eof()
    counted.request.receive_data(b"a")
    assert len(counted.arrived) == 1
    assert (counted.request.over, counted.request.done, sum(counted.waiting)) == (True, True, 0)


def test_what_was_not_asked_yet_is_given_up_without_a_word() -> None:
    counted = Counted()
    counted.request.give_up()
    assert (counted.request.over, counted.request.done, sum(counted.waiting)) == (True, True, 0)
    counted.request.put(b"a")
    assert not counted.request.pending


def test_what_was_asked_is_broken_off() -> None:
    counted = Counted()
    request = counted.request
    assert list(request.data_to_send()) == [HEAD]
    request.put(b"a")
    request.give_up()
    assert (request.over, request.done) == (True, False)
    request.give_up()
    close = Close(CloseCode.NORMAL, "given up")
    assert sum(counted.waiting) == request.waiting_bytes == cost_of(close)
    assert list(request.data_to_send()) == [close]
    assert (request.done, sum(counted.waiting)) == (True, 0)


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_response_at_its_end_gives_up_what_is_left(sent: int) -> None:
    counted = Counted()
    request = counted.request
    outgoing = request.data_to_send()
    assert next(outgoing) == HEAD
    if sent:
        request.put(END)
    if sent == 2:
        assert next(outgoing) == END
    request.complete()
    assert request.over
    assert [type(each) for each in request.data_to_send()] == ([] if sent == 2 else [Close])
    assert (request.done, sum(counted.waiting)) == (True, 0)


def test_a_refusal_is_told_with_its_status() -> None:
    request = Counted().request
    request.reader = Complaint(None, DEFAULT_LIMITS)
    request.reader.feed(b"no")
    assert request.complaint == "no"

"""The server end of a phone call, cell by cell of the specification's table, then rule by rule; then whole
calls with a caller at the other end.

What is expected is written down here by hand; nothing is derived from the machine's own tables.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowstorm_channel.channel import Control, Rules, Timeouts
from flowstorm_channel.errors import (
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    SignatureError,
    TooLateError,
)
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    DtmfEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ReadyEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionExpiredEvent,
    TurnInterruptedEvent,
    UnknownEvent,
    UnsentEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.sessions import Session
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.strategies import json_values
from flowstorm_channel.testing.twilio import PhoneCall, Sound, TwilioPeer
from flowstorm_channel.twilio.frames import Frames, Media, MediaFrame, Start
from flowstorm_channel.twilio.server import TwilioServer
from flowstorm_channel.twilio.signature import SIGNATURE_HEADER, sign
from flowstorm_channel.twilio.states import TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES
from flowstorm_channel.values import (
    AudioFileType,
    ClientConfig,
    ExpectedPhrase,
    Input,
    Response,
    ResponseItem,
    SttEncoding,
    SttMode,
    Transcript,
    TtsType,
)
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead
from tests import conversation
from tests.conversation import Frame, Host, refused
from tests.depth import examples

CLOSED, OPENED = State.CLOSED, State.OPEN
SLEEPING, LISTENING = State.SLEEPING, State.LISTENING
PROCESSING, RESPONDING = State.PROCESSING, State.RESPONDING
PLAYING = "Playing"
"""Responding, with the turn over: what it said is still to be heard."""
CONVERSING = (SLEEPING, LISTENING, PROCESSING, RESPONDING, PLAYING)

STREAM, CALL, ACCOUNT = "MZ1", "CA1", "AC1"
SECOND = b"\x11" * 8000
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}

# ------------------------------------------------------------ frames of Twilio

CONNECTED: Frame = {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def start(**inside: Any) -> Frame:
    said = {
        "streamSid": STREAM,
        "accountSid": ACCOUNT,
        "callSid": CALL,
        "tracks": ["inbound"],
        "customParameters": {},
        "mediaFormat": FORMAT,
        **inside,
    }
    return {"event": "start", "sequenceNumber": "1", "streamSid": STREAM, "start": said}


def media(data: bytes = b"1234", *, stream: str = STREAM, **inside: Any) -> Frame:
    payload = base64.b64encode(data).decode()
    said = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload, **inside}
    return {"event": "media", "sequenceNumber": "2", "streamSid": stream, "media": said}


def dtmf(digit: Any = "1", *, stream: str = STREAM) -> Frame:
    said = {"track": "inbound_track", "digit": digit}
    return {"event": "dtmf", "sequenceNumber": "3", "streamSid": stream, "dtmf": said}


def mark(name: str, *, stream: str = STREAM) -> Frame:
    return {"event": "mark", "sequenceNumber": "4", "streamSid": stream, "mark": {"name": name}}


def stop(*, stream: str = STREAM) -> Frame:
    said = {"accountSid": ACCOUNT, "callSid": CALL}
    return {"event": "stop", "sequenceNumber": "5", "streamSid": stream, "stop": said}


NEW: Frame = {"event": "novelty", "streamSid": STREAM, "novelty": {"x": [1, None]}}

# ------------------------------------------------------------ the host


def line(what: Event | Message) -> str:
    match what:
        case str():
            frame = json.loads(what)
            match frame["event"]:
                case "media":
                    return f"media {len(base64.b64decode(frame['media']['payload']))}"
                case "mark":
                    return f"mark {frame['mark']['name']}"
            return str(frame["event"])
        case DtmfEvent():
            return f"Dtmf {what.digit}"
        case UnsentEvent():
            return f"Unsent {what.number} {what.part}"
        case _:
            return conversation.line(what)


class CallHost(Host):
    """The server of a call, with a host that accepts it, unless told otherwise."""

    def __init__(self, *, accept: bool = True, opened: bool = True, **kw: Any) -> None:
        super().__init__()
        ids = (f"s{number}" for number in itertools.count(1))
        arguments = {"auth_token": None, "public_url": None, "make_id": ids.__next__, **kw}
        self.server = self.channel = TwilioServer(clock=self.clock, **arguments)
        self.accept = accept
        if opened:
            self.receive(RequestHead(url="/call"))

    def tell(self) -> None:
        for event in self.server.events():
            self.events.append(event)
            if isinstance(event, InitEvent) and self.accept:
                self.server.ready()
            if self.on_event is not None:
                self.on_event(event)

    def told(self) -> list[str]:
        self.step()
        taken, self.events = self.events, []
        return [line(each) for each in taken]

    def told_events(self) -> list[Event]:
        self.step()
        taken, self.events = self.events, []
        return taken

    def sent(self) -> list[str]:
        return [line(each) for each in self.sent_messages()]

    def everything(self) -> tuple[object, ...]:
        end = self.server
        return end.state, end.audio, end.session_id, end.next_deadline(), end.init, end.dropped

    @property
    def turn(self) -> Turn:
        return self.server.turn

    @property
    def stream(self) -> AudioStream:
        return self.server.stream

    def say(self, audio: bytes = SECOND, **response: Any) -> None:
        """Answer the turn that runs."""
        self.turn.say(audio)
        self.turn.finish(**response)
        self.step()

    def hear(self, text: str = "yes") -> None:
        """Have the recogniser come to a final result."""
        self.stream.recognized(text, final=True)
        self.step()


def call_in(state: State | str, *, parameters: Frame | None = None, **kw: Any) -> CallHost:
    """A call that was brought into a state; nothing of the way there is left to take.

    From Processing on, turn 1 runs or has run. In Sleeping the session does so for 60 seconds.
    """
    host = CallHost(**kw)
    if state is not OPENED:
        host.receive(CONNECTED, start(customParameters=parameters or {}))
    if state in (RESPONDING, PLAYING, LISTENING, SLEEPING):
        host.turn.say(SECOND)
    if state in (PLAYING, LISTENING, SLEEPING):
        host.turn.finish(sleep_timeout=60 if state is SLEEPING else 0)
    if state in (LISTENING, SLEEPING):
        host.receive(mark("turn-1"))
    host.forget()
    assert host.state is (RESPONDING if state is PLAYING else state)
    return host


def interrupted(state: State | str, reason: str) -> list[str]:
    return [f"TurnInterrupted 1 {reason}"] if state in (PROCESSING, RESPONDING) else []


def speak(host: CallHost) -> Turn:
    """The turn that runs, else one that the server begins."""
    return host.server.begin() if host.turn.over else host.turn


# ------------------------------------------------------------ the handshake

TOKEN, ROOT = "secret", "https://voice.example.com/base"
ADDRESS = "wss://voice.example.com/base/call/"


def handshake(signature: str | None, url: str = "/call/") -> RequestHead:
    return RequestHead(url=url, headers=() if signature is None else ((SIGNATURE_HEADER, signature),))


def test_the_handshake_is_answered_with_101() -> None:
    host = CallHost()
    assert (host.sent_messages(), host.told(), host.state) == ([ResponseHead(status=101)], [], OPENED)


@pytest.mark.parametrize("root", [ROOT, ROOT + "/", "wss://voice.example.com/base"])
def test_a_handshake_that_twilio_has_signed_is_accepted(root: str) -> None:
    host = CallHost(opened=False, auth_token=TOKEN, public_url=root)
    host.receive(handshake(sign(TOKEN, ADDRESS)))
    assert host.sent() == ["101"]


def test_a_handshake_may_be_signed_with_a_shared_key() -> None:
    host = CallHost(opened=False, auth_token=TOKEN, public_url=ROOT, shared_keys={"SK1": "other"})
    how = ("X-Twilio-Webhooks-Signature-Settings", "key=SK1,algorithm=HMAC_SHA256")
    signature = (SIGNATURE_HEADER, sign("other", ADDRESS, algorithm="HMAC_SHA256"))
    host.receive(RequestHead(url="/call/", headers=(how, signature)))
    assert host.sent() == ["101"]


@pytest.mark.parametrize(
    "head",
    [
        handshake(None),
        handshake("x"),
        handshake(sign("another", ADDRESS)),
        handshake(sign(TOKEN, ADDRESS.replace("wss", "https"))),
        handshake(sign(TOKEN, ADDRESS), "/call/?more"),
    ],
    ids=["none", "garbage", "another token", "as a webhook", "another address"],
)
def test_a_handshake_that_twilio_has_not_signed_is_refused(head: RequestHead) -> None:
    host = CallHost(opened=False, auth_token=TOKEN, public_url=ROOT)
    host.receive(head)
    fault, closed = host.told_events()
    assert isinstance(fault, FaultEvent)
    assert isinstance(fault.error, SignatureError)
    assert isinstance(closed, ClosedEvent)
    assert host.sent_messages() == [ResponseHead(status=403)]
    assert (host.server.closed, host.state) == (True, CLOSED)
    host.receive("never read")
    assert (host.told(), host.sent()) == ([], [])


def test_a_handshake_without_a_path_is_refused() -> None:
    host = CallHost(opened=False, auth_token=TOKEN, public_url=ROOT)
    host.receive(handshake(sign(TOKEN, ADDRESS), "call"))
    assert (host.told(), host.sent()) == (["Fault", "Closed 1008"], ["403"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"auth_token": None, "public_url": ROOT},
        {"auth_token": TOKEN, "public_url": None},
        {"auth_token": "", "public_url": ROOT},
        {"auth_token": TOKEN, "public_url": "voice.example.com"},
        {"auth_token": TOKEN, "public_url": ROOT + "?x"},
        {"silence_timeout": -1},
    ],
    ids=str,
)
def test_what_cannot_be_checked_with_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        CallHost(opened=False, **arguments)


def test_whether_signatures_are_checked_is_never_left_open() -> None:
    with pytest.raises(TypeError, match="auth_token"):
        TwilioServer()  # type: ignore[call-arg]


def test_error_audio_that_cannot_be_played_is_refused_at_once() -> None:
    with pytest.raises(LocalProtocolError):
        CallHost(error_audio=wave(16000))


@pytest.mark.parametrize("message", ["text", b"data", ResponseHead(status=101)], ids=repr)
def test_before_the_handshake_nothing_else_can_come(message: Message) -> None:
    host = CallHost(opened=False)
    refused(host, lambda: host.server.receive_data(message))


@pytest.mark.parametrize("message", [RequestHead(url="/"), ResponseHead(status=101)], ids=repr)
def test_after_the_handshake_no_other_can_come(message: Message) -> None:
    host = CallHost()
    host.forget()
    refused(host, lambda: host.server.receive_data(message))


@pytest.mark.parametrize("end", [Close(1001, "gone"), None], ids=str)
def test_a_transport_that_goes_before_the_handshake(end: Close | None) -> None:
    host = CallHost(opened=False)
    host.receive(end) if end is not None else host.lost()
    assert host.told() == [f"Closed {end.code if end else 1006}"]


# ------------------------------------------------------------ the beginning of a call


def test_a_call_begins_with_init_the_stream_and_the_intro() -> None:
    host = CallHost(accept=False)
    host.forget()
    host.receive(CONNECTED, start(), media(), dtmf())
    assert host.told() == ["Init"]
    assert host.server.next_event() is Control.NEED_ANSWER
    assert (host.state, host.due_in()) == (OPENED, None)
    host.server.ready()
    assert (host.state, host.audio) == (PROCESSING, Audio.OPEN)
    # What came while the host was deciding was kept (D-55).
    assert host.told() == ["InputAudioStreamOpen", "Input #intro", "audio 4", "Dtmf 1"]
    assert (host.sent(), host.server.session_id) == ([], CALL)
    assert (host.turn.number, host.turn.text, host.turn.session_id) == (1, "#intro", CALL)


def test_init_without_parameters() -> None:
    host = call_in(PROCESSING)
    config = ClientConfig(
        locale="en",
        stt_mode=SttMode.DUPLEX,
        stt_sample_rate=8000,
        tts=TtsType.REQUIRED_STREAMING,
        tts_file_type=AudioFileType.MULAW,
        send_response_items=True,
    )
    assert host.server.init == InitEvent(key="flowstorm", device_id="anonymous", token=None, config=config)


def test_init_says_what_the_parameters_say() -> None:
    parameters = {"appKey": "app", "deviceId": "phone", "sender": "+420", "token": "t", "locale": "cs_CZ"}
    init = call_in(PROCESSING, parameters=parameters, silence_timeout=0).server.init
    assert init is not None
    assert (init.key, init.device_id, init.token) == ("app", "phone", "t")
    assert (init.config.locale, init.config.silence_timeout) == ("cs-CZ", 0)


@pytest.mark.parametrize(
    ("parameters", "device_id"),
    [
        ({"sender": "+420"}, "+420"),
        ({"deviceId": "", "sender": "+420"}, "+420"),
        ({"deviceId": 42}, "42"),
        ({"deviceId": None, "sender": ["x"]}, "anonymous"),
    ],
    ids=str,
)
def test_the_device_is_named_by_one_of_two_parameters(parameters: Frame, device_id: str) -> None:
    init = call_in(PROCESSING, parameters=parameters).server.init
    assert init is not None
    assert init.device_id == device_id


def intro_of(parameters: Frame, connected: Frame = CONNECTED) -> Input:
    host = CallHost()
    host.receive(connected, start(customParameters=parameters))
    assert host.turn.input is not None
    return host.turn.input


def test_the_first_input_is_in_the_language_of_the_call() -> None:
    assert intro_of({"locale": "cs"}).locale == "cs"


def test_a_malformed_language_becomes_the_default() -> None:
    assert intro_of({"locale": "?"}).locale == "en"


def test_the_first_input_names_what_initiated_the_call() -> None:
    assert intro_of({"initiationId": "i"}).attributes == {"clientType": "call:1.0.0", "initiationId": "i"}


def test_all_inputs_say_that_they_come_from_a_call() -> None:
    assert intro_of({}, {"event": "connected", "version": "2.1"}).attributes == {"clientType": "call:2.1"}
    assert intro_of({}, {"event": "connected"}).attributes == {"clientType": "call:1.0.0"}
    host = call_in(PROCESSING, parameters={"initiationId": "i"})
    host.hear("hello")
    assert host.turn.input is not None
    assert host.turn.input.attributes == {"clientType": "call:1.0.0"}


def test_the_host_may_look_at_what_twilio_says_of_the_call() -> None:
    host = CallHost()
    assert host.server.start is None
    host.receive(start(customParameters={"x": "y"}))
    assert host.server.start == Start(
        stream_sid=STREAM, account_sid=ACCOUNT, call_sid=CALL, custom_parameters={"x": "y"}
    )


@pytest.mark.parametrize("sid", [None, "", "no id", "x" * 65])
def test_a_malformed_call_sid_does_not_become_the_session_id(sid: str | None) -> None:
    host = CallHost()
    host.receive(start(callSid=sid))
    assert host.server.session_id == "s1"


def test_start_may_come_without_connected() -> None:
    host = CallHost()
    host.receive(start())
    assert host.state is PROCESSING


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_the_stream_may_be_named_in_one_of_two_places(where: str) -> None:
    host = CallHost()
    frame = start()
    del (frame["start"] if where == "outside" else frame)["streamSid"]
    host.receive(frame)
    host.say(b"x")
    assert [each["streamSid"] for each in host.sent_frames()] == [STREAM, STREAM]


def test_a_start_that_names_no_stream_is_a_fault_and_may_come_again() -> None:
    host = CallHost()
    frame = start(streamSid="")
    del frame["streamSid"]
    host.receive(frame)
    assert (host.told(), host.state) == (["Fault"], OPENED)
    host.receive(start())
    assert host.state is PROCESSING


@pytest.mark.parametrize(
    "form",
    [
        None,
        {},
        {"encoding": "AUDIO/X-MULAW"},
        {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"},
    ],
    ids=str,
)
def test_forms_of_the_usual_media_format(form: Frame | None) -> None:
    host = CallHost()
    host.receive(start(mediaFormat=form))
    assert host.state is PROCESSING


@pytest.mark.parametrize(
    "form", [{"encoding": "audio/x-l16"}, {"sampleRate": 16000}, {"channels": 2}], ids=str
)
def test_another_media_format_ends_the_call(form: Frame) -> None:
    host = CallHost()
    host.forget()
    host.receive(start(mediaFormat={**FORMAT, **form}))
    assert (host.told(), host.sent(), host.state) == (["Fault", "Closed 1000"], ["Close 1000"], CLOSED)


@pytest.mark.parametrize(
    "form", ["mulaw", {"sampleRate": "fast"}, {"sampleRate": "8" * 10}, {"channels": 1.5}]
)
def test_a_media_format_that_is_none_is_a_fault(form: Any) -> None:
    host = CallHost()
    host.receive(start(mediaFormat=form))
    assert (host.told(), host.state) == (["Fault"], OPENED)


def test_a_host_that_does_not_want_the_call_closes_it() -> None:
    host = CallHost(accept=False, error_audio=SECOND)
    host.receive(start())
    host.forget()
    host.server.fail("not now")
    assert host.sent_messages() == [Close(1000, "not now")]
    assert (host.told(), host.state) == (["Closed 1000"], CLOSED)


def test_ready_and_error_may_be_sent_as_events() -> None:
    host = CallHost(accept=False)
    host.receive(start())
    host.server.send(ReadyEvent())
    assert host.state is PROCESSING
    host = CallHost(accept=False)
    host.receive(start())
    host.server.send(ErrorEvent(text="no"))
    assert host.state is CLOSED


@pytest.mark.parametrize("end", [Close(1001, "gone"), None], ids=str)
def test_the_end_of_the_transport_passes_the_gate(end: Close | None) -> None:
    host = CallHost(accept=False)
    host.receive(start(), media())
    host.receive(end) if end is not None else host.lost()
    assert host.told() == ["Init", f"Closed {end.code if end else 1006}"]
    with pytest.raises(TooLateError):
        host.server.ready()


def test_a_call_that_does_not_begin_is_given_up() -> None:
    host = CallHost()
    host.forget()
    host.receive(CONNECTED, NEW)
    host.advance(29.9)
    assert host.sent() == []
    host.advance(0.2)
    assert (host.told(), host.sent()) == (["twilio:novelty", "Closed 1008"], ["Close 1008"])


def test_a_host_may_take_its_time_to_accept() -> None:
    host = CallHost(accept=False)
    host.receive(start())
    host.advance(1000)
    host.server.ready()
    assert host.state is PROCESSING


# ------------------------------------------------------------ the table: what is received

OPEN_CELLS: list[tuple[str, Any, list[str], int]] = [
    ("connected", CONNECTED, [], 0),
    ("media", media(), [], 1),
    ("dtmf", dtmf(), [], 0),
    ("mark", mark("turn-1"), [], 0),
    ("unknown", NEW, ["twilio:novelty"], 0),
    ("garbage", "{", ["Fault"], 0),
    ("binary", b"1234", ["Fault"], 0),
]


@pytest.mark.parametrize(
    ("frame", "told", "dropped"), [each[1:] for each in OPEN_CELLS], ids=[e[0] for e in OPEN_CELLS]
)
def test_before_the_start(frame: Any, told: list[str], dropped: int) -> None:
    host = CallHost()
    host.forget()
    host.receive(frame)
    assert (host.state, host.told(), host.sent(), host.server.dropped) == (OPENED, told, [], dropped)


def test_a_call_that_stops_before_its_start() -> None:
    host = CallHost()
    host.forget()
    host.receive(stop())
    assert (host.told(), host.sent(), host.state) == (["Closed 1000"], ["Close 1000"], CLOSED)


STAYS: list[tuple[str, Any, list[str], int]] = [
    ("media", media(), ["audio 4"], 0),
    ("media without a track", media(track=None), ["audio 4"], 0),
    ("media of another track", media(track="outbound"), [], 1),
    ("media of another stream", media(stream="MZ2"), [], 1),
    ("empty media", media(b""), [], 0),
    ("dtmf", dtmf("#"), ["Dtmf #"], 0),
    ("dtmf as a number", dtmf(5), ["Dtmf 5"], 0),
    ("dtmf of another stream", dtmf(stream="MZ2"), [], 1),
    ("a mark not waited for", mark("turn-7"), [], 0),
    ("the last mark, too early", mark("Sleeping"), [], 0),
    ("a mark of another stream", mark("turn-1", stream="MZ2"), [], 1),
    ("stop of another stream", stop(stream="MZ2"), [], 1),
    ("unknown", NEW, ["twilio:novelty"], 0),
    ("start", start(), ["Fault"], 0),
    ("connected", CONNECTED, ["Fault"], 0),
    ("clear", {"event": "clear", "streamSid": STREAM}, ["twilio:clear"], 0),
    ("garbage", "}{", ["Fault"], 0),
    ("no object", "[]", ["Fault"], 0),
    ("no event", {"x": 1}, ["Fault"], 0),
    ("an event that is no text", {"event": 1}, ["Fault"], 0),
    ("media that is null", {"event": "media", "media": None}, ["Fault"], 0),
    ("media without payload", {"event": "media", "media": {"track": "inbound"}}, ["Fault"], 0),
    ("no base64", media(payload="!"), ["Fault"], 0),
    ("a digit that is none", dtmf(True), ["Fault"], 0),
    ("a mark without a name", {"event": "mark", "mark": {}}, ["Fault"], 0),
    ("binary", b"1234", ["Fault"], 0),
    ("binary, empty", b"", ["Fault"], 0),
]


@pytest.mark.parametrize("state", CONVERSING, ids=str)
@pytest.mark.parametrize(
    ("frame", "told", "dropped"), [each[1:] for each in STAYS], ids=[e[0] for e in STAYS]
)
def test_what_changes_no_state(state: State | str, frame: Any, told: list[str], dropped: int) -> None:
    host = call_in(state)
    before = host.state, host.due_in(), host.server.session_id
    host.receive(frame)
    assert (host.told(), host.sent(), host.server.dropped) == (told, [], dropped)
    assert (host.state, host.due_in(), host.server.session_id) == before


def test_a_key_is_told_with_its_track() -> None:
    host = call_in(LISTENING)
    host.receive(dtmf("*"), {"event": "dtmf", "dtmf": {"digit": "9"}})
    assert host.told_events() == [DtmfEvent(digit="*", track="inbound_track"), DtmfEvent(digit="9", track="")]


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_stop_ends_the_call(state: State | str) -> None:
    host = call_in(state)
    stream, session = host.stream, host.server.session
    host.receive(stop())
    assert host.told() == [*interrupted(state, "session ended"), "SessionEnded", "Closed 1000"]
    assert (host.sent(), host.state, host.audio) == (["Close 1000"], CLOSED, Audio.CLOSED)
    assert (host.server.session, stream.over) == (None, True)
    assert session is not None
    assert session.ended


@pytest.mark.parametrize("end", [Close(1005, ""), None], ids=str)
@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_the_loss_of_the_transport_ends_the_call(state: State | str, end: Close | None) -> None:
    host = call_in(state)
    host.receive(end) if end is not None else host.lost()
    code = end.code if end else 1006
    assert host.told() == [*interrupted(state, "lost"), "SessionEnded", f"Closed {code}"]
    assert (host.sent(), host.state, host.stream.over) == ([], CLOSED, True)


def test_what_waits_to_be_played_does_not_go_out_after_stop() -> None:
    host = call_in(PROCESSING)
    host.turn.say(SECOND)
    host.receive(stop())
    assert host.sent() == ["Close 1000"]


# ------------------------------------------------------------ the table: what the host does


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_interim_results_change_nothing(state: State | str) -> None:
    host = call_in(state)
    before = host.state
    host.stream.recognized("he", final=False)
    assert (host.state, host.told(), host.sent()) == (before, [], [])


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_a_final_result_is_an_input_and_clears(state: State | str) -> None:
    host = call_in(state)
    host.stream.recognized("hello", final=True)
    assert host.state is PROCESSING
    assert host.told() == [*interrupted(state, "recognized"), "Input hello"]
    assert host.sent() == ["clear"]
    assert (host.turn.number, host.turn.session_id, host.audio) == (2, CALL, Audio.OPEN)


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_audio_is_sent_and_the_state_is_responding(state: State | str) -> None:
    host = call_in(state)
    speak(host).say(b"\x22" * 8001)
    assert (host.state, host.told(), host.sent()) == (RESPONDING, [], ["media 8000", "media 1"])


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_an_item_alone_changes_nothing(state: State | str) -> None:
    host = call_in(state)
    before = host.state
    speak(host).say("text")
    assert (host.state, host.told(), host.sent()) == (before, [], [])


@pytest.mark.parametrize("state", CONVERSING, ids=str)
@pytest.mark.parametrize(
    ("members", "marks"),
    [
        ({}, ["mark turn-{}"]),
        ({"sleep_timeout": 60}, ["mark turn-{}"]),
        ({"sleep_timeout": 60, "session_ended": True}, ["mark turn-{}"]),
        ({"session_ended": True}, ["mark turn-{}", "mark Sleeping"]),
    ],
    ids=["goes on", "sleeps", "sleeps, D-51", "ends"],
)
def test_a_response_is_a_mark(state: State | str, members: dict[str, Any], marks: list[str]) -> None:
    host = call_in(state)
    turn = speak(host)
    turn.finish(**members)
    assert (host.state, host.told(), turn.over) == (RESPONDING, [], True)
    assert host.sent() == [each.format(turn.number) for each in marks]
    assert (host.audio is Audio.CLOSED) is (host.server.session is None) is (len(marks) == 2)


@pytest.mark.parametrize("state", CONVERSING, ids=str)
def test_an_error_is_heard_and_ends_the_call(state: State | str) -> None:
    host = call_in(state, error_audio=b"\x33" * 10)
    stream = host.stream
    host.server.fail("no")
    assert host.told() == interrupted(state, "error")
    assert host.sent() == ["clear", "media 10", "mark Sleeping"]
    assert (host.state, host.audio, host.server.session, stream.over) == (
        RESPONDING,
        Audio.CLOSED,
        None,
        True,
    )
    host.receive(mark("turn-1"))
    assert host.state is RESPONDING
    host.receive(mark("Sleeping"))
    assert (host.told(), host.sent(), host.state) == (["Closed 1000"], ["Close 1000"], CLOSED)


def test_an_error_without_audio_for_it() -> None:
    host = call_in(RESPONDING)
    host.server.fail("no")
    assert host.sent() == ["clear", "mark Sleeping"]


@pytest.mark.parametrize("state", [SLEEPING, LISTENING, PLAYING], ids=str)
def test_the_host_may_end_the_session_between_turns(state: State | str) -> None:
    host = call_in(state)
    host.server.send(SessionEndEvent())
    assert (host.state, host.told(), host.sent()) == (RESPONDING, [], ["mark Sleeping"])
    assert (host.audio, host.server.session) == (Audio.CLOSED, None)
    host.receive(mark("turn-1"))
    host.receive(mark("Sleeping"))
    assert (host.told(), host.sent()) == (["Closed 1000"], ["Close 1000"])


@pytest.mark.parametrize("state", [PROCESSING, RESPONDING], ids=str)
def test_the_host_ends_the_session_of_a_turn_with_its_response(state: State) -> None:
    host = call_in(state)
    refused(host, lambda: host.server.send(SessionEndEvent()))


@pytest.mark.parametrize("state", CONVERSING, ids=str)
@pytest.mark.parametrize(
    "event", [UnknownEvent(data={"type": "x"}), BinaryEvent(data=b""), BinaryEvent(data=b"1")]
)
def test_there_is_nothing_else_to_send(state: State | str, event: Event) -> None:
    host = call_in(state)
    refused(host, lambda: host.server.send(event))


@pytest.mark.parametrize("state", [OPENED, *CONVERSING], ids=str)
def test_ready_is_legal_once(state: State | str) -> None:
    host = call_in(state)
    refused(host, host.server.ready)


def test_before_the_start_the_host_has_nothing_to_say() -> None:
    host = CallHost()
    host.forget()
    refused(host, host.server.begin)
    refused(host, lambda: host.server.fail("no"))
    refused(host, lambda: host.server.send(SessionEndEvent()))


@pytest.mark.parametrize("state", [SLEEPING, LISTENING, PLAYING], ids=str)
def test_the_server_may_begin_a_turn(state: State | str) -> None:
    host = call_in(state)
    before = host.state
    turn = host.server.begin()
    assert (host.state, host.told(), host.sent(), turn.session_id) == (before, [], [], CALL)
    refused(host, host.server.begin)
    turn.say(b"1234")
    turn.finish()
    assert (host.state, host.sent()) == (RESPONDING, ["media 4", "mark turn-2"])
    host.receive(mark("turn-1"))
    assert host.state is RESPONDING
    host.receive(mark("turn-2"))
    assert host.state is LISTENING


@pytest.mark.parametrize("state", [PROCESSING, RESPONDING], ids=str)
def test_the_server_begins_no_turn_while_another_runs(state: State) -> None:
    host = call_in(state)
    refused(host, host.server.begin)


@pytest.mark.parametrize("state", [PROCESSING, RESPONDING], ids=str)
@pytest.mark.parametrize("by", ["turn", "stream"])
def test_an_interruption_clears(state: State, by: str) -> None:
    host = call_in(state)
    host.turn.interrupt("dtmf") if by == "turn" else host.stream.interrupt("dtmf")
    assert (host.state, host.told(), host.sent()) == (LISTENING, ["TurnInterrupted 1 dtmf"], ["clear"])
    assert host.turn.over
    with pytest.raises(TooLateError):
        host.turn.say(b"1")


def test_what_a_finished_turn_still_plays_can_be_interrupted() -> None:
    host = call_in(PLAYING)
    host.stream.interrupt()
    assert (host.state, host.told(), host.sent()) == (LISTENING, [], ["clear"])
    host.receive(mark("turn-1"))
    assert (host.state, host.due_in()) == (LISTENING, 5)


@pytest.mark.parametrize("state", [SLEEPING, LISTENING], ids=str)
def test_where_nothing_is_said_there_is_nothing_to_interrupt(state: State) -> None:
    host = call_in(state)
    before = host.everything()
    host.stream.interrupt()
    assert (host.everything(), host.told(), host.sent()) == (before, [], [])


@pytest.mark.parametrize("state", [OPENED, *CONVERSING], ids=str)
def test_the_host_may_close(state: State | str) -> None:
    host = call_in(state)
    host.server.close(1011, "oh")
    ended = [] if state is OPENED else ["SessionEnded"]
    assert host.told() == [*interrupted(state, "closed"), *ended, "Closed 1011"]
    assert host.sent_messages() == [Close(1011, "oh")]
    host.server.close()
    assert (host.told(), host.sent(), host.state) == ([], [], CLOSED)
    for call in (host.server.begin, host.server.ready, lambda: host.server.fail("x")):
        with pytest.raises(TooLateError):
            call()


def test_what_was_said_goes_out_before_the_host_closes() -> None:
    host = call_in(PROCESSING)
    host.turn.say(b"1234")
    host.server.close()
    assert host.sent() == ["media 4", "Close 1000"]


# ------------------------------------------------------------ audio


def test_audio_is_cut_into_pieces_of_a_second() -> None:
    host = call_in(PROCESSING)
    audio = bytes(range(256)) * 80
    host.turn.say(audio)
    frames = host.sent_frames()
    assert [set(each) for each in frames] == [{"event", "streamSid", "media"}] * 3
    pieces = [base64.b64decode(each["media"]["payload"]) for each in frames]
    assert ([len(each) for each in pieces], b"".join(pieces)) == ([8000, 8000, 4480], audio)


def wave(rate: int, encoding: int = 7, bits: int = 8, data: bytes = b"12345678") -> bytes:
    form = struct.pack("<HHIIHH", encoding, 1, rate, rate * bits // 8, bits // 8, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def test_a_file_is_sent_without_its_header() -> None:
    host = call_in(PROCESSING)
    host.turn.say(wave(8000))
    (frame,) = host.sent_frames()
    assert base64.b64decode(frame["media"]["payload"]) == b"12345678"


def test_a_file_of_another_rate_is_the_hosts_mistake() -> None:
    host = call_in(PROCESSING)
    refused(host, lambda: host.turn.say(wave(16000)))


@pytest.mark.parametrize("audio", [b"", wave(8000, data=b"")], ids=["nothing", "a file with nothing in it"])
def test_audio_of_no_length_is_nothing(audio: bytes) -> None:
    host = call_in(PROCESSING)
    host.turn.say(audio)
    assert (host.state, host.sent()) == (PROCESSING, [])


def test_a_host_that_lets_nothing_go_out_is_stopped_but_may_finish() -> None:
    host = call_in(PROCESSING, limits=Limits(queued_bytes=20_000))
    host.turn.say(SECOND * 2)
    with pytest.raises(LocalProtocolError, match="wait to be sent"):
        host.turn.say(SECOND)
    host.turn.finish()
    assert host.sent() == ["media 8000", "media 8000", "mark turn-1"]


def test_a_full_outbox_does_not_stop_a_barge_in() -> None:
    host = call_in(PROCESSING, limits=Limits(queued_bytes=10_000))
    host.turn.say(SECOND * 3)
    host.stream.recognized("stop", final=True)
    assert (host.sent(), host.state) == (["clear"], PROCESSING)


def test_more_than_twilio_keeps_is_not_sent_and_the_host_is_told() -> None:
    host = call_in(PROCESSING)
    host.turn.say(SECOND * 599)
    host.forget()
    host.clock.advance(1)
    host.turn.say(SECOND * 3)
    (told,) = host.told_events()
    assert isinstance(told, UnsentEvent)
    assert (told.number, told.part) == (1, "audio")
    assert "24000" in told.reason
    assert "16000" in told.reason
    assert host.sent() == ["media 8000", "media 8000"]


# ------------------------------------------------------------ what a caller cannot hear (D-75)


def test_text_without_audio_is_told() -> None:
    host = call_in(PROCESSING)
    host.turn.say("one")
    assert host.told() == []
    host.turn.say("two")
    assert host.told() == ["Unsent 1 text"]
    host.turn.finish()
    assert (host.told(), host.sent()) == (["Unsent 1 text"], ["mark turn-1"])


def test_text_whose_audio_follows_is_not_told() -> None:
    host = call_in(PROCESSING)
    for audio in (b"1", b"2"):
        host.turn.say("text")
        host.turn.say(audio)
        host.turn.say(audio)
    host.turn.finish()
    assert (host.told(), host.sent()) == ([], [*["media 1"] * 4, "mark turn-1"])


def test_a_command_is_silent_and_stands_between_nothing() -> None:
    host = call_in(PROCESSING)
    host.turn.say("text")
    host.turn.say("#volume")
    host.turn.say(b"1")
    host.turn.say(ResponseItem(text="#card", code="{}"))
    host.turn.say(ResponseItem())
    host.turn.finish(items=(ResponseItem(text="#end"),))
    assert host.told() == []


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ({"text": "t", "image": "/i"}, "text"),
        ({"ssml": "<speak/>"}, "text"),
        ({"audio": "/a", "image": "/i"}, "audio"),
        ({"video": "/v"}, "video"),
        ({"image": "/i"}, "image"),
    ],
    ids=str,
)
def test_what_is_told_of_an_item(members: dict[str, Any], part: str) -> None:
    host = call_in(PROCESSING)
    host.turn.say(ResponseItem(**members))
    host.turn.finish()
    assert host.told() == [f"Unsent 1 {part}"]


def test_items_of_the_response_have_no_audio() -> None:
    host = call_in(PROCESSING)
    host.turn.say("one")
    host.turn.say(b"1")
    host.turn.finish(items=(ResponseItem(text="two"), ResponseItem(text="three")))
    assert (host.told(), host.sent()) == (["Unsent 1 text"] * 2, ["media 1", "mark turn-1"])


def test_nothing_is_told_of_the_items_of_an_interrupted_turn() -> None:
    host = call_in(PROCESSING)
    host.turn.say("one")
    host.hear("wait")
    host.turn.finish()
    assert host.told() == ["TurnInterrupted 1 recognized", "Input wait"]


def test_other_events_do_not_belong_to_a_turn() -> None:
    host = call_in(PROCESSING)
    refused(host, lambda: host.turn.send(ReadyEvent()))  # type: ignore[arg-type]


def test_items_may_be_sent_as_events() -> None:
    host = call_in(PROCESSING)
    host.turn.send(ResponseItemEvent(response_item=ResponseItem(text="one")))
    host.turn.send(BinaryEvent(data=b"1"))
    host.turn.send(ResponseEvent(response=Response()))
    assert (host.told(), host.sent()) == ([], ["media 1", "mark turn-1"])


# ------------------------------------------------------------ a dialogue that fails


def test_a_failed_turn_is_heard_after_what_was_said() -> None:
    host = call_in(RESPONDING, error_audio=b"\x33" * 10)
    host.turn.fail("It went wrong.")
    assert (host.told(), host.sent()) == ([], ["media 10", "mark turn-1", "mark Sleeping"])
    assert host.server.session is None
    with pytest.raises(TooLateError):
        host.turn.fail("twice")


def test_a_failed_turn_without_audio_for_it() -> None:
    host = call_in(RESPONDING)
    host.turn.fail("It went wrong.")
    assert (host.told(), host.sent()) == (["Unsent 1 text"], ["mark turn-1", "mark Sleeping"])


# ------------------------------------------------------------ marks (D-74)


def test_the_mark_of_the_turn_leads_to_listening() -> None:
    host = call_in(PLAYING)
    host.receive(mark("turn-1"))
    assert (host.state, host.told(), host.sent()) == (LISTENING, [], [])


def test_a_mark_comes_back_once() -> None:
    host = call_in(LISTENING)
    host.receive(mark("turn-1"))
    assert (host.state, host.told()) == (LISTENING, [])
    host.hear()
    host.say()
    host.receive(mark("turn-1"))
    assert host.state is RESPONDING
    host.receive(mark("turn-2"))
    assert host.state is LISTENING


def test_a_turn_without_audio_has_a_mark_too() -> None:
    host = call_in(PROCESSING)
    host.turn.finish()
    assert (host.state, host.sent()) == (RESPONDING, ["mark turn-1"])
    host.receive(mark("turn-1"))
    assert host.state is LISTENING


def test_a_mark_that_a_clear_has_sent_back_does_not_count() -> None:
    host = call_in(PLAYING)
    host.hear("wait")
    host.receive(mark("turn-1"))
    assert host.state is PROCESSING
    host.turn.say(SECOND)
    host.receive(mark("turn-1"))
    assert host.state is RESPONDING


def test_a_mark_is_not_waited_for_once_more_is_said() -> None:
    host = call_in(PLAYING)
    host.server.begin().say(SECOND)
    host.receive(mark("turn-1"))
    assert host.state is RESPONDING


def test_a_turn_that_has_begun_and_said_nothing_leaves_the_mark_alone() -> None:
    host = call_in(PLAYING)
    turn = host.server.begin()
    host.receive(mark("turn-1"))
    assert (host.state, host.due_in(), turn.over) == (LISTENING, None, False)
    turn.interrupt()
    assert (host.state, host.due_in()) == (LISTENING, 5)


def test_after_the_end_of_the_session_its_own_mark_counts() -> None:
    host = call_in(PROCESSING)
    host.say(session_ended=True)
    host.receive(mark("turn-1"))
    assert (host.state, host.told()) == (RESPONDING, [])
    host.forget()
    host.receive(mark("Sleeping"))
    assert (host.state, host.told(), host.sent()) == (CLOSED, ["Closed 1000"], ["Close 1000"])


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_last_mark_that_does_not_come_back(seconds: int) -> None:
    host = call_in(PROCESSING)
    host.say(SECOND * seconds, session_ended=True)
    assert host.due_in() == seconds + 5
    host.advance(seconds + 4.9)
    assert host.state is RESPONDING
    host.advance(0.2)
    assert (host.state, host.told()[-1:], host.sent()[-1:]) == (CLOSED, ["Closed 1000"], ["Close 1000"])


def test_what_has_been_played_already_does_not_count_for_the_last_mark() -> None:
    host = call_in(PROCESSING)
    host.turn.say(SECOND * 3)
    host.step()
    host.advance(1)
    host.say(SECOND, session_ended=True)
    assert host.due_in() == 3 + 5


def test_pauses_between_two_pieces_are_not_played() -> None:
    host = call_in(PROCESSING)
    host.turn.say(SECOND)
    host.step()
    host.advance(10)
    host.say(SECOND, session_ended=True)
    assert host.due_in() == 1 + 5


def test_what_was_cleared_does_not_count_for_the_last_mark() -> None:
    host = call_in(PROCESSING, error_audio=SECOND)
    host.turn.say(SECOND * 60)
    host.flush()
    host.turn.say(SECOND * 60)
    host.server.fail("no")
    assert host.due_in() == 1 + 5
    host.flush()
    assert host.due_in() == 1 + 5


def test_what_waits_for_a_slow_transport_is_played_later() -> None:
    host = call_in(PROCESSING)
    host.turn.say(SECOND * 2)
    host.turn.finish(session_ended=True)
    assert host.due_in() == 2 + 5
    out = host.server.data_to_send()
    assert line(next(out)) == "media 8000"
    host.clock.advance(4)
    assert line(next(out)) == "media 8000"
    assert host.due_in() == 1 + 5
    host.clock.advance(4)
    host.tell()
    assert [line(each) for each in out] == ["mark turn-1", "mark Sleeping"]
    assert host.due_in() == 5


# ------------------------------------------------------------ the end


def ending(**kw: Any) -> CallHost:
    host = call_in(PROCESSING, **kw)
    host.say(session_ended=True)
    host.forget()
    return host


def test_after_the_end_of_the_session_nothing_more_is_heard() -> None:
    host = ending()
    stream = host.stream
    assert (host.audio, stream.over) == (Audio.CLOSED, True)
    host.receive(media(), dtmf(), NEW, start())
    assert (host.told(), host.server.dropped) == (["Dtmf 1", "twilio:novelty", "Fault"], 1)
    for call in (lambda: stream.recognized("bye", final=True), stream.ready):
        with pytest.raises(TooLateError):
            call()
    stream.interrupt()
    assert (host.sent(), host.state) == ([], RESPONDING)


def test_after_the_end_of_the_session_the_host_has_nothing_to_say() -> None:
    host = ending()
    refused(host, host.server.begin)
    refused(host, lambda: host.server.send(SessionEndEvent()))
    host.turn.interrupt()
    host.server.give_way()
    assert (host.sent(), host.state) == ([], RESPONDING)


def test_last_words_are_not_cut_short_by_an_error() -> None:
    host = ending(error_audio=SECOND)
    before = host.everything()
    host.server.fail("no")
    assert (host.everything(), host.told(), host.sent()) == (before, [], [])


@pytest.mark.parametrize("how", ["stop", "lost", "close"])
def test_the_end_of_the_call_after_the_end_of_the_session(how: str) -> None:
    host = ending()
    {"stop": lambda: host.receive(stop()), "lost": host.lost, "close": host.server.close}[how]()
    assert host.told() == [f"Closed {1006 if how == 'lost' else 1000}"]


# ------------------------------------------------------------ silence (D-73)


def test_silence_is_an_input_after_five_seconds_of_listening() -> None:
    host = call_in(PLAYING)
    host.advance(30)
    assert host.told() == []
    host.receive(mark("turn-1"))
    host.advance(4.9)
    assert host.told() == []
    host.advance(0.2)
    assert (host.told(), host.sent(), host.state) == (["Input #silence"], ["clear"], PROCESSING)
    assert host.turn.number == 2


def test_interim_results_restart_the_silence_clock() -> None:
    host = call_in(LISTENING)
    for _ in range(3):
        host.advance(4)
        host.stream.recognized("hm", final=False)
    assert host.told() == []
    host.advance(5)
    assert host.told() == ["Input #silence"]


def test_neither_audio_nor_keys_restart_the_silence_clock() -> None:
    host = call_in(LISTENING)
    host.advance(4)
    host.receive(media(), dtmf())
    host.advance(1)
    assert host.told() == ["audio 4", "Dtmf 1", "Input #silence"]


@pytest.mark.parametrize("state", [PROCESSING, RESPONDING], ids=str)
def test_a_clear_starts_the_silence_clock(state: State) -> None:
    host = call_in(state)
    host.advance(60)
    host.turn.interrupt()
    host.advance(4.9)
    assert host.told() == ["TurnInterrupted 1 host"]
    host.advance(0.2)
    assert host.told() == ["Input #silence"]


def test_interim_results_elsewhere_start_no_silence_clock() -> None:
    for state in (PROCESSING, RESPONDING, PLAYING, SLEEPING):
        host = call_in(state)
        host.stream.recognized("hm", final=False)
        assert host.due_in() == (60 if state is SLEEPING else None)


def test_there_is_no_silence_while_the_server_has_a_turn() -> None:
    host = call_in(LISTENING)
    turn = host.server.begin()
    host.advance(60)
    host.stream.recognized("hm", final=False)
    host.advance(60)
    assert (host.told(), host.state) == ([], LISTENING)
    turn.interrupt()
    host.advance(5)
    assert host.told() == ["TurnInterrupted 2 host", "Input #silence"]


@pytest.mark.parametrize(("milliseconds", "due"), [(0, None), (1500, 1.5)])
def test_the_silence_clock_is_the_hosts_to_set(milliseconds: int, due: float | None) -> None:
    assert call_in(LISTENING, silence_timeout=milliseconds).due_in() == due


def test_silence_is_in_the_language_of_the_session() -> None:
    host = call_in(PROCESSING)
    host.say(locale="cs")
    host.receive(mark("turn-1"))
    host.advance(5)
    assert host.turn.input is not None
    assert (host.turn.text, host.turn.input.locale) == ("#silence", "cs")


# ------------------------------------------------------------ sleep (D-73)


def test_a_sleeping_call_stays_up_until_its_time_has_passed() -> None:
    host = call_in(PROCESSING)
    host.say(sleep_timeout=60)
    host.advance(100)
    assert host.state is RESPONDING
    host.receive(mark("turn-1"))
    host.forget()
    assert (host.state, host.due_in(), host.audio) == (SLEEPING, 60, Audio.OPEN)
    host.advance(59.9)
    assert host.told() == []
    host.advance(0.2)
    assert (host.told(), host.sent()) == ([f"SessionExpired {CALL}", "Closed 1000"], ["Close 1000"])


def test_input_wakes_a_sleeping_call() -> None:
    host = call_in(SLEEPING)
    session = host.server.session
    assert session is not None
    assert session.asleep
    host.receive(media())
    host.hear("hello")
    assert (host.told(), host.state, session.asleep) == (["audio 4", "Input hello"], PROCESSING, False)
    assert (host.server.session, host.due_in()) == (session, None)
    host.say()
    host.receive(mark("turn-2"))
    assert (host.state, host.due_in()) == (LISTENING, 5)


def test_speech_into_the_last_words_before_sleep() -> None:
    host = call_in(PROCESSING)
    host.say(SECOND * 10, sleep_timeout=60)
    host.forget()
    host.stream.interrupt()
    assert (host.state, host.due_in(), host.sent()) == (SLEEPING, 60, ["clear"])


def test_a_turn_of_the_server_wakes_the_session_when_it_is_heard() -> None:
    host = call_in(SLEEPING)
    host.advance(50)
    turn = host.server.begin()
    assert (host.state, host.due_in()) == (SLEEPING, None)
    turn.say(b"1")
    assert host.state is RESPONDING
    turn.interrupt()
    assert (host.state, host.due_in()) == (LISTENING, 5)


def test_a_turn_of_the_server_that_nobody_has_heard_lets_the_session_sleep_on() -> None:
    host = call_in(SLEEPING)
    session = host.server.session
    assert session is not None
    turn = host.server.begin()
    turn.say("without audio")
    host.advance(100)
    turn.interrupt()
    assert (host.state, host.due_in(), session.asleep) == (SLEEPING, 60, True)
    assert (host.told(), host.sent()) == (["TurnInterrupted 2 host"], ["clear"])


def test_an_input_wakes_the_session_whatever_the_server_had_begun() -> None:
    host = call_in(SLEEPING)
    host.server.begin()
    host.hear("hello")
    host.turn.interrupt()
    assert (host.state, host.due_in()) == (LISTENING, 5)


def test_a_turn_begun_in_the_last_words_before_sleep_and_not_heard() -> None:
    host = call_in(PROCESSING)
    host.say(sleep_timeout=60)
    turn = host.server.begin()
    host.receive(mark("turn-1"))
    assert (host.state, host.due_in()) == (SLEEPING, None)
    turn.interrupt()
    assert (host.state, host.due_in()) == (SLEEPING, 60)


def test_a_turn_of_the_server_that_ends_in_silence_wakes_the_session() -> None:
    host = call_in(SLEEPING)
    host.server.begin().finish()
    host.receive(mark("turn-2"))
    assert (host.state, host.due_in()) == (LISTENING, 5)


# ------------------------------------------------------------ what holds for the stream (D-62)


def test_the_stream_is_one_of_a_call() -> None:
    stream = call_in(PROCESSING).stream
    assert (stream.encoding, stream.config.stt_sample_rate) == (SttEncoding.MULAW, 8000)
    assert (stream.config.stt_mode, stream.media_type) == (SttMode.DUPLEX, None)


def test_that_the_recogniser_is_ready_puts_nothing_on_the_wire() -> None:
    host = call_in(PROCESSING)
    host.stream.ready()
    host.stream.send(InputAudioStreamOpenEvent())
    assert (host.sent(), host.told(), host.audio) == ([], [], Audio.OPEN)


def test_a_response_in_the_same_language_opens_no_other_stream() -> None:
    host = call_in(PROCESSING)
    stream = host.stream
    host.say(locale="en", stt_mode=SttMode.DUPLEX, expected_phrases=[ExpectedPhrase(text="yes")])
    assert (host.told(), host.stream, stream.over) == ([], stream, False)
    assert stream.expected_phrases == (ExpectedPhrase(text="yes"),)


def test_a_response_in_another_language_has_recognition_begin_anew() -> None:
    host = call_in(PROCESSING)
    before = host.stream
    host.say(locale="cs", expected_phrases=[ExpectedPhrase(text="ano")])
    assert host.told() == ["InputAudioStreamOpen"]
    assert host.stream is not before
    assert (before.over, host.stream.over, host.audio) == (True, False, Audio.OPEN)
    assert host.stream.config.locale == "cs"
    assert host.stream.expected_phrases == (ExpectedPhrase(text="ano"),)
    with pytest.raises(TooLateError):
        before.recognized("x", final=True)
    host.receive(media())
    assert host.told() == ["audio 4"]


@pytest.mark.parametrize("mode", [SttMode.SINGLE_UTTERANCE, SttMode.DEFAULT], ids=str)
def test_in_other_modes_an_utterance_has_a_stream_of_its_own(mode: SttMode) -> None:
    host = call_in(PROCESSING)
    host.say(stt_mode=mode)
    assert (host.told(), host.stream.over) == ([], True)
    host.receive(mark("turn-1"))
    assert host.told() == ["InputAudioStreamOpen"]
    stream = host.stream
    assert (stream.over, stream.config.stt_mode) == (False, mode)
    stream.recognized("on", final=False)
    assert not stream.over
    stream.recognized("one", final=True)
    assert (host.told(), stream.over, host.audio) == (["Input one"], True, Audio.OPEN)
    host.say(locale="cs")
    assert host.told() == []
    host.receive(mark("turn-2"))
    assert (host.told(), host.stream.config.locale) == (["InputAudioStreamOpen"], "cs")


def test_in_other_modes_an_interruption_opens_the_next_stream() -> None:
    host = call_in(PROCESSING)
    host.say(stt_mode=SttMode.SINGLE_UTTERANCE, sleep_timeout=60)
    host.receive(mark("turn-1"))
    host.hear("one")
    host.forget()
    host.turn.interrupt()
    assert host.told() == ["TurnInterrupted 2 host", "InputAudioStreamOpen"]


def test_duplex_may_be_set_again() -> None:
    host = call_in(PROCESSING)
    host.say(stt_mode=SttMode.SINGLE_UTTERANCE)
    host.receive(mark("turn-1"))
    host.hear("one")
    host.forget()
    host.say(stt_mode=SttMode.DUPLEX)
    assert (host.told(), host.state, host.stream.over) == (["InputAudioStreamOpen"], RESPONDING, False)


def test_the_end_of_an_utterance_counts_where_it_should() -> None:
    host = call_in(PROCESSING)
    host.say(stt_mode=SttMode.SINGLE_UTTERANCE)
    host.receive(mark("turn-1"))
    stream = host.stream
    stream.end_of_utterance()
    assert host.due_in() == 1.5
    host.forget()
    host.advance(1.5)
    assert (host.told(), stream.over) == (["Input #silence"], True)
    duplex = call_in(LISTENING)
    duplex.stream.end_of_utterance()
    assert duplex.due_in() == 5


def test_results_may_be_whole_inputs_and_events() -> None:
    host = call_in(LISTENING)
    said = Input(locale="cs", transcript=Transcript(text="ano", confidence=0.5))
    host.stream.send(RecognizedInputEvent(input=said, is_final=True))
    host.step()
    assert host.turn.input == said


# ------------------------------------------------------------ the session


def test_what_a_dialogue_remembers_is_kept_between_turns_and_can_be_put_down() -> None:
    host = call_in(PROCESSING)
    host.turn.session.data["name"] = "Ada"
    host.say(locale="cs")
    host.hear()
    assert host.turn.session.data == {"name": "Ada"}
    restored = Session.restore(host.turn.session.snapshot())
    assert (restored.session_id, restored.key, restored.turns) == (CALL, "flowstorm", 2)
    assert (restored.locale, restored.data) == ("cs", {"name": "Ada"})


def test_the_host_may_give_the_session_another_name() -> None:
    host = call_in(PROCESSING)
    host.server.rename_session("mine")
    assert (host.server.session_id, host.turn.session_id, host.sent()) == ("mine", "mine", [])
    refused(host, lambda: host.server.rename_session("no id"))
    over = ending()
    refused(over, lambda: over.server.rename_session("mine"))


def test_give_way_interrupts() -> None:
    host = call_in(PROCESSING)
    host.server.give_way()
    assert (host.told(), host.state) == (["TurnInterrupted 1 input"], LISTENING)


def test_an_accepted_call_wakes_its_host() -> None:
    woken: list[int] = []
    host = CallHost(accept=False, wake=lambda: woken.append(1))
    host.receive(start())
    host.server.ready()
    assert woken == [1]


def test_the_channel_wakes_its_host() -> None:
    host = call_in(PROCESSING)
    woken: list[int] = []
    host.server.wake = lambda: woken.append(1)
    for act in (lambda: host.turn.say(b"1"), host.turn.finish, host.stream.interrupt):
        act()
        host.step()
    assert len(woken) == 3


# ------------------------------------------------------------ limits and time


def test_too_much_at_once_is_a_fault_and_the_call_goes_on() -> None:
    host = call_in(LISTENING, limits=Limits(message_bytes=500, audio_bytes=100))
    for message in (media(b"x" * 101), media(b"x" * 600), b"x" * 600):
        host.receive(message)
        (fault,) = host.told_events()
        assert isinstance(fault, FaultEvent)
        assert isinstance(fault.error, LimitExceeded)
    host.receive(media(b"x" * 100))
    assert (host.told(), host.state) == (["audio 100"], LISTENING)


def test_more_than_can_be_kept_ends_the_call() -> None:
    host = call_in(LISTENING, limits=Limits(message_bytes=500, queued_bytes=1000))
    for _ in range(20):
        host.feed(media())
    host.step()
    told = host.told()
    assert told[:1] == ["audio 4"]
    assert told[-3:] == ["Fault", "SessionEnded", "Closed 1009"]
    assert host.sent() == ["Close 1009"]


def test_a_silent_line_is_given_up_when_the_host_says_so() -> None:
    host = call_in(LISTENING, timeouts=Timeouts(idle=3))
    host.advance(2)
    host.receive(media())
    host.advance(2)
    assert host.told() == ["audio 4"]
    host.advance(1)
    assert (host.told(), host.sent()) == (["SessionEnded", "Closed 1001"], ["Close 1001"])


# ------------------------------------------------------------ frames


def test_a_frame_that_is_not_known_loses_nothing() -> None:
    host = call_in(LISTENING)
    for frame in (NEW, {"event": "Input", "type": "Init", "x": None}, {"event": "", "type": 3}):
        host.receive(frame)
        (event,) = host.told_events()
        assert isinstance(event, UnknownEvent)
        assert event.type == f"twilio:{frame['event']}"
        own = {"twilio:type": frame["type"]} if "type" in frame else {}
        assert event.data == {**frame, **own, "type": event.type}


def test_numbers_may_be_written_either_way() -> None:
    frames = Frames()
    as_texts = media(chunk="7", timestamp="140")
    as_numbers = {**media(chunk=7, timestamp=140), "sequenceNumber": 2}
    expected = MediaFrame(
        sequence_number="2",
        stream_sid=STREAM,
        media=Media(track="inbound", chunk="7", timestamp="140", payload=b"1234"),
    )
    assert frames.read(json.dumps(as_texts)) == frames.read(json.dumps(as_numbers)) == expected


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({}, "event"),
        ({"event": None}, "event"),
        ({"event": ["media"]}, "event"),
        ({"event": "media"}, "media"),
        ({"event": "media", "media": {"payload": "*"}}, "media.payload"),
        ({"event": "start", "start": {"callSid": 1}}, "start.callSid"),
        ({"event": "start", "start": {"mediaFormat": {"sampleRate": "x"}}}, "start.mediaFormat.sampleRate"),
        ({"event": "dtmf", "dtmf": {"digit": None}}, "dtmf.digit"),
        ({"event": "mark", "mark": []}, "mark"),
        ({"event": "stop", "stop": 1}, "stop"),
        ({"event": "connected", "version": 1}, "version"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_frame_is_told_with_its_place(frame: Frame, path: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Frames().read(json.dumps(frame))
    assert caught.value.path == path


# ------------------------------------------------------------ the tables


@pytest.mark.parametrize("state", list(TWILIO), ids=str)
def test_every_row_is_tried_above(state: State) -> None:
    """Whoever adds a trigger adds a test: these are the ones there are."""
    common = {
        *("< media", "< dtmf", "< mark stale", "< Unknown", "< fault", "< stop", "lost", "close"),
        *("> ResponseItem", "> Recognized interim", "> Recognized final", "> Binary", "> Response"),
        *("> Response end", "> SessionEnded", "> Error"),
    }
    rows = {
        CLOSED: {"opened", "lost", "close"},
        OPENED: {
            *("< connected", "< start", "< media", "< dtmf", "< mark stale", "< Unknown", "< fault"),
            *("> Ready", "> Error", "< stop", "lost", "close"),
        },
        SLEEPING: common | {"begin", "interrupt asleep"},
        LISTENING: common | {"begin", "interrupt"},
        PROCESSING: common | {"interrupt"},
        RESPONDING: common
        | {"< mark", "< mark asleep", "< mark Sleeping", "begin", "interrupt", "interrupt asleep"},
    }
    assert set(TWILIO[state]) == rows[state]


def test_the_machine_obeys_the_tables() -> None:
    rules = TwilioServer.RULES
    assert rules.table is TWILIO
    anew = Rules(TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES)
    for state, heard in itertools.product(TWILIO, TWILIO_AUDIO):
        assert rules.plans(state, heard) == anew.plans(state, heard)
    assert list(rules.deadlines) == ["init", "idle", "sleep", "playback", "end_of_utterance", "silence"]


# ------------------------------------------------------------ whatever comes

TOLD = (
    *(InitEvent, InputAudioStreamOpenEvent, InputEvent, BinaryEvent, DtmfEvent, UnknownEvent, UnsentEvent),
    *(FaultEvent, TurnInterruptedEvent, SessionEndEvent, SessionExpiredEvent, ClosedEvent),
)
"""All that the host of a call can be told."""


_odd: list[Any] = [None, True, 0, -1, 1.5, 10**18, "", "x", "é", [], [1], {}, {"a": None}]


def _or_odd(*known: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*known, *known, *_odd])


_insides = st.fixed_dictionaries(
    {},
    optional={
        "track": _or_odd("inbound", "outbound", "inbound_track"),
        "payload": _or_odd("AAAA", "AAAA", "%", "AA"),
        "chunk": _or_odd("1", 2),
        "digit": _or_odd("1", 2),
        "name": _or_odd("turn-1", "turn-2", "Sleeping"),
        "streamSid": _or_odd(STREAM, STREAM, "MZ2"),
        "callSid": _or_odd(CALL),
        "customParameters": _or_odd({"appKey": "k", "locale": 7, "token": None}),
        "mediaFormat": _or_odd(FORMAT, {"channels": 2}),
    },
)
_events = _or_odd("connected", "start", "media", "dtmf", "mark", "stop", "clear")
_sids = _or_odd(STREAM, STREAM, "MZ2")


def _frame(event: Any, sid: Any, inside: Any, more: Frame) -> str:
    return json.dumps({**more, "event": event, "streamSid": sid, str(event): inside})


_more = st.sampled_from([{}, {"type": 1}, {"type": "Init"}, {"sequenceNumber": 7}, {"sequenceNumber": []}])
_frames = st.builds(_frame, _events, _sids, _insides | _or_odd(), _more)
_good = st.sampled_from(
    [start(), media(), media(track="outbound"), dtmf(), mark("turn-1"), mark("turn-2"), mark("Sleeping"), NEW]
).map(json.dumps)
_junk = st.one_of(
    _frames, _frames, _good, json_values().map(json.dumps), st.text(max_size=20), st.binary(max_size=4)
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_junk, max_size=8), st.booleans(), st.sampled_from([None, "end", "sleep", "talk"]))
def test_whatever_comes_in_whatever_order_the_call_stays_in_order(
    messages: list[str | bytes], begun: bool, answer: str | None
) -> None:
    host = CallHost()
    members = {"end": {"session_ended": True}, "sleep": {"sleep_timeout": 2}}.get(str(answer), {})

    def act(event: Event) -> None:
        assert isinstance(event, TOLD)
        if isinstance(event, InputEvent) and answer is not None:
            host.turn.say(b"1234")
            host.turn.finish(**members)

    host.on_event = act
    if begun:
        host.receive(CONNECTED, start())
    for message in messages:
        host.receive(message)
        host.advance(1)
        in_order(host.server)
    host.lost()
    assert host.server.closed
    assert isinstance(host.events[-1], ClosedEvent)
    assert sum(isinstance(each, ClosedEvent) for each in host.events) == 1


def in_order(server: TwilioServer) -> None:
    """What holds at all times, when all has been told."""
    state, audio = server.state, server.audio
    running = server._running is not None
    assert state in TWILIO
    if audio is Audio.OPEN:
        assert server.session_id is not None
        assert server.state not in (LISTENING, SLEEPING) or not server.stream.over
        assert (state is PROCESSING) <= running
    else:
        assert server.session_id is None
        assert state in (CLOSED, OPENED, RESPONDING)
        assert not running
    assert (state is CLOSED) is (server.closed)
    if state in (LISTENING, SLEEPING) or (state is RESPONDING and audio is Audio.CLOSED):
        # Something must happen some time, whatever the caller does.
        assert running is (server.next_deadline() is None)


# ------------------------------------------------------------ the caller at the other end


def caller(clock: ManualClock, **kw: Any) -> TwilioPeer:
    return TwilioPeer(clock, stream_sid=STREAM, call_sid=CALL, **kw)


def phone_call(dialogue: Callable[[Turn], object], *, accept: bool = True, **kw: Any) -> PhoneCall:
    """A call that has begun, with a host that answers every input with its dialogue."""
    clock = ManualClock(100.0)
    names = ("parameters", "hums", "returns_cleared_marks")
    peer = caller(clock, **{name: kw.pop(name) for name in names if name in kw})
    server = TwilioServer(clock=clock, auth_token=None, public_url=None, **kw)

    def host(event: Event) -> None:
        if isinstance(event, InitEvent) and accept:
            server.ready()
        elif isinstance(event, InputEvent):
            dialogue(server.turn)

    call = PhoneCall(server, peer, clock, host)
    call.settle()
    return call


def server_of(call: PhoneCall) -> TwilioServer:
    assert isinstance(call.server, TwilioServer)
    return call.server


def test_a_whole_call() -> None:
    """Greeted, heard, interrupted, silent, and sent to sleep; then the caller says goodbye."""
    hello, long, bye = b"\x01" * 4000, b"\x02" * 80_000, b"\x03" * 8000

    def dialogue(turn: Turn) -> None:
        match turn.text:
            case "#intro":
                turn.say("Hello!")
                turn.say(hello)
                turn.finish()
            case "tell":
                turn.say(long)
                turn.finish()
            case "#silence":
                turn.finish(sleep_timeout=60)
            case "bye":
                turn.say(bye)
                turn.finish(session_ended=True)

    call = phone_call(dialogue, parameters={"sender": "+420"})
    server, peer = server_of(call), call.peer
    call.advance(0.4)
    assert (server.state, peer.playing, peer.marks) == (RESPONDING, True, ("turn-1",))
    call.advance(0.2)
    assert (server.state, peer.sounds) == (LISTENING, (Sound(100.0, hello),))

    peer.speak(b"\x7f" * 800)  # 100 ms
    call.advance(0.1)
    assert sum(len(each.data) for each in call.events if isinstance(each, BinaryEvent)) == 800
    server.stream.recognized("tell", final=True)
    call.advance(2.0)
    assert (server.state, peer.playing) == (RESPONDING, True)

    server.stream.interrupt()  # the caller has begun to speak
    call.settle()
    assert (server.state, peer.playing, peer.marks) == (LISTENING, False, ())
    call.advance(4.9)
    assert server.state is LISTENING
    call.advance(0.1)
    assert server.state is SLEEPING
    assert peer.heard == hello + long[:16_000]

    call.advance(30)
    peer.press("#")
    call.settle()
    server.stream.recognized("bye", final=True)
    call.advance(0.9)
    assert (server.state, server.audio) == (RESPONDING, Audio.CLOSED)
    call.advance(0.2)
    assert peer.closed == Close(1000, "the conversation is over")
    assert peer.heard == hello + long[:16_000] + bye
    assert [line(each) for each in call.events if not isinstance(each, BinaryEvent)] == [
        *("Init", "InputAudioStreamOpen", "Input #intro", "Input tell", "Input #silence"),
        *("Dtmf #", "Input bye", "Closed 1000"),
    ]
    assert peer.warnings == []


@pytest.mark.parametrize("how", ["final", "turn", "stream", "fail"])
@pytest.mark.parametrize("over", [False, True], ids=["running", "finished"])
@pytest.mark.parametrize("after", [0.0, 0.013, 1.5])
def test_a_barge_in_is_heard_at_once(how: str, over: bool, after: float) -> None:
    def dialogue(turn: Turn) -> None:
        if turn.text == "#intro":
            turn.say(b"\x01" * 80_000)
            if over:
                turn.finish()

    call = phone_call(dialogue)
    server = server_of(call)
    call.advance(after)
    match how:
        case "final":
            server.stream.recognized("stop", final=True)
        case "turn" if not over:
            server.turn.interrupt()
        case "fail":
            server.fail("no")
        case _:
            server.stream.interrupt()
    call.advance(10)
    assert len(call.peer.heard) == int(after * 8000)
    assert call.peer.clears[0] == 100.0 + after


def test_a_barge_in_withdraws_what_has_not_gone_out() -> None:
    call = phone_call(lambda _: None)
    server = server_of(call)
    server.turn.say(b"\x01" * 80_000)
    out = server.data_to_send()
    call.peer.receive_data(next(out))
    server.turn.interrupt()
    rest = list(out)
    assert [line(each) for each in rest] == ["clear"]


def test_error_audio_is_heard_to_its_end_before_the_call_is_closed() -> None:
    call = phone_call(lambda turn: turn.say(SECOND * 10), error_audio=b"\x03" * 4000)
    call.advance(1)
    server_of(call).fail("no")
    call.advance(0.4)
    assert call.peer.closed is None
    call.advance(0.2)
    assert call.peer.closed is not None
    assert call.peer.heard == SECOND + b"\x03" * 4000


def test_a_line_that_returns_no_cleared_marks() -> None:
    call = phone_call(lambda turn: (turn.say(SECOND), turn.finish()), returns_cleared_marks=False)
    server = server_of(call)
    server.stream.recognized("again", final=True)
    call.advance(1)
    assert server.state is LISTENING


def test_the_caller_hangs_up() -> None:
    call = phone_call(lambda turn: turn.say(SECOND * 3))
    call.advance(1)
    call.peer.hang_up()
    call.peer.hang_up()
    call.advance(5)
    assert [line(each) for each in call.events[-3:]] == [
        *("TurnInterrupted 1 session ended", "SessionEnded", "Closed 1000"),
    ]
    assert (call.peer.heard, call.peer.up, call.peer.playing) == (SECOND, False, False)


def test_a_signed_call() -> None:
    clock = ManualClock()
    server = TwilioServer(auth_token=TOKEN, public_url="https://host", clock=clock)
    call = PhoneCall(server, caller(clock, auth_token=TOKEN, url="wss://host/call"), clock)
    call.settle()
    assert (call.peer.up, call.peer.refused) == (True, None)


def test_a_call_that_is_refused() -> None:
    clock = ManualClock()
    server = TwilioServer(auth_token=TOKEN, public_url="https://host", clock=clock)
    call = PhoneCall(server, caller(clock, auth_token="wrong"), clock)
    call.settle()
    assert (call.peer.up, call.peer.refused, server.closed) == (False, 403, True)
    assert call.peer.next_deadline() is None


# ------------------------------------------------------------ walks


SINGLE = SttMode.SINGLE_UTTERANCE


class Walk:
    """A host and a caller who do what comes into their minds."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.call = phone_call(
            lambda _: None,
            error_audio=b"\xfe" * 400,
            hums=rng.random() < 0.1,
            returns_cleared_marks=rng.random() < 0.8,
        )
        self.server, self.peer = server_of(self.call), self.call.peer
        self.said: list[tuple[int, int, float]] = []  # a byte, how often it was said, and when it was cleared
        self.turn: Turn | None = self.server.turn
        self.call.on_event = self.host

    def host(self, event: Event) -> None:
        assert isinstance(event, TOLD)
        if isinstance(event, InputEvent):
            self.turn = self.server.turn

    def go(self, moves: int) -> None:
        names = [name for name in dir(self) if name.startswith("do_")]
        for _ in range(moves):
            self.move(self.rng.choice(names))
            self.call.settle()
            self.check()
        self.call.advance(30)
        self.check()
        self.check_what_was_heard()
        self.peer.hang_up()
        self.call.settle()
        assert self.server.closed
        assert [type(each) for each in self.call.events].count(ClosedEvent) == 1

    def move(self, name: str) -> None:
        server = self.server
        before = server.state, server.audio, server.session_id, server.next_deadline()
        try:
            getattr(self, name)()
        except LocalProtocolError:
            assert (server.state, server.audio, server.session_id, server.next_deadline()) == before

    def check(self) -> None:
        server, peer = self.server, self.peer
        in_order(server)
        if server.state in (LISTENING, SLEEPING):
            assert not peer.playing
            assert peer.marks == ()
        if server.state is RESPONDING and server._running is None and server.audio is Audio.OPEN:
            assert peer.marks, "nothing would ever happen"
        assert peer.warnings == []

    def check_what_was_heard(self) -> None:
        sounds = self.peer.sounds
        for byte, size, cleared in self.said:
            for sound in sounds:
                assert sound.at + sound.data.rfind(byte) / 8000 < cleared + 1e-6 or byte not in sound.data
            if cleared == float("inf") and self.peer.up:
                assert sum(sound.data.count(byte) for sound in sounds) == size

    # -------------------------------------------------------- the host

    def cleared(self) -> None:
        """All that has been said until now must stop now."""
        self.said = [(byte, size, min(at, self.call.clock.now)) for byte, size, at in self.said]

    def do_say(self) -> None:
        if self.turn is not None and len(self.said) < 250:
            byte, size = len(self.said) + 1, self.rng.choice([80, 160, 8000, 20_000])
            self.turn.say(bytes([byte]) * size)
            self.said.append((byte, size, float("inf")))

    def do_say_text(self) -> None:
        if self.turn is not None:
            self.turn.say(self.rng.choice(["text", "#command"]))

    def do_finish(self) -> None:
        if self.turn is not None:
            members: list[dict[str, Any]] = [
                {},
                {},
                {"sleep_timeout": 20},
                {"locale": "cs"},
                {"stt_mode": SINGLE},
            ]
            self.turn.finish(**self.rng.choice(members))

    def do_end(self) -> None:
        if self.turn is not None and self.rng.random() < 0.1:
            self.turn.finish(session_ended=True)

    def do_begin(self) -> None:
        self.turn = self.server.begin()

    def do_interrupt(self) -> None:
        if self.turn is not None and not self.turn.over:
            self.turn.interrupt()
            self.cleared()

    def do_barge_in(self) -> None:
        if not self.server.stream.over and self.server.state in (PROCESSING, RESPONDING):
            self.server.stream.interrupt()
            self.cleared()

    def do_interim(self) -> None:
        self.server.stream.recognized("hm", final=False)

    def do_final(self) -> None:
        self.server.stream.recognized("yes", final=True)
        self.cleared()

    def do_fail(self) -> None:
        if self.rng.random() < 0.05 and self.server.audio is Audio.OPEN:
            self.server.fail("no")
            self.cleared()

    # -------------------------------------------------------- the caller

    def do_speak(self) -> None:
        if self.peer.up:
            self.peer.speak(b"\x7f" * self.rng.choice([10, 160, 800]))

    def do_press(self) -> None:
        if self.peer.up:
            self.peer.press(self.rng.choice("0123456789*#"))

    def do_junk(self) -> None:
        frames = ["{", "{}", json.dumps(NEW), json.dumps(mark("turn-0")), json.dumps(start()), b"x"]
        self.server.receive_data(self.rng.choice(frames))

    def do_wait(self) -> None:
        self.call.advance(self.rng.choice([0.02, 0.3, 1.0, 3.0, 6.0]))

    do_wait_again, do_say_more, do_finish_too = do_wait, do_say, do_finish


@pytest.mark.parametrize("seed", range(24))
def test_a_walk(seed: int) -> None:
    Walk(seed).go(60)


# ------------------------------------------------------------ the caller of the tests


def test_time_passes_in_a_call_from_one_deadline_to_the_next() -> None:
    turns: list[tuple[str, float]] = []

    def dialogue(turn: Turn) -> None:
        turns.append((turn.text, turn.channel._clock()))
        turn.say(SECOND)
        turn.finish()

    call = phone_call(dialogue)
    call.advance(13)
    assert turns == [("#intro", 100.0), ("#silence", 106.0), ("#silence", 112.0)]
    assert call.clock.now == 113.0
    assert [line(each) for each in call.sent] == [
        *("101", "media 8000", "mark turn-1", "clear", "media 8000", "mark turn-2"),
        *("clear", "media 8000", "mark turn-3"),
    ]


def test_what_the_caller_says_comes_in_frames_of_20_ms() -> None:
    call = phone_call(lambda _: None)
    call.advance(0.5)
    call.peer.speak(bytes(range(200)))
    assert call.peer.speaking
    frames: list[Frame] = []
    for _ in range(4):
        call.clock.advance(0.01)
        frames += [json.loads(each) for each in call.peer.data_to_send() if isinstance(each, str)]
    assert not call.peer.speaking
    first, second = frames
    assert (first["event"], first["sequenceNumber"], second["sequenceNumber"]) == ("media", "2", "3")
    assert (first["media"]["chunk"], first["media"]["timestamp"], first["media"]["track"]) == (
        "1",
        "500",
        "inbound",
    )
    assert (second["media"]["chunk"], second["media"]["timestamp"]) == ("2", "520")
    payload = b"".join(base64.b64decode(each["media"]["payload"]) for each in frames)
    assert payload == bytes(range(200)) + b"\xff" * 120


def test_a_line_that_hums() -> None:
    call = phone_call(lambda _: None, hums=True)
    call.peer.speak(b"\x01" * 160)
    call.advance(1)
    blocks = [each.data for each in call.events if isinstance(each, BinaryEvent)]
    assert blocks == [b"\x01" * 160] + [b"\xff" * 160] * 49


def test_marks_come_back_when_what_is_before_them_has_been_played() -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(
        peer,
        media_out(b"\x01" * 8000),
        mark_out("a"),
        media_out(b"\x02" * 4000),
        mark_out("b"),
        mark_out("c"),
    )
    assert (peer.next_deadline(), frames_of(peer)) == (1.0, [])
    clock.advance(1)
    assert frames_of(peer) == ["mark a"]
    clock.advance(0.25)
    assert (peer.marks, peer.playing) == (("b", "c"), True)
    clock.advance(5)
    assert (frames_of(peer), peer.next_deadline()) == (["mark b", "mark c"], None)
    give(peer, mark_out("d"), media_out(b"\x03" * 8))
    assert frames_of(peer) == ["mark d"]
    clock.advance(1)
    assert peer.sounds == (Sound(0.0, b"\x01" * 8000 + b"\x02" * 4000), Sound(6.25, b"\x03" * 8))
    assert peer.sounds[1].until == 6.251


def test_a_clear_stops_what_is_played_and_returns_the_marks() -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(peer, media_out(b"\x01" * 8000), mark_out("a"), media_out(b"\x02" * 8000), mark_out("b"))
    clock.advance(0.5)
    give(peer, clear_out())
    assert (frames_of(peer), peer.clears, peer.next_deadline()) == (["mark a", "mark b"], [0.5], None)
    clock.advance(5)
    assert peer.heard == b"\x01" * 4000


@pytest.mark.parametrize(
    ("look", "before", "after"),
    [
        (lambda peer: peer.playing, True, False),
        (lambda peer: peer.marks, ("a",), ()),
        (lambda peer: peer.speaking, True, False),
        (lambda peer: len(peer.heard), 4000, 8000),
        (lambda peer: len(peer.sounds), 1, 1),
    ],
    ids=["playing", "marks", "speaking", "heard", "sounds"],
)
def test_what_a_test_looks_at_is_of_now(
    look: Callable[[TwilioPeer], object], before: object, after: object
) -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(peer, media_out(SECOND), mark_out("a"))
    peer.speak(SECOND)
    clock.advance(0.5)
    assert look(peer) == before
    clock.advance(0.5)
    assert look(peer) == after


@pytest.mark.parametrize("act", ["press", "hang up", "clear", "mark"])
def test_what_was_due_before_comes_before(act: str) -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(peer, media_out(b"\x01" * 160), mark_out("a"), media_out(SECOND))
    peer.speak(b"\x01" * 480)
    clock.advance(0.04)
    match act:
        case "press":
            peer.press("1")
        case "hang up":
            peer.hang_up()
        case "clear":
            give(peer, mark_out("b"), clear_out())
        case "mark":
            give(peer, clear_out(), mark_out("b"))
    expected = {"press": ["dtmf"], "hang up": ["stop", "Close 1000"], "clear": ["mark b"], "mark": ["mark b"]}
    assert frames_of(peer) == ["mark a", "media 160", "media 160", *expected[act]]


@pytest.mark.parametrize("end", [Close(1000, ""), None], ids=str)
def test_when_the_server_ends_the_call_nothing_more_is_said(end: Close | None) -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(peer, media_out(SECOND), mark_out("a"))
    peer.speak(SECOND)
    clock.advance(0.02)
    peer.receive_eof() if end is None else peer.receive_data(end)
    assert (peer.closed, peer.up, peer.playing, peer.marks, peer.speaking) == (end, False, False, (), False)
    clock.advance(1)
    assert (frames_of(peer), len(peer.heard)) == (["media 160"], 160)


def test_what_is_more_than_ten_minutes_is_thrown_away_with_a_warning() -> None:
    clock = ManualClock()
    peer = picked_up(clock)
    give(peer, media_out(b"\x01" * 8000 * 600))
    clock.advance(1)
    give(peer, media_out(b"\x02" * 16_000))
    assert peer.warnings == [31931]
    clock.advance(700)
    assert peer.heard == b"\x01" * 8000 * 600 + b"\x02" * 8000


def test_what_is_on_its_way_when_the_call_ends_is_nothing() -> None:
    peer = picked_up(ManualClock())
    peer.hang_up()
    give(peer, "never looked at")
    assert [line(each) for each in peer.data_to_send()] == ["stop", "Close 1000"]
    for call in (lambda: peer.speak(b""), lambda: peer.press("1")):
        with pytest.raises(RuntimeError):
            call()


def test_after_a_refusal_nothing_is_looked_at() -> None:
    peer = caller(ManualClock())
    peer.receive_data(ResponseHead(status=403))
    peer.receive_data("never looked at")
    assert (peer.refused, peer.up, [type(each) for each in peer.data_to_send()]) == (
        403,
        False,
        [RequestHead],
    )


def test_there_are_sixteen_keys() -> None:
    peer = picked_up(ManualClock())
    for key in ("", "E", "12"):
        with pytest.raises(ValueError, match="is not one of"):
            peer.press(key)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"1234", "text messages"),
        ("{", "JSON object"),
        ("[]", "JSON object"),
        ('{"event":"dtmf"}', "media, mark, clear"),
        ('{"event":"clear"}', "names the stream"),
        ('{"event":"clear","streamSid":"MZ2"}', "names the stream"),
        ('{"event":"mark","streamSid":"MZ1"}', "mark.name"),
        ('{"event":"mark","streamSid":"MZ1","mark":{"name":""}}', "mark.name"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":7}}', "media.payload"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":"x"}}', "base64"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":"UklGRg=="}}', "file header"),
    ],
)
def test_what_twilio_would_not_understand_is_complained_of(message: Message, complaint: str) -> None:
    peer = picked_up(ManualClock())
    with pytest.raises(AssertionError, match=complaint):
        peer.receive_data(message)


def test_a_handshake_must_be_answered_first() -> None:
    with pytest.raises(AssertionError, match="handshake"):
        caller(ManualClock()).receive_data("{}")


def picked_up(clock: ManualClock) -> TwilioPeer:
    peer = caller(clock)
    peer.receive_data(ResponseHead(status=101))
    assert [type(each) for each in peer.data_to_send()] == [RequestHead, str, str]
    return peer


def give(peer: TwilioPeer, *messages: str) -> None:
    for message in messages:
        peer.receive_data(message)


def frames_of(peer: TwilioPeer) -> list[str]:
    return [line(each) for each in peer.data_to_send()]


def media_out(data: bytes) -> str:
    payload = base64.b64encode(data).decode()
    return json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": payload}})


def mark_out(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})


def clear_out() -> str:
    return json.dumps({"event": "clear", "streamSid": STREAM})

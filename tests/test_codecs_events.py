# ruff: noqa: E501
"""One table of events and their wire forms; it drives every encoder and every decoder."""

import json
from datetime import datetime

import msgpack
import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder, StreamEncoder
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    BinaryEvent,
    DtmfEvent,
    ErrorEvent,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    InputStreamCloseEvent,
    LogEvent,
    ReadyEvent,
    RecognizedEvent,
    RecognizedInputEvent,
    RequestEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionStartEvent,
    UnknownEvent,
    VoteEvent,
)
from flowstorm_channel.values import (
    AudioFileType,
    ClientConfig,
    ExpectedPhrase,
    Gender,
    Input,
    InputClass,
    InputClassType,
    LogEntry,
    LogLevel,
    Punctuation,
    Request,
    Response,
    ResponseItem,
    SttMode,
    Transcript,
    TtsConfig,
    TtsType,
    Word,
)

JSON, MSGPACK = JsonCodec(), MsgpackCodec()

INPUT = (
    '{"locale":"en","zoneId":"Europe/Paris","transcript":{"text":"hi","confidence":1.0},"alternatives":[],'
    '"classes":[],"tokens":[],"attributes":{}}'
)
VOICE = '{"provider":"Google","locale":"cs_CZ","gender":"Male","name":"v"}'
RESPONSE = (
    '"items":[],%s"logs":[],"attributes":{},%s"expectedPhrases":[],"sessionEnded":false,"sleepTimeout":0'
)

# What we send: the literal text, and the event it stands for.
SENT = [
    ('{"type":"Ready"}', ReadyEvent()),
    ('{"type":"InputAudioStreamClose"}', InputAudioStreamCloseEvent()),
    ('{"type":"InputAudioStreamCancel"}', InputAudioStreamCancelEvent()),
    ('{"type":"InputStreamClose"}', InputStreamCloseEvent()),
    ('{"type":"SessionEnded"}', SessionEndEvent()),
    ('{"type":"SessionStarted","sessionId":"s-1"}', SessionStartEvent(session_id="s-1")),
    ('{"type":"InputAudioStreamOpen"}', InputAudioStreamOpenEvent()),
    ('{"type":"InputAudioStreamOpen","sessionId":"s"}', InputAudioStreamOpenEvent(session_id="s")),
    ('{"type":"Recognized","text":"čau\\n","isFinal":false}', RecognizedEvent(text="čau\n", is_final=False)),
    ('{"type":"Error","text":"no"}', ErrorEvent(text="no")),
    ('{"type":"Error","text":"no","source":"HTTP 404"}', ErrorEvent(text="no", source="HTTP 404")),
    ('{"type":"Vote","vote":-1}', VoteEvent(vote=-1)),
    ('{"type":"Vote","turnId":"t","nodeId":-5,"vote":1}', VoteEvent(turn_id="t", node_id=-5, vote=1)),
    ('{"type":"Binary","data":""}', BinaryEvent(data=b"")),
    ('{"type":"Binary","data":"+/8="}', BinaryEvent(data=b"\xfb\xff")),
    ('{"type":"Binary","data":"' + "AQID" * 100 + '"}', BinaryEvent(data=b"\1\2\3" * 100)),
    ('{"type":"Input","input":' + INPUT + "}", InputEvent(input=Input(transcript=Transcript(text="hi")))),
    (
        (
            '{"type":"Input","input":{"locale":"en_US","zoneId":"+02:00","transcript":{"text":"","confidence":0.5},'
            '"alternatives":[{"text":"a","confidence":1.0}],'
            '"classes":[{"type":"Intent","name":"i","score":0.25,"model_id":"m"}],"tokens":['
            '{"type":"Word","text":"w","classes":[{"type":"Entity","name":"B-x","score":1.0,"model_id":""}],'
            '"startTime":0.5,"endTime":1.0},{"type":"Punctuation","text":"!"}],'
            '"action":"go","attributes":{"a":[1,2.5,null,true,{"b":"c"}]}}}'
        ),
        InputEvent(
            input=Input(
                locale="en-US",
                zone_id="+02:00",
                transcript=Transcript(text="", confidence=0.5),
                alternatives=(Transcript(text="a"),),
                classes=(InputClass(type=InputClassType.INTENT, name="i", score=0.25, model_id="m"),),
                tokens=(
                    Word(
                        text="w",
                        classes=(InputClass(type=InputClassType.ENTITY, name="B-x"),),
                        start_time=0.5,
                        end_time=1,
                    ),
                    Punctuation(text="!"),
                ),
                action="go",
                attributes={"a": [1, 2.5, None, True, {"b": "c"}]},
            )
        ),
    ),
    (
        '{"type":"RecognizedInput","input":' + INPUT + ',"isFinal":true}',
        RecognizedInputEvent(input=Input(transcript=Transcript(text="hi")), is_final=True),
    ),
    (
        '{"type":"Request","request":{"appKey":"k","deviceId":"d","sessionId":"s","input":'
        + INPUT
        + ',"attributes":{}}}',
        RequestEvent(
            request=Request(
                app_key="k", device_id="d", session_id="s", input=Input(transcript=Transcript(text="hi"))
            )
        ),
    ),
    (
        '{"type":"Init","key":"K","deviceId":"d","token":"t","config":{"locale":"en","zoneId":"UTC","stt":true,'
        '"sttMode":"Duplex","sttSampleRate":8000,"tts":"RequiredLinks","ttsConfig":' + VOICE + ","
        '"ttsFileType":"wav","voice":"v","returnSsml":true,"silenceTimeout":0,"test":true,'
        '"sendResponseItems":true,"sttInterimResults":true}}',
        InitEvent(
            key="K",
            device_id="d",
            token="t",
            config=ClientConfig(
                zone_id="UTC",
                stt=True,
                stt_mode=SttMode.DUPLEX,
                stt_sample_rate=8000,
                tts=TtsType.REQUIRED_LINKS,
                tts_config=TtsConfig(provider="Google", locale="cs-CZ", gender=Gender.MALE, name="v"),
                tts_file_type=AudioFileType.WAV,
                voice="v",
                return_ssml=True,
                silence_timeout=0,
                test=True,
                send_response_items=True,
                stt_interim_results=True,
            ),
        ),
    ),
    (
        '{"type":"ResponseItem","responseItem":{"text":"#card","confidence":1.0,"code":"{}","repeatable":true}}',
        ResponseItemEvent(response_item=ResponseItem(text="#card", code="{}")),
    ),
    (
        '{"type":"Response","response":{' + RESPONSE % ("", "") + "}}",
        ResponseEvent(response=Response()),
    ),
    (
        (
            '{"type":"Response","response":{"items":[{"text":"a","ssml":"b","confidence":0.5,"image":"c","video":"d",'
            '"audio":"e","code":"f","background":"g","ttsConfig":{"provider":"p","locale":"en","gender":"Female",'
            '"name":"n","engine":"e","amazonAlexa":"a","googleAssistant":"g"},"repeatable":false,"nodeId":-1}],'
            '"locale":"en_US","logs":[{"relativeTime":1.5,"time":"2022-05-27T14:19:04.123","level":"WARN",'
            '"text":"x"}],"attributes":{"nodeId":1},"sttMode":"Default","expectedPhrases":[{"text":"p","boost":2.0}],'
            '"sessionEnded":true,"sleepTimeout":60,"turnId":"t"}}'
        ),
        ResponseEvent(
            response=Response(
                items=(
                    ResponseItem(
                        text="a",
                        ssml="b",
                        confidence=0.5,
                        image="c",
                        video="d",
                        audio="e",
                        code="f",
                        background="g",
                        tts_config=TtsConfig(
                            provider="p",
                            locale="en",
                            gender=Gender.FEMALE,
                            name="n",
                            engine="e",
                            amazon_alexa="a",
                            google_assistant="g",
                        ),
                        repeatable=False,
                        node_id=-1,
                    ),
                ),
                locale="en-US",
                logs=(
                    LogEntry(
                        relative_time=1.5,
                        time=datetime(2022, 5, 27, 14, 19, 4, 123000),
                        level=LogLevel.WARN,
                        text="x",
                    ),
                ),
                attributes={"nodeId": 1},
                stt_mode=SttMode.DEFAULT,
                expected_phrases=(ExpectedPhrase(text="p", boost=2),),
                session_ended=True,
                sleep_timeout=60,
                turn_id="t",
            )
        ),
    ),
    ('{"type":"Log","entries":[]}', LogEvent()),
    (
        '{"type":"Log","entries":[{"relativeTime":0.0,"level":"INFO","text":""}]}',
        LogEvent(entries=(LogEntry(),)),
    ),
    ('{"x":[1,{"y":null}],"type":"Later"}', UnknownEvent(data={"x": [1, {"y": None}], "type": "Later"})),
]

# What peers send besides.
ACCEPTED = [
    # The two frames of a Node client.
    (
        (
            '{"type":"Init","key":"K","appKey":"K","deviceId":"sender","sender":"sender","config":{"tts":"RequiredLinks",'
            '"sttSampleRate":44100,\n "ttsFileType":"mp3","locale":"en","zoneId":"UTC","sendResponseItems":true,'
            '"sttInterimResults":true}}'
        ),
        InitEvent(
            key="K",
            device_id="sender",
            config=ClientConfig(
                tts=TtsType.REQUIRED_LINKS,
                stt_sample_rate=44100,
                zone_id="UTC",
                send_response_items=True,
                stt_interim_results=True,
            ),
        ),
    ),
    (
        '{"type":"Input","input":{"zoneId":"UTC","locale":"en","attributes":{},"transcript":{"text":"#intro"}}}',
        InputEvent(input=Input(zone_id="UTC", transcript=Transcript(text="#intro"))),
    ),
    # A browser's opening of the stream.
    (
        (
            '{"type":"InputAudioStreamOpen","appKey":"K","message":{"appKey":"K","deviceId":"d","sender":"d",'
            '"token":null,"sessionId":"s"}}'
        ),
        InputAudioStreamOpenEvent(session_id="s"),
    ),
    ('{"type":"InputAudioStreamOpen","message":"text"}', InputAudioStreamOpenEvent()),
    ('{"type":"InputAudioStreamOpen","message":{"sessionId":null}}', InputAudioStreamOpenEvent()),
    (
        '{"type":"InputAudioStreamOpen","message":{"sessionId":"a"},"sessionId":"b"}',
        InputAudioStreamOpenEvent(session_id="b"),
    ),
    (
        '{"type":"InputAudioStreamOpen","sessionId":"b","message":{"sessionId":"a"}}',
        InputAudioStreamOpenEvent(session_id="a"),
    ),
    # Of several names the last with a value counts (D-03).
    ('{"type":"Init","key":"a","appKey":"b","deviceId":"d"}', InitEvent(key="b", device_id="d")),
    ('{"type":"Init","appKey":"b","key":"a","deviceId":"d"}', InitEvent(key="a", device_id="d")),
    ('{"type":"Init","key":"a","appKey":null,"sender":"d"}', InitEvent(key="a", device_id="d")),
    ('{"type":"Init","key":null,"appKey":"b","sender":"d"}', InitEvent(key="b", device_id="d")),
    (
        '{"type":"Response","response":{"sessionTimeout":5}}',
        ResponseEvent(response=Response(sleep_timeout=5)),
    ),
    (
        '{"type":"Response","response":{"sleepTimeout":5,"sessionTimeout":6}}',
        ResponseEvent(response=Response(sleep_timeout=6)),
    ),
    (
        '{"type":"Response","response":{"sessionTimeout":6,"sleepTimeout":null}}',
        ResponseEvent(response=Response(sleep_timeout=6)),
    ),
    # Null is the default (D-07); unknown members are ignored; a doubled name's last value counts.
    (
        (
            '{"type":"Response","response":{"locale":null,"items":null,"logs":null,"attributes":null,"sttMode":null,'
            '"expectedPhrases":null,"sessionEnded":null,"sleepTimeout":null,"turnId":null,"later":[{}]}}'
        ),
        ResponseEvent(response=Response()),
    ),
    ('{"type":"Recognized","text":"a","text":"b"}', RecognizedEvent(text="b")),
    ('{"type":"Recognized","text":"a","isFinal":null}', RecognizedEvent(text="a")),
    ('{"type":"Later","type":"Ready"}', ReadyEvent()),
    ('\r\n\t {"type" : "Ready"} \n', ReadyEvent()),
    ('{"type":"\\u0052eady"}', ReadyEvent()),
    ('{"type":"Error","text":"\\ud83d\\ude00"}', ErrorEvent(text="😀")),
    ('{"type":"Later","\\ud83d\\ude00":1}', UnknownEvent(data={"type": "Later", "😀": 1})),
    (
        '{"type":"Later","n":[-9223372036854775808,18446744073709551615]}',
        UnknownEvent(data={"type": "Later", "n": [-(2**63), 2**64 - 1]}),
    ),
]


def packed(text: str) -> bytes:
    """The same message in msgpack."""
    tree = json.loads(text)
    if tree["type"] == "Binary":
        tree["data"] = JSON.decode(text).data
    return msgpack.packb(tree)


@pytest.mark.parametrize(("text", "event"), SENT, ids=lambda each: str(each)[:60])
def test_an_event_is_written_in_json(text, event):
    assert JSON.encode(event) == text


@pytest.mark.parametrize(("text", "event"), SENT, ids=lambda each: str(each)[:60])
def test_an_event_is_written_in_msgpack(text, event):
    assert msgpack.unpackb(MSGPACK.encode(event)) == msgpack.unpackb(packed(text))


@pytest.mark.parametrize(("text", "event"), SENT + ACCEPTED, ids=lambda each: str(each)[:60])
def test_an_event_is_read_by_every_decoder(text, event):
    for codec, message in ((JSON, text), (JSON, text.encode()), (MSGPACK, packed(text))):
        decoded = codec.decode(message)
        assert decoded == event
        assert type(decoded) is type(event)
    for codec, message in ((JSON, text.encode()), (MSGPACK, packed(text))):
        follower = StreamEncoder(codec).encode(VoteEvent(vote=1))
        whole = StreamDecoder(codec)
        whole.feed(message + follower)
        assert list(whole) == [event, VoteEvent(vote=1)]
        whole.close()
        single = StreamDecoder(codec)
        for position, byte in enumerate(message.rstrip()):
            assert single.next_event() is None, position
            single.feed(bytes([byte]))
        assert single.next_event() == event
        assert single.next_event() is None
        assert single.buffered == 0
        single.feed(follower)
        assert list(single) == [VoteEvent(vote=1)]


def test_every_event_of_the_wire_is_in_the_table():
    assert {type(event) for _, event in SENT} == {*EVENTS.values(), UnknownEvent}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_type_is_read(spelling):
    given = next(json.loads(text) for text, event in SENT if type(event) is SPELLINGS[spelling])
    text = json.dumps({**given, "type": spelling})
    assert type(JSON.decode(text)) is SPELLINGS[spelling]
    assert (
        type(MSGPACK.decode(packed(json.dumps({**given, "type": SPELLINGS[spelling].TYPE}))))
        is (SPELLINGS[spelling])
    )


def test_a_decoded_object_is_as_frozen_equal_and_hashable_as_any():
    text, event = SENT[10]
    decoded = JSON.decode(text)
    assert hash(decoded) == hash(event)
    assert repr(decoded) == repr(event)
    with pytest.raises(AttributeError):
        decoded.text = "other"
    assert decoded.replace(text="other") == ErrorEvent(text="other", source="HTTP 404")


def test_maps_of_two_decoded_events_are_not_the_same():
    text = '{"type":"Input","input":{}}'
    first, second = JSON.decode(text), JSON.decode(text)
    first.input.attributes["x"] = 1
    assert second.input.attributes == {}


def test_an_input_without_locale_and_zone_gets_those_of_the_codec():
    for codec_class, message in (
        (JsonCodec, '{"type":"Input","input":{"locale":"","zoneId":null}}'),
        (MsgpackCodec, packed('{"type":"Input","input":{}}')),
    ):
        codec = codec_class(locale="cs_CZ", zone_id="Europe/Prague")
        assert codec.decode(message).input == Input(locale="cs-CZ", zone_id="Europe/Prague")
    with pytest.raises(ValueError, match="zone"):
        JsonCodec(zone_id="Nowhere")


def test_values_are_read_and_written_by_themselves():
    for codec in (JSON, MSGPACK):
        for value in (ClientConfig(), Response(turn_id="t"), ReadyEvent()):
            assert codec.decode_value(type(value), codec.encode_value(value)) == value
        with pytest.raises(RemoteProtocolError, match=r"text: is missing"):
            codec.decode_value(Transcript, codec.encode_value(Response()))
        with pytest.raises(RemoteProtocolError, match=r"type: ReadyEvent where VoteEvent was expected"):
            codec.decode_value(VoteEvent, codec.encode(ReadyEvent()))


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_what_is_local_is_not_sent(codec):
    with pytest.raises(LocalProtocolError, match="DtmfEvent never goes over a wire"):
        codec.encode(DtmfEvent(digit="1"))

    class Special(ReadyEvent):
        pass

    with pytest.raises(LocalProtocolError, match="Special never"):
        codec.encode(Special())


CIRCLE: dict = {}
CIRCLE["circle"] = CIRCLE
UNSENDABLE = [
    float("nan"),
    float("inf"),
    {1, 2},
    object(),
    2**64,
    -(2**63) - 1,
    "\ud800",
    {"\udfff": 1},
    {1: 2},
    {None: 1},
    [[float("-inf")]],
    CIRCLE,
]


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
@pytest.mark.parametrize("value", UNSENDABLE, ids=range(len(UNSENDABLE)))
def test_a_map_that_was_spoilt_after_its_check_is_not_sent(codec, value):
    event = InputEvent(input=Input())
    event.input.attributes["x"] = value
    with pytest.raises(LocalProtocolError, match="InputEvent cannot be sent"):
        codec.encode(event)
    with pytest.raises(LocalProtocolError, match="Input cannot be sent"):
        codec.encode_value(event.input)


def test_whatever_has_a_json_form_is_sent_from_a_map():
    class Text(str):
        pass

    class Whole(int):
        def __repr__(self):
            return "whole"

    class Real(float):
        pass

    event = InputEvent(input=Input())
    event.input.attributes.update(a=Text("x"), b=Whole(3), c=Real(1.5), d=(1, b"\0"))
    assert JSON.encode(event).endswith('"attributes":{"a":"x","b":3,"c":1.5,"d":[1,"AA=="]}}}')
    assert MSGPACK.decode(MSGPACK.encode(event)).input.attributes == {
        "a": "x",
        "b": 3,
        "c": 1.5,
        "d": [1, b"\0"],
    }


def test_an_unknown_event_keeps_bytes_in_msgpack_and_gets_base64_in_json():
    event = UnknownEvent(data={"type": "Later", "block": b"\xfb\xff"})
    assert MSGPACK.decode(MSGPACK.encode(event)) == event
    assert JSON.encode(event) == '{"type":"Later","block":"+/8="}'


def test_members_that_are_subclasses_are_written_as_what_they_are():
    import enum

    class Code(str, enum.Enum):
        NO = "no"

    class Number(enum.IntEnum):
        ONE = 1

    assert JSON.encode(ErrorEvent(text=Code.NO)) == '{"type":"Error","text":"no"}'
    assert JSON.encode(VoteEvent(vote=Number.ONE)) == '{"type":"Vote","vote":1}'
    assert MSGPACK.decode(MSGPACK.encode(VoteEvent(vote=Number.ONE))) == VoteEvent(vote=1)

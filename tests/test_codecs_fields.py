# ruff: noqa: E501
"""Members whose form on the wire needs care (events.md, "Field types that need care"), row by row."""

import json
import re
from datetime import datetime

import msgpack
import pytest

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, extras
from flowstorm_channel.codecs.scalars import write_time
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, LogEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.values import LogEntry

JSON, MSGPACK = JsonCodec(), MsgpackCodec()


def both(tree):
    """The event in both codecs, which agree."""
    event = JSON.decode(json.dumps(tree))
    assert MSGPACK.decode(msgpack.packb(tree)) == event
    return event


def refusal(tree):
    """The text of the error in both codecs, which agree."""
    with pytest.raises(RemoteProtocolError) as in_json:
        JSON.decode(json.dumps(tree))
    with pytest.raises(RemoteProtocolError) as in_msgpack:
        MSGPACK.decode(msgpack.packb(tree))
    assert str(in_json.value) == str(in_msgpack.value)
    assert in_json.value.path == in_msgpack.value.path
    return str(in_json.value)


def input_with(**members):
    return {"type": "Input", "input": members}


# ------------------------------------------------------------ locales and zones


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("en", "en"),
        ("en_US", "en-US"),
        ("EN-us", "en-US"),
        ("zh_Hans_CN", "zh-Hans-CN"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_a_locale_is_read(given, read):
    assert both(input_with(locale=given)).input.locale == read


def test_a_malformed_locale_is_no_fault():
    for codec, message in ((JSON, json.dumps), (MSGPACK, msgpack.packb)):
        locale = codec.decode(message(input_with(locale="!"))).input.locale
        assert (locale, locale.original, locale.malformed) == ("en", "!", True)


def test_an_empty_locale_of_a_voice_is_the_default_but_a_null_one_is_missing():
    voice = {"provider": "p", "locale": "", "gender": "Male", "name": "n"}
    tree = {"type": "ResponseItem", "responseItem": {"ttsConfig": voice}}
    assert both(tree).response_item.tts_config.locale == "en"
    voice["locale"] = None
    assert refusal(tree) == "responseItem.ttsConfig.locale: must not be null"


def test_an_empty_locale_of_a_response_is_none():
    assert both({"type": "Response", "response": {"locale": ""}}).response.locale is None


@pytest.mark.parametrize("zone", ["Europe/Prague", "UTC", "+02:00", "Z"])
def test_a_zone_is_read(zone):
    assert both(input_with(zoneId=zone)).input.zone_id == zone


@pytest.mark.parametrize("zone", ["Nowhere", "", "europe/prague", "+25:00"])
def test_an_unknown_zone_is_refused(zone):
    assert refusal(input_with(zoneId=zone)) == f"input.zoneId: {zone!r} is not a known time zone"


# ------------------------------------------------------------ times

TIMES = [
    ("2022-05-27T14:19:04", datetime(2022, 5, 27, 14, 19, 4)),
    ("2022-05-27T14:19", datetime(2022, 5, 27, 14, 19)),
    ("2022-05-27 14:19:04", datetime(2022, 5, 27, 14, 19, 4)),
    ("2022-05-27T14:19:04.1", datetime(2022, 5, 27, 14, 19, 4, 100000)),
    ("2022-05-27T14:19:04.123", datetime(2022, 5, 27, 14, 19, 4, 123000)),
    ("2022-05-27T14:19:04.123456", datetime(2022, 5, 27, 14, 19, 4, 123456)),
    ("2022-05-27T14:19:04.123456999", datetime(2022, 5, 27, 14, 19, 4, 123456)),
    ("2022-05-27T14:19:04Z", datetime(2022, 5, 27, 14, 19, 4)),
    ("2022-05-27T14:19:04.12Z", datetime(2022, 5, 27, 14, 19, 4, 120000)),
    ("2022-05-27T14:19:04+02:00", datetime(2022, 5, 27, 12, 19, 4)),
    ("2022-05-27T14:19:04.5-0130", datetime(2022, 5, 27, 15, 49, 4, 500000)),
    ("2022-05-27T14:19:04+02", datetime(2022, 5, 27, 12, 19, 4)),
    ([2022, 5, 27, 14, 19], datetime(2022, 5, 27, 14, 19)),
    ([2022, 5, 27, 14, 19, 4], datetime(2022, 5, 27, 14, 19, 4)),
    ([2022, 5, 27, 14, 19, 4, 123456999], datetime(2022, 5, 27, 14, 19, 4, 123456)),
    (0, datetime(1970, 1, 1)),
    (1653661144, datetime(2022, 5, 27, 14, 19, 4)),
    (1653661144.5, datetime(2022, 5, 27, 14, 19, 4, 500000)),
    (-1, datetime(1969, 12, 31, 23, 59, 59)),
    (None, None),
]


@pytest.mark.parametrize(("given", "time"), TIMES, ids=str)
def test_a_time_is_read(given, time):
    assert both({"type": "Log", "entries": [{"time": given}]}) == LogEvent(entries=(LogEntry(time=time),))


@pytest.mark.parametrize(
    "given",
    [
        "",
        "2022-05-27",
        "2022-W21-5T14:19:04",
        "2022-02-30T14:19:04",
        "2022-05-27T24:00:00",
        "2022-05-27T14:19:60",
        "2022-05-27T14:19:04.",
        "2022-05-27T14:19:04.1234567890",
        "2022-05-27T14:19:04+24:00",
        "20220527T141904",
        "2022-05-27T14:19:0٤",
        "2022-05-27T1419:04.000000",
        "0001-01-01T00:00:00+01:00",
        "2022-05-27T14:19:04z ",
        "9999-12-31T23:59:59-01:00",
        "2022-05-27Tx4:19:04",
        [2022, 5, 27, 14],
        [2022, 5, 27, 14, 19, 4, 0, 0],
        [2022, 5, 27, 14, 19, 4.0],
        [2022, 5, 27, 14, True],
        [2022, 13, 27, 14, 19],
        [2022, 5, 27, 14, 19, 4, 10**9],
        [2022, 5, 27, 14, 19, 4, -1],
        [2**63, 1, 1, 1, 1],
        1653661144123,
        1e300,
        -(2**63),
    ],
    ids=str,
)
def test_what_is_no_time_is_refused(given):
    assert "is not a time" in refusal({"type": "Log", "entries": [{}, {"time": given}]})


@pytest.mark.parametrize("given", [True, {}])
def test_what_cannot_be_a_time_is_refused(given):
    problem = refusal({"type": "Log", "entries": [{}, {"time": given}]})
    assert problem.startswith("entries[1].time: must be a time, not a")


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2022, 5, 27, 14, 19, 4), "2022-05-27T14:19:04"),
        (datetime(2022, 5, 27, 14, 19, 4, 120000), "2022-05-27T14:19:04.120"),
        (datetime(2022, 5, 27, 14, 19, 4, 120001), "2022-05-27T14:19:04.120001"),
        (datetime(1, 1, 1), "0001-01-01T00:00:00"),
    ],
)
def test_a_time_is_written_with_as_many_digits_as_needed(time, text):
    assert write_time(time) == text


# ------------------------------------------------------------ numbers, texts, booleans, enumerations


@pytest.mark.parametrize(
    ("given", "read"), [(1, 1.0), (0.5, 0.5), (2**64 - 1, float(2**64 - 1)), (None, 1.0)]
)
def test_a_number_is_read(given, read):
    confidence = both(input_with(transcript={"text": "", "confidence": given})).input.transcript.confidence
    assert (confidence, type(confidence)) == (read, float)


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (input_with(transcript={"text": "", "confidence": True}), "input.transcript.confidence: must be a number, not a boolean"),
        (input_with(transcript={"text": "", "confidence": "1"}), "input.transcript.confidence: must be a number, not a string"),
        (input_with(transcript={"text": 5}), "input.transcript.text: must be a string, not an integer"),
        (input_with(transcript={}), "input.transcript.text: is missing"),
        (input_with(transcript=[]), "input.transcript: must be an object, not an array"),
        (input_with(alternatives={}), "input.alternatives: must be an array, not an object"),
        (input_with(alternatives=[{"text": ""}, None]), "input.alternatives[1]: must be an object, not null"),
        (input_with(locale=5), "input.locale: must be a string, not an integer"),
        (input_with(zoneId=[]), "input.zoneId: must be a string, not an array"),
        (input_with(attributes=[]), "input.attributes: must be an object, not an array"),
        (input_with(tokens=[{"type": "Word", "text": "", "startTime": "0"}]), "input.tokens[0].startTime: must be a number, not a string"),
        (input_with(tokens=[{"type": "Comma"}]), "input.tokens[0].type: 'Comma' is not one of Word, Punctuation"),
        (input_with(tokens=[{"text": "x"}]), "input.tokens[0].type: is missing"),
        (input_with(tokens=[{"type": []}]), "input.tokens[0].type: must be a string, not an array"),
        (input_with(tokens=["x"]), "input.tokens[0]: must be an object, not a string"),
        (input_with(classes=[{"type": "intent", "name": ""}]), "input.classes[0].type: 'intent' is not one of Intent, Entity, Sentiment"),
        (input_with(classes=[{"type": [], "name": ""}]), "input.classes[0].type: must be a string, not an array"),
        ({"type": "Input"}, "input: is missing"),
        ({"type": "Input", "input": None}, "input: must not be null"),
        ({"type": "Recognized", "text": "", "isFinal": 1}, "isFinal: must be a boolean, not an integer"),
        ({"type": "Response", "response": {"sleepTimeout": 1.0}}, "response.sleepTimeout: must be an integer, not a number"),
        ({"type": "Response", "response": {"sleepTimeout": 1, "sessionTimeout": True}}, "response.sessionTimeout: must be an integer, not a boolean"),
        ({"type": "Vote", "vote": 2}, "vote: 2 is not one of 1, -1"),
        ({"type": "Vote", "vote": True}, "vote: must be an integer, not a boolean"),
        ({"type": "Init", "appKey": 5, "deviceId": "d"}, "appKey: must be a string, not an integer"),
        ({"type": "Init", "sender": "d"}, "key: is missing"),
        ({"type": "InputAudioStreamOpen", "message": {"sessionId": 5}}, "message.sessionId: must be a string, not an integer"),
        ({"type": "Init", "key": "k", "deviceId": "d", "config": {"ttsFileType": "x" * 99}}, f"config.ttsFileType: '{'x' * 38}… is not one of mp3, wav, mulaw"),
        ({"type": None}, "type: must be a string, not null"),
        ({"type": {}}, "type: must be a string, not an object"),
        ({}, "type: is missing"),
        (["Ready"], None),
        ("Ready", None),
        (None, None),
    ],
    ids=lambda each: str(each)[:50],
)  # fmt: skip
def test_what_is_of_a_wrong_type_is_refused_and_the_place_told(tree, problem):
    if problem is None:
        with pytest.raises(RemoteProtocolError, match="an event must be"):
            JSON.decode(json.dumps(tree))
        with pytest.raises(RemoteProtocolError, match="an event must be a map"):
            MSGPACK.decode(msgpack.packb(tree))
    else:
        assert refusal(tree) == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"type":"Later","a":NaN}', "a: NaN is not a finite number"),
        ('{"type":"Later","a":[-Infinity]}', "a[0]: -Infinity is not a finite number"),
        ('{"type":"Later","a b":1e999}', "['a b']: 1e999 is too great a number"),
        ('{"type":"Input","input":{"later":{"x":-1e999}}}', "input.later.x: -1e999 is too great a number"),
        ('{"type":"Later","a":18446744073709551616}', "a: the integer does not fit into 64 bits"),
        ('{"type":"Later","a":-9223372036854775809}', "a: the integer does not fit into 64 bits"),
        ('{"type":"Later","a":' + "9" * 100_000 + "}", "a: the integer does not fit into 64 bits"),
        ('{"type":"Later","a":' + "9" * 400 + ".0}", f"a: {'9' * 40} is too great a number"),
        ('{"type":"Later","a":"\\ud800"}', r"a: '\ud800' holds a lone surrogate"),
        ('{"type":"Later","\\uDFFF":1}', r"['\udfff']: '\udfff' holds a lone surrogate"),
        ('{"type":"Later","a":"\ud800"}', "the text holds a lone surrogate"),
        ('{"type":"\\udc00"}', r"type: '\udc00' holds a lone surrogate"),
    ],
    ids=lambda each: ascii(each)[:50],
)
def test_what_no_codec_can_carry_is_refused_anywhere_in_json(text, problem):
    with pytest.raises(RemoteProtocolError) as caught:
        JSON.decode(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (msgpack.packb({"type": "Later", "a": float("nan")}), "a: nan is not a finite number"),
        (msgpack.packb({"type": "Later", "a": [float("-inf")]}), "a[0]: -inf is not a finite number"),
        (
            msgpack.packb({"type": "Later", "a": float("inf")}, use_single_float=True),
            "a: inf is not a finite number",
        ),
        (b"\x82\xa4type\xa5Later\xc4\x01a\x01", "the name of a member must be a string, not binary data"),
        (b"\x82\xa4type\xa5Later\x01\x01", "the name of a member must be a string, not an integer"),
        (b"\x82\xa4type\xa5Later\x80\x01", "the name of a member must be a string"),
        (b"\x82\xa4type\xa5Later\xa1a\xd4\x01\x00", "not msgpack that is used here: an object of type 0xd4"),
        (b"\x82\xa4type\xa5Later\xa1a\xc7\0\x01", "not msgpack that is used here: an object of type 0xc7"),
        (
            b"\x82\xa4type\xa5Later\xa1a\xd6\xff\0\0\0\0",
            "not msgpack that is used here: an object of type 0xd6",
        ),
        (b"\x82\xa4type\xa5Later\xa1a\xc1", "not msgpack that is used here: an object of type 0xc1"),
        (b"\x82\xa4type\xa5Later\xa1a\xa1\xff", "a string is not UTF-8: invalid start byte"),
        (b"\x82\xa4type\xa5Later\xa1a\xa3\xed\xa0\x80", "a string is not UTF-8: invalid continuation byte"),
        (b"\x81\xa4type\xa5Ready\xc0", "something follows the map at byte 12"),
        (b"\x82\xa4type\xa5Ready", "ends inside the map"),
        (b"", "empty"),
        (b"\x93\1\2\3", "an event must be a map"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_what_no_codec_can_carry_is_refused_anywhere_in_msgpack(message, problem):
    with pytest.raises(RemoteProtocolError) as caught:
        MSGPACK.decode(message)
    assert str(caught.value) == problem


NO_NAME = "the name of a member must be a string, not binary data"
HIDDEN = {
    "a name of bytes": (b"\x81\xc4\x01a\x01", NO_NAME),
    "a long name of bytes": (b"\x81" + msgpack.packb(b"n" * 300) + b"\x01", NO_NAME),
    "a very long name of bytes": (b"\x81" + msgpack.packb(b"n" * 70_000) + b"\x01", NO_NAME),
    "NaN": (b"\xcb\x7f\xf8" + bytes(6), "nan is not a finite number"),
    "NaN with a sign": (b"\xcb\xff\xf8" + bytes(6), "nan is not a finite number"),
    "infinity": (b"\xcb\x7f\xf0" + bytes(6), "inf is not a finite number"),
    "infinity below": (b"\xcb\xff\xf0" + bytes(6), "-inf is not a finite number"),
    "NaN of 32 bits": (b"\xca\x7f\xc0\0\0", "nan is not a finite number"),
    "NaN of 32 bits with a sign": (b"\xca\xff\xc0\0\0", "nan is not a finite number"),
}
AROUND = {
    "of an event that nobody knows": b"\x82\xa4type\xa5Later\xa1a%b",
    "that nobody knows": b"\x82\xa4type\xa5Ready\xa1a%b",
    "in attributes": b"\x82\xa4type\xa5Input\xa5input\x81\xaaattributes\x81\xa1a%b",
    "in an array": b"\x82\xa4type\xa5Ready\xa1a\x92\xc0%b",
    "behind a map": b"\x83\xa4type\xa5Ready\xa1z\x81\xa1z\xc4\x01\xff\xa1a%b",
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("absent", [(), ("msgspec",)], ids=["speed", "plain"])
def test_what_an_unpacker_lets_through_is_found_wherever_it_hides(hidden, around, absent, monkeypatch):
    for name in absent:
        monkeypatch.setattr(extras, name, lambda: None)
    data, problem = HIDDEN[hidden]
    codec = MsgpackCodec(Limits(message_bytes=200_000))
    with pytest.raises(RemoteProtocolError, match=f"{re.escape(problem)}$") as caught:
        codec.decode(AROUND[around] % data)
    path = "input.attributes.a" if around == "in attributes" else "a"
    assert caught.value.path == path + "[1]" * (around == "in an array")


EXTENSIONS = {0xD4: "\1\0", 0xD6: "\xff\0\0\0\0", 0xD7: "\xff" + "\0" * 8, 0xC7: "\x0c\xff" + "\0" * 12}
INNERMOST = [b"\x80", b"\x81\xa1a\1", b"\x8f" + b"\xa1a\1" * 15, b"\x90", b"\x91\1", b"\x9f" + b"\1" * 15]
INNERMOST += [b"\xdc\0\0", b"\xdd\0\0\0\0", b"\xde\0\0", b"\xdf\0\0\0\0"]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("absent", [(), ("msgspec",)], ids=["speed", "plain"])
def test_no_extension_hides_and_no_container_that_is_too_deep(around, absent, monkeypatch):
    for name in absent:
        monkeypatch.setattr(extras, name, lambda: None)
    for first, more in EXTENSIONS.items():
        with pytest.raises(RemoteProtocolError) as caught:
            MSGPACK.decode(AROUND[around] % (bytes([first]) + more.encode("latin-1")))
        assert str(caught.value) == f"not msgpack that is used here: an object of type 0x{first:02x}"
    outer = {"in attributes": 3, "in an array": 2}.get(around, 1)
    for innermost in INNERMOST:
        codec = MsgpackCodec(Limits(nesting=outer + 21))
        codec.decode(AROUND[around] % (b"\x91" * 20 + innermost))
        with pytest.raises(LimitExceeded, match=f"^nested more than {outer + 21} deep$"):
            codec.decode(AROUND[around] % (b"\x91" * 21 + innermost))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "a"),
        ("_A1$", "_A1$"),
        ("$", "$"),
        ("n" * 40, "n" * 40),
        ("n" * 41, "['" + "n" * 38 + "…]"),
        ("n" * 80, "['" + "n" * 38 + "…]"),
        ("1a", "['1a']"),
        ("a.b", "['a.b']"),
        ("a-" + "n" * 36, "['a-" + "n" * 36 + "']"),
        ("a-" + "n" * 37, "['a-" + "n" * 36 + "…]"),
        ("č", r"['\u010d']"),
        ("aé", r"['a\xe9']"),
        ("", "['']"),
        (" ", "[' ']"),
    ],
)
def test_a_path_is_short_and_printable(name, path):
    inner = f"{path}[1].b[0]"
    for tree, told in (({name: float("nan")}, path), ({name: [1, {"b": [float("nan")]}]}, inner)):
        with pytest.raises(RemoteProtocolError) as in_json:
            JSON.decode(json.dumps({"type": "Later", **tree}))
        with pytest.raises(RemoteProtocolError) as in_msgpack:
            MSGPACK.decode(msgpack.packb({"type": "Later", **tree}))
        assert (in_json.value.path, in_msgpack.value.path) == (told, told)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("x" * 38, "'" + "x" * 38 + "'"),
        ("x" * 39, "'" + "x" * 38 + "…"),
        ("x" * 100_000, "'" + "x" * 38 + "…"),
        ("é" * 9, "'" + r"\xe9" * 9 + "'"),
        ("é" * 10, "'" + r"\xe9" * 9 + r"\x" + "…"),
        ("it's", '"it\'s"'),
    ],
    ids=lambda each: ascii(each)[:30],
)
def test_a_value_of_the_peer_is_echoed_short_and_printable(given, shown):
    assert refusal(input_with(zoneId=given)) == f"input.zoneId: {shown} is not a known time zone"


def test_numbers_and_texts_that_only_look_suspicious_are_kept():
    data = {"type": "Later", "š": [1.5, 3.4e38, 1.7e308, "Ʉ ʰ ą č", b"\xca\xcb"], "big": [2**64 - 1]}
    assert MSGPACK.decode(msgpack.packb(data)).data == data
    single = msgpack.packb({"type": "Later", "a": 0.5}, use_single_float=True)
    assert MSGPACK.decode(single).data["a"] == 0.5


# ------------------------------------------------------------ bytes


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ('"+/8="', b"\xfb\xff"),
        ('"-_8="', b"\xfb\xff"),
        ('"-_8"', b"\xfb\xff"),
        ('"+/8"', b"\xfb\xff"),
        ('"QQ"', b"A"),
        ('"QUJD"', b"ABC"),
        ('"\\u0051UJD"', b"ABC"),
        ('"QUJ\\/"', b"AB\x7f"),
        ('""', b""),
        ("[]", b""),
        ("[-128, -1, 0, 127, 128, 255]", b"\x80\xff\0\x7f\x80\xff"),
        ('"' + "QUJD" * 100 + '"', b"ABC" * 100),
        ('"' + "QUJD" * 100 + 'QQ"', b"ABC" * 100 + b"A"),
        ("[" + ",".join(["-1"] * 3200) + "]", b"\xff" * 3200),
    ],
    ids=lambda each: str(each)[:30],
)
def test_bytes_are_read_from_json(given, data):
    for text in ('{"type":"Binary","data":%s}', '{ "data" : %s , "type" : "BinaryEvent" }'):
        assert JSON.decode(text % given) == BinaryEvent(data=data)
        assert JSON.decode((text % given).encode()) == BinaryEvent(data=data)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('"A"', "data: 'A' is not base64: a length that base64 cannot have"),
        ('"AAAAA"', "data: 'AAAAA' is not base64: a length that base64 cannot have"),
        ('"AA="', "data: 'AA=' is not base64: its length is no multiple of 4"),
        ('"A==="', "data: 'A===' is not base64: a length that base64 cannot have"),
        ('"===="', "data: '====' is not base64: a length that base64 cannot have"),
        ('"AA==AA=="', "data: 'AA==AA==' is not base64: "),
        ('"AAA AAA="', "data: 'AAA AAA=' is not base64: "),
        ('"AAAA\\n"', r"data: 'AAAA\n' is not base64: "),
        ('"AAA*"', "data: 'AAA*' is not base64: "),
        ('"AAA\u010d"', r"data: 'AAA\u010d' is not base64: "),
        ('"AAA\\ud800"', r"data: 'AAA\ud800' is not base64: "),
        ('"' + "A" * 400 + '*AAA"', f"data: '{'A' * 38}… is not base64: "),
        ("[1, 256]", "data[1]: 256 is not a byte: -128 to 255"),
        ("[-129]", "data[0]: -129 is not a byte: -128 to 255"),
        ("[true]", "data[0]: True is not a byte: -128 to 255"),
        ("[1.0]", "data[0]: 1.0 is not a byte: -128 to 255"),
        ("NaN", "data: NaN is not a finite number"),
        ("1e999", "data: 1e999 is too great a number"),
        ("[NaN]", "data[0]: NaN is not a finite number is not a byte"),
        ("[[]]", "data[0]: an array is not a byte: -128 to 255"),
        ("5", "data: must be base64 in a string or an array of bytes, not an integer"),
        ("null", "data: must not be null"),
    ],
    ids=lambda each: ascii(each)[:30],
)
def test_what_is_no_bytes_is_refused_in_json(given, problem):
    with pytest.raises(RemoteProtocolError) as caught:
        JSON.decode(f'{{"type":"Binary","data":{given}}}')
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("given", ["AAAA", [1, 2], 5, {}])
def test_bytes_in_msgpack_are_binary_data_and_nothing_else(given):
    with pytest.raises(RemoteProtocolError, match=r"^data: must be binary data, not a"):
        MSGPACK.decode(msgpack.packb({"type": "Binary", "data": given}))

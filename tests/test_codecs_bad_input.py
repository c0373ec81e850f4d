"""docs/bad-input.md, row by row: the table there is rendered from the one here.

When the two differ, the test prints the table that belongs into the file.
"""

from pathlib import Path

import pytest

from flowstorm_channel import Input, RequestHead, SocketV1Server, State, Transcript
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import ErrorEvent, Event, FaultEvent, InitEvent, InputEvent

JSON, MSGPACK = JsonCodec(), MsgpackCodec()
PAGE = Path(__file__).parent.parent / "docs" / "bad-input.md"

FAULT = "Error with the message; the session ends, the connection stays"
TOLD = "told to the host"
BLOCK = "taken as audio; dropped when no stream is open"
ALIVE = "a keep-alive (D-15)"
BEFORE = "never comes so far: a WebSocket with such a text is closed with 1007"

# What comes in (as the page shows it), codec, message, class of the outcome, its message.
ROWS = [
    ("nothing, or white space", JSON, " ", "RemoteProtocolError", "empty", FAULT),
    (
        "`Ready`: no JSON",
        JSON,
        "Ready",
        "RemoteProtocolError",
        "not JSON: a value was expected at character 0",
        FAULT,
    ),
    (
        '`{"type":"Ready"`',
        JSON,
        '{"type":"Ready"',
        "RemoteProtocolError",
        "not JSON: Expecting ',' delimiter at character 15",
        FAULT,
    ),
    (
        '`{"type":"Ready"} x`',
        JSON,
        '{"type":"Ready"} x',
        "RemoteProtocolError",
        "something follows the JSON text at character 16",
        FAULT,
    ),
    (
        "bytes that are not UTF-8",
        JSON,
        b'{"type":"\xff"}',
        "RemoteProtocolError",
        "not UTF-8: invalid start byte at byte 9",
        BEFORE,
    ),
    (
        "a byte order mark first",
        JSON,
        '\ufeff{"type":"Ready"}',
        "RemoteProtocolError",
        "begins with a byte order mark",
        FAULT,
    ),
    ("a binary frame of 1 byte", None, b"\x01", "BinaryEvent", "", BLOCK),
    ("an empty binary frame", None, b"", "BinaryEvent", "", ALIVE),
    (
        "the same 1 byte, msgpack agreed",
        MSGPACK,
        b"\x01",
        "RemoteProtocolError",
        "an event must be a map",
        FAULT,
    ),
    (
        "a text of 100 MB",
        JSON,
        "x" * 100_000_000,
        "LimitExceeded",
        "a message of more than 1048576 bytes",
        FAULT,
    ),
    (
        "msgpack that declares 4 GB",
        MSGPACK,
        b"\x81\xa4data\xc6\xff\xff\xff\xff",
        "LimitExceeded",
        "more than 1048576 bytes",
        FAULT,
    ),
    (
        "10 000 arrays inside each other",
        JSON,
        '{"type":"Later","a":' + "[" * 10_000 + "]" * 10_000 + "}",
        "LimitExceeded",
        "nested more than 64 deep",
        FAULT,
    ),
    (
        "an array of 1 001 elements, anywhere",
        JSON,
        '{"type":"Later","a":[' + "1," * 1000 + "1]}",
        "LimitExceeded",
        "a: more than 1000 elements",
        FAULT,
    ),
    (
        "a string of 257 KiB, anywhere",
        JSON,
        '{"type":"Error","text":"' + "x" * 263_168 + '"}',
        "LimitExceeded",
        "text: a string of more than 262144 bytes",
        FAULT,
    ),
    (
        'a doubled member: `{"type":"Vote","vote":1,"vote":-1}`',
        JSON,
        '{"type":"Vote","vote":1,"vote":-1}',
        "VoteEvent",
        "the last value counts",
        TOLD,
    ),
    (
        '`{"type":"Later","x":1}`: an unknown type',
        JSON,
        '{"type":"Later","x":1}',
        "UnknownEvent",
        "the whole object is kept",
        TOLD,
    ),
    (
        '`{"type":"Log","x":1}`: an unknown member',
        JSON,
        '{"type":"Log","x":1}',
        "LogEvent",
        "ignored",
        TOLD,
    ),
    (
        '`{"type":null}`',
        JSON,
        '{"type":null}',
        "RemoteProtocolError",
        "type: must be a string, not null",
        FAULT,
    ),
    ("`{}`", JSON, "{}", "RemoteProtocolError", "type: is missing", FAULT),
    ("`[]`", JSON, "[]", "RemoteProtocolError", "an event must be an object, not an array", FAULT),
    ('`{"type":"Input"}`', JSON, '{"type":"Input"}', "RemoteProtocolError", "input: is missing", FAULT),
    (
        '`{"type":"Input","input":null}`',
        JSON,
        '{"type":"Input","input":null}',
        "RemoteProtocolError",
        "input: must not be null",
        FAULT,
    ),
    (
        '`{"type":"Recognized","text":1}`',
        JSON,
        '{"type":"Recognized","text":1}',
        "RemoteProtocolError",
        "text: must be a string, not an integer",
        FAULT,
    ),
    (
        "`true` where a number belongs",
        JSON,
        '{"type":"Vote","vote":true}',
        "RemoteProtocolError",
        "vote: must be an integer, not a boolean",
        FAULT,
    ),
    (
        "a wrong name of an enumeration",
        JSON,
        '{"type":"Response","response":{"items":[{},{},{"ttsConfig":{"provider":"p","locale":"en","gender":"X","name":"n"}}]}}',
        "RemoteProtocolError",
        "response.items[2].ttsConfig.gender: 'X' is not one of Male, Female",
        FAULT,
    ),
    (
        "an unknown time zone",
        JSON,
        '{"type":"Input","input":{"zoneId":"Mars/Base"}}',
        "RemoteProtocolError",
        "input.zoneId: 'Mars/Base' is not a known time zone",
        FAULT,
    ),
    (
        "a malformed locale",
        JSON,
        '{"type":"Input","input":{"locale":"?"}}',
        "InputEvent",
        "the default, `original` tells what it was (D-81)",
        TOLD,
    ),
    (
        '`{"type":"Later","a":NaN}`',
        JSON,
        '{"type":"Later","a":NaN}',
        "RemoteProtocolError",
        "a: NaN is not a finite number",
        FAULT,
    ),
    (
        '`{"type":"Later","a":1e999}`',
        JSON,
        '{"type":"Later","a":1e999}',
        "RemoteProtocolError",
        "a: 1e999 is too great a number",
        FAULT,
    ),
    (
        "an integer of a million digits, anywhere",
        JSON,
        '{"type":"Later","a":' + "9" * 1_000_000 + "}",
        "RemoteProtocolError",
        "a: the integer does not fit into 64 bits",
        FAULT,
    ),
    (
        'a lone surrogate: `{"type":"Error","text":"\\ud800"}`',
        JSON,
        '{"type":"Error","text":"\\ud800"}',
        "RemoteProtocolError",
        r"text: '\ud800' holds a lone surrogate",
        FAULT,
    ),
    (
        "base64 with a line break",
        JSON,
        '{"type":"Binary","data":"AAAA\\n"}',
        "RemoteProtocolError",
        "data: 'AAAA\\n' is not base64",
        FAULT,
    ),
    (
        "bytes as a string in msgpack",
        MSGPACK,
        b"\x82\xa4type\xa6Binary\xa4data\xa4AAAA",
        "RemoteProtocolError",
        "data: must be binary data, not a string",
        FAULT,
    ),
    (
        "an extension type in msgpack",
        MSGPACK,
        b"\x82\xa4type\xa5Later\xa1a\xd4\x01\x00",
        "RemoteProtocolError",
        "not msgpack that is used here: an object of type 0xd4",
        FAULT,
    ),
    (
        "more after a msgpack map",
        MSGPACK,
        b"\x81\xa4type\xa5Ready\xc0",
        "RemoteProtocolError",
        "something follows the map at byte 12",
        FAULT,
    ),
]


def table():
    lines = ["| what comes in | outcome | message | what a V1 server answers |", "|---|---|---|---|"]
    for shown, codec, _, outcome, text, answer in ROWS:
        name = "" if codec is not MSGPACK or "msgpack" in shown else " (msgpack)"
        lines.append(f"| {shown}{name} | `{outcome}` | {text} | {answer} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("codec", "message", "outcome", "text"),
    [row[1:5] for row in ROWS if row[1] is not None],
    ids=[row[0][:40] for row in ROWS if row[1] is not None],
)
def test_the_outcome_is_the_one_in_the_table(codec, message, outcome, text):
    if outcome.endswith("Event"):
        found = codec.decode(message)
        assert isinstance(found, Event)
        assert type(found).__name__ == outcome
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            codec.decode(message)
        assert type(caught.value).__name__ == outcome
        assert str(caught.value).startswith(text)


def talking(codec):
    """A server in the middle of a turn, and what it has told and sent since."""
    server = SocketV1Server()
    offer = (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),) if codec is MSGPACK else ()
    server.receive_data(RequestHead(url="/socket", headers=offer))
    spoken = MSGPACK if codec is MSGPACK else JSON
    for event in (
        InitEvent(key="K", device_id="D"),
        InputEvent(input=Input(transcript=Transcript(text="hello"))),
    ):
        server.receive_data(spoken.encode(event))
        for told in server.events():
            if isinstance(told, InitEvent):
                server.ready()
    list(server.data_to_send())
    assert server.state is State.PROCESSING
    return server, spoken


@pytest.mark.parametrize(
    ("codec", "message", "outcome", "text", "answer"),
    [row[1:] for row in ROWS if row[5] != BEFORE],
    ids=[row[0][:40] for row in ROWS if row[5] != BEFORE],
)
def test_a_server_answers_as_the_table_says(codec, message, outcome, text, answer):
    server, spoken = talking(codec)
    server.receive_data(message)
    told = list(server.events())
    sent = [spoken.decode(each) for each in server.data_to_send()]
    match answer:
        case "told to the host":
            assert type(told[-1]).__name__ == outcome
            assert server.session_id is not None
        case _ if answer in (BLOCK, ALIVE):
            assert (told, sent, server.state) == ([], [], State.PROCESSING)
            assert server.dropped == len(message)
        case _:
            assert answer == FAULT
            assert isinstance(told[-1], FaultEvent)
            assert type(told[-1].error).__name__ == outcome
            assert str(told[-1].error).startswith(text)
            assert sent == [ErrorEvent(text=str(told[-1].error), source="protocol")]
            assert (server.state, server.session_id, server.turn.over) == (State.SLEEPING, None, True)
            server.receive_data(spoken.encode(InputEvent(input=Input())))
            assert isinstance(next(server.events()), InputEvent)


def test_the_page_holds_the_table():
    assert table() in PAGE.read_text(encoding="utf-8")

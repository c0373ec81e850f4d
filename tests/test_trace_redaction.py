"""What is taken out of recordings is not in them any more, wherever it stood and however it was cut."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import InitEvent, InputAudioStreamOpenEvent, InputEvent
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.trace import Lost, Opened, Record, Told, dump, replay
from flowstorm_channel.trace.crossing import cross_out
from flowstorm_channel.trace.redaction import Redactor
from flowstorm_channel.trace.scanning import JsonScanner, MsgpackScanner
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.recording import Tape, everything_recorded

KEY, TOKEN, SAID, ANSWER = "key-of-the-application", "token-of-the-user", "I am Josefína", "Nice, Josefína!"
AUDIO = b"\x12\x34" * 400
packb: Any = msgpack.packb


def talk(version: int, *, packed: bool = False, **redaction: bool) -> Tape:
    """A conversation with all that is to be hidden in it."""
    with everything_recorded(**redaction) as tape:
        clock = ManualClock()
        options: Any = {"key": KEY, "token": TOKEN, "device_id": "d", "clock": clock, "msgpack": packed}
        config = ClientConfig(send_response_items=True, silence_timeout=2000)
        client: Any
        link: Any
        if version == 1:
            client = SocketV1Client("ws://x/socket", config=config, **options)
            link = Link(client, lambda: SocketV1Server(clock=clock), clock)
        else:
            client = SocketV2Client("http://x/client?a=b&token=" + TOKEN, **options)
            sessions = Sessions(clock=clock)
            link = HttpLink(client, lambda: SocketV2Server(sessions, clock=clock), clock)

        def host(event: object) -> None:
            if isinstance(event, InitEvent):
                link.server.ready()
            elif isinstance(event, InputAudioStreamOpenEvent):
                link.server.stream.ready()
            elif isinstance(event, InputEvent):
                link.server.turn.say(ANSWER)
                if version == 1:
                    link.server.turn.say(AUDIO)
                link.server.turn.finish(attributes={"name": "Josefína"})

        link.on_event["server"] = host
        client.open()
        link.settle()
        client.say(SAID, attributes={"who": "Josefína"})
        link.settle()
        client.finish_playback()
        if version == 2:
            client.send_recording(AUDIO)
        link.settle()
    return tape


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_secrets_are_hidden_and_stay_different(version: int, packed: bool) -> None:
    tape = talk(version, packed=packed)
    for secret in (KEY, TOKEN):
        assert secret.encode() not in tape.file
    assert "Josefína".encode() in tape.file
    recording = tape.recording
    told = [each.event for each in recording.entries if isinstance(each, Told)]
    init = next(each for each in told if each["type"] == "Init")
    assert {init["key"], init["token"]} == {"hidden-1", "hidden-2"}
    assert replay(recording).differences == ()
    assert KEY not in "".join(dump(recording.head, recording.entries))


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_texts_are_crossed_out_and_audio_is_silent(version: int, packed: bool) -> None:
    tape = talk(version, packed=packed, texts=False, audio=False)
    assert tape.recording.head.redacted == ("tokens", "texts", "audio")
    for content in ("Josef", "Nice", AUDIO[:8], base64.b64encode(AUDIO)[:8]):
        assert (content.encode() if isinstance(content, str) else content) not in tape.file
    told = [each.event for each in tape.recording.entries if isinstance(each, Told)]
    texts = [each["input"]["transcript"]["text"] for each in told if each["type"] == "Input"]
    assert texts == ["x xx xxxxxxxx"]
    assert replay(tape.recording).differences == ()


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_what_was_chosen_is_kept_whole(version: int) -> None:
    tape = talk(version, tokens=True)
    assert tape.recording.head.redacted == ()
    for kept in (KEY.encode(), TOKEN.encode(), "Josefína".encode(), AUDIO):
        assert kept in tape.file


@pytest.mark.parametrize(
    ("text", "crossed"),
    [
        ("Hello, Žofie 2!", "xxxxx, xxxxx x!"),
        ("#intro", "#intro"),
        ("<speak>Hi <break time='1s'/>you</speak>", "<speak>xx <break time='1s'/>xxx</speak>"),
        ("a < b", "x < x"),
        ("", ""),
    ],
)
def test_a_text_is_crossed_out(text: str, crossed: str) -> None:
    assert cross_out(text) == crossed
    assert cross_out(crossed) == crossed


# ------------------------------------------------------------ single messages


def redactor(kind: str, **taken: bool) -> Redactor:
    made = Redactor(**{"tokens": False, "texts": False, "audio": False, **taken})
    made.entry(Opened(at=0, channel=0, kind=kind))
    return made


def kept(made: Redactor, *messages: Message, by: str = "client") -> list[Message]:
    found = []
    for message in messages:
        for entry in made.entries(Record(at=0, wire=0, by=by, message=message)):  # type: ignore[arg-type]
            assert isinstance(entry, Record)
            found.append(entry.message)
    return found


def test_heads_keep_no_secret() -> None:
    head = RequestHead(
        method="PUT",
        url="/client?key=my%20key&x=1&token=tok#part",
        headers=(
            ("X-Key", "my key"),
            ("authorization", "Bearer  tok"),
            ("Signature", "Ab3+/c=="),
            ("Cookie", "flowstorm-session-id=s"),
            ("X-Key", "key \x00"),
        ),
    )
    (found,) = kept(redactor("SocketV2Server", tokens=True), head)
    assert isinstance(found, RequestHead)
    assert found.url == "/client?key=hidden-1&x=1&token=hidden-2#part"
    assert found.headers == (
        ("X-Key", "hidden-1"),
        ("authorization", "Bearer  hidden-2"),
        ("Signature", "AAA+/A=="),
        ("Cookie", "flowstorm-session-id=s"),
        ("X-Key", "xxx \x00"),  # refused by every server, and by those of a replay
    )
    assert kept(redactor("SocketV2Server", texts=True), head) == [head]
    answer = ResponseHead(status=200, headers=(("X-Key", "k"),))
    (found,) = kept(redactor("SocketV2Server", tokens=True), answer)
    assert found == ResponseHead(status=200, headers=(("X-Key", "hidden-1"),))


def test_what_is_public_stays() -> None:
    made = redactor("TwilioServer", tokens=True)
    for public in ("flowstorm", "default", "", "alexa:", "hidden-9", "Bearer hidden-9"):
        assert made.hide(public) == public
    assert made.leaf(("key",), "alexa:amzn1.ask.skill", "alexa") == "alexa:amzn1.ask.skill"
    assert made.leaf(("token",), "alexa:abc", "alexa") == "alexa:hidden-1"
    assert made.leaf(("attributes", "key"), "mine", "socket-v1") == "mine"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_body_of_text_is_crossed_out_however_it_is_cut(size: int) -> None:
    body = "Žofie says <b>so</b>".encode()
    head = RequestHead(method="PUT", url="/", headers=(("Content-Type", "text/plain; charset=utf-8"),))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    _, *found = kept(redactor("SocketV2Server", texts=True), head, *pieces, END)
    assert b"".join(each for each in found if isinstance(each, bytes)) == b"xxxxx xxxx <b>xx</b>"
    assert kept(redactor("SocketV2Server", audio=True), head, *pieces) == [head, *pieces]


def test_a_body_of_audio_is_silent() -> None:
    head = RequestHead(method="PUT", url="/", headers=(("Content-Type", "audio/wav"),))
    assert kept(redactor("SocketV2Server", audio=True), head, b"RIFF", END) == [head, bytes(4), END]
    assert kept(redactor("SocketV2Server", texts=True), head, b"RIFF", END) == [head, b"RIFF", END]


def test_audio_in_frames_is_silent() -> None:
    payload = base64.b64encode(b"abc").decode()
    media = json.dumps({"event": "media", "media": {"payload": payload, "track": "x"}})
    (found,) = kept(redactor("TwilioServer", audio=True), media)
    assert isinstance(found, str)
    assert base64.b64decode(json.loads(found)["media"]["payload"]) == b"\xff" * 3
    broken = '{"media": {"payload": "no base64!"}}'
    made = redactor("TwilioServer", audio=True)
    assert kept(made, broken, b"ab", Close()) == [broken, b"\xff\xff", Close()]
    assert made.silence(b"RIFF\0\0\0\0WAVE", "twilio") == b"\xff" * 12  # broken
    assert kept(redactor("SocketV1Server", audio=True), b"abc") == [bytes(3)]
    assert kept(redactor("SocketV1Server", texts=True), b"abc") == [b"abc"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no JSON", "no JSON"),
        ("]]}", "]]}"),
        ('{"text": "unfinished', '{"text": "xxxxxxxxxx'),
        ('{"text": "#unfinished', '{"text": "#unfinished'),
        ('{"text": "ab\\u0041\\ud800\\u0001"}', '{"text": "xx\\u0078\\ud800\\u0001"}'),
        ('{"text": "ab\\x\\n\\"cd"}', '{"text": "xx\\x\\n\\"xx"}'),
        ('{"text": "ab\n"}', '{"text": "xx\n"}'),
        ('{"text": "ab\ud800"}', '{"text": "xx\ud800"}'),
        ('{"x": 1 "key": "ab" "x": "y"}', '{"x": 1 "key": "hidden-1" "hidden-2": "y"}'),
        ('["key": "ab", "key": "cd"]', '["key": "hidden-1", "key": "hidden-2"]'),
        ('"token": "ab"', '"token": "hidden-1"'),
        ('{"\\k": "ab"}', '{"\\k": "ab"}'),
    ],
)
def test_what_is_no_json_stays_broken_as_it_was(text: str, found: str) -> None:
    assert kept(redactor("SocketV1Server", texts=True, tokens=True), text) == [found]


def test_a_session_that_travels_loses_its_secrets() -> None:
    session = Session(session_id="s", key="secret", device_id="d", data={"name": "Josef"})
    packed = base64.b64encode(session.snapshot()).decode()
    made = redactor("AlexaServer", tokens=True, texts=True)
    found = Session.restore(base64.b64decode(made.leaf(("sessionAttributes", "flowstorm"), packed, "alexa")))
    assert (found.key, found.data) == ("hidden-1", {"name": "xxxxx"})
    found = Session.restore(redactor("AlexaServer", texts=True).leaf(("snapshot",), session.snapshot(), ""))
    assert (found.key, found.data) == ("secret", {"name": "xxxxx"})
    assert made.leaf(("flowstorm",), "no base64!", "alexa") == "xx xxxxxx!"
    assert redactor("AlexaServer", audio=True).leaf(("flowstorm",), "no base64!", "alexa") == "no base64!"
    assert made.leaf(("value",), b"certificates", "alexa") == b"certificates"


# ------------------------------------------------------------ scanners


class Nothing:
    def concerns(self, path: tuple[str, ...]) -> bool:
        return path == ("nowhere",)

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return ("nowhere", value) if self.concerns(path) else value

    def broken(self, path: tuple[str, ...] | None, raw: bytes, *, escaped: bool) -> bytes:
        return raw if escaped or path is None or not self.concerns(path) else b""


class Everything:
    """Replaces by what says where it stood."""

    def concerns(self, path: tuple[str, ...]) -> bool:
        return path is not None

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return ["/".join(path), value] if isinstance(value, str) else ["/".join(path), value.hex()]

    def broken(self, path: tuple[str, ...] | None, raw: bytes, *, escaped: bool) -> bytes:
        return b"?" * len(raw) if path is not None and not escaped else raw


def replaced(tree: Any, path: tuple[str, ...] = ()) -> Any:
    match tree:
        case dict():
            return {name: replaced(each, (*path, name)) for name, each in tree.items()}
        case list():
            return [replaced(each, path) for each in tree]
        case str() | bytes():
            return Everything().replace(path, tree)
    return tree


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=20,
)
packable = st.recursive(
    trees | st.binary(max_size=300) | st.integers(-(2**63), 2**64 - 1) | st.text(min_size=30, max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(each % (len(data) + 1) for each in at)})
    return [data[start:end] for start, end in pairwise(ends)]


cuts = st.lists(st.integers(0, 5000), max_size=12)


@given(trees, cuts, st.booleans())
def test_json_goes_by_with_its_texts_replaced(tree: Any, at: list[int], ascii_only: bool) -> None:
    data = json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    scanner = JsonScanner(Everything())
    found = b"".join(scanner.feed(piece) for piece in cut(data, at)) + scanner.rest()
    assert json.loads(found.decode("utf-8", "surrogatepass")) == replaced(tree)


@given(packable, cuts)
def test_msgpack_goes_by_with_its_texts_replaced(tree: Any, at: list[int]) -> None:
    data = packb([tree, tree], unicode_errors="surrogatepass")
    scanner = MsgpackScanner(Everything())
    found = b"".join(scanner.feed(piece) for piece in cut(data, at)) + scanner.rest()
    assert msgpack.unpackb(found, unicode_errors="surrogatepass", strict_map_key=False) == replaced(
        [tree, tree]
    )


def test_msgpack_that_is_no_utf8_goes_by() -> None:
    found = MsgpackScanner(Everything()).feed(b"\x92\xa1\xff\xa1a")
    assert found == b"\x92\xa1?" + packb(["", "a"])


@given(st.binary(max_size=60), cuts)
def test_whatever_it_is_it_goes_by(data: bytes, at: list[int]) -> None:
    for scanner in (JsonScanner(Nothing()), MsgpackScanner(Nothing())):
        assert b"".join(scanner.feed(piece) for piece in cut(data, at)) + scanner.rest() == data


@pytest.mark.parametrize(
    "extension", [msgpack.ExtType(5, b"a" * size) for size in (1, 2, 4, 8, 16, 3, 300, 70_000)]
)
def test_extensions_go_by(extension: Any) -> None:
    data = packb([extension, {"a": extension}, "x"])
    for size in (1, len(data)):
        scanner = MsgpackScanner(Everything())
        found = b"".join(scanner.feed(data[at : at + size]) for at in range(0, len(data), size))
        crossed = msgpack.ExtType(5, b"?" * len(extension.data))
        assert msgpack.unpackb(found) == [crossed, {"a": crossed}, ["", "x"]]


@pytest.mark.parametrize(
    ("media_type", "begin", "rest"),
    [
        ("application/json", b'{"text": "abc', b"def\\u0041\\n"),
        ("application/msgpack", b"\x81\xa4text\xd9\xffabc", b"def"),
    ],
)
def test_what_follows_something_broken_is_crossed_out(media_type: str, begin: bytes, rest: bytes) -> None:
    made = redactor("SocketV2Server", texts=True)
    kept(made, put(media_type=media_type), begin)
    fault = Told(at=0, channel=0, event={"type": "Fault", "error": "x"}, state="", audio="")
    released, _ = made.entries(fault)
    assert isinstance(released, Record)
    assert released.message in (b'"xxx', b"\xd9\xffxxx")
    assert list(made.entries(fault)) == [fault]
    assert kept(made, rest) == [rest.replace(b"def", b"xxx").replace(b"0041", b"0078")]


def test_what_is_nested_deep_takes_no_longer() -> None:
    deep = '{"a":' * 5_000 + '["token",' + '"x",' * 5_000
    packed = b"\x81\xa1a" * 5_000 + b"\xdd\xff\xff\xff\xff" + b"\xa1x" * 5_000
    made = redactor("SocketV1Server", tokens=True, texts=True, audio=True)
    assert kept(made, deep) == [deep]
    head = ResponseHead(status=101, headers=(("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),))
    assert kept(made, head, packed) == [head, packed]


def test_headers_that_a_client_was_made_with_are_hidden() -> None:
    with everything_recorded() as tape:
        headers = [("Authorization", "Bearer abc"), ("X", "y")]
        SocketV1Client("ws://x/", key="k", device_id="d", headers=headers, msgpack=True)
    (opened,) = tape.recording.entries
    assert isinstance(opened, Opened)
    assert opened.settings["headers"] == [["Authorization", "Bearer hidden-2"], ["X", "y"]]
    assert replay(tape.recording).channels == 1


# ------------------------------------------------------------ by no road

SECRET = "qZ7secretQz7"
EVENT = {"type": "Init", "key": SECRET, "deviceId": "d", "token": SECRET, "config": {}}


def traces_of(secret: str, data: bytes) -> bool:
    """Whether any four characters of it that follow each other stand in a file."""
    return any(secret[at : at + 4].encode() in data for at in range(len(secret) - 3))


def served(server: Any, messages: list[Any], **options: bool) -> Tape:
    """What is recorded of a server that gets these messages; it is replayed without a difference."""
    tape = Tape(**options)
    tape.recorder.watch(server)
    for message in messages:
        server.receive_data(message)
        for event in server.events():
            if isinstance(event, InitEvent):
                server.ready()
        list(server.data_to_send())
    assert replay(tape.recording).differences == ()
    return tape


def v2_server() -> SocketV2Server:
    clock = ManualClock()
    return SocketV2Server(Sessions(clock=clock), clock=clock)


def put(
    *headers: tuple[str, str], url: str = "/client?deviceId=d", media_type: str = "application/json"
) -> Any:
    always = (("X-Key", "k"), ("Content-Type", media_type))
    return RequestHead(method="PUT", url=url, headers=(*always, *headers))


HEADERS = {
    "key": ("X-Key", SECRET),
    "bearer": ("Authorization", f"Bearer {SECRET}"),
    "basic": ("Authorization", f"Basic {SECRET}"),
    "refused": ("Authorization", f"Bearer {SECRET}\x01"),
    "a cookie": ("Cookie", f"a={SECRET}; flowstorm-session-id=abc; b={SECRET}; {'c'}"),
    "a proxy's": ("Proxy-Authorization", SECRET),
    "an address": ("Referer", f"https://x/?a=b&key={SECRET}"),
    "somebody's": ("X-Api-Token", SECRET),
    "misspelt": ("x-key ", SECRET),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_no_header_keeps_a_secret(header: tuple[str, str]) -> None:
    tape = served(v2_server(), [put(header), b'{"type":"Input","input":{"transcript":{"text":"x"}}}', END])
    assert not traces_of(SECRET, tape.file)


def test_of_cookies_only_the_session_stays() -> None:
    made = redactor("SocketV2Server", tokens=True)
    cookie = "a=b; Path=/; HttpOnly; SameSite=Lax; Max-Age=5"
    assert made.header("Set-Cookie", cookie) == cookie.replace("a=b", "a=hidden-1")
    assert made.header("Set-Cookie", "flowstorm-session-id=s; Path=/") == "flowstorm-session-id=s; Path=/"
    assert made.header("Cookie", "Path=b") == "Path=hidden-1"


ADDRESSES = [
    *("?key=S", "?Key=S", "?%6bey=S", "?a=1;token=S", "?access_token=S", "?token=S%00", "#token=S"),
    *("?appKey=S", "?key=+S", "?token=a&token=S", "?to\nken=S", "?key=Bearer%20S", "?api-key=S"),
]


@pytest.mark.parametrize("query", ADDRESSES)
def test_no_address_keeps_a_secret(query: str) -> None:
    url = "/client" + query.replace("S", SECRET)
    tape = served(v2_server(), [put(("X-DeviceId", "d"), url=url), b"{}", END])
    assert not traces_of(SECRET, tape.file)


def test_an_address_keeps_no_password() -> None:
    made = redactor("SocketV1Client", tokens=True)
    assert made.address("wss://me:secret@x/?a=me@x") == "wss://hidden-1@x/?a=me@x"


BROKEN = {
    "whole": lambda text: text,
    "cut off": lambda text: text[: text.rindex(SECRET) + 9],
    "a bad escape": lambda text: text.replace(SECRET, SECRET + "\\q"),
    "a lone surrogate": lambda text: text.replace(SECRET, SECRET + "\\ud800"),
    "a control character": lambda text: text.replace(SECRET, SECRET + "\n"),
    "an escaped one": lambda text: text.replace(SECRET, SECRET + "\\u0001"),
    "escaped": lambda text: text.replace("q", "\\u0071").replace("token", "\\u0074oken"),
    "twice": lambda text: text + text,
    "in an object": lambda text: text.replace(f'"{SECRET}"', f'{{"a": ["{SECRET}"]}}'),
    "in another event": lambda text: f'{{"type": "Foo", "init": {text}}}',
    "otherwise spelt": lambda text: text.replace("token", "Access_Token").replace("key", "KEY"),
    "somebody else's key": lambda text: text.replace('"key": "', '"key": " Alexa:'),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("where", ["text", "binary", "packed", "body"])
def test_no_message_keeps_a_secret_however_broken_it_is(name: str, where: str) -> None:
    text = BROKEN[name](json.dumps(EVENT))
    packed = (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),) if where == "packed" else ()
    messages: list[Any] = [RequestHead(url="/", headers=packed), text if where == "text" else text.encode()]
    if where == "body":
        messages = [put(), *(text[at : at + 7].encode() for at in range(0, len(text), 7)), END]
    tape = served(v2_server() if where == "body" else SocketV1Server(clock=ManualClock()), messages)
    assert not traces_of(SECRET, tape.file)


PACKED = {
    "whole": packb(EVENT),
    "cut off": packb(EVENT)[:30],
    "a name in bytes": packb({"type": "Init", b"key": SECRET}),
    "bytes": packb({"type": "Init", "key": SECRET.encode()}),
    "an extension": packb({"type": "Init", "key": msgpack.ExtType(5, SECRET.encode())}),
    "behind an extension": packb({"x": msgpack.ExtType(5, b"\x81" * 300), **EVENT}),
    "no UTF-8": packb(EVENT).replace(b"\xacqZ7", b"\xac\xff\xff\xff"),
    "a surrogate": packb({**EVENT, "key": SECRET + "\ud800"}, unicode_errors="surrogatepass"),
    "a strange beginning": b"\xc1" + packb(EVENT),
    "a number as a name": b"\x86\x01\x02" + packb(EVENT)[1:],
    "an object as a name": b"\x86\x81\xa3key\xac" + SECRET.encode() + b"\x02" + packb(EVENT)[1:],
    "twice": packb(EVENT) * 2,
}


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("where", ["packed", "not agreed", "body", "called JSON"])
def test_no_msgpack_keeps_a_secret_however_broken_it_is(data: bytes, where: str) -> None:
    head = (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),) if where == "packed" else ()
    messages: list[Any] = [RequestHead(url="/", headers=head), data]
    if where in ("body", "called JSON"):
        media_type = "application/msgpack" if where == "body" else "application/json"
        messages = [put(media_type=media_type), *(data[at : at + 7] for at in range(0, len(data), 7)), END]
    is_http = where in ("body", "called JSON")
    tape = served(v2_server() if is_http else SocketV1Server(clock=ManualClock()), messages)
    assert not traces_of(SECRET, tape.file)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/msgpack", "text/plain", "plain/text"]
)
@given(
    at=cuts, text=st.sampled_from([SAID, "#intro", "<b>Hi</b> \\u0041 q", "Žofie " * 9]), end=st.booleans()
)
def test_no_body_keeps_a_text_however_it_is_cut(media_type: str, at: list[int], text: str, end: bool) -> None:
    tree = {"type": "Input", "input": {"transcript": {"text": text}, "attributes": {"who": "Josefína"}}}
    forms = {"application/json": json.dumps(tree).encode(), "application/msgpack": packb(tree)}
    pieces = cut(forms.get(media_type, text.encode()), at)
    tape = served(v2_server(), [put(media_type=media_type), *pieces, END if end else Close()], texts=False)
    for said in ("Josef", "Žofie", "am "):
        assert said.encode() not in tape.file


def test_a_text_that_is_too_long_is_refused_again() -> None:
    for begin in (b'{"type":"Input","input":{"transcript":{"text":"', b""):
        media_type = "application/json" if begin else "text/plain"
        pieces = [b"long" * 10_000] * 8
        tape = served(v2_server(), [put(media_type=media_type), begin, *pieces, END], texts=False)
        assert b"long" not in tape.file
        assert "Fault" in [each.event["type"] for each in tape.recording.entries if isinstance(each, Told)]
    packed = [b"\x81\xa4type\xdb\x7f\xff\xff\xff", *[b"long" * 10_000] * 8]
    tape = served(v2_server(), [put(media_type="application/msgpack"), *packed, END], texts=False)
    assert replay(tape.recording).differences == ()


def test_a_host_that_sends_a_secret_by_mistake_does_not_write_it_down() -> None:
    tape = Tape()
    server = tape.recorder.watch(SocketV1Server(clock=ManualClock()))
    with pytest.raises(LocalProtocolError):
        server.send(InitEvent(key=SECRET, device_id="d", token=SECRET))
    assert not traces_of(SECRET, tape.file)


def test_errors_do_not_repeat_what_is_hidden() -> None:
    made = redactor("SocketV1Server", tokens=True)
    said = "request.token: 'abc\\ud800' holds a lone surrogate"
    assert made.leaf(("error",), said, "socket-v1") == said.replace("abc\\ud800", "xxx\\xxxxx")
    other = "locale: 'abc' is none"
    assert made.leaf(("text",), other, "socket-v1") == other
    assert redactor("SocketV1Server", texts=True).leaf(("error",), other, "x") == "locale: 'xxx' is none"
    assert made.leaf(("error",), "no path", "x") == "no path"


def test_what_alexa_calls_a_token_on_its_screens_is_none() -> None:
    made = redactor("AlexaServer", tokens=True)
    assert made.leaf(("request", "token"), "pizza", "alexa") == "pizza"
    assert made.leaf(("context", "System", "user", "accessToken"), "abc", "alexa") == "hidden-1"


def test_snapshots_that_cannot_be_restored_keep_no_secret() -> None:
    made = redactor("SocketV2Server", tokens=True, texts=True)
    whole = packb({"version": 99, "key": SECRET, "data": {"name": "Josef"}})
    for data in (whole, whole[:-3], whole[:25]):
        found = made.leaf(("value",), data, "socket-v2")
        assert not traces_of(SECRET, found)
        assert b"Jos" not in found
    travelling = base64.b64encode(whole).decode()
    assert not traces_of(SECRET, base64.b64decode(made.leaf(("flowstorm",), travelling, "alexa")))


def test_transports_that_are_over_are_forgotten() -> None:
    made = redactor("SocketV2Server", tokens=True)
    head = RequestHead(method="GET", url="/")
    assert kept(made, head, END) == [head, END]
    assert len(made._wires) == 1
    kept(made, ResponseHead(status=200), b'{"x": "', END, by="server")
    assert not made._wires
    kept(made, head, b'{"token": "abc')
    found = list(made.entries(Lost(at=0, channel=0, wire=0)))
    assert [type(each) for each in found] == [Record, Lost]
    assert not made._wires
    kept(made, head)
    assert [type(each) for each in made.entries(Lost(at=0, channel=0))] == [Lost]
    assert not made._wires
    assert [type(each) for each in made.entries(Lost(at=0, channel=0, wire=7))] == [Lost]

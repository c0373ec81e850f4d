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

from flowstorm_channel.events import InitEvent, InputAudioStreamOpenEvent, InputEvent
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.trace import Opened, Record, Told, dump, replay
from flowstorm_channel.trace.redaction import Redactor, cross_out
from flowstorm_channel.trace.scanning import JsonScanner, MsgpackScanner
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead
from tests.recording import Tape, everything_recorded

KEY, TOKEN, SAID, ANSWER = "key-of-the-application", "token-of-the-user", "I am Josefína", "Nice, Josefína!"
AUDIO = b"\x12\x34" * 400


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
        entry = made.entry(Record(at=0, wire=0, by=by, message=message))  # type: ignore[arg-type]
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
        ("X-Key", "key \x00"),  # refused by every server, so it is no secret
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
    assert b"".join(each for each in found if isinstance(each, bytes)) == b"xxxxx xxxx <x>xx</x>"
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
    "text", ["no JSON", '{"text": "unfinished', '{"text": "\\ud800"}', '{"text": "\\x"}', "]]}"]
)
def test_what_is_no_json_goes_by(text: str) -> None:
    (found,) = kept(redactor("SocketV1Server", texts=True, tokens=True), text)
    assert isinstance(found, str)
    assert len(found) > 2
    if "ud800" not in text:
        assert found == text


def test_a_session_that_travels_loses_its_secrets() -> None:
    session = Session(session_id="s", key="secret", device_id="d", data={"name": "Josef"})
    packed = base64.b64encode(session.snapshot()).decode()
    made = redactor("AlexaServer", tokens=True, texts=True)
    found = Session.restore(base64.b64decode(made.leaf(("sessionAttributes", "flowstorm"), packed, "alexa")))
    assert (found.key, found.data) == ("hidden-1", {"name": "xxxxx"})
    found = Session.restore(redactor("AlexaServer", texts=True).leaf(("snapshot",), session.snapshot(), ""))
    assert (found.key, found.data) == ("secret", {"name": "xxxxx"})
    assert made.leaf(("flowstorm",), "no base64!", "alexa") == "no base64!"
    assert made.leaf(("value",), b"certificates", "alexa") == b"certificates"


# ------------------------------------------------------------ scanners


class Nothing:
    def concerns(self, path: tuple[str, ...]) -> bool:
        return path == ("nowhere",)

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return ("nowhere", value) if self.concerns(path) else value


class Everything:
    """Replaces by what says where it stood."""

    def concerns(self, path: tuple[str, ...]) -> bool:
        return path is not None

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return ["/".join(path), value] if isinstance(value, str) else ["/".join(path), value.hex()]


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
    data = msgpack.packb([tree, tree], unicode_errors="surrogatepass")
    scanner = MsgpackScanner(Everything())
    found = b"".join(scanner.feed(piece) for piece in cut(data, at)) + scanner.rest()
    assert msgpack.unpackb(found, unicode_errors="surrogatepass", strict_map_key=False) == replaced(
        [tree, tree]
    )


def test_msgpack_that_is_no_utf8_goes_by() -> None:
    assert MsgpackScanner(Everything()).feed(b"\x92\xa1\xff\xa1a") == b"\x92\xa1\xff" + msgpack.packb(
        ["", "a"]
    )


@given(st.binary(max_size=60), cuts)
def test_whatever_it_is_it_goes_by(data: bytes, at: list[int]) -> None:
    for scanner in (JsonScanner(Nothing()), MsgpackScanner(Nothing())):
        assert b"".join(scanner.feed(piece) for piece in cut(data, at)) + scanner.rest() == data


def test_headers_that_a_client_was_made_with_are_hidden() -> None:
    with everything_recorded() as tape:
        headers = [("Authorization", "Bearer abc"), ("X", "y")]
        SocketV1Client("ws://x/", key="k", device_id="d", headers=headers, msgpack=True)
    (opened,) = tape.recording.entries
    assert isinstance(opened, Opened)
    assert opened.settings["headers"] == [["Authorization", "Bearer hidden-2"], ["X", "y"]]
    assert replay(tape.recording).channels == 1

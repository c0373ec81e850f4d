"""The suite of V2 servers on servers that are sound and not like the reference, and how bodies are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.runner import run
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import cookie_in, name
from flowstorm_channel.conformance.socket_v2.server import SUITE
from flowstorm_channel.conformance.verdicts import Verdict
from flowstorm_channel.events import Event, InitEvent, InputEvent, RecognizedInputEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import ResponseItem
from flowstorm_channel.wire import ResponseHead

SOUND = (Verdict.PASS, Verdict.NOT_DECLARED, Verdict.INFO)


# ------------------------------------------------------------ servers that are sound


class PlainHost(ReferenceHost):
    """Says the same to everybody, and hears nothing."""

    WORDS: tuple[str, ...] = ("Good day.",)

    def take(self, channel: ServerChannel, event: Event) -> None:
        match event:
            case InitEvent():
                channel.ready()
            case InputEvent():
                items = tuple(ResponseItem(text=each, ssml=f"<speak>{each}</speak>") for each in self.WORDS)
                channel.turn.finish(items=items, locale="cs")


class SilentHost(PlainHost):
    """Has nothing to say."""

    WORDS = ()


class NoInterim(SocketV2Server):
    """Sends no interim results."""

    def _write(self, event: Event, turn: object = None) -> Any:
        interim = isinstance(event, RecognizedInputEvent) and not event.is_final
        return None if interim else super()._write(event, turn)


def driver(
    clock: ManualClock,
    make_host: Callable[[ManualClock], ReferenceHost] = ReferenceHost,
    make_channel: Callable[..., SocketV2Server] = SocketV2Server,
    **options: Any,
) -> ServerDriver:
    sessions = Sessions(clock=clock)
    return MemoryServerDriver(clock, lambda: make_channel(sessions, clock=clock, **options), make_host(clock))


GENEROUS = Limits(
    message_bytes=1 << 23, string_bytes=1 << 23, header_bytes=1 << 16, header_value_bytes=1 << 15, items=10**6
)
SERVERS: dict[str, Callable[[ManualClock], ServerDriver]] = {
    "no-phrases": lambda clock: driver(clock, PlainHost),
    "nothing-to-say": lambda clock: driver(clock, SilentHost),
    "no-interim-results": lambda clock: driver(clock, make_channel=NoInterim),
    "generous-limits": lambda clock: driver(clock, limits=GENEROUS),
    "narrow-limits": lambda clock: driver(clock, limits=Limits(string_bytes=4096, nesting=8)),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_sound_server_is_not_found_fault_with(server: str) -> None:
    results = run(SUITE, lambda: SERVERS[server](ManualClock()), Profile())
    found = [
        (case.check, case.verdict.name, case.text)
        for result in results
        for case in result.cases
        if case.verdict not in SOUND
    ]
    assert found == []
    passed = sum(result.verdict is Verdict.PASS for result in results)
    assert passed > len(results) / 2


def test_what_is_declared_has_to_work() -> None:
    profile = Profile(declared={"echo", "speech", "interim", "long", "end", "sleep", "count", "refuse"})
    results = run(SUITE, lambda: driver(ManualClock(), SilentHost), profile)
    untestable = {result.requirement.group for result in results if result.verdict is Verdict.UNTESTABLE}
    assert {"TURN", "AUDIO", "POLL", "BARGE", "SESS", "REQ"} <= untestable


# ------------------------------------------------------------ bodies


def read(reader: bodies.Reader, data: bytes, size: int) -> list[str]:
    found: list[frames.Frame] = []
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    return [each["type"] for each in (*found, *reader.close())]


EVENTS = (frames.said('Ř "{[\\'), frames.log("]}"), frames.response("a", "b"))
KINDS = ["Input", "Log", "Response"]
LINES = bodies.write(*EVENTS)
ARRAY = b" [" + b",".join(LINES.splitlines()) + b" ]\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    assert read(bodies.read_response("application/json"), LINES, size) == KINDS
    assert read(bodies.read_request("application/json; charset=utf-8"), ARRAY, size) == KINDS
    packed = bodies.write(*EVENTS, packed=True)
    assert read(bodies.read_request("application/msgpack"), packed, size) == KINDS


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", []),
        (b"[]", []),
        (b"hello", ["(broken)"]),
        (b"{}", ["(broken)"]),
        (b"{]", ["(broken)"]),
        (b'{"type": 1}', ["(broken)"]),
        (b'{"type": "a"', ["(broken)"]),
        (b'{"type": "a\\', ["(broken)"]),
        (b'{"type": "a"},{"type": "b"}', ["a", "(broken)"]),
        (b'{"type": "a"}]', ["a", "(broken)"]),
        (b'{"type": "a"} garbage {"type": "b"}', ["a", "(broken)"]),
        (b'[{"type": "a"}', ["a", "(broken)"]),
        (b'[{"type": "a"} {"type": "b"}]', ["a", "(broken)"]),
        (b'[{"type": "a"}][', ["a", "(broken)"]),
        (b"[,", ["(broken)"]),
        (b'{"type": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["(broken)"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value[:30].decode(),
)
def test_what_is_no_event_is_said_to_be_broken(body: bytes, found: list[str]) -> None:
    assert read(bodies.read_response("application/json"), body, len(body) or 1) == found


def test_nothing_is_read_behind_what_is_broken() -> None:
    for media_type, good, bad in (
        (bodies.JSON, LINES, b"garbage"),
        (bodies.MSGPACK, bodies.write(*EVENTS, packed=True), b"\xc1"),
    ):
        reader = bodies.read_response(media_type)
        assert [each["type"] for each in reader.feed(bad)] == ["(broken)"]
        assert (reader.feed(good), reader.close()) == ([], [])


def test_msgpack_that_ends_too_early_is_broken() -> None:
    packed = bodies.write(*EVENTS, packed=True)
    assert read(bodies.read_response(bodies.MSGPACK), packed[:-1], 5) == [*KINDS[:-1], "(broken)"]
    assert read(bodies.read_response(bodies.MSGPACK), b"\x01", 1) == ["(broken)"]


def test_lines_of_text_have_marks() -> None:
    body = "< Dobrý den\n<\n# (image=a%2Cb, code=%7B)\n~ slo\n! source: what\n.\n".encode()
    for size in (1, 4, 1000):
        reader = bodies.read_response("text/plain; charset=utf-8")
        found = [each for at in range(0, len(body), size) for each in reader.feed(body[at : at + size])]
        assert [(each["mark"], each["text"]) for each in found] == [
            ("<", "Dobrý den"),
            ("<", ""),
            ("#", "(image=a%2Cb, code=%7B)"),
            ("~", "slo"),
            ("!", "source: what"),
            (".", ""),
        ]
        assert reader.close() == []
    assert bodies.properties_of(found[2]) == {"image": "a,b", "code": "%7B"}


@pytest.mark.parametrize("line", ["hello\n", ". x\n", ".end\n", "\xff\n", "< no end"])
def test_other_lines_are_broken(line: str) -> None:
    assert read(bodies.read_response("text/plain"), line.encode("latin-1"), 100) == ["(broken)"]


@pytest.mark.parametrize("line", ["image=a", "(image)", "(image=a, =b)", "(image=a(b)"])
def test_malformed_properties_are_none(line: str) -> None:
    assert bodies.properties_of({"type": "(line)", "mark": "#", "text": line}) is None


def test_a_text_is_an_input_and_audio_is_binary() -> None:
    text = bodies.read_request("Plain/Text; charset=utf-8")
    assert text.feed("Dobrý ".encode()[:4]) == []
    assert text.feed("Dobrý ".encode()[4:] + b"den\r\n") == []
    assert text.close() == [frames.said("Dobrý den")]
    assert read(bodies.read_request("text/plain"), b"\xff", 1) == ["(broken)"]
    audio = bodies.read_request("audio/wav")
    assert audio.feed(b"123") == [{"type": "Binary", "data": b"123"}]
    assert audio.close() == []


def test_audio_is_found_in_either_form() -> None:
    assert bodies.audio_of(bodies.binary(b"\x00\x01")) == b"\x00\x01"
    assert bodies.audio_of(bodies.binary(b"\x00\x01", packed=True)) == b"\x00\x01"
    assert bodies.audio_of({"type": "Binary", "data": "no base64!"}) is None
    assert bodies.audio_of({"type": "Binary"}) is None


def test_the_cookie_is_found_among_others() -> None:
    head = ResponseHead(
        status=200,
        headers=(
            ("Set-Cookie", "other=1; Path=/"),
            ("set-cookie", 'flowstorm-session-id="abc"; Path=/;HttpOnly'),
        ),
    )
    assert cookie_in(head) == ("abc", ("Path=/", "HttpOnly"))
    assert cookie_in(ResponseHead(status=200)) is None


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "Error", "text": "no"}, "Error 'no'"),
        ({"type": "RecognizedInput", "isFinal": True}, "RecognizedInput final"),
        ({"type": "RecognizedInput"}, "RecognizedInput interim"),
        ({"type": "(line)", "mark": "<", "text": "hi"}, "the line < hi"),
        ({"type": "(broken)", "why": "it is"}, "something broken (it is)"),
        ({"type": "Response"}, "Response"),
    ],
)
def test_events_have_names_for_people(frame: frames.Frame, text: str) -> None:
    assert name(frame) == text

"""The fuzzers without their engine: every target over its kept inputs, and over mutants of them."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flowstorm_channel import ssml
from flowstorm_channel.channel import Channel
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.codecs import StreamDecoder
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError, TooLateError
from flowstorm_channel.events import ClosedEvent, InitEvent, ResponseItemEvent
from flowstorm_channel.google.signature import GoogleKeys
from flowstorm_channel.http import HttpServerChannel
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.socket_v2.bodies import Form, Writer
from flowstorm_channel.trace import Act, Head, Opened, Recording, replay
from flowstorm_channel.twilio.server import TwilioServer
from flowstorm_channel.values import ResponseItem
from flowstorm_channel.wire import END, RequestHead
from tests.fuzz import __main__ as command
from tests.fuzz.corpus import CORPUS, added, kept, minimised, mutants
from tests.fuzz.program import Failure, Program
from tests.fuzz.targets import TARGETS
from tests.fuzz.words import dictionary, words

MUTANTS = 120
"""Of each target."""
MOST_BYTES = 500_000
MOST_FILES = 700


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_that_is_kept_is_taken_well(name: str) -> None:
    inputs = kept(name)
    assert len(inputs) > 5
    for data in inputs:
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_so_are_mutants_of_them(name: str) -> None:
    for data in mutants(kept(name), MUTANTS, seed=1):
        TARGETS[name].run(data)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_and_very_many_mutants(name: str) -> None:
    for data in mutants(kept(name), 200 * MUTANTS, seed=2):
        TARGETS[name].run(data)


def test_the_corpus_is_small_and_named_by_what_is_in_it(tmp_path: Path) -> None:
    files = [each for each in CORPUS.rglob("*") if each.is_file()]
    assert {each.parent.name for each in files} == set(TARGETS)
    assert len(files) < MOST_FILES
    assert sum(each.stat().st_size for each in files) < MOST_BYTES
    for each in files:
        assert added(tmp_path, each.read_bytes()).name == each.name


# ------------------------------------------------------------ whether anything would be noticed

Change = Callable[[pytest.MonkeyPatch], None]


def _without(cls: type, name: str, then: Any = None) -> Change:
    """A library in which a method does nothing."""
    return lambda monkeypatch: monkeypatch.setattr(cls, name, lambda *_, **__: then)


def _leaks_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(self: Channel, message: Any, turn: object = None) -> Any:
        entry = whole(self, message, turn)
        self._outbox_bytes -= 1
        return entry

    whole = Channel._put
    monkeypatch.setattr(Channel, "_put", put)


def _forgets_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: StreamDecoder, error: Any) -> Any:
        self._buffer = bytearray()
        return error

    monkeypatch.setattr(StreamDecoder, "_fail", fail)


def _raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(self: ServerChannel, error: Exception) -> None:  # noqa: ARG001
        raise ValueError("an exception that escapes")

    monkeypatch.setattr(ServerChannel, "_fault", fault)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("v1-server", _without(Channel, "_notify"), id="nobody is woken"),
        pytest.param("v1-server", _leaks_output, id="the outbox is miscounted"),
        pytest.param("v1-server", _raises, id="an exception escapes"),
        pytest.param("v1-server", _without(ServerChannel, "_retire"), id="turns are never over"),
        pytest.param("v1-client", _without(ClientChannel, "_drop_turns"), id="nothing is interrupted"),
        pytest.param("v2-server", _without(HttpServerChannel, "_leave"), id="requests never let go"),
        pytest.param("alexa", _without(HttpServerChannel, "_leave"), id="webhooks never let go"),
        pytest.param("twilio", _without(TwilioServer, "_end_call"), id="a call ends, and its turns do not"),
        pytest.param("stream", _forgets_errors, id="a broken body goes on"),
        pytest.param("signatures", _without(GoogleKeys, "check", {}), id="every token is taken"),
        pytest.param("snapshots", _without(Session, "end"), id="sessions do not end"),
        pytest.param(
            "ssml", lambda patch: patch.setattr(ssml, "shorten", lambda body, _: body), id="nothing is cut"
        ),
    ],
)
def test_a_library_that_does_what_it_must_not_is_found_out(
    name: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch)
    assert any(_goes_wrong(name, data) for data in _many(name))


def _many(name: str) -> Iterator[bytes]:
    inputs = kept(name)
    yield from inputs
    yield from mutants(inputs, 2000, seed=3)


def _goes_wrong(name: str, data: bytes) -> bool:
    try:
        TARGETS[name].run(data)
    except Exception:
        return True
    return False


# ------------------------------------------------------------ what was found


def test_a_request_is_answered_whatever_stands_in_the_reason_of_its_end() -> None:
    server = SocketV2Server(Sessions())
    headers = (("X-Key", "K"), ("X-DeviceId", "D"), ("Content-Type", "text/plain"))
    server.receive_data(RequestHead(method="PUT", url="/client", headers=headers))
    assert [type(each) for each in server.events()] == [InitEvent]
    server.close(reason="no \ud800")
    assert [type(each) for each in server.events()] == [ClosedEvent]
    head, body, end = server.data_to_send()
    assert (head.status, body, end) == (503, b"! no ?\n", END)


@pytest.mark.parametrize("mark", ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_nothing_that_anybody_takes_for_a_line_break_gets_into_a_line_of_properties(mark: str) -> None:
    item = ResponseItem(image=f"x{mark}< forged", code="a,b")
    line = Writer(Form.TEXT).encode(ResponseItemEvent(response_item=item)).decode()
    assert line == f"# (image=x{quote(mark)}< forged, code=a%2Cb)\n"
    assert len(line.splitlines()) == 1


def test_what_a_recording_asks_for_that_nobody_can_do_is_told_in_a_text_that_can_be_printed() -> None:
    opened = Opened(at=0.0, channel=0, kind="SocketV1Server", settings={})
    act = Act(at=0.0, channel=0, name="\udcbb" * 100, arguments={}, state="Closed", audio="closed")
    recording = Recording(Head(channel="socket-v1", seen_by="server"), (opened, act))
    with pytest.raises(RemoteProtocolError, match="nothing that is done with a SocketV1Server") as refused:
        replay(recording)
    assert len(str(refused.value).encode()) < 150


def _call(**kw: Any) -> TwilioServer:
    """A call whose first turn runs."""
    server = TwilioServer(auth_token=None, public_url=None, error_audio=b"\x7f" * 100, **kw)
    server.receive_data(RequestHead(url="/call"))
    start = {"customParameters": {}, "mediaFormat": {}}
    server.receive_data(json.dumps({"event": "start", "streamSid": "MZ1", "start": start}))
    for event in server.events():
        if isinstance(event, InitEvent):
            server.ready()
    return server


def test_the_failure_of_a_turn_that_is_over_tells_nothing_after_the_end_of_the_call() -> None:
    server = _call()
    turn = server.turn
    turn.say("never spoken")
    server.close()
    assert [type(each) for each in server.events()][-1] is ClosedEvent
    with pytest.raises(TooLateError):
        turn.fail("sorry")
    assert server.closed
    assert list(server.events()) == []


def test_a_turn_of_a_call_can_fail_however_much_waits_to_be_sent() -> None:
    server = _call(limits=Limits(queued_bytes=1000))
    turn = server.turn
    turn.say(b"\x7f" * 4000)
    with pytest.raises(LocalProtocolError, match="wait to be sent"):
        turn.say(b"\x7f")
    turn.fail("sorry")
    assert turn.over
    said = [json.loads(each) for each in server.data_to_send() if isinstance(each, str)]
    assert [each["event"] for each in said] == ["media", "media", "mark", "mark"]


# ------------------------------------------------------------ the tools


def test_a_program_reads_zeros_behind_its_end() -> None:
    program = Program(b"\x05\x02ab\x01")
    assert (program.below(4), program.taken(), program.flag(), program.done) == (1, b"ab", True, True)
    assert (program.byte(), program.text(), program.choose("xyz"), program.rest()) == (0, "", "x", b"")


def test_cuts_lose_nothing() -> None:
    assert list(Program(b"\x02\x00").cuts(b"abcdef")) == [b"ab", b"cdef"]


def test_a_finding_is_made_as_small_as_it_goes_wrong_in_the_same_way() -> None:
    def run(data: bytes) -> None:
        if b"x" in data and b"y" in data:
            raise Failure("both")

    data, problem = minimised(run, b"abcxdefghyijk")
    assert data == b"xy"
    assert problem.startswith("Failure")
    assert minimised(run, b"abc") == (b"abc", "it does not go wrong again")


def test_the_same_seed_gives_the_same_mutants() -> None:
    first, second = (list(mutants([b"abc", b"defgh"], 50, seed=7)) for _ in range(2))
    assert first == second
    assert len(set(first)) > 25


def test_the_dictionary_has_the_words_of_the_protocol_in_the_form_of_the_engine() -> None:
    some = {b"InputAudioStreamOpen", b"sleepTimeout", b"sessionTimeout", b"Duplex", b"streamSid"}
    assert some <= set(words())
    for line in dictionary().splitlines():
        assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})+"', line)


# ------------------------------------------------------------ the command


def test_without_the_engine_the_command_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert command.main(["json"]) == 2
    assert "pip install atheris" in capsys.readouterr().err


def test_an_input_is_reproduced_without_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crash"
    path.write_bytes(kept("v1-server")[0])
    assert command.main(["v1-server", "--reproduce", str(path)]) == 0
    _raises(monkeypatch)
    path.write_bytes(next(each for each in _many("v1-server") if _goes_wrong("v1-server", each)))
    with pytest.raises(ValueError, match="escapes"):
        command.main(["v1-server", "--reproduce", str(path)])


def test_a_finding_is_told_with_its_smallest_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def finds(name: str, _: Path, *arguments: str) -> None:
        (prefix,) = (each.partition("=")[2] for each in arguments if each.startswith("-artifact_prefix="))
        assert any(each.startswith("-dict=") for each in arguments)
        Path(f"{prefix}crash-1").write_bytes(next(each for each in _many(name) if _goes_wrong(name, each)))

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(command, "_engine", finds)
    _raises(monkeypatch)
    assert command.main(["v1-server", "--runs", "1", "--findings", str(tmp_path / "found")]) == 1
    told = capsys.readouterr().out
    assert "v1-server: ValueError" in told
    small = (tmp_path / "found" / "v1-server-crash-1.minimised").read_bytes()
    assert repr(small) in told
    assert _goes_wrong("v1-server", small)

"""``flowstorm-channel trace``: the picture of a file, in every form, and what is wrong in it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest

from flowstorm_channel.cli import main
from flowstorm_channel.conformance.recordings import breaches_in
from flowstorm_channel.trace import Cut, Head, Opened, Record, Recording, dump, pack, read
from flowstorm_channel.wire import Message, RequestHead, ResponseHead
from tests.pictured import conversation

RECORDING = conversation()
PACKED = b"".join(pack(RECORDING))
INIT = '{"type":"Init","key":"k","deviceId":"d","config":{}}'
READY = '{"type":"Ready"}'
RULE = "ready_answers_an_init"


def run(*arguments: object) -> int:
    return main(["trace", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "conversation.msgpack"
    path.write_bytes(PACKED)
    return path


def faulty(wire: int = 0, channel: int = 0) -> list[Record]:
    """A server that is ready twice."""
    said: list[tuple[str, Message]] = [
        ("client", RequestHead(url="/socket")),
        ("server", ResponseHead(status=101)),
        ("client", INIT),
        ("server", READY),
        ("server", READY),
    ]
    return [
        Record(at=number / 10, wire=wire, by=by, message=message, channel=channel)  # type: ignore[arg-type]
        for number, (by, message) in enumerate(said)
    ]


def recording(*entries: Any, channel: str = "socket-v1", seen_by: Any = "server") -> Recording:
    return Recording(Head(channel=channel, seen_by=seen_by), entries)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(dump(Head(channel="socket-v1", seen_by="server"), faulty())))
    return path


# ------------------------------------------------------------ the terminal


def test_it_is_drawn_in_the_terminal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--width", 100) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SocketV1Server, seen by the server · ")
    assert any("── GET /socket ──" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_both_forms_and_cut_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(dump(RECORDING.head, RECORDING.entries)).encode()
    for data in (PACKED, PACKED[:-3], text, text[:-3]):
        path = tmp_path / "recording"
        path.write_bytes(data)
        assert run(path) == 0
        assert "GET /socket" in capsys.readouterr().out


def test_it_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PACKED)))
    assert run("-") == 0
    assert "GET /socket" in capsys.readouterr().out


def test_rows_are_chosen(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--find", "TO PRAGUE", "--since", 0.5, "--until", 2, "--channel", 0) == 0
    out = capsys.readouterr().out
    assert "told Input to Prague" in out
    assert "GET /socket" not in out


def test_a_terminal_without_lines_gets_ascii(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert run(file) == 0
    assert b"|-- GET /socket ---" in written.getvalue()


# ------------------------------------------------------------ other forms


def test_it_is_drawn_in_other_forms(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "picture.svg"
    assert run(file, "--html", page, "--svg", picture, "--mermaid") == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    out = capsys.readouterr().out
    assert out.startswith("sequenceDiagram\n")
    assert out.count("sequenceDiagram") == 1


def test_forms_are_turned_into_each_other(file: Path, tmp_path: Path, capsysbinary: Any) -> None:
    lines, packed = tmp_path / "again.jsonl", tmp_path / "again.msgpack"
    assert run(file, "--json-lines", lines) == 0
    assert read(lines.read_bytes()) == RECORDING
    assert run(lines, "--msgpack", packed) == 0
    assert packed.read_bytes() == PACKED
    assert capsysbinary.readouterr().out == b""
    assert run(packed, "--msgpack", "-") == 0
    assert capsysbinary.readouterr().out == PACKED


def test_some_machines_are_taken_out(tmp_path: Path) -> None:
    path, part = tmp_path / "all", tmp_path / "part"
    whole = recording(*faulty(), *faulty(wire=1, channel=1))
    path.write_bytes(b"".join(pack(whole)))
    assert run(path, "--channel", 1, "--msgpack", part) == 0
    assert read(part.read_bytes()) == whole.of([1])


# ------------------------------------------------------------ the linter


def test_findings_stand_beside_their_rows(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bad) == 0
    assert "MUST:" not in capsys.readouterr().out
    assert run(bad, "--lint") == 1
    (breach,) = breaches_in(read(bad.read_bytes()))
    *_, row, note = capsys.readouterr().out.splitlines()
    assert " Ready ──" in row
    assert note.startswith(f"          ! {breach.requirement.id} {breach.requirement.level.value}: ")


def test_a_page_is_linted_unless_it_is_not_to_be(bad: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (breach,) = breaches_in(read(bad.read_bytes()))
    assert run(bad, "--html", page) == 0
    assert breach.requirement.id in page.read_text(encoding="utf-8")
    assert run(bad, "--html", page, "--no-lint") == 0
    assert breach.requirement.id not in page.read_text(encoding="utf-8")


def test_a_recording_that_was_converted_is_linted_when_it_is_to_be(bad: Path, tmp_path: Path) -> None:
    assert run(bad, "--msgpack", tmp_path / "again", "--lint") == 1


def test_a_conversation_of_ours_has_nothing_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--lint") == 0
    assert "!" not in capsys.readouterr().out


def test_what_no_linter_knows_is_drawn_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mixed"
    path.write_bytes(b"".join(pack(recording(*faulty(), channel="mixed"))))
    assert run(path, "--lint") == 0
    printed = capsys.readouterr()
    assert "GET /socket" in printed.out
    assert "not linted: there is no linter for 'mixed'" in printed.err
    monkeypatch.setitem(sys.modules, "flowstorm_channel.conformance.recordings", None)
    assert run(path, "--lint") == 0
    assert "pip install 'flowstorm-channel[conformance]'" in capsys.readouterr().err


def opened(channel: int, kind: str) -> Opened:
    return Opened(at=0.0, channel=channel, kind=kind)


def test_findings_of_several_machines_have_the_index_of_their_entry() -> None:
    noise = Cut(at=0.0, channel=5, reason="beside it")
    one, other = faulty(), faulty(wire=1, channel=1)
    mixed = recording(
        opened(0, "SocketV1Server"),
        opened(1, "SocketV1Server"),
        noise,
        *(each for pair in zip(one, other, strict=True) for each in pair),
        channel="mixed",
    )
    found = breaches_in(mixed)
    assert [each.entry for each in found] == [3 + 8, 3 + 9]
    assert {each.finding.rule for each in found} == {RULE}
    assert all(mixed.entries[each.entry].message == READY for each in found)  # type: ignore[union-attr]


def test_each_client_is_looked_at_alone_and_channels_are_told_apart() -> None:
    mixed = recording(
        opened(0, "SocketV1Client"),
        opened(1, "SocketV1Client"),
        opened(2, "AlexaServer"),
        *faulty(),
        *faulty(wire=1, channel=1),
        *(attrs.evolve(each, wire=2, channel=2) for each in faulty()[:1]),
        channel="mixed",
        seen_by="client",
    )
    assert [each.entry for each in breaches_in(mixed)] == [7, 12]


def test_nothing_is_wrong_with_nothing() -> None:
    assert breaches_in(recording()) == []
    with pytest.raises(ValueError, match="no linter for 'x'"):
        breaches_in(recording(channel="x"))


# ------------------------------------------------------------ how it is called


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("/nowhere/at/all",), 1, "No such file"),
        ((__file__,), 1, "not a recording"),
    ],
    ids=["no file", "no recording"],
)
def test_what_cannot_be_drawn(
    arguments: tuple[str, ...], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    assert complaint in capsys.readouterr().err


def test_a_machine_that_is_not_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--channel", 7) == 1
    assert "no machine 7 is in it" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--find", "x"), ("--since", "1"), ("--until", "1")], ids=" ".join)
def test_only_pictures_are_of_a_part(
    file: Path, tmp_path: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--msgpack", tmp_path / "out", *option) == 2
    assert "a recording is converted whole" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option",
    [("--since", "nan"), ("--until", "soon"), ("--channel", "-1"), ("--width", "0"), ("--width", "wide")],
    ids=" ".join,
)
def test_wrong_calls_exit_with_2(file: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(file, *option)
    assert left.value.code == 2

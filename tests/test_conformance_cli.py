"""``flowstorm-channel conformance``: what it says and what it exits with, without a peer to talk to."""

from __future__ import annotations

import io
import re
import sys
import wave
from pathlib import Path

import pytest

from flowstorm_channel.cli import main
from flowstorm_channel.cli.conformance import channel_of
from flowstorm_channel.conformance import SUITES, Token, tokens
from flowstorm_channel.trace import Head, Record, dump
from flowstorm_channel.wire import RequestHead, ResponseHead

NOBODY = "ws://127.0.0.1:9/socket"
INIT = '{"type":"Init","key":"k","deviceId":"d","config":{}}'


def run(*arguments: str) -> int:
    return main(["conformance", *arguments])


def test_the_list_names_every_requirement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(len(suite.requirements) for suite in SUITES.values())
    assert run("list", "--channel", "socket-v1", "--role", "server") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(SUITES["socket-v1/server"].requirements)


def test_ids_are_unique() -> None:
    ids = [identity for suite in SUITES.values() for identity in suite.requirements]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("suite", SUITES)
def test_every_requirement_is_explained(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    for identity, row in SUITES[suite].requirements.items():
        assert run("explain", identity) == 0
        text = capsys.readouterr().out
        assert row.text in text
        assert row.source in text
        assert row.reason in text
        assert all(name in text for name in row.checks)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("explain", "FSC-V9-NO-001"), "there is no requirement FSC-V9-NO-001"),
        (("server", "ftp://127.0.0.1/socket"), "expected ws://"),
        (("server", NOBODY, "--only", "FSC-NOTHING"), "no requirement is called FSC-NOTHING"),
        (("server", NOBODY, "--declare", "telepathy"), "there is no capability telepathy"),
        (("server", NOBODY, "--baseline", "/nowhere/at/all"), "No such file"),
        (("server", NOBODY, "--speech", "/nowhere/at/all"), "No such file"),
        (("client", "--command", "true"), "--command has to hold {url}"),
        (("replay", "nonsense", NOBODY), "a replay token begins with"),
        (("replay", str(Token(suite="socket-v9/server", check="x")), NOBODY), "no suite socket-v9/server"),
        (("replay", str(Token(suite="socket-v1/server", check="x"))), "name the URL of the server"),
        (("replay", str(Token(suite="socket-v1/client", check="x"))), "--command has to hold {url}"),
        (("trace", "/nowhere/at/all"), "No such file"),
    ],
)
def test_what_was_called_wrongly_is_the_callers_fault(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert problem in capsys.readouterr().err


def test_a_fault_of_the_kit_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tokens.Token, "read", lambda _: 1 / 0)
    assert run("replay", "fsc1-x", NOBODY) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_without_its_libraries_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "flowstorm_channel.contrib.conformance", None)
    monkeypatch.delattr("flowstorm_channel.contrib.conformance", raising=False)
    assert run("server", NOBODY) == 2
    assert "flowstorm-channel[conformance]" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_untestable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("server", NOBODY, "--only", "FSC-V1-HAND-*") == 1
    out = capsys.readouterr().out
    assert "UNTESTABLE" in out
    assert "cannot be reached" in out
    assert out.splitlines()[-1] == "not conformant"


def test_a_command_that_does_not_start_is_untestable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("client", "--command", "/nowhere/at/all {url}", "--only", "FSC-V1-HAND-*") == 1
    assert "cannot be started" in capsys.readouterr().out


def test_a_baseline_takes_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ("--only", "FSC-V1-HAND-*")
    assert run("server", NOBODY, *only) == 1
    found = set(re.findall(r"UNTESTABLE +(FSC-\S+)", capsys.readouterr().out))
    baseline = tmp_path / "known.txt"
    baseline.write_text("".join(f"{each}  # nobody there\n" for each in found))
    assert run("server", NOBODY, *only, "--baseline", str(baseline)) == 0
    baseline.write_text("".join(f"{each}\n" for each in sorted(found)[1:]))
    assert run("server", NOBODY, *only, "--baseline", str(baseline)) == 1
    assert f"not in the baseline: {min(found)}" in capsys.readouterr().out


def test_all_forms_of_a_report_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forms = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "html")}
    arguments = [part for form, path in forms.items() for part in (f"--{form}", str(path))]
    assert run("server", NOBODY, "--only", "FSC-V1-HAND-001", *arguments) == 1
    capsys.readouterr()
    assert all("FSC-V1-HAND-001" in path.read_text(encoding="utf-8") for path in forms.values())


# ------------------------------------------------------------ recordings


def recording(*messages: tuple[str, object]) -> str:
    opening = [("client", RequestHead(url="/socket")), ("server", ResponseHead(status=101)), ("client", INIT)]
    records = [
        Record(at=number / 10, wire=0, by=by, message=message)  # type: ignore[arg-type]
        for number, (by, message) in enumerate((*opening, *messages))
    ]
    return "".join(dump(Head(channel="socket-v1", seen_by="server"), records))


def test_a_clean_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "clean.jsonl"
    file.write_text(recording(("server", '{"type":"Ready"}')))
    assert run("trace", str(file)) == 0
    assert capsys.readouterr().out == "nothing to find fault with in 4 messages\n"


def test_a_recording_with_a_fault_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interim = '{"type":"Recognized","text":"hel","isFinal":false}'
    text = recording(("server", '{"type":"Ready"}'), ("server", interim))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run("trace", "-") == 1
    out = capsys.readouterr().out
    row = next(
        row
        for row in SUITES["socket-v1/server"].requirements.values()
        if "interim_results_only_when_asked_for" in row.checks
    )
    assert row.id in out
    assert "! " in out
    assert interim in out


def test_what_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.jsonl"
    file.write_bytes(b"\xff\xfe")
    assert run("trace", str(file)) == 2
    file.write_text("{}\n")
    assert run("trace", str(file)) == 2
    assert "not a recording" in capsys.readouterr().err


# ------------------------------------------------------------ how it is called


@pytest.mark.parametrize(
    ("url", "channel"),
    [
        ("ws://h/socket", "socket-v1"),
        ("wss://h", "socket-v1"),
        ("http://h/client", "socket-v2"),
        ("https://h/api/alexa/", "alexa"),
        ("http://h/google", "google"),
        ("ws://h/call", "twilio"),
    ],
)
def test_the_address_tells_the_channel(url: str, channel: str) -> None:
    assert channel_of(url) == channel


def wav(path: Path, channels: int, rate: int) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\1" * channels * 10)
    return str(path)


def test_speech_comes_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ("--only", "FSC-V1-HAND-001")
    assert run("server", NOBODY, *only, "--speech", wav(tmp_path / "good.wav", 1, 16_000)) == 1
    assert run("server", NOBODY, *only, "--speech", wav(tmp_path / "bad.wav", 2, 8_000)) == 2
    (tmp_path / "none.wav").write_bytes(b"RIFF")
    assert run("server", NOBODY, *only, "--speech", str(tmp_path / "none.wav")) == 2
    err = capsys.readouterr().err
    assert "(2, 2, 8000)" in err
    assert "is no WAV file" in err


def test_a_pair_wants_an_equals_sign(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("server", NOBODY, "--phrase", "end")
    assert "expected NAME=TEXT" in capsys.readouterr().err

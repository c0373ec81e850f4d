"""The kit on implementations in other processes, over real sockets, from the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowstorm_channel.cli import main
from flowstorm_channel.conformance import Token

COMMAND = (sys.executable, "-m", "flowstorm_channel")


@pytest.fixture(scope="module")
def serve() -> Iterator[str]:
    """`serve` with all channels; its host and port."""
    command = [*COMMAND, "serve", "--port", "0", "--allow-unsigned", "alexa,google,twilio"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, "serve has ended"
            found = re.search(r"ws://(127\.0\.0\.1:\d+)/socket", line)
        try:
            yield found.group(1)
        finally:
            process.terminate()
            process.stdout.read()


URLS = {
    "socket-v1": "ws://{}/socket",
    "socket-v2": "http://{}/client",
    "alexa": "http://{}/alexa",
    "google": "http://{}/google",
    "twilio": "ws://{}/call",
}
PROMPT = {
    "socket-v1": [f"FSC-V1-SESS-00{each}" for each in range(3, 9)],
    "socket-v2": [f"FSC-V2-SESS-00{each}" for each in (3, 4, 5, 6, 7, 9)],
    "alexa": ["FSC-ALEXA-SESS-00*"],
    "google": [f"FSC-GOOGLE-SESS-00{each}" for each in range(1, 5)],
}
"""What is said of sessions, without the requirements of which a check speaks for seconds."""


def judge(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The requirements in the report on something that conforms, strictly."""
    file = folder / "report.json"
    code = main(["conformance", *arguments, "--strict", "--json", str(file)])
    assert code == 0, capsys.readouterr().out
    return [row for suite in json.loads(file.read_text("utf-8"))["suites"] for row in suite["requirements"]]


def passed(rows: list[dict[str, Any]]) -> int:
    return sum(row["verdict"] == "PASS" for row in rows)


@pytest.mark.parametrize("channel", PROMPT)
def test_serve_has_sessions_as_it_should(
    serve: str, channel: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = judge(capsys, tmp_path, "server", URLS[channel].format(serve), "--only", *PROMPT[channel])
    assert passed(rows) > len(rows) / 2


@pytest.mark.long
@pytest.mark.parametrize("channel", URLS)
def test_serve_conforms(serve: str, channel: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = judge(capsys, tmp_path, "server", URLS[channel].format(serve), "--walks", "3")
    assert passed(rows) > len(rows) / 2


def test_one_conversation_is_the_same_on_all_channels_of_serve(
    serve: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    urls = [URLS[channel].format(serve) for channel in ("socket-v1", "socket-v2", "alexa", "google")]
    rows = judge(capsys, tmp_path, "server", *urls, "--only", "FSC-ALL-SESS-001")
    assert passed(rows) == 1


def talk(*options: str) -> list[str]:
    return [f"{' '.join(COMMAND)} talk {{url}} --interactive", *options]


@pytest.mark.parametrize(
    ("channel", "only"), [("socket-v1", "FSC-V1-BARGE-101"), ("socket-v2", "FSC-V2-BARGE-*")]
)
def test_talk_is_interrupted_as_it_should_be(
    channel: str, only: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = judge(capsys, tmp_path, "client", "--channel", channel, "--only", only, "--command", *talk())
    assert passed(rows) > len(rows) / 2


@pytest.mark.long
@pytest.mark.parametrize("channel", ["socket-v1", "socket-v2"])
def test_talk_conforms(channel: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = judge(capsys, tmp_path, "client", "--channel", channel, "--command", *talk())
    assert passed(rows) > len(rows) / 2


# ------------------------------------------------------------ a server that is not ours


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    """The server that was written from the protocol's pages alone, on `websockets`; its address."""
    command = [sys.executable, str(Path(__file__).parent / "independent_server.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.stdout.read()


def test_a_server_that_is_not_ours_conforms(
    stranger: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    declared = "echo,end,sleep,long,nothing,fail,later,image,command,czech,speech,audio,duplex,refuse"
    rows = judge(
        capsys,
        tmp_path,
        "server",
        stranger,
        "--refused-key",
        "refused",
        "--declare",
        declared,
        "--deny",
        "msgpack",
    )
    assert passed(rows) > len(rows) * 0.8


def test_a_check_of_it_can_be_done_again(stranger: str, capsys: pytest.CaptureFixture[str]) -> None:
    token = str(Token(suite="socket-v1/server", check="init_is_answered_with_ready"))
    assert main(["conformance", "replay", token, stranger]) == 0
    assert "nothing to find fault with" in capsys.readouterr().out


def test_random_conversations_are_part_of_the_report(
    stranger: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = judge(
        capsys, tmp_path, "server", stranger, "--only", "FSC-V1-HAND-001", "--walks", "2", "--seed", "1"
    )
    assert passed(rows) == 1

"""Recordings in files: of real conversations over sockets, in parts, by command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flowstorm_channel.cli import main
from flowstorm_channel.contrib.recordings import Recordings
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.trace import Cut, Told, pack, read, replay
from flowstorm_channel.wire import RequestHead
from tests.test_cli import call, started


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def speak(recordings: Recordings, *, close: bool = True) -> SocketV1Server:
    server = recordings.watch(SocketV1Server(clock=ManualClock()))
    server.receive_data(RequestHead(url="/socket"))
    list(server.events())
    list(server.data_to_send())
    if close:
        server.receive_eof()
        list(server.events())
    return server


# ------------------------------------------------------------ files


def test_files_grow_and_are_followed_by_others(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec", max_bytes=900, keep=3)
    for _ in range(5):
        speak(recordings)
    assert names(tmp_path) == ["calls-3.fsrec", "calls-4.fsrec", "calls-5.fsrec"]
    assert recordings.path.name == "calls-5.fsrec"
    recordings.close()
    for each in tmp_path.iterdir():
        assert replay(read(each.read_bytes())).differences == ()


def test_a_machine_is_recorded_in_one_file_to_its_end(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec", max_bytes=4000)
    first = speak(recordings, close=False)
    while recordings.path.name == "calls.fsrec":
        speak(recordings)
    first.receive_eof()
    list(first.events())
    told = [
        each.event["type"]
        for each in read((tmp_path / "calls.fsrec").read_bytes()).of([0]).entries
        if isinstance(each, Told)
    ]
    assert told == ["Closed"]
    recordings.close()
    recordings.close()
    speak(recordings)
    assert names(tmp_path) == ["calls-2.fsrec", "calls.fsrec"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "calls.fsrec").write_bytes(b"mine")
    (tmp_path / "calls-7.fsrec").write_bytes(b"mine, too")
    (tmp_path / "calls-x.fsrec").write_bytes(b"another's")
    recordings = Recordings(tmp_path / "calls.fsrec")
    speak(recordings, close=False)
    assert recordings.path.name == "calls-8.fsrec"
    recordings.close()
    assert [each.reason for each in read(recordings.path.read_bytes()).entries if isinstance(each, Cut)]
    assert (tmp_path / "calls.fsrec").read_bytes() == b"mine"


def test_a_machine_that_never_ends_fills_one_file_and_no_more(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec", max_bytes=2000)
    server = speak(recordings, close=False)
    for _ in range(100):
        server.receive_data("{}")
        list(server.events())
        list(server.data_to_send())
    assert server.state.value != "Closed"
    assert (tmp_path / "calls.fsrec").stat().st_size <= 4000
    assert replay(read((tmp_path / "calls.fsrec").read_bytes())).differences == ()
    speak(recordings)
    assert names(tmp_path) == ["calls-2.fsrec", "calls.fsrec"]
    recordings.close()


def test_a_folder_that_is_gone_ends_the_recordings_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recordings = Recordings(folder / "calls.fsrec", max_bytes=1)
    speak(recordings)
    (folder / "calls.fsrec").unlink()
    folder.rmdir()
    assert speak(recordings).closed
    assert "nothing is recorded" in caplog.text
    recordings.close()
    with pytest.raises(OSError, match="nowhere"):
        Recordings(tmp_path / "nowhere" / "x.fsrec")
    for wrong in ({"max_bytes": 0}, {"keep": 0}):
        with pytest.raises(ValueError, match="positive"):
            Recordings(tmp_path / "x", **wrong)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_begun_leaves_the_conversation_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("the folder is read-only")

    recordings = Recordings(tmp_path / "calls.fsrec", max_bytes=1)
    speak(recordings)
    monkeypatch.setattr("flowstorm_channel.contrib.recordings.open", refused, raising=False)
    assert speak(recordings).closed
    assert recordings.path.name == "calls.fsrec"
    assert "the folder is read-only" in caplog.text
    monkeypatch.undo()
    speak(recordings)
    assert recordings.path.name == "calls-2.fsrec"
    recordings.close()


def test_two_that_begin_the_same_file_take_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls.fsrec"
    first = Recordings(path)
    monkeypatch.setattr(Recordings, "_numbers", lambda _: [])  # the other one has not begun when it looks
    second, third = Recordings(path), Recordings(path)
    assert [each.path.name for each in (first, second, third)] == [
        "calls.fsrec",
        "calls-2.fsrec",
        "calls-3.fsrec",
    ]
    for each in (first, second, third):
        speak(each)
        each.close()
        assert replay(read(each.path.read_bytes())).channels == 1


def test_a_file_that_somebody_has_deleted_is_followed_by_another_one(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec")
    recordings.path.unlink()
    speak(recordings)
    recordings.close()
    assert replay(read(recordings.path.read_bytes())).channels == 1


def test_a_file_that_is_deleted_is_not_written_to_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec", max_bytes=400, keep=1)
    server = speak(recordings, close=False)
    old = recordings._files[0]
    speak(recordings)
    assert old.closed
    assert names(tmp_path) == ["calls-2.fsrec"]
    server.receive_eof()
    assert len(list(server.events())) == 1

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("somebody reads it")

    monkeypatch.setattr(Path, "unlink", refused)
    assert speak(recordings).closed
    assert "an old recording stays: somebody reads it" in caplog.text
    recordings.close()
    assert replay(read(recordings.path.read_bytes())).channels == 1


def test_a_file_whose_number_is_one_is_anothers(tmp_path: Path) -> None:
    (tmp_path / "calls-1.fsrec").write_bytes(b"another's")
    recordings = Recordings(tmp_path / "calls.fsrec", keep=1)
    recordings.close()
    assert names(tmp_path) == ["calls-1.fsrec", "calls.fsrec"]


def test_machines_of_several_threads_are_recorded(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "calls.fsrec")
    threads = [threading.Thread(target=lambda: [speak(recordings) for _ in range(20)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    recordings.close()
    done = replay(read(recordings.path.read_bytes()))
    assert (done.channels, done.differences) == (80, ())


def test_what_was_written_survives_the_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from tests.test_recordings import *\n"
        "speak(Recordings(sys.argv[1]), close=False); os._exit(9)"
    )
    path = tmp_path / "calls.fsrec"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=root, check=False, timeout=60)
    assert done.returncode == 9
    assert len(replay(read(path.read_bytes())).differences) == 0


# ------------------------------------------------------------ conversations over sockets


@pytest.mark.parametrize("where", ["ws", "http"])
def test_a_real_conversation_is_recorded_at_both_ends(where: str, tmp_path: Path) -> None:
    server, line = started("--no-page", "--record", str(tmp_path / "server.fsrec"))
    with server:
        address = next(word for word in line.split() if word.startswith(where + ":"))
        said = call("talk", address, "--record", str(tmp_path / "client.fsrec"), typed="Žofie\nbye\n")
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert said.returncode == 0, said.stderr
    for end in ("client", "server"):
        recording = read((tmp_path / f"{end}.fsrec").read_bytes())
        done = replay(recording)
        assert done.differences == ()
        assert done.entries > 30
        told = [each.event["type"] for each in recording.entries if isinstance(each, Told)]
        assert told.count("Input" if end == "server" else "Response") == 3
        assert b"flowstorm-channel:terminal" in (tmp_path / f"{end}.fsrec").read_bytes()
        ends = [0]
        for piece in pack(recording):
            ends.append(ends[-1] + len(piece))
        for cut in (ends[1], ends[-1] // 3, ends[-1] // 2, ends[-1] - 1):
            kept = read((tmp_path / f"{end}.fsrec").read_bytes()[:cut])
            assert len(kept.entries) == sum(each <= cut for each in ends[2:])
            assert replay(kept).differences == ()


# ------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "calls.fsrec"
    with contextlib.closing(Recordings(path)) as recordings:
        for _ in range(2):
            speak(recordings)
    return path


def test_a_recording_is_replayed_by_command(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(recorded)]) == 0
    assert capsys.readouterr().out == "no difference: 16 entries of 2 machines\n"
    assert main(["replay", str(recorded), "--channel", "1"]) == 0
    assert capsys.readouterr().out == "no difference: 8 entries of 1 machine\n"


def test_a_recording_becomes_a_test_by_command(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "test_call.py"
    assert main(["replay", str(recorded), "--test", str(test)]) == 0
    assert "test_call.jsonl" in capsys.readouterr().out
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(test)]
    for text, code in (("", 0), ('"status": 999', 1)):
        if text:
            lines = test.with_suffix(".jsonl")
            lines.write_text(lines.read_text().replace("101, []", "204, []"))
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, done.stdout
    assert "sends ResponseHead" in done.stdout
    assert main(["replay", str(lines)]) == 1
    assert "recorded: sends ResponseHead, response[0]: 204" in capsys.readouterr().out


def test_what_cannot_be_replayed_by_command(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.txt").write_text("what?")
    assert main(["replay", str(tmp_path / "x.txt")]) == 1
    assert "not a recording" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 1
    assert main(["replay", str(recorded), "--channel", "7"]) == 1
    assert "no machine 7 is in it" in capsys.readouterr().err
    wires = tmp_path / "wires.har"
    assert main(["trace", str(recorded), "--har", str(wires)]) == 0
    assert main(["replay", str(wires)]) == 1
    assert "not recorded from their beginning" in capsys.readouterr().err
    for name in ("test.txt", "test-call.py"):
        assert main(["replay", str(recorded), "--test", name]) == 2

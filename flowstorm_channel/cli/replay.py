"""``flowstorm-channel replay``: do a recording again, and make a test of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from flowstorm_channel.cli.recordings import machine_number, missing_in, read_recording
from flowstorm_channel.cli.terminal import RED, complain, paint, printable
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace import dump, replay

__all__ = ["add_to"]

_TEST = '''"""A conversation that was recorded: what the machines did then they do today."""

from pathlib import Path

from flowstorm_channel.trace import read, replay


def test_{name}_is_replayed() -> None:
    recording = read(Path(__file__).with_name("{file}").read_bytes())
    assert replay(recording).differences == ()
'''


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "replay",
        help="do a recording again with the machines of today",
        description="Give the machines of today what was recorded, and say where they do something else. "
        "Exit code 1: they do, or the recording cannot be replayed, as a HAR never can: it has the wires "
        "only, which `trace` draws.",
    )
    parser.add_argument("file", metavar="FILE", help="the recording, in either form; - is standard input")
    parser.add_argument(
        "--channel",
        type=machine_number,
        metavar="N",
        action="append",
        default=[],
        help="only this machine; repeatable. What it shares with others has to be in it",
    )
    parser.add_argument(
        "--test",
        metavar="FILE.py",
        help="write a test that replays it, and the recording beside it, as FILE.jsonl",
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    test = None if chosen.test is None else Path(chosen.test)
    if test is not None and (test.suffix != ".py" or not test.stem.isidentifier()):
        complain(f"{chosen.test}: the name of a test file is to be that of a module")
        return 2
    try:
        recording = read_recording(chosen.file)
        missing = missing_in(recording, chosen.channel)
        if missing is not None:
            complain(f"{chosen.file}: no machine {missing} is in it")
            return 1
        if chosen.channel:
            recording = recording.of(chosen.channel)
        done = replay(recording)
    except RemoteProtocolError as error:
        complain(f"{chosen.file}: {error}")
        return 1
    for each in done.differences:
        at = recording.entries[each.index].at - recording.entries[0].at
        print(paint(f"machine {each.channel}, entry {each.index + 1}, after {at:.3f} s", RED))
        print(f"  recorded: {printable(each.recorded)}")
        print(f"  today:    {printable(each.replayed)}")
    if test is not None:
        data = test.with_suffix(".jsonl")
        with data.open("w", encoding="utf-8", newline="\n") as lines:
            lines.writelines(dump(recording.head, recording.entries))
        name = test.stem.removeprefix("test_")
        test.write_text(_TEST.format(name=name, file=data.name), encoding="utf-8")
        print(f"{test} replays {data}")
    if not done.differences:
        machines = f"{done.channels} machine{'' if done.channels == 1 else 's'}"
        print(f"no difference: {done.entries} entries of {machines}")
    return 1 if done.differences else 0

"""``flowstorm-channel trace``: a recording as a picture: in the terminal, as a page, as SVG, as Mermaid."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowstorm_channel.cli.recordings import machine_number, missing_in, read_recording
from flowstorm_channel.cli.terminal import BLUE, BOLD, DIM, RED, YELLOW, complain, paint
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace import Recording, dump, pack, to_har
from flowstorm_channel.trace.drawing import Note, Picture, picture_of, to_html, to_lines, to_mermaid, to_svg

__all__ = ["add_to"]

_STYLES = {"head": BOLD, "client": BLUE, "server": YELLOW, "told": DIM, "act": DIM, "pause": DIM, "note": RED}
_SIGNS = "│─═▶▁█×"
"""What a terminal must be able to show; one that cannot gets ASCII."""


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "trace",
        help="look at a recording: here, or as a page, SVG, Mermaid, HAR",
        description="Draw a recording. Without an output it is drawn in the terminal; an output - is "
        "standard output. Exit code 1: the file is no recording, or --lint found something.",
    )
    parser.add_argument(
        "file", metavar="FILE", help="the recording, in either form, or a HAR; - is standard input"
    )

    outputs = parser.add_argument_group("outputs")
    outputs.add_argument("--html", metavar="OUT", help="a page to look into it, in one file")
    outputs.add_argument("--svg", metavar="OUT", help="a picture")
    outputs.add_argument("--mermaid", action="store_true", help="print a Mermaid sequence diagram")
    outputs.add_argument("--json-lines", metavar="OUT", help="the recording as text, to be searched")
    outputs.add_argument("--msgpack", metavar="OUT", help="the recording as msgpack, to be kept")
    outputs.add_argument("--har", metavar="OUT", help="what went over the wires, as an HTTP Archive")
    outputs.add_argument("--width", type=_width, metavar="CELLS", help="of the terminal (default: as it is)")

    choice = parser.add_argument_group("what is drawn")
    choice.add_argument(
        "--channel",
        type=machine_number,
        metavar="N",
        action="append",
        default=[],
        help="only this machine; repeatable",
    )
    choice.add_argument("--find", metavar="TEXT", default="", help="only rows in which it stands")
    choice.add_argument("--since", type=_seconds, metavar="SECONDS", help="counted from its beginning")
    choice.add_argument("--until", type=_seconds, metavar="SECONDS", help="counted from its beginning")
    choice.add_argument(
        "--lint",
        action=argparse.BooleanOptionalAction,
        help="say beside each row which requirements it breaks; pages do, unless told not to",
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    pictures = chosen.html is not None or chosen.svg is not None or chosen.mermaid
    converts = any(each is not None for each in (chosen.json_lines, chosen.msgpack, chosen.har))
    if converts and (chosen.find or chosen.since is not None or chosen.until is not None):
        complain("--find, --since and --until choose what is drawn; a recording is converted whole")
        return 2
    try:
        recording = read_recording(chosen.file)
    except RemoteProtocolError as error:
        complain(f"{chosen.file}: {error}")
        return 1
    missing = missing_in(recording, chosen.channel)
    if missing is not None:
        complain(f"{chosen.file}: no machine {missing} is in it")
        return 1
    try:
        _convert(chosen, recording.of(chosen.channel) if chosen.channel else recording)
    except ValueError as error:
        complain(f"{chosen.file}: {error}")
        return 1
    if converts and not pictures and not chosen.lint:
        return 0
    notes = _notes(recording, chosen)
    picture = picture_of(recording, notes).chosen(
        channels=chosen.channel, find=chosen.find, since=chosen.since, until=chosen.until
    )
    _draw(chosen, picture, in_terminal=not pictures and not converts)
    return 1 if chosen.lint and notes else 0


def _convert(chosen: argparse.Namespace, recording: Recording) -> None:
    if chosen.json_lines is not None:
        _write(chosen.json_lines, "".join(dump(recording.head, recording.entries)).encode())
    if chosen.msgpack is not None:
        _write(chosen.msgpack, b"".join(pack(recording)))
    if chosen.har is not None:
        _write(chosen.har, json.dumps(to_har(recording), indent=2).encode() + b"\n")


def _draw(chosen: argparse.Namespace, picture: Picture, *, in_terminal: bool) -> None:
    if chosen.html is not None:
        _write(chosen.html, to_html(picture).encode())
    if chosen.svg is not None:
        _write(chosen.svg, to_svg(picture).encode())
    if chosen.mermaid:
        _print([(to_mermaid(picture).removesuffix("\n"), "")])
    if in_terminal:
        width = chosen.width or shutil.get_terminal_size().columns
        lines = to_lines(picture, width=width, ascii_only=not _shows(_SIGNS))
        _print((line.text, _STYLES.get(line.part, "")) for line in lines)


# ------------------------------------------------------------ findings


def _notes(recording: Recording, chosen: argparse.Namespace) -> Mapping[int, Sequence[Note]]:
    """What the linter says of it, by the indexes of entries."""
    if chosen.lint is False or (chosen.lint is None and chosen.html is None):
        return {}
    try:
        from flowstorm_channel.conformance.recordings import breaches_in

        breaches = breaches_in(recording)
    except (ModuleNotFoundError, ValueError) as error:
        needs = isinstance(error, ModuleNotFoundError)
        complain(f"not linted: {error}" + (": pip install 'flowstorm-channel[conformance]'" if needs else ""))
        return {}
    found: dict[int, list[Note]] = {}
    for each in breaches:
        note = Note(each.requirement.id, each.requirement.level.value, each.finding.text)
        found.setdefault(each.entry, []).append(note)
    return found


# ------------------------------------------------------------ how it is written


def _write(name: str, data: bytes) -> None:
    if name == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        Path(name).write_bytes(data)


def _shows(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _print(lines: Iterable[tuple[str, str]]) -> None:
    for text, style in lines:
        encoding = sys.stdout.encoding or "ascii"
        print(paint(text.encode(encoding, "backslashreplace").decode(encoding), style))


def _seconds(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return found


def _width(text: str) -> int:
    found = int(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text} is no width")
    return found

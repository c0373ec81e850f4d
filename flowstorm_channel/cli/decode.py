"""``flowstorm-channel decode``: frames in, readable events out, and what is wrong with bad ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from flowstorm_channel.cli.terminal import BOLD, RED, complain, name_of, paint, printable
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import Event

__all__ = ["add_to"]

_PIECE = 65536


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "decode",
        help="read frames from standard input and say what they mean",
        description="Read frames from standard input, one a line, and print the events in them; say what is "
        "wrong with bad ones. Objects that go over several lines want --stream. Exit code 1 when there was a "
        "bad one.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--stream", action="store_true", help="JSON objects one after another, however cut")
    form.add_argument("--msgpack", action="store_true", help="msgpack maps one after another")
    form.add_argument("--hex", action="store_true", help="msgpack maps as hexadecimal text, one a line")
    parser.add_argument("--json", action="store_true", help="print each event as this library would send it")
    parser.set_defaults(run=_run)


Found = tuple[int, Event | RemoteProtocolError]


def _run(chosen: argparse.Namespace) -> int:
    source = sys.stdin.buffer
    if source.isatty():
        complain("reading frames from the terminal, one a line; Ctrl+D ends")
    if chosen.stream or chosen.msgpack:
        found = _stream(source, MsgpackCodec() if chosen.msgpack else JsonCodec())
    else:
        found = _lines(source, hexadecimal=chosen.hex)
    bad = 0
    encode = JsonCodec().encode
    for number, what in found:
        place = f"{number}:"
        if isinstance(what, RemoteProtocolError):
            bad += 1
            print(place, paint(str(what), RED))
        elif chosen.json:
            print(encode(what))
        else:
            print(place, _readable(what))
    return 1 if bad else 0


def _lines(source: Iterable[bytes], *, hexadecimal: bool) -> Iterator[Found]:
    decode = MsgpackCodec().decode if hexadecimal else JsonCodec().decode
    for number, line in enumerate(source, start=1):
        text = line.strip()
        if text:
            try:
                yield number, decode(_unhexed(text) if hexadecimal else text)
            except RemoteProtocolError as error:
                yield number, error


def _unhexed(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise RemoteProtocolError(f"not hexadecimal: {error}") from None


def _stream(source: BinaryIO, codec: JsonCodec | MsgpackCodec) -> Iterator[Found]:
    decoder = StreamDecoder(codec)
    number = 1
    try:
        while piece := source.read(_PIECE):
            decoder.feed(piece)
            while (event := decoder.next_event()) is not None:
                yield number, event
                number += 1
        decoder.close()
    except RemoteProtocolError as error:
        yield number, error


def _readable(event: Event) -> str:
    return f"{paint(printable(name_of(event)), BOLD)}({repr(event).partition('(')[2]}"

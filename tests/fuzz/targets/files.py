"""What is read again later: snapshots of sessions, recordings, HTTP Archives; and SSML."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel import ssml as speech
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import InitEvent, InputEvent
from flowstorm_channel.sessions import Session
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.trace import (
    Recorder,
    Recording,
    dump,
    load,
    of_har,
    pack,
    read,
    replay,
    to_har,
    unpack,
)
from flowstorm_channel.values import ExpectedPhrase, SttMode
from flowstorm_channel.wire import RequestHead
from tests.fuzz.messages import mutated
from tests.fuzz.program import Failure, Program

__all__ = ["recordings", "snapshots", "ssml"]

# ------------------------------------------------------------ snapshots

_SNAPSHOTS = tuple(
    msgpack.unpackb(each.snapshot())
    for each in (
        Session(session_id="S", key="K", device_id="D"),
        Session(
            session_id="S.1",
            key="K",
            device_id="D",
            locale="cs-CZ",
            stt_mode=SttMode.DUPLEX,
            expected_phrases=(ExpectedPhrase(text="yes"),),
            turns=3,
            asleep=True,
            data={"n": 1, "deep": {"bytes": b"\0", "list": [1.5, None]}},
        ),
    )
)


def snapshots(data: bytes) -> None:
    """A snapshot of anybody's making: it is refused, or it is one."""
    program = Program(data)
    form = program.below(4)
    if form == 0:
        snapshot = program.rest()
    else:
        tree = mutated(program.choose(_SNAPSHOTS), program)
        try:
            snapshot = msgpack.packb(tree, unicode_errors="surrogatepass")
        except (OverflowError, ValueError):
            return
        if form == 3:
            at = program.byte()
            snapshot = snapshot[:at] + program.taken(12) * program.times() + snapshot[at + program.below(4) :]
    try:
        session = Session.restore(snapshot)
    except RemoteProtocolError as error:
        str(error).encode()
        return
    again = session.snapshot()
    if Session.restore(again).snapshot() != again:
        raise Failure(f"{session} comes back as another one")
    if len(again) > 2 * len(snapshot) + 400:
        raise Failure(f"{len(again)} bytes of {len(snapshot)}")
    session.end()
    if session.data or not session.ended:
        raise Failure("a session that does not end")


# ------------------------------------------------------------ recordings


@cache
def _recorded() -> bytes:
    """A short conversation, with all that a recorder writes."""
    pieces: list[bytes] = []
    clock = ManualClock()
    server = Recorder(pieces.append).watch(SocketV1Server(clock=clock, make_id=lambda: "made"))
    server.receive_data(RequestHead(url="/socket"))
    for frame in _FRAMES:
        server.receive_data(frame)
        for event in server.events():
            if isinstance(event, InitEvent):
                server.ready()
            elif isinstance(event, InputEvent):
                server.turn.say("hello")
                server.turn.finish(attributes={"x": [1, 2.5, None]})
        list(server.data_to_send())
        clock.advance(0.5)
    server.receive_eof()
    list(server.events())
    return b"".join(pieces)


_FRAMES = (
    '{"type":"Init","key":"K","deviceId":"D","config":{}}',
    '{"type":"Input","input":{"transcript":{"text":"x"}}}',
)


@cache
def _trees() -> tuple[Any, ...]:
    return tuple(msgpack.Unpacker(io.BytesIO(_recorded())))


@cache
def _lines() -> tuple[Any, ...]:
    whole = unpack(_recorded())
    return tuple(json.loads(line) for line in dump(whole.head, whole.entries))


@cache
def _archive() -> Any:
    whole = unpack(_recorded())
    page = {"url": "https://x/client", "method": "PUT", "headers": [{"name": "X-Key", "value": "K"}]}
    answer = {"status": 200, "headers": [], "content": {"text": "e30=", "encoding": "base64", "size": 2}}
    foreign = {"request": page, "response": answer, "startedDateTime": "2026-01-01T00:00:00Z", "time": 5}
    archive = json.loads(json.dumps(to_har(whole)))
    archive["log"]["entries"].append(foreign)
    return archive


def recordings(data: bytes) -> None:
    """A file of anybody's making: it is refused, or it is read, written and replayed."""
    program = Program(data)
    form = program.below(5)
    try:
        recording = _read(form, program)
    except RemoteProtocolError as error:
        str(error).encode()
        return
    if recording is None:
        return
    if any(not math.isfinite(each.at) for each in recording.entries):
        raise Failure("a time that is none")
    if unpack(b"".join(pack(recording))) != recording and not _holds_nan(recording):
        raise Failure("packed, it is another one")
    lines = list(dump(recording.head, recording.entries))
    "".join(lines).encode()
    if load(lines) != recording and not _holds_nan(recording):
        raise Failure("as lines it is another one")
    try:
        archive = to_har(recording)
    except ValueError as error:  # its times are none that a calendar has
        str(error).encode()
    else:
        json.dumps(archive, allow_nan=False).encode()
    try:
        replay(recording)
    except RemoteProtocolError as error:
        str(error).encode()


def _holds_nan(recording: Recording) -> bool:
    return "nan" in repr(recording)


def _read(form: int, program: Program) -> Recording | None:
    match form:
        case 0:
            return read(program.rest())
        case 1:
            pieces = [_packed(each) for each in _changed(_trees(), program)]
            return unpack(_spoiled(b"".join(pieces), program))
        case 2:
            lines = "".join(json.dumps(each) + "\n" for each in _changed(_lines(), program))
            return read(_spoiled(lines.encode(), program))
        case 3:
            return of_har(mutated(_archive(), program))
    whole = _recorded()
    return unpack(whole[: program.byte() * 256 + program.byte()])


def _changed(trees: Sequence[Any], program: Program) -> list[Any]:
    """The entries with one of them changed, or dropped, or doubled."""
    found = list(trees)
    at = program.byte() % len(found)
    found[at : at + 1] = [mutated(found[at], program)] * (1, 1, 1, 2, 0)[program.below(5)]
    return found


def _packed(tree: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(tree, unicode_errors="surrogatepass")
    except (OverflowError, ValueError):
        return b"\xc1"
    return packed


def _spoiled(data: bytes, program: Program) -> bytes:
    if program.below(4) == 3:
        at = (program.byte() * 256 + program.byte()) % (len(data) + 1)
        return data[:at] + program.taken(12) + data[at + program.below(4) :]
    return data


# ------------------------------------------------------------ SSML

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PIECES = (
    *("<speak>", "</speak>", "<p>", "</p>", "<s>one. two</s>", "<break time='1s'/>", " words and ", "&amp;"),
    *("<audio src='/a.mp3'/>", "<audio src='x'>else</audio>", "<![CDATA[<]]>", "<!-- c -->", "&#x1F600;"),
    *("<?xml version='1.0'?>", "<amazon:effect name='whispered'>", "</amazon:effect>", "\u2029", "…) ", "。"),
    *("<emphasis level='strong'>", "</emphasis>", "👩\u200d🚀", "!!! ", "<?pi x?>", "&undefined;", "\ufffc"),
)


def ssml(data: bytes) -> None:
    """Speech of anybody's making: it is no SSML, or what is made of it is SSML, and fits."""
    program = Program(data)
    text = program.text(60)
    for _ in range(program.below(12)):
        text += program.choose(_PIECES) * program.times()
    text += program.text(30)
    escaped = speech.escape(text)
    if speech.plain(escaped) != _NO_XML.sub("", text):
        raise Failure(f"{text!r} is escaped as {escaped!r}")
    most = program.byte()
    short = speech.shorten_text(text, most)
    if len(short) > most or not text.startswith(short):
        raise Failure(f"{short!r} is not the beginning of {text!r}, of {most}")
    body = speech.inner(text)
    if body is None:
        return
    words = speech.plain(body)
    if speech.inner(speech.speak(body)) != body:
        raise Failure(f"{body!r} is another one in a document")
    cut = speech.shorten(body, most)
    if len(cut) > max(most, 0) and cut != body:
        raise Failure(f"{len(cut)} characters of at most {most}: {cut!r}")
    if len(body) > most and len(cut) > most:
        raise Failure(f"not shortened to {most}: {cut!r}")
    if not words.replace(" ", "").startswith(speech.plain(cut).replace(" ", "")):
        raise Failure(f"{cut!r} says something else than {body!r}")
    sounds = speech.with_sounds(body, lambda address: f"https://x/{address}" if most & 1 else None)
    speech.plain(sounds)

"""Recordings to draw: a small conversation of our own machines, recorded as a host does, and anything."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import msgpack  # type: ignore[import-untyped]
from hypothesis import strategies as st

from flowstorm_channel.events import Event, InitEvent, InputEvent
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.testing import Link, ManualClock
from flowstorm_channel.trace import (
    Act,
    Cut,
    Entry,
    Head,
    Idle,
    Lost,
    Opened,
    Record,
    Recording,
    Setting,
    Told,
    read,
)
from flowstorm_channel.trace.recorder import Recorder
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead

HOSTILE = (
    '<img src=x onerror="window.harmed = 1">',
    "</script><script>window.harmed = 1</script>",
    "<!--<script>",
    "{{data}} {{title}}",
    "javascript:window.harmed=1",
    "\u2028\u2029\x1b[2J\r\n\0",
    "\u202eright to left",
    "\ud800",
    "'\"`&lt;",
    "__proto__",
    "$",
)
"""What a peer may say."""


def tone(block: int, *, loud: float = 8000.0, samples: int = 1600) -> bytes:
    """A block of LINEAR16: a voice of a kind."""
    loud *= 0.2 + 0.8 * abs(math.sin(block / 2))
    step = 2 * math.pi * 220 / 16000
    return struct.pack(
        f"<{samples}h", *(int(loud * math.sin(step * (block * samples + each))) for each in range(samples))
    )


def conversation(seen_by: str = "server", *, says: tuple[str, ...] = ("good morning",)) -> Recording:
    """A conversation over V1: an intro, speech, and texts."""
    clock = ManualClock(100.0)
    pieces: list[bytes] = []
    recorder = Recorder(pieces.append, tokens=True)
    client = SocketV1Client("ws://test/socket", key="key", device_id="device", clock=clock, make_id=_ids())
    if seen_by == "client":
        recorder.watch(client)

    def make_server() -> SocketV1Server:
        server = SocketV1Server(clock=clock, make_id=_ids())
        return recorder.watch(server) if seen_by == "server" else server

    link = Link(client, make_server, clock)

    def host(event: Event) -> None:
        server: Any = link.server
        if isinstance(event, InitEvent):
            server.ready()
        elif isinstance(event, InputEvent):
            clock.advance(0.25)
            server.turn.say(f"You said {event.input.transcript.text}.")
            server.turn.finish()

    link.on_event["server"] = host
    client.open()
    link.settle()
    client.start()
    link.settle()
    _speak(client, link, clock)
    for text in says:
        clock.advance(2.0)
        client.turn.finish_playback()
        client.say(text)
        link.settle()
    client.close()
    link.settle()
    recorder.stop()
    assert recorder.failure is None
    return read(b"".join(pieces))


def _speak(client: Any, link: Any, clock: ManualClock) -> None:
    client.turn.finish_playback()
    client.open_microphone()
    link.settle()
    link.server.stream.ready()
    link.settle()
    for block in range(5):
        clock.advance(0.1)
        client.send_audio(tone(block))
        link.settle()
    link.server.stream.recognized("to Prague", final=True)
    link.settle()


def _ids() -> Callable[[], str]:
    numbers = iter(range(1, 1000))
    return lambda: f"id-{next(numbers)}"


def many(count: int) -> Recording:
    """So many messages, an even number, one of them a needle."""
    records: list[Entry] = [
        Record(at=0.0, wire=0, by="client", message=RequestHead(url="/socket")),
        Record(at=0.0, wire=0, by="server", message=ResponseHead(status=101)),
    ]
    for number in range(count):
        text = "needle" if number == count // 2 + 1 else f"word {number}"
        event = (
            {"type": "Input", "input": {"transcript": {"text": text}}} if number % 2 else {"type": "Ready"}
        )
        by: Any = "client" if number % 2 else "server"
        records.append(Record(at=1 + number / 10, wire=0, by=by, message=json.dumps(event)))
    return Recording(Head(channel="socket-v1", seen_by="server"), tuple(records))


# ------------------------------------------------------------ anything

texts = st.sampled_from([*HOSTILE, "", "Listening", "hello", "日本語"]) | st.text(st.characters(), max_size=8)
times = st.floats(-1e6, 1e6) | st.floats(0, 3)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
_NAMES = (
    "type",
    "event",
    "request",
    "response",
    "version",
    "handler",
    "inputs",
    "prompt",
    "data",
    "media",
    "text",
)
_INNER = (
    *_NAMES,
    "name",
    "items",
    "payload",
    "intent",
    "slots",
    "config",
    "transcript",
    "input",
    "sessionEnded",
)
_kinds = (
    st.sampled_from(["Init", "Input", "Recognized", "Response", "Binary", "Fault", "media", "LaunchRequest"])
    | texts
)
_objects = st.dictionaries(
    st.sampled_from(_NAMES),
    st.recursive(
        _plain | _kinds,
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_INNER), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)
_trees = _objects | st.builds(lambda tree, kind: {**tree, "type": kind}, _objects, _kinds)


def _json(tree: Any) -> str:
    return json.dumps(tree, default=lambda value: value.decode("latin-1"))


def _packed(tree: Any) -> bytes:
    data: Any = msgpack.packb(tree, unicode_errors="surrogatepass", default=str)
    return bytes(data)


_small = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
_types = st.sampled_from(
    ["application/json", "application/msgpack", "text/plain", "audio/basic", "plain/text", "", "text/html"]
)
_headers = st.lists(
    st.tuples(st.just("Content-Type"), _types)
    | st.tuples(st.just("X-SttSampleRate"), st.sampled_from(["8000", "0", "x"]))
    | st.just(("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"))
    | st.tuples(texts, texts),
    max_size=3,
).map(tuple)
_urls = texts | st.sampled_from(
    ["/socket", "/client?sttEncoding=MULAW&sttSampleRate=8000", "http://[", "ws://a/b?c#d"]
)
messages: st.SearchStrategy[Message] = (
    texts
    | st.binary(max_size=20)
    | _trees.map(_json)
    | _trees.map(lambda tree: _json(tree).encode(errors="replace"))
    | st.dictionaries(st.sampled_from(_NAMES), _small, max_size=3).map(_packed)
    | st.builds(RequestHead, method=st.sampled_from(["GET", "PUT"]) | texts, url=_urls, headers=_headers)
    | st.builds(ResponseHead, status=st.sampled_from([101, 200]) | st.integers(), headers=_headers)
    | st.builds(Close, st.integers(0, 65535), texts)
    | st.just(END)
)
_channels = st.integers(0, 3)
_states = st.sampled_from(["Closed", "Open", "Listening", "Responding"]) | texts
_audio = st.sampled_from(["closed", "asked", "open"]) | texts
_maps = st.dictionaries(texts, _plain, max_size=3) | _objects
_events = st.builds(lambda tree, kind: {**tree, "type": kind}, _objects, _kinds)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(
        Record,
        at=times,
        wire=st.integers(0, 3),
        by=st.sampled_from(["client", "server"]),
        message=messages,
        channel=_channels,
    ),
    st.builds(Opened, at=times, channel=_channels, kind=st.just("SocketV1Server") | texts, settings=_maps),
    st.builds(Told, at=times, channel=_channels, event=_events, state=_states, audio=_audio),
    st.builds(
        Act,
        at=times,
        channel=_channels,
        name=st.sampled_from(["turn.send", "send_audio", "ready"]) | texts,
        arguments=_maps
        | st.fixed_dictionaries({"event": _events})
        | st.fixed_dictionaries({"block": st.binary()}),
        raised=st.none() | texts,
        state=_states,
        audio=_audio,
    ),
    st.builds(Setting, at=times, channel=_channels, name=texts, value=_plain),
    st.builds(Idle, at=times, channel=_channels, of=st.just("events"), state=_states, audio=_audio),
    st.builds(Lost, at=times, channel=_channels, wire=st.none() | st.integers(0, 3)),
    st.builds(Cut, at=times, channel=_channels, reason=texts),
)
heads = st.builds(
    Head,
    channel=texts,
    seen_by=st.sampled_from(["client", "server"]),
    redacted=st.lists(texts, max_size=2).map(tuple),
)
recordings = st.builds(Recording, heads, st.lists(entries, max_size=12).map(tuple))
"""Whatever may stand in a file."""

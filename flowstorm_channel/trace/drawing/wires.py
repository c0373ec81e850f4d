"""What goes over one transport, message after message: what each is called, and what is in it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.socket_v2.bodies import Form, body_form, is_audio, media_type_of
from flowstorm_channel.trace.drawing.bodies import Json, Msgpack, Reader, json_of, msgpack_of
from flowstorm_channel.trace.drawing.levels import Sound
from flowstorm_channel.trace.drawing.names import Words, at, of_tree
from flowstorm_channel.trace.drawing.texts import clean, size
from flowstorm_channel.trace.entries import End, Record
from flowstorm_channel.values import SttEncoding
from flowstorm_channel.wire import Close, RequestHead, ResponseHead

__all__ = ["Reading", "Wire"]

_RATE, _PHONE_RATE = 16000, 8000
_DIGITS = 7
"""Of a rate that can be."""
_NAMED = 3
"""How many of the events in one piece of a body are named."""


@attrs.frozen(kw_only=True)
class Reading:
    """What a message is.

    Args:
        name: type of the event, or kind of the message.
        text: what is in it, in few words.
        fields: what is in it, as plain values.
        raw: as it was sent.
        sound: the audio, when it is nothing but audio.
        problem: why it could not be read; empty: it could.
    """

    name: str
    text: str = ""
    fields: Any = None
    raw: str | bytes | None = None
    sound: Sound | None = None
    problem: str = ""


class Wire:
    """Reads the messages on a transport, of both ends, in order."""

    def __init__(self) -> None:
        self._socket = True
        """Whether it is a WebSocket, as far as is known."""
        self._msgpack = False
        self._rate, self._encoding = _RATE, SttEncoding.LINEAR16.value
        self._file_type = ""
        self._types: dict[End, str] = {"client": "", "server": ""}
        """Media types of the bodies of HTTP."""
        self._readers: dict[End, Reader | None] = {"client": None, "server": None}

    def read(self, record: Record) -> Reading:
        """What the next message is."""
        match record.message:
            case RequestHead() as head:
                return self._read_request(head)
            case ResponseHead() as head:
                return self._read_response(head)
            case Close() as close:
                fields = {"code": int(close.code), "reason": close.reason}
                return Reading(name=f"Close {int(close.code)}", text=clean(close.reason), fields=fields)
            case str() as text:
                return self._read_text(text, record.by)
            case bytes() as data:
                read = self._read_binary if self._socket else self._read_body
                return read(data, record.by)
        return Reading(name="end", text="of the body")

    # -------------------------------------------------------- heads

    def _read_request(self, head: RequestHead) -> Reading:
        path, query = _parts_of(head.url)
        self._socket = head.method == "GET"  # until the response says what it is
        self._begin_body("client", media_type_of(head.header("Content-Type")))
        self._read_settings(head, query)
        fields = {"method": head.method, "url": head.url, "headers": [list(each) for each in head.headers]}
        return Reading(name=clean(f"{head.method} {path or '/'}"), fields=fields)

    def _read_response(self, head: ResponseHead) -> Reading:
        self._socket = head.status == 101
        self._msgpack = self._socket and offers_msgpack(head)
        self._begin_body("server", media_type_of(head.header("Content-Type")))
        fields = {"status": head.status, "headers": [list(each) for each in head.headers]}
        return Reading(name=str(head.status), text=clean(self._types["server"]), fields=fields)

    def _begin_body(self, by: End, media_type: str) -> None:
        self._types[by] = media_type
        form = body_form(media_type)
        if form is not Form.TEXT and not is_audio(media_type):
            self._readers[by] = Msgpack() if form is Form.MSGPACK else Json()

    def _read_settings(self, head: RequestHead, query: str) -> None:
        """What a request of V2 says of the audio in it."""
        said = dict(parse_qsl(query))
        rate = said.get("sttSampleRate") or head.header("X-SttSampleRate") or ""
        if rate.isascii() and rate.isdigit() and len(rate) < _DIGITS:
            self._rate = int(rate)
        encoding = (said.get("sttEncoding") or head.header("X-SttEncoding") or "").upper()
        if encoding in _ENCODINGS:
            self._encoding = encoding

    # -------------------------------------------------------- WebSockets

    def _read_text(self, text: str, by: End) -> Reading:
        return self._read_tree(lambda: json_of(text), text, by)

    def _read_binary(self, data: bytes, by: End) -> Reading:
        if not data:
            return Reading(name="keep-alive", raw=data)
        if self._msgpack:
            return self._read_tree(lambda: msgpack_of(data), data, by)
        return self._audio(data, by, data)

    def _read_tree(self, parse: Callable[[], Any], raw: str | bytes, by: End) -> Reading:
        kind = "text" if isinstance(raw, str) else "binary"
        try:
            tree = parse()
        except ValueError as error:
            length = len(raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw)
            name = f"{kind} {size(length)}"
            return Reading(name=name, text=_start(raw), raw=raw, problem=clean(str(error)))
        data = _audio_of(tree)
        if data is not None:
            return attrs.evolve(self._audio(data, by, raw, phone="media" in tree), fields=tree)
        self._note_config(tree)
        words = of_tree(tree) or Words(kind, _start(raw))
        return Reading(name=clean(words.name), text=clean(words.text), fields=tree, raw=raw)

    def _note_config(self, tree: Any) -> None:
        """What an Init says of the audio that will come."""
        if at(tree, "type") == "Init":
            rate, file_type = at(tree, "config", "sttSampleRate"), at(tree, "config", "ttsFileType")
            if type(rate) is int and 0 < rate < 10**_DIGITS:
                self._rate = rate
            self._file_type = str(file_type)

    def _audio(self, data: bytes, by: End, raw: str | bytes, *, phone: bool = False) -> Reading:
        if phone:
            sound = Sound(data, "MULAW", _PHONE_RATE)
        elif data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            sound = Sound(data, "WAV")
        elif by == "client":
            sound = Sound(data, self._encoding, self._rate)
        else:
            sound = Sound(data, "MULAW", _PHONE_RATE) if self._file_type == "mulaw" else Sound(data)
        return Reading(name="media" if phone else "Binary", text=size(len(data)), raw=raw, sound=sound)

    # -------------------------------------------------------- bodies of HTTP

    def _read_body(self, data: bytes, by: End) -> Reading:
        reader = self._readers[by]
        if is_audio(self._types[by]):
            return self._audio(data, by, data)
        if reader is None:
            return Reading(name="text", text=_start(data), raw=data)
        before = reader.problem
        trees = reader.feed(data)
        problem = clean(reader.problem) if reader.problem != before else ""
        sounds = [_audio_of(each) for each in trees]
        if sounds and all(each is not None for each in sounds) and not problem:
            whole = b"".join(each for each in sounds if each is not None)
            return attrs.evolve(self._audio(whole, by, data), fields=trees[0] if len(trees) == 1 else trees)
        return _of_trees(trees, data, problem)


def _of_trees(trees: list[Any], raw: bytes, problem: str) -> Reading:
    """A piece of a body in which some objects come to an end."""
    words = [of_tree(each) or Words("object") for each in trees]
    if not words:
        return Reading(name="body", text=size(len(raw)), raw=raw, problem=problem)
    names = [each.name for each in words[:_NAMED]]
    if len(words) > _NAMED:
        names.append(f"{len(words) - _NAMED} more")
    text = " ".join(each.text for each in words[:_NAMED] if each.text)
    fields = trees[0] if len(trees) == 1 else trees
    return Reading(name=clean(", ".join(names)), text=clean(text), fields=fields, raw=raw, problem=problem)


_ENCODINGS = frozenset(each.value for each in SttEncoding)
_START = 200


def _parts_of(url: str) -> tuple[str, str]:
    """Path and query of an address, whatever it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    return parts.path, parts.query


def _start(raw: str | bytes) -> str:
    return clean((raw if isinstance(raw, str) else raw.decode(errors="replace"))[:_START])


def _audio_of(tree: Any) -> bytes | None:
    """The audio in an event or a frame that is nothing else."""
    match tree:
        case {"type": "Binary", "data": bytes(data)}:
            return data
        case {"type": "Binary", "data": str(text)} | {"event": "media", "media": {"payload": str(text)}}:
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:
                return None
    return None

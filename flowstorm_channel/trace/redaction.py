"""Taking out of a recording what is not to be kept: secrets, what people say, audio.

What stands there instead is of the same kind and does not depend on where it stands: what a machine makes of
it in a replay is what stands in the recording. Different secrets stay different.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote_plus

import attrs

from flowstorm_channel.alexa.server import SESSION
from flowstorm_channel.errors import ChannelError
from flowstorm_channel.google.inputs import STORED_ID
from flowstorm_channel.server import RESERVED
from flowstorm_channel.sessions import Session
from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.socket_v2.settings import text_of
from flowstorm_channel.trace.entries import Act, Cut, Entry, Idle, Lost, Opened, Record, Told
from flowstorm_channel.trace.scanning import JsonScanner, MsgpackScanner, Scanner
from flowstorm_channel.trace.settings import KINDS
from flowstorm_channel.twilio.audio import spoken
from flowstorm_channel.wire import Message, RequestHead, ResponseHead, unsafe

__all__ = ["Redactor"]

_SECRETS = frozenset(("accessToken", "apiAccessToken", "consentToken", "idToken", "bearerToken"))
"""Members whose values nobody else should have, wherever they stand."""
_CREDENTIALS = frozenset(("key", "appKey", "token"))
"""The same in what introduces a client: elsewhere they may be anything."""
_INTRODUCTIONS = frozenset(("request", "customParameters"))
_SECRET_HEADERS = frozenset(("x-key", "authorization", "google-assistant-signature"))
_SIGNATURES = frozenset(("signature", "signature-256", "x-twilio-signature"))
_KNOWN = ("default", "flowstorm")
"""Keys of applications that nobody has named."""
_PREFIX = re.compile(r"(?:Bearer\s+|alexa:)?", re.IGNORECASE)
_HIDDEN = re.compile(r"hidden-\d+")
_PARAMETER = re.compile(r"(?<=[?&])(key|token)=([^&#]*)")

_TEXTS = frozenset(
    (
        *("text", "ssml", "code", "title", "content", "reprompt", "value"),
        *("query", "speech", "displayText", "textToSpeech", "formattedText", "description", "original"),
    )
)
_ALL_TEXTS = frozenset(("attributes", "parameters", "params", "resolved", "expectedPhrases", "session.data"))
"""What stands in these is a host's or a user's own, whatever it is called there."""
_TAGS = re.compile(r"(<[^<>]*>)")
_LETTER = re.compile(r"[^\W_]")
_AUDIO = frozenset(("data", "payload", "block", "recording", "item", "error_audio"))
_AUDIO_IN_TEXT = ("twilio", "socket-v1", "socket-v2")
"""Channels on which audio may stand in JSON, as base64."""
_SILENCE = b"\xff"
"""A sample of μ-law."""


class Redactor:
    """Takes out of entries what is not to be kept. It has to see all of them, in order.

    Args:
        tokens: hide keys and tokens, and cross signatures out.
        texts: cross out letters and digits of what people and dialogues say; commands stay.
        audio: make all audio silent.
    """

    def __init__(self, *, tokens: bool, texts: bool, audio: bool) -> None:
        chosen = {"tokens": tokens, "texts": texts, "audio": audio}
        self.redacted = tuple(name for name, is_chosen in chosen.items() if is_chosen)
        """What is taken out."""
        self._tokens = tokens
        self._texts = texts
        self._audio = audio
        self._hidden: dict[str, str] = {}
        self._protocols: dict[int, str] = {}
        self._wires: dict[int, _Wire] = {}

    def entry(self, entry: Entry) -> Entry:
        """The entry as it is to be kept."""
        if isinstance(entry, Opened):
            kind = KINDS.get(entry.kind)
            self._protocols[entry.channel] = "" if kind is None else kind.channel
        if not self.redacted or isinstance(entry, (Idle, Lost, Cut)):
            return entry
        protocol = self._protocols.get(entry.channel, "")
        match entry:
            case Record():
                wire = self._wires.setdefault(entry.wire, _Wire(self, protocol))
                return attrs.evolve(entry, message=wire.redacted(entry.by, entry.message))
            case Opened():
                return attrs.evolve(entry, settings=self._tree((), entry.settings, protocol))
            case Told():
                return attrs.evolve(entry, event=self._tree((), entry.event, protocol))
            case Act():
                arguments = self._tree((), entry.arguments, protocol)
                return attrs.evolve(entry, arguments=arguments)
        return attrs.evolve(entry, value=self._tree((entry.name,), entry.value, protocol))

    # -------------------------------------------------------- values

    def _tree(self, path: tuple[str, ...], value: Any, protocol: str) -> Any:
        if isinstance(value, Mapping):
            return {name: self._tree((*path, name), each, protocol) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            if path[-1:] == ("headers",) and value and isinstance(value[0], list):
                return [[name, self.header(name, text)] for name, text in value]
            return [self._tree(path, each, protocol) for each in value]
        return self.leaf(path, value, protocol)

    def leaf(self, path: tuple[str, ...], value: Any, protocol: str) -> Any:
        """What is to stand for a value.

        Args:
            path: the names of the members that it stands in.
            value: a text, binary data, or anything else.
            protocol: of the channel.
        """
        name = path[-1] if path else ""
        if isinstance(value, bytes):
            return self._data(name, value, protocol)
        if not isinstance(value, str) or not self.concerns(path, protocol):
            return value
        if name == SESSION:
            return self._travelling(value)
        if self._is_secret(path):
            return self._key(value) if name == "key" else self.hide(value)
        if name == "url":
            return self.address(value)
        return cross_out(value) if self._is_text(path) else _silent_base64(value, protocol)

    def concerns(self, path: tuple[str, ...], protocol: str) -> bool:
        """Whether a text that stands there may have to be replaced."""
        name = path[-1] if path else ""
        return (
            name in (SESSION, "url")
            or self._is_secret(path)
            or self._is_text(path)
            or (self._audio and name in ("data", "payload") and protocol in _AUDIO_IN_TEXT)
        )

    def _is_secret(self, path: tuple[str, ...]) -> bool:
        if not self._tokens or not path:
            return False
        introduces = len(path) == 1 or path[-2] in _INTRODUCTIONS
        return path[-1] in _SECRETS or (introduces and path[-1] in _CREDENTIALS)

    def _is_text(self, path: tuple[str, ...]) -> bool:
        if not self._texts or not path or path[-1] == STORED_ID:
            return False
        return path[-1] in _TEXTS or not _ALL_TEXTS.isdisjoint(path)

    def hide(self, secret: str) -> str:
        """What stands for a secret: always the same for the same one."""
        prefix = _PREFIX.match(secret)
        start = 0 if prefix is None else prefix.end()
        rest = secret[start:].strip()
        if not rest or unsafe(rest) or rest in _KNOWN or _HIDDEN.fullmatch(rest):
            return secret
        return secret[:start] + self._hidden.setdefault(rest, f"hidden-{len(self._hidden) + 1}")

    def _key(self, key: str) -> str:
        """The key of an application; Alexa's is no secret, but the name of a skill."""
        return key if key.startswith(RESERVED) else self.hide(key)

    def header(self, name: str, text: str) -> str:
        """What stands for the value of a header."""
        if self._tokens and name.lower() in _SIGNATURES:
            return _LETTER.sub("A", text)
        if not self._tokens or name.lower() not in _SECRET_HEADERS:
            return text
        return self.hide(text_of(text))

    def address(self, url: str) -> str:
        """What stands for an address."""
        if not self._tokens:
            return url
        return _PARAMETER.sub(lambda found: f"{found[1]}={self._parameter(found[2])}", url)

    def _parameter(self, text: str) -> str:
        hidden = self.hide(unquote_plus(text))
        return text if hidden == unquote_plus(text) else hidden

    def _data(self, name: str, value: bytes, protocol: str) -> bytes:
        if name in ("snapshot", "value", "kept"):
            return self._snapshot(value)
        return self.silence(value, protocol) if self._audio and name in _AUDIO else value

    def silence(self, audio: bytes, protocol: str) -> bytes:
        """As much silence."""
        if protocol != "twilio":
            return bytes(len(audio))
        try:
            return _SILENCE * len(spoken(audio))
        except (ChannelError, ImportError):
            return _SILENCE * len(audio)

    def _snapshot(self, data: bytes) -> bytes:
        """A snapshot of a session has secrets in it, and what a dialogue remembers."""
        try:
            session = Session.restore(data)
        except ChannelError:
            return data  # it is something else: certificates, keys
        if self._tokens:
            session.key = self._key(session.key)
        if self._texts:
            session.data = self._tree(("session.data",), session.data, "")
        return session.snapshot()

    def _travelling(self, text: str) -> str:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            return text
        return base64.b64encode(self._snapshot(data)).decode()


def cross_out(text: str) -> str:
    """A text without its letters and digits. Commands stay: machines and dialogues go by them."""
    if text.startswith("#"):
        return text
    parts = _TAGS.split(text)
    return "".join(part if index % 2 else _LETTER.sub("x", part) for index, part in enumerate(parts))


def _silent_base64(text: str, protocol: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except ValueError:
        return text
    return base64.b64encode(_SILENCE * size if protocol == "twilio" else bytes(size)).decode()


# ------------------------------------------------------------ messages


class _Wire:
    """What goes over one transport, each way on its own."""

    def __init__(self, redactor: Redactor, protocol: str) -> None:
        self._redactor = redactor
        self._protocol = protocol
        self._packed = False
        self._bodies: dict[str, _Body] = {}

    def redacted(self, by: str, message: Message) -> Message:
        """The message as it is to be kept."""
        match message:
            case RequestHead() | ResponseHead():
                return self._head(by, message)
            case str():
                whole = self._whole("application/json", message.encode("utf-8", "surrogatepass"))
                return whole.decode("utf-8", "surrogatepass")
            case bytes() if by in self._bodies:
                return self._bodies[by].feed(message)
            case bytes() if self._packed and message:
                return self._whole("application/msgpack", message)
            case bytes() if self._redactor._audio:
                return self._redactor.silence(message, self._protocol)
        return message

    def _head(self, by: str, head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
        if self._protocol in ("socket-v1", "twilio"):
            self._packed = isinstance(head, ResponseHead) and offers_msgpack(head)
        else:
            self._bodies[by] = self._body(head)
        headers = tuple((name, self._redactor.header(name, text)) for name, text in head.headers)
        if isinstance(head, RequestHead):
            return attrs.evolve(head, url=self._redactor.address(head.url), headers=headers)
        return attrs.evolve(head, headers=headers)

    def _body(self, head: RequestHead | ResponseHead) -> _Body:
        media_type = (head.header("Content-Type") or "").partition(";")[0].strip().lower()
        if media_type.startswith("audio/"):
            return _Silenced(self._redactor)
        if media_type == "text/plain":
            return _CrossedOut(self._redactor)
        return self._scanner(media_type)

    def _whole(self, media_type: str, message: bytes) -> bytes:
        scanner = self._scanner(media_type)
        return scanner.feed(message) + scanner.rest()

    def _scanner(self, media_type: str) -> Scanner:
        return MsgpackScanner(self) if "msgpack" in media_type else JsonScanner(self)

    def concerns(self, path: tuple[str, ...]) -> bool:
        return self._redactor.concerns(path, self._protocol)

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return self._redactor.leaf(path, value, self._protocol)


class _Body(Protocol):
    def feed(self, piece: bytes) -> bytes:
        """Take a piece; what is to stand in its place."""
        ...


class _Silenced:
    """A body of audio."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def feed(self, piece: bytes) -> bytes:
        return bytes(len(piece)) if self._redactor._audio else piece


class _CrossedOut:
    """A body of text, whose letters may be cut in two."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> bytes:
        if not self._redactor._texts:
            return piece
        return _LETTER.sub("x", self._decoder.decode(piece)).encode()

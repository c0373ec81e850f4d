"""Taking out of a recording what is not to be kept: secrets, what people say, audio.

What stands there instead is of the same kind and does not depend on where it stands: what a machine makes of
it in a replay is what stands in the recording. Different secrets stay different.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import attrs

from flowstorm_channel.alexa.server import SESSION
from flowstorm_channel.errors import ChannelError
from flowstorm_channel.google.inputs import STORED_ID
from flowstorm_channel.server import RESERVED
from flowstorm_channel.sessions import Session
from flowstorm_channel.socket_v2.settings import COOKIE, text_of
from flowstorm_channel.trace.crossing import LETTER, cross_out, cross_out_broken
from flowstorm_channel.trace.entries import Act, Cut, End, Entry, Idle, Lost, Opened, Record, Told
from flowstorm_channel.trace.scanning import MsgpackScanner
from flowstorm_channel.trace.settings import KINDS
from flowstorm_channel.trace.wires import Wire
from flowstorm_channel.twilio.audio import spoken
from flowstorm_channel.wire import END, Close, unsafe

__all__ = ["Redactor"]

_SECRETS = frozenset(
    (
        *("accesstoken", "apiaccesstoken", "consenttoken", "idtoken", "bearertoken", "refreshtoken"),
        *("authtoken", "sessiontoken", "authorization", "password", "passwd", "clientsecret"),
        *("apikey", "apisecret", "cookie", "credential", "credentials", "jwt"),
    )
)
"""Members whose values nobody else should have, wherever they stand; without case and what parts words."""
_CREDENTIALS = frozenset(("key", "appkey", "token"))
"""The same in what introduces a client: in what a host or a user has named they may be anything."""
_INTRODUCTIONS = frozenset(("event", "customParameters"))
_FREE = ("alexa", "google", "twilio")
"""Channels on which members of these names are something else, but where a client is introduced."""
_PARTING = str.maketrans("", "", "-_ \t\r\n")
_SECRET_HEADER = re.compile(r"auth|token|secret|cookie|key|password|credential|session|jwt|assertion|oidc")
_GOOGLE_SIGNATURE = "google-assistant-signature"
_ATTRIBUTES = frozenset(("expires", "max-age", "domain", "path", "samesite", "priority"))
"""Of a cookie that is set."""
_SIGNATURES = frozenset(("signature", "signature-256", "x-twilio-signature"))
_KNOWN = ("default", "flowstorm")
"""Keys of applications that nobody has named."""
_PREFIX = re.compile(r"\s*(?:Bearer\s+|alexa:)?", re.IGNORECASE)
_HIDDEN = re.compile(r"hidden-\d+")
_PARAMETER = re.compile(r"(?<=[?&;#])([^=&;#?]*)=([^&;#]*)")
_USER = re.compile(r"(?<=//)[^/?#@]+(?=@)")
_PROBLEM = re.compile(r"([^\s:]+): (?=.*['\"])", re.DOTALL)
_STEP = re.compile(r"[\w-]+")
_QUOTED = re.compile(r"'.*(?:'|…)|\".*(?:\"|…)", re.DOTALL)
_PROBLEMS = frozenset(("error", "text", "problem", "unwritable"))
"""Members in which it may stand what is wrong with another member, with a few characters of it."""

_TEXTS = frozenset(
    (
        *("text", "ssml", "code", "title", "content", "reprompt", "value"),
        *("query", "speech", "displayText", "textToSpeech", "formattedText", "description", "original"),
        *("rawText", "textValue", "arguments", "subtitle", "alt", "accessibilityText", "contentDescription"),
    )
)
_ALL_TEXTS = frozenset(("attributes", "parameters", "params", "resolved", "expectedPhrases", "session.data"))
"""What stands in these is a host's or a user's own, whatever it is called there."""
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
        self.texts = texts
        self.audio = audio
        self._hidden: dict[str, str] = {}
        self._protocols: dict[int, str] = {}
        self._wires: dict[int, Wire] = {}

    def entries(self, entry: Entry) -> Iterator[Entry]:
        """The entry as it is to be kept, behind what was held back of earlier ones and goes no further."""
        match entry:
            case Record(message=message) if message is END or isinstance(message, Close):
                yield from self._released(entry, [entry.wire], entry.by)
            case Lost():
                wires = self._of(entry.channel) if entry.wire is None else [entry.wire]
                yield from self._released(entry, wires)
                for each in wires:
                    self._wires.pop(each, None)
            case Told(event={"type": "Fault" | "Closed"}):
                yield from self._released(entry, self._of(entry.channel))
        yield self.entry(entry)
        if isinstance(entry, Record) and entry.wire in self._wires and self._wires[entry.wire].over:
            del self._wires[entry.wire]

    def _of(self, channel: int) -> list[int]:
        """The transports of a machine that are not over."""
        return [number for number, wire in self._wires.items() if wire.channel == channel]

    def _released(self, entry: Entry, wires: list[int], end: End | None = None) -> Iterator[Record]:
        for number in wires:
            wire = self._wires.get(number)
            for by, rest in [] if wire is None else wire.rests():
                if rest and end in (None, by):
                    yield Record(at=entry.at, wire=number, by=by, message=rest, channel=entry.channel)

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
                wire = self._wires.setdefault(entry.wire, Wire(self, protocol, entry.channel))
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
            return b"x" * len(value) if self._is_secret(path, protocol) else self._data(name, value, protocol)
        if not isinstance(value, str) or not self.concerns(path, protocol):
            return value
        if name == SESSION:
            return self._travelling(value)
        if self._is_secret(path, protocol):
            return self._key(value) if name == "key" and protocol == "alexa" else self.hide(value)
        if name in ("url", "base_url"):
            return self.address(value)
        if self._is_text(path):
            return cross_out(value)
        return self._problem(value) if name in _PROBLEMS else _silent_base64(value, protocol)

    def broken(self, path: tuple[str, ...] | None, raw: bytes, protocol: str, *, escaped: bool) -> bytes:
        """What is to stand for what cannot be read where a text may have to be replaced.

        It stays broken as it was, and as long: letters and digits are crossed out.
        """
        if path is None:
            stays = not self._tokens and not self.texts
        else:
            stays = not self.concerns(path, protocol) or (self._is_text(path) and _is_command(raw))
        if stays:
            return raw
        return cross_out_broken(raw, escaped=escaped)

    def _problem(self, text: str) -> str:
        """What is wrong with a member, without what was in it."""
        found = _PROBLEM.match(text)
        path = () if found is None else tuple(_STEP.findall(found[1]))
        if self._is_secret(path, "") or (found is not None and self.texts):
            return _QUOTED.sub(lambda quoted: LETTER.sub("x", quoted[0]), text)
        return text

    def concerns(self, path: tuple[str, ...], protocol: str) -> bool:
        """Whether a text that stands there may have to be replaced."""
        name = path[-1] if path else ""
        return (
            name in (SESSION, "url", "base_url")
            or name in _PROBLEMS
            or self._is_secret(path, protocol)
            or self._is_text(path)
            or (self.audio and name in ("data", "payload") and protocol in _AUDIO_IN_TEXT)
        )

    def _is_secret(self, path: tuple[str, ...], protocol: str) -> bool:
        if not self._tokens:
            return False
        names = [_plainly(each) for each in path]
        return any(name in _SECRETS for name in names) or any(
            name in _CREDENTIALS and _introduces(path[:index], protocol) for index, name in enumerate(names)
        )

    def _is_text(self, path: tuple[str, ...]) -> bool:
        if not self.texts or not path or path[-1] == STORED_ID:
            return False
        return (
            path[-1] in _TEXTS
            or not _ALL_TEXTS.isdisjoint(path)
            or (path[-1] == "name" and "resolutions" in path)
        )

    def hide(self, secret: str) -> str:
        """What stands for a secret: always the same for the same one, and for each of several in a list."""
        return ", ".join(self._hide(each) for each in secret.split(", "))

    def _hide(self, secret: str) -> str:
        prefix = _PREFIX.match(secret)
        start = 0 if prefix is None else prefix.end()
        rest = secret[start:].strip()
        if not rest or rest in _KNOWN or _HIDDEN.fullmatch(rest):
            return secret
        if unsafe(rest):
            return LETTER.sub("x", secret)  # it is refused, and has to be again
        return secret[:start] + self._hidden.setdefault(rest, f"hidden-{len(self._hidden) + 1}")

    def _key(self, key: str) -> str:
        """The key of an application; Alexa's is no secret, but the name of a skill."""
        return key if key.startswith(RESERVED) else self.hide(key)

    def header(self, name: str, text: str) -> str:
        """What stands for the value of a header."""
        if not self._tokens:
            return text
        name = name.strip().lower()
        if name in _SIGNATURES:
            return LETTER.sub("A", text)
        if name in ("cookie", "set-cookie"):
            return "; ".join(self._cookie(each, name) for each in text.split("; "))
        if _SECRET_HEADER.search(name) or name == _GOOGLE_SIGNATURE:
            return self.hide(text_of(text))
        return self.address(text)

    def _cookie(self, pair: str, header: str) -> str:
        """One cookie: the id of a session stays, and so do the attributes of one that is set."""
        name, sign, value = pair.partition("=")
        stays = name.strip() == COOKIE or (header == "set-cookie" and name.strip().lower() in _ATTRIBUTES)
        return pair if stays or not sign else f"{name}={self.hide(value)}"

    def address(self, url: str) -> str:
        """What stands for an address."""
        if not self._tokens:
            return url
        url = _USER.sub(lambda found: self._parameter(found[0]), url)
        return _PARAMETER.sub(self._named_parameter, url)

    def _named_parameter(self, found: re.Match[str]) -> str:
        name = _plainly(unquote_plus(found[1]))
        is_secret = name in _SECRETS or name in _CREDENTIALS
        return f"{found[1]}={self._parameter(found[2])}" if is_secret else found[0]

    def _parameter(self, text: str) -> str:
        said = unquote_plus(text)
        hidden = self.hide(said)
        return text if hidden == said else quote_plus(hidden)

    def _data(self, name: str, value: bytes, protocol: str) -> bytes:
        if name in ("snapshot", "value", "kept"):
            return self._snapshot(value)
        return self.silence(value, protocol) if self.audio and name in _AUDIO else value

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
            return self._unknown(data)
        if self._tokens:
            session.key = self._key(session.key)
        session.data = self._tree(("session.data",), session.data, "")
        return session.snapshot()

    def _unknown(self, data: bytes) -> bytes:
        """The snapshot of another release, or half of one; certificates and keys have nothing to hide."""
        scanner = MsgpackScanner(_Snapshot(self))
        return scanner.feed(data) + scanner.rest()

    def _travelling(self, text: str) -> str:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            return LETTER.sub("x", text) if self._tokens or self.texts else text
        return base64.b64encode(self._snapshot(data)).decode()


def _is_command(raw: bytes) -> bool:
    return raw.startswith((b"#", b'"#'))


@lru_cache(maxsize=256)
def _plainly(name: str) -> str:
    """A name as it is compared with those of secrets."""
    return name.translate(_PARTING).lower()


def _introduces(inside: tuple[str, ...], protocol: str) -> bool:
    """Whether what stands there says who a client is."""
    if not inside or inside[-1] in _INTRODUCTIONS:
        return True
    return protocol not in _FREE and _ALL_TEXTS.isdisjoint(inside)


def _silent_base64(text: str, protocol: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except ValueError:
        return text
    return base64.b64encode(_SILENCE * size if protocol == "twilio" else bytes(size)).decode()


class _Snapshot:
    """What stands in the snapshot of a session that cannot be restored."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def concerns(self, path: tuple[str, ...]) -> bool:
        return self._redactor.concerns(_in_session(path), "")

    def replace(self, path: tuple[str, ...], value: Any) -> Any:
        return self._redactor.leaf(_in_session(path), value, "")

    def broken(self, path: tuple[str, ...] | None, raw: bytes, *, escaped: bool) -> bytes:
        return self._redactor.broken(None if path is None else _in_session(path), raw, "", escaped=escaped)


def _in_session(path: tuple[str, ...]) -> tuple[str, ...]:
    return ("session.data", *path[1:]) if path[:1] == ("data",) else path

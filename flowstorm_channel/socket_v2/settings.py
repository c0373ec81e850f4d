"""What every request of Socket V2 says about its client: headers or query parameters (socket-v2.md).

Both ends read this table: the server parses what the client writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import InitEvent
from flowstorm_channel.locales import Locale, check_zone
from flowstorm_channel.values import AudioFileType, ClientConfig, SttEncoding, SttMode, TtsType
from flowstorm_channel.wire import RequestHead, ResponseHead, unsafe

__all__ = [
    "COOKIE",
    "Settings",
    "cookie_of",
    "given_cookie",
    "sendable",
    "token_header",
    "token_of",
]

COOKIE = "flowstorm-session-id"
"""The cookie that names the session."""
ZONE = "Europe/Prague"
"""The time zone of V2 (D-09)."""
LOCALE = "en-US"
"""The language of V2."""

E = TypeVar("E", bound=Enum)
_EXPIRED = re.compile(r'\s*max-age\s*=\s*"?(?:0+|-\d+)"?\s*', re.IGNORECASE | re.ASCII)


@attrs.frozen(kw_only=True)
class Settings:
    """The configuration that comes with every request.

    Args:
        key: of the application: an opaque text (D-27).
        device_id: of the device.
        locale: the language of the input.
        zone_id: the user's time zone.
        stt_mode: the only one.
        stt_model: of speech recognition, by name.
        stt_sample_rate: of the client's audio, in Hz.
        stt_encoding: of the samples of the client's audio.
        tts_file_type: mp3 or wav, of the speech that the client fetches.
        video_file: the client wants video.
        send_response_items: it wants the items of a response one by one (D-06).
        realtime: the audio in the body is being captured while it is sent.
    """

    key: str
    device_id: str
    locale: str = LOCALE
    zone_id: str = ZONE
    stt_mode: SttMode = SttMode.SINGLE_UTTERANCE
    stt_model: str = "General"
    stt_sample_rate: int = 16000
    stt_encoding: SttEncoding = SttEncoding.LINEAR16
    tts_file_type: AudioFileType = AudioFileType.MP3
    video_file: bool = False
    send_response_items: bool = True
    realtime: bool = False

    @classmethod
    def read(cls, head: RequestHead) -> Settings:
        """What the head of a request says. A parameter of the query wins over the header (D-32).

        Raises:
            RemoteProtocolError: something is missing or wrong; its path is the parameter's name.
        """
        query = _query(head.url)
        found: dict[str, Any] = {}
        for each in PARAMETERS:
            text = query.get(each.query) if each.query else None
            name = each.query
            if text is None and each.header:
                text, name = _header(head, each.header), each.header
            if not text:  # an empty one says nothing
                continue
            try:
                found[each.attribute] = each.read(_clean(text))
            except ValueError as error:
                raise RemoteProtocolError(str(error), path=name) from None
        for attribute, header, name in (("key", "X-Key", "key"), ("device_id", "X-DeviceId", "deviceId")):
            if attribute not in found:
                raise RemoteProtocolError(f"missing: give it as a parameter, or as {header}", path=name)
        return cls(**found)

    def parameters(self) -> Iterator[tuple[str, str, str]]:
        """What is said of it in a request: header, parameter (empty when there is none), text."""
        for each in PARAMETERS:
            if each.header:  # `realtime` is not of the client, but of one body
                yield each.header, each.query, each.write(getattr(self, each.attribute))

    @property
    def init(self) -> InitEvent:
        """The same as the Init of a WebSocket."""
        config = ClientConfig(
            locale=self.locale,
            zone_id=self.zone_id,
            stt_mode=self.stt_mode,
            stt_sample_rate=self.stt_sample_rate,
            tts=TtsType.REQUIRED_LINKS,  # D-71
            tts_file_type=self.tts_file_type,
            send_response_items=self.send_response_items,
            stt_interim_results=True,
        )
        return InitEvent(key=self.key, device_id=self.device_id, config=config)


class _Parameter(NamedTuple):
    """Where a setting stands, and how it is read and written."""

    attribute: str
    header: str
    query: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ValueError(f"{text[:20]!r} is not a number of Hz")
    return int(text)


_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def _flag(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError(f"{text[:20]!r} is neither true nor false")
    return text.lower() in _TRUE


def _flag_text(value: bool) -> str:
    return "true" if value else "false"


def _one_of(*legal: E) -> Callable[[str], E]:
    def read(text: str) -> E:
        for each in legal:
            if each.value.lower() == text.lower():
                return each
        names = ", ".join(each.value for each in legal)
        raise ValueError(f"{text[:20]!r} is not one of {names}")

    return read


def _enum_text(value: Enum) -> str:
    return str(value.value)


def _language(text: str) -> str:
    """The first tag of an Accept-Language; what is none is not held against the client (D-81)."""
    locale = Locale(text.split(",")[0].split(";")[0].strip())
    return LOCALE if locale.malformed else locale


def _zone(text: str) -> str:
    # In a query a bare plus is a space: it is meant as a plus all the same.
    return check_zone(f"+{text[1:]}" if text.startswith(" ") else text)


PARAMETERS = (
    _Parameter("key", "X-Key", "key", str, str),
    _Parameter("device_id", "X-DeviceId", "deviceId", str, str),
    _Parameter("locale", "Accept-Language", "", _language, str),
    _Parameter("zone_id", "X-TimeZone", "timeZone", _zone, str),
    _Parameter("stt_mode", "X-SttMode", "sttMode", _one_of(SttMode.SINGLE_UTTERANCE), _enum_text),
    _Parameter("stt_model", "X-SttModel", "sttModel", str, str),
    _Parameter("stt_sample_rate", "X-SttSampleRate", "sttSampleRate", _number, str),
    _Parameter("stt_encoding", "X-SttEncoding", "sttEncoding", _one_of(*SttEncoding), _enum_text),
    _Parameter(
        *("tts_file_type", "X-TtsFileType", "ttsFileType"),
        read=_one_of(AudioFileType.MP3, AudioFileType.WAV),
        write=_enum_text,
    ),
    _Parameter("video_file", "X-VideoFile", "videoFile", _flag, _flag_text),
    _Parameter("send_response_items", "X-SendResponseItems", "sendResponseItems", _flag, _flag_text),
    _Parameter("realtime", "", "realtime", _flag, _flag_text),
)


def _query(url: str) -> dict[str, str]:
    """The parameters of an address; of one that comes twice the last counts."""
    try:
        return dict(parse_qsl(urlsplit(url).query, max_num_fields=100))
    except ValueError:
        raise RemoteProtocolError("the address is malformed") from None


def _header(head: RequestHead, name: str) -> str | None:
    text = head.header(name)
    return None if text is None else text_of(text)


def text_of(header: str) -> str:
    """What the value of a header says. Servers read bytes as Latin-1; UTF-8 is meant, as in an address."""
    text = header
    try:
        return text.encode("latin-1").decode()
    except ValueError:
        return text


def _clean(text: str) -> str:
    if unsafe(text):
        raise ValueError("a control character stands in it")
    return text


# ------------------------------------------------------------ the head of a request


def cookie_of(head: RequestHead) -> str | None:
    """The session id that a request names, well-formed or not; None when it names none."""
    for name, value in head.headers:
        if name.lower() == "cookie":
            for pair in value.split(";"):
                key, _, text = pair.strip().partition("=")
                if key == COOKIE and text:
                    return text.strip('"')
    return None


_BEARER = "Bearer "


def token_of(head: RequestHead) -> str | None:
    """The user's token, when a request has one."""
    text = head.header("Authorization") or ""
    return text[len(_BEARER) :].strip() or None if text[: len(_BEARER)].lower() == "bearer " else None


def token_header(token: str) -> tuple[str, str]:
    """The header that says it."""
    return "Authorization", f"{_BEARER}{token}"


def sendable(session_id: str) -> bool:
    """Whether an id can be sent back as it is; what a server makes up need not be well-formed for ours."""
    return len(session_id) <= 256 and all("!" <= each <= "~" and each not in '",;\\' for each in session_id)


def given_cookie(head: ResponseHead) -> str | None:
    """The session id that a response gives its client, empty to take it away; None when it says nothing.

    An id that could not be sent back as it is counts as nothing.
    """
    found = None
    for name, value in head.headers:
        if name.lower() == "set-cookie":
            pair, *attributes = value.split(";")
            key, _, text = pair.partition("=")
            if key.strip() != COOKIE:
                continue
            text = text.strip().strip('"')
            if any(_EXPIRED.fullmatch(each) for each in attributes):
                found = ""
            elif sendable(text):
                found = text
    return found

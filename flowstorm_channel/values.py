"""What the events carry: inputs, responses, configurations, log entries (events.md, "Values").

Every class is frozen, slotted, keyword-only, and checks itself on construction. Members are named in
snake_case here and in camelCase on the wire.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, ClassVar

import attrs

from flowstorm_channel.schema import JsonMap, LocaleTag, Moment, Value, ZoneName, member, members, wire_class

__all__ = [
    "HELP",
    "INTRO",
    "SILENCE",
    "STOP",
    "AudioFileType",
    "Card",
    "ClientAttributes",
    "ClientConfig",
    "Command",
    "ExpectedPhrase",
    "Gender",
    "Input",
    "InputClass",
    "InputClassType",
    "Location",
    "LogEntry",
    "LogLevel",
    "Punctuation",
    "Request",
    "Response",
    "ResponseItem",
    "SttEncoding",
    "SttMode",
    "Token",
    "Transcript",
    "TtsConfig",
    "TtsType",
    "Word",
    "action_of",
]


INTRO = "#intro"
"""The text of the input that begins a conversation."""
SILENCE = "#silence"
"""The text of an input that says: the user said nothing."""
HELP = "help"
"""The text of an input for which a platform has a word of its own: the user does not know what to say."""
STOP = "stop"
"""The same: the user wants to leave."""


def action_of(name: str) -> str:
    """The text of an input that is a name and no words: an intent, a handler; ``#AMAZON-YesIntent``."""
    return "#" + _ODD.sub("-", name)


_ODD = re.compile(r"[^\w-]+")


class SttMode(Enum):
    """How long speech recognition listens."""

    DEFAULT = "Default"
    """Like SINGLE_UTTERANCE, without the end-of-utterance deadline (D-48)."""
    SINGLE_UTTERANCE = "SingleUtterance"
    """Until the first final result."""
    DUPLEX = "Duplex"
    """All the time, while the answer plays too (D-19, D-45)."""


class SttEncoding(Enum):
    """How the samples of the client's audio are encoded."""

    LINEAR16 = "LINEAR16"
    """Signed 16-bit little-endian."""
    MULAW = "MULAW"
    """G.711 μ-law, 8 bits."""


class TtsType(Enum):
    """In what form the client wants to get speech."""

    NONE = "None"
    """Not at all: text only."""
    REQUIRED_STREAMING = "RequiredStreaming"
    """As binary frames, one whole audio file each."""
    REQUIRED_LINKS = "RequiredLinks"
    """As addresses in `ResponseItem.audio`."""


class AudioFileType(Enum):
    """The file format of synthesised speech."""

    MP3 = "mp3"
    WAV = "wav"
    MULAW = "mulaw"


class Gender(Enum):
    """The gender of a voice."""

    MALE = "Male"
    FEMALE = "Female"


class LogLevel(Enum):
    """How grave a log entry is."""

    ERROR = "ERROR"
    WARN = "WARN"
    INFO = "INFO"
    DEBUG = "DEBUG"
    TRACE = "TRACE"


class InputClassType(Enum):
    """What an `InputClass` says about an input."""

    INTENT = "Intent"
    ENTITY = "Entity"
    SENTIMENT = "Sentiment"


@wire_class
class Transcript(Value):
    """A text with the confidence of its recognition."""

    text: str = member(doc="what was said or typed")
    confidence: float = member(default=1.0, doc="0 to 1; JavaScript clients send none")


@wire_class
class InputClass(Value):
    """A classification of an input or of one of its words."""

    type: InputClassType = member(doc="intent, entity or sentiment")
    name: str = member(doc="of the class; those of entities begin with `B-` or `I-`")
    score: float = member(default=1.0, doc="0 to 1")
    model_id: str = member(
        default="", wire="model_id", doc="of the model that classified; snake_case on the wire"
    )


@wire_class
class Word(Value):
    """A word of an input."""

    TYPE: ClassVar[str] = "Word"

    text: str = member(doc="the word")
    classes: tuple[InputClass, ...] = member(default=(), doc="what it was classified as")
    start_time: float = member(default=0.0, doc="seconds from the start of the audio")
    end_time: float = member(default=0.0, doc="seconds from the start of the audio")


@wire_class
class Punctuation(Value):
    """A punctuation mark of an input."""

    TYPE: ClassVar[str] = "Punctuation"

    text: str = member(doc="the mark")


Token = Word | Punctuation
"""A part of an input, told apart by `type` on the wire."""

_ACTION = re.compile(r"#[\w-]+")
_COMMAND = re.compile(r"#(\S+)")
_INLINE_COMMAND = re.compile(r"(?<!\S)#[\w-]+\s*")


@wire_class
class Input(Value):
    """One input of the user."""

    locale: LocaleTag = member(default="en", doc="the language of the input")
    zone_id: ZoneName = member(default="Europe/Paris", doc="the user's time zone (D-09); on V2 the request's")
    transcript: Transcript = member(default=Transcript(text=""), doc="the text")
    alternatives: tuple[Transcript, ...] = member(default=(), doc="other readings of the same speech")
    classes: tuple[InputClass, ...] = member(default=(), doc="intents and sentiments of the whole")
    tokens: tuple[Token, ...] = member(default=(), doc="words and punctuation")
    action: str | None = member(default=None, doc="a name the client gives to the input")
    attributes: JsonMap = member(factory=dict, doc="client attributes, such as `clientType`")

    @property
    def text(self) -> str:
        """The text of the transcript."""
        return self.transcript.text

    @property
    def is_action(self) -> bool:
        """Whether the whole text is an action such as ``#intro`` or ``#silence`` (events.md)."""
        return _ACTION.fullmatch(self.transcript.text) is not None


@wire_class
class Request(Value):
    """An input with the names of who says it: the older form, still spoken by Kotlin clients."""

    app_key: str = member(aliases=("key",), doc="the application")
    device_id: str = member(aliases=("sender",), doc="the device")
    token: str | None = member(
        default=None, secret=True, doc="of the user; the library compares it with nothing (D-61)"
    )
    session_id: str = member(doc="the session the client believes in (D-04)")
    initiation_id: str | None = member(default=None, doc="of an outbound call")
    input: Input = member(doc="what the user says")
    attributes: JsonMap = member(factory=dict, doc="client attributes; they win over those of the input")


@wire_class
class TtsConfig(Value):
    """A voice."""

    provider: str = member(doc="of the speech synthesis: `Google`, `Amazon`, `Microsoft` …")
    locale: LocaleTag = member(doc="the language it speaks")
    gender: Gender = member(doc="of the voice")
    name: str = member(doc="of the voice, as its provider calls it")
    engine: str | None = member(default=None, doc="of the provider, such as `neural`")
    amazon_alexa: str | None = member(default=None, doc="the voice that stands in for it on Alexa")
    google_assistant: str | None = member(default=None, doc="the voice variant on Google Assistant")


@attrs.frozen(kw_only=True)
class Command:
    """An instruction to the client, sent as a response item (D-26).

    Args:
        name: without the `#`: ``card``, ``volume``, ``suggestions`` …
        payload: the item's `code`: its JSON value when it is JSON, else the text; None without one.
    """

    name: str
    payload: Any = None


@wire_class
class ResponseItem(Value):
    """One part of a response.

    Addresses that start with ``/`` are relative to the server's base URL.
    """

    text: str = member(default="", doc="to show; exactly `#name` for a command")
    ssml: str | None = member(default=None, doc="to speak")
    confidence: float = member(default=1.0, doc="0 to 1")
    image: str | None = member(default=None, doc="address of an image to show")
    video: str | None = member(default=None, doc="address of a video to play")
    audio: str | None = member(default=None, doc="address of audio to play")
    code: str | None = member(default=None, doc="the payload of a command")
    background: str | None = member(default=None, doc="address of an image, or a colour, behind it all")
    tts_config: TtsConfig | None = member(default=None, doc="the voice that speaks it")
    repeatable: bool = member(default=True, doc="whether it may be said again when the user asks")
    node_id: int | None = member(default=None, doc="of the dialogue node it comes from")

    @property
    def command(self) -> Command | None:
        """The command that this item is, when it is one (D-26)."""
        found = _COMMAND.fullmatch(self.text)
        if found is None:
            return None
        return Command(name=found[1], payload=None if self.code is None else _json_or_text(self.code))

    @property
    def playable(self) -> bool:
        """Whether there is something to play or to show, for which a client stays in Responding (D-40)."""
        return bool(
            self.audio
            or self.video
            or self.image
            or self.ssml
            or (self.text and not _COMMAND.fullmatch(self.text))
        )

    @property
    def plain_text(self) -> str:
        """The text without commands inside it, as the Kotlin client shows it (D-26)."""
        return _INLINE_COMMAND.sub("", self.text).rstrip() if "#" in self.text else self.text


def _json_or_text(code: str) -> Any:
    try:
        return json.loads(code)
    except (ValueError, RecursionError):
        return code


@wire_class
class LogEntry(Value):
    """One line of a log."""

    time: Moment | None = member(default=None, doc="when, in UTC")
    relative_time: float = member(default=0.0, doc="seconds since the start; clients send any value")
    level: LogLevel = member(default=LogLevel.INFO, doc="how grave")
    text: str = member(default="", doc="what")


@wire_class
class ExpectedPhrase(Value):
    """A phrase that the user is likely to say next: a hint for speech recognition."""

    text: str = member(default="", doc="the phrase")
    boost: float = member(default=1.0, doc="how likely, relative to others")


@wire_class
class Response(Value):
    """The end of the answer to one input, and what holds for the time after it."""

    locale: LocaleTag | None = member(default=None, doc="of the next input (D-62); none: the session's")
    items: tuple[ResponseItem, ...] = member(default=(), doc="those that were not sent singly")
    logs: tuple[LogEntry, ...] = member(default=(), doc="of the server, for the client to show")
    attributes: JsonMap = member(factory=dict, doc="such as `speakingRate`")
    stt_mode: SttMode | None = member(default=None, doc="from the next opening of the audio stream on (D-62)")
    expected_phrases: tuple[ExpectedPhrase, ...] = member(default=(), doc="hints for the next input (D-62)")
    session_ended: bool = member(default=False, doc="the conversation is over")
    sleep_timeout: int = member(
        default=0,
        aliases=("sessionTimeout",),
        doc="seconds for which the session sleeps; 0: it does not",
    )
    turn_id: str | None = member(default=None, doc="for a later vote")

    @property
    def ends(self) -> bool:
        """Whether the session is over with it; else it goes on, or sleeps (D-51)."""
        return self.session_ended and self.sleep_timeout <= 0


@wire_class
class ClientConfig(Value):
    """What a client wants and can do."""

    locale: LocaleTag = member(default="en", doc="the language of the conversation")
    zone_id: ZoneName = member(default="Europe/Paris", doc="the user's time zone")
    stt: bool = member(default=False, doc="the client wants speech recognition; without effect here (D-63)")
    stt_mode: SttMode = member(default=SttMode.SINGLE_UTTERANCE, doc="how long recognition listens")
    stt_sample_rate: int = member(default=16000, doc="of the client's audio, in Hz")
    tts: TtsType = member(default=TtsType.NONE, doc="the form of speech it wants")
    tts_config: TtsConfig | None = member(default=None, doc="the voice it wants")
    tts_file_type: AudioFileType = member(default=AudioFileType.MP3, doc="the file format of speech")
    voice: str | None = member(default=None, doc="a voice by name; without effect here (D-63)")
    return_ssml: bool = member(default=False, doc="it wants SSML; never stripped anyway (D-63)")
    silence_timeout: int = member(default=5000, doc="milliseconds until the turn is `#silence`; 0: never")
    test: bool = member(default=False, doc="a test run; without effect here (D-63)")
    send_response_items: bool = member(default=False, doc="it understands ResponseItem (D-06)")
    stt_interim_results: bool = member(default=False, doc="it wants interim results (D-06)")


@wire_class
class Card(Value):
    """The payload of the `#card` command."""

    title: str = member(default="", doc="the heading")
    text: str = member(default="", doc="the body")

    @classmethod
    def of(cls, payload: Any) -> "Card":
        """The card of a command's payload. One that is no object is its text; what is no text is absent."""
        if isinstance(payload, Mapping):
            return cls(title=_real_text(payload.get("title")), text=_real_text(payload.get("text")))
        return cls(text=_real_text(payload))


def _real_text(value: Any) -> str:
    """A text of a payload as it can be sent on: JSON can spell what is no character."""
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else ""


_LOCATION_KEYS = ("lat", "lng", "acc", "alt", "alt_acc", "spd", "spd_acc", "hdg", "hdg_acc")


@wire_class
class Location(Value):
    """Where the client is: the attribute `clientLocation`, text such as ``lat=50.1,lng=14.4,acc=8.0``."""

    lat: float = member(doc="degrees north")
    lng: float = member(doc="degrees east")
    acc: float | None = member(default=None, doc="accuracy in metres")
    alt: float | None = member(default=None, doc="altitude in metres")
    alt_acc: float | None = member(default=None, doc="accuracy of the altitude in metres")
    spd: float | None = member(default=None, doc="speed in metres a second")
    spd_acc: float | None = member(default=None, doc="accuracy of the speed")
    hdg: float | None = member(default=None, doc="heading in degrees from north")
    hdg_acc: float | None = member(default=None, doc="accuracy of the heading")

    def __str__(self) -> str:
        given = ((key, getattr(self, key)) for key in _LOCATION_KEYS)
        return ",".join(f"{key}={value}" for key, value in given if value is not None)

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Read the attribute's text; unknown parts are ignored.

        Raises:
            ValueError: `lat` or `lng` is missing, or a part is no finite number.
        """
        given = {}
        for part in text.split(","):
            key, _, value = part.strip().partition("=")
            given[key] = value
        try:
            return cls(**{key: float(given[key]) for key in _LOCATION_KEYS if key in given})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{text!r} is not a location: {error}") from None


@wire_class
class ClientAttributes(Value):
    """The attributes by which a client tells about itself and its surroundings (events.md)."""

    client_type: str = member(default="unknown", doc="`name:version`, such as `web:1.0`")
    client_screen: bool = member(default=False, doc="it has a screen")
    client_location: Location | None = member(default=None, doc="where it is")
    client_temperature: float = member(default=-273.15, doc="degrees Celsius around it")
    client_ambient_light: float = member(default=0.0, doc="light around it")
    client_spatial_motion: float = member(default=0.0, doc="how it is moved")
    client_speech_angle: int = member(default=-1, doc="where the user speaks, 0 to 359 degrees; -1: unknown")
    client_speech_detected: bool = member(default=False, doc="somebody speaks")

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "ClientAttributes":
        """Read those of an input or a request; what is absent or of a wrong type is taken as default."""
        found = cls()
        for name, wire in _CLIENT_ATTRIBUTES.items():
            value = attributes.get(wire)
            with suppress(TypeError, ValueError):
                if name == "client_location" and isinstance(value, str):
                    value = Location.parse(value)
                found = found.replace(**{name: value})
        return found

    def to_map(self) -> dict[str, Any]:
        """The attributes as they are sent, without those that are default."""
        default = ClientAttributes()
        return {
            wire: str(value) if isinstance(value, Location) else value
            for name, wire in _CLIENT_ATTRIBUTES.items()
            if (value := getattr(self, name)) != getattr(default, name)
        }


_CLIENT_ATTRIBUTES = {each.name: each.wire for each in members(ClientAttributes)}

"""The events as Structs of msgspec: as fast as it gets in Python."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from flowstorm_channel.values import AudioFileType, Gender, InputClassType, LogLevel, SttMode, TtsType

__all__ = ["EVENT", "FROM_JSON", "FROM_MSGPACK"]


class Struct(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    pass


class Transcript(Struct, kw_only=True):
    text: str
    confidence: float = 1.0


class InputClass(Struct, kw_only=True):
    type: InputClassType
    name: str
    score: float = 1.0
    model_id: str = msgspec.field(default="", name="model_id")


class Word(Struct, kw_only=True, tag="Word"):
    text: str
    classes: tuple[InputClass, ...] = ()
    start_time: float = 0.0
    end_time: float = 0.0


class Punctuation(Struct, kw_only=True, tag="Punctuation"):
    text: str


class Input(Struct, kw_only=True):
    locale: str = "en"
    zone_id: str = "Europe/Paris"
    transcript: Transcript = Transcript(text="")
    alternatives: tuple[Transcript, ...] = ()
    classes: tuple[InputClass, ...] = ()
    tokens: tuple[Word | Punctuation, ...] = ()
    action: str | None = None
    attributes: dict[str, Any] = {}


class Request(Struct, kw_only=True):
    app_key: str
    device_id: str
    token: str | None = None
    session_id: str
    initiation_id: str | None = None
    input: Input
    attributes: dict[str, Any] = {}


class TtsConfig(Struct, kw_only=True):
    provider: str
    locale: str
    gender: Gender
    name: str
    engine: str | None = None
    amazon_alexa: str | None = None
    google_assistant: str | None = None


class ResponseItem(Struct, kw_only=True):
    text: str = ""
    ssml: str | None = None
    confidence: float = 1.0
    image: str | None = None
    video: str | None = None
    audio: str | None = None
    code: str | None = None
    background: str | None = None
    tts_config: TtsConfig | None = None
    repeatable: bool = True
    node_id: int | None = None


class LogEntry(Struct, kw_only=True):
    time: datetime | None = None
    relative_time: float = 0.0
    level: LogLevel = LogLevel.INFO
    text: str = ""


class ExpectedPhrase(Struct, kw_only=True):
    text: str = ""
    boost: float = 1.0


class Response(Struct, kw_only=True):
    locale: str | None = None
    items: tuple[ResponseItem, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    attributes: dict[str, Any] = {}
    stt_mode: SttMode | None = None
    expected_phrases: tuple[ExpectedPhrase, ...] = ()
    session_ended: bool = False
    sleep_timeout: int = 0
    turn_id: str | None = None


class ClientConfig(Struct, kw_only=True):
    locale: str = "en"
    zone_id: str = "Europe/Paris"
    stt: bool = False
    stt_mode: SttMode = SttMode.SINGLE_UTTERANCE
    stt_sample_rate: int = 16000
    tts: TtsType = TtsType.NONE
    tts_config: TtsConfig | None = None
    tts_file_type: AudioFileType = AudioFileType.MP3
    voice: str | None = None
    return_ssml: bool = False
    silence_timeout: int = 5000
    test: bool = False
    send_response_items: bool = False
    stt_interim_results: bool = False


class InputEvent(Struct, kw_only=True, tag="Input"):
    input: Input


class RequestEvent(Struct, kw_only=True, tag="Request"):
    request: Request


class InputAudioStreamOpen(Struct, kw_only=True, tag="InputAudioStreamOpen"):
    session_id: str | None = None


class InputAudioStreamClose(Struct, kw_only=True, tag="InputAudioStreamClose"):
    pass


class InputAudioStreamCancel(Struct, kw_only=True, tag="InputAudioStreamCancel"):
    pass


class InputStreamClose(Struct, kw_only=True, tag="InputStreamClose"):
    pass


class RecognizedInput(Struct, kw_only=True, tag="RecognizedInput"):
    input: Input
    is_final: bool


class Recognized(Struct, kw_only=True, tag="Recognized"):
    text: str
    is_final: bool


class ResponseItemEvent(Struct, kw_only=True, tag="ResponseItem"):
    response_item: ResponseItem


class ResponseEvent(Struct, kw_only=True, tag="Response"):
    response: Response


class Init(Struct, kw_only=True, tag="Init"):
    key: str
    device_id: str
    token: str | None = None
    config: ClientConfig = ClientConfig()


class Ready(Struct, kw_only=True, tag="Ready"):
    pass


class Error(Struct, kw_only=True, tag="Error"):
    text: str
    source: str | None = None


class SessionStarted(Struct, kw_only=True, tag="SessionStarted"):
    session_id: str


class SessionEnded(Struct, kw_only=True, tag="SessionEnded"):
    pass


class Log(Struct, kw_only=True, tag="Log"):
    entries: tuple[LogEntry, ...] = ()


class Binary(Struct, kw_only=True, tag="Binary"):
    data: bytes


class Vote(Struct, kw_only=True, tag="Vote"):
    turn_id: str
    vote: int


EVENT = (
    InputEvent
    | RequestEvent
    | InputAudioStreamOpen
    | InputAudioStreamClose
    | InputAudioStreamCancel
    | InputStreamClose
    | RecognizedInput
    | Recognized
    | ResponseItemEvent
    | ResponseEvent
    | Init
    | Ready
    | Error
    | SessionStarted
    | SessionEnded
    | Log
    | Vote
    | Binary
)

FROM_JSON = msgspec.json.Decoder(EVENT)
FROM_MSGPACK = msgspec.msgpack.Decoder(EVENT)

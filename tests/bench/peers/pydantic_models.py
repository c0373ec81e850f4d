"""The events as models of pydantic, as its documentation has one write them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from flowstorm_channel.values import AudioFileType, Gender, InputClassType, LogLevel, SttMode, TtsType

__all__ = ["EVENT", "PACKED_EVENT"]


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class Transcript(Model):
    text: str
    confidence: float = 1.0


class InputClass(Model):
    type: InputClassType
    name: str
    score: float = 1.0
    model_id: str = Field(default="", alias="model_id")


class Word(Model):
    type: Literal["Word"] = "Word"
    text: str
    classes: tuple[InputClass, ...] = ()
    start_time: float = 0.0
    end_time: float = 0.0


class Punctuation(Model):
    type: Literal["Punctuation"] = "Punctuation"
    text: str


class Input(Model):
    locale: str = "en"
    zone_id: str = "Europe/Paris"
    transcript: Transcript = Transcript(text="")
    alternatives: tuple[Transcript, ...] = ()
    classes: tuple[InputClass, ...] = ()
    tokens: tuple[Annotated[Word | Punctuation, Field(discriminator="type")], ...] = ()
    action: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)


class Request(Model):
    app_key: str
    device_id: str
    token: str | None = None
    session_id: str
    initiation_id: str | None = None
    input: Input
    attributes: dict[str, Any] = Field(default_factory=dict)


class TtsConfig(Model):
    provider: str
    locale: str
    gender: Gender
    name: str
    engine: str | None = None
    amazon_alexa: str | None = None
    google_assistant: str | None = None


class ResponseItem(Model):
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


class LogEntry(Model):
    time: datetime | None = None
    relative_time: float = 0.0
    level: LogLevel = LogLevel.INFO
    text: str = ""


class ExpectedPhrase(Model):
    text: str = ""
    boost: float = 1.0


class Response(Model):
    locale: str | None = None
    items: tuple[ResponseItem, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    attributes: dict[str, Any] = Field(default_factory=dict)
    stt_mode: SttMode | None = None
    expected_phrases: tuple[ExpectedPhrase, ...] = ()
    session_ended: bool = False
    sleep_timeout: int = 0
    turn_id: str | None = None


class ClientConfig(Model):
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


class InputEvent(Model):
    type: Literal["Input"] = "Input"
    input: Input


class RequestEvent(Model):
    type: Literal["Request"] = "Request"
    request: Request


class InputAudioStreamOpen(Model):
    type: Literal["InputAudioStreamOpen"] = "InputAudioStreamOpen"
    session_id: str | None = None


class InputAudioStreamClose(Model):
    type: Literal["InputAudioStreamClose"] = "InputAudioStreamClose"


class InputAudioStreamCancel(Model):
    type: Literal["InputAudioStreamCancel"] = "InputAudioStreamCancel"


class InputStreamClose(Model):
    type: Literal["InputStreamClose"] = "InputStreamClose"


class RecognizedInput(Model):
    type: Literal["RecognizedInput"] = "RecognizedInput"
    input: Input
    is_final: bool


class Recognized(Model):
    type: Literal["Recognized"] = "Recognized"
    text: str
    is_final: bool


class ResponseItemEvent(Model):
    type: Literal["ResponseItem"] = "ResponseItem"
    response_item: ResponseItem


class ResponseEvent(Model):
    type: Literal["Response"] = "Response"
    response: Response


class Init(Model):
    type: Literal["Init"] = "Init"
    key: str
    device_id: str
    token: str | None = None
    config: ClientConfig = ClientConfig()


class Ready(Model):
    type: Literal["Ready"] = "Ready"


class Error(Model):
    type: Literal["Error"] = "Error"
    text: str
    source: str | None = None


class SessionStarted(Model):
    type: Literal["SessionStarted"] = "SessionStarted"
    session_id: str


class SessionEnded(Model):
    type: Literal["SessionEnded"] = "SessionEnded"


class Log(Model):
    type: Literal["Log"] = "Log"
    entries: tuple[LogEntry, ...] = ()


class Binary(Model):
    type: Literal["Binary"] = "Binary"
    data: Base64Bytes


class PackedBinary(Model):
    type: Literal["Binary"] = "Binary"
    data: bytes


class Vote(Model):
    type: Literal["Vote"] = "Vote"
    turn_id: str
    vote: int


_MOST = (
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
)

EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[_MOST | Binary, Field(discriminator="type")])
PACKED_EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[_MOST | PackedBinary, Field(discriminator="type")])
"""The same, out of what msgpack unpacks."""

"""The dialogue that the kit likes best, and a recogniser: what every capability of a server looks like.

`flowstorm-channel serve` answers to the same words. Who builds a server can teach them to its dialogue, and
everything that the kit knows can be checked on it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from flowstorm_channel.conformance.profile import KEYS, PHRASES
from flowstorm_channel.errors import LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    DtmfEvent,
    Event,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
)
from flowstorm_channel.server import AudioStream, ServerChannel, Turn
from flowstorm_channel.twilio.audio import pcm_of
from flowstorm_channel.values import INTRO, AudioFileType, ResponseItem, SttEncoding, TtsType

__all__ = ["REFUSED_KEY", "SPOKEN", "ReferenceHost"]

REFUSED_KEY = "refused"
"""The key that the host refuses."""
SPOKEN = "spoken words"
"""What it recognises in any speech."""

Part = str | ResponseItem | bytes
Step = tuple[float, Callable[[], object]]

LONG = tuple(f"This is sentence {number} of twelve." for number in range(1, 13))
PAUSE = 0.3
"""Seconds between the sentences of a long answer."""
SLEEP_FOR = 60
SLOW = 12.0
"""Seconds until a slow answer comes."""
LATER = 1.0
_IMAGE = "https://example.com/image.png"
_VIDEO = "https://example.com/video.mp4"
_AUDIO = "https://example.com/"
_VOLUME = 40
"""How many bytes of audio there are for one of text: an answer takes a while to play."""
_ON_THE_PHONE = 300
"""The same for the telephone, where so many bytes are about as long as somebody says it."""
_LOUD = 500
_QUIET_FOR = 0.5  # seconds
_WINDOW = 3200  # bytes: however audio was cut, loudness is that of a moment
CARD = ResponseItem(text="#card", code=json.dumps({"title": "A card", "text": "Fish & chips"}))
SUGGESTIONS = ResponseItem(
    text="#suggestions",
    code=json.dumps(["yes", "no", "yes", "something that takes far too long to say", *map(str, range(9))]),
)
MUCH = "wave \N{HIRAGANA LETTER NA}\N{HIRAGANA LETTER MI} \N{EM DASH} " * 1500
"""Many words without an end, most of which take more bytes than characters."""
_CAPABILITY = {phrase: capability for capability, phrase in PHRASES.items()}
_PRESSED = {key: PHRASES[capability] for capability, key in KEYS.items()}


class _Recogniser:
    """Hears speech, and not what is said: something loud, then quiet for a while."""

    def __init__(self, stream: AudioStream) -> None:
        self.stream = stream
        self._spoken = False
        self._quiet = 0.0

    def feed(self, block: bytes) -> None:
        for start in range(0, len(block), _WINDOW):
            self._hear(block[start : start + _WINDOW])

    def _hear(self, block: bytes) -> None:
        if self.stream.over:
            return
        config = self.stream.config
        mulaw = self.stream.encoding is SttEncoding.MULAW
        pcm = pcm_of(block) if mulaw else block
        samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
        if samples and sum(map(abs, samples)) / len(samples) >= _LOUD:
            self._spoken, self._quiet = True, 0.0
            self.stream.recognized("spoken", final=False)
        elif self._spoken:
            self._quiet += len(samples) / config.stt_sample_rate
            if self._quiet >= _QUIET_FOR:
                self._spoken, self._quiet = False, 0.0
                self.stream.recognized(SPOKEN, final=True)


class ReferenceHost:
    """Answers at servers in memory, as `PHRASES` says.

    Args:
        clock: of the channels.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: list[Step] = []
        self._recognisers: dict[ServerChannel, _Recogniser] = {}

    def take(self, channel: ServerChannel, event: Event) -> None:
        """Act on what a channel tells."""
        match event:
            case InitEvent():
                if event.key == REFUSED_KEY:
                    channel.fail("this key is not welcome")
                else:
                    channel.ready()
            case InputAudioStreamOpenEvent():
                self._recognisers[channel] = _Recogniser(channel.stream)
                channel.stream.ready()
            case BinaryEvent() if channel in self._recognisers:
                self._recognisers[channel].feed(event.data)
            case InputAudioStreamCloseEvent() | InputAudioStreamCancelEvent() | ClosedEvent():
                self._recognisers.pop(channel, None)
            case DtmfEvent() if event.digit in _PRESSED:
                with suppress(LocalProtocolError):  # the session has ended
                    channel.stream.recognized(_PRESSED[event.digit], final=True)
            case InputEvent():
                self._answer(channel, channel.turn)

    def next_deadline(self) -> float | None:
        """When it will say something more."""
        return min((at for at, _ in self._steps), default=None)

    def run_due(self) -> None:
        """Say what is due."""
        now = self._clock()
        due = sorted((each for each in self._steps if each[0] <= now), key=lambda step: step[0])
        self._steps = [each for each in self._steps if each[0] > now]
        for _, act in due:
            act()

    def _answer(self, channel: ServerChannel, turn: Turn) -> None:
        at = self._clock()
        match _CAPABILITY.get(turn.text.strip().lower()):
            case "end":
                self._plan(at, turn, ["Goodbye."], session_ended=True)
            case "sleep":
                self._plan(at, turn, ["I sleep for a minute."], sleep_timeout=SLEEP_FOR)
            case "long":
                self._plan(at, turn, LONG)
            case "nothing":
                self._plan(at, turn, [])
            case "fail":
                turn.fail("something went wrong")
            case "later":
                self._plan(at, turn, ["I shall say something more."])
                self._steps.append((at + LATER, lambda: self._begin(channel)))
            case "image":
                self._plan(at, turn, [ResponseItem(text="A wave.", image=_IMAGE)])
            case "video":
                self._plan(at, turn, [ResponseItem(text="A film.", video=_VIDEO)])
            case "command":
                self._plan(at, turn, [ResponseItem(text="#volume", code="up"), "Louder."])
            case "czech":
                self._plan(at, turn, ["Nyní mluvím česky."], locale="cs")
            case "card":
                self._plan(at, turn, [CARD, "This is on the card."])
            case "suggestions":
                self._plan(at, turn, [SUGGESTIONS, "What else?"])
            case "much":
                self._plan(at, turn, [ResponseItem(text=MUCH, image=_IMAGE)])
            case "slow":
                self._plan(at + SLOW, turn, ["That took a while."])
            case "count":
                data = turn.session.data
                data["count"] = data.get("count", 0) + 1
                self._plan(at, turn, [f"That was number {data['count']}."])
            case _:
                greeting = "Hello! I say after you what you say."
                self._plan(at, turn, [greeting if turn.text == INTRO else f"You said: {turn.text}"])

    def _begin(self, channel: ServerChannel) -> None:
        with suppress(LocalProtocolError):  # the user said something in the meantime, or has gone
            self._plan(self._clock(), channel.begin(), ["By the way!"])

    def _plan(self, at: float, turn: Turn, parts: Sequence[Part], **members: Any) -> None:
        for part in parts:
            for each in _voiced(part, turn):
                self._steps.append((at, partial(_unless_over, partial(turn.say, each))))
            at += PAUSE if len(parts) > 2 else 0.0
        self._steps.append((at, partial(_unless_over, partial(turn.finish, **members))))


def _voiced(part: Part, turn: Turn) -> list[Part]:
    """A part, with the audio of its words for clients that want it."""
    item = ResponseItem(text=part) if isinstance(part, str) else part
    if isinstance(item, bytes) or not item.plain_text:
        return [part]
    config = turn.init.config
    match config.tts:
        case TtsType.REQUIRED_STREAMING:
            return [part, _sound(item.plain_text, config.tts_file_type)]
        case TtsType.REQUIRED_LINKS:
            return [item.replace(audio=f"{_AUDIO}{zlib.crc32(item.plain_text.encode())}.mp3")]
    return [part]


def _sound(words: str, file_type: AudioFileType) -> bytes:
    """What stands for the audio of words: it begins like such a file, and is as long as they are."""
    data = (words + " ").encode() * (_ON_THE_PHONE if file_type is AudioFileType.MULAW else _VOLUME)
    match file_type:
        case AudioFileType.WAV:
            return b"RIFF" + (len(data) + 4).to_bytes(4, "little") + b"WAVE" + data
        case AudioFileType.MP3:
            return b"ID3" + data
    return data


def _unless_over(act: Callable[[], object]) -> None:
    with suppress(TooLateError):  # the turn was interrupted
        act()

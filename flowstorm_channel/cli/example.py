"""The dialogue that ``flowstorm-channel serve`` comes with: enough of everything to try a client on."""

from __future__ import annotations

import array
import asyncio
import base64
import io
import json
import math
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.twilio.audio import SAMPLE_RATE, mulaw_of, pcm_of
from flowstorm_channel.values import AudioFileType, ClientConfig, ExpectedPhrase, ResponseItem, SttEncoding

if TYPE_CHECKING:
    from flowstorm_channel.contrib.asyncio import Part, Sound
    from flowstorm_channel.server import AudioStream, ServerChannel, Turn

__all__ = ["dialogue", "keypad", "recogniser", "voice"]

_IMAGE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='320' height='160'%3E"
    "%3Cpath fill='%23cfe6ee' d='M0 0h320v160H0z'/%3E%3Ccircle cx='236' cy='54' r='24' fill='%23f4b942'/%3E"
    "%3Cpath fill='%234a93b5' d='M0 104q40-36 80 0t80 0t80 0t80 0v56H0z'/%3E"
    "%3Cpath fill='%23226089' d='M0 130q40-28 80 0t80 0t80 0t80 0v30H0z'/%3E%3C/svg%3E"
)
PAUSE = 0.3
"""Seconds between the sentences of the long answer."""
LATER = 1.0
"""Seconds until the remark that nobody asked for."""
_HELP = (
    "Say: image, audio, video, command, card, choice, count, long, later, nothing, czech, fail, sleep, stop. "
    "Anything else I say after you."
)


async def dialogue(turn: Turn) -> AsyncIterator[Part]:
    """Greets, echoes, and does a little of everything that a dialogue can do, as it is told."""
    match turn.text.strip().lower():
        case "#intro":
            yield "Hello! I repeat what you say."
            yield _HELP
        case "#silence":
            yield "I heard nothing. Are you still there?"
        case "help":
            yield _HELP
        case "image":
            yield ResponseItem(text="A wave.", image=_IMAGE)
        case "audio":
            yield ResponseItem(text="A tune.", audio=_tune())
        case "video":
            yield ResponseItem(text="A film.", video="https://example.com/film.mp4")
        case "command":
            yield ResponseItem(
                text="#suggestions", code=json.dumps({"suggestions": ["image", "long", "stop"]})
            )
            yield "Choose one of these."
        case "long":
            for number in range(1, 13):
                yield f"This is sentence {number} of twelve; interrupt me whenever you like."
                await asyncio.sleep(PAUSE)
        case "card":
            yield ResponseItem(text="#card", code=json.dumps({"title": "A card", "text": "A few words."}))
            yield "There is a card in your app, if it shows any."
        case "choice":
            yield "Yes or no?"
            turn.finish(expected_phrases=[ExpectedPhrase(text="yes"), ExpectedPhrase(text="no")])
        case "count":
            count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
            yield f"You have said that {count} times in this session."
        case "later":
            yield "I shall say something more in a moment."
            asyncio.get_running_loop().call_later(LATER, _remark, turn.channel)
        case "nothing":
            return
        case "czech":
            yield "Nyní mluvím česky."
            turn.finish(locale="cs")
        case "fail":
            turn.fail("This went wrong, as you wished.")
        case "sleep":
            yield "I sleep for a minute. Say something to wake me."
            turn.finish(sleep_timeout=60)
        case "stop":
            yield "Goodbye."
            turn.finish(session_ended=True)
        case _:
            yield f"You said: {turn.text}"


def _remark(channel: ServerChannel) -> None:
    """Say something of one's own accord, if there is still somebody, and nobody speaks."""
    with suppress(LocalProtocolError):
        turn = channel.begin()
        turn.say("By the way, I can also begin.")
        turn.finish()


async def voice(item: ResponseItem, config: ClientConfig) -> bytes:
    """Beeps once for each word, for clients that take their speech as μ-law or WAV."""
    samples = _pcm(_BEEP * len(item.text.split()))
    match config.tts_file_type:
        case AudioFileType.MULAW:
            return mulaw_of(samples)
        case AudioFileType.WAV:
            return _wav(samples)
        case _:
            return b""  # an MP3 cannot be made without more ado; the text is there


def keypad(digit: str, stream: AudioStream) -> None:
    """On the phone, keys stand for words: 0 ends, 1 talks long, 2 sleeps, 3 fails, 5 says nothing."""
    words = {"0": "stop", "1": "long", "2": "sleep", "3": "fail", "5": "nothing"}.get(digit)
    if words is not None:
        stream.recognized(words, final=True)


def _tone(pitch: float, seconds: float) -> list[int]:
    return [
        int(4000 * math.sin(2 * math.pi * pitch * each / SAMPLE_RATE))
        for each in range(int(SAMPLE_RATE * seconds))
    ]


def _pcm(samples: list[int]) -> bytes:
    """Signed 16-bit little-endian."""
    packed = array.array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(samples)
    return file.getvalue()


def _tune() -> str:
    """Four notes, as an address."""
    samples = _pcm([each for pitch in (523, 659, 784, 1047) for each in _tone(pitch, 0.2)])
    return f"data:audio/wav;base64,{base64.b64encode(_wav(samples)).decode()}"


_BEEP = [*_tone(440, 0.1), *([0] * (SAMPLE_RATE // 20))]
_LOUD = 500
_QUIET_FOR = 0.7
_SPOKEN_FOR = 0.2


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    """Recognises no words, only speech: once it was loud for a while and then quiet, that is what was said.

    It understands signed 16-bit little-endian samples, and the μ-law of phone calls.
    """
    rate = max(1, sound.config.stt_sample_rate)
    window = 2 * max(1, rate // 10)
    spoken = quiet = 0.0
    rest = b""
    async for block in sound:
        rest += pcm_of(block) if sound.encoding is SttEncoding.MULAW else block
        # A transport cuts audio as it likes, so that speech and the silence behind it may come in one block.
        end = len(rest) - len(rest) % window
        for start in range(0, end, window):
            samples = array.array("h", rest[start : start + window])
            if sys.byteorder == "big":
                samples.byteswap()
            seconds = len(samples) / rate
            if sum(map(abs, samples)) / len(samples) >= _LOUD:
                spoken, quiet = spoken + seconds, 0.0
                yield "…", False
            elif spoken >= _SPOKEN_FOR:
                quiet += seconds
            if quiet >= _QUIET_FOR:
                yield _heard(spoken), True
                return
        rest = rest[end:]
    if spoken >= _SPOKEN_FOR:
        yield _heard(spoken), True  # a recording may end without a silence


def _heard(seconds: float) -> str:
    return f"{seconds:.1f} seconds of speech"

"""The dialogue that ``flowstorm-channel serve`` comes with: enough of everything to try a client on."""

from __future__ import annotations

import array
import asyncio
import io
import json
import math
import sys
import wave
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from flowstorm_channel.twilio.audio import SAMPLE_RATE, mulaw_of, pcm_of
from flowstorm_channel.values import AudioFileType, ClientConfig, ResponseItem, SttEncoding

if TYPE_CHECKING:
    from flowstorm_channel.contrib.asyncio import Part, Sound
    from flowstorm_channel.server import Turn

__all__ = ["dialogue", "recogniser", "voice"]

_IMAGE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 80 40'%3E"
    "%3Cpath d='M0 30q20-40 40 0t40 0v10H0z' fill='%23269'/%3E%3C/svg%3E"
)
PAUSE = 0.3
"""Seconds between the sentences of the long answer."""
_HELP = "Say: image, command, long, sleep, stop. Anything else I say after you."


async def dialogue(turn: Turn) -> AsyncIterator[Part]:
    """Greets, echoes, shows an image, sends a command, talks long, sleeps, and stops, as it is told."""
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
        case "command":
            yield ResponseItem(
                text="#suggestions", code=json.dumps({"suggestions": ["image", "long", "stop"]})
            )
            yield "Choose one of these."
        case "long":
            for number in range(1, 13):
                yield f"This is sentence {number} of twelve; interrupt me whenever you like."
                await asyncio.sleep(PAUSE)
        case "sleep":
            yield "I sleep for a minute. Say something to wake me."
            turn.finish(sleep_timeout=60)
        case "stop":
            yield "Goodbye."
            turn.finish(session_ended=True)
        case _:
            yield f"You said: {turn.text}"


async def voice(item: ResponseItem, config: ClientConfig) -> bytes:
    """Beeps once for each word, for clients that take their speech as μ-law or WAV."""
    words = len(item.text.split())
    samples = array.array("h", _BEEP * words)
    if sys.byteorder == "big":
        samples.byteswap()
    match config.tts_file_type:
        case AudioFileType.MULAW:
            return mulaw_of(samples.tobytes())
        case AudioFileType.WAV:
            file = io.BytesIO()
            with wave.open(file, "wb") as writer:
                writer.setnchannels(1)
                writer.setsampwidth(2)
                writer.setframerate(SAMPLE_RATE)
                writer.writeframes(samples.tobytes())
            return file.getvalue()
        case _:
            return b""  # an MP3 cannot be made without more ado; the text is there


_BEEP = [
    *(int(4000 * math.sin(2 * math.pi * 440 * each / SAMPLE_RATE)) for each in range(SAMPLE_RATE // 10)),
    *(0 for _ in range(SAMPLE_RATE // 20)),
]
_LOUD = 500
_QUIET_FOR = 0.7
_SPOKEN_FOR = 0.2


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    """Recognises no words, only speech: once it was loud for a while and then quiet, that is what was said.

    It understands signed 16-bit little-endian samples, and the μ-law of phone calls.
    """
    rate = max(1, sound.config.stt_sample_rate)
    spoken = quiet = 0.0
    rest = b""
    async for block in sound:
        data = rest + (pcm_of(block) if sound.encoding is SttEncoding.MULAW else block)
        whole = len(data) - len(data) % 2
        rest = data[whole:]
        samples = array.array("h", data[:whole])
        if sys.byteorder == "big":
            samples.byteswap()
        seconds = len(samples) / rate
        if samples and sum(map(abs, samples)) / len(samples) >= _LOUD:
            spoken, quiet = spoken + seconds, 0.0
            yield "…", False
        elif spoken >= _SPOKEN_FOR:
            quiet += seconds
        if quiet >= _QUIET_FOR:
            yield f"{spoken:.1f} seconds of speech", True
            return

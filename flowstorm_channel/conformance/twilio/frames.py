"""What the kit reads and writes on the wire of a phone call, by hand: JSON, base64 and μ-law."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from functools import lru_cache
from typing import Any

from flowstorm_channel.wire import Close, Message

__all__ = ["FRAME", "Frame", "audio_of", "mulaw_of", "name", "object_of", "problem_of", "read_frame"]

Frame = dict[str, Any]

FRAME = 160
"""Bytes of a caller's frame: 20 ms."""
EVENTS = ("media", "mark", "clear")
"""All that a server can say."""


def object_of(message: Message) -> Frame | None:
    """The JSON object in a message; None when there is none."""
    if not isinstance(message, str):
        return None
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_frame(message: Message) -> Frame:
    """What a message of a server is: an object whose `event` is media, mark or clear.

    A close is ``{"event": "(closed)", "code": …}``; what Twilio would not understand is
    ``{"event": "(broken)", "why": …}``.
    """
    if isinstance(message, Close):
        return {"event": "(closed)", "code": int(message.code), "reason": message.reason}
    problem = problem_of(message)
    return {"event": "(broken)", "why": problem} if problem else object_of(message) or {}


def problem_of(message: Message) -> str:
    """Why Twilio would not understand a message; empty when it would."""
    frame = object_of(message)
    if frame is None:
        return f"no JSON object in a text message: {message!r:.80}"
    event = frame.get("event")
    if event not in EVENTS:
        return f"the event {event!r:.40} is none that a server sends"
    if event == "media" and audio_of(frame) is None:
        return f"media without a payload in base64: {message!r:.80}"
    if event == "mark":
        inside = frame.get("mark")
        if not isinstance(inside, dict) or not isinstance(inside.get("name"), str) or not inside["name"]:
            return f"a mark without a name: {message!r:.80}"
    return ""


def audio_of(frame: Frame) -> bytes | None:
    """The audio in a media frame; None when there is none."""
    inside = frame.get("media")
    payload = inside.get("payload") if isinstance(inside, dict) else None
    if not isinstance(payload, str):
        return None
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        return None


def name(frame: Frame | None) -> str:
    """What a frame is, in few words."""
    match frame:
        case None:
            return "nothing"
        case {"event": "(closed)", "code": code, "reason": reason}:
            return f"a close with {code} {reason}".rstrip()
        case {"event": "(broken)", "why": why}:
            return str(why)
        case {"event": "mark", "mark": {"name": text}}:
            return f"the mark {text!r:.40}"
    return str(frame["event"])


_BIAS, _MOST = 0x84, 32_635


def _level(sample: int) -> int:
    """A sample as G.711 has it: sign, exponent and mantissa, all of it inverted."""
    sign = 0x80 if sample < 0 else 0
    biased = min(abs(sample), _MOST) + _BIAS
    exponent = biased.bit_length() - 8
    return ~(sign | exponent << 4 | biased >> (exponent + 3) & 0x0F) & 0xFF


@lru_cache(maxsize=8)
def mulaw_of(pcm: bytes) -> bytes:
    """Speech as a telephone carries it: μ-law of 8000 Hz.

    Args:
        pcm: signed 16-bit little-endian mono samples of 16 kHz.
    """
    samples = struct.unpack(f"<{len(pcm) // 4 * 2}h", pcm[: len(pcm) // 4 * 4])
    return bytes(_level((one + other) // 2) for one, other in zip(samples[::2], samples[1::2], strict=True))

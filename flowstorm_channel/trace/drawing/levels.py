"""How loud a block of audio is, as far as its encoding is known."""

from __future__ import annotations

import io
import math
import struct
import wave
from operator import mul
from typing import NamedTuple

from flowstorm_channel.trace.drawing.model import SILENT

__all__ = ["Sound", "level_of"]

_FULL = 32768


class Sound(NamedTuple):
    """Audio as it was sent."""

    data: bytes
    encoding: str = ""
    """``LINEAR16``, ``MULAW``, ``WAV``; empty when it is not known."""
    rate: int | None = None
    """Samples in a second."""


def level_of(sound: Sound) -> float | None:
    """The root mean square of a block, in dB of full scale; None when that cannot be known."""
    match sound.encoding:
        case "LINEAR16":
            samples = struct.unpack(f"<{len(sound.data) // 2}h", sound.data[: len(sound.data) // 2 * 2])
            return _level(sum(map(mul, samples, samples)), len(samples))
        case "MULAW":
            return _level(sum(map(_SQUARES.__getitem__, sound.data)), len(sound.data))
        case "WAV":
            samples_of_file = _samples(sound.data)
            return None if samples_of_file is None else level_of(samples_of_file)
    return None


def _level(squares: int, count: int) -> float:
    if not squares:
        return SILENT
    return round(max(SILENT, 10 * math.log10(squares / count / _FULL**2)), 1)


def _samples(data: bytes) -> Sound | None:
    """The samples in a WAV file of 16 bits."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() == 2:
                return Sound(file.readframes(file.getnframes()), "LINEAR16", file.getframerate())
    except (wave.Error, EOFError, ValueError, OverflowError, struct.error):
        pass
    return None


def _sample(code: int) -> int:
    """The magnitude of a sample of μ-law (G.711)."""
    inverted = ~code
    exponent, mantissa = inverted >> 4 & 0x07, inverted & 0x0F
    return (((mantissa << 3) + 0x84) << exponent) - 0x84


_SQUARES = tuple(_sample(code) ** 2 for code in range(256))

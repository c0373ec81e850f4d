"""Audio as a phone call carries it: μ-law (G.711) of 8000 Hz, one channel, without a file header.

What a host has instead, linear PCM of the same rate or a WAV file of either, becomes that. Resampling and
the decoding of MP3 and the like are the host's (external.md).
"""

from __future__ import annotations

import struct
import sys
import warnings
from functools import cache
from types import ModuleType
from typing import NamedTuple

from flowstorm_channel.errors import LocalProtocolError

__all__ = ["SAMPLE_RATE", "SILENCE", "mulaw_of", "pcm_of", "spoken"]

SAMPLE_RATE = 8000
"""Samples in a second; in μ-law these are bytes."""
SILENCE = b"\xff"
"""A sample of μ-law at rest: as many of them as a pause has samples."""


def mulaw_of(pcm: bytes) -> bytes:
    """Linear PCM as μ-law, a byte for each sample.

    Args:
        pcm: signed samples of 16 bits, little-endian, 8000 Hz, one channel.

    Raises:
        LocalProtocolError: Python 3.13 or later has no `audioop` without the extra ``audio``.
        ValueError: half a sample is left over.
    """
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} bytes are no whole number of 16-bit samples")
    converted: bytes = _audioop().lin2ulaw(_swapped(pcm), 2)
    return converted


def pcm_of(mulaw: bytes) -> bytes:
    """μ-law as linear PCM: signed samples of 16 bits, little-endian.

    Args:
        mulaw: a byte for each sample.

    Raises:
        LocalProtocolError: Python 3.13 or later has no `audioop` without the extra ``audio``.
    """
    converted: bytes = _audioop().ulaw2lin(mulaw, 2)
    return _swapped(converted)


def _swapped(pcm: bytes) -> bytes:
    """The same samples, little-endian instead of as this machine has them, or the other way."""
    if sys.byteorder == "little":
        return pcm
    swapped: bytes = _audioop().byteswap(pcm, 2)
    return swapped


@cache
def _audioop() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # 3.11 and 3.12 announce that 3.13 is without it; there another package of that name steps in.
            warnings.simplefilter("ignore", DeprecationWarning)
            import audioop
    except ModuleNotFoundError:
        raise LocalProtocolError(
            "μ-law needs audioop, which Python has no more: pip install 'flowstorm-channel[audio]'"
        ) from None
    return audioop


# ------------------------------------------------------------ what a host hands over

_FOREIGN = {
    **dict.fromkeys((b"ID3\x02\0", b"ID3\x03\0", b"ID3\x04\0"), "MP3"),
    b"OggS\0": "Ogg",
    b"fLaC\0": "FLAC",
}
"""How files begin that are handed over by mistake. No speech does: it does not leap to full loudness."""
_WANTED = f"{SAMPLE_RATE} Hz, 1 channel, 16-bit PCM or μ-law"


def spoken(data: bytes) -> bytes:
    """What a host hands over as the audio of an item, as raw μ-law.

    Args:
        data: a WAV file of 8000 Hz and one channel, with 16-bit PCM or μ-law in it; anything else is taken
            for raw μ-law already.

    Raises:
        LocalProtocolError: the file is of another kind: what it is, is told.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _of_wave(data)
    for mark, name in _FOREIGN.items():
        if data.startswith(mark):
            raise LocalProtocolError(f"the audio is {name}: decoding is the host's", legal=(_WANTED,))
    return data


_PCM, _MULAW, _EXTENSIBLE = 0x0001, 0x0007, 0xFFFE
_ENCODINGS = {_PCM: "PCM", 0x0002: "ADPCM", 0x0003: "float", 0x0006: "A-law", _MULAW: "μ-law", 0x0055: "MP3"}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the encoding in the GUID of an extensible format, when it is one of the usual encodings."""


class _Format(NamedTuple):
    """What the format chunk says."""

    encoding: int
    channels: int
    rate: int
    bits: int

    def __str__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        encoding = _ENCODINGS.get(self.encoding, f"encoding 0x{self.encoding:04x}")
        return f"{self.rate} Hz, {channels}, {self.bits}-bit {encoding}"


_AS_PCM = _Format(_PCM, 1, SAMPLE_RATE, 16)
_AS_MULAW = _Format(_MULAW, 1, SAMPLE_RATE, 8)


def _of_wave(data: bytes) -> bytes:
    chunks = _chunks(data)
    if b"fmt " not in chunks or b"data" not in chunks:
        raise LocalProtocolError("the WAV file lacks its format or its data")
    form, samples = _format(chunks[b"fmt "]), chunks[b"data"]
    if form == _AS_PCM:
        return mulaw_of(samples[: len(samples) // 2 * 2])
    if form == _AS_MULAW:
        return samples
    raise LocalProtocolError(
        f"the WAV file is of {form}: resampling and decoding are the host's", legal=(_WANTED,)
    )


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a WAV file, the first of each name."""
    found: dict[bytes, bytes] = {}
    # Who writes to a pipe cannot come back to put the sizes in: then they are zero, or too great.
    finished = int.from_bytes(data[4:8], "little") + 8 == len(data)
    position = 12
    while position + 8 <= len(data):
        name, start = data[position : position + 4], position + 8
        size = int.from_bytes(data[position + 4 : start], "little")
        if name == b"data" and not size and not finished:
            size = len(data) - start
        found.setdefault(name, data[start : start + size])
        position = start + size
        # The pad byte behind an odd chunk is forgotten by some.
        if size % 2 and data[position : position + 4] not in (b"fmt ", b"data"):
            position += 1
    return found


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise LocalProtocolError("the format of the WAV file is cut off")
    encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if encoding == _EXTENSIBLE and chunk[26:40] == _GUID_TAIL:
        encoding = int.from_bytes(chunk[24:26], "little")
    return _Format(encoding, channels, rate, bits)

"""μ-law and WAV files, against a table computed from the definition of G.711."""

from __future__ import annotations

import builtins
import random
import struct
import subprocess
import sys
from array import array
from bisect import bisect_right
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.twilio import audio
from flowstorm_channel.twilio.audio import SAMPLE_RATE, SILENCE, mulaw_of, pcm_of, spoken
from tests.depth import examples

UNHURRIED = settings(max_examples=examples(60), deadline=None)

# ------------------------------------------------------------ G.711

DECISIONS = [0, 1]
"""Where the 128 steps of one sign begin, in units of 14 bits: the first is half a step."""
for segment in range(8):
    for _ in range(15 if segment == 0 else 16):
        DECISIONS.append(DECISIONS[-1] + (2 << segment))
LEVELS = [0, *((low + high) // 2 for low, high in pairwise(DECISIONS[1:]))]
"""What each step stands for."""


def level_of(code: int) -> int:
    """What a code stands for, as a sample of 16 bits: the sign, and the number of the step, all inverted."""
    level = LEVELS[~code & 0x7F] * 4
    return level if code & 0x80 else -level


def code_of(sample: int) -> int:
    """The code of a sample of 16 bits."""
    unit = sample >> 2  # of 14 bits
    step = min(bisect_right(DECISIONS, abs(unit)) - 1, 127)
    return ~step & 0xFF if unit >= 0 else ~step & 0x7F


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def samples_of(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 2}h", data)


def test_the_table_of_this_test_is_that_of_the_standard() -> None:
    assert DECISIONS[:4] == [0, 1, 3, 5]
    assert [DECISIONS[16 * n] for n in range(1, 9)] == [31, 95, 223, 479, 991, 2015, 4063, 8159]
    assert LEVELS[:3] == [0, 2, 4]
    assert LEVELS[-1] == 8031
    assert len(LEVELS) == 128


def test_every_code_stands_for_its_level() -> None:
    assert samples_of(pcm_of(bytes(range(256)))) == tuple(map(level_of, range(256)))


def test_every_sample_gets_its_code() -> None:
    everything = range(-32768, 32768)
    assert mulaw_of(pcm(*everything)) == bytes(map(code_of, everything))


def test_the_published_extremes() -> None:
    assert samples_of(pcm_of(bytes([0x80, 0x00, 0xFF, 0x7F]))) == (32124, -32124, 0, 0)
    assert mulaw_of(pcm(32767, -32768, 0)) == bytes([0x80, 0x00, 0xFF])
    assert mulaw_of(pcm(32635, 32636, -32635)) == bytes([0x80, 0x80, 0x00])


def test_silence_is_silent() -> None:
    assert SILENCE == b"\xff"
    assert pcm_of(SILENCE * 160) == bytes(320)
    assert mulaw_of(bytes(320)) == SILENCE * 160
    assert SAMPLE_RATE == 8000


def test_codes_survive_the_way_there_and_back() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # minus zero
    assert mulaw_of(pcm_of(codes)) == codes


@UNHURRIED
@given(st.lists(st.integers(-32124, 32124)))
def test_what_is_lost_is_at_most_half_a_step(samples: list[int]) -> None:
    for sample, heard in zip(samples, samples_of(pcm_of(mulaw_of(pcm(*samples)))), strict=True):
        step = min(bisect_right(DECISIONS, abs(sample) >> 2), 128)
        width = DECISIONS[step] - DECISIONS[step - 1]
        assert abs(sample - heard) <= 4 * width + 4


def test_half_a_sample_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="3 bytes are no whole number"):
        mulaw_of(b"abc")
    assert mulaw_of(b"") == pcm_of(b"") == b""


def test_samples_are_little_endian_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def native(data: bytes) -> bytes:
        swapped = array("h", data)
        swapped.byteswap()
        return swapped.tobytes()

    samples = pcm(1000, -2000, 30000)
    codes, heard = mulaw_of(samples), pcm_of(b"\x10\x20")
    other = "big" if sys.byteorder == "little" else "little"
    monkeypatch.setattr(audio.sys, "byteorder", other)
    # A machine of the other kind reads the same bytes the other way round.
    assert mulaw_of(native(samples)) == codes
    assert pcm_of(b"\x10\x20") == native(heard)


def test_no_warning_of_audioop_reaches_anybody() -> None:
    program = "from flowstorm_channel.twilio.audio import pcm_of; assert pcm_of(b'\\xff') == b'\\0\\0'"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_audioop_is_loaded_when_it_is_needed() -> None:
    program = (
        "import sys; from flowstorm_channel.twilio.audio import pcm_of, spoken; spoken(b'raw');"
        "assert 'audioop' not in sys.modules; pcm_of(b''); assert 'audioop' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_audioop_the_command_is_told_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *args: Any, **kw: Any) -> Any:
        if name == "audioop":
            raise ModuleNotFoundError("No module named 'audioop'", name=name)
        return load(name, *args, **kw)

    audio._audioop.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        with pytest.raises(LocalProtocolError, match=r"pip install 'flowstorm-channel\[audio\]'"):
            mulaw_of(b"")
        assert spoken(b"raw") == b"raw"
        assert spoken(wave(b"ab", form=MULAW)) == b"ab"
    assert mulaw_of(b"\0\0") == SILENCE


# ------------------------------------------------------------ WAV files

PCM_GUID, MULAW_GUID = (bytes([code, 0]) + bytes.fromhex("000000001000800000aa00389b71") for code in (1, 7))


def form_of(encoding: int, channels: int, rate: int, bits: int, more: bytes = b"") -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits) + more


def extensible(guid: bytes, bits: int = 16) -> bytes:
    return form_of(0xFFFE, 1, 8000, bits, struct.pack("<HHI", 22, bits, 4) + guid)


PCM, MULAW = form_of(1, 1, 8000, 16), form_of(7, 1, 8000, 8)


def chunk(name: bytes, data: bytes, *, size: int | None = None, pad: bytes = b"\0") -> bytes:
    length = len(data) if size is None else size
    return name + struct.pack("<I", length) + data + pad * (len(data) % 2)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def wave(data: bytes, *, form: bytes = PCM) -> bytes:
    return riff(chunk(b"fmt ", form), chunk(b"data", data))


SPEECH = pcm(0, 1000, -1000, 32767, -32768)
CODES = mulaw_of(SPEECH)
AS_PCM, AS_MULAW = chunk(b"fmt ", PCM), chunk(b"fmt ", MULAW)
DATA = chunk(b"data", SPEECH)
LIST = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0")

WAVES = {
    "PCM": riff(AS_PCM, DATA),
    "PCM with an extension of no length": wave(SPEECH, form=PCM + b"\0\0"),
    "PCM, extensible": wave(SPEECH, form=extensible(PCM_GUID)),
    "mu-law": riff(AS_MULAW, chunk(b"data", CODES)),
    "mu-law with a fact": riff(
        chunk(b"fmt ", MULAW + b"\0\0"), chunk(b"fact", b"\5\0\0\0"), chunk(b"data", CODES)
    ),
    "mu-law, extensible": wave(CODES, form=extensible(MULAW_GUID, 8)),
    "chunks before, between and behind": riff(chunk(b"bext", b"x" * 9), AS_PCM, LIST, DATA, LIST),
    "data before format": riff(DATA, AS_PCM),
    "no pad byte behind an odd chunk": riff(chunk(b"LIST", b"odd", pad=b""), AS_PCM, DATA),
    "no pad byte behind an odd format": riff(chunk(b"fmt ", PCM + b"\0", pad=b""), DATA),
    "no pad byte behind the data": wave(CODES, form=MULAW)[:-1],
    "sizes too great, as written to a pipe": riff(
        AS_PCM, LIST, chunk(b"data", SPEECH, size=0xFFFFFFFF), size=0xFFFFFFFF
    ),
    "sizes of zero, as written to a pipe": riff(AS_PCM, chunk(b"data", SPEECH, size=0), size=0),
    "data said to be longer than it is": riff(AS_PCM, chunk(b"data", SPEECH, size=len(SPEECH) + 2)),
    "half a sample at the end": riff(AS_PCM, chunk(b"data", SPEECH + b"\x7f")),
    "cut inside a sample": wave(SPEECH + b"\1\2")[:-1],
    "two formats, the first counts": riff(AS_PCM, AS_MULAW, DATA),
    "something behind the file": wave(SPEECH) + b"garbage",
}


@pytest.mark.parametrize("name", WAVES)
def test_a_wave_file_becomes_raw(name: str) -> None:
    assert spoken(WAVES[name]) == CODES


def test_a_finished_file_without_a_sample_is_empty() -> None:
    assert spoken(riff(chunk(b"fmt ", PCM), chunk(b"data", b""), LIST)) == b""
    assert spoken(riff(chunk(b"fmt ", MULAW), chunk(b"data", b""))) == b""


REFUSED = {
    "44100 Hz, 1 channel, 16-bit PCM": form_of(1, 1, 44100, 16),
    "8000 Hz, 2 channels, 16-bit PCM": form_of(1, 2, 8000, 16),
    "8000 Hz, 0 channels, 16-bit PCM": form_of(1, 0, 8000, 16),
    "8000 Hz, 1 channel, 8-bit PCM": form_of(1, 1, 8000, 8),
    "8000 Hz, 1 channel, 24-bit PCM": form_of(1, 1, 8000, 24),
    "8000 Hz, 1 channel, 32-bit float": form_of(3, 1, 8000, 32),
    "8000 Hz, 1 channel, 8-bit A-law": form_of(6, 1, 8000, 8),
    "16000 Hz, 1 channel, 8-bit μ-law": form_of(7, 1, 16000, 8),
    "8000 Hz, 1 channel, 4-bit encoding 0x0011": form_of(0x11, 1, 8000, 4),
    "8000 Hz, 1 channel, 16-bit encoding 0xfffe": extensible(b"\1\0" + b"x" * 14),
    "8000 Hz, 1 channel, 24-bit PCM ": extensible(PCM_GUID, 24),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_of_another_kind_is_refused_and_told_what_it_is(what: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        spoken(wave(SPEECH, form=REFUSED[what]))
    assert str(caught.value) == (
        f"the WAV file is of {what.strip()}: resampling and decoding are the host's"
        " (legal: 8000 Hz, 1 channel, 16-bit PCM or μ-law)"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (riff(), "lacks its format or its data"),
        (riff(chunk(b"fmt ", PCM)), "lacks its format or its data"),
        (riff(chunk(b"data", SPEECH)), "lacks its format or its data"),
        (riff(chunk(b"fmt ", PCM), b"data\0\0"), "lacks its format or its data"),
        (wave(SPEECH, form=PCM[:14]), "the format of the WAV file is cut off"),
        (wave(SPEECH, form=b""), "the format of the WAV file is cut off"),
        (b"ID3\x04\0rest", "the audio is MP3: decoding is the host's"),
        (b"OggS\0rest", "the audio is Ogg"),
        (b"fLaC\0rest", "the audio is FLAC"),
    ],
    ids=["empty", "no data", "no format", "cut header", "cut format", "empty format", "mp3", "ogg", "flac"],
)
def test_a_file_that_holds_no_call_audio_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        spoken(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        SILENCE * 160,
        b"RIFF",
        b"RIFF\0\0\0\0AVI data",
        b"RIF" + b"\0" * 20,
        b"\xff\xfb\x90",
        b"ID3x",
    ],
    ids=["nothing", "a sample", "silence", "four", "another RIFF", "nearly", "like MP3", "nearly MP3"],
)
def test_what_is_no_file_is_raw(data: bytes) -> None:
    assert spoken(data) == data


@UNHURRIED
@given(st.binary(max_size=200))
def test_any_bytes_are_raw_or_refused(data: bytes) -> None:
    for whole in (data, b"RIFF" + data[:4].ljust(4, b"\0") + b"WAVE" + data[4:]):
        with suppress(LocalProtocolError):
            assert len(spoken(whole)) <= len(whole)


@UNHURRIED
@given(st.sampled_from(sorted(WAVES)), st.data())
def test_a_damaged_file_is_raw_or_refused(name: str, data: st.DataObject) -> None:
    whole = bytearray(WAVES[name])
    for place in data.draw(st.lists(st.integers(12, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(12, len(whole)))])
    with suppress(LocalProtocolError):
        assert len(spoken(cut)) <= len(cut)


def test_many_chunks_take_no_longer_than_few() -> None:
    noise = random.Random(7).randbytes(400_000)
    assert len(mulaw_of(noise)) == 200_000
    many = riff(*[chunk(b"junk", b"") for _ in range(50_000)], chunk(b"fmt ", PCM), chunk(b"data", noise))
    assert spoken(many) == mulaw_of(noise)

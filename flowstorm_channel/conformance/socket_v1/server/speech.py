"""What V1 servers say: audio for clients that want it, in the form that they want."""

from __future__ import annotations

from flowstorm_channel.conformance.socket_v1.peer import V1Caller
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check()
def audio_frames_come_only_when_they_are_wanted(server: V1Caller) -> None:
    """Asks for no speech, and for links to it: no binary frame comes."""
    for tts in ("None", "RequiredLinks"):
        answer = server.started(tts=tts).goes_on("the first turn")
        if "Binary" in answer.kinds:
            raise Violation(f"a binary frame came to a client whose tts is {tts}")


@check(needs=("audio",))
def streamed_speech_comes_in_binary_frames(server: V1Caller) -> None:
    """Asks for speech with `RequiredStreaming`: it comes as binary frames."""
    answer = server.started(tts="RequiredStreaming").goes_on("the first turn")
    heard = [each for each in answer.frames if each["type"] == "Binary" and isinstance(each["data"], bytes)]
    server.demand("audio", bool(heard), "no binary frame came to a client whose tts is RequiredStreaming")


@check(needs=("audio",))
def linked_speech_comes_with_its_item(server: V1Caller) -> None:
    """Asks for speech with `RequiredLinks`: an item names the address of its audio."""
    answer = server.started(tts="RequiredLinks").goes_on("the first turn")
    linked = any(each.get("audio") for each in answer.items)
    server.demand("audio", linked, "no item has audio for a client whose tts is RequiredLinks")


def _is_wav(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def _is_mp3(data: bytes) -> bool:
    return data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0)


@check(needs=("audio",))
def streamed_speech_is_of_the_type_that_was_asked_for(server: V1Caller) -> None:
    """Asks for speech as MP3 and as WAV: every binary frame begins like such a file."""
    for file_type, fits in (("mp3", _is_mp3), ("wav", _is_wav)):
        talk = server.started(tts="RequiredStreaming", ttsFileType=file_type)
        answer = talk.goes_on("the first turn")
        heard = [each["data"] for each in answer.frames if each["type"] == "Binary"]
        server.assume("audio", bool(heard), f"no binary frame came to a client that asked for {file_type}")
        strange = [each for each in heard if not fits(each)]
        if strange:
            raise Violation(f"a frame that begins with {strange[0][:4]!r} is no whole {file_type} file")

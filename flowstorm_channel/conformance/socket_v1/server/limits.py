"""How much a V1 server takes, and what it does with more."""

from __future__ import annotations

import json

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.peer import Conversation, V1Caller, name
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.wire import CloseCode

__all__: list[str] = []


@check()
def long_inputs_are_answered(server: V1Caller) -> None:
    """Sends an Input of 16 KiB in all: it is answered."""
    talk = server.started()
    attributes = {f"attribute{number}": "x" * 1000 for number in range(16)}
    talk.send(frames.said(server.profile.phrase("echo"), attributes=attributes))
    talk.answered("an Input of 16 KiB")


@check(needs=("speech",))
def long_blocks_of_audio_are_taken(server: V1Caller) -> None:
    """Sends a second of audio in one frame: it does no harm."""
    talk = server.listening()
    block = b"\0" * 32_000
    talk.send({"type": "Binary", "data": block} if talk.packed else block)
    found = [each for each in talk.during(500) if each["type"] in ("Error", "(closed)")]
    if found:
        raise Violation(f"a frame of 32 000 bytes of audio was answered with {name(found[0])}")


def _refused(talk: Conversation, what: str, *codes: int) -> None:
    """It is answered in some way, and the connection is not torn down."""
    found = talk.receive()
    if found is None:
        raise Violation(f"{what} was not answered at all")
    if found["type"] == "(closed)" and found["code"] in codes:
        raise Violation(f"{what} was answered with {name(found)}; the server has failed")


@check()
def what_is_too_large_is_refused(server: V1Caller) -> None:
    """Sends an Input of two megabytes: it is refused or answered, and the server goes on."""
    talk = server.started()
    talk.send(frames.said("x" * 2_000_000))
    _refused(talk, "an Input of two megabytes", CloseCode.HOST_FAILED)
    server.started().goes_on("a message that is too large")


@check()
def what_is_too_deep_is_refused(server: V1Caller) -> None:
    """Sends an Input with arrays in it 50 000 deep: it is refused or answered, and the server goes on."""
    talk = server.started()
    text = json.dumps(frames.said(server.profile.phrase("echo"), attributes={"a": 0}))
    talk.send(text.replace('"a": 0', '"a": ' + "[" * 50_000 + "]" * 50_000))
    _refused(talk, "an Input that is nested 50 000 deep", CloseCode.HOST_FAILED, CloseCode.ABNORMAL)
    server.started().goes_on("a message that is nested too deeply")

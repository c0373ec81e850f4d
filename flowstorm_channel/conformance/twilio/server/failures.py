"""What is wrong on the wire, or too much, is no reason to end a call, and none to end others."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.peer import Phone
from flowstorm_channel.conformance.twilio.server.ends import is_taken
from flowstorm_channel.conformance.twilio.server.extensions import media
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

_HUGE = 2 << 20


@check(needs=("audio", "speech"), seconds=10)
def what_is_no_frame_does_not_end_the_call(server: Phone) -> None:
    """Sends what is not JSON, no object, no event, and binary: the caller can still speak with the server."""
    call = server.greeted()
    call.converse()
    for message in ("{", "[]", "{}", '{"event": 1}', b"\x00\x01"):
        call.send(message)
    call.goes_on("what is no frame")


@check(needs=("audio", "speech"), seconds=10)
def media_without_audio_does_not_end_the_call(server: Phone) -> None:
    """Sends media whose payload is not base64, or absent: the caller can still speak with the server."""
    call = server.greeted()
    call.converse()
    call.send(media(b"", payload="this is no base64!"))
    call.send({"event": "media", "media": {"track": "inbound"}})
    call.send({"event": "media"})
    call.goes_on("media without audio")


@check(needs=("audio",))
def a_huge_frame_harms_no_other_call(server: Phone) -> None:
    """Sends a frame of two megabytes: whatever becomes of that call, the next one is taken."""
    call = server.answered()
    call.send(media(b"\xff" * _HUGE))
    server.pass_time(500)
    if not is_taken(server):
        raise Violation("after a frame of two megabytes in one call, the next was not greeted")

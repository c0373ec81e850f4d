"""Frames that a server does not know, or not then."""

from __future__ import annotations

import base64

from flowstorm_channel.conformance.twilio.frames import FRAME, Frame, mulaw_of
from flowstorm_channel.conformance.twilio.peer import OTHER, Call, Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

_NOVELTY: Frame = {"event": "novelty", "novelty": {"name": "of the year 2031"}}
_FOR_A_WHILE = 1500


def media(audio: bytes, **members: str) -> Frame:
    """A frame of the caller's audio."""
    payload = base64.b64encode(audio).decode()
    inside = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload, **members}
    return {"event": "media", "media": inside}


def heard(call: Call, after: str) -> None:
    """The call has to be greeted as any other.

    Raises:
        Violation: it is not.
    """
    if call.wait("media") is None:
        raise Violation(f"after {after} the caller is not greeted; came {call.end}")


@check(needs=("audio",))
def unknown_events_before_start_are_passed_over(server: Phone) -> None:
    """Sends an event that nobody knows between connected and start: the caller is greeted."""
    server.answered()
    heard(server.dial(early=(_NOVELTY,)), "an unknown event")


@check(needs=("audio", "speech"), seconds=10)
def unknown_events_are_passed_over(server: Phone) -> None:
    """Sends an event that nobody knows in a call: the caller can still speak with the server."""
    call = server.greeted()
    call.converse()
    call.send(_NOVELTY)
    call.goes_on("an unknown event")


@check(needs=("audio", "speech"), seconds=10)
def unknown_members_are_passed_over(server: Phone) -> None:
    """Calls with members in all frames that nobody knows yet: greeting and answers come."""
    plain = server.greeted()
    plain.converse()
    plain.hang_up()
    call = server.dial(novel=True)
    heard(call, "unknown members of start")
    call.listen()
    call.goes_on("unknown members")


@check(needs=("audio",))
def audio_before_start_is_dropped(server: Phone) -> None:
    """Sends media between connected and start: the caller is greeted."""
    server.answered()
    heard(server.dial(early=(media(bytes(FRAME)),)), "media before start")


@check(needs=("audio", "speech"), seconds=10)
def a_second_start_changes_nothing(server: Phone) -> None:
    """Sends connected and start again, with another streamSid: the call goes on, on its own stream."""
    call = server.greeted()
    call.converse()
    call.begin_again()
    call.goes_on("a second start")
    foreign = [each for each in call.all("media") if each.frame.get("streamSid") == OTHER]
    if foreign:
        raise Violation("after a second start the server talks to another stream")


@check(needs=("audio", "speech"), seconds=10)
def audio_of_others_is_dropped(server: Phone) -> None:
    """Sends speech of the outbound track, and of another stream: the server does not answer to it."""
    call = server.greeted()
    since = len(call.came)
    speech = mulaw_of(server.profile.speech)
    for start in range(0, len(speech), FRAME):
        block = speech[start : start + FRAME]
        call.send(media(block, track="outbound"))
        call.send({**media(block), "streamSid": OTHER})
    last = call.heard_until
    found = call.wait("media", since, _FOR_A_WHILE)
    if found is not None and not server.speaks_anyway(found.at - last):
        raise Violation("the server answered to speech that is not the caller's")
    call.converse()


@check(needs=("audio", "speech"), seconds=10)
def marks_that_nobody_waits_for_change_nothing(server: Phone) -> None:
    """Sends a mark that the server never set: the caller can still speak with the server."""
    call = server.greeted()
    call.converse()
    call.send({"event": "mark", "mark": {"name": "nobody-knows-it"}})
    call.goes_on("a mark that was never set")

"""What V1 servers do when a turn is interrupted, by whatever."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.peer import PARTS, V1Caller, name, payloads_of
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

_LEAKING = 1500
"""Milliseconds in which more would come of a turn that has not been stopped."""


def closes(frame: Frame | None, *, ends: bool = False) -> None:
    """The event has to be the Response that closes an interrupted turn."""
    if frame is None or frame["type"] != "Response":
        raise Violation(f"expected the Response that closes the interrupted turn, got {name(frame)}")
    held: dict[str, Any] = frame.get("response") or {}
    for member, wanted in (("items", False), ("sleepTimeout", False), ("sessionEnded", ends)):
        if bool(held.get(member)) is not wanted:
            found = held.get(member)
            raise Violation(f"in the Response that closes the interrupted turn {member} is {found!r:.60}")


@check(needs=("long",))
def an_interrupted_turn_is_closed_first(server: V1Caller) -> None:
    """Says something while the server talks: what comes first is an empty Response to the old turn."""
    talk = server.started()
    server.long_answer(talk)
    talk.during(0)
    talk.say(server.profile.phrase("echo"))
    closes(talk.next_turn())
    talk.answer()


@check(needs=("long",))
def an_interrupted_turn_says_no_more(server: V1Caller) -> None:
    """Says something while the server talks: behind the Response to the old turn nothing more of it comes."""
    of_old = server.long_payloads()
    talk = server.started()
    of_new = server.arrange(lambda: talk.goes_on("the first turn")).payloads
    server.long_answer(talk)
    talk.say(server.profile.phrase("echo"))
    server.arrange(lambda: talk.answer(ms=30_000))
    answer = server.arrange(talk.answer).frames
    late = [each for each in answer if payloads_of([each]) & (of_old - of_new)]
    late += [each for each in talk.during(_LEAKING) if each["type"] in (*PARTS, "Response", "Error")]
    if late:
        raise Violation(
            f"after the Response to the interrupted turn came {name(late[0])}, which is none of the next"
        )


@check(needs=("long", "duplex", "speech"))
def a_voice_interrupts_in_duplex(server: V1Caller) -> None:
    """Speaks into an answer in Duplex: the old turn's empty Response comes before the final result."""
    talk = server.listening(sttMode="Duplex")
    server.long_answer(talk)
    closing = [each for each in server.recognised(talk) if each["type"] == "Response"]
    if not closing:
        raise Violation("the final result came while the turn before it was still open")
    closes(closing[0])
    talk.answer()


@check(needs=("long",))
def a_client_may_end_the_session_in_mid_answer(server: V1Caller) -> None:
    """Sends SessionEnded while the server talks: an empty Response and SessionEnded come, then nothing."""
    talk = server.started()
    server.long_answer(talk)
    talk.during(0)
    talk.send(frames.ENDED)
    closes(talk.next_turn(), ends=True)
    talk.expect("SessionEnded")
    talk.stays_quiet("SessionEnded", _LEAKING)


@check(needs=("long",))
def an_error_closes_the_turn(server: V1Caller) -> None:
    """Sends what is no event while the server talks: Error comes, and then nothing of the turn any more."""
    talk = server.started()
    server.long_answer(talk)
    talk.send("{")
    server.arrange(lambda: talk.until("Error"))
    talk.stays_quiet("the Error", _LEAKING)

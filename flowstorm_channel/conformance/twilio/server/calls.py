"""What a caller hears: the greeting, answers, and nothing of other calls."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.frames import name
from flowstorm_channel.conformance.twilio.peer import Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.testing.twilio import RATE

__all__: list[str] = []

_MINUTE = 60 * RATE
_SOON = 1500.0
"""Milliseconds after the caller's words, and still before silence is told to another."""


@check(needs=("audio",))
def a_caller_is_greeted(server: Phone) -> None:
    """Calls and says nothing: the server begins to talk."""
    call = server.dial()
    server.demand("audio", call.wait("media") is not None, "the caller heard nothing")


@check(needs=("speech", "audio"))
def speech_is_answered(server: Phone) -> None:
    """Says something after the greeting: there is an answer to be heard."""
    answered = server.greeted().is_answered()
    server.demand("speech", answered, "the caller's speech was not answered")


@check(needs=("audio",))
def a_mark_stands_behind_the_audio(server: Phone) -> None:
    """Listens to the greeting: behind its last media a mark comes, by which its end can be known."""
    call = server.greeted()
    last = max(at for at, each in enumerate(call.came) if each.event == "media")
    if not call.all("mark", last):
        raise Violation("no mark came behind the audio of the greeting")


@check(needs=("audio",))
def parameters_may_be_absent(server: Phone) -> None:
    """Calls with no parameter but appKey: the server talks as it does when there are more."""
    server.greeted()
    call = server.dial(parameters={"appKey": server.profile.key})
    if call.wait("media") is None:
        raise Violation(f"without the other parameters came {call.end}")


@check(needs=("refuse",))
def a_refused_application_ends_the_call(server: Phone) -> None:
    """Calls with a key that is refused, as the parameter appKey: the server closes the WebSocket."""
    key = server.profile.refused_key
    if key is None:
        raise NotDeclared("the profile has no key that is refused")
    server.answered()
    call = server.dial(parameters={"appKey": key})
    call.wait("(closed)")
    if call.ended is None:
        raise Violation("a call whose appKey is refused goes on")


@check(needs=("audio", "speech"))
def calls_do_not_mix(server: Phone) -> None:
    """Calls twice at a time and speaks in one call: in the other nothing is heard of it."""
    plain = server.greeted()
    plain.converse()
    plain.hang_up()
    one, other = server.answered(), server.answered()
    one.listen()
    other.listen()
    since, elsewhere, last = len(one.came), len(other.came), other.heard_until
    one.speak()
    one.wait("media", since, server.speech_ms + _SOON)
    server.pass_time(100)
    strange = [each for each in other.came[elsewhere:] if each.event in ("media", "clear", "mark")]
    if strange and not server.speaks_anyway(strange[0].at - last):
        raise Violation(f"when one caller spoke, in the call of another came {name(strange[0].frame)}")


@check(needs=("audio", "much"))
def no_more_is_sent_than_twilio_keeps(server: Phone) -> None:
    """Asks for an answer that is far too long: what waits to be played is never more than ten minutes."""
    call = server.greeted()
    since = call.ask_for("much")
    call.wait("mark", since)
    long = len(call.audio(since)) > _MINUTE
    server.assume("much", long, "the answer to the phrase for much is shorter than a minute")
    if call.peer.warnings:
        raise Violation("so much was sent that Twilio throws it away (31931)")

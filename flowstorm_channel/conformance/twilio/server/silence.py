"""Silence and sleep: what a server does when the caller says nothing."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.frames import name
from flowstorm_channel.conformance.twilio.peer import Call, Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []

_SILENCE = 5000
_TOLERANCE = 1000
_RESTFUL = 8000


@check(needs=("audio", "silence"), timing=True, seconds=14)
def silence_is_told_five_seconds_after_the_last_word(server: Phone) -> None:
    """Says nothing after the greeting, and sends silence as audio: after five seconds the dialogue speaks."""
    call = server.greeted(hums=True)
    since, last = len(call.came), call.heard_until
    found = call.wait("media", since, _SILENCE + server.patience)
    server.demand("silence", found is not None, "the server said nothing to a silent caller")
    if found is not None and found.at < last + _SILENCE - _TOLERANCE:
        raise Violation(f"the server spoke {(found.at - last) / 1000:.1f} s after its last word was heard")


@check(needs=("audio", "long", "silence"), timing=True, seconds=20)
def silence_is_not_counted_while_the_server_talks(server: Phone) -> None:
    """Listens to a long answer, all of which was sent long before: nothing comes until it has been heard."""
    call = server.greeted(hums=True)
    since = call.ask_for("long")
    server.assume("long", call.wait("media", since) is not None, "nothing was said to the long phrase")
    call.wait("mark", since)
    count = len(call.came)
    server.wait_for(
        lambda: None if call.peer.playing and len(call.came) == count else True, _SILENCE + _TOLERANCE
    )
    if len(call.came) > count:
        came = name(call.came[count].frame)
        raise Violation(f"while the answer was played came {came}: silence is counted")
    if not call.peer.playing:
        raise NotDeclared("the long answer is heard soon after it was sent")


def asleep(server: Phone) -> Call:
    """A call in which the dialogue lets the session sleep, as far as it does."""
    call = server.greeted()
    since = call.ask_for("sleep")
    server.assume("sleep", call.wait("media", since) is not None, "nothing was said to the phrase for sleep")
    call.listen()
    return call


@check(needs=("audio", "sleep"), seconds=14)
def a_sleeping_call_stays_up_in_silence(server: Phone) -> None:
    """Lets the session sleep: the call is not closed, and the caller is not asked whether he is there."""
    call = asleep(server)
    since = len(call.came)
    server.pass_time(_RESTFUL)
    came = call.came[since].frame if len(call.came) > since else None
    server.demand("sleep", came is None, f"to the caller of a sleeping call came {name(came)}")


@check(needs=("audio", "sleep", "speech"), seconds=14)
def speech_wakes_a_sleeping_call(server: Phone) -> None:
    """Lets the session sleep, and speaks: there is an answer."""
    awake = server.greeted()
    awake.converse()
    awake.hang_up()
    asleep(server).goes_on("the session had gone to sleep")

"""Sessions and turns: what belongs together, and when an answer comes."""

from __future__ import annotations

from flowstorm_channel.conformance.alexa.peer import AlexaCaller, Device
from flowstorm_channel.conformance.alexa.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

PATIENCE = 8000
"""Milliseconds that Alexa waits for an answer."""


# ------------------------------------------------------------ sessions


def counted(alexa: AlexaCaller, device: Device) -> str:
    """What the dialogue says to the counting phrase."""
    return alexa.arrange(lambda: device.say(alexa.phrase("count"))).speech.text


def first_of_two(alexa: AlexaCaller, device: Device) -> str:
    """What it says the first time; the second time it is something else, else nothing can be told from it."""
    first = counted(alexa, device)
    alexa.assume("count", counted(alexa, device) != first, "the dialogue does not count, or forgets it")
    return first


@check(needs=("count",))
def a_session_is_kept(alexa: AlexaCaller) -> None:
    """Asks twice how often it has asked: the second answer is another one."""
    device = alexa.launched()
    first = counted(alexa, device)
    alexa.claimed("count", counted(alexa, device) != first, f"both times the answer was {first!r:.80}")


@check(needs=("count",))
def sessions_are_apart(alexa: AlexaCaller) -> None:
    """Asks on two devices in turns how often it has asked: both hear the same."""
    one, other = alexa.launched(), alexa.launched()
    heard = [(counted(alexa, one), counted(alexa, other)) for _ in range(2)]
    for here, there in heard:
        alexa.claimed("count", here == there, f"one device heard {here!r:.80}, the other {there!r:.80}")
    alexa.assume("count", heard[0] != heard[1], "the dialogue does not count, or forgets it")


@check(needs=("count",))
def an_ended_session_is_over(alexa: AlexaCaller) -> None:
    """Ends a session and launches the skill again on the same device: the counting begins anew."""
    device = alexa.launched()
    first = first_of_two(alexa, device)
    alexa.arrange(lambda: device.ask(device.says.end()))
    again = counted(alexa, device.launched())
    alexa.claimed("count", again == first, f"before it was {first!r:.80}, after the end {again!r:.80}")


@check(needs=("count",))
def a_foreign_session_is_not_joined(alexa: AlexaCaller) -> None:
    """Names, from another user's device, a session that goes on: it is not continued there."""
    device, stranger = alexa.launched(), alexa.device()
    first = first_of_two(alexa, device)
    stranger.session_name = device.session_name
    theirs = counted(alexa, stranger.launched())
    alexa.claimed("count", theirs == first, f"the owner heard {first!r:.80}, then a stranger {theirs!r:.80}")


# ------------------------------------------------------------ turns


@check(needs=("long",))
def a_long_answer_comes_whole(alexa: AlexaCaller) -> None:
    """Makes the dialogue talk for a while: the one answer comes when all of it is there."""
    answer = alexa.launched().say(alexa.phrase("long"))
    after = answer.reply.after
    alexa.claimed(
        "long", after >= 500, f"the answer was there after {after:.0f} ms, before the dialogue was done"
    )


@check(needs=("slow",), timing=True, seconds=8)
def an_answer_comes_in_time(alexa: AlexaCaller) -> None:
    """Makes the dialogue think for twelve seconds: the answer comes within the eight that Alexa waits."""
    answer = alexa.launched().say(alexa.phrase("slow"), ms=20_000)
    after = answer.reply.after
    if after > PATIENCE:
        raise Violation(f"the answer came after {after:.0f} ms, when Alexa had given up")
    alexa.assume("slow", after > 1000, f"the slow answer was there after {after:.0f} ms")


@check(needs=("nothing",))
def an_empty_answer_is_one(alexa: AlexaCaller) -> None:
    """Makes the dialogue say nothing."""
    alexa.launched().say(alexa.phrase("nothing"))


@check(needs=("sleep",))
def a_sleeping_session_stays(alexa: AlexaCaller) -> None:
    """Lets the session sleep: it does not end."""
    answer = alexa.launched().say(alexa.phrase("sleep"))
    alexa.claimed("sleep", not answer.ends, "the session ended, though it only sleeps")

"""Sessions and turns: what belongs together, and when an answer comes."""

from __future__ import annotations

from functools import partial

from flowstorm_channel.conformance.google.peer import Assistant, GoogleCaller
from flowstorm_channel.conformance.google.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

PATIENCE = {"2": 10_000, "3": 5_000}
"""Milliseconds that Google waits for an answer."""


# ------------------------------------------------------------ sessions


def counted(google: GoogleCaller, assistant: Assistant) -> str:
    """What the dialogue says to the counting phrase."""
    return google.arrange(lambda: assistant.say(google.phrase("count"))).speech.text


def first_of_two(google: GoogleCaller, assistant: Assistant) -> str:
    """What it says the first time; the second time it is something else, else nothing can be told from it."""
    first = counted(google, assistant)
    google.assume("count", counted(google, assistant) != first, "the dialogue does not count, or forgets it")
    return first


@check(needs=("count",))
def a_conversation_is_kept(google: GoogleCaller) -> None:
    """Asks twice how often it has asked: the second answer is another one."""
    for assistant in google.launched():
        first = counted(google, assistant)
        kept = counted(google, assistant) != first
        google.claimed("count", kept, f"both times the answer was {first!r:.80}")


@check(needs=("count",))
def conversations_are_apart(google: GoogleCaller) -> None:
    """Asks in two conversations in turns how often it has asked: both hear the same."""
    for one, other in zip(google.launched(), google.launched(), strict=True):
        heard = [(counted(google, one), counted(google, other)) for _ in range(2)]
        for here, there in heard:
            google.claimed("count", here == there, f"one heard {here!r:.80}, the other {there!r:.80}")
        google.assume("count", heard[0] != heard[1], "the dialogue does not count, or forgets it")


@check(needs=("count",))
def an_ended_conversation_is_over(google: GoogleCaller) -> None:
    """Says goodbye and begins anew, as the same user: the counting begins anew."""
    for assistant in google.launched():
        first = first_of_two(google, assistant)
        google.arrange(partial(assistant.ask, assistant.says.cancel()))
        again = counted(google, assistant.launched())
        google.claimed("count", again == first, f"before it was {first!r:.80}, after the end {again!r:.80}")


@check(needs=("sleep",))
def a_sleeping_session_stays(google: GoogleCaller) -> None:
    """Lets the session sleep: the conversation does not end."""
    for assistant in google.launched():
        answer = assistant.say(google.phrase("sleep"))
        google.claimed("sleep", not answer.ends, "the conversation ended, though the session only sleeps")


# ------------------------------------------------------------ turns


@check(needs=("long",))
def a_long_answer_comes_whole(google: GoogleCaller) -> None:
    """Makes the dialogue talk for a while: the one answer comes when all of it is there."""
    for assistant in google.launched():
        after = assistant.say(google.phrase("long")).reply.after
        text = f"the answer was there after {after:.0f} ms, before the dialogue was done"
        google.claimed("long", after >= 500, text)


@check(needs=("slow",), timing=True, seconds=15)
def an_answer_comes_in_time(google: GoogleCaller) -> None:
    """Makes the dialogue think for twelve seconds: the answer comes while Google waits."""
    for assistant in google.launched():
        after = assistant.say(google.phrase("slow"), ms=20_000).reply.after
        if after > PATIENCE[assistant.version]:
            raise Violation(f"version {assistant.version}: after {after:.0f} ms Google had given up")
        google.assume("slow", after > 1000, f"the slow answer was there after {after:.0f} ms")


@check(needs=("nothing",))
def an_empty_answer_is_one(google: GoogleCaller) -> None:
    """Makes the dialogue say nothing."""
    for assistant in google.launched():
        assistant.say(google.phrase("nothing"))

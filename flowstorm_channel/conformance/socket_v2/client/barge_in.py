"""What interrupts an answer."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.client.suite import STAYS, check, goes_on, must_show
from flowstorm_channel.conformance.socket_v2.incoming import Incoming, answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []


def _answering(server: V2Listener) -> Incoming:
    """A turn whose answer has begun, and goes on."""
    server.turn("Hello.")
    request = server.said("Tell me a long story.")
    request.begin()
    request.write(frames.item("Once upon a time there was a sapphire."))
    if server.driver.shown() is not None:
        server.is_shown("sapphire")
    return request


def _interrupted(server: V2Listener) -> Incoming:
    """The same, interrupted by what the user says: the PUT of that."""
    found = server.heard("That is enough.")
    if found is None:
        raise NotDeclared("the user cannot say anything while an answer goes on")
    return found


@check(needs=("say",))
def an_input_breaks_off_the_answer(server: V2Listener) -> None:
    """Says something while an answer goes on: its PUT has to be broken off."""
    story = _answering(server)
    _interrupted(server)
    if server.seen(lambda: story.gone) is None:
        raise Violation("an input went out, and the PUT whose answer it interrupts was not broken off")


@check(needs=("say",))
def nothing_of_an_interrupted_answer_is_shown(server: V2Listener) -> None:
    """Goes on with an answer that an input has interrupted: nothing more of it must be shown."""
    server.shows()
    story = _answering(server)
    request = _interrupted(server)
    story.write(frames.item("It lay beside a turquoise."), answer_of("And a malachite."))
    story.finish()
    server.answer(request, frames.item("All right: pearl."), answer_of())
    must_show(server, "pearl", "the answer to the input that interrupted another one")
    server.let_pass(STAYS)
    for each in ("turquoise", "malachite"):
        if server.place_of(each) is not None:
            raise Violation("what came of an answer after it was interrupted was shown")


@check(needs=("say", "interrupt"))
def an_interruption_breaks_off_the_answer(server: V2Listener) -> None:
    """Interrupts an answer without a word: its PUT has to be broken off."""
    story = _answering(server)
    server.act("interrupt")
    if server.seen(lambda: story.gone) is None:
        raise Violation("the user interrupted the answer, and its PUT was not broken off")


@check(needs=("say", "interrupt"))
def nothing_is_shown_behind_an_interruption(server: V2Listener) -> None:
    """Goes on with an answer that the user has interrupted: nothing of it is shown; the user can go on."""
    server.shows()
    story = _answering(server)
    server.act("interrupt")
    server.let_pass(STAYS)
    story.write(frames.item("It lay beside a turquoise."), answer_of("And a malachite."))
    story.finish()
    server.played()
    goes_on(server, "after an interruption")
    for each in ("turquoise", "malachite"):
        if server.place_of(each) is not None:
            raise Violation("what came of an answer after it was interrupted was shown")


@check(needs=("say", "close"))
def closing_breaks_off_what_is_under_way(server: V2Listener) -> None:
    """Closes the client while an answer goes on: its PUT has to be broken off, and no other comes."""
    story = _answering(server)
    before = len(server.requests)
    server.act("close")
    if server.seen(lambda: story.gone) is None:
        raise Violation("the client was closed, and its PUT was not broken off")
    server.let_pass(STAYS)
    more = [each for each in server.requests[before:] if not each.is_log]
    if more:
        raise Violation(f"the client was closed, and there came a {more[0]}")

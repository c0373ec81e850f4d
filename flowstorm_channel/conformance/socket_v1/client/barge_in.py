"""What interrupts an answer.

Nothing on the wire tells late parts of an interrupted turn from those of the next: a client counts the
answers that it waits for (D-35).
"""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.client.suite import check, goes_on, must_show, names_no_session
from flowstorm_channel.conformance.socket_v1.listener import QUIET, Accepted, Listener
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []


def _telling(server: Listener) -> Accepted:
    """A turn whose answer has begun, and goes on."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Tell me a long story."))
    talk.send(frames.item("Once upon a time there was a sapphire."))
    server.pass_time(0 if server.driver.exact else 100)
    return talk


def _interrupted(server: Listener) -> Accepted:
    """The same, interrupted by what the user says.

    Raises:
        NotDeclared: the user cannot say anything while an answer goes on.
    """
    talk = _telling(server)
    if server.said(talk, "That is enough.") is None:
        raise NotDeclared("the user cannot say anything while an answer goes on")
    return talk


def _must_not_show(server: Listener, text: str) -> None:
    if server.shows(text, QUIET):
        raise Violation("what came of an answer after it was interrupted was shown")


@check(needs=("say",))
def nothing_of_an_interrupted_turn_is_shown(server: Listener) -> None:
    """Goes on with an answer that an input has interrupted, and only then closes it: nothing more of it must
    be shown."""
    server.showing()
    talk = _interrupted(server)
    talk.say(frames.item("It lay beside a turquoise."), frames.response("And a malachite."))
    talk.say(frames.item("All right: pearl."), frames.response())
    must_show(server, "pearl", "the answer to the input that interrupted another one")
    for text in ("turquoise", "malachite"):
        _must_not_show(server, text)


@check(needs=("say",))
def no_audio_of_an_interrupted_turn_is_played(server: Listener) -> None:
    """The same with binary frames of audio."""
    server.showing()
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Tell me a long story."))
    talk.send(b"sound of a sapphire")
    if not server.shows("sapphire", QUIET):
        raise NotDeclared("audio that the user hears cannot be seen")
    server.arrange(lambda: server.asked(talk, "That is enough."))
    talk.say(b"sound of a turquoise", frames.response(), b"sound of a pearl", frames.response())
    must_show(server, "pearl", "the audio of the next answer")
    _must_not_show(server, "turquoise")


@check(needs=("say",))
def the_answer_to_the_next_input_is_shown(server: Listener) -> None:
    """Closes an interrupted turn with an empty Response at once, as a server should: the next answer has to
    be shown, and the user can go on."""
    server.showing()
    talk = _interrupted(server)
    talk.say(frames.response(), frames.item("All right: pearl."), frames.response())
    must_show(server, "pearl", "the answer to the input that interrupted another one")
    server.played()
    goes_on(server, talk, "after an interrupted turn")


@check(needs=("say",))
def answers_are_counted_however_many_are_awaited(server: Listener) -> None:
    """Says four things in a row, which are answered in order: only the last answer must be shown."""
    server.showing()
    talk = server.begun()
    for number in ("first", "second", "third", "fourth"):
        if server.said(talk, f"The {number}.") is None:
            raise NotDeclared("the user cannot say anything while an answer is awaited")
    talk.say(
        *(frames.response(f"Answer: {stone}.") for stone in ("turquoise", "malachite", "zircon", "pearl"))
    )
    must_show(server, "pearl", "the answer to the last of four inputs")
    for text in ("turquoise", "malachite", "zircon"):
        _must_not_show(server, text)


@check(needs=("say",), seconds=11)
def the_end_in_an_interrupted_answer_counts(server: Listener) -> None:
    """Closes an interrupted turn with a Response that ends the session: it must not be gone on with after a
    loss."""
    talk = _interrupted(server)
    talk.say(frames.response(sessionEnded=True), frames.ENDED)
    server.pass_time(0 if server.driver.exact else 100)
    names_no_session(server, talk, "after an interrupted answer that ended the session")


@check(needs=("say", "interrupt"))
def nothing_is_shown_behind_an_interruption(server: Listener) -> None:
    """Goes on with an answer that the user has interrupted without a word: nothing of it must be shown, and
    the user can go on."""
    server.showing()
    talk = _telling(server)
    server.driver.act("interrupt")
    server.pass_time(0 if server.driver.exact else 300)
    talk.say(frames.item("It lay beside a turquoise."), frames.response("And a malachite."))
    for text in ("turquoise", "malachite"):
        _must_not_show(server, text)
    goes_on(server, talk, "after an interruption")


@check(needs=("say", "open_microphone"))
def a_final_result_interrupts_the_answer(server: Listener) -> None:
    """In Duplex, recognises something final while it answers: nothing more of that answer must be shown."""
    server.showing()
    talk = server.begun()
    _go_duplex(server, talk)
    server.arrange(lambda: server.asked(talk, "Tell me a long story."))
    talk.send(frames.item("Once upon a time there was a sapphire."))
    server.wants_to_speak(talk)
    story: tuple[Frame, ...] = (
        frames.item("It lay beside a turquoise."),
        frames.response("And a malachite."),
    )
    talk.say(frames.OPEN, frames.recognized("stop it", final=True), *story)
    talk.say(frames.item("All right: pearl."), frames.response())
    must_show(server, "pearl", "the answer to what was recognised")
    for text in ("turquoise", "malachite"):
        _must_not_show(server, text)


def _go_duplex(server: Listener, talk: Accepted) -> None:
    """From the next opening on, the microphone stays open (D-62)."""
    server.turn(talk, "Listen always.", sttMode="Duplex")

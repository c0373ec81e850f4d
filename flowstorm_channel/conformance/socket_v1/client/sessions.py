"""Which session a client goes on with: the first input after a reconnect names it (D-56)."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.client.suite import (
    ERROR,
    check,
    goes_on,
    names_no_session,
    names_session,
)
from flowstorm_channel.conformance.socket_v1.listener import Listener
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check(needs=("say",), seconds=11)
def a_session_survives_a_lost_connection(server: Listener) -> None:
    """Breaks the connection off between two turns: the next input has to name the session."""
    names_session(server, server.begun(), "after a loss")


@check(needs=("say",), seconds=11)
def the_last_session_announced_counts(server: Listener) -> None:
    """Announces another session with the second turn: that one has to be gone on with after a loss."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Begin anew."))
    talk.announce("another-session")
    server.answer(talk, "As you wish.")
    names_session(server, talk, "after a second SessionStarted")


@check(needs=("say",), seconds=11)
def an_ending_response_ends_the_session(server: Listener) -> None:
    """Ends the session by Response and SessionEnded: it must not be gone on with after a loss."""
    talk = server.begun()
    server.turn(talk, "Goodbye.", "Goodbye.", sessionEnded=True)
    talk.send(frames.ENDED)
    names_no_session(server, talk, "after a Response that ended the session")


@check(needs=("say",), seconds=11)
def an_ending_response_alone_ends_the_session(server: Listener) -> None:
    """Ends the session by a Response, and SessionEnded never comes: it is not gone on with after a loss."""
    talk = server.begun()
    server.turn(talk, "Goodbye.", "Goodbye.", sessionEnded=True)
    names_no_session(server, talk, "after a Response that ended the session")


@check(needs=("say",), seconds=11)
def session_ended_ends_the_session(server: Listener) -> None:
    """Sends SessionEnded alone in the middle of a turn: the session must not be gone on with after a loss."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Goodbye."))
    talk.send(frames.ENDED)
    names_no_session(server, talk, "after SessionEnded")


@check(needs=("say",))
def after_an_end_another_session_begins(server: Listener) -> None:
    """Ends the session by Response and SessionEnded: what the user says next belongs to another one."""
    talk = server.begun()
    server.turn(talk, "Goodbye.", "Goodbye.", sessionEnded=True)
    talk.send(frames.ENDED)
    found = server.said(talk, "I have forgotten something.")
    if found is None:
        raise Violation("after the end of a session, what the user says is not sent any more")
    talk.announce("another-session")
    server.answer(talk, "Yes?")
    goes_on(server, talk, "in a second session on a connection")


@check(needs=("say",), seconds=11)
def an_error_ends_the_session(server: Listener) -> None:
    """Answers an input with Error: the session must not be gone on with after a loss."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Go wrong."))
    talk.send(ERROR)
    names_no_session(server, talk, "after an Error")


@check(needs=("say",), seconds=11)
def a_sleeping_session_is_kept(server: Listener) -> None:
    """Lets the session sleep for a minute: it has to be gone on with after a loss."""
    talk = server.begun()
    server.turn(talk, "Sleep.", "Good night.", sleepTimeout=60)
    names_session(server, talk, "while the session sleeps")


@check(needs=("say",), seconds=11)
def a_sleep_is_no_end(server: Listener) -> None:
    """Lets the session sleep in a Response that also says sessionEnded: it is gone on with after a loss."""
    talk = server.begun()
    server.turn(talk, "Sleep.", "Good night.", sessionEnded=True, sleepTimeout=60)
    names_session(server, talk, "after a Response with sleepTimeout above 0")


@check(needs=("say",), seconds=11)
def what_is_unknown_ends_no_session(server: Listener) -> None:
    """Sends an unknown event and a second Ready between two turns: the session has to be gone on with."""
    talk = server.begun()
    talk.say({"type": "Novelty"}, frames.READY)
    names_session(server, talk, "after an unknown event and a second Ready")


@check(needs=("say",), seconds=15, timing=True)
def a_session_that_has_slept_too_long_is_dropped(server: Listener) -> None:
    """Lets the session sleep for two seconds, and waits for three: it must not be gone on with."""
    talk = server.begun()
    server.turn(talk, "Sleep.", "Good night.", sleepTimeout=2)
    server.pass_time(3000)
    names_no_session(server, talk, "after the time of a sleeping session")


@check(needs=("say",))
def a_sleeping_session_is_woken(server: Listener) -> None:
    """Lets the session sleep: the user can go on."""
    talk = server.begun()
    server.turn(talk, "Sleep.", "Good night.", sleepTimeout=60)
    goes_on(server, talk, "while the session sleeps")


@check(needs=("end_session",))
def the_user_can_end_the_session(server: Listener) -> None:
    """Has the user end the session: SessionEnded has to come; its echo changes nothing."""
    talk = server.begun()
    server.driver.act("end_session")
    if talk.comes("SessionEnded") is None:
        raise Violation("the user ended the session, and SessionEnded did not come")
    talk.send(frames.ENDED)
    talk.session = None
    goes_on(server, talk, "after the user ended a session")

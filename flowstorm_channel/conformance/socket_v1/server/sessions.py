"""Sessions of V1 servers: how they are announced, named, put to sleep and ended."""

from __future__ import annotations

import uuid

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.peer import Answer, Conversation, V1Caller
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []


def begins(answer: Answer, what: str) -> None:
    """The answer has to begin with SessionStarted."""
    if answer.kinds[0] != "SessionStarted":
        raise Violation(f"{what} began with {answer.kinds[0]}, not with SessionStarted")


def ended(server: V1Caller, talk: Conversation) -> Answer:
    """Make the dialogue end the session."""
    answer = server.arrange(lambda: talk.ask(server.profile.phrase("end")))
    server.assume("end", answer.ends, "the session did not end at the ending phrase")
    return answer


def asleep(server: V1Caller, talk: Conversation) -> Answer:
    """Let the dialogue put the session to sleep."""
    answer = server.arrange(lambda: talk.ask(server.profile.phrase("sleep")))
    sleeps = (answer.response.get("sleepTimeout") or 0) > 0
    server.assume("sleep", sleeps, "the session does not sleep after the sleeping phrase")
    return answer


# ------------------------------------------------------------ the beginning


@check()
def a_session_is_announced_before_its_first_part(server: V1Caller) -> None:
    """Starts a conversation: SessionStarted has to come before anything of the answer."""
    talk = server.ready()
    answer = talk.ask(INTRO)
    begins(answer, "the first answer")


@check()
def a_session_that_goes_on_is_not_announced_again(server: V1Caller) -> None:
    """Says something three times: SessionStarted comes with the first answer only."""
    talk = server.started()
    for _ in range(2):
        answer = talk.goes_on("the first turn")
        server.assume("echo", not answer.ends, "the session ends at the echo phrase")
        if "SessionStarted" in answer.kinds:
            raise Violation("SessionStarted came again, though the session goes on")


@check()
def a_request_begins_a_session(server: V1Caller) -> None:
    """Sends the first input as a Request: SessionStarted, and then its answer, have to come."""
    talk = server.ready()
    talk.say_to(str(uuid.uuid4()), INTRO)
    begins(talk.answered("a Request"), "the answer to a Request")


@check()
def a_request_may_propose_an_id(server: V1Caller) -> None:
    """Sends a Request with a new session id: SessionStarted names the same."""
    proposed = str(uuid.uuid4())
    talk = server.ready()
    server.arrange(lambda: talk.request(INTRO, proposed))
    server.arranged(talk.session_id, "the session was not announced")
    if talk.session_id != proposed:
        raise Violation(f"the session is called {talk.session_id}, though {proposed} was proposed")


@check()
def a_request_that_names_the_session_goes_on_with_it(server: V1Caller) -> None:
    """Sends a Request with the id that SessionStarted has named: no other session begins."""
    talk, session_id = server.begun()
    answer = talk.request(server.profile.phrase("echo"), session_id)
    if "SessionStarted" in answer.kinds:
        raise Violation("SessionStarted came again, though the Request names the session in force")


@check()
def a_request_that_names_another_session_begins_it(server: V1Caller) -> None:
    """Sends a Request with another id in mid-conversation: another session is announced."""
    talk, session_id = server.begun()
    answer = server.arrange(lambda: talk.request(server.profile.phrase("echo"), str(uuid.uuid4())))
    if answer.kinds[0] != "SessionStarted" or talk.session_id == session_id:
        raise Violation(f"the answer to a Request for another session belongs to {talk.session_id}")


@check(needs=("speech",))
def a_stream_may_propose_an_id(server: V1Caller) -> None:
    """Proposes an id in InputAudioStreamOpen before the first Input: SessionStarted names the same."""
    proposed = str(uuid.uuid4())
    talk = server.ready(silenceTimeout=0)
    talk.send({**frames.OPEN, "sessionId": proposed})
    found = talk.receive()
    server.assume(
        "speech", found is not None and found["type"] == "InputAudioStreamOpen", "no acknowledgement"
    )
    server.arrange(lambda: talk.ask(INTRO))
    if talk.session_id != proposed:
        raise Violation(f"the session is called {talk.session_id}, though {proposed} was proposed")


# ------------------------------------------------------------ the end


@check(needs=("end",))
def the_end_of_a_session_is_told(server: V1Caller) -> None:
    """Makes the dialogue end the session: SessionEnded has to come right after the Response."""
    talk = server.started()
    answer = ended(server, talk)
    if "SessionEnded" in answer.kinds:
        raise Violation("SessionEnded came before the Response that ends the session")
    talk.expect("SessionEnded")


@check(needs=("end",))
def another_session_begins_after_the_end(server: V1Caller) -> None:
    """Says something on the same connection after the session has ended: another session begins."""
    talk = server.started()
    ended(server, talk)
    talk.during(1000)
    begins(talk.goes_on("the end of the session"), "the answer after the end of the session")


@check()
def a_client_may_end_the_session(server: V1Caller) -> None:
    """Sends SessionEnded: it comes back, and the next Input begins another session."""
    talk = server.started()
    talk.send(frames.ENDED)
    talk.expect("SessionEnded")
    begins(talk.goes_on("SessionEnded"), "the answer after SessionEnded")


# ------------------------------------------------------------ sleep


@check(needs=("sleep",))
def a_session_that_sleeps_has_not_ended(server: V1Caller) -> None:
    """Lets the session sleep: the Response does not say that it has ended, and no SessionEnded comes."""
    talk = server.started()
    if asleep(server, talk).response.get("sessionEnded") is True:
        raise Violation("a Response with a sleepTimeout says sessionEnded; a browser then drops the session")
    if any(frame["type"] == "SessionEnded" for frame in talk.during(1000)):
        raise Violation("SessionEnded came, though the session only sleeps")


@check(needs=("sleep",))
def a_session_that_sleeps_can_be_woken(server: V1Caller) -> None:
    """Says something to a sleeping session: it goes on, and no other begins."""
    talk = server.started()
    asleep(server, talk)
    if "SessionStarted" in talk.goes_on("a Response that lets the session sleep").kinds:
        raise Violation("another session began, though the old one sleeps")


@check(needs=("sleep",), timing=True, seconds=61)
def a_session_does_not_sleep_for_ever(server: V1Caller) -> None:
    """Says something after the time that a session was to sleep: another session begins."""
    talk = server.started()
    seconds = asleep(server, talk).response["sleepTimeout"]
    if seconds > 60 and not server.driver.exact:
        raise NotDeclared(f"the session sleeps for {seconds} seconds, longer than the kit waits")
    talk.during((seconds + 1) * 1000)
    begins(talk.goes_on("the end of the sleep"), "the answer after the end of the sleep")

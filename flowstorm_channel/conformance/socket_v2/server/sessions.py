"""What a V2 server is checked for: its sessions."""

from __future__ import annotations

import re

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.exchange import COOKIE, Answer, cookie_in
from flowstorm_channel.conformance.socket_v2.peer import V2Caller, fresh_id
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []

MALFORMED = ("a" * 65, "a.b", "../session")


@check()
def the_first_answer_sets_the_cookie(server: V2Caller) -> None:
    """Says something without a cookie: the answer sets one."""
    device = server.device()
    answer = device.ask(INTRO)
    if not device.session:
        raise Violation(f"the answer sets no {COOKIE}: {answer.head.header('Set-Cookie')!r}")


@check()
def the_first_cookie_has_its_attributes(server: V2Caller) -> None:
    """Looks for Path=/, HttpOnly and SameSite=Lax at the first cookie."""
    found = server.arranged(cookie_in(server.device().ask(INTRO).head), "the first answer set no cookie")
    given = {each.lower().replace(" ", "") for each in found[1]}
    missing = [each for each in ("Path=/", "HttpOnly", "SameSite=Lax") if each.lower() not in given]
    if missing:
        raise Violation(f"the cookie lacks {', '.join(missing)}")


@check()
def a_session_goes_on_with_its_cookie(server: V2Caller) -> None:
    """Says something more with the cookie: the session stays the same."""
    device = server.started()
    before = device.session
    device.ask(server.profile.phrase("echo"))
    if device.session != before:
        raise Violation("the second answer sets the cookie of another session")


@check(needs=("count",))
def a_session_remembers(server: V2Caller) -> None:
    """Asks a dialogue that counts twice, and once from another device: it counts each session's questions."""
    phrase = server.profile.phrase("count")
    device, another = server.started(), server.started()
    numbers = [_number(each.ask(phrase)) for each in (device, device, another)]
    server.assume("count", numbers[0] == 1, "the answer to the phrase for it does not begin to count at 1")
    if numbers != [1, 2, 1]:
        raise Violation(f"expected the numbers 1 and 2, and 1 from elsewhere, got {numbers}")


@check()
def a_fresh_id_is_taken(server: V2Caller) -> None:
    """Proposes a new UUID in its first request: the session has that id."""
    device = server.device()
    device.session = proposed = fresh_id()
    device.ask(INTRO)
    if device.session != proposed:
        raise Violation("the answer sets the cookie of another session")


@check()
def a_malformed_id_is_replaced(server: V2Caller) -> None:
    """Proposes ids that are too long, or have other characters: each is replaced."""
    for proposed in MALFORMED:
        device = server.device()
        device.session = proposed
        device.ask(INTRO)
        if device.session == proposed:
            raise Violation(f"{proposed!r} was not replaced")


@check()
def a_foreign_session_is_not_joined(server: V2Caller) -> None:
    """Comes with the cookie of another device: a session of its own is made."""
    owner, stranger = server.started(), server.device()
    stranger.session = owner.session
    stranger.ask(INTRO)
    if stranger.session == owner.session:
        raise Violation("a device was let into the session of another one")


@check(needs=("long",))
def a_stranger_does_not_interrupt(server: V2Caller) -> None:
    """Talks to one device, and comes with its cookie from another one: the first answer goes on."""
    owner, stranger = server.started(), server.device()
    stranger.session = owner.session
    put = server.long_answer(owner)
    known = len(put.frames)
    stranger.say(server.profile.phrase("echo")).turn()
    put.turn()
    if not any(each["type"] == "ResponseItem" for each in put.frames[known:]):
        raise Violation("the answer was cut short by somebody else's request")


@check(needs=("end",))
def an_ended_session_is_replaced(server: V2Caller) -> None:
    """Makes the dialogue end the session, and says something with its cookie: another session begins."""
    device = server.started()
    before = device.session
    ended = device.ask(server.profile.phrase("end")).ends
    server.assume("end", ended, "the session did not end at the ending phrase")
    device.session = before
    device.ask(INTRO)
    if device.session == before:
        raise Violation("the session that has ended goes on")


@check(needs=("long",))
def an_error_ends_the_session(server: V2Caller) -> None:
    """Provokes an Error in the answer, and says something with the cookie: another session begins."""
    device = server.started()
    before = device.session
    put = server.long_answer(device, end=False)
    put.send(b"garbage")
    put.end()
    server.arrange(put.fault)
    device.session = before
    device.ask(INTRO)
    if device.session == before:
        raise Violation("the session goes on after an Error")


@check(needs=("sleep",))
def the_timeout_has_both_names(server: V2Caller) -> None:
    """Lets the session sleep: the Response has the same sleepTimeout and sessionTimeout."""
    answer = server.started().ask(server.profile.phrase("sleep"))
    server.assume("sleep", answer.sleeps, "the session did not fall asleep at the phrase for it")
    given = [answer.response.get(each) for each in ("sleepTimeout", "sessionTimeout")]
    if given[0] != given[1]:
        raise Violation(f"sleepTimeout is {given[0]!r}, sessionTimeout {given[1]!r}")


@check(needs=("sleep",))
def a_sleeping_session_goes_on(server: V2Caller) -> None:
    """Lets the session sleep, and says something: it is the same session."""
    device = server.started()
    before = device.session
    answer = device.ask(server.profile.phrase("sleep"))
    server.assume("sleep", answer.sleeps, "the session did not fall asleep at the phrase for it")
    device.ask(server.profile.phrase("echo"))
    if device.session != before:
        raise Violation("the sleeping session was replaced")


@check(needs=("sleep",))
def a_sleeping_session_has_not_ended(server: V2Caller) -> None:
    """Lets the session sleep, in JSON and in text: nothing says that it has ended."""
    phrase = server.profile.phrase("sleep")
    answer = server.started().ask(phrase)
    server.assume("sleep", answer.sleeps, "the session did not fall asleep at the phrase for it")
    if answer.response.get("sessionEnded") is True:
        raise Violation("sessionEnded is true, though the session sleeps")
    if server.started().type(phrase).lines("."):
        raise Violation("a dot says that the session has ended, though it sleeps")


@check(needs=("end",))
def logs_may_come_after_the_end(server: V2Caller) -> None:
    """Ends the session, and sends log entries with its cookie: that is answered with 204."""
    device = server.started()
    before = device.session
    ended = device.ask(server.profile.phrase("end")).ends
    server.assume("end", ended, "the session did not end at the ending phrase")
    device.session = before
    device.whole(frames.log("seen by the kit")).answer(204)


def _number(answer: Answer) -> int | None:
    words = " ".join(str(each.get("text")) for each in answer.items)
    found = re.search(r"\d+", words)
    return None if found is None else int(found.group())

"""The session's cookie."""

from __future__ import annotations

import re

from flowstorm_channel.conformance.socket_v2.client.suite import (
    ERROR,
    check,
    dropped,
    goes_on,
    kept,
    speaks_events,
)
from flowstorm_channel.conformance.socket_v2.incoming import COOKIE, answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []


@check(needs=("say",))
def the_session_id_is_sent_back(server: V2Listener) -> None:
    """Gives the client a cookie with the first answer: every further PUT has to name it."""
    server.turn("Who am I?")
    for text in ("And now?", "And after that?"):
        request = server.said(text)
        if request.cookie != server.session:
            raise Violation(
                f"the cookie {COOKIE} was {server.session!r}, and the next PUT sent back {request.cookie!r}"
            )
        server.answer(request, answer_of("Yes."))  # without a cookie: it has not changed


@check(needs=("say",))
def a_proposed_session_id_is_well_formed(server: V2Listener) -> None:
    """Looks at the first request: a session id in it has to be one that servers take."""
    server.said("Who am I?")
    proposed = next(each for each in server.requests if each.is_put).cookie
    if proposed is None:
        raise NotDeclared("the client proposes no session id")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", proposed):
        raise Violation(f"{proposed!r} is not 1 to 64 letters, digits, underscores and hyphens")


@check(needs=("say",))
def a_new_session_id_replaces_the_old_one(server: V2Listener) -> None:
    """Gives the client another cookie with the second answer: the next PUT has to name that."""
    server.turn("Who am I?")
    server.turn("Am I the same?")
    server.new_session()
    server.turn("And now?")
    kept(server, "And after that?", "after another cookie was given")


@check(needs=("say",))
def other_cookies_do_not_matter(server: V2Listener) -> None:
    """Sends a load balancer's cookie before that of the session: the session's has to come back as it is."""
    request = server.said("Who am I?")
    request.begin(headers=(("Set-Cookie", "route=backend-7; Path=/"),))
    request.write(answer_of("You."))
    request.finish()
    server.played()
    kept(server, "And now?", "after an answer with two cookies")


@check(needs=("say",))
def an_error_ends_the_session(server: V2Listener) -> None:
    """Answers with Error: the next PUT must not name the session, and the user can go on."""
    server.turn("Hello.")
    server.turn("Fail.", ERROR)
    request = dropped(server, "Who am I now?", "after Error")
    server.new_session()
    server.answer(request, answer_of("Somebody new."))
    goes_on(server, "after Error")


@check(needs=("say",))
def a_response_that_ends_the_session_ends_it(server: V2Listener) -> None:
    """Ends the session with a Response: the next PUT must not name it, and the user can go on."""
    server.turn("Hello.")
    server.turn("Goodbye.", answer_of("Bye.", sessionEnded=True))
    request = dropped(server, "Who am I now?", "after a Response that ends the session")
    server.new_session()
    server.answer(request, answer_of("Somebody new."))
    goes_on(server, "after the end of the session")


@check(needs=("say",))
def the_session_id_is_kept_while_the_session_sleeps(server: V2Listener) -> None:
    """Lets the session sleep for a minute: the next PUT still names it."""
    server.turn("Hello.")
    server.turn("Sleep.", answer_of("I sleep.", sleepTimeout=60))
    kept(server, "Wake up.", "while the session sleeps")


@check(needs=("say",))
def a_session_that_ends_with_a_timeout_sleeps(server: V2Listener) -> None:
    """Answers with sessionEnded and a sleepTimeout of a minute: the next PUT still names the session."""
    server.turn("Hello.")
    server.turn("Sleep.", answer_of("I sleep.", sessionEnded=True, sleepTimeout=60))
    kept(server, "Wake up.", "after a Response with sessionEnded and a sleepTimeout")


@check(needs=("say",), timing=True, seconds=3)
def the_session_id_is_dropped_when_the_sleep_is_over(server: V2Listener) -> None:
    """Lets the session sleep for a second, and waits two and a half: the next PUT must not name it."""
    server.turn("Hello.")
    speaks_events(server.turn("Sleep.", answer_of("I sleep for a moment.", sleepTimeout=1)))
    server.let_pass(2500)
    dropped(server, "Who am I now?", "a second and a half after the end of the sleep")

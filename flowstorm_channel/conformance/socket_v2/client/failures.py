"""What fails."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.client.suite import (
    AGAIN,
    ERROR,
    check,
    goes_on,
    goes_on_with_session,
    kept,
    next_put,
    speaks_json,
)
from flowstorm_channel.conformance.socket_v2.incoming import answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check(needs=("say",))
def a_refused_input_is_not_the_end(server: V2Listener) -> None:
    """Answers as a proxy does whose server is down: the user can go on, and the session is kept."""
    server.turn("Hello.")
    request = server.said("Does this work?")
    request.begin(502, media_type="text/html")
    request.write(b"<html><body><h1>502 Bad Gateway</h1></body></html>\r\n")
    request.finish()
    goes_on_with_session(server, "after a 502")


@check(needs=("say",))
def a_session_that_is_refused_is_dropped(server: V2Listener) -> None:
    """Answers with 401, and later with 403: the next PUT must not name the session."""
    for status in (401, 403):
        server.turn(f"Hello before {status}.")
        server.said(f"May I, in spite of {status}?").answer(ERROR, status=status)
        request = server.heard(f"And after {status}?")
        server.assume("say", request is not None, f"nothing was sent any more after a {status}")
        assert request is not None
        if request.cookie == server.session:
            raise Violation(f"after a {status}, the next PUT still named the session {request.cookie!r}")
        server.new_session()
        server.answer(request, answer_of("Welcome back."))


@check(needs=("say",))
def an_answer_without_an_end_is_not_the_end(server: V2Listener) -> None:
    """Ends a response without Response or Error: the user can go on, and the session is kept."""
    server.turn("Hello.")
    server.said("Say it all.").answer(frames.item("This is all."))
    goes_on_with_session(server, "after a body that ended without Response")


@check(needs=("say",))
def a_lost_request_is_not_the_end(server: V2Listener) -> None:
    """Breaks a PUT, before it was answered and in the middle: the user can go on, the session is kept."""
    server.turn("Hello.")
    server.said("Do you hear me?").lose()
    server.answer(kept(server, "Do you hear me now?", "after a PUT that broke"), answer_of("Yes."))
    request = server.said("Are you sure?")
    request.begin()
    request.write(frames.item("I am su"))
    request.lose()
    goes_on_with_session(server, "after a PUT that broke in the middle of an answer")


@check(needs=("say",), seconds=6)
def nothing_is_sent_again_by_itself(server: V2Listener) -> None:
    """Breaks a PUT, and waits three seconds; then another, in the middle: neither must come again."""
    server.turn("Hello.")
    for text, events in (("Buy one.", ()), ("Buy two.", (frames.item("I buy"),))):
        request = server.said(text)
        if events:
            request.begin()
            request.write(*events)
        request.lose()
        if any(text in each.texts for each in server.later(request, AGAIN)):
            raise Violation(f"{text!r} was sent again by itself after its PUT broke")


@check(needs=("say",))
def what_cannot_be_read_is_not_the_end(server: V2Listener) -> None:
    """Answers with what is no JSON, or not whole, or no event: the user can go on after each."""
    server.turn("Hello.")
    torn = server.said("Say nonsense.")
    speaks_json(torn)
    torn.answer(b'{"type": "ResponseItem", "responseItem": {"te')
    server.answer(next_put(server, "And now?", "after half an event"), answer_of("Yes."))
    server.said("More nonsense.").answer(b"Internal Server Error\n")
    server.answer(next_put(server, "And then?", "after what is no JSON"), answer_of("Yes."))
    server.said("Other nonsense.").answer(b'["Response", 1, null]\n')
    goes_on(server, "after JSON that is no event")

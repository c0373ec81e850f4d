"""Failures: of the dialogue, and of whoever asks."""

from __future__ import annotations

from flowstorm_channel.conformance.google.peer import GoogleCaller
from flowstorm_channel.conformance.google.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.conformance.webhook import dumped
from flowstorm_channel.wire import RequestHead


@check(needs=("fail",))
def a_failing_dialogue_is_answered(google: GoogleCaller) -> None:
    """Makes the dialogue fail: the user hears of it, or Google gets 500; others can begin a conversation."""
    for assistant in google.launched():
        reply = assistant.post(assistant.says.say(google.phrase("fail")))
        if reply.status != 200 and reply.status < 500:
            raise Violation(f"a dialogue that fails is no fault of the request, got {reply.says}")
        other = google.assistant(assistant.version)
        other.ask(other.says.launch())


@check()
def malformed_bodies_are_refused(google: GoogleCaller) -> None:
    """Sends what is no JSON, not UTF-8, no object, and objects of neither version."""
    google.able()
    for body in (b"", b"{", b'{"inputs": "\xff"}', b"[]", b'"inputs"', dumped({}), dumped({"user": {}})):
        for version in google.tried():
            url = google.assistant(version).says.health_check()[0].url
            reply = google.post(url, body, google.signed(version))
            if not 400 <= reply.status < 500:
                raise Violation(f"{body!r} has to be refused, got {reply.says}")


@check()
def a_malformed_body_harms_nobody(google: GoogleCaller) -> None:
    """Sends half a request in the middle of a conversation, which then goes on."""
    for assistant in google.launched():
        head, body = assistant.says.say("half")
        google.post(head.url, body[:-20], google.signed(assistant.version))
        assistant.say(google.phrase("echo"))


@check()
def other_methods_are_refused(google: GoogleCaller) -> None:
    """Makes requests with GET and PUT: the address is for POST alone."""
    for method in ("GET", "PUT"):
        reply = google.exchange(RequestHead(method=method, url="/google", headers=(("Content-Length", "0"),)))
        if reply.status != 405:
            raise Violation(f"{method} has to be answered with 405, got {reply.says}")

"""Failures: of the dialogue, and of whoever asks."""

from __future__ import annotations

from flowstorm_channel.conformance.alexa.peer import AlexaCaller
from flowstorm_channel.conformance.alexa.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.conformance.webhook import dumped
from flowstorm_channel.wire import RequestHead


@check(needs=("fail",))
def a_failing_dialogue_is_answered(alexa: AlexaCaller) -> None:
    """Makes the dialogue fail: the user hears of it, or Alexa gets 500; somebody else can launch it."""
    device = alexa.launched()
    reply = device.post(device.says.say(alexa.phrase("fail")))
    if reply.status != 200 and reply.status < 500:
        raise Violation(f"a dialogue that fails is no fault of the request, got {reply.says}")
    other = alexa.device()
    other.ask(other.says.launch())


@check()
def malformed_bodies_are_refused(alexa: AlexaCaller) -> None:
    """Sends what is no JSON, not UTF-8, no object, and an object without a request."""
    for body in (b"", b"{", b'{"request": "\xff"}', b"[]", b'"request"', dumped({"version": "1.0"})):
        reply = alexa.post(body, alexa.signed(body))
        if not 400 <= reply.status < 500:
            raise Violation(f"{body!r} has to be refused, got {reply.says}")


@check()
def a_malformed_body_harms_nobody(alexa: AlexaCaller) -> None:
    """Sends half a request in the middle of a conversation, which then goes on."""
    device = alexa.launched()
    body = device.request(device.says.launch())[:-20]
    alexa.post(body, alexa.signed(body))
    device.say(alexa.phrase("echo"))


@check()
def other_methods_are_refused(alexa: AlexaCaller) -> None:
    """Makes requests with GET and PUT: the address is for POST alone."""
    for method in ("GET", "PUT"):
        reply = alexa.exchange(RequestHead(method=method, url="/alexa", headers=(("Content-Length", "0"),)))
        if reply.status != 405:
            raise Violation(f"{method} has to be answered with 405, got {reply.says}")

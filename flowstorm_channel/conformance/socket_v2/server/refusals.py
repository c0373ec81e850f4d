"""What a V2 server is checked for: what is no turn, and what is refused."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []

TOO_LARGE = 5 * 256 * 1024
LONG_HEADER = 8 * 1024
PIECE = 64 * 1024


@check()
def a_put_of_logs_gets_204(server: V2Caller) -> None:
    """Sends nothing but log entries."""
    server.device().whole(frames.log("seen by the kit")).answer(204)


@check()
def an_empty_body_is_no_input(server: V2Caller) -> None:
    """Sends a PUT with no event in it: that is answered with 204."""
    server.device().whole().answer(204)


@check(needs=("refuse",))
def a_refused_client_gets_403(server: V2Caller) -> None:
    """Comes with the profile's refused key: the status is 401 or 403, and an Error stands in the body."""
    key = server.profile.refused_key
    server.assume("refuse", key is not None, "the profile names no key that is refused")
    device = server.device()
    found = device.say(INTRO, names={**device.names, "X-Key": str(key)}).refused(401, 403)
    if found.kinds != ["Error"]:
        raise Violation(f"expected an Error in the body, got {found}")


@check()
def a_malformed_body_is_refused_with_400(server: V2Caller) -> None:
    """Sends bodies that are no JSON, no event, and half of one."""
    device = server.device()
    for body in (b"hello", b'{"text": "hello"}', b'{"type": "Input", "input": {"transcript": {"text"'):
        device.whole(body=body).refused(400)


@check()
def an_empty_text_is_refused_with_400(server: V2Caller) -> None:
    """Sends a line of text with nothing in it."""
    device = server.device()
    device.whole(body=b"\n", content_type=bodies.TEXT).refused(400)


@check()
def deep_nesting_does_no_harm(server: V2Caller) -> None:
    """Sends fifty thousand arrays inside each other: taken, or refused with 400 or 413; then asks on."""
    device = server.device()
    body = b'{"type": "Input", "input": {"transcript": {"text": "hello"}, "attributes": {"a": '
    device.whole(body=body + b"[" * 50_000 + b"]" * 50_000 + b"}}}").refused(200, 400, 413)
    device.ask(INTRO)


@check()
def what_is_too_large_is_refused_with_413(server: V2Caller) -> None:
    """Sends an Input of more than a megabyte: a server that does not take so much says 413."""
    device = server.device()
    put = device.put()
    body = bodies.write(frames.said("a" * TOO_LARGE))
    for start in range(0, len(body), PIECE):
        put.send(body[start : start + PIECE])
    put.end()
    put.refused(200, 413)


@check()
def long_headers_are_refused_with_431(server: V2Caller) -> None:
    """Sends a header of eight kilobytes: a server that does not take it says 431."""
    server.device().say(INTRO, headers={"X-Conformance": "a" * LONG_HEADER}).refused(200, 431)


@check()
def nothing_may_be_cached(server: V2Caller) -> None:
    """Looks for Cache-Control: no-store in an answer, in a 204, and in a refusal."""
    device = server.device()
    for found in (
        device.ask(INTRO),
        device.whole(frames.log("seen by the kit")).answer(),
        device.whole(body=b"hello").answer(),
    ):
        if "no-store" not in (found.head.header("Cache-Control") or "").lower():
            raise Violation(f"the Cache-Control of a {found.head.status} lacks no-store")

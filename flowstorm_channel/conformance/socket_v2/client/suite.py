"""The suite of V2 clients, and what its checks share."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.incoming import Incoming, answer_of
from flowstorm_channel.conformance.socket_v2.lint import CLIENT_RULES, V2Linter
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__ = [
    "AGAIN",
    "ERROR",
    "MICROPHONE",
    "STAYS",
    "SUITE",
    "check",
    "dropped",
    "goes_on",
    "goes_on_with_session",
    "kept",
    "must_show",
    "next_put",
    "speaks_events",
    "speaks_json",
]

SUITE: Suite[V2Listener] = Suite("socket-v2", "client", V2Listener, rules=CLIENT_RULES, make_linter=V2Linter)
check = SUITE.check

MICROPHONE = ("say", "open_microphone")
ERROR: Frame = {"type": "Error", "text": "the kit has thought of an error", "source": "conformance"}
STAYS = 500.0
"""Milliseconds in which what should not happen would have happened."""
AGAIN = 3000.0
"""The same for what a client might try again by itself."""


def next_put(server: V2Listener, text: str, what: str) -> Incoming:
    """The PUT of what is said next."""
    request = server.heard(text)
    if request is None:
        raise Violation(f"{what}, what the user says does not go out any more")
    return request


def kept(server: V2Listener, text: str, what: str) -> Incoming:
    """The next input names the session that the client was given."""
    request = next_put(server, text, what)
    if request.cookie != server.session:
        raise Violation(f"{what}, the next PUT named the session {request.cookie!r}, not {server.session!r}")
    return request


def dropped(server: V2Listener, text: str, what: str) -> Incoming:
    """The next input does not name it."""
    request = next_put(server, text, what)
    if request.cookie == server.session:
        raise Violation(f"{what}, the next PUT still named the session {request.cookie!r}")
    return request


def goes_on(server: V2Listener, what: str) -> None:
    """The user can go on: what is said next goes out, and its answer is shown."""
    _answered(server, next_put(server, "Are you still there?", what), what)


def goes_on_with_session(server: V2Listener, what: str) -> None:
    """The user can go on, and the session does."""
    _answered(server, kept(server, "Are you still there?", what), what)


def _answered(server: V2Listener, request: Incoming, what: str) -> None:
    word = f"jasper {len(server.requests)}."
    server.answer(request, frames.item(word), answer_of(word))
    if server.driver.shown() is not None and not server.is_shown(word):
        raise Violation(f"{what}, answers are not shown any more")


def must_show(server: V2Listener, text: str, what: str) -> None:
    """A text is shown.

    Args:
        server: the kit's end.
        text: which one.
        what: it is, for people.
    """
    if not server.is_shown(text):
        raise Violation(f"{what} was not shown")


def speaks_events(request: Incoming) -> None:
    """Go on only with a client that speaks in events.

    Raises:
        NotDeclared: it speaks plain text, which has no words for the rest.
    """
    if request.form == bodies.TEXT:
        raise NotDeclared("the client speaks plain text")


def speaks_json(request: Incoming) -> None:
    """Raises NotDeclared for a client that speaks something else."""
    if request.form != bodies.JSON:
        raise NotDeclared(f"the client speaks {request.form}")

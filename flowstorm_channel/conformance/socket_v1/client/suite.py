"""The suite of V1 clients, and what its checks share."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.lint import CLIENT_RULES, V1Linter
from flowstorm_channel.conformance.socket_v1.listener import Accepted, Listener
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.verdicts import Violation

__all__ = ["ERROR", "SUITE", "check", "goes_on", "must_show", "names_no_session", "names_session"]

SUITE: Suite[Listener] = Suite("socket-v1", "client", Listener, rules=CLIENT_RULES, make_linter=V1Linter)
check = SUITE.check

ERROR: Frame = {"type": "Error", "text": "the kit has thought of an error", "source": "conformance"}


def must_show(server: Listener, text: str, what: str) -> None:
    """A text is shown.

    Args:
        server: the kit's end.
        text: which one.
        what: it is, for people.
    """
    if not server.shows(text):
        raise Violation(f"{what} was not shown")


def goes_on(server: Listener, talk: Accepted, what: str) -> None:
    """The user can go on: what is said next goes out, and its answer is shown."""
    if server.said(talk, "Are you still there?") is None:
        raise Violation(f"{what}, what the user says is not sent any more")
    if talk.session is None:
        talk.announce()
    talk.say(frames.item("Here is jasper."), frames.response())
    if server.driver.shown() is not None and not server.shows("jasper"):
        raise Violation(f"{what}, answers are not shown any more")
    server.played()


def _named(server: Listener, talk: Accepted) -> str | None:
    """The session that the first input on a new connection names; None: it names none."""
    again = server.again(talk)
    found = server.asked(again, "I am here again.")
    held = found.get("request")
    named = held.get("sessionId") if isinstance(held, dict) else None
    return named if isinstance(named, str) else None


def names_session(server: Listener, talk: Accepted, what: str) -> None:
    """After a loss of the connection the client goes on with its session.

    Raises:
        Violation: its first input does not name it.
    """
    named = _named(server, talk)
    if named != talk.session:
        raise Violation(f"{what}, the first input on a new connection named {named!r}, not {talk.session!r}")


def names_no_session(server: Listener, talk: Accepted, what: str) -> None:
    """After a loss of the connection the client does not go on with its session.

    Raises:
        Violation: its first input names it.
    """
    if _named(server, talk) == talk.session:
        raise Violation(f"{what}, the first input on a new connection still named {talk.session!r}")

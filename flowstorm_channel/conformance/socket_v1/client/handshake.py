"""From the opening of a WebSocket to Ready."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.client.suite import ERROR, check, goes_on
from flowstorm_channel.conformance.socket_v1.listener import AGAIN, QUIET, Listener, input_in
from flowstorm_channel.conformance.socket_v1.peer import name
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.wire import Close, ResponseHead

__all__: list[str] = []


@check()
def init_opens_the_conversation(server: Listener) -> None:
    """Accepts the client's WebSocket: Init has to come."""
    found = server.connected().receive()
    if found is None or found["type"] != "Init":
        raise Violation(f"expected Init, got {name(found)}")


@check(needs=("say",))
def the_client_waits_for_ready(server: Listener) -> None:
    """Leaves Init unanswered for a while, though the user talks: nothing must be sent before Ready."""
    talk = server.connected()
    server.arranged(talk.comes("Init"), "the client did not begin with Init")
    server.driver.act("say", "Too early.")
    early = [frame for frame in talk.during(QUIET) if frame["type"] != "Init"]
    if early:
        raise Violation(f"before Ready came {name(early[0])}")
    talk.send(frames.READY)
    for frame in talk.during(QUIET):
        if input_in(frame) is not None:
            server.answer(talk, "Welcome.")
    goes_on(server, talk, "after Ready")


@check(seconds=13, timing=True)
def a_refused_init_is_tried_again(server: Listener) -> None:
    """Answers Init with Error: a new connection has to be opened ten seconds later."""
    talk = server.connected()
    server.arranged(talk.comes("Init"), "the client did not begin with Init")
    talk.send(ERROR)
    _comes_again(server, "Init was refused")


@check(seconds=13, timing=True)
def a_refused_handshake_is_tried_again(server: Listener) -> None:
    """Answers the WebSocket's handshake with status 503: another one has to come ten seconds later."""
    line = server.arranged(server.opened(), "the client opened no WebSocket")
    line.send(ResponseHead(status=503))
    line.send(Close(1006))
    _comes_again(server, "the handshake was refused")


@check(seconds=13, timing=True)
def a_lost_connection_is_opened_again(server: Listener) -> None:
    """Breaks the connection off: a new one has to come ten seconds later, and the user can go on."""
    talk = server.begun()
    talk.lose()
    _comes_again(server, "the connection was lost")


@check(seconds=13, timing=True)
def a_connection_that_the_server_closes_is_opened_again(server: Listener) -> None:
    """Closes the WebSocket with 1000: a new one has to come ten seconds later."""
    talk = server.begun()
    talk.line.send(Close(1000))
    _comes_again(server, "the server closed the connection")


def _comes_again(server: Listener, what: str) -> None:
    began = server.now
    line = server.opened(AGAIN)
    after = (server.now - began) / 1000
    if line is None:
        raise Violation(f"{what}, and the client did not try again within {AGAIN / 1000:g} seconds")
    if after < 7:
        raise Violation(f"{what}, and the client tried again after {after:.1f} seconds, not ten")
    line.send(ResponseHead(status=101))


@check(needs=("close",))
def closing_closes_the_connection(server: Listener) -> None:
    """Closes the client: its WebSocket has to be closed, and none to be opened again."""
    talk = server.begun()
    server.driver.act("close")
    if server.closes(talk) is None:
        raise Violation("the client was closed, and its WebSocket was not")
    if server.accept(AGAIN if server.driver.exact else QUIET) is not None:
        raise Violation("the client was closed, and opened another WebSocket")


@check(needs=("say",))
def ready_again_changes_nothing(server: Listener) -> None:
    """Sends Ready in the middle of a turn: the answer is still shown, and the user can go on."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Are you ready?"))
    talk.say(frames.READY, frames.item("Here is onyx."), frames.response())
    if server.driver.shown() is None:
        raise NotDeclared("what the user is shown cannot be seen")
    if not server.shows("onyx"):
        raise Violation("after a second Ready, the answer to the turn that runs was not shown")
    server.played()
    goes_on(server, talk, "after a second Ready")

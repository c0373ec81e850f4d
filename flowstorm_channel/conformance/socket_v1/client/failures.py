"""What goes wrong."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.client.suite import ERROR, check, goes_on
from flowstorm_channel.conformance.socket_v1.listener import QUIET, Listener
from flowstorm_channel.conformance.socket_v1.peer import name
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

BROKEN: tuple[Frame | str, ...] = (
    "this is no JSON",
    "{}",
    "[1, 2]",
    {"type": "Response"},
    {"type": "Recognized"},
    {"type": "SessionStarted", "sessionId": 5},
)


@check(needs=("say",))
def after_an_error_the_user_can_go_on(server: Listener) -> None:
    """Answers an input with Error: the user can go on, on the same connection and in another session."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Go wrong."))
    talk.send(ERROR)
    talk.session = None
    goes_on(server, talk, "after an Error")


@check(needs=("say",))
def nothing_awaits_an_answer_after_an_error(server: Listener) -> None:
    """Answers two inputs with one Error: the answer to the next one has to be shown."""
    server.showing()
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Go wrong."))
    server.arrange(lambda: server.asked(talk, "Go on."))
    talk.send(ERROR)
    talk.session = None
    goes_on(server, talk, "after an Error that ended two turns")


@check(needs=("say",))
def broken_events_are_survived(server: Listener) -> None:
    """Sends what is no event, or lacks what is required: it does not answer, and the user can go on."""
    talk = server.begun()
    for each in BROKEN:
        talk.send(each)
        said = [frame for frame in talk.during(0) if frame["type"] in ("Error", "(closed)")]
        if said:
            raise Violation(f"{each!r:.60} was answered with {name(said[0])}")
    goes_on(server, talk, "after broken events")


@check(needs=("say",))
def events_of_clients_are_survived(server: Listener) -> None:
    """Sends a client's own events: the client says nothing to it, and the user can go on."""
    talk = server.begun()
    talk.say(frames.said("Who is this?"), frames.log("seen"), {"type": "InputStreamClose"})
    found = [frame for frame in talk.during(QUIET) if frame["type"] in ("Error", "(closed)")]
    if found:
        raise Violation(f"events of a client were answered with {name(found[0])}")
    goes_on(server, talk, "after a client's own events")


@check(needs=("say",), seconds=11)
def an_answer_that_a_loss_cut_off_is_not_awaited(server: Listener) -> None:
    """Breaks the connection off in the middle of an answer: after the reconnect the user can go on."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Tell me a story."))
    talk.send(frames.item("Once upon a time"))
    again = server.again(talk)
    again.session = talk.session
    goes_on(server, again, "after a loss in the middle of an answer")

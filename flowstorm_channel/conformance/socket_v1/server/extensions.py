"""What is new to V1 servers, or strange: events and members that they do not know."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.peer import V1Caller, name
from flowstorm_channel.conformance.socket_v1.server.handshake import accepted
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

_MORE: dict[str, Any] = {"fromTheFuture": {"deep": [1, None, {"x": "y"}]}}


@check()
def unknown_events_do_no_harm(server: V1Caller) -> None:
    """Sends events that nobody knows: nothing comes back, and nothing is lost."""
    talk = server.started()
    talk.send({"type": "FromTheFuture"})
    talk.send({"type": "FromTheFuture", "text": "words", **_MORE})
    talk.stays_quiet("an unknown event")
    if "SessionStarted" in talk.goes_on("an unknown event").kinds:
        raise Violation("an unknown event has ended the session")


@check()
def unknown_members_do_no_harm(server: V1Caller) -> None:
    """Sends Init, Input and Log with members that nobody knows."""
    talk = server.connect()
    init = frames.init(key=server.profile.key, device_id=talk.device_id, sendResponseItems=True, **_MORE)
    accepted(talk, {**init, **_MORE}, "an Init with unknown members")
    held = {"transcript": {"text": server.profile.phrase("echo"), **_MORE}, **_MORE}
    talk.send({"type": "Input", "input": held, **_MORE})
    talk.answered("an Input with unknown members")
    log = frames.log("words")
    talk.send({**log, "entries": [{**log["entries"][0], **_MORE}], **_MORE})
    talk.stays_quiet("a Log with unknown members")


@check()
def long_spellings_of_types_are_understood(server: V1Caller) -> None:
    """Sends `InitEvent` and `InputEvent`: they are taken for Init and Input."""
    talk = server.connect()
    init = frames.init(key=server.profile.key, device_id=talk.device_id)
    accepted(talk, {**init, "type": "InitEvent"}, "an InitEvent")
    talk.send({**frames.said(server.profile.phrase("echo")), "type": "InputEvent"})
    talk.answered("an InputEvent")


@check()
def events_of_the_other_end_are_errors(server: V1Caller) -> None:
    """Sends what only a server sends, and what belongs to Socket V2: each is answered with Error."""
    talk = server.started()
    for event in (frames.READY, frames.response("words"), {"type": "InputStreamClose"}):
        talk.send(event)
        found = talk.receive()
        if found is None or found["type"] != "Error":
            raise Violation(f"{event['type']} from a client was answered with {name(found)}, not with Error")

"""What a V2 server is checked for: the answer to an input."""

from __future__ import annotations

import json

from flowstorm_channel.conformance.socket_v2.peer import PARTS, V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []

AT_ONCE = 300.0
"""Milliseconds between the parts of an answer that count as none."""


@check()
def a_turn_is_one_response_and_the_end(server: V2Caller) -> None:
    """Says something twice: each time one Response comes, nothing behind it, and the body ends."""
    device = server.device()
    for text in (INTRO, server.profile.phrase("echo")):
        device.ask(text)


@check(needs=("echo",))
def items_come_singly_by_default(server: V2Caller) -> None:
    """Says something, and nothing of items: they come one by one, and the Response has none."""
    answer = server.echo()
    if answer.response.get("items"):
        raise Violation("the Response has items, though they were to come one by one before it")


@check(needs=("echo",))
def items_come_together_when_asked_for(server: V2Caller) -> None:
    """Says sendResponseItems=false: all items stand in the Response."""
    answer = server.echo(query={"sendResponseItems": "false"})
    if answer.single_items:
        raise Violation("items came one by one")


@check(needs=("long",))
def parts_come_as_they_are_said(server: V2Caller) -> None:
    """Makes the server talk for a while: the first part comes long before the Response."""
    device = server.started()
    asked = server.now
    put = device.say(server.profile.phrase("long"))
    server.arrange(lambda: put.next(*PARTS, "Response", "Error", "(broken)"))
    if not put.over:
        return
    took = server.now - asked
    # Only who knows the dialogue can tell an answer that was held back from one that was slow to begin.
    known = "long" in server.profile.declared and took >= AT_ONCE
    server.assume("long", known, f"the answer to the long phrase does not go on for a while: {put}")
    raise Violation(f"all of the answer came together, after {took:.0f} ms")


@check(needs=("echo",))
def each_event_is_one_line(server: V2Caller) -> None:
    """Looks whether each event of an answer in JSON is a line of its own, with its end."""
    answer = server.echo()
    if not answer.body.endswith(b"\n"):
        raise Violation("the last line of the answer has no end")
    broken = [each for each in answer.body.splitlines() if not _is_event(each)]
    if broken:
        raise Violation(f"this line of the answer is no event: {broken[0][:80]!r}")


def _is_event(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True

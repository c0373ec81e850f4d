"""What a V2 server is checked for: answers in lines of text."""

from __future__ import annotations

from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import name
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check(needs=("echo",))
def a_text_is_answered_in_lines(server: V2Caller) -> None:
    """Says something as plain text: what the server says begins with a less-than sign."""
    answer = server.device().type(server.profile.phrase("echo"))
    broken = next((each for each in answer.frames if each["type"] != "(line)"), None)
    if broken is not None:
        raise Violation(f"the answer holds {name(broken)}")
    server.assume("echo", bool(answer.frames), "the answer is empty")
    if not answer.lines("<") or answer.lines("!"):
        raise Violation(f"expected lines that begin with <, got {answer}")


@check(needs=("end",))
def the_end_is_a_dot(server: V2Caller) -> None:
    """Makes the dialogue end the session, in JSON and in text: the last line of the text is a dot."""
    phrase = server.profile.phrase("end")
    server.assume("end", server.started().ask(phrase).ends, "the session did not end at the ending phrase")
    answer = server.started().type(phrase)
    if answer.last is None or answer.last.get("mark") != ".":
        raise Violation(f"the last line is not a dot: {answer}")


@check(needs=("video",))
def properties_come_before_the_speech(server: V2Caller) -> None:
    """Makes the dialogue show a video, in JSON and in text: its address stands on a line before the words."""
    _has_property_line(server, "video", "video")


@check(needs=("command",))
def a_command_is_two_lines(server: V2Caller) -> None:
    """Makes the dialogue send a command, in JSON and in text: a line with its code stands before its name."""
    _has_property_line(server, "command", "code")


def _has_property_line(server: V2Caller, capability: str, member: str) -> None:
    phrase = server.profile.phrase(capability)
    asked = server.started().ask(phrase)
    item = next((each for each in asked.items if each.get(member) and each.get("text")), None)
    server.assume(capability, item is not None, f"no item of the answer has a text and a {member}: {asked}")
    assert item is not None
    answer = server.started().type(phrase)
    wanted = _first_line(item)
    nothing: Frame = {"type": "nothing"}
    for line, following in zip(answer.frames, [*answer.frames[1:], nothing], strict=True):
        if line.get("mark") == "#" and (bodies.properties_of(line) or {}).get(member) == item[member]:
            if following.get("mark") != "<" or not following["text"].endswith(wanted):
                raise Violation(f"behind the line with the {member} came {name(following)}, not < {wanted}")
            return
    raise Violation(f"no line names the {member}: {answer}")


def _first_line(item: Frame) -> str:
    return next(iter((item.get("text") or "").splitlines()), "")

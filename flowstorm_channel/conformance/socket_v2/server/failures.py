"""What a V2 server is checked for: faults and errors."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check()
def an_event_of_v1_is_refused(server: V2Caller) -> None:
    """Sends InputAudioStreamOpen: that is refused with 400."""
    server.device().whole(frames.OPEN).refused(400)


@check(needs=("long",))
def garbage_behind_an_input_is_a_fault(server: V2Caller) -> None:
    """Sends an input and, in the same piece, what is no event: 400, or an Error that ends the body."""
    server.long_answer(server.started())
    device = server.started()
    said = bodies.write(frames.said(server.profile.phrase("long")))
    device.whole(body=said + b"garbage").fault()


@check(needs=("long",))
def garbage_during_the_answer_ends_it_with_error(server: V2Caller) -> None:
    """Sends what is no event while the answer comes: an Error ends the body."""
    put = server.long_answer(server.started(), end=False)
    put.send(b"garbage")
    put.end()
    put.fault()


@check(needs=("long",))
def a_second_input_in_one_request_is_a_fault(server: V2Caller) -> None:
    """Says something more in the same request while the answer comes: an Error ends the body."""
    put = server.long_answer(server.started(), end=False)
    put.write(frames.said(server.profile.phrase("echo")))
    put.end()
    put.fault()


@check(needs=("fail",))
def a_failing_dialogue_is_no_status(server: V2Caller) -> None:
    """Makes the dialogue fail: the status is 200 all the same, and Error or Response ends the body."""
    answer = server.started().say(server.profile.phrase("fail")).answer(200)
    if answer.kinds[-1:] not in (["Error"], ["Response"]):
        raise Violation(f"expected Error or Response at the end, got {answer}")

"""What a V2 server is checked for: several PUTs of one session."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.peer import SOON, V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check(timing=True)
def a_second_put_is_refused_while_audio_comes(server: V2Caller) -> None:
    """Says something in another PUT while it streams: that waits a second, and is refused with 409."""
    talk = server.streaming()
    asked = server.now
    talk.device.say(server.profile.phrase("echo")).refused(409, ms=3_000)
    if server.now - asked < 700:
        raise Violation(f"it was refused after {server.now - asked:.0f} ms")
    talk.put.poll()
    if talk.put.head is not None or talk.put.over:
        raise Violation(f"the PUT that streams was ended: {talk.put}")


@check(timing=True)
def a_third_put_is_refused_at_once(server: V2Caller) -> None:
    """Says something in two more PUTs while it streams: the third is refused with 409 before the second."""
    talk = server.streaming()
    second = talk.device.say(server.profile.phrase("echo"))
    server.settle()
    talk.device.say(server.profile.phrase("echo")).refused(409, ms=600)
    second.poll()
    if second.over:
        raise Violation(f"the second PUT was ended before the third: {second}")


@check(timing=True)
def a_put_waits_for_one_that_was_given_up(server: V2Caller) -> None:
    """Says something in another PUT while it streams, then breaks the stream off: the text is answered."""
    talk = server.streaming()
    second = talk.device.say(server.profile.phrase("echo"))
    server.pass_time(200)
    talk.put.lose()
    second.turn()


@check(needs=("long",))
def a_later_put_interrupts_the_answer(server: V2Caller) -> None:
    """Says something while the server talks: the old answer ends with an empty Response."""
    device = server.started()
    before = server.long_answer(device)
    device.ask(server.profile.phrase("echo"))
    cut = before.answer(200, SOON)
    if cut.kinds[-1] != "Response" or cut.response.get("items"):
        raise Violation(f"the answer that was interrupted does not end with an empty Response: {cut}")


@check(needs=("long",))
def logs_interrupt_nothing(server: V2Caller) -> None:
    """Sends log entries while the server talks: 204, and the answer goes on."""
    device = server.started()
    put = server.long_answer(device)
    known = len(put.frames)
    device.whole(frames.log("seen by the kit")).answer(204)
    put.turn()
    if not any(each["type"] == "ResponseItem" for each in put.frames[known:]):
        raise Violation("the answer was cut short by log entries")


@check(needs=("long",))
def a_lost_put_leaves_its_session(server: V2Caller) -> None:
    """Breaks a PUT off while the server talks: the next one is answered, in the same session."""
    device = server.started()
    before = device.session
    server.long_answer(device).lose()
    device.ask(server.profile.phrase("echo"))
    if device.session != before:
        raise Violation("the session was replaced")

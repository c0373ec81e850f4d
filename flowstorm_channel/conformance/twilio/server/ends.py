"""How a call ends: by the dialogue, by the caller, by an error."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.peer import Call, Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import Untestable, Violation

__all__: list[str] = []

_GRACE = 5000
_TOLERANCE = 2000
_WHILE = 1500


def ended(server: Phone, *, loses_marks: bool = False) -> Call:
    """A call that the dialogue has ended, as far as it does.

    Args:
        server: the stage.
        loses_marks: no mark comes back.
    """
    call = server.greeted(loses_marks=loses_marks)
    since = call.ask_for("end")
    call.wait("media", since)
    call.listen(since)
    return call


@check(needs=("audio", "end"))
def the_end_of_the_session_closes_the_call(server: Phone) -> None:
    """Makes the dialogue end the session: when the last mark is back, the server closes the WebSocket."""
    call = ended(server)
    call.wait("(closed)")
    server.demand("end", call.ended is not None, "the session has ended, and the call goes on in silence")


@check(needs=("audio", "end"))
def the_last_words_are_played_before_the_call_is_closed(server: Phone) -> None:
    """Makes the dialogue end the session: what it says last is heard to its end."""
    call = ended(server)
    call.wait("(closed)")
    server.assume("end", call.ended is not None, "the phrase for the end did not end the call")
    if call.cut_off:
        raise Violation("the call was closed before all that was said had been played")


@check(needs=("audio", "end"), timing=True, seconds=20)
def a_lost_mark_does_not_keep_the_call_open(server: Phone) -> None:
    """Ends the session and lets no mark come back: five seconds after the last word the call is closed."""
    plain = ended(server)
    plain.wait("(closed)")
    server.assume("end", plain.ended is not None, "the phrase for the end did not end the call")
    call = ended(server, loses_marks=True)
    until = call.heard_until + _GRACE
    call.wait("(closed)", ms=max(0.0, until - server.now) + _TOLERANCE)
    if call.ended is None:
        raise Violation("the last mark was lost, and seven seconds after the last word the call goes on")


@check(needs=("audio", "fail"))
def an_error_ends_the_call(server: Phone) -> None:
    """Makes the dialogue fail: the call ends, and the caller does not wait in silence."""
    call = server.greeted()
    since = call.ask_for("fail")
    call.wait("(closed)", since, server.patience + _GRACE)
    server.demand("fail", call.ended is not None, "the dialogue has failed, and the call goes on")


@check(needs=("audio",))
def a_stop_closes_the_call(server: Phone) -> None:
    """Says stop, without closing the WebSocket, while the server talks: the server closes it."""
    call = server.answered()
    call.ask_for("long")
    server.pass_time(_WHILE)
    call.send({"event": "stop", "stop": {"accountSid": call.peer.account_sid, "callSid": call.peer.call_sid}})
    if call.wait("(closed)") is None:
        raise Violation("after stop the server did not close the WebSocket")


@check(needs=("audio",))
def the_loss_of_a_call_is_no_loss_to_others(server: Phone) -> None:
    """Breaks the transport of one call while the server talks: another goes on, and a new one is taken."""
    lost, other = server.answered(), server.answered()
    server.pass_time(100)
    lost.lose()
    server.pass_time(_WHILE)
    if other.ended is not None:
        raise Violation(f"when one call was lost, in another came {other.end}")
    if not is_taken(server):
        raise Violation("when one call had been lost, the next was not greeted")


def is_taken(server: Phone) -> bool:
    """Whether the server still takes calls."""
    try:
        return server.dial().wait("media") is not None
    except Untestable:  # not even the handshake is answered
        return False

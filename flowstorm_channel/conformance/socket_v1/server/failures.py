"""What V1 servers do when something goes wrong: with messages, the dialogue, or the transport."""

from __future__ import annotations

from flowstorm_channel.conformance.socket_v1.peer import V1Caller, name, payloads_of
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

_NO_EVENTS = ("{", "", "words", "42", '{"no": "type"}', '{"type": 5}')
_WRONG = (
    '{"type": "Input"}',
    '{"type": "Input", "input": 5}',
    '{"type": "Input", "input": {"transcript": {}}}',
    '{"type": "Input", "input": {"transcript": {"text": "hello", "confidence": NaN}}}',
    '{"type": "Log", "entries": "words"}',
)


def _each_is_an_error(server: V1Caller, messages: tuple[str, ...]) -> None:
    talk = server.started()
    for message in messages:
        talk.send(message)
        found = talk.receive()
        if found is None or found["type"] != "Error":
            raise Violation(f"{message!r} was answered with {name(found)}, not with Error")
        if not isinstance(found.get("text"), str):
            raise Violation("the Error has no text")


@check()
def what_is_no_event_is_answered_with_error(server: V1Caller) -> None:
    """Sends text that is no JSON, or no object with a type: each is answered with Error."""
    _each_is_an_error(server, _NO_EVENTS)


@check()
def what_is_wrong_in_an_event_is_answered_with_error(server: V1Caller) -> None:
    """Sends events whose members are missing or of the wrong kind: each is answered with Error."""
    _each_is_an_error(server, _WRONG)


@check()
def the_connection_survives_faults(server: V1Caller) -> None:
    """Sends what is no event, and what is wrong in an event: the next Input is answered."""
    talk = server.started()
    for message in (_NO_EVENTS[0], _WRONG[0]):
        talk.send(message)
        talk.during(300)
        talk.goes_on(f"{message!r}")


@check()
def an_error_ends_the_session(server: V1Caller) -> None:
    """Provokes an Error: the next Input begins another session, since clients have dropped the old one."""
    talk = server.started()
    talk.send("{")
    server.arrange(lambda: talk.expect("Error"))
    answer = talk.goes_on("an Error")
    if answer.kinds[0] != "SessionStarted":
        raise Violation(f"the answer after an Error began with {answer.kinds[0]}, not with SessionStarted")


# ------------------------------------------------------------ the dialogue


@check(needs=("fail",))
def a_dialogue_that_fails_is_an_answer(server: V1Caller) -> None:
    """Makes the dialogue fail: a Response or an Error comes, and the connection goes on."""
    talk = server.started()
    answer = talk.ask(server.profile.phrase("fail"))
    server.assume("fail", answer.ends or answer.last["type"] == "Error", "the dialogue did not fail")
    talk.during(500)
    talk.goes_on("a failure of the dialogue")


@check(needs=("fail",))
def a_dialogue_that_fails_says_so(server: V1Caller) -> None:
    """Makes the dialogue fail: what comes is a Response that ends the session, with words for the user."""
    talk = server.started()
    answer = server.arrange(lambda: talk.ask(server.profile.phrase("fail")))
    if answer.last["type"] == "Error":
        raise Violation("a failure of the dialogue was told as Error")
    server.assume("fail", answer.ends, "the dialogue did not fail")
    if not any(each.get("text") for each in answer.items):
        raise Violation("there are no words for the user in the Response")


# ------------------------------------------------------------ the transport


@check(needs=("long",))
def a_lost_connection_takes_its_turn_with_it(server: V1Caller) -> None:
    """Loses the connection while the server talks, and connects again: nothing of the old answer comes."""
    of_old = server.long_payloads()
    talk = server.started()
    server.long_answer(talk)
    talk.lose()
    again = server.ready(device_id=talk.device_id)
    late = payloads_of(again.during(1500)) & of_old
    if late:
        raise Violation(f"of an answer that a lost connection was to have came {min(map(str, late))!r:.60}")


@check()
def a_session_is_announced_again_after_a_reconnect(server: V1Caller) -> None:
    """Loses the connection, and sends a Request with the old id on a new one: SessionStarted comes first."""
    talk, session_id = server.begun()
    talk.lose()
    again = server.ready(device_id=talk.device_id)
    answer = again.request(server.profile.phrase("echo"), session_id)
    if answer.kinds[0] != "SessionStarted":
        raise Violation(
            f"the answer on a new connection began with {answer.kinds[0]}, not with SessionStarted"
        )


@check(timing=True, seconds=90)
def a_silent_client_is_not_hung_up_on(server: V1Caller) -> None:
    """Says nothing for a minute and a half: the next Input is answered."""
    talk = server.started()
    talk.during(90_000)
    talk.goes_on("a minute and a half of silence")

"""The kit's checks of V1 servers where time is real, and where they do not come to their point."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from flowstorm_channel.conformance.memory import MemoryServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.requirements import Basis, Level
from flowstorm_channel.conformance.runner import run
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import reference
from flowstorm_channel.conformance.socket_v1.peer import V1Caller, payloads_of, read_frame
from flowstorm_channel.conformance.socket_v1.server import SUITE
from flowstorm_channel.conformance.verdicts import NotDeclared, Outcome, Untestable, Verdict, Violation
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.values import Input, Request
from flowstorm_channel.wire import Message, RequestHead, ResponseHead


class InexactDriver(MemoryServerDriver):
    """As over a real transport, where messages cross."""

    exact = False


def do(check: str, driver: MemoryServerDriver) -> None:
    """Run a check; raises unless it passes."""
    SUITE.checks[check].run(V1Caller(driver, SUITE.reference_profile))


def inexact(make_channel: Any = SocketV1Server) -> InexactDriver:
    clock = ManualClock()
    return InexactDriver(clock, lambda: make_channel(clock=clock), ReferenceHost(clock))


class Reluctant(SocketV1Server):
    """Takes no WebSocket."""

    def _read(self, message: Message) -> None:  # noqa: ARG002
        self._put(ResponseHead(status=403))


class Lively(SocketV1Server):
    """Keeps the connection alive from its end."""

    def _read(self, message: Message) -> None:
        super()._read(message)
        if not isinstance(message, RequestHead):
            self._put(b"")


class Unheard(SocketV1Server):
    """Reads late: two parts of an answer are out before it knows that it was interrupted."""

    def _on_input(self, what: str, said: Input, request: Request | None) -> None:
        if self._running is not None:
            for _ in range(2):
                self._put('{"type":"ResponseItem","responseItem":{"text":"on its way"}}')
        super()._on_input(what, said, request)


def test_a_server_that_refuses_the_websocket_cannot_be_tested() -> None:
    results = run(SUITE, lambda: reference(ManualClock(), Reluctant), SUITE.reference_profile)
    verdicts = {case.verdict for result in results for case in result.cases if case.check in SUITE.checks}
    assert Verdict.UNTESTABLE in verdicts
    assert verdicts <= {Verdict.UNTESTABLE, Verdict.PASS}


def test_a_server_may_keep_the_connection_alive() -> None:
    results = run(SUITE, lambda: reference(ManualClock(), Lively), SUITE.reference_profile)
    assert [case for result in results for case in result.cases if case.verdict is not Verdict.PASS] == []


def test_where_time_is_real_parts_may_cross_an_interruption() -> None:
    check = "an_interrupted_turn_is_closed_first"
    do(check, inexact(Unheard))
    with pytest.raises(Violation, match="got ResponseItem"):
        do(check, reference(ManualClock(), Unheard))


def test_where_time_is_real_nobody_waits_for_a_long_sleep() -> None:
    class Sleepy(SocketV1Server):
        """Lets sessions sleep for an hour."""

        def _put(self, message: Message, turn: object = None) -> Any:
            if isinstance(message, str):
                message = message.replace('"sleepTimeout":60', '"sleepTimeout":3600')
            return super()._put(message, turn)

    with pytest.raises(NotDeclared, match="longer than the kit waits"):
        do("a_session_does_not_sleep_for_ever", inexact(Sleepy))


def test_a_server_that_queues_inputs_is_only_warned() -> None:
    queueing = partial(SocketV1Server, queue_inputs=True)
    results = run(SUITE, lambda: reference(ManualClock(), queueing), SUITE.reference_profile)
    found = {result.requirement.id: result.verdict for result in results}
    strange = {identity for identity, verdict in found.items() if verdict not in (Verdict.PASS, Verdict.INFO)}
    assert strange == {"FSC-V1-BARGE-001", "FSC-V1-BARGE-002"}
    assert {found[each] for each in strange} == {Verdict.WARN}


def test_what_a_server_denies_is_not_tried() -> None:
    profile = Profile(denied=SUITE.reference_profile.declared)
    results = run(SUITE, lambda: reference(ManualClock()), profile)
    verdicts = {case.check: case.verdict for result in results for case in result.cases}
    wanting = {name for name, check in SUITE.checks.items() if check.needs}
    assert {verdicts[name] for name in wanting} == {Verdict.NOT_DECLARED}
    assert {verdicts[name] for name in set(SUITE.checks) - wanting} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("check", "peer"),
    [
        ("where_msgpack_is_agreed_on_it_is_spoken", "agrees-to-msgpack-and-writes-json"),
        ("unknown_events_do_no_harm", "announces-every-turn"),
        ("what_is_no_event_is_answered_with_error", "has-no-text-for-errors"),
        ("an_error_ends_the_session", "keeps-the-session-after-an-error"),
        ("a_foreign_session_id_disturbs_nobody", "announces-every-turn"),
        ("the_inputs_of_real_clients_are_answered", "takes-only-text-for-attributes"),
        ("a_request_that_names_the_session_goes_on_with_it", "begins-anew-with-every-request"),
        ("null_stands_for_the_default", "takes-null-for-a-value"),
        ("the_end_of_a_session_is_told", "says-session-ended-first"),
    ],
)
def test_a_check_sees_more_than_one_fault(check: str, peer: str) -> None:
    driver = SUITE.broken[peer].make_driver(ManualClock())
    assert isinstance(driver, MemoryServerDriver)
    with pytest.raises(Violation):
        do(check, driver)


ORDINARY = (
    *("the_inits_of_real_clients_are_accepted", "what_is_no_event_is_answered_with_error"),
    *("silence_is_told", "streamed_speech_comes_in_binary_frames", "msgpack_is_agreed_on"),
    *("a_refused_second_init_ends_the_session", "a_request_that_names_the_session_goes_on_with_it"),
    "a_client_may_end_the_session",
)


def passes(check: str, peer: str) -> bool:
    driver = SUITE.broken[peer].make_driver(ManualClock())
    assert isinstance(driver, MemoryServerDriver)
    try:
        do(check, driver)
    except Outcome:
        return False
    return True


def test_the_faults_are_small() -> None:
    passed = {peer: [check for check in ORDINARY if passes(check, peer)] for peer in SUITE.broken}
    few = {peer for peer in passed if len(passed[peer]) < 3}
    # Without Ready, or with all Inputs refused, there is nothing else.
    assert few == {"forgets-ready", "announces-a-session-before-ready", "wants-a-confidence"}


class Mute(ReferenceHost):
    """Knows none of the kit's phrases, and hears nothing."""

    def take(self, channel: Any, event: Any) -> None:
        if type(event).__name__ == "InputEvent":
            self._plan(self._clock(), channel.turn, ["What did you say?"])
        elif not type(event).__name__.startswith(("InputAudioStream", "Binary")):
            super().take(channel, event)


def test_a_dialogue_that_knows_no_phrase_is_no_failure() -> None:
    results = run(SUITE, lambda: reference(ManualClock(), make_host=Mute), Profile(denied={"speech"}))
    assert [result for result in results if result.verdict.fails or result.verdict is Verdict.WARN] == []
    claims = Profile(declared={"end", "speech"})
    results = run(SUITE, lambda: reference(ManualClock(), make_host=Mute), claims)
    failing = {case.check for result in results for case in result.cases if case.verdict.fails}
    assert {"the_end_of_a_session_is_told", "the_microphone_is_acknowledged"} <= failing


@pytest.mark.parametrize(
    ("check", "peer"),
    [
        ("nobody_is_served_before_init", "passes-over-what-comes-before-init"),
        ("an_init_that_names_no_key_is_an_error", "passes-over-what-it-does-not-understand"),
        ("a_request_begins_a_session", "ignores-another-id"),
    ],
)
def test_a_fault_is_found_only_where_it_is(check: str, peer: str) -> None:
    assert passes(check, peer)


def test_what_there_is_to_see_and_hear() -> None:
    assert payloads_of(
        [
            {"type": "Response", "response": {"items": [{"text": "words", "audio": "a.mp3"}, {"text": ""}]}},
            {"type": "ResponseItem", "responseItem": {"text": "more", "image": "i.png"}},
            {"type": "Binary", "data": b"sound"},
            {"type": "Response", "response": None},
        ]
    ) == {"words", "a.mp3", "more", b"sound"}


def test_what_is_no_event_is_read_as_broken() -> None:
    assert read_frame(ResponseHead(status=101))["type"] == "(broken)"


def test_every_must_has_a_basis_and_every_row_without_checks_a_reason() -> None:
    rows = SUITE.requirements.values()
    assert not [row.id for row in rows if row.level is Level.MUST and row.basis is Basis.DECIDED]
    assert [row.id for row in rows if not row.checks] == [
        *("FSC-V1-SESS-008", "FSC-V1-TURN-016", "FSC-V1-AUDIO-017", "FSC-V1-LIMIT-005"),
        *("FSC-V1-FAIL-010", "FSC-V1-FAIL-011", "FSC-V1-SEC-009", "FSC-V1-SEC-010"),
    ]


def test_an_untestable_start_is_told_as_such() -> None:
    with pytest.raises(Untestable, match="403"):
        do("every_input_is_answered_once", reference(ManualClock(), Reluctant))

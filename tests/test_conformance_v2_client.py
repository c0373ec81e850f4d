"""The suite of V2 clients on clients that are sound, and not like the reference."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flowstorm_channel.conformance.drivers import ClientDriver, Wire
from flowstorm_channel.conformance.memory import MemoryClientDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.runner import run, run_check
from flowstorm_channel.conformance.socket_v2.broken_clients import reference
from flowstorm_channel.conformance.socket_v2.client import SUITE
from flowstorm_channel.conformance.socket_v2.incoming import recognized_input
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.verdicts import NotDeclared, Verdict
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.wire import END, Close, CloseCode, End, Message, RequestHead, ResponseHead

assert SUITE.make_reference is reference  # the broken ones are there

COOKIE = "flowstorm-session-id"
MICROPHONE = {
    name for name, check in SUITE.checks.items() if {"open_microphone", "close_microphone"} & {*check.needs}
}


class Plain(ClientDriver):
    """A client as in a shell script: each text is a PUT, and the lines that come back are printed."""

    def __init__(self, clock: ManualClock, *, polite: bool = False) -> None:
        super().__init__(clock)
        self.time = clock
        self.polite = polite
        self.cookie = ""
        self.lines: list[str] = []
        self.running: PlainWire | None = None
        self._opened: deque[Wire] = deque()

    def advance(self, ms: float) -> None:
        self.time.advance(ms / 1000)

    def accept(self) -> Wire | None:
        return self._opened.popleft() if self._opened else None

    def act(self, action: str, value: str | bytes = "") -> None:
        if action not in ("say", "finish_playback"):
            raise NotDeclared(f"no {action}")
        if action == "say":
            if self.running is not None:
                if self.polite:
                    return
                self.running.hang_up()
            self.running = PlainWire(self, str(value))
            self._opened.append(self.running)

    def shown(self) -> Sequence[str]:
        return self.lines

    def close(self) -> None:
        pass


class PlainWire(Wire):
    def __init__(self, client: Plain, text: str) -> None:
        headers = [("X-Key", "K"), ("X-DeviceId", "D"), ("Content-Type", "text/plain; charset=utf-8")]
        if client.cookie:
            headers.append(("Cookie", f"lang=en; {COOKIE}={client.cookie}"))
        head = RequestHead(method="POST", url="/client", headers=headers)
        self.client = client
        self.came: deque[Message] = deque([head, text.encode(), END])
        self.status = 0
        self.body = b""

    def receive(self) -> Message | None:
        return self.came.popleft() if self.came else None

    def hang_up(self) -> None:
        self.came.append(Close(CloseCode.ABNORMAL))
        self.client.running = None

    def send(self, message: Message) -> None:
        if self.client.running is not self:
            return
        match message:
            case ResponseHead():
                self.status = message.status
                if message.status in (401, 403):
                    self.client.cookie = ""
                for name, value in message.headers:
                    if name == "Set-Cookie" and value.startswith(f"{COOKIE}="):
                        self.client.cookie = value.partition("=")[2].partition(";")[0]
            case bytes() if self.status == 200:
                *lines, self.body = (self.body + message).split(b"\n")
                for line in lines:
                    self.show(line.decode())
            case Close() | End.END:
                self.hang_up()

    def show(self, line: str) -> None:
        if line == "." or line.startswith("! "):
            self.client.cookie = ""
        self.client.lines.append(line)


def verdicts(make: Callable[[ManualClock], ClientDriver], profile: Profile | None = None) -> dict[str, Any]:
    results = run(SUITE, lambda: make(ManualClock()), profile or Profile())
    return {case.check: (case.verdict, case.text) for result in results for case in result.cases}


def blamed(found: dict[str, Any]) -> dict[str, Any]:
    return {name: why for name, why in found.items() if why[0] not in (Verdict.PASS, Verdict.NOT_DECLARED)}


def named(found: dict[str, Any], *of: Verdict) -> set[str]:
    return {name for name, (verdict, _) in found.items() if verdict in of and name in SUITE.checks}


def test_a_client_that_knows_plain_text_only_is_not_blamed() -> None:
    found = verdicts(Plain)
    assert blamed(found) == {}
    assert named(found, Verdict.NOT_DECLARED) == MICROPHONE | {
        "a_long_event_is_taken",
        "a_proposed_session_id_is_well_formed",
        "an_interruption_breaks_off_the_answer",
        "closing_breaks_off_what_is_under_way",
        "events_need_no_lines",
        "logs_go_out_beside_a_running_turn",
        "long_names_of_events_are_understood",
        "members_that_are_missing_or_null_have_defaults",
        "nothing_is_shown_behind_an_interruption",
        "the_language_of_a_response_is_that_of_the_next_input",
        "the_session_id_is_dropped_when_the_sleep_is_over",
        "unknown_events_are_passed_over",
        "unknown_members_are_passed_over",
        "what_cannot_be_read_is_not_the_end",
    }


def test_a_client_that_lets_nobody_interrupt_is_not_blamed() -> None:
    found = verdicts(lambda clock: Plain(clock, polite=True))
    assert blamed(found) == {}
    assert found["an_input_breaks_off_the_answer"] == (
        Verdict.NOT_DECLARED,
        "the user cannot say anything while an answer goes on",
    )


OURS: dict[str, dict[str, Any]] = {
    "waits to be spoken to": {},
    "speaks msgpack": {"msgpack": True},
    "opens its microphone by itself": {"auto_start": True, "auto_microphone": True},
    "goes on with a session": {"session_id": "from-yesterday"},
}


class Hidden(MemoryClientDriver):
    """What it shows cannot be seen."""

    def shown(self) -> Any:
        return None


def ours(
    clock: ManualClock, make_driver: Callable[..., MemoryClientDriver] = MemoryClientDriver, **options: Any
) -> MemoryClientDriver:
    client = SocketV2Client("http://a/client", key="K", device_id="D", clock=clock, **options)
    return make_driver(clock, client, plays_at_once=True)


@pytest.mark.parametrize("name", OURS)
def test_our_client_conforms_however_it_is_set_up(name: str) -> None:
    found = verdicts(lambda clock: ours(clock, **OURS[name]))
    assert blamed(found) == {}


def test_a_client_that_shows_nothing_is_not_blamed() -> None:
    found = verdicts(lambda clock: ours(clock, Hidden))
    assert blamed(found) == {}
    unseen = {name for name, (_, text) in found.items() if text == "it cannot be seen what the client shows"}
    assert {"a_response_is_shown", "nothing_of_an_interrupted_answer_is_shown"} <= unseen


def test_a_get_may_ask_for_lines_of_text() -> None:
    class Reader(Plain):
        def act(self, action: str, value: str | bytes = "") -> None:
            wire = PlainWire(self, f"{action} {value!r}")
            headers = (("X-Key", "K"), ("X-DeviceId", "D"), ("Accept", "text/plain"))
            wire.came = deque([RequestHead(url="/client", headers=headers), END])
            self._opened.append(wire)

    clock = ManualClock()
    driver = Reader(clock)
    server = V2Listener(driver, Profile())
    driver.act("read")
    get = server.seen(lambda: server.running(put=False))
    assert get is not None
    said = recognized_input("good day", final=False)
    assert get.encode(said, {"type": "Error", "text": "no"}) == b"~ good day\n! conformance: no\n"


def judged(peer: str, check: str) -> str:
    """What is said of a broken client after one check; nothing when that passes."""
    make = SUITE.broken[peer].make_driver
    return run_check(SUITE, check, lambda: make(ManualClock()), SUITE.reference_profile)[0]


SAID = {
    ("mixes-answers", "nothing_of_an_interrupted_answer_is_shown"): "was interrupted was shown",
    ("sends-a-put-for-each-block", "the_microphone_is_a_put_and_a_get"): "though nothing was recognised",
    ("sends-a-put-for-each-block", "audio_is_sent_as_it_is_spoken"): "bytes of audio were spoken",
    ("streams-a-recording", "audio_is_sent_as_it_is_spoken"): "as audio/basic without realtime=1",
    ("types-beside-the-microphone", "a_text_in_mid_stream_is_said"): "goes on beside that of the text",
    ("sends-the-history", "every_input_is_a_put_of_its_own"): "2 inputs stand in one PUT",
    ("sends-the-history", "logs_go_out_beside_a_running_turn"): "another Input in the same PUT",
    ("never-ends-the-body", "every_input_is_a_put_of_its_own"): "there came: PUT with Input",
    ("plays-the-response-first", "single_items_come_before_those_of_the_response"): "not shown in order",
    ("reads-lines", "events_need_no_lines"): "an item of events with nothing between them was not shown",
}


@pytest.mark.parametrize(("peer", "check"), SAID)
def test_people_are_told_what_is_wrong(peer: str, check: str) -> None:
    assert SAID[peer, check] in judged(peer, check)


@pytest.mark.parametrize(
    ("peer", "check"),
    [
        ("sleeps-for-ever", "a_get_that_brings_nothing_is_repeated"),
        ("records-first", "a_spoken_turn_is_answered"),
        ("takes-a-loss-for-the-end", "a_lost_request_is_not_the_end"),
        ("reads-once", "the_session_id_is_dropped_when_the_sleep_is_over"),
        ("forgets-the-cookie-when-it-reads-again", "the_session_id_is_dropped_when_the_sleep_is_over"),
        ("looks-away-when-it-reads-again", "the_session_id_is_dropped_when_the_sleep_is_over"),
        ("writes-ascii", "logs_go_out_beside_a_running_turn"),
        ("waits-for-the-end-of-nothing", "items_are_shown_as_they_come"),
    ],
)
def test_what_is_next_to_a_fault_passes(peer: str, check: str) -> None:
    assert judged(peer, check) == ""

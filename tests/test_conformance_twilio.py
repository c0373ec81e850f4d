"""The checks of phone calls, where the proof does not show it: other servers, other dialogues, recordings."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from flowstorm_channel.conformance import SUITES
from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.lint import lint
from flowstorm_channel.conformance.profile import PHRASES, Profile, tone
from flowstorm_channel.conformance.reference import SPOKEN, ReferenceHost
from flowstorm_channel.conformance.runner import run
from flowstorm_channel.conformance.twilio.broken_servers import reference
from flowstorm_channel.conformance.twilio.frames import audio_of, mulaw_of, name, problem_of, read_frame
from flowstorm_channel.conformance.verdicts import Verdict
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.trace import Head, Record
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio import audio as twilio_audio
from flowstorm_channel.values import INTRO, Input, Transcript
from flowstorm_channel.wire import Close, Message, ResponseHead

SUITE = SUITES["twilio/server"]
FULL = SUITE.reference_profile
SID = "MZ1"


def verdicts(make: Callable[[ManualClock], ServerDriver], profile: Profile) -> dict[str, Verdict]:
    """By check or rule."""
    found = run(SUITE, lambda: make(ManualClock()), profile)
    return {case.check: case.verdict for each in found for case in each.cases}


def all_but(found: dict[str, Verdict], verdict: Verdict) -> dict[str, Verdict]:
    return {check: each for check, each in found.items() if each is not verdict}


unsigned = partial(reference, auth_token=None, public_url=None)

# ------------------------------------------------------------ servers that claim less


def test_what_was_not_claimed_and_does_not_work_is_not_declared() -> None:
    class Quiet(ReferenceHost):
        def take(self, channel: ServerChannel, event: Any) -> None:
            """Nobody is there."""

    found = verdicts(partial(unsigned, make_host=Quiet), Profile())
    assert set(all_but(found, Verdict.NOT_DECLARED)) == {"a_call_is_taken"}


def test_a_server_that_only_answers_speech_conforms() -> None:
    class Plain(ReferenceHost):
        """Answers to no key, and always at the same length."""

        def _answer(self, channel: ServerChannel, turn: Turn) -> None:  # noqa: ARG002
            self._plan(self._clock(), turn, ["Hello!" if turn.text == INTRO else "Well, well."])

    found = verdicts(partial(unsigned, make_host=Plain), Profile(idle_key=None))
    left = all_but(found, Verdict.PASS)
    assert set(left.values()) == {Verdict.NOT_DECLARED}
    assert {"keys_do_not_end_the_call", "speech_clears_what_is_played"} < set(left)
    assert "speech_is_answered" not in left


def test_without_the_token_a_server_that_wants_signatures_cannot_be_tested() -> None:
    found = verdicts(reference, Profile())
    assert found["a_call_is_taken"] is Verdict.UNTESTABLE
    assert found["a_handshake_without_a_signature_is_refused"] is Verdict.PASS
    assert found["a_signature_of_another_address_is_refused"] is Verdict.NOT_DECLARED


def test_the_rights_of_a_server_that_claims_signatures_are_not_assumed() -> None:
    found = verdicts(unsigned, Profile(declared={"signatures"}))
    assert found["a_handshake_without_a_signature_is_refused"] is Verdict.FAIL
    assert found["a_refusal_has_status_403"] is Verdict.UNTESTABLE


# ------------------------------------------------------------ other dialogues


def test_a_greeting_that_is_long_enough_is_interrupted_itself() -> None:
    class Chatty(ReferenceHost):
        def _answer(self, channel: ServerChannel, turn: Turn) -> None:
            if turn.text == INTRO:
                self._plan(self._clock(), turn, ["Welcome to the longest greeting of the world. " * 3])
            else:
                super()._answer(channel, turn)

    found = verdicts(
        partial(reference, make_host=Chatty), Profile(twilio_token=FULL.twilio_token, keys={"long": "9"})
    )
    for check in (
        "speech_clears_what_is_played",
        "the_answer_comes_after_the_clear",
        "nothing_of_an_interrupted_turn_comes_after_the_clear",
    ):
        assert found[check] is Verdict.PASS, check


def test_what_sounds_always_the_same_is_not_judged_by_its_sound() -> None:
    class Monotonous(TwilioServer):
        def _play(self, data: bytes) -> None:
            super()._play(b"\x7f\xff" * (len(data) // 2))

    found = verdicts(lambda clock: reference(clock, Monotonous), FULL)
    assert set(all_but(found, Verdict.PASS)) == {"nothing_of_an_interrupted_turn_comes_after_the_clear"}


def test_marks_that_come_late_leave_nothing_to_be_cleared() -> None:
    class Thoughtful(ReferenceHost):
        def _answer(self, channel: ServerChannel, turn: Turn) -> None:
            if turn.text == INTRO:
                turn.say(b"\x10\x20\x30\x40" * 3000)
                self._plan(self._clock() + 2, turn, [])
            else:
                super()._answer(channel, turn)

    found = verdicts(partial(reference, make_host=Thoughtful), FULL)
    assert found["marks_of_cleared_audio_do_not_count"] is Verdict.NOT_DECLARED


def test_what_a_caller_cannot_press_he_can_say() -> None:
    class Understands(ReferenceHost):
        """Recognises a short word and a long one."""

        def _answer(self, channel: ServerChannel, turn: Turn) -> None:
            if turn.text == SPOKEN and channel.heard < 8000:  # type: ignore[attr-defined]
                said = Input(transcript=Transcript(text=PHRASES["end"]))
                turn.input = said
            super()._answer(channel, turn)

    class Counts(TwilioServer):
        heard = 0

        def _on_binary(self, event: Any) -> None:
            self.heard += sum(abs(each - 0x80) < 0x40 for each in event.data)
            super()._on_binary(event)

    profile = Profile(
        declared={"end"},
        twilio_token=FULL.twilio_token,
        recordings={"end": tone(seconds=0.3)},
        keys={"end": "#"},
    )
    found = verdicts(lambda clock: reference(clock, Counts, Understands), profile)
    assert found["the_end_of_the_session_closes_the_call"] is Verdict.PASS


# ------------------------------------------------------------ frames

MEDIA = {"event": "media", "media": {"payload": "//8="}}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        pytest.param(json.dumps(MEDIA), "", id="media"),
        pytest.param('{"event": "clear", "streamSid": "MZ"}', "", id="clear"),
        pytest.param('{"event": "mark", "mark": {"name": "m"}}', "", id="mark"),
        pytest.param(b"\xff", "no JSON object", id="binary"),
        pytest.param("[]", "no JSON object", id="no object"),
        pytest.param("[" * 100_000, "no JSON object", id="deep"),
        pytest.param("{}", "the event None", id="no event"),
        pytest.param('{"event": ["media"]}', "the event ['media']", id="a list"),
        pytest.param('{"event": "media"}', "media without", id="media without media"),
        pytest.param('{"event": "media", "media": {"payload": 1}}', "media without", id="a number"),
        pytest.param('{"event": "media", "media": {"payload": "%"}}', "media without", id="no base64"),
        pytest.param('{"event": "media", "media": {"payload": "\\u00e9"}}', "media without", id="no ASCII"),
        pytest.param('{"event": "mark", "mark": {"name": ""}}', "a mark without", id="empty name"),
        pytest.param('{"event": "mark", "mark": []}', "a mark without", id="a list as mark"),
    ],
)
def test_what_twilio_would_not_understand_is_told(message: Message, problem: str) -> None:
    assert problem_of(message).startswith(problem)
    assert bool(problem_of(message)) is bool(problem)
    assert (read_frame(message)["event"] == "(broken)") is bool(problem)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param(None, "nothing", id="nothing"),
        pytest.param(Close(1011, "sorry"), "a close with 1011 sorry", id="close"),
        pytest.param("{}", "the event None is none that a server sends", id="broken"),
        pytest.param('{"event": "mark", "mark": {"name": "m"}}', "the mark 'm'", id="mark"),
        pytest.param('{"event": "clear"}', "clear", id="clear"),
    ],
)
def test_frames_are_told_in_few_words(message: Message | None, words: str) -> None:
    assert name(None if message is None else read_frame(message)) == words


def test_speech_for_the_telephone_is_mulaw() -> None:
    steps = [-32768, -32767, -8031, -1000, -132, -5, -1, 0, 1, 7, 100, 1000, 8031, 30_000, 32_635, 32_767]
    pcm = b"".join(each.to_bytes(2, "little", signed=True) for each in steps)
    twice = b"".join(each.to_bytes(2, "little", signed=True) * 2 for each in steps)
    found, expected = mulaw_of(twice + b"\0\0\0"), twilio_audio.mulaw_of(pcm)
    assert len(found) == len(steps)
    for sample, ours, theirs in zip(
        steps, twilio_audio.pcm_of(found), twilio_audio.pcm_of(expected), strict=False
    ):
        assert abs(ours - theirs) <= max(8, abs(sample) // 16)


# ------------------------------------------------------------ recordings


def record(by: Any, message: Message, *, at: float = 0.0, wire: int = 0) -> Record:
    return Record(at=at, wire=wire, by=by, message=message)


def frame(event: str, **members: Any) -> str:
    return json.dumps({"event": event, "streamSid": SID, **members})


START = record("client", frame("start", start={"streamSid": SID}))


def media(audio: bytes = b"\xff", **members: Any) -> str:
    return frame("media", media={"payload": base64.b64encode(audio).decode()}, **members)


def rules(*records: Record, seen_by: Any = "server") -> list[str]:
    return [each.rule for each in lint(Head(channel="twilio", seen_by=seen_by), records)]


def test_a_recording_of_a_good_call_has_no_findings() -> None:
    records = [
        record("client", frame("connected")),
        record("server", ResponseHead(status=101)),
        START,
        record("server", media()),
        record("server", frame("mark", mark={"name": "a"})),
        record("client", frame("mark", mark={"name": "a"})),
        record("server", frame("mark", mark={"name": "b"})),
        record("client", "no frame"),
        record("client", frame("stop")),
        record("server", Close(1000)),
    ]
    assert rules(*records) == []


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        pytest.param(media(streamSid="MZ2"), "frames_name_their_stream", id="another stream"),
        pytest.param(media(b"RIFF\0\0\0\0WAVE"), "audio_has_no_file_header", id="a WAV file"),
        pytest.param(media(b"ID3\x03\0"), "audio_has_no_file_header", id="an MP3 file"),
        pytest.param(frame("mark", mark={"name": "a"}), "marks_have_names_of_their_own", id="a second mark"),
        pytest.param(frame("stop"), "frames_are_understood", id="an event of Twilio's"),
    ],
)
def test_a_recording_shows_what_is_wrong(message: str, rule: str) -> None:
    first = record("server", frame("mark", mark={"name": "a"}))
    assert rules(START, first, record("server", message)) == [rule]


def test_calls_in_one_recording_are_told_apart() -> None:
    other = record("client", json.dumps({"event": "start", "streamSid": "MZ2"}), wire=1)
    mark = {"mark": {"name": "a"}}
    records = [
        START,
        other,
        record("server", frame("mark", **mark)),
        record("server", json.dumps({"event": "mark", "streamSid": "MZ2", **mark}), wire=1),
    ]
    assert rules(*records) == []


def test_what_crosses_a_stop_on_the_way_is_no_fault() -> None:
    stop = record("client", frame("stop"), at=1.0)
    late, later = record("server", media(), at=1.05), record("server", media(), at=2.0)
    assert rules(START, stop, late) == []
    assert rules(START, stop, later) == ["nothing_is_sent_after_stop"]
    assert rules(START, stop, later, seen_by="client") == []


def test_audio_before_start_names_no_stream() -> None:
    assert rules(record("server", media())) == ["nothing_is_sent_before_start"]
    assert audio_of(read_frame(media(b"abc"))) == b"abc"

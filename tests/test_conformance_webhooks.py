"""The checks of webhooks, where the proof does not show it: servers that claim less, broken answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstorm_channel.conformance import SUITES
from flowstorm_channel.conformance.alexa import broken_servers as skills
from flowstorm_channel.conformance.alexa.lint import AlexaLinter
from flowstorm_channel.conformance.drivers import ServerDriver, Wire
from flowstorm_channel.conformance.google import broken_servers as webhooks
from flowstorm_channel.conformance.google.lint import GoogleLinter
from flowstorm_channel.conformance.profile import PHRASES, Profile
from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.runner import run
from flowstorm_channel.conformance.verdicts import Verdict, Violation
from flowstorm_channel.conformance.webhook import Speech, WebhookCaller, at, dumped, strings_in
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.testing import ManualClock, signing
from flowstorm_channel.testing.strategies import json_values
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead

ALEXA, GOOGLE = SUITES["alexa/server"], SUITES["google/server"]
Make = Callable[[ManualClock], ServerDriver]
UNSIGNED = {"alexa/server": {"certificates": None}, "google/server": {"keys": None}}
PLATFORMS = pytest.mark.parametrize(
    ("suite", "reference"),
    [
        pytest.param(ALEXA, skills.reference, id="alexa"),
        pytest.param(GOOGLE, webhooks.reference, id="google"),
    ],
)


def verdicts(suite: Any, make: Make, profile: Profile) -> dict[str, Verdict]:
    return {each.requirement.id: each.verdict for each in run(suite, lambda: make(ManualClock()), profile)}


def of(suite: Any, group: str, found: dict[str, Verdict]) -> set[Verdict]:
    return {verdict for row, verdict in found.items() if suite.requirements[row].group == group}


def always(monkeypatch: pytest.MonkeyPatch, text: str, **members: Any) -> None:
    """Have the dialogue say that, and nothing else."""

    def answer(self: ReferenceHost, channel: ServerChannel, turn: Turn) -> None:  # noqa: ARG001
        turn.say(text)
        turn.finish(**members)

    monkeypatch.setattr(ReferenceHost, "_answer", answer)


# ------------------------------------------------------------ servers that claim less


@PLATFORMS
def test_a_server_that_takes_unsigned_requests_is_checked_without_a_key(suite: Any, reference: Any) -> None:
    full = suite.reference_profile
    declared = full.declared - {"signatures"}
    profile = Profile(key=full.key, refused_key=full.refused_key, declared=declared)
    found = verdicts(suite, partial(reference, **UNSIGNED[suite.name]), profile)
    assert of(suite, "SEC", found) <= {Verdict.NOT_DECLARED, Verdict.PASS, Verdict.INFO}
    assert {row for row, verdict in found.items() if verdict.fails or verdict is Verdict.WARN} == set()
    assert of(suite, "REQ", found) == of(suite, "SESS", found) == {Verdict.PASS}


@PLATFORMS
def test_of_a_server_that_verifies_only_its_refusals_are_checked_without_a_key(
    suite: Any, reference: Any
) -> None:
    full = suite.reference_profile
    profile = Profile(key=full.key, refused_key=full.refused_key, declared=full.declared)
    found = verdicts(suite, reference, profile)
    assert {row for row, verdict in found.items() if verdict.fails or verdict is Verdict.WARN} == set()
    assert of(suite, "REQ", found) == of(suite, "SESS", found) == {Verdict.NOT_DECLARED}
    assert Verdict.PASS in of(suite, "SEC", found)


@PLATFORMS
def test_without_cryptography_strangers_cannot_sign(
    suite: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError("cryptography is not installed")

    make = suite.reference_profile.alexa_signer or suite.reference_profile.google_signer
    make()
    monkeypatch.setattr(signing, "_require_cryptography", missing)
    found = run(suite, lambda: reference(ManualClock()), Profile(key="any"), only=["*-SEC-002"])
    assert [each.verdict for each in found] == [Verdict.NOT_DECLARED]
    assert "cryptography" in found[0].text


@PLATFORMS
def test_a_dialogue_that_knows_no_phrases_breaks_nothing(suite: Any, reference: Any) -> None:
    phrases = dict.fromkeys(PHRASES, "something else")
    found = verdicts(suite, reference, attrs.evolve(suite.reference_profile, declared=(), phrases=phrases))
    assert {row for row, verdict in found.items() if verdict.fails or verdict is Verdict.WARN} == set()
    assert Verdict.NOT_DECLARED in of(suite, "SESS", found)


@PLATFORMS
def test_a_dialogue_that_repeats_nothing_breaks_nothing(
    suite: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, "I hear you.")
    names = ["words_are_escaped", "words_are_read_as_utf8"]
    rows = [row for row in suite.requirements.values() if set(row.checks) & set(names)]
    found = run(
        suite, lambda: reference(ManualClock()), suite.reference_profile, only=[row.id for row in rows]
    )
    cases = {case.check: case.verdict for each in found for case in each.cases}
    assert {cases[name] for name in names} == {Verdict.NOT_DECLARED}


@PLATFORMS
def test_a_dialogue_that_ends_at_once_cannot_be_tested(
    suite: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, "Goodbye.", session_ended=True)
    found = run(suite, lambda: reference(ManualClock()), suite.reference_profile, only=["*-SESS-001"])
    assert [each.verdict for each in found] == [Verdict.UNTESTABLE]


# ------------------------------------------------------------ a webhook of one version


class Version2Only(GoogleAssistantServer):
    """Refuses requests of version 3."""

    def _understand(self, tree: Any) -> Any:
        return super()._understand({} if "handler" in tree else tree)


class Nothing(GoogleAssistantServer):
    """Refuses everything."""

    def _understand(self, tree: Any) -> Any:  # noqa: ARG002
        return super()._understand({})


SIGNATURES_OF_VERSION_3 = {"FSC-GOOGLE-SEC-006", "FSC-GOOGLE-SEC-007"}


@pytest.mark.parametrize("denied", [(), ("google_v3",)], ids=["not denied", "denied"])
def test_a_webhook_of_one_version_conforms(denied: tuple[str, ...]) -> None:
    full = GOOGLE.reference_profile
    profile = attrs.evolve(full, declared=full.declared - {"google_v3"}, denied=denied)
    found = verdicts(GOOGLE, lambda clock: webhooks.reference(clock, Version2Only), profile)
    others = {row for row, verdict in found.items() if verdict is not Verdict.PASS}
    assert others == SIGNATURES_OF_VERSION_3 | {"FSC-GOOGLE-SESS-005", "FSC-GOOGLE-SESS-006"}
    assert {found[row] for row in others} == {Verdict.NOT_DECLARED}


def test_a_version_that_is_declared_has_to_be_there() -> None:
    found = verdicts(GOOGLE, lambda clock: webhooks.reference(clock, Version2Only), GOOGLE.reference_profile)
    assert found["FSC-GOOGLE-REQ-001"] is Verdict.FAIL
    assert found["FSC-GOOGLE-REQ-002"] is Verdict.UNTESTABLE


def test_a_webhook_of_no_version_is_untestable() -> None:
    full = GOOGLE.reference_profile
    profile = attrs.evolve(full, declared=())
    found = verdicts(GOOGLE, lambda clock: webhooks.reference(clock, Nothing), profile)
    assert found["FSC-GOOGLE-REQ-001"] is Verdict.FAIL
    assert found["FSC-GOOGLE-REQ-002"] is Verdict.UNTESTABLE


# ------------------------------------------------------------ what goes wrong under way


class Scripted(ServerDriver, Wire):
    """Answers with what it was given, in real time that stands still."""

    def __init__(self, *messages: Message) -> None:
        self.time = ManualClock()
        super().__init__(self.time)
        self.messages = deque(messages)

    def connect(self, head: RequestHead) -> Wire:  # noqa: ARG002
        return self

    def send(self, message: Message) -> None:
        pass

    def receive(self) -> Message | None:
        return self.messages.popleft() if self.messages else None

    def advance(self, ms: float) -> None:
        self.time.advance(ms / 1000)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ((), "POST /alexa got no answer: nothing came"),
        ((Close(1006),), "POST /alexa got no answer: Close"),
        ((ResponseHead(status=200),), "the answer with status 200 broke off"),
        ((ResponseHead(status=200), b"{", Close(1006)), "the answer with status 200 broke off"),
    ],
    ids=["nothing", "a close", "a head only", "half a body"],
)
def test_an_answer_that_is_not_whole_is_none(messages: tuple[Message, ...], text: str) -> None:
    platform = WebhookCaller(Scripted(*messages), Profile())
    with pytest.raises(Violation, match=text):
        platform.exchange(RequestHead(method="POST", url="/alexa"), b"{}")


def test_where_time_is_real_so_is_the_date() -> None:
    before = datetime.now(timezone.utc)
    assert before <= WebhookCaller(Scripted(), Profile()).time() <= datetime.now(timezone.utc)


# ------------------------------------------------------------ recordings


def records(request: Any, *answer: Message) -> list[Record]:
    asked = [RequestHead(method="POST", url="/"), dumped(request), END]
    return [
        *(Record(at=0.0, wire=0, by="client", message=each) for each in asked),
        *(Record(at=0.0, wire=0, by="server", message=each) for each in answer),
    ]


HEAD = ResponseHead(status=200, headers=(("Content-Type", "application/json"),))


@pytest.mark.parametrize("linter", [AlexaLinter, GoogleLinter])
def test_what_is_no_exchange_with_the_platform_falls_under_no_rule(linter: Any) -> None:
    for found in (
        records({}, HEAD, b"{}", END),
        records({"request": {"type": "LaunchRequest"}}, ResponseHead(status=400), END),
        records({"inputs": [], "conversation": {}}, HEAD, b"{}", Close(1006)),
        records({"inputs": [], "conversation": {}}, HEAD, b"{}", END)[4:],  # it begins in the middle
    ):
        one = linter("server")
        one.read(found)
        assert one.applied == set()


def findings(linter: Any, request: Any, answer: Any) -> set[str]:
    one = linter("server")
    one.read(records(request, HEAD, dumped(answer), END))
    return {each.rule for each in one.findings}


def alexa(**response: Any) -> dict[str, Any]:
    return {"version": "1.0", "response": response}


LAUNCH = {"session": {}, "request": {"type": "LaunchRequest"}, "context": {"System": {"device": {}}}}
TEMPLATE = {
    "type": "Display.RenderTemplate",
    "template": {"type": "BodyTemplate7", "image": {"sources": [{"url": "http://example.com/i.png"}]}},
}


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (alexa(outputSpeech={"type": "SSML", "text": "hi"}), {"speech_has_its_text"}),
        (alexa(outputSpeech={"type": "PlainText", "text": "hi"}), set()),
        (alexa(outputSpeech="hi"), {"speech_has_its_text"}),
        (alexa(outputSpeech={"type": "SSML", "ssml": "<speak/><speak/>"}), {"speech_has_its_text"}),
        (alexa(outputSpeech={"type": "SSML", "ssml": "<speak><speak/></speak>"}), {"speech_has_its_text"}),
        (alexa(outputSpeech={"type": "SSML", "ssml": "<p>hi</p>"}), {"speech_has_its_text"}),
        (
            alexa(outputSpeech={"type": "SSML", "ssml": "<speak><amazon:effect/>&</speak>"}),
            {"speech_has_its_text"},
        ),
        (alexa(outputSpeech={"type": "SSML", "ssml": "<speak><amazon:effect name='x'/></speak>"}), set()),
        (alexa(card={"type": "Poster"}), {"cards_have_a_known_form"}),
        (alexa(card="card"), {"cards_have_a_known_form"}),
        (alexa(card={"type": ["Simple"]}), {"cards_have_a_known_form"}),
        (
            alexa(card={"type": "Standard", "image": {"largeImageUrl": "https://e/" + "i" * 2000}}),
            {"cards_fit"},
        ),
        (alexa(directives=[TEMPLATE]), {"directives_suit_the_device", "addresses_are_https"}),
        (alexa(directives=[{"type": "Dialog.Delegate"}]), set()),
        ({"version": "1.0"}, {"answers_are_json"}),
        ([], {"answers_are_json"}),
    ],
)
def test_a_skill_is_linted(answer: Any, rules: set[str]) -> None:
    assert findings(AlexaLinter, LAUNCH, answer) == rules


V3 = {"handler": {}, "session": {"id": "s"}, "device": {"capabilities": ["RICH_RESPONSE"]}}


def v3(**prompt: Any) -> dict[str, Any]:
    return {"prompt": {"firstSimple": {"speech": "hi"}, **prompt}}


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (v3(), set()),
        ({"session": {"id": "s"}}, set()),
        (v3(firstSimple={"speech": "a & b"}), set()),
        (v3(firstSimple={"speech": "<speak>a & b</speak>"}), {"speech_is_well_formed"}),
        (v3(firstSimple={}), {"something_is_said_first"}),
        (v3(content={"image": {"url": "https://e/i.png"}}), {"cards_are_complete"}),
        (v3(content={"image": {"url": "https://e/i.png", "alt": "i"}}), set()),
        (v3(content={"card": {"title": "t"}}), {"cards_are_complete"}),
        (v3(content={"media": {"mediaType": "AUDIO"}}), set()),
        ({"prompt": "hi"}, set()),
        ({}, {"answers_are_json"}),
    ],
)
def test_a_webhook_is_linted(answer: Any, rules: set[str]) -> None:
    assert findings(GoogleLinter, V3, answer) == rules


MEMBERS = ("outputSpeech", "card", "directives", "reprompt", "shouldEndSession")


@given(response=st.dictionaries(st.sampled_from(MEMBERS), json_values()))
def test_no_answer_of_a_skill_is_too_strange(response: Any) -> None:
    findings(AlexaLinter, LAUNCH, alexa(**response))


SIMPLE = ("firstSimple", "lastSimple", "content", "suggestions")
RICH = ("items", "suggestions")


@given(
    prompt=st.one_of(json_values(), st.dictionaries(st.sampled_from(SIMPLE), json_values())),
    rest=st.dictionaries(st.sampled_from(("session", "scene", "user")), json_values()),
)
def test_no_answer_of_version_3_is_too_strange(prompt: Any, rest: Any) -> None:
    findings(GoogleLinter, V3, {"prompt": prompt, **rest})


@given(
    rich=st.one_of(json_values(), st.dictionaries(st.sampled_from(RICH), json_values())),
    rest=st.dictionaries(
        st.sampled_from(("userStorage", "expectedInputs", "expectUserResponse")), json_values()
    ),
)
def test_no_answer_of_version_2_is_too_strange(rich: Any, rest: Any) -> None:
    request = {"inputs": [{"intent": "actions.intent.CANCEL"}], "conversation": {}}
    findings(GoogleLinter, request, {"finalResponse": {"richResponse": rich}, **rest})


# ------------------------------------------------------------ reading


def test_what_is_not_there_is_none() -> None:
    assert at({"a": [{"b": 1}]}, "a", 0, "b") == 1
    assert at({"a": []}, "a", 0, "b") is None
    assert at("a", 0) is None


def test_texts_are_found_however_deep() -> None:
    assert list(strings_in({"a": ["b", {"c": "d"}, 1, None]})) == ["b", "d"]


def test_the_words_of_ssml_are_read() -> None:
    said = Speech.read("<speak>one<break/>two <voice name='x'>&amp; three</voice></speak>")
    assert said == Speech(text="one two & three")

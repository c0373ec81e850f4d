"""The suites as pytest tests, and the machines of Hypothesis, as a third party uses them."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from flowstorm_channel.conformance import SUITES, Driver, Token, Verdict, proof, replay
from flowstorm_channel.conformance.machines import (
    MACHINES,
    ClientMachine,
    ServerMachine,
    explore,
    with_walk,
)
from flowstorm_channel.testing import ManualClock
from tests.depth import examples

pytest_plugins = ["pytester"]
SUITE = SUITES["socket-v1/server"]


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs inside these tests load no plugin of what else is installed: each would import them anew."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


MODULE = """
from flowstorm_channel.conformance import SUITES, Profile, proof
from flowstorm_channel.conformance.testcases import ServerConformance

SUITE = SUITES["socket-v1/server"]
BROKEN = {broken!r}
ROWS = {rows!r}


class TestMine(ServerConformance):
    channel = "socket-v1"
    profile = SUITE.reference_profile
    strict = {strict!r}
    known = frozenset({known!r})

    def make_driver(self, clock):
        return SUITE.broken[BROKEN].make_driver(clock) if BROKEN else SUITE.make_reference(clock)
"""


def outcomes(
    pytester: pytest.Pytester, *, broken: str = "", strict: bool = False, known: tuple[str, ...] = ()
) -> tuple[dict[str, int], str]:
    pytester.makepyfile(MODULE.format(broken=broken, strict=strict, known=known, rows=()))
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "-W", "default")
    return done.parseoutcomes(), done.stdout.str()


def test_each_requirement_is_a_test(pytester: pytest.Pytester) -> None:
    found, _ = outcomes(pytester)
    assert found == {"passed": sum(bool(row.checks) for row in SUITE.requirements.values())}


def failing(peer: str) -> dict[str, str]:
    """The requirements that a broken peer fails, and how."""
    return {
        result.requirement.id: result.verdict.value
        for result in proof.judge(SUITE, SUITE.broken[peer])
        if result.verdict.value in ("FAIL", "WARN", "UNTESTABLE")
    }


def test_what_is_not_met_fails_its_test_and_tells_how_to_see_it_again(pytester: pytest.Pytester) -> None:
    found, text = outcomes(pytester, broken="forgets-session-started")
    verdicts = failing("forgets-session-started")
    assert found.get("failed", 0) == sum(each != "WARN" for each in verdicts.values())
    assert found.get("warnings", 0) == sum(each == "WARN" for each in verdicts.values())
    assert f"test_requirement[{next(iter(verdicts))}]" in text
    token = next(word for word in text.split() if word.startswith("fsc1-"))
    make = SUITE.broken["forgets-session-started"].make_driver
    assert replay(Token.read(token), lambda: make(ManualClock()), SUITE.reference_profile).text


def test_a_strict_suite_fails_on_warnings(pytester: pytest.Pytester) -> None:
    found, _ = outcomes(pytester, broken="forgets-session-started", strict=True)
    assert found.get("failed", 0) == len(failing("forgets-session-started"))


def test_what_is_known_to_fail_is_no_news_and_must_fail(pytester: pytest.Pytester) -> None:
    known = tuple(failing("forgets-session-started"))
    found, _ = outcomes(pytester, broken="forgets-session-started", strict=True, known=known)
    assert found.get("failed", 0) == 0
    assert found["xfailed"] == len(known)
    found, text = outcomes(pytester, known=known[:1])
    assert found["failed"] == 1
    assert "is said to be known to fail, and does not" in text


def test_a_class_without_a_driver_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from flowstorm_channel.conformance.testcases import ClientConformance

        class TestMine(ClientConformance):
            channel = "socket-v1"
        """
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "-x")
    done.stdout.fnmatch_lines(["*make_driver() has to be there*"])


# ------------------------------------------------------------ machines

MACHINE_OF = {"socket-v1/server": ServerMachine, "socket-v1/client": ClientMachine}


@pytest.mark.parametrize("suite", MACHINES)
def test_no_walk_with_the_reference_goes_wrong(suite: str) -> None:
    make = SUITES[suite].make_reference
    assert make is not None

    class Reference(MACHINE_OF[suite]):  # type: ignore[misc]
        profile = SUITES[suite].reference_profile

        def make_driver(self, clock: ManualClock) -> Driver:
            return make(clock)

    run_state_machine_as_test(Reference, settings=settings(max_examples=examples(40), deadline=None))


def test_a_machine_without_a_driver_says_so() -> None:
    with pytest.raises(NotImplementedError, match="make_driver"):
        run_state_machine_as_test(ServerMachine, settings=settings(max_examples=1, database=None))


@pytest.mark.parametrize(
    ("suite", "peer", "rule"),
    [
        (
            "socket-v1/server",
            "confirms-logs",
            "only_events_of_a_v1_server",
        ),
        ("socket-v1/client", "hangs-after-a-loss", "what_the_user_says_is_sent"),
        ("socket-v1/client", "plays-everything", "nothing_of_an_interrupted_turn_is_shown"),
    ],
)
def test_a_counterexample_is_short_and_its_token_does_it_again(suite: str, peer: str, rule: str) -> None:
    one = SUITES[suite]
    make = one.broken[peer].make_driver
    found = explore(one, lambda: make(ManualClock()), one.reference_profile, walks=60)
    assert found is not None
    assert found.broken.rule == rule
    assert len(found.walk.steps) <= 10
    text = str(found)
    assert next(row.id for row in one.requirements.values() if rule in row.checks) in text
    assert all(str(step) in text for step in found.walk.steps)
    token = Token.read(next(word for word in text.split() if word.startswith("fsc1-")))
    again = replay(token, lambda: make(ManualClock()), one.reference_profile)
    assert again.text == found.broken.text
    assert again.index == found.broken.index
    sound = one.make_reference
    assert sound is not None
    assert replay(token, lambda: sound(ManualClock()), one.reference_profile).text == ""


def test_what_a_walk_finds_stands_in_the_report() -> None:
    suite = SUITES["socket-v1/client"]
    make = suite.broken["hangs-after-a-loss"].make_driver
    found = explore(suite, lambda: make(ManualClock()), suite.reference_profile, walks=60, start=3)
    assert found is not None
    results = with_walk(proof.judge_reference(suite), found)
    (broken,) = [result for result in results if result.verdict is Verdict.FAIL]
    assert "what_the_user_says_is_sent" in broken.requirement.checks
    assert broken.cases[-1].token == found.walk.token


def test_where_no_walk_can_begin_none_goes_wrong() -> None:
    suite = SUITES["socket-v1/client"]
    make = suite.broken["forgets-init"].make_driver
    assert explore(suite, lambda: make(ManualClock()), suite.reference_profile, walks=5) is None
    token = Token(suite=suite.name, steps=(["say", ""],))
    assert "Init" in replay(token, lambda: make(ManualClock()), suite.reference_profile).text

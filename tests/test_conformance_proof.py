"""The kit's proof of itself: the reference passes, every broken peer is found, every check finds one.

What finds what is in ``docs/proof.json``, written by ``python docs/generate.py --proof``. The short test
confirms as much of it as shows every broken peer found, and every check finding one; the long one runs every
check on every broken peer, to see that all of it is true and nothing is missing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flowstorm_channel.conformance import SUITES, proof
from flowstorm_channel.conformance.proof import Kill
from flowstorm_channel.conformance.verdicts import Verdict

FILE = Path(__file__).parent.parent / "docs/proof.json"


def recorded(suite: str) -> list[Kill]:
    return [Kill(*each) for each in json.loads(FILE.read_text(encoding="utf-8"))[suite]]


def enough(kills: list[Kill]) -> list[Kill]:
    """Some of them, with every peer and every check among them."""
    found: list[Kill] = []
    peers: set[str] = set()
    checks: set[str] = set()
    for kill in kills:
        if kill.peer not in peers or kill.check not in checks:
            found.append(kill)
            peers.add(kill.peer)
            checks.add(kill.check)
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_the_reference_conforms(suite: str) -> None:
    found = [
        (result.requirement.id, case.check, case.verdict.name, case.text)
        for result in proof.judge_reference(SUITES[suite])
        for case in result.cases
        if case.verdict is not Verdict.PASS
    ]
    assert found == []


@pytest.mark.parametrize("suite", SUITES)
def test_the_registry_and_the_checks_know_each_other(suite: str) -> None:
    one = SUITES[suite]
    named = [name for row in one.requirements.values() for name in row.checks]
    assert sorted(named) == sorted([*one.checks, *one.rules])
    for check in one.checks.values():
        assert check.text.endswith("."), check.name
    for row in one.requirements.values():
        assert re.fullmatch(r"[A-Z`].*\.", row.text, re.DOTALL), row.id
        assert row.source, row.id


@pytest.mark.parametrize("suite", SUITES)
def test_every_broken_peer_is_found_and_every_check_finds_one(suite: str) -> None:
    one = SUITES[suite]
    kills = recorded(suite)
    assert {kill.peer for kill in kills} == set(one.broken)
    assert {kill.check for kill in kills} == {*one.checks, *one.rules}
    assert [kill for kill in enough(kills) if not proof.confirm(one, kill)] == []


@pytest.mark.parametrize(
    "suite", [each if each == "all/server" else pytest.param(each, marks=pytest.mark.long) for each in SUITES]
)
def test_the_whole_table_is_true(suite: str) -> None:
    one = SUITES[suite]
    found = [kill for peer in one.broken.values() for kill in proof.kills(one, peer)]
    assert found == recorded(suite)


def test_there_are_enough_broken_peers_of_every_kind() -> None:
    assert sum(len(suite.broken) for suite in SUITES.values()) >= 60
    assert all(suite.broken for suite in SUITES.values())

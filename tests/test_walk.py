"""Two machines walked against each other at random: what holds in every conversation (see `walk`)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from flowstorm_channel.states import CLIENT, CLIENT_DUPLEX, SERVER, State
from tests.depth import examples
from tests.walk import (
    CHOICES,
    MOVES,
    ROWS,
    Broken,
    Move,
    Setup,
    Walk,
    random_moves,
    random_setup,
    shorten,
    walk,
)

MOVES_PER_WALK = 60


class Tally:
    """What many walks come to."""

    def __init__(self) -> None:
        self.walks = self.plays = self.late = self.walks_late = 0
        self.crossings: Counter[str] = Counter()

    def add(self, walked: Walk) -> None:
        self.walks += 1
        self.plays += walked.plays
        self.late += len(walked.late)
        self.walks_late += bool(walked.late)
        self.crossings.update(walked.crossings)

    def __repr__(self) -> str:
        return (
            f"{self.walks} walks, {self.plays} parts played, {self.late} of interrupted turns in "
            f"{self.walks_late} walks; crossings: {dict(self.crossings)}"
        )


def go(seeds: Iterable[int], *, orderly: bool = False) -> Tally:
    """Walk once for each seed.

    Args:
        seeds: of the walks; a failure names its own.
        orderly: the server answers promptly and does nothing that nobody asked for.
    """
    tally = Tally()
    for seed in seeds:
        rng = random.Random(seed)
        setup, moves = random_setup(rng), random_moves(rng, MOVES_PER_WALK, unasked=not orderly)
        if orderly:
            setup = attrs.evolve(setup, prompt_server=True)
        try:
            tally.add(walk(setup, moves))
        except Broken as error:
            raise AssertionError(f"seed {seed}, shortened: {_shortest(setup, moves, str(error))}") from None
    return tally


def _shortest(setup: Setup, moves: list[Move], failure: str) -> str:
    try:
        walk(*shorten(setup, moves, failure))
    except Broken as error:
        return str(error)
    return failure


# Rows that these walks do not reach.
STALE_WHILE_PLAYING = {
    # A stale turn is older than all that is not, so nothing plays while one is open. The one way there is a
    # final result that is older than our input, while a turn that the server began is taken for its answer.
    ("client", state, trigger)
    for state in (State.RESPONDING, State.PAUSED)
    for trigger in (
        *("< ResponseItem stale", "< Binary stale", "< Response stale", "< Response stale end"),
        "< Recognized final stale",
    )
}
FAULTS = {("server", state, "< fault") for state in SERVER}  # both ends are ours and make none
BEFORE_READY = {  # what another server or client might send then
    ("client", State.OPEN, "< Binary"),
    ("client", State.OPEN, "< Unknown"),
    ("server", State.OPEN, "< Binary"),
}
NOT_REACHED = STALE_WHILE_PLAYING | FAULTS | BEFORE_READY


def rows() -> set[tuple[str, State, str]]:
    """Every row of the tables: end, state, trigger."""
    return {
        (end, state, trigger)
        for end, tables in (("client", (CLIENT, CLIENT_DUPLEX)), ("server", (SERVER,)))
        for table in tables
        for state, row in table.items()
        for trigger in row
    }


def missed() -> list[tuple[str, str, str]]:
    """The rows that no walk so far has used though it might have."""
    return sorted((end, state.value, what) for end, state, what in rows() - set(ROWS) - NOT_REACHED)


def test_every_conversation_holds_together_and_comes_to_rest() -> None:
    tally = go(range(280))
    print(tally)
    assert tally.plays > 5 * tally.walks
    # What is unasked for crosses inputs all the time here; nothing else may ever do that (`Walk.check_late`).
    assert tally.late < tally.plays / 10, tally


def test_nothing_interrupted_is_played_when_the_server_does_what_it_is_asked() -> None:
    tally = go(range(10_000, 10_120), orderly=True)
    print(tally)
    # Left over: in Duplex, a final result that crosses an input which was interrupted: `Walk._client_told`.
    assert tally.walks_late <= tally.walks / 200, tally


def test_the_walks_use_nearly_every_row_of_the_tables() -> None:
    if sum(ROWS.values()) < 20_000:  # run alone
        go(range(280))
    assert len(missed()) <= 0.1 * len(rows()), missed()
    assert set(ROWS) <= rows()


@pytest.mark.long
def test_very_many_conversations_hold_together() -> None:
    tally = go(range(100_000, 120_000))
    print(tally)
    print("rows not used:", missed())
    assert tally.late < tally.plays / 10, tally
    assert len(missed()) <= 0.02 * len(rows()), missed()


@pytest.mark.long
def test_very_many_conversations_play_nothing_interrupted() -> None:
    tally = go(range(200_000, 210_000), orderly=True)
    print(tally)
    # Left over: in Duplex, a final result that crosses an input which was interrupted: `Walk._client_told`.
    assert tally.walks_late <= tally.walks / 200, tally


# ------------------------------------------------------------ the same moves, chosen by Hypothesis


class Conversation(RuleBasedStateMachine):
    """Hypothesis chooses the moves."""

    def __init__(self) -> None:
        super().__init__()
        self.walk = Walk(Setup())

    @initialize(chosen=st.fixed_dictionaries({name: st.sampled_from(of) for name, of in CHOICES.items()}))
    def connect(self, chosen: dict[str, Any]) -> None:
        self.walk = Walk(Setup(**chosen))
        self.make("open")
        self.make("catch_up")

    def make(self, name: str, *args: Any) -> None:
        try:
            self.walk.move(name, *args)
        except Broken as error:
            raise AssertionError(f"{error}\n{self.walk.story()}") from error

    def teardown(self) -> None:
        try:
            self.walk.come_to_rest()
            self.walk.check_late()
        except Broken as error:
            raise AssertionError(f"{error}\n{self.walk.story()}") from error


def _rule(name: str, choices: tuple[tuple[Any, ...], ...]) -> Any:
    def make(self: Conversation, **args: Any) -> None:
        self.make(name, *args.values())

    make.__name__ = name
    each = {f"a{at}": st.sampled_from(list(dict.fromkeys(of))) for at, of in enumerate(choices)}
    return rule(**each)(make)


for _name, (_weight, _choices) in MOVES.items():
    setattr(Conversation, f"move_{_name}", _rule(_name, _choices))


def test_no_conversation_that_hypothesis_finds_falls_apart() -> None:
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=examples(80),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.long
def test_no_conversation_that_hypothesis_searches_for_falls_apart() -> None:
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=1500,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

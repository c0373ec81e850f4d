"""The load keeps its books right, and notices each of the defects that it is there to find."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import attrs
import pytest

from tests.load.__main__ import main
from tests.load.broken import APPLICATIONS
from tests.load.clock import JumpingClock
from tests.load.faults import FAULTS
from tests.load.latency import Latency
from tests.load.ledger import Answer, Book, Conversation, Entry, Verdict, audit, read_entries
from tests.load.process import Memory
from tests.load.report import to_json, to_markdown
from tests.load.run import Plan, Result, run
from tests.load.schedule import Strike, make_schedule

STRUCK = ("vanish", "kill", "clock-jump")
TURNS = 100
PATIENCE = {"silent": 4.0}
"""Seconds; nobody has to wait for the others."""


# ------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """A short run of each application, all at the same time; only the sound one is struck."""

    async def all_of_them() -> list[Result]:
        struck = Plan(TURNS, rounds=1, faults=STRUCK, mortal=0.2)
        unstruck = (
            Plan(TURNS, 1, (), application=name, mortal=0.0, patience=PATIENCE.get(name, 60.0))
            for name in APPLICATIONS
        )
        return await asyncio.gather(run(struck), *map(run, unstruck))

    found = asyncio.run(asyncio.wait_for(all_of_them(), 300))
    return dict(zip(("struck", *APPLICATIONS), found, strict=True))


def test_nothing_is_lost_or_doubled_while_faults_strike(results: dict[str, Result]) -> None:
    result = results["struck"]
    assert (result.verdict, result.hurt) == (Verdict(), [])
    assert result.acknowledged >= TURNS
    assert result.strikes == {"vanish": 2, "clock-jump": 2, "kill": 1}
    assert result.lifetimes == 3
    assert min(result.by_kind.values()) > 0
    assert len(result.by_kind) == 7


def test_nothing_is_broken_without_faults(results: dict[str, Result]) -> None:
    result = results["sound"]
    assert result.passed
    assert (result.refused, result.broken, result.timed_out, result.lifetimes) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("application", "kinds"),
    [
        ("forgetful", {"lost"}),
        ("amnesic", {"lost"}),
        ("doubling", {"doubled"}),
        ("mixing", {"joined"}),
        ("silent", {"lost"}),
        ("leaking", set()),
    ],
)
def test_a_defect_is_noticed_as_what_it_is(
    results: dict[str, Result], application: str, kinds: set[str]
) -> None:
    result = results[application]
    assert not result.passed
    assert {kind for kind, found in attrs.asdict(result.verdict).items() if found} == kinds
    assert result.memory_back == (application != "leaking")


def test_silence_is_told_by_the_turn(results: dict[str, Result]) -> None:
    missed = [text.split()[0] for text in results["silent"].verdict.lost if text.endswith("in 4 s")]
    assert any(number.isdecimal() and int(number) % 20 == 0 for number in missed)


# ------------------------------------------------------------ the books


class Talk:
    """A conversation by hand: what was said is answered as the test wants."""

    def __init__(self, book: Book, device: str = "me") -> None:
        self.book = book
        self.device = device
        self.conversation = Conversation(book, device)
        self.entries: list[Entry] = []

    def turn(self, previous: int | None, **changes: object) -> int:
        """Said, done and answered."""
        number = self.conversation.say()
        answer = Answer(number, self.device, previous, self.device, "s-1")
        self.entries.append(Entry(number, self.device))
        self.conversation.hear(str(attrs.evolve(answer, **changes)), "s-1")
        return number

    def verdict(self) -> dict[str, int]:
        """How many findings there are of each kind."""
        found = attrs.asdict(audit(self.book, self.entries))
        return {kind: len(findings) for kind, findings in found.items() if findings}


@pytest.fixture
def talk() -> Talk:
    return Talk(Book())


def test_a_chain_of_turns_is_clean(talk: Talk) -> None:
    talk.turn(talk.turn(talk.turn(None)))
    assert talk.verdict() == {}
    assert audit(talk.book, talk.entries).clean
    assert talk.book.acknowledged == {0, 1, 2}


def test_a_session_that_forgets_an_acknowledged_turn_has_lost_it(talk: Talk) -> None:
    first = talk.turn(None)
    talk.turn(first)
    talk.turn(first)
    assert talk.verdict() == {"lost": 1}


@pytest.mark.parametrize("way", ["break_off", "refuse", "time_out"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_turn_without_an_answer_may_have_been_done_or_not(talk: Talk, way: str, done: bool) -> None:
    first = talk.turn(None)
    second = talk.conversation.say()
    getattr(talk.conversation, way)()
    talk.turn(second if done else first)
    assert talk.verdict() == {}


def test_only_the_last_acknowledged_turn_counts_again_after_one_that_broke(talk: Talk) -> None:
    talk.turn(None)
    second = talk.conversation.say()
    talk.conversation.break_off()
    talk.turn(second)
    talk.turn(second)
    assert talk.verdict() == {"lost": 1}


def test_a_new_session_remembers_nothing(talk: Talk) -> None:
    talk.turn(None)
    talk.conversation.begin()
    talk.turn(None)
    assert talk.verdict() == {}


def test_silence_and_nonsense_are_losses(talk: Talk) -> None:
    talk.conversation.say()
    talk.conversation.miss()
    talk.conversation.say()
    talk.conversation.hear("", None)
    assert talk.verdict() == {"lost": 2}


def test_what_is_acknowledged_has_to_be_in_the_ledger(talk: Talk) -> None:
    talk.turn(None)
    talk.entries.clear()
    assert talk.verdict() == {"lost": 1}


def test_what_is_done_twice_is_doubled(talk: Talk) -> None:
    talk.turn(None)
    talk.entries *= 2
    assert talk.verdict() == {"doubled": 1}


def test_an_old_answer_is_doubled(talk: Talk) -> None:
    first = talk.turn(None)
    talk.turn(first, number=first)
    assert talk.verdict() == {"doubled": 1}


@pytest.mark.parametrize("changes", [{"owner": "you"}, {"device": "you"}, {"session_id": "s-2"}], ids=str)
def test_a_foreign_session_is_joined_wrongly(talk: Talk, changes: dict[str, str]) -> None:
    talk.turn(None, **changes)
    assert talk.verdict() == {"joined": 1}


def test_a_foreign_turn_in_the_session_is_joined_wrongly(talk: Talk) -> None:
    foreign = Talk(talk.book, "you").conversation.say()
    talk.turn(foreign)
    assert talk.verdict() == {"joined": 1}


def test_the_answer_to_somebody_else_is_joined_wrongly(talk: Talk) -> None:
    foreign = Talk(talk.book, "you").conversation.say()
    talk.turn(None, number=foreign)
    assert "joined" in talk.verdict()


@pytest.mark.parametrize("entry", [Entry(0, "you"), Entry(7, "me")], ids=["foreign", "unsaid"])
def test_a_ledger_with_what_nobody_said_is_joined_wrongly(talk: Talk, entry: Entry) -> None:
    talk.conversation.say()
    talk.conversation.break_off()
    talk.entries.append(entry)
    assert talk.verdict() == {"joined": 1}


def test_the_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [Entry(3, "me"), Entry(4, "you")]
    path = tmp_path / "ledger"
    path.write_text("".join(map(str, entries)), encoding="ascii")
    assert read_entries(path) == entries


# ------------------------------------------------------------ the rest that needs no sockets


def test_each_fault_strikes_once_in_each_round_evenly() -> None:
    schedule = make_schedule(("a", "b"), 400, 2, random.Random(1))
    assert [each.at for each in schedule] == [0, 100, 200, 300]
    assert Counter(each.fault for each in schedule[:2]) == {"a": 1, "b": 1}
    assert Counter(each.fault for each in schedule[2:]) == {"a": 1, "b": 1}
    assert schedule == make_schedule(("a", "b"), 400, 2, random.Random(1))
    assert isinstance(schedule[0], Strike)


def test_a_clock_jumps() -> None:
    clock = JumpingClock(lambda: 5.0)
    clock.jump(3.0)
    clock.jump(-10.0)
    assert clock() == -2.0


def test_quantiles_are_of_all_turns() -> None:
    latency = Latency([float(each) for each in range(1001)])
    assert [latency.quantile(share) for share in (0.5, 0.95, 0.99, 1.0)] == [500.0, 950.0, 990.0, 1000.0]


def _result(**changes: object) -> Result:
    memory = Memory(bytes=100, objects=1000, tasks=3, channels=0, sessions=0)
    result = Result(
        plan=Plan(10, 1),
        verdict=Verdict(),
        hurt=[],
        said=12,
        acknowledged=10,
        refused=1,
        timed_out=0,
        broken=1,
        lifetimes=1,
        strikes={},
        by_kind={"V1, typed": 10},
        before=memory,
        after=attrs.evolve(memory, bytes=105),
        seconds=1.0,
    )
    return attrs.evolve(result, **changes)


BEFORE = _result().before


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": Verdict(lost=["it"])},
        {"verdict": Verdict(doubled=["it"])},
        {"verdict": Verdict(joined=["it"])},
        {"hurt": ["it"]},
        {"acknowledged": 9},
        {"after": attrs.evolve(BEFORE, bytes=111)},
        {"after": attrs.evolve(BEFORE, objects=1101)},
        {"after": attrs.evolve(BEFORE, tasks=4)},
        {"after": attrs.evolve(BEFORE, channels=1)},
        {"after": attrs.evolve(BEFORE, sessions=1)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_run_fails_for_each_single_reason(changes: dict[str, object]) -> None:
    assert _result().passed
    result = _result(**changes)
    assert not result.passed
    assert "| verdict | **failed** |" in to_markdown(result, {}, {})
    assert '"passed": false' in to_json(result, {}, {})


def test_the_table_has_figures_findings_and_the_machine() -> None:
    latencies = {"ours": Latency([0.002] * 10), "by_hand": Latency([0.001] * 10)}
    table = to_markdown(_result(verdict=Verdict(lost=["turn 7"])), latencies, {"cores": "2"})
    assert "| p99 | 2.00 ms | 1.00 ms | **2.00** |" in table
    assert "- lost: turn 7" in table
    assert "- cores: 2" in table


def test_the_command_lists_the_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(FAULTS)


def test_the_command_refuses_a_fault_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--faults", "kill,nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_the_command_fails_when_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.md"
    command = ["--turns", "60", "--faults", "none", "--no-latency", "--markdown", str(path)]
    assert main([*command, "--application", "doubling"]) == 1
    assert capsys.readouterr().out == path.read_text(encoding="utf-8")

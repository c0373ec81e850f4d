"""The benchmarks can be run, and say what they measured; how fast anything is no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.__main__ import ROWS, main
from tests.bench.rows import Goal, Row, Tier
from tests.bench.timing import Case, Effort, Spread, Work, geometric_mean, interleaved


def test_a_table_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    markdown, figures = tmp_path / "table.md", tmp_path / "table.json"
    files = ["--markdown", str(markdown), "--json", str(figures)]
    assert main(["--quick", "text-in", "memory-of-events", *files]) == 0
    printed = capsys.readouterr().out
    assert printed == markdown.read_text(encoding="utf-8")
    assert "| memory of decoded events | models of pydantic |" in printed
    document = json.loads(figures.read_text(encoding="utf-8"))
    assert [each["name"] for each in document["rows"]] == ["text-in", "memory-of-events"]
    assert document["rows"][1]["cases"].keys() == set("abcde")
    assert document["machine"]["python"] in printed


def test_rows_are_chosen_by_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "audio-*"]) == 0
    assert capsys.readouterr().out.split() == ["audio-in", "audio-in-beside-wsproto", "audio-out"]


def test_a_row_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "--list" in capsys.readouterr().err


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_every_row_says_what_it_is_about(row: Row) -> None:
    assert row.work
    assert row.peer
    assert row.goals
    assert row.tier in Tier


def test_ratios_are_of_ours_to_the_peers() -> None:
    slow, fast = Work("sum(x)", x=range(3000)), Work("sum(x)", x=range(100))
    found = interleaved([Case("slow", slow, fast), Case("fast", fast, slow)], Effort(4, 0.0005, 1))
    assert min(found["slow"]) > 5
    assert max(found["fast"]) < 0.2


@pytest.mark.parametrize(
    ("goal", "figure", "met"),
    [
        (Goal(1.0), 1.0, True),
        (Goal(1.0), 1.1, False),
        (Goal(3.0, each=True), 4.0, False),
        (Goal(0.6, least=True), 1.0, True),
        (Goal(1.2, least=True), 1.0, False),
    ],
)
def test_a_goal_holds_for_the_mean_or_for_each(goal: Goal, figure: float, met: bool) -> None:
    found = goal.figure({"a": [4.0, 4.0], "b": [figure**2 / 4, figure**2 / 4]})
    assert found.median == pytest.approx(4.0 if goal.each else figure)
    assert goal.is_met(found) is met


def test_spreads_and_means() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(2.0, 3.0, 4.0)
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([-1.0]) == -1.0

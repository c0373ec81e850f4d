"""Two ways of doing the same, timed in turns."""

from __future__ import annotations

import gc
import statistics
import time
import timeit
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from typing import Any

import attrs

__all__ = ["Case", "Effort", "Spread", "Work", "geometric_mean", "interleaved", "seconds_each"]


@attrs.frozen
class Effort:
    """How much time is spent on a figure.

    Args:
        rounds: how often the ways take turns.
        seconds: for which one way is timed in a round.
        processes: fresh ones, each of which does all of it.
    """

    rounds: int
    seconds: float
    processes: int


class Work:
    """A statement to be timed, in the words of `timeit`: it costs no call more than it says.

    Args:
        statement: Python source.
        setup: run before each round, outside the time.
        names: what both see.
    """

    def __init__(self, statement: str, setup: str = "pass", **names: Any) -> None:
        # Of the processor: what others do on the machine meanwhile is not counted.
        self._timer = timeit.Timer(statement, setup, timer=time.thread_time, globals=names)
        self._loops = 0

    def seconds(self, at_least: float) -> float:
        """Seconds for one time, out of so many times that they take about `at_least` seconds."""
        if not self._loops:
            self._timer.timeit(3)  # what is made at first use is made now
            once = self._timer.timeit(3) / 3
            self._loops = max(1, int(0.1 * at_least / once))
            self._loops = max(1, int(at_least * self._loops / self._timer.timeit(self._loops)))
        return self._timer.timeit(self._loops) / self._loops


@attrs.frozen
class Case:
    """One thing done in two ways: ours, and a peer's."""

    name: str
    ours: Work
    peer: Work


def interleaved(cases: Iterable[Case], effort: Effort) -> Mapping[str, list[float]]:
    """The ratios of ours to the peer's, of each case round by round."""
    cases = list(cases)
    ratios: dict[str, list[float]] = {case.name: [] for case in cases}
    gc.collect()
    for turn in range(effort.rounds):
        for case in cases:
            # Who goes first changes, so that whatever the one leaves behind meets both.
            pair = (case.ours, case.peer) if turn % 2 else (case.peer, case.ours)
            first, second = (work.seconds(effort.seconds) for work in pair)
            ratios[case.name].append(first / second if turn % 2 else second / first)
    return ratios


def seconds_each(work: Work, effort: Effort) -> list[float]:
    """The seconds of one work alone, round by round."""
    return [work.seconds(effort.seconds) for _ in range(effort.rounds)]


def geometric_mean(values: Iterable[float]) -> float:
    """Of ratios: whichever of two is the peer, the mean says the same."""
    values = list(values)
    if len(values) == 1:
        return values[0]  # which may be negative: a difference
    return exp(sum(map(log, values)) / len(values))


@attrs.frozen
class Spread:
    """A median, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)

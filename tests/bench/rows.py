"""What a row of the table is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum

import attrs

from tests.bench.timing import Case, Effort, Spread, geometric_mean, interleaved

__all__ = ["Goal", "Row", "Tier", "of_cases"]

Ratios = Mapping[str, Sequence[float]]
"""What was measured, by the case: one value a round."""


class Tier(IntEnum):
    """What is installed beside the package: the extra `speed`, or parts of it, or nothing."""

    PLAIN = 0
    ORJSON = 1
    MSGSPEC = 2

    def enter(self) -> None:
        """Have what this tier does not know not be found. To be called before anything is imported."""
        absent = {
            Tier.PLAIN: ("msgspec", "orjson", "pybase64"),
            Tier.ORJSON: ("msgspec", "pybase64"),
            Tier.MSGSPEC: (),
        }
        for name in absent[self]:
            sys.modules[name] = None  # type: ignore[assignment]


@attrs.frozen
class Goal:
    """A bound on the mean of the cases, or on each of them.

    Args:
        bound: of the figure.
        each: holds for the worst case; else for the geometric mean of all.
        least: the figure is to be no less than that; else no more.
    """

    bound: float
    each: bool = False
    least: bool = False

    def figure(self, ratios: Ratios) -> Spread:
        """What is compared with the bound, with its quartiles."""
        if self.each:
            worst = min if self.least else max
            return worst((Spread.of(values) for values in ratios.values()), key=lambda spread: spread.median)
        return Spread.of([geometric_mean(values) for values in zip(*ratios.values(), strict=True)])

    def is_met(self, figure: Spread) -> bool:
        """Whether the median keeps to the bound."""
        return figure.median >= self.bound if self.least else figure.median <= self.bound


@attrs.frozen
class Row:
    """One line of the table, or two when it has two goals.

    Args:
        name: by which it is asked for on the command line.
        work: what is done, for people.
        peer: what it is compared with, for people.
        goals: what it is to keep to.
        measure: gives the ratios.
        tier: what is installed while it does.
        unit: of figures that are no ratios.
    """

    name: str
    work: str
    peer: str
    goals: tuple[Goal, ...]
    measure: Callable[[Effort], Ratios]
    tier: Tier = Tier.PLAIN
    unit: str = ""


def of_cases(make: Callable[[], Iterable[Case]]) -> Callable[[Effort], Ratios]:
    """A measurement of cases, which are made where they are timed: what they import, others may not have."""
    return lambda effort: interleaved(make(), effort)

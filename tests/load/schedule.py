"""When which fault strikes: by the number of turns that are done, so that slow machines run the same."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

__all__ = ["Strike", "make_schedule"]


@attrs.frozen
class Strike:
    """A fault that is due.

    Args:
        at: turns that are acknowledged by then.
        fault: its name.
    """

    at: int
    fault: str


def make_schedule(names: Sequence[str], turns: int, rounds: int, chance: random.Random) -> list[Strike]:
    """Each fault once in each round, in an order of chance, evenly over the turns.

    Args:
        names: of the faults.
        turns: of the phase.
        rounds: how often each strikes.
        chance: decides the orders.
    """
    order = [name for _ in range(rounds) for name in chance.sample(list(names), len(names))]
    return [Strike(turns * place // len(order), name) for place, name in enumerate(order)]

"""A clock that goes when it is told to."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """A clock for the machines that stands still until it is moved.

    Args:
        now: where it starts, in seconds.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: backwards.
        """
        if seconds < 0:
            raise ValueError("time does not go backwards")
        self.now += seconds

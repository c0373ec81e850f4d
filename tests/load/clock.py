"""The clocks of the server process, which can be made to jump."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["JumpingClock", "install"]


class JumpingClock:
    """A clock that is ahead of another one.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self._clock() + self._ahead

    def jump(self, seconds: float) -> None:
        """Go so much forward; backward, if it is negative."""
        self._ahead += seconds


def install() -> tuple[JumpingClock, JumpingClock]:
    """Put jumping clocks in the place of `time.monotonic` and `time.time`.

    To be called before the modules are imported that take these as defaults of parameters.
    """
    monotonic, wall = JumpingClock(time.monotonic), JumpingClock(time.time)
    time.monotonic, time.time = monotonic, wall
    return monotonic, wall

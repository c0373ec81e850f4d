"""How many examples Hypothesis tries: all with ``--hypothesis-profile=deep``, a quarter without it."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["examples"]

_FEWEST = 5


def examples(count: int) -> int:
    """How many of so many examples are tried.

    Args:
        count: with the profile ``deep``.
    """
    return max(min(count, _FEWEST), count * settings().max_examples // 100)

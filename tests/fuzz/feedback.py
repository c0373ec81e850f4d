"""Tells the engine where a machine has got to: its states stand in tables, where no engine sees branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["notice", "watch"]

_places: Sequence[Callable[[], None]] = ()
_known: dict[tuple[object, ...], int] = {}


def notice(*what: object) -> None:
    """Something was reached: a state, with what led to it. Without an engine nobody cares.

    Args:
        what: values that can be hashed, of few possible ones.
    """
    if _places:
        _places[_known.setdefault(what, len(_known)) % len(_places)]()


def watch(places: Sequence[Callable[[], None]]) -> None:
    """Have each thing that is noticed call a function of its own, as which an engine sees it."""
    global _places
    _places = places

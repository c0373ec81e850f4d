"""Whatever a host hands to a machine, as plain values, and back.

What no file can hold is noted by its `repr`: in a replay an object stands there that no codec can write
either. A map with one name that begins with ``$`` is such a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Unwritable", "of_plain", "plain"]

_GREATEST = 2**63
_DEEPEST = 300
_LONGEST = 1000


class Unwritable:
    """Stands for what could not be recorded.

    Args:
        shown: its `repr`.
    """

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


def _unwritable(value: object, shown: str) -> dict[str, Any]:
    return {"$object": [type(value).__name__, shown[:_LONGEST]]}


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"its repr raises {type(error).__name__}"


def plain(value: Any, depth: int = 0) -> Any:
    """A copy with nothing in it but what a file can hold."""
    if value is None or isinstance(value, (bool, float, str, bytes)):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < _GREATEST else {"$int": hex(value)}
    if depth > _DEEPEST:
        return _unwritable(value, "what is nested too deep")
    if isinstance(value, Mapping):
        items = list(value.items())  # at once: another thread may be changing it
        if all(isinstance(name, str) for name, _ in items):
            return {f"${name}" if name[:1] == "$" else name: plain(each, depth + 1) for name, each in items}
        return {"$items": [[plain(name, depth + 1), plain(each, depth + 1)] for name, each in items]}
    if isinstance(value, (list, tuple)):
        return [plain(each, depth + 1) for each in value]
    return _unwritable(value, _shown(value))


def of_plain(tree: Any) -> Any:
    """What was recorded, as the host handed it over."""
    match tree:
        case {"$int": str(digits), **more} if not more:
            return int(digits, 16)
        case {"$object": [str(name), str(shown)], **more} if not more:
            return type(name, (Unwritable,), {})(shown)  # errors name the class
        case {"$items": list(pairs), **more} if not more:
            return {of_plain(name): of_plain(each) for name, each in pairs}
        case dict():
            return {name[1:] if name[:1] == "$" else name: of_plain(each) for name, each in tree.items()}
        case list():
            return [of_plain(each) for each in tree]
    return tree

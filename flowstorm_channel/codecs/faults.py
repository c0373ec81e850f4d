"""Faults of a peer on their way to becoming the one exception that a codec raises."""

from __future__ import annotations

import re
from typing import Any

from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError

__all__ = ["Fault", "TooDeep", "form", "shown"]

_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_ECHOED = 40


class Fault(ValueError):
    """What is wrong with a message. Whoever passes it outwards adds the step it came through.

    Args:
        problem: for people.
        limit: it is legal, but more than `Limits` allow.
    """

    def __init__(self, problem: str, *, limit: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.limit = limit
        self._steps: list[str] = []

    def inside(self, step: str | int) -> Fault:
        """This fault, seen from the object or the array that holds its place.

        Args:
            step: the member's name on the wire, or the element's index.
        """
        if isinstance(step, int):
            self._steps.append(f"[{step}]")
        elif len(step) <= _ECHOED and _PLAIN_NAME.fullmatch(step):
            self._steps.append(f".{step}")
        else:
            self._steps.append(f"[{shown(step)}]")
        return self

    def error(self) -> RemoteProtocolError:
        """The exception for the host, with the path from the event down."""
        path = "".join(reversed(self._steps)).removeprefix(".")
        return (LimitExceeded if self.limit else RemoteProtocolError)(self.problem, path=path)


class TooDeep(Fault):
    """Objects and arrays are inside each other too often. A place so deep would be longer than it helps.

    Args:
        most: how many may be.
    """

    def __init__(self, most: int) -> None:
        super().__init__(f"nested more than {most} deep", limit=True)

    def inside(self, step: str | int) -> Fault:  # noqa: ARG002
        return self


def shown(value: Any) -> str:
    """A peer's value, for an error: never long, and printable whatever it holds."""
    if isinstance(value, (dict, list)):
        return form(value)
    text = ascii(value[:_ECHOED]) if isinstance(value, (str, bytes)) else ascii(value)
    return text if len(text) <= _ECHOED else text[: _ECHOED - 1] + "…"


_FORMS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    bytes: "binary data",
    list: "an array",
    dict: "an object",
}


def form(value: Any) -> str:
    """What JSON calls the type of a value."""
    return _FORMS.get(type(value), type(value).__name__)

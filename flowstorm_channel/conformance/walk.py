"""Walks: conversations that nobody has planned, step by step through the tables of states.

A walk is a list of steps. Hypothesis makes them (`machines`) and finds the shortest that goes wrong; a replay
token holds one, and `walk` takes it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.stage import Stage
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.tokens import Token
from flowstorm_channel.trace import Record

__all__ = ["Broken", "Step", "Walk"]

S = TypeVar("S", bound=Stage[Any])


@attrs.frozen
class Step:
    """One step of a walk.

    Args:
        kind: a trigger of the tables, what a user does, or ``time``.
        value: what belongs to it: words, milliseconds.
    """

    kind: str
    value: str | int = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".rstrip()

    def to_json(self) -> list[Any]:
        """For a token."""
        return [self.kind, self.value]

    @classmethod
    def of_json(cls, found: Any) -> Step:
        """Out of a token.

        Raises:
            ValueError: it is none.
        """
        match found:
            case [str(kind), str() | int() as value]:
                return cls(kind, value)
        raise ValueError(f"{found!r:.80} is no step")


@attrs.frozen(kw_only=True)
class Broken:
    """Where a walk went wrong.

    Args:
        rule: what is broken: a check or a rule of the suite.
        text: what happened, for people.
        index: of the record; None: at the end.
    """

    rule: str
    text: str
    index: int | None = None


class Walk(ABC, Generic[S]):
    """One walk with an implementation.

    Args:
        stage: the implementation under test.
    """

    SUITE: ClassVar[Suite[Any]]
    STEPS: ClassVar[Mapping[str, Sequence[str | int]]]
    """All kinds of steps, and the values that each can have."""

    def __init__(self, stage: S) -> None:
        self.stage = stage
        self.steps: list[Step] = []
        self._linter = self.SUITE.linter(exact=stage.driver.exact)
        self._read = 0

    @classmethod
    def on(cls, driver: Driver, profile: Profile) -> Walk[Any]:
        """A walk with what a driver drives."""
        return cls(cls.SUITE.stage(driver, profile))

    @property
    def log(self) -> Sequence[Record]:
        """What went over the wires."""
        return self.stage.log

    @property
    def token(self) -> Token:
        """What takes the same walk again."""
        return Token(suite=self.SUITE.name, steps=tuple(step.to_json() for step in self.steps))

    @abstractmethod
    def begin(self) -> None:
        """Get to where steps can be taken.

        Raises:
            Outcome: that does not work.
        """

    @abstractmethod
    def kinds(self) -> Iterable[str]:
        """The steps that the tables allow now."""

    @abstractmethod
    def _do(self, step: Step) -> None:
        """Take a step."""

    @abstractmethod
    def _conclude(self) -> Broken | None:
        """Come to an end: whether all that was begun is concluded."""

    def take(self, step: Step) -> Broken | None:
        """Take a step.

        Returns:
            What the linter finds wrong then.
        """
        self.steps.append(step)
        self._do(step)
        return self._lint()

    def finish(self) -> Broken | None:
        """Come to an end.

        Returns:
            What is wrong: something was never concluded, or the linter finds something.
        """
        concluded = self._conclude()
        return self._lint() or concluded

    def replay(self, steps: Iterable[Step]) -> Broken | None:
        """Take all those steps, as far as they can be taken, and come to an end.

        Returns:
            What is wrong.
        """
        self.begin()
        for step in steps:
            if step.kind in self.kinds() and (broken := self.take(step)):
                return broken
        return self.finish()

    def _lint(self) -> Broken | None:
        if self._linter is None:
            return None
        self._linter.read(self.stage.log[self._read :])
        self._read = len(self.stage.log)
        for finding in self._linter.findings:
            if finding.role == self.SUITE.role:
                return Broken(rule=finding.rule, text=finding.text, index=finding.index)
        return None

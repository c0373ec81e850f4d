"""Hypothesis machines: walks that look for the shortest conversation that goes wrong.

A third party makes one of its own and runs it as any state machine of Hypothesis::

    class Mine(ServerMachine):
        def make_driver(self, clock):
            return MyDriver(clock)

    TestMine = Mine.TestCase
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import attrs
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reports import lines_of
from flowstorm_channel.conformance.runner import Case, Result
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.verdicts import Outcome, Violation
from flowstorm_channel.conformance.walk import Broken, Step, Walk
from flowstorm_channel.conformance.walks import WALKS
from flowstorm_channel.testing.clock import ManualClock

__all__ = ["MACHINES", "ClientMachine", "ServerMachine", "WalkViolation", "explore", "with_walk"]


class WalkViolation(Violation):
    """A walk went wrong; its text tells the steps, the wires, and the token that takes it again.

    Args:
        walk: the walk.
        broken: where.
    """

    def __init__(self, walk: Walk[Any], broken: Broken) -> None:
        super().__init__("\n".join(_told(walk, broken)))
        self.walk = walk
        self.broken = broken


def _told(walk: Walk[Any], broken: Broken) -> Iterator[str]:
    yield broken.text
    for row in walk.SUITE.requirements.values():
        if broken.rule in row.checks:
            yield f"{row.id}, {row.level.value}: {row.text}"
    yield "steps: " + "; ".join(map(str, walk.steps))
    yield from lines_of(walk.log, broken.index)
    yield f"again: flowstorm-channel conformance replay {walk.token}"


class _Machine(RuleBasedStateMachine):
    """A walk whose steps Hypothesis chooses."""

    WALK: ClassVar[type[Walk[Any]]]
    profile: ClassVar[Profile] = Profile()
    """Of the implementation."""

    def __init__(self) -> None:
        super().__init__()
        self._driver: Driver | None = None
        self._walk: Walk[Any] | None = None

    def make_driver(self, clock: ManualClock) -> Driver:
        """Make a driver of the implementation.

        Args:
            clock: moved by the kit, for drivers in memory.
        """
        raise NotImplementedError("make_driver() has to be there")

    @initialize()
    def begin(self) -> None:
        self._driver = self.make_driver(ManualClock())
        walk = self.WALK.on(self._driver, self.profile)
        walk.begin()
        self._walk = walk

    def can_take(self, kind: str) -> bool:
        """Whether the tables allow such a step now."""
        return self._walk is not None and kind in self._walk.kinds()

    def take(self, kind: str, value: str | int) -> None:
        """Take a step.

        Raises:
            WalkViolation: something is wrong then.
        """
        assert self._walk is not None
        self._check(self._walk.take(Step(kind, value)))

    def teardown(self) -> None:
        """Come to an end.

        Raises:
            WalkViolation: something is wrong then.
        """
        try:
            if self._walk is not None:
                self._check(self._walk.finish())
        finally:
            if self._driver is not None:
                self._driver.close()

    def _check(self, broken: Broken | None) -> None:
        walk = self._walk
        if broken is not None and walk is not None:
            self._walk = None  # nothing more is to be done with it
            raise WalkViolation(walk, broken)


def _with_rules(cls: type[_Machine]) -> type[_Machine]:
    """Give a machine a rule for each kind of step."""
    for kind, values in cls.WALK.STEPS.items():
        name = re.sub(r"\W+", "_", kind.replace("<", "receive").replace(">", "send")).strip("_").lower()
        setattr(cls, name, rule(value=st.sampled_from(values))(_rule(kind, name)))
    return cls


def _rule(kind: str, name: str) -> Callable[..., None]:
    def take(machine: _Machine, value: str | int) -> None:
        machine.take(kind, value)

    take.__name__ = name
    allowed: Callable[..., None] = precondition(lambda machine: machine.can_take(kind))(take)
    return allowed


@_with_rules
class ServerMachine(_Machine):
    """A V1 server, and a client that does anything that the tables let it do."""

    WALK = WALKS["socket-v1/server"]


@_with_rules
class ClientMachine(_Machine):
    """A V1 client, and a server and a user that do anything that the tables let them do."""

    WALK = WALKS["socket-v1/client"]


MACHINES = {each.WALK.SUITE.name: each for each in (ServerMachine, ClientMachine)}
"""By the name of the suite."""


def explore(
    suite: Suite[Any], make_driver: Callable[[], Driver], profile: Profile, *, walks: int, start: int = 0
) -> WalkViolation | None:
    """Take walks, and look for the shortest that goes wrong.

    Args:
        suite: one that there is a machine for.
        make_driver: makes a driver of the implementation.
        profile: of the implementation.
        walks: how many.
        start: the seed.

    Returns:
        The shortest that was found; None when none went wrong, or none could begin.
    """
    found: list[WalkViolation] = []

    base = MACHINES[suite.name]

    class One(base):  # type: ignore[misc, valid-type]
        def make_driver(self, clock: ManualClock) -> Driver:  # noqa: ARG002
            return make_driver()

        def _check(self, broken: Broken | None) -> None:
            try:
                super()._check(broken)
            except WalkViolation as violation:
                found.append(violation)
                raise

    One.profile = profile
    bounds = settings(
        max_examples=walks,
        stateful_step_count=20,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
    )
    try:
        run_state_machine_as_test(seed(start)(One), settings=bounds)
    except WalkViolation as violation:
        return violation
    except Flaky:  # where time is real, not every fault comes again
        return min(found, key=lambda each: len(each.walk.steps), default=None)
    except Outcome:
        return None
    return None


def with_walk(results: Iterable[Result], violation: WalkViolation) -> list[Result]:
    """The results of a suite, with what a walk has found among the cases of the requirement that it breaks.

    Args:
        results: of the suite.
        violation: what was found.
    """
    walk, broken = violation.walk, violation.broken
    found = []
    for result in results:
        if broken.rule in result.requirement.checks:
            case = Case(
                check=broken.rule,
                verdict=result.requirement.level.verdict,
                text=f"{broken.text}; steps: {'; '.join(map(str, walk.steps))}",
                log=tuple(walk.log),
                index=broken.index,
                token=walk.token,
            )
            result = attrs.evolve(result, cases=(*result.cases, case))
        found.append(result)
    return found

"""The suites as pytest tests: a class with a driver becomes a test for each requirement.

::

    class TestMine(ServerConformance):
        channel = "socket-v1"
        profile = Profile(declared={"end", "long"})

        def make_driver(self, clock):
            return MyDriver(clock)

A requirement that is not met fails its test, a warning is a warning (or, with `strict`, fails, too), what was
not declared is skipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.reports.report import details_of
from flowstorm_channel.conformance.runner import Result, run
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.suites import SUITES
from flowstorm_channel.conformance.verdicts import Verdict
from flowstorm_channel.testing.clock import ManualClock

__all__ = ["ClientConformance", "ConformanceWarning", "ServerConformance"]


class ConformanceWarning(UserWarning):
    """A SHOULD is broken."""


class _Conformance:
    channel: ClassVar[str] = "socket-v1"
    """``socket-v1``, ``socket-v2``, ``alexa``, ``google`` or ``twilio``."""
    profile: ClassVar[Profile] = Profile()
    """Of the implementation."""
    strict: ClassVar[bool] = False
    """Warnings fail."""
    known: ClassVar[frozenset[str]] = frozenset()
    """The baseline: ids of requirements that are known to fail; one that does not fail fails its test."""

    _role: ClassVar[Literal["server", "client"]]
    _results: ClassVar[Mapping[str, Result] | None] = None

    def make_driver(self, clock: ManualClock) -> Driver:
        """Make a driver of the implementation.

        Args:
            clock: moved by the kit, for drivers in memory.
        """
        raise NotImplementedError("make_driver() has to be there")

    @classmethod
    def suite(cls) -> Suite[Any]:
        """The suite that is run."""
        return SUITES[f"{cls.channel}/{cls._role}"]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each requirement that can be observed."""
        if "requirement" in metafunc.fixturenames and metafunc.cls is not None:
            rows = metafunc.cls.suite().requirements.values()
            metafunc.parametrize("requirement", [row.id for row in rows if row.checks])

    def test_requirement(self, requirement: str, record_property: Any) -> None:
        """One requirement."""
        result = self._all_results()[requirement]
        verdict = result.verdict
        record_property("verdict", verdict.value)
        fails = verdict.fails or (self.strict and verdict is Verdict.WARN)
        if requirement in self.known:
            if fails:
                pytest.xfail(f"known: {result.text}")
            pytest.fail(f"{requirement} is said to be known to fail, and does not")
        if fails:
            pytest.fail(f"{requirement}, {verdict.value}, {details_of(result)}", pytrace=False)
        if verdict is Verdict.WARN:
            warnings.warn(f"{requirement}: {result.text}", ConformanceWarning, stacklevel=1)
        elif verdict in (Verdict.NOT_DECLARED, Verdict.INFO):
            pytest.skip(f"{verdict.value}: {result.text}")

    def _all_results(self) -> Mapping[str, Result]:
        # The linter reads what all checks have done, so that they are run once and together.
        cls = type(self)
        if cls._results is None:
            found = run(self.suite(), lambda: self.make_driver(ManualClock()), self.profile)
            cls._results = {result.requirement.id: result for result in found}
        return cls._results


class ServerConformance(_Conformance):
    """Tests of a server; see the module."""

    _role = "server"


class ClientConformance(_Conformance):
    """Tests of a client; see the module."""

    _role = "client"

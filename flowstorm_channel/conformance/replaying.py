"""Does again what a replay token says."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.runner import run_check
from flowstorm_channel.conformance.suites import SUITES
from flowstorm_channel.conformance.tokens import Token
from flowstorm_channel.conformance.verdicts import Outcome
from flowstorm_channel.conformance.walk import Step
from flowstorm_channel.conformance.walks import WALKS
from flowstorm_channel.trace import Record

__all__ = ["Replayed", "replay"]


@attrs.frozen(kw_only=True)
class Replayed:
    """What came of it.

    Args:
        text: what is wrong, for people; empty when nothing is.
        log: what went over the wires.
        index: of the record where it went wrong; None: at the end.
    """

    text: str
    log: tuple[Record, ...] = attrs.field(repr=False)
    index: int | None = None


def replay(token: Token, make_driver: Callable[[], Driver], profile: Profile) -> Replayed:
    """Run the check, or take the walk, of a token.

    Args:
        token: of a report, or of a machine.
        make_driver: makes a driver of the implementation.
        profile: of the implementation.

    Raises:
        ValueError: this kit knows no such suite, check or step.
    """
    if token.check is None:
        return _walk(token, make_driver, profile)
    suite = SUITES.get(token.suite)
    if suite is None or token.check not in suite.checks:
        raise ValueError(f"this kit knows no check {token.check} of {token.suite}")
    text, log, index = run_check(suite, token.check, make_driver, profile)
    return Replayed(text=text, log=log, index=index)


def _walk(token: Token, make_driver: Callable[[], Driver], profile: Profile) -> Replayed:
    if token.suite not in WALKS:
        raise ValueError(f"this kit has no walks for {token.suite}")
    steps = [Step.of_json(each) for each in token.steps]
    driver = make_driver()
    try:
        walk = WALKS[token.suite].on(driver, profile)
        try:
            broken = walk.replay(steps)
        except Outcome as ended:
            return Replayed(text=str(ended), log=tuple(walk.log))
        if broken is None:
            return Replayed(text="", log=tuple(walk.log))
        return Replayed(text=broken.text, log=tuple(walk.log), index=broken.index)
    finally:
        driver.close()

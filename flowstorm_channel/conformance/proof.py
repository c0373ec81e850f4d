"""The kit's proof of itself: which check finds which broken implementation."""

from __future__ import annotations

from typing import Any

import attrs

from flowstorm_channel.conformance.alexa import broken_servers as _alexa_servers  # noqa: F401
from flowstorm_channel.conformance.equivalence import broken_servers as _all_servers  # noqa: F401
from flowstorm_channel.conformance.google import broken_servers as _google_servers  # noqa: F401
from flowstorm_channel.conformance.runner import Result, found_by, run
from flowstorm_channel.conformance.socket_v1 import broken_clients as _v1_clients  # noqa: F401
from flowstorm_channel.conformance.socket_v1 import broken_servers as _v1_servers  # noqa: F401
from flowstorm_channel.conformance.socket_v2 import broken_clients as _v2_clients  # noqa: F401
from flowstorm_channel.conformance.socket_v2 import broken_servers as _v2_servers  # noqa: F401
from flowstorm_channel.conformance.suite import BrokenPeer, Suite
from flowstorm_channel.conformance.twilio import broken_servers as _twilio_servers  # noqa: F401
from flowstorm_channel.conformance.verdicts import Verdict
from flowstorm_channel.testing.clock import ManualClock

__all__ = ["Kill", "confirm", "judge", "judge_reference", "kills"]


_FOUND = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
"""What is found for a MUST, a SHOULD, a MAY. What was left out is INFO, too, but was not run."""


@attrs.frozen
class Kill:
    """A broken implementation, and what finds its fault.

    Args:
        peer: the name of the broken implementation.
        check: the check that finds it, or the rule of the linter.
        by: the check that has to be run for that.
    """

    peer: str
    check: str
    by: str


def judge_reference(suite: Suite[Any]) -> list[Result]:
    """What the kit says of what has no fault."""
    make = suite.make_reference
    assert make is not None, "this module makes all suites prove themselves"
    return run(suite, lambda: make(ManualClock()), suite.reference_profile)


def judge(suite: Suite[Any], peer: BrokenPeer) -> list[Result]:
    """What the kit says of a broken implementation."""
    return run(suite, lambda: peer.make_driver(ManualClock()), suite.reference_profile)


def kills(suite: Suite[Any], peer: BrokenPeer) -> list[Kill]:
    """All that finds a fault. It runs every check, which takes a while for all of them."""
    return [
        Kill(peer.name, case.check, case.token.check)
        for result in judge(suite, peer)
        for case in result.cases
        if case.verdict in _FOUND and case.token is not None and case.token.check
    ]


def confirm(suite: Suite[Any], kill: Kill) -> bool:
    """Whether a fault is still found so."""
    peer = suite.broken[kill.peer]
    return kill.check in found_by(
        suite, kill.by, lambda: peer.make_driver(ManualClock()), suite.reference_profile
    )

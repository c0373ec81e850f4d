"""The conformance kit: what an implementation of the channels does wrong, requirement by requirement.

`SUITES` holds a suite for each end of each channel; `run` runs one through a `Driver`, which stands between
the kit and the implementation. `testcases` makes pytest tests of a suite, `machines` lets Hypothesis look
for the shortest conversation that goes wrong, `lint` reads recordings, and the command
``flowstorm-channel conformance`` is all of it. It needs the extra ``conformance``.
"""

from flowstorm_channel.conformance.drivers import ACTIONS, ClientDriver, Driver, ServerDriver, Wire
from flowstorm_channel.conformance.profile import CAPABILITIES, PHRASES, Profile
from flowstorm_channel.conformance.replaying import Replayed, replay
from flowstorm_channel.conformance.reports import Baseline, Report, SuiteReport
from flowstorm_channel.conformance.requirements import Basis, Level, Requirement
from flowstorm_channel.conformance.runner import Case, Result, run
from flowstorm_channel.conformance.suite import BrokenPeer, Check, Suite
from flowstorm_channel.conformance.suites import SUITES
from flowstorm_channel.conformance.tokens import Token
from flowstorm_channel.conformance.verdicts import NotDeclared, Outcome, Untestable, Verdict, Violation

__all__ = [
    "ACTIONS",
    "CAPABILITIES",
    "PHRASES",
    "SUITES",
    "Baseline",
    "Basis",
    "BrokenPeer",
    "Case",
    "Check",
    "ClientDriver",
    "Driver",
    "Level",
    "NotDeclared",
    "Outcome",
    "Profile",
    "Replayed",
    "Report",
    "Requirement",
    "Result",
    "ServerDriver",
    "Suite",
    "SuiteReport",
    "Token",
    "Untestable",
    "Verdict",
    "Violation",
    "Wire",
    "replay",
    "run",
]

"""The suite of V1 servers; the modules beside this one add their checks to it."""

from __future__ import annotations

from flowstorm_channel.conformance.socket_v1.lint import SERVER_RULES, V1Linter
from flowstorm_channel.conformance.socket_v1.peer import V1Caller
from flowstorm_channel.conformance.suite import Suite

__all__ = ["SUITE", "check"]

SUITE = Suite("socket-v1", "server", V1Caller, rules=SERVER_RULES, make_linter=V1Linter)
check = SUITE.check

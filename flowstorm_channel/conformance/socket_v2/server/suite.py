"""The suite of V2 servers; the modules beside this one add their checks to it."""

from __future__ import annotations

from flowstorm_channel.conformance.socket_v2.lint import SERVER_RULES, V2Linter
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.suite import Suite

__all__ = ["SUITE", "check"]

SUITE = Suite("socket-v2", "server", V2Caller, rules=SERVER_RULES, make_linter=V2Linter)
check = SUITE.check

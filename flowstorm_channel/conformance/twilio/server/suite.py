"""The suite of servers of phone calls; the modules beside this one add their checks to it."""

from __future__ import annotations

from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.twilio.lint import SERVER_RULES, TwilioLinter
from flowstorm_channel.conformance.twilio.peer import Phone

__all__ = ["SUITE", "check"]

SUITE = Suite("twilio", "server", Phone, rules=SERVER_RULES, make_linter=TwilioLinter)
check = SUITE.check

"""The suite of webhooks of Google Assistant; the modules beside this one add their checks to it."""

from __future__ import annotations

from flowstorm_channel.conformance.google.lint import SERVER_RULES, GoogleLinter
from flowstorm_channel.conformance.google.peer import GoogleCaller
from flowstorm_channel.conformance.suite import Suite

__all__ = ["SUITE", "check"]

SUITE = Suite("google", "server", GoogleCaller, rules=SERVER_RULES, make_linter=GoogleLinter)
check = SUITE.check

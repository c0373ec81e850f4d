"""The suite of Alexa skills; the modules beside this one add their checks to it."""

from __future__ import annotations

from flowstorm_channel.conformance.alexa.lint import SERVER_RULES, AlexaLinter
from flowstorm_channel.conformance.alexa.peer import AlexaCaller
from flowstorm_channel.conformance.suite import Suite

__all__ = ["SUITE", "check"]

SUITE = Suite("alexa", "server", AlexaCaller, rules=SERVER_RULES, make_linter=AlexaLinter)
check = SUITE.check

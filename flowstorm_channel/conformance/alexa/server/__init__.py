"""What an Alexa skill is checked for, one module for each part of it."""

from flowstorm_channel.conformance.alexa.server import (  # noqa: F401 - they add their checks
    answers,
    conversations,
    failures,
    requests,
    security,
)
from flowstorm_channel.conformance.alexa.server.suite import SUITE

__all__ = ["SUITE"]

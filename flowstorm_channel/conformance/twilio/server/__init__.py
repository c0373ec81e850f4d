"""What a server of phone calls is checked for, one module for each part of it."""

from flowstorm_channel.conformance.twilio.server import (  # noqa: F401 - they add their checks
    barge_in,
    calls,
    ends,
    extensions,
    failures,
    handshake,
    silence,
)
from flowstorm_channel.conformance.twilio.server.suite import SUITE

__all__ = ["SUITE"]

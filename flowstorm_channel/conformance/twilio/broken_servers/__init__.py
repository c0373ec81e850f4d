"""Servers of phone calls with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.twilio.broken_servers import (  # noqa: F401 - they add themselves
    barge_in,
    ends,
    frames,
    messages,
    security,
    silence,
)
from flowstorm_channel.conformance.twilio.broken_servers.faults import reference

__all__ = ["reference"]

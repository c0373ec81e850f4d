"""Skills with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.alexa.broken_servers import (  # noqa: F401 - they add themselves to the suite
    answers,
    conversations,
    failures,
    requests,
    security,
)
from flowstorm_channel.conformance.alexa.broken_servers.faults import reference

__all__ = ["reference"]

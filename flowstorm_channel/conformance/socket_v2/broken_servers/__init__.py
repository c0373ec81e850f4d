"""V2 servers with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.socket_v2.broken_servers import (  # noqa: F401 - they add themselves
    answers,
    bodies,
    messages,
    polling,
    requests,
    sessions,
    speech,
)
from flowstorm_channel.conformance.socket_v2.broken_servers.faults import reference

__all__ = ["reference"]

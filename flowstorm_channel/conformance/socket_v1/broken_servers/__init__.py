"""V1 servers with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.socket_v1.broken_servers import (  # noqa: F401 - they add themselves
    audio,
    failures,
    handshake,
    messages,
    security,
    sessions,
    turns,
)
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import reference

__all__ = ["reference"]

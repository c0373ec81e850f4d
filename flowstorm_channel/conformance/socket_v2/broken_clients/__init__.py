"""V2 clients with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.socket_v2.broken_clients import (  # noqa: F401 - they add themselves
    readers,
    requests,
    sessions,
    streams,
    turns,
)
from flowstorm_channel.conformance.socket_v2.broken_clients.base import reference

__all__ = ["reference"]

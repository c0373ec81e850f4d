"""V1 clients with one fault each, of the kinds that real ones have had."""

from flowstorm_channel.conformance.socket_v1.broken_clients import (  # noqa: F401 - they add themselves
    audio,
    messages,
    readers,
    sessions,
    turns,
)
from flowstorm_channel.conformance.socket_v1.broken_clients.base import reference

__all__ = ["reference"]

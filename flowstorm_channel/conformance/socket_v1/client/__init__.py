"""What a V1 client is checked for, by the parts of the protocol."""

from flowstorm_channel.conformance.socket_v1.client import (  # noqa: F401 - they add themselves
    audio,
    barge_in,
    extensions,
    failures,
    handshake,
    sessions,
    turns,
)
from flowstorm_channel.conformance.socket_v1.client.suite import SUITE

__all__ = ["SUITE"]

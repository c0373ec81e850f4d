"""What a V1 server is checked for, one module for each part of the protocol."""

from flowstorm_channel.conformance.socket_v1.server import (  # noqa: F401 - they add their checks
    audio,
    barge_in,
    codecs,
    extensions,
    failures,
    handshake,
    limits,
    security,
    sessions,
    speech,
    turns,
)
from flowstorm_channel.conformance.socket_v1.server.suite import SUITE

__all__ = ["SUITE"]

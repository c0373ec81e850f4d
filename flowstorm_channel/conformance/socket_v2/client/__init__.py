"""What a V2 client is checked for, one module for each part of the protocol."""

from flowstorm_channel.conformance.socket_v2.client import (  # noqa: F401 - they add their checks
    barge_in,
    codecs,
    extensions,
    failures,
    sessions,
    streams,
    turns,
)
from flowstorm_channel.conformance.socket_v2.client.suite import SUITE

__all__ = ["SUITE"]

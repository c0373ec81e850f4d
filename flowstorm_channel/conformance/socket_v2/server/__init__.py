"""What a V2 server is checked for, one module for each part of the protocol."""

from flowstorm_channel.conformance.socket_v2.server import (  # noqa: F401 - they add their checks
    barge_in,
    codecs,
    failures,
    polling,
    refusals,
    requests,
    sessions,
    speech,
    text,
    turns,
)
from flowstorm_channel.conformance.socket_v2.server.suite import SUITE

__all__ = ["SUITE"]

"""All suites: one for each end of each channel that the kit checks."""

from collections.abc import Mapping
from typing import Any

from flowstorm_channel.conformance.alexa import server as alexa_server
from flowstorm_channel.conformance.equivalence import server as all_servers
from flowstorm_channel.conformance.google import server as google_server
from flowstorm_channel.conformance.socket_v1 import client as socket_v1_client
from flowstorm_channel.conformance.socket_v1 import server as socket_v1_server
from flowstorm_channel.conformance.socket_v2 import client as socket_v2_client
from flowstorm_channel.conformance.socket_v2 import server as socket_v2_server
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.twilio import server as twilio_server

__all__ = ["SUITES"]

SUITES: Mapping[str, Suite[Any]] = {
    each.name: each
    for each in (
        socket_v1_server.SUITE,
        socket_v1_client.SUITE,
        socket_v2_server.SUITE,
        socket_v2_client.SUITE,
        alexa_server.SUITE,
        google_server.SUITE,
        twilio_server.SUITE,
        all_servers.SUITE,
    )
}
"""By name, such as ``socket-v1/server``."""

"""All walks, by the suite that they belong to."""

from collections.abc import Mapping
from typing import Any

from flowstorm_channel.conformance.socket_v1.client_walk import V1ClientWalk
from flowstorm_channel.conformance.socket_v1.server_walk import V1ServerWalk
from flowstorm_channel.conformance.walk import Walk

__all__ = ["WALKS"]

WALKS: Mapping[str, type[Walk[Any]]] = {each.SUITE.name: each for each in (V1ServerWalk, V1ClientWalk)}
"""By the name of the suite, such as ``socket-v1/server``."""

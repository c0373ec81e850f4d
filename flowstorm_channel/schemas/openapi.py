"""OpenAPI 3.1 documents of the channels on HTTP: Socket V2, and the webhooks of Alexa and Google Assistant.

They are the server's: a request is described as it is accepted, an answer as it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from flowstorm_channel.events import Side
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schemas.classes import DIALECT
from flowstorm_channel.schemas.components import Components
from flowstorm_channel.schemas.socket_v2 import socket_v2
from flowstorm_channel.schemas.webhooks import alexa, google

__all__ = ["OPENAPI_CHANNELS", "OpenApiChannel", "openapi_document"]

OpenApiChannel = Literal["socket-v2", "alexa", "google"]
"""What there is a document of."""
OPENAPI_CHANNELS: tuple[OpenApiChannel, ...] = get_args(OpenApiChannel)

Tree = dict[str, Any]

_MAKERS: Mapping[OpenApiChannel, Callable[[Components, Limits], Tree]] = {
    "socket-v2": socket_v2,
    "alexa": alexa,
    "google": google,
}


def openapi_document(
    channel: OpenApiChannel,
    *,
    url: str = "http://127.0.0.1:8000",
    limits: Limits = DEFAULT_LIMITS,
) -> Tree:
    """The OpenAPI document of a server.

    Args:
        channel: ``socket-v2``, ``alexa`` or ``google``.
        url: where the server is, without the path of the channel. User and query are not told.
        limits: of what it accepts.

    Raises:
        ValueError: there is no such channel, or the address is none of HTTP.
    """
    make = _MAKERS.get(channel)
    if make is None:
        raise ValueError(f"{channel!r} has no OpenAPI document; {', '.join(OPENAPI_CHANNELS)} have")
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.netloc:
        raise ValueError(f"{url!r} is no address of HTTP")
    host = place.netloc.rpartition("@")[2]
    components = Components(Side.SERVER, limits)
    made = make(components, limits)
    return components.complete(
        {
            "openapi": "3.1.0",
            "info": made.pop("info"),
            "jsonSchemaDialect": DIALECT,
            "servers": [{"url": f"{place.scheme}://{host}{place.path.rstrip('/')}"}],
            **made,
        }
    )

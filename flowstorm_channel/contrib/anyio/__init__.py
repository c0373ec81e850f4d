"""Drives channels under trio, or under asyncio, by way of anyio. For clients see `contrib.trio`.

Needs the extra: ``pip install 'flowstorm-channel[anyio]'``.

::

    async def dialogue(turn):
        await trio.sleep(0.5)
        yield f"You said {turn.text}."

    app = ChannelApp(dialogue)            # hypercorn --worker-class trio hello:app
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowstorm_channel.contrib import asgi, service
from flowstorm_channel.contrib.anyio.driver import Driver
from flowstorm_channel.contrib.anyio.fetching import Fetcher, fetch
from flowstorm_channel.contrib.anyio.tasks import Flag, Tasks
from flowstorm_channel.contrib.host import Answer
from flowstorm_channel.server import Turn

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstorm_channel.contrib.service import Options

__all__ = ["ChannelApp", "Driver", "Fetcher", "Flag", "Service", "Tasks", "fetch"]


class Service(service.Service):
    """The channels of a server, under trio or asyncio. It takes what
    `~flowstorm_channel.contrib.service.Service` takes.

    What is given to it has to run under the same library. The stores of this package need asyncio.
    """

    DRIVER = Driver
    FETCHER = Fetcher

    def __init__(self, dialogue: Callable[[Turn], Answer], **options: Unpack[Options]) -> None:
        options.setdefault("fetch", fetch)
        super().__init__(dialogue, **options)


class ChannelApp(Service, asgi.ChannelApp):
    """The channels of a server as an ASGI application, under trio or asyncio.

    It takes what `~flowstorm_channel.contrib.anyio.Service` takes.
    """

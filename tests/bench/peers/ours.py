"""The same conversation as that of `by_hand`, with this package."""

from __future__ import annotations

from collections.abc import AsyncIterator

from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.server import Turn

__all__ = ["app"]


async def dialogue(turn: Turn) -> AsyncIterator[str]:
    yield f"You said {turn.text}."


app = ChannelApp(dialogue)

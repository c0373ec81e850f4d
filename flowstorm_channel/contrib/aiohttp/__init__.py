"""All channels in an application of aiohttp, and clients of V1 and V2 over aiohttp.

Needs the extra: ``pip install 'flowstorm-channel[aiohttp]'``.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    app = web.Application()
    Channels(dialogue).setup(app)         # or setup(app, prefix="/voice")
    web.run_app(app)

    client = SocketV2Client("http://127.0.0.1:8080/client", key="K", device_id="D")
    async for event in async_events(client):
        ...
"""

from flowstorm_channel.contrib.aiohttp.client import async_events
from flowstorm_channel.contrib.aiohttp.server import Channels

__all__ = ["Channels", "async_events"]

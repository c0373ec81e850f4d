"""Says each line of its input, over aiohttp: to a WebSocket (ws://…/socket), or by HTTP (http://…/client).

pip install "flowstorm-channel[aiohttp]"
python aiohttp_client.py ws://127.0.0.1:8000/socket
"""

import asyncio
import sys
from contextlib import aclosing

from flowstorm_channel import ResponseEvent, ResponseItemEvent, SocketV1Client, SocketV2Client
from flowstorm_channel.contrib.aiohttp import async_events


async def talk(url):
    kind = SocketV1Client if url.startswith("ws") else SocketV2Client
    client = kind(url, key="my-app", device_id="my-device", auto_start=True)
    async with aclosing(async_events(client)) as events:
        async for event in events:
            if isinstance(event, ResponseItemEvent):
                print(event.response_item.text, flush=True)
            elif isinstance(event, ResponseEvent):
                client.finish_playback()
                line = await asyncio.to_thread(sys.stdin.readline)
                if line:
                    client.say(line.strip())
                else:
                    client.close()


asyncio.run(talk(sys.argv[1]))

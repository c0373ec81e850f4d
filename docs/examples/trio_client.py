"""Says each line of its input, under trio: to a WebSocket (ws://…/socket), or by HTTP (http://…/client).

pip install "flowstorm-channel[trio]"        # WebSockets under trio need Python 3.11
python trio_client.py ws://127.0.0.1:8000/socket
"""

import sys

import trio

from flowstorm_channel import ResponseEvent, ResponseItemEvent, SocketV1Client, SocketV2Client
from flowstorm_channel.contrib.trio import open_events


async def talk(url):
    kind = SocketV1Client if url.startswith("ws") else SocketV2Client
    client = kind(url, key="my-app", device_id="my-device", auto_start=True)
    async with open_events(client) as events:
        async for event in events:
            if isinstance(event, ResponseItemEvent):
                print(event.response_item.text, flush=True)
            elif isinstance(event, ResponseEvent):
                client.finish_playback()
                line = await trio.to_thread.run_sync(sys.stdin.readline)
                if line:
                    client.say(line.strip())
                else:
                    client.close()


trio.run(talk, sys.argv[1])

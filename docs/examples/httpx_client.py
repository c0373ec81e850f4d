"""Says each line of its input by HTTP, over httpx.

pip install "flowstorm-channel[httpx]"
python httpx_client.py http://127.0.0.1:8000/client
"""

import sys

from flowstorm_channel import ResponseEvent, ResponseItemEvent, SocketV2Client
from flowstorm_channel.contrib.httpx import events

client = SocketV2Client(sys.argv[1], key="my-app", device_id="my-device", auto_start=True)
for event in events(client):
    if isinstance(event, ResponseItemEvent):
        print(event.response_item.text, flush=True)
    elif isinstance(event, ResponseEvent):
        client.finish_playback()
        line = sys.stdin.readline()
        if line:
            client.say(line.strip())
        else:
            client.close()

"""Says each line of its input over a WebSocket, without an event loop: the conversation has its own thread.

pip install "flowstorm-channel[websockets]"
python blocking_client.py ws://127.0.0.1:8000/socket
"""

import queue
import sys
import threading

from flowstorm_channel import ConnectionFailedEvent, ResponseEvent, ResponseItemEvent, SocketV1Client
from flowstorm_channel.contrib.websockets import events

to_say: queue.Queue[str | None] = queue.Queue()
heard: queue.Queue[str | None] = queue.Queue()


def converse(url):
    """All that touches the client happens in here; queues lead in and out."""
    client = SocketV1Client(url, key="my-app", device_id="my-device", auto_start=True)
    for event in events(client):
        if isinstance(event, ResponseItemEvent):
            heard.put(event.response_item.text)
        elif isinstance(event, ConnectionFailedEvent):
            client.close()
        elif isinstance(event, ResponseEvent):
            client.finish_playback()
            text = to_say.get()
            if text is None:
                client.close()
            else:
                client.say(text)
    heard.put(None)


threading.Thread(target=converse, args=(sys.argv[1],), daemon=True).start()
for line in sys.stdin:
    to_say.put(line.strip())
to_say.put(None)
while (text := heard.get()) is not None:
    print(text, flush=True)

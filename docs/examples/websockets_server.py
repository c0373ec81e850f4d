"""A server of Socket V1 on the websockets library alone, without ASGI.

pip install "flowstorm-channel[websockets]"
python websockets_server.py [port]
"""

import asyncio
import sys

from websockets.asyncio.server import serve

from flowstorm_channel.contrib.service import Service
from flowstorm_channel.contrib.websockets import handler, select_subprotocol


async def dialogue(turn):
    yield "Hello!" if turn.text == "#intro" else f"You said {turn.text}."


async def main(port):
    service = Service(dialogue)
    async with serve(
        handler(service), "127.0.0.1", port, select_subprotocol=select_subprotocol, max_size=1 << 20
    ) as server:
        host, port = server.sockets[0].getsockname()
        print(f"Listening on ws://{host}:{port}/socket", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))

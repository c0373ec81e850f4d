"""The channels at /voice in an application of aiohttp.

pip install "flowstorm-channel[aiohttp]"
python aiohttp_server.py [port]
"""

import sys

from aiohttp import web

from flowstorm_channel.contrib.aiohttp import Channels


async def dialogue(turn):
    yield "Hello!" if turn.text == "#intro" else f"You said {turn.text}."


async def index(request):
    return web.Response(text="Talk to me at /voice/socket, or at /voice/client.")


app = web.Application()
app.router.add_get("/", index)
Channels(dialogue).setup(app, prefix="/voice")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)

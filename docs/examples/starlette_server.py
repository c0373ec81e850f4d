"""The channels at /voice in an application of Starlette.

pip install "flowstorm-channel[server]" starlette
uvicorn starlette_server:app --ws websockets-sansio
"""

from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from flowstorm_channel.contrib.asgi import ChannelApp


async def dialogue(turn):
    yield "Hello!" if turn.text == "#intro" else f"You said {turn.text}."


async def index(request):
    return PlainTextResponse("Talk to me at /voice/socket, or at /voice/client.")


@asynccontextmanager
async def lifespan(app):
    yield
    await channels.aclose()  # who is still talking is told that the server is going away


channels = ChannelApp(dialogue)
app = Starlette(routes=[Route("/", index), Mount("/voice", channels)], lifespan=lifespan)

"""The channels at /voice in an application of FastAPI, with something that its routes and the dialogue share.

pip install "flowstorm-channel[server]" fastapi
uvicorn fastapi_server:app --ws websockets-sansio
"""

from contextlib import asynccontextmanager

from fastapi import FastAPI

from flowstorm_channel.contrib.asgi import ChannelApp

orders: list[str] = []


async def dialogue(turn):
    if turn.text == "#intro":
        yield "Hello! What would you like?"
    else:
        orders.append(turn.text)
        yield f"One {turn.text}. Anything else?"


async def authorise(init):
    return None if init.key == "my-app" else "I do not know this application."


@asynccontextmanager
async def lifespan(app):
    yield
    await channels.aclose()  # who is still talking is told that the server is going away


app = FastAPI(lifespan=lifespan)


@app.get("/orders")
async def list_orders() -> list[str]:
    return orders


channels = ChannelApp(dialogue, authorise=authorise)
app.mount("/voice", channels)

"""A program of a user who checks types strictly: `.ci/run` has mypy look at it, the tests do not run it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from datetime import datetime, timezone

from flowstorm_channel import (
    AudioStream,
    CertificateNeed,
    InitEvent,
    Input,
    InputAudioStreamOpenEvent,
    InputEvent,
    Limits,
    RecognizedEvent,
    RecognizedInputEvent,
    RequestHead,
    ResponseEvent,
    ResponseItem,
    SessionNeed,
    Sessions,
    SocketV1Client,
    SocketV1Server,
    SocketV2Client,
    SocketV2Server,
    StoreNeed,
    Timeouts,
    Transcript,
    Turn,
    UnsentEvent,
)
from flowstorm_channel.alexa import INTENTS, AlexaServer, Intents
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.asyncio import Sound
from flowstorm_channel.contrib.aws_lambda import AlexaHandler
from flowstorm_channel.contrib.httpx import async_events as httpx_events
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.contrib.redis import RedisStore
from flowstorm_channel.contrib.websockets import async_events, events


async def dialogue(turn: Turn) -> AsyncIterator[str | ResponseItem]:
    yield f"You said {turn.text}"
    yield ResponseItem(text="A picture", image="/picture.png")
    turn.finish(session_ended=True)


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    async for block in sound:
        yield f"{len(block)} bytes", True


app = ChannelApp(
    dialogue,
    recogniser=recogniser,
    limits=Limits(items=100),
    timeouts=Timeouts(idle=60.0),
    store=RedisStore("redis://127.0.0.1:6379/0"),
)
client = SocketV1Client("ws://127.0.0.1/socket", key="my-app", device_id="kitchen", auto_start=True)


def blocking() -> None:
    with closing(events(client)) as told:
        for event in told:
            if isinstance(event, ResponseEvent):
                client.finish_playback()
                client.say(event.response.turn_id or "more")


async def asynchronous() -> None:
    async with aclosing(async_events(client)) as told:
        async for event in told:
            print(JsonCodec().encode(event))


v2_client = SocketV2Client("http://127.0.0.1/client", key="my-app", device_id="kitchen", msgpack=True)


async def over_http() -> None:
    async with aclosing(httpx_events(v2_client)) as told:
        async for event in told:
            if isinstance(event, (RecognizedEvent, RecognizedInputEvent)):
                print(event.text)


def serve_a_request(kept: dict[str, bytes]) -> None:
    server = SocketV2Server(Sessions(stored=True))
    for event in server.events():
        match event:
            case SessionNeed():
                server.provide(event, kept.get(event.session_id))
            case StoreNeed():
                kept[event.session_id] = event.snapshot
                server.provide(event, event.snapshot)
            case InputEvent():
                server.turn.session.data["heard"] = server.turn.text


def keypad(digit: str, stream: AudioStream) -> None:
    stream.recognized(digit, final=True)


platforms = ChannelApp(
    dialogue,
    keypad=keypad,
    alexa=Alexa(
        skill_ids=["amzn1.ask.skill.x"],
        intents=Intents(texts={**INTENTS, "AMAZON.YesIntent": "ano"}),
        title="Hi",
    ),
    google=GoogleAssistant(project_ids=["my-project"], reprompt="?"),
    twilio=Twilio(
        auth_token="t", public_url="https://voice.example.com", greet=lambda call: {"sender": call.from_}
    ),
)
handler = AlexaHandler(dialogue, skill_ids={"amzn1.ask.skill.x"}, options={"title": "Hi"})


def answer_alexa(chains: dict[str, bytes]) -> None:
    server = AlexaServer(None, skill_ids=None, certificates=None, now=lambda: datetime.now(timezone.utc))
    for event in server.events():
        match event:
            case CertificateNeed():
                server.provide(event, chains.get(event.url))
            case InputEvent():
                if isinstance(server.turn.channel, AlexaServer):
                    server.turn.channel.attributes["visits"] = 1
            case UnsentEvent():
                print(event.part, event.reason)


def serve() -> None:
    server = SocketV1Server(queue_inputs=True)
    server.receive_data(RequestHead(url="/socket"))
    for event in server.events():
        match event:
            case InitEvent():
                server.ready()
            case InputAudioStreamOpenEvent():
                server.stream.ready()
                server.stream.recognized(Input(transcript=Transcript(text="hi")), final=True)
            case InputEvent():
                server.turn.say(event.input.replace(locale="cs-CZ").text)
                server.turn.finish(sleep_timeout=30)

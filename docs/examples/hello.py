"""A server in one file, under any ASGI server.

pip install "flowstorm-channel[server]"
uvicorn hello:app --ws websockets-sansio
"""

from flowstorm_channel.contrib.asgi import ChannelApp


async def dialogue(turn):
    if turn.text == "#intro":
        yield "Hello! What is your name?"
    else:
        yield f"Nice to meet you, {turn.text}."
        turn.finish(session_ended=True)


app = ChannelApp(dialogue)

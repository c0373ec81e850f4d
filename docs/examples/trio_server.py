"""All channels under trio.

pip install "flowstorm-channel[trio]"
hypercorn --worker-class trio trio_server:app
"""

import trio

from flowstorm_channel.contrib.anyio import ChannelApp


async def dialogue(turn):
    if turn.text == "#intro":
        yield "Hello! I need a moment for everything."
    else:
        yield "Let me think."
        await trio.sleep(0.1)  # when the user interrupts, this is where it is cancelled
        yield f"You said {turn.text}."


app = ChannelApp(dialogue)

"""The application under load: all channels, a dialogue that keeps a ledger, and two addresses for the driver.

``/memory`` tells what the process holds; ``/clock?monotonic=3&wall=-60`` makes its clocks jump.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from flowstorm_channel import Limits, Timeouts
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.asyncio import Sound
from flowstorm_channel.contrib.platforms import Twilio
from flowstorm_channel.contrib.redis import RedisStore
from flowstorm_channel.server import Turn
from flowstorm_channel.values import ClientConfig, ResponseItem
from tests.load.clock import JumpingClock
from tests.load.ledger import Answer, Entry

__all__ = ["AUTH_TOKEN", "LIMITS", "PUBLIC_URL", "Application"]

AUTH_TOKEN = "of the account"
PUBLIC_URL = "https://voice.example.com"
LIMITS = Limits(
    message_bytes=64 * 1024, audio_bytes=64 * 1024, body_bytes=256 * 1024, queued_bytes=512 * 1024
)
TIMEOUTS = Timeouts(init=3.0, body=3.0, recording=10.0)
KEEP_SESSIONS_FOR = 600.0
LONG = 40, 4_000
"""Items, and the letters of each, of a long answer."""


class Application:
    """The channels, with the ledger.

    Args:
        redis: where sessions are kept.
        ledger: a file, opened to append to; what is written outlives the process.
        clocks: the monotonic one and the wall's.
    """

    def __init__(self, redis: str, ledger: int, clocks: tuple[JumpingClock, JumpingClock]) -> None:
        self._ledger = ledger
        self._clocks = dict(zip(("monotonic", "wall"), clocks, strict=True))
        self.channels = ChannelApp(
            self.dialogue,
            recogniser=recogniser,
            voice=voice,
            store=RedisStore(redis),
            limits=LIMITS,
            timeouts=TIMEOUTS,
            keep_sessions_for=KEEP_SESSIONS_FOR,
            twilio=Twilio(auth_token=AUTH_TOKEN, public_url=PUBLIC_URL, silence_timeout=0),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI entrance."""
        match scope["type"], scope.get("path"):
            case "http", "/memory":
                await _tell(send, self._memory())
            case "http", "/clock":
                for name, seconds in parse_qsl(scope["query_string"].decode()):
                    self._clocks[name].jump(float(seconds))
                await _tell(send, {})
            case _:
                await self.channels(scope, receive, send)

    def _memory(self) -> dict[str, int]:
        gc.collect()
        _give_back()
        return {
            "bytes": resident_bytes(),
            "objects": len(gc.get_objects()),
            "tasks": len(asyncio.all_tasks()),
            "channels": len(self.channels._drivers),
            "sessions": len(self.channels.sessions),
        }

    async def dialogue(self, turn: Turn) -> AsyncIterator[str]:
        """Books the turn, and answers what the session knew; ``long`` and ``bye`` may follow the number."""
        number, *words = turn.text.split() or [""]
        if not number.isdigit():
            return  # of the channel itself: #intro, #silence
        self.book(turn, int(number))
        yield str(self.remember(turn, int(number)))
        if "long" in words:
            for _ in range(LONG[0]):
                yield "." * LONG[1]
        if "bye" in words:
            turn.finish(session_ended=True)

    def book(self, turn: Turn, number: int) -> None:
        """Write it into the ledger: in one call, since the process may be killed at any time."""
        os.write(self._ledger, str(Entry(number, turn.init.device_id)).encode())

    def remember(self, turn: Turn, number: int) -> Answer:
        """Put the turn into its session."""
        data, device = turn.session.data, turn.init.device_id
        owner, previous = data.setdefault("owner", device), data.get("last")
        data["last"] = number
        return Answer(number, device, previous, owner, turn.session_id)


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    """The sound is the text; a full stop ends it, and zeros are silence."""
    text = b""
    async for block in sound:
        text += bytes(block).strip(b"\0")
        if text.endswith(b"."):
            yield text.removesuffix(b".").decode("latin-1"), True
            text = b""


async def voice(item: ResponseItem, _: ClientConfig) -> bytes:
    """The text is the sound."""
    return (item.text or "").encode()


def resident_bytes() -> int:
    """The memory that the process has."""
    with open("/proc/self/statm", encoding="ascii") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _give_back() -> None:
    """What is free, to the system: it is not held."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


async def _tell(send: Any, what: dict[str, int]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(what).encode()})

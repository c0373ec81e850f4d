"""Clients that say turns and wait for whole answers. Some are this package's, some know nothing of it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, ClassVar

import h11
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from flowstorm_channel import ConnectionFailedEvent, ReadyEvent, ResponseEvent, ResponseItemEvent, Timeouts
from flowstorm_channel.contrib import httpx as over_http
from flowstorm_channel.contrib import websockets as over_sockets
from flowstorm_channel.events import ErrorEvent, Event
from flowstorm_channel.socket_v1 import SocketV1Client
from flowstorm_channel.socket_v2 import SocketV2Client

__all__ = [
    "BROKEN",
    "KEY",
    "V1",
    "V2",
    "Refused",
    "Talker",
    "TimedOut",
    "V1Client",
    "V1Spoken",
    "V2Client",
    "V2Recording",
]

KEY = "load"
COOKIE = "flowstorm-session-id"


class Refused(Exception):
    """The answer is an Error, or a status that says so."""


class TimedOut(Refused):
    """The server has told that a documented time-out is over."""


BROKEN = (OSError, EOFError, WebSocketException, h11.ProtocolError)
"""What a talker raises when its connection is gone."""


class Talker(ABC):
    """A client with one conversation.

    Args:
        port: of the server, on loopback.
        device: its name.
    """

    kind: ClassVar[str]
    keeps_session: ClassVar[bool] = False
    """Whether its session outlives a connection."""

    def __init__(self, port: int, device: str) -> None:
        self.port, self.device = port, device
        self.session_id: str | None = None
        self.over = False
        """Whether the server has ended the connection with the session."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, as far as there is something to connect."""

    @abstractmethod
    async def ask(self, text: str) -> str:
        """Say it, and wait for the whole answer.

        Returns:
            Its first item.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give up what is open. Never raises."""


class V1(Talker):
    """Typed turns over a WebSocket."""

    kind = "V1, typed"
    config: ClassVar[dict[str, Any]] = {"sendResponseItems": True}

    def __init__(self, port: int, device: str) -> None:
        super().__init__(port, device)
        self.socket: ClientConnection | None = None
        self.fresh = True

    async def open(self) -> None:
        self.socket = await connect(
            f"ws://127.0.0.1:{self.port}/socket", compression=None, open_timeout=20, proxy=None
        )
        init = {"type": "Init", "key": KEY, "deviceId": self.device, "config": self.config}
        await self.send(init)
        while (await self.receive())["type"] != "Ready":
            pass
        self.fresh = True

    async def send(self, event: dict[str, Any]) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps(event))

    async def receive(self) -> dict[str, Any]:
        assert self.socket is not None
        event: dict[str, Any] = json.loads(await self.socket.recv())
        if event["type"] == "SessionStarted":
            self.session_id = event["sessionId"]
        return event

    async def ask(self, text: str) -> str:
        said = {"transcript": {"text": text}}
        if self.fresh and self.session_id is not None:
            request = {"appKey": KEY, "deviceId": self.device, "sessionId": self.session_id, "input": said}
            await self.send({"type": "Request", "request": {**request, "attributes": {}}})
        else:
            await self.send({"type": "Input", "input": said})
        self.fresh = False
        return await self.answer()

    async def answer(self) -> str:
        """The first item of the answer, when all of it has come."""
        first = ""
        while True:
            match await self.receive():
                case {"type": "ResponseItem", "responseItem": {"text": text}}:
                    first = first or text
                case {"type": "Response", "response": {"sessionEnded": ended}}:
                    while ended and (await self.receive())["type"] != "SessionEnded":
                        pass
                    return first
                case {"type": "Error", "text": why}:
                    self.session_id = None
                    raise Refused(why)

    async def close(self) -> None:
        if self.socket is not None:
            with suppress(*BROKEN):
                await self.socket.close()
            self.socket.transport.abort()
            self.socket = None

    def vanish(self) -> None:
        """Go without a word: the connection is reset."""
        if self.socket is not None:
            raw = self.socket.transport.get_extra_info("socket")
            reset(raw)
            self.socket.transport.abort()


class V1Spoken(V1):
    """Spoken turns over a WebSocket; the sound is the text, in blocks of 100 ms."""

    kind = "V1, spoken"
    config: ClassVar[dict[str, Any]] = {"sendResponseItems": True, "sttSampleRate": 16000}

    async def ask(self, text: str) -> str:
        await self.send({"type": "InputAudioStreamOpen"})
        while (await self.receive())["type"] != "InputAudioStreamOpen":
            pass
        assert self.socket is not None
        for block in sound(text, 3200, 3):
            await self.socket.send(block)
        while (event := await self.receive())["type"] != "Recognized" or not event["isFinal"]:
            if event["type"] == "Error":
                raise Refused(event["text"])
        await self.send({"type": "InputAudioStreamClose"})
        answer = await self.answer()
        if event["text"] == "#silence":
            raise TimedOut("the server has waited long enough for speech, by its clock")
        return answer


def sound(text: str, size: int, blocks: int) -> list[bytes]:
    """Blocks of silence, the last of which ends with the text."""
    quiet = bytes(size)
    return [quiet] * (blocks - 1) + [f"{text}.".encode().rjust(size, b"\0")]


def reset(raw: Any) -> None:
    """When that socket is closed, let the peer hear RST instead of FIN."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class V2(Talker):
    """Typed turns over HTTP, on a connection that stays."""

    kind = "V2, typed"
    keeps_session = True
    content_type: ClassVar[str] = "application/json"

    def __init__(self, port: int, device: str) -> None:
        super().__init__(port, device)
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def open(self) -> None:
        await self.close()
        self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        self._http = h11.Connection(h11.CLIENT)

    def body(self, text: str) -> bytes:
        """What says it."""
        return json.dumps({"type": "Input", "input": {"transcript": {"text": text}}}).encode()

    def request(self, text: str) -> bytes:
        """The whole request."""
        body = self.body(text)
        headers = [
            ("Host", f"127.0.0.1:{self.port}"),
            ("X-Key", KEY),
            ("X-DeviceId", self.device),
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(body))),
        ]
        if self.session_id is not None:
            headers.append(("Cookie", f"{COOKIE}={self.session_id}"))
        head = h11.Request(method="PUT", target="/client", headers=headers)
        parts = (head, h11.Data(data=body), h11.EndOfMessage())
        return b"".join(self._http.send(part) or b"" for part in parts)

    async def write(self, data: bytes) -> None:
        """Put it on the connection."""
        assert self.streams is not None
        self.streams[1].write(data)
        await self.streams[1].drain()

    async def ask(self, text: str) -> str:
        await self.write(self.request(text))
        status, body = await self._response()
        if status >= 400:
            raise Refused(status)
        events = [json.loads(line) for line in body.splitlines()]
        match events[-1] if events else None:
            case {"type": "Response", "response": {"sessionEnded": ended}}:
                if ended:
                    self.session_id = None
            case {"type": "Error", "text": why}:
                self.session_id = None
                raise Refused(why)
            case _:
                raise EOFError("the answer has no end")
        return next((each["responseItem"]["text"] for each in events if each["type"] == "ResponseItem"), "")

    async def _response(self) -> tuple[int, bytes]:
        assert self.streams is not None
        status, body = 0, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self.streams[0].read(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
                self._take_cookie(event)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
                else:
                    await self.open()
                return status, body
            else:
                raise EOFError("the connection is closed")

    def _take_cookie(self, head: h11.Response) -> None:
        for name, value in head.headers:
            if name == b"set-cookie" and value.startswith(COOKIE.encode() + b"="):
                self.session_id = value.decode().partition("=")[2].partition(";")[0] or None

    async def close(self) -> None:
        if self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None


class V2Recording(V2):
    """Turns over HTTP that are recordings."""

    kind = "V2, recording"
    content_type = "audio/basic"

    def body(self, text: str) -> bytes:
        return b"".join(sound(text, 3200, 5))


class V1Client(Talker):
    """Typed turns, with this package's client and driver."""

    kind = "V1, our client"

    def __init__(self, port: int, device: str) -> None:
        super().__init__(port, device)
        self.client: Any = None
        self._events: AsyncGenerator[Event, None] | None = None

    def _begin(self) -> None:
        timeouts = Timeouts(reconnect=0.2)
        self.client = SocketV1Client(
            f"ws://127.0.0.1:{self.port}/socket", key=KEY, device_id=self.device, timeouts=timeouts
        )
        self._events = over_sockets.async_events(self.client, proxy=None, compression=None)

    async def open(self) -> None:
        if self._events is None:
            self._begin()
        while not isinstance(await self._next(), ReadyEvent):
            pass

    async def _next(self) -> Event:
        assert self._events is not None
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            raise EOFError("the client has ended") from None

    async def ask(self, text: str) -> str:
        turn = self.client.say(text)
        first = ""
        while True:
            match await self._next():
                case ResponseItemEvent(response_item=item):
                    first = first or item.text or ""
                case ResponseEvent(response=response):
                    items = [item.text or "" for item in response.items]
                    turn.finish_playback()
                    self.session_id = None if response.session_ended else self.client.session_id
                    return first or next(iter(items), "")
                case ErrorEvent(text=why):
                    self.session_id = self.client.session_id  # kept when it is the body of a status
                    raise Refused(why)
                case ConnectionFailedEvent(code=code, reason=reason):
                    if 400 <= code < 600:
                        raise Refused(reason)
                    raise EOFError(reason)

    async def close(self) -> None:
        if self._events is not None:
            with suppress(*BROKEN):
                await self._events.aclose()
            self._events = None


class V2Client(V1Client):
    """The same over HTTP."""

    kind = "V2, our client"
    keeps_session = True

    def _begin(self) -> None:
        held = self.session_id
        self.client = SocketV2Client(
            f"http://127.0.0.1:{self.port}/client", key=KEY, device_id=self.device, session_id=held
        )
        self._events = over_http.async_events(self.client, trust_env=False)

    async def open(self) -> None:
        if self._events is None:
            await super().open()

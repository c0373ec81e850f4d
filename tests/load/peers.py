"""Peers that behave badly on the level of bytes: they trickle, or freeze."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

import attrs
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage

from tests.load.talkers import KEY, V2

__all__ = ["FreezingProxy", "Trickle", "V2Trickle"]

_PIECE = 16
"""Bytes that a slow writer sends at once."""
_PAUSE = 0.005
_BYTES = 300
"""That a slow reader takes one by one; the rest comes after a while, at a normal pace."""


@attrs.frozen
class Trickle:
    """A client of Socket V1 on a bare socket, with wsproto."""

    reads_slowly: bool = False
    writes_slowly: bool = False

    async def ask(self, port: int, device: str, text: str) -> tuple[str, str | None]:
        """One turn on a connection of its own.

        Returns:
            The first item, and the session.
        """
        raw = socket.socket()
        raw.setblocking(False)
        if self.reads_slowly:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        websocket = WSConnection(ConnectionType.CLIENT)
        try:
            await loop.sock_connect(raw, ("127.0.0.1", port))
            await self._write(raw, websocket.send(Request(host="127.0.0.1", target="/socket")))
            while not isinstance(await self._event(raw, websocket), AcceptConnection):
                pass
            config = {"sendResponseItems": True}
            init = {"type": "Init", "key": KEY, "deviceId": device, "config": config}
            said = {"type": "Input", "input": {"transcript": {"text": text}}}
            for event in (init, said):
                await self._write(raw, websocket.send(TextMessage(data=json.dumps(event))))
            if self.reads_slowly:
                for _ in range(_BYTES):
                    websocket.receive_data(await loop.sock_recv(raw, 1))
                await asyncio.sleep(2.0)
            return await self._answer(raw, websocket)
        finally:
            raw.close()

    async def _answer(self, raw: socket.socket, websocket: WSConnection) -> tuple[str, str | None]:
        first, session_id, text = "", None, ""
        while True:
            match await self._event(raw, websocket):
                case TextMessage(data=data, message_finished=finished):
                    text += data
                    if not finished:
                        continue
                    event, text = json.loads(text), ""
                    if event["type"] == "SessionStarted":
                        session_id = event["sessionId"]
                    elif event["type"] == "ResponseItem":
                        first = first or event["responseItem"]["text"]
                    elif event["type"] in ("Response", "Error"):
                        return first, session_id
                case Ping() as ping:
                    await self._write(raw, websocket.send(ping.response()))
                case CloseConnection() | BytesMessage():
                    raise EOFError("the connection is closed")

    @staticmethod
    async def _event(raw: socket.socket, websocket: WSConnection) -> Any:
        while True:
            for event in websocket.events():
                return event
            data = await asyncio.get_running_loop().sock_recv(raw, 65536)
            websocket.receive_data(data or None)

    async def _write(self, raw: socket.socket, data: bytes) -> None:
        pieces = [data]
        if self.writes_slowly:
            pieces = [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)]
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(raw, piece)
            if self.writes_slowly:
                await asyncio.sleep(_PAUSE)


class V2Trickle(V2):
    """Head and body in dribbles."""

    kind = "V2, slow"

    async def write(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE):
            await super().write(data[at : at + _PIECE])
            await asyncio.sleep(_PAUSE)


class FreezingProxy:
    """Forwards connections until it freezes: from then on neither end hears anything, no FIN either.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> FreezingProxy:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.freeze()
        self._server.close()
        loop = asyncio.get_running_loop()
        # The server has to find out by itself; what is left here goes much later than it should.
        for writer in self._writers:
            loop.call_later(30.0, writer.transport.abort)

    def freeze(self) -> None:
        """Forward no more."""
        for task in self._tasks:
            task.cancel()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

"""Rows about whole turns: in a bare loop, and through a server over sockets."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs

from tests.bench.messages import JSON
from tests.bench.rows import Goal, Ratios, Row, of_cases
from tests.bench.timing import Case, Effort, Work

__all__ = ["ROWS"]


def _bare() -> list[Case]:
    from flowstorm_channel import RequestHead, SocketV1Server
    from flowstorm_channel.events import InputEvent
    from tests.bench.peers.by_hand import Session

    server = SocketV1Server()
    server.receive_data(RequestHead(method="GET", url="/socket", headers=()))
    server.receive_data(JSON["a"])

    def ours(text: str) -> list[Any]:
        server.receive_data(text)
        for event in server.events():
            if isinstance(event, InputEvent):
                turn = server.turn
                turn.say(f"You said {turn.text}.")
                turn.finish()
        return list(server.data_to_send())

    for _ in server.events():
        server.ready()
    session = Session()
    list(session.receive(JSON["a"]))
    ours(JSON["b"]), list(session.receive(JSON["b"]))

    def by_hand(text: str) -> list[str]:
        return list(session.receive(text))

    assert len(ours(JSON["b"])) == len(by_hand(JSON["b"])) == 2
    return [Case("turn", Work("f(x)", f=ours, x=JSON["b"]), Work("f(x)", f=by_hand, x=JSON["b"]))]


@attrs.frozen
class _Server:
    port: int
    pid: int

    def seconds(self) -> float:
        """Of the processor, that it has used so far."""
        return time.clock_gettime((~self.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it on Linux


@contextmanager
def _serving(app: str) -> Iterator[_Server]:
    """Runs an application under uvicorn in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        number = listening.fileno()
        command = [sys.executable, "-m", "tests.bench.peers.serve", app, str(number)]
        process = subprocess.Popen(command, pass_fds=[number])
        try:
            yield _Server(listening.getsockname()[1], process.pid)
        finally:
            process.terminate()
            process.wait()


def _frame(text: str) -> bytes:
    from websockets.frames import Frame, Opcode

    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


_HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class _Callers:
    """Connections each of which says its next line as soon as the last one was answered."""

    def __init__(self, server: _Server, number: int) -> None:
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._line = _frame(JSON["b"])
        self._sockets = [self._connect(server.port) for _ in range(number)]

    def _connect(self, port: int) -> socket.socket:
        while True:
            try:
                caller = socket.create_connection(("127.0.0.1", port), timeout=20)
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        caller.sendall(_HANDSHAKE)
        self._await(caller, b"\r\n\r\n")
        caller.sendall(_frame(JSON["a"]))
        self._await(caller, b'"Ready"}')
        self._selector.register(caller, selectors.EVENT_READ)
        return caller

    @staticmethod
    def _await(caller: socket.socket, what: bytes) -> None:
        heard = b""
        while what not in heard:
            data = caller.recv(65536)
            if not data:
                raise ConnectionError("the server has closed the connection")
            heard += data

    def turns_per_second(self, seconds: float) -> float:
        """How many turns a second of the server's processor is enough for.

        Args:
            seconds: for which is called.
        """
        turns = 0
        before = self._server.seconds()
        began = time.perf_counter()
        for caller in self._sockets:
            caller.sendall(self._line)
        open_turns = len(self._sockets)
        while open_turns:
            for key, _ in self._selector.select():
                caller: Any = key.fileobj
                if b'"sleepTimeout"' not in caller.recv(65536):
                    continue  # the item, or the beginning of the session
                turns += 1
                if time.perf_counter() - began < seconds:
                    caller.sendall(self._line)
                else:
                    open_turns -= 1
        return turns / (self._server.seconds() - before)

    def close(self) -> None:
        for caller in self._sockets:
            caller.close()
        self._selector.close()


def _served(effort: Effort) -> Ratios:
    with ExitStack() as stack:
        ours, peers = (_Callers(stack.enter_context(_serving(name)), 8) for name in ("ours", "by_hand"))
        stack.callback(ours.close)
        stack.callback(peers.close)
        seconds = max(0.2, 10 * effort.seconds)
        for callers in (ours, peers):
            callers.turns_per_second(seconds)
        rounds = max(3, effort.rounds // 2)
        return {
            "8 connections": [
                ours.turns_per_second(seconds) / peers.turns_per_second(seconds) for _ in range(rounds)
            ]
        }


ROWS = [
    Row(
        "turn",
        "a whole turn, the machine in a bare loop",
        "json.loads and json.dumps by hand",
        (Goal(2.0),),
        of_cases(_bare),
    ),
    Row(
        "turn-served",
        "turns a second through the ASGI application under uvicorn",
        "an application by hand",
        (Goal(0.6, least=True),),
        _served,
    ),
]

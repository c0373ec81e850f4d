"""Drivers of the conformance kit for implementations in other processes: over WebSockets, HTTP, and commands.

They need `websockets` and `h11`: ``pip install 'flowstorm-channel[conformance]'``.
"""

from __future__ import annotations

import queue
import shlex
import socket
import ssl
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import h11
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from flowstorm_channel.conformance.drivers import ClientDriver, ServerDriver, Wire
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable
from flowstorm_channel.wire import END, Close, CloseCode, Message, RequestHead, ResponseHead

__all__ = ["CommandDriver", "HttpDriver", "WebSocketDriver"]

SUBPROTOCOL = "Sec-WebSocket-Protocol"
_CONNECTING = 10.0  # seconds
_STOPPING = 5.0  # seconds
_READ = 65536
_WAITING = 30.0  # seconds: for the kit's answer to a handshake


class _Arrivals:
    """Wakes whoever waits for the implementation, from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._seen = 0

    def tell(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._count > self._seen, seconds)
            self._seen = self._count


class _SocketWire(Wire):
    """What has come over a transport, read by a thread of its own."""

    def __init__(self, arrivals: _Arrivals) -> None:
        self._arrivals = arrivals
        self._came: deque[Message] = deque()

    def receive(self) -> Message | None:
        return self._came.popleft() if self._came else None

    def put(self, message: Message) -> None:
        """Something came."""
        self._came.append(message)
        self._arrivals.tell()

    def shut(self) -> None:
        """Let go of the transport."""


class _WebSocketWire(_SocketWire):
    """An open WebSocket, either end."""

    def __init__(self, arrivals: _Arrivals) -> None:
        super().__init__(arrivals)
        self.socket: Any = None
        self.open = ExitStack()
        """What is to be closed when it is let go of."""

    def read(self) -> None:
        """Read until it is closed."""
        try:
            while True:
                self.put(self.socket.recv())
        except ConnectionClosed as error:
            got = error.rcvd
            self.put(Close(CloseCode.ABNORMAL) if got is None else Close(int(got.code), got.reason))
        except (OSError, EOFError):
            self.put(Close(CloseCode.ABNORMAL))

    def send(self, message: Message) -> None:
        with suppress(ConnectionClosed, OSError):
            if isinstance(message, Close) and message.code == CloseCode.ABNORMAL:
                self.socket.socket.shutdown(socket.SHUT_RDWR)
            elif isinstance(message, Close):
                # In a thread of its own: it waits for the answer.
                threading.Thread(target=self._close, args=(message,), daemon=True).start()
            elif isinstance(message, str | bytes):
                self.socket.send(message)
            else:
                raise TypeError(f"a WebSocket carries no {message!r:.80}")

    def _close(self, message: Close) -> None:
        with suppress(ConnectionClosed, OSError):
            self.socket.close(message.code, message.reason)

    def shut(self) -> None:
        if self.socket is not None:
            with suppress(OSError):
                self.socket.socket.shutdown(socket.SHUT_RDWR)
            with suppress(ConnectionClosed, OSError):
                self.open.close()


class _RealTime:
    """What drivers share where time passes by itself."""

    def __init__(self) -> None:
        self.arrivals = _Arrivals()
        self.wires: list[_SocketWire] = []

    def advance(self, ms: float) -> None:
        self.arrivals.wait(ms / 1000)

    def shut_wires(self) -> None:
        for wire in self.wires:
            wire.shut()


class WebSocketDriver(ServerDriver):
    """A server that listens for WebSockets.

    Args:
        url: ``ws://`` or ``wss://``, with its path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(time.monotonic)
        self._url = url
        self._time = _RealTime()

    def connect(self, head: RequestHead) -> Wire:
        wire = _WebSocketWire(self._time.arrivals)
        self._time.wires.append(wire)
        offered = head.header(SUBPROTOCOL)
        headers = [(name, value) for name, value in head.headers if name.lower() != SUBPROTOCOL.lower()]
        try:
            wire.socket = wire.open.enter_context(
                connect(
                    with_path(self._url, head.url),
                    subprotocols=None if offered is None else [Subprotocol(offered)],
                    additional_headers=headers,
                    open_timeout=_CONNECTING,
                    close_timeout=_STOPPING,
                    ping_interval=None,
                    max_size=None,
                    proxy=None,
                )
            )
        except InvalidStatus as error:
            found = error.response
            wire.put(ResponseHead(status=found.status_code, headers=tuple(found.headers.raw_items())))
            wire.put(Close(CloseCode.ABNORMAL))
            return wire
        except (OSError, InvalidHandshake, InvalidMessage, EOFError) as error:
            raise Untestable(f"{self._url} cannot be reached: {error}") from None
        response = wire.socket.response
        wire.put(ResponseHead(status=101, headers=tuple(response.headers.raw_items())))
        threading.Thread(target=wire.read, daemon=True).start()
        return wire

    def advance(self, ms: float) -> None:
        self._time.advance(ms)

    def close(self) -> None:
        self._time.shut_wires()


def with_path(url: str, wanted: str) -> str:
    """The address that the user named, with the query that a check wants."""
    parts, asked = urlsplit(url), urlsplit(wanted)
    path = parts.path.rstrip("/") or asked.path.rstrip("/")
    if asked.path.endswith("/"):
        path += "/"
    query = "&".join(each for each in (parts.query, asked.query) if each)
    return parts._replace(path=path, query=query).geturl()


# ------------------------------------------------------------ HTTP


class _HttpWire(_SocketWire):
    """One HTTP exchange on a connection of its own.

    Args:
        arrivals: who is told.
        transport: the socket.
        role: the kit's.
        opened: called with a client's request.
    """

    def __init__(
        self,
        arrivals: _Arrivals,
        transport: socket.socket,
        role: Any,
        opened: Callable[[_SocketWire], None] = lambda _: None,
    ) -> None:
        super().__init__(arrivals)
        self._opened = opened
        self._transport = transport
        self._protocol = h11.Connection(role, max_incomplete_event_size=1 << 20)
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: Message) -> None:
        if isinstance(message, Close):
            self.shut()
            return
        with suppress(OSError, h11.LocalProtocolError):  # the peer may be gone, or done
            with self._lock:
                data = self._protocol.send(self._event(message))
                answered = self._protocol.our_role is h11.SERVER
                over = answered and self._protocol.our_state is h11.MUST_CLOSE
            self._transport.sendall(data or b"")
            if over:
                self._transport.shutdown(socket.SHUT_WR)

    def _event(self, message: Message) -> Any:
        match message:
            case RequestHead():
                headers = [*message.headers, ("Connection", "close")]
                names = {name.lower() for name, _ in headers}
                if message.method not in ("GET", "HEAD") and "content-length" not in names:
                    headers.append(("Transfer-Encoding", "chunked"))
                return h11.Request(method=message.method, target=message.url, headers=headers)
            case ResponseHead():
                headers = list(message.headers)
                if not any(name.lower() == "content-length" for name, _ in headers) and message.status != 204:
                    headers.append(("Transfer-Encoding", "chunked"))
                return h11.Response(status_code=message.status, headers=[*headers, ("Connection", "close")])
            case str():
                return h11.Data(data=message.encode())
            case bytes():
                return h11.Data(data=message)
        return h11.EndOfMessage()

    def _read(self) -> None:
        """Read until the peer has sent all of its message, and a client has its answer."""
        try:
            while self._take():
                pass
            if self._protocol.our_role is h11.SERVER:
                while self._transport.recv(_READ):
                    pass
                raise ConnectionResetError("the client has gone")
        except (OSError, h11.RemoteProtocolError):
            self.put(Close(CloseCode.ABNORMAL))

    def _take(self) -> bool:
        with self._lock:
            event = self._protocol.next_event()
        match event:
            case h11.NEED_DATA:
                data = self._transport.recv(_READ)
                with self._lock:
                    self._protocol.receive_data(data)
            case h11.Request():
                self.put(
                    RequestHead(method=_text(event.method), url=_text(event.target), headers=_pairs(event))
                )
                self._opened(self)
            case h11.Response():
                self.put(ResponseHead(status=event.status_code, headers=_pairs(event)))
            case h11.Data():
                self.put(bytes(event.data))
            case h11.EndOfMessage():
                self.put(END)
            case h11.ConnectionClosed() | h11.PAUSED:
                return False
        return True

    def shut(self) -> None:
        with suppress(OSError):
            self._transport.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join(_STOPPING)
            self._transport.close()


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _pairs(event: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in event.headers.raw_items())


class HttpDriver(ServerDriver):
    """A server that takes HTTP requests: Socket V2, Alexa, Google Assistant.

    Args:
        url: ``http://`` or ``https://``, with its path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(time.monotonic)
        self._url = url
        self._time = _RealTime()

    def connect(self, head: RequestHead) -> Wire:
        parts = urlsplit(with_path(self._url, head.url))
        secure = parts.scheme == "https"
        address = (parts.hostname or "", parts.port or (443 if secure else 80))
        try:
            transport = socket.create_connection(address, _CONNECTING)
            transport.settimeout(None)
            if secure:
                transport = ssl.create_default_context().wrap_socket(transport, server_hostname=address[0])
        except OSError as error:
            raise Untestable(f"{self._url} cannot be reached: {error}") from None
        wire = _HttpWire(self._time.arrivals, transport, h11.CLIENT)
        self._time.wires.append(wire)
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        wire.send(
            RequestHead(method=head.method, url=target, headers=(("Host", parts.netloc), *head.headers))
        )
        return wire

    def advance(self, ms: float) -> None:
        self._time.advance(ms)

    def close(self) -> None:
        self._time.shut_wires()


# ------------------------------------------------------------ clients


ACTIONS: Mapping[str, str] = {"say": "{}", "interrupt": "/interrupt", "close": "/quit"}
"""The line that a command is given for each action; ``{}`` stands for what is said."""


class CommandDriver(ClientDriver):
    """A client that is a command: the kit listens, starts it, and writes lines to its standard input.

    Args:
        command: with ``{url}`` where the address of the kit's server is to stand.
        channel: ``socket-v1`` or ``socket-v2``.
        actions: the line for each thing that a user does.
    """

    def __init__(self, command: str, channel: str, actions: Mapping[str, str] = ACTIONS) -> None:
        super().__init__(time.monotonic)
        self._actions = actions
        self._time = _RealTime()
        self._accepted: queue.SimpleQueue[_SocketWire] = queue.SimpleQueue()
        self._lines: list[str] = []
        listen = _WebSocketListener if channel == "socket-v1" else _HttpListener
        self._listener = listen(self._opened, self._time.arrivals)
        try:
            self._process = subprocess.Popen(
                [each.replace("{url}", self._listener.url) for each in shlex.split(command)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                bufsize=1,
            )
        except OSError as error:
            self._listener.close()
            raise Untestable(f"the command cannot be started: {error}") from None
        threading.Thread(target=self._read_lines, daemon=True).start()

    def accept(self) -> Wire | None:
        with suppress(queue.Empty):
            return self._accepted.get_nowait()
        return None

    def act(self, action: str, value: str | bytes = "") -> None:
        line = self._actions.get(action)
        if line is None:
            raise NotDeclared(f"there is no line for {action!r}")
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line.replace("{}", str(value)) + "\n")
            self._process.stdin.flush()

    def shown(self) -> Sequence[str]:
        return self._lines

    def advance(self, ms: float) -> None:
        self._time.advance(ms)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOPPING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._time.shut_wires()
        self._listener.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _opened(self, wire: _SocketWire) -> None:
        self._time.wires.append(wire)
        self._accepted.put(wire)
        self._time.arrivals.tell()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError, OSError):  # closed while it is read
            for line in self._process.stdout:
                self._lines.append(line.rstrip("\n"))
                self._time.arrivals.tell()


class _AnsweredWebSocket(_WebSocketWire):
    """A WebSocket whose handshake the kit answers."""

    def __init__(self, arrivals: _Arrivals) -> None:
        super().__init__(arrivals)
        self.answered: queue.SimpleQueue[ResponseHead | Close] = queue.SimpleQueue()
        self._accepted = False
        self._up = threading.Event()

    def send(self, message: Message) -> None:
        if self._accepted:
            self._up.wait(_CONNECTING)
            super().send(message)
        elif isinstance(message, ResponseHead | Close):
            self._accepted = isinstance(message, ResponseHead) and message.status == 101
            self.answered.put(message)
        else:
            raise TypeError(f"a handshake is answered with a ResponseHead, not {message!r:.80}")

    def run(self, connection: ServerConnection) -> None:
        """Read until it is closed."""
        self.socket = connection
        self._up.set()
        self.read()


class _WebSocketListener:
    """Listens for a client's WebSockets, on a port that the system chooses."""

    def __init__(self, opened: Callable[[_SocketWire], None], arrivals: _Arrivals) -> None:
        self._opened = opened
        self._arrivals = arrivals
        self._wires: dict[ServerConnection, _AnsweredWebSocket] = {}
        self._server: Server = serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._decide,
            select_subprotocol=self._select,
            ping_interval=None,
            max_size=None,
            open_timeout=_WAITING,
        )
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/socket"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _decide(self, connection: ServerConnection, request: Request) -> Response | None:
        wire = self._wires[connection] = _AnsweredWebSocket(self._arrivals)
        wire.put(RequestHead(url=request.path, headers=tuple(request.headers.raw_items())))
        self._opened(wire)
        try:
            answer = wire.answered.get(timeout=_WAITING)
        except queue.Empty:
            return Response(503, "Service Unavailable", Headers())
        if isinstance(answer, ResponseHead) and answer.status == 101:
            return None
        status = answer.status if isinstance(answer, ResponseHead) else 503
        return Response(status, "Refused", Headers())

    @staticmethod
    def _select(_: ServerConnection, __: Sequence[Subprotocol]) -> Subprotocol | None:
        return None  # the kit speaks JSON to clients

    def _handle(self, connection: ServerConnection) -> None:
        self._wires[connection].run(connection)

    def close(self) -> None:
        self._server.shutdown()


class _HttpListener:
    """Takes a client's HTTP requests, each connection for one, on a port that the system chooses."""

    def __init__(self, opened: Callable[[_SocketWire], None], arrivals: _Arrivals) -> None:
        self._opened = opened
        self._arrivals = arrivals
        self._wires: list[_HttpWire] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/client"
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                transport, _ = self._socket.accept()
                self._wires.append(_HttpWire(self._arrivals, transport, h11.SERVER, self._opened))

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join(_STOPPING)
        self._socket.close()
        for wire in self._wires:
            wire.shut()

"""The channels that a server offers, whatever brings the requests: who answers at which path.

Socket V1 is at ``/socket``, and at ``/client`` both Socket V2 and, by `Upgrade`, Socket V1 (D-20). When the
server is told how (see `contrib.platforms`), Alexa is answered at ``/alexa``, Google Assistant at
``/google``, and at ``/call`` phone calls of Twilio: the webhook by HTTP, the audio by WebSocket.

An application for another framework is a `Service` with two transports: `contrib.asgi` and `contrib.aiohttp`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from flowstorm_channel.channel import DEFAULT_TIMEOUTS, Timeouts
from flowstorm_channel.contrib.asyncio import Driver
from flowstorm_channel.contrib.driver import BaseDriver, Transport
from flowstorm_channel.contrib.fetch import Fetcher
from flowstorm_channel.contrib.host import Answer, Host, HostFunctions
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio
from flowstorm_channel.http import declared_length
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Server
from flowstorm_channel.wire import END, CloseCode, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["PATHS", "Options", "Service"]

SOCKET_PATH = "/socket"
CLIENT_PATH = "/client"
ALEXA_PATH = "/alexa"
GOOGLE_PATH = "/google"
CALL_PATH = "/call"

PATHS = (SOCKET_PATH, CLIENT_PATH, ALEXA_PATH, GOOGLE_PATH, CALL_PATH)
"""Where something is answered, with or without a slash at the end (D-20)."""

_HOW = {
    ALEXA_PATH: "alexa=Alexa(skill_ids=[...])",
    GOOGLE_PATH: "google=GoogleAssistant(project_ids=[...])",
    CALL_PATH: "twilio=Twilio(auth_token=..., public_url=...)",
}
"""What the application has to be told to answer there."""


class Options(HostFunctions, total=False):
    """What an application takes beside its dialogue; see `Service`."""

    limits: Limits
    timeouts: Timeouts
    queue_inputs: bool
    keep_sessions_for: float
    alexa: Alexa | None
    google: GoogleAssistant | None
    twilio: Twilio | None


class Service:
    """The channels of a server.

    Args:
        dialogue: what is said; this and the other functions are those of `Host`.
        limits: what is taken from clients.
        timeouts: how long is waited for what.
        queue_inputs: see `ServerChannel`.
        keep_sessions_for: seconds for which a session is kept after its last turn, when it does not sleep:
            of V2, Alexa and Google Assistant.
        alexa: how Alexa is answered; without it ``/alexa`` is answered with 503.
        google: how Google Assistant is.
        twilio: how phone calls are.
        functions: see `Host`.
    """

    DRIVER: ClassVar[type[BaseDriver]] = Driver
    FETCHER: ClassVar[type[Fetcher]] = Fetcher

    def __init__(
        self,
        dialogue: Callable[[Turn], Answer],
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        queue_inputs: bool = False,
        keep_sessions_for: float = 3600.0,
        alexa: Alexa | None = None,
        google: GoogleAssistant | None = None,
        twilio: Twilio | None = None,
        **functions: Unpack[HostFunctions],
    ) -> None:
        self.host = Host(dialogue=dialogue, **functions)
        self.host.fetch = self.FETCHER(self.host.fetch)
        self._settings: dict[str, Any] = {
            "limits": limits,
            "timeouts": timeouts,
            "queue_inputs": queue_inputs,
        }
        make_sessions = partial(Sessions, stored=self.host.store is not None, keep_for=keep_sessions_for)
        self.sessions = make_sessions()
        """Those of V2, when no store keeps them, and the requests that are under way."""
        self._webhooks = {ALEXA_PATH: (alexa, make_sessions()), GOOGLE_PATH: (google, make_sessions())}
        self._twilio = twilio
        self._drivers: set[BaseDriver] = set()

    async def serve_socket(self, path: str, transport: Transport) -> None:
        """Have a conversation over a WebSocket, or refuse it.

        Args:
            path: where it was asked for, below the place where the application stands.
            transport: brings a `RequestHead` first, and takes its answer: status 101, or a refusal.
        """
        match path.rstrip("/"):
            case "/socket" | "/client":
                await self._drive(SocketV1Server(**self._settings), transport)
            case "/call" if self._twilio is not None:
                await self._drive(self._twilio.channel(**self._settings), transport)
            case _:
                with suppress(*self.DRIVER.BROKEN):  # the client has gone
                    await transport.receive()
                    await transport.send(ResponseHead(status=403))

    async def serve_request(self, path: str, transport: Transport) -> None:
        """Answer an HTTP request.

        Args:
            path: where it was asked for, below the place where the application stands.
            transport: brings a `RequestHead`, the body and `END`, and takes the answer.
        """
        path = path.rstrip("/")
        webhook, sessions = self._webhooks.get(path, (None, self.sessions))
        if path == CLIENT_PATH:
            await self._drive(SocketV2Server(sessions, **self._settings), transport)
        elif webhook is not None:
            await self._drive(webhook.channel(sessions, **self._settings), transport)
        elif path == CALL_PATH and self._twilio is not None:
            await self._answer_call(self._twilio, transport)
        elif path in _HOW:
            await self._tell(transport, 503, f"not configured: {type(self).__name__}(dialogue, {_HOW[path]})")
        elif path == SOCKET_PATH:
            upgrade = (("Upgrade", "websocket"), ("Connection", "upgrade"))
            await self._tell(transport, 426, "a WebSocket is expected", *upgrade)
        else:
            await self._tell(transport, 404, "not found")

    def close(self) -> None:
        """Close all channels that are open, and tell their clients that the server is going away.

        To be called in the loop that serves, before the server gives up what still runs.
        """
        for driver in tuple(self._drivers):
            driver.close(CloseCode.GOING_AWAY, "the server is going away")

    async def aclose(self, seconds: float = 1.0) -> None:
        """Close all as `close` does, and wait until the clients have been told.

        Args:
            seconds: to wait at most.
        """
        self.close()
        with suppress(TimeoutError):
            await self.DRIVER.within(seconds, self._wait_for(tuple(self._drivers)))

    async def _wait_for(self, drivers: tuple[BaseDriver, ...]) -> None:
        for driver in drivers:
            await driver.over.wait()

    async def _drive(self, channel: ServerChannel, transport: Transport) -> None:
        driver = self.DRIVER(channel, transport, self.host)
        self._drivers.add(driver)
        try:
            await driver.run()
        finally:
            self._drivers.discard(driver)

    async def _answer_call(self, twilio: Twilio, transport: Transport) -> None:
        limits, patience = self._settings["limits"], self._settings["timeouts"].body
        try:
            request = await self.DRIVER.within(patience, self._read_whole(transport, limits))
        except TimeoutError:
            await self._tell(transport, 408, "the body of the request does not go on")
        else:
            if request is not None:
                asked, body, unread = request
                head, text = twilio.answer(asked, body, limits)
                await self._send(transport, head, text, unread=unread)

    async def _read_whole(
        self, transport: Transport, limits: Limits
    ) -> tuple[RequestHead, bytes, bool] | None:
        """A request with its body, or so much of it that it is too long, and whether the client is still
        sending more of it; None: the client has gone."""
        body = bytearray()
        try:
            head = await transport.receive()
            if not isinstance(head, RequestHead):
                return None
            if declared_length(head) > limits.webhook_bytes:
                return head, bytes(limits.webhook_bytes + 1), False
            while isinstance(piece := await transport.receive(), bytes) and len(body) <= limits.webhook_bytes:
                body += piece
        except self.DRIVER.BROKEN:
            return None
        return None if piece is None else (head, bytes(body), isinstance(piece, bytes))

    async def _tell(self, transport: Transport, status: int, text: str, *headers: tuple[str, str]) -> None:
        told = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), *headers)
        await self._send(transport, ResponseHead(status=status, headers=told), f"{text}\n".encode())

    async def _send(
        self, transport: Transport, head: ResponseHead, body: bytes, *, unread: bool = False
    ) -> None:
        with suppress(*self.DRIVER.BROKEN):  # the client has gone
            await transport.send(head)
            await transport.send(body)
            if unread:
                # A client that is still sending when the connection ends may never read what was said.
                with suppress(TimeoutError):
                    await self.DRIVER.within(self._settings["timeouts"].drain, self._drain(transport))
            await transport.send(END)

    async def _drain(self, transport: Transport) -> None:
        while isinstance(await transport.receive(), bytes):
            pass

"""All channels as routes of an application of aiohttp."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from aiohttp import hdrs, web

from flowstorm_channel.contrib.aiohttp.transports import RequestTransport, WebSocketTransport
from flowstorm_channel.contrib.service import PATHS, Service

__all__ = ["Channels"]


class Channels(Service):
    """The channels of a server as routes of an application of aiohttp.

    It takes what `~flowstorm_channel.contrib.service.Service` takes.
    """

    def setup(self, app: web.Application, prefix: str = "") -> None:
        """Add the routes, and close what is open when the application shuts down.

        Args:
            app: which is not running yet.
            prefix: what the paths begin with.
        """
        for path in PATHS:
            for end in ("", "/"):
                app.router.add_route(
                    "*", prefix + path + end, partial(self._serve, path), expect_handler=_expect
                )
        app.on_shutdown.append(self._shut_down)

    async def _serve(self, path: str, request: web.Request) -> web.StreamResponse:
        transport: WebSocketTransport | RequestTransport
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            transport = WebSocketTransport(request, self._settings["limits"])
            await self.serve_socket(path, transport)
        else:
            transport = RequestTransport(request)
            with suppress(ConnectionError):  # who asked has gone
                await self.serve_request(path, transport)
        if transport.response is None and request.transport is not None:
            request.transport.close()
        return transport.response or web.Response(status=503)

    async def _shut_down(self, _: web.Application) -> None:
        await self.aclose()
        if self.host.store is not None:
            await self.host.store.close()


async def _expect(request: web.Request) -> None:
    """Have who waits with a body wait until it is wanted: it may be refused before (RFC 9110, 10.1.1)."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="only 100-continue is known")

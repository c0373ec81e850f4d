"""Socket V2 and the platforms in an application of Flask, as a blueprint.

Needs the extra: ``pip install 'flowstorm-channel[flask]'``.

::

    async def dialogue(turn):
        yield f"You said {turn.text}, {current_app.config['OWNER']}."

    app = Flask(__name__)
    app.register_blueprint(ChannelBlueprint(dialogue), url_prefix="/voice")     # flask --app hello run

What WSGI makes of it, and how many threads to give to the server: see `contrib.wsgi`. There is no WebSocket,
and so neither Socket V1 nor the audio of phone calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request

from flowstorm_channel.contrib.service import PATHS, SOCKET_PATH
from flowstorm_channel.contrib.wsgi import WsgiApp, below

if TYPE_CHECKING:
    from flask.sansio.app import App
    from flask.sansio.blueprints import BlueprintSetupState
    from typing_extensions import Unpack

    from flowstorm_channel.contrib.host import Answer
    from flowstorm_channel.contrib.service import Options
    from flowstorm_channel.server import Turn

__all__ = ["ChannelBlueprint"]

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
"""All of them: what is refused is for the channels to say."""


class ChannelBlueprint(Blueprint):
    """The channels that need no WebSocket, below the prefix with which it is registered.

    The dialogue and the other functions run in a background thread (see `WsgiApp`), each call in an
    application context of its own: `current_app` is there, and what extensions tie to the context is torn
    down after it. The request of Flask is not there.

    Args:
        dialogue: what is said.
        name: of the blueprint, when there are several.
        options: those of `WsgiApp`, without ``around``.

    Raises:
        TypeError: there is an ``around``.
    """

    def __init__(
        self, dialogue: Callable[[Turn], Answer], *, name: str = "channels", **options: Unpack[Options]
    ) -> None:
        super().__init__(name, __name__)
        self._app: App | None = None
        if "around" in options:
            raise TypeError("around is taken: each call runs in a context of the application")
        options["around"] = self._context
        self.wsgi = WsgiApp(dialogue, **options)
        """What answers; `WsgiApp.close` ends it."""
        self.record(self._remember)
        for path in PATHS:
            if path != SOCKET_PATH:
                self.add_url_rule(
                    path,
                    path.lstrip("/"),
                    self._serve,
                    methods=METHODS,
                    strict_slashes=False,
                    provide_automatic_options=False,
                )

    def _remember(self, state: BlueprintSetupState) -> None:
        self._app = state.app

    @asynccontextmanager
    async def _context(self) -> AsyncIterator[None]:
        app: Any = self._app
        with app.app_context():
            yield

    def _serve(self) -> Any:
        # Flask answers with a WSGI application, and hands on what it says piece by piece.
        environ = below(request.environ, depth=1)
        return lambda _, start_response: self.wsgi(environ, start_response)

"""``flowstorm-channel talk URL``: a client for the terminal."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import io
import sys
import threading
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flowstorm_channel.cli.recordings import recorder_of
from flowstorm_channel.cli.terminal import BLUE, DIM, RED, YELLOW, complain, paint, printable
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    ConnectionFailedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    ReadyEvent,
    RecognizedEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionStartEvent,
    TurnInterruptedEvent,
)
from flowstorm_channel.locales import Locale
from flowstorm_channel.socket_v1 import SocketV1Client
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.states import State
from flowstorm_channel.values import ClientConfig, ResponseItem

__all__ = ["add_to"]

_HELP = "Type what you want to say. An empty line is #silence, /interrupt stops the answer, /quit ends."


_COMMANDS = (None, "/quit", "/help")
"""What can be typed at any time."""
_PATHS = {"ws": "/socket", "wss": "/socket", "http": "/client", "https": "/client"}


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "talk",
        help="talk to a server from the terminal",
        description=f"Talk to a server. {_HELP} Lines from a pipe wait for their turn; typed ones interrupt.",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        help="ws:// or wss:// for Socket V1, by default at /socket; http:// or https:// for V2, at /client",
    )
    parser.add_argument("--key", default="flowstorm-channel", help="of the application")
    parser.add_argument("--device", default=None, help="id of the device (default: a new one)")
    parser.add_argument("--token", default=None, help="of the user")
    parser.add_argument("--locale", default="en", help="language, such as cs-CZ (default: en)")
    parser.add_argument("--msgpack", action="store_true", help="offer msgpack instead of JSON")
    parser.add_argument("--no-intro", action="store_true", help="wait for your first words")
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="take lines from a pipe at once, as from a terminal, and connect again as often as it takes",
    )
    parser.add_argument("--verbose", action="store_true", help="print every event")
    parser.add_argument(
        "--record", metavar="FILE", help="record it, without keys and tokens: see `trace` and `replay`"
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    parts = _address(chosen.url)
    if parts is None:
        complain(
            f"{chosen.url}: expected an address such as "
            "ws://127.0.0.1:8000/socket or http://127.0.0.1:8000/client"
        )
        return 2
    if Locale(chosen.locale).malformed:
        complain(f"{chosen.locale}: expected a language such as en or cs-CZ")
        return 2
    v2 = parts.scheme.startswith("http")
    library = "httpx" if v2 else "websockets"
    try:
        driver = importlib.import_module(f"flowstorm_channel.contrib.{library}")
    except ImportError:
        complain(f"talk needs {library}: pip install 'flowstorm-channel[{library}]'")
        return 1
    make_client: type[SocketV1Client | SocketV2Client] = SocketV2Client if v2 else SocketV1Client
    client = make_client(
        chosen.url if parts.path.strip("/") else parts._replace(path=_PATHS[parts.scheme]).geturl(),
        key=chosen.key,
        device_id=chosen.device or uuid.uuid4().hex,
        token=chosen.token,
        config=ClientConfig(locale=chosen.locale, send_response_items=True, stt_interim_results=True),
        attributes={"clientType": "flowstorm-channel:terminal"},
        auto_start=not chosen.no_intro,
        msgpack=chosen.msgpack,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # whoever reads a pipe wants to see what is said now
    with recorder_of(chosen.record) as recorder:
        if recorder is not None:
            client = recorder.watch(client)
        talk = _Talk(client, tenacious=chosen.interactive, verbose=chosen.verbose)
        return asyncio.run(talk.run(driver.async_events(client)))


def _address(url: str) -> SplitResult | None:
    """An address taken apart; None: nothing can be found there."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PATHS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


class _Talk:
    """One conversation between a person at a terminal and a server."""

    def __init__(self, client: ClientChannel, *, tenacious: bool, verbose: bool) -> None:
        self.client = client
        self.verbose = verbose
        self.tenacious = tenacious
        self.interactive = tenacious or sys.stdin.isatty()
        self.lines: deque[str | None] = deque()
        self.ready = False
        self.reached = False
        self.code = 0

    async def run(self, events: AsyncGenerator[Event, None]) -> int:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read_lines, args=(loop,), daemon=True).start()
        if self.interactive:
            print(paint(_HELP, DIM))
        async with aclosing(events) as told:
            async for event in told:
                if self.verbose:
                    print(paint(repr(event), DIM))
                self._show(event)
                self._speak()
        return self.code

    def _read_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the conversation is over, and its loop closed
            for line in sys.stdin:
                loop.call_soon_threadsafe(self._heard, line.rstrip("\n"))
            loop.call_soon_threadsafe(self._heard, None)

    def _heard(self, line: str | None) -> None:
        self.lines.append(line)
        self._speak()

    def _speak(self) -> None:
        """Say what was typed, when it may be said.

        Without a connection it waits for one; lines from a pipe wait for the answer before them, too.
        """
        while self.lines and not self.client.closed and self.ready:
            if not self._may_speak(self.lines[0]):
                return
            line = self.lines.popleft()
            if line is None or line == "/quit":
                self.client.close()
            elif line == "/help":
                print(paint(_HELP, DIM))
            elif line == "/interrupt":
                self.client.interrupt()
            else:
                try:
                    self.client.say(line or "#silence")
                except (LocalProtocolError, ValueError) as error:
                    complain(str(error))

    def _may_speak(self, line: str | None) -> bool:
        state = self.client.state
        if not self.interactive and state not in (State.SLEEPING, State.LISTENING):
            return False
        connects = isinstance(self.client, SocketV1Client)  # V2 does with whatever is said next
        return line in _COMMANDS or not (connects and state in (State.OPEN, State.FAILED))

    def _show(self, event: Event) -> None:
        match event:
            case ReadyEvent():
                self.ready = True
                self.reached = isinstance(self.client, SocketV1Client)  # V2 knows only when it is answered
            case RecognizedEvent() | RecognizedInputEvent():
                print(paint(f"~ {printable(event.text)}", DIM))
            case ResponseItemEvent():
                self._show_item(event.response_item)
            case ResponseEvent():
                for item in event.response.items:
                    self._show_item(item)
                self.client.finish_playback()
                if isinstance(self.client, SocketV2Client) and event.response.session_ended:
                    self._show(SessionEndEvent())  # V2 has no word of its own for it
            case SessionStartEvent():
                self.reached = True
                print(paint(f"session {printable(event.session_id)}", DIM))
            case SessionEndEvent():
                print(paint("the session has ended", DIM))
            case TurnInterruptedEvent(reason=reason) if reason != "lost":
                print(paint("(interrupted)", DIM))
            case ErrorEvent():
                print(paint(f"! {printable(event.text)}", RED))
            case FaultEvent():
                print(paint(f"! the server sent something wrong: {event.error}", RED))
            case ConnectionFailedEvent():
                what = "the connection was lost" if self.reached else f"no connection to {self.client.url}"
                hint = "; is the path right?" if event.code in (403, 404) else ""
                complain(f"{what}: {printable(event.reason) or event.code}{hint}")
                if not self.tenacious and not (self.reached and self.interactive):
                    self.code = 1
                    self.client.close()

    def _show_item(self, item: ResponseItem) -> None:
        command = item.command
        if command is not None:
            payload = "" if command.payload is None else command.payload
            print(paint(printable(f"# {command.name} {payload}"), YELLOW))
        elif item.plain_text:
            print(paint("< ", BLUE) + printable(item.plain_text))
        for kind in ("image", "video", "audio"):
            address = getattr(item, kind)
            if address:
                print(paint(printable(f"  [{kind} {address}]"), YELLOW))

"""``flowstorm-channel serve``: a server to try clients on, with the example dialogue or your own."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import socket
import sys
from collections.abc import Iterable
from typing import Any

from flowstorm_channel.cli import example
from flowstorm_channel.cli.recordings import recorder_of
from flowstorm_channel.cli.terminal import complain, name_of, printable
from flowstorm_channel.events import BinaryEvent, Event
from flowstorm_channel.limits import DEFAULT_LIMITS

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "serve",
        help="run a server with an example dialogue, or with yours",
        description="Run the ASGI application under uvicorn. The address is printed as soon as it listens.",
    )
    parser.add_argument(
        "dialogue",
        nargs="?",
        metavar="MODULE:FUNCTION",
        help="the dialogue to serve (default: an example that repeats what you say)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="0: the system chooses (default: 8000)")
    platforms = parser.add_argument_group(
        "platforms",
        "Without these, /alexa, /google and /call refuse. Twilio's token is TWILIO_AUTH_TOKEN.",
    )
    platforms.add_argument(
        "--alexa", metavar="SKILL_ID", action="append", help="answer this skill; repeatable"
    )
    platforms.add_argument(
        "--google", metavar="PROJECT_ID", action="append", help="answer this project's actions; repeatable"
    )
    platforms.add_argument(
        "--twilio", metavar="PUBLIC_URL", help="answer phone calls; where Twilio finds this server"
    )
    platforms.add_argument(
        "--allow-unsigned",
        metavar="PLATFORMS",
        type=_platforms,
        default=frozenset(),
        help="do not verify requests of these, to try out: alexa,google,twilio",
    )
    parser.add_argument("--no-page", action="store_true", help="leave out the page to talk to, at /")
    parser.add_argument("--verbose", action="store_true", help="print every event")
    parser.add_argument(
        "--record", metavar="FILE", help="record it, without keys and tokens: see `trace` and `replay`"
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    try:
        import uvicorn  # noqa: F401  (what serves below)

        from flowstorm_channel.contrib.asgi import ChannelApp
    except ImportError:
        complain("serve needs uvicorn: pip install 'flowstorm-channel[server]'")
        return 1
    functions: dict[str, Any] = {
        "recogniser": example.recogniser,
        "voice": example.voice,
        "keypad": example.keypad,
    }
    dialogue: Any = example.dialogue
    if chosen.dialogue is not None:
        try:
            dialogue, functions = _load(chosen.dialogue), {}
        except (ImportError, AttributeError, ValueError) as error:
            complain(f"{chosen.dialogue}: {error}")
            return 2
    try:
        listener = _listen(chosen.host, chosen.port)
    except (OSError, OverflowError) as error:
        complain(f"cannot listen on {chosen.host}:{chosen.port}: {error}")
        return 1
    try:
        platforms = _answered(chosen, listener.getsockname()[1])
    except (ValueError, ImportError) as error:
        complain(str(error))
        listener.close()
        return 2
    if chosen.verbose:
        functions["observe"] = _show
    with recorder_of(chosen.record) as recorder:
        app = ChannelApp(dialogue, recorder=recorder, **functions, **platforms)
        _serve(chosen, app, listener, platforms)
    return 0


def _serve(chosen: argparse.Namespace, app: Any, listener: socket.socket, platforms: Iterable[str]) -> None:
    """Serve until somebody stops it."""
    import uvicorn

    from flowstorm_channel.contrib.page import Page

    config = uvicorn.Config(
        app if chosen.no_page else Page(app),
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=max(DEFAULT_LIMITS.message_bytes, DEFAULT_LIMITS.audio_bytes),
        timeout_graceful_shutdown=3,
    )
    host, port = listener.getsockname()[:2]
    if chosen.allow_unsigned:
        complain(f"requests are NOT verified: {', '.join(sorted(chosen.allow_unsigned))}")
    name = f"[{host}]" if ":" in host else host
    more = "".join(f", /{'call' if each == 'twilio' else each}" for each in platforms)
    page = "" if chosen.no_page else f"http://{name}:{port}/ (a page to talk to), "
    print(
        f"Listening on {page}ws://{name}:{port}/socket and http://{name}:{port}/client{more} "
        "(Ctrl+C stops it)",
        flush=True,
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await app.aclose()  # else what still runs would be broken off after a while, with tracebacks
            await super().shutdown(sockets)

    Server(config).run(sockets=[listener])


def _answered(chosen: argparse.Namespace, port: int) -> dict[str, Any]:
    """The platforms that are answered, as `ChannelApp` takes them."""
    from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant, Twilio

    unsigned = chosen.allow_unsigned
    found: dict[str, Any] = {}
    if chosen.alexa or "alexa" in unsigned:
        found["alexa"] = Alexa(skill_ids=chosen.alexa or (), allow_unsigned="alexa" in unsigned)
    if chosen.google or "google" in unsigned:
        found["google"] = GoogleAssistant(
            project_ids=chosen.google or (), allow_unsigned="google" in unsigned
        )
    if chosen.twilio and "twilio" not in unsigned and not os.environ.get("TWILIO_AUTH_TOKEN"):
        raise ValueError("--twilio needs the token of your account in TWILIO_AUTH_TOKEN")
    if chosen.twilio or "twilio" in unsigned:
        found["twilio"] = Twilio(
            auth_token=os.environ.get("TWILIO_AUTH_TOKEN"),
            public_url=chosen.twilio or f"https://127.0.0.1:{port}",
            allow_unsigned="twilio" in unsigned,
        )
    return found


def _platforms(text: str) -> frozenset[str]:
    named = frozenset(each.strip() for each in text.split(","))
    if not named <= {"alexa", "google", "twilio"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not of alexa, google, twilio")
    return named


def _listen(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    # Named, since asyncio switches Nagle's algorithm off only where it knows that it is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def _load(name: str) -> Any:
    module, _, function = name.partition(":")
    if not function:
        raise ValueError("write it as MODULE:FUNCTION")
    sys.path.insert(0, os.getcwd())
    dialogue = getattr(importlib.import_module(module), function)
    if not inspect.isasyncgenfunction(dialogue) and not inspect.iscoroutinefunction(dialogue):
        raise ValueError(
            "a dialogue is `async def dialogue(turn)`, with `yield` or `return` for what it says"
        )
    return dialogue


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 65535")
    return int(text)


def _show(event: Event) -> None:
    if not isinstance(event, BinaryEvent):
        print(f"{printable(name_of(event))}: {event!r}", flush=True)

"""``flowstorm-channel schema``: JSON Schema, AsyncAPI, OpenAPI and the tables of states."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowstorm_channel import schemas
from flowstorm_channel.cli.terminal import complain
from flowstorm_channel.events import Side

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "schema",
        help="print schemas: of the events, of the channels, of the states",
        description="Print what goes over the wires as JSON Schema, AsyncAPI or OpenAPI, and the transition "
        "tables as JSON.",
    )
    kinds = parser.add_subparsers(title="kinds", metavar="KIND", required=True)

    events = _kind(kinds, "events", _events, "JSON Schema of the events, or of one")
    events.add_argument("event", nargs="?", help="its type, such as Input (default: all)")
    events.add_argument("--accepted", action="store_true", help="what is accepted (default: what is sent)")

    asyncapi = _kind(kinds, "asyncapi", _asyncapi, "AsyncAPI 3.0 of a channel on WebSockets")
    asyncapi.add_argument(
        "--channel", choices=schemas.ASYNCAPI_CHANNELS, default="socket-v1", help="default: socket-v1"
    )
    asyncapi.add_argument(
        "--side", choices=[each.value for each in Side], default="server", help="whose (default: server)"
    )
    asyncapi.add_argument("--url", help="where the server is, with its path")

    openapi = _kind(kinds, "openapi", _openapi, "OpenAPI 3.1 of a channel on HTTP")
    openapi.add_argument(
        "--channel", choices=schemas.OPENAPI_CHANNELS, default="socket-v2", help="default: socket-v2"
    )
    openapi.add_argument("--url", default="http://127.0.0.1:8000", help="where the server is, without a path")

    states = _kind(kinds, "states", _states, "transition tables and deadlines of the machines")
    states.add_argument("--channel", choices=schemas.STATES_CHANNELS, help="default: all")
    states.add_argument("--schema", action="store_true", help="the schema of it instead")


def _kind(
    kinds: argparse._SubParsersAction[Any],
    name: str,
    make: Callable[[argparse.Namespace], dict[str, Any]],
    text: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=text, description=f"Print {text}.")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write it there")
    parser.set_defaults(run=_run, make=make)
    return parser


def _run(chosen: argparse.Namespace) -> int:
    try:
        document = chosen.make(chosen)
    except ValueError as error:
        complain(str(error))
        return 2
    if chosen.output is None:
        print(json.dumps(document, indent=2))  # in ASCII, which every terminal and pipe takes
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        chosen.output.write_text(text, encoding="utf-8", newline="\n")
    return 0


def _events(chosen: argparse.Namespace) -> dict[str, Any]:
    return schemas.event_schema(chosen.event, accepted=chosen.accepted)


def _asyncapi(chosen: argparse.Namespace) -> dict[str, Any]:
    return schemas.asyncapi_document(chosen.channel, side=Side(chosen.side), url=chosen.url)


def _openapi(chosen: argparse.Namespace) -> dict[str, Any]:
    return schemas.openapi_document(chosen.channel, url=chosen.url)


def _states(chosen: argparse.Namespace) -> dict[str, Any]:
    return schemas.states_schema() if chosen.schema else schemas.states_document(chosen.channel)

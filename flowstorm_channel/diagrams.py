"""The tables of `states` as pictures and as data: Mermaid, Graphviz DOT and JSON.

Nothing is drawn by hand: what the pictures show is what the machines obey. The triggers that lead from one
state to another share an arrow, and what every state of a conversation has in common, such as the loss of the
transport, is drawn once, from the frame around them. What changes no state is left out unless asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from flowstorm_channel.socket_v2.states import (
    CLIENT_V2,
    CLIENT_V2_AUDIO,
    CLIENT_V2_DEADLINES,
    GET,
    GET_DEADLINES,
    PUT,
    PUT_AUDIO,
    PUT_DEADLINES,
)
from flowstorm_channel.states import (
    CLIENT,
    CLIENT_AUDIO,
    CLIENT_DEADLINES,
    CLIENT_DUPLEX,
    SERVER,
    SERVER_AUDIO,
    SERVER_DEADLINES,
    SERVER_DUPLEX_AUDIO,
    Audio,
    AudioTable,
    Deadline,
    State,
    Table,
)
from flowstorm_channel.twilio.states import TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES
from flowstorm_channel.webhook import WEBHOOK, WEBHOOK_DEADLINES

__all__ = ["FORMS", "VERSION", "WHICH", "Form", "Which", "dot", "mermaid", "render", "to_json"]

Which = Literal[
    "client",
    "client-duplex",
    "server",
    "client-audio",
    "server-audio",
    "server-duplex-audio",
    "v2-client",
    "v2-put",
    "v2-get",
    "v2-client-audio",
    "v2-put-audio",
    "webhook",
    "call",
    "call-audio",
    "all",
]
"""What can be drawn; without ``v2`` it is Socket V1, whose client's audio is the same in Duplex; ``webhook``
is a request of Alexa or Google Assistant, ``call`` a phone call."""
Form = Literal["mermaid", "dot", "json"]
"""How it can be drawn."""

VERSION = 1
"""Of the JSON form: it grows with every change that a reader of the old form would misunderstand."""

S = TypeVar("S", bound=Enum)

_TABLES: Mapping[str, Table] = {
    "client": CLIENT,
    "client-duplex": CLIENT_DUPLEX,
    "server": SERVER,
    "v2-client": CLIENT_V2,
    "v2-put": PUT,
    "v2-get": GET,
    "webhook": WEBHOOK,
    "call": TWILIO,
}
_AUDIO_TABLES: Mapping[str, AudioTable] = {
    "client-audio": CLIENT_AUDIO,
    "server-audio": SERVER_AUDIO,
    "server-duplex-audio": SERVER_DUPLEX_AUDIO,
    "v2-client-audio": CLIENT_V2_AUDIO,
    "v2-put-audio": PUT_AUDIO,
    "call-audio": TWILIO_AUDIO,
}
_DEADLINES: Mapping[str, tuple[Deadline, ...]] = {
    "client": CLIENT_DEADLINES,
    "server": SERVER_DEADLINES,
    "v2-client": CLIENT_V2_DEADLINES,
    "v2-put": PUT_DEADLINES,
    "v2-get": GET_DEADLINES,
    "webhook": WEBHOOK_DEADLINES,
    "call": TWILIO_DEADLINES,
}
_TITLES = {
    "client": "V1 client",
    "client-duplex": "V1 client in Duplex",
    "server": "V1 server",
    "client-audio": "Input audio of a V1 client",
    "server-audio": "Input audio of a V1 server",
    "server-duplex-audio": "Input audio of a V1 server in Duplex",
    "v2-client": "V2 client",
    "v2-put": "V2 server, a PUT",
    "v2-get": "V2 server, a GET",
    "v2-client-audio": "Input audio of a V2 client",
    "v2-put-audio": "Input audio of a V2 server's PUT",
    "webhook": "Alexa and Google Assistant, a request",
    "call": "Twilio, a phone call",
    "call-audio": "Input audio of a phone call",
}

WHICH: tuple[Which, ...] = get_args(Which)
FORMS: tuple[Form, ...] = ("mermaid", "dot", "json")

_FRAME = "Conversing"
_OUTSIDE = frozenset({State.CLOSED, State.OPEN, State.FAILED})


def render(which: Which, form: Form, *, stays: bool = False) -> str:
    """Draw one table, or all of them.

    Args:
        which: the table. All of them are Markdown with a Mermaid block for each, DOT with a graph for each,
            or one JSON object.
        form: of the text. JSON holds the deadlines, too.
        stays: show what changes no state as well; JSON always has it.

    Returns:
        The text, with a newline at its end.

    Raises:
        ValueError: there is no such table or form.
    """
    if which not in WHICH:
        raise ValueError(f"{which!r} cannot be drawn; {', '.join(WHICH)} can")
    if form not in FORMS:
        raise ValueError(f"{form!r} is not a form; {', '.join(FORMS)} are")
    if form == "json":
        return to_json(which)
    names = list(_TITLES) if which == "all" else [which]
    if form == "dot":
        return "\n".join(_drawn(name, form, stays=stays) for name in names)
    if which != "all":
        return _drawn(which, form, stays=stays)
    return "\n".join(
        f"## {_TITLES[name]}\n\n```mermaid\n{_drawn(name, form, stays=stays)}```\n" for name in names
    )


def _drawn(name: str, form: Form, *, stays: bool) -> str:
    draw = mermaid if form == "mermaid" else dot
    if name in _TABLES:
        return draw(_TABLES[name], title=_TITLES[name], stays=stays)
    return draw(_AUDIO_TABLES[name], title=_TITLES[name], stays=stays)


# ------------------------------------------------------------ arrows


class _Arrow(NamedTuple):
    """From a state, or (None) from all of the frame, to another: everything that leads there."""

    source: Enum | None
    target: Enum
    triggers: tuple[str, ...]


def _arrows(table: Mapping[S, Mapping[str, S]], inside: list[S], *, stays: bool) -> Iterator[_Arrow]:
    # An arrow from the frame to a state inside it would be read as entering the frame.
    shared = {
        (trigger, after)
        for trigger, after in (table[inside[0]].items() if inside else ())
        if after not in inside and all(table[each].get(trigger) is after for each in inside)
    }
    for source, row in table.items():
        if inside and source is inside[0]:
            yield from _grouped(None, (step for step in row.items() if step in shared))
        own = (
            step
            for step in row.items()
            if (stays or step[1] is not source) and not (source in inside and step in shared)
        )
        yield from _grouped(source, own)


def _grouped(source: Enum | None, steps: Iterable[tuple[str, Enum]]) -> Iterator[_Arrow]:
    triggers: dict[Enum, list[str]] = {}
    for trigger, after in steps:
        triggers.setdefault(after, []).append(trigger)
    for target, each in triggers.items():
        yield _Arrow(source, target, tuple(each))


def _inside(table: Mapping[S, Mapping[str, S]]) -> list[S]:
    """The states to put a frame around; none in a table of audio."""
    return [each for each in table if isinstance(each, State) and each not in _OUTSIDE]


# ------------------------------------------------------------ forms


def mermaid(table: Mapping[S, Mapping[str, S]], *, title: str = "", stays: bool = False) -> str:
    """A table as a Mermaid state diagram.

    Args:
        table: of states or of audio; its first row is where everything begins.
        title: stands above it.
        stays: show what changes no state as well.
    """
    inside = _inside(table)
    lines = ["---", f"title: {title}", "---"] if title else []
    lines += ["stateDiagram-v2", f"    [*] --> {next(iter(table)).value}"]
    if inside:
        lines += [f"    state {_FRAME} {{", *(f"        {each.value}" for each in inside), "    }"]
    for source, target, triggers in _arrows(table, inside, stays=stays):
        # State diagrams know no character entities. An angle with a blank behind it is not taken for HTML.
        label = "<br/>".join(triggers)
        lines.append(f"    {_FRAME if source is None else source.value} --> {target.value} : {label}")
    return "\n".join(lines) + "\n"


def dot(table: Mapping[S, Mapping[str, S]], *, title: str = "", stays: bool = False) -> str:
    """A table as a Graphviz graph.

    Args:
        table: of states or of audio; its first row is where everything begins.
        title: stands above it.
        stays: show what changes no state as well.
    """
    inside = _inside(table)
    lines = [
        f"digraph {_quoted(title or 'states')} {{",
        "    compound=true; rankdir=TB; nodesep=0.6; ranksep=0.8;",
        '    node [shape=box, style=rounded, fontname="sans-serif"];',
        '    edge [fontname="sans-serif", fontsize=10];',
    ]
    if title:
        lines.append(f"    label={_quoted(title)}; labelloc=t;")
    lines += ["    start [shape=point];", f"    start -> {_quoted(next(iter(table)).value)};"]
    if inside:
        lines.append(f"    subgraph cluster_{_FRAME} {{")
        lines.append(f"        label={_quoted(_FRAME)}; style=rounded; color=gray;")
        lines += [f"        {_quoted(each.value)};" for each in inside]
        lines.append("    }")
    for source, target, triggers in _arrows(table, inside, stays=stays):
        # Graphviz ends an arrow at the border of a frame when it is told the frame beside a node in it.
        tail = inside[0] if source is None else source
        extra = f", ltail=cluster_{_FRAME}" if source is None else ""
        label = "".join(f"{_escaped(each)}\\l" for each in triggers)
        lines.append(f'    {_quoted(tail.value)} -> {_quoted(target.value)} [label="{label}"{extra}];')
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def to_json(which: Which = "all") -> str:
    """Tables and deadlines as a JSON object with these members:

    - ``version``: `VERSION`;
    - ``states``, ``audio``: the names in use, the first of each being the beginning;
    - ``tables``, ``audio_tables``: by name, then state, then trigger: the next state;
    - ``deadlines``: by the machine's table, in the order in which they fire when due at once; each has the
      members of `flowstorm_channel.states.Deadline`, sets being sorted arrays.

    Args:
        which: leave out what has nothing to do with that table.
    """
    tables = {name: table for name, table in _TABLES.items() if which in ("all", name)}
    audio = {name: table for name, table in _AUDIO_TABLES.items() if which in ("all", name)}
    ends = [end for end in _DEADLINES if which == "all" or (which in _TABLES and which.startswith(end))]
    document = {
        "version": VERSION,
        "states": [each.value for each in State],
        "audio": [each.value for each in Audio],
        "tables": {name: _plain(table) for name, table in tables.items()},
        "audio_tables": {name: _plain(table) for name, table in audio.items()},
        "deadlines": {end: [_deadline(each, _TABLES[end]) for each in _DEADLINES[end]] for end in ends},
    }
    return json.dumps(document, indent=2) + "\n"


def _plain(table: Mapping[S, Mapping[str, S]]) -> dict[str, dict[str, str]]:
    return {
        state.value: {trigger: after.value for trigger, after in row.items()} for state, row in table.items()
    }


def _deadline(deadline: Deadline, table: Table) -> dict[str, Any]:
    return {
        "name": deadline.name,
        "states": [each.value for each in table if each in deadline.states],
        "audio": [each.value for each in Audio if each in deadline.audio],
        "entering": deadline.entering,
        "starts": sorted(deadline.starts),
        "once": deadline.once,
        "stops": sorted(deadline.stops),
        "then": deadline.then,
    }

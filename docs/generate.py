"""Write the pages of the reference that say what the code says: `python docs/generate.py`.

With `--check` nothing is written; the exit status is 1 when a page is not what would be written.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import attrs

from flowstorm_channel import diagrams, events, values
from flowstorm_channel.channel import Timeouts
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.conformance import ACTIONS, CAPABILITIES, PHRASES, SUITES, Requirement, Suite, proof
from flowstorm_channel.conformance.reports import SCHEMA
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    Event,
    LocalEvent,
    Side,
    UnknownEvent,
    Version,
    WireEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import Kind, Member, Shape, Value, members
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
    Deadline,
    State,
    Table,
)
from flowstorm_channel.twilio.server import GRACE
from flowstorm_channel.twilio.states import TWILIO, TWILIO_AUDIO, TWILIO_DEADLINES
from flowstorm_channel.values import (
    ClientConfig,
    Input,
    LogEntry,
    LogLevel,
    Request,
    Response,
    ResponseItem,
    Transcript,
    TtsType,
)
from flowstorm_channel.webhook import WEBHOOK, WEBHOOK_DEADLINES

REFERENCE = Path(__file__).parent / "reference"
PROOF = Path(__file__).parent / "proof.json"
NOTICE = "<!-- Written by docs/generate.py from the code. Change the code, then run it again. -->"

HELLO = Input(transcript=Transcript(text="I am Ada", confidence=0.93), attributes={"clientType": "web:1.0"})

EXAMPLES: dict[str, WireEvent] = {
    event.TYPE: event
    for event in (
        events.InputEvent(input=HELLO),
        events.RequestEvent(
            request=Request(app_key="my-app", device_id="kitchen", session_id="3f2a9c", input=HELLO)
        ),
        events.InputAudioStreamOpenEvent(session_id="3f2a9c"),
        events.InputAudioStreamCloseEvent(),
        events.InputAudioStreamCancelEvent(),
        events.InputStreamCloseEvent(),
        events.RecognizedInputEvent(input=HELLO, is_final=True),
        events.RecognizedEvent(text="I am Ada", is_final=True),
        events.ResponseItemEvent(response_item=ResponseItem(text="Nice to meet you.", node_id=12)),
        events.ResponseEvent(response=Response(locale="en", session_ended=True, turn_id="t-7")),
        events.InitEvent(
            key="my-app",
            device_id="kitchen",
            config=ClientConfig(tts=TtsType.REQUIRED_LINKS, send_response_items=True),
        ),
        events.ReadyEvent(),
        events.ErrorEvent(text="input.transcript.text: is required", source="protocol"),
        events.SessionStartEvent(session_id="3f2a9c"),
        events.SessionEndEvent(),
        events.LogEvent(
            entries=(
                LogEntry(
                    time=datetime(2026, 3, 14, 15, 9, 26),
                    relative_time=2.5,
                    level=LogLevel.WARN,
                    text="low battery",
                ),
            )
        ),
        events.BinaryEvent(data=b"\x00\x01\xfe\xff"),
        events.VoteEvent(turn_id="t-7", vote=1),
    )
}

EVENTS_PREFACE = """\
Every event of the protocol. On the wire an event is one object whose member `type` names it; the other
members stand beside `type`, in any order. Decoders accept other spellings of `type` too, take `null` for
the default of a member, and ignore members that they do not know.

The states are those of the V1 tables ([States](states.md)). *Sends* means that the host of that end may
send the event there; *receives*, that the end takes it there and finds no fault with it. A client in Duplex
is shown where it differs.

JSON that would make a long line is shown with white space that is not sent. The msgpack bytes are exact."""

STATES_PREFACE = """\
The tables that the machines obey. `<` is received and `>` is sent; words without an arrow come from
the transport or the host. What is not in a row is not legal in that state: sent, it raises
`LocalProtocolError` and changes nothing; received, it is told as a `FaultEvent`, which a server also
answers with Error (`< fault`). Words of the host that race with the peer, such as `interrupt` and `played`,
do nothing where they have no row."""

AUDIO_PREFACE = """\
The stream of input audio is a region of its own beside the state. A trigger that a row lacks leaves it as
it is."""

# What a machine sends without being told to, and so has no row in the tables.
BY_ITSELF = {
    "Init": "The client itself sends it as soon as its transport is open.",
    "InputAudioStreamClose": "The client itself sends it on leaving Listening with its stream asked or open.",
    "Response": "The server itself sends an empty one when a turn is cut, or the client ends the session.",
    "SessionStarted": "The server itself sends it when a session begins, before anything that belongs to it.",
    "SessionEnded": "The server itself sends it after a Response that ends the session, and as an echo.",
    "Error": "The server itself sends it after a fault of the client.",
}


# ------------------------------------------------------------ Markdown


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return [
        line(head),
        "|" + " --- |" * len(head),
        *(line(row) for row in rows),
        "",
    ]


def line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def code(text: str) -> str:
    return f"`{text}`"


def listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "–"


def prose(text: str) -> str:
    """A docstring's text as Markdown: one paragraph to a line, double backticks made single."""
    text = inspect.cleandoc(text).replace("``", "`")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def summary(thing: Any) -> str:
    """The docstring up to its first section."""
    return prose(re.split(r"\n\s*(?:Args|Raises|Returns):\n", inspect.getdoc(thing) or "")[0])


def arguments(cls: type) -> dict[str, str]:
    """What the section Args of a docstring says, by name."""
    found = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(cls) or "", re.DOTALL | re.MULTILINE)
    parts = re.findall(
        r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", found[1] if found else "", re.DOTALL | re.MULTILINE
    )
    return {name: prose(text).removesuffix(".") for name, text in parts}


def link(cls: type) -> str:
    page = "events.md" if issubclass(cls, Event) else "values.md"
    return f"[{cls.__name__}]({page}#{cls.__name__.lower()})"


# ------------------------------------------------------------ members of wire classes


def kind(shape: Shape) -> str:
    match shape.kind:
        case Kind.ENUM | Kind.OBJECT:
            text = link(shape.of)
        case Kind.UNION:
            text = " or ".join(map(link, shape.of))
        case Kind.LIST:
            text = f"list of {kind(shape.of)}"
        case _:
            text = shape.kind.value
    if shape.choices:
        text += f" ({' or '.join(map(str, shape.choices))})"
    return text


def shown(value: Any) -> str:
    """A default as the wire spells it; None, an absent member, as a dash."""
    match value:
        case None:
            return "–"
        case Enum():
            return code(value.value)
        case Value():
            given = ", ".join(
                f"{each.wire}: {json.dumps(getattr(value, each.name))}"
                for each in members(type(value))
                if each.required
            )
            return code("{" + given + "}")
        case tuple():
            return code(json.dumps(list(value)))
    return code(json.dumps(value, ensure_ascii=False))


def member_rows(cls: type) -> Iterator[list[str]]:
    for each in members(cls):
        yield [
            code(each.wire),
            code(each.name),
            kind(each.shape),
            "required" if each.required else shown(each.default),
            listed(also(each)),
            each.doc,
        ]


def also(each: Member) -> Iterator[str]:
    yield from map(code, each.aliases)
    if each.inside is not None:
        yield code(".".join(each.inside))


def member_table(cls: type) -> list[str]:
    if not members(cls):
        return ["No members.", ""]
    return table(("wire", "Python", "type", "default", "also accepted", "meaning"), member_rows(cls))


# ------------------------------------------------------------ events


def events_page() -> list[str]:
    lines = [
        "# Events",
        "",
        *EVENTS_PREFACE.splitlines(),
        "",
        "## On the wire",
        "",
        *table(
            ("event", "`type`", "sent by", "versions"),
            ([link(cls), code(name), sides(cls), versions(cls)] for name, cls in EVENTS.items()),
        ),
    ]
    for name, cls in EVENTS.items():
        lines += event_section(name, cls)
    lines += [
        "### UnknownEvent",
        "",
        summary(UnknownEvent),
        "",
        *table(("Python", "meaning"), ([code(k), v] for k, v in arguments(UnknownEvent).items())),
        *legality("Unknown"),
        *example(UnknownEvent(data={"type": "Weather", "degrees": 21.5})),
        "## Told to the host only",
        "",
        "These never go over a wire. A machine tells them to its own host.",
        "",
    ]
    for local in local_events():
        docs = arguments(local)
        lines += [f"### {local.__name__}", "", summary(local), ""]
        if attrs.fields(local):
            lines += table(
                ("Python", "type", "default", "meaning"),
                (
                    [
                        code(each.name),
                        code(inspect.formatannotation(each.type).rpartition(".")[2]),
                        "required" if each.default is attrs.NOTHING else code(repr(each.default)),
                        docs[each.name],
                    ]
                    for each in attrs.fields(local)
                ),
            )
    return lines


def local_events() -> list[type[Any]]:
    found = (getattr(events, name) for name in events.__all__)
    return [
        each
        for each in found
        if isinstance(each, type) and issubclass(each, LocalEvent) and each is not LocalEvent
    ]


def sides(cls: type[Event]) -> str:
    return listed(side.value for side in Side if side in cls.SENT_BY)


def versions(cls: type[Event]) -> str:
    return listed(version.value for version in Version if version in cls.VERSIONS)


def event_section(name: str, cls: type[WireEvent]) -> list[str]:
    spellings = [spelling for spelling, known in SPELLINGS.items() if known is cls and spelling != name]
    return [
        f"### {cls.__name__}",
        "",
        summary(cls),
        "",
        f"- `type`: {code(name)}; also accepted: {listed(map(code, spellings))}",
        f"- sent by: {sides(cls)}",
        f"- versions: {versions(cls)}",
        "",
        *member_table(cls),
        *legality(name),
        *example(EXAMPLES[name]),
    ]


ENDS: tuple[tuple[str, Table], ...] = (
    ("client", CLIENT),
    ("client in Duplex", CLIENT_DUPLEX),
    ("server", SERVER),
)
WAYS = ((">", "sends"), ("<", "receives"))
QUALIFIERS = ("interim", "final", "empty")


def legality(name: str) -> list[str]:
    rows = []
    for end, rules in ENDS:
        for way, verb in WAYS:
            for what, states in legal_states(rules, way, name):
                if end != "client in Duplex" or (what, states) not in legal_states(CLIENT, way, name):
                    rows.append([f"{end} {verb}", what, listed(states)])
    text = BY_ITSELF.get(name, "")
    if not rows:
        return [text or "Not on V1.", ""]
    return [*([text, ""] if text else []), *table(("V1", "event", "states"), rows)]


def legal_states(rules: Table, way: str, name: str) -> list[tuple[str, list[str]]]:
    """The states whose rows have the event; apart for what the wire itself tells apart, such as ``final``."""
    found: dict[str, list[str]] = {}
    for state, row in rules.items():
        for each in row:
            first, *rest = each.split()
            if first == way and rest[0] == name:
                what = " ".join([name, *(part for part in rest[1:] if part in QUALIFIERS)])
                found.setdefault(what, [])
                if state.value not in found[what]:
                    found[what].append(state.value)
    return list(found.items())


def example(event: Event) -> list[str]:
    text = JsonCodec().encode(event)
    packed = MsgpackCodec().encode(event)
    if len(text) > 100:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    lines = [packed[start : start + 24].hex(" ") for start in range(0, len(packed), 24)]
    return [
        "```json",
        *text.splitlines(),
        "```",
        "",
        f"msgpack, {len(packed)} bytes:",
        "",
        "```text",
        *lines,
        "```",
        "",
    ]


# ------------------------------------------------------------ values


def values_page() -> list[str]:
    classes = [getattr(values, name) for name in values.__all__]
    wire = [each for each in classes if isinstance(each, type) and issubclass(each, Value)]
    enums = [each for each in classes if isinstance(each, type) and issubclass(each, Enum)]
    lines = [
        "# Values",
        "",
        "What the events carry. A member with a default may be absent or `null`.",
        "",
        "## Objects",
        "",
    ]
    for cls in wire:
        lines += [f"### {cls.__name__}", "", summary(cls), ""]
        if hasattr(cls, "TYPE"):
            lines += [f"Its `type` on the wire is {code(cls.TYPE)}.", ""]
        lines += member_table(cls)
    lines += [
        "### Token",
        "",
        f"{' or '.join(link(each) for each in get_args(values.Token))}, told apart by the member `type`.",
        "",
        "### Command",
        "",
        summary(values.Command),
        "",
        *table(("Python", "meaning"), ([code(k), v] for k, v in arguments(values.Command).items())),
        "## Enumerations",
        "",
        "A name must be spelled exactly so. Anything else is refused, and the error lists the names.",
        "",
    ]
    for enum in enums:
        docs = enum_docs(enum)
        rows = ([code(each.value), code(each.name), docs.get(each.name, "")] for each in enum)
        head: tuple[str, ...] = ("wire", "Python", "meaning")
        if not docs:
            head, rows = head[:2], (row[:2] for row in rows)
        lines += [f"### {enum.__name__}", "", summary(enum), "", *table(head, rows)]
    return lines


def enum_docs(enum: type[Enum]) -> dict[str, str]:
    """The texts that stand below the members in the source."""
    body = ast.parse(inspect.getsource(enum)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        match before, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = prose(text)
    return found


# ------------------------------------------------------------ states


def states_page() -> list[str]:
    return [
        "# States",
        "",
        *STATES_PREFACE.splitlines(),
        "",
        *table(
            ("qualifier", "the event …"),
            (
                ("`interim`, `final`", "is a result of that kind"),
                ("`empty`", "is an empty binary frame: a keep-alive"),
                ("`stale`", "belongs to a turn that was interrupted"),
                ("`idle`", "leaves nothing to play and nothing to wait for"),
                ("`end`", "finds, or makes, the session ended or sleeping"),
                ("`known`", "brings the end of a session that has been told before"),
                ("`pausing`", "comes to a client that pauses when it is interrupted"),
            ),
        ),
        "`flowstorm-channel states` draws the same tables as Mermaid, Graphviz DOT or JSON.",
        "",
        "## States",
        "",
        *names(State),
        "## Audio",
        "",
        *AUDIO_PREFACE.splitlines(),
        "",
        *names(Audio),
        "## V1 client",
        "",
        *picture("client"),
        *matrix(CLIENT),
        "### In Duplex",
        "",
        "The rows above, and these too:",
        "",
        *matrix(
            {
                state: {key: after for key, after in row.items() if key not in CLIENT[state]}
                for state, row in CLIENT_DUPLEX.items()
                if row != CLIENT[state]
            }
        ),
        "### Input audio",
        "",
        "`asleep` is the entry into Sleeping. It is the same in Duplex.",
        "",
        *picture("client-audio"),
        *matrix(CLIENT_AUDIO),
        "### Deadlines",
        "",
        *deadlines(CLIENT, CLIENT_DEADLINES, {"sleep": "`Response.sleepTimeout`"}),
        "## V1 server",
        "",
        *picture("server"),
        *matrix(SERVER),
        "### Input audio",
        "",
        *picture("server-audio"),
        *matrix(SERVER_AUDIO),
        "### Input audio in Duplex",
        "",
        *picture("server-duplex-audio"),
        *matrix(SERVER_DUPLEX_AUDIO),
        "### Deadlines",
        "",
        *deadlines(
            SERVER,
            SERVER_DEADLINES,
            {
                "sleep": "`Response.sleepTimeout`",
                "silence": "`ClientConfig.silenceTimeout`; in Duplex `Timeouts.duplex_silence`, "
                + seconds(Timeouts().duplex_silence),
            },
        ),
        "## V2 client",
        "",
        *picture("v2-client"),
        *matrix(CLIENT_V2),
        "### Input audio",
        "",
        *picture("v2-client-audio"),
        *matrix(CLIENT_V2_AUDIO),
        "### Deadlines",
        "",
        *deadlines(CLIENT_V2, CLIENT_V2_DEADLINES, {"sleep": "`Response.sleepTimeout`"}),
        "## V2 server: a PUT",
        "",
        *picture("v2-put"),
        *matrix(PUT),
        "### Input audio",
        "",
        *picture("v2-put-audio"),
        *matrix(PUT_AUDIO),
        "### Deadlines",
        "",
        *deadlines(PUT, PUT_DEADLINES, {"silence": seconds(ClientConfig().silence_timeout / 1000)}),
        "## V2 server: a GET",
        "",
        *picture("v2-get"),
        *matrix(GET),
        "### Deadlines",
        "",
        *deadlines(GET, GET_DEADLINES, {"late": f"`Timeouts.second_put`, {seconds(Timeouts().second_put)}"}),
        "## Alexa and Google Assistant: a request",
        "",
        *picture("webhook"),
        *matrix(WEBHOOK),
        "### Deadlines",
        "",
        *deadlines(
            WEBHOOK,
            WEBHOOK_DEADLINES,
            {
                "answer": "; ".join(
                    f"`Timeouts.{name}`, {seconds(getattr(Timeouts(), name))}"
                    for name in ("alexa", "google_v2", "google_v3")
                )
            },
        ),
        "## Twilio: a phone call",
        "",
        "`<` names what Twilio sends by the `event` of its frames, `>` what the host does by the events of",
        "the protocol. `< mark` is that of the turn that was said last, `< mark Sleeping` that of the end of",
        "the session, `< mark stale` any other.",
        "",
        *picture("call"),
        *matrix(TWILIO),
        "### Input audio",
        "",
        *picture("call-audio"),
        *matrix(TWILIO_AUDIO),
        "### Deadlines",
        "",
        *deadlines(
            TWILIO,
            TWILIO_DEADLINES,
            {
                "sleep": "`Response.sleepTimeout`",
                "playback": f"what is left to be played, and {seconds(GRACE)}",
                "silence": "`TwilioServer(silence_timeout=)`, " + seconds(5.0),
            },
        ),
    ]


def names(enum: type[Enum]) -> list[str]:
    docs = enum_docs(enum)
    return table(
        ("name", "Python", "meaning"), ([each.value, code(each.name), docs[each.name]] for each in enum)
    )


def picture(which: diagrams.Which) -> list[str]:
    return ["```{mermaid}", *diagrams.render(which, "mermaid").splitlines(), "```", ""]


def matrix(rules: Any) -> list[str]:
    """A table of states as one of Markdown: state, next state, what leads there."""
    rows = []
    for state, row in rules.items():
        by_next: dict[Enum, list[str]] = {}
        for each, after in row.items():
            by_next.setdefault(after, []).append(each)
        for number, (after, each) in enumerate(sorted(by_next.items(), key=lambda item: item[0] is state)):
            rows.append(
                [
                    f"**{state.value}**" if number == 0 else "",
                    "stay" if after is state else after.value,
                    listed(map(code, each)),
                ]
            )
    return table(("state", "next", "when"), rows)


def deadlines(rules: Table, found: tuple[Deadline, ...], elsewhere: dict[str, str]) -> list[str]:
    return [
        "In the order in which they fire when several are due at once. Leaving where it can run disarms it.",
        "",
        *table(
            ("name", "default", "can run in", "is started by", "is stopped by", "when due"),
            (
                [
                    code(each.name),
                    elsewhere[each.name]
                    if each.name in elsewhere
                    else seconds(getattr(Timeouts(), each.name)),
                    where(rules, each),
                    listed(starts(each)),
                    listed(map(code, sorted(each.stops))),
                    each.then,
                ]
                for each in found
            ),
        ),
    ]


def where(rules: Table, deadline: Deadline) -> str:
    text = listed(state.value for state in State if state in rules and state in deadline.states)
    if deadline.audio:
        text += f"; audio {listed(audio.value for audio in Audio if audio in deadline.audio)}"
    return text


def starts(deadline: Deadline) -> Iterator[str]:
    if deadline.entering:
        yield "getting there"
    yield from map(code, sorted(deadline.starts))
    if deadline.once:
        yield "unless it runs already"


def seconds(value: float | None) -> str:
    return "off" if value is None else f"{value:g} s"


# ------------------------------------------------------------ limits


def limits_page() -> list[str]:
    return [
        "# Limits and timeouts",
        "",
        "Both are frozen objects that every channel takes; what is not given keeps its default.",
        "",
        "## Limits",
        "",
        summary(Limits),
        "",
        *settings(Limits, number),
        "## Timeouts",
        "",
        summary(Timeouts),
        "",
        *settings(Timeouts, seconds),
    ]


def settings(cls: Any, text: Callable[[Any], str]) -> list[str]:
    docs = arguments(cls)
    return table(
        ("field", "default", "unit", "meaning"),
        (
            [code(each.name), text(each.default), unit(each.name, cls), docs[each.name]]
            for each in attrs.fields(cls)
        ),
    )


def unit(name: str, cls: type) -> str:
    if cls is Timeouts:
        return "seconds"
    if name.endswith("bytes"):
        return "bytes"
    return "levels" if name == "nesting" else "count"


def number(value: int) -> str:
    for size, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if value % size == 0:
            return f"{value} ({value // size} {name})"
    return str(value)


# ------------------------------------------------------------ the conformance kit


CONFORMANCE_PREFACE = """\
What the [conformance kit](../howto/conformance.md) checks. A *documented* or *observed* requirement can be a
MUST; one that is *decided*, because no public source says anything, is never above SHOULD. A broken MUST is a
FAIL, a broken SHOULD a WARN. A rule of the linter watches the wires of all checks and of recordings; it is
set in *italics*."""

REPORT_PREFACE = """\
What `--json` writes. The form has a version, which changes when something is taken away or gets another
meaning; this is its JSON Schema, `flowstorm_channel.conformance.reports.SCHEMA`."""

PROOF_PREFACE = """\
The kit is tried on implementations with one fault each. Every fault is found, and every check finds one."""


def conformance_page() -> Iterator[str]:
    recorded = json.loads(PROOF.read_text(encoding="utf-8"))
    yield from ["# Requirements", "", CONFORMANCE_PREFACE, ""]
    for name, suite in SUITES.items():
        yield from [f"## {name}", ""]
        yield from table(
            ("id", "level", "basis", "requirement", "source", "checks"),
            (
                [row.id, row.level.value, row.basis.value, row.text, row.source, checks_of(row, suite)]
                for row in suite.requirements.values()
            ),
        )
    yield from ["## Capabilities of a server", ""]
    yield from table(
        ("capability", "the words for it", "what a server does"),
        ([code(name), PHRASES.get(name, ""), text] for name, text in CAPABILITIES.items()),
    )
    yield from ["## What a client can be asked to do", ""]
    yield from table(("action", "what it is"), ([code(name), text] for name, text in ACTIONS.items()))
    yield from ["## The report", "", REPORT_PREFACE, ""]
    yield from ["```json", json.dumps(SCHEMA, indent=2), "```", ""]
    yield from ["## How the kit is proved", "", PROOF_PREFACE, ""]
    for name, suite in SUITES.items():
        yield from [f"### {name}: {len(suite.broken)} faults", ""]
        yield from table(
            ("fault", "what it does wrong", "found for"),
            (
                [code(peer.name), peer.text, ", ".join(found_for(suite, recorded[name], peer.name))]
                for peer in suite.broken.values()
            ),
        )


def checks_of(row: Requirement, suite: Suite[Any]) -> str:
    if row.reason:
        return f"none: {row.reason}"
    return ", ".join(f"*{name}*" if name in suite.rules else name for name in row.checks)


def found_for(suite: Suite[Any], recorded: Iterable[list[str]], peer: str) -> list[str]:
    checks = {check for name, check, _ in recorded if name == peer}
    return [row.id for row in suite.requirements.values() if checks.intersection(row.checks)]


def prove() -> None:
    """Run every check on every broken implementation, which takes minutes, and write down what finds what."""
    table = {}
    for name, suite in SUITES.items():
        table[name] = [
            attrs.astuple(kill) for peer in suite.broken.values() for kill in proof.kills(suite, peer)
        ]
        print(f"{name}: {len(suite.broken)} broken implementations, found {len(table[name])} times")
    lines = (
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in table.items()
    )
    PROOF.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")


# ------------------------------------------------------------ the command

PAGES = {
    "events.md": events_page,
    "values.md": values_page,
    "states.md": states_page,
    "limits.md": limits_page,
    "conformance.md": conformance_page,
}


def pages() -> dict[Path, str]:
    """All pages by their paths."""
    return {
        REFERENCE / name: "\n".join([NOTICE, "", *make()]).rstrip() + "\n" for name, make in PAGES.items()
    }


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write the pages of the reference that are made from the code."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    parser.add_argument(
        "--proof", action="store_true", help="first try the conformance kit on all broken implementations"
    )
    chosen = parser.parse_args(given)
    check = chosen.check
    if chosen.proof:
        prove()
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(REFERENCE.parent.parent)} {'is out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

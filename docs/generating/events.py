"""The pages of the events: an overview, and a page for each."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from flowstorm_channel import events
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    BinaryEvent,
    Event,
    LocalEvent,
    Side,
    UnknownEvent,
    Version,
)
from generating.examples import EXAMPLES
from generating.legality import legality
from generating.markdown import arguments, code, listed, summary, table
from generating.members import limits_of, member_table
from generating.mistakes import MISTAKES
from generating.requirements import faults, requirements

OVERVIEW = """\
What goes over the wires. An event is one object whose member `type` names it; the other members stand beside
`type`, in any order. Decoders accept other spellings of `type` too, take `null` for the default of a member,
and ignore members that they do not know. Each event has a page: what it means, what it carries, its bytes,
when it is legal, and what is often done wrong with it."""

LOCAL = """\
These never go over a wire. A machine tells them to its own host."""

LEGALITY = """\
From the tables that the machines run on ([States](../states.md)), for both ends. What is not here is not
legal: who sends it gets an error from its own library, and who receives it has met a fault of the peer.
An arrow leads to the next state; where the state *stays*, the event is legal and changes nothing of it."""

BYTES = """\
White space is not sent; the bytes of msgpack are exact."""

RAW = """\
On Socket V1 without msgpack it has no JSON. The WebSocket message is a binary one, and holds nothing but the
bytes:"""

CHECKED = """\
What the [conformance kit](../../howto/conformance.md) checks about it. All requirements are in
[one list](../conformance.md); `flowstorm-channel conformance explain ID` tells more of each."""

TRIED = """\
Implementations with one such fault each, which the kit is proved on, and the requirements that they break:"""

# What the tables do not tell: what a machine sends without being told to, for one thing.
NOTES = {
    "Init": "This library's client sends it by itself as soon as its transport is open.",
    "InputAudioStreamOpen": (
        "A client opens it once a session listens, by the table. Some real clients ask while they sleep, and"
        " name the session that is to begin: a server takes that, too."
    ),
    "InputAudioStreamClose": (
        "This library's client sends it by itself on leaving Listening with its stream asked or open, outside"
        " of Duplex: with a final result, before a typed input, and when the server begins to speak."
    ),
    "RecognizedInput": (
        "The host of the PUT tells all results; those that are not final go out in the GET, and nowhere else."
    ),
    "Response": (
        "Sent empty by this library's server itself when a turn is cut, or the client ends the session."
    ),
    "SessionStarted": (
        "This library's server sends it by itself when a session begins, before anything that belongs to it."
    ),
    "SessionEnded": (
        "This library's server sends it by itself after a Response that ends the session, and as an echo."
    ),
    "Error": "This library's server sends it by itself after a fault of the client.",
}

UNKNOWN = UnknownEvent(data={"type": "Weather", "degrees": 21.5})


def event_pages() -> dict[str, Iterable[str]]:
    """The lines of each page, by the `type` of its event."""
    pages = {name: event_page(name, cls, EXAMPLES[name]) for name, cls in EVENTS.items()}
    return {**pages, "Unknown": event_page("Unknown", UnknownEvent, UNKNOWN)}


# ------------------------------------------------------------ the overview


def overview_page() -> Iterator[str]:
    everything = {**EVENTS, "Unknown": UnknownEvent}
    yield from ["# Events", "", *OVERVIEW.splitlines(), ""]
    yield from table(
        ("`type`", "sent by", "versions", "purpose"),
        (
            [f"[{name}](events/{name}.md)", sides(cls), versions(cls), summary(cls)]
            for name, cls in everything.items()
        ),
    )
    yield from ["```{toctree}", ":hidden:", "", *(f"events/{name}" for name in everything), "```", ""]
    yield from ["## Told to the host only", "", *LOCAL.splitlines(), ""]
    for local in local_events():
        yield from local_section(local)


def local_events() -> list[type[Any]]:
    found = (getattr(events, name) for name in events.__all__)
    return [
        each
        for each in found
        if isinstance(each, type) and issubclass(each, LocalEvent) and each is not LocalEvent
    ]


def local_section(cls: type[Any]) -> Iterator[str]:
    docs = arguments(cls)
    yield from [f"### {cls.__name__}", "", summary(cls), ""]
    if attrs.fields(cls):
        yield from table(
            ("Python", "type", "default", "meaning"),
            (
                [
                    code(each.name),
                    code(inspect.formatannotation(each.type).rpartition(".")[2]),
                    "required" if each.default is attrs.NOTHING else code(repr(each.default)),
                    docs[each.name],
                ]
                for each in attrs.fields(cls)
            ),
        )


def sides(cls: type[Event]) -> str:
    return listed(side.value for side in Side if side in cls.SENT_BY)


def versions(cls: type[Event]) -> str:
    return listed(version.value for version in Version if version in cls.VERSIONS)


# ------------------------------------------------------------ one event


def event_page(name: str, cls: type[Event], example: Event) -> Iterator[str]:
    yield from [f"# {name}", "", summary(cls), ""]
    yield from facts(name, cls)
    yield from ["## Members", ""]
    if cls is UnknownEvent:
        yield from table(("Python", "meaning"), ([code(k), v] for k, v in arguments(cls).items()))
    else:
        yield from member_table(cls, "../")
    yield from [f"Bounded by the [limits](../limits.md) {listed(map(code, limits_of(cls)))}.", ""]
    yield from ["## Bytes", "", *BYTES.splitlines(), "", *both_codecs(example)]
    if isinstance(example, BinaryEvent):
        yield from [*RAW.splitlines(), "", "```hexdump", *hex_dump(example.data), "```", ""]
    yield from ["## When it is legal", "", *LEGALITY.splitlines(), ""]
    if name in NOTES:
        yield from [NOTES[name], ""]
    yield from legality(name, cls.VERSIONS)
    yield from ["## Common mistakes", "", *mistakes(name, cls)]
    yield from ["## What is checked", "", *CHECKED.splitlines(), ""]
    yield from table(
        ("id", "level", "of a", "requirement"),
        ([code(row.id), row.level.value, suite.role, row.text] for suite, row in requirements(name, cls)),
    )


def facts(name: str, cls: type[Event]) -> Iterator[str]:
    spellings = [spelling for spelling, known in SPELLINGS.items() if known is cls and spelling != name]
    yield f"- in Python: [`{cls.__name__}`](../api.md#events)"
    yield f"- sent by: {sides(cls)}"
    yield f"- versions: {versions(cls)}"
    if spellings:
        yield f"- `type`: {code(name)}; also accepted: {listed(map(code, spellings))}"
    yield ""


def both_codecs(event: Event) -> Iterator[str]:
    text = JsonCodec().encode(event)
    packed = MsgpackCodec().encode(event)
    if len(text) > 100:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    yield from ["JSON:", "", "```json", *text.splitlines(), "```", ""]
    yield from [f"msgpack, {len(packed)} bytes:", "", "```hexdump", *hex_dump(packed), "```", ""]


def hex_dump(data: bytes) -> Iterator[str]:
    """Sixteen bytes a line: where they begin, the bytes, and what is readable of them."""
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        readable = "".join(chr(each) if 32 <= each < 127 else "." for each in part)
        yield f"{start:08x}  {part.hex(' '):47}  |{readable}|"


def mistakes(name: str, cls: type[Event]) -> Iterator[str]:
    yield from table(
        ("who", "wrong", "instead"),
        ([f"a {each.by}", each.wrong, each.right] for each in MISTAKES[name]),
    )
    tried = list(faults(name, cls))
    if tried:
        yield from [*TRIED.splitlines(), ""]
        yield from table(
            ("fault", "what it does", "breaks"),
            (
                [
                    f"{code(peer.name)}, a {suite.role} of {suite.channel}",
                    peer.text,
                    some(broken),
                ]
                for suite, peer, broken in tried
            ),
        )


def some(ids: list[str]) -> str:
    """A few of many ids."""
    more = f" and {len(ids) - 3} more" if len(ids) > 4 else ""
    return listed(map(code, ids[: 3 if more else 4])) + more

"""The page of the states, from the tables that the machines run on."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from flowstorm_channel import diagrams
from flowstorm_channel.channel import Timeouts
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
from flowstorm_channel.values import ClientConfig
from flowstorm_channel.webhook import WEBHOOK, WEBHOOK_DEADLINES
from generating.legality import QUALIFIERS
from generating.markdown import code, enum_docs, listed, seconds, table

STATES_PREFACE = """\
The tables that the machines obey. `<` is received and `>` is sent; words without an arrow come from
the transport or the host. What is not in a row is not legal in that state: sent, it raises
`LocalProtocolError` and changes nothing; received, it is told as a `FaultEvent`, which a server also
answers with Error (`< fault`). Words of the host that race with the peer, such as `interrupt` and `played`,
do nothing where they have no row."""

AUDIO_PREFACE = """\
The stream of input audio is a region of its own beside the state. A trigger that a row lacks leaves it as
it is."""


def states_page() -> list[str]:
    return [
        "# States",
        "",
        *STATES_PREFACE.splitlines(),
        "",
        *table(
            ("qualifier", "the event is"),
            ([code(name), text] for name, text in QUALIFIERS.items()),
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


def picture(which: diagrams.Which, form: diagrams.Form = "mermaid") -> list[str]:
    directive = "mermaid" if form == "mermaid" else "graphviz"
    return [f"```{{{directive}}}", *diagrams.render(which, form).splitlines(), "```", ""]


def drawn_by_graphviz(page: str) -> str:
    """The page with every picture in the language of Graphviz."""
    for which in diagrams.WHICH:
        if which != "all":
            mermaid, dot = ("\n".join(picture(which, form)) for form in ("mermaid", "dot"))
            page = page.replace(mermaid, dot)
    return page


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

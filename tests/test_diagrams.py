"""The pictures say what the tables say, neither more nor less."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from flowstorm_channel import diagrams
from flowstorm_channel.socket_v2.states import (
    CLIENT_V2,
    CLIENT_V2_AUDIO,
    GET,
    PUT,
    PUT_AUDIO,
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
    State,
)
from flowstorm_channel.twilio.states import TWILIO, TWILIO_AUDIO
from flowstorm_channel.webhook import WEBHOOK
from tests.programs import program

TABLES: dict[str, Any] = {
    "client": CLIENT,
    "client-duplex": CLIENT_DUPLEX,
    "server": SERVER,
    "client-audio": CLIENT_AUDIO,
    "server-audio": SERVER_AUDIO,
    "server-duplex-audio": SERVER_DUPLEX_AUDIO,
    "v2-client": CLIENT_V2,
    "v2-put": PUT,
    "v2-get": GET,
    "v2-client-audio": CLIENT_V2_AUDIO,
    "v2-put-audio": PUT_AUDIO,
    "webhook": WEBHOOK,
    "call": TWILIO,
    "call-audio": TWILIO_AUDIO,
}
FRAMED = {
    name: [state.value for state in table if state not in (State.CLOSED, State.OPEN, State.FAILED)]
    for name, table in TABLES.items()
    if not name.endswith("audio")
}

ONE_TABLE = pytest.mark.parametrize("name", TABLES)
STAYS = pytest.mark.parametrize("stays", [False, True], ids=["changes", "stays"])

Steps = set[tuple[str, str, str]]


def steps_of_table(name: str, *, stays: bool) -> Steps:
    return {
        (state.value, trigger, after.value)
        for state, row in TABLES[name].items()
        for trigger, after in row.items()
        if stays or after is not state
    }


def steps_of_arrows(name: str, arrows: list[tuple[str, str, list[str]]]) -> Steps:
    """The steps that a reader sees; an arrow from the frame is one from every state in it."""
    found = [
        (source, trigger, target)
        for tail, target, triggers in arrows
        for source in (FRAMED[name] if tail == "Conversing" else [tail])
        for trigger in triggers
    ]
    assert len(found) == len(set(found)), "no step is drawn twice"
    return set(found)


@ONE_TABLE
@STAYS
def test_mermaid_shows_every_step_of_the_table_once(name: str, stays: bool) -> None:
    text = diagrams.mermaid(TABLES[name], stays=stays)
    first, *lines = text.splitlines()
    assert first == "stateDiagram-v2"
    drawn = [re.fullmatch(r" {4}(\w+) --> (\w+) : (.+)", line) for line in lines]
    arrows = [(found[1], found[2], found[3].split("<br/>")) for found in drawn if found]
    assert steps_of_arrows(name, arrows) == steps_of_table(name, stays=stays)


@ONE_TABLE
@STAYS
def test_dot_shows_every_step_of_the_table_once(name: str, stays: bool) -> None:
    text = diagrams.dot(TABLES[name], stays=stays)
    drawn = re.findall(r' {4}"(\w+)" -> "(\w+)" \[label="(.+?)"(, ltail=cluster_Conversing)?\];', text)
    arrows = [
        ("Conversing" if framed else tail, target, label.removesuffix(r"\l").split(r"\l"))
        for tail, target, label, framed in drawn
    ]
    assert steps_of_arrows(name, arrows) == steps_of_table(name, stays=stays)


@ONE_TABLE
def test_what_every_state_of_a_conversation_shares_is_drawn_once(name: str) -> None:
    text = diagrams.render(name, "mermaid")  # type: ignore[arg-type]
    assert text.count("Conversing --> Closed") == (name in FRAMED)
    assert ("Sleeping --> Closed" in text) is False


@ONE_TABLE
def test_two_states_share_one_arrow(name: str) -> None:
    text = diagrams.mermaid(TABLES[name], stays=True)
    ends = [line.partition(" : ")[0] for line in text.splitlines() if "-->" in line]
    assert len(ends) == len(set(ends))


def test_mermaid_begins_with_its_title_when_it_has_one() -> None:
    assert diagrams.mermaid(CLIENT_AUDIO, title="A title").startswith(
        "---\ntitle: A title\n---\nstateDiagram-v2\n    [*] --> closed\n"
    )


def test_dot_escapes_what_ends_a_string() -> None:
    assert 'digraph "a \\"b\\" \\\\c" {' in diagrams.dot(CLIENT_AUDIO, title='a "b" \\c')
    assert "label=" not in diagrams.dot(CLIENT_AUDIO).partition("start")[0]


@STAYS
def test_graphviz_takes_all_graphs(stays: bool) -> None:
    text = diagrams.render("all", "dot", stays=stays)
    done = subprocess.run(
        [program("dot"), "-Tsvg"], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.count("<svg ") == len(TABLES)


def test_all_in_mermaid_is_markdown_with_a_block_for_each() -> None:
    text = diagrams.render("all", "mermaid")
    blocks = re.findall(r"^## [^\n]+\n\n```mermaid\n(.+?)```\n", text, re.DOTALL | re.MULTILINE)
    assert blocks == [diagrams.render(name, "mermaid") for name in TABLES]  # type: ignore[arg-type]


@pytest.mark.parametrize("which", diagrams.WHICH)
@pytest.mark.parametrize("form", diagrams.FORMS)
def test_every_text_ends_with_one_newline(which: diagrams.Which, form: diagrams.Form) -> None:
    text = diagrams.render(which, form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_json_holds_all_tables_and_deadlines() -> None:
    found = json.loads(diagrams.to_json())
    assert found["version"] == 1
    assert found["states"] == [state.value for state in State]
    assert {**found["tables"], **found["audio_tables"]} == {
        name: {
            state.value: {trigger: after.value for trigger, after in row.items()}
            for state, row in table.items()
        }
        for name, table in TABLES.items()
    }
    assert [each["name"] for each in found["deadlines"]["client"]] == [each.name for each in CLIENT_DEADLINES]
    assert [each["name"] for each in found["deadlines"]["server"]] == [each.name for each in SERVER_DEADLINES]


@pytest.mark.parametrize(("end", "table"), [("client", CLIENT), ("server", SERVER)])
def test_json_has_every_member_of_every_deadline_in_a_fixed_order(end: diagrams.Which, table: Any) -> None:
    deadlines = CLIENT_DEADLINES if end == "client" else SERVER_DEADLINES
    assert json.loads(diagrams.to_json(end))["deadlines"][end] == [
        {
            "name": each.name,
            "states": [state.value for state in table if state in each.states],
            "audio": [audio.value for audio in Audio if audio in each.audio],
            "entering": each.entering,
            "starts": sorted(each.starts),
            "once": each.once,
            "stops": sorted(each.stops),
            "then": each.then,
        }
        for each in deadlines
    ]


def test_json_does_not_depend_on_the_order_of_sets() -> None:
    """Hashes of texts differ from one run to the next; the text must not."""
    program = "from flowstorm_channel import diagrams; print(diagrams.to_json())"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("which", "tables", "audio_tables", "deadlines"),
    [
        ("client-duplex", ["client-duplex"], [], ["client"]),
        ("server", ["server"], [], ["server"]),
        ("server-duplex-audio", [], ["server-duplex-audio"], []),
    ],
)
def test_json_of_one_table_leaves_the_others_out(
    which: diagrams.Which, tables: list[str], audio_tables: list[str], deadlines: list[str]
) -> None:
    found = json.loads(diagrams.render(which, "json"))
    assert [list(found[key]) for key in ("tables", "audio_tables", "deadlines")] == [
        tables,
        audio_tables,
        deadlines,
    ]


def test_an_unknown_table_or_form_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'x' cannot be drawn; client, client-duplex, server, "):
        diagrams.render("x", "dot")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'svg' is not a form; mermaid, dot, json are"):
        diagrams.render("client", "svg")  # type: ignore[arg-type]

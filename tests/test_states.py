"""The tables of states as data: the names of triggers, and what an error says of a row."""

from __future__ import annotations

import pytest

from flowstorm_channel.events import (
    EVENTS,
    BinaryEvent,
    InputEvent,
    RecognizedEvent,
    ResponseEvent,
    UnknownEvent,
)
from flowstorm_channel.states import CLIENT, SERVER, State, legal, trigger
from flowstorm_channel.values import Input, Response, Transcript

QUALIFIERS = ("stale", "idle", "end", "known", "echoed", "pausing", "asleep")


@pytest.mark.parametrize("way", "<>")
@pytest.mark.parametrize(
    ("event", "name"),
    [
        (InputEvent(input=Input(transcript=Transcript(text="a"))), "Input"),
        (ResponseEvent(response=Response()), "Response"),
        (RecognizedEvent(text="a", is_final=False), "Recognized interim"),
        (RecognizedEvent(text="a", is_final=True), "Recognized final"),
        (BinaryEvent(data=b"a"), "Binary"),
        (BinaryEvent(data=b""), "Binary empty"),
        (UnknownEvent(data={"type": "Later"}), "Unknown"),
    ],
)
def test_a_trigger_is_a_way_and_a_name(way, event, name):
    assert trigger(way, event) == f"{way} {name}"


@pytest.mark.parametrize("name", EVENTS)
def test_the_name_of_a_trigger_is_that_on_the_wire(name):
    event = object.__new__(EVENTS[name])
    if not isinstance(event, (RecognizedEvent, BinaryEvent)):
        assert trigger("<", event) == f"< {name}"


def test_an_error_names_each_trigger_of_a_row_once_and_in_its_order():
    qualified = (f"< Response {each}" for each in QUALIFIERS)
    row = dict.fromkeys(["< Response", "> Log", *qualified, "< Ready", "lost"])
    assert legal(row, "<") == ["Response", "Ready"]
    assert legal(row, ">") == ["Log"]
    assert legal(row) == ["< Response", "> Log", "< Ready", "lost"]


def test_an_error_keeps_what_a_peer_can_tell_apart():
    assert legal(SERVER[State.OPEN], "<") == ["Init", "Binary", "Binary empty"]
    assert legal(CLIENT[State.OPEN], ">") == ["Binary empty"]
    assert {"Recognized interim", "Recognized final"} <= set(legal(CLIENT[State.SLEEPING], "<"))


@pytest.mark.parametrize("row", [*SERVER.values(), *CLIENT.values()])
def test_no_fault_is_called_legal(row):
    assert not any("fault" in each for each in legal(row))

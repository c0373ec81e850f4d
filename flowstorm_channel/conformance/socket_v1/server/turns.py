"""Turns of V1 servers: an input, and one answer to it."""

from __future__ import annotations

import re
from typing import Any

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.peer import PARTS, V1Caller, name
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

TIMES: tuple[Any, ...] = (
    "2022-05-27T14:19:04.123",
    "2022-05-27T14:19:04Z",
    "2022-05-27T16:19:04+02:00",
    [2022, 5, 27, 14, 19, 4, 123000000],
    1653661144.123,
)
"""How clients write the time of a log entry."""


@check()
def every_input_is_answered_once(server: V1Caller) -> None:
    """Says something three times, one after the other: each gets a Response, and nothing follows it."""
    talk = server.started()
    for _ in range(3):
        talk.goes_on("an answer")
        more = [each for each in talk.during(500) if each["type"] in (*PARTS, "Response", "Error")]
        if more:
            raise Violation(f"after the Response came {name(more[0])}")


@check()
def each_of_many_inputs_is_answered(server: V1Caller) -> None:
    """Says three things at once, the first one with a long answer: three Responses come, and no more."""
    talk = server.started()
    for capability in ("long", "echo", "echo"):
        talk.say(server.profile.phrase(capability))
    for _ in range(3):
        talk.answer(ms=30_000)
    more = [each for each in talk.during(1000) if each["type"] in (*PARTS, "Response", "Error")]
    if more:
        raise Violation(f"after three answers to three Inputs came {name(more[0])}")


@check(needs=("nothing",))
def nothing_to_say_is_an_answer(server: V1Caller) -> None:
    """Says something to which the dialogue says nothing: a Response comes all the same."""
    talk = server.started()
    answer = talk.ask(server.profile.phrase("nothing"))
    server.assume("nothing", not answer.items, "there was something in the answer")


@check()
def items_are_in_the_response_for_who_wants_no_single_ones(server: V1Caller) -> None:
    """Says the same with `sendResponseItems` and without: without, the Response holds the items."""
    singly = server.started().goes_on("the first turn").items
    server.assume("echo", bool(singly), "there is nothing in the answer to the echo phrase")
    together = server.started(sendResponseItems=False).goes_on("the first turn")
    if not together.response.get("items"):
        raise Violation(f"{len(singly)} items came singly, and none in a Response")


@check()
def single_items_are_not_repeated(server: V1Caller) -> None:
    """Takes an answer whose items come singly: the Response does not hold them again."""
    answer = server.started().goes_on("the first turn")
    singly = [each["responseItem"] for each in answer.frames if each["type"] == "ResponseItem"]
    server.assume("echo", bool(singly), "no single item came")
    if answer.response.get("items", [])[: len(singly)] == singly:
        raise Violation("the Response holds the items again that came singly; clients play them twice")


@check()
def the_inputs_of_real_clients_are_answered(server: V1Caller) -> None:
    """Sends an Input as the Node client does, without a confidence, and one with all members."""
    text = server.profile.phrase("echo")
    node: Frame = {"zoneId": "UTC", "locale": "en", "attributes": {}, "transcript": {"text": text}}
    full: Frame = {
        "locale": "en_US",
        "zoneId": "Europe/Prague",
        "transcript": {"text": text, "confidence": 1.0},
        "alternatives": [{"text": text, "confidence": 0.5}],
        "classes": [{"type": "Intent", "name": "greeting", "score": 0.9, "model_id": "m"}],
        "tokens": [{"type": "Word", "text": text, "classes": [], "startTime": 0.0, "endTime": 0.5}],
        "attributes": {"clientType": "web:1.0", "clientScreen": True, "clientLocation": "lat=50.1,lng=14.4"},
    }
    talk = server.started()
    for held, whose in ((node, "the Node client"), (full, "a client that fills in all members")):
        talk.send({"type": "Input", "input": held})
        talk.answered(f"an Input of {whose}")


@check()
def null_stands_for_the_default(server: V1Caller) -> None:
    """Sends an Input whose optional members are null."""
    nothing = dict.fromkeys(("locale", "zoneId", "alternatives", "classes", "tokens", "action", "attributes"))
    talk = server.started()
    talk.send(frames.said(server.profile.phrase("echo"), **nothing))
    talk.answered("an Input with null members")


@check()
def typed_words_are_not_told_as_recognised(server: V1Caller) -> None:
    """Says something in an Input: no Recognized comes for it."""
    answer = server.started().goes_on("the first turn")
    if "Recognized" in answer.kinds:
        raise Violation("Recognized came for words that were typed")


@check(needs=("czech",))
def the_language_of_a_response_holds(server: V1Caller) -> None:
    """Makes the dialogue change the language, and goes on in it: so does the server."""
    talk = server.started()
    answer = server.arrange(lambda: talk.ask(server.profile.phrase("czech")))
    locale = str(answer.response.get("locale"))
    server.assume("czech", locale.startswith("cs"), f"the locale of the Response is {locale}")
    talk.send(frames.said(server.profile.phrase("echo"), locale=locale))
    found = str(server.arrange(talk.answer).response.get("locale"))
    if not found.startswith("cs"):
        raise Violation(
            f"the next Response has the locale {found}, though nothing has changed the language back"
        )


@check(needs=("later",))
def what_the_server_begins_it_completes(server: V1Caller) -> None:
    """Waits for what the server says of its own accord: a Response completes it."""
    talk = server.started()
    server.arrange(lambda: talk.ask(server.profile.phrase("later")))
    came = talk.receive(4000) or {"type": "(nothing)"}
    begun = came["type"] in (*PARTS, "Response")
    server.assume("later", begun, f"after the answer to the phrase for later came {name(came)}")
    while came["type"] != "Response":
        came = talk.expect(*PARTS, "Response")


# ------------------------------------------------------------ items


@check(needs=("image",))
def an_image_comes_with_a_text(server: V1Caller) -> None:
    """Asks for an image: its item has a text, too, be it empty."""
    talk = server.started()
    items = server.arrange(lambda: talk.ask(server.profile.phrase("image"))).items
    server.assume("image", any(each.get("image") for each in items), "no item has an image")
    if not all(isinstance(each.get("text"), str) for each in items):
        raise Violation("an item has no text; real clients fail without one")


@check(needs=("command",))
def a_command_is_an_item_of_its_own(server: V1Caller) -> None:
    """Asks for a command: the text of its item is nothing but its name, and its code is a text."""
    talk = server.started()
    items = server.arrange(lambda: talk.ask(server.profile.phrase("command"))).items
    commands = [each for each in items if str(each.get("text")).startswith("#")]
    server.assume("command", bool(commands), "no item is a command")
    for each in commands:
        if not re.fullmatch(r"#[\w-]+", each["text"]):
            raise Violation(f"a command is written {each['text']!r:.60}, with more than its name")
        if not isinstance(each.get("code") or "", str):
            raise Violation(f"the code of {each['text']} is no text, but {type(each['code']).__name__}")


# ------------------------------------------------------------ logs and votes


@check()
def logs_are_taken_without_an_answer(server: V1Caller) -> None:
    """Sends log entries with the times of all known clients: nothing comes back, and nothing is lost."""
    talk = server.started()
    for time in TIMES:
        entry = {"time": time, "relativeTime": 1653661144123.0, "level": "INFO", "text": "a log entry"}
        talk.send({"type": "Log", "entries": [entry]})
    talk.stays_quiet("Log")
    talk.goes_on("Log")


@check()
def logs_are_taken_after_the_end(server: V1Caller) -> None:
    """Ends the session and sends a log entry: nothing comes back, and nothing is lost."""
    talk = server.started()
    talk.send(frames.ENDED)
    server.arrange(lambda: talk.expect("SessionEnded"))
    talk.send(frames.log("the session is over"))
    talk.stays_quiet("Log")
    talk.goes_on("Log")


@check()
def votes_are_taken_without_an_answer(server: V1Caller) -> None:
    """Sends votes on a turn, as the browser client of 2023: nothing comes back, and nothing is lost."""
    talk = server.started()
    talk.send({"type": "Vote", "nodeId": 1, "vote": 1})
    talk.send({"type": "Vote", "turnId": "turn", "vote": -1})
    talk.stays_quiet("Vote")
    talk.goes_on("Vote")

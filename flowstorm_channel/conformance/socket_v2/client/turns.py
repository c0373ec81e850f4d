"""What is typed, and what is shown."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.client.suite import (
    STAYS,
    check,
    goes_on,
    must_show,
    speaks_events,
)
from flowstorm_channel.conformance.socket_v2.incoming import answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check(needs=("say",))
def every_input_is_a_put_of_its_own(server: V2Listener) -> None:
    """Says three things, one after the other: each comes in a PUT whose body has an end."""
    for number in ("one", "two", "three"):
        text = f"This is number {number}."
        request = server.heard(text)
        if request is None:
            came = ", ".join(map(str, server.requests)) or "no request"
            raise Violation(f"no PUT with the text {text!r} came to its end; there came: {came}")
        if len(request.texts) > 1:
            raise Violation(f"{len(request.texts)} inputs stand in one PUT")
        server.answer(request, answer_of(f"You said {number}."))


@check(needs=("say",))
def a_text_arrives_as_it_was_typed(server: V2Listener) -> None:
    """Types what needs care in JSON and in UTF-8: it has to arrive character by character."""
    server.turn("Plain words.")
    text = 'Dvě kávy, "5 €" \\ 100 % & <b> 😀'
    if server.heard(text) is None:
        came = [each for request in server.requests for each in request.texts]
        raise Violation(f"{text!r} was typed, and there came {came[-1]!r}")


@check(needs=("say",))
def a_response_is_shown(server: V2Listener) -> None:
    """Answers with a Response that holds two items: both have to be shown, in order."""
    server.shows()
    server.turn("Show me something.", answer_of("First comes amber.", "Then comes basalt."))
    must_show(server, "amber", "the first item of a Response")
    must_show(server, "basalt", "the second item of a Response")
    if server.place_of("amber") > server.place_of("basalt"):  # type: ignore[operator]
        raise Violation("the second item of a Response was shown before the first")


@check(needs=("say",))
def items_are_shown_as_they_come(server: V2Listener) -> None:
    """Answers with an item, and is silent for a while: the item has to be shown before the Response comes."""
    server.shows()
    request = server.said("Begin at once.")
    request.begin()
    request.write(frames.item("Here is granite."))
    early = server.is_shown("granite")
    request.write(answer_of())
    request.finish()
    if not early:
        raise Violation("an item was not shown while the response went on")


@check(needs=("say",))
def single_items_come_before_those_of_the_response(server: V2Listener) -> None:
    """Answers with two items one by one, and a third in the Response: all have to be shown, in that order."""
    server.shows()
    words = ("marble", "onyx", "quartz")
    first, second, third = words
    server.turn("Say three things.", frames.item(first), frames.item(second), answer_of(third))
    for each in words:
        must_show(server, each, f"{each!r}, one of the three items,")
    places = [server.place_of(each) or (0, 0) for each in words]
    if places != sorted(places):
        raise Violation("items that came one by one and those of the Response were not shown in order")


@check(needs=("say",))
def a_turn_without_anything_to_play_ends(server: V2Listener) -> None:
    """Answers with nothing, and with nothing but a command: the user has to be able to go on after each."""
    request = server.said("Say nothing.")
    request.answer(answer_of())  # and nobody says that it has been played: there is nothing
    goes_on(server, "after a Response without items")
    request = server.said("Only do something.")
    request.answer(frames.item("#volume", code="up"), answer_of())
    goes_on(server, "after a Response with nothing but a command")


@check(needs=("say",))
def the_language_of_a_response_is_that_of_the_next_input(server: V2Listener) -> None:
    """Answers in Czech: the next input says so, in itself or in its Accept-Language."""
    speaks_events(server.turn("Speak Czech.", answer_of("Dobře.", locale="cs")))
    request = server.said("And now?")
    held = next((each.get("input") for each in request.frames if each["type"] == "Input"), None)
    inside = held.get("locale") if isinstance(held, dict) else None
    named = inside or request.head.header("Accept-Language") or ""
    if not str(named).lower().startswith("cs"):
        raise Violation(f"after a Response whose locale is cs the next input is in {named!r}")


@check(needs=("say", "log"))
def logs_go_out_beside_a_running_turn(server: V2Listener) -> None:
    """Logs something while an answer is awaited: it comes in a PUT of its own, and the turn goes on."""
    request = server.said("Think about it.")
    server.act("log", "the kit was here")
    found = server.seen(lambda: [each for each in server.requests if each.is_log and each.frames])
    server.assume("log", found is not None, "no PUT with logs came")
    server.let_pass(STAYS)
    if request.gone:
        raise Violation("the PUT of the running turn was broken off for logs")
    server.answer(request, frames.item("It is obsidian."), answer_of())
    if server.driver.shown() is not None:
        must_show(server, "obsidian", "the answer that was awaited while logs went out")
    goes_on(server, "after logs")

"""What is said, and what is shown."""

from __future__ import annotations

import json

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.client.suite import ERROR, check, goes_on, must_show
from flowstorm_channel.conformance.socket_v1.listener import QUIET, Listener, input_in
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []


@check(needs=("say",))
def what_the_user_says_is_sent(server: Listener) -> None:
    """Says three things, one after the other: each has to come once, and is answered."""
    talk = server.begun()
    for number in ("one", "two", "three"):
        text = f"This is number {number}."
        server.asked(talk, text)
        again = [frame for frame in talk.during(QUIET) if input_in(frame) == text]
        if again:
            raise Violation(f"{text!r} was sent twice")
        server.answer(talk, f"You said {number}.")


@check(needs=("say",))
def a_text_arrives_as_it_was_typed(server: Listener) -> None:
    """Types what needs care in JSON and in UTF-8: it has to arrive character by character."""
    server.asked(server.begun(), 'Dvě kávy, "5 €" \\ 100 % & <b> 😀')


@check(needs=("say",))
def a_response_is_shown(server: Listener) -> None:
    """Answers with a Response that holds two items: both have to be shown."""
    server.showing()
    talk = server.begun()
    server.turn(talk, "Show me something.", "First comes amber.", "Then comes basalt.")
    must_show(server, "amber", "the first item of a Response")
    must_show(server, "basalt", "the second item of a Response")


@check(needs=("say",))
def items_are_shown_as_they_come(server: Listener) -> None:
    """Answers with an item, and is silent for a while: the item has to be shown before the Response comes."""
    server.showing()
    talk = server.begun()
    if not talk.takes_items:
        raise NotDeclared("the client does not ask for items one by one")
    server.arrange(lambda: server.asked(talk, "Begin at once."))
    talk.send(frames.item("Here is granite."))
    must_show(server, "granite", "an item that came before its Response")
    server.answer(talk)


@check(needs=("say",))
def a_response_with_nothing_to_play_frees_the_user(server: Listener) -> None:
    """Answers with a Response that holds nothing: the user can go on, though nothing is ever played."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Say nothing."))
    talk.send(frames.response())
    goes_on(server, talk, "after a Response with nothing to play")


@check(needs=("say",))
def a_command_without_words_frees_the_user(server: Listener) -> None:
    """Answers with a command only: the user can go on."""
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Louder."))
    talk.say(frames.item("#volume", code="up"), frames.response())
    goes_on(server, talk, "after a Response with nothing but a command")


@check()
def what_the_server_says_by_itself_is_shown(server: Listener) -> None:
    """Sends an item and a Response while nobody has asked anything: the item has to be shown."""
    server.showing()
    talk = server.begun()
    talk.say(frames.item("By the way: flint."), frames.response())
    must_show(server, "flint", "what the server said of its own accord")
    server.played()


@check(needs=("say",))
def a_spoken_end_is_played_first(server: Listener) -> None:
    """Ends the session with words in the Response, and SessionEnded behind it: the words have to be shown."""
    server.showing()
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Goodbye."))
    talk.say(frames.response("Farewell, and take the agate.", sessionEnded=True), frames.ENDED)
    must_show(server, "agate", "the last answer of a session")


@check(needs=("say",))
def an_error_is_shown(server: Listener) -> None:
    """Answers an input with Error: its text has to be shown."""
    server.showing()
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Go wrong."))
    talk.send(ERROR)
    must_show(server, ERROR["text"], "the text of an Error")


@check(needs=("say",), seconds=17, timing=True)
def a_server_that_does_not_answer_is_given_up(server: Listener) -> None:
    """Leaves an input that was interrupted, and the one after it, unanswered for sixteen seconds: what comes
    then has to be shown."""
    server.showing()
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, "Are you listening?"))
    server.arrange(lambda: server.asked(talk, "Hello?"))
    server.pass_time(16_000)
    talk.say(frames.item("Sorry, here is slate."), frames.response())
    must_show(server, "slate", "what a server says after sixteen seconds without an answer")


@check(needs=("say", "log"))
def log_entries_are_sent(server: Listener) -> None:
    """Has the program log something: a Log with an entry of it has to come, and nothing changes."""
    talk = server.begun()
    server.driver.act("log", "seen by the kit")
    found = talk.comes("Log")
    if "seen by the kit" not in json.dumps(found):
        raise Violation(f"the program logged something, and there came {found!r:.80}")
    goes_on(server, talk, "after a Log")


@check(needs=("say",))
def the_language_of_a_response_is_taken(server: Listener) -> None:
    """Answers in another language: the next Input has to be in it."""
    talk = server.begun()
    server.turn(talk, "Say it in Czech.", "Prosím.", locale="cs_CZ")
    held = server.asked(talk, "Ještě jednou.").get("input")
    locale = held.get("locale") if isinstance(held, dict) else None
    if not str(locale).startswith("cs"):
        raise Violation(f"after a Response in cs_CZ, the next Input has the locale {locale!r}")


@check(needs=("vote",))
def a_vote_is_sent(server: Listener) -> None:
    """Has the user like the last turn: Vote has to come, with 1."""
    talk = server.begun()
    server.driver.act("vote")
    found = talk.comes("Vote")
    if found is None or found.get("vote") != 1:
        raise Violation(f"the user liked the last turn, and there came {found!r:.80}")

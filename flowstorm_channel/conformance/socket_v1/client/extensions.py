"""What a client does not know, and what it must not mind."""

from __future__ import annotations

import json

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.client.suite import check, goes_on, must_show
from flowstorm_channel.conformance.socket_v1.listener import Accepted, Listener

__all__: list[str] = []


def _asked(server: Listener, text: str = "Show me something.") -> Accepted:
    talk = server.begun()
    server.arrange(lambda: server.asked(talk, text))
    return talk


@check(needs=("say",))
def unknown_events_are_passed_over(server: Listener) -> None:
    """Sends events of types that nobody knows, before and in an answer: the user can go on."""
    talk = _asked(server)
    novelty = {"type": "Novelty", "detail": {"deep": [1, 2.5, None]}}
    talk.say(novelty, frames.item("Here is topaz."), novelty, frames.response())
    if server.driver.shown() is not None:
        must_show(server, "topaz", "an item beside unknown events")
    server.played()
    goes_on(server, talk, "after unknown events")


@check(needs=("say",))
def unknown_members_are_passed_over(server: Listener) -> None:
    """Answers with members that nobody knows, in events and in values: the answer has to be shown."""
    server.showing()
    talk = _asked(server)
    talk.send({**frames.item("Here is garnet.", future={"x": [1]}), "more": True})
    talk.send({**frames.response("And beryl.", future="x"), "more": None})
    must_show(server, "garnet", "an item with unknown members")
    must_show(server, "beryl", "a Response with unknown members")


@check(needs=("say",))
def members_may_be_left_out(server: Listener) -> None:
    """Answers with nothing but what the protocol requires: it has to be shown, and the user can go on."""
    server.showing()
    talk = _asked(server)
    talk.say({"type": "ResponseItem", "responseItem": {"text": "Here is peridot."}})
    talk.say({"type": "Response", "response": {}})
    must_show(server, "peridot", "an item without optional members")
    server.played()
    goes_on(server, talk, "after a Response without optional members")


@check(needs=("say",))
def null_means_the_default(server: Listener) -> None:
    """Answers with null in all optional members: the answer has to be shown, and the user can go on."""
    server.showing()
    talk = _asked(server)
    nothing = dict.fromkeys(("ssml", "image", "audio", "video", "code", "background", "ttsConfig", "nodeId"))
    talk.send(frames.item("Here is citrine.", **nothing))
    names = ("locale", "items", "logs", "attributes", "sttMode", "expectedPhrases", "sleepTimeout", "turnId")
    talk.send({"type": "Response", "response": dict.fromkeys((*names, "sessionEnded"))})
    must_show(server, "citrine", "an item with null members")
    server.played()
    goes_on(server, talk, "after a Response with null members")


@check(needs=("say",))
def long_spellings_are_taken(server: Listener) -> None:
    """Answers with ResponseItemEvent and ResponseEvent: it has to be shown, and the user can go on."""
    server.showing()
    talk = _asked(server)
    talk.send({**frames.item("Here is spinel."), "type": "ResponseItemEvent"})
    talk.send({**frames.response(), "type": "ResponseEvent"})
    must_show(server, "spinel", "an item whose type is spelled ResponseItemEvent")
    server.played()
    goes_on(server, talk, "after a ResponseEvent")


@check(needs=("say",))
def keep_alives_are_passed_over(server: Listener) -> None:
    """Sends empty binary frames in a turn: nothing is shown for them, and the user can go on."""
    talk = _asked(server)
    talk.say(b"", frames.item("Here is zinc."), b"", frames.response(), b"")
    if server.driver.shown() is not None:
        must_show(server, "zinc", "an item beside empty binary frames")
    server.played()
    goes_on(server, talk, "after empty binary frames")


@check(needs=("say",))
def all_of_unicode_is_shown(server: Listener) -> None:
    """Answers with letters of several scripts, escaped and not: they have to be shown."""
    server.showing()
    talk = _asked(server)
    talk.send(json.dumps(frames.response("Žádný problém, tady je křemen 😀."), ensure_ascii=False))
    server.played()
    server.arrange(lambda: server.asked(talk, "And escaped?"))
    talk.send(json.dumps(frames.response("Děkuji 😀.")))
    must_show(server, "tady je křemen 😀", "a text with letters beyond ASCII")
    must_show(server, "Děkuji 😀", "a text with escaped letters beyond ASCII")


@check(needs=("say",))
def large_answers_are_taken(server: Listener) -> None:
    """Answers with an item of a hundred thousand characters, and with two hundred items: all is shown."""
    server.showing()
    talk = _asked(server)
    talk.send(frames.item("long " * 20_000 + "lapis"))
    talk.say(*(frames.item(f"Part {number}.") for number in range(200)), frames.response("At last: cobalt."))
    must_show(server, "lapis", "an item of a hundred thousand characters")
    must_show(server, "cobalt", "what came behind two hundred items")

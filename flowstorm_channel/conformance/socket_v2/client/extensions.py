"""What is new to a client, and what is missing."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2.client.suite import check, goes_on, must_show, speaks_events
from flowstorm_channel.conformance.socket_v2.incoming import answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener

__all__: list[str] = []


@check(needs=("say",))
def unknown_events_are_passed_over(server: V2Listener) -> None:
    """Sends events of an unknown type before and behind an item: the answer is shown, the user can go on."""
    novelty: Frame = {"type": "Novelty", "novelty": {"of": ["the", "year", 2040]}, "items": None}
    item = frames.item("Nothing but coral.")
    speaks_events(server.turn("What is new?", novelty, item, {"type": "Heartbeat"}, answer_of()))
    if server.driver.shown() is not None:
        must_show(server, "coral", "an item between events of unknown types")
    goes_on(server, "after events of unknown types")


@check(needs=("say",))
def unknown_members_are_passed_over(server: V2Listener) -> None:
    """Sends members that nobody knows: the answer is shown, the user can go on."""
    item = frames.item("Still ivory.", mood="bright", novelty={"deep": [1, None]})
    news: Frame = {**item, "sequence": 7}
    speaks_events(server.turn("What is new?", news, answer_of(novelty=True, hints=[{"a": 1}])))
    if server.driver.shown() is not None:
        must_show(server, "ivory", "an item with unknown members")
    goes_on(server, "after unknown members")


@check(needs=("say",))
def members_that_are_missing_or_null_have_defaults(server: V2Listener) -> None:
    """Answers with a Response that lacks all that may be lacking, and with one full of nulls."""
    brief: Frame = {"type": "Response", "response": {"items": [{"text": "Briefly, opal."}]}}
    speaks_events(server.turn("Be brief.", brief))
    if server.driver.shown() is not None:
        must_show(server, "opal", "the item of a Response that has no other members")
    server.turn("Be briefer.", {"type": "Response", "response": {}})
    goes_on(server, "after a Response without members")
    names = (
        "locale",
        "logs",
        "attributes",
        "sttMode",
        "expectedPhrases",
        "sessionEnded",
        "sleepTimeout",
        "turnId",
    )
    item = {"text": "Nothing but garnet.", **dict.fromkeys(("ssml", "image", "audio", "code", "ttsConfig"))}
    nulls: Frame = {"type": "Response", "response": {"items": [item], **dict.fromkeys(names)}}
    server.turn("And without anything?", nulls)
    if server.driver.shown() is not None:
        must_show(server, "garnet", "an item in a Response, both full of nulls")
    server.turn("And still less?", {"type": "Response", "response": {"items": None}})
    goes_on(server, "after a Response whose items are null")


@check(needs=("say",))
def long_names_of_events_are_understood(server: V2Listener) -> None:
    """Answers with ResponseItemEvent and ResponseEvent: they are the same events under their long names."""
    server.shows()
    request = server.said("Spell it.")
    speaks_events(request)
    item, response = frames.item("Spelt at length: beryl."), answer_of()
    server.answer(request, {**item, "type": "ResponseItemEvent"}, {**response, "type": "ResponseEvent"})
    must_show(server, "beryl", "the item of a ResponseItemEvent")
    goes_on(server, "after a ResponseEvent")

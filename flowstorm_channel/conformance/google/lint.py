"""What can be said of a webhook of Google Assistant by looking at its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowstorm_channel.conformance.google.peer import Answer, version_of
from flowstorm_channel.conformance.webhook import (
    Exchange,
    Tree,
    WebhookLinter,
    at,
    dumped,
    members,
    objects,
    strings_in,
)

__all__ = ["SERVER_RULES", "GoogleLinter"]

SERVER_RULES: Mapping[str, str] = {
    "answers_are_json": "an answer is a JSON object of the request's version",
    "something_is_said_first": "the first item is a simple response in which something is said",
    "speech_is_well_formed": "SSML is one well-formed document in <speak>",
    "there_are_two_bubbles_and_a_card_at_most": "there are at most two simple responses and one rich item",
    "bubbles_fit": "a bubble shows at most 640 characters",
    "cards_are_complete": "a card has a text or an image, and an image has an address and a description",
    "nothing_is_shown_without_a_screen": "cards and suggestions go only to devices with a screen",
    "suggestions_fit": "there are at most eight suggestions, all different, of at most 25 characters",
    "no_suggestions_at_the_end": "a final response has no suggestions",
    "an_end_is_an_end": "an input is expected, or there is a final response",
    "a_goodbye_is_short": "CANCEL is answered with one simple response of at most 60 characters",
    "the_session_is_that_of_the_request": "session.id is that of the request",
    "no_slots_are_invented": "only slots of the request are returned",
    "what_is_stored_fits": "at most 10 KB are stored with a user",
}

MOST_TEXT = 640
MOST_GOODBYE = 60
MOST_SUGGESTIONS = 8
MOST_SUGGESTION = 25
MOST_STORED = 10_000
_CARDS = ("basicCard", "card", "image")
_SCREENS = {"2": "actions.capability.SCREEN_OUTPUT", "3": "RICH_RESPONSE"}


class GoogleLinter(WebhookLinter):
    """Reads the wires of a webhook."""

    def _look(self, exchange: Exchange) -> None:
        version = version_of(exchange.request)
        if version is None:
            return  # whatever it answers to that, it is no answer to Google
        answer = Answer(version=version, reply=exchange.reply)
        members = ("prompt", "session", "scene") if version == "3" else ("expectedInputs", "finalResponse")
        complete = any(each in answer.tree for each in members)
        if not self._is_json(exchange.reply, complete, f"an object with {' or '.join(members)}"):
            return
        self._look_at_speech(answer)
        self._look_at_cards(exchange.request, answer)
        self._look_at_suggestions(answer)
        if version == "2":
            self._look_at_version_2(exchange.request, answer)
        else:
            self._look_at_version_3(exchange.request, answer)

    def _look_at_speech(self, answer: Answer) -> None:
        bubbles = answer.bubbles
        if answer.version == "2":
            first = objects(answer.rich, "items")[:1]
            begins = bool(first) and "simpleResponse" in first[0]
        else:
            begins = "firstSimple" in answer.prompt or not answer.prompt
        problem = "" if begins else "the first item is no simple response"
        problem = problem or next((each.problem for each in bubbles if each.problem), "")
        self._rule("something_is_said_first", not problem, problem)
        for each in bubbles:
            self._rule("speech_is_well_formed", not each.speech.problem, each.speech.problem)
            if answer.version == "2":
                size = len(each.text)
                self._rule("bubbles_fit", size <= MOST_TEXT, f"{size} characters of at most {MOST_TEXT}")

    def _look_at_cards(self, request: Tree, answer: Answer) -> None:
        cards = answer.cards
        if answer.version == "2":
            said = len(answer.bubbles)
            held = said <= 2 and len(cards) <= 1
            text = f"{said} simple responses and {len(cards)} rich items"
            self._rule("there_are_two_bubbles_and_a_card_at_most", held, text)
        for kind, card in cards:
            if kind in _CARDS:
                self._first("cards_are_complete", _problems_of_card(kind, card))
        if not _has_screen(request):
            held = not cards and not answer.suggestions
            self._rule("nothing_is_shown_without_a_screen", held, "a card, or suggestions, without a screen")

    def _look_at_suggestions(self, answer: Answer) -> None:
        found = answer.suggestions
        if found:
            long = [each for each in found if len(each) > MOST_SUGGESTION]
            held = len(found) <= MOST_SUGGESTIONS and len(set(found)) == len(found) and not long
            self._rule("suggestions_fit", held, f"{len(found)} suggestions: {', '.join(found)}")

    def _look_at_version_2(self, request: Tree, answer: Answer) -> None:
        tree = answer.tree
        if answer.ends:
            self._rule("no_suggestions_at_the_end", not answer.suggestions, "suggestions in a final response")
            held = "finalResponse" in tree and not tree.get("expectedInputs")
            self._rule(
                "an_end_is_an_end", held, "no response is expected, and there is no finalResponse alone"
            )
        else:
            held = "finalResponse" not in tree and bool(at(tree, "expectedInputs", 0, "possibleIntents"))
            self._rule(
                "an_end_is_an_end", held, "a response is expected, and there are no expectedInputs alone"
            )
        if at(request, "inputs", 0, "intent") == "actions.intent.CANCEL":
            bubbles = answer.bubbles
            sizes = [max(len(each.text), len(each.speech.text)) for each in bubbles]
            held = len(bubbles) == 1 and not answer.cards and sizes[0] <= MOST_GOODBYE
            self._rule("a_goodbye_is_short", held, f"simple responses of {sizes} characters")
        storage = tree.get("userStorage")
        if storage is not None:
            self._look_at_storage(len(str(storage).encode()))

    def _look_at_version_3(self, request: Tree, answer: Answer) -> None:
        tree = answer.tree
        if "session" in tree:
            asked, found = at(request, "session", "id"), at(tree, "session", "id")
            self._rule("the_session_is_that_of_the_request", found == asked, f"session.id is {found!r:.80}")
        if "scene" in tree:
            invented = set(members(tree, "scene", "slots")) - set(members(request, "scene", "slots"))
            self._rule("no_slots_are_invented", not invented, f"slots of nobody's: {sorted(invented)}")
        params = at(tree, "user", "params")
        if params is not None:
            self._look_at_storage(len(dumped(params)))

    def _look_at_storage(self, size: int) -> None:
        self._rule("what_is_stored_fits", size <= MOST_STORED, f"{size} bytes of at most {MOST_STORED}")


def _has_screen(request: Tree) -> bool:
    if version_of(request) == "3":
        return _SCREENS["3"] in strings_in(at(request, "device", "capabilities"))
    names = [each.get("name") for each in objects(request, "surface", "capabilities")]
    return _SCREENS["2"] in names


def _problems_of_card(kind: str, card: object) -> Iterator[str]:
    """Of a basicCard; of a card or an image in version 3. Other rich items have forms of their own."""
    image = card if kind == "image" else at(card, "image")
    if image is not None:
        for name in ("url", "accessibilityText" if kind == "basicCard" else "alt"):
            if not at(image, name):
                yield f"an image has no {name}"
    elif not at(card, "formattedText" if kind == "basicCard" else "text"):
        yield "a card has neither a text nor an image"

"""What can be said of a skill by looking at its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowstorm_channel.conformance.alexa.peer import Answer, speech_of
from flowstorm_channel.conformance.webhook import Exchange, Tree, WebhookLinter, at, members, objects

__all__ = ["SERVER_RULES", "AlexaLinter"]

SERVER_RULES: Mapping[str, str] = {
    "answers_are_json": "an answer is a JSON object with version and response",
    "answers_fit": "an answer has at most 24 KB",
    "speech_has_its_text": "speech is PlainText with a text, or SSML in one <speak>",
    "speech_fits": "speech has at most 8000 characters",
    "cards_have_a_known_form": "a card is of a known type, with the members of that type only",
    "cards_fit": "a card has at most 8000 characters, and addresses of pictures 2000",
    "addresses_are_https": "pictures and videos are fetched by HTTPS",
    "directives_suit_the_device": "directives go only to devices that have the interface",
    "no_end_is_told_beside_a_video": "with VideoApp.Launch shouldEndSession is omitted",
    "a_session_goes_on_with_something": "shouldEndSession is false only with something said, shown or done",
    "there_is_a_reprompt_when_the_user_is_asked": "when the session goes on with speech, there is a reprompt",
    "nothing_is_said_when_the_session_has_ended": "SessionEndedRequest is answered without content",
    "nothing_is_said_outside_of_sessions": "requests outside of sessions are answered without speech or card",
    "can_fulfill_answers_nothing_else": "canFulfillIntent answers CanFulfillIntentRequest only",
}

MOST_BYTES = 24 * 1024
MOST_SPEECH = 8000
MOST_CARD = 8000
MOST_ADDRESS = 2000
_CONTENT = ("outputSpeech", "card", "directives")
_CARDS: Mapping[str, tuple[str, ...]] = {
    "Simple": ("type", "title", "content"),
    "Standard": ("type", "title", "text", "image"),
    "LinkAccount": ("type",),
    "AskForPermissionsConsent": ("type", "permissions"),
}
_INTERFACES = (
    "VideoApp",
    "Display",
    "Alexa.Presentation.APL",
    "Alexa.Presentation.APLT",
    "Alexa.Presentation.HTML",
)


class AlexaLinter(WebhookLinter):
    """Reads the wires of a skill."""

    def _look(self, exchange: Exchange) -> None:
        kind = at(exchange.request, "request", "type")
        if not isinstance(kind, str):
            return  # whatever it answers to that, it is no answer to Alexa
        reply = exchange.reply
        if not self._is_json(reply, _is_answer(reply.tree), "an object with version and response"):
            return
        response = Answer(reply=reply).response
        size = len(reply.body)
        self._rule("answers_fit", size <= MOST_BYTES, f"an answer of {size} bytes, of at most {MOST_BYTES}")
        self._look_at_speech(response)
        self._look_at_cards(response)
        self._look_at_directives(exchange.request, response)
        self._look_at_the_end(response, is_long=size > MOST_BYTES // 2)
        self._look_at_the_place(kind, "session" in exchange.request, response)

    def _look_at_speech(self, response: Tree) -> None:
        for speech in (response.get("outputSpeech"), at(response, "reprompt", "outputSpeech")):
            if speech is not None:
                self._first("speech_has_its_text", _problems_of_speech(speech))
                text = at(speech, "ssml") or at(speech, "text")
                size = len(text) if isinstance(text, str) else 0
                self._rule("speech_fits", size <= MOST_SPEECH, f"{size} characters of at most {MOST_SPEECH}")

    def _look_at_cards(self, response: Tree) -> None:
        card = response.get("card")
        if card is None:
            return
        self._first("cards_have_a_known_form", _problems_of_card(card))
        texts = [at(card, each) for each in ("title", "content", "text")]
        size = sum(len(each) for each in texts if isinstance(each, str))
        long = [each for each in _addresses_of_card(card) if len(each) > MOST_ADDRESS]
        held = size <= MOST_CARD and not long
        self._rule(
            "cards_fit", held, f"a card of {size} characters, and addresses of {[len(each) for each in long]}"
        )
        for address in _addresses_of_card(card):
            self._look_at_address(address)

    def _look_at_directives(self, request: Tree, response: Tree) -> None:
        supported = members(request, "context", "System", "device", "supportedInterfaces")
        for each in objects(response, "directives"):
            kind = str(each.get("type"))
            interface = kind.rpartition(".")[0]
            if interface in _INTERFACES:
                held = interface in supported
                self._rule("directives_suit_the_device", held, f"{kind} goes to a device without {interface}")
            if kind == "VideoApp.Launch":
                held = response.get("shouldEndSession") is None
                self._rule("no_end_is_told_beside_a_video", held, "shouldEndSession stands beside a video")
                self._look_at_address(str(at(each, "videoItem", "source")))
            for image in ("image", "backgroundImage"):
                for source in objects(each, "template", image, "sources"):
                    self._look_at_address(str(source.get("url")))

    def _look_at_address(self, address: str) -> None:
        self._rule(
            "addresses_are_https", address.lower().startswith("https://"), f"{address!r:.100} is not HTTPS"
        )

    def _look_at_the_end(self, response: Tree, *, is_long: bool) -> None:
        if response.get("shouldEndSession") is False:
            content = [each for each in _CONTENT if response.get(each)]
            self._rule("a_session_goes_on_with_something", bool(content), "a session goes on with nothing")
            if response.get("outputSpeech") and not is_long:  # there may be no room for a reprompt
                held = bool(at(response, "reprompt", "outputSpeech"))
                self._rule("there_is_a_reprompt_when_the_user_is_asked", held, "there is no reprompt")

    def _look_at_the_place(self, kind: str, in_session: bool, response: Tree) -> None:
        found = [each for each in (*_CONTENT, "reprompt") if response.get(each)]
        if kind == "SessionEndedRequest":
            self._rule(
                "nothing_is_said_when_the_session_has_ended", not found, f"answered with {', '.join(found)}"
            )
        elif kind == "CanFulfillIntentRequest":
            return
        elif not in_session:
            found = [each for each in found if each != "directives"]
            self._rule(
                "nothing_is_said_outside_of_sessions", not found, f"{kind} answered with {', '.join(found)}"
            )
        held = "canFulfillIntent" not in response
        self._rule("can_fulfill_answers_nothing_else", held, f"canFulfillIntent in the answer to {kind}")


def _is_answer(tree: Tree) -> bool:
    return isinstance(tree.get("version"), str) and isinstance(tree.get("response"), dict)


def _problems_of_speech(speech: object) -> Iterator[str]:
    member = {"PlainText": "text", "SSML": "ssml"}.get(str(at(speech, "type")))
    if member is None:
        yield f"speech of the type {at(speech, 'type')!r:.40}, not PlainText or SSML"
    elif not isinstance(at(speech, member), str):
        yield f"{at(speech, 'type')} without {member}"
    else:
        problem = speech_of(speech).problem
        yield from (problem,) if problem else ()


def _problems_of_card(card: object) -> Iterator[str]:
    kind = at(card, "type")
    known = _CARDS.get(str(kind))
    if known is None:
        yield f"there is no card of the type {kind!r:.40}"
    else:
        yield from (f"a {kind} card has no {name}" for name in members(card) if name not in known)


def _addresses_of_card(card: object) -> list[str]:
    return [each for each in members(card, "image").values() if isinstance(each, str)]

"""Webhooks of Google Assistant that say or show what the platform does not take."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from flowstorm_channel.answers import Unsent
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.google.broken_servers.faults import fault, rich_of, simples_of
from flowstorm_channel.conformance.webhook import Tree, at, objects
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.values import Response


@fault("answers-in-html")
class _AnswersInHtml(GoogleAssistantServer):
    """Leaves the content type of answers to its framework."""

    @property
    def _content_type(self) -> str:
        return "text/html; charset=utf-8"


@fault("forgets-speak")
class _ForgetsSpeak(Faulty, GoogleAssistantServer):
    """Does not put SSML into <speak>."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            if "ssml" in each:
                each["ssml"] = each["ssml"].replace("<speak>", "<p>").replace("</speak>", "</p>")
        return answer


@fault("does-not-escape")
class _DoesNotEscape(Faulty, GoogleAssistantServer):
    """Puts what the dialogue says into SSML as it is."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            for name in {"ssml", "speech"} & set(each):
                each[name] = html.unescape(each[name])
        return answer


@fault("speaks-twice")
class _SpeaksTwice(Faulty, GoogleAssistantServer):
    """Gives both SSML and text in one bubble."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            if "ssml" in each:
                each["textToSpeech"] = "the same once more"
        return answer


@fault("reads-commands-out")
class _ReadsCommandsOut(GoogleAssistantServer):
    """Says the commands of the dialogue like its words."""

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        said = [each.replace(text=f"{each.text} ") if each.command else each for each in response.items]
        return super()._compose(response.replace(items=tuple(said)))


@fault("shows-every-text")
class _ShowsEveryText(Faulty, GoogleAssistantServer):
    """Shows in a bubble all that is said, however long it is."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            each["displayText" if "displayText" in each else "text"] = each.get("ssml") or each.get("speech")
        return answer


@fault("shows-several-cards")
class _ShowsSeveralCards(Faulty, GoogleAssistantServer):
    """Makes a card of every picture."""

    def spoil(self, answer: Tree) -> Tree:
        items = rich_of(answer).get("items", [])
        items += [each for each in items if "basicCard" in each]
        return answer


@fault("describes-no-images")
class _DescribesNoImages(Faulty, GoogleAssistantServer):
    """Gives images without a text for those who cannot see them."""

    def spoil(self, answer: Tree) -> Tree:
        cards = [each.get("basicCard") for each in objects(rich_of(answer), "items")]
        for each in (*cards, at(answer, "prompt", "content", "card")):
            for name in ("accessibilityText", "alt"):
                (at(each, "image") or {}).pop(name, None)
        return answer


@fault("makes-empty-cards")
class _MakesEmptyCards(Faulty, GoogleAssistantServer):
    """Makes cards that have a title only."""

    def spoil(self, answer: Tree) -> Tree:
        cards = [each.get("basicCard") for each in objects(rich_of(answer), "items")]
        for each in (*cards, at(answer, "prompt", "content", "card")):
            for name in ("formattedText", "text"):
                (each or {}).pop(name, None)
        return answer


@fault("only-speaks")
class _OnlySpeaks(Faulty, GoogleAssistantServer):
    """Shows neither cards nor suggestions."""

    def spoil(self, answer: Tree) -> Tree:
        rich = rich_of(answer)
        rich.pop("suggestions", None)
        rich["items"] = [each for each in objects(rich, "items") if "simpleResponse" in each]
        for name in ("content", "suggestions"):
            answer.get("prompt", {}).pop(name, None)
        return answer


@fault("sees-a-screen-everywhere")
class _SeesAScreenEverywhere(Faulty, GoogleAssistantServer):
    """Shows cards and suggestions on speakers."""

    def naive(self, tree: Any) -> None:
        if "surface" in tree:
            tree["surface"]["capabilities"].append({"name": "actions.capability.SCREEN_OUTPUT"})
        else:
            tree.get("device", {}).get("capabilities", []).append("RICH_RESPONSE")


@fault("suggests-whole-sentences")
class _SuggestsWholeSentences(Faulty, GoogleAssistantServer):
    """Makes suggestions of any length and number."""

    def spoil(self, answer: Tree) -> Tree:
        chips = rich_of(answer).get("suggestions") or answer.get("prompt", {}).get("suggestions") or []
        chips.append({"title": "something that takes far too long to say"})
        return answer


@fault("suggests-at-the-end")
class _SuggestsAtTheEnd(Faulty, GoogleAssistantServer):
    """Suggests what to say when nothing can be said any more."""

    def spoil(self, answer: Tree) -> Tree:
        if "finalResponse" in answer:
            answer["finalResponse"]["richResponse"]["suggestions"] = [{"title": "again"}]
        return answer


@fault("gives-up-long-answers")
class _GivesUpLongAnswers(Faulty, GoogleAssistantServer):
    """Replaces an answer that is too long for a bubble by an apology."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            for name in {"ssml", "speech"} & set(each):
                if len(each[name]) > 1000:
                    each[name] = "<speak>Sorry.</speak>"
        return answer

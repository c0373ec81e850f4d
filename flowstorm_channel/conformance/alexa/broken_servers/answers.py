"""Skills that say or show what the platform does not take."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.alexa.answers import AlexaLimits
from flowstorm_channel.answers import Unsent
from flowstorm_channel.conformance.alexa.broken_servers.faults import fault
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.webhook import Tree, at, dumped
from flowstorm_channel.testing.alexa import ECHO_SHOW
from flowstorm_channel.values import Response


@fault("answers-in-html")
class _AnswersInHtml(AlexaServer):
    """Leaves the content type of answers to its framework."""

    @property
    def _content_type(self) -> str:
        return "text/html; charset=utf-8"


@fault("does-not-escape")
class _DoesNotEscape(Faulty, AlexaServer):
    """Puts what the dialogue says into SSML as it is."""

    def spoil(self, answer: Tree) -> Tree:
        speech = answer["response"].get("outputSpeech")
        if speech is not None:
            speech["ssml"] = html.unescape(speech["ssml"])
        return answer


@fault("reads-commands-out")
class _ReadsCommandsOut(AlexaServer):
    """Says the commands of the dialogue like its words."""

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        said = [each.replace(text=f"{each.text} ") if each.command else each for each in response.items]
        return super()._compose(response.replace(items=tuple(said)))


@fault("speaks-without-type")
class _SpeaksWithoutType(Faulty, AlexaServer):
    """Does not say whether its speech is text or SSML."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"].get("outputSpeech", {}).pop("type", None)
        return answer


@fault("sends-no-cards")
class _SendsNoCards(Faulty, AlexaServer):
    """Can only speak: cards and pictures are lost."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"].pop("card", None)
        return answer


@fault("sends-no-directives")
class _SendsNoDirectives(Faulty, AlexaServer):
    """Sends no directives: there are no videos, and no pictures on screens."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"].pop("directives", None)
        return answer


@fault("mixes-cards")
class _MixesCards(Faulty, AlexaServer):
    """Gives a Simple card the members of a Standard one."""

    def spoil(self, answer: Tree) -> Tree:
        card = answer["response"].get("card", {})
        if "content" in card:
            card["text"] = card.pop("content")
        return answer


@fault("prints-all-that-is-said", answer_limits=AlexaLimits(speech=100_000, total=1_000_000))
class _PrintsAllThatIsSaid(Faulty, AlexaServer):
    """Puts all that is said on a card, too, and knows no limits."""

    def spoil(self, answer: Tree) -> Tree:
        said = at(answer, "response", "outputSpeech", "ssml") or ""
        if said:
            answer["response"]["card"] = {"type": "Simple", "content": said[7:-8]}
        return answer


@fault("talks-too-much", answer_limits=AlexaLimits(speech=100_000, total=1_000_000))
class _TalksTooMuch(AlexaServer):
    """Knows no limits, so that Alexa refuses a long answer as a whole."""


@fault("gives-up-long-answers")
class _GivesUpLongAnswers(Faulty, AlexaServer):
    """Replaces an answer that is too long by an apology."""

    def spoil(self, answer: Tree) -> Tree:
        speech = answer["response"].get("outputSpeech", {})
        if len(speech.get("ssml", "")) > 7000:
            speech["ssml"] = "<speak>Sorry, that would take too long.</speak>"
        return answer


@fault("shows-over-http")
class _ShowsOverHttp(Faulty, AlexaServer):
    """Gives plain HTTP addresses of pictures and videos."""

    def spoil(self, answer: Tree) -> Tree:
        spoiled: Tree = json.loads(dumped(answer).replace(b'"https://', b'"http://'))
        return spoiled


@fault("shows-everything-to-everybody")
class _ShowsEverythingToEverybody(AlexaServer):
    """Sends videos and documents to devices without a screen."""

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        request = self.request
        assert request is not None
        system = request.context.system
        device = system.device.replace(supported_interfaces=dict(ECHO_SHOW))
        self.request = request.replace(context=request.context.replace(system=system.replace(device=device)))
        return super()._compose(response)


@fault("ends-beside-a-video")
class _EndsBesideAVideo(Faulty, AlexaServer):
    """Says whether the session ends beside a video, too."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"].setdefault("shouldEndSession", True)
        return answer

"""Skills that do not understand what they are asked."""

from __future__ import annotations

import json
from typing import Any

from flowstorm_channel.alexa import AlexaServer, Intents
from flowstorm_channel.alexa.inputs import INTENTS
from flowstorm_channel.conformance.alexa.broken_servers.faults import fault
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.webhook import Tree, at, dumped
from flowstorm_channel.events import InitEvent
from flowstorm_channel.values import Input


@fault("knows-intents-only")
class _KnowsIntentsOnly(Faulty, AlexaServer):
    """Expects an intent in every request, so that the launch fails."""

    def naive(self, tree: Any) -> None:
        tree["request"]["intent"]["name"]


@fault("knows-launch-and-intents-only")
class _KnowsLaunchAndIntentsOnly(Faulty, AlexaServer):
    """Fails at every request but LaunchRequest and IntentRequest."""

    def naive(self, tree: Any) -> None:
        {"LaunchRequest": 1, "IntentRequest": 2}[tree["request"]["type"]]


@fault("expects-a-value-in-each-slot")
class _ExpectsAValueInEachSlot(Faulty, AlexaServer):
    """Fails when a slot has no value, since the user was not understood."""

    def naive(self, tree: Any) -> None:
        if at(tree, "request", "intent", "name") == "MessageIntent":
            tree["request"]["intent"]["slots"]["text"]["value"]


@fault("reads-another-slot")
class _ReadsAnotherSlot(Faulty, AlexaServer):
    """Reads a slot of another name: whatever the user says, the dialogue hears silence."""

    def naive(self, tree: Any) -> None:
        if at(tree, "request", "intent", "name") == "MessageIntent":
            tree["request"]["intent"]["slots"] = {}


@fault("knows-its-own-intents-only")
class _KnowsItsOwnIntentsOnly(Faulty, AlexaServer):
    """Fails at intents that its author did not think of: help, Fallback, NavigateHome."""

    def naive(self, tree: Any) -> None:
        name = at(tree, "request", "intent", "name")
        if name not in (None, "MessageIntent", "AMAZON.StopIntent", "AMAZON.CancelIntent"):
            raise KeyError(name)


@fault(
    "goes-on-after-cancel",
    intents=Intents(texts={name: text for name, text in INTENTS.items() if name != "AMAZON.CancelIntent"}),
)
class _GoesOnAfterCancel(AlexaServer):
    """Knows Stop, but takes Cancel for something that the user says."""


@fault("promises-nothing")
class _PromisesNothing(Faulty, AlexaServer):
    """Answers CanFulfillIntentRequest with an empty response."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"].pop("canFulfillIntent", None)
        return answer


@fault("promises-always")
class _PromisesAlways(Faulty, AlexaServer):
    """Puts canFulfillIntent into every answer."""

    def spoil(self, answer: Tree) -> Tree:
        answer["response"]["canFulfillIntent"] = {"canFulfill": "YES"}
        return answer


@fault("expects-a-session")
class _ExpectsASession(Faulty, AlexaServer):
    """Fails at requests that belong to no session, such as those of the audio player."""

    def naive(self, tree: Any) -> None:
        tree["session"]["sessionId"]


@fault("apologises-outside-of-sessions")
class _ApologisesOutsideOfSessions(Faulty, AlexaServer):
    """Answers what it does not understand with speech, even where nobody listens."""

    def spoil(self, answer: Tree) -> Tree:
        if "session" not in self.asked:
            answer["response"]["outputSpeech"] = {"type": "PlainText", "text": "Sorry, I do not understand."}
        return answer


@fault("says-goodbye-to-nobody")
class _SaysGoodbyeToNobody(Faulty, AlexaServer):
    """Answers SessionEndedRequest with a goodbye."""

    def spoil(self, answer: Tree) -> Tree:
        if self.asked["request"]["type"] == "SessionEndedRequest":
            answer["response"]["outputSpeech"] = {"type": "PlainText", "text": "Goodbye."}
        return answer


@fault("reads-latin-1")
class _ReadsLatin1(Faulty, AlexaServer):
    """Decodes requests in the platform's charset, not in UTF-8."""

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        return super()._understand(json.loads(dumped(tree).decode("latin-1")))


@fault("takes-known-members-only")
class _TakesKnownMembersOnly(Faulty, AlexaServer):
    """Validates requests strictly, so that each member that Amazon adds makes it fail."""

    def naive(self, tree: Any) -> None:
        if set(tree) - {"version", "session", "context", "request"}:
            raise TypeError("unexpected members")


@fault("expects-a-device")
class _ExpectsADevice(Faulty, AlexaServer):
    """Fails when the request does not tell the device."""

    def naive(self, tree: Any) -> None:
        tree["context"]["System"]["device"]["deviceId"]


@fault("expects-a-whole-place")
class _ExpectsAWholePlace(Faulty, AlexaServer):
    """Fails when a part of the device's place is absent."""

    def naive(self, tree: Any) -> None:
        if "Geolocation" in tree["context"]:
            tree["context"]["Geolocation"]["coordinate"]["longitudeInDegrees"]

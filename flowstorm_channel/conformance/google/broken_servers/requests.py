"""Webhooks of Google Assistant that do not understand what they are asked."""

from __future__ import annotations

import json
from typing import Any

from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.google.broken_servers.faults import fault, intent_of
from flowstorm_channel.conformance.webhook import Tree, at, dumped, objects
from flowstorm_channel.events import InitEvent
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.values import Input


@fault("expects-words")
class _ExpectsWords(Faulty, GoogleAssistantServer):
    """Expects the user's words in every request of version 2, so that the launch fails."""

    def naive(self, tree: Any) -> None:
        if "inputs" in tree:
            tree["inputs"][0]["arguments"][0]["textValue"]


@fault("knows-main-and-text-only")
class _KnowsMainAndTextOnly(Faulty, GoogleAssistantServer):
    """Fails at what Google asks of itself: CANCEL, NO_INPUT, health checks, options, permissions."""

    def naive(self, tree: Any) -> None:
        is_check = bool(at(tree, "inputs", 0, "arguments", 0, "boolValue"))
        {"actions.intent.MAIN": 1, "actions.intent.TEXT": 2, "anything": 3}[intent_of(tree) * (not is_check)]


@fault("hears-silence")
class _HearsSilence(Faulty, GoogleAssistantServer):
    """Looks for the user's words at another place: the dialogue hears silence."""

    def naive(self, tree: Any) -> None:
        for each in at(tree, "inputs") or ():
            each["arguments"] = each["rawInputs"] = []
        if "intent" in tree:
            tree["intent"]["query"] = ""


@fault("never-ends")
class _NeverEnds(Faulty, GoogleAssistantServer):
    """Lets the conversation go on whatever the dialogue says."""

    def spoil(self, answer: Tree) -> Tree:
        answer.pop("scene", None)
        if "finalResponse" in answer:
            prompt = {"richInitialPrompt": answer.pop("finalResponse")["richResponse"]}
            intents = [{"intent": "actions.intent.TEXT"}]
            answer["expectUserResponse"] = True
            answer["expectedInputs"] = [{"inputPrompt": prompt, "possibleIntents": intents}]
        return answer


@fault("ends-with-an-open-microphone")
class _EndsWithAnOpenMicrophone(Faulty, GoogleAssistantServer):
    """Expects no response at the end, but gives what belongs to one that is expected."""

    def spoil(self, answer: Tree) -> Tree:
        if "finalResponse" in answer:
            answer["expectedInputs"] = [
                {"inputPrompt": {"richInitialPrompt": answer.pop("finalResponse")["richResponse"]}}
            ]
        return answer


@fault("asks-for-nothing")
class _AsksForNothing(Faulty, GoogleAssistantServer):
    """Expects a response, and no intent."""

    def spoil(self, answer: Tree) -> Tree:
        for each in objects(answer, "expectedInputs"):
            each.pop("possibleIntents")
        return answer


@fault("reads-latin-1")
class _ReadsLatin1(Faulty, GoogleAssistantServer):
    """Decodes requests in the platform's charset, not in UTF-8."""

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        return super()._understand(json.loads(dumped(tree).decode("latin-1")))


@fault("takes-known-members-only")
class _TakesKnownMembersOnly(Faulty, GoogleAssistantServer):
    """Validates requests strictly, so that each member that Google adds makes it fail."""

    def naive(self, tree: Any) -> None:
        if "conformance" in tree["user"]:
            raise TypeError("unexpected members")


@fault("expects-capabilities")
class _ExpectsCapabilities(Faulty, GoogleAssistantServer):
    """Fails when the request does not tell what the device can do."""

    def naive(self, tree: Any) -> None:
        (tree["device"] if "handler" in tree else tree["surface"])["capabilities"]


@fault("expects-its-own-storage")
class _ExpectsItsOwnStorage(Faulty, GoogleAssistantServer):
    """Fails when something else is stored with the user than what it has stored."""

    def naive(self, tree: Any) -> None:
        json.loads(at(tree, "user", "userStorage") or "{}")


@fault("stores-over-others")
class _StoresOverOthers(Faulty, GoogleAssistantServer):
    """Stores its own with the user, and nothing of what was there."""

    def spoil(self, answer: Tree) -> Tree:
        if "session" in answer:
            answer["user"] = {"params": {"mine": 1}}
        else:
            answer["userStorage"] = '{"mine": 1}'
        return answer


@fault("stores-everything")
class _StoresEverything(Faulty, GoogleAssistantServer):
    """Stores the whole conversation with the user."""

    def spoil(self, answer: Tree) -> Tree:
        if "session" in answer:
            answer["user"] = {"params": {**(at(self.asked, "user", "params") or {}), "said": "words " * 2000}}
        else:
            answer["userStorage"] = json.dumps({"conformance": "kept", "said": "words " * 2000})
        return answer

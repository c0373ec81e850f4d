"""Webhooks of Google Assistant that mix conversations up, or answer at the wrong time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from flowstorm_channel.answers import Unsent
from flowstorm_channel.channel import Timeouts
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.google.broken_servers.faults import fault, intent_of, rich_of, simples_of
from flowstorm_channel.conformance.google.peer import END
from flowstorm_channel.conformance.webhook import Tree
from flowstorm_channel.events import InitEvent
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.values import Input, Response


@fault("forgets-conversations")
class _ForgetsConversations(GoogleAssistantServer):
    """Begins a new session with every request, as a function in a cloud does that stores nothing."""

    def __init__(self, sessions: Sessions, **kw: Any) -> None:  # noqa: ARG002
        super().__init__(Sessions(), **kw)


@fault("has-one-device")
class _HasOneDevice(Faulty, GoogleAssistantServer):
    """Has one device id for everybody, and keeps sessions by it."""

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        understood = super()._understand(tree)
        if isinstance(understood, bytes):
            return understood
        init, said = understood
        return init.replace(device_id="google"), said

    @property
    def _proposed_session(self) -> str | None:
        return "google"


@fault("keeps-state-with-the-user")
class _KeepsStateWithTheUser(GoogleAssistantServer):
    """Keeps the state of the dialogue with the user, beyond the end of the conversation."""

    kept: ClassVar[WeakKeyDictionary[Any, dict[str, dict[str, Any]]]] = WeakKeyDictionary()

    def _enter(self, session: Session) -> None:
        known = self.kept.setdefault(self._clock, {})
        session.data = known.setdefault(session.device_id, session.data)
        super()._enter(session)


@fault("ends-sleeping-sessions")
class _EndsSleepingSessions(GoogleAssistantServer):
    """Ends a conversation whose session only sleeps."""

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        sleeps = response.sleep_timeout > 0
        return super()._compose(
            response.replace(session_ended=sleeps or response.session_ended, sleep_timeout=0)
        )


@fault("ends-after-each-answer")
class _EndsAfterEachAnswer(Faulty, GoogleAssistantServer):
    """Ends the conversation with every answer but the first."""

    def spoil(self, answer: Tree) -> Tree:
        if intent_of(self.asked) != "actions.intent.MAIN" and "session" in answer:
            answer["scene"] = {"name": "Talk", "next": {"name": END}}
        elif intent_of(self.asked) != "actions.intent.MAIN" and "expectedInputs" in answer:
            answer["expectUserResponse"] = False
            answer["finalResponse"] = {"richResponse": rich_of(answer)}
            del answer["expectedInputs"]
        return answer


@fault("names-its-own-session")
class _NamesItsOwnSession(Faulty, GoogleAssistantServer):
    """Answers with an id of its own for the session."""

    def spoil(self, answer: Tree) -> Tree:
        if "session" in answer:
            answer["session"]["id"] = "my-session"
        return answer


@fault("invents-slots")
class _InventsSlots(Faulty, GoogleAssistantServer):
    """Returns slots that the scene does not have."""

    def spoil(self, answer: Tree) -> Tree:
        if "session" in answer:
            answer.setdefault("scene", {"name": "Talk"})["slots"] = {"mood": {"value": "good"}}
        return answer


@fault("cuts-long-answers", timeouts=Timeouts(google_v2=0.25, google_v3=0.25))
class _CutsLongAnswers(GoogleAssistantServer):
    """Sends what there is after a quarter of a second, though the dialogue says more."""


@fault("waits-for-the-dialogue", timeouts=Timeouts(google_v2=None, google_v3=None))
class _WaitsForTheDialogue(GoogleAssistantServer):
    """Waits until the dialogue is done, however long that takes."""


@fault("answers-nothing-with-204")
class _AnswersNothingWith204(Faulty, GoogleAssistantServer):
    """Answers with status 204 when the dialogue says nothing."""

    def _answer(self) -> None:
        if self._last and b"<break" in self._last:
            self._status, self._last = 204, None
        super()._answer()


@fault("says-empty-texts")
class _SaysEmptyTexts(Faulty, GoogleAssistantServer):
    """Answers with an empty bubble when the dialogue says nothing."""

    def spoil(self, answer: Tree) -> Tree:
        for each in simples_of(answer):
            for name in ("ssml", "speech"):
                if "<break" in each.get(name, ""):
                    each[name] = ""
        return answer


@fault("shows-before-it-speaks")
class _ShowsBeforeItSpeaks(Faulty, GoogleAssistantServer):
    """Puts the card before what is said, or says nothing beside it."""

    def spoil(self, answer: Tree) -> Tree:
        rich_of(answer).get("items", []).reverse()
        if "content" in answer.get("prompt", {}):
            del answer["prompt"]["firstSimple"]
        return answer


@fault("says-goodbye-at-length")
class _SaysGoodbyeAtLength(Faulty, GoogleAssistantServer):
    """Answers CANCEL like everything else, with a long text."""

    def spoil(self, answer: Tree) -> Tree:
        if intent_of(self.asked) == "actions.intent.CANCEL":
            for each in simples_of(answer):
                each["displayText"] = "It was a pleasure to talk to you. " * 3
        return answer

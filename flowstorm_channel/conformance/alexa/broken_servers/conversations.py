"""Skills that mix conversations up, or answer at the wrong time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.answers import Unsent
from flowstorm_channel.channel import Timeouts
from flowstorm_channel.conformance.alexa.broken_servers.faults import fault
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.webhook import Tree, dumped
from flowstorm_channel.events import InitEvent
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.values import Input, Response


@fault("forgets-sessions")
class _ForgetsSessions(AlexaServer):
    """Begins a new session with every request, as a function in a cloud does that stores nothing."""

    def __init__(self, sessions: Sessions | None, **kw: Any) -> None:  # noqa: ARG002
        super().__init__(Sessions(), **kw)


def _everybody(_: object) -> str:
    return "everybody"


@fault("has-one-session", device_id=_everybody)
class _HasOneSession(AlexaServer):
    """Keeps what it knows of the session in one place for everybody."""

    @property
    def _proposed_session(self) -> str | None:
        return "session"


@fault("keeps-sessions-by-device")
class _KeepsSessionsByDevice(Faulty, AlexaServer):
    """Keeps sessions by the device, and the next one goes on where the last one has ended."""

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        understood = super()._understand(tree)
        ends = self.asked["request"]["type"] == "SessionEndedRequest"
        return dumped({"version": "1.0", "response": {}}) if ends else understood

    @property
    def _proposed_session(self) -> str | None:
        return None if self.request is None else self.request.device_id.replace(".", "-")


@fault("joins-foreign-sessions", device_id=_everybody)
class _JoinsForeignSessions(AlexaServer):
    """Keeps sessions by their ids alone, whoever names them."""


@fault("cuts-long-answers", timeouts=Timeouts(alexa=0.25))
class _CutsLongAnswers(AlexaServer):
    """Sends what there is after a quarter of a second, though the dialogue says more."""


@fault("waits-for-the-dialogue", timeouts=Timeouts(alexa=None))
class _WaitsForTheDialogue(AlexaServer):
    """Waits until the dialogue is done, however long that takes."""


@fault("answers-nothing-with-204")
class _AnswersNothingWith204(Faulty, AlexaServer):
    """Answers with status 204 when the dialogue says nothing."""

    def _answer(self) -> None:
        if self._last and self.request is not None and self.request.session is not None:
            response = json.loads(self._last).get("response")
            if response is not None and not {"outputSpeech", "card", "directives", "canFulfillIntent"} & set(
                response
            ):
                self._status, self._last = 204, None
        super()._answer()


@fault("ends-after-each-answer")
class _EndsAfterEachAnswer(Faulty, AlexaServer):
    """Ends the session with every answer but that to the launch."""

    def spoil(self, answer: Tree) -> Tree:
        if self.asked["request"]["type"] == "IntentRequest" and "shouldEndSession" in answer["response"]:
            answer["response"]["shouldEndSession"] = True
        return answer


@fault("goes-on-with-nothing")
class _GoesOnWithNothing(Faulty, AlexaServer):
    """Lets a session go on with an answer in which nothing is said."""

    def spoil(self, answer: Tree) -> Tree:
        if answer["response"] == {"shouldEndSession": True}:
            answer["response"] = {"shouldEndSession": False}
        return answer


@fault("ends-sleeping-sessions")
class _EndsSleepingSessions(AlexaServer):
    """Ends a session that only sleeps."""

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        sleeps = response.sleep_timeout > 0
        return super()._compose(
            response.replace(session_ended=sleeps or response.session_ended, sleep_timeout=0)
        )


@fault("asks-once", reprompt="")
class _AsksOnce(AlexaServer):
    """Has no reprompt: a user who thinks for a while is lost."""

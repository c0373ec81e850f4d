"""A user on each channel, and what he gets of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from flowstorm_channel.conformance.alexa.peer import AlexaCaller
from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.google.peer import GoogleCaller
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v1.peer import V1Caller
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.stage import ServerStage
from flowstorm_channel.testing.alexa import ECHO_SHOW
from flowstorm_channel.values import INTRO, ResponseItem

__all__ = ["USERS", "Got", "User"]


@attrs.frozen(kw_only=True)
class Got:
    """What the user gets of one answer.

    Args:
        speech: what is said, as plain text.
        image: the address of the picture that is shown; None: there is none.
        ended: the session is over.
    """

    speech: str
    image: str | None
    ended: bool


class User(ABC):
    """A user on a channel.

    Args:
        stage: of the channel.
    """

    def __init__(self, stage: ServerStage) -> None:
        self.stage = stage

    @abstractmethod
    def begin(self) -> Got:
        """Start the conversation."""

    @abstractmethod
    def say(self, text: str) -> Got:
        """Say something."""


class _SocketUser(User):
    """A user of Flowstorm's own clients."""

    def __init__(self, stage: V1Caller | V2Caller) -> None:
        super().__init__(stage)
        self._talk: Any = None

    def say(self, text: str) -> Got:
        answer = self._talk.ask(text)
        return _got(answer.items, ended=answer.ends)


class _V1User(_SocketUser):
    stage: V1Caller

    def begin(self) -> Got:
        self._talk = self.stage.ready()
        return self.say(INTRO)


class _V2User(_SocketUser):
    stage: V2Caller

    def begin(self) -> Got:
        self._talk = self.stage.device()
        return self.say(INTRO)


def _got(items: Iterable[Mapping[str, Any]], *, ended: bool) -> Got:
    found = [ResponseItem(text=str(item.get("text") or ""), image=item.get("image")) for item in items]
    said = [item.text for item in found if item.command is None]
    image = next((item.image for item in found if item.image), None)
    return Got(speech=" ".join(" ".join(said).split()), image=image, ended=ended)


class _AlexaUser(User):
    stage: AlexaCaller

    def begin(self) -> Got:
        self._device = self.stage.device(ECHO_SHOW)
        return self._take(self._device.says.launch())

    def say(self, text: str) -> Got:
        return self._take(self._device.says.say(text))

    def _take(self, sent: Any) -> Got:
        answer = self._device.ask(sent)
        heard = self._device.says.take(answer.reply.status, answer.reply.body)
        return Got(speech=" ".join(heard.speech.split()), image=heard.image, ended=heard.ended)


class _GoogleUser(User):
    stage: GoogleCaller

    def begin(self) -> Got:
        self._assistant = next(self.stage.assistants(screen=True))
        return self._take(self._assistant.says.launch())

    def say(self, text: str) -> Got:
        return self._take(self._assistant.says.say(text))

    def _take(self, sent: Any) -> Got:
        answer = self._assistant.ask(sent)
        heard = self._assistant.says.take(answer.reply.status, answer.reply.body)
        return Got(speech=" ".join(heard.speech.split()), image=heard.image, ended=heard.ended)


Make = Callable[[ServerDriver, Profile], User]

USERS: Mapping[str, Make] = {
    "socket-v1": lambda driver, profile: _V1User(V1Caller(driver, profile)),
    "socket-v2": lambda driver, profile: _V2User(V2Caller(driver, profile)),
    "alexa": lambda driver, profile: _AlexaUser(AlexaCaller(driver, profile)),
    "google": lambda driver, profile: _GoogleUser(GoogleCaller(driver, profile)),
}
"""Makes the user of each channel that words can be compared on; on the phone there are none."""

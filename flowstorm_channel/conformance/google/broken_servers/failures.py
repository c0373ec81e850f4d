"""Webhooks of Google Assistant that fail in the wrong way."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from weakref import WeakSet

from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.google.broken_servers.faults import fault
from flowstorm_channel.conformance.webhook import strings_in
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.google import GoogleAssistantServer


@fault("blames-the-request")
class _BlamesTheRequest(Faulty, GoogleAssistantServer):
    """Answers with status 400 when the dialogue fails."""

    def _answer(self) -> None:
        if self._last and "something went wrong" in " ".join(strings_in(json.loads(self._last))):
            self._status = 400
        super()._answer()


@fault("takes-anything")
class _TakesAnything(GoogleAssistantServer):
    """Answers what is no request with status 200."""

    def _fault(self, error: RemoteProtocolError) -> None:  # noqa: ARG002
        self._last = b"{}"
        self._conclude()


@fault("dies-of-half-a-request")
class _DiesOfHalfARequest(Faulty, GoogleAssistantServer):
    """Stops working when a request is cut off."""

    dead: ClassVar[WeakSet[Any]] = WeakSet()

    def naive(self, tree: Any) -> None:  # noqa: ARG002
        if self._clock in self.dead:
            raise KeyError("nobody is there any more")

    def _fault(self, error: RemoteProtocolError) -> None:
        self.dead.add(self._clock)
        super()._fault(error)


@fault("takes-every-method")
class _TakesEveryMethod(GoogleAssistantServer):
    """Does not look at the method of a request."""

    METHODS: ClassVar[tuple[str, ...]] = ("GET", "POST", "PUT")

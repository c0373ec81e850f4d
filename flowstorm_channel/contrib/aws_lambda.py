"""Answers an Alexa skill from an AWS Lambda function.

::

    async def dialogue(turn):
        yield f"You said {turn.text}."

    handler = AlexaHandler(dialogue, skill_ids=["amzn1.ask.skill.…"])

The function's trigger is to be the Alexa Skills Kit, with the skill's id: then AWS lets nobody else call it.
Behind an address of its own (a function URL, an API gateway) requests come from anybody, and are for
`contrib.asgi`, which verifies them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from flowstorm_channel.channel import DEFAULT_TIMEOUTS, Timeouts
from flowstorm_channel.contrib.asyncio import Answer, Driver, Host, HostFunctions
from flowstorm_channel.contrib.platforms import Alexa
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.server import Turn
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.wire import END, Message, RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstorm_channel.alexa import AlexaOptions

__all__ = ["AlexaHandler"]


class AlexaHandler:
    """What AWS Lambda calls: ``handler(event, context)``.

    Without a store, sessions travel with Alexa's session attributes (see `AlexaServer`): one function
    instance need not remember what another one said.

    Args:
        dialogue: what is said; this and the other functions are those of `Host`.
        skill_ids: the application ids of the skills, all that are answered.
        options: see `AlexaServer`.
        limits: what is taken from Alexa.
        timeouts: how long is waited for what; the function's own timeout has to be longer than
            `Timeouts.alexa`.
        functions: see `Host`.

    Raises:
        ValueError: no skill is named.
    """

    def __init__(
        self,
        dialogue: Callable[[Turn], Answer],
        *,
        skill_ids: Collection[str],
        options: AlexaOptions | None = None,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        **functions: Unpack[HostFunctions],
    ) -> None:
        if not skill_ids:
            raise ValueError("skill_ids must list the application ids of your skills")
        self.host = Host(dialogue=dialogue, **functions)  # it fetches nothing: AWS has verified the requests
        self._alexa = Alexa(skill_ids=skill_ids, allow_unsigned=True, **(options or {}))
        self._sessions = None if self.host.store is None else Sessions(stored=True)
        self._settings: dict[str, Any] = {"limits": limits, "timeouts": timeouts}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Answer one request.

        Args:
            event: the request, as AWS hands it over: what JSON says, read already.
            context: of the call; not looked at.

        Raises:
            RemoteProtocolError: it is not answered: for another skill, or nothing that Alexa sends.
        """
        body = _body_of(event)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()  # it outlives the call, with the connections of a store
        status, answer = self._loop.run_until_complete(self._answer(body))
        told: dict[str, Any] = json.loads(answer)
        if status != 200:
            raise RemoteProtocolError(f"{status}: {told.get('error')}")
        return told

    def close(self) -> None:
        """Let go of what outlives a call; AWS Lambda just ends the process."""
        loop, self._loop = self._loop, None
        if loop is not None:
            if self.host.store is not None:
                loop.run_until_complete(self.host.store.close())
            loop.close()

    async def _answer(self, body: bytes) -> tuple[int, bytes]:
        invocation = _Invocation(body)
        channel = self._alexa.channel(self._sessions, **self._settings)
        await Driver(channel, invocation, self.host).run()
        return invocation.status, bytes(invocation.answer)


def _body_of(event: Mapping[str, Any]) -> bytes:
    """The request as it was before AWS read it."""
    if isinstance(event, dict) and "request" not in event and "requestContext" in event:
        raise RemoteProtocolError("an HTTP request: who sends it is not verified here, but by contrib.asgi")
    try:
        return json.dumps(event).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"the event is nothing that JSON says: {error}") from None


class _Invocation:
    """One call of the function as a `Transport`."""

    def __init__(self, body: bytes) -> None:
        self.status = 500
        self.answer = bytearray()
        self._messages: list[Message] = [END, body, RequestHead(method="POST", url="/alexa")]

    async def receive(self) -> Message | None:
        if not self._messages:
            await asyncio.get_running_loop().create_future()  # until the answer is there
        return self._messages.pop()

    async def send(self, message: Message) -> None:
        if isinstance(message, ResponseHead):
            self.status = message.status
        elif isinstance(message, bytes):
            self.answer += message

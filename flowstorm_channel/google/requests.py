"""A request of either version: how they are told apart, and what both tell (external.md, 2)."""

from typing import Any, Protocol

from flowstorm_channel.answers import Unsent
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.faults import form
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.google.v2 import V2Request, V2Response
from flowstorm_channel.google.v3 import V3Request, V3Response
from flowstorm_channel.locales import Locale
from flowstorm_channel.values import Input, Location, Response

__all__ = ["GoogleRequest", "V2Request", "V3Request", "read_request"]


class GoogleRequest(Protocol):
    """What a request of Google Assistant tells, in whatever version it is written."""

    @property
    def version(self) -> str:
        """Of the protocol: ``2`` or ``3``."""
        ...

    @property
    def session_id(self) -> str:
        """Of the conversation; never empty."""
        ...

    @property
    def device_id(self) -> str:
        """Who speaks: the id that an answer has stored with the user, else one made of the conversation's.

        Google names no device. The first answer stores the id with a user whom Google has verified, so that
        it is the same in his next conversation; everybody else is somebody new every time.
        """
        ...

    @property
    def locale(self) -> Locale:
        """The language of the conversation."""
        ...

    @property
    def zone_id(self) -> str | None:
        """The user's time zone, when one is known; version 2 tells none."""
        ...

    @property
    def has_screen(self) -> bool:
        """Whether the device shows cards and suggestions."""
        ...

    @property
    def location(self) -> Location | None:
        """Where the device is, when the user has permitted to tell."""
        ...

    @property
    def health_check(self) -> bool:
        """Whether nobody speaks: Google asks whether anybody is there. `healthy` is the answer."""
        ...

    @property
    def begins(self) -> bool:
        """Whether the conversation begins."""
        ...

    @property
    def ends(self) -> bool:
        """Whether the user ends the conversation: whatever is answered is the last that is said."""
        ...

    def input(self) -> Input:
        """What is said, with the client's attributes.

        An intent of the author's own is an `InputClass` too; without words of the user it is an action:
        ``#name``.
        """
        ...

    def answer(
        self,
        response: Response,
        *,
        base_url: str | None = None,
        reprompt: str | None = None,
    ) -> tuple[V2Response | V3Response, tuple[Unsent, ...]]:
        """The answer that says a response, within the limits of Google Assistant.

        What was stored with the conversation goes back as it came.

        Args:
            response: with all its items.
            base_url: of addresses that begin with ``/``; without it they are left out.
            reprompt: what is said when nothing is heard, plain text; version 2 only. Version 3, and an
                action package that declares so in version 2, asks what to say: with the input ``#silence``.

        Returns:
            The answer, and what of the response could not be said or shown.
        """
        ...

    def healthy(self) -> V2Response | V3Response:
        """The answer to a health check."""
        ...


def read_request(tree: Any, codec: JsonCodec) -> V2Request | V3Request:
    """The request that a body holds, of the version that it has the shape of.

    Args:
        tree: what `JsonCodec.decode_tree` made of the body.
        codec: with the limits.

    Raises:
        RemoteProtocolError: it is no request of either version.
    """
    if not isinstance(tree, dict):
        raise RemoteProtocolError(f"a request must be an object, not {form(tree)}")
    request: V2Request | V3Request
    if "handler" in tree or "session" in tree:
        request = codec.value_of(V3Request, tree)
    elif "inputs" in tree or "conversation" in tree:
        request = codec.value_of(V2Request, tree)
    else:
        raise RemoteProtocolError("is missing, and so is handler: neither version 2 nor 3", path="inputs")
    request.check()
    return request

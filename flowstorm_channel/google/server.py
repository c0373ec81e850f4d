"""The server end of one request of Google Assistant (external.md, 2 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import parse_qsl, urlsplit

from flowstorm_channel.answers import Unsent
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.events import InitEvent, Need
from flowstorm_channel.google.requests import V2Request, V3Request, read_request
from flowstorm_channel.google.signature import GoogleKeys, token_of
from flowstorm_channel.server import ServerOptions
from flowstorm_channel.sessions import Sessions, adopted
from flowstorm_channel.values import ClientConfig, Input, Response
from flowstorm_channel.webhook import WebhookServer, json_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["GoogleAssistantOptions", "GoogleAssistantServer"]

DEFAULT_KEY = "default"
"""The application, when the address of the webhook names none."""


class GoogleAssistantOptions(TypedDict, total=False):
    """What a `GoogleAssistantServer` takes of the action."""

    base_url: str | None
    reprompt: str | None


class GoogleAssistantServer(WebhookServer):
    """The server end of one request of Google Assistant, of the Actions SDK (v2) or Actions Builder (v3).

    It is told to its host as a conversation like any other. What only Google has is in `request`, and a
    dialogue reaches it by `Turn.channel`.

    Args:
        sessions: the same for all requests of a server.
        project_ids: the projects whose actions are answered.
        keys: the same for all requests of a server. None: requests are not verified.
        now: gives the time, with its zone.
        base_url: of addresses in items that begin with ``/``.
        reprompt: said when the user says nothing, in version 2; None: the dialogue is asked (``#silence``).
        kw: see `ServerChannel`.

    Raises:
        TypeError: `project_ids` is one, not several.
        ValueError: there are keys, and no project.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        project_ids: Collection[str],
        keys: GoogleKeys | None,
        now: Callable[[], datetime],
        base_url: str | None = None,
        reprompt: str | None = None,
        **kw: Unpack[ServerOptions],
    ) -> None:
        if isinstance(project_ids, str):
            raise TypeError("project_ids are several: a list, or a set")
        if keys is not None and not project_ids:
            raise ValueError("without project_ids no token could ever be for us")
        super().__init__(sessions, **kw)
        self.request: V2Request | V3Request | None = None
        """What Google has sent; None until it is verified and understood."""
        self._project_ids = project_ids
        self._keys = keys
        self._now = now
        self._base_url = base_url
        self._reprompt = reprompt
        self._verified: Literal[2, 3] = 2

    # -------------------------------------------------------- who sends it

    def _verify(self, body: bytes) -> Need | None:  # noqa: ARG002
        if self._keys is None:
            return None
        assert self.head is not None
        # In version 3 the other header may be there, too: it says who the user is, not who asks.
        self._verified = 2 if self.head.header("google-assistant-signature") is None else 3
        token = token_of(self.head, self._verified)
        need = self._keys.need(token)
        if need is None:
            self._keys.check(token, audience=self._project_ids, now=self._now())
        return need

    def _learn(self, need: Need, value: bytes | None) -> None:  # noqa: ARG002
        assert self._keys is not None
        if value is None:
            raise SignatureError("the keys cannot be had")
        self._keys.add(value)

    # -------------------------------------------------------- what it says

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        request = read_request(tree, self._codec)
        if self._keys is not None and request.version != str(self._verified):
            # The signature of the one version would do for a request of the other.
            raise SignatureError(f"a request of version {request.version} is signed as {self._verified}")
        self.request = request
        if request.health_check:
            return json_of(request.healthy().to_json())
        self._user_left = request.ends
        config = ClientConfig(locale=request.locale, silence_timeout=0)
        if request.zone_id is not None:
            config = config.replace(zone_id=request.zone_id)
        init = InitEvent(key=self._key(), device_id=request.device_id, config=config)
        return init, request.input()

    def _key(self) -> str:
        """The application, as the webhook's address names it."""
        assert self.head is not None
        try:
            query = dict(parse_qsl(urlsplit(self.head.url).query, max_num_fields=100))
        except ValueError:
            raise RemoteProtocolError("the address is malformed") from None
        return query.get("key", DEFAULT_KEY)

    @property
    def _proposed_session(self) -> str | None:
        return None if self.request is None else adopted(self.request.session_id)

    # -------------------------------------------------------- the answer

    @property
    def _content_type(self) -> str:
        return "application/json;charset=utf-8"

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        assert self.request is not None
        composed, unsent = self.request.answer(response, base_url=self._base_url, reprompt=self._reprompt)
        return composed.to_json(), unsent

    def _turn_away(self, text: str, source: str | None) -> None:
        self._refuse(401, text, source)

    def _patience(self) -> float | None:
        if self.request is None or self.request.version == "2":
            return self.timeouts.google_v2
        return self.timeouts.google_v3

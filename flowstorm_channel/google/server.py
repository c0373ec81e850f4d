"""The server end of one request of Google Assistant (external.md, 2 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict
from urllib.parse import parse_qsl, urlsplit

from flowstorm_channel.answers import Unsent
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.events import InitEvent, Need
from flowstorm_channel.google.requests import V2Request, V3Request, read_request
from flowstorm_channel.google.signature import GoogleKeys, project_of, token_of
from flowstorm_channel.server import ServerOptions, check_who
from flowstorm_channel.sessions import Sessions, adopted
from flowstorm_channel.values import ClientConfig, Input, Response
from flowstorm_channel.webhook import WebhookServer, check_text, json_of

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
        ValueError: there are keys, and no project; the time has no zone, or a text could not be sent.
    """

    KIND: ClassVar[str] = "google:"

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
        super().__init__(sessions, now, **kw)
        check_text("base_url", base_url)
        check_text("reprompt", reprompt)
        self.request: V2Request | V3Request | None = None
        """What Google has sent; None until it is verified and understood."""
        self.project_id: str | None = None
        """Of the project whose action asks; None until it is verified."""
        self._project_ids = project_ids
        self._keys = keys
        self._base_url = base_url
        self._reprompt = reprompt if reprompt and reprompt.strip() else None
        self._signed_as: Literal[2, 3] = 2
        self._token = ""
        self._project_id: str | None = None

    # -------------------------------------------------------- who sends it

    def _lacks(self) -> Need | None:
        if self._keys is None:
            return None
        assert self.head is not None
        # In version 3 the other header may be there, too: it says who the user is, not who asks.
        self._signed_as = 2 if self.head.header("google-assistant-signature") is None else 3
        self._token = token_of(self.head, self._signed_as)
        return self._keys.need(self._token)

    def _learn(self, need: Need, value: bytes) -> None:  # noqa: ARG002
        assert self._keys is not None
        self._keys.add(value)

    def _verify_head(self) -> None:
        if self._keys is not None:
            claims = self._keys.check(self._token, audience=self._project_ids, now=self._now())
            self._project_id = project_of(claims, self._project_ids)

    def _verify(self, body: bytes) -> None:
        """The token says nothing of the body."""

    # -------------------------------------------------------- what it says

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        request = read_request(tree, self._codec)
        if self._keys is not None and request.version != str(self._signed_as):
            # The signature of the one version would do for a request of the other.
            raise SignatureError(f"a request of version {request.version} is signed as {self._signed_as}")
        self.request, self.project_id = request, self._project_id
        if request.health_check:
            return json_of(request.healthy().to_json())
        self._user_left = request.ends
        config = ClientConfig(locale=request.locale, silence_timeout=0)
        if request.zone_id is not None:
            config = config.replace(zone_id=request.zone_id)
        init = InitEvent(key=self._key(), device_id=request.device_id, config=config)
        check_who(init)
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

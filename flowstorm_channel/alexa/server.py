"""The server end of one request of Alexa (external.md, 1 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import attrs

from flowstorm_channel.alexa.answers import DEFAULT_LIMITS, AlexaLimits, answer, can_fulfill, nothing
from flowstorm_channel.alexa.inputs import DEFAULT_INTENTS, LOCALE, Answering, Intents, answering, input_of
from flowstorm_channel.alexa.messages import AlexaRequest, AlexaResponse, ResponseBody
from flowstorm_channel.alexa.signature import AlexaCertificates, AlexaSignature, check_timestamp
from flowstorm_channel.answers import Unsent
from flowstorm_channel.codecs.scalars import from_base64, to_base64
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError, SignatureError
from flowstorm_channel.events import (
    SPELLINGS,
    CertificateNeed,
    ErrorEvent,
    FaultEvent,
    InitEvent,
    Need,
    UnknownEvent,
)
from flowstorm_channel.server import RESERVED, ServerOptions, check_names
from flowstorm_channel.sessions import Session, Sessions, adopted
from flowstorm_channel.values import ClientConfig, Input, Response
from flowstorm_channel.webhook import WebhookServer, check_text, json_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AlexaOptions", "AlexaServer"]

SESSION = "flowstorm"
"""The session attribute in which a session travels."""
MOST_TRAVELLING = 12 * 1024
"""Bytes of a snapshot that may travel: half of what an answer may have in all."""


class AlexaOptions(TypedDict, total=False):
    """What an `AlexaServer` takes of the skill."""

    intents: Intents
    device_id: Callable[[AlexaRequest], str] | None
    base_url: str | None
    title: str
    reprompt: str | None
    answer_limits: AlexaLimits


class AlexaServer(WebhookServer):
    """The server end of one request of an Alexa skill.

    It is told to its host as a conversation like any other. What only Alexa has is in `request`,
    `attributes` and `directives`, and a dialogue reaches them by `Turn.channel`.

    Args:
        sessions: the same for all requests of a server. None: sessions travel with Alexa's session
            attributes, so that nothing has to be remembered between two requests; then a session's data may
            have 12 KiB, and Amazon sees them.
        skill_ids: the application ids that are answered; None: all.
        certificates: the same for all requests of a server. None: requests are not verified; for hosts that
            somebody else has verified them for, as AWS Lambda does.
        now: gives the time, with its zone.
        intents: which of the skill's intents say what.
        device_id: tells the device of a request, and raises nothing; the one that Alexa names by default.
        base_url: of addresses in items that begin with ``/``.
        title: of cards, pictures and videos that have none.
        reprompt: said when the user says nothing; None: the last sentence again, ``""``: nothing.
        answer_limits: what Alexa takes.
        kw: see `ServerChannel`.

    Raises:
        TypeError: `skill_ids` is one, not several.
        ValueError: the time has no zone, or a text could not be sent.
    """

    UNVERIFIED: ClassVar[int] = 400
    KIND: ClassVar[str] = "alexa:"

    def __init__(
        self,
        sessions: Sessions | None,
        *,
        skill_ids: Collection[str] | None,
        certificates: AlexaCertificates | None,
        now: Callable[[], datetime],
        intents: Intents = DEFAULT_INTENTS,
        device_id: Callable[[AlexaRequest], str] | None = None,
        base_url: str | None = None,
        title: str = "",
        reprompt: str | None = None,
        answer_limits: AlexaLimits = DEFAULT_LIMITS,
        **kw: Unpack[ServerOptions],
    ) -> None:
        if isinstance(skill_ids, str):
            raise TypeError("skill_ids are several: a list, or a set")
        super().__init__(Sessions() if sessions is None else sessions, now, **kw)
        check_text("base_url", base_url)
        check_text("title", title)
        check_text("reprompt", reprompt)
        self.request: AlexaRequest | None = None
        """What Alexa has sent; None until it is verified and understood."""
        self.attributes: dict[str, Any] = {}
        """The session attributes, which come back with the session's next request."""
        self.directives: list[Mapping[str, Any]] = []
        """More for the device to do than a `Response` can say, as JSON."""
        self._travels = sessions is None
        self._skill_ids = skill_ids
        self._certificates = certificates
        self._signature: AlexaSignature | None = None
        self._intents = intents
        self._device_id = device_id
        self._base_url = base_url
        self._title = title
        self._reprompt = reprompt
        self._answer_limits = answer_limits
        self._brought: str | None = None  # the session, as it has travelled here
        self._left: Session | None = None  # and as the Response leaves it

    # -------------------------------------------------------- who sends it

    def _lacks(self) -> Need | None:
        if self._certificates is None:
            return None
        assert self.head is not None
        self._signature = AlexaSignature.read(self.head)
        return self._certificates.need(self._signature.url)

    def _learn(self, need: Need, value: bytes) -> None:
        assert isinstance(need, CertificateNeed)
        assert self._certificates is not None
        self._certificates.add(need.url, value, self._now())

    def _verify(self, body: bytes) -> None:
        if self._certificates is not None:
            assert self._signature is not None  # without one nothing gets as far as here
            self._certificates.check(self._signature, body, self._now())

    # -------------------------------------------------------- what it says

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        request = self._codec.value_of(AlexaRequest, tree)
        if self._certificates is not None:
            check_timestamp(request.timestamp, request.kind, self._now())
        if self._skill_ids is not None and request.application_id not in self._skill_ids:
            raise SignatureError(f"the request is for another skill: {request.application_id!r}")
        named = request.session.application.application_id if request.session is not None else ""
        if named not in ("", request.application_id):
            raise SignatureError(f"the request is for two skills: {named!r} and {request.application_id!r}")
        self.request = request
        self.attributes = {} if request.session is None else dict(request.session.attributes)
        if request.error is not None:
            self._tell(ErrorEvent(text=request.error, source="Alexa"))
        said = input_of(request, self._intents)
        if said is None:
            return self._answer_at_once(request)
        self._user_left = answering(request) is Answering.SILENT
        if self._travels:
            self._unpack(self.attributes.pop(SESSION, None))
        init = self._introduction(request)
        check_names(init.key, init.device_id)
        return init, said

    def _answer_at_once(self, request: AlexaRequest) -> bytes:
        """To what no dialogue hears."""
        if answering(request) is Answering.CAN_FULFILL:
            return json_of(can_fulfill(request, self._intents).to_json())
        if not request.kind or request.kind in SPELLINGS:
            raise RemoteProtocolError("no type that a request has", path="request.type")
        if request.kind != "System.ExceptionEncountered":
            self._tell(UnknownEvent(data=request.request))
        return json_of(nothing(request).to_json())

    def _introduction(self, request: AlexaRequest) -> InitEvent:
        """The Init of the request, as a client would have sent it (external.md, 4)."""
        named = request.device_id if self._device_id is None else self._device_id(request)
        token = request.access_token
        return InitEvent(
            key=f"{RESERVED}{request.application_id}",
            device_id=named or request.user_id or "anonymous",
            token=None if token is None else f"alexa:{token}",
            config=ClientConfig(locale=request.locale or LOCALE, silence_timeout=0),
        )

    @property
    def _proposed_session(self) -> str | None:
        session = None if self.request is None else self.request.session
        return adopted(session.session_id) if session is not None and session.session_id else None

    # -------------------------------------------------------- sessions that travel

    def _unpack(self, packed: Any) -> None:
        """The session has come back with Alexa's session attributes."""
        if not isinstance(packed, str):
            return
        try:
            session = Session.restore(from_base64(packed))
        except (ValueError, RemoteProtocolError) as error:
            self._tell(
                FaultEvent(error=RemoteProtocolError(str(error), path=f"session.attributes.{SESSION}"))
            )
        else:
            self._brought = packed
            self._sessions.keep(session, self._sessions.keep_for)

    def _check_session(self, session: Session, response: Response) -> None:
        super()._check_session(session, response)
        if self._travels:
            # As it will be when the Response has had its effect.
            left = attrs.evolve(
                session,
                locale=response.locale or session.locale,
                stt_mode=response.stt_mode or session.stt_mode,
                expected_phrases=response.expected_phrases,
                asleep=response.sleep_timeout > 0,
            )
            size = len(left.snapshot())
            if size > MOST_TRAVELLING:
                raise LocalProtocolError(
                    f"the session cannot travel: {size} bytes of at most {MOST_TRAVELLING}",
                    legal=("less in Session.data", "AlexaServer(sessions)"),
                )
            self._left = left

    def _packed(self) -> dict[str, Any]:
        """The session, as an attribute."""
        session = self._left or self._joined
        if not self._travels or session is None or session.ended:
            return {}
        with suppress(LocalProtocolError):
            snapshot = session.snapshot()
            if len(snapshot) <= MOST_TRAVELLING:
                return {SESSION: to_base64(snapshot)}
        # The turn was interrupted when the host had put into the session what cannot travel.
        return {} if self._brought is None else {SESSION: self._brought}

    # -------------------------------------------------------- the answer

    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        assert self.request is not None
        attributes, directives, unsent = self._extras()
        packed = {} if response.ends else self._packed()
        composed, more = answer(
            response,
            self.request,
            session_attributes={**attributes, **packed},
            directives=directives,
            base_url=self._base_url,
            title=self._title,
            reprompt=self._reprompt,
            limits=self._answer_limits,
        )
        return composed.to_json(), (*unsent, *more)

    def _extras(self) -> tuple[dict[str, Any], tuple[Mapping[str, Any], ...], tuple[Unsent, ...]]:
        """The attributes and directives of the host, when they can be sent."""
        try:
            attributes, directives = dict(self.attributes), tuple(self.directives)
            body = ResponseBody(directives=directives)
            json_of(AlexaResponse(session_attributes=attributes, response=body).to_json())
        except (TypeError, ValueError, RecursionError) as error:
            return {}, (), (Unsent("session attributes and directives", str(error)),)
        return attributes, directives, ()

    def _turn_away(self, text: str, source: str | None) -> None:  # noqa: ARG002
        # With a status the user would only hear that the skill has a problem.
        self._last = self._encode(ErrorEvent(text=text))
        self._conclude()

    def _patience(self) -> float | None:
        return self.timeouts.alexa

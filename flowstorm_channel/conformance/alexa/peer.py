"""The kit as Alexa: devices, their users, and the service that signs what it asks skills."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.webhook import (
    Headers,
    Reply,
    Speech,
    Tree,
    WebhookCaller,
    at,
    dumped,
    loaded,
    members,
    objects,
)
from flowstorm_channel.sessions import uuid4_text
from flowstorm_channel.testing.alexa import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaPeer, Interfaces, Sent
from flowstorm_channel.testing.signing import AlexaSigner
from flowstorm_channel.wire import RequestHead

__all__ = [
    "CERTIFICATES",
    "ECHO",
    "ECHO_SHOW",
    "FIRST_ECHO_SHOW",
    "AlexaCaller",
    "Answer",
    "Device",
    "speech_of",
]

PATH = "/alexa"
CERTIFICATES = "https://s3.amazonaws.com/echo.api/echo-api-cert-conformance.pem"
"""What a stranger says where his certificates are."""
_NO_SIGNATURE = "bm90IHNpZ25lZA=="

Change = Callable[[Tree], None]


def speech_of(speech: object) -> Speech:
    """What an outputSpeech says."""
    ssml, text = at(speech, "ssml"), at(speech, "text")
    if isinstance(ssml, str):
        return Speech.read(ssml)
    return Speech(text=text if isinstance(text, str) else "")


@attrs.frozen(kw_only=True)
class Answer:
    """What a skill answered, with status 200.

    Args:
        reply: as it came.
    """

    reply: Reply

    @property
    def response(self) -> Tree:
        """What Alexa says and does."""
        return members(self.reply.tree, "response")

    @property
    def speech(self) -> Speech:
        """What Alexa says."""
        return speech_of(self.response.get("outputSpeech"))

    @property
    def directives(self) -> list[Tree]:
        """What the device does."""
        return objects(self.response, "directives")

    @property
    def ends(self) -> bool:
        """Whether the session is over."""
        return self.response.get("shouldEndSession") is True


class Device:
    """A device, and whoever speaks to it.

    Args:
        alexa: the service.
        interfaces: what the device can do.
        application_id: of the skill.
    """

    def __init__(self, alexa: AlexaCaller, interfaces: Interfaces, application_id: str) -> None:
        self.alexa = alexa
        self.name = uuid4_text()
        self.session_name = self.name
        """That of another device here makes this one name the other one's sessions."""
        self.says = AlexaPeer(
            alexa.time,
            application_id=application_id,
            device_id=f"amzn1.ask.device.{self.name}",
            user_id=f"amzn1.ask.account.{self.name}",
            interfaces=interfaces,
            message=alexa.profile.alexa_intent,
            slot=alexa.profile.alexa_slot,
            url=PATH,
        )
        """Makes the requests."""

    def request(self, sent: Sent, change: Change | None = None) -> bytes:
        """The body of a request as it goes over the wire.

        Args:
            sent: by `says`.
            change: what is otherwise in it.
        """
        tree = loaded(sent[1])
        if "session" in tree:
            tree["session"]["sessionId"] = (
                f"amzn1.echo-api.session.{self.session_name}.{self.says.session_id}"
            )
        if change is not None:
            change(tree)
        return dumped(tree)

    def post(self, sent: Sent, change: Change | None = None, *, ms: float | None = None) -> Reply:
        """Make a request, signed when the kit can.

        Args:
            sent: by `says`.
            change: what is otherwise in it.
            ms: how long the answer may take.
        """
        body = self.request(sent, change)
        reply = self.alexa.post(body, self.alexa.signed(body), ms=ms)
        request = loaded(body)
        if "session" in request:
            self.says.attributes = members(reply.tree, "sessionAttributes")
            if Answer(reply=reply).ends or at(request, "request", "type") == "SessionEndedRequest":
                self.says.session_id = None
        return reply

    def ask(self, sent: Sent, change: Change | None = None, *, ms: float | None = None) -> Answer:
        """The same, for what has to be answered with 200.

        Raises:
            Violation: it is not.
        """
        reply = self.post(sent, change, ms=ms)
        if reply.status != 200:
            kind = at(loaded(sent[1]), "request", "type")
            raise Violation(f"{kind} has to be answered with status 200, got {reply.says}")
        return Answer(reply=reply)

    def say(self, text: str | None, *, ms: float | None = None) -> Answer:
        """Say something in the session.

        Raises:
            Violation: the answer has not status 200.
        """
        return self.ask(self.says.say(text), ms=ms)

    def launched(self) -> Device:
        """The same, with the skill launched.

        Raises:
            Untestable: that did not work.
        """
        launch = self.alexa.arrange(lambda: self.ask(self.says.launch()))
        self.alexa.arranged(
            None if launch.ends else launch, "the session ended with the answer to LaunchRequest"
        )
        return self


class AlexaCaller(WebhookCaller):
    """What checks of skills are given: Alexa."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self.signer = None if profile.alexa_signer is None else profile.alexa_signer()

    def device(self, interfaces: Interfaces = ECHO, *, application_id: str | None = None) -> Device:
        """A device that nobody has seen before.

        Raises:
            NotDeclared: the skill takes signed requests only, and the kit cannot sign.
        """
        if self.signer is None and "signatures" in self.profile.declared:
            raise NotDeclared(
                "requests have to be signed by Amazon: let the skill take unsigned ones to check this"
            )
        return self.any_device(interfaces, application_id=application_id)

    def any_device(self, interfaces: Interfaces = ECHO, *, application_id: str | None = None) -> Device:
        """The same, for requests that are to be refused."""
        return Device(self, interfaces, application_id or self.profile.key)

    def launched(self, interfaces: Interfaces = ECHO) -> Device:
        """A device with the skill launched.

        Raises:
            NotDeclared: the kit would have to sign, and cannot.
            Untestable: it did not work.
        """
        return self.device(interfaces).launched()

    def signed(self, body: bytes) -> Headers:
        """The headers by which the skill takes a request for Alexa's."""
        return () if self.signer is None else self.signer.headers(body)

    def post(self, body: bytes, headers: Headers = (), *, ms: float | None = None) -> Reply:
        """Make a request.

        Args:
            body: of it.
            headers: beside those that say what the body is.
            ms: how long the answer may take.
        """
        usual = (("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body))))
        return self.exchange(RequestHead(method="POST", url=PATH, headers=(*usual, *headers)), body, ms=ms)

    # -------------------------------------------------------- signatures

    def verifying(self) -> None:
        """Go on only when the skill takes no request that is not signed.

        Raises:
            NotDeclared: it takes one; or Untestable, when it claims not to.
        """
        self.assume("signatures", not self.is_taken(()), "an unsigned request is taken")

    def is_taken(self, headers: Headers | Callable[[bytes], Headers], change: Change | None = None) -> bool:
        """Whether a launch is answered like one of Alexa's.

        Args:
            headers: that say who has signed it; or what makes them for a body.
            change: what is otherwise in the request.
        """
        device = self.any_device()
        body = device.request(device.says.launch(), change)
        return self.post(body, headers(body) if callable(headers) else headers).status == 200

    def signing(self) -> AlexaSigner:
        """What signs for Alexa.

        Raises:
            NotDeclared: the kit has nothing that the skill would trust.
        """
        if self.signer is None:
            raise NotDeclared("the kit has no key that the skill trusts")
        return self.signer

    def stranger(self) -> AlexaSigner:
        """Somebody who signs with his own key, and names the certificates of the kit.

        Raises:
            NotDeclared: the kit cannot sign at all.
        """
        try:
            return AlexaSigner("Stranger", url=CERTIFICATES if self.signer is None else self.signer.url)
        except ImportError as error:
            raise NotDeclared(str(error)) from None

    def from_address(self, url: str) -> Callable[[bytes], Headers]:
        """Makes headers that name another address of the certificates; signed as well as the kit can."""

        def headers(body: bytes) -> Headers:
            signed = dict(self.signed(body)).get("Signature-256", _NO_SIGNATURE)
            return (("SignatureCertChainUrl", url), ("Signature-256", signed))

        return headers

"""Skills that do not look at who asks."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.alexa.signature import AlexaSignature
from flowstorm_channel.codecs.scalars import from_base64, read_time
from flowstorm_channel.conformance.alexa.broken_servers.faults import fault
from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.webhook import at, dumped
from flowstorm_channel.errors import SignatureError
from flowstorm_channel.events import Need


@fault("verifies-nothing", certificates=None)
class _VerifiesNothing(AlexaServer):
    """Takes requests of anybody, as the examples of some frameworks do."""


@fault("looks-for-a-signature-only")
class _LooksForASignatureOnly(AlexaServer):
    """Wants a signature, whatever stands there."""

    def _lacks(self) -> Need | None:
        assert self.head is not None
        if self.head.header("Signature-256") is None:
            raise SignatureError("missing")
        return None

    def _verify(self, body: bytes) -> None:
        """Nothing is done."""


@fault("verifies-certificates-only")
class _VerifiesCertificatesOnly(AlexaServer):
    """Verifies the certificates that a request names, and not what they have signed."""

    def _verify(self, body: bytes) -> None:
        """Nothing is done."""


@fault("verifies-what-it-has-read")
class _VerifiesWhatItHasRead(AlexaServer):
    """Verifies the signature against the request that it has parsed and written again."""

    def _verify(self, body: bytes) -> None:
        try:
            again = dumped(json.loads(body))
        except ValueError:
            again = body
        super()._verify(again)


@fault("expects-headers-as-documented")
class _ExpectsHeadersAsDocumented(AlexaServer):
    """Finds headers only when they are spelled as in the documentation."""

    def _lacks(self) -> Need | None:
        assert self.head is not None
        if not {"SignatureCertChainUrl", "Signature-256"} <= {name for name, _ in self.head.headers}:
            raise SignatureError("missing")
        return super()._lacks()


class _OwnAddressCheck(AlexaServer):
    beginning: ClassVar[str]
    """Of the addresses that it takes for Amazon's."""

    def _lacks(self) -> Need | None:
        assert self.head is not None
        assert self._certificates is not None
        url, signature = self.head.header("SignatureCertChainUrl"), self.head.header("Signature-256")
        if url is None or signature is None or not url.startswith(self.beginning):
            raise SignatureError("this is no address of Amazon's")
        try:
            self._signature = AlexaSignature(url=url, signature=from_base64(signature))
        except ValueError:
            raise SignatureError("not base64") from None
        return self._certificates.need(url)


@fault("fetches-from-anywhere")
class _FetchesFromAnywhere(_OwnAddressCheck):
    """Fetches the certificates from wherever the request says."""

    beginning: ClassVar[str] = ""


@fault("compares-how-addresses-begin")
class _ComparesHowAddressesBegin(_OwnAddressCheck):
    """Compares the beginning of the address with Amazon's, as it is spelled."""

    beginning: ClassVar[str] = "https://s3.amazonaws.com/echo.api/"


@fault("takes-requests-of-any-time")
class _TakesRequestsOfAnyTime(Faulty, AlexaServer):
    """Does not look at the time of a request, so that a recorded one can be sent again."""

    def naive(self, tree: Any) -> None:
        if isinstance(at(tree, "request"), dict):
            tree["request"]["timestamp"] = self._now().isoformat()


@fault("expects-requests-at-once")
class _ExpectsRequestsAtOnce(Faulty, AlexaServer):
    """Takes requests of the last minute only, however slow the network is."""

    def naive(self, tree: Any) -> None:
        sent = read_time(tree["request"]["timestamp"])
        if abs((self._now().replace(tzinfo=None) - sent).total_seconds()) > 60:
            raise SignatureError("too old")


@fault("forbids")
class _Forbids(AlexaServer):
    """Answers what it cannot verify with 403."""

    UNVERIFIED: ClassVar[int] = 403


@fault("answers-for-any-skill", skill_ids=None)
class _AnswersForAnySkill(AlexaServer):
    """Answers every skill whose requests Amazon has signed."""

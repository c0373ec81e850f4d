"""Servers that do not see well who calls."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.broken_servers.faults import TOKEN, BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio.signature import SIGNATURE_HEADER, check_handshake, check_request
from flowstorm_channel.wire import CloseCode, RequestHead, ResponseHead

__all__: list[str] = []


@fault("verifies-nothing", auth_token=None, public_url=None)
class _VerifiesNothing(TwilioServer):
    """Takes streams of anybody, as the examples of most frameworks do."""


class _OwnCheck(TwilioServer):
    """A server with another idea of signatures."""

    def verify(self, head: RequestHead) -> None:
        """Raise RemoteProtocolError when the handshake is not to be accepted."""

    def _open(self, head: RequestHead) -> None:
        self._check = self.verify
        super()._open(head)


@fault("verifies-https-addresses")
class _VerifiesHttpsAddresses(_OwnCheck):
    """Verifies the signature against the address as its framework names it: https instead of wss."""

    def verify(self, head: RequestHead) -> None:
        check_request(TOKEN, head, f"https://localhost{head.url}")


@fault("looks-for-a-signature-only")
class _LooksForASignatureOnly(_OwnCheck):
    """Wants a signature, and does not verify it."""

    def verify(self, head: RequestHead) -> None:
        if head.header(SIGNATURE_HEADER) is None:
            raise SignatureError("missing")


@fault("verifies-signatures-that-are-there")
class _VerifiesSignaturesThatAreThere(_OwnCheck):
    """Verifies signatures, but takes a stream that has none."""

    def verify(self, head: RequestHead) -> None:
        if head.header(SIGNATURE_HEADER) is not None:
            check_handshake(TOKEN, head, f"wss://localhost{head.url}")


@fault("believes-forwarded-hosts")
class _BelievesForwardedHosts(_OwnCheck):
    """Verifies the signature against the address that X-Forwarded-Host names, whoever wrote it there."""

    def verify(self, head: RequestHead) -> None:
        host = head.header("X-Forwarded-Host") or "localhost"
        check_handshake(TOKEN, head, f"wss://{host}{head.url}")


@fault("refuses-with-400")
class _RefusesWith400(TwilioServer):
    """Answers a handshake that is not signed rightly with status 400."""

    def _open(self, head: RequestHead) -> None:
        try:
            self._check(head)
        except RemoteProtocolError:
            self._put(ResponseHead(status=400))
            self._finish(CloseCode.NO_INIT, "the handshake was refused")
        else:
            super()._open(head)


@fault("expects-parameters-in-the-query")
class _ExpectsParametersInTheQuery(BrokenServer):
    """Looks for the application in the query of the stream's address, where Twilio lets nothing stand."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start":
            frame["start"]["customParameters"] = {}
        return frame


@fault("expects-a-sender")
class _ExpectsASender(BrokenServer):
    """Fails when a parameter that its own TwiML has is absent."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start":
            frame["start"]["customParameters"]["sender"]
        return frame

"""The handshake of a stream, and who may open one."""

from __future__ import annotations

from urllib.parse import urlsplit

from flowstorm_channel.conformance.twilio.peer import Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation

__all__: list[str] = []

_FORGED = "a secret that is not the account's"
_ELSEWHERE = "elsewhere.example.com"


@check()
def a_call_is_taken(server: Phone) -> None:
    """Opens the WebSocket of a stream as Twilio does, signed when the kit has the account's token."""
    _, status = server.handshake(server.headers)
    if status == 403 and not server.headers:
        raise Untestable("the server wants a signature: tell the kit the account's auth token")
    if status != 101:
        raise Violation(f"the handshake was answered with {status or 'nothing'}, not with 101")


def refused(server: Phone, headers: tuple[tuple[str, str], ...], what: str) -> int | None:
    """The status of a refusal.

    Raises:
        Violation: there was none, from a server that checks signatures; or NotDeclared.
    """
    _, status = server.handshake(headers)
    if status == 101:
        claimed = server.profile.twilio_token is not None or "signatures" in server.profile.declared
        raise (Violation if claimed else NotDeclared)(f"a handshake {what} was accepted")
    return status


@check(needs=("signatures",))
def a_handshake_without_a_signature_is_refused(server: Phone) -> None:
    """Opens a stream without a signature."""
    refused(server, (), "without a signature")


@check(needs=("signatures",))
def a_forged_signature_is_refused(server: Phone) -> None:
    """Opens a stream with a signature that was made with another secret."""
    refused(server, server.signed(_FORGED), "with a forged signature")


@check(needs=("signatures",))
def a_signature_of_another_address_is_refused(server: Phone) -> None:
    """Opens a stream with the right signature of another address, and claims to call that one."""
    token = server.profile.twilio_token
    if token is None:
        raise NotDeclared("the kit has no token to sign with")
    url = f"wss://{_ELSEWHERE}{urlsplit(server.profile.twilio_url).path}"
    headers = (*server.signed(token, url), ("X-Forwarded-Host", _ELSEWHERE), ("X-Forwarded-Proto", "https"))
    refused(server, headers, "with the signature of another address")


@check(needs=("signatures",))
def a_refusal_has_status_403(server: Phone) -> None:
    """Opens a stream with a forged signature, and looks at the status of the answer."""
    status = server.arrange(lambda: refused(server, server.signed(_FORGED), "with a forged signature"))
    if status != 403:
        raise Violation(f"the refusal has the status {status}")

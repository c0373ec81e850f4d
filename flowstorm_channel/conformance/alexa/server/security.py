"""Security: who asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flowstorm_channel.conformance.alexa.peer import CERTIFICATES, AlexaCaller, Answer
from flowstorm_channel.conformance.alexa.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.conformance.webhook import Headers, Tree


@check(needs=("signatures",))
def unsigned_requests_are_refused(alexa: AlexaCaller) -> None:
    """Launches the skill without a signature."""
    alexa.claimed("signatures", not alexa.is_taken(()), "a request without a signature is taken")


@check(needs=("signatures",))
def other_signatures_are_refused(alexa: AlexaCaller) -> None:
    """Launches the skill with a signature by somebody else's key, and with what is no signature."""
    alexa.verifying()
    if alexa.is_taken((("SignatureCertChainUrl", CERTIFICATES), ("Signature-256", "no signature"))):
        raise Violation("a request is taken whose signature is none")
    if alexa.is_taken(alexa.stranger().headers):
        raise Violation("a request is taken that was signed with somebody else's key")


@check(needs=("signatures",))
def changed_bodies_are_refused(alexa: AlexaCaller) -> None:
    """Changes a request after it was signed."""
    alexa.verifying()
    signer = alexa.signing()
    if alexa.is_taken(lambda body: signer.headers(body.replace(b"LaunchRequest", b"IntentRequest"))):
        raise Violation("a request is taken whose signature is that of another body")


@check(needs=("signatures",))
def signatures_are_of_the_bytes(alexa: AlexaCaller) -> None:
    """Signs a body that is written in an unusual way, with other spaces and escapes: it is taken."""
    alexa.verifying()
    signer = alexa.signing()
    device = alexa.any_device()
    body = device.request(device.says.launch()).replace(b'"version": ', b'\n"v\\u0065rsion" :\t')
    reply = alexa.post(body, signer.headers(body))
    if reply.status != 200:
        raise Violation(f"the signature of the bytes as they came is good, got {reply.says}")


@check(needs=("signatures",))
def names_of_headers_have_any_case(alexa: AlexaCaller) -> None:
    """Signs a launch with the names of the headers in lower case, as HTTP/2 has them, and in upper case."""
    alexa.verifying()
    signer = alexa.signing()
    for written in (str.lower, str.upper):

        def headers(body: bytes, written: Any = written) -> Headers:
            return tuple((written(name), value) for name, value in signer.headers(body))

        if not alexa.is_taken(headers):
            raise Violation(
                f"a signed request is refused whose headers are called {written('Signature-256')}"
            )


STRANGE_ADDRESSES = (
    "http://s3.amazonaws.com/echo.api/echo-api-cert.pem",
    "https://s3.amazonaws.com:563/echo.api/echo-api-cert.pem",
    "https://s3.example.com/echo.api/echo-api-cert.pem",
    "https://s3.amazonaws.com.example.com/echo.api/echo-api-cert.pem",
    "https://s3.amazonaws.com/EcHo.aPi/echo-api-cert.pem",
    "https://s3.amazonaws.com/echo.api.evil/echo-api-cert.pem",
    "https://s3.amazonaws.com/echo.api/../x/echo-api-cert.pem",
    "https://s3.amazonaws.com/invalid.path/echo-api-cert.pem",
)
AMAZONS_ADDRESSES = (
    "https://s3.amazonaws.com/echo.api/{}",
    "https://s3.amazonaws.com:443/echo.api/{}",
    "HTTPS://S3.AmazonAWS.com/echo.api/{}",
    "https://s3.amazonaws.com/echo.api/../echo.api/{}",
)


@check(needs=("signatures",))
def certificates_come_from_amazon(alexa: AlexaCaller) -> None:
    """Signs launches with certificates at addresses that are not Amazon's."""
    alexa.verifying()
    for url in STRANGE_ADDRESSES:
        if alexa.is_taken(alexa.from_address(url)):
            raise Violation(f"a request is taken whose certificates are at {url}")


@check(needs=("signatures",))
def forms_of_amazons_address_are_taken(alexa: AlexaCaller) -> None:
    """Signs launches with the address of the certificates written in other ways that mean the same."""
    alexa.verifying()
    name = alexa.signing().url.rpartition("/")[2]
    for form in AMAZONS_ADDRESSES:
        if not alexa.is_taken(alexa.from_address(form.format(name))):
            raise Violation(f"a request is refused whose certificates are at {form.format(name)}")


def sent(alexa: AlexaCaller, seconds: int) -> Any:
    """Makes a request one of another time."""

    def change(tree: Tree) -> None:
        then = alexa.time() + timedelta(seconds=seconds)
        tree["request"]["timestamp"] = then.strftime("%Y-%m-%dT%H:%M:%SZ")

    return change


@check(needs=("signatures",))
def old_requests_are_refused(alexa: AlexaCaller) -> None:
    """Signs launches of five minutes ago, and of five minutes to come."""
    alexa.verifying()
    signer = alexa.signing()
    for seconds in (-300, 300):
        if alexa.is_taken(signer.headers, sent(alexa, seconds)):
            raise Violation(f"a request is taken that was sent {seconds:+} seconds from now, of at most 150")


@check(needs=("signatures",))
def late_requests_are_taken(alexa: AlexaCaller) -> None:
    """Signs a launch of two minutes ago."""
    alexa.verifying()
    signer = alexa.signing()
    if not alexa.is_taken(signer.headers, sent(alexa, -120)):
        raise Violation("a request is refused that was sent 120 seconds ago, of at most 150")


@check(needs=("signatures",))
def what_cannot_be_verified_is_a_bad_request(alexa: AlexaCaller) -> None:
    """Launches the skill without a signature: the status is 400."""
    alexa.verifying()
    device = alexa.any_device()
    reply = alexa.post(device.request(device.says.launch()))
    if reply.status != 400:
        raise Violation(f"expected status 400, got {reply.says}")


@check(needs=("refuse",))
def other_skills_are_refused(alexa: AlexaCaller) -> None:
    """Launches another skill at this one's address."""
    alexa.arrange(lambda: alexa.device().launched())
    device = alexa.device(application_id=alexa.profile.refused_key or "amzn1.ask.skill.another")
    reply = device.post(device.says.launch())
    refused = 400 <= reply.status < 500 or Answer(reply=reply).ends
    alexa.claimed("refuse", refused, f"a request for another skill has to be refused, got {reply.says}")

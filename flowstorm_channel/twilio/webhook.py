"""The webhook that Twilio calls when a telephone rings: who calls is read, and a stream is the answer.

`answer_call` does it all. A host that wants more takes its parts: `CallWebhook.read`, and the builders of
`twiml` (external.md, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

import attrs

from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError, SignatureError
from flowstorm_channel.http import check_head
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.twilio.signature import SIGNATURE_HEADER, check_request, public_address
from flowstorm_channel.twilio.twiml import check_parameter, connect_stream, hang_up, reject, response
from flowstorm_channel.wire import RequestHead, ResponseHead

__all__ = ["CallWebhook", "answer_call"]

METHODS = ("POST", "GET")
"""Those that Twilio may be told to use for a webhook."""


@attrs.frozen(kw_only=True)
class CallWebhook:
    """What Twilio says about a call, when it asks what to do with it or reports how it goes.

    Args:
        call_sid: of the call; it will be the session id.
        account_sid: of the account.
        from_: who calls: a number, ``sip:…``, ``client:…``, or whatever stands for a number that is withheld.
        to: who is called.
        call_status: ringing, in-progress, completed …
        direction: ``inbound``; ``outbound-api`` for a call that was asked for.
        fields: all that was said, by Twilio's names.
        query: what the address of the webhook says.
    """

    call_sid: str
    account_sid: str = ""
    from_: str = ""
    to: str = ""
    call_status: str = ""
    direction: str = ""
    # Both can hold what is not for logs.
    fields: Mapping[str, str] = attrs.field(factory=dict, repr=False, hash=False)
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False, hash=False)

    @classmethod
    def read(
        cls,
        head: RequestHead,
        body: bytes,
        *,
        auth_token: str | None,
        public_url: str,
        shared_keys: Mapping[str, str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> CallWebhook:
        """Check who sent a request, and read it.

        Args:
            head: of the request.
            body: of the request, whole.
            auth_token: of the account; None: anybody may be the sender.
            public_url: where Twilio finds the root of this server: see `public_address`.
            shared_keys: the secrets of shared keys, by their ids: see `SignatureSettings`.
            limits: for what comes.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no webhook of a call.
            SignatureError: Twilio did not send it, or not to this address.
            ValueError: the public address is none, or the token is empty.
        """
        if head.method not in METHODS:
            raise _WrongMethod(f"{head.method[:20]!a} is not {' or '.join(METHODS)}")
        check_head(head, limits)
        if auth_token is not None and head.header(SIGNATURE_HEADER) is None:
            raise SignatureError("missing", path=SIGNATURE_HEADER)  # the form is not worth reading
        url = public_address(public_url, head, "https")
        query = _fields(urlsplit(url).query, limits)
        form = _form(body, limits) if head.method == "POST" else []
        if auth_token is not None:
            check_request(auth_token, head, url, form, shared_keys=shared_keys)
        said = dict(form if head.method == "POST" else query)
        call = cls(
            call_sid=said.get("CallSid", ""),
            account_sid=said.get("AccountSid", ""),
            from_=said.get("From", ""),
            to=said.get("To", ""),
            call_status=said.get("CallStatus", ""),
            direction=said.get("Direction", ""),
            fields=said,
            query=dict(query),
        )
        if not call.call_sid:
            raise RemoteProtocolError("is missing", path="CallSid")
        try:
            for name, value in call.parameters.items():
                check_parameter(name, value)
        except ValueError as error:
            raise RemoteProtocolError(str(error)) from None
        return call

    @property
    def inbound(self) -> bool:
        """Whether somebody called us; else we called them."""
        return not self.direction.startswith("outbound")

    @property
    def parameters(self) -> dict[str, str]:
        """What the server of the stream should know.

        ``sender`` is who talks to us. ``appKey``, ``deviceId``, ``locale``, ``token`` and ``initiationId``
        are there when the address of the webhook has them, the first as ``key``.
        """
        found = {parameter: self.query.get(name, "") for name, parameter in _PARAMETERS.items()}
        found["sender"] = self.from_ if self.inbound else self.to
        return {name: value for name, value in found.items() if value}


_PARAMETERS = {
    "key": "appKey",
    "deviceId": "deviceId",
    "locale": "locale",
    "token": "token",
    "initiationId": "initiationId",
}
"""What becomes of the query of a webhook: the parameter of the stream for each."""


def _form(body: bytes, limits: Limits) -> list[tuple[str, str]]:
    if len(body) > limits.webhook_bytes:
        raise LimitExceeded(f"a form of more than {limits.webhook_bytes} bytes")
    try:
        return _fields(body.decode(), limits)
    except UnicodeDecodeError:
        raise RemoteProtocolError("the form is not UTF-8") from None


def _fields(text: str, limits: Limits) -> list[tuple[str, str]]:
    """The pairs of a form or a query. The empty ones count: they are signed, too."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=limits.items)
    except ValueError:
        raise LimitExceeded(f"more than {limits.items} fields") from None


class _WrongMethod(RemoteProtocolError):
    """The address is not for that method of HTTP."""


# ------------------------------------------------------------ answers


def answer_call(
    head: RequestHead,
    body: bytes,
    *,
    auth_token: str | None,
    public_url: str,
    stream_url: str | None = None,
    greet: Callable[[CallWebhook], Mapping[str, str] | None] | None = None,
    observe: Callable[[RemoteProtocolError], None] | None = None,
    shared_keys: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[ResponseHead, bytes]:
    """Tell Twilio what to do with a call: connect it with a stream.

    Args:
        head: of the request.
        body: of the request, whole.
        auth_token: of the account; None: anybody may be the sender.
        public_url: where Twilio finds the root of this server: see `public_address`.
        stream_url: of the stream, ``wss://…``; that of the webhook without one, which takes both then.
        greet: is given the call, and gives the parameters of its stream, such as `CallWebhook.parameters`
            and more; or None: then the call is not taken.
        observe: is given the reason when a request is refused; Twilio is not told all of it.
        shared_keys: the secrets of shared keys, by their ids: see `SignatureSettings`.
        limits: for what comes.

    Returns:
        The head and the body of the response.

    Raises:
        ValueError: the public address, that of the stream, the token, or a parameter of `greet` is none.
    """
    try:
        call = CallWebhook.read(
            head,
            body,
            auth_token=auth_token,
            public_url=public_url,
            shared_keys=shared_keys,
            limits=limits,
        )
    except RemoteProtocolError as error:
        if observe is not None:
            observe(error)
        return _refused(error)
    parameters = call.parameters if greet is None else greet(call)
    if parameters is None:
        return response(reject() if call.inbound else hang_up())
    if stream_url is None:
        stream_url = public_address(public_url, head, "wss").partition("?")[0]
    return response(connect_stream(stream_url, parameters=parameters))


_STATUSES = ((_WrongMethod, 405), (SignatureError, 403), (LimitExceeded, 413), (RemoteProtocolError, 400))


def _refused(error: RemoteProtocolError) -> tuple[ResponseHead, bytes]:
    status = next(status for fault, status in _STATUSES if isinstance(error, fault))
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
    if status == 405:
        headers.append(("Allow", ", ".join(METHODS)))
    text = "the signature is not right" if status == 403 else str(error)
    return ResponseHead(status=status, headers=headers), text.encode()

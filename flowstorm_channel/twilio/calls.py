"""Calls that the host begins or ends: the requests for Twilio's REST interface, and what it answers.

Requests are built and answers are read here; sending is the host's, with whatever HTTP client it has
(external.md, 3).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import attrs

from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.scalars import to_base64
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import Value, member, wire_class
from flowstorm_channel.twilio.signature import check_address
from flowstorm_channel.wire import RequestHead, ResponseHead

__all__ = ["API_URL", "CallAnswer", "CallRefused", "CallRequest", "hang_up_request"]

API_URL = "https://api.twilio.com/2010-04-01"
"""Where Twilio's REST interface is; other regions have other addresses."""

LONGEST_TWIML = 4000
"""What a request for a call takes, in characters."""

_NUMBER = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)
_PARTY = re.compile(rf"{_NUMBER.pattern}|sips?:[!-?A-~]+@[!-?A-~]+|client:[!-~]+", re.ASCII)
_DIGITS = re.compile(r"[0-9A-D#*wW]{1,32}", re.ASCII)
_ACCOUNT, _CALL, _APPLICATION = (re.compile(f"{kind}[0-9a-fA-F]{{32}}") for kind in ("AC", "CA", "AP"))
_EVENTS = ("initiated", "ringing", "answered", "completed")

_Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _like(pattern: re.Pattern[str], what: str) -> _Validator:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
        if not pattern.fullmatch(value):
            raise ValueError(f"{attribute.name} must be {what}, not {value!r}")

    return check


def _seconds(most: int | None = None) -> _Validator:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
        if type(value) is not int or value < 1 or (most is not None and value > most):
            bounds = "1 or more" if most is None else f"1 to {most}"
            raise ValueError(f"{attribute.name} must be a whole number of seconds, {bounds}, not {value!r}")

    return check


def _one_of(*legal: str) -> _Validator:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
        if value not in legal:
            raise ValueError(f"{attribute.name} must be one of {', '.join(legal)}, not {value!r}")

    return check


def _address(_: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    try:
        check_address(value, "https", "http")
    except ValueError as error:
        raise ValueError(f"{attribute.name}: {error}") from None


def _maybe(validator: _Validator) -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(validator))


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in pairs)


@attrs.frozen(kw_only=True)
class CallRequest:
    """A call to somebody.

    Exactly one of `url`, `twiml` and `application_sid` says what is to be done with it.

    Args:
        to: whom to call: a number in the form of E.164, ``+420123456789``; or an address that begins with
            ``sip:`` or ``client:``.
        from_: who calls, in the same forms; a number of yours when a number is called.
        url: of a webhook that answers with TwiML, such as `answer_call` gives.
        method: of HTTP, for that.
        twiml: what to do, at most 4000 characters.
        application_sid: of an application at Twilio.
        timeout: how long it may ring, in seconds: 1 to 600, at Twilio 60 without one.
        time_limit: how long the call may last, in seconds.
        send_digits: keys to press when somebody answers, at most 32: ``0-9``, ``A-D``, ``#``, ``*``, and
            ``w`` and ``W`` for half a second and one second of waiting.
        machine_detection: find out whether a machine has answered: at once, or when its greeting is over.
        status_callback: an address that is told how the call goes.
        status_callback_method: of HTTP, for that.
        status_callback_events: what it is told; at Twilio only ``completed`` when none is named.
        others: parameters that have no member here, in Twilio's spelling.

    Raises:
        ValueError: something is not as Twilio wants it, or would be ignored there.
    """

    to: str = attrs.field(validator=_like(_PARTY, "a number such as +420123456789, sip:… or client:…"))
    from_: str = attrs.field(validator=_like(_PARTY, "a number such as +420123456789, sip:… or client:…"))
    url: str | None = _maybe(_address)
    method: Literal["POST", "GET"] | None = _maybe(_one_of("POST", "GET"))
    twiml: str | None = None
    application_sid: str | None = _maybe(_like(_APPLICATION, "AP and 32 hexadecimal digits"))
    timeout: int | None = _maybe(_seconds(600))
    time_limit: int | None = _maybe(_seconds())
    send_digits: str | None = _maybe(_like(_DIGITS, "1 to 32 of 0-9, A-D, #, *, w and W"))
    machine_detection: Literal["Enable", "DetectMessageEnd"] | None = _maybe(
        _one_of("Enable", "DetectMessageEnd")
    )
    status_callback: str | None = _maybe(_address)
    status_callback_method: Literal["POST", "GET"] | None = _maybe(_one_of("POST", "GET"))
    status_callback_events: tuple[str, ...] = attrs.field(
        default=(), converter=tuple, validator=attrs.validators.deep_iterable(_one_of(*_EVENTS))
    )
    others: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)

    def __attrs_post_init__(self) -> None:
        for wrong, problem in self._contradictions():
            if wrong:
                raise ValueError(problem)

    def _contradictions(self) -> Iterator[tuple[bool, str]]:
        """What would be refused, or silently ignored, although each member is legal by itself."""
        told = [each for each in (self.url, self.twiml, self.application_sid) if each is not None]
        yield len(told) != 1, "exactly one of url, twiml and application_sid says what to do with the call"
        yield self.method is not None and self.url is None, "method is for the url, and there is none"
        yield (
            self.twiml is not None and len(self.twiml) > LONGEST_TWIML,
            f"twiml must be at most {LONGEST_TWIML} characters: use a url for more",
        )
        numbers = [bool(_NUMBER.fullmatch(each)) for each in (self.to, self.from_)]
        yield numbers == [True, False], "only a number can call a number"
        yield (
            self.send_digits is not None and self.machine_detection is not None,
            "with send_digits Twilio ignores machine_detection",
        )
        callback = self.status_callback is not None
        yield (
            callback and self.application_sid is not None,
            "with application_sid Twilio ignores status_callback",
        )
        asked = self.status_callback_method is not None or bool(self.status_callback_events)
        yield asked and not callback, "there is no status_callback for its method and events"
        for name, _ in self.others:
            yield name in _NAMES.values(), f"{name} has a member of its own"

    def request(
        self, account_sid: str, auth_token: str, *, api_url: str = API_URL
    ) -> tuple[RequestHead, bytes]:
        """The request that begins the call; `CallAnswer.read` reads the answer.

        Args:
            account_sid: of the account: AC and 32 hexadecimal digits.
            auth_token: of the account.
            api_url: of the REST interface.

        Raises:
            ValueError: the account or its token is none.
        """
        form: list[tuple[str, str]] = []
        for attribute, name in _NAMES.items():
            value = getattr(self, attribute)
            if isinstance(value, tuple):
                form += [(name, each) for each in value]
            elif value is not None:
                form.append((name, str(value)))
        form += self.others
        return _post(f"{api_url}/Accounts/{account_sid}/Calls.json", account_sid, auth_token, form)


_NAMES = {
    "to": "To",
    "from_": "From",
    "url": "Url",
    "method": "Method",
    "twiml": "Twiml",
    "application_sid": "ApplicationSid",
    "timeout": "Timeout",
    "time_limit": "TimeLimit",
    "send_digits": "SendDigits",
    "machine_detection": "MachineDetection",
    "status_callback": "StatusCallback",
    "status_callback_method": "StatusCallbackMethod",
    "status_callback_events": "StatusCallbackEvent",
}
"""What the members of a `CallRequest` are called in the form."""


def hang_up_request(
    account_sid: str, auth_token: str, call_sid: str, *, api_url: str = API_URL
) -> tuple[RequestHead, bytes]:
    """The request that ends a call; `CallAnswer.read` reads the answer.

    Args:
        account_sid: of the account: AC and 32 hexadecimal digits.
        auth_token: of the account.
        call_sid: of the call: CA and 32 hexadecimal digits.
        api_url: of the REST interface.

    Raises:
        ValueError: the account, its token or the call is none.
    """
    if not _CALL.fullmatch(call_sid):
        raise ValueError(f"a call is CA and 32 hexadecimal digits, not {call_sid!r}")
    url = f"{api_url}/Accounts/{account_sid}/Calls/{call_sid}.json"
    return _post(url, account_sid, auth_token, [("Status", "completed")])


def _post(
    url: str, account_sid: str, auth_token: str, form: Sequence[tuple[str, str]]
) -> tuple[RequestHead, bytes]:
    if not _ACCOUNT.fullmatch(account_sid):
        raise ValueError(f"an account is AC and 32 hexadecimal digits, not {account_sid!r}")
    if not auth_token:
        raise ValueError("the auth token is empty")
    headers = (
        ("Authorization", f"Basic {to_base64(f'{account_sid}:{auth_token}'.encode())}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    )
    return RequestHead(method="POST", url=url, headers=headers), urlencode(form).encode()


# ------------------------------------------------------------ what comes back

A = TypeVar("A", bound=Value)

_ENDED = ("completed", "busy", "failed", "no-answer", "canceled")


@wire_class
class CallAnswer(Value):
    """A call, as Twilio describes it."""

    sid: str = member(doc="of the call, to hang up with")
    status: str = member(
        doc="queued, ringing, in-progress, completed, busy, failed, no-answer, canceled; or a new one"
    )
    account_sid: str | None = member(default=None, wire="account_sid", doc="of the account")
    to: str | None = member(default=None, doc="who is called")
    from_: str | None = member(default=None, wire="from", doc="who calls")
    direction: str | None = member(default=None, doc="`outbound-api` for calls that were asked for")

    @property
    def ended(self) -> bool:
        """Whether the call is over, or never came about."""
        return self.status in _ENDED

    @classmethod
    def read(
        cls, head: ResponseHead, body: bytes, *, limits: Limits = DEFAULT_LIMITS
    ) -> "CallAnswer | CallRefused":
        """What Twilio answers to one of these requests.

        Args:
            head: of the response.
            body: of the response, whole.
            limits: for what comes.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no answer of Twilio's, but of something on the way.
        """
        if 200 <= head.status < 300:
            return _read(CallAnswer, head, body, limits)
        if head.status >= 400:
            return _read(CallRefused, head, body, limits).replace(status=head.status)
        raise RemoteProtocolError(f"an answer with status {head.status}")


@wire_class
class CallRefused(Value):
    """Why Twilio does not do what was asked for."""

    status: int = member(default=0, doc="of HTTP")
    code: int | None = member(default=None, doc="of the error, in Twilio's list of them")
    message: str = member(default="", doc="for people")
    more_info: str | None = member(default=None, wire="more_info", doc="address of an explanation")

    @property
    def already_ended(self) -> bool:
        """Whether a call could not be hung up because it is over."""
        return self.status == 404 and self.code == 20404


def _read(cls: type[A], head: ResponseHead, body: bytes, limits: Limits) -> A:
    try:
        return JsonCodec(limits).decode_value(cls, body)
    except RemoteProtocolError as error:
        where = f"in an answer with status {head.status}"
        raise type(error)(f"{error.problem} ({where})", path=error.path) from None

"""Webhooks of Google Assistant that do not look at who asks."""

from __future__ import annotations

from typing import Any, ClassVar

from flowstorm_channel.conformance.broken_webhooks import Faulty
from flowstorm_channel.conformance.google.broken_servers.faults import fault
from flowstorm_channel.errors import SignatureError
from flowstorm_channel.events import Need
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.google.signature import token_of


@fault("verifies-nothing", keys=None)
class _VerifiesNothing(GoogleAssistantServer):
    """Takes requests of anybody, as the reference server does."""


@fault("looks-for-a-token-only")
class _LooksForATokenOnly(GoogleAssistantServer):
    """Wants a token, whatever stands there."""

    def _verify_head(self) -> None:
        """Nothing is done."""


class _Forgiving(GoogleAssistantServer):
    """Verifies tokens, but for one thing."""

    forgives: ClassVar[str]
    """How the complaints begin that it does not mind."""

    def _verify_head(self) -> None:
        try:
            super()._verify_head()
        except SignatureError as error:
            if not str(error).startswith(self.forgives):
                raise


@fault("reads-tokens-only")
class _ReadsTokensOnly(_Forgiving):
    """Wants a token, and does not verify its signature."""

    forgives: ClassVar[str] = "the signature of the token is not by the key"


@fault("answers-for-any-project")
class _AnswersForAnyProject(_Forgiving):
    """Takes tokens that Google has signed for anybody's project."""

    forgives: ClassVar[str] = "aud:"


@fault("trusts-any-issuer")
class _TrustsAnyIssuer(_Forgiving):
    """Does not look at who has issued a token."""

    forgives: ClassVar[str] = "iss:"


@fault("takes-old-tokens")
class _TakesOldTokens(_Forgiving):
    """Does not look at when a token expires, so that a recorded one is good for ever."""

    forgives: ClassVar[str] = "exp:"


@fault("looks-for-tokens-everywhere")
class _LooksForTokensEverywhere(Faulty, GoogleAssistantServer):
    """Takes the token from either header in either version."""

    def naive(self, tree: Any) -> None:
        self._signed_as = 3 if "handler" in tree else 2


@fault("verifies-the-users-token")
class _VerifiesTheUsersToken(GoogleAssistantServer):
    """Takes the token from authorization, when it is there, in version 3 too."""

    def _lacks(self) -> Need | None:
        need = super()._lacks()
        assert self.head is not None
        if self.head.header("authorization") is not None:
            self._token = token_of(self.head, 2)
        return need


@fault("says-bad-request")
class _SaysBadRequest(GoogleAssistantServer):
    """Answers what it cannot verify with 400."""

    UNVERIFIED: ClassVar[int] = 400


@fault("takes-every-key")
class _TakesEveryKey(GoogleAssistantServer):
    """Answers for applications that are not its own."""

    def _key(self) -> str:
        return "conformance"

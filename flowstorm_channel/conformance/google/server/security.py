"""Security: who asks."""

from __future__ import annotations

from flowstorm_channel.conformance.google.peer import HEADERS, GoogleCaller
from flowstorm_channel.conformance.google.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation


@check(needs=("signatures",))
def unsigned_requests_are_refused(google: GoogleCaller) -> None:
    """Begins a conversation without a token."""
    taken = google.first_taken(lambda _: ())
    google.claimed("signatures", taken is None, f"a request of version {taken} is taken without a token")


@check(needs=("signatures",))
def other_keys_are_refused(google: GoogleCaller) -> None:
    """Begins a conversation with what is no token, and with one that somebody else has signed."""
    google.verifying()
    taken = google.with_token("no.token.atall")
    if taken is not None:
        raise Violation(f"a request of version {taken} is taken with what is no token")
    taken = google.with_token(google.stranger())
    if taken is not None:
        raise Violation(f"a request of version {taken} is taken with a token that was not signed by Google")


@check(needs=("signatures",))
def tokens_for_other_projects_are_refused(google: GoogleCaller) -> None:
    """Begins a conversation with a token that Google has signed for another project."""
    google.verifying()
    taken = google.with_token(google.signing().token(google.time(), aud="another-project"))
    if taken is not None:
        raise Violation(f"a request of version {taken} is taken with a token for another project")


@check(needs=("signatures",))
def tokens_of_other_issuers_are_refused(google: GoogleCaller) -> None:
    """Begins a conversation with a token whose issuer is not Google's accounts."""
    google.verifying()
    taken = google.with_token(google.signing().token(google.time(), iss="https://accounts.example.com"))
    if taken is not None:
        raise Violation(f"a request of version {taken} is taken with a token of another issuer")


@check(needs=("signatures",))
def expired_tokens_are_refused(google: GoogleCaller) -> None:
    """Begins a conversation with a token that has expired an hour ago."""
    google.verifying()
    now = int(google.time().timestamp())
    old = google.signing().token(google.time(), nbf=now - 7200, iat=now - 7200, exp=now - 3600)
    taken = google.with_token(old)
    if taken is not None:
        raise Violation(f"a request of version {taken} is taken with a token that has expired")


@check(needs=("signatures",))
def tokens_stand_at_their_place(google: GoogleCaller) -> None:
    """Begins a conversation of version 3 with the token at the place of the user's."""
    google.verifying()
    token = google.signing().token(google.time())
    for _ in (each for each in google.assistants() if each.version == "3"):
        assistant = google.assistant("3")
        if assistant.send(assistant.says.launch(), ((HEADERS["2"], token),)).status == 200:
            raise Violation("authorization is the user's in version 3, and is taken for Google's")
        return
    raise NotDeclared("the webhook does not take version 3")


@check(needs=("signatures",))
def the_users_token_does_not_matter(google: GoogleCaller) -> None:
    """Begins a conversation of version 3 with a token of the user beside Google's."""
    google.verifying()
    google.signing()
    for assistant in google.assistants():
        if assistant.version == "3":
            headers = (*google.signed("3"), (HEADERS["2"], google.stranger()))
            reply = assistant.send(assistant.says.launch(), headers)
            if reply.status != 200:
                raise Violation(f"a request is refused in which the user has a token, too: {reply.says}")
            return
    raise NotDeclared("the webhook does not take version 3")


@check(needs=("signatures",))
def what_cannot_be_verified_is_forbidden(google: GoogleCaller) -> None:
    """Begins a conversation without a token: the status is 403."""
    google.verifying()
    for version in google.tried():
        assistant = google.assistant(version)
        reply = assistant.send(assistant.says.launch(), ())
        if reply.status != 403:
            raise Violation(f"expected status 403, got {reply.says}")


@check(needs=("refuse",))
def a_refused_key_is_unauthorised(google: GoogleCaller) -> None:
    """Begins a conversation at the address of an application that is refused: the status is 401."""
    key = google.profile.refused_key
    google.assume("refuse", key is not None, "the profile names no key that is refused")
    for each in google.assistants():
        assistant = google.assistant(each.version, key=key)
        reply = assistant.post(assistant.says.launch())
        google.claimed("refuse", reply.status == 401, f"expected status 401, got {reply.says}")

"""What V1 servers give to whom."""

from __future__ import annotations

import re
from functools import partial

from flowstorm_channel.conformance.socket_v1.peer import PARTS, Conversation, V1Caller, name, payloads_of
from flowstorm_channel.conformance.socket_v1.server.handshake import refused
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MALFORMED = ("../../etc/passwd", "two words", "x" * 65, "é", "a;b=c\r\nd: e", "<b>")


def _is_served(talk: Conversation, why: str) -> None:
    """Say something, which must not be answered by the dialogue."""
    talk.say(INTRO)
    served = [each for each in talk.reaction() if each["type"] in (*PARTS, "Response", "SessionStarted")]
    if served:
        raise Violation(f"{name(served[0])} came to a client {why}")


@check()
def nobody_is_served_before_init(server: V1Caller) -> None:
    """Says something before Init: there is no answer of the dialogue."""
    _is_served(server.connect(), "that has not introduced itself")


@check(needs=("refuse",))
def nobody_is_served_after_a_refusal(server: V1Caller) -> None:
    """Says something after a refused Init: there is no answer of the dialogue."""
    talk = server.connect()
    server.arrange(lambda: refused(server, talk))
    _is_served(talk, "that was refused")


@check(needs=("long",))
def a_foreign_session_id_gives_nothing_away(server: V1Caller) -> None:
    """Names somebody else's session in a Request while the server talks to them: nothing comes of it."""
    of_theirs = server.long_payloads()
    theirs, session_id = server.begun()
    ours = server.started()
    of_ours = server.arrange(lambda: ours.goes_on("the first turn")).payloads
    server.long_answer(theirs)
    ours.say_to(session_id, server.profile.phrase("echo"))
    strange = payloads_of([*ours.reaction(), *ours.during(1500)]) & (of_theirs - of_ours)
    if strange:
        raise Violation(f"{min(map(str, strange))!r:.60} came, which was for the other client")


@check(needs=("long",))
def a_foreign_session_id_disturbs_nobody(server: V1Caller) -> None:
    """Names somebody else's session in a Request while the server talks to them: that goes on."""
    theirs, session_id = server.begun()
    ours = server.ready()
    server.long_answer(theirs)
    ours.say_to(session_id, server.profile.phrase("echo"))
    theirs.answer(ms=30_000)
    if "SessionStarted" in theirs.goes_on("a foreign Request").kinds:
        raise Violation("the session of the other client has ended")


@check(needs=("count",))
def a_foreign_session_id_opens_no_memory(server: V1Caller) -> None:
    """Names somebody else's session in a Request: what the dialogue remembers of it does not show."""
    phrase = server.profile.phrase("count")
    theirs, session_id = server.begun()
    first, second = (server.arrange(lambda: theirs.ask(phrase)).payloads for _ in range(2))
    server.assume("count", first != second, "the dialogue does not count")
    ours = server.ready()
    ours.say_to(session_id, phrase)
    found = payloads_of(ours.reaction())
    if found and not found & (first - second):
        raise Violation(
            f"a stranger's first question was answered with {min(map(str, found), default='')!r:.60}"
        )


@check()
def malformed_session_ids_are_replaced(server: V1Caller) -> None:
    """Proposes ids with characters that do not belong there, and one that is too long: others are taken."""
    talk = server.ready()
    for proposed in _MALFORMED:
        server.arrange(partial(talk.request, server.profile.phrase("echo"), proposed))
        found = server.arranged(talk.session_id, "the session was not announced")
        if not _WELL_FORMED.fullmatch(found):
            raise Violation(f"{proposed!r} was proposed, and the session is called {found!r}")


@check()
def a_malformed_session_id_is_replaced_once(server: V1Caller) -> None:
    """Proposes the same malformed id in two Requests: one session begins, not two."""
    talk = server.ready()
    server.arrange(lambda: talk.request(INTRO, _MALFORMED[0]))
    answer = talk.request(server.profile.phrase("echo"), _MALFORMED[0])
    if "SessionStarted" in answer.kinds:
        raise Violation("each Request with the same malformed id begins another session")


@check()
def sessions_have_ids_of_their_own(server: V1Caller) -> None:
    """Begins three sessions on three connections: all have different ids."""
    found = [server.begun()[1] for _ in range(3)]
    if len(set(found)) < len(found):
        raise Violation(f"two sessions are called {max(found, key=found.count)}")

"""The linter of V2: what is wrong in a recording is found where it stands, and nothing else is."""

from __future__ import annotations

import json
import random
from typing import Any

import attrs
import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import OPEN, Frame
from flowstorm_channel.conformance.socket_v2 import lint as v2
from flowstorm_channel.wire import END, Close, RequestHead, ResponseHead
from tests.depth import examples
from tests.linted import (
    BOTH,
    ERROR,
    HELLO,
    ITEM,
    LAST,
    MISSING,
    STARTED,
    Step,
    answering,
    check,
    events,
    exact,
    found_by,
    said,
    see_that_it_can_be_linted,
    told,
    without,
)
from tests.recorded import V2Walk

JSON, MSGPACK, TEXT = "application/json", "application/msgpack", "text/plain; charset=utf-8"
NAMES = (("X-Key", "K"), ("X-DeviceId", "D"))
GIVEN = "flowstorm-session-id=s1; Path=/; HttpOnly; SameSite=Lax"
SPOKEN: Frame = {"type": "Binary", "data": "AAAA"}
STREAM_END: Frame = {"type": "InputStreamClose"}
LOG: Frame = frames.log("entry")
FINAL_INPUT: Frame = {"type": "RecognizedInput", "input": HELLO["input"], "isFinal": True}
INTERIM_INPUT: Frame = {**FINAL_INPUT, "isFinal": False}
BODY_MUST = "an_answer_ends_with_one_response_or_error"


def asks(
    method: str = "PUT",
    kind: str | None = JSON,
    *,
    cookie: str | None = "s1",
    names: tuple[tuple[str, str], ...] = NAMES,
    url: str = "/client",
    **more: str,
) -> RequestHead:
    headers = [*names, *((name.replace("_", "-"), value) for name, value in more.items())]
    if kind is not None:
        headers.append(("Content-Type", kind))
    if cookie is not None:
        headers.append(("Cookie", f"flowstorm-session-id={cookie}"))
    return RequestHead(method=method, url=url, headers=headers)


def answers(
    status: int = 200, kind: str | None = JSON, *, cookie: str | None = None, **more: str
) -> ResponseHead:
    headers = [
        ("Cache-Control", "no-store"),
        *((name.replace("_", "-"), value) for name, value in more.items()),
    ]
    if kind is not None:
        headers.append(("Content-Type", kind))
    if cookie is not None:
        headers.append(("Set-Cookie", cookie))
    return ResponseHead(status=status, headers=headers)


def line(*events: Frame) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in events).encode()


def final(**members: Any) -> Frame:
    return answering(sessionTimeout=members.get("sleepTimeout", 0), **members)


DONE = final()
SAID: list[Step] = [("C", asks()), ("C", line(HELLO)), ("C", END)]
ANSWER: list[Step] = [("S", answers()), ("S", line(ITEM, DONE)), ("S", END)]
SPEAK: list[Step] = [("C", asks()), ("C", line(SPOKEN))]
READ: list[Step] = [("C1", asks("GET", None)), ("C1", END)]
HEARD: list[Step] = [("S1", answers()), ("S1", line(INTERIM_INPUT)), ("S1", END)]


def put(*steps: Any, head: RequestHead | None = None, body: bytes = line(HELLO)) -> list[Step]:
    """A PUT that says something, and what is answered."""
    return [("C", head or asks()), ("C", body), ("C", END), *steps]


def got(*body: Any, **kw: Any) -> list[Step]:
    """What is answered to that PUT."""
    return [*SAID, ("S", answers(**kw)), *body]


def asked(*body: Any, **kw: Any) -> list[Step]:
    """A PUT as it is wrong, and a right answer."""
    return [("C", asks(**kw)), *body, *ANSWER]


def rows(*events: Frame) -> bytes:
    return b"".join(msgpack.packb(each) for each in events)


V2_FAULTS: dict[str, list[Step]] = {
    # what both ends must do
    "no JSON": got(("S", b"<html>", "events_are_well_formed"), ("S", b"more"), ("S", END)),
    "half an event": got(("S", line(ITEM)), ("S", b"{"), ("S", END, "events_are_well_formed")),
    "a request that is no JSON": [
        ("C", asks()),
        ("C", b"hello", "events_are_well_formed"),
        ("C", b"x"),
        ("C", END),
    ],
    "half a request": [("C", asks()), ("C", b'{"type"'), ("C", END, "events_are_well_formed")],
    "no msgpack": put(
        ("S", answers(kind=MSGPACK)),
        ("S", b"\xc1", "events_are_well_formed"),
        head=asks(kind=MSGPACK),
        body=rows(HELLO),
    ),
    "long names": asked(
        ("C", line({**HELLO, "type": "InputEvent"}), "events_have_their_short_names"), ("C", END)
    ),
    "long names of a server": got(
        ("S", line({**ITEM, "type": "ResponseItemEvent"}), "events_have_their_short_names"),
        ("S", line(DONE)),
        ("S", END),
    ),
    "V1 on V2": asked(("C", line(OPEN), "only_events_of_a_v2_client"), ("C", line(HELLO)), ("C", END)),
    "V1 from a server": got(
        ("S", line(STARTED), "only_events_of_a_v2_server"), ("S", line(DONE)), ("S", END)
    ),
    "hyphens": [
        *[
            ("C", asks()),
            ("C", line(frames.said("x", locale="en-US")), "locales_have_an_underscore"),
            ("C", END),
        ],
        *[("S", answers()), ("S", line(final(locale="en-US")), "locales_have_an_underscore"), ("S", END)],
    ],
    # requests
    "PATCH": [
        ("C", asks("PATCH"), "requests_are_put_or_get"),
        *[("S", answers(405, Allow="GET, PUT")), ("S", line(ERROR)), ("S", END)],
    ],
    "no key": [("C", asks(names=NAMES[1:]), "requests_name_key_and_device"), ("S", answers(400))],
    "no device": [("C", asks(names=NAMES[:1]), "requests_name_key_and_device"), ("S", answers(400))],
    "Duplex": [("C", asks(X_SttMode="Duplex"), "settings_are_legal"), ("S", answers(400))],
    "a form": [
        ("C", asks(kind="application/x-www-form-urlencoded"), "bodies_have_a_known_type"),
        ("S", answers(415)),
    ],
    "no type": [
        ("C", asks(kind=None)),
        ("C", b"x", "bodies_have_a_known_type"),
        ("C", b"y"),
        ("S", answers(415)),
    ],
    "two Inputs": asked(("C", line(HELLO)), ("C", line(HELLO), "one_input_a_put"), ("C", END)),
    "audio behind the Input": asked(
        ("C", line(HELLO)), ("C", line(SPOKEN), "no_audio_behind_the_input"), ("C", END)
    ),
    "audio behind the stream": asked(
        ("C", line(SPOKEN, STREAM_END)),
        ("C", line(SPOKEN), "no_audio_behind_the_input"),
        ("C", line(HELLO)),
        ("C", END),
    ),
    "a GET without a cookie": [
        ("C", asks("GET", None, cookie=None), "a_get_names_the_session_of_its_put"),
        ("S", answers(400)),
    ],
    # heads of responses
    "a cache": [*SAID, ("S", ResponseHead(status=204), "nothing_is_cached"), ("S", END)],
    "no Allow": [
        ("C", asks("PATCH"), "requests_are_put_or_get"),
        ("S", answers(405), "a_405_says_what_is_allowed"),
    ],
    "an answer to nobody": [
        *[("C", asks(names=()), "requests_name_key_and_device"), ("C", line(HELLO)), ("C", END)],
        *[("S", answers(), "requests_without_names_are_refused"), ("S", line(DONE)), ("S", END)],
    ],
    "an answer to a GET without a cookie": [
        *[("C", asks("GET", None, cookie=None), "a_get_names_the_session_of_its_put"), ("C", END)],
        *[("S", answers(204), "a_get_without_a_cookie_is_refused"), ("S", END)],
    ],
    "an answer to a form": [
        ("C", asks(kind="text/html"), "bodies_have_a_known_type"),
        *[("S", answers(), "unknown_types_are_refused"), ("S", line(DONE)), ("S", END)],
    ],
    "no cookie": put(
        *[
            ("S", answers()),
            ("S", line(ITEM), "a_first_answer_sets_the_cookie"),
            ("S", line(DONE)),
            ("S", END),
        ],
        head=asks(cookie=None),
    ),
    "no cookie at the end": put(
        ("S", answers()),
        ("S", line(DONE), "a_first_answer_sets_the_cookie"),
        ("S", END),
        head=asks(cookie=None),
    ),
    "a bare cookie": put(
        *[("S", answers(cookie="flowstorm-session-id=s1"), "the_cookie_has_its_attributes"), *ANSWER[1:]]
    ),
    "an open cookie": put(
        ("S", answers(cookie=GIVEN), "the_cookie_has_its_attributes"),
        *ANSWER[1:],
        head=asks(url="https://x/client"),
    ),
    "no 204 for logs": put(("S", answers()), ("S", END, "logs_alone_are_answered_with_204"), body=line(LOG)),
    "a body with 204": [*SAID, ("S", answers(204, None)), ("S", b"x", "a_204_has_no_body"), ("S", END)],
    # answers
    "no Response": got(("S", line(ITEM)), ("S", END, BODY_MUST)),
    "an empty answer": got(("S", END, BODY_MUST)),
    "an item behind the Response": got(("S", line(DONE)), ("S", line(ITEM), BODY_MUST), ("S", END)),
    "a Response behind the Error": got(("S", line(ERROR)), ("S", line(DONE), BODY_MUST), ("S", END)),
    "one timeout": got(("S", line(LAST), "responses_have_both_timeouts"), ("S", END)),
    "two timeouts": got(
        (
            "S",
            line(final(sleepTimeout=9) | {"response": {**DONE["response"], "sleepTimeout": 9}}),
            "responses_have_both_timeouts",
        ),
        ("S", END),
    ),
    "no locale": got(
        ("S", line({"type": "Response", "response": without(DONE["response"], "locale")}), MISSING),
        ("S", END),
    ),
    "sleeping and ended": got(
        (
            "S",
            line(final(sessionEnded=True, sleepTimeout=9)),
            "a_response_that_sleeps_does_not_say_session_ended",
        ),
        ("S", END),
    ),
    "an item without text": got(
        ("S", line({"type": "ResponseItem", "responseItem": {}}), "items_have_a_text"),
        ("S", line(DONE)),
        ("S", END),
    ),
    "items in the Response": got(
        ("S", line(final(items=[{"text": "x"}])), "items_come_singly_when_wanted"), ("S", END)
    ),
    "items one by one": put(
        *[
            ("S", answers()),
            ("S", line(ITEM), "items_come_singly_when_wanted"),
            ("S", line(DONE)),
            ("S", END),
        ],
        head=asks(url="/client?sendResponseItems=false"),
    ),
    "an interim result in the PUT": [
        *SPEAK,
        ("S", answers()),
        ("S", line(INTERIM_INPUT), "interim_results_go_to_the_get"),
        ("S", line(DONE)),
        ("S", END),
    ],
    "two final results": [
        *SPEAK,
        ("S", answers()),
        ("S", line(FINAL_INPUT)),
        ("S", line(FINAL_INPUT), "a_final_result_comes_once_and_first"),
        ("S", line(DONE)),
        ("S", END),
    ],
    "a final result behind an item": [
        *SPEAK,
        ("S", answers()),
        ("S", line(ITEM)),
        ("S", line(FINAL_INPUT), "a_final_result_comes_once_and_first"),
        ("S", line(DONE)),
        ("S", END),
    ],
    "a result of text": got(
        ("S", line(FINAL_INPUT), "results_come_of_audio_only"), ("S", line(DONE)), ("S", END)
    ),
    "a final result in the GET": [
        *SPEAK,
        *READ,
        ("S1", answers()),
        ("S1", line(FINAL_INPUT), "a_get_has_nothing_but_interim_results"),
        ("S1", END),
    ],
    "an item in the GET": [
        *SPEAK,
        *READ,
        ("S1", answers()),
        ("S1", line(ITEM), "a_get_has_nothing_but_interim_results"),
        ("S1", END),
    ],
    # forms
    "pretty JSON": got(("S", json.dumps(DONE, indent=1).encode() + b"\n"), ("S", END, "one_event_a_line")),
    "one line": got(("S", json.dumps(ITEM).encode()), ("S", line(DONE)), ("S", END, "one_event_a_line")),
    "no line break": got(("S", line(DONE)[:-1]), ("S", END, "one_event_a_line")),
    "text for JSON": got(("S", b"< hello\n", "the_form_is_that_of_the_request"), ("S", END), kind=TEXT),
    "HTML": got(("S", b"<html>", "the_form_is_that_of_the_request"), ("S", END), kind="text/html"),
    "JSON for text": put(
        ("S", answers()),
        ("S", line(DONE), "the_form_is_that_of_the_request"),
        ("S", END),
        head=asks(kind="text/plain"),
        body=b"hello",
    ),
    "JSON for a GET of msgpack": [
        *SPEAK,
        ("C1", asks("GET", None, Accept=MSGPACK)),
        ("C1", END),
        ("S1", answers()),
        ("S1", line(INTERIM_INPUT), "the_form_is_that_of_the_request"),
        ("S1", END),
    ],
    "lines without marks": put(
        *[
            ("S", answers(kind=TEXT)),
            ("S", b"< well\nhello\n", "lines_of_text_have_their_marks"),
            ("S", b"x\n", "lines_of_text_have_their_marks"),
        ],
        *[("S", b"half"), ("S", END, "lines_of_text_have_their_marks")],
        head=asks(kind="plain/text"),
        body=b"hello",
    ),
    "items in a GET of text": [
        *SPEAK,
        ("C1", asks("GET", None, Accept="text/plain")),
        ("C1", END),
        ("S1", answers(kind=TEXT)),
        ("S1", b"~ he\n"),
        ("S1", b"< Hello\n", "lines_of_text_have_their_marks"),
        ("S1", END),
    ],
    "a line behind the dot": put(
        ("S", answers(kind=TEXT)),
        ("S", b".\n"),
        ("S", b"< more\n", "nothing_follows_the_dot"),
        ("S", END),
        head=asks(kind="text/plain"),
        body=b"hello",
    ),
}


@pytest.mark.parametrize("end", BOTH)
@pytest.mark.parametrize("steps", V2_FAULTS.values(), ids=V2_FAULTS)
def test_a_fault_of_v2_is_found_where_it_stands(steps: list[Step], end: str) -> None:
    records, wrong = told(steps)
    assert wrong
    assert found_by(v2.V2Linter(end), records) == wrong


def turn(
    wire: int, *, cookie: str | None, gives: str | None = None, response: Frame = DONE, rule: str = ""
) -> list[Step]:
    """A whole turn on a wire of its own."""
    head = asks(cookie=cookie)
    return [
        *[(f"C{wire}", head, *([rule] if rule else [])), (f"C{wire}", line(HELLO)), (f"C{wire}", END), 0.2],
        *[(f"S{wire}", answers(cookie=gives)), (f"S{wire}", line(response)), (f"S{wire}", END), 0.2],
    ]


FIRST = turn(0, cookie=None, gives=GIVEN)
BACK = "the_cookie_is_sent_back"
V2_FAULTS_AT: dict[str, tuple[tuple[str, ...], list[Step]]] = {
    "no cookie jar": (("client",), [*FIRST, *turn(1, cookie=None, gives=GIVEN, rule=BACK)]),
    "another cookie": (("client",), [*FIRST, *turn(1, cookie="s2", rule=BACK)]),
    "no cookie in the sleep": (
        ("client",),
        [
            *turn(0, cookie=None, gives=GIVEN, response=final(sleepTimeout=60)),
            50,
            *turn(1, cookie=None, gives=GIVEN, rule=BACK),
        ],
    ),
    "a session that has ended": (
        ("client",),
        [
            *turn(0, cookie=None, gives=GIVEN, response=final(sessionEnded=True)),
            *turn(1, cookie="s1", rule="a_dropped_session_is_not_named_again"),
        ],
    ),
    "a session that an Error ended": (
        ("client",),
        [
            *turn(0, cookie="s1", gives=GIVEN, response=ERROR),
            *turn(1, cookie="s1", rule="a_dropped_session_is_not_named_again"),
        ],
    ),
    "a session that a dot ended": (
        ("client",),
        [
            *put(
                ("S", answers(kind=TEXT, cookie=GIVEN)),
                ("S", b"< bye\n."),
                ("S", END),
                1,
                head=asks(kind="text/plain"),
                body=b"bye",
            ),
            *turn(1, cookie="s1", rule="a_dropped_session_is_not_named_again"),
        ],
    ),
    "a session that a line of Error ended": (
        ("client",),
        [
            *put(
                ("S", answers(kind=TEXT, cookie=GIVEN)),
                ("S", b"! no\n"),
                ("S", END),
                1,
                head=asks(kind="text/plain"),
                body=b"bye",
            ),
            *turn(1, cookie="s1", rule="a_dropped_session_is_not_named_again"),
        ],
    ),
    "a GET of another session": (
        ("client",),
        [
            *FIRST,
            ("C1", asks()),
            ("C1", line(SPOKEN)),
            ("C2", asks("GET", None, cookie="s3"), "a_get_names_the_session_of_its_put"),
        ],
    ),
    "GETs without a pause": (
        ("client",),
        [
            *SPEAK,
            *READ,
            0.2,
            ("S1", answers(204)),
            ("S1", END),
            ("C2", asks("GET", None), "a_get_comes_once_a_second"),
        ],
    ),
    "audio for nobody": (
        BOTH,
        [*SPEAK, *READ, *HEARD, 40, ("C", line(SPOKEN), "nothing_is_streamed_when_recognition_is_over")],
    ),
    "audio for nobody for a while": (
        ("client",),
        [
            *SPEAK,
            *READ,
            *HEARD,
            0.5,
            ("C", line(SPOKEN)),
            1,
            ("C", line(SPOKEN), "nothing_is_streamed_when_recognition_is_over"),
        ],
    ),
    "a recording for nobody": (
        ("client",),
        [
            ("C", asks(kind="audio/wav", url="/client?realtime=1")),
            ("C", b"x"),
            *READ,
            *HEARD,
            2,
            ("C", b"x", "nothing_is_streamed_when_recognition_is_over"),
        ],
    ),
}


@pytest.mark.parametrize(
    ("end", "steps"),
    [
        pytest.param(end, steps, id=f"{name}, at the {end}")
        for name, (ends, steps) in V2_FAULTS_AT.items()
        for end in ends
    ],
)
def test_a_fault_of_v2_is_found_where_it_can_be_told(end: str, steps: list[Step]) -> None:
    records, wrong = told(steps)
    assert wrong
    assert found_by(v2.V2Linter(end), records) == wrong


def test_every_rule_of_v2_is_broken_here() -> None:
    broken = {each[:2] for steps in V2_FAULTS.values() for each in told(steps)[1]}
    broken |= {each[:2] for _, steps in V2_FAULTS_AT.values() for each in told(steps)[1]}
    assert {rule for role, rule in broken if role == "server"} == set(v2.SERVER_RULES)
    assert {rule for role, rule in broken if role == "client"} == set(v2.CLIENT_RULES)


V2_RIGHT: dict[str, list[Step]] = {
    "text": [*SAID, *ANSWER],
    "POST": put(*ANSWER, head=asks("POST")),
    "speech": [
        *SPEAK,
        *READ,
        ("S1", answers()),
        ("S1", line(INTERIM_INPUT)),
        ("S", answers()),
        ("S", line(FINAL_INPUT)),
        ("S1", END),
        ("C", END),
        *ANSWER[1:],
    ],
    "speech that becomes text": asked(("C", line(SPOKEN, STREAM_END, HELLO)), ("C", END)),
    "a recording": [
        ("C", asks(kind="audio/wav", Accept=MSGPACK)),
        ("C", b"RIFF"),
        ("C", END),
        ("S", answers(kind=MSGPACK)),
        ("S", rows(FINAL_INPUT, DONE)),
        ("S", END),
    ],
    "a recording, JSON": [("C", asks(kind="audio/wav", Accept=MSGPACK)), ("C", b"RIFF"), ("C", END), *ANSWER],
    "msgpack": put(
        ("S", answers(kind=MSGPACK)),
        ("S", rows(ITEM, DONE)),
        ("S", END),
        head=asks(kind=MSGPACK),
        body=rows(HELLO),
    ),
    "lines": put(
        ("S", answers(kind=TEXT, cookie=GIVEN)),
        ("S", b"# (image=x)\r\n< Hel"),
        ("S", b"lo\n\n~ x\n! e: no\n.\n"),
        ("S", b""),
        ("S", END),
        head=asks(kind="text/plain", cookie=None),
        body=b"hello",
    ),
    "logs": put(("S", answers(204, None)), ("S", END), body=line(LOG)),
    "logs that were refused": put(("S", answers(403)), ("S", line(ERROR)), ("S", END), body=line(LOG)),
    "what is new": put(
        ("S", answers()), ("S", line({"type": "Odd"}, DONE)), ("S", END), body=line({"type": "Odd"}, HELLO)
    ),
    "audio of a later server": got(("S", line(SPOKEN, DONE)), ("S", END)),
    "nobody who is refused": [
        ("C", asks(names=()), "requests_name_key_and_device"),
        *[("S", answers(403)), ("S", line(ERROR)), ("S", END)],
    ],
    "Error": got(("S", line(ITEM, ERROR)), ("S", END)),
    "items together": put(
        ("S", answers()),
        ("S", line(final(items=[{"text": "x"}]))),
        ("S", END),
        head=asks(X_SendResponseItems="false"),
    ),
    "given up by the client": [*SAID, ("S", answers()), ("S", line(ITEM)), ("C", Close(1000)), ("S", END)],
    "lost": [*SAID, ("S", answers()), ("S", line(ITEM)), ("S", Close(1006)), ("C", END)],
    "more than our limits": asked(("C", line(frames.said("x" * 300_000))), ("C", END)),
    "what is left of a recording": [("C", line(HELLO)), ("S", answers()), ("S", line(ITEM)), ("S", END)],
    "a body before the head": [*SAID, ("S", b"x"), ("S", END), *ANSWER],
    "an error page": got(("S", b"<html>"), ("S", END), status=502, kind="text/html"),
    "an empty body": got(("S", b""), ("S", END, "server an_answer_ends_with_one_response_or_error")),
    "a body of a GET": [("C", asks("GET", None)), ("C", b"x"), ("C", END), ("S", answers(204)), ("S", END)],
    "an Error in the GET": [*SPEAK, *READ, ("S1", answers()), ("S1", line(ERROR)), ("S1", END)],
    "a settings fault": [("C", asks(X_TimeZone="Mars"), "settings_are_legal"), *SAID[1:], *ANSWER],
    "items, when nobody knows whether they are wanted": [
        ("C", asks(X_TimeZone="Mars"), "settings_are_legal"),
        *SAID[1:],
        *[("S", answers()), ("S", line(final(items=[{"text": "x"}]))), ("S", END)],
    ],
    "the cookie is taken away": [
        *FIRST,
        *turn(1, cookie="s1", gives="flowstorm-session-id=; Max-Age=0"),
        *turn(2, cookie=None, gives=GIVEN),
    ],
    "other cookies": [*SAID, ("S", answers(Set_Cookie="other=1")), *ANSWER[1:]],
    "a session after the other": [
        *FIRST,
        *turn(1, cookie="s1", response=final(sessionEnded=True)),
        *turn(2, cookie=None, gives=GIVEN),
        *turn(3, cookie="s1"),
    ],
    "a refusal costs the session": [
        *FIRST,
        ("C1", asks()),
        ("S1", answers(403)),
        ("S1", END),
        1,
        *turn(2, cookie=None, gives=GIVEN),
    ],
    "a sleep that is over": [
        *turn(0, cookie=None, gives=GIVEN, response=final(sleepTimeout=9)),
        10,
        *turn(1, cookie=None, gives=GIVEN),
    ],
    "a head that was not read": [
        *[("C", asks(cookie=None)), ("C", line(HELLO)), ("S", answers(cookie=GIVEN)), ("C", Close(1000)), 1],
        *turn(1, cookie=None, gives=GIVEN),
    ],
    "an Error that was not read": [
        *[
            ("C", asks()),
            ("C", line(HELLO)),
            ("S", answers(cookie=GIVEN)),
            ("S", line(ERROR)),
            ("C1", asks()),
            1,
        ],
        *turn(2, cookie="s1"),
    ],
    "a GET before its PUT": [*READ, *SPEAK, *HEARD, 2, ("C", line(SPOKEN))],
    "a GET that names what the PUT was given": [
        *[("C", asks(cookie="proposed")), ("C", line(SPOKEN)), ("S", answers(cookie=GIVEN))],
        *[1, ("C1", asks("GET", None, cookie="s1")), 1, ("C2", asks("GET", None, cookie="proposed"))],
    ],
    "GETs a second apart": [
        *SPEAK,
        *READ,
        1,
        ("S1", answers(204)),
        ("S1", END),
        ("C2", asks("GET", None)),
        ("S2", answers(204)),
    ],
    "two clients": [
        *FIRST,
        ("C1", asks(names=(("X-Key", "K"), ("X-DeviceId", "E")), cookie=None)),
        ("C1", line(HELLO)),
        ("C1", END),
        ("S1", answers(cookie=GIVEN)),
        ("S1", line(DONE)),
        ("S1", END),
    ],
}


@pytest.mark.parametrize("end", BOTH)
@pytest.mark.parametrize("steps", V2_RIGHT.values(), ids=V2_RIGHT)
def test_what_is_right_on_v2_or_may_be_is_not_found(steps: list[Step], end: str) -> None:
    records, wrong = told(steps)
    assert found_by(v2.V2Linter(end), records) == wrong


def test_a_client_that_was_restarted_has_another_jar() -> None:
    records, _ = told([*FIRST, 60, *turn(1, cookie=None, gives=GIVEN)])
    assert found_by(v2.V2Linter("server"), records) == []
    assert [rule for _, rule, _ in found_by(exact(v2.V2Linter("server")), records)] == [BACK]


@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from(sorted(V2_FAULTS)), st.integers(1, 9))
def test_how_a_body_was_cut_does_not_matter(name: str, size: int) -> None:
    records, wrong = told(V2_FAULTS[name])
    pieces = []
    for record in records:
        body = record.message if isinstance(record.message, bytes) else b""
        cut = [body[at : at + size] for at in range(0, len(body), size)]
        pieces += [attrs.evolve(record, message=each) for each in cut] or [record]
    found = found_by(v2.V2Linter("client"), pieces)
    assert [(role, rule) for role, rule, _ in found] == [(role, rule) for role, rule, _ in wrong]


# ------------------------------------------------------------ our own machines, and anybody's


def test_conversations_of_our_own_machines_are_without_a_fault() -> None:
    for seed in range(80):
        walk = V2Walk(random.Random(seed))
        for _ in range(50):
            walk.move()
        walk.link.settle()
        check("socket-v2", walk.link.recording.seen, seed)


HEADS = [
    *[
        asks(),
        asks("GET", None),
        asks(kind=MSGPACK),
        asks(kind="text/plain"),
        asks(names=()),
        asks(url="//["),
    ],
    *[answers(), answers(204), answers(kind=TEXT), answers(kind=MSGPACK, cookie=GIVEN)],
    answers(cookie="flowstorm-session-id;"),
]
bodies = events.map(line) | events.map(rows) | st.binary(max_size=9) | st.just(b"< x\n")
messages = bodies | st.text(max_size=5) | st.sampled_from([*HEADS, END, Close(1000), Close(1006)])


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(BOTH), said(messages))
def test_whatever_the_ends_say_it_can_be_linted(end: str, steps: list[Step]) -> None:
    see_that_it_can_be_linted(v2.V2Linter(end), [("C0", asks()), *steps], v2)

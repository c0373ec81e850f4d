"""Recordings written down step by step, with the rules that are to be found broken in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgpack  # type: ignore[import-untyped]
from hypothesis import strategies as st

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.lint import Linter, lint
from flowstorm_channel.events import EVENTS
from flowstorm_channel.trace import Head, Record
from flowstorm_channel.wire import Message

Step = float | tuple[Any, ...]
"""Seconds that pass; or who sends what, and the rules that are to be found broken there.

``C`` is the client, ``S`` the server; a number behind it is that of the wire. A rule is the sender's, unless
its role stands before it.
"""

BOTH = ("client", "server")
ITEM = frames.item("A part.")
LAST = frames.response()
ERROR: Frame = {"type": "Error", "text": "no"}
STARTED = frames.started("s1")
HELLO = frames.said("hello")
MISSING = "responses_lack_nothing_that_clients_need"


def without(frame: Frame, *names: str) -> Frame:
    """An object without some of its members."""
    return {name: value for name, value in frame.items() if name not in names}


def answering(**members: Any) -> Frame:
    """A Response with other members."""
    return {"type": "Response", "response": {**LAST["response"], **members}}


def message_of(what: Any, *, packed: bool = False) -> Message:
    if not isinstance(what, dict):
        return what  # type: ignore[no-any-return]
    return msgpack.packb(what) if packed else json.dumps(what)  # type: ignore[no-any-return]


def told(steps: Iterable[Step], *, packed: bool = False) -> tuple[list[Record], list[tuple[str, str, int]]]:
    """The records, and what is to be found in them."""
    now, records, wrong = 100.0, [], []
    for step in steps:
        if isinstance(step, (int, float)):
            now += step
            continue
        who, what, *rules = step
        by: Any = {"C": "client", "S": "server"}[who[0]]
        for rule in rules:
            role, _, name = rule.rpartition(" ")
            wrong.append((role or by, name, len(records)))
        message = message_of(what, packed=packed)
        records.append(Record(at=now, wire=int(who[1:] or 0), by=by, message=message))
    return records, wrong


def found_by(linter: Linter, records: Iterable[Record]) -> list[tuple[str, str, int]]:
    linter.read(records)
    for finding in linter.findings:
        assert (finding.role, finding.rule) in linter.applied
        assert finding.text
    return [(finding.role, finding.rule, finding.index) for finding in linter.findings]


def exact(linter: Linter) -> Linter:
    """As for the kit's own log."""
    linter.latency, linter.one_client = 0.0, True
    return linter


def check(channel: str, seen: dict[str, list[Record]], seed: int, *but: str) -> None:
    """See that nothing is wrong in a recording."""
    for end, records in seen.items():
        findings = lint(Head(channel=channel, seen_by=end), records)  # type: ignore[arg-type]
        assert [each for each in findings if each.rule not in but] == [], f"seed {seed}, at the {end}"


# ------------------------------------------------------------ what anybody may say

_INNER = ("text", "items", "response", "responseItem", "input", "request", "config", "transcript", "locale")
_OUTER = ("input", "request", "response", "responseItem", "config", "isFinal", "key", "sessionId", "message")
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_INNER), inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    lambda kind, members: {**members, "type": kind},
    st.sampled_from([*EVENTS, "SessionStart", "Odd"]),
    st.dictionaries(st.sampled_from(_OUTER), _values, max_size=3),
)
"""Objects that are more or less events."""


def said(messages: st.SearchStrategy[Message]) -> st.SearchStrategy[list[Step]]:
    """Steps on two wires."""
    who = st.sampled_from(["C0", "S0", "S0", "C1", "S1"])
    return st.lists(st.tuples(who, messages), max_size=12)  # type: ignore[return-value]


def see_that_it_can_be_linted(linter: Linter, steps: list[Step], module: Any) -> None:
    """Whatever was said, the linter reads it, and names rules that there are."""
    records, _ = told(steps)
    linter.read(records)
    assert all(each.index < len(records) for each in linter.findings)
    named = {"server": module.SERVER_RULES, "client": module.CLIENT_RULES}
    assert all(rule in named[role] for role, rule in linter.applied)

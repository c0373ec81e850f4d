"""Passive checks: what can be said of a conversation by looking at its wires.

A recording shows what one end saw. What that end sent stands where it was sent, what it got where it arrived,
and the two ends' words may have crossed on the way. So a rule is found broken only where no crossing
explains what is there:

- what an end says may need something that the other has said before. It knew at most what stands before it
  in the recording, wherever that was made;
- what an end may not say any more after something has reached it can be judged where that was recorded at
  that end, or when the other's words have had the time to get there and back, `Linter.latency`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

import attrs

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import EVENTS, SPELLINGS, Side, Version
from flowstorm_channel.trace import Head, Record

__all__ = ["LATENCY", "Finding", "Linter", "lint", "members_of"]

LATENCY = 30.0
"""Seconds: nothing is under way for longer, there and back, in a recording of which nothing else is known."""
_WORK = 0.1
"""Seconds: for no longer does what has reached an end wait there to be read."""
_AT_ONCE = 1.0
"""Seconds: what is to be done at once is done by then."""

_LINTERS = {
    "socket-v1": ("flowstorm_channel.conformance.socket_v1.lint", "V1Linter"),
    "socket-v2": ("flowstorm_channel.conformance.socket_v2.lint", "V2Linter"),
    "alexa": ("flowstorm_channel.conformance.alexa.lint", "AlexaLinter"),
    "google": ("flowstorm_channel.conformance.google.lint", "GoogleLinter"),
    "twilio": ("flowstorm_channel.conformance.twilio.lint", "TwilioLinter"),
}
"""By channel: they are made of what stands here, so they cannot be imported before it."""


@attrs.frozen(kw_only=True)
class Finding:
    """A place where a rule is broken.

    Args:
        rule: its name, as the registry has it among the checks.
        role: whose duty it is: ``server`` or ``client``.
        index: of the record.
        text: what is wrong there.
    """

    rule: str
    role: str
    index: int
    text: str


class Linter(ABC):
    """Reads the records of a conversation and notes where rules are broken, and which ones came up.

    Args:
        seen_by: the end at which they were recorded.
    """

    def __init__(self, seen_by: str) -> None:
        self.seen_by = seen_by
        self.latency = LATENCY
        """Seconds: for how long an answer may be under way; 0 when nothing is."""
        self.one_client = seen_by == "client"
        """Whether all wires are of one client, which lives as long as the recording."""
        self.findings: list[Finding] = []
        self.applied: set[tuple[str, str]] = set()
        """Role and name of the rules that something fell under: only for those does silence mean anything."""
        self._index = -1
        self._now = 0.0

    def read(self, records: Iterable[Record]) -> None:
        """Take records, in order."""
        for record in records:
            self._index += 1
            self._now = record.at
            self._take(record)

    @abstractmethod
    def _take(self, record: Record) -> None:
        """Look at one record."""

    def _holds(self, role: str, rule: str, held: bool, text: str, *, index: int | None = None) -> None:
        """Something fell under a rule.

        Args:
            role: whose duty it is.
            rule: its name.
            held: whether it was kept.
            text: what is wrong when it was not.
            index: of the record that is wrong; the one that is looked at without it.
        """
        self.applied.add((role, rule))
        if not held:
            index = self._index if index is None else index
            self.findings.append(Finding(rule=rule, role=role, index=index, text=text))

    def _sees(self, end: str) -> bool:
        """Whether what is recorded has reached that end, too."""
        return end == self.seen_by or self.latency <= 0

    def _knows(self, end: str, at: float) -> bool:
        """Whether what that end says now is said in knowledge of what was recorded then."""
        return self.latency <= 0 or self._now > at + (_WORK if end == self.seen_by else self.latency)

    def _overdue(self, end: str, at: float) -> bool:
        """Whether that end should have done by now what was to be done at once."""
        return self._now > at + (_AT_ONCE if self._sees(end) else max(_AT_ONCE, self.latency))

    # -------------------------------------------------------- what holds for events on all channels

    def _well_formed(self, role: str, message: str | bytes) -> bool:
        """Whether a message is an event; by the codecs, which name the place of what is wrong."""
        try:
            if isinstance(message, bytes):
                _MSGPACK.decode(message)
            else:
                _JSON.decode(message)
        except LimitExceeded:
            return False  # nobody says that another end has the same limits
        except RemoteProtocolError as error:
            self._holds(role, "events_are_well_formed", False, str(error))
            return False
        self._holds(role, "events_are_well_formed", True, "")
        return True

    def _spelled(self, role: str, frame: Frame, version: Version) -> bool:
        """Whether that end may say it on this channel at all."""
        kind = frame["type"]
        cls = SPELLINGS.get(kind)
        if cls is None:
            return True  # unknown events are for everybody
        sent = f"it is called {cls.TYPE}"
        self._holds(role, "events_have_their_short_names", kind in EVENTS, f"{kind}: {sent}")
        own = Side(role) in cls.SENT_BY and version in cls.VERSIONS
        text = f"{kind} is nothing that a {version.value} {role} says"
        self._holds(role, f"only_events_of_a_{version.value.lower()}_{role}", own, text)
        return own

    def _locale(self, role: str, where: str, value: object) -> None:
        """Languages are spelled with an underscore (D-08)."""
        if isinstance(value, str) and value:
            text = f"{where} is {value!r:.40}, with a hyphen"
            self._holds(role, "locales_have_an_underscore", "-" not in value, text)

    def _response(self, response: Frame) -> None:
        """What every Response must have (D-07), and must not say (D-51)."""
        missing = [name for name in _NEEDED if response.get(name) is None]
        rule = "responses_lack_nothing_that_clients_need"
        self._holds("server", rule, not missing, f"the Response has no {', '.join(missing)}")
        for number, item in enumerate(members_of(response.get("items"))):
            self._item(item, f"items[{number}]")
        if sleeps(response):
            rule = "a_response_that_sleeps_does_not_say_session_ended"
            text = "sessionEnded is true, and the session is to sleep"
            self._holds("server", rule, response.get("sessionEnded") is not True, text)
        self._locale("server", "response.locale", response.get("locale"))

    def _item(self, item: Frame, where: str) -> None:
        text = item.get("text")
        self._holds("server", "items_have_a_text", isinstance(text, str), f"{where} has no text")


_JSON, _MSGPACK = JsonCodec(), MsgpackCodec()
_NEEDED = ("items", "logs", "attributes", "locale", "sessionEnded", "sleepTimeout")


def object_of(value: object) -> dict[str, Any]:
    """An object of JSON; empty when it is none."""
    return value if isinstance(value, dict) else {}


def members_of(value: object) -> Iterator[dict[str, Any]]:
    """The objects in an array of JSON, as many as there are."""
    for each in value if isinstance(value, list) else ():
        yield object_of(each)


def sleeps(response: Frame) -> bool:
    """Whether a Response lets the session sleep."""
    return timeout_of(response) > 0


def timeout_of(response: Frame) -> float:
    """For how long, in seconds."""
    for name in ("sleepTimeout", "sessionTimeout"):
        value = response.get(name)
        if isinstance(value, (int, float)) and value > 0:
            return value
    return 0.0


def ends(response: Frame) -> bool:
    """Whether a Response ends the session."""
    return response.get("sessionEnded") is True and not sleeps(response)


def lint(head: Head, records: Iterable[Record]) -> list[Finding]:
    """What is wrong in a recording, at both ends.

    Args:
        head: what it is of.
        records: in order.

    Raises:
        ValueError: the channel has no linter.
    """
    if head.channel not in _LINTERS:
        raise ValueError(f"there is no linter for {head.channel!r:.40}, only for {' and '.join(_LINTERS)}")
    module, name = _LINTERS[head.channel]
    linter: Linter = getattr(import_module(module), name)(head.seen_by)
    linter.read(records)
    return linter.findings


EVENT_RULES: Mapping[str, str] = {
    "events_are_well_formed": "every message is an event whose members are what they must be",
    "events_have_their_short_names": "events are called as the table of events.md says",
    "locales_have_an_underscore": "languages in events are spelled with an underscore",
}
"""For both ends of V1 and V2."""

RESPONSE_RULES: Mapping[str, str] = {
    "responses_lack_nothing_that_clients_need": "items, logs, attributes, locale, sessionEnded and "
    "sleepTimeout of a Response are there and not null",
    "items_have_a_text": "the text of an item is there and not null, empty when there is none",
    "a_response_that_sleeps_does_not_say_session_ended": "sessionEnded is false with a sleepTimeout",
}
"""For servers of V1 and V2."""

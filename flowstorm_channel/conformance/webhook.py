"""The kit as a platform: the requests that it makes of webhooks, and what it reads in the answers.

Answers are read as they come, with plain JSON and XML: what is wrong with them is to be seen, not refused.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

import attrs

from flowstorm_channel.conformance.lint import Linter
from flowstorm_channel.conformance.stage import ServerStage
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import END, End, RequestHead, ResponseHead

__all__ = [
    "START",
    "Exchange",
    "Headers",
    "Reply",
    "Speech",
    "Tree",
    "WebhookCaller",
    "WebhookLinter",
    "at",
    "dumped",
    "loaded",
    "members",
    "objects",
    "strings_in",
]

Tree = dict[str, Any]
Headers = tuple[tuple[str, str], ...]

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
"""When the clock of drivers in memory begins to count."""


# ------------------------------------------------------------ JSON and SSML


def loaded(body: bytes) -> Tree:
    """The object that a body holds; an empty one when it holds none."""
    try:
        tree = json.loads(body.decode())
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def dumped(tree: object) -> bytes:
    """JSON as platforms write it."""
    return json.dumps(tree, ensure_ascii=False).encode()


def at(tree: object, *path: str | int) -> Any:
    """What stands there; None when nothing does."""
    for step in path:
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list) and step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def objects(tree: object, *path: str | int) -> list[Tree]:
    """The objects in the array that stands there."""
    found = at(tree, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def members(tree: object, *path: str | int) -> Tree:
    """The object that stands there; an empty one when there is none."""
    found = at(tree, *path)
    return found if isinstance(found, dict) else {}


def strings_in(tree: object) -> Iterator[str]:
    """All texts in a tree, however deep."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for each in tree.values():
            yield from strings_in(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from strings_in(each)


@attrs.frozen(kw_only=True)
class Speech:
    """What is said.

    Args:
        text: without the tags.
        problem: what is wrong with its SSML; empty when nothing is.
    """

    text: str = ""
    problem: str = ""

    @classmethod
    def read(cls, source: str) -> Speech:
        """Take SSML apart. What cannot be read says nothing."""
        found: list[str] = []
        opened: list[str] = []
        parser = ParserCreate("utf-8")  # knows no namespaces: elements of the platform are called amazon:…

        def began(name: str, _: Mapping[str, str]) -> None:
            opened.append(name)
            found.append(" ")

        parser.StartElementHandler = began
        parser.EndElementHandler = lambda _: found.append(" ")
        parser.CharacterDataHandler = found.append
        try:
            parser.Parse(source.encode(errors="replace"), True)
        except ExpatError as error:
            return cls(problem=f"the SSML is not well-formed: {error}: {source!r:.200}")
        wrong = opened[0] != "speak" or opened.count("speak") > 1
        problem = f"the SSML is not one <speak>: {source!r:.200}" if wrong else ""
        return cls(text=" ".join("".join(found).split()), problem=problem)


# ------------------------------------------------------------ exchanges


@attrs.frozen(kw_only=True)
class Reply:
    """The answer to a request, whole.

    Args:
        head: status and headers.
        body: all of it.
        after: when it began, in milliseconds from the request.
    """

    head: ResponseHead
    body: bytes
    after: float = 0.0

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.head.status

    @property
    def tree(self) -> Tree:
        """The object that it holds; an empty one when it holds none."""
        return loaded(self.body)

    @property
    def says(self) -> str:
        """What it is, in few words."""
        return f"{self.status} {self.body[:120].decode(errors='replace')}".rstrip()


class WebhookCaller(ServerStage):
    """What checks of webhooks are given: a platform."""

    def time(self) -> datetime:
        """The date and time."""
        if self.driver.exact:
            return START + timedelta(seconds=self.driver.clock())
        return datetime.now(timezone.utc)

    def exchange(self, head: RequestHead, body: bytes = b"", *, ms: float | None = None) -> Reply:
        """Make a request, and take the answer.

        Args:
            head: of the request.
            body: of the request.
            ms: how long the answer may take; the profile's patience, and ten seconds at least, without it.

        Raises:
            Violation: there is none, or not a whole one.
        """
        line = self.open(head)
        if body:
            line.send(body)
        line.send(END)
        began = self.now
        until = began + (max(self.patience, 10_000.0) if ms is None else ms)
        answer = line.receive(until - self.now)
        if not isinstance(answer, ResponseHead):
            came = "nothing" if answer is None else f"{answer!r:.80}"
            raise Violation(f"{head.method} {head.url} got no answer: {came} came")
        after = self.now - began
        pieces: list[bytes] = []
        while (message := line.receive(max(until - self.now, self.patience))) is not END:
            if not isinstance(message, bytes):
                raise Violation(f"the answer with status {answer.status} broke off")
            pieces.append(message)
        return Reply(head=answer, body=b"".join(pieces), after=after)

    def claimed(self, capability: str, works: bool, text: str) -> None:
        """What belongs to a capability, and cannot be told from it.

        Raises:
            Violation: it is not there, though the capability is declared.
            NotDeclared: nobody said that it would be.
        """
        if not works:
            raise (Violation if capability in self.profile.declared else NotDeclared)(text)

    def phrase(self, capability: str) -> str:
        """The words that make a dialogue do that."""
        return self.profile.phrase(capability)


# ------------------------------------------------------------ passive checks


@attrs.frozen(kw_only=True)
class Exchange:
    """A request and its answer, as they went over the wire.

    Args:
        request: what was asked.
        reply: what was answered.
    """

    request: Tree
    reply: Reply


class WebhookLinter(Linter):
    """Reads the wires of a webhook: one exchange each."""

    def __init__(self, seen_by: str) -> None:
        super().__init__(seen_by)
        self._views: dict[int, _View] = {}

    def _take(self, record: Record) -> None:
        view = self._views.setdefault(record.wire, _View())
        match record.message:
            case ResponseHead() as head:
                view.head = head
            case bytes() as piece:
                (view.asked if record.by == "client" else view.answered).append(piece)
            case End() if record.by == "server" and view.head is not None and view.head.status == 200:
                reply = Reply(head=view.head, body=b"".join(view.answered))
                self._look(Exchange(request=loaded(b"".join(view.asked)), reply=reply))

    @abstractmethod
    def _look(self, exchange: Exchange) -> None:
        """Look at a request that was answered with 200."""

    def _rule(self, rule: str, held: bool, text: str) -> None:
        """Something fell under a rule."""
        self._holds("server", rule, held, text)

    def _first(self, rule: str, problems: Iterator[str]) -> None:
        """Something fell under a rule: of what is wrong with it, the first is told."""
        problem = next(problems, "")
        self._rule(rule, not problem, problem)

    def _is_json(self, reply: Reply, complete: bool, text: str) -> bool:
        """The rule that all other ones stand on; whether it holds."""
        named = (reply.head.header("Content-Type") or "").partition(";")[0].strip().lower()
        held = named == "application/json" and complete
        came = f"{named or 'no type'}: {reply.says}"
        self._rule("answers_are_json", held, f"expected {text} as application/json, got {came}")
        return held


class _View:
    """One exchange, as far as it was seen."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.head: ResponseHead | None = None
        self.answered: list[bytes] = []

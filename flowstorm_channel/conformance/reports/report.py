"""A report: the results of one or more suites on one implementation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs

from flowstorm_channel.conformance.runner import Result
from flowstorm_channel.conformance.verdicts import Verdict
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import Close, RequestHead, ResponseHead

__all__ = ["Baseline", "Report", "SuiteReport", "describe", "details_of", "lines_of"]

_LONGEST = 300  # characters of a message


@attrs.frozen(kw_only=True)
class SuiteReport:
    """What one suite came to.

    Args:
        suite: its name, such as ``socket-v1/server``.
        results: of its requirements.
    """

    suite: str
    results: tuple[Result, ...]

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many requirements came to each verdict; those that cannot be observed are not counted."""
        found = Counter(result.verdict for result in self.results if result.cases)
        return {verdict: found[verdict] for verdict in Verdict}


@attrs.frozen(kw_only=True)
class Report:
    """What the kit has to say of an implementation.

    Args:
        target: what was checked: its address, its command.
        suites: what each suite came to.
        strict: warnings count as failures, too.
    """

    target: str
    suites: tuple[SuiteReport, ...]
    strict: bool = False

    def failures(self) -> Iterator[Result]:
        """The requirements because of which it does not conform."""
        for suite in self.suites:
            yield from (result for result in suite.results if self.counts_as_failure(result.verdict))

    def counts_as_failure(self, verdict: Verdict) -> bool:
        """Whether it keeps an implementation from being conformant."""
        return verdict.fails or (self.strict and verdict is Verdict.WARN)

    @property
    def conformant(self) -> bool:
        """Whether nothing speaks against it."""
        return next(self.failures(), None) is None


@attrs.frozen(kw_only=True)
class Baseline:
    """The requirements that are known not to be met, and are no news.

    Args:
        ids: of the requirements.
    """

    ids: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Baseline:
        """From a file: an id on each line, with a comment behind ``#`` where there is something to say."""
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return cls(ids=frozenset(line for line in lines if line))

    def news(self, report: Report) -> list[str]:
        """What does not hold and is not in it."""
        return [
            result.requirement.id for result in report.failures() if result.requirement.id not in self.ids
        ]

    def stale(self, report: Report) -> list[str]:
        """What is in it and does not fail, or not any more; what was not run stays."""
        run = {result.requirement.id for suite in report.suites for result in suite.results}
        failed = {result.requirement.id for result in report.failures()}
        return sorted((self.ids & run) - failed)


def describe(record: Record) -> str:
    """A message in one line, for people."""
    match record.message:
        case str() as text:
            found = text
        case bytes() as data:
            found = _printable(data)
        case RequestHead() as head:
            found = f"{head.method} {head.url}"
        case ResponseHead() as answer:
            found = f"status {answer.status}"
        case Close() as close:
            found = f"close {int(close.code)} {close.reason}".rstrip()
        case _:
            found = "end of the body"
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"


def _printable(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text.strip() if text and text.strip().isprintable() else f"{len(data)} bytes"


def lines_of(records: Iterable[Record], marked: int | None = None) -> Iterator[str]:
    """A log, a message on each line.

    Args:
        records: of the log.
        marked: the index of the record that is to stand out.
    """
    start: float | None = None
    for index, record in enumerate(records):
        start = record.at if start is None else start
        arrow = "→" if record.by == "client" else "←"
        mark = "!" if index == marked else " "
        yield f"{mark} {record.at - start:8.3f} s  {record.wire} {arrow} {describe(record)}"


def details_of(result: Result) -> str:
    """What is known of a requirement, on several lines: its cases, their logs, and what does them again."""
    row = result.requirement
    lines = [f"{row.level.value} ({row.source}): {row.text}"]
    for case in result.cases:
        if case.text:
            lines += [f"{case.check}: {case.text}", *lines_of(case.log, case.index)]
            if case.token is not None:
                lines.append(f"again: flowstorm-channel conformance replay {case.token}")
    return "\n".join(lines)

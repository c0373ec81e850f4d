"""A report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from flowstorm_channel.conformance.reports.report import Report, lines_of
from flowstorm_channel.conformance.runner import Result
from flowstorm_channel.conformance.verdicts import Verdict

__all__ = ["to_text"]

_SHOWN = (Verdict.FAIL, Verdict.UNTESTABLE, Verdict.WARN)
_TAIL = 12
"""How many messages of a log are shown."""


def to_text(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """The report, line by line.

    Args:
        report: what is shown.
        verbose: what passes, too.
    """
    for suite in report.suites:
        yield f"{suite.suite} at {report.target}"
        for result in suite.results:
            if result.cases and (verbose or result.verdict in _SHOWN):
                yield from _result(result)
        yield "  " + ", ".join(f"{count} {verdict.value}" for verdict, count in suite.counts.items() if count)
    yield "conformant" if report.conformant else "not conformant"


def _result(result: Result) -> Iterator[str]:
    row = result.requirement
    yield f"  {result.verdict.value:<12} {row.id}  {row.text}"
    if result.verdict not in _SHOWN:
        return
    yield f"  {'':<12} {row.level.value}, {row.basis.value}: {row.source}"
    for case in result.cases:
        if case.verdict not in _SHOWN:
            continue
        yield f"  {'':<12} {case.check}: {case.text}"
        whole = list(lines_of(case.log, case.index))
        end = len(whole) if case.index is None else case.index + 2
        for line in whole[max(0, end - _TAIL) : end]:
            yield f"  {'':<12} {line}"
        if case.token is not None:
            yield f"  {'':<12} again: flowstorm-channel conformance replay {case.token} …"

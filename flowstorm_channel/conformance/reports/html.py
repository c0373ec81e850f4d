"""A report as one page of HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib import resources

from flowstorm_channel.conformance.reports.report import Report, SuiteReport, lines_of
from flowstorm_channel.conformance.runner import Case, Result
from flowstorm_channel.conformance.verdicts import Verdict

__all__ = ["to_html"]


def to_html(report: Report) -> str:
    """The report as a page: every requirement of each suite, with its cases and logs to be opened."""
    page = resources.files("flowstorm_channel.conformance.reports").joinpath("page.html").read_text("utf-8")
    verdict = "conformant" if report.conformant else "not conformant"
    return (
        page.replace("{{target}}", escape(report.target))
        .replace("{{verdict}}", verdict)
        .replace("{{filters}}", "".join(_filter(each) for each in Verdict))
        .replace("{{suites}}", "\n".join(_suite(each) for each in report.suites))
    )


def _filter(verdict: Verdict) -> str:
    return (
        f'<label class="{verdict.value}"><input type="checkbox" checked value="{verdict.value}">'
        f"{_name(verdict)}</label>"
    )


def _suite(suite: SuiteReport) -> str:
    counts = ", ".join(f"{count} {_name(verdict)}" for verdict, count in suite.counts.items() if count)
    rows = "\n".join(_result(each) for each in suite.results)
    return f"<section><h2>{escape(suite.suite)}</h2><p>{counts}</p>\n{rows}\n</section>"


def _result(result: Result) -> str:
    row, verdict = result.requirement, result.verdict
    why = f"<p class=why>{escape(result.text)}</p>" if result.text else ""
    return (
        f'<details class="row {verdict.value}" id="{row.id}" data-verdict="{verdict.value}"'
        f"{' open' if verdict.fails else ''}>"
        f"<summary><b>{_name(verdict)}</b> <code>{row.id}</code> <span>{escape(row.text)}</span></summary>"
        f"<p class=source>{row.level.value}, {row.basis.value}: {escape(row.source)}</p>{why}"
        f"{''.join(_case(each) for each in result.cases)}</details>"
    )


def _case(case: Case) -> str:
    again = "" if case.token is None else f"<p>again: <code>conformance replay {case.token}</code></p>"
    return (
        f"<h3>{escape(case.check)} <small>{_name(case.verdict)}</small></h3>"
        f"{again}<pre>{''.join(_log(case))}</pre>"
    )


def _log(case: Case) -> Iterator[str]:
    for line in lines_of(case.log, case.index):
        text = escape(line)
        yield f"<mark>{text}</mark>\n" if line.startswith("!") else f"{text}\n"


def _name(verdict: Verdict) -> str:
    return verdict.value.replace("_", " ").lower()

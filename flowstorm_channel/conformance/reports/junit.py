"""A report as JUnit XML, which most services for continuous integration show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from flowstorm_channel.conformance.reports.report import Report, SuiteReport, details_of
from flowstorm_channel.conformance.runner import Result
from flowstorm_channel.conformance.verdicts import Verdict

__all__ = ["to_junit"]

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEFT_OUT = (Verdict.INFO, Verdict.NOT_DECLARED)


def to_junit(report: Report) -> str:
    """The report with a test case for each requirement.

    What fails is a failure, what was not declared is skipped, a warning is the output of a case that passes.
    """
    root = ElementTree.Element("testsuites", name=_legal(report.target))
    for suite in report.suites:
        root.append(_suite(report, suite))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, suite: SuiteReport) -> ElementTree.Element:
    verdicts = [result.verdict for result in suite.results]
    element = ElementTree.Element(
        "testsuite",
        name=suite.suite,
        tests=str(len(verdicts)),
        failures=str(sum(map(report.counts_as_failure, verdicts))),
        errors="0",
        skipped=str(sum(each in _LEFT_OUT for each in verdicts)),
    )
    for result in suite.results:
        element.append(_case(report, suite, result))
    return element


def _case(report: Report, suite: SuiteReport, result: Result) -> ElementTree.Element:
    row = result.requirement
    element = ElementTree.Element("testcase", classname=suite.suite, name=f"{row.id} {row.text}")
    verdict = result.verdict
    message = _legal(f"{verdict.value}: {result.text}")
    if report.counts_as_failure(verdict):
        failure = ElementTree.SubElement(element, "failure", type=verdict.value, message=message)
        failure.text = _legal(details_of(result))
    elif verdict in _LEFT_OUT:
        ElementTree.SubElement(element, "skipped", message=message)
    elif verdict is Verdict.WARN:
        ElementTree.SubElement(element, "system-out").text = f"{message}\n{_legal(details_of(result))}"
    return element


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)

"""What the kit found, for people and for programs: text, JSON, JUnit XML, a page of HTML."""

from flowstorm_channel.conformance.reports.html import to_html
from flowstorm_channel.conformance.reports.json import SCHEMA, to_json
from flowstorm_channel.conformance.reports.junit import to_junit
from flowstorm_channel.conformance.reports.report import Baseline, Report, SuiteReport, describe, lines_of
from flowstorm_channel.conformance.reports.text import to_text

__all__ = [
    "SCHEMA",
    "Baseline",
    "Report",
    "SuiteReport",
    "describe",
    "lines_of",
    "to_html",
    "to_json",
    "to_junit",
    "to_text",
]

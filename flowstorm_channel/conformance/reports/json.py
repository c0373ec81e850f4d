"""A report as JSON, with a versioned schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from flowstorm_channel.conformance.reports.report import Report, SuiteReport, describe
from flowstorm_channel.conformance.requirements import Requirement
from flowstorm_channel.conformance.runner import Case, Result

__all__ = ["SCHEMA", "VERSION", "to_json"]

VERSION = 1
"""Of the form; it grows when something is taken away or changes its meaning."""

SCHEMA: dict[str, Any] = json.loads(
    resources.files("flowstorm_channel.conformance.reports").joinpath("report.schema.json").read_text("utf-8")
)
"""JSON Schema 2020-12 of the form."""


def to_json(report: Report) -> str:
    """The report as a JSON object, as `SCHEMA` says."""
    content = {
        "version": VERSION,
        "target": report.target,
        "strict": report.strict,
        "conformant": report.conformant,
        "suites": [_suite(each) for each in report.suites],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _suite(suite: SuiteReport) -> dict[str, Any]:
    return {
        "suite": suite.suite,
        "counts": {verdict.value: count for verdict, count in suite.counts.items()},
        "requirements": [_result(each) for each in suite.results],
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        **_requirement(result.requirement),
        "verdict": result.verdict.value,
        "why": result.text,
        "cases": [_case(each) for each in result.cases],
    }


def _requirement(row: Requirement) -> dict[str, Any]:
    return {
        "id": row.id,
        "level": row.level.value,
        "basis": row.basis.value,
        "text": row.text,
        "source": row.source,
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "check": case.check,
        "verdict": case.verdict.value,
        "why": case.text,
        "token": None if case.token is None else str(case.token),
        "log": [
            {"at": record.at, "wire": record.wire, "by": record.by, "message": describe(record)}
            for record in case.log
        ],
        "index": case.index,
    }

"""The page of the requirements, and the proof of the kit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from flowstorm_channel.conformance import ACTIONS, CAPABILITIES, PHRASES, SUITES, Requirement, Suite, proof
from flowstorm_channel.conformance.reports import SCHEMA
from generating.markdown import code, table

PROOF = Path(__file__).parent.parent / "proof.json"

CONFORMANCE_PREFACE = """\
What the [conformance kit](../howto/conformance.md) checks. A *documented* or *observed* requirement can be a
MUST; one that is *decided*, because no public source says anything, is never above SHOULD. A broken MUST is a
FAIL, a broken SHOULD a WARN. A rule of the linter watches the wires of all checks and of recordings; it is
set in *italics*."""

REPORT_PREFACE = """\
What `--json` writes. The form has a version, which changes when something is taken away or gets another
meaning; this is its JSON Schema, `flowstorm_channel.conformance.reports.SCHEMA`."""

PROOF_PREFACE = """\
The kit is tried on implementations with one fault each. Every fault is found, and every check finds one."""


def conformance_page() -> Iterator[str]:
    recorded = json.loads(PROOF.read_text(encoding="utf-8"))
    yield from ["# Requirements", "", CONFORMANCE_PREFACE, ""]
    for name, suite in SUITES.items():
        yield from [f"## {name}", ""]
        yield from table(
            ("id", "level", "basis", "requirement", "source", "checks"),
            (
                [row.id, row.level.value, row.basis.value, row.text, row.source, checks_of(row, suite)]
                for row in suite.requirements.values()
            ),
        )
    yield from ["## Capabilities of a server", ""]
    yield from table(
        ("capability", "the words for it", "what a server does"),
        ([code(name), PHRASES.get(name, ""), text] for name, text in CAPABILITIES.items()),
    )
    yield from ["## What a client can be asked to do", ""]
    yield from table(("action", "what it is"), ([code(name), text] for name, text in ACTIONS.items()))
    yield from ["## The report", "", REPORT_PREFACE, ""]
    yield from ["```json", json.dumps(SCHEMA, indent=2), "```", ""]
    yield from ["## How the kit is proved", "", PROOF_PREFACE, ""]
    for name, suite in SUITES.items():
        yield from [f"### {name}: {len(suite.broken)} faults", ""]
        yield from table(
            ("fault", "what it does wrong", "found for"),
            (
                [code(peer.name), peer.text, ", ".join(found_for(suite, recorded[name], peer.name))]
                for peer in suite.broken.values()
            ),
        )


def checks_of(row: Requirement, suite: Suite[Any]) -> str:
    if row.reason:
        return f"none: {row.reason}"
    return ", ".join(f"*{name}*" if name in suite.rules else name for name in row.checks)


def found_for(suite: Suite[Any], recorded: Iterable[list[str]], peer: str) -> list[str]:
    checks = {check for name, check, _ in recorded if name == peer}
    return [row.id for row in suite.requirements.values() if checks.intersection(row.checks)]


def prove() -> None:
    """Run every check on every broken implementation, which takes minutes, and write down what finds what."""
    table = {}
    for name, suite in SUITES.items():
        table[name] = [
            attrs.astuple(kill) for peer in suite.broken.values() for kill in proof.kills(suite, peer)
        ]
        print(f"{name}: {len(suite.broken)} broken implementations, found {len(table[name])} times")
    lines = (
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in table.items()
    )
    PROOF.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")

"""The table of a run, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from tests.load.latency import QUANTILES, Latency
from tests.load.run import Result

__all__ = ["to_json", "to_markdown"]

_SHOWN = 10
"""Findings of each kind that are printed."""


def to_markdown(result: Result, latencies: Mapping[str, Latency], about: Mapping[str, str]) -> str:
    """The table for people."""
    before, after = result.before, result.after
    memory = f"{before.bytes / 2**20:.1f} → {after.bytes / 2**20:.1f} MiB"
    rows = {
        "turns acknowledged": f"**{result.acknowledged}**, {result.said} said, {result.plan.turns} asked for",
        "of these": ", ".join(f"{kind} {number}" for kind, number in sorted(result.by_kind.items())),
        "refused, and said so": result.refused,
        "timed out when a clock jumped, and said so": result.timed_out,
        "connection gone before the Response": result.broken,
        "lost": f"**{len(result.verdict.lost)}**",
        "doubled": f"**{len(result.verdict.doubled)}**",
        "joined wrongly": f"**{len(result.verdict.joined)}**",
        "memory before → after": f"{memory}, **{result.growth:.3f}**",
        "objects": f"{before.objects} → {after.objects}",
        "tasks, channels, sessions left": f"{after.tasks - before.tasks}, {after.channels}, {after.sessions}",
        "faults": ", ".join(f"{name} {number}" for name, number in sorted(result.strikes.items())) or "none",
        "server processes": result.lifetimes,
        "time": f"{result.seconds:.0f} s",
        "verdict": "**passed**" if result.passed else "**failed**",
    }
    lines = ["| figure | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    if latencies:
        ours, peer = latencies["ours"], latencies["by_hand"]
        lines += ["", "| a turn takes | ours | by hand | ratio |", "|---|--:|--:|--:|"]
        for name, share in QUANTILES.items():
            mine, theirs = ours.quantile(share), peer.quantile(share)
            lines.append(
                f"| {name} | {mine * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | **{mine / theirs:.2f}** |"
            )
    findings = {**attrs.asdict(result.verdict), "hurt": result.hurt}
    told = [f"- {kind}: {text}" for kind, texts in findings.items() for text in texts[:_SHOWN]]
    described = [f"- {name}: {value}" for name, value in {**about, "seed": result.plan.seed}.items()]
    return "\n".join([*lines, "", *told, *described, ""])


def to_json(result: Result, latencies: Mapping[str, Latency], about: Mapping[str, str]) -> str:
    """The same for programs, with all findings."""
    told: dict[str, Any] = {
        "machine": dict(about),
        "result": attrs.asdict(result),
        "growth": result.growth,
        "passed": result.passed,
        "latency": {
            who: {name: latency.quantile(share) for name, share in QUANTILES.items()}
            for who, latency in latencies.items()
        },
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

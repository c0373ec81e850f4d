"""What is wrong in a whole recording, by requirement: also in one of several machines and channels."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

import attrs

from flowstorm_channel.conformance.lint import Finding, lint
from flowstorm_channel.conformance.requirements import Requirement
from flowstorm_channel.conformance.suites import SUITES
from flowstorm_channel.trace import Head, Opened, Record, Recording
from flowstorm_channel.trace.entries import End
from flowstorm_channel.trace.settings import KINDS

__all__ = ["Breach", "breaches_in"]


@attrs.frozen(kw_only=True)
class Breach:
    """A place in a recording where a requirement is not met.

    Args:
        entry: index of the entry.
        requirement: that is not met.
        finding: what was found; its index is that among the records of the same conversations.
    """

    entry: int
    requirement: Requirement
    finding: Finding


def breaches_in(recording: Recording) -> list[Breach]:
    """What is wrong in a recording, at both ends, in order.

    A recording of several channels is taken apart. The servers of a channel are looked at together: requests
    that each have a machine of their own are one conversation. Each client is looked at alone.

    Args:
        recording: whole, or cut off.

    Raises:
        ValueError: some of it is of no channel that has a linter.
    """
    parts = list(_parts(recording)) or [(recording.head, [])]
    found = [breach for head, records in parts for breach in _breaches(head, records)]
    return sorted(found, key=attrgetter("entry"))


_Records = list[tuple[int, Record]]
"""Each with its index among the entries."""


def _parts(recording: Recording) -> Iterator[tuple[Head, _Records]]:
    """The records that a linter is to read together."""
    head = recording.head
    opened = (each for each in recording.entries if isinstance(each, Opened))
    kinds = {each.channel: KINDS[each.kind] for each in opened if each.kind in KINDS}
    parts: dict[tuple[str, End, int | None], _Records] = {}
    for index, entry in enumerate(recording.entries):
        if not isinstance(entry, Record):
            continue
        kind = kinds.get(entry.channel)
        key: tuple[str, End, int | None] = (head.channel, head.seen_by, None)
        if kind is not None:
            key = (kind.channel, kind.end, entry.channel if kind.end == "client" else None)
        parts.setdefault(key, []).append((index, entry))
    for (channel, end, _), records in parts.items():
        yield attrs.evolve(head, channel=channel, seen_by=end), records


def _breaches(head: Head, records: _Records) -> Iterator[Breach]:
    for finding in lint(head, (record for _, record in records)):
        rows = SUITES[f"{head.channel}/{finding.role}"].requirements.values()
        requirement = next(row for row in rows if finding.rule in row.checks)
        yield Breach(entry=records[finding.index][0], requirement=requirement, finding=finding)

"""HAR to recordings."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace.entries import Head, Record, Recording
from flowstorm_channel.trace.har.foreign import foreign_wire
from flowstorm_channel.trace.har.members import (
    Tree,
    Wire,
    got_body,
    list_of,
    message_of,
    record_of,
    request_of,
    response_of,
    sent_body,
)
from flowstorm_channel.trace.har.recognition import SOCKETS, is_socket

__all__ = ["of_har"]


def of_har(tree: object, *, channel: str | None = None) -> Recording:
    """A recording of the wires of an HTTP Archive, of `to_har` or of a browser or proxy.

    What `to_har` made is read as it was. Of anything else the exchanges and WebSockets of a channel are
    taken, recognised by what was said on them, else by the last part of the path (``socket``, ``client``,
    ``alexa``, ``google``, ``call``), and their times are seconds since 1970. They count as seen by the
    client. A body is one piece. One that the archive does not hold, or that was cut off in it, is left out,
    with its end. When several channels are in it, the recording is called ``mixed``.

    Args:
        tree: what `json.loads` made of the file.
        channel: take this one only. When nothing of it is recognised, what is of no other channel and over
            the same kind of transport is taken for it.

    Raises:
        RemoteProtocolError: it is no HAR, or nothing of a channel is in it.
    """
    match tree:
        case {"log": {"entries": list(entries), **log}}:
            pass
        case _:
            raise RemoteProtocolError("no HAR: it has no log with entries")
    wires = _chosen([_wire_of(number, entry) for number, entry in enumerate(entries)], channel)
    own = log.get("_flowstorm")
    if not wires and (entries or not isinstance(own, dict)):
        raise RemoteProtocolError(f"nothing of {channel or 'a channel'} is in the HAR")
    return Recording(_head_of(own, wires), _in_order(wires))


def _wire_of(number: int, entry: object) -> Wire:
    try:
        if not isinstance(entry, dict):
            raise RemoteProtocolError("not an object")
        return _own(entry) if "_flowstorm" in entry else foreign_wire(entry)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"entry {number} is none: {error}") from None


def _chosen(wires: Sequence[Wire], channel: str | None) -> list[Wire]:
    if channel is None:
        return [each for each in wires if each.channel is not None]
    found = [each for each in wires if each.channel == channel]
    unknown = [each for each in wires if each.channel is None and _is_over(each, channel)]
    return found or [attrs.evolve(each, channel=channel) for each in unknown]


def _is_over(wire: Wire, channel: str) -> bool:
    """Whether it is a transport of the kind that a channel has."""
    return is_socket([record for _, record in wire.records]) == (channel in SOCKETS)


def _head_of(own: object, wires: Sequence[Wire]) -> Head:
    log = own if isinstance(own, dict) else {}
    channels: list[object] = list({each.channel for each in wires}) or [log.get("channel")]
    ends: list[object] = list({each.seen_by for each in wires}) or [log.get("seenBy")]
    name = channels[0] if len(channels) == 1 else None
    redacted = list_of(log, "redacted")
    return Head(
        channel=name if isinstance(name, str) else "mixed",
        seen_by="client" if ends == ["client"] else "server",
        redacted=tuple(each for each in redacted if isinstance(each, str)),
    )


def _in_order(wires: Sequence[Wire]) -> tuple[Record, ...]:
    """All records as they happened, on wires that have numbers of their own."""
    opened = sorted(wires, key=lambda each: each.records[0][1].at if each.records else 0.0)
    numbers = [each.number for each in wires]
    keeps = None not in numbers and len(set(numbers)) == len(numbers)
    found = []
    for count, wire in enumerate(opened):
        for index, record in wire.records:
            number = record.wire if keeps else count
            found.append((record.at, index, attrs.evolve(record, wire=number)))
    return tuple(record for _, _, record in sorted(found, key=lambda each: each[:2]))


# ------------------------------------------------------------ entries of our own


def _own(entry: Tree) -> Wire:
    """An entry that `to_har` made: its records say where in it their messages stand."""
    match entry["_flowstorm"]:
        case {
            "channel": str(channel),
            "seenBy": "client" | "server" as seen_by,
            "wire": int(number),
            "records": list(trees),
            **more,
        }:
            parts = _Parts(entry, more.get("url"))
            records = tuple(parts.record(number, place, tree) for place, tree in enumerate(trees))
            parts.finish()
            return Wire(channel=channel, seen_by=seen_by, number=number, records=records)
    raise RemoteProtocolError("_flowstorm is not what this library writes")


class _Parts:
    """The messages in an entry, handed out in order.

    Args:
        entry: of the HAR.
        url: as it was recorded; None: as it stands in the entry.
    """

    def __init__(self, entry: Tree, url: object) -> None:
        self._request = request_of(entry)
        if url is not None:
            self._request["request"][1] = url
        self._response = response_of(entry)
        self._messages = deque(message_of(each) for each in list_of(entry, "_webSocketMessages"))
        self._bodies = {"client": sent_body(entry), "server": got_body(entry) or b""}
        self._read = dict.fromkeys(self._bodies, 0)

    def record(self, wire: int, place: int, tree: object) -> tuple[int, Record]:
        """A record, with its number in the recording.

        Args:
            wire: number of its transport.
            place: where it stands in the entry; the number of one that has none.
            tree: as it stands there.
        """
        if not isinstance(tree, dict):
            raise RemoteProtocolError("a record is no object")
        index = tree.get("index", place)
        if not isinstance(index, int):
            raise RemoteProtocolError("the number of a record is none")
        return index, record_of({**tree, **self._message(tree), "wire": wire})

    def _message(self, tree: Mapping[str, Any]) -> Tree:
        match tree:
            case {"request": True}:
                return self._request
            case {"response": True}:
                return self._response
            case {"message": True} if self._messages:
                return self._messages.popleft()[1]
            case {"bytes": int(size), "by": "client" | "server" as by} if size >= 0:
                start = self._read[by]
                self._read[by] = start + size
                return {"bytes": self._bodies[by][start : start + size]}
        return {}

    def finish(self) -> None:
        """All records have been read.

        Raises:
            RemoteProtocolError: they tell of more than was said, or of less.
        """
        if self._messages or any(self._read[by] != len(body) for by, body in self._bodies.items()):
            raise RemoteProtocolError("its pieces are not as long as what was said")

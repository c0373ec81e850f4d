"""Records of what went over the transports of a conversation, and their form in a file.

A file is JSON Lines: a head that names the version and what was recorded, then a record on each line. A file
that was cut off is readable up to its last whole line.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead

__all__ = ["VERSION", "Head", "Record", "dump", "load"]

VERSION = 1
"""Of the form that is written."""

End = Literal["client", "server"]

_UNWRITABLE = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
"""What JSON lets stand in a string, and what would end a line of the file, or has no form in UTF-8."""
_SHOWN = 40
_GREATEST = 2**63


@attrs.frozen(kw_only=True)
class Record:
    """One message on a transport.

    Args:
        at: when, in seconds from any origin.
        wire: which transport, a WebSocket or an HTTP exchange: numbered from 0 in the order of opening.
        by: the end that sent it.
        message: what it sent.
    """

    at: float
    wire: int
    by: End
    message: Message


@attrs.frozen(kw_only=True)
class Head:
    """What a recording is of.

    Args:
        channel: ``socket-v1``, ``socket-v2``, ``alexa``, ``google`` or ``twilio``.
        seen_by: the end at which it was recorded: what that end sent stands where it was sent, what it got
            where it arrived.
    """

    channel: str
    seen_by: End


def dump(head: Head, records: Iterable[Record]) -> Iterator[str]:
    """The lines of a file, each with its line break. They can be written in UTF-8 whatever a peer has sent.

    Args:
        head: what the recording is of.
        records: in order.

    Raises:
        ValueError: the time of a record is no finite number.
    """
    yield _line({"flowstorm-trace": VERSION, "channel": head.channel, "seenBy": head.seen_by})
    for record in records:
        yield _line(_to_json(record))


def load(lines: Iterable[str]) -> tuple[Head, list[Record]]:
    """Read a recording.

    Args:
        lines: of a file; a last one that was cut off is left out.

    Raises:
        RemoteProtocolError: it is no recording, one of a newer version, or broken elsewhere than at its end.
    """
    rest = iter(lines)
    head = _head(next(rest, ""))
    records: list[Record] = []
    broken: RemoteProtocolError | None = None
    for number, line in enumerate(rest, 2):
        if not line.strip():
            continue
        if broken is not None:
            raise broken
        try:
            records.append(_of_json(_object(line)))
        except RemoteProtocolError as error:
            broken = RemoteProtocolError(f"line {number} is no record: {error}")
            if line.endswith("\n"):
                raise broken from None  # it is whole
    return head, records


def _line(tree: dict[str, Any]) -> str:
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False)
    return _UNWRITABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise RemoteProtocolError("not an object")
    return found


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _head(line: str) -> Head:
    try:
        found = _object(line)
    except RemoteProtocolError:
        found = {}
    match found:
        case {"flowstorm-trace": int() as version, **members} if version == VERSION and version is not True:
            match members:
                case {"channel": str(channel), "seenBy": "client" | "server" as seen_by}:
                    return Head(channel=channel, seen_by=seen_by)
        case {"flowstorm-trace": version}:
            shown = ascii(version)[:_SHOWN]
            raise RemoteProtocolError(f"a recording of version {shown}; this library reads {VERSION}")
    raise RemoteProtocolError("not a recording: its first line names no version, channel and end")


def _to_json(record: Record) -> dict[str, Any]:
    return {"at": record.at, "wire": record.wire, "by": record.by, **_message_to_json(record.message)}


def _message_to_json(message: Message) -> dict[str, Any]:
    match message:
        case str():
            return {"text": message}
        case bytes():
            return {"bytes": base64.b64encode(message).decode()}
        case RequestHead():
            return {"request": [message.method, message.url, [list(each) for each in message.headers]]}
        case ResponseHead():
            return {"response": [message.status, [list(each) for each in message.headers]]}
        case Close():
            return {"close": [int(message.code), message.reason]}
    return {"end": True}


def _of_json(found: dict[str, Any]) -> Record:
    match found:
        case {"at": int() | float() as at, "wire": int() as wire, "by": "client" | "server" as by, **rest}:
            if _is_number(at) and _is_number(wire) and wire >= 0:
                return Record(at=float(at), wire=wire, by=by, message=_message_of_json(rest))
    raise RemoteProtocolError("it has no time, no transport or no end that sent it")


def _is_number(value: float) -> bool:
    """Whether it is a number, and not too great to be one of these; to Python true is one, and 1e999."""
    return abs(value) <= _GREATEST and not isinstance(value, bool)


def _message_of_json(found: dict[str, Any]) -> Message:
    match found:
        case {"text": str(text)}:
            return text
        case {"bytes": str(encoded)}:
            try:
                return base64.b64decode(encoded, validate=True)
            except ValueError as error:
                raise RemoteProtocolError(f"its bytes are no base64: {error}") from None
        case {"request": [str(method), str(url), list(pairs)]}:
            return RequestHead(method=method, url=url, headers=_headers(pairs))
        case {"response": [int(status), list(pairs)]} if _is_number(status):
            return ResponseHead(status=status, headers=_headers(pairs))
        case {"close": [int(code), str(reason)]} if _is_number(code):
            return Close(code, reason)
        case {"end": True}:
            return END
    raise RemoteProtocolError("no message that is known")


def _headers(pairs: list[Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for each in pairs:
        match each:
            case [str(name), str(value)]:
                found.append((name, value))
            case _:
                raise RemoteProtocolError("a header is no pair of strings")
    return tuple(found)

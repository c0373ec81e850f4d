"""Recordings to HAR."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import attrs

from flowstorm_channel import __version__
from flowstorm_channel.trace.entries import End, Head, Opened, Record, Recording
from flowstorm_channel.trace.har.recognition import SOCKETS, is_socket_address
from flowstorm_channel.trace.settings import KINDS
from flowstorm_channel.trace.trees import tree_of_entry
from flowstorm_channel.wire import END, RequestHead, ResponseHead

__all__ = ["to_har"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HTTP_VERSION = "HTTP/1.1"
_UNKNOWN_TYPE = "x-unknown"
"""What browsers write when a body has no media type."""
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_AUTHORITY = re.compile(r"[A-Za-z0-9.:_\[\]-]+")
_IN_ADDRESSES = "!#$%&'()*+,/:;=?@[]~"
"""What addresses hold beside letters and digits."""
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def to_har(recording: Recording, *, began: datetime = _EPOCH) -> dict[str, Any]:
    """What went over the wires of a recording, as an HTTP Archive, for `json.dumps`.

    There is an entry for each wire. A WebSocket is one with its messages as ``_webSocketMessages``, as Chrome
    writes it. An exchange without a response has the status 0. Binary data is base64: in responses
    ``encoding`` says so, and in requests, where HAR has no member for it, ``_encoding``. An address of which
    a server saw the path only begins with what the Host header says, or with ``http://localhost``. No machine
    knows the version of HTTP; it is always told as HTTP/1.1.

    Args:
        recording: of any channel.
        began: what time 0 of the recording is, with a time zone. Recordings count seconds from any origin,
            and do not say from which: by default it is the beginning of 1970.

    Raises:
        ValueError: ``began`` has no time zone, or a time of the recording is none that a calendar has.
    """
    if began.tzinfo is None:
        raise ValueError("began has no time zone")
    wires: dict[int, list[tuple[int, Record]]] = {}
    for index, record in enumerate(recording.records):
        if not math.isfinite(record.at):
            raise ValueError(f"{record.at} is no time")
        wires.setdefault(record.wire, []).append((index, record))
    heads = _heads(recording)
    own = {**_tree_of_head(recording.head), "redacted": list(recording.head.redacted)}
    entries = [_Wire(heads.get(each[0][1].channel, recording.head), each, began) for each in wires.values()]
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "flowstorm-channel", "version": __version__},
            "entries": [each.entry() for each in entries],
            "_flowstorm": own,
        }
    }


def _heads(recording: Recording) -> Mapping[int, Head]:
    """Of which channel, and at which end, each machine is, as far as the recording says."""
    opened = [each for each in recording.entries if isinstance(each, Opened) and each.kind in KINDS]
    kinds = {each.channel: KINDS[each.kind] for each in opened}
    return {
        number: attrs.evolve(recording.head, channel=kind.channel, seen_by=kind.end)
        for number, kind in kinds.items()
    }


def _tree_of_head(head: Head) -> dict[str, Any]:
    return {"channel": head.channel, "seenBy": head.seen_by}


class _Wire:
    """One transport, as an entry.

    Args:
        head: of its machine.
        numbered: its records, each with its number among those of the recording.
        began: what time 0 is.
    """

    def __init__(self, head: Head, numbered: Sequence[tuple[int, Record]], began: datetime) -> None:
        self._head = head
        self._numbered = numbered
        self._records = [record for _, record in numbered]
        self._began = began
        heads = [each for each in self._records if isinstance(each.message, RequestHead)]
        answers = [each for each in self._records if isinstance(each.message, ResponseHead)]
        self._asked = heads[0] if heads else None
        self._answered = answers[0] if answers else None
        self._is_socket = head.channel in SOCKETS or is_socket_address(self._request.url)
        if self._answered is not None:
            self._is_socket = self._response.status == 101
        self._url = self._address()

    @property
    def _request(self) -> RequestHead:
        """The head of the request, or what stands for one that was not recorded."""
        message = None if self._asked is None else self._asked.message
        return message if isinstance(message, RequestHead) else RequestHead(url="/")

    @property
    def _response(self) -> ResponseHead:
        """The head of the response, or what browsers write when there is none."""
        message = None if self._answered is None else self._answered.message
        return message if isinstance(message, ResponseHead) else ResponseHead(status=0)

    def _body(self, by: End) -> bytes:
        if self._is_socket:
            return b""
        pieces = (each.message for each in self._records if each.by == by)
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def entry(self) -> dict[str, Any]:
        """The entry as a whole."""
        timings = self._timings()
        entry = {
            "startedDateTime": self._date(self._records[0].at),
            "time": round(sum(timings.values()), 3),
            "request": self._request_tree(),
            "response": self._response_tree(),
            "cache": {},
            "timings": timings,
            "_resourceType": "websocket" if self._is_socket else "fetch",
            "_flowstorm": self._own(),
        }
        return {**entry, "_webSocketMessages": self._messages()} if self._is_socket else entry

    # -------------------------------------------------------- times

    def _date(self, at: float) -> str:
        try:
            moment = (self._began + timedelta(seconds=at)).astimezone(timezone.utc)
        except OverflowError:
            raise ValueError(f"{at} is no time that a calendar has") from None
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _timings(self) -> dict[str, float]:
        """How long it took to send the request, to wait for the response, and to get it, in milliseconds."""
        began = self._records[0].at
        ended = max(each.at for each in self._records)
        answered = ended if self._answered is None else self._answered.at
        sent = max((each.at for each in self._records if self._is_of_request(each)), default=began)
        sent = min(sent, answered)
        spans = {"send": sent - began, "wait": answered - max(sent, began), "receive": ended - answered}
        return {name: max(0.0, round(span * 1000, 3)) for name, span in spans.items()}

    def _is_of_request(self, record: Record) -> bool:
        if isinstance(record.message, bytes) and self._is_socket:
            return False
        return record.by == "client" and (
            record.message is END or isinstance(record.message, (RequestHead, bytes))
        )

    # -------------------------------------------------------- heads and bodies

    def _request_tree(self) -> dict[str, Any]:
        head, body = self._request, self._body("client")
        tree: dict[str, Any] = {
            "method": head.method,
            "url": self._url,
            "httpVersion": _HTTP_VERSION,
            "cookies": _cookies(head),
            "headers": _pairs(head.headers),
            "queryString": _pairs(_query(self._url)),
            "headersSize": -1,
            "bodySize": len(body),
        }
        if body:
            media_type = head.header("Content-Type") or _UNKNOWN_TYPE
            tree["postData"] = {"mimeType": media_type, **_text(body, "_encoding")}
        return tree

    def _address(self) -> str:
        head = self._request
        url = head.url
        if not _ABSOLUTE.match(url):
            host = head.header("Host") or ""
            authority = host if _AUTHORITY.fullmatch(host) else "localhost"
            scheme = "ws" if self._is_socket else "http"
            url = f"{scheme}://{authority}{'' if url[:1] == '/' else '/'}{url}"
        return quote(url, safe=_IN_ADDRESSES, errors="replace")

    def _response_tree(self) -> dict[str, Any]:
        head, body = self._response, self._body("server")
        media_type = head.header("Content-Type") or _UNKNOWN_TYPE
        content: dict[str, Any] = {"size": len(body), "mimeType": media_type}
        if body:
            content |= _text(body, "encoding")
        return {
            "status": head.status,
            "statusText": "",
            "httpVersion": _HTTP_VERSION if head.status else "",
            "cookies": _given_cookies(head),
            "headers": _pairs(head.headers),
            "content": content,
            "redirectURL": head.header("Location") or "",
            "headersSize": -1,
            "bodySize": len(body) if head.status else -1,
        }

    def _messages(self) -> list[dict[str, Any]]:
        """What was said over a WebSocket; their times are seconds since 1970."""
        zero = self._began.timestamp()
        return [
            {
                "type": "send" if each.by == "client" else "receive",
                "time": zero + each.at,
                "opcode": 1 if isinstance(each.message, str) else 2,
                "data": each.message
                if isinstance(each.message, str)
                else base64.b64encode(each.message).decode(),
            }
            for each in self._records
            if isinstance(each.message, (str, bytes))
        ]

    # -------------------------------------------------------- what HAR has no place for

    def _own(self) -> dict[str, Any]:
        tree = {**_tree_of_head(self._head), "wire": self._records[0].wire}
        if self._url != self._request.url:
            tree["url"] = self._request.url
        records = [{"index": index, **self._reference(record)} for index, record in self._numbered]
        return {**tree, "records": records}

    def _reference(self, record: Record) -> dict[str, Any]:
        """A record that says where in the entry its message stands; it has what has no place there."""
        tree = tree_of_entry(record)
        del tree["wire"]
        match record.message:
            case RequestHead() if record is self._asked:
                return {**tree, "request": True}
            case ResponseHead() if record is self._answered:
                return {**tree, "response": True}
            case str() | bytes() as message if self._is_socket:
                del tree["text" if isinstance(message, str) else "bytes"]
                return {**tree, "message": True}
            case bytes() as piece:
                return {**tree, "bytes": len(piece)}
        return tree


# ------------------------------------------------------------ members


def _text(body: bytes, encoding: str) -> dict[str, str]:
    """A body as text when it is one, else as base64.

    Args:
        body: the whole.
        encoding: the member that says that it is base64.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _NO_TEXT.search(text):
        return {"text": base64.b64encode(body).decode(), encoding: "base64"}
    return {"text": text}


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _query(url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return []


def _cookies(head: RequestHead) -> list[dict[str, Any]]:
    values = [value for name, value in head.headers if name.lower() == "cookie"]
    parts = [part.partition("=") for value in values for part in value.split(";") if part.strip()]
    return _pairs([(name.strip(), value.strip()) for name, _, value in parts])


def _given_cookies(head: ResponseHead) -> list[dict[str, Any]]:
    return [_given_cookie(value) for name, value in head.headers if name.lower() == "set-cookie"]


def _given_cookie(text: str) -> dict[str, Any]:
    (name, value), *more = [
        (part.partition("=")[0].strip(), part.partition("=")[2].strip()) for part in text.split(";")
    ]
    said = {key.lower(): told for key, told in more}
    shown = {key: said[key.lower()] for key in ("path", "domain", "sameSite") if key.lower() in said}
    return {
        "name": name,
        "value": value,
        **shown,
        "httpOnly": "httponly" in said,
        "secure": "secure" in said,
    }

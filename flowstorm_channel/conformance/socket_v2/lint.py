"""What can be said of a V2 conversation by looking at its requests and responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import attrs
import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.lint import (
    EVENT_RULES,
    RESPONSE_RULES,
    Linter,
    ends,
    object_of,
    sleeps,
    timeout_of,
)
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import SPELLINGS, Event, Version
from flowstorm_channel.socket_v2.bodies import MEDIA_TYPES, Form, accepted, body_form, is_audio, media_type_of
from flowstorm_channel.socket_v2.settings import COOKIE, Settings, cookie_of, given_cookie
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import Close, End, RequestHead, ResponseHead

__all__ = ["CLIENT_RULES", "SERVER_RULES", "V2Linter"]

SERVER_RULES: Mapping[str, str] = {
    **EVENT_RULES,
    **RESPONSE_RULES,
    "only_events_of_a_v2_server": "a server says nothing that only clients say, or only V1 knows",
    "responses_have_both_timeouts": "a Response has its timeout as sleepTimeout and as sessionTimeout",
    "an_answer_ends_with_one_response_or_error": "an answer ends with its only Response or Error",
    "interim_results_go_to_the_get": "RecognizedInput in a PUT's response is final",
    "a_get_has_nothing_but_interim_results": "a GET's response has interim RecognizedInput, or Error",
    "a_final_result_comes_once_and_first": "there is one RecognizedInput in an answer, before all else",
    "results_come_of_audio_only": "RecognizedInput answers a PUT that has brought audio",
    "items_come_singly_when_wanted": "items come singly or in the Response, as X-SendResponseItems says",
    "one_event_a_line": "an event of JSON is a line",
    "lines_of_text_have_their_marks": "a line of text begins with the mark of what it is",
    "nothing_follows_the_dot": "the line that ends the session is the last one",
    "the_form_is_that_of_the_request": "an answer has the form that the request asks for",
    "nothing_is_cached": "Cache-Control is no-store on every response",
    "a_first_answer_sets_the_cookie": "the answer to a request without the cookie sets it",
    "the_cookie_has_its_attributes": "the cookie has Path=/, HttpOnly and SameSite=Lax; over https Secure",
    "requests_without_names_are_refused": "a request without key or deviceId is refused",
    "a_get_without_a_cookie_is_refused": "a GET without the cookie is refused",
    "unknown_types_are_refused": "a PUT whose Content-Type is not known is refused",
    "logs_alone_are_answered_with_204": "a PUT with nothing but logs is answered with 204",
    "a_204_has_no_body": "a response with 204 has no body",
    "a_405_says_what_is_allowed": "a response with 405 has Allow",
}
CLIENT_RULES: Mapping[str, str] = {
    **EVENT_RULES,
    "only_events_of_a_v2_client": "a client says nothing that only servers say, or only V1 knows",
    "requests_are_put_or_get": "there are PUT, or POST, and GET",
    "requests_name_key_and_device": "every request has key and deviceId, as headers or parameters",
    "settings_are_legal": "what headers and parameters say is of the table",
    "bodies_have_a_known_type": "the Content-Type of a PUT is one of the table",
    "one_input_a_put": "there is at most one Input in a PUT",
    "no_audio_behind_the_input": "no Binary stands behind Input or InputStreamClose",
    "the_cookie_is_sent_back": "the session id of the last Set-Cookie comes with the next PUT",
    "a_dropped_session_is_not_named_again": "the id of a session that is over does not come again",
    "a_get_names_the_session_of_its_put": "a GET has the cookie of the PUT beside it",
    "nothing_is_streamed_when_recognition_is_over": "no audio goes out when the GET has ended with 200",
    "a_get_comes_once_a_second": "the GETs of one PUT are a second apart",
}

_SECOND = 0.9
"""What counts as a second, with room for those who count it differently."""
_Identity = tuple[str, str]


class V2Linter(Linter):
    """Reads the requests of V2 conversations. One whose head is not there is passed over."""

    def __init__(self, seen_by: str) -> None:
        super().__init__(seen_by)
        self._wires: dict[int, _Exchange] = {}
        self._jars: dict[_Identity, _Jar] = {}

    def _take(self, record: Record) -> None:
        message = record.message
        if isinstance(message, RequestHead):
            self._wires[record.wire] = self._on_request(message)
            return
        wire = self._wires.get(record.wire)
        if wire is None or wire.over:
            return
        match message:
            case Close():
                self._on_close(wire, record.by)
            case ResponseHead():
                self._on_response_head(wire, message)
            case bytes() if record.by == "client":
                self._on_request_body(wire, message)
            case bytes() if wire.head is not None:
                self._on_response_body(wire, message)
            case End.END if record.by == "client":
                self._on_request_end(wire)
            case End.END if wire.head is not None:
                self._on_response_end(wire)

    def _on_close(self, wire: _Exchange, by: str) -> None:
        wire.over = True
        wire.asking = False
        if by == "client":
            self._doubt(wire)

    def _doubt(self, wire: _Exchange) -> None:
        """What came last may not have been read: the request is given up, or another one takes its place."""
        jar = self._jars.setdefault(wire.identity, _Jar())
        if not self._knows("client", jar.given_at):
            jar.given = ""
        if not self._knows("client", jar.dropped_at):
            jar.dropped = ""

    # -------------------------------------------------------- the client

    def _on_request(self, head: RequestHead) -> _Exchange:
        method = head.method.upper()
        known = method in ("PUT", "POST", "GET")
        self._holds("client", "requests_are_put_or_get", known, f"a request with {method:.20}")
        wire = _Exchange(request=head, reads=method == "GET", known=known, at=self._now)
        self._read_settings(wire)
        wire.cookie = cookie_of(head)
        wire.media_type = media_type_of(head.header("Content-Type"))
        if not wire.reads:
            if wire.media_type:
                self._check_type(wire)
            form = body_form(wire.media_type)
            if form in (Form.JSON, Form.MSGPACK):
                wire.said = _Reader(form, lambda frame: self._on_said(wire, frame))
        if wire.settings is not None and known:
            jar = self._jars.setdefault(wire.identity, _Jar())
            if wire.reads:
                self._check_get(wire, jar)
            else:
                self._check_cookie(wire, jar)
                jar.put = wire
        return wire

    def _read_settings(self, wire: _Exchange) -> None:
        try:
            wire.settings = Settings.read(wire.request)
        except RemoteProtocolError as error:
            wire.nameless = error.path in ("key", "deviceId")
            self._holds("client", "requests_name_key_and_device", not wire.nameless, str(error))
            if not wire.nameless:
                self._holds("client", "settings_are_legal", False, str(error))
        else:
            wire.identity = wire.settings.key, wire.settings.device_id
            self._holds("client", "requests_name_key_and_device", True, "")
            self._holds("client", "settings_are_legal", True, "")

    def _check_type(self, wire: _Exchange) -> None:
        held = wire.media_type in (*MEDIA_TYPES, "plain/text")
        text = f"Content-Type is {wire.media_type!r:.60}"
        self._holds("client", "bodies_have_a_known_type", held, text)

    def _check_cookie(self, wire: _Exchange, jar: _Jar) -> None:
        """A PUT names the session that the client was given, and none that it had to drop."""
        if not self.one_client:
            return
        self._doubt(wire)
        if jar.given and self._now < jar.until:
            text = f"the session is {jar.given!r:.70}, and the cookie {wire.cookie!r:.70}"
            self._holds("client", "the_cookie_is_sent_back", wire.cookie == jar.given, text)
        if jar.dropped:
            text = f"the session {jar.dropped!r:.70} is over"
            again = wire.cookie == jar.dropped
            self._holds("client", "a_dropped_session_is_not_named_again", not again, text)

    def _check_get(self, wire: _Exchange, jar: _Jar) -> None:
        put = jar.put if jar.put is not None and jar.put.asking else None
        rule = "a_get_names_the_session_of_its_put"
        if wire.cookie is None:
            self._holds("client", rule, False, "a GET without the cookie")
        elif put is not None and self.one_client:
            text = f"the cookie is {wire.cookie!r:.70}, and that of the PUT {put.cookie!r:.70}"
            self._holds("client", rule, wire.cookie in (put.cookie, jar.given), text)
        before, jar.get = jar.get, wire
        if put is not None:
            if before is not None and before.put is put and self._sees("client"):
                held = self._now >= before.at + _SECOND
                text = f"a GET after {self._now - before.at:.1f} s"
                self._holds("client", "a_get_comes_once_a_second", held, text)
            wire.put = put

    def _on_request_body(self, wire: _Exchange, data: bytes) -> None:
        if wire.reads or not data:
            return
        if not wire.media_type and not wire.brought:
            self._check_type(wire)
        wire.brought = True
        if is_audio(wire.media_type):
            self._on_audio(wire)
        elif wire.said is not None:
            self._feed(wire.said, data, "client")

    def _on_request_end(self, wire: _Exchange) -> None:
        wire.ended = True
        if wire.said is not None:
            self._finish(wire.said, "client")
        if wire.deaf_at is not None:
            self._holds("client", "nothing_is_streamed_when_recognition_is_over", True, "")

    def _on_said(self, wire: _Exchange, frame: Frame) -> None:
        """An event in the body of a PUT."""
        if not self._spelled("client", frame, Version.V2):
            wire.only_logs = False
            return
        kind = _kind(frame)
        wire.only_logs = wire.only_logs and kind == "Log"
        wire.logs += kind == "Log"
        match kind:
            case "Binary":
                self._on_audio(wire)
                text = "audio behind the end of the stream"
                self._holds("client", "no_audio_behind_the_input", not wire.closed, text)
            case "InputStreamClose":
                wire.closed = True
            case "Input":
                self._holds("client", "one_input_a_put", wire.inputs == 0, "another Input in the same PUT")
                wire.inputs += 1
                wire.closed = True
                self._locale("client", "input.locale", object_of(frame.get("input")).get("locale"))

    def _on_audio(self, wire: _Exchange) -> None:
        wire.audio = True
        if wire.deaf_at is not None:
            held = not self._overdue("client", wire.deaf_at)
            text = "audio goes on, and the GET has ended with 200"
            self._holds("client", "nothing_is_streamed_when_recognition_is_over", held, text)

    # -------------------------------------------------------- the server: heads

    def _on_response_head(self, wire: _Exchange, head: ResponseHead) -> None:
        wire.head = head
        status = head.status
        stored = "no-store" in (head.header("Cache-Control") or "").lower()
        self._holds("server", "nothing_is_cached", stored, "Cache-Control: no-store is missing")
        if status == 405:
            allowed = head.header("Allow") is not None
            self._holds("server", "a_405_says_what_is_allowed", allowed, "Allow is missing")
        self._check_refusals(wire, status)
        self._check_set_cookie(wire, head)
        form = body_form(media_type_of(head.header("Content-Type")))
        if status == 200 and wire.known and form is not None:
            wire.form = form
            if form is Form.TEXT:
                wire.lines = _Lines(lambda line: self._on_line(wire, line))
            else:
                wire.answer = _Reader(form, lambda frame: self._on_event(wire, frame))
        if status in (401, 403):
            self._drop(wire, named=False)

    def _check_refusals(self, wire: _Exchange, status: int) -> None:
        refused, text = status >= 400, f"it was answered with {status}"
        if wire.nameless:
            self._holds("server", "requests_without_names_are_refused", refused, text)
        elif wire.reads and wire.cookie is None:
            self._holds("server", "a_get_without_a_cookie_is_refused", refused, text)
        elif not wire.reads and wire.media_type not in ("", *MEDIA_TYPES, "plain/text"):
            self._holds("server", "unknown_types_are_refused", refused, text)

    def _check_set_cookie(self, wire: _Exchange, head: ResponseHead) -> None:
        given = given_cookie(head)
        if not given:
            if given == "":
                self._drop(wire, named=False)
            return
        wire.session = given
        value = next(
            value
            for name, value in head.headers
            if name.lower() == "set-cookie" and value.partition("=")[0].strip() == COOKIE
        )
        said = {each.strip().lower().replace(" ", "") for each in value.split(";")[1:]}
        needed = ["Path=/", "HttpOnly", "SameSite=Lax"]
        if wire.request.url[:6].lower() == "https:":
            needed.append("Secure")
        missing = [each for each in needed if each.lower() not in said]
        text = f"the cookie has no {', '.join(missing)}"
        self._holds("server", "the_cookie_has_its_attributes", not missing, text)
        jar = self._jars.setdefault(wire.identity, _Jar())
        if given != jar.given:
            jar.given, jar.given_at = given, self._now
        jar.until = float("inf")
        if given == jar.dropped:
            jar.dropped = ""

    # -------------------------------------------------------- the server: bodies

    def _on_response_body(self, wire: _Exchange, data: bytes) -> None:
        head = wire.head
        assert head is not None
        if not data:
            return
        if head.status == 204:
            self._holds("server", "a_204_has_no_body", False, f"{len(data)} bytes")
        if head.status == 200 and wire.known and not wire.answering:
            wire.answering = True
            self._check_form(wire)
        if wire.lines is not None:
            wire.lines.feed(data)
        elif wire.answer is not None:
            self._feed(wire.answer, data, "server")

    def _check_form(self, wire: _Exchange) -> None:
        asked = accepted(wire.request.header("Accept"))
        own = body_form(wire.media_type)
        if wire.reads:
            legal = {asked}
        elif is_audio(wire.media_type):
            legal = {asked, Form.JSON}
        elif own is not None:
            legal = {own}
        else:
            return
        names = " or ".join(sorted(each.value for each in legal))
        text = f"it is {'of no known type' if wire.form is None else wire.form.value}, not {names}"
        self._holds("server", "the_form_is_that_of_the_request", wire.form in legal, text)

    def _on_event(self, wire: _Exchange, frame: Frame) -> None:
        """An event in the body of a response."""
        own = self._spelled("server", frame, Version.V2)
        kind = _kind(frame)
        if not own or kind not in SPELLINGS:
            return
        final = kind == "RecognizedInput" and frame.get("isFinal") is True
        if wire.reads:
            held = kind == "Error" or (kind == "RecognizedInput" and not final)
            what = "a final RecognizedInput" if final else kind
            self._holds("server", "a_get_has_nothing_but_interim_results", held, f"{what} in a GET")
        else:
            self._on_answer(wire, kind, frame, final=final)
        if kind == "Error":
            self._drop(wire)

    def _on_answer(self, wire: _Exchange, kind: str, frame: Frame, *, final: bool) -> None:
        if wire.answered:
            text = f"{kind} came behind {wire.answered}"
            self._holds("server", "an_answer_ends_with_one_response_or_error", False, text)
            return
        match kind:
            case "RecognizedInput":
                self._on_result(wire, final=final)
            case "ResponseItem":
                self._check_cookie_set(wire)
                self._check_singly(wire, wire.wants_items, "nobody wants items one by one")
                self._item(object_of(frame.get("responseItem")), "the item")
                wire.items += 1
            case "Response":
                wire.answered = kind
                self._check_cookie_set(wire)
                self._on_response(wire, object_of(frame.get("response")))
            case "Error":
                wire.answered = kind

    def _on_result(self, wire: _Exchange, *, final: bool) -> None:
        self._holds("server", "interim_results_go_to_the_get", final, "an interim result in the PUT")
        self._holds("server", "results_come_of_audio_only", wire.audio, "the PUT has brought no audio")
        if final:
            first = not wire.finals and not wire.items
            text = "it is the second one" if wire.finals else "it came behind an item"
            self._holds("server", "a_final_result_comes_once_and_first", first, text)
            wire.finals += 1

    def _on_response(self, wire: _Exchange, response: Frame) -> None:
        self._response(response)
        names = ("sleepTimeout", "sessionTimeout")
        both = response.get(names[0]) == response.get(names[1]) and response.get(names[0]) is not None
        text = ", ".join(f"{name}: {response.get(name)!r:.20}" for name in names)
        self._holds("server", "responses_have_both_timeouts", both, text)
        if wire.wants_items:
            self._check_singly(wire, not response.get("items"), "items in the Response are wanted one by one")
        jar = self._jars.get(wire.identity)
        if ends(response):
            self._drop(wire)
        elif jar is not None:
            jar.until = self._now + timeout_of(response) if sleeps(response) else float("inf")

    def _check_singly(self, wire: _Exchange, held: bool, text: str) -> None:
        if wire.settings is not None:
            self._holds("server", "items_come_singly_when_wanted", held, text)

    def _check_cookie_set(self, wire: _Exchange) -> None:
        if wire.cookie is None and not wire.items:
            text = f"there is no Set-Cookie of {COOKIE}"
            self._holds("server", "a_first_answer_sets_the_cookie", bool(wire.session), text)

    def _on_line(self, wire: _Exchange, line: str) -> None:
        """A line in a response of text."""
        marks = ("~ ", "! ") if wire.reads else ("< ", "# (", "! ", "~ ")
        held = line.startswith(marks) or (line == "." and not wire.reads)
        self._holds("server", "lines_of_text_have_their_marks", held, f"a line {line!r:.60}")
        if wire.dotted:
            self._holds("server", "nothing_follows_the_dot", False, f"behind it a line {line!r:.60}")
        if line.startswith("! "):
            self._drop(wire)
        elif line == ".":
            self._holds("server", "nothing_follows_the_dot", True, "")
            wire.dotted = True
            self._drop(wire)

    def _on_response_end(self, wire: _Exchange) -> None:
        head = wire.head
        assert head is not None
        wire.over = True
        wire.asking = False
        if head.status == 204:
            self._holds("server", "a_204_has_no_body", True, "")
        if wire.lines is not None:
            wire.lines.finish()
        elif wire.answer is not None:
            self._finish(wire.answer, "server")
            if wire.form is Form.JSON and wire.answer.count and not wire.answer.broken:
                self._holds(
                    "server", "one_event_a_line", wire.answer.tidy, "events are no lines of their own"
                )
        if wire.reads:
            if head.status == 200 and wire.put is not None and wire.put.deaf_at is None:
                wire.put.deaf_at = self._now
        elif wire.known:
            self._check_end(wire, head.status)

    def _check_end(self, wire: _Exchange, status: int) -> None:
        """The response to a PUT is complete."""
        if wire.ended and wire.logs and wire.only_logs and wire.said is not None and not wire.said.broken:
            held = status == 204 or status >= 400
            text = f"it was answered with {status}"
            self._holds("server", "logs_alone_are_answered_with_204", held, text)
        elif status == 200 and wire.answer is not None and not wire.answer.broken:
            text = "there is neither Response nor Error"
            self._holds("server", "an_answer_ends_with_one_response_or_error", bool(wire.answered), text)

    # -------------------------------------------------------- sessions

    def _drop(self, wire: _Exchange, *, named: bool = True) -> None:
        """The client has to let go of its session.

        Args:
            wire: where it was told.
            named: whether it must not come again; else it is merely not expected any more.
        """
        jar = self._jars.get(wire.identity)
        if jar is not None:
            over = wire.session or wire.cookie
            if named and over is not None:
                jar.dropped, jar.dropped_at = over, self._now
            jar.given = ""

    # -------------------------------------------------------- bodies

    def _feed(self, reader: _Reader, data: bytes, role: str) -> None:
        try:
            for _ in reader.feed(data):
                self._holds(role, "events_are_well_formed", True, "")
        except LimitExceeded:
            pass  # nobody says that another end has the same limits
        except RemoteProtocolError as error:
            self._holds(role, "events_are_well_formed", False, str(error))

    def _finish(self, reader: _Reader, role: str) -> None:
        try:
            reader.finish()
        except RemoteProtocolError as error:
            self._holds(role, "events_are_well_formed", False, str(error))


# ------------------------------------------------------------ what is kept


@attrs.define(eq=False)
class _Jar:
    """What a client keeps between its requests."""

    given: str = ""
    """The session id of the last Set-Cookie; empty when the session is over."""
    given_at: float = 0.0
    until: float = float("inf")
    """When its sleep is over."""
    dropped: str = ""
    dropped_at: float = 0.0
    put: _Exchange | None = None
    get: _Exchange | None = None


@attrs.define(eq=False)
class _Exchange:
    """One request and its response, as far as they were seen."""

    request: RequestHead
    reads: bool
    """It is a GET."""
    known: bool
    """It is of a method that the protocol has."""
    at: float

    # the request
    settings: Settings | None = None
    nameless: bool = False
    identity: _Identity = ("", "")
    cookie: str | None = None
    media_type: str = ""
    said: _Reader | None = None
    """Takes the body apart, when it holds events."""
    brought: bool = False
    ended: bool = False
    logs: int = 0
    only_logs: bool = True
    inputs: int = 0
    closed: bool = False
    """Input or InputStreamClose has come."""
    audio: bool = False
    deaf_at: float | None = None
    """When the GET beside it has ended with 200."""

    # the response
    head: ResponseHead | None = None
    session: str | None = None
    """The id that it gives."""
    form: Form | None = None
    lines: _Lines | None = None
    answer: _Reader | None = None
    answering: bool = False
    answered: str = ""
    """What has ended the answer: Response or Error."""
    items: int = 0
    finals: int = 0
    dotted: bool = False

    asking: bool = True
    """The response is not complete."""
    over: bool = False
    put: _Exchange | None = None
    """The PUT that a GET reads for."""

    @property
    def wants_items(self) -> bool:
        """Whether items are to come one by one."""
        return self.settings is None or self.settings.send_response_items


class _JsonKeeping(JsonCodec):
    """Keeps what it has decoded last."""

    raw = b""

    def decode(self, data: str | bytes) -> Event:
        self.raw = cast("bytes", data)  # a body is nothing else
        return super().decode(data)


class _MsgpackKeeping(MsgpackCodec):
    """Keeps what it has decoded last."""

    raw = b""

    def decode(self, data: bytes) -> Event:
        self.raw = data
        return super().decode(data)


class _Reader:
    """Takes a body of events apart, cut anywhere.

    Args:
        form: JSON or msgpack.
        take: is given each event as it stands there.
    """

    def __init__(self, form: Form, take: Callable[[Frame], None]) -> None:
        self._codec = _MsgpackKeeping() if form is Form.MSGPACK else _JsonKeeping()
        self._decoder = StreamDecoder(self._codec)
        self._take = take
        self._lines = 0
        self._last = b""
        self._cut = False
        self.count = 0
        """Of the events so far."""
        self.broken = False
        """It is no body of events, from some place on."""

    def feed(self, data: bytes) -> Iterator[None]:
        """Take the next bytes; something for each event that is complete by then.

        Raises:
            RemoteProtocolError: there is something else; said once.
        """
        if self.broken:
            return
        self._lines += data.count(b"\n")
        self._last = data[-1:]
        self._decoder.feed(data)
        self.broken = True
        for _ in self._decoder:
            raw = self._codec.raw
            frame: Frame
            if isinstance(self._codec, _MsgpackKeeping):
                frame = msgpack.unpackb(raw)
            else:
                frame = json.loads(raw)
                self._cut = self._cut or b"\n" in raw.strip()
            self.count += 1
            self._take(frame)
            yield
        self.broken = False

    def finish(self) -> None:
        """The body is complete.

        Raises:
            RemoteProtocolError: it is not; said once.
        """
        if not self.broken:
            self.broken = True
            self._decoder.close()
            self.broken = False

    @property
    def tidy(self) -> bool:
        """Whether each event was a line."""
        return not self._cut and self._lines >= self.count and self._last == b"\n"


class _Lines:
    """Takes a body of text apart, cut anywhere.

    Args:
        take: is given each line that is not empty.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)

    def finish(self) -> None:
        """The body is complete."""
        self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if text:
            self._take(text)


def _kind(frame: Frame) -> str:
    """The type of an event, under its short name."""
    kind: str = frame["type"]
    cls = SPELLINGS.get(kind)
    return kind if cls is None else cls.TYPE

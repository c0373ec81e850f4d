"""What can be said of a V1 conversation by looking at its wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from flowstorm_channel.conformance.frames import Frame, text_of
from flowstorm_channel.conformance.lint import (
    EVENT_RULES,
    RESPONSE_RULES,
    Linter,
    ends,
    object_of,
    sleeps,
    timeout_of,
)
from flowstorm_channel.conformance.socket_v1.peer import MSGPACK, read_frame
from flowstorm_channel.events import EVENTS, SPELLINGS, BinaryEvent, Version
from flowstorm_channel.trace import Record
from flowstorm_channel.values import INTRO
from flowstorm_channel.wire import Close, CloseCode, RequestHead, ResponseHead

__all__ = ["CLIENT_RULES", "SERVER_RULES", "V1Linter"]

SERVER_RULES: Mapping[str, str] = {
    **EVENT_RULES,
    **RESPONSE_RULES,
    "only_events_of_a_v1_server": "a server says nothing that only clients say, or only V2 knows",
    "audio_comes_in_binary_frames": "audio is a binary message, not JSON",
    "results_say_whether_they_are_final": "isFinal of Recognized is there and not null",
    "nothing_but_error_before_ready": "the first event that is no Error is Ready",
    "ready_answers_an_init": "there is one Ready for an Init, and none without",
    "session_started_comes_before_the_first_part": "SessionStarted comes before the first part of a session",
    "no_session_is_announced_twice": "SessionStarted does not name the session that is in force already",
    "session_ended_follows_the_ending_response": "SessionEnded comes right behind the Response that ends it",
    "session_ended_never_comes_before_its_response": "SessionEnded comes at no time before that Response",
    "only_an_announced_session_ends": "SessionEnded ends an announced session, or echoes the client's",
    "nothing_of_a_session_follows_an_error": "after Error nothing comes without another SessionStarted",
    "interim_results_only_when_asked_for": "interim Recognized goes only to clients with sttInterimResults",
    "items_only_when_asked_for": "ResponseItem goes only to clients with sendResponseItems",
    "an_acknowledgement_answers_a_request": "InputAudioStreamOpen does not come without the client's",
    "each_opening_is_acknowledged_once": "a repeated InputAudioStreamOpen is not acknowledged again",
    "acknowledgements_name_no_session": "the server's InputAudioStreamOpen has no sessionId",
    "results_come_on_an_open_stream": "Recognized comes between acknowledgement and final result",
    "nothing_is_recognised_on_a_closed_stream": "no Recognized comes when the client has closed the stream",
    "an_interrupted_turn_says_nothing_more": "no part comes between an input and the end of the turn it cuts",
    "a_running_turn_is_closed_before_the_next": "a Response stands before the result that cuts a turn",
}
CLIENT_RULES: Mapping[str, str] = {
    **EVENT_RULES,
    "only_events_of_a_v1_client": "a client says nothing that only servers say, or only V2 knows",
    "audio_comes_in_binary_frames": "audio is a binary message, not JSON",
    "init_comes_first": "the first event on a connection is Init",
    "init_is_complete": "Init has key, deviceId and config",
    "requests_are_complete": "Request has appKey, deviceId, sessionId and attributes",
    "nothing_before_ready": "between Init and Ready the client says nothing",
    "audio_only_on_an_acknowledged_stream": "audio flows only between acknowledgement and close",
    "a_final_result_is_answered_with_close": "outside Duplex the stream is closed after a final Recognized",
    "a_text_closes_the_stream_first": "outside Duplex the stream is closed before an Input or Request",
    "no_intro_while_a_session_is_held": "after a reconnect with a session id the client does not say #intro",
    "a_held_session_is_named_after_a_reconnect": "after a reconnect the first input names the session held",
}

_DUPLEX = "Duplex"
_INPUTS = ("Input", "Request")
_MOVES_NOTHING = ("Binary", "Log", "Vote", "InputAudioStreamOpen")
"""Of the client's: what closes no stream."""
_Identity = tuple[str, str]


class V1Linter(Linter):
    """Reads the wires of V1 conversations. A wire whose beginning is not there is passed over."""

    def __init__(self, seen_by: str) -> None:
        super().__init__(seen_by)
        self._wires: dict[int, _Wire] = {}
        self._held: dict[_Identity, _Held] = {}

    def _take(self, record: Record) -> None:
        message = record.message
        if isinstance(message, RequestHead):
            self._wires[record.wire] = _Wire()
        wire = self._wires.get(record.wire)
        if wire is None:
            return
        self._look_at_the_clock(wire, record.by)
        if isinstance(message, ResponseHead):
            wire.packed = message.header("Sec-WebSocket-Protocol") == MSGPACK
        elif isinstance(message, Close):
            self._on_close(wire, record.by, message)
        elif isinstance(message, (str, bytes)) and message != b"":
            self._on_message(wire, record.by, message)

    def _on_message(self, wire: _Wire, by: str, message: str | bytes) -> None:
        frame = read_frame(message, packed=wire.packed)
        bare = isinstance(message, bytes) and not wire.packed
        if bare:
            self._holds(by, "audio_comes_in_binary_frames", True, "")
            self._from(wire, by, frame)
        elif self._well_formed(by, message):
            if self._spelled(by, frame, Version.V1):
                cls = SPELLINGS.get(frame["type"])
                frame = frame if cls is None else {**frame, "type": cls.TYPE}
                if cls is BinaryEvent and not wire.packed:
                    text = "a block of audio came as JSON"
                    self._holds(by, "audio_comes_in_binary_frames", False, text)
                self._from(wire, by, frame)
        else:
            wire.closable = True  # to a server it is a fault
            if frame["type"] in EVENTS:
                # It stands for what it was meant to be, and only the one thing is said of it.
                findings, applied = list(self.findings), set(self.applied)
                self._from(wire, by, frame)
                self.findings, self.applied = findings, applied

    def _from(self, wire: _Wire, by: str, frame: Frame) -> None:
        if by == "client":
            self._from_client(wire, frame)
        else:
            self._from_server(wire, frame)

    def _on_close(self, wire: _Wire, by: str, close: Close) -> None:
        if close.code == CloseCode.ABNORMAL:
            return
        if by == "server" and wire.ending is not None:
            self._settle_end(wire, "a close")
        elif by == "client":
            self._held.pop(wire.identity, None)  # the program has ended the conversation

    def _look_at_the_clock(self, wire: _Wire, by: str) -> None:
        """What should have been done by now. Of an end that is silent nobody knows whether it is there."""
        if wire.ending is not None and self._sees("server") and self._overdue("server", wire.ending):
            self._settle_end(wire, "nothing")
        if wire.final_at is not None and by == "client" and self._overdue("client", wire.final_at):
            self._miss_close(wire)

    # -------------------------------------------------------- the client

    def _from_client(self, wire: _Wire, frame: Frame) -> None:
        kind = frame["type"]
        self._check_order(wire, kind)
        if kind in SPELLINGS and kind not in _MOVES_NOTHING:
            wire.closable = True
        match kind:
            case "Init":
                self._on_init(wire, frame)
            case "Input" | "Request":
                self._on_input(wire, frame)
            case "InputAudioStreamOpen":
                self._on_open(wire, frame)
            case "InputAudioStreamClose" | "InputAudioStreamCancel":
                self._on_stream_close(wire)
            case "Binary":
                self._on_audio(wire)
            case "SessionEnded":
                wire.client_ends += 1
                self._held.pop(wire.identity, None)
        held = self._held.get(wire.identity)
        if held is not None and held.wire is wire and self._knows("client", held.at):
            held.known = True

    def _check_order(self, wire: _Wire, kind: str) -> None:
        """Init first, then nothing before Ready."""
        if not wire.began:
            wire.began = True
            self._holds("client", "init_comes_first", kind == "Init", f"{kind} came first")
            wire.early = kind != "Init"
        elif not wire.early and not wire.refused:
            wire.early = wire.readies == 0
            self._holds("client", "nothing_before_ready", not wire.early, f"{kind} came before Ready")

    def _on_init(self, wire: _Wire, frame: Frame) -> None:
        missing = [name for name in ("key", "deviceId") if not isinstance(frame.get(name), str)]
        if not isinstance(frame.get("config"), dict):
            missing.append("config")
        self._holds("client", "init_is_complete", not missing, f"Init has no {', '.join(missing)}")
        config = object_of(frame.get("config"))
        self._locale("client", "config.locale", config.get("locale"))
        wire.inits += 1
        wire.pending.append(config)
        wire.duplex |= config.get("sttMode") == _DUPLEX
        wire.identity = str(frame.get("key")), str(frame.get("deviceId"))
        if wire.inits == 1:
            held = self._held.get(wire.identity)
            wire.resumed = held if held is not None and held.wire is not wire else None

    def _on_input(self, wire: _Wire, frame: Frame) -> None:
        said = object_of(frame.get("input"))
        if frame["type"] == "Request":
            request = object_of(frame.get("request"))
            said = object_of(request.get("input"))
            names = ("appKey", "deviceId", "sessionId", "attributes")
            missing = [name for name in names if request.get(name) is None]
            self._holds(
                "client", "requests_are_complete", not missing, f"Request has no {', '.join(missing)}"
            )
            wire.named = True
        self._locale("client", "input.locale", said.get("locale"))
        self._check_resumed(wire, frame)
        if not wire.duplex:
            left = wire.stream != "closed" and not wire.silenced
            if left or wire.closed_at is not None:
                text = f"{frame['type']} came while the stream was {wire.stream}"
                self._holds("client", "a_text_closes_the_stream_first", not left, text)
            wire.stream, wire.final_at = "closed", None
        if wire.turns and not wire.pending:
            wire.interrupted, wire.interrupted_at = wire.turns, self._now
        wire.turns += 1

    def _check_resumed(self, wire: _Wire, frame: Frame) -> None:
        """The first input after a reconnect: a session that is held goes on (D-56)."""
        held, wire.resumed = wire.resumed, None
        if held is None or not self.one_client or not held.known or self._now >= held.until:
            return
        intro = text_of(frame) == INTRO
        text = f"the session {held.session_id!r:.40} is held"
        self._holds("client", "no_intro_while_a_session_is_held", not intro, f"#intro, and {text}")
        if not intro:
            text = f"{frame['type']} names no session, and {text}"
            self._holds("client", "a_held_session_is_named_after_a_reconnect", wire.named, text)

    def _on_open(self, wire: _Wire, frame: Frame) -> None:
        if wire.final_at is not None and self._knows("client", wire.final_at):
            self._miss_close(wire)
        wire.opens += 1
        wire.openings += wire.closable
        wire.named |= frame.get("sessionId") is not None or "message" in frame
        wire.closable = wire.heard = wire.acknowledged = False
        # What the server has said shortly before may come behind the opening at the client.
        wire.silenced = wire.silenced and not self._knows("client", wire.silenced_at)
        wire.stream, wire.closed_at, wire.final_at = "asked", None, None

    def _on_stream_close(self, wire: _Wire) -> None:
        if wire.final_at is not None:
            self._holds("client", "a_final_result_is_answered_with_close", True, "")
        elif wire.stream == "open" and wire.hears:
            self._holds("server", "nothing_is_recognised_on_a_closed_stream", True, "")
        wire.final_at = None
        wire.stream, wire.closed_at = "closed", self._now

    def _on_audio(self, wire: _Wire) -> None:
        rule = "audio_only_on_an_acknowledged_stream"
        if not wire.began or wire.early:
            return
        if wire.stream == "closed":
            if wire.opens == 0 or wire.closed_at is not None:
                self._holds("client", rule, False, "audio came on a closed stream")
        elif not wire.heard:
            # An acknowledgement may be that of an opening before this one: only as many are sure.
            granted = wire.acknowledged if self.latency <= 0 else wire.acks > wire.streams
            self._holds("client", rule, granted, "audio came before the server's InputAudioStreamOpen")
            wire.heard = True
            wire.streams += granted
            wire.stream = "open"

    def _miss_close(self, wire: _Wire) -> None:
        wire.final_at = None
        text = "no InputAudioStreamClose has come since the final result"
        self._holds("client", "a_final_result_is_answered_with_close", False, text)

    # -------------------------------------------------------- the server

    def _from_server(self, wire: _Wire, frame: Frame) -> None:
        kind = frame["type"]
        if kind not in SPELLINGS:
            return
        if kind not in ("Ready", "Error") and not wire.answered:
            wire.answered = True
            self._holds("server", "nothing_but_error_before_ready", False, f"{kind} came before Ready")
        if wire.ending is not None:
            self._settle_end(wire, kind)
            if kind == "SessionEnded":
                return
        match kind:
            case "Ready":
                self._on_ready(wire)
            case "Error":
                self._on_error(wire)
            case "SessionStarted":
                self._on_session_started(wire, frame)
            case "SessionEnded":
                self._on_session_ended(wire)
            case "InputAudioStreamOpen":
                self._on_acknowledgement(wire, frame)
            case "Recognized":
                self._on_result(wire, frame)
            case "ResponseItem":
                asked = wire.asks("sendResponseItems")
                self._holds("server", "items_only_when_asked_for", asked, "nobody asked for it")
                self._item(object_of(frame.get("responseItem")), "the item")
                self._on_part(wire, kind)
            case "Binary":
                self._on_part(wire, kind)
            case "Response":
                self._on_response(wire, object_of(frame.get("response")))

    def _on_ready(self, wire: _Wire) -> None:
        self._holds("server", "nothing_but_error_before_ready", True, "")
        text = f"Ready came {wire.readies + 1} times, Init {wire.inits} times"
        self._holds("server", "ready_answers_an_init", wire.readies < wire.inits, text)
        wire.answered = True
        wire.readies += 1
        if wire.pending:
            # Which one is answered is not sure when there are several: an Error may have refused one.
            wire.configs = list(wire.pending)
            del wire.pending[0]

    def _on_error(self, wire: _Wire) -> None:
        wire.refused = wire.refused or wire.readies == 0
        if wire.pending and not wire.readies:
            del wire.pending[0]  # later it is not sure that the Error refuses it
        wire.turns = wire.interrupted = 0
        wire.parts = False
        wire.session, wire.doubtful = None, wire.readies > 0
        self._silence(wire)
        self._forget(wire)

    def _on_session_started(self, wire: _Wire, frame: Frame) -> None:
        if not wire.may_have_ended:
            self._close_before(wire, "SessionStarted")
        session_id = frame.get("sessionId")
        if wire.session is not None:
            again = session_id == wire.session and not wire.may_have_ended
            self._holds(
                "server", "no_session_is_announced_twice", not again, f"{session_id!r:.40} is in force"
            )
        if wire.doubtful:
            self._holds("server", "nothing_of_a_session_follows_an_error", True, "")
        wire.session, wire.doubtful, wire.may_have_ended = str(session_id), False, False
        wire.ended_early = wire.ended_at = wire.resumed = None
        self._held[wire.identity] = _Held(wire, str(session_id), self._now, self._sees("client"))

    def _on_session_ended(self, wire: _Wire) -> None:
        if wire.client_ends:
            wire.client_ends -= wire.session is None  # else it may be the server's own
        elif wire.parts:
            wire.ended_early = self._index
            text = "the turn goes on, and its Response has not come"
            self._holds("server", "session_ended_never_comes_before_its_response", False, text)
        elif wire.doubtful:
            self._follow_error(wire, "SessionEnded")
        else:
            known = wire.session is not None
            self._holds("server", "only_an_announced_session_ends", known, "there is no session to end")
            wire.ended_at = self._index if known else None
        wire.session = None
        wire.turns = wire.interrupted = 0
        wire.parts = False
        self._end_stream(wire)
        self._forget(wire)

    def _settle_end(self, wire: _Wire, what: str) -> None:
        """Behind the Response that ends the session came this."""
        wire.ending = None
        text = f"behind the Response that ends the session came {what}"
        self._holds("server", "session_ended_follows_the_ending_response", what == "SessionEnded", text)
        if what == "SessionEnded":
            self._holds("server", "session_ended_never_comes_before_its_response", True, "")
            self._holds("server", "only_an_announced_session_ends", True, "")

    def _on_acknowledgement(self, wire: _Wire, frame: Frame) -> None:
        text = f"it came {wire.acks + 1} times, and was asked for {wire.opens} times"
        asked = wire.acks < wire.opens
        self._holds("server", "an_acknowledgement_answers_a_request", asked, text)
        if asked:
            once = wire.acks < wire.openings
            self._holds("server", "each_opening_is_acknowledged_once", once, "the stream is open already")
        named = frame.get("sessionId") is not None
        self._holds("server", "acknowledgements_name_no_session", not named, "it has a sessionId")
        wire.acks += 1
        wire.hears = wire.acknowledged = True

    def _on_result(self, wire: _Wire, frame: Frame) -> None:
        said = isinstance(frame.get("isFinal"), bool)
        self._holds("server", "results_say_whether_they_are_final", said, "isFinal is missing")
        final = frame.get("isFinal") is not False
        if not final:
            asked = wire.asks("sttInterimResults")
            self._holds("server", "interim_results_only_when_asked_for", asked, "nobody asked for it")
        self._holds("server", "results_come_on_an_open_stream", wire.hears, "the stream is closed")
        wire.hears = True
        busy = wire.turns or wire.pending  # what has arrived then may wait to be read
        if wire.closed_at is not None and not busy and self._knows("server", wire.closed_at):
            text = "the client has closed the stream before"
            self._holds("server", "nothing_is_recognised_on_a_closed_stream", False, text)
        if final:
            self._close_before(wire, "Recognized")
            wire.turns += 1
            if not wire.duplex:
                self._end_stream(wire)
                if wire.stream == "open" and not wire.silenced:
                    wire.final_at = self._now

    def _on_part(self, wire: _Wire, kind: str) -> None:
        self._need_session(wire, kind)
        if wire.interrupted and self._knows("server", wire.interrupted_at):
            text = f"{kind} came after an input, before the Response that closes the turn before it"
            self._holds("server", "an_interrupted_turn_says_nothing_more", False, text)
            wire.interrupted = 0
        wire.turns = wire.turns or 1
        wire.parts = True

    def _on_response(self, wire: _Wire, response: Frame) -> None:
        self._response(response)
        early = wire.ended_early if wire.ended_early is not None else wire.ended_at
        if wire.session is None and ends(response) and early is not None:
            # The two came the wrong way round.
            if wire.ended_early is None:
                text = "the Response that ends the session came behind it"
                rule = "session_ended_never_comes_before_its_response"
                self._holds("server", rule, False, text, index=early)
            wire.ended_early = wire.ended_at = None
            return
        self._need_session(wire, "Response")
        if wire.interrupted:
            if self._knows("server", wire.interrupted_at):
                self._holds("server", "an_interrupted_turn_says_nothing_more", True, "")
            wire.interrupted -= 1
        wire.turns = max(0, wire.turns - 1)
        wire.parts = False
        wire.duplex |= response.get("sttMode") == _DUPLEX
        if ends(response):
            wire.ending = self._now
            wire.session = None
            self._end_stream(wire)
            self._forget(wire)
        elif sleeps(response):
            self._silence(wire)
            wire.may_have_ended = True
        held = self._held.get(wire.identity)
        if held is not None and held.until <= self._now:
            del self._held[wire.identity]  # the client has dropped it
        elif held is not None:
            held.until = self._now + timeout_of(response) if sleeps(response) else float("inf")

    def _need_session(self, wire: _Wire, kind: str) -> None:
        if wire.doubtful:
            self._follow_error(wire, kind)
        else:
            announced = wire.session is not None
            text = f"{kind} came before SessionStarted"
            self._holds("server", "session_started_comes_before_the_first_part", announced, text)
        wire.session = wire.session or ""
        wire.ended_early = wire.ended_at = None

    def _follow_error(self, wire: _Wire, kind: str) -> None:
        wire.doubtful = False
        text = f"after Error came {kind}, without another SessionStarted"
        self._holds("server", "nothing_of_a_session_follows_an_error", False, text)

    def _close_before(self, wire: _Wire, kind: str) -> None:
        """What begins another turn or session stands behind the Response of the turn that runs."""
        text = f"{kind} came in the middle of a turn"
        self._holds("server", "a_running_turn_is_closed_before_the_next", not wire.parts, text)
        if wire.parts:
            wire.turns, wire.interrupted, wire.parts = max(0, wire.turns - 1), 0, False

    # -------------------------------------------------------- streams and sessions

    def _end_stream(self, wire: _Wire) -> None:
        """The server has closed its stream."""
        wire.hears = False
        wire.closable = True
        wire.openings = wire.opens  # any of them may have come after it

    def _silence(self, wire: _Wire) -> None:
        """The client's stream is closed by what the server says, and nothing is sent."""
        wire.silenced = wire.closable = True
        wire.silenced_at = self._now
        wire.openings = wire.opens
        wire.final_at = None

    def _forget(self, wire: _Wire) -> None:
        """The session is over at the client, too."""
        self._silence(wire)
        wire.resumed = None
        self._held.pop(wire.identity, None)


@attrs.define(eq=False)
class _Held:
    """The session that a client holds."""

    wire: _Wire
    session_id: str
    at: float
    known: bool
    """Whether the client has heard of it for sure."""
    until: float = float("inf")
    """When its sleep is over."""


@attrs.define(eq=False)
class _Wire:
    """One connection, as far as it was seen."""

    packed: bool = False
    identity: _Identity = ("", "")

    # Init and Ready
    began: bool = False
    early: bool = False
    """The client has spoken too early; whatever it says now does, too."""
    inits: int = 0
    readies: int = 0
    answered: bool = False
    refused: bool = False
    pending: list[dict[str, Any]] = attrs.Factory(list)
    """The configurations of those that wait for their answer."""
    configs: list[dict[str, Any]] = attrs.Factory(list)
    """One of these, or of `pending`, is in force."""
    duplex: bool = False
    """Whether any was ever named: then nothing is concluded from the ends of streams."""

    # sessions
    session: str | None = None
    doubtful: bool = False
    """After Error."""
    may_have_ended: bool = False
    """Silently: it was let sleep, or another one was proposed."""
    client_ends: int = 0
    ending: float | None = None
    """When the Response came that ends the session, until SessionEnded does."""
    ended_early: int | None = None
    """The place of a SessionEnded in the middle of a turn."""
    ended_at: int | None = None
    """The place of a SessionEnded between turns; or so it seems."""
    resumed: _Held | None = None
    named: bool = False
    """The client has named a session here."""

    # turns
    turns: int = 0
    """Of how many an answer is to come."""
    parts: bool = False
    """Of the oldest of them something has come."""
    interrupted: int = 0
    interrupted_at: float = 0.0

    # the stream
    stream: str = "closed"
    """As the client says: closed, asked, or open when audio came."""
    closed_at: float | None = None
    """When the client has closed it."""
    silenced: bool = False
    """What the server has said since the opening closes it at the client."""
    silenced_at: float = 0.0
    closable: bool = True
    """Something has been said that may have closed it since the last opening."""
    opens: int = 0
    openings: int = 0
    """As many of them as may have opened a closed stream."""
    acks: int = 0
    acknowledged: bool = False
    """Since the last opening."""
    heard: bool = False
    streams: int = 0
    """On how many audio has come."""
    hears: bool = False
    """As the server says: acknowledged, and no final result since."""
    final_at: float | None = None
    """When a final result came that the client has still to answer with a close."""

    def asks(self, name: str) -> bool:
        """Whether the client may have asked for something, in any Init that may be in force."""
        return any(each.get(name) is True for each in (*self.configs, *self.pending))

"""The events of the protocol, and those that a machine only tells its own host (events.md).

An event is a frozen, slotted, keyword-only object, the same in both directions. `EVENTS` maps the `type`
of the wire to its class; `SPELLINGS` adds the other names that decoders accept (D-02, D-23).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar

import attrs

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.schema import JsonMap, Kind, Shape, Value, check, member, wire_class
from flowstorm_channel.values import ClientConfig, Input, LogEntry, Request, Response, ResponseItem

__all__ = [
    "EVENTS",
    "SPELLINGS",
    "BinaryEvent",
    "CertificateNeed",
    "ClosedEvent",
    "ConnectionFailedEvent",
    "ConnectionLostEvent",
    "DtmfEvent",
    "ErrorEvent",
    "Event",
    "FaultEvent",
    "InitEvent",
    "InputAudioStreamCancelEvent",
    "InputAudioStreamCloseEvent",
    "InputAudioStreamOpenEvent",
    "InputEvent",
    "InputStreamCloseEvent",
    "KeysNeed",
    "LocalEvent",
    "LogEvent",
    "Need",
    "ReadyEvent",
    "RecognizedEvent",
    "RecognizedInputEvent",
    "RequestEvent",
    "ResponseEvent",
    "ResponseItemEvent",
    "SessionEndEvent",
    "SessionExpiredEvent",
    "SessionNeed",
    "SessionStartEvent",
    "Side",
    "StoreNeed",
    "TurnInterruptedEvent",
    "UnknownEvent",
    "UnsentEvent",
    "Version",
    "VoteEvent",
]


class Side(Enum):
    """The two ends of a channel."""

    CLIENT = "client"
    SERVER = "server"


class Version(Enum):
    """The transports that carry events as they are."""

    V1 = "V1"
    """WebSocket."""
    V2 = "V2"
    """HTTP long polling."""


_CLIENT = frozenset({Side.CLIENT})
_SERVER = frozenset({Side.SERVER})
_BOTH = _CLIENT | _SERVER
_V1 = frozenset({Version.V1})
_V2 = frozenset({Version.V2})
_V1_V2 = _V1 | _V2


class Event(Value):
    """Base of all events."""

    __slots__ = ()

    SENT_BY: ClassVar[frozenset[Side]] = frozenset()
    """Who may send it."""
    VERSIONS: ClassVar[frozenset[Version]] = frozenset()
    """Where it belongs."""


# ------------------------------------------------------------ input


@wire_class
class InputEvent(Event):
    """The user's input as text, typed or recognised on the client. The client goes to Processing."""

    TYPE: ClassVar[str] = "Input"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    input: Input = member(doc="what the user says")


@wire_class
class RequestEvent(Event):
    """The older form of Input, with application, device and session. Servers tell it as InputEvent (D-61)."""

    TYPE: ClassVar[str] = "Request"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    request: Request = member(doc="the input and who says it")


@wire_class
class InputAudioStreamOpenEvent(Event):
    """The client asks to send audio; the server answers with the same event when recognition is ready."""

    TYPE: ClassVar[str] = "InputAudioStreamOpen"
    SENT_BY: ClassVar[frozenset[Side]] = _BOTH
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    session_id: str | None = member(
        default=None,
        inside=("message", "sessionId"),
        doc="proposed by the client for the session that begins; never sent by a server (D-79)",
    )


@wire_class
class InputAudioStreamCloseEvent(Event):
    """The end of the input audio: a final result has come, or the user switched to text."""

    TYPE: ClassVar[str] = "InputAudioStreamClose"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1


@wire_class
class InputAudioStreamCancelEvent(Event):
    """Like InputAudioStreamClose, and what was recognised so far is to be forgotten (D-13)."""

    TYPE: ClassVar[str] = "InputAudioStreamCancel"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1


@wire_class
class InputStreamCloseEvent(Event):
    """The end of the input stream of a V2 request: the user switched to text."""

    TYPE: ClassVar[str] = "InputStreamClose"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V2


@wire_class
class RecognizedInputEvent(Event):
    """An interim or final input recognised from a V2 stream."""

    TYPE: ClassVar[str] = "RecognizedInput"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V2

    input: Input = member(doc="what was recognised")
    is_final: bool = member(default=False, doc="nothing more will be recognised of this utterance")

    @property
    def text(self) -> str:
        """What was recognised, as a `RecognizedEvent` has it."""
        return self.input.transcript.text


@wire_class
class RecognizedEvent(Event):
    """An interim or final text recognised from a V1 stream. On a final one the client goes to Processing."""

    TYPE: ClassVar[str] = "Recognized"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    text: str = member(doc="what was recognised; `#silence` when nothing was")
    is_final: bool = member(default=True, doc="nothing more will be recognised of this utterance")


# ------------------------------------------------------------ response


@wire_class
class ResponseItemEvent(Event):
    """One part of the response, to be played at once."""

    TYPE: ClassVar[str] = "ResponseItem"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    response_item: ResponseItem = member(doc="the part")


@wire_class
class ResponseEvent(Event):
    """The response is complete, and the session may be over."""

    TYPE: ClassVar[str] = "Response"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    response: Response = member(doc="what was not sent singly, and what holds from now on")


# ------------------------------------------------------------ channel and session


@wire_class
class InitEvent(Event):
    """Opens the conversation: the first event of a client on V1; made up by the servers of other channels."""

    TYPE: ClassVar[str] = "Init"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    key: str = member(aliases=("appKey",), doc="the application: an opaque text (D-27)")
    device_id: str = member(aliases=("sender",), doc="the device")
    token: str | None = member(default=None, secret=True, doc="of the user, for the host to check (D-28)")
    config: ClientConfig = member(default=ClientConfig(), doc="what the client wants and can do")


@wire_class
class ReadyEvent(Event):
    """Acknowledges Init. The client goes to Sleeping."""

    TYPE: ClassVar[str] = "Ready"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1


@wire_class
class ErrorEvent(Event):
    """A failure of the protocol. The client drops its session id and goes to Sleeping (D-11)."""

    TYPE: ClassVar[str] = "Error"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    text: str = member(doc="for people")
    source: str | None = member(default=None, doc="where it comes from, such as `HTTP 404`")


@wire_class
class SessionStartEvent(Event):
    """The session id in force."""

    TYPE: ClassVar[str] = "SessionStarted"
    SENT_BY: ClassVar[frozenset[Side]] = _SERVER
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    session_id: str = member(doc="of the session that begins")


@wire_class
class SessionEndEvent(Event):
    """The session is over. A client may send it too: the server echoes it (D-53)."""

    TYPE: ClassVar[str] = "SessionEnded"
    SENT_BY: ClassVar[frozenset[Side]] = _BOTH
    VERSIONS: ClassVar[frozenset[Version]] = _V1


@wire_class
class LogEvent(Event):
    """Log entries of the client, to be stored with the session. Legal after its end too (D-66)."""

    TYPE: ClassVar[str] = "Log"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    entries: tuple[LogEntry, ...] = member(default=(), doc="the entries")


@wire_class
class BinaryEvent(Event):
    """A block of audio or video. On V1 with JSON it is a binary frame; empty, a keep-alive (D-15)."""

    TYPE: ClassVar[str] = "Binary"
    SENT_BY: ClassVar[frozenset[Side]] = _BOTH
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    data: bytes = member(doc="the block")


@wire_class
class VoteEvent(Event):
    """The user's opinion on a turn. There is no reply."""

    TYPE: ClassVar[str] = "Vote"
    SENT_BY: ClassVar[frozenset[Side]] = _CLIENT
    VERSIONS: ClassVar[frozenset[Version]] = _V1

    turn_id: str | None = member(default=None, doc="from the Response")
    node_id: int | None = member(default=None, doc="from a ResponseItem")
    vote: int = member(choices=(1, -1), doc="1 for good, -1 for bad")


def _json_object(value: Mapping[str, Any]) -> Mapping[str, Any]:
    checked: Mapping[str, Any] = check("data", Shape(Kind.MAP), value)
    return checked


@attrs.frozen(repr=False)
class UnknownEvent(Event):
    """An event of a type that this version does not know: delivered, never dropped, sent on as it came.

    Args:
        data: the whole object, `type` included.

    Raises:
        TypeError: it is no JSON object.
        ValueError: it has no `type`, or one that is known.
    """

    SENT_BY: ClassVar[frozenset[Side]] = _BOTH
    VERSIONS: ClassVar[frozenset[Version]] = _V1_V2

    data: JsonMap = attrs.field(converter=_json_object, hash=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        kind = self.data.get("type")
        if not isinstance(kind, str):
            raise ValueError("data must have a text as its type")
        if kind in SPELLINGS:
            raise ValueError(f"{kind} is known: use {SPELLINGS[kind].__name__}")

    @property
    def type(self) -> str:
        """The `type` of the wire."""
        kind: str = self.data["type"]
        return kind


# ------------------------------------------------------------ what a machine only tells its own host


class LocalEvent(Event):
    """Base of the events that never go over a wire."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class TurnInterruptedEvent(LocalEvent):
    """Nothing of that turn may be sent or played any more. Told just before what caused it.

    Args:
        number: of the turn.
        reason: ``input``, ``recognized``, ``silence``, ``host``, ``error``, ``session ended``, ``lost``,
            ``unanswered`` or ``closed``.
    """

    number: int
    reason: str


@attrs.frozen(kw_only=True)
class FaultEvent(LocalEvent):
    """The peer's fault. What the protocol requires as an answer is queued already.

    Args:
        error: what is wrong and where.
    """

    error: RemoteProtocolError


@attrs.frozen(kw_only=True)
class ClosedEvent(LocalEvent):
    """The last event of every channel.

    Args:
        code: of the WebSocket close, 1006 when the transport just went away.
        reason: for people.
    """

    code: int = 1006
    reason: str = ""


@attrs.frozen(kw_only=True)
class ConnectionFailedEvent(LocalEvent):
    """A client lost its transport, or could not get one. It will try again (D-16).

    Args:
        code: of the WebSocket close or the HTTP status, 1006 when neither came.
        reason: for people.
    """

    code: int = 1006
    reason: str = ""


@attrs.frozen(kw_only=True)
class ConnectionLostEvent(LocalEvent):
    """A client has been without connection for so long that its user should know (D-16): once an outage."""


@attrs.frozen(kw_only=True)
class SessionExpiredEvent(LocalEvent):
    """The time of a sleeping session is over; its id is dropped, the next input begins a new one (D-50).

    Args:
        session_id: of the session that is gone.
    """

    session_id: str


@attrs.frozen(kw_only=True)
class DtmfEvent(LocalEvent):
    """A key was pressed in a call (Twilio only; delivered, never sent).

    Args:
        digit: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        track: of the call's audio that it was heard on.
    """

    digit: str
    track: str = ""


@attrs.frozen(kw_only=True)
class UnsentEvent(LocalEvent):
    """A part of a turn's answer that its platform cannot be given whole: cut at its limits, or left out.

    Alexa, Google Assistant and Twilio only. The turn goes on.

    Args:
        number: of the turn.
        part: ``speech``, ``text``, ``card``, ``image``, ``video``, ``audio``, ``suggestions`` …
        reason: for people, with the figures: ``9200 characters of at most 8000``.
    """

    number: int
    part: str
    reason: str


# ------------------------------------------------------------ what a machine needs of its host


@attrs.frozen(kw_only=True)
class Need(LocalEvent):
    """The machine stands still until the host has answered with `ServerChannel.provide(need, value)`."""


@attrs.frozen(kw_only=True)
class SessionNeed(Need):
    """Load a session. Answer with its snapshot, or None when there is none under that id.

    Args:
        session_id: of the session; well-formed.
        key: of the application that asks for it.
        device_id: of the device that asks for it.
        begins: a turn of it begins: nobody else may begin one before it is stored again, or let go. Else it
            is only looked at.
    """

    session_id: str
    key: str
    device_id: str
    begins: bool = True


@attrs.frozen(kw_only=True)
class StoreNeed(Need):
    """Store a session; the turn's Response waits for it. Answer with the snapshot once it is stored, None
    when somebody else has taken the session meanwhile.

    Args:
        session_id: of the session.
        snapshot: all of it.
        keep_for: seconds for which it is to be kept.
    """

    session_id: str
    snapshot: bytes = attrs.field(repr=lambda data: f"{len(data)} bytes")
    keep_for: float


@attrs.frozen(kw_only=True)
class CertificateNeed(Need):
    """Fetch a chain of certificates (Alexa). Answer with what the address gives, PEM; None: it gives nothing.

    Args:
        url: to fetch, by HTTPS and without following redirections. It is one that Amazon may name.
    """

    url: str


@attrs.frozen(kw_only=True)
class KeysNeed(Need):
    """Fetch the public keys that tokens are signed with (Google Assistant). Answer with the document, JSON;
    None: it cannot be had.

    Args:
        url: to fetch, by HTTPS. It is always the same.
    """

    url: str


# ------------------------------------------------------------ names on the wire


WireEvent = (
    InputEvent
    | RequestEvent
    | InputAudioStreamOpenEvent
    | InputAudioStreamCloseEvent
    | InputAudioStreamCancelEvent
    | InputStreamCloseEvent
    | RecognizedInputEvent
    | RecognizedEvent
    | ResponseItemEvent
    | ResponseEvent
    | InitEvent
    | ReadyEvent
    | ErrorEvent
    | SessionStartEvent
    | SessionEndEvent
    | LogEvent
    | BinaryEvent
    | VoteEvent
)
"""Every event that has a `type` of its own on the wire."""

EVENTS: Mapping[str, type[WireEvent]] = {cls.TYPE: cls for cls in WireEvent.__args__}
"""The classes by the `type` that is sent."""


def _spellings() -> dict[str, type[WireEvent]]:
    found: dict[str, type[WireEvent]] = {
        "SessionStart": SessionStartEvent,
        "SessionEnd": SessionEndEvent,
        "InputStream": InputStreamCloseEvent,
        "OutputStreamClose": InputStreamCloseEvent,
        **EVENTS,
    }
    return found | {name + "Event": cls for name, cls in found.items()}


SPELLINGS: Mapping[str, type[WireEvent]] = _spellings()
"""The classes by every `type` that is accepted (D-02, D-23)."""

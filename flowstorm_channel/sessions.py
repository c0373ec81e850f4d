"""What is known of a conversation between its turns, and how it is put down here and picked up elsewhere."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import DEEPEST, JsonMap, LocaleTag, Value, member, wire_class
from flowstorm_channel.values import ExpectedPhrase, SttMode

__all__ = ["Session", "uuid4_text", "well_formed"]

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def well_formed(session_id: str) -> bool:
    """Whether a client may propose that id: 1 to 64 letters, digits, ``_`` and ``-`` (D-58)."""
    return _WELL_FORMED.fullmatch(session_id) is not None


def uuid4_text() -> str:
    """A new session id that nobody can guess."""
    return str(uuid.uuid4())


VERSION = 1
"""Of snapshots: it grows with every change that a reader of the old form would misunderstand."""


@wire_class
class _Snapshot(Value):
    """The form of a snapshot. What is added later has a default, so that older ones stay readable."""

    version: int = member()
    session_id: str = member()
    key: str = member()
    device_id: str = member()
    locale: LocaleTag | None = member(default=None)
    stt_mode: SttMode | None = member(default=None)
    expected_phrases: tuple[ExpectedPhrase, ...] = member(default=())
    turns: int = member(default=0)
    asleep: bool = member(default=False)
    ended: bool = member(default=False)
    data: JsonMap = member(factory=dict)


@attrs.define(kw_only=True, eq=False)
class Session:
    """A conversation of many turns.

    Args:
        session_id: its name.
        key: of the application it belongs to.
        device_id: of the device it belongs to.
        locale: that the last Response named, for what comes next (D-62).
        stt_mode: that the last Response named (D-62).
        expected_phrases: hints of the last Response for recognition (D-62).
        turns: how many there have been.
        asleep: the last Response let it sleep; the next input wakes it.
        ended: it is over; nothing may join it any more.
        data: what the host's dialogue remembers: it may put into it whatever JSON can say, and bytes.
            It is the host's alone; nothing of it goes to the client.
    """

    session_id: str
    key: str
    device_id: str
    locale: str | None = None
    stt_mode: SttMode | None = None
    expected_phrases: tuple[ExpectedPhrase, ...] = ()
    turns: int = 0
    asleep: bool = False
    ended: bool = False
    data: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def belongs_to(self, key: str, device_id: str) -> bool:
        """Whether it is of that application and device: nobody else may join it."""
        return (self.key, self.device_id) == (key, device_id)

    def reset(self) -> None:
        """Forget what Responses set: what the client says of itself holds again."""
        self.locale = self.stt_mode = None
        self.expected_phrases = ()

    def end(self) -> None:
        """It is over; what was remembered is forgotten."""
        self.reset()
        self.ended, self.asleep = True, False
        self.data = {}

    def snapshot(self) -> bytes:
        """All of it as msgpack, for `restore` anywhere. To be taken between turns.

        Raises:
            LocalProtocolError: the host put something into `data` that msgpack has no form for.
        """
        members = attrs.asdict(self, recurse=False)
        try:
            snapshot = _CODEC.encode_value(_Snapshot(version=VERSION, **members))
        except (TypeError, ValueError) as error:
            raise LocalProtocolError(f"the session cannot be stored: {error}") from error
        if len(snapshot) > LIMITS.message_bytes:
            raise LocalProtocolError(
                f"the session cannot be stored: {len(snapshot)} bytes of at most {LIMITS.message_bytes}"
            )
        if _is_deeper(self.data, LIMITS.nesting - 1):
            raise LocalProtocolError(
                f"the session cannot be stored: nested more than {LIMITS.nesting - 1} deep"
            )
        return snapshot

    @classmethod
    def restore(cls, snapshot: bytes) -> "Session":
        """The session of a snapshot. Those of older releases stay readable.

        Args:
            snapshot: from `snapshot`, perhaps of another process; it need not be trusted.

        Raises:
            LimitExceeded: it is more than `LIMITS` allow.
            RemoteProtocolError: it is none, or that of a newer release.
        """
        if not isinstance(snapshot, bytes):
            raise TypeError(f"a snapshot is bytes, not {type(snapshot).__name__}")
        found = _CODEC.decode_value(_Snapshot, snapshot)
        if not 1 <= found.version <= VERSION:
            raise RemoteProtocolError(f"a snapshot of version {found.version}, newer than this release")
        if not well_formed(found.session_id):
            raise RemoteProtocolError("no session id", path="sessionId")
        members = {each.name: getattr(found, each.name) for each in attrs.fields(cls)}
        return cls(**{**members, "data": dict(found.data)})


def _is_deeper(tree: Any, levels: int) -> bool:
    inside = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, (list, tuple)) else None
    return inside is not None and (levels == 0 or any(_is_deeper(each, levels - 1) for each in inside))


_MOST = 16 * 1024 * 1024
LIMITS = Limits(
    message_bytes=_MOST,
    audio_bytes=_MOST,
    string_bytes=_MOST,
    items=_MOST,
    log_entries=_MOST,
    nesting=DEEPEST,
)
"""Of snapshots: what is in them is the host's own, and only a stranger's would be endless."""
_CODEC = MsgpackCodec(LIMITS)

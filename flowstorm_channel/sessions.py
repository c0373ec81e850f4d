"""What is known of a conversation between its turns: how it is put down here and picked up elsewhere, and
where the HTTP requests of one server find it, and each other.
"""

import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.limits import Limits
from flowstorm_channel.schema import DEEPEST, JsonMap, LocaleTag, Value, member, wire_class
from flowstorm_channel.values import ExpectedPhrase, SttMode

__all__ = ["Rendezvous", "Session", "Sessions", "Who", "adopted", "uuid4_text", "well_formed"]

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NAME = re.compile(r"[!-~]{1,256}", re.ASCII)


def well_formed(session_id: str) -> bool:
    """Whether a client may propose that id: 1 to 64 letters, digits, ``_`` and ``-`` (D-58)."""
    return _WELL_FORMED.fullmatch(session_id) is not None


def adopted(session_id: str) -> str:
    """The id of a session that a platform has named: what it says, or when that is no name, a digest of it.

    Platforms make other ids than clients may propose: longer ones, with dots in them.
    """
    if _NAME.fullmatch(session_id):
        return session_id
    import hashlib  # here, since loading OpenSSL takes longer than all of this package's channels

    return hashlib.sha256(session_id.encode(errors="replace")).hexdigest()


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
        if not 0 <= found.turns < 2**53:
            raise RemoteProtocolError(f"{found.turns} turns", path="turns")
        if not _NAME.fullmatch(found.session_id):
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


# ------------------------------------------------------------ what the requests of a server share

R = TypeVar("R")
Who = tuple[str, str, str]
"""What a request says of itself: a session id, a key, a device id."""


class Rendezvous(Generic[R]):
    """Where the requests of one session that are under way find each other."""

    __slots__ = ("get", "known_as", "put", "session_id", "waiting")

    def __init__(self) -> None:
        self.put: R | None = None
        """The PUT whose turn it is."""
        self.waiting: R | None = None
        """The PUT that waits for it to end (D-68)."""
        self.get: R | None = None
        """The GET that reads, or waits for something to read."""
        self.known_as: set[Who] = set()
        self.session_id: str | None = None
        """Of the session that its last PUT went on with, whatever id the requests name."""


class Sessions:
    """Made once by a server, and handed to the machine of every request.

    Sessions are remembered here between their turns; with ``stored`` the host keeps them instead, where other
    processes find them, and is asked by `SessionNeed` and `StoreNeed`.

    Args:
        stored: the host keeps the sessions.
        clock: gives the time in seconds, as that of the machines.
        keep_for: seconds for which a session is kept that does not sleep, after its last turn.
        most: sessions that are remembered; the one longest unused makes room.
        most_waiting: GETs that may wait for their PUT; others are refused with 503.
    """

    def __init__(
        self,
        *,
        stored: bool = False,
        clock: Callable[[], float] = time.monotonic,
        keep_for: float = 3600.0,
        most: int = 10_000,
        most_waiting: int = 1_000,
    ) -> None:
        self.stored = stored
        self.keep_for = keep_for
        self.most = most
        self.most_waiting = most_waiting
        self.kind: str | None = None
        """Of the channel whose sessions they are; the first machine that is given them decides."""
        self.waiting = 0
        """GETs that wait for their PUT."""
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._under_way: dict[Who, Rendezvous[Any]] = {}
        self._owners: dict[str, tuple[str, str]] = {}  # of the sessions that are under way

    def serve(self, kind: str) -> None:
        """These are sessions of that kind of channel, and of no other: nobody is to join one from elsewhere.

        Raises:
            ValueError: they are those of another one.
        """
        if self.kind not in (None, kind):
            raise ValueError(f"the sessions are those of {self.kind}: give {kind} its own")
        self.kind = kind

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._kept)

    # -------------------------------------------------------- between turns

    def join(
        self,
        proposed: str | None,
        key: str,
        device_id: str,
        make_id: Callable[[], str],
        *,
        begins_anew: bool = False,
    ) -> Session:
        """The session of that id when it is theirs, else a new one; never somebody else's (socket-v2.md).

        Args:
            proposed: the id that the client names, when it may be taken; taken when it is new.
            key: of the application that asks.
            device_id: of the device that asks.
            make_id: makes an id when the proposed one cannot be taken; a new one, or always the same.
            begins_anew: a session of theirs that has ended begins anew, under the same id.
        """
        session_id = proposed
        if session_id is not None:
            kept = self._find(session_id)
            owner = self._owners.get(session_id, (key, device_id))
            if kept is None and owner == (key, device_id):
                return Session(session_id=session_id, key=key, device_id=device_id)
            if kept is not None and kept.belongs_to(key, device_id):
                if not kept.ended:
                    return kept
                if begins_anew:
                    return Session(session_id=session_id, key=key, device_id=device_id)
        session_id = make_id()
        return self.find(session_id, key, device_id) or Session(
            session_id=session_id, key=key, device_id=device_id
        )

    def find(self, session_id: str, key: str, device_id: str) -> Session | None:
        """The session of that id when it is theirs and goes on."""
        kept = self._find(session_id)
        return kept if kept is not None and kept.belongs_to(key, device_id) and not kept.ended else None

    def knows(self, session_id: str) -> bool:
        """Whether the id is taken, by whomever."""
        return self._find(session_id) is not None or session_id in self._owners

    def keep(self, session: Session, seconds: float) -> None:
        """Remember a session, or that it has ended.

        Args:
            session: between two turns.
            seconds: how long.
        """
        self._kept[session.session_id] = (session, self._clock() + seconds)
        self._kept.move_to_end(session.session_id)
        now = self._clock()
        while self._kept:
            session_id, (_, until) = next(iter(self._kept.items()))
            if until > now and len(self._kept) <= self.most:
                break
            del self._kept[session_id]

    def _find(self, session_id: str) -> Session | None:
        session, until = self._kept.get(session_id, (None, 0.0))
        if session is not None and until <= self._clock():
            del self._kept[session_id]
            return None
        return session

    # -------------------------------------------------------- under way

    def meet(self, who: Who) -> Rendezvous[Any]:
        """Where the requests that say the same of themselves meet."""
        found = self._under_way.get(who)
        if found is None:
            found = Rendezvous[Any]()
            self.introduce(found, who)
        return found

    def introduce(self, rendezvous: Rendezvous[Any], who: Who) -> None:
        """Make it known under another name, too: its first request did not name the session's id."""
        rendezvous.known_as.add(who)
        self._under_way[who] = rendezvous

    def own(self, session: Session) -> None:
        """Nobody else may have the id while it is under way."""
        self._owners[session.session_id] = (session.key, session.device_id)

    def disown(self, session: Session) -> None:
        """It is not under way any more."""
        self._owners.pop(session.session_id, None)

    def leave(self, rendezvous: Rendezvous[Any]) -> None:
        """Forget it when nobody is there any more."""
        if rendezvous.put is rendezvous.waiting is rendezvous.get is None:
            for who in rendezvous.known_as:
                if self._under_way.get(who) is rendezvous:
                    del self._under_way[who]

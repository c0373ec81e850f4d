"""The server end of a webhook: one request of a platform is one turn, with one JSON answer (external.md).

The body is read whole, the sender verified, the request understood, the host asked whether it takes the
client, and then there is an input like any other. A platform adds how its requests are verified, read and
answered, in the four hooks of `WebhookServer`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from flowstorm_channel.answers import Unsent
from flowstorm_channel.channel import Rules
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, SignatureError
from flowstorm_channel.events import (
    BinaryEvent,
    CertificateNeed,
    ErrorEvent,
    Event,
    InitEvent,
    InputEvent,
    KeysNeed,
    Need,
    ResponseEvent,
    ResponseItemEvent,
    SessionNeed,
    StoreNeed,
    UnsentEvent,
)
from flowstorm_channel.http import HttpServerChannel, declared_length
from flowstorm_channel.server import ServerOptions, Turn
from flowstorm_channel.sessions import Sessions, adopted
from flowstorm_channel.states import Audio, AudioTable, Deadline, State, Table
from flowstorm_channel.values import Input, Response, ResponseItem
from flowstorm_channel.wire import RequestHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["WEBHOOK", "WEBHOOK_AUDIO", "WEBHOOK_DEADLINES", "WebhookServer", "check_text", "json_of"]


# ------------------------------------------------------------ what is legal when


def _to(state: State, *triggers: str) -> dict[str, State]:
    return dict.fromkeys(triggers, state)


_ENDS: dict[str, State] = {
    **_to(State.SLEEPING, "< fault", "> Error"),
    **_to(State.CLOSED, "lost", "close"),
}
_ANSWERING: dict[str, State] = {
    "> ResponseItem": State.RESPONDING,
    **_to(State.LISTENING, "> Response", "interrupt"),
    "> Response end": State.SLEEPING,
    **_ENDS,
}

WEBHOOK: Table = {
    State.CLOSED: {"opened": State.OPEN, **_to(State.CLOSED, "lost", "close")},
    State.OPEN: {
        "> Ready": State.SLEEPING,
        **_to(State.OPEN, "< fault", "> Error"),
        **_to(State.CLOSED, "lost", "close"),
    },
    State.SLEEPING: {"joined": State.LISTENING, "< Input": State.PROCESSING, **_ENDS},
    State.LISTENING: {"< Input": State.PROCESSING, **_ENDS},
    State.PROCESSING: _ANSWERING,
    State.RESPONDING: _ANSWERING,
}
"""What a webhook's request goes through; ``joined``: it has found a session that goes on."""

WEBHOOK_AUDIO: AudioTable = {Audio.CLOSED: {}, Audio.ASKED: {}, Audio.OPEN: {}}
"""The platform listens; no audio comes."""

WEBHOOK_DEADLINES: tuple[Deadline, ...] = (
    Deadline(
        name="body",
        states=frozenset({State.OPEN}),
        starts=("opened",),
        then="408: the whole request has not come, and the platform would not wait any longer",
    ),
    Deadline(
        name="second_put",
        states=frozenset({State.SLEEPING}),
        starts=("waits",),
        then="409: another request of the session is not over (D-68)",
    ),
    Deadline(
        name="answer",
        states=frozenset({State.PROCESSING, State.RESPONDING}),
        entering=True,
        then="the platform would not wait any longer: the turn is interrupted, what was said so far goes out",
    ),
    Deadline(
        name="drain",
        states=frozenset({State.CLOSED}),
        starts=("answered",),
        then="the response ends, or the connection is broken off, although the body of the request goes on",
    ),
)
"""The deadlines of a webhook's request."""


# ------------------------------------------------------------ the machine


class WebhookServer(HttpServerChannel):
    """The server end of one request of a platform.

    Args:
        sessions: the same for all requests of a platform.
        now: gives the time, with its zone.
        kw: see `ServerChannel`.

    Raises:
        ValueError: the time has no zone.
    """

    RULES: ClassVar[Rules] = Rules(WEBHOOK, WEBHOOK_AUDIO, WEBHOOK_DEADLINES)
    BEGINS_ANEW: ClassVar[bool] = True  # the platform goes on with its id: it has none of ours to go on with
    UNVERIFIED: ClassVar[int] = 403
    """The status for a request that the platform cannot be shown to have sent."""

    def __init__(self, sessions: Sessions, now: Callable[[], datetime], **kw: Unpack[ServerOptions]) -> None:
        super().__init__(sessions, **kw)
        if now().utcoffset() is None:
            raise ValueError("now must give the time with its zone")
        self._now = now
        self._codec = JsonCodec(self.limits)
        self._pieces: list[bytes] = []
        self._opened_at = 0.0
        self._said: Input | None = None
        self._user_left = False

    # -------------------------------------------------------- for the platforms: hooks

    @abstractmethod
    def _lacks(self) -> Need | None:
        """What the host has to fetch, once, before the request can be verified: told by the head alone.

        Raises:
            SignatureError: nothing could ever verify it.
        """

    def _verify_head(self) -> None:
        """Make sure of what can be told by the head alone, so that no stranger's body is kept.

        Raises:
            SignatureError: the platform has not sent it.
        """

    @abstractmethod
    def _learn(self, need: Need, value: bytes) -> None:
        """Take what was fetched.

        Raises:
            SignatureError: it is of no use.
        """

    @abstractmethod
    def _verify(self, body: bytes) -> None:
        """Make sure that the platform has sent the request.

        Raises:
            SignatureError: it cannot be shown that it has.
        """

    @abstractmethod
    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        """Take the request apart, which is JSON and verified.

        Returns:
            Who speaks and what is said; or the answer, to what is no turn.

        Raises:
            RemoteProtocolError: it is nothing that the platform would send.
        """

    @abstractmethod
    def _compose(self, response: Response) -> tuple[Mapping[str, Any], Sequence[Unsent]]:
        """The answer that says a response, and what of it cannot be said."""

    @abstractmethod
    def _patience(self) -> float | None:
        """Seconds that may pass between request and answer."""

    # -------------------------------------------------------- the host's words

    def ready(self) -> None:
        super().ready()
        assert self._said is not None
        self._decoded.append(InputEvent(input=self._said))
        self._notify()

    def rename_session(self, session_id: str) -> None:  # noqa: ARG002
        """Nothing that a host can do: the platform names its sessions.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("the platform names the session", legal=("Session.data",))

    # -------------------------------------------------------- the request

    @property
    def full(self) -> bool:
        # Nothing of a stranger's body is read before the head is verified.
        return super().full or isinstance(self._question, (CertificateNeed, KeysNeed))

    def _open_request(self, head: RequestHead) -> None:
        self._opened_at = self._clock()
        if not self._is_method(head):
            return
        if declared_length(head) > self._most:
            self._fault(self._too_long())  # told before it is sent
            return
        try:
            need = self._lacks()
            if need is None:
                self._verify_head()
            else:
                self._ask(need)
        except SignatureError as error:
            self._mistrust(error)

    def _read_body(self, piece: bytes) -> None:
        if self._body_bytes > self._most:
            self._pieces.clear()
            self._fault(self._too_long())
        elif piece:
            self._pieces.append(piece)

    @property
    def _most(self) -> int:
        return min(self.limits.webhook_bytes, self.limits.message_bytes, self.limits.body_bytes)

    def _too_long(self) -> LimitExceeded:
        return LimitExceeded(f"a body of more than {self._most} bytes")

    def _read_end(self) -> None:
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            self._verify(body)
            understood = self._understand(self._codec.decode_tree(body))
        except SignatureError as error:
            self._mistrust(error)
        except RemoteProtocolError as error:
            self._fault(error)
        else:
            if isinstance(understood, bytes):
                self._last = understood
                self._conclude()
            else:
                init, self._said = understood
                self._question = init
                self._name_substitute(init)
                self._tell(init)

    def _name_substitute(self, init: InitEvent) -> None:
        """Where a conversation goes on whose id is somebody else's, or whose session cannot be read.

        It is found again there: the platform names the same id in every request.
        """
        named = self._proposed_session
        if named is not None:
            substitute = adopted("\n".join((named, init.key, init.device_id)))
            self._make_id = lambda: substitute

    def _provided(self, need: Need, value: bytes | None) -> None:
        if isinstance(need, (SessionNeed, StoreNeed)):
            super()._provided(need, value)
            return
        try:
            # When nothing could be fetched, what is there may still do.
            if value is not None:
                self._learn(need, value)
            self._verify_head()
        except SignatureError as error:
            self._mistrust(error)

    def _mistrust(self, error: SignatureError) -> None:
        # Who tries to get in is not told what was wrong; the host is.
        self._refuse(self.UNVERIFIED, "the request could not be verified", fault=error)

    def _must_wait(self, event: Event) -> bool:  # noqa: ARG002
        if self._joined is not None:
            return False
        gone = self._end is not None and self._sessions.stored  # nobody will answer
        return gone or not self._claim()

    # -------------------------------------------------------- the response

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if isinstance(event, ResponseEvent) and self._user_left:
            event = ResponseEvent(response=event.response.replace(session_ended=True, sleep_timeout=0))
        super()._respond(turn, event)

    def _close_turn(self, turn: Turn, reason: str) -> None:
        super()._close_turn(turn, reason)
        if self._user_left:
            self._clear_session()  # nobody will come back to it

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, ErrorEvent):
            return json_of(self._compose(_apology(event.text))[0])
        assert isinstance(event, ResponseEvent)  # the table lets nothing else through
        tree, unsent = self._compose(event.response)
        for each in unsent:
            self._tell(UnsentEvent(number=self._turns, part=each.part, reason=each.reason))
        return json_of(tree)

    def _write(self, event: Event, turn: object = None) -> None:
        """There is only the one answer; its parts are gathered."""

    def _refusal(self, error: ErrorEvent) -> bytes:
        return json_of({"error": error.text})

    # -------------------------------------------------------- time

    def _limit(self, name: str) -> float | None:
        if name == "body":
            limits = (self.timeouts.body, self._patience())
            return min((each for each in limits if each is not None), default=None)
        if name != "answer":
            return super()._limit(name)
        return self.patience

    @property
    def patience(self) -> float | None:
        # It began when the request was sent.
        patience = self._patience()
        return None if patience is None else max(self._opened_at + patience - self._clock(), 0.001)

    def _timed_out(self, name: str) -> None:
        if name == "answer":
            # The deadline runs only while a turn does.
            said = () if self._running is None else tuple(self._running._items)
            self._cut("unanswered", Response(items=said))
            self._advance("interrupt")
            self._conclude()
        else:
            super()._timed_out(name)


def _apology(text: str) -> Response:
    return Response(items=(ResponseItem(text=text),), session_ended=True)


def check_text(name: str, text: str | None) -> None:
    """Refuse what could not be sent, of what a host says once for all.

    Raises:
        ValueError: it holds what is no character.
    """
    if text is not None and not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} holds a lone surrogate") from None


def json_of(tree: Mapping[str, Any]) -> bytes:
    """JSON as it is sent.

    Raises:
        TypeError, ValueError: the host has put something into it that JSON has no form for.
    """
    return text_of(tree).encode()

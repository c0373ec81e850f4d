"""The server end of a webhook: one request of a platform is one turn, with one JSON answer (external.md).

The body is read whole, the sender verified, the request understood, the host asked whether it takes the
client, and then there is an input like any other. A platform adds how its requests are verified, read and
answered, in the four hooks of `WebhookServer`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flowstorm_channel.answers import Unsent
from flowstorm_channel.channel import Rules
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, SignatureError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    InitEvent,
    InputEvent,
    Need,
    ResponseEvent,
    ResponseItemEvent,
    SessionNeed,
    StoreNeed,
    UnsentEvent,
)
from flowstorm_channel.http import HttpServerChannel
from flowstorm_channel.server import ServerOptions, Turn
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.states import Audio, AudioTable, Deadline, State, Table
from flowstorm_channel.values import Input, Response, ResponseItem
from flowstorm_channel.wire import RequestHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["WEBHOOK", "WEBHOOK_AUDIO", "WEBHOOK_DEADLINES", "WebhookServer", "json_of"]


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
        starts=("opened", "received"),
        then="408: the platform neither sends nor ends its body",
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
        sessions: the same for all requests of a server.
        kw: see `ServerChannel`.
    """

    RULES: ClassVar[Rules] = Rules(WEBHOOK, WEBHOOK_AUDIO, WEBHOOK_DEADLINES)
    UNVERIFIED: ClassVar[int] = 403
    """The status for a request that the platform cannot be shown to have sent."""

    def __init__(self, sessions: Sessions, **kw: Unpack[ServerOptions]) -> None:
        super().__init__(sessions, **kw)
        self._codec = JsonCodec(self.limits)
        self._pieces: list[bytes] = []
        self._body = b""
        self._opened_at = 0.0
        self._said: Input | None = None
        self._user_left = False

    # -------------------------------------------------------- for the platforms: hooks

    @abstractmethod
    def _verify(self, body: bytes) -> Need | None:
        """Make sure that the platform has sent the request.

        Returns:
            What the host has to fetch for that; None: it is verified.

        Raises:
            SignatureError: it is not.
        """

    @abstractmethod
    def _learn(self, need: Need, value: bytes | None) -> None:
        """Take what was fetched.

        Raises:
            SignatureError: it is of no use.
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
        if self._said is not None:
            self._decoded.append(InputEvent(input=self._said))
        self._notify()

    def rename_session(self, session_id: str) -> None:  # noqa: ARG002
        """Nothing that a host can do: the platform names its sessions.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("the platform names the session", legal=("Session.data",))

    # -------------------------------------------------------- the request

    def _open_request(self, head: RequestHead) -> None:
        self._opened_at = self._clock()
        declared = head.header("Content-Length") or ""
        if not self._is_method(head):
            return
        if declared.isdecimal() and int(declared[:18]) > self._most:
            self._fault(self._too_long())  # told before it is sent

    def _read_body(self, piece: bytes) -> None:
        if self._body_bytes > self._most:
            self._pieces.clear()
            self._fault(self._too_long())
        elif piece:
            self._pieces.append(piece)

    @property
    def _most(self) -> int:
        return min(self.limits.message_bytes, self.limits.body_bytes)

    def _too_long(self) -> LimitExceeded:
        return LimitExceeded(f"a body of more than {self._most} bytes")

    def _read_end(self) -> None:
        self._body = b"".join(self._pieces)
        self._pieces.clear()
        self._go_on()

    def _go_on(self) -> None:
        """Verify the request; understand it once that is done."""
        try:
            need = self._verify(self._body)
            if need is not None:
                self._ask(need)
                return
            body, self._body = self._body, b""
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
                self._question, self._said = understood
                self._tell(understood[0])

    def _provided(self, need: Need, value: bytes | None) -> None:
        if isinstance(need, (SessionNeed, StoreNeed)):
            super()._provided(need, value)
            return
        try:
            self._learn(need, value)
        except SignatureError as error:
            self._mistrust(error)
        else:
            self._go_on()

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

    def _begins_anew(self, session: Session) -> bool:
        # The platform goes on with the id: it has none of ours to go on with.
        return session.ended

    def _encode(self, event: Event) -> bytes:
        match event:
            case ResponseEvent():
                tree, unsent = self._compose(event.response)
                for each in unsent:
                    self._tell(UnsentEvent(number=self._turns, part=each.part, reason=each.reason))
            case ErrorEvent():
                tree, _ = self._compose(Response(items=(ResponseItem(text=event.text),), session_ended=True))
            case _:
                raise LocalProtocolError(
                    f"{type(self).__name__} cannot say {type(event).__name__}",
                    legal=("ResponseEvent", "ErrorEvent"),
                )
        return json_of(tree)

    def _write(self, event: Event, turn: object = None) -> None:
        """There is only the one answer; its parts are gathered."""

    def _refusal(self, error: ErrorEvent) -> bytes:
        return json_of({"error": error.text})

    # -------------------------------------------------------- time

    def _limit(self, name: str) -> float | None:
        if name != "answer":
            return super()._limit(name)
        patience = self._patience()
        # It is the platform's patience, and it began when the request was sent.
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


def json_of(tree: Mapping[str, Any]) -> bytes:
    """JSON as it is sent.

    Raises:
        TypeError, ValueError: the host has put something into it that JSON has no form for.
    """
    return text_of(tree).encode()

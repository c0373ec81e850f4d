"""What machines ask the world for while they work: new ids, the time of day, whether a signature is good.

While a machine is recorded its questions are noted with their answers; when it is replayed it gets the same
answers again. Certificates, keys and secrets are needed for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from flowstorm_channel.channel import Channel
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError, SignatureError
from flowstorm_channel.events import CertificateNeed, KeysNeed, Need

__all__ = ["Answers", "Note", "ask_recorded", "note_answers"]

Note = Callable[[str, Any], None]
"""Takes the name of a question, and the answer as a plain value."""

_ERRORS = {cls.__name__: cls for cls in (LimitExceeded, RemoteProtocolError, SignatureError)}
_START = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _Function(NamedTuple):
    """A function that a machine is made with."""

    attribute: str
    to_tree: Callable[[Any], Any]
    of_tree: Callable[[Any], Any]
    otherwise: Any
    """What is answered when the recording holds nothing."""


_FUNCTIONS: Mapping[str, _Function] = {
    "make_id": _Function("_make_id", str, str, "not-recorded"),
    "now": _Function("_now", datetime.isoformat, datetime.fromisoformat, _START),
    "device_id": _Function("_device_id", str, str, "not-recorded"),
    "check": _Function("_check", lambda _: None, lambda _: None, None),
}
_UNKNOWN = SignatureError("the recording does not say whether the signature is good")
_NEEDS: Mapping[str, Callable[..., Need]] = {"certificates": CertificateNeed, "keys": KeysNeed}
_VERIFIERS = {"certificates": "_certificates", "keys": "_keys"}
"""Arguments by which machines are given what checks signatures, and where they keep it."""


# ------------------------------------------------------------ while it is recorded


def note_answers(channel: Channel, asks: Iterable[str], note: Note) -> list[str]:
    """Have a machine's questions noted from now on.

    Args:
        channel: that was just made.
        asks: the questions that machines of its kind ask.
        note: takes them.

    Returns:
        Those that it asks itself.
    """
    asked = []
    for name in asks:
        attribute = _VERIFIERS[name] if name in _VERIFIERS else _FUNCTIONS[name].attribute
        real = getattr(channel, attribute)
        if real is None:
            continue
        asked.append(name)
        if name in _VERIFIERS:
            setattr(channel, attribute, _NotedVerifier(real, name, note))
        else:
            setattr(channel, attribute, _noting(name, real, _FUNCTIONS[name].to_tree, note))
    return asked


def _noting(
    name: str, call: Callable[..., Any], to_tree: Callable[[Any], Any], note: Note
) -> Callable[..., Any]:
    def noted(*arguments: Any, **more: Any) -> Any:
        try:
            answer = call(*arguments, **more)
        except RemoteProtocolError as error:
            note(name, {"error": [type(error).__name__, error.problem, error.path]})
            raise
        except Exception as error:
            note(name, {"failed": type(error).__name__})  # what it says is not ours to keep
            raise
        note(name, {"value": to_tree(answer)})
        return answer

    return noted


class _NotedVerifier:
    """`AlexaCertificates` or `GoogleKeys`, with the verdicts noted."""

    def __init__(self, real: Any, name: str, note: Note) -> None:
        self.need = _noting(f"{name}.need", real.need, _url_of, note)
        self.add = _noting(f"{name}.add", real.add, lambda _: None, note)
        self.check = _noting(f"{name}.check", real.check, _audience_of, note)


def _url_of(need: CertificateNeed | KeysNeed | None) -> str | None:
    return None if need is None else need.url


def _audience_of(claims: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a machine reads of a token's claims; Alexa's signatures make none."""
    return None if claims is None else {"aud": claims.get("aud")}


# ------------------------------------------------------------ while it is replayed


class Answers:
    """The answers that were recorded with the entry that is replayed now."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        """What was asked for, and is not in the recording."""
        self._left: list[tuple[str, Any]] = []
        self.replaying = False

    def refill(self, given: tuple[tuple[str, Any], ...]) -> None:
        """Go on to another entry."""
        self._left = list(given)

    @property
    def left(self) -> list[str]:
        """What was asked for then, and has not been now."""
        return [name for name, _ in self._left]

    def take(self, name: str) -> Any:
        """The next answer to a question, as a plain value; None: there is none."""
        for index, (asked, answer) in enumerate(self._left):
            if asked == name:
                del self._left[index]
                return answer
        if self.replaying:
            self.missing.append(name)
        return None

    def ask(self, name: str, of_tree: Callable[[Any], Any], otherwise: Any) -> Any:
        """What a question was answered with; raises what was raised."""
        match self.take(name):
            case {"error": [str(cls), str(problem), str(path)]}:
                raise _error(cls)(problem, path=path)
            case {"failed": str(cls)}:
                raise type(cls, (Exception,), {})("it failed, too, when it was recorded")
            case {"value": value}:
                try:
                    return of_tree(value)
                except (TypeError, ValueError) as error:
                    raise RemoteProtocolError(f"no answer that {name} can have: {error}") from None
        if isinstance(otherwise, Exception):
            raise otherwise
        return otherwise


def ask_recorded(kind: Iterable[str], asked: Iterable[str], answers: Answers) -> dict[str, Any]:
    """What a machine is to be made with instead of the world.

    Args:
        kind: the questions that machines of its kind ask.
        asked: those that the recorded one asked: from `note_answers`.
        answers: to give.
    """

    def asking(name: str, of_tree: Callable[[Any], Any], otherwise: Any) -> Callable[..., Any]:
        return lambda *_, **__: answers.ask(name, of_tree, otherwise)

    given: dict[str, Any] = {}
    for name in kind:
        if name not in asked:
            given[name] = None
        elif name in _VERIFIERS:
            given[name] = _Verifier(asking, name, _NEEDS[name])
        else:
            function = _FUNCTIONS[name]
            given[name] = asking(name, function.of_tree, function.otherwise)
    return given


class _Verifier:
    """Stands for `AlexaCertificates` or `GoogleKeys`: says what they said."""

    def __init__(
        self,
        asking: Callable[[str, Callable[[Any], Any], Any], Callable[..., Any]],
        name: str,
        need: Callable[..., Need],
    ) -> None:
        self.need = asking(f"{name}.need", lambda url: None if url is None else need(url=url), None)
        self.add = asking(f"{name}.add", lambda _: None, None)
        self.check = asking(f"{name}.check", lambda claims: claims, _UNKNOWN)


def _error(name: str) -> type[RemoteProtocolError]:
    return _ERRORS.get(name, RemoteProtocolError)

"""What can go wrong, and whose fault it is."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ChannelError",
    "LimitExceeded",
    "LocalProtocolError",
    "RemoteProtocolError",
    "SignatureError",
    "TooLateError",
]


class ChannelError(Exception):
    """Base of everything that this library raises on purpose."""


class LocalProtocolError(ChannelError):
    """The host asked for something that the protocol does not allow now. Nothing has changed.

    Args:
        message: what was asked, in which state.
        legal: what would have been legal instead; listed in the text.
    """

    def __init__(self, message: str, *, legal: Iterable[str] = ()) -> None:
        self.legal: tuple[str, ...] = tuple(legal)
        super().__init__(f"{message} (legal: {', '.join(self.legal)})" if self.legal else message)


class TooLateError(LocalProtocolError):
    """A race, not a mistake: the turn, the audio stream or the channel was over already (D-38, D-44).

    Nothing has gone out. A dialogue that is told of an interruption and still sends gets this.
    """


class RemoteProtocolError(ChannelError):
    """The peer sent something that the protocol does not allow.

    Codecs raise it; machines never do: they tell it to the host inside a `FaultEvent`.

    Args:
        message: what is wrong.
        path: where, in the names of the wire, e.g. ``response.items[2].ttsConfig.gender``;
            empty when the whole message is meant.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        self.path = path
        self.problem = message
        super().__init__(f"{path}: {message}" if path else message)


class LimitExceeded(RemoteProtocolError):
    """The peer sent more than `Limits` allow (D-34, D-82)."""


class SignatureError(RemoteProtocolError):
    """It could not be verified who sent a request: nothing in it may be believed (external.md).

    The text says why, for logs; it is not to be told to the peer in more detail than the channel does.
    """

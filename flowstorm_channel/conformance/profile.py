"""What an implementation claims to do, and the words that make it do so.

A server's dialogue is its owner's. So that the kit can make it end a session, or talk for a while, it says
phrases; where the dialogue does not know them, what depends on them is not declared.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import attrs

from flowstorm_channel.conformance.drivers import ACTIONS
from flowstorm_channel.testing.signing import AlexaSigner, GoogleSigner

__all__ = ["CAPABILITIES", "KEYS", "PHRASES", "Profile", "tone"]

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "echo": "hello",
        "end": "stop",
        "sleep": "sleep",
        "long": "long",
        "nothing": "nothing",
        "fail": "fail",
        "later": "later",
        "image": "image",
        "video": "video",
        "command": "command",
        "czech": "czech",
        "card": "card",
        "suggestions": "suggestions",
        "much": "much",
        "slow": "slow",
        "count": "count",
    }
)
"""The words for each capability of a dialogue, unless others are given."""

KEYS: Mapping[str, str] = MappingProxyType(
    {"end": "0", "long": "1", "sleep": "2", "fail": "3", "much": "4", "nothing": "5"}
)
"""The key of the telephone for each of them, where the kit can say no words."""

CAPABILITIES: Mapping[str, str] = MappingProxyType(
    {
        "echo": "answers any words with something to play",
        "end": "ends the session",
        "sleep": "lets the session sleep, with a sleepTimeout above 0",
        "long": "answers with at least three parts, one after the other over half a second or more",
        "nothing": "answers with a Response that holds nothing to play",
        "fail": "fails",
        "later": "answers, and within three seconds says something more of its own accord",
        "image": "answers with an item that has an image",
        "video": "answers with an item that has a video",
        "command": "answers with a command, an item whose text is #name",
        "czech": "answers with a Response whose locale is cs or cs-CZ",
        "speech": "recognises the profile's speech; without one, a tone of a second and a second of silence",
        "interim": "gives interim results of speech before the final one",
        "audio": "speaks: items have audio, or binary frames come, when the client asks for them",
        "duplex": "listens while it speaks (sttMode Duplex)",
        "refuse": "refuses an Init with the profile's refused key",
        "msgpack": "speaks msgpack, too",
        "signatures": "checks who sends a request",
        "card": "answers with a card, the command #card",
        "suggestions": "answers with what the user may say next, the command #suggestions",
        "much": "answers with more than ten thousand characters at once",
        "slow": "answers only after twelve seconds",
        "silence": "says something when the user is silent",
        "count": "answers with the number of times that it has been asked so in this session",
        "google_v2": "takes requests of the Actions SDK, version 2",
        "google_v3": "takes requests of the Actions Builder, version 3",
    }
)
"""What a server can claim to do."""


def tone(*, seconds: float = 1.0, quiet: float = 1.0, rate: int = 16_000) -> bytes:
    """Something that sounds like speech to a simple recogniser: signed 16-bit little-endian samples.

    Args:
        seconds: of the tone.
        quiet: seconds of silence behind it.
        rate: samples in a second.
    """
    loud = [int(8000 * math.sin(2 * math.pi * 440 * each / rate)) for each in range(int(seconds * rate))]
    samples = [*loud, *([0] * int(quiet * rate))]
    return struct.pack(f"<{len(samples)}h", *samples)


def _set(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@attrs.frozen(kw_only=True)
class Profile:
    """Of one implementation.

    Args:
        declared: what it claims, of `CAPABILITIES`, or for clients of `ACTIONS`: when such a thing does not
            work, what depends on it is untestable.
        denied: those it does not have: nothing of them is tried. All others are tried, and when they do not
            work they count as not declared.
        phrases: the words for capabilities, where they are not those of `PHRASES`.
        key: of Init; a server must take it.
        refused_key: one that it must refuse; None: there is none.
        speech: what is recognised as something: signed 16-bit little-endian mono samples of 16 kHz.
        patience: how long an answer may take, in seconds.
        longest: checks that need more time than this are left out where time is real, in seconds.
        alexa_signer: makes what signs requests so that the server takes them for Alexa's; None: the kit
            cannot, and of a server that takes signed requests only, it can see what it refuses.
        google_signer: the same for Google Assistant.
        alexa_intent: the intent of an Alexa skill that takes whatever the user says.
        alexa_slot: the slot of that intent.
        twilio_token: the auth token that Twilio's signatures are made with; None: nothing is signed.
        twilio_url: the address of the stream as Twilio knows it: this is what is signed.
        keys: what a caller presses for capabilities, where it is not as in `KEYS`.
        idle_key: a key that means nothing to the dialogue; None: there is none.
        recordings: what a caller says for capabilities, where no key does it: samples as in `speech`.
    """

    declared: frozenset[str] = attrs.field(default=frozenset(), converter=_set)
    denied: frozenset[str] = attrs.field(default=frozenset(), converter=_set)
    phrases: Mapping[str, str] = attrs.field(factory=dict)
    key: str = "conformance"
    refused_key: str | None = None
    speech: bytes = attrs.field(factory=tone, repr=False)
    patience: float = 5.0
    longest: float = 20.0
    alexa_signer: Callable[[], AlexaSigner] | None = attrs.field(default=None, repr=False)
    google_signer: Callable[[], GoogleSigner] | None = attrs.field(default=None, repr=False)
    alexa_intent: str = "MessageIntent"
    alexa_slot: str = "text"
    twilio_token: str | None = attrs.field(default=None, repr=False)
    twilio_url: str = "wss://localhost/call"
    keys: Mapping[str, str] = attrs.field(factory=dict)
    idle_key: str | None = "#"
    recordings: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        named = {*self.declared, *self.denied, *self.phrases, *self.keys, *self.recordings}
        unknown = named - set(CAPABILITIES) - set(ACTIONS)
        if unknown:
            raise ValueError(f"there is no capability {', '.join(sorted(unknown))}")

    def phrase(self, capability: str) -> str:
        """The words that make a dialogue do that."""
        return self.phrases.get(capability) or PHRASES[capability]

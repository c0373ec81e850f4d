"""The targets, by name: plain functions of bytes that know of no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from tests.fuzz.targets import codecs, files, signatures, socket_v1, socket_v2, twilio, webhooks

__all__ = ["TARGETS", "Target"]


@attrs.frozen
class Target:
    """One door.

    Args:
        run: tries an input on it; raises when the library does what it must not.
        doors: the modules whose branches are to be reached, as paths in the package, folders with a slash.
        length: of the longest input, in bytes.
    """

    run: Callable[[bytes], None]
    doors: tuple[str, ...]
    length: int = 100


_SERVER = ("channel.py", "server.py")
_HTTP = (*_SERVER, "http.py", "sessions.py")
_WEBHOOK = ("http.py", "webhook.py", "answers.py", "ssml.py")
_SIGNATURES = ("alexa/signature.py", "google/signature.py", "twilio/signature.py", "twilio/webhook.py")
_CLIENT = ("channel.py", "client.py")

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "json": Target(codecs.json, ("codecs/",), 200),
        "msgpack": Target(codecs.msgpack, ("codecs/",), 200),
        "stream": Target(codecs.stream, ("codecs/",), 200),
        "plain-text": Target(codecs.plain_text, ("socket_v2/bodies.py",)),
        "heads": Target(
            codecs.heads, ("socket_v2/settings.py", "socket_v2/bodies.py", "wire.py", "locales.py"), 200
        ),
        "v1-server": Target(socket_v1.server, ("socket_v1/", *_SERVER)),
        "v1-client": Target(socket_v1.client, ("socket_v1/", *_CLIENT)),
        "v2-server": Target(socket_v2.server, ("socket_v2/", *_HTTP)),
        "v2-client": Target(socket_v2.client, ("socket_v2/", *_CLIENT)),
        "alexa": Target(webhooks.alexa, ("alexa/", *_WEBHOOK)),
        "google-v2": Target(webhooks.google_v2, ("google/", *_WEBHOOK)),
        "google-v3": Target(webhooks.google_v3, ("google/", *_WEBHOOK)),
        "twilio": Target(twilio.server, ("twilio/", *_SERVER)),
        "signatures": Target(signatures.signatures, _SIGNATURES, 200),
        "snapshots": Target(files.snapshots, ("sessions.py", "codecs/")),
        "recordings": Target(files.recordings, ("trace/",)),
        "ssml": Target(files.ssml, ("ssml.py",)),
    }
)

"""What is mutated, and which tests judge it: those of behaviour, without browsers, sockets and processes."""

from __future__ import annotations

from pathlib import Path

import attrs

__all__ = ["ROOT", "TARGETS", "Target"]

ROOT = Path(__file__).parents[2]
_V1 = ("test_socket_v1_client", "test_socket_v1_server", "test_conversations")
_V2 = ("test_socket_v2_bodies", "test_socket_v2_client", "test_socket_v2_server", "test_conversations_v2")
_CODECS = (
    "bad_input",
    "compile",
    "events",
    "fields",
    "kinds",
    "limits",
    "properties",
    "speed",
    "stream",
    "trees",
)


@attrs.frozen
class Target:
    """A package or a module, and the tests that judge its mutants."""

    source: str
    tests: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        path = ROOT / "flowstorm_channel" / self.source
        return [path] if path.is_file() else sorted(path.glob("*.py"))


TARGETS = {
    "states": Target("states.py", (*_V1, *_V2, "test_states", "test_walk", "test_diagrams", "test_docs")),
    "socket_v1": Target("socket_v1", (*_V1, "test_equivalence", "test_trace_replay")),
    "socket_v2": Target(
        "socket_v2",
        (*_V2, "test_equivalence", "test_sessions", "test_trace_replay", "test_diagrams", "test_docs"),
    ),
    "codecs": Target("codecs", tuple(f"test_codecs_{each}" for each in _CODECS)),
}

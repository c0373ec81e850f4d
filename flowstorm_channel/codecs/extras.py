"""What is installed of the extra `speed`. Each module is looked for at first use, not on import."""

from __future__ import annotations

from functools import cache
from types import ModuleType

__all__ = ["msgspec", "orjson", "pybase64"]


@cache
def msgspec() -> ModuleType | None:
    """The module, which decodes by type; None where it is not installed."""
    try:
        import msgspec
        import msgspec.json
        import msgspec.msgpack
    except ImportError:
        return None
    return msgspec


@cache
def orjson() -> ModuleType | None:
    """The module, which parses JSON; None where it is not installed."""
    try:
        import orjson
    except ImportError:
        return None
    return orjson


@cache
def pybase64() -> ModuleType | None:
    """The module; None where it is not installed."""
    try:
        import pybase64
    except ImportError:
        return None
    return pybase64

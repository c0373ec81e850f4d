"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Every run tries other examples, so that a few at a time will do: see `examples` in tests/depth.py.
# How long one takes says nothing where browsers and servers run beside it.
settings.register_profile("deep", settings.default, max_examples=100, deadline=None)
settings.register_profile("quick", settings.default, max_examples=25, deadline=None)
settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: browsers, processes and sockets make them wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files of few tests, which take longest: those of browsers, processes and sockets.

    A file is run by one worker (``--dist loadfile``), so that its tests share what takes long to start.
    """
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (tests[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Keep the compiled tests in pytest's cache where Python writes nothing beside the sources.

    To rewrite all assertions takes longer than the rest of collecting.
    """
    cache = getattr(session.config, "cache", None)  # -p no:cacheprovider
    if not sys.dont_write_bytecode or cache is None:
        return (yield)
    before = sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(cache.mkdir("compiled"))
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = True, before

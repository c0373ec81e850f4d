"""Programs that some tests need beside Python: skipped where one is missing, which CI does not accept."""

from __future__ import annotations

import os
import shutil

import pytest


def program(*names: str) -> str:
    """The path of a program; without it the test is skipped, and fails on CI.

    Args:
        names: of those that will do, the best first.
    """
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        if os.environ.get("CI"):
            raise AssertionError(f"{names[-1]} is not installed")
        pytest.skip(f"{names[-1]} is not installed")
    return found


def chromium() -> str:
    """The path of Chromium: the one without windows opens a page in a third of the time."""
    return program("chromium-headless-shell", "chromium")

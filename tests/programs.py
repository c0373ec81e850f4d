"""Programs that some tests need beside Python: skipped where one is missing, which CI does not accept."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, and fails on CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            raise AssertionError(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found

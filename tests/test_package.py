"""What is published says who it is, what it needs, and that it is typed."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
from pathlib import Path

import pytest

import flowstorm_channel

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def distribution() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("flowstorm-channel")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")


def test_the_version_is_that_of_the_package(distribution: importlib.metadata.Distribution) -> None:
    assert distribution.version == flowstorm_channel.__version__


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert first is not None
    assert first[1] == flowstorm_channel.__version__


def test_the_package_is_marked_as_typed() -> None:
    assert importlib.resources.files(flowstorm_channel).joinpath("py.typed").is_file()


def test_the_core_needs_three_packages(distribution: importlib.metadata.Distribution) -> None:
    needed = [each for each in distribution.requires or [] if "extra ==" not in each]
    names = {re.split(r"[^\w-]", each)[0] for each in needed}
    assert names == {"attrs", "cattrs", "msgpack", "typing-extensions"}
    (backport,) = (each for each in needed if each.startswith("typing-extensions"))
    assert "python_version < '3.11'" in backport.replace('"', "'")


def test_the_metadata_names_license_and_pythons(distribution: importlib.metadata.Distribution) -> None:
    meta = distribution.metadata
    assert meta["License-Expression"] == "MIT"
    assert meta["Requires-Python"] == ">=3.10"
    classifiers = meta.get_all("Classifier") or []
    for minor in range(10, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in classifiers
    assert "Typing :: Typed" in classifiers


def test_the_command_is_installed(distribution: importlib.metadata.Distribution) -> None:
    (command,) = distribution.entry_points.select(group="console_scripts")
    assert command.name == "flowstorm-channel"
    assert callable(command.load())


def test_every_public_name_exists() -> None:
    assert [name for name in flowstorm_channel.__all__ if not hasattr(flowstorm_channel, name)] == []

"""The command of mutation testing; what mutmut does for it is not installed for the tests."""

from __future__ import annotations

import importlib.util

import pytest

from tests.mutation.__main__ import main
from tests.mutation.targets import ROOT, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_sources_and_tests(name: str) -> None:
    target = TARGETS[name]
    assert target.files
    assert all((ROOT / "tests" / f"{each}.py").is_file() for each in target.tests)


def test_without_mutmut_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["socket_v1"]) == 2
    assert "pip install mutmut" in capsys.readouterr().err

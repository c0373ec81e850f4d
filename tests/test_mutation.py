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


@pytest.mark.parametrize("name", TARGETS)
def test_each_mutant_that_is_the_same_has_a_reason_and_its_line(name: str) -> None:
    for paragraph in (ROOT / f"tests/mutation/same/{name}.txt").read_text("utf-8").strip().split("\n\n"):
        lines = paragraph.splitlines()
        assert lines[0].startswith("# ")
        for mutant in (line for line in lines if not line.startswith("#")):
            place, line, change = mutant.split(" | ", 2)
            source = (ROOT / "flowstorm_channel" / place).read_text("utf-8")
            assert line in map(str.strip, source.splitlines()), mutant
            assert change == "*" or " -> " in change, mutant

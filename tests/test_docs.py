"""The documentation says what the code does: pages made from it are up to date, and examples run."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import flowstorm_channel
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.events import EVENTS, SPELLINGS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
"""The programs of the README are run by test_readme."""
PRIVATE = {"cli", "__main__", "zone_names"}
"""Modules that are no part of the Python API."""

BLOCK = re.compile(r"^(?P<fence>`{3,})python\n(?P<code>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------ pages made from the code


def test_the_reference_is_up_to_date(generate: ModuleType) -> None:
    assert generate.main(["--check"]) == 0, "run `python docs/generate.py`"


def test_a_page_out_of_date_is_found_and_written(
    generate: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    (tmp_path / "events.md").write_text("old\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1
    assert "events.md is out of date" in capsys.readouterr().out
    assert (tmp_path / "events.md").read_text(encoding="utf-8") == "old\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_every_event_has_an_example_that_decodes_to_itself(generate: ModuleType) -> None:
    assert generate.EXAMPLES.keys() == EVENTS.keys()
    for event in generate.EXAMPLES.values():
        assert JsonCodec().decode(JsonCodec().encode(event)) == event
        assert MsgpackCodec().decode(MsgpackCodec().encode(event)) == event


def test_every_event_and_spelling_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    assert [name for name in SPELLINGS if f"`{name}`" not in page] == []


def test_every_public_module_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"automodule:: (\S+)", page))
    found = {f"flowstorm_channel.{each.name}" for each in pkgutil.iter_modules(flowstorm_channel.__path__)}
    contrib = ROOT / "flowstorm_channel/contrib"
    found |= {f"flowstorm_channel.contrib.{each.name}" for each in pkgutil.iter_modules([str(contrib)])}
    private = {f"flowstorm_channel.{name}" for name in PRIVATE}
    public = {name for name in found - private if not name.rpartition(".")[2].startswith("_")}
    assert named - {"flowstorm_channel"} >= public


# ------------------------------------------------------------ examples


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The blocks of one page, in order and in one namespace, as a reader would type them."""
    text = page.read_text(encoding="utf-8")
    assert "<!-- skip" not in text, "examples are run, not skipped"
    monkeypatch.chdir(tmp_path)
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    for block in BLOCK.finditer(text):
        above = text.count("\n", 0, block.start("code"))
        exec(compile("\n" * above + block["code"], page, "exec"), module.__dict__)


def test_no_example_escapes_the_collector() -> None:
    """A block that is opened in some other way would never run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        opened = len(re.findall(r"^\s*[`~]{3,}\s*\{?py", text, re.MULTILINE))
        assert opened == len(BLOCK.findall(text)), page

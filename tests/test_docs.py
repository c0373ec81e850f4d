"""The documentation says what the code does: what is made from it is up to date, and links lead somewhere.

Its examples are run by test_docs_examples.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import flowstorm_channel
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.conformance import SUITES, proof
from flowstorm_channel.events import EVENTS, SPELLINGS
from tests.examples_of_docs import BLOCK, PAGES, ROOT

PRIVATE = {"cli", "__main__", "zone_names"}
"""Modules that are no part of the Python API."""

EVENT_PAGES = ROOT / "docs/reference/events"


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """The package that makes parts of the documentation."""
    return made_by("generating")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The command that writes them."""
    return made_by("generate")


def made_by(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        for each in ("", ".events", ".examples", ".legality", ".llms", ".mistakes", ".requirements"):
            importlib.import_module(f"generating{each}")
        return importlib.import_module(name)


# ------------------------------------------------------------ what is made from the code


def test_the_reference_is_up_to_date(generate: ModuleType) -> None:
    assert generate.main(["--check"]) == 0, "run `python docs/generate.py`"


def test_what_is_out_of_date_is_found_and_written(
    generate: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = {"reference/one.md": f"{generate.NOTICE}\none\n", "two.json": "{}\n"}
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "files", lambda: texts)
    (tmp_path / "reference").mkdir()
    page = tmp_path / "reference/one.md"
    page.write_text("old\n", encoding="utf-8")
    left_over = tmp_path / "reference/gone.md"
    left_over.write_text(f"{generate.NOTICE}\ngone\n", encoding="utf-8")
    schema = tmp_path / "schemas/gone.json"
    schema.parent.mkdir()
    schema.write_text("{}\n", encoding="utf-8")

    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "reference/one.md is out of date" in said
    assert "two.json is out of date" in said
    assert "reference/gone.md is not made any more" in said
    assert "schemas/gone.json is not made any more" in said
    assert page.read_text(encoding="utf-8") == "old\n"
    assert left_over.exists()

    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert page.read_text(encoding="utf-8") == texts["reference/one.md"]
    assert not left_over.exists()
    assert not schema.exists()


def test_every_event_has_an_example_that_decodes_to_itself(docs: ModuleType) -> None:
    assert docs.examples.EXAMPLES.keys() == EVENTS.keys()
    for event in (*docs.examples.EXAMPLES.values(), docs.events.UNKNOWN):
        assert JsonCodec().decode(JsonCodec().encode(event)) == event
        assert MsgpackCodec().decode(MsgpackCodec().encode(event)) == event


def test_every_event_has_a_page() -> None:
    assert {page.stem for page in EVENT_PAGES.iterdir()} == {*EVENTS, "Unknown"}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_spelling_of_an_event_is_on_its_page(name: str) -> None:
    page = (EVENT_PAGES / f"{name}.md").read_text(encoding="utf-8")
    spellings = [spelling for spelling, cls in SPELLINGS.items() if name == cls.TYPE]
    assert [each for each in spellings if f"`{each}`" not in page] == []


def test_every_event_has_common_mistakes_and_no_other_name_has(docs: ModuleType) -> None:
    assert docs.mistakes.MISTAKES.keys() == {*EVENTS, "Unknown"}
    assert all(docs.mistakes.MISTAKES.values())


def test_the_faults_that_are_listed_by_hand_are_those_of_the_kit(docs: ModuleType) -> None:
    assert proof  # its import registers them
    assert docs.mistakes.FAULTS.keys() <= {*EVENTS, "Unknown"}
    listed = [
        (suite, fault)
        for chosen in docs.mistakes.FAULTS.values()
        for suite, faults in chosen.items()
        for fault in faults
    ]
    assert [each for each in listed if each[1] not in SUITES[each[0]].broken] == []


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_is_named_by_a_requirement(docs: ModuleType, name: str) -> None:
    assert list(docs.requirements.requirements(name, EVENTS[name]))


def test_an_event_is_found_in_a_text_only_as_a_word(docs: ModuleType) -> None:
    names, source = docs.requirements.names, docs.requirements.names_source
    assert names("Input", "An Input is answered.")
    assert not names("Input", "InputAudioStreamOpen is acknowledged.")
    assert not names("Response", "Its responses have an end.")
    assert names("Unknown", "Events of unknown types are passed over.")
    assert not names("Unknown", "Unknown members are passed over.")
    assert source("Ready", "D-55; events.md, Ready")
    assert not source("Ready", "socket-v1.md, Ready; events.md, Init")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("Init", "| server receives | Init | stays Open, Sleeping, Listening, Processing,"),
        ("Ready", "| server sends | Ready | Open → Sleeping; stays Sleeping, Listening, Processing"),
        (
            "Input",
            "| client sends | Input | Sleeping, Listening, Responding, Paused → Processing; stays",
        ),
        ("Recognized", "| client receives | Recognized, a final result |"),
        (
            "InputAudioStreamOpen",
            "| client sends | InputAudioStreamOpen | stays Listening | closed →",
        ),
        ("SessionStarted", "| client receives | SessionStarted |"),
        ("RecognizedInput", "| server (GET) sends | RecognizedInput, an interim result | stays Listening |"),
    ],
    ids=lambda value: value if value.isalnum() else "row",
)
def test_a_page_says_where_its_event_is_legal_and_where_it_leads(name: str, row: str) -> None:
    assert row in (EVENT_PAGES / f"{name}.md").read_text(encoding="utf-8")


def test_every_public_module_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"automodule:: (\S+)", page))
    found = {f"flowstorm_channel.{each.name}" for each in pkgutil.iter_modules(flowstorm_channel.__path__)}
    contrib = ROOT / "flowstorm_channel/contrib"
    found |= {f"flowstorm_channel.contrib.{each.name}" for each in pkgutil.iter_modules([str(contrib)])}
    private = {f"flowstorm_channel.{name}" for name in PRIVATE}
    public = {name for name in found - private if not name.rpartition(".")[2].startswith("_")}
    assert named - {"flowstorm_channel"} >= public


# ------------------------------------------------------------ what there is to read


def test_every_page_is_in_a_table_of_contents(docs: ModuleType) -> None:
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}
    assert {f"{name}.md" for name in docs.llms.Pages().names()} == pages


def test_llms_txt_names_every_page_and_says_what_it_is(docs: ModuleType) -> None:
    text = (ROOT / "docs/llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# flowstorm-channel\n\n> ")
    listed = re.findall(r"^- \[[^]]+\]\((\S+)\): \S.*$", text, re.MULTILINE)
    assert listed == [f"{name}.md" for name in docs.llms.Pages().names() if name != "index"]


def test_all_pages_in_one_file_hold_what_they_include(docs: ModuleType) -> None:
    text = docs.llms.Pages().everything()
    assert "# Changelog" in text
    assert "{include}" not in text
    assert "{literalinclude}" not in text


def test_a_page_that_does_not_say_what_it_is_is_refused(docs: ModuleType) -> None:
    assert docs.llms.opening("# Title\n\nIt [is](a.md) this. And that.\n") == ("Title", "It is this")
    with pytest.raises(ValueError, match="without a title"):
        docs.llms.opening("text\n")
    with pytest.raises(ValueError, match="does not say what it is"):
        docs.llms.opening("# Title\n\n```python\n1\n```\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    dead = []
    for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """What can be linked to on a page: its headings, as GitHub and MyST spell them, and its targets."""
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return targets | {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}

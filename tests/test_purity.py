"""The core does no I/O and does not wait, and its modules import one way."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import flowstorm_channel

PACKAGE = Path(flowstorm_channel.__file__).parent

LAYERS = (
    {"errors", "limits", "zone_names"},
    {"locales"},
    {"schema"},
    {"values"},
    {"events"},
    {"codecs"},
    {"wire", "states"},
    {"channel", "sessions"},
    {"server", "client", "ssml"},
    {"http", "answers"},
    {"webhook"},
    {"socket_v1", "socket_v2", "alexa", "google", "twilio"},
    {"diagrams"},
    {"__init__"},
    {"testing", "trace", "schemas"},
    {"conformance"},
    {"contrib"},
    {"cli"},
    {"__main__"},
)
"""A module imports from earlier layers, and within its own package."""

OUTSIDE = {"contrib", "cli", "__main__"}
"""What is allowed to do I/O."""

FORBIDDEN = {
    *("asyncio", "concurrent", "http", "multiprocessing", "select", "selectors", "signal", "socket"),
    *("socketserver", "ssl", "subprocess", "threading", "urllib.request"),
    *("hypothesis", "pytest", "flowstorm_channel.contrib", "flowstorm_channel.cli"),
}
THIRD_PARTY = {"attrs", "cattrs", "msgpack", "typing_extensions"}
OPTIONAL = {
    "flowstorm_channel.alexa.signature": {"cryptography"},
    "flowstorm_channel.codecs.extras": {"msgspec", "orjson", "pybase64"},
    "flowstorm_channel.conformance.machines": {"hypothesis"},
    "flowstorm_channel.conformance.requirements": {"yaml"},
    "flowstorm_channel.conformance.testcases": {"pytest"},
    "flowstorm_channel.google.signature": {"cryptography"},
    "flowstorm_channel.twilio.audio": {"audioop"},
    "flowstorm_channel.testing.signing": {"cryptography"},
    "flowstorm_channel.testing.strategies": {"hypothesis"},
}
"""What only a few modules use, and each extra brings."""
NEEDS_A_TEST_RUNNER = {
    "flowstorm_channel.conformance.machines",
    "flowstorm_channel.conformance.testcases",
    "flowstorm_channel.testing.strategies",
}
CALLS = {"__import__", "breakpoint", "input", "open", "print"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str:
    """The part of the package that a module belongs to: a file or a folder."""
    return module.partition(".")[2].partition(".")[0] or "__init__"


def modules_of(here: str) -> list[str]:
    return [module for module in SOURCES if room(module) == here]


ROOMS = sorted({room(module) for module in SOURCES})
CORE_ROOMS = [each for each in ROOMS if each not in OUTSIDE]
CORE = [module for module in SOURCES if room(module) not in OUTSIDE]


@cache
def nodes(module: str) -> list[ast.AST]:
    """All that matters here in the source of a module: imports and calls."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call))]


def imported(module: str) -> Iterator[str]:
    """The modules that a module names, those for type checkers included."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                yield whole if whole in SOURCES else node.module


def own(module: str) -> set[str]:
    return {each for each in imported(module) if each in SOURCES}


def begins_with(module: str, names: set[str]) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:end]) in names for end in range(1, len(parts) + 1))


def test_every_module_has_a_layer() -> None:
    assert {room(module) for module in SOURCES} <= set().union(*LAYERS)


@pytest.mark.parametrize("here", ROOMS)
def test_imports_run_one_way(here: str) -> None:
    layer = {name: rank for rank, names in enumerate(LAYERS) for name in names}
    for module in modules_of(here):
        wrong = [each for each in own(module) if room(each) != here and layer[room(each)] >= layer[here]]
        assert not wrong, module


def test_no_imports_go_in_circles() -> None:
    # A package hands on what its modules define, so that its __init__ stands behind them.
    list(TopologicalSorter({module: own(module) for module in SOURCES}).static_order())


@pytest.mark.parametrize("here", CORE_ROOMS)
def test_the_core_names_no_module_that_does_io(here: str) -> None:
    for module in modules_of(here):
        forbidden = FORBIDDEN - OPTIONAL.get(module, set())
        assert [each for each in imported(module) if begins_with(each, forbidden)] == [], module


@pytest.mark.parametrize("here", CORE_ROOMS)
def test_the_core_depends_on_three_packages(here: str) -> None:
    for module in modules_of(here):
        tops = {each.partition(".")[0] for each in imported(module)}
        allowed = THIRD_PARTY | sys.stdlib_module_names | {"flowstorm_channel"}
        assert tops - allowed == OPTIONAL.get(module, set()) - sys.stdlib_module_names, module


@pytest.mark.parametrize("here", CORE_ROOMS)
def test_the_core_opens_prints_and_sleeps_nowhere(here: str) -> None:
    for module in modules_of(here):
        called = [node.func for node in nodes(module) if isinstance(node, ast.Call)]
        names = [node.id for node in called if isinstance(node, ast.Name)]
        attributes = [node.attr for node in called if isinstance(node, ast.Attribute)]
        assert CALLS.isdisjoint(names), module
        assert "sleep" not in attributes, module


PROBE = """
import json, sys
path, before, after = json.loads(sys.argv[1])
sys.path[:] = path
for name in before: __import__(name)
known = set(sys.modules)
for name in after: __import__(name)
print(json.dumps(sorted(set(sys.modules) - known)))
"""


def loaded_by(modules: list[str], *, beyond: set[str]) -> list[str]:
    """What a fresh interpreter has loaded after importing those modules, beyond what others load."""
    path = [str(PACKAGE.parent), *(each for each in sys.path if each)]
    given = json.dumps([path, sorted(beyond), modules])
    # Without `site`, so that nothing of the environment is loaded before.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, given],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_importing_the_core_loads_nothing_that_does_io() -> None:
    modules = [module for module in CORE if module not in NEEDS_A_TEST_RUNNER]
    needed = THIRD_PARTY - ({"typing_extensions"} if sys.version_info >= (3, 11) else set())
    loaded = loaded_by(modules, beyond=needed)
    assert "flowstorm_channel.socket_v1.server" in loaded
    assert [each for each in loaded if begins_with(each, FORBIDDEN)] == []


def test_the_probe_would_see_io() -> None:
    assert "socket" in loaded_by(["asyncio"], beyond={"json"})

"""Runs tests against a mutant in a forked process until one fails: what found others, then the quickest.

A process has imported what the library and its tests use, but nothing of theirs; every trial forks it,
imports the library with the change, and runs pytest.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import attrs
import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutation.mutants import Mutant
from tests.mutation.targets import ROOT, Target

__all__ = ["Baseline", "Verdict", "judged", "measured"]

_MEMORY = 3 << 30
_SECONDS_MORE = 5
"""What a test may take beyond five times what it takes without a change."""
_IMPORT_SECONDS = 30


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    REFUSED = "refused by mypy"
    SURVIVED = "survived"
    SAME = "the same to everybody"


@attrs.frozen
class Baseline:
    """What the tests do without a change."""

    seconds: dict[str, float]
    """How long each test takes, the quickest first."""
    lines: dict[str, dict[int, set[str]]]
    """The tests that run a line of a file; the empty name is for importing."""
    modules: list[str]
    """What else was imported."""


class _Mutated(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)


@attrs.frozen
class _Finder:
    """Brings the changed source in place of the file's."""

    mutant: Mutant

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        path = self.mutant.path
        if name != ".".join(path.relative_to(ROOT).with_suffix("").parts):
            return None
        return spec_from_file_location(name, path, loader=_Mutated(name, str(path), self.mutant.source))


# ------------------------------------------------------------ what is run inside of pytest


class _Same:
    """Lets hypothesis try the same examples in every run, and not look for the smallest that fails."""

    def pytest_configure(self) -> None:
        settings.register_profile(
            "mutation",
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(
                HealthCheck
            ),  # of how long the first examples take no mutant is guilty
        )
        settings.load_profile("mutation")


@attrs.define(eq=False)
class _Fresh(_Same):
    """Lets each test begin with the caches as they are once all are collected.

    Else only the first would run what many rely on, and what a test finds would depend on those before it.
    """

    caches: list[Callable[[], object]] = attrs.field(factory=list)

    def pytest_collection_finish(self) -> None:
        self.caches = list(_caches())

    def empty(self) -> None:
        for empty in self.caches:
            empty()


@attrs.define(eq=False)
class _Measuring(_Fresh):
    """Notes which test runs which line, and for how long."""

    coverage: coverage.Coverage = attrs.field(kw_only=True)
    seconds: dict[str, float] = attrs.field(factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.empty()
        self.coverage.switch_context(item.nodeid)
        begin = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - begin


def _caches() -> Iterator[Callable[[], object]]:
    """What makes the caches of the library and of its tests as they are now: of functions, and dicts."""
    for each in gc.get_objects():
        if isinstance(each, _Cached) and not _is_foreign(each.__module__):
            yield each.cache_clear
    for name, module in list(sys.modules.items()):
        if not _is_foreign(name):
            yield from (_restoring(each) for each in list(vars(module).values()) if type(each) is dict)


def _restoring(cache: dict[Any, Any]) -> Callable[[], object]:
    kept = dict(cache)

    def restore() -> None:
        if len(cache) != len(kept):
            cache.clear()
            cache.update(kept)

    return restore


_Cached = type(cache(len))


@attrs.define(eq=False)
class _Judging(_Fresh):
    """Runs chosen tests in their order, and ends the process as soon as one fails."""

    order: dict[str, float] = attrs.field(kw_only=True)
    writing: int = attrs.field(kw_only=True)
    """Where it writes which one has failed."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[name] for name in self.order if name in found]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.empty()
        signal.setitimer(signal.ITIMER_PROF, 5 * self.order[item.nodeid] + _SECONDS_MORE)
        return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os._exit(1)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Comes before the traceback is made, which takes longer than most tests."""
        if call.excinfo is not None and not call.excinfo.errisinstance(
            (pytest.skip.Exception, KeyboardInterrupt)
        ):
            os.write(self.writing, item.nodeid.encode())
            os._exit(1)


@attrs.define(eq=False)
class _Serving(_Same):
    """Forks the process in which all tests are collected for each mutant of a function."""

    work: Callable[[pytest.Session], None]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.work(session)
        os._exit(0)


def _pytest(files: Sequence[str], plugin: _Same) -> int:
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "-m", "not long"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning", "--assert=plain"]
    options += ["-p", "no:schemathesis", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    return int(pytest.main([*options, *files], plugins=[plugin]))


def _files(target: Target) -> list[str]:
    return [str(ROOT / "tests" / f"{name}.py") for name in target.tests]


# ------------------------------------------------------------ what is run in a process of its own


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        yield


def _forked(work: Callable[[int], int]) -> tuple[int, int]:
    """The process that does some work, and where what it writes can be read."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    code = 70
    try:
        os.chdir(tempfile.gettempdir())
        with _quiet():
            code = work(writing)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def measured(target: Target) -> Baseline:
    """The tests of a target without a change; what they import is imported here, too.

    Raises:
        RuntimeError: a test fails.
    """
    sys.dont_write_bytecode, sys.pycache_prefix = False, tempfile.mkdtemp(prefix="mutation-")
    process, reading = _forked(lambda writing: _measure(target, writing))
    with os.fdopen(reading, "rb") as found:
        written = found.read()
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
        raise RuntimeError(f"the tests of {target.source} fail without a change")
    baseline: Baseline = pickle.loads(written)
    for name in baseline.modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.freeze()
    return baseline


def _measure(target: Target, writing: int) -> int:
    sources = [str(path) for path in target.files]
    measuring = coverage.Coverage(data_file=None, config_file=False, include=sources)
    plugin = _Measuring(coverage=measuring)
    measuring.start()
    code = _pytest(_files(target), plugin)
    measuring.stop()
    data = measuring.get_data()
    lines = {
        path: {line: set(tests) for line, tests in data.contexts_by_lineno(path).items()} for path in sources
    }
    seconds = dict(sorted(plugin.seconds.items(), key=lambda each: each[1]))
    with os.fdopen(writing, "wb") as out:
        pickle.dump(Baseline(seconds, lines, [name for name in sys.modules if _is_foreign(name)]), out)
    return code


def _is_foreign(name: str) -> bool:
    first = name.partition(".")[0]
    return first not in ("flowstorm_channel", "tests", "conftest", "__main__") and not first.startswith(
        "test_"
    )


def _limit(order: dict[str, float]) -> None:
    """Whoever runs for too long is ended by a signal, and is so even if it catches everything."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, _IMPORT_SECONDS)
    signal.alarm(int(sum(order.values()) * 5) + 4 * _IMPORT_SECONDS)


def _tried_anew(mutant: Mutant, order: dict[str, float], writing: int) -> int:
    """Import the library with the change and run the tests."""
    _limit(order)
    finder: Any = _Finder(mutant)
    sys.meta_path.insert(0, finder)
    files = sorted({str(ROOT / name.partition("::")[0]) for name in order})
    return _pytest(files, _Judging(order=order, writing=writing))


# ------------------------------------------------------------ a function in a library that is imported

Key = tuple[str, str, int]


def _key(code: CodeType) -> Key:
    return code.co_filename, code.co_name, code.co_firstlineno


def _functions(files: Sequence[Path]) -> dict[Key, list[FunctionType]]:
    names = {str(path) for path in files}
    found: dict[Key, list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in names:
            found.setdefault(_key(each.__code__), []).append(each)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _tried_in_place(
    mutant: Mutant, functions: dict[Key, list[FunctionType]], session: pytest.Session, judging: _Judging
) -> int:
    """Change the code of one function and run the tests that were collected."""
    _limit(judging.order)
    first, last = mutant.body.start, mutant.body.stop
    for code in _codes(compile(mutant.source, mutant.path, "exec", dont_inherit=True)):
        if code.co_firstlineno < last and any(first <= line for *_, line in code.co_lines() if line):
            for function in functions.get(_key(code), ()):
                function.__code__ = code
    items = list(session.items)
    judging.pytest_collection_modifyitems(items)
    session.config.pluginmanager.register(judging)
    for item, following in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return 0


# ------------------------------------------------------------ many mutants

Trial = Callable[[int], int]


def judged(
    mutants: Sequence[Mutant], target: Target, baseline: Baseline, processes: int
) -> Iterator[tuple[Mutant, Verdict]]:
    """Each mutant with what became of it, in the order in which they end."""
    orders = [_order(mutant, baseline) for mutant in mutants]
    within = [place for place, order in enumerate(orders) if order and order is not baseline.seconds]
    anew = [place for place, order in enumerate(orders) if order is baseline.seconds]
    for place, order in enumerate(orders):
        if not order:
            yield mutants[place], Verdict.SURVIVED
    for place, verdict in _collected(mutants, orders, within, target, processes):
        yield mutants[place], verdict

    finders = _Finders()

    def trial(place: int) -> Trial:
        order = finders.sooner(orders[place])
        return lambda writing: _tried_anew(mutants[place], order, writing)

    for place, verdict in _all(((place, trial(place)) for place in anew), processes, finders):
        yield mutants[place], verdict


def _collected(
    mutants: Sequence[Mutant],
    orders: Sequence[dict[str, float]],
    places: Sequence[int],
    target: Target,
    processes: int,
) -> Iterator[tuple[int, Verdict]]:
    """Those that change a function which only tests call: tried in forks of a process with all collected."""
    if not places:
        return

    def work(session: pytest.Session, writing: int) -> None:
        functions, finders, caches = _functions(target.files), _Finders(), list(_caches())
        gc.freeze()

        def trial(place: int) -> Trial:
            mutant, order = mutants[place], finders.sooner(orders[place])
            return lambda writing: _tried_in_place(
                mutant, functions, session, _Judging(caches, order=order, writing=writing)
            )

        with os.fdopen(writing, "wb") as out:
            for found in _all(((place, trial(place)) for place in places), processes, finders):
                pickle.dump(found, out)
                out.flush()

    process, reading = _forked(
        lambda writing: _pytest(_files(target), _Serving(lambda session: work(session, writing)))
    )
    with os.fdopen(reading, "rb") as results:
        for _ in places:
            yield pickle.load(results)
    os.waitpid(process, 0)


class _Finders:
    """The tests that found mutants, the latest first: what found one may well find its neighbour."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def note(self, name: str) -> None:
        if name in self._names:
            self._names.remove(name)
        self._names.insert(0, name)

    def sooner(self, order: dict[str, float]) -> dict[str, float]:
        """The same tests with the latest finders in front."""
        return {name: order[name] for name in self._names[:40] if name in order} | order


def _all(
    trials: Iterable[tuple[int, Trial]], processes: int, finders: _Finders
) -> Iterator[tuple[int, Verdict]]:
    """Run trials, some at a time, each in a process."""
    running: dict[int, tuple[int, int]] = {}
    waiting = iter(trials)
    while True:
        while len(running) < processes and (following := next(waiting, None)) is not None:
            process, reading = _forked(following[1])
            running[process] = following[0], reading
        if not running:
            return
        process, status = os.wait()
        place, reading = running.pop(process)
        os.set_blocking(reading, False)
        with os.fdopen(reading, "rb") as told:
            if name := told.read():
                finders.note(name.decode())
        yield place, _verdict(status)


def _verdict(status: int) -> Verdict:
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGPROF, -signal.SIGALRM):
        return Verdict.TIMED_OUT
    return (
        Verdict.SURVIVED
        if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        else Verdict.KILLED
    )


def _order(mutant: Mutant, baseline: Baseline) -> dict[str, float]:
    """The tests that run what is changed; all of them, where it runs at import."""
    if not mutant.body:
        return baseline.seconds
    lines = baseline.lines[str(mutant.path)]

    def running(places: range) -> set[str]:
        return set().union(*(lines.get(line, ()) for line in places))

    found = running(_statement(mutant.path, mutant.line)) or running(mutant.body)
    if "" in found:
        return baseline.seconds
    return {name: each for name, each in baseline.seconds.items() if name in found}


@cache
def _statements(path: Path) -> list[ast.stmt]:
    return [each for each in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(each, ast.stmt)]


def _statement(path: Path, line: int) -> range:
    """The lines of the innermost statement around a line; of one with others inside only those up to it."""
    around = [each for each in _statements(path) if each.lineno <= line <= (each.end_lineno or line)]
    inner = max(around, key=lambda each: (each.lineno, each.col_offset))
    compound = any(isinstance(each, (ast.stmt, ast.match_case)) for each in ast.iter_child_nodes(inner))
    return range(inner.lineno, 1 + (line if compound else inner.end_lineno or line))

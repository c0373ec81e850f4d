"""Runs a suite on an implementation, and says what is known of each requirement."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import attrs

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.lint import Finding
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.requirements import Requirement
from flowstorm_channel.conformance.suite import Check, Suite
from flowstorm_channel.conformance.tokens import Token
from flowstorm_channel.conformance.verdicts import WORST, NotDeclared, Outcome, Untestable, Verdict, Violation
from flowstorm_channel.trace import Record

__all__ = ["Case", "Result", "found_by", "run", "run_check"]


@attrs.frozen(kw_only=True)
class Case:
    """What came of one check, or of one rule of the linter.

    Args:
        check: its name.
        verdict: what it comes to for the requirement that it was run for.
        text: why, for people; empty when it passed.
        log: what went over the wires.
        index: of the record in the log where it went wrong; None: at its end.
        token: does it again; None when nothing was done.
    """

    check: str
    verdict: Verdict
    text: str = ""
    log: tuple[Record, ...] = attrs.field(default=(), repr=False)
    index: int | None = None
    token: Token | None = None


@attrs.frozen(kw_only=True)
class Result:
    """What is known of one requirement.

    Args:
        requirement: the row of the registry.
        cases: of its checks.
    """

    requirement: Requirement
    cases: tuple[Case, ...]

    @property
    def verdict(self) -> Verdict:
        """That of the worst case; what cannot be observed is `Verdict.INFO`."""
        return min((case.verdict for case in self.cases), key=WORST.__getitem__, default=Verdict.INFO)

    @property
    def text(self) -> str:
        """Why, for people."""
        worst = self.verdict
        return next((case.text for case in self.cases if case.verdict is worst), self.requirement.reason)


class MapFunction(Protocol):
    """Such as `map`, or that of an executor."""

    def __call__(
        self, function: Callable[[Check[Any]], _Run], checks: Iterable[Check[Any]], /
    ) -> Iterable[_Run]: ...


@attrs.frozen(kw_only=True)
class _Run:
    """A check that was run: how it ended, and its log."""

    token: Token | None
    check: Check[Any]
    outcome: Outcome | None
    exact: bool
    log: tuple[Record, ...]


_Sight = tuple[Finding, _Run] | None
"""Where a rule was broken for the first time; None: nowhere."""


def run(
    suite: Suite[Any],
    make_driver: Callable[[], Driver],
    profile: Profile,
    *,
    only: Collection[str] = (),
    map_function: MapFunction = map,
) -> list[Result]:
    """Run a suite.

    Args:
        suite: which one.
        make_driver: makes a driver for each check.
        profile: of the implementation.
        only: ids of requirements; all when empty. Each may end with a ``*``.
        map_function: runs the checks; that of an executor runs several at a time.

    Returns:
        A result for each requirement, in the order of the registry.
    """
    chosen = [each for each in suite.requirements.values() if not only or _named(each.id, only)]
    names = {name for each in chosen for name in each.checks}
    passive = not names <= set(suite.checks)
    checks = [check for check in suite.checks.values() if passive or check.name in names]
    runs = list(map_function(lambda check: _run(suite, check, make_driver, profile), checks))
    by_name = {each.check.name: each for each in runs}
    linted = _lint(suite, runs)
    results = []
    for requirement in chosen:
        cases = []
        for name in requirement.checks:
            if name in by_name:
                cases.append(_case(by_name[name], requirement))
            else:
                cases.append(_passive(name, linted, requirement))
        results.append(Result(requirement=requirement, cases=tuple(cases)))
    return results


def run_check(
    suite: Suite[Any], name: str, make_driver: Callable[[], Driver], profile: Profile
) -> tuple[str, tuple[Record, ...], int | None]:
    """Run one check, and look at what went over the wires.

    Returns:
        What is wrong, empty when nothing is; the log; the index of the record where it went wrong, None for
        its end.
    """
    done = _run(suite, suite.checks[name], make_driver, profile)
    if done.outcome is not None:
        return str(done.outcome), done.log, None
    for finding in _read(suite, done)[1]:
        return finding.text, done.log, finding.index
    return "", done.log, None


def found_by(suite: Suite[Any], name: str, make_driver: Callable[[], Driver], profile: Profile) -> set[str]:
    """Run one check: the names of what is broken then, of itself and of the rules of the linter."""
    done = _run(suite, suite.checks[name], make_driver, profile)
    found = {finding.rule for finding in _read(suite, done)[1]}
    return found | {name} if isinstance(done.outcome, Violation) else found


def _named(identity: str, only: Collection[str]) -> bool:
    return any(re.fullmatch(re.escape(each).replace(r"\*", ".*"), identity) for each in only)


def _run(suite: Suite[Any], check: Check[Any], make_driver: Callable[[], Driver], profile: Profile) -> _Run:
    missing = profile.denied.intersection(check.needs)
    if missing:
        return _left_out(check, NotDeclared(f"the implementation has no {', '.join(sorted(missing))}"))
    token = Token(suite=suite.name, check=check.name)
    try:
        driver = make_driver()
    except Outcome as ended:
        return _Run(token=token, check=check, outcome=ended, exact=True, log=())
    outcome: Outcome | None = None
    log: tuple[Record, ...] = ()
    try:
        if check.seconds > profile.longest and not driver.exact:
            return _left_out(check, TooLong(f"left out: it takes {check.seconds:g} s"))
        stage = suite.stage(driver, profile)
        try:
            check.run(stage)
        except Outcome as ended:
            outcome = ended
        log = tuple(stage.log)
    finally:
        driver.close()
    return _Run(token=token, check=check, outcome=outcome, exact=driver.exact, log=log)


class TooLong(Outcome):
    """The check was left out for its length."""


def _left_out(check: Check[Any], why: Outcome) -> _Run:
    return _Run(token=None, check=check, outcome=why, exact=True, log=())


def _case(done: _Run, requirement: Requirement) -> Case:
    match done.outcome:
        case None:
            verdict = Verdict.PASS
        case NotDeclared():
            verdict = Verdict.NOT_DECLARED
        case Untestable():
            verdict = Verdict.UNTESTABLE
        case TooLong():
            verdict = Verdict.INFO
        case _:
            verdict = requirement.level.verdict
            if verdict is Verdict.FAIL and done.check.timing and not done.exact:
                verdict = Verdict.WARN
    text = "" if done.outcome is None else str(done.outcome)
    return Case(check=done.check.name, verdict=verdict, text=text, log=done.log, token=done.token)


def _lint(suite: Suite[Any], runs: Iterable[_Run]) -> Mapping[str, _Sight]:
    """What the linter saw of each rule that came up."""
    found: dict[str, _Sight] = {}
    for each in runs:
        applied, findings = _read(suite, each)
        for rule in applied:
            found.setdefault(rule, None)
        for finding in findings:
            if found[finding.rule] is None:
                found[finding.rule] = (finding, each)
    return found


def _read(suite: Suite[Any], done: _Run) -> tuple[set[str], list[Finding]]:
    """What the linter says of the implementation in the log of a check: the rules that came up, and what is
    wrong."""
    linter = suite.linter(exact=done.exact)
    if linter is None:
        return set(), []
    linter.read(done.log)
    applied = {rule for role, rule in linter.applied if role == suite.role}
    return applied, [finding for finding in linter.findings if finding.role == suite.role]


def _passive(name: str, linted: Mapping[str, _Sight], requirement: Requirement) -> Case:
    if name not in linted:
        return Case(check=name, verdict=Verdict.NOT_DECLARED, text="it never came up")
    seen = linted[name]
    if seen is None:
        return Case(check=name, verdict=Verdict.PASS)
    finding, done = seen
    return Case(
        check=name,
        verdict=requirement.level.verdict,
        text=finding.text,
        log=done.log,
        index=finding.index,
        token=done.token,
    )

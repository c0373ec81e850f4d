"""The mutants of a module: mutmut's mutators, and those that this library needs beside them.

mutmut itself changes functions only, and none that are decorated. Here a table that is built at import and a
property are changed as well, so the tree is walked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import libcst as cst
from libcst import matchers
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

__all__ = ["Mutant", "mutants"]


@attrs.frozen
class Mutant:
    """One change of one module."""

    path: Path
    line: int
    before: str
    after: str
    body: range
    """The lines of the function that is changed; empty for what runs at import."""
    _prefix: str = attrs.field(repr=False)
    _statement: cst.CSTNode = attrs.field(repr=False)
    _suffix: str = attrs.field(repr=False)
    _old: cst.CSTNode = attrs.field(repr=False)
    _new: cst.CSTNode = attrs.field(repr=False)

    @property
    def source(self) -> str:
        """The whole module with the change."""
        changed = self._statement.deep_replace(self._old, self._new)
        assert isinstance(changed, cst.CSTNode)
        return f"{self._prefix}{_code(changed)}{self._suffix}"


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a file, from top to bottom."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text("utf-8")))
    positions = wrapper.resolve(PositionProvider)
    statements = wrapper.module.body
    pieces = [_code(each) for each in statements]
    return [
        Mutant(
            path=path,
            line=line,
            before=_short(old),
            after=_short(new),
            body=body,
            prefix="".join(pieces[:index]),
            statement=statement,
            suffix="".join(pieces[index + 1 :]),
            old=old,
            new=new,
        )
        for index, statement in enumerate(statements)
        for line, body, old, new in _changes(statement, positions)
    ]


def _code(node: cst.CSTNode) -> str:
    return cst.Module(body=[]).code_for_node(node)


def _short(node: cst.CSTNode) -> str:
    return " ".join(_code(node).split())


# ------------------------------------------------------------ where something is changed

Positions = Any
Change = tuple[int, range, cst.CSTNode, cst.CSTNode]


def _changes(
    node: cst.CSTNode, positions: Positions, line: int = 1, body: range | None = None
) -> Iterator[Change]:
    """Every change of a node and of all below it.

    Args:
        line: of what the node is in.
        body: the lines of the function that the node is in, if it is in one.
    """
    if _is_for_readers(node):
        return
    found: CodeRange | None = positions.get(node)
    if found is not None:
        line = found.start.line
    for kinds, operator in _OPERATORS:
        if isinstance(node, kinds):
            for new in operator(node):
                yield line, body or range(0), node, new
    for child in node.children:
        inside = body
        if inside is None and isinstance(node, cst.FunctionDef) and child is node.body:
            block = positions[child]
            inside = range(block.start.line, block.end.line + 1)
        yield from _changes(child, positions, line, inside)


_NOT_FOR_MACHINES = ("cast", "len", "isinstance", "TypeVar")
"""Calls that are left alone: of type checkers, and, as mutmut does, those that would only raise."""


def _is_for_readers(node: cst.CSTNode) -> bool:
    """Whether nothing that runs here depends on it, or importing does, so that every test would notice."""
    if isinstance(node, cst.IndentedBlock):  # what only another Python runs
        return node.header.comment is not None and "no cover" in node.header.comment.value
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Name) and node.func.value in _NOT_FOR_MACHINES
    if isinstance(node, cst.Assign):
        return matchers.matches(node.targets[0].target, matchers.Name("__all__"))
    if isinstance(node, cst.If):
        return matchers.matches(node.test, matchers.Name("TYPE_CHECKING"))
    return isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom))


# ------------------------------------------------------------ what mutmut has no mutator for


def _removed(node: cst.Expr | cst.Raise | cst.Del) -> Iterable[cst.CSTNode]:
    """What is done for its effect is left out."""
    if not isinstance(node, cst.Expr) or isinstance(node.value, (cst.Call, cst.Yield)):
        yield cst.Pass()


def _returned(node: cst.Return) -> Iterable[cst.CSTNode]:
    """A way out is closed, or brings nothing."""
    if node.value is None:
        yield cst.Pass()
    elif not matchers.matches(node.value, matchers.Name("None")):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


def _negated(node: cst.If | cst.While | cst.CompIf) -> Iterable[cst.CSTNode]:
    """A condition is turned round; mutmut does it for comparisons and for ``not``."""
    if not isinstance(node.test, (cst.Comparison, cst.UnaryOperation)):
        inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        space = "whitespace_after_while" if isinstance(node, cst.While) else "whitespace_before_test"
        test = cst.UnaryOperation(cst.Not(), inner)
        yield node.with_changes(**{"test": test, space: cst.SimpleWhitespace(" ")})


_MEMBERS = {
    "State": ("CLOSED", "OPEN", "SLEEPING", "LISTENING", "PROCESSING", "RESPONDING", "PAUSED", "FAILED"),
    "Audio": ("CLOSED", "ASKED", "OPEN"),
}


def _another_state(node: cst.Attribute) -> Iterable[cst.CSTNode]:
    """The next member of the enumerations that the tables are made of."""
    members = _MEMBERS.get(node.value.value, ()) if isinstance(node.value, cst.Name) else ()
    if node.attr.value in members:
        yield node.with_changes(attr=cst.Name(members[(members.index(node.attr.value) + 1) % len(members)]))


def _another_text(node: cst.BaseString) -> Iterable[cst.CSTNode]:
    """The first change of mutmut; the others, of upper and lower case, say no more of a name or a trigger."""
    yield from islice(operator_string(node), 1)


_OPERATORS: list[tuple[Any, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *((kind, each) for kind, each in mutation_operators if each is not operator_string),
    (cst.BaseString, _another_text),
    ((cst.Expr, cst.Raise, cst.Del), _removed),
    (cst.Return, _returned),
    ((cst.If, cst.While, cst.CompIf), _negated),
    (cst.Attribute, _another_state),
]

"""Markdown from texts and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

from flowstorm_channel.events import EVENTS, UnknownEvent

EVENT_NAMES: dict[type, str] = {**{cls: name for name, cls in EVENTS.items()}, UnknownEvent: "Unknown"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return [
        line(head),
        "|" + " --- |" * len(head),
        *(line(row) for row in rows),
        "",
    ]


def line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def code(text: str) -> str:
    return f"`{text}`"


def listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "–"


def prose(text: str) -> str:
    """A docstring's text as Markdown: one paragraph to a line, double backticks made single."""
    text = inspect.cleandoc(text).replace("``", "`")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def summary(thing: Any) -> str:
    """The docstring up to its first section."""
    return prose(re.split(r"\n\s*(?:Args|Raises|Returns):\n", inspect.getdoc(thing) or "")[0])


def arguments(cls: type) -> dict[str, str]:
    """What the section Args of a docstring says, by name."""
    found = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(cls) or "", re.DOTALL | re.MULTILINE)
    parts = re.findall(
        r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", found[1] if found else "", re.DOTALL | re.MULTILINE
    )
    return {name: prose(text).removesuffix(".") for name, text in parts}


def link(cls: type, folder: str = "") -> str:
    """To where the reference describes a class of the wire.

    Args:
        folder: the way from the page to the folder of the reference, such as ``../``.
    """
    if cls in EVENT_NAMES:
        return f"[{cls.__name__}]({folder}events/{EVENT_NAMES[cls]}.md)"
    return f"[{cls.__name__}]({folder}values.md#{cls.__name__.lower()})"


def enum_docs(enum: type[Enum]) -> dict[str, str]:
    """The texts that stand below the members in the source."""
    body = ast.parse(inspect.getsource(enum)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        match before, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = prose(text)
    return found


def seconds(value: float | None) -> str:
    return "off" if value is None else f"{value:g} s"

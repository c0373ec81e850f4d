"""`llms.txt`: what there is to read, for programs that read; in the form of llmstxt.org."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

DOCS = Path(__file__).parent.parent

FOOT = """\
Every page is there as Markdown, at its address here. The site that is built has all of them in one file, too:
llms-full.txt."""

TOCTREE = re.compile(r"^```\{toctree\}\n((?::[^\n]*\n)*)(.*?)^```$", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^[^<]* <|>$")
"""What stands around the name of a page that has another title in a table of contents."""
INCLUDE = re.compile(
    r"^```\{(?P<how>include|literalinclude)\} (?P<path>\S+)\n(?::[^\n]*\n)*```$", re.MULTILINE
)
LANGUAGES = {".py": "python", ".mjs": "javascript", ".json": "json"}


class Pages:
    """The pages of the documentation, in the order of their tables of contents.

    Args:
        made: texts that count in the place of what is on the disk, by their path.
    """

    def __init__(self, made: Mapping[str, str] | None = None) -> None:
        self.made = made or {}

    def llms(self) -> str:
        """`llms.txt`: title and summary of the index, then its parts with a line for each page."""
        title, summary = opening(self.read("index"))
        lines = [f"# {title}", "", f"> {summary}", "", *FOOT.splitlines(), ""]
        for caption, names in self.contents("index"):
            every = (each for name in names for each in (name, *self.below(name)))
            lines += [f"## {caption}", "", *map(self.entry, every), ""]
        return "\n".join(lines)

    def everything(self) -> str:
        """All pages, one behind the other."""
        return "\n\n".join(self.read(name).strip() for name in self.names()) + "\n"

    def names(self) -> list[str]:
        """The paths of all pages, without their ending."""
        return ["index", *self.below("index")]

    def below(self, name: str) -> Iterator[str]:
        """The pages in the tables of contents of a page, and those below them."""
        for _, names in self.contents(name):
            for each in names:
                yield from (each, *self.below(each))

    def contents(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """The tables of contents of a page: their captions, and the names of the pages in them."""
        folder = PurePosixPath(name).parent
        for options, body in TOCTREE.findall(self.read(name)):
            caption = re.search(r"^:caption: (.*)$", options, re.MULTILINE)
            names = [str(folder / ENTRY.sub("", each)) for each in body.splitlines() if each]
            yield caption[1] if caption else "Begin here", names

    def entry(self, name: str) -> str:
        title, first = opening(self.read(name))
        return f"- [{title}]({name}.md): {first}"

    def read(self, name: str) -> str:
        """A page as a reader sees it: what it includes stands in it."""
        path = DOCS / f"{name}.md"
        text = self.made.get(f"{name}.md")

        def included(found: re.Match[str]) -> str:
            content = (path.parent / found["path"]).read_text(encoding="utf-8").rstrip()
            if found["how"] == "include":
                return content
            return f"```{LANGUAGES[Path(found['path']).suffix]}\n{content}\n```"

        return INCLUDE.sub(included, path.read_text(encoding="utf-8") if text is None else text)


def opening(text: str) -> tuple[str, str]:
    """The title of a page, and the first sentence below it.

    Raises:
        ValueError: there is no title, or nothing but code and tables below it.
    """
    title = re.search(r"^# (.*)$", text, re.MULTILINE)
    if title is None:
        raise ValueError(f"a page without a title: {text[:80]!r}")
    for paragraph in text[title.end() :].split("\n\n"):
        words = " ".join(paragraph.split())
        if words and not words.startswith(("#", "```", "|", "- ", "<!--", "(")):
            return title[1], sentence(words)
    raise ValueError(f"a page that does not say what it is: {title[1]}")


def sentence(words: str) -> str:
    """The first one, without links."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", words)
    found = re.match(r".*?[.:](?= [A-Z`*]|$)", plain)
    return (found[0] if found else plain).removesuffix(":").removesuffix(".")

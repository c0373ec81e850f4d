"""The blocks of code on the pages of the documentation, and a terminal that types what they say.

Whatever is not run or read is listed here with the reason, and nowhere else.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from queue import Empty, Queue
from unittest import mock

import attrs

from flowstorm_channel.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]

CHECKED = {"python", "console", "json", "hexdump", "javascript", "nginx", "yaml", "toml"}
"""The languages of which every block is run, or read by what reads them."""

LEFT_ALONE = {
    "text": "what is to be read by people, such as an address or what a program printed",
    "{mermaid}": "drawn by `diagrams`, whose pictures test_diagrams checks",
    "{toctree}": "Sphinx's own; it fails on what it cannot find",
    "{eval-rst}": "Sphinx's own; it fails on what it cannot find",
    "{include}": "Sphinx's own; it fails on what it cannot find",
    "{literalinclude}": "a file of `docs/examples`, each of which has a test that runs it",
}
"""The languages of which nothing is run, with the reason."""

NOT_TYPED = {
    r"(python3 -m venv|\S*pip install) ": "needs a package registry; CI installs everything anew",
    r"npx ": "needs a package registry; CI installs everything anew",
    r"pyenv ": "changes the machine that it is typed at",
    r"nox ": "runs all tests on all Pythons",
    r"python -m tests\.bench ": "takes half a minute; test_bench",
    r".*\barecord ": "needs a microphone",
    r"curl --no-buffer -b .* &$": "reads what the microphone of the next line hears; test_contrib_httpx",
    r"flowstorm-channel conformance client ": "takes a minute; test_conformance_cli and _sockets run it",
    r"flowstorm-channel conformance server \S+( --html \S+)?$": (
        "takes a minute; test_conformance_cli and _sockets run it"
    ),
    r"flowstorm-channel conformance server \S+ (--strict )?\\\n": "the same, with files of one's own",
    r"flowstorm-channel conformance replay ": "needs a token that a run has printed; test_conformance_cli",
    r"flowstorm-channel conformance trace ": "needs a recording of one's own; test_conformance_cli",
}
"""Commands that are shown and not typed here, as patterns from their beginning, with the reason."""

INSTALLED = re.compile(r"^python3 -m venv \S+ && pip install [^&]* && (?=flowstorm-channel )")
"""What comes before a command in the same line, and was done already."""

WITHOUT_SHELL = re.compile(r"flowstorm-channel(?! talk)[\w ./:=@-]+")
"""Commands of ours in which nothing is for the shell. What reads lines is left to it, too."""

BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<language>[^\s`]*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


@attrs.frozen
class Block:
    """A block of code.

    Args:
        page: that it stands on.
        line: its first one, as editors count.
        language: that it says it is in.
        text: of it, without the indentation of its fence.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in their order; of some languages, when any are named."""
    text = page.read_text(encoding="utf-8")
    found = []
    for each in BLOCK.finditer(text):
        if not languages or each["language"] in languages:
            line = text.count("\n", 0, each.start("text")) + 1
            inside = re.sub(rf"^{each['indent']}", "", each["text"], flags=re.MULTILINE)
            found.append(Block(page, line, each["language"], inside))
    return found


def pages_with(*languages: str) -> list[Path]:
    """The pages that have such blocks."""
    return [page for page in PAGES if blocks(page, *languages)]


def file_of(block: Block) -> str | None:
    """The name of the file that a block of Python is to be saved under, when its first line says one."""
    found = re.match(r"# (\w+\.py)\b", block.text)
    return found[1] if found else None


# ------------------------------------------------------------ what is typed


@attrs.frozen
class Command:
    """A line that is typed, with the lines that continue it, and what is expected.

    Args:
        text: of it.
        output: the lines that it prints; ``…`` stands for any. None: it is not shown.
    """

    text: str
    output: str | None

    @property
    def reason(self) -> str | None:
        """Why it is not typed here."""
        for pattern, reason in NOT_TYPED.items():
            if re.match(pattern, self.text):
                return reason
        return None


def commands(block: Block) -> Iterator[Command]:
    """What a block of a console says to type. Without a prompt in it, every line is a command."""
    text = block.text
    if not re.search(r"^\$ ", text, re.MULTILINE):
        text = re.sub(r"^(?=\S)", "$ ", text, flags=re.MULTILINE)
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        found = re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL)
        assert found is not None
        typed = INSTALLED.sub("", found[1].replace(".venv/bin/", ""))
        yield Command(typed, found[2].strip("\n") or None)


def agree(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; ``…`` stands for any text, and for any lines."""
    pattern = re.escape(shown).replace(re.escape("…"), ".*?")
    return re.fullmatch(pattern, printed.strip("\n"), re.DOTALL) is not None


class Terminal:
    """Types commands in a folder, and keeps the server that the last ``flowstorm-channel serve`` began.

    Args:
        folder: to type them in.
    """

    PLACE = "127.0.0.1:8000"
    SECONDS = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: subprocess.Popen[str] | None = None
        self.address = ""
        programs = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def type(self, command: Command) -> str:
        """What it prints, with the address that the page has in the place of the server's own.

        Raises:
            AssertionError: it fails.
        """
        printed = self.run(command)
        return printed.replace(self.address, self.PLACE) if self.address else printed

    def run(self, command: Command) -> str:
        if re.match(r"flowstorm-channel serve\b", command.text):
            return self.serve(command.text)
        if self.PLACE in command.text and self.server is None:
            self.serve("flowstorm-channel serve")
        text = command.text.replace(self.PLACE, self.address)
        if WITHOUT_SHELL.fullmatch(text):
            return self.run_here(text.split()[1:])
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command.text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_here(self, arguments: list[str]) -> str:
        """Run our own command in this process, which starts sooner."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with (
                open(os.devnull) as nothing,
                mock.patch.object(sys, "stdin", nothing),
                mock.patch.dict(os.environ, {**self.environment, "COLUMNS": "80"}),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                code = main(arguments)
        finally:
            os.chdir(before)
        printed, complained = (each.buffer.getvalue().decode() for each in (out, err))  # type: ignore[attr-defined]
        assert code == 0, f"{arguments}\n{printed}{complained}"
        return printed

    def serve(self, text: str) -> str:
        """Begin a server on a port that the system chooses, and give the line that says where it listens."""
        self.close()
        self.server = subprocess.Popen(
            ["bash", "-c", f"exec {text} --port 0"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: Queue[str] = Queue()
        threading.Thread(target=self._read, args=(self.server, lines), daemon=True).start()
        said = ""
        while True:
            try:
                said += lines.get(timeout=self.SECONDS)
            except Empty:
                raise AssertionError(f"{text}\nsaid only {said!r}") from None
            found = re.search(r"127\.0\.0\.1:\d+", said)
            if found and said.endswith("\n") and "Listening" in said:
                self.address = found[0]
                return said

    @staticmethod
    def _read(server: subprocess.Popen[str], lines: Queue[str]) -> None:
        assert server.stdout is not None
        for line in server.stdout:
            lines.put(line)

    def close(self) -> None:
        """Stop the server, if there is one."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(self.SECONDS)
            assert self.server.stdout is not None
            self.server.stdout.close()
            self.server = None

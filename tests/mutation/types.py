"""Asks mypy about mutants: what it refuses would never have come as far as the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from tests.mutation.mutants import Mutant
from tests.mutation.targets import ROOT

__all__ = ["TypeChecker"]

_PACKAGE = "flowstorm_channel"


class TypeChecker:
    """The daemon of mypy, over a copy of the library; strict, as the library itself is checked.

    Raises:
        RuntimeError: on entering, when it refuses the library without a change.
    """

    def __enter__(self) -> TypeChecker:
        self._folder = Path(tempfile.mkdtemp(prefix="mutation-"))
        shutil.copytree(ROOT / _PACKAGE, self._folder / _PACKAGE)
        shutil.copy(ROOT / "pyproject.toml", self._folder)
        if not self._accepts():
            self._leave()
            raise RuntimeError("mypy refuses the library without a change")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def refuses(self, mutant: Mutant) -> bool:
        """Whether the library with this change has an error of types."""
        path = self._folder / mutant.path.relative_to(ROOT)
        sound = path.read_text("utf-8")
        path.write_text(mutant.source, "utf-8")
        try:
            return not self._accepts()
        finally:
            path.write_text(sound, "utf-8")

    def _accepts(self) -> bool:
        return self._daemon("run", "--", "--strict", _PACKAGE) == 0

    def _leave(self) -> None:
        self._daemon("stop")
        shutil.rmtree(self._folder)

    def _daemon(self, *arguments: str) -> int:
        command = (sys.executable, "-m", "mypy.dmypy", *arguments)
        return subprocess.run(command, cwd=self._folder, capture_output=True, check=False).returncode

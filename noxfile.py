"""`nox` runs everything that must pass, the tests on all supported Pythons: see docs/howto/develop.md."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; what stands behind ``--`` is handed to pytest."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Find mistakes and a form that is not settled."""
    session.install("ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy", "--strict")
    session.run("mypy", "--strict", "tests/typed_user.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors, and pages made from the code must be up to date."""
    session.install("-e", ".[dev]")
    session.run("python", "docs/generate.py", "--check")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and hold the coverage of the core to its bound."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n0", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def package(session: nox.Session) -> None:
    """Build what is published, and import it where nothing else is installed."""
    out = Path(session.create_tmp())
    shutil.rmtree(out, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(out))
    (wheel,) = out.glob("*.whl")
    session.run("python", "-m", "pip", "install", "--quiet", "--force-reinstall", str(wheel))
    # Isolated, so that it is not the checkout that is imported.
    session.run("python", "-I", "-c", "import flowstorm_channel as it; print(it.__version__, it.__file__)")

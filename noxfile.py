"""`nox` runs everything that must pass, the tests on all supported Pythons: see docs/howto/develop.md."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
USERS_EXTRAS = (
    *("testing", "conformance", "websockets", "httpx", "aiohttp", "anyio", "trio", "django", "flask"),
    *("redis", "verify", "audio", "speed", "server"),
)
TOOLS_OF_THE_OLDEST = (
    *("ask-sdk-core", "ask-sdk-model", "fastapi", "google-auth", "gunicorn", "jsonschema", "pydantic"),
    *("pyjwt", "pytest-xdist", "starlette", "twilio", "tzdata", "wsproto"),
)
"""What those tests need beside the extras; the other tools of the extra `dev` take newer dependencies."""
_ROOMS = "alexa asgi aws codecs contrib conversations google socket stores twilio"
TESTS_OF_THE_OLDEST = tuple(
    str(path)
    for name in _ROOMS.split()
    for path in sorted(Path(__file__).parent.glob(f"tests/test_{name}*.py"))
)


def oldest_dependencies() -> list[str]:
    """The lower bounds in pyproject.toml of what users install, each as the one version that is taken."""
    project = nox.project.load_toml(Path(__file__).with_name("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *(each for name in USERS_EXTRAS for each in extras[name])]
    found: dict[str, str] = {}
    for each in declared:
        bound = re.fullmatch(r"([\w-]+)(?:\[.*])?>=([\d.]+)(?:; *python_version < .*)?", each)
        if bound is not None:
            found.setdefault(bound[1], f"{bound[1]}=={bound[2]}")
    return sorted(found.values())


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; what stands behind ``--`` is handed to pytest."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def without_speed(session: nox.Session) -> None:
    """Run the tests where nothing of the extra `speed` is installed: the results must be the same."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "msgspec", "orjson", "pybase64")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0], venv_backend="uv|virtualenv")
def oldest(session: nox.Session) -> None:
    """Run the tests of codecs, machines and drivers with the oldest of every dependency that is promised."""
    constraints = Path(session.create_tmp()) / "oldest.txt"
    constraints.write_text("\n".join(oldest_dependencies()) + "\n", encoding="utf-8")
    extras = ",".join(USERS_EXTRAS)
    session.install("-c", str(constraints), "-e", f".[{extras}]", *TOOLS_OF_THE_OLDEST)
    # That anyio leaves a socket open when somebody who connects is cancelled; later ones do not.
    leaking = "tests/test_contrib_httpx.py::test_a_consumer_can_be_cancelled_at_any_moment"
    chosen = session.posargs or (*TESTS_OF_THE_OLDEST, "--deselect", leaking)
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", *chosen)


@nox.session
def audit(session: nox.Session) -> None:
    """Look whether a dependency is known to be vulnerable; names those that no service knows."""
    session.install("pip-audit", f".[{','.join(USERS_EXTRAS)}]")
    session.run("pip-audit", "--local", "--skip-editable", success_codes=[0])


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

"""Write the parts of the documentation that say what the code says: `python docs/generate.py`.

With `--check` nothing is written; the exit status is 1 when a file is not what would be written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from generating import conformance, events, limits, pictures, schemas, states, values
from generating.llms import Pages

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py from the code. Change the code, then run it again. -->"


def pages() -> dict[str, Iterable[str]]:
    """The lines of every page of Markdown that is made, by its path below ``docs``."""
    return {
        "reference/events.md": events.overview_page(),
        **{f"reference/events/{name}.md": lines for name, lines in events.event_pages().items()},
        "reference/values.md": values.values_page(),
        "reference/states.md": states.states_page(),
        "reference/limits.md": limits.limits_page(),
        "reference/conformance.md": conformance.conformance_page(),
    }


def files() -> dict[str, str]:
    """The text of every file that is made, by its path below ``docs``."""
    made = {name: "\n".join([NOTICE, "", *lines]).rstrip() + "\n" for name, lines in pages().items()}
    return {**made, **pictures.files(), **schemas.files(), "llms.txt": Pages(made).llms()}


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write the parts of the documentation that are made from the code."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    parser.add_argument(
        "--proof", action="store_true", help="first try the conformance kit on all broken implementations"
    )
    chosen = parser.parse_args(given)
    if chosen.proof:
        conformance.prove()
    made = files()
    stale = [name for name, text in made.items() if read(DOCS / name) != text]
    left = [name for name in left_over() if name not in made]
    for name in stale:
        if not chosen.check:
            write(DOCS / name, made[name])
        print(f"docs/{name} {'is out of date' if chosen.check else 'written'}")
    for name in left:
        if not chosen.check:
            (DOCS / name).unlink()
        print(f"docs/{name} {'is not made any more' if chosen.check else 'removed'}")
    return 1 if chosen.check and (stale or left) else 0


def left_over() -> Iterable[str]:
    """The pages and schemas that were made, now or once."""
    for path in sorted((DOCS / "schemas").glob("*.json")):
        yield path.relative_to(DOCS).as_posix()
    for path in sorted((DOCS / "reference").rglob("*.md")):
        if path.read_text(encoding="utf-8").startswith(NOTICE):
            yield path.relative_to(DOCS).as_posix()


def read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())

"""Pictures of recordings for the pages: drawn from what the examples of the pages record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flowstorm_channel.trace import read
from flowstorm_channel.trace.drawing import picture_of, to_svg

DOCS = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """The text of every picture, by its path below ``docs``."""
    page = DOCS / "howto/trace.md"
    found = BLOCK.search(page.read_text(encoding="utf-8"))
    assert found is not None, "the page begins with an example that records"
    example: dict[str, Any] = {}
    exec(compile(found[1], page, "exec"), example)
    return {"howto/trace.svg": to_svg(picture_of(read(example["data"])))}

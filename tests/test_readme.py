"""The programs of the README really run, as a reader would run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_contrib_websockets import in_a_thread

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(start):
    (found,) = [each for each in BLOCKS if each.startswith(start)]
    return found


def test_the_server_and_the_client_talk(tmp_path):
    names = {}
    exec(block("# hello.py"), names)
    (tmp_path / "client.py").write_text(block("# client.py"))
    with in_a_thread(names["app"]) as address:
        done = subprocess.run(
            [sys.executable, "client.py", f"ws://{address}/socket"],
            cwd=tmp_path,
            input="Jane\n",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout == "Hello! What is your name?\n> Nice to meet you, Jane.\n"


def test_both_are_short():
    for start in ("# hello.py", "# client.py"):
        lines = [line for line in block(start).splitlines() if line and not line.startswith("#")]
        assert len(lines) <= 15


def test_the_loop_without_a_framework(capsys):
    exec(block("from flowstorm_channel import InitEvent"), {})
    printed = capsys.readouterr().out
    for kind in ("101", "Ready", "SessionStarted", "You said hello.", "Response"):
        assert kind in printed


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!https?:)[^)#]+)", README))
def test_its_links_lead_somewhere(link):
    assert (Path(__file__).parent.parent / link).exists()

"""What stands on the pages of the documentation as code works: it is run, or read by what reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import settings

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.events import BinaryEvent, Event
from tests.examples_of_docs import (
    BLOCK,
    CHECKED,
    LEFT_ALONE,
    NOT_TYPED,
    PAGES,
    ROOT,
    Block,
    Terminal,
    agree,
    blocks,
    commands,
    file_of,
    pages_with,
)
from tests.programs import program

if sys.version_info >= (3, 11):
    import tomllib


README = ROOT / "README.md"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ------------------------------------------------------------ nothing is left out


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_checked_or_has_a_reason(page: Path) -> None:
    unknown = [str(each) for each in blocks(page) if each.language not in CHECKED | LEFT_ALONE.keys()]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_escapes_the_collector(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<!-- skip" not in text, "examples are run, not skipped"
    fences = [line for line in text.splitlines() if line.lstrip().startswith(("```", "~~~"))]
    assert len(fences) == 2 * len(BLOCK.findall(text))


def test_every_reason_is_needed() -> None:
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert LEFT_ALONE.keys() - languages <= {"text"}
    untyped = {each.reason for page in PAGES for block in blocks(page, "console") for each in commands(block)}
    assert set(NOT_TYPED.values()) - untyped == set()


# ------------------------------------------------------------ what is run and typed


@pytest.fixture
def patience() -> Iterator[None]:
    """How long an example of Hypothesis takes says something about this machine only."""
    before = settings.get_current_profile_name()
    settings.register_profile("documentation", parent=settings.get_profile(before), deadline=None)
    settings.load_profile("documentation")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("page", pages_with("python", "console"), ids=name_of)
def test_examples_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The blocks of one page, in order and in one folder, as a reader would save, run and type them. The
    programs of the README are saved only: test_readme runs them."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    terminal = Terminal(tmp_path)
    try:
        for block in blocks(page, "python", "console"):
            if block.language == "console":
                type_and_compare(block, terminal)
                continue
            if (name := file_of(block)) is not None:
                (tmp_path / name).write_text(block.text, encoding="utf-8")
            if page != README:
                exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), module.__dict__)
    finally:
        terminal.close()


def type_and_compare(block: Block, terminal: Terminal) -> None:
    """Type what a block says, and see whether it prints what the block shows."""
    for command in commands(block):
        if command.reason is None:
            printed = terminal.type(command)
            if command.output is not None:
                assert agree(command.output, printed), f"{block}: {command.text}\n{printed}"


def test_what_is_shown_of_an_output_may_leave_lines_out() -> None:
    assert agree("one\n…\nthree", "one\ntwo\ntwo and a half\nthree\n")
    assert agree("…\nlast", "first\nlast\n")
    assert agree("it took … s", "it took 1.5 s\n")
    assert not agree("one\nthree", "one\ntwo\nthree\n")
    assert not agree("one", "one more\n")


# ------------------------------------------------------------ JSON and msgpack


@pytest.mark.parametrize("page", pages_with("json"), ids=name_of)
def test_json_is_json_and_events_are_events(page: Path) -> None:
    for block in blocks(page, "json"):
        for value in values_of(block):
            if isinstance(value, dict) and isinstance(value.get("type"), str) and "$schema" not in value:
                JsonCodec().decode(json.dumps(value))


@pytest.mark.parametrize("page", sorted((ROOT / "docs/reference/events").glob("*.md")), ids=name_of)
def test_the_bytes_of_an_event_are_the_same_event_in_both_codecs(page: Path) -> None:
    text, packed, *raw = blocks(page, "json", "hexdump")
    event = JsonCodec().decode(text.text)
    assert MsgpackCodec().decode(bytes_of(packed)) == event
    assert json.loads(JsonCodec().encode(event)) == json.loads(text.text)
    assert MsgpackCodec().encode(event) == bytes_of(packed)
    assert [BinaryEvent(data=bytes_of(each)) for each in raw] == ([event] if raw else [])
    assert isinstance(event, Event)


def values_of(block: Block) -> list[object]:
    """The JSON values of a block, one behind the other."""
    decoder, text, found = json.JSONDecoder(), block.text.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].strip()
    assert found, block
    return found


def bytes_of(block: Block) -> bytes:
    """What a hex dump shows."""
    return b"".join(bytes.fromhex(line[8:].partition("|")[0]) for line in block.text.splitlines())


# ------------------------------------------------------------ other languages


def test_javascript_is_javascript(tmp_path: Path) -> None:
    for block in (each for page in PAGES for each in blocks(page, "javascript")):
        path = tmp_path / "block.mjs"
        path.write_text(block.text, encoding="utf-8")
        done = subprocess.run([program("node"), "--check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_yaml_and_toml_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page, "yaml"):
            yaml.safe_load(block.text)
        if sys.version_info >= (3, 11):
            for block in blocks(page, "toml"):
                tomllib.loads(block.text)


@pytest.mark.parametrize("page", pages_with("nginx"), ids=name_of)
def test_nginx_takes_its_configuration(page: Path, tmp_path: Path) -> None:
    """With keys of its own in the place of those that a machine has."""
    nginx = program("nginx")
    make_keys(tmp_path)
    for block in blocks(page, "nginx"):
        text = block.text.replace("/etc/ssl/", f"{tmp_path}/")
        path = tmp_path / "nginx.conf"
        path.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n")
        done = subprocess.run(
            [nginx, "-t", "-e", tmp_path / "log", "-c", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_nginx_tells_conversations_apart_by_their_cookie(tmp_path: Path) -> None:
    """The `map` of the page really finds the cookie; the variable that one would think of does not."""
    nginx, curl = program("nginx"), program("curl")
    (block,) = blocks(ROOT / "docs/howto/scale.md", "nginx")
    mapped = block.text.partition("upstream")[0]
    socket = tmp_path / "socket"
    path = tmp_path / "nginx.conf"
    path.write_text(
        f"pid {tmp_path}/pid;\ndaemon off;\nmaster_process off;\nerror_log {tmp_path}/log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{mapped}"
        f"server {{ listen unix:{socket}; location / {{ return 200 $conversation; }} }}\n}}\n"
    )
    running = subprocess.Popen([nginx, "-e", tmp_path / "log", "-c", path])
    try:

        def conversation(cookies: str) -> str:
            asked = [curl, "-s", "--retry", "50", "--retry-all-errors", "--retry-delay", "0"]
            asked += ["--retry-max-time", "10", "--unix-socket", str(socket), "-b", cookies, "http://farm/"]
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout

        assert conversation("flowstorm-session-id=one-1") == "one-1"
        assert conversation("a=b; flowstorm-session-id=two_2; c=d") == "two_2"
        assert conversation("not-flowstorm-session-id=three") not in ("", "three")
    finally:
        running.terminate()
        running.wait(10)


def make_keys(folder: Path) -> None:
    """A key and a certificate that nobody trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "voice.example.com")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=timezone.utc))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=timezone.utc))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, open_to_all = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "voice.key").write_bytes(key.private_bytes(pem, form, open_to_all))
    (folder / "voice.pem").write_bytes(certificate.public_bytes(pem))

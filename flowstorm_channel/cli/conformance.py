"""``flowstorm-channel conformance``: what an implementation of the channels does wrong, by requirement."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import wave
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from flowstorm_channel.cli.recordings import read_recording
from flowstorm_channel.cli.terminal import BOLD, DIM, GREEN, RED, YELLOW, complain, paint, printable
from flowstorm_channel.errors import ChannelError

if TYPE_CHECKING:
    from flowstorm_channel.conformance import Driver, Profile, Report, Requirement, Result, Suite

__all__ = ["add_to"]

_AT_ONCE = 16
_CHANNELS = ("socket-v1", "socket-v2", "alexa", "google", "twilio")
_BY_PATH = {"alexa": "alexa", "google": "google", "call": "twilio"}
_STYLES = {"FAIL": RED, "UNTESTABLE": RED, "WARN": YELLOW, "PASS": GREEN, "conformant": GREEN, "not": RED}


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "conformance",
        help="check a server or a client, requirement by requirement",
        description="Check an implementation. Exit code 0: it conforms; 1: it does not, or the "
        "baseline is stale; 2: the kit itself failed.",
    )
    faces = parser.add_subparsers(title="what to check", metavar="WHAT", required=True)

    server = faces.add_parser("server", help="a server that listens somewhere")
    server.add_argument(
        "url", metavar="URL", nargs="+", help="ws://… for Socket V1 and Twilio, http://… for V2"
    )
    server.add_argument(
        "--channel", choices=_CHANNELS, help="when the address does not tell (/alexa, /google, /call)"
    )
    _add_profile(server)
    _add_report(server)
    server.set_defaults(run=_guarded(_server))

    client = faces.add_parser("client", help="a client that is a command")
    client.add_argument(
        "--command", required=True, help="starts it; {url} stands for the address of our server"
    )
    client.add_argument(
        "--channel", choices=("socket-v1", "socket-v2"), default="socket-v1", help="default: socket-v1"
    )
    client.add_argument(
        "--action",
        metavar="ACTION=LINE",
        action="append",
        type=_pair,
        default=[],
        help="the line on standard input for what a user does, such as interrupt=/stop; {} is what is said",
    )
    _add_profile(client)
    _add_report(client)
    client.set_defaults(run=_guarded(_client))

    trace = faces.add_parser("trace", help="a recording of a conversation")
    trace.add_argument("file", metavar="FILE", help="the recording, or a HAR file")
    trace.set_defaults(run=_guarded(_trace))

    listing = faces.add_parser("list", help="the requirements")
    listing.add_argument("--channel", choices=_CHANNELS)
    listing.add_argument("--role", choices=("server", "client"))
    listing.set_defaults(run=_guarded(_list))

    explain = faces.add_parser("explain", help="one requirement")
    explain.add_argument("id", metavar="ID")
    explain.set_defaults(run=_guarded(_explain))

    replay = faces.add_parser("replay", help="do again what a token says")
    replay.add_argument("token", metavar="TOKEN")
    replay.add_argument("url", metavar="URL", nargs="?", help="of the server")
    replay.add_argument("--command", help="that starts the client")
    replay.add_argument("--action", metavar="ACTION=LINE", action="append", type=_pair, default=[])
    _add_profile(replay)
    replay.set_defaults(run=_guarded(_replay))


def _add_profile(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the implementation does")
    group.add_argument("--declare", metavar="LIST", type=_set, default=frozenset(), help="it claims these")
    group.add_argument("--deny", metavar="LIST", type=_set, default=frozenset(), help="it has none of these")
    group.add_argument(
        "--phrase",
        metavar="CAPABILITY=WORDS",
        action="append",
        type=_pair,
        default=[],
        help="what to say for a capability, such as end=goodbye",
    )
    group.add_argument("--key", default="conformance", help="of Init, that it accepts")
    group.add_argument("--refused-key", help="one that it refuses")
    group.add_argument(
        "--alexa-intent", metavar="NAME", default="MessageIntent", help="takes what a user says"
    )
    group.add_argument("--alexa-slot", metavar="NAME", default="text", help="of that intent")
    group.add_argument(
        "--twilio-url",
        metavar="URL",
        default="wss://localhost/call",
        help="of the stream, as Twilio knows it; it is signed with TWILIO_AUTH_TOKEN, when that is set",
    )
    group.add_argument("--speech", metavar="FILE", help="a WAV file that it recognises: 16 bit, mono, 16 kHz")
    group.add_argument("--patience", metavar="SECONDS", type=float, default=5.0, help="for an answer")
    group.add_argument(
        "--longest", metavar="SECONDS", type=float, default=20.0, help="leave longer checks out (default: 20)"
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what comes of it")
    group.add_argument(
        "--only", metavar="ID", nargs="+", default=[], help="these requirements; FSC-V1-TURN-* too"
    )
    group.add_argument("--strict", action="store_true", help="warnings are failures")
    group.add_argument("--baseline", metavar="FILE", help="ids of requirements that are known to fail")
    group.add_argument("--seed", type=int, default=0, help="of the walks")
    group.add_argument("--walks", type=int, default=0, help="how many random conversations to try")
    group.add_argument("--jobs", type=int, default=_AT_ONCE, help=f"checks at a time (default: {_AT_ONCE})")
    group.add_argument("--verbose", action="store_true", help="show what passes, too")
    for form in ("json", "junit", "html"):
        group.add_argument(f"--{form}", metavar="FILE", help=f"write the report as {form.upper()}")


# ------------------------------------------------------------ what is run


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """What goes wrong is the kit's fault, or that of how it was called: not the implementation's."""

    def guarded(chosen: argparse.Namespace) -> int:
        try:
            return run(chosen)
        except (BrokenPipeError, KeyboardInterrupt):
            raise
        except ModuleNotFoundError as error:
            complain(f"{error}: pip install 'flowstorm-channel[conformance]'")
        except (ValueError, OSError, ChannelError) as error:
            complain(str(error))
        except Exception:
            traceback.print_exc()
        return 2

    return guarded


def _server(chosen: argparse.Namespace) -> int:
    from flowstorm_channel.conformance import SUITES

    by_channel = {chosen.channel or channel_of(url): _server_driver(url) for url in chosen.url}
    if len(by_channel) < len(chosen.url):
        raise ValueError("two addresses are of the same channel")
    found = [(SUITES[f"{channel}/server"], make) for channel, make in by_channel.items()]
    if len(found) > 1:
        found.append((SUITES["all/server"], partial(_together, by_channel)))
    return _judge(chosen, ", ".join(chosen.url), found, _profile(chosen))


def _together(makers: Mapping[str, Callable[[], Any]]) -> Driver:
    from flowstorm_channel.conformance.equivalence.server import Together

    return Together({channel: make() for channel, make in makers.items()})


def _client(chosen: argparse.Namespace) -> int:
    from flowstorm_channel.conformance import SUITES

    suite = SUITES[f"{chosen.channel}/client"]
    return _judge(chosen, chosen.command, [(suite, _client_driver(chosen, suite))], _profile(chosen))


def _judge(
    chosen: argparse.Namespace,
    target: str,
    suites: list[tuple[Suite[Any], Callable[[], Driver]]],
    profile: Profile,
) -> int:
    from flowstorm_channel.conformance import Baseline, Report, SuiteReport, run

    baseline = None if chosen.baseline is None else Baseline.read(_read(chosen.baseline))
    with ThreadPoolExecutor(max(1, chosen.jobs)) as workers:
        found = tuple(
            SuiteReport(
                suite=suite.name,
                results=tuple(run(suite, make_driver, profile, only=chosen.only, map_function=workers.map)),
            )
            for suite, make_driver in suites
        )
    if not any(each.results for each in found):
        raise ValueError(f"no requirement is called {', '.join(chosen.only)}")
    report = Report(target=target, suites=tuple(found), strict=chosen.strict)
    _write(chosen, report)
    if baseline is None:
        return 0 if report.conformant else 1
    news, stale = baseline.news(report), baseline.stale(report)
    for identity in news:
        print(f"not in the baseline: {identity}")
    for identity in stale:
        print(f"stale in the baseline, since it does not fail: {identity}")
    return 1 if news or stale else 0


def _walk(
    chosen: argparse.Namespace,
    suite: Suite[Any],
    make_driver: Callable[[], Driver],
    profile: Profile,
    results: list[Result],
) -> list[Result]:
    from flowstorm_channel.conformance.machines import MACHINES, explore, with_walk

    if suite.name not in MACHINES:
        return results
    found = explore(suite, make_driver, profile, walks=chosen.walks, start=chosen.seed)
    return results if found is None else with_walk(results, found)


def _write(chosen: argparse.Namespace, report: Report) -> None:
    from flowstorm_channel.conformance.reports import to_html, to_json, to_junit, to_text

    _print(to_text(report, verbose=chosen.verbose))
    for form, write in (("json", to_json), ("junit", to_junit), ("html", to_html)):
        name = getattr(chosen, form)
        if name is not None:
            Path(name).write_text(write(report), encoding="utf-8")


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        words = line.split(maxsplit=1)
        print(
            paint(printable(line), _STYLES.get(words[0], DIM if line.startswith("   ") else ""))
            if words
            else ""
        )


def _trace(chosen: argparse.Namespace) -> int:
    from flowstorm_channel.conformance.recordings import breaches_in
    from flowstorm_channel.conformance.reports import lines_of

    recording = read_recording(chosen.file)
    breaches = breaches_in(recording)
    for breach in breaches:
        print(paint(f"{breach.requirement.id}  {breach.requirement.text}", BOLD))
        print(f"  {printable(breach.finding.text)}")
        before = attrs.evolve(recording, entries=recording.entries[: breach.entry + 1]).records[-4:]
        for line in lines_of(before, len(before) - 1):
            print(paint(f"  {printable(line)}", DIM))
    if not breaches:
        print(f"nothing to find fault with in {len(recording.records)} messages")
    return 1 if breaches else 0


def _list(chosen: argparse.Namespace) -> int:
    for row in _rows():
        if chosen.channel in (None, row.channel) and chosen.role in (None, row.role):
            print(f"{row.id:<20} {row.role:<6} {row.level.value:<6} {row.basis.value:<10} {row.text}")
    return 0


def _explain(chosen: argparse.Namespace) -> int:
    from flowstorm_channel.conformance import SUITES

    rows = [row for row in _rows() if row.id == chosen.id]
    if not rows:
        raise ValueError(f"there is no requirement {chosen.id}; `conformance list` names them all")
    for row in rows:
        suite = SUITES[f"{row.channel}/{row.role}"]
        print(paint(row.id, BOLD), row.text)
        print(f"\n{row.level.value} of a {row.channel} {row.role}; {row.basis.value}: {row.source}")
        if row.reason:
            print(f"\nNot checked: {row.reason}")
        for name in row.checks:
            text = (
                suite.checks[name].text
                if name in suite.checks
                else f"Watches all conversations: {suite.rules[name]}"
            )
            print(f"\n{name}: {text}")
    return 0


def _rows() -> Iterator[Requirement]:
    from flowstorm_channel.conformance import SUITES

    for suite in SUITES.values():
        yield from suite.requirements.values()


def _replay(chosen: argparse.Namespace) -> int:
    from flowstorm_channel.conformance import SUITES, Token, replay
    from flowstorm_channel.conformance.reports import lines_of

    token = Token.read(chosen.token)
    suite = SUITES.get(token.suite)
    if suite is None:
        raise ValueError(f"this kit has no suite {token.suite}")
    if suite.role == "client":
        make_driver = _client_driver(chosen, suite)
    elif chosen.url is None:
        raise ValueError("name the URL of the server")
    else:
        make_driver = _server_driver(chosen.url)
    done = replay(token, make_driver, _profile(chosen))
    for line in lines_of(done.log, done.index):
        print(printable(line))
    print(paint(printable(done.text), RED) if done.text else paint("nothing to find fault with", GREEN))
    return 1 if done.text else 0


# ------------------------------------------------------------ how it was called


def channel_of(url: str) -> str:
    """The channel that an address is of, by its scheme and the end of its path."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError(f"{url}: expected ws://…, wss://…, http://… or https://…")
    plain = "socket-v1" if parts.scheme.startswith("ws") else "socket-v2"
    return _BY_PATH.get(parts.path.rstrip("/").rpartition("/")[2], plain)


def _server_driver(url: str) -> Callable[[], Driver]:
    from flowstorm_channel.contrib.conformance import HttpDriver, WebSocketDriver

    return partial(WebSocketDriver if url.startswith("ws") else HttpDriver, url)


def _client_driver(chosen: argparse.Namespace, suite: Suite[Any]) -> Callable[[], Driver]:
    from flowstorm_channel.contrib.conformance import ACTIONS, CommandDriver

    if not chosen.command or "{url}" not in chosen.command:
        raise ValueError("--command has to hold {url}, where the address of the server is to stand")
    actions = {**ACTIONS, **dict(chosen.action)}
    return partial(CommandDriver, chosen.command, suite.channel, actions)


def _profile(chosen: argparse.Namespace) -> Profile:
    from flowstorm_channel.conformance import Profile

    more: dict[str, Any] = {} if chosen.speech is None else {"speech": _samples(chosen.speech)}
    return Profile(
        declared=chosen.declare,
        denied=chosen.deny,
        phrases=dict(chosen.phrase),
        key=chosen.key,
        refused_key=chosen.refused_key,
        alexa_intent=chosen.alexa_intent,
        alexa_slot=chosen.alexa_slot,
        patience=chosen.patience,
        longest=chosen.longest,
        twilio_token=os.environ.get("TWILIO_AUTH_TOKEN"),
        twilio_url=chosen.twilio_url,
        **more,
    )


def _samples(name: str) -> bytes:
    try:
        with wave.open(name) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            samples = bytes(file.readframes(file.getnframes()))
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{name} is no WAV file: {error}") from None
    if form != (1, 2, 16_000):
        raise ValueError(f"{name} has (channels, bytes, Hz) {form}; what is needed is (1, 2, 16000)")
    return samples


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no text: {error}") from None


def _set(text: str) -> frozenset[str]:
    return frozenset(each.strip() for each in text.split(",") if each.strip())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=TEXT")
    return name.strip(), value

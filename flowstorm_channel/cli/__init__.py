"""The command ``flowstorm-channel``: see a conversation, serve one, have one, read frames, look at
recordings, draw the tables, check an implementation.

Exit codes: 0 all is well; 1 what was asked for did not work out; 2 the command was called wrongly.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from flowstorm_channel import __version__
from flowstorm_channel.cli.terminal import complain

__all__ = ["main"]

_COMMANDS = ("demo", "serve", "talk", "decode", "trace", "replay", "states", "schema", "conformance")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process when None.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="flowstorm-channel",
        description="Flowstorm conversation channels: see one, serve one, talk to one.",
        epilog="`flowstorm-channel COMMAND --help` tells more. Start with `flowstorm-channel demo`.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    given = sys.argv[1:] if arguments is None else arguments
    # A command starts in half the time when only its own module is imported; help tells of all.
    for name in given[:1] if given and given[0] in _COMMANDS else _COMMANDS:
        importlib.import_module(f"flowstorm_channel.cli.{name}").add_to(commands)
    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough, as `head` does; that is no failure.
        sys.stderr.close()
        return 0
    except OSError as error:
        complain(str(error))
        return 1
    return code

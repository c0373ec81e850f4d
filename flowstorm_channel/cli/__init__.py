"""The command ``flowstorm-channel``: see a conversation, serve one, have one, read frames, look at
recordings, draw the tables, check an implementation.

Exit codes: 0 all is well; 1 what was asked for did not work out; 2 the command was called wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from flowstorm_channel import __version__
from flowstorm_channel.cli import conformance, decode, demo, replay, schema, serve, states, talk, trace
from flowstorm_channel.cli.terminal import complain

__all__ = ["main"]

_COMMANDS = (demo, serve, talk, decode, trace, replay, states, schema, conformance)


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
    for command in _COMMANDS:
        command.add_to(commands)
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

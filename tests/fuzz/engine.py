"""The engine: atheris, which is imported only here, in a process of its own for each target.

Run by the command as ``python -m tests.fuzz.engine TARGET DOORS PROGRAM [ARGUMENT OF LIBFUZZER ...]``.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

PLACES = 4096
_PACKAGE = "flowstorm_channel"
_COMPILED = f"<{_PACKAGE}."


def main(name: str, doors: str, arguments: list[str]) -> None:
    """Fuzz one target until the engine ends the process.

    Args:
        name: of the target.
        doors: what is watched: see `Target.doors`, with commas between them. Given by who calls, since the
            targets are to be imported only when it is known.
        arguments: for libFuzzer; the first is the program that it runs again to merge.
    """
    import atheris  # type: ignore[import-not-found]
    from atheris import import_hook  # type: ignore[import-not-found]
    from atheris.instrument_bytecode import patch_code  # type: ignore[import-not-found]

    watched = tuple(f"{_PACKAGE}/{each}" for each in doors.split(","))

    def patched(code: CodeType, _dataflow: bool, *more: Any) -> CodeType:
        # To watch comparisons too makes a run several times as long; the dictionary has the words to find.
        is_watched = any(each in code.co_filename for each in watched)
        return patch_code(code, False, *more) if is_watched else code

    compile_ = builtins.compile

    def compiled(source: Any, filename: Any, *more: Any, **kw: Any) -> CodeType:
        code: CodeType = compile_(source, filename, *more, **kw)
        # The codecs' functions, which no import brings.
        return patch_code(code, False) if codecs and str(filename).startswith(_COMPILED) else code

    codecs = f"{_PACKAGE}/codecs/" in watched
    import_hook.patch_code = patched
    builtins.compile = compiled  # type: ignore[assignment]
    with atheris.instrument_imports(include=[_PACKAGE]):
        from tests.fuzz import feedback
        from tests.fuzz.targets import TARGETS
        from tests.fuzz.words import words

    run = TARGETS[name].run
    feedback.watch([atheris.instrument_func(_place(number)) for number in range(PLACES)])
    for word in words():  # what is compiled at first use is compiled now
        run(word)
    atheris.Setup(arguments, run)
    atheris.Fuzz()


def _place(number: int) -> Callable[[], None]:
    """A function with code of its own."""
    names: dict[str, Any] = {}
    exec(f"def place_{number}(): pass", names)
    made: Callable[[], None] = names[f"place_{number}"]
    return made


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

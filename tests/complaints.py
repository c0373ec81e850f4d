"""What is logged as an error, for tests that expect nothing of the kind."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def errors_of(*names: str) -> Iterator[list[str]]:
    """Gather what the loggers of these names are given; a test takes out what it expects."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Handler(logging.ERROR)
    loggers = [logging.getLogger(name) for name in names]
    for each in loggers:
        each.addHandler(handler)
    try:
        yield found
    finally:
        for each in loggers:
            each.removeHandler(handler)

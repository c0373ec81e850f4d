"""What anyio has no word for: a flag that comes down again, and tasks that only their starter cancels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup

from flowstorm_channel.contrib.driver import Task

__all__ = ["Flag", "Tasks"]

log = logging.getLogger("flowstorm_channel")


class Flag:
    """An `anyio.Event` that can be taken down again."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        """Whether it is up."""
        return self._event.is_set()

    def set(self) -> None:
        """Put it up, and let those go on who wait for it."""
        self._event.set()

    def clear(self) -> None:
        """Take it down."""
        if self._event.is_set():
            self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait until it is up."""
        await self._event.wait()


class Tasks:
    """Tasks that nothing cancels but who has started them, and who has to see to their end.

    Args:
        group: what they run in.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()

    def start(self, work: Coroutine[Any, Any, None], done: Callable[[], object] = lambda: None) -> Task:
        """Start a task, and call a function when it is over."""
        scope = anyio.CancelScope(shield=True)
        self._scopes.add(scope)
        self._group.start_soon(self._run, scope, work, done)
        return scope

    async def _run(
        self, scope: anyio.CancelScope, work: Coroutine[Any, Any, None], done: Callable[[], object]
    ) -> None:
        try:
            with scope:
                if scope.cancel_called:
                    work.close()
                else:
                    await work
        except Exception:
            log.exception("a task has failed")
        finally:
            self._scopes.discard(scope)
            done()

    def cancel(self) -> None:
        """Cancel all."""
        for scope in tuple(self._scopes):
            scope.cancel()

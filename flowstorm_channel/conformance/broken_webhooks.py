"""What the webhooks by which the kit proves itself are made of: those without a fault, and those with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.webhook import Tree, dumped, loaded
from flowstorm_channel.events import CertificateNeed, Event, InitEvent, KeysNeed
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.values import Input
from flowstorm_channel.webhook import WebhookServer

__all__ = ["Faulty", "WebhookHost"]


class WebhookHost(ReferenceHost):
    """Answers at webhooks.

    Args:
        clock: of the channels.
        document: what is found at every address that certificates or keys are fetched from.
    """

    def __init__(self, clock: Callable[[], float], document: bytes) -> None:
        super().__init__(clock)
        self._document = document

    def take(self, channel: ServerChannel, event: Event) -> None:
        if isinstance(event, CertificateNeed | KeysNeed):
            channel.provide(event, self._document)
        else:
            super().take(channel, event)


class Faulty(WebhookServer):
    """A webhook with places for faults."""

    asked: Tree
    """The request."""

    def naive(self, tree: Any) -> None:
        """Read the request as its author expects it to be: what is raised here makes it 500."""

    def spoil(self, answer: Tree) -> Tree:
        """Answer something else."""
        return answer

    def _understand(self, tree: Any) -> tuple[InitEvent, Input] | bytes:
        self.asked = tree
        self.naive(tree)
        return super()._understand(tree)  # type: ignore[safe-super]

    def _read_end(self) -> None:
        try:
            super()._read_end()
        except (LookupError, TypeError, ValueError, AttributeError):
            self._refuse(500, "internal server error")

    def _answer(self) -> None:
        if self._status == 200 and self._last:
            self._last = dumped(self.spoil(loaded(self._last)))
        super()._answer()

"""A suite: the requirements, checks and rules of one end of one channel."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from flowstorm_channel.conformance.drivers import Driver
from flowstorm_channel.conformance.lint import Linter
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.requirements import Requirement, load
from flowstorm_channel.conformance.stage import Stage
from flowstorm_channel.testing.clock import ManualClock

__all__ = ["BrokenPeer", "Check", "Suite"]

S = TypeVar("S", bound=Stage[Any])
Run = Callable[[S], None]

_LATENCY = 2.0
"""Seconds: no answer is under way for longer between the kit and an implementation over real transports."""


@attrs.frozen(kw_only=True)
class Check(Generic[S]):
    """Something that the kit does with an implementation to see whether it holds.

    Args:
        name: as the registry has it.
        text: what is done.
        needs: the capabilities that it makes use of.
        timing: it is about times: where these are not exact, it can only warn.
        seconds: how long it takes.
        run: does it; raises a `verdicts.Outcome` unless it passes.
    """

    name: str
    text: str
    needs: tuple[str, ...]
    timing: bool
    seconds: float
    run: Run[S] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BrokenPeer:
    """An implementation with one fault, by which the kit proves itself.

    Args:
        name: of the fault, such as ``forgets-session-started``.
        text: what it does wrong, in a sentence.
        make_driver: makes it, on a clock.
    """

    name: str
    text: str
    make_driver: Callable[[ManualClock], Driver] = attrs.field(repr=False)


class Suite(Generic[S]):
    """All for one end of one channel.

    Args:
        channel: ``socket-v1`` …
        role: the end that is checked: ``server`` or ``client``.
        stage: makes what checks are given.
        rules: what the linter looks for on the wires of this channel, as far as it is this end's duty: names
            and what they say.
        make_linter: makes the linter of the channel; None: there is none.
    """

    def __init__(
        self,
        channel: str,
        role: str,
        stage: Callable[[Any, Profile], S],
        *,
        rules: Mapping[str, str] | None = None,
        make_linter: Callable[[str], Linter] | None = None,
    ) -> None:
        self.channel = channel
        self.role = role
        self.stage = stage
        self.rules: Mapping[str, str] = rules or {}
        self.make_linter = make_linter
        self.checks: dict[str, Check[S]] = {}
        self.broken: dict[str, BrokenPeer] = {}
        """The kit's proof of itself; there once `proof` is imported."""
        self.make_reference: Callable[[ManualClock], Driver] | None = None
        """Makes what has no fault; there once `proof` is imported."""
        self.reference_profile = Profile()
        """Of what `make_reference` makes, and of the broken ones."""

    def __repr__(self) -> str:
        return f"<Suite {self.name}>"

    @property
    def name(self) -> str:
        """Such as ``socket-v1/server``."""
        return f"{self.channel}/{self.role}"

    @property
    def ours(self) -> str:
        """The end that the kit is."""
        return "client" if self.role == "server" else "server"

    @property
    def requirements(self) -> Mapping[str, Requirement]:
        """The rows of the registry."""
        return load(self.channel, self.role)

    def linter(self, *, exact: bool) -> Linter | None:
        """A linter for logs of the kit's own, if the channel has one.

        Args:
            exact: whether time passed only when the driver let it.
        """
        if self.make_linter is None:
            return None
        linter = self.make_linter(self.ours)
        linter.latency = 0.0 if exact else _LATENCY
        linter.one_client = True
        return linter

    def check(
        self, *, needs: Iterable[str] = (), timing: bool = False, seconds: float = 0.0
    ) -> Callable[[Run[S]], Run[S]]:
        """Decorates a function that is a check: its name is the check's, its docstring says what is done.

        Args:
            needs: capabilities that it makes use of.
            timing: it is about times.
            seconds: how long it takes at least.
        """

        def take(run: Run[S]) -> Run[S]:
            name = run.__name__
            if name in self.checks or name in self.rules:
                raise ValueError(f"two checks are called {name}")
            self.checks[name] = Check(
                name=name,
                text=inspect.cleandoc(run.__doc__ or ""),
                needs=tuple(needs),
                timing=timing,
                seconds=seconds,
                run=run,
            )
            return run

        return take

    def proved_by(self, make_reference: Callable[[ManualClock], Driver], profile: Profile) -> None:
        """Name what has no fault.

        Args:
            make_reference: makes it, on a clock.
            profile: of it, and of the broken implementations.
        """
        self.make_reference = make_reference
        self.reference_profile = profile

    def breaks(self, peer: BrokenPeer) -> None:
        """Add a broken implementation.

        Raises:
            ValueError: there is one of its name.
        """
        if peer.name in self.broken:
            raise ValueError(f"two broken peers are called {peer.name}")
        self.broken[peer.name] = peer

"""What the servers of one dialogue are checked for together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs

from flowstorm_channel.conformance.drivers import ServerDriver, Wire
from flowstorm_channel.conformance.equivalence.users import USERS, Got
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.stage import ServerStage
from flowstorm_channel.conformance.suite import Suite
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.wire import RequestHead

__all__ = ["SUITE", "AllChannels", "Together"]


class Together(ServerDriver):
    """Drivers for the servers of one dialogue.

    Args:
        drivers: by channel.
    """

    exact: ClassVar[bool] = True  # nothing is said about times

    def __init__(self, drivers: Mapping[str, ServerDriver]) -> None:
        super().__init__(next(iter(drivers.values())).clock)
        self.drivers = drivers

    def connect(self, head: RequestHead) -> Wire:  # noqa: ARG002
        raise NotDeclared("which of the servers is to be connected to?")

    def advance(self, ms: float) -> None:
        for driver in self.drivers.values():
            driver.advance(ms)

    def close(self) -> None:
        for driver in self.drivers.values():
            driver.close()


class AllChannels(ServerStage):
    """What the checks are given: a user on each channel."""

    driver: Together

    def __init__(self, driver: Together, profile: Profile) -> None:
        super().__init__(driver, profile)
        self.users = {
            channel: USERS[channel](each, profile)
            for channel, each in driver.drivers.items()
            if channel in USERS
        }

    def compare(self, capability: str, what: Callable[[Got], Any], works: Callable[[Got], bool]) -> None:
        """Have the same conversation on every channel, and look at one thing in the answers.

        Args:
            capability: said last.
            what: is looked at, in each answer.
            works: whether the last answer shows the capability.

        Raises:
            Violation: it is not the same everywhere.
            NotDeclared: there are no two channels, or no channel shows the capability.
        """
        if len(self.users) < 2:
            raise NotDeclared("one conversation is compared over two channels or more")
        traces = {channel: self._converse(channel, capability) for channel in self.users}
        self.assume(
            capability,
            any(works(trace[-1]) for trace in traces.values()),
            f"no channel showed it at {self.profile.phrase(capability)!r}",
        )
        first, *others = traces
        for line, phrase in enumerate(("the beginning", repr(self.profile.phrase(capability)))):
            expected = what(traces[first][line])
            for channel in others:
                found = what(traces[channel][line])
                if found != expected:
                    raise Violation(
                        f"the answer to {phrase}: {first} gives {expected!r:.200}, {channel} {found!r:.200}"
                    )

    def _converse(self, channel: str, capability: str) -> tuple[Got, Got]:
        user = self.users[channel]
        try:
            return user.begin(), user.say(self.profile.phrase(capability))
        except (AssertionError, Violation) as error:
            raise Untestable(f"{channel}: {error}") from None
        finally:
            first = 1 + max((record.wire for record in self.log), default=-1)
            self.log += [attrs.evolve(record, wire=first + record.wire) for record in user.stage.log]


SUITE = Suite("all", "server", AllChannels)


@SUITE.check(needs=("long",))
def the_same_is_said_on_every_channel(servers: AllChannels) -> None:
    """Begins a conversation and asks for the long answer, on every channel: the words have to be the same."""
    servers.compare("long", lambda got: got.speech, lambda got: len(got.speech.split()) > 2)


@SUITE.check(needs=("image",))
def the_same_is_shown_on_every_channel(servers: AllChannels) -> None:
    """Asks for an image on every channel: the same one has to be shown, if it has an address that platforms
    take."""
    servers.compare("image", _fetched, lambda got: _fetched(got) is not None)


def _fetched(got: Got) -> str | None:
    return got.image if got.image is not None and got.image.startswith("https://") else None


@SUITE.check(needs=("end",))
def a_session_ends_on_every_channel(servers: AllChannels) -> None:
    """Makes the dialogue end the session, on every channel: it has to end on all of them."""
    servers.compare("end", lambda got: got.ended, lambda got: got.ended)

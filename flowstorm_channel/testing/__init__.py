"""For tests without sockets and without waiting: a clock by hand, a link in memory, Hypothesis strategies.

Import `flowstorm_channel.testing.strategies` for the strategies: they need Hypothesis, the rest does not.
"""

from flowstorm_channel.testing.clock import ManualClock
from flowstorm_channel.testing.link import HttpLink, Link

__all__ = ["HttpLink", "Link", "ManualClock"]

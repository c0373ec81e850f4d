"""What a check can come to, and how it says so."""

from enum import Enum

__all__ = ["NotDeclared", "Outcome", "Untestable", "Verdict", "Violation"]


class Verdict(Enum):
    """What is known of a requirement, the worst first."""

    FAIL = "FAIL"
    """A MUST is broken."""
    UNTESTABLE = "UNTESTABLE"
    """What had to come before the check did not work; counts as a failure."""
    WARN = "WARN"
    """A SHOULD is broken, or a time was missed that could not be measured exactly."""
    PASS = "PASS"
    INFO = "INFO"
    """A MAY is not made use of, or the check was left out for its length."""
    NOT_DECLARED = "NOT_DECLARED"
    """It belongs to something that the implementation does not claim to do."""

    __hash__ = object.__hash__

    @property
    def fails(self) -> bool:
        """Whether it makes an implementation not conformant."""
        return self in (Verdict.FAIL, Verdict.UNTESTABLE)


WORST = {verdict: rank for rank, verdict in enumerate(Verdict)}
"""The rank of each: 0 is the worst."""


class Outcome(Exception):
    """Ends a check that does not pass; its text says why, for people."""


class Violation(Outcome):
    """The requirement is broken."""


class NotDeclared(Outcome):
    """The implementation does not do what the check is about, and did not claim to."""


class Untestable(Outcome):
    """The check did not come to its point."""

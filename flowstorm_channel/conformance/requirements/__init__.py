"""The registry: what each end of each channel must do, one row each, in the files beside this one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

import attrs
import cattrs
import yaml  # type: ignore[import-untyped]

from flowstorm_channel.conformance.verdicts import Verdict

__all__ = ["Basis", "Level", "Requirement", "load"]


class Level(Enum):
    """How binding a requirement is (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"

    @property
    def verdict(self) -> Verdict:
        """Of an implementation that does otherwise."""
        return _VERDICTS[self]


_VERDICTS = {Level.MUST: Verdict.FAIL, Level.SHOULD: Verdict.WARN, Level.MAY: Verdict.INFO}


class Basis(Enum):
    """How it is known."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    DECIDED = "decided"
    """Nobody says; settled by the specification that this library implements. Never above SHOULD."""


_ID = re.compile(r"FSC-(V1|V2|ALEXA|GOOGLE|TWILIO|ALL)-[A-Z]+-\d{3}")


@attrs.frozen(kw_only=True)
class Requirement:
    """One row of the registry.

    Args:
        id: such as ``FSC-V1-TURN-003``.
        channel: ``socket-v1``, ``socket-v2``, ``alexa``, ``google``, ``twilio``.
        role: whose duty it is: ``server`` or ``client``.
        level: how binding it is.
        basis: how it is known.
        text: what is required.
        source: where the specification says so.
        checks: the names of the checks that cover it.
        reason: why it cannot be observed from outside, when there are none.
    """

    id: str = attrs.field(validator=attrs.validators.matches_re(_ID))
    channel: str
    role: str = attrs.field(validator=attrs.validators.in_(("server", "client")))
    level: Level
    basis: Basis
    text: str
    source: str
    checks: tuple[str, ...] = ()
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        if self.basis is Basis.DECIDED and self.level is Level.MUST:
            raise ValueError(f"{self.id}: what is decided is never above SHOULD")
        if bool(self.checks) == bool(self.reason):
            raise ValueError(f"{self.id}: either checks, or the reason why there are none")

    @property
    def group(self) -> str:
        """The part of the protocol, such as ``TURN``."""
        return self.id.split("-")[2]


_CONVERTER = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)


@cache
def load(channel: str, role: str) -> Mapping[str, Requirement]:
    """The rows of one end of a channel, by id.

    Args:
        channel: ``socket-v1`` …
        role: ``server`` or ``client``.

    Raises:
        ValueError: the files say something twice.
    """
    name = f"{channel.replace('-', '_')}_{role}.yaml"
    rows: list[dict[str, Any]] = yaml.safe_load(resources.files(__name__).joinpath(name).read_text("utf-8"))
    found: dict[str, Requirement] = {}
    for row in rows:
        each = _CONVERTER.structure({**row, "channel": channel, "role": role}, Requirement)
        if each.id in found:
            raise ValueError(f"{each.id} stands there twice")
        found[each.id] = each
    return found

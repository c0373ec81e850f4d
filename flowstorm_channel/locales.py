"""Languages and time zones as the wire spells them."""

from __future__ import annotations

import re

from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = ["Locale", "check_zone", "locale_from_wire", "locale_to_wire"]

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_]#?[A-Za-z0-9]{1,8})*", re.ASCII)
_OFFSET = re.compile(r"Z|(?:UTC|GMT|UT)?[+-](?:0?\d|1[0-8])(?::?[0-5]\d)?(?::?[0-5]\d)?|UTC|GMT|UT", re.ASCII)


class Locale(str):
    """A BCP 47 language tag, a `str` like ``en-US`` (D-08, D-81).

    Args:
        tag: with hyphens or underscores, in any case. What is no language tag is no error: it becomes
            `DEFAULT`, and `original` tells what it was.
    """

    DEFAULT = "en"
    original: str
    """What was given."""

    def __new__(cls, tag: str) -> Locale:
        if isinstance(tag, Locale):
            return tag
        self = super().__new__(cls, _normal(tag) if _LANGUAGE_TAG.fullmatch(tag) else cls.DEFAULT)
        self.original = str(tag)
        return self

    def __getnewargs__(self) -> tuple[str]:
        return (self.original,)

    @property
    def malformed(self) -> bool:
        """Whether `original` is no language tag, so that the default stands in for it."""
        return _LANGUAGE_TAG.fullmatch(self.original) is None


def _normal(tag: str) -> str:
    language, *rest = tag.replace("_", "-").replace("#", "").split("-")
    return "-".join([language.lower(), *map(_subtag, rest)])


def _subtag(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 else part.lower()


def check_zone(name: str) -> str:
    """Return the name of a time zone when it is one.

    Known are the names of the IANA database, as of the release named in `zone_names`, and offsets such
    as ``+02:00``. The list is part of the library, so that a verdict depends neither on files of the
    machine nor on reading any.

    Raises:
        ValueError: it is unknown (events.md; D-81).
    """
    if name in ZONE_NAMES or _OFFSET.fullmatch(name):
        return name
    raise ValueError(f"{name!r} is not a known time zone")


def locale_from_wire(text: str) -> Locale:
    """A `Locale`, remembered: a conversation names the same few again and again."""
    found = _KNOWN.get(text)
    if found is None:
        found = Locale(text)
        if len(_KNOWN) < _MOST and len(text) <= _LONGEST:
            _KNOWN[text] = found
    return found


# Bounded, since a peer chooses what goes in.
_MOST, _LONGEST = 512, 32
_KNOWN: dict[str, Locale] = {}


def locale_to_wire(locale: str) -> str:
    """The spelling inside events of any language tag: ``en_US``."""
    return locale.replace("-", "_")

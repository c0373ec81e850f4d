"""For users of cattrs: a converter that reads and writes wire classes as the JSON codec does."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from flowstorm_channel.codecs.json import from_json, to_json
from flowstorm_channel.schema import Value
from flowstorm_channel.values import Input, Token

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["converter"]


@cache
def converter() -> Converter:
    """The converter, made at first use.

    Structuring raises `RemoteProtocolError`, unstructuring `LocalProtocolError`.
    """
    from cattrs import Converter  # takes longer to import than all of this package

    made = Converter()
    made.register_structure_hook_func(_is_wire_class, lambda tree, cls: from_json(cls, tree))
    made.register_unstructure_hook_func(_is_wire_class, to_json)
    made.register_structure_hook(Token, _token)
    return made


def _is_wire_class(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Value)


def _token(tree: Any, _: Any) -> Any:
    return from_json(Input, {"tokens": [tree]}).tokens[0]

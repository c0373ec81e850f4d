"""Hypothesis strategies out of JSON Schema: whatever a schema of this library allows, and little else.

They know the keywords that the schemas use. What they give is near to what is valid; the caller filters.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from flowstorm_channel.testing.strategies import json_values, texts

Schema = dict[str, Any]

_LEAST, _MOST = -(2**63), 2**64 - 1
_ANYTHING = json_values()


def instances(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    """What a schema allows.

    Args:
        schema: of the instances.
        root: the document that its references lead into.
    """
    if "$ref" in schema:
        return _referred(schema, root)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "allOf" in schema:
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            merged = _merged(merged, part)
        return instances(merged, root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            rest = {name: value for name, value in schema.items() if name != keyword}
            return st.one_of([instances(_merged(rest, each), root) for each in schema[keyword]])
    kinds = schema.get("type", [])
    if isinstance(kinds, list):
        return (
            st.one_of([instances({**schema, "type": each}, root) for each in kinds]) if kinds else _ANYTHING
        )
    return _of_type(kinds, schema, root)


def _referred(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    name = schema["$ref"].rpartition("/")[2]
    rest = {key: value for key, value in schema.items() if key not in ("$ref", "description", "default")}
    if name != "Json":
        return st.deferred(lambda: instances(root["$defs"][name], root))
    if "properties" in rest:
        return _ANYTHING | instances({**rest, "type": "object"}, root)
    return instances(rest, root) if "type" in rest else _ANYTHING


def _merged(one: Schema, other: Schema) -> Schema:
    both = {**one, **other}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    if "properties" in one and "properties" in other:
        both["properties"] = {**other["properties"], **one["properties"]}
    if "prefixItems" in one and "prefixItems" in other:
        # Those of an alternative bound those of the whole; the caller's filter sees to the rest.
        own = other["prefixItems"]
        both["prefixItems"] = [
            {**each, **own[index]} if index < len(own) else each
            for index, each in enumerate(one["prefixItems"])
        ]
    return both


def _of_type(kind: str, schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", _LEAST), schema.get("maximum", _MOST))
        case "number":
            bounds = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum"))
            floats = st.floats(*bounds, allow_nan=False, allow_infinity=False)
            return floats | st.integers(bounds[0] or _LEAST, bounds[1] or _MOST)
        case "string":
            pattern = schema.get("pattern")
            return texts if pattern is None else st.from_regex(pattern, fullmatch=True)
        case "array":
            return _arrays(schema, root)
    return _objects(schema, root)


def _arrays(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        elements = [instances(each, root) for each in schema["prefixItems"]]
        lengths = st.integers(schema["minItems"], schema["maxItems"])
        return lengths.flatmap(lambda length: st.tuples(*elements[:length]).map(list))
    return st.lists(instances(schema["items"], root), min_size=schema.get("minItems", 0), max_size=3)


def _objects(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    properties = {name: instances(each, root) for name, each in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    known = st.fixed_dictionaries(
        {name: each for name, each in properties.items() if name in required},
        optional={name: each for name, each in properties.items() if name not in required},
    )
    more = st.dictionaries(texts, _ANYTHING, max_size=2)
    return st.builds(lambda unknown, members: {**unknown, **members}, more, known)

"""Objects as a CRD's schema lets them be: what may reach the operator, whatever people write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from fuzz.bounds import json_values

Strategy = st.SearchStrategy[Any]

_CRDS = Path(__file__).parents[2] / "crds"
_MOST = 4  # items; and keys that need not be there
_names = st.sampled_from(["a", "b", "c", "result", "load-1", "A.B", "../x", "", " ", "a/b", "x" * 60])


def spec_of(plural: str) -> Strategy:
    """Return specs of a kind."""
    crd = yaml.safe_load((_CRDS / f"{plural}.podgraph.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return of(schema["properties"]["spec"])


def of(schema: dict[str, Any]) -> Strategy:
    """Return what a schema allows; its CEL rules are not looked at."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**31) | st.sampled_from(["1", "500m", "1Gi", "50%"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema)
    if kind == "array":
        least = schema.get("minItems", 0)
        most = max(least, min(schema.get("maxItems", _MOST), _MOST))
        return st.lists(of(schema.get("items", {})), min_size=least, max_size=most)
    if kind == "string":
        return _string(schema)
    if kind == "integer":
        least, most = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31)
        return st.integers(least, most) | st.sampled_from([least, most])
    if kind == "number":
        return st.floats(schema.get("minimum", -1e9), schema.get("maximum", 1e9))
    return st.booleans() if kind == "boolean" else json_values


def _object(schema: dict[str, Any]) -> Strategy:
    known = {key: of(inner) for key, inner in schema.get("properties", {}).items()}
    required = {key: known.pop(key) for key in schema.get("required", ())}
    if known or required:
        # Few of what may be left out at once: else each example is refused for the same few reasons.
        few = st.sets(st.sampled_from(sorted(known)), max_size=_MOST) if known else st.just(set[str]())
        return few.flatmap(
            lambda keys: st.fixed_dictionaries({**required, **{key: known[key] for key in sorted(keys)}})
        )
    others = schema.get("additionalProperties")
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(_names | st.sampled_from(["ops", "config", "spec", "metadata"]), json_values, max_size=3)
    return st.dictionaries(
        _names, of(others if isinstance(others, dict) else {}), max_size=schema.get("maxProperties", 3)
    )


def _string(schema: dict[str, Any]) -> Strategy:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 300)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"]).filter(lambda text: least <= len(text) <= most)
    texts = (
        _names | st.text(max_size=min(most, 30)) | st.sampled_from(["true", "1", "a.b", "*a+", "s3://x/y", "0 0 * * *"])
    )
    return texts.filter(lambda text: least <= len(text) <= most)

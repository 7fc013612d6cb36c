"""What Kubernetes takes as a name, by the place where the name stands. The CRDs hold the same patterns.

A name that breaks its rule is refused before anything is done with it: names become parts of request paths, and
`../..` in a path is another namespace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError

__all__ = [
    "API_VERSION", "CONFIG_KEY", "IMAGE", "LABEL", "LABEL_KEY", "LABEL_VALUE", "RESOURCE", "SUBDOMAIN",
    "UID", "Rule", "check_field", "check_labels", "check_name", "problem",
]  # fmt: skip

_SHOWN = 60  # characters of a wrong name


@dataclass(frozen=True)
class Rule:
    """One kind of name: a whole name matches `pattern`, and `allowed` says so in words."""

    pattern: str
    most: int
    allowed: str

    def matches(self, text: str) -> bool:
        """Whether a text is such a name."""
        return len(text) <= self.most and re.fullmatch(self.pattern, text) is not None


_ENDS = "and a letter or digit at both ends"

SUBDOMAIN = Rule(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", 253,
    f"a name has at most 253 lower-case letters, digits, '-' and '.', {_ENDS} of each part between dots",
)  # fmt: skip
"""The name of most objects (RFC 1123 subdomain)."""
LABEL = Rule(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63, f"a name has at most 63 lower-case letters, digits and '-', {_ENDS}")
"""The name of a namespace or a container (RFC 1123 label)."""
CONFIG_KEY = Rule(
    r"\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*", 253,
    "a key has at most 253 letters, digits, '-', '_' and '.', and neither is '.' nor begins with '..'",
)  # fmt: skip
"""The key of a ConfigMap or Secret."""
LABEL_VALUE = Rule(
    r"([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?", 63,
    f"a label's value is empty or has at most 63 letters, digits, '-', '_' and '.', {_ENDS}",
)  # fmt: skip
LABEL_KEY = Rule(
    r"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", 317,
    f"a label's key has at most 63 letters, digits, '-', '_' and '.', {_ENDS}, behind a domain and '/' or none",
)  # fmt: skip
"""The key of a label or annotation."""
UID = Rule(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?", 64, f"a uid has at most 64 letters, digits and '-', {_ENDS}")
API_VERSION = Rule(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?v[0-9]([a-z0-9]*[a-z0-9])?", 253,
    "an apiVersion is a version such as v1, or a group, '/' and a version such as apps/v1",
)  # fmt: skip
RESOURCE = Rule(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63,
    f"the plural name of a kind has at most 63 lower-case letters, digits and '-', {_ENDS}",
)  # fmt: skip
IMAGE = Rule(r"[!-~]+", 1024, "an image has at most 1,024 characters of ASCII without white space")


def problem(rule: Rule, text: object) -> str:
    """Return what is wrong with a name and what is allowed, "" when it is right.

    >>> problem(SUBDOMAIN, "nightly-1.load")
    ''
    >>> problem(LABEL, "../x")
    "'../x' is not allowed; a name has at most 63 lower-case letters, ..."
    """
    if isinstance(text, str) and rule.matches(text):
        return ""
    if not isinstance(text, str):
        shown = f"a value of type {type(text).__name__}"
    elif len(text) > _SHOWN:
        shown = f"{text[:_SHOWN]!r}... ({len(text):,} characters)"
    else:
        shown = repr(text)
    return f"{shown} is not allowed; {rule.allowed}"


def check_name(where: str, text: object, rule: Rule = SUBDOMAIN) -> str:
    """Return a name that is right; `where` is the field that holds it. Raises DefinitionError (`InvalidName`)."""
    if wrong := problem(rule, text):
        raise DefinitionError("InvalidName", f"{where}: {wrong}")
    assert isinstance(text, str)
    return text


def check_field(where: str, item: Any, key: str = "name", rule: Rule = SUBDOMAIN, absent: str | None = None) -> str:
    """Return the name that stands in a mapping under a key, `absent` where there is none (None: one must be there).

    Raises DefinitionError (`InvalidName`).
    """
    if not isinstance(item, Mapping):
        raise DefinitionError("InvalidName", f"{where} must be a mapping, not a {type(item).__name__}")
    if absent is not None and not item.get(key):
        return absent
    return check_name(f"{where}.{key}", item.get(key), rule)


def check_labels(where: str, labels: Any) -> dict[str, str]:
    """Return labels that are right. Raises DefinitionError (`InvalidName`)."""
    if not isinstance(labels, Mapping):
        raise DefinitionError("InvalidName", f"{where} must be a mapping, not a {type(labels).__name__}")
    found = {}
    for key, value in labels.items():
        name = check_name(f"a key of {where}", key, LABEL_KEY)
        found[name] = check_name(f"{where}[{name!r}]", value, LABEL_VALUE)
    return found

"""Label and field selectors, parsed once and then matched against objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import bad_request
from .resources import Resource

Match = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!,()<>]+)")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def label_selector(text: str | None) -> Match | None:
    """Parse `a=1,b!=2,c,!d,e in (x,y),f notin (z)`; None when it selects everything."""
    if not text or not text.strip():
        return None
    tests = _Labels(text).parse()
    return lambda labels: all(test(labels) for test in tests)


class _Labels:
    """A recursive-descent parser as small as the grammar."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def parse(self) -> list[Match]:
        tests = [self.requirement()]
        while token := self.take():
            if token != ",":
                raise bad_request(f"found '{token}', expected: ',' or 'end of string'")
            tests.append(self.requirement())
        return tests

    def requirement(self) -> Match:
        if self.peek() == "!":
            self.take()
            absent = self.key()
            return lambda labels: absent not in labels
        key = self.key()
        if self.peek() in ("", ","):
            return lambda labels: key in labels
        operator = self.take()
        if operator in ("in", "notin"):
            wanted = self.values()
            if operator == "in":
                return lambda labels: key in labels and labels[key] in wanted
            return lambda labels: labels.get(key) not in wanted
        if operator in ("<", ">"):
            bound, sign = int(self.take()), 1 if operator == ">" else -1
            return lambda labels: key in labels and (int(labels[key]) - bound) * sign > 0
        if operator in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.take()
            if operator == "!=":
                return lambda labels: labels.get(key) != value
            return lambda labels: labels.get(key) == value
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=")

    def key(self) -> str:
        key = self.take()
        if not _KEY.fullmatch(key):
            raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": not a label key')
        return key

    def values(self) -> frozenset[str]:
        if (opening := self.take()) != "(":
            raise bad_request(f"unable to parse requirement: found '{opening}' expected: '('")
        found: set[str] = set()
        while (token := self.take()) != ")":
            if not token:
                raise bad_request("unable to parse requirement: found '', expected: ')'")
            if token != ",":
                found.add(token)
        return frozenset(found or {""})


def field_selector(resource: Resource, text: str | None) -> Match | None:
    """Parse `metadata.name=x,status.phase!=y`; a field the resource does not index is refused."""
    if not text:
        return None
    tests: list[tuple[list[str], str, bool]] = []
    for term in filter(None, text.split(",")):
        found = re.fullmatch(r"(.*?)(!=|==|=)(.*)", term)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = found.groups()
        if field not in ("metadata.name", "metadata.namespace", *resource.fields):
            raise bad_request(f"field label not supported: {field}")
        tests.append((field.split("."), value, operator != "!="))
    return lambda obj: all((_lookup(obj, path) == value) is equal for path, value, equal in tests)


def _lookup(obj: Any, path: list[str]) -> str:
    for part in path:
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return "" if obj is None else str(obj)


def selector(resource: Resource, labels: str | None, fields: str | None) -> Match | None:
    """Both selectors as one test of an object; None when everything is selected."""
    by_label, by_field = label_selector(labels), field_selector(resource, fields)
    if by_label is None:
        return by_field
    if by_field is None:
        return lambda obj: by_label(obj["metadata"].get("labels") or {})
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)

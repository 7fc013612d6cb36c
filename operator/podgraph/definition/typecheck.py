"""Checks values against type hints. :func:`checker` reads a hint once, so that each check of a value is cheap."""

from __future__ import annotations

import collections
import itertools
import reprlib
import typing
from collections import abc
from typing import Any, Callable, Optional, get_args, get_origin

from podgraph.definition.hints import (
    class_hints,
    is_alias,
    is_class,
    is_empty_tuple,
    is_literal,
    is_typed_dict,
    is_union,
    plain,
    required_keys,
    type_name,
)

__all__ = ["checker", "got", "shown"]

_Bad = Optional[tuple[str, str]]  # the place in the value, and what is there instead
_Test = Callable[[Any], _Bad]
_Part = tuple[Optional[_Test], Any, tuple[Any, ...], str]  # test, part of a value, its place, its description

_MOST_ITEMS = 100
_MOST_SHOWN = 60
_TOWER: dict[type, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}  # see PEP 484
_DICTS = (dict, collections.defaultdict, collections.OrderedDict, abc.Mapping, abc.MutableMapping)
_SETS = (set, frozenset, abc.Set, abc.MutableSet)
_ROWS = (list, tuple, collections.deque, abc.Sequence, abc.MutableSequence, abc.Collection, *_SETS)
# Iterating over any other container could be slow, consume it or fail.
_LOOKED_INTO = (list, tuple, dict, set, frozenset, collections.deque, str, bytes, range)
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 2 * _MOST_SHOWN


def checker(hint: Any) -> Callable[[Any], str | None] | None:
    """Return a function that checks a value against `hint`: it returns None if the value fits, otherwise the problem.

    Returns None instead of a function if every value fits: for Any, and for hints that cannot be checked. A check is
    bounded: it examines the first 100 items of each container, and only the outermost level of a recursive type. As in
    PEP 484, an int fits a float and a bool fits an int.

    >>> check = checker(list[int])
    >>> check([1, 2])
    >>> check([1, 2, "x"])
    "expected list[int], got 'x' (str) at [2]"
    >>> checker(Any)
    """
    name, kinds = type_name(hint), _kinds(hint)
    if kinds is not None:

        def check_kind(value: Any) -> str | None:
            try:
                if isinstance(value, kinds):
                    return None
            except Exception:  # noqa: BLE001 - the value's own code
                return None
            return f"expected {name}, got {_other(value, kinds)}"

        return check_kind
    test = _test(hint, ())
    if test is None:
        return None

    def check(value: Any) -> str | None:
        try:
            bad = test(value)
        except Exception:  # noqa: BLE001 - the value's own code
            return None
        return f"expected {name}, got {bad[1]}{bad[0] and f' at {bad[0]}'}" if bad else None

    return check


def shown(value: Any) -> str:
    """Return the repr of a value, cut at 60 characters. It covers only the first few items, and never fails.

    >>> shown("x"), shown([0] * 1_000_000)
    ("'x'", '[0, 0, 0, 0, 0, 0, ...]')
    """
    try:
        text = _repr.repr(value)
    except Exception:  # noqa: BLE001 - the value's own code
        text = f"<{type(value).__name__}>"
    text = text if type(value) is str else " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def got(value: Any) -> str:
    """Return a value with the name of its type: `'x' (str)`."""
    return "None" if value is None else f"{shown(value)} ({type(value).__name__})"


def _kinds(hint: Any) -> tuple[type, ...] | None:
    """Return the classes whose instances fit; None if isinstance cannot decide it."""
    hint = plain(hint)
    if is_union(hint):
        each = [_kinds(arg) for arg in get_args(hint)]
        return None if None in each else tuple(kind for kinds in each for kind in kinds or ())
    if hint is object or not is_class(hint):
        return None
    try:
        isinstance(None, hint)
    except Exception:  # noqa: BLE001 - a Protocol that is not runtime_checkable, a TypedDict, a metaclass's own code
        return None
    kinds: tuple[type, ...] = _TOWER.get(hint, (hint,))
    return kinds


def _other(value: Any, kinds: tuple[type, ...]) -> str:
    kind = type(value)
    if any(kind.__name__ == other.__name__ for other in kinds):  # a class with the same name in another module
        return f"{shown(value)} ({kind.__module__}.{kind.__qualname__})"
    return got(value)


def _test(hint: Any, within: tuple[Any, ...]) -> _Test | None:
    """Return a test of `hint`, or None if all values pass; `within` are the types that contain it."""
    hint = plain(hint)
    kinds, origin, args = _kinds(hint), get_origin(hint), get_args(hint)
    if kinds is not None:
        return _kind_test(kinds)
    if any(hint is outer for outer in within):
        return None
    if is_alias(hint):
        return _test(hint.__value__, (*within, hint))
    if is_typed_dict(hint):
        return _typed_dict_test(hint, (*within, hint))
    if is_union(hint):
        return _union_test([_test(arg, within) for arg in args])
    if is_literal(hint):
        return lambda value: None if any(_same(value, arg) for arg in args) else ("", got(value))
    if origin is type:
        return _class_test(_kinds(args[0]) if args else None)
    if origin is tuple and not (len(args) == 2 and args[1] is ...):
        return _tuple_test(hint, within)
    if origin in _DICTS and len(args) == 2:
        return _dict_test(origin, _test(args[0], within), _test(args[1], within))
    if origin in _ROWS and args:
        return _items_test(origin, _test(args[0], within))
    return _test(origin, within) if origin is not hint and is_class(origin) else None


def _same(value: Any, literal: Any) -> bool:
    alike = isinstance(value, type(literal)) and isinstance(value, bool) == isinstance(literal, bool)
    return alike and bool(value == literal)


def _kind_test(kinds: tuple[type, ...]) -> _Test:
    return lambda value: None if isinstance(value, kinds) else ("", _other(value, kinds))


def _class_test(kinds: tuple[type, ...] | None) -> _Test:
    return lambda value: None if isinstance(value, type) and issubclass(value, kinds or object) else ("", got(value))


def _union_test(tests: list[_Test | None]) -> _Test | None:
    some = [test for test in tests if test]

    def test(value: Any) -> _Bad:
        deep = []
        for one in some:
            bad = one(value)
            if bad is None:
                return None
            deep += [bad] if bad[0] else []
        return deep[0] if len(deep) == 1 else ("", got(value))

    return test if len(some) == len(tests) else None


def _parts_test(origin: type, parts: Callable[[Any], abc.Iterable[_Part]]) -> _Test:
    def test(value: Any) -> _Bad:
        if not isinstance(value, origin):
            return "", got(value)
        for inner, part, place, what in parts(value) if isinstance(value, _LOOKED_INTO) else ():
            bad = inner(part) if inner else None
            if bad:
                return "".join(f"[{shown(key)}]" for key in place) + bad[0], what + bad[1]
        return None

    return test


def _items_test(origin: type, item: _Test | None) -> _Test:
    def parts(value: Any) -> abc.Iterable[_Part]:
        if origin in _SETS:
            return ((item, part, (), "an item ") for part in itertools.islice(value, _MOST_ITEMS))
        return ((item, part, (at,), "") for at, part in enumerate(itertools.islice(value, _MOST_ITEMS)))

    return _parts_test(origin, parts if item else lambda value: ())


def _tuple_test(hint: Any, within: tuple[Any, ...]) -> _Test:
    args = () if is_empty_tuple(hint) else get_args(hint)
    if any("Unpack[" in repr(arg) or repr(arg).startswith("*") for arg in args) or hint is typing.Tuple:  # noqa: UP006
        return _kind_test((tuple,))
    tests = [_test(arg, within) for arg in args]

    def parts(value: Any) -> abc.Iterable[_Part]:
        if len(value) != len(tests):
            return [(lambda value: ("", f"a tuple of {len(value)}"), value, (), "")]
        return ((test, value[at], (at,), "") for at, test in enumerate(tests))

    return _parts_test(tuple, parts)


def _dict_test(origin: type, key: _Test | None, item: _Test | None) -> _Test:
    def parts(value: Any) -> abc.Iterable[_Part]:
        for name, part in itertools.islice(value.items(), _MOST_ITEMS):
            yield key, name, (), "a key "
            yield item, part, (name,), ""

    return _parts_test(origin, parts if key or item else lambda value: ())


def _typed_dict_test(cls: type, within: tuple[Any, ...]) -> _Test:
    hints = class_hints(cls)
    required = sorted(required_keys(cls, hints))
    tests = {key: _test(hint, within) for key, hint in hints.items()}

    def parts(value: Any) -> abc.Iterable[_Part]:
        for key in required:
            if key not in value:
                yield (lambda key: ("", f"a dict without {key!r}")), key, (), ""
        for key in value.keys() & tests.keys():
            yield tests[key], value[key], (key,), ""

    return _parts_test(dict, parts)

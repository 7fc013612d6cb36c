"""Type hints: those of a function, the name of a hint, and the plain type behind a hint."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
import typing
from collections import abc
from typing import Annotated, Any, Callable, ForwardRef, TypeVar, Union, get_args, get_origin

__all__ = ["class_hints", "hints_of", "plain", "required_keys", "type_name"]
__all__ += ["is_alias", "is_class", "is_empty_tuple", "is_literal", "is_typed_dict", "is_union"]

_MARKS = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
_UNIONS = (Union, getattr(types, "UnionType", Union))


def hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the resolved annotation of each annotated parameter, and of "return".

    Any replaces an annotation that cannot be resolved (a name known only to type checkers, `int | None` on Python 3.9).

    >>> def double(n: "int", other: "Unknown") -> "list[int]": ...
    >>> hints_of(double)
    {'n': <class 'int'>, 'other': typing.Any, 'return': list[int]}
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    if isinstance(fn, type):
        fn = fn.__init__  # type: ignore[misc]
    elif not inspect.isroutine(fn):
        fn = type(fn).__call__
    return _resolved(fn, getattr(fn, "__globals__", {}))


def type_name(hint: Any) -> str:
    """Return a hint in the notation of users.

    >>> type_name(typing.Optional[int]), type_name(typing.List[str]), type_name(typing.Literal["a", 1])
    ('int | None', 'list[str]', "Literal['a', 1]")
    """
    if hint is None or hint is type(None):
        return "None"
    if hint is Any or hint is inspect.Parameter.empty:
        return "Any"
    if isinstance(hint, (str, ForwardRef)):
        return hint if isinstance(hint, str) else hint.__forward_arg__
    if isinstance(hint, list):
        return f"[{', '.join(map(type_name, hint))}]"
    origin, args = get_origin(hint), get_args(hint)
    if _is_mark(origin):
        return type_name(args[0])
    if is_union(hint):
        return " | ".join(map(type_name, args))
    if is_literal(hint):
        return f"Literal[{', '.join(map(repr, args))}]"
    if args:
        return f"{type_name(origin)}[{', '.join(map(type_name, args))}]"
    if origin is not None and origin is not hint:
        return "tuple[()]" if is_empty_tuple(hint) else type_name(origin)
    name = "..." if hint is ... else getattr(hint, "__name__", None) or getattr(hint, "_name", None)
    return name if isinstance(name, str) else repr(hint).replace("typing.", "")


def is_class(hint: Any) -> bool:
    """Return whether `hint` is a class. `list[int]` is not, although isinstance accepts it on Python 3.9 and 3.10."""
    return isinstance(hint, type) and (get_origin(hint) is None or get_origin(hint) is hint)


def is_union(hint: Any) -> bool:
    """Return whether `hint` is Optional, Union or `X | Y`."""
    return get_origin(hint) in _UNIONS


def is_literal(hint: Any) -> bool:
    """Return whether `hint` is a Literal of typing or typing_extensions, which differ on Python 3.9."""
    return getattr(get_origin(hint), "_name", None) == "Literal"


def is_alias(hint: Any) -> bool:
    """Return whether `hint` comes from a `type X = ...` statement."""
    return type(hint).__name__ == "TypeAliasType"


def is_typed_dict(hint: Any) -> bool:
    """Return whether `hint` is a TypedDict class, of typing or of typing_extensions."""
    return is_class(hint) and hasattr(hint, "__required_keys__") and hasattr(hint, "__total__")


def required_keys(cls: Any, hints: dict[str, Any]) -> frozenset[str]:
    """Return the required keys of a TypedDict, even if `from __future__ import annotations` hides NotRequired."""
    marks = {key: set(_marks(hint)) for key, hint in hints.items()}
    return frozenset(
        key
        for key, has in marks.items()
        if "Required" in has or (key in cls.__required_keys__ and "NotRequired" not in has)
    )


def plain(hint: Any) -> Any:
    """Return the type behind Annotated, NewType, Required and similar, and behind a TypeVar with a bound."""
    for _ in range(50):  # bounds the loop for a NewType of itself
        if _is_mark(get_origin(hint)):
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif isinstance(hint, TypeVar):
            constraints = Union[hint.__constraints__] if hint.__constraints__ else Any
            hint = constraints if hint.__bound__ is None else hint.__bound__
        else:
            break
    return type(None) if hint is None else hint


def class_hints(cls: type) -> dict[str, Any]:
    """Return the resolved annotations of a class, with Any for an annotation that cannot be resolved."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001
        return _resolved(cls, vars(sys.modules.get(cls.__module__, types)))


def is_empty_tuple(hint: Any) -> bool:
    """Return whether `hint` is `tuple[()]`, which also has no arguments."""
    return get_origin(hint) is tuple and get_args(hint) in ((), ((),)) and hint is not typing.Tuple  # noqa: UP006


def _resolved(thing: Any, namespace: dict[str, Any]) -> dict[str, Any]:
    try:
        annotations = dict(getattr(thing, "__annotations__", None) or {})
    except NameError:  # Python 3.14 evaluates annotations lazily
        lib = importlib.import_module("annotationlib")
        annotations = lib.get_annotations(thing, format=lib.Format.FORWARDREF)
    try:
        return _evaluated(annotations, namespace)
    except Exception:  # noqa: BLE001 - the text of an annotation is code
        hints = {}
    for name, hint in annotations.items():
        try:
            hints.update(_evaluated({name: hint}, namespace))
        except Exception:  # noqa: BLE001
            hints[name] = Any
    return hints


def _evaluated(annotations: dict[str, Any], namespace: dict[str, Any]) -> dict[str, Any]:
    """Resolve all annotations or fail. The function is not passed: Python 3.9 would add None where it is a default."""
    return typing.get_type_hints(types.SimpleNamespace(__annotations__=annotations), namespace, include_extras=True)


def _is_mark(origin: Any) -> bool:
    return origin is Annotated or getattr(origin, "_name", None) in _MARKS


def _marks(hint: Any) -> abc.Iterator[str]:
    while _is_mark(get_origin(hint)):
        yield getattr(get_origin(hint), "_name", None) or "Annotated"
        hint = get_args(hint)[0]

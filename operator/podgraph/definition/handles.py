"""Placeholders for values while the body of a job runs. They have no value yet; pass them to ops and graphs only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, NoReturn

from podgraph.definition.errors import DefinitionError

__all__ = ["OutputHandle", "Unconnected"]

_BRANCH = "; for a branch, give the op several outputs with Out(is_required=False) and yield one of them"


class _NoValue:
    """Raises DefinitionError for each operation that needs the value."""

    def _what(self) -> str:
        raise NotImplementedError

    def _refuse(self, what: str, instead: str = "do it inside an op") -> NoReturn:
        raise DefinitionError(
            "InvalidGraph",
            f"{self._what()} cannot be {what} inside a job: its value exists only when the job runs; {instead}",
        )

    def __iter__(self) -> Iterator[Any]:
        self._refuse("unpacked or looped over", "give the op several outputs with @op(out={...})")

    def __bool__(self) -> bool:
        self._refuse("tested for truth (if, and, or, not)", "test it inside an op" + _BRANCH)

    def __getitem__(self, key: Any) -> Any:
        self._refuse("indexed", "take the item inside the op that needs it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("called", "pass it to an op instead, as in my_op(value)")

    def __len__(self) -> int:
        self._refuse("measured with len()")

    def __format__(self, spec: str) -> str:
        self._refuse("formatted into a string", "format it inside an op")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse(f"accessed with .{name}", f"use .{name} inside an op")


def _refusing(words: str, more: str = "") -> Callable[..., Any]:
    def refused(self: _NoValue, *others: Any) -> Any:
        self._refuse(words, "do it inside an op" + more)

    return refused


for _name, _sign in {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
}.items():  # fmt: skip
    for _kind in ("", "r"):
        setattr(_NoValue, f"__{_kind}{_name}__", _refusing(f"used with {_sign}"))
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
    setattr(_NoValue, f"__{_name}__", _refusing(f"compared with {_sign}", _BRANCH))
for _name in ("neg", "pos", "abs", "invert", "int", "float", "complex", "index", "round", "contains", "divmod"):
    setattr(_NoValue, f"__{_name}__", _refusing("used in arithmetic"))
for _name in ("enter", "aenter", "await", "aiter"):
    setattr(_NoValue, f"__{_name}__", _refusing("used with `with`, `await` or `async`"))


class _Handle(_NoValue):
    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Handle):
            return type(self) is type(other) and vars(self) == vars(other)
        return bool(self._refuse("compared with ==", "compare it inside an op" + _BRANCH))

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))


@dataclass(frozen=True, eq=False)
class OutputHandle(_Handle):
    """Placeholder for the output of an op while the body of a job runs. Passing it to another op adds an edge."""

    op: str
    output: str

    def _what(self) -> str:
        return f"output {self.output!r} of op {self.op!r}"


@dataclass(frozen=True, eq=False)
class Unconnected(_Handle):
    """Placeholder for an unconnected parameter of a graph or job: run config or a default supplies the value.

    `job_input` is the name of the parameter of the job; "" for a parameter of a graph.
    """

    job_input: str = ""

    def _what(self) -> str:
        return f"input {self.job_input!r} of the job" if self.job_input else "an input of the graph"

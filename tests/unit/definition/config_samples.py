"""Config types of every kind, for the tests of what they say and what they make."""

# ruff: noqa: UP007, UP045 - the old forms are tested too

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
from pathlib import Path
from typing import Any, Literal, NotRequired, Optional, TypedDict, Union

import pydantic

counter = itertools.count()


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Retry:
    """How often to try."""

    max: int = 3
    waits: tuple[float, ...] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.max < 0:
            raise ValueError("max must not be negative")


@dataclasses.dataclass(frozen=True)
class Load:
    path: str = dataclasses.field(metadata={"description": "what to load"})
    mode: Mode = Mode.FAST
    retry: Retry = dataclasses.field(default_factory=Retry)
    tags: frozenset[str] = dataclasses.field(default_factory=frozenset)
    limit: Optional[int] = None
    made: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Misfit:
    n: int = None  # type: ignore[assignment]
    at: float = dataclasses.field(default_factory=lambda: float(next(counter)))
    path: Any = Path("x")
    worst: float = math.nan


@dataclasses.dataclass
class Strict:
    n: int

    def __post_init__(self) -> None:
        raise TypeError


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    lives: int = 9


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    barks: bool = True


class Row(TypedDict):
    n: int
    mode: NotRequired[Mode]


class Loose(TypedDict, total=False):
    n: int


class Inner(pydantic.BaseModel):
    n: int = 3


class Model(pydantic.BaseModel):
    name: str = pydantic.Field(description="its name", min_length=2)
    inner: Inner = Inner()
    mode: Mode = Mode.FAST
    waits: tuple[int, ...] = ()
    choice: Union[int, Inner] = 1


class Exact(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    pair: tuple[int, int] = (1, 2)
    mode: Mode = Mode.FAST


class Names(pydantic.RootModel[list[str]]):
    pass


class Chain(pydantic.BaseModel):
    next: Optional[Chain] = None


@dataclasses.dataclass
class Holder:
    model: Model
    chain: Chain = dataclasses.field(default_factory=Chain)
    more: list[Model] = dataclasses.field(default_factory=list)

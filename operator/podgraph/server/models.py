"""The request bodies of the page, with a limit on each part."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from podgraph.planning.model.kube_names import LABEL, SUBDOMAIN, UID, Rule, problem
from podgraph.server.yaml_text import MOST_TEXT

__all__ = ["Check", "Launch", "Made", "Name", "Named", "Namespace", "Problems", "Rerun", "SourceRef", "Uid"]


def _named(rule: Rule) -> AfterValidator:
    """Return a validator that refuses texts that do not match a rule, with the rule's message."""

    def check(text: str) -> str:
        if wrong := problem(rule, text):
            raise PydanticCustomError("name", "{wrong}", {"wrong": wrong})
        return text

    return AfterValidator(check)


Namespace = Annotated[str, Path(max_length=63), _named(LABEL)]
Name = Annotated[str, Path(max_length=253), _named(SUBDOMAIN)]

InNamespace = Annotated[str, StringConstraints(max_length=63), _named(LABEL)]
Named = Annotated[str, StringConstraints(max_length=253), _named(SUBDOMAIN)]
Uid = Annotated[str, StringConstraints(max_length=64), _named(UID)]
Text = Annotated[str, StringConstraints(max_length=MOST_TEXT)]
Short = Annotated[str, StringConstraints(max_length=1024)]
_MOST_SOURCE = 524_288
_MOST_SELECTION = 65_536


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceRef(_Strict):
    """What to run: a Job that ran (`run`), a JobDefinition (`definition`), or Python `source`. Exactly one of them."""

    run: Named | None = None
    definition: Named | None = None
    source: Annotated[str, StringConstraints(min_length=1, max_length=_MOST_SOURCE)] | None = None
    image: Short = ""
    job: Annotated[str, StringConstraints(max_length=253)] = ""


class Check(_Strict):
    """A selection (comma-separated clauses) and run config (YAML) to check, and the example to return."""

    namespace: InNamespace
    source: SourceRef
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""
    config: Text = ""
    example: Literal["", "Missing", "All", "Known"] = ""


class Launch(_Strict):
    """A Job to create; `maxConcurrent` is the source's when absent, 0 for no limit."""

    namespace: InNamespace
    source: SourceRef
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""
    config: Text = ""
    mode: Literal["", "PodPerStep", "InProcess", "Multiprocess"] = ""
    maxConcurrent: Annotated[int, Field(ge=0, le=5000)] | None = None
    tags: dict[Short, Short] = Field(default_factory=dict, max_length=64)
    name: Annotated[str, StringConstraints(max_length=253)] = ""


class Rerun(_Strict):
    """Which steps of a finished Job to rerun: unsuccessful ones (`FromFailure`), `All`, or those of a `selection`."""

    steps: Literal["FromFailure", "All", "Selected"]
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""


class Problems(BaseModel):
    """Why a request was refused."""

    reason: str
    message: str


class Made(TypedDict):
    """The namespace and name of a created Job."""

    namespace: str
    name: str
    uid: str

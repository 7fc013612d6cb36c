"""What the page sends, with a bound on each part."""

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
    """Return what refuses a text that is no name by a rule, in the words of that rule."""

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
    """A selection (clauses separated by commas) and run config (YAML) to be checked, and which example is wanted."""

    namespace: InNamespace
    source: SourceRef
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""
    config: Text = ""
    example: Literal["", "Missing", "All", "Known"] = ""


class Launch(_Strict):
    """A Job to be made; `maxConcurrent` is as the source has it when absent, 0 for no limit."""

    namespace: InNamespace
    source: SourceRef
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""
    config: Text = ""
    mode: Literal["", "PodPerStep", "InProcess", "Multiprocess"] = ""
    maxConcurrent: Annotated[int, Field(ge=0, le=5000)] | None = None
    tags: dict[Short, Short] = Field(default_factory=dict, max_length=64)
    name: Annotated[str, StringConstraints(max_length=253)] = ""


class Rerun(_Strict):
    """Which steps of a finished Job run again: those not done (`FromFailure`), `All`, or those of a `selection`."""

    steps: Literal["FromFailure", "All", "Selected"]
    selection: Annotated[str, StringConstraints(max_length=_MOST_SELECTION)] = ""


class Problems(BaseModel):
    """Why a request was refused."""

    reason: str
    message: str


class Made(TypedDict):
    """Where a Job is that was made."""

    namespace: str
    name: str
    uid: str

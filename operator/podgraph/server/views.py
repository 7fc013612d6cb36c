"""The response bodies of the server. The page's types are generated from them through the OpenAPI document."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

__all__ = [
    "Checked", "Condition", "ConfigProblem", "Definition", "DefinitionView", "Definitions", "Event", "Family", "Graph",
    "Info", "Op", "Opened", "Pod", "Pods", "Run", "Runs", "Session", "Slip", "Step", "Summary",
]  # fmt: skip


class Info(TypedDict):
    """The version, the namespaces with runs, and whether the cluster has the kinds."""

    version: str
    namespace: str
    namespaces: list[str]
    definitions: bool
    jobs: bool
    synced: bool
    trouble: str
    stepImage: str


class Session(TypedDict):
    """The kind of authentication (none, token or proxy) and the user; `user` is null if nobody is signed in."""

    mode: str
    user: str | None


class Summary(TypedDict):
    """A run in a list; `maker` is the schedule or sensor that created it, such as `schedules/nightly`."""

    namespace: str
    name: str
    uid: str
    created: str
    deleting: bool
    state: str
    message: str
    finished: bool
    canceling: bool
    progress: str
    counts: dict[str, int]
    start: str | None
    completion: str | None
    definition: str
    code: str
    rerunOf: str
    maker: str
    tags: dict[str, str]


class Runs(TypedDict):
    """A page of runs, newest first; `next` requests the next page, "" if there is none."""

    runs: list[Summary]
    next: str
    total: int


class Family(TypedDict):
    """A run with all runs of its lineage, oldest first."""

    runs: list[Summary]


class Stored(TypedDict):
    """An output that is not inline JSON: under a key in the Job's storage, or as a pickle in its status."""

    format: str
    size: NotRequired[int]
    key: NotRequired[str]


class Step(TypedDict):
    """The record of a step."""

    state: str
    attempt: NotRequired[int]
    infrastructureFailures: NotRequired[int]
    retryTime: NotRequired[str]
    startTime: NotRequired[str]
    completionTime: NotRequired[str]
    outputs: NotRequired[dict[str, str]]
    stored: NotRequired[dict[str, Stored]]
    takenFrom: NotRequired[str]
    reason: NotRequired[str]
    message: NotRequired[str]


class Condition(TypedDict):
    """One condition of an object's status."""

    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str


class Storage(TypedDict):
    """Where a Job's outputs and logs are stored."""

    url: NotRequired[str]


class Run(TypedDict):
    """A run: the Job without its graph. The event `run` omits the steps, which have events of their own."""

    summary: Summary
    conditions: list[Condition]
    hasGraph: bool
    steps: NotRequired[dict[str, Step]]
    selection: list[str]
    mode: str
    config: str
    source: str
    yaml: str
    storage: Storage | None
    labels: dict[str, str]
    version: str


class Pod(TypedDict):
    """A pod of a step and the step's container in it: one attempt.

    `ahead`: the pod is prestarted and waits for its inputs. `all`: it runs all steps.
    """

    pod: str
    container: str
    uid: str
    node: str
    phase: str
    ahead: bool
    all: bool
    created: str
    started: str | None
    ended: str | None
    exitCode: int | None
    reason: str
    message: str
    image: str


class Event(TypedDict):
    """A Kubernetes Event of a Job. `op` is the step it is about, "" if it is about the whole Job."""

    type: str
    reason: str
    message: str
    time: str | None
    op: str


class Pods(TypedDict):
    """The pods of a run by step, those of the Job itself under "", and the Events of the Job."""

    pods: dict[str, list[Pod]]
    events: list[Event]


class Ref(TypedDict):
    """An output of an op."""

    op: str
    output: str


class OpInput(TypedDict):
    """An input of an op and where its value comes from."""

    name: str
    type: str
    sources: list[Ref]
    fanIn: bool
    ordering: bool
    literal: str | None
    default: str | None
    jobInput: str


class OpOutput(TypedDict):
    """An output of an op; steps that need an output that is not required may be skipped."""

    name: str
    required: bool


class Op(TypedDict):
    """One op of a graph; `config` is the JSON Schema of its config."""

    name: str
    description: str
    inputs: list[OpInput]
    outputs: list[OpOutput]
    upstream: list[str]
    config: dict[str, Any] | None
    resources: list[str]
    tags: dict[str, str]
    maxRetries: int
    timeout: float | None


class Graph(TypedDict):
    """The ops in run order, the JSON Schemas of the job's resources, and tags for each of its runs."""

    name: str
    tags: dict[str, str]
    resources: dict[str, dict[str, Any] | None]
    ops: list[Op]


class Opened(TypedDict):
    """What the Launchpad shows first: the graph, or why it is unknown, and the defaults."""

    graph: Graph | None
    why: str
    selection: str
    config: str
    mode: str
    modes: list[str]
    maxConcurrent: int | None
    tags: dict[str, str]


Slip = TypedDict("Slip", {"reason": str, "message": str, "from": int, "to": int})
Slip.__doc__ = "An error of a selection and its place."

ConfigProblem = TypedDict(
    "ConfigProblem", {"path": str, "message": str, "missing": bool, "extra": bool, "from": int, "to": int}
)
ConfigProblem.__doc__ = "An error of run config and its place. `extra`: the value is unknown and can be removed."


class Checked(TypedDict):
    """The selected ops, and all errors of the selection and the run config."""

    graphKnown: bool
    why: str
    selected: list[str] | None
    selection: Slip | None
    config: list[ConfigProblem]
    schema: dict[str, Any] | None
    example: str | None


class Definition(TypedDict):
    """A JobDefinition in a list; `lastRun` is its newest run."""

    namespace: str
    name: str
    created: str
    ready: str
    message: str
    ops: int | None
    lastRun: Summary | None


class Definitions(TypedDict):
    """All JobDefinitions; `served` is false if the cluster does not have the kind."""

    served: bool
    definitions: list[Definition]


class DefinitionView(TypedDict):
    """A JobDefinition in full."""

    namespace: str
    name: str
    created: str | None
    graph: Graph | None
    why: str
    settings: str
    source: str
    conditions: list[Condition]

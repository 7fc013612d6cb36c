"""The shapes of what the server answers; the page's types are made from them by way of the OpenAPI document."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

__all__ = [
    "Checked", "Condition", "ConfigProblem", "Definition", "DefinitionView", "Definitions", "Event", "Family", "Graph",
    "Info", "Op", "Opened", "Pod", "Pods", "Run", "Runs", "Session", "Slip", "Step", "Summary",
]  # fmt: skip


class Info(TypedDict):
    """What this page is about: version, namespaces with runs, whether the cluster has the kinds."""

    version: str
    namespace: str
    namespaces: list[str]
    definitions: bool
    jobs: bool
    synced: bool
    trouble: str
    stepImage: str


class Session(TypedDict):
    """How people are known here (none, token or proxy) and who is asking; `user` is null when nobody is signed in."""

    mode: str
    user: str | None


class Summary(TypedDict):
    """A run as a list shows it; `maker` is the schedule or sensor that made it, as `schedules/nightly`."""

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
    """A page of runs, the newest first; `next` asks for the one after it, "" when there is none."""

    runs: list[Summary]
    next: str
    total: int


class Family(TypedDict):
    """A run with all that are reruns of the same, the oldest first."""

    runs: list[Summary]


class Stored(TypedDict):
    """An output that is kept elsewhere: under a key of the Job's storage, or in its status in another form."""

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
    """Where a Job's outputs and logs are kept."""

    url: NotRequired[str]


class Run(TypedDict):
    """A run: the Job without its graph; the event `run` has all of it but its steps, which have events of their own."""

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
    """A pod of a step, and the step's container in it: one attempt at it.

    `ahead`: it waits for its step to be ready; `all`: it runs all steps.
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
    """A Kubernetes Event on a Job. `op` is the step that it is about, "" when it is about the Job as a whole."""

    type: str
    reason: str
    message: str
    time: str | None
    op: str


class Pods(TypedDict):
    """The pods of a run by step, those of the Job itself under "", and the Events on the Job."""

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
    """An output of an op; what needs one that is not required may be skipped."""

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
    """What the Launchpad opens with: the graph, or why it is not known, and the defaults."""

    graph: Graph | None
    why: str
    selection: str
    config: str
    mode: str
    modes: list[str]
    maxConcurrent: int | None
    tags: dict[str, str]


Slip = TypedDict("Slip", {"reason": str, "message": str, "from": int, "to": int})
Slip.__doc__ = "What is wrong with a selection, and where."

ConfigProblem = TypedDict(
    "ConfigProblem", {"path": str, "message": str, "missing": bool, "extra": bool, "from": int, "to": int}
)
ConfigProblem.__doc__ = "What is wrong with run config, and where. `extra`: it has no place and can be removed."


class Checked(TypedDict):
    """What a selection selects, and all that is wrong with it and with run config."""

    graphKnown: bool
    why: str
    selected: list[str] | None
    selection: Slip | None
    config: list[ConfigProblem]
    schema: dict[str, Any] | None
    example: str | None


class Definition(TypedDict):
    """A JobDefinition as a list shows it; `lastRun` is its newest run."""

    namespace: str
    name: str
    created: str
    ready: str
    message: str
    ops: int | None
    lastRun: Summary | None


class Definitions(TypedDict):
    """All JobDefinitions; `served` is false in a cluster that does not have the kind."""

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

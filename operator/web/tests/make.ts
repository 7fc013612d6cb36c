// Test data: whole objects of the API with only what a test is about.
import type { ClusterEvent, Maker, Pod, Run, Step, Summary } from "../src/api";

export const summary = (part: Partial<Summary> = {}): Summary =>
  ({
    namespace: "default",
    name: "run",
    uid: part.name ?? "run",
    created: "2026-11-29T10:00:00Z",
    state: "Running",
    finished: false,
    start: null,
    completion: null,
    definition: "",
    code: "",
    maker: "",
    progress: "",
    tags: {},
    ...part,
  }) as Summary;

export const run = (part: Partial<Summary> = {}, conditions: Partial<Run["conditions"][number]>[] = []): Run =>
  ({ summary: summary(part), conditions }) as Run;

export const step = (part: Partial<Step> = {}): Step => ({ state: "Succeeded", attempt: 1, ...part });

export const pod = (part: Partial<Pod> = {}): Pod =>
  ({
    pod: "p",
    uid: "u",
    node: "n",
    phase: "Running",
    ahead: false,
    all: false,
    created: "2026-11-29T10:00:00Z",
    reason: "",
    ...part,
  }) as Pod;

export const event = (part: Partial<ClusterEvent> = {}): ClusterEvent => ({
  type: "Warning",
  reason: "StepFailed",
  message: "",
  time: "2026-11-29T10:00:05Z",
  op: "",
  ...part,
});

export const maker = (part: Partial<Maker> = {}): Maker =>
  ({
    kind: "schedules",
    namespace: "default",
    name: "nightly",
    uid: "m",
    definition: "job",
    suspended: false,
    nextTick: "",
    ...part,
  }) as Maker;

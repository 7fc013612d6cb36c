// What the server tells (operator/podgraph/server/api.py), and how it is asked.

export type Summary = {
  namespace: string;
  name: string;
  uid: string;
  created: string;
  deleting: boolean;
  state: string;
  message: string;
  finished: boolean;
  canceling: boolean;
  progress: string;
  counts: Record<string, number>;
  start: string | null;
  completion: string | null;
  definition: string;
  code: string;
  rerunOf: string;
  tags: Record<string, string>;
};

export type Stored = { format: string; size?: number; key?: string };

export type Step = {
  state: string;
  attempt?: number;
  infrastructureFailures?: number;
  retryTime?: string;
  startTime?: string;
  completionTime?: string;
  outputs?: Record<string, string>;
  stored?: Record<string, Stored>;
  takenFrom?: string;
  reason?: string;
  message?: string;
};

export type Steps = Record<string, Step>;

export type Condition = { type: string; status: string; reason: string; message: string; lastTransitionTime: string };

export type Run = {
  summary: Summary;
  conditions: Condition[];
  hasGraph: boolean;
  selection: string[];
  mode: string;
  config: string;
  source: string;
  yaml: string;
  storage: { url?: string } | null;
  version: string;
};

export type OpInput = {
  name: string;
  type: string;
  sources: { op: string; output: string }[];
  fanIn: boolean;
  ordering: boolean;
  literal: string | null;
  default: string | null;
  jobInput: string;
};

export type Op = {
  name: string;
  description: string;
  inputs: OpInput[];
  outputs: { name: string; required: boolean }[];
  upstream: string[];
  config: JsonSchema | null;
  resources: string[];
  tags: Record<string, string>;
  maxRetries: number;
  timeout: number | null;
};

export type Graph = { name: string; ops: Op[]; resources: Record<string, JsonSchema | null>; tags: Record<string, string> };

export type JsonSchema = { [key: string]: unknown };

export type Pod = {
  pod: string;
  uid: string;
  node: string;
  phase: string;
  ahead: boolean;
  all: boolean;
  created: string;
  started: string | null;
  ended: string | null;
  exitCode: number | null;
  reason: string;
  message: string;
  image: string;
};

export type ClusterEvent = { type: string; reason: string; message: string; time: string };
export type Pods = { pods: Record<string, Pod[]>; events: ClusterEvent[] };

export type Source =
  | { run: string }
  | { definition: string }
  | { source: string; image: string; job: string };

export type Opened = {
  graph: Graph | null;
  why: string;
  selection: string;
  config: string;
  mode: string;
  modes: string[];
  tags: Record<string, string>;
};

export type Problem = { path: string; message: string; missing: boolean; from: number; to: number };

export type Checked = {
  graphKnown: boolean;
  why: string;
  selected: string[] | null;
  selection: { reason: string; message: string; from: number; to: number } | null;
  config: Problem[];
  schema: JsonSchema | null;
  example: string | null;
};

export type Definition = {
  namespace: string;
  name: string;
  created: string;
  ready: string;
  message: string;
  ops: number | null;
};

export type DefinitionView = {
  namespace: string;
  name: string;
  graph: Graph | null;
  why: string;
  settings: string;
  source: string;
  conditions: Condition[];
};

export type Info = {
  version: string;
  namespace: string;
  namespaces: string[];
  definitions: boolean;
  jobs: boolean;
  trouble: string;
  stepImage: string;
};

/** What the server refuses, as a sentence. */
export class Refused extends Error {
  status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Told to the window when the server does not know (any more) who is asking. */
export const SIGNED_OUT = "podgraph-signed-out";

export async function refusedBy(answer: Response): Promise<Refused> {
  if (answer.status === 401) window.dispatchEvent(new Event(SIGNED_OUT));
  try {
    const told = (await answer.json()) as { message?: string };
    return new Refused(answer.status, told.message || answer.statusText);
  } catch {
    return new Refused(answer.status, `the server answered ${answer.status} ${answer.statusText}`);
  }
}

export async function ask<T>(path: string, method = "GET", body?: unknown, signal?: AbortSignal): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/api${path}`, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "the server does not answer; is podgraph ui still running?");
  }
  if (!answer.ok) throw await refusedBy(answer);
  return (await answer.json()) as T;
}

export const runPath = (run: { namespace: string; name: string }) =>
  `/runs/${encodeURIComponent(run.namespace)}/${encodeURIComponent(run.name)}`;

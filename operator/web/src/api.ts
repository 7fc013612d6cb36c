// What the server tells, by its OpenAPI document (openapi.json), and how it is asked.
import type { components } from "./generated/schema";

type Schemas = components["schemas"];

export type Summary = Schemas["Summary"];
export type Step = Schemas["Step"];
export type Steps = Record<string, Step>;
export type Condition = Schemas["Condition"];
export type Run = Schemas["Run"];
export type Op = Schemas["Op"];
export type Graph = Schemas["Graph"];
export type JsonSchema = { [key: string]: unknown };
export type Pod = Schemas["Pod"];
export type ClusterEvent = Schemas["Event"];
export type Pods = Schemas["Pods"];
export type Opened = Schemas["Opened"];
export type Problem = Schemas["ConfigProblem"];
export type Checked = Schemas["Checked"];
export type Definition = Schemas["Definition"];
export type DefinitionView = Schemas["DefinitionView"];
export type Info = Schemas["Info"];
export type Maker = Schemas["Maker"];
export type Tick = Schemas["Tick"];
export type MakerView = Schemas["MakerView"];
export type Made = Schemas["Made"];
export type Runs = Schemas["Runs"];
export type Session = Schemas["Session"];
export type Family = Schemas["Family"];
export type Source = Partial<Schemas["SourceRef"]>;

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
    return new Refused(answer.status, `The server returned ${answer.status} ${answer.statusText}`);
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
    throw new Refused(0, "The server does not respond. Check that podgraph ui is running.");
  }
  if (!answer.ok) throw await refusedBy(answer);
  return (await answer.json()) as T;
}

const named = (item: { namespace: string; name: string }) => `${encodeURIComponent(item.namespace)}/${encodeURIComponent(item.name)}`;

export const runPath = (run: { namespace: string; name: string }) => `/runs/${named(run)}`;
export const jobPath = (job: { namespace: string; name: string }) => `/jobs/${named(job)}`;
export const makerPath = (maker: { kind: string; namespace: string; name: string }) => `/${maker.kind}/${named(maker)}`;
export const launchpadPath = (job: { namespace: string; name: string }) =>
  `/launchpad?${new URLSearchParams({ definition: `${job.namespace}/${job.name}` })}`;

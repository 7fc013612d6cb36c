// What a step's row of the timeline shows: what it waited for, each pod's way up, each attempt, pauses before retries.
import type { Pod, Step, Steps } from "../api";
import { duration } from "../format";
import { ACTIVE, cssColor } from "../states";

export type Bar = { kind: string; from: number; to: number; title: string; color?: string };

export const time = (text?: string | null) => (text ? Date.parse(text) : NaN);

/** When a step could have begun: when the last of what it waits for was done. */
export function readyAt(upstream: readonly string[], steps: Steps, start: number): number {
  let ready = start;
  for (const up of upstream) {
    const step = steps[up];
    if (!step || step.takenFrom) continue;
    if (!step.completionTime) return NaN;
    ready = Math.max(ready, time(step.completionTime));
  }
  return ready;
}

/** From the time a pod was made until what runs in it began. */
function preparing(pods: Pod[], now: number): Bar[] {
  return pods
    .filter((pod) => pod.created && !pod.all)
    .map((pod) => {
      const to = pod.ahead || !pod.started ? time(pod.ended) || now : time(pod.started);
      const what = pod.ahead ? "prestarted, waiting for its step" : "pod startup";
      return { kind: "prepare", from: time(pod.created), to, title: `${what}: ${duration(to - time(pod.created))}` };
    })
    .filter((bar) => bar.to > bar.from);
}

export function barsOf(name: string, step: Step, pods: Pod[], ready: number, now: number): Bar[] {
  const bars: Bar[] = [];
  const begun = time(step.startTime);
  const attempts = pods.filter((pod) => !pod.ahead && pod.started);
  const earlier = attempts.slice(0, Math.max(0, (step.attempt ?? 1) - (step.state === "UpForRetry" ? 0 : 1)));
  let waiting = ready;
  earlier.forEach((pod, at) => {
    const from = time(pod.started);
    const to = pod.ended ? time(pod.ended) : now;
    if (waiting < from) bars.push({ kind: "wait", from: waiting, to: from, title: `${name} waited` });
    bars.push({
      kind: "retried",
      from,
      to: Math.max(to, from + 1),
      title: `attempt ${at + 1} ended: ${pod.reason}`,
      color: cssColor("Failed"),
    });
    waiting = Math.max(from, to);
  });
  if (step.takenFrom) return [];
  const active = ACTIVE.has(step.state);
  if (!Number.isNaN(begun)) {
    if (waiting < begun) bars.push({ kind: "wait", from: waiting, to: begun, title: `waited ${duration(begun - waiting)}` });
    const to = step.completionTime ? time(step.completionTime) : active ? now : begun;
    bars.push({
      kind: active ? "run live" : "run",
      from: begun,
      to,
      title: `${step.state} ${duration(to - begun)}`,
      color: cssColor(step.state),
    });
  } else if (!Number.isNaN(waiting) && ["Starting", "Running", "Waiting", "Pending", "UpForRetry"].includes(step.state)) {
    bars.push({ kind: step.state === "UpForRetry" ? "wait retry" : "wait", from: waiting, to: now, title: step.state });
  }
  return [...bars, ...preparing(pods, now)]; // over the wait of which it is a part
}

// What happened in a run, as events: from its steps' records, its pods, its conditions and the Kubernetes Events on it.
import type { ClusterEvent, Pod, Run, Steps } from "../api";
import { duration } from "../format";

export const LEVELS = ["error", "warning", "info", "debug"] as const;
export type Level = (typeof LEVELS)[number];
export type RunEvent = { time: string; step: string; type: string; level: Level; message: string };

const ERRORS = new Set(["Failed", "Refused", "DeadlineExceeded", "UpstreamFailed"]);
const lasted = (from?: string | null, to?: string | null) => (from && to ? ` after ${duration(Date.parse(to) - Date.parse(from))}` : "");

function ofSteps(steps: Steps): RunEvent[] {
  return Object.entries(steps).flatMap(([step, record]) => {
    const found: RunEvent[] = [];
    const attempt = (record.attempt ?? 1) > 1 ? `attempt ${record.attempt}` : "";
    if (record.startTime) found.push({ time: record.startTime, step, type: "StepStarted", level: "info", message: attempt });
    if (record.state === "UpForRetry" && record.completionTime)
      found.push({ time: record.completionTime, step, type: "StepUpForRetry", level: "warning", message: record.message ?? "" });
    else if (record.completionTime) {
      const outputs = Object.keys(record.outputs ?? {}).concat(Object.keys(record.stored ?? {}));
      const gave = outputs.length ? `; outputs: ${[...new Set(outputs)].join(", ")}` : "";
      found.push({
        time: record.completionTime,
        step,
        type: `Step${record.state}`,
        level: ERRORS.has(record.state) ? "error" : "info",
        message: record.message || `${record.state.toLowerCase()}${lasted(record.startTime, record.completionTime)}${gave}`,
      });
    }
    return found;
  });
}

function ofPods(pods: Record<string, Pod[]>): RunEvent[] {
  return Object.entries(pods).flatMap(([step, own]) =>
    own.flatMap((pod) => {
      const found: RunEvent[] = [
        { time: pod.created, step, type: "PodCreated", level: "debug", message: pod.pod + (pod.ahead ? ", prestarted" : "") },
      ];
      if (pod.started) found.push({ time: pod.started, step, type: "PodStarted", level: "debug", message: `${pod.pod} on ${pod.node}` });
      if (pod.ended)
        found.push({
          time: pod.ended,
          step,
          type: pod.exitCode ? "PodFailed" : "PodEnded",
          level: pod.exitCode ? "warning" : "debug",
          message: `${pod.pod}: ${pod.reason}, exit code ${pod.exitCode}${lasted(pod.started, pod.ended)}`,
        });
      return found;
    }),
  );
}

export function eventsOf(run: Run, steps: Steps, pods: Record<string, Pod[]>, events: ClusterEvent[]): RunEvent[] {
  const { start, finished } = run.summary;
  const found: RunEvent[] = start ? [{ time: start, step: "", type: "RunStarted", level: "info", message: "" }] : [];
  found.push(...ofPods(pods), ...ofSteps(steps));
  for (const condition of run.conditions)
    if (condition.type === "Succeeded" && finished)
      found.push({
        time: condition.lastTransitionTime,
        step: "",
        type: `Run${condition.reason}`,
        level: ERRORS.has(condition.reason) ? "error" : condition.status === "True" ? "info" : "warning",
        message: condition.message,
      });
  for (const event of events)
    found.push({
      time: event.time ?? "",
      step: event.op,
      type: event.reason,
      level: event.type === "Warning" ? "warning" : "info",
      message: event.message,
    });
  return found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

/** Those that match: `step:` and `type:` hold parts of the two, other words parts of any; all words must match. */
export function matching(events: RunEvent[], text: string, levels: ReadonlySet<Level>): RunEvent[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter((event) => {
    if (!levels.has(event.level)) return false;
    const [step, type] = [event.step.toLowerCase(), event.type.toLowerCase()];
    return words.every((word) => {
      if (word.startsWith("step:")) return step.includes(word.slice(5));
      if (word.startsWith("type:")) return type.includes(word.slice(5));
      return step.includes(word) || type.includes(word) || event.message.toLowerCase().includes(word);
    });
  });
}

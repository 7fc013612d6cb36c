// The run's steps in time: what they waited for, each attempt, retries; live while it runs.
import { Box, Group, Slider, Switch, Text, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Graph, Pod, Step, Steps } from "../api";
import { duration } from "../format";
import { useNow } from "../live";
import { ACTIVE, cssColor } from "../states";

const ROW = 26;
const NAMES = 210;

type Bar = { kind: string; from: number; to: number; title: string; color?: string };

const time = (text?: string | null) => (text ? Date.parse(text) : NaN);

/** When a step could have begun: when the last of what it waits for was done. */
function readyAt(name: string, graph: Graph | null, steps: Steps, start: number): number {
  const op = graph?.ops.find((item) => item.name === name);
  let ready = start;
  for (const up of op?.upstream ?? []) {
    const step = steps[up];
    if (!step || step.takenFrom) continue;
    if (!step.completionTime) return NaN;
    ready = Math.max(ready, time(step.completionTime));
  }
  return ready;
}

function barsOf(name: string, step: Step, pods: Pod[], ready: number, now: number): Bar[] {
  const bars: Bar[] = [];
  const begun = time(step.startTime);
  const attempts = pods.filter((pod) => !pod.ahead && pod.started);
  const earlier = attempts.slice(0, Math.max(0, (step.attempt ?? 1) - (step.state === "UpForRetry" ? 0 : 1)));
  let waiting = ready;
  earlier.forEach((pod, at) => {
    const from = time(pod.started);
    const to = pod.ended ? time(pod.ended) : now;
    if (waiting < from) bars.push({ kind: "wait", from: waiting, to: from, title: `${name} waited` });
    bars.push({ kind: "retried", from, to: Math.max(to, from + 1), title: `attempt ${at + 1} ended: ${pod.reason}`, color: cssColor("Failed") });
    waiting = Math.max(from, to);
  });
  if (step.takenFrom) return bars;
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
  return bars;
}

function ticksOf(span: number): number {
  const wanted = span / 6;
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 432e5, 864e5];
  return steps.find((step) => step >= wanted) ?? 864e5 * Math.ceil(wanted / 864e5);
}

const tickText = (ms: number) => (ms < 1000 && ms > 0 ? `${ms}ms` : duration(ms).replace(".0s", "s"));

type Props = {
  names: string[];
  steps: Steps;
  graph: Graph | null;
  pods: Record<string, Pod[]>;
  start: string | null;
  completion: string | null;
  finished: boolean;
  picked: string;
  chosen: Set<string>;
  onPick: (step: string) => void;
  onChoose: (step: string) => void;
};

export function Gantt({ names, steps, graph, pods, start, completion, finished, picked, chosen, onPick, onChoose }: Props) {
  const [zoom, setZoom] = useState(1);
  const [hiding, setHiding] = useState(false);
  const [text, setText] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(900);
  const clockNow = useNow(200, !finished);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const seen = new ResizeObserver(() => setWidth(element.clientWidth));
    seen.observe(element);
    return () => seen.disconnect();
  }, []);
  const shown = useMemo(
    () =>
      names.filter(
        (name) =>
          (!hiding || steps[name]?.startTime || steps[name]?.attempt) && name.toLowerCase().includes(text.trim().toLowerCase()),
      ),
    [names, steps, hiding, text],
  );
  const from = time(start);
  const lastSeen = finished ? time(completion) : clockNow;
  const span = Math.max(1000, (Number.isNaN(lastSeen) ? 1000 : lastSeen) - (Number.isNaN(from) ? lastSeen : from)) * 1.03;
  const room = Math.max(200, width - NAMES - 20) * zoom;
  const x = (at: number) => ((at - from) / span) * room;
  const tick = ticksOf(span / zoom);
  const rows = useVirtualizer({ count: shown.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 10 });
  const readyBy = useMemo(() => {
    const ops = new Map(graph?.ops.map((op) => [op.name, op]));
    return (name: string) => {
      const op = ops.get(name);
      return readyAt(name, op ? { name: "", ops: [op], resources: {}, tags: {} } : null, steps, from);
    };
  }, [graph, steps, from]);
  return (
    <Box className="column gantt-box">
      <Group gap="md" wrap="nowrap" mb={6}>
        <TextInput
          size="xs"
          aria-label="Find steps"
          placeholder="Find steps"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={NAMES - 10}
        />
        <Switch size="xs" label="Hide not started" checked={hiding} onChange={(event) => setHiding(event.currentTarget.checked)} />
        <Text size="xs" c="dimmed" ml="auto">
          Zoom
        </Text>
        <Slider w={140} size="sm" min={1} max={20} step={0.5} value={zoom} onChange={setZoom} label={null} thumbLabel="Zoom" />
      </Group>
      <div className="gantt" ref={box} role="table" aria-label="Timeline">
        <div className="gantt-head" style={{ width: NAMES + room + 16 }}>
          <span className="gantt-name">Step</span>
          {!Number.isNaN(from) &&
            Array.from({ length: Math.min(200, Math.floor(span / tick) + 1) }, (_, at) => (
              <span key={at} className="tick" style={{ left: NAMES + x(from + at * tick) }}>
                {tickText(at * tick)}
              </span>
            ))}
        </div>
        <div style={{ position: "relative", height: rows.getTotalSize(), width: NAMES + room + 16 }}>
          {rows.getVirtualItems().map((item) => {
            const name = shown[item.index]!;
            const step = steps[name] ?? { state: "Pending" };
            return (
              <div
                key={name}
                role="row"
                className={`gantt-row${name === picked ? " picked" : ""}`}
                style={{ top: item.start, height: ROW }}
                onClick={() => onPick(name)}
              >
                <div className="gantt-name" role="cell">
                  <input
                    type="checkbox"
                    aria-label={`Select ${name}`}
                    checked={chosen.has(name)}
                    onClick={(event) => event.stopPropagation()}
                    onChange={() => onChoose(name)}
                  />
                  <i className={step.state === "Running" ? "dot pulse" : "dot"} style={{ background: cssColor(step.state) }} />
                  <button type="button" className="cut plain" title={`${name}: ${step.state}`} onClick={() => onPick(name)}>
                    {name}
                  </button>
                  {(step.attempt ?? 1) > 1 && (
                    <span className="again" title={`attempt ${step.attempt}`}>
                      ×{step.attempt}
                    </span>
                  )}
                </div>
                <div role="cell" data-step={name} data-state={step.state}>
                  {step.takenFrom ? (
                    <span className="gantt-note" style={{ left: NAMES + 6 }}>
                      taken from {step.takenFrom}
                    </span>
                  ) : (
                    barsOf(name, step, pods[name] ?? [], readyBy(name), clockNow).map((bar, at) => (
                      <span
                        key={at}
                        className={`bar ${bar.kind}`}
                        title={bar.title}
                        style={{
                          left: NAMES + x(bar.from),
                          width: Math.max(bar.kind.startsWith("run") ? 3 : 1, x(bar.to) - x(bar.from)),
                          background: bar.color,
                        }}
                      />
                    ))
                  )}
                </div>
              </div>
            );
          })}
          {!finished && !Number.isNaN(from) && <span className="now" style={{ left: NAMES + x(clockNow) }} />}
        </div>
      </div>
    </Box>
  );
}

// The run's steps in time: what they waited for, how their pods came up, each attempt, retries; live while it runs.
import { Box, Group, Slider, Switch, Text, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Graph, Pod, Steps } from "../api";
import { useNow } from "../hooks/use-now";
import { cssColor } from "../states";
import { ticksOf, tickText } from "./axis";
import { barsOf, readyAt, time } from "./bars";
import { Legend } from "./legend";

const ROW = 26;
const NAMES = 210;

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
        (name) => (!hiding || steps[name]?.startTime || steps[name]?.attempt) && name.toLowerCase().includes(text.trim().toLowerCase()),
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
    const ops = new Map(graph?.ops.map((op) => [op.name, op.upstream]));
    return (name: string) => readyAt(ops.get(name) ?? [], steps, from);
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
        <Legend />
        <Text size="xs" c="dimmed" ml="auto">
          Zoom
        </Text>
        <Slider
          w={140}
          size="sm"
          min={1}
          max={20}
          step={0.5}
          value={zoom}
          onChange={setZoom}
          label={null}
          thumbLabel="Zoom"
          aria-label="Zoom"
        />
      </Group>
      <div className="gantt" ref={box} role="table" aria-label="Timeline" tabIndex={0}>
        <div className="gantt-head" aria-hidden="true" style={{ width: NAMES + room + 16 }}>
          <span className="gantt-name">Step</span>
          {!Number.isNaN(from) &&
            Array.from({ length: Math.min(200, Math.floor(span / tick) + 1) }, (_, at) => (
              <span key={at} className="tick" style={{ left: NAMES + x(from + at * tick) }}>
                {tickText(at * tick)}
              </span>
            ))}
        </div>
        <div role="rowgroup" style={{ position: "relative", height: rows.getTotalSize(), width: NAMES + room + 16 }}>
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

// Runs of the last hours by job, as bars over time, and the next ticks of what makes more.
import { Group, SegmentedControl } from "@mantine/core";
import { useEffect, useMemo } from "react";
import { Link } from "wouter";
import { jobPath, makerPath, runPath, type Maker } from "../api";
import { usePolled } from "../hooks/use-polled";
import { ahead, duration, moment } from "../format";
import { useNow } from "../hooks/use-now";
import { useRuns } from "./use-runs";
import { Empty } from "../components/empty";
import { Notice } from "../components/notice";
import { RunCount } from "./count";
import { ticksOf } from "../run/axis";
import { colorOf, cssColor } from "../states";
import { rowsOf, type Bar } from "./lanes";
import type { RunQuery } from "./query";
import { millisecondsOf, sinceOf, TIMELINE_SPANS } from "./times";

const MOST = 2000; // runs that are drawn
const TO_COME = 0.12; // how much of the span is shown of the time to come
const LANE = 16;

type Props = { query: RunQuery; span: string; onSpan: (span: string) => void };

export default function Timeline({ query, span, onSpan }: Props) {
  const alive = useMemo(() => sinceOf(span), [span]);
  const list = useRuns({ ...query, since: "", alive });
  const { runs, total, loading, error, more } = list;
  const { data } = usePolled<{ makers: Maker[] }>("/makers/schedules", 10_000);
  const now = useNow(millisecondsOf(span) > 3_600_000 ? 10_000 : 2_000);
  const listed = runs.length;
  useEffect(() => {
    if (listed < Math.min(total, MOST)) more();
  }, [listed, total, more]);

  const length = millisecondsOf(span);
  const [from, end] = [now - length, now + length * TO_COME];
  const place = (time: number) => `${(100 * (Math.min(end, Math.max(from, time)) - from)) / (end - from)}%`;
  const narrowed = !!(query.text || query.definition || query.states?.length || query.tags?.length);
  const rows = useMemo(() => {
    const all = rowsOf(runs, data?.makers ?? [], { from, now, end });
    return narrowed ? all.filter((row) => row.bars.length) : all;
  }, [runs, data, narrowed, from, now, end]);
  const tick = ticksOf(length);
  const first = Math.ceil((from - zone(from)) / tick) * tick + zone(from);
  return (
    <div className="table timeline">
      <Group px={14} py={6} gap="md" className="timeline-head">
        <SegmentedControl
          size="xs"
          aria-label="How much time is shown"
          value={span}
          onChange={onSpan}
          data={TIMELINE_SPANS.map((value) => ({ value, label: value }))}
        />
        <RunCount list={list}>{total > MOST && `, the last ${MOST.toLocaleString()} of them`}</RunCount>
      </Group>
      {error && (
        <Notice color="red" title="Cannot list the runs">
          {error}
        </Notice>
      )}
      <div className="scroll" tabIndex={0} role="region" aria-label="Runs over time">
        <div className="timeline-axis" aria-hidden="true">
          {Array.from({ length: Math.max(0, Math.floor((end - first) / tick) + 1) }, (_, at) => first + at * tick).map((time) => (
            <span key={time} className="tick" style={{ left: place(time) }}>
              {axisText(time, tick)}
            </span>
          ))}
        </div>
        {rows.map((row) => (
          <section key={row.key} className="timeline-row" aria-label={row.name}>
            <div className="cut timeline-name">
              {row.isDefinition ? (
                <Link className="link strong" href={jobPath(row)}>
                  {row.name}
                </Link>
              ) : (
                <span>{row.name}</span>
              )}{" "}
              <small className="quiet">{row.namespace}</small>
            </div>
            <div className="timeline-bars" style={{ height: row.lanes * LANE + 12 }}>
              {row.bars.map((bar) => (
                <RunBar key={bar.run.uid} bar={bar} left={place(bar.from)} right={place(bar.to)} />
              ))}
              {row.next.map((maker) => (
                <Link
                  key={maker.uid}
                  className="next-tick"
                  href={makerPath(maker)}
                  aria-label={`next tick of ${maker.name}`}
                  title={`${maker.name}: ${moment(maker.nextTick, now)}, ${ahead(maker.nextTick, now)}`}
                  style={{ left: place(Date.parse(maker.nextTick)) }}
                />
              ))}
              <span className="now" style={{ left: place(now) }} />
            </div>
          </section>
        ))}
        {!rows.length && !loading && !error && <Empty title={`No runs in the last ${span}.`} />}
      </div>
    </div>
  );
}

function RunBar({ bar, left, right }: { bar: Bar; left: string; right: string }) {
  const { run } = bar;
  const what = `${run.name}: ${run.state} ${duration(bar.to - bar.from)}${run.progress && `, ${run.progress} steps`}`;
  return (
    <Link
      className="run-bar"
      href={runPath(run)}
      aria-label={what}
      title={run.message ? `${what}\n${run.message}` : what}
      data-color={colorOf(run.state)}
      style={{ left, width: `max(4px, calc(${right} - ${left}))`, top: 6 + bar.lane * LANE, background: cssColor(run.state) }}
    />
  );
}

/** How far the clock on the wall is off UTC, in milliseconds: marks stand at its full hours. */
const zone = (time: number) => new Date(time).getTimezoneOffset() * 60_000;

function axisText(time: number, tick: number): string {
  const at = new Date(time);
  if (tick >= 43_200_000 && at.getHours() === 0) return at.toLocaleDateString([], { month: "short", day: "numeric" });
  return at.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" });
}

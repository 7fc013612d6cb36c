// Where a timeline draws each run: a row for each job, in it a lane for each that goes on beside others.
import type { Maker, Summary } from "../api";

export type Bar = { run: Summary; from: number; to: number; lane: number };
export type JobRow = { key: string; namespace: string; name: string; isDefinition: boolean; bars: Bar[]; lanes: number; next: Maker[] };

const MOST_LANES = 6; // further ones are drawn over the last

export type Span = { from: number; now: number; end: number };

/** Rows of what ran in a span of time and of what will make runs in it, the job that was last at work first; in ms. */
export function rowsOf(runs: readonly Summary[], makers: readonly Maker[], { from: begin, now, end }: Span): JobRow[] {
  const rows = new Map<string, JobRow>();
  const rowOf = (namespace: string, name: string, isDefinition: boolean) => {
    const key = `${namespace}/${name}/${isDefinition}`;
    const found = rows.get(key) ?? { key, namespace, name, isDefinition, bars: [], lanes: 1, next: [] };
    rows.set(key, found);
    return found;
  };
  for (const run of runs) {
    const from = Date.parse(run.start ?? run.created);
    const to = run.completion ? Date.parse(run.completion) : run.finished ? from : now;
    if (to < begin) continue;
    const row = rowOf(run.namespace, run.definition || run.code || run.name, !!run.definition);
    row.bars.push({ run, from, to: Math.max(from, to), lane: 0 });
  }
  for (const maker of makers) {
    const at = maker.suspended || !maker.nextTick ? NaN : Date.parse(maker.nextTick);
    if (maker.definition && at > now && at <= end) rowOf(maker.namespace, maker.definition, true).next.push(maker);
  }
  for (const row of rows.values()) layOut(row);
  const last = (row: JobRow) => Math.max(...row.bars.map((bar) => bar.to), 0);
  return [...rows.values()].sort((one, other) => last(other) - last(one) || (one.key < other.key ? -1 : 1));
}

function layOut(row: JobRow): void {
  row.bars.sort((one, other) => one.from - other.from);
  const ends: number[] = [];
  for (const bar of row.bars) {
    const free = ends.findIndex((end) => end <= bar.from);
    bar.lane = free >= 0 ? free : Math.min(ends.length, MOST_LANES - 1);
    ends[bar.lane] = Math.max(bar.to, ends[bar.lane] ?? 0);
  }
  row.lanes = Math.max(1, ends.length);
}

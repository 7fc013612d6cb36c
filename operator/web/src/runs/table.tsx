// Runs, live: filtered by the server, and only the rows in view are drawn.
import { Box, Loader } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { lazy, Suspense, useEffect, useRef, type ReactNode } from "react";
import { useNow } from "../hooks/use-now";
import { useRuns } from "./use-runs";
import type { RunQuery } from "./query";
import { RunRow } from "./row";
import { useChosen } from "./use-chosen";
import { Empty } from "../components/empty";
import { Notice } from "../components/notice";
import { RunCount } from "./count";

const Bulk = lazy(() => import("./bulk"));

const ROW = 40;
const HEADS = ["State", "Run", "Job", "Created by", "Steps", "Duration", "Age", "Tags"];
const NUMBERS = new Set(["Steps", "Duration", "Age"]);

type Props = { query: RunQuery; none: ReactNode; onTag?: (tag: string) => void };

export function RunsTable({ query, none, onTag }: Props) {
  const list = useRuns(query);
  const { runs, total, loading, error, more } = list;
  const { runs: picked, has, choose, chooseAll } = useChosen(runs);
  const now = useNow(1000);
  const box = useRef<HTMLDivElement>(null);
  const initialRect = { width: window.innerWidth, height: window.innerHeight }; // till the box is measured
  const rows = useVirtualizer({
    count: runs.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
    initialRect,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last > runs.length - 60) more();
  }, [last, runs.length, more]);
  return (
    <>
      {error && (
        <Notice color="red" title="Cannot list the runs">
          {error}
        </Notice>
      )}
      <div className="table runs">
        <div role="table" aria-label="Runs" aria-rowcount={total}>
          <div className="row head" role="row">
            <span role="columnheader">
              <input
                type="checkbox"
                aria-label="Choose all runs that are listed"
                checked={!!runs.length && picked.length === runs.length}
                ref={(input) => {
                  if (input) input.indeterminate = !!picked.length && picked.length < runs.length;
                }}
                onChange={(event) => chooseAll(event.currentTarget.checked)}
              />
            </span>
            {HEADS.map((name) => (
              <span key={name} role="columnheader" className={NUMBERS.has(name) ? "number" : ""}>
                {name}
              </span>
            ))}
          </div>
          <div className="scroll" ref={box} tabIndex={0} role="rowgroup" aria-label="All runs">
            <Box pos="relative" h={rows.getTotalSize()}>
              {items.map((item) => {
                const run = runs[item.index];
                return (
                  run && (
                    <div
                      key={`${run.namespace}/${run.name}`}
                      className="row"
                      role="row"
                      aria-rowindex={item.index + 1}
                      style={{ position: "absolute", top: item.start, height: ROW }}
                    >
                      <RunRow run={run} now={now} chosen={has(run)} onChoose={choose} onTag={onTag} />
                    </div>
                  )
                );
              })}
            </Box>
            {loading && !runs.length && <Loader size="sm" m="md" />}
            {!loading && !error && !runs.length && (typeof none === "string" ? <Empty title={none} /> : none)}
          </div>
        </div>
        <div className="table-foot">
          <RunCount list={list} />
          {picked.length > 0 && (
            <Suspense>
              <Bulk runs={picked} onDone={() => chooseAll(false)} />
            </Suspense>
          )}
        </div>
      </div>
    </>
  );
}

// The list of runs, kept up to date by server-sent events.
import { useCallback, useEffect, useRef, useState } from "react";
import { ask, type Runs, type Summary } from "../api";
import { takeRuns } from "../bootstrap";
import { listen } from "../stream";
import { matches, searchOf, type RunQuery } from "./query";

const LIMIT = "300"; // runs that are asked for at a time

const keyOf = (run: { namespace: string; name: string }) => `${run.namespace}/${run.name}`;
const newer = (a: Summary, b: Summary) => (a.created !== b.created ? (a.created < b.created ? 1 : -1) : keyOf(a) < keyOf(b) ? 1 : -1);

export type RunList = { runs: Summary[]; total: number; loading: boolean; error: string; live: boolean; more: () => void };

/** Runs that match, the newest first; more of them as `more` is called, changes as they happen. */
export function useRuns(query: RunQuery): RunList {
  const asked = searchOf(query);
  const [shown, setShown] = useState<Runs>(() => takeRuns() ?? { runs: [], total: 0, next: "" });
  const [loaded, setLoaded] = useState<string | null>(null); // the query of which something is known
  const loading = loaded !== asked;
  const [error, setError] = useState("");
  const [live, setLive] = useState(false);
  const busy = useRef(false);
  const next = useRef("");
  const ended = useRef(new AbortController());
  const wanted = useRef(query);
  useEffect(() => {
    wanted.current = query;
  }, [query]);

  useEffect(() => {
    ended.current = new AbortController();
    // Each time the line is up, the whole list is told again, and then what changes of it.
    const list = (page: Runs) => {
      next.current = page.next;
      setShown(page);
      setError("");
      setLive(true);
      setLoaded(asked);
    };
    const runs = ({ changed, gone }: { changed: Summary[]; gone: [string, string][] }) => {
      const out = new Set(gone.map(([namespace, name]) => `${namespace}/${name}`));
      const inside = changed.filter((run) => matches(run, wanted.current));
      for (const run of changed) out.add(keyOf(run));
      setShown((old) => {
        const kept = old.runs.filter((run) => !out.has(keyOf(run)));
        const last = old.next ? old.runs.at(-1) : undefined;
        const fresh = inside.filter((run) => !last || newer(run, last) <= 0);
        const runs = merged(kept, fresh);
        return { ...old, runs, total: Math.max(0, old.total + runs.length - old.runs.length) };
      });
    };
    const close = listen(`/runs/events?${asked}&limit=${LIMIT}`, { list, runs }, (why) => {
      setLive(false);
      if (why) setError(why);
      setLoaded(asked);
    });
    return () => {
      ended.current.abort();
      close();
    };
  }, [asked]);

  const more = useCallback(() => {
    if (busy.current || !next.current) return;
    busy.current = true;
    const { signal } = ended.current;
    ask<Runs>(`/runs?${asked}&${new URLSearchParams({ before: next.current, limit: LIMIT })}`, "GET", undefined, signal)
      .then(
        (page) => {
          next.current = page.next;
          setShown((old) => ({ runs: merged(old.runs, page.runs), total: page.total, next: page.next }));
        },
        (problem: Error) => {
          if (!signal.aborted) setError(problem.message);
        },
      )
      .finally(() => (busy.current = false));
  }, [asked]);
  return { runs: shown.runs, total: shown.total, loading, error, live, more };
}

function merged(some: Summary[], others: Summary[]): Summary[] {
  if (!others.length) return some;
  const all = new Map([...some, ...others].map((run) => [keyOf(run), run]));
  return [...all.values()].sort(newer);
}

// One run and its pods, kept up to date by server-sent events.
import { useEffect, useRef, useState } from "react";
import { ask, runPath, type Graph, type Pods, type Run, type Steps } from "../api";
import { listen } from "../stream";

export type LiveRun = { run: Run | null; steps: Steps; graph: Graph | null; gone: boolean; trouble: string };

/** A run as it goes on. The page of each run has a key of its own, so all this begins empty. */
export function useRun(namespace: string, name: string): LiveRun {
  const [run, setRun] = useState<Run | null>(null);
  const [steps, setSteps] = useState<Steps>({});
  const [graph, setGraph] = useState<Graph | null>(null);
  const [gone, setGone] = useState(false);
  const [trouble, setTrouble] = useState("");
  const path = runPath({ namespace, name });
  const uid = run?.summary.uid;

  useEffect(() => {
    let first = true;
    const on = {
      run: (told: Run) => {
        setTrouble("");
        setRun(told);
      },
      steps: (told: Steps) => {
        const whole = first; // a new line tells all steps again
        first = false;
        setSteps((old) => (whole ? told : { ...old, ...told }));
      },
      gone: () => {
        setGone(true);
        close();
      },
      trouble: ({ message }: { message: string }) => setTrouble(message),
    };
    const close = listen(`${path}/events`, on, (why) => {
      first = true;
      setTrouble(why || "The server does not respond. Retrying.");
    });
    return () => close();
  }, [path]);

  const known = run?.hasGraph ?? false;
  useEffect(() => {
    if (!known) return;
    const ended = new AbortController();
    ask<Graph>(`${path}/graph`, "GET", undefined, ended.signal).then(setGraph, () => {});
    return () => ended.abort();
  }, [path, known, uid]);
  return { run, steps, graph, gone, trouble };
}

/** The pods of a run and the Events on it, looked up again when `version` changes, at most each second. */
export function usePods(namespace: string, name: string, version: string): Pods {
  const [pods, setPods] = useState<Pods>({ pods: {}, events: [] });
  const last = useRef(0);
  useEffect(() => {
    if (!version) return;
    const ended = new AbortController();
    const timer = setTimeout(
      () => {
        last.current = Date.now();
        ask<Pods>(`${runPath({ namespace, name })}/pods`, "GET", undefined, ended.signal).then(setPods, () => {});
      },
      Math.max(0, 1000 - (Date.now() - last.current)),
    );
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [namespace, name, version]);
  return pods;
}

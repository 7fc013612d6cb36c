// Data that is fetched again and again while the page is visible.
import { useCallback, useEffect, useState } from "react";
import { ask } from "../api";

export type Polled<T> = { data: T | null; error: string; refetch: () => void };

/** The response of a GET, fetched again every `every` milliseconds while the page is visible.

`data` keeps its last value after an error, and stays the same object until a different response comes. */
export function usePolled<T>(path: string, every = 4000): Polled<T> {
  const [answer, setAnswer] = useState<{ of: string; text: string; value: T } | null>(null);
  const [error, setError] = useState("");
  const [count, setCount] = useState(0);
  useEffect(() => {
    const ended = new AbortController();
    const load = () =>
      ask<T>(path, "GET", undefined, ended.signal).then(
        (value) => {
          const text = JSON.stringify(value);
          setAnswer((old) => (old?.of === path && old.text === text ? old : { of: path, text, value }));
          setError("");
        },
        (problem: Error) => {
          if (!ended.signal.aborted) setError(problem.message);
        },
      );
    void load();
    const timer = setInterval(() => {
      if (!document.hidden) void load();
    }, every);
    return () => {
      ended.abort();
      clearInterval(timer);
    };
  }, [path, every, count]);
  const refetch = useCallback(() => setCount((old) => old + 1), []);
  return { data: answer?.of === path ? answer.value : null, error, refetch };
}

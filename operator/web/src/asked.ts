// What the server is asked for again and again while it is seen.
import { useCallback, useEffect, useState } from "react";
import { ask } from "./api";

export type Asked<T> = { told: T | null; problem: string; again: () => void };

/** The answer to a GET, asked for anew each `every` milliseconds while the page is in sight.

What was told stays, and stays the same object until something else is told. */
export function useAsked<T>(path: string, every = 4000): Asked<T> {
  const [told, setTold] = useState<{ of: string; text: string; value: T } | null>(null);
  const [problem, setProblem] = useState("");
  const [count, setCount] = useState(0);
  useEffect(() => {
    const ended = new AbortController();
    const load = () =>
      ask<T>(path, "GET", undefined, ended.signal).then(
        (value) => {
          const text = JSON.stringify(value);
          setTold((old) => (old?.of === path && old.text === text ? old : { of: path, text, value }));
          setProblem("");
        },
        (error: Error) => {
          if (!ended.signal.aborted) setProblem(error.message);
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
  const again = useCallback(() => setCount((old) => old + 1), []);
  return { told: told?.of === path ? told.value : null, problem, again };
}

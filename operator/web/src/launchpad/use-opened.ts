// What a tab's job or run is: its graph and its defaults.
import { useEffect, useState } from "react";
import { ask, type Opened } from "../api";
import type { Session } from "./sessions";

export function useOpened({ kind, at }: Session): { opened: Opened | null; problem: string } {
  const [found, setFound] = useState<{ of: string; opened: Opened | null; problem: string }>({ of: "", opened: null, problem: "" });
  const key = kind === "source" || !at ? "" : `${kind} ${at}`;
  useEffect(() => {
    if (!key) return;
    const ended = new AbortController();
    const [namespace, name] = at.split("/");
    ask<Opened>("/source", "POST", { namespace, source: { [kind]: name } }, ended.signal).then(
      (opened) => setFound({ of: key, opened, problem: "" }),
      (error: Error) => {
        if (!ended.signal.aborted) setFound({ of: key, opened: null, problem: error.message });
      },
    );
    return () => ended.abort();
  }, [key, kind, at]);
  return found.of === key && key ? found : { opened: null, problem: "" };
}

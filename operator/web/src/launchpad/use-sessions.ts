// Keeps the Launchpad's tabs in the browser's storage, so that they are there again after a reload.
import { useCallback, useState } from "react";
import { made, type Session, type Sessions } from "./sessions";

const KEY = "podgraph-launchpad";

const isSession = (item: unknown): item is Session =>
  typeof item === "object" && item !== null && "id" in item && "kind" in item && "config" in item;

function kept(): Sessions {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "") as Partial<Sessions>;
    const whole = (items?: unknown[]) => (items ?? []).filter(isSession).map((item) => ({ ...made(item.kind, item.at), ...item }));
    const open = whole(found.open);
    if (open.length)
      return { open, active: open.some((item) => item.id === found.active) ? found.active! : open[0]!.id, closed: whole(found.closed) };
  } catch {
    // nothing kept, or nothing that can be read
  }
  const first = made("source", "");
  return { open: [first], active: first.id, closed: [] };
}

function keep(sessions: Sessions): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(sessions));
  } catch {
    // the storage is full or shut: the tabs then last as long as the page
  }
}

export function useSessions(): [Sessions, (change: (old: Sessions) => Sessions) => void] {
  const [sessions, setSessions] = useState(kept);
  const change = useCallback(
    (how: (old: Sessions) => Sessions) =>
      setSessions((old) => {
        const next = how(old);
        keep(next);
        return next;
      }),
    [],
  );
  return [sessions, change];
}

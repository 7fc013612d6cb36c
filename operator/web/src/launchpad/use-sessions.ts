// Keeps the Launchpad's tabs in the browser's storage, those of each person apart, so that they are there after a reload.
import { useCallback, useState } from "react";
import { useUser } from "../session";
import { made, type Session, type Sessions } from "./sessions";

const keyOf = (user: string) => `podgraph-launchpad${user && ` ${user}`}`;

const isSession = (item: unknown): item is Session =>
  typeof item === "object" && item !== null && "id" in item && "kind" in item && "config" in item;

function kept(user: string): Sessions {
  try {
    const found = JSON.parse(localStorage.getItem(keyOf(user)) ?? "") as Partial<Sessions>;
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

function keep(user: string, sessions: Sessions): void {
  try {
    localStorage.setItem(keyOf(user), JSON.stringify(sessions));
  } catch {
    // the storage is full or shut: the tabs then last as long as the page
  }
}

export function useSessions(): [Sessions, (change: (old: Sessions) => Sessions) => void] {
  const user = useUser();
  const [sessions, setSessions] = useState(() => kept(user));
  const change = useCallback(
    (how: (old: Sessions) => Sessions) =>
      setSessions((old) => {
        const next = how(old);
        keep(user, next);
        return next;
      }),
    [user],
  );
  return [sessions, change];
}

// Which runs of a list are chosen, to do something with all of them.
import { useCallback, useMemo, useRef, useState } from "react";
import type { Summary } from "../api";

export type Chosen = {
  runs: Summary[];
  has: (run: Summary) => boolean;
  /** Chooses a run or not; with `through`, all between it and the one that was clicked before as well. */
  choose: (run: Summary, through: boolean) => void;
  chooseAll: (yes: boolean) => void;
};

export function useChosen(all: Summary[]): Chosen {
  const [uids, setUids] = useState<ReadonlySet<string>>(new Set());
  const last = useRef("");
  const listed = useRef(all);
  listed.current = all;
  const runs = useMemo(() => (uids.size ? all.filter((run) => uids.has(run.uid)) : []), [all, uids]);
  const choose = useCallback((run: Summary, through: boolean) => {
    const at = (uid: string) => listed.current.findIndex((other) => other.uid === uid);
    const [from, to] = [at(last.current), at(run.uid)].sort((one, other) => one - other) as [number, number];
    const range = through && from >= 0 ? listed.current.slice(from, to + 1) : [run];
    last.current = run.uid;
    setUids((old) => {
      const next = new Set(old);
      for (const { uid } of range) old.has(run.uid) ? next.delete(uid) : next.add(uid);
      return next;
    });
  }, []);
  const chooseAll = useCallback((yes: boolean) => setUids(new Set(yes ? listed.current.map((run) => run.uid) : [])), []);
  return { runs, has: (run) => uids.has(run.uid), choose, chooseAll };
}

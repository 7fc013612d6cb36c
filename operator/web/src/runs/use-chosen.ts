// Which runs of a list are chosen, to do something with all of them.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Summary } from "../api";

export type Chosen = {
  runs: Summary[];
  has: (run: Summary) => boolean;
  /** Chooses a run or not; with `through`, all between it and the one that was clicked before as well. */
  choose: (run: Summary, through: boolean) => void;
  chooseAll: (yes: boolean) => void;
};

/** The runs of a list from the one with this uid to `run`, whichever comes first; `run` alone when there is no such one. */
export function between(all: readonly Summary[], uid: string, run: Summary): Summary[] {
  const at = (wanted: string) => all.findIndex((other) => other.uid === wanted);
  const [from, to] = [at(uid), at(run.uid)].sort((one, other) => one - other) as [number, number];
  return from >= 0 ? all.slice(from, to + 1) : [run];
}

/** The chosen uids with a range more or less: as the run with this uid was not chosen, or was. */
export function toggled(chosen: ReadonlySet<string>, uid: string, range: readonly Summary[]): Set<string> {
  const next = new Set(chosen);
  for (const run of range) {
    if (chosen.has(uid)) next.delete(run.uid);
    else next.add(run.uid);
  }
  return next;
}

export function useChosen(all: Summary[]): Chosen {
  const [uids, setUids] = useState<ReadonlySet<string>>(new Set());
  const last = useRef("");
  const listed = useRef(all);
  useEffect(() => {
    listed.current = all;
  }, [all]);
  const runs = useMemo(() => (uids.size ? all.filter((run) => uids.has(run.uid)) : []), [all, uids]);
  const choose = useCallback((run: Summary, through: boolean) => {
    const range = through ? between(listed.current, last.current, run) : [run];
    last.current = run.uid;
    setUids((old) => toggled(old, run.uid, range));
  }, []);
  const chooseAll = useCallback((yes: boolean) => setUids(new Set(yes ? listed.current.map((run) => run.uid) : [])), []);
  return { runs, has: (run) => uids.has(run.uid), choose, chooseAll };
}

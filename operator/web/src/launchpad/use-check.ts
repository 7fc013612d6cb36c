// What the server says of a tab as it stands, shortly after each change.
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useMemo, useState } from "react";
import { ask, type Checked, type Source } from "../api";
import type { Session } from "./sessions";

export type Wanted = { namespace: string; source: Source | null; selection: string; config: string };
export type Check = { wanted: Wanted; result: Checked | null; fresh: boolean; problem: string };

const PAUSE_MS = 150;

function wantedOf({ kind, at, namespace, code, image, job, selection, config }: Session): Wanted {
  const [where = "", name = ""] = at.split("/");
  if (kind === "source") return { namespace, source: code.trim() ? { source: code, image, job } : null, selection, config };
  return { namespace: where, source: name ? { [kind]: name } : null, selection, config };
}

export function useCheck(session: Session): Check {
  const wanted = useMemo(() => wantedOf(session), [session]);
  const text = JSON.stringify(wanted);
  const [settled] = useDebouncedValue(text, PAUSE_MS);
  const [told, setTold] = useState<{ of: string; id: string; result: Checked | null; problem: string } | null>(null);
  useEffect(() => {
    const body = JSON.parse(settled) as Wanted;
    if (!body.source || !body.namespace) return;
    const ended = new AbortController();
    ask<Checked>("/check", "POST", body, ended.signal).then(
      (result) => setTold({ of: settled, id: session.id, result, problem: "" }),
      (error: Error) => {
        if (!ended.signal.aborted) setTold({ of: settled, id: session.id, result: null, problem: error.message });
      },
    );
    return () => ended.abort();
  }, [settled, session.id]);
  const own = told?.id === session.id ? told : null;
  return { wanted, result: own?.result ?? null, fresh: own?.of === text, problem: own?.problem ?? "" };
}

// Chooses the job or the past run that a tab is about.
import { Select } from "@mantine/core";
import type { Definition, Summary } from "../api";
import { usePolled } from "../hooks/use-polled";

type Props = { kind: "run" | "definition"; at: string; onPick: (at: string) => void };

export function Picker({ kind, at, onPick }: Props) {
  const { data, error } = usePolled<{ runs?: Summary[]; definitions?: Definition[] }>(
    kind === "run" ? "/runs?limit=500" : "/definitions",
    15_000,
  );
  const choices = (data?.runs ?? data?.definitions ?? []).map((item) => `${item.namespace}/${item.name}`);
  const what = kind === "run" ? "run" : "job";
  return (
    <Select
      aria-label={kind === "run" ? "Past run" : "Job definition"}
      placeholder={error || (data === null ? "Loading…" : choices.length ? `Choose a ${what}` : `No ${what}s`)}
      value={at || null}
      onChange={(to) => onPick(to ?? "")}
      data={at && !choices.includes(at) ? [at, ...choices] : choices}
      limit={200}
      searchable
      w={320}
    />
  );
}

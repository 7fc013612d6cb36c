// The run that was first, its reruns, and theirs: which one this is among them.
import { Text } from "@mantine/core";
import { Link } from "wouter";
import { runPath, type Summary } from "../api";
import { age } from "../format";
import { useNow } from "../hooks/use-now";
import { RunState } from "../states";

export function FamilyList({ runs, name }: { runs: Summary[]; name: string }) {
  const now = useNow(1000);
  return (
    <ol className="family" aria-label="Runs of this family">
      {runs.map((run) => (
        <li key={run.uid} aria-current={run.name === name ? "true" : undefined}>
          <RunState run={run} />{" "}
          {run.name === name ? (
            <b>{run.name}</b>
          ) : (
            <Link className="link" href={runPath(run)}>
              {run.name}
            </Link>
          )}{" "}
          <Text span size="xs" c="dimmed">
            {run.progress && `${run.progress} steps · `}
            {age(run.created, now)} ago
            {run.rerunOf && ` · rerun of ${run.rerunOf}`}
          </Text>
        </li>
      ))}
    </ol>
  );
}

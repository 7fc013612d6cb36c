// The op selection: which ops are run, with the clause marked that is wrong.
import { TextInput } from "@mantine/core";
import type { Graph } from "../api";
import type { Check } from "./use-check";

function Marked({ text, from, to }: { text: string; from: number; to: number }) {
  return (
    <code className="clauses" data-testid="wrong-clause">
      {text.slice(0, from)}
      <mark>{text.slice(from, to) || "∅"}</mark>
      {text.slice(to)}
    </code>
  );
}

type Props = { value: string; check: Check; graph: Graph | null; onChange: (text: string) => void };

export function Selection({ value, check: { result, fresh }, graph, onChange }: Props) {
  const wrong = fresh ? result?.selection : null;
  const count = result?.selected && graph ? `${result.selected.length} of ${graph.ops.length} ops` : "";
  return (
    <TextInput
      label="Op selection"
      placeholder="All ops. Or: *add_two, load+"
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      classNames={{ input: "mono" }}
      spellCheck={false}
      autoComplete="off"
      error={
        wrong && (
          <>
            <Marked text={value} from={wrong.from} to={wrong.to} /> {wrong.message}
          </>
        )
      }
      description={count || "Clauses separated by commas: op, *op, op*, +op, op++, graph.op"}
    />
  );
}

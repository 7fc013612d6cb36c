// Run config: the editor, what is wrong with it, and what can be added to it or taken from it.
import { Button, Group, Loader, Text, Tooltip } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { ask, type Checked, type Problem } from "../api";
import { notifyError } from "../notify-error";
import type { Check } from "./use-check";

const Editor = lazy(() => import("../components/editor"));
const MOST_SHOWN = 50;
const NONE: Problem[] = [];

type Props = { id: string; value: string; check: Check; hasGraph: boolean; onChange: (text: string) => void };

export function Config({ id, value, check: { wanted, result, fresh }, hasGraph, onChange }: Props) {
  const [goTo, setGoTo] = useState({ at: 0, count: 0 });
  const problems = fresh && result ? result.config : NONE;
  const missing = problems.filter((item) => item.missing).map((item) => item.path);
  const extra = problems.filter((item) => item.extra).map((item) => item.path);
  const rewrite = async (example: "Missing" | "All" | "Known") => {
    try {
      const told = await ask<Checked>("/check", "POST", { ...wanted, example });
      if (told.example !== null) onChange(told.example);
    } catch (error) {
      notifyError(error);
    }
  };
  return (
    <>
      <Group justify="space-between" align="flex-end">
        <Text size="sm" fw={500}>
          Run config
        </Text>
        {hasGraph && (
          <Group gap="xs">
            <Tooltip label={`Adds ${missing.slice(0, 8).join(", ")}`} disabled={!missing.length} multiline maw={400}>
              <Button size="compact-xs" variant="default" disabled={!missing.length} onClick={() => rewrite("Missing")}>
                Scaffold missing config
              </Button>
            </Tooltip>
            <Tooltip label={`Removes ${extra.slice(0, 8).join(", ")}`} disabled={!extra.length} multiline maw={400}>
              <Button size="compact-xs" variant="default" disabled={!extra.length} onClick={() => rewrite("Known")}>
                Remove extra config
              </Button>
            </Tooltip>
            <Button size="compact-xs" variant="default" onClick={() => rewrite("All")}>
              Scaffold all config
            </Button>
          </Group>
        )}
      </Group>
      <Suspense fallback={<Loader size="sm" />}>
        <Editor
          key={id}
          language="yaml"
          label="Run config"
          value={value}
          onChange={onChange}
          problems={problems}
          schema={result?.schema}
          goTo={goTo}
        />
      </Suspense>
      {problems.length > 0 && (
        <div className="problems" role="alert" data-testid="problems">
          {problems.slice(0, MOST_SHOWN).map((item) => (
            <button
              key={`${item.path} ${item.message}`}
              type="button"
              className="plain"
              onClick={() => setGoTo((old) => ({ at: item.from, count: old.count + 1 }))}
            >
              {item.message}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

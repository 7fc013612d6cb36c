// All runs, narrowed by what stands in the address, so that a list can be kept and passed on.
import { Anchor, Box, Button, Group, Loader, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { lazy, Suspense, useCallback, useDeferredValue, useMemo, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { Empty } from "../components/empty";
import { RunsTable } from "../runs/table";
import { RunFilters, type Filters } from "../runs/filters";
import type { RunQuery } from "../runs/query";
import { sinceOf, TIMELINE_SPANS } from "../runs/times";
import { useTitle } from "../hooks/use-title";

const Timeline = lazy(() => import("../runs/timeline"));
const VIEWS = ["list", "timeline"] as const;
type View = (typeof VIEWS)[number];

function filtersOf(search: URLSearchParams): Filters {
  return {
    states: search.get("state")?.split(",").filter(Boolean) ?? [],
    text: search.get("text") ?? "",
    definition: search.get("job") ?? "",
    tags: search.getAll("tag"),
    span: search.get("time") ?? "",
  };
}

function addressOf({ states, text, definition, tags, span }: Filters, view: View): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of [
    ["state", states.join(",")],
    ["text", text],
    ["job", definition],
    ["time", span],
  ] as const)
    if (value) search.set(name, value);
  for (const tag of tags) search.append("tag", tag);
  if (view !== "list") search.set("view", view);
  return search;
}

export function RunsPage() {
  const [search, setSearch] = useSearchParams();
  const [filters, setFilters] = useState(() => filtersOf(search));
  const withFilters = useDeferredValue(true, false); // the runs are drawn first
  const view: View = search.get("view") === "timeline" ? "timeline" : "list";
  useTitle("Runs");
  const change = useCallback(
    (part: Partial<Filters>) => {
      const next = { ...filters, ...part };
      setFilters(next);
      setSearch(addressOf(next, view), { replace: true });
    },
    [filters, view, setSearch],
  );
  const [text] = useDebouncedValue(filters.text, 200);
  const { states, definition, tags, span } = filters;
  const query = useMemo<RunQuery>(() => ({ states, text, definition, tags, since: sinceOf(span) }), [states, text, definition, tags, span]);
  const narrowed = !!(states.length || text || definition || tags.length || span);
  const addTag = useCallback((tag: string) => change({ tags: [...new Set([...tags, tag])] }), [change, tags]);
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="lg">
          <Title order={1} size="h3">
            Runs
          </Title>
          <Group component="nav" gap={4} aria-label="How runs are shown">
            {VIEWS.map((name) => (
              <Anchor
                key={name}
                component={Link}
                href={`/runs?${addressOf(filters, name)}`}
                underline="never"
                className="place"
                aria-current={view === name ? "true" : undefined}
              >
                {name === "list" ? "List" : "Timeline"}
              </Anchor>
            ))}
          </Group>
        </Group>
        <Button component={Link} href="/launchpad">
          New run
        </Button>
      </Group>
      <Box mih={36}>{withFilters && <RunFilters filters={filters} onChange={change} withTime={view === "list"} />}</Box>
      {view === "timeline" ? (
        <Suspense fallback={<Loader m="xl" />}>
          <Timeline query={query} span={TIMELINE_SPANS.includes(span) ? span : "6h"} onSpan={(to) => change({ span: to })} />
        </Suspense>
      ) : (
        <RunsTable
          query={query}
          onTag={addTag}
          none={
            narrowed ? (
              <Empty title="No matching runs.">
                <Button variant="default" size="xs" onClick={() => change({ states: [], text: "", definition: "", tags: [], span: "" })}>
                  Show all runs
                </Button>
              </Empty>
            ) : (
              <Empty title="No runs yet.">
                Launch one in the <Link href="/launchpad">Launchpad</Link>, or with <code>kubectl apply</code>.
              </Empty>
            )
          }
        />
      )}
    </Box>
  );
}

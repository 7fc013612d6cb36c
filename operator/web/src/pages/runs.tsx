// All runs, narrowed by what stands in the address, so that a list can be kept and passed on.
import { Box, Button, Group, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { Empty } from "../parts/empty";
import { RunsTable } from "../parts/runs-table";
import { RunFilters, type Filters } from "../runs/filters";
import type { RunQuery } from "../runs/query";
import { sinceOf } from "../runs/times";
import { useTitle } from "../title";

function filtersOf(search: URLSearchParams): Filters {
  return {
    states: search.get("state")?.split(",").filter(Boolean) ?? [],
    text: search.get("text") ?? "",
    definition: search.get("job") ?? "",
    tags: search.getAll("tag"),
    span: search.get("time") ?? "",
  };
}

function searchOf({ states, text, definition, tags, span }: Filters): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of [["state", states.join(",")], ["text", text], ["job", definition], ["time", span]] as const)
    if (value) search.set(name, value);
  for (const tag of tags) search.append("tag", tag);
  return search;
}

export function RunsPage() {
  const [search, setSearch] = useSearchParams();
  const [filters, setFilters] = useState(() => filtersOf(search));
  const withFilters = useDeferredValue(true, false); // the runs are drawn first
  useTitle("Runs");
  const change = useCallback(
    (part: Partial<Filters>) => {
      const next = { ...filters, ...part };
      setFilters(next);
      setSearch(searchOf(next), { replace: true });
    },
    [filters, setSearch],
  );
  const [text] = useDebouncedValue(filters.text, 200);
  const { states, definition, tags, span } = filters;
  const query = useMemo<RunQuery>(
    () => ({ states, text, definition, tags, since: sinceOf(span) }),
    [states, text, definition, tags, span],
  );
  const narrowed = !!(states.length || text || definition || tags.length || span);
  const addTag = useCallback((tag: string) => change({ tags: [...new Set([...tags, tag])] }), [change, tags]);
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Title order={1} size="h3">
          Runs
        </Title>
        <Button component={Link} href="/launchpad">
          New run
        </Button>
      </Group>
      <Box mih={36}>{withFilters && <RunFilters filters={filters} onChange={change} />}</Box>
      <RunsTable
        query={query}
        onTag={addTag}
        none={
          narrowed ? (
            <Empty title="No run matches.">
              <Button variant="default" size="xs" onClick={() => change({ states: [], text: "", definition: "", tags: [], span: "" })}>
                Show all runs
              </Button>
            </Empty>
          ) : (
            <Empty title="There are no runs yet.">
              Launch one in the <Link href="/launchpad">Launchpad</Link>, or with <code>kubectl apply</code>.
            </Empty>
          )
        }
      />
    </Box>
  );
}

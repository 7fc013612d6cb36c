// What the list of runs is narrowed to: state, job, tags, time and text.
import { Group, MultiSelect, NativeSelect, Select, TagsInput, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Definition } from "../api";
import { usePolled } from "../hooks/use-polled";
import { RUN_STATES } from "../states";
import { SPANS } from "./times";

export type Filters = { states: string[]; text: string; definition: string; tags: string[]; span: string };

type Props = { filters: Filters; onChange: (change: Partial<Filters>) => void; withTime: boolean };

export function RunFilters({ filters, onChange, withTime }: Props) {
  const { data } = usePolled<{ definitions: Definition[] }>("/definitions", 30_000);
  const [tag, setTag] = useState("");
  // eslint-disable-next-line react-hooks/set-state-in-effect -- a tag that was added is no longer in the search box
  useEffect(() => setTag(""), [filters.tags]);
  const jobs = [...new Set([...(data?.definitions ?? []).map((item) => item.name), ...(filters.definition ? [filters.definition] : [])])];
  return (
    <Group gap="sm" align="flex-start" className="filters" role="search" aria-label="Filter the runs">
      <TextInput
        aria-label="Filter runs"
        placeholder="Name, job or tag=value"
        value={filters.text}
        onChange={(event) => onChange({ text: event.currentTarget.value })}
        flex="1 1 180px"
      />
      <MultiSelect
        aria-label="States"
        placeholder={filters.states.length ? "" : "All states"}
        data={RUN_STATES}
        value={filters.states}
        onChange={(states) => onChange({ states })}
        clearButtonProps={{ "aria-label": "All states" }}
        clearable
        flex="1 1 170px"
      />
      <Select
        aria-label="Job"
        placeholder="All jobs"
        data={jobs.sort()}
        value={filters.definition || null}
        onChange={(definition) => onChange({ definition: definition ?? "" })}
        clearButtonProps={{ "aria-label": "All jobs" }}
        searchable
        clearable
        flex="1 1 150px"
      />
      <TagsInput
        aria-label="Tags"
        placeholder={filters.tags.length ? "" : "Any tags"}
        value={filters.tags}
        searchValue={tag}
        onSearchChange={setTag}
        onChange={(tags) => onChange({ tags })}
        maxTags={10}
        flex="1 1 150px"
      />
      {withTime && (
        <NativeSelect
          aria-label="Time"
          value={filters.span}
          onChange={(event) => onChange({ span: event.currentTarget.value })}
          data={SPANS}
          w={150}
        />
      )}
    </Group>
  );
}

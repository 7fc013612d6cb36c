// All schedules, or all sensors.
import { Box, Group, Loader, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import type { Maker } from "../api";
import { usePolled } from "../hooks/use-polled";
import { useNow } from "../hooks/use-now";
import { MakersTable } from "../makers/table";
import { LABELS, type Kind } from "../makers/labels";
import { Empty } from "../components/empty";
import { useTitle } from "../hooks/use-title";
import { Notice } from "../components/notice";

export default function MakersPage({ kind }: { kind: Kind }) {
  const { data, error, refetch } = usePolled<{ served: boolean; makers: Maker[] }>(`/makers/${kind}`);
  const [text, setText] = useState("");
  const now = useNow(1000);
  const words = LABELS[kind];
  useTitle(words.title);
  const wanted = text.trim().toLowerCase();
  const shown = (data?.makers ?? []).filter((maker) =>
    [maker.name, maker.namespace, maker.text, maker.definition].some((part) => part.toLowerCase().includes(wanted)),
  );
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h3">
            {words.title}
          </Title>
          {data && (
            <Text c="dimmed" size="sm">
              {shown.length}
            </Text>
          )}
        </Group>
        <TextInput
          aria-label={`Filter ${kind}`}
          placeholder="Name, job or text"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={260}
        />
      </Group>
      {error && <Notice color="red">{error}</Notice>}
      {!data && !error && <Loader />}
      {data && !shown.length && (
        <Empty title={wanted ? `No matching ${kind}.` : `No ${kind} yet.`}>
          {!data.served
            ? `The ${words.kind} CRD is not installed.`
            : !wanted && (
                <>
                  Apply a {words.kind} with <code>kubectl apply</code>; it creates a Job{" "}
                  {kind === "schedules" ? "at each tick" : "when the sensor detects a change"}.
                </>
              )}
        </Empty>
      )}
      {!!shown.length && <MakersTable kind={kind} makers={shown} now={now} onChange={refetch} />}
    </Box>
  );
}

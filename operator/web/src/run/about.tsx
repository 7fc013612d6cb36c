// A run as it was asked for and as it stands: conditions, config, spec, code.
import { Group, Stack, Tabs, Text, Title } from "@mantine/core";
import { useState } from "react";
import { runPath, type Family, type Run } from "../api";
import { usePolled } from "../hooks/use-polled";
import { clock } from "../format";
import { Block } from "../components/text";
import { FamilyList } from "./family";

function Conditions({ run }: { run: Run }) {
  if (!run.conditions.length)
    return (
      <Text size="sm" c="dimmed">
        The operator has not processed this run yet.
      </Text>
    );
  return (
    <Stack gap="xs">
      {run.conditions.map((condition) => (
        <div key={condition.type} className="condition">
          <Group gap="xs">
            <Text size="sm" fw={600}>
              {condition.type}
            </Text>
            <Text size="sm">
              {condition.status} · {condition.reason}
            </Text>
            <Text size="xs" c="dimmed">
              {clock(condition.lastTransitionTime)}
            </Text>
          </Group>
          <Text size="sm" className="prose">
            {condition.message}
          </Text>
        </div>
      ))}
    </Stack>
  );
}

export function About({ run }: { run: Run }) {
  const { data } = usePolled<Family>(`${runPath(run.summary)}/family`);
  const family = data?.runs ?? [];
  const [tab, setTab] = useState<string | null>("config");
  const shown = tab === "family" && family.length < 2 ? "config" : tab; // the others have been deleted
  return (
    <Tabs value={shown} onChange={setTab} keepMounted={false} className="column">
      <Tabs.List>
        <Tabs.Tab value="config">Config</Tabs.Tab>
        <Tabs.Tab value="conditions">Conditions</Tabs.Tab>
        <Tabs.Tab value="yaml">YAML</Tabs.Tab>
        {run.source && <Tabs.Tab value="code">Code</Tabs.Tab>}
        {family.length > 1 && <Tabs.Tab value="family">Reruns ({family.length})</Tabs.Tab>}
      </Tabs.List>
      <Tabs.Panel value="config" pt="sm" className="scroll">
        <Title order={2} size="sm" mb={4}>
          Run config
        </Title>
        <Block label="run config" text={run.config || "{}\n"} most="none" />
        {run.storage?.url && (
          <Text size="sm" mt="sm" className="break">
            Outputs are stored in <code>{run.storage.url}</code>
          </Text>
        )}
      </Tabs.Panel>
      <Tabs.Panel value="conditions" pt="sm" className="scroll">
        <Conditions run={run} />
      </Tabs.Panel>
      <Tabs.Panel value="yaml" pt="sm" className="scroll">
        <Block label="spec" text={run.yaml} most="none" />
      </Tabs.Panel>
      <Tabs.Panel value="code" pt="sm" className="scroll">
        <Block label="code" text={run.source} most="none" />
      </Tabs.Panel>
      <Tabs.Panel value="family" pt="sm" className="scroll">
        <FamilyList runs={family} name={run.summary.name} />
      </Tabs.Panel>
    </Tabs>
  );
}

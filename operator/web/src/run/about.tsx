// A run as it was asked for and as it stands: conditions, config, spec, code.
import { Group, Stack, Tabs, Text, Title } from "@mantine/core";
import type { Run } from "../api";
import { clock } from "../format";
import { Block } from "../parts/text";

function Conditions({ run }: { run: Run }) {
  if (!run.conditions.length)
    return (
      <Text size="sm" c="dimmed">
        The operator has not seen it yet.
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
  return (
    <Tabs defaultValue="config" keepMounted={false} className="column">
      <Tabs.List>
        <Tabs.Tab value="config">Config</Tabs.Tab>
        <Tabs.Tab value="conditions">Conditions</Tabs.Tab>
        <Tabs.Tab value="yaml">YAML</Tabs.Tab>
        {run.source && <Tabs.Tab value="code">Code</Tabs.Tab>}
      </Tabs.List>
      <Tabs.Panel value="config" pt="sm" className="scroll">
        <Title order={2} size="sm" mb={4}>
          Run config
        </Title>
        <Block label="run config" text={run.config || "{}\n"} most="none" />
        {run.storage?.url && (
          <Text size="sm" mt="sm" className="break">
            Outputs are kept in <code>{run.storage.url}</code>
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
    </Tabs>
  );
}

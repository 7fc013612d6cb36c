// One step of a run: its state and why, its attempts, what it took and gave, and its log.
import { Code, Group, Stack, Table, Tabs, Text } from "@mantine/core";
import { useState } from "react";
import type { Graph, Pod, Step, Steps } from "../api";
import { bytes, clock, duration, json } from "../format";
import { useNow } from "../hooks/use-now";
import { ACTIVE, StateBadge } from "../states";
import { LogView } from "../components/log";
import { Inputs } from "../components/op-panel";
import { Block } from "../components/text";
import { Notice } from "../components/notice";

type Props = {
  namespace: string;
  name: string;
  step: string;
  record: Step;
  steps: Steps;
  graph: Graph | null;
  pods: Pod[];
  onPick: (step: string) => void;
};

export function StepPanel({ namespace, name, step, record, steps, graph, pods, onPick }: Props) {
  const [tab, setTab] = useState<string | null>("log");
  const [pod, setPod] = useState("");
  const active = ACTIVE.has(record.state);
  const now = useNow(200, active);
  const op = graph?.ops.find((item) => item.name === step);
  const attempts = pods.filter((item) => !item.ahead);
  const from = record.startTime ? Date.parse(record.startTime) : NaN;
  const to = record.completionTime ? Date.parse(record.completionTime) : active ? now : NaN;
  const shown = attempts.find((item) => item.pod === pod) ?? attempts.at(-1);
  return (
    <Stack gap="sm" className="column" data-testid="step-panel">
      <Group gap="sm" wrap="nowrap">
        <Text fw={650} className="cut" title={step}>
          {step}
        </Text>
        <StateBadge state={record.state} />
        {!Number.isNaN(to - from) && (
          <Text size="sm" className="fixed">
            {duration(to - from)}
          </Text>
        )}
        {(record.attempt ?? 1) > 1 && (
          <Text size="xs" c="dimmed">
            attempt {record.attempt}
          </Text>
        )}
      </Group>
      {(record.message || record.reason) && record.state !== "Succeeded" && (
        <Notice color={["Failed", "UpstreamFailed"].includes(record.state) ? "red" : "gray"} title={record.reason}>
          <Text size="sm" className="prose">
            {record.message}
          </Text>
        </Notice>
      )}
      {record.takenFrom && <Text size="sm">Taken from run {record.takenFrom}; not run here.</Text>}
      {record.retryTime && record.state === "UpForRetry" && <Text size="sm">Retries at {clock(record.retryTime)}.</Text>}
      <Tabs value={tab} onChange={setTab} keepMounted={false} className="column">
        <Tabs.List>
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="values">Inputs & outputs</Tabs.Tab>
          <Tabs.Tab value="attempts">Attempts</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="log" pt="sm" className="column">
          <LogView
            namespace={namespace}
            name={name}
            step={step}
            pod={shown?.pod ?? ""}
            active={active && shown === attempts.at(-1)}
            version={`${shown?.uid}${active ? shown?.started : record.state}`}
          />
        </Tabs.Panel>
        <Tabs.Panel value="values" pt="sm" className="scroll">
          <Stack gap="xs">
            <Text size="sm" fw={600}>
              Outputs
            </Text>
            {Object.entries(record.outputs ?? {}).map(([output, text]) => (
              <div key={output}>
                <Text size="xs" c="dimmed">
                  {output}
                </Text>
                <Block label={`output ${output}`} text={json(text)} />
              </div>
            ))}
            {Object.entries(record.stored ?? {}).map(([output, item]) => (
              <Text key={output} size="sm">
                {output}: {item.format}
                {item.size !== undefined && `, ${bytes(item.size)}`}{" "}
                {item.key ? <Code className="value">{item.key}</Code> : "in the status"}
              </Text>
            ))}
            {!record.outputs && !record.stored && (
              <Text size="sm" c="dimmed">
                None yet.
              </Text>
            )}
            <Text size="sm" fw={600}>
              Inputs
            </Text>
            {op && <Inputs op={op} steps={steps} onPick={onPick} />}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="attempts" pt="sm" className="scroll">
          {attempts.length ? (
            <Table className="facts" aria-label="Attempts">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Pod</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th>Time</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {attempts.map((item) => (
                  <Table.Tr key={item.uid}>
                    <Table.Td className="break">
                      <button
                        type="button"
                        className="plain link"
                        onClick={() => {
                          setPod(item.pod);
                          setTab("log");
                        }}
                      >
                        {item.pod}
                      </button>
                      <Text size="xs" c="dimmed">
                        {item.node} {item.image}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      {item.exitCode === null ? item.phase : item.exitCode ? "Failed" : "Succeeded"}
                      <Text size="xs" c="dimmed">
                        {item.reason}
                        {item.exitCode !== null && ` · exit code ${item.exitCode}`}
                      </Text>
                      {item.message && (
                        <Text size="xs" c="red" className="prose">
                          {item.message}
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td className="fixed">
                      {item.started && clock(item.started)}
                      {item.started && item.ended && ` · ${duration(Date.parse(item.ended) - Date.parse(item.started))}`}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          ) : (
            <Text size="sm" c="dimmed">
              {record.attempt ? `The pod was deleted. The last attempt was ${record.attempt}.` : "No pod yet."}
            </Text>
          )}
          {!!record.infrastructureFailures && (
            <Text size="sm" mt="xs">
              {record.infrastructureFailures} attempts failed because of the cluster.
            </Text>
          )}
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

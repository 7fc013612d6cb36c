// One run, live: its timeline or graph, the step that is picked, and what can be done with it.
import {
  ActionIcon,
  Alert,
  Anchor,
  Badge,
  Box,
  Button,
  Group,
  Loader,
  Menu,
  Modal,
  SegmentedControl,
  Stack,
  Table,
  Tabs,
  Text,
  Title,
  Tooltip,
} from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { ask, runPath, type ClusterEvent, type Run } from "../api";
import { clock, duration } from "../format";
import { useNow, usePods, useRun } from "../live";
import { Gantt } from "../parts/gantt";
import { StepPanel } from "../parts/step-panel";
import { Block } from "../parts/text";
import { StateBadge } from "../states";

const GraphView = lazy(() => import("../parts/graph"));

const tell = (problem: unknown) => notifications.show({ color: "red", title: "Refused", message: (problem as Error).message });

function Actions({ run, chosen }: { run: Run; chosen: string[] }) {
  const [, go] = useLocation();
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState<"" | "cancel" | "delete">("");
  const { summary } = run;
  const path = runPath(summary);
  const act = async (what: () => Promise<void>) => {
    setBusy(true);
    try {
      await what();
    } catch (problem) {
      tell(problem);
    } finally {
      setBusy(false);
      setAsking("");
    }
  };
  const rerun = (steps: string) =>
    act(async () => {
      const made = await ask<{ namespace: string; name: string }>(`${path}/rerun`, "POST", {
        steps,
        selection: steps === "Selected" ? chosen.join(",") : "",
      });
      go(runPath(made));
    });
  const failed = summary.state !== "Succeeded";
  const usual = chosen.length ? "Selected" : failed ? "FromFailure" : "All";
  const labels = { All: "all steps", FromFailure: "from failure", Selected: `selected (${chosen.length})` };
  const why = !summary.finished ? "It is not finished yet" : summary.progress ? "" : "It had no steps; open it in the Launchpad";
  return (
    <Group gap="xs" wrap="nowrap">
      <Button size="xs" variant="default" component={Link} href={`/launchpad?run=${summary.namespace}/${summary.name}`}>
        Open in Launchpad
      </Button>
      <Tooltip label={why} disabled={!why}>
        <Group gap={0} wrap="nowrap">
          <Button size="xs" disabled={!!why || busy} onClick={() => rerun(usual)} className="split-left">
            Re-execute {labels[usual]}
          </Button>
          <Menu position="bottom-end">
            <Menu.Target>
              <Button size="xs" px={8} disabled={!!why || busy} className="split-right" aria-label="More ways to re-execute">
                ▾
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => rerun("All")}>All steps</Menu.Item>
              <Menu.Item disabled={!failed} onClick={() => rerun("FromFailure")}>
                From failure
              </Menu.Item>
              <Menu.Item disabled={!chosen.length} onClick={() => rerun("Selected")}>
                Selected steps ({chosen.length})
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </Group>
      </Tooltip>
      {!summary.finished && (
        <Button size="xs" color="red" variant="light" disabled={busy || summary.canceling} onClick={() => setAsking("cancel")}>
          {summary.canceling ? "Canceling…" : "Cancel run"}
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label="More">
            ⋯
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item color="red" onClick={() => setAsking("delete")}>
            Delete run
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={!!asking}
        onClose={() => setAsking("")}
        title={asking === "cancel" ? `Cancel ${summary.name}?` : `Delete ${summary.name}?`}
      >
        <Text size="sm" mb="md">
          {asking === "cancel"
            ? "Its pods are ended with their grace period, steps that have not begun are not run. This cannot be taken back."
            : "The run, its pods and its logs are deleted. This cannot be taken back."}
        </Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => setAsking("")}>
            Keep it
          </Button>
          <Button
            color="red"
            loading={busy}
            onClick={() =>
              act(async () => {
                if (asking === "cancel") await ask(`${path}/cancel`, "POST", {});
                else {
                  await ask(`${path}?uid=${encodeURIComponent(summary.uid)}`, "DELETE");
                  go("/runs");
                }
              })
            }
          >
            {asking === "cancel" ? "Cancel run" : "Delete run"}
          </Button>
        </Group>
      </Modal>
    </Group>
  );
}

function Lasting({ run }: { run: Run }) {
  const { start, completion, finished } = run.summary;
  const now = useNow(200, !finished);
  if (!start) return null;
  const until = completion ? Date.parse(completion) : now;
  return (
    <Text size="sm" c="dimmed" className="fixed">
      {clock(start)} · {duration(until - Date.parse(start))}
    </Text>
  );
}

function About({ run, events }: { run: Run; events: ClusterEvent[] }) {
  return (
    <Tabs defaultValue="conditions" keepMounted={false} className="column">
      <Tabs.List>
        <Tabs.Tab value="conditions">Conditions</Tabs.Tab>
        <Tabs.Tab value="events">Events ({events.length})</Tabs.Tab>
        <Tabs.Tab value="config">Config</Tabs.Tab>
        {run.source && <Tabs.Tab value="code">Code</Tabs.Tab>}
      </Tabs.List>
      <Tabs.Panel value="conditions" pt="sm" className="scroll">
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
          {!run.conditions.length && (
            <Text size="sm" c="dimmed">
              The operator has not seen it yet.
            </Text>
          )}
        </Stack>
      </Tabs.Panel>
      <Tabs.Panel value="events" pt="sm" className="scroll">
        <Table className="facts" aria-label="Events">
          <Table.Tbody>
            {events.map((event, at) => (
              <Table.Tr key={at}>
                <Table.Td className="fixed">{event.time && clock(event.time)}</Table.Td>
                <Table.Td>
                  <Text size="sm" fw={550} c={event.type === "Warning" ? "orange" : undefined}>
                    {event.reason}
                  </Text>
                  <Text size="sm" className="prose">
                    {event.message}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {!events.length && (
          <Text size="sm" c="dimmed">
            There are none (Kubernetes keeps them for an hour).
          </Text>
        )}
      </Tabs.Panel>
      <Tabs.Panel value="config" pt="sm" className="scroll">
        <Text size="sm" fw={600} mb={4}>
          Run config
        </Text>
        <Block label="run config" text={run.config || "{}\n"} />
        <Text size="sm" fw={600} mt="sm" mb={4}>
          Spec
        </Text>
        <Block label="spec" text={run.yaml} />
      </Tabs.Panel>
      <Tabs.Panel value="code" pt="sm" className="scroll">
        <Block label="code" text={run.source} most="70vh" />
      </Tabs.Panel>
    </Tabs>
  );
}

export default function RunPage({ namespace, name }: { namespace: string; name: string }) {
  const { run, steps, graph, gone, trouble } = useRun(namespace, name);
  const { pods, events } = usePods(namespace, name, run?.version ?? "");
  const [query, setQuery] = useSearchParams();
  const [view, setView] = useState("timeline");
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const picked = query.get("step") ?? "";
  const pick = useCallback(
    (step: string) => setQuery(step ? { step } : {}, { replace: true }),
    [setQuery],
  );
  const names = useMemo(() => {
    const order = graph?.ops.map((op) => op.name).filter((op) => op in steps) ?? [];
    const rest = Object.keys(steps).filter((step) => !order.includes(step));
    return graph ? [...order, ...rest] : Object.keys(steps);
  }, [graph, steps]);
  const choose = useCallback(
    (step: string) =>
      setChosen((old) => {
        const next = new Set(old);
        if (!next.delete(step)) next.add(step);
        return next;
      }),
    [],
  );
  useEffect(() => {
    document.title = `${name} · podgraph`;
    return () => {
      document.title = "podgraph";
    };
  }, [name]);
  if (gone)
    return (
      <Alert m="md" color="gray" title={`There is no run ${name} in ${namespace}`}>
        It has been deleted, or never was. <Link href="/runs">All runs</Link>
      </Alert>
    );
  if (!run)
    return trouble ? (
      <Alert m="md" color="red">
        {trouble}
      </Alert>
    ) : (
      <Loader m="xl" />
    );
  const { summary } = run;
  const stepPods = pods[picked]?.length ? pods[picked]! : (pods[""] ?? []).filter((pod) => pod.all);
  return (
    <Box className="page column">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Stack gap={4} miw={0}>
          <Group gap="sm">
            <StateBadge state={summary.deleting ? "Deleting" : summary.state} size="lg" />
            <Title order={2} size="h3" className="cut">
              {summary.name}
            </Title>
            <Text c="dimmed" size="sm">
              {summary.namespace}
            </Text>
            {summary.progress && <Text size="sm">{summary.progress} steps</Text>}
            <Lasting run={run} />
          </Group>
          <Group gap={6}>
            {summary.definition && (
              <Anchor component={Link} size="sm" href={`/jobs/${summary.namespace}/${summary.definition}`}>
                {summary.definition}
              </Anchor>
            )}
            {summary.rerunOf && (
              <Text size="sm">
                rerun of{" "}
                <Anchor component={Link} href={runPath({ namespace, name: summary.rerunOf })}>
                  {summary.rerunOf}
                </Anchor>
              </Text>
            )}
            <Badge variant="default" tt="none" fw={450}>
              {run.mode}
            </Badge>
            {run.selection.length > 0 && (
              <Badge variant="outline" tt="none" fw={500} title="Op selection">
                {run.selection.join(", ")}
              </Badge>
            )}
            {Object.entries(summary.tags).map(([key, value]) => (
              <Badge key={key} variant="default" tt="none" fw={450}>
                {key}={value}
              </Badge>
            ))}
          </Group>
        </Stack>
        <Actions run={run} chosen={[...chosen]} />
      </Group>
      {trouble && (
        <Alert color="yellow" p="xs">
          {trouble}
        </Alert>
      )}
      {summary.finished && summary.state !== "Succeeded" && (
        <Alert color="red" p="xs" title={summary.state} data-testid="why">
          <Text size="sm" className="prose">
            {run.conditions.find((condition) => condition.type === "Succeeded")?.message}
          </Text>
        </Alert>
      )}
      <div className="split">
        <section className="pane column" aria-label="Steps">
          <SegmentedControl
            size="xs"
            mb="xs"
            w="fit-content"
            value={view}
            onChange={setView}
            data={[
              { value: "timeline", label: "Timeline" },
              { value: "graph", label: "Graph" },
            ]}
          />
          {view === "timeline" ? (
            <Gantt
              names={names}
              steps={steps}
              graph={graph}
              pods={pods}
              start={summary.start}
              completion={summary.completion}
              finished={summary.finished}
              picked={picked}
              chosen={chosen}
              onPick={pick}
              onChoose={choose}
            />
          ) : graph ? (
            <Suspense fallback={<Loader m="xl" />}>
              <GraphView graph={graph} steps={steps} picked={picked} onPick={pick} />
            </Suspense>
          ) : (
            <Text c="dimmed" p="md">
              The graph is not known yet.
            </Text>
          )}
        </section>
        <section className="pane column side" aria-label={picked ? `Step ${picked}` : "About the run"}>
          {picked && steps[picked] ? (
            <>
              <Anchor component="button" type="button" size="xs" onClick={() => pick("")} mb={6} w="fit-content">
                ← About the run
              </Anchor>
              <StepPanel
                key={picked}
                namespace={namespace}
                name={name}
                step={picked}
                record={steps[picked]}
                steps={steps}
                graph={graph}
                pods={stepPods}
                onPick={pick}
              />
            </>
          ) : (
            <About run={run} events={events} />
          )}
        </section>
      </div>
    </Box>
  );
}

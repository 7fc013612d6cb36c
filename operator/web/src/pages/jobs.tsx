// The jobs of the cluster (JobDefinitions) and the graph of each.
import { Alert, Anchor, Badge, Box, Button, Group, Loader, Tabs, Text, TextInput, Title } from "@mantine/core";
import { lazy, Suspense, useEffect, useState } from "react";
import { Link } from "wouter";
import { ask, type Definition, type DefinitionView } from "../api";
import { age } from "../format";
import { useNow } from "../live";
import { OpPanel } from "../parts/op-panel";
import { Block } from "../parts/text";

const GraphView = lazy(() => import("../parts/graph"));
const READY: Record<string, [string, string]> = {
  True: ["teal", "Ready"],
  False: ["red", "Cannot be run"],
  Unknown: ["gray", "Not read yet"],
};

function Ready({ ready }: { ready: string }) {
  const [color, text] = READY[ready] ?? READY.Unknown!;
  return (
    <Badge color={color} variant="light" radius="sm" tt="none">
      {text}
    </Badge>
  );
}

function List() {
  const [found, setFound] = useState<{ served: boolean; definitions: Definition[] } | null>(null);
  const [problem, setProblem] = useState("");
  const [text, setText] = useState("");
  const now = useNow(3000);
  useEffect(() => {
    ask<{ served: boolean; definitions: Definition[] }>("/definitions").then(
      (told) => {
        setFound(told);
        setProblem("");
      },
      (error: Error) => setProblem(error.message),
    );
  }, [now]);
  const shown = found?.definitions.filter((item) => `${item.namespace}/${item.name}`.includes(text.trim().toLowerCase())) ?? [];
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Title order={2} size="h3">
          Jobs
        </Title>
        <TextInput aria-label="Filter jobs" placeholder="Name" value={text} onChange={(event) => setText(event.currentTarget.value)} w={260} />
      </Group>
      {problem && <Alert color="red">{problem}</Alert>}
      {!found && !problem && <Loader />}
      {found && !found.served && (
        <Alert color="gray" title="This cluster has no JobDefinitions">
          Their resource is not installed. Runs can be launched from a Python file or a past run in the <Link href="/launchpad">Launchpad</Link>.
        </Alert>
      )}
      {found?.served && !shown.length && (
        <Text c="dimmed" p="xl" ta="center">
          {text ? "No job matches." : "There are no jobs yet: make one with podgraph definition apply, or kubectl apply a JobDefinition."}
        </Text>
      )}
      {!!shown.length && (
        <div className="table jobs" role="table" aria-label="Jobs">
          <div className="row head" role="row">
            {["Job", "State", "Ops", "Age", ""].map((head, at) => (
              <span key={at} role="columnheader" className={at === 2 || at === 3 ? "number" : ""}>
                {head}
              </span>
            ))}
          </div>
          <div className="scroll" role="rowgroup">
            {shown.map((item) => (
              <div key={`${item.namespace}/${item.name}`} className="row" role="row">
                <span role="cell" className="cut">
                  <Anchor component={Link} href={`/jobs/${item.namespace}/${item.name}`} fw={550}>
                    {item.name}
                  </Anchor>{" "}
                  <Text span size="xs" c="dimmed">
                    {item.namespace}
                  </Text>
                </span>
                <span role="cell" className="cut" title={item.message}>
                  <Ready ready={item.ready} />{" "}
                  {item.ready === "False" && (
                    <Text span size="xs" c="dimmed">
                      {item.message}
                    </Text>
                  )}
                </span>
                <span role="cell" className="number">
                  {item.ops}
                </span>
                <span role="cell" className="number">
                  {age(item.created, now)}
                </span>
                <span role="cell">
                  <Anchor component={Link} size="sm" href={`/launchpad?definition=${item.namespace}/${item.name}`}>
                    Launchpad
                  </Anchor>
                </span>
              </div>
            ))}
          </div>
        </div>
      )}
    </Box>
  );
}

function One({ namespace, name }: { namespace: string; name: string }) {
  const [view, setView] = useState<DefinitionView | null>(null);
  const [problem, setProblem] = useState("");
  const [picked, setPicked] = useState("");
  const [text, setText] = useState("");
  useEffect(() => {
    setView(null);
    ask<DefinitionView>(`/definitions/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`).then(setView, (error: Error) =>
      setProblem(error.message),
    );
  }, [namespace, name]);
  if (problem)
    return (
      <Alert m="md" color="red">
        {problem} <Link href="/jobs">All jobs</Link>
      </Alert>
    );
  if (!view) return <Loader m="xl" />;
  const op = view.graph?.ops.find((item) => item.name === picked);
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={2} size="h3">
            {name}
          </Title>
          <Text c="dimmed" size="sm">
            {namespace}
            {view.graph && ` · ${view.graph.ops.length} ops`}
          </Text>
        </Group>
        <Group gap="sm">
          <TextInput size="xs" aria-label="Find ops" placeholder="Find ops" value={text} onChange={(event) => setText(event.currentTarget.value)} />
          <Button size="xs" component={Link} href={`/launchpad?definition=${namespace}/${name}`}>
            Open in Launchpad
          </Button>
        </Group>
      </Group>
      {view.why && (
        <Alert color="yellow" p="xs">
          {view.why}
        </Alert>
      )}
      <div className="split">
        <section className="pane column" aria-label="Graph">
          {view.graph && (
            <Suspense fallback={<Loader m="xl" />}>
              <GraphView graph={view.graph} picked={picked} found={text.trim()} onPick={setPicked} />
            </Suspense>
          )}
        </section>
        <section className="pane column side" aria-label={picked ? `Op ${picked}` : "About the job"}>
          {op && view.graph ? (
            <Box className="scroll">
              <OpPanel op={op} graph={view.graph} onPick={setPicked} />
            </Box>
          ) : (
            <Tabs defaultValue="settings" keepMounted={false} className="column">
              <Tabs.List>
                <Tabs.Tab value="settings">Settings</Tabs.Tab>
                {view.source && <Tabs.Tab value="code">Code</Tabs.Tab>}
              </Tabs.List>
              <Tabs.Panel value="settings" pt="sm" className="scroll">
                <Block label="settings" text={view.settings || "{}\n"} />
              </Tabs.Panel>
              <Tabs.Panel value="code" pt="sm" className="scroll">
                <Block label="code" text={view.source} most="70vh" />
              </Tabs.Panel>
            </Tabs>
          )}
        </section>
      </div>
    </Box>
  );
}

export default function JobsPage({ namespace, name }: { namespace?: string; name?: string }) {
  return namespace && name ? <One key={`${namespace}/${name}`} namespace={namespace} name={name} /> : <List />;
}

// All runs: filtered by the server, live, and only the rows in view are drawn.
import { Alert, Anchor, Badge, Box, Button, Group, Loader, MultiSelect, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { runPath, type Summary } from "../api";
import { age, duration } from "../format";
import { useNow, useRuns } from "../live";
import { RUN_STATES, StateBadge } from "../states";

const ROW = 40;

function lasted(run: Summary, now: number): string {
  if (!run.start) return "";
  return duration((run.completion ? Date.parse(run.completion) : run.finished ? NaN : now) - Date.parse(run.start));
}

function Row({ run, now }: { run: Summary; now: number }) {
  return (
    <>
      <span role="cell">
        <StateBadge state={run.deleting ? "Deleting" : run.state} />
      </span>
      <span role="cell" className="cut">
        <Anchor component={Link} href={runPath(run)} fw={550} title={run.message}>
          {run.name}
        </Anchor>{" "}
        <Text span size="xs" c="dimmed">
          {run.namespace}
          {run.rerunOf && ` · rerun of ${run.rerunOf}`}
        </Text>
      </span>
      <span role="cell" className="cut">
        {run.definition ? (
          <Anchor component={Link} size="sm" href={`/jobs/${run.namespace}/${run.definition}`}>
            {run.definition}
          </Anchor>
        ) : (
          <Text span size="sm" c="dimmed">
            {run.code}
          </Text>
        )}
      </span>
      <span role="cell" className="number">
        {run.progress}
      </span>
      <span role="cell" className="number">
        {lasted(run, now)}
      </span>
      <span role="cell" className="number" title={new Date(run.created).toLocaleString()}>
        {age(run.created, now)}
      </span>
      <span role="cell" className="cut">
        {Object.entries(run.tags).map(([key, value]) => (
          <Badge key={key} variant="default" size="sm" radius="sm" tt="none" fw={450} mr={4}>
            {key}={value}
          </Badge>
        ))}
      </span>
    </>
  );
}

export function RunsPage() {
  const [text, setText] = useState("");
  const [states, setStates] = useState<string[]>([]);
  const [asked] = useDebouncedValue(text, 200);
  const { runs, total, loading, error, live, more } = useRuns(states, asked);
  const now = useNow(1000);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: runs.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last > runs.length - 60) more();
  }, [last, runs.length, more]);
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={2} size="h3">
            Runs
          </Title>
          <Text c="dimmed" size="sm" aria-live="polite">
            {total.toLocaleString()}
            {!live && !loading && " · not live, connecting…"}
          </Text>
          {loading && <Loader size="xs" />}
        </Group>
        <Group gap="sm">
          <MultiSelect
            aria-label="States"
            placeholder={states.length ? "" : "All states"}
            data={RUN_STATES}
            value={states}
            onChange={setStates}
            clearable
            w={230}
          />
          <TextInput
            aria-label="Filter runs"
            placeholder="Name, job or tag=value"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            w={260}
          />
          <Button component={Link} href="/launchpad">
            New run
          </Button>
        </Group>
      </Group>
      {error && (
        <Alert color="red" title="The runs cannot be listed">
          {error}
        </Alert>
      )}
      <div className="table" role="table" aria-label="Runs" aria-rowcount={total}>
        <div className="row head" role="row">
          {["State", "Run", "Job", "Steps", "Duration", "Age", "Tags"].map((name, at) => (
            <span key={name} role="columnheader" className={at > 2 && at < 6 ? "number" : ""}>
              {name}
            </span>
          ))}
        </div>
        <div className="scroll" ref={box} tabIndex={0} role="rowgroup">
          <Box pos="relative" h={rows.getTotalSize()}>
            {items.map((item) => {
              const run = runs[item.index];
              return (
                run && (
                  <div
                    key={`${run.namespace}/${run.name}`}
                    className="row"
                    role="row"
                    aria-rowindex={item.index + 1}
                    style={{ position: "absolute", top: item.start, height: ROW }}
                  >
                    <Row run={run} now={now} />
                  </div>
                )
              );
            })}
          </Box>
          {!loading && !error && !runs.length && (
            <Box p="xl" ta="center">
              <Text c="dimmed">{text || states.length ? "No run matches." : "There are no runs yet."}</Text>
              {!text && !states.length && (
                <Text c="dimmed" size="sm" mt="xs">
                  Launch one in the <Link href="/launchpad">Launchpad</Link>, or with <code>kubectl apply</code>.
                </Text>
              )}
            </Box>
          )}
        </div>
      </div>
    </Box>
  );
}

// What a run is: its state, when it ran, of which job, made by what, with which ops, mode and tags.
import { Anchor, Badge, Group, Stack, Text, Title } from "@mantine/core";
import { Link } from "wouter";
import { jobPath, runPath, type Run } from "../api";
import { duration, moment } from "../format";
import { useNow } from "../hooks/use-now";
import { RunState } from "../states";
import { Actions } from "./actions";

function Lasting({ run }: { run: Run }) {
  const { start, completion, finished } = run.summary;
  const now = useNow(200, !finished);
  if (!start) return null;
  const until = completion ? Date.parse(completion) : now;
  return (
    <Text size="sm" c="dimmed" className="fixed" title={new Date(start).toLocaleString()}>
      {moment(start, now)} · {duration(until - Date.parse(start))}
    </Text>
  );
}

export function RunHeader({ run, chosen }: { run: Run; chosen: string[] }) {
  const { summary } = run;
  const { namespace, maker } = summary;
  return (
    <Group justify="space-between" align="flex-start" gap="xs">
      <Stack gap={4} miw={0}>
        <Group gap="sm">
          <RunState run={summary} size="lg" />
          <Title order={1} size="h3" className="cut">
            {summary.name}
          </Title>
          <Text c="dimmed" size="sm">
            {namespace}
          </Text>
          {summary.progress && <Text size="sm">{summary.progress} steps</Text>}
          <Lasting run={run} />
        </Group>
        <Group gap={6}>
          {summary.definition && (
            <Anchor component={Link} size="sm" href={jobPath({ namespace, name: summary.definition })}>
              {summary.definition}
            </Anchor>
          )}
          {maker && (
            <Text size="sm">
              by{" "}
              <Anchor component={Link} href={`/${maker.replace("/", `/${namespace}/`)}`}>
                {maker.slice(maker.indexOf("/") + 1)}
              </Anchor>
            </Text>
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
            <Badge
              key={key}
              component={Link}
              href={`/runs?${new URLSearchParams({ tag: `${key}=${value}` })}`}
              className="press"
              variant="default"
              tt="none"
              fw={450}
              title={`Runs with ${key}=${value}`}
            >
              {key}={value}
            </Badge>
          ))}
        </Group>
      </Stack>
      <Actions run={run} chosen={chosen} />
    </Group>
  );
}

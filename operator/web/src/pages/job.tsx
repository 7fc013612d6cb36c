// One job: its graph, its runs, and the schedules and sensors that make them.
import { Box, Button, Group, Loader, Tabs, Text, Title } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import { jobPath, launchpadPath, type DefinitionView } from "../api";
import { usePolled } from "../hooks/use-polled";
import { Overview } from "../jobs/overview";
import { useNow } from "../hooks/use-now";
import { useMakersByJob } from "../makers/of-job";
import { MakersTable } from "../makers/table";
import { Empty } from "../components/empty";
import { RunsTable } from "../runs/table";
import { useTitle } from "../hooks/use-title";
import { Notice } from "../components/notice";

export default function JobPage({ namespace, name }: { namespace: string; name: string }) {
  const [every, setEvery] = useState(3000); // until it is read: a graph that changes under one's hands is no help
  const { data: job, error } = usePolled<DefinitionView>(`/definitions${jobPath({ namespace, name }).slice(5)}`, every);
  const { byJob, refetch } = useMakersByJob();
  const now = useNow(1000);
  useTitle(name);
  if (job?.graph && every < 60_000) setEvery(60_000);
  if (!job)
    return error ? (
      <Notice m="md" color="red">
        {error} <Link href="/jobs">All jobs</Link>
      </Notice>
    ) : (
      <Loader m="xl" />
    );
  const makers = byJob.get(`${namespace}/${name}`) ?? [];
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h3">
            {name}
          </Title>
          <Text c="dimmed" size="sm">
            {namespace}
            {job.graph && ` · ${job.graph.ops.length} ops`}
          </Text>
        </Group>
        <Button size="sm" component={Link} href={launchpadPath({ namespace, name })}>
          Open in Launchpad
        </Button>
      </Group>
      {job.why && <Notice color="yellow">{job.why}</Notice>}
      <Tabs defaultValue="overview" keepMounted={false} className="column fill">
        <Tabs.List>
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          <Tabs.Tab value="runs">Runs</Tabs.Tab>
          <Tabs.Tab value="makers">Schedules and sensors{makers.length ? ` (${makers.length})` : ""}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="overview" pt="sm" className="column">
          <Overview job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="runs" pt="sm" className="column">
          <RunsTable query={{ namespace, definition: name }} none="No runs yet." />
        </Tabs.Panel>
        <Tabs.Panel value="makers" pt="sm" className="column">
          {(["schedules", "sensors"] as const).map((kind) => {
            const own = makers.filter((maker) => maker.kind === kind);
            return !!own.length && <MakersTable key={kind} kind={kind} makers={own} now={now} onChange={refetch} />;
          })}
          {!makers.length && (
            <Empty title="No schedules or sensors for this job.">Apply a JobSchedule or JobSensor whose jobTemplate refers to it.</Empty>
          )}
        </Tabs.Panel>
      </Tabs>
    </Box>
  );
}

// The jobs of the cluster (JobDefinitions).
import { Box, Group, Loader, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import type { Definition } from "../api";
import { usePolled } from "../hooks/use-polled";
import { JobRow } from "../jobs/row";
import { useNow } from "../hooks/use-now";
import { useMakersByJob } from "../makers/of-job";
import { Empty } from "../components/empty";
import { useTitle } from "../hooks/use-title";
import { Notice } from "../components/notice";

const HEADS = ["Job", "State", "Last run", "Schedules and sensors", "Ops", "Age", ""];

export default function JobsPage() {
  const { data, error } = usePolled<{ served: boolean; definitions: Definition[] }>("/definitions");
  const { byJob } = useMakersByJob();
  const [text, setText] = useState("");
  const now = useNow(1000);
  useTitle("Jobs");
  const wanted = text.trim().toLowerCase();
  const shown = data?.definitions.filter((item) => `${item.namespace}/${item.name}`.includes(wanted)) ?? [];
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h3">
            Jobs
          </Title>
          {data && (
            <Text c="dimmed" size="sm">
              {shown.length}
            </Text>
          )}
        </Group>
        <TextInput
          aria-label="Filter jobs"
          placeholder="Name"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={260}
        />
      </Group>
      {error && <Notice color="red">{error}</Notice>}
      {!data && !error && <Loader />}
      {data && !data.served && (
        <Notice color="gray" title="JobDefinitions are not available">
          The JobDefinition CRD is not installed. Runs can be launched from a Python file or a past run in the{" "}
          <Link href="/launchpad">Launchpad</Link>.
        </Notice>
      )}
      {data?.served && !shown.length && (
        <Empty title={wanted ? "No matching jobs." : "No jobs yet."}>
          {!wanted && (
            <>
              Make one with <code>podgraph definition apply</code>, or apply a JobDefinition with <code>kubectl apply</code>.
            </>
          )}
        </Empty>
      )}
      {!!shown.length && (
        <div className="table jobs" role="table" aria-label="Jobs">
          <div className="row head" role="row">
            {HEADS.map((head, at) => (
              <span key={at} role={head ? "columnheader" : "cell"} className={head === "Ops" || head === "Age" ? "number" : ""}>
                {head}
              </span>
            ))}
          </div>
          <div className="scroll" role="rowgroup" tabIndex={0} aria-label="All jobs">
            {shown.map((job) => (
              <div key={`${job.namespace}/${job.name}`} className="row" role="row">
                <JobRow job={job} makers={byJob.get(`${job.namespace}/${job.name}`) ?? []} now={now} />
              </div>
            ))}
          </div>
        </div>
      )}
    </Box>
  );
}

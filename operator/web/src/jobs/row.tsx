// One JobDefinition in the list of jobs.
import { Anchor, Text } from "@mantine/core";
import { Link } from "wouter";
import { jobPath, launchpadPath, makerPath, runPath, type Definition, type Maker } from "../api";
import { age } from "../format";
import { StateBadge } from "../states";
import { Ready } from "./ready";

type Props = { job: Definition; makers: Maker[]; now: number };

export function JobRow({ job, makers, now }: Props) {
  const last = job.lastRun;
  return (
    <>
      <span role="cell" className="cut">
        <Anchor component={Link} href={jobPath(job)} fw={550}>
          {job.name}
        </Anchor>{" "}
        <Text span size="xs" c="dimmed">
          {job.namespace}
        </Text>
      </span>
      <span role="cell" className="cut" title={job.message}>
        <Ready ready={job.ready} />{" "}
        {job.ready === "False" && (
          <Text span size="xs" c="dimmed">
            {job.message}
          </Text>
        )}
      </span>
      <span role="cell" className="cut">
        {last ? (
          <>
            <StateBadge state={last.state} />{" "}
            <Anchor component={Link} size="sm" href={runPath(last)} title={last.name}>
              {age(last.created, now)} ago
            </Anchor>
          </>
        ) : (
          <Text span size="sm" c="dimmed">
            never run
          </Text>
        )}
      </span>
      <span role="cell" className="cut">
        {makers.map((maker) => (
          <Anchor key={maker.uid} component={Link} size="sm" href={makerPath(maker)} mr={8} title={maker.text}>
            {maker.name}
          </Anchor>
        ))}
      </span>
      <span role="cell" className="number">
        {job.ops}
      </span>
      <span role="cell" className="number">
        {age(job.created, now)}
      </span>
      <span role="cell">
        <Anchor component={Link} size="sm" href={launchpadPath(job)}>
          Launchpad
        </Anchor>
      </span>
    </>
  );
}

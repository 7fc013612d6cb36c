// One run in a list.
import { Anchor, Badge, Text } from "@mantine/core";
import { memo } from "react";
import { Link } from "wouter";
import { jobPath, runPath, type Summary } from "../api";
import { age, duration } from "../format";
import { StateBadge } from "../states";

type Props = { run: Summary; now: number; onTag?: (tag: string) => void };

function lasted(run: Summary, now: number): string {
  if (!run.start) return "";
  return duration((run.completion ? Date.parse(run.completion) : run.finished ? NaN : now) - Date.parse(run.start));
}

export const RunRow = memo(function RunRow({ run, now, onTag }: Props) {
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
          <Anchor component={Link} size="sm" href={jobPath({ namespace: run.namespace, name: run.definition })}>
            {run.definition}
          </Anchor>
        ) : (
          <Text span size="sm" c="dimmed">
            {run.code}
          </Text>
        )}
      </span>
      <span role="cell" className="cut">
        {run.maker ? (
          <Anchor component={Link} size="xs" href={`/${run.maker.replace("/", `/${run.namespace}/`)}`}>
            {run.maker.slice(run.maker.indexOf("/") + 1)}
          </Anchor>
        ) : (
          <Text span size="xs" c="dimmed">
            by hand
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
          <Badge
            key={key}
            {...(onTag ? { component: "button", type: "button", onClick: () => onTag(`${key}=${value}`), className: "press" } : {})}
            variant="default"
            size="sm"
            radius="sm"
            tt="none"
            fw={450}
            mr={4}
            title={onTag ? `Only runs with ${key}=${value}` : undefined}
          >
            {key}={value}
          </Badge>
        ))}
      </span>
    </>
  );
});

// What became of the last ticks.
import { Anchor, Table, Text } from "@mantine/core";
import { Link } from "wouter";
import { runPath, type Maker } from "../api";
import { moment } from "../format";
import { Badge } from "../components/badge";

const COLORS: Record<string, string> = { Created: "teal", Failed: "red", Skipped: "gray" };

export function TicksTable({ maker, now }: { maker: Maker; now: number }) {
  if (!maker.ticks.length)
    return (
      <Text size="sm" c="dimmed" p="sm">
        {maker.kind === "schedules" ? "No ticks yet." : "No ticks yet. The sensor has not detected a change."}
      </Text>
    );
  return (
    <Table className="facts" aria-label="Ticks">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Tick</Table.Th>
          <Table.Th>Outcome</Table.Th>
          <Table.Th>Run or reason</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {maker.ticks.map((tick) => (
          <Table.Tr key={`${tick.time} ${tick.job}`} data-outcome={tick.outcome}>
            <Table.Td className="fixed" title={new Date(tick.time).toLocaleString()}>
              {moment(tick.time, now)}
            </Table.Td>
            <Table.Td>
              <Badge color={COLORS[tick.outcome] ?? "gray"}>{tick.outcome}</Badge>
            </Table.Td>
            <Table.Td className="break">
              {tick.job && tick.outcome === "Created" ? (
                <Anchor component={Link} size="sm" href={runPath({ namespace: maker.namespace, name: tick.job })}>
                  {tick.job}
                </Anchor>
              ) : (
                <Text size="sm">{tick.reason}</Text>
              )}
              {tick.message && (
                <Text size="xs" c="dimmed" className="prose">
                  {tick.message}
                </Text>
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

// One schedule or sensor: what its ticks came to, when the next are, and what it makes.
import { Anchor, Badge, Box, Group, Loader, Tabs, Text, Title } from "@mantine/core";
import { Link } from "wouter";
import { jobPath, makerPath, type MakerView } from "../api";
import { usePolled } from "../hooks/use-polled";
import { useNow } from "../hooks/use-now";
import { MakerState } from "../makers/state";
import { SuspendSwitch } from "../makers/suspend";
import { TicksTable } from "../makers/ticks-table";
import { TryTick } from "../makers/try";
import { Upcoming } from "../makers/upcoming";
import { LABELS, type Kind } from "../makers/labels";
import { RunsTable } from "../runs/table";
import { Block } from "../components/text";
import { useTitle } from "../hooks/use-title";
import { Notice } from "../components/notice";

type Props = { kind: Kind; namespace: string; name: string };

export default function MakerPage({ kind, namespace, name }: Props) {
  const { data, error, refetch } = usePolled<MakerView>(`/makers${makerPath({ kind, namespace, name })}`);
  const now = useNow(1000);
  useTitle(name);
  if (!data)
    return error ? (
      <Notice m="md" color="red">
        {error} <Link href={`/${kind}`}>All {kind}</Link>
      </Notice>
    ) : (
      <Loader m="xl" />
    );
  const { maker } = data;
  return (
    <Box className="page column">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Box miw={0}>
          <Group gap="sm">
            <MakerState maker={maker} size="lg" />
            <Title order={1} size="h3" className="cut">
              {name}
            </Title>
            <Text c="dimmed" size="sm">
              {namespace}
            </Text>
          </Group>
          <Group gap={8} mt={4}>
            <Badge variant="default" tt="none" fw={500} className="mono">
              {maker.text || "unknown"}
            </Badge>
            {maker.definition && (
              <Anchor component={Link} size="sm" href={jobPath({ namespace, name: maker.definition })}>
                {maker.definition}
              </Anchor>
            )}
          </Group>
        </Box>
        <SuspendSwitch maker={maker} onChange={refetch} label={maker.suspended ? "Suspended" : "On"} />
      </Group>
      {error && <Notice color="yellow">{error}</Notice>}
      {maker.ready === "False" && (
        <Notice color="red" title={maker.reason}>
          {maker.message}
        </Notice>
      )}
      <div className="split">
        <section className="pane column" aria-label="Ticks and runs">
          <Tabs defaultValue="ticks" keepMounted={false} className="column">
            <Tabs.List>
              <Tabs.Tab value="ticks">Ticks</Tabs.Tab>
              <Tabs.Tab value="runs">Runs</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="ticks" pt="sm" className="scroll" tabIndex={0}>
              <TicksTable maker={maker} now={now} />
            </Tabs.Panel>
            <Tabs.Panel value="runs" pt="sm" className="column">
              <RunsTable query={{ namespace, maker: `${kind}/${name}` }} none={`This ${LABELS[kind].one} has no runs.`} />
            </Tabs.Panel>
          </Tabs>
        </section>
        <section className="pane column side" aria-label={`About the ${LABELS[kind].one}`}>
          <div className="scroll stack" tabIndex={0} role="group" aria-label="Details">
            {kind === "schedules" && (
              <>
                <Title order={2} size="sm">
                  Next ticks
                </Title>
                <Upcoming times={data.upcoming} suspended={maker.suspended} now={now} />
              </>
            )}
            <Title order={2} size="sm">
              Dry run
            </Title>
            <TryTick maker={maker} />
            <Title order={2} size="sm">
              Spec
            </Title>
            <Block label="spec" text={data.settings} most="none" />
          </div>
        </section>
      </div>
    </Box>
  );
}

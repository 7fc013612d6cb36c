// One schedule or sensor: what its ticks came to, when the next are, and what it makes.
import { Anchor, Badge, Box, Group, Loader, Tabs, Text, Title } from "@mantine/core";
import { Link } from "wouter";
import { jobPath, makerPath, type MakerView } from "../api";
import { useAsked } from "../asked";
import { useNow } from "../live";
import { MakerState } from "../makers/state";
import { SuspendSwitch } from "../makers/suspend";
import { TicksTable } from "../makers/ticks-table";
import { TryTick } from "../makers/try";
import { Upcoming } from "../makers/upcoming";
import { WORDS, type Kind } from "../makers/words";
import { RunsTable } from "../parts/runs-table";
import { Block } from "../parts/text";
import { useTitle } from "../title";
import { Notice } from "../parts/notice";

type Props = { kind: Kind; namespace: string; name: string };

export default function MakerPage({ kind, namespace, name }: Props) {
  const { told, problem, again } = useAsked<MakerView>(`/makers${makerPath({ kind, namespace, name })}`);
  const now = useNow(1000);
  useTitle(name);
  if (!told)
    return problem ? (
      <Notice m="md" color="red">
        {problem} <Link href={`/${kind}`}>All {kind}</Link>
      </Notice>
    ) : (
      <Loader m="xl" />
    );
  const { maker } = told;
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
              {maker.text || "not read yet"}
            </Badge>
            {maker.definition && (
              <Anchor component={Link} size="sm" href={jobPath({ namespace, name: maker.definition })}>
                {maker.definition}
              </Anchor>
            )}
          </Group>
        </Box>
        <SuspendSwitch maker={maker} onChange={again} label={maker.suspended ? "Suspended" : "On"} />
      </Group>
      {problem && (
        <Notice color="yellow">
          {problem}
        </Notice>
      )}
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
              <RunsTable query={{ namespace, maker: `${kind}/${name}` }} none={`This ${WORDS[kind].one} has no runs.`} />
            </Tabs.Panel>
          </Tabs>
        </section>
        <section className="pane column side" aria-label={`About the ${WORDS[kind].one}`}>
          <div className="scroll stack" tabIndex={0} role="group" aria-label="What it makes">
            {kind === "schedules" && (
              <>
                <Title order={2} size="sm">
                  Next ticks
                </Title>
                <Upcoming times={told.upcoming} suspended={maker.suspended} now={now} />
              </>
            )}
            <Title order={2} size="sm">
              Try it
            </Title>
            <TryTick maker={maker} />
            <Title order={2} size="sm">
              Spec
            </Title>
            <Block label="spec" text={told.settings} most="none" />
          </div>
        </section>
      </div>
    </Box>
  );
}

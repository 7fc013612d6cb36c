// A job's graph; beside it the op that is picked, or the job's settings and code.
import { Anchor, Box, Loader, Tabs, Text, TextInput } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import type { DefinitionView } from "../api";
import { OpPanel } from "../components/op-panel";
import { Block } from "../components/text";

const GraphView = lazy(() => import("../graph/view"));

export function Overview({ job }: { job: DefinitionView }) {
  const [picked, setPicked] = useState("");
  const [text, setText] = useState("");
  const op = job.graph?.ops.find((item) => item.name === picked);
  const found = text.trim() ? (job.graph?.ops.filter((item) => item.name.toLowerCase().includes(text.trim().toLowerCase())) ?? []) : [];
  return (
    <div className="split">
      <section className="pane column" aria-label="Graph">
        {job.graph && (
          <>
            <TextInput
              size="xs"
              w={260}
              aria-label="Find ops"
              placeholder="Find ops; Enter opens the first"
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Enter" && found[0] && setPicked(found[0].name)}
              rightSectionWidth={44}
              rightSection={
                text.trim() && (
                  <Text size="xs" c="dimmed" aria-live="polite">
                    {found.length}
                  </Text>
                )
              }
            />
            <Suspense fallback={<Loader m="xl" />}>
              <GraphView graph={job.graph} picked={picked} found={text.trim()} onPick={setPicked} />
            </Suspense>
          </>
        )}
      </section>
      <section className="pane column side" aria-label={picked ? `Op ${picked}` : "About the job"}>
        {op && job.graph ? (
          <>
            <Anchor component="button" type="button" size="xs" onClick={() => setPicked("")} mb={6} w="fit-content">
              ← About the job
            </Anchor>
            <Box className="scroll" tabIndex={0} role="group" aria-label={`About ${op.name}`}>
              <OpPanel op={op} graph={job.graph} onPick={setPicked} />
            </Box>
          </>
        ) : (
          <Tabs defaultValue="settings" keepMounted={false} className="column">
            <Tabs.List>
              <Tabs.Tab value="settings">Settings</Tabs.Tab>
              {job.source && <Tabs.Tab value="code">Code</Tabs.Tab>}
            </Tabs.List>
            <Tabs.Panel value="settings" pt="sm" className="scroll">
              <Block label="settings" text={job.settings || "{}\n"} most="none" />
            </Tabs.Panel>
            <Tabs.Panel value="code" pt="sm" className="scroll">
              <Block label="code" text={job.source} most="none" />
            </Tabs.Panel>
          </Tabs>
        )}
      </section>
    </div>
  );
}

// All schedules, or all sensors.
import { Box, Group, Loader, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import type { Maker } from "../api";
import { useAsked } from "../asked";
import { useNow } from "../live";
import { MakersTable } from "../makers/table";
import { WORDS, type Kind } from "../makers/words";
import { Empty } from "../parts/empty";
import { useTitle } from "../title";
import { Notice } from "../parts/notice";

export default function MakersPage({ kind }: { kind: Kind }) {
  const { told, problem, again } = useAsked<{ served: boolean; makers: Maker[] }>(`/makers/${kind}`);
  const [text, setText] = useState("");
  const now = useNow(1000);
  const words = WORDS[kind];
  useTitle(words.title);
  const wanted = text.trim().toLowerCase();
  const shown = (told?.makers ?? []).filter((maker) =>
    [maker.name, maker.namespace, maker.text, maker.definition].some((part) => part.toLowerCase().includes(wanted)),
  );
  return (
    <Box className="page column">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h3">
            {words.title}
          </Title>
          {told && (
            <Text c="dimmed" size="sm">
              {shown.length}
            </Text>
          )}
        </Group>
        <TextInput
          aria-label={`Filter ${kind}`}
          placeholder="Name, job or what it says"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={260}
        />
      </Group>
      {problem && <Notice color="red">{problem}</Notice>}
      {!told && !problem && <Loader />}
      {told && !shown.length && (
        <Empty title={wanted ? `No ${words.one} matches` : `There are no ${kind}`}>
          {!told.served
            ? `This cluster does not have the kind ${words.kind}.`
            : !wanted && (
                <>
                  Apply a {words.kind} with <code>kubectl apply</code>: it makes a Job{" "}
                  {kind === "schedules" ? "at each time that it names" : "when something comes about"}.
                </>
              )}
        </Empty>
      )}
      {!!shown.length && <MakersTable kind={kind} makers={shown} now={now} onChange={again} />}
    </Box>
  );
}

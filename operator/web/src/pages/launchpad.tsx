// The Launchpad: choose what to run, say which ops and with which config, see what is wrong, launch it.
import { Box, Group, SegmentedControl, Stack, Text, Title } from "@mantine/core";
import { useCallback, useEffect } from "react";
import { useSearchParams } from "wouter";
import type { Info } from "../api";
import { usePolled } from "../hooks/use-polled";
import { Code } from "../launchpad/code";
import { Config } from "../launchpad/config";
import { LaunchButton } from "../launchpad/launch";
import { Options } from "../launchpad/options";
import { Picker } from "../launchpad/picker";
import { Preview } from "../launchpad/preview";
import { Selection } from "../launchpad/selection";
import { adding, changing, closing, made, reopening, showing, type Kind, type Session, type Sessions } from "../launchpad/sessions";
import { SessionTabs } from "../launchpad/tabs";
import { useCheck } from "../launchpad/use-check";
import { useOpened } from "../launchpad/use-opened";
import { useSessions } from "../launchpad/use-sessions";
import { whyNot } from "../launchpad/why-not";
import { Empty } from "../components/empty";
import { Notice } from "../components/notice";
import { useTitle } from "../hooks/use-title";

const askedOf = (query: URLSearchParams): [Kind, string] | null =>
  query.get("definition") ? ["definition", query.get("definition")!] : query.get("run") ? ["run", query.get("run")!] : null;

export default function LaunchpadPage() {
  const [query, setQuery] = useSearchParams();
  const [sessions, change] = useSessions();
  const { data: info } = usePolled<Info>("/info", 30_000);
  useTitle("Launchpad");
  // A link to a job or run brings up its tab; from then on the address follows the tab in front.
  const asked = askedOf(query);
  const link = asked?.join(" ") ?? "";
  useEffect(() => {
    const [kind, at] = link.split(" ") as [Kind | "", string?];
    if (kind) change((old) => showing(old, kind, at ?? ""));
  }, [link, change]);
  const session = sessions.open.find((item) => item.id === sessions.active) ?? sessions.open[0]!;
  const follow = useCallback(
    (how: (old: Sessions) => Sessions) => {
      const next = how(sessions);
      change(() => next);
      const front = next.open.find((item) => item.id === next.active);
      setQuery(front && front.kind !== "source" && front.at ? { [front.kind]: front.at } : {}, { replace: true });
    },
    [sessions, change, setQuery],
  );
  const front = asked && (session.kind !== asked[0] || session.at !== asked[1]) ? null : session;
  return (
    <Box className="page column">
      <Group gap="md" wrap="nowrap">
        <Title order={1} size="h3">
          Launchpad
        </Title>
        <SessionTabs
          sessions={sessions}
          onPick={(id) => follow((old) => ({ ...old, active: id }))}
          onClose={(id) => follow((old) => closing(old, id))}
          onName={(id, name) => change((old) => changing(old, id, { name }))}
          onAdd={() => follow((old) => adding(old, made(session.kind, session.kind === "definition" ? session.at : "", session.namespace)))}
          onReopen={() => follow(reopening)}
        />
      </Group>
      {front && (
        <Prepared
          key={front.id}
          session={front}
          info={info}
          onChange={(part) => change((old) => changing(old, front.id, part))}
          onSource={(kind, at) => follow((old) => changing(old, front.id, anew(front, kind, at)))}
        />
      )}
    </Box>
  );
}

/** A tab about something else: only the code stays, for the way back. */
function anew({ id, name, namespace, code, image, job }: Session, kind: Kind, at: string): Session {
  return { ...made(kind, at), id, name, namespace, code, image, job };
}

type Props = {
  session: Session;
  info: Info | null;
  onChange: (change: Partial<Session>) => void;
  onSource: (kind: Kind, at: string) => void;
};

function Prepared({ session, info, onChange, onSource }: Props) {
  const { kind, at } = session;
  const { opened, problem: trouble } = useOpened(session);
  const check = useCheck(session);
  const { result } = check;
  const why = whyNot(session, check, trouble);
  const graph = opened?.graph ?? null;
  useEffect(() => {
    if (kind === "source" && !session.namespace && info) onChange({ namespace: info.namespace || info.namespaces[0] || "default" });
    // What is chosen opens with its own selection, config, mode, limit and tags, once.
    if (opened && !session.opened)
      onChange({
        opened: true,
        selection: opened.selection,
        config: opened.config,
        mode: opened.mode,
        most: opened.maxConcurrent,
        tags: Object.entries(opened.tags).map(([key, value]) => `${key}=${value}`),
      });
  }, [kind, info, opened, session.namespace, session.opened, onChange]);
  return (
    <>
      <Group justify="space-between" wrap="nowrap">
        <Group gap="md" wrap="nowrap">
          <SegmentedControl
            size="xs"
            aria-label="What to run"
            value={kind}
            onChange={(to) => onSource(to as Kind, "")}
            data={[
              { value: "source", label: "Python file" },
              ...(info?.definitions || kind === "definition" ? [{ value: "definition", label: "Job" }] : []),
              { value: "run", label: "Past run" },
            ]}
          />
          {kind !== "source" && <Picker kind={kind} at={at} onPick={(to) => onSource(kind, to)} />}
        </Group>
        <LaunchButton session={session} wanted={check.wanted} why={why} />
      </Group>
      {(trouble || check.problem) && <Notice color="red">{trouble || check.problem}</Notice>}
      {result && !result.graphKnown && kind !== "source" && <Notice color="yellow">{result.why}</Notice>}
      <div className="split even">
        <section className="pane column" aria-label="Settings">
          <Stack gap="sm" className="column">
            <Selection value={session.selection} check={check} graph={graph} onChange={(selection) => onChange({ selection })} />
            <Options session={session} modes={opened?.modes} onChange={onChange} />
            <Config
              id={`${session.id} ${kind} ${at}`}
              value={session.config}
              check={check}
              hasGraph={graph !== null}
              onChange={(config) => onChange({ config })}
            />
          </Stack>
        </section>
        <section className="pane column" aria-label={kind === "source" ? "Code" : "Graph"}>
          {kind === "source" ? (
            <Code session={session} info={info} onChange={onChange} />
          ) : graph ? (
            <Preview graph={graph} selected={result?.selected ?? null} />
          ) : (
            <Empty title={at ? "No graph to show." : `Choose a ${kind === "run" ? "run" : "job"} to see its graph.`}>
              {at && !trouble && <Text span>The graph appears when the code has been read.</Text>}
            </Empty>
          )}
        </section>
      </div>
    </>
  );
}

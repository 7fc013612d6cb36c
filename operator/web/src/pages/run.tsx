// One run, live: its timeline or graph, what happened, the step that is picked, and what can be done with it.
import { Anchor, Box, Group, Loader, SegmentedControl, Text } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { usePods, useRun } from "../run/use-run";
import { StepPanel } from "../run/step-panel";
import { About } from "../run/about";
import { eventsOf } from "../run/events";
import { EventsTable } from "../run/events-table";
import { Gantt } from "../run/gantt";
import { RunHeader } from "../run/header";
import { StateChips } from "../run/state-chips";
import { useTitle } from "../hooks/use-title";
import { Notice } from "../components/notice";

const GraphView = lazy(() => import("../graph/view"));

export default function RunPage({ namespace, name }: { namespace: string; name: string }) {
  const { run, steps, graph, gone, trouble } = useRun(namespace, name);
  const { pods, events } = usePods(namespace, name, run?.version ?? "");
  const [query, setQuery] = useSearchParams();
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [state, setState] = useState("");
  const [showsEvents, setShowsEvents] = useLocalStorage({ key: "podgraph-run-events", defaultValue: true, getInitialValueInEffect: false });
  useTitle(name);
  const picked = query.get("step") ?? "";
  const view = query.get("view") === "graph" ? "graph" : "timeline";
  const set = useCallback(
    (key: string, value: string) =>
      setQuery(
        (old) => {
          const next = new URLSearchParams(old);
          if (value) next.set(key, value);
          else next.delete(key);
          return next;
        },
        { replace: true },
      ),
    [setQuery],
  );
  const pick = useCallback((step: string) => set("step", step), [set]);
  const names = useMemo(() => {
    const order = graph?.ops.map((op) => op.name).filter((op) => op in steps) ?? [];
    const known = new Set(order);
    return [...order, ...Object.keys(steps).filter((step) => !known.has(step))];
  }, [graph, steps]);
  const shown = useMemo(() => (state ? names.filter((step) => steps[step]?.state === state) : names), [names, steps, state]);
  const happened = useMemo(() => (run ? eventsOf(run, steps, pods, events) : []), [run, steps, pods, events]);
  const choose = useCallback(
    (step: string) =>
      setChosen((old) => {
        const next = new Set(old);
        if (!next.delete(step)) next.add(step);
        return next;
      }),
    [],
  );
  if (gone)
    return (
      <Notice m="md" color="gray" title={`Run ${name} not found in namespace ${namespace}`}>
        It was deleted or never existed. <Link href="/runs">All runs</Link>
      </Notice>
    );
  if (!run)
    return trouble ? (
      <Notice m="md" color="red">
        {trouble}
      </Notice>
    ) : (
      <Loader m="xl" />
    );
  const { summary } = run;
  const stepPods = pods[picked]?.length ? pods[picked] : (pods[""] ?? []).filter((pod) => pod.all);
  return (
    <Box className="page column">
      <RunHeader run={run} chosen={[...chosen]} />
      {trouble && <Notice color="yellow">{trouble}</Notice>}
      {summary.finished && summary.state !== "Succeeded" && (
        <Notice color="red" title={summary.state} data-testid="why">
          <Text size="sm" className="prose">
            {run.conditions.find((condition) => condition.type === "Succeeded")?.message}
          </Text>
        </Notice>
      )}
      <div className="split">
        <div className="column halves" data-view={view}>
          <section className="pane column" aria-label="Steps">
            <Group gap="sm" mb="xs" wrap="nowrap">
              <SegmentedControl
                size="xs"
                aria-label="How the steps are shown"
                value={view}
                onChange={(to) => set("view", to === "graph" ? to : "")}
                data={[
                  { value: "timeline", label: "Timeline" },
                  { value: "graph", label: "Graph" },
                ]}
              />
              <StateChips steps={steps} picked={state} onPick={setState} />
            </Group>
            {view === "timeline" ? (
              <Gantt
                names={shown}
                steps={steps}
                graph={graph}
                pods={pods}
                start={summary.start}
                completion={summary.completion}
                finished={summary.finished}
                picked={picked}
                chosen={chosen}
                onPick={pick}
                onChoose={choose}
              />
            ) : graph ? (
              <Suspense fallback={<Loader m="xl" />}>
                <GraphView graph={graph} steps={steps} picked={picked} onPick={pick} />
              </Suspense>
            ) : (
              <Text c="dimmed" p="md">
                The graph is not available yet.
              </Text>
            )}
          </section>
          <section className={showsEvents ? "pane column" : "pane column shut"} aria-label="What happened">
            <button type="button" className="plain fold" aria-expanded={showsEvents} onClick={() => setShowsEvents(!showsEvents)}>
              {showsEvents ? "▾" : "▸"} Events
            </button>
            {showsEvents && <EventsTable events={happened} live={!summary.finished} onPick={pick} />}
          </section>
        </div>
        <section className="pane column side" aria-label={picked ? `Step ${picked}` : "About the run"}>
          {picked && steps[picked] ? (
            <>
              <Anchor component="button" type="button" size="xs" onClick={() => pick("")} mb={6} w="fit-content">
                ← About the run
              </Anchor>
              <StepPanel
                key={picked}
                namespace={namespace}
                name={name}
                step={picked}
                record={steps[picked]}
                steps={steps}
                graph={graph}
                pods={stepPods}
                onPick={pick}
              />
            </>
          ) : (
            <About run={run} />
          )}
        </section>
      </div>
    </Box>
  );
}

// The Launchpad: choose what to run, say which ops and with which config, see what is wrong, launch it.
import {
  Alert,
  Box,
  Button,
  FileButton,
  Group,
  Loader,
  NativeSelect,
  SegmentedControl,
  Stack,
  TagsInput,
  Text,
  TextInput,
  Title,
  Tooltip,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { ask, runPath, type Checked, type Definition, type Graph, type Info, type Opened, type Source, type Summary } from "../api";
import { OpPanel } from "../parts/op-panel";

const Editor = lazy(() => import("../parts/editor"));
const GraphView = lazy(() => import("../parts/graph"));

const EXAMPLE = `from podgraph import job, op


@op
def return_one():
    return 1


@op
def add_two(i: int):
    return i + 2


@op
def multi_three(i: int):
    return i * 3


@job
def my_job():
    multi_three(add_two(return_one()))
`;
const MOST_SOURCE = 524_288;

type Kind = "source" | "definition" | "run";

function Marked({ text, from, to }: { text: string; from: number; to: number }) {
  return (
    <code className="clauses" data-testid="wrong-clause">
      {text.slice(0, from)}
      <mark>{text.slice(from, to) || "∅"}</mark>
      {text.slice(to)}
    </code>
  );
}

function Picker({ kind, at, onPick }: { kind: "run" | "definition"; at: string; onPick: (at: string) => void }) {
  const [choices, setChoices] = useState<string[] | null>(null);
  useEffect(() => {
    const ended = new AbortController();
    const found =
      kind === "run"
        ? ask<{ runs: Summary[] }>("/runs?limit=500", "GET", undefined, ended.signal).then(({ runs }) => runs)
        : ask<{ definitions: Definition[] }>("/definitions", "GET", undefined, ended.signal).then(({ definitions }) => definitions);
    found.then(
      (items) => setChoices(items.map((item) => `${item.namespace}/${item.name}`)),
      () => {
        if (!ended.signal.aborted) setChoices([]);
      },
    );
    return () => ended.abort();
  }, [kind]);
  const all = at && !choices?.includes(at) ? [at, ...(choices ?? [])] : (choices ?? []);
  const what = kind === "run" ? "run" : "job";
  return (
    <NativeSelect
      aria-label={kind === "run" ? "Past run" : "Job definition"}
      value={at}
      onChange={(event) => onPick(event.currentTarget.value)}
      data={[{ value: "", label: choices === null ? "Loading…" : choices.length ? `Choose a ${what}` : `There is no ${what}` }, ...all]}
    />
  );
}

export default function LaunchpadPage() {
  const [query, setQuery] = useSearchParams();
  const [, go] = useLocation();
  const [info, setInfo] = useState<Info | null>(null);
  const asked: Kind = query.has("definition") ? "definition" : query.has("run") ? "run" : "source";
  const at = query.get(asked) ?? "";
  const [code, setCode] = useState(EXAMPLE);
  const [image, setImage] = useState("");
  const [job, setJob] = useState("");
  const [namespace, setNamespace] = useState("");
  const [opened, setOpened] = useState<Opened | null>(null);
  const [problem, setProblem] = useState("");
  const [selection, setSelection] = useState("");
  const [config, setConfig] = useState("");
  const [mode, setMode] = useState("PodPerStep");
  const [tags, setTags] = useState<string[]>([]);
  const [checked, setChecked] = useState<{ of: string; result: Checked } | null>(null);
  const [launching, setLaunching] = useState(false);
  const [pickedOp, setPickedOp] = useState("");
  const [goTo, setGoTo] = useState({ at: 0, count: 0 });

  useEffect(() => {
    ask<Info>("/info").then(
      (told) => {
        setInfo(told);
        setNamespace((old) => old || told.namespace || told.namespaces[0] || "default");
      },
      (error: Error) => setProblem(error.message),
    );
  }, []);

  const [where, name] = at.includes("/") ? (at.split("/", 2) as [string, string]) : ["", ""];
  const space = asked === "source" ? namespace : where;
  const source: Source | null = useMemo(
    () =>
      asked === "source"
        ? code.trim()
          ? { source: code, image, job }
          : null
        : name
          ? asked === "run"
            ? { run: name }
            : { definition: name }
          : null,
    [asked, code, image, job, name],
  );

  // What is chosen opens with its own selection, config, mode and tags.
  useEffect(() => {
    setOpened(null);
    setProblem("");
    setPickedOp("");
    if (asked === "source" || !name) {
      setSelection("");
      setConfig("");
      setMode("PodPerStep");
      setTags([]);
      return;
    }
    const ended = new AbortController();
    ask<Opened>("/source", "POST", { namespace: where, source: { [asked]: name } }, ended.signal).then(
      (told) => {
        setOpened(told);
        setSelection(told.selection);
        setConfig(told.config);
        setMode(told.mode);
        setTags(Object.entries(told.tags).map(([key, value]) => `${key}=${value}`));
      },
      (error: Error) => {
        if (!ended.signal.aborted) setProblem(error.message);
      },
    );
    return () => ended.abort();
  }, [asked, where, name]);

  const wanted = useMemo(() => JSON.stringify({ namespace: space, source, selection, config }), [space, source, selection, config]);
  const [settled] = useDebouncedValue(wanted, 150);
  useEffect(() => {
    const body = JSON.parse(settled) as { source: Source | null; namespace: string };
    if (!body.source || !body.namespace) return;
    const ended = new AbortController();
    ask<Checked>("/check", "POST", body, ended.signal).then(
      (result) => {
        setChecked({ of: settled, result });
        setProblem("");
      },
      (error: Error) => {
        if (!ended.signal.aborted) setProblem(error.message);
      },
    );
    return () => ended.abort();
  }, [settled]);

  const result = checked?.result ?? null;
  const fresh = checked?.of === wanted;
  const graph: Graph | null = opened?.graph ?? null;
  const selected = useMemo(() => (result?.selected ? new Set(result.selected) : null), [result]);
  const op = graph?.ops.find((item) => item.name === pickedOp);
  const wrongTag = tags.find((tag) => !/^[^=]+=/.test(tag));
  const why = !source
    ? asked === "source"
      ? "There is no code"
      : `Choose a ${asked === "run" ? "run" : "job"} first`
    : problem
      ? problem
      : result?.selection && fresh
        ? "The op selection is not right"
        : result?.config.length && fresh
          ? `Run config has ${result.config.length === 1 ? "a problem" : `${result.config.length} problems`}`
          : asked === "definition" && result && !result.graphKnown
            ? result.why
            : wrongTag
              ? `The tag ${wrongTag} must be key=value`
              : !fresh
                ? "Checking…"
                : "";

  const example = async (kind: "Missing" | "All") => {
    try {
      const told = await ask<Checked>("/check", "POST", { ...(JSON.parse(wanted) as object), example: kind });
      if (told.example) setConfig(told.example);
    } catch (error) {
      notifications.show({ color: "red", title: "Refused", message: (error as Error).message });
    }
  };

  const launch = async () => {
    setLaunching(true);
    try {
      const made = await ask<{ namespace: string; name: string }>("/runs", "POST", {
        namespace: space,
        source,
        selection,
        config,
        mode,
        tags: Object.fromEntries(tags.map((tag) => [tag.slice(0, tag.indexOf("=")), tag.slice(tag.indexOf("=") + 1)])),
      });
      go(runPath(made));
    } catch (error) {
      notifications.show({ color: "red", title: "Refused", message: (error as Error).message, autoClose: 10_000 });
      setLaunching(false);
    }
  };

  const upload = async (file: File | null) => {
    if (!file) return;
    if (file.size > MOST_SOURCE)
      notifications.show({ color: "red", title: "Too large", message: `${file.name} is larger than ${MOST_SOURCE.toLocaleString()} bytes` });
    else setCode(await file.text());
  };

  return (
    <Box className="page column">
      <Group justify="space-between" wrap="nowrap">
        <Group gap="md" wrap="nowrap">
          <Title order={2} size="h3">
            Launchpad
          </Title>
          <SegmentedControl
            size="xs"
            aria-label="What to run"
            value={asked}
            onChange={(kind) => setQuery(kind === "source" ? {} : { [kind]: "" })}
            data={[
              { value: "source", label: "Python file" },
              ...(info?.definitions ? [{ value: "definition", label: "Job" }] : []),
              { value: "run", label: "Past run" },
            ]}
          />
          {asked !== "source" && <Picker kind={asked} at={at} onPick={(to) => setQuery({ [asked]: to })} />}
        </Group>
        <Tooltip label={why} disabled={!why} multiline maw={400}>
          <Button
            onClick={launch}
            loading={launching}
            data-disabled={!!why || undefined}
            aria-disabled={!!why}
            aria-description={why || undefined}
            onClickCapture={(event: React.MouseEvent) => {
              if (why) event.stopPropagation();
            }}
          >
            Launch Run
          </Button>
        </Tooltip>
      </Group>
      {problem && (
        <Alert color="red" p="xs">
          {problem}
        </Alert>
      )}
      {result && !result.graphKnown && asked !== "source" && (
        <Alert color="yellow" p="xs">
          {result.why}
        </Alert>
      )}
      <div className="split even">
        <section className="pane column" aria-label="Settings">
          <Stack gap="sm" className="column">
            <TextInput
              label="Op selection"
              placeholder="All ops. Or: *add_two, load+"
              value={selection}
              onChange={(event) => setSelection(event.currentTarget.value)}
              classNames={{ input: "mono" }}
              spellCheck={false}
              autoComplete="off"
              error={
                result?.selection &&
                fresh && (
                  <>
                    <Marked text={selection} from={result.selection.from} to={result.selection.to} /> {result.selection.message}
                  </>
                )
              }
              description={
                selected && graph
                  ? `${selected.size} of ${graph.ops.length} ops`
                  : "Clauses with commas between them: op, *op, op*, +op, op++, graph.op"
              }
            />
            <Group gap="sm" grow align="flex-start">
              <NativeSelect
                label="Mode"
                value={mode}
                onChange={(event) => setMode(event.currentTarget.value)}
                data={opened?.modes ?? ["PodPerStep", "InProcess", "Multiprocess"]}
              />
              <TagsInput label="Tags" placeholder={tags.length ? "" : "key=value"} value={tags} onChange={setTags} maxTags={32} />
            </Group>
            <Group justify="space-between" align="flex-end">
              <Text size="sm" fw={500}>
                Run config
              </Text>
              {graph && (
                <Group gap="xs">
                  <Button size="compact-xs" variant="default" disabled={!result?.config.some((item) => item.missing)} onClick={() => example("Missing")}>
                    Scaffold missing config
                  </Button>
                  <Button size="compact-xs" variant="default" onClick={() => example("All")}>
                    Scaffold all config
                  </Button>
                </Group>
              )}
            </Group>
            <Suspense fallback={<Loader size="sm" />}>
              <Editor
                key={`config ${asked} ${at}`}
                language="yaml"
                label="Run config"
                value={config}
                onChange={setConfig}
                problems={fresh ? result?.config : undefined}
                schema={result?.schema}
                goTo={goTo}
              />
            </Suspense>
            {!!result?.config.length && fresh && (
              <div className="problems" role="alert" data-testid="problems">
                {result.config.slice(0, 50).map((item) => (
                  <button
                    key={`${item.path} ${item.message}`}
                    type="button"
                    className="plain"
                    onClick={() => setGoTo((old) => ({ at: item.from, count: old.count + 1 }))}
                  >
                    {item.message}
                  </button>
                ))}
              </div>
            )}
          </Stack>
        </section>
        <section className="pane column" aria-label={asked === "source" ? "Code" : "Graph"}>
          {asked === "source" ? (
            <Stack gap="sm" className="column">
              <Group gap="sm" grow align="flex-end">
                <NativeSelect
                  label="Namespace"
                  value={namespace}
                  onChange={(event) => setNamespace(event.currentTarget.value)}
                  data={info?.namespaces ?? []}
                />
                <TextInput
                  label="Image"
                  placeholder={info?.stepImage || "the operator's default"}
                  value={image}
                  onChange={(event) => setImage(event.currentTarget.value)}
                />
                <TextInput label="Job" placeholder="when there are several" value={job} onChange={(event) => setJob(event.currentTarget.value)} />
              </Group>
              <Group justify="space-between">
                <Text size="sm" fw={500}>
                  Python file
                </Text>
                <FileButton onChange={upload} accept=".py,text/x-python">
                  {(props) => (
                    <Button {...props} size="compact-xs" variant="default">
                      Upload my_job.py
                    </Button>
                  )}
                </FileButton>
              </Group>
              <Suspense fallback={<Loader size="sm" />}>
                <Editor language="python" label="Python file" value={code} onChange={setCode} />
              </Suspense>
              <Text size="xs" c="dimmed">
                The code is read in the cluster, never here: a wrong op name or config is refused there before any step's pod exists.
              </Text>
            </Stack>
          ) : graph ? (
            <>
              <Suspense fallback={<Loader m="xl" />}>
                <GraphView graph={graph} selected={selected} picked={pickedOp} onPick={setPickedOp} />
              </Suspense>
              {op && (
                <Box className="scroll" mah="40%" pt="sm">
                  <OpPanel op={op} graph={graph} onPick={setPickedOp} />
                </Box>
              )}
            </>
          ) : (
            <Text c="dimmed" p="xl" ta="center">
              {name ? "There is no graph to show." : `Choose a ${asked === "run" ? "run" : "job"} to see its graph.`}
            </Text>
          )}
        </section>
      </div>
    </Box>
  );
}

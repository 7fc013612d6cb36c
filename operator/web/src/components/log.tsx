// What a step printed, as it comes. Its text is only ever text.
import { Anchor, Box, Group, Loader, Switch, Text, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { refusedBy, runPath } from "../api";

const LINE = 18;
const MOST_LINES = 20_000;
const MOST_CHARACTERS = 5_000; // of one line, on the page
// eslint-disable-next-line no-control-regex
const CODES = /\u001b\[[0-9;?]*[A-Za-z]|\r/g;

type Props = { namespace: string; name: string; step: string; pod: string; active: boolean; version: string };

export function LogView({ namespace, name, step, pod, active, version }: Props) {
  const [lines, setLines] = useState<string[]>([]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(true);
  const [cut, setCut] = useState(false);
  const [text, setText] = useState("");
  const [tailing, setTailing] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const path = `/api${runPath({ namespace, name })}/log?${new URLSearchParams({ step, pod })}`;

  useEffect(() => {
    const ended = new AbortController();
    setLines([]);
    setProblem("");
    setBusy(true);
    setCut(false);
    void (async () => {
      try {
        const answer = await fetch(`${path}&follow=${active}`, { signal: ended.signal });
        if (!answer.ok || !answer.body) throw await refusedBy(answer);
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { done, value } = await reader.read();
          const parts = (rest + (value ?? "")).split("\n");
          rest = done ? "" : (parts.pop() ?? "");
          if (done && parts.at(-1) === "") parts.pop();
          const fresh = parts.map((line) => line.slice(0, MOST_CHARACTERS).replace(CODES, ""));
          if (fresh.length)
            setLines((old) => {
              const all = [...old, ...fresh];
              if (all.length <= MOST_LINES) return all;
              setCut(true);
              return all.slice(-MOST_LINES);
            });
          if (done) break;
        }
      } catch (error) {
        if (!ended.signal.aborted) setProblem((error as Error).message);
      } finally {
        if (!ended.signal.aborted) setBusy(false);
      }
    })();
    return () => ended.abort();
  }, [path, active, version]);

  const shown = useMemo(() => {
    const wanted = text.toLowerCase();
    return wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines;
  }, [lines, text]);
  const rows = useVirtualizer({ count: shown.length, getScrollElement: () => box.current, estimateSize: () => LINE, overscan: 30 });
  useEffect(() => {
    if (tailing && shown.length) rows.scrollToIndex(shown.length - 1);
  }, [shown.length, tailing, rows]);
  return (
    <Box className="column log-box">
      <Group gap="sm" mb={6} wrap="nowrap">
        <TextInput
          size="xs"
          aria-label="Search the log"
          placeholder="Search the log"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          flex={1}
        />
        {text && (
          <Text size="xs" c="dimmed" className="fixed">
            {shown.length.toLocaleString()} of {lines.length.toLocaleString()}
          </Text>
        )}
        <Switch size="xs" label="Follow" checked={tailing} onChange={(event) => setTailing(event.currentTarget.checked)} />
        <Anchor size="xs" href={`${path}&download=true`} download>
          Download
        </Anchor>
      </Group>
      {cut && (
        <Text size="xs" c="dimmed">
          Only the last {MOST_LINES.toLocaleString()} lines are shown. The download has all lines.
        </Text>
      )}
      <div className="log" ref={box} tabIndex={0} role="log" aria-label={`Log of ${step}`}>
        <div style={{ position: "relative", height: rows.getTotalSize(), minWidth: "max-content" }}>
          {rows.getVirtualItems().map((item) => (
            <div key={item.index} className="line" style={{ transform: `translateY(${item.start}px)` }}>
              <Marked line={shown[item.index] ?? ""} text={text} />
            </div>
          ))}
        </div>
        {problem && (
          <Text size="sm" c="dimmed" p="sm">
            {problem}
          </Text>
        )}
        {!problem && !busy && !lines.length && (
          <Text size="sm" c="dimmed" p="sm">
            No output.
          </Text>
        )}
        {busy && <Loader size="xs" m="xs" type="dots" />}
      </div>
    </Box>
  );
}

function Marked({ line, text }: { line: string; text: string }) {
  if (!text) return <>{line || " "}</>;
  const parts: React.ReactNode[] = [];
  const lower = line.toLowerCase();
  const wanted = text.toLowerCase();
  let at = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0 && parts.length < 200; hit = lower.indexOf(wanted, at)) {
    parts.push(line.slice(at, hit), <mark key={hit}>{line.slice(hit, hit + wanted.length)}</mark>);
    at = hit + wanted.length;
  }
  return (
    <>
      {parts}
      {line.slice(at)}
    </>
  );
}

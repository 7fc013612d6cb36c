// Tries a tick: shows the Job that it would make, which the cluster has checked but not made.
import { Button, Group, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useLocation } from "wouter";
import { ask, makerPath, runPath, type Made, type Maker } from "../api";
import { Block } from "../components/text";
import { Notice } from "../components/notice";

export function TryTick({ maker }: { maker: Maker }) {
  const isSchedule = maker.kind === "schedules";
  const [, go] = useLocation();
  const [at, setAt] = useState("");
  const [name, setName] = useState("name");
  const [value, setValue] = useState("value");
  const [job, setJob] = useState("");
  const [message, setMessage] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const sample = isSchedule ? { at: at.trim() } : { name, value };
  const path = `/makers${makerPath(maker)}`;
  const act = async (what: () => Promise<void>) => {
    setBusy(true);
    setProblem("");
    try {
      await what();
    } catch (error) {
      setJob("");
      setMessage("");
      setProblem((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  const attempt = () =>
    act(async () => {
      const told = await ask<{ job: string; message: string }>(`${path}/try`, "POST", sample);
      setJob(told.job);
      setMessage(told.message);
    });
  const make = () => act(async () => go(runPath(await ask<Made>(`${path}/tick`, "POST", sample))));
  return (
    <section aria-label="Try a tick" className="try">
      <Group gap="xs" align="flex-end">
        {isSchedule ? (
          <TextInput
            size="xs"
            flex={1}
            label="Time of the tick"
            placeholder={maker.nextTick || "now"}
            value={at}
            onChange={(event) => setAt(event.currentTarget.value)}
          />
        ) : maker.asksCode ? null : (
          <>
            <TextInput size="xs" flex={1} label="Object name" value={name} onChange={(event) => setName(event.currentTarget.value)} />
            <TextInput size="xs" flex={1} label="Object value" value={value} onChange={(event) => setValue(event.currentTarget.value)} />
          </>
        )}
        <Button size="xs" variant="default" onClick={attempt} loading={busy}>
          Try a tick
        </Button>
        {isSchedule && (
          <Button size="xs" onClick={make} disabled={busy}>
            Create this Job
          </Button>
        )}
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        {isSchedule
          ? "Dry run: the cluster validates the Job of this tick and creates nothing."
          : maker.asksCode
            ? "Dry run: a pod evaluates the function, the cluster validates the Job, and nothing is created."
            : "The Job for something of this name and value is checked by the cluster and shown here; nothing is made."}
      </Text>
      {problem && (
        <Notice color="red" mt="xs">
          {problem}
        </Notice>
      )}
      {message && (
        <Notice color="gray" mt="xs">
          {message}
        </Notice>
      )}
      {job && <Block label="tried job" text={job} most="50vh" />}
    </section>
  );
}

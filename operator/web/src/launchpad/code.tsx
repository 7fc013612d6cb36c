// A Python file to be run, and in which image and namespace.
import { Button, FileButton, Group, Loader, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { lazy, Suspense } from "react";
import type { Info } from "../api";
import { notifyError } from "../notify-error";
import type { Session } from "./sessions";

const Editor = lazy(() => import("../components/editor"));
const MOST_SOURCE = 524_288;

type Props = { session: Session; info: Info | null; onChange: (change: Partial<Session>) => void };

export function Code({ session, info, onChange }: Props) {
  const upload = async (file: File | null) => {
    if (!file) return;
    if (file.size > MOST_SOURCE) notifyError(new Error(`${file.name} is larger than ${MOST_SOURCE.toLocaleString()} bytes`));
    else onChange({ code: await file.text() });
  };
  return (
    <Stack gap="sm" className="column">
      <Group gap="sm" grow align="flex-end">
        <NativeSelect
          label="Namespace"
          value={session.namespace}
          onChange={(event) => onChange({ namespace: event.currentTarget.value })}
          data={[...new Set([...(session.namespace ? [session.namespace] : []), ...(info?.namespaces ?? [])])]}
        />
        <TextInput
          label="Image"
          placeholder={info?.stepImage || "the operator's default"}
          value={session.image}
          onChange={(event) => onChange({ image: event.currentTarget.value })}
        />
        <TextInput
          label="Job"
          placeholder="if the file has several"
          value={session.job}
          onChange={(event) => onChange({ job: event.currentTarget.value })}
        />
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
        <Editor key={session.id} language="python" label="Python file" value={session.code} onChange={(code) => onChange({ code })} />
      </Suspense>
      <Text size="xs" c="dimmed">
        The code runs only in the cluster. The cluster rejects unknown op names and invalid config before it creates a step's pod.
      </Text>
    </Stack>
  );
}

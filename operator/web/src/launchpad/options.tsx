// How a run goes: its mode, how many steps at once, its tags.
import { Group, NativeSelect, NumberInput, TagsInput } from "@mantine/core";
import type { Session } from "./sessions";

const MODES = ["PodPerStep", "InProcess", "Multiprocess"];

type Props = { session: Session; modes?: string[]; onChange: (change: Partial<Session>) => void };

export function Options({ session, modes, onChange }: Props) {
  return (
    <Group gap="sm" align="flex-start" wrap="nowrap">
      <NativeSelect
        label="Mode"
        value={session.mode}
        onChange={(event) => onChange({ mode: event.currentTarget.value })}
        data={modes ?? MODES}
        w={150}
      />
      <NumberInput
        label="Steps at once"
        placeholder="no limit"
        min={1}
        max={5000}
        allowDecimal={false}
        value={session.most ?? ""}
        onChange={(value) => onChange({ most: typeof value === "number" ? value : null })}
        w={125}
      />
      <TagsInput
        label="Tags"
        placeholder={session.tags.length ? "" : "key=value"}
        value={session.tags}
        onChange={(tags) => onChange({ tags })}
        maxTags={32}
        flex={1}
      />
    </Group>
  );
}

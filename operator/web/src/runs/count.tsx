// How many runs there are, and whether they are told as they change.
import { Text } from "@mantine/core";
import type { ReactNode } from "react";

type Props = { list: { total: number; live: boolean; loading: boolean }; children?: ReactNode };

export function RunCount({ list: { total, live, loading }, children }: Props) {
  return (
    <Text size="xs" c="dimmed" aria-live="polite">
      <span data-testid="run-count">{total.toLocaleString()}</span> {total === 1 ? "run" : "runs"}
      {children}
      {!live && !loading && " · not live, connecting…"}
    </Text>
  );
}

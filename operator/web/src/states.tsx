// One color and one mark for each state, the same everywhere.
import type { Summary } from "./api";
import { Badge } from "./components/badge";

const COLORS: Record<string, string> = {
  Succeeded: "teal",
  Failed: "red",
  Refused: "red",
  DeadlineExceeded: "red",
  UpstreamFailed: "pink",
  Running: "blue",
  Starting: "cyan",
  Waiting: "gray",
  Pending: "gray",
  Resolving: "cyan",
  UpForRetry: "orange",
  Stopping: "yellow",
  Suspended: "yellow",
  Canceled: "grape",
  Skipped: "gray",
};

export const RUN_STATES = ["Pending", "Running", "Succeeded", "Failed", "Refused", "Canceled", "Suspended", "DeadlineExceeded"];
export const ACTIVE = new Set(["Running", "Starting", "Stopping"]);

export const colorOf = (state: string) => COLORS[state] ?? "blue";
export const cssColor = (state: string) => `var(--mantine-color-${colorOf(state)}-6)`;

export function StateBadge({ state, size = "sm" }: { state: string; size?: "sm" | "lg" }) {
  return (
    <Badge color={colorOf(state)} size={size}>
      {state}
    </Badge>
  );
}

export function RunState({ run, size }: { run: Summary; size?: "lg" }) {
  return <StateBadge state={run.deleting ? "Deleting" : run.state} size={size} />;
}

// The last ticks at a glance: a mark for each, the newest on the right.
import { Tooltip } from "@mantine/core";
import type { Tick } from "../api";
import { moment } from "../format";

const MOST = 14;

export const tickColor = (outcome: string) =>
  `var(--mantine-color-${outcome === "Created" ? "teal-6" : outcome === "Failed" ? "red-6" : "gray-5"})`;

export function TicksStrip({ ticks, now }: { ticks: Tick[]; now: number }) {
  const shown = ticks.slice(0, MOST).reverse();
  const count = (outcome: string) => shown.filter((tick) => tick.outcome === outcome).length;
  const words = ["Created", "Skipped", "Failed"].filter(count).map((outcome) => `${count(outcome)} ${outcome.toLowerCase()}`);
  return (
    <span className="strip" role="img" aria-label={shown.length ? `last ticks: ${words.join(", ")}` : "no ticks yet"}>
      {shown.map((tick) => (
        <Tooltip
          key={`${tick.time} ${tick.job}`}
          label={`${moment(tick.time, now)} · ${tick.outcome}${tick.reason ? ` · ${tick.reason}` : ""}`}
        >
          <i style={{ background: tickColor(tick.outcome) }} />
        </Tooltip>
      ))}
    </span>
  );
}

// How far back a list of runs goes.
export const SPANS = [
  { value: "", label: "Any time" },
  { value: "1h", label: "Last hour" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "30d", label: "Last 30 days" },
];

const HOURS: Record<string, number> = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 };

/** The time so long ago, to the minute so that it stays the same for a while. */
export function sinceOf(span: string): string {
  const hours = HOURS[span];
  if (!hours) return "";
  const at = Math.floor(Date.now() / 60_000) * 60_000 - hours * 3_600_000;
  return new Date(at).toISOString().replace(".000Z", "Z");
}

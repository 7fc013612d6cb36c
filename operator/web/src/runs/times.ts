// How far back a list of runs goes.
export const SPANS = [
  { value: "", label: "Any time" },
  { value: "1h", label: "Last hour" },
  { value: "6h", label: "Last 6 hours" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "30d", label: "Last 30 days" },
];

const HOURS: Record<string, number> = { "1h": 1, "6h": 6, "24h": 24, "7d": 168, "30d": 720 };

/** How much of the time a timeline of runs shows. */
export const TIMELINE_SPANS = ["1h", "6h", "24h", "7d"];
export const millisecondsOf = (span: string) => (HOURS[span] ?? 6) * 3_600_000;

/** The time so long ago, to the minute so that it stays the same for a while. */
export function sinceOf(span: string): string {
  if (!HOURS[span]) return "";
  const at = Math.floor(Date.now() / 60_000) * 60_000 - millisecondsOf(span);
  return new Date(at).toISOString().replace(".000Z", "Z");
}

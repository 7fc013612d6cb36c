// Times and values as a person reads them.

export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

export function age(time: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

/** How far a time lies ahead, or that it is due. */
export function ahead(time: string, now: number): string {
  const left = Date.parse(time) - now;
  return left <= 0 ? "due" : `in ${age(new Date(now - left).toISOString(), now)}`;
}

/** A time of day, with its date unless that is today. */
export function moment(time: string, now: number): string {
  const at = new Date(time);
  const isToday = at.toDateString() === new Date(now).toDateString();
  const day = isToday ? "" : `${at.toLocaleDateString([], { month: "short", day: "numeric" })} `;
  return day + at.toLocaleTimeString([], { hour12: false });
}

export const clock = (time: string) => new Date(time).toLocaleTimeString([], { hour12: false });

export const bytes = (size: number) =>
  size < 1024 ? `${size} B` : size < 1048576 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1048576).toFixed(1)} MiB`;

/** JSON text as it is, indented when that keeps every number as it was written. */
export function json(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const plain = JSON.stringify(value);
    return plain === text.replace(/([:,]) /g, "$1") ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

// Which runs a list asks for: as the server is asked, and as changes that it tells of are held against it. The server's
// RunFilter takes the same runs: tests/web/run_filter.json is the table that both are tested with.
import type { Summary } from "../api";

export type RunQuery = {
  states?: string[];
  text?: string;
  namespace?: string;
  definition?: string;
  maker?: string;
  tags?: string[];
  since?: string;
  alive?: string;
};

export function searchOf({ states, text, namespace, definition, maker, tags, since, alive }: RunQuery): string {
  const search = new URLSearchParams();
  const given = { state: states?.join(","), text: text?.trim(), namespace, definition, maker, since, alive };
  for (const [name, value] of Object.entries(given)) if (value) search.set(name, value);
  for (const tag of tags ?? []) search.append("tag", tag);
  return search.toString();
}

export function matches(run: Summary, { states, text, namespace, definition, maker, tags, since, alive }: RunQuery): boolean {
  if (states?.length && !states.includes(run.state)) return false;
  if (namespace && run.namespace !== namespace) return false;
  if (definition && run.definition !== definition) return false;
  if (maker && run.maker !== maker) return false;
  if (since && run.created < since) return false;
  if (alive && run.finished && (run.completion || run.created) < alive) return false;
  const own = Object.entries(run.tags).map(([key, value]) => `${key}=${value}`);
  if (!(tags ?? []).every((tag) => (tag.includes("=") ? own.includes(tag) : Object.hasOwn(run.tags, tag)))) return false;
  const wanted = text?.trim().toLowerCase();
  return !wanted || [run.name, run.namespace, run.definition, run.code, ...own].some((part) => part.toLowerCase().includes(wanted));
}

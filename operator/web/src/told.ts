// What the server tells with the page itself, so that it can be shown before anything is asked for.
import type { Runs, Session } from "./api";

type Told = { session: Session | null; runs: Runs | null };

function read(): Told {
  try {
    return JSON.parse(document.getElementById("told")?.textContent ?? "") as Told;
  } catch {
    return { session: null, runs: null }; // not served by our server, as while the page is worked on
  }
}

export const told = read();

/** The begin of the list of all runs, once: later it is old. */
export function takeRuns(): Runs | null {
  const { runs } = told;
  told.runs = null;
  return runs;
}

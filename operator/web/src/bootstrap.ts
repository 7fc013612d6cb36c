// What the server tells with the page itself, so that it can be shown before anything is asked for.
import type { Runs, Session } from "./api";

type Bootstrap = { session: Session | null; runs: Runs | null };

function read(): Bootstrap {
  try {
    return JSON.parse(document.getElementById("told")?.textContent ?? "") as Bootstrap;
  } catch {
    return { session: null, runs: null }; // not served by our server, as while the page is worked on
  }
}

export const bootstrap = read();

/** The begin of the list of all runs, once: later it is old. */
export function takeRuns(): Runs | null {
  const { runs } = bootstrap;
  bootstrap.runs = null;
  return runs;
}

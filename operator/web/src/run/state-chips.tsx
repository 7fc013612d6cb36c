// How many steps are in each state; pressing one shows only those.
import { cssColor } from "../states";
import type { Steps } from "../api";

const ORDER = [
  "Running",
  "Starting",
  "UpForRetry",
  "Waiting",
  "Pending",
  "Stopping",
  "Failed",
  "UpstreamFailed",
  "Canceled",
  "Skipped",
  "Succeeded",
];

type Props = { steps: Steps; picked: string; onPick: (state: string) => void };

export function StateChips({ steps, picked, onPick }: Props) {
  const counts = new Map<string, number>();
  for (const step of Object.values(steps)) counts.set(step.state, (counts.get(step.state) ?? 0) + 1);
  const states = [...counts.keys()].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  return (
    <div className="chips" role="group" aria-label="Steps by state">
      {states.map((state) => (
        <button
          key={state}
          type="button"
          className="chip"
          aria-pressed={picked === state}
          title={picked === state ? "Show all steps" : `Show only steps that are ${state}`}
          onClick={() => onPick(picked === state ? "" : state)}
        >
          <i className="dot" style={{ background: cssColor(state) }} />
          {state} <b>{counts.get(state)}</b>
        </button>
      ))}
    </div>
  );
}

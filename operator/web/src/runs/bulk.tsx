// What can be done with all chosen runs at once.
import { Button, Group, Menu, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { ask, runPath, type Summary } from "../api";
import { Confirm } from "../components/confirm";

const AT_ONCE = 6; // requests; a browser sends no more to one server

type Deed = { verb: string; done: string; text: string; color: string; runs: Summary[]; each: (run: Summary) => Promise<unknown> };

const rerun = (steps: "All" | "FromFailure") => (run: Summary) => ask(`${runPath(run)}/rerun`, "POST", { steps });
const some = (count: number) => `${count.toLocaleString()} ${count === 1 ? "run" : "runs"}`;

/** Does it to each, and returns what was refused. */
async function toAll({ runs, each }: Deed): Promise<string[]> {
  const waiting = [...runs];
  const refused: string[] = [];
  const one = async () => {
    for (let run = waiting.shift(); run; run = waiting.shift())
      await each(run).catch((problem: Error) => refused.push(`${run.name}: ${problem.message}`));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return refused;
}

export default function Bulk({ runs, onDone }: { runs: Summary[]; onDone: () => void }) {
  const [deed, setDeed] = useState<Deed | null>(null);
  const [busy, setBusy] = useState(false);
  const going = runs.filter((run) => !run.finished && !run.canceling);
  const finished = runs.filter((run) => run.finished && run.progress);
  const failed = finished.filter((run) => run.state !== "Succeeded");
  const cancel: Deed = {
    verb: "Cancel",
    done: "Canceled",
    text: "Running pods get their grace period to exit. Steps that have not started do not run. You cannot undo this.",
    color: "red",
    runs: going,
    each: (run) => ask(`${runPath(run)}/cancel`, "POST", {}),
  };
  const again: Deed = {
    verb: "Re-execute",
    done: "Launched a rerun of",
    text: "Runs all steps again. Each run gets a new run.",
    color: "indigo",
    runs: finished,
    each: rerun("All"),
  };
  const fromFailure: Deed = {
    ...again,
    text: "Runs the steps that did not succeed again. Each run gets a new run.",
    runs: failed,
    each: rerun("FromFailure"),
  };
  const remove: Deed = {
    verb: "Delete",
    done: "Deleted",
    text: "This deletes the runs, their pods and their logs. You cannot undo this.",
    color: "red",
    runs,
    each: (run) => ask(`${runPath(run)}?${new URLSearchParams({ uid: run.uid })}`, "DELETE"),
  };
  const act = async (what: Deed) => {
    setBusy(true);
    const refused = await toAll(what);
    setBusy(false);
    setDeed(null);
    onDone();
    const told = refused.slice(0, 3).join("; ") + (refused.length > 3 ? `; and ${refused.length - 3} more` : "");
    const done = `${what.done} ${some(what.runs.length - refused.length)}.`;
    notifications.show(
      refused.length ? { color: "red", title: done, message: `Refused: ${told}`, autoClose: 10_000 } : { color: "teal", message: done },
    );
  };
  return (
    <Group gap="xs" role="toolbar" aria-label="Chosen runs" wrap="nowrap">
      <Text size="xs" fw={600} className="fixed" data-testid="chosen-count">
        {some(runs.length)} chosen
      </Text>
      <Button size="compact-xs" variant="default" disabled={!going.length} onClick={() => setDeed(cancel)}>
        Cancel ({going.length})
      </Button>
      <Menu position="top-start">
        <Menu.Target>
          <Button size="compact-xs" variant="default" disabled={!finished.length}>
            Re-execute ({finished.length}) ▾
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => setDeed(again)}>All steps of {some(finished.length)}</Menu.Item>
          <Menu.Item disabled={!failed.length} onClick={() => setDeed(fromFailure)}>
            From failure in {some(failed.length)}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Button size="compact-xs" color="red" variant="light" onClick={() => setDeed(remove)}>
        Delete ({runs.length})
      </Button>
      <Button size="compact-xs" variant="subtle" onClick={onDone}>
        Choose none
      </Button>
      {deed && (
        <Confirm
          opened
          title={`${deed.verb} ${some(deed.runs.length)}?`}
          text={deed.text}
          verb={`${deed.verb} ${some(deed.runs.length)}`}
          color={deed.color}
          busy={busy}
          onYes={() => void act(deed)}
          onNo={() => setDeed(null)}
        />
      )}
    </Group>
  );
}

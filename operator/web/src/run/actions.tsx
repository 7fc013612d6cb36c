// What can be done with a run.
import { ActionIcon, Button, Group, Menu } from "@mantine/core";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { ask, runPath, type Run } from "../api";
import { Rerun } from "./rerun";
import { Confirm } from "../components/confirm";
import { useAct } from "../hooks/use-act";

export function Actions({ run, chosen }: { run: Run; chosen: string[] }) {
  const [, go] = useLocation();
  const [busy, act] = useAct();
  const [asking, setAsking] = useState<"" | "cancel" | "delete">("");
  const { summary } = run;
  const path = runPath(summary);
  const done = (what: Promise<unknown>) =>
    act(async () => {
      await what;
    }).then(() => setAsking(""));
  const remove = async () => {
    await ask(`${path}?uid=${encodeURIComponent(summary.uid)}`, "DELETE");
    go("/runs");
  };
  return (
    <Group gap="xs" wrap="nowrap">
      <Button
        size="xs"
        variant="default"
        component={Link}
        href={`/launchpad?${new URLSearchParams({ run: `${summary.namespace}/${summary.name}` })}`}
      >
        Open in Launchpad
      </Button>
      <Rerun summary={summary} chosen={chosen} />
      {!summary.finished && (
        <Button size="xs" color="red" variant="light" disabled={busy || summary.canceling} onClick={() => setAsking("cancel")}>
          {summary.canceling ? "Canceling…" : "Cancel run"}
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label="More">
            ⋯
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item color="red" onClick={() => setAsking("delete")}>
            Delete run
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Confirm
        opened={asking === "cancel"}
        title={`Cancel ${summary.name}?`}
        text="Running pods get their grace period to exit. Steps that have not started do not run. You cannot undo this."
        verb="Cancel run"
        busy={busy}
        onYes={() => void done(ask(`${path}/cancel`, "POST", {}))}
        onNo={() => setAsking("")}
      />
      <Confirm
        opened={asking === "delete"}
        title={`Delete ${summary.name}?`}
        text="This deletes the run, its pods and its logs. You cannot undo this."
        verb="Delete run"
        busy={busy}
        onYes={() => void done(remove())}
        onNo={() => setAsking("")}
      />
    </Group>
  );
}
